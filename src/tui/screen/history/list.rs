//! The cycles, newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{key, nth, word};
use crate::engine::{Ending, Operation, Report};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::outcome;
use crate::tui::theme::Theme;
use crate::tui::widget::{cell, panel};

/// Mark, start, duration and ending.
const FIRST: usize = 3 + 12 + 8 + 13;
/// What each of the counts takes.
const COUNT: usize = 6;
/// The least room for who ran it.
const WHO: usize = 10;
/// And for what it was run for, in a word.
const PURPOSE: usize = 6;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.history_list;
    let known = model.history.len() + state.older.len();
    let more = if state.complete || known == 0 { "" } else { "+" };
    let mut right = Vec::new();
    if !state.marks.is_empty() {
        let text = match state.marks.len() {
            1 => " ● 1 marked ".to_owned(),
            _ => format!(" ● 2 marked, {} compares ", key(model, Action::Compare)),
        };
        right.push(Span::styled(text, theme.accent()));
    }
    if state.loading {
        right.push(Span::styled(" reading older… ", theme.muted()));
    }
    right.extend(super::super::filter_title(model, &state.filter));
    if let Some(reason) = model.history_error.as_ref().filter(|_| !state.rows.is_empty()) {
        right.push(panel::outdated(theme, reason, area));
    }
    let title = format!("History {}{more}", format::count(known as u64));
    let inner = panel::panel(theme, &title, right, area, buffer);
    let width = usize::from(inner.width);
    if state.rows.is_empty() {
        nothing(model, inner, buffer);
        return;
    }
    let [head, rows] = [Rect { height: 1.min(inner.height), ..inner }, panel::rows(area, 1)];
    panel::lines([heading(theme, width)], head, buffer);
    let window = state.scroll.window(state.rows.len(), usize::from(rows.height));
    for (place, row) in rows.rows().zip(window) {
        let Some(report) = nth(model, state.rows[row]) else { continue };
        panel::lines([line(model, report, width)], place, buffer);
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
    if let Some(reason) = &state.error {
        let text = format!(" Older cycles could not be read: {reason}");
        let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
        panel::lines([Line::styled(cell::left(&text, width), theme.bad())], last, buffer);
    }
}

fn nothing(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let (text, style) = match &model.history_error {
        Some(reason) => (format!("Past cycles could not be read: {reason}"), theme.bad()),
        None if !model.history.is_empty() => ("No cycle has this in it.".to_owned(), theme.muted()),
        None if !model.history_read => ("Reading the reports of past cycles…".to_owned(), theme.muted()),
        None => {
            ("There was no cycle yet. Dry runs, and cycles with nothing to do, are not kept.".to_owned(), theme.muted())
        }
    };
    let lines = cell::wrap(&text, usize::from(area.width.saturating_sub(2)));
    panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), style)), area, buffer);
}

/// How many columns there are for what the cycle was run for, and by whom.
fn room(width: usize) -> (usize, usize) {
    let rest = width.saturating_sub(FIRST + 4 * COUNT + 2);
    let purpose = if rest >= PURPOSE + WHO { PURPOSE } else { 0 };
    (purpose, rest - purpose)
}

fn heading(theme: &Theme, width: usize) -> Line<'static> {
    let (purpose, who) = room(width);
    let mut text = format!("   {:12}{:>8}   {:10}", "STARTED", "TOOK", "ENDING");
    for name in ["ADD", "UPD", "DEL", "FAIL"] {
        text += &cell::right(name, COUNT);
    }
    text.push_str("  ");
    text.push_str(&cell::left("FOR", purpose));
    text.push_str(&cell::left("BY", who));
    Line::styled(text, theme.muted())
}

/// A glyph and a colour for how a cycle ended.
pub(super) fn ending(model: &Model, report: &Report) -> (&'static str, Style) {
    let theme = &model.theme;
    match report.ending {
        Ending::Unfinished if word(model, report) == "running" => ("▸", theme.accent()),
        Ending::Unfinished => ("?", theme.warning()),
        _ if outcome::went_wrong(report) => ("!", theme.bad()),
        Ending::Completed => ("=", theme.good()),
        _ => ("×", theme.warning()),
    }
}

fn line(model: &Model, report: &Report, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let (purpose, who) = room(width);
    let (glyph, style) = ending(model, report);
    let marked = model.history_list.marks.contains(&report.cycle);
    let ending_in_a_word = if report.ending == Ending::Skipped { "skipped" } else { word(model, report) };
    let took = format::duration(report.duration());
    let mut spans = vec![
        Span::styled(if marked { " ● " } else { "   " }, theme.accent()),
        Span::styled(cell::left(&format::day_and_minute(report.started), 12), theme.text()),
        Span::styled(cell::right(&took, 8), theme.muted()),
        Span::styled(format!(" {glyph} {}", cell::left(ending_in_a_word, 10)), style),
    ];
    let done = report.done();
    for operation in Operation::ALL {
        spans.push(count(theme, done.of(operation), operation.state().symbol(), theme.state(operation.state())));
    }
    spans.push(count(theme, report.failed(), '!', theme.bad()));
    let in_a_word = report.purpose().split(' ').next().unwrap_or_default();
    let by = format!("{}@{}", report.operator, report.host);
    spans.push(Span::styled(format!("  {}", cell::left(in_a_word, purpose)), theme.text()));
    spans.push(Span::styled(cell::left(&by, who), theme.muted()));
    Line::from(spans)
}

fn count(theme: &Theme, number: u64, symbol: char, style: Style) -> Span<'static> {
    if number == 0 {
        return Span::styled(cell::right("·", COUNT), theme.muted());
    }
    Span::styled(cell::right(&format!("{symbol}{}", format::short(number)), COUNT), style)
}
