//! What failed and still stands, by cause, with what to do about it; and what nobody is to mind.

mod advice;
mod detail;
mod list;

use std::collections::BTreeSet;
use std::sync::Arc;

use ratatui::layout::Position;

use crate::engine::{Cause, Decision, DestinationName, Failure, Ignored, Plan};
use crate::kv::SecretPath;
use crate::tui::effect::failures::{Judged, Known, Request};
use crate::tui::effect::{Effect, Keep, Marked};
use crate::tui::filter::Filter;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::{Asked, Purpose};
use crate::tui::model::Model;
use crate::tui::prompt::{Line, Prompt};
use crate::tui::screen::browse;
use crate::tui::update::{ask_held, movement};
use crate::tui::widget::panel;
use crate::tui::widget::scroll::{Move, Scroll};
use crate::tui::widget::tree::Tree;

use advice::key;
pub(in crate::tui) use list::{split, view};

/// The failures as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    /// Failures that nobody is to mind.
    ignored: Vec<(DestinationName, Failure, Ignored)>,
    /// The one part that shows; `None`: all.
    part: Option<Part>,
    pub(in crate::tui) filter: Filter,
    rows: Vec<Row>,
    scroll: Scroll,
    marks: Marked,
    /// What is to be ignored once there is a reason.
    to_ignore: Vec<(DestinationName, Failure)>,
    detail_hidden: bool,
    /// What is ignored has changed while everything is being looked at.
    pub(in crate::tui) judge_again: bool,
    /// The first line of the details that shows.
    detail_top: usize,
}

/// A part of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) enum Part {
    Cause(Cause),
    Ignored,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Group(Part, usize),
    /// Its place among the model's failures.
    Failure(usize),
    /// Its place among those that are ignored.
    Ignored(usize),
}

/// Takes in what stands, and what of it nobody is to mind.
pub(in crate::tui) fn judged(model: &mut Model, judged: Judged) {
    model.failures = judged.minded;
    model.failure_list.ignored = judged.ignored;
}

/// Brings the rows in line with failures and filters; the cursor stays on its failure.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let failure = cursor(model);
    renew(model, failure);
}

/// Brings the rows in line with failures that are others than before, and puts the cursor where it was among those.
pub(in crate::tui) fn renew(model: &mut Model, cursor: Option<Cursor>) {
    make_rows(model);
    restore(model, cursor);
}

fn make_rows(model: &mut Model) {
    let needle = model.failure_list.filter.needle();
    let shows = |name: &DestinationName, failure: &Failure, reason: &str| {
        needle.is_empty()
            || needle
                .found_in(&format!("{name} {} {} {} {reason}", failure.origin, failure.destination, failure.message))
    };
    let known: BTreeSet<_> = standing(model).map(|(name, failure)| (name.clone(), failure.origin.clone())).collect();
    let state = &mut model.failure_list;
    state.marks.retain(|mark| known.contains(mark));
    let mut rows = Vec::new();
    let mut add = |part: Part, of_part: Vec<Row>| {
        if !of_part.is_empty() && state.part.is_none_or(|only| only == part) {
            rows.push(Row::Group(part, of_part.len()));
            rows.extend(of_part);
        }
    };
    for cause in Cause::ALL {
        let of_cause = model
            .failures
            .iter()
            .enumerate()
            .filter(|(_, (name, failure))| failure.cause == cause && shows(name, failure, ""))
            .map(|(at, _)| Row::Failure(at));
        add(Part::Cause(cause), of_cause.collect());
    }
    let ignored = state.ignored.iter().enumerate();
    let ignored = ignored.filter(|(_, (name, failure, ignored))| shows(name, failure, &ignored.reason));
    add(Part::Ignored, ignored.map(|(at, _)| Row::Ignored(at)).collect());
    state.rows = rows;
}

/// All that stands, minded or not.
fn standing(model: &Model) -> impl Iterator<Item = (&DestinationName, &Failure)> {
    let ignored = model.failure_list.ignored.iter().map(|(name, failure, _)| (name, failure));
    model.failures.iter().map(|(name, failure)| (name, failure)).chain(ignored)
}

/// Where the cursor is, as it outlives new failures.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::tui) enum Cursor {
    Group(Part),
    Failure(DestinationName, SecretPath),
}

/// Where the cursor is.
pub(in crate::tui) fn cursor(model: &Model) -> Option<Cursor> {
    cursor_at(model, current(model)?)
}

fn cursor_at(model: &Model, row: Row) -> Option<Cursor> {
    match row {
        Row::Group(part, _) => Some(Cursor::Group(part)),
        row => key_of(model, row).map(|(name, path)| Cursor::Failure(name, path)),
    }
}

/// Puts the cursor back.
fn restore(model: &mut Model, cursor: Option<Cursor>) {
    let Some(cursor) = cursor else { return };
    let row = model.failure_list.rows.iter().position(|row| cursor_at(model, *row).as_ref() == Some(&cursor));
    if let Some(row) = row {
        model.failure_list.scroll.select(row);
    }
}

fn current(model: &Model) -> Option<Row> {
    model.failure_list.rows.get(model.failure_list.scroll.row()).copied()
}

/// What a row shows, and why it is ignored, if it is.
fn shown(model: &Model, row: Row) -> Option<(&DestinationName, &Failure, Option<&Ignored>)> {
    match row {
        Row::Group(..) => None,
        Row::Failure(at) => model.failures.get(at).map(|(name, failure)| (name, failure, None)),
        Row::Ignored(at) => {
            model.failure_list.ignored.get(at).map(|(name, failure, ignored)| (name, failure, Some(ignored)))
        }
    }
}

fn key_of(model: &Model, row: Row) -> Option<(DestinationName, SecretPath)> {
    shown(model, row).map(|(name, failure, _)| (name.clone(), failure.origin.clone()))
}

/// The rows of a group that begins there, or the row alone.
fn rows_at(model: &Model, at: usize) -> &[Row] {
    let rows = &model.failure_list.rows;
    match rows.get(at) {
        Some(Row::Group(_, count)) => rows.get(at + 1..=at + count).unwrap_or_default(),
        Some(_) => &rows[at..=at],
        None => &[],
    }
}

pub(super) fn settle(model: &mut Model) {
    let height = list::rows_that_fit(model);
    let len = model.failure_list.rows.len();
    model.failure_list.scroll.settle(len, height);
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// What is ignored has changed, and with it what is to be minded. Without a tree it could not be made.
    Judged { plan: Arc<Plan>, judged: Judged, tree: Option<Box<Tree>>, said: String },
    /// What is ignored could not be saved.
    Refused(String),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    match news {
        News::Judged { plan, judged: now, tree, said } => {
            model.say(said);
            let same_plan = model.plan.as_ref().is_some_and(|known| Arc::ptr_eq(known, &plan));
            let Some(tree) = tree.filter(|_| same_plan) else {
                // another plan has arrived since, with what was ignored before
                return crate::tui::update::refresh(model);
            };
            let cursor = cursor(model);
            judged(model, now);
            for (at, marks) in model.marks.iter_mut().enumerate() {
                *marks = tree.take_over(at, marks);
            }
            model.failure_list.marks.clear();
            browse::adopt(model, *tree);
            renew(model, cursor);
            // what is being looked at now may have read what is ignored before this was saved
            model.failure_list.judge_again = model.listing.is_some();
        }
        News::Refused(reason) => model.warn(format!("Not saved: {reason}")),
    }
    Vec::new()
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.failure_list.detail_top = (model.failure_list.detail_top + 1).min(list::hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.failure_list.detail_top = model.failure_list.detail_top.saturating_sub(1);
            return Vec::new();
        }
        _ => model.failure_list.detail_top = 0,
    }
    let height = list::rows_that_fit(model);
    let len = model.failure_list.rows.len();
    if let Some(to) = movement(action) {
        model.failure_list.scroll.go(to, len, height);
        return Vec::new();
    }
    match action {
        Action::Open => model.failure_list.detail_hidden = !model.failure_list.detail_hidden,
        Action::Left | Action::Right => next_part(model, action == Action::Right),
        Action::Mark => mark(model, height),
        Action::MarkAll => {
            let shown: Vec<_> = model.failure_list.rows.iter().filter_map(|row| key_of(model, *row)).collect();
            model.failure_list.marks.extend(shown);
        }
        Action::ClearMarks => model.failure_list.marks.clear(),
        Action::RetryMarked => {
            if model.failure_list.marks.is_empty() {
                model.say("Nothing is marked: space marks what the cursor is on.");
            } else {
                let marks = &model.failure_list.marks;
                let marked = minded(model, |name, failure| marks.contains(&(name.clone(), failure.origin.clone())));
                return retry(model, &marked);
            }
        }
        Action::RetryAll => {
            let all = minded(model, |_, _| true);
            if all.is_empty() {
                model.say("Nothing has failed.");
            } else {
                return retry(model, &all);
            }
        }
        Action::Overwrite => return decide(model, Decision::Overwrite),
        Action::Keep => return decide(model, Decision::Keep),
        Action::Ignore => ask_reason(model),
        Action::MindAgain => return mind(model),
        Action::CopyRemedy => return copy(model),
        _ => {}
    }
    Vec::new()
}

/// The next part that there is, or the one before; all parts, around the end.
fn next_part(model: &mut Model, forward: bool) {
    let causes = Cause::ALL.into_iter().filter(|cause| model.failures.iter().any(|(_, one)| one.cause == *cause));
    let ignored = (!model.failure_list.ignored.is_empty()).then_some(Part::Ignored);
    let present: Vec<_> = causes.map(Part::Cause).chain(ignored).collect();
    let now = model.failure_list.part.and_then(|part| present.iter().position(|one| *one == part));
    let now = now.map_or(0, |at| at + 1);
    let next = if forward { now + 1 } else { now + present.len() } % (present.len() + 1);
    model.failure_list.part = next.checked_sub(1).and_then(|at| present.get(at).copied());
    rebuild(model);
}

/// The failures to be minded for which `is` says so.
fn minded(model: &Model, is: impl Fn(&DestinationName, &Failure) -> bool) -> Vec<(DestinationName, Failure)> {
    model.failures.iter().filter(|(name, failure)| is(name, failure)).cloned().collect()
}

/// What is marked, or what the cursor is on: a group as a whole. `ignored`: of what nobody minds, or of the rest.
fn chosen(model: &Model, ignored: bool) -> Vec<(DestinationName, Failure)> {
    let state = &model.failure_list;
    let rows: Vec<Row> = if state.marks.is_empty() {
        rows_at(model, state.scroll.row()).to_vec()
    } else {
        let all = (0..model.failures.len()).map(Row::Failure).chain((0..state.ignored.len()).map(Row::Ignored));
        all.filter(|row| key_of(model, *row).is_some_and(|key| state.marks.contains(&key))).collect()
    };
    let rows = rows.into_iter().filter(|row| matches!(row, Row::Ignored(_)) == ignored);
    rows.filter_map(|row| shown(model, row)).map(|(name, failure, _)| (name.clone(), failure.clone())).collect()
}

fn keys(failures: &[(DestinationName, Failure)]) -> Marked {
    failures.iter().map(|(name, failure)| (name.clone(), failure.origin.clone())).collect()
}

/// Those that are not waiting for somebody to decide.
fn retryable(failures: &[(DestinationName, Failure)]) -> Marked {
    let can = failures.iter().filter(|(_, failure)| !failure.cause.is_foreign());
    can.map(|(name, failure)| (name.clone(), failure.origin.clone())).collect()
}

fn retry(model: &mut Model, failures: &[(DestinationName, Failure)]) -> Vec<Effect> {
    let marked = retryable(failures);
    let undecided = failures.len() - marked.len();
    let [overwrite, keep, again] =
        [Action::Overwrite, Action::Keep, Action::MindAgain].map(|action| key(model, action));
    if failures.is_empty() {
        model.say(format!("All of these are ignored: {again} minds them again."));
        return Vec::new();
    }
    if marked.is_empty() {
        model.say(format!(
            "Trying again changes nothing about what somebody else wrote: {overwrite} writes the origin's over it, {keep} leaves it."
        ));
        return Vec::new();
    }
    let effects = plan_anew(model, Purpose::Retry, marked);
    if undecided > 0
        && let Some(notice) = &mut model.notice
        && !notice.bad
    {
        let count = format::count(undecided as u64);
        let left_out = format!(" {count} that somebody else wrote are left out: {overwrite} or {keep} decides.");
        notice.text.push_str(&left_out);
    }
    effects
}

/// Does what the operator has decided about what somebody else wrote.
fn decide(model: &mut Model, decision: Decision) -> Vec<Effect> {
    let foreign: Vec<_> = chosen(model, false).into_iter().filter(|(_, failure)| failure.cause.is_foreign()).collect();
    if foreign.is_empty() {
        model.say("There is nothing to decide here: only what somebody else wrote waits for a decision.");
        return Vec::new();
    }
    plan_anew(model, Purpose::Decide(decision), keys(&foreign))
}

/// The origin may have changed since, so it begins with a new plan.
fn plan_anew(model: &mut Model, purpose: Purpose, marked: Marked) -> Vec<Effect> {
    if model.cycle.running {
        model.warn("A cycle is running: wait for its end, or cancel it first.");
        return Vec::new();
    }
    let count = format::plural(marked.len() as u64, "secret");
    let asked = Asked { purpose, keep: Keep::Marked(marked), screen: model.screen };
    if let Some(effects) = ask_held(model, &asked) {
        return effects;
    }
    model.held = None;
    model.say(match purpose {
        Purpose::Decide(Decision::Overwrite) => format!("Planning to overwrite {count}…"),
        Purpose::Decide(Decision::Keep) => format!("Planning to keep {count}…"),
        _ => format!("Planning the retry of {count}…"),
    });
    model.listing = Some(0);
    vec![Effect::Retry(asked)]
}

/// The key that asks for what was planned again.
pub(in crate::tui) fn retry_key(model: &Model, asked: &Asked) -> String {
    let marks = &model.failure_list.marks;
    let marked = minded(model, |name, failure| marks.contains(&(name.clone(), failure.origin.clone())));
    let action = match asked.purpose {
        Purpose::Decide(Decision::Overwrite) => Action::Overwrite,
        Purpose::Decide(Decision::Keep) => Action::Keep,
        _ if matches!(&asked.keep, Keep::Marked(keep) if *keep == retryable(&marked)) => Action::RetryMarked,
        _ => Action::RetryAll,
    };
    key(model, action)
}

/// Asks why failures are not to be minded.
fn ask_reason(model: &mut Model) {
    let failures = chosen(model, false);
    if failures.is_empty() {
        model.say("Nothing to ignore: put the cursor on a failure, or mark some.");
        return;
    }
    model.failure_list.to_ignore = failures;
    model.prompt = Some(Prompt::new(Line::IgnoreReason, ""));
}

/// Ignores them for this reason.
pub(in crate::tui) fn ignore(model: &mut Model, reason: &str) -> Result<Vec<Effect>, String> {
    if reason.is_empty() {
        return Err("say why: whoever comes next has to know".to_owned());
    }
    let known = known(model).ok_or("there is no plan yet")?;
    let failures = std::mem::take(&mut model.failure_list.to_ignore);
    Ok(vec![Effect::Failures(Request::Ignore { failures, reason: reason.to_owned(), known })])
}

fn mind(model: &mut Model) -> Vec<Effect> {
    let ignored = chosen(model, true);
    let Some(known) = known(model).filter(|_| !ignored.is_empty()) else {
        model.say("Nothing here is ignored.");
        return Vec::new();
    };
    vec![Effect::Failures(Request::Mind { secrets: keys(&ignored), known })]
}

fn known(model: &Model) -> Option<Known> {
    let failures = standing(model).map(|(name, failure)| (name.clone(), failure.clone())).collect();
    Some(Known { plan: model.plan.clone()?, failures })
}

/// Copies what helps: the rules that a policy lacks, else the failure in words.
fn copy(model: &mut Model) -> Vec<Effect> {
    let mut failures = chosen(model, false);
    if failures.is_empty() {
        failures = chosen(model, true);
    }
    let Some((name, failure)) = failures.first() else {
        model.say("There is nothing to copy.");
        return Vec::new();
    };
    let words = format!(
        "{name}: {} {}: {}: {}",
        failure.operation.as_str(),
        failure.origin,
        failure.cause.as_str(),
        failure.message
    );
    let rules = advice::policies(failures.iter());
    model.say(if rules.is_some() {
        "The missing rules are in the clipboard: add them to the policy of vsync's token."
    } else {
        "The failure is in the clipboard."
    });
    let text = rules.unwrap_or(words);
    vec![Effect::Copy(text)]
}

/// Marks a failure, or a group as a whole.
fn mark(model: &mut Model, height: usize) {
    let at = model.failure_list.scroll.row();
    let keys: Vec<_> = rows_at(model, at).iter().filter_map(|row| key_of(model, *row)).collect();
    let state = &mut model.failure_list;
    let all = keys.iter().all(|key| state.marks.contains(key));
    for key in keys {
        if all {
            state.marks.remove(&key);
        } else {
            state.marks.insert(key);
        }
    }
    if !matches!(state.rows.get(at), Some(Row::Group(..)) | None) {
        let len = state.rows.len();
        state.scroll.go(Move::Down, len, height);
    }
}

/// Puts the cursor on a row, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let rows = panel::rows(list::areas(model, model.body()).0, 0);
    let Some(row) = model.failure_list.scroll.row_at(rows, at, model.failure_list.rows.len()) else {
        return Vec::new();
    };
    model.failure_list.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}
