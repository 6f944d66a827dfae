//! What the rules do to what the origin holds.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::draft::Draft;
use super::rules::group_style;
use crate::engine::{Example, Explained, Mark, Preview, SecretState};
use crate::kv::SecretPath;
use crate::text::{sanitize, truncate_start};
use crate::tui::format;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::Model;
use crate::tui::screen::Screen;
use crate::tui::theme::Theme;
use crate::tui::widget::{cell, panel};

/// How many examples of what is wrong are listed.
const LISTED: usize = 3;

/// By how many lines there is more than shows.
pub(super) fn overflow(model: &Model, area: Rect) -> usize {
    panel::overflow(lines(model, panel::text_width(area)).len(), area)
}

/// Draws it.
pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.transform_list;
    let lines = lines(model, panel::text_width(area));
    let more = panel::overflow(lines.len(), area);
    let mut right = Vec::new();
    if let Some(preview) = state.preview.as_ref().filter(|preview| !preview.is_complete()) {
        let share = format!(" {} of {} ", format::count(preview.examined), format::count(preview.total));
        right.push(Span::styled(share, theme.accent()));
    }
    if more > 0 {
        let key = |action| model.keymap.key(Place::Screen(Screen::Transforms), action);
        let keys = format!(" {} {} for more ", key(Action::PageUp), key(Action::PageDown));
        right.push(Span::styled(keys, theme.muted()));
    }
    let inner = panel::panel(theme, "What the rules do", right, area, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    panel::lines(lines.into_iter().skip(state.top.min(more)), inner, buffer);
}

fn lines(model: &Model, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let state = &model.transform_list;
    let Some(draft) = state.draft() else { return Vec::new() };
    let mut lines = Vec::new();
    if let Some(path) = &state.trial {
        trial(theme, draft, path, width, &mut lines);
    }
    broken(theme, draft, width, &mut lines);
    let Some(preview) = &state.preview else {
        let text = match (model.listing, &model.plan) {
            (Some(found), None) => format!("listing the origin… {} so far", format::plural(found, "secret")),
            (None, None) => "The origin was not listed yet.".to_owned(),
            _ => "looking at every secret…".to_owned(),
        };
        lines.push(Line::styled(text, theme.muted()));
        return lines;
    };
    if preview.total == 0 {
        lines.push(Line::styled("The origin holds no secret that the rules could be tried on.", theme.muted()));
        return lines;
    }
    summary(model, preview, width, &mut lines);
    troubles(theme, draft, preview, width, &mut lines);
    examples(model, draft, preview, width, &mut lines);
    moves(theme, preview, width, &mut lines);
    lines
}

fn heading(text: String, style: Style, lines: &mut Vec<Line<'static>>) {
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines.push(Line::styled(text, style));
}

/// The rules that are passed over because they do not work.
fn broken(theme: &Theme, draft: &Draft, width: usize, lines: &mut Vec<Line<'static>>) {
    for (at, row) in draft.rows().iter().enumerate() {
        for problem in &row.problems {
            let text = format!("! rule {} is passed over: {}", at + 1, problem.reason);
            lines.extend(cell::wrap(&text, width).into_iter().map(|line| Line::styled(line, theme.bad())));
        }
    }
}

/// The numbers, those that are wrong in colour.
fn summary(model: &Model, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let part = |count: u64, text: &str, style: Style| {
        vec![Span::styled(format::count(count), style), Span::styled(format!(" {text}"), theme.muted())]
    };
    let or = |count: u64, style: Style| if count > 0 { style } else { theme.muted() };
    let mut parts =
        vec![part(preview.matched(), "matched", theme.strong()), part(preview.unmatched, "unmatched", theme.text())];
    if preview.excluded > 0 {
        parts.push(part(preview.excluded, "excluded", theme.muted()));
    }
    parts.push(part(
        preview.collisions,
        if preview.collisions == 1 { "collision" } else { "collisions" },
        or(preview.collisions, theme.bad()),
    ));
    if preview.unroutable > 0 {
        parts.push(part(preview.unroutable, "outside of the mounts", theme.bad()));
    }
    if preview.feedback > 0 {
        parts.push(part(preview.feedback, "feed themselves", theme.bad()));
    }
    parts.push(part(preview.moved, "would move", or(preview.moved, theme.warning())));
    let mut line: Vec<Span<'static>> = Vec::new();
    for part in parts {
        let needed: usize = part.iter().map(Span::width).sum::<usize>() + 3;
        let used: usize = line.iter().map(Span::width).sum();
        if used > 0 && used + needed > width {
            lines.push(Line::from(std::mem::take(&mut line)));
        } else if used > 0 {
            line.push(Span::styled(" · ", theme.border()));
        }
        line.extend(part);
    }
    lines.push(Line::from(line));
}

/// Before and after, for the rule under the cursor.
fn examples(model: &Model, draft: &Draft, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let Some(at) = draft.cursor() else {
        if !preview.staying.is_empty() {
            heading("They keep their path, for example".to_owned(), theme.title(), lines);
            for path in &preview.staying {
                let text = truncate_start(&sanitize(path.data_path()), width).into_owned();
                lines.push(Line::styled(text, theme.text()));
            }
        }
        return;
    };
    let Some(effect) = preview.rules.get(at) else { return };
    let works = draft.rows().get(at).is_some_and(|row| row.problems.is_empty());
    if !works {
        return;
    }
    if effect.examples.is_empty() {
        if preview.is_complete() && model.transform_list.is_present {
            let text = if effect.shadowed > 0 {
                "Earlier rules decide about all that this rule matches."
            } else {
                "This rule matches no secret of the origin."
            };
            heading(text.to_owned(), theme.warning(), lines);
        }
    } else {
        heading(format!("Rule {}, for example", at + 1), theme.title(), lines);
        for example in &effect.examples {
            before_after(theme, example, width, lines);
        }
    }
    if effect.shadowed > 0 {
        let text = format!("{} more it would match, but an earlier rule decides", format::count(effect.shadowed));
        heading(text, theme.warning(), lines);
        for example in &effect.in_shadow {
            let decides = example.rule.map_or_else(String::new, |rule| format!("rule {}  ", rule + 1));
            let path = truncate_start(&sanitize(example.origin.data_path()), width.saturating_sub(decides.width()))
                .into_owned();
            lines.push(Line::from(vec![Span::styled(decides, theme.accent()), Span::styled(path, theme.text())]));
        }
    }
}

/// What a plan by these rules would be refused for.
fn troubles(theme: &Theme, draft: &Draft, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    let bad = theme.bad();
    let collision = SecretState::Failed.symbol();
    if preview.collisions > 0 {
        let paths = format::plural(preview.collisions, "path");
        heading(format!("{collision} {paths} that several secrets would go to"), bad, lines);
        for one in preview.colliding.iter().take(LISTED) {
            let target = truncate_start(&sanitize(&one.destination), width).into_owned();
            lines.push(Line::styled(target, theme.strong()));
            for origin in &one.origins {
                arrow(theme, "←", origin.data_path(), width, lines);
            }
            let more = one.count.saturating_sub(one.origins.len() as u64);
            if more > 0 {
                lines.push(Line::styled(format!("  ← and {}", format::plural(more, "secret")), theme.muted()));
            }
        }
    }
    if preview.unroutable > 0 {
        let mounts = draft.mounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let secrets = format::plural(preview.unroutable, "secret");
        let text = format!("{collision} {secrets} would leave this destination's mounts ({mounts})");
        wrapped_heading(&text, bad, width, lines);
        listed(theme, &preview.astray, width, lines);
    }
    if preview.feedback > 0 {
        let secrets = format::plural(preview.feedback, "secret");
        let text = format!(
            "{collision} {secrets} feed themselves: this destination is the origin's own Vault, and the next cycle would read the copy as a secret again"
        );
        wrapped_heading(&text, bad, width, lines);
        listed(theme, &preview.feeding, width, lines);
    }
}

fn wrapped_heading(text: &str, style: Style, width: usize, lines: &mut Vec<Line<'static>>) {
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines.extend(cell::wrap(text, width).into_iter().map(|line| Line::styled(line, style)));
}

fn listed(theme: &Theme, examples: &[Example], width: usize, lines: &mut Vec<Line<'static>>) {
    for example in examples.iter().take(LISTED) {
        before_after(theme, example, width, lines);
    }
}

/// What changes against the rules in force.
fn moves(theme: &Theme, preview: &Preview, width: usize, lines: &mut Vec<Line<'static>>) {
    if preview.moved == 0 {
        return;
    }
    let text = format!(
        "{} would go elsewhere than by the rules in force; copies at the old places stay there",
        format::plural(preview.moved, "secret")
    );
    wrapped_heading(&text, theme.warning(), width, lines);
    for one in preview.moves.iter().take(LISTED) {
        let before = truncate_start(&sanitize(&one.before), width).into_owned();
        lines.push(Line::styled(before, theme.muted()));
        arrow(theme, "→", &one.after, width, lines);
    }
}

fn arrow(theme: &Theme, arrow: &str, path: &str, width: usize, lines: &mut Vec<Line<'static>>) {
    let path = truncate_start(&sanitize(path), width.saturating_sub(4)).into_owned();
    lines.push(Line::from(vec![Span::styled(format!("  {arrow} "), theme.accent()), Span::styled(path, theme.text())]));
}

/// A path before and after its rule, the groups coloured; in one line if there is room.
fn before_after(theme: &Theme, example: &Example, width: usize, lines: &mut Vec<Line<'static>>) {
    let path = example.origin.data_path();
    let Some(Explained { taken, after, put, .. }) = &example.explained else {
        lines.push(Line::styled(truncate_start(&sanitize(path), width).into_owned(), theme.text()));
        return;
    };
    let whole = path.width() + after.width() + 4;
    let room = if whole <= width { usize::MAX } else { width };
    let mut before = marked(theme, path, taken, room);
    let mut target = marked(theme, after, put, room.saturating_sub(4));
    if whole <= width {
        before.push(Span::styled(" → ", theme.accent()));
        before.append(&mut target);
        lines.push(Line::from(before));
    } else {
        lines.push(Line::from(before));
        let mut second = vec![Span::styled("  → ", theme.accent())];
        second.append(&mut target);
        lines.push(Line::from(second));
    }
}

/// A path with its groups coloured, its beginning left out if it is too long.
fn marked(theme: &Theme, path: &str, marks: &[Mark], width: usize) -> Vec<Span<'static>> {
    let mut start = 0;
    if path.width() > width {
        let mut room = path.width() + 1;
        for (at, c) in path.char_indices() {
            if room <= width {
                break;
            }
            room -= unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            start = at + c.len_utf8();
        }
    }
    let mut spans = Vec::new();
    if start > 0 {
        spans.push(Span::styled("…", theme.muted()));
    }
    let mut at = start;
    let mut marks: Vec<&Mark> = marks.iter().filter(|mark| mark.span.end > start).collect();
    marks.sort_by_key(|mark| mark.span.start);
    for mark in marks {
        let from = mark.span.start.max(at);
        if from >= mark.span.end {
            continue;
        }
        if let Some(plain) = path.get(at..from).filter(|plain| !plain.is_empty()) {
            spans.push(Span::styled(sanitize(plain).into_owned(), theme.text()));
        }
        if let Some(text) = path.get(from..mark.span.end) {
            spans.push(Span::styled(sanitize(text).into_owned(), group_style(theme, mark.group)));
        }
        at = mark.span.end;
    }
    if let Some(rest) = path.get(at..).filter(|rest| !rest.is_empty()) {
        spans.push(Span::styled(sanitize(rest).into_owned(), theme.text()));
    }
    spans
}

/// Where a path goes that was asked about by hand.
fn trial(theme: &Theme, draft: &Draft, path: &SecretPath, width: usize, lines: &mut Vec<Line<'static>>) {
    let (target, explained, words) = match draft.way(path.data_path()) {
        Some((at, explained)) => {
            let name = draft.rows().get(at).map_or("", |row| row.rule.name.as_str());
            (explained.after.clone(), Some(explained), format!("by rule {}, \"{name}\"", at + 1))
        }
        None => (path.data_path().to_owned(), None, "no rule matches: it keeps its path".to_owned()),
    };
    lines.push(Line::styled(format!("This path goes, {}", sanitize(&words)), theme.title()));
    before_after(theme, &Example { origin: path.clone(), explained, rule: None }, width, lines);
    let lands = SecretPath::parse_data(&target, &draft.mounts)
        .is_ok_and(|target| draft.mounts.iter().any(|mount| mount.as_str() == target.mount()));
    if !lands {
        let text = "! That is in none of this destination's mounts.";
        lines.push(Line::styled(text, theme.bad()));
    }
    lines.push(Line::default());
}
