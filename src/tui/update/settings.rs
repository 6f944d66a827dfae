//! The operator's settings, as they are read at the start and whenever they change.

use std::collections::BTreeMap;

use crate::tui::DEFAULT_THEME;
use crate::tui::effect::Effect;
use crate::tui::keymap::{self, Keymap};
use crate::tui::model::Model;
use crate::tui::settings::{FILE, Files, Settings};
use crate::tui::theme::Palette;

/// Takes in what the files hold. What is wrong is told, and in its place what held before still holds.
pub(in crate::tui) fn take(model: &mut Model, files: &Files, again: bool) -> Vec<Effect> {
    let mut problems = Vec::new();
    themes(model, files, &mut problems);
    let effects = settings(model, files, &mut problems);
    keymap(model, files, &mut problems);
    match problems.as_slice() {
        [] if again => model.say("Settings read again."),
        [] => {}
        [only] => model.warn(format!("{only}; what held before still holds")),
        [first, others @ ..] => {
            model.warn(format!("{first}; and {} more; what held before still holds", others.len()));
        }
    }
    effects
}

fn themes(model: &mut Model, files: &Files, problems: &mut Vec<String>) {
    let mut own = BTreeMap::new();
    for (name, text) in &files.themes {
        let shipped = |base: &str| model.settings.shipped.palette(base);
        let read = match text {
            Ok(text) => Palette::read(text, shipped).map_err(|error| format!("themes/{name}.toml:{error}")),
            Err(reason) => Err(format!("themes/{name}.toml: {reason}")),
        };
        let palette = read.map_err(|problem| problems.push(problem)).ok();
        if let Some(palette) = palette.or_else(|| model.settings.own.get(name).copied()) {
            own.insert(name.clone(), palette);
        }
    }
    model.themes = model.settings.shipped.clone().with(own.clone());
    model.settings.own = own;
    // Its file may be what has changed.
    if let Some(theme) = model.themes.named(&model.theme.name) {
        model.theme = theme;
    }
}

fn settings(model: &mut Model, files: &Files, problems: &mut Vec<String>) -> Vec<Effect> {
    let read = match &files.settings {
        None => Ok(Settings::default()),
        Some(Ok(text)) => Settings::parse(text),
        Some(Err(reason)) => Err(format!("{FILE}: {reason}")),
    };
    let new = match read {
        Ok(new) => new,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    // What has not changed in the file stays as the operator has set it by key since.
    let before = std::mem::replace(&mut model.settings.last, new.clone());
    let name = |theme: &Option<(String, usize)>| theme.as_ref().map(|(name, _)| name.clone());
    if name(&new.theme) != name(&before.theme) && !model.settings.theme_is_forced {
        let wanted = new.theme.as_ref().map_or(DEFAULT_THEME, |(name, _)| name);
        if let Some(theme) = model.themes.named(wanted) {
            model.theme = theme;
        } else {
            let line = new.theme.as_ref().map_or(1, |(_, line)| *line);
            problems.push(format!("{FILE}:{line}: {}", model.themes.missing(wanted)));
            // Asked for again when there is such a theme.
            model.settings.last.theme = before.theme;
        }
    }
    if new.ascii != before.ascii {
        model.ascii = new.ascii.unwrap_or(model.settings.needs_ascii);
    }
    let mouse = new.mouse.unwrap_or(true);
    if new.mouse != before.mouse && !model.settings.mouse_is_forced && mouse != model.mouse {
        model.mouse = mouse;
        model.dragging = false;
        return vec![Effect::CaptureMouse(mouse)];
    }
    Vec::new()
}

fn keymap(model: &mut Model, files: &Files, problems: &mut Vec<String>) {
    let read = match &files.keymap {
        None => Ok(Keymap::default()),
        Some(Ok(text)) => Keymap::with_user(text).map_err(|error| error.to_string()),
        Some(Err(reason)) => Err(format!("{}: {reason}", keymap::FILE)),
    };
    match read {
        Ok(keymap) => model.keymap = keymap,
        Err(problem) => problems.push(problem),
    }
}
