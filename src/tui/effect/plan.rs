//! Work for Plan.

use super::Worker;

/// Work for Plan.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn plan(&mut self, request: Request) {
        match request {}
    }
}
