//! The JSON that Vault answers with, read in place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::kv2::{Metadata, VersionInfo};
use crate::sync_info::UpdateTime;

/// Text that is borrowed where the JSON has no escapes. OpenBao escapes `<`, `>` and `&`, so a plain `&str` would fail.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What every successful answer is wrapped in.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: T,
}

/// `GET MOUNT/data/PATH`.
#[derive(Deserialize)]
pub(super) struct SecretAnswer<'a> {
    /// Kept as it came, byte for byte.
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
    pub(super) metadata: VersionAnswer,
}

/// The metadata of one version, as reads and writes answer it.
#[derive(Deserialize)]
pub(super) struct VersionAnswer {
    pub(super) version: u64,
    pub(super) created_time: Timestamp,
}

/// `GET MOUNT/subkeys/PATH`: the values beneath the names are null.
#[derive(Deserialize)]
pub(super) struct SubkeysAnswer {
    pub(super) subkeys: serde_json::Map<String, serde_json::Value>,
}

/// `LIST MOUNT/metadata/FOLDER`.
#[derive(Deserialize)]
pub(super) struct KeysAnswer {
    #[serde(default)]
    pub(super) keys: Vec<String>,
}

/// `GET MOUNT/metadata/PATH`.
#[derive(Deserialize)]
pub(super) struct MetadataAnswer {
    current_version: u64,
    oldest_version: u64,
    created_time: Timestamp,
    updated_time: UpdateTime,
    #[serde(default)]
    max_versions: u64,
    #[serde(default)]
    cas_required: bool,
    #[serde(default)]
    delete_version_after: String,
    custom_metadata: Option<BTreeMap<String, String>>,
    current_metadata_version: Option<u64>,
    versions: BTreeMap<u64, VersionEntry>,
}

#[derive(Deserialize)]
struct VersionEntry {
    created_time: Timestamp,
    deletion_time: String,
    destroyed: bool,
}

impl TryFrom<MetadataAnswer> for Metadata {
    type Error = jiff::Error;

    fn try_from(answer: MetadataAnswer) -> Result<Self, Self::Error> {
        let version = |entry: VersionEntry| {
            Ok(VersionInfo {
                created_time: entry.created_time,
                deletion_time: deletion_time(&entry.deletion_time)?,
                destroyed: entry.destroyed,
            })
        };
        Ok(Self {
            current_version: answer.current_version,
            oldest_version: answer.oldest_version,
            created_time: answer.created_time,
            updated_time: answer.updated_time,
            max_versions: answer.max_versions,
            cas_required: answer.cas_required,
            delete_version_after: answer.delete_version_after,
            custom_metadata: answer.custom_metadata.unwrap_or_default(),
            metadata_version: answer.current_metadata_version,
            versions: answer
                .versions
                .into_iter()
                .map(|(number, entry)| version(entry).map(|info| (number, info)))
                .collect::<Result<_, jiff::Error>>()?,
        })
    }
}

pub(super) fn deletion_time(text: &str) -> Result<Option<Timestamp>, jiff::Error> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some) }
}

/// Whether a version can be read. A deletion time that lies ahead is a promise of `delete_version_after`.
pub(super) fn is_live(destroyed: bool, deletion_time: Option<Timestamp>, now: Timestamp) -> bool {
    !destroyed && deletion_time.is_none_or(|deletion| deletion > now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T20:00:00Z";

    #[test]
    fn secret_data_stays_as_it_came() {
        let data = r#"{"z":1.50,"a":12345678901234567890123,"n":{"x":[1e3,null]},"s":"\u003c\u0026\u2028 "}"#;
        let body = format!(
            r#"{{"data":{{"data":{data},"metadata":{{"created_time":"{NOW}","version":3,"deletion_time":""}}}}}}"#
        );
        let answer: Envelope<SecretAnswer<'_>> = serde_json::from_str(&body).expect("an answer");
        assert_eq!(answer.data.data.expect("data").get(), data);
        assert_eq!(answer.data.metadata.version, 3);
    }

    #[test]
    fn metadata_is_read_whole() {
        let body = r#"{"data":{"cas_required":true,"created_time":"2026-11-23T19:00:00Z","current_version":11,
            "custom_metadata":{"owner":"team"},"delete_version_after":"24h0m0s","max_versions":10,"oldest_version":2,
            "updated_time":"2026-11-23T19:23:48.6Z","versions":{
            "11":{"created_time":"2026-11-23T19:23:48.6Z","deletion_time":"2126-11-24T19:23:48Z","destroyed":false},
            "2":{"created_time":"2026-11-23T19:00:00Z","deletion_time":"","destroyed":true}}}}"#;
        let answer: Envelope<MetadataAnswer> = serde_json::from_str(body).expect("an answer");
        let metadata = Metadata::try_from(answer.data).expect("metadata");
        assert_eq!((metadata.current_version, metadata.oldest_version, metadata.max_versions), (11, 2, 10));
        assert_eq!(metadata.custom_metadata["owner"], "team");
        assert_eq!(metadata.versions.keys().collect::<Vec<_>>(), [&2, &11]);
        assert!(metadata.versions[&2].destroyed && metadata.versions[&2].deletion_time.is_none());
        assert!(metadata.key_info().live);
    }
}
