//! What a command line can become, above it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::{cell, panel};
use crate::tui::theme::Theme;

/// One row.
#[derive(Debug)]
pub(in crate::tui) struct Row<'a> {
    pub(in crate::tui) title: &'a str,
    /// Which characters of the title are the typed ones.
    pub(in crate::tui) found: &'a [usize],
    pub(in crate::tui) keys: &'a str,
    pub(in crate::tui) keys_style: Style,
    pub(in crate::tui) help: &'a str,
    /// Where it leads to.
    pub(in crate::tui) place: &'a str,
}

/// So many rows show where there is room for a body of this height.
pub(in crate::tui) fn rows_that_fit(body: Rect) -> usize {
    usize::from(body.height.saturating_sub(4).min(16))
}

/// Draws the rows at the foot of the body, with the chosen one among them.
pub(in crate::tui) fn palette(theme: &Theme, rows: &[Row], chosen: Option<usize>, body: Rect, buffer: &mut Buffer) {
    let height = rows.len().min(rows_that_fit(body));
    if height == 0 {
        return;
    }
    let width = body.width.min(110);
    let lines = u16::try_from(height + 2).unwrap_or(u16::MAX).min(body.height);
    let frame = Rect { y: body.bottom().saturating_sub(lines), width, height: lines, ..body };
    Clear.render(frame, buffer);
    buffer.set_style(frame, theme.base());
    let place = chosen.map_or_else(|| rows.len().to_string(), |at| format!("{} of {}", at + 1, rows.len()));
    let right = vec![Span::styled(format!(" {place} "), theme.muted())];
    let inner = panel::panel(theme, "Commands", right, frame, buffer);
    let first = chosen.map_or(0, |at| (at + 1).saturating_sub(height));
    let widest =
        |of: fn(&Row) -> usize, least: usize, most: usize| rows.iter().map(of).max().unwrap_or(0).clamp(least, most);
    let title = widest(|row| row.title.width(), 16, usize::from(inner.width) / 2);
    let keys = widest(|row| row.keys.width(), 0, 14);
    for (area, (at, row)) in inner.rows().zip(rows.iter().enumerate().skip(first)) {
        let mut line = vec![Span::raw(" ")];
        line.extend(title_spans(theme, row, title));
        line.push(Span::styled(format!(" {} ", cell::right(row.keys, keys)), row.keys_style));
        let place = if row.place.is_empty() { String::new() } else { format!(" {} ", row.place) };
        let used = 1 + title + keys + 2;
        let room = usize::from(inner.width).saturating_sub(used + place.width() + 1);
        line.push(Span::styled(format!(" {}", cell::left(row.help, room)), theme.text()));
        line.push(Span::styled(place, theme.muted()));
        Line::from(line).render(area, buffer);
        if Some(at) == chosen {
            buffer.set_style(area, theme.selected());
        }
    }
}

fn title_spans(theme: &Theme, row: &Row, width: usize) -> Vec<Span<'static>> {
    // A title that does not fit has lost its beginning or end, so nothing in it can be pointed at.
    let shown = cell::left(row.title, width);
    if !shown.trim_end().starts_with(row.title) {
        return vec![Span::styled(shown, theme.strong())];
    }
    let letter = |(at, c): (usize, char)| {
        let style = if row.found.contains(&at) { theme.title() } else { theme.strong() };
        Span::styled(c.to_string(), style)
    };
    shown.chars().enumerate().map(letter).collect()
}
