//! Every key there is, in one table: what the console obeys, what the footer hints at and what help lists.

mod browse;
mod cycle;
mod everywhere;
mod failures;
mod history;
mod lists;
mod logs;
mod overview;
mod plan;
mod prompts;
mod transforms;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::screen::Screen;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Interrupt,
    Suspend,
    Quit,
    Help,
    Back,
    Theme,
    Show(Screen),
    NextScreen,
    Command,
    PreviousScreen,
    Refresh,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Left,
    Right,
    Open,
    DetailsDown,
    DetailsUp,
    Filter,
    NextProblem,
    PreviousProblem,
    OnlyProblems,
    NextState,
    SortByState,
    Mark,
    MarkAll,
    ClearMarks,
    ToggleAdd,
    ToggleUpdate,
    ToggleDelete,
    ToggleDrifted,
    ExecuteMarked,
    ExecuteAll,
    DryRun,
    Pause,
    Cancel,
    MoreWorkers,
    FewerWorkers,
    RetryMarked,
    RetryAll,
    Yes,
    No,
    OtherButton,
    Press,
    Apply,
}

/// Where keys have a meaning of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    Screen(Screen),
    /// While a filter is typed: all other characters go into it.
    Filter,
    /// While a question is asked.
    Dialog,
    Help,
    /// While a line is typed: all other characters go into it.
    Prompt,
}

/// A key with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Key {
    const fn plain(code: KeyCode) -> Self {
        Self { code, modifiers: KeyModifiers::NONE }
    }

    const fn char(c: char) -> Self {
        Self::plain(KeyCode::Char(c))
    }

    const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), modifiers: KeyModifiers::CONTROL }
    }

    fn is(self, event: &KeyEvent) -> bool {
        // Terminals differ in whether a capital comes with shift; the character says it already.
        let ignored = if matches!(event.code, KeyCode::Char(_) | KeyCode::BackTab) {
            KeyModifiers::SHIFT
        } else {
            KeyModifiers::NONE
        };
        self.code == event.code && self.modifiers == event.modifiers.difference(ignored)
    }

    /// As help shows it.
    pub(super) fn label(self) -> String {
        let key = match self.code {
            KeyCode::Char(' ') => "space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::Enter => "enter".to_owned(),
            KeyCode::Esc => "esc".to_owned(),
            KeyCode::Tab => "tab".to_owned(),
            KeyCode::BackTab => "shift-tab".to_owned(),
            KeyCode::PageUp => "pgup".to_owned(),
            KeyCode::PageDown => "pgdn".to_owned(),
            KeyCode::Home => "home".to_owned(),
            KeyCode::End => "end".to_owned(),
            other => format!("{other:?}").to_lowercase(),
        };
        if self.modifiers.contains(KeyModifiers::CONTROL) { format!("ctrl-{key}") } else { key }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    pub(super) keys: &'static [Key],
    pub(super) action: Action,
    /// What it is called in the palette and in a keymap file.
    pub(super) name: &'static str,
    pub(super) places: &'static [Place],
    /// Two or three words for the footer; empty: only in help.
    pub(super) hint: &'static str,
    /// A line for help.
    pub(super) help: &'static str,
    /// Leads to a write at a destination: does not exist in a read-only console.
    pub(super) writes: bool,
}

const fn row(
    keys: &'static [Key],
    action: Action,
    name: &'static str,
    places: &'static [Place],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, name, places, hint, help, writes: false }
}

const fn writing(binding: Binding) -> Binding {
    Binding { writes: true, ..binding }
}

const OVERVIEW: Place = Place::Screen(Screen::Overview);
const BROWSE: Place = Place::Screen(Screen::Browse);
const PLAN: Place = Place::Screen(Screen::Plan);
const CYCLE: Place = Place::Screen(Screen::Cycle);
const FAILURES: Place = Place::Screen(Screen::Failures);
const HISTORY: Place = Place::Screen(Screen::History);
const TRANSFORMS: Place = Place::Screen(Screen::Transforms);
const LOGS: Place = Place::Screen(Screen::Logs);

const SCREENS: &[Place] = &[OVERVIEW, BROWSE, PLAN, CYCLE, FAILURES, HISTORY, TRANSFORMS, LOGS];

const fn c(c: char) -> Key {
    Key::char(c)
}
const fn k(code: KeyCode) -> Key {
    Key::plain(code)
}

/// The table, screen by screen. Rows that are hinted at come in the order of the footer.
const TABLE: [&[Binding]; 11] = [
    overview::ROWS,
    browse::ROWS,
    plan::ROWS,
    cycle::ROWS,
    failures::ROWS,
    history::ROWS,
    transforms::ROWS,
    logs::ROWS,
    lists::ROWS,
    everywhere::ROWS,
    prompts::ROWS,
];

/// Every row of the table.
pub(super) fn table() -> impl Iterator<Item = &'static Binding> {
    TABLE.into_iter().flatten()
}

/// The rows that hold in a place.
pub(super) fn bindings(place: Place, read_only: bool) -> impl Iterator<Item = &'static Binding> {
    table().filter(move |binding| binding.places.contains(&place) && !(read_only && binding.writes))
}

/// What a key does in a place.
pub(super) fn lookup(place: Place, read_only: bool, event: &KeyEvent) -> Option<Action> {
    bindings(place, read_only)
        .find(|binding| binding.keys.iter().any(|key| key.is(event)))
        .map(|binding| binding.action)
}

/// Whether a key would lead to a write in a place, were the console not read-only.
pub(super) fn writes(place: Place, event: &KeyEvent) -> bool {
    bindings(place, false).any(|binding| binding.writes && binding.keys.iter().any(|key| key.is(event)))
}

/// Whether a row means the same on every screen.
pub(super) fn is_global(binding: &Binding) -> bool {
    SCREENS.iter().all(|screen| binding.places.contains(screen))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const PLACES: [Place; 12] = [
        OVERVIEW,
        BROWSE,
        PLAN,
        CYCLE,
        FAILURES,
        HISTORY,
        TRANSFORMS,
        LOGS,
        Place::Filter,
        Place::Dialog,
        Place::Help,
        Place::Prompt,
    ];

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in PLACES {
            let mut seen = HashMap::new();
            for binding in bindings(place, false) {
                for key in binding.keys {
                    let before = seen.insert(*key, binding.action);
                    assert_eq!(before, None, "{} in {place:?}", key.label());
                }
            }
        }
    }

    #[test]
    fn every_row_says_what_it_does() {
        for binding in table() {
            assert!(!binding.help.is_empty() && !binding.keys.is_empty() && !binding.places.is_empty(), "{binding:?}");
            assert!(binding.hint.len() <= 15, "{} is too long for a footer", binding.hint);
        }
    }

    #[test]
    fn a_read_only_console_has_no_key_that_writes() {
        for place in PLACES {
            let actions: Vec<_> = bindings(place, true).map(|binding| binding.action).collect();
            for action in [Action::ExecuteMarked, Action::ExecuteAll, Action::RetryMarked, Action::RetryAll] {
                assert!(!actions.contains(&action), "{action:?} in {place:?}");
            }
        }
        let execute = KeyEvent::new(KeyCode::Char('X'), KeyModifiers::SHIFT);
        assert_eq!(lookup(PLAN, false, &execute), Some(Action::ExecuteAll));
        assert_eq!(lookup(PLAN, true, &execute), None);
    }

    #[test]
    fn control_keys_are_no_letters() {
        let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(lookup(CYCLE, false, &event), Some(Action::Interrupt));
        let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE);
        assert_eq!(lookup(CYCLE, false, &event), Some(Action::Cancel));
        let event = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT);
        assert_eq!(lookup(PLAN, false, &event), None);
    }
}
