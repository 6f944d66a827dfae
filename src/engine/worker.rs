//! One worker: takes a task, has it carried out, says what became of it.

mod check;
mod conflict;
mod perform;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Activity, Step, WorkerRow};
use super::plan::{DestinationName, Task};
use super::policy::Access;
use super::report::{Cause, Failed, Outcome};
use super::{OnDrift, OnExisting};
use crate::http::Attempts;
use crate::vault::{VaultClient, VaultError};

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

    /// For how long it has held its task.
    fn elapsed(&self) -> Duration {
        lock(&self.current).as_ref().map(|current| current.since.elapsed()).unwrap_or_default()
    }

    pub(super) fn end(&self) {
        *lock(&self.current) = None;
    }
}

/// Whether a server still answers. After `limit` tasks in a row that failed because it does not, nothing more is sent to
/// it: the rest would only wait in vain, one retry after the other.
#[derive(Debug)]
pub(super) struct Reach {
    at_origin: bool,
    limit: u32,
    misses: AtomicU32,
    gone: OnceLock<Failed>,
}

impl Reach {
    pub(super) fn of_origin(limit: usize) -> Self {
        Self { at_origin: true, ..Self::of_destination(limit) }
    }

    pub(super) fn of_destination(limit: usize) -> Self {
        Self {
            at_origin: false,
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
        let mut failed = Failed::new(error.kind().into(), brief(error));
        if failed.cause == Cause::Permission {
            failed.denied = Access::of(self.at_origin, error.operation());
        }
        if !matches!(failed.cause, Cause::Network | Cause::Sealed | Cause::Token) {
            self.answered();
        } else if self.misses.fetch_add(1, Ordering::Relaxed) + 1 >= self.limit {
            let message = format!("not tried, because the server no longer answered: {}", error.message());
            let _ = self.gone.set(Failed::new(failed.cause, message));
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

/// How tasks are carried out at one destination.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each switches one thing on, whatever the others say")]
pub(super) struct Manner {
    /// Only find out whether it would be possible.
    pub(super) dry_run: bool,
    /// What has another version than planned, on either side, is not touched.
    pub(super) exact: bool,
    /// The tasks take back what an earlier cycle did; the origin is not asked.
    pub(super) undo: bool,
    /// The last cycle here did not end properly: what it wrote may not be recorded.
    pub(super) interrupted: bool,
    pub(super) on_drift: OnDrift,
    pub(super) on_existing: OnExisting,
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
    pub(super) manner: Manner,
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
            let outcome = Outcome { task, result, attempts: self.slot.attempts.get(), took: self.slot.elapsed() };
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
}

/// What was being done and why it failed. A failure names its secret already.
fn brief(error: &VaultError) -> String {
    let operation = error.operation();
    format!("{}: {}", operation.strip_suffix(" secret").unwrap_or(operation), error.message())
}
