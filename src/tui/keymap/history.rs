//! History.

use crossterm::event::KeyCode;

use super::{Action, Binding, HISTORY, c, k, row, writing};

pub(super) const ROWS: &[Binding] = &[
    row(&[k(KeyCode::Enter)], Action::Open, "open", &[HISTORY], "report", "open or close the cycle's report"),
    row(&[c(' ')], Action::Mark, "mark-cycle", &[HISTORY], "mark", "mark a cycle, to compare it with another"),
    row(&[c('A')], Action::ClearMarks, "clear-cycle-marks", &[HISTORY], "", "take the marks away"),
    row(&[c('=')], Action::Compare, "compare", &[HISTORY], "compare", "compare the two marked cycles"),
    row(&[c('e')], Action::Export, "export", &[HISTORY], "export", "write the report to a .json, .csv or .html file"),
    writing(row(
        &[c('u')],
        Action::Undo,
        "undo",
        &[HISTORY],
        "undo",
        "show what undoing the cycle would do; again: undo it (asks first)",
    )),
    row(&[c('c')], Action::Copy, "copy-cycle", &[HISTORY], "", "copy the cycle's id"),
];
