//! A secret's metadata in a few bytes, to tell whether it has changed without keeping all of it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// How a version of a secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// It can be read.
    Live,
    /// Soft-deleted: it can be made readable again.
    Deleted,
    /// Its data is gone for good.
    Destroyed,
}

/// What tells one state of a secret's metadata from another. The parts are the first 64 bits of SHA-256 sums, the same on
/// every machine, for they are kept in ledgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetadataDigest {
    /// Which value it is: the current version and when it was written. A metadata change leaves it as it is, although
    /// `OpenBao` then gives the secret a later update time; a secret that was purged and written anew has another one.
    pub value: u64,
    /// `custom_metadata`, `max_versions`, `cas_required` and `delete_version_after`.
    pub settings: u64,
    /// Which versions there are and how each stands; 0: nobody has asked.
    pub versions: u64,
    /// Of a copy with its history: the first of the origin's versions from which on the destination has every one, in
    /// order. 0: only the newest value was copied.
    pub since: u64,
}

impl MetadataDigest {
    /// The same without what is known of versions.
    #[must_use]
    pub fn without_versions(self) -> Self {
        Self { versions: 0, since: 0, ..self }
    }

    /// [`MetadataDigest::value`] of a version that was written at that time.
    #[must_use]
    pub fn of_value(version: u64, created: Timestamp) -> u64 {
        let mut hash = Hash::new(b'v');
        hash.number(version);
        hash.0.update(created.as_nanosecond().to_be_bytes());
        hash.end()
    }

    /// [`MetadataDigest::settings`]; `custom_metadata` in the order of its keys.
    #[must_use]
    pub fn of_settings<'a>(
        custom_metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
        max_versions: u64,
        cas_required: bool,
        delete_version_after: &str,
    ) -> u64 {
        let mut hash = Hash::new(b's');
        hash.number(max_versions);
        hash.number(u64::from(cas_required));
        // servers say it either way
        hash.text(if delete_version_after == "0s" { "" } else { delete_version_after });
        for (key, value) in custom_metadata {
            hash.text(key);
            hash.text(value);
        }
        hash.end()
    }

    /// [`MetadataDigest::settings`] of a secret to whose metadata nobody has done anything.
    #[must_use]
    pub fn default_settings() -> u64 {
        Self::of_settings([], 0, false, "")
    }

    /// [`MetadataDigest::versions`], in the order of their numbers.
    #[must_use]
    pub fn of_versions(versions: impl IntoIterator<Item = (u64, VersionState)>) -> u64 {
        let mut hash = Hash::new(b'n');
        for (version, state) in versions {
            hash.number(version);
            hash.number(match state {
                VersionState::Live => 0,
                VersionState::Deleted => 1,
                VersionState::Destroyed => 2,
            });
        }
        hash.end()
    }
}

struct Hash(Sha256);

impl Hash {
    fn new(kind: u8) -> Self {
        let mut hash = Sha256::new();
        hash.update([kind]);
        Self(hash)
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    /// With its length before it, so that no two lists of texts run into the same bytes.
    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text);
    }

    /// Never 0, which stands for nothing.
    fn end(self) -> u64 {
        let sum = self.0.finalize();
        u64::from_be_bytes(std::array::from_fn(|at| sum[at])).max(1)
    }
}

impl fmt::Display for MetadataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.value, self.settings)?;
        if self.versions != 0 || self.since != 0 {
            write!(f, "{:016x}", self.versions)?;
        }
        if self.since == 0 { Ok(()) } else { write!(f, "+{}", self.since) }
    }
}

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 32 or 48 hexadecimal digits, and perhaps a version behind a plus sign")]
pub struct DigestError;

impl FromStr for MetadataDigest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (text, since) = match text.split_once('+') {
            Some((digits, since)) => (digits, since.parse().map_err(|_| DigestError)?),
            None => (text, 0),
        };
        let part = |at: usize| {
            let digits = text.get(at..at + 16).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
            digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(DigestError)
        };
        let versions = match text.len() {
            32 => 0,
            48 => part(32)?,
            _ => return Err(DigestError),
        };
        Ok(Self { value: part(0)?, settings: part(16)?, versions, since })
    }
}

impl Serialize for MetadataDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MetadataDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_same_on_every_machine_and_in_every_version() {
        let digest = MetadataDigest {
            value: MetadataDigest::of_value(3, "2026-11-23T19:23:48.59345948Z".parse().expect("a time")),
            settings: MetadataDigest::of_settings([("owner", "team")], 5, true, "24h0m0s"),
            versions: MetadataDigest::of_versions([(2, VersionState::Destroyed), (3, VersionState::Live)]),
            since: 0,
        };
        assert_eq!(digest.to_string(), "e272a799cf687676279b05c77a4e03920182973ccfe67ecb");
        for digest in [digest, digest.without_versions(), MetadataDigest { since: 12, versions: 0, ..digest }] {
            let json = serde_json::to_string(&digest).expect("a text");
            assert_eq!(serde_json::from_str::<MetadataDigest>(&json).expect("a digest"), digest);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            "12",
            &"g".repeat(32),
            &"1".repeat(40),
            &"é".repeat(16),
            "+1111111111111111111111111111111",
            &format!("{}+x", "1".repeat(32)),
        ] {
            assert_eq!(text.parse::<MetadataDigest>(), Err(DigestError), "{text}");
        }
    }

    type Settings = (BTreeMap<String, String>, u64, bool, String);

    fn of(settings: &Settings) -> u64 {
        let (custom, max_versions, cas_required, delete_after) = settings;
        let custom = custom.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        MetadataDigest::of_settings(custom, *max_versions, *cas_required, delete_after)
    }

    fn settings() -> impl Strategy<Value = Settings> {
        let custom = prop::collection::btree_map("[ab]{0,2}", "[ab]{0,2}", 0..3);
        (custom, 0..3_u64, any::<bool>(), prop_oneof!["", "1h0m0s", "2h0m0s"])
    }

    proptest! {
        #[test]
        fn settings_are_equal_if_and_only_if_their_digests_are(one in settings(), other in settings()) {
            prop_assert_eq!(one == other, of(&one) == of(&other));
        }
    }

    #[test]
    fn versions_are_told_apart_by_number_and_state() {
        use VersionState::{Deleted, Destroyed, Live};
        let all = [
            vec![],
            vec![(1, Live)],
            vec![(2, Live)],
            vec![(1, Deleted)],
            vec![(1, Destroyed)],
            vec![(1, Live), (2, Live)],
            vec![(1, Deleted), (2, Live)],
        ];
        let digests: std::collections::BTreeSet<u64> = all.into_iter().map(MetadataDigest::of_versions).collect();
        assert_eq!(digests.len(), 7);
        assert!(!digests.contains(&0));
        let none = MetadataDigest::of_settings([], 0, false, "0s");
        assert_eq!(none, MetadataDigest::default_settings());
    }
}
