//! The tasks, one a row.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Item, Row, present, row_of};
use crate::engine::{SecretState, Source};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::screen::filter_title;
use crate::tui::widget::tree::Standing;
use crate::tui::widget::{cell, panel};

pub(super) fn view_tasks(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.plan_list;
    let mut right = filter_title(model, &state.filter);
    for operation in &state.hidden {
        right.push(Span::styled(format!(" without {} ", operation.state().symbol()), theme.warning()));
    }
    if state.drift_hidden {
        right.push(Span::styled(" without ~ ", theme.warning()));
    }
    let mut title = match state.destination.and_then(|at| model.destinations.get(at)) {
        None => "Tasks ".to_owned(),
        Some(name) => format!("Tasks for {} ", crate::text::sanitize(name.as_str())),
    };
    let tasks = state.rows.iter().filter(|(_, item)| matches!(item, Item::Task(_))).count();
    title += &format::count(tasks as u64);
    if !state.stale().is_empty() {
        title = format!("{title}, {} stale", format::count(state.stale().len() as u64));
    }
    if state.drifted > 0 {
        title = format!("{title}, {} drifted", format::count(state.drifted as u64));
    }
    let inner = panel::panel(theme, &title, right, area, buffer);
    let widths = Widths::new(model, usize::from(inner.width));
    let head = format!(
        "    {} {}  {}  {}",
        cell::left("secret", widths.origin),
        cell::left("at", widths.name),
        cell::left("path there", widths.target),
        cell::left("rule", widths.rule)
    );
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    if state.rows.is_empty() {
        let text = match present(model) {
            None => "Planning…",
            Some(plan) if plan.is_empty() => {
                "Nothing to do: every destination is in sync with what is known of the origin."
            }
            Some(_) => "No task is shown with this destination and these filters.",
        };
        panel::lines([Line::styled(format!("    {text}"), theme.muted())], rows, buffer);
    }
    let Some(plan) = present(model) else { return };
    let window = state.scroll.window(state.rows.len(), usize::from(rows.height));
    for (place, row) in rows.rows().zip(window) {
        let (at, item) = state.rows[row];
        if let Some(row) = row_of(model, plan, at, item) {
            panel::lines([row_line(model, usize::from(at), row, &widths)], place, buffer);
        }
        if row == state.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
}

/// How wide the columns are.
struct Widths {
    origin: usize,
    name: usize,
    target: usize,
    rule: usize,
}

impl Widths {
    fn new(model: &Model, width: usize) -> Self {
        let name = match model.plan_list.destination {
            Some(_) => 0,
            None => model.destinations.iter().map(|name| name.as_str().len()).max().unwrap_or(0).clamp(8, 16),
        };
        let rule = if width >= 100 { (width / 8).max(14) } else { 8 };
        let room = width.saturating_sub(4 + 1 + name + 2 + 2 + rule + 1);
        let origin = room / 2;
        Self { origin, name, target: room - origin, rule }
    }
}

fn row_line(model: &Model, at: usize, row: Row<'_>, widths: &Widths) -> Line<'static> {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let origin = row.origin();
    let marked = model.marks.get(at).is_some_and(|marks| marks.contains(origin));
    let failed = tree.find(origin).is_some_and(|id| tree.standing(id, at) == Standing::Failed);
    let (state, rule) = match row {
        // what nothing can take back matters more than by which rule
        Row::Task(task) if task.operation.is_irrevocable() => {
            (task.operation.state(), format!("{} for good", task.operation.as_str().to_uppercase()))
        }
        Row::Task(task) if task.source == Source::Metadata => (task.operation.state(), "metadata only".to_owned()),
        Row::Task(task) => (task.operation.state(), task.rule.to_string()),
        Row::Drift(_) => (SecretState::Drifted, "drifted".to_owned()),
        Row::Stale(_) => (SecretState::Failed, "stale".to_owned()),
    };
    let same = origin == row.destination();
    let target = if let Row::Stale(line) = row {
        line.failure.message.clone()
    } else if same {
        "the same path".to_owned()
    } else {
        row.destination().to_string()
    };
    let name = model.destinations.get(at).map_or("", |name| name.as_str());
    Line::from(vec![
        Span::styled(if marked { "●" } else { " " }, theme.accent()),
        Span::styled(state.symbol().to_string(), theme.state(state)),
        Span::styled(if failed { "! " } else { "  " }, theme.bad()),
        Span::styled(cell::path(&origin.to_string(), widths.origin), theme.text()),
        Span::styled(format!(" {}", cell::name(name, widths.name)), theme.muted()),
        Span::styled("  ", theme.muted()),
        Span::styled(cell::path(&target, widths.target), if same { theme.muted() } else { theme.text() }),
        Span::styled(format!("  {}", cell::left(&rule, widths.rule)), theme.muted()),
    ])
}
