//! `vsync retry`: only what failed, and what was left alone because somebody else wrote it.

use std::collections::{BTreeMap, BTreeSet};

use super::confirm::ConfirmArgs;
use super::cycle::{self, Manner};
use super::drift::DriftArgs;
use super::interrupt::Interrupts;
use super::{CliError, Common, Context, Output, survey};
use crate::engine::{Cause, DestinationName, Ignored, PlanOptions, Task};
use crate::exit::Exit;
use crate::kv::{PathFilter, SecretPath};

/// Flags of `retry`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only secrets whose origin path this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Also what is ignored (see the console's Failures); what --path names is taken in any case
    #[arg(long)]
    ignored: bool,
    /// Find out what would fail, without reading or writing a secret
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// What nobody can take back.
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// What to do about secrets that somebody else wrote.
    #[command(flatten)]
    drift: DriftArgs,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if !args.dry_run {
        common.must_be_allowed_to_write("\"vsync retry --dry-run\"")?;
    }
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(&args.drift.over(common)?)?;
    out.note_unverified(&context.loaded.config);
    let filter = PathFilter::new(&args.path, &[], &context.engine.origin().mounts)
        .map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let chosen: Vec<DestinationName> = context.chosen().map(|destination| destination.name.clone()).collect();
    let mut standing = interrupts.unless(context.engine.standing_failures()).await??;
    let any = !standing.is_empty();
    let ignored = if args.ignored || !args.path.is_empty() {
        BTreeMap::new()
    } else {
        interrupts.unless(context.engine.ignored()).await??
    };
    let mut left_out = 0_u64;
    for (destination, failures) in &mut standing {
        let before = failures.len();
        failures.retain(|failure| !is_ignored(&ignored, destination, |one| one.covers(failure)));
        left_out += (before - failures.len()) as u64;
    }
    let failed: BTreeMap<DestinationName, BTreeSet<SecretPath>> = standing
        .into_iter()
        .filter(|(destination, _)| chosen.contains(destination))
        .map(|(destination, failures)| {
            let paths = failures.into_iter().map(|failure| failure.origin).filter(|path| filter.admits(path));
            (destination, paths.collect::<BTreeSet<_>>())
        })
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    survey::await_origin(&context, &mut interrupts).await?;
    let inventory = survey::inventory(&context, &mut interrupts).await?;
    let options = PlanOptions { only: chosen, again: true };
    let planned = interrupts.unless(context.engine.plan(inventory, &options)).await?;
    let has_failed = |destination: &DestinationName, task: &Task| {
        failed.get(destination).is_some_and(|paths| paths.contains(&task.origin))
    };
    // the reports that met it first may be long gone
    let is_left_alone = |destination: &DestinationName, task: &Task| {
        planned.destination(destination).is_some_and(|part| part.is_known_drift(task))
            && filter.admits(&task.origin)
            && !is_ignored(&ignored, destination, |one| {
                let is_foreign = [Cause::Drift, Cause::Existing].iter().any(|cause| cause.as_str() == one.cause);
                one.origin == task.origin && is_foreign && one.insight == task.insight
            })
    };
    if left_out > 0 && !out.is_json() {
        let what =
            if left_out == 1 { "1 ignored failure is".to_owned() } else { format!("{left_out} ignored failures are") };
        out.line(format!("{what} left alone; \"--ignored\" takes them, too"))?;
    }
    let mut plan = context.engine.select(&planned, |name, task| has_failed(name, task) || is_left_alone(name, task));
    // what stands against others is none of this command's business
    plan.destinations.retain(|part| !part.tasks.is_empty() || failed.contains_key(&part.destination));
    if plan.destinations.is_empty() {
        if !out.is_json() {
            out.line(if any {
                "None of the failed secrets is asked for."
            } else {
                "Nothing has failed, so there is nothing to retry."
            })?;
        }
        return Ok(Exit::Done);
    }
    let confirmed = args.confirm.confirm_purge;
    let manner = Manner { dry_run: args.dry_run, yes: args.yes, confirmed, purpose: "retry", stale: None };
    cycle::run(&context, plan, &manner, &mut interrupts, out).await
}

fn is_ignored(
    ignored: &BTreeMap<DestinationName, Vec<Ignored>>,
    destination: &DestinationName,
    is: impl Fn(&Ignored) -> bool,
) -> bool {
    ignored.get(destination).is_some_and(|ignored| ignored.iter().any(is))
}
