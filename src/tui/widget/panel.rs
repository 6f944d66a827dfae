//! The frame around a part of a screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use crate::tui::theme::Theme;

/// Draws a frame with a title, and what stands at its right end; returns what is inside.
pub(in crate::tui) fn panel(
    theme: &Theme,
    title: &str,
    right: Vec<Span<'static>>,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let mut block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.border())
        .title(Line::from(Span::styled(format!(" {title} "), theme.title())));
    if !right.is_empty() {
        block = block.title_top(Line::from(right).right_aligned());
    }
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}

/// Draws lines one below the other, as many as fit.
pub(in crate::tui) fn lines<'a>(lines: impl IntoIterator<Item = Line<'a>>, area: Rect, buffer: &mut Buffer) {
    for (row, line) in area.rows().zip(lines) {
        line.render(row, buffer);
    }
}
