//! From an origin path to a destination path.

mod explain;
mod image;
mod problem;

use std::sync::Arc;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

use crate::kv::SecretPath;

pub use explain::{Explained, Mark};
pub use problem::{RulePart, RuleProblem};

/// The name of the rule that leaves a path as it is; it comes after all others.
pub const IDENTITY: &str = "identity";

/// A transform as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it is called on screen and in reports.
    pub name: String,
    /// A regular expression, found anywhere in `<mount>data/<name>`. `\w`, `\d`, `\s` and `\b` are ASCII, as in Go.
    pub from: String,
    /// The whole destination path. With `${group}` in it, a template. Without any, v0.3's form: each segment that equals
    /// the name of a group is replaced by what that group matched.
    pub to: String,
}

/// A transform that cannot work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("transform \"{rule}\": {reason}")]
pub struct TransformError {
    /// The rule's name.
    pub rule: String,
    /// What is wrong.
    pub reason: String,
}

/// Where a path goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// `<mount>data/<name>` at the destination.
    pub data_path: String,
    /// The name of the rule that decided; `identity` if none matched.
    pub rule: Arc<str>,
}

/// Rules in order; the first that matches decides, the identity comes last.
#[derive(Debug, Clone, Default)]
pub struct Transforms {
    rules: Vec<Compiled>,
}

#[derive(Debug, Clone)]
struct Compiled {
    source: Rule,
    name: Arc<str>,
    from: Regex,
    to: Vec<Piece>,
    /// Groups that must have matched something.
    needed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(String),
}

impl Transforms {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`TransformError`] for a bad expression, or a `to` that is empty or names a group `from` does not have.
    pub fn new(rules: &[Rule]) -> Result<Self, TransformError> {
        let rules = rules.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// The rules as they were given.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        self.rules.iter().map(|rule| rule.source.clone()).collect()
    }

    /// Whether every path stays as it is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Where `path` goes.
    #[must_use]
    pub fn apply(&self, path: &SecretPath) -> Mapping {
        self.apply_rules(path)
            .unwrap_or_else(|| Mapping { data_path: path.data_path().to_owned(), rule: IDENTITY.into() })
    }

    /// Where the rules send `path`; `None` if none matches, so that it stays as it is.
    pub(super) fn apply_rules(&self, path: &SecretPath) -> Option<Mapping> {
        self.decide(path.data_path())
            .map(|(at, data_path)| Mapping { data_path, rule: Arc::clone(&self.rules[at].name) })
    }

    /// The first rule that matches, and where it sends the path.
    pub(super) fn decide(&self, data_path: &str) -> Option<(usize, String)> {
        self.rules.iter().enumerate().find_map(|(at, rule)| Some((at, rule.expand(&rule.captures(data_path)?))))
    }

    /// Whether one of the rules by itself would send the path somewhere.
    pub(super) fn would_match(&self, at: usize, data_path: &str) -> bool {
        let rule = &self.rules[at];
        rule.from.is_match(data_path) && (rule.needed.is_empty() || rule.captures(data_path).is_some())
    }
}

impl Compiled {
    /// What the groups matched, if the rule matches the path.
    fn captures<'t>(&self, data_path: &'t str) -> Option<Captures<'t>> {
        let groups = self.from.captures(data_path)?;
        let lacks_one = self.needed.iter().any(|name| group(&groups, name).is_empty());
        (!lacks_one).then_some(groups)
    }

    fn expand(&self, groups: &Captures<'_>) -> String {
        let parts = self.to.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Group(name) => group(groups, name),
        });
        collapse_slashes(&parts.collect::<String>())
    }
}

fn group<'t>(groups: &Captures<'t>, name: &str) -> &'t str {
    groups.name(name).map_or("", |matched| matched.as_str())
}

fn collapse_slashes(path: &str) -> String {
    path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
}

fn compile(rule: &Rule) -> Result<Compiled, TransformError> {
    let refused = |reason: String| TransformError { rule: rule.name.clone(), reason };
    let from = Regex::new(&as_in_go(&rule.from).text).map_err(|error| {
        // the error shows the rewritten expression; the first one shows what was configured
        let error = Regex::new(&rule.from).err().unwrap_or(error);
        refused(format!("`from` is not a valid regular expression: {error}"))
    })?;
    let names: Vec<String> = from.capture_names().flatten().map(str::to_owned).collect();
    let (to, needed) = if rule.to.contains("${") {
        let to = template(&rule.to).map_err(&refused)?;
        let used: Vec<String> = to
            .iter()
            .filter_map(|piece| match piece {
                Piece::Group(name) => Some(name.clone()),
                Piece::Text(_) => None,
            })
            .collect();
        if let Some(missing) = used.iter().find(|name| !names.contains(name)) {
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(refused(format!(
                "`to` uses ${{{missing}}}, but `from` has no group of that name (it has {known})"
            )));
        }
        (to, used)
    } else {
        (segments(&rule.to, &names), names)
    };
    if collapse_slashes(&rule.to).is_empty() {
        return Err(refused("`to` is empty".to_owned()));
    }
    Ok(Compiled { source: rule.clone(), name: rule.name.as_str().into(), from, to, needed })
}

/// Reads `text${group}text`.
fn template(to: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = to;
    while let Some((text, tail)) = rest.split_once("${") {
        let (name, tail) = tail.split_once('}').ok_or_else(|| format!("`to` has `${{` without `}}`: {to}"))?;
        pieces.push(Piece::Text(text.to_owned()));
        pieces.push(Piece::Group(name.to_owned()));
        rest = tail;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

/// Reads v0.3's form: segments that are names of groups.
fn segments(to: &str, names: &[String]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for segment in to.split('/') {
        if !pieces.is_empty() {
            pieces.push(Piece::Text("/".to_owned()));
        }
        if names.iter().any(|name| name == segment) {
            pieces.push(Piece::Group(segment.to_owned()));
        } else {
            pieces.push(Piece::Text(segment.to_owned()));
        }
    }
    pieces
}

/// An expression as it is compiled.
struct Rewritten {
    text: String,
    /// For each of its bytes, the byte of the configured expression that it stands for.
    places: Vec<usize>,
}

impl Rewritten {
    fn push(&mut self, part: &str, place: usize) {
        self.text.push_str(part);
        self.places.resize(self.text.len(), place);
    }
}

/// Rewrites an expression so that it means what it means in Go: `\w \d \s` and `\b` are ASCII, and inside of brackets
/// `[`, `&` and `~` are plain characters.
fn as_in_go(from: &str) -> Rewritten {
    let mut rewritten = Rewritten { text: String::with_capacity(from.len() + 16), places: Vec::new() };
    let mut in_brackets = false;
    let mut chars = from.char_indices().peekable();
    let mut bytes = [0; 4];
    while let Some((at, c)) = chars.next() {
        match (c, in_brackets) {
            ('\\', _) => match chars.next() {
                Some((_, 'w')) => rewritten.push("[0-9A-Za-z_]", at),
                Some((_, 'W')) => rewritten.push("[^0-9A-Za-z_]", at),
                Some((_, 'd')) => rewritten.push("[0-9]", at),
                Some((_, 'D')) => rewritten.push("[^0-9]", at),
                Some((_, 's')) => rewritten.push("[\\t\\n\\f\\r ]", at),
                Some((_, 'S')) => rewritten.push("[^\\t\\n\\f\\r ]", at),
                Some((_, 'b')) if !in_brackets => rewritten.push("(?-u:\\b)", at),
                Some((next, other)) => {
                    rewritten.push("\\", at);
                    rewritten.push(other.encode_utf8(&mut bytes), next);
                }
                None => rewritten.push("\\", at),
            },
            ('[', false) => {
                in_brackets = true;
                rewritten.push("[", at);
                if let Some((caret, _)) = chars.next_if(|(_, next)| *next == '^') {
                    rewritten.push("^", caret);
                }
                // a bracket right at the start stands for itself
                if let Some((bracket, _)) = chars.next_if(|(_, next)| *next == ']') {
                    rewritten.push("\\]", bracket);
                }
            }
            ('[', true) if chars.peek().is_some_and(|(_, next)| *next == ':') => {
                rewritten.push("[", at);
                for (at, c) in chars.by_ref() {
                    rewritten.push(c.encode_utf8(&mut bytes), at);
                    if c == ']' {
                        break;
                    }
                }
            }
            ('[' | '&' | '~', true) => {
                rewritten.push("\\", at);
                rewritten.push(c.encode_utf8(&mut bytes), at);
            }
            (']', true) => {
                in_brackets = false;
                rewritten.push("]", at);
            }
            _ => rewritten.push(c.encode_utf8(&mut bytes), at),
        }
    }
    rewritten
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Mount;

    fn transforms(rules: &[(&str, &str)]) -> Transforms {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|(from, to)| Rule { name: format!("to {to}"), from: (*from).to_owned(), to: (*to).to_owned() })
            .collect();
        Transforms::new(&rules).expect("valid rules")
    }

    fn goes(transforms: &Transforms, path: &str) -> String {
        let path = SecretPath::parse_data(path, &[Mount::parse("secret").expect("a mount")]).expect("a path");
        transforms.apply(&path).data_path
    }

    #[test]
    fn a_template_is_filled() {
        let rules = transforms(&[(
            "^secret/data/runner/(?P<env>dev|test)/(?P<app>[^/]+)$",
            "runnerv2/data/${env}-x/${app}/secrets",
        )]);
        assert_eq!(goes(&rules, "secret/data/runner/dev/app1"), "runnerv2/data/dev-x/app1/secrets");
        assert_eq!(goes(&rules, "secret/data/runner/prod/app1"), "secret/data/runner/prod/app1");
    }

    #[test]
    fn v03_segments_are_replaced() {
        let rules = transforms(&[(
            r"(?P<mount>secret)/(?P<meta>((meta)?data))?/(?P<platform>runner)/(?P<env>(dev|test|stage|prod))?/?(?P<app>\w+)?/?",
            "runnerv2/meta/env/app/secrets",
        )]);
        assert_eq!(goes(&rules, "secret/data/runner/dev/app1"), "runnerv2/data/dev/app1/secrets");
        assert_eq!(goes(&rules, "secret/data/runner/dev"), "secret/data/runner/dev", "app is empty: no match");
        assert_eq!(goes(&rules, "secret/data/other"), "secret/data/other");
    }

    #[test]
    fn the_first_match_wins_and_slashes_collapse() {
        let rules = transforms(&[("secret/data/(?P<rest>a.*)", "x//data/${rest}/"), ("a", "y/data/z")]);
        assert_eq!(goes(&rules, "secret/data/abc"), "x/data/abc");
        assert_eq!(goes(&rules, "secret/data/ba"), "y/data/z");
    }

    #[test]
    fn classes_are_ascii_as_in_go() {
        let rules = transforms(&[(r"^secret/data/(?P<app>\w+)$", "x/data/${app}")]);
        assert_eq!(goes(&rules, "secret/data/app_1"), "x/data/app_1");
        assert_eq!(goes(&rules, "secret/data/ünïcödé"), "secret/data/ünïcödé");
        let rules = transforms(&[(r"^secret/data/(?P<app>[\w[&~\-]+)$", "x/data/${app}")]);
        assert_eq!(goes(&rules, "secret/data/a[b&c~d-e"), "x/data/a[b&c~d-e");
        let rules = transforms(&[(r"^secret/data/(?P<app>[]a[:digit:]]+)\b", "x/data/${app}")]);
        assert_eq!(goes(&rules, "secret/data/]a1"), "x/data/]a1");
    }

    #[test]
    fn what_cannot_work_is_said() {
        let error = |from: &str, to: &str| {
            let rule = Rule { name: "r".to_owned(), from: from.to_owned(), to: to.to_owned() };
            Transforms::new(&[rule]).expect_err("a bad rule").to_string()
        };
        assert!(error("(", "x").contains("transform \"r\": `from` is not a valid regular expression"));
        assert!(error("(?P<a>x)", "${b}").contains("no group of that name (it has a)"));
        assert!(error("(?P<a>x)", "${a").contains("without `}`"));
        assert!(error("x", "//").contains("empty"));
    }
}
