//! Which lines of a saved plan still hold.

use std::sync::Arc;

use jiff::Timestamp;

use super::Line;
use crate::engine::Fidelity;
use crate::engine::inventory::Inventory;
use crate::engine::plan::{DestinationName, DestinationPlan, Expected, Source, Task};
use crate::engine::report::{Cause, Failure};
use crate::sync_info::Insight;

/// A line of a saved plan that no longer holds and is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaleLine {
    /// The destination.
    pub destination: DestinationName,
    /// The line, and why not; nothing was sent for it.
    pub failure: Failure,
}

/// Why a line does not hold.
struct Reason {
    cause: Cause,
    message: String,
}

impl Reason {
    fn moved(message: impl Into<String>) -> Self {
        Self { cause: Cause::Moved, message: message.into() }
    }
}

/// What lines are held to.
pub(super) struct Approved<'a> {
    pub(super) inventory: &'a Inventory,
    /// How much of a secret the destination gets.
    pub(super) fidelity: Fidelity,
}

impl Approved<'_> {
    /// Leaves in a plan that was made just now only what the lines say too, held to the versions they name. Returns the lines
    /// that it does not have.
    pub(super) fn keep(&self, part: &mut DestinationPlan, lines: &[Line]) -> Vec<StaleLine> {
        let mut tasks = Vec::new();
        let mut stale = Vec::new();
        for line in lines {
            match self.judge(line, part) {
                Ok(task) => tasks.push(task),
                Err(Reason { cause, message }) => stale.push(StaleLine {
                    destination: part.destination.clone(),
                    failure: Failure {
                        operation: line.operation,
                        origin: line.origin.clone(),
                        destination: line.destination.clone(),
                        insight: line.insight,
                        cause,
                        message,
                        attempts: 0,
                        at: Timestamp::now(),
                        denied: None,
                    },
                }),
            }
        }
        tasks.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
        part.tasks = tasks.into();
        stale
    }

    fn judge(&self, line: &Line, part: &DestinationPlan) -> Result<Task, Reason> {
        let inventory = self.inventory;
        let Ok(at) = part.tasks.binary_search_by(|task| task.origin.cmp(&line.origin)) else {
            return known_drift(line, part).ok_or_else(|| not_planned(line, part, inventory));
        };
        let task = &part.tasks[at];
        match (line.insight, task.insight) {
            (None, Some(_)) => return Err(Reason::moved("the origin has it again")),
            (Some(_), None) => return Err(Reason::moved("the origin no longer has it")),
            (planned, present) if planned != present => return Err(Reason::moved(newer(planned, present))),
            _ => {}
        }
        let present = inventory.digests.get(&line.origin);
        if line.digest.is_some_and(|planned| {
            present.is_some_and(|present| {
                present.value != planned.value
                    || present.settings != planned.settings
                    || self.fidelity == Fidelity::History && present.versions != planned.versions
            })
        }) {
            return Err(Reason::moved("the origin changed its metadata after the plan"));
        }
        if task.destination != line.destination {
            return Err(Reason::moved(format!("it goes to {} now, by rule \"{}\"", task.destination, task.rule)));
        }
        match task.expected {
            Expected::Version(version) if version != line.expected && !is_known(line, part) => Err(Reason {
                cause: Cause::Drift,
                message: format!(
                    "{} is recorded there now, and the plan was made for {}",
                    says(version),
                    says(line.expected)
                ),
            }),
            _ if task.operation != line.operation => {
                Err(Reason::moved(format!("it is a secret to {} now", task.operation.as_str())))
            }
            _ => Ok(Task { expected: Expected::Version(line.expected), ..task.clone() }),
        }
    }
}

/// Whether the version that the line is to replace is one that somebody else is known to have written.
fn is_known(line: &Line, part: &DestinationPlan) -> bool {
    let foreign = part.ledger.get(&line.destination).and_then(|entry| entry.foreign.as_ref());
    foreign.is_some_and(|foreign| foreign.version == line.expected)
}

/// The task for a line that writes over what somebody else is known to have written: it names that very version.
fn known_drift(line: &Line, part: &DestinationPlan) -> Option<Task> {
    let at = part.drifted.binary_search_by(|drift| drift.origin.cmp(&line.origin)).ok()?;
    let drift = &part.drifted[at];
    let same = drift.found == line.expected
        && drift.destination == line.destination
        && drift.operation == line.operation
        && line.insight.is_none_or(|insight| insight == drift.insight);
    same.then(|| Task {
        operation: line.operation,
        origin: line.origin.clone(),
        destination: drift.destination.clone(),
        insight: line.insight,
        rule: Arc::clone(&line.rule),
        expected: Expected::Version(drift.found),
        source: Source::Origin,
    })
}

/// Why there is no task for a line.
fn not_planned(line: &Line, part: &DestinationPlan, inventory: &Inventory) -> Reason {
    let origin = &line.origin;
    if let Ok(at) = part.drifted.binary_search_by(|drift| drift.origin.cmp(origin)) {
        let drift = &part.drifted[at];
        return Reason { cause: drift.cause(), message: drift.message() };
    }
    let shown = origin.to_string();
    if let Some(subtree) = inventory.unknown.iter().find(|subtree| subtree.covers(&shown)) {
        return Reason::moved(format!("the origin could not be asked about it: {}", subtree.reason));
    }
    let excluded = |paths: &[_]| paths.binary_search(origin).is_ok();
    if excluded(&inventory.excluded) || excluded(&part.excluded) {
        return Reason::moved("the configuration leaves it out now");
    }
    let recorded = part.recorded.get(origin);
    match (line.operation, inventory.secrets.get(origin)) {
        (operation, Some(_)) if operation.is_delete() => Reason::moved("the origin has it again"),
        (operation, None) if operation.is_delete() && recorded.is_none() => Reason::moved("it is done already"),
        (operation, None) if operation.is_delete() => Reason::moved("the configuration no longer has it deleted"),
        (_, None) => Reason::moved("the origin no longer has it"),
        (_, Some(_)) if excluded(&part.unroutable) => {
            Reason::moved("the transforms lead it out of the destination's mounts now")
        }
        (_, Some(present)) if line.insight == Some(*present) => Reason::moved("it is done already"),
        (_, Some(present)) => Reason::moved(format!("{}, and it is done already", newer(line.insight, Some(*present)))),
    }
}

/// In which way the origin has moved.
fn newer(planned: Option<Insight>, present: Option<Insight>) -> String {
    match (planned, present) {
        (Some(planned), Some(present)) if planned.version == present.version => {
            format!("the origin changed it at {}, after the plan", present.update_time)
        }
        (Some(planned), Some(present)) => {
            format!("the origin has version {} now, and the plan was made for {}", present.version, planned.version)
        }
        _ => "the origin changed it".to_owned(),
    }
}

fn says(version: u64) -> String {
    if version == 0 { "no version".to_owned() } else { format!("version {version}") }
}
