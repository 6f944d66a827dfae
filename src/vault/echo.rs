//! Whether a server's words repeat a secret: proxies like to quote the request that they refuse.
//!
//! Neither the secret nor the words are ever copied to memory that is not wiped.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::kv::{end_of_string, unescape};

/// Shorter strings are found in every sentence.
const SHORTEST_STRING: usize = 4;
/// Shorter numbers are versions, lengths and positions.
const SHORTEST_NUMBER: usize = 6;
/// So much of a longer string is as bad as the whole: not every server quotes to the end.
const PIECE: usize = 12;

/// Whether `said` contains a value of the object `json`. Names of keys are no secret: vsync shows them itself.
pub(super) fn repeats(said: &str, json: &str) -> bool {
    if said.is_empty() {
        return false;
    }
    // The quoted request is JSON in a JSON string, so escapes may be left.
    let heard = [Zeroizing::new(said.to_owned()), unescape(said)];
    let pieces: HashSet<&[u8]> = heard.iter().flat_map(|said| said.as_bytes().windows(PIECE)).collect();
    Values(json).any(|value| match value {
        Value::Number(number) => {
            number.bytes().filter(u8::is_ascii_digit).count() >= SHORTEST_NUMBER && said.contains(number)
        }
        Value::String(literal) => {
            let text = unescape(literal);
            if text.len() > PIECE {
                text.as_bytes().windows(PIECE).any(|piece| pieces.contains(piece))
            } else {
                text.chars().count() >= SHORTEST_STRING && heard.iter().any(|said| said.contains(text.as_str()))
            }
        }
    })
}

enum Value<'a> {
    /// What is between the quotes, escapes and all.
    String(&'a str),
    Number(&'a str),
}

/// The strings and numbers of a JSON text that is known to be valid, at any depth, in place.
struct Values<'a>(&'a str);

impl<'a> Iterator for Values<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        loop {
            let start = self.0.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit())?;
            let found = &self.0[start..];
            if let Some(quoted) = found.strip_prefix('"') {
                let (literal, rest) = quoted.split_at(end_of_string(quoted));
                self.0 = rest.strip_prefix('"').unwrap_or(rest);
                if !self.0.trim_start().starts_with(':') {
                    return Some(Value::String(literal));
                }
            } else {
                let in_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
                let (number, rest) = found.split_at(found.find(|c| !in_number(c)).unwrap_or(found.len()));
                self.0 = rest;
                return Some(Value::Number(number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_however_it_is_quoted() {
        let data = r#"{"k" : "CANARY", "n":{"l":[null,{"pin":-123456.5}]}, "t":"sn\u00f6w \"<\ud83d\udd11>\"\n", "p":"a\\nb\\c",
            "key":"-----BEGIN KEY-----MIIEvQIBADANBgkqhkiG9w0B"}"#;
        for said in [
            r#"cannot parse {"k":"CANARY"}"#,
            "bad: xCANARYx",
            "number -123456.5 is too large",
            r#"cannot parse {"t":"sn\u00f6w \"\u003c\ud83d\udd11\u003e\"\n"}"#,
            "unknown word snöw \"<🔑>\"\n",
            r"not a path: a\nb\c",
            r#"cannot parse {"p":"a\\nb\\c"}"#,
            "unexpected end after MIIEvQIBADANB",
            "unexpected -----BEGIN K",
        ] {
            assert!(repeats(said, data), "{said}");
        }
        for said in ["", "permission denied", "k", "key", "the body has 1234 bytes", "-123456", "null", "CANAR"] {
            assert!(!repeats(said, data), "{said}");
        }
    }

    #[test]
    fn what_is_short_is_in_every_sentence() {
        let data = r#"{"a":"not","b":"","c":12345,"d":true,"e":[],"permission":"äöü"}"#;
        assert!(!repeats("permission not granted: äöü 12345 true", data));
        assert!(!repeats("anything", "{}"));
    }
}
