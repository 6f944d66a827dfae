//! What the cursor is on, explained.

use std::collections::BTreeMap;

use ratatui::style::Style;
use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::advice::{self, key};
use super::{Part, Row, current, rows_at, shown};
use crate::engine::{DestinationName, Failure, Ignored};
use crate::text::sanitize;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::widget::cell;

/// The details, in lines of at most this width.
pub(super) fn details(model: &Model, width: usize) -> Vec<Line<'static>> {
    let mut text = Text { width, lines: Vec::new() };
    match current(model) {
        Some(Row::Group(part, count)) => group(model, part, count, &mut text),
        Some(row) => {
            if let Some((name, failure, ignored)) = shown(model, row) {
                one(model, name, failure, ignored, &mut text);
            }
        }
        None => {}
    }
    text.lines
}

/// Lines as they are put together.
struct Text {
    width: usize,
    lines: Vec<Line<'static>>,
}

impl Text {
    fn add(&mut self, text: &str, style: Style) {
        self.lines.extend(cell::wrap(text, self.width).into_iter().map(|line| Line::styled(line, style)));
    }

    fn gap(&mut self) {
        self.lines.push(Line::default());
    }
}

fn group(model: &Model, part: Part, count: usize, text: &mut Text) {
    let theme = &model.theme;
    let secrets = format::plural(count as u64, "secret");
    let Part::Cause(cause) = part else {
        text.add(&format!("ignored: {secrets}"), theme.strong());
        text.add("Somebody has said not to mind these, and why. They are not counted and not retried.", theme.text());
        let again = key(model, Action::MindAgain);
        text.add(&format!("{again} minds them again. Each comes back by itself when it fails for another cause, or when the origin has another version."), theme.text());
        return;
    };
    text.add(&format!("{}: {secrets}", cause.as_str()), if cause.is_foreign() { theme.warning() } else { theme.bad() });
    text.add(cause.explanation(), theme.text());
    text.add(&advice::remedy(model, cause), theme.text());
    let rows = rows_at(model, model.failure_list.scroll.row());
    let failures = rows.iter().filter_map(|row| match row {
        Row::Failure(at) => model.failures.get(*at),
        _ => None,
    });
    if let Some(policies) = advice::policies(failures) {
        policy(model, &policies, text);
    }
    let mut places: BTreeMap<&DestinationName, u64> = BTreeMap::new();
    for (name, _, _) in rows.iter().filter_map(|row| shown(model, *row)) {
        *places.entry(name).or_default() += 1;
    }
    text.gap();
    for (name, count) in places {
        text.add(&format!("{name}: {}", format::count(count)), theme.muted());
    }
}

/// The rules that are missing, as they are copied.
fn policy(model: &Model, policies: &str, text: &mut Text) {
    let theme = &model.theme;
    text.gap();
    text.add(&format!("Missing in the policy ({} copies it):", key(model, Action::CopyRemedy)), theme.muted());
    for line in policies.lines() {
        let style = if line.starts_with('#') { theme.muted() } else { theme.accent() };
        let line = sanitize(line);
        if line.width() <= text.width {
            // wrapping takes indents away
            text.lines.push(Line::styled(line.into_owned(), style));
        } else {
            text.add(&line, style);
        }
    }
}

fn one(model: &Model, name: &DestinationName, failure: &Failure, ignored: Option<&Ignored>, text: &mut Text) {
    let theme = &model.theme;
    text.add(&failure.origin.to_string(), theme.strong());
    let target = if failure.origin == failure.destination {
        format!("{} at {name}, the same path", failure.operation.as_str())
    } else {
        format!("{} at {name}, {}", failure.operation.as_str(), failure.destination)
    };
    text.add(&target, theme.muted());
    let cause = failure.cause;
    text.add(
        &format!("{}: {}", cause.as_str(), failure.message),
        if cause.is_foreign() { theme.warning() } else { theme.bad() },
    );
    if let Some(ignored) = ignored {
        let Ignored { reason, operator, host, at, .. } = ignored;
        text.add(&format!("Ignored: {reason}"), theme.strong());
        text.add(&format!("by {operator} on {host}, {}", format::time(*at)), theme.muted());
        let again = key(model, Action::MindAgain);
        text.add(
            &format!("{again} minds it again; it comes back by itself when its cause or the origin's version changes."),
            theme.text(),
        );
    } else {
        text.add(&advice::remedy(model, cause), theme.text());
    }
    let tried = match failure.attempts {
        0 => "known from an earlier cycle".to_owned(),
        attempts => {
            format!("{}, given up {}", format::plural(u64::from(attempts), "request"), format::time(failure.at))
        }
    };
    text.add(&tried, theme.muted());
    versions(model, name, failure, text);
    if ignored.is_none() {
        text.add(cause.explanation(), theme.muted());
        let own = (name.clone(), failure.clone());
        if let Some(policies) = advice::policies(std::iter::once(&own)) {
            policy(model, &policies, text);
        }
    }
}

/// Which versions are known of it.
fn versions(model: &Model, name: &DestinationName, failure: &Failure, text: &mut Text) {
    let theme = &model.theme;
    if let Some(insight) = failure.insight {
        let time = format::time(insight.update_time.timestamp());
        text.add(&format!("the origin's version {}, of {time}", insight.version), theme.muted());
    }
    let Some(part) = model.plan.as_ref().and_then(|plan| plan.destination(name)) else { return };
    let copied = match part.recorded_insight(&failure.origin) {
        Some(insight) if insight.is_in_doubt() => {
            "what is there is not known, since a delete or an undo was cut off".to_owned()
        }
        Some(insight) => format!("copied there last: the origin's version {}", insight.version),
        None => "never copied there".to_owned(),
    };
    text.add(&copied, theme.muted());
}
