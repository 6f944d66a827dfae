//! What is known of what vsync did at a destination: by the store, and by the local journal.

use crate::engine::drift::Drift;
use crate::engine::plan::{DestinationPlan, Expected, Operation, Source, Task};
use crate::engine::report::CycleId;
use crate::engine::{Destination, OnDrift, OnExisting};
use crate::kv::SecretPath;
use crate::state::{Change, Journal, Ledger, LedgerEntry, State, StateError};
use crate::sync_info::{Insight, SyncInfo};

/// See the module's documentation.
pub(super) struct Known {
    pub(super) ledger: Ledger,
    ledger_as_stored: Ledger,
    journaled: Vec<(String, Change)>,
    /// What planning itself has found out, for the ledger of the next cycle.
    pub(super) noted: Vec<Change>,
    opened: bool,
}

impl Known {
    /// Reads the journal, and merges into `recorded` what the store does not have of it.
    pub(super) async fn of(
        state: &State,
        destination: &Destination,
        recorded: &mut SyncInfo,
    ) -> Result<Self, StateError> {
        let mut known = Self {
            ledger: Ledger::empty(),
            ledger_as_stored: Ledger::empty(),
            journaled: Vec::new(),
            noted: Vec::new(),
            opened: false,
        };
        let Some(folder) = &destination.journal else { return Ok(known) };
        let journal = Journal::new(folder, state);
        known.journaled = journal.read().map_err(|error| StateError {
            operation: "read",
            key: "the local journal".to_owned(),
            location: folder.display().to_string(),
            message: error.to_string(),
        })?;
        let paths: Vec<SecretPath> = known.journaled.iter().map(|(_, change)| change.destination.clone()).collect();
        known.load(state, paths).await?;
        for (_, change) in &known.journaled {
            change.merge(recorded, &mut known.ledger);
        }
        Ok(known)
    }

    /// Takes secrets that were left to somebody else by an earlier configuration back into what is to be copied.
    pub(super) async fn reconsider_kept(&mut self, state: &State, recorded: &mut SyncInfo) -> Result<(), StateError> {
        self.open(state).await?;
        self.ledger.load_all().await?;
        for (_, entry) in self.ledger.iter().filter(|(_, entry)| entry.foreign.is_some_and(|foreign| foreign.kept)) {
            if entry.version > 0 {
                recorded.insert(entry.origin.clone(), entry.insight);
            } else {
                recorded.remove(&entry.origin);
            }
        }
        Ok(())
    }

    /// Whether the journal has what the store has not.
    pub(super) fn has_journal(&self) -> bool {
        !self.journaled.is_empty()
    }

    /// The whole ledger.
    pub(super) async fn whole(&mut self, state: &State) -> Result<Ledger, StateError> {
        self.open(state).await?;
        self.ledger.load_all().await?;
        Ok(self.ledger.clone())
    }

    async fn open(&mut self, state: &State) -> Result<(), StateError> {
        if !self.opened {
            self.ledger_as_stored = Ledger::open(state).await?;
            self.ledger = self.ledger_as_stored.clone();
            self.opened = true;
        }
        Ok(())
    }

    /// Loads all that the store has.
    pub(super) async fn load_all(&mut self, state: &State) -> Result<(), StateError> {
        self.open(state).await?;
        self.ledger.load_all().await
    }

    /// Loads what the store has of these paths.
    pub(super) async fn load(&mut self, state: &State, paths: Vec<SecretPath>) -> Result<(), StateError> {
        if paths.is_empty() {
            return Ok(());
        }
        self.open(state).await?;
        self.ledger.load(&paths).await
    }

    /// Compares the tasks with the ledger: says what each must find at the destination, records what the ledger has as done,
    /// and sets aside what is known to have been changed by somebody else.
    pub(super) fn expect(&self, part: &mut DestinationPlan, destination: &Destination, again: bool) {
        let since = part.interrupted_cycle().map(CycleId::started);
        for mut task in std::mem::take(&mut part.tasks) {
            let entry = self.ledger.get(&task.destination);
            let ours = entry.filter(|entry| entry.version > 0);
            let is_purged = |entry: &LedgerEntry| entry.version == 0 && entry.deleted && entry.origin == task.origin;
            if task.operation.is_delete() && entry.is_some_and(is_purged) {
                // the record was cut off; what is there now is somebody else's
                part.recorded.remove(&task.origin);
                part.confirmed += 1;
                continue;
            }
            if task.operation.is_delete() && ours.is_some_and(|entry| entry.origin != task.origin) {
                // what is there now is another secret's copy
                part.recorded.remove(&task.origin);
                part.confirmed += 1;
                continue;
            }
            // a cycle that was cut off leaves a ledger that is ahead of the sync info by what it did itself
            if let Some(entry) = ours
                && since.is_some_and(|since| entry.at >= since)
                && entry.foreign.is_none()
                && task.source != Source::Metadata
                && is_done(&task, entry)
            {
                match task.operation {
                    Operation::Delete | Operation::Destroy | Operation::Purge => {
                        part.recorded.remove(&task.origin);
                    }
                    Operation::Add | Operation::Update => {
                        part.recorded.insert(task.origin, entry.insight);
                        part.in_sync += 1;
                    }
                }
                part.confirmed += 1;
                continue;
            }
            let recorded = part.recorded.get(&task.origin).copied();
            task.expected = match ours {
                _ if recorded.is_some_and(|recorded| was_taken_over(&task, ours, &recorded)) => Expected::Recorded,
                Some(entry) => Expected::Version(entry.version),
                None => Expected::Version(0),
            };
            let before = recorded.filter(|recorded| !recorded.is_in_doubt());
            let met = entry.and_then(|entry| entry.foreign.as_ref());
            // after a cycle that was cut off nobody knows what of it is whose
            let met = met.filter(|_| !again && since.is_none() && holds_back(&task, destination));
            match (met, task.insight.or(before).or(entry.map(|entry| entry.insight))) {
                (Some(foreign), Some(insight))
                    if task.operation.is_delete() || !insight.calls_for_copy(&foreign.insight) =>
                {
                    part.drifted.push(Drift {
                        origin: task.origin,
                        destination: task.destination,
                        operation: task.operation,
                        insight,
                        ours: ours.map_or(0, |entry| entry.version),
                        found: foreign.version,
                        kept: foreign.kept,
                    });
                }
                _ => part.tasks.push(task),
            }
        }
    }

    /// Notes what planning has found out.
    pub(super) fn note(&mut self, change: Change, recorded: &mut SyncInfo) {
        change.apply(recorded, &mut self.ledger);
        self.noted.push(change);
    }

    pub(super) fn give_to(self, part: &mut DestinationPlan) {
        part.ledger = self.ledger;
        part.ledger_as_stored = self.ledger_as_stored;
        part.journaled = self.journaled;
        part.noted = self.noted;
    }
}

pub(super) fn destinations_of(tasks: &[Task]) -> Vec<SecretPath> {
    tasks.iter().map(|task| task.destination.clone()).collect()
}

/// Whether a vsync without a ledger made the copy: its sync info says so, and the ledger has none, or an older one. A record
/// that is in doubt does not say that vsync wrote anything there, unless it says just that.
pub(in crate::engine) fn was_taken_over(task: &Task, entry: Option<&LedgerEntry>, recorded: &Insight) -> bool {
    if recorded.is_in_doubt() {
        return *recorded == Insight::TAKEN_OVER_IN_DOUBT;
    }
    let entry = entry.filter(|entry| entry.version > 0);
    entry.is_none_or(|entry| entry.origin != task.origin || entry.is_behind(recorded))
}

/// Whether the ledger has this very task as carried out.
fn is_done(task: &Task, entry: &LedgerEntry) -> bool {
    entry.origin == task.origin
        && match task.insight {
            Some(insight) => !entry.deleted && !insight.calls_for_copy(&entry.insight),
            None => entry.deleted,
        }
}

/// Whether the configuration leaves alone what somebody else wrote.
fn holds_back(task: &Task, destination: &Destination) -> bool {
    match task.expected {
        Expected::Version(0) => destination.on_existing != OnExisting::Overwrite,
        Expected::Version(_) => destination.on_drift != OnDrift::Overwrite,
        Expected::Recorded => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::DestinationName;
    use crate::engine::testing::{destination, insight, task};
    use crate::kv::Mount;
    use jiff::Timestamp;

    /// What a task must find at the destination.
    fn expected(recorded: Option<Insight>, left: Option<u64>, operation: Operation) -> Expected {
        let mut known = Known {
            ledger: Ledger::empty(),
            ledger_as_stored: Ledger::empty(),
            journaled: Vec::new(),
            noted: Vec::new(),
            opened: true,
        };
        let insight = if operation.is_delete() { None } else { Some(insight(3)) };
        let task = Task { operation, insight, ..task("a") };
        if let Some(version) = left {
            let entry = LedgerEntry {
                origin: task.origin.clone(),
                insight: crate::engine::testing::insight(2),
                version,
                deleted: false,
                awaits_removal: false,
                foreign: None,
                digest: None,
                at: Timestamp::now(),
            };
            known.ledger.insert(task.destination.clone(), entry);
        }
        let mut part = DestinationPlan::empty(DestinationName::new("there"));
        if let Some(recorded) = recorded {
            part.recorded.insert(task.origin.clone(), recorded);
        }
        part.tasks.push(task);
        known.expect(&mut part, &destination("there", &Mount::parse("secret").expect("a mount")), false);
        part.tasks.iter().next().expect("the task").expected
    }

    #[test]
    fn what_is_in_doubt_is_not_taken_for_what_a_vsync_without_ledger_wrote() {
        for operation in [Operation::Update, Operation::Delete, Operation::Purge] {
            assert_eq!(expected(Some(insight(2)), None, operation), Expected::Recorded);
            assert_eq!(expected(Some(Insight::IN_DOUBT), None, operation), Expected::Version(0), "{operation:?}");
            assert_eq!(expected(None, None, operation), Expected::Version(0));
            // what the ledger knows holds
            assert_eq!(expected(Some(Insight::IN_DOUBT), Some(7), operation), Expected::Version(7), "{operation:?}");
            // unless such a vsync had been there since
            for left in [None, Some(7)] {
                let taken_over = Some(Insight::TAKEN_OVER_IN_DOUBT);
                assert_eq!(expected(taken_over, left, operation), Expected::Recorded, "{operation:?}");
            }
        }
    }
}
