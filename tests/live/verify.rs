//! Whether destinations still hold what vsync left there.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulServer, RootClient, Run, Vsync, canary};

/// An origin and destinations `a`, `b`, …, each with this token.
fn config(origin: &BaoServer, destinations: &[(&BaoServer, &str)]) -> String {
    let mut text = format!(
        "origin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n",
        origin.address()
    );
    for ((destination, token), name) in destinations.iter().zip('a'..) {
        let _ = write!(
            text,
            "[[destinations]]\nname = \"{name}\"\nguards.max_delete = \"50%\"\n\
             vault = {{ address = \"{}\", token = \"{token}\", max_retries = 1 }}\n",
            destination.address()
        );
    }
    text
}

fn fill(client: &RootClient, folder: &str, count: usize) {
    client.write_all(
        "secret",
        (0..count).map(|i| (format!("{folder}/app-{i:03}"), json!({ "canary": format!("CANARY-{i}") }))),
    );
}

fn objects(run: &Run, kind: &str) -> Vec<Value> {
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.filter(|object| object["type"] == kind).collect()
}

/// Path → finding, version left, version found.
fn findings(run: &Run) -> BTreeMap<String, (String, Option<u64>, Option<u64>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let finding = |object: &Value| {
        let path = format!("{} {}", text(&object["destination"]), text(&object["path"]));
        (path, (text(&object["finding"]), object["ours"].as_u64(), object["found"].as_u64()))
    };
    objects(run, "finding").iter().map(finding).collect()
}

#[test]
fn drift_is_found_by_metadata_alone() {
    let (origin, destination) = (BaoServer::with_audit(), BaoServer::with_audit());
    fill(&origin.client(), "team", 100);
    let vsync = Vsync::new(&config(&origin, &[(&destination, "least+verify")]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    origin.client().delete("secret", "team/app-004");
    origin.client().delete("secret", "team/app-005");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    let (at_origin, at_destination) = (origin.audit(), destination.audit());
    let run = vsync.run(&["verify", "--output", "json"]).expect(0);
    assert_eq!(findings(&run), BTreeMap::new());
    assert_eq!(objects(&run, "verification")[0]["unchanged"], 100, "98 that are there and 2 that are not");
    let _ = vsync.run(&["verify", "--path", "secret/team/app-00*"]).expect(0);
    assert_eq!(at_origin.touched("secret/"), [""; 0]);
    assert_eq!(at_destination.touched("secret/data/"), [""; 0]);

    let client = destination.client();
    client.write("secret", "team/app-001", &json!({ "by": canary("hand") }));
    client.delete("secret", "team/app-002");
    client.remove("secret", "team/app-003");
    client.request("PUT", "secret/undelete/team/app-004", Some(json!({ "versions": [1] })));
    client.write("secret", "team/app-005", &json!({ "by": canary("hand") }));
    client.write("secret", "theirs", &json!({ "by": canary("hand") }));
    let expected = BTreeMap::from(
        [
            ("app-001", ("changed", Some(1), Some(2))),
            ("app-002", ("gone", Some(1), None)),
            ("app-003", ("gone", Some(1), None)),
            ("app-004", ("came_back", Some(1), Some(1))),
            ("app-005", ("came_back", Some(1), Some(2))),
        ]
        .map(|(name, (kind, ours, found))| (format!("a secret/team/{name}"), (kind.to_owned(), ours, found))),
    );
    let at_destination = destination.audit();
    let run = vsync.run(&["verify", "--output", "json"]).expect(2);
    assert_eq!(findings(&run), expected);
    let summary = &objects(&run, "verification")[0];
    let count = |key: &str| summary[key].as_u64().unwrap();
    assert_eq!(["unchanged", "changed", "gone", "came_back", "foreign", "unknown"].map(count), [95, 1, 2, 2, 0, 0]);

    // few are asked for one by one, with the same result
    let run = vsync.run(&["verify", "--output", "json", "--path", "secret/team/app-00*"]).expect(2);
    assert_eq!(findings(&run), expected);
    let run = vsync.run(&["verify", "--path", "secret/team/app-001", "--path", "secret/team/app-9*"]).expect(2);
    assert!(
        run.stdout.contains("secret/team/app-001: changed: version 2 is there, vsync left version 1"),
        "{}",
        run.stdout
    );
    let _ = vsync.run(&["verify", "--path", "secret/team/app-09*"]).expect(0);
    assert_eq!(at_destination.touched("secret/data/"), [""; 0]);

    // vsync leaves alone what it did not write, and says so for as long as it stands there
    origin.client().write("secret", "theirs", &json!({ "by": canary("vsync") }));
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let run = vsync.run(&["verify", "--output", "json", "--path", "secret/theirs"]).expect(2);
    assert_eq!(findings(&run)["a secret/theirs"], ("foreign".to_owned(), None, Some(1)));
}

#[test]
fn values_are_compared_where_versions_are_equal() {
    let origin = BaoServer::with_audit();
    let (a, b) = (BaoServer::with_audit(), BaoServer::with_audit());
    fill(&origin.client(), "team", 20);
    let odd = json!({ "z": 1.50, "a": { "y": [1000, "1000"], "x": null }, "t": "<é>" });
    origin.client().write("secret", "odd", &odd);
    let vsync = Vsync::new(&config(&origin, &[(&a, "least+verify"), (&b, "least+verify")]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    let audits = [origin.audit(), a.audit(), b.audit()];
    let run = vsync.run(&["verify", "--deep", "--output", "json"]).expect(0);
    for summary in objects(&run, "verification") {
        assert_eq!(
            (&summary["value_equal"], &summary["value_differs"], &summary["to_update"]),
            (&json!(21), &json!(0), &json!(0))
        );
    }
    for audit in &audits {
        let touched = audit.touched("secret/data/");
        assert_eq!(touched.len(), 21, "one read of each secret: {touched:?}");
        assert!(touched.iter().all(|request| request.starts_with("read ")), "{touched:?}");
    }
    assert!(run.stderr.contains(r#""type":"read_cost","origin":21,"destinations":{"a":21,"b":21}"#), "{}", run.stderr);

    // the same version again, by hand: nothing but the value tells
    let forge = |client: &RootClient, name: &str, data: &str| {
        client.remove("secret", name);
        client.write("secret", name, &serde_json::from_str(data).unwrap());
        assert_eq!(client.metadata("secret", name).unwrap()["current_version"], 1);
    };
    forge(&b.client(), "team/app-003", r#"{"canary":"CANARY-OTHER"}"#);
    forge(&b.client(), "team/app-004", r#"{"canary":"CANARY-4","more":null}"#);
    forge(&b.client(), "odd", r#"{"t":"\u003c\u00e9>","a":{"x":null,"y":[1e3,"1000"]},"z":15e-1}"#);
    let _ = vsync.run(&["verify"]).expect(0);
    let run = vsync.run(&["verify", "--deep", "--output", "json"]).expect(2);
    let differs = ("value_differs".to_owned(), Some(1), Some(1));
    assert_eq!(
        findings(&run),
        BTreeMap::from(
            ["b secret/team/app-003", "b secret/team/app-004"].map(|path| (path.to_owned(), differs.clone()))
        )
    );
    assert_eq!(objects(&run, "verification")[1]["value_equal"], 19);
    forge(&b.client(), "odd", r#"{"t":"<é>","a":{"x":null,"y":["1000",1000]},"z":1.5}"#);
    let run = vsync.run(&["verify", "--deep", "--path", "secret/odd"]).expect(2);
    assert!(run.stdout.contains("secret/odd: value differs"), "the order of an array counts: {}", run.stdout);
    assert!(run.stderr.contains("reads 1 secrets at the origin, 1 at a, 1 at b"), "{}", run.stderr);

    // what the origin has changed or deleted since is the next cycle's work
    origin.client().write("secret", "team/app-005", &json!({ "canary": "CANARY-NEWER" }));
    origin.client().delete("secret", "team/app-006");
    let run = vsync.run(&["verify", "--deep", "--output", "json", "--destination", "a"]).expect(0);
    let summary = &objects(&run, "verification")[0];
    assert_eq!((&summary["value_equal"], &summary["to_update"]), (&json!(19), &json!(2)));
    assert!(!run.text().contains("CANARY"));
}

#[test]
fn what_cannot_be_looked_at_is_unknown() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    fill(&origin.client(), "open", 80);
    fill(&origin.client(), "closed", 70);
    let write = r#"path "secret/data/*" { capabilities = ["create", "update", "delete"] }
                   path "secret/metadata/*" { capabilities = ["read", "list"] }"#;
    let token = destination.client().policy_token("writer", write);
    let vsync = Vsync::new(&config(&origin, &[(&destination, &token)]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let run = vsync.run(&["verify", "--output", "json"]).expect(0);
    assert_eq!(objects(&run, "verification")[0]["unchanged"], 150, "listed in the plain way");

    let deny = r#"path "secret/metadata/closed/*" { capabilities = ["deny"] }"#;
    destination.client().policy("writer", &format!("{write} {deny}"));
    let run = vsync.run(&["verify", "--output", "json"]).expect(1);
    let summary = &objects(&run, "verification")[0];
    assert_eq!((&summary["unchanged"], &summary["unknown"], &summary["gone"]), (&json!(80), &json!(70), &json!(0)));
    assert_eq!(summary["unknown_in"][0]["prefix"], "secret/closed/");
    let _ = vsync.run(&["verify", "--path", "secret/open/**"]).expect(0);
    // the values there can be no more told: the token may not read them
    let run = vsync.run(&["verify", "--deep", "--path", "secret/open/app-00*"]).expect(1);
    assert!(run.stdout.contains("10 secrets not read at a, as secret/open/app-00"), "{}", run.stdout);
    assert!(run.stdout.contains("permission denied"), "{}", run.stdout);
    // drift is drift, whatever else is unknown
    destination.client().write("secret", "open/app-001", &json!({ "by": canary("hand") }));
    let _ = vsync.run(&["verify"]).expect(2);

    // metadata that may be read but not listed is read one by one
    let no_list = r#"path "secret/data/*" { capabilities = ["create", "update", "delete"] }
                     path "secret/metadata/*" { capabilities = ["read"] }"#;
    destination.client().policy("writer", no_list);
    let run = vsync.run(&["verify", "--output", "json"]).expect(2);
    assert_eq!(findings(&run).into_keys().collect::<Vec<_>>(), ["a secret/open/app-001"]);
    assert_eq!(objects(&run, "verification")[0]["unchanged"], 149);

    let address = destination.address();
    drop(destination);
    let run = vsync.run(&["verify", "--output", "json"]).expect(1);
    assert_eq!(findings(&run), BTreeMap::new(), "{address} says nothing");
    assert_eq!(objects(&run, "verification")[0]["unknown"], 150);
}

#[test]
fn another_server_at_the_same_name_is_no_drift() {
    let (origin, destination, other) = (BaoServer::start(), BaoServer::start(), BaoServer::start());
    fill(&origin.client(), "team", 5);
    let vsync = Vsync::new(&config(&origin, &[(&destination, "least+verify")]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    vsync.configure(&config(&origin, &[(&other, "least+verify")]));
    let run = vsync.run(&["verify", "--output", "json"]).expect(1);
    assert_eq!(findings(&run), BTreeMap::new());
    assert!(objects(&run, "verification")[0]["unavailable"].is_string(), "{}", run.stdout);
}

#[test]
fn what_was_copied_without_a_ledger_has_no_version() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let consul = ConsulServer::start();
    fill(&origin.client(), "team", 10);
    let store = format!("consul.address = \"{}\"\n", consul.address());
    let vsync = Vsync::new(&(format!("origin.{store}") + &config(&origin, &[(&destination, "least+verify")]) + &store));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for key in consul.keys("vsync/").into_iter().filter(|key| key.contains("/ledger/")) {
        consul.delete(&key);
    }
    // the local journal may remember it too
    let _ = std::fs::remove_dir_all(vsync.folder().join("state"));
    let before: Vec<_> = consul.keys("").into_iter().map(|key| (consul.last_change(&key), key)).collect();
    let run = vsync.run(&["verify", "--output", "json"]).expect(0);
    let summary = &objects(&run, "verification")[0];
    assert_eq!((&summary["unchanged"], &summary["unversioned"]), (&json!(0), &json!(10)));
    destination.client().write("secret", "team/app-001", &json!({ "by": canary("hand") }));
    destination.client().delete("secret", "team/app-002");
    let run = vsync.run(&["verify", "--deep", "--output", "json"]).expect(2);
    let expected = [("app-001", ("value_differs", Some(2), Some(2))), ("app-002", ("gone", None, None))]
        .map(|(name, (kind, ours, found))| (format!("a secret/team/{name}"), (kind.to_owned(), ours, found)));
    assert_eq!(findings(&run), BTreeMap::from(expected));
    let after: Vec<_> = consul.keys("").into_iter().map(|key| (consul.last_change(&key), key)).collect();
    assert_eq!(before, after, "nothing is written");
}

#[test]
fn an_interrupt_ends_a_comparison() {
    let (origin, destination) = (BaoServer::start(), BaoServer::with_audit());
    fill(&origin.client(), "team", 3_000);
    let few = config(&origin, &[(&destination, "least+verify")]) + "num_workers = 1\n";
    let vsync = Vsync::new(&config(&origin, &[(&destination, "least+verify")]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    vsync.configure(&few);
    let audit = destination.audit();
    let running = vsync.spawn(&["verify", "--deep"]);
    let started = Instant::now();
    while audit.touched("secret/data/").is_empty() {
        assert!(started.elapsed() < Duration::from_secs(30), "no secret is read");
        sleep(Duration::from_millis(20));
    }
    running.signal("INT");
    let run = running.wait().expect(130);
    assert!(run.stderr.contains("nothing was written"), "{}", run.stderr);
    assert!(audit.touched("secret/data/").len() < 3_000);
}
