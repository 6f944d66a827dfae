//! What the mouse does. Everything it does a key does as well.

use ratatui::layout::{Position, Rect};

use super::{filtered, on_action, on_dialog, on_help, show};
use crate::tui::effect::Effect;
use crate::tui::input::{Gesture, Mouse};
use crate::tui::keymap::{Action, Place};
use crate::tui::model::Model;
use crate::tui::view;
use crate::tui::widget::confirm::button_at;

/// Rows that one notch of the wheel goes.
const NOTCH: isize = 3;

pub(super) fn on_mouse(model: &mut Model, mouse: Mouse) -> Vec<Effect> {
    if model.is_too_small() {
        return Vec::new();
    }
    match mouse.gesture {
        Gesture::Press { twice } => on_press(model, mouse.at, twice),
        Gesture::Drag => on_drag(model, mouse.at),
        Gesture::Release => {
            model.dragging = false;
            Vec::new()
        }
        Gesture::Wheel(notches) => on_wheel(model, mouse.at, notches * NOTCH),
    }
}

fn on_press(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    model.notice = None;
    let place = model.place();
    if let Some(action) = view::hint_at(model, at) {
        return on_action(model, place, action);
    }
    if place == Place::Dialog {
        return on_question(model, at);
    }
    let Some(screen) = behind(model, place) else { return Vec::new() };
    if let Some(other) = view::tab_at(model, at) {
        show(model, other);
        Vec::new()
    } else if screen.split(model).is_some_and(|split| split.is_divider(at)) {
        model.dragging = true;
        Vec::new()
    } else if model.body().contains(at) {
        screen.click(model, at, twice)
    } else {
        Vec::new()
    }
}

/// The screen that takes the mouse: none while something stands before it.
fn behind(model: &mut Model, place: Place) -> Option<crate::tui::screen::Screen> {
    match place {
        Place::Screen(screen) => Some(screen),
        Place::Filter => {
            // A click ends typing as enter does.
            model.filtering = false;
            filtered(model);
            Some(model.screen)
        }
        // What is clicked there ends typing, or goes on elsewhere in the rule.
        Place::Edit => Some(model.screen),
        _ => None,
    }
}

fn on_question(model: &mut Model, at: Position) -> Vec<Effect> {
    let area = Rect::new(0, 0, model.size.width, model.size.height);
    let Some(dialog) = model.dialog.as_ref().filter(|dialog| dialog.armed) else { return Vec::new() };
    match button_at(&view::question(model, dialog, area), area, at) {
        Some(true) => on_dialog(model, Action::Yes),
        Some(false) => on_dialog(model, Action::No),
        None => Vec::new(),
    }
}

fn on_drag(model: &mut Model, at: Position) -> Vec<Effect> {
    let screen = model.screen;
    if let Some(split) = screen.split(model).filter(|_| model.dragging) {
        model.shares.insert((screen, split.direction()), split.dragged_to(at));
    }
    Vec::new()
}

fn on_wheel(model: &mut Model, at: Position, by: isize) -> Vec<Effect> {
    match model.place() {
        Place::Screen(screen) if model.body().contains(at) => screen.wheel(model, at, by),
        Place::Filter | Place::Edit => model.screen.wheel(model, at, by),
        Place::Help => {
            let action = if by < 0 { Action::Up } else { Action::Down };
            (0..by.unsigned_abs()).flat_map(|_| on_help(model, action)).collect()
        }
        _ => Vec::new(),
    }
}
