//! Overview.

use crossterm::event::KeyCode;

use super::{Action, Binding, OVERVIEW, c, k, row};

pub(super) const ROWS: &[Binding] = &[
    row(
        &[k(KeyCode::Enter)],
        Action::Open,
        "open",
        &[OVERVIEW],
        "open",
        "show the plan for this destination, or where a matter can be seen to",
    ),
    row(
        &[c('o')],
        Action::ConfiguredOrder,
        "configured-order",
        &[OVERVIEW],
        "order",
        "destinations as they are configured, or the worst first",
    ),
    row(&[k(KeyCode::Right), c('l')], Action::Right, "next-vault", &[OVERVIEW], "", "the next vault"),
    row(&[k(KeyCode::Left), c('h')], Action::Left, "previous-vault", &[OVERVIEW], "", "the vault before"),
];
