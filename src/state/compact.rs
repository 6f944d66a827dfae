//! Short JSON forms of paths and insights, for what is kept in large numbers.

use serde::{Deserialize, Serialize};

use crate::kv::{PathError, SecretPath};
use crate::sync_info::{EngineKind, Insight, UpdateTime};

/// The length of the path's mount, unless it ends where the first `/data/` begins, as nearly every one does.
pub(super) fn mount_len(path: &SecretPath) -> Option<usize> {
    let len = path.mount().len();
    let obvious = path.data_path().find("/data/").map(|slash| slash + 1);
    (obvious != Some(len)).then_some(len)
}

/// The path of a text and what [`mount_len`] gave for it.
pub(super) fn path(text: &str, mount_len: Option<usize>) -> Result<SecretPath, PathError> {
    match mount_len {
        Some(len) => SecretPath::from_parts(text, len),
        None => SecretPath::parse_data(text, &[]),
    }
}

/// Whether two paths are the same in their mounts, too.
pub(super) fn is_same(one: &SecretPath, other: &SecretPath) -> bool {
    one == other && one.mount().len() == other.mount().len()
}

/// `[VERSION, TIME]`; a third element only for an engine other than KV version 2.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CompactInsight(
    u64,
    UpdateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")] Option<EngineKind>,
);

impl From<Insight> for CompactInsight {
    fn from(insight: Insight) -> Self {
        let kind = Some(insight.kind).filter(|kind| *kind != EngineKind::KvV2);
        Self(insight.version, insight.update_time, kind)
    }
}

impl From<CompactInsight> for Insight {
    fn from(CompactInsight(version, update_time, kind): CompactInsight) -> Self {
        Self { version, update_time, kind: kind.unwrap_or(EngineKind::KvV2) }
    }
}

/// For `skip_serializing_if`.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
