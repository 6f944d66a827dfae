//! Reads a tree against the tables of keys: v0.3's spellings become today's, and whatever does not fit is reported,
//! all of it at once.

use std::time::Duration;

use super::document::{Data, Entry, Node, Place};
use super::error::Problem;
use super::legacy::{self, Former};
use super::schema::{self, Key, Kind};
use crate::engine::MaxDelete;
use crate::text::nearest;

/// Gathers problems while it reads.
#[derive(Default)]
pub(super) struct Check {
    pub(super) problems: Vec<Problem>,
    /// Keys of the file that are none any more, to be settled when all of it is known.
    pub(super) former: Vec<(&'static Former, Entry)>,
}

impl Check {
    /// A section with the keys it may have; what does not fit is left out. `path` is its name, for messages.
    pub(super) fn section(&mut self, keys: &'static [Key], node: Node, path: &str) -> Node {
        let place = node.place.clone();
        let entries = match node.data {
            Data::Table(entries) => entries,
            Data::Null => Vec::new(),
            // one HCL block is a section, but so is a list of one
            Data::List(mut items)
                if !path.is_empty() && items.len() == 1 && matches!(items[0].data, Data::Table(_)) =>
            {
                return self.section(keys, items.swap_remove(0), path);
            }
            _ => {
                let subject = if path.is_empty() { "the file" } else { path };
                let message =
                    format!("{subject} must be one section (keys with values), but this is {}", node.type_name());
                self.problems.push(Problem::new(message).at(&place).mask(&place));
                return Node::table(place);
            }
        };
        let mut known: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(key) = schema::find(keys, &entry.key) else {
                if matches!(entry.key_place, Place::File { .. })
                    && let Some(former) = legacy::find_former(path, &entry.key)
                {
                    self.former.push((former, entry));
                    continue;
                }
                self.problems.push(unknown_key(keys, &entry, path));
                continue;
            };
            if known.iter().any(|other| other.key == key.name) {
                let message = format!("\"{}\" sets {} a second time", entry.key, join(path, key.name));
                self.problems.push(Problem::new(message).at(&entry.key_place));
                continue;
            }
            if let Some(value) = self.value(key, entry.value, &join(path, key.name)) {
                known.push(Entry { key: key.name.to_owned(), key_place: entry.key_place, value });
            }
        }
        Node { data: Data::Table(known), place }
    }

    /// A value in the form its key asks for: a count as a number, a duration as text. `None`: not set, or wrong.
    pub(super) fn value(&mut self, key: &Key, node: Node, path: &str) -> Option<Node> {
        let place = node.place.clone();
        let secret = matches!(key.kind, Kind::Secret);
        let refuse = |check: &mut Self, reason: String| {
            let problem = Problem::new(reason).at(&place);
            check.problems.push(if secret { problem.mask(&place) } else { problem });
            None
        };
        let wrong =
            |expected: &str, node: &Node| format!("{path} must be {expected}, but this is {}", node.type_name());
        let data = match (key.kind, node.data) {
            (_, Data::Null) => return None,
            (Kind::Table(keys), data) => return Some(self.section(keys, Node { data, place }, path)),
            (Kind::Tables(keys), Data::List(items)) => Data::List(
                items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| self.section(keys, item, &format!("{path}[{index}]")))
                    .collect(),
            ),
            // one HCL block of a name that may be repeated
            (Kind::Tables(keys), data @ Data::Table(_)) => {
                Data::List(vec![self.section(keys, Node { data, place: place.clone() }, path)])
            }
            (Kind::Text | Kind::Secret, Data::Text(text)) => Data::Text(text),
            (Kind::Bool, Data::Bool(flag)) => Data::Bool(flag),
            (Kind::Count(least, most), Data::Number(number)) => match number.as_u64() {
                Some(count) if (least..=most).contains(&count) => Data::Number(count.into()),
                _ => {
                    return refuse(
                        self,
                        format!("{path} must be a whole number from {least} to {most}, but this is {number}"),
                    );
                }
            },
            (Kind::Duration, Data::Text(text)) => match parse_duration(&text) {
                Ok(_) => Data::Text(text),
                Err(reason) => {
                    return refuse(self, format!("{path} must be a duration such as \"10s\" or \"1m30s\": {reason}"));
                }
            },
            (Kind::Choice(words), Data::Text(text)) => {
                if words.contains(&text.as_str()) {
                    Data::Text(text)
                } else {
                    let mut problem = Problem::new(format!("{path} cannot be \"{text}\"")).at(&place);
                    problem = match nearest(words.iter().copied(), &text) {
                        Some(word) => problem.help(format!("did you mean \"{word}\"? there are: {}", words.join(", "))),
                        None => problem.help(format!("there are: {}", words.join(", "))),
                    };
                    self.problems.push(problem);
                    return None;
                }
            }
            (Kind::MaxDelete, data @ (Data::Text(_) | Data::Number(_))) => {
                let text = match &data {
                    Data::Text(text) => text.clone(),
                    Data::Number(number) => number.to_string(),
                    _ => String::new(),
                };
                match text.parse::<MaxDelete>() {
                    Ok(_) => Data::Text(text),
                    Err(error) => return refuse(self, format!("{path}: {error}")),
                }
            }
            (Kind::Texts, Data::List(items)) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    if matches!(item.data, Data::Text(_)) {
                        texts.push(item);
                    } else {
                        let message = format!("{path} must be a list of texts, but this is {}", item.type_name());
                        self.problems.push(Problem::new(message).at(&item.place));
                    }
                }
                Data::List(texts)
            }
            (kind, data) => {
                let node = Node { data, place: place.clone() };
                return refuse(self, wrong(expected(kind), &node));
            }
        };
        Some(Node { data, place })
    }

    /// Reports what a section cannot do without, and looks into the sections inside of it.
    pub(super) fn required(&mut self, keys: &'static [Key], node: &Node, path: &str) {
        for key in keys {
            let name = join(path, key.name);
            match (node.get(key.name), key.kind) {
                (Some(inner), Kind::Table(keys)) => self.required(keys, inner, &name),
                (Some(inner), Kind::Tables(keys)) => {
                    for (index, item) in inner.items().iter().enumerate() {
                        let label = item
                            .get("name")
                            .and_then(Node::as_text)
                            .map_or_else(|| format!("[{index}]"), |label| format!(".{label}"));
                        self.required(keys, item, &format!("{name}{label}"));
                    }
                }
                // the section's own required keys say more than its name does
                (None, Kind::Table(keys)) if key.required => {
                    self.required(keys, &Node::table(node.place.clone()), &name);
                }
                (None, _) if key.required => self.problems.push(missing(&name, &node.place)),
                _ => {}
            }
        }
    }
}

/// A key that has to be set and is not.
fn missing(name: &str, section: &Place) -> Problem {
    let problem = Problem::new(format!("{name} is not set"));
    let problem = if matches!(section, Place::File { .. }) { problem.at(section) } else { problem };
    problem.help(format!("set it in the configuration file, or with --set {name}=…"))
}

fn unknown_key(keys: &'static [Key], entry: &Entry, path: &str) -> Problem {
    let place = if path.is_empty() { "there is no such key".to_owned() } else { format!("{path} has no such key") };
    let problem = Problem::new(format!("unknown key \"{}\": {place}", entry.key)).at(&entry.key_place);
    let problem = match entry.value.data {
        Data::Bool(_) | Data::Number(_) | Data::Null => problem,
        // it may be a token under a misspelt key
        Data::Text(_) | Data::List(_) | Data::Table(_) => problem.mask(&entry.value.place),
    };
    let names = || keys.iter().flat_map(|key| [Some(key.name), key.legacy]).flatten();
    match nearest(names(), &entry.key) {
        Some(name) => problem.help(format!("did you mean \"{name}\"?")),
        None => problem
            .help(format!("the keys here are: {}", keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", "))),
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Secret => "a text",
        Kind::Bool => "true or false",
        Kind::Count(..) => "a whole number",
        Kind::Duration => "a duration such as \"10s\" or \"1m30s\"",
        Kind::Choice(_) => "one of its words",
        Kind::MaxDelete => "a count (25) or a percentage (\"5%\")",
        Kind::Texts => "a list of texts",
        Kind::Table(_) => "a section",
        Kind::Tables(_) => "a list of sections",
    }
}

/// A key's name below a section's.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Reads `10s`, `1m30s`, `1.5h`; more than nothing.
///
/// # Errors
/// Why it is none.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|_| format!("\"{text}\" is none"))?;
    let duration = Duration::try_from(signed).map_err(|_| format!("\"{text}\" lies in the past"))?;
    if duration.is_zero() { Err(format!("\"{text}\" is no time at all")) } else { Ok(duration) }
}
