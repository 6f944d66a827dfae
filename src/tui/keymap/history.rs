//! History.

use super::Binding;

pub(super) const ROWS: &[Binding] = &[];
