//! More than the newest value: all versions of a secret.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::fidelity::{config, data_requests, pair, settings, version};
use crate::support::{BaoServer, Fault, FaultProxy, RootClient, Vsync, When, canary};

const HISTORY: &str = "fidelity = \"history\"";

/// One letter a version, oldest first: `L`ive, soft-`D`eleted, destroyed (`X`).
fn states(client: &RootClient, name: &str) -> String {
    let metadata = client.metadata("secret", name).expect(name);
    let mut versions: Vec<(u64, &Value)> = metadata["versions"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(number, version)| (number.parse().unwrap(), version))
        .collect();
    versions.sort_unstable_by_key(|(number, _)| *number);
    let letter = |(_, version): (u64, &Value)| match (&version["destroyed"], &version["deletion_time"]) {
        (Value::Bool(true), _) => 'X',
        (_, time) if *time == json!("") => 'L',
        _ => 'D',
    };
    versions.into_iter().map(letter).collect()
}

/// The numbers of what `v` was in each version that can be read, oldest first.
fn values(client: &RootClient, name: &str) -> Vec<(u64, Value)> {
    (1..=version(client, name))
        .filter_map(|number| Some((number, client.read_version("secret", name, number)?["v"].clone())))
        .collect()
}

fn write(client: &RootClient, name: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        client.write("secret", name, &json!({ "v": canary(number) }));
    }
}

fn change_versions(client: &RootClient, what: &str, name: &str, versions: &[u64]) {
    let (status, answer) =
        client.request("POST", &format!("secret/{what}/{name}"), Some(json!({ "versions": versions })));
    assert!(status < 300, "{status} {answer}");
}

#[test]
fn all_versions_arrive_in_order_with_their_states() {
    let (origin, there, vsync) = pair(HISTORY);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=4);
    here.destroy("secret", "a", &[2]);
    change_versions(&here, "delete", "a", &[3]);
    here.write_metadata("secret", "a", json!({ "custom_metadata": { "owner": "me" }, "max_versions": 20 }));
    here.write_metadata("secret", "pruned", json!({ "max_versions": 2 }));
    write(&here, "pruned", 1..=5);
    write(&here, "plain", 1..=1);
    let run = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "LXDL");
    assert_eq!(values(&copy, "a"), values(&here, "a"));
    assert_eq!(settings(&copy, "a"), settings(&here, "a"));
    assert_eq!((states(&copy, "pruned"), version(&copy, "pruned")), ("LL".to_owned(), 2));
    assert_eq!(values(&copy, "pruned"), [(1, json!(canary(4))), (2, json!(canary(5)))]);
    for said in
        ["1 versions of 1 secrets were soft-deleted", "secret/a (3)", "have another number", "secret/pruned (5)"]
    {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
    let newest = vsync.run(&["history", "--output", "json"]).expect(0);
    assert!(newest.stdout.contains("\"reason\":\"unreadable\""), "{}", newest.stdout);

    // nothing changed: nothing is asked for beyond the inventory
    let (mut at_origin, mut at_copy) = (origin.audit(), there.audit());
    at_origin.restart();
    at_copy.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at_copy.touched("secret/"), [""; 0]);
    assert!(at_origin.touched("secret/").iter().all(|request| request.contains("detailed-metadata")));

    // newer versions follow, pruned or not
    write(&here, "a", 5..=6);
    write(&here, "pruned", 6..=6);
    at_origin.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let reads = data_requests(&at_origin);
    assert_eq!(reads.len(), 3, "each new version is read once: {reads:?}");
    assert_eq!((states(&copy, "a"), version(&copy, "a")), ("LXDLLL".to_owned(), 6));
    assert_eq!(values(&copy, "a"), values(&here, "a"));
    assert_eq!(values(&copy, "pruned"), [(2, json!(canary(5))), (3, json!(canary(6)))]);
}

#[test]
fn states_that_change_alone_follow_without_a_value() {
    let (origin, there, vsync) = pair(HISTORY);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=5);
    change_versions(&here, "delete", "a", &[4]);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "LLLDL");

    here.destroy("secret", "a", &[1]);
    change_versions(&here, "delete", "a", &[2, 3]);
    let plan = vsync.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("* secret/a  (metadata only)"), "{}", plan.stdout);
    let (mut at_origin, mut at_copy) = (origin.audit(), there.audit());
    at_origin.restart();
    at_copy.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "XDDDL");
    assert_eq!((data_requests(&at_origin), data_requests(&at_copy)), (vec![], vec![]));
    let _ = vsync.run(&["plan"]).expect(0);

    // what was copied while it was readable comes back; what was not has no value to come back with
    change_versions(&here, "undelete", "a", &[3, 4]);
    let run = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "XDLDL");
    assert_eq!(values(&copy, "a"), [(3, json!(canary(3))), (5, json!(canary(5)))]);
    assert!(run.stdout.contains("were undeleted after") && run.stdout.contains("secret/a (4)"), "{}", run.stdout);
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_cycle_that_is_killed_amid_a_history_is_continued() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    let at_origin = FaultProxy::start(&origin.address());
    let text = config(&origin, &[("there", &there, HISTORY)]).replace(&origin.address(), &at_origin.address());
    let vsync = Vsync::new(&text);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=6);
    here.destroy("secret", "a", &[2]);
    let held = at_origin.rule("GET", "data/a[?]version=4", When::Always, Fault::Hold);
    let cycle = vsync.spawn(&["sync", "--yes"]);
    held.wait_until_picked(1);
    assert_eq!(version(&copy, "a"), 3);
    cycle.signal("KILL");
    let _ = cycle.wait();
    held.remove();
    // and it goes on at the origin meanwhile
    write(&here, "a", 7..=7);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!((states(&copy, "a"), version(&copy, "a")), ("LXLLLLL".to_owned(), 7), "none is written twice");
    assert_eq!(values(&copy, "a"), values(&here, "a"));
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_history_that_fails_halfway_goes_on_behind_what_is_there() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    let at_copy = FaultProxy::start(&there.address());
    let text = config(&origin, &[("there", &there, &format!("{HISTORY}\nnum_workers = 1"))])
        .replace(&there.address(), &at_copy.address())
        .replace("token = \"least\"", "token = \"least\"\nmax_retries = 1");
    let vsync = Vsync::new(&text);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=4);
    // an answer is lost, and later the server refuses
    let lost = at_copy.rule("POST", "data/a", When::Nth(2), Fault::ResetAfterwards);
    let refused = at_copy.rule("POST", "data/a", When::From(5), Fault::Status(403));
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert!(run.text().contains("permission"), "{}", run.text());
    assert_eq!(version(&copy, "a"), 3);
    lost.remove();
    refused.remove();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!((states(&copy, "a"), values(&copy, "a")), ("LLLL".to_owned(), values(&here, "a")));
}

#[test]
fn a_history_meets_check_and_set_and_a_destination_of_values_beside_it() {
    let (origin, near, far) = (BaoServer::with_audit(), BaoServer::start(), BaoServer::start());
    let vsync = Vsync::new(&config(&origin, &[("near", &near, HISTORY), ("far", &far, "")]));
    let here = origin.client();
    write(&here, "a", 1..=3);
    here.write_metadata("secret", "a", json!({ "cas_required": true, "max_versions": 12 }));
    let at_origin = origin.audit();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let reads = data_requests(&at_origin);
    assert_eq!(reads.len(), 3, "each version is read once for both: {reads:?}");
    assert_eq!(values(&near.client(), "a"), values(&here, "a"));
    assert_eq!(settings(&near.client(), "a"), settings(&here, "a"));
    assert_eq!(values(&far.client(), "a"), [(1, json!(canary(3)))]);
}

#[test]
fn two_histories_read_each_version_once() {
    let (origin, near, far) = (BaoServer::with_audit(), BaoServer::start(), BaoServer::start());
    let vsync = Vsync::new(&config(&origin, &[("near", &near, HISTORY), ("far", &far, HISTORY)]));
    let here = origin.client();
    write(&here, "a", 1..=5);
    let at_origin = origin.audit();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let reads = data_requests(&at_origin);
    assert_eq!(reads.len(), 5, "{reads:?}");
    for copy in [near.client(), far.client()] {
        assert_eq!(values(&copy, "a"), values(&here, "a"));
    }
}

#[test]
fn somebody_elses_version_stops_a_history() {
    let (origin, there, vsync) = pair(HISTORY);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=2);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    write(&copy, "a", 99..=99);
    write(&here, "a", 3..=4);
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert!(run.text().contains("somebody else"), "{}", run.text());
    assert_eq!(version(&copy, "a"), 3);

    vsync.configure(&config(&origin, &[("there", &there, &format!("{HISTORY}\non_drift = \"overwrite\""))]));
    let run = vsync.run(&["sync", "--yes"]).expect(0);
    let all: Vec<Value> = values(&copy, "a").into_iter().map(|(_, value)| value).collect();
    assert_eq!(all, [1, 2, 99, 3, 4].map(|value| json!(canary(value))), "nobody's value is lost");
    assert!(run.stdout.contains("have another number"), "{}", run.stdout);
    // from there on numbers differ, and what belongs together is known all the same
    here.destroy("secret", "a", &[3]);
    write(&here, "a", 5..=5);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "LLLXLL");
}

#[test]
fn a_deleted_secret_that_comes_back_keeps_its_numbers() {
    let (origin, there, vsync) = pair(&format!("{HISTORY}\n[destinations.guards]\nmax_delete = \"100%\""));
    let (here, copy) = (origin.client(), there.client());
    write(&here, "b", 1..=1);
    write(&here, "a", 1..=2);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    here.delete("secret", "a");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "LD");
    change_versions(&here, "undelete", "a", &[2]);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!((states(&copy, "a"), version(&copy, "a")), ("LL".to_owned(), 2));
    here.delete("secret", "a");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    write(&here, "a", 3..=3);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!((states(&copy, "a"), values(&copy, "a")), ("LDL".to_owned(), values(&here, "a")));
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_destination_of_values_is_not_written_anew_for_its_history() {
    let (origin, there, vsync) = pair("");
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=3);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    vsync.configure(&config(&origin, &[("there", &there, HISTORY)]));
    let audit = there.audit();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!((data_requests(&audit), values(&copy, "a")), (vec![], vec![(1, json!(canary(3)))]));
    let _ = vsync.run(&["plan"]).expect(0);
    write(&here, "a", 4..=5);
    here.destroy("secret", "a", &[2, 4]);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "LXL", "3, 4 and 5");
}

#[test]
fn a_saved_plan_is_for_the_states_of_older_versions_that_it_was_made_of() {
    let (origin, there, vsync) = pair(HISTORY);
    let (here, copy) = (origin.client(), there.client());
    write(&here, "a", 1..=3);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    here.destroy("secret", "a", &[1]);
    let file = vsync.folder().join("plan.json").display().to_string();
    let _ = vsync.run(&["plan", "--out", &file]).expect(2);
    // after it was approved
    here.destroy("secret", "a", &[2]);
    let run = vsync.run(&["sync", "--yes", "--plan", &file]).expect(4);
    assert!(run.text().contains("the origin changed its metadata after the plan"), "{}", run.text());
    assert_eq!(states(&copy, "a"), "LLL");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(states(&copy, "a"), "XXL");
}

#[test]
fn a_secret_that_is_written_anew_with_the_same_newest_value_loses_no_version() {
    let (origin, there, vsync) = pair(HISTORY);
    let here = origin.client();
    let write = |value: &str| here.write("secret", "app", &json!({ "v": canary(value) }));
    write("a");
    write("b");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    here.remove("secret", "app");
    write("c");
    write("b");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let values = |count: u64| {
        let value = |version| there.client().read_version("secret", "app", version).map(|data| data["v"].clone());
        (1..=count).map(value).collect::<Vec<_>>()
    };
    assert_eq!(
        values(4),
        ["a", "b", "c", "b"].map(|value| Some(json!(canary(value)))),
        "it goes on behind its former versions"
    );

    // what is there already is the copy of the first one
    here.remove("secret", "app");
    write("b");
    write("d");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(version(&there.client(), "app"), 5, "b is not written twice in a row");
    assert_eq!(values(5)[4], Some(json!(canary("d"))));
    let _ = vsync.run(&["plan"]).expect(0);
}
