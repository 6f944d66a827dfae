//! Carrying out one task.

use std::sync::Arc;
use std::time::Duration;

use super::conflict::may_have_been_done;
use super::{Abandoned, Worker, brief};
use crate::engine::OnDrift;
use crate::engine::event::Step;
use crate::engine::plan::{Expected, Operation, Source, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{ErrorKind, Metadata, Secret, VaultError};

/// How often a worker that is to stop looks whether its request has left a trace.
const GLANCE: Duration = Duration::from_millis(100);
/// How long a server may take to answer once the cycle was stopped, or the server given up.
const LAST_WORD: Duration = Duration::from_secs(10);

impl Worker {
    pub(super) async fn perform(&self, task: &Task) -> Result<Result<Done, Failed>, Abandoned> {
        // Stopping may cut off whatever leaves no trace at the destination; a write that has begun is finished.
        if self.manner.dry_run {
            self.slot.step(Step::Checking);
            return self.unless_stopped(self.check(task)).await;
        }
        if let Source::Undelete(version) = task.source {
            return self.unless_unsent(self.undelete(task, version)).await;
        }
        match task.operation {
            Operation::Add | Operation::Update => {
                let (secret, insight, cas) = match self.unless_stopped(self.read(task)).await? {
                    Ok(read) => read,
                    Err(failed) => return Ok(Err(failed)),
                };
                if let Some(version) = self.unless_stopped(self.holds_already(task, &secret, cas)).await? {
                    return Ok(Ok(Done::Adopted { insight, before: version, version }));
                }
                self.unless_unsent(self.write(task, insight, &secret.data, cas)).await
            }
            Operation::Delete | Operation::Destroy | Operation::Purge => self.delete(task).await,
        }
    }

    pub(super) async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Abandoned),
            done = work => Ok(done),
        }
    }

    /// Finishes what may have left a trace at the destination, as [`Self::within_the_last_word`]; what still waits to be
    /// sent there is given up.
    pub(super) async fn unless_unsent<T>(&self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        let unsent = async {
            self.stop.cancelled().await;
            // it may turn out to have been refused
            while self.slot.attempts.left_a_trace() {
                tokio::time::sleep(GLANCE).await;
            }
        };
        tokio::select! {
            biased;
            done = self.within_the_last_word(work) => done,
            () = unsent => Err(Abandoned),
        }
    }

    /// Finishes what has begun, unless it takes too long once it is to stop: then the next cycle finds out what came of it.
    pub(super) async fn within_the_last_word<T>(&self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        let last_word = async {
            self.stop.cancelled().await;
            tokio::time::sleep(LAST_WORD).await;
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = last_word => {
                self.slot.doubt();
                Err(Abandoned)
            }
        }
    }

    /// What is to be written, the insight it belongs to, and the version it is to replace (`None`: whichever).
    pub(super) async fn read(&self, task: &Task) -> Result<(Arc<Secret>, Insight, Option<u64>), Failed> {
        let (secret, insight) = if let Source::Version(version) = task.source {
            let earlier = self.destination.read_version(&task.destination, version).await;
            let secret = earlier.map_err(|error| self.destination_reach.failed(&error))?;
            self.destination_reach.answered();
            let insight = task.insight.unwrap_or_else(|| secret.insight());
            (Arc::new(secret), insight)
        } else {
            let secret = self.read_origin(task).await?;
            let planned = task.insight.filter(|planned| is_of(planned, &secret));
            if self.manner.exact && planned.is_none() {
                let message = match task.insight {
                    Some(Insight { kind: EngineKind::KvV1, .. }) => {
                        "the origin has another value by now than when the plan was made".to_owned()
                    }
                    Some(Insight { version, .. }) => {
                        format!(
                            "the origin has version {} by now, and the plan is for version {version}",
                            secret.version
                        )
                    }
                    None => "the plan does not say for which version it is".to_owned(),
                };
                return Err(Failed::new(Cause::Moved, message));
            }
            // the plan's insight, unless the origin has moved on since
            let insight = planned.unwrap_or_else(|| secret.insight());
            (secret, insight)
        };
        let cas = match task.expected {
            Expected::Version(version) => Some(version),
            Expected::Recorded => self.present_version(task).await?,
        };
        Ok((secret, insight, cas))
    }

    /// The destination's version of a secret that was recorded without a ledger: whichever is there was written by such
    /// a vsync. `None` if it cannot be found out, and need not be.
    async fn present_version(&self, task: &Task) -> Result<Option<u64>, Failed> {
        match self.at_destination(task).await {
            Ok(metadata) => Ok(Some(metadata.map_or(0, |metadata| metadata.current_version))),
            Err(failed) if failed.cause != Cause::Permission => Err(failed),
            Err(_) if self.manner.on_drift == OnDrift::Overwrite => Ok(None),
            Err(failed) => Err(unseen(task, &failed)),
        }
    }

    /// The destination's metadata of the task's secret; `None` if there is nothing.
    pub(super) async fn at_destination(&self, task: &Task) -> Result<Option<Metadata>, Failed> {
        match self.destination.metadata(&task.destination).await {
            Ok(metadata) => {
                self.destination_reach.answered();
                Ok(Some(metadata))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.destination_reach.answered();
                Ok(None)
            }
            Err(error) => Err(self.destination_reach.failed(&error)),
        }
    }

    /// Whether the value may be equal, although something has changed.
    pub(super) fn may_be_equal(&self, task: &Task) -> bool {
        self.perhaps_equal.contains(&task.origin)
    }

    /// The version at the destination if it holds just what is to be written, and it is only a guess that it does not.
    /// Whatever stands in the way, writing will meet it.
    pub(super) async fn holds_already(&self, task: &Task, secret: &Secret, cas: Option<u64>) -> Option<u64> {
        let version = cas.filter(|version| *version > 0)?;
        if task.operation != Operation::Update || task.source != Source::Origin || !self.may_be_equal(task) {
            return None;
        }
        let there = self.destination.read(&task.destination).await.ok()?;
        self.destination_reach.answered();
        (there.version == version && there.data.has_same_values(&secret.data)).then_some(version)
    }

    pub(super) fn unreadable(&self, error: &VaultError) -> Failed {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) {
            self.origin_reach.answered();
            let message = format!("{}; it was there when the plan was made", brief(error));
            return Failed::new(Cause::Moved, message);
        }
        self.origin_reach.failed(error)
    }

    async fn undelete(&self, task: &Task, version: u64) -> Result<Done, Failed> {
        self.slot.step(Step::Writing);
        let metadata = self.at_destination(task).await?;
        let found = metadata.as_ref().map_or(0, |metadata| metadata.current_version);
        if task.expected != Expected::Version(found) {
            return Err(super::conflict::drifted(task, found));
        }
        // the server says yes to undeleting what is destroyed, too
        if metadata.is_none_or(|metadata| metadata.versions.get(&version).is_none_or(|version| version.destroyed)) {
            let message = format!("version {version} is destroyed by now, so nothing can bring it back");
            return Err(Failed::new(Cause::Moved, message));
        }
        // how often this was looked at says nothing about what follows
        self.slot.attempts.reset();
        match self.destination.undelete(&task.destination, &[version]).await {
            Ok(()) => {
                self.destination_reach.answered();
                Ok(Done::Restored { version })
            }
            Err(error) => {
                // attempts whose answers were lost may have been carried out, whatever the last one was told
                let unsettled = may_have_been_done(error.kind()) || self.slot.attempts.get() > 1;
                Err(Failed { unsettled, ..self.destination_reach.failed(&error) })
            }
        }
    }
}

/// The failure that says that nobody can tell whose what is there is.
pub(super) fn unseen(task: &Task, failed: &Failed) -> Failed {
    let message = format!(
        "{}; so it cannot be told whether somebody has changed it since vsync wrote it: allow \"read\" on {}, or set on_drift = \"overwrite\"",
        failed.message,
        task.destination.metadata_path()
    );
    Failed { message, ..failed.clone() }
}

/// Whether the insight is that of this very version. Its update time may be later than the version: metadata has one of
/// its own. Only of KV version 1, whose insights vsync makes, both must be the same.
fn is_of(insight: &Insight, secret: &Secret) -> bool {
    match secret.kind {
        EngineKind::KvV2 => insight.version == secret.version,
        EngineKind::KvV1 => *insight == secret.insight(),
    }
}
