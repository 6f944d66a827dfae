//! A destination's part of a cycle: its tasks, its workers, what has become of them, and its sync info.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::Destination;
use crate::engine::binding::Binding;
use crate::engine::event::DestinationProgress;
use crate::engine::plan::DestinationPlan;
use crate::engine::report::{DestinationReport, Done, Outcome};
use crate::engine::worker::{Queue, Reach, Slot};
use crate::kv::SecretPath;
use crate::state::{State, StateError, SyncInfoWriter};
use crate::sync_info::{Index, SyncInfo};

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
    /// The index that the plan was made with.
    planned_with: Option<Index>,
    /// Ends this lane alone.
    pub(super) stop: CancellationToken,
    /// When it is to stop beginning tasks.
    pub(super) deadline: Option<Instant>,
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
    pub(super) fn new(
        destination: Destination,
        plan: DestinationPlan,
        state: State,
        dry_run: bool,
        stop: CancellationToken,
    ) -> Self {
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
                adopted: 0,
                kept: 0,
                drifted: plan.drifted.len() as u64,
                in_sync: plan.in_sync,
                unknown: plan.unknown.len() as u64,
                ended: None,
                unsaved: None,
                locked: None,
                blocked: None,
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
            planned_with: plan.stored,
            stop,
            deadline: destination.timeout.map(|timeout| Instant::now() + timeout),
            state,
            destination,
        }
    }

    /// Keeps what must be kept before the first secret is written: that moved secrets are not where they now belong, and
    /// what the sync info belongs to. It also shows that the store takes something at all.
    ///
    /// The error says why the lane must not begin.
    pub(super) async fn prepare(&mut self) -> Result<(), String> {
        if self.queue.len() == 0 && !self.changed {
            return Ok(());
        }
        let index = self.state.load_index().await.map_err(|error| format!("its state cannot be read: {error}"))?;
        if index != self.planned_with {
            return Err("another cycle has saved its state since the plan was made; plan again".to_owned());
        }
        self.keep_first().await.map_err(|error| format!("its state cannot be saved: {error}"))
    }

    async fn keep_first(&mut self) -> Result<(), StateError> {
        if self.changed
            && let Some(writer) = &mut self.writer
        {
            writer.save(&mut self.recorded).await?;
            self.changed = false;
        }
        match &self.binding {
            Some(binding) => self.state.save_note(binding.encode()).await,
            None => Ok(()),
        }
    }

    /// Nothing can be recorded, so nothing may be written: all tasks stay pending.
    pub(super) fn block(&mut self, reason: &str) {
        self.changed = false;
        self.report.blocked = Some(reason.to_owned());
    }

    /// A save broke down and took the writer with it: the next one writes everything.
    pub(super) fn lost_writer(&mut self, reason: &str) {
        if self.writer.is_none() {
            self.writer = Some(SyncInfoWriter::new(self.state.clone(), None));
            self.changed = true;
            self.report.unsaved = Some(reason.to_owned());
        }
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
