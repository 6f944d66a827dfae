//! The signals a daemon obeys.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What signals have come so far.
#[derive(Debug)]
pub(super) struct Signals {
    /// Cancelled by the first SIGTERM or SIGINT: close what is open and end.
    pub(super) stop: CancellationToken,
    /// Cancelled by the second: end at once.
    pub(super) at_once: CancellationToken,
    /// SIGHUP has come since it was last asked.
    pub(super) reload: Arc<Notify>,
    interrupted: Arc<AtomicBool>,
    _listening: DropGuard,
}

impl Signals {
    /// From now on these signals no longer end the program by themselves.
    pub(super) fn listen() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let (stop, at_once, done) = <(CancellationToken, CancellationToken, CancellationToken)>::default();
        let reload = Arc::new(Notify::new());
        let interrupted = Arc::new(AtomicBool::new(false));
        let signals = Self {
            stop: stop.clone(),
            at_once: at_once.clone(),
            reload: Arc::clone(&reload),
            interrupted: Arc::clone(&interrupted),
            _listening: done.clone().drop_guard(),
        };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => interrupted.store(true, Ordering::Relaxed),
                    _ = hangup.recv() => {
                        reload.notify_one();
                        continue;
                    }
                    () = done.cancelled() => break,
                }
                if stop.is_cancelled() {
                    at_once.cancel();
                }
                stop.cancel();
            }
        });
        Ok(signals)
    }

    /// Whether it was somebody at a keyboard who wanted the end.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
