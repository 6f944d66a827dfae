//! Work for Logs.

use super::Worker;

/// Work for Logs.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn logs(&mut self, request: Request) {
        match request {}
    }
}
