//! The origin's sync info in its store: what others compare with, be it this program or vsync v0.3.

use super::inventory::Inventory;
use super::{Destination, Engine, EngineError};
use crate::state::{LockError, LockHolder, SyncInfoWriter};
use crate::sync_info::SyncInfo;

/// What recording an inventory came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginRecord {
    /// The secrets that are recorded now.
    pub secrets: u64,
    /// Those among them that could not be listed and stay as they were recorded before.
    pub kept: u64,
    /// Whether anything had to be written.
    pub changed: bool,
}

impl Engine {
    /// Saves what the origin holds, for whoever compares with it. What could not be listed stays as it was recorded.
    ///
    /// # Errors
    /// [`EngineError::EmptiedOrigin`] if nothing is left of what was recorded, [`EngineError::State`] if the store
    /// refuses.
    pub async fn record_origin(&self, inventory: &Inventory) -> Result<OriginRecord, EngineError> {
        let state = self.origin_state();
        let mut info = inventory.secrets.clone();
        let mut kept = 0;
        let index = if inventory.is_complete() {
            state.load_index().await?
        } else {
            let stored = state.load_sync_info(Some(&info)).await?;
            for (path, insight) in stored.iter().flat_map(|stored| stored.info.iter()) {
                if info.get(path).is_none() && !inventory.is_known(path) {
                    info.insert(path.clone(), *insight);
                    kept += 1;
                }
            }
            stored.map(|stored| stored.index)
        };
        let nothing = SyncInfo::new(1).sum(0);
        let is_meant = |destinations: &[Destination]| {
            !destinations.is_empty() && destinations.iter().all(|destination| destination.max_delete.allows_all())
        };
        if info.is_empty()
            && !is_meant(self.destinations())
            && index.as_ref().is_some_and(|index| index.sums().iter().any(|sum| *sum != nothing))
        {
            // whoever watches this index may have no guard of its own
            return Err(EngineError::EmptiedOrigin);
        }
        let changed = SyncInfoWriter::new(state, index.as_ref()).save(&mut info).await?;
        Ok(OriginRecord { secrets: info.len() as u64, kept, changed })
    }

    /// As [`Engine::record_origin`], unless somebody else looks after the origin's sync info: a daemon may have listed the
    /// origin later than this cycle did. `None` then.
    ///
    /// # Errors
    /// As for [`Engine::record_origin`].
    pub(crate) async fn record_origin_beside(
        &self,
        inventory: &Inventory,
        purpose: &str,
    ) -> Result<Option<OriginRecord>, EngineError> {
        let state = self.origin_state();
        let stored = state.load_index().await?;
        if inventory.is_complete() && stored.is_some_and(|stored| stored == inventory.secrets.index()) {
            return Ok(Some(OriginRecord { secrets: inventory.secrets.len() as u64, kept: 0, changed: false }));
        }
        let holder = self.operator().holder(purpose);
        let lock = match state.lock(&holder).await {
            Ok(lock) => Some(lock),
            Err(LockError::State(error)) => return Err(error.into()),
            Err(LockError::Held(taken)) => {
                let is_other = |by: &LockHolder| (by.pid, &by.host) != (holder.pid, &holder.host);
                if taken.holder().is_some_and(is_other) {
                    tracing::info!("the origin's sync info is left to others: its lock is {taken}");
                    return Ok(None);
                }
                None
            }
        };
        let recorded = self.record_origin(inventory).await;
        if let Some(lock) = lock
            && let Err(error) = lock.release().await
        {
            tracing::warn!(%error, "the origin's lock could not be let go of; it ends by itself");
        }
        recorded.map(Some)
    }

    /// What the origin's sync info says the origin holds; `None` if nothing was ever recorded. Nobody asks the origin
    /// itself, so everything counts as known, and what its record leaves out as gone. What `former` has just so is not
    /// loaded again.
    ///
    /// # Errors
    /// [`EngineError::State`] if the store does not answer, or a part of the record is missing or damaged.
    pub async fn recorded_origin(&self, former: Option<&Inventory>) -> Result<Option<Inventory>, EngineError> {
        let like = former.map(|former| &former.secrets);
        let Some(stored) = self.origin_state().load_sync_info(like).await? else { return Ok(None) };
        let filter = &self.origin().filter;
        let mut inventory = Inventory::empty(stored.info.buckets().len());
        inventory.excluded =
            stored.info.iter().map(|(path, _)| path).filter(|path| !filter.admits(path)).cloned().collect();
        inventory.excluded.sort_unstable();
        inventory.secrets = stored.info;
        for path in &inventory.excluded {
            inventory.secrets.remove(path);
        }
        inventory.recorded = true;
        Ok(Some(inventory))
    }
}
