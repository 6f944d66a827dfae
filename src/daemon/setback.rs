//! Secrets that failed are not tried again at every tick, but after pauses that grow.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::engine::{Cause, DestinationName, DestinationPlan, DestinationReport, Task};
use crate::kv::SecretPath;
use crate::sync_info::Insight;

/// The first pause, if the tick is shorter.
const FIRST: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST: Duration = Duration::from_mins(10);

#[derive(Debug)]
struct Setback {
    /// What was to be copied: another one is tried at once.
    insight: Option<Insight>,
    cause: Cause,
    times: u32,
    not_before: Instant,
}

/// The failures that still stand, by destination.
#[derive(Debug, Default)]
pub(crate) struct Setbacks {
    failed: HashMap<DestinationName, HashMap<SecretPath, Setback>>,
}

impl Setbacks {
    /// Forgets failures of what is no longer to be done.
    pub(crate) fn prune(&mut self, part: &DestinationPlan) {
        let Some(failed) = self.failed.get_mut(&part.destination) else { return };
        let tasks: HashMap<&SecretPath, Option<Insight>> =
            part.tasks.iter().map(|task| (&task.origin, task.insight)).collect();
        failed.retain(|path, setback| tasks.get(path).is_some_and(|insight| *insight == setback.insight));
    }

    /// Whether a task has to wait.
    pub(crate) fn holds_back(&self, destination: &DestinationName, task: &Task) -> bool {
        let setback = self.failed.get(destination).and_then(|failed| failed.get(&task.origin));
        setback.is_some_and(|setback| setback.insight == task.insight && Instant::now() < setback.not_before)
    }

    /// Takes in what became of the tasks that were tried.
    pub(crate) fn fold(&mut self, report: &DestinationReport, tried: &HashSet<SecretPath>) {
        let now = Instant::now();
        let failed = self.failed.entry(report.destination.clone()).or_default();
        let failures: HashMap<&SecretPath, _> =
            report.failures.iter().map(|failure| (&failure.origin, failure)).collect();
        if report.pending == 0 {
            failed.retain(|path, _| !tried.contains(path) || failures.contains_key(path));
        }
        // what moved under the cycle's hands is another task by the next plan
        for (path, failure) in failures.into_iter().filter(|(_, failure)| failure.cause != Cause::Moved) {
            let times = failed.get(path).map_or(0, |setback| setback.times) + 1;
            let pause = FIRST.saturating_mul(1 << (times - 1).min(10)).min(LONGEST);
            let setback = Setback { insight: failure.insight, cause: failure.cause, times, not_before: now + pause };
            failed.insert(path.clone(), setback);
        }
    }

    /// How many have failed at a destination and why, the most frequent cause first. What somebody else wrote is no
    /// failure.
    pub(crate) fn causes(&self, destination: &DestinationName) -> Vec<(Cause, u64)> {
        let mut counts: Vec<(Cause, u64)> = Vec::new();
        for setback in self.of(destination).filter(|setback| !setback.cause.is_foreign()) {
            match counts.iter_mut().find(|(cause, _)| *cause == setback.cause) {
                Some((_, count)) => *count += 1,
                None => counts.push((setback.cause, 1)),
            }
        }
        counts.sort_by_key(|(cause, count)| (std::cmp::Reverse(*count), *cause));
        counts
    }

    /// How many met what somebody else wrote, of the one kind or the other.
    pub(crate) fn foreign(&self, destination: &DestinationName, cause: Cause) -> u64 {
        self.of(destination).filter(|setback| setback.cause == cause).count() as u64
    }

    fn of(&self, destination: &DestinationName) -> impl Iterator<Item = &Setback> {
        self.failed.get(destination).into_iter().flat_map(HashMap::values)
    }

    /// Since when the oldest of those that failed waits.
    pub(crate) fn oldest(&self, destination: &DestinationName) -> Option<Timestamp> {
        let setbacks = self.of(destination).filter(|setback| !setback.cause.is_foreign());
        setbacks.filter_map(|setback| Some(setback.insight?.update_time.timestamp())).min()
    }

    /// When the next of them may be tried again, of those that may not yet at this moment.
    pub(crate) fn next_after(&self, moment: Instant) -> Option<Instant> {
        let times = self.failed.values().flat_map(HashMap::values).map(|setback| setback.not_before);
        times.filter(|time| *time > moment).min()
    }
}
