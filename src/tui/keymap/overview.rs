//! Overview.

use crossterm::event::KeyCode;

use super::{Action, Binding, OVERVIEW, k, row};

pub(super) const ROWS: &[Binding] =
    &[row(&[k(KeyCode::Enter)], Action::Open, "open", &[OVERVIEW], "its plan", "show the plan for this destination")];
