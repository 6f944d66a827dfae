//! How the log's records become lines.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use tracing::Level;
use tracing::level_filters::LevelFilter;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::State;
use crate::logging::LogRecord;
use crate::text::sanitize;
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;
use crate::tui::widget::{cell, panel};

/// ` 21:40:03Z WARN  `.
const TIME_AND_LEVEL: usize = 17;

pub(super) fn list(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.log_list;
    let title = format!("Logs {}", format::count(state.rows.len() as u64));
    let inner = panel::panel(theme, &title, standing(model), area, buffer);
    if state.rows.is_empty() {
        let lines = cell::wrap(&nothing(model), usize::from(inner.width.saturating_sub(2)));
        panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), theme.muted())), inner, buffer);
        return;
    }
    let (width, height) = (usize::from(inner.width), usize::from(inner.height));
    let mut top = inner.y;
    for row in window(state, width, height) {
        let lines = lines_of(theme, state, &state.rows[row], width);
        let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(inner.bottom().saturating_sub(top));
        let place = Rect { y: top, height: rows, ..inner };
        panel::lines(lines, place, buffer);
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
        top += rows;
    }
}

/// The level, the filter, and whether the end is followed.
fn standing(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let state = &model.log_list;
    if state.source.is_none() {
        return Vec::new();
    }
    let level = match state.level {
        LevelFilter::OFF => " off ".to_owned(),
        LevelFilter::TRACE => " everything ".to_owned(),
        level => format!(" {level} and worse "),
    };
    let mut spans = vec![Span::styled(level, theme.text())];
    if state.paused.is_some() {
        let new = state.waiting(&super::shows(state.level, &state.filter));
        spans.push(Span::styled(format!(" paused, {} new ", format::count(new)), theme.warning()));
    } else if state.following {
        spans.push(Span::styled(" following ", theme.good()));
    } else {
        let below = state.rows.len().saturating_sub(state.scroll.row() + 1);
        spans.push(Span::styled(format!(" {} below ", format::count(below as u64)), theme.muted()));
    }
    spans.extend(super::super::filter_title(model, &state.filter));
    spans
}

/// Why no line shows.
fn nothing(model: &Model) -> String {
    let state = &model.log_list;
    let more = model.keymap.key(Place::Screen(Screen::Logs), Action::LogMore);
    let Some(_) = &state.source else { return "This console keeps no log.".to_owned() };
    if state.level == LevelFilter::OFF {
        let why = if state.records.is_empty() { "The log is off" } else { "Nothing shows at this level" };
        return format!(
            "{why}. {more} shows errors, then more; it is kept in memory, for as long as the console runs."
        );
    }
    if state.records.is_empty() {
        return "Nothing has been logged yet.".to_owned();
    }
    let level = state.level;
    if state.filter.is_empty() {
        format!("Nothing of level {level} or worse has been logged. {more} shows more.")
    } else {
        format!("No line of level {level} or worse has this in it.")
    }
}

/// The rows that show, at least in part.
fn window(state: &State, width: usize, height: usize) -> Range<usize> {
    let len = state.rows.len();
    let plain = state.scroll.window(len, height);
    if !state.wrapped {
        return plain;
    }
    let lines = |row: usize| wrapped(&state.rows[row], width).len();
    // as far up as there is room for, with the cursor's row whole
    let mut used = lines(state.scroll.row());
    let mut top = state.scroll.row();
    while top > plain.start && used + lines(top - 1) <= height {
        top -= 1;
        used += lines(top);
    }
    if state.scroll.row() + 1 == len {
        while top > 0 && used + lines(top - 1) <= height {
            top -= 1;
            used += lines(top);
        }
    }
    let mut end = state.scroll.row() + 1;
    while end < len && used < height {
        used += lines(end);
        end += 1;
    }
    top..end
}

/// The row that is drawn at a place, if one is.
pub(super) fn row_at(model: &Model, list: Rect, at: Position) -> Option<usize> {
    let state = &model.log_list;
    let inner = Rect {
        x: list.x + 1,
        y: list.y + 1,
        width: list.width.saturating_sub(2),
        height: list.height.saturating_sub(2),
    };
    if !inner.contains(at) || state.rows.is_empty() {
        return None;
    }
    let width = usize::from(inner.width);
    let mut below = usize::from(at.y - inner.y);
    for row in window(state, width, usize::from(inner.height)) {
        let lines = if state.wrapped { wrapped(&state.rows[row], width).len() } else { 1 };
        if below < lines {
            return Some(row);
        }
        below -= lines;
    }
    None
}

fn lines_of(theme: &Theme, state: &State, record: &LogRecord, width: usize) -> Vec<Line<'static>> {
    let style = level_style(theme, record.level);
    let said = match record.level {
        Level::ERROR | Level::WARN => style,
        Level::INFO => theme.text(),
        _ => theme.muted(),
    };
    let room = target_width(width);
    let target = cell::left(short(record.target, room), room);
    let head = || {
        vec![
            Span::styled(format!(" {} ", format::clock(record.at)), theme.muted()),
            Span::styled(format!("{:5} ", record.level.as_str()), style),
            Span::styled(format!("{target} "), theme.muted()),
        ]
    };
    let room = text_width(width);
    if !state.wrapped {
        let text = sanitize_line(&record.text());
        let mut line = head();
        line.push(Span::styled(cell::left(skip_columns(&text, state.left), room), said));
        return vec![Line::from(line)];
    }
    let mut lines = Vec::new();
    for (number, part) in wrapped(record, width).into_iter().enumerate() {
        let mut line = if number == 0 { head() } else { vec![" ".repeat(width.saturating_sub(room)).into()] };
        line.push(Span::styled(part, said));
        lines.push(Line::from(line));
    }
    lines
}

fn wrapped(record: &LogRecord, width: usize) -> Vec<String> {
    cell::wrap(&record.text(), text_width(width))
}

/// The module: as many of its last segments as there is room for.
fn short(target: &str, width: usize) -> &str {
    let mut rest = target.strip_prefix("vsync::").unwrap_or(target);
    while rest.len() > width
        && let Some((_, inner)) = rest.split_once("::")
    {
        rest = inner;
    }
    rest
}

fn target_width(width: usize) -> usize {
    match width {
        0..110 => 12,
        110..160 => 20,
        _ => 26,
    }
}

fn text_width(width: usize) -> usize {
    width.saturating_sub(TIME_AND_LEVEL + target_width(width) + 1)
}

fn sanitize_line(text: &str) -> String {
    sanitize(text).into_owned()
}

/// A text without its first so many columns.
fn skip_columns(text: &str, columns: usize) -> &str {
    let mut skipped = 0;
    for (at, grapheme) in text.grapheme_indices(true) {
        if skipped >= columns {
            return &text[at..];
        }
        skipped += grapheme.width();
    }
    ""
}

/// How far the longest line that shows goes beyond what shows of it.
pub(super) fn longest(model: &Model) -> usize {
    let state = &model.log_list;
    let width = usize::from(super::areas(model, model.body()).0.width.saturating_sub(2));
    let rows = window(state, width, super::rows_that_fit(model));
    let longest = rows.map(|row| sanitize(&state.rows[row].text()).width()).max().unwrap_or(0);
    longest.saturating_sub(text_width(width)) + super::STEP
}

fn level_style(theme: &Theme, level: Level) -> Style {
    match level {
        Level::ERROR => theme.bad(),
        Level::WARN => theme.warning(),
        Level::INFO => theme.accent(),
        _ => theme.muted(),
    }
}

/// All that the record under the cursor says, in lines of at most this width.
pub(super) fn details(model: &Model, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let state = &model.log_list;
    let text = |text: &str, style| {
        cell::wrap(text, width).into_iter().map(move |line| Line::styled(line, style)).collect::<Vec<_>>()
    };
    let Some(record) = state.current() else { return text("No line is chosen.", theme.muted()) };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!("{} ", format::time(record.at)), theme.text()),
        Span::styled(format!("{} ", record.level), level_style(theme, record.level)),
        Span::styled(record.target.to_owned(), theme.muted()),
    ])];
    lines.extend(text(&record.message, theme.strong()));
    let name = record.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (field, value) in &record.fields {
        let parts = cell::wrap(value, width.saturating_sub(name + 2));
        for (number, part) in parts.into_iter().enumerate() {
            let label = if number == 0 { *field } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("{label:name$}  "), theme.muted()),
                Span::styled(part, theme.text()),
            ]));
        }
    }
    if let Some(source) = &state.source
        && let Some(file) = &source.file
    {
        let (file, level) = (file.display(), source.level);
        let file = format!("What is {level} or worse is also in a file a day, {file} with the day in its name.");
        lines.extend(text(&file, theme.muted()));
    }
    lines
}
