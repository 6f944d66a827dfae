//! Kinds of deletes: what they leave at the destination, what confirms them, what comes back.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Fault, RootClient, Run, When, canary};
use crate::trial::{Setup, Trial};

const ALL_MAY_GO: &str = "guards = { max_delete = \"100%\" }";

fn trial(on_delete: &str, more: &str) -> Trial {
    let destination = format!("on_delete = \"{on_delete}\"\n{ALL_MAY_GO}\n{more}");
    Trial::start(&Setup { destination: &destination, ..Setup::default() })
}

/// `app-0` … with two versions each, copied once per version.
fn fill(trial: &Trial, count: usize) {
    for round in [1, 2] {
        let secrets = (0..count).map(|n| (format!("app-{n}"), json!({ "n": canary(n), "round": round })));
        trial.origin.client().write_all("secret", secrets);
        let _ = trial.sync().expect(0);
    }
}

fn objects(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Operation and path of each task of the plan.
fn planned(trial: &Trial) -> Vec<(String, String)> {
    let plan = trial.vsync.run(&["plan", "--output", "json"]);
    assert!(matches!(plan.code, Some(0 | 2)), "{}", plan.text());
    let text = |object: &Value, key: &str| object[key].as_str().unwrap().to_owned();
    let tasks = objects(&plan).into_iter().filter(|object| object["type"] == "task");
    tasks.map(|task| (text(&task, "operation"), text(&task, "origin"))).collect()
}

fn task(operation: &str, name: &str) -> (String, String) {
    (operation.to_owned(), format!("secret/{name}"))
}

/// Whether the data of each version is there (`+`), soft-deleted (`-`) or destroyed (`x`); `None`: no metadata.
fn versions(client: &RootClient, name: &str) -> Option<String> {
    let metadata = client.metadata("secret", name)?;
    let versions = metadata["versions"].as_object().unwrap();
    let mut numbers: Vec<u64> = versions.keys().map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    let sign = |number: &u64| match &versions[&number.to_string()] {
        version if version["destroyed"] == true => 'x',
        version if version["deletion_time"] != "" => '-',
        _ => '+',
    };
    Some(numbers.iter().map(sign).collect())
}

#[test]
fn a_purge_wants_its_number_and_leaves_nothing() {
    let trial = trial("purge", "");
    fill(&trial, 6);
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    origin.remove("secret", "app-0");
    origin.remove("secret", "app-1");
    origin.destroy("secret", "app-2", &[1, 2]);
    // these two can be had again
    origin.delete("secret", "app-3");
    origin.destroy("secret", "app-4", &[2]);
    let expected = [
        task("purge", "app-0"),
        task("purge", "app-1"),
        task("purge", "app-2"),
        task("delete", "app-3"),
        task("delete", "app-4"),
    ];
    assert_eq!(planned(&trial), expected);
    let plan = trial.vsync.run(&["plan"]).expect(2);
    assert!(plan.stdout.contains("- purge secret/app-0"), "{}", plan.stdout);
    assert!(plan.stdout.contains("3 purged for good among the deletes"), "{}", plan.stdout);

    for arguments in [&["sync", "--yes"][..], &["sync"], &["sync", "--yes", "--confirm-purge", "5"]] {
        let refused = trial.vsync.run(arguments).expect(4);
        assert!(refused.stdout.contains("would be 3 purged for good"), "{}", refused.text());
        assert!(refused.stderr.contains("add --confirm-purge 3"), "{}", refused.text());
        for n in 0..6 {
            assert_eq!(versions(&destination, &format!("app-{n}")).as_deref(), Some("++"), "app-{n}");
        }
    }
    let dry = trial.vsync.run(&["sync", "--dry-run"]).expect(0);
    assert!(dry.stdout.contains("dry run completed"), "{}", dry.stdout);

    let done = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "3"]).expect(0);
    assert!(done.stdout.contains("3 purged for good among the deleted"), "{}", done.stdout);
    for name in ["app-0", "app-1", "app-2"] {
        assert_eq!(versions(&destination, name), None, "{name}");
    }
    for name in ["app-3", "app-4"] {
        assert_eq!(versions(&destination, name).as_deref(), Some("+-"), "{name}");
    }
    assert_eq!(versions(&destination, "app-5").as_deref(), Some("++"));
    assert_eq!(planned(&trial), []);
    let _ = trial.vsync.run(&["verify"]).expect(0);

    let history = trial.vsync.run(&["history", "--output", "json"]).expect(0);
    let newest = objects(&history).into_iter().find(|object| object["type"] == "cycle").unwrap();
    assert_eq!((&newest["done"]["delete"], &newest["done"]["purge"]), (&json!(5), &json!(3)), "{newest}");

    let cycle = newest["cycle"].as_str().unwrap();
    let undo = trial.vsync.run(&["undo", cycle, "--dry-run", "--output", "json"]);
    let impossible: Vec<_> = objects(&undo).into_iter().filter(|object| object["type"] == "impossible").collect();
    assert_eq!(impossible.len(), 3, "{}", undo.text());
    let said = "the cycle purged it for good, and nothing can bring it back";
    assert!(impossible.iter().all(|object| object["reason"] == said), "{impossible:?}");
}

#[test]
fn what_is_only_soft_deleted_is_purged_when_it_is_gone_for_good() {
    let trial = trial("purge", "");
    fill(&trial, 3);
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    origin.delete("secret", "app-0");
    origin.delete("secret", "app-1");
    let _ = trial.sync().expect(0);
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("+-"));
    assert_eq!(planned(&trial), [], "nothing to do while the origin can undelete it");

    // one comes back, the other goes altogether
    let (status, answer) = origin.request("PUT", "secret/undelete/app-0", Some(json!({ "versions": [2] })));
    assert_eq!(status, 204, "{answer}");
    origin.remove("secret", "app-1");
    assert_eq!(planned(&trial), [task("add", "app-0"), task("purge", "app-1")]);
    let refused = trial.sync().expect(4);
    assert!(refused.stderr.contains("--confirm-purge 1"), "{}", refused.text());
    let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "1"]).expect(0);
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("+-+"), "a new version");
    assert_eq!(destination.read("secret", "app-0"), origin.read("secret", "app-0"));
    assert_eq!(versions(&destination, "app-1"), None);
    assert_eq!(planned(&trial), []);
}

#[test]
fn a_secret_comes_back_after_every_kind_of_delete() {
    for (on_delete, gone, back) in [
        ("soft", Some("+-"), "+-+"),
        ("destroy", Some("xx"), "xx+"),
        ("purge", None, "+"),
        ("ignore", Some("++"), "+++"),
    ] {
        let trial = trial(on_delete, "");
        fill(&trial, 2);
        let (origin, destination) = (trial.origin.client(), trial.destination.client());
        origin.remove("secret", "app-0");
        let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "1"]);
        let _ = trial.vsync.run(&["sync", "--yes"]).expect(0);
        assert_eq!(versions(&destination, "app-0").as_deref(), gone, "{on_delete}");
        assert_eq!(planned(&trial), [], "{on_delete}");
        origin.write("secret", "app-0", &json!({ "again": canary(on_delete) }));
        let _ = trial.sync().expect(0);
        assert_eq!(versions(&destination, "app-0").as_deref(), Some(back), "{on_delete}");
        assert_eq!(destination.read("secret", "app-0"), Some(json!({ "again": canary(on_delete) })));
        assert_eq!(planned(&trial), [], "{on_delete}");
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}

#[test]
fn a_destroyed_secret_keeps_its_metadata_and_what_the_origin_undeletes_comes_back() {
    let trial = trial("destroy", "");
    fill(&trial, 3);
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    origin.remove("secret", "app-0");
    origin.delete("secret", "app-1");
    assert_eq!(planned(&trial), [task("destroy", "app-0"), task("delete", "app-1")]);
    let done = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "1"]).expect(0);
    assert!(done.stdout.contains("1 destroyed for good"), "{}", done.stdout);
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("xx"));
    assert_eq!(versions(&destination, "app-1").as_deref(), Some("+-"));
    origin.request("PUT", "secret/undelete/app-1", Some(json!({ "versions": [2] })));
    let _ = trial.sync().expect(0);
    assert_eq!(destination.read("secret", "app-1"), origin.read("secret", "app-1"));
    // deleted once more, then all its data destroyed: that follows
    origin.delete("secret", "app-1");
    let _ = trial.sync().expect(0);
    origin.destroy("secret", "app-1", &[1, 2]);
    assert_eq!(planned(&trial), [task("destroy", "app-1")]);
    let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "1"]).expect(0);
    assert_eq!(versions(&destination, "app-1").as_deref(), Some("xxx"));
    assert_eq!(planned(&trial), []);
}

#[test]
fn what_somebody_else_wrote_is_never_purged() {
    let trial = trial("purge", "on_drift = \"overwrite\"");
    fill(&trial, 2);
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    destination.write("secret", "app-0", &json!({ "theirs": canary(true) }));
    origin.remove("secret", "app-0");
    let refused = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "1"]).expect(3);
    assert!(refused.stdout.contains("what somebody else wrote is never destroyed"), "{}", refused.text());
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("+++"));
    // now that it is known, the origin is right as far as that can be taken back
    assert_eq!(planned(&trial), [task("delete", "app-0")]);
    let _ = trial.sync().expect(0);
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("++-"));
    assert_eq!(planned(&trial), []);
}

#[test]
fn where_nothing_can_be_seen_nothing_is_destroyed() {
    for on_delete in ["purge", "destroy"] {
        let trial = trial(on_delete, "on_drift = \"overwrite\"");
        fill(&trial, 2);
        let destination = trial.destination.client();
        let token = destination.policy_token(
            "blind",
            "path \"secret/data/*\" { capabilities = [\"create\", \"update\", \"read\", \"delete\"] }
             path \"secret/metadata/*\" { capabilities = [\"delete\", \"list\"] }
             path \"secret/destroy/*\" { capabilities = [\"update\"] }",
        );
        trial.remove("secret", "app-0");
        let token = format!("destinations.copy.vault.token={token}");
        let sync = ["sync", "--yes", "--confirm-purge", "1", "--set", &token];
        let refused = trial.vsync.run(&sync).expect(3);
        assert!(
            refused.stdout.contains("nothing is destroyed: allow \"read\" on secret/metadata/app-0"),
            "{}",
            refused.text()
        );
        assert_eq!(versions(&destination, "app-0").as_deref(), Some("++"));

        // a dry run says beforehand what is missing
        let poor = destination.policy_token("poor", "path \"secret/metadata/*\" { capabilities = [\"read\"] }");
        let poor = format!("destinations.copy.vault.token={poor}");
        let dry = trial.vsync.run(&["sync", "--dry-run", "--set", &poor]).expect(3);
        let lacks = match on_delete {
            "purge" => "lacks \"delete\" on secret/metadata/app-0",
            _ => "lacks \"update\" on secret/destroy/app-0",
        };
        assert!(dry.stdout.contains(lacks), "{}", dry.text());
    }
}

#[test]
fn a_daemon_purges_only_as_many_as_the_configuration_allows() {
    let trial = trial("purge", "");
    fill(&trial, 4);
    let destination = trial.destination.client();
    trial.remove("secret", "app-0");
    trial.origin.client().write("secret", "app-3", &json!({ "new": canary(true) }));
    let mut daemon = trial.vsync.background("held", &["sync", "--watch", "--tick", "200ms"], &[]);
    let limit = Duration::from_secs(30);
    let until = |what: &dyn Fn() -> bool| {
        let started = Instant::now();
        while !what() {
            assert!(started.elapsed() < limit, "never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    daemon.wait_for("1 secret would be destroyed or purged for good, more than guards.max_purge allows", limit);
    assert!(daemon.told().contains("--confirm-purge 1"), "{}", daemon.told());
    until(&|| destination.read("secret", "app-3") == Some(json!({ "new": canary(true) })));
    daemon.signal("TERM");
    assert_eq!(daemon.end(limit), Some(0));
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("++"));

    let allowed = ["sync", "--watch", "--tick", "200ms", "--set", "destinations.copy.guards.max_purge=1"];
    let mut daemon = trial.vsync.background("allowed", &allowed, &[]);
    until(&|| versions(&destination, "app-0").is_none());
    daemon.signal("TERM");
    assert_eq!(daemon.end(limit), Some(0));
    // two are more than one: then none of them goes. No tick may see the first alone.
    trial.remove("secret", "app-1");
    trial.remove("secret", "app-2");
    trial.origin.client().write("secret", "app-3", &json!({ "newer": canary(true) }));
    let mut daemon = trial.vsync.background("again", &allowed, &[]);
    until(&|| destination.read("secret", "app-3") == Some(json!({ "newer": canary(true) })));
    daemon.signal("TERM");
    assert_eq!(daemon.end(limit), Some(0));
    for name in ["app-1", "app-2"] {
        assert_eq!(versions(&destination, name).as_deref(), Some("++"), "{name}");
    }
}

#[test]
fn a_saved_plan_purges_what_it_names_and_a_retry_wants_the_number_too() {
    let trial = trial("purge", "");
    fill(&trial, 3);
    let destination = trial.destination.client();
    trial.remove("secret", "app-0");
    let _ = trial.vsync.run(&["plan", "--out", "saved.json"]).expect(2);
    let saved = std::fs::read_to_string(trial.vsync.folder().join("saved.json")).unwrap();
    assert!(saved.contains("\"operation\":\"purge\""), "{saved}");
    let refused = trial.vsync.run(&["sync", "--plan", "saved.json", "--yes"]).expect(4);
    assert!(refused.stderr.contains("--confirm-purge 1"), "{}", refused.text());
    // what was a purge may not become less or more on the way
    let soft = ["sync", "--plan", "saved.json", "--yes", "--set", "destinations.copy.on_delete=soft"];
    let stale = trial.vsync.run(&soft).expect(4);
    assert!(stale.stdout.contains("it is a secret to delete now"), "{}", stale.text());

    let rule = trial.at_destination.rule("DELETE", "metadata/app-0", When::Always, Fault::Status(403));
    let failed = trial.vsync.run(&["sync", "--plan", "saved.json", "--yes", "--confirm-purge", "1"]).expect(3);
    assert!(failed.stdout.contains("app-0"), "{}", failed.text());
    rule.remove();
    let _ = trial.vsync.run(&["retry", "--yes"]).expect(4);
    assert_eq!(versions(&destination, "app-0").as_deref(), Some("++"));
    let _ = trial.vsync.run(&["retry", "--yes", "--confirm-purge", "1"]).expect(0);
    assert_eq!(versions(&destination, "app-0"), None);
}
