//! What a destination's sync info belongs to: between which servers it was recorded, and by which transforms.
//!
//! Kept beside the sync info, where v0.3 never looks. Without it a changed transform would delete at paths that were
//! never written, and another server behind the same name would pass for one that is in sync.

use serde::{Deserialize, Serialize};

use super::plan::Objection;
use super::report::CycleId;
use super::transform::{Rule, Transforms};
use crate::vault::{Health, VaultClient};

/// A Vault server, as far as it can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) address: String,
    #[serde(default)]
    cluster_id: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
}

impl Place {
    /// The server behind a client. One that does not answer is known by its address alone.
    pub(super) async fn of(vault: &VaultClient) -> Self {
        let cluster_id = vault.health().await.ok().and_then(|Health { cluster_id, .. }| cluster_id);
        Self {
            address: vault.address().to_owned(),
            cluster_id: cluster_id.filter(|id| !id.is_empty()),
            namespace: vault.namespace().map(str::to_owned),
        }
    }

    /// Whether both are one namespace of one cluster, whatever addresses lead there.
    pub(super) fn is(&self, other: &Self) -> bool {
        let cluster = match (&self.cluster_id, &other.cluster_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.address == other.address,
        };
        cluster && self.namespace == other.namespace
    }
}

/// What sync info belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) origin: Place,
    pub(super) destination: Place,
    transforms: Vec<Rule>,
    /// The cycle that wrote last.
    #[serde(default)]
    cycle: Option<CycleId>,
}

impl Binding {
    pub(super) fn new(origin: Place, destination: Place, transforms: &Transforms) -> Self {
        Self { origin, destination, transforms: transforms.rules(), cycle: None }
    }

    /// The bytes that are kept when `cycle` begins.
    pub(super) fn encode(&self, cycle: CycleId) -> Vec<u8> {
        // texts always serialize
        serde_json::to_vec(&Self { cycle: Some(cycle), ..self.clone() }).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// Objections if the servers are others now.
    pub(super) fn objections(&self, now: &Self) -> Vec<Objection> {
        let pairs = [("from", &self.origin, &now.origin), ("to", &self.destination, &now.destination)];
        pairs
            .into_iter()
            .filter(|(_, recorded, present)| !recorded.is(present))
            .map(|(direction, recorded, present)| Objection::AnotherServer {
                direction: direction.to_owned(),
                recorded: recorded.address.clone(),
                present: present.address.clone(),
            })
            .collect()
    }

    /// The transforms that were in force, if they were others than now.
    pub(super) fn former_transforms(&self, now: &Transforms) -> Option<Transforms> {
        if self.transforms == now.rules() {
            return None;
        }
        // They were valid when they were kept. Should they not be any more, everything counts as moved.
        Some(Transforms::new(&self.transforms).unwrap_or_else(|_| Transforms::nowhere()))
    }
}
