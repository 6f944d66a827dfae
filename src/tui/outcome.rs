//! What is to be said of a cycle's end beside its counts.

use crate::engine::{DestinationName, Ending, Report};

use super::format;

/// Whether somebody should look at it. A cycle that was cancelled, or skipped destinations, has ended as it was told to.
pub(super) fn went_wrong(report: &Report) -> bool {
    let left = report.pending() > 0 && !matches!(report.ending, Ending::Cancelled | Ending::Skipped);
    report.failed() > 0 || left || !report.origin_unknown.is_empty() || troubles(report).next().is_some()
}

/// What kept the cycle from writing or from remembering, in sentences.
pub(super) fn troubles(report: &Report) -> impl Iterator<Item = String> {
    let at_destinations = report.destinations.iter().flat_map(|part| {
        let name = &part.destination;
        let stopped = part.blocked.as_deref().map(|reason| blocked(name, part.has_begun(), reason));
        let not_saved = part.unsaved.as_deref().map(|reason| {
            format!("{name}: what was done could not be saved; it is kept on this machine, and the next cycle here saves it: {reason}")
        });
        stopped.into_iter().chain(not_saved)
    });
    let origin =
        report.origin_unsaved.iter().map(|reason| format!("What the origin holds could not be saved: {reason}"));
    let report = report.unkept.iter().map(|reason| not_kept(reason));
    at_destinations.chain(origin).chain(report)
}

/// What is left out because the origin could not be read as a whole.
pub(super) fn incomplete(report: &Report) -> Option<String> {
    let parts = format::plural(report.origin_unknown.len() as u64, "part");
    (!report.origin_unknown.is_empty())
        .then(|| format!("{parts} of the origin could not be read; nothing there was changed or deleted anywhere."))
}

/// Said of a destination where nothing is begun, or nothing more.
pub(super) fn blocked(destination: &DestinationName, begun: bool, reason: &str) -> String {
    if begun {
        format!("{destination} was stopped: {reason}")
    } else {
        format!("Nothing was written at {destination}: {reason}")
    }
}

/// Said of a report that the store did not take.
pub(super) fn not_kept(reason: &str) -> String {
    format!("The report could not be kept, so History and Failures do not know of this cycle: {reason}")
}
