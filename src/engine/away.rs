//! How long servers are waited for, and waiting for an origin that can do nothing before there is a cycle.

use std::time::{Duration, Instant};

use super::Engine;
use crate::vault::VaultClient;

/// How long a server that can do nothing is waited for, where neither `patience` nor `timeout` says so.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is asked how it is.
const ASK_EVERY: Duration = Duration::from_secs(1);

impl Engine {
    /// For how long a cycle waits for the origin: its `patience`, or the destinations' longest timeout, or two minutes.
    #[must_use]
    pub fn patience_with_origin(&self) -> Duration {
        let longest = || self.destinations().iter().filter_map(|one| one.timeout).max();
        // each destination may wait for as long as it says
        self.origin().patience.or_else(longest).unwrap_or(PATIENCE)
    }

    /// Waits while the origin is sealed or its cluster has no leader, for as long as there is patience with it; `told` is
    /// called once if so. One that does not answer at all is not waited for: its address may be wrong.
    ///
    /// # Errors
    /// What it still is when patience ends.
    pub async fn await_origin(&self, told: impl FnOnce(&str, Duration)) -> Result<(), String> {
        let patience = self.patience_with_origin();
        let begun = Instant::now();
        let mut told = Some(told);
        while let Some(obstacle) = passing_obstacle(&self.origin().vault).await {
            if begun.elapsed() >= patience {
                return Err(obstacle.to_owned());
            }
            if let Some(told) = told.take() {
                told(obstacle, patience);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }
}

/// What keeps a server that answers from doing anything, if somebody can be expected to see to it.
async fn passing_obstacle(server: &VaultClient) -> Option<&'static str> {
    let health = server.health().await.ok().filter(|health| health.initialized)?;
    match health.obstacle() {
        Some(obstacle) => Some(obstacle),
        None if health.standby && matches!(server.has_leader().await, Ok(false)) => Some("without a leader"),
        None => None,
    }
}
