//! The list of all keys, made of the table.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::{cell, panel};
use crate::engine::SecretState;
use crate::tui::keymap::{self, Bound, Keymap, Place};
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;

const KEYS: usize = 11;

/// The least width of a column.
const COLUMN: u16 = 78;

/// The lines of help for a place, each at most `width` columns.
pub(in crate::tui) fn lines(
    theme: &Theme,
    keymap: &Keymap,
    screen: Screen,
    read_only: bool,
    width: usize,
) -> Vec<Line<'static>> {
    let (global, own): (Vec<_>, Vec<_>) =
        keymap.bindings(Place::Screen(screen), read_only).partition(|bound| keymap::is_global(bound.binding));
    let mut lines = vec![Line::styled(screen.title(), theme.title())];
    lines.extend(own.into_iter().flat_map(|bound| entry(theme, bound, width)));
    lines.extend([Line::default(), Line::styled("Everywhere", theme.title())]);
    lines.extend(global.into_iter().flat_map(|bound| entry(theme, bound, width)));
    lines.extend([Line::default(), Line::styled("Symbols", theme.title())]);
    lines.extend(SecretState::ALL.chunks(2).map(|states| {
        let spans = states.iter().flat_map(|state| {
            [
                Span::styled(cell::right(&state.symbol().to_string(), KEYS), theme.state(*state)),
                Span::styled(cell::left(&format!("  {}", state.as_str()), 14), theme.text()),
            ]
        });
        Line::from(spans.collect::<Vec<_>>())
    }));
    lines
}

fn entry(theme: &Theme, bound: &Bound, width: usize) -> Vec<Line<'static>> {
    let mut keys = bound.keys.iter().map(|key| key.label()).collect::<Vec<_>>().join(" ");
    let text = cell::wrap(bound.binding.help, width.saturating_sub(KEYS + 2));
    let line = |text| {
        let keys = std::mem::take(&mut keys);
        Line::from(vec![
            Span::styled(cell::right(&keys, KEYS), theme.accent()),
            Span::styled(format!("  {text}"), theme.text()),
        ])
    };
    text.into_iter().map(line).collect()
}

/// In how many columns help is set in an area so wide.
pub(in crate::tui) fn columns(width: u16) -> usize {
    usize::from(width / COLUMN).clamp(1, 3)
}

/// How many rows so many lines take.
pub(in crate::tui) fn rows(lines: usize, width: u16) -> usize {
    lines.div_ceil(columns(width))
}

/// Draws help over what is there, from row `top` on.
pub(in crate::tui) fn help(theme: &Theme, lines: &[Line<'static>], top: usize, area: Rect, buffer: &mut Buffer) {
    let (columns, rows) = (columns(area.width), rows(lines.len(), area.width));
    let widest = lines.iter().map(Line::width).max().unwrap_or(0) + 2;
    let width = u16::try_from(widest * columns + 4).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(rows + 2).unwrap_or(u16::MAX).min(area.height);
    let frame = area.centered(Constraint::Length(width), Constraint::Length(height));
    Clear.render(frame, buffer);
    buffer.set_style(frame, theme.base());
    let more = rows.saturating_sub(usize::from(height.saturating_sub(2)));
    let mark = if more > 0 { " ↑↓ for more ─ esc closes " } else { " esc closes " };
    let inner = panel::panel(theme, "Help", vec![Span::styled(mark, theme.muted())], frame, buffer);
    let body = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let areas = body.layout_vec(&Layout::horizontal(vec![Constraint::Fill(1); columns]));
    for (column, area) in lines.chunks(rows.max(1)).zip(areas) {
        panel::lines(column.iter().skip(top.min(more)).cloned(), area, buffer);
    }
}
