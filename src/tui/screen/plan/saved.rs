//! A saved plan in place of the present one: what of it holds is shown, marked and executed exactly.

use std::path::Path;
use std::sync::Arc;

use super::News;
use crate::engine::{DestinationName, Plan, SavedPlan, StaleLine};
use crate::tui::effect::plan::{Held, Named, Request};
use crate::tui::effect::{Effect, Keep};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::Screen;
use crate::tui::update::{refresh, show};

/// A saved plan.
#[derive(Debug)]
pub(in crate::tui) struct Saved {
    /// The file as it was typed.
    file: String,
    document: Arc<SavedPlan>,
    /// What of it holds; `None` until everything has been looked at again.
    held: Option<Held>,
}

impl super::State {
    /// What holds of the saved plan, if there is one.
    pub(in crate::tui) fn saved_plan(&self) -> Option<&Arc<Plan>> {
        Some(&self.saved.as_ref()?.held.as_ref()?.plan)
    }

    /// The lines of the saved plan that hold no longer.
    pub(super) fn stale(&self) -> &[StaleLine] {
        self.saved.as_ref().and_then(|saved| saved.held.as_ref()).map_or(&[], |held| &held.stale)
    }

    /// Whether the saved plan has something for a destination, be it that it holds no longer.
    pub(super) fn saved_for(&self, name: &DestinationName) -> bool {
        let holds = |plan: &Arc<Plan>| plan.destination(name).is_some_and(|part| !part.tasks.is_empty());
        self.saved_plan().is_some_and(holds) || self.stale().iter().any(|line| line.destination == *name)
    }

    /// The saved plan in a few words.
    pub(super) fn saved_title(&self) -> Option<String> {
        let Saved { file, document, held } = self.saved.as_ref()?;
        let name = Path::new(file).file_name().map_or_else(|| file.clone(), |name| name.to_string_lossy().into_owned());
        let name = crate::text::sanitize(&name).into_owned();
        let made = format::time(document.created());
        Some(match held {
            None => format!("{name}, looking what of it holds…"),
            Some(held) => {
                let lines = document.len();
                let left = format::count((lines - held.stale.len().min(lines)) as u64);
                format!("{name} of {made}: {left} of {} hold", format::plural(lines as u64, "line"))
            }
        })
    }
}

/// Asks where to save: what is marked, else what is chosen.
pub(super) fn ask_file(model: &mut Model) {
    let Some(plan) = super::present(model).filter(|plan| !plan.is_empty()) else {
        model.say("There is no task to save.");
        return;
    };
    let name = format!("plan-{}.json", plan.created.strftime("%Y%m%d-%H%M"));
    model.prompt = Some(Prompt::new(Line::SavePlan, &name));
}

/// What would be saved, for the line that asks for the file.
pub(super) fn to_save(model: &Model) -> Keep {
    if model.marked() > 0 { Keep::Marked(model.marked_tasks()) } else { super::chosen(model) }
}

/// Saves the plan in this file.
pub(in crate::tui) fn save(model: &mut Model, file: &str) -> Result<Vec<Effect>, String> {
    if file.is_empty() {
        return Err("name a new file".to_owned());
    }
    let plan = super::present(model).ok_or("there is no plan yet")?.clone();
    let keep = to_save(model);
    model.say(format!("Saving {file}…"));
    Ok(vec![Effect::Plan(Request::Save { plan, keep, file: file.to_owned() })])
}

/// Reads the saved plan in this file.
pub(in crate::tui) fn open(model: &mut Model, file: &str) -> Result<Vec<Effect>, String> {
    if file.is_empty() {
        return Err("name the file of a saved plan".to_owned());
    }
    model.say(format!("Reading {file}…"));
    Ok(vec![Effect::Plan(Request::Open { file: file.to_owned() })])
}

/// Marks what the lines of this file name.
pub(in crate::tui) fn mark_by_file(model: &mut Model, file: &str) -> Result<Vec<Effect>, String> {
    if file.is_empty() {
        return Err("name a file with a path or a glob on each line".to_owned());
    }
    let plan = super::present(model).ok_or("there is no plan yet")?.clone();
    let destination = model.plan_list.destination;
    Ok(vec![Effect::Plan(Request::Paths { plan, destination, file: file.to_owned() })])
}

/// Goes back to the present plan.
pub(in crate::tui) fn leave(model: &mut Model) {
    let task = super::cursor(model);
    if model.plan_list.saved.take().is_some() {
        for marks in &mut model.marks {
            marks.clear();
        }
        super::renew(model, task);
    }
}

/// Finds out what of the saved plan holds, now that everything has been looked at.
pub(in crate::tui) fn judge(model: &Model) -> Vec<Effect> {
    let (Some(saved), Some(plan)) = (&model.plan_list.saved, &model.plan) else { return Vec::new() };
    vec![Effect::Plan(Request::Judge {
        saved: Arc::clone(&saved.document),
        inventory: Arc::clone(&plan.inventory),
        destinations: model.destinations.clone(),
    })]
}

/// Asks for the file again, unless the operator has gone on.
fn ask_again(model: &mut Model, ask: Line, file: &str, reason: String) {
    let free = model.screen == Screen::Plan && model.prompt.is_none() && model.dialog.is_none() && !model.filtering;
    model.notice = None;
    if free {
        let mut prompt = Prompt::new(ask, file);
        prompt.error = Some(reason);
        model.prompt = Some(prompt);
    } else {
        model.warn(reason);
    }
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    match news {
        News::Saved { file, result: Ok(lines) } => {
            let lines = format::plural(lines as u64, "line");
            model.say(format!("{lines} saved in {file}; \"vsync sync --plan {file}\" does exactly these, too."));
        }
        News::Saved { file, result: Err(reason) } => ask_again(model, Line::SavePlan, &file, reason),
        News::Opened { file, result: Ok(document) } => {
            let task = super::cursor(model);
            model.plan_list.saved = Some(Saved { file, document, held: None });
            show(model, Screen::Plan);
            super::renew(model, task);
            return if model.listing.is_some() { Vec::new() } else { refresh(model) };
        }
        News::Opened { file, result: Err(reason) } => ask_again(model, Line::LoadPlan, &file, reason),
        News::Held { saved, result } => on_held(model, &saved, result),
        News::Named { file, result: Ok(named) } => on_named(model, &file, *named),
        News::Named { file, result: Err(reason) } => ask_again(model, Line::MarkByFile, &file, reason),
    }
    Vec::new()
}

fn on_held(model: &mut Model, document: &Arc<SavedPlan>, result: Result<Held, String>) {
    let task = super::cursor(model);
    let Some(saved) = model.plan_list.saved.as_mut().filter(|saved| Arc::ptr_eq(&saved.document, document)) else {
        return;
    };
    match result {
        Ok(held) => {
            let first = saved.held.is_none();
            let (stale, lines) = (held.stale.len(), document.len());
            let plan = Arc::clone(&held.plan);
            saved.held = Some(held);
            if first {
                for (marks, part) in model.marks.iter_mut().zip(&plan.destinations) {
                    marks.clear();
                    marks.extend(part.tasks.iter().map(|task| &task.origin));
                }
                let all = format::plural(lines as u64, "line");
                if stale == 0 {
                    model.say(format!("All {all} hold and are marked: executing does exactly these."));
                } else {
                    let gone = format::count(stale as u64);
                    model.warn(format!("{gone} of {all} hold no longer and say why; the others are marked."));
                }
            }
            super::renew(model, task);
        }
        Err(reason) => {
            let file = saved.file.clone();
            model.plan_list.saved = None;
            super::renew(model, task);
            model.warn(format!("{file}: {reason}"));
        }
    }
}

fn on_named(model: &mut Model, file: &str, named: Named) {
    let Named { plan, secrets, lines, unmatched, first } = named;
    if !super::present(model).is_some_and(|now| Arc::ptr_eq(now, &plan)) {
        model.warn("The plan is another one by now: nothing was marked, ask again.");
        return;
    }
    for (marks, secrets) in model.marks.iter_mut().zip(&secrets) {
        marks.extend(secrets);
    }
    let tasks = format::plural(secrets.iter().map(Vec::len).sum::<usize>() as u64, "task");
    let lines = format::plural(lines as u64, "line");
    match first {
        None => model.say(format!("{tasks} marked by {lines} of {file}.")),
        Some((number, line)) => {
            let unmatched = format::plural(unmatched as u64, "line");
            model.warn(format!(
                "{tasks} marked by {lines} of {file}. {unmatched} matched nothing; the first is line {number}: {line}"
            ));
        }
    }
}
