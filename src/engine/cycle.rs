//! One execution of a plan.
//!
//! ```text
//!  lane per destination            coordinator (run)                        who watches
//!  ┌──────────────────────┐  task  ┌──────────────────────────────┐
//!  │ queue ─▶ worker 1…N  │──────▶ │ folds outcomes into reports, │──▶ snapshots, ten a second
//!  └──────────────────────┘ outcome│ records them in sync info,   │──▶ events
//!             ▲                    │ saves it every few seconds   │──▶ report, at the end
//!   pause · resume · workers · stop└──────────────────────────────┘
//! ```

mod amend;
mod canary;
mod lane;
mod rate;
mod record;
mod run;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(super) use run::start;

use super::event::{CycleSnapshot, Event};
use super::plan::DestinationName;
use super::report::{CycleId, Report};
use super::worker::Gate;

/// How a plan is executed.
#[derive(Debug, Clone)]
pub struct CycleOptions {
    /// Find out from both sides' capabilities what would fail, without reading or writing a secret.
    pub dry_run: bool,
    /// When to stop beginning tasks; `None`: never.
    pub timeout: Option<Duration>,
    /// Wait for servers that do not answer, also when all else is done; otherwise what they were to get stays pending.
    pub waits: bool,
    /// How often state is saved while the cycle runs.
    pub save_every: Duration,
    /// Do exactly what was planned: a secret that has another version by now, on either side, is not touched.
    pub exact: bool,
    /// How many secrets may be destroyed or purged: exactly as many as the plan has, so that no more than was
    /// confirmed is lost for good.
    pub confirmed: u64,
    /// The cycle whose changes this plan takes back.
    pub undoes: Option<CycleId>,
    /// What the lock says it is held for, and the report that it was done for.
    pub purpose: &'static str,
}

impl Default for CycleOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            timeout: None,
            waits: true,
            save_every: Duration::from_secs(5),
            exact: false,
            confirmed: 0,
            undoes: None,
            purpose: "sync",
        }
    }
}

/// A running cycle. Dropping it does not stop the cycle.
#[derive(Debug)]
pub struct CycleHandle {
    id: CycleId,
    snapshots: watch::Receiver<Arc<CycleSnapshot>>,
    events: Option<mpsc::UnboundedReceiver<Event>>,
    control: CycleControl,
    run: JoinHandle<Arc<Report>>,
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
        self.events.take()
    }

    /// A control that can be kept elsewhere.
    #[must_use]
    pub fn control(&self) -> CycleControl {
        self.control.clone()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// If the cycle itself panicked, or the runtime shuts down before it ends.
    pub async fn wait(self) -> Arc<Report> {
        match self.run.await {
            Ok(report) => report,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(error) => panic!("the cycle did not come to its end: {error}"),
        }
    }
}

/// Steers a running cycle; cheap to clone.
#[derive(Debug, Clone)]
pub struct CycleControl {
    gate: Arc<watch::Sender<Gate>>,
    stop: CancellationToken,
    skips: Arc<HashMap<DestinationName, Skip>>,
}

/// How one destination is left out of the rest of a cycle.
#[derive(Debug, Clone)]
struct Skip {
    asked: Arc<AtomicBool>,
    /// Ends what is done for this destination; others may cancel it, too.
    stop: CancellationToken,
}

impl Skip {
    fn is_asked_for(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl CycleControl {
    fn new(destinations: impl Iterator<Item = DestinationName>) -> Self {
        let stop = CancellationToken::new();
        let skip = |name| (name, Skip { asked: Arc::default(), stop: stop.child_token() });
        Self {
            gate: Arc::new(watch::Sender::new(Gate { paused: false, workers: None })),
            skips: Arc::new(destinations.map(skip).collect()),
            stop,
        }
    }

    /// Nothing more is begun at a destination: its workers finish what they write, it is recorded, the rest stays
    /// pending. The others go on. Cannot be taken back. Returns whether the cycle has such a destination.
    #[must_use]
    pub fn skip(&self, destination: &DestinationName) -> bool {
        let Some(skip) = self.skips.get(destination) else { return false };
        skip.asked.store(true, Ordering::Release);
        skip.stop.cancel();
        true
    }

    /// Workers finish what they hold and take no more.
    pub fn pause(&self) {
        self.gate.send_modify(|gate| gate.paused = true);
    }

    /// Workers go on.
    pub fn resume(&self) {
        self.gate.send_modify(|gate| gate.paused = false);
    }

    /// Workers finish what they write; it is recorded, the rest stays pending.
    pub fn cancel(&self) {
        self.stop.cancel();
    }

    /// Workers per destination from now on, at least one.
    pub fn set_workers(&self, count: usize) {
        self.gate.send_modify(|gate| gate.workers = Some(count.max(1)));
    }
}
