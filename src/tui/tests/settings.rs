//! Settings that change while the console is open.

use std::collections::BTreeMap;

use super::press;
use crate::tui::effect::Effect;
use crate::tui::message::Message;
use crate::tui::model::Model;
use crate::tui::sample;
use crate::tui::screen::Screen;
use crate::tui::settings::Files;
use crate::tui::update::update;

fn files(settings: &str, themes: &[(&str, &str)]) -> Files {
    let themes = themes.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned())));
    Files { settings: Some(Ok(settings.to_owned())), keymap: None, themes: themes.collect() }
}

fn change(model: &mut Model, files: Files) -> Vec<Effect> {
    update(model, Message::Settings(Box::new(files)))
}

fn said(model: &Model) -> (&str, bool) {
    model.notice.as_ref().map_or(("", false), |notice| (notice.text.as_str(), notice.bad))
}

#[test]
fn a_setting_holds_as_soon_as_its_file_changes() {
    let mut model = sample::full(100, 30);
    let effects = change(&mut model, files("theme = \"light\"\nmouse = false\nascii = true", &[]));
    assert_eq!((&*model.theme.name, model.ascii), ("light", true));
    assert!(matches!(effects.as_slice(), [Effect::CaptureMouse(false)]) && !model.mouse);
    assert_eq!(said(&model), ("Settings read again.", false));
    let effects = change(&mut model, Files::default());
    assert_eq!((&*model.theme.name, model.ascii, model.mouse), ("dark", false, true));
    assert!(matches!(effects.as_slice(), [Effect::CaptureMouse(true)]));
}

#[test]
fn what_was_set_by_key_stays_when_the_file_says_the_same_as_before() {
    let mut model = sample::full(100, 30);
    change(&mut model, files("theme = \"light\"", &[]));
    press(&mut model, "t M");
    change(&mut model, files("theme = \"light\"\nascii = false", &[]));
    assert_eq!((&*model.theme.name, model.mouse), ("high-contrast", false));
}

#[test]
fn the_command_line_is_over_the_file() {
    let mut model = sample::full(100, 30);
    model.settings.theme_is_forced = true;
    model.settings.mouse_is_forced = true;
    assert!(change(&mut model, files("theme = \"light\"\nmouse = false", &[])).is_empty());
    assert_eq!((&*model.theme.name, model.mouse), ("dark", true));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told() {
    let mut model = sample::full(100, 30);
    change(&mut model, files("theme = \"light\"", &[]));
    change(&mut model, files("theme = \"lihgt\"", &[]));
    let (text, bad) = said(&model);
    assert!(bad && text.starts_with("console.toml:1: there is no theme \"lihgt\"; there are dark, light"), "{text}");
    change(&mut model, files("mouse = \"no\"", &[]));
    assert_eq!(said(&model), ("console.toml:1: mouse must be true or false; what held before still holds", true));
    assert_eq!((&*model.theme.name, model.mouse), ("light", true));

    let mut both = files("thme = 1", &[("mine", "base = \"dark\"\ntxt = {}")]);
    both.keymap = Some(Ok("[nowhere]".to_owned()));
    change(&mut model, both);
    let (text, _) = said(&model);
    assert!(text.starts_with("themes/mine.toml:2: there is no colour \"txt\"; did you mean \"text\"?"), "{text}");
    assert!(text.ends_with("; and 2 more; what held before still holds"), "{text}");
}

#[test]
fn a_theme_of_ones_own_changes_while_it_shows() {
    let mut model = sample::full(100, 30);
    let theme = |color: &str| format!("base = \"dark\"\ntext = {{ rgb = \"{color}\", ansi = \"white\" }}");
    change(&mut model, files("theme = \"mine\"", &[("mine", &theme("#ffffff"))]));
    let before = model.theme.clone();
    assert_eq!(&*before.name, "mine");
    change(&mut model, files("theme = \"mine\"", &[("mine", &theme("#eeeeee"))]));
    assert_ne!(model.theme, before);
    let now = model.theme.clone();
    change(&mut model, files("theme = \"mine\"", &[("mine", "text = 1")]));
    assert_eq!(model.theme, now, "a bad file leaves it as it was");
    press(&mut model, "t");
    assert_eq!(&*model.theme.name, "dark", "the key comes round to the shipped ones");
}

#[test]
fn keys_change_with_their_file() {
    let mut model = sample::full(100, 30);
    let keymap = |text: &str| Files { keymap: Some(Ok(text.to_owned())), ..Files::default() };
    change(&mut model, keymap("[everywhere]\nfailures = \"Z\""));
    press(&mut model, "Z");
    assert_eq!(model.screen, Screen::Failures);
    press(&mut model, "1");
    change(&mut model, keymap("[everywhere]\nfailures = 5"));
    assert!(said(&model).0.starts_with("keymap.toml:2: "));
    press(&mut model, "Z");
    assert_eq!(model.screen, Screen::Failures, "the former keys still hold");
}

#[test]
fn a_file_that_cannot_be_read_is_told() {
    let mut model = sample::full(100, 30);
    let denied = || Err("permission denied".to_owned());
    change(&mut model, Files { settings: Some(denied()), ..Files::default() });
    assert_eq!(said(&model), ("console.toml: permission denied; what held before still holds", true));
    change(&mut model, Files { themes: BTreeMap::from([("mine".to_owned(), denied())]), ..Files::default() });
    assert_eq!(said(&model).0, "themes/mine.toml: permission denied; what held before still holds");
}
