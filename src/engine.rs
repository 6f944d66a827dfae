//! The engine: copies secrets from one origin to many destinations. It draws nothing, prints nothing and reads no
//! configuration; consoles and commands drive it.
//!
//! ```text
//!   survey            plan                    start                          report
//!   origin mounts ──▶ inventory × sync info ─▶ workers per destination ─────▶ what was done, what failed
//!   (concurrent,      transform · filter       read ▸ write ▸ record          kept in the state store
//!    complete per     guards object here       snapshots · events                │
//!    subtree)                                  state saved every few seconds     │
//!        ▲                                                                       │
//!        └────────────── retry: survey, plan, keep only what failed ◀────────────┘
//! ```

mod cycle;
mod event;
mod guard;
mod inventory;
mod plan;
mod report;
mod transform;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

pub use cycle::{CycleControl, CycleHandle, CycleOptions};
pub use event::{Activity, CycleSnapshot, DestinationProgress, Event, Phase, Step, WorkerRow};
pub use guard::{MaxDelete, MaxDeleteError};
pub use inventory::{Inventory, InventoryUpdate, UnknownSubtree};
pub use plan::{DestinationName, DestinationPlan, Objection, Operation, OperationCounts, Plan, SecretState, Task};
pub use report::{Cause, CycleId, DestinationReport, Ending, Failure, Report};
pub use transform::{Mapping, Rule, TransformError, Transforms};

use crate::kv::{Mount, PathFilter, SecretPath};
use crate::state::StateStore;
use crate::vault::{Health, Metadata, TokenInfo, VaultClient, VaultError};

/// How the origin's metadata is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listing {
    /// The best way the server and the token allow, found out per mount.
    #[default]
    Auto,
    /// Only `SCAN detailed-metadata`.
    Scan,
    /// Only `LIST detailed-metadata`, folder by folder.
    Detailed,
    /// Only `LIST metadata`, and one `GET` per secret.
    Plain,
}

/// The Vault that secrets are copied from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its client.
    pub vault: VaultClient,
    /// The mounts that are read.
    pub mounts: Vec<Mount>,
    /// Which of its secrets take part.
    pub filter: PathFilter,
    /// Where its sync info and the reports are kept.
    pub store: Arc<dyn StateStore>,
    /// The prefix of its keys in the store, with a slash at its end.
    pub sync_path: String,
    /// The number of buckets, if it is configured.
    pub num_buckets: Option<usize>,
    /// How many requests may list and read metadata at once.
    pub num_workers: usize,
    /// How metadata is listed.
    pub listing: Listing,
}

/// A Vault that secrets are copied to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its name.
    pub name: DestinationName,
    /// Its client.
    pub vault: VaultClient,
    /// The mounts that may be written.
    pub mounts: Vec<Mount>,
    /// Which of the origin's secrets go there.
    pub filter: PathFilter,
    /// Where they go.
    pub transforms: Transforms,
    /// Where its sync info is kept.
    pub store: Arc<dyn StateStore>,
    /// The prefix of its keys in the store, with a slash at its end.
    pub sync_path: String,
    /// The number of buckets, if it is configured.
    pub num_buckets: Option<usize>,
    /// How many workers copy to it at once.
    pub num_workers: usize,
    /// How many deletes are too many.
    pub max_delete: MaxDelete,
    /// What is gone at the origin stays here.
    pub ignore_deletes: bool,
}

/// Who runs cycles; kept in reports.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The user's name.
    pub name: String,
    /// The machine's name.
    pub host: String,
}

/// The origin or a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Side {
    /// The origin.
    Origin,
    /// The destination of this name.
    Destination(DestinationName),
}

/// How a server answers right now.
#[derive(Debug)]
pub struct Probe {
    /// What `sys/health` said.
    pub health: Result<Health, VaultError>,
    /// What the token's look-up said.
    pub token: Result<TokenInfo, VaultError>,
    /// How long the health request took.
    pub latency: std::time::Duration,
}

/// What the origin knows of one secret, without its values.
#[derive(Debug, Clone)]
pub struct SecretDetail {
    /// Its metadata.
    pub metadata: Metadata,
    /// The names of its keys; `None` where the server or the token does not give them.
    pub keys: Option<Vec<String>>,
}

/// Why a plan cannot be executed or state not be read.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state store failed.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    /// A guard stands against the plan.
    #[error("{destination}: {objection}")]
    Objection {
        /// The destination it concerns.
        destination: DestinationName,
        /// What is wrong.
        objection: Objection,
    },
    /// A destination's state could not be read, so it could not be planned for.
    #[error("{destination}: no plan, because its state could not be read: {reason}")]
    Unavailable {
        /// The destination.
        destination: DestinationName,
        /// Why.
        reason: String,
    },
    /// No destination has that name.
    #[error("there is no destination \"{name}\"; the configuration has {known}")]
    NoSuchDestination {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// The engine. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    origin: Origin,
    destinations: Vec<Destination>,
    operator: Operator,
}

impl Engine {
    /// An engine for these servers. Contacts nobody.
    #[must_use]
    pub fn new(origin: Origin, destinations: Vec<Destination>, operator: Operator) -> Self {
        Self { shared: Arc::new(Shared { origin, destinations, operator }) }
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.shared.origin
    }

    /// The destinations, in the configuration's order.
    #[must_use]
    pub fn destinations(&self) -> &[Destination] {
        &self.shared.destinations
    }

    /// The destination of this name.
    #[must_use]
    pub fn destination(&self, name: &DestinationName) -> Option<&Destination> {
        self.shared.destinations.iter().find(|destination| destination.name == *name)
    }

    /// Finds out what the origin's mounts hold. Never fails: what could not be read is in
    /// [`Inventory::unknown`]. Pieces are sent to `updates` as they arrive.
    pub async fn survey(&self, updates: Option<mpsc::UnboundedSender<InventoryUpdate>>) -> Inventory {
        todo!("{updates:?}")
    }

    /// Compares the inventory with what is recorded at each destination (all, if `only` is empty), and checks the
    /// guards. Writes nothing.
    pub async fn plan(&self, inventory: Arc<Inventory>, only: &[DestinationName]) -> Plan {
        todo!("{inventory:?}{only:?}")
    }

    /// The tasks of `plan` for which `keep` says so, with the guards checked anew.
    #[must_use]
    pub fn select(&self, plan: &Plan, keep: impl Fn(&DestinationName, &Task) -> bool) -> Plan {
        let _ = keep;
        todo!("{plan:?}")
    }

    /// Begins to execute a plan.
    ///
    /// # Errors
    /// [`EngineError::Objection`] if a guard stands against it, [`EngineError::Unavailable`] if the state of a
    /// destination could not be read. Nothing was written then.
    pub fn start(&self, plan: Plan, options: CycleOptions) -> Result<CycleHandle, EngineError> {
        todo!("{plan:?}{options:?}")
    }

    /// Where a path goes at a destination, by the transforms alone.
    #[must_use]
    pub fn mapping(&self, destination: &DestinationName, path: &SecretPath) -> Option<Mapping> {
        todo!("{destination:?}{path:?}")
    }

    /// The origin's metadata of one secret and the names of its keys.
    pub async fn describe(&self, path: &SecretPath) -> Result<SecretDetail, VaultError> {
        todo!("{path:?}")
    }

    /// How a server answers now.
    pub async fn probe(&self, side: &Side) -> Result<Probe, EngineError> {
        todo!("{side:?}")
    }

    /// The last reports, newest first, at most `limit`. Dry runs are not kept.
    pub async fn history(&self, limit: usize) -> Result<Vec<Report>, EngineError> {
        todo!("{limit}")
    }

    /// One report.
    pub async fn report(&self, cycle: CycleId) -> Result<Option<Report>, EngineError> {
        todo!("{cycle}")
    }

    /// The failures that still stand: for each destination those of the newest report that concerns it, minus what a
    /// later cycle did.
    pub async fn standing_failures(&self) -> Result<BTreeMap<DestinationName, Vec<Failure>>, EngineError> {
        todo!()
    }
}
