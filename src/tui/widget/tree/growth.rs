//! The tree of an inventory that is still arriving.

use std::sync::Arc;

use super::build::{Seek, Unread};
use super::{Standing, Tree};
use crate::engine::InventoryUpdate;
use crate::kv::{Mount, SecretPath};

/// What has arrived so far; nothing is planned for it yet.
#[derive(Debug)]
pub(in crate::tui) struct Growth {
    width: usize,
    mounts: Vec<Mount>,
    /// Sorted up to where the last tree was made of them.
    secrets: Vec<SecretPath>,
    excluded: Vec<SecretPath>,
    unread: Vec<Unread>,
}

impl Growth {
    /// Nothing yet, for so many destinations.
    pub(in crate::tui) fn new(width: usize, mounts: Vec<Mount>) -> Self {
        Self { width, mounts, secrets: Vec::new(), excluded: Vec::new(), unread: Vec::new() }
    }

    /// Takes in a piece of the inventory.
    pub(in crate::tui) fn extend(&mut self, update: &InventoryUpdate) {
        match update {
            InventoryUpdate::Found(found) => self.secrets.extend(found.iter().map(|(path, _)| path.clone())),
            InventoryUpdate::Excluded(excluded) => {
                self.secrets.extend_from_slice(excluded);
                self.excluded.extend_from_slice(excluded);
            }
            InventoryUpdate::Unknown(unknown) => {
                let unread = Unread::of(unknown, &self.mounts);
                self.secrets.extend(unread.secret.clone());
                self.unread.push(unread);
            }
        }
    }

    /// The tree of all that is there.
    pub(in crate::tui) fn tree(&mut self) -> Tree {
        // The next time most of it is sorted already.
        let mut tree = Tree::build(self.width, std::mem::take(&mut self.secrets), self.unread.clone());
        self.secrets.clone_from(&tree.secrets);
        let secrets = Arc::clone(&tree.secrets);
        let mut standings = vec![Standing::Pending; secrets.len()];
        let mut seek = Seek::new(&secrets);
        for at in self.excluded.iter().filter_map(|path| seek.find(path)) {
            standings[at] = Standing::Excluded;
        }
        for at in &tree.unread {
            standings[*at as usize] = Standing::Unknown;
        }
        tree.standings = standings.repeat(self.width);
        tree.roll_up();
        tree
    }
}
