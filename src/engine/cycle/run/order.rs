//! Which destination comes when: waves, canaries, and those that are set aside.

use std::sync::Arc;

use tokio::task;

use super::{LookedAt, Run};
use crate::engine::cycle::canary::verify;
use crate::engine::cycle::lane::Lane;
use crate::engine::event::Phase;

impl Run {
    /// Later waves wait for the first one that has something to do, or whose canaries want a decision.
    pub(super) fn wait_for_waves(&mut self) {
        // what is only tried, or taken back, has no order
        if self.options.dry_run || self.options.undoes.is_some() {
            return;
        }
        let last = self.lanes.iter().filter(|lane| lane.report.pending > 0).map(Lane::wave).max();
        for at in 0..self.lanes.len() {
            let lane = &mut self.lanes[at];
            // where nobody has anything to do, the cycle is there to look
            let is_asked = lane.report.pending > 0 || last.is_none_or(|last| lane.wave() < last);
            if is_asked && let Some(reason) = lane.foreign_canary.take() {
                self.canaries_failed(at, reason);
            }
        }
        let wanted = |lane: &&Lane| lane.is_wanted();
        let Some(first) = self.lanes.iter().filter(wanted).map(Lane::wave).min() else { return };
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_wanted() && lane.wave() > first) {
            lane.wait_for_wave(first);
        }
    }

    /// Lanes of the first wave begin.
    pub(super) fn begin_lanes(&mut self) {
        let begins = |lane: &&mut Lane| !lane.waits_for_its_wave() && lane.report.blocked.is_none();
        let shared = self.lanes.iter_mut().filter(begins).count() > 1;
        let reads = shared.then_some(&*self.reads);
        self.lanes.iter_mut().filter(begins).for_each(|lane| lane.begin(reads));
        self.mind_all_canaries();
    }

    /// Some are only to be looked at.
    fn mind_all_canaries(&mut self) {
        for at in 0..self.lanes.len() {
            if !self.lanes[at].waits_for_its_wave() && self.lanes[at].report.blocked.is_none() {
                self.mind_canaries(at);
            }
        }
    }

    /// Begins the next wave, if the ones before have ended without failures; notes why not otherwise.
    pub(super) fn next_wave(&mut self) {
        if self.control.stop.is_cancelled() {
            return;
        }
        let waiting = self.lanes.iter().filter(|lane| lane.waits_for_its_wave() && lane.report.blocked.is_none());
        let Some(next) = waiting.map(Lane::wave).min() else { return };
        let unclean: Vec<String> = self
            .lanes
            .iter()
            .filter(|lane| lane.wave() < next && !lane.is_clean())
            .map(|lane| {
                let (failed, pending) = (lane.report.failures.len(), lane.report.pending);
                let canaries = if lane.report.canaries_failed { ", canaries not verified" } else { "" };
                format!(
                    "{} (wave {}): {failed} failed, {pending} pending{canaries}",
                    lane.destination.name,
                    lane.wave()
                )
            })
            .collect();
        if !unclean.is_empty() {
            let reason = format!("an earlier wave has not ended without failures: {}", unclean.join("; "));
            for lane in self.lanes.iter_mut().filter(|lane| lane.waits_for_its_wave()) {
                tracing::warn!(destination = %lane.destination.name, "nothing is written: {reason}");
                lane.halt(reason.clone());
                let _ = self.events.send(lane.blocked_event(&reason));
            }
            return;
        }
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if lane.waits_for_its_wave()
                && lane.wave() == next
                && let Some(created) = lane.create_mounts()
            {
                self.openings.spawn(async move { (at, created.await) });
            }
        }
        if !self.openings.is_empty() {
            return;
        }
        tracing::info!(wave = next, "the wave begins");
        let in_it = |lane: &&mut Lane| lane.waits_for_its_wave() && lane.wave() == next;
        let shared = self.lanes.iter_mut().filter(in_it).count() > 1;
        let reads = shared.then_some(&*self.reads);
        self.lanes.iter_mut().filter(in_it).for_each(|lane| lane.begin(reads));
        for lane in self.lanes.iter_mut().filter(|lane| lane.waits_for_its_wave()) {
            lane.wait_for_wave(next);
        }
        self.mind_all_canaries();
        self.staff();
    }

    /// Takes in whether the mounts of a lane whose wave begins were created.
    pub(super) fn opened(&mut self, opened: Result<(usize, Result<(), String>), task::JoinError>) {
        match opened {
            Ok((_, Ok(()))) => {}
            Ok((at, Err(reason))) => self.halt(at, reason),
            Err(error) => tracing::error!(%error, "creating mounts failed unexpectedly"),
        }
    }

    /// Takes in whether what was written for the canaries of a lane is as it should be.
    pub(super) fn canaries_looked_at(&mut self, looked_at: Result<LookedAt, task::JoinError>) {
        match looked_at {
            Ok(None) => {}
            Ok(Some((at, Ok(())))) => {
                tracing::info!(destination = %self.lanes[at].destination.name, "the canaries are as they should be");
                self.lanes[at].go_on();
                self.verified = true;
                if self.phase == Phase::Running {
                    self.staff();
                }
            }
            Ok(Some((at, Err(reason)))) => self.canaries_failed(at, reason),
            // the lane's rest stays pending
            Err(error) => tracing::error!(%error, "looking at the canaries failed unexpectedly"),
        }
    }

    pub(super) fn halt(&mut self, at: usize, reason: String) {
        let lane = &mut self.lanes[at];
        tracing::warn!(destination = %lane.destination.name, "stopped: {reason}");
        lane.forgo(&self.reads);
        let event = lane.blocked_event(&reason);
        lane.halt(reason);
        let _ = self.events.send(event);
    }

    pub(super) fn canaries_failed(&mut self, at: usize, reason: String) {
        self.lanes[at].report.canaries_failed = true;
        self.halt(at, reason);
    }

    /// Sees to the canaries of a lane, once they have all ended.
    pub(super) fn mind_canaries(&mut self, at: usize) {
        match self.lanes[at].canaries() {
            None => {}
            Some(Err(reason)) => self.canaries_failed(at, reason),
            Some(Ok(written)) => {
                let Lane { destination, looks, stop, .. } = &self.lanes[at];
                let origin = self.engine.origin_reader().observed(looks.clone());
                let (destination, stop) = (destination.vault.observed(looks.clone()), stop.clone());
                self.checks.spawn(async move {
                    tokio::select! {
                        looked = verify(origin, destination, written) => Some((at, looked)),
                        () = stop.cancelled() => None,
                    }
                });
            }
        }
    }

    /// Values are not held for those that are set aside or stopped. Where nobody wants to wait, those that are the only
    /// ones left are given up.
    pub(super) fn mind_those_aside(&mut self) {
        let origin_is_aside = self.origin_reach.aside().is_some();
        for lane in &mut self.lanes {
            if !lane.waits_for_its_wave() && (!lane.is_at_work() || lane.reach.aside().is_some()) {
                lane.forgo(&self.reads);
            }
        }
        self.doubt_those_who_hold_up();
        self.origin_reach.lose_patience();
        self.lanes.iter().for_each(|lane| lane.reach.lose_patience());
        let is_aside = |lane: &Lane| origin_is_aside || lane.reach.aside().is_some();
        if !self.options.waits && self.lanes.iter().filter(|lane| lane.is_at_work()).all(is_aside) {
            self.origin_reach.give_up();
            self.lanes.iter().for_each(|lane| lane.reach.give_up());
        }
        self.leave_those_that_are_gone();
    }

    /// Asks servers how they are whose requests are tried again or not answered for long.
    fn doubt_those_who_hold_up(&self) {
        for lane in self.lanes.iter().filter(|lane| lane.is_held_up()) {
            for reach in [&lane.reach, &self.origin_reach] {
                let reach = Arc::clone(reach);
                tokio::spawn(async move { reach.doubt().await });
            }
        }
    }

    /// Workers of servers that are gone need not try any longer.
    fn leave_those_that_are_gone(&mut self) {
        let origin_is_gone = self.origin_reach.gone().is_some();
        for lane in &mut self.lanes {
            if (origin_is_gone || lane.reach.gone().is_some())
                && !lane.stop.is_cancelled()
                && !lane.waits_for_its_wave()
            {
                lane.leave();
            }
        }
    }

    pub(super) fn note_what_is_left(&mut self) {
        let origin = self.origin_reach.gone();
        for lane in &mut self.lanes {
            let was_blocked = lane.report.blocked.is_some();
            lane.note_gone(origin.clone());
            if !was_blocked && let Some(reason) = &lane.report.blocked {
                tracing::warn!(destination = %lane.destination.name, "the rest stays pending: {reason}");
                let _ = self.events.send(lane.blocked_event(reason));
            }
        }
    }
}
