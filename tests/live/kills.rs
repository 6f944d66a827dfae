//! Cycles that are killed at a known moment, while a request of theirs is on its way: what cannot be taken back, what
//! people are asked for, and what follows one after another. The server may still carry out what was on its way.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod undo;

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vsync::state::StoreSettings;

use crate::support::{BaoServer, Fault, FaultProxy, RootClient, Run, Vsync, When, canary};
use crate::trial::{Setup, Trial};

/// Whether the server gets what was on its way when the client was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It does it, and nobody hears of it.
    Arrives,
    /// It asks for nothing that leaves a trace.
    LooksOnly,
}

/// Runs a command and kills it while its `nth` request of this kind is on its way; then the server deals with that.
fn killed_at(vsync: &Vsync, arguments: &[&str], proxy: &FaultProxy, (method, path): (&str, &str), nth: u64) {
    let rule = proxy.rule(method, path, When::Nth(nth), Fault::Hold);
    let mut cycle = vsync.spawn(arguments);
    rule.wait_until_picked(1);
    assert!(cycle.is_running());
    let before = proxy.requests(method, path).len();
    cycle.signal("KILL");
    assert_eq!(cycle.wait().code, None);
    rule.remove();
    let start = Instant::now();
    while proxy.requests(method, path).len() == before {
        assert!(start.elapsed() < Duration::from_secs(20), "what was held never arrives");
        sleep(Duration::from_millis(5));
    }
}

fn objects(run: &Run) -> Vec<Value> {
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many secrets the refusal wants to have confirmed.
fn wanted(refused: &Run) -> usize {
    let (_, rest) = refused.stderr.split_once("add --confirm-purge ").unwrap_or_else(|| panic!("{}", refused.text()));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Whether the data of any version is there.
fn has_data(client: &RootClient, name: &str) -> bool {
    let metadata = client.metadata("secret", name).unwrap_or_default();
    metadata["versions"].as_object().is_some_and(|all| all.values().any(|version| version["destroyed"] == false))
}

#[test]
fn a_purge_that_is_killed_asks_only_for_what_is_left_and_takes_nothing_else() {
    const GONE: usize = 8;
    for (on_delete, method, path) in
        [("purge", "DELETE", "^/v1/secret/metadata/"), ("destroy", "PUT|POST", "^/v1/secret/destroy/")]
    {
        for held in [Held::Arrives, Held::LooksOnly] {
            let keys = format!("on_delete = \"{on_delete}\"\nnum_workers = 1\nguards = {{ max_delete = \"100%\" }}");
            let trial = Trial::start(&Setup { destination: &keys, retries: 2, ..Setup::default() });
            let (origin, destination) = (trial.origin.client(), trial.destination.client());
            let name = |n: usize| format!("app-{n:02}");
            origin.write_all("secret", (0..20).map(|n| (name(n), json!({ "n": canary(n) }))));
            let _ = trial.sync().expect(0);
            (0..GONE).for_each(|n| origin.remove("secret", &name(n)));
            let (method, request) = match (held, method) {
                (Held::LooksOnly, _) => ("GET", "^/v1/secret/metadata/app-"),
                (Held::Arrives, "DELETE") => ("DELETE", path),
                (Held::Arrives, _) => ("", path),
            };
            let all = GONE.to_string();
            let confirmed = ["sync", "--yes", "--confirm-purge", &all];
            killed_at(&trial.vsync, &confirmed, &trial.at_destination, (method, request), 4);
            let left = (0..GONE).filter(|n| has_data(&destination, &name(*n))).count();
            assert_eq!(left, if held == Held::Arrives { GONE - 4 } else { GONE - 3 }, "{on_delete}");

            // what vsync did not come to record is among what it asks for
            let refused = trial.sync().expect(4);
            let number = wanted(&refused);
            // three were done before; a busy machine may not have come to record all of them
            assert!((GONE - 3..=GONE).contains(&number), "{on_delete} {held:?}: {}", refused.text());
            let wrong = (number + 1).to_string();
            let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", &wrong]).expect(4);
            // one that the origin has again is not among it any more
            origin.write("secret", &name(GONE - 1), &json!({ "n": canary("again") }));
            let number = (number - 1).to_string();
            let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", &number]).expect(0);
            trial.assert_equal();
            for n in 0..GONE - 1 {
                assert!(!has_data(&destination, &name(n)), "{on_delete} {held:?}: {n} is left");
            }
            let requests = trial.at_destination.requests("", path);
            let done = requests.iter().filter(|request| request.method != "GET" && request.by_server == Some(204));
            assert_eq!(done.count(), GONE - 1, "{on_delete} {held:?}: each once, nothing else: {requests:?}");
            let _ = trial.vsync.run(&["plan"]).expect(0);
            let _ = trial.vsync.run(&["verify"]).expect(0);
        }
    }
}

#[test]
fn what_waits_to_be_purged_still_waits_after_a_kill() {
    let keys = "on_delete = \"purge\"\nnum_workers = 1\nguards = { max_delete = \"100%\" }";
    let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
    let (origin, destination) = (trial.origin.client(), trial.destination.client());
    let name = |n: usize| format!("app-{n}");
    origin.write_all("secret", (0..6).map(|n| (name(n), json!({ "n": canary(n) }))));
    let _ = trial.sync().expect(0);
    (0..4).for_each(|n| origin.delete("secret", &name(n)));
    // the third soft delete is carried out, and nobody hears of it
    killed_at(&trial.vsync, &["sync", "--yes"], &trial.at_destination, ("DELETE", "^/v1/secret/data/"), 3);
    // before anything else is done, one that is recorded and the one that is not are gone for good
    origin.remove("secret", &name(0));
    origin.remove("secret", &name(2));
    let refused = trial.sync().expect(4);
    assert_eq!(wanted(&refused), 2, "{}", refused.text());
    let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "2"]).expect(0);
    for (n, there) in [(0, false), (1, true), (2, false), (3, true), (4, true)] {
        assert_eq!(destination.metadata("secret", &name(n)).is_some(), there, "{n}");
    }
    // the others, too, when their turn comes
    origin.remove("secret", &name(1));
    origin.remove("secret", &name(3));
    let _ = trial.vsync.run(&["sync", "--yes", "--confirm-purge", "2"]).expect(0);
    assert_eq!(destination.metadata_all("secret").len(), 2);
    trial.assert_equal();
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[test]
fn a_cycle_that_is_killed_while_it_creates_a_mount_is_gone_on_with() {
    for (method, request) in [
        ("POST", "^/v1/sys/capabilities-self"),
        ("POST", "^/v1/sys/mounts/more"),
        ("POST", "^/v1/more/config"),
        ("GET", "^/v1/more/metadata/"),
        ("POST", "^/v1/more/data/"),
    ] {
        let keys = "create_mounts = true\nnum_workers = 1";
        let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
        trial.destination.client().disable_mount("more");
        let origin = trial.origin.client();
        let config = json!({ "max_versions": 7 });
        assert_eq!(origin.request("POST", "more/config", Some(config)).0, 204);
        origin.write_all("more", (0..5).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        origin.write("secret", "app", &json!({ "n": canary("one") }));
        // the look before the mount is there is the plan's
        let nth = if method == "GET" { 2 } else { 1 };
        killed_at(&trial.vsync, &["sync", "--yes"], &trial.at_destination, (method, request), nth);
        let _ = trial.sync().expect(0);
        trial.assert_equal();
        trial.assert_versions(1);
        let created = trial.at_destination.requests("POST", "^/v1/sys/mounts/more");
        assert_eq!(
            created.iter().filter(|request| request.by_server == Some(204)).count(),
            1,
            "{request}: {created:?}"
        );
        let _ = trial.vsync.run(&["plan"]).expect(0);
    }
}

#[test]
fn a_cycle_that_is_killed_amid_metadata_is_gone_on_with() {
    for (method, request) in [("POST", "^/v1/secret/metadata/"), ("GET", "^/v1/secret/metadata/app-")] {
        let keys = "fidelity = \"metadata\"\nnum_workers = 1";
        let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
        let (origin, destination) = (trial.origin.client(), trial.destination.client());
        let owned = |n: usize, owner: &str| {
            origin.write_metadata("secret", &format!("app-{n}"), json!({ "custom_metadata": { "owner": owner } }));
        };
        origin.write_all("secret", (0..8).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        (0..8).for_each(|n| owned(n, "first"));
        let _ = trial.sync().expect(0);
        (0..6).for_each(|n| owned(n, "second"));
        let audit = trial.destination.audit();
        killed_at(&trial.vsync, &["sync", "--yes"], &trial.at_destination, (method, request), 4);
        // one that was done changes once more
        owned(0, "third");
        let _ = trial.sync().expect(0);
        for n in 0..8 {
            let of = |client: &RootClient| {
                client.metadata("secret", &format!("app-{n}")).unwrap()["custom_metadata"]["owner"].clone()
            };
            assert_eq!(of(&destination), of(&origin), "{n}");
        }
        assert_eq!(audit.touched("secret/data/"), [""; 0], "no value is read or written");
        let written = audit.touched("secret/metadata/").iter().filter(|line| !line.starts_with("read")).count();
        assert!((7..=8).contains(&written), "{written}: {:?}", audit.touched("secret/metadata/"));
        trial.assert_versions(1);
        let _ = trial.vsync.run(&["plan"]).expect(0);
    }
}

/// Destinations `one` and `two` in two waves, both with canaries, in one Vault behind a proxy.
fn waves(origin: &BaoServer, proxy: &FaultProxy) -> Vsync {
    let mut text = format!(
        "canary = [\"secret/canary/**\"]\n[origin]\nmounts = [\"secret\"]\n\
         vault = {{ address = \"{}\", token = \"least\", max_retries = 1 }}\n",
        origin.address()
    );
    for (name, wave) in [("one", 1), ("two", 2)] {
        let _ = write!(
            text,
            "[[destinations]]\nname = \"{name}\"\nmounts = [\"{name}\"]\nwave = {wave}\nnum_workers = 2\n\
             vault = {{ address = \"{}\", token = \"least\", max_retries = 1 }}\n\
             transforms = [{{ name = \"own\", from = \"^secret/data/(?P<rest>.+)$\", to = \"{name}/data/${{rest}}\" }}]\n",
            proxy.address()
        );
    }
    Vsync::new(&text)
}

#[test]
fn a_cycle_that_is_killed_between_waves_or_amid_canaries_begins_nothing_later() {
    // what is on its way, how often, and what must not have been asked for by then
    for (method, request, nth, not_yet) in [
        // a canary, and the look at one
        ("POST", "^/v1/one/data/canary/", 2, "^/v1/one/data/app/|^/v1/two/data/"),
        ("GET", "^/v1/one/data/canary/", 1, "^/v1/one/data/app/|^/v1/two/data/"),
        // the last ones of the first wave
        ("POST", "^/v1/one/data/app/", 20, "^/v1/two/data/"),
        // a canary of the second wave, and the look at one
        ("POST", "^/v1/two/data/canary/", 1, "^/v1/two/data/app/"),
        ("GET", "^/v1/two/data/canary/", 2, "^/v1/two/data/app/"),
    ] {
        let (origin, there) = (BaoServer::start(), BaoServer::start());
        let proxy = FaultProxy::start(&there.address());
        origin.client().write_all("secret", (0..20).map(|n| (format!("app/{n}"), json!({ "n": canary(n) }))));
        origin.client().write_all("secret", (0..3).map(|n| (format!("canary/{n}"), json!({ "n": canary(n) }))));
        there.client().enable_kv("one");
        there.client().enable_kv("two");
        let vsync = waves(&origin, &proxy);
        killed_at(&vsync, &["sync", "--yes"], &proxy, (method, request), nth);
        let early = proxy.requests("", not_yet);
        assert!(early.is_empty(), "{request}: {early:?}");

        // nor by the next cycle, as long as a canary cannot be written or looked at
        // (who may only not read a value sees by the metadata whether it is there)
        let status = if method == "GET" { 500 } else { 403 };
        let broken = proxy.rule(method, request, When::Always, Fault::Status(status));
        let is_left = method == "GET" || request.contains("/app/");
        let run = vsync.run(&["sync", "--yes"]);
        if method == "GET" {
            assert!(broken.picked() > 0, "{request}: no canary was looked at: {}", run.text());
        }
        if is_left && broken.picked() > 0 {
            assert_eq!(run.code, Some(1), "{}", run.text());
            let early = proxy.requests("", not_yet);
            assert!(early.is_empty(), "{request}: {early:?}");
        }
        broken.remove();

        let _ = vsync.run(&["sync", "--yes"]).expect(0);
        for mount in ["one", "two"] {
            assert_eq!(there.client().read_all(mount), origin.client().read_all("secret"), "{request}: {mount}");
            let versions = there.client().metadata_all(mount);
            assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "{request}: {mount}");
        }
        let _ = vsync.run(&["plan"]).expect(0);
    }
}

#[test]
fn what_the_origin_undeletes_after_a_kill_amid_its_delete_comes_back() {
    for on_delete in ["soft", "destroy"] {
        let keys = format!("on_delete = \"{on_delete}\"\nnum_workers = 1\nguards = {{ max_delete = \"100%\" }}");
        let trial = Trial::start(&Setup { destination: &keys, retries: 2, ..Setup::default() });
        let origin = trial.origin.client();
        origin.write_all("secret", (0..6).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        let _ = trial.sync().expect(0);
        for n in 0..3 {
            origin.delete("secret", &format!("app-{n}"));
        }
        // the second is on its way, and is carried out
        killed_at(&trial.vsync, &["sync", "--yes"], &trial.at_destination, ("DELETE", "^/v1/secret/data/"), 2);
        // nobody is blamed for what vsync did itself
        let looked = trial.vsync.run(&["verify"]).expect(1);
        let text = looked.text();
        assert!(text.contains("may have changed them; the next sync finds out") && !text.contains("gone"), "{text}");
        // the origin has all of them again, as they were
        for n in 0..3 {
            let undelete =
                origin.request("POST", &format!("secret/undelete/app-{n}"), Some(json!({ "versions": [1] })));
            assert_eq!(undelete.0, 204);
        }
        let _ = trial.sync().expect(0);
        trial.assert_equal();
        for (name, metadata) in trial.destination.client().metadata_all("secret") {
            let was_deleted = matches!(name.as_str(), "app-0" | "app-1");
            assert_eq!(metadata["current_version"], if was_deleted { 2 } else { 1 }, "{on_delete}: {name}");
        }
        let _ = trial.vsync.run(&["plan"]).expect(0);
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}

/// As a vsync without a ledger leaves it: nothing but sync info.
fn forget_ledger(trial: &Trial) {
    let file = trial.vsync.folder().join("state/vsync/vsync.redb");
    let store = vsync::state::open(&StoreSettings::Embedded { file }).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut keys = store.list("").await.unwrap();
        keys.retain(|key| key.contains("/ledger/"));
        assert!(!keys.is_empty());
        store.delete(&keys).await.unwrap();
    });
}

#[test]
fn copies_of_a_vsync_without_ledger_stay_its_own_when_their_deletes_are_killed() {
    for planned in [false, true] {
        let keys = "num_workers = 1\nguards = { max_delete = \"100%\" }";
        let trial = Trial::start(&Setup { destination: keys, retries: 2, ..Setup::default() });
        let origin = trial.origin.client();
        origin.write_all("secret", (0..6).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        let _ = trial.sync().expect(0);
        forget_ledger(&trial);
        for n in 0..4 {
            origin.delete("secret", &format!("app-{n}"));
        }
        let arguments: &[&str] = if planned {
            let _ = trial.vsync.run(&["plan", "--out", "saved.plan"]).expect(2);
            &["sync", "--yes", "--plan", "saved.plan"]
        } else {
            &["sync", "--yes"]
        };
        killed_at(&trial.vsync, arguments, &trial.at_destination, ("DELETE", "^/v1/secret/data/"), 2);
        // some come back as they were, whether their copies are gone or not; the others stay away
        for n in [1, 2] {
            let undelete =
                origin.request("POST", &format!("secret/undelete/app-{n}"), Some(json!({ "versions": [1] })));
            assert_eq!(undelete.0, 204);
        }
        let _ = trial.sync().expect(0);
        trial.assert_equal();
        let versions = [1, 2].map(|n| trial.destination.client().metadata("secret", &format!("app-{n}")).unwrap());
        assert_eq!(versions.map(|metadata| metadata["current_version"].clone()), [json!(2), json!(1)], "{planned}");
        let _ = trial.vsync.run(&["plan"]).expect(0);
        let _ = trial.vsync.run(&["verify"]).expect(0);
    }
}

#[test]
fn who_stops_a_cycle_while_a_server_hangs_does_not_wait_for_its_requests_to_time_out() {
    for fidelity in ["value", "metadata", "history"] {
        let keys = format!("fidelity = \"{fidelity}\"\nnum_workers = 2");
        let trial = Trial::start(&Setup { destination: &keys, retries: 2, ..Setup::default() });
        trial.origin.client().write_all("secret", (0..20).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
        let hangs = [("POST", 5), ("GET", 60)]
            .map(|(method, from)| trial.at_destination.rule(method, "^/v1/secret/", When::From(from), Fault::Hold));
        let cycle = trial.vsync.spawn(&["sync", "--yes"]);
        hangs[0].wait_until_picked(2);
        let start = Instant::now();
        cycle.signal("INT");
        let run = cycle.wait();
        assert!(start.elapsed() < Duration::from_secs(20), "{fidelity}: {:?} {}", start.elapsed(), run.text());
        assert_eq!(run.code, Some(130), "{fidelity}: {}", run.text());
        for rule in hangs {
            rule.remove();
        }
        // what was held has arrived meanwhile, and is known for vsync's own
        let _ = trial.sync().expect(0);
        trial.assert_equal();
        trial.assert_versions(1);
        let _ = trial.vsync.run(&["plan"]).expect(0);
    }
}
