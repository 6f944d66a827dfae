//! The list of failures, and how the screen is divided.

use ratatui::buffer::Buffer;
use ratatui::layout::{Direction, Rect};
use ratatui::text::{Line, Span};

use super::detail::details;
use super::{Part, Row, shown};
use crate::engine::{DestinationName, Failure, Ignored};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::screen::{Screen, filter_title};
use crate::tui::widget::split::Split;
use crate::tui::widget::{cell, panel};

const NAME: usize = 12;

/// Room for a usual reason.
const REASON: usize = 24;

/// List and details, if both show.
pub(in crate::tui) fn split(model: &Model, body: Rect) -> Option<Split> {
    if model.failure_list.detail_hidden || model.failure_list.rows.is_empty() {
        None
    } else if body.width >= 140 {
        let usual = body.width * 2 / 5;
        Some(model.divide(Screen::Failures, Direction::Horizontal, body, usual, [60, 40]))
    } else {
        let usual = (body.height / 2).clamp(9, 20);
        Some(model.divide(Screen::Failures, Direction::Vertical, body, usual, [5, 4]))
    }
}

pub(super) fn areas(model: &Model, body: Rect) -> (Rect, Option<Rect>) {
    match split(model, body) {
        Some(split) => {
            let [list, detail] = split.parts();
            (list, Some(detail))
        }
        None => (body, None),
    }
}

/// By how many lines the details are longer than what shows of them.
pub(super) fn hidden_details(model: &Model) -> usize {
    let (_, area) = areas(model, model.body());
    area.map_or(0, |area| panel::overflow(details(model, panel::text_width(area)).len(), area))
}

pub(super) fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body()).0.height.saturating_sub(2))
}

pub(in crate::tui) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let (list, detail) = areas(model, body);
    view_list(model, list, buffer);
    if let Some(area) = detail {
        let text = details(model, panel::text_width(area));
        panel::text(&model.theme, "Details", text, (model.failure_list.detail_top, &model.scroll_keys()), area, buffer);
    }
}

fn view_list(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.failure_list;
    let mut right = Vec::new();
    if !state.marks.is_empty() {
        let marked = format::plural(state.marks.len() as u64, "failure");
        right.push(Span::styled(format!(" ● {marked} marked "), theme.accent()));
    }
    right.extend(filter_title(model, &state.filter));
    let ignored = match state.ignored.len() {
        0 => String::new(),
        count => format!(", {} ignored", format::count(count as u64)),
    };
    let title = match state.part {
        None => format!("Failures {}{ignored}", format::count(model.failures.len() as u64)),
        Some(Part::Cause(cause)) => format!("Failures: {}", cause.as_str()),
        Some(Part::Ignored) => "Failures: ignored".to_owned(),
    };
    if let Some(reason) = model.failures_error.as_ref().filter(|_| !state.rows.is_empty()) {
        right.push(panel::outdated(theme, reason, area));
    }
    let inner = panel::panel(theme, &title, right, area, buffer);
    if state.rows.is_empty() {
        let (text, style) = match &model.failures_error {
            Some(reason) => (format!("Past cycles could not be read: {reason}"), theme.bad()),
            None if model.plan.is_none() => ("Reading the reports of past cycles…".to_owned(), theme.muted()),
            None if model.failures.is_empty() && state.ignored.is_empty() => {
                ("Nothing has failed.".to_owned(), theme.good())
            }
            None => ("No failure is shown with these filters.".to_owned(), theme.muted()),
        };
        let lines = cell::wrap(&text, usize::from(inner.width.saturating_sub(2)));
        panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), style)), inner, buffer);
    }
    let window = state.scroll.window(state.rows.len(), usize::from(inner.height));
    for (place, row) in inner.rows().zip(window) {
        let width = usize::from(inner.width);
        let line = match (state.rows[row], shown(model, state.rows[row])) {
            (Row::Group(part, count), _) => group(model, part, count, width),
            (_, Some((name, failure, ignored))) => failure_line(model, name, failure, ignored, width),
            (_, None) => Line::default(),
        };
        panel::lines([line], place, buffer);
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

fn group(model: &Model, part: Part, count: usize, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let (word, remedy, style) = match part {
        Part::Cause(cause) => {
            let style = if cause.is_foreign() { theme.warning() } else { theme.bad() };
            (cause.as_str(), super::advice::remedy(model, cause), style)
        }
        Part::Ignored => (
            "ignored",
            "Not counted; each comes back when its cause or the origin's version changes.".to_owned(),
            theme.muted(),
        ),
    };
    let title = format!(" {word} {}", format::count(count as u64));
    let room = width.saturating_sub(title.len() + 3);
    Line::from(vec![
        Span::styled(title, style),
        Span::styled(format!("  {}", cell::left(&remedy, room)), theme.muted()),
    ])
}

fn failure_line(
    model: &Model,
    name: &DestinationName,
    failure: &Failure,
    ignored: Option<&Ignored>,
    width: usize,
) -> Line<'static> {
    let theme = &model.theme;
    let marked = model.failure_list.marks.contains(&(name.clone(), failure.origin.clone()));
    let state = failure.operation.state();
    let room = width.saturating_sub(3 + 2 + NAME + 2 + 2 + 10 + 1);
    let path = (room * 3 / 5).min(room.saturating_sub(REASON)).min(70);
    let (style, state_style, at) = match ignored {
        Some(ignored) => (theme.muted(), theme.muted(), ignored.at),
        None => (theme.text(), theme.state(state), failure.at),
    };
    let message = ignored.map_or(&failure.message, |ignored| &ignored.reason);
    let name_style = if model.production.contains(name) && ignored.is_none() { theme.bad() } else { style };
    Line::from(vec![
        Span::styled(if marked { " ● " } else { "   " }, theme.accent()),
        Span::styled(format!("{} ", state.symbol()), state_style),
        Span::styled(cell::name(name.as_str(), NAME), name_style),
        Span::styled(format!("  {}", cell::path(&failure.origin.to_string(), path)), style),
        Span::styled(format!("  {}", cell::left(message, room - path)), theme.muted()),
        Span::styled(cell::right(&format::clock(at), 10), theme.muted()),
    ])
}
