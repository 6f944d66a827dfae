//! Every vault at a glance, and what needs attention.

mod activity;
mod concerns;
mod facts;
mod rows;
mod tiles;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use super::Screen;
use crate::engine::{CycleSnapshot, DestinationName, SecretState, Side};
use crate::tui::effect::Effect;
use crate::tui::keymap::Action;
use crate::tui::message::SideStatus;
use crate::tui::model::{Model, obstacles};
use crate::tui::update::{movement, show};
use crate::tui::watch;
use crate::tui::widget::scroll::{Move, Scroll};

/// From this width on a vault needs one line, else two or three.
const WIDE: u16 = 176;

/// A token with less than this is worth a warning.
const SHORT_LIFE: Duration = Duration::from_hours(1);

/// While something goes on the vaults are asked again after so long, if this screen shows.
const ASK_EVERY: Duration = Duration::from_secs(30);

const STATE: usize = 19;

/// Where the cursor is, and what is known of the vaults beside what all screens know.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    /// The vault the cursor is on, among all sides; 0 is the origin.
    pub(in crate::tui) side: usize,
    /// The matter the cursor is on, if it is not on a vault.
    concern: Option<usize>,
    scroll: Scroll,
    /// The vaults come as they are configured, not the worst first.
    configured: bool,
    /// Who is at work, by side.
    held: HashMap<usize, Result<Held, String>>,
    /// When the vaults were last asked.
    asked: Option<Timestamp>,
    /// Of the running cycle: how long it had run then.
    asked_at: Duration,
    /// The ticks of the watch's clock since then.
    beats: u64,
    /// How fast the last cycle went, by destination.
    courses: BTreeMap<DestinationName, Vec<u64>>,
}

#[cfg(test)]
impl State {
    /// Whether the cursor is on what needs attention.
    pub(in crate::tui) fn is_on_a_matter(&self) -> bool {
        self.concern.is_some()
    }
}

/// Who has the locks of a side.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Held {
    pub(in crate::tui) cycle: Option<Seen>,
    pub(in crate::tui) daemon: Option<Seen>,
}

/// Who has a lock.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Seen {
    /// User and machine.
    pub(in crate::tui) who: String,
    /// What for, and which process.
    pub(in crate::tui) what: String,
    pub(in crate::tui) since: Option<Timestamp>,
    /// It is this process.
    pub(in crate::tui) own: bool,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// The vaults are being asked, at this time.
    Asking(Timestamp),
    /// Who is at work at a side, or why that could not be read.
    Held(Side, Result<Held, String>),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    match news {
        News::Asking(at) => model.overview.asked = Some(at),
        News::Held(side, held) => {
            if let Some(at) = model.sides.iter().position(|known| known.side == side) {
                model.overview.held.insert(at, held);
            }
        }
    }
    Vec::new()
}

/// Takes in how the running cycle goes; asks the vaults again from time to time, if somebody looks.
pub(in crate::tui) fn follow(model: &mut Model, snapshot: &CycleSnapshot) -> Vec<Effect> {
    for part in &snapshot.destinations {
        if !part.rate_history.is_empty() {
            model.overview.courses.insert(part.destination.clone(), part.rate_history.clone());
        }
    }
    let begun = model.cycle.snapshot.as_ref().is_none_or(|before| before.cycle != snapshot.cycle);
    if begun {
        // soon, for the locks have other holders now
        model.overview.asked_at = Duration::ZERO;
        return Vec::new();
    }
    let first = model.overview.asked_at.is_zero() && snapshot.elapsed >= Duration::from_secs(1);
    let again = snapshot.elapsed.saturating_sub(model.overview.asked_at) >= ASK_EVERY;
    if model.cycle.running && model.screen == Screen::Overview && (first || again) {
        model.overview.asked_at = snapshot.elapsed;
        return vec![Effect::Probe];
    }
    Vec::new()
}

/// Puts the cursor on a destination.
pub(in crate::tui) fn choose(model: &mut Model, destination: usize) {
    model.overview.side = destination + 1;
}

/// A second of the watch has passed.
pub(in crate::tui) fn beat(model: &mut Model) -> Vec<Effect> {
    model.overview.beats += 1;
    if model.screen == Screen::Overview && model.overview.beats >= ASK_EVERY.as_secs() {
        model.overview.beats = 0;
        return vec![Effect::Probe];
    }
    Vec::new()
}

/// How bad it stands with a destination; the worst comes first.
fn badness(model: &Model, at: usize) -> u8 {
    let (Some(name), Some(side)) = (model.destinations.get(at), model.sides.get(at + 1)) else { return u8::MAX };
    let count = |state| facts::count(model, at, state);
    let part = model.plan.as_ref().and_then(|plan| plan.destination(name));
    let short = |ttl: Option<Duration>| ttl.is_some_and(|ttl| ttl < SHORT_LIFE);
    let status = side.status.as_ref();
    let well = status.is_none_or(|status| status.token().is_some());
    let stopped = model.plan.iter().flat_map(|plan| obstacles(plan)).any(|(stopped, _)| stopped == name)
        || model.watch.standings.get(name).is_some_and(watch::Standing::is_bad)
        || model.cycle.unsaved.contains_key(name)
        || (model.cycle.running && model.cycle.blocked.contains_key(name));
    match () {
        () if !well => 0,
        () if stopped => 1,
        () if count(SecretState::Failed) > 0 => 2,
        () if count(SecretState::Drifted) > 0 || count(SecretState::Unknown) > 0 => 3,
        () if status.and_then(SideStatus::token).is_some_and(|token| short(token.ttl)) => 4,
        () if part.is_some_and(|part| !part.tasks.is_empty()) => 5,
        () => 6,
    }
}

/// The sides as they are shown: the origin, then the destinations, the worst first.
fn order(model: &Model) -> Vec<usize> {
    let mut order: Vec<usize> = (1..model.sides.len()).collect();
    if !model.overview.configured {
        order.sort_by_cached_key(|side| badness(model, side - 1));
    }
    order.insert(0, 0);
    order
}

/// Where the cursor is among the vaults that show.
fn place(model: &Model) -> usize {
    order(model).iter().position(|side| *side == model.overview.side).unwrap_or(0)
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(to) = movement(action) {
        go(model, to);
        return Vec::new();
    }
    match action {
        Action::Left | Action::Right => {
            let order = order(model);
            let at = if action == Action::Left { place(model).saturating_sub(1) } else { place(model) + 1 };
            model.overview.concern = None;
            model.overview.side = order.get(at).or(order.last()).copied().unwrap_or(0);
        }
        Action::ConfiguredOrder => {
            model.overview.configured = !model.overview.configured;
            model.say(if model.overview.configured {
                "Destinations come as they are configured."
            } else {
                "Destinations come the worst first."
            });
        }
        Action::Watch => watch::toggle(model),
        Action::Open => return open(model),
        _ => {}
    }
    Vec::new()
}

fn open(model: &mut Model) -> Vec<Effect> {
    if let Some(concern) = model.overview.concern {
        return concerns::open(model, concern);
    }
    match model.overview.side.checked_sub(1) {
        None => show(model, Screen::Browse),
        Some(destination) => {
            super::plan::choose(model, Some(destination));
            show(model, Screen::Plan);
        }
    }
    Vec::new()
}

/// From the vaults down into what needs attention, and back.
fn go(model: &mut Model, to: Move) {
    let (order, concerns) = (order(model), concerns::concerns(model).len());
    let step = tiles::columns(model, model.body()).unwrap_or(1);
    let page = rows_that_fit(model).max(2) - 1;
    let at = place(model);
    // both as one list, of which the vaults may stand several in a row
    let (vault, concern) = match (to, model.overview.concern) {
        (Move::First, _) => (0, None),
        (Move::Last, _) => (order.len() - 1, concerns.checked_sub(1)),
        (Move::Up | Move::PageUp, Some(0)) => (at, None),
        (Move::Up | Move::PageUp, Some(concern)) => (at, Some(concern - 1)),
        (Move::Down | Move::PageDown, Some(concern)) => (at, Some(concern + 1)),
        (Move::Up, None) => (if at >= step { at - step } else { at }, None),
        (Move::PageUp, None) => (at.saturating_sub(page), None),
        (Move::Down | Move::PageDown, None) => {
            let by = if to == Move::Down { step } else { page.max(step) };
            let last = order.len() - 1;
            let last_row = at / step == last / step;
            if last_row && concerns > 0 {
                (at, Some(0))
            } else {
                (if last_row { at } else { (at + by).min(last) }, None)
            }
        }
    };
    model.overview.side = order.get(vault).copied().unwrap_or(0);
    model.overview.concern = concern.map(|concern| concern.min(concerns.saturating_sub(1)));
}

pub(super) fn settle(model: &mut Model) {
    model.overview.side = model.overview.side.min(model.sides.len().saturating_sub(1));
    if model.overview.concern.is_some() {
        let last = concerns::concerns(model).len().checked_sub(1);
        model.overview.concern = model.overview.concern.zip(last).map(|(concern, last)| concern.min(last));
    }
    let (place, height) = (place(model), rows_that_fit(model));
    let step = tiles::columns(model, model.body()).unwrap_or(1);
    model.overview.scroll.select(place / step);
    model.overview.scroll.settle(model.sides.len().div_ceil(step), height);
}

/// Puts the cursor on a vault or a matter; twice opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let body = model.body();
    let [vaults, attention, _] = areas(model, body);
    let hit = match tiles::columns(model, body) {
        Some(_) => tiles::at(model, vaults, at),
        None => rows::at(model, vaults, at),
    };
    if let Some(side) = hit {
        model.overview.side = side;
        model.overview.concern = None;
    } else if let Some(concern) = concerns::at(model, attention, at) {
        model.overview.concern = Some(concern);
    } else {
        return Vec::new();
    }
    if twice { open(model) } else { Vec::new() }
}

/// Vaults, what needs attention, and the last cycles.
fn areas(model: &Model, body: Rect) -> [Rect; 3] {
    let vaults = match tiles::columns(model, body) {
        Some(columns) => tiles::height(model, columns),
        None => rows::height(model, body.width, body.height.saturating_sub(7)),
    };
    let [top, rest] = body.layout(&Layout::vertical([Constraint::Length(vaults), Constraint::Min(0)]));
    let [attention, activity] = if body.width >= WIDE {
        rest.layout(&Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]))
    } else {
        // Problems before figures.
        let problems = concerns::height(model, usize::from(body.width.saturating_sub(2)));
        let problems = u16::try_from(problems).unwrap_or(u16::MAX).saturating_add(2);
        // History has the last cycles, too
        let figures = if rest.height < 10 { 0 } else { rest.height.saturating_sub(problems).clamp(3, 8) };
        rest.layout(&Layout::vertical([Constraint::Min(3), Constraint::Length(figures)]))
    };
    [top, attention, activity]
}

fn rows_that_fit(model: &Model) -> usize {
    let body = model.body();
    match tiles::columns(model, body) {
        // they are only shown if they all fit
        Some(columns) => model.sides.len().div_ceil(columns),
        None => rows::that_fit(model, areas(model, body)[0]),
    }
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let [vaults, attention, activity] = areas(model, body);
    match tiles::columns(model, body) {
        Some(columns) => tiles::view(model, columns, vaults, buffer),
        None => rows::view(model, vaults, buffer),
    }
    concerns::view(model, attention, buffer);
    if activity.height > 0 {
        activity::view(model, activity, buffer);
    }
}
