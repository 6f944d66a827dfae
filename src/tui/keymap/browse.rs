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
    row(
        &[c('p')],
        Action::OnlyProblems,
        "only-problems",
        &[BROWSE],
        "only problems",
        "show only what has failed, drifted or is unknown",
    ),
    row(
        &[c('f')],
        Action::NextState,
        "next-state",
        &[BROWSE],
        "",
        "show only problems, only what is behind, only one state after the other",
    ),
    row(
        &[c('s')],
        Action::SortByState,
        "sort-by-state",
        &[BROWSE],
        "sort",
        "the worst first in every folder, or by name",
    ),
    row(&[c('N')], Action::PreviousProblem, "previous-problem", &[BROWSE], "", "go to the one before"),
];
