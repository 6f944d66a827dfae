use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::kv::{MetadataDigest, Mount};
use crate::state::memory::MemoryStore;
use crate::state::{StateSide, StateStore};
use crate::sync_info::EngineKind;

const INDEX: &str = "sync/vsync/ledger/index";

fn mount(text: &str) -> Mount {
    Mount::parse(text).unwrap()
}

fn path(number: usize) -> SecretPath {
    SecretPath::new(&mount("kv"), &format!("team/app-{number}"))
}

fn insight(version: u64) -> Insight {
    Insight { version, update_time: "2026-11-23T19:23:48.582898279Z".parse().unwrap(), kind: EngineKind::KvV2 }
}

fn entry(origin: SecretPath, version: u64) -> LedgerEntry {
    let at = "2026-11-24T01:02:03.123456789Z".parse().unwrap();
    LedgerEntry {
        origin,
        insight: insight(version),
        version,
        deleted: false,
        awaits_removal: false,
        foreign: None,
        digest: None,
        at,
    }
}

fn destination(limit: usize) -> (Arc<MemoryStore>, State) {
    let store = Arc::new(MemoryStore::new(limit));
    let state = State::new(Arc::clone(&store) as Arc<dyn StateStore>, "/sync", StateSide::Destination, Vec::new());
    (store, state)
}

fn filled(secrets: usize) -> Ledger {
    let mut ledger = Ledger::empty();
    for number in 0..secrets {
        ledger.insert(path(number), entry(path(number), 1));
    }
    ledger
}

async fn saved(state: &State, secrets: usize) -> (Ledger, LedgerWriter) {
    let mut ledger = filled(secrets);
    let mut writer = LedgerWriter::new(state.clone(), &ledger);
    assert!(writer.save(&mut ledger).await.unwrap());
    (ledger, writer)
}

async fn loaded(state: &State) -> Ledger {
    let mut ledger = Ledger::open(state).await.unwrap();
    ledger.load_all().await.unwrap();
    ledger
}

fn entries(ledger: &Ledger) -> BTreeMap<SecretPath, LedgerEntry> {
    ledger.iter().map(|(path, entry)| (path.clone(), entry.clone())).collect()
}

fn bucket(ledger: &Ledger, path: &SecretPath) -> String {
    format!("sync/vsync/ledger/{}/{}", ledger.slots.len(), ledger.place(path))
}

#[tokio::test]
async fn only_what_changed_is_written() {
    let (store, state) = destination(1 << 20);
    let (mut ledger, mut writer) = saved(&state, 500).await;
    assert_eq!(store.take_written().len(), 1 + FIRST_BUCKETS);
    assert!(!writer.save(&mut ledger).await.unwrap());

    ledger.insert(path(3), entry(path(3), 2));
    assert!(writer.save(&mut ledger).await.unwrap());
    assert_eq!(store.take_written(), [bucket(&ledger, &path(3))]);

    ledger.insert(path(3), entry(path(3), 2));
    ledger.remove(&path(1000));
    assert!(!writer.save(&mut ledger).await.unwrap());

    let mut copy = ledger.clone();
    copy.remove(&path(4));
    assert!(writer.save(&mut copy).await.unwrap());
    ledger.remove(&path(4));
    ledger.remove(&path(5));
    assert_eq!(entries(&loaded(&state).await), entries(&copy));
    assert!(writer.save(&mut ledger).await.unwrap());
    assert_eq!(entries(&loaded(&state).await), entries(&ledger));
}

#[tokio::test]
async fn only_what_is_needed_is_read() {
    let (store, state) = destination(1 << 20);
    saved(&state, 500).await;
    store.take_read();
    store.take_written();
    let mut ledger = Ledger::open(&state).await.unwrap();
    assert_eq!(store.take_read(), [INDEX]);
    assert!(ledger.is_empty());

    ledger.load([&path(7), &path(7)]).await.unwrap();
    ledger.load([&path(7)]).await.unwrap();
    assert_eq!(store.take_read(), [bucket(&ledger, &path(7))]);
    assert_eq!(ledger.get(&path(7)), Some(&entry(path(7), 1)));

    let mut writer = LedgerWriter::new(state.clone(), &ledger);
    assert!(!writer.save(&mut ledger).await.unwrap());
    ledger.load([&path(8), &path(9)]).await.unwrap();
    assert!(!writer.save(&mut ledger).await.unwrap(), "what was loaded later is stored already");
    assert!(store.take_written().is_empty());
}

#[tokio::test]
async fn an_entry_may_be_inserted_before_its_bucket_is_loaded() {
    let (_store, state) = destination(1 << 20);
    let (mut expected, _) = saved(&state, 500).await;
    let mut ledger = Ledger::open(&state).await.unwrap();
    let mut writer = LedgerWriter::new(state.clone(), &ledger);
    for number in [3, 600] {
        expected.insert(path(number), entry(path(number), 9));
        ledger.insert(path(number), entry(path(number), 9));
    }
    assert!(writer.save(&mut ledger).await.unwrap());
    assert_eq!(entries(&loaded(&state).await), entries(&expected));
}

#[tokio::test]
async fn entries_come_back_as_they_were() {
    let (store, state) = destination(1 << 20);
    let at = "2026-11-24T01:02:03Z".parse().unwrap();
    // its mount does not end before the first "data/", and no configuration says so any more
    let odd = SecretPath::new(&mount("a/data"), "data/metadata/<x>\n\u{202e}");
    let foreign = Foreign { version: 12, insight: insight(8), kept: true };
    let kv1 = Insight { kind: EngineKind::KvV1, ..insight(3) };
    let other_mount = SecretPath::from_parts("a/data/data/y", 2).unwrap();
    let same_text = SecretPath::from_parts("a/data/data/y", 7).unwrap();
    let digest = MetadataDigest { value: 1, settings: u64::MAX, versions: 0, since: 0 };
    let given = [
        (path(3), LedgerEntry { digest: Some(Box::new(digest)), ..entry(path(3), 3) }),
        (
            path(4),
            LedgerEntry {
                digest: Some(Box::new(MetadataDigest { versions: 7, since: 2, ..digest })),
                ..entry(path(4), 3)
            },
        ),
        (path(1), entry(path(1), 1)),
        (path(2), LedgerEntry { deleted: true, ..entry(odd.clone(), 3) }),
        (
            odd.clone(),
            LedgerEntry {
                origin: path(2),
                insight: kv1,
                version: 0,
                deleted: false,
                awaits_removal: false,
                foreign: Some(foreign),
                digest: None,
                at,
            },
        ),
        (other_mount, entry(same_text, 1)),
    ];
    let mut ledger = Ledger::empty();
    for (path, entry) in &given {
        ledger.insert(path.clone(), entry.clone());
    }
    LedgerWriter::new(state.clone(), &ledger).save(&mut ledger).await.unwrap();
    let back = entries(&loaded(&state).await);
    assert_eq!(back, BTreeMap::from(given.clone()));
    for (path, entry) in given {
        let (found, kept) = back.get_key_value(&path).unwrap();
        assert_eq!(found.mount(), path.mount());
        assert_eq!(kept.origin.mount(), entry.origin.mount());
    }
    let text = String::from_utf8(store.value(&bucket(&ledger, &path(1))).unwrap()).unwrap();
    let expected = concat!(
        r#"{"kv/data/team/app-1":{"i":[1,"2026-11-23T19:23:48.582898279Z"],"v":1,"#,
        r#""t":"2026-11-24T01:02:03.123456789Z"}}"#
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn a_ledger_that_grows_is_spread_over_more_buckets() {
    let (store, state) = destination(4000);
    let (mut ledger, mut writer) = saved(&state, 500).await;
    store.take_written();
    for number in 500..5000 {
        ledger.insert(path(number), entry(path(number), 1));
    }
    assert!(writer.save(&mut ledger).await.unwrap());
    let count = ledger.slots.len();
    assert!(count >= 256, "{count}");
    assert_eq!(store.keys().len(), 1 + count, "the former buckets are gone");
    assert_eq!(store.take_written().last().map(String::as_str), Some(INDEX));
    assert_eq!(entries(&loaded(&state).await), entries(&ledger));

    ledger.remove(&path(77));
    assert!(writer.save(&mut ledger).await.unwrap());
    assert_eq!(store.take_written(), [bucket(&ledger, &path(77))]);
}

#[tokio::test]
async fn a_ledger_of_which_little_is_loaded_grows_as_a_whole() {
    let (_store, state) = destination(4000);
    let (mut expected, _) = saved(&state, 700).await;
    let mut ledger = Ledger::open(&state).await.unwrap();
    let mut writer = LedgerWriter::new(state.clone(), &ledger);
    let crowded: Vec<SecretPath> = (700..9000).map(path).filter(|path| ledger.place(path) == 5).collect();
    ledger.load(&crowded).await.unwrap();
    for path in crowded {
        expected.insert(path.clone(), entry(path.clone(), 1));
        ledger.insert(path.clone(), entry(path, 1));
    }
    assert!(writer.save(&mut ledger).await.unwrap());
    assert!(ledger.slots.len() > FIRST_BUCKETS);
    assert_eq!(entries(&loaded(&state).await), entries(&expected));
}

#[tokio::test]
async fn saving_may_be_cut_off_anywhere() {
    for writes in (0..200).step_by(3) {
        let (store, state) = destination(2000);
        let (mut ledger, mut writer) = saved(&state, 300).await;
        let former = entries(&ledger);
        for number in 250..1000 {
            ledger.insert(path(number), entry(path(number), 2));
        }
        ledger.remove(&path(1));
        store.cut_off_after(writes);
        let cut_off = writer.save(&mut ledger).await.is_err();
        assert_eq!(cut_off, store.keys().iter().any(|key| key.contains("/64/")), "{writes}");
        let found = entries(&loaded(&state).await);
        for (path, former) in &former {
            let now = found.get(path);
            assert!(now == Some(former) || now == ledger.get(path), "{path} after {writes} writes: {now:?}");
        }

        // another process goes on from there, or this one does
        let mut again = loaded(&state).await;
        let mut another = LedgerWriter::new(state.clone(), &again);
        for number in 250..1000 {
            again.insert(path(number), entry(path(number), 2));
        }
        again.remove(&path(1));
        if writes % 2 == 0 {
            another.save(&mut again).await.unwrap();
        } else {
            writer.save(&mut ledger).await.unwrap();
        }
        assert_eq!(entries(&loaded(&state).await), entries(&ledger), "{writes}");
        assert_eq!(entries(&again), entries(&ledger));
        assert!(!store.keys().iter().any(|key| key.contains("/64/")), "{writes}");
    }
}

#[tokio::test]
async fn a_first_save_may_be_cut_off_anywhere() {
    for writes in 0..=FIRST_BUCKETS {
        let (store, state) = destination(1 << 20);
        store.cut_off_after(writes);
        let mut ledger = filled(500);
        let mut writer = LedgerWriter::new(state.clone(), &ledger);
        writer.save(&mut ledger).await.unwrap_err();
        let found = entries(&loaded(&state).await);
        assert!(found.iter().all(|(path, entry)| ledger.get(path) == Some(entry)));
        assert!(writer.save(&mut ledger).await.unwrap());
        assert_eq!(entries(&loaded(&state).await), entries(&ledger), "{writes}");
    }
}

#[tokio::test]
async fn a_reader_follows_when_buckets_move() {
    let (_store, state) = destination(4000);
    let (mut ledger, mut writer) = saved(&state, 500).await;
    let mut reader = Ledger::open(&state).await.unwrap();
    reader.load([&path(1)]).await.unwrap();
    for number in 500..3000 {
        ledger.insert(path(number), entry(path(number), 1));
    }
    let mut before = ledger.clone();
    writer.save(&mut ledger).await.unwrap();
    reader.load((0..500).map(path).collect::<Vec<_>>().iter()).await.unwrap();
    assert!((0..500).all(|number| reader.get(&path(number)) == Some(&entry(path(number), 1))));
    reader.load_all().await.unwrap();
    // all but what lies beside what had been loaded before
    assert!(reader.len() > 2500, "{}", reader.len());

    before.insert(path(4000), entry(path(4000), 1));
    ledger.insert(path(4000), entry(path(4000), 1));
    writer.save(&mut before).await.unwrap();
    assert_eq!(entries(&loaded(&state).await), entries(&ledger), "an older clone is spread, too");
}

#[tokio::test]
async fn a_deleted_index_does_not_bring_old_buckets_back() {
    let (store, state) = destination(1 << 20);
    saved(&state, 500).await;
    store.forget(INDEX);
    let mut ledger = loaded(&state).await;
    assert!(ledger.is_empty());
    let mut writer = LedgerWriter::new(state.clone(), &ledger);
    assert!(!writer.save(&mut ledger).await.unwrap(), "nothing to save");
    ledger.insert(path(1), entry(path(1), 1));
    writer.save(&mut ledger).await.unwrap();
    assert_eq!(entries(&loaded(&state).await), entries(&ledger));
}

#[tokio::test]
async fn what_cannot_be_understood_is_no_empty_ledger() {
    let (store, state) = destination(1 << 20);
    let (ledger, _) = saved(&state, 500).await;
    let key = bucket(&ledger, &path(1));
    let good = store.value(&key).unwrap();
    for damaged in [
        &good[..good.len() / 2],
        b"",
        b"[]",
        br#"{"nothing":{"i":[1,"2026-11-23T19:23:48Z"],"t":"2026-11-23T19:23:48Z"}}"#,
    ] {
        store.set(&key, damaged);
        let error = Ledger::open(&state).await.unwrap().load([&path(1)]).await.unwrap_err().to_string();
        assert!(error.contains(&key) && error.contains("damaged"), "{error}");
    }
    for (index, expected) in [
        (r#"{"format":2,"things":[]}"#, "format 2"),
        (r#"{"format":1}"#, "damaged"),
        (r#"{"format":1,"buckets":0}"#, "damaged"),
        (r#"{"format":1,"buckets":70000}"#, "damaged"),
        ("", "damaged"),
    ] {
        store.set(INDEX, index.as_bytes());
        let error = Ledger::open(&state).await.unwrap_err().to_string();
        assert!(error.contains(INDEX) && error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_thousand_random_operations_equal_a_map() {
    for seed in 0..4 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (_store, state) = destination(2500);
        let mut model = BTreeMap::new();
        let mut ledger = Ledger::open(&state).await.unwrap();
        let mut writer = LedgerWriter::new(state.clone(), &ledger);
        for step in 0..1000 {
            let path = path(random.usize(..1500));
            ledger.load([&path]).await.unwrap();
            match random.usize(..20) {
                0..15 => {
                    let entry = entry(path.clone(), random.u64(1..5));
                    model.insert(path.clone(), entry.clone());
                    ledger.insert(path, entry);
                }
                15..18 => {
                    model.remove(&path);
                    ledger.remove(&path);
                }
                18 => {
                    writer.save(&mut ledger).await.unwrap();
                }
                _ => {
                    writer.save(&mut ledger).await.unwrap();
                    ledger = Ledger::open(&state).await.unwrap();
                    if random.bool() {
                        writer = LedgerWriter::new(state.clone(), &ledger);
                    }
                }
            }
            for _ in 0..3 {
                let path = self::path(random.usize(..1500));
                ledger.load([&path]).await.unwrap();
                assert_eq!(ledger.get(&path), model.get(&path), "seed {seed}, step {step}");
            }
        }
        writer.save(&mut ledger).await.unwrap();
        assert_eq!(entries(&loaded(&state).await), model);
        let paths: BTreeSet<_> = model.keys().collect();
        assert_eq!(paths.len(), loaded(&state).await.len());
    }
}

#[test]
fn equal_paths_share_their_text() {
    let mut ledger = Ledger::empty();
    ledger.insert(path(1), entry(path(1), 1));
    let (path, entry) = ledger.iter().next().unwrap();
    assert!(std::ptr::eq(path.data_path(), entry.origin.data_path()));
}
