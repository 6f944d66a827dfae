//! What a lane takes from its plan at the outset.

use std::collections::{HashMap, HashSet};

use crate::engine::plan::{DestinationPlan, Task};
use crate::engine::planning::was_taken_over;
use crate::engine::worker::{Brought, Manner};
use crate::kv::SecretPath;
use crate::sync_info::{EngineKind, Insight};

/// The secrets whose values need not have changed, although their insights have: a value of KV version 1 may have changed
/// back, what it was may no longer be recorded, or its mount became one of version 2. What a delete or an undo that was
/// cut off left may be any value. And where the version is the same and only the time differs, `OpenBao` has changed
/// metadata, or the secret was removed and written anew.
pub(super) fn perhaps_equal(plan: &DestinationPlan) -> HashSet<SecretPath> {
    let may_be_equal = |task: &&Task| {
        let (Some(now), Some(before)) = (task.insight, plan.recorded.get(&task.origin)) else { return false };
        let is_of_v1 = [now.kind, before.kind].contains(&EngineKind::KvV1);
        before.is_in_doubt() || is_of_v1 || now.version == before.version
    };
    plan.tasks.iter().filter(may_be_equal).map(|task| task.origin.clone()).collect()
}

/// The secrets of which nobody could tell, should the cycle be cut off, what came of their copies: what the origin has then
/// does not say it. And what is recorded of them meanwhile.
pub(super) fn doubts(plan: &DestinationPlan, tasks: &[Task], manner: Manner) -> HashMap<SecretPath, Insight> {
    if manner.dry_run {
        return HashMap::new();
    }
    let doubt = |task: &Task| {
        let recorded = plan.recorded.get(&task.origin);
        if !manner.undo && (!task.operation.is_delete() || recorded.is_none()) {
            return None;
        }
        let entry = plan.ledger.get(&task.destination);
        let taken_over = recorded.is_some_and(|recorded| was_taken_over(task, entry, recorded));
        let doubt = if taken_over { Insight::TAKEN_OVER_IN_DOUBT } else { Insight::IN_DOUBT };
        Some((task.origin.clone(), doubt))
    };
    tasks.iter().filter_map(doubt).collect()
}

pub(super) fn brought(plan: &DestinationPlan) -> Brought {
    let of = |task: &Task| Some((task.destination.clone(), plan.ledger.get(&task.destination)?.clone()));
    plan.tasks.iter().filter_map(of).collect()
}
