//! A line that is being typed, with its cursor.

use ratatui::text::Span;
use tui_input::Input;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::text::sanitize;
use crate::tui::theme::Theme;

/// What one moves over with one key.
struct Piece {
    text: String,
    width: usize,
}

/// The part of the line around its cursor that fits into `width` columns.
pub(in crate::tui) fn line(theme: &Theme, input: &Input, width: usize) -> Vec<Span<'static>> {
    let mut pieces = Vec::new();
    let (mut cursor, mut passed) = (None, 0);
    for grapheme in input.value().graphemes(true) {
        passed += grapheme.chars().count();
        if cursor.is_none() && passed > input.cursor() {
            cursor = Some(pieces.len());
        }
        let text = sanitize(grapheme).into_owned();
        pieces.push(Piece { width: text.width(), text });
    }
    // Behind the last character there is a place for the cursor.
    let cursor = cursor.unwrap_or(pieces.len());
    pieces.push(Piece { text: " ".to_owned(), width: 1 });

    let shown = window(&pieces, cursor, width);
    let text = |from: usize, to: usize| -> String {
        pieces.get(from..to).unwrap_or_default().iter().map(|piece| piece.text.as_str()).collect()
    };
    let mut spans = Vec::new();
    if shown.start > 0 {
        spans.push(Span::styled("…", theme.muted()));
    }
    spans.push(Span::styled(text(shown.start, cursor), theme.strong()));
    spans.push(Span::styled(text(cursor, cursor + 1), theme.active()));
    let cut = shown.end < pieces.len();
    // The last piece is only there for the cursor.
    let rest = text(cursor + 1, if cut { shown.end } else { pieces.len() - 1 });
    spans.push(Span::styled(rest, theme.strong()));
    if cut {
        spans.push(Span::styled("…", theme.muted()));
    }
    spans
}

/// The pieces that show: those around the cursor, with as much behind it as before the end of the line if need be.
fn window(pieces: &[Piece], cursor: usize, width: usize) -> std::ops::Range<usize> {
    let columns = |range: std::ops::Range<usize>| pieces[range].iter().map(|piece| piece.width).sum::<usize>();
    if columns(0..pieces.len()) <= width {
        return 0..pieces.len();
    }
    let all_behind = columns(cursor + 1..pieces.len());
    let behind = all_behind.min(width / 3);
    let signs = 1 + usize::from(behind < all_behind);
    let room = width.saturating_sub(signs + behind).max(pieces[cursor].width);
    let mut start = cursor;
    while start > 0 && columns(start - 1..cursor + 1) <= room {
        start -= 1;
    }
    let room = width.saturating_sub(usize::from(start > 0));
    let mut end = cursor + 1;
    while end < pieces.len() && columns(start..end + 1) + usize::from(end + 1 < pieces.len()) <= room {
        end += 1;
    }
    start..end
}

/// Longer texts are not put into a line: the longest path a server takes is half of it.
pub(in crate::tui) const LONGEST: usize = 8_192;

/// What is told when a pasted text is too long.
pub(in crate::tui) fn too_long() -> String {
    format!("Not taken: a line has at most {LONGEST} characters.")
}

/// Puts a pasted text where the cursor is, without what is no text. `false`: it is too long, and nothing was done.
pub(in crate::tui) fn insert(input: &mut Input, text: &str) -> bool {
    let text: String = text.chars().filter(|c| !c.is_control()).take(LONGEST + 1).collect();
    let count = text.chars().count();
    let (value, cursor) = (input.value(), input.cursor());
    if count + value.chars().count() > LONGEST {
        return false;
    }
    let at = value.char_indices().nth(cursor).map_or(value.len(), |(at, _)| at);
    *input = Input::new(format!("{}{text}{}", &value[..at], &value[at..])).with_cursor(cursor + count);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Depth;

    /// The line with its cursor in brackets.
    fn shown(text: &str, cursor: usize, width: usize) -> String {
        let theme = Theme::named("dark", Depth::True).expect("a theme");
        let input = Input::from(text.to_owned()).with_cursor(cursor);
        let spans = line(&theme, &input, width);
        let columns: usize = spans.iter().map(Span::width).sum();
        assert!(columns <= width, "{columns} in {width}");
        let on_cursor = theme.active();
        spans
            .iter()
            .map(|span| if span.style == on_cursor { format!("[{}]", span.content) } else { span.content.to_string() })
            .collect()
    }

    #[test]
    fn the_cursor_is_where_one_types() {
        assert_eq!(shown("", 0, 10), "[ ]");
        assert_eq!(shown("abc", 3, 10), "abc[ ]");
        assert_eq!(shown("abc", 1, 10), "a[b]c");
        assert_eq!(shown("日本語", 1, 10), "日[本]語");
        assert_eq!(shown("e\u{301}x", 0, 10), "[e\u{301}]x", "an accent belongs to its letter");
    }

    #[test]
    fn a_long_line_moves_under_the_cursor() {
        assert_eq!(shown("abcdefghij", 10, 6), "…ghij[ ]");
        assert_eq!(shown("abcdefghij", 0, 6), "[a]bcde…");
        assert_eq!(shown("abcdefghij", 5, 6), "…e[f]gh…");
        assert_eq!(shown("日本語日本語", 6, 6), "…本語[ ]");
    }
}
