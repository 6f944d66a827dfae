//! What happens to the model when something happens. No I/O: what is to be done outside comes back as effects.

mod dialog;
mod mouse;
mod prompt;
pub(super) mod settings;

use std::sync::Arc;

use crossterm::event::{Event, KeyEvent};
use ratatui::layout::Direction;
use tui_input::backend::crossterm::EventHandler;

use super::Exit;
use dialog::{interrupt, on_dialog, on_selected};

pub(super) use dialog::ask_held;

use super::effect::{Effect, Keep};
use super::filter::Filter;
use super::input::Input;
use super::keymap::{Action, Place};
use super::message::{Asked, Message, Purpose, Refreshed, Work};
use super::model::{Ask, Dialog, Model, Notice};
use super::outcome;
use super::screen::{Screen, browse, failures, history, logs, overview, plan, transforms};
use super::watch;
use super::widget::scroll::Move;
use super::widget::typed;
use crate::engine::{Phase, Report};

/// What the console does first, when its first frame has been drawn.
pub(super) fn begin(model: &mut Model) -> Vec<Effect> {
    model.listing = Some(0);
    vec![Effect::Probe, Effect::Refresh, Effect::Reports]
}

/// Looks at everything again, unless that is being done.
pub(super) fn refresh(model: &mut Model) -> Vec<Effect> {
    if model.listing.is_some() { Vec::new() } else { begin(model) }
}

/// Takes in one message.
pub(super) fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = match message {
        Message::Input(input) => on_input(model, input),
        Message::Probed(side, status) => {
            if let Some(known) = model.sides.iter_mut().find(|known| known.side == side) {
                known.status = Some(status);
            }
            Vec::new()
        }
        Message::Inventory(updates) => {
            browse::grow(model, &updates);
            Vec::new()
        }
        Message::Grown(tree) => {
            browse::grown(model, *tree);
            Vec::new()
        }
        Message::Refreshed(refreshed) => on_refreshed(model, *refreshed),
        Message::Reports(reports) => {
            match reports {
                Ok(reports) => {
                    model.history_read = true;
                    model.history_error = None;
                    history::refreshed(model, reports.into_iter().filter(|report| !report.dry_run).collect());
                }
                Err(reason) => model.history_error = Some(reason),
            }
            Vec::new()
        }
        Message::Settings(files) => settings::take(model, &files, true),
        Message::Overview(news) => overview::take(model, news),
        Message::Browse(news) => browse::take(model, news),
        Message::Plan(news) => plan::take(model, news),
        Message::Watch(news) => watch::take(model, news),
        Message::Failures(news) => failures::take(model, news),
        Message::History(news) => history::take(model, news),
        Message::Transforms(news) => transforms::take(model, news),
        Message::Logs(news) => logs::take(model, news),
        Message::Selected(selected) => on_selected(model, selected),
        Message::Armed => {
            if let Some(dialog) = &mut model.dialog {
                dialog.armed = true;
            }
            Vec::new()
        }
        Message::Refused(reason) => {
            model.cycle.running = false;
            model.warn(format!("Not started: {reason}"));
            if model.quitting { vec![Effect::Quit(Exit::Quit)] } else { Vec::new() }
        }
        Message::Snapshot(snapshot) => {
            let effects = overview::follow(model, &snapshot);
            model.cycle.snapshot = Some(snapshot);
            effects
        }
        Message::Unsaved(destination, reason) => {
            model.warn(format!("{destination}: state could not be saved, it is tried again: {reason}"));
            model.cycle.unsaved.insert(destination, reason);
            Vec::new()
        }
        Message::Blocked(destination, sentence) => {
            model.warn(sentence.clone());
            model.cycle.blocked.insert(destination, sentence);
            Vec::new()
        }
        Message::NotKept(reason) => {
            model.warn(outcome::not_kept(&reason));
            Vec::new()
        }
        Message::Ended(report) => on_ended(model, report),
        Message::Bug(words) => {
            model.warn(format!("A part of vsync failed by a bug, please report it: {words}"));
            model.bug = Some(words);
            Vec::new()
        }
        Message::Lost(Work::Refresh) => {
            model.listing = None;
            Vec::new()
        }
        Message::Lost(Work::Watch) => {
            model.watch.on = false;
            model.warn("The watch has broken off; nothing more is written by itself.");
            Vec::new()
        }
        Message::Lost(Work::Cycle) => {
            model.cycle.running = false;
            model.cycle.cancelling = false;
            if model.quitting { vec![Effect::Quit(Exit::Quit)] } else { begin(model) }
        }
    };
    model.screen.settle(model);
    effects.extend(browse::wants(model));
    effects.extend(transforms::wants(model));
    effects.extend(history::wants(model));
    effects
}

fn on_input(model: &mut Model, input: Input) -> Vec<Effect> {
    match input {
        Input::Key(key) => on_key(model, key),
        Input::Mouse(event) => mouse::on_mouse(model, event),
        Input::Paste(text) => {
            // Anywhere but in a prompt a pasted line would press keys.
            if model.filtering {
                let mut fits = true;
                with_filter(model, |filter| fits = typed::insert(&mut filter.input, &text));
                if fits {
                    filtered(model);
                } else {
                    model.warn(typed::too_long());
                }
            } else if model.prompt.is_some() {
                prompt::on_paste(model, &text);
            } else if model.place() == Place::Edit {
                transforms::paste(model, &text);
            }
            Vec::new()
        }
        Input::Resize(width, height) => {
            model.size.width = width;
            model.size.height = height;
            Vec::new()
        }
        Input::Terminate => vec![Effect::Quit(Exit::Interrupted)],
    }
}

fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    model.notice = None;
    if !model.is_too_small() && dialog::on_typed(model, &key) {
        return Vec::new();
    }
    let place = model.place();
    let action = model.keymap.lookup(place, model.read_only, &key);
    if model.is_too_small() && !matches!(action, Some(Action::Interrupt | Action::Suspend)) {
        return Vec::new();
    }
    if let Some(action) = action {
        return on_action(model, place, action);
    }
    if place == Place::Filter {
        with_filter(model, |filter| {
            filter.input.handle_event(&Event::Key(key));
        });
        filtered(model);
    } else if model.prompt.is_some() && place != Place::Dialog {
        prompt::on_text(model, key);
    } else if place == Place::Edit && !model.keymap.writes(place, &key) {
        transforms::type_in(model, &Event::Key(key));
    } else if model.keymap.writes(place, &key) {
        // Only a read-only console has no action for such a key.
        model.say("read-only: nothing is written, no value is shown");
    }
    Vec::new()
}

/// Does what a key, or a click on its hint, asks for.
fn on_action(model: &mut Model, place: Place, action: Action) -> Vec<Effect> {
    if action == Action::Interrupt {
        return interrupt(model);
    }
    match place {
        Place::Screen(screen) => on_screen(model, screen, action),
        Place::Filter => on_filter(model, action),
        Place::Dialog => on_dialog(model, action),
        Place::Help => on_help(model, action),
        Place::Prompt | Place::Palette => prompt::on_prompt(model, action),
        Place::Edit => transforms::edit(model, action),
    }
}

fn on_screen(model: &mut Model, screen: Screen, action: Action) -> Vec<Effect> {
    match action {
        Action::Show(screen) => show(model, screen),
        Action::NextScreen => show(model, screen.step(1)),
        Action::PreviousScreen => show(model, screen.step(Screen::ALL.len() - 1)),
        Action::Help => model.help = Some(0),
        Action::Theme => {
            if let Some(theme) = model.themes.after(&model.theme.name) {
                model.say(format!("Theme: {}", theme.name));
                model.theme = theme;
            }
        }
        Action::Mouse => {
            model.mouse = !model.mouse;
            model.dragging = false;
            let key = model.keymap.key(Place::Screen(screen), Action::Mouse);
            model.say(if model.mouse {
                format!("The mouse is the console's again; {key} leaves it to the terminal.")
            } else {
                format!("The mouse is the terminal's: select text as usual; {key} takes it back.")
            });
            return vec![Effect::CaptureMouse(model.mouse)];
        }
        Action::SmallerList => move_divider(model, screen, -4),
        Action::BiggerList => move_divider(model, screen, 4),
        Action::Suspend => {
            let mut effects = browse::conceal(model);
            effects.push(Effect::Suspend);
            return effects;
        }
        Action::Quit => {
            if !model.loses_something() {
                return vec![Effect::Quit(Exit::Quit)];
            }
            model.dialog = Some(Dialog::new(Ask::Quit));
        }
        Action::Refresh => {
            if model.listing.is_some() {
                model.say("Already at it.");
            } else {
                return begin(model);
            }
        }
        Action::Back if screen == Screen::Browse && browse::has_inner(model) => return browse::back(model),
        Action::Back if screen == Screen::History && history::has_inner(model) => history::back(model),
        Action::Back => {
            let filtered_before = screen.filter(model).is_some_and(|filter| !filter.is_empty());
            if filtered_before {
                with_filter(model, Filter::clear);
                filtered(model);
            } else if screen == Screen::Transforms && transforms::dismiss(model) {
                // what was asked for by hand has gone from the screen
            } else if let Some(previous) = model.previous.take() {
                model.screen = previous;
            }
        }
        Action::Filter => model.filtering = true,
        Action::Command => prompt::command(model),
        Action::ClearMarks if !matches!(screen, Screen::Failures | Screen::History) => {
            for marks in &mut model.marks {
                marks.clear();
            }
        }
        _ => return screen.act(model, action),
    }
    Vec::new()
}

/// Moves the divider by so many columns, or half as many rows, which are twice as high as a column is wide.
fn move_divider(model: &mut Model, screen: Screen, columns: i16) {
    if let Some(split) = screen.split(model) {
        let by = if split.direction() == Direction::Horizontal { columns } else { columns / 2 };
        model.shares.insert((screen, split.direction()), split.moved(by));
    }
}

/// Goes to a screen.
pub(super) fn show(model: &mut Model, screen: Screen) {
    if model.screen != screen {
        model.previous = Some(model.screen);
        model.screen = screen;
    }
}

fn on_filter(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Apply => model.filtering = false,
        Action::Back => {
            model.filtering = false;
            with_filter(model, Filter::clear);
            filtered(model);
        }
        _ => return model.screen.act(model, action),
    }
    Vec::new()
}

fn on_help(model: &mut Model, action: Action) -> Vec<Effect> {
    let page = usize::from(model.body().height.saturating_sub(3));
    let most = super::view::help_overflow(model);
    model.help = model.help.zip(movement(action)).map(|(top, to)| match to {
        Move::Up => top.saturating_sub(1),
        Move::Down => (top + 1).min(most),
        Move::PageUp => top.saturating_sub(page),
        Move::PageDown => (top + page).min(most),
        Move::First => 0,
        Move::Last => most,
    });
    Vec::new()
}

fn on_refreshed(model: &mut Model, refreshed: Refreshed) -> Vec<Effect> {
    let (task, failure) = (plan::cursor(model), failures::cursor(model));
    model.listing = None;
    // It was cut out of the plan that is replaced now.
    model.held = None;
    model.unknown.clone_from(&refreshed.plan.inventory.unknown);
    model.plan = Some(refreshed.plan);
    match refreshed.failures {
        Ok(judged) => {
            failures::judged(model, judged);
            model.failures_error = None;
        }
        Err(reason) => model.failures_error = Some(reason),
    }
    for (at, marks) in model.marks.iter_mut().enumerate() {
        *marks = refreshed.tree.take_over(at, marks);
    }
    browse::adopt(model, refreshed.tree);
    plan::renew(model, task);
    failures::renew(model, failure);
    browse::ask_again(model);
    let mut effects = plan::judge(model);
    if std::mem::take(&mut model.failure_list.judge_again) {
        effects.extend(begin(model));
    }
    effects
}

fn on_ended(model: &mut Model, report: Arc<Report>) -> Vec<Effect> {
    model.cycle.running = false;
    model.cycle.cancelling = false;
    // whoever is asked whether to quit is still asked while there is something to lose
    let loses_something = model.loses_something();
    if model.dialog.as_ref().is_some_and(|dialog| match dialog.ask {
        Ask::Cancel | Ask::Skip(_) => true,
        Ask::Quit => !loses_something,
        _ => false,
    }) {
        model.dialog = None;
    }
    let (done, failed) = (report.done().total(), report.failed());
    let what = if report.dry_run { "Dry run" } else { "Cycle" };
    let mut text = format!(
        "{what} {}: {} done, {} failed, {} pending.",
        report.ending.as_str(),
        super::format::count(done),
        super::format::count(failed),
        super::format::count(report.pending()),
    );
    let mut troubles = outcome::troubles(&report);
    if let Some(first) = troubles.next() {
        text.push(' ');
        text += &first;
        if troubles.next().is_some() {
            text = format!("{text} {} shows more.", model.way_to(Screen::Cycle));
        }
    }
    drop(troubles);
    let bad = outcome::went_wrong(&report);
    // Nobody has asked for a cycle of the watch: it is told of when there is something new to look at.
    let watched = model.cycle.watched;
    let same = report.done().total() == 0 && report.failed() == model.failures.len() as u64;
    if !watched || bad && !same {
        model.notice = Some(Notice { text, bad });
    }
    // From now on the report says what has come of it.
    model.cycle.unsaved.clear();
    let dry_run = report.dry_run;
    model.cycle.report = Some(report);
    if model.quitting {
        vec![Effect::Quit(Exit::Quit)]
    } else if dry_run {
        Vec::new()
    } else if watched && model.watch.on {
        // the watch plans anew by itself
        vec![Effect::Probe, Effect::Reports]
    } else {
        begin(model)
    }
}

fn with_filter(model: &mut Model, change: impl FnOnce(&mut Filter)) {
    if let Some(filter) = model.screen.filter(model) {
        change(filter);
    }
}

/// Brings the screen's list in line with its filter.
fn filtered(model: &mut Model) {
    model.screen.refilter(model);
}

/// Where a movement goes, if the action is one.
pub(super) fn movement(action: Action) -> Option<Move> {
    Some(match action {
        Action::Up => Move::Up,
        Action::Down => Move::Down,
        Action::PageUp => Move::PageUp,
        Action::PageDown => Move::PageDown,
        Action::First => Move::First,
        Action::Last => Move::Last,
        _ => return None,
    })
}

/// Asks for a part of the plan, to be confirmed or tried.
pub(super) fn select(model: &mut Model, keep: Keep, purpose: Purpose) -> Vec<Effect> {
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    let Some(plan) = plan::present(model).cloned() else {
        model.say("There is no plan yet.");
        return Vec::new();
    };
    // what was saved is done as it was saved, wherever it is asked for
    let saved = model.plan_list.saved_plan().is_some();
    let purpose = if saved && purpose == Purpose::Execute { Purpose::Exact } else { purpose };
    vec![Effect::Select { plan, asked: Asked { purpose, keep, screen: model.screen } }]
}

/// What is marked, for an action on marked tasks; says so if nothing is.
pub(super) fn marked(model: &mut Model) -> Option<Keep> {
    let marked = model.marked_tasks();
    if marked.is_empty() {
        model.say("Nothing is marked: space marks what the cursor is on.");
        None
    } else {
        Some(Keep::Marked(marked))
    }
}

/// Whether the cycle takes orders.
pub(super) fn can_steer(model: &mut Model) -> bool {
    let stopping = model.cycle.snapshot.as_ref().is_some_and(|snapshot| snapshot.phase == Phase::Stopping);
    if !model.cycle.running {
        model.say("No cycle is running.");
    } else if stopping || model.cycle.cancelling {
        model.say("The cycle is stopping already.");
    }
    model.cycle.running && !stopping && !model.cycle.cancelling
}
