//! The list of screens.

pub(super) mod browse;
pub(super) mod cycle;
pub(super) mod failures;
pub(super) mod history;
pub(super) mod logs;
pub(super) mod overview;
pub(super) mod plan;
pub(super) mod transforms;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Span;

use super::effect::Effect;
use super::filter::{Filter, Only};
use super::keymap::Action;
use super::model::Model;
use super::widget::split::Split;

/// One of the screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Screen {
    Overview,
    Browse,
    Plan,
    Cycle,
    Failures,
    History,
    Transforms,
    Logs,
}

impl Screen {
    /// All of them; the first is on key 1.
    pub(super) const ALL: [Self; 8] = [
        Self::Overview,
        Self::Browse,
        Self::Plan,
        Self::Cycle,
        Self::Failures,
        Self::History,
        Self::Transforms,
        Self::Logs,
    ];

    /// What it is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Browse => "Browse",
            Self::Plan => "Plan",
            Self::Cycle => "Cycle",
            Self::Failures => "Failures",
            Self::History => "History",
            Self::Transforms => "Transforms",
            Self::Logs => "Logs",
        }
    }

    /// So many screens further, around the end.
    pub(super) fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|screen| *screen == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()]
    }

    /// Does what a key of this screen asks for.
    pub(super) fn act(self, model: &mut Model, action: Action) -> Vec<Effect> {
        match self {
            Self::Overview => overview::act(model, action),
            Self::Browse => browse::act(model, action),
            Self::Plan => plan::act(model, action),
            Self::Cycle => cycle::act(model, action),
            Self::Failures => failures::act(model, action),
            Self::History => history::act(model, action),
            Self::Transforms => transforms::act(model, action),
            Self::Logs => logs::act(model, action),
        }
    }

    /// Draws the screen.
    pub(super) fn view(self, model: &Model, area: Rect, buffer: &mut Buffer) {
        match self {
            Self::Overview => overview::view(model, area, buffer),
            Self::Browse => browse::view(model, area, buffer),
            Self::Plan => plan::view(model, area, buffer),
            Self::Cycle => cycle::view(model, area, buffer),
            Self::Failures => failures::view(model, area, buffer),
            Self::History => history::view(model, area, buffer),
            Self::Transforms => transforms::view(model, area, buffer),
            Self::Logs => logs::view(model, area, buffer),
        }
    }
}

impl Screen {
    /// The filter of the screen's list, if it has one.
    pub(super) fn filter(self, model: &mut Model) -> Option<&mut Filter> {
        match self {
            Self::Browse => Some(&mut model.browse.filter),
            Self::Plan => Some(&mut model.plan_list.filter),
            Self::Failures => Some(&mut model.failure_list.filter),
            Self::History => Some(&mut model.history_list.filter),
            Self::Logs => Some(&mut model.log_list.filter),
            Self::Overview | Self::Cycle | Self::Transforms => None,
        }
    }

    /// Brings the screen's list in line with its filter.
    pub(super) fn refilter(self, model: &mut Model) {
        match self {
            Self::Browse => browse::rebuild(model),
            Self::Plan => plan::rebuild(model),
            Self::Failures => failures::rebuild(model),
            Self::History => history::rebuild(model),
            Self::Logs => logs::rebuild(model),
            Self::Overview | Self::Cycle | Self::Transforms => {}
        }
    }

    /// Keeps cursors inside of their lists and lists around their cursors.
    pub(super) fn settle(self, model: &mut Model) {
        match self {
            Self::Overview => overview::settle(model),
            Self::Browse => browse::settle(model),
            Self::Plan => plan::settle(model),
            Self::Cycle => cycle::settle(model),
            Self::Failures => failures::settle(model),
            Self::History => history::settle(model),
            Self::Transforms => transforms::settle(model),
            Self::Logs => logs::settle(model),
        }
    }

    /// Where one is on the screen: a folder, a destination, a cause.
    pub(super) fn inside(self, model: &Model) -> Option<String> {
        match self {
            Self::Browse => browse::inside(model),
            _ => None,
        }
    }

    /// How the screen is divided now, if it is.
    pub(super) fn split(self, model: &Model) -> Option<Split> {
        match self {
            Self::Browse => browse::split(model, model.body()),
            Self::Plan => plan::split(model, model.body()),
            Self::Failures => failures::split(model, model.body()),
            Self::History => history::split(model, model.body()),
            _ => None,
        }
    }

    /// A click into the screen's body, `twice` if it is the second at this place within a moment.
    pub(super) fn click(self, model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
        match self {
            Self::Overview => overview::click(model, at, twice),
            Self::Browse => browse::click(model, at, twice),
            Self::Plan => plan::click(model, at, twice),
            Self::Cycle => cycle::click(model, at, twice),
            Self::Failures => failures::click(model, at, twice),
            Self::History => history::click(model, at, twice),
            Self::Transforms => transforms::click(model, at, twice),
            Self::Logs => logs::click(model, at, twice),
        }
    }

    /// The wheel, `by` rows further down (or up, if negative), over this place in the screen's body.
    pub(super) fn wheel(self, model: &mut Model, at: Position, by: isize) -> Vec<Effect> {
        let details = self.split(model).is_some_and(|split| split.is_second(at));
        let action = match (details, by < 0) {
            (true, true) => Action::DetailsUp,
            (true, false) => Action::DetailsDown,
            (false, true) => Action::Up,
            (false, false) => Action::Down,
        };
        (0..by.unsigned_abs()).flat_map(|_| self.act(model, action)).collect()
    }
}

/// How many tasks are marked, for the frame of a list of them.
fn marked_title(model: &Model) -> Vec<Span<'static>> {
    match model.marked() {
        0 => Vec::new(),
        marked => {
            let tasks = super::format::plural(marked as u64, "task");
            vec![Span::styled(format!(" ● {tasks} marked "), model.theme.accent())]
        }
    }
}

/// The filter of the screen that shows, for the frame of its list.
fn filter_title(model: &Model, filter: &Filter) -> Vec<Span<'static>> {
    let text = crate::text::sanitize(filter.text()).into_owned();
    let mut spans = Vec::new();
    if filter.only != Only::All {
        spans.push(Span::styled(format!(" only {} ", filter.only.as_str()), model.theme.warning()));
    }
    if model.filtering {
        spans.push(Span::styled(" /", model.theme.strong()));
        spans.extend(super::widget::typed::line(&model.theme, &filter.input, 40));
        spans.push(" ".into());
        if text.is_empty() {
            spans.push(Span::styled("!not  ~fuzzy ", model.theme.muted()));
        }
    } else if !text.is_empty() {
        spans.push(Span::styled(format!(" /{text} "), model.theme.warning()));
    }
    spans
}
