//! How a request stands, for whoever watches it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the request under way has been sent; read by whoever watches, while it runs.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU32,
    refused: AtomicU32,
    /// When the attempt began that is under way.
    under_way: Mutex<Option<Instant>>,
}

impl Attempts {
    /// Attempts since [`Attempts::reset`].
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Whether a server may have done something of what it was asked to since [`Attempts::reset`]. What was not sent,
    /// or only refused, left no trace.
    #[must_use]
    pub fn left_a_trace(&self) -> bool {
        self.get() > self.0.refused.load(Ordering::Relaxed)
    }

    /// For how long an attempt has waited for its answer; nothing while none does, or it waits for its turn.
    #[must_use]
    pub fn unanswered_for(&self) -> Duration {
        self.under_way().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.0.sent.store(0, Ordering::Relaxed);
        self.0.refused.store(0, Ordering::Relaxed);
        *self.under_way() = None;
    }

    /// One more attempt.
    pub(super) fn count(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
        *self.under_way() = Some(Instant::now());
    }

    /// The attempt counted last has ended.
    pub(super) fn end(&self) {
        *self.under_way() = None;
    }

    fn under_way(&self) -> MutexGuard<'_, Option<Instant>> {
        // a moment, which a panic leaves as it is
        self.0.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt counted last was refused.
    pub(super) fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }
}
