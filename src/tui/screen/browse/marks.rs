//! Marks in the tree: a secret, a folder, a range, or all that shows.

use super::State;
use crate::engine::DestinationName;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::screen::plan;
use crate::tui::widget::tree::{NodeId, Standing};

/// What is to be marked: nodes, each with the destination whose tasks are meant.
type Targets = Vec<(NodeId, usize)>;

impl State {
    /// A secret, or what lies in a folder; with a filter only what shows of it.
    fn targets(&self, id: NodeId, destinations: usize) -> Targets {
        if self.filter.is_empty() {
            return (0..destinations).map(|at| (id, at)).collect();
        }
        let Some(row) = self.rows.iter().position(|row| *row == id) else { return Vec::new() };
        let depth = self.tree.depth(id);
        let inside = self.rows[row + 1..].iter().take_while(|row| self.tree.depth(**row) > depth);
        self.targets_of(std::iter::once(&id).chain(inside), destinations)
    }

    /// The secrets among these rows, and closed folders as a whole.
    fn targets_of<'a>(&self, rows: impl Iterator<Item = &'a NodeId>, destinations: usize) -> Targets {
        let needle = self.filter.needle();
        let mut targets = Vec::new();
        for id in rows.copied() {
            if self.tree.secret(id).is_some() {
                let standing = |at: &usize| self.tree.standing(id, *at);
                let meant = (0..destinations).filter(|at| standing(at).is_task() && needle.admits(standing(at).bit()));
                targets.extend(meant.map(|at| (id, at)));
            } else if self.filter.is_empty() && !self.tree.is_open(id) {
                targets.extend((0..destinations).map(|at| (id, at)));
            }
        }
        targets
    }

    /// How many tasks that are.
    fn count(&self, targets: &Targets) -> usize {
        let tasks = |(id, at): &(NodeId, usize)| match self.tree.secret(*id) {
            Some(_) => usize::from(self.tree.standing(*id, *at).is_task()),
            // Those of all destinations, each of which is among the targets.
            None if *at == 0 => self.tree.tasks(*id),
            None => 0,
        };
        targets.iter().map(tasks).sum()
    }
}

/// Marks what the plan would do to the secret, or to all in the folder; takes the marks away if all have one. Says
/// whether there was something to mark.
pub(super) fn mark(model: &mut Model) -> bool {
    let Some(id) = model.browse.cursor() else { return false };
    if !has_plan(model) {
        return false;
    }
    let targets = model.browse.targets(id, model.marks.len());
    let count = model.browse.count(&targets);
    if count == 0 {
        nothing_to_mark(model, id);
        return false;
    }
    model.browse.anchor = Some(id);
    // Only tasks are ever marked.
    let marked: usize = targets.iter().map(|(id, at)| model.browse.tree.marks(*id, &model.marks[*at])).sum();
    put(model, &targets, marked < count);
    true
}

/// Marks everything from the row that was marked last to the cursor's.
pub(super) fn mark_range(model: &mut Model) {
    if !has_plan(model) {
        return;
    }
    let state = &model.browse;
    let to = state.scroll.row();
    let anchor = state.anchor.and_then(|id| state.rows.iter().position(|row| *row == id));
    let Some(from) = anchor.filter(|_| to < state.rows.len()) else {
        let key = super::key(model, Action::Mark);
        model.say(format!("A range begins at the row that was marked last: {key} marks one."));
        return;
    };
    let targets = state.targets_of(state.rows[from.min(to)..=from.max(to)].iter(), model.marks.len());
    model.browse.anchor = model.browse.cursor();
    put_some(model, &targets);
}

/// Marks everything that shows.
pub(super) fn mark_shown(model: &mut Model) {
    if has_plan(model) {
        let targets = model.browse.targets_of(model.browse.rows.iter(), model.marks.len());
        put_some(model, &targets);
    }
}

fn put_some(model: &mut Model, targets: &Targets) {
    if model.browse.count(targets) == 0 {
        model.say("Nothing is to be done there, so there is nothing to mark.");
    } else {
        put(model, targets, true);
    }
}

fn put(model: &mut Model, targets: &Targets, marked: bool) {
    for (id, at) in targets {
        model.browse.tree.mark(*id, *at, &mut model.marks[*at], marked);
    }
    let tasks = format::plural(model.browse.count(targets) as u64, "task");
    let what = if marked { "marked" } else { "unmarked" };
    model.say(format!("{tasks} {what}, {} in all.", format::count(model.marked() as u64)));
}

fn has_plan(model: &mut Model) -> bool {
    if model.plan.is_none() {
        model.say("There is no plan yet.");
    }
    model.plan.is_some()
}

fn nothing_to_mark(model: &mut Model, id: NodeId) {
    let tree = &model.browse.tree;
    let drifted = |(at, _): (usize, &DestinationName)| tree.ways_behind(id, at).any(|way| way == Standing::Drifted);
    let left_alone = model.destinations.iter().enumerate().any(drifted);
    model.say(if left_alone {
        plan::left_alone(model)
    } else {
        "Nothing is to be done here, so there is nothing to mark.".to_owned()
    });
}
