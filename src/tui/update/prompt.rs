//! A line that is typed, and what comes of it.

use crossterm::event::{Event, KeyCode, KeyEvent};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::{interrupt, on_screen, show};
use crate::tui::effect::Effect;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::palette::{self, Command, candidates};
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::{Screen, browse, cycle, failures, history, overview, plan, transforms};
use crate::tui::widget::{self, typed};

/// Begins a command.
pub(super) fn command(model: &mut Model) {
    model.palette.reset();
    model.prompt = Some(Prompt::new(Line::Command, ""));
}

pub(super) fn on_prompt(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(mut prompt) = model.prompt.take() else { return Vec::new() };
    match action {
        Action::Apply => {}
        Action::Back => return Vec::new(),
        _ => {
            // The other keys of a prompt are those of the palette.
            if prompt.ask == Line::Command {
                prompt.error = None;
                choose(model, &mut prompt.input, action);
            }
            model.prompt = Some(prompt);
            return Vec::new();
        }
    }
    let text = prompt.input.value().trim().to_owned();
    match submit(model, &mut prompt, &text) {
        Ok(effects) => effects,
        Err(reason) => {
            prompt.error = Some(reason);
            model.prompt = Some(prompt);
            Vec::new()
        }
    }
}

/// Gives the line to who asked for it; the reason, if it is not taken.
fn submit(model: &mut Model, prompt: &mut Prompt, text: &str) -> Result<Vec<Effect>, String> {
    match prompt.ask {
        Line::Command => run(model, prompt, text),
        Line::IgnoreReason => failures::ignore(model, text),
        Line::SavePlan => plan::save(model, text),
        Line::LoadPlan => plan::open(model, text),
        Line::MarkFolder => plan::mark_by_folder(model, text),
        Line::MarkByFile => plan::mark_by_file(model, text),
        Line::TryPath => crate::tui::screen::transforms::try_path(model, text),
        Line::Export(cycle) => history::export_to(cycle, text),
    }
}

pub(super) fn on_text(model: &mut Model, key: KeyEvent) {
    let Some(prompt) = &mut model.prompt else { return };
    prompt.error = None;
    if prompt.ask == Line::Command && key.code == KeyCode::Backspace && prompt.input.value().is_empty() {
        model.prompt = None;
        return;
    }
    let changed = prompt.input.handle_event(&Event::Key(key));
    if changed.is_some_and(|changed| changed.value) {
        model.palette.reset();
    }
}

pub(super) fn on_paste(model: &mut Model, text: &str) {
    if let Some(prompt) = &mut model.prompt {
        prompt.error = (!typed::insert(&mut prompt.input, text)).then(typed::too_long);
        model.palette.reset();
    }
}

/// Chooses among what the line can become, or among the lines before it.
fn choose(model: &mut Model, input: &mut Input, action: Action) {
    let text = input.value().to_owned();
    if matches!(action, Action::Up | Action::Down) && model.palette.recalls(&text) {
        if let Some(line) = model.palette.recall(action == Action::Up) {
            *input = Input::from(line);
            return;
        }
        if action == Action::Up {
            return;
        }
    }
    let candidates = candidates(model, &text);
    let Some(last) = candidates.len().checked_sub(1) else { return };
    let page = widget::palette::rows_that_fit(model.body());
    let chosen = model.palette.chosen(&text, &candidates);
    let at = match action {
        Action::Complete => {
            // What stands in the line already is completed to the next one.
            let complete = |at: &usize| candidates[*at].line == text;
            let at = chosen.map_or(0, |at| if complete(&at) { (at + 1) % candidates.len() } else { at });
            *input = Input::from(candidates[at].line.clone());
            model.palette.reset();
            return;
        }
        Action::Up => chosen.map_or(last, |at| at.checked_sub(1).unwrap_or(last)),
        Action::Down => chosen.map_or(0, |at| if at == last { 0 } else { at + 1 }),
        Action::PageUp => chosen.unwrap_or(0).saturating_sub(page),
        Action::PageDown => (chosen.unwrap_or(0) + page).min(last),
        _ => return,
    };
    model.palette.choose(&candidates[at].line);
}

/// Does what the chosen candidate stands for.
fn run(model: &mut Model, prompt: &mut Prompt, text: &str) -> Result<Vec<Effect>, String> {
    let typed = prompt.input.value().to_owned();
    let mut candidates = candidates(model, &typed);
    let Some(at) = model.palette.chosen(&typed, &candidates) else {
        // Nothing typed and nothing chosen: that is nothing to do.
        return if text.is_empty() { Ok(Vec::new()) } else { Err(palette::complaint(model, &typed)) };
    };
    let candidate = candidates.swap_remove(at);
    let Some(command) = candidate.command else {
        let missing = candidate.line == typed || candidate.line.trim_end() == text;
        prompt.input = Input::from(candidate.line);
        model.palette.reset();
        return Err(if missing { palette::complaint(model, &typed) } else { String::new() });
    };
    let line = if candidate.line.is_empty() { text } else { &candidate.line };
    model.palette.remember(line);
    obey(model, command)
}

fn obey(model: &mut Model, command: Command) -> Result<Vec<Effect>, String> {
    match command {
        Command::Act(_, Action::Interrupt) => return Ok(interrupt(model)),
        Command::Act(screen, action) => {
            show(model, screen);
            return Ok(on_screen(model, screen, action));
        }
        Command::Destination(at) => {
            overview::choose(model, at);
            plan::choose(model, Some(at));
            transforms::show_destination(model, at);
            // whoever looks at rules wants to see the others' rules
            if model.screen != Screen::Transforms {
                show(model, Screen::Plan);
            }
        }
        Command::Path(path) => {
            let Some(id) = model.browse.tree.at(&path) else {
                return Err(palette::complaint(model, &path));
            };
            browse::go(model, id);
            show(model, Screen::Browse);
        }
        Command::Theme(name) => match model.themes.named(&name) {
            Some(theme) => model.theme = theme,
            None => return Err(palette::complaint(model, &format!("theme {name}"))),
        },
        Command::Workers(count) => return Ok(cycle::set_workers(model, count)),
        Command::State(only) => {
            browse::show_only(model, only);
            show(model, Screen::Browse);
        }
        Command::Filter(screen, text) => {
            show(model, screen);
            if let Some(filter) = screen.filter(model) {
                filter.input = Input::from(text);
                screen.refilter(model);
            }
        }
    }
    Ok(Vec::new())
}
