//! The main job, as a person would do it: the built program against real servers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoOptions, BaoServer, ConsulServer, RootClient, Vsync, canary};

/// An origin and one destination, with more for either section.
fn config(origin: &BaoServer, destination: &BaoServer, of_origin: &str, of_destination: &str) -> String {
    format!(
        "[origin]\nmounts = [\"secret\"]\n{of_origin}\n\
         [origin.vault]\naddress = \"{}\"\ntoken = \"least\"\n\
         [[destinations]]\nname = \"copy\"\nmounts = [\"secret\"]\n{of_destination}\n\
         [destinations.vault]\naddress = \"{}\"\ntoken = \"least\"\nmax_retries = 1\n",
        origin.address(),
        destination.address(),
    )
}

/// Names with everything a name can have, and the names that collide if somebody is careless.
const ODD: [&str; 16] = [
    "odd/space in name",
    "odd/trailing space ",
    "odd/50%25 off?",
    "odd/#fragment",
    "odd/question?mark=1&b",
    "odd/plus+plus",
    "odd/back\\slash",
    "odd/<angle> & \"quote\" 'single'",
    "odd/semi;colon,comma",
    "odd/ünïcödé/日本語/🔑",
    "odd/data/data/metadata/x",
    "odd/same",
    "odd/same/child",
    "odd/UPPER",
    "odd/upper",
    "odd/dots...and~tilde",
];

/// 2,000 secrets: odd names, up to five versions, values of every shape, some deleted, some destroyed.
fn seed(client: &RootClient) {
    let value = |round: usize, number: usize| {
        json!({
            "round": round,
            "number": number,
            "text": format!("{}\n\t\"quoted\" <&> ünï", canary(number)),
            "float": 1.5e300,
            "big": 9_007_199_254_740_993_i64,
            "nested": { "b": [1, null, true, { "deep": "x" }], "a": {} },
            "empty": "",
        })
    };
    let mut names: Vec<String> = ODD.iter().map(|name| (*name).to_owned()).collect();
    let folders = ["team-a/dev", "team-a/prod", "team-b/dev", "team-b/prod/deep/er"];
    names.extend((names.len()..2_000).map(|number| format!("{}/app-{number}", folders[number % folders.len()])));
    for (round, step) in [1, 5, 25, 125, 625].into_iter().enumerate() {
        let batch = names.iter().enumerate().filter(|(number, _)| number % step == 0);
        client.write_all("secret", batch.map(|(number, name)| (name.clone(), value(round, number))));
    }
    for name in names.iter().skip(20).step_by(97) {
        client.delete("secret", name);
    }
    for name in names.iter().skip(21).step_by(211) {
        let current =
            client.metadata("secret", name).expect("metadata")["current_version"].as_u64().expect("a version");
        client.destroy("secret", name, &[current]);
    }
    client.write("secret", "many-keys", &Value::Object((0..500).map(|i| (format!("key {i}"), json!(i))).collect()));
}

#[test]
fn a_destination_becomes_equal_and_is_then_left_alone() {
    let origin = BaoServer::with_audit();
    let destination = BaoServer::with_audit();
    let consul = ConsulServer::start();
    let store = |side: &str| format!("\n[{side}.consul]\naddress = \"{}\"\n", consul.address());
    seed(&origin.client());
    let vsync = Vsync::new(&(config(&origin, &destination, "", "") + &store("destinations") + &store("origin")));

    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let expected = origin.client().read_all("secret");
    assert!(expected.len() > 1_900);
    assert_same(&destination.client().read_all("secret"), &expected);

    // Nothing changed: nothing is read, nothing is written.
    let (at_origin, at_destination) = (origin.audit(), destination.audit());
    let state = || {
        consul
            .keys("vsync/")
            .into_iter()
            .filter(|key| !key.contains("/cycles/"))
            .map(|key| (consul.last_change(&key), key))
            .collect::<Vec<_>>()
    };
    let before = state();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at_origin.touched("secret/data/"), [""; 0]);
    assert_eq!(at_destination.touched("secret/"), [""; 0]);
    assert_eq!(state(), before);

    // One changed, one new, one gone: those three and no other.
    origin.client().write("secret", "odd/same", &json!({ "changed": canary(true) }));
    origin.client().write("secret", "odd/brand new", &json!({ "new": canary(true) }));
    origin.client().delete("secret", "odd/UPPER");
    let (at_origin, at_destination) = (origin.audit(), destination.audit());
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    // the deleted one is asked for, to make sure that it is: it has no data to give
    assert_eq!(
        at_origin.touched("secret/data/"),
        ["read secret/data/odd/UPPER", "read secret/data/odd/brand new", "read secret/data/odd/same"]
    );
    assert_eq!(
        at_destination.touched("secret/data/"),
        ["create secret/data/odd/brand new", "delete secret/data/odd/UPPER", "update secret/data/odd/same"]
    );
    assert_same(&destination.client().read_all("secret"), &origin.client().read_all("secret"));
}

#[test]
fn a_loopback_with_a_transform_is_stable() {
    let server = BaoServer::with_audit();
    server.client().write_all("secret", (0..40).map(|i| (format!("old/team/app-{i}"), json!({ "i": canary(i) }))));
    let transform = "[[destinations.transforms]]\nname = \"old to new\"\n\
                     from = '^secret/data/old/(?P<rest>.+)$'\nto = 'secret/data/new/${rest}'\n";
    let vsync = Vsync::new(&(config(&server, &server, "include = [\"secret/old/**\"]", "") + transform));

    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let live = server.client().read_all("secret");
    assert_eq!(live.len(), 80);
    assert_eq!(live["new/team/app-7"], live["old/team/app-7"]);

    let audit = server.audit();
    for _ in 0..3 {
        let _ = vsync.run(&["sync", "--yes"]).expect(0);
    }
    assert_eq!(audit.touched("secret/data/"), [""; 0]);

    // Without the limit to old/ the copies would be read and copied on: it does not begin.
    vsync.configure(&(config(&server, &server, "", "") + transform));
    let audit = server.audit();
    let run = vsync.run(&["sync", "--yes"]).expect(4);
    assert!(run.text().contains("secret/new/team/app-"), "{}", run.text());
    assert_eq!(audit.touched("secret/data/"), [""; 0]);
}

#[test]
fn what_may_not_be_listed_is_not_deleted() {
    let origin = BaoServer::start();
    let destination = BaoServer::with_audit();
    let client = origin.client();
    client.write_all("secret", (0..30).map(|i| (format!("open/app-{i}"), json!({ "i": canary(i) }))));
    client.write_all("secret", (0..30).map(|i| (format!("closed/deep/app-{i}"), json!({ "i": canary(i) }))));
    let vsync = Vsync::new(&config(&origin, &destination, "", ""));
    let (reader, allowed) = client.policy_of(&vsync.tokens()[0]);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read_all("secret").len(), 60);

    let closed: String = ["metadata", "detailed-metadata"]
        .map(|kind| format!("\npath \"secret/{kind}/closed/*\" {{ capabilities = [\"deny\"] }}"))
        .concat();
    client.policy(&reader, &format!("{allowed}{closed}"));
    client.delete("secret", "open/app-1");
    client.delete("secret", "closed/deep/app-1");
    client.write("secret", "open/app-2", &json!({ "changed": canary(true) }));

    let audit = destination.audit();
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    assert_eq!(
        audit.touched("secret/data/"),
        ["delete secret/data/open/app-1", "update secret/data/open/app-2"],
        "what is known is done, what is unknown is left alone"
    );
    assert!(run.text().contains("secret/closed/"), "{}", run.text());
    assert!(run.text().contains("permission denied"), "{}", run.text());
    assert_eq!(destination.client().read_all("secret").len(), 59);
}

#[test]
fn a_wiped_origin_deletes_nothing() {
    let origin = BaoServer::start();
    let destination = BaoServer::with_audit();
    origin.client().write_all("secret", (0..50).map(|i| (format!("app-{i}"), json!({ "i": canary(i) }))));
    let vsync = Vsync::new(&config(&origin, &destination, "", ""));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    origin.client().disable_mount("secret");
    origin.client().enable_kv("secret");
    let audit = destination.audit();
    let run = vsync.run(&["sync", "--yes"]).expect(4);
    assert!(run.text().contains("secret/ holds no secret"), "{}", run.text());
    assert_eq!(audit.touched("secret/data/"), [""; 0]);

    // Most of it gone is stopped as well.
    origin.client().write("secret", "app-1", &json!({ "i": canary(1) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(4);
    assert_eq!(audit.touched("secret/data/"), [""; 0]);
    assert_eq!(destination.client().read_all("secret").len(), 50);
}

#[test]
fn a_destination_that_dies_is_completed_by_the_next_cycle() {
    let origin = BaoServer::start();
    let mut destination = BaoServer::with(BaoOptions { persistent: true, ..BaoOptions::default() });
    seed(&origin.client());
    let vsync = Vsync::new(&config(&origin, &destination, "", "num_workers = 4\npatience = \"3s\""));

    let cycle = vsync.spawn(&["sync", "--yes"]);
    wait_for_copies(&destination, 50);
    destination.kill();
    let run = cycle.wait().expect(1);
    assert!(run.text().contains("did not answer for"), "the cause: {}", run.text());
    assert!(run.text().contains("are pending; the next cycle goes on with them"), "{}", run.text());

    destination.bring_back();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_same(&destination.client().read_all("secret"), &origin.client().read_all("secret"));
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn an_interrupt_keeps_what_was_done() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    seed(&origin.client());
    let vsync = Vsync::new(&config(&origin, &destination, "", "num_workers = 2"));

    let cycle = vsync.spawn(&["sync", "--yes"]);
    wait_for_copies(&destination, 50);
    cycle.signal("INT");
    let run = cycle.wait().expect(130);
    assert!(run.text().contains("Stopping"), "{}", run.text());
    let copied = destination.client().metadata_all("secret");
    assert!(copied.len() < 1_900, "it stopped before the end");

    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_same(&destination.client().read_all("secret"), &origin.client().read_all("secret"));
    let twice = destination.client().metadata_all("secret");
    let twice: Vec<_> = twice.iter().filter(|(_, metadata)| metadata["current_version"] != 1).collect();
    assert!(twice.is_empty(), "written twice: {twice:?}");
}

#[test]
fn values_stay_out_of_everything_that_is_kept_or_shown() {
    const CANARY: &str = canary::MARK;
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let root = origin.client();
    root.write_all("secret", (0..20).map(|n| (format!("a/{n}"), json!({ "password": format!("{CANARY}-{n}") }))));
    let rules = "path \"secret/data/*\" { capabilities = [\"create\", \"update\"] }\n\
                 path \"secret/data/a/7\" { capabilities = [\"deny\"] }";
    let token = destination.client().policy_token("most", rules);
    let config = config(&origin, &destination, "", "");
    let (first, last) = config.rsplit_once("token = \"least\"").expect("the destination's token");
    let vsync = Vsync::new(&format!("{first}token = \"{token}\"{last}"));

    let mut shown = String::new();
    for (arguments, code) in [
        (&["--log-level", "trace", "sync", "--yes"][..], 3),
        (&["--log-level", "trace", "--output", "json", "retry", "--yes"], 3),
        (&["history", "--output", "json"], 0),
        (&["status"], 0),
        (&["config", "show"], 0),
    ] {
        shown += &vsync.run(arguments).expect(code).text();
    }
    assert!(shown.contains("permission"), "one of them fails: {shown}");
    assert!(!shown.contains(CANARY), "a value was shown: {shown}");
    assert!(!shown.contains(&token), "a token was shown: {shown}");
    let mut files = 0;
    for file in files_below(vsync.folder()).into_iter().filter(|file| !file.ends_with("vsync.toml")) {
        let bytes = std::fs::read(&file).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(CANARY) && !text.contains(&token), "{}", file.display());
        files += 1;
    }
    assert!(files >= 2, "there are a log and a store");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn wait_for_copies(destination: &BaoServer, count: usize) {
    let start = Instant::now();
    while destination.client().names("secret", "team-a/dev/").len() < count {
        assert!(start.elapsed() < Duration::from_secs(30), "the cycle does not begin");
        sleep(Duration::from_millis(5));
    }
}

/// Not `assert_eq`: two thousand secrets in a message help nobody.
fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    let wrong: Vec<_> = expected.iter().filter(|(name, data)| found.get(*name) != Some(data)).collect();
    assert!(wrong.is_empty(), "{} missing or different: {:?}", wrong.len(), &wrong[..wrong.len().min(3)]);
    let extra: Vec<_> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(extra.is_empty(), "{} too many: {:?}", extra.len(), &extra[..extra.len().min(3)]);
}
