//! Many destinations: one read for all of them, dead ones that keep no other waiting, waves and canaries.

mod canary_values;
mod standings;
mod watched_waves;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoServer, Fault, FaultProxy, Run, Vsync, When, canary, free_port};

/// Destinations in one Vault, each with a mount of its own: `NAME`, the address of its Vault and keys of its own.
pub(crate) fn config(origin: &str, top: &str, destinations: &[(&str, &str, &str)]) -> String {
    let mut text = format!(
        "{top}\n[origin]\nmounts = [\"secret\"]\nvault = {{ address = \"{origin}\", token = \"least\", max_retries = 1 }}\n"
    );
    for (name, address, keys) in destinations {
        let _ = write!(
            text,
            "[[destinations]]\nname = \"{name}\"\nmounts = [\"{name}\"]\n{keys}\n\
             vault = {{ address = \"{address}\", token = \"least\", max_retries = 0 }}\n\
             transforms = [{{ name = \"own mount\", from = \"^secret/data/(?P<rest>.+)$\", to = \"{name}/data/${{rest}}\" }}]\n"
        );
    }
    text
}

pub(crate) fn seed(server: &BaoServer, count: usize) {
    let secrets = (0..count).map(|n| (format!("app/{n}"), json!({ "n": canary(n) })));
    server.client().write_all("secret", secrets);
}

pub(crate) fn at(server: &BaoServer, mount: &'static str) -> BTreeMap<String, String> {
    server.client().read_all(mount).into_iter().collect()
}

/// The report's part for a destination.
pub(crate) fn part(run: &Run, name: &str) -> Value {
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let report = lines.into_iter().find(|object| object["type"] == "report").expect("a report");
    let parts = report["destinations"].as_array().expect("destinations");
    parts.iter().find(|part| part["destination"] == name).expect("the destination").clone()
}

#[test]
fn one_read_of_the_origin_serves_five_destinations() {
    const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];
    let (origin, there) = (BaoServer::with_audit(), BaoServer::start());
    seed(&origin, 120);
    for name in NAMES {
        there.client().enable_kv(name);
    }
    let address = there.address();
    // one of them much slower than the others
    let destinations: Vec<_> = NAMES
        .iter()
        .map(|name| (*name, address.as_str(), if *name == "five" { "num_workers = 1" } else { "num_workers = 8" }))
        .collect();
    let vsync = Vsync::new(&config(&origin.address(), "", &destinations));
    let mut audit = origin.audit();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let reads = audit.touched("secret/data/");
    let mut expected: Vec<String> = (0..120).map(|n| format!("read secret/data/app/{n}")).collect();
    expected.sort();
    assert_eq!(reads, expected, "each once");
    for name in NAMES {
        assert_eq!(at(&there, name), at(&origin, "secret"), "{name}");
    }

    audit.restart();
    for n in 0..3 {
        origin.client().write("secret", &format!("app/{n}"), &json!({ "n": canary("new") }));
    }
    audit.restart();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(audit.touched("secret/data/").len(), 3);
}

#[test]
fn a_dead_destination_keeps_no_other_waiting_and_loses_nothing() {
    let (origin, there, mut gone) = (BaoServer::start(), BaoServer::start(), BaoServer::persistent());
    seed(&origin, 60);
    there.client().enable_kv("alive");
    gone.client().enable_kv("dead");
    let (alive, dead) = (there.address(), gone.address());
    let destinations = [("dead", dead.as_str(), "patience = \"3s\""), ("alive", alive.as_str(), "")];
    let vsync = Vsync::new(&config(&origin.address(), "", &destinations));
    gone.kill();
    let start = Instant::now();
    let running = vsync.spawn(&["--output", "json", "sync", "--yes"]);
    while at(&there, "alive").len() < 60 {
        assert!(start.elapsed() < Duration::from_secs(3), "the other one waits");
        sleep(Duration::from_millis(20));
    }
    let run = running.wait().expect(1);
    let report = part(&run, "dead");
    assert_eq!((&report["failed"], &report["pending"]), (&json!(0), &json!(60)), "{report}");
    assert!(report["blocked"].as_str().expect("a reason").contains("did not answer for"), "{report}");
    assert_eq!(part(&run, "alive")["done"]["add"], 60);

    gone.bring_back();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&gone, "dead"), at(&origin, "secret"));
}

#[test]
fn a_dead_destination_is_not_waited_for_longer_than_patience_however_few_its_tasks() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 1);
    there.client().enable_kv("alive");
    // as configured by default: many workers, and requests that are repeated for a long time
    let dead = format!("http://127.0.0.1:{}", free_port());
    let text = config(&origin.address(), "", &[("dead", &dead, "patience = \"2s\""), ("alive", &there.address(), "")]);
    let vsync = Vsync::new(&text.replace("max_retries = 0", "max_retries = 6"));
    let start = Instant::now();
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}: {}", start.elapsed(), run.text());
    assert_eq!((&part(&run, "dead")["pending"], &part(&run, "alive")["done"]["add"]), (&json!(1), &json!(1)));

    // a watch goes on with the other one
    let daemon = vsync.background("watch", &["sync", "--watch", "--tick", "1s"], &[]);
    for n in 1..4 {
        origin.client().write("secret", &format!("app/{n}"), &json!({ "n": canary(n) }));
        let written = Instant::now();
        while at(&there, "alive").len() < n + 1 {
            assert!(written.elapsed() < Duration::from_secs(15), "{}", daemon.told());
            sleep(Duration::from_millis(50));
        }
    }
    assert!(daemon.told().contains("dead: the server does not answer"), "{}", daemon.told());
}

#[test]
fn a_destination_that_hangs_is_set_aside_long_before_its_requests_time_out() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 60);
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let keys = "patience = \"3s\"\nnum_workers = 4";
    let vsync = Vsync::new(&config(&origin.address(), "", &[("there", &proxy.address(), keys)]));
    let hangs = [("^/v1/there/data/", 20), ("^/v1/sys/health", 2)]
        .map(|(pattern, from)| proxy.rule("", pattern, When::From(from), Fault::Hold));
    let start = Instant::now();
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    // five seconds until it is asked how it is, five for the answer, the patience, and ten for what may yet be answered
    assert!(start.elapsed() < Duration::from_secs(40), "{:?}: {}", start.elapsed(), run.text());
    let report = part(&run, "there");
    assert_eq!((&report["failed"], &report["done"]["add"]), (&json!(0), &json!(19)), "{report}");
    assert!(report["blocked"].as_str().expect("a reason").contains("did not answer for"), "{report}");
    for rule in hangs {
        rule.remove();
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
    let versions = there.client().metadata_all("there");
    assert!(versions.iter().all(|(_, metadata)| metadata["current_version"] == 1), "written once");
}

#[test]
fn nobody_waits_for_a_plan_because_a_destination_is_sealed() {
    let (origin, there, sealed) = (BaoServer::start(), BaoServer::start(), BaoServer::persistent());
    seed(&origin, 10);
    there.client().enable_kv("open");
    sealed.client().enable_kv("sealed");
    let (open, shut) = (there.address(), sealed.address());
    let text = config(&origin.address(), "", &[("sealed", &shut, "create_mounts = true"), ("open", &open, "")]);
    let vsync = Vsync::new(&text.replace("max_retries = 0", "max_retries = 6"));
    sealed.seal();
    let start = Instant::now();
    let run = vsync.run(&["--output", "json", "plan"]).expect(2);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}: {}", start.elapsed(), run.text());
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let plans: Vec<Value> = lines.filter(|object| object["type"] == "plan").collect();
    let answered: Vec<_> = plans.iter().map(|plan| (&plan["destination"], &plan["answered"])).collect();
    assert_eq!(answered, [(&json!("sealed"), &json!(false)), (&json!("open"), &json!(true))], "{}", run.text());
}

#[test]
fn a_destination_that_comes_back_is_gone_on_with() {
    let (origin, mut there) = (BaoServer::start(), BaoServer::persistent());
    seed(&origin, 60);
    there.client().enable_kv("there");
    let address = there.address();
    let vsync = Vsync::new(&config(&origin.address(), "", &[("there", &address, "patience = \"60s\"")]));
    there.kill();
    let mut running = vsync.spawn(&["sync", "--yes"]);
    sleep(Duration::from_secs(2));
    assert!(running.is_running());
    there.bring_back();
    let _ = running.wait().expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
    let versions = there.client().metadata_all("there");
    assert!(versions.iter().all(|(_, metadata)| metadata["current_version"] == 1), "written once");
}

#[test]
fn a_sealed_server_is_waited_for_on_either_side() {
    for origin_is_sealed in [true, false] {
        let (origin, there) = (BaoServer::start(), BaoServer::start());
        seed(&origin, 200);
        there.client().enable_kv("there");
        let proxy = FaultProxy::start(if origin_is_sealed { origin.address() } else { there.address() }.as_str());
        let (from, to) =
            if origin_is_sealed { (proxy.address(), there.address()) } else { (origin.address(), proxy.address()) };
        let vsync = Vsync::new(&config(&from, "", &[("there", &to, "num_workers = 4\npatience = \"60s\"")]));
        // from the 20th on it answers as a sealed server does, to everything
        let pattern = if origin_is_sealed { "^/v1/secret/data/" } else { "^/v1/there/data/" };
        let sealed = proxy.rule("", pattern, When::From(20), Fault::Status(503));
        let unwell = proxy.rule("", "^/v1/sys/health", When::From(2), Fault::Status(503));
        let mut running = vsync.spawn(&["--output", "json", "sync", "--yes"]);
        sealed.wait_until_picked(1);
        sleep(Duration::from_secs(1));
        assert!(running.is_running(), "it waits");
        sealed.remove();
        unwell.remove();
        let run = running.wait().expect(0);
        assert_eq!(part(&run, "there")["failed"], 0, "{}", run.text());
        assert_eq!(at(&there, "there"), at(&origin, "secret"));
    }
}

#[test]
fn a_wave_begins_when_the_one_before_has_ended_well() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 30);
    for mount in ["staging", "east"] {
        there.client().enable_kv(mount);
    }
    let has_west = || there.client().request("GET", "sys/mounts/west", None).0 == 200;
    let (proxy, address) = (FaultProxy::start(&there.address()), there.address());
    let at_proxy = proxy.address();
    let destinations = [
        ("west", address.as_str(), "wave = 3\ncreate_mounts = true"),
        ("east", address.as_str(), "wave = 2"),
        ("staging", at_proxy.as_str(), ""),
    ];
    let vsync = Vsync::new(&config(&origin.address(), "", &destinations));
    let refused = proxy.rule("POST", "^/v1/staging/data/app/7$", When::Always, Fault::Status(403));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    assert_eq!(part(&run, "staging")["failed"], 1);
    for name in ["east", "west"] {
        let report = part(&run, name);
        assert_eq!((&report["pending"], &report["done"]["add"]), (&json!(30), &json!(0)), "{report}");
        assert!(report["blocked"].as_str().expect("a reason").contains("staging (wave 1): 1 failed"), "{report}");
    }
    assert!(at(&there, "east").is_empty() && !has_west(), "nothing is done for a wave that does not begin");
    refused.remove();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for name in ["staging", "east", "west"] {
        assert_eq!(at(&there, name_of(name)), at(&origin, "secret"), "{name}");
    }
}

fn name_of(name: &str) -> &'static str {
    ["staging", "east", "west"].into_iter().find(|one| *one == name).expect("a mount")
}

#[test]
fn canaries_come_first_and_are_verified_before_the_rest() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 40);
    for n in 0..3 {
        origin.client().write("secret", &format!("canary/{n}"), &json!({ "n": canary(n) }));
    }
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let top = "canary = [\"secret/canary/**\"]";
    let vsync = Vsync::new(&config(&origin.address(), top, &[("there", &proxy.address(), "")]));
    // a canary that cannot be written
    let refused = proxy.rule("POST", "^/v1/there/data/canary/1$", When::Always, Fault::Status(403));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    let report = part(&run, "there");
    assert_eq!((&report["failed"], &report["pending"], &report["done"]["add"]), (&json!(1), &json!(40), &json!(2)));
    assert!(report["blocked"].as_str().expect("a reason").contains("the rest was not begun"), "{report}");
    refused.remove();
    // one that is not there when it is looked at
    let lost = proxy.rule("GET", "^/v1/there/data/canary/1$", When::Always, Fault::Status(404));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    let report = part(&run, "there");
    assert_eq!((&report["pending"], &report["done"]["add"]), (&json!(40), &json!(1)), "{report}");
    let reason = report["blocked"].as_str().expect("a reason");
    assert!(reason.contains("there/canary/1 is in canary"), "{reason}");
    assert_eq!(at(&there, "there").len(), 3);
    // it was written, and is looked at again all the same before anything else follows
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    assert_eq!(part(&run, "there")["pending"], 40, "{}", run.text());
    assert_eq!(at(&there, "there").len(), 3);
    lost.remove();
    proxy.forget();
    origin.client().write("secret", "canary/2", &json!({ "n": canary("new") }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
    let order: Vec<String> =
        proxy.log().into_iter().map(|exchange| format!("{} {}", exchange.method, exchange.path)).collect();
    let canary = order.iter().position(|line| line == "GET /v1/there/data/canary/2").expect("it is looked at");
    let first = order.iter().position(|line| line.starts_with("POST /v1/there/data/app/")).expect("the rest");
    assert!(canary < first, "{order:?}");
}

#[test]
fn canaries_of_a_cycle_that_was_stopped_or_blocked_are_looked_at_before_the_rest() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 10);
    for n in 0..3 {
        origin.client().write("secret", &format!("canary/{n}"), &json!({ "n": canary(n) }));
    }
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let keys = "num_workers = 1\npatience = \"1s\"";
    let vsync =
        Vsync::new(&config(&origin.address(), "canary = [\"secret/canary/**\"]", &[("there", &proxy.address(), keys)]));
    // stopped before all have been written
    let held = proxy.rule("POST", "^/v1/there/data/canary/", When::Nth(2), Fault::Hold);
    let mut stopped = vsync.background("stopped", &["sync", "--yes"], &[]);
    held.wait_until_picked(1);
    stopped.signal("INT");
    stopped.wait_for("topping", Duration::from_mins(1));
    held.remove();
    assert_eq!(stopped.end(Duration::from_mins(1)), Some(130), "{}", stopped.told());
    let first = at(&there, "there").into_keys().next().expect("the first canary");

    // and then not even begun, because the server is away
    let away = ["GET", "POST", "LIST", "SCAN"].map(|method| proxy.rule(method, "^/", When::Always, Fault::Reset));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]);
    assert_ne!(run.code, Some(0), "{}", run.text());
    for rule in away {
        rule.remove();
    }

    // it is looked at all the same
    let broken = proxy.rule("GET", &format!("^/v1/there/data/{first}$"), When::Always, Fault::Status(500));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
    assert!(broken.picked() > 0 && !at(&there, "there").keys().any(|name| name.starts_with("app/")), "{}", run.text());
    broken.remove();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

#[test]
fn a_canary_that_takes_no_part_any_more_keeps_nothing_waiting() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 10);
    origin.client().write("secret", "canary/a", &json!({ "n": canary(1) }));
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let with = |keys: &str| {
        let top = "canary = [\"secret/canary/**\"]";
        config(&origin.address(), top, &[("there", &proxy.address(), keys)]).replace(
            &format!("address = \"{}\", token = \"least\"", proxy.address()),
            &format!("address = \"{}\", token = \"least+undo\"", proxy.address()),
        )
    };
    let vsync = Vsync::new(&with(""));
    let unverified = || {
        let lost = proxy.rule("GET", "^/v1/there/data/canary/a$", When::Always, Fault::Status(404));
        let run = vsync.run(&["--output", "json", "sync", "--yes"]).expect(1);
        let blocked = part(&run, "there")["blocked"].clone();
        assert!(blocked.as_str().is_some_and(|reason| reason.contains("canary/a is in canary")), "{}", run.text());
        lost.remove();
        let report = run.stdout.lines().find(|line| line.contains("\"type\":\"report\"")).expect("a report");
        let report: Value = serde_json::from_str(report).expect("JSON");
        report["cycle"].as_str().expect("a cycle").to_owned()
    };
    // undone, and removed at the origin
    let cycle = unverified();
    let _ = vsync.run(&["undo", &cycle, "--yes"]).expect(0);
    origin.client().remove("secret", "canary/a");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));

    // undone, and left out from then on
    origin.client().write("secret", "canary/a", &json!({ "n": canary(2) }));
    let cycle = unverified();
    let _ = vsync.run(&["undo", &cycle, "--yes"]).expect(0);
    origin.client().write("secret", "app/0", &json!({ "n": canary("new") }));
    vsync.configure(&with("exclude = [\"secret/canary/a\"]"));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(there.client().read("there", "app/0"), Some(json!({ "n": canary("new") })));
}

#[test]
fn an_address_that_never_answered_can_be_corrected() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 5);
    there.client().enable_kv("there");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let with = |address: &str| config(&origin.address(), "", &[("there", address, "patience = \"1s\"")]);
    let vsync = Vsync::new(&with(&nobody));
    let run = vsync.run(&["sync", "--yes"]);
    assert_ne!(run.code, Some(0), "{}", run.text());
    vsync.configure(&with(&there.address()));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
    // from now on another server is another server
    vsync.configure(&with(&nobody));
    let run = vsync.run(&["sync", "--yes"]).expect(4);
    assert!(run.text().contains("another server than the recorded one"), "{}", run.text());
}

#[test]
fn a_destination_that_was_emptied_is_still_not_taken_for_another_server() {
    let (origin, there, other) = (BaoServer::start(), BaoServer::start(), BaoServer::start());
    seed(&origin, 2);
    let theirs = json!({ "by": "somebody else" });
    for server in [&there, &other] {
        server.client().enable_kv("there");
    }
    other.client().write("there", "app/0", &theirs);
    let keys = "on_delete = \"purge\"\nguards = { max_delete = \"100%\", max_purge = \"100%\" }";
    let with = |server: &BaoServer| config(&origin.address(), "", &[("there", &server.address(), keys)]);
    let vsync = Vsync::new(&with(&there));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for n in 0..2 {
        origin.client().delete("secret", &format!("app/{n}"));
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(at(&there, "there").is_empty());
    // now the copies wait to be purged; their versions are those of what is at the other server
    (0..2).for_each(|n| origin.client().remove("secret", &format!("app/{n}")));
    vsync.configure(&with(&other));
    let run = vsync.run(&["sync", "--yes", "--confirm-purge", "2"]).expect(4);
    assert!(run.text().contains("another server than the recorded one"), "{}", run.text());
    // and it has them again
    seed(&origin, 2);
    let run = vsync.run(&["sync", "--yes"]).expect(4);
    assert!(run.text().contains("another server than the recorded one"), "{}", run.text());
    assert_eq!(other.client().read("there", "app/0"), Some(theirs));
}
