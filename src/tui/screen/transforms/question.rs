//! What saving would do, in words, before it is done.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Saving;
use crate::engine::SecretState;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::cell;

/// Title, lines of at most this width, at most so many, and the answer that agrees.
pub(in crate::tui) fn question(
    model: &Model,
    saving: &Saving,
    width: usize,
    rows: usize,
) -> (&'static str, Vec<Line<'static>>, &'static str) {
    let theme = &model.theme;
    let wrapped = |text: &str, style: Style| {
        cell::wrap(text, width).into_iter().map(move |line| Line::styled(line, style)).collect::<Vec<_>>()
    };
    let mut head = Vec::new();
    let mut changed = Vec::new();
    let (title, yes) = match &saving.change {
        Ok(change) => {
            let file = model.file.as_ref().map_or_else(String::new, |file| file.display().to_string());
            head.extend(wrapped(&format!("{}: in {file}", saving.destination), theme.strong()));
            for line in change.lines() {
                let (glyph, state) = if line.is_new { ("+", SecretState::Add) } else { ("-", SecretState::Delete) };
                changed.push(Line::from(vec![
                    Span::styled(format!("{:>5} ", line.number), theme.muted()),
                    Span::styled(format!("{glyph} "), theme.state(state)),
                    Span::styled(
                        cell::left(&line.text, width.saturating_sub(8)).trim_end().to_owned(),
                        theme.state(state),
                    ),
                ]));
            }
            if changed.is_empty() {
                changed.push(Line::styled("No line of the file changes.", theme.muted()));
            }
            ("Save the rules?", "Yes, save")
        }
        Err(reason) => {
            head.extend(wrapped(&format!("{} cannot be saved: {reason}.", saving.destination), theme.warning()));
            let text = "They can be used until this console ends; no file is changed then.";
            head.extend(wrapped(text, theme.text()));
            ("Use the rules for this session?", "Yes, use them")
        }
    };
    let mut foot = vec![Line::default()];
    for objection in &saving.objections {
        foot.extend(wrapped(objection, theme.bad()));
    }
    let moved = match saving.moved {
        Some((0, true)) => "No path moves.".to_owned(),
        Some((count, true)) => format!(
            "{} will go elsewhere than before: they are copied anew, and copies at the old places stay there.",
            format::plural(count, "secret")
        ),
        Some((count, false)) => format!(
            "At least {} will go elsewhere than before, not all were looked at yet: they are copied anew, and copies at the old places stay there.",
            format::plural(count, "secret")
        ),
        None => {
            "How many secrets will go elsewhere is not known: the origin was not looked at with these rules.".to_owned()
        }
    };
    let stays = saving.moved == Some((0, true));
    foot.extend(wrapped(&moved, if stays { theme.text() } else { theme.warning() }));
    foot.extend(wrapped("Nothing is copied now; the plan is made anew.", theme.muted()));
    let room = rows.saturating_sub(head.len() + foot.len()).max(1);
    if changed.len() > room {
        let more = changed.len() - (room - 1);
        changed.truncate(room - 1);
        changed.push(Line::styled(format!("      … and {}", format::plural(more as u64, "line")), theme.muted()));
    }
    let lines = head.into_iter().chain(changed).chain(foot).collect();
    (title, lines, yes)
}
