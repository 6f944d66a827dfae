//! Past cycles: the list, a report, two compared, an export, an undo.

use std::collections::BTreeMap;
use std::path::Path;

use super::{press, snapshot, with_keys};
use crate::engine::{
    Cause, CycleId, DestinationPlan, Ending, Impossible, Operation, Plan, Report, Source, Task, Undo, UndoPart,
};
use crate::state::{Change, ChangeKind, LockHolder, LockTaken};
use crate::tui::effect::history::Request;
use crate::tui::effect::{Effect, Manner};
use crate::tui::message::{Message, Purpose};
use crate::tui::model::{Ask, Model};
use crate::tui::sample::{self, dump};
use crate::tui::screen::Screen;
use crate::tui::screen::history::{News, Preview};
use crate::tui::update::update;

const NEWEST: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

fn id(text: &str) -> CycleId {
    text.parse().expect("an id")
}

/// The cycle of this number, the higher the later.
fn cycle(number: u64) -> Report {
    let mut report = sample::report(&format!("0192f0c1-2345-7abc-8def-{number:012x}"), number.is_multiple_of(3));
    report.started = sample::time() - jiff::SignedDuration::from_hours(i64::try_from(100 - number).expect("small"));
    report.ended = report.started + jiff::SignedDuration::from_secs(62);
    if number.is_multiple_of(4) {
        report.ending = Ending::Cancelled;
        report.purpose = "watch in the console".into();
    }
    report
}

fn holder(operator: &str) -> LockHolder {
    LockHolder {
        operator: operator.into(),
        host: "bastion".into(),
        pid: 4711,
        since: sample::time(),
        purpose: "sync".into(),
    }
}

fn opened(width: u16, height: u16, keys: &str) -> Model {
    let mut model = sample::full(width, height);
    press(&mut model, "6");
    if !keys.is_empty() {
        press(&mut model, keys);
    }
    model
}

/// A report as it is while the cycle is at work, or was killed.
fn unfinished(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    let mut report = cycle(90);
    report.ending = Ending::Unfinished;
    update(&mut model, Message::Reports(Ok(vec![report, cycle(88), cycle(87)])));
    model
}

fn changes() -> Vec<Change> {
    let change = |kind, name: &str, before, version| Change {
        kind,
        origin: sample::path(name),
        destination: sample::path(&format!("v2/{name}/secrets")),
        before,
        version,
        insight_before: None,
        insight: None,
        over_foreign: false,
        digest: None,
        at: sample::time(),
    };
    vec![
        change(ChangeKind::Written, "billing/prod/api", 0, 1),
        change(ChangeKind::Written, "billing/prod/database", 4, 5),
        change(ChangeKind::Deleted, "payments/old/\u{1b}key", 2, 2),
        change(ChangeKind::Met, "search/dev/mailer", 1, 3),
        change(ChangeKind::Restored, "search/dev/worker", 1, 1),
        change(ChangeKind::Adopted, "search/prod/api", 7, 7),
    ]
}

fn with_changes(width: u16, height: u16) -> Model {
    let mut model = opened(width, height, "enter");
    let [first, second, _] = sample::names();
    let parts = vec![(first, Ok(changes())), (second, Err("the state store does not answer".to_owned()))];
    update(&mut model, Message::History(News::Changes(id(NEWEST), parts)));
    press(&mut model, "G");
    model
}

fn preview(deletes: bool) -> Preview {
    let [first, second, third] = sample::names();
    let task = |operation, source, name: &str| Task {
        operation,
        origin: sample::path(name),
        destination: sample::path(name),
        insight: None,
        rule: "identity".into(),
        expected: crate::engine::Expected::Version(2),
        source,
    };
    let mut near = DestinationPlan::empty(first.clone());
    *near.tasks = vec![
        task(Operation::Update, Source::Version(4), "billing/prod/database"),
        task(Operation::Add, Source::Undelete(2), "payments/old/key"),
    ];
    if deletes {
        near.tasks.push(task(Operation::Delete, Source::Origin, "billing/prod/api"));
    }
    let part = |destination, changed, impossible| UndoPart {
        destination,
        changed,
        already: 1,
        untouched: 2,
        metadata_stays: 0,
        impossible,
    };
    let impossible = Impossible {
        origin: sample::path("search/prod/api"),
        destination: sample::path("search/prod/api"),
        reason: "somebody else has changed it since: version 5 is there, the cycle left 4".into(),
    };
    let plan = Plan { destinations: vec![near, DestinationPlan::empty(second.clone())], ..(*sample::plan()).clone() };
    Preview {
        undo: Undo {
            cycle: id(NEWEST),
            plan,
            parts: vec![part(first.clone(), 4, vec![impossible]), part(second, 0, Vec::new())],
        },
        daemons: vec![(third, LockTaken::By(holder("vsync")))],
        brings_back: false,
    }
}

fn undoing(width: u16, height: u16, deletes: bool) -> Model {
    let mut model = opened(width, height, "u");
    update(&mut model, Message::History(News::Undo(Box::new(preview(deletes)))));
    model
}

#[test]
fn every_state() {
    snapshot("history", |width, height| opened(width, height, "space"));
    snapshot("history_report", |width, height| opened(width, height, "enter"));
    snapshot("history_changes", with_changes);
    snapshot("history_compared", |width, height| opened(width, height, "space space ="));
    snapshot("history_undo", |width, height| undoing(width, height, true));
    snapshot("history_undo_question", |width, height| {
        let mut model = undoing(width, height, true);
        press(&mut model, "u");
        model
    });
    snapshot("history_loading", |width, height| {
        let mut model = sample::opened(width, height);
        press(&mut model, "6");
        model
    });
    snapshot("history_empty", |width, height| {
        let mut model = sample::opened(width, height);
        update(&mut model, Message::Reports(Ok(Vec::new())));
        press(&mut model, "6");
        model
    });
    snapshot("history_as_before", |width, height| {
        let mut model = with_keys(width, height, "6");
        update(&mut model, Message::Reports(Err("list vsync/: connection refused".into())));
        model
    });
    snapshot("history_error", |width, height| {
        let mut model = sample::opened(width, height);
        update(&mut model, Message::Reports(Err("list vsync/: connection refused".into())));
        press(&mut model, "6");
        model
    });
}

#[test]
fn older_cycles_come_when_the_end_is_near() {
    let mut model = sample::opened(80, 24);
    let page = |range: std::ops::Range<u64>| range.rev().map(cycle).collect::<Vec<_>>();
    update(&mut model, Message::Reports(Ok(page(60..80))));
    let effects = press(&mut model, "6");
    assert!(effects.is_empty(), "the end is far: {effects:?}");
    let effects = press(&mut model, "pgdn");
    assert!(
        matches!(effects.as_slice(), [Effect::History(Request::Older(last))] if *last == cycle(60).cycle),
        "{effects:?}"
    );
    assert!(press(&mut model, "j").is_empty(), "it is asked for once");
    update(&mut model, Message::History(News::Older(Ok((page(40..60), true)))));
    assert!(dump(&model).contains("History 40+"));
    // new cycles push older ones out of what was read first, and none is lost or there twice
    update(&mut model, Message::Reports(Ok(page(63..83))));
    assert!(dump(&model).contains("History 43+"));
    assert!(matches!(press(&mut model, "G").as_slice(), [Effect::History(Request::Older(_))]));
    update(&mut model, Message::History(News::Older(Ok((page(38..40), false)))));
    let shown = dump(&model);
    assert!(shown.contains("History 45 ") && press(&mut model, "G").is_empty(), "{shown}");
    update(&mut model, Message::History(News::Older(Err("no answer".into()))));
    assert!(dump(&model).contains("Older cycles could not be read: no answer"));
}

#[test]
fn the_cursor_stays_on_its_cycle() {
    let mut model = unfinished(80, 24);
    press(&mut model, "6 j enter");
    let before = dump(&model);
    press(&mut model, "esc");
    update(&mut model, Message::Reports(Ok(vec![cycle(91), cycle(90), cycle(88), cycle(87)])));
    press(&mut model, "enter");
    let title = |dump: &str| dump.lines().nth(2).map(str::to_owned);
    assert_eq!(title(&dump(&model)), title(&before));
}

#[test]
fn whether_a_cycle_still_runs_is_found_out() {
    let mut model = unfinished(80, 24);
    let effects = press(&mut model, "6");
    let [first, second, _] = sample::names();
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::History(Request::Holders(names)) if names.contains(&first))),
        "{effects:?}"
    );
    assert!(dump(&model).contains("? unfinished"));
    let held = |by: &str| BTreeMap::from([(second.clone(), holder(by))]);
    update(&mut model, Message::History(News::Holders(held("somebody else"))));
    assert!(dump(&model).contains("? unfinished"));
    update(&mut model, Message::History(News::Holders(held("ops"))));
    assert!(dump(&model).contains("▸ running"));
    assert!(press(&mut model, "u").is_empty(), "what runs is not undone");
}

#[test]
fn what_changed_is_read_when_a_report_is_opened() {
    let mut model = opened(80, 24, "");
    assert!(press(&mut model, "j").iter().all(|effect| !matches!(effect, Effect::History(Request::Changes(..)))));
    press(&mut model, "k");
    let effects = press(&mut model, "enter");
    assert!(
        matches!(effects.as_slice(), [Effect::History(Request::Changes(cycle, names))] if *cycle == id(NEWEST) && names.len() == 2),
        "{effects:?}"
    );
    press(&mut model, "G");
    assert!(dump(&model).contains("Reading what it changed…"));
    press(&mut model, "esc");
    assert_eq!(model.screen, Screen::History);
    assert!(dump(&model).contains("History 2"));
}

#[test]
fn two_cycles_are_compared_failure_by_failure() {
    let mut model = opened(200, 60, "");
    press(&mut model, "=");
    assert!(dump(&model).contains("Two cycles can be compared"));
    press(&mut model, "space =");
    let shown = dump(&model);
    for text in ["failures that are new: 3", "failures that are gone: 0", "failures in both: 0", "13.5/s"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    let mut model = sample::opened(200, 60);
    let (mut older, mut newer) =
        (sample::report("0192f0c1-2345-7abc-8def-000000000001", true), sample::report(NEWEST, true));
    older.destinations[1].failures.truncate(2);
    newer.destinations[1].failures.remove(0);
    newer.destinations[1].failures[1].cause = Cause::Server;
    update(&mut model, Message::Reports(Ok(vec![newer, older])));
    press(&mut model, "6 space space =");
    let shown = dump(&model);
    for text in ["failures that are new: 1", "failures that are gone: 1", "failures in both: 1"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
}

#[test]
fn a_report_is_exported_where_it_is_asked_for() {
    let mut model = opened(80, 24, "e");
    assert!(dump(&model).contains("vsync-2026-11-23-213801.html"));
    for _ in 0.."html".len() {
        update(&mut model, Message::Input(super::key("backspace")));
    }
    press(&mut model, "p d f enter");
    assert!(dump(&model).contains("end it in .json, .csv or .html"), "{}", dump(&model));
    for _ in 0.."pdf".len() {
        update(&mut model, Message::Input(super::key("backspace")));
    }
    let effects = press(&mut model, "c s v enter");
    assert!(
        matches!(effects.as_slice(), [Effect::History(Request::Export(cycle, file))]
            if *cycle == id(NEWEST) && file == Path::new("vsync-2026-11-23-213801.csv")),
        "{effects:?}"
    );
    let there = "x.csv is there already, and is not written over: give another name".to_owned();
    update(&mut model, Message::History(News::Exported(Err(there))));
    assert!(dump(&model).contains("Not exported: x.csv is there already"));
}

#[test]
fn an_undo_is_shown_then_asked_about_then_done() {
    let mut model = opened(80, 24, "");
    let effects = press(&mut model, "u");
    assert!(matches!(effects.as_slice(), [Effect::History(Request::PlanUndo(report))] if report.cycle == id(NEWEST)));
    update(&mut model, Message::History(News::Undo(Box::new(preview(false)))));
    assert!(model.dialog.is_none(), "first it is shown");
    assert!(press(&mut model, "u").is_empty());
    let Some(Ask::Start(selected)) = model.dialog.as_ref().map(|dialog| &dialog.ask) else { panic!("it asks") };
    assert_eq!(selected.asked.purpose, Purpose::Undo(id(NEWEST)));
    let shown = dump(&model);
    for text in ["1 secret cannot be put back.", "eu-recovery: a daemon copies these secrets again"] {
        assert!(shown.contains(text), "{text} in {shown}");
    }
    let effects = press(&mut model, "y");
    assert!(
        matches!(effects.as_slice(), [Effect::Start { dry_run: false, manner: Manner::Undoing(cycle), .. }] if *cycle == id(NEWEST)),
        "{effects:?}"
    );
    press(&mut model, "6");
    assert!(dump(&model).contains("History 2"), "what has been begun is shown no longer");
}

#[test]
fn an_undo_that_deletes_asks_for_the_number() {
    let mut model = undoing(80, 24, true);
    press(&mut model, "u");
    assert!(press(&mut model, "y").is_empty());
    assert!(model.dialog.is_some());
    press(&mut model, "1");
    assert!(matches!(press(&mut model, "enter").as_slice(), [Effect::Start { .. }]));
}

#[test]
fn nobody_is_surprised_by_an_undo() {
    // who went back does not wait for it any more
    let mut model = opened(80, 24, "enter u esc");
    update(&mut model, Message::History(News::Undo(Box::new(preview(true)))));
    assert!(!dump(&model).contains("Undo: what it would do"));
    // a read-only console has no such key
    let mut model = opened(80, 24, "");
    model.read_only = true;
    assert!(press(&mut model, "u").is_empty());
    assert!(dump(&model).contains("read-only"));
    // a cycle that changed nothing has nothing to be undone
    let mut model = opened(80, 24, "u");
    let mut nothing = preview(false);
    nothing.undo.plan.destinations.iter_mut().for_each(|part| part.tasks.clear());
    nothing.undo.parts.iter_mut().for_each(|part| (part.changed, part.untouched) = (0, 0));
    update(&mut model, Message::History(News::Undo(Box::new(nothing))));
    assert!(dump(&model).contains("Nothing is recorded of what this cycle changed"));
}

#[test]
fn no_size_panics() {
    for (width, height) in [(1, 1), (20, 5), (60, 15), (61, 16), (79, 23), (139, 20), (140, 20), (300, 80)] {
        for keys in ["j", "enter", "space space =", "J J K", "e"] {
            dump(&opened(width, height, keys));
        }
        dump(&with_changes(width, height));
        dump(&undoing(width, height, true));
        let mut model = opened(width, height, "");
        press(&mut model, "8 enter w g");
        dump(&model);
    }
}

#[test]
fn a_list_of_many_changes_is_drawn_in_part() {
    let mut model = opened(80, 24, "enter");
    let [first, ..] = sample::names();
    let many: Vec<Change> = changes().into_iter().cycle().take(200_000).collect();
    update(&mut model, Message::History(News::Changes(id(NEWEST), vec![(first, Ok(many))])));
    let begun = std::time::Instant::now();
    press(&mut model, "G g G");
    assert!(dump(&model).contains("somebody else's") || dump(&model).contains("version"));
    assert!(begun.elapsed().as_millis() < 1_000, "{:?}", begun.elapsed());
}

/// After a cycle one comes to History for that one; while one is there the cursor stays on its cycle.
#[test]
fn the_newest_cycle_is_under_the_cursor_of_who_comes() {
    let mut model = sample::full(80, 24);
    let newer = |number: u64| -> Vec<Report> { (1..=number).rev().map(cycle).collect() };
    update(&mut model, Message::Reports(Ok(newer(2))));
    update(&mut model, Message::Reports(Ok(newer(3))));
    press(&mut model, "6");
    let copied = |model: &mut Model| {
        let effects = press(model, "c");
        effects.into_iter().find_map(|effect| if let Effect::Copy(id) = effect { Some(id) } else { None })
    };
    assert_eq!(copied(&mut model), Some(cycle(3).cycle.to_string()));
    update(&mut model, Message::Reports(Ok(newer(4))));
    assert_eq!(copied(&mut model), Some(cycle(3).cycle.to_string()));
}
