//! Undoing a cycle: a plan that puts destinations back to what they held before, from their own version history.
//!
//! ```text
//!   what the cycle changed ─┐
//!                           ├─▶ per secret: delete, write an older version again, undelete: a plan like any other
//!   what is there now ──────┘               or a reason why it cannot be put back
//! ```
//!
//! What somebody, or a later cycle, has changed since is left as it is. Nothing is written before [`Engine::start`] gets
//! the plan; executing it is a cycle of its own, which can be undone in turn.

mod step;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use super::inventory::Inventory;
use super::plan::{DestinationPlan, Expected, Operation, Plan, Source, Task};
use super::transform::IDENTITY;
use super::{CycleId, Destination, DestinationName, Engine, EngineError, Report};
use crate::kv::{PathFilter, SecretPath};
use crate::state::{Change, ChangeKind, ChangeLog, Journal, Ledger, StateError};
use crate::sync_info::SyncInfo;
use crate::vault::ErrorKind;
use step::{Changed, Step, step};

const METADATA_STAYS: &str = "only its metadata was changed, and what it was before is not kept: set it right by hand";

/// How many undos of undos are followed.
const DEPTH: usize = 20;

/// What is undone of a cycle.
#[derive(Debug, Clone, Default)]
pub struct UndoOptions {
    /// The destinations; none: all.
    pub only: Vec<DestinationName>,
    /// Which secrets, by their origin's path.
    pub filter: PathFilter,
}

/// What undoing a cycle would do.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The cycle.
    pub cycle: CycleId,
    /// What to do, for [`Engine::start`] with [`undoes`](super::CycleOptions::undoes).
    pub plan: Plan,
    /// The rest, destination by destination, in the order of the plan's.
    pub parts: Vec<UndoPart>,
}

impl Undo {
    /// How many secrets cannot be put back.
    #[must_use]
    pub fn impossible(&self) -> u64 {
        self.parts.iter().map(|part| part.impossible.len() as u64).sum()
    }
}

/// What is not done at a destination.
#[derive(Debug, Clone)]
pub struct UndoPart {
    /// The destination.
    pub destination: DestinationName,
    /// How many secrets the cycle changed there, of those asked for. 0 also if what it changed is no longer recorded.
    pub changed: u64,
    /// Secrets that are as before already.
    pub already: u64,
    /// Secrets that the cycle dealt with without writing: it found them equal, or left somebody else's alone.
    pub untouched: u64,
    /// Secrets whose metadata the cycle brought in step. What it was before is not kept, so it stays as the cycle left it,
    /// whatever becomes of the value.
    pub metadata_stays: u64,
    /// What cannot be put back, by path at the destination.
    pub impossible: Vec<Impossible>,
}

/// A secret that cannot be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Where it lies at the destination.
    pub destination: SecretPath,
    /// Why.
    pub reason: String,
}

impl Engine {
    /// Plans how to put destinations back to what they held before `cycle`. Never fails: a destination that cannot be
    /// planned for is unavailable. Writes nothing, reads metadata only.
    pub async fn plan_undo(&self, cycle: CycleId, options: &UndoOptions) -> Undo {
        let only = &options.only;
        let chosen = self.destinations().iter().filter(|one| only.is_empty() || only.contains(&one.name));
        let planned = chosen.map(|destination| async {
            let mut part = UndoPart {
                destination: destination.name.clone(),
                changed: 0,
                already: 0,
                untouched: 0,
                metadata_stays: 0,
                impossible: Vec::new(),
            };
            let plan = self.plan_undo_at(cycle, destination, &options.filter, &mut part).await;
            let unavailable =
                |error: StateError| DestinationPlan::unavailable(destination.name.clone(), error.to_string());
            (plan.unwrap_or_else(unavailable), part)
        });
        let (destinations, parts) = join_all(planned).await.into_iter().unzip();
        // nobody asked the origin, so nothing is to be recorded of it
        let inventory = Inventory { recorded: true, ..Inventory::empty(1) };
        let plan = Plan { created: Timestamp::now(), inventory: Arc::new(inventory), destinations };
        Undo { cycle, plan, parts }
    }

    /// What a cycle changed at a destination, in order: nothing if it is not one of the newest 50 there.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDestination`], and [`EngineError::State`] when it cannot be read.
    pub async fn changes(&self, cycle: CycleId, destination: &DestinationName) -> Result<Vec<Change>, EngineError> {
        let state = self.destination_state(self.find(destination)?);
        Ok(ChangeLog::new(&state).read(&cycle.to_string()).await?)
    }

    /// Whether undoing this cycle brings back what the origin holds: it is the undo of one that copied it. Else the next
    /// cycle copies again what was taken back.
    ///
    /// # Errors
    /// [`EngineError::State`] when the store does not answer.
    pub async fn undo_brings_back(&self, mut undone: Option<Report>) -> Result<bool, EngineError> {
        let mut brings_back = false;
        for _ in 0..DEPTH {
            let Some(former) = undone.and_then(|report| report.undoes) else { break };
            brings_back = !brings_back;
            undone = self.report(former).await?;
        }
        Ok(brings_back)
    }

    async fn plan_undo_at(
        &self,
        cycle: CycleId,
        destination: &Destination,
        filter: &PathFilter,
        part: &mut UndoPart,
    ) -> Result<DestinationPlan, StateError> {
        let state = self.destination_state(destination);
        let id = cycle.to_string();
        let mut changes = ChangeLog::new(&state).read(&id).await?;
        let mut journaled = Vec::new();
        if let Some(folder) = &destination.journal {
            journaled = Journal::new(folder, &state).read().map_err(|error| StateError {
                operation: "read",
                key: "the local journal".to_owned(),
                location: folder.display().to_string(),
                message: error.to_string(),
            })?;
        }
        // what the store does not have yet; a change that is in both does no harm
        changes.extend(journaled.iter().filter(|(of, _)| *of == id).map(|(_, change)| change.clone()));
        changes.retain(|change| filter.admits(&change.origin));
        let mut wanted: BTreeMap<SecretPath, Changed> = BTreeMap::new();
        let mut untouched: Vec<&Change> = Vec::new();
        let mut metadata: Vec<&Change> = Vec::new();
        for change in &changes {
            if matches!(
                change.kind,
                ChangeKind::Written
                    | ChangeKind::Deleted
                    | ChangeKind::DeletedForNow
                    | ChangeKind::Destroyed
                    | ChangeKind::Purged
                    | ChangeKind::Restored
            ) {
                let first = || Changed::new(change);
                wanted.entry(change.destination.clone()).and_modify(|all| all.go_on(change)).or_insert_with(first);
            } else if change.kind == ChangeKind::Metadata {
                metadata.push(change);
            } else {
                untouched.push(change);
            }
        }
        metadata.retain(|change| !wanted.contains_key(&change.destination));
        part.changed = metadata.len() as u64;
        part.impossible.extend(metadata.into_iter().map(|change| Impossible {
            origin: change.origin.clone(),
            destination: change.destination.clone(),
            reason: METADATA_STAYS.to_owned(),
        }));
        untouched.retain(|change| !wanted.contains_key(&change.destination));
        part.untouched = untouched.len() as u64;
        part.changed += wanted.len() as u64;
        part.metadata_stays = changes.iter().filter(|change| change.digest.is_some()).count() as u64;
        let mut ledger = Ledger::open(&state).await?;
        ledger.load(wanted.keys().chain(journaled.iter().map(|(_, change)| &change.destination))).await?;
        for (_, change) in &journaled {
            change.merge(&mut SyncInfo::new(1), &mut ledger);
        }
        let looked = stream::iter(wanted).map(|(path, changed)| async move {
            let metadata = destination.vault.metadata(&path).await;
            (path, changed, metadata)
        });
        let mut looked = looked.buffer_unordered(destination.num_workers.max(1));
        let mut tasks = Vec::new();
        while let Some((path, changed, metadata)) = looked.next().await {
            let ours = ledger.get(&path).map(|entry| entry.version);
            let step = match metadata {
                Ok(metadata) => step(&changed, Some(&metadata), ours),
                Err(error) if error.kind() == ErrorKind::NotFound => step(&changed, None, ours),
                Err(error) => Step::Impossible(error.to_string()),
            };
            let (operation, source, version) = match step {
                Step::Delete(version) => (Operation::Delete, Source::Origin, version),
                Step::Write { version, over } => (Operation::Update, Source::Version(version), over),
                Step::Undelete(version) => (Operation::Add, Source::Undelete(version), version),
                Step::Already => {
                    part.already += 1;
                    continue;
                }
                Step::Impossible(reason) => {
                    let Changed { origin, .. } = changed;
                    part.impossible.push(Impossible { origin, destination: path, reason });
                    continue;
                }
            };
            let rule = destination.transforms.apply(&changed.origin).rule;
            tasks.push(Task {
                operation,
                rule: if operation == Operation::Delete { IDENTITY.into() } else { rule },
                origin: changed.origin,
                destination: path,
                // what was somebody else's is so again, and the next sync must not take it for its own
                insight: changed.insight_before.filter(|_| operation != Operation::Delete && !changed.over_foreign),
                expected: Expected::Version(version),
                source,
            });
        }
        part.impossible.sort_unstable_by(|one, other| one.destination.cmp(&other.destination));
        self.plan_tasks(destination, tasks).await
    }
}
