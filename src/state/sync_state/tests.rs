use std::collections::BTreeMap;

use super::*;
use crate::kv::SecretPath;
use crate::state::memory::MemoryStore;
use crate::sync_info::{EngineKind, Insight};

fn mounts() -> Vec<Mount> {
    vec![Mount::parse("kv").unwrap()]
}

fn path(number: usize) -> SecretPath {
    SecretPath::new(&mounts()[0], &format!("team/app-{number}"))
}

fn insight(version: u64) -> Insight {
    Insight { version, update_time: "2026-11-23T19:23:48.5Z".parse().unwrap(), kind: EngineKind::KvV2 }
}

fn info(buckets: usize, secrets: usize) -> SyncInfo {
    let mut info = SyncInfo::new(buckets);
    for number in 0..secrets {
        info.insert(path(number), insight(1));
    }
    info
}

fn entries(info: &SyncInfo) -> BTreeMap<SecretPath, Insight> {
    info.iter().map(|(path, insight)| (path.clone(), *insight)).collect()
}

fn state(store: &Arc<MemoryStore>, side: StateSide) -> State {
    let store: Arc<dyn StateStore> = Arc::clone(store) as _;
    State::new(store, "/sync", side, mounts())
}

fn destination(limit: usize) -> (Arc<MemoryStore>, State) {
    let store = Arc::new(MemoryStore::new(limit));
    let state = state(&store, StateSide::Destination);
    (store, state)
}

async fn loaded(state: &State) -> Stored {
    state.load_sync_info(None).await.unwrap().unwrap()
}

#[tokio::test]
async fn only_what_changed_is_written_and_the_index_last() {
    let (store, state) = destination(1 << 20);
    let mut info = info(5, 40);
    let mut writer = SyncInfoWriter::new(state.clone(), None);
    assert!(writer.save(&mut info).await.unwrap());
    let keys = ["0", "1", "2", "3", "4", "index"].map(|name| format!("sync/destination/{name}"));
    assert_eq!(store.take_written(), keys);

    info.insert(path(1), insight(2));
    assert!(writer.save(&mut info).await.unwrap());
    let bucket = format!("sync/destination/{}", info.bucket_of(&path(1)));
    assert_eq!(store.take_written(), [bucket.as_str(), "sync/destination/index"]);

    info.insert(path(1), insight(2));
    assert!(!writer.save(&mut info).await.unwrap());
    assert!(store.take_written().is_empty());

    let stored = loaded(&state).await;
    assert_eq!(entries(&stored.info), entries(&info));
    let mut writer = SyncInfoWriter::new(state, Some(&stored.index));
    assert!(!writer.save(&mut info).await.unwrap());
    assert!(store.take_written().is_empty(), "another process that changed nothing writes nothing");
    info.insert(path(2), insight(2));
    assert!(writer.save(&mut info).await.unwrap());
    assert_eq!(store.take_written().len(), 2);
}

#[tokio::test]
async fn equal_buckets_are_shared_and_not_read() {
    let (store, state) = destination(1 << 20);
    let mut mine = info(5, 40);
    SyncInfoWriter::new(state.clone(), None).save(&mut mine).await.unwrap();

    let stored = state.load_sync_info(Some(&info(5, 40))).await.unwrap().unwrap();
    assert_eq!(store.take_read(), ["sync/destination/index"]);
    assert_eq!(stored.info.len(), 40);

    let mut origin = info(5, 40);
    let other = origin.insert(path(7), insight(9));
    let stored = state.load_sync_info(Some(&origin)).await.unwrap().unwrap();
    assert_eq!(store.take_read(), ["sync/destination/index".to_owned(), format!("sync/destination/{other}")]);
    assert_eq!(stored.info.get(&path(7)), Some(&insight(1)));
    assert_eq!(entries(&stored.info), entries(&mine));

    state.load_sync_info(Some(&info(6, 40))).await.unwrap().unwrap();
    assert_eq!(store.take_read().len(), 6, "buckets of another number cannot be compared");
}

#[tokio::test]
async fn nothing_saved_is_none_but_a_lost_bucket_is_an_error() {
    let (store, state) = destination(1 << 20);
    assert!(state.load_index().await.unwrap().is_none());
    assert!(state.load_sync_info(None).await.unwrap().is_none());

    SyncInfoWriter::new(state.clone(), None).save(&mut info(5, 40)).await.unwrap();
    let whole = store.value("sync/destination/3").unwrap();
    for broken in [&whole[..whole.len() / 2], b"", b"[]", br#"{"nowhere":{"version":1}}"#] {
        store.set("sync/destination/3", broken);
        let error = state.load_sync_info(None).await.unwrap_err().to_string();
        assert!(error.contains("sync/destination/3") && error.contains("memory"), "{error}");
    }
    store.forget("sync/destination/3");
    let error = state.load_sync_info(None).await.unwrap_err().to_string();
    assert!(error.contains("sync/destination/3") && error.contains("missing"), "{error}");

    for broken in [&b"[]"[..], b"[\"00\"]", b"{}", b""] {
        store.set("sync/destination/index", broken);
        let error = state.load_sync_info(None).await.unwrap_err().to_string();
        assert!(error.contains("sync/destination/index"), "{error}");
    }
}

#[tokio::test]
async fn a_save_that_was_cut_off_is_found_and_finished() {
    let (store, state) = destination(1 << 20);
    let mut info = info(3, 30);
    let mut writer = SyncInfoWriter::new(state.clone(), None);
    writer.save(&mut info).await.unwrap();
    let old = state.load_index().await.unwrap().unwrap();
    for number in 0..30 {
        info.insert(path(number), insight(2));
    }
    store.cut_off_after(2);
    writer.save(&mut info).await.unwrap_err();

    // killed here: what was written before the index counts
    let stored = loaded(&state).await;
    assert_eq!(stored.index, old);
    let newer = stored.info.iter().filter(|(_, insight)| insight.version == 2).count();
    assert_eq!(newer, info.buckets()[0].len() + info.buckets()[1].len());
    let mut next = SyncInfoWriter::new(state.clone(), Some(&stored.index));
    assert!(next.save(&mut stored.info.clone()).await.unwrap());
    assert_eq!(state.load_index().await.unwrap().unwrap(), stored.info.index());

    // or the writer goes on by itself
    assert!(writer.save(&mut info).await.unwrap());
    assert_eq!(state.load_index().await.unwrap().unwrap(), info.index());
    assert_eq!(entries(&loaded(&state).await.info), entries(&info));
}

#[tokio::test]
async fn buckets_multiply_until_they_fit() {
    let (store, state) = destination(4096);
    let mut info = info(3, 20);
    let mut writer = SyncInfoWriter::new(state.clone(), None);
    writer.save(&mut info).await.unwrap();
    assert_eq!(info.buckets().len(), 3);

    for number in 20..600 {
        info.insert(path(number), insight(1));
    }
    writer.save(&mut info).await.unwrap();
    assert_eq!(info.buckets().len(), 24);
    assert_eq!(info.len(), 600);
    let stored = loaded(&state).await;
    assert_eq!(stored.index, info.index());
    assert_eq!(entries(&stored.info), entries(&info));
    assert_eq!(store.keys().len(), 25);
    assert_eq!(bucket_count(Some(3), Some(&stored.index)), 24);

    // back to fewer: nothing old is left
    let mut few = stored.info.with_buckets(3);
    for number in 30..600 {
        few.remove(&path(number));
    }
    SyncInfoWriter::new(state.clone(), Some(&stored.index)).save(&mut few).await.unwrap();
    assert_eq!(store.keys(), ["0", "1", "2", "index"].map(|name| format!("sync/destination/{name}")));
}

#[tokio::test]
async fn multiplying_buckets_loses_nothing_wherever_it_is_cut_off() {
    for writes in 0..14 {
        let (store, state) = destination(1 << 20);
        let mut small = info(3, 60);
        SyncInfoWriter::new(state.clone(), None).save(&mut small).await.unwrap();
        let index = state.load_index().await.unwrap();

        let mut large = small.with_buckets(12);
        let mut writer = SyncInfoWriter::new(state.clone(), index.as_ref());
        store.cut_off_after(writes);
        assert_eq!(writer.save(&mut large).await.is_err(), writes < 13, "after {writes} writes");
        assert_eq!(entries(&loaded(&state).await.info), entries(&small), "after {writes} writes");

        writer.save(&mut large).await.unwrap();
        let stored = loaded(&state).await;
        assert_eq!(stored.index, large.index());
        assert_eq!(stored.info.index(), large.index());
    }
}

#[tokio::test]
async fn the_sides_of_one_sync_path_do_not_meet() {
    let store = Arc::new(MemoryStore::new(1 << 20));
    let (origin, destination) = (state(&store, StateSide::Origin), state(&store, StateSide::Destination));
    SyncInfoWriter::new(origin.clone(), None).save(&mut info(2, 9)).await.unwrap();
    assert!(destination.load_index().await.unwrap().is_none());
    assert_eq!(store.keys(), ["sync/origin/0", "sync/origin/1", "sync/origin/index"]);
}

#[test]
fn how_many_buckets() {
    let index = |count| SyncInfo::new(count).index();
    assert_eq!(bucket_count(None, None), DEFAULT_BUCKETS);
    assert_eq!(bucket_count(None, Some(&index(7))), 7);
    assert_eq!(bucket_count(Some(5), None), 5);
    assert_eq!(bucket_count(Some(5), Some(&index(5))), 5);
    assert_eq!(bucket_count(Some(5), Some(&index(20))), 20, "it had grown");
    assert_eq!(bucket_count(Some(5), Some(&index(15))), 5);
    assert_eq!(bucket_count(Some(10), Some(&index(5))), 10);
    assert_eq!(bucket_count(Some(0), None), 1);
    assert_eq!(bucket_count(Some(1 << 20), None), MAX_BUCKETS);
}

#[test]
fn a_sync_path_has_one_form() {
    for text in ["a/b", "/a/b", "a/b/", "//a/b//"] {
        assert_eq!(normalized(text), "a/b/");
    }
    assert_eq!(normalized("/"), "");
}
