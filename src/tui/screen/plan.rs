//! What a cycle would do: per destination the counts and verdicts, below them the tasks.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use crate::engine::{DestinationPlan, Drift, Operation, Plan, SecretState, Task};
use crate::kv::SecretPath;
use crate::tui::effect::{Effect, Keep};
use crate::tui::filter::Filter;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::Purpose;
use crate::tui::model::{Model, Obstacle};
use crate::tui::update::{marked, movement, select};
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::tree::Standing;
use crate::tui::widget::{cell, panel};

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
}

/// The place of a row among the tasks of its destination, or among what is left alone there.
#[derive(Debug, Clone, Copy)]
enum Item {
    Task(u32),
    Drift(u32),
}

/// What a row shows.
#[derive(Debug, Clone, Copy)]
enum Row<'a> {
    Task(&'a Task),
    Drift(&'a Drift),
}

impl<'a> Row<'a> {
    fn origin(self) -> &'a SecretPath {
        match self {
            Self::Task(task) => &task.origin,
            Self::Drift(drift) => &drift.origin,
        }
    }

    fn destination(self) -> &'a SecretPath {
        match self {
            Self::Task(task) => &task.destination,
            Self::Drift(drift) => &drift.destination,
        }
    }
}

/// Shows one destination's tasks, or all.
pub(in crate::tui) fn choose(model: &mut Model, destination: Option<usize>) {
    model.plan_list.destination = destination;
    rebuild(model);
}

/// Brings the rows in line with plan, destination and filters; the cursor stays on its task.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let Some(plan) = &model.plan else { return };
    let needle = model.plan_list.filter.needle();
    let state = &model.plan_list;
    let mut rows = Vec::new();
    let mut path = String::new();
    for (at, part) in (0_u16..).zip(&plan.destinations) {
        if state.destination.is_some_and(|only| only != usize::from(at)) {
            continue;
        }
        let first = rows.len();
        let tasks = (0_u32..).zip(&part.tasks).filter(|(_, task)| !state.hidden.contains(&task.operation));
        let tasks = tasks.map(|(number, task)| (Item::Task(number), Row::Task(task)));
        let drifted = (0_u32..).zip(&part.drifted).filter(|(_, drift)| !drift.kept && !state.drift_hidden);
        let drifted = drifted.map(|(number, drift)| (Item::Drift(number), Row::Drift(drift)));
        let mut mixed = false;
        for (item, row) in tasks.chain(drifted) {
            if !needle.is_empty() {
                use std::fmt::Write;
                path.clear();
                let _ = write!(path, "{} {}", row.origin(), row.destination());
                if !needle.found_in(&path) {
                    continue;
                }
            }
            mixed |= matches!(item, Item::Drift(_));
            rows.push((at, item));
        }
        if mixed {
            rows[first..].sort_by(|&(at, a), &(_, b)| {
                let path = |item| row_of(plan, at, item).map(Row::origin);
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
pub(in crate::tui) fn restore(model: &mut Model, cursor: Option<(usize, SecretPath)>) {
    let (Some(plan), Some((at, path))) = (&model.plan, cursor) else { return };
    let rows = &model.plan_list.rows;
    // Tasks are sorted by destination and path, so this is where it is, or where it was.
    let row = rows.partition_point(|&(place, item)| match usize::from(place).cmp(&at) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Greater => false,
        std::cmp::Ordering::Equal => row_of(plan, place, item).is_some_and(|row| *row.origin() < path),
    });
    model.plan_list.scroll.select(row);
}

fn row_of(plan: &Plan, at: u16, item: Item) -> Option<Row<'_>> {
    let part = plan.destinations.get(usize::from(at))?;
    match item {
        Item::Task(number) => part.tasks.get(number as usize).map(Row::Task),
        Item::Drift(number) => part.drifted.get(number as usize).map(Row::Drift),
    }
}

fn current(model: &Model) -> Option<(usize, Row<'_>)> {
    let (at, item) = *model.plan_list.rows.get(model.plan_list.scroll.row())?;
    Some((usize::from(at), row_of(model.plan.as_deref()?, at, item)?))
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let len = model.plan_list.rows.len();
    model.plan_list.scroll.settle(len, height);
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {}

/// Takes in what came back.
pub(in crate::tui) fn take(_model: &mut Model, news: News) -> Vec<Effect> {
    match news {}
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
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
        Action::Mark if matches!(current(model), Some((_, Row::Drift(_)))) => model.say(LEFT_ALONE),
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
        Action::MarkAll => mark_all(model),
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

/// Marks what shows.
fn mark_all(model: &mut Model) {
    let Some(plan) = model.plan.clone() else { return };
    for (at, marks) in model.marks.iter_mut().enumerate() {
        let rows = model.plan_list.rows.iter().filter(|(place, _)| usize::from(*place) == at);
        marks.extend(rows.filter_map(|&(at, item)| match row_of(&plan, at, item) {
            Some(Row::Task(task)) => Some(&task.origin),
            _ => None,
        }));
    }
    let marked = format::plural(model.marked() as u64, "task");
    model.say(format!("{marked} marked."));
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let rows = panel::rows(areas(model, model.body())[1], 1);
    let Some(row) = model.plan_list.scroll.row_at(rows, at, model.plan_list.rows.len()) else { return Vec::new() };
    model.plan_list.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}

fn areas(model: &Model, body: Rect) -> [Rect; 2] {
    let wanted = verdicts(model, usize::from(body.width)).len() + 3;
    let most = usize::from(body.height / 2).max(4);
    let top = u16::try_from(wanted.min(most)).unwrap_or(body.height);
    body.layout(&Layout::vertical([Constraint::Length(top), Constraint::Min(0)]))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body())[1].height.saturating_sub(3))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let [top, bottom] = areas(model, body);
    view_destinations(model, top, buffer);
    view_tasks(model, bottom, buffer);
}

/// From this width on the counts have room.
const WIDE: u16 = 100;

/// The columns of the counts: how wide the name is, each count, and the gap before the verdict.
fn count_columns(width: usize) -> (usize, [usize; 5], usize) {
    if width >= usize::from(WIDE) { (16, [10, 10, 10, 11, 11], 3) } else { (12, [7, 10, 10, 11, 11], 1) }
}

fn view_destinations(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Plan", super::marked_title(model), area, buffer);
    let (name, widths, gap) = count_columns(usize::from(area.width));
    let mut head = format!("   {}", cell::left("destination", name));
    for (title, width) in ["+ add", "* update", "- delete", "~ drifted", "= in sync"].into_iter().zip(widths) {
        head += &cell::right(title, width);
    }
    head += &" ".repeat(gap);
    head += "verdict";
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let mut lines = verdicts(model, usize::from(area.width));
    let height = usize::from(rows.height);
    // With more destinations than fit the chosen one stays in sight.
    let chosen = lines.iter().position(|(at, _)| *at == Some(model.plan_list.destination)).unwrap_or(0);
    let skip = (chosen + 1).saturating_sub(height);
    let hidden = lines.len().saturating_sub(skip + height);
    lines.drain(..skip);
    for (place, (at, line)) in rows.rows().zip(lines) {
        panel::lines([line], place, buffer);
        if at == Some(model.plan_list.destination) {
            buffer.set_style(place, theme.selected());
        }
    }
    if hidden > 0 {
        let note = format!(" {hidden} more lines ");
        let width = u16::try_from(note.len()).unwrap_or(0).min(area.width);
        let place = Rect { x: area.right().saturating_sub(width + 1), y: area.bottom() - 1, width, height: 1 };
        panel::lines([Line::styled(note, theme.warning())], place, buffer);
    }
}

/// What a line can be chosen as: `None` for lines of text, `Some(None)` for all destinations.
type Choice = Option<Option<usize>>;

/// A line for all, one for each destination, and below each what stands against it.
fn verdicts(model: &Model, width: usize) -> Vec<(Choice, Line<'static>)> {
    let theme = &model.theme;
    let Some(plan) = &model.plan else {
        return vec![(None, Line::styled("   Planning…", theme.muted()))];
    };
    let mut lines = Vec::new();
    if plan.destinations.len() > 1 {
        let in_sync = plan.destinations.iter().map(|part| part.in_sync).sum();
        let drifted = plan.destinations.iter().map(left_alone).sum();
        let numbers = Numbers { tasks: plan.counts(), drifted, in_sync };
        lines.push((Some(None), counts(model, "all", numbers, width, Vec::new())));
    }
    for (at, part) in plan.destinations.iter().enumerate() {
        let obstacles: Vec<_> = obstacles_of(part).collect();
        let verdict = if !obstacles.is_empty() {
            vec![Span::styled("disabled", theme.bad())]
        } else if part.tasks.is_empty() {
            vec![Span::styled("nothing to do", theme.muted())]
        } else {
            vec![Span::styled("no objection", theme.good())]
        };
        let name = part.destination.as_str();
        let numbers = Numbers { tasks: part.counts(), drifted: left_alone(part), in_sync: part.in_sync };
        lines.push((Some(Some(at)), counts(model, name, numbers, width, verdict)));
        for obstacle in obstacles {
            for line in cell::wrap(&obstacle.to_string(), width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.bad())));
            }
        }
        if let Some(moved) = moved(part) {
            for line in cell::wrap(&moved, width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.warning())));
            }
        }
        if let Some(remark) = remark(part) {
            for line in cell::wrap(&remark, width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.muted())));
            }
        }
    }
    lines
}

/// Said of a secret that somebody else wrote.
const LEFT_ALONE: &str =
    "Somebody else wrote this at the destination, so it is left alone: Failures (5) says what to do.";

/// How many secrets are left alone because somebody else wrote them.
fn left_alone(part: &DestinationPlan) -> u64 {
    part.drifted.iter().filter(|drift| !drift.kept).count() as u64
}

fn obstacles_of(part: &DestinationPlan) -> impl Iterator<Item = Obstacle<'_>> {
    part.unavailable
        .as_deref()
        .map(Obstacle::Unavailable)
        .into_iter()
        .chain(part.objections.iter().map(Obstacle::Objection))
}

/// What stays behind at former paths, which no later cycle looks at.
fn moved(part: &DestinationPlan) -> Option<String> {
    let count = format::count(part.moved);
    let go = match part.moved {
        0 => return None,
        1 => "goes to a new path since the transforms changed; what was written to the former one stays there",
        _ => "go to new paths since the transforms changed; what was written to the former ones stays there",
    };
    Some(format!("{count} {go}"))
}

/// What is left alone there, and why.
fn remark(part: &DestinationPlan) -> Option<String> {
    let mut parts = Vec::new();
    let kept = part.drifted.len() as u64 - left_alone(part);
    if kept > 0 {
        parts.push(format!("{} kept as somebody else made them", format::plural(kept, "secret")));
    }
    if part.deletes_ignored > 0 {
        parts.push(format!("{} left in place by ignore_deletes", format::plural(part.deletes_ignored, "delete")));
    }
    if !part.unknown.is_empty() {
        let count = format::plural(part.unknown.len() as u64, "secret");
        parts.push(format!("{count} left alone: the origin could not say whether they still exist"));
    }
    if parts.is_empty() { None } else { Some(parts.join("; ")) }
}

/// What is counted of a destination, or of all.
#[derive(Clone, Copy)]
struct Numbers {
    tasks: crate::engine::OperationCounts,
    drifted: u64,
    in_sync: u64,
}

fn counts(model: &Model, name: &str, numbers: Numbers, width: usize, verdict: Vec<Span<'static>>) -> Line<'static> {
    let theme = &model.theme;
    let (name_width, widths, gap) = count_columns(width);
    let mut spans = vec![Span::raw("   "), Span::styled(cell::left(name, name_width), theme.strong())];
    for (operation, width) in Operation::ALL.into_iter().zip(widths) {
        let number = numbers.tasks.of(operation);
        let style = if number == 0 || model.plan_list.hidden.contains(&operation) {
            theme.muted()
        } else {
            theme.state(operation.state())
        };
        spans.push(Span::styled(cell::right(&format::count(number), width), style));
    }
    let [.., for_drifted, for_in_sync] = widths;
    let style = if numbers.drifted == 0 || model.plan_list.drift_hidden {
        theme.muted()
    } else {
        theme.state(SecretState::Drifted)
    };
    spans.push(Span::styled(cell::right(&format::count(numbers.drifted), for_drifted), style));
    spans.push(Span::styled(cell::right(&format::count(numbers.in_sync), for_in_sync), theme.good()));
    spans.push(Span::raw(" ".repeat(gap)));
    spans.extend(verdict);
    Line::from(spans)
}

fn view_tasks(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.plan_list;
    let mut right = super::filter_title(model, &state.filter);
    for operation in &state.hidden {
        right.push(Span::styled(format!(" without {} ", operation.state().symbol()), theme.warning()));
    }
    if state.drift_hidden {
        right.push(Span::styled(" without ~ ", theme.warning()));
    }
    let mut title = match state.destination.and_then(|at| model.destinations.get(at)) {
        None => "Tasks ".to_owned(),
        Some(name) => format!("Tasks for {} ", crate::text::sanitize(name.as_str())),
    };
    title += &format::count((state.rows.len() - state.drifted) as u64);
    if state.drifted > 0 {
        title = format!("{title}, {} drifted", format::count(state.drifted as u64));
    }
    let inner = panel::panel(theme, &title, right, area, buffer);
    let widths = Widths::new(model, usize::from(inner.width));
    let head = format!(
        "    {} {}  {}  {}",
        cell::left("secret", widths.origin),
        cell::left("at", widths.name),
        cell::left("path there", widths.target),
        cell::left("rule", widths.rule)
    );
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if state.rows.is_empty() {
        let text = match &model.plan {
            None => "Planning…",
            Some(plan) if plan.is_empty() => {
                "Nothing to do: every destination is in sync with what is known of the origin."
            }
            Some(_) => "No task is shown with this destination and these filters.",
        };
        panel::lines([Line::styled(format!("    {text}"), theme.muted())], rows, buffer);
    }
    let Some(plan) = &model.plan else { return };
    let window = state.scroll.window(state.rows.len(), usize::from(rows.height));
    for (place, row) in rows.rows().zip(window) {
        let (at, item) = state.rows[row];
        if let Some(row) = row_of(plan, at, item) {
            panel::lines([row_line(model, usize::from(at), row, &widths)], place, buffer);
        }
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

/// How wide the columns are.
struct Widths {
    origin: usize,
    name: usize,
    target: usize,
    rule: usize,
}

impl Widths {
    fn new(model: &Model, width: usize) -> Self {
        let name = match model.plan_list.destination {
            Some(_) => 0,
            None => model.destinations.iter().map(|name| name.as_str().len()).max().unwrap_or(0).clamp(8, 16),
        };
        let rule = if width >= 100 { 14 } else { 8 };
        let room = width.saturating_sub(4 + 1 + name + 2 + 2 + rule + 1);
        let origin = room / 2;
        Self { origin, name, target: room - origin, rule }
    }
}

fn row_line(model: &Model, at: usize, row: Row<'_>, widths: &Widths) -> Line<'static> {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let origin = row.origin();
    let marked = model.marks.get(at).is_some_and(|marks| marks.contains(origin));
    let failed = tree.find(origin).is_some_and(|id| tree.standing(id, at) == Standing::Failed);
    let (state, rule) = match row {
        Row::Task(task) => (task.operation.state(), task.rule.to_string()),
        Row::Drift(_) => (SecretState::Drifted, "drifted".to_owned()),
    };
    let same = origin == row.destination();
    let target = if same { "the same path".to_owned() } else { row.destination().to_string() };
    let name = model.destinations.get(at).map_or("", |name| name.as_str());
    Line::from(vec![
        Span::styled(if marked { "●" } else { " " }, theme.accent()),
        Span::styled(state.symbol().to_string(), theme.state(state)),
        Span::styled(if failed { "! " } else { "  " }, theme.bad()),
        Span::styled(cell::path(&origin.to_string(), widths.origin), theme.text()),
        Span::styled(format!(" {}", cell::left(name, widths.name)), theme.muted()),
        Span::styled("  ", theme.muted()),
        Span::styled(cell::path(&target, widths.target), if same { theme.muted() } else { theme.text() }),
        Span::styled(format!("  {}", cell::left(&rule, widths.rule)), theme.muted()),
    ])
}
