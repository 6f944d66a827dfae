//! Plan: what is marked, saved, loaded and executed.

use std::sync::Arc;

use super::{agree, press, select, snapshot, with_keys};
use crate::engine::{Cause, DestinationPlan, Plan, SavedPlan, StaleLine};
use crate::tui::effect::plan::{Held, Named, Request};
use crate::tui::effect::{Effect, Keep, Manner};
use crate::tui::message::{Asked, Message, Purpose};
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::plan::News;
use crate::tui::update::update;

/// A plan of two lines, one of which holds: of the first destination its delete, of the third one that is done.
fn document() -> Arc<SavedPlan> {
    let place = r#"{"address":"http://127.0.0.1:1"}"#;
    let line = |name: &str| {
        format!(
            r#"{{"operation":"delete","origin":"secret/data/{name}","destination":"secret/data/{name}","rule":"identity","insight":null,"expected":3}}"#
        )
    };
    let part =
        |name: &str, secret: &str| format!(r#"{{"destination":"{name}","vault":{place},"lines":[{}]}}"#, line(secret));
    let text = format!(
        r#"{{"format":1,"vsync":"1.0.0","created":"2026-11-22T09:30:00Z","origin":{place},"destinations":[{},{}]}}"#,
        part("us-east", "payments/old/key"),
        part("eu-recovery", "legacy/gone"),
    );
    Arc::new(SavedPlan::decode(text.as_bytes()).expect("a plan"))
}

fn held() -> Held {
    let mut plan = (*sample::plan()).clone();
    plan.destinations[0].tasks.retain(|task| task.origin.name() == "payments/old/key");
    for at in [1, 2] {
        plan.destinations[at] = DestinationPlan::empty(plan.destinations[at].destination.clone());
    }
    let mut failure = sample::failure("legacy/gone", Cause::Moved, "it is done already");
    failure.operation = crate::engine::Operation::Delete;
    failure.destination = failure.origin.clone();
    let stale = vec![StaleLine { destination: sample::names()[2].clone(), failure }];
    Held { plan: Arc::new(plan), stale }
}

/// A saved plan has been opened and judged.
fn loaded(width: u16, height: u16, keys: &str) -> Model {
    let mut model = with_keys(width, height, "3 a");
    let saved = document();
    let opened = News::Opened { file: "tickets/4711.json".to_owned(), result: Ok(Arc::clone(&saved)) };
    let effects = update(&mut model, Message::Plan(opened));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "it is held against what is there now");
    let effects = update(&mut model, sample::refreshed());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Plan(Request::Judge { .. }))), "{effects:?}");
    update(&mut model, Message::Plan(News::Held { saved, result: Ok(held()) }));
    press(&mut model, keys);
    model
}

fn notice(model: &Model) -> &str {
    model.notice.as_ref().map_or("", |notice| &notice.text)
}

#[test]
fn every_state() {
    snapshot("plan", |width, height| with_keys(width, height, "3 space space"));
    snapshot("plan_loading", |width, height| {
        let mut model = sample::opened(width, height);
        press(&mut model, "3");
        model
    });
    snapshot("plan_details", |width, height| with_keys(width, height, "3 right right enter down"));
    snapshot("plan_guard", |width, height| with_keys(width, height, "3 right right right"));
    snapshot("plan_nothing", |width, height| {
        let mut model = with_keys(width, height, "3");
        let mut plan = (*sample::plan()).clone();
        for part in &mut plan.destinations {
            *part = DestinationPlan::empty(part.destination.clone());
        }
        model.plan = Some(Arc::new(plan));
        crate::tui::screen::plan::rebuild(&mut model);
        model
    });
    snapshot("plan_unavailable", |width, height| {
        let mut model = with_keys(width, height, "3");
        let mut plan = (*sample::plan()).clone();
        plan.destinations[1].tasks.clear();
        plan.destinations[1].unavailable = Some("read vsync/ap-south in Consul: connection refused".to_owned());
        model.plan = Some(Arc::new(plan));
        crate::tui::screen::plan::rebuild(&mut model);
        model
    });
    snapshot("plan_loaded", |width, height| loaded(width, height, "G"));
    snapshot("plan_save", |width, height| with_keys(width, height, "3 s"));
    snapshot("plan_production", |width, height| {
        let mut model = with_keys(width, height, "3");
        model.production.insert(sample::names()[0].clone());
        select(&mut model, plan_of(2), Purpose::Execute);
        press(&mut model, "7 enter");
        model
    });
}

/// The sample's plan for so many destinations.
fn plan_of(destinations: usize) -> Plan {
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(destinations);
    plan
}

#[test]
fn deleting_takes_the_number() {
    let asked = || {
        let mut model = sample::full(80, 24);
        select(&mut model, plan_of(2), Purpose::Execute);
        model
    };
    for wrong in ["enter", "y", "2 enter", "1 1 y", "1 0 backspace backspace enter"] {
        let mut model = asked();
        for key in wrong.split(' ') {
            let effects = if key == "backspace" {
                let event = crossterm::event::KeyEvent::from(crossterm::event::KeyCode::Backspace);
                update(&mut model, Message::Input(crate::tui::input::Input::Key(event)))
            } else {
                press(&mut model, key)
            };
            assert!(effects.is_empty(), "{wrong}");
        }
        assert!(model.dialog.is_some() && !model.cycle.running, "{wrong}: it keeps asking");
        let screen = dump(&model);
        assert!(screen.contains("that is another number") || screen.contains("nothing is typed yet"), "{screen}");
        assert!(press(&mut model, "esc").is_empty() && model.dialog.is_none(), "esc leaves");
    }
    let effects = press(&mut asked(), "1 enter");
    assert!(matches!(effects.as_slice(), [Effect::Start { manner: Manner::Usual, dry_run: false, .. }]), "{effects:?}");

    // nothing is deleted, nothing is typed
    let mut model = sample::full(80, 24);
    let mut plan = plan_of(2);
    plan.destinations.remove(0);
    select(&mut model, plan, Purpose::Execute);
    assert!(dump(&model).contains("Yes, start"));
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Start { .. }]));
}

#[test]
fn digits_before_the_question_can_be_read_are_not_meant_for_it() {
    let mut model = sample::full(80, 24);
    let asked = Asked { purpose: Purpose::Execute, keep: Keep::All, screen: model.screen };
    let selected = crate::tui::message::Selected { plan: plan_of(2), asked };
    update(&mut model, Message::Selected(Box::new(selected)));
    press(&mut model, "1 1");
    update(&mut model, Message::Armed);
    assert!(matches!(agree(&mut model).as_slice(), [Effect::Start { .. }]), "only what was typed now counts");
}

#[test]
fn a_folder_is_marked_around_the_cursor_or_by_name() {
    let mut model = with_keys(80, 24, "3 right right f");
    assert_eq!((model.marked(), notice(&model)), (4, "4 tasks in secret/payments/dev/ marked, 4 in all."));
    press(&mut model, "f");
    assert_eq!(model.marked(), 0, "once more takes the marks away");
    // what is hidden is not marked
    press(&mut model, "* f");
    assert_eq!(model.marked(), 4);
    press(&mut model, "A F");
    assert!(dump(&model).contains("mark in folder: secret/payments/dev/"));
    press(&mut model, "esc F ctrl-u");
    for (text, marked) in [("s e c r e t / s e a r c h", 8), ("s e c r e t / * / s t a g e / a p i", 2)] {
        let mut model = with_keys(80, 24, "3 right right F ctrl-u");
        press(&mut model, text);
        press(&mut model, "enter");
        assert_eq!(
            (model.marked(), model.prompt.is_none()),
            (marked + if marked == 8 { 4 } else { 0 }, true),
            "{text}"
        );
    }
    let mut model = with_keys(80, 24, "3 F ctrl-u n o enter");
    assert!(dump(&model).contains("no task that shows is in there"));
    press(&mut model, "esc");
    assert_eq!(model.marked(), 0);
}

#[test]
fn a_file_marks_what_it_names() {
    let mut model = with_keys(80, 24, "3 right m");
    let effects = press(&mut model, "p . t x t enter");
    let [Effect::Plan(Request::Paths { plan, destination: Some(0), file })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(file, "p.txt");
    let named = Named {
        plan: Arc::clone(plan),
        secrets: vec![vec![sample::path("payments/old/key")], vec![], vec![]],
        lines: 3,
        unmatched: 2,
        first: Some((7, "secret/nothing".to_owned())),
    };
    update(&mut model, Message::Plan(News::Named { file: "p.txt".into(), result: Ok(Box::new(named)) }));
    assert_eq!(model.marked(), 1);
    let expected = "1 task marked by 3 lines of p.txt. 2 lines matched nothing; the first is line 7: secret/nothing";
    assert_eq!(notice(&model), expected);

    // no such file: the line is there again, to be put right
    let gone = News::Named { file: "p.txt".into(), result: Err("there is no file p.txt".into()) };
    update(&mut model, Message::Plan(gone));
    assert!(dump(&model).contains("mark paths of file: p.txt") && dump(&model).contains("there is no file p.txt"));
}

#[test]
fn what_is_marked_is_saved_else_all() {
    let mut model = with_keys(80, 24, "3");
    let effects = press(&mut model, "s enter");
    let [Effect::Plan(Request::Save { keep: Keep::All, file, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(file, "plan-20261123-2140.json");
    let effects = press(&mut model, "space ctrl-s enter");
    let [Effect::Plan(Request::Save { keep: Keep::Marked(marked), .. })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(marked.len(), 1);
    let refused = News::Saved { file: "plan.json".into(), result: Err("plan.json exists already".into()) };
    update(&mut model, Message::Plan(refused));
    assert!(dump(&model).contains("save plan as: plan.json") && dump(&model).contains("exists already"));
    press(&mut model, "esc");
    update(&mut model, Message::Plan(News::Saved { file: "plan.json".into(), result: Ok(31) }));
    assert!(notice(&model).starts_with("31 lines saved in plan.json;"));
    // who has gone on is told, and not pulled back
    press(&mut model, "1");
    let refused = News::Saved { file: "plan.json".into(), result: Err("the disk is full".into()) };
    update(&mut model, Message::Plan(refused));
    assert!(model.prompt.is_none() && notice(&model) == "the disk is full");
}

#[test]
fn a_saved_plan_marks_exactly_what_holds_and_is_executed_exactly() {
    let mut model = loaded(100, 30, "g");
    assert_eq!(model.marked(), 1, "what was marked before is not");
    let screen = dump(&model);
    for text in ["Plan of 4711.json of 2026-11-22 09:30:00Z: 1 of 2 lines hold", "Tasks 1, 1 stale", "stale"] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    assert!(screen.contains("it is done already") && !screen.contains("search/dev/mailer"), "{screen}");
    // on whatever screen: it is that plan which is executed
    for keys in ["3 X", "3 x", "2 x"] {
        let mut model = loaded(100, 30, "g");
        let effects = press(&mut model, keys);
        let [Effect::Select { plan, asked }] = effects.as_slice() else { panic!("{effects:?}") };
        assert_eq!((asked.purpose, plan.counts().total()), (Purpose::Exact, 1), "{keys}");
    }
    let effects = press(&mut model, "d");
    assert!(matches!(effects.as_slice(), [Effect::Select { asked, .. }] if asked.purpose == Purpose::DryRun));
    select(&mut model, (*held().plan).clone(), Purpose::Exact);
    assert!(dump(&model).contains("Exactly these lines of the saved plan"));
    let effects = agree(&mut model);
    assert!(matches!(effects.as_slice(), [Effect::Start { manner: Manner::Exact, dry_run: false, .. }]), "{effects:?}");
    assert!(model.plan_list.saved_plan().is_none(), "what is done is not to be done again");
}

#[test]
fn the_saved_plan_is_left_and_judged_again() {
    let mut model = loaded(100, 30, "g");
    assert!(press(&mut model, "G space").is_empty() && notice(&model).contains("holds no longer"));
    assert_eq!(model.marked(), 1);
    let effects = update(&mut model, sample::refreshed());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Plan(Request::Judge { .. }))), "after each look");
    press(&mut model, "u");
    assert!(model.plan_list.saved_plan().is_none() && model.marked() == 0);
    assert!(dump(&model).contains("Tasks 31, 2 drifted"));
    assert!(update(&mut model, sample::refreshed()).iter().all(|effect| !matches!(effect, Effect::Plan(_))));
}

#[test]
fn what_is_no_plan_for_these_servers_is_refused_with_the_reason() {
    let mut model = with_keys(100, 30, "3 o");
    let effects = press(&mut model, "x enter");
    assert!(matches!(effects.as_slice(), [Effect::Plan(Request::Open { file })] if file == "x"));
    let no_plan =
        News::Opened { file: "x".into(), result: Err("x: this is no saved plan, or a damaged one: EOF".into()) };
    update(&mut model, Message::Plan(no_plan));
    assert!(dump(&model).contains("load plan: x") && dump(&model).contains("this is no saved plan"));
    press(&mut model, "esc");
    let saved = document();
    let opened = News::Opened { file: "x".into(), result: Ok(Arc::clone(&saved)) };
    update(&mut model, Message::Plan(opened));
    assert!(dump(&model).contains("looking what of it holds"));
    let other = "this plan was made for the origin at https://a, and the origin at https://b is another server";
    update(&mut model, Message::Plan(News::Held { saved, result: Err(other.into()) }));
    assert!(notice(&model).starts_with("x: this plan was made for the origin at https://a"));
    assert!(dump(&model).contains("Tasks 31"));
}

#[test]
fn a_guard_says_what_can_be_done() {
    let screen = dump(&with_keys(80, 24, "3 right right right"));
    let said = "mark what you mean (space) and execute that (x): up to 4";
    assert!(screen.contains("max_delete = 10% allows") && screen.contains(said), "{screen}");
    let mut model = with_keys(80, 24, "3 right right right");
    model.read_only = true;
    assert!(!dump(&model).contains("From here"), "not where nothing can be executed");
}

#[test]
fn the_details_say_why() {
    let screen = dump(&with_keys(200, 60, "3"));
    for text in ["update at us-east, the same path", "no rule applies", "origin: version 3", "recorded there: nothing"]
    {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    let small = with_keys(80, 24, "3");
    assert!(!dump(&small).contains("Details"));
    let screen = dump(&with_keys(80, 24, "3 enter"));
    assert!(screen.contains("Details") && screen.contains("J K for more"), "{screen}");
}

#[test]
fn executing_all_says_that_what_is_hidden_is_part_of_it() {
    let hidden = "What is hidden from the list is among them.";
    let mut model = with_keys(80, 24, "3");
    select(&mut model, plan_of(2), Purpose::Execute);
    assert!(!dump(&model).contains(hidden));
    press(&mut model, "esc *");
    select(&mut model, plan_of(2), Purpose::Execute);
    assert!(dump(&model).contains(hidden), "{}", dump(&model));
}
