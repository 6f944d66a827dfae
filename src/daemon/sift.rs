//! What of a plan is to be done now, where nobody is asked: in daemons and in the console's watch mode.

use std::collections::HashMap;

use jiff::Timestamp;

use super::order::waiting;
use super::resting::unreached;
use super::{Resting, Setbacks};
use crate::engine::{DestinationName, DestinationPlan, Engine, Plan};

/// A destination's part of a plan, without what failed a short while ago and what nobody has confirmed.
pub(crate) struct Sifted {
    pub(crate) part: DestinationPlan,
    /// How many tasks there are with those that are left out.
    pub(crate) all: u64,
    /// Since when the oldest of all changes has waited.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) verdict: Verdict,
}

/// Whether something is to be done there, and if not, why.
pub(crate) enum Verdict {
    /// Its state cannot be read, for this reason.
    Unreadable(String),
    /// Guards stand in the way, in these words.
    Guarded(String),
    /// There is nothing to do.
    Idle,
    /// It did not answer, or its canaries are not as they should be, and rests.
    Unreached(String),
    /// Others come first, or secrets of its own.
    Waiting(String),
    /// This is.
    Ready,
}

/// Sifts a plan. Returns it without its destinations, and the parts of those that are `ours`.
pub(crate) fn sift(
    engine: &Engine,
    mut plan: Plan,
    ours: &[DestinationName],
    setbacks: &mut Setbacks,
    resting: &mut Resting,
) -> (Plan, Vec<Sifted>) {
    for part in plan.destinations.iter().filter(|part| part.unavailable.is_none()) {
        setbacks.prune(part);
    }
    let before: HashMap<DestinationName, (u64, Option<Timestamp>)> = plan
        .destinations
        .iter()
        .map(|part| (part.destination.clone(), (part.tasks.len() as u64, oldest(part))))
        .collect();
    let waiting = waiting(engine, ours, &plan, setbacks, resting);
    let held_back = |name: &DestinationName, task: &_| setbacks.holds_back(name, task);
    if plan.destinations.iter().any(|part| part.tasks.iter().any(|task| held_back(&part.destination, task))) {
        plan = engine.select(&plan, |name, task| !held_back(name, task));
    }
    // what nobody can take back is done only as far as the configuration says
    engine.hold_back(&mut plan);
    let parts = std::mem::take(&mut plan.destinations).into_iter().filter(|part| ours.contains(&part.destination));
    let sifted = parts.map(|part| {
        let name = &part.destination;
        let (all, oldest) = before.get(name).copied().unwrap_or_default();
        let verdict = if let Some(reason) = &part.unavailable {
            Verdict::Unreadable(format!("its state cannot be read: {reason}"))
        } else if !part.objections.is_empty() {
            let reasons: Vec<String> = part.objections.iter().map(ToString::to_string).collect();
            Verdict::Guarded(reasons.join("; "))
        } else if part.tasks.is_empty() && !part.has_unsaved_records() && !resting.wants_look(name) {
            resting.remove(name);
            Verdict::Idle
        } else if let Some(reason) = resting.reason(name) {
            Verdict::Unreached(unreached(reason, all))
        } else if let Some(reason) = waiting.get(name) {
            Verdict::Waiting(reason.clone())
        } else {
            Verdict::Ready
        };
        Sifted { part, all, oldest, verdict }
    });
    let mut sifted: Vec<Sifted> = sifted.collect();
    look_before_later_waves(engine, &mut sifted);
    (plan, sifted)
}

/// A later wave begins only if what an earlier one has left of its canaries is as it should be, even if nothing else is to
/// be done there: the cycle sees to it.
fn look_before_later_waves(engine: &Engine, sifted: &mut [Sifted]) {
    let is_ready = |one: &&Sifted| matches!(one.verdict, Verdict::Ready);
    let ready = sifted.iter().filter(is_ready).filter_map(|one| engine.destination(&one.part.destination));
    let Some(last) = ready.map(|destination| destination.wave).max() else { return };
    for one in sifted.iter_mut().filter(|one| matches!(one.verdict, Verdict::Idle)) {
        let destination = engine.destination(&one.part.destination);
        if destination.is_some_and(|destination| destination.canary.is_some() && destination.wave < last) {
            one.verdict = Verdict::Ready;
        }
    }
}

fn oldest(part: &DestinationPlan) -> Option<Timestamp> {
    part.tasks.iter().filter_map(|task| Some(task.insight?.update_time.timestamp())).min()
}
