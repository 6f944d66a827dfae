//! Telling whether a secret of KV version 1 has changed, which its engine does not tell.
//!
//! ```text
//! value ─▶ keyed fingerprint ─┬─ as it was seen last ─▶ the insight given then
//!                             └─ another, or none     ─▶ version + 1, and now; kept for all others
//! ```
//!
//! One insight is only ever given to one value, by whichever vsync: it has the nanosecond in it. So two equal insights of
//! KV version 1 mean equal values, whatever became of the record in between, and any other two mean that the value is to
//! be copied, or at least compared ([`Insight::calls_for_copy`]). The record saves work; nothing is lost without it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::OnceCell;

use super::Engine;
use super::inventory::Inventory;
use crate::kv::{Fingerprint, FingerprintKey, Mount, SecretData, SecretPath};
use crate::state::{LockHolder, Sighting, Sightings, StateError};
use crate::sync_info::{EngineKind, Insight};

/// What was seen of the origin's secrets of KV version 1. One per engine.
#[derive(Debug)]
pub(super) struct Watchbook {
    store: Sightings,
    holder: LockHolder,
    key: OnceCell<FingerprintKey>,
    /// Nothing is written to the store.
    read_only: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// As the store has them, since the last survey began.
    kept: HashMap<SecretPath, Sighting>,
    /// What the store does not have yet.
    news: HashMap<SecretPath, Sighting>,
    /// The engines of the mounts, as they were found out last.
    kinds: HashMap<String, EngineKind>,
    /// The mounts of which the log has said what being KV version 1 means.
    announced: Vec<Mount>,
}

impl Seen {
    fn get(&self, path: &SecretPath) -> Option<&Sighting> {
        self.news.get(path).or_else(|| self.kept.get(path))
    }
}

impl Watchbook {
    pub(super) fn new(store: Sightings, holder: LockHolder) -> Self {
        let read_only = AtomicBool::new(false);
        Self { store, holder, key: OnceCell::new(), read_only, seen: Mutex::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // a panic while it is held leaves plain data behind it
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is kept, for a survey that begins.
    pub(super) async fn open(&self) -> Result<(), StateError> {
        self.key().await?;
        let kept = self.store.load().await?;
        let mut seen = self.seen();
        seen.news.retain(|path, news| kept.get(path).is_none_or(|kept| kept.later(*news) == *news));
        seen.kept = kept;
        Ok(())
    }

    async fn key(&self) -> Result<&FingerprintKey, StateError> {
        let key = async {
            if !self.is_read_only() {
                return self.store.key(&self.holder).await;
            }
            match self.store.load_key().await? {
                Some(key) => Ok(key),
                None => self.store.passing_key(),
            }
        };
        self.key.get_or_try_init(|| key).await
    }

    fn is_read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// The fingerprint of a value; `None` if it is no JSON object.
    ///
    /// # Errors
    /// [`StateError`] if there is no key to be had.
    pub(super) async fn fingerprint(&self, data: &SecretData) -> Result<Option<Fingerprint>, StateError> {
        Ok(self.key().await?.of(data))
    }

    /// The insight of a value that a survey found, after [`Self::open`]. What is new is kept by [`Self::close`].
    pub(super) fn recognise(&self, path: &SecretPath, fingerprint: Fingerprint) -> Insight {
        let mut seen = self.seen();
        let known = seen.get(path).copied();
        if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
            return known.insight();
        }
        let sighting = next(known, fingerprint);
        seen.news.insert(path.clone(), sighting);
        sighting.insight()
    }

    /// The insight of a value that was read to be copied: the one a survey gave it, be it another vsync's. If it has
    /// changed since, its new one is kept before anything can be written under it.
    ///
    /// Never fails: a value of which nothing can be found out has an insight of its own, and is compared next time.
    pub(super) async fn recognise_anew(&self, path: &SecretPath, data: &SecretData) -> Insight {
        match self.try_to_recognise(path, data).await {
            Ok(Some(insight)) => return insight,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, path = path.to_string(), "whether its value has changed could not be told");
            }
        }
        next(self.seen().get(path).copied(), Fingerprint::from_bytes([0; 32])).insight()
    }

    async fn try_to_recognise(&self, path: &SecretPath, data: &SecretData) -> Result<Option<Insight>, StateError> {
        let Some(fingerprint) = self.fingerprint(data).await? else { return Ok(None) };
        let known = self.seen().get(path).copied();
        if let Some(known) = known.filter(|known| known.fingerprint == fingerprint) {
            return Ok(Some(known.insight()));
        }
        let kept = self.store.find(path).await?;
        let latest = match (known, kept) {
            (Some(known), Some(kept)) => Some(known.later(kept)),
            (known, kept) => known.or(kept),
        };
        let sighting = match latest.filter(|latest| latest.fingerprint == fingerprint) {
            Some(latest) => latest,
            None => next(latest, fingerprint),
        };
        if kept != Some(sighting) && !self.is_read_only() {
            self.store.save(&HashMap::from([(path.clone(), sighting)]), &HashMap::new()).await?;
        }
        let mut seen = self.seen();
        seen.news.remove(path);
        seen.kept.insert(path.clone(), sighting);
        Ok(Some(sighting.insight()))
    }

    /// What a survey made of a secret last; `None`: it has not been seen.
    pub(super) fn insight(&self, path: &SecretPath) -> Option<Insight> {
        self.seen().get(path).map(Sighting::insight)
    }

    /// Whether a secret's value before the present one was this, as far as is recorded.
    pub(super) async fn held_before(&self, path: &SecretPath, data: &SecretData) -> bool {
        let known = self.seen().get(path).and_then(|known| known.before);
        known.is_some() && self.fingerprint(data).await.is_ok_and(|fingerprint| fingerprint == known)
    }

    /// The engine of a mount, as it was found out last.
    pub(super) fn kind(&self, mount: &str) -> Option<EngineKind> {
        self.seen().kinds.get(mount).copied()
    }

    pub(super) fn note_kind(&self, mount: &str, kind: EngineKind) {
        self.seen().kinds.insert(mount.to_owned(), kind);
    }

    /// Whatever engines the mounts had, they are found out anew.
    pub(super) fn forget_kinds(&self) {
        self.seen().kinds.clear();
    }

    /// Whether this is the first time that a mount is met as one of KV version 1.
    pub(super) fn is_first(&self, mount: &Mount) -> bool {
        let mut seen = self.seen();
        let first = !seen.announced.contains(mount);
        if first {
            seen.announced.push(mount.clone());
        }
        first
    }

    /// Keeps what a survey has found out.
    async fn close(&self, inventory: &Inventory) -> Result<(), StateError> {
        let (news, gone) = {
            let seen = self.seen();
            let is_gone = |path: &SecretPath| {
                seen.kinds.get(path.mount()) == Some(&EngineKind::KvV1)
                    && inventory.secrets.get(path).is_none()
                    && inventory.excluded.binary_search(path).is_err()
                    && inventory.is_known(path)
            };
            let gone = seen.kept.iter().filter(|(path, _)| is_gone(path));
            (seen.news.clone(), gone.map(|(path, sighting)| (path.clone(), *sighting)).collect::<HashMap<_, _>>())
        };
        if self.is_read_only() {
            return Ok(());
        }
        self.store.save(&news, &gone).await?;
        let mut seen = self.seen();
        for (path, sighting) in news {
            if seen.news.get(&path) == Some(&sighting) {
                seen.news.remove(&path);
            }
            seen.kept.insert(path, sighting);
        }
        seen.kept.retain(|path, _| !gone.contains_key(path));
        Ok(())
    }
}

/// The sighting of a value that is not the one seen last.
fn next(last: Option<Sighting>, fingerprint: Fingerprint) -> Sighting {
    let now = Timestamp::now().into();
    match last {
        // a clock that was put back must not make it look older
        Some(last) => {
            let before = Some(last.fingerprint);
            Sighting { fingerprint, before, version: last.version + 1, time: last.time.max(now) }
        }
        None => Sighting { fingerprint, before: None, version: 1, time: now },
    }
}

impl Engine {
    pub(super) fn watchbook(&self) -> &Arc<Watchbook> {
        &self.shared.watchbook
    }

    /// From now on a survey writes nothing to the state store, either: what it finds out about secrets of KV version 1 is
    /// forgotten with this engine.
    pub fn read_only(&self) {
        self.watchbook().read_only.store(true, Ordering::Relaxed);
    }

    /// Keeps what a survey has found out about secrets of KV version 1, if there are any.
    pub(super) async fn keep_sightings(&self, inventory: &Inventory) {
        let book = self.watchbook();
        let any = self.origin().mounts.iter().any(|mount| book.kind(mount.as_str()) == Some(EngineKind::KvV1));
        if any && let Err(error) = book.close(inventory).await {
            tracing::warn!(%error, "what the secrets of KV version 1 hold could not be recorded: they will count as changed again");
        }
    }
}
