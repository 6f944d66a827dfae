//! A lane's canaries: they come first, and what follows waits until they were looked at.

use std::collections::HashSet;

use super::{Lane, Stage};
use crate::engine::Destination;
use crate::engine::cycle::canary::Canary;
use crate::engine::plan::{DestinationPlan, Source, Task};
use crate::engine::report::{CycleId, Unverified};
use crate::kv::SecretPath;
use crate::state::StateError;

/// Why nothing may be begun, if somebody else wrote over a canary.
pub(super) fn foreign(plan: &DestinationPlan, destination: &Destination) -> Option<String> {
    let canary = destination.canary.as_ref()?;
    let drift = plan.drifted.iter().find(|drift| !drift.kept && canary.admits(&drift.origin))?;
    Some(format!(
        "{} is in canary, and somebody else wrote what is there: that wants a decision first",
        drift.destination
    ))
}

impl Lane {
    /// What an earlier cycle did with canaries, as far as is recorded; the latest first.
    pub(in crate::engine::cycle) async fn canaries_of(&self, cycle: CycleId) -> Result<Vec<Unverified>, StateError> {
        let Some(canary) = &self.destination.canary else { return Ok(Vec::new()) };
        let changes = self.record.changes_of(cycle).await?;
        Ok(changes.iter().filter(|change| canary.admits(&change.origin)).filter_map(Canary::of_change).collect())
    }

    /// Has to look at what earlier cycles wrote and could not verify, the latest first, before anything but the canaries
    /// follows. What takes no part any more, was undone since, or is left to somebody else by decision, is not looked at.
    ///
    /// # Errors
    /// [`StateError`] when the ledger cannot be read.
    pub(in crate::engine::cycle) async fn look_again(&mut self, unverified: Vec<Unverified>) -> Result<(), StateError> {
        let Destination { canary, filter, .. } = &self.destination;
        let mut seen = HashSet::new();
        let mut again = unverified;
        again.retain(|copy| seen.insert(copy.origin.clone()));
        again.retain(|copy| {
            let is_canary = canary.as_ref().is_some_and(|canary| canary.admits(&copy.origin));
            let is_copied = self.record.is_copied(&copy.origin);
            is_canary && filter.admits(&copy.origin) && is_copied == copy.copy_of.is_some()
        });
        if again.is_empty() {
            return Ok(());
        }
        let left = self.record.left_at(again.iter().map(|copy| &copy.destination)).await?;
        again.retain_mut(|copy| {
            let Some(entry) = left.get(&copy.destination) else { return true };
            if copy.copy_of.is_some() {
                // what vsync left there last may be later than what that cycle wrote
                copy.version = entry.version;
            }
            entry.foreign.is_none_or(|foreign| !foreign.kept)
        });
        // until all are verified, also those that are written anew: this cycle may not come to it
        self.report.unverified.clone_from(&again);
        let to_look_at: HashSet<&SecretPath> = again.iter().map(|copy| &copy.origin).collect();
        let mut written_anew = HashSet::new();
        let mut note = |task: &Task| {
            // what copies metadata alone says nothing about the value
            if task.source != Source::Metadata && to_look_at.contains(&task.origin) {
                written_anew.insert(task.origin.clone());
            }
        };
        self.queue.each(&mut note);
        self.rest.iter().for_each(note);
        again.retain(|copy| !written_anew.contains(&copy.origin));
        if again.is_empty() {
            return Ok(());
        }
        self.written.extend(again.into_iter().map(|copy| Canary { copy, again: true }));
        if self.stage == Stage::Work {
            self.rest = self.queue.drain();
            (self.stage, self.stage_left) = (Stage::Canary, 0);
        }
        Ok(())
    }

    /// Whether it has canaries, which are to be verified.
    pub(in crate::engine::cycle) fn has_canaries(&self) -> bool {
        self.destination.canary.is_some() && !self.manner.dry_run && !self.manner.undo
    }

    /// Whether there is something to write, or to look at.
    pub(in crate::engine::cycle) fn is_wanted(&self) -> bool {
        self.report.pending > 0 || !self.is_verified()
    }

    /// Whether its canaries, if there are any, are as they should be.
    pub(super) fn is_verified(&self) -> bool {
        !self.report.canaries_failed && self.report.unverified.is_empty()
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
