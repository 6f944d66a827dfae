//! v0.3's meaning of rules, written down a second time without regular expressions, and compared with.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{IDENTITY, Rule, Transforms, as_in_go};
use crate::kv::{Mount, SecretPath};

const WORDS: [&str; 8] = ["dev", "prod", "app", "app_1", "ünï", "a b", "x.y", ""];
const GROUPS: [&str; 5] = ["env", "app", "team", "x", "rest"];

/// What one segment of `from` accepts.
#[derive(Debug, Clone)]
enum Part {
    Literal(&'static str),
    /// `(?P<NAME>[^/]*)`
    Any,
    /// `(?P<NAME>\w+)`
    Word,
    /// `(?P<NAME>\d*)`
    Digits,
    /// `(?P<NAME>(dev|prod))?`
    Perhaps,
}

/// A rule as a test thinks of it. Group number N is called `GROUPS[N]`; the last, `rest`, takes all that follows.
#[derive(Debug, Clone)]
struct Sketch {
    parts: Vec<Part>,
    rest: bool,
    /// Texts and groups of `to`.
    to: Vec<Piece>,
    /// With `${}`, or v0.3's form.
    template: bool,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(&'static str),
    /// Among the groups there are, counted around.
    Group(usize),
}

impl Sketch {
    fn groups(&self) -> Vec<&'static str> {
        let named = self.parts.iter().filter(|part| !matches!(part, Part::Literal(_))).count();
        let rest = self.rest.then_some("rest");
        GROUPS[..named].iter().copied().chain(rest).collect()
    }

    fn from(&self) -> String {
        let mut names = self.groups().into_iter();
        let mut segments = vec!["^secret".to_owned(), "data".to_owned()];
        segments.extend(self.parts.iter().map(|part| {
            if let Part::Literal(text) = part {
                return regex::escape(text);
            }
            let name = names.next().expect("a name for each group");
            match part {
                Part::Word => format!(r"(?P<{name}>\w+)"),
                Part::Digits => format!(r"(?P<{name}>\d*)"),
                Part::Perhaps => format!("(?P<{name}>(dev|prod))?"),
                _ => format!("(?P<{name}>[^/]*)"),
            }
        }));
        if self.rest {
            segments.push("(?P<rest>.*)".to_owned());
        }
        segments.join("/") + "$"
    }

    /// The pieces of `to` with the groups' names.
    fn pieces(&self) -> Vec<Result<&'static str, &'static str>> {
        let groups = self.groups();
        let pieces = self.to.iter().map(|piece| match piece {
            Piece::Group(at) if !groups.is_empty() => Err(groups[at % groups.len()]),
            Piece::Group(_) => Ok("none"),
            Piece::Text(text) => Ok(*text),
        });
        pieces.collect()
    }

    fn is_template(&self) -> bool {
        self.template && self.pieces().iter().any(Result::is_err)
    }

    fn to(&self) -> String {
        let pieces = self.pieces().into_iter().map(|piece| match piece {
            Ok(text) => text.to_owned(),
            Err(group) if self.is_template() => format!("${{{group}}}"),
            Err(group) => group.to_owned(),
        });
        format!("secret/data/{}", pieces.collect::<Vec<_>>().join("/"))
    }

    fn rule(&self, name: String) -> Rule {
        Rule { name, from: self.from(), to: self.to() }
    }

    /// What each group takes of `path`, if all of it fits.
    fn captures(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let mut segments = path.strip_prefix("secret/data/")?.split('/');
        let mut texts = Vec::new();
        for part in &self.parts {
            let segment = segments.next()?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let fits = match part {
                Part::Literal(text) => {
                    if segment != *text {
                        return None;
                    }
                    continue;
                }
                Part::Any => true,
                Part::Word => !segment.is_empty() && segment.chars().all(is_word),
                Part::Digits => segment.chars().all(|c| c.is_ascii_digit()),
                Part::Perhaps => matches!(segment, "" | "dev" | "prod"),
            };
            if !fits {
                return None;
            }
            texts.push(segment.to_owned());
        }
        let rest: Vec<&str> = segments.collect();
        if self.rest {
            if rest.is_empty() || rest.iter().any(|segment| segment.contains('\n')) {
                return None;
            }
            texts.push(rest.join("/"));
        } else if !rest.is_empty() {
            return None;
        }
        Some(self.groups().into_iter().zip(texts).collect())
    }

    /// Where v0.3 sends `path`, if this rule decides.
    fn sends(&self, path: &str) -> Option<String> {
        let groups = self.captures(path)?;
        let pieces = self.pieces();
        let used = |name: &str| !self.is_template() || pieces.contains(&Err(name));
        if groups.iter().any(|(name, text)| text.is_empty() && used(name)) {
            return None;
        }
        let value = |name: &str| {
            groups.iter().find(|(group, _)| *group == name).map_or_else(|| name.to_owned(), |(_, text)| text.clone())
        };
        let pieces = pieces.into_iter().map(|piece| match piece {
            Err(group) => value(group),
            // in v0.3's form a text that happens to be a group's name is the group
            Ok(text) if !self.is_template() => text.split('/').map(value).collect::<Vec<_>>().join("/"),
            Ok(text) => text.to_owned(),
        });
        let mut whole = format!("secret/data/{}", pieces.collect::<Vec<_>>().join("/"));
        while whole.contains("//") {
            whole = whole.replace("//", "/");
        }
        Some(whole.trim_matches('/').to_owned())
    }
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let part = prop_oneof![
        3 => prop::sample::select(WORDS.to_vec()).prop_map(Part::Literal),
        3 => Just(Part::Any),
        2 => Just(Part::Word),
        1 => Just(Part::Digits),
        2 => Just(Part::Perhaps),
    ];
    let text = prop::sample::select(vec!["fixed", "", "x", "env", "a//b", "ünï"]);
    let piece = prop_oneof![1 => text.prop_map(Piece::Text), 2 => any::<usize>().prop_map(Piece::Group)];
    (vec(part, 0..4), any::<bool>(), vec(piece, 1..5), any::<bool>()).prop_map(|(parts, rest, to, template)| Sketch {
        parts,
        rest,
        to,
        template,
    })
}

fn path() -> impl Strategy<Value = String> {
    let number = (0..1000_u32).prop_map(|number| number.to_string());
    let segment = prop_oneof![
        5 => prop::sample::select(WORDS.to_vec()).prop_map(str::to_owned),
        1 => number,
        1 => Just("line\nbreak".to_owned()),
        1 => Just("data".to_owned()),
    ];
    vec(segment, 1..6)
        .prop_map(|segments| format!("secret/data/{}", segments.join("/")))
        .prop_filter("a secret, not a folder", |path| !path.ends_with('/'))
}

fn secret(path: &str) -> SecretPath {
    SecretPath::parse_data(path, &[Mount::parse("secret").expect("a mount")]).expect("a path")
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rules_mean_what_v0_3_means(sketches in vec(sketch(), 0..5), paths in vec(path(), 1..12)) {
        let rules: Vec<Rule> =
            sketches.iter().enumerate().map(|(number, sketch)| sketch.rule(format!("rule {number}"))).collect();
        let transforms = Transforms::new(&rules).expect("valid rules");
        prop_assert_eq!(transforms.is_empty(), rules.is_empty());
        for path in &paths {
            let decided = sketches.iter().enumerate().find_map(|(number, sketch)| Some((number, sketch.sends(path)?)));
            let (rule, expected) = decided
                .map_or_else(|| (IDENTITY.to_owned(), path.clone()), |(number, to)| (format!("rule {number}"), to));
            let found = transforms.apply(&secret(path));
            prop_assert_eq!((&*found.rule, found.data_path), (rule.as_str(), expected), "{} by {:?}", path, rules);
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        from in r"[\[\](){}|?*+\\^$.:<>P&~/a-c0-9wdsbWDSü-]{0,24}",
        to in r"[${}a-c/ü]{0,16}",
        name in any::<String>(),
    ) {
        // either it is refused in words, or it works on any path
        match Transforms::new(&[Rule { name: "r".to_owned(), from, to }]) {
            Err(error) => prop_assert!(error.to_string().contains("transform \"r\"")),
            Ok(transforms) => {
                let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), &name);
                let mapping = transforms.apply(&path);
                prop_assert!(&*mapping.rule == "r" || mapping.data_path == path.data_path());
            }
        }
    }

    #[test]
    fn what_go_reads_alike_is_left_alone(from in "[a-z0-9()|?*+.^$/ü]{0,24}") {
        prop_assert_eq!(as_in_go(&from).text, from);
    }
}
