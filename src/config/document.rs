//! A configuration as a tree in which everything knows where it was written.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

/// A configuration file as it was read. Its `Debug` form leaves the text out: it may hold tokens.
pub struct SourceFile {
    path: PathBuf,
    text: String,
}

impl SourceFile {
    /// A file of this path and content.
    #[must_use]
    pub fn new(path: PathBuf, text: String) -> Self {
        Self { path, text }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column, both from 1, the column in characters.
    #[must_use]
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.split(|&byte| byte == b'\n').count();
        (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.path.display())
    }
}

/// Where a value was set.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the configuration file, at these bytes.
    File {
        /// The file.
        source: Arc<SourceFile>,
        /// The bytes of the key or value.
        span: Range<usize>,
    },
    /// By an environment variable of this name.
    Environment(String),
    /// By `--set` with this key.
    Flag(String),
    /// Nowhere: it is what vsync does by itself.
    Default,
    /// Nowhere: it is taken over from this key.
    Inherited(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { source, span } => {
                let (line, column) = source.line_column(span.start);
                write!(f, "{}:{line}:{column}", source.path().display())
            }
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(key) => write!(f, "flag --set {key}"),
            Self::Default => f.write_str("default"),
            Self::Inherited(key) => write!(f, "default, from {key}"),
        }
    }
}

/// A value with its place. Has no `Debug` form: it may hold tokens.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) place: Place,
}

/// The value itself.
#[derive(Clone)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value in a table.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

/// A step from a value to one inside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Node {
    /// An empty table.
    pub(super) fn table(place: Place) -> Self {
        Self { data: Data::Table(Vec::new()), place }
    }

    /// A text.
    pub(super) fn text(text: impl Into<String>, place: Place) -> Self {
        Self { data: Data::Text(text.into()), place }
    }

    /// A JSON value, all of it at one place.
    pub(super) fn from_json(value: Value, place: &Place) -> Self {
        let data = match value {
            Value::Null => Data::Null,
            Value::Bool(flag) => Data::Bool(flag),
            Value::Number(number) => Data::Number(number),
            Value::String(text) => Data::Text(text),
            Value::Array(items) => Data::List(items.into_iter().map(|item| Self::from_json(item, place)).collect()),
            Value::Object(entries) => Data::Table(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry { key, key_place: place.clone(), value: Self::from_json(value, place) })
                    .collect(),
            ),
        };
        Self { data, place: place.clone() }
    }

    /// The value without its places.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => Value::Bool(*flag),
            Data::Number(number) => Value::Number(number.clone()),
            Data::Text(text) => Value::String(text.clone()),
            Data::List(items) => items.iter().map(Self::to_json).collect(),
            Data::Table(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// What it is, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::Text(_) => "a text",
            Data::List(_) => "a list",
            Data::Table(_) => "a section",
        }
    }

    /// The value of a key, if this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value, if this is a table that has it.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.data {
            Data::Table(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value at the end of a path.
    pub(super) fn at(&self, path: &[Step<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match (step, &node.data) {
            (Step::Key(key), _) => node.get(key),
            (Step::Index(index), Data::List(items)) => items.get(*index),
            (Step::Index(_), _) => None,
        })
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.data {
            Data::List(items) => items,
            _ => &[],
        }
    }

    /// Puts a value at the end of a path, with the tables on the way; what was there is replaced. A list has to exist
    /// already.
    pub(super) fn set(&mut self, path: &[Step<'_>], value: Self) {
        let Some((step, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        match step {
            Step::Key(key) => {
                if !matches!(self.data, Data::Table(_)) {
                    *self = Self::table(value.place.clone());
                }
                let Data::Table(entries) = &mut self.data else { return };
                let index = entries.iter().position(|entry| entry.key == *key).unwrap_or_else(|| {
                    let key_place = value.place.clone();
                    entries.push(Entry { key: (*key).to_owned(), value: Self::table(key_place.clone()), key_place });
                    entries.len() - 1
                });
                let entry = &mut entries[index];
                if rest.is_empty() {
                    entry.key_place = value.place.clone();
                }
                entry.value.set(rest, value);
            }
            Step::Index(index) => {
                if let Data::List(items) = &mut self.data
                    && let Some(item) = items.get_mut(*index)
                {
                    item.set(rest, value);
                }
            }
        }
    }

    /// Takes a key out of a table.
    pub(super) fn remove(&mut self, key: &str) -> Option<Entry> {
        let Data::Table(entries) = &mut self.data else { return None };
        let index = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let source = SourceFile::new("x".into(), "a = 1\nbé = 2\n".to_owned());
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(source.text().find('=').expect("an equals sign")), (1, 3));
        assert_eq!(source.line_column(source.text().rfind('=').expect("an equals sign")), (2, 4));
    }

    #[test]
    fn setting_makes_the_tables_on_the_way() {
        let mut root = Node::table(Place::Default);
        root.set(&[Step::Key("a"), Step::Key("b")], Node::text("x", Place::Default));
        assert_eq!(root.to_json().to_string(), r#"{"a":{"b":"x"}}"#);
    }
}
