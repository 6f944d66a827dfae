//! vsync v0.3's bytes and checksums for sync info.
//!
//! A bucket is compact JSON, `{"<mount>data/<name>":{"version":1,"updateTime":"…","type":"kvV2"},…}`, with `<`, `>`, `&`
//! and the line separators escaped as Go's encoder does. Its sum is SHA-256 over the text Go prints for the same map.

use std::fmt;
use std::io::Write as _;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::{Bucket, Insight};
use crate::kv::{Mount, SecretPath};

/// Stored sync info that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Not the JSON that v0.3 or this program writes.
    #[error("not sync info: {0}")]
    Json(#[from] serde_json::Error),
    /// A key in a bucket that is no secret's path.
    #[error(transparent)]
    Path(#[from] crate::kv::PathError),
}

/// SHA-256 over one bucket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sum([u8; 32]);

impl Sum {
    /// The sum of a bucket: over `map[` + `PATH:{VERSION TIME TYPE}` joined by spaces + `]`, sorted by path bytes.
    #[must_use]
    pub fn of(bucket: &Bucket) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"map[");
        let mut entry = Vec::with_capacity(160);
        for (place, (path, insight)) in bucket.iter().enumerate() {
            entry.clear();
            if place > 0 {
                entry.push(b' ');
            }
            entry.extend_from_slice(path.data_path().as_bytes());
            let Insight { version, update_time, kind } = insight;
            // writing to a Vec cannot fail
            let _ = write!(entry, ":{{{version} {update_time} {}}}", kind.as_str());
            hash.update(&entry);
        }
        hash.update(b"]");
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Sum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut sum = [0; 32];
        if text.len() != 64 {
            return Err(de::Error::custom("a checksum has 64 hexadecimal digits"));
        }
        for (byte, digits) in sum.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(de::Error::custom)?;
            *byte = u8::from_str_radix(digits, 16).map_err(de::Error::custom)?;
        }
        Ok(Self(sum))
    }
}

/// The sums of all buckets, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(Vec<Sum>);

impl Index {
    /// An index of these sums.
    #[must_use]
    pub fn new(sums: Vec<Sum>) -> Self {
        Self(sums)
    }

    /// The sums in order.
    #[must_use]
    pub fn sums(&self) -> &[Sum] {
        &self.0
    }

    /// The JSON array that is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // a list of strings always serializes
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a stored index.
    ///
    /// # Errors
    /// [`CodecError::Json`] when it is not an array of checksums.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The bucket of a path (`<mount>data/<name>`) among `count`: the first two bytes of its SHA-256, big endian, modulo
/// `count`.
#[must_use]
pub fn bucket_of(data_path: &str, count: usize) -> usize {
    let sum = Sha256::digest(data_path.as_bytes());
    usize::from(u16::from_be_bytes([sum[0], sum[1]])) % count
}

/// The bytes that are stored for a bucket.
#[must_use]
pub fn encode_bucket(bucket: &Bucket) -> Vec<u8> {
    // paths and insights always serialize
    let plain = serde_json::to_vec(bucket).unwrap_or_default();
    escape_as_go(&plain)
}

/// Reads a stored bucket. `mounts` tell where each path's mount ends.
///
/// # Errors
/// [`CodecError`] when the bytes are no bucket; the caller must then treat all of it as unknown.
pub fn decode_bucket(bytes: &[u8], mounts: &[Mount]) -> Result<Bucket, CodecError> {
    let entries: std::collections::BTreeMap<String, Insight> = serde_json::from_slice(bytes)?;
    entries.into_iter().map(|(path, insight)| Ok((SecretPath::parse_data(&path, mounts)?, insight))).collect()
}

/// Go's `encoding/json` writes these five characters as `\u…` inside of strings, where alone they can occur here.
fn escape_as_go(json: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some((&byte, tail)) = rest.split_first() {
        let (text, used): (&[u8], usize) = match byte {
            b'<' => (b"\\u003c", 1),
            b'>' => (b"\\u003e", 1),
            b'&' => (b"\\u0026", 1),
            0xe2 if tail.starts_with(&[0x80, 0xa8]) => (b"\\u2028", 3),
            0xe2 if tail.starts_with(&[0x80, 0xa9]) => (b"\\u2029", 3),
            _ => {
                escaped.push(byte);
                rest = tail;
                continue;
            }
        };
        escaped.extend_from_slice(text);
        rest = &rest[used..];
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sync_info::{EngineKind, SyncInfo};

    #[test]
    fn an_empty_bucket() {
        let empty = Bucket::new();
        assert_eq!(encode_bucket(&empty), b"{}");
        // sha256("map[]")
        let expected = Sha256::digest(b"map[]");
        assert_eq!(Sum::of(&empty), Sum(expected.into()));
    }

    #[test]
    fn go_escapes_survive_both_ways() {
        let mount = Mount::parse("kv").expect("a mount");
        let path = SecretPath::new(&mount, "a<b>&c\u{2028}\u{2029}\"\\\u{8}");
        let insight = Insight {
            version: 7,
            update_time: "2026-11-23T19:23:48.5Z".parse().expect("a time"),
            kind: EngineKind::KvV2,
        };
        let bucket: Bucket = [(path.clone(), insight)].into();
        let bytes = encode_bucket(&bucket);
        let text = String::from_utf8(bytes.clone()).expect("JSON is UTF-8");
        assert!(
            text.starts_with(r#"{"kv/data/a\u003cb\u003e\u0026c\u2028\u2029\"\\\b":{"version":7,"updateTime":"#),
            "{text}"
        );
        assert_eq!(decode_bucket(&bytes, &[mount]).expect("what was written"), bucket);
    }

    /// Every key that v0.3.0 wrote to Consul for [`ORIGIN`], as text.
    const KEYS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vsync-v0.3.0/consul-kv.json"));
    /// The metadata of every secret of the mount `interop/`, as the server gave it.
    const ORIGIN: &str =
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vsync-v0.3.0/origin-metadata.json"));

    fn keys_of_v0_3(side: &str) -> BTreeMap<String, String> {
        let keys: BTreeMap<String, String> = serde_json::from_str(KEYS).expect("the fixture");
        let prefix = format!("fixture/{side}/");
        keys.into_iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value))).collect()
    }

    #[test]
    fn what_v0_3_wrote_is_read_and_written_the_same() {
        let mounts = [Mount::parse("interop").expect("a mount")];
        for side in ["origin", "destination"] {
            let keys = keys_of_v0_3(side);
            let index = Index::decode(keys["index"].as_bytes()).expect("an index");
            assert_eq!(index.encode(), keys["index"].as_bytes());
            assert_eq!(index.sums().len(), 5);
            assert_eq!(keys.len(), 6);
            for (at, sum) in index.sums().iter().enumerate() {
                let text = &keys[&at.to_string()];
                let bucket = decode_bucket(text.as_bytes(), &mounts).expect("a bucket");
                assert_eq!(String::from_utf8_lossy(&encode_bucket(&bucket)), *text);
                assert_eq!(Sum::of(&bucket), *sum);
                assert!(bucket.keys().all(|path| bucket_of(path.data_path(), 5) == at));
            }
        }
    }

    #[test]
    fn the_same_secrets_give_v0_3s_keys() {
        let mount = Mount::parse("interop").expect("a mount");
        let secrets: BTreeMap<String, serde_json::Value> = serde_json::from_str(ORIGIN).expect("the fixture");
        let mut info = SyncInfo::new(5);
        for (name, metadata) in &secrets {
            let current = &metadata["versions"][metadata["current_version"].to_string()];
            if current["destroyed"] == true || current["deletion_time"] != "" {
                continue;
            }
            let insight = Insight {
                version: metadata["current_version"].as_u64().expect("a version"),
                update_time: metadata["updated_time"].as_str().expect("a time").parse().expect("a time"),
                kind: EngineKind::KvV2,
            };
            info.insert(SecretPath::new(&mount, name), insight);
        }
        assert!(info.len() < secrets.len(), "the fixture has secrets that are gone");

        let mut keys = BTreeMap::from([("index".to_owned(), info.index().encode())]);
        keys.extend(info.buckets().iter().enumerate().map(|(at, bucket)| (at.to_string(), encode_bucket(bucket))));
        let keys: BTreeMap<String, String> =
            keys.into_iter().map(|(key, bytes)| (key, String::from_utf8(bytes).expect("text"))).collect();
        assert_eq!(keys, keys_of_v0_3("origin"));
    }
}
