//! Two operators on two machines, with their state in one Consul, who copy to the same destinations at the same time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulServer, Fault, FaultProxy, Vsync, When, canary};

const NAMES: [&str; 3] = ["east", "north", "west"];

fn config(origin: &str, there: &str, consul: &str) -> String {
    let mut text = format!(
        "[origin]\nmounts = [\"secret\"]\nvault = {{ address = \"{origin}\", token = \"least\", max_retries = 1 }}\n\
         consul = {{ address = \"{consul}\" }}\n"
    );
    for name in NAMES {
        let _ = write!(
            text,
            "[[destinations]]\nname = \"{name}\"\nmounts = [\"{name}\"]\nnum_workers = 2\nsync_path = \"vsync/{name}/\"\n\
             vault = {{ address = \"{there}\", token = \"least\", max_retries = 1 }}\nconsul = {{ address = \"{consul}\" }}\n\
             transforms = [{{ name = \"own\", from = \"^secret/data/(?P<rest>.+)$\", to = \"{name}/data/${{rest}}\" }}]\n"
        );
    }
    text
}

#[test]
fn the_second_operator_is_told_who_holds_one_destination_and_does_the_others() {
    let (origin, there, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    let proxy = FaultProxy::start(&there.address());
    origin.client().write_all("secret", (0..30).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
    for name in NAMES {
        there.client().enable_kv(name);
    }
    let text = config(&origin.address(), &proxy.address(), &consul.address());
    let (anna, ben) = (Vsync::new(&text), Vsync::new(&text));
    let held = proxy.rule("POST", "^/v1/north/data/", When::From(5), Fault::Hold);
    let only = ["sync", "--yes", "--destination", "north"];
    let mut first = anna.background("first", &only, &[]);
    held.wait_until_picked(2);

    let limit = Duration::from_mins(1);
    let json = ["sync", "--yes", "--output", "json"];
    let mut second = ben.background("second", &json, &[]);
    assert_eq!(second.end(limit), Some(5), "{}", second.told());
    let given = second.given();
    let objects = given.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let report = objects.into_iter().find(|one| one["type"] == "report").unwrap();
    let parts = report["destinations"].as_array().unwrap();
    for part in parts {
        let is_held = part["destination"] == "north";
        assert_eq!(
            (&part["done"]["add"], part["pending"] == 0),
            (&json!(if is_held { 0 } else { 30 }), !is_held),
            "{part}"
        );
        if is_held {
            assert_eq!(
                (&part["locked"]["pid"], &part["locked"]["purpose"]),
                (&json!(first.id()), &json!("sync")),
                "{part}"
            );
            assert!(part["blocked"].as_str().unwrap().starts_with("its lock is held by "), "{part}");
        } else {
            assert!(part["locked"].is_null() && part["blocked"].is_null(), "{part}");
        }
    }
    for name in ["east", "west"] {
        assert_eq!(there.client().read_all(name), origin.client().read_all("secret"), "{name}");
    }
    assert!(there.client().read_all("north").len() < 5 + 2, "only the first one works there");
    // and so it is for people: who, where, since when, for what
    let mut third = ben.background("third", &["sync", "--yes"], &[]);
    assert_eq!(third.end(limit), Some(5));
    let told = third.given();
    let line =
        told.lines().find(|line| line.starts_with("north: nothing was written")).unwrap_or_else(|| panic!("{told}"));
    for part in ["held by ", " on ", &format!("(process {}, sync)", first.id()), " since "] {
        assert!(line.contains(part), "{part}: {line}");
    }

    held.remove();
    assert_eq!(first.end(limit), Some(0), "{}", first.told());
    let _ = ben.run(&["sync", "--yes"]).expect(0);
    for name in NAMES {
        assert_eq!(there.client().read_all(name), origin.client().read_all("secret"), "{name}");
        let all = there.client().metadata_all(name);
        assert!(all.values().all(|metadata| metadata["current_version"] == 1), "{name}: each once");
    }
    let _ = anna.run(&["plan"]).expect(0);
}
