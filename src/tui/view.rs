//! Draws the model. Changes nothing.

mod ascii;
mod footer;
mod header;
mod prompt;
mod question;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use unicode_width::UnicodeWidthStr;

use super::model::{Model, SMALLEST};
use super::widget::confirm::confirm;
use super::widget::{help, panel};

pub(super) use ascii::needs_ascii;
pub(super) use footer::hint_at;
pub(super) use header::tab_at;
pub(super) use question::question;

/// Draws everything.
pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, model.theme.base());
    if area.width < SMALLEST.width || area.height < SMALLEST.height {
        too_small(model, area, buffer);
    } else {
        let [top, body, bottom] = model.layout().map(|part| part.intersection(area));
        header::header(model, top, buffer);
        model.screen.view(model, body, buffer);
        if let Some(notice) = &model.notice {
            footer::notice(&model.theme, notice, body, buffer);
        }
        footer::footer(model, bottom, buffer);
        if let Some(first) = model.help {
            help::help(&model.theme, &help_lines(model), first, body, buffer);
        }
        if let Some(dialog) = &model.dialog {
            confirm(&model.theme, &question(model, dialog, area), area, buffer);
        }
    }
    if model.ascii {
        ascii::to_ascii(area, buffer);
    }
}

fn too_small(model: &Model, area: Rect, buffer: &mut Buffer) {
    let needed = format!("{}×{}", SMALLEST.width, SMALLEST.height);
    let mut text = [format!("vsync needs {needed}"), format!("this is {}×{}", area.width, area.height)];
    if text.iter().any(|line| line.width() > usize::from(area.width)) {
        text = ["needs".to_owned(), needed];
    }
    let middle = Rect { y: area.height.saturating_sub(2) / 2, height: area.height.min(2), ..area };
    panel::lines(text.map(|text| Line::styled(text, model.theme.warning()).centered()), middle, buffer);
}

fn help_lines(model: &Model) -> Vec<Line<'static>> {
    let width = model.size.width;
    let width = usize::from(width) / help::columns(width) - 4;
    help::lines(&model.theme, &model.keymap, model.screen, model.read_only, width)
}

/// By how many lines help is longer than what shows of it.
pub(super) fn help_overflow(model: &Model) -> usize {
    let rows = help::rows(help_lines(model).len(), model.size.width);
    rows.saturating_sub(usize::from(model.body().height.saturating_sub(2)))
}
