//! A line that is typed, above it what it can become and why it was not taken.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use super::footer::hints;
use crate::tui::model::Model;
use crate::tui::palette::{self, Candidate};
use crate::tui::prompt::{Line as Ask, Prompt};
use crate::tui::theme::Theme;
use crate::tui::widget::palette::Row;
use crate::tui::widget::{self, cell, panel, typed};

/// Draws the line in the place of the footer.
pub(super) fn prompt(model: &Model, prompt: &Prompt, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let is_command = prompt.ask == Ask::Command;
    let error = error(theme, prompt, area);
    let height = u16::try_from(error.len()).unwrap_or(u16::MAX).min(model.body().height);
    let above = Rect { y: area.y.saturating_sub(height), height, ..area };
    if is_command {
        let text = prompt.input.value();
        let candidates = palette::candidates(model, text);
        let rows: Vec<_> = candidates.iter().map(|candidate| row(theme, candidate)).collect();
        let body = model.body();
        let body = Rect { height: body.height - height, ..body };
        widget::palette::palette(theme, &rows, model.palette.chosen(text, &candidates), body, buffer);
    }
    Clear.render(above, buffer);
    buffer.set_style(above, theme.base());
    panel::lines(error, above, buffer);

    let label = if is_command { prompt.ask.label().to_owned() } else { format!("{} ", prompt.ask.label()) };
    let label = Span::styled(format!(" {label}"), theme.title());
    let hints = hints(model, usize::from(area.width) / 3).into_iter().flat_map(|hint| hint.spans);
    let hints = Line::from(hints.collect::<Vec<_>>()).alignment(Alignment::Right);
    let room = usize::from(area.width).saturating_sub(label.width() + hints.width() + 1);
    let mut spans = vec![label];
    spans.extend(typed::line(theme, &prompt.input, room));
    Line::from(spans).render(area, buffer);
    hints.render(area, buffer);
}

fn error(theme: &Theme, prompt: &Prompt, area: Rect) -> Vec<Line<'static>> {
    let Some(error) = prompt.error.as_ref().filter(|error| !error.is_empty()) else { return Vec::new() };
    let lines = cell::wrap(error, usize::from(area.width.saturating_sub(2)));
    lines.into_iter().map(|line| Line::styled(format!(" {line}"), theme.bad())).collect()
}

fn row<'a>(theme: &Theme, candidate: &'a Candidate) -> Row<'a> {
    let Candidate { title, found, keys, help, place, .. } = candidate;
    let keys_style = candidate.standing.map_or_else(|| theme.accent(), |standing| theme.standing(standing));
    Row { title, found, keys, keys_style, help, place }
}
