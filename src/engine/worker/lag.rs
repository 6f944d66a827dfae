//! Reading the origin where the node that answers may lag behind the one that was asked for the metadata: a performance
//! standby gets what was written a moment later.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Worker;
use crate::engine::plan::Task;
use crate::engine::report::{Cause, Failed};
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{ErrorKind, Secret, VaultError};

/// Pauses before a secret is read again; together not five seconds.
pub(super) const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_500),
    Duration::from_millis(1_900),
];

/// A secret that was changed longer ago than this is on every node: if it is not there, it is gone.
const RECENT: Duration = Duration::from_mins(10);

impl Worker {
    /// The origin's secret, at least as new as the plan says, read for all destinations that need it. The failure says so
    /// if the node that answers does not catch up in time.
    pub(super) async fn read_origin(&self, task: &Task) -> Result<Arc<Secret>, Failed> {
        let planned = planned(task);
        let read = self.reads.get(&task.origin, || self.read_patiently(task)).await;
        let secret = match (read, planned) {
            (Ok(secret), _) => secret,
            (Err(error), Some(planned)) if error.kind() == ErrorKind::NotFound && may_be_behind(&error, planned) => {
                let mut failed = self.unreadable(&error);
                failed.message.push_str(", so it is gone since, or the node that answers lags behind");
                return Err(failed);
            }
            (Err(error), _) => return Err(self.unreadable(&error)),
        };
        self.origin_reach.answered();
        match planned {
            Some(planned) if secret.version < planned.version => Err(lagging(secret.version, planned.version)),
            _ => Ok(secret),
        }
    }

    /// Reads again, with pauses, what is older than planned or not there. What is read last counts.
    async fn read_patiently(&self, task: &Task) -> Result<Secret, VaultError> {
        let (mut pauses, planned) = (PAUSES.iter(), planned(task));
        loop {
            let read = self.origin.read(&task.origin).await;
            let behind = match (&read, planned) {
                (Ok(secret), Some(planned)) => secret.version < planned.version,
                (Err(error), Some(planned)) => may_be_behind(error, planned) && !self.is_gone(task, planned).await,
                (_, None) => false,
            };
            let Some(pause) = pauses.next().filter(|_| behind) else { return read };
            tokio::time::sleep(*pause).await;
        }
    }

    /// Whether the planned version, or a later one, is known to be deleted.
    async fn is_gone(&self, task: &Task, planned: Insight) -> bool {
        let metadata = self.origin.vault().metadata(&task.origin).await;
        metadata.is_ok_and(|metadata| metadata.current_version >= planned.version && !metadata.key_info().live)
    }
}

/// What the server had when the plan was made. Versions of KV version 1 are vsync's own.
fn planned(task: &Task) -> Option<Insight> {
    task.insight.filter(|planned| planned.kind == EngineKind::KvV2)
}

pub(super) fn lagging(found: u64, planned: u64) -> Failed {
    let waited = PAUSES.iter().sum::<Duration>().as_secs_f64();
    let message = format!(
        "the origin's node that answers lags behind: after {waited} s it still has version {found}, and version {planned} was there when the plan was made"
    );
    Failed::new(Cause::Lagging, message)
}

fn may_be_behind(error: &VaultError, planned: Insight) -> bool {
    let age = Timestamp::now().duration_since(planned.update_time.timestamp());
    // clocks may differ: what is yet to come is recent, too
    let recent = Duration::try_from(age).map_or(true, |age| age < RECENT);
    recent && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_node_is_bounded() {
        assert!(PAUSES.iter().sum::<Duration>() < Duration::from_secs(5));
    }
}
