//! Failures.

use crossterm::event::KeyCode;

use super::{Action, Binding, FAILURES, c, k, row, writing};

pub(super) const ROWS: &[Binding] = &[
    writing(row(
        &[c('x'), c('R')],
        Action::RetryMarked,
        "retry-marked",
        &[FAILURES],
        "retry marked",
        "retry the marked (asks first)",
    )),
    writing(row(
        &[c('X')],
        Action::RetryAll,
        "retry-all",
        &[FAILURES],
        "retry all",
        "retry everything that failed (asks first)",
    )),
    row(&[k(KeyCode::Enter)], Action::Open, "open", &[FAILURES], "details", "show or hide the whole message"),
];
