//! The `/` filter of a list: a text with a mode (`/text` contains it, `/!text` does not, `/~text` has its letters in this
//! order), and which states show.

use tui_input::Input;

use super::widget::tree::Standing;
use crate::engine::SecretState;

/// Which states show, at whichever destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Only {
    #[default]
    All,
    /// What is to be done, or stands in the way of it.
    Behind,
    /// What somebody should look at.
    Problems,
    One(SecretState),
}

impl Only {
    /// In words, for the frame of a list.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Behind => "behind",
            Self::Problems => "problems",
            Self::One(state) => state.as_str(),
        }
    }

    /// A bit for each standing that shows, as [`Standing::bit`] has it; `None`: all do.
    fn bits(self) -> Option<u16> {
        let of = |shows: fn(Standing) -> bool| {
            Standing::ALL_BEHIND.into_iter().filter(|one| shows(*one)).fold(0, |bits, one| bits | one.bit())
        };
        match self {
            Self::All => None,
            Self::Behind => Some(of(|_| true)),
            Self::Problems => Some(of(Standing::is_problem)),
            Self::One(state) => Some(Standing::from(state).bit()),
        }
    }
}

/// A filter as it is being typed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) input: Input,
    /// Obeyed by lists that show states.
    pub(super) only: Only,
}

impl Filter {
    /// What to look for.
    pub(super) fn needle(&self) -> Needle {
        Needle { states: self.only.bits(), ..Needle::new(self.input.value()) }
    }

    /// The text as typed.
    pub(super) fn text(&self) -> &str {
        self.input.value()
    }

    /// Whether everything shows.
    pub(super) fn is_empty(&self) -> bool {
        self.text().is_empty() && self.only == Only::All
    }

    /// Shows everything again.
    pub(super) fn clear(&mut self) {
        self.input.reset();
        self.only = Only::All;
    }
}

/// Finds paths, and those among them that stand in a certain way. Letters match both cases, unless a capital was typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Needle {
    pattern: Pattern,
    exact: bool,
    /// What contains the pattern is what does not show.
    inverse: bool,
    states: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    Contains(String),
    /// Words whose letters stand in this order, with others between them.
    Fuzzy(Vec<String>),
}

impl Needle {
    /// Takes a text as it is typed behind the slash: `!` before it inverts it, `~` makes it fuzzy.
    pub(super) fn new(text: &str) -> Self {
        let exact = text.chars().any(char::is_uppercase);
        let as_meant = |text: &str| if exact { text.to_owned() } else { text.to_lowercase() };
        let (inverse, text) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let pattern = match text.strip_prefix('~') {
            Some(words) => Pattern::Fuzzy(words.split_whitespace().map(as_meant).collect()),
            None => Pattern::Contains(as_meant(text)),
        };
        Self { pattern, exact, inverse, states: None }
    }

    /// Whether it finds everything.
    pub(super) fn is_empty(&self) -> bool {
        self.has_no_text() && self.states.is_none()
    }

    fn has_no_text(&self) -> bool {
        match &self.pattern {
            Pattern::Contains(text) => text.is_empty(),
            Pattern::Fuzzy(words) => words.is_empty(),
        }
    }

    /// Whether the text is one that is looked for.
    pub(super) fn found_in(&self, text: &str) -> bool {
        self.has_no_text() || self.contained_in(text) != self.inverse
    }

    /// What a folder's path already says of everything that lies in it: `Some` if its own path decides whether all of
    /// it is found or none of it.
    pub(super) fn settled_by(&self, folder: &str) -> Option<bool> {
        if self.has_no_text() {
            Some(true)
        } else {
            // What a path contains everything below it contains, too.
            self.contained_in(folder).then_some(!self.inverse)
        }
    }

    /// Whether standings, a bit each, have one among them that is looked for.
    pub(super) fn admits(&self, standings: u16) -> bool {
        self.states.is_none_or(|wanted| wanted & standings != 0)
    }

    fn contained_in(&self, text: &str) -> bool {
        match &self.pattern {
            Pattern::Contains(part) => self.contains(text, part),
            Pattern::Fuzzy(words) => words.iter().all(|word| self.has_in_order(text, word)),
        }
    }

    fn contains(&self, text: &str, part: &str) -> bool {
        if self.exact {
            text.contains(part)
        } else if part.is_ascii() {
            // The common case, without making a copy of every path.
            text.as_bytes().windows(part.len().max(1)).any(|found| found.eq_ignore_ascii_case(part.as_bytes()))
        } else {
            text.to_lowercase().contains(part)
        }
    }

    fn has_in_order(&self, text: &str, word: &str) -> bool {
        if self.exact {
            let mut letters = text.chars();
            word.chars().all(|wanted| letters.any(|letter| letter == wanted))
        } else if word.is_ascii() {
            let mut letters = text.bytes();
            word.bytes().all(|wanted| letters.any(|letter| letter.eq_ignore_ascii_case(&wanted)))
        } else {
            let mut letters = text.chars().flat_map(char::to_lowercase);
            word.chars().all(|wanted| letters.any(|letter| letter == wanted))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_only_when_typed() {
        assert!(Needle::new("runner").found_in("secret/Runner/x"));
        assert!(!Needle::new("Runner").found_in("secret/runner/x"));
        assert!(Needle::new("größe").found_in("secret/GRÖSSE/Größe"));
        assert!(Needle::new("").found_in("anything"));
        assert!(!Needle::new("longer than the text").found_in("short"));
    }

    #[test]
    fn a_mark_before_the_text_says_how_it_is_meant() {
        for (typed, path, found) in [
            ("!prod", "secret/dev/api", true),
            ("!prod", "secret/PROD/api", false),
            ("!", "secret/prod/api", true),
            ("~sdap", "secret/dev/api", true),
            ("~sdap", "secret/pad/ds", false),
            ("~api sec", "secret/dev/API", true),
            ("~A", "secret/dev/api", false),
            ("~größe", "secret/GRXÖXßXE", true),
            ("~", "anything", true),
            ("!~sdap", "secret/dev/api", false),
            ("!~sdap", "secret/prod/x", true),
        ] {
            assert_eq!(Needle::new(typed).found_in(path), found, "{typed} in {path}");
        }
    }

    #[test]
    fn a_folder_may_decide_for_all_that_lies_in_it() {
        assert_eq!(Needle::new("prod").settled_by("secret/prod/"), Some(true));
        assert_eq!(Needle::new("!prod").settled_by("secret/prod/"), Some(false));
        assert_eq!(Needle::new("~sp").settled_by("secret/prod/"), Some(true));
        assert_eq!(Needle::new("api").settled_by("secret/prod/"), None);
        assert_eq!(Needle::new("!api").settled_by("secret/prod/"), None);
        assert_eq!(Needle::new("").settled_by("secret/prod/"), Some(true));
    }

    #[test]
    fn states_are_looked_for_beside_the_text() {
        let needle = |only| Filter { only, ..Filter::default() }.needle();
        let (drifted, synced) = (Standing::Drifted.bit(), Standing::InSync.bit());
        assert!(needle(Only::All).is_empty() && needle(Only::All).admits(synced));
        assert!(!needle(Only::Problems).is_empty());
        assert!(needle(Only::Problems).admits(drifted | synced) && !needle(Only::Problems).admits(synced));
        assert!(
            needle(Only::Behind).admits(Standing::Add.bit()) && !needle(Only::Problems).admits(Standing::Add.bit())
        );
        assert!(needle(Only::One(SecretState::InSync)).admits(synced));
    }
}
