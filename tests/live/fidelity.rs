//! More than values: metadata.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Audit, BaoServer, RootClient, Run, Vsync, canary};

/// An origin, two destinations, all with audit logs, and the built program.
struct Copies {
    origin: BaoServer,
    near: BaoServer,
    far: BaoServer,
    vsync: Vsync,
}

impl Copies {
    /// `near` and `far`: keys of the destinations.
    fn start(near: &str, far: &str) -> Self {
        let servers = [BaoServer::with_audit(), BaoServer::with_audit(), BaoServer::with_audit()];
        let [origin, there, elsewhere] = servers;
        let vsync = Vsync::new(&config(&origin, &[("near", &there, near), ("far", &elsewhere, far)]));
        Self { origin, near: there, far: elsewhere, vsync }
    }

    fn sync(&self) -> Run {
        self.vsync.run(&["sync", "--yes"])
    }
}

pub(crate) fn config(origin: &BaoServer, destinations: &[(&str, &BaoServer, &str)]) -> String {
    let vault = |server: &BaoServer| format!("address = \"{}\"\ntoken = \"least\"\n", server.address());
    let mut text = format!("[origin]\nmounts = [\"secret\"]\n[origin.vault]\n{}", vault(origin));
    for (name, server, keys) in destinations {
        let _ = write!(text, "[[destinations]]\nname = \"{name}\"\n{keys}\n[destinations.vault]\n{}", vault(server));
    }
    text
}

/// An origin, one destination, both with audit logs.
pub(crate) fn pair(keys: &str) -> (BaoServer, BaoServer, Vsync) {
    let (origin, there) = (BaoServer::with_audit(), BaoServer::with_audit());
    let vsync = Vsync::new(&config(&origin, &[("there", &there, keys)]));
    (origin, there, vsync)
}

const METADATA: &str = "fidelity = \"metadata\"";

/// The four that are copied.
pub(crate) fn settings(client: &RootClient, name: &str) -> Value {
    let metadata = client.metadata("secret", name).expect(name);
    json!({
        "custom_metadata": metadata["custom_metadata"],
        "max_versions": metadata["max_versions"],
        "cas_required": metadata["cas_required"],
        "delete_version_after": metadata["delete_version_after"],
    })
}

pub(crate) fn version(client: &RootClient, name: &str) -> u64 {
    client.metadata("secret", name).unwrap()["current_version"].as_u64().unwrap()
}

/// The requests for data.
pub(crate) fn data_requests(audit: &Audit) -> Vec<String> {
    audit.touched("secret/data/")
}

#[test]
fn metadata_comes_with_the_value_and_alone_when_it_changes_alone() {
    let (origin, there, vsync) = pair(METADATA);
    let here = origin.client();
    here.write("secret", "plain", &json!({ "v": canary(1) }));
    here.write("secret", "rich", &json!({ "v": canary(1) }));
    let rich = json!({
        "custom_metadata": { "owner": "payments", "tier": "1" }, "max_versions": 7, "cas_required": true,
        "delete_version_after": "48h0m0s",
    });
    here.write_metadata("secret", "rich", rich.clone());
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let copy = there.client();
    assert_eq!(settings(&copy, "rich"), rich);
    assert_eq!(settings(&copy, "plain"), settings(&here, "plain"));
    assert_eq!(copy.read("secret", "rich"), Some(json!({ "v": canary(1) })));
    let deletion = copy.metadata("secret", "rich").unwrap()["versions"]["1"]["deletion_time"].clone();
    assert_ne!(deletion, json!(""), "the version expires there as it does at the origin");

    // a second cycle finds nothing to do, and asks for nothing beyond the inventory
    let (mut at_origin, mut at_copy) = (origin.audit(), there.audit());
    at_origin.restart();
    at_copy.restart();
    let _ = vsync.run(&["plan"]).expect(0);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at_copy.touched("secret/"), [""; 0]);
    let asked = at_origin.touched("secret/");
    assert!(asked.iter().all(|request| request.contains("detailed-metadata")), "{asked:?}");

    // metadata alone: a key goes, another one changes
    here.write_metadata("secret", "rich", json!({ "custom_metadata": { "owner": "billing" }, "max_versions": 9 }));
    here.write_metadata("secret", "plain", json!({ "custom_metadata": { "seen": "yes" } }));
    let plan = vsync.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("* secret/rich  (metadata only)"), "{}", plan.stdout);
    let objects = vsync.run(&["plan", "--output", "json"]).expect(2);
    assert!(objects.stdout.contains("\"metadata_only\":true"), "{}", objects.stdout);
    at_origin.restart();
    at_copy.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(data_requests(&at_origin), [""; 0], "no value is read at the origin");
    assert_eq!(data_requests(&at_copy), [""; 0], "none is read or written at the destination");
    for name in ["rich", "plain"] {
        assert_eq!(settings(&copy, name), settings(&here, name), "{name}");
        assert_eq!(version(&copy, name), 1, "{name}");
    }
    let _ = vsync.run(&["plan"]).expect(0);

    // all of it goes
    here.write_metadata("secret", "plain", json!({ "custom_metadata": {} }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&copy, "plain")["custom_metadata"], Value::Null);

    // a new value and new metadata together, where the destination wants a check-and-set
    here.request("POST", "secret/data/rich", Some(json!({ "options": { "cas": 1 }, "data": { "v": canary(2) } })));
    here.write_metadata(
        "secret",
        "rich",
        json!({ "custom_metadata": { "owner": "third" }, "delete_version_after": "0s" }),
    );
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(copy.read("secret", "rich"), Some(json!({ "v": canary(2) })));
    assert_eq!(settings(&copy, "rich"), settings(&here, "rich"));
}

#[test]
fn two_destinations_may_want_different_fidelity() {
    let copies = Copies::start(METADATA, "fidelity = \"value\"");
    let here = copies.origin.client();
    here.write("secret", "a", &json!({ "v": canary(1) }));
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "me" } }));
    let _ = copies.sync().expect(0);
    let (near, far) = (copies.near.client(), copies.far.client());
    assert_eq!(settings(&near, "a"), settings(&here, "a"));
    assert_eq!(settings(&far, "a")["custom_metadata"], Value::Null);
    for copy in [&near, &far] {
        assert_eq!(copy.read("secret", "a"), Some(json!({ "v": canary(1) })));
    }
    let (mut at_near, mut at_far) = (copies.near.audit(), copies.far.audit());
    at_near.restart();
    at_far.restart();
    let _ = copies.sync().expect(0);
    assert_eq!((at_near.touched("secret/"), at_far.touched("secret/")), (vec![], vec![]));
}

#[test]
fn a_destination_that_copied_values_catches_up() {
    let (origin, there, vsync) = pair("");
    let here = origin.client();
    here.write("secret", "a", &json!({ "v": canary(1) }));
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "me" } }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&there.client(), "a")["custom_metadata"], Value::Null);
    vsync.configure(&config(&origin, &[("there", &there, METADATA)]));
    let mut audit = there.audit();
    audit.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&there.client(), "a"), settings(&here, "a"));
    assert_eq!(data_requests(&audit), [""; 0]);
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn metadata_that_somebody_changed_at_the_destination_is_not_lost() {
    let (origin, there, vsync) = pair(METADATA);
    let (here, copy) = (origin.client(), there.client());
    let write = |owner: &str| here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": owner } }));
    here.write("secret", "a", &json!({ "v": canary(1) }));
    write("first");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    copy.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "by hand" } }));
    write("second");
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert!(run.text().contains("somebody else changed it there"), "{}", run.text());
    assert_eq!(settings(&copy, "a")["custom_metadata"], json!({ "owner": "by hand" }));

    // a new value arrives all the same, and the failure stays one
    here.write("secret", "a", &json!({ "v": canary(2) }));
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert!(run.text().contains("somebody else changed it there"), "{}", run.text());
    assert_eq!(copy.read("secret", "a"), Some(json!({ "v": canary(2) })));
    assert_eq!(settings(&copy, "a")["custom_metadata"], json!({ "owner": "by hand" }));
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    assert_eq!(version(&copy, "a"), 2, "what is there already is not written again");

    vsync.configure(&config(&origin, &[("there", &there, &format!("{METADATA}\non_drift = \"overwrite\""))]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&copy, "a"), settings(&here, "a"));
    assert_eq!(version(&copy, "a"), 2);
}

#[test]
fn a_secret_that_was_there_before_keeps_metadata_of_its_own() {
    let (origin, there, vsync) = pair(&format!("{METADATA}\non_existing = \"adopt\""));
    let (here, copy) = (origin.client(), there.client());
    for name in ["same", "other", "bare"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
        here.write_metadata("secret", name, json!({ "custom_metadata": { "owner": "me" } }));
        copy.write("secret", name, &json!({ "v": canary(1) }));
    }
    copy.write_metadata("secret", "same", json!({ "custom_metadata": { "owner": "me" } }));
    copy.write_metadata("secret", "other", json!({ "custom_metadata": { "owner": "them" } }));
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert!(run.text().contains("metadata of its own"), "{}", run.text());
    assert_eq!(settings(&copy, "bare"), settings(&here, "bare"));
    assert_eq!(settings(&copy, "other")["custom_metadata"], json!({ "owner": "them" }));
    for name in ["same", "other", "bare"] {
        assert_eq!(version(&copy, name), 1, "{name}");
    }
}

#[test]
fn a_destination_that_wants_check_and_set_for_metadata_gets_it() {
    let (origin, there, vsync) = pair(&format!("{METADATA}\non_existing = \"overwrite\""));
    let (here, copy) = (origin.client(), there.client());
    here.write("secret", "a", &json!({ "v": canary(1) }));
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "me" } }));
    let cas = json!({ "metadata_cas": 0, "metadata_cas_required": true, "max_versions": 3, "cas_required": true });
    copy.write_metadata("secret", "a", cas);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&copy, "a"), settings(&here, "a"));
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "you" } }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&copy, "a"), settings(&here, "a"));
}

#[test]
fn a_listing_secret_by_secret_tells_metadata_too() {
    let (origin, there, vsync) = pair(METADATA);
    let text = config(&origin, &[("there", &there, METADATA)]).replace("[origin]\n", "[origin]\nlisting = \"plain\"\n");
    vsync.configure(&text);
    let here = origin.client();
    here.write("secret", "a", &json!({ "v": canary(1) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let _ = vsync.run(&["plan"]).expect(0);
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "you" } }));
    // another way of listing makes the same of it
    vsync.configure(&config(&origin, &[("there", &there, METADATA)]));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(settings(&there.client(), "a"), settings(&here, "a"));
    vsync.configure(&text);
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn an_undo_says_what_metadata_it_cannot_take_back() {
    let (origin, there, vsync) = pair(METADATA);
    let here = origin.client();
    here.write("secret", "a", &json!({ "v": canary(1) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "you" } }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let history = vsync.run(&["history", "--output", "json"]).expect(0);
    let newest: Value = serde_json::from_str(history.stdout.lines().next().unwrap()).unwrap();
    let undone = vsync.run(&["undo", "--yes", newest["cycle"].as_str().unwrap()]);
    assert!(undone.text().contains("only its metadata was changed"), "{}", undone.text());
    assert_eq!(settings(&there.client(), "a"), settings(&here, "a"));
}

#[test]
fn a_dry_run_names_what_the_token_lacks_for_metadata() {
    let (origin, there, vsync) = pair(METADATA);
    origin.client().write("secret", "a", &json!({ "v": canary(1) }));
    let token = there.client().policy_token(
        "no-metadata",
        "path \"secret/data/*\" { capabilities = [\"create\", \"update\", \"read\"] }
         path \"secret/metadata/*\" { capabilities = [\"read\"] }",
    );
    let text = config(&origin, &[]);
    vsync.configure(&format!(
        "{text}[[destinations]]\nname = \"there\"\n{METADATA}\n[destinations.vault]\naddress = \"{}\"\ntoken = \"{token}\"\n",
        there.address()
    ));
    let run = vsync.run(&["sync", "--yes", "--dry-run"]).expect(3);
    assert!(run.text().contains("lacks \"update\" on secret/metadata/a"), "{}", run.text());
}

#[test]
fn what_differs_by_its_time_alone_is_compared_and_not_written_again() {
    let (origin, there, far) = (BaoServer::with_audit(), BaoServer::start(), BaoServer::start());
    let vsync = Vsync::new(&config(&origin, &[("there", &there, ""), ("far", &far, METADATA)]));
    let here = origin.client();
    for name in ["described", "same", "other"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    // OpenBao gives it a later time, though its value has not changed
    here.write_metadata("secret", "described", json!({ "custom_metadata": { "team": "a" } }));
    for (name, value) in [("same", 1), ("other", 2)] {
        // written anew, it is version 1 again
        here.remove("secret", name);
        here.write("secret", name, &json!({ "v": canary(value) }));
    }
    let at_origin = origin.audit();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for server in [&there, &far] {
        let versions = ["described", "same", "other"].map(|name| version(&server.client(), name));
        assert_eq!(versions, [1, 1, 2], "only the other value is a new version");
        assert_eq!(server.client().read("secret", "other"), Some(json!({ "v": canary(2) })));
    }
    assert_eq!(settings(&far.client(), "described")["custom_metadata"]["team"], "a");
    assert_eq!(data_requests(&at_origin).len(), 3, "each is read once for both");

    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn metadata_that_changes_alone_arrives_through_two_daemons_without_a_new_version() {
    let (origin, there, vsync) = pair(METADATA);
    origin.client().write("secret", "app", &json!({ "v": canary(1) }));
    let _keeper = vsync.background("origin", &["origin", "--tick", "1s"], &[]);
    let copier = vsync.background("destination", &["destination", "--tick", "1s"], &[]);
    let limit = Duration::from_mins(1);
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < limit, "{what}:\n{}", copier.told());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait("the value", &|| there.client().read("secret", "app").is_some());
    origin.client().write_metadata("secret", "app", json!({ "custom_metadata": { "team": "a" } }));
    wait("its metadata", &|| {
        there.client().metadata("secret", "app").is_some_and(|found| found["custom_metadata"]["team"] == "a")
    });
    assert_eq!(version(&there.client(), "app"), 1, "the value is not written again");
}
