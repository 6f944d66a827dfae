//! Copying a secret's metadata, with its value or alone.
//!
//! ```text
//!  origin: metadata, value        destination: metadata ─▶ is it as vsync left it?
//!                                              │ yes                       │ no: the value's check-and-set and
//!                                              ▼                           ▼ on_drift, on_existing decide
//!                              (metadata, if it has versions expire) ─▶ value ─▶ metadata, if it differs
//! ```
//!
//! The value goes first, because only its check-and-set tells whose secret it is. `delete_version_after` holds for versions
//! that are written after it was set, so it goes before the value, where the destination has just been looked at.

use std::collections::HashMap;

use super::lag::{PAUSES, lagging};
use super::{Abandoned, Worker};
use crate::engine::event::Step;
use crate::engine::fidelity::Unequal;
use crate::engine::plan::{Expected, Source, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::engine::{Fidelity, OnDrift, OnExisting};
use crate::kv::{MetadataDigest, SecretPath};
use crate::state::LedgerEntry;
use crate::sync_info::EngineKind;
use crate::vault::{ErrorKind, Metadata};

/// How often metadata is written anew because it changed once more in between.
const TRIES: usize = 3;

/// What vsync has brought to the destination's paths that are to be written.
pub(in crate::engine) type Brought = HashMap<SecretPath, LedgerEntry>;

/// What a task left beside its result.
#[derive(Debug, Default)]
pub(in crate::engine) struct Copied {
    /// The origin's metadata that was copied.
    pub(in crate::engine) digest: Option<Box<MetadataDigest>>,
    /// Of a task that failed: its value is at the destination all the same.
    pub(in crate::engine) value: Option<Done>,
    /// What could not be made equal, and in which of the origin's versions.
    pub(in crate::engine) unequal: Vec<(Unequal, Vec<u64>)>,
    /// The origin's value was asked for.
    pub(super) asked: bool,
}

impl Copied {
    pub(super) fn note(&mut self, reason: Unequal, versions: impl IntoIterator<Item = u64>) {
        let versions = Vec::from_iter(versions);
        if versions.is_empty() {
            return;
        }
        match self.unequal.iter_mut().find(|(noted, _)| *noted == reason) {
            Some((_, noted)) => noted.extend(versions),
            None => self.unequal.push((reason, versions)),
        }
    }

    fn value_failed(&mut self, done: Done, digest: Option<MetadataDigest>) {
        self.value = Some(done);
        self.digest = digest.map(Box::new);
    }
}

/// Why a task was not ended.
pub(super) enum Stopped {
    Failed(Failed),
    Abandoned,
}

impl From<Failed> for Stopped {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed)
    }
}

impl From<Abandoned> for Stopped {
    fn from(Abandoned: Abandoned) -> Self {
        Self::Abandoned
    }
}

/// What is to be done about metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as it is to be.
    Equal,
    /// It is to be written.
    Write,
    /// Somebody else wrote it, and it stays.
    Keep,
}

impl Worker {
    /// Has a task carried out, as faithfully as is configured.
    pub(super) async fn carry_out(&self, task: &Task) -> Result<(Result<Done, Failed>, Copied), Abandoned> {
        let mut copied = Copied::default();
        if self.manner.dry_run || !self.is_faithful(task) {
            return Ok((self.perform(task).await?, copied));
        }
        let ended = self.within_the_last_word(Box::pin(self.with_metadata(task, &mut copied))).await;
        if !copied.asked {
            // other destinations need not keep it for this one
            self.reads.forgo(task);
        }
        match ended? {
            Ok(done) => Ok((Ok(done), copied)),
            Err(Stopped::Failed(failed)) => Ok((Err(failed), copied)),
            Err(Stopped::Abandoned) => {
                if copied.value.is_some() {
                    self.queue.mark_doubtful(task);
                }
                Err(Abandoned)
            }
        }
    }

    /// Whether more than a value is copied.
    pub(super) fn is_faithful(&self, task: &Task) -> bool {
        self.manner.fidelity != Fidelity::Value
            && !task.operation.is_delete()
            && matches!(task.source, Source::Origin | Source::Metadata)
            // KV version 1 has nothing but the value
            && task.insight.is_none_or(|insight| insight.kind == EngineKind::KvV2)
    }

    async fn with_metadata(&self, task: &Task, copied: &mut Copied) -> Result<Done, Stopped> {
        let origin = self.unless_stopped(self.at_origin(task)).await??;
        let wanted = origin.digest();
        self.hold_to_the_plan(task, &wanted)?;
        let there = self.unless_stopped(self.at_destination(task)).await??;
        if task.source == Source::Metadata {
            let found = there.as_ref().map_or(0, |there| there.current_version);
            let as_expected = match task.expected {
                Expected::Version(ours) => ours == found,
                Expected::Recorded => true,
            };
            match &there {
                Some(there) if as_expected && there.key_info().live => {
                    if self.manner.fidelity == Fidelity::History {
                        return self.with_history(task, &origin, Some(there), copied).await;
                    }
                    return Ok(self.metadata_alone(task, &origin, there, copied).await?);
                }
                _ => {}
            }
            match self.drift_policy() {
                // all of it is written anew
                OnDrift::Overwrite => {}
                OnDrift::Keep => {
                    let Expected::Version(before) = task.expected else {
                        return Err(super::conflict::drifted(task, found).into());
                    };
                    return Ok(Done::Kept { before, found, insight: task.insight });
                }
                OnDrift::Report if as_expected => {
                    let message = format!(
                        "version {found}, which vsync left there, can no longer be read: somebody else deleted it"
                    );
                    return Err(Failed { met: Some(found), ..Failed::new(Cause::Drift, message) }.into());
                }
                OnDrift::Report => return Err(super::conflict::drifted(task, found).into()),
            }
        }
        if self.manner.fidelity == Fidelity::History {
            return self.with_history(task, &origin, there.as_ref(), copied).await;
        }
        copied.asked = true;
        let (secret, insight, cas) = self.unless_stopped(self.read(task)).await??;
        if let Some(there) = &there
            && secret.version == origin.current_version
            && self.unless_stopped(self.holds_already(task, &secret, cas)).await? == Some(there.current_version)
        {
            return Ok(self.metadata_alone(task, &origin, there, copied).await?);
        }
        let insight = if origin.current_version == secret.version { origin.key_info().insight() } else { insight };
        let value = MetadataDigest::of_value(secret.version, secret.created_time);
        let digest = MetadataDigest { value, ..wanted.without_versions() };
        // what others did to the metadata of a secret must be known before anything of it changes
        let verdict = self.judge_metadata(task, &wanted, there.as_ref());
        let mut settled = false;
        if origin.expires_versions()
            && verdict == Ok(Verdict::Write)
            && cas.is_some_and(|cas| cas == there.as_ref().map_or(0, |there| there.current_version))
        {
            self.write_metadata(task, &origin, there.as_ref()).await?;
            settled = true;
        }
        let done = self.write(task, insight, &secret.data, cas).await?;
        drop(secret);
        if let Done::Kept { .. } = done {
            return Ok(done);
        }
        // from here on the value is there, whatever becomes of the rest
        let brought = self.brought_to(task);
        let written = match verdict {
            Ok(Verdict::Write) if !settled => self.write_metadata(task, &origin, there.as_ref()).await,
            Ok(_) => Ok(()),
            Err(failed) => Err(failed),
        };
        if let Err(failed) = written {
            copied.value_failed(done, brought.map(|brought| MetadataDigest { value, ..*brought }));
            // tried once more, it meets the value that it has written itself
            return Err(Failed { unsettled: failed.unreached.is_some(), ..failed }.into());
        }
        copied.digest = Some(Box::new(digest));
        Ok(done)
    }

    /// The value is there already: nothing of it is read or written.
    async fn metadata_alone(
        &self,
        task: &Task,
        origin: &Metadata,
        there: &Metadata,
        copied: &mut Copied,
    ) -> Result<Done, Failed> {
        let wanted = origin.digest();
        if task.insight.is_none_or(|planned| planned.version != origin.current_version) {
            let message = "the origin has another version by now, and only the metadata was to be copied";
            return Err(Failed::new(Cause::Moved, message));
        }
        if let Some(planned) = self.inventory.digests.get(&task.origin)
            && planned.value != wanted.value
        {
            return Err(Failed::new(Cause::Moved, "the origin's secret was removed and written anew meanwhile"));
        }
        if self.judge_metadata(task, &wanted, Some(there))? == Verdict::Write {
            self.write_metadata(task, origin, Some(there)).await?;
        }
        copied.digest = Some(Box::new(wanted.without_versions()));
        Ok(Done::Metadata { insight: origin.key_info().insight(), version: there.current_version })
    }

    /// The origin's metadata of the task's secret.
    async fn at_origin(&self, task: &Task) -> Result<Metadata, Failed> {
        let planned = task.insight.map_or(0, |planned| planned.version);
        let mut pauses = PAUSES.iter();
        loop {
            let metadata = self.origin.vault().metadata(&task.origin).await;
            let metadata = metadata.map_err(|error| self.unreadable(&error))?;
            self.origin_reach.answered();
            if metadata.current_version >= planned {
                return Ok(metadata);
            }
            // the node that answers lags behind
            let Some(pause) = pauses.next() else { return Err(lagging(metadata.current_version, planned)) };
            tokio::time::sleep(*pause).await;
        }
    }

    /// An approved plan is for the metadata it was made of.
    fn hold_to_the_plan(&self, task: &Task, wanted: &MetadataDigest) -> Result<(), Failed> {
        let planned = self.inventory.digests.get(&task.origin);
        if self.manner.exact && planned.is_some_and(|planned| planned.settings != wanted.settings) {
            return Err(Failed::new(Cause::Moved, "the origin's metadata was changed after the plan"));
        }
        Ok(())
    }

    fn brought_to(&self, task: &Task) -> Option<&MetadataDigest> {
        self.brought.get(&task.destination)?.digest.as_deref()
    }

    fn drift_policy(&self) -> OnDrift {
        if self.manner.exact { OnDrift::Report } else { self.manner.on_drift }
    }

    /// Compares the destination's metadata with what vsync brought there, and with what is to be there.
    pub(super) fn judge_metadata(
        &self,
        task: &Task,
        wanted: &MetadataDigest,
        there: Option<&Metadata>,
    ) -> Result<Verdict, Failed> {
        let untouched = MetadataDigest::default_settings();
        let found = there.map_or(untouched, Metadata::settings_digest);
        let brought = self.brought_to(task);
        if found == wanted.settings {
            return Ok(Verdict::Equal);
        }
        if found == untouched || brought.is_some_and(|brought| brought.settings == found) {
            return Ok(Verdict::Write);
        }
        if brought.is_some() {
            return match self.drift_policy() {
                OnDrift::Overwrite => Ok(Verdict::Write),
                OnDrift::Keep => Ok(Verdict::Keep),
                OnDrift::Report => {
                    let message = "its metadata is not as vsync left it: somebody else changed it there";
                    Err(Failed::new(Cause::Drift, message))
                }
            };
        }
        if self.manner.on_existing == OnExisting::Overwrite && !self.manner.exact {
            return Ok(Verdict::Write);
        }
        let message = "it has metadata of its own there, which vsync never wrote and which differs from the origin's";
        Err(Failed::new(Cause::Existing, message))
    }

    /// Gives the destination's secret the origin's metadata. `there`: what it was judged by.
    pub(super) async fn write_metadata(
        &self,
        task: &Task,
        origin: &Metadata,
        there: Option<&Metadata>,
    ) -> Result<(), Failed> {
        self.slot.step(Step::Writing);
        let judged = there.map_or_else(MetadataDigest::default_settings, Metadata::settings_digest);
        // writing the value may have made the secret, whose metadata then has a version that is not known
        let mut cas = there.and_then(|there| there.metadata_version);
        for _ in 0..TRIES {
            let error = match self.destination.write_metadata(&task.destination, origin, cas).await {
                Ok(()) => {
                    self.destination_reach.answered();
                    return Ok(());
                }
                Err(error) => error,
            };
            if error.kind() != ErrorKind::CheckAndSet {
                return Err(self.destination_reach.failed(&error));
            }
            self.destination_reach.answered();
            let newer = self.at_destination(task).await?;
            let found = newer.as_ref().map_or_else(MetadataDigest::default_settings, Metadata::settings_digest);
            if found == origin.settings_digest() {
                // an attempt whose answer was lost
                return Ok(());
            }
            if found != judged {
                break;
            }
            cas = newer.map_or(Some(0), |newer| newer.metadata_version);
        }
        Err(Failed::new(Cause::Conflict, "somebody else changes its metadata there at the same time"))
    }
}
