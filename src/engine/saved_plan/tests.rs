use std::collections::HashMap;
use std::sync::Arc;

use super::stale::Approved;
use super::*;
use crate::engine::binding::Binding;
use crate::engine::plan::{Remembered, build};
use crate::engine::{
    Cause, DestinationPlan, Drift, Failure, MaxDelete, Operator, Rule, Transforms, UnknownSubtree, testing,
};
use crate::kv::Mount;
use crate::sync_info::SyncInfo;

fn mount() -> Mount {
    Mount::parse("secret").expect("a mount")
}

fn path(name: &str) -> SecretPath {
    SecretPath::new(&mount(), name)
}

fn info(entries: &[(&str, u64)]) -> SyncInfo {
    let mut info = SyncInfo::new(3);
    for (name, version) in entries {
        info.insert(path(name), testing::insight(*version));
    }
    info
}

fn inventory(entries: &[(&str, u64)]) -> Inventory {
    Inventory { secrets: info(entries), ..Inventory::empty(3) }
}

fn destination() -> Destination {
    Destination { max_delete: MaxDelete::Percent(100.0), ..testing::destination("there", &mount()) }
}

/// What would be planned, the destination's versions being as the closure says.
fn planned(
    inventory: &Inventory,
    destination: &Destination,
    recorded: &[(&str, u64)],
    version: impl Fn(&Task) -> Expected,
) -> DestinationPlan {
    let remembered = Remembered { info: info(recorded), index: None, former: None, ledger: None };
    let mut part = build(&testing::origin(&mount()), inventory, destination, remembered, false);
    for task in &mut part.tasks {
        task.expected = version(task);
    }
    part
}

/// An update, an add and a delete, each of a secret of that name.
fn lines() -> Vec<Line> {
    let there = inventory(&[("add", 1), ("update", 3)]);
    let part = planned(&there, &destination(), &[("update", 2), ("delete", 1)], |_| Expected::Recorded);
    let expected = |task: &Task| if task.operation == Operation::Add { 0 } else { 5 };
    let line = |task: &Task| Line {
        operation: task.operation,
        origin: task.origin.clone(),
        destination: task.destination.clone(),
        rule: Arc::clone(&task.rule),
        insight: task.insight,
        expected: expected(task),
        digest: None,
    };
    part.tasks.iter().map(line).collect()
}

/// What is left of the three lines, and why not the others.
fn judged(inventory: &Inventory, mut part: DestinationPlan) -> (Vec<String>, Vec<(String, Cause, String)>) {
    let stale = Approved { inventory, fidelity: Fidelity::Value }.keep(&mut part, &lines());
    let left = part.tasks.iter().map(|task| {
        assert!(matches!(task.expected, Expected::Version(0 | 5)), "{task:?}");
        task.origin.name().to_owned()
    });
    let stale = stale.into_iter().map(|line| {
        let Failure { origin, cause, message, .. } = line.failure;
        (origin.name().to_owned(), cause, message)
    });
    (left.collect(), stale.collect())
}

fn as_recorded(task: &Task) -> Expected {
    Expected::Version(if task.operation == Operation::Add { 0 } else { 5 })
}

const RECORDED: [(&str, u64); 2] = [("update", 2), ("delete", 1)];

#[test]
fn what_has_not_moved_is_left_and_held_to_its_versions() {
    let there = inventory(&[("add", 1), ("update", 3), ("other", 1)]);
    for version in [as_recorded, |_: &Task| Expected::Recorded] {
        let (left, stale) = judged(&there, planned(&there, &destination(), &RECORDED, version));
        assert_eq!(left, ["add", "delete", "update"], "and nothing that the saved plan does not have");
        assert_eq!(stale, []);
    }
}

#[test]
fn what_has_moved_at_the_origin_is_stale() {
    let there = inventory(&[("update", 4), ("delete", 2)]);
    let (left, stale) = judged(&there, planned(&there, &destination(), &RECORDED, as_recorded));
    assert_eq!(left, [""; 0]);
    let expected = [
        ("add", "the origin no longer has it"),
        ("delete", "the origin has it again"),
        ("update", "the origin has version 4 now, and the plan was made for 3"),
    ];
    assert_eq!(stale, expected.map(|(name, message)| (name.to_owned(), Cause::Moved, message.to_owned())));
}

#[test]
fn what_is_done_already_is_stale() {
    let there = inventory(&[("add", 1), ("update", 3)]);
    let (left, stale) = judged(&there, planned(&there, &destination(), &[("add", 1), ("update", 3)], as_recorded));
    assert_eq!(left, [""; 0]);
    assert!(stale.iter().all(|(_, cause, message)| *cause == Cause::Moved && message == "it is done already"));
}

#[test]
fn what_has_moved_at_the_destination_is_stale() {
    let there = inventory(&[("add", 1), ("update", 3)]);
    let mut part = planned(&there, &destination(), &RECORDED, |_| Expected::Version(7));
    part.tasks.retain(|task| task.operation != Operation::Add);
    let (ours, found, operation) = (0, 2, Operation::Add);
    let (origin, insight) = (path("add"), testing::insight(1));
    part.drifted =
        vec![Drift { origin: origin.clone(), destination: origin, operation, insight, ours, found, kept: false }];
    let (left, stale) = judged(&there, part);
    assert_eq!(left, [""; 0]);
    let moved = "version 7 is recorded there now, and the plan was made for version 5";
    let expected = [
        ("add", Cause::Existing, "version 2 is there, vsync wrote none"),
        ("delete", Cause::Drift, moved),
        ("update", Cause::Drift, moved),
    ];
    assert_eq!(stale, expected.map(|(name, cause, message)| (name.to_owned(), cause, message.to_owned())));
}

#[test]
fn what_cannot_be_asked_about_or_goes_elsewhere_is_stale() {
    let mut there = inventory(&[("add", 1)]);
    for prefix in ["secret/update", "secret/delete"] {
        there.unknown.push(UnknownSubtree { prefix: prefix.to_owned(), reason: "denied".to_owned() });
    }
    let rule = Rule {
        name: "move".to_owned(),
        from: "secret/data/(?P<name>.*)".to_owned(),
        to: "secret/data/new/${name}".to_owned(),
    };
    let elsewhere = Destination { transforms: Transforms::new(&[rule]).expect("a rule"), ..destination() };
    let (left, stale) = judged(&there, planned(&there, &elsewhere, &RECORDED, as_recorded));
    assert_eq!(left, [""; 0]);
    let messages: Vec<_> = stale.into_iter().map(|(_, _, message)| message).collect();
    let unknown = "the origin could not be asked about it: denied";
    assert_eq!(messages, ["it goes to secret/new/add now, by rule \"move\"", unknown, unknown]);
}

fn place(address: &str) -> Place {
    serde_json::from_value(serde_json::json!({ "address": address })).expect("a place")
}

fn saved() -> SavedPlan {
    SavedPlan {
        format: FORMAT,
        vsync: "1.2.3".to_owned(),
        created: "2026-01-02T03:04:05Z".parse().expect("a time"),
        origin: place("http://127.0.0.1:1"),
        destinations: vec![SavedPart {
            destination: DestinationName::new("there"),
            vault: place("http://127.0.0.1:1"),
            lines: lines(),
        }],
    }
}

#[test]
fn a_document_is_read_as_it_was_written() {
    let text = String::from_utf8(saved().encode()).expect("UTF-8");
    assert_eq!(SavedPlan::decode(text.as_bytes()).expect("a plan"), saved());
    let lines = text.lines().filter(|line| line.contains("\"operation\":")).count();
    assert_eq!(lines, 3, "a line of text for each:\n{text}");
    let _: serde_json::Value = serde_json::from_str(&text).expect("JSON");
}

#[test]
fn what_is_no_plan_is_refused() {
    let text = String::from_utf8(saved().encode()).expect("UTF-8");
    let refused = |text: &str| SavedPlan::decode(text.as_bytes()).expect_err("refused").to_string();
    for bad in ["", "{}", "[1]", &text[..text.len() / 2], &text.replace("\"expected\":5", "\"expected\":null")] {
        assert!(refused(bad).starts_with("this is no saved plan, or a damaged one: "), "{bad}");
    }
    let newer = text.replacen("\"format\":1", "\"format\":2", 1).replace("\"lines\"", "\"rows\"");
    assert_eq!(refused(&newer), "vsync 1.2.3 saved this plan in format 2, and this vsync reads up to format 1");
    assert!(refused(&text.replace("/update\"", "/add\"")).contains("secret/add twice for there"));
    assert!(refused(&text.replace("\"delete\"", "\"update\"")).contains("no sense"));
}

#[test]
fn a_plan_holds_for_its_servers_and_destinations_only() {
    let operator = Operator { name: "me".to_owned(), host: "here".to_owned() };
    let engine = Engine::new(testing::origin(&mount()), vec![destination()], operator);
    let saved = saved();
    let there = DestinationName::new("there");
    assert_eq!(saved.chosen(&engine, &[]).expect("all"), [there]);
    let nowhere = DestinationName::new("nowhere");
    let refused = |saved: &SavedPlan, only: &[_]| saved.chosen(&engine, only).expect_err("refused").to_string();
    assert_eq!(refused(&saved, std::slice::from_ref(&nowhere)), "this plan is not for nowhere; it is for there");
    let mut other = saved.clone();
    other.destinations[0].destination = nowhere;
    let message = "this plan is for \"nowhere\" too, which is not configured; the configuration has there";
    assert_eq!(refused(&other, &[]), message);

    assert!(same_server("origin", &saved.origin, &saved.origin).is_ok());
    let error = same_server("origin", &saved.origin, &place("http://other:1")).expect_err("refused").to_string();
    assert!(error.starts_with("this plan was made for the origin at http://127.0.0.1:1, and"), "{error}");
}

#[test]
fn a_plan_that_lacks_a_destination_is_not_saved() {
    let there = Arc::new(inventory(&[("add", 1), ("update", 3)]));
    let mut part = planned(&there, &destination(), &[], as_recorded);
    let place = place("http://127.0.0.1:1");
    part.binding = Some(Binding::new(place.clone(), place, &destination(), None));
    let mut plan = Plan { created: Timestamp::now(), inventory: there, destinations: vec![part] };
    assert_eq!(SavedPlan::from_plan(&plan, &HashMap::new()).expect("a plan").len(), 2);
    plan.destinations.push(DestinationPlan::unavailable(DestinationName::new("away"), "no answer".to_owned()));
    let error = SavedPlan::from_plan(&plan, &HashMap::new()).expect_err("refused").to_string();
    assert!(error.contains("away") && error.contains("no answer"), "{error}");
}
