//! One worker: takes a task, has it carried out, says what became of it.

mod check;
mod conflict;
mod delete;
mod history;
mod lag;
mod metadata;
mod perform;
mod queue;
mod reach;
mod reads;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use metadata::{Brought, Copied};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Activity, Step, WorkerRow};
use super::origin_reader::OriginReader;
use super::plan::{DestinationName, Task};
use super::report::{Cause, Done, Failed, Outcome};
use super::{Fidelity, Inventory, OnDelete, OnDrift, OnExisting};
use crate::http::Attempts;
use crate::kv::SecretPath;
use crate::vault::{VaultClient, VaultError};

use queue::Again;
pub(super) use queue::Queue;
use reach::Admission;
pub(super) use reach::{Reach, is_well};
pub(super) use reads::Reads;

/// A request that takes longer is worth the question how its server is.
const LONG: Duration = Duration::from_secs(5);

/// Whether a request has taken so long that one had better ask how its server is.
pub(super) fn is_long(unanswered_for: Duration) -> bool {
    unanswered_for >= LONG
}

/// A panic while a lock of this module is held leaves plain data behind it, so its poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a worker is at, for whoever looks.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) number: usize,
    destination: DestinationName,
    current: Mutex<Option<Current>>,
    attempts: Attempts,
    ended: AtomicU64,
    /// An earlier try of the task may have been carried out.
    doubtful: AtomicBool,
}

#[derive(Debug)]
struct Current {
    task: Task,
    step: Step,
    since: Instant,
}

impl Slot {
    pub(super) fn new(number: usize, destination: DestinationName) -> Self {
        Self {
            number,
            destination,
            current: Mutex::default(),
            attempts: Attempts::default(),
            ended: AtomicU64::new(0),
            doubtful: AtomicBool::new(false),
        }
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

    /// How many tasks were ended here.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether a request is being tried again, or has not been answered for long.
    pub(super) fn is_held_up(&self) -> bool {
        lock(&self.current).is_some() && (self.attempts.get() > 1 || is_long(self.attempts.unanswered_for()))
    }

    fn begin(&self, task: &Task, again: Again) {
        self.attempts.reset();
        self.doubtful.store(again.doubtful, Ordering::Relaxed);
        *lock(&self.current) = Some(Current { task: task.clone(), step: Step::Reading, since: Instant::now() });
    }

    /// Whether an earlier try of the task may have been carried out.
    fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed)
    }

    /// A request of this try may have been carried out, although its answer was lost.
    fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
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
    pub(super) on_delete: OnDelete,
    pub(super) on_drift: OnDrift,
    pub(super) on_existing: OnExisting,
    pub(super) fidelity: Fidelity,
}

/// One worker of one destination.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) lane: usize,
    pub(super) slot: Arc<Slot>,
    pub(super) queue: Arc<Queue>,
    pub(super) origin: OriginReader,
    pub(super) destination: VaultClient,
    pub(super) origin_reach: Arc<Reach>,
    pub(super) destination_reach: Arc<Reach>,
    pub(super) reads: Arc<Reads>,
    pub(super) manner: Manner,
    /// What was planned with.
    pub(super) inventory: Arc<Inventory>,
    pub(super) brought: Arc<Brought>,
    /// The origin's secrets whose values may be equal, although something has changed: their copies are looked at first.
    pub(super) perhaps_equal: Arc<HashSet<SecretPath>>,
    pub(super) stop: CancellationToken,
    pub(super) gate: watch::Receiver<Gate>,
    pub(super) outcomes: mpsc::UnboundedSender<(usize, Outcome)>,
}

/// The cycle was stopped before anything was sent to the destination; or what was sent has not been answered for so long
/// since that the task is [doubtful](Slot::doubt).
struct Abandoned;

impl Worker {
    /// Works until there are no tasks, the cycle stops, or there are to be fewer workers.
    pub(super) async fn run(mut self) {
        self.origin = self.origin.observed(self.slot.attempts.clone());
        self.destination = self.destination.observed(self.slot.attempts.clone());
        while self.may_go_on().await {
            let Some((task, again)) = self.queue.take() else { break };
            self.slot.begin(&task, again);
            let Ok((mut result, copied)) = self.carry_out(&task).await else {
                if self.slot.is_doubtful() {
                    self.queue.mark_doubtful(&task);
                }
                self.queue.give_back(task);
                break;
            };
            if let Err(failed) = &mut result {
                // an earlier try may have been carried out, whatever this one was told
                failed.unsettled |= self.slot.is_doubtful() && failed.met.is_none() && copied.value.is_none();
            }
            let (attempts, took) = (self.slot.attempts.get(), self.slot.elapsed());
            let Some(task) = self.or_later(task, &result).await else { continue };
            let outcome = Outcome { task, result, copied, attempts, took };
            self.slot.ended.fetch_add(1, Ordering::Relaxed);
            self.slot.end();
            // without a receiver the cycle has ended, and this worker with it
            if self.outcomes.send((self.lane, outcome)).is_err() {
                break;
            }
        }
        self.slot.end();
    }

    /// The task, unless it is put back because its server did not answer: then it is no failure of this secret.
    async fn or_later(&self, task: Task, result: &Result<Done, Failed>) -> Option<Task> {
        let unreached = match result {
            Err(failed) => failed.unreached.map(|at_origin| (at_origin, failed.unsettled)),
            Ok(_) => None,
        };
        let Some((at_origin, unsettled)) = unreached else {
            self.queue.ended(&task);
            return Some(task);
        };
        let reach = if at_origin { &self.origin_reach } else { &self.destination_reach };
        // a server that is well has something against this one secret; of a dead token that says nothing
        let is_token = matches!(result, Err(Failed { cause: Cause::Token, .. }));
        let counts = !is_token
            && reach.is_at_work()
            && match self.unless_stopped(reach.is_well()).await {
                Ok(Ok(())) => reach.is_at_work(),
                Ok(Err(reason)) => {
                    reach.set_aside(reason);
                    false
                }
                Err(Abandoned) => false,
            };
        self.slot.end();
        let task = self.queue.put_back(task, counts, unsettled)?;
        self.queue.ended(&task);
        Some(task)
    }

    async fn may_go_on(&mut self) -> bool {
        let stop = self.stop.clone();
        let number = self.slot.number;
        let admitted = async {
            let open = self.gate.wait_for(|gate| !gate.paused).await;
            let wanted = open.is_ok_and(|gate| gate.workers.is_none_or(|workers| number <= workers));
            wanted
                && self.origin_reach.admission().await == Admission::Granted
                && self.destination_reach.admission().await == Admission::Granted
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            admitted = admitted => admitted,
        }
    }
}

/// What was being done and why it failed. A failure names its secret already.
fn brief(error: &VaultError) -> String {
    let operation = error.operation();
    format!("{}: {}", operation.strip_suffix(" secret").unwrap_or(operation), error.message())
}
