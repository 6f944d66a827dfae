//! What is typed into, and what stands over a screen: filter, prompt, question, help.

use crossterm::event::KeyCode;

use super::{Action, Binding, Key, Place, c, k, row};

const PALETTE: &[Place] = &[Place::Palette];

pub(super) const ROWS: &[Binding] = &[
    row(
        &[k(KeyCode::Enter)],
        Action::Apply,
        "keep-filter",
        &[Place::Filter],
        "keep the filter",
        "keep the filter and go to the list",
    ),
    row(&[k(KeyCode::Esc)], Action::Back, "clear-filter", &[Place::Filter], "clear", "show everything again"),
    row(&[k(KeyCode::Down)], Action::Down, "filter-down", &[Place::Filter], "", "down in the list"),
    row(&[k(KeyCode::Up)], Action::Up, "filter-up", &[Place::Filter], "", "up in the list"),
    row(&[k(KeyCode::Enter)], Action::Apply, "submit", &[Place::Prompt], "go", "take the line as it stands"),
    row(&[k(KeyCode::Esc)], Action::Back, "leave-prompt", &[Place::Prompt], "leave", "leave the line"),
    row(&[k(KeyCode::Enter)], Action::Apply, "run", PALETTE, "run", "do what is chosen"),
    row(&[k(KeyCode::Tab)], Action::Complete, "complete", PALETTE, "complete", "put what is chosen into the line"),
    row(&[k(KeyCode::Esc)], Action::Back, "leave-palette", PALETTE, "leave", "leave the line"),
    row(&[k(KeyCode::Down), Key::ctrl('n')], Action::Down, "choose-next", PALETTE, "", "choose the next one"),
    row(
        &[k(KeyCode::Up), Key::ctrl('p')],
        Action::Up,
        "choose-previous",
        PALETTE,
        "",
        "choose the one before; in an empty line, the command before",
    ),
    row(&[k(KeyCode::PageDown)], Action::PageDown, "choose-page-down", PALETTE, "", "a page down"),
    row(&[k(KeyCode::PageUp)], Action::PageUp, "choose-page-up", PALETTE, "", "a page up"),
    row(&[c('y')], Action::Yes, "yes", &[Place::Dialog], "yes", "yes"),
    row(&[c('n'), k(KeyCode::Esc)], Action::No, "no", &[Place::Dialog], "no", "no"),
    row(
        &[k(KeyCode::Tab), k(KeyCode::BackTab), k(KeyCode::Left), k(KeyCode::Right), c('h'), c('l')],
        Action::OtherButton,
        "other-answer",
        &[Place::Dialog],
        "choose",
        "the other answer",
    ),
    row(&[k(KeyCode::Enter)], Action::Press, "answer", &[Place::Dialog], "answer", "give the chosen answer"),
    row(
        &[k(KeyCode::Esc), c('?'), c('q'), k(KeyCode::Enter)],
        Action::Back,
        "close-help",
        &[Place::Help],
        "close",
        "close this list",
    ),
    row(&[k(KeyCode::Down), c('j')], Action::Down, "help-down", &[Place::Help], "down", "down"),
    row(&[k(KeyCode::Up), c('k')], Action::Up, "help-up", &[Place::Help], "up", "up"),
    row(&[k(KeyCode::PageDown), c(' ')], Action::PageDown, "help-page-down", &[Place::Help], "", "a page down"),
    row(&[k(KeyCode::PageUp)], Action::PageUp, "help-page-up", &[Place::Help], "", "a page up"),
    row(&[c('g'), k(KeyCode::Home)], Action::First, "help-first", &[Place::Help], "", "the beginning"),
    row(&[c('G'), k(KeyCode::End)], Action::Last, "help-last", &[Place::Help], "", "the end"),
];
