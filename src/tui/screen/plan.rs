//! What a cycle would do: per destination the counts and verdicts, below them the tasks.

mod detail;
mod marking;
mod saved;
mod tasks;
mod verdicts;

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Direction, Layout, Position, Rect};

use crate::engine::{Drift, Operation, Plan, SavedPlan, StaleLine, Task};
use crate::kv::SecretPath;
use crate::tui::effect::plan::{Held, Named};
use crate::tui::effect::{Effect, Keep};
use crate::tui::filter::Filter;
use crate::tui::keymap::Action;
use crate::tui::message::Purpose;
use crate::tui::model::Model;
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::Screen;
use crate::tui::update::{marked, movement, select};
use crate::tui::widget::panel;
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::split::Split;

pub(in crate::tui) use marking::mark_by_folder;
pub(in crate::tui) use saved::{Saved, judge, leave, mark_by_file, open, save, take};

/// The tasks as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    /// The one destination whose tasks show; `None`: all.
    destination: Option<usize>,
    /// Operations that are hidden.
    hidden: Vec<Operation>,
    /// Whether what is left alone is hidden.
    drift_hidden: bool,
    pub(in crate::tui) filter: Filter,
    /// Destination, and its task or what is left alone there; by path.
    rows: Vec<(u16, Item)>,
    /// How many of them are left alone.
    drifted: usize,
    scroll: Scroll,
    /// A saved plan that takes the place of the present one.
    saved: Option<Saved>,
    /// Whether the details show; `None`: where there is room.
    detail: Option<bool>,
    /// The first line of the details that shows.
    detail_top: usize,
}

/// The place of a row among the tasks of its destination, or among what is left alone there.
#[derive(Debug, Clone, Copy)]
enum Item {
    Task(u32),
    Drift(u32),
    /// Among the lines of the saved plan that hold no longer.
    Stale(u32),
}

/// What a row shows.
#[derive(Debug, Clone, Copy)]
enum Row<'a> {
    Task(&'a Task),
    Drift(&'a Drift),
    Stale(&'a StaleLine),
}

impl<'a> Row<'a> {
    fn origin(self) -> &'a SecretPath {
        match self {
            Self::Task(task) => &task.origin,
            Self::Drift(drift) => &drift.origin,
            Self::Stale(line) => &line.failure.origin,
        }
    }

    fn destination(self) -> &'a SecretPath {
        match self {
            Self::Task(task) => &task.destination,
            Self::Drift(drift) => &drift.destination,
            Self::Stale(line) => &line.failure.destination,
        }
    }
}

/// Shows one destination's tasks, or all.
pub(in crate::tui) fn choose(model: &mut Model, destination: Option<usize>) {
    model.plan_list.destination = destination;
    rebuild(model);
}

/// Whether some operations do not show in the list, though executing all does them.
pub(in crate::tui) fn hides_some(model: &Model) -> bool {
    !model.plan_list.hidden.is_empty()
}

/// The plan that shows and is executed: what holds of a saved one, or what there is to do now.
pub(in crate::tui) fn present(model: &Model) -> Option<&Arc<Plan>> {
    model.plan_list.saved_plan().or(model.plan.as_ref())
}

/// Brings the rows in line with plan, destination and filters; the cursor stays on its task.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let task = cursor(model);
    renew(model, task);
}

/// Brings the rows in line with a plan that is another one than before, and puts the cursor where it was in that one.
pub(in crate::tui) fn renew(model: &mut Model, cursor: Option<(usize, SecretPath)>) {
    make_rows(model);
    restore(model, cursor);
}

fn make_rows(model: &mut Model) {
    let Some(plan) = present(model) else { return };
    let needle = model.plan_list.filter.needle();
    let state = &model.plan_list;
    let is_saved = state.saved_plan().is_some();
    let mut rows = Vec::new();
    let mut path = String::new();
    for (at, part) in (0_u16..).zip(&plan.destinations) {
        if state.destination.is_some_and(|only| only != usize::from(at)) {
            continue;
        }
        let first = rows.len();
        let tasks =
            (0_u32..).zip(&part.tasks).filter(|(_, task)| !state.hidden.contains(&task.operation.counted_with()));
        let tasks = tasks.map(|(number, task)| (Item::Task(number), Row::Task(task)));
        // what a saved plan leaves alone is none of its lines
        let drifted = (0_u32..).zip(&part.drifted).filter(|(_, drift)| !drift.kept && !state.drift_hidden && !is_saved);
        let drifted = drifted.map(|(number, drift)| (Item::Drift(number), Row::Drift(drift)));
        let gone = (0_u32..).zip(state.stale()).filter(|(_, line)| line.destination == part.destination);
        let gone = gone.map(|(number, line)| (Item::Stale(number), Row::Stale(line)));
        let mut mixed = false;
        for (item, row) in tasks.chain(drifted).chain(gone) {
            if !needle.is_empty() {
                use std::fmt::Write;
                path.clear();
                let _ = write!(path, "{} {}", row.origin(), row.destination());
                if !needle.found_in(&path) {
                    continue;
                }
            }
            mixed |= !matches!(item, Item::Task(_));
            rows.push((at, item));
        }
        if mixed {
            rows[first..].sort_by(|&(at, a), &(_, b)| {
                let path = |item| row_of(model, plan, at, item).map(Row::origin);
                path(a).cmp(&path(b))
            });
        }
    }
    model.plan_list.drifted = rows.iter().filter(|(_, item)| matches!(item, Item::Drift(_))).count();
    model.plan_list.rows = rows;
}

/// Where the cursor is, as it outlives a new plan.
pub(in crate::tui) fn cursor(model: &Model) -> Option<(usize, SecretPath)> {
    let (at, row) = current(model)?;
    Some((at, row.origin().clone()))
}

/// Puts the cursor back.
fn restore(model: &mut Model, cursor: Option<(usize, SecretPath)>) {
    let (Some(plan), Some((at, path))) = (present(model), cursor) else { return };
    let rows = &model.plan_list.rows;
    // Tasks are sorted by destination and path, so this is where it is, or where it was.
    let row = rows.partition_point(|&(place, item)| match usize::from(place).cmp(&at) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => row_of(model, plan, place, item).is_some_and(|row| *row.origin() < path),
    });
    model.plan_list.scroll.select(row);
}

fn row_of<'a>(model: &'a Model, plan: &'a Plan, at: u16, item: Item) -> Option<Row<'a>> {
    let part = plan.destinations.get(usize::from(at))?;
    match item {
        Item::Task(number) => part.tasks.get(number as usize).map(Row::Task),
        Item::Drift(number) => part.drifted.get(number as usize).map(Row::Drift),
        Item::Stale(number) => model.plan_list.stale().get(number as usize).map(Row::Stale),
    }
}

fn current(model: &Model) -> Option<(usize, Row<'_>)> {
    let (at, item) = *model.plan_list.rows.get(model.plan_list.scroll.row())?;
    Some((usize::from(at), row_of(model, present(model)?, at, item)?))
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let len = model.plan_list.rows.len();
    model.plan_list.scroll.settle(len, height);
}

/// What comes back from outside; files as they were typed.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// So many lines were saved, or why not.
    Saved { file: String, result: Result<usize, String> },
    /// A saved plan was read.
    Opened { file: String, result: Result<Arc<SavedPlan>, String> },
    /// What of a saved plan holds.
    Held { saved: Arc<SavedPlan>, result: Result<Held, String> },
    /// What a file of paths names.
    Named { file: String, result: Result<Box<Named>, String> },
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.plan_list.detail_top = (model.plan_list.detail_top + 1).min(hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.plan_list.detail_top = model.plan_list.detail_top.saturating_sub(1);
            return Vec::new();
        }
        _ => model.plan_list.detail_top = 0,
    }
    let height = rows_that_fit(model);
    let len = model.plan_list.rows.len();
    if let Some(to) = movement(action) {
        model.plan_list.scroll.go(to, len, height);
        return Vec::new();
    }
    match action {
        Action::Left | Action::Right => {
            let count = model.destinations.len();
            let now = model.plan_list.destination.map_or(0, |at| at + 1);
            let next = if action == Action::Right { now + 1 } else { now + count } % (count + 1);
            choose(model, next.checked_sub(1));
        }
        Action::ToggleAdd => toggle(model, Operation::Add),
        Action::ToggleUpdate => toggle(model, Operation::Update),
        Action::ToggleDelete => toggle(model, Operation::Delete),
        Action::ToggleDrifted => {
            model.plan_list.drift_hidden = !model.plan_list.drift_hidden;
            rebuild(model);
        }
        Action::Open => model.plan_list.detail = Some(!shows_details(model, model.body())),
        Action::Mark if matches!(current(model), Some((_, Row::Drift(_)))) => model.say(left_alone(model)),
        Action::Mark if matches!(current(model), Some((_, Row::Stale(_)))) => {
            model.say("This line of the saved plan holds no longer: it cannot be carried out.");
        }
        Action::Mark => {
            if let Some((at, path)) = cursor(model) {
                if let Some(marks) = model.marks.get_mut(at)
                    && !marks.remove(&path)
                {
                    marks.insert(path);
                }
                model.plan_list.scroll.go(Move::Down, len, height);
            }
        }
        Action::MarkAll => marking::mark_shown(model),
        Action::MarkFolder => marking::mark_folder(model),
        Action::AskFolder => marking::ask_folder(model),
        Action::MarkByFile => model.prompt = Some(Prompt::new(Line::MarkByFile, "")),
        Action::SavePlan => saved::ask_file(model),
        Action::LoadPlan => model.prompt = Some(Prompt::new(Line::LoadPlan, "")),
        Action::LeavePlan if model.plan_list.saved.is_some() => {
            leave(model);
            model.say("Back to what there is to do now; all marks are taken away.");
        }
        Action::LeavePlan => model.say("No saved plan is loaded."),
        Action::ExecuteMarked => {
            return marked(model).map(|keep| select(model, keep, Purpose::Execute)).unwrap_or_default();
        }
        Action::ExecuteAll => {
            let keep = chosen(model);
            return select(model, keep, Purpose::Execute);
        }
        Action::DryRun => {
            let keep = if model.marked() > 0 { marked(model) } else { Some(chosen(model)) };
            return keep.map(|keep| select(model, keep, Purpose::DryRun)).unwrap_or_default();
        }
        _ => {}
    }
    Vec::new()
}

/// All tasks of the destination that is chosen, or of all.
fn chosen(model: &Model) -> Keep {
    let name = model.plan_list.destination.and_then(|at| model.destinations.get(at));
    name.map_or(Keep::All, |name| Keep::Destination(name.clone()))
}

fn toggle(model: &mut Model, operation: Operation) {
    let hidden = &mut model.plan_list.hidden;
    if hidden.contains(&operation) {
        hidden.retain(|known| *known != operation);
    } else {
        hidden.push(operation);
    }
    rebuild(model);
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let rows = panel::rows(parts(model, model.body()).0, 1);
    let Some(row) = model.plan_list.scroll.row_at(rows, at, model.plan_list.rows.len()) else { return Vec::new() };
    model.plan_list.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}

/// Said of a secret that somebody else wrote.
pub(super) fn left_alone(model: &Model) -> String {
    let failures = model.way_to(Screen::Failures);
    format!("Somebody else wrote this at the destination, so it is left alone: {failures} says what to do.")
}

/// The destinations with their verdicts, and what is below.
fn areas(model: &Model, body: Rect) -> [Rect; 2] {
    let wanted = verdicts::verdicts(model, usize::from(body.width)).len() + 3;
    let most = usize::from(body.height / 2).max(4);
    let top = u16::try_from(wanted.min(most)).unwrap_or(body.height);
    body.layout(&Layout::vertical([Constraint::Length(top), Constraint::Min(0)]))
}

/// From this width on the details have room beside the tasks.
const BESIDE: u16 = 140;

fn shows_details(model: &Model, body: Rect) -> bool {
    model.plan_list.detail.unwrap_or(body.width >= BESIDE)
}

/// Tasks and details, if both show.
pub(super) fn split(model: &Model, body: Rect) -> Option<Split> {
    if !shows_details(model, body) || model.plan_list.rows.is_empty() {
        return None;
    }
    let [_, below] = areas(model, body);
    Some(if body.width >= BESIDE {
        model.divide(Screen::Plan, Direction::Horizontal, below, body.width / 3, [80, 30])
    } else {
        model.divide(Screen::Plan, Direction::Vertical, below, below.height / 2, [4, 4])
    })
}

/// The tasks, and the details if they show.
fn parts(model: &Model, body: Rect) -> (Rect, Option<Rect>) {
    match split(model, body) {
        Some(split) => {
            let [tasks, detail] = split.parts();
            (tasks, Some(detail))
        }
        None => (areas(model, body)[1], None),
    }
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(parts(model, model.body()).0.height.saturating_sub(3))
}

/// By how many lines the details are longer than what shows of them.
fn hidden_details(model: &Model) -> usize {
    let (_, area) = parts(model, model.body());
    area.map_or(0, |area| panel::overflow(detail::details(model, panel::text_width(area)).len(), area))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    verdicts::view_destinations(model, areas(model, body)[0], buffer);
    let (tasks, detail) = parts(model, body);
    tasks::view_tasks(model, tasks, buffer);
    if let Some(area) = detail {
        let text = detail::details(model, panel::text_width(area));
        panel::text(&model.theme, "Details", text, (model.plan_list.detail_top, &model.scroll_keys()), area, buffer);
    }
}
