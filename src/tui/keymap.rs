//! Every key there is, in one table: what the console obeys, what the footer hints at and what help lists. The user's
//! own file may give its rows other keys.

mod browse;
mod cycle;
mod documented;
mod everywhere;
mod failures;
mod history;
mod key;
mod lists;
mod logs;
mod overview;
mod plan;
mod prompts;
mod transforms;
mod user;

use crossterm::event::{KeyCode, KeyEvent};

use super::screen::Screen;

pub use documented::{KeyRow, KeySection, key_table};
pub(super) use key::Key;
pub(super) use user::{FILE, KeymapError};

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
    SmallerList,
    BiggerList,
    Mouse,
    Filter,
    NextProblem,
    PreviousProblem,
    OnlyProblems,
    NextState,
    SortByState,
    NextKey,
    PreviousKey,
    Reveal,
    RevealCopy,
    Compare,
    CopyPath,
    CopyKey,
    CopyValue,
    MarkRange,
    Mark,
    MarkAll,
    MarkFolder,
    AskFolder,
    MarkByFile,
    SavePlan,
    LoadPlan,
    LeavePlan,
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
    ConfiguredOrder,
    Skip,
    Watch,
    MoreWorkers,
    FewerWorkers,
    RetryMarked,
    RetryAll,
    LogFollow,
    LogPause,
    LogMore,
    LogLess,
    LogWrap,
    Copy,
    Overwrite,
    Keep,
    Ignore,
    MindAgain,
    CopyRemedy,
    Export,
    Undo,
    Yes,
    No,
    OtherButton,
    Press,
    Apply,
    Complete,
    AddRule,
    DuplicateRule,
    DeleteRule,
    RuleUp,
    RuleDown,
    UndoEdit,
    RedoEdit,
    DiscardDraft,
    TryPath,
    SaveRules,
    NextField,
    PreviousField,
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
    /// While a command is typed: all other characters go into it.
    Palette,
    /// While a rule is typed: all other characters go into its field.
    Edit,
}

impl Place {
    /// All of them, in the order of the documentation.
    pub(super) const ALL: [Self; 14] = [
        OVERVIEW,
        BROWSE,
        PLAN,
        CYCLE,
        FAILURES,
        HISTORY,
        TRANSFORMS,
        LOGS,
        Self::Filter,
        Self::Prompt,
        Self::Palette,
        Self::Edit,
        Self::Dialog,
        Self::Help,
    ];

    /// What it is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Screen(screen) => screen.title(),
            Self::Filter => "Filter",
            Self::Dialog => "Question",
            Self::Help => "Help",
            Self::Prompt => "Prompt",
            Self::Palette => "Palette",
            Self::Edit => "Edit",
        }
    }

    /// What its section in a keymap file is called.
    fn section(self) -> String {
        self.title().to_lowercase()
    }

    /// Whether characters without a meaning are typed.
    fn takes_text(self) -> bool {
        matches!(self, Self::Filter | Self::Prompt | Self::Palette | Self::Edit)
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

/// The keys in force.
#[derive(Debug, Clone)]
pub(super) struct Keymap {
    rows: Vec<Bound>,
}

/// A row of the table in one place, with the keys it has there.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    pub(super) binding: &'static Binding,
    pub(super) place: Place,
    /// The first one is what the footer shows; none if the user has taken them away.
    pub(super) keys: Vec<Key>,
}

impl Default for Keymap {
    /// The table as it is.
    fn default() -> Self {
        let rows = table().flat_map(|binding| {
            let bound = move |&place| Bound { binding, place, keys: binding.keys.to_vec() };
            binding.places.iter().map(bound)
        });
        Self { rows: rows.collect() }
    }
}

impl Keymap {
    /// The table with a user's file over it.
    ///
    /// # Errors
    /// The first thing that is wrong with the file.
    pub(super) fn with_user(text: &str) -> Result<Self, KeymapError> {
        user::over(Self::default(), text)
    }

    /// The rows that hold in a place.
    pub(super) fn bindings(&self, place: Place, read_only: bool) -> impl Iterator<Item = &Bound> {
        self.rows.iter().filter(move |bound| bound.place == place && !(read_only && bound.binding.writes))
    }

    /// What a key does in a place.
    pub(super) fn lookup(&self, place: Place, read_only: bool, event: &KeyEvent) -> Option<Action> {
        self.bindings(place, read_only).find(|bound| bound.has(event)).map(|bound| bound.binding.action)
    }

    /// Whether a key would lead to a write in a place, were the console not read-only.
    pub(super) fn writes(&self, place: Place, event: &KeyEvent) -> bool {
        self.bindings(place, false).any(|bound| bound.binding.writes && bound.has(event))
    }

    /// The key to name when the operator is told to press it; its name in the palette if it has none.
    pub(super) fn key(&self, place: Place, action: Action) -> String {
        let bound = self.bindings(place, false).find(|bound| bound.binding.action == action);
        let key = bound.and_then(|bound| bound.keys.first()).map(|key| key.label());
        key.or_else(|| bound.map(|bound| format!(":{}", bound.binding.name))).unwrap_or_default()
    }
}

impl Bound {
    fn has(&self, event: &KeyEvent) -> bool {
        self.keys.iter().any(|key| key.is(event))
    }
}

/// Whether a row means the same on every screen.
pub(super) fn is_global(binding: &Binding) -> bool {
    SCREENS.iter().all(|screen| binding.places.contains(screen))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_place() {
        for place in Place::ALL {
            let (mut keys, mut names) = (HashMap::new(), HashMap::new());
            for bound in Keymap::default().bindings(place, false) {
                for key in &bound.keys {
                    let before = keys.insert(*key, bound.binding.action);
                    assert_eq!(before, None, "{} in {place:?}", key.label());
                    assert!(!(place.takes_text() && key.is_text()), "{} is typed in {place:?}", key.label());
                }
                let before = names.insert(bound.binding.name, bound.binding.action);
                assert_eq!(before, None, "{} in {place:?}", bound.binding.name);
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
        for place in Place::ALL {
            let actions: Vec<_> = Keymap::default().bindings(place, true).map(|bound| bound.binding.action).collect();
            for action in [Action::ExecuteMarked, Action::ExecuteAll, Action::RetryMarked, Action::RetryAll] {
                assert!(!actions.contains(&action), "{action:?} in {place:?}");
            }
        }
        let execute = KeyEvent::new(KeyCode::Char('X'), KeyModifiers::SHIFT);
        assert_eq!(Keymap::default().lookup(PLAN, false, &execute), Some(Action::ExecuteAll));
        assert_eq!(Keymap::default().lookup(PLAN, true, &execute), None);
    }

    #[test]
    fn control_keys_are_no_letters() {
        let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(Keymap::default().lookup(CYCLE, false, &event), Some(Action::Interrupt));
        let event = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::NONE);
        assert_eq!(Keymap::default().lookup(CYCLE, false, &event), Some(Action::Cancel));
        let event = KeyEvent::new(KeyCode::Char('x'), KeyModifiers::ALT);
        assert_eq!(Keymap::default().lookup(PLAN, false, &event), None);
    }
}
