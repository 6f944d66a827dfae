//! Canaries that a cycle wrote and nobody has verified: neither later waves nor later cycles pass them by.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fan_out::{at, config, part, seed};
use crate::support::{BaoServer, ConsulServer, Fault, FaultProxy, FaultRule, Run, Vsync, When};

const CANARY: &str = "canary = [\"secret/canary/**\"]";

fn sync(vsync: &Vsync, code: i32) -> Run {
    vsync.run(&["--output", "json", "sync", "--yes"]).expect(code)
}

/// Why nothing more was begun at a destination.
fn blocked(run: &Run, name: &str) -> String {
    part(run, name)["blocked"].as_str().unwrap_or_else(|| panic!("{}", run.text())).to_owned()
}

/// It cannot be found there.
fn lost(proxy: &FaultProxy, path: &str) -> FaultRule {
    proxy.rule("GET", &format!("^/v1/{path}$"), When::Always, Fault::Status(404))
}

#[test]
fn a_canary_that_somebody_wrote_over_holds_up_later_waves_until_that_is_decided() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    for mount in ["staging", "prod"] {
        there.client().enable_kv(mount);
    }
    let address = there.address();
    let with =
        |keys: &str| config(&origin.address(), CANARY, &[("staging", &address, keys), ("prod", &address, "wave = 2")]);
    let vsync = Vsync::new(&with(""));
    let _ = sync(&vsync, 0);
    there.client().write("staging", "canary/a", &json!({ "n": "somebody else's" }));
    origin.client().write("secret", "canary/a", &json!({ "n": 1 }));
    // it is met, and then known
    for (failed, why) in [(1, "failed"), (0, "somebody else wrote what is there")] {
        let run = sync(&vsync, 1);
        assert_eq!(part(&run, "staging")["failed"], failed, "{}", run.text());
        assert!(blocked(&run, "staging").contains(why), "{}", run.text());
        assert!(blocked(&run, "prod").contains("staging (wave 1)"), "{}", run.text());
        assert_eq!(there.client().read("prod", "canary/a"), Some(json!({ "n": 0 })));
    }
    vsync.configure(&with("on_drift = \"overwrite\""));
    let _ = sync(&vsync, 0);
    for mount in ["staging", "prod"] {
        assert_eq!(at(&there, mount), at(&origin, "secret"), "{mount}");
    }
}

/// With the state of both sides in Consul.
fn with_consul(text: &str, address: &str) -> String {
    let consul = format!("consul = {{ address = \"{address}\", max_retries = 0 }}\nsync_path");
    text.replace("[origin]\n", &format!("[origin]\n{consul} = \"origin/\"\n"))
        .replace("[[destinations]]\n", &format!("[[destinations]]\n{consul} = \"there/\"\n"))
}

#[test]
fn canaries_of_a_later_wave_are_verified_where_nothing_else_is_to_be_done() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 3);
    let write = |name: &str, n: usize| origin.client().write("secret", &format!("canary/{name}"), &json!({ "n": n }));
    write("a", 0);
    write("b", 0);
    for mount in ["staging", "prod", "later"] {
        there.client().enable_kv(mount);
    }
    let (proxy, address) = (FaultProxy::start(&there.address()), there.address());
    let at_proxy = proxy.address();
    let destinations = [
        ("staging", at_proxy.as_str(), ""),
        ("prod", at_proxy.as_str(), "wave = 2"),
        ("later", address.as_str(), "wave = 3"),
    ];
    let vsync = Vsync::new(&config(&origin.address(), CANARY, &destinations));
    let _ = sync(&vsync, 0);
    let has_later = |name: &str, n: usize| there.client().read("later", name) == Some(json!({ "n": n }));

    // all there is to do is a canary
    write("a", 1);
    let unseen = lost(&proxy, "prod/data/canary/a");
    let run = sync(&vsync, 1);
    assert_eq!((&part(&run, "staging")["blocked"], &part(&run, "prod")["pending"]), (&Value::Null, &json!(0)));
    assert!(blocked(&run, "prod").contains("prod/canary/a is in canary"), "{}", run.text());
    assert!(blocked(&run, "later").contains("prod (wave 2): 0 failed, 0 pending, canaries not verified"));
    assert!(has_later("canary/a", 0));

    // prod has nothing to do, and still holds up the one after it
    let run = sync(&vsync, 1);
    assert_eq!(part(&run, "prod")["planned"]["add"], 0, "{}", run.text());
    assert!(blocked(&run, "prod").contains("prod/canary/a is in canary"), "{}", run.text());
    assert!(has_later("canary/a", 0));

    // what is written while an earlier one is looked at again is verified, too
    unseen.remove();
    write("b", 2);
    let unseen = lost(&proxy, "prod/data/canary/b");
    let run = sync(&vsync, 1);
    assert_eq!(part(&run, "prod")["done"]["update"], 1, "{}", run.text());
    assert!(blocked(&run, "prod").contains("prod/canary/b is in canary"), "{}", run.text());
    unseen.remove();
    let _ = sync(&vsync, 0);
    for mount in ["staging", "prod", "later"] {
        assert_eq!(at(&there, mount), at(&origin, "secret"), "{mount}");
    }
}

/// An origin with nothing but a canary, and what goes to `staging` first, by a proxy, and then to `prod`.
fn two_waves() -> (BaoServer, BaoServer, FaultProxy, Vsync) {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    for mount in ["staging", "prod"] {
        there.client().enable_kv(mount);
    }
    let (proxy, address) = (FaultProxy::start(&there.address()), there.address());
    let at_proxy = proxy.address();
    let destinations = [("staging", at_proxy.as_str(), ""), ("prod", address.as_str(), "wave = 2")];
    let vsync = Vsync::new(&config(&origin.address(), CANARY, &destinations));
    (origin, there, proxy, vsync)
}

#[test]
fn canaries_of_the_first_wave_hold_up_the_next_although_nothing_is_left_to_write() {
    let (origin, there, proxy, vsync) = two_waves();
    let unseen = lost(&proxy, "staging/data/canary/a");
    for planned in [1, 0] {
        let run = sync(&vsync, 1);
        assert_eq!(part(&run, "staging")["planned"]["add"], planned, "{}", run.text());
        assert!(blocked(&run, "staging").contains("staging/canary/a is in canary"), "{}", run.text());
        assert!(blocked(&run, "prod").contains("staging (wave 1)"), "{}", run.text());
        assert!(at(&there, "prod").is_empty());
    }
    unseen.remove();
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "prod"), at(&origin, "secret"));
}

#[test]
fn a_watch_begins_no_later_wave_before_the_canaries_of_the_one_before_are_verified() {
    let (origin, there, proxy, vsync) = two_waves();
    let unseen = lost(&proxy, "staging/data/canary/a");
    // the second one finds nothing left to write in the first wave
    for name in ["first", "second"] {
        let seen = unseen.picked();
        let mut daemon = vsync.background(name, &["sync", "--watch", "--tick", "1s"], &[]);
        unseen.wait_until_picked(seen + 3);
        assert!(at(&there, "prod").is_empty(), "{}", daemon.told());
        assert!(daemon.told().contains("staging/canary/a is in canary"), "{}", daemon.told());
        daemon.signal("TERM");
        let _ = daemon.end(Duration::from_mins(1));
        assert!(at(&there, "prod").is_empty(), "{}", daemon.told());
    }
    unseen.remove();
    let daemon = vsync.background("third", &["sync", "--watch", "--tick", "1s"], &[]);
    let start = Instant::now();
    while at(&there, "prod").is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "{}", daemon.told());
        sleep(Duration::from_millis(50));
    }
    assert_eq!(at(&there, "prod"), at(&origin, "secret"));
}

#[test]
fn a_canary_of_a_stopped_cycle_is_not_forgotten_however_many_cycles_follow() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 3);
    for n in 0..3 {
        origin.client().write("secret", &format!("canary/{n}"), &json!({ "n": n }));
    }
    for mount in ["there", "other"] {
        there.client().enable_kv(mount);
    }
    let (proxy, address) = (FaultProxy::start(&there.address()), there.address());
    let at_proxy = proxy.address();
    let keys = "num_workers = 1\npatience = \"100ms\"";
    let destinations = [("there", at_proxy.as_str(), keys), ("other", address.as_str(), "")];
    let vsync = Vsync::new(&config(&origin.address(), CANARY, &destinations));
    let held = proxy.rule("POST", "^/v1/there/data/canary/", When::Nth(2), Fault::Hold);
    let mut stopped = vsync.background("stopped", &["sync", "--yes", "--destination", "there"], &[]);
    held.wait_until_picked(1);
    stopped.signal("INT");
    stopped.wait_for("topping", Duration::from_mins(1));
    held.remove();
    assert_eq!(stopped.end(Duration::from_mins(1)), Some(130), "{}", stopped.told());
    let first = at(&there, "there").into_keys().next().expect("the first canary");

    // more reports than are read at a time: of others
    for n in 0..21 {
        origin.client().write("secret", "app/0", &json!({ "n": format!("{n}") }));
        let _ = vsync.run(&["sync", "--yes", "--destination", "other"]).expect(0);
    }
    // and of cycles that come to nothing
    let away = proxy.rule("POST", "^/v1/there/data/", When::Always, Fault::Status(503));
    let unwell = proxy.rule("", "^/v1/sys/health", When::Always, Fault::Status(503));
    for _ in 0..21 {
        let run = sync(&vsync, 1);
        assert!(blocked(&run, "there").contains("answer"), "{}", run.text());
    }
    away.remove();
    unwell.remove();

    let broken = proxy.rule("GET", &format!("^/v1/there/data/{first}$"), When::Always, Fault::Status(500));
    let run = sync(&vsync, 1);
    assert!(broken.picked() > 0 && !at(&there, "there").keys().any(|name| name.starts_with("app/")), "{}", run.text());
    broken.remove();
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

#[test]
fn nothing_is_begun_while_it_cannot_be_read_which_canaries_are_left() {
    let (origin, there, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    seed(&origin, 3);
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    there.client().enable_kv("there");
    let (proxy, store) = (FaultProxy::start(&there.address()), FaultProxy::start(&consul.address()));
    let text = config(&origin.address(), CANARY, &[("there", &proxy.address(), "")]);
    let vsync = Vsync::new(&with_consul(&text, &store.address()));
    let unseen = lost(&proxy, "there/data/canary/a");
    let run = sync(&vsync, 1);
    assert!(blocked(&run, "there").contains("there/canary/a is in canary"), "{}", run.text());

    for unreadable in ["/cycles/", "/changes/"] {
        let refused = store.rule("GET", unreadable, When::Always, Fault::Status(500));
        let run = sync(&vsync, 1);
        assert!(refused.picked() > 0);
        let reason = blocked(&run, "there");
        assert!(reason.contains("which canaries earlier cycles left unverified"), "{unreadable}: {reason}");
        assert_eq!(at(&there, "there").len(), 1, "{unreadable}");
        refused.remove();
    }
    // nor do the reports of these cycles hide it
    let run = sync(&vsync, 1);
    assert!(blocked(&run, "there").contains("there/canary/a is in canary"), "{}", run.text());
    unseen.remove();
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

/// An origin with a canary and three others, and a destination with these keys behind a proxy.
fn one_destination(keys: &str) -> (BaoServer, BaoServer, FaultProxy, Vsync) {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 3);
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let vsync = Vsync::new(&config(&origin.address(), CANARY, &[("there", &proxy.address(), keys)]));
    (origin, there, proxy, vsync)
}

#[test]
fn an_earlier_canary_that_somebody_wrote_over_does_not_pass_where_values_may_not_be_read() {
    let (origin, there, proxy, vsync) = one_destination("");
    let unseen = lost(&proxy, "there/data/canary/a");
    let _ = sync(&vsync, 1);
    unseen.remove();
    there.client().write("there", "canary/a", &json!({ "n": "somebody else's" }));
    let denied = proxy.rule("GET", "^/v1/there/data/", When::Always, Fault::Status(403));
    for _ in 0..2 {
        let run = sync(&vsync, 1);
        let reason = blocked(&run, "there");
        assert!(reason.contains("version 2 is there, and vsync wrote version 1"), "{reason}");
        assert_eq!(at(&there, "there").len(), 1);
    }
    denied.remove();
    there.client().write("there", "canary/a", &json!({ "n": 0 }));
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

#[test]
fn a_destination_whose_canary_somebody_wrote_over_records_nothing_until_that_is_decided() {
    let (origin, there, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    seed(&origin, 20);
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    there.client().enable_kv("there");
    let with = |keys: &str| {
        with_consul(&config(&origin.address(), CANARY, &[("there", &there.address(), keys)]), &consul.address())
    };
    let vsync = Vsync::new(&with(""));
    let _ = sync(&vsync, 0);
    there.client().write("there", "canary/a", &json!({ "n": "somebody else's" }));
    origin.client().write("secret", "canary/a", &json!({ "n": 1 }));
    let run = vsync.run(&["--output", "json", "sync", "--yes"]);
    assert_eq!(part(&run, "there")["failed"], 1, "{}", run.text());

    origin.client().remove("secret", "app/1");
    let before = consul.last_change("there/");
    let run = sync(&vsync, 1);
    assert!(blocked(&run, "there").contains("somebody else wrote what is there"), "{}", run.text());
    assert!(before > 0 && consul.last_change("there/") == before, "{:?}", consul.keys("there/"));
    assert!(there.client().read("there", "app/1").is_some());

    // left to them, it keeps nothing waiting
    vsync.configure(&with("on_drift = \"keep\""));
    let _ = sync(&vsync, 0);
    assert!(there.client().read("there", "app/1").is_none());
    assert_eq!(there.client().read("there", "canary/a"), Some(json!({ "n": "somebody else's" })));
}

#[test]
fn no_wave_is_left_out_because_all_of_it_is_blocked() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 3);
    origin.client().write("secret", "canary/a", &json!({ "n": 0 }));
    for mount in ["staging", "prod", "later"] {
        there.client().enable_kv(mount);
    }
    let address = there.address();
    let destinations =
        [("later", address.as_str(), "wave = 3"), ("prod", &address, "wave = 2"), ("staging", &address, "")];
    let vsync = Vsync::new(&config(&origin.address(), CANARY, &destinations));
    let _ = sync(&vsync, 0);
    there.client().write("prod", "canary/a", &json!({ "n": "somebody else's" }));
    origin.client().write("secret", "canary/a", &json!({ "n": 1 }));
    let _ = sync(&vsync, 1);
    // by now it is known, and nothing of the second wave begins
    origin.client().write("secret", "app/0", &json!({ "n": "new" }));
    let run = sync(&vsync, 1);
    assert!(blocked(&run, "prod").contains("somebody else wrote what is there"), "{}", run.text());
    assert!(blocked(&run, "later").contains("prod (wave 2)"), "{}", run.text());
    assert_eq!(at(&there, "staging"), at(&origin, "secret"));
    assert_ne!(there.client().read("later", "app/0"), Some(json!({ "n": "new" })));
}

#[test]
fn a_server_that_hangs_while_canaries_are_looked_at_is_waited_for_no_longer_than_patience() {
    let (origin, there, proxy, vsync) = one_destination("patience = \"3s\"");
    let hangs = [("^/v1/there/data/", 1), ("^/v1/sys/health", 2)]
        .map(|(path, from)| proxy.rule("GET", path, When::From(from), Fault::Hold));
    let begun = Instant::now();
    let run = sync(&vsync, 1);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}: {}", begun.elapsed(), run.text());
    assert!(blocked(&run, "there").contains("did not answer for"), "{}", run.text());
    assert_eq!(at(&there, "there").len(), 1, "nothing but the canary");
    for rule in hangs {
        rule.remove();
    }
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

#[test]
fn a_canary_whose_metadata_alone_is_copied_is_still_looked_at() {
    let (origin, there, proxy, vsync) = one_destination("fidelity = \"metadata\"");
    let broken = proxy.rule("GET", "^/v1/there/data/canary/a$", When::Always, Fault::Status(500));
    let _ = sync(&vsync, 1);
    origin.client().write_metadata("secret", "canary/a", json!({ "custom_metadata": { "owner": "team-a" } }));
    let run = sync(&vsync, 1);
    assert!(blocked(&run, "there").contains("there/canary/a is in canary"), "{}", run.text());
    assert_eq!(at(&there, "there").len(), 1, "nothing but the canary");
    broken.remove();
    let _ = sync(&vsync, 0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}
