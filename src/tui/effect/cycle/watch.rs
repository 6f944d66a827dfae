//! Watch mode: what `vsync sync --watch` does, at the console.
//!
//! ```text
//!   take the destinations' locks ─▶ survey ▸ plan ▸ leave out what guards, others or failures hold back
//!        ▲                                                       │ something to do
//!        │                              the console agrees, unless a cycle runs there: the cycle ▸ plan anew
//!        └──────────────── tick, counted down second by second ◀─┘
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::super::refreshed;
use super::{Go, PURPOSE};
use crate::daemon::{Post, Resting, Setbacks, Sifted, Turn, Verdict, sift, unreached};
use crate::engine::{
    DestinationName, DestinationPlan, DestinationReport, Engine, Inventory, Plan, PlanOptions, Report, Side,
    held_back_in_words,
};
use crate::kv::SecretPath;
use crate::sync_info::Index;
use crate::tui::message::{Message, Work};
use crate::tui::watch::{News, Now, Standing};

/// How long a store may take to say whether a lock is free.
const PATIENCE: Duration = Duration::from_secs(15);
/// What could not be looked at is tried again after so long, if the tick is longer.
const RETRY: Duration = Duration::from_secs(5);
/// How often the time to the next tick is told, and whoever stands by asks whether it may take over.
const BEAT: Duration = Duration::from_secs(1);

/// A watch that runs.
#[derive(Debug)]
pub(in crate::tui::effect) struct Watch {
    stop: CancellationToken,
    left_out: UnboundedSender<DestinationName>,
    task: JoinHandle<()>,
}

impl Watch {
    pub(super) fn start(
        engine: Engine,
        only: Vec<DestinationName>,
        tick: Duration,
        overtaken: Arc<AtomicBool>,
        messages: UnboundedSender<Message>,
    ) -> Self {
        let stop = CancellationToken::new();
        let (left_out, leave_out) = mpsc::unbounded_channel();
        let names = engine.destinations().iter().map(|one| one.name.clone());
        let names = names.filter(|name| only.is_empty() || only.contains(name));
        // a destination of the engine has a lock
        let posts = names.filter_map(|name| Post::new(&engine, Side::Destination(name)).ok()).collect();
        let told = messages.clone();
        let watcher = Watcher {
            engine,
            only,
            tick,
            messages,
            stop: stop.clone(),
            leave_out,
            left_out: HashSet::new(),
            posts,
            setbacks: Setbacks::default(),
            resting: Resting::default(),
            standings: BTreeMap::new(),
            told: None,
            shown: None,
            overtaken,
        };
        let task = tokio::spawn(async move {
            if AssertUnwindSafe(watcher.run()).catch_unwind().await.is_err() {
                let _ = told.send(Message::Lost(Work::Watch));
            }
        });
        Self { stop, left_out, task }
    }

    /// Nothing is done any more at a destination.
    pub(super) fn leave_out(&self, destination: DestinationName) {
        let _ = self.left_out.send(destination);
    }

    /// Returns what is to be awaited until its locks are free.
    pub(super) fn stop(self) -> JoinHandle<()> {
        self.stop.cancel();
        self.task
    }
}

struct Watcher {
    engine: Engine,
    only: Vec<DestinationName>,
    tick: Duration,
    messages: UnboundedSender<Message>,
    stop: CancellationToken,
    leave_out: UnboundedReceiver<DestinationName>,
    left_out: HashSet<DestinationName>,
    posts: Vec<Post>,
    setbacks: Setbacks,
    resting: Resting,
    /// What stands against copying, found when it was last looked.
    standings: BTreeMap<DestinationName, Standing>,
    /// What the console was told last.
    told: Option<BTreeMap<DestinationName, Standing>>,
    /// What the console was shown last.
    shown: Option<Shown>,
    /// Whether it has been shown a plan of the operator's own since, which may be an older one.
    overtaken: Arc<AtomicBool>,
}

/// What a plan looks like to who reads it: one that looks the same need not be shown again.
#[derive(PartialEq)]
struct Shown {
    secrets: Index,
    unknown: Vec<String>,
    /// A fingerprint for each destination.
    parts: Vec<u64>,
}

impl Shown {
    fn of(plan: &Plan) -> Self {
        let part = |part: &DestinationPlan| {
            let mut hasher = DefaultHasher::new();
            (part.in_sync, &part.unknown, &part.unavailable).hash(&mut hasher);
            for task in &part.tasks {
                let version = task.insight.map(|insight| insight.version);
                (task.operation.as_str(), &task.origin, &task.destination, version).hash(&mut hasher);
            }
            for drift in &part.drifted {
                (&drift.origin, drift.ours, drift.found, drift.kept).hash(&mut hasher);
            }
            part.objections.iter().for_each(|objection| objection.to_string().hash(&mut hasher));
            hasher.finish()
        };
        Self {
            secrets: plan.inventory.secrets.index(),
            unknown: plan.inventory.unknown.iter().map(|unknown| unknown.prefix.clone()).collect(),
            parts: plan.destinations.iter().map(part).collect(),
        }
    }
}

impl Watcher {
    async fn run(mut self) {
        let stop = self.stop.clone();
        let mut due = Instant::now();
        while !stop.is_cancelled() {
            let gained = tokio::select! {
                gained = self.take_posts() => gained,
                () = stop.cancelled() => break,
            };
            let working = self.posts.iter().any(Post::is_held);
            if working && (gained || Instant::now() >= due) {
                let began = Instant::now();
                let stuck = tokio::select! {
                    stuck = self.round() => stuck,
                    () = stop.cancelled() => break,
                };
                due = self.next(began, stuck);
            }
            self.tell_standings();
            let left = due.saturating_duration_since(Instant::now());
            self.tell(News::Now(if working { Now::Waiting(left) } else { Now::StandingBy }));
            // on the whole seconds before the tick, so that each is told once
            let beat = match left.subsec_nanos() {
                _ if !working => BEAT,
                0 => BEAT.min(left),
                nanos => Duration::from_nanos(u64::from(nanos)),
            };
            tokio::select! {
                () = stop.cancelled() => break,
                Some(name) = self.leave_out.recv() => { self.left_out.insert(name); }
                () = tokio::time::sleep(beat.max(Duration::from_millis(20))) => {}
            }
        }
        join_all(self.posts.iter_mut().map(Post::release)).await;
        self.tell(News::Over);
    }

    /// When the next round is due.
    fn next(&self, began: Instant, stuck: bool) -> Instant {
        let now = Instant::now();
        let tick = (began + self.tick).max(now);
        let retry = stuck.then(|| now + RETRY);
        let setback = self.setbacks.next_after(began).map(|due| due.max(now + RETRY));
        [retry, setback].into_iter().flatten().fold(tick, Instant::min)
    }

    fn tell(&self, news: News) {
        let _ = self.messages.send(Message::Watch(news));
    }

    /// Sees to it that the locks are held that can be. Whether there are more than before.
    async fn take_posts(&mut self) -> bool {
        let engine = self.engine.clone();
        let turns =
            join_all(self.posts.iter_mut().map(|post| tokio::time::timeout(PATIENCE, post.take(&engine, PURPOSE))));
        let turns = turns.await;
        let mut gained = false;
        for (post, turn) in self.posts.iter().zip(turns) {
            let Side::Destination(name) = &post.side else { continue };
            let standing = match turn {
                Ok(Ok(Turn::Taken { .. })) => {
                    gained = true;
                    None
                }
                Ok(Ok(Turn::Held)) => post.trouble().map(|trouble| Standing::NoLock(trouble.message)),
                Ok(Ok(Turn::StandingBy | Turn::Left)) => {
                    Some(Standing::LedBy(post.held_by.clone().unwrap_or_default()))
                }
                Ok(Err(trouble)) => Some(Standing::NoLock(trouble.message)),
                Err(_) => Some(Standing::NoLock("its store does not say whether its lock is free".to_owned())),
            };
            match standing {
                Some(standing) => {
                    self.standings.insert(name.clone(), standing);
                }
                None => {
                    if matches!(self.standings.get(name), Some(Standing::LedBy(_) | Standing::NoLock(_))) {
                        self.standings.remove(name);
                    }
                }
            }
        }
        gained
    }

    fn tell_standings(&mut self) {
        for name in &self.left_out {
            self.standings.insert(name.clone(), Standing::LeftOut);
        }
        if self.told.as_ref() != Some(&self.standings) {
            self.told = Some(self.standings.clone());
            self.tell(News::Standings(self.standings.clone()));
        }
    }

    /// Looks, and has done what is to be done. Whether something could not be looked at or begun.
    async fn round(&mut self) -> bool {
        self.tell_standings();
        self.tell(News::Now(Now::Looking));
        let inventory = Arc::new(self.engine.survey(None).await);
        let plan = self.plan(&inventory).await;
        self.show(&plan).await;
        self.tell(News::Looked(plan.created));
        while let Ok(name) = self.leave_out.try_recv() {
            self.left_out.insert(name);
        }
        self.resting.ask(&self.engine).await;
        let (plan, mut tried) = self.sift(plan);
        self.tell_standings();
        let stuck = |watcher: &Self| watcher.standings.values().any(|one| matches!(one, Standing::Stuck(_)));
        if plan.destinations.is_empty() {
            // otherwise the cycle does it
            if let Err(error) = self.engine.record_origin_beside(&inventory, PURPOSE).await {
                tracing::warn!("the origin's state was not saved: {error}");
                return true;
            }
            return stuck(self);
        }
        self.tell(News::Now(Now::Copying));
        let (ended, end) = oneshot::channel();
        self.tell(News::Ready(Box::new(Go { plan, ended })));
        // dropped: the operator has a cycle of their own, or nothing could be begun
        let Ok(report) = end.await else { return stuck(self) };
        for part in &report.destinations {
            if let Some(tried) = tried.remove(&part.destination) {
                self.fold(part, &tried);
            }
        }
        self.tell(News::Now(Now::Looking));
        // what failed looks the same in a plan
        self.shown = None;
        let plan = self.plan(&inventory).await;
        self.show(&plan).await;
        self.note(&report);
        stuck(self)
    }

    /// For all destinations: the console shows those that others look after, too.
    async fn plan(&self, inventory: &Arc<Inventory>) -> Plan {
        self.engine.plan(Arc::clone(inventory), &PlanOptions { only: self.only.clone(), again: false }).await
    }

    async fn show(&mut self, plan: &Plan) {
        let shown = Shown::of(plan);
        if self.overtaken.swap(false, Ordering::Relaxed) {
            self.shown = None;
        }
        if self.shown.as_ref() != Some(&shown) {
            self.shown = Some(shown);
            let refreshed = refreshed(&self.engine, Arc::new(plan.clone())).await;
            let _ = self.messages.send(Message::Refreshed(Box::new(refreshed)));
            self.tell(News::Changed);
        }
    }

    fn is_held(&self, name: &DestinationName) -> bool {
        self.posts.iter().any(|post| post.is_held() && post.side == Side::Destination(name.clone()))
    }

    /// What of a plan is to be done now, and the paths of that. The rest has to wait.
    fn sift(&mut self, plan: Plan) -> (Plan, HashMap<DestinationName, HashSet<SecretPath>>) {
        let ours = plan.destinations.iter().map(|part| part.destination.clone());
        let ours: Vec<DestinationName> = ours.filter(|name| self.is_held(name)).collect();
        let (mut plan, sifted) = sift(&self.engine, plan, &ours, &mut self.setbacks, &mut self.resting);
        let mut tried = HashMap::new();
        for Sifted { part, verdict, .. } in sifted {
            let name = part.destination.clone();
            if self.left_out.contains(&name) {
                continue;
            }
            let is_ready = matches!(verdict, Verdict::Ready);
            let standing = match verdict {
                Verdict::Unreadable(reason) => Some(Standing::Stuck(reason)),
                Verdict::Guarded(reason) | Verdict::Unreached(reason) | Verdict::Waiting(reason) => {
                    Some(Standing::HeldBack(reason))
                }
                Verdict::Idle | Verdict::Ready if part.held_back > 0 => {
                    Some(Standing::Unconfirmed(held_back_in_words(&name, part.held_back)))
                }
                Verdict::Idle | Verdict::Ready => None,
            };
            match standing {
                Some(standing) => {
                    self.standings.insert(name.clone(), standing);
                }
                None => {
                    self.standings.remove(&name);
                }
            }
            if is_ready {
                tried.insert(name, part.tasks.iter().map(|task| task.origin.clone()).collect());
                plan.destinations.push(part);
            }
        }
        (plan, tried)
    }

    /// Takes in what became of one destination.
    fn fold(&mut self, part: &DestinationReport, tried: &HashSet<SecretPath>) {
        self.setbacks.fold(part, tried);
        match &part.blocked {
            Some(reason) if part.wants_rest() => {
                self.resting.add(&part.destination, reason, part.canaries_failed);
                let standing = Standing::HeldBack(unreached(reason, part.pending));
                self.standings.insert(part.destination.clone(), standing);
                return;
            }
            _ => self.resting.remove(&part.destination),
        }
        let standing = match (&part.locked, &part.blocked) {
            (Some(holder), _) => format!("another cycle is at work, of {holder}"),
            (None, Some(reason)) => reason.clone(),
            (None, None) => return,
        };
        self.standings.insert(part.destination.clone(), Standing::Stuck(standing));
    }

    fn note(&self, report: &Report) {
        self.tell(News::Looked(Timestamp::now()));
        tracing::info!(
            cycle = %report.cycle, done = report.done().total(), failed = report.failed(), pending = report.pending(),
            "a cycle of the watch has ended"
        );
    }
}
