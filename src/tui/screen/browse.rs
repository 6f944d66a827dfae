//! The origin's tree with a state column per destination, and beside it what the cursor is on.

mod detail;
mod rows;

use ratatui::buffer::Buffer;
use ratatui::layout::{Direction, Position, Rect};

use crate::engine::{InventoryUpdate, Mapping, SecretDetail, SecretState};
use crate::kv::SecretPath;
use crate::tui::effect::browse::Request;
use crate::tui::effect::{Effect, Keep};
use crate::tui::filter::{Filter, Only};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::Purpose;
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::update::{marked, movement, select};
use crate::tui::widget::panel;
use crate::tui::widget::scroll::Scroll;
use crate::tui::widget::split::Split;
use crate::tui::widget::tree::{NodeId, Order, Standing, Tree};

/// From this width on the details stand beside the tree.
const BESIDE: u16 = 110;

/// The tree as it is being looked at.
#[derive(Debug)]
pub(in crate::tui) struct State {
    pub(in crate::tui) tree: Tree,
    rows: Vec<NodeId>,
    scroll: Scroll,
    pub(in crate::tui) filter: Filter,
    order: Order,
    /// Below the tree, where there is no room beside it.
    detail_below: bool,
    /// The first line of the details that shows.
    detail_top: usize,
    /// The secret that was asked about last.
    asked: Option<SecretPath>,
    detail: Option<Detail>,
}

/// What was found out about a secret.
#[derive(Debug)]
struct Detail {
    path: SecretPath,
    mappings: Vec<Option<Mapping>>,
    /// `None` while the origin is being asked.
    found: Option<Result<Box<SecretDetail>, String>>,
}

impl State {
    /// An empty tree.
    pub(in crate::tui) fn new(destinations: usize) -> Self {
        Self {
            tree: Tree::new(destinations),
            rows: Vec::new(),
            scroll: Scroll::default(),
            filter: Filter::default(),
            order: Order::Name,
            detail_below: false,
            detail_top: 0,
            asked: None,
            detail: None,
        }
    }

    fn cursor(&self) -> Option<NodeId> {
        self.rows.get(self.scroll.row()).copied()
    }

    /// The nearest row after the cursor's, or before it, that is a problem, around the end if need be.
    fn problem_in_rows(&self, forward: bool) -> Option<usize> {
        let (at, count) = (self.scroll.row(), self.rows.len());
        let step = |by: usize| if forward { (at + by) % count } else { (at + count - by) % count };
        (1..=count).map(step).find(|row| self.tree.is_problem(self.rows[*row]))
    }

    /// Finds out anew what shows, with the cursor on `target` or, if that does not show, on its nearest folder that
    /// does.
    fn rebuild(&mut self, target: Option<NodeId>) {
        self.rows = self.tree.visible(&self.filter.needle(), self.order);
        let mut wanted = target;
        while let Some(id) = wanted {
            if let Some(row) = self.rows.iter().position(|row| *row == id) {
                self.scroll.select(row);
                return;
            }
            wanted = self.tree.parent(id);
        }
    }
}

/// The secret under the cursor.
pub(in crate::tui) fn selected(model: &Model) -> Option<SecretPath> {
    model.browse.cursor().and_then(|id| model.browse.tree.secret(id)).cloned()
}

/// Asks about the secret under the cursor, if it is another one than before.
pub(in crate::tui) fn wants(model: &mut Model) -> Vec<Effect> {
    if model.screen != Screen::Browse {
        return Vec::new();
    }
    let selected = selected(model);
    if selected.is_none() || model.browse.asked == selected {
        return Vec::new();
    }
    model.browse.asked = selected;
    describe(model)
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// Where a secret goes at each destination.
    Mapped(SecretPath, Vec<Option<Mapping>>),
    /// What the origin knows of a secret.
    Described(SecretPath, Result<Box<SecretDetail>, String>),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let state = &mut model.browse;
    match news {
        News::Mapped(path, mappings) => {
            if state.asked.as_ref() == Some(&path) {
                // Of the same secret the old details stay until the new ones are there.
                let found = state.detail.take().filter(|detail| detail.path == path).and_then(|detail| detail.found);
                state.detail = Some(Detail { path, mappings, found });
            }
        }
        News::Described(path, found) => {
            if let Some(detail) = state.detail.as_mut().filter(|detail| detail.path == path) {
                detail.found = Some(found);
            }
        }
    }
    Vec::new()
}

/// Asks about the secret under the cursor.
pub(in crate::tui) fn describe(model: &Model) -> Vec<Effect> {
    selected(model).map(|path| Effect::Browse(Request::Describe(path))).into_iter().collect()
}

/// Takes in pieces of the inventory.
pub(in crate::tui) fn grow(model: &mut Model, updates: &[InventoryUpdate]) {
    for update in updates {
        match update {
            InventoryUpdate::Found(found) => {
                if let Some(count) = &mut model.listing {
                    *count += found.len() as u64;
                }
            }
            InventoryUpdate::Unknown(unknown) if model.plan.is_none() => model.unknown.push(unknown.clone()),
            InventoryUpdate::Unknown(_) | InventoryUpdate::Excluded(_) => {}
        }
    }
}

/// Shows what has arrived so far. Once there is a plan the tree waits for the next one instead.
pub(in crate::tui) fn grown(model: &mut Model, tree: Tree) {
    if model.plan.is_none() {
        adopt(model, tree);
    }
}

/// Puts a new tree in the place of the old one.
pub(in crate::tui) fn adopt(model: &mut Model, mut tree: Tree) {
    let state = &mut model.browse;
    let target = tree.adopt(&state.tree, state.cursor());
    state.tree = tree;
    state.rebuild(target);
}

/// Brings the rows in line with tree and filter.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let state = &mut model.browse;
    let cursor = state.cursor();
    if let Some(id) = cursor.filter(|_| state.filter.is_empty()) {
        // What a filter found stays in sight when the filter goes.
        state.tree.reveal(id);
    }
    state.rebuild(cursor);
}

/// Shows only what stands so at a destination; everything, without a state.
pub(in crate::tui) fn set_state_filter(model: &mut Model, state: Option<SecretState>) {
    show_only(model, state.map_or(Only::All, Only::One));
}

/// Shows only some of the states.
pub(in crate::tui) fn show_only(model: &mut Model, only: Only) {
    model.browse.filter.only = only;
    rebuild(model);
}

/// What shows after what shows now, around the end: everything, what is behind, problems, state by state.
fn next_only(only: Only) -> Only {
    let states = SecretState::ALL.map(Only::One);
    let all: Vec<_> = [Only::All, Only::Problems, Only::Behind].into_iter().chain(states).collect();
    let at = all.iter().position(|one| *one == only).unwrap_or(0);
    all[(at + 1) % all.len()]
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let len = model.browse.rows.len();
    model.browse.scroll.settle(len, height);
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.browse.detail_top = (model.browse.detail_top + 1).min(hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.browse.detail_top = model.browse.detail_top.saturating_sub(1);
            return Vec::new();
        }
        _ => model.browse.detail_top = 0,
    }
    let height = rows_that_fit(model);
    if let Some(to) = movement(action) {
        let len = model.browse.rows.len();
        model.browse.scroll.go(to, len, height);
        return Vec::new();
    }
    match action {
        Action::Open => {
            let beside = model.body().width >= BESIDE;
            let state = &mut model.browse;
            if let Some(id) = state.cursor() {
                if state.tree.secret(id).is_none() {
                    state.tree.set_open(id, !state.tree.is_open(id));
                    state.rebuild(Some(id));
                } else if !beside {
                    state.detail_below = !state.detail_below;
                }
            }
        }
        Action::Right => enter(&mut model.browse),
        Action::Left => leave(&mut model.browse),
        Action::NextProblem | Action::PreviousProblem => {
            let state = &mut model.browse;
            let forward = action == Action::NextProblem;
            if !state.filter.is_empty() {
                match state.problem_in_rows(forward) {
                    Some(row) => state.scroll.select(row),
                    None => model.say("Nothing that shows has failed, drifted or is unknown; esc shows everything."),
                }
                return Vec::new();
            }
            match state.tree.next_problem(state.cursor(), state.order, forward) {
                Some(id) => {
                    state.tree.reveal(id);
                    state.rebuild(Some(id));
                }
                None => model.say("No secret has failed, drifted or is unknown."),
            }
        }
        Action::SortByState => {
            model.browse.order = match model.browse.order {
                Order::Name => Order::Worst,
                Order::Worst => Order::Name,
            };
            rebuild(model);
        }
        Action::OnlyProblems => {
            let only = if model.browse.filter.only == Only::Problems { Only::All } else { Only::Problems };
            show_only(model, only);
        }
        Action::NextState => show_only(model, next_only(model.browse.filter.only)),
        Action::Mark => mark(model),
        Action::ExecuteMarked => {
            return marked(model).map(|keep| select(model, keep, Purpose::Execute)).unwrap_or_default();
        }
        Action::DryRun => {
            let keep = if model.marked() > 0 { marked(model) } else { Some(Keep::All) };
            return keep.map(|keep| select(model, keep, Purpose::DryRun)).unwrap_or_default();
        }
        _ => {}
    }
    Vec::new()
}

/// Opens the folder, or goes to the first thing in it.
fn enter(state: &mut State) {
    let Some(id) = state.cursor() else { return };
    if state.tree.secret(id).is_none() && !state.tree.is_open(id) && state.filter.is_empty() {
        state.tree.set_open(id, true);
        state.rebuild(Some(id));
    } else if state.rows.get(state.scroll.row() + 1).is_some_and(|next| state.tree.parent(*next) == Some(id)) {
        state.scroll.select(state.scroll.row() + 1);
    }
}

/// Closes the folder, or goes up to the one it lies in.
fn leave(state: &mut State) {
    let Some(id) = state.cursor() else { return };
    if state.tree.secret(id).is_none() && state.tree.is_open(id) && state.filter.is_empty() {
        state.tree.set_open(id, false);
        state.rebuild(Some(id));
    } else if let Some(parent) = state.tree.parent(id) {
        state.rebuild(Some(parent));
    }
}

/// Marks what the plan would do to the secret, or to all in the folder; takes the marks away if all have one.
fn mark(model: &mut Model) {
    let Some(id) = model.browse.cursor() else { return };
    if model.plan.is_none() {
        model.say("There is no plan yet.");
        return;
    }
    let tree = &model.browse.tree;
    let count = tree.tasks(id);
    if count == 0 {
        let drifted = (0..model.marks.len()).any(|at| tree.ways_behind(id, at).any(|way| way == Standing::Drifted));
        model.say(if drifted {
            "Somebody else wrote this at the destination, so it is left alone: Failures (5) says what to do."
        } else {
            "Nothing is to be done here, so there is nothing to mark."
        });
        return;
    }
    // Only tasks are ever marked.
    let all = model.marks.iter().map(|marks| tree.marks(id, marks)).sum::<usize>() == count;
    for (at, marks) in model.marks.iter_mut().enumerate() {
        tree.mark(id, at, marks, !all);
    }
    let height = rows_that_fit(model);
    let len = model.browse.rows.len();
    if model.browse.tree.secret(id).is_some() {
        model.browse.scroll.go(crate::tui::widget::scroll::Move::Down, len, height);
    }
    let what = if all { "unmarked" } else { "marked" };
    let tasks = format::plural(count as u64, "task");
    model.say(format!("{tasks} {what}, {} in all.", format::count(model.marked() as u64)));
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let rows = panel::rows(areas(model, model.body()).0, 1);
    let Some(row) = model.browse.scroll.row_at(rows, at, model.browse.rows.len()) else { return Vec::new() };
    model.browse.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}

/// The folder the cursor is in.
pub(super) fn inside(model: &Model) -> Option<String> {
    let tree = &model.browse.tree;
    let cursor = model.browse.cursor()?;
    let mut folder = if tree.secret(cursor).is_some() { tree.parent(cursor) } else { Some(cursor) };
    let mut labels = Vec::new();
    while let Some(id) = folder {
        labels.push(tree.label(id));
        folder = tree.parent(id);
    }
    Some(labels.into_iter().rev().collect())
}

/// Tree and details, if both show.
pub(super) fn split(model: &Model, body: Rect) -> Option<Split> {
    if body.width >= BESIDE {
        let usual = (body.width * 2 / 5).clamp(46, 84);
        Some(model.divide(Screen::Browse, Direction::Horizontal, body, usual, [40, 30]))
    } else if model.browse.detail_below {
        let usual = (body.height * 3).div_ceil(5);
        Some(model.divide(Screen::Browse, Direction::Vertical, body, usual, [5, 4]))
    } else {
        None
    }
}

fn areas(model: &Model, body: Rect) -> (Rect, Option<Rect>) {
    match split(model, body) {
        Some(split) => {
            let [tree, detail] = split.parts();
            (tree, Some(detail))
        }
        None => (body, None),
    }
}

/// By how many lines the details are longer than what shows of them.
fn hidden_details(model: &Model) -> usize {
    let (_, area) = areas(model, model.body());
    area.map_or(0, |area| panel::overflow(detail::text(model, panel::text_width(area)).1.len(), area))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body()).0.height.saturating_sub(3))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let (tree, detail) = areas(model, body);
    rows::view(model, tree, buffer);
    if let Some(area) = detail {
        let (title, text) = detail::text(model, panel::text_width(area));
        panel::text(&model.theme, title, text, model.browse.detail_top, area, buffer);
    }
}
