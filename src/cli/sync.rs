//! `vsync sync`: plan, guard, execute.

use super::cycle::{self, Manner};
use super::interrupt::Interrupts;
use super::{CliError, Common, Context, Output, survey};
use crate::exit::Exit;

/// Flags of `sync`.
#[derive(Debug, clap::Args)]
pub struct Args {
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
    let context = Context::new(common)?;
    let plan = survey::plan(&context, &mut interrupts, false).await?;
    let manner = Manner { dry_run: args.dry_run, yes: args.yes };
    cycle::run(&context, plan, &manner, &mut interrupts, out).await
}
