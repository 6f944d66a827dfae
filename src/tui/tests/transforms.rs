//! Rules edited against the inventory: what shows while one types, and what saving asks and does.

use std::sync::Arc;

use ratatui::layout::Position;

use super::{assert_kept, press, snapshot};
use crate::config::{Loaded, RulesFile, Sources};
use crate::engine::{Engine, Inventory, Operator, Plan, PreviewAsk, Rule, Transforms, testing};
use crate::tui::effect::Effect;
use crate::tui::effect::transforms::Request;
use crate::tui::input::{Gesture, Input, Mouse};
use crate::tui::keymap::Place;
use crate::tui::message::Message;
use crate::tui::model::{Ask, Model};
use crate::tui::sample::{self, dump};
use crate::tui::screen::transforms::{News, Row};
use crate::tui::update::update;

/// Answers every wish for a preview, as the effects do.
fn answer(model: &mut Model, effects: Vec<Effect>) {
    for effect in effects {
        let Effect::Transforms(Request::Preview { serial, destination, inventory, rules }) = effect else { continue };
        let mount = sample::mount();
        let mut there = testing::destination(destination.as_str(), &mount);
        if destination == sample::names()[1] {
            there.transforms = Transforms::new(&sample::rules()).expect("valid rules");
        }
        let operator = Operator { name: "o".to_owned(), host: "h".to_owned() };
        let engine = Engine::new(testing::origin(&mount), vec![there], operator);
        let mut last = None;
        let ask = PreviewAsk { destination, inventory, rules, loops_back: false };
        engine.preview(&ask, || true, |preview| last = Some(preview.clone()));
        update(model, Message::Transforms(News::Previewed(serial, Box::new(last.expect("an end")))));
    }
}

/// Presses keys, and lets previews be answered.
fn keys(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut last = Vec::new();
    for key in keys.split(' ') {
        let effects = press(model, key);
        let (previews, others): (Vec<_>, Vec<_>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Transforms(Request::Preview { .. })));
        answer(model, previews);
        last = others;
    }
    last
}

fn paste(model: &mut Model, text: &str) {
    let effects = update(model, Message::Input(Input::Paste(text.to_owned())));
    answer(model, effects);
}

fn shown(width: u16, height: u16) -> Model {
    let mut model = sample::full(width, height);
    keys(&mut model, "7");
    model
}

fn text(model: &Model) -> String {
    dump(model).split("--- styles").next().unwrap_or_default().to_owned()
}

fn assert_shows(model: &Model, part: &str) {
    assert!(text(model).contains(part), "\"{part}\" is not in\n{}", text(model));
}

#[test]
fn every_state() {
    snapshot("transforms", shown);
    snapshot("transforms_loading", |width, height| {
        let mut model = sample::opened(width, height);
        crate::tui::update::begin(&mut model);
        press(&mut model, "7");
        model
    });
    snapshot("transforms_empty", |width, height| {
        let mut model = shown(width, height);
        keys(&mut model, "left");
        model
    });
    snapshot("transforms_error", |width, height| {
        let mut model = shown(width, height);
        keys(&mut model, "enter end (");
        model
    });
    snapshot("transforms_collisions", |width, height| {
        let mut model = shown(width, height);
        keys(&mut model, "j enter tab ctrl-u");
        paste(&mut model, "secret/data/pay/x");
        model
    });
    snapshot("transforms_everything_else", |width, height| {
        let mut model = shown(width, height);
        keys(&mut model, "G");
        model
    });
    snapshot("transforms_tried", |width, height| {
        let mut model = shown(width, height);
        keys(&mut model, "p");
        paste(&mut model, "payments/stage/api");
        keys(&mut model, "enter");
        model
    });
}

#[test]
fn no_size_loses_the_rule_or_its_fields() {
    for (width, height) in [(60, 15), (80, 24), (119, 30), (120, 30), (300, 80)] {
        let mut model = shown(width, height);
        assert_shows(&model, "v1->v2");
        keys(&mut model, "enter");
        for part in ["name", "from", "to"] {
            assert_shows(&model, part);
        }
        assert_shows(&model, "matched");
    }
}

#[test]
fn counts_follow_what_is_typed() {
    let mut model = shown(80, 24);
    assert_shows(&model, "28 matched");
    keys(&mut model, "enter home");
    keys(&mut model, "end backspace");
    assert_shows(&model, "not saved");
    keys(&mut model, "$ esc");
    assert_shows(&model, "28 matched");
    assert!(!text(&model).contains("not saved"), "what is typed and taken back is no change");
    keys(&mut model, "enter ctrl-u");
    assert_shows(&model, "an expression is missing");
    paste(&mut model, "^secret/data/(?P<team>search)/(?P<env>[^/]+)/(?P<app>.+)$\n");
    assert_shows(&model, "24 matched");
    assert_eq!(model.place(), Place::Edit, "a pasted line break leaves nothing");
}

#[test]
fn letters_are_text_while_a_rule_is_typed() {
    let mut model = shown(80, 24);
    keys(&mut model, "enter tab tab end q 1 ? : u");
    assert_eq!(model.place(), Place::Edit);
    assert_shows(&model, "v1->v2q1?:u");
    keys(&mut model, "esc u");
    assert!(!text(&model).contains("v1->v2q1?:u"), "typing is one step");
    keys(&mut model, "U");
    assert_shows(&model, "v1->v2q1?:u");
}

#[test]
fn rules_are_added_moved_copied_and_taken_away() {
    let names = |model: &Model| -> Vec<String> {
        let rules = model.transform_list.rules_of_shown();
        rules.into_iter().map(|rule| rule.name).collect()
    };
    let mut model = shown(80, 24);
    assert_eq!(names(&model), ["v1->v2", "payments first"]);
    keys(&mut model, "J");
    assert_eq!(names(&model), ["payments first", "v1->v2"]);
    keys(&mut model, "K D");
    assert_eq!(names(&model), ["v1->v2", "v1->v2 copy", "payments first"]);
    keys(&mut model, "d");
    assert_eq!(names(&model), ["v1->v2", "payments first"]);
    keys(&mut model, "a");
    assert_eq!(model.place(), Place::Edit);
    keys(&mut model, "esc u u");
    assert_eq!(names(&model), ["v1->v2", "v1->v2 copy", "payments first"]);
    keys(&mut model, "X");
    assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::DiscardDraft)));
    keys(&mut model, "y");
    assert_eq!(names(&model), ["v1->v2", "payments first"]);
}

#[test]
fn the_first_that_matches_decides_and_the_screen_says_so() {
    let mut model = shown(200, 60);
    keys(&mut model, "j");
    assert_shows(&model, "8 more it would match, but an earlier rule decides");
    keys(&mut model, "K");
    assert!(!text(&model).contains("8 more it would match"), "it is the earlier one now");
}

#[test]
fn what_does_not_work_is_not_saved() {
    let mut model = shown(80, 24);
    assert!(keys(&mut model, "ctrl-s").is_empty());
    assert_shows(&model, "there is nothing to save");
    let effects = keys(&mut model, "enter end ( ctrl-s");
    assert!(effects.is_empty() && model.dialog.is_none());
    assert_shows(&model, "rule 1 does not work yet: unclosed group");
}

#[test]
fn without_a_file_rules_hold_for_the_session() {
    let mut model = shown(80, 24);
    keys(&mut model, "d");
    let effects = keys(&mut model, "ctrl-s");
    let [Effect::Transforms(Request::Check { destination, rows })] = &effects[..] else { panic!("{effects:?}") };
    let (destination, rows) = (destination.clone(), rows.clone());
    let change = Err("there is no configuration file to write them to".to_owned());
    update(&mut model, Message::Transforms(News::Checked { destination, rows, change }));
    update(&mut model, Message::Armed);
    assert_shows(&model, "Use the rules for this session?");
    assert_shows(&model, "secrets will go elsewhere than before");
    let effects = keys(&mut model, "y");
    let rules = effects.iter().find_map(|effect| match effect {
        Effect::Transforms(Request::Use { rules, .. }) => Some(rules.len()),
        _ => None,
    });
    assert_eq!(rules, Some(1));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "the plan is made anew: {effects:?}");
    assert_shows(&model, "no file was changed");
    assert_shows(&model, "this session only");
}

#[test]
fn saving_shows_the_lines_and_then_writes_them() {
    let (folder, file) = a_file();
    let mut model = shown(80, 24);
    model.file = Some("vsync.toml".into());
    keys(&mut model, "enter tab end x esc");
    let effects = keys(&mut model, "ctrl-s");
    let [Effect::Transforms(Request::Check { destination, rows })] = &effects[..] else { panic!("{effects:?}") };
    let edited: Vec<_> = rows.iter().map(Row::edited).collect();
    let change = file.change(destination.as_str(), &edited).map_err(|error| error.to_string());
    let (destination, rows) = (destination.clone(), rows.clone());
    update(
        &mut model,
        Message::Transforms(News::Checked { destination: destination.clone(), rows: rows.clone(), change }),
    );
    update(&mut model, Message::Armed);
    assert_kept("transforms_save_80x24", &dump(&model));
    let effects = keys(&mut model, "y");
    assert!(matches!(effects[..], [Effect::Transforms(Request::Write { .. })]), "{effects:?}");
    let outcome = Ok("vsync.toml".to_owned());
    let effects = update(&mut model, Message::Transforms(News::Written { destination, rows, outcome }));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Transforms(Request::Use { .. }))));
    assert_shows(&model, "2 rules saved to vsync.toml");
    drop(folder);
}

fn a_file() -> (tempfile::TempDir, RulesFile) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vsync.toml");
    let vault = "vault.address = \"http://127.0.0.1:1\"";
    let mut text =
        format!("[origin]\nmounts = [\"secret/\"]\n{vault}\n[[destinations]]\nname = \"ap-south\"\n{vault}\n");
    for Rule { name, from, to } in sample::rules() {
        let rule = format!("[[destinations.transforms]]\nname = \"{name}\"\nfrom = '{from}'\nto = \"{to}\"\n");
        text = format!("{text}# a comment\n{rule}");
    }
    std::fs::write(&path, text).expect("a file");
    let sources = Sources { file: Some(path), ..Sources::default() };
    let loaded: Loaded = crate::config::load(&sources).unwrap_or_else(|error| panic!("{error}"));
    (folder, RulesFile::new(&loaded, &sources).expect("a file"))
}

#[test]
fn rules_in_use_are_not_replaced() {
    let mut model = shown(80, 24);
    keys(&mut model, "d");
    model.cycle.running = true;
    assert!(keys(&mut model, "ctrl-s").is_empty());
    assert_shows(&model, "A cycle is running");
    model.cycle.running = false;
    model.watch.on = true;
    assert!(keys(&mut model, "ctrl-s").is_empty());
    assert_shows(&model, "Watch mode");
}

#[test]
fn a_read_only_console_edits_but_does_not_save() {
    let mut model = shown(80, 24);
    model.read_only = true;
    keys(&mut model, "enter end ( esc");
    assert_shows(&model, "not saved");
    assert!(keys(&mut model, "u d ctrl-s").is_empty());
    assert_shows(&model, "read-only");
}

#[test]
fn quitting_asks_about_what_was_not_saved() {
    let mut model = shown(80, 24);
    keys(&mut model, "d");
    assert!(keys(&mut model, "q").is_empty());
    assert_shows(&model, "Rules of ap-south were edited and not saved");
    keys(&mut model, "n u");
    assert!(matches!(keys(&mut model, "q")[..], [Effect::Quit(_)]));
}

#[test]
fn only_the_newest_preview_counts() {
    let mut model = shown(80, 24);
    let before = text(&model);
    let first = press(&mut model, "d");
    let [Effect::Transforms(Request::Preview { serial, .. })] = &first[..] else { panic!("{first:?}") };
    let stale = serial - 1;
    update(&mut model, Message::Transforms(News::Previewed(stale, Box::default())));
    assert!(before.contains("28 matched"));
    assert_shows(&model, "28 matched");
    answer(&mut model, first);
    assert_shows(&model, "12 matched");
    // another inventory is another preview
    let plan = Plan { inventory: Arc::new(Inventory::empty(3)), ..(*sample::plan()).clone() };
    model.plan = Some(Arc::new(plan));
    let effects = update(&mut model, Message::Armed);
    answer(&mut model, effects);
    assert_shows(&model, "holds no secret that the rules could be tried on");
}

#[test]
fn the_mouse_chooses_and_edits() {
    for (width, height) in [(80, 24), (200, 60)] {
        let mut model = shown(width, height);
        click(&mut model, "payments first", false);
        assert_shows(&model, "Rule 2 of 2");
        click(&mut model, "v1->v2", true);
        assert_shows(&model, "Rule 1 of 2");
        assert_eq!(model.place(), Place::Edit);
        keys(&mut model, "esc");
        // into the text of `to`, where the character goes then
        click(&mut model, "/v2/${env}", false);
        assert_eq!(model.place(), Place::Edit);
        keys(&mut model, "!");
        assert_shows(&model, "secret/data!/v2/${env}");
        keys(&mut model, "esc u");
    }
    let mut model = shown(200, 60);
    click(&mut model, "eu-recovery", false);
    assert_shows(&model, "There is no rule");
}

/// A click on the first place where a text stands.
fn click(model: &mut Model, on: &str, twice: bool) {
    let screen = text(model);
    let found = screen.lines().enumerate().find_map(|(y, row)| Some((row[..row.find(on)?].chars().count(), y)));
    let (x, y) = found.unwrap_or_else(|| panic!("no {on:?} in\n{screen}"));
    let at = Position::new(u16::try_from(x).expect("small"), u16::try_from(y).expect("small"));
    let effects = update(model, Message::Input(Input::Mouse(Mouse { at, gesture: Gesture::Press { twice } })));
    answer(model, effects);
}

#[test]
fn other_screens_ask_for_no_preview() {
    let mut model = sample::full(80, 24);
    assert!(press(&mut model, "2").iter().all(|effect| !matches!(effect, Effect::Transforms(_))));
}

/// While a rule is typed the mouse goes on elsewhere: into another field, onto another rule, to another screen.
#[test]
fn the_mouse_ends_typing() {
    let mut model = shown(200, 60);
    keys(&mut model, "enter");
    assert!(model.transform_list.is_editing());
    let row = text(&model).lines().position(|line| line.contains("payments first")).expect("a rule");
    let at = ratatui::layout::Position::new(6, u16::try_from(row).expect("small"));
    let gesture = crate::tui::input::Gesture::Press { twice: false };
    update(&mut model, Message::Input(Input::Mouse(crate::tui::input::Mouse { at, gesture })));
    assert!(!model.transform_list.is_editing());
    assert_shows(&model, "Rule 2 of 2");
}
