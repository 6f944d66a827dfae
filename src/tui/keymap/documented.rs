//! The table of keys as the documentation shows it.

use super::{Action, Bound, Keymap, Place, is_global};

/// What holds in one place: on a screen, in a question, everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySection {
    /// The place: `Browse`, `Question`, `Everywhere`.
    pub title: &'static str,
    /// Its keys, in the order of help.
    pub keys: Vec<KeyRow>,
}

/// What one or more keys do in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// The keys as help shows them: `x`, `ctrl-c`, `space`.
    pub keys: Vec<String>,
    /// What it is called in the palette and in `keymap.toml`.
    pub name: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// Two or three words at the foot of the screen; empty: it does not hint at it.
    pub hint: &'static str,
}

/// Every key of the console, from the table that the console obeys: first what holds on every screen.
#[must_use]
pub fn key_table() -> Vec<KeySection> {
    let keymap = Keymap::default();
    let row = |bound: &Bound| KeyRow {
        keys: bound.keys.iter().map(|key| key.label()).collect(),
        name: bound.binding.name,
        help: bound.binding.help,
        hint: bound.binding.hint,
    };
    let first = Place::ALL[0];
    let everywhere = keymap.bindings(first, false).filter(|bound| is_global(bound.binding)).map(row).collect();
    let mut sections = vec![KeySection { title: "Everywhere", keys: everywhere }];
    for place in Place::ALL {
        let own = |bound: &&Bound| !is_global(bound.binding) && bound.binding.action != Action::Interrupt;
        let keys: Vec<_> = keymap.bindings(place, false).filter(own).map(row).collect();
        if !keys.is_empty() {
            sections.push(KeySection { title: place.title(), keys });
        }
    }
    sections
}
