//! Secrets at a destination that vsync did not write as they are: what to do when one stands in the way.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::plan::Operation;
use super::report::{Cause, Failure};
use super::{Destination, Engine};
use crate::kv::SecretPath;
use crate::sync_info::Insight;

/// What to do when somebody else has changed a secret at the destination since vsync wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// Leave it as it is and list it.
    #[default]
    Report,
    /// The origin is right: write over it, as a new version.
    Overwrite,
    /// The destination is right: leave it as it is, and count it as in sync.
    Keep,
}

/// What to do when a secret that is to be added is already there, and vsync never wrote it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExisting {
    /// Leave it as it is and list it.
    #[default]
    Report,
    /// Compare the values: record an equal one as copied, list a different one.
    Adopt,
    /// The origin is right: write over it, as a new version.
    Overwrite,
}

/// What somebody has decided about secrets that somebody else wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The origin is right: write over them, as new versions, and delete there what it has deleted.
    Overwrite,
    /// The destination is right: leave them as they are. Of those that were there before vsync, the ones with equal values
    /// are recorded as copied; the others stay as they are, undecided.
    Keep,
}

impl Engine {
    /// The same engine, which does this about what somebody else wrote, whatever the configuration says. For one plan, made
    /// with [`again`](super::PlanOptions::again), and its cycle.
    #[must_use]
    pub fn deciding(&self, decision: Decision) -> Self {
        let (on_drift, on_existing) = match decision {
            Decision::Overwrite => (OnDrift::Overwrite, OnExisting::Overwrite),
            Decision::Keep => (OnDrift::Keep, OnExisting::Adopt),
        };
        let decided = |destination: &Destination| Destination { on_drift, on_existing, ..destination.clone() };
        let destinations = self.destinations().iter().map(decided).collect();
        Self::new(self.origin().clone(), destinations, self.operator().clone())
    }
}

/// A secret that vsync leaves alone because somebody else wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Where it goes.
    pub destination: SecretPath,
    /// What was to be done there.
    pub operation: Operation,
    /// The origin's insight that met it; for a delete, the one that is recorded.
    pub insight: Insight,
    /// The destination's version that vsync wrote; 0: none.
    pub ours: u64,
    /// The version that was found there.
    pub found: u64,
    /// It counts as in sync, because `on_drift = "keep"`.
    pub kept: bool,
}

impl Drift {
    /// The class of what stands in the way.
    #[must_use]
    pub fn cause(&self) -> Cause {
        if self.ours == 0 { Cause::Existing } else { Cause::Drift }
    }

    /// Which version is there instead of which.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { found, ours, .. } = self;
        match ours {
            0 => format!("version {found} is there, vsync wrote none"),
            _ => format!("version {found} is there, vsync wrote {ours}"),
        }
    }

    /// It as a failure that was met in an earlier cycle, as far as `known` goes back.
    #[must_use]
    pub fn to_failure(&self, known: Timestamp) -> Failure {
        Failure {
            operation: self.operation,
            origin: self.origin.clone(),
            destination: self.destination.clone(),
            insight: (!self.operation.is_delete()).then_some(self.insight),
            cause: self.cause(),
            message: self.message(),
            attempts: 0,
            at: known,
            denied: None,
        }
    }
}
