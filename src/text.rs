//! Names that came from a server, made harmless for a terminal; names that somebody mistyped.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// Replaces whatever a terminal might obey instead of show: control characters become their Unicode pictures,
/// bidirectional and other invisible format characters become `\u{…}`.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0'..='\x1f' => clean.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
            '\x7f' => clean.push('\u{2421}'),
            c if is_dangerous(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Replaces in a JSON text what a terminal might obey instead of show by `\u…` escapes, so that every string in it still
/// reads back as the very name. Line feeds and the like are taken for the text's own layout: a JSON writer escapes those
/// that stand in strings.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let must_go = |c: char| c >= '\x7f' && is_dangerous(c);
    if !json.chars().any(must_go) {
        return Cow::Borrowed(json);
    }
    let mut clean = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if must_go(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // writing to a String cannot fail
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

/// A value as JSON text that is harmless on a terminal; see [`escape_json`].
///
/// # Errors
/// As [`serde_json::to_string`].
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    let text = serde_json::to_string(value)?;
    Ok(match escape_json(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => clean,
    })
}

/// Besides control characters those that Unicode calls format characters or default-ignorable, and line and paragraph
/// separators: they are not seen, make two names look the same, or are as wide as each terminal thinks (U+3164).
fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Cuts `text` to `width` terminal columns, with `…` in place of what was left out at the end.
#[must_use]
pub fn truncate_end(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut kept =
        take_columns(unicode_segmentation::UnicodeSegmentation::graphemes(text, true), width.saturating_sub(1))
            .concat();
    if width > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// Cuts `text` to `width` terminal columns, with `…` in place of what was left out at the start: the end of a path
/// tells more than its beginning.
#[must_use]
pub fn truncate_start(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut kept =
        take_columns(unicode_segmentation::UnicodeSegmentation::graphemes(text, true).rev(), width.saturating_sub(1));
    if width > 0 {
        kept.push("…");
    }
    kept.reverse();
    Cow::Owned(kept.concat())
}

fn take_columns<'a>(graphemes: impl Iterator<Item = &'a str>, width: usize) -> Vec<&'a str> {
    let mut used = 0;
    graphemes
        .take_while(|grapheme| {
            used += grapheme.width();
            used <= width
        })
        .collect()
}

/// The name most like `name`, if one is like it at all.
#[must_use]
pub fn nearest<'a>(names: impl IntoIterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    names
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain(candidate), &plain(name)), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len().max(name.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(sanitize("plain/päth"), "plain/päth");
        assert_eq!(sanitize("a\x1b[2Jb"), "a\u{241b}[2Jb");
        assert_eq!(sanitize("a\u{202e}b"), "a\\u{202e}b");
        assert!(!sanitize("\u{9b}31m").contains('\u{9b}'));
        for c in ['\u{34f}', '\u{3164}', '\u{ffa0}', '\u{fff9}', '\u{180e}', '\u{e0041}', '\u{fe0f}', '\u{2800}'] {
            assert_eq!(
                sanitize(&format!("prod{c}")),
                format!("prod{}", c.escape_unicode()),
                "two names that look the same"
            );
        }
    }

    #[test]
    fn json_is_harmless_and_reads_back() {
        let name = "\x1b[2J\u{9b}31m\u{202e}gpj\u{2066}\u{feff}\u{e0041}\x7f\n\t\"\\ päth 日本 🔑";
        let json = to_json(&[name]).expect("JSON");
        assert!(!json.chars().any(is_dangerous), "{json}");
        assert!(json.contains("\\u009b31m\\u202egpj\\u2066\\ufeff\\udb40\\udc41\\u007f"), "{json}");
        assert!(json.contains("päth 日本 🔑"), "what a terminal only shows stays as it is: {json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).expect("JSON"), [name]);
        let pretty = serde_json::to_string_pretty(&[name]).expect("JSON");
        let clean = escape_json(&pretty);
        assert_eq!(clean.lines().count(), 3, "its layout stays");
        assert_eq!(serde_json::from_str::<Vec<String>>(&clean).expect("JSON"), [name]);
    }

    #[test]
    fn cutting_counts_columns() {
        assert_eq!(truncate_end("abcdef", 4), "abc…");
        assert_eq!(truncate_start("abcdef", 4), "…def");
        assert_eq!(truncate_end("日本語", 4), "日…");
        assert_eq!(truncate_end("abc", 3), "abc");
        assert_eq!(truncate_end("abc", 0), "");
    }

    #[test]
    fn the_nearest_name_is_found_through_typos_and_spelling() {
        let names = || ["name", "num_buckets", "origin", "destinations"].into_iter();
        assert_eq!(nearest(names(), "orign"), Some("origin"));
        assert_eq!(nearest(names(), "num-buckets"), Some("num_buckets"));
        assert_eq!(nearest(names(), "destnations"), Some("destinations"));
        assert_eq!(nearest(names(), "zebra"), None);
    }
}
