//! The last cycles, and how fast the running one goes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::engine::Report;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::outcome;
use crate::tui::widget::{cell, chart, panel};

pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let history = model.cycle.snapshot.as_ref().map(|snapshot| snapshot.rate_history.as_slice()).unwrap_or_default();
    let most = history.iter().copied().max().unwrap_or(0);
    let right = if most > 0 {
        vec![Span::styled(format!(" at most {}/s ", format::count(most)), theme.muted())]
    } else {
        Vec::new()
    };
    let inner = panel::panel(theme, "Activity", right, area, buffer);
    let width = usize::from(inner.width.saturating_sub(2));
    let height = usize::from(inner.height);
    let mut lines = Vec::new();
    if most > 0 {
        let rows = if height > 6 { 4 } else { 1 };
        let style = if model.cycle.running { theme.accent() } else { theme.muted() };
        lines.extend(
            chart::sparkline(history, width, rows).into_iter().map(|row| Line::styled(format!(" {row}"), style)),
        );
    }
    for report in model.history.iter().take(height.saturating_sub(lines.len())) {
        lines.push(past(model, report));
    }
    if lines.is_empty() {
        let (words, style) = match &model.history_error {
            Some(reason) => (format!("Past cycles could not be read: {reason}"), theme.warning()),
            None if model.history_read => ("No cycle has run yet.".to_owned(), theme.muted()),
            None => ("Past cycles are being read…".to_owned(), theme.muted()),
        };
        lines.extend(cell::wrap(&words, width).into_iter().map(|line| Line::styled(format!(" {line}"), style)));
    }
    panel::lines(lines, inner, buffer);
}

fn past(model: &Model, report: &Report) -> Line<'static> {
    let theme = &model.theme;
    let failed = report.failed();
    let mut spans = vec![
        Span::styled(format!(" {}  ", format::time(report.started)), theme.muted()),
        Span::styled(
            cell::left(report.ending.as_str(), 15),
            if outcome::went_wrong(report) { theme.bad() } else { theme.text() },
        ),
        Span::styled(format!("{} done", cell::right(&format::count(report.done().total()), 8)), theme.good()),
    ];
    let style = if failed > 0 { theme.bad() } else { theme.muted() };
    spans.push(Span::styled(format!("{} failed", cell::right(&format::count(failed), 6)), style));
    spans.push(Span::styled(format!("  in {}", format::duration(report.duration())), theme.muted()));
    Line::from(spans)
}
