//! Plans that are saved, looked at, and executed exactly as they are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Display;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulServer, Run, Vsync, canary};

/// An origin and a destination, and vsync between them.
struct Sides {
    origin: BaoServer,
    destination: BaoServer,
    vsync: Vsync,
}

impl Sides {
    /// With secrets `app-0`, `app-1`, … at the origin, synced if `synced`.
    fn with(count: usize, synced: bool) -> Self {
        let (origin, destination) = (BaoServer::start(), BaoServer::start());
        origin.client().write_all("secret", (0..count).map(|i| (format!("app-{i}"), json!({ "i": canary(i) }))));
        let vsync = Vsync::new(&config(&origin, &destination, "least"));
        if synced {
            let _ = vsync.run(&["sync", "--yes"]).expect(0);
        }
        Self { origin, destination, vsync }
    }

    /// The newest version of a secret at the destination; 0: none.
    fn version(&self, name: &str) -> u64 {
        let metadata = self.destination.client().metadata("secret", name);
        metadata.map_or(0, |metadata| metadata["current_version"].as_u64().unwrap())
    }
}

fn config(origin: &BaoServer, destination: &BaoServer, token: &str) -> String {
    format!(
        "origin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
         [[destinations]]\nname = \"copy\"\nguards.max_delete = \"50%\"\n\
         vault = {{ address = \"{}\", token = \"{token}\", max_retries = 1 }}\n",
        origin.address(),
        destination.address(),
    )
}

/// A value as the server sends it.
fn raw(what: impl Display) -> String {
    json!({ "i": canary(what) }).to_string()
}

/// What a command said of failures: path, cause, message.
fn failures(run: &Run) -> Vec<(String, String, String)> {
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut failures: Vec<_> = objects
        .filter(|object| object["type"] == "failure")
        .map(|object| {
            let text = |key: &str| object[key].as_str().unwrap().to_owned();
            (text("origin"), text("cause"), text("message"))
        })
        .collect();
    failures.sort();
    failures
}

#[test]
fn exactly_the_saved_lines_are_done() {
    let sides = Sides::with(6, true);
    let (client, vsync) = (sides.origin.client(), &sides.vsync);
    client.write("secret", "app-1", &json!({ "i": canary("changed") }));
    client.write("secret", "new", &json!({ "i": canary("new") }));
    client.delete("secret", "app-2");
    let run = vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    assert!(run.stdout.contains("3 lines saved; \"vsync sync --plan plan.json\""), "{}", run.stdout);
    let again = vsync.run(&["plan", "--out", "plan.json"]).expect(64);
    assert!(again.stderr.contains("plan.json exists already"), "{}", again.stderr);

    let file = vsync.folder().join("plan.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let tokens = sides.vsync.tokens();
    assert!(
        !text.contains("changed") && !tokens.iter().any(|token| text.contains(token)),
        "a value or a token: {text}"
    );
    let saved: Value = serde_json::from_str(&text).unwrap();
    let lines = saved["destinations"][0]["lines"].as_array().unwrap();
    let line = |at: usize| (lines[at]["operation"].as_str().unwrap(), lines[at]["expected"].as_u64().unwrap());
    assert_eq!([line(0), line(1), line(2)], [("update", 1), ("delete", 1), ("add", 0)]);

    // what comes later is not part of it
    client.write("secret", "later", &json!({ "i": canary("later") }));
    let run = vsync.run(&["sync", "--plan", "plan.json", "--dry-run"]).expect(0);
    assert!(run.stdout.contains("dry run completed"), "{}", run.stdout);
    let _ = vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(0);
    let copied = sides.destination.client().read_all("secret");
    assert_eq!(copied.len(), 6);
    assert_eq!((&copied["app-1"], &copied["new"]), (&raw("changed"), &raw("new")));
    assert!(!copied.contains_key("app-2") && !copied.contains_key("later"), "{copied:?}");

    // and it cannot be done twice
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--output", "json"]).expect(4);
    assert_eq!(failures(&run).len(), 3);
    assert!(failures(&run).iter().all(|(_, cause, message)| cause == "moved" && message == "it is done already"));
    assert_eq!(sides.version("app-1"), 2);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(sides.destination.client().read_all("secret").contains_key("later"));
}

#[test]
fn a_line_whose_origin_has_moved_is_refused() {
    let sides = Sides::with(4, true);
    let (client, vsync) = (sides.origin.client(), &sides.vsync);
    for name in ["app-0", "app-1", "app-2"] {
        client.write("secret", name, &json!({ "i": canary("planned") }));
    }
    let _ = vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    client.write("secret", "app-1", &json!({ "i": canary("not planned") }));
    client.delete("secret", "app-2");

    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--output", "json"]).expect(3);
    let moved = |name: &str, message: &str| (format!("secret/{name}"), "moved".to_owned(), message.to_owned());
    let expected = [
        moved("app-1", "the origin has version 3 now, and the plan was made for 2"),
        moved("app-2", "the origin no longer has it"),
    ];
    assert_eq!(failures(&run), expected);
    let live = sides.destination.client().read_all("secret");
    assert_eq!(live["app-0"], raw("planned"), "the rest is done");
    assert_eq!((&live["app-1"], &live["app-2"]), (&raw(1), &raw(2)), "these are not");

    // now nothing of it holds
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(4);
    assert!(run.stdout.contains("3 lines of the saved plan no longer hold"), "{}", run.stdout);
    assert!(run.stdout.contains("! no longer as planned: 3"), "one of them is done already: {}", run.stdout);
    assert!(run.stdout.contains("Nothing was written: no line of the saved plan holds any more."), "{}", run.stdout);
    assert_eq!(sides.version("app-0"), 2);
}

#[test]
fn a_line_whose_destination_was_edited_is_refused() {
    let sides = Sides::with(3, true);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    for name in ["app-0", "app-1", "new"] {
        client.write("secret", name, &json!({ "i": canary("planned") }));
    }
    client.delete("secret", "app-2");
    let _ = vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    for name in ["app-1", "app-2", "new"] {
        there.write("secret", name, &json!({ "i": canary("by hand") }));
    }
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--output", "json"]).expect(3);
    let causes: Vec<_> = failures(&run).into_iter().map(|(origin, cause, _)| format!("{origin} {cause}")).collect();
    assert_eq!(causes, ["secret/app-1 drift", "secret/app-2 drift", "secret/new existing"]);
    let live = there.read_all("secret");
    assert_eq!(live["app-0"], raw("planned"));
    for name in ["app-1", "app-2", "new"] {
        assert_eq!(live[name], raw("by hand"), "{name}");
    }
    // by now all of it is known, and nothing is left that could be done
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(4);
    for message in ["version 2 is there, vsync wrote 1", "version 1 is there, vsync wrote none"] {
        assert!(run.stdout.contains(message), "{}", run.stdout);
    }
}

#[test]
fn if_every_line_was_refused_by_the_destination_nothing_was_written() {
    let sides = Sides::with(2, true);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    client.write("secret", "app-0", &json!({ "i": canary("planned") }));
    let _ = vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    there.write("secret", "app-0", &json!({ "i": canary("by hand") }));
    // not even what would be done about it in an unplanned cycle is done in this one
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--on-drift", "overwrite"]).expect(4);
    assert!(run.stdout.contains("Nothing was written: no line of the saved plan holds any more."), "{}", run.stdout);
    assert!(
        run.stdout.contains("The plan was made for another version") && !run.stdout.contains("set on_"),
        "{}",
        run.stdout
    );
    assert_eq!(there.read("secret", "app-0"), Some(json!({ "i": canary("by hand") })));
}

#[test]
fn a_plan_can_name_the_very_version_it_writes_over() {
    let sides = Sides::with(2, true);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    for name in ["app-0", "app-1"] {
        there.write("secret", name, &json!({ "i": canary("by hand") }));
        client.write("secret", name, &json!({ "i": canary("planned") }));
    }
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let _ = vsync.run(&["plan", "--on-drift", "overwrite", "--out", "plan.json"]).expect(2);
    there.write("secret", "app-1", &json!({ "i": canary("by hand again") }));
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--output", "json"]).expect(3);
    assert_eq!(failures(&run).len(), 1);
    assert_eq!(there.read("secret", "app-0"), Some(json!({ "i": canary("planned") })));
    assert_eq!(there.read("secret", "app-1"), Some(json!({ "i": canary("by hand again") })));
}

#[test]
fn drift_is_counted_listed_and_decided_upon() {
    let sides = Sides::with(3, true);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    for name in ["app-0", "app-1"] {
        there.write("secret", name, &json!({ "i": canary("by hand") }));
        client.write("secret", name, &json!({ "i": canary("newer") }));
    }
    there.write("secret", "equal", &json!({ "i": canary("equal") }));
    client.write("secret", "equal", &json!({ "i": canary("equal") }));
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    for message in [
        "! drift: 2",
        "! existing: 1",
        "\"vsync retry --on-drift overwrite\" or \"--on-drift keep\"",
        "\"vsync retry --on-existing adopt\"",
    ] {
        assert!(run.stdout.contains(message), "{message}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("\"vsync retry\" takes what failed"), "that would change nothing: {}", run.stdout);

    // known from now on: nothing to do, and nothing hidden
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    for message in [
        "There is nothing else to do.",
        "~ copy: 2 secrets were changed by somebody else after vsync wrote them, and are left alone",
        "update secret/app-0: version 2 is there, vsync wrote 1",
        "~ copy: 1 secret was there before vsync wrote it, and is left alone",
        "\"vsync retry --on-existing adopt\"",
    ] {
        assert!(run.stdout.contains(message), "{message}: {}", run.stdout);
    }
    let _ = vsync.run(&["plan"]).expect(0);
    let run = vsync.run(&["status", "--output", "json"]).expect(0);
    let objects: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let status = objects.iter().find(|object| object["type"] == "status").unwrap();
    assert_eq!((&status["drifted"], &status["existing"], &status["failed"]), (&json!(2), &json!(1), &json!(0)));
    assert_eq!(objects.iter().filter(|object| object["type"] == "drift").count(), 3);

    // one decision after the other, each for this run alone
    let _ = vsync.run(&["retry", "--yes"]).expect(3);
    let run = vsync.run(&["retry", "--yes", "--on-existing", "adopt", "--path", "secret/equal"]).expect(0);
    assert!(run.stdout.contains("copy: 1 of these held the same value already"), "{}", run.stdout);
    assert_eq!(sides.version("equal"), 1);
    let _ = vsync.run(&["retry", "--yes", "--on-drift", "overwrite", "--path", "secret/app-0"]).expect(0);
    assert_eq!(there.read("secret", "app-0"), Some(json!({ "i": canary("newer") })));
    let run = vsync.run(&["retry", "--yes", "--on-drift", "keep"]).expect(0);
    assert!(run.stdout.contains("copy: 1 of these were left as somebody else made them"), "{}", run.stdout);
    assert_eq!(there.read("secret", "app-1"), Some(json!({ "i": canary("by hand") })));
    let _ = vsync.run(&["plan"]).expect(0);
    let run = vsync.run(&["retry", "--yes"]).expect(0);
    assert!(run.stdout.contains("Nothing has failed"), "{}", run.stdout);
}

#[test]
fn what_overwriting_does_is_told_by_what_was_to_be_done() {
    let sides = Sides::with(3, true);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    let flags = ["guards.max_delete=100%", "on_existing=adopt"].map(|flag| format!("--set=destinations.copy.{flag}"));
    let run = |arguments: &[&str], code| {
        let flags = flags.iter().map(String::as_str);
        vsync.run(&arguments.iter().copied().chain(flags).collect::<Vec<_>>()).expect(code).stdout
    };
    there.write("secret", "app-0", &json!({ "i": canary("by hand") }));
    client.delete("secret", "app-0");
    for (client, value) in [(&client, "origin"), (&there, "by hand")] {
        client.write("secret", "theirs", &json!({ "i": canary(value) }));
    }
    let _ = run(&["sync", "--yes"], 3);
    let told = run(&["status"], 0);
    assert!(told.contains("overwrite\" deletes them there, as the origin has"), "{told}");
    assert!(told.contains("what was equal is adopted; \"vsync retry --on-existing overwrite\""), "{told}");
    assert!(!told.contains("--on-existing adopt"), "who has adopted is not advised to: {told}");
    there.write("secret", "app-1", &json!({ "i": canary("by hand") }));
    client.write("secret", "app-1", &json!({ "i": canary("newer") }));
    let _ = run(&["sync", "--yes"], 3);
    let told = run(&["status"], 0);
    assert!(told.contains("values over them, and deletes there what the origin has deleted"), "{told}");
}

#[test]
fn a_locked_destination_says_who_has_it_and_exits_5() {
    let sides = Sides::with(1, false);
    let (client, vsync) = (sides.origin.client(), &sides.vsync);
    let consul = ConsulServer::start();
    let config = config(&sides.origin, &sides.destination, "least");
    vsync.configure(
        &config.replace("[[dest", &format!("origin.consul = {{ address = \"{}\" }}\n[[dest", consul.address())),
    );
    client.write_all("secret", (0..3_000).map(|i| (format!("more/{i}"), json!({ "i": canary(i) }))));
    let mut first = vsync.spawn(&[
        "sync",
        "--yes",
        "--set",
        "destinations.copy.num_workers=1",
        "--set",
        "destinations.copy.vault.requests_per_second=20",
    ]);
    let started = std::time::Instant::now();
    while sides.destination.client().names("secret", "more/").is_empty() {
        assert!(started.elapsed().as_secs() < 30 && first.is_running(), "the cycle does not begin");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let run = vsync.run(&["sync", "--yes"]).expect(5);
    assert!(run.stdout.contains("copy: nothing was written, because its lock is held by "), "{}", run.stdout);
    assert!(
        run.stdout.contains("(process ") && run.stdout.contains("see whether it still runs there"),
        "{}",
        run.stdout
    );
    let run = vsync.run(&["sync", "--yes", "--output", "json"]).expect(5);
    let report: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report["destinations"][0]["locked"]["purpose"], "sync", "{report}");
    first.signal("INT");
    let _ = first.wait().expect(130);
}

#[test]
fn what_was_copied_without_a_ledger_is_pinned_when_the_plan_is_saved() {
    let sides = Sides::with(2, false);
    let (client, there, vsync) = (sides.origin.client(), sides.destination.client(), &sides.vsync);
    let consul = ConsulServer::start();
    let with_token = |token: &str| {
        let consul = format!("origin.consul = {{ address = \"{}\" }}\n[[dest", consul.address());
        config(&sides.origin, &sides.destination, token).replace("[[dest", &consul)
    };
    vsync.configure(&with_token("least"));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for key in consul.keys("vsync/").into_iter().filter(|key| key.contains("/ledger/")) {
        consul.delete(&key);
    }
    for name in ["app-0", "app-1"] {
        client.write("secret", name, &json!({ "i": canary("planned") }));
    }
    // who may not look cannot promise anything
    let blind = r#"path "secret/data/*" { capabilities = ["create", "update", "delete"] }"#;
    vsync.configure(&with_token(&there.policy_token("blind", blind)));
    let run = vsync.run(&["plan", "--out", "plan.json"]).expect(1);
    assert!(run.stderr.contains("is not recorded, and could not be asked"), "{}", run.stderr);
    assert!(run.stderr.contains("let its token read MOUNT/metadata/*"), "{}", run.stderr);
    assert!(!vsync.folder().join("plan.json").exists());

    vsync.configure(&with_token("least"));
    let _ = vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    there.write("secret", "app-1", &json!({ "i": canary("by hand") }));
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes", "--output", "json"]).expect(3);
    assert_eq!(failures(&run).len(), 1);
    assert_eq!(there.read("secret", "app-0"), Some(json!({ "i": canary("planned") })));
    assert_eq!(there.read("secret", "app-1"), Some(json!({ "i": canary("by hand") })));
}

#[test]
fn a_plan_holds_for_its_servers_only() {
    let sides = Sides::with(2, false);
    let _ = sides.vsync.run(&["plan", "--out", "plan.json"]).expect(2);
    let other = BaoServer::start();
    sides.vsync.configure(&config(&sides.origin, &other, "least"));
    let run = sides.vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(4);
    assert!(run.stderr.contains("plan.json: this plan was made for the destination copy at"), "{}", run.stderr);
    assert!(run.stderr.contains("nothing was written;"), "{}", run.stderr);
    assert_eq!(other.client().read_all("secret").len(), 0);

    sides.vsync.configure(&config(&sides.origin, &sides.destination, "least"));
    let text = std::fs::read_to_string(sides.vsync.folder().join("plan.json")).unwrap();
    for (bad, message) in [
        (text.replace("\"copy\"", "\"elsewhere\""), "for \"elsewhere\" too, which is not configured"),
        (text.replacen("\"format\":1", "\"format\":9", 1), "in format 9"),
        (text[..text.len() / 2].to_owned(), "a damaged one"),
    ] {
        std::fs::write(sides.vsync.folder().join("bad.json"), bad).unwrap();
        let run = sides.vsync.run(&["sync", "--plan", "bad.json", "--yes"]).expect(1);
        assert!(run.stderr.contains("bad.json: ") && run.stderr.contains(message), "{}", run.stderr);
    }
    assert_eq!(sides.destination.client().read_all("secret").len(), 0);
    let _ = sides.vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(0);
    assert_eq!(sides.destination.client().read_all("secret").len(), 2);
}

#[test]
fn guards_judge_the_lines_that_remain() {
    let sides = Sides::with(4, true);
    let (client, vsync) = (sides.origin.client(), &sides.vsync);
    for name in ["app-0", "app-1", "app-2"] {
        client.delete("secret", name);
    }
    let run = vsync.run(&["plan", "--out", "plan.json"]).expect(4);
    assert!(run.stdout.contains("3 of 4 secrets would be deleted"), "{}", run.stdout);
    let _ = vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(4);
    assert_eq!(sides.destination.client().read_all("secret").len(), 4);

    client.write("secret", "app-2", &json!({ "i": canary("back") }));
    let run = vsync.run(&["sync", "--plan", "plan.json", "--yes"]).expect(3);
    assert!(run.stdout.contains("the origin has it again"), "{}", run.stdout);
    assert_eq!(sides.destination.client().read_all("secret").len(), 2);
}
