//! Past cycles from the state store.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::tui::effect::Effect;
use crate::tui::filter::Filter;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::update::movement;
use crate::tui::widget::panel;
use crate::tui::widget::scroll::Scroll;

/// The cycles as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    pub(in crate::tui) filter: Filter,
    scroll: Scroll,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {}

/// Takes in what came back.
pub(in crate::tui) fn take(_model: &mut Model, news: News) -> Vec<Effect> {
    match news {}
}

/// Brings the rows in line with the filter.
pub(in crate::tui) fn rebuild(_model: &mut Model) {}

pub(super) fn settle(model: &mut Model) {
    model.history_list.scroll.settle(0, 0);
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(to) = movement(action) {
        model.history_list.scroll.go(to, 0, 0);
    }
    Vec::new()
}

pub(super) fn click(_model: &mut Model, _at: Position, _twice: bool) -> Vec<Effect> {
    Vec::new()
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    panel::panel(&model.theme, "History", Vec::new(), body, buffer);
}
