//! JSON. Values are taken as slices of the text, so that where they lie in it tells their place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::super::document::{Data, Entry, Node};
use super::super::error::Problem;
use super::Spot;

/// The entries of an object in their order, duplicates included.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

pub(super) fn parse(spot: &Spot<'_>) -> Result<Node, Problem> {
    let raw: &RawValue = serde_json::from_str(spot.text()).map_err(|error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Problem::new(message).at(&spot.line_column(error.line(), error.column()))
    })?;
    value(spot, raw)
}

fn value(spot: &Spot<'_>, raw: &RawValue) -> Result<Node, Problem> {
    let text = raw.get();
    let start = (text.as_ptr() as usize).saturating_sub(spot.text().as_ptr() as usize);
    let place = spot.place(start..start + text.len());
    let refused = |error: serde_json::Error| Problem::new(error.to_string()).at(&place);
    let data = match text.as_bytes().first() {
        Some(b'{') => {
            let Entries(entries) = serde_json::from_str(text).map_err(refused)?;
            // the text between the previous value and this one holds the key
            let mut searched = start + 1;
            let mut found: Vec<Entry> = Vec::with_capacity(entries.len());
            for (key, raw) in entries {
                let value = value(spot, raw)?;
                let at = (raw.get().as_ptr() as usize).saturating_sub(spot.text().as_ptr() as usize);
                let before = &spot.text()[searched..at];
                let opening = searched + before.find('"').unwrap_or_default();
                let closing = searched + before.rfind('"').map_or(before.len(), |quote| quote + 1);
                let key_place = spot.place(opening..closing.max(opening));
                searched = at + raw.get().len();
                if found.iter().any(|entry| entry.key == key) {
                    return Err(Problem::new(format!("the key \"{key}\" is there twice")).at(&key_place));
                }
                found.push(Entry { key, key_place, value });
            }
            Data::Table(found)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(refused)?;
            Data::List(items.into_iter().map(|raw| value(spot, raw)).collect::<Result<_, _>>()?)
        }
        _ => return serde_json::from_str(text).map(|value| Node::from_json(value, &place)).map_err(refused),
    };
    Ok(Node { data, place })
}
