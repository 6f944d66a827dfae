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
mod watch;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::effect::{Effect, Keep};
use super::input::Input;
use super::message::{Asked, Message, Purpose, Selected};
use super::model::Model;
use super::sample::dump;
use super::update::update;
use crate::engine::Plan;

const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];

/// A screen's text and styles, at the smallest usual size and at a big one.
fn snapshot(name: &str, make: impl Fn(u16, u16) -> Model) {
    for (width, height) in SIZES {
        insta::with_settings!({ snapshot_path => "tests/snapshots" }, {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), dump(&make(width, height)));
        });
    }
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

/// A screen as it looks at the smallest usual size and at a big one, text and styles.
fn shown_in_every_size(name: &str, make: impl Fn(u16, u16) -> Model) {
    for (width, height) in [(80, 24), (200, 60)] {
        let screen = super::sample::dump(&make(width, height));
        insta::with_settings!({ snapshot_path => "tests/snapshots" }, {
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen);
        });
    }
}
