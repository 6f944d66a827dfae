//! Origins of KV version 1: nothing but the values tells what has changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{BaoServer, ConsulServer, Fault, FaultProxy, RootClient, Run, Vsync, When, canary};

/// More than a handful, so that a delete is no mass deletion.
const MANY: usize = 60;
const CANARY: &str = canary::MARK;

fn enable_v1(client: &RootClient, mount: &str) {
    let (status, answer) = client.request("POST", &format!("sys/mounts/{mount}"), Some(json!({ "type": "kv" })));
    assert_eq!(status, 204, "{answer}");
}

/// Writes a secret of the mount `old`.
fn write(client: &RootClient, name: &str, value: Value) {
    let (status, answer) = client.request("POST", &format!("old/{name}"), Some(value));
    assert_eq!(status, 204, "{answer}");
}

fn delete(client: &RootClient, name: &str) {
    assert_eq!(client.request("DELETE", &format!("old/{name}"), None).0, 204);
}

/// Name → value in the mount `old`.
fn values() -> BTreeMap<String, Value> {
    let mut values: BTreeMap<String, Value> =
        (0..MANY).map(|n| (format!("team/app-{n}"), json!({ "n": n, "password": format!("{CANARY}-{n}") }))).collect();
    let typed = json!({
        "text": "a\n\t\"quoted\" <&> ünï", "float": 1.5e300, "half": 0.5, "big": 9_007_199_254_740_991_i64, "none": null,
        "nested": { "b": [1, null, true, { "deep": "x" }], "a": {} }, "empty": "", "flag": false,
    });
    for name in ["a", "a/b", "a/b/c", "deep/er/and/deeper", "odd/space in name", "odd/50%25 off?", "odd/ünïcödé/🔑"]
    {
        values.insert(name.to_owned(), typed.clone());
    }
    // names that mean something to version 2
    for name in ["data/x", "metadata/x", "detailed-metadata/x"] {
        values.insert(name.to_owned(), json!({ "name": name }));
    }
    values
}

/// Says so to `vsync policy`, whose rules are other ones for version 1.
const OLD_IS_V1: &str = "v1_mounts = [\"old\"]";

/// A written configuration with tokens that are to be made anew.
fn with_least(config: &str, vsync: &Vsync) -> String {
    vsync.tokens().iter().fold(config.to_owned(), |config, token| config.replace(token.as_str(), "least"))
}

/// One origin whose mount `old` is of version 1, and destinations of version 2 to whose mount `secret` all of it goes.
struct Migration {
    origin: BaoServer,
    copy: BaoServer,
    at_copy: FaultProxy,
    consul: ConsulServer,
    vsync: Vsync,
}

impl Migration {
    fn start() -> Self {
        let (origin, copy) = (BaoServer::with_audit(), BaoServer::with_audit());
        enable_v1(&origin.client(), "old");
        for (name, value) in values() {
            write(&origin.client(), &name, value);
        }
        let (at_copy, consul) = (FaultProxy::start(&copy.address()), ConsulServer::start());
        let migration = Self { origin, copy, at_copy, consul, vsync: Vsync::new("") };
        migration.configure(OLD_IS_V1, "least");
        migration
    }

    fn configure(&self, of_origin: &str, token: &str) {
        self.configure_copies(of_origin, token, "");
    }

    fn configure_copies(&self, of_origin: &str, token: &str, of_copies: &str) {
        let consul = self.consul.address();
        let destination = |name: &str, sync_path: &str, address: &str, mount: &str| {
            format!(
                "[[destinations]]\nname = \"{name}\"\nmounts = [\"{mount}\"]\nsync_path = \"{sync_path}\"\nnum_workers = 4\n{of_copies}\n\
                 consul = {{ address = \"{consul}\" }}\nvault = {{ address = \"{address}\", token = \"least\", max_retries = 1 }}\n\
                 [[destinations.transforms]]\nname = \"migrate\"\nfrom = '^old/data/(?P<rest>.+)$'\nto = '{mount}/data/${{rest}}'\n"
            )
        };
        self.vsync.configure(&format!(
            "[origin]\nmounts = [\"old\"]\n{of_origin}\n[origin.vault]\naddress = \"{}\"\ntoken = \"{token}\"\nmax_retries = 1\n\
             [origin.consul]\naddress = \"{consul}\"\n{}{}",
            self.origin.address(),
            destination("copy", "vsync/copy/", &self.at_copy.address(), "secret"),
            // the same Vault as the origin
            destination("beside", "vsync/beside/", &self.origin.address(), "secret"),
        ));
    }

    fn client(&self) -> RootClient {
        self.origin.client()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.vsync.run(arguments)
    }

    fn sync(&self) -> Run {
        self.run(&["sync", "--yes"])
    }

    /// Both destinations have just these values.
    fn assert_equal(&self, expected: &BTreeMap<String, Value>) {
        for server in [&self.copy, &self.origin] {
            let copies = server.client().read_all("secret");
            let copies: BTreeMap<String, Value> =
                copies.into_iter().map(|(name, text)| (name, serde_json::from_str(&text).expect("JSON"))).collect();
            for (name, value) in expected {
                // as text, because reading a number from one can round it
                assert_eq!(copies.get(name), Some(&serde_json::from_str(&value.to_string()).expect("JSON")), "{name}");
            }
            assert_eq!(copies.len(), expected.len(), "{:?}", copies.keys());
        }
    }

    /// The version of a copy.
    fn version(&self, name: &str) -> u64 {
        self.copy.client().metadata("secret", name).expect("metadata")["current_version"].as_u64().expect("a version")
    }

    fn assert_versions(&self, version: u64) {
        for (name, metadata) in self.copy.client().metadata_all("secret") {
            assert_eq!(metadata["current_version"], version, "{name}");
        }
    }

    /// Everything in the state store, as one text.
    fn state(&self) -> String {
        let keys = self.consul.keys("");
        let texts = keys
            .iter()
            .map(|key| format!("{key} {}\n", String::from_utf8_lossy(&self.consul.get(key).expect("a value"))));
        texts.collect()
    }
}

#[test]
fn a_migration_copies_once_and_then_only_what_changed() {
    let migration = Migration::start();
    let mut expected = values();
    let _ = migration.sync().expect(0);
    migration.assert_equal(&expected);
    migration.assert_versions(1);

    // Nothing changed: each value is read once, and nothing is written.
    let (at_origin, at_copy) = (migration.origin.audit(), migration.copy.audit());
    let state = || {
        let keys = migration.consul.keys("vsync/").into_iter().filter(|key| !key.contains("/cycles/"));
        keys.map(|key| (migration.consul.last_change(&key), key)).collect::<Vec<_>>()
    };
    let before = state();
    let _ = migration.sync().expect(0);
    let reads = at_origin.touched("old/").iter().filter(|line| line.starts_with("read ")).count();
    assert_eq!(reads, expected.len());
    assert_eq!(at_copy.touched("secret/"), [""; 0]);
    assert_eq!(state(), before);

    // One changed, one new, one gone: those three and no other.
    write(&migration.client(), "a/b", json!({ "changed": canary(true) }));
    write(&migration.client(), "brand new", json!({ "new": canary(1) }));
    delete(&migration.client(), "team/app-7");
    expected.insert("a/b".to_owned(), json!({ "changed": canary(true) }));
    expected.insert("brand new".to_owned(), json!({ "new": canary(1) }));
    expected.remove("team/app-7");
    let at_copy = migration.copy.audit();
    let _ = migration.sync().expect(0);
    migration.assert_equal(&expected);
    let written = at_copy.touched("secret/data/");
    let written: Vec<_> = written.iter().filter(|line| !line.starts_with("read ")).collect();
    assert_eq!(written, ["create secret/data/brand new", "delete secret/data/team/app-7", "update secret/data/a/b"]);
    assert_eq!((migration.version("a/b"), migration.version("a")), (2, 1));
    let _ = migration.run(&["plan"]).expect(0);
    // and the values are compared as those of version 2 are
    let _ = migration.run(&["verify", "--deep", "--yes"]).expect(0);
}

#[test]
fn a_destination_that_missed_a_value_is_told_by_what_it_has() {
    let migration = Migration::start();
    let _ = migration.sync().expect(0);
    let first = values()["a"].clone();
    // `beside` sees another value, `copy` does not
    write(&migration.client(), "a", json!({ "other": canary(1) }));
    let _ = migration.run(&["sync", "--yes", "--destination", "beside"]).expect(0);
    let _ = migration.run(&["plan"]).expect(2);
    write(&migration.client(), "a", first);
    let _ = migration.sync().expect(0);
    migration.assert_equal(&values());
    assert_eq!(migration.version("a"), 1, "what it has is what the origin has again");
    let _ = migration.run(&["plan"]).expect(0);
}

#[test]
fn a_value_that_cannot_be_read_is_unknown_and_stays() {
    let migration = Migration::start();
    let _ = migration.sync().expect(0);
    let rules = "path \"old/*\" { capabilities = [\"read\", \"list\"] }\npath \"old/\" { capabilities = [\"list\"] }\n\
                 path \"old/a/b\" { capabilities = [\"deny\"] }\npath \"old/odd/*\" { capabilities = [\"read\"] }";
    let token = migration.client().policy_token("reader", rules);
    migration.configure(OLD_IS_V1, &token);
    write(&migration.client(), "a", json!({ "changed": canary(true) }));
    delete(&migration.client(), "odd/space in name");
    let run = migration.sync();
    assert!(run.text().contains("old/a/b"), "{}", run.text());
    let copies = migration.copy.client().read_all("secret");
    assert!(copies.contains_key("a/b") && copies.contains_key("odd/space in name"), "{:?}", copies.keys());
    assert_eq!(migration.version("a"), 2, "the others go on");
    migration.configure(OLD_IS_V1, "least");
    let _ = migration.sync().expect(0);
    let copies = migration.copy.client().read_all("secret");
    assert!(copies.contains_key("a/b") && !copies.contains_key("odd/space in name"), "{:?}", copies.keys());
    assert_eq!(migration.version("a/b"), 1);
}

#[test]
fn the_version_is_found_out_or_configured_and_a_contradiction_is_named() {
    let migration = Migration::start();
    // found out: the rights are the same, and `check` knows which they are
    let token = migration.vsync.tokens().remove(0);
    migration.configure("", &token);
    let _ = migration.sync().expect(0);
    migration.assert_equal(&values());
    let run = migration.run(&["check"]).expect(0);
    for part in [
        "old/ is KV version 1",
        "reads each of its 70 secrets",
        "audit log",
        "enable-versioning old/",
        "tick",
        "v1_mounts",
    ] {
        assert!(run.text().contains(part), "{part}: {}", run.text());
    }
    let rule = r#"path "old/*" { capabilities = ["list"] }"#;
    migration.configure("", &migration.client().policy_token("lister", rule));
    let run = migration.run(&["check"]).expect(1);
    assert!(run.text().contains("old/: read on old/* missing"), "{}", run.text());

    for configured in ["kv_version = 1", "v1_mounts = [\"old/\"]"] {
        migration.configure(configured, "least");
        let _ = migration.run(&["plan"]).expect(0);
    }
    migration.configure("kv_version = 2", "least");
    for arguments in [["plan"], ["check"]] {
        let run = migration.run(&arguments).expect(1);
        let text = run.text();
        assert!(text.contains("says that") && text.contains("KV version 2") && text.contains("KV version 1"), "{text}");
    }
    migration.assert_equal(&values());

    // A token that may not reach the mount as such cannot ask what it is, and what is configured holds.
    migration.vsync.configure(&format!(
        "[origin]\nmounts = [\"secret\"]\nkv_version = 1\n[origin.vault]\naddress = \"{0}\"\ntoken = \"least\"\n\
         [[destinations]]\nname = \"old\"\nmounts = [\"old\"]\n[destinations.vault]\naddress = \"{0}\"\ntoken = \"least\"\n\
         [[destinations.transforms]]\nname = \"back\"\nfrom = '^secret/data/(?P<rest>.+)$'\nto = 'old/data/${{rest}}'\n",
        migration.origin.address()
    ));
    let run = migration.run(&["plan"]).expect(1);
    assert!(run.text().contains("is KV version 1") && run.text().contains("KV version 2"), "{}", run.text());
    // a destination of version 1 is refused before anything is written
    let config = std::fs::read_to_string(migration.vsync.folder().join("vsync.toml")).expect("the configuration");
    let config = with_least(&config, &migration.vsync).replace("kv_version = 1\n", "");
    migration.vsync.configure(&config);
    let run = migration.sync().expect(4);
    assert!(run.text().contains("old/") && run.text().contains("KV version 1"), "{}", run.text());
    let run = migration.run(&["check"]).expect(1);
    assert!(run.text().contains("old/ is KV version 1, and vsync writes to version 2 only"), "{}", run.text());
}

#[test]
fn both_versions_side_by_side() {
    let migration = Migration::start();
    let origin = migration.client();
    origin.enable_kv("new");
    origin.write_all("new", (0..20).map(|n| (format!("app-{n}"), json!({ "n": n }))));
    let config = std::fs::read_to_string(migration.vsync.folder().join("vsync.toml")).expect("the configuration");
    let also = "[[destinations.transforms]]\nname = \"new\"\nfrom = '^new/data/(?P<rest>.+)$'\nto = 'secret/data/new/${rest}'\n";
    let config = config.replace("[origin]\nmounts = [\"old\"]", "[origin]\nmounts = [\"old\", \"new\"]");
    let config = with_least(&config, &migration.vsync);
    migration
        .vsync
        .configure(&config.replace("[[destinations.transforms]]", &format!("{also}[[destinations.transforms]]")));
    let _ = migration.sync().expect(0);
    let mut expected = values();
    expected.extend((0..20).map(|n| (format!("new/app-{n}"), json!({ "n": n }))));
    migration.assert_equal(&expected);

    write(&origin, "a", json!({ "changed": canary(true) }));
    origin.write("new", "app-3", &json!({ "changed": canary(true) }));
    let at_origin = migration.origin.audit();
    let _ = migration.sync().expect(0);
    assert_eq!(at_origin.touched("new/data/"), ["read new/data/app-3"], "version 2 is told apart by its metadata");
    expected.insert("a".to_owned(), json!({ "changed": canary(true) }));
    expected.insert("new/app-3".to_owned(), json!({ "changed": canary(true) }));
    migration.assert_equal(&expected);
}

#[test]
fn neither_values_nor_their_hashes_are_kept() {
    let migration = Migration::start();
    let _ = migration.sync().expect(0);
    write(&migration.client(), "team/app-1", json!({ "password": format!("{CANARY}-changed") }));
    let _ = migration.sync().expect(0);
    let mut kept = migration.state();
    for entry in std::fs::read_dir(migration.vsync.folder().join("state/vsync")).expect("the state folder").flatten() {
        if entry.path().is_file() {
            kept.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path()).expect("a file")));
        }
    }
    assert!(kept.contains("vsync/kv1/key") && kept.contains("old/data/team/app-1"));
    assert!(!kept.contains(CANARY), "a value");
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    };
    for text in [
        format!("{CANARY}-3"),
        format!("\"{CANARY}-3\""),
        json!({ "n": 3, "password": format!("{CANARY}-3") }).to_string(),
    ] {
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        assert!(!kept.contains(&hex(&hash)), "the hash of {text}");
        let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
        assert!(!kept.contains(&base64), "the hash of {text}");
    }
}

#[test]
fn a_cycle_that_was_killed_is_gone_on_with() {
    let migration = Migration::start();
    // Consul lets the lock of who was killed go after a while only
    let config = std::fs::read_to_string(migration.vsync.folder().join("vsync.toml")).expect("the configuration");
    let consul = migration.consul.address();
    let config = config.replace(&format!("consul = {{ address = \"{consul}\" }}\n"), "");
    migration.vsync.configure(&config.replace(&format!("[origin.consul]\naddress = \"{consul}\"\n"), ""));
    // so slow that a busy machine does not miss the moment
    let slow = Fault::Delay(Duration::from_millis(100));
    let writes = migration.at_copy.rule("POST", "^/v1/secret/data/", When::Always, slow);
    for round in 0..3 {
        let mut cycle = migration.vsync.spawn(&["sync", "--yes", "--destination", "copy"]);
        writes.wait_until_picked(writes.picked() + 6);
        assert!(cycle.is_running(), "round {round}");
        cycle.signal("KILL");
        assert_eq!(cycle.wait().code, None);
    }
    let _ = migration.sync().expect(0);
    migration.assert_equal(&values());
    migration.assert_versions(1);

    // What changes while nobody looks, after a write that was not recorded, is nobody else's.
    for n in 0..MANY {
        write(&migration.client(), &format!("team/app-{n}"), json!({ "round": 2 }));
    }
    let mut cycle = migration.vsync.spawn(&["sync", "--yes", "--destination", "copy"]);
    writes.wait_until_picked(writes.picked() + 6);
    assert!(cycle.is_running());
    cycle.signal("KILL");
    assert_eq!(cycle.wait().code, None);
    let mut expected = values();
    for n in 0..MANY {
        write(&migration.client(), &format!("team/app-{n}"), json!({ "round": 3 }));
        expected.insert(format!("team/app-{n}"), json!({ "round": 3 }));
    }
    let _ = migration.sync().expect(0);
    migration.assert_equal(&expected);
    let _ = migration.run(&["plan"]).expect(0);
}

#[test]
fn what_was_seen_may_be_lost() {
    let migration = Migration::start();
    let _ = migration.sync().expect(0);
    for key in migration.consul.keys("vsync/vsync/kv1/") {
        migration.consul.delete(&key);
    }
    write(&migration.client(), "a", json!({ "changed": canary(true) }));
    let _ = migration.sync().expect(0);
    let mut expected = values();
    expected.insert("a".to_owned(), json!({ "changed": canary(true) }));
    migration.assert_equal(&expected);
    for (name, metadata) in migration.copy.client().metadata_all("secret") {
        assert_eq!(metadata["current_version"], if name == "a" { 2 } else { 1 }, "{name}");
    }
    let _ = migration.run(&["plan"]).expect(0);

    // All state: what is there already is adopted, if that is what on_existing says.
    for key in migration.consul.keys("vsync/") {
        migration.consul.delete(&key);
    }
    let config = std::fs::read_to_string(migration.vsync.folder().join("vsync.toml")).expect("the configuration");
    let config = with_least(&config, &migration.vsync);
    migration.vsync.configure(&config.replace("num_workers = 4", "num_workers = 4\non_existing = \"adopt\""));
    let _ = std::fs::remove_dir_all(migration.vsync.folder().join("state"));
    let _ = migration.sync().expect(0);
    migration.assert_equal(&expected);
    assert_eq!((migration.version("a"), migration.version("a/b")), (2, 1));
    let _ = migration.run(&["plan"]).expect(0);
}

#[test]
fn a_mount_that_becomes_version_2_is_not_copied_again() {
    becomes_version_2("");
}

#[test]
fn a_mount_that_becomes_version_2_is_not_copied_again_with_its_metadata() {
    becomes_version_2("fidelity = \"metadata\"");
}

#[test]
fn a_mount_that_becomes_version_2_is_not_copied_again_with_its_history() {
    becomes_version_2("fidelity = \"history\"");
}

fn becomes_version_2(of_copies: &str) {
    let migration = Migration::start();
    migration.configure_copies(OLD_IS_V1, "least", of_copies);
    let _ = migration.sync().expect(0);
    // no cycle sees this value before the mount is another
    write(&migration.client(), "a/b", json!({ "unseen": canary(true) }));
    let tune = json!({ "options": { "version": "2" } });
    assert_eq!(migration.client().request("POST", "sys/mounts/old/tune", Some(tune)).0, 200);
    // it is not to be read before the server has moved everything
    while migration.client().request("GET", "old/data/a", None).0 != 200 {
        std::thread::yield_now();
    }
    migration.configure_copies("", "least", of_copies);
    let mut expected = values();
    for name in ["a", "a/b"] {
        migration.client().write("old", name, &json!({ "changed": canary(true) }));
        expected.insert(name.to_owned(), json!({ "changed": canary(true) }));
    }
    let _ = migration.sync().expect(0);
    migration.assert_equal(&expected);
    for (name, metadata) in migration.copy.client().metadata_all("secret") {
        let version = match name.as_str() {
            // of a history the one in between is a part, too
            "a/b" if of_copies.contains("history") => 3,
            "a" | "a/b" => 2,
            _ => 1,
        };
        assert_eq!(metadata["current_version"], version, "{name}");
    }
    let at_origin = migration.origin.audit();
    let _ = migration.sync().expect(0);
    assert_eq!(at_origin.touched("old/data/"), [""; 0], "from now on metadata is enough");
}

#[test]
fn a_saved_plan_is_for_the_value_it_was_made_of() {
    let migration = Migration::start();
    let _ = migration.sync().expect(0);
    write(&migration.client(), "a", json!({ "planned": 1 }));
    write(&migration.client(), "a/b", json!({ "planned": 1 }));
    let _ = migration.run(&["plan", "--out", "approved"]).expect(2);
    write(&migration.client(), "a/b", json!({ "planned": false }));
    let run = migration.run(&["sync", "--yes", "--plan", "approved"]).expect(3);
    assert!(run.text().contains("a/b"), "{}", run.text());
    assert_eq!((migration.version("a"), migration.version("a/b")), (2, 1));
}

#[test]
fn nothing_is_recorded_where_nothing_may_be_written() {
    let migration = Migration::start();
    let _ = migration.run(&["plan", "--read-only"]).expect(2);
    assert_eq!(migration.consul.keys(""), [""; 0]);
}
