//! The user's keymap file: a section for each place, in it actions and the keys they are to have instead of the table's.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Action, Bound, Key, Keymap, Place};
use crate::text::nearest;

/// The name of the file, beside the settings.
pub(in crate::tui) const FILE: &str = "keymap.toml";

/// The section for every place that has the action.
const EVERYWHERE: &str = "everywhere";

/// What is wrong with a keymap file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{FILE}:{line}: {message}")]
pub(in crate::tui) struct KeymapError {
    line: usize,
    message: String,
}

/// Gives actions the keys that the file names.
pub(super) fn over(mut keymap: Keymap, text: &str) -> Result<Keymap, KeymapError> {
    let wrong = |span: Range<usize>, message: String| KeymapError { line: line(text, span.start), message };
    let file = DeTable::parse(text)
        .map_err(|error| wrong(error.span().unwrap_or_default(), error.message().replace('\n', ", ")))?;
    let mut sections = Vec::new();
    for (name, section) in file.get_ref() {
        let places = places(name.get_ref()).map_err(|message| wrong(name.span(), message))?;
        let DeValue::Table(section_table) = section.get_ref() else {
            return Err(wrong(
                section.span(),
                format!("{} must be a section of actions and their keys", name.get_ref()),
            ));
        };
        sections.push((name.get_ref().as_ref(), places, section_table));
    }
    // What is said of one place holds over what is said of all.
    sections.sort_by_key(|(name, ..)| *name != EVERYWHERE);
    let mut said = Vec::new();
    for (section, places, actions) in sections {
        for (name, value) in actions {
            let keys = keys(value).map_err(|(span, message)| wrong(span, message))?;
            let concerned: Vec<usize> = (0..keymap.rows.len())
                .filter(|&at| keymap.rows[at].binding.name == name.get_ref() && places.contains(&keymap.rows[at].place))
                .collect();
            if concerned.is_empty() {
                return Err(wrong(name.span(), no_action(&keymap, section, &places, name.get_ref())));
            }
            for at in concerned {
                let bound = &mut keymap.rows[at];
                give(bound, &keys).map_err(|message| wrong(value.span(), message))?;
                said.retain(|(other, _)| *other != at);
                said.push((at, value.span()));
            }
        }
    }
    for (at, span) in said {
        conflict(&keymap, at).map_err(|message| wrong(span, message))?;
    }
    Ok(keymap)
}

/// The places a section is about.
fn places(section: &str) -> Result<Vec<Place>, String> {
    if section == EVERYWHERE {
        return Ok(Place::ALL.to_vec());
    }
    if let Some(place) = Place::ALL.into_iter().find(|place| place.section() == section) {
        return Ok(vec![place]);
    }
    let known: Vec<_> = std::iter::once(EVERYWHERE.to_owned()).chain(Place::ALL.map(Place::section)).collect();
    Err(match nearest(known.iter().map(String::as_str), section) {
        Some(near) => format!("there is no section \"{section}\"; did you mean \"{near}\"?"),
        None => format!("there is no section \"{section}\"; there are {}", known.join(", ")),
    })
}

fn keys(value: &Spanned<DeValue<'_>>) -> Result<Vec<Key>, (Range<usize>, String)> {
    let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Key::parse(text).map_err(|message| (value.span(), message)),
        _ => Err((value.span(), "a key is a text: \"x\", \"ctrl-x\", \"space\"".to_owned())),
    };
    match value.get_ref() {
        DeValue::Array(items) => items.iter().map(one).collect(),
        _ => one(value).map(|key| vec![key]),
    }
}

fn give(bound: &mut Bound, keys: &[Key]) -> Result<(), String> {
    let typed = keys.iter().find(|key| bound.place.takes_text() && key.is_text());
    if let Some(key) = typed {
        let place = bound.place.title();
        return Err(format!("{place}: \"{}\" is typed into the line; hold ctrl or alt with it", key.label()));
    }
    bound.keys.clear();
    // Whatever else a file says, there is a way out.
    let fixed = bound.binding.keys.iter().filter(|_| bound.binding.action == Action::Interrupt);
    for key in fixed.chain(keys) {
        if !bound.keys.contains(key) {
            bound.keys.push(*key);
        }
    }
    Ok(())
}

fn no_action(keymap: &Keymap, section: &str, places: &[Place], name: &str) -> String {
    let of = |place: &Place| keymap.bindings(*place, false).map(|bound| bound.binding.name).collect::<Vec<_>>();
    let here: Vec<_> = places.iter().flat_map(of).collect();
    if let Some(near) = nearest(here.iter().copied(), name) {
        return format!("{section} has no action \"{name}\"; did you mean \"{near}\"?");
    }
    match Place::ALL.into_iter().find(|place| of(place).contains(&name)) {
        Some(place) => format!("{section} has no action \"{name}\", but {} has", place.section()),
        None => format!("there is no action \"{name}\"; the help (?) and the palette (:) name them all"),
    }
}

/// Whether a key of this row means something else in the same place.
fn conflict(keymap: &Keymap, at: usize) -> Result<(), String> {
    let own = &keymap.rows[at];
    for other in keymap.bindings(own.place, false).filter(|other| !std::ptr::eq(*other, own)) {
        if let Some(key) = own.keys.iter().find(|key| other.keys.contains(key)) {
            return Err(format!(
                "{}: \"{}\" would be both \"{}\" and \"{}\"; give one of them another key, or [] for none",
                own.place.title(),
                key.label(),
                own.binding.name,
                other.binding.name
            ));
        }
    }
    Ok(())
}

fn line(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::screen::Screen;

    const BROWSE: Place = Place::Screen(Screen::Browse);
    const PLAN: Place = Place::Screen(Screen::Plan);

    fn shown(keymap: &Keymap, place: Place, name: &str) -> Vec<String> {
        let bound = keymap.bindings(place, false).find(|bound| bound.binding.name == name).expect("an action");
        bound.keys.iter().map(|key| key.label()).collect()
    }

    fn error(text: &str) -> String {
        Keymap::with_user(text).expect_err("a mistake").to_string()
    }

    #[test]
    fn actions_get_other_keys() {
        let keymap = Keymap::with_user(
            "[browse]\nmark = ['m', 'ctrl-o']\n[everywhere]\nmark = 'v'\ntheme = []\n[filter]\nkeep-filter = 'ctrl-o'\n",
        )
        .expect("a keymap");
        assert_eq!(shown(&keymap, BROWSE, "mark"), ["m", "ctrl-o"], "its own section holds over everywhere");
        assert_eq!(shown(&keymap, PLAN, "mark"), ["v"]);
        assert_eq!(shown(&keymap, PLAN, "theme"), Vec::<String>::new());
        assert_eq!(shown(&keymap, Place::Filter, "keep-filter"), ["ctrl-o"]);
        assert_eq!(shown(&keymap, PLAN, "down"), ["↓", "j"], "what the file does not name stays");
        assert!(Keymap::with_user("").is_ok());
    }

    #[test]
    fn two_actions_can_swap_their_keys() {
        let keymap = Keymap::with_user("[plan]\nexecute-marked = 'X'\nexecute-all = 'x'\n").expect("a keymap");
        assert_eq!(shown(&keymap, PLAN, "execute-all"), ["x"]);
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_the_nearest_name() {
        assert_eq!(
            error("[browse]\nopen = 'enter'\n\nmrak = 'm'"),
            "keymap.toml:4: browse has no action \"mrak\"; did you mean \"mark\"?"
        );
        assert_eq!(error("\n[brwose]\n"), "keymap.toml:2: there is no section \"brwose\"; did you mean \"browse\"?");
        assert_eq!(
            error("[plan]\nmark = [\n  'm',\n  'entre',\n]"),
            "keymap.toml:4: there is no key \"entre\"; did you mean \"enter\"?"
        );
        assert_eq!(error("[browse]\npause = 'p'"), "keymap.toml:2: browse has no action \"pause\", but cycle has");
        assert!(error("[browse]\nxyzzy = 'p'").starts_with("keymap.toml:2: there is no action \"xyzzy\""));
        assert!(error("[browse]\nmark = 1").starts_with("keymap.toml:2: a key is a text"));
        assert!(error("browse = 1").starts_with("keymap.toml:1: browse must be a section"));
        assert!(error("[browse]\nmark = 'm").starts_with("keymap.toml:2: "));
        assert!(!error("[browse]\nmark = 'm").contains('\n'));
    }

    #[test]
    fn a_key_has_one_meaning_in_one_place() {
        assert_eq!(
            error("[plan]\nexecute-all = ['x']"),
            "keymap.toml:2: Plan: \"x\" would be both \"execute-all\" and \"execute-marked\"; give one of them another \
             key, or [] for none"
        );
        assert!(error("[everywhere]\nmark = 'q'").contains("would be both \"mark\" and \"quit\""));
        assert!(error("[prompt]\nsubmit = 'x'").contains("is typed into the line"));
    }

    #[test]
    fn ctrl_c_stays() {
        let keymap = Keymap::with_user("[everywhere]\ninterrupt = []").expect("a keymap");
        assert_eq!(shown(&keymap, PLAN, "interrupt"), ["ctrl-c"]);
        assert!(error("[plan]\nmark = 'ctrl-c'").contains("both \"mark\" and \"interrupt\""));
    }
}
