//! The mouse: clicks, the wheel, the divider.

use ratatui::layout::Position;

use super::{press, select};
use crate::tui::effect::Effect;
use crate::tui::input::{Gesture, Input, Mouse};
use crate::tui::message::{Message, Purpose};
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::Screen;
use crate::tui::update::update;

fn mouse(model: &mut Model, (x, y): (u16, u16), gesture: Gesture) -> Vec<Effect> {
    update(model, Message::Input(Input::Mouse(Mouse { at: Position::new(x, y), gesture })))
}

fn click(model: &mut Model, at: (u16, u16)) -> Vec<Effect> {
    mouse(model, at, Gesture::Press { twice: false })
}

/// Where a text stands on the screen.
fn place_of(model: &Model, text: &str) -> (u16, u16) {
    let screen = dump(model);
    let rows = screen.split("\n--- styles").next().unwrap_or_default().lines().enumerate();
    let mut rows = rows;
    let found = rows.find_map(|(y, row)| Some((row[..row.find(text)?].chars().count(), y)));
    let (x, y) = found.unwrap_or_else(|| panic!("no {text:?} in\n{screen}"));
    (u16::try_from(x).expect("small"), u16::try_from(y).expect("small"))
}

/// Whether a text can be read.
fn shows(model: &Model, text: &str) -> bool {
    dump(model).split("\n--- styles").next().unwrap_or_default().contains(text)
}

#[test]
fn tabs_and_hints_are_buttons() {
    for (width, height) in [(80, 24), (200, 60)] {
        let mut model = sample::full(width, height);
        let at = place_of(&model, "5 Failures");
        click(&mut model, at);
        assert_eq!(model.screen, Screen::Failures);
        let at = place_of(&model, "? help");
        click(&mut model, at);
        assert!(model.help.is_some());
        click(&mut model, (1, 1));
        assert_eq!(model.screen, Screen::Failures, "what stands before the screen takes the mouse");
    }
}

#[test]
fn a_click_selects_and_a_second_opens() {
    let mut model = sample::full(120, 40);
    press(&mut model, "2");
    let at = place_of(&model, "payments/");
    click(&mut model, at);
    assert!(!shows(&model, "▾ payments/"));
    mouse(&mut model, at, Gesture::Press { twice: true });
    assert!(shows(&model, "▾ payments/"));

    let mut model = sample::full(80, 24);
    let at = place_of(&model, "35.1%");
    mouse(&mut model, at, Gesture::Press { twice: true });
    assert_eq!(model.screen, Screen::Plan);
    assert!(shows(&model, "Tasks for ap-south"));
}

#[test]
fn a_click_while_typing_a_filter_keeps_it() {
    let mut model = sample::full(120, 40);
    press(&mut model, "2 / s e a r c h");
    let at = place_of(&model, "search/");
    click(&mut model, at);
    assert!(!model.filtering);
    assert!(shows(&model, "/search"));
}

#[test]
fn questions_are_answered_by_their_buttons() {
    let asked = || {
        let mut model = sample::full(100, 30);
        let mut plan = (*sample::plan()).clone();
        plan.destinations = vec![plan.destinations.swap_remove(1)];
        select(&mut model, plan, Purpose::Execute);
        model
    };
    let mut model = asked();
    assert!(click(&mut model, (2, 5)).is_empty());
    assert!(model.dialog.is_some(), "beside the question nothing happens");
    let at = place_of(&model, "Yes, start");
    assert!(matches!(click(&mut model, at).as_slice(), [Effect::Start { .. }]));

    let mut model = asked();
    let at = place_of(&model, " No ");
    assert!(click(&mut model, at).is_empty());
    assert!(model.dialog.is_none());
}

#[test]
fn a_question_that_nobody_asked_for_takes_no_click_at_first() {
    let mut model = sample::full(100, 30);
    let mut plan = (*sample::plan()).clone();
    plan.destinations = vec![plan.destinations.swap_remove(1)];
    select(&mut model, plan, Purpose::Execute);
    model.dialog.as_mut().expect("a question").armed = false;
    let at = place_of(&model, "Yes, start");
    assert!(click(&mut model, at).is_empty());
    assert!(model.dialog.is_some());
}

#[test]
fn the_wheel_goes_through_what_it_is_over() {
    let mut model = sample::full(120, 40);
    press(&mut model, "3");
    let list = place_of(&model, "search/prod/mailer");
    let before = dump(&model);
    mouse(&mut model, list, Gesture::Wheel(2));
    assert_ne!(dump(&model), before);
    mouse(&mut model, list, Gesture::Wheel(-2));
    assert_eq!(dump(&model), before);
    mouse(&mut model, (3, 0), Gesture::Wheel(1));
    assert_eq!(dump(&model), before, "the header does not scroll");
}

#[test]
fn the_divider_is_dragged_and_moved_by_keys() {
    let mut model = sample::full(160, 40);
    press(&mut model, "2");
    let split = |model: &Model| model.screen.split(model).expect("two parts").parts()[0].width;
    let before = split(&model);
    click(&mut model, (before, 10));
    mouse(&mut model, (70, 12), Gesture::Drag);
    mouse(&mut model, (71, 12), Gesture::Release);
    assert_eq!(split(&model), 70);
    mouse(&mut model, (100, 12), Gesture::Drag);
    assert_eq!(split(&model), 70, "the button is up");
    press(&mut model, ">");
    assert_eq!(split(&model), 74);
    press(&mut model, "< <");
    assert_eq!(split(&model), 66);
    press(&mut model, "5");
    assert_ne!(split(&model), 66, "each screen has its own");
}

#[test]
fn the_mouse_is_given_back_by_a_key() {
    let mut model = sample::full(80, 24);
    assert!(matches!(press(&mut model, "M").as_slice(), [Effect::CaptureMouse(false)]));
    assert!(shows(&model, "M takes it back"));
    assert!(matches!(press(&mut model, "M").as_slice(), [Effect::CaptureMouse(true)]));
}
