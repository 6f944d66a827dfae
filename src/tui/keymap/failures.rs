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
    writing(row(
        &[c('o')],
        Action::Overwrite,
        "overwrite",
        &[FAILURES],
        "origin right",
        "what somebody else wrote, marked or under the cursor: write the origin's over it (asks first)",
    )),
    writing(row(
        &[c('d')],
        Action::Keep,
        "keep",
        &[FAILURES],
        "keep theirs",
        "what somebody else wrote, marked or under the cursor: leave it, record equal values (asks first)",
    )),
    writing(row(
        &[c('i')],
        Action::Ignore,
        "ignore",
        &[FAILURES],
        "ignore",
        "mind the marked failures, or the one under the cursor, no longer; asks why",
    )),
    writing(row(
        &[c('I')],
        Action::MindAgain,
        "mind-again",
        &[FAILURES],
        "",
        "mind the marked ignored failures, or the one under the cursor, again",
    )),
    row(
        &[c('c'), c('y')],
        Action::CopyRemedy,
        "copy-remedy",
        &[FAILURES],
        "copy",
        "copy the rules that the policy lacks, or the failure in words",
    ),
    row(&[k(KeyCode::Enter)], Action::Open, "open", &[FAILURES], "details", "show or hide the whole message"),
];
