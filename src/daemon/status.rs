//! How a daemon is, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::Role;
use crate::engine::{CycleSnapshot, DestinationName, Ending, Limit, OperationCounts};

/// After this without a sign of life the loop is taken for dead.
const ALIVE: Duration = Duration::from_secs(30);
/// A look that is this many ticks late is too late …
const TICKS: u32 = 3;
/// … but not before this has passed: short ticks are easily missed.
const LATE: Duration = Duration::from_secs(30);

/// What the loop is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// Until the next tick.
    Waiting,
    /// Another process does the work.
    StandingBy,
    /// It finds out what the origin holds.
    Looking,
    /// A cycle runs.
    Copying,
    /// It has been asked to end.
    Stopping,
}

/// The whole picture.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Status {
    version: &'static str,
    pub(super) role: Role,
    pid: u32,
    started: Timestamp,
    pub(super) state: State,
    pub(super) next_tick: Option<Timestamp>,
    /// Whether [`Status::is_ready`]; filled in when somebody asks.
    ready: bool,
    pub(super) origin: OriginStatus,
    pub(super) destinations: Vec<DestinationStatus>,
    /// Sides whose certificates nobody checks.
    pub(super) tls_unverified: Vec<String>,
    /// The cycle that runs.
    cycle: Option<Running>,
    #[serde(skip)]
    pub(super) tick: Duration,
    #[serde(skip)]
    pub(super) snapshots: Option<watch::Receiver<Arc<CycleSnapshot>>>,
    #[serde(skip)]
    beat: Instant,
}

/// What is known of the origin.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct OriginStatus {
    /// When it, or its sync info, was last read.
    pub(super) looked: Option<Timestamp>,
    pub(super) secrets: u64,
    /// Parts of it that could not be read.
    pub(super) unknown: u64,
    /// Who keeps its sync info, if that is another process.
    pub(super) locked_by: Option<String>,
    pub(super) last_error: Option<String>,
    #[serde(skip)]
    pub(super) well: Option<Instant>,
}

/// How one destination stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct DestinationStatus {
    pub(super) destination: String,
    /// When it was last found to be in step, or its cycle ended.
    pub(super) looked: Option<Timestamp>,
    pub(super) last_cycle: Option<String>,
    pub(super) last_ending: Option<Ending>,
    /// What that cycle did.
    pub(super) done: OperationCounts,
    pub(super) in_sync: u64,
    /// Secrets whose last attempt failed.
    pub(super) failed: u64,
    /// Secrets that somebody else wrote.
    #[serde(flatten)]
    pub(super) foreign: Foreign,
    /// Secrets still to be copied or deleted, those that failed among them.
    pub(super) pending: u64,
    /// For how long the oldest of them has waited, in seconds; filled in when somebody asks.
    lag: Option<f64>,
    #[serde(skip)]
    pub(super) oldest: Option<Timestamp>,
    /// Who works on it, if that is another process.
    pub(super) locked_by: Option<String>,
    pub(super) last_error: Option<String>,
    #[serde(skip)]
    pub(super) well: Option<Instant>,
}

/// How many secrets somebody else wrote.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Foreign {
    /// Left alone, because somebody else changed them since vsync wrote them.
    pub(super) drifted: u64,
    /// Left alone, because they were there before vsync.
    pub(super) existing: u64,
    /// That stay as somebody else made them.
    pub(super) kept: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Running {
    cycle: String,
    planned: u64,
    ended: u64,
    failed: u64,
    rate: f64,
    /// How many requests each server is sent at once, and why no more.
    limits: Vec<Limit<'static>>,
}

impl DestinationStatus {
    pub(super) fn new(destination: &str) -> Self {
        Self {
            destination: destination.to_owned(),
            looked: None,
            last_cycle: None,
            last_ending: None,
            done: OperationCounts::default(),
            in_sync: 0,
            failed: 0,
            foreign: Foreign::default(),
            pending: 0,
            lag: None,
            oldest: None,
            locked_by: None,
            last_error: None,
            well: None,
        }
    }
}

impl Status {
    fn new(role: Role, tick: Duration) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            role,
            pid: std::process::id(),
            started: Timestamp::now(),
            state: State::Waiting,
            next_tick: None,
            ready: false,
            origin: OriginStatus::default(),
            destinations: Vec::new(),
            tls_unverified: Vec::new(),
            cycle: None,
            tick,
            snapshots: None,
            beat: Instant::now(),
        }
    }

    /// Whether the loop still turns.
    fn is_live(&self) -> bool {
        self.beat.elapsed() < ALIVE
    }

    /// Whether everything this daemon looks after was looked at a few ticks ago at most. Whoever stands by does what it
    /// should; and a cycle that takes its time is no reason for alarm.
    fn is_ready(&self) -> bool {
        let limit = (self.tick * TICKS).max(LATE);
        let busy = matches!(self.state, State::Copying | State::Looking);
        let in_time = |well: Option<Instant>| well.is_some_and(|well| busy || well.elapsed() <= limit);
        match self.role {
            Role::Origin => self.origin.locked_by.is_some() || in_time(self.origin.well),
            Role::Sync | Role::Destination => {
                self.destinations.iter().all(|one| one.locked_by.is_some() || in_time(one.well))
            }
        }
    }

    /// What is known of a destination.
    pub(super) fn of(&mut self, name: &DestinationName) -> Option<&mut DestinationStatus> {
        self.destinations.iter_mut().find(|one| one.destination == name.as_str())
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let with_trouble: Vec<&str> = self
            .destinations
            .iter()
            .filter(|one| one.last_error.is_some())
            .map(|one| one.destination.as_str())
            .chain(self.origin.last_error.as_ref().map(|_| "origin"))
            .collect();
        let state = match self.state {
            State::Copying => "copying",
            State::Stopping => "stopping",
            State::StandingBy => "standing by",
            State::Waiting | State::Looking => "in step",
        };
        let line =
            if with_trouble.is_empty() { state.to_owned() } else { format!("trouble: {}", with_trouble.join(", ")) };
        if self.tls_unverified.is_empty() { line } else { format!("{line} (TLS unverified)") }
    }
}

/// The picture, shared by the loop that changes it and the endpoint that shows it.
#[derive(Debug, Clone)]
pub(super) struct SharedStatus(Arc<Mutex<Status>>);

impl SharedStatus {
    pub(super) fn new(role: Role, tick: Duration) -> Self {
        Self(Arc::new(Mutex::new(Status::new(role, tick))))
    }

    /// Held only for as long as it takes to look or to change something.
    pub(super) fn lock(&self) -> MutexGuard<'_, Status> {
        // plain data, which a panic leaves as it is
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn beat(&self) {
        self.lock().beat = Instant::now();
    }

    pub(super) fn is_live(&self) -> bool {
        self.lock().is_live()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.lock().is_ready()
    }

    /// The picture as it is now, with the running cycle's numbers.
    pub(super) fn picture(&self) -> Status {
        let mut status = self.lock().clone();
        status.ready = status.is_ready();
        let now = Timestamp::now();
        for one in &mut status.destinations {
            one.lag = one.oldest.map(|oldest| now.duration_since(oldest).as_secs_f64().max(0.0));
        }
        status.cycle = status.snapshots.as_ref().map(|snapshots| {
            let snapshot = snapshots.borrow();
            Running {
                cycle: snapshot.cycle.to_string(),
                planned: snapshot.planned(),
                ended: snapshot.ended(),
                failed: snapshot.failed(),
                rate: snapshot.rate,
                limits: snapshot.limits().map(Limit::into_owned).collect(),
            }
        });
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_everything_was_looked_at_lately() {
        let mut status = Status::new(Role::Sync, Duration::from_secs(10));
        status.destinations = vec![DestinationStatus::new("us"), DestinationStatus::new("eu")];
        assert!(!status.is_ready(), "nothing was looked at yet");
        status.destinations[0].well = Some(Instant::now());
        status.destinations[1].locked_by = Some("anna".to_owned());
        assert!(status.is_ready(), "one looked at, one stood by for");
        status.tick = Duration::ZERO;
        let Some(long_ago) = Instant::now().checked_sub(LATE + Duration::from_secs(1)) else { return };
        status.destinations[0].well = Some(long_ago);
        assert!(!status.is_ready());
        status.state = State::Copying;
        assert!(status.is_ready(), "a long cycle");
    }
}
