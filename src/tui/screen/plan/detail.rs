//! What the cursor is on, explained.

use ratatui::style::Style;
use ratatui::text::Line;

use super::{Row, current, present};
use crate::engine::{Cause, DestinationPlan, Expected, IDENTITY, Operation, Source, Task};
use crate::sync_info::Insight;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::cell;

/// The details, in lines of at most this width.
pub(super) fn details(model: &Model, width: usize) -> Vec<Line<'static>> {
    let theme = &model.theme;
    let mut lines = Vec::new();
    let mut add = |text: &str, style: Style| {
        lines.extend(cell::wrap(text, width).into_iter().map(|line| Line::styled(line, style)));
    };
    let Some((at, row)) = current(model) else { return Vec::new() };
    let name = model.destinations.get(at).map_or("", |name| name.as_str());
    add(&row.origin().to_string(), theme.strong());
    let target = if row.origin() == row.destination() {
        format!("at {name}, the same path")
    } else {
        format!("at {name}, {}", row.destination())
    };
    let Some(part) = present(model).and_then(|plan| plan.destinations.get(at)) else { return lines };
    match row {
        Row::Task(task) => {
            add(&format!("{} {target}", task.operation.as_str()), theme.state(task.operation.state()));
            if model.production.contains(&part.destination) {
                add(&format!("{name} is production."), theme.bad());
            }
            let rule = if &*task.rule == IDENTITY {
                "no rule applies: it goes to the same path".to_owned()
            } else {
                format!("by the rule \"{}\"", task.rule)
            };
            add(&rule, theme.text());
            add(&why(task, part), theme.text());
            add(&expected(task, model.plan_list.saved_plan().is_some()), theme.text());
            if let Some(insight) = task.insight {
                let time = format::time(insight.update_time.timestamp());
                add(&format!("origin: version {}, of {time}", insight.version), theme.muted());
            }
            let recorded = part.recorded_insight(&task.origin);
            add(&format!("recorded there: {}", in_words(recorded)), theme.muted());
            if part.is_known_drift(task) {
                add("An earlier cycle has met somebody else's version there.", theme.warning());
            }
        }
        Row::Drift(drift) => {
            add(&format!("{} {target}", drift.operation.as_str()), theme.warning());
            add(&drift.message(), theme.warning());
            let explanation = if drift.ours == 0 { Cause::Existing.explanation() } else { Cause::Drift.explanation() };
            add(explanation, theme.text());
            add(&super::left_alone(model), theme.text());
        }
        Row::Stale(line) => {
            add(&format!("{} {target}", line.failure.operation.as_str()), theme.muted());
            add(&format!("This line of the saved plan holds no longer: {}.", line.failure.message), theme.bad());
            add("It is not carried out. Plan again for what is still wanted.", theme.text());
        }
    }
    let failed = model.failures.iter().find(|(name, failure)| {
        *name == part.destination && failure.origin == *row.origin() && !failure.cause.is_foreign()
    });
    if let Some((_, failure)) = failed {
        add(&format!("It has failed before: {}: {}", failure.cause.as_str(), failure.message), theme.bad());
    }
    lines
}

/// Why there is something to do.
fn why(task: &Task, part: &DestinationPlan) -> String {
    let recorded = part.recorded_insight(&task.origin);
    match (task.operation, task.insight, recorded) {
        (Operation::Destroy, ..) => {
            "The origin no longer has it, and cannot undelete it. The data of all its versions is destroyed here: nothing brings it back.".to_owned()
        }
        (Operation::Purge, ..) => {
            "The origin no longer has it, and cannot undelete it. It is removed here with all versions and metadata: nothing brings it back.".to_owned()
        }
        (Operation::Delete, ..) => {
            "The origin no longer has it; the origin is asked for it once more before it is deleted.".to_owned()
        }
        _ if task.source == Source::Metadata => {
            "Only its metadata differs from what was copied: no value is read or written.".to_owned()
        }
        (_, _, Some(then)) if then.is_in_doubt() => {
            "A delete or an undo of it was cut off: what is there is looked at first.".to_owned()
        }
        (_, Some(now), Some(then)) if now.version == then.version => {
            "The origin has written its version anew since it was copied.".to_owned()
        }
        (_, Some(now), Some(then)) => {
            format!("The origin has version {}, and version {} was copied.", now.version, then.version)
        }
        (_, _, None) => "It has not been copied there.".to_owned(),
        (_, None, Some(_)) => "It is to be written.".to_owned(),
    }
}

/// What must be at the destination for it to be done.
fn expected(task: &Task, exact: bool) -> String {
    let else_what = if exact { "or it is not touched" } else { "or somebody else has changed it" };
    match task.expected {
        Expected::Version(0) => "Nothing must be there yet, or it is told apart as somebody else's.".to_owned(),
        Expected::Version(version) => format!("Version {version} must be there, {else_what}."),
        Expected::Recorded => {
            "Which version is there was not recorded: whatever is there is taken for vsync's.".to_owned()
        }
    }
}

fn in_words(insight: Option<&Insight>) -> String {
    match insight {
        Some(insight) if insight.is_in_doubt() => "nobody knows what, since a delete or an undo was cut off".to_owned(),
        Some(insight) => {
            let time = format::time(insight.update_time.timestamp());
            format!("version {}, of {time}", insight.version)
        }
        None => "nothing".to_owned(),
    }
}
