//! HCL. Blocks are sections, repeated blocks of one name are a list. Expressions are not evaluated: `"${env}"` in a
//! transform is the text it looks like, as it was for vsync v0.3.

use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::{Element, StringTemplate};

use super::super::document::{Data, Entry, Node, Place};
use super::super::error::Problem;
use super::Spot;

pub(super) fn parse(spot: &Spot<'_>) -> Result<Node, Problem> {
    let body = hcl_edit::parser::parse_body(spot.text()).map_err(|error| {
        let shown = error.to_string();
        let message = shown.rsplit(" = ").next().unwrap_or(&shown).trim();
        let location = error.location();
        Problem::new(message.to_owned()).at(&spot.line_column(location.line(), location.column()))
    })?;
    section(spot, &body, spot.place(0..spot.text().len()))
}

fn section(spot: &Spot<'_>, body: &Body, place: Place) -> Result<Node, Problem> {
    let mut entries: Vec<Entry> = Vec::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let key_place = spanned(spot, attribute.key.span());
                insert(&mut entries, attribute.key.as_str(), key_place, value(spot, &attribute.value)?)?;
            }
            Structure::Block(block) => {
                let key_place = spanned(spot, block.ident.span());
                let mut inner = section(spot, &block.body, key_place.clone())?;
                if let Some(label) = block.labels.first() {
                    let label_place = spanned(spot, label.span());
                    if block.labels.len() > 1 {
                        return Err(Problem::new("one label is enough: it is the section's name").at(&label_place));
                    }
                    inner.set(&[super::super::document::Step::Key("name")], Node::text(label.as_str(), label_place));
                }
                let name = block.ident.as_str();
                match entries.iter_mut().find(|entry| entry.key == name) {
                    None => entries.push(Entry { key: name.to_owned(), key_place, value: inner }),
                    Some(Entry { value: Node { data: Data::List(items), .. }, .. }) => items.push(inner),
                    Some(entry) => {
                        let first = std::mem::replace(&mut entry.value, Node::table(key_place));
                        let place = first.place.clone();
                        entry.value = Node { data: Data::List(vec![first, inner]), place };
                    }
                }
            }
        }
    }
    Ok(Node { data: Data::Table(entries), place })
}

fn insert(entries: &mut Vec<Entry>, key: &str, key_place: Place, value: Node) -> Result<(), Problem> {
    if entries.iter().any(|entry| entry.key == key) {
        return Err(Problem::new(format!("the key \"{key}\" is there twice")).at(&key_place));
    }
    entries.push(Entry { key: key.to_owned(), key_place, value });
    Ok(())
}

fn value(spot: &Spot<'_>, expression: &Expression) -> Result<Node, Problem> {
    let place = spanned(spot, expression.span());
    let data = match expression {
        Expression::Null(_) => Data::Null,
        Expression::Bool(flag) => Data::Bool(*flag.value()),
        Expression::Number(number) => {
            let number = serde_json::from_str(&number.value().to_string());
            Data::Number(number.map_err(|_| Problem::new("this is no finite number").at(&place))?)
        }
        Expression::String(text) => Data::Text(text.value().clone()),
        Expression::StringTemplate(template) => Data::Text(verbatim(spot, template)),
        Expression::Array(items) => Data::List(items.iter().map(|item| value(spot, item)).collect::<Result<_, _>>()?),
        Expression::Object(object) => {
            let mut entries = Vec::new();
            for (key, item) in object {
                let (name, span) = match key {
                    ObjectKey::Ident(ident) => (ident.as_str(), ident.span()),
                    ObjectKey::Expression(Expression::String(text)) => (text.value().as_str(), text.span()),
                    ObjectKey::Expression(other) => {
                        return Err(Problem::new("a key must be a plain name").at(&spanned(spot, other.span())));
                    }
                };
                insert(&mut entries, name, spanned(spot, span), value(spot, item.expr())?)?;
            }
            Data::Table(entries)
        }
        Expression::Parenthesis(inner) => return value(spot, inner.inner()),
        _ => return Err(Problem::new("expressions are not evaluated: write the value itself").at(&place)),
    };
    Ok(Node { data, place })
}

/// The text of a template, with its interpolations as they are written.
fn verbatim(spot: &Spot<'_>, template: &StringTemplate) -> String {
    template
        .iter()
        .map(|element| match element {
            Element::Literal(text) => text.as_str(),
            other => other.span().and_then(|span| spot.text().get(span)).unwrap_or_default(),
        })
        .collect()
}

fn spanned(spot: &Spot<'_>, span: Option<Range<usize>>) -> Place {
    spot.place(span.unwrap_or(0..0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::document::SourceFile;
    use super::*;

    fn read(text: &str) -> serde_json::Value {
        let source = Arc::new(SourceFile::new("c.hcl".into(), text.to_owned()));
        parse(&Spot(&source)).map_err(|problem| problem.to_string()).expect("a valid file").to_json()
    }

    #[test]
    fn repeated_blocks_are_a_list_and_templates_are_plain_text() {
        let value = read(
            "destinations \"a\" {\n  transforms {\n    to = \"kv/data/${env}/${app}\"\n    from = \"^x(?P<app>\\\\w+)$\"\n  }\n}\ndestinations \"b\" {}\n",
        );
        assert_eq!(
            value,
            serde_json::json!({"destinations": [
                {"transforms": {"to": "kv/data/${env}/${app}", "from": "^x(?P<app>\\w+)$"}, "name": "a"},
                {"name": "b"}
            ]})
        );
    }
}
