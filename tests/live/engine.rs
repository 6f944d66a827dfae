//! The engine against real servers: listing on every rung, incomplete origins, cycles that are steered or cut off.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use vsync::engine::{
    Cause, CycleOptions, Destination, DestinationName, Ending, Engine, EngineError, Listing, MaxDelete, Objection,
    Operator, Origin, Phase, Plan, Report, Rule, Transforms,
};
use vsync::http::HttpSettings;
use vsync::kv::{Mount, PathFilter};
use vsync::state::{self, StateStore, StoreSettings};
use vsync::vault::{Auth, VaultClient, VaultSettings};
use zeroize::Zeroizing;

use crate::support::{BaoServer, RootClient};

const NAMES: usize = 120;

fn vault(server: &BaoServer, token: &str) -> VaultClient {
    let http = HttpSettings { address: server.address(), max_retries: 2, ..HttpSettings::default() };
    VaultClient::new(VaultSettings { http, namespace: None, auth: Auth::Token(Zeroizing::new(token.to_owned())) })
        .unwrap()
}

fn mount(name: &str) -> Mount {
    Mount::parse(name).unwrap()
}

/// One origin, one destination, state in a folder that goes with it.
struct Sides {
    origin: Origin,
    destination: Destination,
    _folder: TempDir,
}

impl Sides {
    fn new(from: &BaoServer, to: &BaoServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn StateStore> =
            state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") }).unwrap();
        let origin = Origin {
            vault: vault(from, BaoServer::ROOT_TOKEN),
            mounts: vec![mount("secret")],
            filter: PathFilter::default(),
            store: Arc::clone(&store),
            sync_path: "vsync/".to_owned(),
            num_buckets: None,
            num_workers: 8,
            listing: Listing::Auto,
        };
        let destination = Destination {
            name: DestinationName::new("there"),
            vault: vault(to, BaoServer::ROOT_TOKEN),
            mounts: vec![mount("secret")],
            filter: PathFilter::default(),
            transforms: Transforms::default(),
            store,
            sync_path: "vsync/there/".to_owned(),
            num_buckets: None,
            num_workers: 8,
            max_delete: MaxDelete::default(),
            ignore_deletes: false,
        };
        Self { origin, destination, _folder: folder }
    }

    fn engine(&self) -> Engine {
        let operator = Operator { name: "tester".to_owned(), host: "here".to_owned() };
        Engine::new(self.origin.clone(), vec![self.destination.clone()], operator)
    }
}

async fn plan(engine: &Engine) -> Plan {
    let inventory = Arc::new(engine.survey(None).await);
    engine.plan(inventory, &[]).await
}

async fn sync(engine: &Engine) -> Arc<Report> {
    let plan = plan(engine).await;
    engine.start(plan, CycleOptions::default()).unwrap().wait().await
}

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

    let token = root.policy_token(
        "partly",
        r#"
        path "secret/*" { capabilities = ["list", "read", "scan"] }
        path "secret/metadata/team1/*" { capabilities = ["deny"] }
        path "secret/detailed-metadata/team1/*" { capabilities = ["deny"] }
        "#,
    );
    root.remove("secret", "team1/app1");
    root.remove("secret", "team2/app2");
    sides.origin.vault = vault(&from, &token);
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
    let sides = Sides::new(&from, &to);
    let engine = sides.engine();
    let ready = plan(&engine).await;
    to.kill();
    let report =
        tokio::time::timeout(Duration::from_mins(1), engine.start(ready, CycleOptions::default()).unwrap().wait())
            .await
            .expect("it does not wait for each secret in turn");
    assert_eq!(report.failed(), NAMES as u64 + 1);
    assert!(report.failures().all(|(_, failure)| failure.cause == Cause::Network));
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
    let feeding = plan(&sides.engine()).await;
    let refused = sides.engine().start(feeding, CycleOptions::default());
    assert!(refused.unwrap_err().to_string().contains("loopback"));
    assert_eq!(server.client().read_all("secret").len(), 2);
}
