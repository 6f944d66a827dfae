//! How fast tasks end.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Seconds that are remembered.
const HISTORY: usize = 120;
/// Seconds that the present rate is taken over.
const WINDOW: usize = 5;

/// Counts per second, the last two minutes.
#[derive(Debug)]
pub(super) struct Rate {
    started: Instant,
    /// Whole seconds that are behind us.
    seconds: VecDeque<u64>,
    passed: u64,
    current: u64,
}

impl Rate {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, seconds: VecDeque::with_capacity(HISTORY), passed: 0, current: 0 }
    }

    /// One more has ended at `now`.
    pub(super) fn count(&mut self, now: Instant) {
        self.advance(now);
        self.current += 1;
    }

    /// Closes the seconds that have passed.
    pub(super) fn advance(&mut self, now: Instant) {
        let second = now.duration_since(self.started).as_secs();
        while self.passed < second {
            if self.seconds.len() == HISTORY {
                self.seconds.pop_front();
            }
            self.seconds.push_back(std::mem::take(&mut self.current));
            self.passed += 1;
        }
    }

    /// Per second, over the last seconds and the one under way.
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are small")]
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let whole = self.seconds.len().min(WINDOW);
        let ended: u64 = self.seconds.iter().rev().take(whole).sum::<u64>() + self.current;
        let elapsed = now.duration_since(self.started).as_secs_f64() - self.passed as f64 + whole as f64;
        ended as f64 / elapsed.max(0.1)
    }

    /// The whole seconds, oldest first.
    pub(super) fn history(&self) -> Vec<u64> {
        self.seconds.iter().copied().collect()
    }

    /// How long `left` more will take; `None` while nothing moves.
    pub(super) fn eta(&self, left: u64, now: Instant) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let left = left as f64;
        Duration::try_from_secs_f64(left / self.per_second(now)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_apart() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::new(start);
        for millis in [100, 200, 1100, 3100] {
            rate.count(at(millis));
        }
        rate.advance(at(4000));
        assert_eq!(rate.history(), [2, 1, 0, 1]);
        assert!((rate.per_second(at(4000)) - 1.0).abs() < 0.01);
        assert_eq!(rate.eta(10, at(4000)).map(|eta| eta.as_secs()), Some(10));
    }

    #[test]
    fn nothing_moving_has_no_end() {
        let start = Instant::now();
        assert_eq!(Rate::new(start).eta(10, start + Duration::from_secs(1)), None);
    }
}
