//! Deletes whose answers are lost: known for vsync's own by whatever comes after them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::support::{Fault, Run, When, canary};
use crate::trial::{Setup, Trial};

fn value(n: usize, what: &str) -> Value {
    json!({ "n": canary(n), "what": what })
}

/// Twelve secrets, copied, with tokens that may undo; the first two are gone at the origin by now.
fn trial(on_delete: &str, retries: u32) -> Trial {
    let keys = format!("on_delete = \"{on_delete}\"\nnum_workers = 1\nguards = {{ max_delete = \"100%\" }}");
    let trial = Trial::start(&Setup { destination: &keys, retries, ..Setup::default() });
    let config = std::fs::read_to_string(trial.vsync.folder().join("vsync.toml")).unwrap();
    let [first, second] = <[String; 2]>::try_from(trial.vsync.tokens()).unwrap();
    trial.vsync.configure(&config.replace(&first, "least").replace(&second, "least+undo"));
    trial.origin.client().write_all("secret", (0..12).map(|n| (format!("app-{n}"), value(n, "first"))));
    let _ = trial.sync().expect(0);
    trial.remove("secret", "app-0");
    trial.remove("secret", "app-1");
    trial
}

const KINDS: [(&str, &str, &str); 3] =
    [("soft", "DELETE", "/data/app-0$"), ("destroy", "", "/destroy/app-0$"), ("purge", "DELETE", "/metadata/app-0$")];

fn sync(trial: &Trial, number: &str) -> Run {
    trial.vsync.run(&["sync", "--yes", "--confirm-purge", number, "--output", "json"])
}

fn report(run: &Run) -> Value {
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.into_iter().find(|one| one["type"] == "report").unwrap_or_else(|| panic!("{}", run.text()))
}

/// The origin has both again: they are copied, and nothing is taken for somebody else's.
fn assert_they_come_back(trial: &Trial, on_delete: &str) {
    trial.origin.client().write("secret", "app-0", &value(0, "again"));
    trial.origin.client().write("secret", "app-1", &value(1, "again"));
    let run = trial.sync().expect(0);
    assert!(!run.text().contains("somebody else"), "{on_delete}: {}", run.text());
    trial.assert_equal();
    let newest = trial.destination.client().metadata("secret", "app-0").unwrap()["current_version"].clone();
    assert_eq!(newest, if on_delete == "purge" { 1 } else { 2 }, "{on_delete}");
    let _ = trial.vsync.run(&["plan"]).expect(0);
    let _ = trial.vsync.run(&["verify"]).expect(0);
}

#[test]
fn what_comes_back_after_a_delete_whose_answer_was_lost_is_no_drift() {
    for (on_delete, method, path) in KINDS {
        let trial = trial(on_delete, 2);
        let lost = trial.at_destination.rule(method, path, When::Always, Fault::ResetAfterwards);
        let run = sync(&trial, if on_delete == "soft" { "0" } else { "2" }).expect(0);
        assert!(lost.picked() > 0, "{on_delete}: {}", run.text());
        lost.remove();
        assert_they_come_back(&trial, on_delete);
    }
}

#[test]
fn a_delete_that_nobody_could_look_at_again_is_no_drift_either() {
    for (on_delete, method, path) in KINDS {
        let trial = trial(on_delete, 1);
        let lost = trial.at_destination.rule(method, path, When::Always, Fault::ResetAfterwards);
        let blind = trial.at_destination.rule("GET", "/metadata/app-0$", When::From(2), Fault::Status(500));
        let run = sync(&trial, if on_delete == "soft" { "0" } else { "2" }).expect(3);
        assert!(lost.picked() > 0 && blind.picked() > 0, "{on_delete}: {}", run.text());
        lost.remove();
        blind.remove();
        assert_they_come_back(&trial, on_delete);
    }
}

/// Copied and deleted softly; the cycle that did.
fn deleted(trial: &Trial) -> String {
    report(&sync(trial, "0").expect(0))["cycle"].as_str().unwrap().to_owned()
}

#[test]
fn an_undelete_whose_answer_was_lost_before_the_server_went_away_is_looked_at_again() {
    let trial = trial("soft", 0);
    let config = std::fs::read_to_string(trial.vsync.folder().join("vsync.toml")).unwrap();
    trial.vsync.configure(&config.replace("on_delete", "patience = \"1s\"\non_delete"));
    let cycle = deleted(&trial);
    let lost = trial.at_destination.rule("", "^/v1/secret/undelete/app-0$", When::First(1), Fault::ResetAfterwards);
    let gone = trial.at_destination.rule("GET", "^/v1/sys/health", When::Always, Fault::Reset);
    let undo = trial.vsync.run(&["undo", &cycle, "--yes"]);
    assert!(lost.picked() > 0 && gone.picked() > 0 && undo.code != Some(0), "{}", undo.text());
    lost.remove();
    gone.remove();
    let copy = trial.destination.client();
    assert_eq!(copy.read("secret", "app-0"), Some(value(0, "first")), "the server did it");
    assert_eq!(copy.read("secret", "app-1"), None, "{}", undo.text());
    let _ = trial.vsync.run(&["plan"]).expect(2);
    let run = trial.sync().expect(0);
    assert!(!run.text().contains("somebody else"), "{}", run.text());
    trial.assert_equal();
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn an_undo_whose_second_try_cannot_look_forgets_nothing_of_the_first() {
    let trial = trial("soft", 0);
    let cycle = deleted(&trial);
    let lost = trial.at_destination.rule("", "^/v1/secret/undelete/app-0$", When::First(1), Fault::ResetAfterwards);
    // the plan's look, that of the first try, that of the second
    let blind = trial.at_destination.rule("GET", "^/v1/secret/metadata/app-0$", When::From(3), Fault::Status(403));
    let undo = trial.vsync.run(&["undo", &cycle, "--yes"]).expect(3);
    assert!(lost.picked() == 1 && blind.picked() > 0, "{}", undo.text());
    lost.remove();
    blind.remove();
    let copy = trial.destination.client();
    assert_eq!(copy.read("secret", "app-0"), Some(value(0, "first")), "the server did it");
    let _ = trial.vsync.run(&["plan"]).expect(2);
    let _ = trial.sync().expect(0);
    trial.assert_equal();
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_delete_whose_answer_was_lost_can_be_undone() {
    for (on_delete, method, path) in KINDS {
        let trial = trial(on_delete, 3);
        // the second attempt finds it done
        let lost = trial.at_destination.rule(method, path, When::First(1), Fault::ResetAfterwards);
        let run = sync(&trial, if on_delete == "soft" { "0" } else { "2" }).expect(0);
        assert_eq!(lost.picked(), 1, "{on_delete}: {}", run.text());
        lost.remove();
        let report = report(&run);
        assert_eq!(report["destinations"][0]["done"]["delete"], 2, "{on_delete}: it is told as done: {report}");
        let undo = trial.vsync.run(&["undo", report["cycle"].as_str().unwrap(), "--yes"]);
        let copy = trial.destination.client();
        if on_delete == "soft" {
            let _ = undo.expect(0);
            for n in [0, 1] {
                assert_eq!(copy.read("secret", &format!("app-{n}")), Some(value(n, "first")));
            }
            // and undone is not drift: the next cycle deletes them again
            let _ = trial.sync().expect(0);
            trial.assert_equal();
        } else {
            // both are named as what nobody can bring back, neither as somebody else's
            assert_eq!(undo.text().matches("nothing can bring it back").count(), 2, "{on_delete}: {}", undo.text());
        }
        trial.assert_versions(1);
    }
}

#[test]
fn what_the_origin_undeletes_after_a_delete_whose_answer_was_lost_comes_back() {
    for retries in [2, 0] {
        let trial = Trial::start(&Setup { destination: "num_workers = 1", retries, ..Setup::default() });
        trial.origin.client().write_all("secret", (0..12).map(|n| (format!("app-{n}"), value(n, "first"))));
        let _ = trial.sync().expect(0);
        let origin = trial.origin.client();
        origin.delete("secret", "app-0");
        let lost = trial.at_destination.rule("DELETE", "/data/app-0$", When::Nth(1), Fault::ResetAfterwards);
        // the look before it is tried again
        let looked = trial.at_origin.rule("GET", "/metadata/app-0$", When::From(2), Fault::Hold);
        let cycle = trial.vsync.spawn(&["sync", "--yes"]);
        lost.wait_until_picked(1);
        if retries > 0 {
            looked.wait_until_picked(1);
        }
        // it has the version again that was copied
        assert_eq!(origin.request("POST", "secret/undelete/app-0", Some(json!({ "versions": [1] }))).0, 204);
        looked.remove();
        let _ = cycle.wait();
        lost.remove();
        let run = trial.sync();
        assert!(matches!(run.code, Some(0)), "{}", run.text());
        trial.assert_equal();
        let _ = trial.vsync.run(&["plan"]).expect(0);
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}
