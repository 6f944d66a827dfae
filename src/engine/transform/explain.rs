//! How a rule comes from a path to another: which part of one becomes which part of the other.

use std::ops::Range;

use super::{Compiled, Piece, Transforms, group};

/// A part of a path, and the group it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The bytes of the path.
    pub span: Range<usize>,
    /// The group, counted among those that have names.
    pub group: usize,
}

/// A path before and after a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The bytes of the path before that the expression matched.
    pub matched: Range<usize>,
    /// What the groups matched in it.
    pub taken: Vec<Mark>,
    /// The path after.
    pub after: String,
    /// What the groups became in it.
    pub put: Vec<Mark>,
}

impl Transforms {
    /// What one of the rules by itself makes of a path (`<mount>data/<name>`); `None` if it does not match.
    #[must_use]
    pub fn explain(&self, rule: usize, data_path: &str) -> Option<Explained> {
        let rule = self.rules.get(rule)?;
        let groups = rule.captures(data_path)?;
        let matched = groups.get(0)?.range();
        let names: Vec<&str> = rule.from.capture_names().flatten().collect();
        let taken = names.iter().enumerate().filter_map(|(at, name)| {
            let span = groups.name(name)?.range();
            (!span.is_empty()).then_some(Mark { span, group: at })
        });
        let (after, put) = rule.expand_marked(&groups, &names);
        Some(Explained { matched, taken: taken.collect(), after, put })
    }
}

impl Compiled {
    /// As `expand` does, with the places of the groups.
    fn expand_marked(&self, groups: &regex::Captures<'_>, names: &[&str]) -> (String, Vec<Mark>) {
        let mut after = String::new();
        let mut put: Vec<Mark> = Vec::new();
        for piece in &self.to {
            let (text, owner) = match piece {
                Piece::Text(text) => (text.as_str(), None),
                Piece::Group(name) => (group(groups, name), names.iter().position(|known| known == name)),
            };
            let start = after.len();
            for c in text.chars() {
                // several slashes are one, and there is none in front
                if c != '/' || !(after.is_empty() || after.ends_with('/')) {
                    after.push(c);
                }
            }
            if let Some(group) = owner.filter(|_| after.len() > start) {
                put.push(Mark { span: start..after.len(), group });
            }
        }
        if after.ends_with('/') {
            after.pop();
            for mark in &mut put {
                mark.span.end = mark.span.end.min(after.len());
            }
        }
        put.retain(|mark| !mark.span.is_empty());
        (after, put)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rule;
    use super::*;

    fn explained(from: &str, to: &str, path: &str) -> Explained {
        let rule = Rule { name: "r".to_owned(), from: from.to_owned(), to: to.to_owned() };
        Transforms::new(&[rule]).expect("a valid rule").explain(0, path).expect("a match")
    }

    fn parts<'a>(path: &'a str, marks: &[Mark]) -> Vec<(usize, &'a str)> {
        marks.iter().map(|mark| (mark.group, &path[mark.span.clone()])).collect()
    }

    #[test]
    fn groups_are_found_on_both_sides() {
        let path = "secret/data/runner/dev/app";
        let found = explained("runner/(?P<env>[^/]+)/(?P<app>.+)$", "v2//data/${app}/${env}/", path);
        assert_eq!(&path[found.matched.clone()], "runner/dev/app");
        assert_eq!(parts(path, &found.taken), [(0, "dev"), (1, "app")]);
        assert_eq!(found.after, "v2/data/app/dev");
        assert_eq!(parts(&found.after, &found.put), [(1, "app"), (0, "dev")]);
    }

    #[test]
    fn slashes_that_fall_away_move_no_mark() {
        let path = "secret/data/a/b/";
        let found = explained("^(?P<all>secret/data/.*)$", "/${all}/", path);
        assert_eq!(found.after, "secret/data/a/b");
        assert_eq!(parts(&found.after, &found.put), [(0, "secret/data/a/b")]);
    }
}
