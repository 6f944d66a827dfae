//! Every key there is, in one table: what the console obeys, what the footer hints at and what help lists.

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
    places: &'static [Place],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, action, places, hint, help, writes: false }
}

const fn writing(binding: Binding) -> Binding {
    Binding { writes: true, ..binding }
}

const OVERVIEW: Place = Place::Screen(Screen::Overview);
const BROWSE: Place = Place::Screen(Screen::Browse);
const PLAN: Place = Place::Screen(Screen::Plan);
const CYCLE: Place = Place::Screen(Screen::Cycle);
const FAILURES: Place = Place::Screen(Screen::Failures);

const SCREENS: &[Place] = &[OVERVIEW, BROWSE, PLAN, CYCLE, FAILURES];
const LISTS: &[Place] = &[BROWSE, PLAN, FAILURES];
const TASKS: &[Place] = &[BROWSE, PLAN];
const DETAILED: &[Place] = &[BROWSE, FAILURES];

const fn c(c: char) -> Key {
    Key::char(c)
}
const fn k(code: KeyCode) -> Key {
    Key::plain(code)
}

/// The table. Rows that are hinted at come in the order of the footer.
pub(super) const BINDINGS: &[Binding] = &[
    // What one came to a screen for
    writing(row(&[c('x')], Action::ExecuteMarked, TASKS, "execute marked", "execute the marked tasks (asks first)")),
    writing(row(
        &[c('X')],
        Action::ExecuteAll,
        &[PLAN],
        "execute all",
        "execute every task of the chosen destination, or of all (asks first)",
    )),
    row(&[c('d')], Action::DryRun, TASKS, "dry run", "try what the marked tasks (or all) would meet, without writing"),
    writing(row(&[c('x'), c('R')], Action::RetryMarked, &[FAILURES], "retry marked", "retry the marked (asks first)")),
    writing(row(&[c('X')], Action::RetryAll, &[FAILURES], "retry all", "retry everything that failed (asks first)")),
    row(&[c('p')], Action::Pause, &[CYCLE], "pause/resume", "pause the running cycle, or let it go on"),
    row(&[c('c')], Action::Cancel, &[CYCLE], "cancel", "cancel the running cycle (asks first)"),
    row(&[c('+'), c('=')], Action::MoreWorkers, &[CYCLE], "more workers", "one worker more per destination"),
    row(&[c('-')], Action::FewerWorkers, &[CYCLE], "fewer", "one worker less per destination"),
    row(&[c(' ')], Action::Mark, LISTS, "mark", "mark or unmark: a row, a folder or a group as a whole"),
    row(&[c('a')], Action::MarkAll, &[PLAN, FAILURES], "mark shown", "mark every row that shows"),
    row(&[c('A')], Action::ClearMarks, LISTS, "", "take all marks away"),
    row(&[c('/')], Action::Filter, LISTS, "filter", "show only paths that contain a text"),
    row(&[c('n')], Action::NextProblem, &[BROWSE], "next problem", "go to the next failed or unknown secret"),
    row(&[c('N')], Action::PreviousProblem, &[BROWSE], "", "go to the one before"),
    row(&[c('+')], Action::ToggleAdd, &[PLAN], "", "show or hide what is to be added"),
    row(&[c('*')], Action::ToggleUpdate, &[PLAN], "", "show or hide what is to be updated"),
    row(&[c('-')], Action::ToggleDelete, &[PLAN], "", "show or hide what is to be deleted"),
    row(
        &[c('~')],
        Action::ToggleDrifted,
        &[PLAN],
        "",
        "show or hide what is left alone, because somebody else wrote it",
    ),
    // Movement
    row(&[k(KeyCode::Enter)], Action::Open, &[OVERVIEW], "its plan", "show the plan for this destination"),
    row(
        &[k(KeyCode::Enter)],
        Action::Open,
        &[BROWSE],
        "open",
        "open or close a folder; show or hide a secret's details",
    ),
    row(&[k(KeyCode::Enter)], Action::Open, &[FAILURES], "details", "show or hide the whole message"),
    row(&[c('J')], Action::DetailsDown, DETAILED, "", "scroll the details down"),
    row(&[c('K')], Action::DetailsUp, DETAILED, "", "scroll the details up"),
    row(&[k(KeyCode::Right), c('l')], Action::Right, &[BROWSE], "", "open the folder, or go into it"),
    row(&[k(KeyCode::Left), c('h')], Action::Left, &[BROWSE], "", "close the folder, or go up to it"),
    row(
        &[k(KeyCode::Right), c('l')],
        Action::Right,
        &[PLAN, FAILURES],
        "",
        "the next destination only, or the next cause only",
    ),
    row(&[k(KeyCode::Left), c('h')], Action::Left, &[PLAN, FAILURES], "", "the one before, or all"),
    row(&[k(KeyCode::Down), c('j')], Action::Down, SCREENS, "", "down"),
    row(&[k(KeyCode::Up), c('k')], Action::Up, SCREENS, "", "up"),
    row(&[k(KeyCode::PageDown), Key::ctrl('f')], Action::PageDown, SCREENS, "", "a page down"),
    row(&[k(KeyCode::PageUp), Key::ctrl('b')], Action::PageUp, SCREENS, "", "a page up"),
    row(&[c('g'), k(KeyCode::Home)], Action::First, SCREENS, "", "the first row"),
    row(&[c('G'), k(KeyCode::End)], Action::Last, SCREENS, "", "the last row"),
    // Everywhere
    row(&[c('r')], Action::Refresh, SCREENS, "refresh", "look at all vaults again and plan anew"),
    row(&[c('?')], Action::Help, SCREENS, "help", "every key of this screen"),
    row(&[c('q')], Action::Quit, SCREENS, "quit", "quit; asks while a cycle runs"),
    row(&[c('1')], Action::Show(Screen::Overview), SCREENS, "", "Overview: every vault at a glance"),
    row(&[c('2')], Action::Show(Screen::Browse), SCREENS, "", "Browse: the origin's secrets, and how each stands"),
    row(&[c('3')], Action::Show(Screen::Plan), SCREENS, "", "Plan: what a cycle would do"),
    row(&[c('4')], Action::Show(Screen::Cycle), SCREENS, "", "Cycle: what the workers do now"),
    row(&[c('5')], Action::Show(Screen::Failures), SCREENS, "", "Failures: what failed, and why"),
    row(&[k(KeyCode::Tab)], Action::NextScreen, SCREENS, "", "the next screen"),
    row(&[k(KeyCode::BackTab)], Action::PreviousScreen, SCREENS, "", "the screen to the left"),
    row(&[k(KeyCode::Esc)], Action::Back, SCREENS, "", "clear the filter, else back to the screen before"),
    row(&[c('t')], Action::Theme, SCREENS, "", "the next theme"),
    row(&[Key::ctrl('z')], Action::Suspend, SCREENS, "", "back to the shell; fg returns (a cycle stands still)"),
    row(
        &[Key::ctrl('c')],
        Action::Interrupt,
        &[OVERVIEW, BROWSE, PLAN, CYCLE, FAILURES, Place::Filter, Place::Dialog, Place::Help],
        "",
        "quit; while a cycle runs: ask, again cancel it, again quit at once",
    ),
    // While a filter is typed
    row(&[k(KeyCode::Enter)], Action::Apply, &[Place::Filter], "keep the filter", "keep the filter and go to the list"),
    row(&[k(KeyCode::Esc)], Action::Back, &[Place::Filter], "clear", "show everything again"),
    row(&[k(KeyCode::Down)], Action::Down, &[Place::Filter], "", "down in the list"),
    row(&[k(KeyCode::Up)], Action::Up, &[Place::Filter], "", "up in the list"),
    // While a question is asked
    row(&[c('y')], Action::Yes, &[Place::Dialog], "yes", "yes"),
    row(&[c('n'), k(KeyCode::Esc)], Action::No, &[Place::Dialog], "no", "no"),
    row(
        &[k(KeyCode::Tab), k(KeyCode::BackTab), k(KeyCode::Left), k(KeyCode::Right), c('h'), c('l')],
        Action::OtherButton,
        &[Place::Dialog],
        "choose",
        "the other answer",
    ),
    row(&[k(KeyCode::Enter)], Action::Press, &[Place::Dialog], "answer", "give the chosen answer"),
    // In help
    row(
        &[k(KeyCode::Esc), c('?'), c('q'), k(KeyCode::Enter)],
        Action::Back,
        &[Place::Help],
        "close",
        "close this list",
    ),
    row(&[k(KeyCode::Down), c('j')], Action::Down, &[Place::Help], "down", "down"),
    row(&[k(KeyCode::Up), c('k')], Action::Up, &[Place::Help], "up", "up"),
];

/// The rows that hold in a place.
pub(super) fn bindings(place: Place, read_only: bool) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.places.contains(&place) && !(read_only && binding.writes))
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

    const PLACES: [Place; 8] = [OVERVIEW, BROWSE, PLAN, CYCLE, FAILURES, Place::Filter, Place::Dialog, Place::Help];

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
        for binding in BINDINGS {
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
