//! Where vsync remembers: sync info of both sides and the reports of past cycles.
//!
//! A [`StateStore`] keeps bytes under keys; [`State`] gives them their meaning. [`open`] is the only place that names the
//! stores there are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

/// State that could not be read or saved.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {key} in {location}: {message}")]
pub struct StateError {
    /// What was tried: `read`, `save`, `list`.
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

    /// Saves all entries. Where this cannot be atomic the entries are written in the order given, so what refers to the
    /// others goes last.
    async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), StateError>;

    /// The keys that start with `prefix`, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError>;

    /// Forgets these keys; those that do not exist are no error.
    async fn delete(&self, keys: &[String]) -> Result<(), StateError>;
}

/// Which store to open.
#[derive(Debug, Clone)]
pub enum StoreSettings {
    /// A file of this process's machine.
    Embedded {
        /// The file; it and its folder are made when something is first saved.
        file: PathBuf,
    },
}

/// Opens a store. Nothing is contacted before the first request.
///
/// # Errors
/// [`StateError`] when the settings cannot work (bad address, unreadable certificate).
pub fn open(settings: &StoreSettings) -> Result<Arc<dyn StateStore>, StateError> {
    todo!("{settings:?}")
}
