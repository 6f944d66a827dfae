//! What a running cycle tells: a snapshot of everything, newest wins, and events that must not be missed.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::plan::{DestinationName, Operation, OperationCounts};
use super::report::{CycleId, Failure, Report};
use crate::http::Throttle;
use crate::kv::SecretPath;

/// Where a cycle stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Workers take tasks.
    Running,
    /// Workers finish what they hold and take no more until resumed.
    Paused,
    /// Cancelled or timed out: workers finish what they hold.
    Stopping,
    /// All is done and saved; the report is there.
    Ended,
}

/// What a worker does at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Reading the origin, or making sure there that the secret is gone.
    Reading,
    /// Writing the destination.
    Writing,
    /// Deleting at the destination.
    Deleting,
    /// Asking for capabilities, in a dry run.
    Checking,
}

impl Step {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Writing => "writing",
            Self::Deleting => "deleting",
            Self::Checking => "checking",
        }
    }
}

/// The task a worker holds.
#[derive(Debug, Clone, Serialize)]
pub struct Activity {
    /// What is to be done.
    pub operation: Operation,
    /// What is being done for it now.
    pub step: Step,
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Where it goes.
    pub destination: SecretPath,
    /// For how long the worker has held it.
    pub elapsed: Duration,
    /// How often the request under way has been sent.
    pub attempts: u32,
}

/// One worker.
#[derive(Debug, Clone, Serialize)]
pub struct WorkerRow {
    /// Its number, from 1, among the destination's workers.
    pub number: usize,
    /// The destination it works for.
    pub destination: DestinationName,
    /// What it holds; `None` while it waits.
    pub activity: Option<Activity>,
    /// Tasks it has ended.
    pub ended: u64,
}

/// Where one destination stands.
#[derive(Debug, Clone, Serialize)]
pub struct DestinationProgress {
    /// The destination.
    pub destination: DestinationName,
    /// What is to be done.
    pub planned: OperationCounts,
    /// What has been done.
    pub done: OperationCounts,
    /// What has failed.
    pub failed: u64,
    /// What is left, without the tasks that workers hold.
    pub pending: u64,
    /// What it does.
    pub standing: Standing,
    /// Somebody skipped it: what is left stays pending.
    pub skipped: bool,
    /// Tasks ended here per second, over the last few seconds.
    pub rate: f64,
    /// When it will be done here at this rate; `None` while that cannot be told, and when nothing more is begun.
    pub eta: Option<Duration>,
    /// Tasks ended here in each of the last seconds, oldest first; at most 120.
    pub rate_history: Vec<u64>,
    /// How long tasks took here that ended in the last few seconds.
    pub latency: Latency,
    /// How many requests its server is sent at once, and why no more; `None` if their number is not limited.
    pub throttle: Option<Throttle>,
    /// Why the last attempt to save state failed; `None` when it worked.
    pub unsaved: Option<String>,
}

impl DestinationProgress {
    /// Tasks that have ended, well or not.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.done.total() + self.failed
    }
}

/// A server that did not answer, and is asked again later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// It is the origin.
    pub origin: bool,
    /// For how long it has been set aside.
    pub since: Duration,
    /// What it answered, or why it did not.
    pub reason: String,
    /// How long until it is asked again.
    pub next: Duration,
}

/// What a destination does at this moment of the cycle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its workers take tasks, or have done so.
    AtWork,
    /// The secrets of `canary` come first.
    Canary,
    /// What was written for `canary` is compared with the origin.
    Verifying,
    /// It waits until the destinations of this wave have ended.
    AfterWave(u32),
    /// Its server, or the origin's, does not answer.
    SetAside(Aside),
}

/// How long tasks took, from when a worker took them up until they had ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half of them took no longer. Zero: none has ended.
    pub p50: Duration,
    /// Of twenty, nineteen took no longer.
    pub p95: Duration,
}

/// The whole picture of a cycle at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct CycleSnapshot {
    /// The cycle.
    pub cycle: CycleId,
    /// Where it stands.
    pub phase: Phase,
    /// Whether it only tries what it could do.
    pub dry_run: bool,
    /// When it started.
    pub started: Timestamp,
    /// For how long it has run.
    pub elapsed: Duration,
    /// One per destination, in the configuration's order.
    pub destinations: Vec<DestinationProgress>,
    /// One per worker, by destination and number.
    pub workers: Vec<WorkerRow>,
    /// Tasks ended per second, over the last few seconds.
    pub rate: f64,
    /// When it will be done at this rate; `None` while that cannot be told.
    pub eta: Option<Duration>,
    /// Tasks ended in each of the last seconds, oldest first; at most 120.
    pub rate_history: Vec<u64>,
    /// How long tasks took that ended in the last few seconds.
    pub latency: Latency,
    /// The same for each of the last seconds, oldest first; at most 120.
    pub latency_history: Vec<Latency>,
    /// How many requests the origin is sent at once, and why no more; `None` if their number is not limited.
    pub origin_throttle: Option<Throttle>,
    /// The latest failures, newest first; at most 50.
    pub recent_failures: Vec<(DestinationName, Failure)>,
}

impl CycleSnapshot {
    /// Tasks in the plan.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.destinations.iter().map(|part| part.planned.total()).sum()
    }

    /// Tasks that have ended, well or not.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.destinations.iter().map(DestinationProgress::ended).sum()
    }

    /// Tasks that have failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.destinations.iter().map(|part| part.failed).sum()
    }

    /// How many requests each server is sent at once, and why no more: the origin, then the destinations.
    pub fn limits(&self) -> impl Iterator<Item = Limit<'_>> {
        let origin = [("origin", self.origin_throttle)];
        let destinations = self.destinations.iter().map(|part| (part.destination.as_str(), part.throttle));
        origin.into_iter().chain(destinations).filter_map(|(side, throttle)| {
            let throttle = throttle?;
            Some(Limit { side: Cow::Borrowed(side), text: throttle.to_string(), throttle })
        })
    }
}

/// How many requests one server is sent at once, and why no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit<'a> {
    /// `origin`, or a destination's name.
    pub side: Cow<'a, str>,
    /// For people: `limit 8 of 16 (halved 3 s ago: 429)`.
    pub text: String,
    /// The same for programs.
    #[serde(flatten)]
    pub throttle: Throttle,
}

impl Limit<'_> {
    /// One that borrows nothing.
    #[must_use]
    pub fn into_owned(self) -> Limit<'static> {
        Limit { side: Cow::Owned(self.side.into_owned()), ..self }
    }
}

/// What must not be missed.
#[derive(Debug, Clone)]
pub enum Event {
    /// A task was given up.
    Failed(DestinationName, Failure),
    /// State could not be saved; it is tried again.
    Unsaved(DestinationName, String),
    /// Nothing more is begun at a destination.
    Blocked {
        /// Which one.
        destination: DestinationName,
        /// Whether something was done or tried there before.
        begun: bool,
        /// Why.
        reason: String,
    },
    /// The report could not be kept. The reason.
    NotKept(String),
    /// The cycle is over and its report, if the store took it, is kept. Always the last event.
    Ended(Arc<Report>),
}
