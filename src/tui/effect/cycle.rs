//! Work for Cycle.

use super::Worker;

/// Work for Cycle.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn cycle(&mut self, request: Request) {
        match request {}
    }
}
