//! The destinations, the rules of one of them, and the fields of a rule.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthStr;

use super::draft::{Draft, Row, RowStanding};
use super::{PARTS, State};
use crate::engine::{RulePart, SecretState};
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::theme::Theme;
use crate::tui::widget::field::{Field, Laid};
use crate::tui::widget::{cell, panel};

const COUNT: usize = 9;
const NUMBER: usize = 3;

/// The label of a field, with the space around it.
const LABEL: usize = 6;

/// The columns before a field's text.
pub(super) fn label_width() -> u16 {
    u16::try_from(LABEL).unwrap_or(0)
}

/// How a group looks wherever it turns up.
pub(super) fn group_style(theme: &Theme, group: usize) -> Style {
    let states = [SecretState::Add, SecretState::Update, SecretState::Drifted, SecretState::Unknown];
    theme.state(states[group % states.len()]).add_modifier(Modifier::UNDERLINED)
}

/// The destination at a place of their list.
pub(super) fn destination_at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let inner = panel::rows(area, 0);
    let row = usize::from(at.y.checked_sub(inner.y)?);
    let mut shown = first_destination(model, inner)..model.destinations.len();
    shown.nth(row).filter(|_| inner.contains(at))
}

/// The destination whose rules show is among those that do.
fn first_destination(model: &Model, inner: Rect) -> usize {
    (model.transform_list.at + 1).saturating_sub(usize::from(inner.height))
}

/// The destinations one below the other.
pub(super) fn destinations(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.transform_list;
    let inner = panel::panel(theme, "Destinations", Vec::new(), area, buffer);
    let first = first_destination(model, inner);
    let rows = model.destinations.iter().zip(&state.drafts).enumerate().skip(first);
    for (row, (at, (name, draft))) in inner.rows().zip(rows) {
        let count = format::plural(draft.rows().len() as u64, "rule");
        let (note, style) = note(theme, draft);
        let room = usize::from(row.width).saturating_sub(count.width() + note.width() + 5);
        let production = if model.production.contains(name) { "production " } else { "" };
        let spans = vec![
            Span::styled(if at == state.at { " ▸ " } else { "   " }, theme.accent()),
            Span::styled(cell::left(name.as_str(), room.saturating_sub(production.len())), theme.strong()),
            Span::styled(production, theme.bad()),
            Span::styled(note, style),
            Span::styled(format!(" {count} "), theme.muted()),
        ];
        Line::from(spans).render(row, buffer);
        if at == state.at {
            buffer.set_style(row, theme.selected());
        }
    }
}

/// What is to be known of a draft.
fn note(theme: &Theme, draft: &Draft) -> (&'static str, Style) {
    if draft.is_changed() {
        ("not saved ", theme.warning())
    } else if draft.session_only {
        ("this session only ", theme.warning())
    } else {
        ("", theme.muted())
    }
}

/// How many rules show.
pub(super) fn rows_in(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(if has_head(area) { 3 } else { 2 }))
}

fn has_head(area: Rect) -> bool {
    area.height >= 5
}

/// The row of the list at a place of the screen.
pub(super) fn row_at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let draft = model.transform_list.draft()?;
    let row = usize::from(at.y).checked_sub(usize::from(area.y) + 1 + usize::from(has_head(area)))?;
    let window = draft.scroll.window(draft.rows().len() + 1, rows_in(area));
    Some(window.start + row).filter(|row| window.contains(row))
}

/// The rules in order, with what each does.
pub(super) fn list(model: &Model, area: Rect, names_destination: bool, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.transform_list;
    let (Some(draft), Some(name)) = (state.draft(), model.destinations.get(state.at)) else {
        panel::panel(theme, "Rules", Vec::new(), area, buffer);
        return;
    };
    let (note, style) = note(theme, draft);
    let mut right = vec![Span::styled(if note.is_empty() { String::new() } else { format!(" {note}") }, style)];
    let title = if names_destination {
        let others = format!(" ← {} of {} → ", state.at + 1, state.drafts.len());
        if state.drafts.len() > 1 {
            right.push(Span::styled(others, theme.muted()));
        }
        let production = if model.production.contains(name) { " (production)" } else { "" };
        format!("Rules of {}{production}", cell::left(name.as_str(), name.as_str().len().min(30)).trim_end())
    } else {
        format!("Rules {}", draft.rows().len())
    };
    right.retain(|span| !span.content.is_empty());
    let inner = panel::panel(theme, &title, right, area, buffer);
    let width = usize::from(inner.width);
    let counts = if width >= 66 { 2 } else { 1 };
    let wanted = draft.rows().iter().map(|row| row.rule.name.width()).max().unwrap_or(0);
    let label = wanted.clamp(16, (width / 3).max(16));
    let used = NUMBER + 2 + label + (COUNT + 1) * counts + 2;
    let rest = width.saturating_sub(used);
    let mut rows = inner.rows();
    if has_head(area)
        && let Some(row) = rows.next()
    {
        let shadowed = if counts > 1 { format!(" {}", cell::right("shadowed", COUNT)) } else { String::new() };
        let head = format!(
            "{}  {} {}{shadowed}  {}",
            cell::right("#", NUMBER),
            cell::left("rule", label),
            cell::right("decides", COUNT),
            cell::left("from", rest)
        );
        Line::styled(head, theme.muted()).render(row, buffer);
    }
    let window = draft.scroll.window(draft.rows().len() + 1, rows_in(area));
    for (at, row) in window.zip(rows) {
        let line = match draft.rows().get(at) {
            Some(rule) => rule_line(model, draft, rule, at, (label, counts, rest)),
            None => rest_line(model, label),
        };
        line.render(row, buffer);
        if at == draft.scroll.row() {
            buffer.set_style(row, theme.selected());
        }
    }
}

fn rule_line(
    model: &Model,
    draft: &Draft,
    row: &Row,
    at: usize,
    (label, counts, rest): (usize, usize, usize),
) -> Line<'static> {
    let theme = &model.theme;
    let state = &model.transform_list;
    let effect = state.preview.as_ref().and_then(|preview| preview.rules.get(at));
    let (glyph, style) = match draft.standing(row) {
        RowStanding::Same => (' ', theme.muted()),
        RowStanding::New => (SecretState::Add.symbol(), theme.state(SecretState::Add)),
        RowStanding::Changed => (SecretState::Update.symbol(), theme.state(SecretState::Update)),
        RowStanding::Broken => (SecretState::Failed.symbol(), theme.bad()),
    };
    let number = |count: Option<u64>| cell::right(&count.map_or_else(|| "·".to_owned(), format::count), COUNT);
    let decides = effect.map(|effect| effect.decides).filter(|_| row.problems.is_empty());
    let decides_style = match decides {
        Some(0) => theme.warning(),
        Some(_) => theme.strong(),
        None => theme.muted(),
    };
    let mut spans = vec![
        Span::styled(cell::right(&(at + 1).to_string(), NUMBER), theme.accent()),
        Span::styled(glyph.to_string(), style),
        Span::raw(" "),
        Span::styled(cell::left(&row.rule.name, label), theme.text()),
        Span::styled(format!(" {}", number(decides)), decides_style),
    ];
    if counts > 1 {
        let shadowed = effect.map(|effect| effect.shadowed).filter(|_| row.problems.is_empty());
        let style = if shadowed.is_some_and(|count| count > 0) { theme.warning() } else { theme.muted() };
        spans.push(Span::styled(format!(" {}", number(shadowed)), style));
    }
    spans.push(Span::raw("  "));
    spans.push(Span::styled(cell::left(&row.rule.from, rest), theme.muted()));
    Line::from(spans)
}

/// What stands for the secrets that no rule matches.
fn rest_line(model: &Model, label: usize) -> Line<'static> {
    let theme = &model.theme;
    let unmatched = model.transform_list.preview.as_ref().map(|preview| preview.unmatched);
    let count = unmatched.map_or_else(|| "·".to_owned(), format::count);
    Line::from(vec![
        Span::raw(" ".repeat(NUMBER + 2)),
        Span::styled(cell::left("everything else", label), theme.muted()),
        Span::styled(format!(" {}", cell::right(&count, COUNT)), theme.text()),
        Span::styled("  stays as it is", theme.muted()),
    ])
}

/// The field at a place of the screen.
pub(super) fn part_at(area: Rect, at: Position) -> Option<RulePart> {
    let row = usize::from(at.y).checked_sub(usize::from(area.y) + 1)?;
    if has_pointers(area) {
        // below `from` and `to` there is room to point at something
        [Some(PARTS[0]), Some(PARTS[1]), Some(PARTS[1]), Some(PARTS[2]), Some(PARTS[2])].get(row).copied().flatten()
    } else {
        PARTS.get(row).copied()
    }
}

/// The byte of a field's text at a column of the field as it is drawn now.
pub(super) fn byte_at(model: &Model, area: Rect, part: RulePart, column: usize) -> Option<usize> {
    let state = &model.transform_list;
    let draft = state.draft()?;
    let row = draft.rows().get(draft.cursor()?)?;
    Some(field(&model.theme, state, row, part, field_width(area)).byte_at(column))
}

fn field_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(3)).saturating_sub(LABEL)
}

fn has_pointers(area: Rect) -> bool {
    area.height >= 7
}

/// The fields of the rule under the cursor.
pub(super) fn editor(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let state = &model.transform_list;
    let Some(draft) = state.draft() else { return };
    let Some((at, row)) = draft.cursor().and_then(|at| Some((at, draft.rows().get(at)?))) else {
        let inner = panel::panel(theme, "Everything else", Vec::new(), area, buffer);
        let text = if draft.rows().is_empty() {
            "There is no rule: every secret keeps its path. A rule sends what it matches elsewhere; the first one that matches decides."
        } else {
            "What no rule matches keeps its path, in a mount of the same name."
        };
        let lines = cell::wrap(text, usize::from(inner.width.saturating_sub(2)));
        let lines = lines.into_iter().map(|line| Line::styled(format!(" {line}"), theme.muted()));
        panel::lines(lines, inner, buffer);
        return;
    };
    let title = format!("Rule {} of {}", at + 1, draft.rows().len());
    let inner = panel::panel(theme, &title, Vec::new(), area, buffer);
    if state.is_editing() {
        buffer.set_style(area, Style::new());
        frame_in(theme.accent(), area, buffer);
    }
    let mut lines = Vec::new();
    for part in PARTS {
        let laid = field(theme, state, row, part, field_width(area));
        let is_typed = state.edit.as_ref().is_some_and(|edit| edit.part == part);
        let label = match part {
            RulePart::Name => "name",
            RulePart::From => "from",
            RulePart::To => "to",
        };
        let label_style = if is_typed { theme.title() } else { theme.muted() };
        let mut spans = vec![Span::styled(format!(" {label:<5}"), label_style)];
        spans.extend(laid.line.spans.iter().cloned());
        lines.push(Line::from(spans));
        if has_pointers(area) && part != RulePart::Name {
            lines.push(pointer(theme, row, part, &laid, field_width(area)));
        }
    }
    panel::lines(lines, inner, buffer);
}

/// Draws the frame of an area in another colour.
fn frame_in(style: Style, area: Rect, buffer: &mut Buffer) {
    for y in [area.y, area.bottom().saturating_sub(1)] {
        buffer.set_style(Rect { y, height: 1.min(area.height), ..area }, style);
    }
    for x in [area.x, area.right().saturating_sub(1)] {
        buffer.set_style(Rect { x, width: 1.min(area.width), ..area }, style);
    }
}

/// A field with its groups coloured as in the examples.
fn field(theme: &Theme, state: &State, row: &Row, part: RulePart, width: usize) -> Laid {
    let text = row.text(part);
    let problem = row.problem(part);
    let mut marks: Vec<(Range<usize>, Style)> = Vec::new();
    let names = group_names(&row.rule.from);
    match part {
        RulePart::Name => {}
        RulePart::From => {
            marks.extend(names.iter().enumerate().map(|(at, (span, _))| (span.clone(), group_style(theme, at))));
        }
        RulePart::To => marks.extend(uses(text, &names).map(|(span, at)| (span, group_style(theme, at)))),
    }
    if let Some(problem) = problem {
        marks.push((problem.span.clone(), theme.bad()));
    }
    let edit = state.edit.as_ref().filter(|edit| edit.part == part);
    let cursor = edit.map(|edit| {
        let chars = edit.input.value().char_indices().map(|(byte, _)| byte);
        chars.chain([edit.input.value().len()]).nth(edit.input.cursor()).unwrap_or(0)
    });
    Field {
        text,
        cursor,
        show: problem.map(|problem| problem.span.start),
        style: if part == RulePart::Name { theme.strong() } else { theme.text() },
        cursor_style: theme.active(),
        marks,
    }
    .lay(width)
}

/// The line below a field: where it is wrong, and why.
fn pointer(theme: &Theme, row: &Row, part: RulePart, laid: &Laid, width: usize) -> Line<'static> {
    let Some(problem) = row.problem(part) else { return Line::default() };
    let columns = laid.columns(&problem.span);
    let carets = "^".repeat(columns.len());
    let right = width.saturating_sub(columns.end + 1);
    let reason = &problem.reason;
    let text = if reason.width() > right && reason.width() < columns.start {
        format!("{}{reason} {carets}", " ".repeat(columns.start - reason.width() - 1))
    } else {
        format!("{}{carets} {}", " ".repeat(columns.start), cell::left(reason, right.min(reason.width())))
    };
    Line::styled(format!("{}{text}", " ".repeat(LABEL)), theme.bad())
}

/// The names of the groups in an expression, where they stand. Of one that is being typed, so it need not be whole.
fn group_names(from: &str) -> Vec<(Range<usize>, &str)> {
    let mut names = Vec::new();
    let mut escaped = false;
    for (at, c) in from.char_indices() {
        if !escaped && c == '(' {
            let rest = &from[at + 1..];
            if let Some(opening) = ["?P<", "?<"].into_iter().find(|opening| rest.starts_with(opening)) {
                let start = at + 1 + opening.len();
                if let Some(length) = from[start..].find('>') {
                    names.push((start..start + length, &from[start..start + length]));
                }
            }
        }
        escaped = c == '\\' && !escaped;
    }
    names
}

/// Where a `to` uses groups, and which.
fn uses<'a>(to: &'a str, names: &'a [(Range<usize>, &'a str)]) -> impl Iterator<Item = (Range<usize>, usize)> {
    let number = |name: &str| names.iter().position(|(_, known)| *known == name);
    let mut found = Vec::new();
    if to.contains("${") {
        for (start, _) in to.match_indices("${") {
            if let Some(length) = to[start..].find('}')
                && let Some(at) = number(&to[start + 2..start + length])
            {
                found.push((start..start + length + 1, at));
            }
        }
    } else {
        let mut start = 0;
        for segment in to.split('/') {
            if let Some(at) = number(segment).filter(|_| !segment.is_empty()) {
                found.push((start..start + segment.len(), at));
            }
            start += segment.len() + 1;
        }
    }
    found.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_while_they_are_typed() {
        let from = r"\(?P<no>(?P<env>a|(b)/(?<app>x)(?P<half";
        let names: Vec<&str> = group_names(from).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["env", "app"]);
        let names = group_names(from);
        assert_eq!(uses("x/${app}/${env}/${no}", &names).map(|(_, at)| at).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(uses("x/env/app", &names).collect::<Vec<_>>(), [(2..5, 0), (6..9, 1)]);
    }
}
