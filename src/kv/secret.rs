//! The data of one secret, in memory only for as long as one copy takes.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use zeroize::{Zeroize as _, Zeroizing};

use super::unescape;

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

impl SecretData {
    /// The names of the top-level keys, each once, in the order they are written; `None` if the data is no JSON object.
    #[must_use]
    pub fn key_names(&self) -> Option<Vec<String>> {
        Some(self.members()?.into_iter().map(|(name, _)| name).collect())
    }

    /// The value of a top-level key: the text of a string, the JSON of anything else. `None` if there is no such key.
    #[must_use]
    pub fn value_of(&self, key: &str) -> Option<SecretText> {
        let (_, value) = self.members()?.into_iter().find(|(name, _)| name == key)?;
        let json = value.get();
        let quoted = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        Some(SecretText(quoted.map_or_else(|| Zeroizing::new(json.to_owned()), unescape)))
    }

    /// The top-level keys with their values, which are read in place.
    pub(super) fn members(&self) -> Option<Vec<(String, &RawValue)>> {
        Members::read(&self.0)
    }
}

/// The members of a JSON object in their order; of a name that is there twice the last one counts.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn read(json: &'a str) -> Option<Vec<(String, &'a RawValue)>> {
        serde_json::from_str::<Self>(json).ok().map(|members| members.0)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &'de RawValue)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    match members.iter_mut().find(|(known, _)| *known == name) {
                        Some(known) => known.1 = value,
                        None => members.push((name, value)),
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// One value of a secret that somebody asked to see. Overwritten with zeros when dropped, never shown by `Debug`, not
/// cloneable.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text.
    #[must_use]
    pub fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text. Whoever copies it must zeroize the copy.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Another one with the same text, for whoever outlives this one.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText([redacted])")
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
    fn one_value_is_taken_out_as_people_read_it() {
        let json = r#"{"z":"a\nb \u0041","n":1.50,"o":{"x":["y"]},"e":"","z2":null,"z":"last"}"#;
        let data = SecretData::from_json(Zeroizing::new(json.to_owned()));
        assert_eq!(data.key_names().expect("an object"), ["z", "n", "o", "e", "z2"]);
        let value = |key: &str| data.value_of(key).map(|value| value.expose().to_owned());
        assert_eq!(value("z").as_deref(), Some("last"));
        assert_eq!(value("n").as_deref(), Some("1.50"));
        assert_eq!(value("o").as_deref(), Some(r#"{"x":["y"]}"#));
        assert_eq!(value("e").as_deref(), Some(""));
        assert_eq!(value("z2").as_deref(), Some("null"));
        assert_eq!(value("x"), None);
        let escaped = SecretData::from_json(Zeroizing::new(r#"{"k\u00e9":"a\nb \u0041"}"#.to_owned()));
        assert_eq!(escaped.value_of("ké").expect("a value").expose(), "a\nb A");
        assert!(SecretData::from_json(Zeroizing::new("[1]".to_owned())).key_names().is_none());
    }

    #[test]
    fn debug_shows_nothing() {
        assert!(!format!("{:?}", SecretText::new(Zeroizing::new("hunter2".to_owned()))).contains("hunter2"));
        let data = SecretData::from_json(Zeroizing::new(r#"{"password":"hunter2"}"#.to_owned()));
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
