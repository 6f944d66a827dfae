//! Comma-separated values: a row for the cycle, one per destination, one per failure. Names are made harmless, as
//! everywhere people look; the JSON export has them exactly.

use std::borrow::Cow;
use std::io;

use crate::engine::Report;
use crate::text::sanitize;

/// What a row holds; cells that do not apply to it are empty.
const HEADINGS: [&str; 24] = [
    "record",
    "cycle",
    "started",
    "ended",
    "ending",
    "purpose",
    "operator",
    "host",
    "destination",
    "planned",
    "added",
    "updated",
    "deleted",
    "failed",
    "pending",
    "in_sync",
    "drifted",
    "unknown",
    "operation",
    "origin",
    "path",
    "cause",
    "message",
    "attempts",
];

pub(super) fn render(report: &Report) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADINGS)?;
    let cycle = report.cycle.to_string();
    let row = |record: &str, cells: &[(&str, String)]| {
        HEADINGS.map(|heading| match heading {
            "record" => record.to_owned(),
            "cycle" => cycle.clone(),
            _ => cells
                .iter()
                .find(|(name, _)| *name == heading)
                .map_or_else(String::new, |(_, text)| guarded(text).into_owned()),
        })
    };
    let counts = |planned: crate::engine::OperationCounts, done: crate::engine::OperationCounts| {
        [
            ("planned", planned.total().to_string()),
            ("added", done.add.to_string()),
            ("updated", done.update.to_string()),
            ("deleted", done.delete.to_string()),
        ]
    };
    let mut whole = vec![
        ("started", report.started.to_string()),
        ("ended", report.ended.to_string()),
        ("ending", report.ending.as_str().to_owned()),
        ("purpose", report.purpose().to_owned()),
        ("operator", report.operator.clone()),
        ("host", report.host.clone()),
        ("failed", report.failed().to_string()),
        ("pending", report.pending().to_string()),
    ];
    whole.extend(counts(report.planned(), report.done()));
    writer.write_record(row("cycle", &whole))?;
    for part in &report.destinations {
        let mut cells = vec![
            ("destination", part.destination.to_string()),
            ("failed", part.failures.len().to_string()),
            ("pending", part.pending.to_string()),
            ("in_sync", part.in_sync.to_string()),
            ("drifted", part.drifted.to_string()),
            ("unknown", part.unknown.to_string()),
            ("message", part.blocked.iter().chain(&part.unsaved).cloned().collect::<Vec<_>>().join("; ")),
        ];
        cells.extend(part.ended.map(|ended| ("ended", ended.to_string())));
        cells.extend(counts(part.planned, part.done));
        writer.write_record(row("destination", &cells))?;
    }
    for (destination, failure) in report.failures() {
        let cells = [
            ("destination", destination.to_string()),
            ("ended", failure.at.to_string()),
            ("operation", failure.operation.as_str().to_owned()),
            ("origin", failure.origin.to_string()),
            ("path", failure.destination.to_string()),
            ("cause", failure.cause.as_str().to_owned()),
            ("message", failure.message.clone()),
            ("attempts", failure.attempts.to_string()),
        ];
        writer.write_record(row("failure", &cells))?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// A cell that does no harm, neither on a terminal nor in a spreadsheet, which takes one that begins so for a formula; an
/// apostrophe before it makes it a text.
fn guarded(text: &str) -> Cow<'_, str> {
    let shown = sanitize(text);
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { Cow::Owned(format!("'{shown}")) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{HOSTILE, report};
    use super::*;

    #[test]
    fn every_row_reads_back_and_none_is_a_formula() {
        let bytes = render(&report()).expect("a table");
        let mut reader = csv::Reader::from_reader(bytes.as_slice());
        let headings: Vec<String> = reader.headers().expect("headings").iter().map(str::to_owned).collect();
        let at = |name: &str| headings.iter().position(|heading| heading == name).expect("a column");
        let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
        let column = |name: &str| rows.iter().map(|row| &row[at(name)]).collect::<Vec<_>>();
        assert_eq!(column("record"), ["cycle", "destination", "destination", "failure", "failure", "failure"]);
        assert_eq!(column("added"), ["24", "12", "12", "", "", ""]);
        assert_eq!(column("failed"), ["3", "3", "0", "", "", ""]);
        assert_eq!(column("ending")[0], "halted");
        assert_eq!(column("operator")[0], "'@ops");
        assert_eq!(column("message")[4], format!("'{}", sanitize(HOSTILE)), "quoted, with its comma and quotes");
        assert_eq!(column("message")[5], "'-1 or worse");
        assert_eq!(column("origin")[3], "secret/payments/api");
        let raw = |c: char| c.is_control() && !matches!(c, '\r' | '\n') || c == '\u{202e}';
        assert!(!String::from_utf8_lossy(&bytes).contains(raw), "nothing for a terminal to obey");
        for row in &rows {
            assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{row:?}");
        }
    }
}
