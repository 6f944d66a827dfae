//! Questions, what they lead to, and Ctrl-C.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::show;
use crate::tui::Exit;
use crate::tui::effect::{Control, Effect, Manner};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::{Asked, Purpose, Selected};
use crate::tui::model::{Ask, Cycle, Dialog, Model, obstacles, purpose_title};
use crate::tui::screen::{Screen, browse, cycle, failures, history, plan, transforms};
use crate::tui::watch;

/// More than a count has.
const DIGITS: usize = 12;

pub(super) fn on_dialog(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(mut dialog) = model.dialog.take_if(|dialog| dialog.armed) else { return Vec::new() };
    let can_agree = dialog.can_agree();
    if let Some(number) = dialog.must_type() {
        return match action {
            Action::Yes | Action::Press if dialog.typed == number.to_string() => agree(model, dialog.ask),
            Action::Yes | Action::Press | Action::OtherButton => {
                dialog.wrong = action != Action::OtherButton;
                model.dialog = Some(dialog);
                Vec::new()
            }
            _ => Vec::new(),
        };
    }
    let agreed = match action {
        Action::Yes => true,
        Action::Press => dialog.chosen,
        Action::OtherButton => {
            dialog.chosen = can_agree && !dialog.chosen;
            model.dialog = Some(dialog);
            return Vec::new();
        }
        _ => false,
    };
    if agreed && can_agree { agree(model, dialog.ask) } else { Vec::new() }
}

/// Gives a key to a question in which a number must be typed; whether it was for that.
pub(super) fn on_typed(model: &mut Model, key: &KeyEvent) -> bool {
    let Some(dialog) = model.dialog.as_mut().filter(|dialog| dialog.must_type().is_some()) else { return false };
    if !key.modifiers.difference(KeyModifiers::SHIFT).is_empty() {
        return false;
    }
    let before = dialog.typed.len();
    match key.code {
        // what is pressed before the question can be read is not meant for it
        KeyCode::Char('0'..='9') | KeyCode::Backspace if !dialog.armed => {}
        KeyCode::Char(digit @ '0'..='9') if before < DIGITS => dialog.typed.push(digit),
        KeyCode::Char('0'..='9') => {}
        KeyCode::Backspace => {
            dialog.typed.pop();
        }
        _ => return false,
    }
    dialog.wrong &= dialog.typed.len() == before;
    true
}

fn agree(model: &mut Model, ask: Ask) -> Vec<Effect> {
    match ask {
        Ask::Start(selected) => start(model, *selected),
        Ask::Browse(question) => browse::agree(model, question),
        Ask::Cancel => cancel(model),
        Ask::Skip(destination) => cycle::skip(model, destination),
        Ask::Watch { .. } => watch::start(model),
        Ask::Unwatch => watch::stop(model),
        Ask::Quit => {
            model.quitting = true;
            let effects = cancel(model);
            if model.cycle.running { effects } else { vec![Effect::Quit(Exit::Quit)] }
        }
        Ask::DiscardDraft => transforms::discard(model),
        Ask::SaveRules(saving) => transforms::save(model, *saving),
    }
}

fn cancel(model: &mut Model) -> Vec<Effect> {
    if !model.cycle.running {
        return Vec::new();
    }
    model.cycle.cancelling = true;
    model.say("Cancelling: workers finish what they hold. Ctrl-C quits without waiting.");
    vec![Effect::Control(Control::Cancel)]
}

/// Ctrl-C: with nothing to lose quit; else ask. While a cycle runs: then cancel cleanly, then quit at once.
pub(super) fn interrupt(model: &mut Model) -> Vec<Effect> {
    if !model.cycle.running {
        let asked = matches!(model.dialog, Some(Dialog { ask: Ask::Quit, .. }));
        if asked || !model.loses_something() {
            return vec![Effect::Quit(Exit::Quit)];
        }
        stand_back(model);
        model.dialog = Some(Dialog::new(Ask::Quit));
        return Vec::new();
    }
    if model.cycle.cancelling {
        return vec![Effect::Quit(Exit::Abandoned)];
    }
    if let Some(Dialog { ask: ask @ (Ask::Cancel | Ask::Quit), .. }) = model.dialog.take() {
        return agree(model, ask);
    }
    stand_back(model);
    model.dialog = Some(Dialog::new(Ask::Cancel));
    Vec::new()
}

/// Takes away what would stand beside a question.
fn stand_back(model: &mut Model) {
    model.help = None;
    model.filtering = false;
    model.prompt = None;
}

fn start(model: &mut Model, selected: Selected) -> Vec<Effect> {
    let purpose = selected.asked.purpose;
    let dry_run = purpose == Purpose::DryRun;
    if !dry_run && model.read_only {
        model.warn("This console is read-only.");
        return Vec::new();
    }
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    model.held = None;
    model.cycle = Cycle { running: true, ..Cycle::default() };
    show(model, Screen::Cycle);
    if purpose == Purpose::Exact {
        plan::leave(model);
    }
    if matches!(purpose, Purpose::Undo(_)) {
        history::back(model);
    }
    let manner = match purpose {
        Purpose::Exact => Manner::Exact,
        Purpose::Decide(decision) => Manner::Deciding(decision),
        Purpose::Undo(cycle) => Manner::Undoing(cycle),
        Purpose::Retry => Manner::Retrying,
        Purpose::Execute | Purpose::DryRun => Manner::Usual,
    };
    vec![Effect::Start { plan: Box::new(selected.plan), dry_run, manner }]
}

pub(super) fn on_selected(model: &mut Model, selected: Box<Selected>) -> Vec<Effect> {
    model.notice = None;
    let purpose = selected.asked.purpose;
    if selected.plan.is_empty() && obstacles(&selected.plan).next().is_none() {
        model.say(match purpose {
            Purpose::Retry => "Nothing is left to retry: a later cycle has done it, or it is gone from the plan.",
            Purpose::Decide(_) => "Nothing is left to decide: it is settled by now, or it is gone from the plan.",
            Purpose::Execute | Purpose::Exact | Purpose::Undo(_) | Purpose::DryRun => "There is nothing to do.",
        });
        return Vec::new();
    }
    if model.cycle.running {
        model.warn(format!("{}: not started, for a cycle is running by now.", purpose_title(purpose)));
        return Vec::new();
    }
    // Who is doing something else by now presses keys that are meant for that.
    let elsewhere = model.screen != selected.asked.screen
        || model.filtering
        || model.help.is_some()
        || model.dialog.is_some()
        || model.prompt.is_some();
    if !elsewhere {
        return ask(model, selected);
    }
    if purpose.is_planned_anew() {
        let tasks = format::plural(selected.plan.counts().total(), "task");
        let key = failures::retry_key(model, &selected.asked);
        model.say(format!("The retry is planned: {tasks}. {key} on Failures asks whether to start it."));
        model.held = Some(selected);
    } else {
        let screen = selected.asked.screen.title();
        model.say(format!(
            "{}: not started, for you had gone on. Ask for it again on {screen}.",
            purpose_title(purpose)
        ));
    }
    Vec::new()
}

fn ask(model: &mut Model, selected: Box<Selected>) -> Vec<Effect> {
    let dry_run = selected.asked.purpose == Purpose::DryRun;
    let dialog = Dialog::unasked(Ask::Start(selected));
    if dry_run && dialog.can_agree() {
        return agree(model, dialog.ask);
    }
    model.dialog = Some(dialog);
    vec![Effect::Arm]
}

/// Asks about the retry that has been planned already, if it is the one that is asked for.
pub(in crate::tui) fn ask_held(model: &mut Model, asked: &Asked) -> Option<Vec<Effect>> {
    let held = model.held.take_if(|held| held.asked == *asked)?;
    Some(ask(model, held))
}
