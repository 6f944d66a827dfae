//! Past cycles from the state store: the list, one cycle's report, two side by side, and what undoing one would do.

mod list;
mod sheet;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Direction, Position, Rect};

use crate::engine::{CycleId, DestinationName, Ending, Report, Undo};
use crate::export::Format;
use crate::state::{Change, LockHolder, LockTaken};
use crate::tui::effect::history::Request;
use crate::tui::effect::{Effect, Keep};
use crate::tui::filter::Filter;
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::message::{Asked, Purpose, Selected};
use crate::tui::model::{Ask, Dialog, Model};
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::Screen;
use crate::tui::update::movement;
use crate::tui::widget::panel;
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::split::Split;

/// So near to the end of the list older cycles are asked for.
const NEAR_END: usize = 10;

/// The cycles as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    pub(in crate::tui) filter: Filter,
    /// Cycles before those of the model, newest first.
    older: Vec<Report>,
    /// Whether the store has none before these.
    complete: bool,
    /// Older ones are being read.
    loading: bool,
    /// Why they could not be.
    error: Option<String>,
    /// Those that the filter lets through, by their place among all.
    rows: Vec<usize>,
    scroll: Scroll,
    marks: Vec<CycleId>,
    /// What stands over the list.
    over: Option<Over>,
    /// The first line that shows of what is over the list, or of the report beside it.
    top: usize,
    /// Whether it is to be found out who is at work.
    stale: bool,
    /// Who has the lock of a destination's cycles.
    holders: BTreeMap<DestinationName, LockHolder>,
    changes: Option<Changes>,
    /// The cycle whose undo is being planned.
    planning: Option<CycleId>,
}

/// What stands over the list.
#[derive(Debug)]
enum Over {
    Report(CycleId),
    /// The older one, and the newer one.
    Comparison(CycleId, CycleId),
    Undo(Box<Preview>),
}

/// What undoing a cycle would do.
#[derive(Debug)]
pub(in crate::tui) struct Preview {
    pub(in crate::tui) undo: Undo,
    /// Daemons that would copy it again.
    pub(in crate::tui) daemons: Vec<(DestinationName, LockTaken)>,
    /// Whether it brings back what the origin holds.
    pub(in crate::tui) brings_back: bool,
}

/// What was changed at a destination; or why that cannot be told.
pub(in crate::tui) type ChangedAt = (DestinationName, Result<Vec<Change>, String>);

/// What a cycle changed, destination by destination.
#[derive(Debug)]
struct Changes {
    cycle: CycleId,
    /// `None` while they are being read.
    parts: Option<Vec<ChangedAt>>,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// Older cycles, and whether there are still older ones.
    Older(Result<(Vec<Report>, bool), String>),
    /// Who has the locks of destinations' cycles.
    Holders(BTreeMap<DestinationName, LockHolder>),
    /// What a cycle changed.
    Changes(CycleId, Vec<ChangedAt>),
    /// A report is in a file; or why it is not.
    Exported(Result<String, String>),
    /// What undoing a cycle would do.
    Undo(Box<Preview>),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let state = &mut model.history_list;
    match news {
        News::Older(Ok((reports, more))) => {
            state.loading = false;
            state.complete = !more;
            state.error = None;
            let at = cursor(model);
            model.history_list.older.extend(reports);
            adopt(model, at);
        }
        News::Older(Err(reason)) => {
            state.loading = false;
            state.error = Some(reason);
        }
        News::Holders(holders) => state.holders = holders,
        News::Changes(cycle, parts) => {
            if let Some(changes) = state.changes.as_mut().filter(|changes| changes.cycle == cycle) {
                changes.parts = Some(parts);
            }
        }
        News::Exported(Ok(file)) => model.say(format!("The report is in {file}, for its owner alone.")),
        News::Exported(Err(reason)) => model.warn(format!("Not exported: {reason}")),
        News::Undo(preview) => planned(model, preview),
    }
    Vec::new()
}

fn planned(model: &mut Model, preview: Box<Preview>) {
    let state = &mut model.history_list;
    // whoever has asked for another one since, or gone back, waits for this no longer
    if state.planning != Some(preview.undo.cycle) {
        return;
    }
    state.planning = None;
    model.notice = None;
    let undo = &preview.undo;
    let unavailable = undo.plan.destinations.iter().any(|part| part.unavailable.is_some());
    if !unavailable && undo.parts.iter().all(|part| part.changed == 0 && part.untouched == 0) {
        model.say("Nothing is recorded of what this cycle changed: it changed nothing, or is none of the newest 50.");
        return;
    }
    let state = &mut model.history_list;
    state.over = Some(Over::Undo(preview));
    state.top = 0;
    if model.screen != Screen::History {
        model.say(format!("The undo is planned: {} shows what it would do.", model.way_to(Screen::History)));
    }
}

/// The newest cycles have been read again; what has been the newest before is not forgotten.
pub(in crate::tui) fn refreshed(model: &mut Model, newest: Vec<Report>) {
    // whoever comes here after a cycle means that one
    let follows = model.screen != Screen::History && model.history_list.scroll.row() == 0;
    let at = if follows { None } else { cursor(model) };
    let former = std::mem::replace(&mut model.history, newest);
    model.history_list.older.extend(former);
    model.history_list.stale = true;
    adopt(model, at);
}

/// Brings older cycles in order after a change; none is there twice. The cursor stays where it was.
fn adopt(model: &mut Model, at: Option<CycleId>) {
    let oldest = model.history.last().map(|report| report.cycle);
    let older = &mut model.history_list.older;
    // one that is none of the newest any more, and not older than these, is gone from the store
    older.retain(|report| !report.dry_run && oldest.is_some_and(|oldest| report.cycle < oldest));
    older.sort_by_key(|report| std::cmp::Reverse(report.cycle));
    older.dedup_by_key(|report| report.cycle);
    rebuild_around(model, at);
}

/// The report at a place among all.
fn nth(model: &Model, at: usize) -> Option<&Report> {
    let newest = model.history.len();
    if at < newest { model.history.get(at) } else { model.history_list.older.get(at - newest) }
}

fn all(model: &Model) -> impl Iterator<Item = &Report> {
    model.history.iter().chain(&model.history_list.older)
}

fn find(model: &Model, cycle: CycleId) -> Option<&Report> {
    all(model).find(|report| report.cycle == cycle)
}

/// The cycle under the cursor.
fn current(model: &Model) -> Option<&Report> {
    let state = &model.history_list;
    nth(model, *state.rows.get(state.scroll.row())?)
}

/// The cycle that is looked at: the one that is open, or the one under the cursor.
fn looked_at(model: &Model) -> Option<&Report> {
    match &model.history_list.over {
        Some(Over::Report(cycle)) => find(model, *cycle),
        Some(Over::Undo(preview)) => find(model, preview.undo.cycle),
        _ => current(model),
    }
}

/// Brings the rows in line with the filter; the cursor stays on its cycle.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let at = cursor(model);
    rebuild_around(model, at);
}

fn cursor(model: &Model) -> Option<CycleId> {
    current(model).map(|report| report.cycle)
}

fn rebuild_around(model: &mut Model, at: Option<CycleId>) {
    let needle = model.history_list.filter.needle();
    let shows = |report: &Report| {
        let names = report.destinations.iter().map(|part| part.destination.as_str()).collect::<Vec<_>>().join(" ");
        needle.is_empty()
            || needle.found_in(&format!(
                "{} {} {} {}@{} {names}",
                report.cycle,
                report.purpose(),
                word(model, report),
                report.operator,
                report.host
            ))
    };
    let rows: Vec<usize> = all(model).enumerate().filter(|(_, report)| shows(report)).map(|(at, _)| at).collect();
    let row = at.and_then(|at| rows.iter().position(|row| nth(model, *row).is_some_and(|one| one.cycle == at)));
    let known: Vec<CycleId> = all(model).map(|report| report.cycle).collect();
    let state = &mut model.history_list;
    state.rows = rows;
    state.marks.retain(|mark| known.contains(mark));
    if let Some(row) = row {
        state.scroll.select(row);
    }
}

/// How a cycle ended, in a word; one that never said so may still be running.
fn word(model: &Model, report: &Report) -> &'static str {
    if report.ending == Ending::Unfinished && is_running(model, report) { "running" } else { report.ending.as_str() }
}

/// Whether an unfinished cycle is at work: this console's, or one whose lock is held by who ran it.
fn is_running(model: &Model, report: &Report) -> bool {
    let own = model.cycle.running && model.cycle.snapshot.as_ref().is_some_and(|one| one.cycle == report.cycle);
    own || report.destinations.iter().any(|part| {
        let Some(holder) = model.history_list.holders.get(&part.destination) else { return false };
        let concerns = |other: &&Report| other.destinations.iter().any(|one| one.destination == part.destination);
        let newest = all(model).find(concerns).is_some_and(|newest| newest.cycle == report.cycle);
        newest && holder.operator == report.operator && holder.host == report.host
    })
}

/// What is to be found out for what shows.
pub(in crate::tui) fn wants(model: &mut Model) -> Vec<Effect> {
    if model.screen != Screen::History {
        return Vec::new();
    }
    let mut effects = Vec::new();
    if std::mem::take(&mut model.history_list.stale) {
        let unfinished = |report: &&Report| report.ending == Ending::Unfinished;
        let mut names: Vec<DestinationName> = all(model)
            .filter(unfinished)
            .flat_map(|report| &report.destinations)
            .map(|part| part.destination.clone())
            .collect();
        names.sort_unstable();
        names.dedup();
        model.history_list.holders.clear();
        if !names.is_empty() {
            effects.push(Effect::History(Request::Holders(names)));
        }
    }
    let state = &model.history_list;
    let near_end = state.scroll.row() + NEAR_END >= state.rows.len();
    let last = all(model).last().map(|report| report.cycle);
    if let Some(last) = last
        && near_end
        && !state.complete
        && !state.loading
        && state.error.is_none()
    {
        model.history_list.loading = true;
        effects.push(Effect::History(Request::Older(last)));
    }
    if let Some(Over::Report(cycle)) = model.history_list.over
        && model.history_list.changes.as_ref().is_none_or(|changes| changes.cycle != cycle)
        && let Some(report) = find(model, cycle)
    {
        let names = report.destinations.iter().map(|part| part.destination.clone()).collect();
        model.history_list.changes = Some(Changes { cycle, parts: None });
        effects.push(Effect::History(Request::Changes(cycle, names)));
    }
    effects
}

pub(super) fn settle(model: &mut Model) {
    let height = list_height(model);
    let len = model.history_list.rows.len();
    model.history_list.scroll.settle(len, height);
    if model.screen == Screen::History {
        model.history_list.top = model.history_list.top.min(overflow(model));
    }
}

/// Whether something stands over the list.
pub(in crate::tui) fn has_inner(model: &Model) -> bool {
    model.history_list.over.is_some()
}

/// Back to the list.
pub(in crate::tui) fn back(model: &mut Model) {
    let state = &mut model.history_list;
    state.over = None;
    state.changes = None;
    state.planning = None;
    state.top = 0;
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(sheet_area(model).height.saturating_sub(3));
    let last = overflow(model);
    let state = &mut model.history_list;
    match action {
        Action::DetailsDown => state.top = (state.top + 1).min(last),
        Action::DetailsUp => state.top = state.top.saturating_sub(1),
        _ if let Some(to) = movement(action) => {
            if state.over.is_some() {
                state.top = match to {
                    Move::Up => state.top.saturating_sub(1),
                    Move::Down => state.top + 1,
                    Move::PageUp => state.top.saturating_sub(page),
                    Move::PageDown => state.top + page,
                    Move::First => 0,
                    Move::Last => last,
                }
                .min(last);
            } else {
                let (len, height) = (state.rows.len(), list_height(model));
                // whoever goes on down wants another try
                model.history_list.error = None;
                model.history_list.top = 0;
                model.history_list.scroll.go(to, len, height);
            }
        }
        Action::Open => return open(model),
        Action::Mark => mark(model),
        Action::ClearMarks => state.marks.clear(),
        Action::Compare => compare(model),
        Action::Export => export(model),
        Action::Undo => return undo(model),
        Action::Copy => {
            if let Some(report) = looked_at(model) {
                let id = report.cycle.to_string();
                model.say(format!("Copied: {id}"));
                return vec![Effect::Copy(id)];
            }
        }
        _ => {}
    }
    Vec::new()
}

fn open(model: &mut Model) -> Vec<Effect> {
    match &model.history_list.over {
        Some(Over::Undo(_)) => return undo(model),
        Some(_) => back(model),
        None => {
            if let Some(report) = current(model) {
                let cycle = report.cycle;
                model.history_list.over = Some(Over::Report(cycle));
                model.history_list.top = 0;
            }
        }
    }
    Vec::new()
}

/// Marks a cycle to be compared; of three the one that was marked first is let go.
fn mark(model: &mut Model) {
    if model.history_list.over.is_some() {
        return;
    }
    let Some(cycle) = current(model).map(|report| report.cycle) else { return };
    let state = &mut model.history_list;
    if let Some(at) = state.marks.iter().position(|mark| *mark == cycle) {
        state.marks.remove(at);
    } else {
        if state.marks.len() == 2 {
            state.marks.remove(0);
        }
        state.marks.push(cycle);
    }
    let (len, height) = (state.rows.len(), list_height(model));
    model.history_list.scroll.go(Move::Down, len, height);
}

fn compare(model: &mut Model) {
    let mut pair = model.history_list.marks.clone();
    if pair.len() == 1
        && let Some(cycle) = current(model).map(|report| report.cycle).filter(|cycle| !pair.contains(cycle))
    {
        pair.push(cycle);
    }
    pair.sort_unstable();
    let [older, newer] = pair[..] else {
        model.say("Two cycles can be compared: space marks one, then another.");
        return;
    };
    model.history_list.over = Some(Over::Comparison(older, newer));
    model.history_list.top = 0;
}

fn export(model: &mut Model) {
    let Some(report) = looked_at(model) else {
        model.say("There is no cycle to export.");
        return;
    };
    let name = format!("vsync-{}.html", report.started.strftime("%Y-%m-%d-%H%M%S"));
    model.prompt = Some(Prompt::new(Line::Export(report.cycle), &name));
}

/// The name of the file has been typed.
pub(in crate::tui) fn export_to(cycle: CycleId, text: &str) -> Result<Vec<Effect>, String> {
    let file = Path::new(text);
    Format::of(file).map_err(|_| "end it in .json, .csv or .html".to_owned())?;
    Ok(vec![Effect::History(Request::Export(cycle, file.to_owned()))])
}

/// Plans the undo of the cycle that is looked at; asks, if it is planned already.
fn undo(model: &mut Model) -> Vec<Effect> {
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    if let Some(Over::Undo(preview)) = &model.history_list.over {
        if model.read_only {
            model.say("read-only: nothing is written");
            return Vec::new();
        }
        let undo = &preview.undo;
        if undo.plan.is_empty() && undo.plan.destinations.iter().all(|part| part.unavailable.is_none()) {
            model.say("There is nothing to do: what can be put back is as it was before.");
            return Vec::new();
        }
        let asked = Asked { purpose: Purpose::Undo(undo.cycle), keep: Keep::All, screen: Screen::History };
        let selected = Selected { plan: undo.plan.clone(), asked };
        model.dialog = Some(Dialog::new(Ask::Start(Box::new(selected))));
        return Vec::new();
    }
    let Some(report) = looked_at(model) else {
        model.say("There is no cycle to undo.");
        return Vec::new();
    };
    if is_running(model, report) {
        model.say("This cycle still runs: wait for its end.");
        return Vec::new();
    }
    let report = report.clone();
    let cycle = report.cycle;
    model.history_list.planning = Some(cycle);
    model.say("Finding out what undoing this cycle would do…");
    vec![Effect::History(Request::PlanUndo(Arc::new(report)))]
}

/// What is to be known before this cycle is undone: what cannot be put back, and who would copy it again.
pub(in crate::tui) fn undo_warnings(model: &Model, cycle: CycleId) -> Vec<String> {
    let Some(Over::Undo(preview)) = &model.history_list.over else { return Vec::new() };
    if preview.undo.cycle != cycle {
        return Vec::new();
    }
    let impossible = preview.undo.impossible();
    let mut warnings = Vec::new();
    if impossible > 0 {
        warnings.push(format!("{} cannot be put back.", format::plural(impossible, "secret")));
    }
    let daemons = preview.daemons.iter();
    warnings.extend(
        daemons
            .map(|(name, taken)| format!("{name}: a daemon copies these secrets again at once: its lock is {taken}.")),
    );
    if preview.daemons.is_empty() && !preview.brings_back {
        warnings.push("The next sync copies these secrets again, unless the origin is put right first.".to_owned());
    }
    warnings
}

/// List and report, if both show.
pub(super) fn split(model: &Model, body: Rect) -> Option<Split> {
    let both = body.width >= 140 && model.history_list.over.is_none() && !model.history_list.rows.is_empty();
    both.then(|| model.divide(Screen::History, Direction::Horizontal, body, body.width / 2, [70, 50]))
}

fn list_area(model: &Model) -> Rect {
    let body = model.body();
    split(model, body).map_or(body, |split| split.parts()[0])
}

fn list_height(model: &Model) -> usize {
    usize::from(panel::rows(list_area(model), 1).height)
}

/// Where the report is, or whatever stands over the list.
fn sheet_area(model: &Model) -> Rect {
    let body = model.body();
    split(model, body).map_or(body, |split| split.parts()[1])
}

/// By how many lines what shows of a report or a comparison is shorter than that is.
fn overflow(model: &Model) -> usize {
    let area = sheet_area(model);
    if model.history_list.over.is_none() && split(model, model.body()).is_none() {
        return 0;
    }
    panel::overflow(sheet::sheet(model, panel::text_width(area)).len(), area)
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    if model.history_list.over.is_some() {
        return Vec::new();
    }
    let rows = panel::rows(list_area(model), 1);
    let Some(row) = model.history_list.scroll.row_at(rows, at, model.history_list.rows.len()) else {
        return Vec::new();
    };
    model.history_list.scroll.select(row);
    model.history_list.top = 0;
    if twice { act(model, Action::Open) } else { Vec::new() }
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    if model.history_list.over.is_some() {
        sheet::draw(model, body, buffer);
        return;
    }
    match split(model, body) {
        Some(split) => {
            let [first, second] = split.parts();
            list::draw(model, first, buffer);
            sheet::draw(model, second, buffer);
        }
        None => list::draw(model, body, buffer),
    }
}

/// The key for an action here.
fn key(model: &Model, action: Action) -> String {
    model.keymap.key(Place::Screen(Screen::History), action)
}
