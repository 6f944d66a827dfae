//! Failures that are ignored with a reason, the policy that a refused write lacks, and decisions about drift.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;
use vsync::consul::ConsulSettings;
use vsync::engine::{
    Cause, CycleOptions, Decision, DestinationName, Engine, Failure, Operator, PlanOptions, Report, missing_policies,
};
use vsync::http::HttpSettings;
use vsync::state::{StateStore, StoreSettings};

use crate::sides::{Sides, plan, sync, vault};
use crate::support::{BaoServer, ConsulServer, Vsync, canary};

/// What may be done at the destination, but for a folder.
const RULES: &str = r#"
    path "secret/data/*" { capabilities = ["create", "update", "delete", "read"] }
    path "secret/metadata/*" { capabilities = ["read"] }
    path "secret/data/closed/*" { capabilities = ["deny"] }
"#;

async fn standing(engine: &Engine) -> Vec<(DestinationName, Failure)> {
    let standing = engine.standing_failures().await.unwrap().into_iter();
    standing.flat_map(|(name, failures)| failures.into_iter().map(move |one| (name.clone(), one))).collect()
}

/// Those that are ignored, by name.
async fn ignored(engine: &Engine) -> Vec<String> {
    let said = engine.ignored().await.unwrap();
    let covered = |name: &DestinationName, failure: &Failure| {
        said.get(name).is_some_and(|said| said.iter().any(|one| one.covers(failure)))
    };
    let standing = standing(engine).await;
    standing.iter().filter(|(name, one)| covered(name, one)).map(|(_, one)| one.origin.name().to_owned()).collect()
}

/// Four secrets, two of which the destination refuses.
fn refused(origin: &BaoServer, destination: &BaoServer) -> Sides {
    let mut sides = Sides::new(origin, destination);
    for name in ["closed/a", "closed/b", "open/a", "open/b"] {
        origin.client().write("secret", name, &json!({ "v": canary(1) }));
    }
    sides.destination.vault = vault(destination, &destination.client().policy_token("vsync", RULES));
    sides
}

#[tokio::test]
async fn the_missing_rules_are_those_that_were_missing() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let sides = refused(&origin, &destination);
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().add, report.failed()), (2, 2), "{report:#?}");
    let missing = missing_policies(report.failures());
    let [policy] = &missing[..] else { panic!("{missing:?}") };
    let expected = "# destination there: 2 secrets were refused\n\
                    path \"secret/data/closed/*\" {\n  capabilities = [\"create\", \"update\"]\n}";
    assert_eq!(policy.to_string(), expected);

    // in place of what denied it they are all it takes
    let mut rules = RULES.replace(r#"path "secret/data/closed/*" { capabilities = ["deny"] }"#, "");
    let _ = write!(rules, "{policy}");
    destination.client().policy("vsync", &rules);
    let report = sync(&sides.engine()).await;
    assert_eq!((report.done().add, report.failed()), (2, 0), "{report:#?}");

    // what the origin refuses is told apart
    origin.client().write("secret", "closed/a", &json!({ "v": canary(2) }));
    let mut sides = sides;
    let read = r#"path "secret/metadata/*" { capabilities = ["read", "list"] }
        path "secret/data/open/*" { capabilities = ["read"] }"#;
    sides.origin.vault = vault(&origin, &origin.client().policy_token("reader", read));
    let report = sync(&sides.engine()).await;
    let missing = missing_policies(report.failures());
    let expected = "# origin: 1 secret was refused\npath \"secret/data/closed/a\" {\n  capabilities = [\"read\"]\n}";
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{report:#?}");
}

/// Ignores a failure and sees it come back; `anew` is an engine that has just been started.
async fn is_ignored_until_it_is_another(origin: &BaoServer, sides: &Sides, anew: impl Fn() -> Engine) {
    assert_eq!(sync(&sides.engine()).await.failed(), 2);
    let engine = anew();
    assert_eq!(ignored(&engine).await, [""; 0]);
    let failures = standing(&engine).await;
    let one: Vec<_> = failures.iter().filter(|(_, one)| one.origin.name() == "closed/a").cloned().collect();
    engine.ignore(&one, "the owner is asked").await.unwrap();
    drop(engine);

    let engine = anew();
    assert_eq!(ignored(&engine).await, ["closed/a"]);
    let said = engine.ignored().await.unwrap();
    let said = &said[&sides.destination.name][0];
    assert_eq!((said.reason.as_str(), said.operator.as_str()), ("the owner is asked", "tester"));
    // another try that ends the same way changes nothing
    assert_eq!(sync(&engine).await.failed(), 2);
    assert_eq!(ignored(&engine).await, ["closed/a"]);
    // another version at the origin does
    origin.client().write("secret", "closed/a", &json!({ "v": canary(2) }));
    assert_eq!(sync(&engine).await.failed(), 2);
    assert_eq!(standing(&engine).await.len(), 2);
    assert_eq!(ignored(&engine).await, [""; 0], "it is minded again by itself");

    engine.ignore(&standing(&engine).await, "both").await.unwrap();
    assert_eq!(ignored(&engine).await, ["closed/a", "closed/b"]);
    let mine = BTreeSet::from([(failures[0].0.clone(), failures[0].1.origin.clone())]);
    engine.mind(&mine).await.unwrap();
    assert_eq!(ignored(&anew()).await.len(), 1);
}

#[tokio::test]
async fn an_ignored_failure_survives_a_restart_in_the_embedded_store() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let sides = refused(&origin, &destination);
    is_ignored_until_it_is_another(&origin, &sides, || sides.engine()).await;
}

#[tokio::test]
async fn an_ignored_failure_survives_a_restart_in_consul() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    let store = || -> Arc<dyn StateStore> {
        let http = HttpSettings { address: consul.address(), max_retries: 0, ..HttpSettings::default() };
        vsync::state::open(&StoreSettings::Consul(ConsulSettings { http, datacenter: None, token: None })).unwrap()
    };
    let mut sides = refused(&origin, &destination);
    (sides.origin.store, sides.destination.store) = (store(), store());
    is_ignored_until_it_is_another(&origin, &sides, || {
        let (mut origin, mut destination) = (sides.origin.clone(), sides.destination.clone());
        (origin.store, destination.store) = (store(), store());
        Engine::new(origin, vec![destination], Operator { name: "tester".to_owned(), host: "there".to_owned() })
    })
    .await;
    let keys = store().list("vsync/there/").await.unwrap();
    assert!(keys.iter().any(|key| key.starts_with("vsync/there/vsync/ignored/")), "{keys:?}");
}

#[test]
fn status_counts_it_apart_and_retry_leaves_it_alone() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    let sides = refused(&origin, &destination);
    let token = destination.client().policy_token("vsync", RULES);
    let vsync = Vsync::new(&format!(
        "origin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
         origin.consul = {{ address = \"{consul}\" }}\n[[destinations]]\nname = \"there\"\nsync_path = \"vsync/there/\"\n\
         vault = {{ address = \"{}\", token = \"{token}\" }}\nconsul = {{ address = \"{consul}\" }}\n",
        origin.address(),
        destination.address(),
        consul = consul.address(),
    ));
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let http = HttpSettings { address: consul.address(), max_retries: 0, ..HttpSettings::default() };
    let store =
        vsync::state::open(&StoreSettings::Consul(ConsulSettings { http, datacenter: None, token: None })).unwrap();
    let mut sides = sides;
    (sides.origin.store, sides.destination.store) = (Arc::clone(&store), store);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = sides.engine();
        let failures = standing(&engine).await;
        assert_eq!(failures.len(), 2);
        engine.ignore(&failures[..1], "the owner is asked").await.unwrap();
    });
    let run = vsync.run(&["status"]).expect(0);
    assert!(
        run.stdout.contains("there: 1 failure is ignored, the last by tester: the owner is asked"),
        "{}",
        run.stdout
    );
    let run = vsync.run(&["status", "--output", "json"]).expect(0);
    assert!(run.stdout.contains(r#""failed":1,"ignored":1"#), "{}", run.stdout);

    let run = vsync.run(&["retry", "--yes"]).expect(3);
    assert!(run.stdout.contains("1 ignored failure is left alone; \"--ignored\" takes them, too"), "{}", run.stdout);
    assert!(run.stdout.contains("! permission: 1"), "{}", run.stdout);
    let run = vsync.run(&["retry", "--yes", "--ignored"]).expect(3);
    assert!(run.stdout.contains("! permission: 2"), "{}", run.stdout);
    let run = vsync.run(&["retry", "--yes", "--path", "secret/closed/a"]).expect(3);
    assert!(run.stdout.contains("! permission: 1") && run.stdout.contains("closed/a"), "{}", run.stdout);
}

/// Carries out a decision about secrets of these names.
async fn decide(engine: &Engine, decision: Decision, names: &[&str]) -> Arc<Report> {
    let deciding = engine.deciding(decision);
    let inventory = Arc::new(engine.survey(None).await);
    let plan = deciding.plan(inventory, &PlanOptions { again: true, ..PlanOptions::default() }).await;
    let plan = deciding.select(&plan, |_, task| names.contains(&task.origin.name()));
    assert_eq!(plan.counts().total(), names.len() as u64);
    deciding.start(plan, CycleOptions::default()).unwrap().wait().await
}

#[tokio::test]
async fn what_is_decided_by_hand_stays_decided() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    let sides = Sides::new(&origin, &destination);
    for name in ["keep", "overwrite", "wait"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
    }
    let engine = sides.engine();
    assert_eq!(sync(&engine).await.done().add, 3);
    for name in ["keep", "overwrite", "wait"] {
        there.write("secret", name, &json!({ "v": canary("theirs") }));
        here.write("secret", name, &json!({ "v": canary(2) }));
    }
    for (name, value) in [("equal", json!({ "v": canary(3) })), ("different", json!({ "v": canary("theirs") }))] {
        here.write("secret", name, &json!({ "v": canary(3) }));
        there.write("secret", name, &value);
    }
    let open = async || {
        let plan = plan(&engine).await;
        let drifted = plan.destinations[0].drifted.iter().filter(|drift| !drift.kept);
        drifted.map(|drift| drift.origin.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(sync(&engine).await.failed(), 5);
    assert_eq!(open().await, ["different", "equal", "keep", "overwrite", "wait"]);

    let report = decide(&engine, Decision::Keep, &["keep", "equal", "different"]).await;
    assert_eq!((report.destinations[0].kept, report.destinations[0].adopted, report.failed()), (1, 1, 1));
    assert_eq!(report.failures().next().unwrap().1.cause, Cause::Existing, "different values stay undecided");
    assert_eq!(open().await, ["different", "overwrite", "wait"]);
    assert_eq!(there.read("secret", "keep"), Some(json!({ "v": canary("theirs") })));

    let report = decide(&engine, Decision::Overwrite, &["overwrite", "different"]).await;
    assert_eq!((report.done().total(), report.failed()), (2, 0), "{report:#?}");
    assert_eq!(there.read("secret", "overwrite"), Some(json!({ "v": canary(2) })));
    assert_eq!(there.read("secret", "different"), Some(json!({ "v": canary(3) })));
    assert_eq!(open().await, ["wait"], "what was kept before is still kept, what nobody decided still waits");
    // and a usual cycle leaves all of it as it was decided
    assert_eq!(sync(&engine).await.done().total(), 0);
    assert_eq!(there.read("secret", "keep"), Some(json!({ "v": canary("theirs") })));
    assert_eq!(there.read("secret", "wait"), Some(json!({ "v": canary("theirs") })));
    // until the origin has something new
    here.write("secret", "keep", &json!({ "v": canary(4) }));
    assert_eq!(sync(&engine).await.failed(), 1);
    assert_eq!(open().await, ["keep", "wait"]);
}
