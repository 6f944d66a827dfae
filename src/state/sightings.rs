//! What the origin's secrets of KV version 1 held when vsync last looked.
//!
//! Such an engine tells neither versions nor times, so that only the values themselves say whether a secret has changed.
//! Kept is a keyed fingerprint of each (HMAC-SHA256), with the version and the time that vsync gave it: the version grows
//! by one whenever another value is found, the time is when that was.
//!
//! ```text
//! <sync path>vsync/kv1/key         {"format":1,"key":"…"}: 64 random bytes in Base64, made once
//! <sync path>vsync/kv1/index       {"format":1,"buckets":64}
//! <sync path>vsync/kv1/64/0 …      the buckets; one that has no key is empty
//! ```
//!
//! A bucket is a JSON object by path (`<mount>data/<name>`, as in the sync info, and in the same bucket as there), of
//! `{"v":VERSION,"t":TIME,"f":FINGERPRINT,"b":FINGERPRINT}`; `b` is that of the value before, if there was one, `m` is the length of the mount, unless it ends before the first `/data/`.
//!
//! Losing any of it costs no more than that everything counts as changed: the copies are compared, and equal ones stay.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::sync_state::{BATCH_BYTES, MAX_BUCKETS, bucket_limit};
use super::{LockError, LockHolder, State, StateError, compact};
use crate::kv::{Fingerprint, FingerprintKey, KEY_BYTES, SecretPath};
use crate::sync_info::{EngineKind, Insight, UpdateTime, bucket_of};

/// The one format there is.
const FORMAT: u64 = 1;
/// The fewest buckets.
const FIRST_BUCKETS: usize = 64;
/// What an entry takes, more or less, in bytes.
const ENTRY_BYTES: usize = 256;
/// How many buckets are loaded at a time.
const BATCH_BUCKETS: usize = 16;
/// How often it is tried to make a key while somebody else makes one, and how long apart.
const KEY_ATTEMPTS: u32 = 20;
const KEY_PAUSE: Duration = Duration::from_millis(250);
const REMEDY: &str = "restore it, or delete all keys beside it: everything is compared then, and what is equal stays";

/// What was found at one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Of the value.
    pub fingerprint: Fingerprint,
    /// Of the value before; `None`: it is the first one.
    pub before: Option<Fingerprint>,
    /// How many different values vsync has seen there, this one included.
    pub version: u64,
    /// When this one was first seen.
    pub time: UpdateTime,
}

impl Sighting {
    /// As the sync info records it.
    #[must_use]
    pub fn insight(&self) -> Insight {
        Insight { version: self.version, update_time: self.time, kind: EngineKind::KvV1 }
    }

    /// The later one of two vsyncs' sightings of one path.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        if (other.version, other.time) > (self.version, self.time) { other } else { self }
    }
}

/// Where they are kept.
#[derive(Debug, Clone)]
pub struct Sightings {
    state: State,
}

type Bucket = BTreeMap<SecretPath, Sighting>;

#[derive(Serialize, Deserialize)]
struct StoredIndex {
    format: u64,
    buckets: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    format: u64,
    key: String,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    mount: Option<usize>,
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "t")]
    time: UpdateTime,
    #[serde(rename = "f")]
    fingerprint: String,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
}

impl Sightings {
    /// Those of the origin whose state this is.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self { state }
    }

    /// The key of the fingerprints; made, and kept, if there is none.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or what it holds is no key.
    pub async fn key(&self, holder: &LockHolder) -> Result<FingerprintKey, StateError> {
        let lock_key = self.state.own_key("locks/kv1");
        for attempt in 1.. {
            if let Some(key) = self.load_key().await? {
                return Ok(key);
            }
            // two that each made one would not recognise what the other has seen
            let lock = match self.state.store().lock(&lock_key, holder).await {
                Ok(lock) => lock,
                Err(LockError::Held(_)) if attempt < KEY_ATTEMPTS => {
                    tokio::time::sleep(KEY_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(self.state.error("lock", &lock_key, error)),
            };
            let made = self.make_key().await;
            if let Err(error) = lock.release().await {
                tracing::warn!(%error, "the lock for making a key could not be let go of; it ends by itself");
            }
            return made;
        }
        unreachable!("the last attempt returns")
    }

    /// A key for now, which is not kept.
    ///
    /// # Errors
    /// [`StateError`] when the system gives no random numbers.
    pub fn passing_key(&self) -> Result<FingerprintKey, StateError> {
        FingerprintKey::random().map_err(|error| self.state.error("read", &self.key_place(), error))
    }

    /// The key of the fingerprints, if there is one.
    ///
    /// # Errors
    /// As [`Sightings::key`].
    pub async fn load_key(&self) -> Result<Option<FingerprintKey>, StateError> {
        let place = self.key_place();
        let Some(bytes) = self.state.store().get(&place).await?.map(Zeroizing::new) else { return Ok(None) };
        let damaged = || self.state.error("read", &place, format!("this is no key: {REMEDY}"));
        let stored: StoredKey = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let key = BASE64.decode(&stored.key).map(Zeroizing::new).map_err(|_| damaged())?;
        let key: &[u8; KEY_BYTES] = key.as_slice().try_into().map_err(|_| damaged())?;
        if stored.format != FORMAT {
            return Err(self.newer(&place, stored.format));
        }
        Ok(Some(FingerprintKey::from_bytes(key)))
    }

    async fn make_key(&self) -> Result<FingerprintKey, StateError> {
        // somebody else may have made it just before the lock was taken
        if let Some(key) = self.load_key().await? {
            return Ok(key);
        }
        let place = self.key_place();
        let bytes = FingerprintKey::random_bytes().map_err(|error| self.state.error("save", &place, error))?;
        let stored = StoredKey { format: FORMAT, key: BASE64.encode(*bytes) };
        self.state.store().put(vec![(place, serde_json::to_vec(&stored).unwrap_or_default())]).await?;
        Ok(FingerprintKey::from_bytes(&bytes))
    }

    /// All of them.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or a bucket is damaged. Such a bucket must not pass for an empty
    /// one: everything in it would count as changed.
    pub async fn load(&self) -> Result<HashMap<SecretPath, Sighting>, StateError> {
        let Some(count) = self.index().await? else { return Ok(HashMap::new()) };
        let buckets = self.read(count, &(0..count).collect::<Vec<_>>()).await?;
        Ok(buckets.into_iter().flatten().collect())
    }

    /// The one of a path.
    ///
    /// # Errors
    /// As [`Sightings::load`].
    pub async fn find(&self, path: &SecretPath) -> Result<Option<Sighting>, StateError> {
        let Some(count) = self.index().await? else { return Ok(None) };
        let buckets = self.read(count, &[bucket_of(path.data_path(), count)]).await?;
        Ok(buckets.first().and_then(|bucket| bucket.get(path)).copied())
    }

    /// Keeps what was seen, and forgets secrets that are gone. Of what somebody else has seen since, the later sighting
    /// stays.
    ///
    /// # Errors
    /// As [`Sightings::load`].
    pub async fn save(
        &self,
        seen: &HashMap<SecretPath, Sighting>,
        gone: &HashMap<SecretPath, Sighting>,
    ) -> Result<(), StateError> {
        if seen.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let index = self.index().await?;
        if index.is_none() {
            // what is left of those whose index somebody deleted must not come back with the new one
            self.delete_buckets(None).await?;
        }
        let fitting = (seen.len() * ENTRY_BYTES * 2 / bucket_limit(self.state.store().as_ref()).max(1)).max(1);
        let count = index.unwrap_or_else(|| fitting.next_power_of_two().clamp(FIRST_BUCKETS, MAX_BUCKETS));
        let place = |path: &SecretPath| bucket_of(path.data_path(), count);
        let mut places: Vec<usize> = seen.keys().chain(gone.keys()).map(place).collect();
        places.sort_unstable();
        places.dedup();
        let stored = if index.is_some() { self.read(count, &places).await? } else { vec![Bucket::new(); places.len()] };
        let mut buckets: HashMap<usize, Bucket> = places.iter().copied().zip(stored).collect();
        for (path, sighting) in gone {
            if let Some(bucket) = buckets.get_mut(&place(path))
                && bucket.get(path).is_some_and(|known| known == sighting)
            {
                bucket.remove(path);
            }
        }
        for (path, sighting) in seen {
            if let Some(bucket) = buckets.get_mut(&place(path)) {
                let kept = bucket.get(path).map_or(*sighting, |known| sighting.later(*known));
                bucket.insert(path.clone(), kept);
            }
        }
        let limit = bucket_limit(self.state.store().as_ref());
        let encoded: Vec<(usize, Vec<u8>)> = buckets.iter().map(|(at, bucket)| (*at, encode(bucket))).collect();
        if encoded.iter().any(|(_, bytes)| bytes.len() > limit) {
            return self.spread(index, buckets).await;
        }
        self.write(count, encoded).await?;
        if index.is_none() { self.write_index(count).await } else { Ok(()) }
    }

    /// Writes everything into more buckets: those first, then the index, and the former ones go last.
    async fn spread(&self, index: Option<usize>, changed: HashMap<usize, Bucket>) -> Result<(), StateError> {
        let mut count = index.unwrap_or(FIRST_BUCKETS);
        let mut all: Vec<(SecretPath, Sighting)> = Vec::new();
        if let Some(count) = index {
            let untouched: Vec<usize> = (0..count).filter(|at| !changed.contains_key(at)).collect();
            all.extend(self.read(count, &untouched).await?.into_iter().flatten());
        }
        all.extend(changed.into_values().flatten());
        let limit = bucket_limit(self.state.store().as_ref());
        loop {
            count *= 2;
            if count > MAX_BUCKETS {
                let message = "a bucket is larger than the store's values, and more buckets do not help";
                return Err(self.state.error("save", &self.state.own_key("kv1/"), message));
            }
            let mut buckets = vec![Bucket::new(); count];
            for (path, sighting) in &all {
                buckets[bucket_of(path.data_path(), count)].insert(path.clone(), *sighting);
            }
            let encoded: Vec<(usize, Vec<u8>)> =
                buckets.iter().enumerate().map(|(at, bucket)| (at, encode(bucket))).collect();
            if encoded.iter().all(|(_, bytes)| bytes.len() <= limit) {
                self.write(count, encoded).await?;
                self.write_index(count).await?;
                if let Err(error) = self.delete_buckets(Some(count)).await {
                    tracing::warn!(%error, "fingerprints that are no longer used could not be deleted");
                }
                return Ok(());
            }
        }
    }

    async fn write(&self, count: usize, buckets: Vec<(usize, Vec<u8>)>) -> Result<(), StateError> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for (at, bucket) in buckets {
            if bytes > 0 && bytes + bucket.len() > BATCH_BYTES {
                self.state.store().put(std::mem::take(&mut entries)).await?;
                bytes = 0;
            }
            bytes += bucket.len();
            entries.push((self.bucket_place(count, at), bucket));
        }
        if entries.is_empty() { Ok(()) } else { self.state.store().put(entries).await }
    }

    async fn write_index(&self, buckets: usize) -> Result<(), StateError> {
        // two numbers always serialize
        let index = serde_json::to_vec(&StoredIndex { format: FORMAT, buckets }).unwrap_or_default();
        self.state.store().put(vec![(self.index_place(), index)]).await
    }

    async fn index(&self) -> Result<Option<usize>, StateError> {
        let place = self.index_place();
        let Some(bytes) = self.state.store().get(&place).await? else { return Ok(None) };
        let damaged = || self.state.error("read", &place, format!("this is damaged: {REMEDY}"));
        let StoredIndex { format, buckets } = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        if format != FORMAT {
            return Err(self.newer(&place, format));
        }
        if (1..=MAX_BUCKETS).contains(&buckets) { Ok(Some(buckets)) } else { Err(damaged()) }
    }

    async fn read(&self, count: usize, places: &[usize]) -> Result<Vec<Bucket>, StateError> {
        let mut buckets = Vec::with_capacity(places.len());
        for places in places.chunks(BATCH_BUCKETS) {
            let keys: Vec<String> = places.iter().map(|at| self.bucket_place(count, *at)).collect();
            for (key, value) in keys.iter().zip(self.state.store().get_many(&keys).await?) {
                let bucket = value.map_or(Some(Bucket::new()), |bytes| decode(&bytes));
                buckets
                    .push(bucket.ok_or_else(|| self.state.error("read", key, format!("this is damaged: {REMEDY}")))?);
            }
        }
        Ok(buckets)
    }

    /// Deletes all buckets but those of this number.
    async fn delete_buckets(&self, kept: Option<usize>) -> Result<(), StateError> {
        let prefix = self.state.own_key("kv1/");
        let is_left = |key: &String| {
            let count = key.strip_prefix(&prefix).and_then(|name| name.split_once('/')).map(|(count, _)| count);
            count.and_then(|count| count.parse().ok()).is_some_and(|count: usize| Some(count) != kept)
        };
        let keys: Vec<String> = self.state.store().list(&prefix).await?.into_iter().filter(is_left).collect();
        if keys.is_empty() { Ok(()) } else { self.state.store().delete(&keys).await }
    }

    fn newer(&self, place: &str, format: u64) -> StateError {
        let message = format!(
            "it has format {format}, this vsync knows {FORMAT} only: use the version that wrote it, or a newer one"
        );
        self.state.error("read", place, message)
    }

    fn key_place(&self) -> String {
        self.state.own_key("kv1/key")
    }

    fn index_place(&self) -> String {
        self.state.own_key("kv1/index")
    }

    fn bucket_place(&self, count: usize, at: usize) -> String {
        self.state.own_key(&format!("kv1/{count}/{at}"))
    }
}

fn encode(bucket: &Bucket) -> Vec<u8> {
    let entry = |(path, sighting): (&SecretPath, &Sighting)| {
        let Sighting { fingerprint, before, version, time } = *sighting;
        let text = |fingerprint: Fingerprint| BASE64.encode(fingerprint.as_bytes());
        let (fingerprint, before) = (text(fingerprint), before.map(text));
        (path.data_path().to_owned(), Entry { mount: compact::mount_len(path), version, time, fingerprint, before })
    };
    // texts and numbers always serialize
    serde_json::to_vec(&bucket.iter().map(entry).collect::<BTreeMap<_, _>>()).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Option<Bucket> {
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(bytes).ok()?;
    let entry = |(text, entry): (String, Entry)| {
        let Entry { mount, version, time, fingerprint, before } = entry;
        let bytes = |text: String| BASE64.decode(text).ok()?.try_into().ok().map(Fingerprint::from_bytes);
        let before = match before {
            Some(before) => Some(bytes(before)?),
            None => None,
        };
        let sighting = Sighting { fingerprint: bytes(fingerprint)?, before, version, time };
        Some((compact::path(&text, mount).ok()?, sighting))
    };
    entries.into_iter().map(entry).collect()
}

#[cfg(test)]
mod tests;
