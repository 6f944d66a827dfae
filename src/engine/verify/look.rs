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
use crate::vault::{ErrorKind, VaultError};

/// So few secrets are asked for one by one: the mounts may hold many more.
const FEW: usize = 64;
/// After this many failures in a row because the server does not answer, it is not asked any more.
const GIVE_UP_AFTER: usize = 3;

/// What a destination holds.
#[derive(Debug)]
pub(super) struct Presences {
    /// What the listings told. Without one, nothing that was not asked for is known.
    listed: Option<Inventory>,
    /// What was asked for one by one.
    asked: HashMap<SecretPath, Asked>,
}

#[derive(Debug)]
enum Asked {
    Holds(Holds),
    Failed(String),
}

impl Presences {
    /// What it holds at a path it was looked at for.
    pub(super) fn of(&self, path: &SecretPath) -> Holds {
        match (self.asked.get(path), &self.listed) {
            (Some(Asked::Holds(holds)), _) => *holds,
            (Some(Asked::Failed(_)), _) | (None, None) => Holds::Unknown,
            (None, Some(listed)) => match listed.secrets.get(path) {
                Some(insight) => Holds::Live(insight.version),
                None if listed.is_known(path) => Holds::Nothing,
                None => Holds::Unknown,
            },
        }
    }

    /// Those of `paths` that could not be looked at, by what could not be listed.
    pub(super) fn unknown(&self, paths: &[SecretPath]) -> Vec<Unverified> {
        let mut places: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for path in paths.iter().filter(|path| self.of(path) == Holds::Unknown) {
            let text = path.to_string();
            let subtree = self.listed.iter().flat_map(|listed| &listed.unknown).find(|subtree| subtree.covers(&text));
            let place = match (subtree, self.asked.get(path)) {
                (Some(subtree), _) => (subtree.prefix.clone(), subtree.reason.as_str()),
                (None, Some(Asked::Failed(reason))) => (text, reason.as_str()),
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
        return Presences { listed: None, asked };
    }
    let listed = list(destination, paths, progress).await;
    let mut asked = HashMap::new();
    // A token may read metadata that it may not list. If the first one can be read, the others probably can.
    for subtree in &listed.unknown {
        let within: Vec<SecretPath> = paths
            .iter()
            .filter(|path| listed.secrets.get(path).is_none() && subtree.covers(&path.to_string()))
            .cloned()
            .collect();
        let Some((first, rest)) = within.split_first() else { continue };
        let answer = ask(destination, std::slice::from_ref(first), progress).await;
        if answer.values().all(|asked| matches!(asked, Asked::Holds(_))) {
            asked.extend(answer);
            asked.extend(ask(destination, rest, progress).await);
        }
    }
    Presences { listed: Some(listed), asked }
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
                return (path.clone(), Asked::Failed(reason));
            }
            let holds = match destination.vault.metadata(path).await {
                Ok(metadata) => {
                    let info = metadata.key_info();
                    Ok(if info.live { Holds::Live(info.version) } else { Holds::Nothing })
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Holds::Nothing),
                Err(error) => Err(error),
            };
            match &holds {
                Ok(_) => {
                    unanswered.store(0, Ordering::Relaxed);
                    progress.found.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if is_silence(error) => {
                    unanswered.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {}
            }
            (path.clone(), holds.map_or_else(|error| Asked::Failed(error.to_string()), Asked::Holds))
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
