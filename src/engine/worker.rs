//! One worker: takes a task, reads the origin, writes or deletes at the destination, says what became of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Activity, Step, WorkerRow};
use super::plan::{DestinationName, Operation, Task};
use super::report::{Cause, Done, Failed, Outcome};
use crate::http::Attempts;
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{ErrorKind, VaultClient, VaultError};

/// A panic while a lock of this module is held leaves plain data behind it, so its poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tasks of one destination that no worker holds.
#[derive(Debug)]
pub(super) struct Queue(Mutex<VecDeque<Task>>);

impl Queue {
    pub(super) fn new(tasks: Vec<Task>) -> Self {
        Self(Mutex::new(tasks.into()))
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }

    fn take(&self) -> Option<Task> {
        lock(&self.0).pop_front()
    }

    fn give_back(&self, task: Task) {
        lock(&self.0).push_front(task);
    }
}

/// What a worker is at, for whoever looks.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: usize,
    destination: DestinationName,
    current: Mutex<Option<Current>>,
    attempts: Attempts,
    ended: AtomicU64,
}

#[derive(Debug)]
struct Current {
    task: Task,
    step: Step,
    since: Instant,
}

impl Slot {
    pub(super) fn new(number: usize, destination: DestinationName) -> Self {
        Self { number, destination, current: Mutex::default(), attempts: Attempts::default(), ended: AtomicU64::new(0) }
    }

    pub(super) fn row(&self) -> WorkerRow {
        let activity = lock(&self.current).as_ref().map(|current| Activity {
            operation: current.task.operation,
            step: current.step,
            origin: current.task.origin.clone(),
            destination: current.task.destination.clone(),
            elapsed: current.since.elapsed(),
            attempts: self.attempts.get(),
        });
        WorkerRow {
            number: self.number,
            destination: self.destination.clone(),
            activity,
            ended: self.ended.load(Ordering::Relaxed),
        }
    }

    fn begin(&self, task: &Task) {
        self.attempts.reset();
        *lock(&self.current) = Some(Current { task: task.clone(), step: Step::Reading, since: Instant::now() });
    }

    fn step(&self, step: Step) {
        self.attempts.reset();
        if let Some(current) = lock(&self.current).as_mut() {
            current.step = step;
        }
    }

    pub(super) fn end(&self) {
        *lock(&self.current) = None;
    }
}

/// Whether a server still answers. After `limit` tasks in a row that failed because it does not, nothing more is sent to
/// it: the rest would only wait in vain, one retry after the other.
#[derive(Debug)]
pub(super) struct Reach {
    limit: u32,
    misses: AtomicU32,
    gone: OnceLock<Failed>,
}

impl Reach {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: u32::try_from(limit).unwrap_or(u32::MAX).max(4),
            misses: AtomicU32::new(0),
            gone: OnceLock::new(),
        }
    }

    fn answered(&self) {
        self.misses.store(0, Ordering::Relaxed);
    }

    fn check(&self) -> Result<(), Failed> {
        self.gone.get().map_or(Ok(()), |reason| Err(reason.clone()))
    }

    /// Notes the failure of a request, and makes a task's failure of it.
    fn failed(&self, error: &VaultError) -> Failed {
        let failed = Failed { cause: error.kind().into(), message: brief(error) };
        if !matches!(failed.cause, Cause::Network | Cause::Sealed | Cause::Token) {
            self.answered();
        } else if self.misses.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit {
            let message = format!("not tried, because the server no longer answered: {}", error.message());
            let _ = self.gone.set(Failed { cause: failed.cause, message });
        }
        failed
    }
}

/// What all workers obey.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    pub(super) paused: bool,
    /// Workers per destination; `None`: as configured.
    pub(super) workers: Option<usize>,
}

/// One worker of one destination.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) lane: usize,
    pub(super) slot: Arc<Slot>,
    pub(super) queue: Arc<Queue>,
    pub(super) origin: VaultClient,
    pub(super) destination: VaultClient,
    pub(super) origin_reach: Arc<Reach>,
    pub(super) destination_reach: Arc<Reach>,
    pub(super) dry_run: bool,
    pub(super) stop: CancellationToken,
    pub(super) gate: watch::Receiver<Gate>,
    pub(super) outcomes: mpsc::UnboundedSender<(usize, Outcome)>,
}

/// The cycle was stopped before anything was sent to the destination.
struct Abandoned;

impl Worker {
    /// Works until there are no tasks, the cycle stops, or there are to be fewer workers.
    pub(super) async fn run(mut self) {
        self.origin = self.origin.observed(self.slot.attempts.clone());
        self.destination = self.destination.observed(self.slot.attempts.clone());
        while self.may_go_on().await {
            let Some(task) = self.queue.take() else { break };
            self.slot.begin(&task);
            let Ok(result) = self.perform(&task).await else {
                self.queue.give_back(task);
                break;
            };
            let outcome = Outcome { task, result, attempts: self.slot.attempts.get() };
            self.slot.ended.fetch_add(1, Ordering::Relaxed);
            self.slot.end();
            // without a receiver the cycle has ended, and this worker with it
            if self.outcomes.send((self.lane, outcome)).is_err() {
                break;
            }
        }
        self.slot.end();
    }

    async fn may_go_on(&mut self) -> bool {
        let stop = self.stop.clone();
        let number = self.slot.number;
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            gate = self.gate.wait_for(|gate| !gate.paused) => {
                gate.is_ok_and(|gate| gate.workers.is_none_or(|workers| number <= workers))
            }
        }
    }

    async fn perform(&self, task: &Task) -> Result<Result<Done, Failed>, Abandoned> {
        if let Err(failed) = self.origin_reach.check().and_then(|()| self.destination_reach.check()) {
            self.slot.attempts.reset();
            return Ok(Err(failed));
        }
        // Stopping may cut off whatever leaves no trace at the destination; a write that has begun is finished.
        if self.dry_run {
            self.slot.step(Step::Checking);
            return self.unless_stopped(self.check(task)).await;
        }
        match task.operation {
            Operation::Add | Operation::Update => {
                let read = self.unless_stopped(self.origin.read(&task.origin)).await?;
                let secret = match read {
                    Ok(secret) => secret,
                    Err(error) => return Ok(Err(self.unreadable(&error))),
                };
                self.origin_reach.answered();
                let insight = read_insight(task, secret.version, secret.created_time);
                self.slot.step(Step::Writing);
                Ok(match self.destination.write(&task.destination, &secret.data, None).await {
                    Ok(_) => {
                        self.destination_reach.answered();
                        Ok(Done::Written(insight))
                    }
                    Err(error) => Err(self.destination_reach.failed(&error)),
                })
            }
            Operation::Delete => {
                if let Err(failed) = self.unless_stopped(self.make_sure_it_is_gone(task)).await? {
                    return Ok(Err(failed));
                }
                self.slot.step(Step::Deleting);
                Ok(match self.destination.delete(&task.destination).await {
                    Ok(()) => {
                        self.destination_reach.answered();
                        Ok(Done::Deleted)
                    }
                    Err(error) => Err(self.destination_reach.failed(&error)),
                })
            }
        }
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Abandoned> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Abandoned),
            done = work => Ok(done),
        }
    }

    fn unreadable(&self, error: &VaultError) -> Failed {
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) {
            self.origin_reach.answered();
            let message = format!("{}; it was there when the plan was made", brief(error));
            return Failed { cause: Cause::Moved, message };
        }
        self.origin_reach.failed(error)
    }

    /// Asks the origin for the one secret that is about to be deleted at the destination. Listings can leave out what a
    /// policy hides; this answer cannot be misread.
    async fn make_sure_it_is_gone(&self, task: &Task) -> Result<(), Failed> {
        let answer = self.origin.metadata(&task.origin).await;
        match answer {
            Ok(metadata) if metadata.key_info().live => Err(self.still_there()),
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
        let message = "the origin has it again, or its listing did not show it: not deleted".to_owned();
        Failed { cause: Cause::Moved, message }
    }

    fn unconfirmed(&self, error: &VaultError) -> Failed {
        let Failed { cause, message } = self.origin_reach.failed(error);
        Failed { cause, message: format!("not deleted, because the origin did not confirm that it is gone: {message}") }
    }

    /// A dry run's question: would both tokens be allowed to?
    async fn check(&self, task: &Task) -> Result<Done, Failed> {
        let (origin_path, needed_at_origin) = match task.operation {
            Operation::Add | Operation::Update => (task.origin.data_path().to_owned(), "read"),
            Operation::Delete => (task.origin.metadata_path(), "read"),
        };
        let needed = match task.operation {
            Operation::Add => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        };
        may(&self.origin, &self.origin_reach, "origin", origin_path, needed_at_origin).await?;
        let destination_path = task.destination.data_path().to_owned();
        may(&self.destination, &self.destination_reach, "destination", destination_path, needed).await?;
        Ok(Done::Possible)
    }
}

/// What was being done and why it failed. A failure names its secret already.
fn brief(error: &VaultError) -> String {
    let operation = error.operation();
    format!("{}: {}", operation.strip_suffix(" secret").unwrap_or(operation), error.message())
}

async fn may(client: &VaultClient, reach: &Reach, side: &str, path: String, needed: &str) -> Result<(), Failed> {
    let paths = [path];
    let capabilities = client.capabilities(&paths).await.map_err(|error| reach.failed(&error))?;
    reach.answered();
    if capabilities.iter().flatten().any(|capability| capability == needed || capability == "root") {
        return Ok(());
    }
    let [path] = paths;
    Err(Failed { cause: Cause::Permission, message: format!("the {side}'s token lacks \"{needed}\" on {path}") })
}

/// The insight of what was read: the plan's, unless the origin has moved on since.
fn read_insight(task: &Task, version: u64, created_time: jiff::Timestamp) -> Insight {
    match task.insight {
        Some(insight) if insight.version == version => insight,
        _ => Insight { version, update_time: created_time.into(), kind: EngineKind::KvV2 },
    }
}
