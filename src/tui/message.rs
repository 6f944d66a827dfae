//! What can happen to the console.

use std::sync::Arc;
use std::time::Duration;

use super::effect::Keep;
use super::effect::failures::Judged;
use super::input::Input;
use super::screen::{Screen, browse, failures, history, logs, overview, plan, transforms};
use super::settings::Files;
use super::watch;
use super::widget::tree::Tree;
use crate::engine::{CycleId, CycleSnapshot, Decision, DestinationName, InventoryUpdate, Plan, Report, Side};
use crate::vault::{Health, TokenInfo};

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Message {
    /// The terminal.
    Input(Input),
    /// A server answered, or did not.
    Probed(Side, SideStatus),
    /// Pieces of the inventory, in the order they arrived.
    Inventory(Vec<InventoryUpdate>),
    /// The tree of what has arrived so far.
    Grown(Box<Tree>),
    /// Surveyed and planned anew.
    Refreshed(Box<Refreshed>),
    /// Past cycles, newest first.
    Reports(Result<Vec<Report>, String>),
    /// The operator's settings have changed.
    Settings(Box<Files>),
    Overview(overview::News),
    Browse(browse::News),
    Plan(plan::News),
    Watch(watch::News),
    Failures(failures::News),
    History(history::News),
    Transforms(transforms::News),
    Logs(logs::News),
    /// A part of a plan, with the guards checked anew, to be confirmed.
    Selected(Box<Selected>),
    /// The question has been there for long enough to be read.
    Armed,
    /// The engine refused to start.
    Refused(String),
    /// The picture of the running cycle.
    Snapshot(Arc<CycleSnapshot>),
    /// State could not be saved during the cycle.
    Unsaved(DestinationName, String),
    /// Nothing more is begun at a destination in this cycle: why, in a sentence.
    Blocked(DestinationName, String),
    /// The store did not take the cycle's report.
    NotKept(String),
    /// The cycle is over.
    Ended(Arc<Report>),
    /// Something panicked outside of the console; what it said.
    Bug(String),
    /// The work panicked, so that it has no other end.
    Lost(Work),
}

/// Work that the console waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Refresh,
    Cycle,
    Watch,
}

/// How a server answered.
#[derive(Debug, Clone)]
pub(super) struct SideStatus {
    pub(super) health: Result<Health, String>,
    /// `None`: it was not asked about the token, because it can do nothing.
    pub(super) token: Option<Result<TokenInfo, String>>,
    pub(super) latency: Duration,
}

impl SideStatus {
    /// The token, if the server accepts it.
    pub(super) fn token(&self) -> Option<&TokenInfo> {
        self.token.as_ref()?.as_ref().ok()
    }
}

/// A new plan and all that hangs on it.
#[derive(Debug)]
pub(super) struct Refreshed {
    pub(super) plan: Arc<Plan>,
    pub(super) tree: Tree,
    /// What still stands, by destination in the order of the plan; or why it could not be read.
    pub(super) failures: Result<Judged, String>,
}

/// What is about to be started.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) plan: Plan,
    pub(super) asked: Asked,
}

/// What was asked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) purpose: Purpose,
    pub(super) keep: Keep,
    pub(super) screen: Screen,
}

/// What a plan is executed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Execute,
    /// It was saved, and its lines are done exactly as they are.
    Exact,
    DryRun,
    Retry,
    /// It takes back what this cycle changed.
    Undo(CycleId),
    /// Somebody else wrote these, and the operator has said what is to become of them.
    Decide(Decision),
}

impl Purpose {
    /// Whether what the plan deletes is deleted.
    pub(super) fn deletes(self) -> bool {
        !matches!(self, Self::DryRun | Self::Decide(Decision::Keep))
    }

    /// Whether the plan is made for it alone, and not to be had again for the asking.
    pub(super) fn is_planned_anew(self) -> bool {
        matches!(self, Self::Retry | Self::Undo(_) | Self::Decide(_))
    }
}
