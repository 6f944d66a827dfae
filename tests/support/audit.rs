//! What a server says it was asked for.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// One request that reached the server, whether or not it was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// `read`, `list`, `scan`, `create`, `update`, `delete`.
    pub operation: String,
    /// Without `/v1/`: `secret/data/team/app`.
    pub path: String,
}

/// The audit log of one server, from a mark on.
#[derive(Debug, Clone)]
pub struct Audit {
    file: PathBuf,
    mark: usize,
}

impl Audit {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), mark: 0 }
    }

    /// Forgets what was logged until now: what the test itself did to prepare.
    pub fn restart(&mut self) {
        self.mark = self.lines().len();
    }

    /// The requests since the mark, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<AuditEntry> {
        self.lines()
            .iter()
            .skip(self.mark)
            .map(|line| serde_json::from_str::<Value>(line).expect("a line of the audit log"))
            .filter(|entry| entry["type"] == "request")
            .map(|entry| AuditEntry {
                operation: entry["request"]["operation"].as_str().expect("an operation").to_owned(),
                path: entry["request"]["path"].as_str().expect("a path").to_owned(),
            })
            .collect()
    }

    /// The requests since the mark whose path starts with `prefix`, as `OPERATION PATH`, sorted.
    #[must_use]
    pub fn touched(&self, prefix: &str) -> Vec<String> {
        let mut touched: Vec<String> = self
            .requests()
            .into_iter()
            .filter(|entry| entry.path.starts_with(prefix))
            .map(|entry| format!("{} {}", entry.operation, entry.path))
            .collect();
        touched.sort();
        touched
    }

    /// What the server refused since the mark: `PATH: ERROR`, in order.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        let answers = self.entries().into_iter().filter(|entry| entry["type"] == "response");
        answers
            .filter_map(|entry| Some(format!("{}: {}", entry["request"]["path"], entry["error"].as_str()?)))
            .collect()
    }

    /// When requests of this path came since the mark, in order.
    #[must_use]
    pub fn times(&self, path: &str) -> Vec<jiff::Timestamp> {
        let requests = self.entries().into_iter();
        let requests = requests.filter(|entry| entry["type"] == "request" && entry["request"]["path"] == path);
        requests.map(|entry| entry["time"].as_str().and_then(|time| time.parse().ok()).expect("a time")).collect()
    }

    fn entries(&self) -> Vec<Value> {
        let lines = self.lines().into_iter().skip(self.mark);
        lines.map(|line| serde_json::from_str(&line).expect("a line of the audit log")).collect()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).expect("an audit log: start the server with BaoOptions::audit");
        // A line that is being written has no end yet.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }
}
