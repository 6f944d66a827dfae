//! One turn of the loop: look at the origin, plan, copy what is new.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::resting::unreached;
use super::sift::{Sifted, Verdict, sift};
use super::status::{Foreign, State};
use super::trouble::{Kind, Trouble};
use super::{Daemon, Note, Role};
use crate::engine::{
    Cause, CycleOptions, DestinationName, DestinationPlan, DestinationReport, Ending, EngineError, Inventory, Plan,
    PlanOptions, Report, Side, held_back_in_words,
};
use crate::kv::SecretPath;

/// What a round came to.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Something could not be looked at or begun: worth another try before the next tick.
    pub(super) stuck: bool,
    /// Whose troubles were looked for.
    looked: HashSet<String>,
    found: Vec<Trouble>,
}

impl Round {
    fn found(&mut self, subject: impl Into<String>, kind: Kind, message: impl Into<String>) {
        self.stuck |= matches!(kind, Kind::Survey | Kind::State | Kind::Locked | Kind::Blocked);
        self.found.push(Trouble::new(subject, kind, message));
    }
}

/// What is remembered of a destination's tasks while its cycle runs.
struct Tried {
    paths: HashSet<SecretPath>,
    /// Since when the oldest of its changes has waited.
    oldest: Option<Timestamp>,
    /// What is left for a later round.
    held_back: u64,
    /// What of that is held back because nobody has confirmed that it is destroyed or purged.
    unconfirmed: u64,
    /// What somebody else wrote, as far as it was known before.
    foreign: Foreign,
}

impl Daemon<'_> {
    pub(super) async fn round(&mut self) -> Round {
        let mut round = Round::default();
        self.show(State::Looking, Instant::now());
        let stop = self.stop.clone();
        let seen = self.look(&mut round).await;
        if seen.is_none() {
            self.saw_nothing();
        }
        if let Some(inventory) = seen {
            match self.options.role {
                Role::Origin => {
                    tokio::select! {
                        () = self.record(&inventory, &mut round) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Role::Sync | Role::Destination => self.copy(inventory, &mut round).await,
            }
        }
        if !self.stop.is_cancelled() {
            let Round { looked, found, .. } = &mut round;
            let found = std::mem::take(found);
            self.tell(|subject, kind| looked.contains(subject) && !matches!(kind, Kind::Lock | Kind::Watch), found);
        }
        round
    }

    /// What the origin holds; `None` if that cannot be told, or the daemon is to end.
    async fn look(&mut self, round: &mut Round) -> Option<Arc<Inventory>> {
        let engine = self.setup.engine.clone();
        round.looked.insert("origin".to_owned());
        let stop = self.stop.clone();
        let inventory = if self.options.role == Role::Destination {
            let recorded = tokio::select! {
                recorded = engine.recorded_origin(self.former.as_deref()) => recorded,
                () = stop.cancelled() => return None,
            };
            match recorded {
                Ok(Some(inventory)) => inventory,
                Ok(None) => {
                    let message = "it has no sync info yet; is its daemon running, with the same sync_path?";
                    round.found("origin", Kind::Survey, message);
                    return None;
                }
                Err(error) => {
                    round.found("origin", Kind::Survey, format!("its sync info cannot be read: {error}"));
                    return None;
                }
            }
        } else {
            let limit = self.setup.survey_limit;
            tokio::select! {
                inventory = engine.survey(None) => inventory,
                () = stop.cancelled() => return None,
                () = passed(limit) => {
                    let message = format!("it was not listed within origin.timeout ({:?})", limit.unwrap_or_default());
                    round.found("origin", Kind::Survey, message);
                    return None;
                }
            }
        };
        let unread = |mount: &str| inventory.unknown.iter().find(|unknown| unknown.prefix == mount);
        let mounts = &engine.origin().mounts;
        if let Some(first) = mounts.first().and_then(|mount| unread(mount.as_str()))
            && mounts.iter().all(|mount| unread(mount.as_str()).is_some())
        {
            round.found("origin", Kind::Survey, format!("it cannot be read: {}: {}", first.prefix, first.reason));
            return None;
        }
        if let Some(first) = inventory.unknown.first() {
            let more = match inventory.unknown.len() {
                1 => String::new(),
                count => format!(" ({count} such parts)"),
            };
            let message =
                format!("part of it cannot be read, and stays as it is: {}: {}{more}", first.prefix, first.reason);
            round.found("origin", Kind::Incomplete, message);
        }
        let inventory = Arc::new(inventory);
        {
            let mut status = self.status.lock();
            status.origin.looked = Some(Timestamp::now());
            status.origin.secrets = inventory.secrets.len() as u64;
            status.origin.unknown = inventory.unknown.len() as u64;
            status.origin.well = Some(Instant::now());
        }
        if inventory.recorded {
            self.former = Some(Arc::clone(&inventory));
        }
        Some(inventory)
    }

    /// Without a look at the origin nobody can say that anything is in step.
    fn saw_nothing(&self) {
        let mut status = self.status.lock();
        status.origin.well = None;
        for one in &mut status.destinations {
            one.well = None;
        }
    }

    /// Saves the origin's sync info.
    async fn record(&mut self, inventory: &Inventory, round: &mut Round) {
        match self.setup.engine.record_origin(inventory).await {
            Ok(record) if record.changed => self.observer.note(&Note::Recorded(record)),
            Ok(_) => {}
            Err(error) => {
                let kind = if matches!(error, EngineError::EmptiedOrigin) { Kind::Guard } else { Kind::State };
                self.status.lock().origin.well = None;
                round.found("origin", kind, error.to_string());
            }
        }
    }

    /// Brings the destinations that are this process's in step.
    async fn copy(&mut self, inventory: Arc<Inventory>, round: &mut Round) {
        let engine = self.setup.engine.clone();
        let only: Vec<DestinationName> = self
            .posts
            .iter()
            .filter(|post| post.is_held())
            .filter_map(|post| match &post.side {
                Side::Destination(name) => Some(name.clone()),
                Side::Origin => None,
            })
            .collect();
        let stop = self.stop.clone();
        tokio::select! {
            () = self.resting.ask(&engine) => {}
            () = stop.cancelled() => return,
        }
        let options = PlanOptions { only, ..PlanOptions::default() };
        let plan = tokio::select! {
            plan = engine.plan(Arc::clone(&inventory), &options) => plan,
            () = stop.cancelled() => return,
        };
        let (plan, mut tried) = self.sift(plan, round);
        if plan.destinations.is_empty() {
            // otherwise the cycle does it
            if !inventory.recorded {
                tokio::select! {
                    () = self.record(&inventory, round) => {}
                    () = stop.cancelled() => {}
                }
            }
            return;
        }
        let options = CycleOptions {
            purpose: self.options.role.as_str(),
            waits: false,
            confirmed: plan.irrevocable(),
            ..CycleOptions::default()
        };
        let handle = match engine.start(plan, options) {
            Ok(handle) => handle,
            Err(error) => {
                round.found("origin", Kind::State, error.to_string());
                return;
            }
        };
        self.status.lock().snapshots = Some(handle.snapshots());
        self.show(State::Copying, Instant::now());
        let control = handle.control();
        let ended = handle.wait();
        tokio::pin!(ended);
        let report = tokio::select! {
            report = &mut ended => report,
            () = stop.cancelled() => {
                control.cancel();
                self.observer.note(&Note::Stopping);
                ended.await
            }
        };
        self.status.lock().snapshots = None;
        if did_something(&report) {
            self.observer.note(&Note::Cycle(&report));
        }
        for part in &report.destinations {
            if let Some(tried) = tried.remove(&part.destination) {
                self.fold(&report, part, &tried, round);
            }
        }
        if let Some(reason) = &report.origin_unsaved {
            round.found("origin", Kind::State, format!("its sync info was not saved: {reason}"));
        }
        if let Some(reason) = &report.unkept {
            round.found("origin", Kind::Unsaved, format!("the cycle's report was not kept: {reason}"));
        }
    }

    /// What of a plan is to be done now, and what is to be remembered of it. The rest is trouble, or has to wait.
    fn sift(&mut self, plan: Plan, round: &mut Round) -> (Plan, HashMap<DestinationName, Tried>) {
        let ours: Vec<DestinationName> = plan.destinations.iter().map(|part| part.destination.clone()).collect();
        let (mut plan, sifted) = sift(&self.setup.engine, plan, &ours, &mut self.setbacks, &mut self.resting);
        let mut tried = HashMap::new();
        for Sifted { part, all, oldest, verdict } in sifted {
            let name = part.destination.clone();
            round.looked.insert(name.to_string());
            {
                let mut status = self.status.lock();
                let Some(status) = status.of(&name) else { continue };
                status.in_sync = part.in_sync;
                status.pending = all;
                status.oldest = oldest;
            }
            self.found_failures(&name, round);
            let foreign = foreign(&part);
            self.found_foreign(&name, foreign, round);
            found_unconfirmed(&name, part.held_back, round);
            let (kind, message) = match verdict {
                Verdict::Idle => {
                    self.well(&name);
                    continue;
                }
                Verdict::Ready => {
                    let paths: HashSet<SecretPath> = part.tasks.iter().map(|task| task.origin.clone()).collect();
                    let held_back = all - paths.len() as u64;
                    tried.insert(name, Tried { paths, oldest, held_back, unconfirmed: part.held_back, foreign });
                    plan.destinations.push(part);
                    continue;
                }
                Verdict::Unreadable(reason) => (Kind::State, reason),
                Verdict::Guarded(reasons) => (Kind::Guard, format!("stopped before the first write: {reasons}")),
                Verdict::Unreached(reason) => (Kind::Unreached, reason),
                Verdict::Waiting(reason) => (Kind::Wave, reason),
            };
            self.unwell(&name);
            round.found(name.as_str(), kind, message);
        }
        (plan, tried)
    }

    /// Takes in what became of one destination.
    fn fold(&mut self, report: &Report, part: &DestinationReport, tried: &Tried, round: &mut Round) {
        let name = &part.destination;
        self.setbacks.fold(part, &tried.paths);
        round.found.retain(|trouble| trouble.subject != name.as_str());
        self.found_failures(name, round);
        found_unconfirmed(name, tried.unconfirmed, round);
        let kept = tried.foreign.kept + part.kept;
        self.found_foreign(name, Foreign { kept, ..tried.foreign }, round);
        let failed = self.setbacks.causes(name).iter().map(|(_, count)| count).sum();
        let waiting_since = self.setbacks.oldest(name);
        {
            let mut status = self.status.lock();
            if let Some(status) = status.of(name) {
                status.last_cycle = Some(report.cycle.to_string());
                status.last_ending = Some(report.ending);
                status.done = part.done;
                status.in_sync = part.in_sync + part.done.add + part.done.update;
                status.failed = failed;
                let to_try_again = part.failures.iter().filter(|failure| !failure.cause.is_foreign()).count() as u64;
                status.pending = part.pending + to_try_again + tried.held_back;
                status.oldest = if part.pending > 0 { tried.oldest } else { waiting_since };
            }
        }
        match &part.blocked {
            Some(reason) if part.wants_rest() => self.resting.add(name, reason, part.canaries_failed),
            _ => self.resting.remove(name),
        }
        match (&part.locked, &part.blocked) {
            (_, Some(reason)) if part.wants_rest() => {
                round.found(name.as_str(), Kind::Unreached, unreached(reason, part.pending));
            }
            (Some(holder), _) => {
                round.found(name.as_str(), Kind::Locked, format!("another cycle is at work, of {holder}"));
            }
            (None, Some(reason)) => {
                let what = if part.has_begun() { "it was stopped" } else { "nothing was written" };
                round.found(name.as_str(), Kind::Blocked, format!("{what}: {reason}"));
            }
            (None, None) => {}
        }
        if let Some(reason) = &part.unsaved {
            round.found(name.as_str(), Kind::Unsaved, format!("what was done is not saved yet: {reason}"));
        }
        if part.locked.is_some() || part.blocked.is_some() { self.unwell(name) } else { self.well(name) }
    }

    fn found_failures(&self, name: &DestinationName, round: &mut Round) {
        let causes = self.setbacks.causes(name);
        let count: u64 = causes.iter().map(|(_, count)| count).sum();
        if let Some(status) = self.status.lock().of(name) {
            status.failed = count;
        }
        if count > 0 {
            let causes: Vec<String> =
                causes.iter().map(|(cause, count)| format!("{} {count}", cause.as_str())).collect();
            let message = format!(
                "{count} failed ({}) and are tried again after a while; \"vsync history\" lists them",
                causes.join(", ")
            );
            round.found(name.as_str(), Kind::Failures, message);
        }
    }

    /// Takes in what somebody else wrote: what was known before, and what a cycle has met since.
    fn found_foreign(&self, name: &DestinationName, known: Foreign, round: &mut Round) {
        let foreign = Foreign {
            drifted: known.drifted + self.setbacks.foreign(name, Cause::Drift),
            existing: known.existing + self.setbacks.foreign(name, Cause::Existing),
            kept: known.kept,
        };
        if let Some(status) = self.status.lock().of(name) {
            status.foreign = foreign;
        }
        for (kind, count, what) in [
            (Kind::Drift, foreign.drifted, "changed there by somebody else after vsync wrote them"),
            (Kind::Existing, foreign.existing, "there before vsync wrote them"),
        ] {
            if count > 0 {
                let message =
                    format!("{count} secrets were {what} and are left as they are; \"vsync status\" lists them");
                round.found(name.as_str(), kind, message);
            }
        }
    }

    fn well(&self, name: &DestinationName) {
        if let Some(status) = self.status.lock().of(name) {
            status.looked = Some(Timestamp::now());
            status.well = Some(Instant::now());
        }
    }

    fn unwell(&self, name: &DestinationName) {
        if let Some(status) = self.status.lock().of(name) {
            status.well = None;
        }
    }
}

fn found_unconfirmed(name: &DestinationName, held_back: u64, round: &mut Round) {
    if held_back > 0 {
        round.found(name.as_str(), Kind::Unconfirmed, held_back_in_words(name, held_back));
    }
}

/// What somebody else wrote, as a plan knows it.
fn foreign(part: &DestinationPlan) -> Foreign {
    part.drifted.iter().fold(Foreign::default(), |mut counts, drift| {
        match (drift.kept, drift.ours) {
            (true, _) => counts.kept += 1,
            (false, 0) => counts.existing += 1,
            (false, _) => counts.drifted += 1,
        }
        counts
    })
}

/// Whether there is something to tell of a cycle. That somebody else was at work is trouble, and told as such.
fn did_something(report: &Report) -> bool {
    let only_blocked = report.ending == Ending::Halted && report.destinations.iter().all(|part| part.blocked.is_some());
    report.done().total() + report.failed() > 0 || !matches!(report.ending, Ending::Completed) && !only_blocked
}

async fn passed(limit: Option<std::time::Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}
