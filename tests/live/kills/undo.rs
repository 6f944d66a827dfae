//! Undos that are cut off.

use std::time::Duration;

use serde_json::json;

use super::{killed_at, objects};
use crate::support::{Fault, Run, When, canary};
use crate::trial::{Setup, Trial};

#[test]
fn an_undo_that_is_killed_is_gone_on_with() {
    let keys = "num_workers = 1\nguards = { max_delete = \"100%\" }";
    // a look at what is to be written back, deleted or undeleted; each of the three, done and not heard of
    for (method, request, nth) in [
        ("GET", "^/v1/secret/data/.*version=", 3),
        ("GET", "^/v1/secret/metadata/app-[68]", 3),
        ("POST", "^/v1/secret/data/", 2),
        ("DELETE", "^/v1/secret/data/", 1),
        ("POST", "^/v1/secret/undelete/", 1),
    ] {
        let setup = Setup { destination: keys, retries: 2, ..Setup::default() };
        let trial = Trial::start(&setup);
        may_undo(&trial);
        let (origin, destination) = (trial.origin.client(), trial.destination.client());
        let n = |n: usize, round: usize| (format!("app-{n}"), json!({ "n": canary(n), "round": round }));
        origin.write_all("secret", (0..8).map(|i| n(i, 1)));
        let _ = trial.sync().expect(0);
        let before = destination.read_all("secret");
        origin.write_all("secret", (0..5).map(|i| n(i, 2)));
        origin.write_all("secret", [n(8, 2), n(9, 2)]);
        origin.delete("secret", "app-6");
        let run = trial.vsync.run(&["sync", "--yes", "--output", "json"]).expect(0);
        let cycle = objects(&run).iter().find(|one| one["type"] == "report").unwrap()["cycle"].clone();
        let cycle = cycle.as_str().unwrap();
        let after = destination.read_all("secret");

        killed_at(&trial.vsync, &["undo", cycle, "--yes"], &trial.at_destination, (method, request), nth);
        // what was put back is not touched any more, and the rest is put back
        let again = trial.vsync.run(&["undo", cycle, "--yes"]);
        assert!(matches!(again.code, Some(0 | 3)), "{}", again.text());
        assert_eq!(destination.read_all("secret"), before, "{request}: {}", again.text());
        for (name, metadata) in destination.metadata_all("secret") {
            let version = metadata["current_version"].as_u64().unwrap();
            let number: usize = name.trim_start_matches("app-").parse().unwrap();
            assert_eq!(version, if number < 5 { 3 } else { 1 }, "{name} was written twice");
        }
        // and it is no drift: the next cycle copies it all once more
        let _ = trial.sync().expect(0);
        assert_eq!(destination.read_all("secret"), after);
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}

#[test]
fn a_sync_after_an_undo_that_was_cut_off_brings_back_what_it_had_undone_and_nothing_else() {
    for (signal, method, request) in [
        ("KILL", "POST", "^/v1/secret/data/"),
        ("KILL", "DELETE", "^/v1/secret/data/"),
        ("KILL", "POST", "^/v1/secret/undelete/"),
        ("INT", "POST", "^/v1/secret/data/"),
    ] {
        let keys = "num_workers = 1\nguards = { max_delete = \"100%\" }";
        let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
        may_undo(&trial);
        let (origin, destination) = (trial.origin.client(), trial.destination.client());
        let n = |n: usize, round: usize| (format!("app-{n}"), json!({ "n": canary(n), "round": round }));
        origin.write_all("secret", (0..6).map(|i| n(i, 1)));
        let _ = trial.sync().expect(0);
        origin.write_all("secret", (0..4).map(|i| n(i, 2)));
        origin.write_all("secret", [n(8, 2), n(9, 2)]);
        origin.delete("secret", "app-5");
        let run = trial.vsync.run(&["sync", "--yes", "--output", "json"]).expect(0);
        let cycle = objects(&run).iter().find(|one| one["type"] == "report").unwrap()["cycle"].clone();
        let arguments = ["undo", cycle.as_str().unwrap(), "--yes"];
        if signal == "KILL" {
            killed_at(&trial.vsync, &arguments, &trial.at_destination, (method, request), 1);
        } else {
            let held = trial.at_destination.rule(method, request, When::Nth(2), Fault::Hold);
            let mut undo = trial.vsync.background("interrupted", &arguments, &[]);
            held.wait_until_picked(1);
            undo.signal(signal);
            let limit = Duration::from_secs(30);
            undo.wait_for("Stopping: what is under way is finished and saved", limit);
            held.remove();
            assert_eq!(undo.end(limit), Some(130), "{}", undo.told());
        }
        let undone = destination.metadata_all("secret");
        let _ = trial.sync().expect(0);
        trial.assert_equal();
        // what the undo had not come to is as it was
        for (name, metadata) in destination.metadata_all("secret") {
            let newest = metadata["current_version"].as_u64().unwrap();
            let copied = if matches!(name.as_str(), "app-4" | "app-5" | "app-8" | "app-9") { 1 } else { 2 };
            let before = undone[&name]["current_version"].as_u64().unwrap();
            let was_deleted = name != "app-5" && undone[&name]["versions"][before.to_string()]["deletion_time"] != "";
            let is_touched = before > copied || was_deleted;
            assert_eq!(newest, before + u64::from(is_touched), "{signal} {request}: {name}");
        }
        let _ = trial.vsync.run(&["plan"]).expect(0);
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}

#[test]
fn what_somebody_else_wrote_is_safe_after_an_undo_of_an_undo_that_was_cut_off() {
    for is_gone in [false, true] {
        let keys = "num_workers = 1\non_existing = \"overwrite\"\non_delete = \"purge\"\n\
                    guards = { max_delete = \"100%\" }";
        let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
        may_undo(&trial);
        let (origin, destination) = (trial.origin.client(), trial.destination.client());
        let theirs = json!({ "n": canary("theirs") });
        destination.write("secret", "app-0", &theirs);
        origin.write_all("secret", (0..3).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        let cycle_of = |run: Run| {
            let report = objects(&run).into_iter().find(|one| one["type"] == "report").unwrap();
            report["cycle"].as_str().unwrap().to_owned()
        };
        let first = cycle_of(trial.vsync.run(&["sync", "--yes", "--output", "json"]).expect(0));
        let undo = cycle_of(trial.vsync.run(&["undo", &first, "--yes", "--output", "json"]).expect(0));
        assert_eq!(destination.read("secret", "app-0"), Some(theirs.clone()));
        let look = ("GET", "^/v1/secret/data/app-0.*version=");
        killed_at(&trial.vsync, &["undo", &undo, "--yes"], &trial.at_destination, look, 1);
        if is_gone {
            trial.remove("secret", "app-0");
        }
        let sync = ["sync", "--yes", "--set", "destinations.copy.on_existing=report"];
        let confirmed: &[&str] = if is_gone { &["--confirm-purge", "1"] } else { &[] };
        let run = trial.vsync.run(&[&sync, confirmed].concat());
        assert_ne!(run.code, Some(0), "{}", run.text());
        assert_eq!(destination.read("secret", "app-0"), Some(theirs), "{}", run.text());
        assert!(run.text().contains("vsync never wrote it"), "{}", run.text());
    }
}

/// Gives it a token that may undo, too.
fn may_undo(trial: &Trial) {
    let config = std::fs::read_to_string(trial.vsync.folder().join("vsync.toml")).unwrap();
    let filled =
        trial.vsync.tokens().iter().zip(["least", "least+undo"]).fold(config, |config, (token, marker)| {
            config.replacen(&format!("\"{token}\""), &format!("\"{marker}\""), 1)
        });
    trial.vsync.configure(&filled);
}
