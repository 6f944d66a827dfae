//! Executing a plan: question, progress, signals, report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::drift::{DriftCounts, show_drift};
use super::interrupt::Interrupts;
use super::object::{Object, ReportObject};
use super::output::{self, Paint};
use super::progress::{Progress, say};
use super::question::{ask, can_ask};
use super::survey::{show_counts, show_objections, show_unknown};
use super::{CliError, Context, Output, confirm};
use crate::engine::{
    Cause, CycleOptions, DestinationName, DestinationReport, Ending, EngineError, Failure, FidelityReport, Phase, Plan,
    Report, StaleLine,
};
use crate::exit::Exit;
use crate::text::sanitize;

/// How many failures are shown at the end of a cycle: what went wrong has to fit on a screen or two.
pub(super) const SHOWN: usize = 50;
/// How many secrets are shown per destination that were known to have drifted before.
const DRIFT_SHOWN: usize = 10;

/// How a plan is to be executed.
pub(super) struct Manner {
    pub(super) dry_run: bool,
    pub(super) yes: bool,
    /// How many secrets may be destroyed or purged, as far as somebody has said it.
    pub(super) confirmed: Option<u64>,
    /// What it is done for.
    pub(super) purpose: &'static str,
    /// The lines of a saved plan that no longer hold; what is left of it is to be done exactly. `None`: it was not saved.
    pub(super) stale: Option<Vec<StaleLine>>,
}

/// When a cycle's plan was made: what can be done about what it met depends on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Planned {
    /// For this cycle.
    Now,
    /// Before, and saved: its lines are done exactly as they are.
    Before,
}

/// Shows a plan's counts, asks if there is somebody to ask, executes it and shows the report.
pub(super) async fn run(
    context: &Context,
    plan: Plan,
    manner: &Manner,
    interrupts: &mut Interrupts,
    out: &mut Output,
) -> Result<Exit, CliError> {
    show_unknown(&plan, out)?;
    let stale = manner.stale.as_deref().unwrap_or_default();
    show_stale(stale, out)?;
    show_counts(&plan, out)?;
    show_drift(&plan, &context.engine, DRIFT_SHOWN, out)?;
    if plan.objections().next().is_some() {
        show_objections(&plan, out)?;
        if !out.is_json() {
            out.line("Nothing was written.")?;
        }
        return Ok(Exit::Guarded);
    }
    if let Some(part) = plan.destinations.iter().find(|part| part.unavailable.is_some()) {
        let reason = part.unavailable.clone().unwrap_or_default();
        return Err(EngineError::Unavailable { destination: part.destination.clone(), reason }.into());
    }
    if plan.is_empty() && !stale.is_empty() {
        if !out.is_json() {
            out.line("Nothing was written: no line of the saved plan holds any more. Plan again.")?;
        }
        return Ok(Exit::Guarded);
    }
    let nothing_to_do = plan.is_empty();
    // as long as somebody has to decide, all is not well
    let left_alone = manner.stale.is_none() && plan.destinations.iter().any(|part| DriftCounts::of(part).open() > 0);
    let done_exit = if left_alone { Exit::SecretsFailed } else { Exit::Done };
    if nothing_to_do && (manner.dry_run || !plan.has_unsaved_records()) {
        if !out.is_json() {
            out.line(nothing_done(&plan))?;
        }
        return Ok(if plan.inventory.is_complete() { done_exit } else { Exit::Failed });
    }
    out.flush()?;
    if !nothing_to_do && !manner.yes && !manner.dry_run && can_ask() && !ask(&question(&plan), interrupts).await? {
        say("Nothing was written.");
        return Ok(Exit::Failed);
    }
    if !manner.dry_run
        && let Some(exit) = confirm::irrevocable(&plan, manner.confirmed, manner.yes, interrupts, out).await?
    {
        return Ok(exit);
    }
    let done = nothing_done(&plan);
    let options = CycleOptions {
        dry_run: manner.dry_run,
        exact: manner.stale.is_some(),
        confirmed: plan.irrevocable(),
        purpose: manner.purpose,
        ..CycleOptions::default()
    };
    let report = execute(context, plan, options, interrupts).await?;
    if nothing_to_do && judge(&report) == Exit::Done {
        // what was recorded anew is no news to anybody
        if !out.is_json() {
            out.line(done)?;
        }
        return Ok(done_exit);
    }
    let planned = if manner.stale.is_some() { Planned::Before } else { Planned::Now };
    show_report(&report, Some(SHOWN), planned, out)?;
    Ok(match (judge(&report), &manner.stale) {
        (Exit::SecretsFailed, Some(_)) if all_refused(&report) => {
            if !out.is_json() {
                out.line("Nothing was written: no line of the saved plan holds any more. Plan again.")?;
                out.flush()?;
            }
            Exit::Guarded
        }
        (Exit::Done, Some(stale)) if !stale.is_empty() => Exit::SecretsFailed,
        (Exit::Done, None) => done_exit,
        (exit, _) => exit,
    })
}

/// Whether every task was refused because one of the sides has moved.
fn all_refused(report: &Report) -> bool {
    let moved = |cause| matches!(cause, Cause::Moved | Cause::Drift | Cause::Existing);
    report.done().total() == 0 && report.pending() == 0 && report.failures().all(|(_, failure)| moved(failure.cause))
}

/// Lines of a saved plan that are not carried out.
fn show_stale(stale: &[StaleLine], out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        for line in stale {
            out.object(&Object::failure(line.destination.as_str(), &line.failure))?;
        }
        return Ok(());
    }
    if !stale.is_empty() {
        let (lines, and) = match stale.len() {
            1 => ("1 line".to_owned(), "holds and is"),
            count => (format!("{count} lines"), "hold and are"),
        };
        let message =
            format!("{lines} of the saved plan no longer {and} not carried out; plan again for what is still wanted:");
        out.line(out.paint(Paint::Bad, &message))?;
        let failures = stale.iter().map(|line| (&line.destination, &line.failure));
        let left_out = show_failures(failures, Some(SHOWN), Remedies::None, out)?;
        if left_out > 0 {
            out.line(format!("… and {left_out} more; \"--output json\" lists all of them"))?;
        }
    }
    Ok(())
}

/// Why a plan without tasks has none. What could not be read may well hold some.
fn nothing_done(plan: &Plan) -> &'static str {
    let inventory = &plan.inventory;
    if inventory.is_complete() && plan.destinations.iter().any(|part| DriftCounts::of(part).open() > 0) {
        "There is nothing else to do."
    } else if inventory.is_complete() && inventory.secrets.is_empty() && inventory.deleted == 0 {
        "There is nothing to do: the origin holds no secret that takes part (\"vsync check\" looks at include and exclude)."
    } else if inventory.is_complete() {
        "There is nothing to do."
    } else if inventory.secrets.is_empty() && inventory.excluded.is_empty() && inventory.deleted == 0 {
        "Nothing was done, because all of the origin could not be read."
    } else {
        "Nothing was done, because part of the origin could not be read; in the rest there is nothing to do."
    }
}

fn question(plan: &Plan) -> String {
    let counts = plan.counts();
    let names: Vec<_> = plan
        .destinations
        .iter()
        .filter(|part| !part.tasks.is_empty())
        .map(|part| sanitize(part.destination.as_str()))
        .collect();
    let for_good = counts.irrevocable_in_words().map(|words| format!(" ({words} for good)")).unwrap_or_default();
    format!(
        "Add {}, update {} and delete {}{for_good} secrets at {}?",
        counts.add,
        counts.update,
        counts.delete,
        names.join(", ")
    )
}

/// Executes a plan, with progress and signals.
pub(super) async fn execute(
    context: &Context,
    plan: Plan,
    options: CycleOptions,
    interrupts: &mut Interrupts,
) -> Result<Arc<Report>, CliError> {
    let handle = context.engine.start(plan, options)?;
    let control = handle.control();
    let mut snapshots = handle.snapshots();
    let mut progress = Progress::new(&context.common);
    let ended = handle.wait();
    tokio::pin!(ended);
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    let mut stopping = false;
    loop {
        tokio::select! {
            report = &mut ended => return Ok(report),
            _ = tick.tick() => {
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                if snapshot.phase != Phase::Ended {
                    progress.cycle(&snapshot);
                }
            }
            () = interrupts.next() => {
                progress.clear();
                if stopping {
                    say("Ended at once. What was written but not yet saved is found again by the next cycle.");
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                stopping = true;
                control.cancel();
                say("Stopping: what is under way is finished and saved. Once more ends the program at once.");
            }
        }
    }
}

/// The exit code for a report.
pub(super) fn judge(report: &Report) -> Exit {
    let unsaved = report.origin_unsaved.is_some()
        || report.unkept.is_some()
        || report.destinations.iter().any(|part| part.unsaved.is_some());
    let blocked = |part: &DestinationReport| part.blocked.is_some() && part.locked.is_none();
    match report.ending {
        Ending::Cancelled => Exit::Interrupted,
        // what a timeout left pending is part of the work that was not done
        Ending::TimedOut | Ending::Unfinished => Exit::Failed,
        _ if unsaved || !report.origin_unknown.is_empty() || report.destinations.iter().any(blocked) => Exit::Failed,
        _ if report.destinations.iter().any(|part| part.locked.is_some()) => Exit::Locked,
        Ending::Halted | Ending::Skipped => Exit::Failed,
        Ending::Completed if report.failed() > 0 => Exit::SecretsFailed,
        Ending::Completed => Exit::Done,
    }
}

/// Says which servers had to be treated gently.
fn show_limits(report: &Report, out: &mut Output) -> Result<(), CliError> {
    for limit in report.limits.iter().filter(|limit| limit.throttle.lowered > 0) {
        let times = limit.throttle.lowered;
        out.line(format!(
            "{}: requests were held back, {times} time{} in all; {} at the end",
            limit.side,
            if times == 1 { "" } else { "s" },
            limit.text
        ))?;
    }
    Ok(())
}

/// Shows what a cycle did, with at most `most` of its failures; programs get them all.
pub(super) fn show_report(
    report: &Report,
    most: Option<usize>,
    planned: Planned,
    out: &mut Output,
) -> Result<(), CliError> {
    if out.is_json() {
        for (destination, failure) in report.failures() {
            out.object(&Object::failure(destination.as_str(), failure))?;
        }
        out.object(&Object::Report(ReportObject::from(report)))?;
        return Ok(out.flush()?);
    }
    let took = format!("{} in {}", report.ending.as_str(), output::duration(report.duration()));
    out.line(match report.ending {
        _ if report.dry_run => format!("dry run {took}; no secret was read or written"),
        Ending::Unfinished => format!("cycle {} is unfinished: still running, or killed", report.cycle),
        _ => format!("cycle {} {took} ({:.0} secrets/s)", report.cycle, report.rate()),
    })?;
    show_limits(report, out)?;
    if let Some(cycle) = &report.undoes {
        let verb = if report.dry_run { "would be" } else { "was" };
        out.line(format!("It {verb} an undo of cycle {cycle}."))?;
    }
    let rows: Vec<Vec<String>> = report
        .destinations
        .iter()
        .map(|part| {
            let numbers = [part.done.add, part.done.update, part.done.delete, part.failures.len() as u64, part.pending];
            std::iter::once(sanitize(part.destination.as_str()).into_owned())
                .chain(numbers.map(|number| number.to_string()))
                .collect()
        })
        .collect();
    let headings = if report.dry_run {
        ["DESTINATION", "CAN ADD", "CAN UPDATE", "CAN DELETE", "! WOULD FAIL", "PENDING"]
    } else {
        ["DESTINATION", "ADDED", "UPDATED", "DELETED", "! FAILED", "PENDING"]
    };
    for (number, line) in output::table(&headings, &rows, &[]).iter().enumerate() {
        out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
    }
    let remedies = match planned {
        _ if report.undoes.is_some() => Remedies::OfUndo,
        Planned::Before => Remedies::OfSavedPlan,
        Planned::Now => Remedies::Usual,
    };
    let left_out = show_failures(report.failures(), most, remedies, out)?;
    if left_out > 0 {
        // a dry run is not kept
        let all = if report.dry_run {
            "\"--output json\" lists all of them".to_owned()
        } else {
            format!("\"vsync history {}\" lists all of them", report.cycle)
        };
        out.line(format!("… and {left_out} more; {all}"))?;
    }
    for part in &report.destinations {
        show_part(report, part, out)?;
    }
    if let Some(reason) = &report.origin_unsaved {
        let message = format!("What the origin holds could not be saved: {}", sanitize(reason));
        out.line(out.paint(Paint::Bad, &message))?;
    }
    if let Some(reason) = &report.unkept {
        let message =
            format!("This report could not be kept, so \"vsync retry\" will not know of it: {}", sanitize(reason));
        out.line(out.paint(Paint::Bad, &message))?;
    }
    if !report.origin_unknown.is_empty() {
        let message = format!(
            "The origin was incomplete ({} parts could not be read); nothing in them was changed or deleted.",
            report.origin_unknown.len()
        );
        out.line(out.paint(Paint::Bad, &message))?;
    }
    if report.pending() > 0 && !report.dry_run {
        out.line(format!("{} are pending; the next cycle goes on with them.", report.pending()))?;
    }
    if report.failed() > 0 && !report.dry_run && report.unkept.is_none() {
        out.line(next_step(report, remedies))?;
    }
    Ok(out.flush()?)
}

/// What there is to say of one destination beyond numbers and failures.
fn show_part(report: &Report, part: &DestinationReport, out: &mut Output) -> Result<(), CliError> {
    let name = sanitize(part.destination.as_str());
    show_lost(report, part, out)?;
    for (count, what) in [
        (part.adopted, "of these held the same value already and were not written"),
        (part.kept, "of these were left as somebody else made them (on_drift = \"keep\")"),
        (part.drifted, "more were left alone, because somebody else wrote them; \"vsync status\" names them"),
    ] {
        if count > 0 {
            out.line(format!("{name}: {count} {what}"))?;
        }
    }
    if let Some(reason) = &part.blocked {
        let what = if part.has_begun() { "it was stopped" } else { "nothing was written" };
        // the first thing to find out is whether the other one is alive
        let next_step =
            if part.locked.is_some() { "; wait for its end, or see whether it still runs there" } else { "" };
        let message = format!("{name}: {what}, because {}{next_step}", sanitize(reason));
        out.line(out.paint(Paint::Bad, &message))?;
    }
    if let Some(reason) = &part.unsaved {
        let message = format!(
            "{name}: what was done could not be saved; it is kept on this machine, and the next cycle here saves it: {}",
            sanitize(reason)
        );
        out.line(out.paint(Paint::Bad, &message))?;
    }
    Ok(())
}

/// What of a destination nothing brings back, and what could not be made equal there.
fn show_lost(report: &Report, part: &DestinationReport, out: &mut Output) -> Result<(), CliError> {
    if let Some(words) = part.done.irrevocable_in_words().filter(|_| !report.dry_run) {
        let name = sanitize(part.destination.as_str());
        out.line(format!("{name}: {words} for good among the deleted; nothing brings them back"))?;
    }
    show_fidelity(part, out)
}

/// What was copied beside values, and what could not be made equal.
fn show_fidelity(part: &DestinationReport, out: &mut Output) -> Result<(), CliError> {
    for sentence in part.fidelity.iter().flat_map(FidelityReport::sentences) {
        out.line(format!("{}: {}", sanitize(part.destination.as_str()), sanitize(&sentence)))?;
    }
    Ok(())
}

/// What to do about the failures of a cycle.
fn next_step(report: &Report, remedies: Remedies) -> String {
    if let Some(cycle) = report.undoes {
        return format!("\"vsync undo {cycle}\" again puts back what failed, as far as it can be by then.");
    }
    let any = |wanted: &dyn Fn(Cause) -> bool| report.failures().any(|(_, failure)| wanted(failure.cause));
    let mut steps = Vec::new();
    if any(&|cause| !cause.is_foreign()) {
        steps.push("\"vsync retry\" takes what failed");
    }
    match remedies {
        Remedies::OfSavedPlan if any(&Cause::is_foreign) => {
            steps.push("a plan made with --on-drift or --on-existing can name what somebody else wrote");
        }
        _ => {
            if any(&|cause| cause == Cause::Drift) {
                steps.push(
                    "what has drifted waits for a decision: \"vsync retry --on-drift overwrite\" or \"--on-drift keep\"",
                );
            }
            if any(&|cause| cause == Cause::Existing) {
                steps.push(
                    "what was there before waits for a decision: \"vsync retry --on-existing adopt\" (takes over equal values only) or \"--on-existing overwrite\"",
                );
            }
        }
    }
    format!("{}.", steps.join("; "))
}

/// Whose remedies are shown with failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedies {
    None,
    Usual,
    OfSavedPlan,
    OfUndo,
}

impl Remedies {
    fn of(self, cause: Cause) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::OfSavedPlan if cause.is_foreign() => {
                Some("The plan was made for another version: compare the two, then plan again.")
            }
            Self::OfUndo if cause.is_foreign() => Some("Somebody else has changed it since: it is left as it is."),
            Self::Usual | Self::OfSavedPlan | Self::OfUndo => Some(cause.remedy()),
        }
    }
}

/// Failures by cause, each cause with its count and, if wanted, what to do. Tells how many are left out.
fn show_failures<'a>(
    failures: impl Iterator<Item = (&'a DestinationName, &'a Failure)>,
    most: Option<usize>,
    remedies: Remedies,
    out: &mut Output,
) -> Result<usize, CliError> {
    let mut by_cause: BTreeMap<Cause, Vec<(&DestinationName, &Failure)>> = BTreeMap::new();
    for (destination, failure) in failures {
        by_cause.entry(failure.cause).or_default().push((destination, failure));
    }
    let counts: Vec<usize> = by_cause.values().map(Vec::len).collect();
    let shown = most.map_or_else(|| counts.clone(), |most| shares(&counts, most));
    for ((cause, failures), shown) in by_cause.into_iter().zip(&shown) {
        let what = match (remedies, cause) {
            // of a line that is done already nothing has moved
            (Remedies::None, Cause::Moved) => "no longer as planned",
            _ => cause.as_str(),
        };
        let heading = format!("! {what}: {}", failures.len());
        let heading = out.paint(Paint::Bad, &heading);
        out.line(match remedies.of(cause) {
            Some(remedy) => format!("{heading}. {remedy}"),
            None => heading,
        })?;
        for (destination, failure) in failures.into_iter().take(*shown) {
            let (origin, path) = (failure.origin.to_string(), failure.destination.to_string());
            let path = if origin == path { String::new() } else { format!(" → {}", sanitize(&path)) };
            let attempts =
                if failure.attempts <= 1 { String::new() } else { format!(" ({} attempts)", failure.attempts) };
            out.line(format!(
                "    {}  {} {}{path}: {}{attempts}",
                sanitize(destination.as_str()),
                failure.operation.as_str(),
                sanitize(&origin),
                sanitize(&failure.message),
            ))?;
        }
    }
    Ok(counts.iter().sum::<usize>() - shown.iter().sum::<usize>())
}

/// How many of each count are taken when at most `most` are taken in all: no cause hides another one.
fn shares(counts: &[usize], most: usize) -> Vec<usize> {
    let mut shares = vec![0; counts.len()];
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&at| counts[at]);
    let mut left = most;
    for (done, at) in order.into_iter().enumerate() {
        shares[at] = counts[at].min(left / (counts.len() - done));
        left -= shares[at];
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_share_of_the_lines() {
        assert_eq!(shares(&[3, 4], 50), [3, 4]);
        assert_eq!(shares(&[7000], 50), [50]);
        assert_eq!(shares(&[7000, 1, 90], 50), [25, 1, 24]);
        assert_eq!(shares(&[], 50), [0; 0]);
        assert_eq!(shares(&[9; 60], 50).iter().sum::<usize>(), 50);
    }
}
