//! A question with yes and no.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::panel;
use crate::tui::theme::Theme;

/// Columns between the buttons.
const GAP: u16 = 3;

/// What is asked.
#[derive(Debug)]
pub(in crate::tui) struct Question<'a> {
    pub(in crate::tui) title: String,
    pub(in crate::tui) lines: Vec<Line<'a>>,
    /// The label of yes; `None`: there is nothing to agree to, only a notice to close.
    pub(in crate::tui) yes: Option<&'static str>,
    pub(in crate::tui) no: &'static str,
    /// Whether yes is chosen.
    pub(in crate::tui) chosen: bool,
    /// Something marked as production would be touched.
    pub(in crate::tui) danger: bool,
    /// Something has to be typed for a yes, and enter does not press a button.
    pub(in crate::tui) typed: bool,
}

/// Where a question is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    frame: Rect,
    no: Rect,
    yes: Option<Rect>,
}

/// The button that is there: whether it is yes.
pub(in crate::tui) fn button_at(question: &Question, area: Rect, at: Position) -> Option<bool> {
    let layout = layout(question, area);
    if layout.yes.is_some_and(|yes| yes.contains(at)) { Some(true) } else { layout.no.contains(at).then_some(false) }
}

fn layout(question: &Question, area: Rect) -> Layout {
    let text = question.lines.iter().map(Line::width).max().unwrap_or(0).max(question.title.width() + 2).max(30);
    let width = u16::try_from(text + 6).unwrap_or(u16::MAX).min(area.width.saturating_sub(2));
    let height = u16::try_from(question.lines.len() + 6).unwrap_or(u16::MAX).min(area.height);
    let frame = area.centered(Constraint::Length(width), Constraint::Length(height));
    let button = |label: &str| u16::try_from(label.width() + 4).unwrap_or(u16::MAX);
    let (no, yes) = (button(question.no), question.yes.map(button));
    let both = no.saturating_add(yes.map_or(0, |yes| yes.saturating_add(GAP)));
    let row = Rect { y: frame.bottom().saturating_sub(3), height: 1.min(frame.height), ..frame };
    let row = row.centered_horizontally(Constraint::Length(both));
    Layout {
        frame,
        no: Rect { width: no, ..row }.intersection(row),
        yes: yes.map(|width| Rect { x: row.x + no + GAP, width, ..row }.intersection(row)),
    }
}

/// The lines that there is room for; what has to be typed is always among them.
fn fitting<'a>(question: &Question<'a>, height: usize) -> Vec<Line<'a>> {
    let lines = &question.lines;
    if lines.len() <= height {
        return lines.clone();
    }
    let last = usize::from(question.typed);
    let mut shown = lines[..height.saturating_sub(1 + last).min(lines.len())].to_vec();
    shown.push(Line::raw("…"));
    shown.extend_from_slice(&lines[lines.len() - last..]);
    shown
}

/// Draws the question over what is there.
pub(in crate::tui) fn confirm(theme: &Theme, question: &Question, area: Rect, buffer: &mut Buffer) {
    let Layout { frame, no, yes } = layout(question, area);
    Clear.render(frame, buffer);
    buffer.set_style(frame, theme.base());
    let inner = if question.danger {
        panel::production(theme, &question.title, Vec::new(), frame, buffer)
    } else {
        let inner = panel::panel(theme, &question.title, Vec::new(), frame, buffer);
        buffer.set_style(frame, theme.accent());
        inner
    };
    buffer.set_style(inner, theme.base());
    let body = Rect {
        x: inner.x + 2,
        y: inner.y + 1,
        width: inner.width.saturating_sub(4),
        height: inner.height.saturating_sub(3),
    };
    panel::lines(fitting(question, usize::from(body.height)), body, buffer);
    let mut button = |label: &str, place: Rect, chosen: bool| {
        let style = if chosen { theme.active() } else { theme.muted() };
        Span::styled(format!("  {label}  "), style).render(place, buffer);
    };
    button(question.no, no, !question.typed && (!question.chosen || question.yes.is_none()));
    if let Some((label, place)) = question.yes.zip(yes) {
        button(label, place, question.chosen);
    }
}
