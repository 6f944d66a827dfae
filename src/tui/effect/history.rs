//! Work for History.

use super::Worker;

/// Work for History.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn history(&mut self, request: Request) {
        match request {}
    }
}
