//! Strings in JSON text that holds secrets: read in place, and copied only to memory that is wiped.

use std::char::REPLACEMENT_CHARACTER;
use std::iter;

use zeroize::Zeroizing;

/// Where the closing quote of a string is whose opening one has been passed.
pub(crate) fn end_of_string(quoted: &str) -> usize {
    let mut escaped = false;
    let end = quoted.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(quoted.len())
}

/// Undoes the escapes of a JSON string; what is none stays as it is.
pub(crate) fn unescape(literal: &str) -> Zeroizing<String> {
    // No escape is shorter than what it stands for: the text never grows, and so leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(literal.len()));
    let mut rest = literal;
    while let Some(backslash) = rest.find('\\') {
        text.push_str(&rest[..backslash]);
        let (meant, len) = escape(&rest[backslash..]);
        text.push(meant);
        rest = &rest[backslash + len..];
    }
    text.push_str(rest);
    text
}

/// What the escape that `text` begins with stands for, and how long it is.
fn escape(text: &str) -> (char, usize) {
    let unit = |at: usize| {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(hex, 16).ok()
    };
    match text.as_bytes().get(1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => (char::from(byte), 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match unit(0) {
            Some(first) => match char::decode_utf16(iter::once(first).chain(unit(6))).next() {
                Some(Ok(meant)) => (meant, 6 * meant.len_utf16()),
                _ => (REPLACEMENT_CHARACTER, 6),
            },
            None => ('\\', 1),
        },
        _ => ('\\', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        for (literal, text) in [
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u003cé\u00e9\ud83d\udd11", "<éé🔑"),
            (r"\ud83d!\udd11", "\u{fffd}!\u{fffd}"),
            (r"\u12 \x \", r"\u12 \x \"),
            ("\\ué€!!", "\\ué€!!"),
        ] {
            let unescaped = unescape(literal);
            assert_eq!((unescaped.as_str(), unescaped.capacity()), (text, literal.len()));
        }
    }
}
