//! Writes the rules of a destination back to the configuration file.
//!
//! The text of the file is not written anew: only what is said of the rules is replaced, at the places where the parser
//! that reads the configuration found it. Whatever else stands in the file, comments and layout above all, stays byte for
//! byte, whichever format it has. The outcome is read as a configuration before it takes the file's place; unless it
//! says exactly these rules, and for the rest what the file said before, nothing is written.

mod file;
mod quote;
mod site;
mod slots;

use std::fmt;
use std::path::{Path, PathBuf};

use similar::{ChangeTag, TextDiff};

use super::document::{Node, Place, Step};
use super::error::hide_secrets;
use super::format::Format;
use super::load::{Loaded, Sources, load_text};
use crate::engine::Rule;

/// A rule, and which one of the file it is; `None`: a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedRule {
    /// What it says.
    pub rule: Rule,
    /// Which of the destination's rules in the file it was.
    pub origin: Option<usize>,
}

/// Why rules cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file is another one by now.
    #[error(
        "{} was changed since vsync read it; nothing was written over that: start vsync anew to go on from what it says now",
        .0.display()
    )]
    Changed(PathBuf),
    /// The rules are not the file's.
    #[error("the rules of {destination} come from {place}, not from the file: change them there")]
    Elsewhere {
        /// The destination.
        destination: String,
        /// Where they come from.
        place: String,
    },
    /// The destination is not in the file.
    #[error("{destination} is not in {}: it comes from {place}", .file.display())]
    NotInFile {
        /// The destination.
        destination: String,
        /// The file.
        file: PathBuf,
        /// Where it comes from.
        place: String,
    },
    /// The rules are written in a way that is not edited.
    #[error("{}: {reason}; edit the file by hand", .file.display())]
    Form {
        /// The file.
        file: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {operation}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What failed.
        operation: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

/// The configuration file rules can be written to. Its `Debug` form leaves the text out: it may hold tokens.
pub struct RulesFile {
    sources: Sources,
    path: PathBuf,
    /// The file as it was read.
    text: String,
    root: Node,
}

/// How the file is to change. Its `Debug` form leaves the text out.
pub struct RulesChange {
    before: String,
    after: String,
    root: Node,
}

/// A line of the file that goes or comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedLine {
    /// Its number: in the file as it was for one that goes, as it will be for one that comes.
    pub number: usize,
    /// Whether it comes.
    pub is_new: bool,
    /// What it says; secrets are masked.
    pub text: String,
}

impl fmt::Debug for RulesFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulesFile({})", self.path.display())
    }
}

impl fmt::Debug for RulesChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RulesChange").field(&self.lines()).finish()
    }
}

impl RulesChange {
    /// The lines that go and come.
    #[must_use]
    pub fn lines(&self) -> Vec<ChangedLine> {
        let diff = TextDiff::from_lines(&self.before, &self.after);
        let changed = diff.iter_all_changes().filter(|change| change.tag() != ChangeTag::Equal);
        changed
            .map(|change| ChangedLine {
                number: change.new_index().or(change.old_index()).unwrap_or_default() + 1,
                is_new: change.tag() == ChangeTag::Insert,
                text: hide_secrets(change.value().trim_end_matches(['\n', '\r']), &[]),
            })
            .collect()
    }

    /// Whether the file stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }
}

impl RulesFile {
    /// The file of a configuration, if it comes from one. `sources` are those it was loaded from.
    #[must_use]
    pub fn new(loaded: &Loaded, sources: &Sources) -> Option<Self> {
        let path = loaded.file.clone()?;
        let text = loaded.source.as_ref()?.text().to_owned();
        let sources = Sources { file: Some(path.clone()), ..sources.clone() };
        Some(Self { sources, path, text, root: loaded.root.clone() })
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the file has to change for a destination to have these rules. Changes nothing.
    ///
    /// # Errors
    /// [`RulesError`] when that cannot be done without doing anything else.
    pub fn change(&self, destination: &str, rules: &[EditedRule]) -> Result<RulesChange, RulesError> {
        if file::read(&self.path)? != self.text {
            return Err(RulesError::Changed(self.path.clone()));
        }
        let at = self.place_of(destination)?;
        let form = |reason: String| RulesError::Form { file: self.path.clone(), reason };
        let format = Format::of(&self.path).ok_or_else(|| form("its format is not known".to_owned()))?;
        let after = slots::edit(format, &self.text, at, rules).map_err(form)?;
        let root = self.examine(&after, at, rules).map_err(form)?;
        Ok(RulesChange { before: self.text.clone(), after, root })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// [`RulesError`] when it could not be written, or is another one by now; it is as it was then.
    pub fn write(&mut self, change: RulesChange) -> Result<(), RulesError> {
        if file::read(&self.path)? != change.before {
            return Err(RulesError::Changed(self.path.clone()));
        }
        file::replace(&self.path, &change.after)?;
        self.text = change.after;
        self.root = change.root;
        Ok(())
    }

    /// Which of the file's destinations it is.
    fn place_of(&self, destination: &str) -> Result<usize, RulesError> {
        let items = self.root.get("destinations").map(Node::items).unwrap_or_default();
        let at = items.iter().position(|item| item.get("name").and_then(Node::as_text) == Some(destination));
        let Some((at, item)) = at.and_then(|at| Some((at, items.get(at)?))) else {
            let destination = destination.to_owned();
            return Err(RulesError::NotInFile { destination, file: self.path.clone(), place: "elsewhere".to_owned() });
        };
        if !matches!(item.place, Place::File { .. }) {
            let (destination, place) = (destination.to_owned(), item.place.to_string());
            return Err(RulesError::NotInFile { destination, file: self.path.clone(), place });
        }
        match item.get("transforms").map(|rules| &rules.place) {
            None | Some(Place::File { .. } | Place::Default) => Ok(at),
            Some(place) => Err(RulesError::Elsewhere { destination: destination.to_owned(), place: place.to_string() }),
        }
    }

    /// Reads a text as the configuration: it must say these rules, and for the rest what the file said before.
    fn examine(&self, text: &str, at: usize, rules: &[EditedRule]) -> Result<Node, String> {
        let read = load_text(&self.path, text.to_owned(), &self.sources)
            .map_err(|error| format!("with these rules it would be no valid configuration: {error}"))?;
        let path = [Step::Key("destinations"), Step::Index(at)];
        let rules_of = |root: &Node| root.at(&path).and_then(|item| item.get("transforms")).map(Node::to_json);
        let wanted: Vec<_> = rules
            .iter()
            .map(|EditedRule { rule: Rule { name, from, to }, .. }| {
                serde_json::json!({"name": name, "from": from, "to": to})
            })
            .collect();
        let written = rules_of(&read.root).unwrap_or_else(|| Vec::<serde_json::Value>::new().into());
        if sorted(&written) != sorted(&wanted.into()) {
            return Err("the rules cannot be written in the way they stand in it".to_owned());
        }
        let rest = |root: &Node| {
            let mut rest = root.clone();
            rest.set(&[path[0], path[1], Step::Key("transforms")], Node::table(Place::Default));
            sorted(&rest.to_json())
        };
        if rest(&read.root) != rest(&self.root) {
            return Err("other values hang on these rules".to_owned());
        }
        Ok(read.root)
    }
}

/// A value in which the order of keys tells no difference.
fn sorted(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.into_iter().collect::<serde_json::Map<_, _>>().into()
        }
        serde_json::Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
