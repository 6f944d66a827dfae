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
    /// Stands where a copy is about to be deleted, or changed by an undo, and stays if that is cut off: nobody knows then
    /// what came of it, and what the origin has need not tell. No secret has it, neither of KV version 1 nor of 2, so
    /// whatever the origin has calls for a look at the copy. It is stored as any other, and v0.3, too, copies what has it.
    pub const IN_DOUBT: Self = Self { version: 0, update_time: UpdateTime::EPOCH, kind: EngineKind::KvV1 };

    /// The same for a copy of which only the sync info knew, because a vsync without a ledger made it: whatever is there is
    /// vsync's, as it was before.
    pub const TAKEN_OVER_IN_DOUBT: Self = Self { update_time: UpdateTime::SECOND, ..Self::IN_DOUBT };

    /// Whether it says nothing about what is at the destination; see [`Insight::IN_DOUBT`].
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        *self == Self::IN_DOUBT || *self == Self::TAKEN_OVER_IN_DOUBT
    }

    /// Whether a destination that recorded `recorded` must be written again, as v0.3 decides it: another type, a higher
    /// version, or a later update.
    #[must_use]
    pub fn supersedes(&self, recorded: &Self) -> bool {
        self.kind != recorded.kind || self.version > recorded.version || self.update_time > recorded.update_time
    }

    /// Whether a destination that recorded `recorded` does not surely have what the origin has. For KV version 2 that is
    /// [`Insight::supersedes`]. Insights of KV version 1 are vsync's own, and one is only ever given to one value: any other
    /// one may stand for another value, be it older, because the record it comes from was restored or never saved. A record
    /// that is in doubt always calls for one.
    #[must_use]
    pub fn calls_for_copy(&self, recorded: &Self) -> bool {
        recorded.is_in_doubt() || self.supersedes(recorded) || self.kind == EngineKind::KvV1 && self != recorded
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
///
/// In pieces of four bytes, so that an [`Insight`] takes 24: there are millions of them. Ordered as time is, for both
/// seconds and nanoseconds are negative before 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpdateTime {
    seconds_high: i32,
    seconds_low: u32,
    nanoseconds: i32,
}

impl UpdateTime {
    /// 1970.
    pub const EPOCH: Self = Self { seconds_high: 0, seconds_low: 0, nanoseconds: 0 };

    /// The second after it.
    const SECOND: Self = Self { seconds_low: 1, ..Self::EPOCH };

    /// The moment itself.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let seconds = (i64::from(self.seconds_high) << 32) | i64::from(self.seconds_low);
        // It came from a timestamp, so it is one.
        Timestamp::new(seconds, self.nanoseconds).unwrap_or_default()
    }
}

impl From<Timestamp> for UpdateTime {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "each takes its half")]
    fn from(time: Timestamp) -> Self {
        let seconds = time.as_second();
        Self {
            seconds_high: (seconds >> 32) as i32,
            seconds_low: seconds as u32,
            nanoseconds: time.subsec_nanosecond(),
        }
    }
}

impl fmt::Debug for UpdateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.timestamp(), f)
    }
}

impl FromStr for UpdateTime {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Timestamp>().map(Self::from)
    }
}

impl fmt::Display for UpdateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.timestamp(), f)
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
    fn times_keep_their_order_and_their_nanoseconds() {
        assert!(size_of::<Insight>() <= 24 && size_of::<Option<Insight>>() <= 24);
        let texts = [
            "-009999-01-02T01:59:59Z",
            "0001-01-01T00:00:00Z",
            "1901-12-13T20:45:51.999999999Z",
            "1969-12-31T23:59:58.5Z",
            "1969-12-31T23:59:59Z",
            "1969-12-31T23:59:59.5Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000000001Z",
            "2038-01-19T03:14:08Z",
            "2106-02-07T06:28:16Z",
            "9999-12-30T22:00:00.999999999Z",
        ];
        let times: Vec<UpdateTime> = texts.iter().map(|text| text.parse().expect("a time")).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        for (text, time) in texts.iter().zip(times) {
            assert_eq!(time.timestamp(), text.parse::<Timestamp>().expect("a time"));
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
        assert!(!Insight { version: 1, ..old }.calls_for_copy(&old));
        let seen = Insight { kind: EngineKind::KvV1, ..old };
        assert!(!seen.calls_for_copy(&seen));
        assert!(Insight { version: 1, ..seen }.calls_for_copy(&seen), "whose value was is not known");
        assert!(Insight { update_time: time("2025-01-01T00:00:00Z"), ..seen }.calls_for_copy(&seen));
        let doubts = [Insight::IN_DOUBT, Insight::TAKEN_OVER_IN_DOUBT];
        for doubt in doubts {
            for any in [old, seen].into_iter().chain(doubts) {
                assert!(any.calls_for_copy(&doubt), "{any:?}");
            }
            for any in [old, seen] {
                assert!(!doubt.is_later_than(&any), "{any:?}");
            }
            assert!(old.supersedes(&doubt), "for v0.3, too");
        }
    }
}
