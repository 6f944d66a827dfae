//! What is missing, and which copy belongs to which version.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::engine::testing::insight;
use crate::kv::{Mount, SecretPath};
use crate::vault::VersionInfo;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(second).expect("a small number")).expect("a time")
}

/// `L`, `D` and `X`: live, soft-deleted and destroyed, from version `first` on.
fn metadata(first: u64, states: &str) -> Metadata {
    let version = |(number, state): (u64, char)| {
        let info = VersionInfo {
            created_time: at(number),
            deletion_time: (state == 'D').then(|| at(number)),
            destroyed: state == 'X',
        };
        (number, info)
    };
    let versions: BTreeMap<u64, VersionInfo> = (first..).zip(states.chars()).map(version).collect();
    let current = versions.keys().last().copied().unwrap_or(0);
    Metadata {
        current_version: current,
        oldest_version: first,
        created_time: at(0),
        updated_time: at(current).into(),
        max_versions: 0,
        cas_required: false,
        delete_version_after: String::new(),
        custom_metadata: BTreeMap::new(),
        metadata_version: None,
        versions,
    }
}

fn entry(origin_version: u64, there: u64, since: u64) -> LedgerEntry {
    let value = MetadataDigest::of_value(origin_version, at(origin_version));
    let digest = MetadataDigest { value, settings: 1, versions: 1, since };
    LedgerEntry {
        origin: SecretPath::new(&Mount::parse("secret").expect("a mount"), "a"),
        insight: insight(origin_version),
        version: there,
        deleted: false,
        awaits_removal: false,
        foreign: None,
        digest: Some(Box::new(digest)),
        at: at(0),
    }
}

fn lacks(entry: Option<&LedgerEntry>, expected: Expected, origin: &Metadata) -> Vec<u64> {
    missing(entry, Mapping::known(entry, origin), (Source::Origin, expected), origin)
}

#[test]
fn what_is_missing_follows_what_was_copied() {
    let nothing = Expected::Version(0);
    assert_eq!(lacks(None, nothing, &metadata(1, "LXDL")), [1, 2, 3, 4]);
    assert_eq!(lacks(None, nothing, &metadata(3, "LL")), [3, 4], "what is pruned is not to be had");
    assert_eq!(lacks(None, Expected::Recorded, &metadata(1, "LLL")), [3]);
    let copied = entry(2, 2, 1);
    let ours = Expected::Version(2);
    assert_eq!(lacks(Some(&copied), ours, &metadata(1, "LLLL")), [3, 4]);
    assert_eq!(lacks(Some(&copied), ours, &metadata(1, "LL")), [0; 0]);
    assert_eq!(lacks(Some(&copied), ours, &metadata(5, "LL")), [5, 6], "those in between are pruned");
    let mut anew = metadata(1, "LLL");
    anew.versions.get_mut(&2).expect("a version").created_time = at(99);
    assert_eq!(lacks(Some(&copied), ours, &anew), [1, 2, 3], "purged and written anew");
    assert_eq!(lacks(Some(&copied), ours, &metadata(1, "L")), [1], "purged and written anew");
    let value = LedgerEntry { digest: None, ..entry(2, 7, 0) };
    assert_eq!(lacks(Some(&value), Expected::Version(7), &metadata(1, "LLLL")), [3, 4]);
    assert_eq!(lacks(Some(&value), Expected::Version(7), &metadata(1, "LL")), [2], "the value may be another");
    let metadata_alone = (Source::Metadata, Expected::Version(7));
    assert_eq!(missing(Some(&value), None, metadata_alone, &metadata(1, "LL")), [0; 0]);
    assert_eq!(missing(None, None, (Source::Metadata, Expected::Recorded), &metadata(1, "LL")), [0; 0]);
}

#[test]
fn states_are_compared_with_the_copies_only() {
    let origin = metadata(3, "XDLXL");
    // its 3 to 7 are 11 to 15 there, and 11 is older than what is mapped
    let mapping = Mapping { since: 4, origin: 7, there: 15 };
    let there = metadata(10, "LLLDLL");
    let changes = Changes::of(&origin, &there, mapping, at(1_000));
    let expected = Changes { destroy: vec![14], delete: vec![12], undelete: vec![(5, 13)], ..Changes::default() };
    assert_eq!(changes, expected);
    let gone = Changes::of(&origin, &metadata(14, "LX"), mapping, at(1_000));
    assert_eq!((gone.lost, gone.not_kept), (vec![7], vec![4, 5]));
    let same = Changes::of(&origin, &metadata(11, "XDLXL"), mapping, at(1_000));
    assert_eq!(same, Changes::default());
}

proptest! {
    /// However a history is cut into cycles, each version is copied once, in order, and found again.
    #[test]
    fn versions_are_copied_once_and_in_order(steps in prop::collection::vec(1_u64..4, 1..6), head in 0_u64..5) {
        let mut known: Option<Mapping> = None;
        let (mut there, mut current) = (head, 0);
        let mut copied = Vec::new();
        for step in steps {
            current += step;
            let origin = metadata(1, &"L".repeat(usize::try_from(current).expect("small")));
            let entry = known.map(|known| entry(known.origin, known.there, known.since));
            prop_assert_eq!(Mapping::known(entry.as_ref(), &origin), known);
            let expected = Expected::Version(known.map_or(0, |known| known.there));
            for version in missing(entry.as_ref(), known, (Source::Origin, expected), &origin) {
                there += 1;
                copied.push(version);
                known = Some(Mapping::grown(known, version, there));
            }
            let known = known.expect("something was copied");
            for version in 1..=current {
                prop_assert_eq!(known.of(version), Some(head + version));
            }
        }
        prop_assert_eq!(copied, (1..=current).collect::<Vec<_>>());
    }
}
