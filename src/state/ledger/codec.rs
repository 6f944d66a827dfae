//! The ledger's stored form, as the module above describes it.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bucket, Foreign, LedgerEntry, REMEDY};
use crate::kv::{MetadataDigest, SecretPath};
use crate::state::compact::{self, CompactInsight, is_default};

/// The one format there is.
const FORMAT: u64 = 1;

/// The value of the index's key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredIndex {
    format: u64,
    pub(super) buckets: usize,
}

impl StoredIndex {
    pub(super) fn new(buckets: usize) -> Self {
        Self { format: FORMAT, buckets }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        // two numbers always serialize
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let damaged = |error| format!("the ledger is damaged: {error}; {REMEDY}");
        let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format != FORMAT {
            return Err(format!(
                "the ledger has format {format}, this vsync knows {FORMAT} only: use the version that wrote it, or a newer one"
            ));
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }
}

/// The bytes that are stored for a bucket.
pub(super) fn encode(bucket: &Bucket) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written(bucket))
}

/// Reads a stored bucket.
pub(super) fn decode(bytes: &[u8]) -> Result<Bucket, serde_json::Error> {
    serde_json::from_slice::<Read>(bytes).map(|Read(bucket)| bucket)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'a> {
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    mount: Option<usize>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    origin: Option<Cow<'a, str>>,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    origin_mount: Option<usize>,
    #[serde(rename = "i")]
    insight: CompactInsight,
    #[serde(rename = "v", default, skip_serializing_if = "is_default")]
    version: u64,
    #[serde(rename = "d", default, skip_serializing_if = "is_default")]
    deleted: bool,
    #[serde(rename = "w", default, skip_serializing_if = "is_default")]
    awaits_removal: bool,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    foreign: Option<ForeignRecord>,
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    digest: Option<MetadataDigest>,
    #[serde(rename = "t")]
    at: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ForeignRecord {
    #[serde(rename = "v")]
    version: u64,
    #[serde(rename = "i")]
    insight: CompactInsight,
    #[serde(rename = "k", default, skip_serializing_if = "is_default")]
    kept: bool,
}

impl<'a> Record<'a> {
    fn new(path: &SecretPath, entry: &'a LedgerEntry) -> Self {
        let origin = (!compact::is_same(path, &entry.origin)).then_some(&entry.origin);
        Self {
            mount: compact::mount_len(path),
            origin: origin.map(|origin| origin.data_path().into()),
            origin_mount: origin.and_then(compact::mount_len),
            insight: entry.insight.into(),
            version: entry.version,
            deleted: entry.deleted,
            awaits_removal: entry.awaits_removal,
            foreign: entry.foreign.map(|Foreign { version, insight, kept }| ForeignRecord {
                version,
                insight: insight.into(),
                kept,
            }),
            digest: entry.digest.as_deref().copied(),
            at: entry.at,
        }
    }

    fn entry(self, text: &str) -> Result<(SecretPath, LedgerEntry), crate::kv::PathError> {
        let path = compact::path(text, self.mount)?;
        let origin = match self.origin {
            Some(origin) => compact::path(&origin, self.origin_mount)?,
            None => path.clone(),
        };
        let foreign = self.foreign.map(|ForeignRecord { version, insight, kept }| Foreign {
            version,
            insight: insight.into(),
            kept,
        });
        let Self { version, deleted, awaits_removal, at, .. } = self;
        let digest = self.digest.map(Box::new);
        let insight = self.insight.into();
        Ok((path, LedgerEntry { origin, insight, version, deleted, awaits_removal, foreign, digest, at }))
    }
}

struct Written<'a>(&'a Bucket);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (path, entry) in self.0 {
            map.serialize_entry(path.data_path(), &Record::new(path, entry))?;
        }
        map.end()
    }
}

struct Read(Bucket);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Bucket;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries by paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bucket, A::Error> {
                // sorted as it was written, they are packed more densely than one by one
                let mut entries = Vec::new();
                while let Some((text, record)) = map.next_entry::<Cow<'de, str>, Record<'de>>()? {
                    entries.push(record.entry(&text).map_err(de::Error::custom)?);
                }
                Ok(entries.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Entries).map(Self)
    }
}
