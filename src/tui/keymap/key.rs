//! A key: how it is recognized, shown and written in a keymap file.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::tui) struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Names of keys that are no characters, as help shows them; the first that fits is shown.
const NAMES: &[(&str, KeyCode)] = &[
    ("space", KeyCode::Char(' ')),
    ("↑", KeyCode::Up),
    ("↓", KeyCode::Down),
    ("←", KeyCode::Left),
    ("→", KeyCode::Right),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("shift-tab", KeyCode::BackTab),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("del", KeyCode::Delete),
    ("ins", KeyCode::Insert),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
];

const MODIFIERS: [(&str, KeyModifiers); 3] =
    [("ctrl-", KeyModifiers::CONTROL), ("alt-", KeyModifiers::ALT), ("shift-", KeyModifiers::SHIFT)];

impl Key {
    pub(super) const fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    pub(super) const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    pub(super) const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL }
    }

    pub(super) fn is(self, event: &KeyEvent) -> bool {
        // Terminals differ in whether a capital comes with shift; the character says it already.
        let ignored = if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            KeyModifiers::SHIFT
        } else {
            KeyModifiers::NONE
        };
        self.code == event.code && self.modifiers == event.modifiers.difference(ignored)
    }

    /// Whether it writes a character where one can type.
    pub(super) fn is_text(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && self.modifiers.is_empty()
    }

    /// As help shows it, and as [`Key::parse`] reads it.
    pub(in crate::tui) fn label(self) -> String {
        let named = NAMES.iter().find(|(_, code)| *code == self.code).map(|(name, _)| (*name).to_owned());
        let name = named.unwrap_or_else(|| match self.code {
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(number) => format!("f{number}"),
            other => format!("{other:?}").to_lowercase(),
        });
        let held = MODIFIERS.iter().filter(|(_, modifier)| self.modifiers.contains(*modifier));
        held.map(|(word, _)| *word).chain([name.as_str()]).collect()
    }

    /// Reads `x`, `X`, `ctrl-x`, `alt-enter`, `shift-tab`, `f5`, `space`.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence without full stop.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        // "-" itself is a key, and so is "ctrl--".
        while let Some((word, modifier)) = MODIFIERS.iter().find(|(word, _)| {
            rest.len() > word.len() && rest.get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word))
        }) {
            rest = &rest[word.len()..];
            modifiers |= *modifier;
        }
        let mut code = code(rest).ok_or_else(|| unknown(text, rest))?;
        if modifiers.contains(KeyModifiers::SHIFT) {
            match code {
                KeyCode::Tab => code = KeyCode::BackTab,
                KeyCode::Char(c) if c.is_alphabetic() => code = KeyCode::Char(c.to_uppercase().next().unwrap_or(c)),
                KeyCode::Char(c) => return Err(format!("write \"{text}\" as the character that shift makes of {c}")),
                _ => return Ok(Self { code, modifiers }),
            }
            modifiers.remove(KeyModifiers::SHIFT);
        }
        if modifiers.contains(KeyModifiers::CONTROL)
            && let KeyCode::Char(c) = code
        {
            let c = c.to_ascii_lowercase();
            code = KeyCode::Char(c);
            let twin = [('i', "tab"), ('m', "enter"), ('[', "esc")].into_iter().find(|(twin, _)| *twin == c);
            if let Some((_, twin)) = twin {
                return Err(format!("terminals cannot tell \"{text}\" from {twin}"));
            }
        }
        Ok(Self { code, modifiers })
    }
}

fn code(text: &str) -> Option<KeyCode> {
    let mut characters = text.chars();
    if let (Some(c), None) = (characters.next(), characters.next())
        && !c.is_control()
        && !"↑↓←→".contains(c)
    {
        return Some(KeyCode::Char(c));
    }
    let name = text.to_lowercase();
    let number = || name.strip_prefix('f')?.parse().ok().filter(|number| (1..=24).contains(number));
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, code)| *code).or_else(|| number().map(KeyCode::F))
}

fn unknown(text: &str, rest: &str) -> String {
    let names = NAMES.iter().map(|(name, _)| *name).filter(|name| name.is_ascii());
    match crate::text::nearest(names, rest) {
        Some(near) => {
            let near = format!("{}{near}", &text[..text.len() - rest.len()]);
            format!("there is no key \"{text}\"; did you mean \"{near}\"?")
        }
        None => format!("there is no key \"{text}\"; keys look like x, X, ctrl-x, alt-x, f5, enter, space, pgdn"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_shown() {
        for text in ["x", "X", "-", "+", "/", "é", "space", "ctrl-x", "ctrl--", "ctrl-space", "alt-x", "ctrl-alt-x"] {
            assert_eq!(Key::parse(text).map(Key::label), Ok(text.to_owned()));
        }
        for text in ["enter", "alt-enter", "shift-tab", "shift-↑", "f1", "f12", "pgup", "backspace", "del", "home"] {
            assert_eq!(Key::parse(text).map(Key::label), Ok(text.to_owned()));
        }
        for (text, shown) in [("shift-x", "X"), ("Ctrl-X", "ctrl-x"), ("up", "↑"), ("F5", "f5"), ("Esc", "esc")] {
            assert_eq!(Key::parse(text).map(Key::label), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn what_is_no_key_is_told_with_the_nearest() {
        let wrong = |text| Key::parse(text).expect_err("no key");
        assert_eq!(wrong("ctrl-spcae"), "there is no key \"ctrl-spcae\"; did you mean \"ctrl-space\"?");
        assert!(wrong("meta-x").starts_with("there is no key \"meta-x\"; keys look like"));
        assert!(wrong("").starts_with("there is no key \"\""));
        assert!(wrong("f25").starts_with("there is no key"));
        assert_eq!(wrong("ctrl-i"), "terminals cannot tell \"ctrl-i\" from tab");
        assert!(wrong("shift-1").contains("the character that shift makes of 1"));
    }

    #[test]
    fn a_capital_is_one_with_and_without_shift() {
        let key = Key::parse("X").expect("a key");
        for modifiers in [KeyModifiers::SHIFT, KeyModifiers::NONE] {
            assert!(key.is(&KeyEvent::new(KeyCode::Char('X'), modifiers)));
        }
        assert!(!key.is(&KeyEvent::new(KeyCode::Char('x'), KeyModifiers::NONE)));
        assert!(!Key::char('x').is(&KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT)));
    }
}
