//! The question that stands before everything else, in words.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::engine::{Decision, DestinationName, DestinationPlan, Operation, OperationCounts, Plan};
use crate::tui::effect::Keep;
use crate::tui::format;
use crate::tui::message::{Purpose, Selected};
use crate::tui::model::{Ask, Dialog, Model, obstacles, purpose_title};
use crate::tui::screen::{Screen, browse, cycle, history, plan, transforms};
use crate::tui::theme::Theme;
use crate::tui::watch;
use crate::tui::widget::confirm::Question;
use crate::tui::widget::{badge, cell};

/// The most columns of a destination's name: beside it the counts fit on a terminal of 80.
const NAME: usize = 20;

/// What is asked, for a screen of this size.
pub(in crate::tui) fn question(model: &Model, dialog: &Dialog, area: Rect) -> Question<'static> {
    let theme = &model.theme;
    let room = usize::from(area.width.min(92)).saturating_sub(10);
    let text = |text: &str| -> Vec<Line<'static>> {
        cell::wrap(text, room).into_iter().map(|line| Line::styled(line, theme.text())).collect()
    };
    let (title, lines, yes, no) = match &dialog.ask {
        Ask::Start(selected) if dialog.can_agree() => {
            let consequence = consequences(model, selected, dialog, room);
            let warning = production(model, &selected.plan, room);
            let rows = usize::from(area.height).saturating_sub(consequence.len() + warning.len() + 9);
            let mut lines = match selected.asked.purpose {
                Purpose::Decide(Decision::Keep) => kept(model, &selected.plan),
                _ => tasks(model, &selected.plan, rows),
            };
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
        Ask::Browse(asked) => {
            let (title, words, yes) = browse::question(model, asked);
            (title, words.iter().flat_map(|words| text(words)).collect(), Some(yes), "No")
        }
        Ask::Cancel => {
            let mut lines = text(
                "Workers finish what they hold, and it is recorded; a server that hangs is waited for ten seconds. What is not begun stays pending; the next cycle finds it again.",
            );
            if model.watch.on {
                lines.push(Line::default());
                lines.extend(text(
                    "Watch mode stays on and begins the next cycle by itself: to have nothing more written, stop it first.",
                ));
            }
            ("Cancel the running cycle?", lines, Some("Yes, cancel it"), "No, go on")
        }
        Ask::Skip(name) => ("Skip a destination?", text(&cycle::skipping(model, name)), Some("Yes, skip it"), "No"),
        Ask::Watch { .. } => {
            let mut lines = Vec::new();
            for paragraph in watch::promise(model) {
                if !lines.is_empty() {
                    lines.push(Line::default());
                }
                lines.extend(text(&paragraph));
            }
            if let Some(number) = dialog.must_type() {
                lines.push(Line::default());
                lines.push(typed(theme, dialog, number));
            }
            ("Start watch mode?", lines, Some("Yes, watch"), "No")
        }
        Ask::Unwatch => {
            let lines = text(
                "From then on nothing is written without being asked for. A cycle that it has begun goes on to its end.",
            );
            ("Stop watch mode?", lines, Some("Yes, stop it"), "No, go on")
        }
        Ask::DiscardDraft => {
            let said = "The draft of this destination is replaced by the rules in force; undo brings it back.";
            ("Discard the draft?", text(said), Some("Yes, discard it"), "No, keep it")
        }
        Ask::SaveRules(saving) => {
            let rows = usize::from(area.height).saturating_sub(8);
            let (title, lines, yes) = transforms::question(model, saving, room, rows);
            (title, lines, Some(yes), "No")
        }
        Ask::Quit => {
            let mut said = String::new();
            if model.watch.on {
                said += "Watch mode is on and ends with the console: nothing is copied by itself any more. ";
            }
            if model.cycle.running {
                said += "A cycle is running. It is cancelled first: workers finish what they hold, and it is recorded; then the console ends.";
            }
            let drafted = transforms::drafted(model);
            if !drafted.is_empty() {
                let names = drafted.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                said = format!("{said} Rules of {names} were edited and not saved; quitting throws the edits away.");
            }
            let yes = if model.cycle.running { "Yes, cancel and quit" } else { "Yes, quit" };
            ("Quit?", text(said.trim()), Some(yes), "No, stay")
        }
    };
    let danger = match &dialog.ask {
        Ask::Start(selected) => touched(model, &selected.plan).next().is_some(),
        Ask::Watch { .. } => model.destinations.iter().any(|name| model.production.contains(name)),
        Ask::SaveRules(saving) => model.production.contains(&saving.destination),
        Ask::Cancel | Ask::Skip(_) | Ask::Unwatch | Ask::Quit | Ask::Browse(_) | Ask::DiscardDraft => false,
    };
    let typed = dialog.must_type().is_some();
    let yes = yes.filter(|_| !typed);
    Question { title: title.to_owned(), lines, yes, no, chosen: dialog.chosen, danger, typed }
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

/// How many secrets are decided about, where nothing is written.
fn kept(model: &Model, plan: &Plan) -> Vec<Line<'static>> {
    let parts = plan.destinations.iter().filter(|part| !part.tasks.is_empty());
    let line = |part: &DestinationPlan| {
        let count = format::plural(part.tasks.len() as u64, "secret");
        let name = Span::styled(part.destination.as_str().to_owned(), model.name_style(&part.destination));
        Line::from(vec![name, Span::styled(format!("  {count}"), model.theme.text())])
    };
    parts.map(line).collect()
}

/// What would be done, destination by destination, in so many rows; the sum is always among them.
fn tasks(model: &Model, plan: &Plan, rows: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let parts = || plan.destinations.iter().filter(|part| !part.tasks.is_empty());
    let name = parts().map(|part| cell::width(part.destination.as_str())).max().unwrap_or(0).clamp(5, NAME);
    let row = |title: &str, style: Style, counts: OperationCounts| {
        let mut spans = vec![Span::styled(cell::name(title, name), style)];
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
    let of_part =
        |part: &DestinationPlan| row(part.destination.as_str(), model.name_style(&part.destination), part.counts());
    let mut lines: Vec<_> = parts().map(of_part).collect();
    if lines.len() > 1 {
        let most = rows.saturating_sub(1);
        if lines.len() > most {
            let more = lines.len() - most.saturating_sub(1);
            lines.truncate(most.saturating_sub(1));
            lines.push(Line::styled(format!("… and {}", format::plural(more as u64, "destination")), theme.muted()));
        }
        lines.push(row("all", theme.strong(), plan.counts()));
    }
    lines
}

/// What a yes leads to; last what has to be typed for it.
fn consequences(model: &Model, selected: &Selected, dialog: &Dialog, room: usize) -> Vec<Line<'static>> {
    let wrapped = |text: &str| -> Vec<Line<'static>> {
        cell::wrap(text, room).into_iter().map(|line| Line::styled(line, model.theme.text())).collect()
    };
    let mut lines = wrapped(match selected.asked.purpose {
        Purpose::Exact => {
            "Exactly these lines of the saved plan are carried out: a secret that has another version by now, on either side, is not touched."
        }
        Purpose::Decide(Decision::Overwrite) => {
            "What somebody else wrote is written over by the origin's values, as new versions. It stays among the older versions there, unless max_versions is reached: then the oldest version of each falls out of its history for good."
        }
        Purpose::Decide(Decision::Keep) => {
            "What somebody else changed stays as it is, and counts as in sync until the origin has a newer version. What was there before vsync is compared: equal values are recorded as copied, different ones stay undecided. Nothing is written at the destination."
        }
        Purpose::Undo(_) => {
            "What the cycle changed is put back from the destinations' own versions: add is an older version undeleted, update an older one written again as a new version, delete what the cycle had added."
        }
        Purpose::Execute | Purpose::DryRun | Purpose::Retry => {
            let counts = selected.plan.counts();
            match (counts.add + counts.update, counts.delete) {
                (_, 0) => "Secrets are written at their destinations.",
                (0, _) => "Secrets are deleted at their destinations.",
                _ => "Secrets are written and deleted at their destinations.",
            }
        }
    });
    if let Purpose::Undo(cycle) = selected.asked.purpose {
        for warning in history::undo_warnings(model, cycle) {
            let warning = cell::wrap(&warning, room).into_iter();
            lines.extend(warning.map(|line| Line::styled(line, model.theme.warning())));
        }
    }
    let all = !matches!(selected.asked.keep, Keep::Marked(_)) && selected.asked.screen == Screen::Plan;
    if all && selected.asked.purpose == Purpose::Execute && plan::hides_some(model) {
        let text = cell::wrap("What is hidden from the list is among them.", room).into_iter();
        lines.extend(text.map(|line| Line::styled(line, model.theme.warning())));
    }
    if selected.asked.purpose != Purpose::DryRun {
        for part in selected.plan.destinations.iter().filter(|part| !part.new_mounts.is_empty()) {
            let names: Vec<String> = part.new_mounts.iter().map(|new| new.mount.to_string()).collect();
            lines.extend(wrapped(&format!("Created first at {}: {}", part.destination, names.join(", "))));
        }
    }
    let Some(number) = dialog.must_type() else {
        lines.extend(wrapped("Start?"));
        return lines;
    };
    if dialog.for_good().is_some_and(|counts| counts.irrevocable() > 0) {
        let words = for_good(&selected.plan);
        let text = format!("{words} FOR GOOD: no undelete and no undo brings them back, only a copy from elsewhere.");
        lines.extend(cell::wrap(&text, room).into_iter().map(|line| Line::styled(line, model.theme.bad())));
        lines.push(Line::default());
        lines.push(typed(&model.theme, dialog, number));
        return lines;
    }
    let undo = "What is deleted is soft-deleted: it can be undeleted at its destination, and \"vsync undo\" takes a whole cycle back.";
    lines.extend(wrapped(undo));
    lines.push(Line::default());
    lines.push(typed(&model.theme, dialog, number));
    lines
}

/// What cannot be taken back, and where if there are several destinations.
fn for_good(plan: &Plan) -> String {
    let parts = plan.destinations.iter();
    let of_part =
        |part: &DestinationPlan| Some((part.counts().irrevocable_in_words()?, part.destination.as_str().to_owned()));
    let places: Vec<(String, String)> = parts.filter_map(of_part).collect();
    match &places[..] {
        [(words, _)] => words.clone(),
        places => places.iter().map(|(words, name)| format!("{words} at {name}")).collect::<Vec<_>>().join(", "),
    }
}

/// The number that has to be typed, as far as it is.
fn typed(theme: &Theme, dialog: &Dialog, number: u64) -> Line<'static> {
    let verb = match dialog.for_good() {
        Some(OperationCounts { purge: 0, .. }) => "destroy",
        Some(OperationCounts { destroy: 0, .. }) => "purge",
        Some(_) => "destroy or purge",
        None => "delete",
    };
    let mut spans = vec![
        Span::styled(format!("Type {number} to {verb} {}: ", format::plural(number, "secret")), theme.bad()),
        Span::styled(dialog.typed.clone(), theme.strong()),
        Span::styled(" ", theme.active()),
    ];
    if dialog.wrong {
        let what = if dialog.typed.is_empty() { "nothing is typed yet" } else { "that is another number" };
        spans.push(Span::styled(format!("  {what}"), theme.warning()));
    }
    Line::from(spans)
}
