//! Plan.

use super::{Action, Binding, PLAN, c, row, writing};

pub(super) const ROWS: &[Binding] = &[
    writing(row(
        &[c('X')],
        Action::ExecuteAll,
        "execute-all",
        &[PLAN],
        "execute all",
        "execute every task of the chosen destination, or of all (asks first)",
    )),
    row(&[c('+')], Action::ToggleAdd, "toggle-add", &[PLAN], "", "show or hide what is to be added"),
    row(&[c('*')], Action::ToggleUpdate, "toggle-update", &[PLAN], "", "show or hide what is to be updated"),
    row(&[c('-')], Action::ToggleDelete, "toggle-delete", &[PLAN], "", "show or hide what is to be deleted"),
    row(
        &[c('~')],
        Action::ToggleDrifted,
        "toggle-drifted",
        &[PLAN],
        "",
        "show or hide what is left alone, because somebody else wrote it",
    ),
];
