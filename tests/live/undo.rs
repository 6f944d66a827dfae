//! Cycles that are undone.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulServer, RootClient, Run, Vsync, canary};

/// An origin and destinations `a` and `b`, with state in Consul.
struct Sides {
    origin: BaoServer,
    a: BaoServer,
    b: BaoServer,
    consul: ConsulServer,
    vsync: Vsync,
}

impl Sides {
    fn start() -> Self {
        let (origin, a, b) = (BaoServer::start(), BaoServer::with_audit(), BaoServer::start());
        let consul = ConsulServer::start();
        let store = consul.address();
        let mut text = format!(
            "origin.mounts = [\"secret\"]\norigin.vault = {{ address = \"{}\", token = \"least\" }}\n\
             origin.consul.address = \"{store}\"\n",
            origin.address()
        );
        for (name, destination) in [("a", &a), ("b", &b)] {
            let _ = write!(
                text,
                "[[destinations]]\nname = \"{name}\"\nguards.max_delete = \"20%\"\nconsul.address = \"{store}\"\n\
                 vault = {{ address = \"{}\", token = \"least+undo\", max_retries = 1 }}\n",
                destination.address()
            );
        }
        let vsync = Vsync::new(&text);
        Self { origin, a, b, consul, vsync }
    }

    /// Syncs, and returns the cycle.
    fn sync(&self, flags: &[&str]) -> String {
        cycle(&self.vsync.run(&[&["sync", "--yes", "--output", "json"], flags].concat()).expect(0))
    }

    fn undo(&self, cycle: &str, flags: &[&str]) -> Run {
        self.vsync.run(&[&["undo", cycle, "--output", "json"], flags].concat())
    }
}

fn objects(run: &Run, kind: &str) -> Vec<Value> {
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.filter(|object| object["type"] == kind).collect()
}

fn cycle(run: &Run) -> String {
    objects(run, "report")[0]["cycle"].as_str().unwrap().to_owned()
}

fn version(client: &RootClient, name: &str) -> u64 {
    client.metadata("secret", name).map_or(0, |metadata| metadata["current_version"].as_u64().unwrap())
}

fn n(value: u32) -> Value {
    json!({ "n": canary(value) })
}

#[test]
fn a_cycle_is_undone_and_so_is_the_undoing() {
    let sides = Sides::start();
    let (origin, vsync) = (sides.origin.client(), &sides.vsync);
    origin.write_all("secret", (0..6).map(|i| (format!("team/app-{i}"), n(i))));
    let _ = sides.sync(&[]);
    let before = [sides.a.client().read_all("secret"), sides.b.client().read_all("secret")];

    origin.write("secret", "team/app-0", &n(10));
    origin.write("secret", "team/app-1", &n(11));
    origin.delete("secret", "team/app-2");
    origin.write("secret", "team/new", &n(12));
    let second = sides.sync(&[]);
    let after = [sides.a.client().read_all("secret"), sides.b.client().read_all("secret")];
    assert_eq!(after[0].len(), 6);
    let origins_record: Vec<_> =
        sides.consul.keys("vsync/origin/").into_iter().map(|key| sides.consul.get(&key)).collect();

    // it says first what it will do, by metadata alone
    let audit = sides.a.audit();
    let run = vsync.run(&["undo", &second, "--dry-run", "--destination", "a"]).expect(0);
    for line in [
        "+ a  secret/team/app-2: undelete version 1",
        "* a  secret/team/app-0: write version 1 again",
        "- a  secret/team/new: delete what the cycle added",
        "The next sync copies these secrets again",
        &format!("It would be an undo of cycle {second}."),
    ] {
        assert!(run.stdout.contains(line), "{line}: {}", run.stdout);
    }
    let refused = vsync.run(&["undo", &second, "--yes", "--read-only"]).expect(64);
    assert!(refused.stderr.contains("\"vsync undo --dry-run\""), "{}", refused.stderr);
    let run = vsync.run(&["undo", &second, "--dry-run", "--read-only"]).expect(0);
    assert!(!run.stdout.contains("a daemon looks after it"), "{}", run.stdout);
    assert_eq!(audit.touched("secret/data/"), [""; 0]);
    let run = sides.undo(&second, &[]).expect(64);
    assert!(run.stderr.contains("--yes"), "a script does not agree by itself: {}", run.stderr);
    assert_eq!([sides.a.client().read_all("secret"), sides.b.client().read_all("secret")], after);

    let run = sides.undo(&second, &["--yes"]).expect(0);
    let undone = objects(&run, "undo");
    for (part, name) in undone.iter().zip(["a", "b"]) {
        let count = |key: &str| part[key].as_u64().unwrap();
        assert_eq!(part["destination"], name);
        assert_eq!(["undelete", "write_back", "delete", "already", "impossible"].map(count), [1, 2, 1, 0, 0]);
    }
    let third = cycle(&run);
    assert_eq!([sides.a.client().read_all("secret"), sides.b.client().read_all("secret")], before);
    assert_eq!(version(&sides.a.client(), "team/app-0"), 3, "a new version, from the history");
    let record: Vec<_> = sides.consul.keys("vsync/origin/").into_iter().map(|key| sides.consul.get(&key)).collect();
    assert_eq!(record, origins_record, "the origin has nothing to do with it");

    // it is a cycle of its own in the history, and nothing is left to undo
    let history = vsync.run(&["history"]).expect(0);
    let listed = history.stdout.lines().find(|line| line.starts_with(&third)).unwrap();
    assert!(listed.contains("completed (undo)"), "{}", history.stdout);
    assert_eq!(history.stdout.matches("(undo)").count(), 1, "{}", history.stdout);
    let shown = vsync.run(&["history", &third]).expect(0);
    assert!(shown.stdout.contains(&second), "it names the cycle that it took back: {}", shown.stdout);
    // it wrote these itself, and knows
    let _ = vsync.run(&["verify"]).expect(0);
    let run = sides.undo(&second, &["--yes"]);
    assert_eq!(objects(&run, "undo")[0]["already"], 2, "{}", run.text());

    // the undoing is undone, which brings back what the origin holds
    let run = vsync.run(&["undo", &third, "--dry-run"]).expect(0);
    assert!(!run.stdout.contains("The next sync copies these secrets again"), "{}", run.stdout);
    let _ = sides.undo(&third, &["--yes"]).expect(0);
    assert_eq!([sides.a.client().read_all("secret"), sides.b.client().read_all("secret")], after);
    let _ = vsync.run(&["verify", "--deep"]).expect(0);
}

#[test]
fn the_next_sync_copies_again_what_was_undone() {
    let sides = Sides::start();
    let origin = sides.origin.client();
    origin.write_all("secret", (0..6).map(|i| (format!("app-{i}"), n(i))));
    let _ = sides.sync(&[]);
    origin.write("secret", "app-0", &n(10));
    origin.delete("secret", "app-2");
    origin.write("secret", "new", &n(12));
    let second = sides.sync(&[]);
    let after = sides.a.client().read_all("secret");
    let _ = sides.undo(&second, &["--yes"]).expect(0);
    assert_ne!(sides.a.client().read_all("secret"), after);
    let plan = sides.vsync.run(&["plan", "--destination", "a", "--output", "json"]).expect(2);
    let plan = &objects(&plan, "plan")[0];
    assert_eq!((&plan["add"], &plan["update"], &plan["delete"]), (&json!(1), &json!(1), &json!(1)));
    let _ = sides.sync(&[]);
    assert_eq!(sides.a.client().read_all("secret"), after);
    assert_eq!(sides.b.client().read_all("secret"), after);
    let _ = sides.vsync.run(&["verify", "--deep"]).expect(0);
}

#[test]
fn what_has_changed_since_is_left_alone() {
    let sides = Sides::start();
    let (origin, a) = (sides.origin.client(), sides.a.client());
    a.write_metadata("secret", "few-versions", json!({ "max_versions": 1 }));
    let names = ["later", "by-hand", "purged", "deleted", "destroyed", "few-versions", "fine"];
    origin.write_all("secret", names.map(|name| (name.to_owned(), n(1))));
    let _ = sides.sync(&["--destination", "a"]);
    origin.write_all("secret", names.map(|name| (name.to_owned(), n(2))));
    let second = sides.sync(&["--destination", "a"]);
    origin.write("secret", "later", &n(3));
    let _ = sides.sync(&["--destination", "a"]);
    a.write("secret", "by-hand", &n(30));
    a.remove("secret", "purged");
    a.delete("secret", "deleted");
    a.destroy("secret", "destroyed", &[1]);

    let _ = sides.vsync.run(&["undo", &second, "--dry-run", "--destination", "a"]).expect(3);
    let run = sides.undo(&second, &["--yes", "--destination", "a"]).expect(3);
    let impossible = objects(&run, "impossible");
    let reason = |name: &str| {
        let path = format!("secret/{name}");
        let found = impossible.iter().find(|object| object["path"] == path.as_str());
        found.unwrap_or_else(|| panic!("{name}: {}", run.stdout))["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason("later"), "a later cycle has changed it since: version 3 is there, the cycle left 2");
    assert_eq!(reason("by-hand"), "somebody else has changed it since: version 3 is there, the cycle left 2");
    assert_eq!(reason("purged"), "it was removed with all its versions");
    assert_eq!(reason("deleted"), "it was deleted since, by a later cycle or by somebody else");
    assert_eq!(reason("destroyed"), "version 1, which was there before, is destroyed");
    assert_eq!(reason("few-versions"), "version 1, which was there before, is no longer kept: the oldest one is 2");
    assert_eq!(impossible.len(), 6);
    assert_eq!(a.read("secret", "fine"), Some(n(1)));
    assert_eq!(a.read("secret", "later"), Some(n(3)));
    assert_eq!(a.read("secret", "by-hand"), Some(n(30)));
    assert_eq!(version(&a, "deleted"), 2);

    // nothing else can be put back: nothing is begun
    let run = sides.undo(&second, &["--yes", "--destination", "a", "--path", "secret/by-*"]).expect(4);
    assert_eq!(objects(&run, "report"), [] as [Value; 0]);
    // what it never touched, and cycles there never were
    let _ = sides.undo(&second, &["--yes", "--path", "secret/nothing/**"]).expect(1);
    let _ = sides.undo("0190aaaa", &["--yes"]).expect(1);
    let run = sides.undo("0", &["--yes"]).expect(64);
    assert!(run.stderr.contains("give more of the id"), "{}", run.stderr);
}

#[test]
fn what_was_there_before_vsync_comes_back() {
    let sides = Sides::start();
    let (origin, a) = (sides.origin.client(), sides.a.client());
    origin.write("secret", "existing", &n(1));
    origin.write("secret", "gone-before", &n(1));
    origin.write("secret", "equal", &n(1));
    a.write("secret", "existing", &n(70));
    a.write("secret", "existing", &n(71));
    a.write("secret", "gone-before", &n(72));
    a.delete("secret", "gone-before");
    let first = sides.sync(&["--destination", "a", "--on-existing", "overwrite"]);
    assert_eq!(a.read("secret", "existing"), Some(n(1)));
    assert_eq!(a.read("secret", "gone-before"), Some(n(1)));
    // by the beginning of its id, as far as it is told apart
    let _ = sides.undo(&first[..35], &["--yes"]).expect(0);
    assert_eq!(a.read("secret", "existing"), Some(n(71)));
    assert_eq!(a.read("secret", "gone-before"), None, "it was deleted before, and is again");
    assert_eq!(a.read("secret", "equal"), None);
    // what is there now is not taken for the origin's, nor for vsync's
    let plan = sides.vsync.run(&["plan", "--destination", "a", "--output", "json"]).expect(2);
    assert_eq!(objects(&plan, "plan")[0]["add"], 3, "{}", plan.stdout);
    let _ = sides.vsync.run(&["sync", "--yes", "--destination", "a"]).expect(3);
    assert_eq!(a.read("secret", "existing"), Some(n(71)));
    assert_eq!(a.read("secret", "equal"), Some(n(1)));
}

#[test]
fn drift_that_was_written_over_comes_back_as_drift() {
    let sides = Sides::start();
    let (origin, a) = (sides.origin.client(), sides.a.client());
    origin.write_all("secret", (0..6).map(|i| (format!("app-{i}"), n(i))));
    let _ = sides.sync(&["--destination", "a"]);
    a.write("secret", "app-1", &n(71));
    a.write("secret", "app-2", &n(72));
    a.delete("secret", "app-3");
    origin.write("secret", "app-1", &n(11));
    origin.delete("secret", "app-2");
    origin.delete("secret", "app-3");
    let flags = ["--destination", "a", "--on-drift", "overwrite", "--set", "destinations.a.guards.max_delete=50%"];
    let second = sides.sync(&flags);
    assert_eq!((a.read("secret", "app-1"), a.read("secret", "app-2")), (Some(n(11)), None));

    let run = sides.undo(&second, &["--yes"]).expect(0);
    assert_eq!((a.read("secret", "app-1"), a.read("secret", "app-2")), (Some(n(71)), Some(n(72))));
    assert_eq!(a.read("secret", "app-3"), None, "somebody else had deleted it");
    assert_eq!(objects(&run, "undo")[0]["untouched"], 1);
    let run = sides.vsync.run(&["sync", "--yes", "--destination", "a"]).expect(3);
    assert!(run.stdout.contains("secret/app-1"), "{}", run.stdout);
    assert_eq!((a.read("secret", "app-1"), a.read("secret", "app-2")), (Some(n(71)), Some(n(72))));
}
