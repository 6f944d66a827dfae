use std::path::PathBuf;

use serde_json::{Value, json};

use super::super::{Config, Loaded, Purpose, Sources, load};
use crate::engine::OnDelete;

const PURPOSES: [Purpose; 4] =
    [Purpose::AnyCommand, Purpose::Everything, Purpose::OriginDaemon, Purpose::DestinationDaemon];

/// The file in every format that v0.3 reads.
fn formats(file: &Value) -> [(&'static str, String); 3] {
    [("json", format!("{file:#}")), ("yaml", yaml(file, 0)), ("hcl", hcl(file, 0))]
}

fn yaml(section: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let line = |(key, value): (&String, &Value)| match value {
        Value::Object(_) => format!("{indent}{key}:\n{}", yaml(value, depth + 1)),
        other => format!("{indent}{key}: {other}\n"),
    };
    section.as_object().expect("a section").iter().map(line).collect()
}

fn hcl(section: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let block = |key: &str, value: &Value| format!("{indent}{key} {{\n{}{indent}}}\n", hcl(value, depth + 1));
    let line = |(key, value): (&String, &Value)| match value {
        Value::Object(_) => block(key, value),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            items.iter().map(|item| block(key, item)).collect()
        }
        other => format!("{indent}{key} = {other}\n"),
    };
    section.as_object().expect("a section").iter().map(line).collect()
}

fn load_as(extension: &str, text: &str, purpose: Purpose) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join(format!("config.{extension}"));
    std::fs::write(&file, text).expect("a file");
    load(&Sources { file: Some(file), purpose, ..Sources::default() }).map_err(|error| error.to_string())
}

/// Loads the file in every format for every purpose, and has each result looked at.
fn everywhere(file: &Value, purposes: &[Purpose], look: impl Fn(&Config, &[String])) {
    for (extension, text) in formats(file) {
        for &purpose in purposes {
            let loaded = load_as(extension, &text, purpose)
                .unwrap_or_else(|error| panic!("{extension} for {purpose:?}: {error}\n{text}"));
            look(&loaded.config, &loaded.notes);
        }
    }
}

/// A side as the samples since v0.2 have it.
fn side(port: u16, dc: &str) -> Value {
    json!({
        "vault": { "address": format!("http://127.0.0.1:{port}200"), "token": "s.canary" },
        "consul": { "dc": dc, "address": format!("http://127.0.0.1:{port}500") },
        "mounts": ["secret/"],
        "syncPath": "vsync/",
        "numWorkers": 5,
        "tick": "10s",
        "timeout": "10s",
        "renewToken": false,
    })
}

/// A side as the samples before v0.2 have it.
fn old_side(port: u16, dc: &str) -> Value {
    let mut side = side(port, dc);
    side["dc"] = dc.into();
    side["consul"] = json!({ "address": format!("http://127.0.0.1:{port}500") });
    let keys = side.as_object_mut().expect("a section");
    keys.retain(|key, _| key != "syncPath" && key != "mounts");
    side
}

fn transforms() -> Value {
    json!([{
        "name": "v1->v2",
        "from": r"(?P<mount>secret)/(?P<meta>((meta)?data))?/(?P<platform>runner)/(?P<env>(dev|test|stage|prod))?/?(?P<app>\w+)?/?",
        "to": "runner/meta/env/app/secrets",
    }])
}

fn with(mut file: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("a section") };
    file.as_object_mut().expect("a section").extend(more);
    file
}

fn file(more: Value) -> Value {
    with(json!({ "name": "sample", "log": { "level": "debug", "type": "console" }, "numBuckets": 19 }), more)
}

fn has(notes: &[String], parts: &[&str]) -> bool {
    notes.iter().any(|note| parts.iter().all(|part| note.contains(part)))
}

#[test]
fn the_samples_of_v03_load_without_a_word() {
    let approle = json!({ "vault": {
        "address": "http://127.0.0.1:6200",
        "approle": { "path": "approle", "role_id": "r", "secret_id": "s" },
    } });
    let both_ways = json!({ "vault": {
        "address": "http://127.0.0.1:6200",
        "token": "s.canary",
        "approle": { "role_id": "r", "secret_id": "s" },
    } });
    let mut without_mounts = side(7, "dc2");
    without_mounts.as_object_mut().expect("a section").remove("mounts");
    for destination in [
        side(7, "dc2"),
        // to another mount of the origin's own Vault
        with(side(6, "dc1"), json!({ "transforms": transforms() })),
        with(side(7, "dc2"), approle.clone()),
        without_mounts,
    ] {
        for origin in [side(6, "dc1"), with(side(6, "dc1"), approle.clone())] {
            let file = file(json!({ "origin": origin, "destination": destination, "ignoreDeletes": true }));
            everywhere(&file, &PURPOSES, |config, notes| {
                assert!(notes.is_empty(), "{notes:?}");
                assert_eq!((config.num_buckets, config.origin.num_workers), (Some(19), 5));
                for destination in &config.destinations {
                    assert_eq!((destination.sync_path.as_str(), destination.name.as_str()), ("vsync/", "destination"));
                    assert_eq!(destination.mounts, ["secret/"]);
                    assert_eq!(destination.on_delete, OnDelete::Ignore);
                }
            });
        }
    }
    let file = file(json!({ "origin": with(side(6, "dc1"), both_ways) }));
    everywhere(&file, &[Purpose::OriginDaemon], |config, notes| {
        assert!(notes.is_empty() && config.destinations.is_empty(), "{notes:?}");
    });
    everywhere(&file, &[Purpose::AnyCommand], |_, notes| assert!(has(notes, &["only \"vsync origin\""]), "{notes:?}"));
}

#[test]
fn keys_that_v03_took_no_notice_of_are_named_with_their_places() {
    let file = file(json!({
        "logLevel": "warn",
        "pprof": true,
        "origin": with(side(6, "dc1"), json!({ "timout": "5m" })),
        "destination": with(side(7, "dc2"), json!({ "Timout": "5m" })),
    }));
    everywhere(&file, &PURPOSES, |config, notes| {
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.origin.timeout, Some(std::time::Duration::from_secs(10)));
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(has(notes, &["config.", ": \"logLevel\" has no effect; use log.level"]), "{notes:?}");
        assert!(has(notes, &["\"origin.timout\" has no effect; use origin.timeout"]), "{notes:?}");
        assert!(has(notes, &["\"destination.timout\" has no effect; use destination.timeout"]), "{notes:?}");
    });
    let text = "{\n  \"logLevel\": \"info\",\n  \"origin\": { \"vault\": { \"address\": \"http://a:1\" }, \"mounts\": [\"secret/\"] }\n}";
    let notes = load_as("json", text, Purpose::OriginDaemon).map(|loaded| loaded.notes).expect("a configuration");
    assert!(notes[0].contains("config.json:2:3: "), "{notes:?}");
}

#[test]
fn the_samples_before_v02_mean_what_they_meant() {
    let file = file(json!({
        "syncPath": "shared/",
        "dataPaths": ["secret/", "runner/"],
        "origin": old_side(6, "dc1"),
        "destination": with(old_side(7, "dc2"), json!({ "transforms": transforms() })),
    }));
    everywhere(&file, &PURPOSES, |config, notes| {
        assert_eq!((config.origin.sync_path.as_str(), config.origin.mounts.len()), ("shared/", 2));
        let consul = config.origin.consul.as_ref().expect("a Consul");
        assert_eq!((consul.dc.as_deref(), consul.address.as_str()), (Some("dc1"), "http://127.0.0.1:6500"));
        for destination in &config.destinations {
            assert_eq!((destination.sync_path.as_str(), destination.mounts.len()), ("shared/", 2));
            let consul = destination.consul.as_ref().expect("a Consul");
            assert_eq!((consul.dc.as_deref(), consul.address.as_str()), (Some("dc2"), "http://127.0.0.1:7500"));
        }
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(has(notes, &["\"syncPath\"", "taken as origin.sync_path and destination.sync_path"]), "{notes:?}");
        assert!(has(notes, &["\"dataPaths\"", "taken as origin.mounts and destination.mounts"]), "{notes:?}");
        assert!(has(notes, &["\"origin.dc\"", "taken as origin.consul.dc"]), "{notes:?}");
        assert!(has(notes, &["\"destination.dc\"", "taken as destination.consul.dc"]), "{notes:?}");
    });
}

#[test]
fn todays_keys_count_before_former_ones() {
    let file = file(json!({
        "syncPath": "old/",
        "dataPaths": ["old/"],
        "origin": with(side(6, "dc1"), json!({ "dc": "old" })),
        "destination": with(side(7, "dc2"), json!({ "dc": "old" })),
    }));
    everywhere(&file, &PURPOSES, |config, notes| {
        assert!(!format!("{config:?}").contains("old"), "{config:?}");
        assert!(notes.len() == 4 && notes.iter().all(|note| note.contains("has no effect; use ")), "{notes:?}");
    });
    // a file for the origin alone gets no half destination
    let file = origin_alone();
    everywhere(&file, &[Purpose::AnyCommand], |config, notes| {
        assert_eq!(config.origin.sync_path, "shared/");
        assert!(config.destinations.is_empty() && has(notes, &["taken as origin.sync_path;"]), "{notes:?}");
    });
}

fn origin_alone() -> Value {
    file(json!({ "syncPath": "shared/", "dataPaths": ["secret/"], "origin": old_side(6, "dc1") }))
}

#[test]
fn a_former_key_of_a_wrong_type_or_elsewhere_is_an_error() {
    for (more, message) in [
        (json!({ "syncPath": ["x"] }), "syncPath must be a text"),
        (json!({ "dataPaths": "secret/" }), "dataPaths must be a list of texts"),
        (json!({ "datapath": ["secret/"] }), "unknown key \"datapath\""),
        (json!({ "dc": "dc1" }), "unknown key \"dc\""),
        (json!({ "timout": "5m" }), "unknown key \"timout\""),
    ] {
        let file = with(file(json!({ "origin": side(6, "dc1"), "destination": side(7, "dc2") })), more);
        for (extension, text) in formats(&file) {
            let Err(error) = load_as(extension, &text, Purpose::AnyCommand) else { panic!("accepted: {text}") };
            assert!(error.contains(message) && error.contains("config."), "{extension}: {error}");
        }
    }
}

#[test]
fn a_variable_of_a_former_key_is_told_with_todays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.json");
    std::fs::write(&path, file(json!({ "origin": side(6, "dc1"), "destination": side(7, "dc2") })).to_string())
        .expect("a file");
    for (variable, instead) in [
        ("VSYNC_SYNCPATH", "use VSYNC_ORIGIN_SYNC_PATH and VSYNC_DESTINATION_SYNC_PATH"),
        ("VSYNC_DATAPATHS", "use VSYNC_ORIGIN_MOUNTS and VSYNC_DESTINATION_MOUNTS"),
        ("VSYNC_ORIGIN_DC", "use VSYNC_ORIGIN_CONSUL_DC"),
        ("VSYNC_DESTINATION_TIMOUT", "did you mean VSYNC_DESTINATION_TIMEOUT?"),
        // v0.3's documentation has it as an example
        ("VSYNC_LOGLEVEL", "did you mean VSYNC_LOG_LEVEL?"),
    ] {
        let environment = [(variable.to_owned(), "x".into())].into();
        let loaded = load(&Sources { file: Some(path.clone()), environment, ..Sources::default() });
        let notes = loaded.map_or_else(|error| panic!("{error}"), |loaded| loaded.notes);
        assert!(notes.len() == 1 && has(&notes, &[variable, "no effect; ", instead]), "{notes:?}");
    }
}
