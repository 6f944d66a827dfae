//! A destination's part of a cycle: its tasks, its workers, and what has become of them.

mod canaries;
mod outset;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::Skip;
use super::canary::Canary;
use super::rate::Rate;
use super::record::{Record, Save};
use crate::engine::away::PATIENCE;
use crate::engine::event::{Aside, DestinationProgress, Event, Standing};
use crate::engine::fidelity::FidelityReport;
use crate::engine::plan::{DestinationName, DestinationPlan, Expected, Source, Task};
use crate::engine::report::{Cause, CycleId, DestinationReport, Done, Failure, Outcome};
use crate::engine::worker::{Brought, Manner, Queue, Reach, Reads, Slot, is_long};
use crate::engine::{Destination, Fidelity, NewMount, mounts};
use crate::http::Attempts;
use crate::kv::SecretPath;
use crate::state::{Change, ChangeKind, LockHolder, State};

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) destination: Destination,
    pub(super) queue: Arc<Queue>,
    pub(super) reach: Arc<Reach>,
    /// One per worker there ever was, by number.
    pub(super) slots: Vec<Arc<Slot>>,
    /// The workers that run, by number - 1.
    pub(super) alive: Vec<bool>,
    pub(super) manner: Manner,
    /// Which metadata vsync left where something is to be written.
    pub(super) brought: Arc<Brought>,
    pub(super) perhaps_equal: Arc<HashSet<SecretPath>>,
    pub(super) report: DestinationReport,
    record: Record,
    /// What is created before the first write.
    new_mounts: Vec<NewMount>,
    /// Records that go when the path they share is written: that path, and theirs.
    superseded: HashMap<SecretPath, Vec<SecretPath>>,
    /// Whether some of what there was to do was left out of the plan.
    partial: bool,
    /// Whether a write may have been carried out that is not recorded.
    pub(super) unsettled: bool,
    /// Ends this lane alone.
    pub(super) stop: CancellationToken,
    skip: Skip,
    rate: Rate,
    /// When it is to stop beginning tasks.
    pub(super) deadline: Option<tokio::time::Instant>,
    /// What follows when the canaries have been written and verified.
    rest: Vec<Task>,
    /// An earlier wave is at work: the one whose end is waited for.
    after: Option<u32>,
    stage: Stage,
    /// Tasks of this stage that have not ended.
    stage_left: usize,
    /// What was written for the canaries.
    written: Vec<Canary>,
    /// The requests that look at the canaries.
    pub(super) looks: Attempts,
    /// Why nothing may be begun, here or in later waves, if somebody else wrote over a canary.
    pub(super) foreign_canary: Option<String>,
    /// Its values are among those the shared reads hold.
    claims: bool,
    /// It was ended because a server is gone: whether somebody had stopped it before.
    left: Option<bool>,
}

/// What a lane is at, or will be when its wave begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Canary,
    Verifying,
    Work,
}

impl Lane {
    pub(super) fn new(
        cycle: CycleId,
        destination: Destination,
        mut plan: DestinationPlan,
        state: State,
        manner: Manner,
        skip: Skip,
    ) -> Self {
        let planned = plan.counts();
        let perhaps_equal = outset::perhaps_equal(&plan);
        let mut changed = plan.has_unsaved_records();
        let mut superseded: HashMap<SecretPath, Vec<SecretPath>> = HashMap::new();
        let to_write: HashSet<&SecretPath> = plan.tasks.iter().map(|task| &task.destination).collect();
        // their successors are not written, and whose copy it is must stay known
        let set_aside: HashSet<&SecretPath> = plan.drifted.iter().map(|drift| &drift.destination).collect();
        for (path, target) in std::mem::take(&mut plan.superseded) {
            if to_write.contains(&target) {
                superseded.entry(target).or_default().push(path);
            } else if !set_aside.contains(&target) {
                plan.recorded.remove(&path);
                changed = true;
            }
        }
        drop((to_write, set_aside));
        let brought = if manner.fidelity == Fidelity::Value { Brought::new() } else { outset::brought(&plan) };
        let tasks = Vec::from_iter(std::mem::take(&mut plan.tasks));
        let is_first = |task: &Task| destination.canary.as_ref().is_some_and(|canary| canary.admits(&task.origin));
        let doubts = outset::doubts(&plan, &tasks, manner);
        let (canaries, rest): (Vec<Task>, Vec<Task>) =
            if manner.dry_run || manner.undo { (Vec::new(), tasks) } else { tasks.into_iter().partition(is_first) };
        let (first, rest, at) =
            if canaries.is_empty() { (rest, Vec::new(), Stage::Work) } else { (canaries, rest, Stage::Canary) };
        let patience = destination.patience.or(destination.timeout).unwrap_or(PATIENCE);
        let foreign_canary = canaries::foreign(&plan, &destination);
        let report = DestinationReport {
            destination: plan.destination.clone(),
            planned,
            done: crate::engine::OperationCounts::default(),
            pending: planned.total(),
            skipped: false,
            adopted: 0,
            kept: 0,
            drifted: plan.drifted.iter().filter(|drift| !drift.kept).count() as u64,
            in_sync: plan.in_sync,
            unknown: plan.unknown.len() as u64,
            ended: None,
            unsaved: None,
            locked: None,
            canaries_failed: false,
            blocked: None,
            unreached: false,
            fidelity: FidelityReport::new(manner.fidelity).filter(|_| planned.total() > 0 && !manner.dry_run),
            unverified: Vec::new(),
            failures: Vec::new(),
        };
        let manner = Manner { interrupted: plan.interrupted_cycle().is_some(), ..manner };
        let (partial, new_mounts) = (plan.partial, std::mem::take(&mut plan.new_mounts));
        let changed = changed && !manner.dry_run;
        let mut record = Record::new(cycle, plan, state, destination.journal.as_deref(), changed);
        record.doubt(doubts);
        Self {
            brought: Arc::new(brought),
            perhaps_equal: Arc::new(perhaps_equal),
            report,
            stage_left: first.len(),
            queue: Arc::new(Queue::new(first)),
            reach: Arc::new(Reach::of_destination(destination.vault.clone(), destination.num_workers, patience)),
            rest,
            after: None,
            stage: at,
            written: Vec::new(),
            looks: Attempts::default(),
            foreign_canary,
            claims: false,
            left: None,
            slots: Vec::new(),
            alive: Vec::new(),
            manner,
            partial,
            new_mounts,
            record,
            superseded,
            unsettled: false,
            stop: skip.stop.clone(),
            skip,
            rate: Rate::new(Instant::now()),
            deadline: None,
            destination,
        }
    }

    /// The wave it belongs to.
    pub(super) fn wave(&self) -> u32 {
        self.destination.wave
    }

    /// It waits until the lanes of this wave have ended.
    pub(super) fn wait_for_wave(&mut self, wave: u32) {
        self.after = Some(wave);
    }

    pub(super) fn waits_for_its_wave(&self) -> bool {
        self.after.is_some()
    }

    /// Its time begins. `reads`: where it says which values it will need, if others may need them, too.
    pub(super) fn begin(&mut self, reads: Option<&Reads>) {
        self.after = None;
        self.deadline = self.destination.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        if let Some(reads) = reads {
            self.claim(reads);
        }
    }

    fn claim(&mut self, reads: &Reads) {
        self.queue.claim(reads);
        reads.expect(self.rest.iter());
        self.claims = true;
    }

    /// It does not need the values of what waits, or not soon.
    pub(super) fn forgo(&mut self, reads: &Reads) {
        if std::mem::take(&mut self.claims) {
            self.queue.each(|task| reads.forgo(task));
            self.rest.iter().for_each(|task| reads.forgo(task));
        }
    }

    /// Whether it has workers, or will have some when its server answers.
    pub(super) fn is_at_work(&self) -> bool {
        !self.waits_for_its_wave()
            && self.report.blocked.is_none()
            && !self.stop.is_cancelled()
            && self.reach.gone().is_none()
            && self.report.pending > 0
    }

    /// Whether a request of its has waited for its answer for long, or is being tried again.
    pub(super) fn is_held_up(&self) -> bool {
        let looks_in_vain = self.stage == Stage::Verifying && is_long(self.looks.unanswered_for());
        looks_in_vain || self.is_at_work() && self.slots.iter().any(|slot| slot.is_held_up())
    }

    /// Whether all of it was done, well.
    pub(super) fn is_clean(&self) -> bool {
        self.report.pending == 0 && self.report.failures.is_empty() && self.is_verified()
    }

    /// Why the rest of it is not done, unless somebody stopped it.
    pub(super) fn note_gone(&mut self, origin: Option<String>) {
        if self.is_wanted() && !self.is_stopped() && !self.waits_for_its_wave() {
            let Some(reason) = self.reach.gone().or(origin) else { return };
            self.report.unreached |= self.report.blocked.is_none() && self.reach.gone().is_some();
            self.report.blocked.get_or_insert(reason);
        }
    }

    /// What its workers are at is given up, where that leaves no trace: a server is gone.
    pub(super) fn leave(&mut self) {
        self.left.get_or_insert(self.stop.is_cancelled());
        self.stop.cancel();
    }

    /// Whether somebody, or the clock, has stopped it.
    fn is_stopped(&self) -> bool {
        self.left.unwrap_or_else(|| self.stop.is_cancelled())
    }

    /// Nothing more is begun.
    pub(super) fn halt(&mut self, reason: String) {
        self.report.blocked.get_or_insert(reason);
    }

    fn standing(&self, origin: Option<Aside>) -> Standing {
        if let Some(wave) = self.after {
            return Standing::AfterWave(wave);
        }
        if !self.is_at_work() {
            return Standing::AtWork;
        }
        match (self.reach.aside().or(origin), self.stage) {
            (Some(aside), _) => Standing::SetAside(aside),
            (None, Stage::Canary) => Standing::Canary,
            (None, Stage::Verifying) => Standing::Verifying,
            (None, Stage::Work) => Standing::AtWork,
        }
    }

    /// Takes the destination's lock, and keeps what must be kept before the first secret is written. The error says why
    /// the lane must not begin.
    pub(super) async fn prepare(&mut self, holder: &LockHolder) -> Result<(), Blocked> {
        if self.report.pending == 0 && !self.record.has_news() {
            return Ok(());
        }
        let is_blocked = self.report.blocked.is_some();
        if is_blocked {
            if !self.record.has_news() {
                return Ok(());
            }
            // nothing is begun, so nothing will be in doubt
            self.settle_what_waits();
        }
        self.record.begin(holder, &self.stop).await?;
        tracing::info!(destination = self.destination.name.as_str(), "the lock is taken");
        if is_blocked || self.waits_for_its_wave() {
            return Ok(());
        }
        let new_mounts = std::mem::take(&mut self.new_mounts);
        Ok(mounts::create(&self.destination.vault, &new_mounts).await?)
    }

    /// Creates the mounts that are missing here, of a lane whose wave begins; `None`: there are none.
    pub(super) fn create_mounts(&mut self) -> Option<impl Future<Output = Result<(), String>> + Send + 'static> {
        let new_mounts = std::mem::take(&mut self.new_mounts);
        let vault = self.destination.vault.clone();
        (!new_mounts.is_empty()).then_some(async move { mounts::create(&vault, &new_mounts).await })
    }

    /// The cycle was stopped before the lane began.
    pub(super) fn give_up(&mut self) {
        self.record.give_up();
    }

    /// Whether somebody has skipped it. What is left of it stays pending.
    pub(super) fn is_skipped(&self) -> bool {
        self.skip.is_asked_for()
    }

    /// Tasks that will still be tried, as far as can be told.
    pub(super) fn to_come(&self) -> u64 {
        if self.stop.is_cancelled() || self.report.blocked.is_some() { 0 } else { self.report.pending }
    }

    /// What is said at once to whoever watches.
    pub(super) fn blocked_event(&self, reason: &str) -> Event {
        let destination = self.destination.name.clone();
        Event::Blocked { destination, begun: self.report.has_begun(), reason: reason.to_owned() }
    }

    /// Nothing can be recorded, so nothing may be written: all tasks stay pending.
    pub(super) fn block(&mut self, blocked: Blocked) {
        self.record.give_up();
        self.report.locked = blocked.locked;
        self.report.blocked = Some(blocked.reason);
    }

    /// Whether the last cycle here never said how it ended.
    pub(super) fn follows_an_interrupted_one(&self) -> bool {
        self.manner.interrupted
    }

    /// The state, if this cycle has its lock.
    pub(super) fn locked(&self) -> Option<(DestinationName, State)> {
        Some((self.destination.name.clone(), self.record.locked()?))
    }

    /// Takes in what became of a task.
    pub(super) fn fold(&mut self, outcome: &Outcome, now: Instant) {
        self.rate.count(now, took(outcome));
        self.report.fold(outcome);
        self.stage_left = self.stage_left.saturating_sub(1);
        if self.stage == Stage::Canary {
            self.written.extend(Canary::of(outcome));
        }
        self.unsettled |= outcome.result.as_ref().is_err_and(|failed| failed.unsettled);
        let Some(change) = self.change(outcome) else {
            if outcome.result.as_ref().is_err_and(|failed| !failed.unsettled) {
                self.record.settle(&outcome.task.origin);
            }
            return;
        };
        let gone = match change.kind {
            ChangeKind::Written | ChangeKind::Adopted | ChangeKind::Metadata => {
                self.superseded.remove(&change.destination)
            }
            _ => None,
        };
        self.record.take(change, gone.unwrap_or_default());
    }

    fn change(&self, outcome: &Outcome) -> Option<Change> {
        let Task { origin, destination, insight: planned, .. } = &outcome.task;
        let insight_before = self.record.insight(origin, destination);
        let done = match (&outcome.result, &outcome.copied.value) {
            (Err(_), Some(value)) => Ok(value),
            (result, _) => result.as_ref(),
        };
        let (kind, before, version, insight) = match done {
            Ok(Done::Written { insight, before, version }) => {
                // what is written back belongs to what was recorded with it, if anything was
                let written_back = matches!(outcome.task.source, Source::Version(_));
                (ChangeKind::Written, *before, *version, if written_back { *planned } else { Some(*insight) })
            }
            Ok(Done::Adopted { insight, before, version }) => (ChangeKind::Adopted, *before, *version, Some(*insight)),
            Ok(Done::Metadata { insight, version }) => (ChangeKind::Metadata, *version, *version, Some(*insight)),
            Ok(Done::Kept { before, found, insight }) => (ChangeKind::Kept, *before, *found, *insight),
            Ok(Done::Deleted { version }) => (ChangeKind::Deleted, *version, *version, None),
            Ok(Done::DeletedForNow { version }) => (ChangeKind::DeletedForNow, *version, *version, None),
            Ok(Done::Destroyed { version }) => (ChangeKind::Destroyed, *version, *version, None),
            Ok(Done::Purged { version }) => (ChangeKind::Purged, *version, *version, None),
            Ok(Done::AbsentForNow { version }) => (ChangeKind::AbsentForNow, *version, *version, None),
            Ok(Done::Absent { version }) => (ChangeKind::Absent, *version, *version, None),
            Ok(Done::Restored { version }) => (ChangeKind::Restored, *version, *version, *planned),
            Ok(Done::Possible) => return None,
            Err(failed) => (ChangeKind::Met, self.record.version(destination), failed.met?, *planned),
        };
        let foreign = match outcome.task.expected {
            Expected::Version(ours) => before != ours,
            // what a vsync without ledger has recorded counts as vsync's
            Expected::Recorded => false,
        };
        Some(Change {
            kind,
            origin: origin.clone(),
            destination: destination.clone(),
            before,
            version,
            insight_before,
            insight,
            over_foreign: before > 0 && foreign && matches!(kind, ChangeKind::Written | ChangeKind::Deleted),
            digest: outcome.copied.digest.clone(),
            at: Timestamp::now(),
        })
    }

    /// No worker was cut off: what still waits was never begun, or its tries left nothing.
    pub(super) fn settle_what_waits(&mut self) {
        self.queue.each_undoubted(|task| self.record.settle(&task.origin));
        self.rest.iter().for_each(|task| self.record.settle(&task.origin));
    }

    /// What there is to save by now; see [`Record::begin_save`].
    pub(super) fn begin_save(&mut self, lane: usize, now: bool) -> Option<Save> {
        self.record.begin_save(lane, now)
    }

    /// Takes in how a save ended; the reason if it failed.
    pub(super) fn end_save(&mut self, save: Save) -> Option<String> {
        self.report.unsaved = self.record.end_save(save);
        self.report.unsaved.clone()
    }

    /// A save broke down and took what it was to save with it: the next one saves everything.
    pub(super) fn lost_save(&mut self, reason: &str) {
        if self.record.lost_save() {
            self.report.unsaved = Some(reason.to_owned());
        }
    }

    pub(super) fn has_unsaved(&self) -> bool {
        self.record.has_unsaved()
    }

    /// Notes what has become of the lock, and lets go of it. `clean`: no worker was cut off.
    pub(super) async fn end(&mut self, clean: bool) {
        self.report.skipped = self.is_skipped() && self.report.pending > 0;
        if let Some(reason) = self.record.lock_lost() {
            self.report.blocked.get_or_insert(reason);
        }
        // what an interrupted cycle may have written is only settled when everything was tried
        self.unsettled |= self.queue.is_doubtful();
        let judged = |failure: &Failure| matches!(failure.cause, Cause::Drift | Cause::Existing);
        let all_tried = !self.partial && self.report.pending == 0 && self.report.failures.iter().all(judged);
        let settled =
            clean && !self.unsettled && self.report.unsaved.is_none() && (!self.manner.interrupted || all_tried);
        self.record.end(settled).await;
    }

    /// Closes the seconds that have passed.
    pub(super) fn advance(&mut self, now: Instant) {
        self.rate.advance(now);
    }

    pub(super) fn finish(&mut self, now: Instant) {
        self.rate.finish(now);
    }

    /// `origin`: how it is if it does not answer.
    pub(super) fn progress(&self, now: Instant, origin: Option<Aside>) -> DestinationProgress {
        let to_come = self.to_come();
        DestinationProgress {
            destination: self.report.destination.clone(),
            planned: self.report.planned,
            done: self.report.done,
            failed: self.report.failures.len() as u64,
            pending: (self.queue.len() + self.rest.len()) as u64,
            standing: self.standing(origin),
            skipped: self.is_skipped(),
            rate: self.rate.per_second(now),
            eta: if to_come > 0 { self.rate.eta(to_come, now) } else { None },
            rate_history: self.rate.history(),
            latency: self.rate.latency(),
            throttle: self.destination.vault.throttle(),
            unsaved: self.report.unsaved.clone(),
        }
    }
}

/// How long a task took; `None` if nothing was sent for it.
pub(super) fn took(outcome: &Outcome) -> Option<Duration> {
    (outcome.attempts > 0).then_some(outcome.took)
}

/// Why a lane does not begin.
#[derive(Debug)]
pub(super) struct Blocked {
    pub(super) reason: String,
    /// Who has the lock, if that is why.
    pub(super) locked: Option<LockHolder>,
}

impl From<String> for Blocked {
    fn from(reason: String) -> Self {
        Self { reason, locked: None }
    }
}
