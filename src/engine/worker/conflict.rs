//! Writing by check-and-set, and what to do when the destination holds something else than expected.

use super::Worker;
use crate::engine::event::Step;
use crate::engine::plan::{Expected, Source, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::engine::{OnDrift, OnExisting};
use crate::kv::SecretData;
use crate::sync_info::Insight;
use crate::vault::{ErrorKind, Secret};

/// How often a write is tried anew because the destination changed once more in between.
const TRIES: usize = 3;

/// What to do about a version that was not expected.
enum Verdict {
    /// A request of ours wrote it, and its answer was lost.
    Ours(u64),
    /// Somebody else wrote it, and it holds what was to be written.
    Same(u64),
    /// It stays as it is.
    Keep(u64),
    /// It is written over, whichever it is if that cannot be seen.
    Over(Option<u64>),
}

impl Worker {
    /// Writes, if the destination still holds version `cas` (`None`: whatever it holds).
    pub(super) async fn write(
        &self,
        task: &Task,
        insight: Insight,
        data: &SecretData,
        mut cas: Option<u64>,
    ) -> Result<Done, Failed> {
        for _ in 0..TRIES {
            self.slot.step(Step::Writing);
            let error = match self.destination.write(&task.destination, data, cas).await {
                Ok(written) => {
                    self.destination_reach.answered();
                    let before = cas.unwrap_or_else(|| written.version.saturating_sub(1));
                    return Ok(Done::Written { insight, before, version: written.version });
                }
                Err(error) => error,
            };
            let (ErrorKind::CheckAndSet, Some(expected)) = (error.kind(), cas) else {
                // attempts whose answers were lost may have been carried out, whatever the last one was told
                let unsettled = may_have_been_done(error.kind()) || self.slot.attempts.get() > 1;
                return Err(Failed { unsettled, ..self.destination_reach.failed(&error) });
            };
            self.destination_reach.answered();
            if self.slot.attempts.get() > 1 {
                // an earlier attempt of this very request may have been carried out
                self.slot.doubt();
            }
            // a write of a cycle that did not end properly may not have been recorded
            let doubtful = self.manner.interrupted || self.slot.is_doubtful();
            let verdict = self.judge(task, data, expected, doubtful).await;
            match verdict.map_err(|failed| Failed { unsettled: doubtful && failed.met.is_none(), ..failed })? {
                Verdict::Ours(version) => return Ok(Done::Written { insight, before: expected, version }),
                Verdict::Same(version) => return Ok(Done::Adopted { insight, before: expected, version }),
                Verdict::Keep(found) => return Ok(Done::Kept { before: expected, found, insight: Some(insight) }),
                Verdict::Over(found) => cas = found,
            }
        }
        Err(Failed::new(Cause::Conflict, "the destination changed again each time it was to be written"))
    }

    /// Looks at what is there instead of the expected version.
    async fn judge(&self, task: &Task, data: &SecretData, expected: u64, doubtful: bool) -> Result<Verdict, Failed> {
        let existing = expected == 0 && task.source == Source::Origin;
        // how often this is asked says nothing about the write
        self.slot.attempts.reset();
        let overwrites = !self.manner.exact
            && if existing {
                self.manner.on_existing == OnExisting::Overwrite
            } else {
                self.manner.on_drift == OnDrift::Overwrite
            };
        let metadata = match self.at_destination(task).await {
            Ok(metadata) => metadata,
            Err(failed) if failed.cause != Cause::Permission => return Err(failed),
            Err(_) if overwrites => return Ok(Verdict::Over(None)),
            Err(failed) => {
                let cause = if existing { Cause::Existing } else { Cause::Drift };
                let message = format!("something else is there, and it cannot be seen what: {}", failed.message);
                return Err(Failed::new(cause, message));
            }
        };
        let found = metadata.as_ref().map_or(0, |metadata| metadata.current_version);
        let live = metadata.is_some_and(|metadata| metadata.key_info().live);
        if !live && !self.manner.exact {
            // nobody can read it; what it was stays among the older versions
            return Ok(Verdict::Over(Some(found)));
        }
        let adopts = existing && !self.manner.exact && self.manner.on_existing == OnExisting::Adopt;
        // Equal values are no drift, whoever wrote them. What was there before vsync is only compared if that is wished.
        if live && (doubtful || adopts || expected > 0) {
            match self.destination.read(&task.destination).await {
                Ok(there) if there.version == found && there.data.has_same_values(data) => {
                    let ours = doubtful && found == expected + 1;
                    return Ok(if ours { Verdict::Ours(found) } else { Verdict::Same(found) });
                }
                Ok(there) if doubtful && self.was_at_origin(task, &there).await => {
                    return Ok(Verdict::Over(Some(found)));
                }
                Ok(_) if adopts => {
                    let mut failed = drifted(task, found);
                    failed.message.push_str(", and its value differs from the origin's");
                    return Err(failed);
                }
                Err(error) if adopts || error.kind() != ErrorKind::PermissionDenied => {
                    let failed = self.destination_reach.failed(&error);
                    let message = format!("it is there already, and could not be compared: {}", failed.message);
                    return Err(Failed { message, ..failed });
                }
                Ok(_) | Err(_) => {}
            }
        }
        if overwrites {
            return Ok(Verdict::Over(Some(found)));
        }
        if self.manner.on_drift == OnDrift::Keep && !existing && !self.manner.exact {
            return Ok(Verdict::Keep(found));
        }
        Err(drifted(task, found))
    }

    /// Whether the origin held these values a few versions ago: then a write of ours that was cut off may have put them
    /// there, and the origin has moved on since.
    async fn was_at_origin(&self, task: &Task, there: &Secret) -> bool {
        let Some(newest) = task.insight.map(|insight| insight.version) else { return false };
        self.origin.held_before(&task.origin, newest, &there.data).await
    }
}

/// The failure that says that somebody else wrote what is there.
pub(super) fn drifted(task: &Task, found: u64) -> Failed {
    let (cause, message) = match task.expected {
        Expected::Version(0) if task.source == Source::Origin => {
            (Cause::Existing, format!("version {found} is there already, and vsync never wrote it"))
        }
        Expected::Version(ours) if found == 0 => {
            (Cause::Drift, format!("nothing is there any more, and vsync left version {ours}"))
        }
        Expected::Version(ours) => {
            (Cause::Drift, format!("version {found} is there, and vsync left version {ours}: somebody else changed it"))
        }
        Expected::Recorded => (Cause::Drift, format!("version {found} was written there just now by somebody else")),
    };
    Failed { met: Some(found), ..Failed::new(cause, message) }
}

/// Whether a write that failed so may have been carried out all the same.
pub(super) fn may_have_been_done(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Server | ErrorKind::Protocol)
}
