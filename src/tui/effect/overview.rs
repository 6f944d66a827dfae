//! Work for Overview.

use super::Worker;

/// Work for Overview.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn overview(&mut self, request: Request) {
        match request {}
    }
}
