//! Names that would like to be more than names: copied to the byte, and shown as something that no terminal obeys.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{BaoOptions, BaoServer, RootClient, Run, Vsync, canary};
use crate::terminal::Console;

/// Three cannot be had at all: a segment `.` or `..` is taken away by whatever reads the URL, escaped or not, and with a
/// line feed in it a path is no path to the server.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "esc\x1b[2J\x1b[31mred\x1b]0;title\x07",
        "csi\u{9b}31m",
        "osc\u{9d}0;title\u{9c}",
        "override\u{202e}gpj.exe",
        "isolate\u{2066}a\u{2067}b\u{2068}c\u{2069}",
        "marks\u{200e}\u{200f}\u{61c}\u{202a}\u{202b}\u{202c}\u{202d}",
        "zero\u{200b}width\u{200c}joiner\u{200d}bom\u{feff}",
        "soft\u{ad}hyphen",
        "tag\u{e0041}\u{e007f}",
        "carriage\rreturn",
        "tab\tulator",
        "separator\u{2028}line\u{2029}paragraph",
        "next\u{85}line",
        "delete\u{7f}",
        "backspace\u{8}\u{8}\u{8}",
        " leading",
        "trailing ",
        " ",
        "a",
        "a/b",
        "a/b/c",
        "...",
        "..a/..b",
        "dots/.../end..",
        "100%/%2e%2e/%00/%",
        "it's \"quoted\" `too`",
        "=cmd|'/c calc'!A1",
        "<script>alert(1)</script>",
        "back\\slash\\n",
        "$(reboot);`x`&|",
        // one and the same to the eye, two names
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{fb01}le",
        "file",
        "日本/🔑/ünï",
    ]
    .into_iter()
    .map(|name| format!("odd/{name}"))
    .collect();
    // four kilobytes: in one piece, in many, and of what is shown longer than it is
    names.push(format!("long/{}", "x".repeat(4_096)));
    names.push(format!("long/{}end", format!("{}/", "d".repeat(99)).repeat(40)));
    names.push(format!("long/{}", "\u{202e}\x1b[A".repeat(300)));
    names
}

fn is_hostile(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn assert_harmless(what: &str, text: &str) {
    if let Some(at) = text.find(is_hostile) {
        let around: String = text[..at].chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
        let c = text[at..].chars().next().expect("a character");
        panic!("{what} holds {c:?} raw, after {around:?}");
    }
}

fn data(client: &RootClient) -> BTreeMap<String, String> {
    client.read_all("secret")
}

/// Every text in what a command gave as JSON.
fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            into.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(entries) => entries.values().for_each(|entry| texts(entry, into)),
        _ => {}
    }
}

/// Of a run that gave JSON: that it is harmless, and every text in it.
fn decoded(run: &Run) -> BTreeSet<String> {
    assert_harmless("JSON", &run.text());
    let mut all = BTreeSet::new();
    for line in run.stdout.lines() {
        texts(&serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")), &mut all);
    }
    all
}

fn assert_names(all: &BTreeSet<String>, names: &[String], what: &str) {
    let missing: Vec<&String> = names.iter().filter(|name| !all.contains(&format!("secret/{name}"))).collect();
    assert!(missing.is_empty(), "{what} does not name {} exactly, {:?} …", missing.len(), missing[0]);
}

fn logs(folder: &Path) -> String {
    let logs =
        fs::read_dir(folder.join("state/vsync/logs")).expect("no error").map(|entry| entry.expect("no error").path());
    logs.filter(|file| file.to_string_lossy().contains(".log"))
        .map(|file| fs::read_to_string(file).expect("no error"))
        .collect()
}

struct Bench {
    origin: BaoServer,
    destination: BaoServer,
    vsync: Vsync,
}

impl Bench {
    /// `log` is the log's type.
    fn start(log: &str) -> Self {
        let options = BaoOptions { any_name: true, ..BaoOptions::default() };
        let (origin, destination) = (BaoServer::with(options), BaoServer::with(options));
        origin
            .client()
            .write_all("secret", names().into_iter().map(|name| (name.clone(), json!({ "v": canary(name.len()) }))));
        let vsync = Vsync::new(&format!(
            "log = {{ type = \"{log}\", level = \"debug\" }}\norigin.mounts = [\"secret\"]\n\
             origin.vault = {{ address = \"{}\", token = \"least+scan\" }}\n\
             [[destinations]]\nname = \"copy\"\n\
             vault = {{ address = \"{}\", token = \"least+verify\", max_retries = 0 }}\n",
            origin.address(),
            destination.address()
        ));
        Self { origin, destination, vsync }
    }

    /// From now on nothing but this may be done at the destination.
    fn confine(&self, rules: &str) {
        let destination = self.destination.client();
        let (policy, _) = destination.policy_of(&self.vsync.tokens()[1]);
        destination.policy(&policy, rules);
    }
}

#[test]
fn hostile_names_are_copied_exactly() {
    let Bench { origin, destination, vsync } = Bench::start("console");
    let mut there = data(&origin.client());
    let (found, sent) = (there.keys().cloned().collect::<BTreeSet<_>>(), names().into_iter().collect::<BTreeSet<_>>());
    assert!(
        found == sent,
        "the origin took them otherwise: {:?}",
        found.symmetric_difference(&sent).collect::<Vec<_>>()
    );
    for listing in ["plain", "detailed", "scan"] {
        let run = vsync.run(&["--set", &format!("origin.listing={listing}"), "sync", "--yes"]).expect(0);
        assert_harmless("sync", &run.text());
        assert!(data(&destination.client()) == there, "{listing}");
        destination.client().remove("secret", "odd/a");
        destination.client().remove("secret", "odd/trailing ");
        let run = vsync.run(&["verify"]).expect(2);
        assert_harmless("verify", &run.text());
        for gone in ["secret/odd/a", "secret/odd/trailing "] {
            assert!(run.stdout.contains(gone.trim_end()), "{gone}: {}", run.stdout);
        }
        assert!(data(&destination.client()).contains_key("odd/a/b"), "what lies below is another secret");
        origin.client().write("secret", "odd/a", &json!({ "v": canary(listing) }));
        origin.client().write("secret", "odd/trailing ", &json!({ "v": canary(listing) }));
        let _ = vsync.run(&["--destination", "copy", "sync", "--yes", "--on-drift", "overwrite"]);
        let _ = vsync.run(&["--destination", "copy", "retry", "--yes", "--on-drift", "overwrite"]);
        there = data(&origin.client());
        assert!(data(&destination.client()) == there, "{listing}");
    }
}

#[test]
fn hostile_names_do_no_harm_in_text_json_logs_and_exports() {
    for log in ["console", "json"] {
        let first = Bench::start(log);
        let (vsync, all) = (&first.vsync, names());
        let run = vsync.run(&["--output", "json", "plan"]).expect(2);
        assert_names(&decoded(&run), &all, "plan");
        assert_harmless("plan", &vsync.run(&["plan"]).expect(2).text());
        let _ = vsync.run(&["plan", "--out", "saved.plan"]).expect(2);
        assert_harmless("a saved plan", &fs::read_to_string(vsync.folder().join("saved.plan")).expect("no error"));

        // nothing may be written: everything fails, and is named wherever failures are
        let denied = Bench::start(log);
        denied.confine("path \"secret/*\" { capabilities = [\"list\", \"scan\"] }\npath \"secret/metadata/*\" { capabilities = [\"read\"] }");
        let vsync = &denied.vsync;
        assert_harmless("sync", &vsync.run(&["--log-level", "debug", "sync", "--yes"]).expect(3).text());
        let run = vsync.run(&["--output", "json", "retry", "--yes"]).expect(3);
        assert_names(&decoded(&run), &all, "retry");
        for command in [&["status"][..], &["history"], &["verify"]] {
            let run = vsync.run(command);
            assert_harmless(command[0], &run.text());
            let _ = decoded(&vsync.run(&[&["--output", "json"], command].concat()));
        }
        let run = vsync.run(&["--output", "json", "history"]).expect(0);
        let first: Value = serde_json::from_str(run.stdout.lines().next().expect("a cycle")).expect("no error");
        let cycle = first["cycle"].as_str().expect("its number");
        assert_harmless("history of one", &vsync.run(&["history", cycle]).expect(0).text());
        assert_names(&decoded(&vsync.run(&["--output", "json", "history", cycle]).expect(0)), &all, "history");
        for kind in ["json", "csv", "html"] {
            let _ = vsync.run(&["history", cycle, "--export", &format!("report.{kind}")]).expect(0);
            let text = fs::read_to_string(vsync.folder().join(format!("report.{kind}"))).expect("no error");
            assert_harmless(kind, &text);
            if kind == "json" {
                let mut found = BTreeSet::new();
                texts(&serde_json::from_str(&text).expect("no error"), &mut found);
                // the state's form of a path says where its mount ends
                let exact = |name: &str| found.iter().any(|text| text.ends_with(name));
                assert!(all.iter().all(|name| exact(name)), "the export does not hold every name exactly");
            }
        }
        let text = logs(vsync.folder());
        assert_harmless("the log", &text);
        assert!(text.contains("odd/esc") && text.contains("gpj.exe"), "failures are in the log:\n{text}");
        if log == "json" {
            let mut found = BTreeSet::new();
            text.lines().for_each(|line| texts(&serde_json::from_str(line).expect("a line is an object"), &mut found));
            assert_names(&found, &all, "the log");
        }
    }
}

#[test]
fn hostile_names_do_no_harm_in_the_console() {
    let bench = Bench::start("console");
    bench.confine("path \"secret/*\" { capabilities = [\"list\", \"scan\"] }");
    let vsync = &bench.vsync;
    let _ = vsync.run(&["sync", "--yes"]).expect(3);
    let config = vsync.folder().join("vsync.toml").display().to_string();
    let state = vsync.folder().join("state").display().to_string();
    for size in [(80, 24), (200, 60)] {
        let mut console = Console::start(&["--config", &config], size, &[("XDG_STATE_HOME", &state)]);
        console.wait_for_texts(&["as of "]);
        let show = |console: &mut Console, keys: &str, texts: &[&str]| {
            console.keys(keys);
            let screen = console.wait_for_texts(texts);
            let text = screen.contents();
            assert_harmless(&format!("the screen after {keys:?}"), &text);
        };
        show(&mut console, "2", &["Origin", "odd/"]);
        // every folder open, every row passed
        for _ in 0..60 {
            show(&mut console, "lj", &["Origin"]);
        }
        show(&mut console, "3", &["Tasks"]);
        for _ in 0..40 {
            show(&mut console, "j", &["Tasks"]);
        }
        show(&mut console, "5", &["Failures"]);
        for _ in 0..40 {
            show(&mut console, "j", &["Failures"]);
        }
        // keys that come faster than frames pass rows unseen: this one is looked for
        show(&mut console, "/gpj", &["gpj.exe"]);
        console.keys("\r");
        show(&mut console, "6", &["History"]);
        show(&mut console, "\r", &["History"]);
        show(&mut console, "8", &["Logs"]);
        show(&mut console, "1", &["Attention"]);
        // what it sent beside its own sequences: no title, no right-to-left, no eight-bit control
        let sent = console.bytes();
        assert!(!sent.contains("\x1b]0;") && !sent.contains("\x1b[31mred"), "an escape sequence of a name was sent");
        let raw = |c: char| ('\u{80}'..='\u{9f}').contains(&c) || (is_hostile(c) && !c.is_control());
        assert_eq!(sent.find(raw), None, "a control or bidirectional character of a name was sent");
        console.keys("q");
        assert_eq!(console.wait_for_end().code, 0);
    }
}
