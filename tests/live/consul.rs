//! The Consul client, and state kept in Consul.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vsync::consul::{ConsulClient, ConsulErrorKind, ConsulSettings, SessionBehavior, TransactionOp, VALUE_LIMIT};
use vsync::http::{HttpSettings, TlsSettings};
use vsync::kv::{Mount, SecretPath};
use vsync::state::{CycleLog, State, StateSide, StateStore, StoreSettings, SyncInfoWriter};
use vsync::sync_info::{EngineKind, Insight, SyncInfo};
use zeroize::Zeroizing;

use crate::support::{ConsulOptions, ConsulServer};

const V0_3_KEYS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vsync-v0.3.0/consul-kv.json"));

fn settings(server: &ConsulServer) -> ConsulSettings {
    let http = HttpSettings { address: server.address(), max_retries: 0, ..HttpSettings::default() };
    ConsulSettings { http, datacenter: None, token: None }
}

fn client(server: &ConsulServer) -> ConsulClient {
    ConsulClient::new(&settings(server)).unwrap()
}

fn store(server: &ConsulServer) -> Arc<dyn StateStore> {
    vsync::state::open(&StoreSettings::Consul(settings(server))).unwrap()
}

fn path(number: usize) -> SecretPath {
    SecretPath::new(&Mount::parse("kv").unwrap(), &format!("team/of/people/who/like/long/names/app-{number}"))
}

fn sync_info(buckets: usize, secrets: usize) -> SyncInfo {
    let mut info = SyncInfo::new(buckets);
    let insight =
        Insight { version: 1, update_time: "2026-11-23T19:23:48.5Z".parse().unwrap(), kind: EngineKind::KvV2 };
    for number in 0..secrets {
        info.insert(path(number), insight);
    }
    info
}

#[tokio::test]
async fn keys_and_values() {
    let server = ConsulServer::start();
    let consul = client(&server);
    assert_eq!(consul.get("a/b").await.unwrap(), None);
    assert!(consul.keys("a/").await.unwrap().is_empty());
    assert!(consul.list("a/").await.unwrap().is_empty());
    consul.delete("a/b").await.unwrap();

    let odd = "a/sp ace/per%cent/plus+/who?/#/päth/back\\slash/semi;colon/";
    for (key, value) in [("a/b", &b"one"[..]), ("a/empty", b""), (odd, &[0, 159, 255])] {
        consul.put(key, value.to_vec()).await.unwrap();
        let entry = consul.get(key).await.unwrap().unwrap();
        assert_eq!((entry.key.as_str(), entry.value.as_slice(), entry.session), (key, value, None));
    }
    assert_eq!(consul.keys("a/").await.unwrap(), ["a/b", "a/empty", odd]);
    let entries = consul.list("a/").await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["a/b", "a/empty", odd]);

    for key in ["/a", "a//b", "a/../b"] {
        assert_eq!(consul.put(key, Vec::new()).await.unwrap_err().kind(), ConsulErrorKind::InvalidKey, "{key}");
    }
    let largest = vec![b'x'; VALUE_LIMIT];
    consul.put("a/large", largest.clone()).await.unwrap();
    assert_eq!(consul.get("a/large").await.unwrap().unwrap().value, largest);
    let error = consul.put("a/large", [largest, vec![b'x']].concat()).await.unwrap_err();
    assert_eq!(error.kind(), ConsulErrorKind::TooLarge, "{error}");

    consul.delete("a/b").await.unwrap();
    assert_eq!(consul.get("a/b").await.unwrap(), None);
    consul.delete_tree("a/").await.unwrap();
    assert!(consul.keys("").await.unwrap().is_empty());
}

#[tokio::test]
async fn check_and_set_and_transactions() {
    let server = ConsulServer::start();
    let consul = client(&server);
    assert!(consul.put_cas("k", b"1".to_vec(), 0).await.unwrap());
    assert!(!consul.put_cas("k", b"2".to_vec(), 0).await.unwrap(), "it exists");
    let first = consul.get("k").await.unwrap().unwrap();
    assert!(consul.put_cas("k", b"2".to_vec(), first.modify_index).await.unwrap());
    assert!(!consul.put_cas("k", b"3".to_vec(), first.modify_index).await.unwrap(), "it changed");

    let second = consul.get("k").await.unwrap().unwrap();
    let refused = [TransactionOp::Set("other", b"x"), TransactionOp::Cas("k", b"3", first.modify_index)];
    let error = consul.transact(&refused).await.unwrap_err();
    assert_eq!(error.kind(), ConsulErrorKind::Conflict, "{error}");
    assert_eq!(consul.get("other").await.unwrap(), None, "all or nothing");
    let odd = "..//odd key?";
    let accepted =
        [TransactionOp::Set(odd, b""), TransactionOp::Cas("k", b"3", second.modify_index), TransactionOp::Delete("no")];
    consul.transact(&accepted).await.unwrap();
    assert_eq!(consul.get("k").await.unwrap().unwrap().value, b"3");
    assert_eq!(consul.keys("").await.unwrap(), [odd, "k"]);
    consul.transact(&[]).await.unwrap();
}

#[tokio::test]
async fn a_lock_has_one_owner() {
    let server = ConsulServer::start();
    // the first session may have to wait until the server has registered itself
    let mut settings = settings(&server);
    settings.http.max_retries = 6;
    let consul = ConsulClient::new(&settings).unwrap();
    let ttl = Duration::from_secs(10);
    let create = |name| consul.create_session(name, ttl, SessionBehavior::Delete, Duration::ZERO);
    let (mine, yours) = (create("mine").await.unwrap(), create("yours").await.unwrap());
    assert!(consul.acquire("lock", b"me".to_vec(), &mine).await.unwrap());
    assert!(consul.acquire("lock", b"me again".to_vec(), &mine).await.unwrap());
    assert!(!consul.acquire("lock", b"you".to_vec(), &yours).await.unwrap());
    let held = consul.get("lock").await.unwrap().unwrap();
    assert_eq!((held.value.as_slice(), held.session.as_deref()), (&b"me again"[..], Some(mine.as_str())));

    assert!(!consul.release("lock", Vec::new(), &yours).await.unwrap());
    assert!(consul.release("lock", Vec::new(), &mine).await.unwrap());
    assert!(consul.acquire("lock", b"you".to_vec(), &yours).await.unwrap());

    consul.renew_session(&yours).await.unwrap();
    consul.destroy_session(&yours).await.unwrap();
    assert_eq!(consul.get("lock").await.unwrap(), None, "it went with its session");
    assert_eq!(consul.renew_session(&yours).await.unwrap_err().kind(), ConsulErrorKind::NoSession);
    let error = consul.acquire("lock", Vec::new(), &yours).await.unwrap_err();
    assert_eq!(error.kind(), ConsulErrorKind::NoSession, "{error}");
    consul.destroy_session(&yours).await.unwrap();
    assert!(consul.acquire("lock", b"me".to_vec(), &mine).await.unwrap());
}

#[tokio::test]
async fn a_watch_wakes_when_its_key_changes() {
    let server = ConsulServer::start();
    let consul = client(&server);
    let mut watch = consul.watch("watched/index").wait(Duration::from_secs(1));
    assert_eq!(watch.changed().await.unwrap(), None, "the first answer comes at once");

    let started = Instant::now();
    let change = async {
        // longer than one wait, and a neighbour's change in between: neither is a change of this key
        tokio::time::sleep(Duration::from_millis(700)).await;
        consul.put("watched/index2", b"x".to_vec()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(900)).await;
        consul.put("watched/index", b"1".to_vec()).await.unwrap();
    };
    let (entry, ()) = tokio::join!(watch.changed(), change);
    assert_eq!(entry.unwrap().unwrap().value, b"1");
    assert!(started.elapsed() >= Duration::from_millis(1600));

    consul.put("watched/index", b"2".to_vec()).await.unwrap();
    assert_eq!(watch.changed().await.unwrap().unwrap().value, b"2", "what came before the call is not missed");
    consul.delete("watched/index").await.unwrap();
    assert_eq!(watch.changed().await.unwrap(), None);

    let quiet = tokio::time::timeout(Duration::from_millis(1500), watch.changed()).await;
    assert!(quiet.is_err(), "nothing changed");
}

#[tokio::test]
async fn another_datacenter_is_asked_by_name() {
    let server = ConsulServer::start();
    let with = |datacenter: &str| {
        let datacenter = Some(datacenter.to_owned());
        ConsulClient::new(&ConsulSettings { datacenter, ..settings(&server) }).unwrap()
    };
    with("dc1").put("a", b"1".to_vec()).await.unwrap();
    assert_eq!(client(&server).get("a").await.unwrap().unwrap().value, b"1");
    with("dc1").transact(&[TransactionOp::Set("b", b"2")]).await.unwrap();
    let error = with("elsewhere").get("a").await.unwrap_err();
    assert!(error.kind() == ConsulErrorKind::Settings && error.to_string().contains("datacenter"), "{error}");
}

#[tokio::test]
async fn a_token_opens_what_is_closed() {
    const TOKEN: &str = "00000000-1111-2222-3333-444444444444";
    let server = ConsulServer::with(ConsulOptions { acl_token: Some(TOKEN), ..ConsulOptions::default() });
    let store = |token: Option<&str>| {
        let token = token.map(|token| Zeroizing::new(token.to_owned()));
        vsync::state::open(&StoreSettings::Consul(ConsulSettings { token, ..settings(&server) })).unwrap()
    };
    let entries = vec![("sync/a".to_owned(), b"1".to_vec()), ("sync/b".to_owned(), b"2".to_vec())];
    let mine = store(Some(TOKEN));
    let started = Instant::now();
    while let Err(error) = mine.put(entries.clone()).await {
        // the leader sets up its ACLs a moment after it was elected
        assert!(started.elapsed() < Duration::from_secs(20), "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(mine.get("sync/b").await.unwrap().as_deref(), Some(&b"2"[..]));

    for token in [None, Some("00000000-1111-2222-3333-555555555555")] {
        let other = store(token);
        let refused = other.put(entries.clone()).await.unwrap_err().to_string();
        assert!(refused.contains("policy") || refused.contains("does not know"), "{refused}");
        assert!(refused.contains("sync/a") && !refused.contains("5555"), "{refused}");
        assert!(!format!("{other:?}").contains("5555"));
        if token.is_some() {
            let refused = other.get("sync/a").await.unwrap_err().to_string();
            assert!(refused.contains("token"), "{refused}");
        }
    }
}

#[tokio::test]
async fn tls_is_checked_against_the_given_authority() {
    let server = ConsulServer::with(ConsulOptions { tls: true, ..ConsulOptions::default() });
    let with = |ca_cert: Option<PathBuf>, skip_verify: bool| {
        let mut settings = settings(&server);
        settings.http.address = server.https_address();
        settings.http.tls = TlsSettings { ca_cert, skip_verify, ..TlsSettings::default() };
        ConsulClient::new(&settings).unwrap()
    };
    let trusting = with(Some(server.ca_cert()), false);
    trusting.put("a", b"1".to_vec()).await.unwrap();
    assert_eq!(client(&server).get("a").await.unwrap().unwrap().value, b"1");
    assert!(with(None, true).get("a").await.unwrap().is_some());

    let other = ConsulServer::with(ConsulOptions { tls: true, ..ConsulOptions::default() });
    let error = with(Some(other.ca_cert()), false).get("a").await.unwrap_err();
    assert!(error.kind() == ConsulErrorKind::Tls && error.to_string().contains("ca_cert"), "{error}");
}

#[tokio::test]
async fn the_store_keeps_what_it_is_given() {
    let server = ConsulServer::start();
    let store = store(&server);
    assert_eq!(store.location(), format!("Consul at {}", server.address()));
    let entries: Vec<_> = (0..150).map(|at| (format!("s/{at:03}"), vec![b'x'; at * 200])).collect();
    store.put(entries.clone()).await.unwrap();
    let keys: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(store.list("s/").await.unwrap(), keys);
    let values = store.get_many(&[keys.clone(), vec!["s/none".to_owned()]].concat()).await.unwrap();
    let expected: Vec<_> = entries.into_iter().map(|(_, value)| Some(value)).chain([None]).collect();
    assert_eq!(values, expected);
    store.delete(&keys).await.unwrap();
    assert!(store.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn what_v0_3_left_is_taken_over() {
    let server = ConsulServer::start();
    let keys: BTreeMap<String, String> = serde_json::from_str(V0_3_KEYS).unwrap();
    for (key, value) in &keys {
        server.put(key, value.as_bytes());
    }
    let before = server.last_change("");
    let mounts = vec![Mount::parse("interop").unwrap()];
    for side in [StateSide::Origin, StateSide::Destination] {
        let state = State::new(store(&server), "fixture/", side, mounts.clone());
        let stored = state.load_sync_info(None).await.unwrap().unwrap();
        assert_eq!(stored.info.index(), stored.index);
        let mut info = stored.info;
        assert!(info.len() > 20);
        let mut writer = SyncInfoWriter::new(state.clone(), Some(&stored.index));
        assert!(!writer.save(&mut info).await.unwrap());
        assert_eq!(server.last_change(""), before, "nothing changed, nothing written");
    }

    // and given back: what is saved is what v0.3 would have written
    for (side, folder) in [(StateSide::Origin, "origin"), (StateSide::Destination, "destination")] {
        let from = State::new(store(&server), "fixture/", side, mounts.clone());
        let mut info = from.load_sync_info(None).await.unwrap().unwrap().info;
        let to = State::new(store(&server), "/copy", side, mounts.clone());
        SyncInfoWriter::new(to, None).save(&mut info).await.unwrap();
        for name in ["0", "1", "2", "3", "4", "index"] {
            let written = server.get(&format!("copy/{folder}/{name}")).unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), keys[&format!("fixture/{folder}/{name}")]);
        }
    }
    assert_eq!(server.keys("copy/").len(), 12);
}

#[tokio::test]
async fn buckets_grow_in_number_before_consul_refuses_them() {
    let server = ConsulServer::start();
    let mounts = vec![Mount::parse("kv").unwrap()];
    let state = State::new(store(&server), "grow", StateSide::Origin, mounts);
    let mut writer = SyncInfoWriter::new(state.clone(), None);
    let mut info = sync_info(1, 1000);
    writer.save(&mut info).await.unwrap();
    assert_eq!(info.buckets().len(), 1);

    // two buckets of 600 KB
    let mut info = sync_info(2, 9000);
    writer.save(&mut info).await.unwrap();
    assert_eq!(info.buckets().len(), 4);
    let stored = state.load_sync_info(None).await.unwrap().unwrap();
    assert_eq!((stored.info.len(), &stored.index), (9000, &info.index()));

    let mut few = sync_info(1, 10);
    SyncInfoWriter::new(state, Some(&stored.index)).save(&mut few).await.unwrap();
    assert_eq!(server.keys("grow/"), ["grow/origin/0", "grow/origin/index"]);
}

#[tokio::test]
async fn a_long_report_comes_back_whole() {
    let server = ConsulServer::start();
    let log = CycleLog::new(store(&server), "vsync/");
    let report: Vec<u8> = (0..1_500_000_u32).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    log.save("0199-a", &report).await.unwrap();
    log.save("0199-b", b"short").await.unwrap();
    assert_eq!(log.get("0199-a").await.unwrap().as_ref(), Some(&report));
    assert_eq!(log.newest(10).await.unwrap(), [b"short".to_vec(), report]);
    assert_eq!(server.keys("vsync/").len(), 4);
}

#[tokio::test]
async fn a_consul_that_does_not_answer_is_named() {
    let server = ConsulServer::start();
    let mut settings = settings(&server);
    settings.http.timeout = Duration::from_millis(300);
    let store = vsync::state::open(&StoreSettings::Consul(settings)).unwrap();
    server.freeze();
    let error = store.get("sync/origin/index").await.unwrap_err().to_string();
    assert!(error.contains(&server.address()) && error.contains("sync/origin/index"), "{error}");
    server.thaw();
    assert_eq!(store.get("sync/origin/index").await.unwrap(), None);
}
