//! The coordinator of a cycle.

mod earlier;
mod order;
mod saving;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::{self, JoinSet};
use tokio::time::{MissedTickBehavior, interval, interval_at, sleep_until};

use super::lane::{Lane, took};
use super::rate::Rate;
use super::record::Save;
use super::{CycleControl, CycleHandle, CycleOptions};
use crate::engine::event::{CycleSnapshot, Event, Phase};
use crate::engine::inventory::Inventory;
use crate::engine::plan::{DestinationName, OperationCounts, Plan};
use crate::engine::report::{CycleId, Ending, Failure, Outcome, Report};
use crate::engine::worker::{Gate, Manner, Reach, Reads, Slot, Worker};
use crate::engine::{Destination, Engine};

/// Between two snapshots.
const FRAME: Duration = Duration::from_millis(100);
/// When state is first saved.
const FIRST_SAVE: Duration = Duration::from_millis(500);
/// How long workers may take to end when the cycle is stopped: longer than they ever should.
const GRACE: Duration = Duration::from_mins(2);
/// How long lanes that are being prepared may go on when the cycle is stopped.
const PREPARE_GRACE: Duration = Duration::from_secs(5);
/// How long saving the origin's sync info may go on when all else is done.
const ORIGIN_GRACE: Duration = Duration::from_mins(1);
/// How long keeping it may take when the cycle has ended.
const EARLY_PATIENCE: Duration = Duration::from_secs(10);
/// Failures that a snapshot shows.
const RECENT: usize = 50;

/// Begins a cycle. The plan has passed its guards.
pub(in crate::engine) fn start(engine: &Engine, plan: Plan, options: CycleOptions) -> CycleHandle {
    let id = CycleId::now();
    if plan.inventory.recorded {
        // nobody has looked at the origin's mounts for this plan
        engine.watchbook().forget_kinds();
    }
    let control = CycleControl::new(plan.destinations.iter().map(|part| part.destination.clone()));
    let (events, events_taken) = mpsc::unbounded_channel();
    let (outcomes, outcomes_taken) = mpsc::unbounded_channel();
    let started = Instant::now();
    let lanes: Vec<Lane> = plan
        .destinations
        .into_iter()
        .filter_map(|part| {
            let destination: Destination = engine.destination(&part.destination)?.clone();
            let state = engine.destination_state(&destination);
            let manner = Manner {
                dry_run: options.dry_run,
                exact: options.exact,
                undo: options.undoes.is_some(),
                interrupted: false,
                on_delete: destination.on_delete,
                on_drift: destination.on_drift,
                on_existing: destination.on_existing,
                fidelity: destination.fidelity,
            };
            let skip = control.skips.get(&part.destination)?.clone();
            Some(Lane::new(id, destination, part, state, manner, skip))
        })
        .collect();
    let most = engine.destinations().iter().map(|destination| destination.num_workers).max().unwrap_or(1);
    let origin = engine.origin();
    let patience = engine.patience_with_origin();
    let run = Run {
        id,
        engine: engine.clone(),
        options,
        inventory: plan.inventory,
        control: control.clone(),
        origin_reach: Arc::new(Reach::of_origin(origin.vault.clone(), most, patience)),
        reads: Arc::new(Reads::default()),
        lanes,
        workers: JoinSet::new(),
        running: HashMap::new(),
        saves: JoinSet::new(),
        checks: JoinSet::new(),
        openings: JoinSet::new(),
        verified: false,
        lost_save: None,
        outcomes,
        outcomes_taken: 0,
        events,
        recent: VecDeque::new(),
        rate: Rate::new(started),
        started,
        started_at: Timestamp::now(),
        ending: Ending::Completed,
        phase: Phase::Running,
        early_report: None,
    };
    let (sender, snapshots) = watch::channel(Arc::new(run.snapshot()));
    let run = tokio::spawn(run.run(sender, outcomes_taken));
    CycleHandle { id, snapshots, events: Some(events_taken), control, run }
}

/// Whose canaries were looked at, and why the rest must not follow; `None`: the lane was stopped meanwhile.
type LookedAt = Option<(usize, Result<(), String>)>;

struct Run {
    id: CycleId,
    engine: Engine,
    options: CycleOptions,
    inventory: Arc<Inventory>,
    control: CycleControl,
    origin_reach: Arc<Reach>,
    reads: Arc<Reads>,
    lanes: Vec<Lane>,
    workers: JoinSet<()>,
    /// The lane and number of each.
    running: HashMap<task::Id, (usize, usize)>,
    saves: JoinSet<Save>,
    /// Canaries being looked at: the lane, and why the rest must not follow.
    checks: JoinSet<LookedAt>,
    /// Mounts being created for lanes whose wave begins.
    openings: JoinSet<(usize, Result<(), String>)>,
    /// Whether canaries were looked at and are as they should be.
    verified: bool,
    /// A save that broke down and did not say whose it was.
    lost_save: Option<String>,
    outcomes: mpsc::UnboundedSender<(usize, Outcome)>,
    outcomes_taken: u64,
    events: mpsc::UnboundedSender<Event>,
    recent: VecDeque<(DestinationName, Failure)>,
    rate: Rate,
    started: Instant,
    started_at: Timestamp,
    ending: Ending,
    phase: Phase,
    /// When the report was last kept while the cycle ran.
    early_report: Option<(Instant, task::JoinHandle<()>)>,
}

impl Run {
    async fn run(
        mut self,
        snapshots: watch::Sender<Arc<CycleSnapshot>>,
        mut outcomes: mpsc::UnboundedReceiver<(usize, Outcome)>,
    ) -> Arc<Report> {
        self.note_start();
        let deadline = self.options.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        self.prepare(deadline).await;
        let origin_saved = self.save_origin();
        let amended = self.amend_interrupted();
        if !self.options.dry_run {
            self.keep_early();
        }
        let mut gate = self.control.gate.subscribe();
        let at_start = *gate.borrow_and_update();
        self.begin_lanes();
        self.obey(at_start);
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // soon for the first time, so that even a cycle that is killed again and again gets ahead
        let first_save = tokio::time::Instant::now() + FIRST_SAVE.min(self.options.save_every);
        let mut save_times = interval_at(first_save, self.options.save_every);
        save_times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut grace_ends = None;
        let mut clean = true;
        while self.is_at_work() {
            let stopping = self.phase == Phase::Stopping;
            let lane_deadline = self.next_deadline();
            tokio::select! {
                Some((lane, outcome)) = outcomes.recv() => self.fold(lane, &outcome),
                Some(ended) = self.workers.join_next_with_id() => self.worker_ended(ended),
                Some(checked) = self.checks.join_next() => self.canaries_looked_at(checked),
                Some(opened) = self.openings.join_next() => self.opened(opened),
                Some(saved) = self.saves.join_next() => self.saved(saved),
                _ = frames.tick() => {
                    self.mind_those_aside();
                    self.publish(&snapshots);
                }
                _ = save_times.tick() => self.save(false),
                Ok(()) = gate.changed() => { let gate = *gate.borrow_and_update(); self.obey(gate); }
                () = self.control.stop.cancelled(), if !stopping => {
                    if self.ending == Ending::Completed {
                        self.ending = Ending::Cancelled;
                    }
                    self.phase = Phase::Stopping;
                    grace_ends = Some(tokio::time::Instant::now() + GRACE);
                }
                () = until(deadline), if !stopping => {
                    self.ending = Ending::TimedOut;
                    self.control.stop.cancel();
                }
                () = until(lane_deadline) => self.stop_late_lanes(),
                () = until(grace_ends) => {
                    clean = false;
                    self.checks.shutdown().await;
                    self.openings.shutdown().await;
                    self.workers.shutdown().await;
                }
            }
        }
        while let Ok((lane, outcome)) = outcomes.try_recv() {
            self.fold(lane, &outcome);
        }
        self.note_what_is_left();
        if self.pending() == 0 {
            self.ending = Ending::Completed;
        } else if self.ending == Ending::Completed {
            // the workers may have seen that it was cancelled, and ended, before this loop did
            self.ending = if self.control.stop.is_cancelled() {
                Ending::Cancelled
            } else if self.lanes.iter().all(|lane| lane.is_skipped() || lane.report.pending == 0) {
                Ending::Skipped
            } else {
                Ending::Halted
            };
        }
        for slot in self.lanes.iter().flat_map(|lane| &lane.slots) {
            slot.end();
        }
        let now = Instant::now();
        self.rate.finish(now);
        self.lanes.iter_mut().for_each(|lane| lane.finish(now));
        if clean {
            self.lanes.iter_mut().for_each(Lane::settle_what_waits);
        }
        self.save_rest(&snapshots).await;
        self.settle_early_report().await;
        let origin_unsaved = match tokio::time::timeout(ORIGIN_GRACE, origin_saved).await {
            Ok(Ok(unsaved)) => unsaved,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the state store does not answer".to_owned()),
        };
        join_all(self.lanes.iter_mut().map(|lane| lane.end(clean))).await;
        let _ = tokio::time::timeout(EARLY_PATIENCE, amended).await;
        let mut report = self.report(origin_unsaved);
        report.unkept = self.keep(&report).await;
        note_end(&report);
        let report = Arc::new(report);
        self.phase = Phase::Ended;
        self.publish(&snapshots);
        let _ = self.events.send(Event::Ended(Arc::clone(&report)));
        report
    }

    /// Whether there is something to wait for; begins the next wave when one has ended.
    fn is_at_work(&mut self) -> bool {
        let busy = |run: &Self| !run.workers.is_empty() || !run.checks.is_empty() || !run.openings.is_empty();
        if !busy(self) && self.phase == Phase::Running && self.folded() {
            self.next_wave();
        }
        let waits = |lane: &Lane| lane.waits_for_its_wave() && lane.report.blocked.is_none();
        busy(self)
            || match self.phase {
                Phase::Running => !self.folded() || self.lanes.iter().any(waits),
                Phase::Paused => self.lanes.iter().any(|lane| waits(lane) || lane.is_at_work()),
                Phase::Stopping | Phase::Ended => false,
            }
    }

    /// Whether all outcomes that workers sent have been taken in.
    fn folded(&self) -> bool {
        let held: u64 = self.lanes.iter().flat_map(|lane| &lane.slots).map(|slot| slot.ended()).sum();
        held == self.outcomes_taken
    }

    /// Lanes whose state cannot be saved do not begin.
    async fn prepare(&mut self, deadline: Option<tokio::time::Instant>) {
        if self.options.dry_run {
            return;
        }
        let stop = self.control.stop.clone();
        tokio::select! {
            () = self.look_again() => {}
            () = stop.cancelled() => {}
            () = until(deadline) => stop.cancel(),
        }
        self.wait_for_waves();
        let holder = self.engine.operator().holder(self.options.purpose);
        let late = until(deadline);
        let stopped = async {
            tokio::select! { () = stop.cancelled() => {}, () = late => stop.cancel() }
            // lanes that wait for a lock see it, too; one that is just getting it had better let it go again
            tokio::time::sleep(PREPARE_GRACE).await;
        };
        let prepared = tokio::select! {
            prepared = join_all(self.lanes.iter_mut().map(|lane| lane.prepare(&holder))) => prepared,
            () = stopped => Vec::new(),
        };
        if self.control.stop.is_cancelled() {
            let late = deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now());
            self.ending = if late { Ending::TimedOut } else { Ending::Cancelled };
            self.lanes.iter_mut().for_each(Lane::give_up);
        }
        for (lane, result) in self.lanes.iter_mut().zip(prepared) {
            if result.is_err() && lane.is_skipped() {
                lane.give_up();
            } else if let Err(blocked) = result {
                let reason = blocked.reason.clone();
                lane.block(blocked);
                tracing::warn!(destination = %lane.destination.name, "nothing is written: {reason}");
                let _ = self.events.send(lane.blocked_event(&reason));
            }
        }
    }

    /// When the first lane that has workers is to stop.
    fn next_deadline(&self) -> Option<tokio::time::Instant> {
        self.lanes.iter().filter(|lane| !lane.stop.is_cancelled()).filter_map(|lane| lane.deadline).min()
    }

    fn stop_late_lanes(&mut self) {
        let now = tokio::time::Instant::now();
        for lane in self.lanes.iter().filter(|lane| lane.deadline.is_some_and(|deadline| deadline <= now)) {
            lane.stop.cancel();
            if lane.report.pending > 0 && self.ending == Ending::Completed {
                self.ending = Ending::TimedOut;
            }
        }
    }

    /// Sees to it that each lane with tasks left has its workers.
    fn staff(&mut self) {
        let Gate { workers, .. } = *self.control.gate.borrow();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            let is_gone = lane.reach.gone().is_some() || self.origin_reach.gone().is_some();
            if lane.report.blocked.is_some() || lane.stop.is_cancelled() || lane.waits_for_its_wave() || is_gone {
                continue;
            }
            let wanted = workers.unwrap_or(lane.destination.num_workers).max(1).min(lane.queue.len());
            for number in 1..=wanted {
                if number > lane.slots.len() {
                    lane.slots.push(Arc::new(Slot::new(number, lane.destination.name.clone())));
                    lane.alive.push(false);
                }
                if std::mem::replace(&mut lane.alive[number - 1], true) {
                    continue;
                }
                let worker = Worker {
                    lane: at,
                    slot: Arc::clone(&lane.slots[number - 1]),
                    queue: Arc::clone(&lane.queue),
                    origin: self.engine.origin_reader(),
                    destination: lane.destination.vault.clone(),
                    origin_reach: Arc::clone(&self.origin_reach),
                    destination_reach: Arc::clone(&lane.reach),
                    reads: Arc::clone(&self.reads),
                    manner: lane.manner,
                    inventory: Arc::clone(&self.inventory),
                    brought: Arc::clone(&lane.brought),
                    perhaps_equal: Arc::clone(&lane.perhaps_equal),
                    stop: lane.stop.clone(),
                    gate: self.control.gate.subscribe(),
                    outcomes: self.outcomes.clone(),
                };
                let id = self.workers.spawn(worker.run()).id();
                self.running.insert(id, (at, number));
            }
        }
    }

    fn obey(&mut self, gate: Gate) {
        // whoever wants more workers wants more requests
        if let Some(workers) = gate.workers {
            self.engine.origin().vault.allow_in_flight(workers);
            self.lanes.iter().for_each(|lane| lane.destination.vault.allow_in_flight(workers));
        }
        if self.phase != Phase::Stopping {
            self.phase = if gate.paused { Phase::Paused } else { Phase::Running };
            self.staff();
        }
    }

    fn worker_ended(&mut self, ended: Result<(task::Id, ()), task::JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        if let Err(error) = ended
            && error.is_panic()
        {
            // its task stays pending; the next cycle finds it again
            tracing::error!(%error, "a worker failed unexpectedly");
            if let Some((lane, _)) = self.running.get(&id) {
                self.lanes[*lane].unsettled = true;
            }
        }
        if let Some((lane, number)) = self.running.remove(&id) {
            self.lanes[lane].alive[number - 1] = false;
            self.lanes[lane].slots[number - 1].end();
        }
        // One may have left because there were to be fewer, just before there were to be more again.
        if self.phase == Phase::Running {
            self.staff();
        }
    }

    fn fold(&mut self, lane: usize, outcome: &Outcome) {
        let now = Instant::now();
        self.outcomes_taken += 1;
        self.rate.count(now, took(outcome));
        let at = lane;
        let lane = &mut self.lanes[at];
        lane.fold(outcome, now);
        if outcome.result.is_err()
            && let Some(failure) = lane.report.failures.last()
        {
            tracing::warn!(
                destination = %lane.destination.name, origin = %failure.origin, operation = failure.operation.as_str(),
                cause = failure.cause.as_str(), attempts = failure.attempts, "failed: {}", failure.message
            );
            self.recent.push_front((lane.destination.name.clone(), failure.clone()));
            self.recent.truncate(RECENT);
            let _ = self.events.send(Event::Failed(lane.destination.name.clone(), failure.clone()));
        }
        self.mind_canaries(at);
    }

    fn note_start(&self) {
        let planned: OperationCounts = self.lanes.iter().fold(OperationCounts::default(), |mut sum, lane| {
            sum += lane.report.planned;
            sum
        });
        tracing::info!(
            cycle = %self.id, purpose = self.options.purpose, dry_run = self.options.dry_run,
            destinations = self.lanes.len(), add = planned.add, update = planned.update, delete = planned.delete,
            "the cycle starts"
        );
    }

    fn pending(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.report.pending).sum()
    }

    fn publish(&mut self, snapshots: &watch::Sender<Arc<CycleSnapshot>>) {
        let now = Instant::now();
        self.rate.advance(now);
        self.lanes.iter_mut().for_each(|lane| lane.advance(now));
        snapshots.send_replace(Arc::new(self.snapshot()));
    }

    fn snapshot(&self) -> CycleSnapshot {
        let now = Instant::now();
        let origin = self.origin_reach.aside();
        CycleSnapshot {
            cycle: self.id,
            phase: self.phase,
            dry_run: self.options.dry_run,
            started: self.started_at,
            elapsed: now.duration_since(self.started),
            destinations: self.lanes.iter().map(|lane| lane.progress(now, origin.clone())).collect(),
            workers: self.lanes.iter().flat_map(|lane| lane.slots.iter().map(|slot| slot.row())).collect(),
            rate: self.rate.per_second(now),
            eta: self.rate.eta(self.lanes.iter().map(Lane::to_come).sum(), now),
            rate_history: self.rate.history(),
            latency: self.rate.latency(),
            latency_history: self.rate.latency_history(),
            origin_throttle: self.engine.origin().vault.throttle(),
            recent_failures: self.recent.iter().cloned().collect(),
        }
    }
}

/// Tells the log what has come of a cycle.
fn note_end(report: &Report) {
    for part in &report.destinations {
        let destination = part.destination.as_str();
        let OperationCounts { add, update, delete, .. } = part.done;
        let (failed, pending) = (part.failures.len(), part.pending);
        if failed == 0 && pending == 0 {
            tracing::info!(destination, add, update, delete, "done");
        } else {
            tracing::warn!(destination, add, update, delete, failed, pending, "not all was done");
        }
    }
    let seconds = report.duration().as_secs_f64();
    tracing::info!(
        cycle = %report.cycle, seconds, dry_run = report.dry_run, done = report.done().total(), failed = report.failed(),
        pending = report.pending(), "the cycle has ended: {}", report.ending.as_str()
    );
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
