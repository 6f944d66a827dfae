//! The one HTTP client beneath Vault and Consul: TLS, timeouts, retry, rate limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How often the request under way has been sent; read by whoever watches, while it runs.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Attempts since [`Attempts::reset`].
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// One more attempt.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
