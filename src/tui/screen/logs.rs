//! This run's log, as it is written.

mod lines;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use tracing::level_filters::LevelFilter;

use crate::logging::{KEPT_RECORDS, LogRecord};
use crate::text::sanitize;
use crate::tui::effect::Effect;
use crate::tui::effect::logs::Request;
use crate::tui::filter::Filter;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::update::movement;
use crate::tui::widget::panel;
use crate::tui::widget::scroll::Scroll;

/// The levels, from nothing to everything.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// By how many columns a long line moves at once.
const STEP: usize = 20;

/// The log there is.
#[derive(Debug, Clone)]
pub(in crate::tui) struct Source {
    /// The level it was configured with.
    pub(in crate::tui) level: LevelFilter,
    /// Where it is kept beyond this run.
    pub(in crate::tui) file: Option<PathBuf>,
}

/// The log as it is being looked at.
#[derive(Debug)]
pub(in crate::tui) struct State {
    source: Option<Source>,
    /// The newest records, oldest first.
    pub(in crate::tui) records: VecDeque<Arc<LogRecord>>,
    /// Those that level and filter let through; while paused, as they were then.
    rows: VecDeque<Arc<LogRecord>>,
    pub(in crate::tui) filter: Filter,
    scroll: Scroll,
    /// What shows is of this level or worse.
    level: LevelFilter,
    /// Whether the cursor goes with the end.
    following: bool,
    /// The newest record when it was paused.
    paused: Option<u64>,
    wrapped: bool,
    /// Columns of each line's text that are left out at its beginning.
    left: usize,
    details: bool,
    /// The first line of the details that shows.
    detail_top: usize,
}

impl State {
    /// Nothing yet, of this log; `None`: there is none.
    pub(in crate::tui) fn new(source: Option<Source>) -> Self {
        Self {
            level: source.as_ref().map_or(LevelFilter::OFF, |source| source.level),
            source,
            records: VecDeque::new(),
            rows: VecDeque::new(),
            filter: Filter::default(),
            scroll: Scroll::default(),
            following: true,
            paused: None,
            wrapped: false,
            left: 0,
            details: false,
            detail_top: 0,
        }
    }

    fn current(&self) -> Option<&Arc<LogRecord>> {
        self.rows.get(self.scroll.row())
    }

    fn newest(&self) -> u64 {
        self.records.back().map_or(0, |record| record.number)
    }

    /// Records since it was paused that would show.
    fn waiting(&self, needle: &impl Fn(&LogRecord) -> bool) -> u64 {
        let Some(paused) = self.paused else { return 0 };
        self.records.iter().rev().take_while(|record| record.number > paused).filter(|record| needle(record)).count()
            as u64
    }
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {
    /// What has been logged since, in order.
    Logged(Vec<Arc<LogRecord>>),
}

/// Takes in what came back.
pub(in crate::tui) fn take(model: &mut Model, news: News) -> Vec<Effect> {
    let News::Logged(records) = news;
    let state = &mut model.log_list;
    let shows = shows(state.level, &state.filter);
    for record in records {
        if state.paused.is_none() && shows(&record) {
            state.rows.push_back(Arc::clone(&record));
        }
        state.records.push_back(record);
    }
    state.records.drain(..state.records.len().saturating_sub(KEPT_RECORDS));
    if state.paused.is_none()
        && let Some(oldest) = state.records.front()
    {
        let gone = state.rows.partition_point(|row| row.number < oldest.number);
        state.rows.drain(..gone);
        state.scroll.lose(gone);
    }
    Vec::new()
}

/// Whether a record is to be shown.
fn shows(level: LevelFilter, filter: &Filter) -> impl Fn(&LogRecord) -> bool + use<> {
    let needle = filter.needle();
    move |record| {
        record.level <= level
            && (needle.is_empty() || needle.found_in(record.target) || needle.found_in(&record.text()))
    }
}

/// Brings the rows in line with level and filter; the cursor stays on its record, or goes to the one after it.
pub(in crate::tui) fn rebuild(model: &mut Model) {
    let state = &mut model.log_list;
    let at = state.current().map(|record| record.number);
    let shows = shows(state.level, &state.filter);
    let newest = state.paused.unwrap_or(u64::MAX);
    state.rows =
        state.records.iter().filter(|record| record.number <= newest && shows(record)).map(Arc::clone).collect();
    if let Some(at) = at {
        state.scroll.select(state.rows.partition_point(|row| row.number < at));
    }
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    let state = &mut model.log_list;
    let len = state.rows.len();
    if state.following && state.paused.is_none() {
        state.scroll.select(len.saturating_sub(1));
    }
    state.scroll.settle(len, height);
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::DetailsDown => {
            model.log_list.detail_top = (model.log_list.detail_top + 1).min(hidden_details(model));
            return Vec::new();
        }
        Action::DetailsUp => {
            model.log_list.detail_top = model.log_list.detail_top.saturating_sub(1);
            return Vec::new();
        }
        _ => model.log_list.detail_top = 0,
    }
    if let Some(to) = movement(action) {
        let height = rows_that_fit(model);
        let state = &mut model.log_list;
        let len = state.rows.len();
        state.scroll.go(to, len, height);
        state.following = state.scroll.row() + 1 >= len;
        return Vec::new();
    }
    match action {
        Action::Open => model.log_list.details = !model.log_list.details,
        Action::LogMore => return set_level(model, 1),
        Action::LogLess => return set_level(model, -1),
        Action::LogFollow => {
            model.log_list.following = true;
            resume(model);
        }
        Action::LogPause => pause(model),
        Action::LogWrap => model.log_list.wrapped = !model.log_list.wrapped,
        Action::Left => model.log_list.left = model.log_list.left.saturating_sub(STEP),
        Action::Right => {
            let longest = lines::longest(model);
            let state = &mut model.log_list;
            if state.left + STEP < longest {
                state.left += STEP;
            }
        }
        Action::Copy => {
            if let Some(record) = model.log_list.current() {
                let line = format!("{} {} {} {}", record.at, record.level, record.target, record.text());
                model.say("The line is copied, if this terminal lets programs do that.");
                return vec![Effect::Copy(sanitize(&line).into_owned())];
            }
            model.say("There is no line to copy.");
        }
        _ => {}
    }
    Vec::new()
}

fn pause(model: &mut Model) {
    if model.log_list.paused.is_some() {
        resume(model);
    } else {
        model.log_list.paused = Some(model.log_list.newest());
    }
}

fn resume(model: &mut Model) {
    if model.log_list.paused.take().is_some() {
        rebuild(model);
    }
}

fn set_level(model: &mut Model, by: isize) -> Vec<Effect> {
    let state = &mut model.log_list;
    let Some(source) = state.source.clone() else {
        model.say("This console keeps no log.");
        return Vec::new();
    };
    let at = LEVELS.iter().position(|level| *level == state.level).unwrap_or(0);
    let next = at.saturating_add_signed(by).min(LEVELS.len() - 1);
    let kept = |level: LevelFilter| level.max(source.level);
    let (before, after) = (kept(state.level), kept(LEVELS[next]));
    state.level = LEVELS[next];
    rebuild(model);
    if after == before {
        return Vec::new();
    }
    if after > source.level {
        let elsewhere = if source.file.is_some() { "; the log file stays as configured" } else { "" };
        model.say(format!("{after} and worse is kept from now on, in this console{elsewhere}."));
    }
    vec![Effect::Logs(Request::Keep(after))]
}

/// The list, and the details below it.
fn areas(model: &Model, body: Rect) -> (Rect, Option<Rect>) {
    if !model.log_list.details {
        return (body, None);
    }
    let [list, details] = body.layout(&Layout::vertical([Constraint::Fill(3), Constraint::Fill(2)]));
    (list, Some(details))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body()).0.height.saturating_sub(2))
}

/// By how many lines the details are longer than what shows of them.
fn hidden_details(model: &Model) -> usize {
    let (_, area) = areas(model, model.body());
    area.map_or(0, |area| panel::overflow(lines::details(model, panel::text_width(area)).len(), area))
}

pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let (list, _) = areas(model, model.body());
    let Some(row) = lines::row_at(model, list, at) else { return Vec::new() };
    let state = &mut model.log_list;
    state.scroll.select(row);
    state.following = row + 1 >= state.rows.len();
    if twice { act(model, Action::Open) } else { Vec::new() }
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let (list, details) = areas(model, body);
    lines::list(model, list, buffer);
    if let Some(area) = details {
        let text = lines::details(model, panel::text_width(area));
        let number = model.log_list.current().map_or(0, |record| record.number);
        let title = format!("Line {}", format::count(number));
        panel::text(&model.theme, &title, text, (model.log_list.detail_top, &model.scroll_keys()), area, buffer);
    }
}
