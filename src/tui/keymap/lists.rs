//! What several lists have in common.

use crossterm::event::KeyCode;

use super::{Action, BROWSE, Binding, CYCLE, FAILURES, HISTORY, LOGS, PLAN, Place, c, k, row, writing};

const FILTERED: &[Place] = &[BROWSE, PLAN, FAILURES, HISTORY, LOGS];
const MARKED: &[Place] = &[BROWSE, PLAN, FAILURES];
const TASKS: &[Place] = &[BROWSE, PLAN];
const DETAILED: &[Place] = &[BROWSE, PLAN, CYCLE, FAILURES, HISTORY, LOGS];
/// Where there is a divider between a list and something else.
const DIVIDED: &[Place] = &[BROWSE, PLAN, FAILURES, HISTORY];

pub(super) const ROWS: &[Binding] = &[
    writing(row(
        &[c('x')],
        Action::ExecuteMarked,
        "execute-marked",
        TASKS,
        "execute marked",
        "execute the marked tasks (asks first)",
    )),
    row(
        &[c('d')],
        Action::DryRun,
        "dry-run",
        TASKS,
        "dry run",
        "try what the marked tasks (or all) would meet, without writing",
    ),
    row(&[c(' ')], Action::Mark, "mark", MARKED, "mark", "mark or unmark: a row, a folder or a group as a whole"),
    row(&[c('a')], Action::MarkAll, "mark-shown", MARKED, "mark shown", "mark every row that shows"),
    row(&[c('A')], Action::ClearMarks, "clear-marks", MARKED, "", "take all marks away"),
    row(&[c('/')], Action::Filter, "filter", FILTERED, "filter", "show only what contains a text"),
    row(&[c('J')], Action::DetailsDown, "details-down", DETAILED, "", "scroll the details down"),
    row(&[c('K')], Action::DetailsUp, "details-up", DETAILED, "", "scroll the details up"),
    row(&[c('<')], Action::SmallerList, "smaller-list", DIVIDED, "", "less room for the list, more for the details"),
    row(&[c('>')], Action::BiggerList, "bigger-list", DIVIDED, "", "more room for the list"),
    row(
        &[k(KeyCode::Right), c('l')],
        Action::Right,
        "next-part",
        &[PLAN, FAILURES],
        "",
        "the next destination only, or the next cause only",
    ),
    row(&[k(KeyCode::Left), c('h')], Action::Left, "previous-part", &[PLAN, FAILURES], "", "the one before, or all"),
];
