//! What was logged while the cycle ran, the newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use tracing::Level;

use crate::engine::CycleSnapshot;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::{cell, panel};

pub(super) fn view(model: &Model, snapshot: &CycleSnapshot, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inner = panel::panel(theme, "Log", Vec::new(), area, buffer);
    let ended = model.cycle.report.as_ref().map(|report| report.ended);
    let of_cycle = model
        .log_list
        .records
        .iter()
        .rev()
        .skip_while(|record| ended.is_some_and(|ended| record.at > ended))
        .take_while(|record| record.at >= snapshot.started);
    let width = usize::from(inner.width).saturating_sub(18);
    let lines: Vec<_> = of_cycle
        .take(usize::from(inner.height))
        .map(|record| {
            let style = match record.level {
                Level::ERROR => theme.bad(),
                Level::WARN => theme.warning(),
                _ => theme.muted(),
            };
            Line::from(vec![
                Span::styled(format!(" {} ", format::clock(record.at)), theme.muted()),
                Span::styled(format!("{} ", cell::left(record.level.as_str(), 5)), style),
                Span::styled(cell::left(&record.text(), width), theme.text()),
            ])
        })
        .collect();
    if lines.is_empty() {
        panel::lines([Line::styled(" Nothing has been logged in this cycle.", theme.muted())], inner, buffer);
        return;
    }
    panel::lines(lines, inner, buffer);
}
