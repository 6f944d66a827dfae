//! The data of one secret, in memory only for as long as one copy takes.

use std::fmt;

use serde_json::{Number, Value};
use zeroize::{Zeroize as _, Zeroizing};

/// The `data` object of one secret version: the JSON text as the server sent it, so that numbers, key order and
/// nesting survive. Overwritten with zeros when dropped, never shown by `Debug`, not cloneable.
pub struct SecretData(Zeroizing<String>);

impl SecretData {
    /// Takes over the JSON text of an object.
    #[must_use]
    pub fn from_json(json: Zeroizing<String>) -> Self {
        Self(json)
    }

    /// The JSON text. Whoever copies it must zeroize the copy.
    #[must_use]
    pub fn expose_json(&self) -> &str {
        &self.0
    }
}

impl SecretData {
    /// Whether both hold the same values. The order of keys and the spelling of numbers do not count: servers change them.
    #[must_use]
    pub fn has_same_values(&self, other: &Self) -> bool {
        if *self.0 == *other.0 {
            return true;
        }
        match (serde_json::from_str(&self.0), serde_json::from_str(&other.0)) {
            (Ok(one), Ok(other)) => Exposed(one) == Exposed(other),
            _ => false,
        }
    }
}

/// Parsed data, overwritten with zeros when dropped.
struct Exposed(Value);

impl PartialEq for Exposed {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Drop for Exposed {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && !both_whole(one, other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

/// Whole numbers are compared as such: as floating point numbers large ones would be alike.
fn both_whole(one: &Number, other: &Number) -> bool {
    !one.is_f64() && !other.is_f64()
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(entries) => {
            for (mut key, mut value) in std::mem::take(entries) {
                key.zeroize();
                wipe(&mut value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretData([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_make_a_difference() {
        let data = |json: &str| SecretData::from_json(Zeroizing::new(json.to_owned()));
        for (one, other, alike) in [
            (r#"{"a":1,"b":[true,null]}"#, r#"{ "b": [true,null], "a": 1 }"#, true),
            (r#"{"a":1e3}"#, r#"{"a":1000}"#, true),
            (r#"{"a":"\u0041"}"#, r#"{"a":"A"}"#, true),
            (r#"{"a":"1"}"#, r#"{"a":1}"#, false),
            (r#"{"a":9007199254740993}"#, r#"{"a":9007199254740992}"#, false),
            (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#, false),
            (r#"{"a":{"b":"x"}}"#, r#"{"a":{"b":"y"}}"#, false),
        ] {
            assert_eq!(data(one).has_same_values(&data(other)), alike, "{one} {other}");
            assert_eq!(data(other).has_same_values(&data(one)), alike, "{other} {one}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let data = SecretData::from_json(Zeroizing::new(r#"{"password":"hunter2"}"#.to_owned()));
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
