//! The rules that say where secrets go, edited against the real inventory.

mod draft;
mod question;
mod result;
mod rules;

use std::sync::Arc;

use crossterm::event::Event;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use crate::config::RulesChange;
use crate::engine::{DestinationName, Inventory, Preview, Rule, RulePart};
use crate::kv::{Mount, SecretPath};
use crate::tui::effect::Effect;
use crate::tui::effect::transforms::Request;
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Ask, Dialog, Model};
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::Screen;
use crate::tui::update::{begin, movement};
use crate::tui::widget::scroll::Move;
use crate::tui::widget::typed;

use draft::Draft;
pub(in crate::tui) use draft::Row;
pub(in crate::tui) use question::question;
use rules::label_width;

/// From this width on rules and what they do stand side by side.
const WIDE: u16 = 120;

/// The fields of a rule, from top to bottom.
const PARTS: [RulePart; 3] = [RulePart::Name, RulePart::From, RulePart::To];

/// The rules as they are being edited.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    /// One for each destination.
    drafts: Vec<Draft>,
    /// The destination whose rules show.
    at: usize,
    edit: Option<Edit>,
    /// Counts what was asked to be previewed.
    serial: u64,
    asked: Option<Asked>,
    preview: Option<Box<Preview>>,
    /// Whether the preview is of what shows; else of what was a moment ago.
    is_present: bool,
    /// A path that was asked about by hand.
    trial: Option<SecretPath>,
    /// The first line that shows of what the rules do.
    top: usize,
    /// A change of the file is being prepared or written.
    busy: bool,
}

/// The field that is typed into.
#[derive(Debug)]
struct Edit {
    part: RulePart,
    input: Input,
    /// The rows as they were when typing began.
    before: Vec<Row>,
}

/// What a preview is of.
#[derive(Debug)]
struct Asked {
    at: usize,
    rules: Vec<Rule>,
    in_force: Vec<Rule>,
    inventory: Arc<Inventory>,
}

/// Rules that are about to be taken over.
#[derive(Debug)]
pub(in crate::tui) struct Saving {
    pub(in crate::tui) destination: DestinationName,
    pub(in crate::tui) rows: Vec<Row>,
    /// What becomes of the file; or why it stays as it is, so that the rules hold for this session only.
    pub(in crate::tui) change: Result<RulesChange, String>,
    /// How many paths move, and whether all were looked at.
    pub(in crate::tui) moved: Option<(u64, bool)>,
    /// What will stand against every plan with these rules, as far as it is known.
    pub(in crate::tui) objections: Vec<String>,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// What the rules do, as far as it is known; for the request of this number.
    Previewed(u64, Box<Preview>),
    /// How the file would change.
    Checked { destination: DestinationName, rows: Vec<Row>, change: Result<RulesChange, String> },
    /// The file was changed, or not.
    Written { destination: DestinationName, rows: Vec<Row>, outcome: Result<String, String> },
}

impl State {
    /// With the rules of each destination, and its mounts.
    pub(in crate::tui) fn new(rules: Vec<(Vec<Rule>, Vec<Mount>)>) -> Self {
        let drafts = rules.into_iter().map(|(rules, mounts)| Draft::new(rules, mounts)).collect::<Vec<_>>();
        // who comes here wants to see rules, if there are any
        let at = drafts.iter().position(|draft| !draft.rows().is_empty()).unwrap_or(0);
        Self { drafts, at, ..Self::default() }
    }

    /// Whether keys go into a rule.
    pub(in crate::tui) fn is_editing(&self) -> bool {
        self.edit.is_some()
    }

    #[cfg(test)]
    pub(in crate::tui) fn rules_of_shown(&self) -> Vec<Rule> {
        self.draft().map(Draft::rules).unwrap_or_default()
    }

    fn draft(&self) -> Option<&Draft> {
        self.drafts.get(self.at)
    }

    fn draft_mut(&mut self) -> Option<&mut Draft> {
        self.drafts.get_mut(self.at)
    }
}

/// Whether rules were edited and not saved.
pub(in crate::tui) fn has_drafts(model: &Model) -> bool {
    model.transform_list.drafts.iter().any(Draft::is_changed)
}

/// The destinations whose rules were edited and not saved.
pub(in crate::tui) fn drafted(model: &Model) -> Vec<&DestinationName> {
    let drafts = model.destinations.iter().zip(&model.transform_list.drafts);
    drafts.filter(|(_, draft)| draft.is_changed()).map(|(name, _)| name).collect()
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let state = &mut model.transform_list;
    match news {
        News::Previewed(serial, preview) => {
            if serial == state.serial {
                state.preview = Some(preview);
                state.is_present = true;
            }
            Vec::new()
        }
        News::Checked { destination, rows, change } => checked(model, destination, rows, change),
        News::Written { destination, rows, outcome } => written(model, &destination, &rows, outcome),
    }
}

/// Asks for a preview if what shows is another than what was asked for last.
pub(in crate::tui) fn wants(model: &mut Model) -> Vec<Effect> {
    if model.screen != Screen::Transforms {
        return Vec::new();
    }
    let state = &mut model.transform_list;
    let (Some(plan), Some(name)) = (&model.plan, model.destinations.get(state.at)) else { return Vec::new() };
    let Some(draft) = state.drafts.get(state.at) else { return Vec::new() };
    let known = state.asked.as_ref().is_some_and(|asked| {
        asked.at == state.at
            && Arc::ptr_eq(&asked.inventory, &plan.inventory)
            && asked.rules.iter().eq(draft.rows().iter().map(|row| &row.rule))
            && asked.in_force == draft.in_force
    });
    if known {
        return Vec::new();
    }
    if state.asked.as_ref().is_none_or(|asked| asked.at != state.at) {
        state.preview = None;
    }
    state.serial += 1;
    state.is_present = false;
    let (rules, inventory) = (draft.rules(), Arc::clone(&plan.inventory));
    let in_force = draft.in_force.clone();
    state.asked = Some(Asked { at: state.at, rules: rules.clone(), in_force, inventory: Arc::clone(&inventory) });
    vec![Effect::Transforms(Request::Preview { serial: state.serial, destination: name.clone(), inventory, rules })]
}

/// Where the parts of the screen are.
struct Areas {
    /// The list of destinations; where there is no room it is in the rules' title.
    destinations: Option<Rect>,
    rules: Rect,
    editor: Rect,
    result: Rect,
}

impl Areas {
    fn of(model: &Model, body: Rect) -> Self {
        let state = &model.transform_list;
        let rows = state.draft().map_or(0, |draft| draft.rows().len()) + 1;
        let length = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
        let editor = if body.height >= 18 { 7 } else { 5 };
        if body.width < WIDE {
            let most = body.height.saturating_sub(editor) / 2;
            let rules = length(rows + 3).min(most).max(3);
            let parts = [Constraint::Length(rules), Constraint::Length(editor), Constraint::Min(0)];
            let [rules, editor, result] = body.layout(&Layout::vertical(parts));
            return Self { destinations: None, rules, editor, result };
        }
        let left = (body.width * 2 / 5).clamp(56, 96);
        let [left, right] = body.layout(&Layout::horizontal([Constraint::Length(left), Constraint::Min(0)]));
        let list = length(model.destinations.len() + 2).min(body.height / 3);
        let [list, rules] = left.layout(&Layout::vertical([Constraint::Length(list), Constraint::Min(0)]));
        let [editor, result] = right.layout(&Layout::vertical([Constraint::Length(editor), Constraint::Min(0)]));
        Self { destinations: Some(list), rules, editor, result }
    }
}

pub(super) fn settle(model: &mut Model) {
    if model.screen != Screen::Transforms {
        return;
    }
    let areas = Areas::of(model, model.body());
    let height = rules::rows_in(areas.rules);
    let overflow = result::overflow(model, areas.result);
    let state = &mut model.transform_list;
    state.top = state.top.min(overflow);
    if let Some(draft) = state.draft_mut() {
        let len = draft.rows().len() + 1;
        draft.scroll.settle(len, height);
    }
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let areas = Areas::of(model, model.body());
    let state = &mut model.transform_list;
    match action {
        Action::PageUp | Action::PageDown => scroll_result(model, action == Action::PageDown),
        Action::Left | Action::Right => choose(model, action == Action::Right),
        Action::Open => edit_rule(model),
        Action::AddRule => {
            if let Some(draft) = state.draft_mut() {
                draft.add();
                begin_edit(state, RulePart::From);
            }
        }
        Action::DuplicateRule => {
            if !state.draft_mut().is_some_and(Draft::duplicate) {
                no_rule(model);
            }
        }
        Action::DeleteRule => match state.draft_mut().and_then(Draft::delete) {
            Some(name) => {
                let key = model.keymap.key(Place::Screen(Screen::Transforms), Action::UndoEdit);
                model.say(format!("\"{name}\" is out of the draft; {key} brings it back."));
            }
            None => no_rule(model),
        },
        Action::RuleUp | Action::RuleDown => {
            if let Some(draft) = state.draft_mut() {
                draft.shift(action == Action::RuleDown);
            }
        }
        Action::UndoEdit => {
            if !state.draft_mut().is_some_and(Draft::undo) {
                model.say("There is nothing to take back.");
            }
        }
        Action::RedoEdit => {
            if !state.draft_mut().is_some_and(Draft::redo) {
                model.say("Nothing was taken back.");
            }
        }
        Action::DiscardDraft => {
            if state.draft().is_some_and(Draft::is_changed) {
                model.dialog = Some(Dialog::new(Ask::DiscardDraft));
            } else {
                model.say("The rules are as they are in force.");
            }
        }
        Action::TryPath => {
            let first = model.mounts.first().map_or("", Mount::as_str);
            let text = state.trial.as_ref().map_or_else(|| first.to_owned(), ToString::to_string);
            model.prompt = Some(Prompt::new(Line::TryPath, &text));
        }
        Action::SaveRules => return ask_to_save(model),
        _ => {
            if let Some(to) = movement(action) {
                go(model, to, &areas);
            }
        }
    }
    Vec::new()
}

fn no_rule(model: &mut Model) {
    model.say("The cursor is on no rule.");
}

fn go(model: &mut Model, to: Move, areas: &Areas) {
    let state = &mut model.transform_list;
    state.top = 0;
    if let Some(draft) = state.draft_mut() {
        let len = draft.rows().len() + 1;
        draft.scroll.go(to, len, rules::rows_in(areas.rules));
    }
}

fn scroll_result(model: &mut Model, down: bool) {
    let area = Areas::of(model, model.body()).result;
    let page = usize::from(area.height.saturating_sub(3)).max(1);
    let state = &mut model.transform_list;
    // the end is where `settle` says
    state.top = if down { state.top + page } else { state.top.saturating_sub(page) };
}

fn choose(model: &mut Model, next: bool) {
    let count = model.transform_list.drafts.len();
    if count > 0 {
        let step = if next { 1 } else { count - 1 };
        show_destination(model, (model.transform_list.at + step) % count);
    }
}

/// Shows the rules of the destination at this place among all.
pub(in crate::tui) fn show_destination(model: &mut Model, at: usize) {
    let state = &mut model.transform_list;
    if at < state.drafts.len() {
        state.at = at;
        state.top = 0;
    }
}

/// Begins to type into the rule under the cursor.
fn edit_rule(model: &mut Model) {
    let state = &mut model.transform_list;
    let Some(draft) = state.draft() else { return };
    let Some(row) = draft.cursor().map(|row| &draft.rows()[row]) else {
        let key = model.keymap.key(Place::Screen(Screen::Transforms), Action::AddRule);
        model.say(format!("No rule matches these: they keep their path. {key} adds a rule."));
        return;
    };
    // where something is wrong is where somebody wants to go
    let part = row.problems.first().map_or(RulePart::From, |problem| problem.part);
    begin_edit(state, part);
}

fn begin_edit(state: &mut State, part: RulePart) {
    let Some(draft) = state.draft() else { return };
    let Some(row) = draft.cursor() else { return };
    let input = Input::new(draft.rows()[row].text(part).to_owned());
    state.edit = Some(Edit { part, input, before: draft.rows().to_vec() });
}

fn end_edit(state: &mut State) {
    let Some(edit) = state.edit.take() else { return };
    if let Some(draft) = state.draft_mut() {
        draft.remember(edit.before);
    }
}

/// Does what a key asks for while a rule is typed.
pub(in crate::tui) fn edit(model: &mut Model, action: Action) -> Vec<Effect> {
    let state = &mut model.transform_list;
    match action {
        Action::NextField | Action::PreviousField => {
            let Some(edit) = &state.edit else { return Vec::new() };
            let at = PARTS.iter().position(|part| *part == edit.part).unwrap_or(0);
            let step = if action == Action::NextField { 1 } else { PARTS.len() - 1 };
            end_edit(state);
            begin_edit(state, PARTS[(at + step) % PARTS.len()]);
        }
        Action::PageUp | Action::PageDown => scroll_result(model, action == Action::PageDown),
        Action::SaveRules => {
            end_edit(state);
            return ask_to_save(model);
        }
        _ => end_edit(state),
    }
    Vec::new()
}

/// Types a key into the field.
pub(in crate::tui) fn type_in(model: &mut Model, event: &Event) {
    change_field(model, |input| {
        input.handle_event(event);
    });
}

/// Puts pasted text into the field.
pub(in crate::tui) fn paste(model: &mut Model, text: &str) {
    let mut fits = true;
    change_field(model, |input| fits = typed::insert(input, text));
    if !fits {
        model.warn(typed::too_long());
    }
}

fn change_field(model: &mut Model, change: impl FnOnce(&mut Input)) {
    let state = &mut model.transform_list;
    let Some(mut edit) = state.edit.take() else { return };
    change(&mut edit.input);
    if let Some(draft) = state.draft_mut()
        && let Some(row) = draft.cursor()
        && draft.rows()[row].text(edit.part) != edit.input.value()
    {
        draft.set(row, edit.part, edit.input.value().to_owned());
    }
    state.edit = Some(edit);
}

/// Shows where a path goes.
pub(in crate::tui) fn try_path(model: &mut Model, text: &str) -> Result<Vec<Effect>, String> {
    let path = SecretPath::parse(text, &model.mounts).map_err(|error| error.to_string())?;
    model.transform_list.trial = Some(path);
    model.transform_list.top = 0;
    Ok(Vec::new())
}

/// Takes what was asked for by hand off the screen; whether there was something.
pub(in crate::tui) fn dismiss(model: &mut Model) -> bool {
    model.transform_list.trial.take().is_some()
}

/// Throws the draft away.
pub(in crate::tui) fn discard(model: &mut Model) -> Vec<Effect> {
    if let Some(draft) = model.transform_list.draft_mut() {
        draft.discard();
    }
    Vec::new()
}

/// Finds out how the file would change, to ask whether it shall.
fn ask_to_save(model: &mut Model) -> Vec<Effect> {
    let state = &model.transform_list;
    let (Some(draft), Some(name)) = (state.draft(), model.destinations.get(state.at)) else { return Vec::new() };
    let (rows, destination) = (draft.rows().to_vec(), name.clone());
    if let Some((at, problem)) = draft.broken() {
        let text = format!("Not saved: rule {} does not work yet: {}.", at + 1, problem.reason);
        if let Some(draft) = model.transform_list.draft_mut() {
            draft.scroll.select(at);
        }
        model.warn(text);
        return Vec::new();
    }
    if !draft.is_changed() && !draft.session_only {
        model.say(format!("{destination}: there is nothing to save."));
        return Vec::new();
    }
    if state.busy {
        model.say("Already at it.");
        return Vec::new();
    }
    if let Some(reason) = in_use(model) {
        model.warn(reason);
        return Vec::new();
    }
    model.transform_list.busy = true;
    vec![Effect::Transforms(Request::Check { destination, rows })]
}

/// Why the rules in force cannot be replaced now.
fn in_use(model: &Model) -> Option<&'static str> {
    if model.cycle.running {
        Some("A cycle is running by the rules in force: save when it has ended, or cancel it first.")
    } else if model.watch.on {
        Some("Watch mode goes by the rules in force: stop it on Cycle first, then save.")
    } else {
        None
    }
}

fn checked(
    model: &mut Model,
    destination: DestinationName,
    rows: Vec<Row>,
    change: Result<RulesChange, String>,
) -> Vec<Effect> {
    model.transform_list.busy = false;
    let state = &model.transform_list;
    let at = model.destinations.iter().position(|name| *name == destination);
    let is_same = at.and_then(|at| state.drafts.get(at)).is_some_and(|draft| draft.rows() == rows);
    let elsewhere = model.screen != Screen::Transforms || model.place() != Place::Screen(Screen::Transforms);
    if elsewhere || !is_same {
        model.say("Not saved, for you had gone on. Ask for it again on Transforms.");
        return Vec::new();
    }
    let preview = state.preview.as_ref().filter(|_| state.is_present && at == Some(state.at));
    let moved = preview.map(|preview| (preview.moved, preview.is_complete()));
    let against = |count: u64, what: &str, why: &str| {
        (count > 0)
            .then(|| format!("{} {why}: every plan for this destination is objected to.", format::plural(count, what)))
    };
    let objections = preview.into_iter().flat_map(|preview| {
        let collisions = against(preview.collisions, "path", "would be written by several secrets");
        let astray = against(preview.unroutable, "secret", "would go outside of the destination's mounts");
        let feedback = against(preview.feedback, "secret", "would be read from the origin again as its own copy");
        [collisions, astray, feedback].into_iter().flatten()
    });
    let objections = objections.collect();
    model.dialog =
        Some(Dialog::unasked(Ask::SaveRules(Box::new(Saving { destination, rows, change, moved, objections }))));
    vec![Effect::Arm]
}

/// Writes the rules to the file, or takes them over for this session.
pub(in crate::tui) fn save(model: &mut Model, saving: Saving) -> Vec<Effect> {
    if model.read_only {
        model.warn("This console is read-only.");
        return Vec::new();
    }
    if let Some(reason) = in_use(model) {
        model.warn(reason);
        return Vec::new();
    }
    let Saving { destination, rows, change, .. } = saving;
    match change {
        Ok(change) => {
            model.transform_list.busy = true;
            vec![Effect::Transforms(Request::Write { destination, rows, change })]
        }
        Err(_) => take_over(model, &destination, &rows, true),
    }
}

fn written(
    model: &mut Model,
    destination: &DestinationName,
    rows: &[Row],
    outcome: Result<String, String>,
) -> Vec<Effect> {
    model.transform_list.busy = false;
    match outcome {
        Ok(file) => {
            let effects = take_over(model, destination, rows, false);
            model.say(format!("{destination}: {} saved to {file}.", format::plural(rows.len() as u64, "rule")));
            effects
        }
        Err(reason) => {
            model.warn(format!("Not saved, the file is as it was: {reason}"));
            Vec::new()
        }
    }
}

/// The running console goes by these rules from now on.
fn take_over(model: &mut Model, destination: &DestinationName, rows: &[Row], session_only: bool) -> Vec<Effect> {
    let Some(at) = model.destinations.iter().position(|name| name == destination) else { return Vec::new() };
    if let Some(draft) = model.transform_list.drafts.get_mut(at) {
        draft.adopt(rows, session_only);
    }
    if session_only {
        let rules = format::plural(rows.len() as u64, "rule");
        model.say(format!("{destination}: {rules} in force until this console ends; no file was changed."));
    }
    let rules = rows.iter().map(|row| row.rule.clone()).collect();
    let mut effects = vec![Effect::Transforms(Request::Use { destination: destination.clone(), rules })];
    // the plan is one by the former rules
    if !model.cycle.running {
        effects.extend(begin(model));
    }
    effects
}

pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let areas = Areas::of(model, model.body());
    if let Some(list) = areas.destinations.filter(|list| list.contains(at)) {
        end_edit(&mut model.transform_list);
        if let Some(row) = rules::destination_at(model, list, at) {
            show_destination(model, row);
        }
    } else if areas.rules.contains(at) {
        end_edit(&mut model.transform_list);
        if let Some(row) = rules::row_at(model, areas.rules, at)
            && let Some(draft) = model.transform_list.draft_mut()
        {
            draft.scroll.select(row);
            model.transform_list.top = 0;
            if twice {
                edit_rule(model);
            }
        }
    } else if areas.editor.contains(at)
        && let Some(part) = rules::part_at(areas.editor, at)
    {
        // the field as it was drawn when it was clicked
        let column = usize::from(at.x.saturating_sub(areas.editor.x + 1 + label_width()));
        let byte = rules::byte_at(model, areas.editor, part, column);
        end_edit(&mut model.transform_list);
        let state = &mut model.transform_list;
        begin_edit(state, part);
        if let (Some(edit), Some(byte)) = (&mut state.edit, byte) {
            let cursor = edit.input.value()[..byte].chars().count();
            edit.input.handle(InputRequest::SetCursor(cursor));
        }
    }
    Vec::new()
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let areas = Areas::of(model, body);
    if let Some(list) = areas.destinations {
        rules::destinations(model, list, buffer);
    }
    rules::list(model, areas.rules, areas.destinations.is_none(), buffer);
    rules::editor(model, areas.editor, buffer);
    result::view(model, areas.result, buffer);
}
