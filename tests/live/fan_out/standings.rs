//! What is said of destinations that wait: to programs, on a line of progress, on the console's screen.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::{at, config, seed};
use crate::support::{BaoServer, Fault, FaultProxy, FaultRule, Vsync, When, canary};
use crate::terminal::Console;

const LIMIT: Duration = Duration::from_mins(1);

/// Three destinations that wait: `away` for its server, `checked` for the look at its canary, `later` for its wave.
struct Waiting {
    origin: BaoServer,
    there: BaoServer,
    vsync: Vsync,
    // with them the rules' connections would go
    _proxies: [FaultProxy; 2],
    rules: Vec<FaultRule>,
}

impl Waiting {
    fn new() -> Self {
        let (origin, there) = (BaoServer::start(), BaoServer::start());
        seed(&origin, 5);
        origin.client().write("secret", "canary/a", &json!({ "v": canary(1) }));
        for mount in ["away", "checked", "later"] {
            there.client().enable_kv(mount);
        }
        let proxies = [(); 2].map(|()| FaultProxy::start(&there.address()));
        let (away, checked) = (proxies[0].address(), proxies[1].address());
        let destinations = [
            ("away", away.as_str(), "patience = \"10m\""),
            ("checked", &checked, "canary = [\"secret/canary/**\"]"),
            ("later", &there.address(), "wave = 2"),
        ];
        let vsync = Vsync::new("");
        // one at a terminal has another home
        let state = format!("state.file = \"{}\"", vsync.folder().join("state.redb").display());
        vsync.configure(&config(&origin.address(), &state, &destinations));
        let rules = vec![
            proxies[0].rule("", "", When::Always, Fault::Reset),
            proxies[1].rule("GET", "/checked/data/canary/a$", When::Always, Fault::Hold),
        ];
        Self { origin, there, vsync, _proxies: proxies, rules }
    }

    fn config(&self) -> PathBuf {
        self.vsync.folder().join("vsync.toml")
    }

    /// Nothing is in the way any more.
    fn release(&mut self) {
        self.rules.drain(..).for_each(FaultRule::remove);
    }

    fn assert_equal(&self) {
        for mount in ["away", "checked", "later"] {
            assert_eq!(at(&self.there, mount), at(&self.origin, "secret"), "{mount}");
        }
    }
}

#[test]
fn programs_are_told_who_waits_and_why() {
    let mut waiting = Waiting::new();
    let mut cycle = waiting.vsync.background("sync", &["--output", "json", "sync", "--yes"], &[]);
    cycle.wait_for("\"standing\":\"set_aside\"", LIMIT);
    cycle.wait_for("\"standing\":\"verifying\"", LIMIT);
    waiting.release();
    assert_eq!(cycle.end(LIMIT), Some(0), "{}", cycle.told());
    waiting.assert_equal();

    let told = cycle.told();
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("nothing but JSON"));
    let progress: Vec<Value> = lines.filter(|object| object["type"] == "progress").collect();
    let of = |object: &Value, name: &str| {
        let parts = object["destinations"].as_array().expect("destinations").iter();
        parts.clone().find(|part| part["destination"] == name).expect("the destination").clone()
    };
    let all_wait = progress.iter().find(|object| of(object, "away")["standing"] == "set_aside").expect("it was told");
    assert_eq!(
        (&all_wait["phase"], &all_wait["planned"], &all_wait["failed"]),
        (&json!("running"), &json!(18), &json!(0))
    );

    let away = of(all_wait, "away");
    assert_eq!((&away["server"], &away["planned"], &away["ended"]), (&json!("destination"), &json!(6), &json!(0)));
    assert!(away["reason"].as_str().is_some_and(|reason| reason.contains("connection")), "{away}");
    assert!(away["since"].as_f64() > Some(0.0) && away["next"].as_f64() >= Some(0.0), "{away}");
    let checked = of(all_wait, "checked");
    let expected = json!({ "destination": "checked", "planned": 6, "ended": 1, "failed": 0, "standing": "verifying" });
    assert_eq!(checked, expected);
    let later = of(all_wait, "later");
    let expected = json!({
        "destination": "later", "planned": 6, "ended": 0, "failed": 0, "standing": "after_wave", "wave": 1,
    });
    assert_eq!(later, expected);
}

#[test]
fn a_line_of_progress_says_who_is_set_aside_and_that_canaries_are_verified() {
    let mut waiting = Waiting::new();
    let texts = ["away set aside: ", "checked: canaries are verified"];
    // where lines cannot be changed
    let mut cycle = waiting.vsync.background("sync", &["sync", "--yes"], &[]);
    for text in texts {
        cycle.wait_for(text, LIMIT);
    }
    cycle.signal("INT");
    assert_eq!(cycle.end(LIMIT), Some(130), "{}", cycle.told());
    // at a terminal
    let console =
        Console::start(&["--config", &waiting.config().display().to_string(), "sync", "--yes"], (200, 24), &[]);
    console.wait_for_texts(&texts);
    waiting.release();
    assert_eq!(console.wait_for_exit(), 0);
    waiting.assert_equal();
}

#[test]
fn the_console_says_who_waits_and_for_what() {
    let mut waiting = Waiting::new();
    let mut console = Console::start(&["--config", &waiting.config().display().to_string()], (140, 40), &[]);
    console.wait_for_texts(&["as of "]);
    console.keys("3");
    console.wait_for_texts(&["18 "]);
    console.keys("X");
    console.wait_for_texts(&[" y yes "]);
    console.keys("y");
    console.wait_for_texts(&["running", "set aside: ", "verifying canary", "waits for wave 1"]);
    waiting.release();
    console.wait_for_texts(&["Cycle completed: 18 done, 0 failed, 0 pending."]);
    console.wait_for_no("set aside: ");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
    waiting.assert_equal();
}

/// It is what every destination waits for.
#[test]
fn programs_are_told_that_the_origin_is_away() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 5);
    for mount in ["one", "two"] {
        there.client().enable_kv(mount);
    }
    let (proxy, address) = (FaultProxy::start(&origin.address()), there.address());
    let destinations = [("one", address.as_str(), ""), ("two", address.as_str(), "")];
    let vsync = Vsync::new(&config(&proxy.address(), "", &destinations));
    // it has been listed when it goes
    let gone = [
        proxy.rule("GET", "^/v1/secret/data/", When::Always, Fault::Reset),
        proxy.rule("", "^/v1/sys/health", When::From(2), Fault::Reset),
    ];
    let mut cycle = vsync.background("sync", &["--output", "json", "sync", "--yes"], &[]);
    cycle.wait_for("\"server\":\"origin\"", LIMIT);
    gone.into_iter().for_each(FaultRule::remove);
    assert_eq!(cycle.end(LIMIT), Some(0), "{}", cycle.told());
    let told = cycle.told();
    let line = told.lines().find(|line| line.contains("\"server\":\"origin\"")).expect("it was told");
    let object: Value = serde_json::from_str(line).expect("JSON");
    for part in object["destinations"].as_array().expect("destinations") {
        assert_eq!((&part["standing"], &part["server"]), (&json!("set_aside"), &json!("origin")), "{object}");
        assert!(part["reason"].as_str().is_some_and(|reason| reason.contains("connection")), "{object}");
    }
    for mount in ["one", "two"] {
        assert_eq!(at(&there, mount), at(&origin, "secret"), "{mount}");
    }
}
