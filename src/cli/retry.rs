//! `vsync retry`: only what failed.

use std::collections::{BTreeMap, BTreeSet};

use super::cycle::{self, Manner};
use super::interrupt::Interrupts;
use super::{CliError, Common, Context, Output, survey};
use crate::engine::DestinationName;
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
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if !args.dry_run {
        common.must_be_allowed_to_write()?;
    }
    let mut interrupts = Interrupts::listen()?;
    let mut context = Context::new(common)?;
    let filter = PathFilter::new(&args.path, &[], &context.engine.origin().mounts)
        .map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let chosen: Vec<DestinationName> = context.chosen().map(|destination| destination.name.clone()).collect();
    let standing = interrupts.unless(context.engine.standing_failures()).await??;
    let any = !standing.is_empty();
    let failed: BTreeMap<DestinationName, BTreeSet<SecretPath>> = standing
        .into_iter()
        .filter(|(destination, _)| chosen.contains(destination))
        .map(|(destination, failures)| {
            let paths = failures.into_iter().map(|failure| failure.origin).filter(|path| filter.admits(path));
            (destination, paths.collect::<BTreeSet<_>>())
        })
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
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
    let plan = survey::plan(&context, &mut interrupts, true).await?;
    let plan = context
        .engine
        .select(&plan, |destination, task| failed.get(destination).is_some_and(|paths| paths.contains(&task.origin)));
    let manner = Manner { dry_run: args.dry_run, yes: args.yes };
    cycle::run(&context, plan, &manner, &mut interrupts, out).await
}
