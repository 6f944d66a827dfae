//! The list of screens.

pub(super) mod browse;
pub(super) mod cycle;
pub(super) mod failures;
pub(super) mod overview;
pub(super) mod plan;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::effect::Effect;
use super::filter::Filter;
use super::keymap::Action;
use super::model::Model;

/// One of the screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Screen {
    Overview,
    Browse,
    Plan,
    Cycle,
    Failures,
}

impl Screen {
    /// All of them; the first is on key 1.
    pub(super) const ALL: [Self; 5] = [Self::Overview, Self::Browse, Self::Plan, Self::Cycle, Self::Failures];

    /// What it is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Browse => "Browse",
            Self::Plan => "Plan",
            Self::Cycle => "Cycle",
            Self::Failures => "Failures",
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
        }
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
    if model.filtering {
        vec![
            Span::styled(format!(" /{text}"), model.theme.strong()),
            Span::styled(" ", model.theme.active()),
            " ".into(),
        ]
    } else if filter.is_empty() {
        Vec::new()
    } else {
        vec![Span::styled(format!(" /{text} "), model.theme.warning())]
    }
}
