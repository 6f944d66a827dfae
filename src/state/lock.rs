//! Locks: one cycle at a time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds a lock; kept beside it for whoever finds it taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// The user's name.
    pub operator: String,
    /// The machine.
    pub host: String,
    /// The process on it.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// What for: `sync`, `origin daemon`, ….
    pub purpose: String,
}
