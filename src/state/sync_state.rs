//! The sync info of one side in a store: keys, loading, and saving what changed.

use std::fmt;
use std::sync::Arc;

use super::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateError, StateStore, normalized};
use crate::kv::{Mount, SecretPath};
use crate::sync_info::{
    Bucket, DEFAULT_BUCKETS, Index, Insight, Sum, SyncInfo, bucket_of, decode_bucket, encode_bucket,
};

/// A path's bucket is computed from two bytes, so more buckets than this stay empty.
pub(super) const MAX_BUCKETS: usize = 1 << 16;
/// How much is encoded and handed to the store at a time: memory stays small however much there is to save.
pub(super) const BATCH_BYTES: usize = 4 << 20;
/// How many buckets are loaded at a time.
const BATCH_BUCKETS: usize = 8;
/// How often loading starts over because somebody replaced the index meanwhile.
const LOAD_ATTEMPTS: usize = 3;
const MISSING: &str =
    "the index names this bucket but it is missing: restore it, or give this side a new sync_path to begin anew";

/// Whose sync info it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateSide {
    /// What the origin holds.
    Origin,
    /// What was copied to a destination.
    Destination,
}

impl StateSide {
    fn folder(self) -> &'static str {
        match self {
            Self::Origin => "origin/",
            Self::Destination => "destination/",
        }
    }

    fn name(self) -> &'static str {
        self.folder().trim_end_matches('/')
    }
}

/// How many buckets to use: the configured number, else the stored one, else [`DEFAULT_BUCKETS`]. A stored number that
/// is the configured one doubled (and doubled again …) has grown because it had to, and is kept.
///
/// Two sides share buckets only if they have equally many, so a destination without a configured number should pass
/// the origin's present number as `configured`.
#[must_use]
pub fn bucket_count(configured: Option<usize>, stored: Option<&Index>) -> usize {
    let stored = stored.map(|index| index.sums().len()).filter(|count| *count > 0);
    let count = match (configured, stored) {
        (Some(wanted), Some(stored))
            if wanted > 0 && stored.is_multiple_of(wanted) && (stored / wanted).is_power_of_two() =>
        {
            stored
        }
        (Some(wanted), _) => wanted,
        (None, Some(stored)) => stored,
        (None, None) => DEFAULT_BUCKETS,
    };
    count.clamp(1, MAX_BUCKETS)
}

/// Sync info as it was found in the store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its entries.
    pub info: SyncInfo,
    /// The index it was stored under. It differs from the index of [`Stored::info`] when saving was once cut off.
    pub index: Index,
}

/// One side's place in a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct State {
    store: Arc<dyn StateStore>,
    base: String,
    prefix: String,
    note: String,
    lock: String,
    mounts: Vec<Mount>,
}

impl State {
    /// The sync info of `side` under `sync_path`. `mounts` are the *origin's*: they tell where the mount of a stored
    /// path ends.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, sync_path: &str, side: StateSide, mounts: Vec<Mount>) -> Self {
        let base = normalized(sync_path);
        let prefix = format!("{base}{}", side.folder());
        let note = format!("{base}vsync/{}", side.name());
        let lock = format!("{base}vsync/locks/{}", side.name());
        Self { store, base, prefix, note, lock, mounts }
    }

    /// The store, for messages.
    #[must_use]
    pub fn location(&self) -> String {
        self.store.location()
    }

    /// What is kept beside the sync info, where v0.3 never looks; `None` if nothing is.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer.
    pub async fn load_note(&self) -> Result<Option<Vec<u8>>, StateError> {
        self.store.get(&self.note).await
    }

    /// Where that is kept, for messages.
    #[must_use]
    pub fn note_key(&self) -> &str {
        &self.note
    }

    /// Keeps something beside the sync info.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn save_note(&self, note: Vec<u8>) -> Result<(), StateError> {
        self.store.put(vec![(self.note.clone(), note)]).await
    }

    /// The name of this side's lock: `<sync path>vsync/locks/destination`.
    #[must_use]
    pub fn lock_key(&self) -> String {
        self.lock.clone()
    }

    /// Takes this side's lock, or says who has it. Does not wait for it.
    ///
    /// # Errors
    /// [`LockError::Held`] when somebody else has it, [`LockError::State`] when the store does not answer.
    pub async fn lock(&self, holder: &LockHolder) -> Result<Lock, LockError> {
        self.store.lock(&self.lock, holder).await
    }

    /// Who has this side's lock; `None`: nobody. Looks only.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer.
    pub async fn lock_holder(&self) -> Result<Option<LockTaken>, StateError> {
        self.store.lock_holder(&self.lock).await
    }

    /// Watches the index, which changes after the buckets have: who sees a new index finds what it names.
    #[must_use]
    pub fn watch_index(&self) -> Box<dyn KeyWatch> {
        self.store.watch(&self.index_key())
    }

    /// The stored index; `None` if nothing was ever saved.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or what it holds is no index.
    pub async fn load_index(&self) -> Result<Option<Index>, StateError> {
        let key = self.index_key();
        let Some(bytes) = self.store.get(&key).await? else { return Ok(None) };
        let index = Index::decode(&bytes).map_err(|error| self.error("read", &key, error))?;
        if index.sums().is_empty() {
            return Err(self.error("read", &key, "the index is empty; it must name at least one bucket"));
        }
        Ok(Some(index))
    }

    /// The stored sync info; `None` if nothing was ever saved. Buckets that `like` has just so are shared with it and
    /// not loaded: for an unchanged side that leaves the index alone to be read.
    ///
    /// A bucket that differs from its checksum is newer than the index, because saving was cut off between the two; it
    /// is used as it is.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or a bucket is missing or damaged. Such a bucket must never pass
    /// for an empty one: everything in it would be copied again.
    pub async fn load_sync_info(&self, like: Option<&SyncInfo>) -> Result<Option<Stored>, StateError> {
        let Some(mut index) = self.load_index().await? else { return Ok(None) };
        for attempt in 1.. {
            let error = match self.load_buckets(&index, like).await {
                Ok(info) => return Ok(Some(Stored { info, index })),
                Err(error) => error,
            };
            // somebody else may have saved with fewer buckets since the index was read
            match self.load_index().await? {
                Some(newer) if attempt < LOAD_ATTEMPTS && newer != index => index = newer,
                _ => return Err(error),
            }
        }
        Ok(None)
    }

    /// What is recorded of one of the origin's secrets, without loading the others.
    ///
    /// # Errors
    /// [`StateError`] as [`State::load_sync_info`].
    pub async fn load_insight(&self, path: &SecretPath) -> Result<Option<Insight>, StateError> {
        let Some(index) = self.load_index().await? else { return Ok(None) };
        let key = self.bucket_key(bucket_of(path.data_path(), index.sums().len()));
        let bytes = self.store.get(&key).await?.ok_or_else(|| self.error("read", &key, MISSING))?;
        let bucket = decode_bucket(&bytes, &self.mounts).map_err(|error| self.error("read", &key, error))?;
        Ok(bucket.get(path).copied())
    }

    async fn load_buckets(&self, index: &Index, like: Option<&SyncInfo>) -> Result<SyncInfo, StateError> {
        let count = index.sums().len();
        let comparable = like.filter(|info| info.buckets().len() == count);
        let shared =
            |at: usize| comparable.filter(|info| info.sum(at) == index.sums()[at]).map(|info| &info.buckets()[at]);
        let mut buckets: Vec<(Arc<Bucket>, Option<Sum>)> = Vec::with_capacity(count);
        let mut missing = Vec::new();
        for (at, sum) in index.sums().iter().enumerate() {
            if let Some(bucket) = shared(at) {
                buckets.push((Arc::clone(bucket), Some(*sum)));
            } else {
                missing.push(at);
                buckets.push(Default::default());
            }
        }
        for places in missing.chunks(BATCH_BUCKETS) {
            let keys: Vec<String> = places.iter().map(|at| self.bucket_key(*at)).collect();
            let values = self.store.get_many(&keys).await?;
            for ((at, key), value) in places.iter().zip(&keys).zip(values) {
                let bytes = value.ok_or_else(|| self.error("read", key, MISSING))?;
                let mut bucket = decode_bucket(&bytes, &self.mounts).map_err(|error| self.error("read", key, error))?;
                let mut sum = Some(Sum::of(&bucket));
                if sum != Some(index.sums()[*at]) {
                    // left over from a smaller number of buckets; what does not belong here has its own bucket
                    bucket.retain(|path, _| bucket_of(path.data_path(), count) == *at);
                    sum = None;
                }
                if let Some(like) = like {
                    bucket = bucket.into_iter().map(|(path, insight)| (like.shared(path), insight)).collect();
                }
                buckets[*at] = (Arc::new(bucket), sum);
            }
        }
        Ok(SyncInfo::from_summed_buckets(buckets))
    }

    /// The store itself, for what is kept beside the sync info.
    pub(super) fn store(&self) -> &Arc<dyn StateStore> {
        &self.store
    }

    /// The key of something under this sync path that v0.3 never looks at.
    pub(super) fn own_key(&self, name: &str) -> String {
        format!("{}vsync/{name}", self.base)
    }

    fn index_key(&self) -> String {
        format!("{}index", self.prefix)
    }

    fn bucket_key(&self, at: usize) -> String {
        format!("{}{at}", self.prefix)
    }

    pub(super) fn error(&self, operation: &'static str, key: &str, message: impl fmt::Display) -> StateError {
        StateError { operation, key: key.to_owned(), location: self.location(), message: message.to_string() }
    }
}

/// Saves one side's sync info again and again, each time only what changed.
///
/// Buckets are written first and the index last, so an index never names what is not there yet.
#[derive(Debug)]
pub struct SyncInfoWriter {
    state: State,
    /// What each stored bucket holds; `None` where a save was cut off.
    saved: Vec<Option<Sum>>,
    /// Nothing was written yet.
    first: bool,
}

impl SyncInfoWriter {
    /// Goes on from what the store holds: [`Stored::index`], or what [`State::load_index`] gave.
    #[must_use]
    pub fn new(state: State, stored: Option<&Index>) -> Self {
        let saved = stored.map_or_else(Vec::new, |index| index.sums().iter().copied().map(Some).collect());
        Self { state, saved, first: true }
    }

    /// Saves what of `info` differs from what is stored. Returns whether anything had to be written.
    ///
    /// When a bucket is larger than the store takes, `info` is spread over more buckets and all are written.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses; what was not saved is saved by the next call.
    pub async fn save(&mut self, info: &mut SyncInfo) -> Result<bool, StateError> {
        loop {
            if self.saved.len() != info.buckets().len() {
                self.spread(info)?;
            }
            match self.try_save(info).await? {
                Saved::Nothing => return Ok(false),
                Saved::All => return Ok(true),
                Saved::TooLarge => *info = info.with_buckets(2 * info.buckets().len()),
            }
        }
    }

    async fn try_save(&mut self, info: &SyncInfo) -> Result<Saved, StateError> {
        let count = info.buckets().len();
        let stored = self.saved.len();
        let index = info.index();
        let differs = |at: &usize| stored != count || self.saved[*at] != Some(index.sums()[*at]);
        let to_write: Vec<usize> = (0..count).filter(differs).collect();
        if to_write.is_empty() {
            return Ok(Saved::Nothing);
        }
        if stored == count {
            // until all is written it is not known what these hold, even if this future is dropped half-way
            for at in &to_write {
                self.saved[*at] = None;
            }
        }
        // When buckets multiply, the lower ones still hold everything until the index names the upper ones.
        let lower = if stored > 0 && stored < count && count.is_multiple_of(stored) { stored } else { 0 };
        let (late, early): (Vec<usize>, Vec<usize>) = to_write.into_iter().partition(|at| *at < lower);
        let mut batch = Batch { state: &self.state, entries: Vec::new(), bytes: 0 };
        for at in early {
            if !batch.add_bucket(info, at).await? {
                return Ok(Saved::TooLarge);
            }
        }
        batch.add((self.state.index_key(), index.encode())).await?;
        for at in late {
            if !batch.add_bucket(info, at).await? {
                return Ok(Saved::TooLarge);
            }
        }
        batch.flush().await?;
        if self.first || stored > count {
            self.delete_leftovers(count).await;
        }
        self.saved = index.sums().iter().copied().map(Some).collect();
        self.first = false;
        Ok(Saved::All)
    }

    /// Doubles the number of buckets until each fits into the store.
    fn spread(&self, info: &mut SyncInfo) -> Result<(), StateError> {
        let limit = bucket_limit(self.state.store.as_ref());
        while let Some(bytes) = info.buckets().iter().map(|bucket| encode_bucket(bucket).len()).find(|len| *len > limit)
        {
            let count = 2 * info.buckets().len();
            if count > MAX_BUCKETS {
                let limit = self.state.store.value_limit();
                let message =
                    format!("a bucket has {bytes} bytes, the store takes {limit}, and more buckets do not help");
                return Err(self.state.error("save", &self.state.prefix, message));
            }
            *info = info.with_buckets(count);
        }
        Ok(())
    }

    /// Buckets beyond the index are read by nobody, so that some are left is no reason to fail.
    async fn delete_leftovers(&self, count: usize) {
        let prefix = &self.state.prefix;
        let is_leftover = |key: &String| {
            let name = key.strip_prefix(prefix.as_str()).unwrap_or_default();
            name.parse::<usize>().is_ok_and(|at| at >= count && at.to_string() == name)
        };
        let deleted = async {
            let keys: Vec<String> = self.state.store.list(prefix).await?.into_iter().filter(is_leftover).collect();
            if keys.is_empty() { Ok(()) } else { self.state.store.delete(&keys).await }
        };
        if let Err(error) = deleted.await {
            tracing::warn!(%error, "buckets no longer used could not be deleted");
        }
    }
}

enum Saved {
    Nothing,
    All,
    /// A bucket does not fit any more.
    TooLarge,
}

/// The largest bucket that is written: a little less than the store takes, so that a few more secrets do not make it
/// grow at once.
pub(super) fn bucket_limit(store: &dyn StateStore) -> usize {
    let limit = store.value_limit();
    limit - limit / 32
}

/// Entries on their way to the store.
struct Batch<'a> {
    state: &'a State,
    entries: Vec<(String, Vec<u8>)>,
    bytes: usize,
}

impl Batch<'_> {
    /// Adds a bucket, unless it is too large.
    async fn add_bucket(&mut self, info: &SyncInfo, at: usize) -> Result<bool, StateError> {
        let bytes = encode_bucket(&info.buckets()[at]);
        if bytes.len() > bucket_limit(self.state.store.as_ref()) {
            return Ok(false);
        }
        self.add((self.state.bucket_key(at), bytes)).await?;
        Ok(true)
    }

    async fn add(&mut self, entry: (String, Vec<u8>)) -> Result<(), StateError> {
        if self.bytes > 0 && self.bytes + entry.1.len() > BATCH_BYTES {
            self.flush().await?;
        }
        self.bytes += entry.1.len();
        self.entries.push(entry);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StateError> {
        self.bytes = 0;
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() { Ok(()) } else { self.state.store.put(entries).await }
    }
}

#[cfg(test)]
mod tests;
