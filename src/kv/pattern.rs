//! Sets of paths as policies can name them: `+` stands for one segment, `*` at the end for anything.

use std::fmt;

use super::Mount;

/// How many patterns the braces of one glob may make; with more, everything from the braces on is meant.
const EXPANDED: usize = 16;

/// Paths that have the same beginning, or the same shape. Where a policy cannot say exactly what is meant, its text is
/// the next wider one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// Some of what confines the paths is not in the segments.
    widened: bool,
}

/// A piece between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// Any one segment that begins with this.
    One(String),
    /// Everything that begins with this, whatever slashes follow. Always the last.
    Rest(String),
}

impl Pattern {
    /// Every path there is.
    #[must_use]
    pub fn everything() -> Self {
        Self { segments: vec![Segment::Rest(String::new())], widened: false }
    }

    /// What a glob with literal separators matches; more than one where braces give a choice.
    pub(super) fn of_glob(glob: &str) -> Vec<Self> {
        match expand(glob) {
            Some(globs) => globs.iter().map(|glob| Self::of_simple_glob(glob)).collect(),
            None => vec![Self::of_simple_glob(glob)],
        }
    }

    fn of_simple_glob(glob: &str) -> Self {
        let mut pattern = Self { segments: Vec::new(), widened: false };
        let mut segments = glob.split('/').peekable();
        while let Some(segment) = segments.next() {
            let special = segment.find(['*', '?', '[', '{', '}', '\\']);
            let Some(at) = special else {
                pattern.segments.push(Segment::Literal(segment.to_owned()));
                continue;
            };
            let (before, wildcard) = (segment[..at].to_owned(), &segment[at..]);
            // brackets, braces and escapes may stand for slashes
            if wildcard.contains("**") || wildcard.contains(['[', '{', '}', '\\']) {
                pattern.widened |= segment != "**" || segments.peek().is_some();
                pattern.segments.push(Segment::Rest(before));
                break;
            }
            pattern.widened |= wildcard != "*";
            pattern.segments.push(Segment::One(before));
        }
        pattern
    }

    /// What a template makes: texts, and between them what is only known when there is a path. `None` may hold slashes,
    /// `Some(())` not.
    pub(crate) fn of_template<'a>(pieces: impl IntoIterator<Item = Result<&'a str, Slashes>>) -> Self {
        // a segment as far as it is known, and whether something unknown follows in it
        let mut segments = Vec::new();
        let (mut text, mut open, mut widened) = (String::new(), false, false);
        for piece in pieces {
            match piece {
                Ok(piece) => {
                    for (at, part) in piece.split('/').enumerate() {
                        if at > 0 {
                            segments.extend(closed(&mut text, &mut open));
                        }
                        if open {
                            widened |= !part.is_empty();
                        } else {
                            text.push_str(part);
                        }
                    }
                }
                Err(Slashes::Never) => {
                    widened |= open;
                    open = true;
                }
                Err(Slashes::Perhaps) => {
                    segments.push(Segment::Rest(if open { String::new() } else { text }));
                    return Self { segments, widened: true };
                }
            }
        }
        segments.extend(closed(&mut text, &mut open));
        Self { segments, widened }
    }

    /// What lies in both.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let segments = meet(&self.segments, &other.segments)?;
        Some(Self { segments, widened: self.widened || other.widened })
    }

    /// The part inside of a mount, or of a folder of the API (`secret/data/`). `None`: no path in it is meant.
    #[must_use]
    pub fn within(&self, mount: &str) -> Option<Self> {
        let mut rest = self.segments.as_slice();
        for name in mount.trim_matches('/').split('/') {
            let (first, behind) = rest.split_first()?;
            match first {
                Segment::Literal(text) if text == name => rest = behind,
                Segment::One(prefix) if name.starts_with(prefix.as_str()) => rest = behind,
                Segment::Rest(prefix) if name.starts_with(prefix.as_str()) => {
                    return Some(Self { widened: self.widened || !prefix.is_empty(), ..Self::everything() });
                }
                _ => return None,
            }
        }
        (!rest.is_empty()).then(|| Self { segments: rest.to_vec(), widened: self.widened })
    }

    /// Whether one of its paths may lie below this folder, or it is the folder of one of them.
    #[must_use]
    pub fn may_lie_below(&self, folder: &str) -> bool {
        let names: Vec<&str> = folder.trim_end_matches('/').split('/').collect();
        for (at, name) in names.iter().enumerate() {
            let fits = match self.segments.get(at) {
                Some(Segment::Literal(text)) => text == name,
                Some(Segment::One(prefix)) => name.starts_with(prefix.as_str()),
                Some(Segment::Rest(prefix)) => return name.starts_with(prefix.as_str()),
                None => false,
            };
            if !fits {
                return false;
            }
        }
        self.segments.len() > names.len()
    }

    /// The folders that have to be listed to find its paths, as policies name them: empty for the top, else with a slash
    /// at their end, or with a `*` for all that begin so.
    #[must_use]
    pub fn folders(&self) -> Vec<String> {
        let mut folders = Vec::new();
        for at in 0..self.segments.len() {
            match &self.segments[at] {
                Segment::Rest(prefix) => {
                    if !prefix.is_empty() {
                        folders.push(text(&self.segments[..at], true));
                    }
                    folders.push(self.to_string());
                }
                _ => folders.push(text(&self.segments[..at], true)),
            }
        }
        folders
    }

    /// Whether its text allows what is meant and nothing else.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let last = self.segments.len().saturating_sub(1);
        let kept = |(at, segment): (usize, &Segment)| match segment {
            Segment::Literal(name) => is_literal(name),
            Segment::One(prefix) => prefix.is_empty(),
            Segment::Rest(prefix) => at == last && (prefix.is_empty() || is_literal(prefix)),
        };
        !self.widened && self.segments.iter().enumerate().all(kept)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.segments, false))
    }
}

/// Whether what stands for a piece of a path may hold slashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slashes {
    /// It is never more than a segment.
    Never,
    /// It may be several segments.
    Perhaps,
}

/// A mount as policies name it, with its slash at the end.
#[must_use]
pub fn mount_in_policies(mount: &Mount) -> String {
    let segments = mount.as_str().trim_end_matches('/').split('/');
    let segments = segments.map(|segment| Segment::Literal(segment.to_owned()));
    text(&segments.collect::<Vec<_>>(), true)
}

/// The segment that ends here. Templates' empty ones do not count.
fn closed(text: &mut String, open: &mut bool) -> Option<Segment> {
    let text = std::mem::take(text);
    match std::mem::take(open) {
        true => Some(Segment::One(text)),
        false if text.is_empty() => None,
        false => Some(Segment::Literal(text)),
    }
}

fn text(segments: &[Segment], is_folder: bool) -> String {
    let mut path = String::new();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == segments.len() && !is_folder;
        match segment {
            Segment::Literal(name) if is_literal(name) => path.push_str(name),
            Segment::One(prefix) if is_last && !prefix.is_empty() && is_literal(prefix) => {
                path.push_str(prefix);
                path.push('*');
            }
            Segment::Literal(_) | Segment::One(_) => path.push('+'),
            Segment::Rest(prefix) => {
                if is_literal(prefix) {
                    path.push_str(prefix);
                }
                path.push('*');
            }
        }
        if at + 1 < segments.len() || is_folder {
            path.push('/');
        }
    }
    path
}

/// Whether this text stands for itself in a policy: there a `*` at the end stands for anything, a segment `+` for any
/// segment, and `{{…}}` and `${…}` for what is looked up.
pub(crate) fn is_literal(name: &str) -> bool {
    !name.ends_with('*')
        && name.split('/').all(|segment| segment != "+")
        && !["{{", "${"].iter().any(|template| name.contains(template))
        && !name.contains(char::is_control)
}

fn meet(one: &[Segment], other: &[Segment]) -> Option<Vec<Segment>> {
    use Segment::Rest;
    let longer = |a: &String, b: &String| (a.starts_with(b.as_str())).then(|| a.clone());
    Some(match (one, other) {
        ([], []) => Vec::new(),
        ([Rest(a), ..], [Rest(b), ..]) => vec![Rest(longer(a, b).or_else(|| longer(b, a))?)],
        ([Rest(prefix), ..], [first, rest @ ..]) | ([first, rest @ ..], [Rest(prefix), ..]) => {
            let first = meet_one(&Segment::One(prefix.clone()), first)?;
            std::iter::once(first).chain(rest.iter().cloned()).collect()
        }
        ([a, rest @ ..], [b, others @ ..]) => std::iter::once(meet_one(a, b)?).chain(meet(rest, others)?).collect(),
        _ => return None,
    })
}

/// What lies in both of two segments that stand for one each.
fn meet_one(a: &Segment, b: &Segment) -> Option<Segment> {
    use Segment::{Literal, One};
    match (a, b) {
        (Literal(a), Literal(b)) => (a == b).then(|| Literal(a.clone())),
        (Literal(text), One(prefix)) | (One(prefix), Literal(text)) => {
            text.starts_with(prefix.as_str()).then(|| Literal(text.clone()))
        }
        (One(a), One(b)) if a.starts_with(b.as_str()) => Some(One(a.clone())),
        (One(a), One(b)) => b.starts_with(a.as_str()).then(|| One(b.clone())),
        _ => None,
    }
}

/// The globs that a glob with braces stands for; `None` if they are too many, nested, or beside brackets and escapes.
fn expand(glob: &str) -> Option<Vec<String>> {
    if glob.contains(['[', '\\']) {
        return None;
    }
    let mut globs = vec![String::new()];
    let mut rest = glob;
    while let Some((before, behind)) = rest.split_once('{') {
        let (choices, tail) = behind.split_once('}')?;
        if choices.contains('{') || before.contains('}') {
            return None;
        }
        let choose = |glob: &String| choices.split(',').map(|one| format!("{glob}{before}{one}")).collect::<Vec<_>>();
        globs = globs.iter().flat_map(choose).collect();
        if globs.len() > EXPANDED {
            return None;
        }
        rest = tail;
    }
    (!rest.contains('}')).then(|| globs.iter().map(|glob| format!("{glob}{rest}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(glob: &str) -> Pattern {
        let [pattern] = &Pattern::of_glob(glob)[..] else { panic!("{glob} is one") };
        pattern.clone()
    }

    #[test]
    fn globs_are_named_as_exactly_as_policies_can() {
        for (glob, text, exact) in [
            ("team/**", "team/*", true),
            ("team/*", "team/+", true),
            ("team/*/db", "team/+/db", true),
            ("team/*/db/**", "team/+/db/*", true),
            ("team/app", "team/app", true),
            ("te?m", "te*", false),
            ("team/app-*", "team/app-*", false),
            ("team/app-*/db", "team/+/db", false),
            ("team/*-db", "team/+", false),
            ("**/db", "*", false),
            ("team/**/db", "team/*", false),
            ("team/[ab]/db", "team/*", false),
            ("team/x[/]y", "team/x*", false),
            ("team/+/db", "team/+/db", false),
            ("team/{{x/db", "team/*", false),
            ("team/$x/db", "team/$x/db", true),
            (r"team/\*", "team/*", false),
        ] {
            let pattern = of(glob);
            assert_eq!((pattern.to_string().as_str(), pattern.is_exact()), (text, exact), "{glob}");
        }
    }

    #[test]
    fn braces_are_each_of_their_choices() {
        let texts = |glob: &str| Pattern::of_glob(glob).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts("team/{dev,prod}/**"), ["team/dev/*", "team/prod/*"]);
        assert_eq!(texts("{a,b/c}/{x,y}"), ["a/x", "a/y", "b/c/x", "b/c/y"]);
        assert_eq!(texts("team/{a,{b,c}}/x"), ["team/*"], "nested");
        assert_eq!(texts("{a,b,c,d,e}/{a,b,c,d,e}"), ["*"], "too many");
    }

    #[test]
    fn folders_are_those_on_the_way() {
        for (glob, folders) in [
            ("**", &["*"][..]),
            ("team/**", &["", "team/*"]),
            ("te?m/**", &["", "+/*"]),
            ("team/app", &["", "team/"]),
            ("team/*/db", &["", "team/", "team/+/"]),
            ("te**", &["", "te*"]),
        ] {
            assert_eq!(of(glob).folders(), folders, "{glob}");
        }
    }

    #[test]
    fn two_meet_in_the_narrower_one() {
        for (a, b, both) in [
            ("s/**", "s/team/**", Some("s/team/*")),
            ("s/team/*", "s/team/app", Some("s/team/app")),
            ("s/team/app", "s/team/app", Some("s/team/app")),
            // a wildcard may stand for nothing
            ("s/team/app", "s/team/app*", Some("s/team/app")),
            ("s/*/db", "s/team/**", Some("s/team/db")),
            ("s/*/db", "s/team/*", Some("s/team/db")),
            ("s/ap*/db", "s/app-*/*", Some("s/+/db")),
            ("s/team/app", "s/team/apps", None),
            ("s/team/**", "s/other/**", None),
            ("s/team", "s/team/**", None),
        ] {
            let met = |a: &str, b: &str| of(a).meet(&of(b)).map(|both| both.to_string());
            assert_eq!(met(a, b).as_deref(), both, "{a} {b}");
            assert_eq!(met(b, a).as_deref(), both, "{b} {a}");
        }
    }

    #[test]
    fn what_a_template_leaves_open_is_wide() {
        let text = |pieces: &[Result<&str, Slashes>]| Pattern::of_template(pieces.iter().copied()).to_string();
        let (one, many) = (Err(Slashes::Never), Err(Slashes::Perhaps));
        assert_eq!(text(&[Ok("kv/data/"), one, Ok("/"), one, Ok("/secrets")]), "kv/data/+/+/secrets");
        assert_eq!(text(&[Ok("kv/data/app-"), one]), "kv/data/app-*");
        assert_eq!(text(&[Ok("kv/data/"), one, Ok("-x/"), many, Ok("/y")]), "kv/data/+/*");
        assert_eq!(text(&[Ok("kv//data/x")]), "kv/data/x");
    }
}
