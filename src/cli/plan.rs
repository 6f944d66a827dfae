//! `vsync plan`: what a cycle would do.

use super::interrupt::Interrupts;
use super::output::{Object, Paint};
use super::survey::{self, show_counts, show_objections, show_unknown};
use super::{CliError, Common, Context, Output};
use crate::engine::{DestinationPlan, Operation, Plan};
use crate::exit::Exit;
use crate::text::sanitize;

/// Flags of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only the counts, not every secret
    #[arg(long)]
    summary: bool,
}

pub(super) async fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let mut interrupts = Interrupts::listen()?;
    let context = Context::new(common)?;
    let plan = survey::plan(&context, &mut interrupts, false).await?;
    if !args.summary {
        for part in &plan.destinations {
            show_tasks(part, out)?;
        }
    }
    show_unknown(&plan, out)?;
    show_counts(&plan, out)?;
    show_objections(&plan, out)?;
    Ok(judge(&plan))
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
            })?;
            continue;
        }
        let paint = match task.operation {
            Operation::Add => Paint::Good,
            Operation::Update => Paint::Notice,
            Operation::Delete => Paint::Bad,
        };
        let symbol = out.paint(paint, &task.operation.state().symbol().to_string());
        let path = if origin == path {
            String::new()
        } else {
            format!(" → {}  ({})", sanitize(&path), sanitize(&task.rule))
        };
        out.line(format!("  {symbol} {}{path}", sanitize(&origin)))?;
    }
    Ok(())
}
