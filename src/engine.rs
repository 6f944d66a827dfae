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

mod away;
mod binding;
mod cycle;
mod drift;
mod event;
mod fidelity;
mod guard;
mod ignore;
mod inspect;
mod inventory;
mod lead;
mod mounts;
mod on_delete;
mod origin_reader;
mod origin_record;
mod plan;
mod planning;
mod policy;
mod preview;
mod report;
mod rights;
mod saved_plan;
#[cfg(test)]
pub(crate) mod testing;
mod transform;
mod undo;
mod verify;
mod watchbook;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

pub use cycle::{CycleControl, CycleHandle, CycleOptions};
pub use drift::{Decision, Drift, OnDrift, OnExisting};
pub use event::{
    Activity, Aside, CycleSnapshot, DestinationProgress, Event, Latency, Limit, Phase, Standing, Step, WorkerRow,
};
pub use fidelity::{Fidelity, FidelityReport, Unequal, UnequalExample, UnequalSecrets};
pub use guard::{MaxDelete, MaxDeleteError};
pub use ignore::Ignored;
pub use inspect::{CopyDetail, Difference, Held, InspectError, KeyDifference, KeyState, Record, SecretDetail};
pub use inventory::{Inventory, InventoryUpdate, UnknownSubtree};
pub use lead::{Holders, LeadError, LockPlace};
pub use mounts::NewMount;
pub use on_delete::{OnDelete, held_back_in_words};
pub use origin_record::OriginRecord;
pub use plan::{
    DestinationName, DestinationPlan, Expected, Objection, Operation, OperationCounts, Plan, SecretState, Source, Task,
    Tasks,
};
pub use planning::PlanOptions;
pub use policy::{Access, MissingPolicy, Stanza, missing_policies};
pub use preview::{Collision, Example, Moved, Preview, PreviewAsk, RuleEffect};
pub use report::{Cause, CycleId, DestinationReport, Ending, Failure, Report};
pub use rights::{DestinationUse, Extra, OriginUse, Right, Rights, meet};
pub use saved_plan::{SavedPlan, SavedPlanError, StaleLine};
pub use transform::{Explained, IDENTITY, Mapping, Mark, Rule, RulePart, RuleProblem, TransformError, Transforms};
pub use undo::{Impossible, Undo, UndoOptions, UndoPart};
pub use verify::{
    Comparison, Finding, FindingKind, ReadCost, Unread, Unverified, Verification, VerifyOptions, VerifyProgress,
};

use crate::kv::{Mount, PathFilter, SecretPath};
use crate::state::{CycleLog, LockHolder, Sightings, State, StateError, StateSide, StateStore, bucket_count};
use crate::sync_info::EngineKind;
use crate::vault::{Health, TokenInfo, VaultClient, VaultError, Wanted};
use watchbook::Watchbook;

/// The last cycles whose failures are looked at.
const CYCLES_WITH_FAILURES: usize = 20;

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
    /// For how long a cycle waits while it does not answer. `None`: the destinations' longest timeout, or two minutes.
    pub patience: Option<Duration>,
    /// The versions of its KV engines, as configured; that of a mount which is not here is found out.
    pub kv_versions: BTreeMap<Mount, EngineKind>,
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
    /// Whether mounts that are missing are created.
    pub create_mounts: bool,
    /// How many secrets may be destroyed or purged in one cycle that nobody has confirmed.
    pub max_purge: MaxDelete,
    /// What becomes of secrets that are gone at the origin.
    pub on_delete: OnDelete,
    /// What to do about secrets that somebody else has changed.
    pub on_drift: OnDrift,
    /// What to do about secrets that are there before vsync writes them.
    pub on_existing: OnExisting,
    /// How much of a secret is copied.
    pub fidelity: Fidelity,
    /// The local folder where progress is kept until the store has it; `None`: it is not.
    pub journal: Option<PathBuf>,
    /// How long a cycle may go on beginning tasks here; the rest stays pending. `None`: as long as it takes.
    pub timeout: Option<Duration>,
    /// For how long a cycle waits while its server does not answer. `None`: the timeout, or two minutes.
    pub patience: Option<Duration>,
    /// It begins when all destinations of smaller waves have ended without failures.
    pub wave: u32,
    /// Secrets that are copied and verified before the others; `None`: there are none.
    pub canary: Option<PathFilter>,
}

/// Who runs cycles; kept in reports.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The user's name.
    pub name: String,
    /// The machine's name.
    pub host: String,
}

impl Operator {
    /// As whom this process takes locks.
    #[must_use]
    pub fn holder(&self, purpose: &str) -> LockHolder {
        LockHolder {
            operator: self.name.clone(),
            host: self.host.clone(),
            pid: std::process::id(),
            since: Timestamp::now(),
            purpose: purpose.to_owned(),
        }
    }
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
    /// What the token's look-up said; `None`: a server that can do nothing was not asked.
    pub token: Option<Result<TokenInfo, VaultError>>,
    /// How long the health request took.
    pub latency: std::time::Duration,
}

/// Why a plan cannot be executed or state not be read.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state store failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// All that was recorded of the origin is gone from it.
    #[error("the origin holds no secret any more: its record was left as it was")]
    EmptiedOrigin,
    /// A guard stands against the plan.
    #[error("{destination}: {objection}")]
    Objection {
        /// The destination it concerns.
        destination: DestinationName,
        /// What is wrong.
        objection: Box<Objection>,
    },
    /// A destination's state could not be read, so it could not be planned for.
    #[error("{destination}: no plan, because its state could not be read: {reason}")]
    Unavailable {
        /// The destination.
        destination: DestinationName,
        /// Why.
        reason: String,
    },
    /// Secrets would be destroyed or purged, and nobody has confirmed exactly so many.
    #[error(
        "{planned} secrets would be destroyed or purged for good, and {confirmed} are confirmed: nothing was written"
    )]
    Unconfirmed {
        /// How many the plan has.
        planned: u64,
        /// How many are confirmed.
        confirmed: u64,
    },
    /// No key for fingerprints can be made.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(String),
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
    watchbook: Arc<Watchbook>,
}

impl Engine {
    /// An engine for these servers. Contacts nobody.
    #[must_use]
    pub fn new(origin: Origin, destinations: Vec<Destination>, operator: Operator) -> Self {
        let state = State::new(Arc::clone(&origin.store), &origin.sync_path, StateSide::Origin, origin.mounts.clone());
        let watchbook = Arc::new(Watchbook::new(Sightings::new(state), operator.holder("kv1")));
        Self { shared: Arc::new(Shared { origin, destinations, operator, watchbook }) }
    }

    /// The same with other transforms at one destination. What runs already goes on as it began.
    #[must_use]
    pub fn with_transforms(&self, name: &DestinationName, transforms: &Transforms) -> Self {
        let Shared { origin, destinations, operator, .. } = &*self.shared;
        let mut destinations = destinations.clone();
        for destination in destinations.iter_mut().filter(|destination| destination.name == *name) {
            destination.transforms = transforms.clone();
        }
        let (origin, operator, watchbook) = (origin.clone(), operator.clone(), Arc::clone(self.watchbook()));
        Self { shared: Arc::new(Shared { origin, destinations, operator, watchbook }) }
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

    /// Finds out what the origin's mounts hold. Never fails: what could not be read is in [`Inventory::unknown`]. Pieces
    /// are sent to `updates` as they arrive.
    pub async fn survey(&self, updates: Option<mpsc::UnboundedSender<InventoryUpdate>>) -> Inventory {
        // without the stored index the number of buckets is a guess, and comparing takes longer; that is all
        let stored = self.origin_state().load_index().await.ok().flatten();
        let buckets = bucket_count(self.origin().num_buckets, stored.as_ref());
        let plain = self.destinations().iter().all(|destination| destination.fidelity == Fidelity::Value);
        let wanted = if plain { Wanted::Insight } else { Wanted::Digest };
        let search = inventory::Search::of(self.origin(), wanted, self.watchbook());
        let inventory = inventory::survey(&search, buckets, updates.as_ref()).await;
        self.keep_sightings(&inventory).await;
        for subtree in &inventory.unknown {
            tracing::warn!(prefix = subtree.prefix, "a part of the origin is unknown: {}", subtree.reason);
        }
        tracing::info!(
            secrets = inventory.secrets.len(),
            excluded = inventory.excluded.len(),
            unknown_parts = inventory.unknown.len(),
            "the origin was listed"
        );
        inventory
    }

    /// Begins to execute a plan.
    ///
    /// # Errors
    /// [`EngineError::Objection`] if a guard stands against it, [`EngineError::Unavailable`] if the state of a
    /// destination could not be read. Nothing was written then.
    pub fn start(&self, plan: Plan, options: CycleOptions) -> Result<CycleHandle, EngineError> {
        for part in &plan.destinations {
            if let Some(reason) = &part.unavailable {
                return Err(EngineError::Unavailable { destination: part.destination.clone(), reason: reason.clone() });
            }
        }
        if let Some((destination, objection)) = plan.objections().next() {
            let objection = Box::new(objection.clone());
            return Err(EngineError::Objection { destination: destination.clone(), objection });
        }
        let planned = plan.irrevocable();
        if planned != options.confirmed && !options.dry_run {
            return Err(EngineError::Unconfirmed { planned, confirmed: options.confirmed });
        }
        Ok(cycle::start(self, plan, options))
    }

    /// Where a path goes at a destination, by the transforms alone.
    #[must_use]
    pub fn mapping(&self, destination: &DestinationName, path: &SecretPath) -> Option<Mapping> {
        Some(self.destination(destination)?.transforms.apply(path))
    }

    /// How a server answers now.
    pub async fn probe(&self, side: &Side) -> Result<Probe, EngineError> {
        let vault = match side {
            Side::Origin => &self.origin().vault,
            Side::Destination(name) => &self.find(name)?.vault,
        };
        let asked = std::time::Instant::now();
        let health = vault.health().await;
        let latency = asked.elapsed();
        let is_open = health.as_ref().is_ok_and(|health| health.obstacle().is_none());
        let token = if is_open { Some(vault.token_info().await) } else { None };
        Ok(Probe { health, token, latency })
    }

    /// Whether a destination's server says of itself that it can do something: it answers, is initialized and not sealed, and
    /// its cluster has a leader.
    pub async fn is_well(&self, destination: &DestinationName) -> bool {
        match self.destination(destination) {
            Some(destination) => worker::is_well(&destination.vault).await.is_ok(),
            None => false,
        }
    }

    /// The last reports, newest first, at most `limit`. Dry runs, and cycles that had nothing to do, are not kept.
    pub async fn history(&self, limit: usize) -> Result<Vec<Report>, EngineError> {
        self.history_before(None, limit).await.map(|(reports, _)| reports)
    }

    /// As [`Engine::history`], of the cycles before this one; and whether there are still older ones.
    pub async fn history_before(
        &self,
        cycle: Option<CycleId>,
        limit: usize,
    ) -> Result<(Vec<Report>, bool), EngineError> {
        let id = cycle.map(|cycle| cycle.to_string());
        let (documents, more) = self.cycle_log().before(id.as_deref(), limit).await?;
        let reports = documents
            .iter()
            .filter_map(|bytes| match serde_json::from_slice(bytes) {
                Ok(report) => Some(report),
                Err(error) => {
                    tracing::warn!(%error, "a stored report cannot be read and is left out");
                    None
                }
            })
            .collect();
        Ok((reports, more))
    }

    /// One report.
    pub async fn report(&self, cycle: CycleId) -> Result<Option<Report>, EngineError> {
        let id = cycle.to_string();
        let Some(bytes) = self.cycle_log().get(&id).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let message = format!("not a report: {error}");
            StateError { operation: "read", key: id, location: self.origin().store.location(), message }.into()
        })
    }

    /// The failures that still stand: per destination the newest failure of each secret in the last cycles, minus those
    /// that a later cycle made good.
    pub async fn standing_failures(&self) -> Result<BTreeMap<DestinationName, Vec<Failure>>, EngineError> {
        let mut newest: BTreeMap<DestinationName, BTreeMap<SecretPath, Failure>> = BTreeMap::new();
        for report in self.history(CYCLES_WITH_FAILURES).await? {
            for part in report.destinations {
                let failures = newest.entry(part.destination).or_default();
                // what moved under the cycle's hands is for the next plan to decide
                for failure in part.failures.into_iter().filter(|failure| failure.cause != Cause::Moved) {
                    failures.entry(failure.origin.clone()).or_insert(failure);
                }
            }
        }
        let mut standing = BTreeMap::new();
        // what the origin no longer has needs no copy
        let origin = if newest.values().flatten().any(|(_, failure)| failure.insight.is_some()) {
            self.origin_state().load_sync_info(None).await?
        } else {
            None
        };
        let is_gone = |path: &SecretPath| origin.as_ref().is_some_and(|stored| stored.info.get(path).is_none());
        for (name, failures) in newest {
            let Some(destination) = self.destination(&name).filter(|_| !failures.is_empty()) else { continue };
            let recorded = self.destination_state(destination).load_sync_info(None).await?;
            let stands = |failure: &Failure| {
                let recorded = recorded.as_ref().and_then(|stored| stored.info.get(&failure.origin));
                match failure.insight {
                    Some(insight) => {
                        !is_gone(&failure.origin) && recorded.is_none_or(|recorded| insight.supersedes(recorded))
                    }
                    None => recorded.is_some(),
                }
            };
            let failures: Vec<Failure> = failures.into_values().filter(stands).collect();
            if !failures.is_empty() {
                standing.insert(name, failures);
            }
        }
        Ok(standing)
    }

    fn find(&self, name: &DestinationName) -> Result<&Destination, EngineError> {
        self.destination(name).ok_or_else(|| EngineError::NoSuchDestination {
            name: name.to_string(),
            known: self.destinations().iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    fn operator(&self) -> &Operator {
        &self.shared.operator
    }

    fn origin_state(&self) -> State {
        let origin = self.origin();
        State::new(Arc::clone(&origin.store), &origin.sync_path, StateSide::Origin, origin.mounts.clone())
    }

    fn destination_state(&self, destination: &Destination) -> State {
        let mounts = self.origin().mounts.clone();
        State::new(Arc::clone(&destination.store), &destination.sync_path, StateSide::Destination, mounts)
    }

    fn cycle_log(&self) -> CycleLog {
        CycleLog::new(Arc::clone(&self.origin().store), &self.origin().sync_path)
    }

    async fn keep_report(&self, report: &Report) -> Result<(), StateError> {
        // numbers, texts and times always serialize
        let bytes = serde_json::to_vec(report).unwrap_or_default();
        self.cycle_log().save(&report.cycle.to_string(), &bytes).await
    }
}
