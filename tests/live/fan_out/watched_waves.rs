//! Waves while watching: a later one waits as long as a failure of an earlier one stands.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{at, config, seed};
use crate::support::{BaoServer, Fault, FaultProxy, Vsync, When, canary};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_watch_keeps_a_wave_waiting_while_failures_of_an_earlier_one_stand() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 5);
    there.client().enable_kv("staging");
    there.client().enable_kv("east");
    let proxy = FaultProxy::start(&there.address());
    let address = proxy.address();
    let destinations = [("east", address.as_str(), "wave = 2"), ("staging", address.as_str(), "")];
    let vsync = Vsync::new(&config(&origin.address(), "", &destinations));
    let refused = proxy.rule("POST", "^/v1/staging/data/app/3$", When::Always, Fault::Status(403));
    let mut daemon = vsync.background("watch", &["sync", "--watch", "--tick", "1s"], &[]);
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
