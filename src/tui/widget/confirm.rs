//! A question with yes and no.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::panel;
use crate::tui::theme::Theme;

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
}

/// Draws the question over what is there.
pub(in crate::tui) fn confirm(theme: &Theme, question: &Question, area: Rect, buffer: &mut Buffer) {
    let text = question.lines.iter().map(Line::width).max().unwrap_or(0).max(question.title.width() + 2).max(30);
    let width = u16::try_from(text + 6).unwrap_or(u16::MAX).min(area.width.saturating_sub(2));
    let height = u16::try_from(question.lines.len() + 6).unwrap_or(u16::MAX).min(area.height);
    let frame = area.centered(Constraint::Length(width), Constraint::Length(height));
    Clear.render(frame, buffer);
    buffer.set_style(frame, theme.base());
    let inner = panel::panel(theme, &question.title, Vec::new(), frame, buffer);
    buffer.set_style(frame, theme.base().fg(theme.accent().fg.unwrap_or_default()));
    buffer.set_style(inner, theme.base());
    let body = Rect {
        x: inner.x + 2,
        y: inner.y + 1,
        width: inner.width.saturating_sub(4),
        height: inner.height.saturating_sub(3),
    };
    panel::lines(question.lines.iter().cloned(), body, buffer);
    let button = |label: &str, chosen: bool| {
        Span::styled(format!("  {label}  "), if chosen { theme.active() } else { theme.muted() })
    };
    let mut buttons = vec![button(question.no, !question.chosen || question.yes.is_none())];
    if let Some(yes) = question.yes {
        buttons.extend([Span::raw("   "), button(yes, question.chosen)]);
    }
    let row = Rect { y: inner.bottom().saturating_sub(2), height: 1.min(inner.height), ..inner };
    Line::from(buttons).centered().render(row, buffer);
}
