//! Whether a server answers, and when it is asked again if it does not.
//!
//! ```text
//!   unwell when a request is tried again
//!  or not answered for five seconds,
//!          or limit misses in a row            answers again
//!  at work ────────────────────────▶ set aside ────────────────────▶ at work
//!                                    asked after 0.5 s, 1 s, 2 s … 30 s
//!                                        │ longer than `patience`, or the token is dead
//!                                        ▼
//!                                       gone: what is left stays pending
//! ```
//!
//! A request that fails is tried again for a while by itself, and one that is not answered waits for its timeout. Meanwhile
//! the server is asked how it is, so that a dead one is not found out only when many requests have given up.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{brief, lock};
use crate::engine::event::Aside;
use crate::engine::policy::Access;
use crate::engine::report::{Cause, Failed};
use crate::vault::{VaultClient, VaultError};

/// The first pause before a server that was set aside is asked again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a server is asked how it is while requests to it are held up.
const DOUBT: Duration = Duration::from_secs(1);

/// A server as the workers of a cycle find it.
#[derive(Debug)]
pub(in crate::engine) struct Reach {
    at_origin: bool,
    limit: u32,
    patience: Duration,
    server: VaultClient,
    standing: Mutex<Standing>,
    changed: Notify,
}

#[derive(Debug)]
struct Standing {
    misses: u32,
    /// Since when it has not done anything that it was to do.
    trouble: Option<Instant>,
    /// When it was last asked how it is because requests were held up.
    doubted: Option<Instant>,
    /// How often it was asked in vain since.
    pauses: u32,
    aside: Option<SetAside>,
    gone: Option<String>,
}

#[derive(Debug)]
struct SetAside {
    since: Instant,
    reason: String,
    next: Instant,
    asking: bool,
}

/// Whether a worker may take a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    /// Never again in this cycle.
    Gone,
}

enum Turn {
    Over(Admission),
    Ask,
    Wait(Instant),
}

impl Reach {
    /// `limit`: so many tasks in a row that fail because it does not answer set it aside.
    pub(in crate::engine) fn of_origin(server: VaultClient, limit: usize, patience: Duration) -> Self {
        Self { at_origin: true, ..Self::of_destination(server, limit, patience) }
    }

    pub(in crate::engine) fn of_destination(server: VaultClient, limit: usize, patience: Duration) -> Self {
        let standing = Standing { misses: 0, trouble: None, doubted: None, pauses: 0, aside: None, gone: None };
        Self {
            at_origin: false,
            limit: u32::try_from(limit).unwrap_or(u32::MAX).max(4),
            patience,
            server,
            standing: Mutex::new(standing),
            changed: Notify::new(),
        }
    }

    pub(super) fn answered(&self) {
        let mut standing = lock(&self.standing);
        (standing.misses, standing.pauses, standing.trouble) = (0, 0, None);
    }

    /// Since when, and why, nothing is sent to it; `None` while it is at work.
    pub(in crate::engine) fn aside(&self) -> Option<Aside> {
        let standing = lock(&self.standing);
        let aside = standing.aside.as_ref()?;
        Some(Aside {
            origin: self.at_origin,
            since: aside.since.elapsed(),
            reason: aside.reason.clone(),
            next: aside.next.saturating_duration_since(Instant::now()),
        })
    }

    /// Why nothing more is sent to it in this cycle.
    pub(in crate::engine) fn gone(&self) -> Option<String> {
        lock(&self.standing).gone.clone()
    }

    /// Nobody waits for it any longer, if it is set aside.
    pub(in crate::engine) fn give_up(&self) {
        lock(&self.standing).give_up(self.at_origin);
        self.changed.notify_waiters();
    }

    /// Requests are held up: asks the server how it is, if that was not done just now. A server that is unwell is set
    /// aside.
    pub(in crate::engine) async fn doubt(&self) {
        {
            let mut standing = lock(&self.standing);
            let now = Instant::now();
            let asked = standing.doubted.is_some_and(|asked| now.duration_since(asked) < DOUBT);
            if asked || standing.aside.is_some() || standing.gone.is_some() {
                return;
            }
            standing.doubted = Some(now);
        }
        if let Err(reason) = is_well(&self.server).await {
            self.set_aside(reason);
        }
    }

    /// Nothing but the question how it is is sent to it for now.
    pub(super) fn set_aside(&self, reason: String) {
        let mut standing = lock(&self.standing);
        if standing.aside.is_some() || standing.gone.is_some() {
            return;
        }
        let server = if self.at_origin { "the origin" } else { "the server" };
        tracing::warn!(server = self.server.address(), "{server} is set aside and asked again later: {reason}");
        let now = Instant::now();
        let since = *standing.trouble.get_or_insert(now);
        let next = now + standing.pause();
        standing.aside = Some(SetAside { since, reason, next, asking: false });
    }

    /// Gives it up if it has been set aside for longer than it may be.
    pub(in crate::engine) fn lose_patience(&self) {
        let mut standing = lock(&self.standing);
        let late = standing.trouble.is_some_and(|since| since.elapsed() >= self.patience);
        if late && standing.aside.is_some() {
            standing.give_up(self.at_origin);
            drop(standing);
            self.changed.notify_waiters();
        }
    }

    /// Whether it is at work, as far as is known.
    pub(super) fn is_at_work(&self) -> bool {
        let standing = lock(&self.standing);
        standing.aside.is_none() && standing.gone.is_none()
    }

    /// Notes the failure of a request, and makes a task's failure of it.
    pub(super) fn failed(&self, error: &VaultError) -> Failed {
        let mut failed = Failed::new(error.kind().into(), brief(error));
        if !self.at_origin && error.says_no_mount() {
            failed.message.push_str("; the mount is missing there: create it, or set create_mounts = true");
        }
        if failed.cause == Cause::Permission {
            failed.denied = Access::of(self.at_origin, error.operation());
        }
        if !failed.cause.is_of_server() {
            self.answered();
            return failed;
        }
        failed.unreached = Some(self.at_origin);
        let mut standing = lock(&self.standing);
        standing.trouble.get_or_insert_with(Instant::now);
        standing.misses += 1;
        if standing.misses < self.limit || standing.aside.is_some() || standing.gone.is_some() {
            return failed;
        }
        if failed.cause == Cause::Token {
            let server = if self.at_origin { "the origin" } else { "the server" };
            standing.gone = Some(format!("{server} no longer accepts the token: {}", error.message()));
            drop(standing);
            self.changed.notify_waiters();
        } else {
            drop(standing);
            self.set_aside(error.message().to_owned());
        }
        failed
    }

    /// Why it can do nothing, if so.
    pub(super) async fn is_well(&self) -> Result<(), String> {
        is_well(&self.server).await
    }

    /// Waits while it is set aside. One of those who wait asks the server now and then.
    pub(super) async fn admission(&self) -> Admission {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            match self.turn() {
                Turn::Over(admission) => return admission,
                Turn::Ask => {
                    // whoever is cut off lets another one ask
                    let mut asking = Asking { reach: self, well: None };
                    let well = self.is_well().await.is_ok();
                    asking.well = Some(well);
                }
                Turn::Wait(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until.into()) => {}
                        () = changed => {}
                    }
                }
            }
        }
    }

    fn turn(&self) -> Turn {
        let mut standing = lock(&self.standing);
        if standing.gone.is_some() {
            return Turn::Over(Admission::Gone);
        }
        let now = Instant::now();
        match standing.aside.as_mut() {
            None => Turn::Over(Admission::Granted),
            Some(aside) if aside.asking => Turn::Wait(now + LONGEST_PAUSE),
            Some(aside) if aside.next <= now => {
                aside.asking = true;
                Turn::Ask
            }
            Some(aside) => Turn::Wait(aside.next),
        }
    }

    fn asked(&self, well: Option<bool>) {
        let mut standing = lock(&self.standing);
        // one that says that it is well, time and again, and does nothing
        let late = standing.trouble.is_some_and(|since| since.elapsed() >= self.patience);
        let pause = standing.pause();
        match (standing.aside.as_mut(), well) {
            (None, _) => {}
            (Some(aside), None) => aside.asking = false,
            (Some(_), _) if late => standing.give_up(self.at_origin),
            (Some(_), Some(true)) => {
                tracing::info!(server = self.server.address(), "the server answers again");
                (standing.misses, standing.aside) = (0, None);
            }
            (Some(aside), Some(false)) => {
                (aside.asking, aside.next) = (false, Instant::now() + pause);
            }
        }
        drop(standing);
        self.changed.notify_waiters();
    }
}

/// Why a server can do nothing, in its own words or the system's, if so.
pub(in crate::engine) async fn is_well(server: &VaultClient) -> Result<(), String> {
    let health = server.health().await.map_err(|error| error.message().to_owned())?;
    if let Some(obstacle) = health.obstacle() {
        return Err(format!("it is {obstacle}"));
    }
    // a standby passes requests on, if there is somebody to pass them on to
    if health.standby && matches!(server.has_leader().await, Ok(false)) {
        return Err("its cluster has no leader".to_owned());
    }
    Ok(())
}

impl Standing {
    fn pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.pauses.min(10)).min(LONGEST_PAUSE);
        self.pauses += 1;
        pause
    }

    fn give_up(&mut self, at_origin: bool) {
        let Some(aside) = self.aside.take() else { return };
        let server = if at_origin { "the origin" } else { "the server" };
        let how = match aside.since.elapsed().as_secs() {
            0 => "does not answer".to_owned(),
            seconds => format!("did not answer for {seconds} s"),
        };
        self.gone = Some(format!("{server} {how}: {}", aside.reason));
    }
}

/// Notes what came of asking, also when it was cut off.
struct Asking<'a> {
    reach: &'a Reach,
    well: Option<bool>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.reach.asked(self.well);
    }
}
