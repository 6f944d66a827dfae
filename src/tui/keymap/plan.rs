//! Plan.

use crossterm::event::KeyCode;

use super::{Action, Binding, Key, PLAN, c, k, row, writing};

pub(super) const ROWS: &[Binding] = &[
    writing(row(
        &[c('X')],
        Action::ExecuteAll,
        "execute-all",
        &[PLAN],
        "execute all",
        "execute every task of the chosen destination, or of all (asks first)",
    )),
    row(
        &[c('f')],
        Action::MarkFolder,
        "mark-folder",
        &[PLAN],
        "",
        "mark what shows of the folder around the cursor, or take its marks away",
    ),
    row(
        &[c('F')],
        Action::AskFolder,
        "mark-in",
        &[PLAN],
        "",
        "mark what shows of a folder, or of what a glob matches; asks which",
    ),
    row(
        &[c('m')],
        Action::MarkByFile,
        "mark-by-file",
        &[PLAN],
        "",
        "mark what a file names: a path, a folder or a glob on each line, # before a remark",
    ),
    row(
        &[c('s'), Key::ctrl('s')],
        Action::SavePlan,
        "save-plan",
        &[PLAN],
        "save",
        "save what is marked, or all of it, in a new file, to be done exactly so later",
    ),
    row(
        &[c('o'), Key::ctrl('o')],
        Action::LoadPlan,
        "load-plan",
        &[PLAN],
        "load",
        "load a saved plan: what of it holds is marked, to be done exactly so",
    ),
    row(
        &[c('u')],
        Action::LeavePlan,
        "leave-plan",
        &[PLAN],
        "",
        "leave the saved plan, back to what there is to do now",
    ),
    row(&[k(KeyCode::Enter)], Action::Open, "open", &[PLAN], "", "show or hide why a task is to be done"),
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
