//! A destination's part of a cycle: its tasks, its workers, what has become of them, and its sync info.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::engine::Destination;
use crate::engine::binding::Binding;
use crate::engine::event::DestinationProgress;
use crate::engine::plan::DestinationPlan;
use crate::engine::report::{CycleId, DestinationReport, Done, Outcome};
use crate::engine::worker::{Queue, Reach, Slot};
use crate::kv::SecretPath;
use crate::state::{State, StateError, SyncInfoWriter};
use crate::sync_info::SyncInfo;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) destination: Destination,
    pub(super) queue: Arc<Queue>,
    pub(super) reach: Arc<Reach>,
    /// One per worker there ever was, by number.
    pub(super) slots: Vec<Arc<Slot>>,
    /// The workers that run, by number - 1.
    pub(super) alive: Vec<bool>,
    pub(super) report: DestinationReport,
    recorded: SyncInfo,
    /// What the sync info belongs to; it is kept before the first write.
    binding: Option<Binding>,
    state: State,
    /// Records that go when the path they share is written: that path, and theirs.
    superseded: HashMap<SecretPath, Vec<SecretPath>>,
    /// Whether something was recorded since the last save began, or that save failed.
    changed: bool,
    /// Away while a save is under way.
    writer: Option<SyncInfoWriter>,
}

/// A save that is under way.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) lane: usize,
    writer: SyncInfoWriter,
    info: SyncInfo,
    result: Result<bool, StateError>,
}

impl Save {
    pub(super) async fn run(mut self) -> Self {
        self.result = self.writer.save(&mut self.info).await;
        self
    }
}

impl Lane {
    pub(super) fn new(destination: Destination, plan: DestinationPlan, state: State, dry_run: bool) -> Self {
        let planned = plan.counts();
        let mut recorded = plan.recorded;
        let mut changed = plan.moved > 0;
        let mut superseded: HashMap<SecretPath, Vec<SecretPath>> = HashMap::new();
        let to_write: HashSet<&SecretPath> = plan.tasks.iter().map(|task| &task.destination).collect();
        for (path, target) in plan.superseded {
            if to_write.contains(&target) {
                superseded.entry(target).or_default().push(path);
            } else {
                recorded.remove(&path);
                changed = true;
            }
        }
        Self {
            report: DestinationReport {
                destination: plan.destination,
                planned,
                done: crate::engine::OperationCounts::default(),
                pending: planned.total(),
                in_sync: plan.in_sync,
                unknown: plan.unknown.len() as u64,
                ended: None,
                unsaved: None,
                failures: Vec::new(),
            },
            queue: Arc::new(Queue::new(plan.tasks)),
            reach: Arc::new(Reach::new(destination.num_workers)),
            slots: Vec::new(),
            alive: Vec::new(),
            recorded,
            binding: plan.binding,
            superseded,
            changed: changed && !dry_run,
            writer: Some(SyncInfoWriter::new(state.clone(), plan.stored.as_ref())),
            state,
            destination,
        }
    }

    /// Keeps what must be kept before the first secret is written: that moved secrets are not where they now belong, and
    /// what the sync info belongs to. It also shows that the store takes something at all.
    pub(super) async fn prepare(&mut self, cycle: CycleId) -> Result<(), StateError> {
        if self.queue.len() == 0 && !self.changed {
            return Ok(());
        }
        if self.changed
            && let Some(writer) = &mut self.writer
        {
            writer.save(&mut self.recorded).await?;
            self.changed = false;
        }
        match &self.binding {
            Some(binding) => self.state.save_note(binding.encode(cycle)).await,
            None => Ok(()),
        }
    }

    /// Nothing can be recorded, so nothing may be written: all tasks stay pending.
    pub(super) fn block(&mut self, reason: &StateError) {
        self.queue = Arc::new(Queue::new(Vec::new()));
        self.changed = false;
        self.report.unsaved = Some(format!("nothing was written, because the state cannot be saved: {reason}"));
    }

    /// Takes in what became of a task.
    pub(super) fn fold(&mut self, outcome: &Outcome) {
        self.report.fold(outcome);
        match outcome.result {
            Ok(Done::Written(insight)) => {
                self.recorded.insert(outcome.task.origin.clone(), insight);
                for path in self.superseded.remove(&outcome.task.destination).into_iter().flatten() {
                    self.recorded.remove(&path);
                }
                self.changed = true;
            }
            Ok(Done::Deleted) => {
                self.recorded.remove(&outcome.task.origin);
                self.changed = true;
            }
            Ok(Done::Possible) | Err(_) => {}
        }
    }

    /// What there is to save, unless nothing has changed or a save is under way.
    pub(super) fn begin_save(&mut self, lane: usize) -> Option<Save> {
        if !self.changed {
            return None;
        }
        let writer = self.writer.take()?;
        self.changed = false;
        Some(Save { lane, writer, info: self.recorded.clone(), result: Ok(false) })
    }

    /// Takes in how a save ended; the reason if it failed.
    pub(super) fn end_save(&mut self, save: Save) -> Option<String> {
        self.writer = Some(save.writer);
        let count = save.info.buckets().len();
        if count != self.recorded.buckets().len() {
            // it has grown while being saved, and meanwhile went on to change in its old form
            self.recorded = self.recorded.with_buckets(count);
        }
        match save.result {
            Ok(_) => self.report.unsaved = None,
            Err(error) => {
                self.changed = true;
                self.report.unsaved = Some(error.to_string());
            }
        }
        self.report.unsaved.clone()
    }

    pub(super) fn has_unsaved(&self) -> bool {
        self.changed || self.writer.is_none()
    }

    pub(super) fn progress(&self) -> DestinationProgress {
        DestinationProgress {
            destination: self.report.destination.clone(),
            planned: self.report.planned,
            done: self.report.done,
            failed: self.report.failures.len() as u64,
            pending: self.queue.len() as u64,
            unsaved: self.report.unsaved.clone(),
        }
    }
}
