//! What a cycle records of one destination while it runs: sync info, ledger and changes in the store, under the
//! destination's lock, and in a local journal until the store has them.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::lane::Blocked;
use crate::engine::binding::Binding;
use crate::engine::plan::DestinationPlan;
use crate::engine::planning::load_binding;
use crate::engine::report::CycleId;
use crate::kv::SecretPath;
use crate::state::{
    Change, ChangeLog, Journal, Ledger, LedgerEntry, LedgerWriter, Lock, LockError, LockHolder, LockTaken, Segment,
    State, StateError, SyncInfoWriter,
};
use crate::sync_info::{Index, Insight, SyncInfo};

/// How long a lock that its holder did not let go of may stay closed.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
const LOCK_RETRY: Duration = Duration::from_millis(500);
/// More chunks than a save that was lost can have written.
const LOST_CHUNKS: usize = 10_000;
const STOPPED: &str = "the cycle was stopped before it began";
/// So many times as long as a save took, the next one waits.
const SAVE_SHARE: u32 = 9;

#[derive(Debug)]
pub(super) struct Record {
    cycle: CycleId,
    state: State,
    recorded: SyncInfo,
    /// The secrets of deletes, and of all tasks of an undo, that have not ended, with what is recorded of them until then.
    in_doubt: HashMap<SecretPath, Insight>,
    ledger: Ledger,
    /// What the sync info belongs to; it is kept before the first write.
    binding: Option<Binding>,
    /// What it belonged to when the plan was made.
    former: Option<Binding>,
    /// The index that the plan was made with.
    planned_with: Option<Index>,
    /// Whether something was recorded since the last save began, or that save failed.
    changed: bool,
    /// What was changed since.
    changes: Vec<Change>,
    /// What earlier cycles changed and only the journal knows of.
    late: Vec<(String, Change)>,
    next_chunk: usize,
    /// When the next save may begin: where much is recorded, saving must not take more than its share of the time.
    not_before: Instant,
    /// Away while a save is under way.
    writers: Option<Writers>,
    journal: Option<Journal>,
    lock: Option<Lock>,
    /// Somebody else may have the lock by now.
    lock_lost: CancellationToken,
    /// So it is, or somebody else has begun to work here: nothing more is saved.
    lost: CancellationToken,
    watch: Option<AbortOnDropHandle<()>>,
    begun: bool,
}

#[derive(Debug)]
struct Writers {
    info: SyncInfoWriter,
    ledger: LedgerWriter,
    changes: ChangeLog,
}

/// A save that is under way.
#[derive(Debug)]
pub(super) struct Save {
    pub(super) lane: usize,
    cycle: CycleId,
    state: State,
    writers: Writers,
    info: SyncInfo,
    /// What the sync info is to say of these is that nobody knows.
    in_doubt: HashMap<SecretPath, Insight>,
    ledger: Ledger,
    changes: Vec<Change>,
    chunk: usize,
    segment: Option<Segment>,
    begun: Instant,
    /// Another cycle works here by now, so nothing was saved.
    overtaken: bool,
    result: Result<(), StateError>,
}

impl Save {
    pub(super) async fn run(mut self) -> Self {
        self.result = self.try_run().await;
        self
    }

    /// The ledger goes before the sync info: what it has and the other has not is recognized by the next plan.
    async fn try_run(&mut self) -> Result<(), StateError> {
        // a process that was asleep does not know yet that its lock has ended, and what others have recorded since
        let open = load_binding(&self.state).await?.and_then(|note| note.open);
        if open != Some(self.cycle) {
            self.overtaken = true;
            return Ok(());
        }
        if !self.changes.is_empty() {
            self.chunk = self.writers.changes.append(&self.cycle.to_string(), self.chunk, &self.changes).await?;
        }
        self.writers.ledger.save(&mut self.ledger).await?;
        add_doubts(&mut self.info, &self.in_doubt);
        self.writers.info.save(&mut self.info).await?;
        Ok(())
    }
}

/// Which cycles a note knows to have worked at a destination.
fn worked(note: Option<&Binding>) -> (Option<CycleId>, Option<CycleId>) {
    note.map_or((None, None), |note| (note.open, note.last))
}

fn add_doubts(info: &mut SyncInfo, in_doubt: &HashMap<SecretPath, Insight>) {
    for (path, doubt) in in_doubt {
        info.insert(path.clone(), *doubt);
    }
}

impl Record {
    pub(super) fn new(
        cycle: CycleId,
        plan: DestinationPlan,
        state: State,
        journal: Option<&Path>,
        changed: bool,
    ) -> Self {
        let writers = Writers {
            info: SyncInfoWriter::new(state.clone(), plan.stored.as_ref()),
            ledger: LedgerWriter::new(state.clone(), &plan.ledger_as_stored),
            changes: ChangeLog::new(&state),
        };
        Self {
            cycle,
            recorded: plan.recorded,
            in_doubt: HashMap::new(),
            ledger: plan.ledger,
            binding: match (&plan.former_binding, plan.partial) {
                // those that were left out have not met the new policies yet
                (Some(former), true) => plan.binding.map(|binding| binding.with_policies_of(former)),
                _ => plan.binding,
            },
            former: plan.former_binding,
            planned_with: plan.stored,
            changed,
            changes: plan.noted,
            late: plan.journaled,
            next_chunk: 0,
            not_before: Instant::now(),
            writers: Some(writers),
            journal: journal.map(|folder| Journal::new(folder, &state)),
            lock: None,
            lock_lost: CancellationToken::new(),
            lost: CancellationToken::new(),
            watch: None,
            begun: false,
            state,
        }
    }

    /// Takes the lock, makes sure that the plan still holds, and keeps what must be kept before the first secret is
    /// written. It also shows that the store takes something at all. `stop` is cancelled when the lock is lost.
    pub(super) async fn begin(&mut self, holder: &LockHolder, stop: &CancellationToken) -> Result<(), Blocked> {
        let lock = self.take_lock(holder, stop).await?;
        self.lock_lost = lock.lost();
        self.lock = Some(lock);
        let index = self.state.load_index().await.map_err(|error| format!("its state cannot be read: {error}"))?;
        let note = load_binding(&self.state).await.map_err(|error| format!("its state cannot be read: {error}"))?;
        if index != self.planned_with || worked(note.as_ref()) != worked(self.former.as_ref()) {
            return Err("another cycle has worked here since the plan was made; plan again".to_owned().into());
        }
        if stop.is_cancelled() {
            return Err(STOPPED.to_owned().into());
        }
        self.keep_first().await.map_err(|error| format!("its state cannot be saved: {error}"))?;
        self.begun = true;
        let (lost, taken, stop) = (self.lost.clone(), self.lock_lost.clone(), stop.clone());
        let watch = tokio::spawn(async move {
            tokio::select! {
                () = taken.cancelled() => lost.cancel(),
                () = lost.cancelled() => {}
            }
            stop.cancel();
        });
        self.watch = Some(AbortOnDropHandle::new(watch));
        Ok(())
    }

    async fn take_lock(&self, holder: &LockHolder, stop: &CancellationToken) -> Result<Lock, Blocked> {
        let started = tokio::time::Instant::now();
        loop {
            let taken = match self.state.lock(holder).await {
                Ok(lock) => return Ok(lock),
                Err(LockError::State(error)) => return Err(format!("it cannot be locked: {error}").into()),
                Err(LockError::Held(taken)) => taken,
            };
            if matches!(taken, LockTaken::By(_)) || started.elapsed() > LOCK_PATIENCE {
                let locked = taken.holder().cloned().unwrap_or_else(|| LockHolder {
                    operator: "unknown".to_owned(),
                    host: "unknown".to_owned(),
                    pid: 0,
                    ..holder.clone()
                });
                return Err(Blocked { reason: format!("its lock is {taken}"), locked: Some(locked) });
            }
            tokio::select! {
                () = tokio::time::sleep(LOCK_RETRY) => {}
                () = stop.cancelled() => return Err(STOPPED.to_owned().into()),
            }
        }
    }

    async fn keep_first(&mut self) -> Result<(), StateError> {
        let Some(writers) = &mut self.writers else { return Ok(()) };
        for cycle in self.late.chunk_by(|(one, _), (other, _)| one == other) {
            let changes: Vec<Change> = cycle.iter().map(|(_, change)| change.clone()).collect();
            let next = writers.changes.next_chunk(&cycle[0].0).await?;
            writers.changes.append(&cycle[0].0, next, &changes).await?;
        }
        if self.changed || !self.in_doubt.is_empty() {
            writers.ledger.save(&mut self.ledger).await?;
            let mut info = self.recorded.clone();
            add_doubts(&mut info, &self.in_doubt);
            writers.info.save(&mut info).await?;
            self.follow(&info);
            self.changed = false;
        }
        if let Some(journal) = &mut self.journal {
            // whatever it held was merged into the plan, and is saved now
            match journal.rotate().and_then(Segment::remove) {
                Ok(()) => self.late.clear(),
                Err(error) => tracing::warn!(%error, "the local journal cannot be emptied"),
            }
        }
        self.mark(Some(self.cycle)).await
    }

    /// Notes beside the sync info which cycle is at work, so that its writes are recognized if it never ends.
    async fn mark(&mut self, open: Option<CycleId>) -> Result<(), StateError> {
        let Some(binding) = &mut self.binding else { return Ok(()) };
        if open.is_none() {
            binding.last = binding.open;
        }
        binding.open = open;
        self.state.save_note(binding.encode()).await
    }

    /// The lane does not begin: there is nothing to save.
    pub(super) fn give_up(&mut self) {
        if !self.begun {
            self.changed = false;
        }
    }

    /// The state, if this cycle has begun to work on it.
    pub(super) fn locked(&self) -> Option<State> {
        self.begun.then(|| self.state.clone())
    }

    /// What an earlier cycle did, as far as store and local journal know; the latest first.
    pub(super) async fn changes_of(&self, cycle: CycleId) -> Result<Vec<Change>, StateError> {
        let cycle = cycle.to_string();
        let mut changes = ChangeLog::new(&self.state).read(&cycle).await?;
        changes.extend(self.late.iter().filter(|(of, _)| *of == cycle).map(|(_, change)| change.clone()));
        changes.reverse();
        Ok(changes)
    }

    /// Whether planning found something to record, even if there is no task.
    pub(super) fn has_news(&self) -> bool {
        self.changed || !self.late.is_empty()
    }

    /// Whether a secret of the origin is recorded as copied.
    pub(super) fn is_copied(&self, origin: &SecretPath) -> bool {
        self.recorded.get(origin).is_some()
    }

    /// What is known to have been copied of a secret of the origin to this path. Where the sync info is in doubt, the ledger
    /// knows what vsync left there, if it left anything.
    pub(super) fn insight(&self, origin: &SecretPath, destination: &SecretPath) -> Option<Insight> {
        let recorded = self.recorded.get(origin).copied()?;
        if !recorded.is_in_doubt() {
            return Some(recorded);
        }
        let entry = self.ledger.get(destination).filter(|entry| entry.version > 0 && entry.origin == *origin)?;
        Some(entry.insight)
    }

    /// The version that vsync left at a path of the destination, as the ledger knows.
    pub(super) fn version(&self, destination: &SecretPath) -> u64 {
        self.ledger.get(destination).map_or(0, |entry| entry.version)
    }

    /// What vsync last did at these paths of the destination, which the plan need not know.
    pub(super) async fn left_at<'a>(
        &mut self,
        paths: impl Iterator<Item = &'a SecretPath> + Clone,
    ) -> Result<HashMap<SecretPath, LedgerEntry>, StateError> {
        self.ledger.load(paths.clone()).await?;
        // a plan without tasks has not opened it
        let mut stored = Ledger::open(&self.state).await?;
        stored.load(paths.clone()).await?;
        let left = |path: &SecretPath| self.ledger.get(path).or_else(|| stored.get(path)).cloned();
        Ok(paths.filter_map(|path| Some((path.clone(), left(path)?))).collect())
    }

    /// What these secrets of the origin have at the destination is not known from when the cycle begins until each is taken
    /// in or [settled](Self::settle).
    pub(super) fn doubt(&mut self, in_doubt: HashMap<SecretPath, Insight>) {
        self.in_doubt = in_doubt;
    }

    /// Nothing was done about this secret: what is recorded of it holds.
    pub(super) fn settle(&mut self, origin: &SecretPath) {
        self.changed |= self.in_doubt.remove(origin).is_some();
    }

    /// Takes in a change, after which the records of the secrets `gone` hold no longer.
    pub(super) fn take(&mut self, change: Change, gone: Vec<SecretPath>) {
        self.in_doubt.remove(&change.origin);
        change.apply(&mut self.recorded, &mut self.ledger);
        for path in gone {
            self.recorded.remove(&path);
        }
        if let Some(journal) = &mut self.journal
            && let Err(error) = journal.append(&self.cycle.to_string(), std::slice::from_ref(&change))
        {
            tracing::warn!(%error, "progress is not kept locally: the journal cannot be written");
            self.journal = None;
        }
        self.changes.push(change);
        self.changed = true;
    }

    /// What there is to save, unless nothing has changed, a save is under way, or the last one took so long that this one
    /// had better wait. `now`: it had not.
    pub(super) fn begin_save(&mut self, lane: usize, now: bool) -> Option<Save> {
        if !self.begun || !self.changed || self.lost.is_cancelled() || (!now && Instant::now() < self.not_before) {
            return None;
        }
        let begun = Instant::now();
        let writers = self.writers.take()?;
        let segment = match self.journal.as_mut().map(Journal::rotate).transpose() {
            Ok(segment) => segment,
            Err(error) => {
                tracing::warn!(%error, "the local journal cannot be rotated");
                None
            }
        };
        self.changed = false;
        Some(Save {
            lane,
            cycle: self.cycle,
            state: self.state.clone(),
            writers,
            info: self.recorded.clone(),
            in_doubt: self.in_doubt.clone(),
            ledger: self.ledger.clone(),
            changes: std::mem::take(&mut self.changes),
            chunk: self.next_chunk,
            segment,
            begun,
            overtaken: false,
            result: Ok(()),
        })
    }

    /// It may have grown while being saved, and meanwhile went on to change in its old form.
    fn follow(&mut self, saved: &SyncInfo) {
        let buckets = saved.buckets().len();
        if buckets != self.recorded.buckets().len() {
            self.recorded = self.recorded.with_buckets(buckets);
        }
    }

    /// The reason if it failed.
    pub(super) fn end_save(&mut self, save: Save) -> Option<String> {
        self.writers = Some(save.writers);
        self.not_before = Instant::now() + SAVE_SHARE * save.begun.elapsed();
        self.follow(&save.info);
        self.ledger.follow(&save.ledger);
        match save.result {
            Ok(()) if save.overtaken => {
                self.lost.cancel();
                self.lock_lost()
            }
            Ok(()) => {
                self.next_chunk = save.chunk;
                if let Some(Err(error)) = save.segment.map(Segment::remove) {
                    tracing::warn!(%error, "the local journal cannot be emptied");
                }
                None
            }
            Err(error) => {
                self.changed = true;
                self.changes.splice(0..0, save.changes);
                Some(error.to_string())
            }
        }
    }

    /// Whether a save was under way that never came back.
    pub(super) fn lost_save(&mut self) -> bool {
        if self.writers.is_some() {
            return false;
        }
        self.writers = Some(Writers {
            info: SyncInfoWriter::new(self.state.clone(), None),
            ledger: LedgerWriter::new(self.state.clone(), &self.ledger),
            changes: ChangeLog::new(&self.state),
        });
        self.changed = true;
        // the journal has what that save was to save, and keeps it for the next cycle
        self.journal = None;
        self.next_chunk += LOST_CHUNKS;
        true
    }

    pub(super) fn has_unsaved(&self) -> bool {
        self.begun && (self.changed || self.writers.is_none()) && !self.lost.is_cancelled()
    }

    pub(super) fn lock_lost(&self) -> Option<String> {
        self.lost.is_cancelled().then(|| {
            "its lock was lost to another process, so no more was begun; what was done by then is kept in the local journal"
                .to_owned()
        })
    }

    /// Notes that the cycle has come to its end, if all is settled, and lets go of the lock.
    pub(super) async fn end(&mut self, settled: bool) {
        let Some(lock) = self.lock.take() else { return };
        let mine = match load_binding(&self.state).await {
            Ok(note) => note.and_then(|note| note.open) == Some(self.cycle),
            Err(_) => false,
        };
        if self.begun && mine && !self.lost.is_cancelled() {
            if settled && let Err(error) = self.mark(None).await {
                tracing::warn!(%error, "it cannot be noted that the cycle has ended");
            }
            if let Some(writers) = &self.writers
                && let Err(error) = writers.changes.prune().await
            {
                tracing::warn!(%error, "the changes of old cycles cannot be deleted");
            }
        }
        if let Err(error) = lock.release().await {
            tracing::warn!(%error, "the lock could not be let go of; it ends by itself");
        }
    }
}
