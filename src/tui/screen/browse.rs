//! The origin's tree with a state column per destination, and beside it what the cursor is on.

mod detail;
mod difference;
mod marks;
mod reveal;
mod rows;
mod versions;

use std::collections::{BTreeMap, HashMap};

use ratatui::buffer::Buffer;
use ratatui::layout::{Direction, Position, Rect};

use crate::engine::{
    CopyDetail, DestinationName, Difference, InventoryUpdate, Mapping, SecretDetail, SecretState, Side,
};
use crate::kv::{SecretPath, SecretText};
use crate::tui::effect::browse::Request;
use crate::tui::effect::{Effect, Keep};
use crate::tui::filter::{Filter, Only};
use crate::tui::keymap::{Action, Place};
use crate::tui::message::Purpose;
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::update::{marked, movement, select};
use crate::tui::widget::panel;
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::split::Split;
use crate::tui::widget::tree::{NodeId, Order, Standing, Tree};
use difference::Comparing;
use reveal::Reveal;
pub(in crate::tui) use reveal::{SECONDS, Wanted, conceal};

/// From this width on the details stand beside the tree.
const BESIDE: u16 = 110;

/// The tree as it is being looked at.
#[derive(Debug)]
pub(in crate::tui) struct State {
    pub(in crate::tui) tree: Tree,
    rows: Vec<NodeId>,
    /// How many of the rows are secrets.
    found: usize,
    scroll: Scroll,
    pub(in crate::tui) filter: Filter,
    order: Order,
    /// The row that was marked last, where a range begins.
    anchor: Option<NodeId>,
    /// Below the tree, where there is no room beside it.
    detail_below: bool,
    /// The first line of the details that shows.
    detail_top: usize,
    /// The secret that was asked about last.
    asked: Option<SecretPath>,
    detail: Option<Detail>,
    /// Which of the secret's keys is chosen.
    key: usize,
    reveal: Option<Reveal>,
    /// How many values were asked for until now.
    reveals: u64,
    comparing: Option<Comparing>,
    /// The operator knows that comparing reads both sides.
    may_compare: bool,
    /// What lies in folders that show, state by state and destination by destination.
    tallies: HashMap<NodeId, Vec<Tally>>,
}

/// How many secrets of a folder are behind at a destination, way by way.
type Tally = Vec<(Standing, u64)>;

/// What was found out about a secret.
#[derive(Debug)]
struct Detail {
    path: SecretPath,
    mappings: Vec<Option<Mapping>>,
    /// `None` while the origin is being asked.
    found: Option<Result<Box<SecretDetail>, String>>,
    /// What destinations have answered until now.
    copies: BTreeMap<DestinationName, Result<Box<CopyDetail>, String>>,
}

impl Detail {
    /// The names of its keys, if they are known.
    fn keys(&self) -> &[String] {
        let found = self.found.as_ref().and_then(|found| found.as_ref().ok());
        found.and_then(|found| found.keys.as_deref()).unwrap_or_default()
    }
}

/// What is asked before values are read.
#[derive(Debug)]
pub(in crate::tui) enum Question {
    Reveal(Wanted),
    Compare { path: SecretPath, at: usize },
}

impl State {
    /// An empty tree.
    pub(in crate::tui) fn new(destinations: usize) -> Self {
        Self {
            tree: Tree::new(destinations),
            rows: Vec::new(),
            found: 0,
            scroll: Scroll::default(),
            filter: Filter::default(),
            order: Order::Name,
            anchor: None,
            detail_below: false,
            detail_top: 0,
            asked: None,
            detail: None,
            key: 0,
            reveal: None,
            reveals: 0,
            comparing: None,
            may_compare: false,
            tallies: HashMap::new(),
        }
    }

    fn detail_of(&mut self, path: &SecretPath) -> Option<&mut Detail> {
        self.detail.as_mut().filter(|detail| detail.path == *path)
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
        self.found = self.rows.iter().filter(|row| self.tree.secret(**row).is_some()).count();
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

/// The secret that the screen is about: the one that is compared, or the one under the cursor.
fn looked_at(model: &Model) -> Option<SecretPath> {
    match &model.browse.comparing {
        Some(comparing) => Some(comparing.path.clone()),
        None => selected(model),
    }
}

/// Asks about the secret under the cursor, if it is another one than before and its details show; wipes a value from
/// which the operator has turned away.
pub(in crate::tui) fn wants(model: &mut Model) -> Vec<Effect> {
    let mut effects = if reveal::is_stale(model) { conceal(model) } else { Vec::new() };
    if model.screen != Screen::Browse || areas(model, model.body()).1.is_none() {
        return effects;
    }
    let selected = selected(model);
    if selected.is_some() && model.browse.asked != selected {
        if model.browse.detail.as_ref().is_none_or(|detail| Some(&detail.path) != selected.as_ref()) {
            model.browse.key = 0;
        }
        model.browse.asked = selected;
        effects.extend(describe(model));
    }
    effects
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// Where a secret goes at each destination.
    Mapped(SecretPath, Vec<Option<Mapping>>),
    /// What the origin knows of a secret.
    Described(SecretPath, Result<Box<SecretDetail>, String>),
    /// What is recorded of it, and there, at a destination.
    DescribedAt(DestinationName, SecretPath, Result<Box<CopyDetail>, String>),
    /// The value that was asked for as the so-many-th, or why it cannot be had.
    Revealed(u64, Result<SecretText, String>),
    /// A second of those for which it shows is over.
    Tick(u64),
    /// In what a secret and its copy at a destination differ.
    Compared(DestinationName, SecretPath, Result<Box<Difference>, String>),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let state = &mut model.browse;
    match news {
        News::Mapped(path, mappings) => {
            if state.asked.as_ref() == Some(&path) {
                // Of the same secret the old details stay until the new ones are there.
                let known = state.detail.take().filter(|detail| detail.path == path);
                let (found, copies) = known.map(|detail| (detail.found, detail.copies)).unwrap_or_default();
                state.detail = Some(Detail { path, mappings, found, copies });
            }
        }
        News::Described(path, found) => {
            if let Some(detail) = state.detail_of(&path) {
                detail.found = Some(found);
            }
        }
        News::DescribedAt(name, path, copy) => {
            if let Some(detail) = state.detail_of(&path) {
                detail.copies.insert(name, copy);
            }
        }
        News::Revealed(number, value) => reveal::take(model, number, value),
        News::Tick(number) => reveal::tick(model, number),
        News::Compared(name, path, found) => difference::take(model, &name, &path, found),
    }
    Vec::new()
}

/// Asks about the secret under the cursor.
pub(in crate::tui) fn describe(model: &Model) -> Vec<Effect> {
    selected(model).map(|path| Effect::Browse(Request::Describe(path))).into_iter().collect()
}

/// The key that does something here, as it is called on screen.
fn key(model: &Model, action: Action) -> String {
    model.keymap.key(Place::Screen(Screen::Browse), action)
}

/// Has the secret under the cursor asked about anew, as soon as its details show.
pub(in crate::tui) fn ask_again(model: &mut Model) {
    model.browse.asked = None;
}

/// What is asked: a title, paragraphs, and the label of yes.
pub(in crate::tui) fn question(model: &Model, asked: &Question) -> (&'static str, Vec<String>, &'static str) {
    match asked {
        Question::Reveal(wanted) => reveal::question(wanted),
        Question::Compare { path, at } => difference::question(model, path, *at),
    }
}

/// Does what the operator has agreed to.
pub(in crate::tui) fn agree(model: &mut Model, question: Question) -> Vec<Effect> {
    match question {
        Question::Reveal(wanted) => reveal::agree(model, wanted),
        Question::Compare { path, at } => difference::agree(model, path, at),
    }
}

/// Whether a value is on the screen, or on its way there.
pub(in crate::tui) fn shows_value(model: &Model) -> bool {
    model.browse.reveal.is_some()
}

/// Whether there is something before the tree that the way back leads out of.
pub(in crate::tui) fn has_inner(model: &Model) -> bool {
    model.browse.reveal.is_some() || model.browse.comparing.is_some()
}

/// One step back: hides the value, or leaves the comparison.
pub(in crate::tui) fn back(model: &mut Model) -> Vec<Effect> {
    if model.browse.reveal.is_some() {
        return conceal(model);
    }
    model.browse.comparing = None;
    Vec::new()
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
    state.tallies.clear();
    state.anchor = None;
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

/// Puts the cursor on a secret or folder, even if a filter has to go for it.
pub(in crate::tui) fn go(model: &mut Model, id: NodeId) {
    let state = &mut model.browse;
    state.tree.reveal(id);
    state.tree.set_open(id, true);
    if !state.filter.is_empty() && !state.rows.contains(&id) {
        state.filter.clear();
    }
    state.rebuild(Some(id));
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let len = model.browse.rows.len();
    model.browse.scroll.settle(len, height);
    difference::settle(model);
    rows::tally(model, height);
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if action == Action::CopyValue {
        return reveal::copy(model);
    }
    let mut effects = conceal(model);
    effects.extend(if model.browse.comparing.is_some() {
        difference::act(model, action)
    } else {
        act_on_tree(model, action)
    });
    effects
}

fn act_on_tree(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.browse.detail_top = (model.browse.detail_top + 1).min(hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.browse.detail_top = model.browse.detail_top.saturating_sub(1);
            return Vec::new();
        }
        Action::NextKey | Action::PreviousKey => return choose_key(model, action == Action::NextKey),
        Action::Reveal => return reveal_chosen(model),
        Action::CopyPath => {
            let path = model.browse.cursor().map(|id| model.browse.tree.path(id));
            return path.map(|path| copy_text(model, path)).unwrap_or_default();
        }
        Action::CopyKey => return copy_key(model),
        Action::Compare => return difference::open(model),
        Action::RevealCopy => {
            let (compare, there) = (key(model, Action::Compare), key(model, Action::RevealCopy));
            model.say(format!("{compare} compares with a destination first; then {there} shows the value there."));
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
        Action::Mark => {
            let on_secret = model.browse.cursor().is_some_and(|id| model.browse.tree.secret(id).is_some());
            if marks::mark(model) && on_secret {
                let len = model.browse.rows.len();
                model.browse.scroll.go(Move::Down, len, height);
            }
        }
        Action::MarkRange => marks::mark_range(model),
        Action::MarkAll => marks::mark_shown(model),
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

/// Chooses another key of the secret, and brings it into sight.
fn choose_key(model: &mut Model, next: bool) -> Vec<Effect> {
    let count = shown_detail(model).map_or(0, |detail| detail.keys().len());
    if count == 0 {
        model.say("No key is known here: the details of a secret show its keys.");
        return Vec::new();
    }
    let key = model.browse.key.min(count - 1);
    model.browse.key = if next { (key + 1) % count } else { (key + count - 1) % count };
    if let (_, Some(area)) = areas(model, model.body()) {
        let text = detail::text(model, panel::text_width(area));
        let height = usize::from(area.height.saturating_sub(2)).max(1);
        if let Some(line) = text.key_line {
            let top = model.browse.detail_top;
            model.browse.detail_top = top.min(line).max((line + 1).saturating_sub(height));
        }
    }
    Vec::new()
}

/// The details of the secret under the cursor, if they are there and show.
fn shown_detail(model: &Model) -> Option<&Detail> {
    areas(model, model.body()).1?;
    let id = model.browse.cursor()?;
    let path = model.browse.tree.secret(id)?;
    model.browse.detail.as_ref().filter(|detail| detail.path == *path)
}

/// The chosen key of the secret under the cursor.
fn chosen_key(model: &Model) -> Option<(SecretPath, String)> {
    let detail = shown_detail(model)?;
    let keys = detail.keys();
    let key = keys.get(model.browse.key.min(keys.len().saturating_sub(1)))?;
    Some((detail.path.clone(), key.clone()))
}

fn reveal_chosen(model: &mut Model) -> Vec<Effect> {
    let wanted = chosen_key(model).map(|(path, key)| Wanted { side: Side::Origin, place: path.clone(), path, key });
    if wanted.is_none() && !model.read_only {
        let [open, before, next] =
            [Action::Open, Action::PreviousKey, Action::NextKey].map(|action| key(model, action));
        model.say(format!("No key is known here: {open} opens a secret's details, {before} and {next} choose a key."));
    }
    reveal::ask(model, wanted)
}

fn copy_key(model: &mut Model) -> Vec<Effect> {
    if let Some((_, key)) = chosen_key(model) {
        return copy_text(model, key);
    }
    model.say("No key is known here: the details of a secret show its keys.");
    Vec::new()
}

/// Puts what is no secret into the clipboard.
fn copy_text(model: &mut Model, text: String) -> Vec<Effect> {
    model.say(format!("Copied to your terminal's clipboard: {}", crate::text::sanitize(&text)));
    vec![Effect::Copy(text)]
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let mut effects = conceal(model);
    if model.browse.comparing.is_some() {
        difference::click(model, at);
        return effects;
    }
    let rows = panel::rows(areas(model, model.body()).0, 1);
    let Some(row) = model.browse.scroll.row_at(rows, at, model.browse.rows.len()) else { return effects };
    model.browse.scroll.select(row);
    if twice {
        effects.extend(act(model, Action::Open));
    }
    effects
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
    if model.browse.comparing.is_some() {
        None
    } else if body.width >= BESIDE {
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
    area.map_or(0, |area| panel::overflow(detail::text(model, panel::text_width(area)).lines.len(), area))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body()).0.height.saturating_sub(3))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    if let Some(comparing) = &model.browse.comparing {
        difference::view(model, comparing, body, buffer);
    } else {
        let (tree, detail) = areas(model, body);
        rows::view(model, tree, buffer);
        if let Some(area) = detail {
            let text = detail::text(model, panel::text_width(area));
            panel::text(
                &model.theme,
                text.title,
                text.lines,
                (model.browse.detail_top, &model.scroll_keys()),
                area,
                buffer,
            );
        }
    }
    reveal::view(model, body, buffer);
}
