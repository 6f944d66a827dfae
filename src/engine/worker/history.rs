//! Copying all versions of a secret, in order, with their states.
//!
//! ```text
//!  origin       3 destroyed   4 live   5 soft-deleted   6 live
//!                   │            │           │             │        each by check-and-set over the one before
//!  destination  1  {}         2 data     3  {}          4 data
//!                   └──────────────┬─────────┘
//!          then 1 is destroyed and 3 soft-deleted, in one request each
//! ```
//!
//! A soft-deleted version cannot be read without undeleting it, and nothing is ever changed at the origin, so an empty
//! placeholder stands for it. The number of an origin's version and of its copy differ by what the ledger knows: the last
//! version that was copied, the destination's version it became, and from which version on there is none in between.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::Worker;
use super::metadata::{Copied, Stopped, Verdict};
use crate::engine::OnExisting;
use crate::engine::event::Step;
use crate::engine::fidelity::Unequal;
use crate::engine::plan::{Expected, Source, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::kv::{MetadataDigest, SecretData, VersionState};
use crate::state::LedgerEntry;
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{Metadata, Secret};

/// What stands for a version whose value cannot be read.
const PLACEHOLDER: &str = "{}";

/// Which of the destination's versions are copies of which of the origin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapping {
    /// The first of the origin's versions that it holds for.
    since: u64,
    /// The last one.
    origin: u64,
    /// That one's copy.
    there: u64,
}

impl Mapping {
    /// What the ledger knows, if it still holds: a secret that was purged and written anew begins anew.
    fn known(entry: Option<&LedgerEntry>, origin: &Metadata) -> Option<Self> {
        let entry = entry.filter(|entry| entry.version > 0)?;
        let digest = entry.digest.as_deref().filter(|digest| digest.since > 0)?;
        let last = entry.insight.version;
        let same = match origin.versions.get(&last) {
            Some(version) => MetadataDigest::of_value(last, version.created_time) == digest.value,
            // pruned since
            None => last < origin.current_version,
        };
        same.then_some(Self { since: digest.since, origin: last, there: entry.version })
    }

    /// The copy of an origin's version.
    fn of(self, version: u64) -> Option<u64> {
        if !(self.since..=self.origin).contains(&version) {
            return None;
        }
        self.there.checked_sub(self.origin - version).filter(|there| *there > 0)
    }

    /// The same with one more copy; without a gap it goes on, else it begins with this one.
    fn grown(known: Option<Self>, version: u64, there: u64) -> Self {
        match known {
            Some(known) if known.origin + 1 == version && known.there + 1 == there => {
                Self { origin: version, there, ..known }
            }
            _ => Self { since: version, origin: version, there },
        }
    }
}

/// Which of the origin's versions are not at the destination, in order.
fn missing(
    entry: Option<&LedgerEntry>,
    mapping: Option<Mapping>,
    task: (Source, Expected),
    origin: &Metadata,
) -> Vec<u64> {
    let current = origin.current_version;
    let (source, expected) = task;
    let copied = match (mapping, entry.filter(|entry| entry.version > 0)) {
        (Some(mapping), _) => mapping.origin,
        // the value is there, and nothing is known of those before it
        (None, _) if source == Source::Metadata => current,
        // the number of what was copied was vsync's own
        (None, Some(entry)) if entry.insight.kind == EngineKind::KvV1 => 0,
        // values alone were copied until now; what is older cannot be put in behind
        (None, Some(entry)) if entry.digest.as_deref().is_none_or(|digest| digest.since == 0) => {
            match entry.insight.version.cmp(&current) {
                Ordering::Less => entry.insight.version,
                Ordering::Equal => current.saturating_sub(1),
                Ordering::Greater => 0,
            }
        }
        // a vsync without a ledger has copied it
        (None, None) if expected == Expected::Recorded => current.saturating_sub(1),
        // never copied, or purged and written anew since
        (None, _) => 0,
    };
    origin.versions.keys().copied().filter(|version| *version > copied && *version <= current).collect()
}

/// How the states of the destination's versions are to change.
#[derive(Debug, Default, PartialEq, Eq)]
struct Changes {
    destroy: Vec<u64>,
    delete: Vec<u64>,
    /// The origin's version, and its copy.
    undelete: Vec<(u64, u64)>,
    /// The origin's versions whose copies are destroyed.
    lost: Vec<u64>,
    /// The origin's versions whose copies are no longer kept.
    not_kept: Vec<u64>,
}

impl Changes {
    fn of(origin: &Metadata, there: &Metadata, mapping: Mapping, now: Timestamp) -> Self {
        use VersionState::{Deleted, Destroyed, Live};
        let mut changes = Self::default();
        for (number, version) in &origin.versions {
            let Some(copy) = mapping.of(*number) else { continue };
            let wanted = version.state(now);
            let Some(found) = there.versions.get(&copy).map(|found| found.state(now)) else {
                changes.not_kept.push(*number);
                continue;
            };
            match (wanted, found) {
                (Destroyed, Live | Deleted) => changes.destroy.push(copy),
                (Deleted, Live) => changes.delete.push(copy),
                (Live, Deleted) => changes.undelete.push((*number, copy)),
                (Live | Deleted, Destroyed) => changes.lost.push(*number),
                (Live, Live) | (Deleted, Deleted) | (Destroyed, Destroyed) => {}
            }
        }
        changes
    }
}

impl Worker {
    /// Writes what the destination lacks of the origin's versions, and brings the states of the others in step.
    pub(super) async fn with_history(
        &self,
        task: &Task,
        origin: &Metadata,
        there: Option<&Metadata>,
        copied: &mut Copied,
    ) -> Result<Done, Stopped> {
        if self.manner.exact && task.insight.is_none_or(|planned| planned.version != origin.current_version) {
            let message = format!("the origin has version {} by now, which was not planned", origin.current_version);
            return Err(Failed::new(Cause::Moved, message).into());
        }
        let found = there.map_or(0, |there| there.current_version);
        let expected = match task.expected {
            Expected::Version(version) => version,
            Expected::Recorded => found,
        };
        let entry = self.brought.get(&task.destination);
        let known = Mapping::known(entry, origin);
        let mut mapping = known;
        let mut missing = missing(entry, known, (task.source, task.expected), origin);
        if missing.is_empty() && (found != expected || !is_kept(origin, there, mapping)) {
            // nothing can bring that version back, or somebody else's stands before it
            missing.push(origin.current_version);
        }
        let wanted = origin.digest();
        let verdict = self.judge_metadata(task, &wanted, there);
        let mut settings = entry.and_then(|entry| entry.digest.as_deref()).map(|digest| digest.settings);
        let mut settled = false;
        if verdict == Ok(Verdict::Write) && found == expected {
            // max_versions and delete_version_after hold for what is written behind them
            self.write_metadata(task, origin, there).await?;
            settled = true;
            settings = Some(wanted.settings);
        }
        let mut last = expected;
        let mut done = None;
        if let Some(there) = there.filter(|there| there.current_version > expected) {
            let written = self.unless_stopped(self.written_before(task, origin, there, expected, &missing)).await??;
            copied.asked |= written > 0 && written == missing.len();
            for version in missing.drain(..written) {
                last += 1;
                mapping = Some(Mapping::grown(mapping, version, last));
                let insight = insight_of(origin, version);
                // what a cycle of ours wrote, or what was there before any did
                done = Some(if self.manner.interrupted || self.slot.is_doubtful() {
                    Done::Written { insight, before: expected, version: last }
                } else {
                    Done::Adopted { insight, before: expected, version: last }
                });
            }
        }
        let mut at_hand = self.leave_out_what_is_held(task, origin, &mut missing, last, &mut mapping, copied).await?;
        for version in missing.iter().copied() {
            let written = match self.copy_version(task, origin, version, last, at_hand.take(), copied).await {
                Ok(written) => written,
                Err(stopped) if done.is_none() => return Err(stopped),
                Err(stopped) => {
                    note_progress(copied, origin, mapping, settings, done);
                    return Err(match stopped {
                        // should it be put back, what has been written must be known for ours
                        Stopped::Failed(failed) => Failed { unsettled: true, ..failed }.into(),
                        Stopped::Abandoned => Stopped::Abandoned,
                    });
                }
            };
            let (Done::Written { version: copy, .. } | Done::Adopted { version: copy, .. }) = written else {
                if done.is_none() {
                    return Ok(written);
                }
                note_progress(copied, origin, mapping, settings, done);
                let message = "somebody else has written it while its versions were copied";
                return Err(Failed::new(Cause::Conflict, message).into());
            };
            last = copy;
            mapping = Some(Mapping::grown(mapping, version, copy));
            done = Some(with_one_more(done, written, insight_of(origin, version), copy));
        }
        let mapping =
            mapping.unwrap_or(Mapping { since: origin.current_version, origin: origin.current_version, there: last });
        if mapping.there != mapping.origin {
            copied.note(Unequal::Numbers, [origin.current_version]);
        }
        let rest = async {
            let copied = &mut *copied;
            let as_it_was = there.filter(|_| done.is_none());
            let restored = self.bring_states_in_step(task, origin, mapping, as_it_was, copied).await?;
            match verdict {
                Ok(Verdict::Write) if !settled => self.write_metadata(task, origin, there).await?,
                Ok(_) => {}
                Err(failed) => return Err(failed),
            }
            Ok(restored)
        };
        match rest.await {
            Ok(restored) => {
                copied.digest = Some(Box::new(MetadataDigest { since: mapping.since, ..wanted }));
                let insight = origin.key_info().insight();
                Ok(match done {
                    Some(done) => done.of_insight(insight),
                    None if restored => Done::Restored { version: last },
                    None => Done::Metadata { insight, version: last },
                })
            }
            Err(failed) => {
                note_progress(copied, origin, Some(mapping), settings, done);
                Err(Failed { unsettled: failed.unreached.is_some(), ..failed }.into())
            }
        }
    }

    /// If `last` may be the copy of the first missing version, and is, that one is no longer missing. If it is not, returns
    /// the value that was read to know it.
    async fn leave_out_what_is_held(
        &self,
        task: &Task,
        origin: &Metadata,
        missing: &mut Vec<u64>,
        last: u64,
        mapping: &mut Option<Mapping>,
        copied: &mut Copied,
    ) -> Result<Option<Arc<Secret>>, Stopped> {
        let first = missing.first().copied().filter(|first| state_of(origin, *first) == VersionState::Live);
        // with a mapping it is known which version's copy it is
        let may_be_held = mapping.is_none() && self.may_be_equal(task);
        let Some(first) = first.filter(|_| may_be_held) else { return Ok(None) };
        copied.asked |= first == origin.current_version;
        let secret = self.unless_stopped(self.version_at_origin(task, origin, first)).await??;
        if self.unless_stopped(self.holds_already(task, &secret, Some(last))).await?.is_none() {
            return Ok(Some(secret));
        }
        missing.remove(0);
        *mapping = Some(Mapping::grown(*mapping, first, last));
        Ok(None)
    }

    /// Copies one version over `last`. `at_hand`: its value, if it has been read already.
    async fn copy_version(
        &self,
        task: &Task,
        origin: &Metadata,
        version: u64,
        last: u64,
        at_hand: Option<Arc<Secret>>,
        copied: &mut Copied,
    ) -> Result<Done, Stopped> {
        let insight = insight_of(origin, version);
        if state_of(origin, version) == VersionState::Live {
            copied.asked |= version == origin.current_version;
            let secret = match at_hand {
                Some(secret) => secret,
                None => self.unless_stopped(self.version_at_origin(task, origin, version)).await??,
            };
            return Ok(self.write(task, insight, &secret.data, Some(last)).await?);
        }
        if state_of(origin, version) == VersionState::Deleted {
            copied.note(Unequal::Unreadable, [version]);
        }
        Ok(self.write(task, insight, &placeholder(), Some(last)).await?)
    }

    /// One version of the origin's secret: the one place where they are read.
    async fn version_at_origin(&self, task: &Task, origin: &Metadata, version: u64) -> Result<Arc<Secret>, Failed> {
        self.slot.step(Step::Reading);
        if version == origin.current_version {
            // other destinations may need it, too
            let read = self.reads.get(&task.origin, || self.origin.read(&task.origin)).await;
            if let Ok(secret) = &read
                && secret.version != version
            {
                // it has a newer one by now, for the next cycle
            } else {
                let secret = read.map_err(|error| self.unreadable(&error))?;
                self.origin_reach.answered();
                return Ok(secret);
            }
        }
        let read = || self.origin.vault().read_version(&task.origin, version);
        let secret = self.reads.get_version(&task.origin, version, read).await;
        let secret = secret.map_err(|error| self.unreadable(&error))?;
        self.origin_reach.answered();
        Ok(secret)
    }

    /// How many of the missing versions are at the destination already, because a cycle that was cut off had written
    /// them: as many as have been written there since, if they are the same in order. Else none.
    async fn written_before(
        &self,
        task: &Task,
        origin: &Metadata,
        there: &Metadata,
        expected: u64,
        missing: &[u64],
    ) -> Result<usize, Failed> {
        let adopts = expected > 0 || self.manner.on_existing == OnExisting::Adopt;
        let count = usize::try_from(there.current_version - expected).unwrap_or(usize::MAX);
        let ours = self.manner.interrupted || self.slot.is_doubtful();
        if self.manner.exact && !ours || count > missing.len() || !(adopts || ours) {
            return Ok(0);
        }
        let now = Timestamp::now();
        for (version, copy) in missing[..count].iter().zip(expected + 1..) {
            let wanted = state_of(origin, *version);
            let Some(found) = there.versions.get(&copy) else { return Ok(0) };
            if found.state(now) != VersionState::Live {
                if found.state(now) == wanted {
                    continue;
                }
                return Ok(0);
            }
            let held = self.destination.read_version(&task.destination, copy).await;
            let held = held.map_err(|error| self.destination_reach.failed(&error))?;
            self.destination_reach.answered();
            let same = if wanted == VersionState::Live {
                let secret = self.version_at_origin(task, origin, *version).await?;
                held.data.has_same_values(&secret.data)
            } else {
                held.data.has_same_values(&placeholder())
            };
            if !same {
                return Ok(0);
            }
        }
        Ok(count)
    }

    /// Destroys, soft-deletes and undeletes copies as their originals are. `there`: what is there, if nothing was written
    /// since. Returns whether the newest version was undeleted.
    async fn bring_states_in_step(
        &self,
        task: &Task,
        origin: &Metadata,
        mapping: Mapping,
        there: Option<&Metadata>,
        copied: &mut Copied,
    ) -> Result<bool, Failed> {
        let now = Timestamp::now();
        let looked;
        let there = match there {
            Some(there) => there,
            None if origin.versions.len() == 1 && state_of(origin, origin.current_version) == VersionState::Live => {
                return Ok(false);
            }
            None => {
                looked = self.at_destination(task).await?;
                let Some(there) = &looked else {
                    return Err(Failed::new(Cause::Conflict, "somebody removed it there while it was copied"));
                };
                there
            }
        };
        let changes = Changes::of(origin, there, mapping, now);
        self.slot.step(Step::Writing);
        for (versions, operation) in [(&changes.destroy, "destroy"), (&changes.delete, "delete")] {
            if versions.is_empty() {
                continue;
            }
            let done = match operation {
                "destroy" => self.destination.destroy(&task.destination, versions).await,
                _ => self.destination.delete_versions(&task.destination, versions).await,
            };
            done.map_err(|error| self.destination_reach.failed(&error))?;
            self.destination_reach.answered();
        }
        let mut restored = false;
        for (version, copy) in changes.undelete {
            if self.undelete_copy(task, origin, version, copy).await? {
                restored |= version == origin.current_version;
            } else {
                copied.note(Unequal::Late, [version]);
            }
        }
        copied.note(Unequal::Lost, changes.lost);
        copied.note(Unequal::NotKept, changes.not_kept);
        Ok(restored)
    }

    /// Makes a copy readable again. If it is a placeholder, it is not: its value cannot be put in behind.
    async fn undelete_copy(&self, task: &Task, origin: &Metadata, version: u64, copy: u64) -> Result<bool, Failed> {
        let failed = |error| self.destination_reach.failed(&error);
        self.destination.undelete(&task.destination, &[copy]).await.map_err(failed)?;
        let held = self.destination.read_version(&task.destination, copy).await.map_err(failed)?;
        self.destination_reach.answered();
        let secret = self.version_at_origin(task, origin, version).await?;
        if held.data.has_same_values(&secret.data) {
            return Ok(true);
        }
        self.destination.delete_versions(&task.destination, &[copy]).await.map_err(failed)?;
        Ok(false)
    }
}

/// What was copied of a secret whose task failed: the next cycle goes on behind it.
fn note_progress(
    copied: &mut Copied,
    origin: &Metadata,
    mapping: Option<Mapping>,
    settings: Option<u64>,
    done: Option<Done>,
) {
    let (Some(mapping), Some(done)) = (mapping, done) else { return };
    let Some(version) = origin.versions.get(&mapping.origin) else { return };
    copied.value = Some(done);
    copied.digest = Some(Box::new(MetadataDigest {
        value: MetadataDigest::of_value(mapping.origin, version.created_time),
        settings: settings.unwrap_or_else(MetadataDigest::default_settings),
        // so that the states are looked at again
        versions: 0,
        since: mapping.since,
    }));
}

fn state_of(origin: &Metadata, version: u64) -> VersionState {
    origin.versions.get(&version).map_or(VersionState::Destroyed, |version| version.state(Timestamp::now()))
}

/// What has been done by now that one more version was `written`, or found there.
fn with_one_more(done: Option<Done>, written: Done, insight: Insight, version: u64) -> Done {
    match (written, done) {
        // those that were there already, and nothing else
        (Done::Adopted { before, .. }, None | Some(Done::Adopted { .. })) => Done::Adopted { insight, before, version },
        // the first one that was written says what was there before
        (_, Some(Done::Written { before, .. })) | (Done::Written { before, .. } | Done::Adopted { before, .. }, _) => {
            Done::Written { insight, before, version }
        }
        (other, _) => other,
    }
}

fn insight_of(origin: &Metadata, version: u64) -> Insight {
    let created = origin.versions.get(&version).map_or(origin.created_time, |version| version.created_time);
    Insight { version, update_time: created.into(), kind: EngineKind::KvV2 }
}

/// Whether the copy of the origin's current version can still be read, or be made to.
fn is_kept(origin: &Metadata, there: Option<&Metadata>, mapping: Option<Mapping>) -> bool {
    let Some(copy) = mapping.and_then(|mapping| mapping.of(origin.current_version)) else { return true };
    there.and_then(|there| there.versions.get(&copy)).is_some_and(|version| !version.destroyed)
}

fn placeholder() -> SecretData {
    SecretData::from_json(Zeroizing::new(PLACEHOLDER.to_owned()))
}

impl Done {
    /// The same for another insight of the same version.
    fn of_insight(self, insight: Insight) -> Self {
        match self {
            Self::Written { before, version, .. } => Self::Written { insight, before, version },
            Self::Adopted { before, version, .. } => Self::Adopted { insight, before, version },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;
