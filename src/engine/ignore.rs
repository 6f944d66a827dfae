//! Failures that nobody is to mind, because an operator has said so and why.
//!
//! It holds as long as the failure is the same: another cause, or another version at the origin, is minded again.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::plan::DestinationName;
use super::report::Failure;
use super::{Engine, EngineError};
use crate::kv::SecretPath;
use crate::state::{IgnoreList, IgnoredSecret, Ignoring};
use crate::sync_info::Insight;

/// A failure that is not minded, who said so, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub operator: String,
    /// On which machine.
    pub host: String,
    /// When.
    pub at: Timestamp,
    /// The word for the cause that is not minded.
    pub cause: String,
    /// The origin's insight that is not minded; `None` for a delete.
    pub insight: Option<Insight>,
}

impl Ignored {
    /// Whether it is about this very failure.
    #[must_use]
    pub fn covers(&self, failure: &Failure) -> bool {
        self.origin == failure.origin && self.cause == failure.cause.as_str() && self.insight == failure.insight
    }
}

impl Engine {
    /// What is not minded, per destination.
    ///
    /// # Errors
    /// [`EngineError::State`] when a store does not answer.
    pub async fn ignored(&self) -> Result<BTreeMap<DestinationName, Vec<Ignored>>, EngineError> {
        let mut ignored = BTreeMap::new();
        for destination in self.destinations() {
            let said = IgnoreList::new(&self.destination_state(destination)).read().await?;
            let entries: Vec<Ignored> = said.into_iter().flat_map(entries).collect();
            if !entries.is_empty() {
                ignored.insert(destination.name.clone(), entries);
            }
        }
        Ok(ignored)
    }

    /// Says that these failures are not to be minded, in the operator's name.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDestination`], and [`EngineError::State`] when a store refuses.
    pub async fn ignore(&self, failures: &[(DestinationName, Failure)], reason: &str) -> Result<(), EngineError> {
        let mut parts: BTreeMap<&DestinationName, Vec<IgnoredSecret>> = BTreeMap::new();
        for (name, failure) in failures {
            parts.entry(name).or_default().push(IgnoredSecret {
                origin: failure.origin.clone(),
                cause: failure.cause.as_str().to_owned(),
                insight: failure.insight,
            });
        }
        for (name, secrets) in parts {
            let ignoring = Ignoring {
                operator: self.operator().name.clone(),
                host: self.operator().host.clone(),
                at: Timestamp::now(),
                reason: reason.to_owned(),
                secrets,
            };
            IgnoreList::new(&self.destination_state(self.find(name)?)).add(&ignoring).await?;
        }
        Ok(())
    }

    /// Minds the failures of these secrets again.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDestination`], and [`EngineError::State`] when a store refuses.
    pub async fn mind(&self, secrets: &BTreeSet<(DestinationName, SecretPath)>) -> Result<(), EngineError> {
        let mut parts: BTreeMap<&DestinationName, BTreeSet<&SecretPath>> = BTreeMap::new();
        for (name, path) in secrets {
            parts.entry(name).or_default().insert(path);
        }
        for (name, paths) in parts {
            let list = IgnoreList::new(&self.destination_state(self.find(name)?));
            list.remove(&|origin| paths.contains(origin)).await?;
        }
        Ok(())
    }
}

fn entries(said: Ignoring) -> impl Iterator<Item = Ignored> {
    let Ignoring { operator, host, at, reason, secrets } = said;
    secrets.into_iter().map(move |IgnoredSecret { origin, cause, insight }| Ignored {
        origin,
        reason: reason.clone(),
        operator: operator.clone(),
        host: host.clone(),
        at,
        cause,
        insight,
    })
}
