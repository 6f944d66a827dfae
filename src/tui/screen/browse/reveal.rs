//! One value on screen, for ten seconds: asked about first, wiped when the time is over or the operator turns away.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::Question;
use crate::engine::Side;
use crate::kv::{SecretPath, SecretText};
use crate::text::sanitize;
use crate::tui::effect::Effect;
use crate::tui::effect::browse::Request;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Ask, Dialog, Model};
use crate::tui::screen::Screen;
use crate::tui::widget::{cell, chart, panel};

/// For so long a value shows.
pub(in crate::tui) const SECONDS: u8 = 10;

/// A value that somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::tui) struct Wanted {
    /// Where it is read.
    pub(in crate::tui) side: Side,
    /// The origin's secret.
    pub(in crate::tui) path: SecretPath,
    /// Where the secret lies on that side.
    pub(in crate::tui) place: SecretPath,
    pub(in crate::tui) key: String,
}

impl Wanted {
    fn side(&self) -> String {
        match &self.side {
            Side::Origin => "the origin".to_owned(),
            Side::Destination(name) => sanitize(name.as_str()).into_owned(),
        }
    }
}

/// A value that is being read, or shows.
#[derive(Debug)]
pub(super) struct Reveal {
    /// Tells its answers from those to earlier questions.
    number: u64,
    wanted: Wanted,
    value: Option<SecretText>,
    /// Seconds that are left.
    left: u8,
}

/// Asks whether to show the chosen key's value.
pub(super) fn ask(model: &mut Model, wanted: Option<Wanted>) -> Vec<Effect> {
    if model.read_only {
        model.say("read-only: nothing is written, no value is shown");
    } else if let Some(wanted) = wanted {
        model.dialog = Some(Dialog::new(Ask::Browse(Question::Reveal(wanted))));
    }
    Vec::new()
}

/// What is asked.
pub(super) fn question(wanted: &Wanted) -> (&'static str, Vec<String>, &'static str) {
    let text = vec![
        format!("The value of {} in {}, as {} has it now.", sanitize(&wanted.key), wanted.place, wanted.side()),
        String::new(),
        format!(
            "It is read by one request, which the server's audit log tells, and shows for {SECONDS} seconds. Who looked at which key is noted in vsync's log, without the value."
        ),
    ];
    ("Show a value?", text, "Yes, show it")
}

/// The operator has agreed.
pub(super) fn agree(model: &mut Model, wanted: Wanted) -> Vec<Effect> {
    if model.read_only {
        return Vec::new();
    }
    let number = model.browse.reveals + 1;
    model.browse.reveals = number;
    model.browse.reveal = Some(Reveal { number, wanted: wanted.clone(), value: None, left: SECONDS });
    vec![Effect::Browse(Request::Reveal { number, wanted })]
}

/// The value has been read, or not.
pub(super) fn take(model: &mut Model, number: u64, value: Result<SecretText, String>) {
    let Some(reveal) = model.browse.reveal.as_mut().filter(|reveal| reveal.number == number) else { return };
    match value {
        Ok(value) => reveal.value = Some(value),
        Err(reason) => {
            let text = format!("{} does not give it: {reason}", reveal.wanted.side());
            model.browse.reveal = None;
            model.warn(text);
        }
    }
}

/// A second is over.
pub(super) fn tick(model: &mut Model, number: u64) {
    let Some(reveal) = model.browse.reveal.as_mut().filter(|reveal| reveal.number == number) else { return };
    reveal.left = reveal.left.saturating_sub(1);
    if reveal.left == 0 {
        model.browse.reveal = None;
    }
}

/// Wipes the value, if one shows.
pub(in crate::tui) fn conceal(model: &mut Model) -> Vec<Effect> {
    match model.browse.reveal.take() {
        Some(_) => vec![Effect::Browse(Request::Conceal)],
        None => Vec::new(),
    }
}

/// Whether the operator has turned to something else since.
pub(super) fn is_stale(model: &Model) -> bool {
    let Some(reveal) = &model.browse.reveal else { return false };
    model.place() != Place::Screen(Screen::Browse)
        || model.is_too_small()
        || super::looked_at(model).as_ref() != Some(&reveal.wanted.path)
}

/// Puts the value that shows into the clipboard.
pub(super) fn copy(model: &mut Model) -> Vec<Effect> {
    let Some((reveal, value)) = model.browse.reveal.as_ref().and_then(|one| Some((one, one.value.as_ref()?))) else {
        let key = super::key(model, Action::Reveal);
        model.say(format!("A value can be copied while it shows: {key} shows one."));
        return Vec::new();
    };
    let effects =
        vec![Effect::CopySecret(value.duplicate()), Effect::Browse(Request::NoteCopied(reveal.wanted.clone()))];
    let key = sanitize(&reveal.wanted.key).into_owned();
    model.warn(format!("The value of {key} is in your terminal's clipboard now, and stays there: copy something else when you are done."));
    effects
}

pub(super) fn view(model: &Model, body: Rect, buffer: &mut Buffer) {
    let Some(reveal) = &model.browse.reveal else { return };
    let theme = &model.theme;
    let widest = body.width.saturating_sub(4).min(100);
    let inside = widest.saturating_sub(4);
    let head = cell::wrap(&format!("{} at {}", reveal.wanted.place, reveal.wanted.side()), usize::from(inside));
    let rows = reveal.value.as_ref().map_or(1, |value| lay_out(value.expose(), inside, |_, _, _| {}));
    let around = u16::try_from(head.len()).unwrap_or(u16::MAX).saturating_add(5);
    let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(around).min(body.height);
    let frame = body.centered(Constraint::Length(widest), Constraint::Length(height));
    Clear.render(frame, buffer);
    buffer.set_style(frame, theme.base());
    let title = format!("Value of {}", cell::left(&reveal.wanted.key, 40).trim_end());
    let time = vec![Span::styled(format!(" {} s ", reveal.left), theme.warning())];
    let inner = panel::panel(theme, &title, time, frame, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let top = u16::try_from(head.len()).unwrap_or(u16::MAX);
    panel::lines(head.into_iter().map(|line| Line::styled(line, theme.muted())), inner, buffer);
    let room = Rect { y: inner.y + top + 1, height: inner.height.saturating_sub(top + 3), ..inner };
    match &reveal.value {
        None => panel::lines([Line::styled("reading…", theme.muted())], room, buffer),
        Some(value) => {
            lay_out(value.expose(), inside, |row, column, symbol| {
                let (Ok(row), Some(column)) = (u16::try_from(row), column.checked_add(room.x)) else { return };
                if row < room.height
                    && let Some(cell) = buffer.cell_mut((column, room.y + row))
                {
                    cell.set_symbol(symbol).set_style(theme.strong());
                }
            });
        }
    }
    let hidden = rows.saturating_sub(usize::from(room.height));
    let mut foot = chart::bar(&[(u64::from(reveal.left), theme.warning())], u64::from(SECONDS), 10, theme.border());
    let more = if hidden > 0 { format!("  {hidden} more lines do not fit;") } else { String::new() };
    let [copy, hide] = [Action::CopyValue, Action::Back].map(|action| super::key(model, action));
    let what = format!("{more}  {copy} copies it to your terminal's clipboard, {hide} hides it");
    foot.push(Span::styled(what, theme.muted()));
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
    panel::lines([Line::from(foot)], last, buffer);
}

/// Gives every grapheme its row and column, without making a copy of the text, and returns how many rows there are.
/// What a terminal would obey becomes visible instead.
fn lay_out(text: &str, width: u16, mut put: impl FnMut(usize, u16, &str)) -> usize {
    let (mut row, mut column) = (0, 0);
    for grapheme in text.graphemes(true) {
        if matches!(grapheme, "\n" | "\r\n") {
            (row, column) = (row + 1, 0);
            continue;
        }
        for symbol in sanitize(grapheme).graphemes(true) {
            let wide = u16::try_from(symbol.width()).unwrap_or(1).max(1);
            if column + wide > width {
                (row, column) = (row + 1, 0);
            }
            put(row, column, symbol);
            column += wide;
        }
    }
    row + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_wraps_and_commands_nothing() {
        let mut seen = Vec::new();
        let rows =
            lay_out("ab\ncdé\r\n日本x\x1b", 3, |row, column, symbol| seen.push(format!("{row}{column}{symbol}")));
        assert_eq!(seen, ["00a", "01b", "10c", "11d", "12é", "20日", "30本", "32x", "40\u{241b}"]);
        assert_eq!(rows, 5);
        assert_eq!(lay_out("", 3, |_, _, _| {}), 1);
    }
}
