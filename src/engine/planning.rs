//! Making a plan: what is remembered of each destination, compared with the inventory, and what stands against it.

mod first_look;
mod known;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

pub(super) use known::was_taken_over;

use known::Known;

use super::binding::{Binding, Place};
use super::inventory::Inventory;
use super::plan::{
    self, DestinationName, DestinationPlan, Objection, Operation, OperationCounts, Plan, Remembered, Task,
};
use super::{Destination, Engine, Fidelity, OnDrift, guard, mounts, on_delete};
use crate::kv::SecretPath;
use crate::state::{State, StateError, bucket_count};
use crate::sync_info::SyncInfo;

/// Turns for comparing the origin with a destination. Each thread that ever did it keeps memory of its own.
static COMPARISONS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, std::num::NonZero::get)));

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
        parts.iter().for_each(note);
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
        let doubt = former.as_ref().and_then(|former| former.doubt(origin, &place));
        let binding = Binding::new(origin.clone(), place, destination, former.as_ref());
        let mut remembered = self.remembered(&state, &inventory.secrets, destination, former.as_ref()).await?;
        let mut known = Known::of(&state, destination, &mut remembered.info).await?;
        let again = again || former.as_ref().is_some_and(|former| former.did_less(&binding));
        if again && destination.on_drift == OnDrift::Overwrite {
            known.reconsider_kept(&state, &mut remembered.info).await?;
        }
        if destination.fidelity != Fidelity::Value {
            remembered.ledger = Some(known.whole(&state).await?);
        }
        let (at_origin, at_inventory) = (self.origin().clone(), Arc::clone(inventory));
        let inventory = Arc::clone(inventory);
        let planned_for = destination.clone();
        // comparing a million secrets takes a second of pure computing: no more at once than there are cores
        let turn = COMPARISONS.acquire().await;
        let built = tokio::task::spawn_blocking(move || {
            plan::build(&at_origin, &inventory, &planned_for, remembered, loops_back)
        });
        let built = built.await;
        drop(turn);
        let mut part = match built {
            Ok(part) => part,
            Err(error) => return Ok(DestinationPlan::unavailable(destination.name.clone(), error.to_string())),
        };
        known.load(&state, known::destinations_of(&part.tasks)).await?;
        part.binding = Some(binding.clone());
        known.expect(&mut part, destination, again);
        if part.stored.is_none() && part.interrupted_cycle().is_none() && part.answered() && !again {
            first_look::set_aside_existing(&mut part, &mut known, destination).await;
        }
        let waiting = binding.awaits_removal && destination.on_delete.irrevocable().is_some();
        if waiting {
            known.load_all(&state).await?;
        }
        let waits = on_delete::decide(
            &mut part,
            &known.ledger,
            (self.origin(), &self.origin_reader()),
            &at_inventory,
            destination,
            waiting,
        )
        .await;
        if let Some(binding) = &mut part.binding {
            binding.awaits_removal = waits || (binding.awaits_removal && !waiting);
        }
        self.guard_deletes(&mut part, &at_inventory);
        // where nothing was ever recorded, no other server can be mistaken for the one that it was recorded of
        if part.stored.is_some() || known.has_journal() {
            part.objections.extend(former.iter().filter_map(|former| former.objection(&binding)));
            part.objections.extend(doubt);
        }
        if part.answered() {
            mounts::look(&mut part, self.origin(), destination).await;
        }
        part.former_binding = former;
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
            fidelity: destination.fidelity,
            recorded: info,
            stored: index,
            tasks: tasks.into(),
            ..DestinationPlan::empty(destination.name.clone())
        };
        let mut known = Known::of(&state, destination, &mut part.recorded).await?;
        known.load(&state, known::destinations_of(&part.tasks)).await?;
        part.objections.extend(former.iter().filter_map(|former| former.objection(&binding)));
        // nothing is routed here, so what is recorded is where the former transforms sent it
        part.former_binding.clone_from(&former);
        part.partial = true;
        let deletes = part.tasks.iter().any(|task| task.operation == Operation::Delete);
        let mut binding = binding.with_rules_of(former);
        binding.awaits_removal |= deletes && destination.on_delete.irrevocable().is_some();
        part.binding = Some(binding);
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
        Ok(Remembered { info, index, former, ledger: None })
    }

    /// The tasks of `plan` for which `keep` says so, with the guards checked anew.
    #[must_use]
    pub fn select(&self, plan: &Plan, keep: impl Fn(&DestinationName, &Task) -> bool) -> Plan {
        let mut selected = plan.clone();
        for part in &mut selected.destinations {
            let name = part.destination.clone();
            part.leaving_out(|part| part.tasks.retain(|task| keep(&name, task)));
            self.guard_deletes(part, &plan.inventory);
        }
        selected
    }
}

/// Tells the log how a destination stands.
fn note(part: &DestinationPlan) {
    let destination = part.destination.as_str();
    if let Some(reason) = &part.unavailable {
        tracing::warn!(destination, "no plan: {reason}");
        return;
    }
    for objection in &part.objections {
        tracing::warn!(destination, "a guard stands against the plan: {objection}");
    }
    let OperationCounts { add, update, delete, destroy, purge } = part.counts();
    let (in_sync, drifted, unknown) = (part.in_sync, part.drifted.len(), part.unknown.len());
    tracing::info!(destination, add, update, delete, destroy, purge, in_sync, drifted, unknown, "planned");
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
