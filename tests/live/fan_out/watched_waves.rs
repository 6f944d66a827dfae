//! Waves while watching: a later one waits as long as a failure of an earlier one stands.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{at, config, seed};
use crate::support::{BaoServer, Fault, FaultProxy, FaultRule, Vsync, When, canary};
use crate::terminal::Console;

const LIMIT: Duration = Duration::from_mins(1);

/// Two destinations in waves, the first of which cannot write one secret.
struct Waves {
    origin: BaoServer,
    there: BaoServer,
    proxy: FaultProxy,
    vsync: Vsync,
    refused: FaultRule,
}

impl Waves {
    fn start() -> Self {
        let (origin, there) = (BaoServer::start(), BaoServer::start());
        seed(&origin, 5);
        there.client().enable_kv("staging");
        there.client().enable_kv("east");
        let proxy = FaultProxy::start(&there.address());
        let address = proxy.address();
        let destinations = [("east", address.as_str(), "wave = 2"), ("staging", address.as_str(), "")];
        let vsync =
            Vsync::new(&config(&origin.address(), "", &destinations).replace("[origin]", "[origin]\ntick = \"1s\""));
        let refused = proxy.rule("POST", "^/v1/staging/data/app/3$", When::Always, Fault::Status(403));
        Self { origin, there, proxy, vsync, refused }
    }
}

#[test]
fn a_watch_keeps_a_wave_waiting_while_failures_of_an_earlier_one_stand() {
    let Waves { origin, there, proxy, vsync, refused } = Waves::start();
    let mut daemon = vsync.background("watch", &["sync", "--watch"], &[]);
    daemon.wait_for("east: it waits until wave 1 has ended without failures: staging has not", LIMIT);

    // each of these comes with a later tick
    let write = |name: &str, what: &str| origin.client().write("secret", name, &json!({ "v": canary(what) }));
    for (name, what) in [("app/0", "changed"), ("app/9", "new"), ("app/1", "changed")] {
        let before = refused.picked();
        write(name, what);
        let begun = Instant::now();
        while there.client().read("staging", name) != Some(json!({ "v": canary(what) })) {
            assert!(begun.elapsed() < LIMIT, "{name} is not copied:\n{}", daemon.told());
            sleep(Duration::from_millis(50));
        }
        // what failed is another task now, which is tried at once, and fails
        write("app/3", what);
        refused.wait_until_picked(before + 1);
    }
    // and once more after the pause that a failure is given
    refused.wait_until_picked(refused.picked() + 1);
    assert_eq!(proxy.requests("POST", "^/v1/east/"), [], "the later wave was begun:\n{}", daemon.told());

    refused.remove();
    let begun = Instant::now();
    while at(&there, "east") != at(&origin, "secret") {
        assert!(begun.elapsed() < LIMIT, "the later wave does not follow:\n{}", daemon.told());
        sleep(Duration::from_millis(50));
    }
    assert_eq!(at(&there, "staging"), at(&origin, "secret"));
    let versions = there.client().metadata_all("east");
    assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "written once");
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
}

#[test]
fn the_console_s_watch_keeps_a_later_wave_waiting_and_says_what_for() {
    let Waves { origin, there, proxy, vsync, refused } = Waves::start();
    let file = vsync.folder().join("vsync.toml").display().to_string();
    let mut console = Console::start(&["--config", &file], (140, 40), &[]);
    console.wait_for_texts(&["as of "]);
    console.keys("4w");
    console.wait_for_texts(&["Start watch mode?", " y yes "]);
    console.keys("y1");
    console.wait_for_texts(&["it waits until wave 1 has ended without failures: staging has not"]);
    origin.client().write("secret", "app/9", &json!({ "v": canary("new") }));
    let begun = Instant::now();
    while there.client().read("staging", "app/9").is_none() {
        assert!(begun.elapsed() < LIMIT, "it is not copied");
        sleep(Duration::from_millis(50));
    }
    // what failed is tried again after its pause
    refused.wait_until_picked(refused.picked() + 1);
    assert_eq!(proxy.requests("POST", "^/v1/east/"), []);
    refused.remove();
    console.wait_for_no("it waits until wave 1");
    let begun = Instant::now();
    while at(&there, "east") != at(&origin, "secret") {
        assert!(begun.elapsed() < LIMIT, "the later wave does not follow");
        sleep(Duration::from_millis(50));
    }
    console.keys("q");
    console.wait_for_texts(&["Quit?"]);
    console.keys("y");
    assert_eq!(console.wait_for_end().code, 0);
}
