//! Confirming what nobody can take back: destroying and purging want their number, given or typed.

use super::interrupt::Interrupts;
use super::object::Object;
use super::output::Paint;
use super::progress::say;
use super::question::{answer, can_ask};
use super::{CliError, Output};
use crate::engine::Plan;
use crate::exit::Exit;
use crate::text::sanitize;

/// The flag of `sync` and `retry`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct ConfirmArgs {
    /// Destroy or purge exactly this many secrets for good, where the configuration wants it; any other number does nothing
    #[arg(long, value_name = "NUMBER")]
    pub(super) confirm_purge: Option<u64>,
}

/// Says what of a plan cannot be taken back, and has its number confirmed. `None`: go on.
///
/// # Errors
/// When a signal comes while it asks, or nothing can be written to stdout.
pub(super) async fn irrevocable(
    plan: &Plan,
    confirmed: Option<u64>,
    yes: bool,
    interrupts: &mut Interrupts,
    out: &mut Output,
) -> Result<Option<Exit>, CliError> {
    let number = plan.irrevocable();
    if number == 0 {
        // what was to go may be done by now, or back at the origin
        return match confirmed {
            None | Some(0) => Ok(None),
            Some(confirmed) => refuse(plan, Some(confirmed), out).map(Some),
        };
    }
    if confirmed == Some(number) {
        return Ok(None);
    }
    if confirmed.is_some() || yes || !can_ask() {
        return refuse(plan, confirmed, out).map(Some);
    }
    let words = plan.counts().irrevocable_in_words().unwrap_or_default();
    let question = format!("{words} for good, and no undo brings them back. Type {number} to go on: ");
    let typed = answer(&question, interrupts).await?;
    if typed.trim() == number.to_string() {
        return Ok(None);
    }
    say("Nothing was written.");
    Ok(Some(Exit::Failed))
}

fn refuse(plan: &Plan, confirmed: Option<u64>, out: &mut Output) -> Result<Exit, CliError> {
    let number = plan.irrevocable();
    for part in &plan.destinations {
        let Some(words) = part.counts().irrevocable_in_words() else { continue };
        let message = format!("{words} for good, which nothing can take back, not even \"vsync undo\"");
        if out.is_json() {
            out.object(&Object::Objection { destination: part.destination.as_str(), message })?;
        } else {
            let symbol = out.paint(Paint::Bad, "stopped");
            out.line(format!("{symbol} {}: would be {message}", sanitize(part.destination.as_str())))?;
        }
    }
    out.flush()?;
    let what = match confirmed {
        Some(confirmed) if number == 0 => {
            format!("--confirm-purge {confirmed} was given, and nothing is to be destroyed or purged by now")
        }
        Some(confirmed) => format!("--confirm-purge {confirmed} was given, and it would be {number}"),
        None => format!("{number} would be destroyed or purged for good"),
    };
    let next = if number == 0 {
        "leave the flag out for the rest".to_owned()
    } else {
        format!("if that is meant, add --confirm-purge {number}")
    };
    say(&format!("Nothing was written: {what}; {next}."));
    Ok(Exit::Guarded)
}
