//! Verifying: does a destination still hold what vsync left there?
//!
//! ```text
//!   ledger, sync info ─┐
//!                      ├─▶ per secret: unchanged, changed, gone, came back …   by metadata alone
//!   what is there now ─┘              │
//!                                     └─▶ values, if asked for                 origin and destination are read
//! ```
//!
//! Nothing is written, neither there nor to the state store. What cannot be looked at is unknown: neither fine nor drift.

pub(super) mod judge;
mod look;
mod repair;
mod values;

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use super::binding::{Binding, Former, Place};
use super::{Destination, DestinationName, Engine};
use crate::kv::{PathFilter, SecretPath};
use crate::state::{Journal, Ledger, LedgerEntry, State, StateError};
use crate::sync_info::{Insight, SyncInfo};
use judge::{Holds, Verdict, judge};
pub use values::{Comparison, ReadCost, Unread};

/// What is verified.
#[derive(Debug, Clone, Default)]
pub struct VerifyOptions {
    /// The destinations; none: all.
    pub only: Vec<DestinationName>,
    /// Which secrets, by their origin's path.
    pub filter: PathFilter,
}

/// How far a verification is, for whoever watches.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    pub(super) found: AtomicU64,
    pub(super) compared: AtomicU64,
}

impl VerifyProgress {
    /// How many secrets have been found at the destinations.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// How many of the origin's secrets have been compared by value.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }
}

/// What is not as vsync left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Somebody else has written it since.
    Changed,
    /// It is deleted, or not there any more.
    Gone,
    /// vsync deleted it, and it is there again.
    CameBack,
    /// Somebody else's secret stood in vsync's way, was left alone, and still stands there.
    Foreign,
    /// The version is the one vsync left, and yet the value is not the origin's.
    ValueDiffers,
}

impl FindingKind {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 5] = [Self::Changed, Self::Gone, Self::CameBack, Self::Foreign, Self::ValueDiffers];

    /// The words for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::CameBack => "came back",
            Self::Foreign => "foreign",
            Self::ValueDiffers => "value differs",
        }
    }
}

/// One secret that is not as vsync left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The origin's secret.
    pub origin: SecretPath,
    /// Where it lies at the destination.
    pub destination: SecretPath,
    /// The version that vsync left there. `None`: it left none, or kept no record of it.
    pub ours: Option<u64>,
    /// The version that is there. `None`: none is.
    pub found: Option<u64>,
}

/// Secrets of which nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unverified {
    /// The mount, the folder or the secret at the destination that could not be listed.
    pub prefix: String,
    /// Why.
    pub reason: String,
    /// How many secrets vsync has there.
    pub secrets: u64,
}

/// How a destination compares with what vsync left there.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The destination.
    pub destination: DestinationName,
    /// Secrets, deleted ones among them, that are as vsync left them, by their versions.
    pub unchanged: u64,
    /// Secrets of somebody else that stay because `on_drift` says so.
    pub kept: u64,
    /// Secrets that are there, but whose version was never recorded: a vsync without ledger copied them.
    pub unversioned: u64,
    /// What is not as it was left, by path at the destination.
    pub findings: Vec<Finding>,
    /// What could not be looked at.
    pub unverified: Vec<Unverified>,
    /// Nothing can be said of the destination. The reason.
    pub unavailable: Option<String>,
    /// What comparing values came to, if it was done.
    pub values: Option<Comparison>,
    /// What is there and counts as in sync: its values can be compared.
    comparable: Vec<Comparable>,
}

/// A secret that counts as in sync.
#[derive(Debug, Clone)]
struct Comparable {
    origin: SecretPath,
    /// The origin's insight that is recorded.
    recorded: Insight,
    destination: SecretPath,
    /// The version that was found, and is ours if vsync knows which is.
    version: u64,
}

impl Verification {
    fn new(destination: DestinationName, unavailable: Option<String>) -> Self {
        Self {
            destination,
            unchanged: 0,
            kept: 0,
            unversioned: 0,
            findings: Vec::new(),
            unverified: Vec::new(),
            unavailable,
            values: None,
            comparable: Vec::new(),
        }
    }

    /// How many findings of a kind there are.
    #[must_use]
    pub fn count(&self, kind: FindingKind) -> u64 {
        self.findings.iter().filter(|finding| finding.kind == kind).count() as u64
    }

    /// How many secrets could not be looked at.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        let unread = self.values.iter().flat_map(|values| &values.unread).map(|unread| unread.secrets);
        self.unverified.iter().map(|place| place.secrets).chain(unread).sum()
    }

    /// Whether everything could be looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unavailable.is_none() && self.unknown() == 0
    }
}

/// What vsync left at a destination, as far as it is asked for.
struct Left {
    ledger: Ledger,
    /// Secrets that are recorded without being in the ledger: the destination's path, the origin's, and its insight.
    unversioned: BTreeMap<SecretPath, (SecretPath, Insight)>,
    /// Secrets of the origin whose deletes or undos are at work or were cut off.
    in_doubt: HashSet<SecretPath>,
    /// Secrets that are recorded, but nobody knows any more where.
    lost: u64,
    /// The last cycle here never said how it ended, so that its last writes may not be recorded.
    interrupted: bool,
}

impl Engine {
    /// Compares what destinations hold now with what vsync left there, by metadata alone. Never fails: what cannot be
    /// said is in [`Verification::unverified`] and [`Verification::unavailable`].
    pub async fn verify(&self, options: &VerifyOptions, progress: &VerifyProgress) -> Vec<Verification> {
        let only = &options.only;
        let chosen = self.destinations().iter().filter(|one| only.is_empty() || only.contains(&one.name));
        let verifications = chosen.map(|destination| async {
            match self.verify_destination(destination, &options.filter, progress).await {
                Ok(verification) => verification,
                Err(reason) => Verification::new(destination.name.clone(), Some(reason)),
            }
        });
        join_all(verifications).await
    }

    async fn verify_destination(
        &self,
        destination: &Destination,
        filter: &PathFilter,
        progress: &VerifyProgress,
    ) -> Result<Verification, String> {
        let state = self.destination_state(destination);
        let failed = |error: StateError| error.to_string();
        let left = self.what_was_left(&state, destination, filter).await?;
        let mut verification = Verification::new(destination.name.clone(), None);
        // what was copied without the ledger since is not judged by it
        let judged = |path, entry: &LedgerEntry| filter.admits(&entry.origin) && !left.unversioned.contains_key(path);
        let entries = || left.ledger.iter().filter(|(path, entry)| judged(*path, entry));
        let paths: Vec<SecretPath> = entries().map(|(path, _)| path).chain(left.unversioned.keys()).cloned().collect();
        let presences = look::look(destination, &paths, progress).await;
        verification.unverified.extend(presences.unknown(&paths));
        if left.lost > 0 {
            let reason = "the transforms they were copied with can no longer be read".to_owned();
            verification.unverified.push(Unverified { prefix: "?".to_owned(), reason, secrets: left.lost });
        }
        let mut suspicious = Vec::new();
        for (path, entry) in entries() {
            let verdict = judge(entry, presences.of(path));
            if let Verdict::Wrong(..) = verdict {
                suspicious.push(path.clone());
            } else {
                verification.take(verdict, path, &entry.origin, entry.insight);
            }
        }
        if !suspicious.is_empty() {
            // a cycle may have written them since the ledger was read
            let mut newer = Ledger::open(&state).await.map_err(failed)?;
            newer.load(&suspicious).await.map_err(failed)?;
            for (path, before) in suspicious.iter().filter_map(|path| Some((path, left.ledger.get(path)?))) {
                let entry = newer.get(path).filter(|newer| newer.at > before.at).unwrap_or(before);
                let verdict = judge(entry, presences.of(path));
                let is_wrong = matches!(verdict, Verdict::Wrong(..));
                if left.interrupted && may_be_ours(entry, presences.of(path))
                    || is_wrong && left.in_doubt.contains(&entry.origin)
                {
                    verification.take_doubtful(path);
                } else {
                    verification.take(verdict, path, &entry.origin, entry.insight);
                }
            }
        }
        for (path, (origin, insight)) in &left.unversioned {
            if left.in_doubt.contains(origin) && presences.of(path) != Holds::Unknown {
                verification.take_doubtful(path);
                continue;
            }
            let verdict = match presences.of(path) {
                Holds::Live(found) => Verdict::Unversioned(found),
                Holds::Nothing => Verdict::Wrong(FindingKind::Gone, None, None),
                Holds::Unknown => continue,
            };
            verification.take(verdict, path, origin, *insight);
        }
        verification.findings.sort_by(|one, other| one.destination.cmp(&other.destination));
        Ok(verification)
    }

    /// Reads ledger, sync info and local journal. Fails if they belong to another server.
    async fn what_was_left(
        &self,
        state: &State,
        destination: &Destination,
        filter: &PathFilter,
    ) -> Result<Left, String> {
        let failed = |error: StateError| error.to_string();
        let former = match state.load_note().await.map_err(failed)? {
            Some(bytes) => Some(Binding::decode(&bytes).map_err(|error| format!("{}: {error}", state.note_key()))?),
            None => None,
        };
        let transforms = &destination.transforms;
        let (origin, place) = tokio::join!(Place::of(&self.origin().vault), Place::of(&destination.vault));
        let binding = Binding::new(origin, place, destination, former.as_ref());
        if let Some(objection) = former.as_ref().and_then(|former| former.objection(&binding)) {
            return Err(objection.to_string());
        }
        let mut recorded = match state.load_sync_info(None).await.map_err(failed)? {
            Some(stored) => stored.info,
            None => SyncInfo::new(1),
        };
        let mut ledger = Ledger::open(state).await.map_err(failed)?;
        ledger.load_all().await.map_err(failed)?;
        if let Some(folder) = &destination.journal {
            let journaled = Journal::new(folder, state).read();
            let journaled = journaled.map_err(|error| format!("the local journal in {}: {error}", folder.display()))?;
            for (_, change) in journaled {
                change.merge(&mut recorded, &mut ledger);
            }
        }
        let interrupted = former.as_ref().is_some_and(|former| former.open.is_some());
        let in_doubt =
            recorded.iter().filter(|(_, insight)| insight.is_in_doubt()).map(|(path, _)| path.clone()).collect();
        let mut left = Left { ledger, unversioned: BTreeMap::new(), in_doubt, lost: 0, interrupted };
        let former = former.and_then(|former| former.former_transforms(transforms));
        let is_behind = |entry: &LedgerEntry| recorded.get(&entry.origin).is_some_and(|newer| entry.is_behind(newer));
        let current = left.ledger.iter().filter(|(_, entry)| !entry.deleted && !is_behind(entry));
        let known: HashSet<&SecretPath> = current.map(|(_, entry)| &entry.origin).collect();
        for (path, insight) in recorded.iter().filter(|(path, _)| !known.contains(path) && filter.admits(path)) {
            let target = match &former {
                Some(Former::Unreadable) => None,
                Some(Former::Rules(rules)) => Some(rules.apply(path).data_path),
                None => Some(transforms.apply(path).data_path),
            };
            match target.and_then(|target| SecretPath::parse_data(&target, &destination.mounts).ok()) {
                Some(target) => {
                    left.unversioned.insert(target, (path.clone(), *insight));
                }
                None => left.lost += 1,
            }
        }
        Ok(left)
    }
}

/// Whether what is there may be the one write that an interrupted cycle did not come to record.
fn may_be_ours(entry: &LedgerEntry, holds: Holds) -> bool {
    entry.foreign.is_none() && holds == Holds::Live(entry.version + 1)
}

impl Verification {
    /// Takes in a secret of which the next sync finds out whose it is.
    fn take_doubtful(&mut self, path: &SecretPath) {
        const REASON: &str = "a cycle is at work or was cut off, and may have changed them; the next sync finds out";
        if let Some(doubtful) = self.unverified.iter_mut().find(|place| place.reason == REASON) {
            doubtful.secrets += 1;
        } else {
            self.unverified.push(Unverified { prefix: path.to_string(), reason: REASON.to_owned(), secrets: 1 });
        }
    }

    /// Takes in one secret.
    fn take(&mut self, verdict: Verdict, path: &SecretPath, origin: &SecretPath, recorded: Insight) {
        let comparable = |version| Comparable { origin: origin.clone(), recorded, destination: path.clone(), version };
        match verdict {
            Verdict::Unchanged(Some(version)) => {
                self.unchanged += 1;
                self.comparable.push(comparable(version));
            }
            Verdict::Unchanged(None) => self.unchanged += 1,
            Verdict::Kept => self.kept += 1,
            Verdict::Unversioned(version) => {
                self.unversioned += 1;
                self.comparable.push(comparable(version));
            }
            Verdict::Wrong(kind, ours, found) => {
                let (origin, destination) = (origin.clone(), path.clone());
                self.findings.push(Finding { kind, origin, destination, ours, found });
            }
            Verdict::Unknown | Verdict::Nothing => {}
        }
    }
}
