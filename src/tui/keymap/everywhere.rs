//! What holds on every screen.

use crossterm::event::KeyCode;

use super::{
    Action, BROWSE, Binding, CYCLE, FAILURES, HISTORY, Key, LOGS, OVERVIEW, PLAN, Place, SCREENS, TRANSFORMS, c, k, row,
};
use crate::tui::screen::Screen;

pub(super) const ROWS: &[Binding] = &[
    row(&[k(KeyCode::Down), c('j')], Action::Down, "down", SCREENS, "", "down"),
    row(&[k(KeyCode::Up), c('k')], Action::Up, "up", SCREENS, "", "up"),
    row(&[k(KeyCode::PageDown), Key::ctrl('f')], Action::PageDown, "page-down", SCREENS, "", "a page down"),
    row(&[k(KeyCode::PageUp), Key::ctrl('b')], Action::PageUp, "page-up", SCREENS, "", "a page up"),
    row(&[c('g'), k(KeyCode::Home)], Action::First, "first", SCREENS, "", "the first row"),
    row(&[c('G'), k(KeyCode::End)], Action::Last, "last", SCREENS, "", "the last row"),
    row(
        &[c('r'), Key::ctrl('r')],
        Action::Refresh,
        "refresh",
        SCREENS,
        "refresh",
        "look at all vaults again and plan anew",
    ),
    row(&[c(':')], Action::Command, "command", SCREENS, "", "any action, screen, destination or path by its name"),
    row(&[c('?')], Action::Help, "help", SCREENS, "help", "every key of this screen"),
    row(&[c('q')], Action::Quit, "quit", SCREENS, "quit", "quit; asks while a cycle runs"),
    row(&[c('1')], Action::Show(Screen::Overview), "overview", SCREENS, "", "Overview: every vault at a glance"),
    row(
        &[c('2')],
        Action::Show(Screen::Browse),
        "browse",
        SCREENS,
        "",
        "Browse: the origin's secrets, and how each stands",
    ),
    row(&[c('3')], Action::Show(Screen::Plan), "plan", SCREENS, "", "Plan: what a cycle would do"),
    row(&[c('4')], Action::Show(Screen::Cycle), "cycle", SCREENS, "", "Cycle: what the workers do now"),
    row(&[c('5')], Action::Show(Screen::Failures), "failures", SCREENS, "", "Failures: what failed, and why"),
    row(&[c('6')], Action::Show(Screen::History), "history", SCREENS, "", "History: past cycles and their reports"),
    row(
        &[c('7')],
        Action::Show(Screen::Transforms),
        "transforms",
        SCREENS,
        "",
        "Transforms: where secrets go, and by which rule",
    ),
    row(&[c('8')], Action::Show(Screen::Logs), "logs", SCREENS, "", "Logs: what vsync noted in this run"),
    row(&[k(KeyCode::Tab)], Action::NextScreen, "next-screen", SCREENS, "", "the next screen"),
    row(&[k(KeyCode::BackTab)], Action::PreviousScreen, "previous-screen", SCREENS, "", "the screen to the left"),
    row(&[k(KeyCode::Esc)], Action::Back, "back", SCREENS, "", "clear the filter, else back to the screen before"),
    row(&[c('t')], Action::Theme, "theme", SCREENS, "", "the next theme"),
    row(
        &[Key::ctrl('z')],
        Action::Suspend,
        "suspend",
        SCREENS,
        "",
        "back to the shell; fg returns (a cycle stands still)",
    ),
    row(
        &[Key::ctrl('c')],
        Action::Interrupt,
        "interrupt",
        &[
            OVERVIEW,
            BROWSE,
            PLAN,
            CYCLE,
            FAILURES,
            HISTORY,
            TRANSFORMS,
            LOGS,
            Place::Filter,
            Place::Dialog,
            Place::Help,
            Place::Prompt,
        ],
        "",
        "quit; while a cycle runs: ask, again cancel it, again quit at once",
    ),
];
