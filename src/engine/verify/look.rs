//! Looking what a destination holds at certain paths.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use super::judge::Holds;
use super::{Unverified, VerifyProgress};
use crate::engine::inventory::{self, Inventory, InventoryUpdate, Search};
use crate::engine::{Destination, Listing};
use crate::kv::{Mount, PathFilter, SecretPath};
use crate::sync_info::SyncInfo;
use crate::vault::{ErrorKind, VaultError, Wanted};

/// So few secrets are asked for one by one: the mounts may hold many more.
const FEW: usize = 64;
/// After this many failures in a row because the server does not answer, it is not asked any more.
const GIVE_UP_AFTER: usize = 3;

/// What a destination holds.
#[derive(Debug)]
pub(super) struct Presences {
    /// What the listings told; `None` if there was none, and nothing is known that was not asked for.
    listed: Option<SyncInfo>,
    /// The mounts, folders and secrets that could not be listed, and why.
    unlisted: HashMap<String, String>,
    /// What was asked for one by one.
    asked: HashMap<SecretPath, Asked>,
}

#[derive(Debug)]
enum Asked {
    Holds(Holds),
    Failed {
        reason: String,
        /// The server did not answer, so asking for others is in vain.
        silence: bool,
    },
}

impl Presences {
    /// What it holds at a path it was looked at for.
    pub(super) fn of(&self, path: &SecretPath) -> Holds {
        match (self.asked.get(path), &self.listed) {
            (Some(Asked::Holds(holds)), _) => *holds,
            (Some(Asked::Failed { .. }), _) | (None, None) => Holds::Unknown,
            (None, Some(listed)) => match listed.get(path) {
                Some(insight) => Holds::Live(insight.version),
                None if self.unlisted_at(path).is_none() => Holds::Nothing,
                None => Holds::Unknown,
            },
        }
    }

    /// What could not be listed and has this path in it, and why.
    fn unlisted_at(&self, path: &SecretPath) -> Option<(&str, &str)> {
        if self.unlisted.is_empty() {
            return None;
        }
        let text = path.to_string();
        let folders = text.match_indices('/').map(|(slash, _)| &text[..=slash]);
        let found = folders.chain([text.as_str()]).find_map(|place| self.unlisted.get_key_value(place));
        found.map(|(place, reason)| (place.as_str(), reason.as_str()))
    }

    /// Those of `paths` that could not be looked at, by what could not be listed.
    pub(super) fn unknown(&self, paths: &[SecretPath]) -> Vec<Unverified> {
        let mut places: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for path in paths.iter().filter(|path| self.of(path) == Holds::Unknown) {
            let place = match (self.unlisted_at(path), self.asked.get(path)) {
                (Some((prefix, reason)), _) => (prefix.to_owned(), reason),
                (None, Some(Asked::Failed { reason, .. })) => (path.to_string(), reason.as_str()),
                (None, _) => continue,
            };
            *places.entry(place).or_default() += 1;
        }
        let place = |((prefix, reason), secrets): ((String, &str), u64)| Unverified {
            prefix,
            reason: reason.to_owned(),
            secrets,
        };
        places.into_iter().map(place).collect()
    }
}

/// Finds out what `destination` holds at `paths`, by metadata alone.
pub(super) async fn look(destination: &Destination, paths: &[SecretPath], progress: &VerifyProgress) -> Presences {
    if paths.len() <= FEW {
        let asked = ask(destination, paths, progress).await;
        return Presences { listed: None, unlisted: HashMap::new(), asked };
    }
    let listed = list(destination, paths, progress).await;
    let unlisted = listed.unknown.into_iter().map(|subtree| (subtree.prefix, subtree.reason)).collect();
    let mut presences = Presences { listed: Some(listed.secrets), unlisted, asked: HashMap::new() };
    // A token may read metadata in a folder that it may not list. A secret that is unknown by itself was asked for.
    let mut folders: BTreeMap<String, Vec<SecretPath>> = BTreeMap::new();
    for path in paths.iter().filter(|path| presences.of(path) == Holds::Unknown) {
        if let Some((folder, _)) = presences.unlisted_at(path).filter(|(place, _)| place.ends_with('/')) {
            folders.entry(folder.to_owned()).or_default().push(path.clone());
        }
    }
    for within in folders.values() {
        let Some((first, rest)) = within.split_first() else { continue };
        let answer = ask(destination, std::slice::from_ref(first), progress).await;
        match answer.get(first) {
            // then the others probably can be read, too
            Some(Asked::Holds(_)) => {
                presences.asked.extend(answer);
                presences.asked.extend(ask(destination, rest, progress).await);
            }
            Some(Asked::Failed { silence: true, .. }) => break,
            _ => {}
        }
    }
    presences
}

async fn list(destination: &Destination, paths: &[SecretPath], progress: &VerifyProgress) -> Inventory {
    let mounts: BTreeSet<&str> = paths.iter().map(SecretPath::mount).collect();
    let mounts: Vec<Mount> = mounts.into_iter().filter_map(|mount| Mount::parse(mount).ok()).collect();
    let search = Search {
        vault: &destination.vault,
        mounts: &mounts,
        filter: &PathFilter::default(),
        num_workers: destination.num_workers,
        listing: Listing::Auto,
        kv1: None,
        wanted: Wanted::Insight,
    };
    let (sender, mut updates) = mpsc::unbounded_channel();
    let survey = async {
        let sender = sender;
        inventory::survey(&search, paths.len() / 100 + 1, Some(&sender)).await
    };
    let count = async {
        while let Some(update) = updates.recv().await {
            if let InventoryUpdate::Found(secrets) = update {
                progress.found.fetch_add(secrets.len() as u64, Ordering::Relaxed);
            }
        }
    };
    tokio::join!(survey, count).0
}

async fn ask(destination: &Destination, paths: &[SecretPath], progress: &VerifyProgress) -> HashMap<SecretPath, Asked> {
    let unanswered = AtomicUsize::new(0);
    let asked = stream::iter(paths).map(|path| {
        let unanswered = &unanswered;
        async move {
            if unanswered.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
                let reason = "not asked, because the server did not answer before".to_owned();
                return (path.clone(), Asked::Failed { reason, silence: true });
            }
            let asked = match destination.vault.metadata(path).await {
                Ok(metadata) => {
                    let info = metadata.key_info();
                    Asked::Holds(if info.live { Holds::Live(info.version) } else { Holds::Nothing })
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Asked::Holds(Holds::Nothing),
                Err(error) => Asked::Failed { reason: error.to_string(), silence: is_silence(&error) },
            };
            match &asked {
                Asked::Holds(_) => {
                    unanswered.store(0, Ordering::Relaxed);
                    progress.found.fetch_add(1, Ordering::Relaxed);
                }
                Asked::Failed { silence: true, .. } => {
                    unanswered.fetch_add(1, Ordering::Relaxed);
                }
                Asked::Failed { .. } => {}
            }
            (path.clone(), asked)
        }
    });
    asked.buffer_unordered(destination.num_workers.max(1)).collect().await
}

/// Whether an error tells of the server, not of what was asked for.
pub(super) fn is_silence(error: &VaultError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::NoToken | ErrorKind::Tls
    )
}
