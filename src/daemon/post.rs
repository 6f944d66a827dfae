//! What a daemon looks after, and whether it is the one that does: of several, one works and the others stand by.

use crate::engine::{Engine, EngineError, LeadError, LockPlace, Side};
use crate::state::{Lock, LockError};

use super::trouble::{Kind, Trouble};

/// The origin's sync info, or one destination.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) side: Side,
    place: LockPlace,
    lock: Option<Lock>,
    /// Who has the lock, while this process stands by.
    pub(crate) held_by: Option<String>,
}

/// What has become of a post.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is held, as before.
    Held,
    /// This process has it from now on.
    Taken {
        /// It stood by before.
        stood_by: bool,
    },
    /// Another process has it, as before.
    StandingBy,
    /// Another process has it, which is news.
    Left,
}

impl Post {
    pub(crate) fn new(engine: &Engine, side: Side) -> Result<Self, EngineError> {
        let place = engine.lead_place(&side)?;
        Ok(Self { side, place, lock: None, held_by: None })
    }

    /// `origin`, or the destination's name.
    pub(crate) fn subject(&self) -> &str {
        match &self.side {
            Side::Origin => "origin",
            Side::Destination(name) => name.as_str(),
        }
    }

    /// Whether it is this process's.
    pub(crate) fn is_held(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| !lock.lost().is_cancelled())
    }

    /// Goes on with a lock that was held for the same before.
    pub(crate) fn inherit(&mut self, former: &mut [Self]) {
        if let Some(former) = former.iter_mut().find(|former| former.place == self.place) {
            self.lock = former.lock.take();
            self.held_by = former.held_by.take();
        }
    }

    /// Sees to it that it is held, if it is free.
    pub(crate) async fn take(&mut self, engine: &Engine, purpose: &str) -> Result<Turn, Trouble> {
        if self.is_held() {
            return Ok(Turn::Held);
        }
        self.lock = None;
        match engine.lead(&self.side, purpose).await {
            Ok(lock) => {
                self.lock = Some(lock);
                Ok(Turn::Taken { stood_by: self.held_by.take().is_some() })
            }
            Err(LeadError::Lock(LockError::Held(taken))) => {
                let news = self.held_by.is_none();
                self.held_by = Some(taken.to_string());
                Ok(if news { Turn::Left } else { Turn::StandingBy })
            }
            Err(error) => Err(Trouble::new(self.subject(), Kind::Lock, format!("its lock cannot be taken: {error}"))),
        }
    }

    /// What is wrong with the lock that is held.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        let trouble = self.lock.as_ref().filter(|_| self.is_held())?.trouble()?;
        Some(Trouble::new(self.subject(), Kind::Lock, format!("its lock is not renewed: {trouble}")))
    }

    /// Lets it go, so that whoever stands by takes over at once.
    pub(crate) async fn release(&mut self) {
        if let Some(lock) = self.lock.take()
            && let Err(error) = lock.release().await
        {
            tracing::warn!(%error, "a lock was not let go; it becomes free by itself");
        }
    }
}
