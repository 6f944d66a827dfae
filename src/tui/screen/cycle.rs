//! The cycle that runs, or ran last: totals, workers, latest failures.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use crate::engine::{CycleSnapshot, DestinationProgress, Ending, Phase, Report, SecretState, WorkerRow};
use crate::tui::effect::{Control, Effect};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::{Ask, Dialog, Model, in_words};
use crate::tui::outcome;
use crate::tui::update::{can_steer, movement};
use crate::tui::widget::scroll::Scroll;
use crate::tui::widget::{cell, chart, panel};

/// A worker that holds one task for longer than this is worth a look.
const SLOW: Duration = Duration::from_secs(5);

const NAME: usize = 14;

/// The workers as they are being looked at.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    scroll: Scroll,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {}

/// Takes in what came back.
pub(in crate::tui) fn take(_model: &mut Model, news: News) -> Vec<Effect> {
    match news {}
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    if let Some(to) = movement(action) {
        let (len, height) = (workers(model), rows_that_fit(model));
        model.cycle_list.scroll.go(to, len, height);
        return Vec::new();
    }
    let steering = matches!(action, Action::Pause | Action::Cancel | Action::MoreWorkers | Action::FewerWorkers);
    if !steering || !can_steer(model) {
        return Vec::new();
    }
    match action {
        Action::Pause if model.cycle.is_paused() => vec![Effect::Control(Control::Resume)],
        Action::Pause => vec![Effect::Control(Control::Pause)],
        Action::Cancel => {
            model.dialog = Some(Dialog::new(Ask::Cancel));
            Vec::new()
        }
        Action::MoreWorkers => set_workers(model, workers_each(model) + 1),
        _ => set_workers(model, workers_each(model).saturating_sub(1).max(1)),
    }
}

/// The number that was asked for last, else the most workers that a destination has.
fn workers_each(model: &Model) -> usize {
    if let Some(asked) = model.cycle.workers {
        return asked;
    }
    let snapshot = model.cycle.snapshot.as_ref();
    snapshot.and_then(|snapshot| snapshot.workers.iter().map(|worker| worker.number).max()).unwrap_or(0)
}

fn set_workers(model: &mut Model, count: usize) -> Vec<Effect> {
    model.cycle.workers = Some(count);
    model.say(format!("{} per destination.", format::plural(count as u64, "worker")));
    vec![Effect::Control(Control::Workers(count))]
}

fn workers(model: &Model) -> usize {
    model.cycle.snapshot.as_ref().map_or(0, |snapshot| snapshot.workers.len())
}

pub(super) fn settle(model: &mut Model) {
    let (len, height) = (workers(model), rows_that_fit(model));
    model.cycle_list.scroll.settle(len, height);
}

/// Puts the cursor on a worker.
pub(super) fn click(model: &mut Model, at: Position, _twice: bool) -> Vec<Effect> {
    let rows = panel::rows(areas(model, model.body())[1], 1);
    if let Some(row) = model.cycle_list.scroll.row_at(rows, at, workers(model)) {
        model.cycle_list.scroll.select(row);
    }
    Vec::new()
}

fn areas(model: &Model, body: Rect) -> [Rect; 3] {
    let destinations = model.cycle.snapshot.as_ref().map_or(0, |snapshot| snapshot.destinations.len());
    let spark = if body.height >= 40 { 4 } else { 1 };
    let wanted = u16::try_from(destinations).unwrap_or(u16::MAX).saturating_add(3 + spark);
    let top = wanted.min(body.height / 2).max(4);
    let none_failed = model.cycle.snapshot.as_ref().is_none_or(|snapshot| snapshot.recent_failures.is_empty());
    let failures = match body.height {
        // The report needs the room.
        _ if none_failed && model.cycle.report.is_some() => 3,
        40.. => 10,
        _ => 5,
    };
    body.layout(&Layout::vertical([Constraint::Length(top), Constraint::Min(0), Constraint::Length(failures)]))
}

fn rows_that_fit(model: &Model) -> usize {
    usize::from(areas(model, model.body())[1].height.saturating_sub(3))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Some(snapshot) = &model.cycle.snapshot else {
        let inner = panel::panel(theme, "Cycle", Vec::new(), body, buffer);
        let text = if model.cycle.running {
            "Starting…"
        } else if model.read_only {
            "No cycle has run in this console. This one is read-only: d on the Plan screen tries without writing."
        } else {
            "No cycle has run in this console. Plan (3) starts one: x what is marked, X all, d a dry run."
        };
        let lines = cell::wrap(text, usize::from(inner.width.saturating_sub(2)));
        panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), theme.muted())), inner, buffer);
        return;
    };
    let [top, middle, bottom] = areas(model, body);
    view_totals(model, snapshot, top, buffer);
    match &model.cycle.report {
        Some(report) => view_report(model, report, middle, buffer),
        None => view_workers(model, snapshot, middle, buffer),
    }
    view_failures(model, snapshot, bottom, buffer);
}

fn view_totals(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let title = if snapshot.dry_run { "Dry run" } else { "Cycle" };
    let started = vec![Span::styled(format!(" started {} ", format::clock(snapshot.started)), theme.muted())];
    let inner = panel::panel(theme, title, started, area, buffer);
    let width = usize::from(inner.width);
    let mut lines = vec![totals(model, snapshot)];
    lines.extend(snapshot.destinations.iter().map(|part| progress(model, part, width)));
    let left = usize::from(inner.height).saturating_sub(lines.len());
    let style = if model.cycle.running { theme.accent() } else { theme.muted() };
    let spark = chart::sparkline(&snapshot.rate_history, width.saturating_sub(2), left.min(4));
    lines.extend(spark.into_iter().map(|row| Line::styled(format!(" {row}"), style)));
    panel::lines(lines, inner, buffer);
}

fn totals(model: &Model, snapshot: &CycleSnapshot) -> Line<'static> {
    let theme = &model.theme;
    let (phase, style) = match snapshot.phase {
        _ if model.cycle.report.is_some() => ("ended", theme.strong()),
        Phase::Running if model.cycle.cancelling => ("cancelling", theme.warning()),
        Phase::Running => ("running", theme.good()),
        Phase::Paused => ("paused", theme.warning()),
        Phase::Stopping => ("stopping", theme.warning()),
        Phase::Ended => ("saving", theme.accent()),
    };
    let failed = snapshot.failed();
    let mut spans = vec![
        Span::styled(format!(" {} ", cell::left(phase, 11)), style),
        match &model.cycle.report {
            // The report says how long it took.
            Some(_) => Span::raw(""),
            None => Span::styled(format!("{}   ", format::duration(snapshot.elapsed)), theme.text()),
        },
        Span::styled(format::count(snapshot.ended()), theme.strong()),
        Span::styled(format!(" of {}", format::count(snapshot.planned())), theme.muted()),
        Span::styled(
            format!("   {} failed", format::count(failed)),
            if failed > 0 { theme.bad() } else { theme.muted() },
        ),
        match &model.cycle.report {
            Some(report) => Span::styled(format!("   {} on average", format::rate(report.rate())), theme.text()),
            None => Span::styled(format!("   {}", format::rate(snapshot.rate)), theme.text()),
        },
    ];
    let goes_on = model.cycle.running && !model.cycle.cancelling && snapshot.phase == Phase::Running;
    if let Some(eta) = snapshot.eta.filter(|_| goes_on) {
        spans.push(Span::styled(format!("   {} left", format::duration(eta)), theme.text()));
    }
    Line::from(spans)
}

fn progress(model: &Model, part: &DestinationProgress, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let (planned, done) = (part.planned.total(), part.done.total());
    let room = width.saturating_sub(NAME + 49).clamp(8, 60);
    let mut spans = vec![Span::styled(format!(" {} ", cell::left(part.destination.as_str(), NAME)), theme.strong())];
    spans.extend(chart::bar(&[(done, theme.good()), (part.failed, theme.bad())], planned, room, theme.border()));
    spans.push(Span::styled(cell::right(&format::percent(part.ended(), planned), 7), theme.text()));
    spans.push(Span::styled(format!("{} done", cell::right(&format::count(done), 8)), theme.good()));
    let style = if part.failed > 0 { theme.bad() } else { theme.muted() };
    spans.push(Span::styled(format!("{} failed", cell::right(&format::count(part.failed), 6)), style));
    spans.push(Span::styled(format!("{} left", cell::right(&format::count(part.pending), 8)), theme.muted()));
    if model.cycle.blocked.contains_key(&part.destination) {
        spans.push(Span::styled("  not begun", theme.bad()));
    } else if part.unsaved.is_some() {
        spans.push(Span::styled("  state not saved", theme.bad()));
    }
    Line::from(spans)
}

fn view_workers(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let busy = snapshot.workers.iter().filter(|worker| worker.activity.is_some()).count();
    let title = format!("Workers {busy} of {} busy", snapshot.workers.len());
    let inner = panel::panel(theme, &title, Vec::new(), area, buffer);
    let path = usize::from(inner.width).saturating_sub(NAME + 34);
    let head = format!(
        " {} {}    {} {} {} {}",
        cell::left("destination", NAME),
        cell::right("#", 3),
        cell::left("step", 8),
        cell::left("secret", path),
        cell::right("elapsed", 8),
        cell::right("tries", 5),
    );
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let order = busiest_first(snapshot);
    let window = model.cycle_list.scroll.window(order.len(), usize::from(rows.height));
    for (place, row) in rows.rows().zip(window) {
        panel::lines([worker(model, order[row], path)], place, buffer);
        if row == model.cycle_list.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

/// The workers in their order, but those of destinations that are done at the end.
fn busiest_first(snapshot: &CycleSnapshot) -> Vec<&WorkerRow> {
    let is_done = |worker: &WorkerRow| {
        snapshot
            .destinations
            .iter()
            .find(|part| part.destination == worker.destination)
            .is_some_and(|part| part.ended() == part.planned.total())
    };
    let (done, mut order): (Vec<_>, Vec<_>) = snapshot.workers.iter().partition(|worker| is_done(worker));
    order.extend(done);
    order
}

fn worker(model: &Model, worker: &WorkerRow, path: usize) -> Line<'static> {
    let theme = &model.theme;
    let mut spans = vec![
        Span::styled(format!(" {}", cell::left(worker.destination.as_str(), NAME)), theme.text()),
        Span::styled(format!(" {}  ", cell::right(&worker.number.to_string(), 3)), theme.muted()),
    ];
    let Some(activity) = &worker.activity else {
        spans.push(Span::styled("  waiting", theme.muted()));
        return Line::from(spans);
    };
    let state = activity.operation.state();
    let slow = if activity.elapsed >= SLOW { theme.warning() } else { theme.text() };
    let again = if activity.attempts > 1 { theme.warning() } else { theme.muted() };
    spans.extend([
        Span::styled(format!("{} ", state.symbol()), theme.state(state)),
        Span::styled(cell::left(activity.step.as_str(), 8), theme.muted()),
        Span::styled(format!(" {} ", cell::path(&activity.origin.to_string(), path)), theme.text()),
        Span::styled(cell::right(&format::duration(activity.elapsed), 8), slow),
        Span::styled(format!(" {}", cell::right(&activity.attempts.to_string(), 5)), again),
    ]);
    Line::from(spans)
}

fn view_report(model: &Model, report: &Report, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Report", Vec::new(), area, buffer);
    let style = match report.ending {
        _ if outcome::went_wrong(report) => theme.bad(),
        Ending::Completed => theme.good(),
        _ => theme.warning(),
    };
    let width = usize::from(inner.width.saturating_sub(4));
    let wrapped = |text: &str, style| {
        cell::wrap(text, width)
            .into_iter()
            .map(move |line| Line::styled(format!("   {line}"), style))
            .collect::<Vec<_>>()
    };
    let did = if report.dry_run { "would be possible" } else { "done" };
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {}", report.ending.as_str()), style),
        Span::styled(
            format!(
                " in {}, by {} on {}",
                format::duration(report.duration()),
                crate::text::sanitize(&report.operator),
                crate::text::sanitize(&report.host),
            ),
            theme.muted(),
        ),
    ])];
    // First, for on a small screen the end is cut off.
    lines.extend(outcome::troubles(report).flat_map(|text| wrapped(&text, theme.bad())));
    lines.extend(outcome::incomplete(report).into_iter().flat_map(|text| wrapped(&text, theme.warning())));
    let plain = lines.len() == 1;
    if plain {
        lines.push(Line::default());
    }
    for part in &report.destinations {
        let failed = part.failures.len() as u64;
        let mut spans = vec![
            Span::styled(format!(" {} ", cell::left(part.destination.as_str(), NAME)), theme.strong()),
            Span::styled(format!("{did}: {}", in_words(part.done)), theme.text()),
        ];
        if failed > 0 {
            spans.push(Span::styled(format!("   {} failed", format::count(failed)), theme.bad()));
        }
        for (count, what) in [(part.adopted, "adopted"), (part.kept, "kept")] {
            if count > 0 {
                spans.push(Span::styled(format!("   {} {what}", format::count(count)), theme.muted()));
            }
        }
        if part.drifted > 0 {
            let text = format!("   {} drifted before", format::count(part.drifted));
            spans.push(Span::styled(text, theme.state(SecretState::Drifted)));
        }
        if part.pending > 0 {
            spans.push(Span::styled(format!("   {} pending", format::count(part.pending)), theme.warning()));
        }
        lines.push(Line::from(spans));
    }
    if plain {
        lines.push(Line::default());
    }
    let hint = match (report.failed(), report.pending()) {
        (0, 0) if report.dry_run => " Nothing stands in the way of these tasks.",
        (0, 0) => " Every task was carried out.",
        (0, _) => " What is pending stays in the plan (3); the next cycle finds it again.",
        _ if report.unkept.is_some() => " Only the next plan (3) shows what failed: it is still to do there.",
        _ if report.dry_run => " The failures below are what these tasks would meet.",
        _ => " Failures (5) says why, and retries.",
    };
    lines.push(Line::styled(hint, theme.text()));
    panel::lines(lines, inner, buffer);
}

fn view_failures(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Latest failures", Vec::new(), area, buffer);
    if snapshot.recent_failures.is_empty() {
        panel::lines([Line::styled(" none", theme.muted())], inner, buffer);
        return;
    }
    let width = usize::from(inner.width);
    let path = (width / 2).saturating_sub(NAME + 6);
    let message = width.saturating_sub(NAME + path + 12 + 7);
    let lines = snapshot.recent_failures.iter().take(usize::from(inner.height)).map(|(name, failure)| {
        Line::from(vec![
            Span::styled(" ! ", theme.bad()),
            Span::styled(cell::left(name.as_str(), NAME), theme.text()),
            Span::styled(format!(" {} ", cell::path(&failure.origin.to_string(), path)), theme.text()),
            Span::styled(cell::left(failure.cause.as_str(), 12), theme.bad()),
            Span::styled(cell::left(&failure.message, message), theme.muted()),
        ])
    });
    panel::lines(lines, inner, buffer);
}
