//! `vsync sync`: plan, guard, execute.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::confirm::ConfirmArgs;
use super::cycle::{self, Manner};
use super::drift::DriftArgs;
use super::interrupt::Interrupts;
use super::{CliError, Common, Context, Output, daemon, survey};
use crate::config::parse_duration;
use crate::daemon::Role;
use crate::engine::{Plan, SavedPlan, StaleLine};
use crate::exit::Exit;

/// Flags of `sync`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do exactly what "vsync plan --out FILE" saved; a line whose secret has another version by now is refused
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Find out what would fail, without reading or writing a secret
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Go on for ever: look for changes at every tick and copy them, without asking
    #[arg(long, conflicts_with_all = ["plan", "dry_run", "confirm_purge"])]
    watch: bool,
    /// How often to look for changes (10s, 1m30s), over origin.tick
    #[arg(long, value_name = "DURATION", requires = "watch", value_parser = parse_duration)]
    tick: Option<Duration>,
    /// What nobody can take back.
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// What to do about secrets that somebody else wrote.
    #[command(flatten)]
    drift: DriftArgs,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if args.watch {
        return daemon::watch(Role::Sync, args.tick, &args.drift.over(common)?, out).await;
    }
    if !args.dry_run {
        common.must_be_allowed_to_write("\"vsync plan\", or \"vsync sync --dry-run\"")?;
    }
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(&args.drift.over(common)?)?;
    out.note_unverified(&context.loaded.config);
    survey::await_origin(&context, &mut interrupts).await?;
    let (plan, stale) = match &args.plan {
        Some(file) => {
            let (plan, stale) = load(&context, file, &mut interrupts).await?;
            (plan, Some(stale))
        }
        None => (survey::plan(&context, &mut interrupts).await?, None),
    };
    let manner =
        Manner { dry_run: args.dry_run, yes: args.yes, confirmed: args.confirm.confirm_purge, purpose: "sync", stale };
    cycle::run(&context, plan, &manner, &mut interrupts, out).await
}

/// A saved plan, compared with what holds now.
async fn load(context: &Context, file: &Path, interrupts: &mut Interrupts) -> Result<(Plan, Vec<StaleLine>), CliError> {
    let refused = |source| CliError::saved_plan(file, source);
    let bytes = fs::read(file).map_err(|source| CliError::PlanFile { file: file.to_owned(), done: "read", source })?;
    let saved = SavedPlan::decode(&bytes).map_err(refused)?;
    let inventory = survey::inventory(context, interrupts).await?;
    interrupts.unless(context.engine.load_plan(&saved, inventory, &context.only)).await?.map_err(refused)
}
