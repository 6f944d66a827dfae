//! Plans that are kept in a file: looked at, approved, and executed later exactly as they are.
//!
//! A line names the versions it was made of on both sides. When the plan is loaded, everything is planned anew, and a
//! line is taken only if the new plan has the same one: nothing else in the file is believed. What remains between
//! loading and writing is for the workers' check-and-set to find out.

mod stale;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::binding::Place;
use super::drift::{OnDrift, OnExisting};
use super::fidelity::Fidelity;
use super::inventory::Inventory;
use super::plan::{DestinationName, DestinationPlan, Expected, Operation, Plan, Task};
use super::planning::PlanOptions;
use super::{Destination, Engine};
use crate::kv::{MetadataDigest, SecretPath};
use crate::sync_info::Insight;
use crate::vault::{ErrorKind, VaultError};

pub use stale::StaleLine;

/// The form of the document that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// A plan as it is kept: paths, versions and times, never values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedPlan {
    format: u32,
    vsync: String,
    created: Timestamp,
    origin: Place,
    destinations: Vec<SavedPart>,
}

/// What is to be done at one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedPart {
    destination: DestinationName,
    vault: Place,
    lines: Vec<Line>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    operation: Operation,
    /// `<mount>data/<name>`, as everything else that is kept names it.
    origin: SecretPath,
    destination: SecretPath,
    rule: Arc<str>,
    /// What the origin has; nothing for a delete.
    insight: Option<Insight>,
    /// The version at the destination; 0: none.
    expected: u64,
    /// The origin's metadata, if it is copied, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<MetadataDigest>,
}

/// The only part that documents of every format have.
#[derive(Deserialize)]
struct Head {
    format: u32,
    #[serde(default)]
    vsync: String,
}

/// Why a plan cannot be saved, or a saved one not be executed.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    /// Nothing could be planned for a destination.
    #[error("there is no plan for {destination} to save, because its state could not be read: {reason}")]
    Incomplete {
        /// The destination.
        destination: DestinationName,
        /// Why.
        reason: String,
    },
    /// The version at the destination is not recorded, and the destination does not tell it.
    #[error("{destination}: which version it has of {path} is not recorded, and could not be asked: {source}")]
    Unpinned {
        /// The destination.
        destination: DestinationName,
        /// The path there.
        path: SecretPath,
        /// Why.
        source: VaultError,
    },
    /// It is no such document, or only a part of one.
    #[error("this is no saved plan, or a damaged one: {0}")]
    Damaged(String),
    /// A newer program wrote it.
    #[error("vsync {vsync} saved this plan in format {format}, and this vsync reads up to format {FORMAT}")]
    Newer {
        /// Its format.
        format: u32,
        /// The program that wrote it.
        vsync: String,
    },
    /// It concerns a destination that is not configured.
    #[error("this plan is for \"{name}\" too, which is not configured; the configuration has {known}")]
    UnknownDestination {
        /// The destination.
        name: DestinationName,
        /// The names there are.
        known: String,
    },
    /// It has nothing for a destination that was asked for.
    #[error("this plan is not for {name}; it is for {planned}")]
    NotPlannedFor {
        /// The destination.
        name: DestinationName,
        /// Those it is for.
        planned: String,
    },
    /// It was made for another server.
    #[error(
        "this plan was made for the {side} at {planned}, and the {side} at {present} is another server, or another namespace of it"
    )]
    AnotherServer {
        /// `origin`, or `destination` and its name.
        side: String,
        /// The address it was made for.
        planned: String,
        /// The address now.
        present: String,
    },
}

impl SavedPlan {
    /// The document for a plan. `pinned` has the versions at destinations that are not those the plan's tasks expect.
    fn from_plan(plan: &Plan, pinned: &HashMap<(usize, usize), u64>) -> Result<Self, SavedPlanError> {
        let mut origin = None;
        let mut destinations = Vec::with_capacity(plan.destinations.len());
        for (at, part) in plan.destinations.iter().enumerate() {
            let Some(binding) = &part.binding else {
                let reason = part.unavailable.clone().unwrap_or_default();
                return Err(SavedPlanError::Incomplete { destination: part.destination.clone(), reason });
            };
            origin.get_or_insert_with(|| binding.origin.clone());
            let line = |(number, task): (usize, &Task)| Line {
                operation: task.operation,
                origin: task.origin.clone(),
                destination: task.destination.clone(),
                rule: Arc::clone(&task.rule),
                insight: task.insight,
                digest: match part.fidelity {
                    Fidelity::Value => None,
                    _ => plan.inventory.digests.get(&task.origin).copied(),
                },
                expected: match (pinned.get(&(at, number)), task.expected) {
                    (Some(&version), _) | (None, Expected::Version(version)) => version,
                    (None, Expected::Recorded) => 0,
                },
            };
            destinations.push(SavedPart {
                destination: part.destination.clone(),
                vault: binding.destination.clone(),
                lines: part.tasks.iter().enumerate().map(line).collect(),
            });
        }
        let origin = origin.ok_or_else(|| SavedPlanError::Damaged("it is for no destination".to_owned()))?;
        let vsync = env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self { format: FORMAT, vsync, created: plan.created, origin, destinations })
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`SavedPlanError::Damaged`] and [`SavedPlanError::Newer`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SavedPlanError> {
        let damaged = |error: serde_json::Error| SavedPlanError::Damaged(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(damaged)?;
        if head.format > FORMAT {
            return Err(SavedPlanError::Newer { format: head.format, vsync: head.vsync });
        }
        let plan: Self = serde_json::from_slice(bytes).map_err(damaged)?;
        let mut parts = HashSet::new();
        for part in &plan.destinations {
            if !parts.insert(&part.destination) {
                let message = format!("it has {} twice", part.destination);
                return Err(SavedPlanError::Damaged(message));
            }
            let mut paths = HashSet::with_capacity(part.lines.len());
            for line in &part.lines {
                if !paths.insert(&line.origin) {
                    let message = format!("it has {} twice for {}", line.origin, part.destination);
                    return Err(SavedPlanError::Damaged(message));
                }
                if line.operation.is_delete() != line.insight.is_none() {
                    let message = format!("{} to {} has no sense", line.operation.as_str(), line.origin);
                    return Err(SavedPlanError::Damaged(message));
                }
            }
        }
        Ok(plan)
    }

    /// The document: JSON, with a line of text for each line of the plan, so that people can look at it and compare two.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { format, vsync, created, origin, destinations } = self;
        let mut text = format!(
            "{{\"format\":{format},\"vsync\":{},\"created\":{},\"origin\":{},\n\"destinations\":[",
            json(vsync),
            json(created),
            json(origin)
        );
        for (at, SavedPart { destination, vault, lines }) in destinations.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            // a text takes whatever is written to it
            let _ =
                write!(text, "{comma}\n{{\"destination\":{},\"vault\":{},\"lines\":[", json(destination), json(vault));
            for (at, line) in lines.iter().enumerate() {
                text.push_str(if at == 0 { "\n" } else { ",\n" });
                text.push_str(&json(line));
            }
            text.push_str("]}");
        }
        text.push_str("]}\n");
        text.into_bytes()
    }

    /// When the plan was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// How many lines it has, all destinations together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.destinations.iter().map(|part| part.lines.len()).sum()
    }

    /// Whether it has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The destinations that are concerned.
    fn chosen(&self, engine: &Engine, only: &[DestinationName]) -> Result<Vec<DestinationName>, SavedPlanError> {
        let planned = || self.destinations.iter().map(|part| &part.destination);
        if let Some(name) = only.iter().find(|name| !planned().any(|other| other == *name)) {
            return Err(SavedPlanError::NotPlannedFor { name: name.clone(), planned: list(planned()) });
        }
        let chosen: Vec<_> = planned().filter(|name| only.is_empty() || only.contains(name)).cloned().collect();
        if let Some(name) = chosen.iter().find(|name| engine.destination(name).is_none()) {
            let known = list(engine.destinations().iter().map(|destination| &destination.name));
            return Err(SavedPlanError::UnknownDestination { name: name.clone(), known });
        }
        Ok(chosen)
    }
}

fn json(value: &impl Serialize) -> String {
    // texts, numbers and times always serialize
    crate::text::to_json(value).unwrap_or_default()
}

fn list<'a>(names: impl Iterator<Item = &'a DestinationName>) -> String {
    names.map(DestinationName::as_str).collect::<Vec<_>>().join(", ")
}

impl Engine {
    /// A plan in the form that is kept. Where it is not recorded which version a destination has, the destination is
    /// asked, so that every line can be held to it.
    ///
    /// # Errors
    /// [`SavedPlanError::Incomplete`] and [`SavedPlanError::Unpinned`].
    pub async fn save_plan(&self, plan: &Plan) -> Result<SavedPlan, SavedPlanError> {
        let mut pinned = HashMap::new();
        for (at, part) in plan.destinations.iter().enumerate() {
            let Some(destination) = self.destination(&part.destination) else { continue };
            for (number, task) in part.tasks.iter().enumerate() {
                if let Some(found) = to_be_overwritten(part, task, destination) {
                    pinned.insert((at, number), found);
                }
            }
            let tasks = part.tasks.iter().enumerate().filter(|(_, task)| task.expected == Expected::Recorded);
            // owned paths: with borrowed ones the compiler cannot tell that the future is `Send`
            let paths: Vec<_> = tasks.map(|(number, task)| (number, task.destination.clone())).collect();
            let mut asked = stream::iter(paths.into_iter().map(|(number, path)| async move {
                Ok::<_, SavedPlanError>(((at, number), present_version(destination, &path).await?))
            }))
            .buffer_unordered(destination.num_workers.max(1));
            while let Some((line, version)) = asked.try_next().await? {
                pinned.insert(line, version);
            }
        }
        SavedPlan::from_plan(plan, &pinned)
    }

    /// A plan with exactly those lines of a saved one that still hold, and those that do not. `only`: for these
    /// destinations; none: for all it was made for. The guards are checked for what remains. It is to be executed with
    /// [`exact`](super::CycleOptions::exact).
    ///
    /// # Errors
    /// When it was made for other servers or destinations than there are.
    pub async fn load_plan(
        &self,
        saved: &SavedPlan,
        inventory: Arc<Inventory>,
        only: &[DestinationName],
    ) -> Result<(Plan, Vec<StaleLine>), SavedPlanError> {
        let only = saved.chosen(self, only)?;
        if only.is_empty() {
            return Ok((Plan { created: saved.created, inventory, destinations: Vec::new() }, Vec::new()));
        }
        let mut plan = self.plan(Arc::clone(&inventory), &PlanOptions { only, again: false }).await;
        let mut stale = Vec::new();
        for part in &mut plan.destinations {
            let Some(lines) = saved.destinations.iter().find(|saved| saved.destination == part.destination) else {
                continue;
            };
            // without its state nothing can be said of its lines; executing the plan is refused
            let Some(binding) = &part.binding else { continue };
            same_server("origin", &saved.origin, &binding.origin)?;
            same_server(&format!("destination {}", part.destination), &lines.vault, &binding.destination)?;
            let fidelity = self.destination(&part.destination).map(|destination| destination.fidelity);
            let holds = stale::Approved { inventory: &inventory, fidelity: fidelity.unwrap_or_default() };
            part.leaving_out(|part| stale.extend(holds.keep(part, &lines.lines)));
        }
        // chosen from what was planned just now; what stands against it is judged for the lines that remain
        Ok((self.select(&plan, |_, _| true), stale))
    }
}

/// The version that somebody else wrote, if it is known and the configuration says to write over it.
fn to_be_overwritten(part: &DestinationPlan, task: &Task, destination: &Destination) -> Option<u64> {
    let overwrites = match task.expected {
        Expected::Version(0) => destination.on_existing == OnExisting::Overwrite,
        Expected::Version(_) | Expected::Recorded => destination.on_drift == OnDrift::Overwrite,
    };
    let entry = part.ledger.get(&task.destination).filter(|_| overwrites)?;
    entry.foreign.as_ref().map(|foreign| foreign.version)
}

/// The current version at a destination; 0: none.
async fn present_version(destination: &Destination, path: &SecretPath) -> Result<u64, SavedPlanError> {
    match destination.vault.metadata(path).await {
        Ok(metadata) => Ok(metadata.current_version),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(source) => {
            let (destination, path) = (destination.name.clone(), path.clone());
            Err(SavedPlanError::Unpinned { destination, path, source })
        }
    }
}

fn same_server(side: &str, planned: &Place, present: &Place) -> Result<(), SavedPlanError> {
    if present.is(planned) {
        return Ok(());
    }
    let (planned, present) = (planned.address.clone(), present.address.clone());
    Err(SavedPlanError::AnotherServer { side: side.to_owned(), planned, present })
}
