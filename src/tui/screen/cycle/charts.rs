//! How fast it goes, and how long tasks take, second by second.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::chosen;
use crate::engine::{CycleSnapshot, Latency};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::{cell, chart, panel};

/// The column of figures at the left of a chart.
const AXIS: usize = 8;

/// The rate of what the cursor is on.
pub(super) fn rate(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let (title, now, history) = match chosen(model) {
        Some(part) => (format!("Rate at {}", part.destination), part.rate, &part.rate_history),
        None => ("Rate".to_owned(), snapshot.rate, &snapshot.rate_history),
    };
    let right = if model.cycle.running {
        vec![Span::styled(format!(" {} ", format::rate(now)), theme.strong())]
    } else {
        Vec::new()
    };
    let inner = panel::panel(theme, &title, right, area, buffer);
    let (width, rows) = (usize::from(inner.width).saturating_sub(AXIS + 1), usize::from(inner.height));
    let shown = chart::last(history, width);
    let most = shown.iter().copied().max().unwrap_or(0);
    if most == 0 {
        view_nothing(model, inner, buffer);
        return;
    }
    let style = if model.cycle.running { theme.accent() } else { theme.muted() };
    let lines = chart::sparkline(shown, width, rows).into_iter().enumerate().map(|(row, columns)| {
        let figure = axis(row, rows, || format!("{}/s", format::short(most)), "0");
        Line::from(vec![Span::styled(figure, theme.muted()), Span::styled(columns, style)])
    });
    panel::lines(lines, inner, buffer);
}

/// How long tasks take at all destinations: nineteen of twenty, and in front of that one of two.
pub(super) fn latency(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Latency { p50, p95 } = chosen(model).map_or(snapshot.latency, |part| part.latency);
    let right = if p95.is_zero() {
        Vec::new()
    } else {
        vec![
            Span::styled(format!(" p50 {} ", format::duration(p50)), theme.good()),
            Span::styled(format!("p95 {} ", format::duration(p95)), theme.warning()),
        ]
    };
    let inner = panel::panel(theme, "Latency of a task", right, area, buffer);
    let (width, rows) = (usize::from(inner.width).saturating_sub(AXIS + 1), usize::from(inner.height));
    let shown = chart::last(&snapshot.latency_history, width);
    let (half, most) = (micros(shown, |latency| latency.p50), micros(shown, |latency| latency.p95));
    let top = Duration::from_micros(most.iter().copied().max().unwrap_or(0));
    if top.is_zero() {
        view_nothing(model, inner, buffer);
        return;
    }
    let halves = (theme.good(), theme.warning());
    let lines = chart::layered(&half, &most, rows, halves).into_iter().enumerate().map(|(row, columns)| {
        let figure = axis(row, rows, || format::duration(top), "0");
        let mut spans = vec![Span::styled(figure, theme.muted())];
        spans.extend(columns);
        Line::from(spans)
    });
    panel::lines(lines, inner, buffer);
}

fn view_nothing(model: &Model, area: Rect, buffer: &mut Buffer) {
    let text = if model.cycle.running { " No task has ended in the last seconds." } else { " No task has ended." };
    panel::lines([Line::styled(text, model.theme.muted())], area, buffer);
}

/// The most at the top, nothing at the bottom.
fn axis(row: usize, rows: usize, most: impl Fn() -> String, least: &str) -> String {
    let text = match row {
        0 => most(),
        _ if row + 1 == rows => least.to_owned(),
        _ => String::new(),
    };
    format!("{} ", cell::right(&text, AXIS - 1))
}

fn micros(history: &[Latency], figure: impl Fn(&Latency) -> Duration) -> Vec<u64> {
    history.iter().map(|latency| u64::try_from(figure(latency).as_micros()).unwrap_or(u64::MAX)).collect()
}

/// Both in one line, where there is no room for more.
pub(super) fn line(model: &Model, snapshot: &CycleSnapshot, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let style = if model.cycle.running { theme.accent() } else { theme.muted() };
    let (history, latency) = match chosen(model) {
        Some(part) => (&part.rate_history, part.latency),
        None => (&snapshot.rate_history, snapshot.latency),
    };
    let figures = if latency.p95.is_zero() {
        String::new()
    } else {
        format!("  p50 {}, p95 {} ", format::duration(latency.p50), format::duration(latency.p95))
    };
    let most = micros(&snapshot.latency_history, |latency| latency.p95);
    let room = width.saturating_sub(figures.len() + 16);
    let spark = |values: &[u64], room: usize| chart::sparkline(values, room, 1).concat();
    Line::from(vec![
        Span::styled(" rate ", theme.muted()),
        Span::styled(cell::left(&spark(history, room / 2), room / 2), style),
        Span::styled("  latency ", theme.muted()),
        Span::styled(spark(&most, room - room / 2), theme.warning()),
        Span::styled(figures, theme.text()),
    ])
}
