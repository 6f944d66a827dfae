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

    /// What is still to be found behind the path of a folder.
    pub(super) fn rest(&self, folder: &str) -> Rest<'_> {
        if self.has_no_text() {
            return Rest::Settled(true);
        }
        // What a path contains everything below it contains, too.
        if self.contained_in(folder) {
            return Rest::Settled(!self.inverse);
        }
        match &self.pattern {
            Pattern::Contains(part) if self.exact || part.is_ascii() => {
                let end = folder.len().min(part.len().saturating_sub(1));
                let window = folder.as_bytes()[folder.len() - end..].to_vec();
                Rest::Contains { needle: self, part: part.as_bytes(), end, window }
            }
            Pattern::Fuzzy(words) if self.exact || words.iter().all(|word| word.is_ascii()) => {
                let words = words.iter().map(|word| self.after(folder.as_bytes(), word.as_bytes()));
                Rest::Fuzzy { needle: self, words: words.filter(|word| !word.is_empty()).collect() }
            }
            _ => Rest::Path { needle: self, length: folder.len(), path: folder.to_owned() },
        }
    }

    /// Whether standings do not matter.
    pub(super) fn admits_all(&self) -> bool {
        self.states.is_none()
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
        if self.exact || part.is_ascii() {
            self.holds(text.as_bytes(), part.as_bytes())
        } else {
            text.to_lowercase().contains(part)
        }
    }

    /// The common case, without making a copy of every path.
    fn holds(&self, text: &[u8], part: &[u8]) -> bool {
        let Some((first, rest)) = part.split_first() else { return true };
        let Some(room) = text.len().checked_sub(rest.len()) else { return false };
        let (lower, upper) =
            if self.exact { (*first, *first) } else { (first.to_ascii_lowercase(), first.to_ascii_uppercase()) };
        let starts = text[..room].iter().zip(1..).filter(|(byte, _)| **byte == lower || **byte == upper);
        starts
            .map(|(_, next)| &text[next..next + rest.len()])
            .any(|found| if self.exact { found == rest } else { found.eq_ignore_ascii_case(rest) })
    }

    fn has_in_order(&self, text: &str, word: &str) -> bool {
        if self.exact || word.is_ascii() {
            self.after(text.as_bytes(), word.as_bytes()).is_empty()
        } else {
            let mut letters = text.chars().flat_map(char::to_lowercase);
            word.chars().all(|wanted| letters.any(|letter| letter == wanted))
        }
    }

    /// What of a word is left when the letters that the text has in order are taken away.
    fn after<'a>(&self, text: &[u8], word: &'a [u8]) -> &'a [u8] {
        let mut left = word;
        for byte in text {
            let Some((wanted, behind)) = left.split_first() else { break };
            if byte == wanted || !self.exact && byte.eq_ignore_ascii_case(wanted) {
                left = behind;
            }
        }
        left
    }
}

/// What is still to be found behind the path of a folder, so that each thing in it is known by its name alone: there may
/// be a million.
#[derive(Debug, Clone)]
pub(super) enum Rest<'a> {
    /// The folder's path decides for everything in it.
    Settled(bool),
    /// The end of the folder's path, where the text may begin, in a buffer for the name behind it.
    Contains { needle: &'a Needle, part: &'a [u8], end: usize, window: Vec<u8> },
    /// What is left of the words.
    Fuzzy { needle: &'a Needle, words: Vec<&'a [u8]> },
    /// Letters with more than two cases: the whole path is looked at.
    Path { needle: &'a Needle, length: usize, path: String },
}

impl Rest<'_> {
    /// Whether everything in the folder is found, or nothing of it, if that is known.
    pub(super) fn settled(&self) -> Option<bool> {
        match self {
            Self::Settled(found) => Some(*found),
            _ => None,
        }
    }

    /// Whether what has this name in the folder is found.
    pub(super) fn finds(&mut self, name: &str) -> bool {
        match self {
            Self::Settled(found) => *found,
            Self::Contains { needle, part, end, window } => {
                window.truncate(*end);
                window.extend_from_slice(name.as_bytes());
                needle.holds(window, part) != needle.inverse
            }
            Self::Fuzzy { needle, words } => {
                words.iter().all(|word| needle.after(name.as_bytes(), word).is_empty()) != needle.inverse
            }
            Self::Path { needle, length, path } => {
                path.truncate(*length);
                path.push_str(name);
                needle.found_in(path)
            }
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
        let settled = |typed: &str| Needle::new(typed).rest("secret/prod/").settled();
        assert_eq!(settled("prod"), Some(true));
        assert_eq!(settled("!prod"), Some(false));
        assert_eq!(settled("~sp"), Some(true));
        assert_eq!(settled("api"), None);
        assert_eq!(settled("!api"), None);
        assert_eq!(settled(""), Some(true));
    }

    #[test]
    fn a_name_behind_a_folder_is_found_as_the_path_is() {
        let folders = ["", "s/", "secret/prod/", "secret/PROD/größe/", "a/a/a/"];
        let names = ["", "x", "api", "d/api", "prod", "Größe", "aa", "/", "secret"];
        let typed = ["", "a", "A", "prod/a", "PROD/a", "d/ap", "a/a/a/aa", "größe/größe", "ö", "Ö", "secret/prod/api"];
        for folder in folders {
            for text in typed.iter().flat_map(|text| ["", "!", "~", "!~"].map(|mode| format!("{mode}{text}"))) {
                let needle = Needle::new(&text);
                let mut rest = needle.rest(folder);
                for name in names {
                    let path = format!("{folder}{name}");
                    assert_eq!(rest.finds(name), needle.found_in(&path), "{text} in {path}");
                }
            }
        }
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
