//! `vsync status`: how each destination stands.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::drift::{DriftCounts, show_drift};
use super::interrupt::Interrupts;
use super::object::Object;
use super::output::{self, Paint};
use super::survey::{self, show_unknown};
use super::{CliError, Common, Context, Output};
use crate::engine::{DestinationPlan, Ending, Engine, Failure, Holders, Ignored, OperationCounts, Report, Side};
use crate::exit::Exit;
use crate::kv::SecretPath;
use crate::text::sanitize;

/// `status` has no flags of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// How many past cycles are looked through for the last one of a destination.
const HISTORY: usize = 50;
/// How many drifted secrets are shown per destination.
const SHOWN: usize = 10;

/// One destination.
struct Standing<'a> {
    part: &'a DestinationPlan,
    pending: OperationCounts,
    failed: u64,
    /// Failures that somebody has said not to mind; they are not among the failed.
    ignored: u64,
    lag: Option<Duration>,
    last: Option<&'a Report>,
    /// Whether that one is at work now.
    running: bool,
}

impl<'a> Standing<'a> {
    fn new(part: &'a DestinationPlan, failures: &[Failure], ignored: &[Ignored], history: &'a [Report]) -> Self {
        let is_ignored = |failure: &&Failure| ignored.iter().any(|one| one.covers(failure));
        let (set_aside, failures): (Vec<&Failure>, Vec<&Failure>) = failures.iter().partition(is_ignored);
        let failures: BTreeSet<&SecretPath> = failures.iter().map(|failure| &failure.origin).collect();
        let (failed, pending): (Vec<_>, Vec<_>) = part.tasks.iter().partition(|task| failures.contains(&task.origin));
        let oldest = part.tasks.iter().filter_map(|task| task.insight).map(|insight| insight.update_time).min();
        Self {
            part,
            pending: pending.iter().map(|task| task.operation).collect(),
            failed: failed.len() as u64,
            ignored: set_aside.len() as u64,
            lag: oldest.and_then(|oldest| Timestamp::now().duration_since(oldest.timestamp()).try_into().ok()),
            last: history
                .iter()
                .find(|report| report.destinations.iter().any(|other| other.destination == part.destination)),
            running: false,
        }
    }

    /// Finds out whether the last cycle, which never said how it ended, is still at work: who ran it has the lock.
    async fn look_for_its_end(&mut self, engine: &Engine) {
        let Some(last) = self.last.filter(|report| report.ending == Ending::Unfinished) else { return };
        let side = Side::Destination(self.part.destination.clone());
        let Ok(Holders { cycle: Some(taken), .. }) = engine.holders(&side).await else { return };
        self.running =
            taken.holder().is_some_and(|holder| holder.operator == last.operator && holder.host == last.host);
    }

    fn row(&self) -> Vec<String> {
        let counts = [
            self.part.in_sync,
            self.pending.add,
            self.pending.update,
            self.pending.delete,
            self.failed,
            DriftCounts::of(self.part).open(),
            self.part.excluded.len() as u64,
            self.part.unknown.len() as u64,
        ];
        let unavailable = self.part.unavailable.is_some();
        let last = self.last.map_or_else(
            || "never".to_owned(),
            |report| {
                let ending = if self.running { "running" } else { report.ending.as_str() };
                format!("{} {ending}", output::time(report.started))
            },
        );
        std::iter::once(sanitize(self.part.destination.as_str()).into_owned())
            .chain(counts.map(|count| if unavailable { "-".to_owned() } else { count.to_string() }))
            .chain([self.lag.map_or_else(|| "-".to_owned(), output::duration), last])
            .collect()
    }

    fn object(&self) -> Object<'_> {
        let DriftCounts { changed, existing, kept } = DriftCounts::of(self.part);
        Object::Status {
            destination: self.part.destination.as_str(),
            in_sync: self.part.in_sync,
            add: self.pending.add,
            update: self.pending.update,
            delete: self.pending.delete,
            failed: self.failed,
            ignored: self.ignored,
            drifted: changed,
            existing,
            kept,
            excluded: self.part.excluded.len() as u64,
            unknown: self.part.unknown.len() as u64,
            lag: self.lag.map(|lag| lag.as_secs_f64()),
            last_cycle: self.last.map(|report| report.cycle.to_string()),
            last_started: self.last.map(|report| report.started),
            last_ending: self.last.map(|report| report.ending),
            running: self.running,
            unavailable: self.part.unavailable.as_deref(),
        }
    }
}

pub(super) async fn run(_: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(common)?;
    out.note_unverified(&context.loaded.config);
    let plan = survey::plan(&context, &mut interrupts).await?;
    let history = interrupts.unless(context.engine.history(HISTORY)).await??;
    let failures = interrupts.unless(context.engine.standing_failures()).await??;
    let ignored = interrupts.unless(context.engine.ignored()).await??;
    let mut standings: Vec<Standing<'_>> = plan
        .destinations
        .iter()
        .map(|part| {
            let failures = failures.get(&part.destination).map_or(&[][..], Vec::as_slice);
            Standing::new(part, failures, ignored.get(&part.destination).map_or(&[][..], Vec::as_slice), &history)
        })
        .collect();
    let looks = standings.iter_mut().map(|standing| standing.look_for_its_end(&context.engine));
    interrupts.unless(join_all(looks)).await?;
    show_unknown(&plan, out)?;
    if out.is_json() {
        for standing in &standings {
            out.object(&standing.object())?;
        }
    } else {
        let headings = [
            "DESTINATION",
            "= IN SYNC",
            "+ ADD",
            "* UPDATE",
            "- DELETE",
            "! FAILED",
            "~ DRIFTED",
            "∅ EXCLUDED",
            "? UNKNOWN",
            "LAG",
            "LAST CYCLE",
        ];
        let rows: Vec<_> = standings.iter().map(Standing::row).collect();
        for (number, line) in output::table(&headings, &rows, &[10]).iter().enumerate() {
            out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
        }
        for standing in standings.iter().filter(|standing| standing.ignored > 0) {
            let name = sanitize(standing.part.destination.as_str());
            let what = if standing.ignored == 1 { "failure is" } else { "failures are" };
            let said = ignored.get(&standing.part.destination).and_then(|ignored| ignored.last());
            let why = said.map_or_else(String::new, |one| {
                format!(", the last by {}: {}", sanitize(&one.operator), sanitize(&one.reason))
            });
            out.line(format!("{name}: {} {what} ignored{why}", standing.ignored))?;
        }
        for part in &plan.destinations {
            if let Some(reason) = &part.unavailable {
                let name = sanitize(part.destination.as_str());
                out.line(out.paint(Paint::Bad, &format!("{name}: its state could not be read: {}", sanitize(reason))))?;
            }
        }
    }
    show_drift(&plan, &context.engine, SHOWN, out)?;
    let complete = plan.inventory.unknown.is_empty() && plan.destinations.iter().all(|part| part.unavailable.is_none());
    Ok(if complete { Exit::Done } else { Exit::Failed })
}
