//! Who is at work: daemons take a lock for as long as they run, so that a second one stands by, and wait for the origin's
//! sync info to change.

use super::{Engine, EngineError, Side};
use crate::state::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateStore};

/// Where a lock lies: two of the same place are one lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPlace {
    /// The store.
    pub location: String,
    /// The key in it.
    pub key: String,
}

/// Who is at work at the origin or at a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// Who has the lock of a destination's cycles.
    pub cycle: Option<LockTaken>,
    /// The daemon that looks after the origin's sync info, or the destination.
    pub daemon: Option<LockTaken>,
}

/// A lock that a daemon did not get.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// Somebody else has it, or the store does not answer.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There is no such destination.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Takes the lock of the daemon that looks after the origin's sync info or after a destination, or says who has it.
    /// A destination's is another one than that of its cycles: a daemon holds it between cycles too, and must not keep
    /// people from starting theirs.
    ///
    /// # Errors
    /// [`LeadError::Lock`] when somebody else has it or the store does not answer.
    pub async fn lead(&self, side: &Side, purpose: &str) -> Result<Lock, LeadError> {
        let holder = self.operator().holder(purpose);
        let (store, key) = self.lead_lock(side)?;
        Ok(store.lock(&key, &holder).await?)
    }

    /// Who has the locks of a side at this moment. Looks only.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDestination`], and [`EngineError::State`] when the store does not answer.
    pub async fn holders(&self, side: &Side) -> Result<Holders, EngineError> {
        let cycle = match side {
            Side::Origin => None,
            Side::Destination(name) => self.destination_state(self.find(name)?).lock_holder().await?,
        };
        let (store, key) = self.lead_lock(side)?;
        Ok(Holders { cycle, daemon: store.lock_holder(&key).await? })
    }

    /// Whether a lock is held by this process.
    #[must_use]
    pub fn is_own(&self, holder: &LockHolder) -> bool {
        holder.pid == std::process::id() && holder.host == self.operator().host
    }

    /// Where that lock lies.
    ///
    /// # Errors
    /// [`EngineError::NoSuchDestination`].
    pub fn lead_place(&self, side: &Side) -> Result<LockPlace, EngineError> {
        let (store, key) = self.lead_lock(side)?;
        Ok(LockPlace { location: store.location(), key })
    }

    fn lead_lock(&self, side: &Side) -> Result<(&dyn StateStore, String), EngineError> {
        Ok(match side {
            Side::Origin => (self.origin().store.as_ref(), self.origin_state().lock_key()),
            Side::Destination(name) => {
                let destination = self.find(name)?;
                let key = format!("{}-daemon", self.destination_state(destination).lock_key());
                (destination.store.as_ref(), key)
            }
        })
    }

    /// Waits for the origin's sync info to change. Who sees a change finds what is new.
    #[must_use]
    pub fn watch_origin(&self) -> Box<dyn KeyWatch> {
        self.origin_state().watch_index()
    }
}
