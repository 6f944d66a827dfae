//! Making a plan: what is remembered of each destination, compared with the inventory, and what stands against it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::binding::{Binding, PATIENCE, Place};
use super::drift::Drift;
use super::inventory::Inventory;
use super::plan::{self, DestinationName, DestinationPlan, Expected, Objection, Operation, Plan, Remembered, Task};
use super::{Destination, Engine, OnDrift, OnExisting, guard};
use crate::kv::{Mount, SecretPath};
use crate::state::{Change, Journal, Ledger, LedgerEntry, State, StateError, bucket_count};
use crate::sync_info::{Insight, SyncInfo};
use crate::vault::VaultClient;

/// What is planned for.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// The destinations; none: all.
    pub only: Vec<DestinationName>,
    /// Also try what is known to have drifted: somebody may have put it right, or the configuration says otherwise now.
    pub again: bool,
}

impl Engine {
    /// Compares the inventory with what is recorded at each destination, and checks the guards. Writes nothing.
    pub async fn plan(&self, inventory: Arc<Inventory>, options: &PlanOptions) -> Plan {
        let only = &options.only;
        let origin = Place::of(&self.origin().vault).await;
        let chosen = self.destinations().iter().filter(|one| only.is_empty() || only.contains(&one.name));
        let parts = chosen.map(|destination| async {
            match self.plan_destination(&inventory, &origin, destination, options.again).await {
                Ok(part) => part,
                Err(error) => DestinationPlan::unavailable(destination.name.clone(), error.to_string()),
            }
        });
        let mut parts = join_all(parts).await;
        share_no_paths(&mut parts);
        Plan { created: Timestamp::now(), inventory, destinations: parts }
    }

    async fn plan_destination(
        &self,
        inventory: &Arc<Inventory>,
        origin: &Place,
        destination: &Destination,
        again: bool,
    ) -> Result<DestinationPlan, StateError> {
        let state = self.destination_state(destination);
        let place = Place::of(&destination.vault).await;
        let loops_back = origin.is(&place);
        let former = load_binding(&state).await?;
        let binding = Binding::new(origin.clone(), place, destination, former.as_ref());
        let mut remembered = self.remembered(&state, &inventory.secrets, destination, former.as_ref()).await?;
        let mut known = Known::of(&state, destination, &mut remembered.info).await?;
        let (at_origin, at_inventory) = (self.origin().clone(), Arc::clone(inventory));
        let inventory = Arc::clone(inventory);
        let planned_for = destination.clone();
        // comparing a million secrets takes a second of pure computing
        let built = tokio::task::spawn_blocking(move || {
            plan::build(&at_origin, &inventory, &planned_for, remembered, loops_back)
        });
        let mut part = match built.await {
            Ok(part) => part,
            Err(error) => return Ok(DestinationPlan::unavailable(destination.name.clone(), error.to_string())),
        };
        known.load(&state, destinations_of(&part.tasks)).await?;
        let again = again || former.as_ref().is_some_and(|former| former.had_other_policies(&binding));
        part.binding = Some(binding.clone());
        expect(&mut part, &known, destination, again);
        self.guard_deletes(&mut part, &at_inventory);
        part.objections.extend(former.iter().filter_map(|former| former.objection(&binding)));
        part.objections.extend(unfit_mounts(&part, &destination.vault).await);
        known.give_to(&mut part);
        Ok(part)
    }

    /// A destination's part of a plan that consists of these tasks, whatever the origin holds.
    ///
    /// # Errors
    /// [`StateError`] when the destination's state cannot be read.
    pub(super) async fn plan_tasks(
        &self,
        destination: &Destination,
        mut tasks: Vec<Task>,
    ) -> Result<DestinationPlan, StateError> {
        let state = self.destination_state(destination);
        let former = load_binding(&state).await?;
        let (origin, place) = tokio::join!(Place::of(&self.origin().vault), Place::of(&destination.vault));
        let binding = Binding::new(origin, place, destination, former.as_ref());
        let nothing = SyncInfo::new(bucket_count(destination.num_buckets, None));
        let Remembered { info, index, .. } = self.remembered(&state, &nothing, destination, None).await?;
        tasks.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
        let mut part = DestinationPlan {
            recorded: info,
            stored: index,
            tasks,
            ..DestinationPlan::empty(destination.name.clone())
        };
        let mut known = Known::of(&state, destination, &mut part.recorded).await?;
        known.load(&state, destinations_of(&part.tasks)).await?;
        part.objections.extend(former.iter().filter_map(|former| former.objection(&binding)));
        // nothing is routed here, so what is recorded is where the former transforms sent it
        part.binding = Some(binding.with_rules_of(former));
        known.give_to(&mut part);
        Ok(part)
    }

    fn guard_deletes(&self, part: &mut DestinationPlan, inventory: &Inventory) {
        let max_delete = self.destination(&part.destination).map(|destination| destination.max_delete);
        part.objections.retain(|objection| !objection.is_about_deletes());
        part.objections.extend(guard::deletes(part, inventory, max_delete.unwrap_or_default()));
    }

    async fn remembered(
        &self,
        state: &State,
        like: &SyncInfo,
        destination: &Destination,
        former: Option<&Binding>,
    ) -> Result<Remembered, StateError> {
        let stored = state.load_sync_info(Some(like)).await?;
        let (info, index) = stored.map_or((None, None), |stored| (Some(stored.info), Some(stored.index)));
        let at_origin = like.buckets().len();
        let buckets = bucket_count(destination.num_buckets.or(Some(at_origin)), index.as_ref());
        let info = info.map_or_else(|| SyncInfo::new(buckets), |info| info.with_buckets(buckets));
        let former = former.and_then(|former| former.former_transforms(&destination.transforms));
        Ok(Remembered { info, index, former })
    }

    /// The tasks of `plan` for which `keep` says so, with the guards checked anew.
    #[must_use]
    pub fn select(&self, plan: &Plan, keep: impl Fn(&DestinationName, &Task) -> bool) -> Plan {
        let mut selected = plan.clone();
        for part in &mut selected.destinations {
            let name = part.destination.clone();
            part.tasks.retain(|task| keep(&name, task));
            // their successors may not be among the chosen
            part.superseded.clear();
            self.guard_deletes(part, &plan.inventory);
        }
        selected
    }
}

/// What is known of what vsync did at a destination: by the store, and by the local journal.
struct Known {
    ledger: Ledger,
    ledger_as_stored: Ledger,
    journaled: Vec<(String, Change)>,
    opened: bool,
}

impl Known {
    /// Reads the journal, and merges into `recorded` what the store does not have of it.
    async fn of(state: &State, destination: &Destination, recorded: &mut SyncInfo) -> Result<Self, StateError> {
        let mut known =
            Self { ledger: Ledger::empty(), ledger_as_stored: Ledger::empty(), journaled: Vec::new(), opened: false };
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

    /// Loads what the store has of these paths.
    async fn load(&mut self, state: &State, paths: Vec<SecretPath>) -> Result<(), StateError> {
        if paths.is_empty() {
            return Ok(());
        }
        if !self.opened {
            self.ledger_as_stored = Ledger::open(state).await?;
            self.ledger = self.ledger_as_stored.clone();
            self.opened = true;
        }
        self.ledger.load(&paths).await
    }

    fn give_to(self, part: &mut DestinationPlan) {
        part.ledger = self.ledger;
        part.ledger_as_stored = self.ledger_as_stored;
        part.journaled = self.journaled;
    }
}

fn destinations_of(tasks: &[Task]) -> Vec<SecretPath> {
    tasks.iter().map(|task| task.destination.clone()).collect()
}

/// Compares the tasks with the ledger: says what each must find at the destination, records what the ledger has as done,
/// and sets aside what is known to have been changed by somebody else.
fn expect(part: &mut DestinationPlan, known: &Known, destination: &Destination, again: bool) {
    let interrupted = part.was_interrupted();
    for mut task in std::mem::take(&mut part.tasks) {
        let entry = known.ledger.get(&task.destination);
        let ours = entry.filter(|entry| entry.version > 0);
        // only a cycle that was cut off leaves a ledger that is ahead of the sync info
        if let Some(entry) = ours
            && interrupted
            && entry.foreign.is_none()
            && is_done(&task, entry)
        {
            match task.operation {
                Operation::Delete => {
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
        let before = part.recorded.get(&task.origin).copied();
        task.expected = match ours {
            Some(entry) if before.is_some_and(|before| was_taken_over(&task, entry, &before)) => Expected::Recorded,
            Some(entry) => Expected::Version(entry.version),
            None if before.is_some() => Expected::Recorded,
            None => Expected::Version(0),
        };
        let met = entry.and_then(|entry| entry.foreign.as_ref()).filter(|_| !again && holds_back(&task, destination));
        match (met, task.insight.or(before)) {
            (Some(foreign), Some(insight))
                if task.operation == Operation::Delete || !insight.supersedes(&foreign.insight) =>
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

/// Whether a vsync without a ledger has copied a newer version since: its sync info says so.
fn was_taken_over(task: &Task, entry: &LedgerEntry, recorded: &Insight) -> bool {
    entry.foreign.is_none() && (entry.origin != task.origin || recorded.supersedes(&entry.insight))
}

/// Whether the ledger has this very task as carried out.
fn is_done(task: &Task, entry: &LedgerEntry) -> bool {
    entry.origin == task.origin
        && match task.insight {
            Some(insight) => !entry.deleted && !insight.supersedes(&entry.insight),
            None => entry.deleted,
        }
}

/// Whether the configuration leaves alone what somebody else wrote.
fn holds_back(task: &Task, destination: &Destination) -> bool {
    if task.expected == Expected::Version(0) {
        destination.on_existing != OnExisting::Overwrite
    } else {
        destination.on_drift != OnDrift::Overwrite
    }
}

pub(super) async fn load_binding(state: &State) -> Result<Option<Binding>, StateError> {
    let Some(bytes) = state.load_note().await? else { return Ok(None) };
    Binding::decode(&bytes).map(Some).map_err(|error| StateError {
        operation: "read",
        key: state.note_key().to_owned(),
        location: state.location(),
        message: error.to_string(),
    })
}

/// Objections against mounts that are to be written and say that they are something else than KV version 2. One that does
/// not say what it is may be fit all the same; the first write tells.
async fn unfit_mounts(part: &DestinationPlan, vault: &VaultClient) -> Vec<Objection> {
    let written = part.tasks.iter().filter(|task| task.operation != Operation::Delete);
    let mounts: BTreeSet<&str> = written.map(|task| task.destination.mount()).collect();
    let asked = mounts.into_iter().filter_map(|mount| Mount::parse(mount).ok()).map(|mount| async move {
        let info = tokio::time::timeout(PATIENCE, vault.mount_info(&mount)).await.ok()?.ok()?;
        let fit = info.engine == "kv" && info.kv_version == Some(2);
        (!fit).then(|| Objection::UnfitMount { mount: mount.to_string(), found: info.to_string() })
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Objects where two destinations are one Vault and would write the same paths: each would overwrite what the other wrote,
/// and delete what the other keeps.
fn share_no_paths(parts: &mut [DestinationPlan]) {
    for at in 1..parts.len() {
        let (before, rest) = parts.split_at_mut(at);
        let part = &mut rest[0];
        for other in before.iter() {
            if !part.is_at(other) {
                continue;
            }
            let theirs: HashSet<&SecretPath> = other.tasks.iter().map(|task| &task.destination).collect();
            let mut shared = part.tasks.iter().map(|task| &task.destination).filter(|path| theirs.contains(path));
            let first = shared.next().cloned();
            let count = 1 + shared.count() as u64;
            if let Some(path) = first {
                part.objections.push(Objection::SharedPath { path, other: other.destination.clone(), count });
            }
        }
    }
}
