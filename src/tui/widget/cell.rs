//! Text of an exact width. Names from servers pass through here on their way to the screen.

use ratatui::text::Span;
use unicode_width::UnicodeWidthStr;

use crate::text::{sanitize, truncate_end, truncate_start};

/// Starts at the left; what does not fit is cut off at the end.
pub(in crate::tui) fn left(text: &str, width: usize) -> String {
    pad(&truncate_end(&sanitize(text), width), width, false)
}

/// Ends at the right: for numbers.
pub(in crate::tui) fn right(text: &str, width: usize) -> String {
    pad(&truncate_end(&sanitize(text), width), width, true)
}

/// Starts at the left; what does not fit is cut off at the start: for paths.
pub(in crate::tui) fn path(text: &str, width: usize) -> String {
    pad(&truncate_start(&sanitize(text), width), width, false)
}

/// Starts at the left; what does not fit is left out in the middle: for names, which differ at either end.
pub(in crate::tui) fn name(text: &str, width: usize) -> String {
    let clean = sanitize(text);
    if clean.width() <= width {
        return pad(&clean, width, false);
    }
    let end = width.saturating_sub(1) / 2;
    let begin = truncate_end(&clean, width.saturating_sub(end)).into_owned();
    // the ellipsis of the beginning stands for both
    let tail = truncate_start(&clean, end + 1);
    pad(&format!("{begin}{}", tail.trim_start_matches('…')), width, false)
}

/// How many columns a text takes.
pub(in crate::tui) fn width(text: &str) -> usize {
    sanitize(text).width()
}

/// As much of a line as there is room for, with `…` in place of what is left out at the end.
pub(in crate::tui) fn fit(spans: Vec<Span<'static>>, width: usize) -> Vec<Span<'static>> {
    if spans.iter().map(Span::width).sum::<usize>() <= width {
        return spans;
    }
    let mut left = width;
    let mut fitting = Vec::with_capacity(spans.len());
    for span in spans {
        if span.width() >= left {
            let cut = truncate_end(&format!("{}…", span.content), left).into_owned();
            fitting.push(Span::styled(cut, span.style));
            break;
        }
        left -= span.width();
        fitting.push(span);
    }
    fitting
}

/// Wraps at spaces to lines of at most `width` columns; longer words are broken.
pub(in crate::tui) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let clean = sanitize(text);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in clean.split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for grapheme in unicode_segmentation::UnicodeSegmentation::graphemes(word, true) {
            if line.width() + grapheme.width() > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
        }
    }
    lines.push(line);
    lines
}

fn pad(text: &str, width: usize, at_start: bool) -> String {
    let space = " ".repeat(width.saturating_sub(text.width()));
    if at_start { space + text } else { text.to_owned() + &space }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(name("us-east-1", 12), "us-east-1   ");
        assert_eq!(name("payments-production-eu-west-1", 14), "payment…west-1");
        for width in 0..30 {
            assert_eq!(name("payments-production-eu-west-1", width).width(), width);
        }
    }

    #[test]
    fn cells_have_their_width() {
        assert_eq!(left("abc", 5), "abc  ");
        assert_eq!(right("abc", 5), "  abc");
        assert_eq!(path("secret/team/app", 8), "…eam/app");
        assert_eq!(left("日本語", 4), "日… ");
        assert_eq!(left("a\x1bb", 4), "a\u{241b}b ");
    }

    #[test]
    fn words_wrap() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
