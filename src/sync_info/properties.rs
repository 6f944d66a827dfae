//! v0.3's rules written down a second time, plainly, and compared with for whatever paths and insights there may be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::{Bucket, EngineKind, Index, Insight, SyncInfo, bucket_of, decode_bucket, encode_bucket};
use crate::kv::{Mount, SecretPath};

const MOUNTS: [&str; 4] = ["secret/", "kv/", "teams/kv/", "odd/data/"];

fn config() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

fn mounts() -> Vec<Mount> {
    MOUNTS.iter().map(|mount| Mount::parse(mount).expect("a mount")).collect()
}

/// A secret as a test thinks of it: texts and numbers.
#[derive(Debug, Clone, PartialEq)]
struct Plain {
    version: u64,
    time: String,
    kind: &'static str,
}

impl Plain {
    fn insight(&self) -> Insight {
        let kind = if self.kind == "kvV1" { EngineKind::KvV1 } else { EngineKind::KvV2 };
        Insight { version: self.version, update_time: self.time.parse().expect("a time"), kind }
    }
}

/// Everything a name can hold, with what is escaped somewhere much more often than it would come by chance.
fn name() -> impl Strategy<Value = String> {
    let special = prop::sample::select(
        "/<>&\"\\\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}\u{2028}\u{2029}\u{2027}\u{feff}\u{e000}🔑ü %?#[]{}:"
            .chars()
            .collect::<Vec<_>>(),
    );
    let character = prop_oneof![3 => special, 2 => prop::char::range('a', 'e'), 1 => any::<char>()];
    vec(character, 1..24).prop_map(String::from_iter).prop_filter("a name, not a folder's", |name| !name.ends_with('/'))
}

fn path() -> impl Strategy<Value = String> {
    (prop::sample::select(MOUNTS.to_vec()), name()).prop_map(|(mount, name)| format!("{mount}data/{name}"))
}

fn plain() -> impl Strategy<Value = Plain> {
    let fraction = prop_oneof![Just(0_u32), Just(600_000_000), 1..1_000_000_000_u32];
    (any::<u32>(), 1970..2200_u32, 1..=12_u32, 1..=28_u32, 0..86_400_u32, fraction, any::<bool>()).prop_map(
        |(version, year, month, day, second, nanos, v1)| {
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let mut time = format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
            if nanos > 0 {
                time += format!(".{nanos:09}").trim_end_matches('0');
            }
            time.push('Z');
            Plain { version: version.into(), time, kind: if v1 { "kvV1" } else { "kvV2" } }
        },
    )
}

fn entries() -> impl Strategy<Value = BTreeMap<String, Plain>> {
    btree_map(path(), plain(), 0..20)
}

fn secret(path: &str) -> SecretPath {
    SecretPath::parse_data(path, &mounts()).expect("a path")
}

fn bucket(entries: &BTreeMap<String, Plain>) -> Bucket {
    entries.iter().map(|(path, plain)| (secret(path), plain.insight())).collect()
}

fn at_once(entries: &BTreeMap<String, Plain>, count: usize) -> SyncInfo {
    let mut info = SyncInfo::new(count);
    for (path, plain) in entries {
        info.insert(secret(path), plain.insight());
    }
    info
}

mod reference {
    use super::*;

    pub(super) fn hex(text: &str) -> String {
        Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("text");
            hex
        })
    }

    pub(super) fn bucket_of(path: &str, count: usize) -> usize {
        usize::from_str_radix(&hex(path)[..4], 16).expect("hexadecimal") % count
    }

    pub(super) fn sum(entries: &BTreeMap<String, Plain>) -> String {
        let mut sorted: Vec<_> = entries.iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.as_bytes().cmp(other.as_bytes()));
        let texts =
            sorted.iter().map(|(path, Plain { version, time, kind })| format!("{path}:{{{version} {time} {kind}}}"));
        hex(&format!("map[{}]", texts.collect::<Vec<_>>().join(" ")))
    }

    /// As Go's encoder writes a string.
    fn quoted(text: &str) -> String {
        let mut quoted = String::from("\"");
        for c in text.chars() {
            match c {
                '"' => quoted += "\\\"",
                '\\' => quoted += "\\\\",
                '\u{8}' => quoted += "\\b",
                '\u{c}' => quoted += "\\f",
                '\n' => quoted += "\\n",
                '\r' => quoted += "\\r",
                '\t' => quoted += "\\t",
                '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    write!(quoted, "\\u{:04x}", u32::from(c)).expect("text");
                }
                _ => quoted.push(c),
            }
        }
        quoted + "\""
    }

    pub(super) fn json(entries: &BTreeMap<String, Plain>) -> String {
        let members = entries.iter().map(|(path, Plain { version, time, kind })| {
            format!("{}:{{\"version\":{version},\"updateTime\":\"{time}\",\"type\":\"{kind}\"}}", quoted(path))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

/// What happens to sync info while a cycle runs.
#[derive(Debug, Clone)]
enum Change {
    Insert(usize, Plain),
    Remove(usize),
    /// Sums are kept: asking for them in between must not make a later answer old.
    Sum,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<usize>(), plain()).prop_map(|(at, plain)| Change::Insert(at, plain)),
        2 => any::<usize>().prop_map(Change::Remove),
        1 => Just(Change::Sum),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn buckets_sums_and_bytes_are_those_of_v0_3(entries in entries(), count in 1..400_usize) {
        for path in entries.keys() {
            prop_assert_eq!(bucket_of(path, count), reference::bucket_of(path, count));
        }
        let info = at_once(&entries, count);
        let mut expected = vec![BTreeMap::new(); count];
        for (path, plain) in &entries {
            expected[reference::bucket_of(path, count)].insert(path.clone(), plain.clone());
        }
        for (found, expected) in info.buckets().iter().zip(&expected) {
            prop_assert_eq!(String::from_utf8(encode_bucket(found)).expect("text"), reference::json(expected));
        }
        let sums: Vec<String> = expected.iter().map(reference::sum).collect();
        prop_assert_eq!(info.index().encode(), serde_json::to_vec(&sums).expect("JSON"));
    }

    #[test]
    fn what_is_encoded_is_decoded(entries in entries()) {
        let bucket = bucket(&entries);
        let bytes = encode_bucket(&bucket);
        let decoded = decode_bucket(&bytes, &mounts()).expect("what was written");
        prop_assert_eq!(&decoded, &bucket);
        for (path, original) in decoded.keys().zip(bucket.keys()) {
            prop_assert_eq!(path.mount(), original.mount());
        }
        prop_assert_eq!(encode_bucket(&decoded), bytes);
        let index = SyncInfo::from_buckets(vec![Arc::new(bucket)]).index();
        prop_assert_eq!(Index::decode(&index.encode()).expect("what was written"), index);
    }

    #[test]
    fn changes_lead_to_what_building_at_once_gives(
        paths in vec(path(), 1..12),
        changes in vec(change(), 0..60),
        count in 1..8_usize,
    ) {
        let mut info = SyncInfo::new(count);
        let mut model: BTreeMap<String, Plain> = BTreeMap::new();
        for change in changes {
            let before = info.clone();
            let index_before = at_once(&model, count).index();
            match change {
                Change::Insert(at, plain) => {
                    let path = &paths[at % paths.len()];
                    let changed = info.insert(secret(path), plain.insight());
                    prop_assert_eq!(changed, reference::bucket_of(path, count));
                    model.insert(path.clone(), plain);
                }
                Change::Remove(at) => {
                    let path = &paths[at % paths.len()];
                    prop_assert_eq!(info.remove(&secret(path)), reference::bucket_of(path, count));
                    model.remove(path);
                }
                Change::Sum => {
                    let _ = info.index();
                }
            }
            prop_assert_eq!(before.index(), index_before, "a clone keeps what it has");
        }
        prop_assert_eq!(info.len(), model.len());
        prop_assert_eq!(info.is_empty(), model.is_empty());
        for path in &paths {
            prop_assert_eq!(info.get(&secret(path)).copied(), model.get(path).map(Plain::insight));
        }
        let mut all: Vec<(SecretPath, Insight)> = info.iter().map(|(path, insight)| (path.clone(), *insight)).collect();
        all.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        prop_assert_eq!(all, bucket(&model).into_iter().collect::<Vec<_>>());
        prop_assert_eq!(info.index(), at_once(&model, count).index());
    }

    #[test]
    fn any_number_of_buckets_holds_the_same(entries in entries(), one in 1..50_usize, other in 1..50_usize) {
        let info = at_once(&entries, one);
        let spread = info.with_buckets(other);
        prop_assert_eq!(spread.index(), at_once(&entries, other).index());
        prop_assert_eq!(spread.len(), info.len());
        prop_assert_eq!(spread.with_buckets(one).index(), info.index());
        prop_assert_eq!(info.with_buckets(0).buckets().len(), 1);
    }
}
