//! Work for Failures.

use super::Worker;

/// Work for Failures.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn failures(&mut self, request: Request) {
        match request {}
    }
}
