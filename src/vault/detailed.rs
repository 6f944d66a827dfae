//! Listings with metadata, reduced while they are read: of each secret only what an inventory needs is kept.

mod digest;

use std::fmt;

use jiff::Timestamp;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::de::Read;

use super::answer::{Text, deletion_time, is_live};
use super::kv2::{KeyInfo, Wanted};
use digest::FullDetail;

/// `SCAN` or `LIST MOUNT/detailed-metadata/FOLDER`.
pub(super) struct DetailedAnswer {
    /// Names as listed, in the server's order, unless only those without an info were asked for.
    pub(super) keys: Vec<String>,
    /// By name. Folders, and secrets whose metadata makes no sense, have no info.
    pub(super) infos: Vec<(String, Option<KeyInfo>)>,
}

/// Which names [`DetailedAnswer::keys`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// All of them.
    AllKeys,
    /// Those that `infos` does not have. A subtree of a million secrets need not name them twice.
    KeysWithoutInfo,
}

impl DetailedAnswer {
    /// Reads the whole answer. An error of `serde_json`'s category I/O means that it did not come whole.
    pub(super) fn parse<'de>(
        json: impl Read<'de>,
        keep: Keep,
        wanted: Wanted,
        now: Timestamp,
    ) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::new(json);
        let mut answer = OuterSeed { keep, wanted, now }.deserialize(&mut json)?;
        json.end()?;
        if keep == Keep::KeysWithoutInfo {
            // Where the keys came first.
            let infos = &answer.infos;
            answer.keys.retain(|key| infos.binary_search_by(|(name, _)| name.as_str().cmp(key)).is_err());
        }
        Ok(answer)
    }
}

#[derive(Clone, Copy)]
struct OuterSeed {
    keep: Keep,
    wanted: Wanted,
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for OuterSeed {
    type Value = DetailedAnswer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OuterSeed {
    type Value = DetailedAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer with data")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut data = None;
        while let Some(Text(field)) = map.next_key()? {
            if field == "data" {
                data = Some(map.next_value_seed(DataSeed(self))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        data.ok_or_else(|| serde::de::Error::missing_field("data"))
    }
}

struct DataSeed(OuterSeed);

impl<'de> DeserializeSeed<'de> for DataSeed {
    type Value = DetailedAnswer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DataSeed {
    type Value = DetailedAnswer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys and key_info")
    }

    /// An object without `keys` is how OpenBao answers the scan of an empty folder.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Self(OuterSeed { keep, wanted, now }) = self;
        let mut answer = DetailedAnswer { keys: Vec::new(), infos: Vec::new() };
        while let Some(Text(field)) = map.next_key()? {
            match &*field {
                "key_info" => {
                    answer.infos = map.next_value_seed(InfosSeed { wanted, now })?;
                    answer.infos.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
                }
                "keys" => {
                    let known = if keep == Keep::KeysWithoutInfo { answer.infos.as_slice() } else { &[] };
                    answer.keys = map.next_value_seed(KeysSeed { known })?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(answer)
    }
}

struct KeysSeed<'a> {
    known: &'a [(String, Option<KeyInfo>)],
}

impl<'de> DeserializeSeed<'de> for KeysSeed<'_> {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for KeysSeed<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(Text(key)) = seq.next_element()? {
            if self.known.binary_search_by(|(name, _)| name.as_str().cmp(&key)).is_err() {
                keys.push(key.into_owned());
            }
        }
        Ok(keys)
    }
}

#[derive(Clone, Copy)]
struct InfosSeed {
    wanted: Wanted,
    now: Timestamp,
}

impl<'de> DeserializeSeed<'de> for InfosSeed {
    type Value = Vec<(String, Option<KeyInfo>)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for InfosSeed {
    type Value = Vec<(String, Option<KeyInfo>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut infos = Vec::new();
        let Self { wanted, now } = self;
        while let Some(Text(name)) = map.next_key()? {
            let info = match wanted {
                Wanted::Insight => map.next_value::<Option<Detail>>()?.and_then(|detail| detail.key_info(now)),
                Wanted::Digest => map.next_value::<Option<FullDetail>>()?.and_then(|detail| detail.key_info(now)),
            };
            infos.push((name.into_owned(), info));
        }
        Ok(infos)
    }
}

/// One secret's metadata in a detailed listing; for a folder, empty.
#[derive(Deserialize)]
struct Detail {
    current_version: Option<u64>,
    updated_time: Option<Time>,
    versions: Option<NewestVersion>,
}

impl Detail {
    /// `None` when it does not say enough to be sure.
    fn key_info(&self, now: Timestamp) -> Option<KeyInfo> {
        let version = self.current_version?;
        let updated_time = match self.updated_time? {
            Time::At(time) => time.into(),
            Time::Never | Time::Unclear => return None,
        };
        let live = match self.versions.as_ref()?.0 {
            Some((number, state)) if number == version => is_live(state.destroyed, state.deletion_time.ahead()?, now),
            _ => false,
        };
        Some(KeyInfo { version, updated_time, live: version > 0 && live, digest: None })
    }
}

/// A time that is read in place, without keeping its text. One that makes no sense spoils its own secret, not the whole
/// listing.
#[derive(Clone, Copy)]
enum Time {
    Never,
    At(Timestamp),
    Unclear,
}

impl Time {
    /// `None` if it is not clear, `Some(None)` if there is none.
    #[allow(clippy::option_option, reason = "lives for one line")]
    fn ahead(self) -> Option<Option<Timestamp>> {
        match self {
            Self::Never => Some(None),
            Self::At(time) => Some(Some(time)),
            Self::Unclear => None,
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InPlace;

        impl Visitor<'_> for InPlace {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                Ok(deletion_time(text).map_or(Time::Unclear, |time| time.map_or(Time::Never, Time::At)))
            }
        }

        deserializer.deserialize_str(InPlace)
    }
}

/// Of a map of versions, the one with the highest number.
struct NewestVersion(Option<(u64, VersionState)>);

#[derive(Clone, Copy, Deserialize)]
struct VersionState {
    deletion_time: Time,
    destroyed: bool,
}

impl<'de> Deserialize<'de> for NewestVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Newest;

        impl<'de> Visitor<'de> for Newest {
            type Value = Option<(u64, VersionState)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("versions by number")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut newest: Self::Value = None;
                while let Some((number, state)) = map.next_entry::<u64, VersionState>()? {
                    if newest.as_ref().is_none_or(|(highest, _)| number > *highest) {
                        newest = Some((number, state));
                    }
                }
                Ok(newest)
            }
        }

        deserializer.deserialize_map(Newest).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-23T20:00:00Z";

    fn parse(body: &str, keep: Keep) -> Result<DetailedAnswer, serde_json::Error> {
        DetailedAnswer::parse(serde_json::de::StrRead::new(body), keep, Wanted::Insight, NOW.parse().expect("a time"))
    }

    fn detail(version: u64, versions: &str) -> String {
        format!(
            r#"{{"cas_required":false,"current_version":{version},"custom_metadata":{{"owner":"\u003cme\u003e"}},
                "updated_time":"2026-11-23T19:23:48.59345948Z","versions":{{{versions}}}}}"#
        )
    }

    fn live(version: u64, versions: &str) -> Option<bool> {
        let body = format!(r#"{{"data":{{"key_info":{{"a":{}}},"keys":["a"]}}}}"#, detail(version, versions));
        parse(&body, Keep::KeysWithoutInfo).expect("an answer").infos[0].1.as_ref().map(|info| info.live)
    }

    #[test]
    fn only_a_current_version_that_can_be_read_is_live() {
        let version = |number: u64, deletion: &str, destroyed: bool| {
            format!(r#""{number}":{{"created_time":"{NOW}","deletion_time":"{deletion}","destroyed":{destroyed}}}"#)
        };
        let past = "2026-11-23T19:59:59.5Z";
        let future = "2026-11-24T00:00:00Z";
        assert_eq!(live(1, &version(1, "", false)), Some(true));
        assert_eq!(live(1, &version(1, past, false)), Some(false));
        assert_eq!(live(1, &version(1, future, false)), Some(true), "delete_version_after has not come yet");
        assert_eq!(live(1, &version(1, "", true)), Some(false));
        assert_eq!(live(0, ""), Some(false), "metadata alone is no secret");
        assert_eq!(live(2, &version(1, "", false)), Some(false), "the current version is not known");
        assert_eq!(live(10, &[version(10, "", false), version(9, past, false)].join(",")), Some(true));
        assert_eq!(live(10, &[version(9, "", false), version(10, past, false)].join(",")), Some(false));
        assert_eq!(live(1, &version(1, "yesterday", false)), None);
    }

    #[test]
    fn what_was_listed_without_metadata_is_told_apart() {
        let known = detail(1, r#""1":{"created_time":"","deletion_time":"","destroyed":false}"#);
        let infos = format!(r#""key_info":{{"x \u0026 y":{known},"folder/":{{}},"strange":{{"current_version":1}}}}"#);
        let keys = r#""keys":["x \u0026 y","folder/","left out","strange"]"#;
        for data in [format!("{infos},{keys}"), format!("{keys},{infos}")] {
            let body = format!(r#"{{"request_id":"1","data":{{{data}}},"auth":null}}"#);
            let answer = parse(&body, Keep::AllKeys).expect("an answer");
            assert_eq!(answer.keys, ["x & y", "folder/", "left out", "strange"]);
            let known: Vec<_> = answer.infos.iter().map(|(name, info)| (name.as_str(), info.is_some())).collect();
            assert_eq!(known, [("folder/", false), ("strange", false), ("x & y", true)]);
            assert_eq!(parse(&body, Keep::KeysWithoutInfo).expect("an answer").keys, ["left out"]);
        }
    }

    #[test]
    fn half_an_answer_is_none() {
        let whole = format!(r#"{{"data":{{"key_info":{{"a":{}}},"keys":["a"]}}}}"#, detail(0, ""));
        assert!(parse(&whole, Keep::AllKeys).is_ok());
        for len in 0..whole.len() {
            assert!(parse(&whole[..len], Keep::AllKeys).is_err(), "{}", &whole[..len]);
        }
        for wrong in ["{}", r#"{"data":null}"#, r#"{"data":[]}"#, r#"{"data":{"keys":null}}"#, r#"{"data":{}} x"#] {
            assert!(parse(wrong, Keep::AllKeys).is_err(), "{wrong}");
        }
        assert!(parse(r#"{"data":{}}"#, Keep::AllKeys).expect("an empty folder").keys.is_empty());
    }
}
