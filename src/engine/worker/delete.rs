//! Taking a secret away at the destination, and making sure before that it is right to.

use super::conflict::may_have_been_done;
use super::{Abandoned, Worker};
use crate::engine::OnDrift;
use crate::engine::event::Step;
use crate::engine::on_delete::is_recoverable;
use crate::engine::plan::{Expected, Operation, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::vault::{ErrorKind, Metadata, VaultError};

/// How one attempt ended.
enum Tried {
    Ended(Done),
    /// It was not to be.
    Failed(Failed),
    /// The request that takes it away failed.
    Refused(VaultError),
}

enum Deletable {
    /// This version is there. 0: it could not be found out which.
    Version(u64),
    /// There is nothing to delete, or it is to stay.
    Not(Done),
}

impl Worker {
    /// Takes a secret away. Whenever that is tried again, it is looked at again first: meanwhile somebody else may have
    /// written what must not go with it.
    pub(super) async fn delete(&self, task: &Task) -> Result<Result<Done, Failed>, Abandoned> {
        let mut pauses = self.destination.pauses();
        loop {
            let error = match self.try_to_delete(task).await? {
                Tried::Ended(done) => return Ok(Ok(done)),
                Tried::Failed(failed) => return Ok(Err(failed)),
                Tried::Refused(error) => error,
            };
            let lost = may_have_been_done(error.kind());
            if lost || self.slot.attempts.get() > 1 {
                // should this fail in the end, it is not settled
                self.slot.doubt();
            }
            let is_worth_it = lost || matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Unavailable);
            let Some(pause) = pauses.next().filter(|_| is_worth_it) else {
                return Ok(Err(self.destination_reach.failed(&error)));
            };
            self.destination.note_pause(pause, &error);
            self.unless_stopped(tokio::time::sleep(pause)).await?;
        }
    }

    /// One attempt.
    async fn try_to_delete(&self, task: &Task) -> Result<Tried, Abandoned> {
        if !self.manner.undo
            && let Err(failed) = self.unless_stopped(self.make_sure_it_is_gone(task)).await?
        {
            // an earlier attempt may have taken it away all the same
            let done =
                if self.slot.is_doubtful() { self.unless_stopped(self.was_taken_away(task)).await? } else { None };
            return Ok(done.map_or(Tried::Failed(failed), Tried::Ended));
        }
        if task.operation.is_irrevocable() {
            return self.remove(task).await;
        }
        let version = match self.unless_stopped(self.deletable(task)).await? {
            Ok(Deletable::Version(version)) => version,
            Ok(Deletable::Not(done)) => return Ok(Tried::Ended(done)),
            Err(failed) => return Ok(Tried::Failed(failed)),
        };
        self.slot.step(Step::Deleting);
        let deleted = self.unless_unsent(self.destination.delete(&task.destination)).await?;
        Ok(match deleted {
            Ok(()) => {
                self.destination_reach.answered();
                let for_now = self.is_for_now(task, version);
                Tried::Ended(if for_now { Done::DeletedForNow { version } } else { Done::Deleted { version } })
            }
            Err(error) => Tried::Refused(error),
        })
    }

    /// What an attempt whose answer was lost has come to, if it can be seen that nothing is left to take away. What somebody
    /// else wrote since is left, and is for the next plan.
    async fn was_taken_away(&self, task: &Task) -> Option<Done> {
        let done = if task.operation.is_irrevocable() {
            match self.removable(task).await {
                Ok(Removable::Not(done)) => done,
                _ => return None,
            }
        } else {
            match self.deletable(task).await {
                Ok(Deletable::Not(done)) => done,
                _ => return None,
            }
        };
        (!matches!(done, Done::Kept { .. })).then_some(done)
    }

    /// Whether an earlier try of this task, whose answer was lost, has taken away this version.
    fn was_done(&self, task: &Task, version: u64) -> bool {
        self.slot.is_doubtful() && task.expected == Expected::Version(version)
    }

    /// Whether a soft delete of this version is not all that `on_delete` wants. What somebody else wrote is left at that.
    fn is_for_now(&self, task: &Task, version: u64) -> bool {
        let ours = match task.expected {
            Expected::Version(ours) => ours == version,
            Expected::Recorded => true,
        };
        !self.manner.undo && version > 0 && ours && self.manner.on_delete.irrevocable().is_some()
    }

    /// Destroys or purges what is there, if it can be seen that it is what vsync left.
    async fn remove(&self, task: &Task) -> Result<Tried, Abandoned> {
        let metadata = match self.unless_stopped(self.removable(task)).await? {
            Ok(Removable::Yes(metadata)) => metadata,
            Ok(Removable::Not(done)) => return Ok(Tried::Ended(done)),
            Err(failed) => return Ok(Tried::Failed(failed)),
        };
        let version = metadata.current_version;
        self.slot.step(Step::Deleting);
        let (answer, done) = if task.operation == Operation::Purge {
            (self.unless_unsent(self.destination.purge(&task.destination)).await?, Done::Purged { version })
        } else {
            let with_data = metadata.versions.iter().filter(|(_, version)| !version.destroyed);
            // a version that comes in between is not among them
            let versions: Vec<u64> = with_data.map(|(number, _)| *number).collect();
            (
                self.unless_unsent(self.destination.destroy(&task.destination, &versions)).await?,
                Done::Destroyed { version },
            )
        };
        Ok(match answer {
            Ok(()) => {
                self.destination_reach.answered();
                Tried::Ended(done)
            }
            Err(error) => Tried::Refused(error),
        })
    }

    /// Whether what is at the destination may be destroyed or purged. Where that cannot be seen, the answer is no,
    /// whatever is to be done about drift.
    async fn removable(&self, task: &Task) -> Result<Removable, Failed> {
        self.slot.step(Step::Deleting);
        let metadata = match self.at_destination(task).await {
            Ok(metadata) => metadata,
            Err(failed) if failed.cause == Cause::Permission => {
                let message = format!(
                    "{}; so it cannot be seen what would be lost, and nothing is destroyed: allow \"read\" on {}",
                    failed.message,
                    task.destination.metadata_path()
                );
                return Err(Failed { message, ..failed });
            }
            Err(failed) => return Err(failed),
        };
        let Some(metadata) = metadata else {
            return Ok(Removable::Not(match task.expected {
                Expected::Version(ours) if self.was_done(task, ours) && task.operation == Operation::Purge => {
                    Done::Purged { version: ours }
                }
                _ => Done::Absent { version: 0 },
            }));
        };
        let found = metadata.current_version;
        if self.queue.is_another(task, metadata.created_time) {
            // it was removed meanwhile, be it by us, and its versions are counted anew
            let Expected::Version(ours) = task.expected else { return Ok(Removable::Not(Done::Absent { version: 0 })) };
            return Ok(Removable::Not(if self.slot.is_doubtful() && task.operation == Operation::Purge {
                Done::Purged { version: ours }
            } else {
                Done::Absent { version: 0 }
            }));
        }
        if let Expected::Version(ours) = task.expected
            && ours != found
        {
            if self.manner.on_drift == OnDrift::Keep && !self.manner.exact && metadata.key_info().live {
                return Ok(Removable::Not(Done::Kept { before: ours, found, insight: None }));
            }
            let mut failed = super::conflict::drifted(task, found);
            failed.message.push_str("; what somebody else wrote is never destroyed");
            return Err(failed);
        }
        if task.operation == Operation::Destroy && !is_recoverable(&metadata) {
            let was_done = self.was_done(task, found);
            return Ok(Removable::Not(if was_done {
                Done::Destroyed { version: found }
            } else {
                Done::Absent { version: found }
            }));
        }
        Ok(Removable::Yes(metadata))
    }

    /// Asks the origin for the one secret that is about to be deleted at the destination. Listings can leave out what a
    /// policy hides; this answer cannot be misread.
    async fn make_sure_it_is_gone(&self, task: &Task) -> Result<(), Failed> {
        if let Some(answer) = self.origin.has_without_metadata(&task.origin).await {
            return match answer {
                Ok(true) => Err(self.still_there()),
                Ok(false) => Ok(()),
                Err(error) => Err(self.unconfirmed(&error)),
            };
        }
        match self.origin.vault().metadata(&task.origin).await {
            Ok(metadata) if metadata.key_info().live => Err(self.still_there()),
            Ok(metadata) if task.operation.is_irrevocable() && is_recoverable(&metadata) => {
                self.origin_reach.answered();
                let message =
                    "the origin still keeps a version that can be had again: nothing is destroyed before that is gone";
                Err(Failed::new(Cause::Moved, message))
            }
            // Whether a deletion time has passed is for the origin's clock to say. What is deleted gives no data away.
            Ok(metadata) if metadata.has_data() => match self.origin.read(&task.origin).await {
                Ok(_) => Err(self.still_there()),
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => Ok(()),
                Err(error) => Err(self.unconfirmed(&error)),
            },
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(self.unconfirmed(&error)),
        }
    }

    fn still_there(&self) -> Failed {
        self.origin_reach.answered();
        Failed::new(Cause::Moved, "the origin has it again, or its listing did not show it: not deleted")
    }

    fn unconfirmed(&self, error: &VaultError) -> Failed {
        let failed = self.origin_reach.failed(error);
        let message = format!("not deleted, because the origin did not confirm that it is gone: {}", failed.message);
        Failed { message, ..failed }
    }

    /// Whether what is at the destination may be deleted there: it is what vsync wrote.
    async fn deletable(&self, task: &Task) -> Result<Deletable, Failed> {
        self.slot.step(Step::Deleting);
        let metadata = match self.at_destination(task).await {
            Ok(metadata) => metadata,
            Err(failed) if failed.cause == Cause::Permission && self.manner.on_drift == OnDrift::Overwrite => {
                return Ok(Deletable::Version(match task.expected {
                    Expected::Version(ours) => ours,
                    Expected::Recorded => 0,
                }));
            }
            Err(failed) if failed.cause == Cause::Permission => return Err(super::perform::unseen(task, &failed)),
            Err(failed) => return Err(failed),
        };
        let Some(metadata) = metadata else { return Ok(Deletable::Not(Done::Absent { version: 0 })) };
        let found = metadata.current_version;
        if !metadata.key_info().live {
            let waits = self.is_for_now(task, found) && is_recoverable(&metadata);
            let done = match (waits, self.was_done(task, found)) {
                (true, true) => Done::DeletedForNow { version: found },
                (false, true) => Done::Deleted { version: found },
                (true, false) => Done::AbsentForNow { version: found },
                (false, false) => Done::Absent { version: found },
            };
            return Ok(Deletable::Not(done));
        }
        match task.expected {
            Expected::Version(ours) if ours != found => {
                let policy = if self.manner.exact { OnDrift::Report } else { self.manner.on_drift };
                match policy {
                    OnDrift::Overwrite => Ok(Deletable::Version(found)),
                    OnDrift::Keep => Ok(Deletable::Not(Done::Kept { before: ours, found, insight: None })),
                    OnDrift::Report => {
                        let mut failed = super::conflict::drifted(task, found);
                        if self.manner.interrupted && found == ours + 1 {
                            failed.message.push_str(", or a cycle of vsync that was cut off did");
                        }
                        Err(failed)
                    }
                }
            }
            _ => Ok(Deletable::Version(found)),
        }
    }
}

enum Removable {
    /// Yes, and this is what is there.
    Yes(Metadata),
    /// There is nothing to remove, or it is to stay.
    Not(Done),
}
