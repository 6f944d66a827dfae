//! Saving the ledger.

use super::codec::{self, StoredIndex};
use super::{Ledger, bucket_key, index_key};
use crate::state::sync_state::{BATCH_BYTES, MAX_BUCKETS, bucket_limit};
use crate::state::{State, StateError};

/// Saves one destination's ledger again and again, each time only the buckets that changed.
#[derive(Debug)]
pub struct LedgerWriter {
    state: State,
    /// How many buckets the store's index names; `None` if there is none.
    stored: Option<usize>,
    /// The stamps of the buckets as they were saved last.
    saved: Vec<u64>,
}

impl LedgerWriter {
    /// Goes on from what the store holds: `ledger` as [`Ledger::open`] gave it, or anything made of it.
    #[must_use]
    pub fn new(state: State, ledger: &Ledger) -> Self {
        Self { state, stored: ledger.stored, saved: vec![0; ledger.slots.len()] }
    }

    /// Saves what of `ledger` differs from what is stored. Returns whether anything had to be written.
    ///
    /// When a bucket is larger than the store takes, all of `ledger` is loaded and spread over more buckets.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses; what was not saved is saved by the next call.
    pub async fn save(&mut self, ledger: &mut Ledger) -> Result<bool, StateError> {
        if let Some(stored) = self.stored
            && stored > ledger.slots.len()
            && stored.is_multiple_of(ledger.slots.len())
        {
            // a clone from before it was spread
            ledger.spread(stored);
            ledger.stored = Some(stored);
        }
        if self.stored.is_some_and(|stored| stored != ledger.slots.len()) {
            // it was spread, but saving that was cut off
            self.save_all(ledger).await?;
            return Ok(true);
        }
        let changed = |at: &usize| ledger.slots[*at].stamp != 0 && ledger.slots[*at].stamp != self.saved[*at];
        let changed: Vec<usize> = (0..ledger.slots.len()).filter(changed).collect();
        if changed.is_empty() {
            return Ok(false);
        }
        if self.stored.is_none() {
            self.begin(ledger).await?;
        }
        ledger.load_places(changed.iter().copied().collect()).await?;
        if !self.save_some(ledger, &changed).await? {
            ledger.load_all().await?;
            self.spread(ledger)?;
            self.save_all(ledger).await?;
        }
        Ok(true)
    }

    /// The index of a first save comes before its buckets: whatever follows, it names what is there. Buckets that are
    /// left of a ledger whose index somebody deleted must not come back with it.
    async fn begin(&mut self, ledger: &mut Ledger) -> Result<(), StateError> {
        self.delete_buckets(None).await?;
        self.save_index(ledger).await
    }

    async fn save_index(&mut self, ledger: &mut Ledger) -> Result<(), StateError> {
        let count = ledger.slots.len();
        self.state.store().put(vec![(index_key(&self.state), StoredIndex::new(count).encode())]).await?;
        self.stored = Some(count);
        self.saved.resize(count, 0);
        ledger.stored = Some(count);
        ledger.state.get_or_insert_with(|| self.state.clone());
        Ok(())
    }

    fn spread(&self, ledger: &mut Ledger) -> Result<(), StateError> {
        let count = 2 * ledger.slots.len();
        if count > MAX_BUCKETS {
            let message = "a bucket is larger than the store's values, and more buckets do not help";
            return Err(self.state.error("save", &self.state.own_key("ledger/"), message));
        }
        ledger.spread(count);
        Ok(())
    }

    /// Saves a ledger in another number of buckets than are stored, in more than it has if one is too large.
    async fn save_all(&mut self, ledger: &mut Ledger) -> Result<(), StateError> {
        ledger.load_all().await?;
        self.saved.clear();
        loop {
            let places: Vec<usize> = (0..ledger.slots.len()).collect();
            self.saved.resize(places.len(), 0);
            if self.save_some(ledger, &places).await? {
                break;
            }
            self.spread(ledger)?;
        }
        self.save_index(ledger).await?;
        // what is left is read by nobody
        if let Err(error) = self.delete_buckets(Some(ledger.slots.len())).await {
            tracing::warn!(%error, "parts of the ledger that are no longer used could not be deleted");
        }
        Ok(())
    }

    /// Saves these buckets; `false` when it came upon one that is too large.
    async fn save_some(&mut self, ledger: &Ledger, places: &[usize]) -> Result<bool, StateError> {
        let limit = bucket_limit(self.state.store().as_ref());
        let mut rest = places;
        while !rest.is_empty() {
            let (mut entries, mut bytes) = (Vec::new(), 0);
            for at in rest {
                let key = bucket_key(&self.state, ledger.slots.len(), *at);
                let value =
                    codec::encode(&ledger.slots[*at].entries).map_err(|error| self.state.error("save", &key, error))?;
                if value.len() > limit {
                    return Ok(false);
                }
                bytes += value.len();
                entries.push((key, value));
                if bytes >= BATCH_BYTES {
                    break;
                }
            }
            let (written, behind) = rest.split_at(entries.len());
            self.state.store().put(entries).await?;
            for at in written {
                self.saved[*at] = ledger.slots[*at].stamp;
            }
            rest = behind;
        }
        Ok(true)
    }

    /// Deletes all buckets but those of a ledger with `kept` buckets.
    async fn delete_buckets(&self, kept: Option<usize>) -> Result<(), StateError> {
        let prefix = self.state.own_key("ledger/");
        let is_left = |key: &String| {
            let count = key.strip_prefix(&prefix).and_then(|name| name.split_once('/')).map(|(count, _)| count);
            count.and_then(|count| count.parse().ok()).is_some_and(|count: usize| Some(count) != kept)
        };
        let keys: Vec<String> = self.state.store().list(&prefix).await?.into_iter().filter(is_left).collect();
        if keys.is_empty() { Ok(()) } else { self.state.store().delete(&keys).await }
    }
}
