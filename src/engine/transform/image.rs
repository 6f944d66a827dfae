//! Where rules can lead, whatever the path.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Piece, Transforms, as_in_go};
use crate::kv::{Pattern, Slashes};

impl Transforms {
    /// The paths (`<mount>data/<name>`) that the rules can lead to: each rule's name, and what its template confines its
    /// results to. The identity is not among them.
    #[must_use]
    pub fn images(&self) -> Vec<(&str, Pattern)> {
        let image = |rule: &super::Compiled| {
            // it was compiled before, so it can be parsed
            let from = regex_syntax::Parser::new().parse(&as_in_go(&rule.source.from).text).ok();
            let pieces = rule.to.iter().map(|piece| match piece {
                Piece::Text(text) => Ok(text.as_str()),
                Piece::Group(name) => {
                    let inside = from.as_ref().and_then(|from| group(from, name));
                    let never = inside.is_some_and(|inside| !may_hold_slash(inside));
                    Err(if never { Slashes::Never } else { Slashes::Perhaps })
                }
            });
            Pattern::of_template(pieces)
        };
        self.rules.iter().map(|rule| (&*rule.name, image(rule))).collect()
    }
}

/// What the group of this name matches.
fn group<'a>(hir: &'a Hir, name: &str) -> Option<&'a Hir> {
    match hir.kind() {
        HirKind::Capture(capture) if capture.name.as_deref() == Some(name) => Some(&capture.sub),
        HirKind::Capture(capture) => group(&capture.sub, name),
        HirKind::Repetition(repetition) => group(&repetition.sub, name),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().find_map(|part| group(part, name)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => None,
    }
}

fn may_hold_slash(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'/'),
        HirKind::Class(Class::Unicode(class)) => class.iter().any(|range| range.start() <= '/' && '/' <= range.end()),
        HirKind::Class(Class::Bytes(class)) => class.iter().any(|range| range.start() <= b'/' && b'/' <= range.end()),
        HirKind::Repetition(repetition) => may_hold_slash(&repetition.sub),
        HirKind::Capture(capture) => may_hold_slash(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(may_hold_slash),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::{Rule, Transforms};

    fn image(from: &str, to: &str) -> String {
        let rule = Rule { name: "r".to_owned(), from: from.to_owned(), to: to.to_owned() };
        let rules = Transforms::new(&[rule]).expect("a rule");
        rules.images()[0].1.to_string()
    }

    #[test]
    fn a_template_leads_no_further_than_its_text_and_its_groups() {
        let from = "^secret/data/runner/(?P<env>dev|prod)/(?P<app>[^/]+)$";
        assert_eq!(image(from, "runnerv2/data/${env}/${app}/secrets"), "runnerv2/data/+/+/secrets");
        assert_eq!(image("^secret/data/(?P<rest>.*)$", "kv/data/old/${rest}"), "kv/data/old/*");
        assert_eq!(image("^secret/data/(?P<a>(x|y/z))$", "kv/data/${a}/b"), "kv/data/*");
        // v0.3's form
        assert_eq!(image(r"(?P<meta>data)/(?P<app>\w+)", "kv/meta/app/secrets"), "kv/+/+/secrets");
        assert_eq!(image("x", "kv/data/one"), "kv/data/one");
    }
}
