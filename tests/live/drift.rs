//! Nothing is overwritten blindly: secrets at the destination that vsync did not write as they are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use serde_json::{Value, json};
use vsync::engine::{
    Cause, CycleOptions, Ending, Engine, OnDrift, OnExisting, PlanOptions, Report, Rule, Transforms, VerifyOptions,
    VerifyProgress,
};
use vsync::kv::SecretPath;
use vsync::state::{State, StateSide, SyncInfoWriter};

use crate::sides::{Sides, plan, sync};
use crate::support::{BaoServer, RootClient, canary};

/// A cycle that also tries what is known to have drifted.
async fn again(engine: &Engine) -> Arc<Report> {
    let inventory = Arc::new(engine.survey(None).await);
    let plan = engine.plan(inventory, &PlanOptions { again: true, ..PlanOptions::default() }).await;
    engine.start(plan, CycleOptions::default()).unwrap().wait().await
}

fn version(client: &RootClient, name: &str) -> u64 {
    client.metadata("secret", name).unwrap()["current_version"].as_u64().unwrap()
}

fn is(client: &RootClient, name: &str, value: &Value) {
    assert_eq!(client.read("secret", name).as_ref(), Some(value), "{name}");
}

/// `app` is copied, and then changed on both sides.
async fn drifted(origin: &BaoServer, destination: &BaoServer) -> Sides {
    let sides = Sides::new(origin, destination);
    origin.client().write("secret", "app", &json!({ "v": canary("first") }));
    origin.client().write("secret", "other", &json!({ "v": canary("first") }));
    assert_eq!(sync(&sides.engine()).await.done().add, 2);
    destination.client().write("secret", "app", &json!({ "v": canary("by hand") }));
    origin.client().write("secret", "app", &json!({ "v": canary("second") }));
    origin.client().write("secret", "other", &json!({ "v": canary("second") }));
    sides
}

#[tokio::test]
async fn drift_is_reported_and_nothing_is_lost() {
    let (origin, destination) = (BaoServer::start(), BaoServer::with_audit());
    let sides = drifted(&origin, &destination).await;
    let there = destination.client();
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.failed()), (1, 1));
    let (_, failure) = report.failures().next().unwrap();
    assert_eq!(failure.cause, Cause::Drift);
    assert!(failure.message.contains("version 2 is there, and vsync left version 1"), "{}", failure.message);
    is(&there, "app", &json!({ "v": canary("by hand") }));
    is(&there, "other", &json!({ "v": canary("second") }));

    // from now on it is known, and left alone without a request
    let known = plan(&sides.engine()).await;
    assert!(known.is_empty());
    let drift = &known.destinations[0].drifted;
    assert_eq!(drift.len(), 1);
    assert_eq!((drift[0].origin.name(), drift[0].ours, drift[0].found), ("app", 1, 2));
    let mut audit = destination.audit();
    audit.restart();
    sync(&sides.engine()).await;
    assert_eq!(audit.touched("secret/data/"), Vec::<String>::new());
    // unless somebody asks, or the origin has something new
    let report = again(&sides.engine()).await;
    assert_eq!(report.failures().next().unwrap().1.cause, Cause::Drift);
    origin.client().write("secret", "app", &json!({ "v": canary("third") }));
    let report = sync(&sides.engine()).await;
    assert_eq!(report.failures().next().unwrap().1.cause, Cause::Drift);
    is(&there, "app", &json!({ "v": canary("by hand") }));
    assert_eq!(version(&there, "app"), 2);
}

#[tokio::test]
async fn drift_is_overwritten_if_the_origin_is_right() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let mut sides = drifted(&origin, &destination).await;
    assert_eq!(sync(&sides.engine()).await.failed(), 1);
    sides.destination.on_drift = OnDrift::Overwrite;
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.failed()), (1, 0));
    is(&destination.client(), "app", &json!({ "v": canary("second") }));
    assert_eq!(version(&destination.client(), "app"), 3);
    assert!(plan(&sides.engine()).await.is_empty());
    // and the ledger knows which version that is
    origin.client().write("secret", "app", &json!({ "v": canary("third") }));
    sides.destination.on_drift = OnDrift::Report;
    assert_eq!(sync(&sides.engine()).await.failed(), 0);
}

#[tokio::test]
async fn drift_is_kept_if_the_destination_is_right() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let mut sides = drifted(&origin, &destination).await;
    sides.destination.on_drift = OnDrift::Keep;
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.failed(), report.destinations[0].kept), (2, 0, 1));
    is(&destination.client(), "app", &json!({ "v": canary("by hand") }));
    assert!(plan(&sides.engine()).await.is_empty(), "it counts as in sync");
    origin.client().write("secret", "app", &json!({ "v": canary("third") }));
    assert_eq!(sync(&sides.engine()).await.destinations[0].kept, 1);
    is(&destination.client(), "app", &json!({ "v": canary("by hand") }));
}

#[tokio::test]
async fn what_somebody_else_changed_is_not_deleted() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let sides = drifted(&origin, &destination).await;
    let (here, there) = (origin.client(), destination.client());
    here.delete("secret", "app");
    let report = sync(&sides.engine()).await;
    assert_eq!((report.failed(), report.done().update), (1, 1), "{report:#?}");
    is(&there, "app", &json!({ "v": canary("by hand") }));
    let known = plan(&sides.engine()).await;
    assert_eq!((known.counts().delete, known.destinations[0].drifted.len()), (0, 1));
    // what vsync itself wrote goes
    here.write("secret", "more", &json!({}));
    sync(&sides.engine()).await;
    here.delete("secret", "more");
    assert_eq!(sync(&sides.engine()).await.done().delete, 1);
    assert_eq!(there.read("secret", "more"), None);
    // and comes back
    here.write("secret", "more", &json!({ "v": canary("again") }));
    assert_eq!(sync(&sides.engine()).await.done().add, 1);
    is(&there, "more", &json!({ "v": canary("again") }));
    assert_eq!(version(&there, "more"), 2);
}

#[tokio::test]
async fn a_first_sync_leaves_alone_what_is_there() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    for name in ["equal", "different", "new", "deleted there"] {
        here.write("secret", name, &json!({ "b": 1, "a": name }));
    }
    there.write("secret", "equal", &json!({ "a": "equal", "b": 1 }));
    there.write("secret", "different", &json!({ "a": canary("theirs") }));
    there.write("secret", "deleted there", &json!({ "a": canary("once") }));
    there.delete("secret", "deleted there");

    let mut sides = Sides::new(&origin, &destination);
    let first = plan(&sides.engine()).await;
    assert_eq!((first.counts().add, first.destinations[0].drifted.len()), (2, 2), "seen before anything is tried");
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().add, report.failed(), report.destinations[0].drifted), (2, 0, 2));
    is(&there, "different", &json!({ "a": canary("theirs") }));
    is(&there, "deleted there", &json!({ "b": 1, "a": "deleted there" }));
    let known = plan(&sides.engine()).await;
    assert_eq!((known.counts().total(), known.destinations[0].drifted.len()), (0, 2));
    let report = again(&sides.engine()).await;
    assert_eq!(report.failed(), 2);
    assert!(report.failures().all(|(_, failure)| failure.cause == Cause::Existing), "{report:#?}");

    sides.destination.on_existing = OnExisting::Adopt;
    let report = sync(&sides.engine()).await;
    assert_eq!((report.destinations[0].adopted, report.failed()), (1, 1));
    assert_eq!(version(&there, "equal"), 1, "nothing was written");
    let (_, failure) = report.failures().next().unwrap();
    assert!(failure.message.ends_with("its value differs from the origin's"), "{}", failure.message);
    is(&there, "different", &json!({ "a": canary("theirs") }));
    assert!(plan(&sides.engine()).await.is_empty(), "it is not compared again in each cycle");

    sides.destination.on_existing = OnExisting::Overwrite;
    assert_eq!(sync(&sides.engine()).await.failed(), 0);
    is(&there, "different", &json!({ "b": 1, "a": "different" }));
    assert!(plan(&sides.engine()).await.is_empty());
    // what was adopted is vsync's from then on
    here.write("secret", "equal", &json!({ "a": canary(2) }));
    assert_eq!(sync(&sides.engine()).await.failed(), 0);
    assert_eq!(version(&there, "equal"), 2);
}

#[tokio::test]
async fn state_without_a_ledger_is_taken_over() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let mut sides = Sides::new(&origin, &destination);
    for name in ["a", "b", "c", "d"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
    }
    sync(&sides.engine()).await;
    // as vsync v0.3 leaves it: nothing but sync info
    let store = &sides.destination.store;
    let keys = store.list("vsync/there/vsync/").await.unwrap();
    assert!(keys.iter().any(|key| key.contains("/ledger/")), "{keys:?}");
    store.delete(&keys).await.unwrap();
    assert!(plan(&sides.engine()).await.is_empty());

    here.write("secret", "a", &json!({ "v": canary(2) }));
    here.delete("secret", "b");
    sides.destination.max_delete = vsync::engine::MaxDelete::Percent(100.0);
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.done().delete, report.failed()), (1, 1, 0), "{report:#?}");
    assert_eq!((version(&there, "a"), version(&there, "c")), (2, 1));
    assert_eq!(there.read("secret", "b"), None);

    // a token that may not look: no blind write, and the failure says what is missing
    let rules = r#"path "secret/data/*" { capabilities = ["create", "update", "delete"] }"#;
    let token = there.policy_token("writer", rules);
    sides.destination.vault = crate::sides::vault(&destination, &token);
    here.write("secret", "c", &json!({ "v": canary(2) }));
    here.write("secret", "a", &json!({ "v": canary(3) }));
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.failed()), (1, 1));
    let (_, failure) = report.failures().next().unwrap();
    assert_eq!(failure.cause, Cause::Permission);
    assert!(failure.message.contains("allow \"read\" on secret/metadata/c"), "{}", failure.message);
    assert_eq!((version(&there, "a"), version(&there, "c")), (3, 1));
}

#[tokio::test]
async fn one_cycle_at_a_time() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let here = origin.client();
    here.write_all("secret", (0..200).map(|n| (format!("app{n}"), json!({ "n": canary(n) }))));
    let sides = Sides::new(&origin, &destination);
    let (first, second) = (plan(&sides.engine()).await, plan(&sides.engine()).await);
    let handle = sides.engine().start(first, CycleOptions::default()).unwrap();
    handle.control().pause();
    let mut snapshots = handle.snapshots();
    snapshots.wait_for(|snapshot| snapshot.phase == vsync::engine::Phase::Paused).await.unwrap();
    let report = sides.engine().start(second, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.ending, report.done().total()), (Ending::Halted, 0));
    let part = &report.destinations[0];
    let holder = part.locked.as_ref().unwrap();
    assert_eq!((holder.operator.as_str(), holder.host.as_str()), ("tester", "here"));
    assert_eq!((holder.pid, holder.purpose.as_str()), (std::process::id(), "sync"));
    assert!(part.blocked.as_ref().unwrap().contains("tester on here"), "{part:?}");
    handle.control().resume();
    let report = handle.wait().await;
    assert_eq!((report.ending, report.done().add), (Ending::Completed, 200));
    // it has let go
    here.write("secret", "app1", &json!({}));
    assert_eq!(sync(&sides.engine()).await.done().update, 1);
}

/// What vsync v0.3 does: it writes, and records it in the sync info alone.
async fn copied_by_v0_3(sides: &Sides, there: &RootClient, name: &str, data: &Value) {
    there.write("secret", name, data);
    let inventory = sides.engine().survey(None).await;
    let mounts = sides.origin.mounts.clone();
    let state = State::new(Arc::clone(&sides.destination.store), "vsync/there/", StateSide::Destination, mounts);
    let stored = state.load_sync_info(None).await.unwrap().unwrap();
    let path = SecretPath::new(&sides.origin.mounts[0], name);
    let mut info = stored.info;
    info.insert(path.clone(), *inventory.secrets.get(&path).unwrap());
    SyncInfoWriter::new(state, Some(&stored.index)).save(&mut info).await.unwrap();
}

#[tokio::test]
async fn v0_3_may_have_a_turn_in_between() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let sides = Sides::new(&origin, &destination);
    here.write("secret", "app", &json!({ "v": canary(1) }));
    sync(&sides.engine()).await;
    here.write("secret", "app", &json!({ "v": canary(2) }));
    here.write("secret", "more", &json!({ "v": canary(1) }));
    copied_by_v0_3(&sides, &there, "app", &json!({ "v": canary(2) })).await;
    copied_by_v0_3(&sides, &there, "more", &json!({ "v": canary(1) })).await;
    assert!(plan(&sides.engine()).await.is_empty());
    let verified = sides.engine().verify(&VerifyOptions::default(), &VerifyProgress::default()).await;
    assert!(verified[0].findings.is_empty(), "{:?}", verified[0].findings);
    here.write("secret", "app", &json!({ "v": canary(3) }));
    here.write("secret", "more", &json!({ "v": canary(2) }));
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().update, report.failed()), (2, 0), "{report:#?}");
    assert_eq!((version(&there, "app"), version(&there, "more")), (3, 2));
    // and the ledger holds again
    there.write("secret", "app", &json!({ "v": canary("by hand") }));
    here.write("secret", "app", &json!({ "v": canary(4) }));
    assert_eq!(sync(&sides.engine()).await.failures().next().unwrap().1.cause, Cause::Drift);
}

#[tokio::test]
async fn what_was_put_right_by_hand_is_no_drift() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let sides = drifted(&origin, &destination).await;
    assert_eq!(sync(&sides.engine()).await.failed(), 1);
    destination.client().write("secret", "app", &json!({ "v": canary("second") }));
    let report = again(&sides.engine()).await;
    assert_eq!((report.failed(), report.destinations[0].adopted), (0, 1));
    assert_eq!(version(&destination.client(), "app"), 3, "nothing was written");
    origin.client().write("secret", "app", &json!({ "v": canary("third") }));
    assert_eq!(sync(&sides.engine()).await.failed(), 0);
}

#[tokio::test]
async fn what_was_kept_can_be_overwritten_later() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let mut sides = drifted(&origin, &destination).await;
    sides.destination.on_drift = OnDrift::Keep;
    assert_eq!(sync(&sides.engine()).await.destinations[0].kept, 1);
    sides.destination.on_drift = OnDrift::Report;
    assert!(plan(&sides.engine()).await.is_empty(), "a decision stands");
    sides.destination.on_drift = OnDrift::Overwrite;
    assert_eq!(sync(&sides.engine()).await.done().update, 1);
    is(&destination.client(), "app", &json!({ "v": canary("second") }));
}

/// `a/app` was copied to `one/app` and is gone; `b/app` has taken its place there, and is not known at the moment.
#[tokio::test]
async fn a_path_that_another_secret_took_over_is_not_deleted() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let mut sides = Sides::new(&origin, &destination);
    let rule = Rule {
        name: "one".to_owned(),
        from: "^secret/data/[ab]/app$".to_owned(),
        to: "secret/data/one/app".to_owned(),
    };
    sides.destination.transforms = Transforms::new(&[rule]).unwrap();
    sides.destination.max_delete = vsync::engine::MaxDelete::Percent(100.0);
    here.write("secret", "a/app", &json!({ "from": canary("a") }));
    here.write("secret", "other", &json!({}));
    sync(&sides.engine()).await;
    here.remove("secret", "a/app");
    here.write("secret", "b/app", &json!({ "from": canary("b") }));
    // both are recorded now, as a vsync that knew no better, or one that was killed at the wrong moment, leaves it
    copied_by_v0_3(&sides, &there, "b/app", &json!({ "from": canary("b") })).await;
    there.remove("secret", "b/app");
    there.write("secret", "one/app", &json!({ "from": canary("b") }));

    let (reader, allowed) = here.policy_of(&sides.tokens[0]);
    let closed = r#"
        path "secret/detailed-metadata/b/*" { capabilities = ["deny"] }
        path "secret/detailed-metadata/b/" { capabilities = ["deny"] }
        path "secret/metadata/b/*" { capabilities = ["deny"] }
        path "secret/metadata/b/" { capabilities = ["deny"] }"#;
    here.policy(&reader, &format!("{allowed}{closed}"));
    let half = plan(&sides.engine()).await;
    assert!(!half.inventory.is_complete());
    assert_eq!(half.counts().delete, 0, "{half:#?}");
    sync(&sides.engine()).await;
    is(&there, "one/app", &json!({ "from": canary("b") }));
}

#[tokio::test]
async fn what_verify_finds_can_be_repaired() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let sides = Sides::new(&origin, &destination);
    for name in ["edited", "deleted", "purged", "gone", "fine"] {
        here.write("secret", name, &json!({ "v": canary(name) }));
    }
    sync(&sides.engine()).await;
    here.delete("secret", "gone");
    sync(&sides.engine()).await;
    there.write("secret", "edited", &json!({ "v": canary("by hand") }));
    there.delete("secret", "deleted");
    there.remove("secret", "purged");
    there.write("secret", "gone", &json!({ "v": canary("by hand") }));
    let engine = sides.engine();
    assert!(plan(&engine).await.is_empty(), "the origin has nothing new");

    let found = engine.verify(&VerifyOptions::default(), &VerifyProgress::default()).await;
    assert_eq!(found[0].findings.len(), 4, "{:#?}", found[0].findings);
    let inventory = Arc::new(engine.survey(None).await);
    let repair = engine.plan_repair(&found, inventory).await;
    let counts = repair.counts();
    assert_eq!((counts.add, counts.update, counts.delete), (2, 1, 1));
    let report = engine.start(repair, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.failed(), report.done().total()), (0, 4), "{report:#?}");
    for name in ["edited", "deleted", "purged", "fine"] {
        is(&there, name, &json!({ "v": canary(name) }));
    }
    assert_eq!(there.read("secret", "gone"), None);
    assert_eq!(version(&there, "fine"), 1);
    let found = engine.verify(&VerifyOptions::default(), &VerifyProgress::default()).await;
    assert_eq!(found[0].findings, []);
    assert!(plan(&engine).await.is_empty());
}

#[tokio::test]
async fn a_secret_made_anew_at_the_origin_does_not_make_drift_forgotten() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let mut sides = Sides::new(&origin, &destination);
    here.write("secret", "app", &json!({ "v": canary(1) }));
    here.write("secret", "app", &json!({ "v": canary(2) }));
    sync(&sides.engine()).await;
    there.write("secret", "app", &json!({ "v": canary("by hand") }));
    here.remove("secret", "app");
    here.write("secret", "app", &json!({ "v": canary("anew") }));
    assert_eq!(sync(&sides.engine()).await.failed(), 1);
    let known = plan(&sides.engine()).await;
    assert_eq!((known.counts().total(), known.destinations[0].drifted.len()), (0, 1));
    let found = sides.engine().verify(&VerifyOptions::default(), &VerifyProgress::default()).await;
    assert_eq!(found[0].findings.len(), 1);
    sync(&sides.engine()).await;
    is(&there, "app", &json!({ "v": canary("by hand") }));
    here.remove("secret", "app");
    sides.destination.max_delete = vsync::engine::MaxDelete::Percent(100.0);
    sync(&sides.engine()).await;
    is(&there, "app", &json!({ "v": canary("by hand") }));
}
