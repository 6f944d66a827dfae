//! A store in memory for tests, that can be cut off between any two writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::lock::{Grip, LockStatus, Told};
use super::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateError, StateStore};

#[derive(Debug)]
pub(crate) struct MemoryStore {
    limit: usize,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<String, Vec<u8>>,
    read: Vec<String>,
    written: Vec<String>,
    writes_left: Option<usize>,
    locks: BTreeMap<String, LockHolder>,
}

impl MemoryStore {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, inner: Arc::default() }
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.inner.lock().unwrap().entries.keys().cloned().collect()
    }

    pub(crate) fn set(&self, key: &str, value: &[u8]) {
        self.inner.lock().unwrap().entries.insert(key.to_owned(), value.to_vec());
    }

    pub(crate) fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.inner.lock().unwrap().entries.get(key).cloned()
    }

    pub(crate) fn forget(&self, key: &str) {
        self.inner.lock().unwrap().entries.remove(key);
    }

    /// The keys read since this was last asked.
    pub(crate) fn take_read(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().read)
    }

    /// The keys written since this was last asked.
    pub(crate) fn take_written(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().written)
    }

    /// The write that follows the next `writes` fails, and nothing behind it is written; after that all is well again.
    pub(crate) fn cut_off_after(&self, writes: usize) {
        self.inner.lock().unwrap().writes_left = Some(writes);
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn value_limit(&self) -> usize {
        self.limit
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let mut inner = self.inner.lock().unwrap();
        inner.read.push(key.to_owned());
        Ok(inner.entries.get(key).cloned())
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let mut values = Vec::new();
        for key in keys {
            values.push(self.get(key).await?);
        }
        Ok(values)
    }

    async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        let mut inner = self.inner.lock().unwrap();
        for (key, value) in entries {
            assert!(value.len() <= self.limit, "{key} has {} bytes", value.len());
            match inner.writes_left {
                Some(0) => {
                    inner.writes_left = None;
                    let location = self.location();
                    return Err(StateError { operation: "save", key, location, message: "cut off".to_owned() });
                }
                Some(left) => inner.writes_left = Some(left - 1),
                None => {}
            }
            inner.written.push(key.clone());
            inner.entries.insert(key, value);
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        Ok(self.keys().into_iter().filter(|key| key.starts_with(prefix)).collect())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StateError> {
        let mut inner = self.inner.lock().unwrap();
        for key in keys {
            inner.entries.remove(key);
        }
        Ok(())
    }

    async fn lock(&self, key: &str, holder: &LockHolder) -> Result<Lock, LockError> {
        let mut inner = self.inner.lock().unwrap();
        if let Some(holder) = inner.locks.get(key) {
            return Err(LockError::Held(LockTaken::By(holder.clone())));
        }
        inner.locks.insert(key.to_owned(), holder.clone());
        let grip = MemoryGrip { inner: Arc::clone(&self.inner), key: key.to_owned() };
        Ok(Lock::new(LockStatus::default(), grip))
    }

    async fn lock_holder(&self, key: &str) -> Result<Option<LockTaken>, StateError> {
        Ok(self.inner.lock().unwrap().locks.get(key).cloned().map(LockTaken::By))
    }

    fn watch(&self, key: &str) -> Box<dyn KeyWatch> {
        Box::new(MemoryWatch { inner: Arc::clone(&self.inner), key: key.to_owned(), told: Told::default() })
    }
}

struct MemoryGrip {
    inner: Arc<Mutex<Inner>>,
    key: String,
}

#[async_trait]
impl Grip for MemoryGrip {
    async fn let_go(self: Box<Self>) -> Result<(), StateError> {
        Ok(())
    }
}

impl Drop for MemoryGrip {
    fn drop(&mut self) {
        self.inner.lock().unwrap().locks.remove(&self.key);
    }
}

struct MemoryWatch {
    inner: Arc<Mutex<Inner>>,
    key: String,
    told: Told,
}

#[async_trait]
impl KeyWatch for MemoryWatch {
    async fn changed(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        loop {
            let value = self.inner.lock().unwrap().entries.get(&self.key).cloned();
            if self.told.is_news(value.as_ref()) {
                return Ok(value);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
