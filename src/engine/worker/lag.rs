//! Reading the origin where the node that answers may lag behind the one that was asked for the metadata: a performance
//! standby gets what was written a moment later.

use std::time::Duration;

use jiff::Timestamp;

use super::{Worker, brief};
use crate::engine::plan::Task;
use crate::engine::report::{Cause, Failed};
use crate::sync_info::Insight;
use crate::vault::{ErrorKind, Secret, VaultError};

/// Pauses before a secret is read again; together not five seconds.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_500),
    Duration::from_millis(1_900),
];

/// A secret that was changed longer ago than this is on every node: if it is not there, it is gone.
const RECENT: Duration = Duration::from_mins(10);

/// What a node that lags behind answers.
enum Behind {
    /// This version, which is older than the planned one.
    Older(u64),
    /// That it has no such secret, or only a deleted one. So does a node that does not lag if the secret is gone since.
    Nothing(VaultError),
}

impl Worker {
    /// The origin's secret, at least as new as the plan says; the failure says so if the node that answers does not
    /// catch up in time.
    pub(super) async fn read_origin(&self, task: &Task) -> Result<Secret, Failed> {
        let mut pauses = PAUSES.iter();
        loop {
            let behind = match (self.origin.read(&task.origin).await, task.insight) {
                (Ok(secret), Some(planned)) if secret.version < planned.version => Behind::Older(secret.version),
                (Ok(secret), _) => {
                    self.origin_reach.answered();
                    return Ok(secret);
                }
                (Err(error), Some(planned)) if may_be_behind(&error, planned) => {
                    if self.is_gone(task, planned).await {
                        return Err(self.unreadable(&error));
                    }
                    Behind::Nothing(error)
                }
                (Err(error), _) => return Err(self.unreadable(&error)),
            };
            self.origin_reach.answered();
            let Some(pause) = pauses.next() else { return Err(self.behind(behind, task.insight)) };
            tokio::time::sleep(*pause).await;
        }
    }

    /// Whether the node knows the planned version, and that it is deleted.
    async fn is_gone(&self, task: &Task, planned: Insight) -> bool {
        let metadata = self.origin.metadata(&task.origin).await;
        metadata.is_ok_and(|metadata| metadata.current_version >= planned.version)
    }

    fn behind(&self, behind: Behind, planned: Option<Insight>) -> Failed {
        let waited = PAUSES.iter().sum::<Duration>().as_secs_f64();
        match behind {
            Behind::Older(version) => {
                let planned = planned.map_or(0, |planned| planned.version);
                let message = format!(
                    "the origin's node that answers lags behind: after {waited} s it still has version {version}, and version {planned} was there when the plan was made"
                );
                Failed::new(Cause::Lagging, message)
            }
            Behind::Nothing(error) => {
                let message = format!(
                    "{}; it was there when the plan was made, so it is gone since, or the node that answers lags behind by more than {waited} s",
                    brief(&error)
                );
                Failed::new(Cause::Moved, message)
            }
        }
    }
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
