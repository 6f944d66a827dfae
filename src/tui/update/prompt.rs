//! A line that is typed, and what comes of it.

use crossterm::event::Event;
use tui_input::InputRequest;
use tui_input::backend::crossterm::EventHandler;

use crate::tui::effect::Effect;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::prompt::Line;
use crate::tui::screen::failures;

pub(super) fn on_prompt(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    if action != Action::Apply {
        return Vec::new();
    }
    let text = prompt.input.value().trim().to_owned();
    match submit(model, &prompt.ask, &text) {
        Ok(effects) => effects,
        Err(reason) => {
            prompt.error = Some(reason);
            model.prompt = Some(prompt);
            Vec::new()
        }
    }
}

/// Gives the line to who asked for it; the reason, if it is not taken.
fn submit(model: &mut Model, ask: &Line, text: &str) -> Result<Vec<Effect>, String> {
    match ask {
        Line::Command => Err(format!("there is no command \"{text}\"")),
        Line::IgnoreReason => failures::ignore(model, text),
    }
}

pub(super) fn on_text(model: &mut Model, event: &Event) {
    if let Some(prompt) = &mut model.prompt {
        prompt.error = None;
        prompt.input.handle_event(event);
    }
}

pub(super) fn on_paste(model: &mut Model, text: &str) {
    if let Some(prompt) = &mut model.prompt {
        prompt.error = None;
        for c in text.chars().filter(|c| !c.is_control()) {
            prompt.input.handle(InputRequest::InsertChar(c));
        }
    }
}
