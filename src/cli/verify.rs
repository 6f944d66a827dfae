//! `vsync verify`: whether the destinations still hold what vsync left there.

use std::time::{Duration, Instant};

use super::cycle::{self, Manner};
use super::interrupt::Interrupts;
use super::object::Object;
use super::output::{self, Paint};
use super::progress::{Progress, say};
use super::question::{ask, can_ask};
use super::{CliError, Common, Context, Output, survey};
use crate::engine::{Finding, FindingKind, ReadCost, Side, Verification, VerifyOptions, VerifyProgress};
use crate::exit::Exit;
use crate::kv::PathFilter;
use crate::text::sanitize;

/// Flags of `verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only secrets whose origin path this glob matches; may be repeated
    #[arg(long, value_name = "GLOB")]
    path: Vec<String>,
    /// Also compare values, in memory; says before how many secrets it will read
    #[arg(long)]
    deep: bool,
    /// Write the origin's values again where something else is there now, and delete again what came back
    #[arg(long)]
    repair: bool,
    /// Do not ask before secrets are read or written
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if args.repair {
        common.must_be_allowed_to_write("\"vsync verify\" without --repair")?;
    }
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(common)?;
    out.note_unverified(&context.loaded.config);
    let filter = PathFilter::new(&args.path, &[], &context.engine.origin().mounts)
        .map_err(|error| CliError::usage(format!("--path: {error}")))?;
    let options = VerifyOptions { only: context.only.clone(), filter };
    let mut verifications = look(&context, &options, &mut interrupts).await?;
    if args.deep && !compare(&context, args, &mut verifications, &mut interrupts).await? {
        return Ok(Exit::Failed);
    }
    for verification in &verifications {
        show_findings(verification, out)?;
    }
    if out.is_json() {
        for verification in &verifications {
            out.object(&summary(verification))?;
        }
    } else {
        show_counts(&verifications, args.deep, out)?;
        for verification in &verifications {
            show_gaps(verification, out)?;
        }
    }
    let found = judge(&verifications);
    if found != Exit::Pending {
        return Ok(found);
    }
    if args.repair {
        return repair(&context, &verifications, args.yes, &mut interrupts, out).await;
    }
    if !out.is_json() {
        out.line(
            "\"vsync verify --repair\" makes the origin right again for these; to leave them is a decision, too.",
        )?;
    }
    Ok(found)
}

/// Carries out what puts the findings right.
async fn repair(
    context: &Context,
    verifications: &[Verification],
    yes: bool,
    interrupts: &mut Interrupts,
    out: &mut Output,
) -> Result<Exit, CliError> {
    let inventory = survey::inventory(context, interrupts).await?;
    let plan = interrupts.unless(context.engine.plan_repair(verifications, inventory)).await?;
    let findings: usize = verifications.iter().map(|one| one.findings.len()).sum();
    let left = findings as u64 - plan.counts().total();
    let manner = Manner { dry_run: false, yes, confirmed: None, purpose: "sync", stale: None };
    let exit = cycle::run(context, plan, &manner, interrupts, out).await?;
    if left > 0 && !out.is_json() {
        out.line(format!(
            "{left} of the findings are for the next plan: the origin does not have them, or they go elsewhere."
        ))?;
    }
    Ok(if exit == Exit::Done && left > 0 { Exit::Pending } else { exit })
}

/// Drift that was found is drift, whatever else could not be looked at.
fn judge(verifications: &[Verification]) -> Exit {
    if verifications.iter().any(|one| !one.findings.is_empty()) {
        Exit::Pending
    } else if verifications.iter().all(Verification::is_complete) {
        Exit::Done
    } else {
        Exit::Failed
    }
}

async fn look(
    context: &Context,
    options: &VerifyOptions,
    interrupts: &mut Interrupts,
) -> Result<Vec<Verification>, CliError> {
    let progress = VerifyProgress::default();
    let started = Instant::now();
    let mut line = Progress::new(&context.common);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let verified = context.engine.verify(options, &progress);
    tokio::pin!(verified);
    loop {
        tokio::select! {
            verified = &mut verified => return Ok(verified),
            _ = tick.tick() => {
                let elapsed = output::duration(started.elapsed());
                line.say(&match progress.found() {
                    0 => format!("waiting for the destinations and their state stores for {elapsed}"),
                    found => format!("destinations: {found} secrets found in {elapsed}"),
                });
            }
            () = interrupts.next() => return Err(CliError::Interrupted),
        }
    }
}

/// Compares values, once it has said what that costs. Returns whether it was agreed to.
async fn compare(
    context: &Context,
    args: &Args,
    verifications: &mut [Verification],
    interrupts: &mut Interrupts,
) -> Result<bool, CliError> {
    let cost = context.engine.read_cost(verifications);
    say_cost(&cost, &context.common);
    if cost.origin > 0 && !args.yes && can_ask() && !ask("Read them?", interrupts).await? {
        say("No secret was read.");
        return Ok(false);
    }
    let progress = VerifyProgress::default();
    let mut line = Progress::new(&context.common);
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let compared = context.engine.compare_values(verifications, &progress);
    tokio::pin!(compared);
    loop {
        tokio::select! {
            compared = &mut compared => {
                compared?;
                return Ok(true);
            }
            _ = tick.tick() => line.say(&format!("{}/{} secrets compared", progress.compared(), cost.origin)),
            () = interrupts.next() => return Err(CliError::Interrupted),
        }
    }
}

fn say_cost(cost: &ReadCost, common: &Common) {
    if common.output == super::Format::Json {
        let destinations = cost.destinations.iter().map(|(name, reads)| (name.as_str(), *reads)).collect();
        let object = Object::ReadCost { origin: cost.origin, destinations };
        say(&crate::text::to_json(&object).unwrap_or_default());
        return;
    }
    let destinations: Vec<String> =
        cost.destinations.iter().map(|(name, reads)| format!("{reads} at {}", sanitize(name.as_str()))).collect();
    say(&format!("Comparing values reads {} secrets at the origin, {}.", cost.origin, destinations.join(", ")));
}

fn show_findings(verification: &Verification, out: &mut Output) -> Result<(), CliError> {
    let name = verification.destination.as_str();
    for finding in &verification.findings {
        if out.is_json() {
            out.object(&Object::Finding {
                destination: name,
                finding: finding.kind,
                origin: finding.origin.to_string(),
                path: finding.destination.to_string(),
                ours: finding.ours,
                found: finding.found,
            })?;
        } else {
            let symbol = out.paint(Paint::Notice, "~");
            let (origin, path) = (finding.origin.to_string(), finding.destination.to_string());
            let origin = if origin == path { String::new() } else { format!(" (from {})", sanitize(&origin)) };
            out.line(format!("{symbol} {}  {}{origin}: {}", sanitize(name), sanitize(&path), words(finding)))?;
        }
    }
    Ok(())
}

fn words(finding: &Finding) -> String {
    let version = |version: Option<u64>| version.map_or_else(|| "none".to_owned(), |version| version.to_string());
    let (ours, found) = (version(finding.ours), version(finding.found));
    match finding.kind {
        FindingKind::Changed => format!("changed: version {found} is there, vsync left version {ours}"),
        FindingKind::Gone if finding.ours.is_none() => "gone: deleted, or not there any more".to_owned(),
        FindingKind::Gone => format!("gone: deleted, or not there any more; vsync left version {ours}"),
        FindingKind::CameBack => format!("came back: vsync deleted it, and version {found} is there"),
        FindingKind::Foreign => format!("foreign: version {found} was written by somebody else, and vsync leaves it"),
        FindingKind::ValueDiffers => {
            format!("value differs: version {found} is there as vsync left it, and its value is not the origin's")
        }
    }
}

fn show_counts(verifications: &[Verification], deep: bool, out: &mut Output) -> Result<(), CliError> {
    let mut headings = vec!["DESTINATION", "= UNCHANGED"];
    let kinds = FindingKind::ALL.into_iter().filter(|kind| deep || *kind != FindingKind::ValueDiffers);
    let kinds: Vec<FindingKind> = kinds.collect();
    headings.extend(kinds.iter().map(|kind| match kind {
        FindingKind::Changed => "~ CHANGED",
        FindingKind::Gone => "~ GONE",
        FindingKind::CameBack => "~ CAME BACK",
        FindingKind::Foreign => "~ FOREIGN",
        FindingKind::ValueDiffers => "~ VALUE DIFFERS",
    }));
    headings.extend(["KEPT", "UNVERSIONED", "? UNKNOWN"]);
    if deep {
        headings.extend(["VALUE EQUAL", "* TO UPDATE"]);
    }
    let rows: Vec<Vec<String>> = verifications
        .iter()
        .map(|one| {
            let mut numbers = vec![one.unchanged];
            numbers.extend(kinds.iter().map(|kind| one.count(*kind)));
            numbers.extend([one.kept, one.unversioned, one.unknown()]);
            numbers.extend(one.values.iter().flat_map(|values| [values.equal, values.to_update]));
            let numbers = numbers.into_iter().map(|number| match one.unavailable {
                Some(_) => "-".to_owned(),
                None => number.to_string(),
            });
            std::iter::once(sanitize(one.destination.as_str()).into_owned()).chain(numbers).collect()
        })
        .collect();
    for (number, line) in output::table(&headings, &rows, &[]).iter().enumerate() {
        out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
    }
    Ok(())
}

/// What could not be looked at, and what was looked at with less than a version to go by.
fn show_gaps(verification: &Verification, out: &mut Output) -> Result<(), CliError> {
    let name = sanitize(verification.destination.as_str());
    if let Some(reason) = &verification.unavailable {
        out.line(out.paint(Paint::Bad, &format!("{name}: not verified: {}", sanitize(reason))))?;
    }
    for place in &verification.unverified {
        let (prefix, reason) = (sanitize(&place.prefix), sanitize(&place.reason));
        let message = format!("{name}: {} secrets unknown in {prefix}: {reason}", place.secrets);
        out.line(out.paint(Paint::Bad, &message))?;
    }
    for unread in verification.values.iter().flat_map(|values| &values.unread) {
        let side = match &unread.side {
            Side::Origin => "the origin".into(),
            Side::Destination(name) => sanitize(name.as_str()),
        };
        let (example, reason) = (unread.example.to_string(), sanitize(&unread.reason));
        let message =
            format!("{name}: {} secrets not read at {side}, as {}: {reason}", unread.secrets, sanitize(&example));
        out.line(out.paint(Paint::Bad, &message))?;
    }
    if verification.unversioned > 0 {
        let message = format!(
            "{name}: {} secrets are there, but were copied by a vsync that recorded no versions: whether they are \
             unchanged, only --deep can tell",
            verification.unversioned
        );
        out.line(message)?;
    }
    Ok(())
}

fn summary(verification: &Verification) -> Object<'_> {
    let places = verification.unverified.iter().map(|place| super::object::UnknownObject {
        prefix: place.prefix.clone(),
        reason: place.reason.clone(),
        secrets: place.secrets,
    });
    let unread = verification.values.iter().flat_map(|values| &values.unread);
    let unread = unread.map(|unread| super::object::UnknownObject {
        prefix: unread.example.to_string(),
        reason: match &unread.side {
            Side::Origin => format!("origin: {}", unread.reason),
            Side::Destination(_) => unread.reason.clone(),
        },
        secrets: unread.secrets,
    });
    Object::Verification {
        destination: verification.destination.as_str(),
        unchanged: verification.unchanged,
        changed: verification.count(FindingKind::Changed),
        gone: verification.count(FindingKind::Gone),
        came_back: verification.count(FindingKind::CameBack),
        foreign: verification.count(FindingKind::Foreign),
        kept: verification.kept,
        unversioned: verification.unversioned,
        unknown: verification.unknown(),
        unknown_in: places.chain(unread).collect(),
        value_equal: verification.values.as_ref().map(|values| values.equal),
        value_differs: verification.values.as_ref().map(|_| verification.count(FindingKind::ValueDiffers)),
        to_update: verification.values.as_ref().map(|values| values.to_update),
        unavailable: verification.unavailable.as_deref(),
    }
}
