//! The reports of cycles that never said how they ended, brought up to what the change log knows of them.

use std::collections::HashMap;

use crate::engine::plan::{DestinationName, Operation, OperationCounts};
use crate::engine::report::{CycleId, Ending};
use crate::engine::{Engine, EngineError};
use crate::kv::SecretPath;
use crate::state::{Change, ChangeKind, ChangeLog, State};

/// How many reports are looked at.
const LOOKED_AT: usize = 20;

/// Counts what such cycles did at destinations that are locked for this one: none of them can be at work any more.
pub(super) async fn amend(
    engine: &Engine,
    present: CycleId,
    locked: &HashMap<DestinationName, State>,
) -> Result<(), EngineError> {
    for mut report in engine.history(LOOKED_AT).await? {
        let is_over = report.destinations.iter().all(|part| locked.contains_key(&part.destination));
        if report.cycle == present || report.ending != Ending::Unfinished || !is_over {
            continue;
        }
        let mut amended = false;
        for part in &mut report.destinations {
            let Some(state) = locked.get(&part.destination) else { continue };
            let done = count(&ChangeLog::new(state).read(&report.cycle.to_string()).await?);
            if done.total() > part.done.total() {
                part.done = done;
                part.pending = part.planned.total().saturating_sub(done.total() + part.failures.len() as u64);
                amended = true;
            }
        }
        if amended {
            engine.keep_report(&report).await?;
        }
    }
    Ok(())
}

fn count(changes: &[Change]) -> OperationCounts {
    let mut newest: HashMap<&SecretPath, Operation> = HashMap::new();
    for change in changes {
        let operation = match change.kind {
            ChangeKind::Met => continue,
            ChangeKind::Destroyed => Operation::Destroy,
            ChangeKind::Purged => Operation::Purge,
            kind if kind.is_delete() => Operation::Delete,
            _ if change.insight_before.is_none() => Operation::Add,
            _ => Operation::Update,
        };
        // the same change may be there twice, once from the journal
        newest.entry(&change.destination).or_insert(operation);
    }
    newest.into_values().collect()
}
