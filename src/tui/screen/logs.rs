//! This run's log.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::tui::effect::Effect;
use crate::tui::filter::Filter;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::update::movement;
use crate::tui::widget::panel;
use crate::tui::widget::scroll::Scroll;

/// The log as it is being looked at.
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
    model.log_list.scroll.settle(0, 0);
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(to) = movement(action) {
        model.log_list.scroll.go(to, 0, 0);
    }
    Vec::new()
}

pub(super) fn click(_model: &mut Model, _at: Position, _twice: bool) -> Vec<Effect> {
    Vec::new()
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    panel::panel(&model.theme, "Logs", Vec::new(), body, buffer);
}
