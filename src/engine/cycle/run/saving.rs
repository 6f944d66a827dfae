//! Keeping what a cycle has done: state while it runs, the rest at its end, and its report.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task;

use super::{EARLY_PATIENCE, Run};
use crate::engine::cycle::amend::amend;
use crate::engine::cycle::lane::Lane;
use crate::engine::cycle::record::Save;
use crate::engine::event::{CycleSnapshot, Event, Limit};
use crate::engine::plan::DestinationName;
use crate::engine::report::{Ending, Report};
use crate::state::State;

/// How often the report is kept while the cycle runs.
const KEEP_EVERY: Duration = Duration::from_secs(10);
/// Pauses before state that could not be saved at the end is tried again.
const LAST_SAVES: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];

impl Run {
    /// `all`: also what had better wait a little.
    pub(super) fn save(&mut self, all: bool) {
        if self.options.dry_run {
            return;
        }
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if let Some(save) = lane.begin_save(at, all) {
                self.saves.spawn(save.run());
            }
        }
        self.keep_early();
    }

    /// Keeps the report as it is by now, so that a cycle that is killed has its place in the history, too.
    pub(super) fn keep_early(&mut self) {
        let now = Instant::now();
        let due = self
            .early_report
            .as_ref()
            .is_none_or(|(at, task)| task.is_finished() && now.duration_since(*at) >= KEEP_EVERY);
        let at_work = |lane: &Lane| lane.report.planned.total() > 0 && lane.report.blocked.is_none();
        if !due || !self.lanes.iter().any(at_work) {
            return;
        }
        let report = Report { ending: Ending::Unfinished, ..self.report(None) };
        let engine = self.engine.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = engine.keep_report(&report).await {
                tracing::warn!("the report so far was not kept: {error}");
            }
        });
        self.early_report = Some((now, task));
    }

    /// The final report must not be overwritten by one that is late.
    pub(super) async fn settle_early_report(&mut self) {
        if let Some((_, mut task)) = self.early_report.take()
            && tokio::time::timeout(EARLY_PATIENCE, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    pub(super) fn saved(&mut self, saved: Result<Save, task::JoinError>) {
        match saved {
            Ok(save) => {
                let lane = &mut self.lanes[save.lane];
                if let Some(reason) = lane.end_save(save) {
                    tracing::error!(destination = %lane.destination.name, "state not saved: {reason}");
                    let _ = self.events.send(Event::Unsaved(lane.destination.name.clone(), reason));
                }
            }
            Err(error) => {
                tracing::error!(%error, "saving state failed unexpectedly");
                self.lost_save = Some(error.to_string());
            }
        }
    }

    /// Saves what is not saved yet, and tries again for a while if the store refuses.
    pub(super) async fn save_rest(&mut self, snapshots: &watch::Sender<Arc<CycleSnapshot>>) {
        let mut pauses = LAST_SAVES.iter();
        loop {
            self.save(true);
            self.publish(snapshots);
            while let Some(saved) = self.saves.join_next().await {
                self.saved(saved);
            }
            if let Some(reason) = self.lost_save.take() {
                // no save is under way any more, so whatever writer is away is lost
                self.lanes.iter_mut().for_each(|lane| lane.lost_save(&reason));
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

    /// Records what the origin holds, unless that is where it was read from; the reason if it did not work.
    pub(super) fn save_origin(&self) -> tokio::task::JoinHandle<Option<String>> {
        let engine = self.engine.clone();
        let inventory = Arc::clone(&self.inventory);
        let (dry_run, purpose) = (self.options.dry_run, self.options.purpose);
        tokio::spawn(async move {
            if dry_run || inventory.recorded {
                return None;
            }
            let reason = engine.record_origin_beside(&inventory, purpose).await.err()?.to_string();
            tracing::error!("the origin's state was not saved: {reason}");
            Some(reason)
        })
    }

    /// Counts in the history what cycles did that never said how they ended.
    pub(super) fn amend_interrupted(&self) -> tokio::task::JoinHandle<()> {
        let (engine, cycle) = (self.engine.clone(), self.id);
        let follows = self.lanes.iter().any(Lane::follows_an_interrupted_one);
        let locked: HashMap<DestinationName, State> = self.lanes.iter().filter_map(Lane::locked).collect();
        tokio::spawn(async move {
            if follows && let Err(error) = amend(&engine, cycle, &locked).await {
                tracing::warn!(%error, "reports of cycles that were cut off are not brought up to date");
            }
        })
    }

    pub(super) fn report(&self, origin_unsaved: Option<String>) -> Report {
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
            purpose: self.options.purpose.to_owned(),
            undoes: self.options.undoes,
            origin_unknown: self.inventory.unknown.clone(),
            origin_unsaved,
            unkept: None,
            limits: self.snapshot().limits().map(Limit::into_owned).collect(),
            destinations: self.lanes.iter().map(|lane| lane.report.clone()).collect(),
        }
    }

    /// Keeps the report in the state store, unless there was nothing to be done, nor canaries to be verified. The reason if
    /// that did not work.
    pub(super) async fn keep(&self, report: &Report) -> Option<String> {
        // whoever found everything locked has done nothing worth remembering
        let locked_out = report.destinations.iter().all(|part| part.locked.is_some() || part.planned.total() == 0);
        let is_idle = report.planned().total() == 0 || (locked_out && report.done().total() == 0);
        if report.dry_run || is_idle && !self.verified {
            return None;
        }
        let mut pauses = LAST_SAVES.iter();
        loop {
            let error = self.engine.keep_report(report).await.err()?;
            let Some(pause) = pauses.next() else {
                tracing::error!("the report was not kept: {error}");
                let _ = self.events.send(Event::NotKept(error.to_string()));
                return Some(error.to_string());
            };
            tokio::time::sleep(*pause).await;
        }
    }
}
