//! Servers in trouble amid what is new: histories, purges, origins of KV version 1. Waited for, and nothing lost or done
//! twice.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{BaoServer, Fault, FaultProxy, FaultRule, RootClient, Vsync, When, canary};
use crate::trial::{Setup, Trial};

/// Longer than the servers' `timeout`.
const TOO_LONG: Fault = Fault::Delay(Duration::from_millis(1_600));

fn hasty(trial: &Trial) {
    let config = std::fs::read_to_string(trial.vsync.folder().join("vsync.toml")).unwrap();
    trial.vsync.configure(&config.replace("max_retries = 6", "max_retries = 6\ntimeout = \"1s\""));
}

/// With this probability, always the same.
fn at_times(probability: f64, seed: u64) -> When {
    When::Random { probability, seed }
}

#[test]
fn a_history_waits_for_servers_in_trouble_and_writes_no_version_twice() {
    let trial = Trial::start(&Setup { destination: "fidelity = \"history\"", retries: 6, ..Setup::default() });
    hasty(&trial);
    let (origin, copy) = (trial.origin.client(), trial.destination.client());
    for round in 1..=5 {
        origin.write_all("secret", (0..12).map(|n| (format!("app-{n}"), json!({ "n": canary(n), "round": round }))));
    }
    (0..12).for_each(|n| origin.destroy("secret", &format!("app-{n}"), &[2]));
    let rules = [
        trial.at_origin.rule("GET", "/data/.*version=", When::First(3), Fault::RetryAfter(1)),
        trial.at_origin.rule("GET", "/data/", When::Nth(20), TOO_LONG),
        trial.at_destination.rule("POST", "/data/", When::First(3), Fault::RetryAfter(1)),
        // carried out, and nobody hears of it in time, or at all
        trial.at_destination.rule("POST", "/data/", When::Nth(30), TOO_LONG),
        trial.at_destination.rule("POST", "/data/", When::Nth(40), Fault::ResetAfterwards),
        trial.at_destination.rule("", "/destroy/", When::First(2), Fault::Status(503)),
        trial.at_destination.rule("", "/destroy/", When::Nth(5), Fault::ResetAfterwards),
        trial.at_origin.rule("GET", "/data/", at_times(0.1, 1), Fault::Status(503)),
        trial.at_destination.rule("POST", "/data/", at_times(0.1, 2), Fault::Status(429)),
        trial.at_destination.rule("POST", "/data/", at_times(0.05, 3), Fault::Status(503)),
    ];
    let run = trial.sync().expect(0);
    let idle = rules.iter().position(|rule| rule.picked() == 0);
    assert_eq!(idle, None, "a fault was never met: {}", run.text());
    rules.into_iter().for_each(FaultRule::remove);
    for n in 0..12 {
        let name = format!("app-{n}");
        let of = |client: &RootClient| -> Vec<Option<Value>> {
            (1..=6).map(|version| client.read_version("secret", &name, version)).collect()
        };
        assert_eq!(of(&copy), of(&origin), "{name}");
    }
    trial.assert_versions(5);
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn purges_wait_for_a_server_in_trouble_and_take_nothing_else() {
    for (on_delete, method, path) in [("purge", "DELETE", "/metadata/app"), ("destroy", "", "/destroy/app")] {
        let keys = format!("on_delete = \"{on_delete}\"\nguards = {{ max_delete = \"100%\" }}");
        let trial = Trial::start(&Setup { destination: &keys, retries: 6, ..Setup::default() });
        hasty(&trial);
        let (origin, copy) = (trial.origin.client(), trial.destination.client());
        let name = |n: usize| format!("app-{n:02}");
        origin.write_all("secret", (0..40).map(|n| (name(n), json!({ "n": canary(n) }))));
        let _ = trial.sync().expect(0);
        (0..20).for_each(|n| origin.remove("secret", &name(n)));
        let rules = [
            trial.at_destination.rule(method, path, When::First(3), Fault::RetryAfter(1)),
            trial.at_destination.rule(method, path, When::Nth(12), TOO_LONG),
            trial.at_destination.rule(method, path, When::Nth(15), Fault::ResetAfterwards),
            trial.at_destination.rule(method, path, When::Nth(18), Fault::Reset),
            trial.at_destination.rule(method, path, at_times(0.15, 5), Fault::Status(503)),
            trial.at_destination.rule(method, path, at_times(0.15, 6), Fault::Status(429)),
            trial.at_origin.rule("GET", "/metadata/app", at_times(0.1, 7), Fault::Status(503)),
            trial.at_destination.rule("GET", "/metadata/app", at_times(0.1, 8), Fault::Status(429)),
        ];
        let run = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "20", "--output", "json"]).expect(0);
        let idle = rules.iter().position(|rule| rule.picked() == 0);
        assert_eq!(idle, None, "{on_delete}: a fault was never met: {}", run.text());
        rules.into_iter().for_each(FaultRule::remove);
        let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let report = objects.into_iter().find(|one| one["type"] == "report").unwrap();
        assert_eq!(report["destinations"][0]["done"]["delete"], 20, "all twenty are told: {report}");
        trial.assert_equal();
        for n in 0..20 {
            assert_eq!(copy.read_version("secret", &name(n), 1), None, "{on_delete}: {n} is left");
        }
        trial.assert_versions(1);
        let _ = trial.vsync.run(&["plan"]).expect(0);
    }
}

/// An origin of KV version 1 behind a proxy, whose mount `old` goes to a destination's mount `secret`.
struct Migration {
    origin: BaoServer,
    copy: BaoServer,
    at_origin: FaultProxy,
    vsync: Vsync,
}

const EACH: usize = 40;

impl Migration {
    fn start() -> Self {
        let (origin, copy) = (BaoServer::start(), BaoServer::with_audit());
        enable_v1(&origin.client());
        let at_origin = FaultProxy::start(&origin.address());
        let vsync = Vsync::new(&format!(
            "[origin]\nmounts = [\"old\"]\nkv_version = 1\n\
             vault = {{ address = \"{}\", token = \"least\", max_retries = 6, timeout = \"1s\" }}\n\
             [[destinations]]\nname = \"copy\"\nmounts = [\"secret\"]\n\
             vault = {{ address = \"{}\", token = \"least\", max_retries = 1 }}\n\
             [[destinations.transforms]]\nname = \"migrate\"\nfrom = '^old/data/(?P<rest>.+)$'\nto = 'secret/data/${{rest}}'\n",
            at_origin.address(),
            copy.address()
        ));
        let migration = Self { origin, copy, at_origin, vsync };
        migration.fill();
        migration
    }

    fn fill(&self) {
        for folder in ["a", "b"] {
            (0..EACH).for_each(|n| self.write(&format!("{folder}/app-{n}"), &json!({ "n": canary(n) })));
        }
    }

    fn write(&self, name: &str, value: &Value) {
        let (status, answer) = self.origin.client().request("POST", &format!("old/{name}"), Some(value.clone()));
        assert_eq!(status, 204, "{answer}");
    }

    fn delete(&self, name: &str) {
        assert_eq!(self.origin.client().request("DELETE", &format!("old/{name}"), None).0, 204);
    }

    fn copies(&self) -> BTreeMap<String, String> {
        self.copy.client().read_all("secret")
    }

    fn has(&self, name: &str) -> bool {
        self.copy.client().read("secret", name).is_some()
    }

    fn assert_versions(&self, expected: u64) {
        let all = self.copy.client().metadata_all("secret");
        assert!(all.values().all(|metadata| metadata["current_version"] == expected), "{all:?}");
    }
}

fn enable_v1(client: &RootClient) {
    let (status, answer) = client.request("POST", "sys/mounts/old", Some(json!({ "type": "kv" })));
    assert_eq!(status, 204, "{answer}");
}

#[test]
fn reads_of_version_1_wait_for_a_server_in_trouble_and_nothing_is_written_twice() {
    let migration = Migration::start();
    let proxy = &migration.at_origin;
    let rules = [
        proxy.rule("LIST", "^/v1/old/", When::First(2), Fault::RetryAfter(1)),
        proxy.rule("LIST", "^/v1/old/", When::Nth(4), Fault::Status(503)),
        proxy.rule("GET", "^/v1/old/", When::First(3), Fault::RetryAfter(1)),
        proxy.rule("GET", "^/v1/old/", When::Nth(30), TOO_LONG),
        proxy.rule("GET", "^/v1/old/", When::Nth(50), Fault::Reset),
        proxy.rule("GET", "^/v1/old/", When::Nth(60), Fault::CutOff(10)),
        proxy.rule("GET", "^/v1/old/", at_times(0.1, 1), Fault::Status(503)),
        proxy.rule("GET", "^/v1/old/", at_times(0.1, 2), Fault::Status(429)),
    ];
    let run = migration.vsync.run(&["sync", "--yes"]).expect(0);
    let idle = rules.iter().position(|rule| rule.picked() == 0);
    assert_eq!(idle, None, "a fault was never met: {}", run.text());
    assert_eq!(migration.copies().len(), 2 * EACH);
    // the same again, of which nothing has changed
    let audit = migration.copy.audit();
    let _ = migration.vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(audit.touched("secret/"), [""; 0]);
    rules.into_iter().for_each(FaultRule::remove);
    migration.assert_versions(1);
    let _ = migration.vsync.run(&["plan"]).expect(0);
}

#[test]
fn lists_of_version_1_that_fail_lose_nothing_below() {
    let migration = Migration::start();
    let _ = migration.vsync.run(&["sync", "--yes"]).expect(0);
    let failures = [
        Fault::Status(403),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Garbage,
        Fault::CutOff(5),
        Fault::CutOff(60),
        Fault::Reset,
        Fault::Nameless,
        Fault::Delay(Duration::from_secs(5)),
    ];
    for (round, fault) in failures.iter().enumerate() {
        migration.delete(&format!("a/app-{round}"));
        migration.delete(&format!("b/app-{round}"));
        // one folder, and everything
        for (path, part) in [("^/v1/old/b", "old/b/"), ("^/v1/old/", "old/")] {
            let rule = migration.at_origin.rule("LIST", path, When::Always, fault.clone());
            // a busy machine is slow, and must not be taken for what is being tried
            let timeout = if matches!(fault, Fault::Delay(_)) { "3s" } else { "30s" };
            let timeout = format!("origin.vault.timeout={timeout}");
            let few = ["sync", "--yes", "--set", "origin.vault.max_retries=1", "--set", &timeout];
            let run = migration.vsync.run(&few).expect(1);
            assert!(rule.picked() > 0 && run.text().contains(part), "{fault:?}: {}", run.text());
            for n in 0..EACH {
                assert!(migration.has(&format!("b/app-{n}")), "{fault:?}: b/app-{n} was deleted: {}", run.text());
                assert_eq!(migration.has(&format!("a/app-{n}")), n > round, "{fault:?}: a/app-{n}: {}", run.text());
            }
            rule.remove();
        }
        // what is not known is deleted when it is: for the next round it is there again
        migration.write(&format!("b/app-{round}"), &json!({ "n": canary(round) }));
    }
    migration.delete("b/app-0");
    let _ = migration.vsync.run(&["sync", "--yes"]).expect(0);
    assert!(!migration.has("b/app-0"));
    migration.assert_versions(1);
    let _ = migration.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_wiped_origin_of_version_1_stops_at_the_guard() {
    let migration = Migration::start();
    let origin = migration.origin.client();
    let _ = migration.vsync.run(&["sync", "--yes"]).expect(0);
    let before = migration.copies();
    let stops = |what: &str| {
        let audit = migration.copy.audit();
        let run = migration.vsync.run(&["sync", "--yes"]);
        assert!(matches!(run.code, Some(1 | 4)), "{what}: {}", run.text());
        assert_eq!(audit.touched("secret/data/"), [""; 0], "{what}: {}", run.text());
        assert_eq!(migration.copies(), before, "{what}");
        run
    };
    // the server says that there is nothing, although there is
    let empty = migration.at_origin.rule("LIST", "^/v1/old/", When::Always, Fault::Status(404));
    let run = stops("an empty answer").expect(4);
    assert!(run.text().contains("old/ holds no secret"), "{}", run.text());
    empty.remove();
    // most of it gone
    (0..EACH).for_each(|n| migration.delete(&format!("a/app-{n}")));
    let _ = stops("a folder is gone").expect(4);
    // gone altogether; made anew and empty; made anew as version 2; with few and other secrets in it
    origin.disable_mount("old");
    let _ = stops("no mount");
    enable_v1(&origin);
    let _ = stops("an empty mount").expect(4);
    migration.write("other", &json!({ "n": canary("other") }));
    let _ = stops("one secret").expect(4);
    origin.disable_mount("old");
    origin.enable_kv("old");
    let _ = stops("an empty mount of version 2");

    // and when it is as it was, nothing was lost and nothing is written
    origin.disable_mount("old");
    enable_v1(&origin);
    migration.fill();
    let _ = migration.vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(migration.copies(), before);
    migration.assert_versions(1);
    let _ = migration.vsync.run(&["plan"]).expect(0);
}
