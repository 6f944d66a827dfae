//! The loop of the three daemons: `sync --watch`, `origin` and `destination`.
//!
//! ```text
//!          ┌────────────── tick · the origin's index changed · a lock became free ◀────────┐
//!          ▼                                                                               │
//!   posts: whose work is it ──▶ round: look at the origin ▸ plan ▸ cycle ──▶ troubles ──▶ wait
//!   (a lock each, held for as   (sync: survey; origin: survey and record;    told once     │
//!    long as the daemon runs)    destination: the origin's sync info)                      │
//!                                                SIGHUP: read the configuration again ◀────┤
//!                                                SIGTERM, SIGINT: close the cycle, end ◀───┘
//! ```
//!
//! Nothing that goes wrong ends the loop: it is told once when it begins and once when it is over. What happens is told to
//! an [`Observer`]; how all of it stands, to the health endpoint and to systemd.

mod health;
mod order;
mod post;
mod resting;
mod round;
mod setback;
mod sift;
mod signals;
mod status;
mod systemd;
mod trouble;
mod watcher;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::health::HealthServer;
pub(crate) use self::post::{Post, Turn};
pub(crate) use self::resting::{Resting, unreached};
pub(crate) use self::setback::Setbacks;
pub(crate) use self::sift::{Sifted, Verdict, sift};
use self::signals::Signals;
use self::status::{DestinationStatus, SharedStatus, State};
use self::trouble::{Change, Kind, Trouble, Troubles};
use self::watcher::Watcher;
use crate::config::{self, Config, ConfigError, Loaded, Purpose, Sources};
use crate::connect::{self, ConnectError};
use crate::engine::{DestinationName, Engine, EngineError, Inventory, OriginRecord, Report, Side};

/// How often a daemon looks for changes if nobody says otherwise; v0.3's default.
pub const TICK: Duration = Duration::from_secs(10);
/// How often a daemon that stands by asks whether it may take over.
const STAND_BY: Duration = Duration::from_secs(1);
/// How long a store may take to say whether a lock is free.
const PATIENCE: Duration = Duration::from_secs(15);
/// What could not be looked at is tried again after so long, if the tick is longer, and then after longer and longer.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// Which daemon it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Both sides in one process: surveys the origin and copies to all destinations.
    Sync,
    /// Keeps the origin's sync info.
    Origin,
    /// Copies to destinations what the origin's sync info says is new.
    Destination,
}

impl Role {
    /// What a configuration is read for.
    #[must_use]
    pub fn purpose(self) -> Purpose {
        match self {
            Self::Sync => Purpose::Everything,
            Self::Origin => Purpose::OriginDaemon,
            Self::Destination => Purpose::DestinationDaemon,
        }
    }

    /// What its locks say they are held for.
    fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync --watch",
            Self::Origin => "origin daemon",
            Self::Destination => "destination daemon",
        }
    }
}

/// How a daemon is to run.
#[derive(Debug, Clone)]
pub struct DaemonOptions {
    /// Which one.
    pub role: Role,
    /// Where the configuration is read from again.
    pub sources: Sources,
    /// The destinations it is about; none: all.
    pub only: Vec<String>,
    /// How often it looks for changes; `None`: as configured.
    pub tick: Option<Duration>,
}

/// Why a daemon could not start, or go on with a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration cannot be used here and now.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It is to be about a destination that is not configured.
    #[error(transparent)]
    Destination(#[from] EngineError),
    /// The health endpoint cannot listen.
    #[error("health.address {address} cannot be listened at: {source}")]
    Health {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to: {0}")]
    Signals(std::io::Error),
}

/// How a daemon came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// SIGTERM; everything is saved.
    Terminated,
    /// SIGINT; everything is saved.
    Interrupted,
    /// A second signal; what was written but not yet saved is found again by the next cycle.
    AtOnce,
}

/// What a daemon has to tell.
#[derive(Debug)]
pub enum Note<'a> {
    /// It has started, or goes on with another configuration.
    Started {
        /// Which one.
        role: Role,
        /// How often it looks for changes.
        tick: Duration,
        /// The destinations it is about.
        destinations: Vec<&'a str>,
        /// Where it answers how it is.
        health: Option<SocketAddr>,
        /// Sides whose certificates nobody checks.
        unverified: &'a [String],
        /// The configuration was read again.
        again: bool,
    },
    /// The origin's sync info has changed.
    Recorded(OriginRecord),
    /// A cycle that did something, or tried to.
    Cycle(&'a Report),
    /// Something is wrong from now on.
    Trouble {
        /// `origin`, or a destination's name.
        subject: &'a str,
        /// What.
        message: &'a str,
    },
    /// It is over.
    Over {
        /// `origin`, or a destination's name.
        subject: &'a str,
        /// What had been wrong.
        message: &'a str,
        /// How long it lasted.
        after: Duration,
    },
    /// Another process does the work; this one takes over when that one ends.
    StandingBy {
        /// `origin`, or a destination's name.
        subject: &'a str,
        /// Who does it.
        held_by: &'a str,
    },
    /// This process does the work from now on.
    TookOver {
        /// `origin`, or a destination's name.
        subject: &'a str,
    },
    /// The new configuration cannot be used; the former one stays in force.
    NotReloaded(&'a DaemonError),
    /// A signal came: what is under way is closed.
    Stopping,
}

/// Takes what a daemon has to tell.
pub trait Observer: Send {
    /// Takes one note.
    fn note(&mut self, note: &Note<'_>);
}

/// Runs a daemon until a signal ends it.
///
/// # Errors
/// [`DaemonError`] when it cannot start. Once it runs, nothing but signals ends it.
pub async fn run(loaded: &Loaded, options: DaemonOptions, observer: &mut dyn Observer) -> Result<End, DaemonError> {
    let setup = Setup::new(&loaded.config, &options)?;
    let signals = Signals::listen().map_err(DaemonError::Signals)?;
    let status = SharedStatus::new(options.role, setup.tick);
    let health = match setup.health {
        Some(address) => Some(listen(address, &status).await?),
        None => None,
    };
    let beat = beat(&status);
    let mut daemon = Daemon {
        options,
        setup,
        health,
        watcher: None,
        posts: Vec::new(),
        troubles: Troubles::default(),
        setbacks: Setbacks::default(),
        resting: Resting::default(),
        former: None,
        status,
        line: String::new(),
        stop: signals.stop.clone(),
        observer,
    };
    daemon.begin(false);
    systemd::ready();
    tokio::select! {
        () = daemon.turn(&signals) => {}
        () = signals.at_once.cancelled() => return Ok(End::AtOnce),
        () = beat => {}
    }
    Ok(if signals.interrupted() { End::Interrupted } else { End::Terminated })
}

/// Shows for ever that the task it is awaited in is not stuck.
fn beat(status: &SharedStatus) -> impl Future<Output = ()> + use<> {
    let status = status.clone();
    let mut watchdog = systemd::Watchdog::new();
    async move {
        let mut beats = tokio::time::interval(systemd::BEAT);
        loop {
            beats.tick().await;
            status.beat();
            watchdog.beat();
        }
    }
}

async fn listen(address: SocketAddr, status: &SharedStatus) -> Result<HealthServer, DaemonError> {
    HealthServer::start(address, status.clone()).await.map_err(|source| DaemonError::Health { address, source })
}

/// What follows from a configuration.
#[derive(Debug)]
struct Setup {
    engine: Engine,
    posts: Vec<Post>,
    tick: Duration,
    /// How long finding out what the origin holds may take.
    survey_limit: Option<Duration>,
    health: Option<SocketAddr>,
    /// Sides whose certificates nobody checks.
    unverified: Vec<String>,
}

impl Setup {
    fn new(config: &Config, options: &DaemonOptions) -> Result<Self, DaemonError> {
        let engine = connect::engine(config)?;
        for name in &options.only {
            engine.lead_place(&Side::Destination(DestinationName::new(name)))?;
        }
        let chosen = config
            .destinations
            .iter()
            .filter(|one| options.only.is_empty() || options.only.contains(&one.name))
            .collect::<Vec<_>>();
        let configured = match options.role {
            Role::Sync | Role::Origin => config.origin.tick,
            Role::Destination => chosen.iter().map(|one| one.tick.unwrap_or(TICK)).min(),
        };
        let sides: Vec<Side> = match options.role {
            Role::Origin => vec![Side::Origin],
            Role::Sync | Role::Destination => {
                chosen.iter().map(|one| Side::Destination(DestinationName::new(&one.name))).collect()
            }
        };
        let posts = sides.into_iter().map(|side| Post::new(&engine, side)).collect::<Result<_, _>>()?;
        Ok(Self {
            engine,
            posts,
            tick: options.tick.or(configured).unwrap_or(TICK),
            survey_limit: config.origin.timeout,
            // a wrong address was refused with the rest of the configuration
            health: config.health.as_ref().and_then(|health| health.socket().ok()),
            unverified: config.unverified().map(str::to_owned).collect(),
        })
    }
}

struct Daemon<'a> {
    options: DaemonOptions,
    setup: Setup,
    health: Option<HealthServer>,
    watcher: Option<Watcher>,
    posts: Vec<Post>,
    troubles: Troubles,
    setbacks: Setbacks,
    resting: Resting,
    /// The origin's sync info as it was last read.
    former: Option<Arc<Inventory>>,
    status: SharedStatus,
    /// What systemd was last told.
    line: String,
    stop: CancellationToken,
    observer: &'a mut dyn Observer,
}

impl Daemon<'_> {
    /// Takes up what a configuration asks for; locks that it also needs are kept, the others are returned.
    fn begin(&mut self, again: bool) -> Vec<Post> {
        let engine = &self.setup.engine;
        let mut former = std::mem::replace(&mut self.posts, std::mem::take(&mut self.setup.posts));
        for post in &mut self.posts {
            post.inherit(&mut former);
        }
        self.watcher = (self.options.role == Role::Destination).then(|| Watcher::start(engine));
        self.setbacks = Setbacks::default();
        self.resting = Resting::default();
        self.former = None;
        let destinations: Vec<&str> = match self.options.role {
            Role::Origin => Vec::new(),
            Role::Sync | Role::Destination => self.posts.iter().map(Post::subject).collect(),
        };
        {
            let mut status = self.status.lock();
            status.tick = self.setup.tick;
            status.tls_unverified.clone_from(&self.setup.unverified);
            let former = std::mem::take(&mut status.destinations);
            status.destinations = destinations
                .iter()
                .map(|name| {
                    let former = former.iter().find(|one| one.destination == **name);
                    former.cloned().unwrap_or_else(|| DestinationStatus::new(name))
                })
                .collect();
        }
        let health = self.health.as_ref().map(|health| health.address);
        let (role, tick) = (self.options.role, self.setup.tick);
        self.observer.note(&Note::Started {
            role,
            tick,
            destinations,
            health,
            unverified: &self.setup.unverified,
            again,
        });
        former
    }

    /// The loop.
    async fn turn(&mut self, signals: &Signals) {
        let mut due = Instant::now();
        let mut retry = FIRST_RETRY;
        loop {
            let taken = self.take_posts().await;
            if self.stop.is_cancelled() {
                break;
            }
            let working = self.posts.iter().any(Post::is_held);
            if working && (taken || Instant::now() >= due) {
                let began = Instant::now();
                let round = self.round().await;
                if self.stop.is_cancelled() {
                    break;
                }
                retry = if round.stuck { (retry * 2).min(LONGEST_RETRY) } else { FIRST_RETRY };
                due = self.next(began, round.stuck.then_some(retry / 2));
            }
            self.show(if working { State::Waiting } else { State::StandingBy }, due);
            let soon = Instant::now() + STAND_BY;
            let wake = match (working, self.posts.iter().all(Post::is_held)) {
                (true, true) => due,
                (true, false) => due.min(soon),
                (false, _) => soon,
            };
            tokio::select! {
                () = signals.stop.cancelled() => break,
                () = signals.reload.notified() => {
                    self.reload().await;
                    due = Instant::now();
                }
                () = heard(self.watcher.as_ref()) => due = Instant::now(),
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        self.close().await;
    }

    /// When the next round is due.
    fn next(&self, began: Instant, retry: Option<Duration>) -> Instant {
        let now = Instant::now();
        let tick = (began + self.setup.tick).max(now);
        let retry = retry.map(|retry| now + retry);
        // one that was due already and not tried waits for the tick
        let setback = self.setbacks.next_after(began).map(|due| due.max(now + FIRST_RETRY));
        [retry, setback].into_iter().flatten().fold(tick, Instant::min)
    }

    /// Sees to it that the locks are held that can be. Tells whether there are more than before.
    async fn take_posts(&mut self) -> bool {
        let engine = self.setup.engine.clone();
        let purpose = self.options.role.as_str();
        let stop = self.stop.clone();
        let turns = join_all(self.posts.iter_mut().map(|post| async {
            match tokio::time::timeout(PATIENCE, post.take(&engine, purpose)).await {
                Ok(turn) => turn,
                Err(_) => {
                    Err(Trouble::new(post.subject(), Kind::Lock, "its store does not say whether its lock is free"))
                }
            }
        }));
        let turns = tokio::select! {
            turns = turns => turns,
            () = stop.cancelled() => return false,
        };
        let mut gained = false;
        let mut troubles: Vec<Trouble> = self.posts.iter().filter_map(Post::trouble).collect();
        for (post, turn) in self.posts.iter().zip(turns) {
            let subject = post.subject();
            match turn {
                Ok(Turn::Taken { stood_by }) => {
                    gained = true;
                    if stood_by {
                        self.observer.note(&Note::TookOver { subject });
                    }
                }
                Ok(Turn::Left) => {
                    let held_by = post.held_by.as_deref().unwrap_or_default();
                    self.observer.note(&Note::StandingBy { subject, held_by });
                }
                Ok(Turn::Held | Turn::StandingBy) => {}
                Err(trouble) => troubles.push(trouble),
            }
        }
        if let Some(reason) = self.watcher.as_ref().and_then(Watcher::trouble) {
            let message = format!("its changes are not heard of at once: {reason}");
            troubles.push(Trouble::new("origin", Kind::Watch, message));
        }
        self.tell(|_, kind| matches!(kind, Kind::Lock | Kind::Watch), troubles);
        gained
    }

    /// Replaces the troubles that were looked for by those that were found.
    fn tell(&mut self, looked: impl Fn(&str, Kind) -> bool, found: Vec<Trouble>) {
        for change in self.troubles.update(looked, found) {
            match &change {
                Change::Began { subject, message } => {
                    tracing::warn!(subject, "{message}");
                    self.observer.note(&Note::Trouble { subject, message });
                }
                Change::Over { subject, message, after } => {
                    tracing::info!(subject, "over: {message}");
                    self.observer.note(&Note::Over { subject, message, after: *after });
                }
            }
        }
    }

    /// Brings the picture up to date for whoever looks.
    fn show(&mut self, state: State, due: Instant) {
        let line = {
            let mut status = self.status.lock();
            status.state = state;
            let left = due.saturating_duration_since(Instant::now());
            // whoever stands by has none before it takes over
            let ticks = state != State::StandingBy;
            status.next_tick = if ticks { Timestamp::now().checked_add(left).ok() } else { None };
            status.origin.last_error = self.troubles.of("origin").map(str::to_owned);
            for one in &mut status.destinations {
                one.last_error = self.troubles.of(&one.destination).map(str::to_owned);
            }
            for post in &self.posts {
                let held_by = if post.is_held() { None } else { post.held_by.clone() };
                match &post.side {
                    Side::Origin => status.origin.locked_by = held_by,
                    Side::Destination(name) => {
                        if let Some(one) = status.of(name) {
                            one.locked_by = held_by;
                        }
                    }
                }
            }
            status.line()
        };
        if self.line != line {
            systemd::status(&line);
            self.line = line;
        }
    }

    /// Reads the configuration again. A good one takes over, a bad one leaves the former in force.
    async fn reload(&mut self) {
        systemd::reloading();
        if let Err(error) = self.try_reload().await {
            tracing::error!("the configuration was not taken over: {error}");
            self.observer.note(&Note::NotReloaded(&error));
        }
        systemd::ready();
    }

    async fn try_reload(&mut self) -> Result<(), DaemonError> {
        let loaded = config::load(&self.options.sources)?;
        let setup = Setup::new(&loaded.config, &self.options)?;
        if setup.health != self.health.as_ref().map(|health| health.address) {
            self.health = match setup.health {
                Some(address) => Some(listen(address, &self.status).await?),
                None => None,
            };
        }
        self.setup = setup;
        for mut post in self.begin(true) {
            post.release().await;
        }
        Ok(())
    }

    async fn close(&mut self) {
        systemd::stopping();
        self.status.lock().state = State::Stopping;
        join_all(self.posts.iter_mut().map(Post::release)).await;
    }
}

/// Returns when the origin's sync info has changed, if that is listened for.
async fn heard(watcher: Option<&Watcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}
