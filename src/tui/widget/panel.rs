//! The frame around a part of a screen.

use ratatui::buffer::Buffer;
use ratatui::layout::{Margin, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use super::{badge, cell};
use crate::tui::theme::Theme;

/// Draws a frame with a title, and what stands at its right end; returns what is inside.
pub(in crate::tui) fn panel(
    theme: &Theme,
    title: &str,
    right: Vec<Span<'static>>,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    framed(theme.border(), vec![Span::styled(format!(" {title} "), theme.title())], right, area, buffer)
}

/// The same in red, with a badge: around what touches destinations that are marked as production.
pub(in crate::tui) fn production(
    theme: &Theme,
    title: &str,
    right: Vec<Span<'static>>,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let title = vec![Span::styled(format!(" {title} "), theme.title()), badge::production(theme), Span::raw(" ")];
    framed(theme.bad(), title, right, area, buffer)
}

fn framed(
    border: Style,
    title: Vec<Span<'static>>,
    right: Vec<Span<'static>>,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let mut block = Block::bordered().border_type(BorderType::Rounded).border_style(border).title(Line::from(title));
    if !right.is_empty() {
        block = block.title_top(Line::from(right).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

/// Says in a frame that what stands in it is that of before, because it could not be read anew.
pub(in crate::tui) fn outdated(theme: &Theme, reason: &str, area: Rect) -> Span<'static> {
    let room = usize::from(area.width / 2).saturating_sub(24);
    Span::styled(format!(" could not be read anew: {} ", cell::left(reason, room).trim_end()), theme.bad())
}

/// Draws a frame with text in it, from line `top` on; names the keys that scroll it if there is more than fits.
pub(in crate::tui) fn text(
    theme: &Theme,
    title: &str,
    text: Vec<Line<'static>>,
    (top, keys): (usize, &str),
    area: Rect,
    buffer: &mut Buffer,
) {
    let more = overflow(text.len(), area);
    let right = if more > 0 { vec![Span::styled(format!(" {keys} for more "), theme.muted())] } else { Vec::new() };
    let inner = panel(theme, title, right, area, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    lines(text.into_iter().skip(top.min(more)), inner, buffer);
}

/// Where the rows of a list stand inside of its frame, below so many lines of a head.
pub(in crate::tui) fn rows(area: Rect, head: u16) -> Rect {
    let inner = area.inner(Margin::new(1, 1));
    Rect { y: inner.y + head.min(inner.height), height: inner.height.saturating_sub(head), ..inner }
}

/// How wide the lines in such a frame may be.
pub(in crate::tui) fn text_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(4))
}

/// By how many lines a text is longer than what its frame shows.
pub(in crate::tui) fn overflow(lines: usize, area: Rect) -> usize {
    lines.saturating_sub(usize::from(area.height.saturating_sub(2)))
}

/// Draws lines one below the other, as many as fit.
pub(in crate::tui) fn lines<'a>(lines: impl IntoIterator<Item = Line<'a>>, area: Rect, buffer: &mut Buffer) {
    for (row, line) in area.rows().zip(lines) {
        line.render(row, buffer);
    }
}
