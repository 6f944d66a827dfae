//! Cycles that are cut off, servers that go away in the middle of one, and answers that are lost: nothing is lost, and
//! nothing that was confirmed is done again.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::{ConsulServer, Exchange, Fault, FaultRule, When, canary, scrambled};
use crate::trial::{EACH, Setup, Trial, contents, seed};

/// How many workers a destination has.
const WORKERS: usize = 8;
const SECRETS: usize = 5_000;
const KILLS: u64 = 50;

/// The seed of a test that draws its moments: the time, or what failed before, from `VSYNC_TEST_SEED`.
fn seed_of_moments() -> u64 {
    let seed = std::env::var("VSYNC_TEST_SEED").ok().map(|seed| seed.parse().expect("VSYNC_TEST_SEED is a number"));
    let seed =
        seed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs());
    println!("VSYNC_TEST_SEED={seed} draws these moments again");
    seed
}

fn workers() -> String {
    format!("num_workers = {WORKERS}")
}

/// The writes that the destination carried out, by path.
fn writes(log: &[Exchange]) -> BTreeMap<&str, u32> {
    let mut writes = BTreeMap::new();
    for exchange in log.iter().filter(|exchange| exchange.method == "POST" && exchange.by_server == Some(200)) {
        *writes.entry(exchange.path.as_str()).or_default() += 1;
    }
    writes
}

#[test]
fn fifty_kills_lose_nothing_and_repeat_nothing() {
    let random = seed_of_moments();
    let trial = Trial::start(&Setup { destination: &workers(), retries: 6, ..Setup::default() });
    let team = |n: usize| format!("team-{}/app-{n}", n % 20);
    trial.origin.client().write_all("secret", (0..SECRETS).map(|n| (team(n), json!({ "n": canary(n) }))));
    let count = trial.at_destination.rule("POST", "^/v1/secret/data/", When::Always, Fault::Nothing);

    for kill in 0..KILLS {
        let mut cycle = trial.vsync.spawn(&["sync", "--yes"]);
        let moment = scrambled(random, kill);
        if kill % 10 == 0 {
            // while it starts and lists
            sleep(Duration::from_millis(moment % 500));
        } else {
            count.wait_until_picked(count.picked() + moment % 150);
            sleep(Duration::from_micros((moment >> 32) % 20_000));
        }
        assert!(cycle.is_running(), "kill {kill} comes too late");
        cycle.signal("KILL");
        assert_eq!(cycle.wait().code, None);
    }
    let run = trial.sync().expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
    let log = trial.at_destination.requests("POST", "^/v1/secret/data/");
    assert!(writes(&log).values().all(|times| *times == 1), "written twice");
    assert_eq!(writes(&log).len(), SECRETS);
    // What was under way when it was killed is tried again, and no more.
    let again = log.len() - SECRETS;
    assert!(again <= WORKERS * usize::try_from(KILLS).expect("a small number"), "{again} writes again: {}", run.text());
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_write_whose_answer_is_lost_is_not_repeated() {
    let trial = Trial::start(&Setup { destination: &workers(), retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let whole = |version: u64| {
        let lost = When::Random { probability: 0.15, seed: version };
        let rule = trial.at_destination.rule("POST", "^/v1/(secret|more)/data/", lost, Fault::ResetAfterwards);
        let run = trial.sync();
        assert!(rule.picked() > 10, "{}", run.text());
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.text());
        rule.remove();
        if run.code == Some(3) {
            assert!(run.text().contains("network"), "{}", run.text());
            let _ = trial.sync().expect(0);
        }
        trial.assert_equal();
        trial.assert_versions(version);
        let _ = trial.vsync.run(&["plan"]).expect(0);
    };
    whole(1);
    let change =
        |folder: &'static str| (0..EACH).map(move |n| (format!("{folder}/app-{n}"), json!({ "changed": canary(n) })));
    trial.origin.client().write_all("secret", change("team-a").chain(change("team-b")));
    trial.origin.client().write_all("more", change("team-c"));
    whole(2);
}

#[test]
fn a_delete_whose_answer_is_lost_is_done() {
    let trial = Trial::start(&Setup { retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let _ = trial.sync().expect(0);
    for n in 0..10 {
        trial.remove("secret", &format!("team-a/app-{n}"));
    }
    let rule = trial.at_destination.rule("DELETE", "", When::First(10), Fault::ResetAfterwards);
    let run = trial.sync();
    assert_eq!(rule.picked(), 10);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.text());
    rule.remove();
    let _ = trial.sync().expect(0);
    trial.assert_equal();
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_delete_that_somebody_else_answers_is_not_taken_for_done() {
    let trial = Trial::start(&Setup { retries: 1, ..Setup::default() });
    seed(&trial.origin.client());
    let _ = trial.sync().expect(0);
    trial.remove("secret", "team-a/app-1");
    let rule = trial.at_destination.rule("DELETE", "", When::Always, Fault::Garbage);
    let run = trial.sync().expect(3);
    assert!(run.text().contains("is not JSON"), "{}", run.text());
    assert!(trial.is_copied("secret", "team-a/app-1"));
    rule.remove();
    let _ = trial.sync().expect(0);
    trial.assert_equal();
}

/// All that can go wrong with a request, here and there, on both sides, while the origin goes on changing and cycles
/// are killed.
#[test]
fn whatever_goes_wrong_nothing_is_lost_or_repeated() {
    const ROUNDS: u64 = 6;
    let random = seed_of_moments();
    let trial = Trial::start(&Setup { destination: &workers(), retries: 1, ..Setup::default() });
    let root = trial.origin.client();
    seed(&root);
    let _ = trial.sync().expect(0);
    let all = [
        Fault::Reset,
        Fault::ResetAfterwards,
        Fault::CutOff(60),
        Fault::Garbage,
        Fault::Status(403),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Status(429),
        Fault::Delay(Duration::from_millis(30)),
    ];
    for round in 0..ROUNDS {
        let draw = |number: u64| scrambled(random, round * 1_000 + number);
        for number in 0..6 {
            let name = format!("team-a/app-{}", draw(number) % EACH as u64);
            root.write("secret", &name, &json!({ "round": round, "number": number }));
        }
        for number in 6..8 {
            root.remove("secret", &format!("team-b/app-{}", draw(number) % EACH as u64));
        }
        let mut rules = Vec::new();
        for (number, fault) in (100..).zip(&all) {
            for (side, proxy) in [(0, &trial.at_origin), (20, &trial.at_destination)] {
                let when = When::Random { probability: 0.02, seed: draw(number + side) };
                rules.push(proxy.rule("", "^/v1/(secret|more)/", when, fault.clone()));
            }
        }
        let before = contents(&trial.destination.client());
        let cycle = trial.vsync.spawn(&["sync", "--yes"]);
        if draw(200).is_multiple_of(3) {
            sleep(Duration::from_millis(300 + draw(201) % 1_000));
            // it may have ended
            cycle.signal("KILL");
        }
        let run = cycle.wait();
        assert!(matches!(run.code, None | Some(0 | 1 | 3)), "{}", run.text());
        let (here, there) = (contents(&root), contents(&trial.destination.client()));
        let lost: Vec<_> =
            before.keys().filter(|path| !there.contains_key(*path) && here.contains_key(*path)).collect();
        assert!(lost.is_empty(), "deleted, but at the origin: {lost:?}: {}", run.text());
        rules.into_iter().for_each(FaultRule::remove);
    }
    let run = trial.sync();
    assert_eq!(run.code, Some(0), "{}", run.text());
    trial.assert_equal();
    let _ = trial.vsync.run(&["plan"]).expect(0);
    // No value was written twice: each is another one at the origin.
    let there = trial.destination.client();
    for (name, metadata) in there.metadata_all("secret") {
        let mut values = BTreeSet::new();
        for version in 1..=metadata["current_version"].as_u64().expect("a version") {
            let value = there.read_version("secret", &name, version);
            assert!(value.is_none_or(|value| values.insert(value.to_string())), "{name}: {metadata}");
        }
    }
}

/// Holds a write that is on its way while somebody else writes; what the operator is told.
fn edited_meanwhile(trial: &Trial, name: &str) -> String {
    let rule = trial.at_destination.rule("POST", &format!("/secret/data/{name}$"), When::Always, Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--yes"]);
    rule.wait_until_picked(1);
    trial.destination.client().write("secret", name, &json!({ "by": canary("hand") }));
    rule.remove();
    let run = cycle.wait().expect(3);
    assert_eq!(
        trial.destination.client().read("secret", name),
        Some(json!({ "by": canary("hand") })),
        "{}",
        run.text()
    );
    assert!(run.text().contains(&format!("secret/{name}")), "{}", run.text());
    run.text()
}

#[test]
fn a_destination_edited_between_plan_and_write_keeps_the_edit() {
    let trial = Trial::start(&Setup { retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let first = edited_meanwhile(&trial, "team-a/app-7");
    assert!(first.contains("version 1 is there already, and vsync never wrote it"), "{first}");
    trial.origin.client().write("secret", "team-b/app-7", &json!({ "second": canary(true) }));
    let later = edited_meanwhile(&trial, "team-b/app-7");
    assert!(later.contains("version 2 is there, and vsync left version 1: somebody else changed it"), "{later}");

    // Everything else is as at the origin, and the two are listed until somebody decides.
    let standing = trial.vsync.run(&["--output", "json", "status"]).expect(0);
    let status: Value = serde_json::from_str(standing.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!(status["in_sync"], 3 * EACH - 2, "{}", standing.text());
}

/// Both sides' state in one Consul.
fn in_consul(consul: &ConsulServer) -> String {
    let of = |side: &str| {
        format!("\n[{side}.consul]\naddress = \"{}\"\ntimeout = \"2s\"\nmax_retries = 1\n", consul.address())
    };
    of("destinations") + &of("origin")
}

#[test]
fn consul_goes_and_comes_back_in_mid_cycle() {
    let mut consul = ConsulServer::persistent();
    let trial =
        Trial::start(&Setup { sections: &in_consul(&consul), destination: &workers(), retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let rule = trial.at_destination.rule("POST", "/data/", When::From(100), Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--yes"]);
    rule.wait_until_picked(WORKERS as u64);
    consul.kill();
    rule.release();
    consul.bring_back();
    let run = cycle.wait();
    assert!(matches!(run.code, Some(0 | 1)), "{}", run.text());
    let _ = trial.sync().expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn consul_goes_in_mid_cycle_and_comes_back_later() {
    let mut consul = ConsulServer::persistent();
    let trial =
        Trial::start(&Setup { sections: &in_consul(&consul), destination: &workers(), retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let rule = trial.at_destination.rule("POST", "/data/", When::From(100), Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--yes"]);
    rule.wait_until_picked(WORKERS as u64);
    consul.kill();
    rule.release();
    let run = cycle.wait().expect(1);
    assert!(run.text().contains(&consul.address()), "{}", run.text());
    let while_away = writes(&trial.at_destination.log()).len();
    assert!(while_away >= 100, "{while_away}");
    // Without its state nothing is begun.
    let run = trial.sync().expect(1);
    assert!(run.text().contains(&consul.address()), "{}", run.text());
    assert_eq!(writes(&trial.at_destination.log()).len(), while_away);

    consul.bring_back();
    // The first one could not let go of its lock; Consul frees it when nobody has renewed it for a while.
    let start = Instant::now();
    let mut run = trial.sync();
    while run.code == Some(5) && start.elapsed() < Duration::from_secs(45) {
        assert!(run.text().contains("its lock is "), "{}", run.text());
        sleep(Duration::from_secs(1));
        run = trial.sync();
    }
    let _ = run.expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
    let log = trial.at_destination.log();
    assert!(writes(&log).values().all(|times| *times == 1));
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_second_cycle_is_told_who_is_at_it_and_a_killed_one_leaves_no_lock() {
    let trial = Trial::start(&Setup { destination: &workers(), retries: 2, ..Setup::default() });
    seed(&trial.origin.client());
    let rule = trial.at_destination.rule("POST", "/data/", When::From(50), Fault::Hold);
    let first = trial.vsync.spawn(&["sync", "--yes"]);
    rule.wait_until_picked(WORKERS as u64);
    let second = trial.sync().expect(5);
    assert!(second.text().contains(" on ") && second.text().contains(" since "), "{}", second.text());
    assert!(writes(&trial.at_destination.log()).len() < 50);
    first.signal("KILL");
    assert_eq!(first.wait().code, None);
    rule.remove();

    let _ = trial.sync().expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
}

#[test]
fn an_interrupt_does_not_wait_long_for_a_server_that_hangs() {
    let trial = Trial::start(&Setup { destination: "num_workers = 4", retries: 6, ..Setup::default() });
    trial.origin.client().write_all("secret", (0..20).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
    // requests have a minute each, and six repeats
    let hung = trial.at_destination.rule("POST", "^/v1/secret/data/", When::From(5), Fault::Hold);
    let mut cycle = trial.vsync.background("hung", &["sync", "--yes"], &[]);
    hung.wait_until_picked(4);
    let asked = Instant::now();
    cycle.signal("INT");
    assert_eq!(cycle.end(Duration::from_secs(40)), Some(130), "{}", cycle.told());
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    // what it was asked for is done after all, and known for ours
    hung.remove();
    let start = Instant::now();
    while trial.destination.client().read_all("secret").len() < 8 {
        assert!(start.elapsed() < Duration::from_mins(1), "what was held never arrives");
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = trial.sync().expect(0);
    trial.assert_equal();
    for (name, metadata) in trial.destination.client().metadata_all("secret") {
        assert_eq!(metadata["current_version"], 1, "{name} was written twice");
    }
}
