//! What a cycle did: folded from outcomes, kept in the state store.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::Limit;
use super::fidelity::FidelityReport;
use super::inventory::UnknownSubtree;
use super::plan::{DestinationName, Operation, OperationCounts, Task};
use super::policy::Access;
use super::worker::Copied;
use crate::kv::SecretPath;
use crate::state::LockHolder;
use crate::sync_info::Insight;
use crate::vault::ErrorKind;

/// Names one cycle. Sorted by time of start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CycleId(uuid::Uuid);

impl CycleId {
    /// A new one, for a cycle that starts now.
    #[must_use]
    pub fn now() -> Self {
        Self(uuid::Uuid::now_v7())
    }

    /// When it started, to the millisecond.
    pub(super) fn started(self) -> Timestamp {
        let (seconds, nanoseconds) = self.0.get_timestamp().map_or((0, 0), |time| time.to_unix());
        let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
        Timestamp::new(i64::try_from(seconds).unwrap_or_default(), nanoseconds).unwrap_or_default()
    }
}

impl fmt::Display for CycleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for CycleId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Why a secret could not be copied, in the classes an operator acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The token may not do it.
    Permission,
    /// No valid token.
    Token,
    /// Throttled for longer than was waited.
    RateLimit,
    /// Somebody else has changed the secret at the destination since vsync wrote it.
    Drift,
    /// The secret is at the destination already, and vsync never wrote it.
    Existing,
    /// The destination did not accept the check-and-set, and it cannot be told why.
    Conflict,
    /// Larger than the destination takes.
    TooLarge,
    /// Sealed or standby.
    Sealed,
    /// Not reached, or no answer.
    Network,
    /// The origin's node that answers has not got what another one told when the plan was made.
    Lagging,
    /// The origin changed between plan and read, so what was planned no longer holds.
    Moved,
    /// A path that cannot be addressed, or data that the server refuses.
    Invalid,
    /// An error of the server, or an answer that is none.
    Server,
}

impl Cause {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 13] = [
        Self::Permission,
        Self::Token,
        Self::Sealed,
        Self::Network,
        Self::RateLimit,
        Self::Drift,
        Self::Existing,
        Self::Conflict,
        Self::Lagging,
        Self::Moved,
        Self::TooLarge,
        Self::Invalid,
        Self::Server,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permission => "permission",
            Self::Token => "token",
            Self::RateLimit => "rate limit",
            Self::Drift => "drift",
            Self::Existing => "existing",
            Self::Conflict => "conflict",
            Self::TooLarge => "too large",
            Self::Sealed => "sealed",
            Self::Network => "network",
            Self::Lagging => "lagging",
            Self::Moved => "moved",
            Self::Invalid => "invalid",
            Self::Server => "server",
        }
    }

    /// Whether it is the server as a whole that could do nothing, whichever secret it was.
    pub(super) fn is_of_server(self) -> bool {
        matches!(self, Self::Network | Self::Sealed | Self::Token)
    }

    /// Whether somebody else's version stood in the way: trying again changes nothing before somebody has decided.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        matches!(self, Self::Drift | Self::Existing)
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Permission => "The server knows the token, and the token's policies do not allow this request.",
            Self::Token => "The server does not know the token (any more): it has expired or was revoked.",
            Self::RateLimit => "The server refused the request because there were too many, also after waiting.",
            Self::Drift => {
                "Somebody else has changed it at the destination since vsync wrote it, so vsync leaves it alone."
            }
            Self::Existing => "It is at the destination already, and vsync did not write it, so vsync leaves it alone.",
            Self::Conflict => "The destination has refused the write because the version there was another each time.",
            Self::TooLarge => "The server takes no entry of this size (max_entry_size of its storage or listener).",
            Self::Sealed => "The server is sealed, or a standby that nobody leads: it answers, and can do nothing.",
            Self::Network => "The server was not reached, or did not answer in time, also after waiting.",
            Self::Lagging => {
                "A node of the origin's cluster does not have yet what another one has, also after waiting."
            }
            Self::Moved => "The origin was changed while the cycle ran, so what was planned no longer held.",
            Self::Invalid => "The server refused the path or the data as such: trying again meets the same answer.",
            Self::Server => "The server failed, or its answer was none that this program understands.",
        }
    }

    /// What to do about it, in one sentence.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Permission => "Give the token's policy the missing capability on this path, then retry.",
            Self::Token => "Renew or replace the token, then retry.",
            Self::RateLimit => {
                "Lower num_workers or requests_per_second for this server, or raise its quota, then retry."
            }
            Self::Drift => {
                "Somebody else changed it at the destination: compare the two, then set on_drift to overwrite or keep and retry, or put it right by hand."
            }
            Self::Existing => {
                "It was there before vsync: set on_existing (adopt takes over equal values only, overwrite writes the origin's) and retry, or exclude it."
            }
            Self::Conflict => "Somebody else writes this path at the same time: look at it before retrying.",
            Self::TooLarge => "The secret exceeds the destination's limit: split it, or exclude it.",
            Self::Sealed => "Unseal the server or wait for its failover, then retry.",
            Self::Network => "See that the server runs and can be reached, then retry.",
            Self::Lagging => {
                "Retry when the node has caught up, or set the origin's address to the active node or one that is near it."
            }
            Self::Moved => "The origin changed during the cycle: plan again, or retry.",
            Self::Invalid => "The server cannot hold this path or data: rename it at the origin, or exclude it.",
            Self::Server => "Read the server's log for the reason, then retry.",
        }
    }
}

impl From<ErrorKind> for Cause {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::PermissionDenied => Self::Permission,
            ErrorKind::NoToken => Self::Token,
            ErrorKind::RateLimited => Self::RateLimit,
            ErrorKind::CheckAndSet => Self::Conflict,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Unavailable => Self::Sealed,
            ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Tls => Self::Network,
            ErrorKind::NotFound | ErrorKind::Deleted => Self::Moved,
            ErrorKind::InvalidPath | ErrorKind::BadRequest => Self::Invalid,
            ErrorKind::Server | ErrorKind::Protocol | ErrorKind::Unsupported => Self::Server,
        }
    }
}

/// One secret that could not be copied or deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What was to be done.
    pub operation: Operation,
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Where it was to go.
    pub destination: SecretPath,
    /// The origin's insight when the plan was made; `None` for a delete.
    #[serde(default)]
    pub insight: Option<Insight>,
    /// The class of the error.
    pub cause: Cause,
    /// The error in the server's or the system's words, with the request that met it.
    pub message: String,
    /// How often requests were sent for it.
    pub attempts: u32,
    /// When it was given up.
    pub at: Timestamp,
    /// What the token's policy did not allow, if that was the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denied: Option<Access>,
}

/// What became of one task.
#[derive(Debug)]
pub(super) struct Outcome {
    pub task: Task,
    pub result: Result<Done, Failed>,
    /// What was copied beside the value.
    pub copied: Copied,
    pub attempts: u32,
    /// How long it took.
    pub took: std::time::Duration,
}

/// A task that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// Written with the origin's insight as it was read (it may be newer than the plan's), in place of version `before`.
    Written { insight: Insight, before: u64, version: u64 },
    /// `version` holds the same values already.
    Adopted { insight: Insight, before: u64, version: u64 },
    /// The metadata of `version`, whose value was copied before, is as at the origin.
    Metadata { insight: Insight, version: u64 },
    /// Version `found` is somebody else's and stays.
    Kept { before: u64, found: u64, insight: Option<Insight> },
    /// This version was deleted at the destination. 0: it could not be found out which.
    Deleted { version: u64 },
    /// As [`Done::Deleted`], and it is to be destroyed or purged when the origin can no longer undelete its own.
    DeletedForNow { version: u64 },
    /// All versions were destroyed; this is the newest.
    Destroyed { version: u64 },
    /// It was removed with all versions; this was the newest.
    Purged { version: u64 },
    /// As [`Done::Absent`], and it waits as [`Done::DeletedForNow`] does.
    AbsentForNow { version: u64 },
    /// There was nothing to delete: this version, 0 if none, could not be read any more.
    Absent { version: u64 },
    /// This version can be read again at the destination.
    Restored { version: u64 },
    /// A dry run found nothing in the way.
    Possible,
}

/// A task that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub cause: Cause,
    pub message: String,
    /// What the token's policy did not allow.
    pub denied: Option<Access>,
    /// Somebody else's version stood in the way.
    pub met: Option<u64>,
    /// A write may have been carried out all the same.
    pub unsettled: bool,
    /// The server could do nothing at all: whether it was the origin.
    pub unreached: Option<bool>,
}

impl Failed {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), denied: None, met: None, unsettled: false, unreached: None }
    }
}

/// How a cycle came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every task was tried.
    Completed,
    /// Somebody cancelled it; tasks not begun are pending.
    Cancelled,
    /// Somebody skipped destinations, whose tasks are pending; every other task was tried.
    Skipped,
    /// A timeout passed; tasks not begun are pending.
    TimedOut,
    /// Nobody stopped it, and tasks are pending all the same: a destination was blocked, or a worker broke down.
    Halted,
    /// It never said how it ended: it still runs, or its process was killed.
    Unfinished,
}

impl Ending {
    /// The words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped in part",
            Self::TimedOut => "timed out",
            Self::Halted => "halted",
            Self::Unfinished => "unfinished",
        }
    }
}

/// A secret of `canary` that has been written, and was not found to be as it should be (yet).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unverified {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Its copy.
    pub destination: SecretPath,
    /// The origin's version that it is a copy of; `None`: it was deleted.
    pub copy_of: Option<u64>,
    /// The version at the destination.
    pub version: u64,
}

/// What a cycle did at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationReport {
    /// The destination.
    pub destination: DestinationName,
    /// What was to be done.
    pub planned: OperationCounts,
    /// What was done.
    pub done: OperationCounts,
    /// Tasks that were not ended; the next cycle finds them again.
    pub pending: u64,
    /// Somebody decided during the cycle that nothing more is begun here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// Tasks among the done ones for which nothing had to be written, because the destination already held the same value.
    #[serde(default)]
    pub adopted: u64,
    /// Tasks among the done ones that left somebody else's secret as it is (`on_drift = "keep"`).
    #[serde(default)]
    pub kept: u64,
    /// Secrets that were left alone because somebody else wrote them, as found in earlier cycles.
    #[serde(default)]
    pub drifted: u64,
    /// Secrets that were equal before.
    pub in_sync: u64,
    /// Secrets the origin could not be asked about; nothing was done to them.
    pub unknown: u64,
    /// When its last task ended.
    pub ended: Option<Timestamp>,
    /// The state store refused what was done; the local journal has it until the next cycle. The reason.
    pub unsaved: Option<String>,
    /// Somebody else held this destination's lock, so nothing was begun, or not gone on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<LockHolder>,
    /// Nothing was begun here, or not gone on with, because it is locked, the state cannot be saved or is no longer what was
    /// planned with, an earlier wave or a canary is not as it should be, or a server is gone. The reason.
    #[serde(default)]
    pub blocked: Option<String>,
    /// Its server, or the origin's, did not answer any more, and that is why the rest is pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
    /// What was copied beside values, and what could not be made equal; `None` if values alone are copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<FidelityReport>,
    /// Secrets of `canary` failed, are not as they should be, or cannot be looked at, and that is why the rest is pending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub canaries_failed: bool,
    /// Secrets of `canary` that the next cycle has to look at before it goes on: those that this one wrote, and those that
    /// were left to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unverified: Vec<Unverified>,
    /// What could not be done, in the order it happened.
    pub failures: Vec<Failure>,
}

impl DestinationReport {
    /// Whether it had better not be tried again at once: its server does not answer, or its canaries want a look.
    #[must_use]
    pub fn wants_rest(&self) -> bool {
        self.unreached || self.canaries_failed
    }

    /// Whether anything was done or tried.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.done.total() > 0 || !self.failures.is_empty()
    }

    /// Whether its canaries were surely verified, if there were any: nothing else was left.
    pub(super) fn is_past_its_canaries(&self) -> bool {
        self.blocked.is_none() && self.pending == 0 && self.unverified.is_empty()
    }

    /// Whether anything was done or looked at, so that what earlier cycles left unverified is known here, too.
    pub(super) fn knows_its_canaries(&self) -> bool {
        self.pending < self.planned.total() || !self.unverified.is_empty()
    }

    /// Takes in what became of one task.
    pub(super) fn fold(&mut self, outcome: &Outcome) {
        let now = Timestamp::now();
        let Task { operation, origin, destination, insight, .. } = &outcome.task;
        self.pending = self.pending.saturating_sub(1);
        self.ended = Some(now);
        if let Some(fidelity) = &mut self.fidelity {
            let metadata_only = matches!(outcome.result, Ok(Done::Metadata { .. }));
            fidelity.take(origin, metadata_only, &outcome.copied.unequal);
        }
        match &outcome.result {
            Ok(done) => {
                self.done.count(*operation);
                self.adopted += u64::from(matches!(done, Done::Adopted { .. }));
                self.kept += u64::from(matches!(done, Done::Kept { .. }));
            }
            Err(failed) => self.failures.push(Failure {
                operation: *operation,
                origin: origin.clone(),
                destination: destination.clone(),
                insight: *insight,
                cause: failed.cause,
                message: failed.message.clone(),
                attempts: outcome.attempts,
                at: now,
                denied: failed.denied,
            }),
        }
    }
}

/// What a cycle did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The cycle.
    pub cycle: CycleId,
    /// Who ran it.
    pub operator: String,
    /// The machine it ran on.
    pub host: String,
    /// The program's version.
    pub vsync: String,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub ending: Ending,
    /// Nothing was read or written.
    #[serde(default)]
    pub dry_run: bool,
    /// What it was run for: `sync`, `retry`, `undo`, `watch in the console`, …; empty if nobody noted it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// The cycle whose changes this one took back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<CycleId>,
    /// What of the origin could not be listed or read.
    pub origin_unknown: Vec<UnknownSubtree>,
    /// The state store refused the origin's sync info. The reason.
    #[serde(default)]
    pub origin_unsaved: Option<String>,
    /// The state store refused this report: `history` and `retry` will not know of it. The reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unkept: Option<String>,
    /// How many requests each server was sent at once when the cycle ended. Not kept.
    #[serde(skip)]
    pub limits: Vec<Limit<'static>>,
    /// One part per destination, in the configuration's order.
    pub destinations: Vec<DestinationReport>,
}

impl Report {
    /// All failures with their destinations.
    pub fn failures(&self) -> impl Iterator<Item = (&DestinationName, &Failure)> {
        self.destinations.iter().flat_map(|part| part.failures.iter().map(move |failure| (&part.destination, failure)))
    }

    /// What was to be done, at all destinations.
    #[must_use]
    pub fn planned(&self) -> OperationCounts {
        sum(self.destinations.iter().map(|part| part.planned))
    }

    /// What was done, at all destinations.
    #[must_use]
    pub fn done(&self) -> OperationCounts {
        sum(self.destinations.iter().map(|part| part.done))
    }

    /// How many tasks failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.destinations.iter().map(|part| part.failures.len() as u64).sum()
    }

    /// How many tasks were not begun.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.destinations.iter().map(|part| part.pending).sum()
    }

    /// How long it took.
    #[must_use]
    pub fn duration(&self) -> std::time::Duration {
        self.ended.duration_since(self.started).try_into().unwrap_or_default()
    }

    /// What it was run for, as far as that was noted.
    #[must_use]
    pub fn purpose(&self) -> &str {
        match self.purpose.as_str() {
            "" if self.undoes.is_some() => "undo",
            "" => "sync",
            purpose => purpose,
        }
    }

    /// Secrets done per second, over the whole cycle.
    #[must_use]
    pub fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
        let done = self.done().total() as f64;
        done / self.duration().as_secs_f64().max(0.001)
    }
}

fn sum(counts: impl Iterator<Item = OperationCounts>) -> OperationCounts {
    counts.fold(OperationCounts::default(), |mut sum, part| {
        sum += part;
        sum
    })
}
