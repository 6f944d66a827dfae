//! Locks, so that one cycle at a time works on a destination, and waiting for a key to change.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::StateError;
use crate::text::sanitize;

/// Who holds a lock; kept beside it for whoever finds it taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The user who started it.
    pub operator: String,
    /// Where it runs.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Since when it has the lock.
    pub since: Timestamp,
    /// What for: `sync`, `origin daemon`, …
    pub purpose: String,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operator, host, pid, since, purpose } = self;
        let (operator, host, purpose) = (sanitize(operator), sanitize(host), sanitize(purpose));
        let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
        write!(f, "{operator} on {host} (process {pid}, {purpose}) since {since}")
    }
}

impl LockHolder {
    /// As it is kept beside the lock.
    pub(super) fn encode(&self) -> Vec<u8> {
        // names and numbers always serialize
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` for what is half-written, or written by somebody else's tool.
    pub(super) fn decode(record: &[u8]) -> Option<Self> {
        serde_json::from_slice(record).ok()
    }
}

/// Why a lock is not to be had at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockTaken {
    /// This one has it.
    By(LockHolder),
    /// Somebody has it whose name cannot be read: it is just being written, or is not vsync's.
    ByUnknown,
    /// Nobody has it any more, but its last holder ended without letting go, and the store keeps it closed for a few
    /// seconds in case a write of that one is still under way.
    JustFreed,
}

impl LockTaken {
    /// Who has it, where that is known.
    #[must_use]
    pub fn holder(&self) -> Option<&LockHolder> {
        match self {
            Self::By(holder) => Some(holder),
            Self::ByUnknown | Self::JustFreed => None,
        }
    }

    pub(super) fn from_record(record: &[u8]) -> Self {
        LockHolder::decode(record).map_or(Self::ByUnknown, Self::By)
    }
}

impl fmt::Display for LockTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(holder) => write!(f, "held by {holder}"),
            Self::ByUnknown => f.write_str("held by somebody whose name cannot be read; try again"),
            Self::JustFreed => {
                f.write_str("just freed by a holder that ended unexpectedly; try again in a few seconds")
            }
        }
    }
}

/// A lock that was not got.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It is somebody else's.
    #[error("{0}")]
    Held(LockTaken),
    /// The store could not say.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A lock that is held: renewed in the background, let go by [`Lock::release`], freed by itself when the process dies.
/// Dropped without a release it is let go as far as the store can do that in the background.
pub struct Lock {
    status: LockStatus,
    grip: Box<dyn Grip>,
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Lock {
    pub(super) fn new(status: LockStatus, grip: impl Grip + 'static) -> Self {
        Self { status, grip: Box::new(grip) }
    }

    /// A lock on nothing, for a store that keeps nothing.
    #[cfg(test)]
    pub(crate) fn on_nothing() -> Self {
        struct Nothing;
        #[async_trait]
        impl Grip for Nothing {
            async fn let_go(self: Box<Self>) -> Result<(), StateError> {
                Ok(())
            }
        }
        Self::new(LockStatus::default(), Nothing)
    }

    /// Cancelled when the lock is lost for certain: somebody else may hold it.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.status.lost.clone()
    }

    /// What is wrong with it at the moment (the store does not answer), for display; `None` when all is well.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.status.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.as_ref().map(ToString::to_string)
    }

    /// Lets it go.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer: then the lock becomes free by itself, only later.
    pub async fn release(self) -> Result<(), StateError> {
        self.grip.let_go().await
    }
}

/// What a store must hold on to for a lock. Dropping it lets go too, without waiting for that.
#[async_trait]
pub(super) trait Grip: Send + Sync {
    async fn let_go(self: Box<Self>) -> Result<(), StateError>;
}

/// How a lock fares: told by whoever renews it, asked by whoever holds it.
#[derive(Debug, Clone, Default)]
pub(super) struct LockStatus {
    lost: CancellationToken,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    message: String,
    lost: bool,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lost {
            return f.write_str(&self.message);
        }
        write!(f, "{} (for {} s; the lock is not renewed meanwhile)", self.message, self.since.elapsed().as_secs())
    }
}

impl LockStatus {
    /// Returns whether there had been trouble.
    pub(super) fn well(&self) -> bool {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    /// Returns whether that is new.
    pub(super) fn troubled(&self, message: String) -> bool {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().map(|trouble| trouble.since);
        *trouble = Some(Trouble { since: since.unwrap_or_else(Instant::now), message, lost: false });
        since.is_none()
    }

    pub(super) fn lost(&self, message: String) {
        let trouble = Trouble { since: Instant::now(), message, lost: true };
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
        self.lost.cancel();
    }
}

/// Waits for changes of one key.
#[async_trait]
pub trait KeyWatch: Send {
    /// The value as it is now, the first time; after that returns when it has changed. `None` when there is no such key
    /// (any more). May be dropped and called again: no change is missed, but of several only the last may be seen.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer; the next call goes on from where this one was.
    async fn changed(&mut self) -> Result<Option<Vec<u8>>, StateError>;
}

/// What a watch that compares values has last told.
#[derive(Debug, Default)]
pub(super) enum Told {
    #[default]
    Nothing,
    Value(Option<Vec<u8>>),
}

impl Told {
    /// Whether this has not been told yet; from now on it has.
    pub(super) fn is_news(&mut self, value: Option<&Vec<u8>>) -> bool {
        let news = !matches!(self, Self::Value(told) if told.as_ref() == value);
        if news {
            *self = Self::Value(value.cloned());
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(operator: &str) -> LockHolder {
        let since = "2026-11-24T01:02:03.9Z".parse().unwrap();
        LockHolder {
            operator: operator.to_owned(),
            host: "vault-sync-1".to_owned(),
            pid: 4711,
            since,
            purpose: "sync".to_owned(),
        }
    }

    #[test]
    fn a_holder_is_named_in_one_line() {
        let anna = holder("anna");
        let shown = "anna on vault-sync-1 (process 4711, sync) since 2026-11-24 01:02:03 UTC";
        assert_eq!(anna.to_string(), shown);
        assert_eq!(LockHolder::decode(&anna.encode()), Some(anna.clone()));
        assert_eq!(LockError::Held(LockTaken::By(anna)).to_string(), format!("held by {shown}"));
        assert!(!holder("\u{1b}[2Janna").to_string().contains('\u{1b}'));
    }

    #[test]
    fn what_is_no_record_names_nobody() {
        let whole = holder("anna").encode();
        for record in [&b""[..], b"{}", b"consul lock", &whole[..whole.len() / 2]] {
            assert_eq!(LockTaken::from_record(record), LockTaken::ByUnknown);
        }
    }

    #[test]
    fn trouble_lasts_until_all_is_well() {
        let status = LockStatus::default();
        let lock = Lock { status: status.clone(), ..Lock::on_nothing() };
        assert_eq!(lock.trouble(), None);
        assert!(status.troubled("no answer".to_owned()));
        assert!(!status.troubled("still no answer".to_owned()));
        assert!(lock.trouble().unwrap().starts_with("still no answer (for 0 s"));
        assert!(status.well() && !status.well());
        assert_eq!(lock.trouble(), None);
        assert!(!lock.lost().is_cancelled());
        status.lost("taken".to_owned());
        assert!(lock.lost().is_cancelled());
        assert_eq!(lock.trouble().as_deref(), Some("taken"));
    }
}
