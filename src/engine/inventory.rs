//! What the origin's mounts hold now, with completeness per subtree.

use serde::{Deserialize, Serialize};

use crate::kv::SecretPath;
use crate::sync_info::{Insight, SyncInfo};
use crate::vault::KeyInfo;

/// A part of the origin that could not be listed or read. Nothing is known of what lies in it, so nothing in it is
/// deleted anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownSubtree {
    /// A mount or folder (`secret/team/`, with a slash at its end) or one secret (`secret/team/app`).
    pub prefix: String,
    /// Why it could not be read.
    pub reason: String,
}

/// What the origin holds.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The live secrets that take part.
    pub secrets: SyncInfo,
    /// Secrets that the origin's globs leave out, in order. Folders that are left out as a whole are not listed.
    pub excluded: Vec<SecretPath>,
    /// What could not be listed or read.
    pub unknown: Vec<UnknownSubtree>,
    /// How many secrets were passed over because their current version is deleted or destroyed.
    pub deleted: u64,
}

/// A piece of the inventory, as it arrives.
#[derive(Debug, Clone)]
pub enum InventoryUpdate {
    /// Live secrets that take part.
    Found(Vec<(SecretPath, Insight)>),
    /// Secrets that the origin's globs leave out.
    Excluded(Vec<SecretPath>),
    /// Something could not be listed or read.
    Unknown(UnknownSubtree),
}
