//! `vsync history`: past cycles.

use std::path::PathBuf;

use super::cycle::{Planned, show_report};
use super::object::{Object, ReportObject};
use super::output::{self, Paint};
use super::{CliError, Common, Context, Output};
use crate::engine::{Ending, Report};
use crate::exit::Exit;
use crate::export::{Format, export};
use crate::text::sanitize;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cycle whose report to show, or the beginning of its id
    #[arg(value_name = "ID")]
    cycle: Option<String>,
    /// Write the report to a new file: .json, .csv or .html
    #[arg(long, value_name = "FILE", requires = "cycle")]
    export: Option<PathBuf>,
    /// How many cycles to list
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    limit: usize,
}

/// How many cycles are looked through for the beginning of an id.
const SEARCHED: usize = 1_000;

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    if let Some(file) = &args.export {
        Format::of(file)?;
    }
    let context = Context::new(common)?;
    out.note_unverified(&context.loaded.config);
    let Some(id) = &args.cycle else {
        let reports = context.engine.history(args.limit).await?;
        list(&reports.iter().filter(|report| concerns(report, &context)).collect::<Vec<_>>(), out)?;
        return Ok(Exit::Done);
    };
    let report = match id.parse() {
        Ok(id) => context.engine.report(id).await?,
        Err(_) => by_beginning(&context, id).await?,
    };
    match report {
        Some(report) if let Some(file) = &args.export => {
            export(&report, file)?;
            let shown = file.display().to_string();
            if out.is_json() {
                out.object(&Object::Exported { cycle: report.cycle.to_string(), file: &shown })?;
            } else {
                out.line(format!("the report of cycle {} is in {}", report.cycle, sanitize(&shown)))?;
            }
        }
        Some(report) => {
            if !out.is_json() {
                out.line(told(&report))?;
            }
            show_report(&report, None, Planned::Now, out)?;
        }
        None => {
            return Err(no_such_cycle(id));
        }
    }
    Ok(Exit::Done)
}

/// Who ran a cycle, where, when and for how long.
fn told(report: &Report) -> String {
    let (operator, host, vsync) = (sanitize(&report.operator), sanitize(&report.host), sanitize(&report.vsync));
    let started = output::time(report.started);
    let by = format!("by {operator}@{host} with vsync {vsync}");
    match report.ending {
        Ending::Unfinished => format!("started {started} {by}; last heard of {}", output::time(report.ended)),
        _ => format!("started {started}, ended {} {by}", output::time(report.ended)),
    }
}

pub(super) fn no_such_cycle(id: &str) -> CliError {
    CliError::NotFound(format!("there is no cycle {}; \"vsync history\" lists them", sanitize(id)))
}

/// The one cycle whose id begins so.
pub(super) async fn by_beginning(context: &Context, beginning: &str) -> Result<Option<Report>, CliError> {
    let mut found = context.engine.history(SEARCHED).await?;
    found.retain(|report| report.cycle.to_string().starts_with(beginning));
    if found.len() > 1 {
        return Err(CliError::usage(format!(
            "{} cycles begin with {}: give more of the id",
            found.len(),
            sanitize(beginning)
        )));
    }
    Ok(found.pop())
}

/// How a cycle ended, and whether it undid another one.
fn ending(report: &Report) -> String {
    let undo = if report.undoes.is_some() { " (undo)" } else { "" };
    format!("{}{undo}", report.ending.as_str())
}

fn concerns(report: &Report, context: &Context) -> bool {
    report.destinations.iter().any(|part| context.only.is_empty() || context.only.contains(&part.destination))
}

fn list(reports: &[&Report], out: &mut Output) -> Result<(), CliError> {
    if out.is_json() {
        for report in reports {
            out.object(&Object::Cycle(ReportObject::from(*report)))?;
        }
        return Ok(());
    }
    if reports.is_empty() {
        return Ok(out.line("There was no cycle yet.")?);
    }
    let rows: Vec<Vec<String>> = reports
        .iter()
        .map(|report| {
            let done = report.done();
            vec![
                report.cycle.to_string(),
                output::time(report.started),
                output::duration(report.duration()),
                ending(report),
                done.add.to_string(),
                done.update.to_string(),
                done.delete.to_string(),
                report.failed().to_string(),
                report.pending().to_string(),
                report.purpose().to_owned(),
                format!("{}@{}", sanitize(&report.operator), sanitize(&report.host)),
            ]
        })
        .collect();
    let headings =
        ["CYCLE", "STARTED", "TOOK", "ENDING", "ADDED", "UPDATED", "DELETED", "! FAILED", "PENDING", "FOR", "BY"];
    for (number, line) in output::table(&headings, &rows, &[1, 3, 9, 10]).iter().enumerate() {
        out.line(if number == 0 { out.paint(Paint::Strong, line) } else { line.clone() })?;
    }
    Ok(())
}
