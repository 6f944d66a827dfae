//! `vsync undo`: puts destinations back to what they held before a cycle.

use std::time::Duration;

use super::cycle::{self, Planned, SHOWN};
use super::history;
use super::interrupt::Interrupts;
use super::object::Object;
use super::output::{self, Paint};
use super::progress::say;
use super::question::{ask, can_ask};
use super::survey::show_objections;
use super::{CliError, Common, Context, Output};
use crate::engine::{
    CycleId, CycleOptions, DestinationPlan, EngineError, Holders, Operation, Report, Side, Source, Task, Undo,
    UndoOptions,
};
use crate::exit::Exit;
use crate::kv::PathFilter;
use crate::text::sanitize;

/// Flags of `undo`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cycle, or the beginning of its id; "vsync history" lists them
    #[arg(value_name = "CYCLE")]
    cycle: String,
    /// Only secrets whose origin path this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Show what would be done, and find out what would fail, without reading or writing a secret
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if !args.dry_run {
        common.must_be_allowed_to_write("\"vsync undo --dry-run\"")?;
    }
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(common)?;
    out.note_unverified(&context.loaded.config);
    let filter = PathFilter::new(&args.path, &[], &context.engine.origin().mounts)
        .map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let (id, undone) = interrupts.unless(find(&context, &args.cycle, out)).await??;
    let options = UndoOptions { only: context.only.clone(), filter };
    let undo = interrupts.unless(context.engine.plan_undo(id, &options)).await?;
    show(&undo, out)?;
    if undo.plan.objections().next().is_some() {
        show_objections(&undo.plan, out)?;
        return Ok(Exit::Guarded);
    }
    if let Some(part) = undo.plan.destinations.iter().find(|part| part.unavailable.is_some()) {
        let reason = part.unavailable.clone().unwrap_or_default();
        return Err(EngineError::Unavailable { destination: part.destination.clone(), reason }.into());
    }
    let impossible = undo.impossible();
    if undo.plan.is_empty() {
        return nothing_to_do(&undo, out);
    }
    if !out.is_json() {
        interrupts.unless(warn(&context, &undo, undone, out)).await??;
    }
    out.flush()?;
    if !args.yes && !args.dry_run {
        if !can_ask() {
            return Err(CliError::usage("nothing was written: without a terminal to ask on, undo needs --yes"));
        }
        if !ask(&question(&undo), &mut interrupts).await? {
            say("Nothing was written.");
            return Ok(Exit::Failed);
        }
    }
    let options = CycleOptions {
        dry_run: args.dry_run,
        exact: true,
        undoes: Some(id),
        purpose: "undo",
        ..CycleOptions::default()
    };
    let report = cycle::execute(&context, undo.plan, options, &mut interrupts).await?;
    cycle::show_report(&report, Some(SHOWN), Planned::Now, out)?;
    if !report.dry_run && !out.is_json() {
        show_rest(args, common, impossible, out)?;
    }
    Ok(match cycle::judge(&report) {
        // what could not be put back is part of what was asked for
        Exit::Done if impossible > 0 => Exit::SecretsFailed,
        exit => exit,
    })
}

/// How long a store may take to say who looks after a destination: it is only for a warning.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says what will become of what is put back: a cycle copies again what it finds missing.
async fn warn(context: &Context, undo: &Undo, undone: Option<Report>, out: &mut Output) -> Result<(), CliError> {
    if !context.engine.undo_brings_back(undone).await? {
        out.line(
            "The next sync copies these secrets again, unless the origin is put right first, they are excluded, or \
             whatever syncs by itself is stopped.",
        )?;
    }
    for part in undo.plan.destinations.iter().filter(|part| !part.tasks.is_empty()) {
        let side = Side::Destination(part.destination.clone());
        match tokio::time::timeout(PATIENCE, context.engine.holders(&side)).await {
            Ok(Ok(Holders { daemon: Some(taken), .. })) => {
                let name = sanitize(part.destination.as_str());
                let message = format!(
                    "{name}: a daemon looks after it and copies these secrets again within its tick: its lock is {taken}"
                );
                out.line(out.paint(Paint::Notice, &message))?;
            }
            Ok(Err(error)) => tracing::debug!(%error, "nobody can tell whether a daemon looks after a destination"),
            Ok(Ok(_)) | Err(_) => {}
        }
    }
    Ok(())
}

/// Says that not all of the cycle was undone, if that is so.
fn show_rest(args: &Args, common: &Common, impossible: u64, out: &mut Output) -> Result<(), CliError> {
    if impossible > 0 {
        let secrets = if impossible == 1 { "1 secret" } else { &format!("{impossible} secrets") };
        out.line(format!("{secrets} could not be put back; the reasons stand above."))?;
    }
    if !args.path.is_empty() || !common.destination.is_empty() {
        out.line("Only what --path and --destination ask for was undone; what else the cycle did stands.")?;
    }
    Ok(out.flush()?)
}

/// The cycle of this id, or the one whose id begins so. A cycle that was killed may have left no report.
async fn find(context: &Context, text: &str, out: &mut Output) -> Result<(CycleId, Option<Report>), CliError> {
    let (id, report) = match text.parse() {
        Ok(id) => (id, context.engine.report(id).await?),
        Err(_) => match history::by_beginning(context, text).await? {
            Some(report) => (report.cycle, Some(report)),
            None => return Err(history::no_such_cycle(text)),
        },
    };
    if let Some(report) = report.as_ref().filter(|_| !out.is_json()) {
        out.line(format!(
            "cycle {id} of {}, by {}@{}",
            output::time(report.started),
            sanitize(&report.operator),
            sanitize(&report.host)
        ))?;
    }
    Ok((id, report))
}

fn show(undo: &Undo, out: &mut Output) -> Result<(), CliError> {
    let parts = || undo.plan.destinations.iter().zip(&undo.parts);
    if out.is_json() {
        for (plan, part) in parts() {
            let destination = plan.destination.as_str();
            for task in &plan.tasks {
                out.object(&Object::UndoTask {
                    destination,
                    operation: task.operation.as_str(),
                    origin: task.origin.to_string(),
                    path: task.destination.to_string(),
                    version: restored(task),
                })?;
            }
            for impossible in &part.impossible {
                let (origin, path) = (impossible.origin.to_string(), impossible.destination.to_string());
                out.object(&Object::Impossible { destination, origin, path, reason: &impossible.reason })?;
            }
            let counts = plan.counts();
            out.object(&Object::Undo {
                cycle: undo.cycle.to_string(),
                destination,
                undelete: counts.add,
                write_back: counts.update,
                delete: counts.delete,
                already: part.already,
                untouched: part.untouched,
                metadata_stays: part.metadata_stays,
                impossible: part.impossible.len() as u64,
                unavailable: plan.unavailable.as_deref(),
            })?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = parts()
        .map(|(plan, part)| {
            let counts = plan.counts();
            let impossible = part.impossible.len() as u64;
            let numbers = [counts.add, counts.update, counts.delete, part.already, part.untouched, impossible];
            let numbers = numbers.map(|number| match plan.unavailable {
                Some(_) => "-".to_owned(),
                None => number.to_string(),
            });
            std::iter::once(sanitize(plan.destination.as_str()).into_owned()).chain(numbers).collect()
        })
        .collect();
    let headings =
        ["DESTINATION", "+ UNDELETE", "* WRITE BACK", "- DELETE", "= AS BEFORE", "NOTHING WRITTEN", "! CANNOT"];
    for (number, line) in output::table(&headings, &rows, &[]).iter().enumerate() {
        out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
    }
    for (plan, part) in parts() {
        let name = sanitize(plan.destination.as_str());
        show_tasks(plan, out)?;
        for impossible in part.impossible.iter().take(SHOWN) {
            let symbol = out.paint(Paint::Bad, "!");
            let path = impossible.destination.to_string();
            out.line(format!("{symbol} {name}  {}: {}", sanitize(&path), sanitize(&impossible.reason)))?;
        }
        more(part.impossible.len(), out)?;
        if part.metadata_stays > 0 {
            let line = format!(
                "{name}: the metadata of {} secrets stays as the cycle left it; what it was before is not kept",
                part.metadata_stays
            );
            out.line(out.paint(Paint::Notice, &line))?;
        }
    }
    Ok(())
}

fn show_tasks(plan: &DestinationPlan, out: &mut Output) -> Result<(), CliError> {
    let name = sanitize(plan.destination.as_str());
    for task in plan.tasks.iter().take(SHOWN) {
        let (symbol, words) = match (task.operation, restored(task)) {
            (Operation::Delete, _) => (out.paint(Paint::Bad, "-"), "delete what the cycle added".to_owned()),
            (Operation::Update, Some(version)) => {
                (out.paint(Paint::Notice, "*"), format!("write version {version} again"))
            }
            (_, version) => (out.paint(Paint::Good, "+"), format!("undelete version {}", version.unwrap_or_default())),
        };
        out.line(format!("{symbol} {name}  {}: {words}", sanitize(&task.destination.to_string())))?;
    }
    more(plan.tasks.len(), out)
}

fn more(all: usize, out: &mut Output) -> Result<(), CliError> {
    if all > SHOWN {
        out.line(format!("… and {} more; \"--output json\" lists all of them", all - SHOWN))?;
    }
    Ok(())
}

/// The version that is to be had again; `None` for a delete.
fn restored(task: &Task) -> Option<u64> {
    match task.source {
        Source::Version(version) | Source::Undelete(version) => Some(version),
        Source::Origin | Source::Metadata => None,
    }
}

fn nothing_to_do(undo: &Undo, out: &mut Output) -> Result<Exit, CliError> {
    if undo.impossible() > 0 {
        if !out.is_json() {
            out.line("Nothing was written: none of what the cycle changed can be put back.")?;
        }
        return Ok(Exit::Guarded);
    }
    if undo.parts.iter().all(|part| part.changed == 0 && part.untouched == 0) {
        return Err(CliError::NotFound(format!(
            "nothing is recorded of what cycle {} changed: it changed nothing of what is asked for, or is not one of a \
             destination's newest 50",
            undo.cycle
        )));
    }
    if !out.is_json() {
        out.line("There is nothing to do: what the cycle changed is as it was before.")?;
    }
    Ok(Exit::Done)
}

fn question(undo: &Undo) -> String {
    let counts = undo.plan.counts();
    let names: Vec<_> = undo
        .plan
        .destinations
        .iter()
        .filter(|part| !part.tasks.is_empty())
        .map(|part| sanitize(part.destination.as_str()))
        .collect();
    format!(
        "Undelete {}, write back {} and delete {} secrets at {}?",
        counts.add,
        counts.update,
        counts.delete,
        names.join(", ")
    )
}
