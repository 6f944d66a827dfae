//! The console at a pseudo-terminal, between real servers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::json;

use crate::support::{BaoServer, Vsync, canary};
use crate::terminal::Console;

#[test]
fn what_is_ignored_is_ignored_after_a_restart() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    for name in ["closed/a", "closed/b", "open"] {
        origin.client().write("secret", name, &json!({ "v": canary(1) }));
    }
    let rules = r#"
        path "secret/data/*" { capabilities = ["create", "update", "read"] }
        path "secret/metadata/*" { capabilities = ["read"] }
        path "secret/data/closed/*" { capabilities = ["deny"] }
    "#;
    let token = destination.client().policy_token("vsync", rules);
    let vsync = Vsync::new("");
    let state = vsync.folder().join("state.redb");
    vsync.configure(&format!(
        "state.file = \"{}\"\norigin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
         [[destinations]]\nname = \"copy\"\nvault = {{ address = \"{}\", token = \"{token}\" }}\n",
        state.display(),
        origin.address(),
        destination.address(),
    ));
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let config = vsync.folder().join("vsync.toml");
    let arguments = ["--config", config.to_str().unwrap()];
    let start = || {
        let mut console = Console::start(&arguments, (120, 40), &[]);
        console.wait_for_texts(&["as of "]);
        console.keys("5");
        console
    };

    let mut console = start();
    console.wait_for_texts(&["Failures 2", "path \"secret/data/closed/*\" {"]);
    console.keys("jikept back on purpose\r");
    console.wait_for_texts(&["Failures 1, 1 ignored", "1 failure ignored: kept back on purpose"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);

    let mut console = start();
    console.wait_for_texts(&["Failures 1, 1 ignored", "kept back on purpose"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
    let run = vsync.run(&["status"]).expect(0);
    assert!(run.stdout.contains("copy: 1 failure is ignored"), "{}", run.stdout);

    // a new version at the origin brings it back
    origin.client().write("secret", "closed/a", &json!({ "v": canary(2) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let mut console = start();
    console.wait_for_texts(&["Failures 2", "permission 2"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn drift_is_decided_from_the_console() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    for name in ["mine", "theirs"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
    }
    let vsync = Vsync::new("");
    vsync.configure(&format!(
        "state.file = \"{}\"\norigin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
         [[destinations]]\nname = \"copy\"\nproduction = true\nvault = {{ address = \"{}\", token = \"least\" }}\n",
        vsync.folder().join("state.redb").display(),
        origin.address(),
        destination.address(),
    ));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for name in ["mine", "theirs"] {
        there.write("secret", name, &json!({ "v": canary("by hand") }));
        here.write("secret", name, &json!({ "v": canary(2) }));
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(3);

    let config = vsync.folder().join("vsync.toml");
    let mut console = Console::start(&["--config", config.to_str().unwrap()], (120, 40), &[]);
    console.wait_for_texts(&["as of "]);
    console.keys("5");
    console.wait_for_texts(&["drift 2", "Compare the two, then decide"]);
    console.keys("X");
    console.wait_for_texts(&["Trying again changes nothing about what somebody else wrote"]);
    console.keys("jo");
    console.wait_for_texts(&["The origin is right: overwrite", "PROD", "max_versions", "Yes, start", " y yes "]);
    console.keys("y");
    console.wait_for_texts(&["Cycle completed: 1 done, 0 failed, 0 pending."]);
    assert_eq!(there.read("secret", "mine"), Some(json!({ "v": canary(2) })));
    console.keys("5");
    console.wait_for_texts(&["drift 1", "secret/theirs"]);
    console.keys("gd");
    console.wait_for_texts(&["The destination is right: keep", "Nothing is written", " y yes "]);
    console.keys("y");
    console.wait_for_texts(&["Cycle completed: 1 done, 0 failed, 0 pending."]);
    console.keys("5");
    console.wait_for_texts(&["Nothing has failed."]);
    console.keys("3");
    console.wait_for_texts(&["nothing to do", "every destination is in sync"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
    assert_eq!(there.read("secret", "theirs"), Some(json!({ "v": canary("by hand") })));
    // it stays decided
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(there.read("secret", "theirs"), Some(json!({ "v": canary("by hand") })));
}

#[test]
fn a_purge_from_the_console_wants_its_number_typed() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (here, there) = (origin.client(), destination.client());
    for name in ["gone", "hidden", "stays", "too"] {
        here.write("secret", name, &json!({ "v": canary(1) }));
    }
    let vsync = Vsync::new("");
    vsync.configure(&format!(
        "state.file = \"{}\"\norigin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
         [[destinations]]\nname = \"copy\"\non_delete = \"purge\"\nguards = {{ max_delete = \"100%\" }}\n\
         vault = {{ address = \"{}\", token = \"least\" }}\n",
        vsync.folder().join("state.redb").display(),
        origin.address(),
        destination.address(),
    ));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    here.remove("secret", "gone");
    here.remove("secret", "too");
    here.delete("secret", "hidden");

    let config = vsync.folder().join("vsync.toml");
    let mut console = Console::start(&["--config", config.to_str().unwrap()], (120, 40), &[]);
    console.wait_for_texts(&["as of "]);
    console.keys("3");
    console.wait_for_texts(&["2 purged FOR GOOD among the deletes", "PURGE for good"]);
    console.keys("X");
    console.wait_for_texts(&["FOR GOOD: no undelete and no undo", "Type 2 to purge 2 secrets", " enter answer "]);
    // the number of all deletes is not the one
    console.keys("3");
    console.wait_for_texts(&["secrets: 3 "]);
    console.keys("\r");
    console.wait_for_texts(&["that is another number"]);
    assert!(there.metadata("secret", "gone").is_some());
    console.keys("\x7f2");
    console.wait_for_texts(&["secrets: 2 "]);
    console.keys("\r");
    console.wait_for_texts(&["Cycle completed: 3 done, 0 failed, 0 pending."]);
    assert!(there.metadata("secret", "gone").is_none() && there.metadata("secret", "too").is_none());
    assert!(there.metadata("secret", "hidden").is_some());
    console.keys("6\r");
    console.wait_for_texts(&["PURGED, all versions and metadata"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
