//! Hostile names where they come late: a daemon's status, an undo, state in Consul, origins of KV version 1.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoOptions, BaoServer, ConsulServer, RootClient, Vsync, canary, free_port, token_with};

/// What a terminal would obey, what cannot be seen, what looks like something else.
const NAMES: [&str; 14] = [
    "esc\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "csi\u{9b}31m",
    "override\u{202e}gpj.exe",
    "isolate\u{2066}a\u{2067}b\u{2069}",
    "zero\u{200b}width\u{feff}",
    "tag\u{e0041}\u{e007f}",
    "carriage\rreturn",
    "tab\tulator",
    " leading",
    "trailing ",
    "a",
    "a/b",
    "100%/%2e%2e/%",
    "<script>alert(1)</script>",
];

fn names() -> impl Iterator<Item = String> {
    NAMES.iter().map(|name| format!("odd\u{202e}\x1b[1m/{name}"))
}

/// Ends the test if a text holds what a terminal would obey, or what changes how it is read.
fn assert_harmless(what: &str, text: &str) {
    let is_hostile = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{e0000}'..='\u{e0fff}')
    };
    if let Some(at) = text.find(is_hostile) {
        let from = text[..at].char_indices().rev().nth(60).map_or(0, |(from, _)| from);
        panic!("{what} holds {:?} raw, after {:?}", text[at..].chars().next().unwrap(), &text[from..at]);
    }
}

fn value(round: u32) -> Value {
    json!({ "round": canary(round) })
}

/// Servers that take any name.
fn servers() -> (BaoServer, BaoServer) {
    let options = BaoOptions { any_name: true, ..BaoOptions::default() };
    (BaoServer::with(options), BaoServer::with(options))
}

/// Both sides with their state in the Consul; `more` is for the destination.
fn config(origin: &BaoServer, destination: &BaoServer, consul: &ConsulServer, token: &str, more: &str) -> String {
    let consul = format!("consul = {{ address = \"{}\" }}", consul.address());
    format!(
        "log = {{ level = \"debug\" }}\norigin.mounts = [\"secret\"]\norigin.tick = \"500ms\"\norigin.{consul}\n\
         origin.vault = {{ address = \"{}\", token = \"least\", max_retries = 0 }}\n\
         [[destinations]]\nname = \"copy\"\n{consul}\n{more}\nguards = {{ max_delete = \"100%\" }}\n\
         vault = {{ address = \"{}\", token = \"{token}\", max_retries = 0 }}\n",
        origin.address(),
        destination.address()
    )
}

fn status(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Every text in it.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(entries) => entries.values().for_each(|entry| texts(entry, into)),
        _ => {}
    }
}

#[test]
fn hostile_names_do_no_harm_in_the_status_of_a_daemon() {
    let (origin, destination) = servers();
    let consul = ConsulServer::start();
    origin.client().write_all("secret", names().map(|name| (name, value(1))));
    // what is a canary and cannot be written stops the rest, and is named as the reason
    let port = free_port();
    let closed = "path \"secret/metadata/*\" { capabilities = [\"read\"] }";
    let token = token_with(&destination.client(), closed);
    let vsync = Vsync::new(&config(&origin, &destination, &consul, &token, "canary = [\"secret/odd*/a\"]"));
    let health = format!("health.address=127.0.0.1:{port}");
    let mut daemon = vsync.background("daemon", &["sync", "--watch", "--set", &health], &[]);
    let start = Instant::now();
    let picture = loop {
        let text = status(port).unwrap_or_default();
        let picture: Value = serde_json::from_str(&text).unwrap_or_default();
        if !text.is_empty() {
            assert_harmless("/status", &text);
        }
        if picture["destinations"][0]["last_cycle"].is_string() && picture["destinations"][0]["failed"] != 0 {
            break picture;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{text} {}", daemon.told());
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut all = Vec::new();
    texts(&picture, &mut all);
    // decoded, it is the very name
    assert!(all.iter().any(|text| text.contains("secret/odd\u{202e}\x1b[1m/a")), "{all:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.end(Duration::from_secs(30)), Some(0));
    assert_harmless("what the daemon tells", &daemon.told());
    assert!(daemon.told().contains("odd"), "it names what failed: {}", daemon.told());
    assert_harmless("what the daemon gives", &daemon.given());
}

fn read_all(client: &RootClient) -> BTreeMap<String, String> {
    client.read_all("secret")
}

#[test]
fn hostile_names_are_undone_exactly_and_kept_in_consul_harmlessly() {
    let (origin, destination) = servers();
    let consul = ConsulServer::start();
    let here = origin.client();
    here.write_all("secret", names().map(|name| (name, value(1))));
    let vsync = Vsync::new(&config(&origin, &destination, &consul, "least+undo", ""));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let first = read_all(&destination.client());
    assert!(first == read_all(&here) && first.len() == NAMES.len());

    // half of them change, one of them goes, all of it is undone
    here.write_all("secret", names().step_by(2).map(|name| (name, value(2))));
    here.delete("secret", &names().nth(1).unwrap());
    let run = vsync.run(&["sync", "--yes", "--output", "json"]).expect(0);
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let cycle = objects.into_iter().find(|one| one["type"] == "report").unwrap()["cycle"].clone();
    let cycle = cycle.as_str().unwrap();
    for arguments in [&["undo", cycle, "--dry-run"][..], &["undo", cycle, "--dry-run", "--output", "json"]] {
        assert_harmless("a dry undo", &vsync.run(arguments).expect(0).text());
    }
    let undone = vsync.run(&["undo", cycle, "--yes"]).expect(0);
    assert_harmless("an undo", &undone.text());
    assert!(read_all(&destination.client()) == first, "not put back to the byte");
    for command in [&["plan"][..], &["history"], &["status"], &["verify"]] {
        assert_harmless(command[0], &vsync.run(command).text());
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(read_all(&destination.client()) == read_all(&here));

    // names of keys are for people and for paths in URLs
    let keys = consul.keys("");
    for key in &keys {
        assert_harmless("a key in Consul", key);
        assert!(key.is_ascii() && !key.contains(['%', '<', ' ']) && !key.contains(".."), "{key:?}");
    }
    assert!(keys.len() > 3, "{keys:?}");
    // and what is kept there is understood by whoever comes with nothing else
    let other = Vsync::new(&config(&origin, &destination, &consul, "least+undo", ""));
    let plan = other.run(&["plan"]).expect(0);
    assert_harmless("another one's plan", &plan.text());
}

#[test]
fn hostile_names_of_version_1_are_copied_exactly() {
    let (origin, destination) = servers();
    let here = origin.client();
    assert_eq!(here.request("POST", "sys/mounts/old", Some(json!({ "type": "kv" }))).0, 204);
    let write = |name: &str, value: &Value| {
        let (status, answer) = here.request("POST", &format!("old/{name}"), Some(value.clone()));
        assert_eq!(status, 204, "{name:?}: {answer}");
    };
    names().for_each(|name| write(&name, &value(1)));
    let vsync = Vsync::new(&format!(
        "origin.mounts = [\"old\"]\norigin.kv_version = 1\n\
         origin.vault = {{ address = \"{}\", token = \"least\", max_retries = 0 }}\n\
         [[destinations]]\nname = \"copy\"\nmounts = [\"secret\"]\nguards = {{ max_delete = \"100%\" }}\n\
         vault = {{ address = \"{}\", token = \"least\", max_retries = 0 }}\n\
         transforms = [{{ name = \"migrate\", from = '^old/data/(?P<rest>.+)$', to = 'secret/data/${{rest}}' }}]\n",
        origin.address(),
        destination.address()
    ));
    let expect = |values: &BTreeMap<String, Value>| {
        let run = vsync.run(&["sync", "--yes"]).expect(0);
        assert_harmless("sync", &run.text());
        let copies = read_all(&destination.client());
        let copies: BTreeMap<String, Value> =
            copies.into_iter().map(|(name, text)| (name, serde_json::from_str(&text).unwrap())).collect();
        assert!(copies == *values, "{copies:?}");
        assert_harmless("plan", &vsync.run(&["plan"]).expect(0).text());
    };
    let mut values: BTreeMap<String, Value> = names().map(|name| (name, value(1))).collect();
    expect(&values);
    // one changes, one goes, what lies below another stays
    let [changed, gone] = [NAMES[0], "a"].map(|name| names().find(|full| full.ends_with(&format!("/{name}"))).unwrap());
    write(&changed, &value(2));
    values.insert(changed, value(2));
    assert_eq!(here.request("DELETE", &format!("old/{gone}"), None).0, 204);
    values.remove(&gone);
    expect(&values);
    for (name, metadata) in destination.client().metadata_all("secret") {
        let newest = metadata["current_version"].as_u64().unwrap();
        assert_eq!(newest, if name.ends_with(NAMES[0]) { 2 } else { 1 }, "{name:?}");
    }
    // a listing that fails is named harmlessly, too
    let config = std::fs::read_to_string(vsync.folder().join("vsync.toml")).unwrap();
    let blind = token_with(&here, "path \"old/\" { capabilities = [\"list\"] }");
    vsync.configure(&config.replacen(&vsync.tokens()[0], &blind, 1));
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    assert_harmless("a sync that sees nothing", &run.text());
    assert_eq!(read_all(&destination.client()).len(), NAMES.len() - 1);
}
