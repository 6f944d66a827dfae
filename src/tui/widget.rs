//! What screens are made of. Widgets take data, never the model.

pub(super) mod badge;
pub(super) mod cell;
pub(super) mod chart;
pub(super) mod confirm;
pub(super) mod field;
pub(super) mod help;
pub(super) mod palette;
pub(super) mod panel;
pub(super) mod scroll;
pub(super) mod split;
pub(super) mod tree;
pub(super) mod typed;
