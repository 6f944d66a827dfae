//! How fast tasks end, and how long each of them takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::engine::event::Latency;

/// Seconds that are remembered.
const HISTORY: usize = 120;
/// Seconds that the present figures are taken over.
const WINDOW: usize = 5;
/// So many durations of one second are kept: more do not make its percentiles truer.
const SAMPLES: usize = 4_096;

/// Counts and durations per second, the last two minutes.
#[derive(Debug)]
pub(super) struct Rate {
    started: Instant,
    /// Whole seconds that are behind us.
    seconds: VecDeque<u64>,
    passed: u64,
    current: u64,
    latencies: VecDeque<Latency>,
    /// How long tasks took, in microseconds: the last whole seconds, and the one under way at the end.
    samples: VecDeque<Vec<u32>>,
    /// Over all of them, as of the last whole second.
    latency: Latency,
}

impl Rate {
    pub(super) fn new(started: Instant) -> Self {
        Self {
            started,
            seconds: VecDeque::new(),
            passed: 0,
            current: 0,
            latencies: VecDeque::new(),
            samples: VecDeque::from([Vec::new()]),
            latency: Latency::default(),
        }
    }

    /// One more has ended at `now`, after so long; `None` if it was not tried.
    pub(super) fn count(&mut self, now: Instant, took: Option<Duration>) {
        self.advance(now);
        self.current += 1;
        if let (Some(took), Some(second)) = (took, self.samples.back_mut())
            && second.len() < SAMPLES
        {
            second.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        }
    }

    /// Closes the seconds that have passed.
    pub(super) fn advance(&mut self, now: Instant) {
        let second = now.duration_since(self.started).as_secs();
        // of a process that was asleep only the last seconds are of interest
        let asleep = second.saturating_sub(self.passed).saturating_sub(HISTORY as u64 + 1);
        self.passed += asleep;
        while self.passed < second {
            self.close();
        }
    }

    /// Nothing more comes: what the second under way has is told, too.
    pub(super) fn finish(&mut self, now: Instant) {
        self.advance(now);
        if self.current > 0 {
            self.close();
        }
    }

    fn close(&mut self) {
        remember(&mut self.seconds, std::mem::take(&mut self.current), HISTORY);
        let ended = self.samples.back().cloned().unwrap_or_default();
        remember(&mut self.latencies, percentiles(ended), HISTORY);
        self.latency = percentiles(self.samples.iter().flatten().copied().collect());
        remember(&mut self.samples, Vec::new(), WINDOW);
        self.passed += 1;
    }

    /// Per second, over the last seconds and the one under way.
    #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds are small")]
    pub(super) fn per_second(&self, now: Instant) -> f64 {
        let whole = self.seconds.len().min(WINDOW);
        let ended: u64 = self.seconds.iter().rev().take(whole).sum::<u64>() + self.current;
        // after the end the last second counts as a whole one
        let under_way = (now.duration_since(self.started).as_secs_f64() - self.passed as f64).max(0.0);
        ended as f64 / (under_way + whole as f64).max(0.1)
    }

    /// The whole seconds, oldest first.
    pub(super) fn history(&self) -> Vec<u64> {
        self.seconds.iter().copied().collect()
    }

    /// How long tasks took that ended in the last seconds.
    pub(super) fn latency(&self) -> Latency {
        if self.passed > 0 {
            return self.latency;
        }
        percentiles(self.samples.iter().flatten().copied().collect())
    }

    /// The same for each whole second, oldest first.
    pub(super) fn latency_history(&self) -> Vec<Latency> {
        self.latencies.iter().copied().collect()
    }

    /// How long `left` more will take; `None` while nothing moves.
    pub(super) fn eta(&self, left: u64, now: Instant) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let left = left as f64;
        Duration::try_from_secs_f64(left / self.per_second(now)).ok()
    }
}

fn remember<T>(list: &mut VecDeque<T>, one: T, most: usize) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(one);
}

fn percentiles(mut micros: Vec<u32>) -> Latency {
    if micros.is_empty() {
        return Latency::default();
    }
    let mut at = |percent: usize| {
        let rank = (micros.len() * percent).div_ceil(100).saturating_sub(1);
        Duration::from_micros(u64::from(*micros.select_nth_unstable(rank).1))
    };
    Latency { p50: at(50), p95: at(95) }
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
            rate.count(at(millis), None);
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

    #[test]
    fn latency_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let millis = Duration::from_millis;
        let mut rate = Rate::new(start);
        assert_eq!(rate.latency(), Latency::default());
        for took in 1..=100 {
            rate.count(at(10), Some(millis(took)));
        }
        rate.count(at(10), None);
        let hundred = Latency { p50: millis(50), p95: millis(95) };
        assert_eq!(rate.latency(), hundred, "what was not tried has taken no time");
        rate.count(at(1_500), Some(millis(7)));
        rate.advance(at(3_000));
        let seven = Latency { p50: millis(7), p95: millis(7) };
        assert_eq!(rate.latency_history(), [hundred, seven, Latency::default()]);
        assert_eq!(rate.latency().p95, millis(95));
        rate.advance(at(20_000));
        assert_eq!(rate.latency(), Latency::default(), "nothing has ended for long");
        rate.count(at(20_100), Some(millis(9)));
        rate.finish(at(20_200));
        assert_eq!(rate.latency().p50, millis(9));
        assert_eq!(rate.history().last(), Some(&1), "a short cycle has a course, too");
        rate.advance(start + Duration::from_hours(9));
        assert_eq!((rate.history().len(), rate.latency_history().len()), (HISTORY, HISTORY));
    }
}
