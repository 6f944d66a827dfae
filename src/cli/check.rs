//! `vsync check`: reach every server; look at tokens, mounts, capabilities and state.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::kv1::{self, Said};
use super::object::{Object, RuleObject};
use super::output::{Paint, duration};
use super::rights::{self, Granted, Side, Used};
use super::{CliError, Common, Output, start_log};
use crate::config::Config;
use crate::connect::{self, ConnectError, Stores, WayIn};
use crate::engine::Right;
use crate::exit::Exit;
use crate::kv::{Mount, PathFilter};
use crate::state::{LockError, StateStore};
use crate::sync_info::EngineKind;
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
    warning: bool,
    detail: String,
    next_step: Option<String>,
    /// The rules that are missing, as they are to be added.
    missing: Vec<Right>,
}

impl Finding {
    fn good(subject: &'static str, detail: impl Into<String>) -> Self {
        Self { subject, ok: true, warning: false, detail: detail.into(), next_step: None, missing: Vec::new() }
    }

    fn bad(subject: &'static str, detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), ok: false, ..Self::good(subject, detail) }
    }

    /// It works, and had better be changed.
    fn warning(subject: &'static str, detail: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { next_step: Some(next_step.into()), warning: true, ..Self::good(subject, detail) }
    }

    /// With these rules to be added.
    fn lacking(self, next_step: &str, missing: Vec<Right>) -> Self {
        Self { next_step: Some(next_step.to_owned()), missing, ..self }
    }
}

pub(super) async fn run(_: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = common.load()?;
    start_log(common, &loaded, common.log_level.as_deref(), None);
    let config = &loaded.config;
    out.note_unverified(config);
    for exposed in loaded.exposed() {
        show(&exposed.side, &Finding::warning("file", exposed.detail(), exposed.next_step()), out)?;
    }
    for side in config.unverified() {
        let next_step = "set ca_cert to the certificate of its authority, and take tls_skip_verify away";
        let detail = "TLS unverified: any certificate is taken (tls_skip_verify)";
        show(side, &Finding::warning("tls", detail, next_step), out)?;
    }
    let only = common.destinations(config)?;
    let mut all_good = true;
    let is_meant = |destination: &str| only.is_empty() || only.iter().any(|name| name.as_str() == destination);
    for (side, finding) in lost_globs(config, is_meant)? {
        all_good = false;
        show(side, &finding, out)?;
    }
    let mut stores = Stores::new(config);
    let sides = rights::sides(config)?.into_iter().filter(|side| side.is_origin() || is_meant(side.label));
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

/// Globs that no secret can match, and whose they are: the origin's, and those of the destinations that are meant.
fn lost_globs(config: &Config, is_meant: impl Fn(&str) -> bool) -> Result<Vec<(&str, Finding)>, CliError> {
    let mounts = connect::mounts(&config.origin.mounts).map_err(ConnectError::from)?;
    let destinations = config.destinations.iter().filter(|one| is_meant(&one.name));
    let of_destinations = destinations
        .flat_map(|one| [(one.name.as_str(), "include", &one.include), (one.name.as_str(), "canary", &one.canary)]);
    let mut found = Vec::new();
    for (side, key, globs) in std::iter::once(("origin", "include", &config.origin.include)).chain(of_destinations) {
        for glob in globs {
            let filter = PathFilter::new(std::slice::from_ref(glob), &[], &mounts).map_err(ConnectError::from)?;
            if !mounts.iter().any(|mount| filter.may_admit_below(mount.as_str())) {
                let detail = format!("\"{glob}\" lies in none of the origin's mounts, so no secret matches it");
                found.push((side, Finding::bad(key, detail, "mend it, or name its mount in origin.mounts")));
            }
        }
    }
    Ok(found)
}

fn show(side: &str, finding: &Finding, out: &mut Output) -> Result<(), CliError> {
    let Finding { subject, ok, warning, detail, next_step, missing } = finding;
    if out.is_json() {
        let rules: Vec<String> = missing.iter().map(|right| right.stanza().to_string()).collect();
        let next_step = next_step.as_ref().map(|step| [std::slice::from_ref(step), &rules].concat().join(" "));
        let missing: Vec<RuleObject> = missing.iter().map(|right| rights::object(right, None)).collect();
        let (ok, warning, next_step) = (*ok, *warning, next_step.as_deref());
        out.object(&Object::Check { side, subject, ok, warning, detail, next_step, missing: &missing })?;
        return Ok(());
    }
    let verdict = match (ok, warning) {
        (true, false) => out.paint(Paint::Good, "ok  "),
        (true, true) => out.paint(Paint::Notice, "warn"),
        (false, _) => out.paint(Paint::Bad, "FAIL"),
    };
    let next_step = next_step.as_ref().map(|step| format!("; {}", sanitize(step))).unwrap_or_default();
    out.line(format!("{verdict}  {:<14} {subject:<12} {}{next_step}", sanitize(side), sanitize(detail)))?;
    for right in missing {
        for line in rights::with_reasons(right).lines() {
            out.line(line)?;
        }
    }
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
    let way = match connect::way_in(side.vault, &side.name) {
        Ok(way) => way,
        Err(error) => return vec![server, Finding::bad("token", error.to_string(), "then check again")],
    };
    let needed = side.rights(&[]).always;
    let of_token: Vec<&Right> = needed.iter().filter(|right| right.mount.is_none()).collect();
    let mut token = token(&client, &way, &of_token).await;
    let own = capabilities(&client, None, &of_token).await;
    if !token.ok && own.is_err() {
        return vec![server, token];
    }
    let may_ask = own.is_ok();
    if may_ask {
        // it is named among the capabilities
        token.missing.clear();
    }
    let mut findings = vec![server, token];
    findings.extend(own.unwrap_or_else(Some));
    for text in side.mounts {
        let Ok(mount) = Mount::parse(text) else { continue };
        if side.is_origin() && side.rights_in(&mount, EngineKind::KvV2).is_empty() {
            let detail = format!("{mount}: the globs leave it out, so it is not listed");
            findings.push(if needed.iter().all(|right| right.mount.is_none()) {
                Finding::bad(
                    "mount",
                    detail,
                    "no mount is left: mend include or exclude, whose globs begin with a mount",
                )
            } else {
                Finding::good("mount", detail)
            });
            continue;
        }
        let (found, kind) = self::mount(&client, &mount, side).await;
        findings.push(found);
        // a token that may not ask was told so
        if let Some(kind) = kind.filter(|_| may_ask) {
            let needed = side.rights_in(&mount, kind);
            let needed: Vec<&Right> = needed.iter().collect();
            findings.extend(capabilities(&client, Some(&mount), &needed).await.unwrap_or_else(Some));
        }
    }
    findings
}

const LOOKUP: &str = "auth/token/lookup-self";
const CAPABILITIES: &str = "sys/capabilities-self";
const ADD: &str = "add to the token's policy:";

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

async fn token(client: &VaultClient, way: &WayIn, needed: &[&Right]) -> Finding {
    match client.token_info().await {
        Ok(info) => {
            let ttl =
                info.ttl.map_or_else(|| "never expires".to_owned(), |ttl| format!("expires in {}", duration(ttl)));
            let renewable = if info.renewable { ", renewable" } else { "" };
            let policies = info.policies.join(", ");
            let detail = format!("{}, {ttl}{renewable}, policies: {policies}; by {}", info.display_name, way.title);
            Finding::good("token", detail)
        }
        // a token need not be allowed to look itself up to be of use
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Finding::bad(
            "token",
            format!("by {}: the server does not accept it, or it may not look itself up", way.title),
            "give it a valid token, with the policy \"default\"",
        )
        .lacking(
            "give it a valid token, with the policy \"default\" or this rule:",
            needed.iter().filter(|right| right.path == LOOKUP).map(|right| (*right).clone()).collect(),
        ),
        Err(error) if error.kind() == ErrorKind::NoToken => {
            Finding::bad("token", format!("by {}: {error}", way.title), way.next_step.clone())
        }
        Err(error) => {
            Finding::bad("token", format!("by {}: {error}", way.title), "see that the token or the login is right")
        }
    }
}

/// What it is, and as what the token's capabilities in it are of interest, if they are: it may be what they hide.
async fn mount(client: &VaultClient, mount: &Mount, side: &Side<'_>) -> (Finding, Option<EngineKind>) {
    let configured = side.kv_versions.get(mount).copied();
    let hidden = Some(configured.unwrap_or(EngineKind::KvV2));
    let is_unused = || hidden.is_some_and(|kind| side.rights_in(mount, kind).is_empty());
    let list = "see \"vault secrets list\", and name the mount as it is called there";
    match client.mount_info(mount).await {
        Ok(info) if info.kind().is_some() => {
            let said = match side.used {
                Used::Origin(_) => kv1::at_origin(client, mount, &info, configured).await,
                Used::Destination(_) => kv1::at_destination(mount, &info),
            };
            match said {
                Some(Said { ok, detail, next_step }) => {
                    (Finding { ok, ..Finding::bad("mount", detail, next_step) }, info.kind().filter(|_| ok))
                }
                None => (Finding::good("mount", format!("{mount} is KV version 2")), Some(EngineKind::KvV2)),
            }
        }
        Ok(info) => (Finding::bad("mount", format!("{mount} is no KV engine but \"{}\"", info.engine), list), None),
        // whether it is missing or hidden, a plan finds out
        Err(error)
            if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound)
                && matches!(&side.used, Used::Destination(used) if used.creates_mounts) =>
        {
            (Finding::good("mount", format!("{mount} is not there yet, and is created first (create_mounts)")), hidden)
        }
        // a token that may do nothing there, as it need not, is not told of it
        Err(error) if error.kind() == ErrorKind::PermissionDenied && is_unused() => {
            (Finding::good("mount", format!("{mount} is not seen by the token")), hidden)
        }
        Err(error) => {
            let is_hidden = error.kind() == ErrorKind::PermissionDenied;
            (Finding::bad("mount", format!("{mount}: {}", reason(&error)), list), hidden.filter(|_| is_hidden))
        }
    }
}

fn reason(error: &VaultError) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => "there is no such mount, or the token may not see it".to_owned(),
        _ => error.message().to_owned(),
    }
}

/// What the token has of what is needed in a mount, or for itself; there nothing is said if nothing is missing. An error if
/// it could not be asked.
async fn capabilities(
    client: &VaultClient,
    mount: Option<&Mount>,
    needed: &[&Right],
) -> Result<Option<Finding>, Finding> {
    let about = mount.map_or_else(|| "the token itself".to_owned(), ToString::to_string);
    if needed.is_empty() {
        let nothing = format!("{about}: no include glob leads here, so none are needed");
        return Ok(mount.map(|_| Finding::good("capabilities", nothing)));
    }
    let paths: Vec<String> = needed.iter().map(|right| right.path.clone()).collect();
    let granted: Vec<Granted> = match client.capabilities(&paths).await {
        Ok(granted) => granted.into_iter().map(Granted).collect(),
        Err(error) => {
            let found = Finding::bad("capabilities", format!("{about}: {}", error.message()), "then check again");
            let rule = needed.iter().find(|right| right.path == CAPABILITIES);
            return Err(match rule.filter(|_| error.kind() == ErrorKind::PermissionDenied) {
                Some(rule) => found.lacking(ADD, vec![(*rule).clone()]),
                None => found,
            });
        }
    };
    let lacks = |wanted: fn(&Right) -> &BTreeSet<&'static str>| {
        let lacking = needed.iter().zip(&granted).filter_map(|(right, granted)| {
            let lacking = granted.lacks(wanted(right));
            (!lacking.is_empty()).then(|| (format!("{} on {}", lacking.join(", "), right.path), (*right).clone()))
        });
        lacking.unzip::<_, _, Vec<String>, Vec<Right>>()
    };
    let (texts, rules) = lacks(|right| &right.needed);
    if !texts.is_empty() {
        let missing = format!("{about}: {} missing", texts.join("; "));
        return Ok(Some(Finding::bad("capabilities", missing, ADD).lacking(ADD, rules)));
    }
    let has = needed.iter().zip(&granted).filter_map(|(right, granted)| {
        let has: Vec<_> = right.capabilities().into_iter().filter(|capability| granted.has(capability)).collect();
        (!has.is_empty()).then(|| format!("{} on {}", has.join(", "), right.path))
    });
    let found = Finding::good("capabilities", has.collect::<Vec<_>>().join("; "));
    let (texts, rules) = lacks(|right| &right.advised);
    if texts.is_empty() {
        return Ok(mount.map(|_| found));
    }
    let advice = format!("it works without {}, but worse: the rule says how;", texts.join("; "));
    Ok(Some(found.lacking(&format!("{advice} {ADD}"), rules)))
}

async fn state(side: &Side<'_>, stores: &mut Stores, file: &Path, read_only: bool) -> Finding {
    let store = match stores.open(side.consul, &side.name) {
        Ok(store) => store,
        Err(error) => return Finding::bad("state", error.to_string(), "mend its section of the configuration"),
    };
    let folder = if side.is_origin() { "origin" } else { "destination" };
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
