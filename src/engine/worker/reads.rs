//! Reading the origin once for all destinations that need the same secret.
//!
//! A value is held, in memory alone, from when the first destination asks for it until the last one has it. If the
//! destinations drift apart by more than [`MOST`], the oldest values are dropped, and wiped; who comes for one of them
//! later reads it again. A read that failed is told to those who wait for it, and to nobody else.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use super::lock;
use crate::engine::plan::{Operation, Source, Task};
use crate::kv::SecretPath;
use crate::vault::{Secret, VaultError};

/// Bytes of values that are held at most.
const MOST: usize = 64 << 20;

/// What was read, or why not.
type Answer = Result<Arc<Secret>, VaultError>;

#[derive(Debug, Default)]
pub(in crate::engine) struct Reads {
    hashes: RandomState,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// How many destinations still need a secret, by the hash of its path: two paths with one hash only make a value stay
    /// a little longer.
    needed: HashMap<u64, u32>,
    flights: HashMap<SecretPath, Flight>,
    /// Those of them that have landed, oldest first.
    landed: BTreeMap<u64, SecretPath>,
    landings: u64,
    /// Older versions of secrets, held until the last destination has had the secret itself.
    older: HashMap<SecretPath, HashMap<u64, Older>>,
    bytes: usize,
}

#[derive(Default)]
struct Older {
    answer: Arc<OnceCell<Answer>>,
    size: usize,
}

#[derive(Default)]
struct Flight {
    answer: Arc<OnceCell<Answer>>,
    /// Its place among those that have landed, and its size.
    landed: Option<(u64, usize)>,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("flights", &self.flights.len()).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Whether the origin's value is needed for a task.
fn reads_origin(task: &Task) -> bool {
    task.source == Source::Origin && matches!(task.operation, Operation::Add | Operation::Update)
}

impl Reads {
    /// One more destination is going to need the values for its tasks.
    pub(in crate::engine) fn expect<'a>(&self, tasks: impl Iterator<Item = &'a Task>) {
        let mut held = lock(&self.held);
        for task in tasks.filter(|task| reads_origin(task)) {
            *held.needed.entry(self.hashes.hash_one(&task.origin)).or_default() += 1;
        }
    }

    /// A destination does not need its value any more, or not soon.
    pub(in crate::engine) fn forgo(&self, task: &Task) {
        if reads_origin(task) {
            let mut held = lock(&self.held);
            if held.is_last(self.hashes.hash_one(&task.origin)) {
                held.drop_value(&task.origin);
            }
        }
    }

    /// The value, read by `read` unless another destination has just done so.
    pub(super) async fn get<F>(&self, path: &SecretPath, read: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<Secret, VaultError>>,
    {
        let hash = self.hashes.hash_one(path);
        let flight = {
            let mut held = lock(&self.held);
            if held.needed.get(&hash).is_none_or(|needed| *needed <= 1) && !held.flights.contains_key(path) {
                held.needed.remove(&hash);
                held.drop_older(path);
                None
            } else {
                Some(Arc::clone(&held.flights.entry(path.clone()).or_default().answer))
            }
        };
        let Some(flight) = flight else { return read().await.map(Arc::new) };
        // whoever is cut off while reading leaves it to the next one
        let answer = flight.get_or_init(|| async { read().await.map(Arc::new) }).await.clone();
        let mut held = lock(&self.held);
        // the flight may have been dropped, and another be under way by now
        let is_this = held.flights.get(path).is_some_and(|other| Arc::ptr_eq(&other.answer, &flight));
        if is_this {
            match &answer {
                _ if held.is_last(hash) => held.drop_value(path),
                Ok(secret) => held.keep(path, secret.data.expose_json().len()),
                // the next one had better ask for itself
                Err(_) => held.drop_value(path),
            }
        }
        answer
    }
}

impl Reads {
    /// An older version, read by `read` unless another destination that needs the same secret has just done so.
    pub(super) async fn get_version<F>(&self, path: &SecretPath, version: u64, read: impl FnOnce() -> F) -> Answer
    where
        F: Future<Output = Result<Secret, VaultError>>,
    {
        let hash = self.hashes.hash_one(path);
        let older = {
            let mut held = lock(&self.held);
            let shared = held.older.contains_key(path) || held.needed.get(&hash).is_some_and(|needed| *needed > 1);
            if shared && held.bytes < MOST {
                let versions = held.older.entry(path.clone()).or_default();
                Some(Arc::clone(&versions.entry(version).or_default().answer))
            } else {
                None
            }
        };
        let Some(older) = older else { return read().await.map(Arc::new) };
        let answer = older.get_or_init(|| async { read().await.map(Arc::new) }).await.clone();
        let mut held = lock(&self.held);
        let Held { older: versions, bytes, .. } = &mut *held;
        if let Some(versions) = versions.get_mut(path)
            && let Some(this) = versions.get_mut(&version).filter(|this| Arc::ptr_eq(&this.answer, &older))
        {
            match &answer {
                Ok(secret) if this.size == 0 => {
                    this.size = secret.data.expose_json().len();
                    *bytes += this.size;
                }
                Ok(_) => {}
                Err(_) => {
                    versions.remove(&version);
                }
            }
        }
        answer
    }
}

impl Held {
    fn drop_older(&mut self, path: &SecretPath) {
        let versions = self.older.remove(path).unwrap_or_default();
        self.bytes -= versions.values().map(|older| older.size).sum::<usize>();
    }

    /// One destination less needs it; whether it was the last.
    fn is_last(&mut self, hash: u64) -> bool {
        let Some(needed) = self.needed.get_mut(&hash) else { return true };
        *needed = needed.saturating_sub(1);
        let last = *needed == 0;
        if last {
            self.needed.remove(&hash);
        }
        last
    }

    fn keep(&mut self, path: &SecretPath, size: usize) {
        let landing = self.landings;
        match self.flights.get_mut(path) {
            Some(flight) if flight.landed.is_none() => flight.landed = Some((landing, size)),
            _ => return,
        }
        self.landings += 1;
        self.landed.insert(landing, path.clone());
        self.bytes += size;
        while self.bytes > MOST {
            let Some((_, oldest)) = self.landed.pop_first() else { break };
            self.drop_value(&oldest);
        }
    }

    fn drop_value(&mut self, path: &SecretPath) {
        self.drop_older(path);
        if let Some((landing, size)) = self.flights.remove(path).and_then(|flight| flight.landed) {
            self.landed.remove(&landing);
            self.bytes -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use zeroize::Zeroizing;

    use super::*;
    use crate::engine::testing::task;
    use crate::kv::SecretData;
    use crate::sync_info::EngineKind;

    async fn read(size: usize, count: &AtomicUsize) -> Result<Secret, VaultError> {
        count.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let data = SecretData::from_json(Zeroizing::new("x".repeat(size)));
        Ok(Secret { data, version: 1, created_time: jiff::Timestamp::UNIX_EPOCH, kind: EngineKind::KvV2 })
    }

    fn bytes(reads: &Reads) -> usize {
        lock(&reads.held).bytes
    }

    #[tokio::test]
    async fn five_destinations_read_once_and_nothing_stays() {
        let (reads, count, task) = (Reads::default(), AtomicUsize::new(0), task("a"));
        for _ in 0..5 {
            reads.expect(std::iter::once(&task));
        }
        let get = || reads.get(&task.origin, || read(10, &count));
        let (one, other) = tokio::join!(get(), get());
        assert!(one.is_ok() && other.is_ok());
        assert_eq!((count.load(Ordering::Relaxed), bytes(&reads)), (1, 10), "held for the three that are to come");
        for _ in 0..2 {
            get().await.expect("a value");
        }
        reads.forgo(&task);
        assert_eq!((count.load(Ordering::Relaxed), bytes(&reads)), (1, 0), "the last one does not want it");
        assert!(lock(&reads.held).flights.is_empty() && lock(&reads.held).needed.is_empty());
    }

    #[tokio::test]
    async fn what_is_held_is_bounded() {
        let (reads, count) = (Reads::default(), AtomicUsize::new(0));
        let tasks: Vec<Task> = (0..5).map(|number| task(&number.to_string())).collect();
        for _ in 0..2 {
            reads.expect(tasks.iter());
        }
        for task in &tasks {
            reads.get(&task.origin, || read(MOST / 3, &count)).await.expect("a value");
            assert!(bytes(&reads) <= MOST);
        }
        // the destination that lags behind reads the oldest again
        for task in &tasks {
            reads.get(&task.origin, || read(MOST / 3, &count)).await.expect("a value");
        }
        assert_eq!((count.load(Ordering::Relaxed), bytes(&reads)), (7, 0));
    }

    #[tokio::test]
    async fn who_is_cut_off_while_reading_leaves_it_to_the_next() {
        let (reads, count, task) = (Reads::default(), AtomicUsize::new(0), task("a"));
        for _ in 0..2 {
            reads.expect(std::iter::once(&task));
        }
        let never = reads.get(&task.origin, std::future::pending);
        let cut_off = tokio::time::timeout(std::time::Duration::from_millis(1), never).await;
        assert!(cut_off.is_err());
        reads.get(&task.origin, || read(1, &count)).await.expect("a value");
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn older_versions_are_read_once_and_go_with_the_newest() {
        let (reads, count, task) = (Reads::default(), AtomicUsize::new(0), task("a"));
        for _ in 0..2 {
            reads.expect(std::iter::once(&task));
        }
        for _ in 0..2 {
            for version in 1..=3 {
                let read = || read(10, &count);
                reads.get_version(&task.origin, version, read).await.expect("a value");
            }
            reads.get(&task.origin, || read(10, &count)).await.expect("a value");
        }
        assert_eq!((count.load(Ordering::Relaxed), bytes(&reads)), (4, 0));
        assert!(lock(&reads.held).older.is_empty());
        // nobody else needs it: nothing is held
        reads.get_version(&task.origin, 1, || read(10, &count)).await.expect("a value");
        assert_eq!(bytes(&reads), 0);
    }
}
