//! What a cycle came to, and what to do next.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::engine::{Cause, DestinationReport, Ending, FidelityReport, Report, SecretState};
use crate::tui::format;
use crate::tui::model::{Model, in_words};
use crate::tui::outcome;
use crate::tui::screen::Screen;
use crate::tui::widget::{cell, panel};

pub(super) fn view(model: &Model, report: &Report, area: Rect, buffer: &mut Buffer) {
    let lines = lines(model, report, panel::text_width(area));
    panel::text(&model.theme, "Report", lines, (model.cycle_list.top, &model.scroll_keys()), area, buffer);
}

/// The report, for lines of such a width.
pub(super) fn lines(model: &Model, report: &Report, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let style = match report.ending {
        _ if outcome::went_wrong(report) => theme.bad(),
        Ending::Completed => theme.good(),
        _ => theme.warning(),
    };
    let wrapped = |text: &str, style| {
        let lines = cell::wrap(text, width.saturating_sub(2)).into_iter();
        lines.map(move |line| Line::styled(format!("  {line}"), style)).collect::<Vec<_>>()
    };
    let took = format!(
        " in {}, by {} on {}",
        format::duration(report.duration()),
        crate::text::sanitize(&report.operator),
        crate::text::sanitize(&report.host),
    );
    let mut lines =
        vec![Line::from(vec![Span::styled(report.ending.as_str(), style), Span::styled(took, theme.muted())])];
    // First, for on a small screen the end has to be scrolled to.
    lines.extend(outcome::troubles(report).flat_map(|text| wrapped(&text, theme.bad())));
    lines.extend(outcome::incomplete(report).into_iter().flat_map(|text| wrapped(&text, theme.warning())));
    let standings = model.watch.standings.iter().filter(|(_, standing)| standing.is_bad());
    lines.extend(standings.flat_map(|(name, standing)| wrapped(&format!("{name}: {standing}"), theme.bad())));
    lines.extend(report.destinations.iter().map(|part| destination(model, report, part)));
    for part in &report.destinations {
        for sentence in part.fidelity.iter().flat_map(FidelityReport::sentences) {
            lines.extend(wrapped(&format!("{}: {sentence}", part.destination), theme.muted()));
        }
    }
    for text in next_steps(model, report) {
        for (at, line) in cell::wrap(&text, width.saturating_sub(2)).into_iter().enumerate() {
            let mark = if at == 0 { "→ " } else { "  " };
            lines.push(Line::from(vec![Span::styled(mark, theme.accent()), Span::styled(line, theme.text())]));
        }
    }
    lines
}

fn destination(model: &Model, report: &Report, part: &DestinationReport) -> Line<'static> {
    let theme = &model.theme;
    let did = if report.dry_run { "would be possible" } else { "done" };
    let mut spans = vec![
        Span::styled(
            format!("{} ", cell::name(part.destination.as_str(), model.name_width())),
            model.name_style(&part.destination),
        ),
        Span::styled(format!("{did}: {}", in_words(part.done)), theme.text()),
    ];
    let mut note = |count: u64, what: &str, style| {
        if count > 0 {
            spans.push(Span::styled(format!("   {} {what}", format::count(count)), style));
        }
    };
    note(part.failures.len() as u64, "failed", theme.bad());
    note(part.adopted, "adopted", theme.muted());
    note(part.kept, "kept", theme.muted());
    note(part.drifted, "left alone before", theme.state(SecretState::Drifted));
    note(part.pending, if part.skipped { "skipped" } else { "pending" }, theme.warning());
    Line::from(spans)
}

/// What to do about it, the most pressing first.
fn next_steps(model: &Model, report: &Report) -> Vec<String> {
    let plan = model.way_to(Screen::Plan);
    let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
    for (_, failure) in report.failures() {
        *causes.entry(failure.cause).or_default() += 1;
    }
    let mut steps = Vec::new();
    if report.failed() > 0 {
        steps.push(match (report.unkept.is_some(), report.dry_run) {
            (true, _) => format!("Only the next plan shows what failed: {plan}. It is still to do there."),
            _ if report.undoes.is_some() => "What could not be put back stands below, with the reason.".to_owned(),
            (_, true) => "The failures below are what these tasks would meet.".to_owned(),
            _ => format!("{} says why, and retries.", model.way_to(Screen::Failures)),
        });
        let mut causes: Vec<_> = causes.into_iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        steps.extend(
            causes
                .iter()
                .map(|(cause, count)| format!("{} {}: {}", format::count(*count), cause.as_str(), cause.remedy())),
        );
    }
    let skipped: Vec<&str> =
        report.destinations.iter().filter(|part| part.skipped).map(|part| part.destination.as_str()).collect();
    if !skipped.is_empty() {
        steps.push(format!("{} was skipped: what is pending there stays in {plan}.", skipped.join(", ")));
    }
    if report.destinations.iter().any(|part| part.pending > 0 && !part.skipped) {
        steps.push(format!("What is pending stays in {plan}; the next cycle finds it again."));
    }
    if steps.is_empty() {
        let text =
            if report.dry_run { "Nothing stands in the way of these tasks." } else { "Every task was carried out." };
        steps.push(text.to_owned());
    }
    if !report.dry_run && report.unkept.is_none() && report.done().total() > 0 {
        let done = report.done();
        let way = model.way_to(Screen::History);
        steps.push(match done.destroy + done.purge {
            0 => format!("{way} keeps this report, and can take the cycle back."),
            lost => {
                format!("{way} keeps this report, and can take the cycle back, but for {lost} that are gone for good.")
            }
        });
    }
    steps
}
