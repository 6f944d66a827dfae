//! Finding out what the origin holds and planning, as every command does it that needs a plan.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::drift::DriftCounts;
use super::interrupt::Interrupts;
use super::object::Object;
use super::output::{Paint, duration};
use super::progress::{Progress, say};
use super::{CliError, Context, Output};
use crate::engine::{DestinationName, DestinationPlan, Inventory, InventoryUpdate, Plan, PlanOptions};
use crate::text::sanitize;

/// Waits for an origin that is sealed, or whose cluster has no leader, as a cycle does in its midst.
///
/// # Errors
/// When that takes longer than `origin.patience` says, and when a signal comes.
pub(super) async fn await_origin(context: &Context, interrupts: &mut Interrupts) -> Result<(), CliError> {
    let address = context.engine.origin().vault.address();
    let told = |obstacle: &str, patience: Duration| {
        let patience = duration(patience);
        say(&format!(
            "the origin {} is {obstacle}: it is waited for, up to {patience} (origin.patience)",
            sanitize(address)
        ));
    };
    let awaited = interrupts.unless(context.engine.await_origin(told)).await?;
    awaited.map_err(|obstacle| CliError::Origin {
        address: address.to_owned(),
        reason: format!("it is {obstacle}, and was for {}", duration(context.engine.patience_with_origin())),
    })
}

/// Lists the origin and plans for the destinations asked for.
///
/// # Errors
/// When nothing of the origin can be read, when it takes too long, and when a signal comes.
pub(super) async fn plan(context: &Context, interrupts: &mut Interrupts) -> Result<Plan, CliError> {
    let inventory = inventory(context, interrupts).await?;
    warn_of_idle_canaries(context, &inventory);
    let options = PlanOptions { only: context.only.clone(), again: false };
    interrupts.unless(context.engine.plan(inventory, &options)).await
}

/// Says which globs of `canary` match no secret at all: they protect nobody.
fn warn_of_idle_canaries(context: &Context, inventory: &Inventory) {
    if !inventory.is_complete() {
        return;
    }
    for destination in context.engine.destinations() {
        let Some(canary) = &destination.canary else { continue };
        let is_part = |name: &DestinationName| context.only.is_empty() || context.only.contains(name);
        if is_part(&destination.name) && !inventory.secrets.iter().any(|(path, _)| canary.admits(path)) {
            let name = sanitize(destination.name.as_str());
            say(&format!("{name}: no secret of the origin matches canary, so nothing comes first"));
        }
    }
}

/// Lists the origin.
///
/// # Errors
/// As [`plan`].
pub(super) async fn inventory(context: &Context, interrupts: &mut Interrupts) -> Result<Arc<Inventory>, CliError> {
    let (sender, mut updates) = mpsc::unbounded_channel();
    let survey = context.engine.survey(Some(sender));
    tokio::pin!(survey);
    let started = Instant::now();
    let limit = context.loaded.config.origin.timeout;
    let too_late = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(too_late);
    let mut progress = Progress::new(&context.common);
    let mut found = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let inventory = loop {
        tokio::select! {
            inventory = &mut survey => break inventory,
            Some(update) = updates.recv() => if let InventoryUpdate::Found(secrets) = update {
                found += secrets.len() as u64;
            },
            _ = tick.tick() => progress.survey(found, started),
            () = interrupts.next() => return Err(CliError::Interrupted),
            () = &mut too_late => return Err(CliError::OriginTimeout {
                address: context.engine.origin().vault.address().to_owned(),
                timeout: limit.unwrap_or_default(),
            }),
        }
    };
    drop(progress);
    let origin = context.engine.origin();
    let reason =
        |mount: &str| inventory.unknown.iter().find(|unknown| unknown.prefix == mount).map(|unknown| &unknown.reason);
    let reasons: Vec<_> = origin.mounts.iter().map_while(|mount| Some((mount, reason(mount.as_str())?))).collect();
    if reasons.len() == origin.mounts.len() {
        let reason = reasons
            .iter()
            .map(|(mount, reason)| format!("{mount}: {}", sanitize(reason)))
            .collect::<Vec<_>>()
            .join("; ");
        return Err(CliError::Origin { address: origin.vault.address().to_owned(), reason });
    }
    Ok(Arc::new(inventory))
}

/// Says what of the origin could not be read, and what that means.
pub(super) fn show_unknown(plan: &Plan, out: &mut Output) -> Result<(), CliError> {
    let unknown = &plan.inventory.unknown;
    for subtree in unknown {
        if out.is_json() {
            out.object(&Object::Unknown { prefix: &subtree.prefix, reason: &subtree.reason })?;
        } else {
            let symbol = out.paint(Paint::Bad, "?");
            out.line(format!("{symbol} {}: {}", sanitize(&subtree.prefix), sanitize(&subtree.reason)))?;
        }
    }
    if !unknown.is_empty() && !out.is_json() {
        let parts = if unknown.len() == 1 { "1 part".to_owned() } else { format!("{} parts", unknown.len()) };
        let warning = format!(
            "The origin is incomplete: {parts} could not be read. Nothing under what is named above is changed or deleted anywhere; \"vsync check\" looks for the cause."
        );
        out.line(out.paint(Paint::Bad, &warning))?;
    }
    Ok(())
}

/// The counts of a plan, a row per destination.
pub(super) fn show_counts(plan: &Plan, out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        for part in &plan.destinations {
            out.object(&counts(part))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = plan
        .destinations
        .iter()
        .map(|part| {
            let counts = part.counts();
            let excluded = part.excluded.len() as u64;
            let drifted = DriftCounts::of(part).open();
            let unknown = part.unknown.len() as u64;
            let numbers = [counts.add, counts.update, counts.delete, part.in_sync, drifted, excluded, unknown];
            let numbers =
                numbers.map(|number| if part.unavailable.is_some() { "-".to_owned() } else { number.to_string() });
            std::iter::once(sanitize(part.destination.as_str()).into_owned()).chain(numbers).collect()
        })
        .collect();
    for (number, line) in super::output::table(
        &["DESTINATION", "+ ADD", "* UPDATE", "- DELETE", "= IN SYNC", "~ DRIFTED", "∅ EXCLUDED", "? UNKNOWN"],
        &rows,
        &[],
    )
    .iter()
    .enumerate()
    {
        out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
    }
    for part in &plan.destinations {
        if let Some(reason) = &part.unavailable {
            let name = sanitize(part.destination.as_str());
            out.line(
                out.paint(Paint::Bad, &format!("{name}: no plan, its state could not be read: {}", sanitize(reason))),
            )?;
        }
        if !part.answered() {
            let name = sanitize(part.destination.as_str());
            let message =
                format!("{name}: is sealed or does not answer; the counts are as recorded, \"vsync check\" tells more");
            out.line(out.paint(Paint::Notice, &message))?;
        }
        if part.moved > 0 {
            out.line(format!(
                "{}: {} go to new paths since the transforms changed; what was written to the former ones stays there",
                sanitize(part.destination.as_str()),
                part.moved
            ))?;
        }
        for new in &part.new_mounts {
            out.line(format!(
                "{}: a mount is missing and is created first: {new}",
                sanitize(part.destination.as_str())
            ))?;
        }
        if let Some(words) = part.counts().irrevocable_in_words() {
            let message = format!(
                "{}: {words} for good among the deletes: nothing can take that back",
                sanitize(part.destination.as_str())
            );
            out.line(out.paint(Paint::Bad, &message))?;
        }
        if part.deletes_ignored > 0 {
            out.line(format!(
                "{}: {} deletes are left out (on_delete = \"ignore\")",
                sanitize(part.destination.as_str()),
                part.deletes_ignored
            ))?;
        }
    }
    Ok(())
}

fn counts(part: &DestinationPlan) -> Object<'_> {
    let counts = part.counts();
    let DriftCounts { changed, existing, kept } = DriftCounts::of(part);
    Object::Plan {
        destination: part.destination.as_str(),
        add: counts.add,
        update: counts.update,
        delete: counts.delete,
        destroy: counts.destroy,
        purge: counts.purge,
        in_sync: part.in_sync,
        drifted: changed,
        existing,
        kept,
        excluded: part.excluded.len() as u64,
        unknown: part.unknown.len() as u64,
        deletes_ignored: part.deletes_ignored,
        moved: part.moved,
        creates_mounts: part.new_mounts.iter().map(|new| new.mount.to_string()).collect(),
        answered: part.answered(),
        unavailable: part.unavailable.as_deref(),
    }
}

/// The guards that stand against a plan.
pub(super) fn show_objections(plan: &Plan, out: &mut Output) -> Result<(), CliError> {
    for (destination, objection) in plan.objections() {
        if out.is_json() {
            out.object(&Object::Objection { destination: destination.as_str(), message: objection.to_string() })?;
        } else {
            let symbol = out.paint(Paint::Bad, "stopped");
            out.line(format!("{symbol} {}: {}", sanitize(destination.as_str()), sanitize(&objection.to_string())))?;
        }
    }
    Ok(())
}
