//! What a destination holds before vsync ever wrote there.

use jiff::Timestamp;

use super::known::Known;
use crate::engine::drift::Drift;
use crate::engine::inventory::{self, Search};
use crate::engine::plan::{DestinationPlan, Expected, Operation};
use crate::engine::{Destination, Listing, OnExisting};
use crate::kv::PathFilter;
use crate::state::{Change, ChangeKind};
use crate::vault::Wanted;

/// Sets aside the secrets that are to be added and are there already, so that a plan says it before anything is read or
/// refused. What cannot be listed is met when it is to be written.
pub(super) async fn set_aside_existing(part: &mut DestinationPlan, known: &mut Known, destination: &Destination) {
    let is_new = |operation, expected| operation == Operation::Add && expected == Expected::Version(0);
    if destination.on_existing != OnExisting::Report
        || !part.tasks.iter().any(|task| is_new(task.operation, task.expected))
    {
        return;
    }
    let everything = PathFilter::default();
    let search = Search {
        vault: &destination.vault,
        mounts: &destination.mounts,
        filter: &everything,
        num_workers: destination.num_workers,
        listing: Listing::Auto,
        kv1: None,
        wanted: Wanted::Insight,
    };
    let there = inventory::survey(&search, part.recorded.buckets().len(), None).await;
    for task in std::mem::take(&mut part.tasks) {
        let found = there.secrets.get(&task.destination).filter(|_| is_new(task.operation, task.expected));
        let (Some(found), Some(insight)) = (found, task.insight) else {
            part.tasks.push(task);
            continue;
        };
        known.note(
            Change {
                kind: ChangeKind::Met,
                origin: task.origin.clone(),
                destination: task.destination.clone(),
                before: 0,
                version: found.version,
                insight_before: None,
                insight: Some(insight),
                over_foreign: false,
                digest: None,
                at: Timestamp::now(),
            },
            &mut part.recorded,
        );
        part.drifted.push(Drift {
            origin: task.origin,
            destination: task.destination,
            operation: task.operation,
            insight,
            ours: 0,
            found: found.version,
            kept: false,
        });
    }
    part.drifted.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
}
