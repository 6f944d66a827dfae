//! Browse.

use crossterm::event::KeyCode;

use super::{Action, BROWSE, Binding, c, k, row};

pub(super) const ROWS: &[Binding] = &[
    row(
        &[k(KeyCode::Enter)],
        Action::Open,
        "open",
        &[BROWSE],
        "open",
        "open or close a folder; show or hide a secret's details",
    ),
    row(&[k(KeyCode::Right), c('l')], Action::Right, "into", &[BROWSE], "", "open the folder, or go into it"),
    row(&[k(KeyCode::Left), c('h')], Action::Left, "out", &[BROWSE], "", "close the folder, or go up to it"),
    row(
        &[c('n')],
        Action::NextProblem,
        "next-problem",
        &[BROWSE],
        "next problem",
        "go to the next failed or unknown secret",
    ),
    row(&[c('N')], Action::PreviousProblem, "previous-problem", &[BROWSE], "", "go to the one before"),
];
