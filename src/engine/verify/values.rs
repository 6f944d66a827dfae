//! Comparing values: both sides are read, and only keyed fingerprints of what they hold are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;

use super::look::is_silence;
use super::{Comparable, Finding, FindingKind, Verification, VerifyProgress};
use crate::engine::origin_reader::OriginReader;
use crate::engine::{DestinationName, Engine, EngineError, Side};
use crate::kv::{Fingerprint, FingerprintKey, SecretPath};
use crate::sync_info::Insight;
use crate::vault::{ErrorKind, Secret, VaultClient, VaultError};

/// After this many failures in a row because a server does not answer, it is not asked any more.
const GIVE_UP_AFTER: usize = 3;

/// How many secrets are read to compare values. Each read stands in the server's audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCost {
    /// At the origin: one read for each secret, however many destinations have it.
    pub origin: u64,
    /// At each destination.
    pub destinations: Vec<(DestinationName, u64)>,
}

/// What comparing a destination's values with the origin's came to. Those that differ are among the findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Secrets with equal values.
    pub equal: u64,
    /// Secrets that the origin has changed or deleted since: the next cycle's work.
    pub to_update: u64,
    /// Secrets that could not be read.
    pub unread: Vec<Unread>,
}

/// Secrets that could not be read, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Where.
    pub side: Side,
    /// Why.
    pub reason: String,
    /// One of them.
    pub example: SecretPath,
    /// How many.
    pub secrets: u64,
}

/// What became of one secret at one destination.
enum Outcome {
    Equal,
    ToUpdate,
    Finding(FindingKind, Option<u64>),
    Unread(Side, String),
}

impl Engine {
    /// What [`Engine::compare_values`] will read.
    #[must_use]
    pub fn read_cost(&self, verifications: &[Verification]) -> ReadCost {
        let count = |one: &Verification| (one.destination.clone(), one.comparable.len() as u64);
        let mut origins: Vec<&SecretPath> =
            verifications.iter().flat_map(|one| &one.comparable).map(|comparable| &comparable.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        ReadCost { origin: origins.len() as u64, destinations: verifications.iter().map(count).collect() }
    }

    /// Compares the values of all secrets whose versions are as vsync left them with the origin's. Values are in memory
    /// one by one, for as long as it takes to compute their fingerprints, whose key is made for this call.
    ///
    /// # Errors
    /// [`EngineError::NoRandomness`]. What cannot be read is in [`Comparison::unread`].
    pub async fn compare_values(
        &self,
        verifications: &mut [Verification],
        progress: &VerifyProgress,
    ) -> Result<(), EngineError> {
        let key = FingerprintKey::random().map_err(|error| EngineError::NoRandomness(error.to_string()))?;
        let at_origin = self.origin_reader();
        let origin = Reader::new(Server::Origin(&at_origin), self.origin().num_workers, Side::Origin, &key);
        let readers: Vec<Option<Reader<'_>>> = verifications
            .iter()
            .map(|one| {
                let destination = self.destination(&one.destination)?;
                let side = Side::Destination(destination.name.clone());
                Some(Reader::new(Server::Destination(&destination.vault), destination.num_workers, side, &key))
            })
            .collect();
        let mut subjects: BTreeMap<SecretPath, Vec<Copy<'_>>> = BTreeMap::new();
        for (at, (verification, reader)) in verifications.iter_mut().zip(&readers).enumerate() {
            let Some(reader) = reader else { continue };
            verification.values = Some(Comparison::default());
            for comparable in std::mem::take(&mut verification.comparable) {
                subjects.entry(comparable.origin.clone()).or_default().push(Copy { at, reader, comparable });
            }
        }
        let most = readers.iter().flatten().map(|reader| reader.workers).max().unwrap_or(1);
        let mut compared =
            stream::iter(subjects).map(|(path, copies)| compare(path, copies, &origin)).buffer_unordered(most);
        while let Some(outcomes) = compared.next().await {
            progress.compared.fetch_add(1, Ordering::Relaxed);
            for (at, comparable, outcome) in outcomes {
                verifications[at].take_outcome(comparable, outcome);
            }
        }
        for verification in verifications.iter_mut() {
            verification.findings.sort_by(|one, other| one.destination.cmp(&other.destination));
        }
        Ok(())
    }
}

/// A secret that is to be compared with its origin.
struct Copy<'a> {
    /// The verification it belongs to.
    at: usize,
    reader: &'a Reader<'a>,
    comparable: Comparable,
}

/// Compares one secret of the origin with its copies.
async fn compare(path: SecretPath, copies: Vec<Copy<'_>>, origin: &Reader<'_>) -> Vec<(usize, Comparable, Outcome)> {
    if copies.iter().all(|copy| copy.reader.is_silent()) {
        // nothing to compare with, so the origin need not be read
        let not_asked = |copy: Copy<'_>| (copy.at, copy.comparable, copy.reader.not_asked().into());
        return copies.into_iter().map(not_asked).collect();
    }
    let original = &origin.read(&path).await;
    let outcomes = copies.into_iter().map(|Copy { at, reader, comparable }| async move {
        let outcome = match original {
            Err(missing) => missing.clone().into(),
            Ok(original) if original.is_newer_than(&comparable.recorded) => Outcome::ToUpdate,
            Ok(original) => match reader.read(&comparable.destination).await {
                Ok(copy) if copy.version != comparable.version => {
                    Outcome::Finding(FindingKind::Changed, Some(copy.version))
                }
                Ok(copy) if copy.fingerprint == original.fingerprint => Outcome::Equal,
                Ok(copy) => Outcome::Finding(FindingKind::ValueDiffers, Some(copy.version)),
                Err(Missing::Gone) => Outcome::Finding(FindingKind::Gone, None),
                Err(unread) => unread.into(),
            },
        };
        (at, comparable, outcome)
    });
    join_all(outcomes).await
}

/// A server that is read from.
#[derive(Clone, Copy)]
enum Server<'a> {
    Origin(&'a OriginReader),
    Destination(&'a VaultClient),
}

impl Server<'_> {
    async fn read(self, path: &SecretPath) -> Result<Secret, VaultError> {
        match self {
            Self::Origin(origin) => origin.read(path).await,
            Self::Destination(vault) => vault.read(path).await,
        }
    }
}

/// Reads from one server, so many secrets at a time.
struct Reader<'a> {
    from: Server<'a>,
    side: Side,
    key: &'a FingerprintKey,
    workers: usize,
    permits: Semaphore,
    /// Failures in a row because the server does not answer.
    unanswered: AtomicUsize,
}

/// What is kept of a secret that was read.
struct Seen {
    version: u64,
    created: jiff::Timestamp,
    fingerprint: Fingerprint,
}

impl Seen {
    /// Whether it was written after what is recorded, be it as a new version or in place of a purged one.
    fn is_newer_than(&self, recorded: &Insight) -> bool {
        self.version != recorded.version || self.created > recorded.update_time.timestamp()
    }
}

/// Why there is nothing to compare with.
#[derive(Clone)]
enum Missing {
    Gone,
    Unread(Side, String),
}

impl From<Missing> for Outcome {
    /// For the origin: what it no longer has is deleted by the next cycle.
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Gone => Self::ToUpdate,
            Missing::Unread(side, reason) => Self::Unread(side, reason),
        }
    }
}

impl<'a> Reader<'a> {
    fn new(from: Server<'a>, workers: usize, side: Side, key: &'a FingerprintKey) -> Self {
        let workers = workers.max(1);
        Self { from, side, key, workers, permits: Semaphore::new(workers), unanswered: AtomicUsize::new(0) }
    }

    fn is_silent(&self) -> bool {
        self.unanswered.load(Ordering::Relaxed) >= GIVE_UP_AFTER
    }

    fn not_asked(&self) -> Missing {
        Missing::Unread(self.side.clone(), "not asked, because the server did not answer before".to_owned())
    }

    async fn read(&self, path: &SecretPath) -> Result<Seen, Missing> {
        let unread = |reason: String| Missing::Unread(self.side.clone(), reason);
        let _permit = self.permits.acquire().await.map_err(|closed| unread(closed.to_string()))?;
        if self.is_silent() {
            return Err(self.not_asked());
        }
        let answer = self.from.read(path).await;
        match &answer {
            Err(error) if is_silence(error) => self.unanswered.fetch_add(1, Ordering::Relaxed),
            _ => self.unanswered.swap(0, Ordering::Relaxed),
        };
        match answer {
            Ok(Secret { data, version, created_time: created, .. }) => match self.key.of(&data) {
                Some(fingerprint) => Ok(Seen { version, created, fingerprint }),
                None => Err(unread("its data cannot be understood".to_owned())),
            },
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => Err(Missing::Gone),
            Err(error) => Err(unread(error.message().to_owned())),
        }
    }
}

impl Verification {
    fn take_outcome(&mut self, comparable: Comparable, outcome: Outcome) {
        let values = self.values.get_or_insert_default();
        let Comparable { origin, destination, version, .. } = comparable;
        match outcome {
            Outcome::Equal => values.equal += 1,
            Outcome::ToUpdate => values.to_update += 1,
            Outcome::Finding(kind, found) => {
                self.findings.push(Finding { kind, origin, destination, ours: Some(version), found });
            }
            Outcome::Unread(side, reason) => {
                let example = if side == Side::Origin { origin } else { destination };
                match values.unread.iter_mut().find(|unread| unread.side == side && unread.reason == reason) {
                    Some(unread) => unread.secrets += 1,
                    None => values.unread.push(Unread { side, reason, example, secrets: 1 }),
                }
            }
        }
    }
}
