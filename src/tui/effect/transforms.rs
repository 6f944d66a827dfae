//! Work for Transforms.

use super::Worker;

/// Work for Transforms.
#[derive(Debug)]
pub(in crate::tui) enum Request {}

impl Worker {
    pub(super) fn transforms(&mut self, request: Request) {
        match request {}
    }
}
