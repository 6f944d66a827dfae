//! From an origin path to a destination path.

use std::sync::Arc;

/// A transform as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is called on screen and in reports.
    pub name: String,
    /// A regular expression, found anywhere in `<mount>data/<name>`.
    pub from: String,
    /// The destination path: with `${group}` in it a template, without any v0.3's form.
    pub to: String,
}

/// A transform that cannot work.
#[derive(Debug, Clone, thiserror::Error)]
#[error("transform \"{rule}\": {reason}")]
pub struct TransformError {
    /// The rule's name.
    pub rule: String,
    /// What is wrong.
    pub reason: String,
}

/// Rules in order; the first that matches decides, the identity comes last.
#[derive(Debug, Clone, Default)]
pub struct Transforms {}

/// Where a path goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// `<mount>data/<name>` at the destination.
    pub data_path: String,
    /// The name of the rule that decided; `identity` if none matched.
    pub rule: Arc<str>,
}

impl Transforms {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`TransformError`] for a bad expression, or a `to` that names a group `from` does not have.
    pub fn new(rules: &[Rule]) -> Result<Self, TransformError> {
        todo!("{rules:?}")
    }
}
