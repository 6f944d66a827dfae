//! The built program without any server: configurations good and bad, exit codes, what it says when nobody answers.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot start the program has failed")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use support::Vsync;

/// Nobody listens on these ports, so every request is refused at once.
const CONFIG: &str = r#"
[origin]
mounts = ["secret/"]
exclude = ["secret/scratch/**"]
vault = { address = "http://127.0.0.1:1", token = "s.canary", max_retries = 0 }
[[destinations]]
name = "us-east"
mounts = ["secret/", "kv/"]
exclude = ["secret/eu/**"]
vault = { address = "http://127.0.0.1:2", token = "s.canary", max_retries = 0 }
[[destinations.transforms]]
name = "by environment"
from = '^secret/data/runner/(?P<env>dev|prod)/(?P<app>[^/]+)$'
to = "kv/data/${env}/${app}"
[[destinations.transforms]]
name = "astray"
from = '^secret/data/lost/.*$'
to = "elsewhere/data/lost"
[[destinations]]
name = "mirror"
vault = { address = "http://127.0.0.1:3", token = "s.canary", max_retries = 0 }
"#;

/// Each bad file with the place it names and what it says.
const INVALID: &[(&str, &[&str])] = &[
    (
        "unknown_key.toml",
        &[
            "unknown_key.toml:4:1",
            "num_worker = 4",
            "unknown key \"num_worker\"",
            "^^^^^^^^^^",
            "did you mean \"num_workers\"?",
        ],
    ),
    ("unknown_key.yaml", &["unknown_key.yaml:4:5", "origin.vault has no such key", "did you mean \"address\"?"]),
    ("unknown_key.json", &["unknown_key.json:4:5", "unknown key \"syncPth\"", "did you mean \"sync_path\"?"]),
    ("unknown_key.hcl", &["unknown_key.hcl:5:5", "unknown key \"tokenfile\"", "did you mean \"token_file\"?"]),
    (
        "secret_in_a_misspelt_key.toml",
        &["secret_in_a_misspelt_key.toml:5:1", "unknown key \"tkn\"", "tkn = **********"],
    ),
    ("wrong_type.toml", &["wrong_type.toml:7:15", "num_workers must be a whole number, but this is a text"]),
    ("wrong_type.yaml", &["wrong_type.yaml:2:11", "origin.mounts must be a list of texts, but this is a text"]),
    (
        "secret_of_a_wrong_type.json",
        &["secret_of_a_wrong_type.json:2:", "origin.vault.token must be a text, but this is a list"],
    ),
    ("bad_kv_version.toml", &["bad_kv_version.toml:4:14", "kv_version", "from 1 to 2"]),
    ("v1_mount_of_no_origin.toml", &["v1_mount_of_no_origin.toml:4:14", "\"old/\" is none of origin.mounts"]),
    ("two_ways_to_a_kv_version.toml", &["two_ways_to_a_kv_version.toml:5:14", "keep one of them"]),
    ("zero_workers.toml", &["zero_workers.toml:4:15", "must be a whole number from 1"]),
    ("bad_duration.toml", &["bad_duration.toml:4:11", "origin.timeout must be a duration", "\"soon\""]),
    ("bad_fidelity.toml", &["bad_fidelity.toml:6:12", "did you mean \"metadata\"?"]),
    ("bad_choice.toml", &["bad_choice.toml:4:11", "did you mean \"scan\"?"]),
    ("unknown_on_delete.toml", &["unknown_on_delete.toml:7:13", "did you mean \"purge\"?"]),
    (
        "contradicting_deletes.toml",
        &[
            "contradicting_deletes.toml:8:13",
            "on_delete = \"ignore\" and ignore_deletes = false contradict each other",
            "contradicting_deletes.toml:9:18; keep the one that is meant",
        ],
    ),
    ("bad_max_delete.toml", &["bad_max_delete.toml:7:25", "\"150%\""]),
    ("bad_address.toml", &["bad_address.toml:3:21", "it must start with http:// or https://"]),
    (
        "bad_standby_addresses.toml",
        &[
            "bad_standby_addresses.toml:5:3",
            "\"vault-2:8200\" is no server's address",
            "bad_standby_addresses.toml:6:3",
            "a standby must be spoken to as the address is",
            "\"https://***@vault-4:8200\" is no server's address",
        ],
    ),
    (
        "password_in_an_address.toml",
        &[
            "\"http://***@127.0.0.1:1\" is no server's address: a user or password has no place in it",
            "\"***@127.0.0.1:2\" is no server's address",
            "\"http://***@127.0.0.1:3\" is no server's address",
        ],
    ),
    ("password_beside_a_misspelt_key.toml", &["unknown key \"tls_skip_verfy\"", "********@127.0.0.1:1"]),
    ("bad_glob.toml", &["bad_glob.toml:4:12", "\"secret/{a\" is not a valid glob"]),
    ("bad_transform.toml", &["bad_transform.toml:9:8", "transform \"broken\""]),
    (
        "transform_with_an_unknown_group.toml",
        &["transform_with_an_unknown_group.toml:10:6", "transform \"typo\"", "ap"],
    ),
    (
        "mount_segments.toml",
        &[
            "mount_segments.toml:2:11",
            "mount_segments.toml:2:19",
            "mount_segments.toml:2:27",
            "a mount must not have empty, \".\" or \"..\" segments in it, as \"../x\" has",
        ],
    ),
    ("empty_glob.toml", &["empty_glob.toml:3:12", "it is empty"]),
    ("too_many_buckets.toml", &["too_many_buckets.toml:1:15", "from 1 to 65536, but this is 65537"]),
    ("destination_name_with_bidi.toml", &["destination_name_with_bidi.toml:5:8", "control or invisible characters"]),
    ("overlapping_mounts.toml", &["overlapping_mounts.toml:2:22", "overlap"]),
    ("no_mounts.toml", &["origin.mounts is not set"]),
    ("no_address.toml", &["origin.vault.address is not set"]),
    ("destination_without_a_name.toml", &["destination_without_a_name.toml:4:1", "this destination has no name"]),
    ("destination_name_twice.toml", &["destination_name_twice.toml:8:8", "there is another destination \"us-east\""]),
    (
        "destination_name_with_a_slash.toml",
        &["destination_name_with_a_slash.toml:5:8", "a destination's name must not"],
    ),
    (
        "shared_sync_path.toml",
        &["shared_sync_path.toml:8:1", "\"us-east\" and \"eu\" would keep their state under the same sync_path"],
    ),
    ("both_destination_forms.toml", &["both_destination_forms.toml:7:2", "both \"destination\" and \"destinations\""]),
    ("key_in_both_spellings.toml", &["sets origin.num_workers a second time"]),
    ("approle_without_a_secret_id.toml", &["approle_without_a_secret_id.toml:3:", "exactly one of secret_id"]),
    (
        "two_ways_to_a_token.toml",
        &[
            "two_ways_to_a_token.toml:7:12",
            "two_ways_to_a_token.toml:6:1)",
            "origin.vault.userpass",
            "are two ways to a token",
        ],
    ),
    (
        "userpass_without_a_password.toml",
        &["userpass_without_a_password.toml:3:", "exactly one of password, password_file"],
    ),
    ("jwt_in_two_places.toml", &["jwt_in_two_places.toml:3:", "exactly one of jwt, jwt_file and jwt_env"]),
    (
        "kubernetes_without_a_role.toml",
        &["kubernetes_without_a_role.toml:3:", "origin.vault.kubernetes.role is not set"],
    ),
    ("cert_without_a_certificate.toml", &["cert_without_a_certificate.toml:3:", "set client_cert and client_key"]),
    ("cert_over_http.toml", &["cert_over_http.toml:3:", "only https:// can show"]),
    ("client_key_alone.toml", &["client_key_alone.toml:3:", "client_key needs the certificate"]),
    (
        "list_of_a_section.yaml",
        &["list_of_a_section.yaml:1:1", "the file must be one section (keys with values), but this is a list"],
    ),
    ("list.json", &["list.json:1:1", "the file must be one section (keys with values), but this is a list"]),
    ("scalar.yaml", &["scalar.yaml:1:1", "the file must be one section (keys with values), but this is a text"]),
    ("section_as_text.toml", &["section_as_text.toml:1:10", "origin must be one section (keys with values)"]),
    ("broken.toml", &["broken.toml:1:"]),
    ("broken.yaml", &["broken.yaml:"]),
    ("broken.json", &["broken.json:2:"]),
    ("broken.hcl", &["broken.hcl:"]),
    ("expression.hcl", &["expression.hcl:4:15", "expressions are not evaluated"]),
    ("no_known_format.ini", &["the file's format cannot be told from its name"]),
];

fn invalid_configs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/invalid_configs")
}

#[test]
fn every_invalid_configuration_is_refused_with_its_place() {
    let vsync = Vsync::new(CONFIG);
    let there: BTreeSet<String> = fs::read_dir(invalid_configs())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, INVALID.iter().map(|(file, _)| (*file).to_owned()).collect(), "each file has its message");
    for (file, expected) in INVALID {
        let path = invalid_configs().join(file);
        let run = vsync.run(&["config", "check", "--config", path.to_str().expect("UTF-8")]).expect(1);
        for part in *expected {
            assert!(run.stderr.contains(part), "{file}: {part:?} is not in\n{}", run.stderr);
        }
        assert!(!run.text().contains("canary"), "{file} shows a secret:\n{}", run.text());
        assert_eq!(run.stdout, "", "{file}");
        // whatever else needs the configuration says the same
        let other = vsync.run(&["transform", "secret/x", "--config", path.to_str().expect("UTF-8")]).expect(1);
        assert_eq!(other.stderr, run.stderr, "{file}");
    }
}

#[test]
fn a_configuration_of_v0_3_is_valid_as_it_stands() {
    let vsync = Vsync::new(CONFIG);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vsync-v0.3.0/config.json");
    let file = file.to_str().expect("UTF-8");
    let run = vsync.run(&["config", "check", "--config", file]).expect(0);
    assert!(run.stdout.starts_with("ok"), "{}", run.stdout);
    let settings = settings(&vsync, &["--config", file]);
    for (key, value) in [
        ("num_buckets", Value::from(5)),
        ("origin.num_workers", Value::from(4)),
        ("origin.sync_path", Value::from("fixture/")),
        ("origin.consul.dc", Value::from("dc1")),
        ("destinations.destination.sync_path", Value::from("fixture/")),
        ("destinations.destination.tick", Value::from("5s")),
        ("destinations.destination.mounts", serde_json::json!(["interop/", "runnerv2/"])),
    ] {
        let found = settings.iter().find(|setting| setting["key"] == key);
        assert_eq!(found.map(|setting| &setting["value"]), Some(&value), "{key}");
    }
    let run = vsync.run(&["transform", "interop/runner/dev/app1", "--config", file]).expect(0);
    assert!(run.stdout.contains("by v1->v2"), "{}", run.stdout);
}

/// A configuration from before v0.2, with two keys that v0.3's documentation names as replaced and one that has never had
/// an effect.
const FORMER: &str = r#"{
  "logLevel": "info",
  "syncPath": "vsync/",
  "origin": {
    "dc": "dc1",
    "vault": { "address": "http://127.0.0.1:1", "token": "s.canary" },
    "consul": { "address": "http://127.0.0.1:1" },
    "mounts": ["secret/"]
  },
  "destination": {
    "vault": { "address": "http://127.0.0.1:2", "token": "s.canary" },
    "consul": { "address": "http://127.0.0.1:2", "dc": "dc2" }
  }
}"#;

const FORMER_WARNINGS: [&str; 3] = [
    "warning: config.json:2:3: \"logLevel\" has no effect; use log.level",
    "warning: config.json:3:3: \"syncPath\" is an old spelling and is taken as origin.sync_path and \
     destination.sync_path; use that instead",
    "warning: config.json:5:5: \"origin.dc\" is an old spelling and is taken as origin.consul.dc; use that instead",
];

#[test]
fn former_keys_are_warned_of_and_fail_nothing() {
    let vsync = Vsync::new(CONFIG);
    fs::remove_file(vsync.folder().join("vsync.toml")).expect("the configuration was there");
    let file = vsync.folder().join("config.json");
    fs::write(&file, FORMER).expect("a configuration");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
    let run = vsync.run(&["config", "check", "--config", "config.json"]).expect(0);
    assert_eq!(run.stdout, "ok: config.json, 1 destination\n");
    assert_eq!(run.stderr.lines().collect::<Vec<_>>(), FORMER_WARNINGS);
    let run = vsync.run(&["config", "check", "--config", "config.json", "--output", "json"]).expect(0);
    let object: Value = serde_json::from_str(run.stdout.trim()).expect("JSON");
    assert_eq!(object["notes"].as_array().map(Vec::len), Some(3), "{object}");
    for arguments in [&["plan", "--config", "config.json"][..], &["origin"], &["destination"]] {
        let mut child = vsync.command(arguments).stderr(Stdio::piped()).spawn().expect("vsync starts");
        let lines = BufReader::new(child.stderr.take().expect("its stderr")).lines().map_while(Result::ok);
        let first: Vec<String> = lines.take(3).map(|line| line.replace("./config", "config")).collect();
        child.kill().expect("it is ended");
        let _ = child.wait().expect("its end");
        assert_eq!(first, FORMER_WARNINGS, "{arguments:?}");
    }
}

#[test]
fn a_configuration_for_the_origin_alone_is_valid_and_said_to_be_one() {
    let origin = CONFIG.split("[[destinations]]").next().expect("the part before the destinations");
    let vsync = Vsync::new(origin);
    let run = vsync.run(&["config", "check"]).expect(0);
    assert!(run.stdout.contains("0 destinations") && run.stderr.contains("only \"vsync origin\""), "{}", run.text());
    let _ = vsync.run(&["config", "show"]).expect(0);
    for arguments in [&["plan"][..], &["destination"], &["transform", "secret/x"]] {
        assert!(vsync.run(arguments).expect(1).stderr.contains("there is no destination"), "{arguments:?}");
    }
}

fn settings(vsync: &Vsync, arguments: &[&str]) -> Vec<Value> {
    let run = vsync.run(&[&["config", "show", "--output", "json"], arguments].concat()).expect(0);
    run.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[test]
fn show_tells_where_every_value_was_set_and_masks_secrets() {
    let vsync = Vsync::new(CONFIG);
    let output = vsync
        .command(&["config", "show", "--set", "destinations.us-east.num_workers=3", "--no-color"])
        .env("VSYNC_DESTINATIONS_US_EAST_VAULT_TOKEN", "s.canary2")
        .env("VSYNC_ORIGIN_NUM_WORKERS", "9")
        .output()
        .expect("vsync starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = |key: &str| {
        let found = text.lines().find(|line| line.split_whitespace().next() == Some(key));
        found.unwrap_or_else(|| panic!("{key} is not in\n{text}"))
    };
    assert!(line("origin.num_workers").ends_with("= 9  # environment VSYNC_ORIGIN_NUM_WORKERS"), "{text}");
    assert!(line("destinations.us-east.num_workers").contains("= 3  # flag --set"), "{text}");
    assert!(line("destinations.mirror.num_workers").ends_with("= 16  # default"), "{text}");
    assert!(line("origin.mounts").contains("vsync.toml:3:10"), "{text}");
    assert!(line("origin.vault.token").contains("********") && line("origin.vault.token").contains("vsync.toml:5:"));
    assert!(line("destinations.us-east.vault.token").contains("environment VSYNC_DESTINATIONS_US_EAST_VAULT_TOKEN"));
    assert!(!text.contains("canary"), "{text}");
}

#[test]
fn wrong_usage_is_64() {
    let vsync = Vsync::new(CONFIG);
    for arguments in [
        &["frobnicate"][..],
        &["sync", "--no-such-flag"],
        &["plan", "--destination", "nowhere"],
        &["sync", "--read-only"],
        &["retry", "--read-only"],
        &["transform"],
        &["transform", "elsewhere/x"],
        &["sync", "--on-drift", "adopt"],
        &["plan", "--on-existing", "keep"],
        &["retry", "--on-drift"],
        &["sync", "--plan"],
        &["sync", "--plan", "plan.json", "--read-only"],
        &["plan", "--output", "xml"],
        &["plan", "--set", "x"],
        &["plan", "--set", "origin.num_worker=1"],
        &["plan", "--set", "origin.num_workers=many"],
        &["config", "check", "--set", "destinations.nowhere.num_workers=1"],
        &["config", "check", "--set", "origin.vault.address=nowhere"],
    ] {
        let run = vsync.run(arguments).expect(64);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{arguments:?}: {}", run.text());
    }
    let run = vsync.run(&["plan", "--destination", "nowhere"]).expect(64);
    assert!(run.stderr.contains("us-east, mirror"), "{}", run.stderr);
    // what is wrong with the file as well is not the flag's fault alone
    vsync.configure(&CONFIG.replacen("mounts", "mount", 1));
    let _ = vsync.run(&["plan", "--set", "x"]).expect(1);
}

#[test]
fn help_and_version_are_results() {
    let vsync = Vsync::new(CONFIG);
    assert_eq!(vsync.run(&["--version"]).expect(0).stdout, format!("vsync {}\n", env!("CARGO_PKG_VERSION")));
    assert!(vsync.run(&["--help"]).expect(0).stdout.contains("Exit codes"));
    assert!(vsync.run(&["completions", "bash"]).expect(0).stdout.contains("vsync"));
    assert!(vsync.run(&["man"]).expect(0).stdout.contains(".TH vsync"));
}

#[test]
fn transform_tells_path_and_rule_and_what_is_not_copied() {
    let vsync = Vsync::new(CONFIG);
    let run = |paths: &[&str]| {
        let run = vsync.run(&[&["transform", "--output", "json"], paths].concat()).expect(0);
        run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect::<Vec<_>>()
    };
    for spelling in ["secret/runner/dev/app", "secret/data/runner/dev/app", "/secret/runner/dev/app"] {
        let mappings = run(&[spelling]);
        assert_eq!(mappings[0]["origin"], "secret/runner/dev/app");
        assert_eq!(mappings[0]["destination"], "us-east");
        assert_eq!(mappings[0]["path"], "kv/dev/app");
        assert_eq!(mappings[0]["rule"], "by environment");
        assert_eq!(mappings[0]["copied"], true);
        assert_eq!(mappings[1]["path"], "secret/runner/dev/app");
        assert_eq!(mappings[1]["rule"], "identity");
    }
    let reasons = |path: &str| run(&[path]).iter().map(|mapping| mapping["reason"].clone()).collect::<Vec<_>>();
    assert_eq!(reasons("secret/scratch/x"), ["excluded at the origin", "excluded at the origin"]);
    assert_eq!(reasons("secret/eu/x"), [Value::from("excluded for this destination"), Value::Null]);
    assert_eq!(reasons("secret/lost/x"), [Value::from("this mount is not configured at the destination"), Value::Null]);
    assert_eq!(run(&["secret/a", "--destination", "mirror"]).len(), 1);
}

#[test]
fn transform_goes_on_past_a_path_that_is_wrong() {
    let vsync = Vsync::new(CONFIG);
    let run = vsync.run(&["transform", "secret/a", "elsewhere/x", "secret/", "secret/b"]).expect(64);
    for path in ["secret/a\n", "secret/b\n"] {
        assert!(run.stdout.contains(path), "{}", run.text());
    }
    assert_eq!(run.stderr.lines().count(), 2, "{}", run.stderr);
    assert!(run.stderr.contains("\"elsewhere/x\"") && run.stderr.contains("\"secret/\""), "{}", run.stderr);
    let run = vsync.run(&["transform", "elsewhere/x", "--output", "json"]).expect(64);
    let error: Value = serde_json::from_str(run.stderr.trim()).expect("JSON");
    assert_eq!(error["exit"], 64);
}

#[test]
fn a_file_that_is_no_saved_plan_is_named() {
    let vsync = Vsync::new(CONFIG);
    for (name, content, message) in [
        ("there is none", None, "the file cannot be read"),
        ("empty", Some(""), "no saved plan, or a damaged one"),
        ("half", Some(r#"{"format":1,"vsync":"1.0.0","created":"#), "no saved plan, or a damaged one"),
        ("newer", Some(r#"{"format":7,"vsync":"9.9.9","what":[]}"#), "vsync 9.9.9 saved this plan in format 7"),
    ] {
        if let Some(content) = content {
            fs::write(vsync.folder().join(name), content).expect("a file");
        }
        let run = vsync.run(&["sync", "--yes", "--plan", name]).expect(1);
        assert!(run.stderr.starts_with(&format!("vsync: {name}: ")), "{}", run.stderr);
        assert!(run.stderr.contains(message) && run.stderr.contains("; nothing was written"), "{}", run.stderr);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn flags_about_drift_lie_over_the_configuration_of_the_destinations_asked_for() {
    let vsync = Vsync::new(
        &CONFIG
            .replace("[[destinations]]\nname = \"mirror\"", "[[destinations]]\nname = \"mirror\"\non_drift = \"no\""),
    );
    let run = vsync.run(&["sync", "--on-drift", "keep"]).expect(1);
    assert!(run.stderr.contains("on_drift cannot be \"no\""), "the file is still checked: {}", run.stderr);
    let vsync = Vsync::new(CONFIG);
    let run = vsync.run(&["sync", "--on-drift", "keep", "--destination", "nowhere"]).expect(64);
    assert!(run.stderr.contains("us-east, mirror"), "{}", run.stderr);
}

#[test]
fn servers_that_do_not_answer_are_named() {
    let vsync = Vsync::new(CONFIG);
    for arguments in [&["plan"][..], &["sync", "--yes"], &["status"]] {
        let run = vsync.run(arguments).expect(1);
        assert!(run.stderr.contains("http://127.0.0.1:1") && run.stderr.contains("refused"), "{}", run.text());
        assert!(!run.text().contains("canary"), "{}", run.text());
    }
    let run = vsync.run(&["check"]).expect(1);
    for address in ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"] {
        let line = run.stdout.lines().find(|line| line.contains(address)).expect("a line for each server");
        assert!(line.starts_with("FAIL") && line.contains("see that it runs"), "{line}");
    }
    let run = vsync.run(&["plan", "--output", "json"]).expect(1);
    let error: Value = serde_json::from_str(run.stderr.trim()).expect("JSON");
    assert_eq!((&error["type"], &error["exit"]), (&Value::from("error"), &Value::from(1)));
}

#[test]
fn a_missing_token_is_said_with_all_the_ways_to_give_one() {
    let vsync = Vsync::new(&CONFIG.replacen("token = \"s.canary\", ", "", 1));
    let run = vsync.run(&["plan"]).expect(1);
    for way in [
        "origin.vault.token,",
        "token_file",
        "token_helper",
        "approle",
        "kubernetes",
        "jwt",
        "userpass",
        "ldap",
        "cert",
        "VAULT_TOKEN",
        "BAO_TOKEN",
        "~/.vault-token",
    ] {
        assert!(run.stderr.contains(way), "{way} is not in {}", run.stderr);
    }
    let with_token = vsync.command(&["plan"]).env("BAO_TOKEN", "s.canary").output().expect("vsync starts");
    assert!(String::from_utf8_lossy(&with_token.stderr).contains("refused"), "the token is found, the server is not");
    fs::write(vsync.folder().join(".vault-token"), "s.canary\n").expect("a token file");
    assert!(vsync.run(&["plan"]).expect(1).stderr.contains("refused"));
}

#[test]
fn without_a_configuration_the_usual_places_are_named() {
    let vsync = Vsync::new(CONFIG);
    fs::remove_file(vsync.folder().join("vsync.toml")).expect("the configuration was there");
    let run = vsync.run(&["plan"]).expect(1);
    for place in ["./vsync.toml", ".config/vsync/vsync.toml", "/etc/vsync/vsync.toml"] {
        assert!(run.stderr.contains(place), "{}", run.stderr);
    }
    let folder = vsync.folder().join(".config/vsync");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("vsync.toml"), CONFIG).expect("a configuration");
    let run = vsync.run(&["config", "check"]).expect(0);
    assert!(run.stdout.contains(".config/vsync/vsync.toml"), "{}", run.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let vsync = Vsync::new(CONFIG);
    let mut child =
        vsync.command(&["config", "show"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("vsync starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_log_is_a_file_and_says_no_secret() {
    let vsync = Vsync::new(CONFIG);
    let run = vsync.run(&["plan"]).expect(1);
    assert_eq!(run.stderr.lines().count(), 1, "nothing but the error: {}", run.stderr);
    let logs: Vec<_> = fs::read_dir(vsync.folder().join("state/vsync/logs")).expect("the log's folder").collect();
    assert_eq!(logs.len(), 1);
    let run = vsync.run(&["plan", "--log-level", "trace"]).expect(1);
    let log = logs[0].as_ref().expect("a file");
    let mode = |path: &Path| fs::metadata(path).expect("the log").permissions().mode() & 0o777;
    assert_eq!((mode(log.path().parent().expect("a folder")), mode(&log.path())), (0o700, 0o600));
    let text = fs::read_to_string(log.path()).expect("the log");
    assert!(!text.contains("canary") && !run.text().contains("canary"), "{text}\n{}", run.text());
}

#[test]
fn the_manual_lists_every_key_and_every_command_has_a_page() {
    let vsync = Vsync::new(CONFIG);
    let page = vsync.run(&["man"]).expect(0);
    let text = page.stdout.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\(aq", "'");
    for section in vsync::tui::key_table() {
        assert!(text.contains(&format!(".SS {}", section.title)), "{}", section.title);
        for row in section.keys {
            let keys = row.keys.join(", ");
            let told = text.split(".TP\n").any(|entry| entry.contains(row.help) && entry.contains(&keys));
            assert!(told, "the manual does not tell: {keys}: {}\n{text}", row.help);
        }
    }
    let page = vsync.run(&["man", "sync"]).expect(0);
    assert!(page.stdout.contains("vsync\\-sync") && page.stdout.contains("dry\\-run"), "{}", page.stdout);
    let wrong = vsync.run(&["man", "synk"]).expect(64);
    assert!(wrong.stderr.contains("there is no command \"synk\""), "{}", wrong.stderr);
}

/// The paths of a policy's rules, with their capabilities; ends the test if it is not valid HCL.
fn rules_of(policy: &str) -> Vec<(String, String)> {
    let body: hcl_edit::structure::Body = policy.parse().unwrap_or_else(|error| panic!("{error}\n{policy}"));
    let rule = |structure: &hcl_edit::structure::Structure| {
        let block = structure.as_block().expect("only blocks");
        let path = block.labels[0].as_str().to_owned();
        let capabilities = block.body.get_attribute("capabilities").expect("capabilities");
        (path, capabilities.value.to_string().trim().to_owned())
    };
    body.iter().map(rule).collect()
}

#[test]
fn a_policy_is_valid_by_itself_and_asks_nobody() {
    let quoted = CONFIG
        .replace("\"kv/\"", "'k\"v/'")
        .replace("to = \"kv/data", "to = 'k\"v/data")
        .replace("${app}\"\n", "${app}'\n");
    let vsync = Vsync::new(&quoted);
    let run = vsync.run(&["policy", "--destination", "us-east"]).expect(0);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
    let rules = rules_of(&run.stdout);
    let all = r#"["create", "delete", "read", "update"]"#;
    assert!(rules.contains(&("k\"v/data/+/+".to_owned(), all.to_owned())), "{rules:?}");
    assert!(rules.contains(&("secret/metadata/*".to_owned(), r#"["read"]"#.to_owned())), "{rules:?}");
    assert!(!run.stdout.contains("elsewhere"), "a rule that leads out of the mounts: {}", run.stdout);
    assert!(run.stdout.contains("# exclude: "), "{}", run.stdout);
    // every rule stands below its reason
    for (at, line) in run.stdout.lines().enumerate().filter(|(_, line)| line.starts_with("path ")) {
        assert!(run.stdout.lines().nth(at - 1).unwrap().starts_with("# "), "{line}");
    }

    let run = vsync.run(&["policy", "--origin"]).expect(0);
    let paths: Vec<_> = rules_of(&run.stdout).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths[..3], ["secret/detailed-metadata/*", "secret/metadata/*", "secret/data/*"]);
    assert!(!paths.iter().any(|path| path.contains("subkeys")), "{paths:?}");
    let run = vsync.run(&["policy", "--origin", "--with", "console,scan"]).expect(0);
    assert!(rules_of(&run.stdout).iter().any(|(path, _)| path == "secret/subkeys/*"));

    let run = vsync.run(&["policy"]).expect(0);
    let heads: Vec<_> = run.stdout.lines().filter(|line| line.contains("the least that vsync's token needs")).collect();
    assert_eq!(heads.len(), 3, "{heads:?}");
    let run = vsync.run(&["policy", "--output", "json"]).expect(0);
    let pages: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sides: Vec<_> = pages.iter().map(|page| page["side"].as_str().unwrap()).collect();
    assert_eq!(sides, ["origin", "us-east", "mirror"]);
    assert!(pages.iter().all(|page| page["type"] == "policy" && page["system"] == "vault"));
    assert!(pages.iter().all(|page| !rules_of(page["policy"].as_str().unwrap()).is_empty()));
}

#[test]
fn rules_for_consul_are_apart_from_those_for_vault() {
    let consul = "[origin.consul]\naddress = \"http://127.0.0.1:4\"\n[[destinations]]\nname = \"us-east\"";
    let vsync = Vsync::new(&CONFIG.replacen("[[destinations]]\nname = \"us-east\"", consul, 1));
    let alone = vsync.run(&["policy", "--destination", "us-east"]).expect(0).stdout;
    assert!(!rules_of(&alone).is_empty() && alone.contains("vsync policy --destination us-east --consul"), "{alone}");
    let rules = vsync.run(&["policy", "--destination", "us-east", "--consul"]).expect(0).stdout;
    assert!(rules.contains("key_prefix \"vsync/us-east/\" {") && rules.contains("session_prefix \"\" {"), "{rules}");
    assert!(!rules.contains("path \""), "{rules}");
    let all = vsync.run(&["policy"]).expect(0).stdout;
    assert!(all.contains("key_prefix \"vsync/\" {") && all.contains("path \"secret/data/*\" {"), "{all}");
}

#[test]
fn what_no_policy_can_be_printed_for_is_said() {
    let vsync = Vsync::new(CONFIG);
    for (arguments, code, said) in [
        (&["--destination", "nowhere"][..], 64, "there is no destination \"nowhere\""),
        (&["--with", "everything"], 64, "invalid value 'everything'"),
        (&["--consul"], 64, "no Consul is configured"),
        (&["--set", "origin.include=[\"secret/[\"]"], 64, "secret/["),
    ] {
        let run = vsync.run(&[&["policy"], arguments].concat()).expect(code);
        assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{}", run.text());
    }
    // a configuration for "vsync origin" alone copies nothing
    let (alone, _) = CONFIG.split_once("[[destinations]]").unwrap();
    let run = Vsync::new(alone).run(&["policy"]).expect(0);
    let paths: Vec<_> = rules_of(&run.stdout).into_iter().map(|(path, _)| path).collect();
    assert!(!paths.contains(&"secret/data/*".to_owned()), "{paths:?}");
}
