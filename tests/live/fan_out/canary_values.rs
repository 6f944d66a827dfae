//! Canaries are verified by what can be read back: the value, or at least the version.

use std::fmt::Display;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{at, config, part, seed};
use crate::support::{BaoServer, Fault, FaultProxy, Vsync, When, canary};

const COPY: &str = "^/v1/there/data/canary/a$";
const METADATA: &str = "^/v1/there/metadata/canary/a$";

/// A canary and ten other secrets, to be copied through a proxy.
fn prepare() -> (BaoServer, BaoServer, FaultProxy, Vsync) {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    seed(&origin, 10);
    origin.client().write("secret", "canary/a", &value("right"));
    there.client().enable_kv("there");
    let proxy = FaultProxy::start(&there.address());
    let top = "canary = [\"secret/canary/**\"]";
    let vsync = Vsync::new(&config(&origin.address(), top, &[("there", &proxy.address(), "")]));
    (origin, there, proxy, vsync)
}

fn value(what: impl Display) -> Value {
    json!({ "v": canary(what) })
}

/// What a server says of the copy when it is read.
fn read(value: &Value, version: u64) -> Fault {
    let metadata = json!({
        "created_time": "2026-01-02T03:04:05.678901234Z", "custom_metadata": null, "deletion_time": "",
        "destroyed": false, "version": version,
    });
    Fault::Answer(200, json!({ "data": { "data": value, "metadata": metadata } }).to_string())
}

/// What it says of the copy's metadata.
fn metadata(version: u64) -> Fault {
    let time = "2026-01-02T03:04:05.678901234Z";
    let versions = json!({ version.to_string(): { "created_time": time, "deletion_time": "", "destroyed": false } });
    let data = json!({
        "cas_required": false, "created_time": time, "current_version": version, "custom_metadata": null,
        "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0, "updated_time": time, "versions": versions,
    });
    Fault::Answer(200, json!({ "data": data }).to_string())
}

/// A cycle that stops before the rest: why.
fn blocked(vsync: &Vsync, pending: usize) -> String {
    let report = part(&vsync.run(&["--output", "json", "sync", "--yes"]).expect(1), "there");
    assert_eq!((&report["failed"], &report["pending"]), (&json!(0), &json!(pending)), "{report}");
    report["blocked"].as_str().expect("a reason").to_owned()
}

fn assert_nothing_but_the_canary(there: &BaoServer) {
    assert_eq!(at(there, "there").into_keys().collect::<Vec<_>>(), ["canary/a"]);
}

/// The next cycle does all that is left, and what has been written is not written again.
fn assert_goes_on(origin: &BaoServer, there: &BaoServer, vsync: &Vsync) {
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(there, "there"), at(origin, "secret"));
    let versions = there.client().metadata_all("there");
    assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "written once");
}

#[test]
fn a_canary_that_reads_back_as_another_value_stops_the_rest() {
    let (origin, there, proxy, vsync) = prepare();
    let other = proxy.rule("GET", COPY, When::Always, read(&value("another"), 1));
    let reason = blocked(&vsync, 10);
    let expected = "there/canary/a is in canary, and it differs from the origin's version 1; so the rest was not begun";
    assert_eq!(reason, expected);
    assert_nothing_but_the_canary(&there);
    // it is looked at again before anything else
    let reason = blocked(&vsync, 10);
    let expected = "there/canary/a is in canary, and it still differs from the origin; so the rest was not begun";
    assert_eq!((reason.as_str(), other.picked()), (expected, 2));
    assert_nothing_but_the_canary(&there);
    other.remove();
    assert_goes_on(&origin, &there, &vsync);
}

#[test]
fn a_canary_of_another_version_stops_the_rest_whatever_its_value() {
    let (origin, there, proxy, vsync) = prepare();
    let other = proxy.rule("GET", COPY, When::Always, read(&value("right"), 7));
    let reason = blocked(&vsync, 10);
    let expected =
        "there/canary/a is in canary, and version 7 is there, and vsync wrote version 1; so the rest was not begun";
    assert_eq!((reason.as_str(), other.picked()), (expected, 1));
    assert_nothing_but_the_canary(&there);
    other.remove();
    assert_goes_on(&origin, &there, &vsync);
}

#[test]
fn where_values_may_not_be_read_a_canary_s_version_must_do() {
    let (origin, there, proxy, vsync) = prepare();
    let denied = proxy.rule("GET", COPY, When::Always, Fault::Status(403));
    let other = proxy.rule("GET", METADATA, When::Always, metadata(7));
    let reason = blocked(&vsync, 10);
    assert!(reason.contains("version 7 is there, and vsync wrote version 1"), "{reason}");
    assert_nothing_but_the_canary(&there);
    other.remove();
    assert_goes_on(&origin, &there, &vsync);
    assert!(denied.picked() >= 2);
}

/// No invented answer: the copy is overwritten between the write and the look at it.
#[test]
fn a_canary_that_somebody_overwrites_before_it_is_looked_at_stops_the_rest() {
    let (origin, there, proxy, vsync) = prepare();
    let looked_at = proxy.rule("GET", COPY, When::First(1), Fault::Hold);
    let cycle = vsync.spawn(&["--output", "json", "sync", "--yes"]);
    looked_at.wait_until_picked(1);
    there.client().write("there", "canary/a", &value("by hand"));
    looked_at.remove();
    let report = part(&cycle.wait().expect(1), "there");
    assert_eq!(report["pending"], 10, "{report}");
    let reason = report["blocked"].as_str().expect("a reason");
    assert!(reason.contains("version 2 is there, and vsync wrote version 1"), "{reason}");
    assert_nothing_but_the_canary(&there);

    // it wants a decision, and until then nothing follows
    let reason = blocked(&vsync, 10);
    assert!(reason.contains("it still differs from the origin"), "{reason}");
    assert_eq!(at(&there, "there").len(), 1);
    assert_eq!(there.client().read("there", "canary/a"), Some(value("by hand")));
    // somebody puts it right
    there.client().write("there", "canary/a", &value("right"));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

#[test]
fn a_deleted_canary_that_can_still_be_read_stops_the_rest() {
    let (origin, there, proxy, vsync) = prepare();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    origin.client().remove("secret", "canary/a");
    origin.client().write("secret", "app/0", &value("new"));
    // the worker looks at it before it deletes; the canaries are looked at afterwards
    let deleted = proxy.rule("DELETE", COPY, When::First(1), Fault::Hold);
    let cycle = vsync.spawn(&["--output", "json", "sync", "--yes"]);
    deleted.wait_until_picked(1);
    let stays = proxy.rule("GET", METADATA, When::Always, metadata(1));
    deleted.remove();
    let report = part(&cycle.wait().expect(1), "there");
    assert_eq!((&report["done"]["delete"], &report["pending"]), (&json!(1), &json!(1)), "{report}");
    let reason = report["blocked"].as_str().expect("a reason");
    assert!(reason.contains("there/canary/a is in canary, and it can still be read after it was deleted"), "{reason}");
    assert!(stays.picked() > 0 && there.client().read("there", "app/0") == Some(json!({ "n": canary(0) })));
    stays.remove();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(at(&there, "there"), at(&origin, "secret"));
}

/// Watching, it is looked at again after growing pauses; changes of others that come meanwhile wait, too.
#[test]
fn a_watch_begins_nothing_while_a_canary_is_not_as_it_should_be() {
    const LIMIT: Duration = Duration::from_mins(1);
    let (origin, there, proxy, vsync) = prepare();
    let other = proxy.rule("GET", COPY, When::Always, read(&value("another"), 1));
    let mut daemon = vsync.background("watch", &["sync", "--watch", "--tick", "1s"], &[]);
    for what in ["new", "newer"] {
        let looked = other.picked();
        origin.client().write("secret", "app/0", &value(what));
        other.wait_until_picked(looked + 2);
    }
    daemon.wait_for("there/canary/a is in canary, and it still differs from the origin", LIMIT);
    assert_nothing_but_the_canary(&there);
    other.remove();
    let begun = Instant::now();
    while at(&there, "there") != at(&origin, "secret") {
        assert!(begun.elapsed() < LIMIT, "the rest does not follow:\n{}", daemon.told());
        sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    let versions = there.client().metadata_all("there");
    assert!(versions.values().all(|metadata| metadata["current_version"] == 1), "written once");
}

#[test]
fn a_watch_begins_nothing_while_a_canary_cannot_be_written() {
    const LIMIT: Duration = Duration::from_mins(1);
    let (origin, there, proxy, vsync) = prepare();
    let refused = proxy.rule("POST", COPY, When::Always, Fault::Status(403));
    let mut daemon = vsync.background("watch", &["sync", "--watch", "--tick", "1s"], &[]);
    daemon.wait_for("there: of the secrets in canary, there/canary/a failed, so the rest was not begun", LIMIT);
    daemon.wait_for("it waits until secret/canary/a has been copied: it is in canary, and failed", LIMIT);
    for what in ["new", "newer"] {
        let tried = refused.picked();
        origin.client().write("secret", "app/0", &value(what));
        // another version is tried at once
        origin.client().write("secret", "canary/a", &value(what));
        refused.wait_until_picked(tried + 1);
    }
    // and the same one after its pause
    refused.wait_until_picked(refused.picked() + 1);
    assert_eq!(at(&there, "there").len(), 0);
    refused.remove();
    let begun = Instant::now();
    while at(&there, "there") != at(&origin, "secret") {
        assert!(begun.elapsed() < LIMIT, "the rest does not follow:\n{}", daemon.told());
        sleep(Duration::from_millis(50));
    }
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    let first = proxy.requests("POST", "^/v1/there/data/app/")[0].began;
    let canaries = proxy.requests("POST", COPY);
    assert!(canaries.iter().any(|one| one.status == Some(200) && one.ended <= first), "the canary comes first");
}
