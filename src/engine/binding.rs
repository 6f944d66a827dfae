//! What a destination's sync info belongs to: between which servers it was recorded, and by which transforms.
//!
//! Kept beside the sync info, where v0.3 never looks. Without it a changed transform would delete at paths that were
//! never written, and another server behind the same name would pass for one that is in sync.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Destination;
use super::drift::{OnDrift, OnExisting};
use super::plan::Objection;
use super::report::CycleId;
use super::transform::{Rule, Transforms};
use crate::kv::SecretPath;
use crate::vault::{Health, VaultClient};

/// How long a server may take to say who it is. A dead one must not keep the others waiting.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// A Vault server, as far as it can be told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) address: String,
    #[serde(default)]
    cluster_id: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
    /// Whether it said who it is. One that is sealed does not know.
    #[serde(skip)]
    pub(super) answered: bool,
}

impl Place {
    /// The server behind a client. One that does not answer is known by its address alone.
    pub(super) async fn of(vault: &VaultClient) -> Self {
        let health = tokio::time::timeout(PATIENCE, vault.health()).await;
        let health = health.ok().and_then(Result::ok).filter(|health| health.obstacle().is_none());
        let answered = health.is_some();
        let cluster_id = health.and_then(|Health { cluster_id, .. }| cluster_id);
        Self {
            address: vault.address().trim_end_matches('/').to_lowercase(),
            cluster_id: cluster_id.filter(|id| !id.is_empty()),
            namespace: vault.namespace().map(|namespace| namespace.trim_matches('/').to_owned()),
            answered,
        }
    }

    /// What was known of the same server before, where it has not told now. One that does not answer is taken for the
    /// former one until it does.
    fn completed_by(mut self, former: &Self) -> Self {
        if !self.answered {
            return Self { answered: false, ..former.clone() };
        }
        if self.cluster_id.is_none() && self.is(former) {
            self.cluster_id.clone_from(&former.cluster_id);
        }
        self
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
    /// What was done about secrets that somebody else wrote.
    #[serde(default)]
    on_drift: OnDrift,
    #[serde(default)]
    on_existing: OnExisting,
    /// Some of what was deleted here may wait to be destroyed or purged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) awaits_removal: bool,
    /// The last cycle that has ended here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<CycleId>,
    /// The cycle that is at work. One that never ended may have written what is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<CycleId>,
}

/// Transforms that were in force before.
#[derive(Debug, Clone)]
pub(super) enum Former {
    /// These.
    Rules(Transforms),
    /// They can no longer be read, so that nobody knows where anything went.
    Unreadable,
}

impl Former {
    /// Whether they sent `path` where `present` ones do.
    pub(super) fn sent_where(&self, path: &SecretPath, present: &Transforms) -> bool {
        match self {
            Self::Rules(rules) => rules.apply(path).data_path == present.apply(path).data_path,
            Self::Unreadable => false,
        }
    }
}

impl Binding {
    pub(super) fn new(origin: Place, place: Place, destination: &Destination, former: Option<&Self>) -> Self {
        let (origin, place) = match former {
            Some(former) => (origin.completed_by(&former.origin), place.completed_by(&former.destination)),
            None => (origin, place),
        };
        let (open, last) = former.map_or((None, None), |former| (former.open, former.last));
        let awaits_removal = former.is_some_and(|former| former.awaits_removal);
        Self {
            origin,
            destination: place,
            transforms: destination.transforms.rules(),
            on_drift: destination.on_drift,
            on_existing: destination.on_existing,
            awaits_removal,
            last,
            open,
        }
    }

    /// The same with the former transforms and policies.
    pub(super) fn with_rules_of(self, former: Option<Self>) -> Self {
        match former {
            Some(former) => Self { origin: self.origin, destination: self.destination, ..former },
            None => self,
        }
    }

    /// The same, with what was to be done before about secrets that somebody else wrote.
    pub(super) fn with_policies_of(self, former: &Self) -> Self {
        Self { on_drift: former.on_drift, on_existing: former.on_existing, ..self }
    }

    /// The bytes that are kept.
    pub(super) fn encode(&self) -> Vec<u8> {
        // texts always serialize
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The objection if a server is another one now. Of one that does not answer nothing is claimed.
    pub(super) fn objection(&self, now: &Self) -> Option<Objection> {
        let pairs = [("origin", &self.origin, &now.origin), ("destination", &self.destination, &now.destination)];
        let (side, recorded, present) =
            pairs.into_iter().find(|(_, recorded, present)| present.answered && !recorded.is(present))?;
        let recorded = if recorded.address == present.address {
            "of another cluster at the same address".to_owned()
        } else {
            format!("of {}", recorded.address)
        };
        Some(Objection::AnotherServer { side: side.to_owned(), recorded, present: present.address.clone() })
    }

    /// The objection if a server has another address now and does not say there which one it is.
    pub(super) fn doubt(&self, origin: &Place, destination: &Place) -> Option<Objection> {
        let pairs = [("origin", &self.origin, origin), ("destination", &self.destination, destination)];
        let (side, recorded, present) = pairs
            .into_iter()
            .find(|(_, recorded, present)| !present.answered && recorded.address != present.address)?;
        let recorded = format!("of {}, and the one there now does not say which one it is", recorded.address);
        Some(Objection::AnotherServer { side: side.to_owned(), recorded, present: present.address.clone() })
    }

    /// Whether more is to be done now about secrets that somebody else wrote than was before.
    pub(super) fn did_less(&self, now: &Self) -> bool {
        (self.on_drift != now.on_drift && now.on_drift != OnDrift::Report)
            || (self.on_existing != now.on_existing && now.on_existing != OnExisting::Report)
    }

    /// The transforms that were in force, if they were others than now.
    pub(super) fn former_transforms(&self, now: &Transforms) -> Option<Former> {
        (self.transforms != now.rules())
            .then(|| Transforms::new(&self.transforms).map_or(Former::Unreadable, Former::Rules))
    }
}
