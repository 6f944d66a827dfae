//! One line of text with a cursor in it, of which a window shows when it is longer than its place.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::text::sanitize;

/// A text as it is to be drawn.
#[derive(Debug)]
pub(in crate::tui) struct Field<'a> {
    pub(in crate::tui) text: &'a str,
    /// The byte the cursor is at, while it is typed into.
    pub(in crate::tui) cursor: Option<usize>,
    /// The part that must show while nobody types: where something is wrong, say.
    pub(in crate::tui) show: Option<usize>,
    pub(in crate::tui) style: Style,
    pub(in crate::tui) cursor_style: Style,
    /// Parts that look otherwise; the last one that covers a place wins.
    pub(in crate::tui) marks: Vec<(Range<usize>, Style)>,
}

/// A field laid out in so many columns.
#[derive(Debug)]
pub(in crate::tui) struct Laid {
    pub(in crate::tui) line: Line<'static>,
    /// For each grapheme, and the end: its byte, and its column in the whole text.
    columns: Vec<(usize, usize)>,
    /// The first column that shows.
    start: usize,
    width: usize,
}

impl Field<'_> {
    /// Lays the text out.
    pub(in crate::tui) fn lay(&self, width: usize) -> Laid {
        let width = width.max(2);
        let mut columns = Vec::new();
        let mut column = 0;
        for (byte, grapheme) in self.text.grapheme_indices(true) {
            columns.push((byte, column));
            column += shown(grapheme).width();
        }
        columns.push((self.text.len(), column));
        // the cursor at the end needs a column, too
        let needed = column + usize::from(self.cursor.is_some());
        let interesting = self.cursor.or(self.show).filter(|_| needed > width);
        let start = interesting.map_or(0, |byte| first_column(&columns, byte, width));
        let mut spans: Vec<Span<'static>> = Vec::new();
        let mut used = 0;
        if start > 0 {
            spans.push(Span::styled("…", self.style));
            used = 1;
        }
        let mut cut = None;
        for (at, (byte, column)) in columns.iter().enumerate().take(columns.len() - 1) {
            if *column < start + usize::from(start > 0) {
                continue;
            }
            let end = columns[at + 1].0;
            let text = shown(&self.text[*byte..end]);
            // columns that a wide character leaves at the cut
            let gap = (column - start).saturating_sub(used);
            let rest = needed - column - text.width();
            if used + gap + text.width() + usize::from(rest > 0) > width {
                cut = Some(self.cursor.is_some_and(|cursor| (*byte..end).contains(&cursor)));
                break;
            }
            if gap > 0 {
                spans.push(Span::styled(" ".repeat(gap), self.style));
                used += gap;
            }
            let mark = self.marks.iter().rev().find(|(range, _)| range.contains(byte));
            let mut style = mark.map_or(self.style, |(_, style)| self.style.patch(*style));
            if self.cursor.is_some_and(|cursor| (*byte..end).contains(&cursor)) {
                style = self.cursor_style;
            }
            used += text.width();
            spans.push(Span::styled(text, style));
        }
        if let Some(at_cursor) = cut {
            spans.push(Span::styled("…", if at_cursor { self.cursor_style } else { self.style }));
        } else if self.cursor.is_some_and(|cursor| cursor >= self.text.len()) {
            spans.push(Span::styled(" ", self.cursor_style));
        }
        Laid { line: Line::from(spans), columns, start, width }
    }
}

/// The first column that shows, so that a place within a text that is too long does.
fn first_column(columns: &[(usize, usize)], byte: usize, width: usize) -> usize {
    let at = columns.iter().rposition(|(start, _)| *start <= byte).unwrap_or(0);
    let column = columns[at].1;
    // at the end there is the cursor, elsewhere a character, and a sign that there is more
    let end = columns.get(at + 1).map_or(column + 1, |(_, next)| next + 1);
    if end <= width {
        return 0;
    }
    // by halves, so that the text stands still while the cursor moves within
    let step = (width / 2).max(1);
    ((end - width).div_ceil(step) * step).min(column.saturating_sub(1))
}

impl Laid {
    /// Where some bytes of the text are in the window; at least one column, at its edge if they do not show.
    pub(in crate::tui) fn columns(&self, bytes: &Range<usize>) -> Range<usize> {
        let of = |byte: usize| {
            let column = self.columns.iter().find(|(at, _)| *at >= byte).map_or(0, |(_, column)| *column);
            column.saturating_sub(self.start).min(self.width)
        };
        let start = of(bytes.start).min(self.width.saturating_sub(1));
        start..of(bytes.end).max(start + 1)
    }

    /// The byte at a column of the window.
    pub(in crate::tui) fn byte_at(&self, column: usize) -> usize {
        let column = column + self.start;
        self.columns.iter().rev().find(|(_, start)| *start <= column).map_or(0, |(byte, _)| *byte)
    }
}

fn shown(grapheme: &str) -> String {
    sanitize(grapheme).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(text: &str, cursor: Option<usize>, width: usize) -> Laid {
        let (style, cursor_style) = (Style::new(), Style::new().bold());
        Field { text, cursor, show: None, style, cursor_style, marks: Vec::new() }.lay(width)
    }

    fn text(laid: &Laid) -> String {
        laid.line.spans.iter().map(|span| span.content.as_ref()).collect()
    }

    fn under_cursor(laid: &Laid) -> String {
        let under = laid.line.spans.iter().filter(|span| span.style == Style::new().bold());
        under.map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn a_short_text_stands_as_it_is() {
        let laid = lay("abc", Some(1), 10);
        assert_eq!((text(&laid).as_str(), under_cursor(&laid).as_str()), ("abc", "b"));
        let laid = lay("abc", Some(3), 10);
        assert_eq!((text(&laid).as_str(), under_cursor(&laid).as_str()), ("abc ", " "));
        assert_eq!(text(&lay("abc", None, 3)), "abc");
        assert_eq!(text(&lay("abc", Some(3), 3)), "…c ");
    }

    #[test]
    fn the_cursor_always_shows_and_nothing_is_wider_than_its_place() {
        for sample in ["secret/data/(?P<team>[^/]+)/x", "日本語/ключ/日本語日本語", "a\u{301}e\u{301}/👩‍👩‍👧/ö\x1b"]
        {
            for width in 2..40 {
                for (cursor, _) in sample.grapheme_indices(true).chain([(sample.len(), "")]) {
                    let laid = lay(sample, Some(cursor), width);
                    assert!(laid.line.width() <= width, "{width} {cursor} {:?}", text(&laid));
                    // a wide character in too narrow a place is but hinted at
                    assert!(width < 6 || !under_cursor(&laid).is_empty(), "{width} {cursor} {:?}", text(&laid));
                }
                assert!(lay(sample, None, width).line.width() <= width);
            }
        }
    }

    #[test]
    fn columns_and_bytes_belong_together() {
        let laid = lay("日本(語", None, 20);
        assert_eq!(laid.columns(&(6..7)), 4..5);
        assert_eq!(laid.columns(&(10..10)), 7..8, "the end has a column of its own");
        assert_eq!((laid.byte_at(4), laid.byte_at(3), laid.byte_at(19)), (6, 3, 10));
    }
}
