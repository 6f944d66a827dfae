//! Per destination the counts, and what stands against executing its tasks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::present;
use crate::engine::{DestinationPlan, MaxDelete, Objection, Operation, SecretState};
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Model, Obstacle};
use crate::tui::screen::{Screen, marked_title};
use crate::tui::widget::{cell, panel};

/// From this width on the counts have room.
const WIDE: u16 = 100;

/// The columns of the counts: how wide the name is, each count, and the gap before the verdict.
fn count_columns(width: usize) -> (usize, [usize; 5], usize) {
    if width >= usize::from(WIDE) { (16, [10, 10, 10, 11, 11], 3) } else { (12, [7, 10, 10, 11, 11], 1) }
}

pub(super) fn view_destinations(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let title = match model.plan_list.saved_title() {
        Some(title) => format!("Plan of {title}"),
        None => "Plan".to_owned(),
    };
    let inner = panel::panel(theme, &title, marked_title(model), area, buffer);
    let (name, widths, gap) = count_columns(usize::from(area.width));
    let mut head = format!("   {}", cell::left("destination", name));
    for (title, width) in ["+ add", "* update", "- delete", "~ drifted", "= in sync"].into_iter().zip(widths) {
        head += &cell::right(title, width);
    }
    head += &" ".repeat(gap);
    head += "verdict";
    panel::lines([Line::styled(head, theme.muted())], inner, buffer);
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let mut lines = verdicts(model, usize::from(area.width));
    let height = usize::from(rows.height);
    // With more destinations than fit the chosen one stays in sight.
    let chosen = lines.iter().position(|(at, _)| *at == Some(model.plan_list.destination)).unwrap_or(0);
    let skip = if model.plan_list.destination.is_some() && lines.len() > height {
        // what stands against it comes below it
        chosen.min(lines.len() - height)
    } else {
        (chosen + 1).saturating_sub(height)
    };
    let hidden = lines.len().saturating_sub(skip + height);
    lines.drain(..skip);
    for (place, (at, line)) in rows.rows().zip(lines) {
        panel::lines([line], place, buffer);
        if at == Some(model.plan_list.destination) {
            buffer.set_style(place, theme.selected());
        }
    }
    if hidden > 0 {
        let note = format!(" {hidden} more lines ");
        let width = u16::try_from(note.len()).unwrap_or(0).min(area.width);
        let place = Rect { x: area.right().saturating_sub(width + 1), y: area.bottom() - 1, width, height: 1 };
        panel::lines([Line::styled(note, theme.warning())], place, buffer);
    }
}

/// What a line can be chosen as: `None` for lines of text, `Some(None)` for all destinations.
type Choice = Option<Option<usize>>;

/// A line for all, one for each destination, and below each what stands against it.
pub(super) fn verdicts(model: &Model, width: usize) -> Vec<(Choice, Line<'static>)> {
    let theme = &model.theme;
    let Some(plan) = present(model) else {
        return vec![(None, Line::styled("   Planning…", theme.muted()))];
    };
    let mut lines = Vec::new();
    if plan.destinations.len() > 1 {
        let in_sync = plan.destinations.iter().map(|part| part.in_sync).sum();
        let drifted = plan.destinations.iter().map(left_alone).sum();
        let numbers = Numbers { tasks: plan.counts(), drifted, in_sync };
        lines.push((Some(None), counts(model, "all", numbers, width, Vec::new())));
    }
    for (at, part) in plan.destinations.iter().enumerate() {
        let obstacles: Vec<_> = obstacles_of(part).collect();
        let verdict = if !obstacles.is_empty() {
            vec![Span::styled("disabled", theme.bad())]
        } else if part.tasks.is_empty() {
            vec![Span::styled("nothing to do", theme.muted())]
        } else {
            vec![Span::styled("no objection", theme.good())]
        };
        let name = part.destination.as_str();
        if model.plan_list.saved_plan().is_some()
            && part.tasks.is_empty()
            && !model.plan_list.saved_for(&part.destination)
        {
            continue;
        }
        let numbers = Numbers { tasks: part.counts(), drifted: left_alone(part), in_sync: part.in_sync };
        lines.push((Some(Some(at)), counts(model, name, numbers, width, verdict)));
        for obstacle in obstacles {
            for line in cell::wrap(&obstacle.to_string(), width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.bad())));
            }
            if let Some(advice) = advice(model, obstacle) {
                for line in cell::wrap(&advice, width.saturating_sub(9)) {
                    lines.push((None, Line::styled(format!("     {line}"), theme.text())));
                }
            }
        }
        if let Some(moved) = moved(part) {
            for line in cell::wrap(&moved, width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.warning())));
            }
        }
        if let Some(remark) = remark(part) {
            for line in cell::wrap(&remark, width.saturating_sub(9)) {
                lines.push((None, Line::styled(format!("     {line}"), theme.muted())));
            }
        }
    }
    lines
}

/// How many secrets are left alone because somebody else wrote them.
fn left_alone(part: &DestinationPlan) -> u64 {
    part.drifted.iter().filter(|drift| !drift.kept).count() as u64
}

fn obstacles_of(part: &DestinationPlan) -> impl Iterator<Item = Obstacle<'_>> {
    part.unavailable
        .as_deref()
        .map(Obstacle::Unavailable)
        .into_iter()
        .chain(part.objections.iter().map(Obstacle::Objection))
}

/// What can be done about it from here.
fn advice(model: &Model, obstacle: Obstacle<'_>) -> Option<String> {
    if model.read_only {
        return None;
    }
    let key = |action| model.keymap.key(Place::Screen(Screen::Plan), action);
    let [mark, execute] = [Action::Mark, Action::ExecuteMarked].map(key);
    Some(match obstacle {
        Obstacle::Unavailable(_) => format!("When its state store answers again, {} plans anew.", key(Action::Refresh)),
        Obstacle::Objection(Objection::MassDelete { recorded, limit, .. }) => {
            let most = limit.parse::<MaxDelete>().ok()?.limit(*recorded);
            format!(
                "From here: mark what you mean ({mark}) and execute that ({execute}): up to {} at a time may be deleted.",
                format::plural(most, "secret")
            )
        }
        Obstacle::Objection(Objection::EmptyOrigin { .. }) => format!(
            "From here: hide the deletes ({}), mark what shows ({}) and execute that ({execute}).",
            key(Action::ToggleDelete),
            key(Action::MarkAll)
        ),
        Obstacle::Objection(_) if model.destinations.len() > 1 => format!(
            "Until then the others can be executed: {} chooses a destination, {} executes it.",
            key(Action::Right),
            key(Action::ExecuteAll)
        ),
        Obstacle::Objection(_) => return None,
    })
}

/// What stays behind at former paths, which no later cycle looks at.
fn moved(part: &DestinationPlan) -> Option<String> {
    let count = format::count(part.moved);
    let go = match part.moved {
        0 => return None,
        1 => "goes to a new path since the transforms changed; what was written to the former one stays there",
        _ => "go to new paths since the transforms changed; what was written to the former ones stays there",
    };
    Some(format!("{count} {go}"))
}

/// What is left alone there, and why.
fn remark(part: &DestinationPlan) -> Option<String> {
    let mut parts = Vec::new();
    let kept = part.drifted.len() as u64 - left_alone(part);
    if kept > 0 {
        parts.push(format!("{} kept as somebody else made them", format::plural(kept, "secret")));
    }
    if !part.new_mounts.is_empty() {
        let names: Vec<String> = part.new_mounts.iter().map(|new| new.mount.to_string()).collect();
        parts.push(format!(
            "{} created first: {}",
            format::plural(names.len() as u64, "missing mount"),
            names.join(", ")
        ));
    }
    if let Some(words) = part.counts().irrevocable_in_words() {
        parts.push(format!("{words} FOR GOOD among the deletes"));
    }
    if part.deletes_ignored > 0 {
        parts.push(format!("{} left in place by on_delete = ignore", format::plural(part.deletes_ignored, "delete")));
    }
    if !part.unknown.is_empty() {
        let count = format::plural(part.unknown.len() as u64, "secret");
        parts.push(format!("{count} left alone: the origin could not say whether they still exist"));
    }
    if parts.is_empty() { None } else { Some(parts.join("; ")) }
}

/// What is counted of a destination, or of all.
#[derive(Clone, Copy)]
struct Numbers {
    tasks: crate::engine::OperationCounts,
    drifted: u64,
    in_sync: u64,
}

/// Production is red wherever it is named.
fn style_of(model: &Model, name: &str) -> ratatui::style::Style {
    let is_production = model.production.iter().any(|production| production.as_str() == name);
    if is_production { model.theme.bad() } else { model.theme.strong() }
}

fn counts(model: &Model, name: &str, numbers: Numbers, width: usize, verdict: Vec<Span<'static>>) -> Line<'static> {
    let theme = &model.theme;
    let (name_width, widths, gap) = count_columns(width);
    let mut spans = vec![Span::raw("   "), Span::styled(cell::name(name, name_width), style_of(model, name))];
    for (operation, width) in Operation::ALL.into_iter().zip(widths) {
        let number = numbers.tasks.of(operation);
        let style = if number == 0 || model.plan_list.hidden.contains(&operation) {
            theme.muted()
        } else {
            theme.state(operation.state())
        };
        spans.push(Span::styled(cell::right(&format::count(number), width), style));
    }
    let [.., for_drifted, for_in_sync] = widths;
    let style = if numbers.drifted == 0 || model.plan_list.drift_hidden {
        theme.muted()
    } else {
        theme.state(SecretState::Drifted)
    };
    spans.push(Span::styled(cell::right(&format::count(numbers.drifted), for_drifted), style));
    spans.push(Span::styled(cell::right(&format::count(numbers.in_sync), for_in_sync), theme.good()));
    spans.push(Span::raw(" ".repeat(gap)));
    spans.extend(verdict);
    Line::from(spans)
}
