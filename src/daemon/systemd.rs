//! What a daemon tells systemd, if systemd wants to know. Without `NOTIFY_SOCKET` in the environment all of it does
//! nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;

pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read again; [`ready`] follows.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The line that `systemctl status` shows.
pub(super) fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// How often a daemon shows that it lives.
pub(super) const BEAT: Duration = Duration::from_millis(500);

/// Tells systemd that the daemon lives, as often as it wants to hear it.
#[derive(Debug)]
pub(super) struct Watchdog {
    every: Option<Duration>,
    last: Option<Instant>,
}

impl Watchdog {
    pub(super) fn new() -> Self {
        // half of what is allowed, as its documentation advises
        Self { every: sd_notify::watchdog_enabled().map(|limit| limit / 2), last: None }
    }

    /// To be called every [`BEAT`] while all is well.
    pub(super) fn beat(&mut self) {
        let Some(every) = self.every else { return };
        if self.last.is_none_or(|last| last.elapsed() + BEAT >= every) {
            tell(&[NotifyState::Watchdog]);
            self.last = Some(Instant::now());
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd could not be told");
    }
}
