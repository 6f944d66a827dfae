//! YAML.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::super::document::{Data, Entry, Node, Place};
use super::super::error::Problem;
use super::Spot;

/// A value as the parser gives it, with line and column.
enum Value {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Spanned<Value>>),
    Table(Vec<(Spanned<String>, Spanned<Value>)>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("this is no finite number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Table(entries))
    }
}

pub(super) fn parse(spot: &Spot<'_>) -> Result<Node, Problem> {
    let value: Spanned<Value> = serde_saphyr::from_str(spot.text()).map_err(|error| {
        let message = error.without_snippet().to_string();
        let problem = Problem::new(without_position(&message).to_owned());
        match error.location() {
            Some(location) => problem.at(&place(spot, location)),
            None => problem.at(&spot.place(0..0)),
        }
    })?;
    Ok(node(spot, value))
}

/// The parser's message without the position it begins or ends with: the marked line shows that.
fn without_position(message: &str) -> &str {
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let message = match message.split_once(": ") {
        Some((position, rest)) if position.starts_with("line ") => rest,
        _ => message,
    };
    message.split(" at line ").next().unwrap_or(message)
}

fn node(spot: &Spot<'_>, value: Spanned<Value>) -> Node {
    let place_of = |location| place(spot, location);
    let data = match value.value {
        Value::Null => Data::Null,
        Value::Bool(flag) => Data::Bool(flag),
        Value::Number(number) => Data::Number(number),
        Value::Text(text) => Data::Text(text),
        Value::List(items) => Data::List(items.into_iter().map(|item| node(spot, item)).collect()),
        Value::Table(entries) => Data::Table(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_place: place_of(key.referenced),
                    key: key.value,
                    value: node(spot, value),
                })
                .collect(),
        ),
    };
    Node { data, place: place_of(value.referenced) }
}

fn place(spot: &Spot<'_>, location: Location) -> Place {
    let span = location.span();
    match (span.byte_offset(), span.byte_len()) {
        (Some(offset), Some(length)) => {
            let start = usize::try_from(offset).unwrap_or_default();
            let end = start + usize::try_from(length).unwrap_or_default();
            spot.place(start..end.min(spot.text().len()))
        }
        _ => spot.line_column(
            usize::try_from(location.line()).unwrap_or_default(),
            usize::try_from(location.column()).unwrap_or_default(),
        ),
    }
}
