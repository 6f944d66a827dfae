//! Cycle, and watch mode.

use crossterm::event::KeyCode;

use super::{Action, Binding, CYCLE, OVERVIEW, c, k, row, writing};

pub(super) const ROWS: &[Binding] = &[
    row(&[c('p')], Action::Pause, "pause", &[CYCLE], "pause/resume", "pause the running cycle, or let it go on"),
    row(&[c('c')], Action::Cancel, "cancel", &[CYCLE], "cancel", "cancel the running cycle (asks first)"),
    row(
        &[c('s')],
        Action::Skip,
        "skip",
        &[CYCLE],
        "skip",
        "begin nothing more at the destination the cursor is on; the others go on (asks first)",
    ),
    writing(row(
        &[c('w')],
        Action::Watch,
        "watch",
        &[CYCLE, OVERVIEW],
        "watch",
        "start watch mode, which carries out what is new at every tick, or stop it (asks first)",
    )),
    row(
        &[c('+'), c('=')],
        Action::MoreWorkers,
        "more-workers",
        &[CYCLE],
        "more workers",
        "one worker more per destination",
    ),
    row(&[c('-')], Action::FewerWorkers, "fewer-workers", &[CYCLE], "fewer", "one worker less per destination"),
    row(
        &[k(KeyCode::Enter)],
        Action::Open,
        "open-outcome",
        &[CYCLE],
        "",
        "what failed, when the cycle has ended and something has; else the plan of the destination",
    ),
];
