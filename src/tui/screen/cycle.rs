//! The cycle that runs, or ran last: destinations, workers, speed, what failed, and its report.

mod charts;
mod log;
mod report;
mod totals;
mod workers;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use super::Screen;
use crate::engine::{CycleSnapshot, DestinationName, DestinationProgress};
use crate::tui::effect::cycle::Request;
use crate::tui::effect::{Control, Effect};
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Ask, Dialog, Model};
use crate::tui::update::{can_steer, movement, show};
use crate::tui::watch;
use crate::tui::widget::scroll::Scroll;
use crate::tui::widget::{cell, panel};

/// From this height on rate and latency have charts of their own, and not a line.
const CHARTED: u16 = 32;

/// From this width on what failed and what was logged stand beside each other.
const BESIDE: u16 = 150;

/// So much of a failure's message shows, if there is room for the path beside it.
const MESSAGE: usize = 24;

/// Where the cursor is: first all destinations together, then each.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    scroll: Scroll,
    /// The first line of workers, or of the report, that shows.
    top: usize,
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(to) = movement(action) {
        let (len, height) = (rows(model), totals::rows_that_fit(model));
        let before = model.cycle_list.scroll.row();
        model.cycle_list.scroll.go(to, len, height);
        if model.cycle_list.scroll.row() != before && model.cycle.report.is_none() {
            model.cycle_list.top = 0;
        }
        return Vec::new();
    }
    match action {
        Action::DetailsDown => model.cycle_list.top = (model.cycle_list.top + 1).min(overflow(model)),
        Action::DetailsUp => model.cycle_list.top = model.cycle_list.top.saturating_sub(1),
        Action::Watch => watch::toggle(model),
        Action::Open => open(model),
        Action::Pause if can_steer(model) => {
            let control = if model.cycle.is_paused() { Control::Resume } else { Control::Pause };
            return vec![Effect::Control(control)];
        }
        Action::Cancel if can_steer(model) => model.dialog = Some(Dialog::new(Ask::Cancel)),
        Action::Skip if can_steer(model) => ask_to_skip(model),
        Action::MoreWorkers if can_steer(model) => return set_workers(model, workers_each(model) + 1),
        Action::FewerWorkers if can_steer(model) => {
            return set_workers(model, workers_each(model).saturating_sub(1).max(1));
        }
        _ => {}
    }
    Vec::new()
}

/// Goes where one sees more of what the cursor is on.
fn open(model: &mut Model) {
    let chosen = chosen(model).map(|part| part.destination.clone());
    let failed = match &chosen {
        Some(name) => model.failures.iter().any(|(destination, _)| destination == name),
        None => !model.failures.is_empty(),
    };
    if failed && !model.cycle.running {
        show(model, Screen::Failures);
        return;
    }
    let at = chosen.and_then(|name| model.destinations.iter().position(|one| *one == name));
    super::plan::choose(model, at);
    show(model, Screen::Plan);
}

fn ask_to_skip(model: &mut Model) {
    let over = chosen(model).map(|part| (part.destination.clone(), part.skipped, part.pending == 0));
    match over {
        None => model.say("The cursor is on all destinations: move it to the one to skip."),
        Some((name, true, _)) => model.say(format!("{name} is skipped already.")),
        Some((name, _, true)) => model.say(format!("Nothing is left to begin at {name}.")),
        Some((name, ..)) => model.dialog = Some(Dialog::new(Ask::Skip(name))),
    }
}

/// What is said before a destination is skipped.
pub(in crate::tui) fn skipping(model: &Model, name: &DestinationName) -> String {
    let parts = model.cycle.snapshot.iter().flat_map(|snapshot| &snapshot.destinations);
    let left = parts.filter(|part| part.destination == *name).map(|part| part.pending).sum::<u64>();
    let mut text = format!(
        "Nothing more is begun at {name}: its workers finish what they write, and it is recorded. {} stay pending; the next cycle finds them again. The other destinations go on. This cannot be taken back.",
        format::plural(left, "task"),
    );
    if model.cycle.watched && model.watch.on {
        text += " The watch leaves it alone from then on, until it is started anew.";
    }
    text
}

/// Carries out what was agreed to.
pub(in crate::tui) fn skip(model: &mut Model, destination: DestinationName) -> Vec<Effect> {
    if !can_steer(model) {
        return Vec::new();
    }
    model.say(format!("{destination} is skipped: its workers finish what they write."));
    vec![Effect::Cycle(Request::Skip { destination, watched: model.cycle.watched })]
}

/// The number that was asked for last, else the most workers that a destination has.
fn workers_each(model: &Model) -> usize {
    if let Some(asked) = model.cycle.workers {
        return asked;
    }
    let snapshot = model.cycle.snapshot.as_ref();
    snapshot.and_then(|snapshot| snapshot.workers.iter().map(|worker| worker.number).max()).unwrap_or(0)
}

/// Sets how many workers each destination has.
pub(in crate::tui) fn set_workers(model: &mut Model, count: usize) -> Vec<Effect> {
    if !can_steer(model) {
        model.say("No cycle is running.");
        return Vec::new();
    }
    model.cycle.workers = Some(count);
    model.say(format!("{} per destination.", format::plural(count as u64, "worker")));
    vec![Effect::Control(Control::Workers(count))]
}

/// All of them together, and each.
fn rows(model: &Model) -> usize {
    model.cycle.snapshot.as_ref().map_or(0, |snapshot| snapshot.destinations.len() + 1)
}

/// The destination the cursor is on; `None`: all.
fn chosen(model: &Model) -> Option<&DestinationProgress> {
    let at = model.cycle_list.scroll.row().checked_sub(1)?;
    model.cycle.snapshot.as_ref()?.destinations.get(at)
}

pub(super) fn settle(model: &mut Model) {
    let (len, height) = (rows(model), totals::rows_that_fit(model));
    model.cycle_list.scroll.settle(len, height);
    model.cycle_list.top = model.cycle_list.top.min(overflow(model));
}

/// By how much the list of workers, or the report, is longer than what shows of it.
fn overflow(model: &Model) -> usize {
    let Some(snapshot) = &model.cycle.snapshot else { return 0 };
    let area = areas(model, model.body()).middle;
    match &model.cycle.report {
        Some(ended) => report::lines(model, ended, panel::text_width(area)).len().saturating_sub(height(area, 2)),
        None => workers::rows(model, snapshot).len().saturating_sub(height(area, 3)),
    }
}

fn height(area: Rect, taken: u16) -> usize {
    usize::from(area.height.saturating_sub(taken))
}

/// The parts of the screen.
#[derive(Debug, Clone, Copy)]
struct Areas {
    totals: Rect,
    /// Rate and latency beside each other; without height where they are a line among the totals.
    charts: [Rect; 2],
    /// The workers, or the report.
    middle: Rect,
    failures: Rect,
    /// Without room for both, what failed goes before what was logged.
    log: Rect,
}

fn areas(model: &Model, body: Rect) -> Areas {
    let charted = body.height >= CHARTED;
    let line = u16::from(!charted);
    let wanted = u16::try_from(rows(model)).unwrap_or(u16::MAX).saturating_add(3 + line);
    let totals = wanted.min(body.height * 2 / 5).max(5 + line);
    let charts = if charted { (body.height / 5).clamp(6, 10) } else { 0 };
    let none_failed = model.cycle.snapshot.as_ref().is_none_or(|snapshot| snapshot.recent_failures.is_empty());
    let foot = match body.height {
        // The report needs the room.
        0..CHARTED if none_failed && model.cycle.report.is_some() => 3,
        40.. => 12,
        CHARTED.. => 7,
        _ => 5,
    };
    let [totals, charts, middle, foot] = body.layout(&Layout::vertical([
        Constraint::Length(totals),
        Constraint::Length(charts),
        Constraint::Min(0),
        Constraint::Length(foot),
    ]));
    let charts = charts.layout(&Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]));
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [failures, log] = if body.width >= BESIDE {
        foot.layout(&Layout::horizontal(halves))
    } else if foot.height >= 10 {
        foot.layout(&Layout::vertical(halves))
    } else if none_failed {
        [Rect { height: 0, ..foot }, foot]
    } else {
        [foot, Rect { height: 0, ..foot }]
    };
    Areas { totals, charts, middle, failures, log }
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let Some(snapshot) = &model.cycle.snapshot else {
        view_nothing(model, body, buffer);
        return;
    };
    let areas = areas(model, body);
    totals::view(model, snapshot, areas.totals, buffer);
    if areas.charts[0].height > 0 {
        charts::rate(model, snapshot, areas.charts[0], buffer);
        charts::latency(model, snapshot, areas.charts[1], buffer);
    }
    match &model.cycle.report {
        Some(ended) => report::view(model, ended, areas.middle, buffer),
        None => workers::view(model, snapshot, areas.middle, buffer),
    }
    if areas.failures.height > 0 {
        view_failures(model, snapshot, areas.failures, buffer);
    }
    if areas.log.height > 0 {
        log::view(model, snapshot, areas.log, buffer);
    }
}

fn view_nothing(model: &Model, body: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Cycle", watch::sentence(model), body, buffer);
    let key = |action| model.keymap.key(Place::Screen(Screen::Cycle), action);
    let mut paragraphs = vec![if model.cycle.running {
        "Starting…".to_owned()
    } else if model.read_only {
        format!(
            "No cycle has run in this console. This one is read-only: {} on the Plan screen tries without writing.",
            model.keymap.key(Place::Screen(Screen::Plan), Action::DryRun)
        )
    } else {
        let plan = |action| model.keymap.key(Place::Screen(Screen::Plan), action);
        format!(
            "No cycle has run in this console. {} starts one: {} what is marked, {} all, {} a dry run.",
            model.way_to(Screen::Plan),
            plan(Action::ExecuteMarked),
            plan(Action::ExecuteAll),
            plan(Action::DryRun)
        )
    }];
    if model.watch.on {
        paragraphs.push(format!(
            "Watch mode is on: what is new, changed or gone at the origin is carried out at every tick. {} stops it.",
            key(Action::Watch)
        ));
        paragraphs.extend(model.watch.standings.iter().map(|(name, standing)| format!("{name}: {standing}.")));
    } else if !model.read_only {
        paragraphs.push(format!(
            "{} starts watch mode: it looks every {} and carries out what is new without asking.",
            key(Action::Watch),
            watch::seconds(model.watch.tick)
        ));
    }
    let width = usize::from(inner.width.saturating_sub(2));
    let lines = paragraphs.iter().flat_map(|text| cell::wrap(text, width).into_iter().chain([String::new()]));
    panel::lines(lines.map(|line| Line::styled(format!(" {line}"), theme.muted())), inner, buffer);
}

fn view_failures(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let chosen = chosen(model).map(|part| &part.destination);
    let shown = || snapshot.recent_failures.iter().filter(|(name, _)| chosen.is_none_or(|chosen| chosen == name));
    let right = match shown().count() {
        0 => Vec::new(),
        _ => vec![Span::styled(format!(" {} in all ", format::count(snapshot.failed())), theme.bad())],
    };
    let inner = panel::panel(theme, "Latest failures", right, area, buffer);
    if shown().next().is_none() {
        panel::lines([Line::styled(" none", theme.muted())], inner, buffer);
        return;
    }
    let width = usize::from(inner.width);
    let rows = usize::from(inner.height);
    let room = width.saturating_sub(model.name_width() + 12 + 7);
    let longest = shown().take(rows).map(|(_, failure)| cell::width(&failure.origin.to_string())).max().unwrap_or(0);
    // the cause has been named, so of the message its beginning will do
    let path = longest.min(room.saturating_sub(MESSAGE)).max(room / 2);
    let message = room.saturating_sub(path);
    let lines = shown().take(rows).map(|(name, failure)| {
        Line::from(vec![
            Span::styled(" ! ", theme.bad()),
            Span::styled(cell::name(name.as_str(), model.name_width()), theme.text()),
            Span::styled(format!(" {} ", cell::path(&failure.origin.to_string(), path)), theme.text()),
            Span::styled(cell::left(failure.cause.as_str(), 12), theme.bad()),
            Span::styled(cell::left(&failure.message, message), theme.muted()),
        ])
    });
    panel::lines(lines, inner, buffer);
}

/// Puts the cursor on the destination that is clicked; twice opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let area = areas(model, model.body()).totals;
    if let Some(row) = totals::row_at(model, area, at) {
        model.cycle_list.scroll.select(row);
        if twice {
            open(model);
        }
    }
    Vec::new()
}
