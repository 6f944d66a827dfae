//! Marking many tasks at once. Only what shows is marked.

use super::{Row, present, row_of};
use crate::kv::{PathFilter, SecretPath};
use crate::tui::effect::Effect;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::prompt::{Line, Prompt};

/// Marks every task that shows.
pub(super) fn mark_shown(model: &mut Model) {
    let marked = mark_where(model, |_| true);
    say(model, marked, "");
}

/// The folder around the cursor: `secret/team/`.
fn folder(model: &Model) -> Option<String> {
    let (_, row) = super::current(model)?;
    let path = row.origin().to_string();
    let end = path.rfind('/')?;
    Some(path[..=end].to_owned())
}

/// Marks the folder around the cursor; takes its marks away if all that shows of it is marked.
pub(super) fn mark_folder(model: &mut Model) {
    let Some(folder) = folder(model) else { return };
    let inside = |path: &SecretPath| path.to_string().starts_with(&folder);
    let mut all = true;
    each_shown(model, |at, path| {
        all &= !inside(path) || model.marks.get(at).is_some_and(|marks| marks.contains(path));
    });
    if all {
        let mut paths = Vec::new();
        each_shown(model, |at, path| {
            if inside(path) {
                paths.push((at, path.clone()));
            }
        });
        for (at, path) in paths {
            if let Some(marks) = model.marks.get_mut(at) {
                marks.remove(&path);
            }
        }
        model.say(format!("Nothing in {folder} is marked any more."));
    } else {
        let marked = mark_where(model, inside);
        say(model, marked, &format!(" in {folder}"));
    }
}

/// Asks for the folder to mark.
pub(super) fn ask_folder(model: &mut Model) {
    let folder = folder(model).unwrap_or_default();
    model.prompt = Some(Prompt::new(Line::MarkFolder, &folder));
}

/// Marks what shows of a folder, or of what a glob matches.
pub(in crate::tui) fn mark_by_folder(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    if text.is_empty() {
        return Err("name a folder, or a glob".to_owned());
    }
    let inside = format!("{}/", text.trim_matches('/'));
    let mut marked = mark_where(model, |path| path.to_string().starts_with(&inside));
    if marked == 0 {
        let glob = PathFilter::new(&[text.to_owned()], &[], &model.mounts).map_err(|error| error.to_string())?;
        marked = mark_where(model, |path| glob.admits(path));
    }
    if marked == 0 {
        return Err("no task that shows is in there".to_owned());
    }
    say(model, marked, &format!(" in {text}"));
    Ok(Vec::new())
}

fn each_shown(model: &Model, mut take: impl FnMut(usize, &SecretPath)) {
    let Some(plan) = present(model) else { return };
    for &(at, item) in &model.plan_list.rows {
        if let Some(Row::Task(task)) = row_of(model, plan, at, item) {
            take(usize::from(at), &task.origin);
        }
    }
}

/// Marks the tasks that show for which `is` says so; how many those are.
fn mark_where(model: &mut Model, is: impl Fn(&SecretPath) -> bool) -> usize {
    let mut paths = vec![Vec::new(); model.marks.len()];
    each_shown(model, |at, path| {
        if let Some(paths) = paths.get_mut(at).filter(|_| is(path)) {
            paths.push(path.clone());
        }
    });
    for (marks, paths) in model.marks.iter_mut().zip(&paths) {
        marks.extend(paths);
    }
    paths.iter().map(Vec::len).sum()
}

fn say(model: &mut Model, marked: usize, place: &str) {
    let (marked, all) = (format::plural(marked as u64, "task"), format::count(model.marked() as u64));
    model.say(format!("{marked}{place} marked, {all} in all."));
}
