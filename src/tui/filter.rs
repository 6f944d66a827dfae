//! The `/` filter of a list.

use tui_input::Input;

/// A filter as it is being typed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) input: Input,
}

impl Filter {
    /// What to look for.
    pub(super) fn needle(&self) -> Needle {
        Needle::new(self.input.value())
    }

    /// The text as typed.
    pub(super) fn text(&self) -> &str {
        self.input.value()
    }

    /// Whether everything shows.
    pub(super) fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// Shows everything again.
    pub(super) fn clear(&mut self) {
        self.input.reset();
    }
}

/// Finds a text inside of paths; letters match both cases, unless a capital was typed.
#[derive(Debug)]
pub(super) struct Needle {
    text: String,
    exact: bool,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let exact = text.chars().any(char::is_uppercase);
        Self { text: if exact { text.to_owned() } else { text.to_lowercase() }, exact }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn found_in(&self, text: &str) -> bool {
        if self.exact || self.text.is_empty() {
            text.contains(&self.text)
        } else if self.text.is_ascii() {
            // The common case, without making a copy of every path.
            text.as_bytes().windows(self.text.len()).any(|part| part.eq_ignore_ascii_case(self.text.as_bytes()))
        } else {
            text.to_lowercase().contains(&self.text)
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
}
