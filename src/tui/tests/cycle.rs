//! The Cycle screen.

use std::sync::Arc;

use ratatui::layout::Position;

use super::{agree, press, select, snapshot};
use crate::engine::{Ending, Phase};
use crate::tui::effect::cycle::Request;
use crate::tui::effect::{Control, Effect};
use crate::tui::message::{Message, Purpose};
use crate::tui::model::{Ask, Model};
use crate::tui::sample::{self, dump};
use crate::tui::screen::Screen;
use crate::tui::update::update;

fn running(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    select(&mut model, plan, Purpose::Execute);
    agree(&mut model);
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Running)));
    model
}

fn ended(width: u16, height: u16, spoil: impl Fn(&mut crate::engine::Report)) -> Model {
    let mut model = running(width, height);
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Ended)));
    let mut report = sample::report("0192f0c1-2345-7abc-8def-0123456789ab", true);
    spoil(&mut report);
    update(&mut model, Message::Ended(Arc::new(report)));
    model
}

fn skipped(report: &mut crate::engine::Report) {
    report.ending = Ending::Skipped;
    report.destinations[1].skipped = true;
    report.destinations[1].pending = 120;
}

#[test]
fn every_state() {
    snapshot("cycle_none", |width, height| {
        let mut model = sample::full(width, height);
        press(&mut model, "4");
        model
    });
    snapshot("cycle_starting", |width, height| {
        let mut model = sample::full(width, height);
        let mut plan = (*sample::plan()).clone();
        plan.destinations.truncate(2);
        select(&mut model, plan, Purpose::Execute);
        agree(&mut model);
        model
    });
    snapshot("cycle", running);
    snapshot("cycle_production", |width, height| {
        let mut model = running(width, height);
        model.production.insert(sample::names()[1].clone());
        model
    });
    snapshot("cycle_state_not_saved", |width, height| {
        let mut model = running(width, height);
        let [first, second, _] = sample::names();
        update(&mut model, Message::Unsaved(first, "write vsync/us-east in Consul: connection refused".into()));
        update(
            &mut model,
            Message::Blocked(second, "ap-south was stopped: its lock is held by anna@vault-sync-1".into()),
        );
        model
    });
    snapshot("cycle_of_one", |width, height| {
        let mut model = running(width, height);
        press(&mut model, "down down");
        model
    });
    snapshot("cycle_skip", |width, height| {
        let mut model = running(width, height);
        press(&mut model, "down down s");
        model
    });
    snapshot("cycle_ended", |width, height| ended(width, height, |_| {}));
    snapshot("cycle_skipped", |width, height| ended(width, height, skipped));
}

#[test]
fn a_destination_is_skipped_after_a_yes() {
    let mut model = running(80, 24);
    assert!(press(&mut model, "s").is_empty());
    assert!(model.dialog.is_none(), "the cursor is on all of them");
    assert!(press(&mut model, "down down s").is_empty());
    let [_, second, _] = sample::names();
    assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::Skip(name)) if *name == second));
    assert!(press(&mut model, "enter").is_empty(), "no is chosen at first");
    let effects = press(&mut model, "s y");
    assert!(
        matches!(effects.as_slice(), [Effect::Cycle(Request::Skip { destination, watched: false })] if *destination == second),
        "{effects:?}"
    );
    let mut snapshot = (*sample::snapshot(Phase::Running)).clone();
    snapshot.destinations[1].skipped = true;
    update(&mut model, Message::Snapshot(Arc::new(snapshot)));
    assert!(dump(&model).contains("skipped"));
    press(&mut model, "s");
    assert!(model.dialog.is_none(), "once is enough");
    press(&mut model, "p");
    assert!(!press(&mut model, "c y").is_empty());
    press(&mut model, "up s");
    assert!(model.dialog.is_none(), "it is stopping");
}

#[test]
fn a_skipped_destination_is_no_mishap_and_the_report_says_where_the_rest_is() {
    let mut model = ended(120, 40, |report| {
        report.destinations[1].failures.clear();
        skipped(report);
    });
    assert!(model.notice.as_ref().is_some_and(|notice| !notice.bad && notice.text.contains("skipped in part")));
    model.notice = None;
    let screen = dump(&model);
    assert!(screen.contains("ap-south was skipped: what is pending there stays in Plan (3)."), "{screen}");
    assert!(screen.contains("120 skipped"));
}

#[test]
fn the_cursor_chooses_whose_workers_and_failures_show() {
    let mut model = running(80, 24);
    assert!(dump(&model).contains("Workers 5 of 6 busy"));
    press(&mut model, "down");
    let screen = dump(&model);
    assert!(screen.contains("Workers of us-east 2 of 3 busy"), "{screen}");
    assert!(!screen.contains("permission"), "they are of another: {screen}");
    press(&mut model, "down");
    let screen = dump(&model);
    assert!(screen.contains("Workers of ap-south 3 of 3 busy") && screen.contains("permission"), "{screen}");
}

#[test]
fn slow_workers_come_first() {
    let model = running(80, 24);
    let screen = dump(&model);
    let line = |text: &str| screen.lines().position(|line| line.contains(text)).expect("a line");
    assert!(screen.contains("3 slow"), "{screen}");
    assert!(line("8.6s") < line("6.9s") && line("6.9s") < line("120ms"), "{screen}");
}

#[test]
fn leaving_the_screen_does_not_stop_the_cycle() {
    let mut model = running(80, 24);
    press(&mut model, "down");
    let effects = press(&mut model, "1");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Control(Control::Cancel))));
    assert!(model.cycle.running);
    let screen = dump(&model);
    assert!(screen.lines().next().is_some_and(|line| line.contains("cycle ━") && line.contains("56.2/s")), "{screen}");
    press(&mut model, "4");
    assert!(dump(&model).contains("Workers of us-east"), "the cursor is where it was");
    update(&mut model, Message::Input(crate::tui::input::Input::Resize(120, 40)));
    assert!(dump(&model).lines().next().is_some_and(|line| line.contains("16.0s left")));
}

#[test]
fn enter_leads_on() {
    let mut model = running(80, 24);
    press(&mut model, "down enter");
    assert_eq!(model.screen, Screen::Plan);
    let mut model = ended(80, 24, |_| {});
    press(&mut model, "enter");
    assert_eq!(model.screen, Screen::Failures);
}

#[test]
fn a_click_chooses_and_a_second_one_opens() {
    let mut model = running(80, 24);
    let at = |y| Position { x: 5, y };
    Screen::Cycle.click(&mut model, at(5), false);
    assert!(dump(&model).contains("Workers of us-east"));
    Screen::Cycle.click(&mut model, at(4), false);
    assert!(dump(&model).contains("Workers 5 of 6"));
    Screen::Cycle.click(&mut model, at(20), true);
    assert_eq!(model.screen, Screen::Cycle, "that is no destination");
    Screen::Cycle.click(&mut model, at(6), true);
    assert_eq!(model.screen, Screen::Plan);
}

#[test]
fn many_destinations_and_workers_can_all_be_reached() {
    let mut model = running(80, 24);
    let mut snapshot = (*sample::snapshot(Phase::Running)).clone();
    let (part, worker) = (snapshot.destinations[1].clone(), snapshot.workers[0].clone());
    for number in 0..40 {
        let destination = crate::engine::DestinationName::new(&format!("site-{number}"));
        snapshot.destinations.push(crate::engine::DestinationProgress { destination, ..part.clone() });
        snapshot.workers.push(crate::engine::WorkerRow { number: 100 + number, ..worker.clone() });
    }
    update(&mut model, Message::Snapshot(Arc::new(snapshot)));
    for _ in 0..60 {
        press(&mut model, "J");
    }
    assert!(dump(&model).contains("139"), "{}", dump(&model));
    press(&mut model, "end");
    assert!(dump(&model).contains("site-39"));
    press(&mut model, "g J");
    assert!(dump(&model).contains("us-east"));
}

#[test]
fn no_size_panics() {
    for (width, height) in [(1, 1), (60, 15), (61, 16), (79, 23), (110, 33), (300, 100)] {
        for keys in ["4", "4 down down", "4 J J J"] {
            for mut model in [running(width, height), ended(width, height, skipped)] {
                press(&mut model, keys);
                dump(&model);
            }
        }
    }
}
