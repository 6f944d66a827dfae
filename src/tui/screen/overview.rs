//! Every vault at a glance, and what needs attention.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use super::Screen;
use crate::engine::{Cause, DestinationName, Report, SecretState};
use crate::tui::effect::Effect;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::message::SideStatus;
use crate::tui::model::{Model, SideView, obstacles};
use crate::tui::outcome;
use crate::tui::update::{movement, show};
use crate::tui::widget::scroll::Scroll;
use crate::tui::widget::tree::Standing;
use crate::tui::widget::{cell, chart, panel};

/// From this width on a vault needs one line, else two.
const WIDE: u16 = 176;

/// A token with less than this is worth a warning.
const SHORT_LIFE: Duration = Duration::from_hours(1);

const NAME: usize = 14;
const STATE: usize = 19;

/// Where the cursor is: 0 is the origin.
#[derive(Debug, Default)]
pub(in crate::tui) struct State {
    pub(in crate::tui) scroll: Scroll,
}

/// What comes back from outside.
#[derive(Debug)]
pub(in crate::tui) enum News {}

/// Takes in what came back.
pub(in crate::tui) fn take(_model: &mut Model, news: News) -> Vec<Effect> {
    match news {}
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let height = rows_that_fit(model);
    if let Some(to) = movement(action) {
        model.overview.scroll.go(to, model.sides.len(), height);
    } else if action == Action::Open {
        match model.overview.scroll.row().checked_sub(1) {
            None => show(model, Screen::Browse),
            Some(destination) => {
                super::plan::choose(model, Some(destination));
                show(model, Screen::Plan);
            }
        }
    }
    Vec::new()
}

pub(super) fn settle(model: &mut Model) {
    let height = rows_that_fit(model);
    model.overview.scroll.settle(model.sides.len(), height);
}

/// Puts the cursor on a vault, and opens it.
pub(super) fn click(model: &mut Model, at: Position, twice: bool) -> Vec<Effect> {
    let body = model.body();
    let rows = panel::rows(areas(model, body)[0], 1);
    // As if each were one line high.
    let each = lines_per_row(body.width);
    let at = Position { y: rows.y + at.y.saturating_sub(rows.y) / each, ..at };
    let rows = Rect { height: rows.height / each, ..rows };
    let Some(row) = model.overview.scroll.row_at(rows, at, model.sides.len()) else { return Vec::new() };
    model.overview.scroll.select(row);
    if twice { act(model, Action::Open) } else { Vec::new() }
}

fn lines_per_row(width: u16) -> u16 {
    if width >= WIDE { 1 } else { 2 }
}

fn areas(model: &Model, body: Rect) -> [Rect; 3] {
    let each = lines_per_row(body.width);
    let wanted = u16::try_from(model.sides.len()).unwrap_or(u16::MAX).saturating_mul(each).saturating_add(3);
    let vaults = wanted.min(body.height.saturating_sub(8)).max(3);
    let [top, rest] = body.layout(&Layout::vertical([Constraint::Length(vaults), Constraint::Min(0)]));
    let [attention, activity] = if body.width >= WIDE {
        rest.layout(&Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]))
    } else {
        // Problems before figures.
        let problems = attention(model, usize::from(body.width.saturating_sub(2))).len();
        let problems = u16::try_from(problems).unwrap_or(u16::MAX).saturating_add(2);
        let figures = rest.height.saturating_sub(problems).clamp(3, 8);
        rest.layout(&Layout::vertical([Constraint::Min(3), Constraint::Length(figures)]))
    };
    [top, attention, activity]
}

fn rows_that_fit(model: &Model) -> usize {
    let body = model.body();
    usize::from(areas(model, body)[0].height.saturating_sub(3) / lines_per_row(body.width))
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let [vaults, attention, activity] = areas(model, body);
    view_vaults(model, vaults, buffer);
    let inner = panel::panel(&model.theme, "Attention", Vec::new(), attention, buffer);
    view_attention(model, inner, buffer);
    view_activity(model, activity, buffer);
}

fn view_vaults(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Vaults", Vec::new(), area, buffer);
    let wide = inner.width + 2 >= WIDE;
    let mut head = format!(
        " {} {} {} {}  ",
        cell::left("vault", NAME),
        cell::left("server", STATE),
        cell::right("latency", 7),
        cell::right("token", 9)
    );
    if wide {
        head += &cell::left("in sync", 28);
        for state in SHOWN {
            head += &cell::right(&state.symbol().to_string(), 8);
        }
        head += "   ";
    }
    head += "last cycle";
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let each = lines_per_row(area.width);
    let height = usize::from(inner.height.saturating_sub(1) / each);
    let scroll = &model.overview.scroll;
    let mut y = inner.y + 1;
    for row in scroll.window(model.sides.len(), height) {
        let place = Rect { y, height: each, ..inner };
        panel::lines(side_lines(model, row, wide, usize::from(inner.width)), place, buffer);
        if row == scroll.row() {
            buffer.set_style(place, theme.selected());
        }
        y += each;
    }
}

fn side_lines(model: &Model, row: usize, wide: bool, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let Some(side) = model.sides.get(row) else { return Vec::new() };
    let mut first = vec![Span::raw(" "), Span::styled(cell::left(side.name(), NAME), theme.strong()), Span::raw(" ")];
    first.extend(health(model, side));
    let counts = match row.checked_sub(1) {
        None => origin_counts(model),
        Some(at) => destination_counts(model, at, wide),
    };
    let last = row.checked_sub(1).and_then(|at| model.destinations.get(at));
    let last = last.map(|name| last_cycle(model, name)).unwrap_or_default();
    if wide {
        first.extend(counts);
        first.push(Span::raw("   "));
        first.extend(last);
        vec![Line::from(first)]
    } else {
        first.extend(last);
        let mut second = vec![Span::raw(" ".repeat(NAME.min(width) + 2))];
        second.extend(counts);
        vec![Line::from(first), Line::from(second)]
    }
}

fn health(model: &Model, side: &SideView) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(status) = &side.status else {
        return vec![Span::styled(cell::left("asking…", STATE + 20), theme.muted())];
    };
    let (text, style) = match &status.health {
        Err(_) => ("unreachable".to_owned(), theme.bad()),
        Ok(health) if !health.initialized => ("not initialized".to_owned(), theme.bad()),
        Ok(health) if health.sealed => ("sealed".to_owned(), theme.bad()),
        Ok(health) => {
            let role = if health.standby { "standby" } else { "active" };
            (format!("{role} {}", health.version), theme.good())
        }
    };
    let answers = status.health.as_ref().is_ok_and(|health| health.initialized && !health.sealed);
    let token = match &status.token {
        Err(_) if !answers => Span::styled(cell::right("–", 9), theme.muted()),
        Err(_) => Span::styled(cell::right("refused", 9), theme.bad()),
        Ok(token) => match token.ttl {
            None => Span::styled(cell::right("no expiry", 9), theme.muted()),
            Some(ttl) => {
                let style = if ttl < SHORT_LIFE { theme.warning() } else { theme.text() };
                Span::styled(cell::right(&format::duration(ttl), 9), style)
            }
        },
    };
    let latency = if status.health.is_ok() { format::duration(status.latency) } else { "–".to_owned() };
    vec![
        Span::styled(cell::left(&text, STATE), style),
        Span::styled(format!(" {} ", cell::right(&latency, 7)), theme.text()),
        token,
        Span::raw("  "),
    ]
}

/// The states that are counted, in the order of their columns.
const SHOWN: [SecretState; 8] = [
    SecretState::InSync,
    SecretState::Add,
    SecretState::Update,
    SecretState::Delete,
    SecretState::Failed,
    SecretState::Drifted,
    SecretState::Unknown,
    SecretState::Excluded,
];

fn origin_counts(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let found = match (&model.plan, model.listing) {
        (Some(plan), _) => plan.inventory.secrets.len() as u64,
        (None, found) => found.unwrap_or(0),
    };
    let mut spans = vec![Span::styled(format::plural(found, "live secret"), theme.text())];
    if let Some(plan) = &model.plan {
        let inventory = &plan.inventory;
        if inventory.deleted > 0 {
            spans.push(Span::styled(format!(", {} deleted", format::count(inventory.deleted)), theme.muted()));
        }
        if !inventory.excluded.is_empty() {
            let count = format::count(inventory.excluded.len() as u64);
            spans.push(Span::styled(format!(", {count} excluded"), theme.muted()));
        }
    }
    if !model.unknown.is_empty() {
        let count = format::plural(model.unknown.len() as u64, "part");
        spans.push(Span::styled(format!(", {count} unreadable"), theme.state(SecretState::Unknown)));
    }
    spans
}

fn destination_counts(model: &Model, at: usize, wide: bool) -> Vec<Span<'static>> {
    let theme = &model.theme;
    if model.plan.is_none() {
        return vec![Span::styled("not planned yet", theme.muted())];
    }
    let tree = &model.browse.tree;
    let count = |state: SecretState| tree.count(at, Standing::from(state));
    let in_sync = count(SecretState::InSync);
    let total = SHOWN.iter().filter(|state| **state != SecretState::Excluded).map(|state| count(*state)).sum::<u64>();
    let bar = if wide { 20 } else { 10 };
    let mut spans = chart::bar(&[(in_sync, theme.good())], total, bar, theme.border());
    spans.push(Span::styled(cell::right(&format::percent(in_sync, total), 7), theme.strong()));
    spans.push(Span::raw(" "));
    for state in SHOWN {
        let number = count(state);
        let style = if number == 0 { theme.muted() } else { theme.state(state) };
        if wide {
            spans.push(Span::styled(cell::right(&format::count(number), 8), style));
        } else if number > 0 {
            spans.push(Span::styled(format!(" {} {} ", state.symbol(), format::count(number)), style));
        }
    }
    spans
}

fn last_cycle(model: &Model, name: &DestinationName) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(report) = model.last_report(name) else {
        return vec![Span::styled("none yet", theme.muted())];
    };
    let part = report.destinations.iter().find(|part| part.destination == *name);
    let failed = part.map_or(0, |part| part.failures.len() as u64);
    let mut spans = vec![Span::styled(format::day_and_minute(report.ended), theme.text())];
    if failed > 0 {
        spans.push(Span::styled(format!(" ! {}", format::short(failed)), theme.bad()));
    } else if part.is_some_and(|part| part.locked.is_some()) {
        spans.push(Span::styled(" locked", theme.bad()));
    } else if part.is_some_and(|part| part.blocked.is_some()) {
        spans.push(Span::styled(" not begun", theme.bad()));
    } else if part.is_some_and(|part| part.unsaved.is_some()) {
        spans.push(Span::styled(" not saved", theme.bad()));
    } else {
        let done = part.map_or(0, |part| part.done.total());
        spans.push(Span::styled(format!(" {} done", format::short(done)), theme.good()));
    }
    spans
}

fn view_attention(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut lines = attention(model, usize::from(area.width));
    if lines.is_empty() {
        let text = if model.plan.is_some() { "Nothing needs attention." } else { "Looking at all vaults…" };
        let style = if model.plan.is_some() { theme.good() } else { theme.muted() };
        lines.push(Line::styled(format!(" {text}"), style));
    }
    let room = usize::from(area.height);
    if lines.len() > room && room > 0 {
        let hidden = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(Line::styled(format!("   … {hidden} more lines"), theme.muted()));
    }
    panel::lines(lines, area, buffer);
}

fn attention(model: &Model, width: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for (symbol, style, text) in concerns(model) {
        for (at, line) in cell::wrap(&text, width.saturating_sub(4)).into_iter().enumerate() {
            let mark = if at == 0 { symbol } else { ' ' };
            lines.push(Line::from(vec![
                Span::styled(format!(" {mark} "), style),
                Span::styled(line, model.theme.text()),
            ]));
        }
    }
    lines
}

/// What somebody should look at, the worst first.
fn concerns(model: &Model) -> Vec<(char, ratatui::style::Style, String)> {
    let theme = &model.theme;
    let mut found = Vec::new();
    if let Some(words) = &model.bug {
        found.push(('!', theme.bad(), format!("A part of vsync failed by a bug, please report it: {words}")));
    }
    for side in &model.sides {
        if let Some(status) = &side.status {
            found.extend(side_concerns(side, status).into_iter().map(|text| ('!', theme.bad(), text)));
        }
    }
    for (name, standing) in &model.watch.standings {
        let (symbol, style) = if standing.is_bad() { ('!', theme.bad()) } else { ('*', theme.warning()) };
        found.push((symbol, style, format!("{name}: {standing}.")));
    }
    if let Some(plan) = &model.plan {
        for (destination, obstacle) in obstacles(plan) {
            found.push(('!', theme.bad(), format!("{destination}: {obstacle}")));
        }
    }
    for unknown in &model.unknown {
        let text = format!(
            "{} could not be read: {}. What lies there is unknown, so nothing under it is deleted anywhere.",
            unknown.prefix, unknown.reason
        );
        found.push(('?', theme.state(SecretState::Unknown), text));
    }
    let drift = |cause| matches!(cause, Cause::Drift | Cause::Existing);
    let failed = model.failures.iter().filter(|(_, failure)| !drift(failure.cause)).count() as u64;
    if failed > 0 {
        let text = format!("{} failed; 5 shows why and what to do.", format::plural(failed, "secret"));
        found.push(('!', theme.bad(), text));
    }
    for part in model.plan.iter().flat_map(|plan| &plan.destinations) {
        let left_alone = part.drifted.iter().filter(|drift| !drift.kept).count() as u64;
        if left_alone > 0 {
            let text = format!(
                "{}: {} left alone, because somebody else wrote them there; 5 names them and says what to do.",
                part.destination,
                format::plural(left_alone, "secret")
            );
            found.push(('~', theme.state(SecretState::Drifted), text));
        }
    }
    for (destination, reason) in &model.cycle.unsaved {
        found.push(('!', theme.bad(), format!("{destination}: state could not be saved: {reason}")));
    }
    let ended = model.cycle.report.as_deref();
    let blocked = model.cycle.blocked.iter().filter(|_| ended.is_none());
    found.extend(blocked.map(|(name, reason)| ('!', theme.bad(), outcome::blocked(name, reason))));
    found.extend(ended.into_iter().flat_map(outcome::troubles).map(|text| ('!', theme.bad(), text)));
    for reason in [&model.failures_error, &model.history_error].into_iter().flatten() {
        found.push(('!', theme.bad(), format!("Past cycles could not be read: {reason}")));
    }
    for side in &model.sides {
        let ttl = side.status.as_ref().and_then(|status| status.token.as_ref().ok()).and_then(|token| token.ttl);
        if let Some(ttl) = ttl.filter(|ttl| *ttl < SHORT_LIFE) {
            let text = format!("{}: the token expires in {}.", side.name(), format::duration(ttl));
            found.push(('*', theme.warning(), text));
        }
    }
    found
}

fn side_concerns(side: &SideView, status: &SideStatus) -> Vec<String> {
    let name = side.name();
    match (&status.health, &status.token) {
        (Err(reason), _) => vec![format!("{name} is unreachable at {}: {reason}", side.address)],
        (Ok(health), _) if !health.initialized => vec![format!("{name} is not initialized.")],
        (Ok(health), _) if health.sealed => vec![format!("{name} is sealed: unseal it, then press r.")],
        (Ok(_), Err(reason)) => vec![format!("{name} refuses the token: {reason}")],
        (Ok(_), Ok(_)) => Vec::new(),
    }
}

fn view_activity(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let history = model.cycle.snapshot.as_ref().map(|snapshot| snapshot.rate_history.as_slice()).unwrap_or_default();
    let most = history.iter().copied().max().unwrap_or(0);
    let right = if most > 0 {
        vec![Span::styled(format!(" at most {}/s ", format::count(most)), theme.muted())]
    } else {
        Vec::new()
    };
    let inner = panel::panel(theme, "Activity", right, area, buffer);
    let width = usize::from(inner.width.saturating_sub(2));
    let height = usize::from(inner.height);
    let mut lines = Vec::new();
    if most > 0 {
        let rows = if height > 6 { 4 } else { 1 };
        let style = if model.cycle.running { theme.accent() } else { theme.muted() };
        lines.extend(
            chart::sparkline(history, width, rows).into_iter().map(|row| Line::styled(format!(" {row}"), style)),
        );
    }
    for report in model.history.iter().take(height.saturating_sub(lines.len())) {
        lines.push(past(model, report));
    }
    if lines.is_empty() {
        lines.push(Line::styled(" No cycle has run yet.", theme.muted()));
    }
    panel::lines(lines, inner, buffer);
}

fn past(model: &Model, report: &Report) -> Line<'static> {
    let theme = &model.theme;
    let failed = report.failed();
    let mut spans = vec![
        Span::styled(format!(" {}  ", format::time(report.started)), theme.muted()),
        Span::styled(
            cell::left(report.ending.as_str(), 10),
            if outcome::went_wrong(report) { theme.bad() } else { theme.text() },
        ),
        Span::styled(format!("{} done", cell::right(&format::count(report.done().total()), 8)), theme.good()),
    ];
    let style = if failed > 0 { theme.bad() } else { theme.muted() };
    spans.push(Span::styled(format!("{} failed", cell::right(&format::count(failed), 6)), style));
    spans.push(Span::styled(format!("  in {}", format::duration(report.duration())), theme.muted()));
    Line::from(spans)
}
