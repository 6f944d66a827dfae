//! `vsync plan`: what a cycle would do.

use std::path::{Path, PathBuf};

use super::drift::{DriftArgs, show_drift};
use super::interrupt::Interrupts;
use super::object::Object;
use super::output::Paint;
use super::progress::say;
use super::survey::{self, show_counts, show_objections, show_unknown};
use super::{CliError, Common, Context, Output};
use crate::engine::{DestinationPlan, Expected, Operation, Plan, Source};
use crate::exit::Exit;
use crate::files;
use crate::text::sanitize;

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the counts, not every secret
    #[arg(long)]
    summary: bool,
    /// Save the plan in this new file, for "vsync sync --plan FILE": paths and versions, no values
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to do about secrets that somebody else wrote.
    #[command(flatten)]
    drift: DriftArgs,
}

/// How many drifted secrets are shown per destination.
const SHOWN: usize = 1_000;

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if let Some(file) = args.out.as_deref().filter(|file| file.exists()) {
        return Err(CliError::usage(format!(
            "{} exists already and may be a plan that is yet to be executed; name another file, or remove it first",
            file.display()
        )));
    }
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(&args.drift.over(common)?)?;
    out.note_unverified(&context.loaded.config);
    let plan = survey::plan(&context, &mut interrupts).await?;
    if !args.summary {
        for part in &plan.destinations {
            show_tasks(part, out)?;
        }
    }
    show_unknown(&plan, out)?;
    show_counts(&plan, out)?;
    show_drift(&plan, &context.engine, if args.summary { 0 } else { SHOWN }, out)?;
    show_objections(&plan, out)?;
    if let Some(file) = &args.out {
        out.flush()?;
        save(&context, &plan, file, &mut interrupts, out).await?;
    }
    Ok(judge(&plan))
}

async fn save(
    context: &Context,
    plan: &Plan,
    file: &Path,
    interrupts: &mut Interrupts,
    out: &mut Output,
) -> Result<(), CliError> {
    let tasks = || plan.destinations.iter().flat_map(|part| &part.tasks);
    let unpinned = tasks().filter(|task| task.expected == Expected::Recorded).count();
    if unpinned > 0 {
        say(&format!("asking the destinations which versions they have of {unpinned} secrets"));
    }
    let saved = interrupts.unless(context.engine.save_plan(plan)).await?;
    let saved = saved.map_err(|source| CliError::saved_plan(file, source))?;
    files::write_new(file, &saved.encode()).map_err(|source| CliError::PlanFile {
        file: file.to_owned(),
        done: "written",
        source,
    })?;
    let shown = file.display().to_string();
    if out.is_json() {
        out.object(&Object::SavedPlan { file: &shown, lines: saved.len() })?;
    } else {
        let shown = sanitize(&shown);
        out.line(format!("{} lines saved; \"vsync sync --plan {shown}\" does exactly these", saved.len()))?;
    }
    Ok(())
}

fn judge(plan: &Plan) -> Exit {
    if plan.objections().next().is_some() {
        Exit::Guarded
    } else if !plan.inventory.unknown.is_empty() || plan.destinations.iter().any(|part| part.unavailable.is_some()) {
        Exit::Failed
    } else if plan.is_empty() {
        Exit::Done
    } else {
        Exit::Pending
    }
}

fn show_tasks(part: &DestinationPlan, out: &mut Output) -> Result<(), CliError> {
    if !out.is_json() && !part.tasks.is_empty() {
        out.line(out.paint(Paint::Strong, &sanitize(part.destination.as_str())))?;
    }
    for task in &part.tasks {
        let (origin, path) = (task.origin.to_string(), task.destination.to_string());
        if out.is_json() {
            let destination = part.destination.as_str();
            out.object(&Object::Task {
                destination,
                operation: task.operation.as_str(),
                origin,
                path,
                rule: &task.rule,
                metadata_only: task.source == Source::Metadata,
            })?;
            continue;
        }
        let paint = match task.operation {
            Operation::Add => Paint::Good,
            Operation::Update => Paint::Notice,
            Operation::Delete | Operation::Destroy | Operation::Purge => Paint::Bad,
        };
        let symbol = out.paint(paint, &task.operation.state().symbol().to_string());
        let path = if origin == path {
            String::new()
        } else {
            format!(" → {}  ({})", sanitize(&path), sanitize(&task.rule))
        };
        let for_good = match task.operation {
            Operation::Destroy | Operation::Purge => out.paint(Paint::Bad, &format!("{} ", task.operation.as_str())),
            _ => String::new(),
        };
        let note = if task.source == Source::Metadata { "  (metadata only)" } else { "" };
        out.line(format!("  {symbol} {for_good}{}{path}{note}", sanitize(&origin)))?;
    }
    Ok(())
}
