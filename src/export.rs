//! A cycle's report as a file for others: JSON for programs, CSV for spreadsheets, HTML for people and paper.
//!
//! It names secrets, so only its owner can read it, and nothing that is there is written over. It holds no value.

mod html;
mod table;

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::Report;
use crate::files;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The report as the state store has it, indented.
    Json,
    /// A row for the cycle, one per destination, one per failure.
    Csv,
    /// One page that needs nothing else.
    Html,
}

/// A report that was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file's name does not say how to write it.
    #[error("{} ends neither in .json nor in .csv nor in .html: the ending says how the report is written", .0.display())]
    Format(PathBuf),
    /// Something has that name.
    #[error("{} is there already, and is not written over: give another name", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{} cannot be written: {source}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Format {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// [`ExportError::Format`] if it asks for none that is known.
    pub fn of(file: &Path) -> Result<Self, ExportError> {
        let extension = file.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("json") => Ok(Self::Json),
            Some("csv") => Ok(Self::Csv),
            Some("html" | "htm") => Ok(Self::Html),
            _ => Err(ExportError::Format(file.to_owned())),
        }
    }
}

/// Writes a report to a new file.
///
/// # Errors
/// [`ExportError`]; then there is no such file, or it is somebody else's.
pub fn export(report: &Report, file: &Path) -> Result<(), ExportError> {
    let format = Format::of(file)?;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => ExportError::Exists(file.to_owned()),
        _ => ExportError::Write { file: file.to_owned(), source },
    };
    let bytes = render(report, format).map_err(failed)?;
    files::write_new(file, &bytes).map_err(failed)
}

/// A report in a format.
///
/// # Errors
/// None that can be expected: numbers, texts and times can be written in every format.
pub fn render(report: &Report, format: Format) -> io::Result<Vec<u8>> {
    Ok(match format {
        Format::Json => {
            let mut text = crate::text::escape_json(&serde_json::to_string_pretty(report)?).into_owned();
            text.push('\n');
            text.into_bytes()
        }
        Format::Csv => table::render(report)?,
        Format::Html => html::render(report).into_bytes(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::engine::{
        Cause, CycleId, DestinationName, DestinationReport, Ending, Failure, Operation, OperationCounts,
    };
    use crate::kv::{Mount, SecretPath};

    /// Names that would like to be more than names.
    pub(crate) const HOSTILE: &str = "=cmd|'/c calc'!A1<script>alert(\"x\")</script>,\u{202e}gpj\u{1b}[2J\nnext";

    pub(crate) fn report() -> Report {
        let path = |name: &str| SecretPath::new(&Mount::parse("secret").expect("a mount"), name);
        let time = "2026-11-23T21:38:01Z".parse().expect("a time");
        let failure = |name: &str, cause, message: &str| Failure {
            operation: Operation::Update,
            origin: path(name),
            destination: path(&format!("v2/{name}")),
            insight: None,
            cause,
            message: message.to_owned(),
            attempts: 3,
            at: time,
            denied: None,
        };
        let part = |name: &str, failures: Vec<Failure>| DestinationReport {
            destination: DestinationName::new(name),
            planned: OperationCounts { add: 12, update: 3, delete: 1, ..OperationCounts::default() },
            done: OperationCounts { add: 12, update: 1, delete: 1, ..OperationCounts::default() },
            pending: 0,
            adopted: 0,
            kept: 0,
            drifted: 2,
            in_sync: 1_300,
            unknown: 1,
            ended: None,
            unsaved: None,
            skipped: false,
            locked: None,
            blocked: (name == "ap-south").then(|| "its lock is held by <b>anna</b>".to_owned()),
            unreached: false,
            canaries_failed: false,
            unverified: Vec::new(),
            fidelity: None,
            failures,
        };
        Report {
            cycle: "0192f0c1-2345-7abc-8def-0123456789ab".parse::<CycleId>().expect("an id"),
            operator: "@ops".into(),
            host: HOSTILE.into(),
            vsync: "1.0.0".into(),
            started: time,
            ended: "2026-11-23T21:40:03.5Z".parse().expect("a time"),
            ending: Ending::Halted,
            dry_run: false,
            purpose: "sync".into(),
            undoes: None,
            origin_unknown: Vec::new(),
            origin_unsaved: None,
            unkept: None,
            limits: Vec::new(),
            destinations: vec![
                part(
                    "us-east",
                    vec![
                        failure("payments/api", Cause::Permission, "write: permission denied"),
                        failure(HOSTILE, Cause::Server, HOSTILE),
                        failure("payments/db", Cause::Permission, "-1 or worse"),
                    ],
                ),
                part("ap-south", Vec::new()),
            ],
        }
    }

    #[test]
    fn the_ending_says_how() {
        for (name, format) in [("a.json", Format::Json), ("b/c.CSV", Format::Csv), ("d.html", Format::Html)] {
            assert_eq!(Format::of(Path::new(name)).expect("known"), format);
        }
        for name in ["report", "report.pdf", ".html", ""] {
            assert!(matches!(Format::of(Path::new(name)), Err(ExportError::Format(_))), "{name}");
        }
    }

    #[test]
    fn a_file_is_new_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("report.json");
        export(&report(), &file).expect("exported");
        let mode = std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let text = std::fs::read_to_string(&file).expect("its text");
        assert!(!text.contains(['\u{202e}', '\u{1b}']), "it may be looked at on a terminal: {text}");
        let read: Report = serde_json::from_str(&text).expect("a report");
        assert_eq!(read, report());
        assert!(matches!(export(&report(), &file), Err(ExportError::Exists(_))));
        let elsewhere = folder.path().join("none").join("report.csv");
        let error = export(&report(), &elsewhere).expect_err("there is no such folder").to_string();
        assert!(error.contains("cannot be written"), "{error}");
    }
}
