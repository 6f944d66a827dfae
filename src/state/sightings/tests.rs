use std::sync::Arc;

use jiff::Timestamp;

use super::*;
use crate::kv::{Mount, SecretData};
use crate::state::memory::MemoryStore;
use crate::state::{StateSide, StateStore};

fn origin(limit: usize) -> (Arc<MemoryStore>, Sightings) {
    let store = Arc::new(MemoryStore::new(limit));
    let state = State::new(Arc::clone(&store) as Arc<dyn StateStore>, "/sync", StateSide::Origin, Vec::new());
    (store, Sightings::new(state))
}

fn holder() -> LockHolder {
    LockHolder {
        operator: "tester".to_owned(),
        host: "here".to_owned(),
        pid: 1,
        since: Timestamp::UNIX_EPOCH,
        purpose: "test".to_owned(),
    }
}

fn path(number: usize) -> SecretPath {
    SecretPath::new(&Mount::parse("old").unwrap(), &format!("team/app-{number}"))
}

fn sighting(version: u64, second: i64) -> Sighting {
    let time = Timestamp::from_second(1_800_000_000 + second).unwrap().into();
    let before = (version > 1).then(|| Fingerprint::from_bytes([3; 32]));
    Sighting { fingerprint: Fingerprint::from_bytes([7; 32]), before, version, time }
}

fn all(numbers: impl Iterator<Item = usize>) -> HashMap<SecretPath, Sighting> {
    numbers.map(|number| (path(number), sighting(1, 0))).collect()
}

#[tokio::test]
async fn what_was_seen_is_found_again() {
    let (store, sightings) = origin(1 << 20);
    assert!(sightings.load().await.unwrap().is_empty());
    let mut expected = all(0..300);
    // a mount that does not end where its path says `/data/` first
    let odd = SecretPath::new(&Mount::parse("a/data/b").unwrap(), "x/data/y");
    expected.insert(odd.clone(), sighting(3, 1));
    sightings.save(&expected, &HashMap::new()).await.unwrap();
    let loaded = sightings.load().await.unwrap();
    assert_eq!(loaded, expected);
    assert_eq!(loaded.keys().find(|path| **path == odd).unwrap().mount(), "a/data/b/");
    assert_eq!(sightings.find(&path(7)).await.unwrap(), Some(sighting(1, 0)));
    assert_eq!(sightings.find(&path(999)).await.unwrap(), None);

    let _ = store.take_written();
    let changed = HashMap::from([(path(7), sighting(2, 5))]);
    sightings.save(&changed, &HashMap::from([(path(8), sighting(1, 0))])).await.unwrap();
    assert!(store.take_written().len() <= 2, "only what changed is written");
    expected.insert(path(7), sighting(2, 5));
    expected.remove(&path(8));
    assert_eq!(sightings.load().await.unwrap(), expected);
}

#[tokio::test]
async fn of_two_the_later_one_stays() {
    let (_, sightings) = origin(1 << 20);
    let save = async |version, second| {
        sightings.save(&HashMap::from([(path(1), sighting(version, second))]), &HashMap::new()).await.unwrap();
    };
    save(2, 9).await;
    save(2, 5).await;
    assert_eq!(sightings.find(&path(1)).await.unwrap(), Some(sighting(2, 9)));
    save(3, 1).await;
    assert_eq!(sightings.find(&path(1)).await.unwrap(), Some(sighting(3, 1)));
    // one that somebody else has seen again meanwhile is not forgotten
    sightings.save(&HashMap::new(), &HashMap::from([(path(1), sighting(2, 9))])).await.unwrap();
    assert_eq!(sightings.find(&path(1)).await.unwrap(), Some(sighting(3, 1)));
}

#[tokio::test]
async fn buckets_multiply_when_they_are_full() {
    let (store, sightings) = origin(2_000);
    sightings.save(&all(0..10), &HashMap::new()).await.unwrap();
    assert!(store.keys().iter().any(|key| key.starts_with("sync/vsync/kv1/64/")));
    sightings.save(&all(10..1_500), &HashMap::new()).await.unwrap();
    assert_eq!(sightings.load().await.unwrap(), all(0..1_500));
    assert!(!store.keys().iter().any(|key| key.starts_with("sync/vsync/kv1/64/")), "the former ones are gone");
}

#[tokio::test]
async fn the_key_is_made_once() {
    let (store, sightings) = origin(1 << 20);
    let data = SecretData::from_json(Zeroizing::new(r#"{"a":"b"}"#.to_owned()));
    let one = sightings.key(&holder()).await.unwrap().of(&data).unwrap();
    assert_eq!(sightings.key(&holder()).await.unwrap().of(&data).unwrap(), one);
    store.forget("sync/vsync/kv1/key");
    assert!(sightings.key(&holder()).await.unwrap().of(&data).unwrap() != one);
}

#[tokio::test]
async fn what_is_damaged_is_not_taken_for_empty() {
    let (store, sightings) = origin(1 << 20);
    sightings.save(&all(0..200), &HashMap::new()).await.unwrap();
    let _ = sightings.key(&holder()).await.unwrap();
    for key in ["index", "key", "64/0", "64/63"] {
        let key = format!("sync/vsync/kv1/{key}");
        let before = store.value(&key).expect("a value");
        store.set(&key, b"{\"");
        let error = if key.ends_with("key") {
            sightings.key(&holder()).await.map(|_| ()).expect_err("no key")
        } else {
            sightings.load().await.map(|_| ()).expect_err("damage")
        };
        assert!(error.to_string().contains(&key) && error.to_string().contains(REMEDY), "{error}");
        store.set(&key, &before);
    }
    store.set("sync/vsync/kv1/index", br#"{"format":2,"buckets":64}"#);
    assert!(sightings.load().await.expect_err("newer").to_string().contains("format 2"));
}
