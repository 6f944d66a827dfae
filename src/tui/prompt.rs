//! A line that is typed at the foot of the screen.

use tui_input::Input;

use crate::engine::CycleId;

/// A prompt as it is being typed.
#[derive(Debug)]
pub(super) struct Prompt {
    /// What the line is for.
    pub(super) ask: Line,
    pub(super) input: Input,
    /// Why the line was not taken.
    pub(super) error: Option<String>,
}

/// What a typed line is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// `:`, any action by its name.
    Command,
    /// Why failures are not to be minded.
    IgnoreReason,
    /// The new file for a plan.
    SavePlan,
    /// The file of a saved plan.
    LoadPlan,
    /// A folder or a glob whose tasks are marked.
    MarkFolder,
    /// A file that names tasks to mark.
    MarkByFile,
    /// A path, to see where the rules send it.
    TryPath,
    /// Where to write the report of a cycle.
    Export(CycleId),
}

impl Line {
    /// What stands before the line.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Command => ":",
            Self::IgnoreReason => "why ignore:",
            Self::SavePlan => "save plan as:",
            Self::LoadPlan => "load plan:",
            Self::MarkFolder => "mark in folder:",
            Self::MarkByFile => "mark paths of file:",
            Self::TryPath => "try path:",
            Self::Export(_) => "export to:",
        }
    }
}

impl Prompt {
    /// An empty line, or one to begin with.
    pub(super) fn new(ask: Line, text: &str) -> Self {
        Self { ask, input: Input::from(text.to_owned()), error: None }
    }
}
