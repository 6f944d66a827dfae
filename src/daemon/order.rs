//! What stands in the way of a destination because of others, or of secrets of its own that come first.

use std::collections::HashMap;

use super::{Resting, Setbacks};
use crate::engine::{DestinationName, Engine, Plan};

/// Which of these destinations have to wait, and what for. `plan` is the whole one, with what is held back.
pub(super) fn waiting(
    engine: &Engine,
    ours: &[DestinationName],
    plan: &Plan,
    setbacks: &Setbacks,
    resting: &Resting,
) -> HashMap<DestinationName, String> {
    let part = |name: &DestinationName| plan.destinations.iter().find(|part| part.destination == *name);
    let is_unclean = |name: &DestinationName| {
        resting.contains(name)
            || !setbacks.causes(name).is_empty()
            || part(name).is_some_and(|part| part.unavailable.is_some() || !part.objections.is_empty())
    };
    let unclean = ours.iter().filter(|name| is_unclean(name)).filter_map(|name| engine.destination(name));
    let unclean = unclean.min_by_key(|destination| destination.wave);
    let mut waiting = HashMap::new();
    for destination in ours.iter().filter_map(|name| engine.destination(name)) {
        let name = &destination.name;
        if let Some(unclean) = unclean.filter(|unclean| destination.wave > unclean.wave) {
            let (wave, culprit) = (unclean.wave, &unclean.name);
            let reason = format!("it waits until wave {wave} has ended without failures: {culprit} has not");
            waiting.insert(name.clone(), reason);
            continue;
        }
        let Some(canary) = &destination.canary else { continue };
        let failed = part(name).and_then(|part| {
            part.tasks.iter().find(|task| canary.admits(&task.origin) && setbacks.holds_back(name, task))
        });
        if let Some(failed) = failed {
            let reason = format!("it waits until {} has been copied: it is in canary, and failed", failed.origin);
            waiting.insert(name.clone(), reason);
        }
    }
    waiting
}
