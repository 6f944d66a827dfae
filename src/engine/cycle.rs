//! One execution of a plan.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::event::{CycleSnapshot, Event};
use super::report::{CycleId, Report};

/// How a plan is executed.
#[derive(Debug, Clone)]
pub struct CycleOptions {
    /// Find out from both sides' capabilities what would fail, without reading or writing a secret.
    pub dry_run: bool,
    /// When to stop beginning tasks; `None`: never.
    pub timeout: Option<Duration>,
    /// How often state is saved while the cycle runs.
    pub save_every: Duration,
}

impl Default for CycleOptions {
    fn default() -> Self {
        Self { dry_run: false, timeout: None, save_every: Duration::from_secs(5) }
    }
}

/// A running cycle. Dropping it does not stop the cycle.
#[derive(Debug)]
pub struct CycleHandle {
    id: CycleId,
    snapshots: watch::Receiver<Arc<CycleSnapshot>>,
}

impl CycleHandle {
    /// The cycle.
    #[must_use]
    pub fn id(&self) -> CycleId {
        self.id
    }

    /// The picture of the cycle, at most ten a second; the last one has phase `Ended`.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<CycleSnapshot>> {
        self.snapshots.clone()
    }

    /// The events; can be taken once.
    pub fn take_events(&mut self) -> Option<mpsc::UnboundedReceiver<Event>> {
        todo!()
    }

    /// A control that can be kept elsewhere.
    #[must_use]
    pub fn control(&self) -> CycleControl {
        todo!()
    }

    /// Waits for the end.
    pub async fn wait(self) -> Arc<Report> {
        todo!()
    }
}

/// Steers a running cycle; cheap to clone.
#[derive(Debug, Clone)]
pub struct CycleControl {}

impl CycleControl {
    /// Workers finish what they hold and take no more.
    pub fn pause(&self) {
        todo!()
    }

    /// Workers go on.
    pub fn resume(&self) {
        todo!()
    }

    /// Workers finish what they hold; it is recorded, the rest stays pending.
    pub fn cancel(&self) {
        todo!()
    }

    /// Workers per destination from now on, at least one.
    pub fn set_workers(&self, count: usize) {
        todo!("{count}")
    }
}
