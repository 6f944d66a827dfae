//! The last line: the keys that can be pressed here; and above it what there is to say.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Model, Notice};
use crate::tui::theme::Theme;
use crate::tui::widget::{cell, panel};

/// Draws the footer.
pub(super) fn footer(model: &Model, area: Rect, buffer: &mut Buffer) {
    if let Some(prompt) = &model.prompt {
        super::prompt::prompt(model, prompt, area, buffer);
        return;
    }
    let spans = hints(model, usize::from(area.width)).into_iter().flat_map(|hint| hint.spans);
    Line::from(spans.collect::<Vec<_>>()).render(area, buffer);
}

/// What pressing the hint that is there would do.
pub(in crate::tui) fn hint_at(model: &Model, at: Position) -> Option<Action> {
    let area = model.layout()[2];
    if !area.contains(at) || model.prompt.is_some() {
        return None;
    }
    let mut end = 0;
    hints(model, usize::from(area.width)).into_iter().find_map(|hint| {
        end += hint.width();
        (usize::from(at.x - area.x) < end).then_some(hint.action)
    })
}

/// One key and what it does.
pub(super) struct Hint {
    action: Action,
    pub(super) spans: [Span<'static>; 2],
}

impl Hint {
    fn width(&self) -> usize {
        self.spans.iter().map(Span::width).sum()
    }
}

/// The keys of this place, as many as fit.
pub(super) fn hints(model: &Model, mut room: usize) -> Vec<Hint> {
    let theme = &model.theme;
    let closing = model.dialog.as_ref().is_some_and(|dialog| !dialog.can_agree());
    let typing = model.dialog.as_ref().is_some_and(|dialog| dialog.must_type().is_some());
    if model.dialog.as_ref().is_some_and(|dialog| !dialog.armed) {
        return Vec::new();
    }
    let mut hints = Vec::new();
    for bound in model.keymap.bindings(model.place(), model.read_only) {
        let binding = bound.binding;
        let Some(key) = bound.keys.first().filter(|_| !binding.hint.is_empty()) else { continue };
        if (closing || typing) && matches!(binding.action, Action::Yes | Action::OtherButton) {
            continue;
        }
        let key = format!(" {}", key.label());
        let spans = [Span::styled(key, theme.accent()), Span::styled(format!(" {} ", binding.hint), theme.muted())];
        let hint = Hint { action: binding.action, spans };
        // Help is always named: it is where all the others are.
        let has_help = matches!(model.place(), Place::Screen(_)) && binding.hint != "help";
        let reserve = if has_help { 7 } else { 0 };
        if hint.width() + reserve > room {
            continue;
        }
        room -= hint.width();
        hints.push(hint);
    }
    hints
}

/// Draws the notice into the lower border of what is above the footer, whose keys stay in sight. One that is too long
/// for a line grows upwards: it may be all that says what went wrong.
pub(super) fn notice(theme: &Theme, notice: &Notice, body: Rect, buffer: &mut Buffer) {
    let style = if notice.bad { theme.bad() } else { theme.accent() };
    let room = usize::from(body.width.saturating_sub(4));
    let lines = cell::wrap(&notice.text, room);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(body.height);
    // A single line leaves the rest of the border as it is.
    let text = lines.iter().map(|line| Span::raw(line.as_str()).width()).max().unwrap_or(0);
    let width = if height > 1 { room } else { text.min(room) };
    let width = u16::try_from(width + 2).unwrap_or(u16::MAX).min(body.width.saturating_sub(2));
    let area = Rect { x: body.x + 1, y: body.bottom().saturating_sub(height), width, height };
    Clear.render(area, buffer);
    buffer.set_style(area, theme.base());
    panel::lines(lines.into_iter().map(|line| Line::styled(format!(" {line}"), style)), area, buffer);
}
