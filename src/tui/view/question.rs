//! The question that stands before everything else, in words.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::engine::{DestinationName, Operation, Plan};
use crate::tui::format;
use crate::tui::model::{Ask, Dialog, Model, obstacles, purpose_title};
use crate::tui::widget::confirm::Question;
use crate::tui::widget::{badge, cell};

/// What is asked, for a screen of this size.
pub(in crate::tui) fn question(model: &Model, dialog: &Dialog, area: Rect) -> Question<'static> {
    let theme = &model.theme;
    let room = usize::from(area.width.min(92)).saturating_sub(10);
    let text = |text: &str| -> Vec<Line<'static>> {
        cell::wrap(text, room).into_iter().map(|line| Line::styled(line, theme.text())).collect()
    };
    let (title, lines, yes, no) = match &dialog.ask {
        Ask::Start(selected) if dialog.can_agree() => {
            let consequence = text(consequence(&selected.plan));
            let warning = production(model, &selected.plan, room);
            let rows = usize::from(area.height).saturating_sub(consequence.len() + warning.len() + 9);
            let mut lines = tasks(model, &selected.plan, rows);
            lines.push(Line::default());
            lines.extend(warning);
            lines.extend(consequence);
            (purpose_title(selected.asked.purpose), lines, Some("Yes, start"), "No")
        }
        Ask::Start(selected) => {
            let mut lines = vec![Line::styled("Execution is disabled, nothing has been written:", theme.bad())];
            for (destination, obstacle) in obstacles(&selected.plan) {
                lines.push(Line::default());
                lines.extend(text(&format!("{destination}: {obstacle}")));
            }
            (purpose_title(selected.asked.purpose), lines, None, "Close")
        }
        Ask::Cancel => {
            let lines = text(
                "Workers finish what they hold, and it is recorded. What is not begun stays pending; the next cycle finds it again.",
            );
            ("Cancel the running cycle?", lines, Some("Yes, cancel it"), "No, go on")
        }
        Ask::Quit => {
            let lines = text(
                "A cycle is running. It is cancelled first: workers finish what they hold, and it is recorded; then the console ends.",
            );
            ("Quit?", lines, Some("Yes, cancel and quit"), "No, stay")
        }
    };
    let danger = match &dialog.ask {
        Ask::Start(selected) => touched(model, &selected.plan).next().is_some(),
        Ask::Cancel | Ask::Quit => false,
    };
    Question { title: title.to_owned(), lines, yes, no, chosen: dialog.chosen, danger }
}

/// Destinations marked as production at which a plan would do something.
fn touched<'a>(model: &'a Model, plan: &'a Plan) -> impl Iterator<Item = &'a str> {
    let parts = plan.destinations.iter().filter(|part| !part.tasks.is_empty());
    parts.map(|part| &part.destination).filter(|name| model.production.contains(name)).map(DestinationName::as_str)
}

/// Says which destinations are production.
fn production(model: &Model, plan: &Plan, room: usize) -> Vec<Line<'static>> {
    let names: Vec<_> = touched(model, plan).collect();
    let badge = badge::production(&model.theme);
    let words = match names.len() {
        0 => return Vec::new(),
        1 => format!("{} is production.", names[0]),
        _ => format!("{} are production.", names.join(", ")),
    };
    let mut badge = Some(badge);
    let lines = cell::wrap(&words, room.saturating_sub(8)).into_iter().map(|line| {
        let badge = badge.take().unwrap_or_else(|| Span::raw("      "));
        Line::from(vec![badge, Span::raw("  "), Span::styled(line, model.theme.strong())])
    });
    lines.chain([Line::default()]).collect()
}

/// What would be done, destination by destination, in so many rows; the sum is always among them.
fn tasks(model: &Model, plan: &Plan, rows: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let parts = || plan.destinations.iter().filter(|part| !part.tasks.is_empty());
    let name = parts().map(|part| part.destination.as_str().len()).max().unwrap_or(0).clamp(5, 24);
    let row = |title: &str, counts: crate::engine::OperationCounts| {
        let mut spans = vec![Span::styled(cell::left(title, name), theme.strong())];
        for operation in Operation::ALL {
            let number = counts.of(operation);
            let state = operation.state();
            let style = if number == 0 { theme.muted() } else { theme.state(state) };
            let text =
                format!("  {} {} {}", state.symbol(), cell::right(&format::count(number), 7), operation.as_str());
            spans.push(Span::styled(text, style));
        }
        Line::from(spans)
    };
    let mut lines: Vec<_> = parts().map(|part| row(part.destination.as_str(), part.counts())).collect();
    if lines.len() > 1 {
        let most = rows.saturating_sub(1);
        if lines.len() > most {
            let more = lines.len() - most.saturating_sub(1);
            lines.truncate(most.saturating_sub(1));
            lines.push(Line::styled(format!("… and {}", format::plural(more as u64, "destination")), theme.muted()));
        }
        lines.push(row("all", plan.counts()));
    }
    lines
}

fn consequence(plan: &Plan) -> &'static str {
    if plan.counts().delete > 0 {
        "Secrets are written, and deleted ones are soft-deleted at their destinations. Start?"
    } else {
        "Secrets are written at their destinations. Start?"
    }
}
