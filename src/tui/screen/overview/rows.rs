//! The vaults as rows of a table, for many of them or little room.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::facts::{self, SHOWN};
use super::{STATE, WIDE, order};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::watch;
use crate::tui::widget::{badge, cell, panel};

/// What a sparkline with its figure needs at least.
const COURSE: usize = 16;

/// A third line says who is at work, when the next tick is and how fast it goes, if there is anything to say.
fn lines_per_row(model: &Model, width: u16) -> u16 {
    let someone = |held: &super::Held| held.cycle.is_some() || held.daemon.is_some();
    let goes_on = model.watch.on
        || model.cycle.running
        || model.overview.held.values().any(|held| held.as_ref().is_ok_and(someone));
    match (width >= WIDE, goes_on) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 2,
    }
}

/// What all of them need, with the frame, or as many as fit into so many lines.
pub(super) fn height(model: &Model, width: u16, most: u16) -> u16 {
    let each = lines_per_row(model, width);
    let rows = u16::try_from(model.sides.len()).unwrap_or(u16::MAX);
    rows.min(most.saturating_sub(3) / each).max(1) * each + 3
}

pub(super) fn that_fit(model: &Model, area: Rect) -> usize {
    usize::from(area.height.saturating_sub(3) / lines_per_row(model, area.width))
}

/// The side at a place on the screen.
pub(super) fn at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let inside = panel::rows(area, 1);
    let row = usize::from(at.y.checked_sub(inside.y)? / lines_per_row(model, area.width));
    let window = model.overview.scroll.window(model.sides.len(), that_fit(model, area));
    let shown = inside.contains(at).then_some(window.start + row).filter(|row| window.contains(row))?;
    order(model).get(shown).copied()
}

pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let asked = model.overview.asked.map(|at| Span::styled(format!(" asked {} ", format::clock(at)), theme.muted()));
    let inner = panel::panel(theme, "Vaults", asked.into_iter().collect(), area, buffer);
    let wide = area.width >= WIDE;
    let mut head = format!(
        " {} {} {} {}  ",
        cell::left("vault", model.name_width()),
        cell::left("server", STATE),
        cell::right("latency", 7),
        cell::right("token", 9)
    );
    if wide {
        head += &cell::left("in sync", 28);
        for state in SHOWN {
            head += &cell::right(&state.symbol().to_string(), 8);
        }
        head += "   ";
        head += &cell::left("last cycle", 24);
        head += "at work";
    } else {
        head += "last cycle";
    }
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let each = lines_per_row(model, area.width);
    let order = order(model);
    let mut y = inner.y + 1;
    for row in model.overview.scroll.window(order.len(), that_fit(model, area)) {
        let place = Rect { y, height: each, ..inner };
        panel::lines(lines(model, order[row], wide, each, usize::from(inner.width)), place, buffer);
        if model.overview.concern.is_none() && order[row] == model.overview.side {
            buffer.set_style(place, theme.selected());
        }
        y += each;
    }
}

fn lines(model: &Model, at: usize, wide: bool, each: u16, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(side) = model.sides.get(at) else { return Vec::new() };
    let name = at.checked_sub(1).and_then(|at| model.destinations.get(at));
    let production = name.is_some_and(|name| model.production.contains(name));
    let mut first =
        vec![Span::raw(" "), Span::styled(cell::name(side.name(), model.name_width()), theme.strong()), Span::raw(" ")];
    first.extend(facts::health(model, side));
    let counts = match at.checked_sub(1) {
        None => facts::origin_counts(model),
        Some(at) => facts::destination_counts(model, at, wide),
    };
    let last = name.map(|name| facts::last_cycle(model, name)).unwrap_or_default();
    if wide {
        let used: usize = counts.iter().map(Span::width).sum();
        first.extend(counts);
        // the origin's figures are not in columns
        first.push(Span::raw(" ".repeat(3 + (28 + 8 * SHOWN.len()).saturating_sub(used))));
        let used: usize = last.iter().map(Span::width).sum();
        first.extend(last);
        first.push(Span::raw(" ".repeat(24_usize.saturating_sub(used))));
        if production {
            first.extend([badge::production(theme), Span::raw(" ")]);
        }
        first.extend(facts::locks(model, at));
        first.extend(facts::limit(model, at).into_iter().flat_map(|limit| [Span::raw("  "), limit]));
        return vec![Line::from(first)];
    }
    first.extend(last);
    let indent = model.name_width().min(width) + 2;
    let mut second = if production {
        vec![
            Span::raw(" "),
            badge::production(theme),
            Span::raw(" ".repeat(indent.saturating_sub(badge::PRODUCTION + 1))),
        ]
    } else {
        vec![Span::raw(" ".repeat(indent))]
    };
    second.extend(counts);
    let mut lines = vec![Line::from(first), Line::from(second)];
    if each > 2 {
        let (tick, style) = match name.filter(|_| model.watch.on) {
            Some(name) => watch::next_tick(model, name),
            None => (String::new(), theme.muted()),
        };
        let mut third =
            vec![Span::raw(" "), Span::styled(cell::left(&tick, indent.saturating_sub(2)), style), Span::raw(" ")];
        third.extend(facts::limit(model, at).into_iter().flat_map(|limit| [limit, Span::raw("  ")]));
        third.push(Span::styled("at work ", theme.muted()));
        third.extend(facts::locks(model, at));
        third.push(Span::raw("  "));
        let room = width.saturating_sub(third.iter().map(Span::width).sum());
        if let Some(name) = name.filter(|name| room >= COURSE && model.overview.courses.contains_key(*name)) {
            third.extend(facts::course(model, name, room.min(40)));
        }
        lines.push(Line::from(cell::fit(third, width)));
    }
    lines
}
