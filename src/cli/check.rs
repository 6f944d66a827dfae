//! `vsync check`: reach every server; look at tokens, mounts, capabilities and state.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::capability::{self, Need};
use super::output::{Object, Paint, duration};
use super::{CliError, Common, Output, start_log};
use crate::config::{Config, Consul, Vault};
use crate::connect::{self, ConnectError, SideName, Stores};
use crate::exit::Exit;
use crate::kv::{Mount, PathFilter, Scope};
use crate::state::{LockError, StateStore};
use crate::text::sanitize;
use crate::vault::{ErrorKind, VaultClient, VaultError};

/// `check` has no flags of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// How long all questions to one server may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    subject: &'static str,
    ok: bool,
    detail: String,
    next_step: Option<String>,
}

impl Finding {
    fn good(subject: &'static str, detail: impl Into<String>) -> Self {
        Self { subject, ok: true, detail: detail.into(), next_step: None }
    }

    fn bad(subject: &'static str, detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { subject, ok: false, detail: detail.into(), next_step: Some(next_step.into()) }
    }
}

/// One side as configured.
struct Side<'a> {
    label: &'a str,
    name: SideName,
    vault: &'a Vault,
    consul: Option<&'a Consul>,
    mounts: &'a [String],
    sync_path: &'a str,
    /// What include globs confine its secrets to; `None`: nothing.
    scopes: Option<Vec<Scope>>,
    need: Need,
}

pub(super) async fn run(_: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = common.load()?;
    start_log(common, &loaded, common.log_level.as_deref(), None);
    let config = &loaded.config;
    let only = common.destinations(config)?;
    let mut stores = Stores::new(config);
    let mut all_good = true;
    let sides = sides(config)?.into_iter().filter(|side| {
        side.need == Need::Read(config.origin.listing)
            || only.is_empty()
            || only.iter().any(|name| name.as_str() == side.label)
    });
    let sides: Vec<_> = sides.collect();
    // all at once, so that a server that does not answer does not hide what the others say
    let vaults: Vec<_> = sides
        .iter()
        .map(|side| async {
            tokio::time::timeout(PATIENCE, vault(side)).await.unwrap_or_else(|_| {
                let detail = format!("{} did not answer within {}", side.vault.address, duration(PATIENCE));
                vec![Finding::bad("server", detail, "see that it runs and is not stuck")]
            })
        })
        .collect();
    let vaults = futures_util::future::join_all(vaults).await;
    for (side, mut findings) in sides.iter().zip(vaults) {
        let state = state(side, &mut stores, &config.state.file, common.read_only);
        findings.push(tokio::time::timeout(PATIENCE, state).await.unwrap_or_else(|_| {
            let detail = format!("no answer within {}", duration(PATIENCE));
            Finding::bad("state", detail, "see that the state store runs and is not stuck")
        }));
        for finding in &findings {
            all_good &= finding.ok;
            show(side.label, finding, out)?;
        }
        out.flush()?;
    }
    Ok(if all_good { Exit::Done } else { Exit::Failed })
}

fn sides(config: &Config) -> Result<Vec<Side<'_>>, ConnectError> {
    let origin = &config.origin;
    let mounts = connect::mounts(&origin.mounts)?;
    let scopes = |include: &[String]| -> Result<_, ConnectError> {
        Ok(PathFilter::new(include, &[], &mounts)?.scopes().map(<[Scope]>::to_vec))
    };
    let of_origin = scopes(&origin.include)?;
    let mut sides = vec![Side {
        label: "origin",
        name: SideName::origin(),
        vault: &origin.vault,
        consul: origin.consul.as_ref(),
        mounts: &origin.mounts,
        sync_path: &origin.sync_path,
        scopes: of_origin.clone(),
        need: Need::Read(origin.listing),
    }];
    for destination in &config.destinations {
        // globs match the origin's paths: where transforms lead from there is not known before there is a path
        let scopes = if destination.transforms.is_empty() {
            meet(of_origin.as_deref(), scopes(&destination.include)?)
        } else {
            None
        };
        sides.push(Side {
            label: &destination.name,
            name: SideName::destination(&destination.name),
            vault: &destination.vault,
            consul: destination.consul.as_ref(),
            mounts: &destination.mounts,
            sync_path: &destination.sync_path,
            scopes,
            need: Need::Write,
        });
    }
    Ok(sides)
}

/// What both confine to.
fn meet(one: Option<&[Scope]>, other: Option<Vec<Scope>>) -> Option<Vec<Scope>> {
    match (one, other) {
        (Some(one), Some(other)) => {
            Some(one.iter().flat_map(|scope| other.iter().filter_map(|other| scope.meet(other))).collect())
        }
        (one, other) => one.map(<[Scope]>::to_vec).or(other),
    }
}

fn show(side: &str, finding: &Finding, out: &mut Output) -> Result<(), CliError> {
    let Finding { subject, ok, detail, next_step } = finding;
    if out.is_json() {
        out.object(&Object::Check { side, subject, ok: *ok, detail, next_step: next_step.as_deref() })?;
        return Ok(());
    }
    let verdict = if *ok { out.paint(Paint::Good, "ok  ") } else { out.paint(Paint::Bad, "FAIL") };
    let next_step = next_step.as_ref().map(|step| format!("; {}", sanitize(step))).unwrap_or_default();
    out.line(format!("{verdict}  {:<14} {subject:<12} {}{next_step}", sanitize(side), sanitize(detail)))?;
    Ok(())
}

async fn vault(side: &Side<'_>) -> Vec<Finding> {
    let client = match connect::vault(side.vault, &side.name) {
        Ok(client) => client,
        Err(error) => return vec![Finding::bad("token", error.to_string(), "then check again")],
    };
    let server = server(&client).await;
    if !server.ok {
        return vec![server];
    }
    let token = token(&client).await;
    if !token.ok {
        return vec![server, token];
    }
    let mut findings = vec![server, token];
    for text in side.mounts {
        let Ok(mount) = Mount::parse(text) else { continue };
        let found = self::mount(&client, &mount).await;
        let exists = found.ok;
        findings.push(found);
        if exists {
            findings.push(capabilities(&client, &mount, side).await);
        }
    }
    findings
}

async fn server(client: &VaultClient) -> Finding {
    let address = client.address();
    match client.health().await {
        Ok(health) if !health.initialized => {
            Finding::bad("server", format!("{address} is not initialized"), "initialize and unseal it")
        }
        Ok(health) if health.sealed => Finding::bad("server", format!("{address} is sealed"), "unseal it"),
        Ok(health) => {
            let role = if health.standby { ", standby" } else { "" };
            Finding::good("server", format!("{address}, version {}{role}", health.version))
        }
        Err(error) => {
            let step = match error.kind() {
                ErrorKind::Tls => "set ca_cert and tls_server_name to what its certificate needs",
                ErrorKind::Timeout => "see that nothing between here and there drops packets",
                _ => "see that it runs, and that vault.address is right",
            };
            Finding::bad("server", format!("{address}: {}", error.message()), step)
        }
    }
}

async fn token(client: &VaultClient) -> Finding {
    match client.token_info().await {
        Ok(info) => {
            let ttl =
                info.ttl.map_or_else(|| "never expires".to_owned(), |ttl| format!("expires in {}", duration(ttl)));
            let renewable = if info.renewable { ", renewable" } else { "" };
            let policies = info.policies.join(", ");
            Finding::good("token", format!("{}, {ttl}{renewable}, policies: {policies}", info.display_name))
        }
        // a token need not be allowed to look itself up to be of use
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(
            "token",
            "the server does not accept it, or it may not look itself up",
            "give it a valid token, with the policy \"default\"",
        ),
        Err(error) => Finding::bad("token", error.to_string(), "see that the token or the login is right"),
    }
}

async fn mount(client: &VaultClient, mount: &Mount) -> Finding {
    let list = "see \"vault secrets list\", and name the mount as it is called there";
    match client.mount_info(mount).await {
        Ok(info) if info.kv_version == Some(2) => Finding::good("mount", format!("{mount} is KV version 2")),
        Ok(info) if info.engine == "kv" || info.engine == "generic" => Finding::bad(
            "mount",
            format!("{mount} is KV version 1, which has no versions to compare"),
            format!("upgrade it: vault kv enable-versioning {mount}"),
        ),
        Ok(info) => Finding::bad("mount", format!("{mount} is no KV engine but \"{}\"", info.engine), list),
        Err(error) => Finding::bad("mount", format!("{mount}: {}", reason(&error)), list),
    }
}

fn reason(error: &VaultError) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "there is no such mount, or the token may not see it".to_owned(),
        _ => error.message().to_owned(),
    }
}

async fn capabilities(client: &VaultClient, mount: &Mount, side: &Side<'_>) -> Finding {
    let wanted = capability::wanted(mount, &capability::places(mount, side.scopes.as_deref()), side.need);
    if wanted.is_empty() {
        return Finding::good("capabilities", format!("{mount}: no include glob leads here, so none are needed"));
    }
    let paths: Vec<String> = wanted.iter().map(|wanted| wanted.path.clone()).collect();
    match client.capabilities(&paths).await {
        Ok(granted) => match capability::missing(&wanted, &granted) {
            missing if missing.is_empty() => Finding::good("capabilities", capability::summary(&wanted, &granted)),
            missing => Finding::bad(
                "capabilities",
                format!("{mount}: {} missing", missing.join(", ")),
                format!("add to the token's policy: {}", capability::policy(&wanted)),
            ),
        },
        Err(error) => Finding::bad(
            "capabilities",
            format!("{mount}: {}", error.message()),
            "allow update on sys/capabilities-self",
        ),
    }
}

async fn state(side: &Side<'_>, stores: &mut Stores, file: &Path, read_only: bool) -> Finding {
    let store = match stores.open(side.consul, &side.name) {
        Ok(store) => store,
        Err(error) => return Finding::bad("state", error.to_string(), "mend its section of the configuration"),
    };
    let folder = if side.need == Need::Write { "destination" } else { "origin" };
    let sync_path = side.sync_path.trim_matches('/');
    let kept = match store.get(&format!("{sync_path}/{folder}/index")).await {
        Ok(Some(_)) => "has state",
        Ok(None) => "no state yet",
        Err(error) => {
            let step = match side.consul {
                Some(_) => "see that Consul runs, and that consul.address and its token are right",
                None => "see that the file can be read and written, and that no other vsync has it open",
            };
            return Finding::bad("state", error.to_string(), step);
        }
    };
    let kept = format!("{}, {kept} under {}", store.location(), side.sync_path);
    if read_only {
        return Finding::good("state", format!("{kept}; not tried to write, because of --read-only"));
    }
    let written = match side.consul {
        None if !file.exists() => {
            can_be_made(file).map_err(|error| format!("{} cannot be made: {error}", file.display()))
        }
        _ => can_be_written(store.as_ref(), sync_path).await,
    };
    let locked = match &written {
        Ok(()) if side.consul.is_some() || file.exists() => can_be_locked(store.as_ref(), sync_path, folder).await,
        _ => Ok(None),
    };
    match (written, side.consul) {
        (Ok(()), _) => match (locked, side.consul) {
            (Ok(None), _) => Finding::good("state", format!("{kept}, can be written")),
            (Ok(Some(taken)), _) => Finding::good("state", format!("{kept}, can be written; its lock is {taken}")),
            (Err(reason), Some(_)) => Finding::bad(
                "state",
                reason,
                "a cycle holds a lock: give the token of its Consul the rule session_prefix \"\" { policy = \"write\" }, too",
            ),
            (Err(reason), None) => Finding::bad("state", reason, "let this user write the folder of the state file"),
        },
        (Err(reason), Some(_)) => {
            let rule = format!("key_prefix \"{sync_path}/\" {{ policy = \"write\" }}");
            Finding::bad("state", reason, format!("give the token of its Consul the rule {rule}"))
        }
        (Err(reason), None) => Finding::bad(
            "state",
            reason,
            "let this user write the file and its folder, or set state.file to another place",
        ),
    }
}

/// Writes a key where neither v0.3 nor anything else looks, and deletes it.
async fn can_be_written(store: &dyn StateStore, sync_path: &str) -> Result<(), String> {
    let key = format!("{sync_path}/vsync/check");
    store.put(vec![(key.clone(), Vec::new())]).await.map_err(|error| error.to_string())?;
    store.delete(&[key]).await.map_err(|error| error.to_string())
}

/// Takes the side's lock and lets it go again. Who has it, if somebody else does.
async fn can_be_locked(store: &dyn StateStore, sync_path: &str, side: &str) -> Result<Option<String>, String> {
    let key = format!("{sync_path}/vsync/locks/{side}");
    match store.lock(&key, &connect::operator().holder("check")).await {
        Ok(lock) => lock.release().await.map(|()| None).map_err(|error| error.to_string()),
        Err(LockError::Held(taken)) => Ok(Some(taken.to_string())),
        Err(LockError::State(error)) => Err(error.to_string()),
    }
}

/// Whether a file that is not there could be: tried in the nearest folder there is, which stays as it was.
fn can_be_made(file: &Path) -> io::Result<()> {
    let folder = file.ancestors().skip(1).find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let probe = folder.unwrap_or(Path::new("")).join(format!(".vsync-check-{}", std::process::id()));
    fs::File::create_new(&probe)?;
    fs::remove_file(probe)
}
