//! Everything the console knows. Changed by `update` alone, drawn by `view`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ratatui::layout::{Constraint, Direction, Layout, Rect, Size};
use ratatui::style::Style;

use super::effect::Marked;
use super::keymap::{Action, Keymap, Place};
use super::message::{Purpose, Selected, SideStatus};
use super::palette;
use super::prompt::{Line, Prompt};
use super::screen::{Screen, browse, cycle, failures, history, logs, overview, plan, transforms};
use super::settings::{self, Settings};
use super::theme::{Theme, Themes};
use super::watch::Watch;
use super::widget::cell;
use super::widget::split::{Share, Split};
use super::widget::tree::Marks;
use crate::engine::{
    CycleSnapshot, Decision, DestinationName, Failure, Objection, OperationCounts, Phase, Plan, Report, Rule, Side,
    UnknownSubtree,
};
use crate::kv::Mount;

/// The least columns that a destination's name gets.
const NAME: usize = 14;

/// The smallest size at which there is something to see.
pub(super) const SMALLEST: Size = Size { width: 60, height: 15 };

/// The model.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(super) struct Model {
    pub(super) size: Size,
    pub(super) theme: Theme,
    pub(super) themes: Themes,
    pub(super) keymap: Keymap,
    pub(super) ascii: bool,
    pub(super) settings: settings::State,
    /// Whether the mouse is the console's; else the terminal selects text with it.
    pub(super) mouse: bool,
    /// Whether the divider is being dragged.
    pub(super) dragging: bool,
    pub(super) read_only: bool,
    /// Destinations that are marked as production.
    pub(super) production: BTreeSet<DestinationName>,
    /// Sides whose certificate nobody checks.
    pub(super) unverified: Vec<String>,
    /// The configuration's file, if there is one.
    pub(super) file: Option<PathBuf>,
    pub(super) title: Option<String>,
    /// Where the operator has put dividers.
    pub(super) shares: HashMap<(Screen, Direction), Share>,
    pub(super) screen: Screen,
    pub(super) previous: Option<Screen>,
    /// The first line of help that shows, while help shows.
    pub(super) help: Option<usize>,
    /// Whether keys go into the screen's filter.
    pub(super) filtering: bool,
    pub(super) dialog: Option<Dialog>,
    /// A line that is being typed: a command, a file's name, a reason.
    pub(super) prompt: Option<Prompt>,
    pub(super) palette: palette::State,
    /// A retry that was planned while the operator was busy elsewhere: asked about when its key is pressed again.
    pub(super) held: Option<Box<Selected>>,
    /// Shown in place of the footer until the next key.
    pub(super) notice: Option<Notice>,
    /// What a panic outside of the console said last.
    pub(super) bug: Option<String>,
    /// Quit as soon as the cycle has ended.
    pub(super) quitting: bool,

    pub(super) mounts: Vec<Mount>,
    pub(super) destinations: Vec<DestinationName>,
    /// The origin, then the destinations.
    pub(super) sides: Vec<SideView>,
    /// While the origin is being listed: secrets found so far.
    pub(super) listing: Option<u64>,
    pub(super) unknown: Vec<UnknownSubtree>,
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) failures: Vec<(DestinationName, Failure)>,
    pub(super) failures_error: Option<String>,
    /// Newest first, without dry runs.
    pub(super) history: Vec<Report>,
    /// Whether they have been read.
    pub(super) history_read: bool,
    pub(super) history_error: Option<String>,
    pub(super) cycle: Cycle,
    pub(super) watch: Watch,
    /// Marked tasks, per destination by origin path.
    pub(super) marks: Vec<Marks>,

    pub(super) overview: overview::State,
    pub(super) browse: browse::State,
    pub(super) plan_list: plan::State,
    pub(super) cycle_list: cycle::State,
    pub(super) failure_list: failures::State,
    pub(super) history_list: history::State,
    pub(super) transform_list: transforms::State,
    pub(super) log_list: logs::State,
}

/// A server and how it answered last.
#[derive(Debug)]
pub(super) struct SideView {
    pub(super) side: Side,
    pub(super) address: String,
    /// `None` until it has answered for the first time.
    pub(super) status: Option<SideStatus>,
}

impl SideView {
    /// What it is called.
    pub(super) fn name(&self) -> &str {
        match &self.side {
            Side::Origin => "origin",
            Side::Destination(name) => name.as_str(),
        }
    }
}

/// The cycle that runs, or ran last in this console.
#[derive(Debug, Default)]
pub(super) struct Cycle {
    pub(super) running: bool,
    /// Watch mode began it.
    pub(super) watched: bool,
    pub(super) cancelling: bool,
    /// Workers per destination, if the operator has changed their number.
    pub(super) workers: Option<usize>,
    pub(super) snapshot: Option<Arc<CycleSnapshot>>,
    pub(super) report: Option<Arc<Report>>,
    /// While it runs: state that could not be saved, newest reason per destination.
    pub(super) unsaved: BTreeMap<DestinationName, String>,
    /// Destinations where nothing more is begun, and why, in a sentence.
    pub(super) blocked: BTreeMap<DestinationName, String>,
}

impl Cycle {
    /// Whether workers are held back.
    pub(super) fn is_paused(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.phase == Phase::Paused)
    }
}

/// A question that stands before everything else.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) ask: Ask,
    /// Whether yes is chosen; no is at first.
    pub(super) chosen: bool,
    /// Whether it takes an answer.
    pub(super) armed: bool,
    /// What has been typed, where a number must be.
    pub(super) typed: String,
    /// What was typed was another number.
    pub(super) wrong: bool,
}

/// What is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Start(Box<Selected>),
    Cancel,
    /// Begin nothing more at a destination.
    Skip(DestinationName),
    /// Start watch mode, whose first cycle would delete so many secrets.
    Watch {
        deletes: u64,
    },
    Unwatch,
    Quit,
    Browse(browse::Question),
    /// Throw a draft of rules away.
    DiscardDraft,
    /// Take rules over.
    SaveRules(Box<transforms::Saving>),
}

impl Dialog {
    /// A question that the operator has just called for.
    pub(super) fn new(ask: Ask) -> Self {
        Self { ask, chosen: false, armed: true, typed: String::new(), wrong: false }
    }

    /// A question that comes up by itself, while keys are pressed that may be meant for something else.
    pub(super) fn unasked(ask: Ask) -> Self {
        Self { armed: false, ..Self::new(ask) }
    }

    /// Whether one can say yes: not to a plan against which a guard stands.
    pub(super) fn can_agree(&self) -> bool {
        match &self.ask {
            Ask::Start(selected) => obstacles(&selected.plan).next().is_none(),
            Ask::Cancel
            | Ask::Skip(_)
            | Ask::Watch { .. }
            | Ask::Unwatch
            | Ask::Quit
            | Ask::Browse(_)
            | Ask::DiscardDraft
            | Ask::SaveRules(_) => true,
        }
    }

    /// The number that has to be typed before one can say yes: how many secrets would be destroyed or purged for good, else
    /// how many would be deleted.
    pub(super) fn must_type(&self) -> Option<u64> {
        match &self.ask {
            Ask::Watch { deletes } => Some(*deletes).filter(|deletes| *deletes > 0),
            Ask::Start(selected) if selected.asked.purpose.deletes() && self.can_agree() => {
                let for_good = self.for_good().map(|counts| counts.irrevocable());
                for_good.or(Some(selected.plan.counts().delete)).filter(|deletes| *deletes > 0)
            }
            _ => None,
        }
    }

    /// What would be done that nothing can take back, if anything.
    pub(super) fn for_good(&self) -> Option<OperationCounts> {
        let Ask::Start(selected) = &self.ask else { return None };
        let counts = selected.plan.counts();
        (counts.irrevocable() > 0 && selected.asked.purpose.deletes()).then_some(counts)
    }
}

/// What stands against executing a plan.
pub(super) fn obstacles(plan: &Plan) -> impl Iterator<Item = (&DestinationName, Obstacle<'_>)> {
    plan.destinations.iter().flat_map(|part| {
        let unavailable = part.unavailable.as_deref().map(Obstacle::Unavailable);
        let objections = part.objections.iter().map(Obstacle::Objection);
        unavailable.into_iter().chain(objections).map(move |obstacle| (&part.destination, obstacle))
    })
}

/// One thing that stands against executing a plan.
#[derive(Debug, Clone, Copy)]
pub(super) enum Obstacle<'a> {
    Unavailable(&'a str),
    Objection(&'a Objection),
}

impl std::fmt::Display for Obstacle<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unavailable(reason) => write!(f, "no plan, because its state could not be read: {reason}"),
            Self::Objection(objection) => objection.fmt(f),
        }
    }
}

/// A line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) bad: bool,
}

/// What the console is started with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) size: Size,
    pub(super) theme: Theme,
    pub(super) themes: Themes,
    pub(super) ascii: bool,
    /// Whether the mouse is the console's, if that is asked for on the command line.
    pub(super) mouse: Option<bool>,
    /// Whether the theme is asked for there.
    pub(super) theme_is_forced: bool,
    pub(super) read_only: bool,
    pub(super) production: BTreeSet<DestinationName>,
    pub(super) unverified: Vec<String>,
    pub(super) file: Option<PathBuf>,
    pub(super) title: Option<String>,
    /// How often watch mode looks for changes.
    pub(super) tick: Duration,
    pub(super) mounts: Vec<Mount>,
    pub(super) origin: String,
    /// The log of this run, if there is one.
    pub(super) log: Option<logs::Source>,
    /// Names and addresses.
    pub(super) destinations: Vec<(DestinationName, String)>,
    /// The rules of each destination, and its mounts.
    pub(super) rules: Vec<(Vec<Rule>, Vec<Mount>)>,
}

impl Model {
    /// A console that knows nothing yet.
    pub(super) fn new(setup: Setup) -> Self {
        let names: Vec<_> = setup.destinations.iter().map(|(name, _)| name.clone()).collect();
        let origin = SideView { side: Side::Origin, address: setup.origin, status: None };
        let others = setup.destinations.into_iter().map(|(name, address)| SideView {
            side: Side::Destination(name),
            address,
            status: None,
        });
        Self {
            size: setup.size,
            theme: setup.theme,
            settings: settings::State {
                shipped: setup.themes.clone(),
                own: BTreeMap::new(),
                last: Settings::default(),
                theme_is_forced: setup.theme_is_forced,
                mouse_is_forced: setup.mouse.is_some(),
                needs_ascii: setup.ascii,
            },
            themes: setup.themes,
            keymap: Keymap::default(),
            ascii: setup.ascii,
            mouse: setup.mouse.unwrap_or(true),
            dragging: false,
            read_only: setup.read_only,
            production: setup.production,
            unverified: setup.unverified,
            file: setup.file,
            title: setup.title,
            shares: HashMap::new(),
            screen: Screen::Overview,
            previous: None,
            help: None,
            filtering: false,
            dialog: None,
            prompt: None,
            palette: palette::State::default(),
            held: None,
            notice: None,
            bug: None,
            quitting: false,
            mounts: setup.mounts,
            sides: std::iter::once(origin).chain(others).collect(),
            listing: None,
            unknown: Vec::new(),
            plan: None,
            failures: Vec::new(),
            failures_error: None,
            history: Vec::new(),
            history_read: false,
            history_error: None,
            cycle: Cycle::default(),
            marks: vec![Marks::default(); names.len()],
            watch: Watch { tick: setup.tick, ..Watch::default() },
            overview: overview::State::default(),
            browse: browse::State::new(names.len()),
            plan_list: plan::State::default(),
            cycle_list: cycle::State::default(),
            failure_list: failures::State::default(),
            history_list: history::State::default(),
            log_list: logs::State::new(setup.log),
            transform_list: transforms::State::new(setup.rules),
            destinations: names,
        }
    }

    /// Where keys are looked up now.
    pub(super) fn place(&self) -> Place {
        if self.dialog.is_some() {
            Place::Dialog
        } else if let Some(prompt) = &self.prompt {
            if prompt.ask == Line::Command { Place::Palette } else { Place::Prompt }
        } else if self.help.is_some() {
            Place::Help
        } else if self.filtering {
            Place::Filter
        } else if self.screen == Screen::Transforms && self.transform_list.is_editing() {
            Place::Edit
        } else {
            Place::Screen(self.screen)
        }
    }

    /// How a destination's name is written: production is red wherever it turns up.
    pub(super) fn name_style(&self, name: &DestinationName) -> Style {
        if self.production.contains(name) { self.theme.bad() } else { self.theme.strong() }
    }

    /// A screen as the operator is sent to it: `Failures (5)`.
    pub(super) fn way_to(&self, screen: Screen) -> String {
        format!("{} ({})", screen.title(), self.keymap.key(Place::Screen(self.screen), Action::Show(screen)))
    }

    /// The keys that scroll what stands beside the list: `J K`.
    pub(super) fn scroll_keys(&self) -> String {
        let key = |action| self.keymap.key(Place::Screen(self.screen), action);
        format!("{} {}", key(Action::DetailsDown), key(Action::DetailsUp))
    }

    /// Whether quitting would break something off or throw something away.
    pub(super) fn loses_something(&self) -> bool {
        self.cycle.running || self.watch.on || transforms::has_drafts(self)
    }

    /// Whether nothing can be seen but that the terminal is too small.
    pub(super) fn is_too_small(&self) -> bool {
        self.size.width < SMALLEST.width || self.size.height < SMALLEST.height
    }

    /// Header, body and footer for this size.
    pub(super) fn layout(&self) -> [Rect; 3] {
        let area = Rect::new(0, 0, self.size.width, self.size.height);
        area.layout(&Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]))
    }

    /// The columns that a destination's name gets where there are others beside it: more on a wide terminal, if the
    /// names need them.
    pub(super) fn name_width(&self) -> usize {
        let longest = self.destinations.iter().map(|name| cell::width(name.as_str())).max().unwrap_or(0);
        longest.clamp(NAME, NAME.max(usize::from(self.body().width) / 8))
    }

    /// The part of the screen that belongs to the screen.
    pub(super) fn body(&self) -> Rect {
        self.layout()[1]
    }

    /// A divided part of a screen: its divider is where the operator has put it, or else leaves `usual` columns or rows
    /// to the second part.
    pub(super) fn divide(
        &self,
        screen: Screen,
        direction: Direction,
        area: Rect,
        usual: u16,
        least: [u16; 2],
    ) -> Split {
        Split::new(direction, area, self.shares.get(&(screen, direction)).copied(), usual, least)
    }

    /// Tells the operator something.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), bad: false });
    }

    /// Tells the operator that something is wrong.
    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), bad: true });
    }

    /// The marked tasks.
    pub(super) fn marked_tasks(&self) -> Marked {
        let parts = self.destinations.iter().zip(&self.marks);
        parts.flat_map(|(name, marks)| marks.iter().map(move |path| (name.clone(), path.clone()))).collect()
    }

    /// How many tasks are marked.
    pub(super) fn marked(&self) -> usize {
        self.marks.iter().map(Marks::len).sum()
    }

    /// The last report that concerns a destination.
    pub(super) fn last_report(&self, name: &DestinationName) -> Option<&Report> {
        self.history.iter().find(|report| report.destinations.iter().any(|part| part.destination == *name))
    }
}

/// `add 12, update 3, delete 1`, without what is zero.
pub(super) fn in_words(counts: OperationCounts) -> String {
    let parts: Vec<_> = crate::engine::Operation::ALL
        .iter()
        .filter(|operation| counts.of(**operation) > 0)
        .map(|operation| format!("{} {}", operation.as_str(), super::format::count(counts.of(*operation))))
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

/// What a purpose is called in a title.
pub(super) fn purpose_title(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Execute => "Execute",
        Purpose::DryRun => "Dry run",
        Purpose::Exact => "Execute the saved plan",
        Purpose::Retry => "Retry",
        Purpose::Undo(_) => "Undo",
        Purpose::Decide(Decision::Overwrite) => "The origin is right: overwrite",
        Purpose::Decide(Decision::Keep) => "The destination is right: keep",
    }
}
