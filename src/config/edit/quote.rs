//! Texts as the formats write them.

use super::super::format::Format;

/// A text as a value; in the manner of `old`, what stood there before, if that can be.
pub(super) fn quote(format: Format, text: &str, old: Option<&str>) -> String {
    match format {
        Format::Json => serde_json::Value::from(text).to_string(),
        Format::Toml => toml(text, old),
        Format::Hcl => hcl(text),
        Format::Yaml => yaml(text, old),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}'))
}

/// Between double quotes, with the escapes all formats share.
fn escaped(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if has_control(c.encode_utf8(&mut [0; 4])) => {
                quoted.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn toml(text: &str, old: Option<&str>) -> String {
    let plain = !text.contains(['"', '\\']) && !has_control(text);
    let literal = !text.contains('\'') && !has_control(text);
    let was_literal = old.is_some_and(|old| old.starts_with('\''));
    if literal && (was_literal || !plain) { format!("'{text}'") } else { escaped(text) }
}

/// `${name}` stays as it is, for that is how a template is written; anything else that would be one is not.
fn hcl(text: &str) -> String {
    let mut quoted = escaped(text);
    for opening in ["${", "%{"] {
        let mut parts = quoted.split(opening);
        let mut joined = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_name = opening == "${"
                && part.split_once('}').is_some_and(|(name, _)| {
                    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
                });
            if !is_name {
                joined.push_str(&opening[..1]);
            }
            joined.push_str(opening);
            joined.push_str(part);
        }
        quoted = joined;
    }
    quoted
}

fn yaml(text: &str, old: Option<&str>) -> String {
    if has_control(text) {
        return escaped(text);
    }
    match old.and_then(|old| old.chars().next()) {
        Some('"') => escaped(text),
        Some('\'') => single(text),
        _ if is_plain(text) => text.to_owned(),
        _ => single(text),
    }
}

fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether a text means itself without quotes, wherever in a YAML file it stands.
fn is_plain(text: &str) -> bool {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | ' '))
        && !words.iter().any(|word| text.eq_ignore_ascii_case(word))
}
