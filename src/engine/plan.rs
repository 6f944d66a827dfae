//! What a cycle would do: per destination the tasks, and the objections that stand against doing them.

mod build;
mod lacking;
mod objection;
#[cfg(test)]
mod properties;
mod tasks;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use build::{Remembered, build, land};
pub use objection::Objection;
pub use tasks::Tasks;

use super::binding::Binding;
use super::drift::Drift;
use super::fidelity::Fidelity;
use super::inventory::Inventory;
use super::mounts::NewMount;
use super::report::CycleId;
use crate::kv::SecretPath;
use crate::state::{Change, Ledger};
use crate::sync_info::{Index, Insight, SyncInfo};

/// The name of a destination in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DestinationName(Arc<str>);

impl DestinationName {
    /// A destination of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DestinationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is done to one secret at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It is not recorded there yet: write it.
    Add,
    /// The origin has a newer version: write it.
    Update,
    /// The origin no longer has it: soft-delete it.
    Delete,
    /// The origin no longer has it, nor can it be undeleted there: destroy the data of all versions. No way back.
    Destroy,
    /// As [`Operation::Destroy`], and the metadata goes, too.
    Purge,
}

impl Operation {
    /// Those that are counted apart, in the order they are shown; whatever deletes counts as a delete.
    pub const ALL: [Self; 3] = [Self::Add, Self::Update, Self::Delete];

    /// Whether it takes a secret away, in whichever way.
    #[must_use]
    pub fn is_delete(self) -> bool {
        matches!(self, Self::Delete | Self::Destroy | Self::Purge)
    }

    /// Whether nothing can take it back.
    #[must_use]
    pub fn is_irrevocable(self) -> bool {
        matches!(self, Self::Destroy | Self::Purge)
    }

    /// The one of [`Operation::ALL`] that it is counted with.
    #[must_use]
    pub fn counted_with(self) -> Self {
        if self.is_delete() { Self::Delete } else { self }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Destroy => "destroy",
            Self::Purge => "purge",
        }
    }

    /// The state of a secret for which this is to be done.
    #[must_use]
    pub fn state(self) -> SecretState {
        match self {
            Self::Add => SecretState::Add,
            Self::Update => SecretState::Update,
            Self::Delete | Self::Destroy | Self::Purge => SecretState::Delete,
        }
    }
}

/// How a secret stands at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretState {
    /// Equal, as far as is recorded.
    InSync,
    /// To add.
    Add,
    /// To update.
    Update,
    /// To delete.
    Delete,
    /// The last attempt failed.
    Failed,
    /// The destination changed behind vsync's back.
    Drifted,
    /// A glob leaves it out.
    Excluded,
    /// The origin could not be asked.
    Unknown,
}

impl SecretState {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 8] = [
        Self::InSync,
        Self::Add,
        Self::Update,
        Self::Delete,
        Self::Failed,
        Self::Drifted,
        Self::Excluded,
        Self::Unknown,
    ];

    /// The one symbol it has everywhere.
    #[must_use]
    pub fn symbol(self) -> char {
        match self {
            Self::InSync => '=',
            Self::Add => '+',
            Self::Update => '*',
            Self::Delete => '-',
            Self::Failed => '!',
            Self::Drifted => '~',
            Self::Excluded => '∅',
            Self::Unknown => '?',
        }
    }

    /// The words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "in sync",
            Self::Add => "to add",
            Self::Update => "to update",
            Self::Delete => "to delete",
            Self::Failed => "failed",
            Self::Drifted => "drifted",
            Self::Excluded => "excluded",
            Self::Unknown => "unknown",
        }
    }
}

/// What must be at the destination for a task to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// This version, as the ledger knows; 0: nothing.
    Version(u64),
    /// It was written by a vsync that kept no ledger, so whatever is there now.
    Recorded,
}

/// Where the data of a task comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The origin, as it is now.
    #[default]
    Origin,
    /// The origin, of which the metadata alone is copied: the value there is the one that was copied already.
    Metadata,
    /// An earlier version at the destination itself: an undo.
    Version(u64),
    /// Nothing is read: this version at the destination is made readable again. An undo of a delete.
    Undelete(u64),
}

/// One thing to do at one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// What to do.
    pub operation: Operation,
    /// The secret at the origin; the key in the sync info.
    pub origin: SecretPath,
    /// Where it goes.
    pub destination: SecretPath,
    /// The origin's insight when the plan was made; `None` for a delete.
    pub insight: Option<Insight>,
    /// The transform that decided on the destination path.
    pub rule: Arc<str>,
    /// What must be there.
    pub expected: Expected,
    /// Where the data comes from.
    pub source: Source,
}

/// How many of each operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCounts {
    /// Secrets to add, or added.
    pub add: u64,
    /// Secrets to update, or updated.
    pub update: u64,
    /// Secrets to delete, or deleted, in whichever way.
    pub delete: u64,
    /// Those among the deletes that destroy all versions.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub destroy: u64,
    /// Those among the deletes that leave nothing, no metadata either.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub purge: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl OperationCounts {
    /// One more of this operation.
    pub fn count(&mut self, operation: Operation) {
        match operation {
            Operation::Add => self.add += 1,
            Operation::Update => self.update += 1,
            Operation::Delete | Operation::Destroy | Operation::Purge => self.delete += 1,
        }
        self.destroy += u64::from(operation == Operation::Destroy);
        self.purge += u64::from(operation == Operation::Purge);
    }

    /// Those among the deletes that nothing can take back.
    #[must_use]
    pub fn irrevocable(&self) -> u64 {
        self.destroy + self.purge
    }

    /// The irrevocable ones in words (`3 destroyed and 2 purged`); `None` if there are none.
    #[must_use]
    pub fn irrevocable_in_words(&self) -> Option<String> {
        match (self.destroy, self.purge) {
            (0, 0) => None,
            (destroy, 0) => Some(format!("{destroy} destroyed")),
            (0, purge) => Some(format!("{purge} purged")),
            (destroy, purge) => Some(format!("{destroy} destroyed and {purge} purged")),
        }
    }

    /// The number for one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        match operation {
            Operation::Add => self.add,
            Operation::Update => self.update,
            Operation::Delete => self.delete,
            Operation::Destroy => self.destroy,
            Operation::Purge => self.purge,
        }
    }

    /// All operations together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.add + self.update + self.delete
    }
}

impl std::ops::AddAssign for OperationCounts {
    fn add_assign(&mut self, other: Self) {
        self.add += other.add;
        self.update += other.update;
        self.delete += other.delete;
        self.destroy += other.destroy;
        self.purge += other.purge;
    }
}

impl FromIterator<Operation> for OperationCounts {
    fn from_iter<I: IntoIterator<Item = Operation>>(operations: I) -> Self {
        operations.into_iter().fold(Self::default(), |mut counts, operation| {
            counts.count(operation);
            counts
        })
    }
}

/// The part of a plan for one destination.
#[derive(Debug, Clone)]
pub struct DestinationPlan {
    /// The destination.
    pub destination: DestinationName,
    /// How much of each secret is copied there.
    pub fidelity: Fidelity,
    /// What to do, sorted by origin path.
    pub tasks: Tasks,
    /// Secrets that are recorded as equal.
    pub in_sync: u64,
    /// Deletes that `on_delete = "ignore"` leaves out.
    pub deletes_ignored: u64,
    /// Secrets that are to be destroyed or purged, and were left out because nobody has confirmed it.
    pub held_back: u64,
    /// Secrets of the origin that a glob leaves out here, in order.
    pub excluded: Vec<SecretPath>,
    /// Secrets recorded here of which the origin could not say whether they still exist or are newer, and those that
    /// would be written over their copies, in order.
    pub unknown: Vec<SecretPath>,
    /// Secrets the origin no longer has whose destination path, the second, now belongs to another one: their record goes
    /// when that one is written.
    pub superseded: Vec<(SecretPath, SecretPath)>,
    /// How many recorded secrets go elsewhere since the transforms were changed: they are added at their new paths, and
    /// what was written to the former ones stays there.
    pub moved: u64,
    /// Secrets that are to be written or deleted, but that somebody else wrote: they are left alone. In order.
    pub drifted: Vec<Drift>,
    /// How many secrets the ledger has as copied though the sync info does not, because saving was once cut off: they are
    /// recorded by the next cycle.
    pub confirmed: u64,
    /// Mounts that are missing, and are created before the first write.
    pub new_mounts: Vec<NewMount>,
    /// Secrets that the transforms lead out of this destination's mounts, in order; there is an objection for them.
    pub unroutable: Vec<SecretPath>,
    /// How many recorded secrets take part: those that a full cycle could delete.
    pub(super) taking_part: u64,
    /// Why none of it may be done.
    pub objections: Vec<Objection>,
    /// The destination's sync info could not be read, so nothing can be planned. The reason.
    pub unavailable: Option<String>,
    /// What is recorded at the destination.
    pub(super) recorded: SyncInfo,
    /// The index it was stored under.
    pub(super) stored: Option<Index>,
    /// What the sync info belongs to from the next cycle on.
    pub(super) binding: Option<Binding>,
    /// What vsync did at the paths of the tasks, with what the local journal adds to it.
    pub(super) ledger: Ledger,
    /// The same as the store has it.
    pub(super) ledger_as_stored: Ledger,
    /// What the local journal says that the store does not know yet, with the cycles that did it.
    pub(super) journaled: Vec<(String, Change)>,
    /// What it belonged to before.
    pub(super) former_binding: Option<Binding>,
    /// Some of what there is to do was left out.
    pub(super) partial: bool,
    /// What planning itself has found out, and neither of them knows.
    pub(super) noted: Vec<Change>,
}

impl DestinationPlan {
    /// A part without tasks, because nothing is known of the destination.
    pub(super) fn unavailable(destination: DestinationName, reason: String) -> Self {
        Self {
            destination,
            fidelity: Fidelity::Value,
            tasks: Tasks::default(),
            in_sync: 0,
            deletes_ignored: 0,
            held_back: 0,
            excluded: Vec::new(),
            unknown: Vec::new(),
            superseded: Vec::new(),
            moved: 0,
            drifted: Vec::new(),
            confirmed: 0,
            new_mounts: Vec::new(),
            unroutable: Vec::new(),
            taking_part: 0,
            objections: Vec::new(),
            unavailable: Some(reason),
            recorded: SyncInfo::new(1),
            stored: None,
            binding: None,
            ledger: Ledger::empty(),
            ledger_as_stored: Ledger::empty(),
            journaled: Vec::new(),
            former_binding: None,
            partial: false,
            noted: Vec::new(),
        }
    }

    /// A part without tasks.
    pub(crate) fn empty(destination: DestinationName) -> Self {
        Self { unavailable: None, ..Self::unavailable(destination, String::new()) }
    }

    /// Lets `leave_out` take tasks away, and notes what that means for the rest.
    pub(super) fn leaving_out(&mut self, leave_out: impl FnOnce(&mut Self)) {
        let all: HashSet<SecretPath> = self.tasks.iter().map(|task| task.destination.clone()).collect();
        leave_out(self);
        let mut left_out = all;
        for task in &self.tasks {
            left_out.remove(&task.destination);
        }
        self.partial |= !left_out.is_empty();
        self.new_mounts.retain(|new| new.is_for(self.tasks.iter()));
        // a record goes when the path is written for its successor
        self.superseded.retain(|(_, target)| !left_out.contains(target));
    }

    /// How many of each operation.
    #[must_use]
    pub fn counts(&self) -> OperationCounts {
        self.tasks.counts()
    }

    /// Whether the destination answered, unsealed, when the plan was made. If not, the plan is one of what is recorded.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.binding.as_ref().is_none_or(|binding| binding.destination.answered)
    }

    /// Whether an earlier cycle found that somebody else wrote what is where this task writes or deletes.
    #[must_use]
    pub fn is_known_drift(&self, task: &Task) -> bool {
        self.ledger.get(&task.destination).is_some_and(|entry| entry.foreign.is_some())
    }

    /// The last cycle here, if it never said how it ended, so that what it wrote may not be recorded.
    pub(super) fn interrupted_cycle(&self) -> Option<CycleId> {
        self.binding.as_ref()?.open
    }

    /// Whether planning found records that are to be saved even if there is no task.
    #[must_use]
    pub fn has_unsaved_records(&self) -> bool {
        self.moved > 0 || self.confirmed > 0 || !self.journaled.is_empty() || !self.noted.is_empty()
    }

    /// Whether both are for one Vault.
    pub(super) fn is_at(&self, other: &Self) -> bool {
        match (&self.binding, &other.binding) {
            (Some(one), Some(other)) => one.destination.is(&other.destination),
            _ => false,
        }
    }

    /// What is recorded here of a secret of the origin: the insight it had when it was copied.
    #[must_use]
    pub fn recorded_insight(&self, origin: &SecretPath) -> Option<&Insight> {
        self.recorded.get(origin)
    }

    /// The number of secrets recorded at the destination before the cycle.
    #[must_use]
    pub fn recorded_len(&self) -> u64 {
        self.recorded.len() as u64
    }
}

/// What a cycle would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When it was made.
    pub created: Timestamp,
    /// What the origin held then, and what of it could not be read.
    pub inventory: Arc<Inventory>,
    /// One part per destination, in the configuration's order.
    pub destinations: Vec<DestinationPlan>,
}

impl Plan {
    /// Whether there is nothing to do anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.destinations.iter().all(|part| part.tasks.is_empty())
    }

    /// Whether planning found records that are worth a cycle even without a task: what earlier cycles did and could not
    /// save, or what now belongs elsewhere.
    #[must_use]
    pub fn has_unsaved_records(&self) -> bool {
        self.destinations.iter().any(DestinationPlan::has_unsaved_records)
    }

    /// How many of each operation, at all destinations.
    #[must_use]
    pub fn counts(&self) -> OperationCounts {
        self.destinations.iter().fold(OperationCounts::default(), |mut sum, part| {
            sum += part.counts();
            sum
        })
    }

    /// How many secrets would be destroyed or purged, at all destinations.
    #[must_use]
    pub fn irrevocable(&self) -> u64 {
        self.counts().irrevocable()
    }

    /// All objections with the destinations they concern.
    pub fn objections(&self) -> impl Iterator<Item = (&DestinationName, &Objection)> {
        self.destinations
            .iter()
            .flat_map(|part| part.objections.iter().map(move |objection| (&part.destination, objection)))
    }

    /// The part for one destination.
    #[must_use]
    pub fn destination(&self, name: &DestinationName) -> Option<&DestinationPlan> {
        self.destinations.iter().find(|part| part.destination == *name)
    }
}
