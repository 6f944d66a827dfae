//! One secret from close by: what is told of it, what is read for that, and that no value gets out.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;
use vsync::engine::{DestinationName, FindingKind, InspectError, KeyState, Rule, Side, Transforms};
use vsync::kv::SecretPath;

use crate::sides::{Sides, mount, sync, vault};
use crate::support::BaoServer;
use crate::support::canary::{MARK as CANARY, assert_clean};

fn there() -> DestinationName {
    DestinationName::new("there")
}

fn path(name: &str) -> SecretPath {
    SecretPath::new(&mount("secret"), name)
}

/// What would have been written into the log.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Everything that is logged on this thread.
fn listen() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_copy_is_described_by_metadata_alone() {
    let (origin, destination) = (BaoServer::with_audit(), BaoServer::with_audit());
    let client = origin.client();
    client.write("secret", "team/app", &json!({ "k": CANARY }));
    client.write("secret", "team/app", &json!({ "k": CANARY, "second": 1 }));
    client.write("secret", "team/gone", &json!({ "k": CANARY }));
    let mut sides = Sides::new(&origin, &destination);
    let rule =
        Rule { name: "v2".into(), from: "^secret/data/team/(?P<app>.+)$".into(), to: "secret/data/v2/${app}".into() };
    sides.destination.transforms = Transforms::new(&[rule]).unwrap();
    let engine = sides.engine();
    sync(&engine).await;
    client.write("secret", "team/new", &json!({ "k": CANARY }));
    let (mut at_origin, mut at_destination) = (origin.audit(), destination.audit());
    at_origin.restart();
    at_destination.restart();

    let copy = engine.describe_at(&there(), &path("team/app")).await.unwrap();
    assert_eq!(copy.path, path("v2/app"));
    let record = copy.record.as_ref().unwrap();
    assert_eq!(record.copied.unwrap().version, 2);
    assert_eq!(record.entry.as_ref().unwrap().version, 1);
    assert_eq!((copy.live_version(), copy.finding()), (Some(1), None));
    let new = engine.describe_at(&there(), &path("team/new")).await.unwrap();
    assert!(new.record.unwrap().copied.is_none() && new.present.unwrap().is_none());
    assert_eq!(at_origin.requests(), [], "the origin is not asked");
    assert_eq!(at_destination.touched("secret/"), ["read secret/metadata/v2/app", "read secret/metadata/v2/new"]);

    let theirs = destination.client();
    theirs.write("secret", "v2/app", &json!({ "by": CANARY }));
    theirs.delete("secret", "v2/gone");
    theirs.write("secret", "v2/new", &json!({ "by": CANARY }));
    for (name, finding) in
        [("team/app", FindingKind::Changed), ("team/gone", FindingKind::Gone), ("team/new", FindingKind::Foreign)]
    {
        let copy = engine.describe_at(&there(), &path(name)).await.unwrap();
        assert_eq!(copy.finding(), Some(finding), "{name}");
    }

    sides.destination.mounts = vec![mount("elsewhere")];
    let error = sides.engine().describe_at(&there(), &path("team/app")).await.unwrap_err();
    assert!(matches!(error, InspectError::NoWay { .. }), "{error}");
    let error = engine.describe_at(&DestinationName::new("nowhere"), &path("team/app")).await.unwrap_err();
    assert!(error.to_string().contains("no destination \"nowhere\""), "{error}");
}

#[tokio::test]
async fn one_value_is_read_by_one_request_and_logged_without_itself() {
    let (origin, destination) = (BaoServer::with_audit(), BaoServer::with_audit());
    let client = origin.client();
    client.write("secret", "app", &json!({ "password": CANARY, "nested": { "x": [CANARY] }, "port": 5432 }));
    let sides = Sides::new(&origin, &destination);
    let engine = sides.engine();
    sync(&engine).await;
    destination.client().write("secret", "app", &json!({ "password": format!("{CANARY}-there") }));
    let (mut at_origin, mut at_destination) = (origin.audit(), destination.audit());
    at_origin.restart();
    at_destination.restart();
    let (log, listening) = listen();

    let value = engine.reveal(&Side::Origin, &path("app"), "password").await.unwrap();
    assert_eq!(value.expose(), CANARY);
    assert_eq!(at_origin.touched("secret/"), ["read secret/data/app"]);
    assert_eq!(at_destination.requests(), []);
    let nested = engine.reveal(&Side::Origin, &path("app"), "nested").await.unwrap();
    assert_eq!(nested.expose(), format!(r#"{{"x":["{CANARY}"]}}"#));
    assert_eq!(engine.reveal(&Side::Origin, &path("app"), "port").await.unwrap().expose(), "5432");
    let at = Side::Destination(there());
    let theirs = engine.reveal(&at, &path("app"), "password").await.unwrap();
    assert_eq!(theirs.expose(), format!("{CANARY}-there"));
    assert_eq!(at_destination.touched("secret/"), ["read secret/data/app"]);
    engine.note_copied(&at, &path("app"), "password");

    let mut said = format!("{value:?} {nested:?} {engine:?}");
    let missing = engine.reveal(&Side::Origin, &path("app"), "pass").await.unwrap_err();
    assert_eq!(missing.to_string(), "secret/app has no key \"pass\" (any more)");
    let none = engine.reveal(&Side::Origin, &path("other"), "password").await.unwrap_err();
    let denied =
        origin.client().policy_token("metadata-only", r#"path "secret/metadata/*" { capabilities = ["read"] }"#);
    let mut poor = Sides::new(&origin, &destination);
    poor.origin.vault = vault(&origin, &denied);
    let denied = poor.engine().reveal(&Side::Origin, &path("app"), "password").await.unwrap_err();
    assert!(denied.to_string().contains("permission denied"), "{denied}");
    for error in [missing, none, denied] {
        let _ = write!(said, "{error} {error:?}");
    }
    assert_clean("what was said", said.as_bytes());

    drop(listening);
    let log = log.text();
    assert_clean("the log", log.as_bytes());
    let line = log.lines().find(|line| line.contains("a value is read to be shown")).expect(&log);
    for part in
        ["WARN", "operator=\"tester\"", "host=\"here\"", "side=\"origin\"", "path=\"secret/app\"", "key=\"password\""]
    {
        assert!(line.contains(part), "{part} in {line}");
    }
    let copied = log.lines().find(|line| line.contains("a value is copied to the clipboard")).expect(&log);
    assert!(copied.contains("side=\"there\"") && copied.contains("key=\"password\""), "{copied}");
}

#[tokio::test]
async fn a_difference_names_keys_and_no_values() {
    let (origin, destination) = (BaoServer::with_audit(), BaoServer::with_audit());
    let data = json!({ "same": CANARY, "spelled": { "b": 1.50, "a": "<é>" }, "changed": CANARY, "ours": CANARY });
    origin.client().write("secret", "app", &data);
    origin.client().write("secret", "lone", &json!({ "k": CANARY }));
    origin.client().write_metadata("secret", "app", json!({ "custom_metadata": { "owner": "team" } }));
    let sides = Sides::new(&origin, &destination);
    let engine = sides.engine();
    sync(&engine).await;
    let theirs = json!({
        "theirs": CANARY, "changed": format!("{CANARY}!"), "spelled": { "a": "<é>", "b": 1.5 }, "same": CANARY,
    });
    destination.client().write("secret", "app", &theirs);
    destination.client().remove("secret", "lone");
    let (mut at_origin, mut at_destination) = (origin.audit(), destination.audit());
    at_origin.restart();
    at_destination.restart();
    let (log, listening) = listen();

    let difference = engine.compare(&there(), &path("app")).await.unwrap();
    let keys: Vec<_> = difference.keys.iter().map(|key| (key.name.as_str(), key.state)).collect();
    assert_eq!(keys.len(), 5);
    for expected in [
        ("same", KeyState::Same),
        ("spelled", KeyState::Same),
        ("changed", KeyState::Changed),
        ("ours", KeyState::OnlyAtOrigin),
        ("theirs", KeyState::OnlyThere),
    ] {
        assert!(keys.contains(&expected), "{keys:?}");
    }
    assert_eq!(keys[4].0, "theirs", "what only the destination has comes last");
    assert_eq!(difference.origin.version.unwrap().0, 1);
    assert_eq!(difference.copy.version.unwrap().0, 2);
    let custom = |metadata: &vsync::vault::Metadata| metadata.custom_metadata.clone();
    assert_eq!(custom(difference.origin.metadata.as_ref().unwrap().as_ref().unwrap())["owner"], "team");
    assert!(custom(difference.copy.metadata.as_ref().unwrap().as_ref().unwrap()).is_empty());
    for audit in [&at_origin, &at_destination] {
        assert_eq!(audit.touched("secret/"), ["read secret/data/app", "read secret/metadata/app"]);
    }

    let lone = engine.compare(&there(), &path("lone")).await.unwrap();
    assert!(lone.copy.version.is_none() && lone.copy.metadata.as_ref().unwrap().is_none());
    assert_eq!(lone.count(KeyState::OnlyAtOrigin), 1);
    let neither = engine.compare(&there(), &path("nobody/has/it")).await.unwrap();
    assert!(neither.keys.is_empty());

    drop(listening);
    let said = format!("{difference:?} {lone:?} {}", log.text());
    assert_clean("what was said", said.as_bytes());
    assert!(said.contains("values are compared") && said.contains("path=\"secret/app\""), "{said}");
}
