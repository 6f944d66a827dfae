//! The console as a whole: keys in, effects and screens out.

mod behaviour;
mod browse;
mod cycle;
mod documents;
mod failures;
mod history;
mod logs;
mod mouse;
mod overview;
mod palette;
mod plan;
mod running;
mod screens;
mod settings;
mod transforms;
mod unverified;
mod watch;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::effect::{Effect, Keep};
use super::input::Input;
use super::message::{Asked, Message, Purpose, Selected};
use super::model::Model;
use super::sample::{dump, text};
use super::update::update;
use crate::engine::Plan;

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// A state of a screen as it looks: text and styles at the smallest usual size and at a big one, and the text on a small
/// terminal without UTF-8.
fn snapshot(name: &str, make: impl Fn(u16, u16) -> Model) {
    for (width, height) in SIZES {
        assert_kept(&format!("{name}_{width}x{height}"), &dump(&make(width, height)));
    }
    let mut model = make(80, 24);
    model.ascii = true;
    let screen = text(&model);
    assert!(screen.is_ascii(), "{screen}");
    assert_kept(&format!("{name}_ascii"), &screen);
}

/// Compares a screen with what is kept of it.
fn assert_kept(name: &str, screen: &str) {
    insta::with_settings!({ snapshot_path => "tests/snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, screen);
    });
}

/// A key as it is written in help: `x`, `ctrl-c`, `enter`.
fn key(text: &str) -> Input {
    let (modifiers, text) = match text.strip_prefix("ctrl-") {
        Some(rest) => (KeyModifiers::CONTROL, rest),
        None => (KeyModifiers::NONE, text),
    };
    let code = match text {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "tab" => KeyCode::Tab,
        "shift-tab" => KeyCode::BackTab,
        "space" => KeyCode::Char(' '),
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "pgdn" => KeyCode::PageDown,
        "end" => KeyCode::End,
        "home" => KeyCode::Home,
        "backspace" => KeyCode::Backspace,
        c => KeyCode::Char(c.chars().next().expect("a character")),
    };
    Input::Key(KeyEvent::new(code, modifiers))
}

/// What comes of `asked` when its plan is there, on the screen that shows; the question is there for long enough to be
/// answered.
fn select(model: &mut Model, plan: Plan, purpose: Purpose) -> Vec<Effect> {
    let asked = Asked { purpose, keep: Keep::All, screen: model.screen };
    let effects = update(model, Message::Selected(Box::new(Selected { plan, asked })));
    update(model, Message::Armed);
    effects
}

/// A console with something of everything, after these keys.
fn with_keys(width: u16, height: u16, keys: &str) -> Model {
    let mut model = super::sample::full(width, height);
    press(&mut model, keys);
    model
}

/// Types a text into a line.
fn type_text(model: &mut Model, text: &str) {
    for c in text.chars() {
        update(model, Message::Input(Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE))));
    }
}

/// Presses keys, written with spaces between them; returns what the last one asks for.
fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for text in keys.split(' ') {
        effects = update(model, Message::Input(key(text)));
    }
    effects
}

/// Says yes to the question that is asked; where something is deleted, the number is typed.
fn agree(model: &mut Model) -> Vec<Effect> {
    match model.dialog.as_ref().and_then(super::model::Dialog::must_type) {
        None => press(model, "y"),
        Some(number) => {
            let digits: Vec<String> = number.to_string().chars().map(String::from).collect();
            press(model, &format!("{} enter", digits.join(" ")))
        }
    }
}
