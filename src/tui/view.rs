//! Draws the model. Changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::format;
use super::keymap::{Action, Place};
use super::model::{Ask, Dialog, Model, Notice, SMALLEST, obstacles, purpose_title};
use super::prompt::Prompt;
use super::screen::{Screen, failures};
use super::theme::Theme;
use super::widget::confirm::{Question, confirm};
use super::widget::{cell, chart, help, panel};
use crate::engine::{Operation, Phase, Plan};

/// Draws everything.
pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, model.theme.base());
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        too_small(model, area, buffer);
    } else {
        let [top, body, bottom] = model.layout().map(|part| part.intersection(area));
        header(model, top, buffer);
        model.screen.view(model, body, buffer);
        footer(model, bottom, buffer);
        if let Some(first) = model.help {
            help::help(&model.theme, &help_lines(model), first, body, buffer);
        }
        if let Some(dialog) = &model.dialog {
            confirm(&model.theme, &question(model, dialog, area), area, buffer);
        }
    }
    if model.ascii {
        to_ascii(area, buffer);
    }
}

fn too_small(model: &Model, area: Rect, buffer: &mut Buffer) {
    let needed = format!("{}×{}", SMALLEST.width, SMALLEST.height);
    let mut text = [format!("vsync needs {needed}"), format!("this is {}×{}", area.width, area.height)];
    if text.iter().any(|line| line.width() > usize::from(area.width)) {
        text = ["needs".to_owned(), needed];
    }
    let middle = Rect { y: area.height.saturating_sub(2) / 2, height: area.height.min(2), ..area };
    panel::lines(text.map(|text| Line::styled(text, model.theme.warning()).centered()), middle, buffer);
}

fn header(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut left = vec![Span::styled(" vsync ", theme.active()), Span::raw(" ")];
    if let Some(title) = &model.title {
        left.push(Span::styled(format!("{} ", cell::left(title, title.len().min(24)).trim_end()), theme.strong()));
    }
    if model.read_only {
        left.push(Span::styled("read-only ", theme.warning()));
    }
    let right = Line::from(status(model));
    let room = usize::from(area.width).saturating_sub(right.width());
    let origin = model.sides.first().map_or("", |side| side.address.as_str());
    let targets = format!(" to {}", format::plural(model.destinations.len() as u64, "destination"));
    let used = left.iter().map(Span::width).sum::<usize>();
    let address = cell::left(origin, room.saturating_sub(used)).trim_end().to_owned();
    let whole = used + address.width() + targets.width() <= room;
    left.push(Span::styled(address, theme.text()));
    if whole {
        left.push(Span::styled(targets, theme.muted()));
    }
    let [first, second] = [Rect { height: 1, ..area }, Rect { y: area.y + 1, height: 1, ..area }];
    Line::from(left).render(first, buffer);
    right.alignment(Alignment::Right).render(first, buffer);
    let room = usize::from(area.width);
    let tabs = [(true, true), (false, true), (false, false)].map(|(counts, titles)| tabs(model, counts, titles));
    let [.., fallback] = &tabs;
    let tabs = tabs.iter().find(|spans| width_of(spans) <= room).unwrap_or(fallback);
    Line::from(tabs.clone()).render(second, buffer);
    let listing = Line::from(listing(model)).alignment(Alignment::Right);
    if width_of(tabs) + listing.width() < room {
        listing.render(second, buffer);
    }
}

/// The running cycle, wherever one is.
fn status(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(snapshot) = model.cycle.snapshot.as_ref().filter(|_| model.cycle.running) else {
        return match &model.held {
            _ if model.cycle.running => vec![Span::styled(" cycle starting ", theme.accent())],
            Some(held) => {
                let tasks = format::plural(held.plan.counts().total(), "task");
                let key = failures::retry_key(model, &held.asked);
                vec![Span::styled(format!("  retry planned: {tasks}; {key} on Failures (5) "), theme.warning())]
            }
            None => Vec::new(),
        };
    };
    let (ended, planned, failed) = (snapshot.ended(), snapshot.planned(), snapshot.failed());
    let word = match snapshot.phase {
        Phase::Running if model.cycle.cancelling => "cancelling",
        Phase::Running if snapshot.dry_run => "dry run",
        Phase::Running => "cycle",
        Phase::Paused => "paused",
        Phase::Stopping => "stopping",
        Phase::Ended => "saving",
    };
    let mut spans = vec![Span::styled(format!("  {word} "), theme.title())];
    spans.extend(chart::bar(&[(ended, theme.accent())], planned, 8, theme.border()));
    spans.push(Span::styled(format!(" {} ", format::percent(ended, planned)), theme.strong()));
    spans.push(Span::styled(format!("{} ", format::rate(snapshot.rate)), theme.muted()));
    if failed > 0 {
        spans.push(Span::styled(format!("! {} ", format::count(failed)), theme.bad()));
    }
    spans
}

fn width_of(spans: &[Span]) -> usize {
    spans.iter().map(Span::width).sum()
}

/// The screens; where there is little room without numbers, or only the present one by its name.
fn tabs(model: &Model, counts: bool, titles: bool) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let mut spans = vec![Span::raw(if counts { " " } else { "" })];
    for (number, screen) in (1..).zip(Screen::ALL) {
        let count = match screen {
            Screen::Plan => model.plan.as_ref().map_or(0, |plan| plan.counts().total()),
            Screen::Failures => model.failures.len() as u64,
            _ => 0,
        };
        let count_style = if screen == Screen::Failures { theme.bad() } else { theme.muted() };
        if screen == model.screen {
            spans.push(Span::styled(format!(" {number} {} ", screen.title()), theme.active()));
        } else {
            spans.push(Span::styled(format!(" {number} "), theme.accent()));
            if titles {
                spans.push(Span::styled(format!("{}{}", screen.title(), if counts { " " } else { "" }), theme.text()));
            }
        }
        if count > 0 && counts {
            spans.push(Span::styled(format!("{} ", format::short(count)), count_style));
        }
    }
    spans
}

fn listing(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    match (model.listing, &model.plan) {
        (Some(found), _) => vec![Span::styled(format!("listing… {} ", format::count(found)), theme.accent())],
        (None, Some(plan)) => vec![Span::styled(format!("as of {} ", format::clock(plan.created)), theme.muted())],
        (None, None) => Vec::new(),
    }
}

fn footer(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    if let Some(prompt) = &model.prompt {
        prompt_line(theme, prompt, area, buffer);
        return;
    }
    if let Some(notice) = &model.notice {
        tell(theme, notice, area, buffer);
        return;
    }
    let mut spans = Vec::new();
    let mut room = usize::from(area.width);
    let closing = model.dialog.as_ref().is_some_and(|dialog| !dialog.can_agree());
    for bound in model.keymap.bindings(model.place(), model.read_only) {
        let binding = bound.binding;
        let Some(key) = bound.keys.first().filter(|_| !binding.hint.is_empty()) else { continue };
        if !model.dialog.as_ref().is_none_or(|dialog| dialog.armed) {
            break;
        }
        if closing && matches!(binding.action, Action::Yes | Action::OtherButton) {
            continue;
        }
        let key = format!(" {}", key.label());
        let parts = [Span::styled(key, theme.accent()), Span::styled(format!(" {} ", binding.hint), theme.muted())];
        let width = parts.iter().map(Span::width).sum::<usize>();
        // Help is always named: it is where all the others are.
        let reserve = if binding.hint == "help" || model.place() == Place::Help { 0 } else { 7 };
        if width + reserve > room {
            continue;
        }
        room -= width;
        spans.extend(parts);
    }
    Line::from(spans).render(area, buffer);
}

/// What is being typed, with its cursor, and why it was not taken.
fn prompt_line(theme: &Theme, prompt: &Prompt, area: Rect, buffer: &mut Buffer) {
    let text = crate::text::sanitize(prompt.input.value()).into_owned();
    let mut spans = vec![
        Span::styled(format!(" {}", prompt.ask.label()), theme.title()),
        Span::styled(text, theme.strong()),
        Span::styled(" ", theme.active()),
    ];
    if let Some(error) = &prompt.error {
        spans.push(Span::styled(format!("  {error}"), theme.bad()));
    }
    Line::from(spans).render(area, buffer);
}

/// A notice that is too long for the footer grows over what is above it: it may be all that says what went wrong.
fn tell(theme: &Theme, notice: &Notice, footer: Rect, buffer: &mut Buffer) {
    let style = if notice.bad { theme.bad() } else { theme.accent() };
    let lines = cell::wrap(&notice.text, usize::from(footer.width.saturating_sub(2)));
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(footer.y);
    let area = Rect { y: footer.bottom().saturating_sub(height), height, ..footer };
    Clear.render(area, buffer);
    buffer.set_style(area, theme.base());
    panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), style)), area, buffer);
}

fn help_lines(model: &Model) -> Vec<Line<'static>> {
    let width = usize::from(model.size.width.saturating_sub(4));
    help::lines(&model.theme, &model.keymap, model.screen, model.read_only, width)
}

/// By how many lines help is longer than what shows of it.
pub(super) fn help_overflow(model: &Model) -> usize {
    help_lines(model).len().saturating_sub(usize::from(model.body().height.saturating_sub(2)))
}

fn question(model: &Model, dialog: &Dialog, area: Rect) -> Question<'static> {
    let theme = &model.theme;
    let room = usize::from(area.width.min(92)).saturating_sub(10);
    let text = |text: &str| -> Vec<Line<'static>> {
        cell::wrap(text, room).into_iter().map(|line| Line::styled(line, theme.text())).collect()
    };
    let (title, lines, yes, no) = match &dialog.ask {
        Ask::Start(selected) if dialog.can_agree() => {
            let consequence = text(consequence(&selected.plan));
            let rows = usize::from(area.height).saturating_sub(consequence.len() + 9);
            let mut lines = tasks(model, &selected.plan, rows);
            lines.push(Line::default());
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
    Question { title: title.to_owned(), lines, yes, no, chosen: dialog.chosen }
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

/// Whether the locale cannot show more than ASCII. Says so only if the locale does: containers often have none, and
/// their terminals are fine.
pub(super) fn needs_ascii(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| variable(name).filter(|v| !v.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        !locale.contains("utf-8") && !locale.contains("utf8")
    })
}

/// Replaces what an ASCII terminal cannot show.
fn to_ascii(area: Rect, buffer: &mut Buffer) {
    for position in area.positions() {
        let Some(cell) = buffer.cell_mut(position) else { continue };
        if cell.symbol().is_ascii() {
            continue;
        }
        let symbol = match cell.symbol() {
            "╭" | "╮" | "╰" | "╯" => "+",
            "─" | "–" => "-",
            "━" | "▃" | "▄" | "▅" => "=",
            "▆" | "▇" | "█" => "#",
            "▁" | "▂" => "_",
            "│" => "|",
            "∅" => "o",
            // A full stop before a slash would read as this folder.
            "…" => "~",
            "·" => ".",
            "▸" | "→" => ">",
            "▾" | "↓" => "v",
            "↑" => "^",
            "←" => "<",
            "●" | "×" => "x",
            "◐" => "/",
            _ => "?",
        };
        cell.set_symbol(symbol);
    }
}

#[cfg(test)]
mod tests {
    use super::needs_ascii;

    #[test]
    fn only_a_locale_that_says_so_is_ascii() {
        let with = |value: Option<&str>| needs_ascii(|name| value.filter(|_| name == "LANG").map(str::to_owned));
        assert!(!with(None));
        assert!(!with(Some("de_DE.UTF-8")));
        assert!(!with(Some("C.utf8")));
        assert!(with(Some("C")));
        assert!(with(Some("de_DE.ISO-8859-1")));
    }
}
