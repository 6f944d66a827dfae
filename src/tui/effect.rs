//! The one place that starts work on the engine and turns its end into a message.

pub(super) mod browse;
pub(super) mod cycle;
pub(super) mod failures;
pub(super) mod history;
pub(super) mod logs;
pub(super) mod overview;
pub(super) mod plan;
pub(super) mod transforms;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Exit;
use failures::Judged;

use super::message::{Asked, Message, Purpose, Refreshed, Selected, SideStatus, Work};
use super::outcome;
use super::screen::overview::News;
use super::widget::tree::{Growth, Tree};
use crate::config::RulesFile;
use crate::engine::{
    Cause, CycleControl, CycleHandle, CycleId, CycleOptions, Decision, DestinationName, DestinationPlan, Engine,
    EngineError, Event, Failure, InventoryUpdate, Plan, PlanOptions, Report, Side,
};
use crate::kv::{Mount, SecretPath, SecretText};
use crate::logging::LogTail;

/// Marked tasks: destination and origin path.
pub(super) type Marked = BTreeSet<(DestinationName, SecretPath)>;

/// For so long a question that comes up by itself takes no answer: what is pressed then was meant for something else.
const READING: Duration = Duration::from_millis(400);

/// Work that `update` asks for.
#[derive(Debug)]
pub(super) enum Effect {
    /// Ask all servers how they are.
    Probe,
    /// Survey, plan, read the failures that stand.
    Refresh,
    /// Read the last reports.
    Reports,
    Browse(browse::Request),
    Plan(plan::Request),
    Cycle(cycle::Request),
    Failures(failures::Request),
    History(history::Request),
    Transforms(transforms::Request),
    Logs(logs::Request),
    /// Put a text into the clipboard of the operator's terminal.
    Copy(String),
    /// Put the value of a secret there.
    CopySecret(SecretText),
    /// Cut a part out of a plan, to be confirmed.
    Select {
        plan: Arc<Plan>,
        asked: Asked,
    },
    /// Refresh, then select.
    Retry(Asked),
    /// Say when the question has been there for long enough to be read.
    Arm,
    /// Execute a plan.
    Start {
        plan: Box<Plan>,
        dry_run: bool,
        manner: Manner,
    },
    /// Steer the running cycle.
    Control(Control),
    /// Take the mouse, or leave it to the terminal.
    CaptureMouse(bool),
    /// Stop the process until the shell continues it.
    Suspend,
    /// End the console.
    Quit(Exit),
}

/// How a plan is executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As the configuration says.
    Usual,
    /// Exactly as it was saved.
    Exact,
    /// What failed is tried again.
    Retrying,
    /// What this cycle changed is taken back.
    Undoing(CycleId),
    /// With this done about what somebody else wrote.
    Deciding(Decision),
}

/// Which tasks of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Keep {
    All,
    Destination(DestinationName),
    Marked(Marked),
}

impl Keep {
    fn keeps(&self, destination: &DestinationName, origin: &SecretPath) -> bool {
        match self {
            Self::All => true,
            Self::Destination(name) => name == destination,
            Self::Marked(marked) => marked.contains(&(destination.clone(), origin.clone())),
        }
    }

    fn concerns(&self, destination: &DestinationName) -> bool {
        match self {
            Self::All => true,
            Self::Destination(name) => name == destination,
            Self::Marked(marked) => marked.iter().any(|(name, _)| name == destination),
        }
    }
}

/// What can be done to a running cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Pause,
    Resume,
    Cancel,
    Workers(usize),
}

/// Carries out what `update` asks for.
pub(super) trait Perform {
    /// Starts the work; its end comes back as a message.
    fn perform(&mut self, effect: Effect);
}

/// The engine behind the console.
#[derive(Debug)]
pub(super) struct Worker {
    engine: Engine,
    only: Vec<DestinationName>,
    options: CycleOptions,
    messages: UnboundedSender<Message>,
    refresh: Option<JoinHandle<()>>,
    /// Whether there was a plan: from then on its tree stays until that of the next plan is there.
    planned: Arc<AtomicBool>,
    /// Set whenever the operator's own look at everything has ended, for the watch.
    planned_by_hand: Arc<AtomicBool>,
    /// Servers, and stores about locks, that are being asked: nobody is asked twice at once, so answers come in order.
    probes: HashMap<Side, JoinHandle<()>>,
    lookups: HashMap<Side, JoinHandle<()>>,
    reports: Option<JoinHandle<()>>,
    describe: Option<JoinHandle<()>>,
    inspections: browse::Inspections,
    running: Option<(CycleControl, JoinHandle<()>)>,
    watch: Option<cycle::Watch>,
    /// Watches that are letting go of their locks.
    former_watches: Vec<JoinHandle<()>>,
    log: Option<LogTail>,
    desk: transforms::Desk,
}

impl Worker {
    /// Sends what it finds to `messages`.
    pub(super) fn new(
        engine: Engine,
        only: Vec<DestinationName>,
        options: CycleOptions,
        rules: Option<RulesFile>,
        messages: UnboundedSender<Message>,
    ) -> Self {
        Self {
            engine,
            only,
            options,
            messages,
            refresh: None,
            planned: Arc::default(),
            planned_by_hand: Arc::default(),
            probes: HashMap::new(),
            lookups: HashMap::new(),
            reports: None,
            describe: None,
            inspections: browse::Inspections::default(),
            running: None,
            watch: None,
            former_watches: Vec::new(),
            log: None,
            desk: transforms::Desk::new(rules),
        }
    }

    /// Whether a cycle still runs.
    pub(super) fn is_running(&self) -> bool {
        self.running.as_ref().is_some_and(|(_, task)| !task.is_finished())
    }

    /// Cancels the cycle that runs, if one does, and waits until its writes in flight are recorded.
    pub(super) async fn finish(&mut self) {
        if let Some((control, task)) = self.running.take() {
            if !task.is_finished() {
                control.cancel();
            }
            // No error is left to tell: a panic is caught in there.
            let _ = task.await;
        }
    }

    fn probe(&mut self) {
        let sides = self.engine.destinations().iter().map(|destination| destination.name.clone());
        let sides = sides.filter(|name| self.only.is_empty() || self.only.contains(name)).map(Side::Destination);
        let _ = self.messages.send(Message::Overview(News::Asking(Timestamp::now())));
        for side in std::iter::once(Side::Origin).chain(sides) {
            let is_asked =
                |asked: &HashMap<Side, JoinHandle<()>>| asked.get(&side).is_some_and(|one| !one.is_finished());
            if !is_asked(&self.probes) {
                let probe = tokio::spawn(probe_server(self.engine.clone(), side.clone(), self.messages.clone()));
                self.probes.insert(side.clone(), probe);
            }
            if !is_asked(&self.lookups) {
                let lookup = overview::look_for_holders(self.engine.clone(), side.clone(), self.messages.clone());
                self.lookups.insert(side, tokio::spawn(lookup));
            }
        }
    }

    fn refresh(&mut self, retry: Option<Asked>) {
        if let Some(before) = self.refresh.take() {
            before.abort();
        }
        let (engine, only, messages) = (self.engine.clone(), self.only.clone(), self.messages.clone());
        let planned = Arc::clone(&self.planned);
        let by_hand = Arc::clone(&self.planned_by_hand);
        self.refresh = Some(tokio::spawn(async move {
            let growth = (!planned.load(Ordering::Relaxed)).then(|| {
                let taking_part = |name: &&DestinationName| only.is_empty() || only.contains(name);
                let width = engine.destinations().iter().map(|one| &one.name).filter(taking_part).count();
                Growth::new(width, engine.origin().mounts.clone())
            });
            let looked = AssertUnwindSafe(look_again(&engine, &only, growth, &messages)).catch_unwind().await;
            let Ok(refreshed) = looked else {
                let _ = messages.send(Message::Lost(Work::Refresh));
                return;
            };
            let inventory = Arc::clone(&refreshed.plan.inventory);
            planned.store(true, Ordering::Relaxed);
            let _ = messages.send(Message::Refreshed(Box::new(refreshed)));
            by_hand.store(true, Ordering::Relaxed);
            if let Some(asked) = retry {
                // by itself, so that looking at everything once more does not take it back
                tokio::spawn(async move {
                    // what was left alone is tried again, too: somebody may have put it right
                    let engine = match asked.purpose {
                        Purpose::Decide(decision) => engine.deciding(decision),
                        _ => engine,
                    };
                    let plan = engine.plan(inventory, &PlanOptions { only, again: true }).await;
                    select(&engine, &plan, asked, &messages);
                });
            }
        }));
    }

    fn reports(&mut self) {
        if let Some(before) = self.reports.take() {
            before.abort();
        }
        let (engine, messages) = (self.engine.clone(), self.messages.clone());
        self.reports = Some(tokio::spawn(async move {
            let reports = engine.history(20).await.map_err(|error| error.to_string());
            let _ = messages.send(Message::Reports(reports));
        }));
    }

    fn start(&mut self, plan: Plan, dry_run: bool, manner: Manner) {
        let undoes = if let Manner::Undoing(cycle) = manner { Some(cycle) } else { None };
        let purpose = match manner {
            Manner::Retrying => "retry",
            Manner::Undoing(_) => "undo",
            Manner::Usual | Manner::Exact | Manner::Deciding(_) => self.options.purpose,
        };
        let exact = manner == Manner::Exact || undoes.is_some();
        let confirmed = plan.irrevocable();
        let options = CycleOptions { dry_run, exact, confirmed, undoes, purpose, ..self.options.clone() };
        let started = match manner {
            Manner::Usual | Manner::Exact | Manner::Retrying | Manner::Undoing(_) => self.engine.start(plan, options),
            Manner::Deciding(decision) => self.engine.deciding(decision).start(plan, options),
        };
        self.begun(started, None);
    }

    /// `ended` is told of the cycle's end, unless it breaks off.
    fn begun(&mut self, started: Result<CycleHandle, EngineError>, ended: Option<oneshot::Sender<Arc<Report>>>) {
        match started {
            Ok(handle) => {
                let control = handle.control();
                let messages = self.messages.clone();
                let task = tokio::spawn(async move {
                    let followed = AssertUnwindSafe(follow(handle, messages.clone())).catch_unwind().await;
                    match (followed, ended) {
                        (Ok(report), Some(ended)) => {
                            // whoever waited may have gone
                            let _ = ended.send(report);
                        }
                        (Ok(_), None) => {}
                        (Err(_), _) => {
                            let _ = messages.send(Message::Lost(Work::Cycle));
                        }
                    }
                });
                self.running = Some((control, task));
            }
            Err(error) => {
                let _ = self.messages.send(Message::Refused(error.to_string()));
            }
        }
    }

    fn control(&self, control: Control) {
        if let Some((cycle, _)) = &self.running {
            match control {
                Control::Pause => cycle.pause(),
                Control::Resume => cycle.resume(),
                Control::Cancel => cycle.cancel(),
                Control::Workers(count) => cycle.set_workers(count),
            }
        }
    }
}

impl Perform for Worker {
    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Probe => self.probe(),
            Effect::Refresh => self.refresh(None),
            Effect::Retry(asked) => self.refresh(Some(asked)),
            Effect::Reports => self.reports(),
            Effect::Browse(request) => self.browse(request),
            Effect::Plan(request) => self.plan(request),
            Effect::Cycle(request) => self.cycle(request),
            Effect::Failures(request) => self.failures(request),
            Effect::History(request) => self.history(request),
            Effect::Transforms(request) => self.transforms(request),
            Effect::Logs(request) => self.logs(request),
            Effect::Select { plan, asked } => {
                let (engine, messages) = (self.engine.clone(), self.messages.clone());
                tokio::task::spawn_blocking(move || select(&engine, &plan, asked, &messages));
            }
            Effect::Arm => {
                let messages = self.messages.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(READING).await;
                    let _ = messages.send(Message::Armed);
                });
            }
            Effect::Start { plan, dry_run, manner } => self.start(*plan, dry_run, manner),
            Effect::Control(control) => self.control(control),
            // The loop does these itself.
            Effect::Copy(_) | Effect::CopySecret(_) | Effect::CaptureMouse(_) | Effect::Suspend | Effect::Quit(_) => {}
        }
    }
}

/// Asks how a server is.
async fn probe_server(engine: Engine, side: Side, messages: UnboundedSender<Message>) {
    if let Ok(probe) = engine.probe(&side).await {
        let status = SideStatus {
            health: probe.health.map_err(|error| error.message().to_owned()),
            token: probe.token.map(|token| token.map_err(|error| error.message().to_owned())),
            latency: probe.latency,
        };
        let _ = messages.send(Message::Probed(side, status));
    }
}

/// What is kept of a plan, with the guards checked anew.
fn part_of(engine: &Engine, plan: &Plan, keep: &Keep) -> Plan {
    let mut part = engine.select(plan, |destination, task| keep.keeps(destination, &task.origin));
    // What stands against one destination must not stand against the others when they alone are chosen.
    part.destinations.retain(|part| keep.concerns(&part.destination));
    part
}

fn select(engine: &Engine, plan: &Plan, asked: Asked, messages: &UnboundedSender<Message>) {
    let mut plan = part_of(engine, plan, &asked.keep);
    if asked.purpose == Purpose::Exact {
        // where the saved plan has no line, not even records are to be brought in order
        plan.destinations.retain(|part| !part.tasks.is_empty());
    }
    let _ = messages.send(Message::Selected(Box::new(Selected { plan, asked })));
}

async fn look_again(
    engine: &Engine,
    only: &[DestinationName],
    growth: Option<Growth>,
    messages: &UnboundedSender<Message>,
) -> Refreshed {
    let (updates, arriving) = mpsc::unbounded_channel();
    let (inventory, ()) = tokio::join!(engine.survey(Some(updates)), pass_on(arriving, growth, messages));
    refreshed(
        engine,
        Arc::new(engine.plan(Arc::new(inventory), &PlanOptions { only: only.to_vec(), again: false }).await),
    )
    .await
}

/// A new plan with all that hangs on it.
async fn refreshed(engine: &Engine, plan: Arc<Plan>) -> Refreshed {
    let failures = engine.standing_failures().await.map_err(|error| error.to_string());
    let ignored = engine.ignored().await.map_err(|error| error.to_string());
    let failures = failures.map(|mut standing| {
        let of_part = |part: &DestinationPlan| {
            with_drift(standing.remove(&part.destination).unwrap_or_default(), part, plan.created)
        };
        let parts =
            plan.destinations.iter().map(|part| part.destination.clone()).zip(plan.destinations.iter().map(of_part));
        parts.flat_map(|(name, failures)| failures.into_iter().map(move |one| (name.clone(), one))).collect::<Vec<_>>()
    });
    let mounts: Vec<Mount> = engine.origin().mounts.clone();
    let failures = failures.and_then(|failures| Ok(Judged::new(failures, ignored?)));
    let known = failures.as_ref().map(|judged| judged.minded.clone()).unwrap_or_default();
    let planned = plan.clone();
    // A million secrets take a moment, in which keys must not wait.
    let begun = Instant::now();
    let built = tokio::task::spawn_blocking(move || Tree::of_plan(&planned, &known, &mounts)).await;
    tracing::debug!(milliseconds = begun.elapsed().as_millis(), "the tree is made");
    let tree = built.unwrap_or_else(|_| Tree::new(plan.destinations.len()));
    Refreshed { plan, tree, failures }
}

/// Failures that stand, and what is known to have drifted: the reports that met it first may be long gone.
fn with_drift(mut failures: Vec<Failure>, part: &DestinationPlan, known: Timestamp) -> Vec<Failure> {
    // what is kept has been decided, whatever earlier reports say
    let kept: HashSet<&SecretPath> =
        part.drifted.iter().filter(|drift| drift.kept).map(|drift| &drift.origin).collect();
    failures.retain(|one| !(matches!(one.cause, Cause::Drift | Cause::Existing) && kept.contains(&one.origin)));
    let listed: HashSet<SecretPath> = failures.iter().map(|failure| failure.origin.clone()).collect();
    let others = part.drifted.iter().filter(|drift| !drift.kept && !listed.contains(&drift.origin));
    failures.extend(others.map(|drift| drift.to_failure(known)));
    failures
}

/// Hands the inventory on in batches, and the tree of all that has arrived if it is to grow. The larger the tree is, the
/// longer it takes to make and the rarer it is made.
async fn pass_on(
    mut arriving: UnboundedReceiver<InventoryUpdate>,
    mut growth: Option<Growth>,
    messages: &UnboundedSender<Message>,
) {
    while let Some(first) = arriving.recv().await {
        let mut batch = vec![first];
        while let Ok(next) = arriving.try_recv() {
            batch.push(next);
        }
        let begun = Instant::now();
        if let Some(mut growing) = growth.take() {
            for update in &batch {
                growing.extend(update);
            }
            let made = tokio::task::spawn_blocking(move || (growing.tree(), growing)).await;
            if let Ok((tree, growing)) = made {
                let _ = messages.send(Message::Grown(Box::new(tree)));
                growth = Some(growing);
            }
        }
        let took = begun.elapsed();
        let _ = messages.send(Message::Inventory(batch));
        tokio::time::sleep((4 * took).max(Duration::from_millis(100))).await;
    }
}

/// Reports on a cycle until its end.
async fn follow(mut handle: CycleHandle, messages: UnboundedSender<Message>) -> Arc<Report> {
    let mut snapshots = handle.snapshots();
    let mut events = handle.take_events();
    let _ = messages.send(Message::Snapshot(snapshots.borrow_and_update().clone()));
    let mut watching = true;
    let end = handle.wait();
    tokio::pin!(end);
    let report: Arc<Report> = loop {
        tokio::select! {
            report = &mut end => break report,
            changed = snapshots.changed(), if watching => {
                watching = changed.is_ok();
                let _ = messages.send(Message::Snapshot(snapshots.borrow_and_update().clone()));
            }
            Some(event) = async { events.as_mut()?.recv().await }, if events.is_some() => {
                let message = match event {
                    Event::Unsaved(destination, reason) => Message::Unsaved(destination, reason),
                    Event::Blocked { destination, begun, reason } => {
                        let sentence = outcome::blocked(&destination, begun, &reason);
                        Message::Blocked(destination, sentence)
                    }
                    Event::NotKept(reason) => Message::NotKept(reason),
                    _ => continue,
                };
                let _ = messages.send(message);
            }
        }
    };
    let _ = messages.send(Message::Snapshot(snapshots.borrow_and_update().clone()));
    let _ = messages.send(Message::Ended(Arc::clone(&report)));
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Drift;
    use crate::tui::sample;

    /// Reports of before it was decided go on naming it.
    #[test]
    fn what_is_kept_is_no_failure_again() {
        let plan = sample::plan();
        let mut part = plan.destinations[0].clone();
        let waiting = part.drifted.iter().find(|drift| !drift.kept).expect("drift").clone();
        part.drifted.push(Drift { origin: sample::path("billing/kept"), kept: true, ..waiting.clone() });
        let reported = part.drifted.iter().map(|drift| drift.to_failure(sample::time())).collect();
        let failures = with_drift(reported, &part, sample::time());
        let names: Vec<_> = failures.iter().map(|one| one.origin.name()).collect();
        assert!(names.contains(&waiting.origin.name()) && !names.contains(&"billing/kept"), "{names:?}");
    }
}
