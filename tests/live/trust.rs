//! What an operator must be able to rely on when servers misbehave: the built program between real servers, with the
//! proxy in front of them to make them fail at a chosen moment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Audit, Fault, FaultRule, Run, When, canary};
use crate::trial::{EACH, Setup, Trial, assert_same, contents, seed};

/// Two sides with secrets. Everything is copied, unless `copied` is false. `origin` is more for the origin's section,
/// `retries` how often either side's requests are repeated.
fn trial(origin: &str, retries: u32, copied: bool) -> Trial {
    let trial = Trial::start(&Setup { origin, retries, ..Setup::default() });
    seed(&trial.origin.client());
    if copied {
        let _ = trial.sync().expect(0);
        trial.assert_equal();
    }
    trial
}

/// What was done to data at the destination, in both mounts.
fn done(audit: &Audit) -> Vec<String> {
    let mut done = audit.touched("secret/data/");
    done.extend(audit.touched("more/data/"));
    done
}

/// Every way in which an answer can fail.
fn failures() -> Vec<Fault> {
    vec![Fault::Status(403), Fault::Status(500), Fault::Status(503), Fault::Garbage, Fault::CutOff(5), Fault::Reset]
}

/// What the person at the terminal must learn of a part that could not be read.
fn assert_named(run: &Run, part: &str, fault: &Fault) {
    let line = run.stdout.lines().find(|line| line.starts_with(&format!("? {part}: ")));
    assert!(line.is_some(), "{fault:?}: {part} is not named:\n{}", run.text());
    assert!(run.stdout.contains("Nothing under what is named above is changed or deleted"), "{}", run.text());
}

/// One folder fails, in every way there is: what is known is done, and nothing under the folder.
fn one_folder_fails(listing: &str) {
    let trial = trial(&format!("listing = \"{listing}\""), 1, true);
    // in the middle of the names, too
    for (round, fault) in failures().iter().chain(&[Fault::CutOff(600), Fault::Nameless]).enumerate() {
        let gone = format!("app-{round}");
        trial.remove("secret", &format!("team-a/{gone}"));
        trial.remove("secret", &format!("team-b/{gone}"));
        trial.origin.client().write("secret", &format!("team-b/app-{}", EACH - 1), &json!({ "round": round }));
        let rule = trial.at_origin.rule("", "^/v1/secret/(detailed-)?metadata/team-b", When::Always, fault.clone());
        let audit = trial.destination.audit();
        let run = trial.sync().expect(1);
        assert!(rule.picked() > 0, "{fault:?} was never met");
        assert_named(&run, "secret/team-b/", fault);
        assert_eq!(done(&audit), [format!("delete secret/data/team-a/{gone}")], "{fault:?}: {}", run.text());
        rule.remove();
    }
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

#[test]
fn a_folder_that_cannot_be_scanned_or_listed_loses_nothing() {
    one_folder_fails("auto");
}

#[test]
fn a_folder_that_cannot_be_listed_in_detail_loses_nothing() {
    one_folder_fails("detailed");
}

#[test]
fn a_folder_that_cannot_be_listed_plainly_loses_nothing() {
    one_folder_fails("plain");
}

#[test]
fn a_secret_whose_metadata_cannot_be_read_is_not_deleted() {
    let trial = trial("listing = \"plain\"", 1, true);
    trial.remove("secret", "team-a/app-1");
    for fault in failures() {
        trial.origin.client().write("secret", "team-a/app-2", &json!({ "after": canary(format!("{fault:?}")) }));
        let rule = trial.at_origin.rule("GET", "/metadata/team-a/app-2$", When::Always, fault.clone());
        let run = trial.vsync.run(&["plan"]).expect(1);
        assert_named(&run, "secret/team-a/app-2", &fault);
        rule.remove();
    }
    // 404 is an answer: it is gone, and the cycle asks once more before it deletes. That time the origin has it.
    let rule = trial.at_origin.rule("GET", "/metadata/team-a/app-2$", When::First(1), Fault::Status(404));
    let run = trial.sync().expect(3);
    assert_eq!(rule.picked(), 1);
    assert!(
        run.text().contains("the origin has it again, or its listing did not show it: not deleted"),
        "{}",
        run.text()
    );
    assert!(trial.is_copied("secret", "team-a/app-2"));
    assert!(!trial.is_copied("secret", "team-a/app-1"));
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

#[test]
fn a_mount_that_fails_loses_nothing() {
    let trial = trial("", 1, true);
    for (round, fault) in failures().iter().enumerate() {
        let gone = format!("app-{round}");
        trial.remove("secret", &format!("team-a/{gone}"));
        trial.remove("more", &format!("team-c/{gone}"));
        let rule = trial.at_origin.rule("", "^/v1/more/", When::Always, fault.clone());
        let audit = trial.destination.audit();
        let run = trial.sync().expect(1);
        assert_named(&run, "more/", fault);
        assert_eq!(done(&audit), [format!("delete secret/data/team-a/{gone}")], "{fault:?}");
        rule.remove();
    }
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

#[test]
fn an_origin_that_fails_altogether_loses_nothing() {
    let trial = trial("", 1, true);
    trial.remove("secret", "team-a/app-1");
    let before = contents(&trial.destination.client());
    let audit = trial.destination.audit();
    for fault in failures() {
        // one mount fails otherwise than the other, and neither tells anything
        let rules = [
            trial.at_origin.rule("", "^/v1/(secret|more)/", When::Always, fault.clone()),
            trial.at_origin.rule("", "^/v1/sys/", When::Always, Fault::Status(403)),
        ];
        let run = trial.sync().expect(1);
        assert!(run.stderr.contains(&trial.at_origin.address()), "the place is named: {}", run.text());
        assert!(run.stderr.contains("secret/: ") && run.stderr.contains("more/: "), "{fault:?}: {}", run.text());
        rules.into_iter().for_each(FaultRule::remove);
    }
    assert_eq!(done(&audit), [""; 0]);
    assert_same(&contents(&trial.destination.client()), &before);
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

#[test]
fn a_scan_that_is_cut_off_is_made_up_for_by_lists() {
    let trial = trial("", 1, true);
    trial.remove("secret", "team-a/app-1");
    trial.remove("secret", "team-b/app-1");
    let rule = trial.at_origin.rule("SCAN", "", When::Always, Fault::CutOff(5_000));
    let run = trial.sync().expect(0);
    assert!(rule.picked() > 0, "nothing was scanned");
    assert!(run.stdout.lines().all(|line| !line.starts_with("? ")), "{}", run.text());
    trial.assert_equal();
}

#[test]
fn a_listing_that_breaks_off_between_two_pages_loses_nothing() {
    let trial = trial("listing = \"detailed\"", 1, false);
    let root = trial.origin.client();
    root.write_all("secret", (0..1_300).map(|n| (format!("large/app-{n:04}"), json!({ "n": canary(n) }))));
    let _ = trial.sync().expect(0);
    for (round, fault) in failures().iter().enumerate() {
        // one that the first page would show, one that the second would
        trial.remove("secret", &format!("large/app-000{round}"));
        trial.remove("secret", &format!("large/app-129{round}"));
        let changed = format!("large/app-010{round}");
        root.write("secret", &changed, &json!({ "round": round }));
        let rule = trial.at_origin.rule("LIST", "/detailed-metadata/large/.*after=", When::Always, fault.clone());
        let audit = trial.destination.audit();
        let run = trial.sync().expect(1);
        assert!(rule.picked() > 0, "there is no second page");
        assert_named(&run, "secret/large/", fault);
        let done = done(&audit);
        assert!(done.iter().all(|line| !line.starts_with("delete")), "{fault:?}: {done:?}");
        rule.remove();
    }
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

#[test]
fn an_empty_answer_in_place_of_a_listing_stops_at_the_guard() {
    let trial = trial("", 1, true);
    // As a server says that there is nothing, for one mount: 404 to every way of listing.
    trial.at_origin.rule("", "^/v1/more/(detailed-)?metadata/", When::Always, Fault::Status(404));
    let audit = trial.destination.audit();
    let run = trial.sync().expect(4);
    assert!(
        run.text().contains("the origin's more/ holds no secret, but 80 of it are recorded here"),
        "{}",
        run.text()
    );
    assert_eq!(done(&audit), [""; 0]);
}

#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let trial = trial("", 6, false);
    let asked = [
        trial.at_origin.rule("", "^/v1/secret/(detailed-)?metadata/", When::Nth(1), Fault::RetryAfter(1)),
        trial.at_origin.rule("GET", "^/v1/secret/data/", When::First(5), Fault::RetryAfter(1)),
        trial.at_destination.rule("POST", "^/v1/secret/data/", When::First(5), Fault::RetryAfter(2)),
        trial.at_destination.rule("POST", "", When::Random { probability: 0.1, seed: 3 }, Fault::Status(503)),
        trial.at_origin.rule("GET", "/data/", When::Random { probability: 0.1, seed: 4 }, Fault::Status(429)),
    ];
    let start = Instant::now();
    let run = trial.sync().expect(0);
    assert!(start.elapsed() >= Duration::from_secs(1 + 1 + 2), "{:?}: {}", start.elapsed(), run.text());
    assert!(asked.iter().all(|rule| rule.picked() > 0));
    trial.assert_equal();
    trial.assert_versions(1);
}

#[test]
fn a_secret_that_cannot_be_read_or_written_is_a_failure_of_its_own() {
    let trial = trial("", 1, false);
    let expected: BTreeSet<String> = (0..6).map(|n| format!("secret/team-a/app-{n}")).collect();
    let rules: Vec<_> = [
        (&trial.at_origin, "GET", Fault::Garbage),
        (&trial.at_origin, "GET", Fault::CutOff(20)),
        (&trial.at_origin, "GET", Fault::Status(500)),
        (&trial.at_destination, "POST", Fault::Garbage),
        (&trial.at_destination, "POST", Fault::Status(403)),
        (&trial.at_destination, "POST", Fault::Status(500)),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, (proxy, method, fault))| {
        proxy.rule(method, &format!("^/v1/secret/data/team-a/app-{n}$"), When::Always, fault)
    })
    .collect();
    let run = trial.vsync.run(&["--output", "json", "sync", "--yes"]).expect(3);
    let failed: BTreeSet<String> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|object| object["type"] == "failure")
        .map(|object| object["origin"].as_str().expect("a path").to_owned())
        .collect();
    assert_eq!(failed, expected);
    assert!(expected.iter().all(|path| !trial.is_copied("secret", path.trim_start_matches("secret/"))));
    rules.into_iter().for_each(FaultRule::remove);

    let _ = trial.vsync.run(&["retry", "--yes"]).expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
}

#[test]
fn a_delete_is_not_done_when_the_origin_does_not_confirm_it() {
    let trial = trial("", 1, true);
    trial.remove("secret", "team-a/app-1");
    for fault in failures() {
        let rule = trial.at_origin.rule("GET", "/metadata/team-a/app-1$", When::Always, fault.clone());
        let run = trial.sync().expect(3);
        let message = "not deleted, because the origin did not confirm that it is gone";
        assert!(run.text().contains(message), "{fault:?}: {}", run.text());
        assert!(trial.is_copied("secret", "team-a/app-1"));
        rule.remove();
    }
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}
