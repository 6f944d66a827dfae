//! Locks and watched keys in Consul: who holds one, and what becomes of it when its holder or Consul fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use vsync::consul::{ConsulClient, ConsulSettings, Session};
use vsync::http::HttpSettings;
use vsync::state::{Lock, LockError, LockHolder, LockTaken, State, StateSide, StateStore, StoreSettings};

use crate::support::{ConsulServer, Fault, FaultProxy, When};

const KEY: &str = "vsync/us-east/vsync/locks/destination";
/// How long Consul keeps a lock whose holder died: twice the session's TTL, then the lock delay.
const FREED_AFTER: Duration = Duration::from_secs(35);

fn settings(server: &ConsulServer) -> ConsulSettings {
    let http = HttpSettings { address: server.address(), ..HttpSettings::default() };
    ConsulSettings { http, datacenter: None, token: None }
}

fn store(server: &ConsulServer) -> Arc<dyn StateStore> {
    vsync::state::open(&StoreSettings::Consul(settings(server))).unwrap()
}

fn holder(operator: &str) -> LockHolder {
    let since = "2026-11-24T01:02:03Z".parse().unwrap();
    let (host, purpose) = ("vault-sync-1".to_owned(), "sync".to_owned());
    LockHolder { operator: operator.to_owned(), host, pid: 4711, since, purpose }
}

async fn refused(store: &Arc<dyn StateStore>, key: &str) -> LockTaken {
    match store.lock(key, &holder("berta")).await {
        Err(LockError::Held(taken)) => taken,
        other => panic!("{other:?}"),
    }
}

/// Waits for it and tells how long that took.
async fn until(limit: Duration, what: &str, mut done: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    started.elapsed()
}

async fn until_well(lock: &Lock) {
    until(Duration::from_secs(30), "all is well", async || lock.trouble().is_none()).await;
    assert!(!lock.lost().is_cancelled());
}

/// The session that has the key.
async fn session(consul: &ConsulClient, key: &str) -> Option<Session> {
    let id = consul.get(key).await.unwrap()?.session?;
    Some(serde_json::from_value(id.into()).unwrap())
}

#[tokio::test]
async fn a_lock_has_one_holder_and_says_who() {
    let server = ConsulServer::start();
    let (mine, yours) = (store(&server), store(&server));
    let lock = mine.lock(KEY, &holder("anna")).await.unwrap();
    assert_eq!(refused(&yours, KEY).await, LockTaken::By(holder("anna")));
    assert_eq!(refused(&mine, KEY).await, LockTaken::By(holder("anna")), "in the same process, too");
    let error = yours.lock(KEY, &holder("berta")).await.unwrap_err().to_string();
    assert_eq!(error, "held by anna on vault-sync-1 (process 4711, sync) since 2026-11-24 01:02:03 UTC");
    let other = yours.lock("vsync/eu/vsync/locks/destination", &holder("berta")).await.unwrap();
    assert_eq!((lock.trouble(), lock.lost().is_cancelled()), (None, false));

    assert_eq!(yours.lock_holder(KEY).await.unwrap(), Some(LockTaken::By(holder("anna"))));
    lock.release().await.unwrap();
    assert_eq!(yours.lock_holder(KEY).await.unwrap(), None, "looking takes nothing");
    let lock = yours.lock(KEY, &holder("berta")).await.expect("at once, without a delay");
    drop(lock);
    let mut lock = None;
    let again = async || {
        lock = mine.lock(KEY, &holder("anna")).await.ok();
        lock.is_some()
    };
    until(Duration::from_secs(2), "a lock that was dropped is let go", again).await;
    lock.unwrap().release().await.unwrap();
    other.release().await.unwrap();

    // of two who come at once one gets it
    let (anna, berta) = (holder("anna"), holder("berta"));
    let both = tokio::join!(mine.lock(KEY, &anna), yours.lock(KEY, &berta));
    assert!(both.0.is_ok() != both.1.is_ok(), "{both:?}");
}

#[tokio::test]
async fn the_key_and_the_datacenter_are_those_of_the_side() {
    let server = ConsulServer::start();
    let with = |datacenter: &str| {
        let datacenter = Some(datacenter.to_owned());
        vsync::state::open(&StoreSettings::Consul(ConsulSettings { datacenter, ..settings(&server) })).unwrap()
    };
    let state = State::new(with("dc1"), "/vsync/us-east", StateSide::Destination, Vec::new());
    assert_eq!(state.lock_key(), KEY);
    let lock = state.lock(&holder("anna")).await.unwrap();
    assert_eq!(refused(&store(&server), KEY).await, LockTaken::By(holder("anna")));
    let origin = State::new(with("dc1"), "/vsync/us-east", StateSide::Origin, Vec::new());
    origin.lock(&holder("berta")).await.unwrap().release().await.unwrap();
    lock.release().await.unwrap();
    let error = with("elsewhere").lock(KEY, &holder("anna")).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("lock {KEY} in Consul")) && error.contains("datacenter"), "{error}");
}

#[tokio::test]
async fn a_lock_lives_as_long_as_its_holder() {
    let server = ConsulServer::start();
    let mine = store(&server);
    let kept = mine.lock("kept", &holder("anna")).await.unwrap();
    // a runtime that ends takes its tasks along and lets none of them say goodbye, as a kill does
    let doomed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let its_store = store(&server);
    let killed = doomed.spawn(async move { its_store.lock("killed", &holder("anna")).await.unwrap() }).await.unwrap();
    doomed.shutdown_background();
    let started = Instant::now();

    let yours = store(&server);
    let (mut freed, mut just_freed) = (None, false);
    let someone_else_gets_it = async || {
        assert!(matches!(refused(&yours, "kept").await, LockTaken::By(_)) && kept.trouble().is_none());
        match yours.lock("killed", &holder("berta")).await {
            Ok(lock) => freed = Some(lock),
            Err(LockError::Held(taken)) => just_freed |= taken == LockTaken::JustFreed,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        freed.is_some()
    };
    until(FREED_AFTER + Duration::from_secs(5), "the lock is freed", someone_else_gets_it).await;
    assert!(started.elapsed() > Duration::from_secs(15), "not before its session could be renewed");
    assert!(just_freed, "there is a time in which nobody gets it");
    assert!(!kept.lost().is_cancelled());
    kept.release().await.unwrap();
    drop(killed);
    freed.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn a_consul_that_does_not_answer_is_trouble_but_no_loss() {
    let server = ConsulServer::start();
    let lock = store(&server).lock(KEY, &holder("anna")).await.unwrap();
    server.freeze();
    until(Duration::from_secs(12), "it is noticed", async || lock.trouble().is_some()).await;
    let trouble = lock.trouble().unwrap();
    assert!(trouble.contains(&server.address()) && trouble.contains("no answer within"), "{trouble}");
    assert!(!lock.lost().is_cancelled());
    server.thaw();
    until_well(&lock).await;
    assert_eq!(refused(&store(&server), KEY).await, LockTaken::By(holder("anna")));

    server.freeze();
    let started = Instant::now();
    let error = lock.release().await.unwrap_err().to_string();
    assert!(started.elapsed() < Duration::from_secs(10), "nobody is kept from ending");
    assert!(error.starts_with(&format!("unlock {KEY}")) && error.contains("by itself"), "{error}");
    server.thaw();
}

#[tokio::test]
async fn a_lock_outlives_a_restart_of_consul() {
    let mut server = ConsulServer::persistent();
    let lock = store(&server).lock(KEY, &holder("anna")).await.unwrap();
    server.kill();
    until(Duration::from_secs(12), "it is noticed", async || lock.trouble().is_some()).await;
    server.bring_back();
    until_well(&lock).await;
    assert_eq!(refused(&store(&server), KEY).await, LockTaken::By(holder("anna")));
    lock.release().await.unwrap();
}

#[tokio::test]
async fn a_lock_whose_session_ended_is_taken_again() {
    let server = ConsulServer::start();
    let consul = ConsulClient::new(&settings(&server)).unwrap();
    let lock = store(&server).lock(KEY, &holder("anna")).await.unwrap();
    consul.destroy_session(&session(&consul, KEY).await.unwrap()).await.unwrap();
    assert_eq!(consul.get(KEY).await.unwrap(), None, "the key goes with its session");
    assert_eq!(refused(&store(&server), KEY).await, LockTaken::JustFreed, "nobody gets it at once");
    until(Duration::from_secs(15), "it is taken again", async || session(&consul, KEY).await.is_some()).await;
    until_well(&lock).await;
    assert_eq!(refused(&store(&server), KEY).await, LockTaken::By(holder("anna")));

    // by an operator who found nobody to be there
    consul.delete(KEY).await.unwrap();
    until(Duration::from_secs(10), "it is taken again", async || session(&consul, KEY).await.is_some()).await;
    until_well(&lock).await;
    lock.release().await.unwrap();
    store(&server).lock(KEY, &holder("berta")).await.unwrap();
}

/// As a server does that has just started again and has not read all of its log.
#[tokio::test]
async fn a_consul_that_forgets_a_session_for_a_moment_costs_no_lock() {
    let server = ConsulServer::start();
    let consul = ConsulClient::new(&settings(&server)).unwrap();
    let proxy = FaultProxy::start(&server.address());
    let http = HttpSettings { address: proxy.address(), ..HttpSettings::default() };
    let through = ConsulSettings { http, ..settings(&server) };
    let mine = vsync::state::open(&StoreSettings::Consul(through)).unwrap();
    let lock = mine.lock(KEY, &holder("anna")).await.unwrap();
    let before = session(&consul, KEY).await;
    let renewals = proxy.rule("PUT", "^/v1/session/renew/", When::First(2), Fault::Status(404));
    let known_again = proxy.rule("PUT", "^/v1/session/renew/", When::From(4), Fault::Nothing);
    renewals.until_picked(2).await;
    // two more, which are the old session's again
    known_again.until_picked(1).await;
    assert_eq!((lock.trouble(), lock.lost().is_cancelled()), (None, false));
    assert_eq!(session(&consul, KEY).await, before);
    lock.release().await.unwrap();
    assert_eq!(mine.lock_holder(KEY).await.unwrap(), None);
}

#[tokio::test]
async fn a_lock_that_somebody_else_took_is_lost() {
    let server = ConsulServer::start();
    let consul = ConsulClient::new(&settings(&server)).unwrap();
    let (mine, yours) = (store(&server), store(&server));
    let taken = mine.lock("taken", &holder("anna")).await.unwrap();
    let lent = mine.lock("lent", &holder("anna")).await.unwrap();
    for key in ["taken", "lent"] {
        consul.delete(key).await.unwrap();
    }
    let theirs = yours.lock("taken", &holder("berta")).await.unwrap();
    yours.lock("lent", &holder("berta")).await.unwrap().release().await.unwrap();
    for lock in [&taken, &lent] {
        tokio::time::timeout(Duration::from_secs(10), lock.lost().cancelled()).await.expect("it is noticed");
    }
    let trouble = taken.trouble().unwrap();
    assert!(trouble.contains("lost") && trouble.contains("now held by berta"), "{trouble}");
    assert!(lent.trouble().unwrap().contains("lost"), "it was another's in between");

    taken.release().await.unwrap();
    lent.release().await.unwrap();
    assert_eq!(refused(&mine, "taken").await, LockTaken::By(holder("berta")), "it is not the loser's to let go");
    assert_eq!((theirs.trouble(), theirs.lost().is_cancelled()), (None, false));
}

#[tokio::test]
async fn a_watched_index_wakes_at_once() {
    let server = ConsulServer::start();
    let state = State::new(store(&server), "watched", StateSide::Origin, Vec::new());
    let mut watch = state.watch_index();
    assert_eq!(watch.changed().await.unwrap(), None);
    let other = store(&server);
    let change = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        other.put(vec![("watched/origin/index".to_owned(), b"[]".to_vec())]).await.unwrap();
        Instant::now()
    };
    let (value, changed) = tokio::join!(watch.changed(), change);
    assert_eq!(value.unwrap().as_deref(), Some(&b"[]"[..]));
    assert!(changed.elapsed() < Duration::from_millis(500));

    // dropped half-way, as a daemon's loop does when its tick comes first
    assert!(tokio::time::timeout(Duration::from_millis(300), watch.changed()).await.is_err());
    other.put(vec![("watched/origin/index".to_owned(), b"[1]".to_vec())]).await.unwrap();
    assert_eq!(watch.changed().await.unwrap().as_deref(), Some(&b"[1]"[..]));
}
