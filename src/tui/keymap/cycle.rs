//! Cycle.

use super::{Action, Binding, CYCLE, c, row};

pub(super) const ROWS: &[Binding] = &[
    row(&[c('p')], Action::Pause, "pause", &[CYCLE], "pause/resume", "pause the running cycle, or let it go on"),
    row(&[c('c')], Action::Cancel, "cancel", &[CYCLE], "cancel", "cancel the running cycle (asks first)"),
    row(
        &[c('+'), c('=')],
        Action::MoreWorkers,
        "more-workers",
        &[CYCLE],
        "more workers",
        "one worker more per destination",
    ),
    row(&[c('-')], Action::FewerWorkers, "fewer-workers", &[CYCLE], "fewer", "one worker less per destination"),
];
