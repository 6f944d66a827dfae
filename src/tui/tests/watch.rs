//! Watch mode.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{agree, press, select, snapshot};
use crate::engine::{OperationCounts, Phase};
use crate::tui::effect::Effect;
use crate::tui::effect::cycle::{Go, Request};
use crate::tui::message::{Message, Purpose, Work};
use crate::tui::model::{Ask, Model};
use crate::tui::sample::{self, dump};
use crate::tui::screen::{Screen, browse};
use crate::tui::update::update;
use crate::tui::watch::{News, Now, Standing};

fn watching(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    press(&mut model, "4 w");
    assert!(press(&mut model, "y").is_empty(), "its first cycle deletes: the number is typed");
    let effects = agree(&mut model);
    assert!(
        matches!(effects.as_slice(), [Effect::Cycle(Request::Watch(tick))] if *tick == Duration::from_secs(10)),
        "{effects:?}"
    );
    model.notice = None;
    tell(&mut model, News::Looked(sample::time()));
    tell(&mut model, News::Now(Now::Waiting(Duration::from_secs(7))));
    model
}

fn tell(model: &mut Model, news: News) -> Vec<Effect> {
    update(model, Message::Watch(news))
}

fn held_back() -> BTreeMap<crate::engine::DestinationName, Standing> {
    let [first, second, third] = sample::names();
    BTreeMap::from([
        (first, Standing::LedBy("held by anna on vault-sync-1 (process 4711, sync --watch) since …".into())),
        (second, Standing::LeftOut),
        (third, Standing::HeldBack("4 of 34 would be deleted, more than 10%".into())),
    ])
}

fn running(model: &mut Model) {
    let effects = tell(model, News::Ready(Box::new(Go::to_test())));
    assert!(matches!(effects.as_slice(), [Effect::Cycle(Request::Execute(_))]), "{effects:?}");
    update(model, Message::Snapshot(sample::snapshot(Phase::Running)));
}

#[test]
fn every_state() {
    snapshot("watch_question", |width, height| {
        let mut model = sample::full(width, height);
        model.production = [sample::names()[0].clone()].into();
        press(&mut model, "4 w");
        model
    });
    snapshot("watch", |width, height| {
        let mut model = watching(width, height);
        tell(&mut model, News::Standings(held_back()));
        model.notice = None;
        model
    });
    snapshot("watch_cycle", |width, height| {
        let mut model = watching(width, height);
        running(&mut model);
        model
    });
    snapshot("watch_quit", |width, height| {
        let mut model = watching(width, height);
        running(&mut model);
        press(&mut model, "q");
        model
    });
}

#[test]
fn it_starts_and_stops_after_a_yes() {
    let mut model = sample::full(80, 24);
    for keys in ["4 w enter", "w n", "w esc"] {
        assert!(press(&mut model, keys).is_empty());
        assert!(!model.watch.on);
    }
    let mut model = watching(80, 24);
    assert!(dump(&model).lines().next().is_some_and(|line| line.contains("watch 7s")));
    assert!(press(&mut model, "w n").is_empty());
    assert!(model.watch.on);
    press(&mut model, "w");
    let effects = agree(&mut model);
    assert!(matches!(effects.as_slice(), [Effect::Cycle(Request::Unwatch)]), "{effects:?}");
    assert!(!model.watch.on);
    // what was under way when it was stopped changes nothing any more
    assert!(tell(&mut model, News::Ready(Box::new(Go::to_test()))).is_empty());
    tell(&mut model, News::Over);
    assert!(!dump(&model).lines().next().is_some_and(|line| line.contains("watch")));
}

#[test]
fn a_read_only_console_has_none() {
    let mut model = sample::full(80, 24);
    model.read_only = true;
    press(&mut model, "4 w");
    assert!(model.dialog.is_none());
    assert!(dump(&model).contains("read-only: nothing is written"));
    assert!(!dump(&model).contains("starts watch mode"));
    model.watch.on = true;
    assert!(tell(&mut model, News::Ready(Box::new(Go::to_test()))).is_empty());
    assert!(!model.cycle.running);
}

#[test]
fn questions_amid_a_cycle_say_what_the_watch_goes_on_with_and_stay_while_it_does() {
    let mut model = watching(80, 24);
    running(&mut model);
    press(&mut model, "4 c");
    let asked = dump(&model);
    assert!(asked.contains("Cancel the running cycle?") && asked.contains("Watch mode stays on"), "{asked}");
    press(&mut model, "n q");
    let report = || Message::Ended(Arc::new(sample::report("0192f0c1-2345-7abc-8def-0123456789ab", false)));
    update(&mut model, report());
    let asked = dump(&model);
    assert!(asked.contains("Quit?") && asked.contains("Watch mode is on") && !asked.contains("A cycle is running"));
    // where nothing is lost any more there is nothing to ask
    model.watch.on = false;
    update(&mut model, report());
    assert!(model.dialog.is_none());
}

#[test]
fn it_copies_without_asking_and_leaves_the_screen_alone() {
    let mut model = watching(80, 24);
    press(&mut model, "2 / p r o d / w o r k e r enter down down down");
    let before = browse::selected(&model).expect("a secret");
    running(&mut model);
    assert!(model.cycle.running && model.cycle.watched);
    assert_eq!(model.screen, Screen::Browse);
    let mut report = sample::report("0192f0c1-2345-7abc-8def-0123456789ab", false);
    report.destinations.truncate(1);
    let effects = update(&mut model, Message::Ended(Arc::new(report)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "it plans anew itself: {effects:?}");
    assert!(model.notice.is_none(), "nobody has asked");
    update(&mut model, sample::refreshed());
    assert_eq!(browse::selected(&model), Some(before));
}

#[test]
fn what_fails_again_is_told_once() {
    let mut model = watching(80, 24);
    let end = |model: &mut Model, change: fn(&mut crate::engine::Report)| {
        running(model);
        let mut report = sample::report("0192f0c1-2345-7abc-8def-0123456789ab", true);
        change(&mut report);
        model.notice = None;
        update(model, Message::Ended(Arc::new(report)));
        model.notice.as_ref().is_some_and(|notice| notice.bad)
    };
    assert!(end(&mut model, |_| {}));
    // the plan lists them by now
    model.failures = sample::failures();
    let again = |report: &mut crate::engine::Report| {
        for part in &mut report.destinations {
            part.done = OperationCounts::default();
        }
    };
    assert!(!end(&mut model, again));
}

#[test]
fn the_operator_comes_first() {
    // a question about a plan stands: what it is about must not change under it
    let mut model = watching(80, 24);
    press(&mut model, "3");
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    select(&mut model, plan, Purpose::Execute);
    assert!(tell(&mut model, News::Ready(Box::new(Go::to_test()))).is_empty());
    assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::Start(_))));
    // a cycle of theirs runs
    assert!(matches!(agree(&mut model).as_slice(), [Effect::Start { .. }]));
    assert!(tell(&mut model, News::Ready(Box::new(Go::to_test()))).is_empty());
    assert!(!model.cycle.watched);
    // and the other way round
    let mut model = watching(80, 24);
    running(&mut model);
    assert!(press(&mut model, "3 X").is_empty());
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("running")));
}

#[test]
fn a_guard_is_told_at_once_and_stays_in_sight() {
    let mut model = watching(80, 24);
    tell(&mut model, News::Standings(held_back()));
    assert!(model.notice.is_some(), "it is news");
    model.notice = None;
    tell(&mut model, News::Standings(held_back()));
    assert!(model.notice.is_none(), "it is no news");
    assert!(dump(&model).lines().next().is_some_and(|line| line.contains("! 1 held back")));
    press(&mut model, "1 g");
    let screen = dump(&model);
    assert!(screen.contains("held back"), "{screen}");
    press(&mut model, "G up up");
    let mut seen = String::new();
    for _ in 0..8 {
        press(&mut model, "up");
        seen += &dump(&model);
    }
    assert!(seen.contains("the watch holds it back"), "{seen}");
    let [first, ..] = sample::names();
    tell(&mut model, News::Standings(BTreeMap::from([(first, Standing::LeftOut)])));
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("looks after it again")));
    let effects = tell(&mut model, News::Changed);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reports)), "others may have run cycles: {effects:?}");
    assert!(!dump(&model).lines().next().is_some_and(|line| line.contains("held back")));
}

#[test]
fn skipping_in_its_cycle_leaves_the_destination_out() {
    let mut model = watching(200, 60);
    running(&mut model);
    press(&mut model, "4 down s");
    let screen = dump(&model);
    assert!(screen.contains("until it is started anew"), "{screen}");
    let effects = press(&mut model, "y");
    assert!(matches!(effects.as_slice(), [Effect::Cycle(Request::Skip { watched: true, .. })]), "{effects:?}");
}

#[test]
fn quitting_says_that_it_ends() {
    let mut model = watching(80, 24);
    assert!(press(&mut model, "q").is_empty());
    assert!(dump(&model).contains("ends with the console"));
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Quit(_)]));
    let mut model = watching(80, 24);
    running(&mut model);
    assert!(press(&mut model, "q").is_empty());
    let effects = press(&mut model, "y");
    assert!(matches!(effects.as_slice(), [Effect::Control(_)]), "the cycle is cancelled first: {effects:?}");
    assert!(tell(&mut model, News::Ready(Box::new(Go::to_test()))).is_empty());
}

#[test]
fn a_watch_that_breaks_off_is_off() {
    let mut model = watching(80, 24);
    update(&mut model, Message::Lost(Work::Watch));
    assert!(!model.watch.on && model.notice.as_ref().is_some_and(|notice| notice.bad));
}
