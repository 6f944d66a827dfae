//! Work for Cycle: steering one destination of it, and watch mode.

mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Worker;
use crate::engine::{CycleOptions, DestinationName, Plan, Report};

/// What its locks and cycles say they are for.
const PURPOSE: &str = "watch in the console";

/// Work for Cycle.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Begin nothing more at a destination of the running cycle, and leave it out of the watch whose cycle it is.
    Skip { destination: DestinationName, watched: bool },
    /// Begin to look for changes, so often.
    Watch(Duration),
    /// Stop looking.
    Unwatch,
    /// Carry out what the watch has found.
    Execute(Box<Go>),
}

/// What the watch has found to do.
#[derive(Debug)]
pub(in crate::tui) struct Go {
    plan: Plan,
    /// Where the cycle's end is waited for; dropped if none is begun.
    ended: oneshot::Sender<Arc<Report>>,
}

#[cfg(test)]
impl Go {
    /// Nothing to do, and nobody who waits.
    pub(in crate::tui) fn to_test() -> Self {
        Self { plan: (*crate::tui::sample::plan()).clone(), ended: oneshot::channel().0 }
    }
}

impl Worker {
    pub(super) fn cycle(&mut self, request: Request) {
        match request {
            Request::Skip { destination, watched } => {
                if let Some((cycle, _)) = &self.running {
                    // the console knows the cycle's destinations from its snapshot
                    let _ = cycle.skip(&destination);
                }
                if let Some(watch) = self.watch.as_ref().filter(|_| watched) {
                    watch.leave_out(destination);
                }
            }
            Request::Watch(tick) => {
                self.unwatch();
                let (engine, only, messages) = (self.engine.clone(), self.only.clone(), self.messages.clone());
                self.watch = Some(watch::Watch::start(engine, only, tick, Arc::clone(&self.planned_by_hand), messages));
            }
            Request::Unwatch => self.unwatch(),
            Request::Execute(go) => {
                let Go { mut plan, ended } = *go;
                // nobody was asked about this one
                let confirmed = self.engine.hold_back(&mut plan);
                let options =
                    CycleOptions { dry_run: false, purpose: PURPOSE, waits: false, confirmed, ..self.options.clone() };
                let started = self.engine.start(plan, options);
                self.begun(started, Some(ended));
            }
        }
    }

    /// The watch that was lets go of its locks in the background.
    fn unwatch(&mut self) {
        if let Some(watch) = self.watch.take() {
            self.former_watches.push(watch.stop());
        }
    }

    /// Ends the watch, and waits until its locks are free for others.
    pub(in crate::tui) async fn end_watch(&mut self) {
        self.unwatch();
        for watch in self.former_watches.drain(..) {
            // a panic in there is told elsewhere
            let _ = watch.await;
        }
    }
}

pub(super) use watch::Watch;
