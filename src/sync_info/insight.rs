//! What is known of one secret without reading its data.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The metadata that decides whether a destination is behind. Two equal insights mean equal secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insight {
    /// The origin's current version.
    pub version: u64,
    /// When the origin last changed the secret.
    #[serde(rename = "updateTime")]
    pub update_time: UpdateTime,
    /// The engine that holds it.
    #[serde(rename = "type")]
    pub kind: EngineKind,
}

impl Insight {
    /// Whether a destination that recorded `recorded` must be written again, as v0.3 decides it: another type, a higher
    /// version, or a later update.
    #[must_use]
    pub fn supersedes(&self, recorded: &Self) -> bool {
        self.kind != recorded.kind || self.version > recorded.version || self.update_time > recorded.update_time
    }

    /// Whether this is later than the other beyond doubt. Of a secret that was purged and written anew, each of the two
    /// insights supersedes the other: the one has the higher version, the other the later time.
    #[must_use]
    pub fn is_later_than(&self, other: &Self) -> bool {
        self.supersedes(other) && !other.supersedes(self)
    }
}

/// The version of the KV engine a secret comes from, named as v0.3 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineKind {
    /// KV version 1, without metadata.
    #[serde(rename = "kvV1")]
    KvV1,
    /// KV version 2.
    #[serde(rename = "kvV2")]
    KvV2,
}

impl EngineKind {
    /// The name in the sync info.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KvV1 => "kvV1",
            Self::KvV2 => "kvV2",
        }
    }
}

/// A server's `updated_time`, to the nanosecond. Printed as Go prints RFC 3339 times in UTC: without trailing zeros in
/// the fraction, and none at all for a whole second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpdateTime(Timestamp);

impl UpdateTime {
    /// The moment itself.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for UpdateTime {
    fn from(time: Timestamp) -> Self {
        Self(time)
    }
}

impl FromStr for UpdateTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for UpdateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Serialize for UpdateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UpdateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_go_does() {
        for text in [
            "2026-11-23T19:23:48.582898279Z",
            "2026-11-23T19:23:48.59345948Z",
            "2026-11-23T19:23:48.6Z",
            "2026-11-23T19:23:48Z",
        ] {
            assert_eq!(text.parse::<UpdateTime>().expect("a time").to_string(), text);
        }
    }

    #[test]
    fn newer_means_version_time_or_type() {
        let time = |text: &str| text.parse().expect("a time");
        let old = Insight { version: 2, update_time: time("2026-01-02T00:00:00Z"), kind: EngineKind::KvV2 };
        assert!(!old.supersedes(&old));
        assert!(Insight { version: 3, ..old }.supersedes(&old));
        assert!(Insight { update_time: time("2026-01-02T00:00:00.000000001Z"), ..old }.supersedes(&old));
        assert!(Insight { version: 1, update_time: time("2026-02-01T00:00:00Z"), ..old }.supersedes(&old));
        assert!(Insight { kind: EngineKind::KvV1, ..old }.supersedes(&old));
        assert!(!Insight { version: 1, ..old }.supersedes(&old), "an older version alone is not an update");
    }
}
