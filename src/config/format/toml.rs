//! TOML.

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue};

use super::super::document::{Data, Entry, Node};
use super::super::error::Problem;
use super::Spot;

pub(super) fn parse(spot: &Spot<'_>) -> Result<Node, Problem> {
    let table = DeTable::parse(spot.text()).map_err(|error| {
        let span = error.span().unwrap_or_default();
        Problem::new(error.message().to_owned()).at(&spot.place(span))
    })?;
    let place = spot.place(table.span());
    Ok(Node { data: section(spot, table.get_ref())?, place })
}

fn section(spot: &Spot<'_>, table: &DeTable<'_>) -> Result<Data, Problem> {
    let entries = table.iter().map(|(key, item)| {
        Ok(Entry { key: key.get_ref().to_string(), key_place: spot.place(key.span()), value: value(spot, item)? })
    });
    entries.collect::<Result<_, _>>().map(Data::Table)
}

fn value(spot: &Spot<'_>, item: &Spanned<DeValue<'_>>) -> Result<Node, Problem> {
    let place = spot.place(item.span());
    let data = match item.get_ref() {
        DeValue::String(text) => Data::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| Data::Number(number.into()))
            .map_err(|_| Problem::new("this number is too large").at(&place))?,
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Data::Number)
            .ok_or_else(|| Problem::new("this is no finite number").at(&place))?,
        DeValue::Boolean(flag) => Data::Bool(*flag),
        DeValue::Datetime(datetime) => Data::Text(datetime.to_string()),
        DeValue::Array(items) => Data::List(items.iter().map(|item| value(spot, item)).collect::<Result<_, _>>()?),
        DeValue::Table(table) => section(spot, table)?,
    };
    Ok(Node { data, place })
}
