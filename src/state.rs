//! Where vsync remembers: sync info of both sides, the reports of past cycles, and who is at work.
//!
//! A [`StateStore`] keeps bytes under keys; [`State`] and [`CycleLog`] give them their meaning. [`open`] is the only
//! place that names the stores there are.
//!
//! ```text
//! <sync path>origin/index        the checksums of the origin's buckets; what v0.3's destinations watch
//! <sync path>origin/0 …          its buckets
//! <sync path>destination/…       the same for a destination
//! <sync path>vsync/destination   what a destination's sync info belongs to, where v0.3 never looks
//! <sync path>vsync/cycles/…      reports of cycles, where v0.3 never looks
//! <sync path>vsync/ledger/…      what vsync last did at each path of a destination ([`Ledger`])
//! <sync path>vsync/changes/…     what each cycle changed there, to undo it ([`ChangeLog`])
//! <sync path>vsync/ignored/…     failures there that nobody is to mind, and why ([`IgnoreList`])
//! <sync path>vsync/kv1/…         what secrets of KV version 1 held at the origin, as keyed fingerprints ([`Sightings`])
//! <sync path>vsync/locks/…       the locks of both sides; in the embedded store files beside it
//! ```
//!
//! A [`Journal`] keeps changes in local files until a store has them.

mod changes;
mod compact;
mod consul;
mod cycle_log;
mod embedded;
mod ignored;
mod journal;
mod ledger;
mod lock;
#[cfg(test)]
mod memory;
mod sightings;
mod sync_state;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

pub use changes::{Change, ChangeKind, ChangeLog};
pub use cycle_log::CycleLog;
pub use ignored::{IgnoreList, IgnoredSecret, Ignoring};
pub use journal::{Journal, Segment};
pub use ledger::{Foreign, Ledger, LedgerEntry, LedgerWriter};
pub use lock::{KeyWatch, Lock, LockError, LockHolder, LockTaken};
pub use sightings::{Sighting, Sightings};
pub use sync_state::{State, StateSide, Stored, SyncInfoWriter, bucket_count};

use crate::consul::ConsulSettings;

/// State that could not be read or saved.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {key} in {location}: {message}")]
pub struct StateError {
    /// What was tried: `read`, `save`, `list`, `delete`, `open`, `lock`, `unlock`, `watch`.
    pub operation: &'static str,
    /// The key it was tried with.
    pub key: String,
    /// The store, as [`StateStore::location`] names it.
    pub location: String,
    /// Why it did not work.
    pub message: String,
}

/// Bytes under keys, kept safely.
#[async_trait]
pub trait StateStore: fmt::Debug + Send + Sync {
    /// What and where it is, for messages: `Consul at http://127.0.0.1:8500 (dc1)`.
    fn location(&self) -> String;

    /// The largest value it takes, in bytes.
    fn value_limit(&self) -> usize;

    /// The value of a key, `None` if there is none.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError>;

    /// The values of several keys, in their order.
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StateError>;

    /// Saves all entries. Where this cannot be atomic the entries are written in the order given, so what refers to the
    /// others goes last.
    async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), StateError>;

    /// The keys that start with `prefix`, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError>;

    /// Forgets these keys, in the order given where it cannot be atomic; those that do not exist are no error.
    async fn delete(&self, keys: &[String]) -> Result<(), StateError>;

    /// Takes the lock of this name, or says who has it. Does not wait for it.
    async fn lock(&self, key: &str, holder: &LockHolder) -> Result<Lock, LockError>;

    /// Who has the lock of this name; `None`: nobody. Looks only, so it may be out of date at once.
    async fn lock_holder(&self, key: &str) -> Result<Option<LockTaken>, StateError>;

    /// Watches one key. Nothing is read before the first [`KeyWatch::changed`].
    fn watch(&self, key: &str) -> Box<dyn KeyWatch>;
}

/// Which store to open.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there are only ever a few, and not for long")]
pub enum StoreSettings {
    /// A file of this process's machine.
    Embedded {
        /// The file; it and its folder are made when something is first saved.
        file: PathBuf,
    },
    /// Consul's KV.
    Consul(ConsulSettings),
}

/// Opens a store. Nothing is contacted before the first request.
///
/// # Errors
/// [`StateError`] when the settings cannot work (bad address, unreadable certificate).
pub fn open(settings: &StoreSettings) -> Result<Arc<dyn StateStore>, StateError> {
    match settings {
        StoreSettings::Embedded { file } => Ok(Arc::new(embedded::EmbeddedStore::new(file.clone()))),
        StoreSettings::Consul(settings) => Ok(Arc::new(consul::ConsulStore::new(settings)?)),
    }
}

/// A sync path as keys begin with it: no slash in front, where Consul would make an empty folder of it, and one at its
/// end.
fn normalized(sync_path: &str) -> String {
    let bare = sync_path.trim_matches('/');
    if bare.is_empty() { String::new() } else { format!("{bare}/") }
}
