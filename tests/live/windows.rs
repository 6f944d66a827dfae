//! Edits at the destination that come between two requests of vsync: after the plan, after the last look, between two
//! attempts. Nobody's value or metadata is lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::support::{Fault, RootClient, Run, When, canary};
use crate::trial::{Setup, Trial};

fn trial(keys: &str) -> Trial {
    let keys = format!("num_workers = 1\n{keys}\nguards = {{ max_delete = \"100%\" }}");
    let trial = Trial::start(&Setup { destination: &keys, retries: 3, ..Setup::default() });
    for n in 0..6 {
        trial.origin.client().write("secret", &format!("app-{n}"), &ours(n));
    }
    trial
}

fn ours(n: usize) -> Value {
    json!({ "n": canary(n) })
}

fn theirs() -> Value {
    json!({ "by": canary("hand") })
}

/// Runs a cycle, and writes by hand while its `nth` request about `app-0`'s metadata at the destination is on its way.
fn written_meanwhile(trial: &Trial, arguments: &[&str], nth: u64) -> Run {
    let held = trial.at_destination.rule("", "^/v1/secret/(metadata|data)/app-0$", When::Nth(nth), Fault::Hold);
    let cycle = trial.vsync.spawn(arguments);
    held.wait_until_picked(1);
    trial.destination.client().write("secret", "app-0", &theirs());
    held.remove();
    cycle.wait()
}

#[test]
fn a_delete_that_is_tried_again_looks_again_first() {
    for on_delete in ["purge", "destroy", "soft"] {
        // the server has done it and nobody knows, or it has not, and wants to be asked later
        for fault in [Fault::ResetAfterwards, Fault::RetryAfter(1), Fault::Status(503), Fault::Status(500)] {
            let trial = trial(&format!("on_delete = \"{on_delete}\""));
            let _ = trial.sync().expect(0);
            trial.remove("secret", "app-0");
            let path = match on_delete {
                "purge" => "^/v1/secret/metadata/app-0$",
                "destroy" => "^/v1/secret/destroy/app-0$",
                _ => "^/v1/secret/data/app-0$",
            };
            let method = if on_delete == "destroy" { "" } else { "DELETE" };
            let failing = trial.at_destination.rule(method, path, When::First(1), fault.clone());
            // the look comes first, then the request that fails; the next one is held, whatever it is
            let at = if on_delete == "destroy" {
                "^/v1/secret/(metadata|destroy)/app-0$"
            } else {
                "^/v1/secret/(metadata|data)/app-0$"
            };
            let held = trial.at_destination.rule("", at, When::Nth(3), Fault::Hold);
            let confirm = if on_delete == "soft" { &[][..] } else { &["--confirm-purge", "1"] };
            let cycle = trial.vsync.spawn(&[&["sync", "--yes"], confirm].concat());
            held.wait_until_picked(1);
            assert_eq!(failing.picked(), 1);
            trial.destination.client().write("secret", "app-0", &theirs());
            held.remove();
            let run = cycle.wait();
            let case = format!("{on_delete}, {fault:?}: {}", run.text());
            assert_eq!(trial.destination.client().read("secret", "app-0"), Some(theirs()), "{case}");
            assert!(matches!(run.code, Some(0 | 3)), "{case}");
            // it is somebody else's from now on
            let _ = trial.sync();
            assert_eq!(trial.destination.client().read("secret", "app-0"), Some(theirs()), "{case}");
        }
    }
}

#[test]
fn what_is_written_after_the_plan_is_neither_purged_nor_destroyed() {
    for on_delete in ["purge", "destroy", "soft"] {
        let trial = trial(&format!("on_delete = \"{on_delete}\"\non_drift = \"overwrite\""));
        let _ = trial.sync().expect(0);
        for n in [0, 1] {
            trial.remove("secret", &format!("app-{n}"));
        }
        let _ = trial.vsync.run(&["plan", "--out", "saved.json"]).expect(2);
        trial.destination.client().write("secret", "app-0", &theirs());
        let confirm = if on_delete == "soft" { &[][..] } else { &["--confirm-purge", "2"] };
        let run = trial.vsync.run(&[&["sync", "--plan", "saved.json", "--yes"], confirm].concat()).expect(3);
        let destination = trial.destination.client();
        assert_eq!(destination.read("secret", "app-0"), Some(theirs()), "{on_delete}: {}", run.text());
        assert_eq!(destination.read_version("secret", "app-0", 1), Some(ours(0)), "{on_delete}: {}", run.text());
        assert!(!trial.is_copied("secret", "app-1"), "{on_delete}: the rest of the plan is done");
        assert!(run.stdout.contains("secret/app-0: version 2 is there, and vsync left version 1"), "{}", run.text());
    }
}

#[test]
fn what_is_written_just_before_the_last_look_is_not_purged() {
    for on_delete in ["purge", "destroy", "soft"] {
        let trial = trial(&format!("on_delete = \"{on_delete}\""));
        let _ = trial.sync().expect(0);
        trial.remove("secret", "app-0");
        let confirm = if on_delete == "soft" { &[][..] } else { &["--confirm-purge", "1"] };
        let run = written_meanwhile(&trial, &[&["sync", "--yes"], confirm].concat(), 1).expect(3);
        let destination = trial.destination.client();
        assert_eq!(destination.read("secret", "app-0"), Some(theirs()), "{on_delete}: {}", run.text());
        assert_eq!(destination.read_version("secret", "app-0", 1), Some(ours(0)), "{on_delete}: {}", run.text());
    }
}

fn owner(client: &RootClient, name: &str) -> Value {
    client.metadata("secret", name).unwrap()["custom_metadata"]["owner"].clone()
}

fn own(client: &RootClient, name: &str, owner: &str) {
    client.write_metadata("secret", name, json!({ "custom_metadata": { "owner": owner } }));
}

#[test]
fn metadata_that_is_changed_between_plan_and_write_is_not_lost() {
    let trial = trial("fidelity = \"metadata\"");
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    for n in 0..6 {
        own(&origin, &format!("app-{n}"), "first");
    }
    let _ = trial.sync().expect(0);
    for n in 0..4 {
        own(&origin, &format!("app-{n}"), "second");
    }
    // after the plan was approved
    let _ = trial.vsync.run(&["plan", "--out", "saved.json"]).expect(2);
    own(&destination, "app-0", "by hand");
    // and while the last request is on its way
    let held = trial.at_destination.rule("POST", "^/v1/secret/metadata/app-1$", When::First(1), Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--plan", "saved.json", "--yes"]);
    held.wait_until_picked(1);
    own(&destination, "app-1", "by hand");
    held.remove();
    let run = cycle.wait().expect(3);
    for name in ["app-0", "app-1"] {
        assert_eq!(owner(&destination, name), "by hand", "{name}: {}", run.text());
        assert!(run.stdout.contains(&format!("secret/{name}: ")), "{name} is named: {}", run.text());
    }
    for name in ["app-2", "app-3"] {
        assert_eq!(owner(&destination, name), "second", "{name}: {}", run.text());
    }
    // it stays a decision of somebody
    let run = trial.sync().expect(3);
    assert_eq!((owner(&destination, "app-0"), owner(&destination, "app-1")), (json!("by hand"), json!("by hand")));
    assert!(run.text().contains("--on-drift overwrite"), "{}", run.text());
    let _ = trial.vsync.run(&["retry", "--yes", "--on-drift", "overwrite"]).expect(0);
    for n in 0..4 {
        assert_eq!(owner(&destination, &format!("app-{n}")), "second");
    }
    trial.assert_versions(1);
}

#[test]
fn a_version_that_comes_between_two_of_a_history_is_not_lost() {
    let trial = trial("fidelity = \"history\"");
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    let _ = trial.sync().expect(0);
    let write = |name: &str| (2..=5).for_each(|v| origin.write("secret", name, &json!({ "v": canary(v) })));
    write("app-0");
    write("app-1");
    write("app-2");
    let _ = trial.vsync.run(&["plan", "--out", "saved.json"]).expect(2);
    // before the first version of one, and between the second and the third of the other
    destination.write("secret", "app-0", &theirs());
    let held = trial.at_destination.rule("POST", "^/v1/secret/data/app-1$", When::Nth(2), Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--plan", "saved.json", "--yes"]);
    held.wait_until_picked(1);
    destination.write("secret", "app-1", &theirs());
    held.remove();
    let run = cycle.wait().expect(3);
    assert!(run.stdout.contains("secret/app-0: ") && run.stdout.contains("secret/app-1: "), "{}", run.text());
    for (name, version) in [("app-0", 2), ("app-1", 3)] {
        let newest = destination.metadata("secret", name).unwrap()["current_version"].clone();
        assert_eq!(
            (newest, destination.read("secret", name)),
            (json!(version), Some(theirs())),
            "{name}: {}",
            run.text()
        );
    }
    // nor is it by the next cycle, and overwritten it stays among the versions
    let _ = trial.sync().expect(3);
    assert_eq!(destination.read("secret", "app-1"), Some(theirs()));
    let _ = trial.vsync.run(&["retry", "--yes", "--on-drift", "overwrite"]).expect(0);
    for (name, version) in [("app-0", 2), ("app-1", 3)] {
        assert_eq!(destination.read("secret", name), origin.read("secret", name));
        assert_eq!(destination.read_version("secret", name, version), Some(theirs()), "{name}");
    }
}
