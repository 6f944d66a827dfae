//! What ends a command early, and with which exit code.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::connect::ConnectError;
use crate::daemon::DaemonError;
use crate::engine::{EngineError, SavedPlanError};
use crate::exit::Exit;
use crate::export::ExportError;

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be used here and now.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The engine says no.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A daemon could not start.
    #[error(transparent)]
    Daemon(DaemonError),
    /// The origin could not be read at all.
    #[error("the origin {address} could not be read: {reason}")]
    Origin {
        /// The server.
        address: String,
        /// Why, for each mount.
        reason: String,
    },
    /// Finding out what the origin holds took longer than it may.
    #[error("the origin {address} was not listed within origin.timeout ({timeout:?})")]
    OriginTimeout {
        /// The server.
        address: String,
        /// The limit.
        timeout: std::time::Duration,
    },
    /// A plan cannot be saved in, or taken from, this file.
    #[error("{}: {source}", .file.display())]
    SavedPlan {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Box<SavedPlanError>,
    },
    /// The file of a plan cannot be read or written.
    #[error("{}: the file cannot be {done}: {source}", .file.display())]
    PlanFile {
        /// The file.
        file: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A report could not be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Nothing to be found under what was asked for.
    #[error("{0}")]
    NotFound(String),
    /// Results could not be written.
    #[error("the results cannot be written: {0}")]
    Output(#[from] io::Error),
    /// A signal came before anything was done.
    #[error("interrupted; nothing was written")]
    Interrupted,
}

impl From<DaemonError> for CliError {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Config(error) => Self::Config(error),
            DaemonError::Connect(error) => Self::Connect(error),
            DaemonError::Destination(error) => Self::Engine(error),
            error @ (DaemonError::Health { .. } | DaemonError::Signals(_)) => Self::Daemon(error),
        }
    }
}

impl CliError {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    pub(super) fn saved_plan(file: &Path, source: SavedPlanError) -> Self {
        Self::SavedPlan { file: file.to_owned(), source: Box::new(source) }
    }

    /// The exit code that says this.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Export(ExportError::Format(_) | ExportError::Exists(_)) => Exit::Usage,
            Self::Config(error) if error.is_wrong_usage() => Exit::Usage,
            Self::Interrupted => Exit::Interrupted,
            Self::Engine(EngineError::Objection { .. } | EngineError::EmptiedOrigin) => Exit::Guarded,
            Self::SavedPlan { source, .. } => match **source {
                SavedPlanError::AnotherServer { .. } => Exit::Guarded,
                SavedPlanError::NotPlannedFor { .. } => Exit::Usage,
                _ => Exit::Failed,
            },
            Self::Config(_)
            | Self::Export(_)
            | Self::Connect(_)
            | Self::Daemon(_)
            | Self::Engine(_)
            | Self::Origin { .. }
            | Self::OriginTimeout { .. }
            | Self::PlanFile { .. }
            | Self::NotFound(_)
            | Self::Output(_) => Exit::Failed,
        }
    }

    /// What to do about it, where the message does not say so itself.
    #[must_use]
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Self::Origin { .. } => Some("nothing was changed anywhere; \"vsync check\" tells what is missing"),
            Self::OriginTimeout { .. } => {
                Some("nothing was changed anywhere; raise origin.timeout or origin.num_workers")
            }
            Self::Engine(EngineError::Unavailable { .. }) => {
                Some("nothing was written; see that its state store can be reached, or leave it out with --destination")
            }
            Self::SavedPlan { source, .. } => Some(match **source {
                SavedPlanError::Incomplete { .. } => {
                    "no plan was saved; see that its state store can be reached, or leave it out with --destination"
                }
                SavedPlanError::Unpinned { .. } => {
                    "no plan was saved; let its token read MOUNT/metadata/*, or sync once without a saved plan"
                }
                SavedPlanError::Damaged(_) => "nothing was written; save the plan anew with \"vsync plan --out\"",
                SavedPlanError::Newer { .. } => {
                    "nothing was written; use that vsync, or save the plan anew with this one"
                }
                SavedPlanError::UnknownDestination { .. } => {
                    "nothing was written; name the destinations you mean with --destination, or save the plan anew"
                }
                SavedPlanError::NotPlannedFor { .. } => "nothing was written",
                SavedPlanError::AnotherServer { .. } => {
                    "nothing was written; use the configuration it was made with, or save the plan anew"
                }
            }),
            Self::PlanFile { done: "read", .. } => Some("nothing was written; \"vsync plan --out FILE\" saves a plan"),
            _ => None,
        }
    }
}
