//! Mounts at a destination: whether they are fit to be written, and those that a cycle creates because they are missing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::binding::PATIENCE;
use super::plan::{DestinationPlan, Objection, Task};
use super::{Destination, Origin, Stanza};
use crate::kv::{Mount, SecretPath};
use crate::text::sanitize;
use crate::vault::{ErrorKind, KvConfig, MountSettings, VaultClient, VaultError};

/// How long a new engine may take until it can be written.
const READY_WITHIN: Duration = Duration::from_secs(30);
const READY_RETRY: Duration = Duration::from_millis(50);

/// A mount that is missing at a destination, and is created before the first write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMount {
    /// The mount.
    pub mount: Mount,
    /// The origin's, whose options it gets.
    pub like: Mount,
    settings: MountSettings,
    config: KvConfig,
    /// Why the origin did not tell some of them.
    untold: Option<String>,
    /// A path that is to be written there.
    path: SecretPath,
}

impl fmt::Display for NewMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} like the origin's {}", self.mount, self.like)?;
        let KvConfig { max_versions, cas_required, delete_version_after } = &self.config;
        let mut options = Vec::new();
        if *max_versions > 0 {
            options.push(format!("max_versions {max_versions}"));
        }
        if *cas_required {
            options.push("cas_required".to_owned());
        }
        if *delete_version_after != KvConfig::default().delete_version_after {
            options.push(format!("delete_version_after {}", sanitize(delete_version_after)));
        }
        if !options.is_empty() {
            write!(f, " ({})", options.join(", "))?;
        }
        match &self.untold {
            Some(reason) => write!(f, ", as far as its options can be seen: {}", sanitize(reason)),
            None => Ok(()),
        }
    }
}

impl NewMount {
    /// Whether one of these tasks writes there.
    pub(super) fn is_for<'a>(&self, mut tasks: impl Iterator<Item = &'a Task>) -> bool {
        tasks.any(|task| !task.operation.is_delete() && task.destination.mount() == self.mount.as_str())
    }
}

/// Looks at the mounts that a plan writes to: objects to those that say that they are something else than KV version 2, and
/// finds those that are to be created. One that does not say what it is may be fit all the same; the first write tells.
pub(super) async fn look(part: &mut DestinationPlan, origin: &Origin, destination: &Destination) {
    // per mount the first path there, and how many secrets of which mount of the origin go there
    let mut written: BTreeMap<&str, (&SecretPath, BTreeMap<&str, u64>)> = BTreeMap::new();
    for task in part.tasks.iter().filter(|task| !task.operation.is_delete()) {
        let entry = written.entry(task.destination.mount()).or_insert_with(|| (&task.destination, BTreeMap::new()));
        *entry.1.entry(task.origin.mount()).or_default() += 1;
    }
    let looked = written.into_iter().filter_map(|(name, (path, from))| {
        let mount = Mount::parse(name).ok()?;
        // the mount of the same name, else the one that most of them come from
        let most = from.iter().max_by_key(|(from, count)| (**from == name, **count)).map(|(from, _)| *from)?;
        let like = Mount::parse(most).ok()?;
        Some(look_at(mount, like, path.clone(), origin, destination))
    });
    for found in join_all(looked).await {
        match found {
            Found::Fit => {}
            Found::Unfit(objection) => part.objections.push(objection),
            Found::Missing(new) => part.new_mounts.push(*new),
        }
    }
}

enum Found {
    Fit,
    Unfit(Objection),
    Missing(Box<NewMount>),
}

async fn look_at(mount: Mount, like: Mount, path: SecretPath, origin: &Origin, destination: &Destination) -> Found {
    let vault = &destination.vault;
    if let Some(objection) = unfit(vault, &mount).await {
        return Found::Unfit(objection);
    }
    if !destination.create_mounts {
        return Found::Fit;
    }
    let is_mounted = tokio::time::timeout(PATIENCE, vault.is_mounted(&mount, &path)).await;
    if !matches!(is_mounted, Ok(Ok(false))) {
        return Found::Fit;
    }
    let (settings, config) = tokio::join!(
        tokio::time::timeout(PATIENCE, origin.vault.mount_settings(&like)),
        tokio::time::timeout(PATIENCE, origin.vault.kv_config(&like)),
    );
    let mut untold = Vec::new();
    let settings = told(settings, &mut untold);
    let config = told(config, &mut untold);
    let untold = (!untold.is_empty()).then(|| untold.join("; "));
    Found::Missing(Box::new(NewMount { mount, like, settings, config, untold, path }))
}

/// The answer, or the default and a word about it.
fn told<T: Default>(answer: Result<Result<T, VaultError>, tokio::time::error::Elapsed>, untold: &mut Vec<String>) -> T {
    match answer {
        Ok(Ok(answer)) => return answer,
        Ok(Err(error)) => untold.push(error.to_string()),
        Err(_) => untold.push("the origin does not answer".to_owned()),
    }
    T::default()
}

async fn unfit(vault: &VaultClient, mount: &Mount) -> Option<Objection> {
    let info = tokio::time::timeout(PATIENCE, vault.mount_info(mount)).await.ok()?.ok()?;
    let fit = info.engine == "kv" && info.kv_version == Some(2);
    (!fit).then(|| Objection::UnfitMount { mount: mount.to_string(), found: info.to_string() })
}

/// Creates mounts, and waits until they can be written. The error says what stands in the way, and what would help.
pub(super) async fn create(vault: &VaultClient, mounts: &[NewMount]) -> Result<(), String> {
    for new in mounts {
        // half a mount, without the origin's options, would stay as it is
        may_create(vault, new).await?;
        let made = vault.create_mount(&new.mount, &new.settings).await.map_err(|error| failed(new, &error))?;
        if made {
            configure(vault, new).await?;
            tracing::info!(mount = new.mount.as_str(), like = new.like.as_str(), "a mount was created");
        } else if let Some(objection) = unfit(vault, &new.mount).await {
            return Err(objection.to_string());
        }
        wait_until_ready(vault, new).await?;
    }
    Ok(())
}

/// Whether the token may do all of it, as far as it can be found out.
async fn may_create(vault: &VaultClient, new: &NewMount) -> Result<(), String> {
    let mut paths = vec![sys_path(&new.mount)];
    if new.config != KvConfig::default() {
        paths.push(format!("{}config", new.mount));
    }
    let Ok(capabilities) = vault.capabilities(&paths).await else { return Ok(()) };
    let lacks =
        paths.into_iter().zip(capabilities).filter(|(_, has)| !has.iter().any(|one| one == "root" || one == "update"));
    let missing: Vec<String> = lacks.map(|(path, _)| stanza(path)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the mount {} is missing and the token may not create it: its policy lacks {}",
        new.mount,
        missing.join(" and ")
    ))
}

fn sys_path(mount: &Mount) -> String {
    format!("sys/mounts/{}", mount.as_str().trim_end_matches('/'))
}

fn stanza(path: String) -> String {
    Stanza { path, capabilities: vec!["update"] }.to_string()
}

fn failed(new: &NewMount, error: &VaultError) -> String {
    let lacks = match error.kind() {
        ErrorKind::PermissionDenied => format!("; its policy lacks {}", stanza(sys_path(&new.mount))),
        _ => String::new(),
    };
    format!("the missing mount {} could not be created: {}{lacks}", new.mount, error.message())
}

async fn configure(vault: &VaultClient, new: &NewMount) -> Result<(), String> {
    if new.config == KvConfig::default() {
        return Ok(());
    }
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match vault.write_kv_config(&new.mount, &new.config).await {
            Ok(()) => return Ok(()),
            Err(error) if is_in_the_making(&error) && Instant::now() < deadline => {
                tokio::time::sleep(READY_RETRY).await;
            }
            Err(error) => {
                return Err(format!(
                    "the mount {} was created, but not with the origin's options: {}; write them to {}config by hand, or remove the mount",
                    new.mount,
                    error.message(),
                    new.mount
                ));
            }
        }
    }
}

fn is_in_the_making(error: &VaultError) -> bool {
    error.is_upgrading() || error.says_no_mount()
}

async fn wait_until_ready(vault: &VaultClient, new: &NewMount) -> Result<(), String> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        match vault.metadata(&new.path).await {
            Err(error) if is_in_the_making(&error) => {
                if Instant::now() > deadline {
                    return Err(format!("the new mount {} does not get ready: {}", new.mount, error.message()));
                }
                tokio::time::sleep(READY_RETRY).await;
            }
            // whatever else is wrong, the first write says
            _ => return Ok(()),
        }
    }
}
