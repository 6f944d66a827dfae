//! Work for History: reading older cycles and what they changed, exporting a report, planning an undo.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use crate::engine::{CycleId, DestinationName, Engine, Report, Side, UndoOptions};
use crate::export;
use crate::files;
use crate::state::LockTaken;
use crate::tui::message::Message;
use crate::tui::screen::history::{News, Preview};

/// How many cycles are read at a time.
const PAGE: usize = 20;
/// How long a store may take to say who is at work.
const PATIENCE: Duration = Duration::from_secs(5);

/// Work for History.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Read the cycles before this one.
    Older(CycleId),
    /// Find out who has the locks of these destinations' cycles.
    Holders(Vec<DestinationName>),
    /// Read what a cycle changed at these destinations.
    Changes(CycleId, Vec<DestinationName>),
    /// Write a report to a new file.
    Export(CycleId, PathBuf),
    /// Find out what undoing this cycle would do.
    PlanUndo(Arc<Report>),
}

impl Worker {
    pub(super) fn history(&mut self, request: Request) {
        let (engine, only, messages) = (self.engine.clone(), self.only.clone(), self.messages.clone());
        tokio::spawn(async move {
            let news = match request {
                Request::Older(cycle) => {
                    News::Older(engine.history_before(Some(cycle), PAGE).await.map_err(|error| error.to_string()))
                }
                Request::Holders(names) => News::Holders(holders(&engine, names).await),
                Request::Changes(cycle, names) => {
                    let mut parts = Vec::new();
                    for name in names {
                        let changes = engine.changes(cycle, &name).await.map_err(|error| error.to_string());
                        parts.push((name, changes));
                    }
                    News::Changes(cycle, parts)
                }
                Request::Export(cycle, file) => News::Exported(write(&engine, cycle, file).await),
                Request::PlanUndo(report) => News::Undo(Box::new(plan_undo(&engine, only, &report).await)),
            };
            let _ = messages.send(Message::History(news));
        });
    }
}

async fn holders(engine: &Engine, names: Vec<DestinationName>) -> BTreeMap<DestinationName, crate::state::LockHolder> {
    let mut holders = BTreeMap::new();
    for name in names {
        let asked = tokio::time::timeout(PATIENCE, engine.holders(&Side::Destination(name.clone()))).await;
        if let Ok(Ok(found)) = asked
            && let Some(LockTaken::By(holder)) = found.cycle
        {
            holders.insert(name, holder);
        }
    }
    holders
}

/// Writes the report as it is now to a file; `~` before a slash is the operator's home.
async fn write(engine: &Engine, cycle: CycleId, file: PathBuf) -> Result<String, String> {
    let report = engine.report(cycle).await.map_err(|error| error.to_string())?;
    let report = report.ok_or("the cycle is no longer among those that are kept")?;
    let file = file.to_str().map_or_else(|| file.clone(), files::typed);
    let written = tokio::task::spawn_blocking(move || export::export(&report, &file).map(|()| file)).await;
    let file = written.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    Ok(std::path::absolute(&file).unwrap_or(file).display().to_string())
}

async fn plan_undo(engine: &Engine, only: Vec<DestinationName>, report: &Report) -> Preview {
    let options = UndoOptions { only, ..UndoOptions::default() };
    let undo = engine.plan_undo(report.cycle, &options).await;
    let mut daemons = Vec::new();
    for part in undo.plan.destinations.iter().filter(|part| !part.tasks.is_empty()) {
        let side = Side::Destination(part.destination.clone());
        if let Ok(Ok(found)) = tokio::time::timeout(PATIENCE, engine.holders(&side)).await
            && let Some(taken) = found.daemon
        {
            daemons.push((part.destination.clone(), taken));
        }
    }
    // if it cannot be told, the warning stands
    let brings_back = engine.undo_brings_back(Some(report.clone())).await.unwrap_or(false);
    Preview { undo, daemons, brings_back }
}
