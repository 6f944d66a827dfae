//! What is wrong with a rule, and where in it.

use std::ops::Range;

use regex::Regex;

use super::{Rewritten, Rule, as_in_go, collapse_slashes};

/// A part of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RulePart {
    /// What it is called.
    Name,
    /// The expression.
    From,
    /// The destination path.
    To,
}

/// Something that keeps a rule from working.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProblem {
    /// The part it is in.
    pub part: RulePart,
    /// The bytes of that part; empty at the end, if something is missing there.
    pub span: Range<usize>,
    /// What is wrong, in words.
    pub reason: String,
}

impl Rule {
    /// Everything that keeps the rule from working; nothing if it works.
    #[must_use]
    pub fn problems(&self) -> Vec<RuleProblem> {
        let mut problems = Vec::new();
        let mut add = |part, span, reason: String| problems.push(RuleProblem { part, span, reason });
        if self.name.trim().is_empty() {
            add(RulePart::Name, 0..self.name.len(), "a rule needs a name: screens and reports show it".to_owned());
        }
        let mut names = None;
        if self.from.is_empty() {
            add(RulePart::From, 0..0, "an expression is missing: what shall the rule match?".to_owned());
        } else {
            match expression(&self.from) {
                Ok(found) => names = Some(found),
                Err((span, reason)) => add(RulePart::From, span, reason),
            }
        }
        for (span, reason) in target(&self.to, names.as_deref()) {
            add(RulePart::To, span, reason);
        }
        problems
    }
}

/// The names of an expression's groups, or where it is wrong and why.
fn expression(from: &str) -> Result<Vec<String>, (Range<usize>, String)> {
    let rewritten = as_in_go(from);
    match regex_syntax::Parser::new().parse(&rewritten.text) {
        Err(regex_syntax::Error::Parse(error)) => {
            let span = error.span().start.offset..error.span().end.offset;
            return Err((rewritten.place(&span, from), error.kind().to_string()));
        }
        Err(regex_syntax::Error::Translate(error)) => {
            let span = error.span().start.offset..error.span().end.offset;
            return Err((rewritten.place(&span, from), error.kind().to_string()));
        }
        Err(error) => return Err((0..from.len(), error.to_string())),
        Ok(_) => {}
    }
    match Regex::new(&rewritten.text) {
        Ok(regex) => Ok(regex.capture_names().flatten().map(str::to_owned).collect()),
        Err(regex::Error::CompiledTooBig(_)) => {
            Err((0..from.len(), "the expression is too large: take less repetition".to_owned()))
        }
        Err(error) => Err((0..from.len(), error.to_string())),
    }
}

impl Rewritten {
    /// Where a span of the rewritten expression lies in the configured one.
    fn place(&self, span: &Range<usize>, from: &str) -> Range<usize> {
        let start = self.places.get(span.start).copied().unwrap_or(from.len());
        if span.is_empty() {
            return start..start;
        }
        let last = self.places.get(span.end - 1).copied().unwrap_or(from.len());
        let end = from[last..].chars().next().map_or(last, |c| last + c.len_utf8());
        start..end.max(start)
    }
}

/// What is wrong with a `to`; `names`: the groups there are, if that is known.
fn target(to: &str, names: Option<&[String]>) -> Vec<(Range<usize>, String)> {
    if collapse_slashes(to).is_empty() {
        return vec![(0..to.len(), "a path is missing: where shall it go?".to_owned())];
    }
    let mut problems = Vec::new();
    let mut searched = 0;
    while let Some(found) = to[searched..].find("${") {
        let start = searched + found;
        let Some(length) = to[start..].find('}') else {
            problems.push((start..start + 2, "${ without }".to_owned()));
            break;
        };
        let end = start + length + 1;
        let name = &to[start + 2..end - 1];
        if let Some(names) = names
            && !names.iter().any(|known| known == name)
        {
            let known =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            problems.push((start..end, format!("from has no group \"{name}\": {known}")));
        }
        searched = end;
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(from: &str, to: &str) -> (RulePart, String, String) {
        let rule = Rule { name: "r".to_owned(), from: from.to_owned(), to: to.to_owned() };
        let problem = rule.problems().into_iter().next().expect("a problem");
        let text = match problem.part {
            RulePart::Name => "r",
            RulePart::From => from,
            RulePart::To => to,
        };
        (problem.part, text[problem.span].to_owned(), problem.reason)
    }

    #[test]
    fn the_place_is_that_of_the_expression_as_it_was_typed() {
        assert_eq!(first(r"\w\d/(dev", "x/data/y"), (RulePart::From, "(".into(), "unclosed group".into()));
        let (_, place, reason) = first(r"[\w]+/(?P<ünï>a)(?P<ünï>b)", "x/data/y");
        assert_eq!((place.as_str(), reason.as_str()), ("ünï", "duplicate capture group name"));
        let (_, place, reason) = first(r"\s*\d/{2,1}", "x/data/y");
        assert_eq!(place, "{2,1}", "{reason}");
        assert!(first(r"a(?=b)", "x/data/y").2.contains("look-ahead"));
        assert_eq!(first(r"a\p{Nope}", "x/data/y").1, r"\p{Nope}");
    }

    #[test]
    fn a_target_names_groups_that_are_there() {
        let (part, place, reason) = first("(?P<a>x)", "y/data/${b}/${a}");
        assert_eq!(
            (part, place.as_str(), reason.as_str()),
            (RulePart::To, "${b}", "from has no group \"b\": it has a")
        );
        assert_eq!(first("x", "y/data/${").1, "${");
        assert_eq!(first("x", "//").0, RulePart::To);
        assert_eq!(first("", "y/data/z").0, RulePart::From);
    }

    #[test]
    fn what_is_accepted_here_compiles_and_the_other_way_round() {
        for from in
            [r"^[\w[&~\-]+$", r"[]a[:digit:]]+\b", "(", "[", r"\", "a{3", "(?P<x>", "[[:nope:]]", "x{1000}{1000}"]
        {
            let rule = Rule { name: "r".to_owned(), from: from.to_owned(), to: "x/data/y".to_owned() };
            let compiles = super::super::Transforms::new(std::slice::from_ref(&rule)).is_ok();
            assert_eq!(rule.problems().is_empty(), compiles, "{from}");
        }
    }
}
