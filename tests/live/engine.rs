//! The engine against real servers: listing on every rung, incomplete origins, cycles that are steered or cut off.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vsync::consul::ConsulSettings;
use vsync::engine::{
    Cause, CycleOptions, DestinationName, Ending, Engine, EngineError, Event, Holders, Listing, MaxDelete, Objection,
    Operator, Phase, Rule, Side, Transforms,
};
use vsync::http::HttpSettings;
use vsync::kv::PathFilter;
use vsync::state::{self, LockTaken, StoreSettings};

use crate::sides::{Sides, mount, plan, sync, vault};
use crate::support::{BaoServer, ConsulServer, RootClient};

const NAMES: usize = 120;

fn seed(client: &RootClient) {
    client.write_all("secret", (0..NAMES).map(|n| (format!("team{}/app{n}", n % 4), json!({ "n": n }))));
    client.write("secret", "team0", &json!({ "same name": "as a folder" }));
    client.write("secret", "gone/soft", &json!({}));
    client.delete("secret", "gone/soft");
    client.write("secret", "gone/destroyed", &json!({}));
    client.destroy("secret", "gone/destroyed", &[1]);
}

/// What a server holds then, as text.
fn seeded() -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        (0..NAMES).map(|n| (format!("team{}/app{n}", n % 4), json!({ "n": n }).to_string())).collect();
    all.insert("team0".to_owned(), json!({ "same name": "as a folder" }).to_string());
    all
}

#[tokio::test]
async fn every_way_of_listing_finds_the_same() {
    let server = BaoServer::with_audit();
    seed(&server.client());
    let mut sides = Sides::new(&server, &server);
    let mut audit = server.audit();
    for (listing, asks) in [
        (Listing::Auto, "scan secret/detailed-metadata/team1"),
        (Listing::Scan, "scan secret/detailed-metadata"),
        (Listing::Detailed, "list secret/detailed-metadata/team1"),
        (Listing::Plain, "read secret/metadata/team1/app1"),
    ] {
        audit.restart();
        sides.origin.listing = listing;
        let inventory = sides.engine().survey(None).await;
        assert_eq!(inventory.unknown, [], "{listing:?}");
        let mut names: Vec<&str> = inventory.secrets.iter().map(|(path, _)| path.name()).collect();
        names.sort_unstable();
        assert_eq!(names, seeded().keys().map(String::as_str).collect::<Vec<_>>(), "{listing:?}");
        assert_eq!(inventory.deleted, 2, "{listing:?}");
        let asked = audit.touched("secret/");
        assert!(asked.iter().any(|line| line.trim_end_matches('/') == asks), "{listing:?}: {asked:?}");
        assert!(!asked.iter().any(|line| line.contains("secret/data/")), "no data is read: {asked:?}");
    }
}

#[tokio::test]
async fn a_token_without_the_better_ways_takes_the_plain_one() {
    let server = BaoServer::start();
    let root = server.client();
    seed(&root);
    let token = root.policy_token("plain", r#"path "secret/metadata/*" { capabilities = ["list", "read"] }"#);
    let mut sides = Sides::new(&server, &server);
    sides.origin.vault = vault(&server, &token);
    let inventory = sides.engine().survey(None).await;
    assert_eq!(inventory.unknown, []);
    assert_eq!(inventory.secrets.len(), NAMES + 1);
}

#[tokio::test]
async fn a_folder_that_may_not_be_listed_is_unknown_and_nothing_else() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    let root = from.client();
    seed(&root);
    let mut sides = Sides::new(&from, &to);
    sides.destination.max_delete = MaxDelete::Percent(100.0);
    assert_eq!(sync(&sides.engine()).await.failed(), 0);

    let (reader, allowed) = root.policy_of(&sides.tokens[0]);
    let closed = r#"
        path "secret/metadata/team1/*" { capabilities = ["deny"] }
        path "secret/detailed-metadata/team1/*" { capabilities = ["deny"] }
    "#;
    root.policy(&reader, &format!("{allowed}{closed}"));
    root.remove("secret", "team1/app1");
    root.remove("secret", "team2/app2");
    let plan = plan(&sides.engine()).await;
    let unknown: Vec<&str> = plan.inventory.unknown.iter().map(|subtree| subtree.prefix.as_str()).collect();
    assert_eq!(unknown, ["secret/team1/"]);
    assert!(plan.inventory.unknown[0].reason.contains("permission denied"), "{:?}", plan.inventory.unknown);
    assert_eq!(plan.destinations[0].unknown.len(), NAMES / 4);
    let report = sides.engine().start(plan, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.done().delete, report.failed()), (1, 0));
    assert_eq!(report.origin_unknown.len(), 1);
    assert!(to.client().read("secret", "team1/app1").is_some(), "unknown is not gone");
    assert!(to.client().read("secret", "team2/app2").is_none());
    assert!(to.client().read("secret", "team1/app5").is_some());
}

#[tokio::test]
async fn a_server_that_does_not_answer_makes_all_unknown() {
    let (mut from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    sync(&sides.engine()).await;
    from.kill();
    let plan = plan(&sides.engine()).await;
    assert_eq!(plan.counts().total(), 0);
    assert_eq!(plan.inventory.unknown[0].prefix, "secret/");
    assert_eq!(plan.destinations[0].unknown.len(), NAMES + 1);
}

#[tokio::test]
async fn a_copy_is_exact_and_the_next_cycle_has_nothing_to_do() {
    let (from, to) = (BaoServer::start(), BaoServer::with_audit());
    seed(&from.client());
    let odd =
        json!({ "big": 12_345_678_901_234_567_890_u64, "float": 1.10, "nested": { "b": [1, null, "<&>"], "a": {} } });
    from.client().write("secret", "odd/a b?#%\\+ü", &odd);
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    let report = sync(&engine).await;
    assert_eq!((report.done().add, report.failed(), report.ending), (NAMES as u64 + 2, 0, Ending::Completed));
    assert_eq!(to.client().read_all("secret"), from.client().read_all("secret"));

    let mut audit = to.audit();
    audit.restart();
    let plan = plan(&engine).await;
    assert!(plan.is_empty());
    assert_eq!(plan.destinations[0].in_sync, NAMES as u64 + 2);
    engine.start(plan, CycleOptions::default()).unwrap().wait().await;
    assert_eq!(audit.touched("secret/"), [""; 0]);
    let history = engine.history(10).await.unwrap();
    assert_eq!(history.len(), 1, "a cycle that had nothing to do is not kept");
    assert_eq!(history[0], *report);
}

#[tokio::test]
async fn a_wiped_origin_deletes_nothing() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    sync(&engine).await;
    for name in seeded().keys() {
        from.client().remove("secret", name);
    }
    let wiped = plan(&engine).await;
    let refused = engine.start(wiped, CycleOptions::default());
    assert!(
        matches!(&refused, Err(EngineError::Objection { objection, .. }) if matches!(**objection, Objection::EmptyOrigin { .. })),
        "{refused:?}"
    );
    assert_eq!(to.client().read_all("secret"), seeded());

    from.client().disable_mount("secret");
    let unmounted = plan(&engine).await;
    assert_eq!(unmounted.inventory.unknown.len(), 1, "a mount that is not there tells nothing");
    assert_eq!(unmounted.counts().delete, 0);
}

#[tokio::test]
async fn a_cancelled_cycle_keeps_what_it_did() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    let first = plan(&engine).await;
    let handle = engine.start(first, CycleOptions::default()).unwrap();
    let control = handle.control();
    let mut snapshots = handle.snapshots();
    control.pause();
    snapshots.wait_for(|snapshot| snapshot.phase == Phase::Paused).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let paused = snapshots.borrow().ended();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(snapshots.borrow().ended(), paused, "nothing moves while paused");
    control.cancel();
    let report = handle.wait().await;
    assert_eq!(report.ending, Ending::Cancelled);
    assert_eq!(report.done().total(), paused);
    assert_eq!(report.pending(), NAMES as u64 + 1 - paused);

    let rest = plan(&engine).await;
    assert_eq!(rest.counts().add, report.pending(), "what was done is recorded");
    let report = engine.start(rest, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.failed(), report.pending()), (0, 0));
    assert_eq!(to.client().read_all("secret"), seeded());
    let versions = to.client().metadata_all("secret");
    assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "nothing was written twice");
}

#[tokio::test]
async fn failures_are_listed_and_a_retry_makes_them_good() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let root = to.client();
    let rules = r#"path "secret/data/*" { capabilities = ["create", "update", "delete"] }"#;
    let denied = format!("{rules}\npath \"secret/data/team3/*\" {{ capabilities = [\"deny\"] }}");
    let token = root.policy_token("writer", &denied);
    let mut sides = Sides::new(&from, &to);
    sides.destination.vault = vault(&to, &token);
    let engine = sides.engine();

    let dry = CycleOptions { dry_run: true, ..CycleOptions::default() };
    let dry = engine.start(plan(&engine).await, dry).unwrap().wait().await;
    assert_eq!((dry.failed(), dry.done().add), (NAMES as u64 / 4, NAMES as u64 * 3 / 4 + 1));
    assert_eq!(to.client().read_all("secret").len(), 0, "a dry run writes nothing");

    let report = sync(&engine).await;
    assert_eq!(report.failed(), NAMES as u64 / 4);
    let (_, failure) = report.failures().next().unwrap();
    assert_eq!(failure.cause, Cause::Permission);
    assert!(failure.origin.name().starts_with("team3/"));
    let standing = engine.standing_failures().await.unwrap();
    assert_eq!(standing[&sides.destination.name].len(), NAMES / 4);

    root.policy("writer", rules);
    let retry = engine
        .select(&plan(&engine).await, |name, task| standing[name].iter().any(|failure| failure.origin == task.origin));
    let report = engine.start(retry, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.done().add, report.failed()), (NAMES as u64 / 4, 0));
    assert!(engine.standing_failures().await.unwrap().is_empty());
    assert_eq!(to.client().read_all("secret"), seeded());
}

#[tokio::test]
async fn a_dead_destination_ends_the_cycle_soon() {
    let (from, mut to) = (BaoServer::start(), BaoServer::persistent());
    seed(&from.client());
    let mut sides = Sides::new(&from, &to);
    sides.destination.patience = Some(Duration::from_secs(1));
    let engine = sides.engine();
    let ready = plan(&engine).await;
    to.kill();
    let report =
        tokio::time::timeout(Duration::from_mins(1), engine.start(ready, CycleOptions::default()).unwrap().wait())
            .await
            .expect("it does not wait for each secret in turn");
    assert_eq!((report.failed(), report.pending()), (0, NAMES as u64 + 1));
    let [part] = &report.destinations[..] else { panic!("one destination") };
    assert!(part.unreached && part.blocked.as_deref().is_some_and(|reason| reason.contains("did not answer")));
    to.bring_back();
    assert_eq!(sync(&engine).await.failed(), 0);
    assert_eq!(to.client().read_all("secret"), seeded());
}

#[tokio::test]
async fn a_cycle_that_takes_too_long_leaves_the_rest_pending() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    let ready = plan(&engine).await;
    from.freeze();
    let options = CycleOptions { timeout: Some(Duration::from_millis(500)), ..CycleOptions::default() };
    let report = engine.start(ready, options).unwrap().wait().await;
    from.thaw();
    assert_eq!((report.ending, report.done().total()), (Ending::TimedOut, 0));
    assert_eq!(report.pending(), NAMES as u64 + 1);
}

#[tokio::test]
async fn loopback_is_stable_and_a_loop_that_feeds_itself_is_refused() {
    let server = BaoServer::start();
    server.client().enable_kv("runnerv2");
    for env in ["dev", "prod"] {
        server.client().write("secret", &format!("runner/{env}/app"), &json!({ "env": env }));
    }
    let mut sides = Sides::new(&server, &server);
    sides.origin.filter = PathFilter::new(&["secret/runner/**".to_owned()], &[], &[mount("secret")]).unwrap();
    sides.destination.mounts = vec![mount("runnerv2")];
    let rule = |to: &str| Rule {
        name: "v2".to_owned(),
        from: "^secret/data/runner/(?P<env>[^/]+)/(?P<app>[^/]+)$".to_owned(),
        to: to.to_owned(),
    };
    sides.destination.transforms = Transforms::new(&[rule("runnerv2/data/${env}/${app}/secrets")]).unwrap();
    sides.let_in(&server, &server);
    let engine = sides.engine();
    assert_eq!(sync(&engine).await.done().add, 2);
    for _ in 0..3 {
        assert!(plan(&engine).await.is_empty());
    }
    let copied = server.client().read_all("runnerv2");
    assert_eq!(copied["dev/app/secrets"], json!({ "env": "dev" }).to_string());
    assert_eq!(copied.len(), 2);

    sides.destination.mounts = vec![mount("secret")];
    sides.destination.sync_path = "vsync/feeding/".to_owned();
    sides.destination.transforms = Transforms::new(&[rule("secret/data/runner/copies/${env}/${app}")]).unwrap();
    sides.let_in(&server, &server);
    let feeding = plan(&sides.engine()).await;
    let refused = sides.engine().start(feeding, CycleOptions::default());
    assert!(refused.unwrap_err().to_string().contains("loopback"));
    assert_eq!(server.client().read_all("secret").len(), 2);
}

#[tokio::test]
async fn a_mount_that_is_made_anew_stops_at_the_guard_whatever_its_version() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    from.client().enable_kv("more");
    to.client().enable_kv("more");
    from.client().write_all("more", (0..4).map(|n| (format!("app{n}"), json!({ "n": n }))));
    let mut sides = Sides::new(&from, &to);
    sides.origin.mounts.push(mount("more"));
    sides.destination.mounts.push(mount("more"));
    sides.let_in(&from, &to);
    // what is made anew is of another version: without rules for that one it is unknown, and nobody would object
    let (reader, allowed) = from.client().policy_of(&sides.tokens[0]);
    from.client().policy(&reader, &format!("{allowed}\npath \"more/*\" {{ capabilities = [\"list\", \"read\"] }}"));
    let engine = sides.engine();
    sync(&engine).await;

    from.client().disable_mount("more");
    let v1 = json!({ "type": "kv", "options": { "version": "1" } });
    assert_eq!(from.client().request("POST", "sys/mounts/more", Some(v1)).0, 204);
    for again in [false, true] {
        if again {
            from.client().disable_mount("more");
            from.client().enable_kv("more");
        }
        let emptied = plan(&engine).await;
        let objections: Vec<_> = emptied.objections().map(|(_, objection)| objection.clone()).collect();
        assert_eq!(objections, [Objection::EmptyOrigin { mount: "more/".to_owned(), recorded: 4 }], "{again}");
    }
    assert_eq!(to.client().read_all("more").len(), 4);
}

#[tokio::test]
async fn a_destination_of_version_1_is_refused() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    to.client().disable_mount("secret");
    let v1 = json!({ "type": "kv", "options": { "version": "1" } });
    assert_eq!(to.client().request("POST", "sys/mounts/secret", Some(v1)).0, 204);
    let plan = plan(&Sides::new(&from, &to).engine()).await;
    let refused: Vec<String> = plan.objections().map(|(_, objection)| objection.to_string()).collect();
    assert!(refused[0].contains("secret/ is KV version 1"), "{refused:?}");
}

#[tokio::test]
async fn a_changed_transform_does_not_touch_what_others_wrote() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    to.client().enable_kv("other");
    let mut sides = Sides::new(&from, &to);
    sync(&sides.engine()).await;

    to.client().write("other", "team1/app1", &json!({ "written by": "somebody else" }));
    from.client().remove("secret", "team1/app1");
    let rule = Rule {
        name: "elsewhere".to_owned(),
        from: "^secret/data/(?P<rest>team1/.*)$".to_owned(),
        to: "other/data/${rest}".to_owned(),
    };
    sides.destination.mounts.push(mount("other"));
    sides.destination.transforms = Transforms::new(&[rule]).unwrap();
    sides.let_in(&from, &to);
    let moved = plan(&sides.engine()).await;
    assert_eq!(moved.destinations[0].moved, NAMES as u64 / 4);
    assert_eq!((moved.counts().add, moved.counts().delete), (NAMES as u64 / 4 - 1, 0));
    let report = sides.engine().start(moved, CycleOptions::default()).unwrap().wait().await;
    assert_eq!(report.failed(), 0);
    assert_eq!(to.client().read_all("other").len(), NAMES / 4);
    assert!(to.client().read("other", "team1/app1").is_some(), "not ours to delete");
    assert!(plan(&sides.engine()).await.is_empty());
}

#[tokio::test]
async fn another_server_does_not_pass_for_the_one_that_was_copied_to() {
    let (from, to, another) = (BaoServer::start(), BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let mut sides = Sides::new(&from, &to);
    sync(&sides.engine()).await;
    sides.let_in(&from, &another);
    let objections: Vec<String> = plan(&sides.engine()).await.objections().map(|(_, one)| one.to_string()).collect();
    assert!(objections[0].contains(&another.address()), "{objections:?}");
    sides.destination.sync_path = "vsync/anew/".to_owned();
    assert_eq!(sync(&sides.engine()).await.failed(), 0);
    assert_eq!(another.client().read_all("secret"), seeded());
}

#[tokio::test]
async fn nothing_is_written_when_it_cannot_be_recorded() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let mut sides = Sides::new(&from, &to);
    let file = "/proc/nowhere/state.redb".into();
    sides.destination.store = state::open(&StoreSettings::Embedded { file }).unwrap();
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().total(), report.pending()), (0, NAMES as u64 + 1));
    assert_eq!(report.ending, Ending::Halted);
    let reason = report.destinations[0].blocked.clone().unwrap();
    assert!(reason.contains("/proc/nowhere"), "{reason}");
    assert_eq!(to.client().read_all("secret").len(), 0);
}

#[tokio::test]
async fn a_record_goes_only_when_its_successor_is_written() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    from.client().write("secret", "a/x", &json!({ "from": "a" }));
    from.client().write("secret", "kept", &json!({}));
    let mut sides = Sides::new(&from, &to);
    let rule = Rule {
        name: "flat".to_owned(),
        from: "^secret/data/[ab]/(?P<name>.*)$".to_owned(),
        to: "secret/data/${name}".to_owned(),
    };
    sides.destination.transforms = Transforms::new(&[rule]).unwrap();
    sync(&sides.engine()).await;

    from.client().remove("secret", "a/x");
    from.client().write("secret", "b/x", &json!({ "from": "b" }));
    let token = to.client().policy_token("none", r#"path "secret/data/y" { capabilities = ["create"] }"#);
    let allowed = sides.destination.vault.clone();
    sides.destination.vault = vault(&to, &token);
    assert_eq!(sync(&sides.engine()).await.failed(), 1);
    from.client().remove("secret", "b/x");
    sides.destination.vault = allowed;
    assert_eq!(sync(&sides.engine()).await.done().delete, 1, "what a/x left behind is still known");
    assert!(to.client().read("secret", "x").is_none());
}

#[tokio::test]
async fn a_revoked_token_stops_the_cycle_soon() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let ready = plan(&sides.engine()).await;
    to.client().revoke(&sides.tokens[1]);
    let report = sides.engine().start(ready, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.failed(), report.done().total(), report.ending), (0, 0, Ending::Halted));
    assert_eq!(report.pending(), report.planned().total(), "what is left is pending");
    let reason = report.destinations[0].blocked.clone().unwrap();
    assert!(reason.contains("no longer valid"), "{reason}");
}

#[tokio::test]
async fn a_plan_that_another_cycle_has_overtaken_is_not_executed() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    let old = plan(&engine).await;
    sync(&engine).await;
    let report = engine.start(old, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.done().total(), report.ending), (0, Ending::Halted));
    let reason = report.destinations[0].blocked.clone().unwrap();
    assert!(reason.contains("plan again"), "{reason}");
    assert!(to.client().metadata_all("secret").values().all(|metadata| metadata["current_version"] == 1));
}

#[tokio::test]
async fn a_destination_that_takes_too_long_does_not_stop_the_others() {
    let (from, fast, slow) = (BaoServer::start(), BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let mut sides = Sides::new(&from, &fast);
    let mut second = sides.destination.clone();
    second.name = DestinationName::new("slow");
    second.sync_path = "vsync/slow/".to_owned();
    second.vault = vault(&slow, &sides.token_at(&slow));
    second.timeout = Some(Duration::from_millis(400));
    sides.destination.timeout = None;
    let operator = Operator { name: "tester".to_owned(), host: "here".to_owned() };
    let engine = Engine::new(sides.origin.clone(), vec![sides.destination.clone(), second], operator);
    let ready = plan(&engine).await;
    slow.freeze();
    let handle = engine.start(ready, CycleOptions::default()).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    slow.thaw();
    let report = handle.wait().await;
    let [fast_part, slow_part] = &report.destinations[..] else { panic!("{report:?}") };
    assert_eq!((fast_part.pending, fast_part.done.add), (0, NAMES as u64 + 1));
    assert!(slow_part.pending > 0, "{slow_part:?}");
    assert_eq!(report.ending, Ending::TimedOut);
}

#[tokio::test]
async fn two_destinations_do_not_write_the_same_paths() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &to);
    let mut second = sides.destination.clone();
    second.name = DestinationName::new("again");
    second.sync_path = "vsync/again/".to_owned();
    let operator = Operator { name: "tester".to_owned(), host: "here".to_owned() };
    let engine = Engine::new(sides.origin.clone(), vec![sides.destination.clone(), second], operator);
    let objections: Vec<Objection> = plan(&engine).await.objections().map(|(_, one)| one.clone()).collect();
    assert!(matches!(objections[..], [Objection::SharedPath { count: 121, .. }]), "{objections:?}");
}

#[tokio::test]
async fn what_was_done_while_consul_was_away_is_saved_when_it_is_back() {
    let (from, to, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    seed(&from.client());
    let mut sides = Sides::new(&from, &to);
    let http = HttpSettings {
        address: consul.address(),
        timeout: Duration::from_secs(1),
        max_retries: 1,
        ..HttpSettings::default()
    };
    let settings = ConsulSettings { http, datacenter: None, token: None };
    let store = state::open(&StoreSettings::Consul(settings)).unwrap();
    (sides.origin.store, sides.destination.store) = (Arc::clone(&store), store);
    sides.destination.num_workers = 1;
    let engine = sides.engine();
    let ready = plan(&engine).await;
    let options = CycleOptions { save_every: Duration::from_millis(200), ..CycleOptions::default() };
    let mut handle = engine.start(ready, options).unwrap();
    let mut events = handle.take_events().unwrap();
    let mut snapshots = handle.snapshots();
    snapshots.wait_for(|snapshot| snapshot.ended() > 0).await.unwrap();
    handle.control().pause();
    snapshots.wait_for(|snapshot| snapshot.phase == Phase::Paused).await.unwrap();
    consul.freeze();
    handle.control().resume();
    let unsaved = async { while !matches!(events.recv().await, Some(Event::Unsaved(..)) | None) {} };
    tokio::time::timeout(Duration::from_secs(30), unsaved).await.expect("somebody is told");
    consul.thaw();
    let report = handle.wait().await;
    assert_eq!((report.failed(), report.pending(), report.destinations[0].unsaved.clone()), (0, 0, None));
    assert!(plan(&engine).await.is_empty(), "all of it is recorded");
    assert_eq!(engine.history(1).await.unwrap()[0].cycle, report.cycle);
}

#[tokio::test]
async fn a_skipped_destination_keeps_no_other_waiting() {
    let (from, slow, quick) = (BaoServer::start(), BaoServer::start(), BaoServer::start());
    seed(&from.client());
    let sides = Sides::new(&from, &slow);
    let mut other = sides.destination.clone();
    other.name = DestinationName::new("quick");
    other.sync_path = "vsync/quick/".to_owned();
    other.vault = vault(&quick, &sides.token_at(&quick));
    let operator = Operator { name: "tester".to_owned(), host: "here".to_owned() };
    let engine = Engine::new(sides.origin.clone(), vec![sides.destination.clone(), other], operator);
    let there = sides.destination.name.clone();

    let first = plan(&engine).await;
    let handle = engine.start(first, CycleOptions::default()).unwrap();
    let (control, mut snapshots) = (handle.control(), handle.snapshots());
    control.pause();
    snapshots.wait_for(|snapshot| snapshot.phase == Phase::Paused).await.unwrap();
    let holders = engine.holders(&Side::Destination(there.clone())).await.unwrap();
    assert!(holders.cycle.as_ref().and_then(LockTaken::holder).is_some_and(|holder| engine.is_own(holder)));
    assert_eq!(holders.daemon, None);
    assert!(!control.skip(&DestinationName::new("nowhere")));
    assert!(control.skip(&there));
    control.resume();
    let report = handle.wait().await;

    let all = NAMES as u64 + 1;
    let [skipped, done] = report.destinations.as_slice() else { panic!("{report:?}") };
    assert_eq!((report.ending, report.failed()), (Ending::Skipped, 0));
    assert!(skipped.skipped && !done.skipped && skipped.blocked.is_none());
    assert_eq!((done.done.add, done.pending), (all, 0));
    assert_eq!(skipped.done.add + skipped.pending, all);
    assert_eq!(slow.client().read_all("secret").len() as u64, skipped.done.add, "what was written is recorded");
    assert_eq!(quick.client().read_all("secret"), seeded());
    let last = snapshots.borrow().clone();
    assert!(last.destinations[0].skipped && last.destinations[0].eta.is_none());
    assert!(last.latency_history.len() <= 120 && last.destinations[1].rate_history.len() <= 120);
    assert_eq!(engine.holders(&Side::Destination(there)).await.unwrap(), Holders::default());

    let rest = plan(&engine).await;
    assert_eq!(rest.counts().add, skipped.pending);
    let report = engine.start(rest, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.ending, report.failed()), (Ending::Completed, 0));
    let versions = slow.client().metadata_all("secret");
    assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "nothing was written twice");
}
