use std::sync::Arc;

use super::*;
use crate::kv::{MetadataDigest, Mount};
use crate::state::memory::MemoryStore;
use crate::state::{State, StateSide, StateStore};

fn path(mount: &str, name: &str) -> SecretPath {
    SecretPath::new(&Mount::parse(mount).unwrap(), name)
}

fn insight(version: u64) -> Insight {
    Insight { version, update_time: "2026-11-23T19:23:48.5Z".parse().unwrap(), kind: EngineKind::KvV2 }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_764_000_000 + second).unwrap()
}

fn change(kind: ChangeKind, before: u64, version: u64) -> Change {
    Change {
        kind,
        origin: path("kv", "app"),
        destination: path("new", "app"),
        before,
        version,
        insight_before: Some(insight(3)),
        insight: Some(insight(4)),
        over_foreign: false,
        digest: None,
        at: at(10),
    }
}

/// What is recorded and entered before: insight 3, copied as version 7.
fn known() -> (SyncInfo, Ledger) {
    let (mut recorded, mut ledger) = (SyncInfo::new(3), Ledger::empty());
    recorded.insert(path("kv", "app"), insight(3));
    let entry = LedgerEntry {
        origin: path("kv", "app"),
        insight: insight(3),
        version: 7,
        deleted: false,
        awaits_removal: false,
        foreign: None,
        digest: None,
        at: at(0),
    };
    ledger.insert(path("new", "app"), entry);
    (recorded, ledger)
}

/// What is recorded and entered after `change`.
fn applied((mut recorded, mut ledger): (SyncInfo, Ledger), change: &Change) -> (Option<Insight>, LedgerEntry) {
    change.apply(&mut recorded, &mut ledger);
    let once = (recorded.get(&change.origin).copied(), ledger.get(&change.destination).cloned().unwrap());
    change.apply(&mut recorded, &mut ledger);
    let twice = (recorded.get(&change.origin).copied(), ledger.get(&change.destination).cloned().unwrap());
    assert_eq!(once, twice);
    assert_eq!(ledger.len(), 1);
    once
}

fn nothing() -> (SyncInfo, Ledger) {
    (SyncInfo::new(3), Ledger::empty())
}

#[test]
fn what_each_kind_leaves_behind() {
    use ChangeKind::{Absent, Adopted, Deleted, Kept, Met, Restored, Written};
    let foreign = |version, of, kept| Some(Foreign { version, insight: insight(of), kept });
    // kind, with an insight, before, version; then: recorded, insight, version, deleted, foreign
    let known_before = [
        (Written, true, 7, 8, Some(4), 4, 8, false, None),
        (Adopted, true, 9, 9, Some(4), 4, 9, false, None),
        (Restored, true, 7, 7, Some(4), 4, 7, false, None),
        (Deleted, false, 7, 7, None, 3, 7, true, None),
        (Absent, false, 9, 9, None, 3, 9, true, None),
        (Met, true, 9, 9, Some(3), 3, 7, false, foreign(9, 4, false)),
        (Met, false, 9, 9, Some(3), 3, 7, false, foreign(9, 3, false)),
        (Kept, true, 9, 9, Some(4), 3, 7, false, foreign(9, 4, true)),
        (Kept, false, 9, 9, None, 3, 7, false, foreign(9, 3, true)),
    ];
    for (kind, has_insight, before, version, recorded, entered, entered_version, deleted, foreign) in known_before {
        let change = change(kind, before, version);
        let change = Change { insight: change.insight.filter(|_| has_insight), ..change };
        let (found, entry) = applied(known(), &change);
        assert_eq!(found, recorded.map(insight), "{change:?}");
        let expected = LedgerEntry {
            origin: change.origin.clone(),
            insight: insight(entered),
            version: entered_version,
            deleted,
            awaits_removal: false,
            foreign,
            digest: None,
            at: at(10),
        };
        assert_eq!(entry, expected, "{change:?}");
    }
}

#[test]
fn what_an_undo_gives_back_is_no_longer_vsyncs() {
    for kind in [ChangeKind::Written, ChangeKind::Restored] {
        let change = Change { insight: None, ..change(kind, 7, 8) };
        let (mut recorded, mut ledger) = known();
        for _ in 0..2 {
            change.apply(&mut recorded, &mut ledger);
            assert_eq!((recorded.len(), ledger.len()), (0, 0), "{kind:?}");
        }
    }
}

#[test]
fn where_vsync_never_was() {
    let first = Change { insight_before: None, ..change(ChangeKind::Written, 0, 1) };
    let (recorded, entry) = applied(nothing(), &first);
    assert_eq!((recorded, entry.insight, entry.version), (Some(insight(4)), insight(4), 1));

    let met = Change { insight_before: None, ..change(ChangeKind::Met, 5, 5) };
    let (recorded, entry) = applied(nothing(), &met);
    assert_eq!((recorded, entry.version, entry.deleted), (None, 0, false));
    assert_eq!(entry.foreign, Some(Foreign { version: 5, insight: insight(4), kept: false }));

    let kept = Change { kind: ChangeKind::Kept, ..met };
    let (recorded, entry) = applied(nothing(), &kept);
    assert_eq!((recorded, entry.version), (Some(insight(4)), 0));
    assert!(entry.foreign.is_some_and(|foreign| foreign.kept));

    let deleted = Change { insight: None, insight_before: None, ..change(ChangeKind::Deleted, 2, 2) };
    let (recorded, entry) = applied(nothing(), &deleted);
    assert_eq!((recorded, entry.version, entry.deleted, entry.insight.version), (None, 2, true, 0));
}

#[test]
fn a_write_ends_what_was_met_and_what_was_deleted() {
    let (mut recorded, mut ledger) = known();
    for kind in [ChangeKind::Met, ChangeKind::Deleted] {
        change(kind, 9, 9).apply(&mut recorded, &mut ledger);
        let other = Change { origin: path("kv", "other"), ..change(ChangeKind::Written, 9, 10) };
        other.apply(&mut recorded, &mut ledger);
        let entry = ledger.get(&other.destination).unwrap();
        assert_eq!((entry.version, entry.deleted, entry.foreign), (10, false, None));
        assert_eq!(entry.origin, other.origin, "the path has another owner now");
    }
}

#[test]
fn a_journal_that_comes_late_changes_nothing_newer() {
    let (mut recorded, mut ledger) = known();
    let newer = Change { at: at(20), ..change(ChangeKind::Written, 8, 9) };
    assert!(newer.merge(&mut recorded, &mut ledger));
    assert!(newer.merge(&mut recorded, &mut ledger), "sync info may not have been saved with the ledger");
    for kind in [ChangeKind::Written, ChangeKind::Deleted, ChangeKind::Met] {
        assert!(!change(kind, 7, 8).merge(&mut recorded, &mut ledger));
    }
    assert_eq!(recorded.get(&newer.origin), Some(&insight(4)));
    assert_eq!(ledger.get(&newer.destination).map(|entry| entry.version), Some(9));
}

#[test]
fn an_undo_that_was_cut_off_is_taken_in_although_it_goes_back() {
    let back =
        Change { insight_before: Some(insight(3)), insight: Some(insight(2)), ..change(ChangeKind::Written, 7, 8) };
    let (mut recorded, mut ledger) = known();
    assert!(back.merge(&mut recorded, &mut ledger));
    assert_eq!(recorded.get(&back.origin), Some(&insight(2)));
    assert_eq!(ledger.get(&back.destination).map(|entry| entry.version), Some(8));
    // unless something was copied since
    let (mut recorded, mut ledger) = known();
    recorded.insert(back.origin.clone(), insight(5));
    assert!(!back.merge(&mut recorded, &mut ledger));
}

#[test]
fn a_change_is_stored_in_few_bytes() {
    let same = Change { destination: path("kv", "app"), insight_before: None, ..change(ChangeKind::Written, 0, 1) };
    let text = serde_json::to_string(&same).unwrap();
    let expected = concat!(
        r#"{"k":"written","o":"kv/data/app","v":1,"i":[4,"2026-11-23T19:23:48.5Z"],"#,
        r#""t":"2025-11-24T16:00:10Z"}"#
    );
    assert_eq!(text, expected);
    let odd = Change {
        origin: path("a/data", "x\n"),
        destination: path("b/data", "metadata/y"),
        insight: None,
        over_foreign: true,
        ..change(ChangeKind::Deleted, 2, 2)
    };
    let digest = Some(Box::new(MetadataDigest { value: 1, settings: 2, versions: 3, since: 0 }));
    let metadata = Change { digest, ..change(ChangeKind::Metadata, 4, 4) };
    for change in [same, odd, metadata] {
        let back: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
        assert_eq!(back, change);
        assert_eq!(back.origin.mount(), change.origin.mount());
        assert_eq!(back.destination.mount(), change.destination.mount());
    }
}

#[test]
fn which_metadata_was_copied_is_known_until_something_else_is() {
    let digest = |settings| Some(Box::new(MetadataDigest { value: 1, settings, versions: 0, since: 0 }));
    let brought = Change { digest: digest(5), ..change(ChangeKind::Metadata, 7, 7) };
    let (recorded, entry) = applied(known(), &brought);
    assert_eq!((recorded, entry.version, entry.digest.clone()), (Some(insight(4)), 7, digest(5)));
    let mut state = known();
    brought.apply(&mut state.0, &mut state.1);
    for kind in [ChangeKind::Met, ChangeKind::Kept, ChangeKind::Deleted] {
        let (_, entry) = applied(state.clone(), &change(kind, 7, 8));
        assert_eq!(entry.digest, digest(5), "{kind:?}");
    }
    let (_, entry) = applied(state, &change(ChangeKind::Written, 7, 8));
    assert_eq!(entry.digest, None, "a value alone was copied since");
}

fn log(limit: usize) -> (Arc<MemoryStore>, ChangeLog) {
    let store = Arc::new(MemoryStore::new(limit));
    let state = State::new(Arc::clone(&store) as Arc<dyn StateStore>, "/sync", StateSide::Destination, Vec::new());
    (store, ChangeLog::new(&state))
}

fn many(count: u32) -> Vec<Change> {
    let numbered = |number: u32| Change {
        destination: path("new", &format!("team-{}/app-{number}", number.wrapping_mul(2_654_435_761) % 977)),
        at: at(number.into()),
        ..change(ChangeKind::Written, 1, u64::from(number))
    };
    (0..count).map(numbered).collect()
}

#[tokio::test]
async fn a_large_cycle_comes_back_in_order() {
    let (store, log) = log(2000);
    let changes = many(5000);
    let chunk = log.append("c1", 0, &changes[..3000]).await.unwrap();
    assert_eq!(log.append("c1", chunk, &[]).await.unwrap(), chunk);
    assert_eq!(log.next_chunk("c1").await.unwrap(), chunk);
    let end = log.append("c1", chunk, &changes[3000..]).await.unwrap();
    assert!(end > 10, "more chunks than sort as text: {end}");
    assert_eq!(store.keys().len(), end);
    assert!(store.keys().contains(&"sync/vsync/changes/c1/10".to_owned()));
    assert!(log.read("c1").await.unwrap() == changes);

    log.append("c1", end, &changes[2990..3010]).await.unwrap();
    assert!(log.read("c1").await.unwrap() == changes, "what a journal brings again");
    assert_eq!(log.read("c").await.unwrap(), []);
    assert_eq!(log.next_chunk("c").await.unwrap(), 0);
}

#[tokio::test]
async fn an_append_that_was_cut_off_is_repeated() {
    let (store, log) = log(2000);
    let changes = many(1000);
    store.cut_off_after(3);
    log.append("c1", 0, &changes).await.unwrap_err();
    log.append("c1", 0, &changes).await.unwrap();
    assert!(log.read("c1").await.unwrap() == changes);
}

#[tokio::test]
async fn half_a_cycle_is_an_error() {
    let (store, log) = log(2000);
    log.append("c1", 0, &many(1000)).await.unwrap();
    let key = "sync/vsync/changes/c1/2";
    let good = store.value(key).unwrap();
    for damaged in [&good[..good.len() - 1], &good[..1], b"", b"1\n", b"1\n{}", b"2\nwhatever"] {
        store.set(key, damaged);
        let error = log.read("c1").await.unwrap_err().to_string();
        let expected = if damaged.starts_with(b"2") { "format 2" } else { "damaged" };
        assert!(error.contains(key) && error.contains(expected), "{error}");
    }
    store.forget(key);
    let error = log.read("c1").await.unwrap_err().to_string();
    assert!(error.contains(key) && error.contains("missing"), "{error}");
}

#[tokio::test]
async fn a_change_that_does_not_fit_is_refused() {
    let (_store, log) = log(100);
    let error = log.append("c1", 0, &many(2)).await.unwrap_err().to_string();
    assert!(error.contains("changes/c1") && error.contains("larger"), "{error}");
}

#[tokio::test]
async fn the_newest_cycles_are_kept() {
    let (store, log) = log(2000);
    for cycle in 0..53 {
        log.append(&format!("2026-{cycle:03}"), 0, &many(if cycle % 2 == 0 { 200 } else { 1 })).await.unwrap();
    }
    log.prune().await.unwrap();
    assert!(store.keys()[0].contains("2026-003/"), "{:?}", store.keys());
    assert_eq!(log.read("2026-002").await.unwrap(), []);
    assert_eq!(log.read("2026-004").await.unwrap().len(), 200);
    assert_eq!(log.read("2026-052").await.unwrap().len(), 200);
}

#[test]
fn kinds_of_deletes_leave_what_the_next_cycle_has_to_know() {
    use ChangeKind::{AbsentForNow, Deleted, DeletedForNow, Destroyed, Purged};
    for (kind, version, waits) in [
        (Deleted, 7, false),
        (DeletedForNow, 7, true),
        (AbsentForNow, 7, true),
        (Destroyed, 7, false),
        (Purged, 0, false),
    ] {
        let change = Change { insight: None, ..change(kind, 7, 7) };
        let (recorded, entry) = applied(known(), &change);
        assert_eq!((recorded, entry.deleted), (None, true), "{kind:?}");
        assert_eq!((entry.version, entry.awaits_removal), (version, waits), "{kind:?}");
    }
}

#[test]
fn what_was_purged_does_not_come_back_from_an_old_journal() {
    let purged = Change { insight: None, ..change(ChangeKind::Purged, 7, 7) };
    let (mut recorded, mut ledger) = known();
    purged.apply(&mut recorded, &mut ledger);
    // version 6 of the former life, from another machine, before
    let late = Change { at: at(5), ..change(ChangeKind::Written, 5, 6) };
    assert!(!late.merge(&mut recorded, &mut ledger));
    assert_eq!(recorded.len(), 0);
    // version 1 of the next one, since
    let again = Change { at: at(20), ..change(ChangeKind::Written, 0, 1) };
    assert!(again.merge(&mut recorded, &mut ledger));
    // and the purge itself, once more
    assert!(!purged.merge(&mut recorded, &mut ledger));
    assert_eq!(ledger.get(&path("new", "app")).map(|entry| (entry.version, entry.deleted)), Some((1, false)));
}
