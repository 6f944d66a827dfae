//! A lane's canaries: they come first, and what follows waits until they were looked at.

use std::collections::HashSet;

use super::{Lane, Stage};
use crate::engine::Destination;
use crate::engine::cycle::canary::Canary;
use crate::engine::report::{CycleId, Unverified};

impl Lane {
    /// What an earlier cycle did with secrets of the origin, as far as is recorded; the latest first.
    pub(in crate::engine::cycle) async fn canaries_of(&self, cycle: CycleId) -> Vec<Unverified> {
        let changes = self.record.changes_of(cycle).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "it cannot be told which canaries {cycle} wrote");
            Vec::new()
        });
        changes.iter().filter_map(Canary::of_change).collect()
    }

    /// Has to look at what earlier cycles wrote and could not verify, the latest first, before anything but the canaries
    /// follows. What takes no part any more, or was undone since, is not looked at.
    pub(in crate::engine::cycle) fn look_again(&mut self, unverified: Vec<Unverified>) {
        let Destination { canary, filter, .. } = &self.destination;
        let mut seen = HashSet::new();
        let mut again = unverified;
        again.retain(|copy| seen.insert(copy.origin.clone()));
        again.retain(|copy| {
            let is_canary = canary.as_ref().is_some_and(|canary| canary.admits(&copy.origin));
            let is_copied = self.record.is_copied(&copy.origin);
            is_canary && filter.admits(&copy.origin) && is_copied == copy.copy_of.is_some()
        });
        self.queue.each(|task| again.retain(|copy| copy.origin != task.origin));
        again.retain(|copy| !self.rest.iter().any(|task| task.origin == copy.origin));
        if again.is_empty() {
            return;
        }
        self.written.extend(again.into_iter().map(|copy| Canary { copy, again: true }));
        if self.stage == Stage::Work {
            self.rest = self.queue.drain();
            (self.stage, self.stage_left) = (Stage::Canary, 0);
        } else if self.waits_for_its_wave() && self.rest.is_empty() {
            (self.rest, self.stage_left) = (self.queue.drain(), 0);
        }
    }

    /// Whether canaries come first here, and something after them.
    pub(in crate::engine::cycle) fn has_canaries(&self) -> bool {
        self.destination.canary.is_some() && self.report.pending > 0 && !self.manner.dry_run && !self.manner.undo
    }

    /// What was written for the canaries, if they have all ended, and well; why not otherwise.
    pub(in crate::engine::cycle) fn canaries(&mut self) -> Option<Result<Vec<Canary>, String>> {
        if self.stage != Stage::Canary || self.stage_left > 0 {
            return None;
        }
        self.stage = Stage::Verifying;
        self.report.unverified = self.written.iter().map(|canary| canary.copy.clone()).collect();
        Some(match self.report.failures.as_slice() {
            [] => Ok(std::mem::take(&mut self.written)),
            [first, rest @ ..] => {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                Err(format!("of the secrets in canary, {}{more} failed, so the rest was not begun", first.destination))
            }
        })
    }

    /// The canaries are as they should be: the rest follows.
    pub(in crate::engine::cycle) fn go_on(&mut self) {
        self.stage = Stage::Work;
        self.report.unverified.clear();
        let rest = std::mem::take(&mut self.rest);
        self.stage_left = rest.len();
        self.queue.fill(rest);
    }
}
