//! Watch mode as the console knows it: whether it is on, when it looks again, and what it leaves alone.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::Span;

use super::effect::Effect;
use super::effect::cycle::{Go, Request};
use super::format;
use super::model::{Ask, Cycle, Dialog, Model};
use super::screen::overview;
use crate::engine::{DestinationName, OperationCounts};

/// Watch mode.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub(super) on: bool,
    /// How often it looks for changes.
    pub(super) tick: Duration,
    pub(super) now: Now,
    /// When it last knew what the origin holds.
    pub(super) looked: Option<Timestamp>,
    /// Why it does nothing at a destination; those it looks after are not in here.
    pub(super) standings: BTreeMap<DestinationName, Standing>,
}

/// What it is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Now {
    /// Asking for the locks of its destinations.
    #[default]
    Beginning,
    /// Finding out what the origin holds, and planning.
    Looking,
    /// Having what it found carried out.
    Copying,
    /// Until the next tick.
    Waiting(Duration),
    /// Others look after all of its destinations.
    StandingBy,
}

/// Why nothing is done at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// A daemon, or another console's watch, looks after it. Who.
    LedBy(String),
    /// A guard stands against what is to be done.
    HeldBack(String),
    /// What cannot be taken back waits for somebody to confirm it; the rest is done.
    Unconfirmed(String),
    /// It could not be planned for, or nothing could be begun there.
    Stuck(String),
    /// Its lock cannot be asked for.
    NoLock(String),
    /// The operator skipped it during a cycle of the watch.
    LeftOut,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LedBy(who) => write!(f, "left to another watch, {who}; this one takes over when that one ends"),
            Self::HeldBack(reason) => write!(f, "the watch holds it back, nothing is written there: {reason}"),
            Self::Unconfirmed(what) => f.write_str(what),
            Self::Stuck(reason) => write!(f, "the watch cannot get on there: {reason}"),
            Self::NoLock(reason) => write!(f, "the watch does nothing there: {reason}"),
            Self::LeftOut => f.write_str("skipped, so the watch leaves it alone until it is started anew"),
        }
    }
}

impl Standing {
    /// Whether somebody should look at it.
    pub(super) fn is_bad(&self) -> bool {
        matches!(self, Self::HeldBack(_) | Self::Unconfirmed(_) | Self::Stuck(_) | Self::NoLock(_))
    }

    /// In a word or two.
    pub(super) fn brief(&self) -> &'static str {
        match self {
            Self::LedBy(_) => "led by another",
            Self::HeldBack(_) | Self::Unconfirmed(_) => "held back",
            Self::Stuck(_) => "stuck",
            Self::NoLock(_) => "no lock",
            Self::LeftOut => "left out",
        }
    }
}

/// What comes back from the watch.
#[derive(Debug)]
pub(super) enum News {
    Now(Now),
    Looked(Timestamp),
    /// What it found looks different from before: somebody may have run cycles meanwhile.
    Changed,
    /// All that is to be known of its destinations.
    Standings(BTreeMap<DestinationName, Standing>),
    /// Something is to be done.
    Ready(Box<Go>),
    /// It has let go of its locks.
    Over,
}

/// Takes in what came back.
pub(super) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    match news {
        News::Now(now) => {
            model.watch.now = now;
            return overview::beat(model);
        }
        News::Looked(at) => model.watch.looked = Some(at),
        News::Changed => return vec![Effect::Reports],
        News::Standings(standings) => {
            let begun = standings.iter().find(|(name, standing)| {
                *standing != &Standing::LeftOut && model.watch.standings.get(*name) != Some(*standing)
            });
            if let Some((name, standing)) = begun.filter(|_| model.watch.on) {
                let text = format!("{name}: {standing}");
                if standing.is_bad() { model.warn(text) } else { model.say(text) }
            } else if let Some(name) = model.watch.standings.keys().find(|name| !standings.contains_key(*name)) {
                model.say(format!("{name}: the watch looks after it again."));
            }
            model.watch.standings = standings;
            // others may have its locks by now, or this one
            return vec![Effect::Probe];
        }
        News::Ready(go) => return begin(model, go),
        News::Over => {
            if !model.watch.on {
                model.watch.standings.clear();
            }
            return vec![Effect::Probe];
        }
    }
    Vec::new()
}

/// Begins a cycle of the watch, unless the operator has one, or is about to begin one.
fn begin(model: &mut Model, go: Box<Go>) -> Vec<Effect> {
    let asked = matches!(model.dialog, Some(Dialog { ask: Ask::Start(_), .. }));
    if !model.watch.on || model.read_only || model.quitting || model.cycle.running || asked {
        // that it is dropped tells the watch to come back at its next tick
        return Vec::new();
    }
    model.cycle = Cycle { running: true, watched: true, ..Cycle::default() };
    vec![Effect::Cycle(Request::Execute(go))]
}

/// The key that starts and stops it.
pub(super) fn toggle(model: &mut Model) {
    let ask = if model.watch.on { Ask::Unwatch } else { Ask::Watch { deletes: to_do(model).delete } };
    model.dialog = Some(Dialog::new(ask));
}

/// What the first cycle would do by the plan that shows: nothing where a guard stands against it.
fn to_do(model: &Model) -> OperationCounts {
    let parts = model.plan.iter().flat_map(|plan| &plan.destinations);
    let mut counts = OperationCounts::default();
    for part in parts.filter(|part| part.objections.is_empty() && part.unavailable.is_none()) {
        counts += part.counts();
    }
    counts
}

pub(super) fn start(model: &mut Model) -> Vec<Effect> {
    if model.read_only || model.watch.on {
        return Vec::new();
    }
    model.watch = Watch { on: true, tick: model.watch.tick, ..Watch::default() };
    model.say("Watch mode is on.");
    vec![Effect::Cycle(Request::Watch(model.watch.tick))]
}

pub(super) fn stop(model: &mut Model) -> Vec<Effect> {
    model.watch = Watch { tick: model.watch.tick, ..Watch::default() };
    model.say(if model.cycle.running && model.cycle.watched {
        "The watch is off. Its last cycle goes on to its end."
    } else {
        "The watch is off: nothing is written without being asked for."
    });
    vec![Effect::Cycle(Request::Unwatch)]
}

/// What the question says that starting it will do.
pub(super) fn promise(model: &Model) -> Vec<String> {
    let names: Vec<&str> = model.destinations.iter().map(DestinationName::as_str).collect();
    let every = seconds(model.watch.tick);
    let mut text = vec![format!(
        "At once and then every {every} vsync looks at the origin and, WITHOUT ASKING AGAIN, carries out what is to be done at {}: it adds, updates and deletes secrets, as vsync sync --watch does.",
        names.join(", ")
    )];
    let production: Vec<&str> = model
        .destinations
        .iter()
        .filter(|name| model.production.contains(*name))
        .map(DestinationName::as_str)
        .collect();
    if !production.is_empty() {
        text.push(format!("Production among them: {}.", production.join(", ")));
    }
    if to_do(model).total() > 0 {
        text.push(format!("By the plan that shows that is now: {}.", super::model::in_words(to_do(model))));
    }
    if let Some(words) = to_do(model).irrevocable_in_words() {
        text.push(format!(
            "Of the deletes {words} would be for good. The watch does that only as far as guards.max_purge allows (0 unless it is set); the rest waits for an execution that confirms it."
        ));
    }
    text.push(
        "Guards hold as ever: where one stands against the plan nothing is written, and it is told. A daemon that looks after a destination keeps it. It ends with the console."
            .to_owned(),
    );
    text
}

/// For the line at the top of every screen.
pub(super) fn status(model: &Model) -> Vec<Span<'static>> {
    let (theme, watch) = (&model.theme, &model.watch);
    if !watch.on {
        return Vec::new();
    }
    let mut spans = vec![Span::styled(format!("  watch {} ", brief(watch)), theme.title())];
    let bad = watch.standings.values().filter(|standing| standing.is_bad()).count();
    if bad > 0 {
        spans.push(Span::styled(format!("! {bad} held back "), theme.bad()));
    }
    spans
}

/// In a word, what it does or when it will.
fn brief(watch: &Watch) -> String {
    match watch.now {
        Now::Beginning => "begins".to_owned(),
        Now::Looking => "looks".to_owned(),
        Now::Copying => "copies".to_owned(),
        Now::Waiting(left) => seconds(left),
        Now::StandingBy => "stands by".to_owned(),
    }
}

/// Whole seconds: a countdown with tenths would want to be drawn ten times a second.
pub(super) fn seconds(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        _ => format::duration(left),
    }
}

/// What the next tick does at a destination, or why not.
pub(super) fn next_tick(model: &Model, name: &DestinationName) -> (String, Style) {
    let (theme, watch) = (&model.theme, &model.watch);
    if !watch.on {
        return ("no watch".to_owned(), theme.muted());
    }
    if let Some(standing) = watch.standings.get(name) {
        return (standing.brief().to_owned(), if standing.is_bad() { theme.bad() } else { theme.warning() });
    }
    let text = match watch.now {
        Now::Waiting(left) => format!("next in {}", seconds(left)),
        _ => format!("watch {}", brief(watch)),
    };
    (text, theme.accent())
}

/// From this width on there is room for when it last looked.
const ROOM_FOR_LOOKED: u16 = 110;

/// In a sentence, for the frame of the Cycle screen.
pub(super) fn sentence(model: &Model) -> Vec<Span<'static>> {
    let (theme, watch) = (&model.theme, &model.watch);
    if !watch.on {
        return Vec::new();
    }
    let every = seconds(watch.tick);
    let looked = watch.looked.filter(|_| model.size.width >= ROOM_FOR_LOOKED);
    let looked = looked.map(|at| format!("looked at {}, ", format::clock(at))).unwrap_or_default();
    let text = match watch.now {
        Now::Waiting(left) => format!(" watch every {every}, {looked}next in {} ", seconds(left)),
        _ => format!(" watch every {every}, {looked}{} ", brief(watch)),
    };
    vec![Span::styled(text, theme.accent())]
}
