//! A destination's part of a cycle: its tasks, its workers, what has become of them, and its sync info.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::Destination;
use crate::engine::event::DestinationProgress;
use crate::engine::plan::DestinationPlan;
use crate::engine::report::{DestinationReport, Done, Outcome};
use crate::engine::worker::{Queue, Reach, Slot};
use crate::state::{StateError, SyncInfoWriter};
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
    /// Buckets that differ from what is saved.
    changed: BTreeSet<usize>,
    /// Away while a save is under way.
    writer: Option<SyncInfoWriter>,
}

/// A save that is under way.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) lane: usize,
    writer: SyncInfoWriter,
    info: SyncInfo,
    changed: BTreeSet<usize>,
    result: Result<bool, StateError>,
}

impl Save {
    pub(super) async fn run(mut self) -> Self {
        self.result = self.writer.save(&mut self.info, &self.changed).await;
        self
    }
}

impl Lane {
    pub(super) fn new(destination: Destination, plan: DestinationPlan, writer: SyncInfoWriter, dry_run: bool) -> Self {
        let planned = plan.counts();
        let mut lane = Self {
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
            recorded: plan.recorded,
            changed: BTreeSet::new(),
            writer: Some(writer),
            destination,
        };
        if !dry_run {
            for path in &plan.superseded {
                lane.changed.insert(lane.recorded.remove(path));
            }
        }
        lane
    }

    /// Takes in what became of a task.
    pub(super) fn fold(&mut self, outcome: &Outcome) {
        self.report.fold(outcome);
        match outcome.result {
            Ok(Done::Written(insight)) => {
                self.changed.insert(self.recorded.insert(outcome.task.origin.clone(), insight));
            }
            Ok(Done::Deleted) => {
                self.changed.insert(self.recorded.remove(&outcome.task.origin));
            }
            Ok(Done::Possible) | Err(_) => {}
        }
    }

    /// What there is to save, unless nothing has changed or a save is under way.
    pub(super) fn begin_save(&mut self, lane: usize) -> Option<Save> {
        if self.changed.is_empty() {
            return None;
        }
        let writer = self.writer.take()?;
        let changed = std::mem::take(&mut self.changed);
        Some(Save { lane, writer, info: self.recorded.clone(), changed, result: Ok(false) })
    }

    /// Takes in how a save ended; the reason if it failed.
    pub(super) fn end_save(&mut self, save: Save) -> Option<String> {
        self.writer = Some(save.writer);
        let count = save.info.buckets().len();
        if count != self.recorded.buckets().len() {
            // it has grown while being saved, and meanwhile went on to change in its old form
            self.recorded = self.recorded.with_buckets(count);
            self.changed = (0..count).collect();
        }
        match save.result {
            Ok(_) => self.report.unsaved = None,
            Err(error) => {
                self.changed.extend(save.changed);
                self.report.unsaved = Some(error.to_string());
            }
        }
        self.report.unsaved.clone()
    }

    pub(super) fn has_unsaved(&self) -> bool {
        !self.changed.is_empty() || self.writer.is_none()
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
