//! What is known of a vault, in pieces of a line.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::Span;

use super::{Held, SHORT_LIFE, STATE, Seen};
use crate::engine::{DestinationName, SecretState};
use crate::tui::format;
use crate::tui::model::{Model, SideView};
use crate::tui::widget::tree::Standing;
use crate::tui::widget::{cell, chart};

pub(super) fn health(model: &Model, side: &SideView) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(status) = &side.status else {
        return vec![Span::styled(cell::left("asking…", STATE + 20), theme.muted())];
    };
    let (text, style) = match &status.health {
        Err(_) => ("unreachable".to_owned(), theme.bad()),
        Ok(health) => {
            let role = if health.standby { "standby" } else { "active" };
            let well = || (format!("{role} {}", health.version), theme.good());
            health.obstacle().map_or_else(well, |obstacle| (obstacle.to_owned(), theme.bad()))
        }
    };
    let token = match &status.token {
        None => Span::styled(cell::right("–", 9), theme.muted()),
        Some(Err(_)) => Span::styled(cell::right("refused", 9), theme.bad()),
        Some(Ok(token)) => match token.ttl {
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
pub(super) const SHOWN: [SecretState; 8] = [
    SecretState::InSync,
    SecretState::Add,
    SecretState::Update,
    SecretState::Delete,
    SecretState::Failed,
    SecretState::Drifted,
    SecretState::Unknown,
    SecretState::Excluded,
];

pub(super) fn origin_counts(model: &Model) -> Vec<Span<'static>> {
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

pub(super) fn destination_counts(model: &Model, at: usize, wide: bool) -> Vec<Span<'static>> {
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

pub(super) fn last_cycle(model: &Model, name: &DestinationName) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(report) = model.last_report(name) else {
        let known = model.history_read && model.history_error.is_none();
        return vec![Span::styled(if known { "none yet" } else { "–" }, theme.muted())];
    };
    let part = report.destinations.iter().find(|part| part.destination == *name);
    let failed = part.map_or(0, |part| part.failures.len() as u64);
    let mut spans = vec![Span::styled(format::day_and_minute(report.ended), theme.text())];
    if failed > 0 {
        spans.push(Span::styled(format!(" ! {}", format::short(failed)), theme.bad()));
    } else if part.is_some_and(|part| part.locked.is_some()) {
        spans.push(Span::styled(" locked", theme.bad()));
    } else if let Some(part) = part.filter(|part| part.blocked.is_some()) {
        let word = if part.has_begun() { " stopped" } else { " not begun" };
        spans.push(Span::styled(word, theme.bad()));
    } else if part.is_some_and(|part| part.unsaved.is_some()) {
        spans.push(Span::styled(" not saved", theme.bad()));
    } else {
        let done = part.map_or(0, |part| part.done.total());
        spans.push(Span::styled(format!(" {} done", format::short(done)), theme.good()));
    }
    spans
}

/// How many of a destination's secrets are in a state, and how many there are without those that are excluded.
pub(super) fn count(model: &Model, at: usize, state: SecretState) -> u64 {
    model.browse.tree.count(at, Standing::from(state))
}

pub(super) fn total(model: &Model, at: usize) -> u64 {
    SHOWN.iter().filter(|state| **state != SecretState::Excluded).map(|state| count(model, at, *state)).sum()
}

/// Who is at work at a side: whoever has the lock of its cycles, and whoever watches it.
pub(super) fn locks(model: &Model, side: usize) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let held = match model.overview.held.get(&side) {
        None => return vec![Span::styled("asking…", theme.muted())],
        Some(Err(_)) => return vec![Span::styled("its store does not tell", theme.bad())],
        Some(Ok(Held { cycle: None, daemon: None })) => return vec![Span::styled("nobody", theme.muted())],
        Some(Ok(held)) => held,
    };
    let mut spans = Vec::new();
    for (what, seen) in [("cycle", &held.cycle), ("watch", &held.daemon)] {
        let Some(seen) = seen else { continue };
        if !spans.is_empty() {
            spans.push(Span::styled(", ", theme.muted()));
        }
        let (who, style) = holder(model, seen);
        // the origin's is that of a daemon, or of a cycle that records what it found
        let what = if side == 0 { "record" } else { what };
        spans.push(Span::styled(format!("{what}: "), theme.muted()));
        spans.push(Span::styled(who, style));
    }
    spans
}

fn holder(model: &Model, seen: &Seen) -> (String, Style) {
    let theme = &model.theme;
    let since = |at: Option<Timestamp>| at.map(|at| format!(" since {}", format::clock(at))).unwrap_or_default();
    match seen {
        Seen { own: true, since: at, .. } => (format!("this console{}", since(*at)), theme.accent()),
        // what matters most first: the end may be cut off
        Seen { who, what, since: at, .. } => (format!("{who}{} ({what})", since(*at)), theme.warning()),
    }
}

/// How many requests a side is sent at once by the cycle that runs, and why no more.
pub(super) fn limit(model: &Model, side: usize) -> Option<Span<'static>> {
    let snapshot = model.cycle.snapshot.as_ref().filter(|_| model.cycle.running)?;
    let throttle = match side.checked_sub(1).and_then(|at| model.destinations.get(at)) {
        Some(name) => snapshot.destinations.iter().find(|part| part.destination == *name)?.throttle?,
        None => snapshot.origin_throttle?,
    };
    let style = if throttle.is_lowered() { model.theme.warning() } else { model.theme.muted() };
    Some(Span::styled(format!("{} at once", throttle.short()), style))
}

/// How fast tasks end or ended in the last cycle there, in so many columns.
pub(super) fn course(model: &Model, name: &DestinationName, width: usize) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(history) = model.overview.courses.get(name) else {
        return vec![Span::styled(cell::left("–", width), theme.muted())];
    };
    let snapshot = model.cycle.snapshot.as_ref().filter(|_| model.cycle.running);
    let part = snapshot.and_then(|snapshot| snapshot.destinations.iter().find(|part| part.destination == *name));
    let now = part.filter(|part| part.eta.is_some()).map(|part| part.rate);
    let figure = match now {
        Some(rate) => format::rate(rate),
        None => format!("{}/s at most", format::short(history.iter().copied().max().unwrap_or(0))),
    };
    let room = width.saturating_sub(figure.len() + 1);
    let style = if now.is_some() { theme.accent() } else { theme.muted() };
    let spark = chart::sparkline(history, room, 1).concat();
    vec![Span::styled(spark, style), Span::styled(format!(" {figure}"), theme.text())]
}
