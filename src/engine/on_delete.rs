//! What becomes of secrets that are gone at the origin: kinds of deletes, and what of them nobody can take back.
//!
//! ```text
//!   at the origin                        soft          destroy         purge         ignore
//!   soft-deleted: can be undeleted       soft delete   soft delete *   soft delete *  –
//!   no version has data any more, gone   soft delete   destroy         purge          –
//!
//!   * waits in the ledger: destroyed or purged when the origin's is gone for good
//! ```

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::Engine;
use super::inventory::Inventory;
use super::origin_reader::OriginReader;
use super::plan::{DestinationName, DestinationPlan, Expected, Operation, Plan, Source, Task};
use super::transform::IDENTITY;
use super::{Destination, Origin};
use crate::kv::SecretPath;
use crate::state::Ledger;
use crate::vault::{ErrorKind, Metadata};

/// After this many answers that failed to come, the origin is asked no more.
const GIVE_UP_AFTER: usize = 3;

/// What becomes of a secret at a destination when the origin no longer has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// Its newest version is soft-deleted, and can be undeleted.
    #[default]
    Soft,
    /// The data of all its versions is destroyed, once the origin cannot undelete its own.
    Destroy,
    /// It is removed with all versions and metadata, once the origin cannot undelete its own.
    Purge,
    /// It stays.
    Ignore,
}

impl OnDelete {
    /// The task that nothing can take back, if it comes to that.
    #[must_use]
    pub fn irrevocable(self) -> Option<Operation> {
        match self {
            Self::Destroy => Some(Operation::Destroy),
            Self::Purge => Some(Operation::Purge),
            Self::Soft | Self::Ignore => None,
        }
    }
}

/// What the origin says of a secret that it does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtOrigin {
    /// There is nothing, or no version has data any more.
    Gone,
    /// It can be undeleted, or read again.
    Recoverable,
    /// It did not say.
    Unknown,
}

/// Whether the data of any version still exists, be it soft-deleted: then people can have the secret back.
pub(super) fn is_recoverable(metadata: &Metadata) -> bool {
    metadata.versions.values().any(|version| !version.destroyed)
}

/// Turns the deletes of a plan into what `on_delete` wants for those that are gone for good at the origin, and adds
/// what was only soft-deleted by earlier cycles and is gone for good by now. `ledger` is loaded for the plan's tasks, and
/// as a whole if `waiting`. Returns whether something waits from now on.
pub(super) async fn decide(
    part: &mut DestinationPlan,
    ledger: &Ledger,
    (origin, reader): (&Origin, &OriginReader),
    inventory: &Inventory,
    destination: &Destination,
    waiting: bool,
) -> bool {
    let Some(operation) = destination.on_delete.irrevocable() else { return waiting };
    let waits = if waiting {
        waiting_tasks(part, ledger, origin, inventory, destination, operation)
    } else {
        Waiting::default()
    };
    // what somebody else wrote is only ever soft-deleted
    let is_ours = |task: &Task| ledger.get(&task.destination).is_none_or(|entry| entry.foreign.is_none());
    let deletes = part.tasks.iter().filter(|task| task.operation == Operation::Delete && is_ours(task));
    let asked: Vec<SecretPath> =
        deletes.map(|task| task.origin.clone()).chain(waits.tasks.iter().map(|task| task.origin.clone())).collect();
    let said = ask(reader, origin.num_workers, asked).await;
    let is_gone = |path: &SecretPath| said.get(path) == Some(&AtOrigin::Gone);
    let mut softly = 0_u64;
    let mut tasks: Vec<Task> = std::mem::take(&mut part.tasks).into_iter().collect();
    for task in tasks.iter_mut().filter(|task| task.operation == Operation::Delete) {
        if is_ours(task) && is_gone(&task.origin) {
            task.operation = operation;
        } else {
            softly += 1;
        }
    }
    let late = waits.tasks.into_iter().filter(|task| is_gone(&task.origin));
    let before = tasks.len();
    tasks.extend(late);
    part.taking_part += (tasks.len() - before) as u64;
    tasks.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
    part.tasks = tasks.into();
    waits.any || softly > 0
}

#[derive(Default)]
struct Waiting {
    tasks: Vec<Task>,
    /// Whether the ledger has any, be they excluded or unknown.
    any: bool,
}

/// What the ledger has as waiting and still takes part, unless something else is to be done with it.
fn waiting_tasks(
    part: &DestinationPlan,
    ledger: &Ledger,
    origin: &Origin,
    inventory: &Inventory,
    destination: &Destination,
    operation: Operation,
) -> Waiting {
    let drifted = part.drifted.iter().map(|drift| &drift.destination);
    let targets: HashSet<&SecretPath> = part.tasks.iter().map(|task| &task.destination).chain(drifted).collect();
    let origins: HashSet<&SecretPath> = part.tasks.iter().map(|task| &task.origin).collect();
    let listed =
        |path: &SecretPath, mounts: &[crate::kv::Mount]| mounts.iter().any(|mount| mount.as_str() == path.mount());
    let mut waiting = Waiting::default();
    let mut named = HashSet::new();
    for (path, entry) in ledger.iter().filter(|(_, entry)| entry.awaits_removal) {
        waiting.any = true;
        let takes_part = listed(&entry.origin, &origin.mounts)
            && listed(path, &destination.mounts)
            && origin.filter.admits(&entry.origin)
            && destination.filter.admits(&entry.origin);
        let is_settled = inventory.is_known(&entry.origin)
            && inventory.secrets.get(&entry.origin).is_none()
            && part.recorded.get(&entry.origin).is_none()
            && entry.foreign.is_none();
        let is_free = !targets.contains(path) && !origins.contains(&entry.origin);
        // one task for each secret of the origin: another copy of it is for the next cycle
        if !takes_part || !is_settled || !is_free || !named.insert(&entry.origin) {
            continue;
        }
        waiting.tasks.push(Task {
            operation,
            origin: entry.origin.clone(),
            destination: path.clone(),
            insight: None,
            rule: IDENTITY.into(),
            expected: Expected::Version(entry.version),
            source: Source::Origin,
        });
    }
    waiting
}

/// Asks the origin, by metadata alone, which of these secrets it can still give back.
async fn ask(origin: &OriginReader, most: usize, paths: Vec<SecretPath>) -> HashMap<SecretPath, AtOrigin> {
    let silent = Arc::new(AtomicUsize::new(0));
    let asked = stream::iter(paths).map(|path| {
        let silent = Arc::clone(&silent);
        async move {
            if silent.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
                return (path, AtOrigin::Unknown);
            }
            let answer = match origin.has_without_metadata(&path).await {
                Some(answer) => answer,
                None => origin.vault().metadata(&path).await.map(|metadata| is_recoverable(&metadata)),
            };
            let said = match answer {
                Ok(true) => AtOrigin::Recoverable,
                Ok(false) => AtOrigin::Gone,
                Err(error) if error.kind() == ErrorKind::NotFound => AtOrigin::Gone,
                Err(error) => {
                    tracing::debug!("the origin did not say whether it can be undeleted: {error}");
                    if error.kind() != ErrorKind::PermissionDenied {
                        silent.fetch_add(1, Ordering::Relaxed);
                    }
                    AtOrigin::Unknown
                }
            };
            (path, said)
        }
    });
    asked.buffer_unordered(most.max(1)).collect().await
}

impl Engine {
    /// Takes out of a plan that nobody confirms what cannot be taken back, at each destination where it is more than
    /// `max_purge` allows. Returns how many secrets may be destroyed or purged, for
    /// [`confirmed`](super::CycleOptions::confirmed).
    pub fn hold_back(&self, plan: &mut Plan) -> u64 {
        for part in &mut plan.destinations {
            let irrevocable = part.counts().irrevocable();
            let max_purge = self.destination(&part.destination).map(|destination| destination.max_purge);
            if max_purge.is_some_and(|most| irrevocable <= most.limit(part.taking_part)) {
                continue;
            }
            part.leaving_out(|part| part.tasks.retain(|task| !task.operation.is_irrevocable()));
            part.held_back = irrevocable;
        }
        plan.irrevocable()
    }
}

/// What is held back at a destination, in a sentence.
#[must_use]
pub fn held_back_in_words(destination: &DestinationName, held_back: u64) -> String {
    let secrets = if held_back == 1 { "1 secret".to_owned() } else { format!("{held_back} secrets") };
    format!(
        "{secrets} would be destroyed or purged for good, more than guards.max_purge allows without being asked: held back; \"vsync sync --destination {destination} --confirm-purge {held_back}\" does it, or raise max_purge"
    )
}
