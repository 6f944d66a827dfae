//! Logs.

use crossterm::event::KeyCode;

use super::{Action, Binding, LOGS, c, k, row};

pub(super) const ROWS: &[Binding] = &[
    row(&[c('f')], Action::LogFollow, "follow", &[LOGS], "follow", "go with the end of the log"),
    row(&[c('p')], Action::LogPause, "pause-log", &[LOGS], "pause", "hold the lines still, or let them go on"),
    row(&[c('+'), c('=')], Action::LogMore, "more-lines", &[LOGS], "more", "show a level more, down to trace"),
    row(&[c('-')], Action::LogLess, "fewer-lines", &[LOGS], "less", "show a level less, up to errors only, or nothing"),
    row(&[k(KeyCode::Enter)], Action::Open, "open", &[LOGS], "details", "show or hide all that a line says"),
    row(&[c('w')], Action::LogWrap, "wrap", &[LOGS], "wrap", "wrap long lines, or cut them"),
    row(&[k(KeyCode::Right), c('l')], Action::Right, "line-end", &[LOGS], "", "move long lines to see their end"),
    row(&[k(KeyCode::Left), c('h')], Action::Left, "line-start", &[LOGS], "", "and back"),
    row(&[c('c')], Action::Copy, "copy-line", &[LOGS], "copy", "copy the line"),
];
