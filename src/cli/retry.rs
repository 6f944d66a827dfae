//! `vsync retry`: only what failed, and what was left alone because somebody else wrote it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cycle::{self, Manner};
use super::drift::DriftArgs;
use super::interrupt::Interrupts;
use super::{CliError, Common, Context, Output, survey};
use crate::engine::{DestinationName, PlanOptions};
use crate::exit::Exit;
use crate::kv::{PathFilter, SecretPath};

/// Flags of `retry`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only secrets whose origin path this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Find out what would fail, without reading or writing a secret
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// What to do about secrets that somebody else wrote.
    #[command(flatten)]
    drift: DriftArgs,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if !args.dry_run {
        common.must_be_allowed_to_write()?;
    }
    let mut interrupts = Interrupts::listen()?;
    let mut context = Context::new(&args.drift.over(common)?)?;
    let filter = PathFilter::new(&args.path, &[], &context.engine.origin().mounts)
        .map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let chosen: Vec<DestinationName> = context.chosen().map(|destination| destination.name.clone()).collect();
    let standing = interrupts.unless(context.engine.standing_failures()).await??;
    let inventory = survey::inventory(&context, &mut interrupts).await?;
    let known = PlanOptions { only: chosen.clone(), again: false };
    let known = interrupts.unless(context.engine.plan(Arc::clone(&inventory), &known)).await?;
    let any = !standing.is_empty() || known.destinations.iter().any(|part| !part.drifted.is_empty());
    let mut failed: BTreeMap<DestinationName, BTreeSet<SecretPath>> = standing
        .into_iter()
        .filter(|(destination, _)| chosen.contains(destination))
        .map(|(destination, failures)| {
            let paths = failures.into_iter().map(|failure| failure.origin).filter(|path| filter.admits(path));
            (destination, paths.collect::<BTreeSet<_>>())
        })
        .collect();
    for part in known.destinations {
        let left_alone = part.drifted.into_iter().filter(|drift| !drift.kept).map(|drift| drift.origin);
        failed.entry(part.destination).or_default().extend(left_alone.filter(|path| filter.admits(path)));
    }
    failed.retain(|_, paths| !paths.is_empty());
    if failed.is_empty() {
        if !out.is_json() {
            out.line(if any {
                "None of the failed secrets is asked for."
            } else {
                "Nothing has failed, so there is nothing to retry."
            })?;
        }
        return Ok(Exit::Done);
    }
    // the others have nothing to retry, so their state need not be read
    context.only = failed.keys().cloned().collect();
    let again = PlanOptions { only: context.only.clone(), again: true };
    let plan = interrupts.unless(context.engine.plan(inventory, &again)).await?;
    let plan = context
        .engine
        .select(&plan, |destination, task| failed.get(destination).is_some_and(|paths| paths.contains(&task.origin)));
    let manner = Manner { dry_run: args.dry_run, yes: args.yes, stale: None };
    cycle::run(&context, plan, &manner, &mut interrupts, out).await
}
