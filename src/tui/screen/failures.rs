//! What failed and still stands, by cause, with what to do about it.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Direction, Position, Rect};
use ratatui::text::{Line, Span};

use crate::engine::{Cause, DestinationName, Failure};
use crate::kv::SecretPath;
use crate::tui::effect::{Effect, Keep, Marked};
use crate::tui::filter::Filter;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::{Asked, Purpose};
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::update::{ask_held, movement};
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::split::Split;
use crate::tui::widget::{cell, panel};

const NAME: usize = 12;

/// Room for a usual reason.
const REASON: usize = 24;

/// The failures as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    /// The one cause that shows; `None`: all.
    cause: Option<Cause>,
    pub(in crate::tui) filter: Filter,
    rows: Vec<Row>,
    scroll: Scroll,
    marks: Marked,
    detail_hidden: bool,
    /// The first line of the details that shows.
    detail_top: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Group(Cause, usize),
    /// Its place among the model's failures.
    Failure(usize),
}

/// Brings the rows in line with failures and filters; the cursor stays on its failure.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let needle = model.failure_list.filter.needle();
    let shows = |(name, failure): &(DestinationName, Failure)| {
        needle.is_empty()
            || needle.found_in(&format!("{name} {} {} {}", failure.origin, failure.destination, failure.message))
    };
    let known: BTreeSet<_> =
        model.failures.iter().map(|(name, failure)| (name.clone(), failure.origin.clone())).collect();
    let state = &mut model.failure_list;
    state.marks.retain(|mark| known.contains(mark));
    let mut rows = Vec::new();
    for cause in Cause::ALL {
        if state.cause.is_some_and(|only| only != cause) {
            continue;
        }
        let of_cause: Vec<_> = model
            .failures
            .iter()
            .enumerate()
            .filter(|(_, failure)| failure.1.cause == cause && shows(failure))
            .map(|(at, _)| Row::Failure(at))
            .collect();
        if !of_cause.is_empty() {
            rows.push(Row::Group(cause, of_cause.len()));
            rows.extend(of_cause);
        }
    }
    state.rows = rows;
}

/// Where the cursor is, as it outlives new failures.
pub(in crate::tui) fn cursor(model: &Model) -> Option<(DestinationName, SecretPath)> {
    current(model).map(|(name, failure)| (name.clone(), failure.origin.clone()))
}

/// Puts the cursor back.
pub(in crate::tui) fn restore(model: &mut Model, cursor: Option<(DestinationName, SecretPath)>) {
    let Some((name, path)) = cursor else { return };
    let row = model.failure_list.rows.iter().position(|row| match row {
        Row::Failure(at) => model.failures[*at].0 == name && model.failures[*at].1.origin == path,
        Row::Group(..) => false,
    });
    if let Some(row) = row {
        model.failure_list.scroll.select(row);
    }
}

fn current(model: &Model) -> Option<&(DestinationName, Failure)> {
    match model.failure_list.rows.get(model.failure_list.scroll.row())? {
        Row::Failure(at) => model.failures.get(*at),
        Row::Group(..) => None,
    }
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let len = model.failure_list.rows.len();
    model.failure_list.scroll.settle(len, height);
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {}

/// Takes in what came back.
pub(in crate::tui) fn take(_model: &mut Model, news: News) -> Vec<Effect> {
    match news {}
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.failure_list.detail_top = (model.failure_list.detail_top + 1).min(hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.failure_list.detail_top = model.failure_list.detail_top.saturating_sub(1);
            return Vec::new();
        }
        _ => model.failure_list.detail_top = 0,
    }
    let height = rows_that_fit(model);
    let len = model.failure_list.rows.len();
    if let Some(to) = movement(action) {
        model.failure_list.scroll.go(to, len, height);
        return Vec::new();
    }
    match action {
        Action::Open => model.failure_list.detail_hidden = !model.failure_list.detail_hidden,
        Action::Left | Action::Right => {
            let present: Vec<_> = Cause::ALL
                .into_iter()
                .filter(|cause| model.failures.iter().any(|(_, failure)| failure.cause == *cause))
                .collect();
            let now = model.failure_list.cause.and_then(|cause| present.iter().position(|one| *one == cause));
            let now = now.map_or(0, |at| at + 1);
            let next = if action == Action::Right { now + 1 } else { now + present.len() } % (present.len() + 1);
            model.failure_list.cause = next.checked_sub(1).and_then(|at| present.get(at).copied());
            rebuild(model);
        }
        Action::Mark => mark(model, height),
        Action::MarkAll => {
            let shown: Vec<_> = model.failure_list.rows.iter().filter_map(|row| key(model, *row)).collect();
            model.failure_list.marks.extend(shown);
        }
        Action::ClearMarks => model.failure_list.marks.clear(),
        Action::RetryMarked => {
            let marked = model.failure_list.marks.clone();
            if marked.is_empty() {
                model.say("Nothing is marked: space marks what the cursor is on.");
            } else {
                return retry(model, marked);
            }
        }
        Action::RetryAll => {
            let all: Marked =
                model.failures.iter().map(|(name, failure)| (name.clone(), failure.origin.clone())).collect();
            if all.is_empty() {
                model.say("Nothing has failed.");
            } else {
                return retry(model, all);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// The origin may have changed since, so a retry begins with a new plan.
fn retry(model: &mut Model, marked: Marked) -> Vec<Effect> {
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    let count = marked.len() as u64;
    let asked = Asked { purpose: Purpose::Retry, keep: Keep::Marked(marked), screen: model.screen };
    if let Some(effects) = ask_held(model, &asked) {
        return effects;
    }
    model.held = None;
    model.say(format!("Planning the retry of {}…", format::plural(count, "secret")));
    model.listing = Some(0);
    vec![Effect::Retry(asked)]
}

/// The key that asks for this retry again.
pub(in crate::tui) fn retry_key(model: &Model, asked: &Asked) -> &'static str {
    let marks = &model.failure_list.marks;
    if matches!(&asked.keep, Keep::Marked(marked) if marked == marks) { "R" } else { "X" }
}

fn key(model: &Model, row: Row) -> Option<(DestinationName, SecretPath)> {
    match row {
        Row::Failure(at) => model.failures.get(at).map(|(name, failure)| (name.clone(), failure.origin.clone())),
        Row::Group(..) => None,
    }
}

/// Marks a failure, or a group as a whole.
fn mark(model: &mut Model, height: usize) {
    let at = model.failure_list.scroll.row();
    let Some(row) = model.failure_list.rows.get(at).copied() else { return };
    let keys: Vec<_> = match row {
        Row::Failure(_) => key(model, row).into_iter().collect(),
        Row::Group(_, count) => {
            model.failure_list.rows[at + 1..=at + count].iter().filter_map(|row| key(model, *row)).collect()
        }
    };
    let state = &mut model.failure_list;
    let all = keys.iter().all(|key| state.marks.contains(key));
    for key in keys {
        if all {
            state.marks.remove(&key);
        } else {
            state.marks.insert(key);
        }
    }
    if matches!(row, Row::Failure(_)) {
        let len = state.rows.len();
        state.scroll.go(Move::Down, len, height);
    }
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let rows = panel::rows(areas(model, model.body()).0, 0);
    let Some(row) = model.failure_list.scroll.row_at(rows, at, model.failure_list.rows.len()) else {
        return Vec::new();
    };
    model.failure_list.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}

/// List and details, if both show.
pub(super) fn split(model: &Model, body: Rect) -> Option<Split> {
    if model.failure_list.detail_hidden || model.failures.is_empty() {
        None
    } else if body.width >= 140 {
        let usual = body.width * 2 / 5;
        Some(model.divide(Screen::Failures, Direction::Horizontal, body, usual, [60, 40]))
    } else {
        Some(model.divide(Screen::Failures, Direction::Vertical, body, 9, [5, 4]))
    }
}

fn areas(model: &Model, body: Rect) -> (Rect, Option<Rect>) {
    match split(model, body) {
        Some(split) => {
            let [list, detail] = split.parts();
            (list, Some(detail))
        }
        None => (body, None),
    }
}

/// By how many lines the details are longer than what shows of them.
fn hidden_details(model: &Model) -> usize {
    let (_, area) = areas(model, model.body());
    area.map_or(0, |area| panel::overflow(details(model, panel::text_width(area)).len(), area))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body()).0.height.saturating_sub(2))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let (list, detail) = areas(model, body);
    view_list(model, list, buffer);
    if let Some(area) = detail {
        let text = details(model, panel::text_width(area));
        panel::text(&model.theme, "Details", text, model.failure_list.detail_top, area, buffer);
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
    right.extend(super::filter_title(model, &state.filter));
    let title = match state.cause {
        None => format!("Failures {}", format::count(model.failures.len() as u64)),
        Some(cause) => format!("Failures: {}", cause.as_str()),
    };
    let inner = panel::panel(theme, &title, right, area, buffer);
    if state.rows.is_empty() {
        let (text, style) = match &model.failures_error {
            Some(reason) => (format!("Past cycles could not be read: {reason}"), theme.bad()),
            None if model.plan.is_none() => ("Reading the reports of past cycles…".to_owned(), theme.muted()),
            None if model.failures.is_empty() => ("Nothing has failed.".to_owned(), theme.good()),
            None => ("No failure is shown with these filters.".to_owned(), theme.muted()),
        };
        let lines = cell::wrap(&text, usize::from(inner.width.saturating_sub(2)));
        panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), style)), inner, buffer);
    }
    let window = state.scroll.window(state.rows.len(), usize::from(inner.height));
    for (place, row) in inner.rows().zip(window) {
        let line = match state.rows[row] {
            Row::Group(cause, count) => group(model, cause, count, usize::from(inner.width)),
            Row::Failure(at) => failure_line(model, &model.failures[at], usize::from(inner.width)),
        };
        panel::lines([line], place, buffer);
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

fn group(model: &Model, cause: Cause, count: usize, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let title = format!(" {} {}", cause.as_str(), format::count(count as u64));
    let room = width.saturating_sub(title.len() + 3);
    Line::from(vec![
        Span::styled(title, theme.bad()),
        Span::styled(format!("  {}", cell::left(cause.remedy(), room)), theme.muted()),
    ])
}

fn failure_line(model: &Model, (name, failure): &(DestinationName, Failure), width: usize) -> Line<'static> {
    let theme = &model.theme;
    let marked = model.failure_list.marks.contains(&(name.clone(), failure.origin.clone()));
    let state = failure.operation.state();
    let room = width.saturating_sub(3 + 2 + NAME + 2 + 2 + 10 + 1);
    let path = (room * 3 / 5).min(room.saturating_sub(REASON)).min(70);
    Line::from(vec![
        Span::styled(if marked { " ● " } else { "   " }, theme.accent()),
        Span::styled(format!("{} ", state.symbol()), theme.state(state)),
        Span::styled(cell::left(name.as_str(), NAME), theme.text()),
        Span::styled(format!("  {}", cell::path(&failure.origin.to_string(), path)), theme.text()),
        Span::styled(format!("  {}", cell::left(&failure.message, room - path)), theme.muted()),
        Span::styled(cell::right(&format::clock(failure.at), 10), theme.muted()),
    ])
}

/// What the cursor is on, in lines of at most this width.
fn details(model: &Model, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let text = |text: &str, style| {
        cell::wrap(text, width).into_iter().map(move |line| Line::styled(line, style)).collect::<Vec<_>>()
    };
    let Some((name, failure)) = current(model) else {
        let row = model.failure_list.rows.get(model.failure_list.scroll.row());
        let Some(Row::Group(cause, count)) = row else { return Vec::new() };
        let title = format!("{}: {}", cause.as_str(), format::plural(*count as u64, "secret"));
        let mut lines = text(&title, theme.bad());
        lines.extend(text(cause.remedy(), theme.text()));
        return lines;
    };
    let mut lines = text(&failure.origin.to_string(), theme.strong());
    let target = if failure.origin == failure.destination {
        format!("{} at {name}, the same path", failure.operation.as_str())
    } else {
        format!("{} at {name}, {}", failure.operation.as_str(), failure.destination)
    };
    lines.extend(text(&target, theme.muted()));
    lines.extend(text(&format!("{}: {}", failure.cause.as_str(), failure.message), theme.bad()));
    lines.extend(text(failure.cause.remedy(), theme.text()));
    let tried = match failure.attempts {
        0 => "known from an earlier cycle".to_owned(),
        attempts => {
            format!("{}, given up {}", format::plural(u64::from(attempts), "request"), format::time(failure.at))
        }
    };
    lines.extend(text(&tried, theme.muted()));
    lines
}
