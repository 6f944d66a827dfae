//! A detailed listing's entry with all that makes up its digest.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::answer::{Text, is_live};
use super::super::kv2::KeyInfo;
use super::Time;
use crate::kv::{MetadataDigest, VersionState};

/// One secret's metadata in a detailed listing; for a folder, empty.
#[derive(Deserialize)]
pub(super) struct FullDetail<'a> {
    current_version: Option<u64>,
    updated_time: Option<Time>,
    #[serde(borrow, default)]
    custom_metadata: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(default)]
    max_versions: u64,
    #[serde(default)]
    cas_required: bool,
    #[serde(borrow, default)]
    delete_version_after: Option<Cow<'a, str>>,
    versions: Option<BTreeMap<u64, FullVersion>>,
}

#[derive(Clone, Copy, Deserialize)]
struct FullVersion {
    created_time: Time,
    deletion_time: Time,
    destroyed: bool,
}

impl FullDetail<'_> {
    /// `None` when it does not say enough to be sure. Without a digest where only that cannot be told.
    pub(super) fn key_info(&self, now: Timestamp) -> Option<KeyInfo> {
        let version = self.current_version?;
        let Time::At(updated_time) = self.updated_time? else { return None };
        let versions = self.versions.as_ref()?;
        let live = match versions.get(&version) {
            Some(state) => is_live(state.destroyed, state.deletion_time.ahead()?, now),
            None => false,
        };
        let digest = self.digest(version, versions, now).map(Box::new);
        Some(KeyInfo { version, updated_time: updated_time.into(), live: version > 0 && live, digest })
    }

    fn digest(&self, current: u64, versions: &BTreeMap<u64, FullVersion>, now: Timestamp) -> Option<MetadataDigest> {
        let Time::At(created) = versions.get(&current)?.created_time else { return None };
        let mut states = Vec::with_capacity(versions.len());
        for (number, version) in versions {
            let state = match (version.destroyed, is_live(false, version.deletion_time.ahead()?, now)) {
                (true, _) => VersionState::Destroyed,
                (false, true) => VersionState::Live,
                (false, false) => VersionState::Deleted,
            };
            states.push((*number, state));
        }
        let custom = self.custom_metadata.iter().flatten().map(|(Text(key), Text(value))| (&**key, &**value));
        let delete_after = self.delete_version_after.as_deref().unwrap_or_default();
        Some(MetadataDigest {
            value: MetadataDigest::of_value(current, created),
            settings: MetadataDigest::of_settings(custom, self.max_versions, self.cas_required, delete_after),
            versions: MetadataDigest::of_versions(states),
            since: 0,
        })
    }
}
