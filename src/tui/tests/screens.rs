//! Every screen in its main states, text and styles, at the smallest usual size and at a big one.

use super::{agree, assert_kept, press, select, snapshot, with_keys};
use crate::engine::Phase;
use crate::tui::message::{Message, Purpose};
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::theme::{Depth, Theme};
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

#[test]
fn questions() {
    snapshot("question", |width, height| {
        let mut model = with_keys(width, height, "3");
        let mut plan = (*sample::plan()).clone();
        plan.destinations.truncate(2);
        select(&mut model, plan, Purpose::Execute);
        model
    });
    snapshot("question_guard", |width, height| {
        let mut model = with_keys(width, height, "3");
        let plan = (*sample::plan()).clone();
        select(&mut model, plan, Purpose::Execute);
        model
    });
    snapshot("question_quit", |width, height| {
        let mut model = running(width, height);
        press(&mut model, "q");
        model
    });
}

#[test]
fn help() {
    snapshot("help", |width, height| with_keys(width, height, "3 ?"));
}

#[test]
fn every_action_of_a_screen_is_in_its_help() {
    use crate::tui::keymap::{Keymap, Place};
    for (digit, screen) in (1..).zip(crate::tui::screen::Screen::ALL) {
        let help = dump(&with_keys(150, 120, &format!("{digit} ?")));
        for bound in Keymap::default().bindings(Place::Screen(screen), false) {
            assert!(help.contains(bound.binding.help), "{screen:?} does not tell: {}", bound.binding.help);
        }
    }
}

#[test]
fn themes_and_terminals() {
    let with = |name: &str, depth, ascii| {
        let mut model = with_keys(80, 24, "3 space");
        model.theme = Theme::named(name, depth).expect("a theme");
        model.ascii = ascii;
        dump(&model)
    };
    assert_kept("light_truecolor", &with("light", Depth::True, false));
    assert_kept("dark_sixteen", &with("dark", Depth::Sixteen, false));
    assert_kept("monochrome_ascii", &with("dark", Depth::Monochrome, true));
}

#[test]
fn no_size_panics() {
    for (width, height) in [(1, 1), (20, 5), (60, 15), (61, 16), (79, 23), (110, 15), (300, 100)] {
        for keys in ["1", "2 enter", "2 n enter", "3", "4", "5", "3 ?"] {
            dump(&with_keys(width, height, keys));
        }
        dump(&running(width, height));
    }
}
