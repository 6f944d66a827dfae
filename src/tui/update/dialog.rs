//! Questions, what they lead to, and Ctrl-C.

use super::show;
use crate::tui::Exit;
use crate::tui::effect::{Control, Effect};
use crate::tui::keymap::Action;
use crate::tui::message::{Purpose, Selected};
use crate::tui::model::{Ask, Cycle, Dialog, Model};
use crate::tui::screen::Screen;

pub(super) fn on_dialog(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(mut dialog) = model.dialog.take() else { return Vec::new() };
    let can_agree = dialog.can_agree();
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

fn agree(model: &mut Model, ask: Ask) -> Vec<Effect> {
    match ask {
        Ask::Start(selected) => start(model, *selected),
        Ask::Cancel => cancel(model),
        Ask::Quit => {
            model.quitting = true;
            let effects = cancel(model);
            if model.cycle.running { effects } else { vec![Effect::Quit(Exit::Quit)] }
        }
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

/// Ctrl-C: without a cycle quit; with one ask, then cancel cleanly, then quit at once.
pub(super) fn interrupt(model: &mut Model) -> Vec<Effect> {
    if !model.cycle.running {
        return vec![Effect::Quit(Exit::Quit)];
    }
    if model.cycle.cancelling {
        return vec![Effect::Quit(Exit::Abandoned)];
    }
    if let Some(Dialog { ask: ask @ (Ask::Cancel | Ask::Quit), .. }) = model.dialog.take() {
        return agree(model, ask);
    }
    model.help = None;
    model.filtering = false;
    model.dialog = Some(Dialog::new(Ask::Cancel));
    Vec::new()
}

fn start(model: &mut Model, selected: Selected) -> Vec<Effect> {
    let dry_run = selected.purpose == Purpose::DryRun;
    if !dry_run && model.read_only {
        model.warn("This console is read-only.");
        return Vec::new();
    }
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    model.cycle = Cycle { running: true, ..Cycle::default() };
    show(model, Screen::Cycle);
    vec![Effect::Start { plan: Box::new(selected.plan), dry_run }]
}

pub(super) fn on_selected(model: &mut Model, selected: Box<Selected>) -> Vec<Effect> {
    model.notice = None;
    let dialog = Dialog::new(Ask::Start(selected));
    let Ask::Start(selected) = &dialog.ask else { return Vec::new() };
    if selected.plan.is_empty() && dialog.can_agree() {
        model.say(match selected.purpose {
            Purpose::Retry => "Nothing is left to retry: a later cycle has done it, or it is gone from the plan.",
            Purpose::Execute | Purpose::DryRun => "There is nothing to do.",
        });
        return Vec::new();
    }
    if selected.purpose == Purpose::DryRun && dialog.can_agree() {
        return agree(model, dialog.ask);
    }
    // What was being typed or read must not answer the question.
    model.help = None;
    model.filtering = false;
    model.dialog = Some(dialog);
    Vec::new()
}
