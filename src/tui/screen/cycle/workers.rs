//! What each worker does at this moment.

use std::cmp::Reverse;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::chosen;
use crate::engine::{CycleSnapshot, WorkerRow};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::{cell, panel};

/// A worker that holds one task for longer than this is worth a look.
const SLOW: Duration = Duration::from_secs(5);

/// From this width of a path on there is room for where it goes, too.
const BOTH: usize = 90;

/// The workers of what the cursor is on: first those that have held one task for long, last those of destinations that
/// are done. The others stay in their order, so that they can be read.
pub(super) fn rows<'a>(model: &Model, snapshot: &'a CycleSnapshot) -> Vec<&'a WorkerRow> {
    let chosen = chosen(model).map(|part| &part.destination);
    let mut rows: Vec<_> =
        snapshot.workers.iter().filter(|worker| chosen.is_none_or(|name| *name == worker.destination)).collect();
    rows.sort_by_cached_key(|worker| (Reverse(held_long(worker)), is_done(snapshot, worker)));
    rows
}

/// Whether its destination is done.
fn is_done(snapshot: &CycleSnapshot, worker: &WorkerRow) -> bool {
    let part = snapshot.destinations.iter().find(|part| part.destination == worker.destination);
    part.is_some_and(|part| part.ended() == part.planned.total())
}

/// For how many seconds, if they are many.
fn held_long(worker: &WorkerRow) -> Option<u64> {
    worker.activity.as_ref().map(|activity| activity.elapsed).filter(|held| *held >= SLOW).map(|held| held.as_secs())
}

pub(super) fn view(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let rows = rows(model, snapshot);
    let busy = rows.iter().filter(|worker| worker.activity.is_some()).count();
    let slow = rows.iter().filter(|worker| held_long(worker).is_some()).count();
    let title = match chosen(model) {
        Some(part) => format!("Workers of {} {busy} of {} busy", part.destination, rows.len()),
        None => format!("Workers {busy} of {} busy", rows.len()),
    };
    let mut right = Vec::new();
    if slow > 0 {
        right.push(Span::styled(format!(" {slow} slow "), theme.warning()));
    }
    let height = usize::from(area.height.saturating_sub(3));
    if rows.len() > height {
        right.push(Span::styled(format!(" {} for more ", model.scroll_keys()), theme.muted()));
    }
    let inner = panel::panel(theme, &title, right, area, buffer);
    let path = usize::from(inner.width).saturating_sub(model.name_width() + 34);
    let head = format!(
        " {} {}    {} {} {} {}",
        cell::left("destination", model.name_width()),
        cell::right("#", 3),
        cell::left("step", 8),
        cell::left("secret", path),
        cell::right("elapsed", 8),
        cell::right("tries", 5),
    );
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    panel::lines(rows.iter().skip(model.cycle_list.top).map(|row| line(model, snapshot, row, path)), list, buffer);
}

fn line(model: &Model, snapshot: &CycleSnapshot, worker: &WorkerRow, path: usize) -> Line<'static> {
    let theme = &model.theme;
    let mut spans = vec![
        Span::styled(format!(" {}", cell::name(worker.destination.as_str(), model.name_width())), theme.text()),
        Span::styled(format!(" {}  ", cell::right(&worker.number.to_string(), 3)), theme.muted()),
    ];
    let Some(activity) = &worker.activity else {
        let word = if is_done(snapshot, worker) { "  done" } else { "  waiting" };
        spans.push(Span::styled(word, theme.muted()));
        return Line::from(spans);
    };
    let state = activity.operation.state();
    let (text, elapsed) = match held_long(worker) {
        Some(_) => (theme.warning(), theme.bad()),
        None => (theme.text(), theme.text()),
    };
    let again = if activity.attempts > 1 { theme.warning() } else { theme.muted() };
    spans.extend([
        Span::styled(format!("{} ", state.symbol()), theme.state(state)),
        Span::styled(cell::left(activity.step.as_str(), 8), theme.muted()),
    ]);
    let origin = activity.origin.to_string();
    if path >= BOTH && activity.origin != activity.destination {
        let half = (path - 3) / 2;
        spans.extend([
            Span::styled(format!(" {}", cell::path(&origin, half)), text),
            Span::styled(" → ", theme.muted()),
            Span::styled(format!("{} ", cell::path(&activity.destination.to_string(), path - 3 - half)), text),
        ]);
    } else {
        spans.push(Span::styled(format!(" {} ", cell::path(&origin, path)), text));
    }
    spans.extend([
        Span::styled(cell::right(&format::duration(activity.elapsed), 8), elapsed),
        Span::styled(format!(" {}", cell::right(&activity.attempts.to_string(), 5)), again),
    ]);
    Line::from(spans)
}
