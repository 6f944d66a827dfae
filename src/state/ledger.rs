//! The ledger: for every path of a destination, what vsync last did there.
//!
//! The sync info says which of the origin's secrets a destination has; the ledger says what vsync left at the
//! destination, so that nothing is overwritten there that somebody else wrote.
//!
//! ```text
//! <sync path>vsync/ledger/index      {"format":1,"buckets":64}
//! <sync path>vsync/ledger/64/0 …     the buckets; one that has no key is empty
//! ```
//!
//! A bucket is a JSON object of entries by the destination's path (`<mount>data/<name>`). Bucket of a path: as for the
//! sync info. An entry has these members; the optional ones stand only where they say something:
//!
//! | member | what |
//! |---|---|
//! | `m` | length of the mount in the path, unless it ends before the first `/data/` |
//! | `o`, `n` | the origin's path and the length of its mount, unless it is the destination's path |
//! | `i` | insight: `[VERSION, TIME]`, and its type if that is not `kvV2` |
//! | `v` | the destination's version, unless 0 |
//! | `d` | `true` if vsync has deleted it; with no version, if it has purged it |
//! | `w` | `true` if it waits to be destroyed or purged |
//! | `f` | the foreign version: `{"v":VERSION,"i":INSIGHT,"k":true}`, `k` only if it is kept |
//! | `g` | digest of the origin's metadata that was copied, if any was: 32 hexadecimal digits, 48 with its versions, then `+` and the version since which all were copied |
//! | `t` | when |
//!
//! When a bucket becomes larger than the store's values, everything is written into twice as many buckets, then the
//! index, and the former buckets are deleted last: wherever that is cut off, the index names buckets that are whole.

mod codec;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

pub use writer::LedgerWriter;

use super::sync_state::MAX_BUCKETS;
use super::{State, StateError, compact};
use crate::kv::{MetadataDigest, SecretPath};
use crate::sync_info::{Insight, bucket_of};
use codec::StoredIndex;

/// How many buckets a new ledger has.
const FIRST_BUCKETS: usize = 64;
/// How many buckets are loaded at a time.
const BATCH_BUCKETS: usize = 16;
/// The last stamp that was given; 0 is none.
static STAMP: AtomicU64 = AtomicU64::new(0);

type Bucket = BTreeMap<SecretPath, LedgerEntry>;

/// What vsync last did at one path of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The origin's secret it came from.
    pub origin: SecretPath,
    /// The origin's insight that was copied; for a deleted one, the last one that had been. Its version is 0 if that was
    /// never known. Without meaning while [`LedgerEntry::version`] is 0.
    pub insight: Insight,
    /// The destination's version that vsync wrote or adopted; 0: it never wrote there, it only met somebody else's
    /// secret, or it has purged what was there.
    pub version: u64,
    /// Whether vsync has deleted that version, in whichever way.
    pub deleted: bool,
    /// It was only soft-deleted, because the origin could still undelete its own; once that is gone for good, it is to be
    /// destroyed or purged here.
    pub awaits_removal: bool,
    /// What somebody else wrote there and stood in vsync's way. `None`: nothing did.
    pub foreign: Option<Foreign>,
    /// What tells which of the origin's metadata vsync has brought there; `None` if only values are copied.
    pub digest: Option<Box<MetadataDigest>>,
    /// When.
    pub at: Timestamp,
}

impl LedgerEntry {
    /// Whether the sync info has a newer insight than this entry knows: a vsync without a ledger has copied it since.
    #[must_use]
    pub fn is_behind(&self, recorded: &Insight) -> bool {
        let met = self.foreign.map(|foreign| foreign.insight);
        recorded.is_later_than(&self.insight) && met.is_none_or(|met| recorded.is_later_than(&met))
    }
}

/// Somebody else's secret that stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// Its version at the destination.
    pub version: u64,
    /// The origin's insight that was not copied because of it; for a delete that was not made, the one recorded before.
    pub insight: Insight,
    /// Whether it stays there because the configuration says so.
    pub kept: bool,
}

/// The ledger of one destination, as far as it is loaded. Clones share their buckets until one of them is changed.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Where the buckets come from that are not loaded yet.
    state: Option<State>,
    /// How many buckets the store's index names; `None` if there is none.
    stored: Option<usize>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Default)]
struct Slot {
    entries: Arc<Bucket>,
    /// If not, `entries` are what was inserted since, and the store holds the others.
    loaded: bool,
    /// Given anew by each change, so that slots with the same stamp hold the same. 0: as it is stored.
    stamp: u64,
}

impl Slot {
    fn change(&mut self) -> &mut Bucket {
        self.stamp = STAMP.fetch_add(1, Ordering::Relaxed) + 1;
        Arc::make_mut(&mut self.entries)
    }
}

impl Ledger {
    /// A ledger without entries, in place of whatever is stored.
    #[must_use]
    pub fn empty() -> Self {
        let slot = Slot { loaded: true, ..Slot::default() };
        Self { state: None, stored: None, slots: vec![slot; FIRST_BUCKETS] }
    }

    /// The stored ledger, of which only the index is read yet; an empty one if nothing was ever saved.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, the index is damaged, or a newer vsync wrote it.
    pub async fn open(state: &State) -> Result<Self, StateError> {
        let Some(count) = load_index(state).await? else { return Ok(Self::empty()) };
        Ok(Self { state: Some(state.clone()), stored: Some(count), slots: vec![Slot::default(); count] })
    }

    /// Loads what is needed to know of these paths of the destination, unless it is loaded already.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or a bucket is damaged.
    pub async fn load<'a>(&mut self, paths: impl IntoIterator<Item = &'a SecretPath>) -> Result<(), StateError> {
        let places = paths.into_iter().map(|path| self.place(path)).collect();
        self.load_places(places).await
    }

    /// Loads everything.
    ///
    /// # Errors
    /// [`StateError`] as [`Ledger::load`].
    pub async fn load_all(&mut self) -> Result<(), StateError> {
        self.load_places((0..self.slots.len()).collect()).await
    }

    /// What is known of a path of the destination. `None` if nothing is, or if its bucket is not loaded: [`Ledger::load`]
    /// it before.
    #[must_use]
    pub fn get(&self, path: &SecretPath) -> Option<&LedgerEntry> {
        let slot = &self.slots[self.place(path)];
        debug_assert!(slot.loaded, "the bucket of {path} is not loaded");
        slot.entries.get(path)
    }

    /// Records what was done at a path of the destination, in place of what is known of it. Its bucket need not be
    /// loaded: what else the store has there is loaded before it is saved.
    pub fn insert(&mut self, path: SecretPath, mut entry: LedgerEntry) {
        let place = self.place(&path);
        if compact::is_same(&path, &entry.origin) {
            // one text for both
            entry.origin = path.clone();
        }
        let slot = &mut self.slots[place];
        if slot.entries.get(&path) != Some(&entry) {
            slot.change().insert(path, entry);
        }
    }

    /// Forgets a path of the destination, whose bucket must be loaded.
    pub fn remove(&mut self, path: &SecretPath) {
        let place = self.place(path);
        let slot = &mut self.slots[place];
        debug_assert!(slot.loaded, "the bucket of {path} is not loaded");
        if slot.entries.contains_key(path) {
            slot.change().remove(path);
        }
    }

    /// All entries that are loaded, by the destination's paths.
    pub fn iter(&self) -> impl Iterator<Item = (&SecretPath, &LedgerEntry)> {
        self.slots.iter().flat_map(|slot| slot.entries.iter())
    }

    /// How many entries are loaded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.entries.len()).sum()
    }

    /// Whether no loaded bucket has an entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.entries.is_empty())
    }

    fn place(&self, path: &SecretPath) -> usize {
        bucket_of(path.data_path(), self.slots.len())
    }

    async fn load_places(&mut self, mut places: BTreeSet<usize>) -> Result<(), StateError> {
        let Some(state) = self.state.clone() else { return Ok(()) };
        loop {
            places.retain(|at| !self.slots[*at].loaded);
            let (loaded, missing) = self.read(&state, places.iter().copied().collect()).await?;
            for (at, bucket) in loaded {
                self.fill(at, bucket);
            }
            if missing.is_empty() {
                return Ok(());
            }
            // empty, unless somebody has just moved everything into more buckets
            let count = self.slots.len();
            match load_index(&state).await? {
                Some(newer) if newer != count => {
                    if newer < count || !newer.is_multiple_of(count) {
                        return Err(state.error("read", &index_key(&state), REPLACED));
                    }
                    places = (0..newer).filter(|at| places.contains(&(at % count))).collect();
                    self.spread(newer);
                    self.stored = Some(newer);
                }
                _ => {
                    for at in missing {
                        self.fill(at, Bucket::new());
                    }
                    return Ok(());
                }
            }
        }
    }

    /// The stored buckets at these places, and the places that have none.
    async fn read(&self, state: &State, places: Vec<usize>) -> Result<(Vec<(usize, Bucket)>, Vec<usize>), StateError> {
        let (mut loaded, mut missing) = (Vec::new(), Vec::new());
        for places in places.chunks(BATCH_BUCKETS) {
            let keys: Vec<String> = places.iter().map(|at| bucket_key(state, self.slots.len(), *at)).collect();
            let values = state.store().get_many(&keys).await?;
            for ((at, key), value) in places.iter().zip(&keys).zip(values) {
                let Some(bytes) = value else {
                    missing.push(*at);
                    continue;
                };
                let bucket = codec::decode(&bytes).map_err(|error| {
                    state.error("read", key, format_args!("the ledger is damaged here: {error}; {REMEDY}"))
                })?;
                loaded.push((*at, bucket));
            }
        }
        Ok((loaded, missing))
    }

    /// Takes over what is stored, under what was inserted meanwhile.
    fn fill(&mut self, at: usize, stored: Bucket) {
        let slot = &mut self.slots[at];
        let inserted = std::mem::replace(&mut slot.entries, Arc::new(stored));
        slot.loaded = true;
        if !inserted.is_empty() {
            slot.change().extend(Arc::unwrap_or_clone(inserted));
        }
    }

    /// The same in `count` buckets, a multiple of what there are.
    /// Goes on with as many buckets as `saved` has, which was once a clone of this one and has grown while it was saved.
    pub fn follow(&mut self, saved: &Self) {
        if saved.slots.len() > self.slots.len() && saved.slots.len().is_multiple_of(self.slots.len()) {
            self.spread(saved.slots.len());
        }
        self.stored = saved.stored;
        if self.state.is_none() {
            self.state.clone_from(&saved.state);
        }
    }

    fn spread(&mut self, count: usize) {
        let former = std::mem::take(&mut self.slots);
        let mut slots: Vec<Slot> = Vec::with_capacity(count);
        for at in 0..count {
            let Slot { loaded, stamp, .. } = former[at % former.len()];
            slots.push(Slot { loaded, stamp, ..Slot::default() });
        }
        for slot in former {
            for (path, entry) in Arc::unwrap_or_clone(slot.entries) {
                let slot = &mut slots[bucket_of(path.data_path(), count)];
                Arc::make_mut(&mut slot.entries).insert(path, entry);
            }
        }
        for slot in slots.iter_mut().filter(|slot| slot.stamp != 0) {
            slot.change();
        }
        self.slots = slots;
    }
}

const REPLACED: &str = "somebody has made the ledger anew meanwhile; try again";
const REMEDY: &str = "restore it, or delete the ledger's index: then what the destination holds counts as unknown";

fn index_key(state: &State) -> String {
    state.own_key("ledger/index")
}

fn bucket_key(state: &State, count: usize, at: usize) -> String {
    state.own_key(&format!("ledger/{count}/{at}"))
}

/// How many buckets the stored ledger has, if there is one.
async fn load_index(state: &State) -> Result<Option<usize>, StateError> {
    let key = index_key(state);
    let Some(bytes) = state.store().get(&key).await? else { return Ok(None) };
    let index = StoredIndex::decode(&bytes).map_err(|error| state.error("read", &key, error))?;
    if !(1..=MAX_BUCKETS).contains(&index.buckets) {
        let message = format!("the ledger is damaged: it cannot have {} buckets; {REMEDY}", index.buckets);
        return Err(state.error("read", &key, message));
    }
    Ok(Some(index.buckets))
}

#[cfg(test)]
mod tests;
