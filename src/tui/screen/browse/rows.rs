//! The rows of the tree that show, with their state columns.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::detail::standing_words;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::screen::{filter_title, marked_title};
use crate::tui::widget::tree::{NodeId, Order, Standing};
use crate::tui::widget::{cell, panel};

/// How wide a state column has to be for counts.
const WITH_COUNTS: usize = 11;

/// How wide it has to be for a count of each state, or a state in words.
const WITH_STATES: usize = 18;

/// How wide it may be.
const WIDEST: usize = 30;

/// What names need before state columns become wider than they must be.
const NAMES: usize = 50;

/// The widths of the state columns, one per destination that fits.
fn columns(model: &Model, width: usize) -> (usize, usize) {
    let count = model.destinations.len();
    let room = width.saturating_sub(30);
    let longest = model.destinations.iter().map(|name| name.as_str().len()).max().unwrap_or(0) + 1;
    let each = (room / count.max(1)).min(longest.max(WITH_COUNTS)).min(16);
    let wide = width.saturating_sub(NAMES) / count.max(1);
    if wide >= WITH_STATES {
        (wide.min(WIDEST), count)
    } else if each >= WITH_COUNTS {
        (each, count)
    } else {
        // No room for counts: the symbols alone, as many as there are.
        (3, count.min(room / 3))
    }
}

pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.browse;
    let mut right = marked_title(model);
    if state.order == Order::Worst {
        right.push(Span::styled(" worst first ", theme.accent()));
    }
    right.extend(filter_title(model, &state.filter));
    let inner = panel::panel(theme, "Origin", right, area, buffer);
    let width = usize::from(inner.width);
    let (column, shown) = columns(model, width);
    let names = width.saturating_sub(column * shown + 1);
    let all = format::plural(u64::from(state.tree.secrets()), "secret");
    let found = if state.filter.is_empty() { all } else { format!("{} of {all}", format::count(state.found as u64)) };
    let mut head = vec![Span::styled(cell::left(&format!("   {found}"), names), theme.muted())];
    for name in model.destinations.iter().take(shown) {
        head.push(Span::styled(format!(" {}", cell::name(name.as_str(), column - 1)), model.name_style(name)));
    }
    panel::lines([Line::from(head)], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if state.rows.is_empty() {
        let text = match (model.listing, state.filter.is_empty()) {
            (_, false) => "Nothing is like that: esc shows everything.",
            (Some(_), true) => "Listing the origin…",
            (None, true) if model.plan.is_none() => "The origin has not been listed to its end.",
            (None, true) => "The origin holds no secret in the configured mounts.",
        };
        panel::lines([Line::styled(format!("   {text}"), theme.muted())], rows, buffer);
    }
    let window = state.scroll.window(state.rows.len(), usize::from(rows.height));
    for (place, row) in rows.rows().zip(window) {
        let line = tree_line(model, state.rows[row], names, column, shown);
        panel::lines([line], place, buffer);
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

fn tree_line(model: &Model, id: NodeId, names: usize, column: usize, shown: usize) -> Line<'static> {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let folder = tree.secret(id).is_none();
    let indent = (usize::from(tree.depth(id)) * 2).min(names.saturating_sub(24));
    let open = tree.is_open(id) || !model.browse.filter.is_empty();
    let fold = match (folder, open) {
        (true, true) => "▾ ",
        (true, false) => "▸ ",
        (false, _) => "  ",
    };
    let mark = match marks(model, id) {
        0 => " ",
        marks if marks < tree.tasks(id) => "◐",
        _ => "●",
    };
    let note = if !folder {
        String::new()
    } else if tree.is_unread(id) {
        " unreadable".to_owned()
    } else {
        format!(" {}", format::count(u64::from(tree.secrets_below(id))))
    };
    let room = names.saturating_sub(indent + 4);
    let label = cell::left(tree.label(id), room.saturating_sub(note.len())).trim_end().to_owned();
    let rest = (room + note.len()).saturating_sub(label.width() + note.len());
    let mut spans = vec![
        Span::styled(format!(" {mark}"), theme.accent()),
        Span::styled(format!("{}{fold}", " ".repeat(indent)), theme.muted()),
        Span::styled(label, if folder { theme.strong() } else { theme.text() }),
        Span::styled(cell::left(&note, rest), theme.muted()),
    ];
    for at in 0..shown {
        spans.extend(state_cell(model, id, at, column));
    }
    Line::from(spans)
}

/// How a node stands at a destination: of a folder how many secrets are behind, and in which ways.
fn state_cell(model: &Model, id: NodeId, at: usize, column: usize) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let worst = tree.standing(id, at);
    if column >= WITH_STATES {
        return wide_cell(model, id, at, column);
    }
    if column < WITH_COUNTS {
        return vec![Span::styled(cell::left(&format!(" {}", worst.symbol()), column), theme.standing(worst))];
    }
    let folder = tree.secret(id).is_none();
    let behind = if folder && worst.is_behind() { tree.behind(id, at) } else { 0 };
    let count = if behind > 0 { format::short(u64::from(behind)) } else { String::new() };
    let mut shown: Vec<_> = tree.ways_behind(id, at).collect();
    if shown.is_empty() {
        shown.push(worst);
    }
    let mut spans = vec![Span::styled(format!(" {} ", cell::right(&count, 4)), theme.text())];
    // The worst come last: without room for all, the others go.
    for standing in &shown[shown.len().saturating_sub(column - 6)..] {
        spans.push(Span::styled(standing.symbol().to_string(), theme.standing(*standing)));
    }
    spans.push(Span::raw(" ".repeat((column - 6).saturating_sub(shown.len()))));
    spans
}

/// With room for it: of a folder how many secrets are behind in which way, of a secret its state in words.
fn wide_cell(model: &Model, id: NodeId, at: usize, column: usize) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let worst = tree.standing(id, at);
    let mut spans = vec![Span::raw(" ")];
    let mut room = column - 1;
    let secret = tree.secret(id);
    if secret.is_some() || !worst.is_behind() {
        let words = secret.map_or(worst.as_str(), |path| standing_words(model, path, at, worst));
        let words = if worst == Standing::Absent { String::new() } else { format!("{} {words}", worst.symbol()) };
        spans.push(Span::styled(cell::left(&words, room), theme.standing(worst)));
        return spans;
    }
    let counted;
    let tally = if let Some(tally) = model.browse.tallies.get(&id).and_then(|tallies| tallies.get(at)) {
        tally
    } else {
        counted = tree.counts_behind(id, at);
        &counted
    };
    let ways: Vec<_> = tally
        .iter()
        .map(|(standing, count)| {
            let count = if *count > 0 { format::short(*count) } else { String::new() };
            (format!("{}{count} ", standing.symbol()), *standing)
        })
        .collect();
    // The worst come last: without room for all, the others go.
    let mut first = ways.len();
    let mut used = 0;
    while first > 0 && used + ways[first - 1].0.width() <= room {
        first -= 1;
        used += ways[first].0.width();
    }
    for (text, standing) in &ways[first..] {
        room -= text.width();
        spans.push(Span::styled(text.clone(), theme.standing(*standing)));
    }
    spans.push(Span::raw(" ".repeat(room)));
    spans
}

/// Counts what lies in the folders that show, if there is room to show it; each once.
pub(super) fn tally(model: &mut Model, height: usize) {
    let (area, _) = super::areas(model, model.body());
    if columns(model, usize::from(area.width.saturating_sub(2))).0 < WITH_STATES {
        return;
    }
    let state = &mut model.browse;
    for row in state.scroll.window(state.rows.len(), height) {
        let id = state.rows[row];
        if state.tree.secret(id).is_none() && !state.tallies.contains_key(&id) {
            let counts = (0..model.destinations.len()).map(|at| state.tree.counts_behind(id, at)).collect();
            state.tallies.insert(id, counts);
        }
    }
}

/// How many tasks of the secret, or of what lies in the folder, are marked.
fn marks(model: &Model, id: NodeId) -> usize {
    model.marks.iter().map(|marks| model.browse.tree.marks(id, marks)).sum()
}
