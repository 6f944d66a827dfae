//! Destinations whose servers did not answer, or whose canaries are not as they should be: they are left out of rounds, and
//! tried again after growing pauses, so that they keep no other waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::engine::{DestinationName, Engine};

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(crate) struct Resting(HashMap<DestinationName, Rest>);

#[derive(Debug)]
struct Rest {
    /// What it answered, or why it did not.
    reason: String,
    pauses: u32,
    /// It is about its canaries.
    canaries: bool,
    until: Instant,
}

impl Resting {
    /// It did not answer, or its `canaries` are not as they should be, once more.
    pub(crate) fn add(&mut self, name: &DestinationName, reason: &str, canaries: bool) {
        let new = || Rest { reason: String::new(), pauses: 0, canaries, until: Instant::now() };
        let rest = self.0.entry(name.clone()).or_insert_with(new);
        // they are not seen to be well because the server is away
        rest.canaries |= canaries;
        reason.clone_into(&mut rest.reason);
        rest.until = Instant::now() + FIRST.saturating_mul(1 << rest.pauses.min(10)).min(LONGEST);
        rest.pauses += 1;
    }

    /// It did something.
    pub(crate) fn remove(&mut self, name: &DestinationName) {
        self.0.remove(name);
    }

    pub(crate) fn contains(&self, name: &DestinationName) -> bool {
        self.0.contains_key(name)
    }

    /// Whether its canaries want a look, even if nothing else is to be done there.
    pub(crate) fn wants_look(&self, name: &DestinationName) -> bool {
        self.0.get(name).is_some_and(|rest| rest.canaries)
    }

    /// What is wrong, if nothing is to be sent to it now.
    pub(crate) fn reason(&self, name: &DestinationName) -> Option<&str> {
        self.0.get(name).filter(|rest| rest.until > Instant::now()).map(|rest| rest.reason.as_str())
    }

    /// Asks those again of which it is time.
    pub(crate) async fn ask(&mut self, engine: &Engine) {
        let now = Instant::now();
        let due = self.0.iter().filter(|(_, rest)| rest.until <= now);
        let ask = due.map(|(name, rest)| async { (name.clone(), rest.reason.clone(), engine.is_well(name).await) });
        for (name, reason, well) in join_all(ask).await {
            if !well {
                self.add(&name, &reason, false);
            }
        }
    }
}

/// What is wrong with it, in words.
pub(crate) fn unreached(reason: &str, pending: u64) -> String {
    if pending > 0 { format!("{reason}; {pending} are pending until then") } else { reason.to_owned() }
}
