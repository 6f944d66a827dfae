//! What cycles changed at a destination: what sync info and ledger are made of, and what undoing a cycle needs.

mod log;

use std::borrow::Cow;
use std::cmp::Ordering;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use log::ChangeLog;

use super::compact::{self, CompactInsight, is_default};
use super::{Foreign, Ledger, LedgerEntry};
use crate::kv::{MetadataDigest, SecretPath};
use crate::sync_info::{EngineKind, Insight, SyncInfo, UpdateTime};

/// What was done with one secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// A version was written.
    Written,
    /// The current version was soft-deleted. It is 0 if it could not be found out which it is.
    Deleted,
    /// It was to be deleted, and could not be read any more; nothing was written.
    Absent,
    /// As [`ChangeKind::Deleted`], and it waits to be destroyed or purged: the origin can still undelete its own.
    DeletedForNow,
    /// As [`ChangeKind::Absent`], and it waits in the same way.
    AbsentForNow,
    /// The data of all its versions was destroyed; its metadata stays. No way back.
    Destroyed,
    /// It was removed with all its versions and its metadata. No way back.
    Purged,
    /// A soft-deleted version was made readable again.
    Restored,
    /// It was equal already; nothing was written.
    Adopted,
    /// Only metadata, or states of older versions, were brought in step; the value stayed.
    Metadata,
    /// Somebody else's secret stood in the way; nothing was written.
    Met,
    /// As [`ChangeKind::Met`], and the configuration says to leave it so.
    Kept,
}

impl ChangeKind {
    /// Whether it was to be gone from the destination, in whichever way.
    #[must_use]
    pub fn is_delete(self) -> bool {
        matches!(
            self,
            Self::Deleted | Self::Absent | Self::DeletedForNow | Self::AbsentForNow | Self::Destroyed | Self::Purged
        )
    }

    /// Whether nothing can take it back.
    #[must_use]
    pub fn is_irrevocable(self) -> bool {
        matches!(self, Self::Destroyed | Self::Purged)
    }
}

/// One secret at a destination, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub kind: ChangeKind,
    /// The origin's secret.
    pub origin: SecretPath,
    /// Where it lies at the destination.
    pub destination: SecretPath,
    /// The destination's version before; 0: there was none.
    pub before: u64,
    /// The destination's version after; of what was met or kept, the foreign one.
    pub version: u64,
    /// What the sync info said before; `None`: it was not recorded.
    pub insight_before: Option<Insight>,
    /// The origin's insight it belongs to; `None` for a delete, and for what an undo gave back that was never vsync's.
    pub insight: Option<Insight>,
    /// Whether somebody else had written the version before.
    pub over_foreign: bool,
    /// What tells which of the origin's metadata was copied; `None`: none was.
    pub digest: Option<Box<MetadataDigest>>,
    /// When.
    pub at: Timestamp,
}

impl Change {
    /// Applies it to the sync info and the ledger, whose bucket of [`Change::destination`] must be loaded: the one place
    /// that says how. Applying it twice is as good as once.
    ///
    /// | kind | sync info | ledger |
    /// |---|---|---|
    /// | written, adopted, restored, metadata | gets the insight | the insight and version; not deleted, nothing foreign |
    /// | the same without insight | the entry goes | the entry goes: it is as if vsync had never been there |
    /// | deleted, absent, destroyed | the entry goes | the former version, deleted; nothing foreign |
    /// | deleted or absent for now | the entry goes | the same, and it waits |
    /// | purged | the entry goes | no version, deleted; nothing foreign |
    /// | met | as it was | as it was, and the foreign version with the insight that met it |
    /// | kept | as for written: it counts as in sync | as for met, and kept |
    ///
    /// A delete that met somebody else's version has no insight; the one recorded before stands for it.
    pub fn apply(&self, recorded: &mut SyncInfo, ledger: &mut Ledger) {
        let known = ledger.get(&self.destination);
        let entry = match self.kind {
            ChangeKind::Written | ChangeKind::Adopted | ChangeKind::Restored | ChangeKind::Metadata
                if self.insight.is_none() =>
            {
                ledger.remove(&self.destination);
                recorded.remove(&self.origin);
                return;
            }
            ChangeKind::Written | ChangeKind::Adopted | ChangeKind::Restored | ChangeKind::Metadata => LedgerEntry {
                origin: self.origin.clone(),
                insight: self.insight.unwrap_or_else(|| self.last_insight(known)),
                version: self.version,
                deleted: false,
                awaits_removal: false,
                foreign: None,
                digest: self.digest.clone(),
                at: self.at,
            },
            ChangeKind::Deleted
            | ChangeKind::Absent
            | ChangeKind::DeletedForNow
            | ChangeKind::AbsentForNow
            | ChangeKind::Destroyed
            | ChangeKind::Purged => LedgerEntry {
                origin: self.origin.clone(),
                insight: self.last_insight(known),
                // the next version there will be the first one again
                version: if self.kind == ChangeKind::Purged { 0 } else { self.before },
                deleted: true,
                awaits_removal: matches!(self.kind, ChangeKind::DeletedForNow | ChangeKind::AbsentForNow),
                foreign: None,
                digest: known.and_then(|known| known.digest.clone()),
                at: self.at,
            },
            ChangeKind::Met | ChangeKind::Kept => {
                let insight = self.insight.unwrap_or_else(|| self.last_insight(known));
                let foreign = Foreign { version: self.version, insight, kept: self.kind == ChangeKind::Kept };
                let former = known.cloned().unwrap_or_else(|| LedgerEntry {
                    origin: self.origin.clone(),
                    insight,
                    version: 0,
                    deleted: false,
                    awaits_removal: false,
                    foreign: None,
                    digest: None,
                    at: self.at,
                });
                LedgerEntry { foreign: Some(foreign), at: self.at, ..former }
            }
        };
        ledger.insert(self.destination.clone(), entry);
        match (self.kind, self.insight) {
            (ChangeKind::Met, _) => {}
            (kind, _) if kind.is_delete() => {
                recorded.remove(&self.origin);
            }
            (_, None) => {
                recorded.remove(&self.origin);
            }
            (_, Some(insight)) => {
                recorded.insert(self.origin.clone(), insight);
            }
        }
    }

    /// As [`Change::apply`], unless the ledger knows of something later at that path: a machine may come back with a
    /// journal from before others went on. Returns whether it was applied.
    pub fn merge(&self, recorded: &mut SyncInfo, ledger: &mut Ledger) -> bool {
        let is_newest = ledger.get(&self.destination).is_none_or(|known| self.follows(known));
        // nor what a vsync without ledger has copied since; an undo goes back behind what was there before it
        let is_behind = |insight: &Insight| {
            let newer = recorded.get(&self.origin).filter(|newer| newer.is_later_than(insight));
            newer.is_some_and(|newer| self.insight_before != Some(*newer))
        };
        let merges = is_newest && !self.insight.as_ref().is_some_and(is_behind);
        if merges {
            self.apply(recorded, ledger);
        }
        merges
    }

    /// Whether this came after what the ledger knows. The destination counts its versions; the clocks of several machines
    /// decide only where that does not.
    fn follows(&self, known: &LedgerEntry) -> bool {
        match self.kind {
            // what stood in the way was taken over, or written over, since
            ChangeKind::Met | ChangeKind::Kept if known.version >= self.version => false,
            // versions are counted anew since
            _ if known.version == 0 && known.deleted => known.at <= self.at,
            ChangeKind::Purged => known.at <= self.at,
            _ => match self.version.cmp(&known.version) {
                Ordering::Less => false,
                Ordering::Equal => known.at <= self.at,
                Ordering::Greater => true,
            },
        }
    }

    /// The insight that was copied before.
    fn last_insight(&self, known: Option<&LedgerEntry>) -> Insight {
        let copied = known.filter(|known| known.version > 0).map(|known| known.insight);
        self.insight_before.or(copied).unwrap_or(Insight {
            version: 0,
            update_time: UpdateTime::from(self.at),
            kind: EngineKind::KvV2,
        })
    }
}

/// A change as it is stored. What is usual is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(rename = "k")]
    kind: ChangeKind,
    #[serde(rename = "o")]
    origin: Cow<'a, str>,
    /// The length of the origin's mount, as [`compact::mount_len`] gives it.
    #[serde(rename = "om", default, skip_serializing_if = "Option::is_none")]
    origin_mount: Option<usize>,
    /// Unless it is the origin's.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    destination: Option<Cow<'a, str>>,
    #[serde(rename = "dm", default, skip_serializing_if = "Option::is_none")]
    destination_mount: Option<usize>,
    #[serde(rename = "b", default, skip_serializing_if = "is_default")]
    before: u64,
    #[serde(rename = "v", default, skip_serializing_if = "is_default")]
    version: u64,
    #[serde(rename = "ib", default, skip_serializing_if = "Option::is_none")]
    insight_before: Option<CompactInsight>,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    insight: Option<CompactInsight>,
    #[serde(rename = "f", default, skip_serializing_if = "is_default")]
    over_foreign: bool,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    digest: Option<MetadataDigest>,
    #[serde(rename = "t")]
    at: Timestamp,
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let destination = (!compact::is_same(&self.origin, &self.destination)).then_some(&self.destination);
        Record {
            kind: self.kind,
            origin: self.origin.data_path().into(),
            origin_mount: compact::mount_len(&self.origin),
            destination: destination.map(|path| path.data_path().into()),
            destination_mount: destination.and_then(compact::mount_len),
            before: self.before,
            version: self.version,
            insight_before: self.insight_before.map(Into::into),
            insight: self.insight.map(Into::into),
            over_foreign: self.over_foreign,
            digest: self.digest.as_deref().copied(),
            at: self.at,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = Record::deserialize(deserializer)?;
        let origin = compact::path(&record.origin, record.origin_mount).map_err(de::Error::custom)?;
        let destination = match record.destination {
            Some(text) => compact::path(&text, record.destination_mount).map_err(de::Error::custom)?,
            None => origin.clone(),
        };
        let digest = record.digest.map(Box::new);
        let Record { kind, before, version, over_foreign, at, .. } = record;
        let (insight_before, insight) = (record.insight_before.map(Into::into), record.insight.map(Into::into));
        Ok(Self { kind, origin, destination, before, version, insight_before, insight, over_foreign, digest, at })
    }
}

#[cfg(test)]
mod tests;
