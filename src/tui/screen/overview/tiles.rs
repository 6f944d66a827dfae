//! The vaults as tiles, where they all fit.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use super::facts::{self, SHOWN};
use super::order;
use crate::engine::{DestinationName, SecretState};
use crate::tui::format;
use crate::tui::model::{Model, SideView};
use crate::tui::watch;
use crate::tui::widget::{cell, chart, panel};

/// Without the frame there is room for all states of a destination.
const WIDTH: u16 = 49;
const HEIGHT: u16 = 10;
/// What needs attention, and the last cycles, keep at least this.
const REST: u16 = 14;

/// How many stand beside each other; `None`: there is no room for all of them.
pub(super) fn columns(model: &Model, body: Rect) -> Option<usize> {
    let columns = usize::from(body.width / WIDTH).min(model.sides.len().max(1));
    let fits = columns >= 2 && height(model, columns).saturating_add(REST) <= body.height;
    fits.then_some(columns)
}

pub(super) fn height(model: &Model, columns: usize) -> u16 {
    u16::try_from(model.sides.len().div_ceil(columns)).unwrap_or(u16::MAX).saturating_mul(HEIGHT)
}

fn places(model: &Model, columns: usize, area: Rect) -> impl Iterator<Item = (usize, Rect)> {
    let across = u32::try_from(columns).unwrap_or(1);
    let order = order(model);
    let rows = (0..order.len().div_ceil(columns)).map(|row| u16::try_from(row).unwrap_or(u16::MAX));
    let rows =
        rows.map(move |row| Rect { y: area.y.saturating_add(row.saturating_mul(HEIGHT)), height: HEIGHT, ..area });
    let tiles = rows
        .flat_map(move |row| Layout::horizontal((0..across).map(|_| Constraint::Ratio(1, across))).split(row).to_vec());
    order.into_iter().zip(tiles)
}

/// The side at a place on the screen.
pub(super) fn at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let columns = columns(model, model.body())?;
    places(model, columns, area).find(|(_, tile)| tile.contains(at)).map(|(side, _)| side)
}

pub(super) fn view(model: &Model, columns: usize, area: Rect, buffer: &mut Buffer) {
    for (side, tile) in places(model, columns, area) {
        view_tile(model, side, tile.intersection(area), buffer);
    }
}

fn view_tile(model: &Model, at: usize, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Some(side) = model.sides.get(at) else { return };
    let name = at.checked_sub(1).and_then(|at| model.destinations.get(at));
    let asked = model.overview.asked.map(|at| Span::styled(format!(" asked {} ", format::clock(at)), theme.muted()));
    let asked: Vec<_> = asked.into_iter().collect();
    let inner = if name.is_some_and(|name| model.production.contains(name)) {
        panel::production(theme, side.name(), asked, area, buffer)
    } else {
        panel::panel(theme, side.name(), asked, area, buffer)
    };
    let width = usize::from(inner.width).saturating_sub(2);
    let lines = match name {
        None => origin(model, side, width),
        Some(name) => destination(model, side, at, name, width),
    };
    let lines = lines.into_iter().map(|mut line| {
        line.spans.insert(0, Span::raw(" "));
        line
    });
    panel::lines(lines, inner, buffer);
    if model.overview.concern.is_none() && model.overview.side == at {
        buffer.set_style(inner, theme.selected());
    }
}

fn labelled(model: &Model, label: &str, mut spans: Vec<Span<'static>>) -> Line<'static> {
    spans.insert(0, Span::styled(cell::left(label, 8), model.theme.muted()));
    Line::from(spans)
}

fn origin(model: &Model, side: &SideView, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = vec![Line::from(facts::health(model, side)), Line::default()];
    let counts: String = facts::origin_counts(model).iter().map(|span| span.content.to_string()).collect();
    lines.extend(cell::wrap(&counts, width).into_iter().take(2).map(|line| Line::styled(line, theme.text())));
    lines.push(Line::default());
    lines.push(Line::styled(cell::left(&side.address, width), theme.muted()));
    lines.push(labelled(model, "at work", facts::locks(model, 0)));
    lines.extend(facts::limit(model, 0).map(|limit| labelled(model, "reads", vec![limit])));
    lines
}

fn destination(model: &Model, side: &SideView, at: usize, name: &DestinationName, width: usize) -> Vec<Line<'static>> {
    let (tick, style) = watch::next_tick(model, name);
    let mut lines = vec![Line::from(facts::health(model, side))];
    lines.extend(counts(model, at - 1, width));
    lines.push(labelled(model, "last", facts::last_cycle(model, name)));
    lines.push(labelled(model, "tick", vec![Span::styled(tick, style)]));
    let limit: Vec<_> = facts::limit(model, at).into_iter().flat_map(|limit| [Span::raw("  "), limit]).collect();
    let room = width.saturating_sub(8 + limit.iter().map(Span::width).sum::<usize>());
    let mut rate = facts::course(model, name, room);
    rate.extend(limit);
    lines.push(labelled(model, "rate", rate));
    lines.push(labelled(model, "at work", facts::locks(model, at)));
    lines
}

/// The share in sync, and in two lines how many are in each state.
fn counts(model: &Model, at: usize, width: usize) -> [Line<'static>; 3] {
    let theme = &model.theme;
    if model.plan.is_none() {
        return [Line::styled("not planned yet", theme.muted()), Line::default(), Line::default()];
    }
    let (in_sync, total) = (facts::count(model, at, SecretState::InSync), facts::total(model, at));
    let mut bar = chart::bar(&[(in_sync, theme.good())], total, width.saturating_sub(8), theme.border());
    bar.push(Span::styled(cell::right(&format::percent(in_sync, total), 8), theme.strong()));
    let each = width / 4;
    let state = |state: &SecretState| {
        let number = facts::count(model, at, *state);
        let style = if number == 0 { theme.muted() } else { theme.state(*state) };
        Span::styled(cell::left(&format!("{} {}", state.symbol(), format::count(number)), each), style)
    };
    let [first, second] =
        [&SHOWN[..4], &SHOWN[4..]].map(|states| Line::from(states.iter().map(state).collect::<Vec<_>>()));
    [Line::from(bar), first, second]
}
