//! Promises of docs/trust.md that no other test keeps: answers that do not come in time, servers that are sealed or
//! restarted in mid-cycle, a terminal that is gone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{BaoServer, Fault, FaultProxy, FaultRule, Run, Vsync, When};
use crate::terminal::Console;
use crate::trial::{Setup, Trial, seed};

const WORKERS: u64 = 8;

#[test]
fn a_listing_that_does_not_come_in_time_loses_nothing() {
    for listing in ["auto", "detailed", "plain"] {
        let trial = Trial::start(&Setup { origin: &format!("listing = \"{listing}\""), ..Setup::default() });
        seed(&trial.origin.client());
        let _ = trial.sync().expect(0);
        let hasty = || trial.vsync.run(&["sync", "--yes", "--set", "origin.vault.timeout=1s"]);
        let done = |run: &Run, rules: Vec<FaultRule>| {
            assert!(run.text().contains("no answer within 1s"), "{}", run.text());
            rules.into_iter().for_each(FaultRule::remove);
        };
        // a folder, a mount, everything
        for (round, (pattern, unknown)) in [
            ("^/v1/secret/(detailed-)?metadata/team-b", "secret/team-b/"),
            ("^/v1/secret/", "secret/"),
            ("^/v1/(secret|more|sys)/", ""),
        ]
        .into_iter()
        .enumerate()
        {
            let gone = [("secret", format!("team-b/app-{round}")), ("more", format!("team-c/app-{round}"))];
            for (mount, name) in &gone {
                trial.remove(mount, name);
            }
            let audit = trial.destination.audit();
            let rule = trial.at_origin.rule("", pattern, When::Always, Fault::Hold);
            let run = hasty().expect(1);
            assert!(rule.picked() > 0, "{listing}: nothing was held back");
            done(&run, vec![rule]);
            assert_eq!(audit.touched("secret/data/"), [""; 0], "{listing}: {}", run.text());
            let rest = audit.touched("more/data/");
            if unknown.is_empty() {
                assert_eq!(rest, [""; 0], "{listing}: {}", run.text());
            } else {
                assert!(run.stdout.contains(&format!("? {unknown}: ")), "{listing}: {}", run.text());
                assert_eq!(rest, [format!("delete more/data/team-c/app-{round}")], "{listing}: {}", run.text());
            }
            let _ = trial.sync().expect(0);
            trial.assert_equal();
        }
    }
}

/// Two servers that keep what they hold, each behind a proxy.
struct Lasting {
    origin: BaoServer,
    destination: BaoServer,
    at_origin: FaultProxy,
    at_destination: FaultProxy,
    vsync: Vsync,
}

impl Lasting {
    fn start() -> Self {
        let (origin, destination) = (BaoServer::persistent(), BaoServer::persistent());
        let (at_origin, at_destination) =
            (FaultProxy::start(&origin.address()), FaultProxy::start(&destination.address()));
        origin.client().write_all("secret", (0..300).map(|n| (format!("app-{n}"), json!({ "n": n }))));
        let vsync = Vsync::new("");
        let state = vsync.folder().join("state.redb");
        vsync.configure(&format!(
            "state.file = \"{}\"\norigin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
             [[destinations]]\nname = \"copy\"\nnum_workers = {WORKERS}\n\
             vault = {{ address = \"{}\", token = \"least\" }}\n",
            state.display(),
            at_origin.address(),
            at_destination.address(),
        ));
        Self { origin, destination, at_origin, at_destination, vsync }
    }

    fn assert_equal_with_one_version_each(&self) {
        let (here, there) = (self.origin.client(), self.destination.client());
        assert!(here.read_all("secret") == there.read_all("secret"), "they differ");
        let versions = there.metadata_all("secret");
        assert!(versions.values().all(|one| one["current_version"] == 1), "written twice");
    }
}

#[test]
fn a_server_that_is_sealed_in_mid_cycle_is_waited_for() {
    for sealed_is_origin in [true, false] {
        let mut lasting = Lasting::start();
        let (proxy, method) =
            if sealed_is_origin { (&lasting.at_origin, "GET") } else { (&lasting.at_destination, "POST") };
        let rule = proxy.rule(method, "^/v1/secret/data/", When::From(100), Fault::Hold);
        let cycle = lasting.vsync.spawn(&["sync", "--yes"]);
        rule.wait_until_picked(WORKERS);
        let server = if sealed_is_origin { &mut lasting.origin } else { &mut lasting.destination };
        server.seal();
        rule.release();
        // each worker's request has been refused once at least
        let refused = proxy.rule(method, "^/v1/secret/data/", When::From(1), Fault::Nothing);
        while refused.matched() < WORKERS {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        server.unseal();
        let run = cycle.wait().expect(0);
        let by_sealed = proxy.requests(method, "/data/").iter().filter(|one| one.by_server == Some(503)).count();
        assert!(by_sealed > 0, "it was never asked while it was sealed: {}", run.text());
        lasting.assert_equal_with_one_version_each();
    }
}

#[test]
fn a_server_that_is_restarted_in_mid_cycle_is_waited_for() {
    for restarted_is_origin in [true, false] {
        let mut lasting = Lasting::start();
        let (proxy, method) =
            if restarted_is_origin { (&lasting.at_origin, "GET") } else { (&lasting.at_destination, "POST") };
        let rule = proxy.rule(method, "^/v1/secret/data/", When::From(100), Fault::Hold);
        let cycle = lasting.vsync.spawn(&["sync", "--yes"]);
        rule.wait_until_picked(WORKERS);
        let server = if restarted_is_origin { &mut lasting.origin } else { &mut lasting.destination };
        server.kill();
        rule.release();
        server.bring_back();
        let run = cycle.wait().expect(0);
        let lost = proxy.requests(method, "/data/").iter().filter(|one| one.by_server.is_none()).count();
        assert!(lost > 0, "it was never asked while it was away: {}", run.text());
        lasting.assert_equal_with_one_version_each();
    }
}

#[test]
fn a_terminal_that_is_gone_ends_the_cycle_which_keeps_what_it_did() {
    let lasting = Lasting::start();
    let config = lasting.vsync.folder().join("vsync.toml");
    let rule = lasting.at_destination.rule("POST", "^/v1/secret/data/", When::From(100), Fault::Hold);
    let mut console = Console::start(&["--config", config.to_str().unwrap()], (120, 40), &[]);
    console.wait_for_texts(&["as of "]);
    console.keys("3");
    console.wait_for_texts(&["Tasks 300"]);
    console.keys("X");
    console.wait_for_texts(&["Yes, start", " y yes "]);
    console.keys("y");
    rule.wait_until_picked(WORKERS);
    console.hang_up();
    rule.release();
    assert_eq!(console.wait_for_exit(), 130);

    let written = lasting.destination.client().read_all("secret").len() as u64;
    assert!((99..300).contains(&written), "{written}");
    let status = lasting.vsync.run(&["--output", "json", "status"]).expect(0);
    let status: Value = serde_json::from_str(status.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(status["in_sync"], written, "all of it is recorded, and no lock is left: {status}");
    let _ = lasting.vsync.run(&["sync", "--yes"]).expect(0);
    lasting.assert_equal_with_one_version_each();
    let mut times = BTreeMap::<String, u32>::new();
    for write in lasting.at_destination.requests("POST", "/data/") {
        *times.entry(write.path).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "what was done was tried again");
    assert_eq!(times.len(), 300);
}
