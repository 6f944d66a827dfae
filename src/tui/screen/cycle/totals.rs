//! All destinations together, and each with what is done, how fast, and what is left.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{areas, charts, rows};
use crate::engine::{CycleSnapshot, DestinationProgress, Phase, Standing};
use crate::http::Throttle;
use crate::text::sanitize;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::watch;
use crate::tui::widget::{cell, chart, panel};

/// From this width on there is a column for how long tasks take.
const WIDE: usize = 110;

const FAILED: usize = 7;
/// How many requests go to a server at once.
const LIMIT: usize = 10;

/// The line of column titles is not among the rows.
const TITLES: u16 = 1;

/// A line below the rows says how it goes where the charts have no room of their own.
fn charts_line(model: &Model) -> u16 {
    u16::from(areas(model, model.body()).charts[0].height == 0)
}

pub(super) fn rows_that_fit(model: &Model) -> usize {
    let area = areas(model, model.body()).totals;
    usize::from(area.height.saturating_sub(2 + TITLES + charts_line(model)))
}

/// The row at a place on the screen.
pub(super) fn row_at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let line = usize::from(at.y.checked_sub(area.y + 1)?);
    let window = model.cycle_list.scroll.window(rows(model), rows_that_fit(model));
    let row = match line {
        0 => 0,
        line => window.start + line.checked_sub(usize::from(TITLES))?,
    };
    (window.contains(&row) && at.y < area.bottom().saturating_sub(1)).then_some(row)
}

pub(super) fn view(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let title = match (snapshot.dry_run, model.cycle.watched) {
        (true, _) => "Dry run",
        (false, true) => "Cycle of the watch",
        (false, false) => "Cycle",
    };
    let mut right = watch::sentence(model);
    if let Some(throttle) = snapshot.origin_throttle {
        right.push(Span::styled(format!(" origin {} ", throttle.short()), limit_style(model, &throttle)));
    }
    right.push(Span::styled(format!(" started {} ", format::clock(snapshot.started)), theme.muted()));
    let writes_production =
        !snapshot.dry_run && snapshot.destinations.iter().any(|part| model.production.contains(&part.destination));
    let inner = if writes_production {
        panel::production(theme, title, right, area, buffer)
    } else {
        panel::panel(theme, title, right, area, buffer)
    };
    let width = usize::from(inner.width);
    panel::lines([Line::styled(titles(model, width), theme.muted())], inner, buffer);
    let height = inner.height.saturating_sub(TITLES + charts_line(model));
    let list = Rect { y: inner.y + TITLES, height, ..inner };
    let scroll = &model.cycle_list.scroll;
    for (place, row) in list.rows().zip(scroll.window(rows(model), usize::from(height))) {
        let line = match row.checked_sub(1).and_then(|at| snapshot.destinations.get(at)) {
            Some(part) => destination(model, part, width),
            None => all(model, snapshot),
        };
        panel::lines([line], place, buffer);
        if row == scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
    if charts_line(model) > 0 {
        let place = Rect { y: list.bottom(), height: 1.min(inner.bottom().saturating_sub(list.bottom())), ..inner };
        panel::lines([charts::line(model, snapshot, width)], place, buffer);
    }
}

fn all(model: &Model, snapshot: &CycleSnapshot) -> Line<'static> {
    let theme = &model.theme;
    let (phase, style) = match snapshot.phase {
        _ if model.cycle.report.is_some() => ("ended", theme.strong()),
        Phase::Running if model.cycle.cancelling => ("cancelling", theme.warning()),
        Phase::Running => ("running", theme.good()),
        Phase::Paused => ("paused", theme.warning()),
        Phase::Stopping => ("stopping", theme.warning()),
        Phase::Ended => ("saving", theme.accent()),
    };
    let failed = snapshot.failed();
    let mut spans = vec![
        Span::styled(format!(" {} ", cell::left(phase, 11)), style),
        match &model.cycle.report {
            // The report says how long it took.
            Some(_) => Span::raw(""),
            None => Span::styled(format!("{}   ", format::duration(snapshot.elapsed)), theme.text()),
        },
        Span::styled(format::count(snapshot.ended()), theme.strong()),
        Span::styled(format!(" of {}", format::count(snapshot.planned())), theme.muted()),
        Span::styled(
            format!("   {} failed", format::count(failed)),
            if failed > 0 { theme.bad() } else { theme.muted() },
        ),
        match &model.cycle.report {
            Some(report) => Span::styled(format!("   {} on average", format::rate(report.rate())), theme.text()),
            None => Span::styled(format!("   {}", format::rate(snapshot.rate)), theme.text()),
        },
    ];
    let goes_on = model.cycle.running && !model.cycle.cancelling && snapshot.phase == Phase::Running;
    if let Some(eta) = snapshot.eta.filter(|_| goes_on) {
        spans.push(Span::styled(format!("   {} left", format::duration(eta)), theme.text()));
    }
    Line::from(spans)
}

fn limit_style(model: &Model, throttle: &Throttle) -> Style {
    if throttle.is_lowered() { model.theme.warning() } else { model.theme.muted() }
}

fn bar_width(model: &Model, width: usize) -> usize {
    let columns = model.name_width() + 2 + 7 + 8 + FAILED + 8 + 9 + LIMIT + 9 + if width >= WIDE { 18 } else { 0 };
    width.saturating_sub(columns).clamp(4, 60)
}

fn titles(model: &Model, width: usize) -> String {
    let mut text = format!(
        " {} {}{}{}{}{}{}{}",
        cell::left("destination", model.name_width()),
        cell::left("", bar_width(model, width)),
        cell::right("", 7),
        cell::right("done", 8),
        cell::right("failed", FAILED),
        cell::right("left", 8),
        cell::right("rate", 9),
        cell::right("at once", LIMIT),
    );
    if width >= WIDE {
        text += &cell::right("p50", 9);
        text += &cell::right("p95", 9);
    }
    text + &cell::right("to go", 8)
}

/// What keeps a destination from its tasks.
fn standing(standing: &Standing) -> Option<String> {
    Some(match standing {
        Standing::AtWork | Standing::Canary => return None,
        Standing::Verifying => " verifying canary".to_owned(),
        Standing::AfterWave(wave) => format!(" waits for wave {wave}"),
        Standing::SetAside(aside) => {
            let whose = if aside.origin { "origin " } else { "" };
            format!(" {whose}set aside: {}", sanitize(&aside.reason))
        }
    })
}

fn destination(model: &Model, part: &DestinationProgress, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let (planned, done) = (part.planned.total(), part.done.total());
    let name = cell::name(part.destination.as_str(), model.name_width());
    let mut spans = vec![Span::styled(format!(" {name} "), model.name_style(&part.destination))];
    let parts = [(done, theme.good()), (part.failed, theme.bad())];
    spans.extend(chart::bar(&parts, planned, bar_width(model, width), theme.border()));
    spans.push(Span::styled(cell::right(&format::percent(part.ended(), planned), 7), theme.text()));
    spans.push(Span::styled(cell::right(&format::count(done), 8), theme.good()));
    let style = if part.failed > 0 { theme.bad() } else { theme.muted() };
    spans.push(Span::styled(cell::right(&format::count(part.failed), FAILED), style));
    spans.push(Span::styled(cell::right(&format::count(part.pending), 8), theme.muted()));
    let word = if model.cycle.blocked.contains_key(&part.destination) {
        let word = if part.ended() > 0 { " stopped" } else { " not begun" };
        Some((word.to_owned(), theme.bad()))
    } else if part.unsaved.is_some() {
        Some((" state not saved".to_owned(), theme.bad()))
    } else if let Some(word) = standing(&part.standing) {
        Some((word, theme.warning()))
    } else if part.skipped && part.pending > 0 {
        Some((" skipped".to_owned(), theme.warning()))
    } else if part.ended() == planned {
        Some((" done".to_owned(), theme.good()))
    } else {
        None
    };
    if let Some((word, style)) = word {
        spans.push(Span::styled(format!("  {word}"), style));
        return Line::from(spans);
    }
    let goes_on = model.cycle.running && !model.cycle.is_paused();
    let rate = if goes_on { format::rate(part.rate) } else { "–".to_owned() };
    spans.push(Span::styled(cell::right(&rate, 9), theme.text()));
    spans.push(match part.throttle.filter(|_| goes_on) {
        Some(throttle) => Span::styled(cell::right(&throttle.short(), LIMIT), limit_style(model, &throttle)),
        None => Span::styled(cell::right("–", LIMIT), theme.muted()),
    });
    if width >= WIDE {
        for (figure, style) in [(part.latency.p50, theme.text()), (part.latency.p95, theme.muted())] {
            let text = if figure.is_zero() { "–".to_owned() } else { format::duration(figure) };
            spans.push(Span::styled(cell::right(&text, 9), style));
        }
    }
    let eta = part.eta.filter(|_| goes_on && !model.cycle.cancelling);
    let eta = eta.map_or_else(|| "–".to_owned(), format::duration);
    spans.push(Span::styled(cell::right(&eta, 8), theme.text()));
    Line::from(spans)
}
