//! Destinations whose servers did not answer: they are left out of rounds, and asked again after growing pauses, so that
//! they keep no other waiting.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::engine::DestinationName;

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Resting(HashMap<DestinationName, Rest>);

#[derive(Debug)]
struct Rest {
    pauses: u32,
    until: Instant,
}

impl Resting {
    /// It did not answer, once more.
    pub(super) fn add(&mut self, name: &DestinationName) {
        let rest = self.0.entry(name.clone()).or_insert(Rest { pauses: 0, until: Instant::now() });
        rest.until = Instant::now() + FIRST.saturating_mul(1 << rest.pauses.min(10)).min(LONGEST);
        rest.pauses += 1;
    }

    /// It did something.
    pub(super) fn remove(&mut self, name: &DestinationName) {
        self.0.remove(name);
    }

    pub(super) fn contains(&self, name: &DestinationName) -> bool {
        self.0.contains_key(name)
    }

    /// Whether it had better be asked again.
    pub(super) fn is_due(&self, name: &DestinationName) -> bool {
        self.0.get(name).is_some_and(|rest| rest.until <= Instant::now())
    }
}
