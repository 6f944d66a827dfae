//! Where in a file the rules of a destination stand.

use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::structure::{Body, Structure};

use super::super::document::{Data, Entry, Node, Place};
use super::super::format::Format;

/// The places of one rule.
#[derive(Debug)]
pub(super) struct Item {
    /// All of it: a table with its header, a block with its braces, an entry with its dash.
    pub(super) span: Range<usize>,
    /// The values of `name`, `from` and `to`.
    pub(super) values: [Range<usize>; 3],
}

/// How the rules stand in the file.
#[derive(Debug)]
pub(super) enum Form {
    /// Each on lines of its own: TOML tables, HCL blocks, YAML entries.
    Lines,
    /// Between brackets, these.
    Brackets(Range<usize>),
}

/// Where the rules are, or would be.
#[derive(Debug)]
pub(super) enum Site {
    /// Here.
    Rules(Form, Vec<Item>),
    /// A key that holds none; the bytes of its value.
    Nothing(Range<usize>),
    /// Nowhere yet. The destination ends with this byte of its last value; its keys are indented like the one here.
    Missing { end: usize, first_key: Option<usize>, in_braces: bool, header: String },
}

pub(super) fn span(place: &Place) -> Range<usize> {
    match place {
        Place::File { span, .. } => span.clone(),
        _ => 0..0,
    }
}

fn entry<'a>(node: &'a Node, name: &str) -> Option<&'a Entry> {
    match &node.data {
        Data::Table(entries) => entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(name)),
        _ => None,
    }
}

/// The destination of this number.
fn destination(root: &Node, at: usize) -> Option<&Node> {
    let found = entry(root, "destinations").or_else(|| entry(root, "destination"))?;
    match &found.value.data {
        Data::List(items) => items.get(at),
        _ => Some(&found.value).filter(|_| at == 0),
    }
}

/// Finds the rules of a destination.
pub(super) fn find(format: Format, text: &str, root: &Node, at: usize) -> Result<Site, String> {
    let there = destination(root, at).ok_or("the destination is not found in it")?;
    let Some(rules) = entry(there, "transforms") else {
        let Data::Table(entries) = &there.data else { return Err("the destination is no section".to_owned()) };
        let place = span(&there.place);
        let in_braces = text[place.start..].starts_with('{');
        let header = text.get(place).unwrap_or_default().to_owned();
        let first_key = entries.iter().map(|entry| span(&entry.key_place).start).filter(|key| *key > 0).min();
        // an HCL block ends with its brace, whatever comes last in it
        let end = match format {
            Format::Hcl if !in_braces => hcl_block(text, span(&there.place).start)?.end - 1,
            _ => end_of(format, text, there)?,
        };
        return Ok(Site::Missing { end, first_key, in_braces, header });
    };
    let place = span(&rules.value.place);
    let items: Vec<&Node> = match &rules.value.data {
        Data::Null => return Ok(Site::Nothing(place)),
        Data::List(items) => items.iter().collect(),
        Data::Table(_) => vec![&rules.value],
        _ => return Err("the rules are no list".to_owned()),
    };
    if text[place.start..].starts_with('*') {
        return Err("the rules are shared with another place by an alias".to_owned());
    }
    let brackets = text[place.start..].starts_with('[') && !text[place.start..].starts_with("[[");
    let is_list = matches!(rules.value.data, Data::List(_));
    if format == Format::Toml && !is_list {
        return Err("the rules are one table, not a list of tables".to_owned());
    }
    let form = if brackets && is_list {
        Form::Brackets(place.start..closing(format, text, place.start, place.end)?)
    } else if format == Format::Json {
        return Err("the rules are no list".to_owned());
    } else {
        Form::Lines
    };
    if items.is_empty() {
        return match form {
            Form::Brackets(span) => Ok(Site::Nothing(span)),
            Form::Lines => Ok(Site::Nothing(place)),
        };
    }
    let items = items.into_iter().map(|item| place_item(format, text, item, &form)).collect::<Result<Vec<_>, _>>()?;
    Ok(Site::Rules(form, items))
}

/// The places of one rule.
fn place_item(format: Format, text: &str, node: &Node, form: &Form) -> Result<Item, String> {
    let place = span(&node.place);
    let mut values = [0..0, 0..0, 0..0];
    let mut start = place.start;
    let mut end = end_of(format, text, node)?;
    for (at, name) in ["name", "from", "to"].into_iter().enumerate() {
        let entry = entry(node, name).ok_or_else(|| format!("a rule has no {name}"))?;
        values[at] = value_span(format, text, entry);
    }
    if format == Format::Hcl && !text[place.start..].starts_with('{') {
        let block = hcl_block(text, place.start)?;
        (start, end) = (block.start, block.end);
    } else if format == Format::Yaml && matches!(form, Form::Lines) {
        start = yaml_dash(text, place.start)?;
    }
    if values.iter().any(|value| value.start < start || value.end > end) {
        return Err("a rule is shared with another place by an alias".to_owned());
    }
    Ok(Item { span: start..end, values })
}

/// The dash of the entry that begins here.
fn yaml_dash(text: &str, at: usize) -> Result<usize, String> {
    let before = text[..at].trim_end();
    if before.ends_with('-') { Ok(before.len() - 1) } else { Err("a rule has no dash before its first key".to_owned()) }
}

fn value_span(format: Format, text: &str, entry: &Entry) -> Range<usize> {
    let value = span(&entry.value.place);
    if format != Format::Yaml {
        return value;
    }
    let key_end = span(&entry.key_place).end;
    let end = value.start + text[value.clone()].trim_end().len();
    // a block scalar begins with its mark, which the parser's place leaves out
    let between = text.get(key_end..value.start).unwrap_or_default();
    let start = match between.find(['|', '>']) {
        Some(mark) if between[mark..].contains('\n') => key_end + mark,
        _ => value.start,
    };
    start..end.max(start)
}

/// The byte behind all that belongs to a value.
fn end_of(format: Format, text: &str, node: &Node) -> Result<usize, String> {
    let place = span(&node.place);
    if format == Format::Yaml && text[place.start..].starts_with(['{', '[']) {
        return closing(format, text, place.start, place.end);
    }
    let trimmed = |span: Range<usize>| span.start + text.get(span.clone()).unwrap_or_default().trim_end().len();
    let mut end = trimmed(place);
    match &node.data {
        Data::Table(entries) => {
            for entry in entries {
                end = end.max(span(&entry.key_place).end).max(end_of(format, text, &entry.value)?);
                if format == Format::Yaml && matches!(entry.value.data, Data::Null) {
                    // the colon of a key without a value
                    let key_end = span(&entry.key_place).end;
                    end = end.max(key_end + text[key_end..].find(':').map_or(0, |colon| colon + 1));
                }
            }
        }
        Data::List(items) => {
            for item in items {
                end = end.max(end_of(format, text, item)?);
            }
        }
        _ => {}
    }
    Ok(end)
}

/// The byte behind the bracket that closes the one at `start`. All parsers but YAML's know it.
fn closing(format: Format, text: &str, start: usize, end: usize) -> Result<usize, String> {
    if format != Format::Yaml {
        return Ok(end);
    }
    let mut depth = 0_usize;
    let mut chars = text[start..].char_indices().peekable();
    let mut before = '[';
    while let Some((at, c)) = chars.next() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(start + at + 1);
                }
            }
            '#' if before.is_whitespace() => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            // quotes only begin a text where a value can begin
            '"' | '\'' if matches!(before, '[' | '{' | ',' | ':') || before.is_whitespace() => {
                while let Some((_, inner)) = chars.next() {
                    if c == '"' && inner == '\\' {
                        chars.next();
                    } else if inner == c && (c == '"' || chars.next_if(|(_, next)| *next == '\'').is_none()) {
                        break;
                    }
                }
            }
            _ => {}
        }
        before = c;
    }
    Err("a bracket is not closed".to_owned())
}

/// The bytes of the block whose name begins here.
fn hcl_block(text: &str, ident: usize) -> Result<Range<usize>, String> {
    fn search(body: &Body, ident: usize) -> Option<Range<usize>> {
        body.iter().find_map(|structure| match structure {
            Structure::Block(block) if block.ident.span().is_some_and(|span| span.start == ident) => block.span(),
            Structure::Block(block) => search(&block.body, ident),
            Structure::Attribute(_) => None,
        })
    }
    let body = hcl_edit::parser::parse_body(text).map_err(|error| error.to_string())?;
    search(&body, ident).map(|span| ident..span.end).ok_or_else(|| "a block is not found".to_owned())
}
