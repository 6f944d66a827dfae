//! The coordinator of a cycle.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, interval_at, sleep_until};

use super::lane::{Lane, Save};
use super::rate::Rate;
use super::{CycleControl, CycleHandle, CycleOptions};
use crate::engine::event::{CycleSnapshot, Event, Phase};
use crate::engine::inventory::Inventory;
use crate::engine::plan::{DestinationName, Plan};
use crate::engine::report::{CycleId, Ending, Failure, Outcome, Report};
use crate::engine::worker::{Gate, Reach, Slot, Worker};
use crate::engine::{Destination, Engine};
use crate::state::SyncInfoWriter;

/// Between two snapshots.
const FRAME: Duration = Duration::from_millis(100);
/// When state is first saved.
const FIRST_SAVE: Duration = Duration::from_millis(500);
/// How long writes that are under way may take when the cycle is stopped.
const GRACE: Duration = Duration::from_secs(30);
/// Failures that a snapshot shows.
const RECENT: usize = 50;
/// Pauses before state that could not be saved at the end is tried again.
const LAST_SAVES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

/// Begins a cycle. The plan has passed its guards.
pub(in crate::engine) fn start(engine: &Engine, plan: Plan, options: CycleOptions) -> CycleHandle {
    let id = CycleId::now();
    let control = CycleControl::new();
    let (events, events_taken) = mpsc::unbounded_channel();
    let (outcomes, outcomes_taken) = mpsc::unbounded_channel();
    let started = Instant::now();
    let lanes: Vec<Lane> = plan
        .destinations
        .into_iter()
        .filter_map(|part| {
            let destination: Destination = engine.destination(&part.destination)?.clone();
            let state = engine.destination_state(&destination);
            Some(Lane::new(destination, part, state, options.dry_run))
        })
        .collect();
    let most = engine.destinations().iter().map(|destination| destination.num_workers).max().unwrap_or(1);
    let run = Run {
        id,
        engine: engine.clone(),
        options,
        inventory: plan.inventory,
        control: control.clone(),
        origin_reach: Arc::new(Reach::new(most)),
        lanes,
        workers: JoinSet::new(),
        saves: JoinSet::new(),
        outcomes,
        events,
        recent: VecDeque::new(),
        rate: Rate::new(started),
        started,
        started_at: Timestamp::now(),
        ending: Ending::Completed,
        phase: Phase::Running,
    };
    let (sender, snapshots) = watch::channel(Arc::new(run.snapshot()));
    let run = tokio::spawn(run.run(sender, outcomes_taken));
    CycleHandle { id, snapshots, events: Some(events_taken), control, run }
}

struct Run {
    id: CycleId,
    engine: Engine,
    options: CycleOptions,
    inventory: Arc<Inventory>,
    control: CycleControl,
    origin_reach: Arc<Reach>,
    lanes: Vec<Lane>,
    /// Each gives its lane and number when it ends.
    workers: JoinSet<(usize, usize)>,
    saves: JoinSet<Save>,
    outcomes: mpsc::UnboundedSender<(usize, Outcome)>,
    events: mpsc::UnboundedSender<Event>,
    recent: VecDeque<(DestinationName, Failure)>,
    rate: Rate,
    started: Instant,
    started_at: Timestamp,
    ending: Ending,
    phase: Phase,
}

impl Run {
    async fn run(
        mut self,
        snapshots: watch::Sender<Arc<CycleSnapshot>>,
        mut outcomes: mpsc::UnboundedReceiver<(usize, Outcome)>,
    ) -> Arc<Report> {
        self.prepare().await;
        let origin_saved = self.save_origin();
        let mut gate = self.control.gate.subscribe();
        let at_start = *gate.borrow_and_update();
        self.obey(at_start);
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        // soon for the first time, so that even a cycle that is killed again and again gets ahead
        let first_save = tokio::time::Instant::now() + FIRST_SAVE.min(self.options.save_every);
        let mut save_times = interval_at(first_save, self.options.save_every);
        save_times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let deadline = self.options.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        let mut grace_ends = None;
        while !self.workers.is_empty() {
            let stopping = self.phase == Phase::Stopping;
            tokio::select! {
                Some((lane, outcome)) = outcomes.recv() => self.fold(lane, &outcome),
                Some(ended) = self.workers.join_next() => self.worker_ended(ended),
                Some(saved) = self.saves.join_next() => self.saved(saved),
                _ = frames.tick() => self.publish(&snapshots),
                _ = save_times.tick() => self.save(),
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
                () = until(grace_ends) => self.workers.shutdown().await,
            }
        }
        while let Ok((lane, outcome)) = outcomes.try_recv() {
            self.fold(lane, &outcome);
        }
        if self.pending() == 0 {
            self.ending = Ending::Completed;
        }
        self.save_rest(&snapshots).await;
        let origin_unsaved = origin_saved.await.unwrap_or_else(|error| Some(error.to_string()));
        let report = Arc::new(self.report(origin_unsaved));
        self.keep(&report).await;
        self.phase = Phase::Ended;
        self.publish(&snapshots);
        let _ = self.events.send(Event::Ended(Arc::clone(&report)));
        report
    }

    /// Lanes whose state cannot be saved do not begin.
    async fn prepare(&mut self) {
        if self.options.dry_run {
            return;
        }
        let id = self.id;
        let prepared = join_all(self.lanes.iter_mut().map(|lane| lane.prepare(id))).await;
        for (lane, result) in self.lanes.iter_mut().zip(prepared) {
            if let Err(error) = result {
                lane.block(&error);
                let reason = lane.report.unsaved.clone().unwrap_or_default();
                tracing::error!(destination = %lane.destination.name, "{reason}");
                let _ = self.events.send(Event::Unsaved(lane.destination.name.clone(), reason));
            }
        }
    }

    /// Sees to it that each lane with tasks left has its workers.
    fn staff(&mut self) {
        let Gate { workers, .. } = *self.control.gate.borrow();
        for (at, lane) in self.lanes.iter_mut().enumerate() {
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
                    origin: self.engine.origin().vault.clone(),
                    destination: lane.destination.vault.clone(),
                    origin_reach: Arc::clone(&self.origin_reach),
                    destination_reach: Arc::clone(&lane.reach),
                    dry_run: self.options.dry_run,
                    stop: self.control.stop.clone(),
                    gate: self.control.gate.subscribe(),
                    outcomes: self.outcomes.clone(),
                };
                self.workers.spawn(worker.run());
            }
        }
    }

    fn obey(&mut self, gate: Gate) {
        if self.phase != Phase::Stopping {
            self.phase = if gate.paused { Phase::Paused } else { Phase::Running };
            self.staff();
        }
    }

    fn worker_ended(&mut self, ended: Result<(usize, usize), tokio::task::JoinError>) {
        match ended {
            Ok((lane, number)) => {
                self.lanes[lane].alive[number - 1] = false;
                // One may have left because there were to be fewer, just before there were to be more again.
                if self.phase == Phase::Running {
                    self.staff();
                }
            }
            // Its task stays pending; the next cycle finds it again.
            Err(error) if error.is_panic() => tracing::error!(%error, "a worker failed unexpectedly"),
            Err(_) => {}
        }
    }

    fn fold(&mut self, lane: usize, outcome: &Outcome) {
        self.rate.count(Instant::now());
        let lane = &mut self.lanes[lane];
        lane.fold(outcome);
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
    }

    fn save(&mut self) {
        if self.options.dry_run {
            return;
        }
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(save) = lane.begin_save(at) {
                self.saves.spawn(save.run());
            }
        }
    }

    fn saved(&mut self, saved: Result<Save, tokio::task::JoinError>) {
        match saved {
            Ok(save) => {
                let lane = &mut self.lanes[save.lane];
                if let Some(reason) = lane.end_save(save) {
                    tracing::error!(destination = %lane.destination.name, "state not saved: {reason}");
                    let _ = self.events.send(Event::Unsaved(lane.destination.name.clone(), reason));
                }
            }
            Err(error) => tracing::error!(%error, "saving state failed unexpectedly"),
        }
    }

    /// Saves what is not saved yet, and tries again for a while if the store refuses.
    async fn save_rest(&mut self, snapshots: &watch::Sender<Arc<CycleSnapshot>>) {
        let mut pauses = LAST_SAVES.iter();
        loop {
            self.save();
            self.publish(snapshots);
            while let Some(saved) = self.saves.join_next().await {
                self.saved(saved);
            }
            if self.options.dry_run || !self.lanes.iter().any(Lane::has_unsaved) {
                return;
            }
            if self.lanes.iter().all(|lane| lane.report.unsaved.is_none()) {
                continue;
            }
            let Some(pause) = pauses.next() else { return };
            tokio::time::sleep(*pause).await;
        }
    }

    /// Saves what the origin holds, for whoever compares with it. What could not be listed stays as it was recorded.
    fn save_origin(&self) -> tokio::task::JoinHandle<Option<String>> {
        let engine = self.engine.clone();
        let inventory = Arc::clone(&self.inventory);
        let dry_run = self.options.dry_run;
        tokio::spawn(async move {
            if dry_run {
                return None;
            }
            let saved = async {
                let state = engine.origin_state();
                let mut info = inventory.secrets.clone();
                let index = if inventory.is_complete() {
                    state.load_index().await?
                } else {
                    let stored = state.load_sync_info(Some(&info)).await?;
                    for (path, insight) in stored.iter().flat_map(|stored| stored.info.iter()) {
                        if info.get(path).is_none() && !inventory.is_known(path) {
                            info.insert(path.clone(), *insight);
                        }
                    }
                    stored.map(|stored| stored.index)
                };
                SyncInfoWriter::new(state, index.as_ref()).save(&mut info).await
            };
            let error = saved.await.err()?;
            tracing::error!("the origin's state was not saved: {error}");
            Some(error.to_string())
        })
    }

    fn report(&self, origin_unsaved: Option<String>) -> Report {
        let operator = self.engine.operator();
        Report {
            cycle: self.id,
            operator: operator.name.clone(),
            host: operator.host.clone(),
            vsync: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started_at,
            ended: Timestamp::now(),
            ending: self.ending,
            dry_run: self.options.dry_run,
            origin_unknown: self.inventory.unknown.clone(),
            origin_unsaved,
            destinations: self.lanes.iter().map(|lane| lane.report.clone()).collect(),
        }
    }

    /// Keeps the report in the state store, unless nothing was to be done.
    async fn keep(&self, report: &Report) {
        if report.dry_run || report.planned().total() == 0 {
            return;
        }
        if let Err(error) = self.engine.keep_report(report).await {
            tracing::error!("the report was not kept: {error}");
        }
    }

    fn pending(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.report.pending).sum()
    }

    fn publish(&mut self, snapshots: &watch::Sender<Arc<CycleSnapshot>>) {
        self.rate.advance(Instant::now());
        snapshots.send_replace(Arc::new(self.snapshot()));
    }

    fn snapshot(&self) -> CycleSnapshot {
        let now = Instant::now();
        CycleSnapshot {
            cycle: self.id,
            phase: self.phase,
            dry_run: self.options.dry_run,
            started: self.started_at,
            elapsed: now.duration_since(self.started),
            destinations: self.lanes.iter().map(Lane::progress).collect(),
            workers: self.lanes.iter().flat_map(|lane| lane.slots.iter().map(|slot| slot.row())).collect(),
            rate: self.rate.per_second(now),
            eta: self.rate.eta(self.pending(), now),
            rate_history: self.rate.history(),
            recent_failures: self.recent.iter().cloned().collect(),
        }
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
