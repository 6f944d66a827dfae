//! The formats a configuration file may have; each reads a text into a tree with places.

mod hcl;
mod json;
mod toml;
mod yaml;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::document::{Node, Place, SourceFile};
use super::error::Problem;

/// A format by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Yaml,
    Json,
    Hcl,
}

/// The extensions there are, in the order in which they are looked for.
pub(super) const EXTENSIONS: [&str; 5] = ["toml", "yaml", "yml", "json", "hcl"];

impl Format {
    /// The format of a file of this name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            "hcl" => Some(Self::Hcl),
            _ => None,
        }
    }

    /// Reads a file's text.
    pub(super) fn parse(self, source: &Arc<SourceFile>) -> Result<Node, Problem> {
        let spot = Spot(source);
        match self {
            Self::Toml => toml::parse(&spot),
            Self::Yaml => yaml::parse(&spot),
            Self::Json => json::parse(&spot),
            Self::Hcl => hcl::parse(&spot),
        }
    }
}

/// Makes places in one file.
struct Spot<'a>(&'a Arc<SourceFile>);

impl<'a> Spot<'a> {
    fn text(&self) -> &'a str {
        self.0.text()
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::File { source: Arc::clone(self.0), span }
    }

    /// The place of a line and column, both from 1, the column in characters.
    fn line_column(&self, line: usize, column: usize) -> Place {
        let text = self.text();
        let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let offset =
            text[start..].char_indices().nth(column.saturating_sub(1)).map_or(text.len(), |(at, _)| start + at);
        let end = text[offset..].chars().next().map_or(offset, |c| offset + c.len_utf8());
        self.place(offset..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<Node, Problem> {
        let source = Arc::new(SourceFile::new(name.into(), text.to_owned()));
        Format::of(source.path()).expect("a known extension").parse(&source)
    }

    fn place(node: &Node, path: &[super::super::document::Step<'_>]) -> String {
        node.at(path).expect("the value").place.to_string()
    }

    /// The same configuration in all formats reads to the same values, each with its place.
    #[test]
    fn all_formats_say_the_same() {
        use super::super::document::Step::{Index, Key};
        let toml = "name = 'x'\n[origin]\nmounts = [\"a/\"]\nnumWorkers = 4\n[[destinations]]\nname = 'd'\nignore_deletes = true\n";
        let yaml = "name: x\norigin:\n  mounts: [\"a/\"]\n  numWorkers: 4\ndestinations:\n  - name: d\n    ignore_deletes: true\n";
        let json = "{\"name\": \"x\",\n \"origin\": {\"mounts\": [\"a/\"],\n  \"numWorkers\": 4},\n \"destinations\": [{\"name\": \"d\", \"ignore_deletes\": true}]}";
        let hcl = "name = \"x\"\norigin {\n  mounts = [\"a/\"]\n  numWorkers = 4\n}\ndestinations \"d\" {\n  ignore_deletes = true\n}\n";
        let expected: serde_json::Value = serde_json::json!({
            "name": "x", "origin": {"mounts": ["a/"], "numWorkers": 4}, "destinations": [{"name": "d", "ignore_deletes": true}]
        });
        for (name, text, workers) in [("c.toml", toml, 4), ("c.yaml", yaml, 4), ("c.json", json, 3), ("c.hcl", hcl, 4)]
        {
            let node = parse(name, text).map_err(|problem| problem.to_string()).expect("a valid file");
            let mut value = node.to_json();
            // one HCL block is a section; the list is made where the keys are known
            if value["destinations"].is_object() {
                value["destinations"] = serde_json::json!([value["destinations"]]);
            } else {
                assert!(place(&node, &[Key("destinations"), Index(0), Key("name")]).starts_with(name));
            }
            assert_eq!(value, expected, "{name}");
            let at = place(&node, &[Key("origin"), Key("numWorkers")]);
            assert!(at.starts_with(&format!("{name}:{workers}:")), "{at}");
        }
    }

    #[test]
    fn syntax_errors_name_the_line() {
        for (name, text) in [
            ("c.toml", "name = \"x\"\nbroken = = 1\n"),
            ("c.yaml", "name: x\nbroken: [1\n"),
            ("c.json", "{\"name\": \"x\",\n \"broken\": }"),
            ("c.hcl", "name = \"x\"\nbroken = = 1\n"),
            ("c.toml", "name = 1\nname = 2\n"),
            ("c.yaml", "name: 1\nname: 2\n"),
            ("c.json", "{\"name\": 1,\n \"name\": 2}"),
            ("c.hcl", "name = 1\nname = 2\n"),
        ] {
            let Err(problem) = parse(name, text) else { panic!("{name} was accepted: {text}") };
            let place = problem.place().expect("a place").to_string();
            assert!(place.starts_with(&format!("{name}:2:")) || place.starts_with(&format!("{name}:3:")), "{problem}");
        }
    }
}
