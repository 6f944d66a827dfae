//! How a tree is filled: piece by piece while the origin is listed, at once from a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Kind, NodeId, ROOT, Standing, Tree};
use crate::engine::{DestinationName, Failure, InventoryUpdate, Plan, UnknownSubtree};
use crate::kv::{Mount, SecretPath};

impl Tree {
    /// The tree of everything a plan knows: what the origin holds, what is gone there but still at a destination, what
    /// globs leave out, and what could not be read.
    pub(in crate::tui) fn of_plan(plan: &Plan, failures: &[(DestinationName, Failure)], mounts: &[Mount]) -> Self {
        let mut tree = Self::new(plan.destinations.len());
        let inventory = &plan.inventory;
        for (path, _) in inventory.secrets.iter() {
            let id = tree.insert(path);
            tree.set_all(id, Standing::InSync);
        }
        for path in &inventory.excluded {
            let id = tree.insert(path);
            tree.set_all(id, Standing::Excluded);
        }
        for unknown in &inventory.unknown {
            tree.insert_unknown(unknown, mounts);
        }
        for (at, part) in plan.destinations.iter().enumerate() {
            for path in &part.excluded {
                let id = tree.insert(path);
                tree.set(id, at, Standing::Excluded);
            }
            for path in part.unknown.iter().chain(&part.unroutable) {
                let id = tree.insert(path);
                tree.set(id, at, Standing::Unknown);
            }
            for drift in &part.drifted {
                let id = tree.insert(&drift.origin);
                tree.set(id, at, if drift.kept { Standing::InSync } else { Standing::Drifted });
            }
            for task in &part.tasks {
                let id = tree.insert(&task.origin);
                tree.set(id, at, task.operation.state().into());
            }
        }
        // Only now that every destination has brought what it alone knows of.
        for (at, _) in plan.destinations.iter().enumerate().filter(|(_, part)| part.unavailable.is_some()) {
            for id in 0..tree.nodes.len() {
                tree.set(to_id(id), at, Standing::Unknown);
            }
        }
        for (destination, failure) in failures {
            let at = plan.destinations.iter().position(|part| part.destination == *destination);
            if let (Some(at), Some(id)) = (at, tree.find(&failure.origin))
                && tree.standing(id, at).is_task()
            {
                tree.set(id, at, Standing::Failed);
            }
        }
        tree.roll_up();
        tree
    }

    /// Takes in a piece of the inventory; nothing is planned for it yet.
    pub(in crate::tui) fn extend(&mut self, update: &InventoryUpdate, mounts: &[Mount]) {
        match update {
            InventoryUpdate::Found(found) => {
                for (path, _) in found {
                    let id = self.insert(path);
                    self.set_all(id, Standing::Pending);
                }
            }
            InventoryUpdate::Excluded(excluded) => {
                for path in excluded {
                    let id = self.insert(path);
                    self.set_all(id, Standing::Excluded);
                }
            }
            InventoryUpdate::Unknown(unknown) => self.insert_unknown(unknown, mounts),
        }
    }

    /// Brings folders and counts in line with their secrets.
    pub(in crate::tui) fn roll_up(&mut self) {
        let width = self.width;
        self.counts = vec![[0; Standing::ALL.len()]; width];
        self.tasks.fill(0);
        for id in 0..self.nodes.len() {
            let unread = self.nodes[id].unread;
            match &mut self.nodes[id].kind {
                Kind::Folder { secrets, .. } => {
                    *secrets = 0;
                    let own = if unread { Standing::Unknown } else { Standing::Absent };
                    self.standings[id * width..(id + 1) * width].fill(own.bit());
                    self.behind[id * width..(id + 1) * width].fill(0);
                }
                Kind::Secret(_) => {
                    for at in 0..width {
                        let standing = self.standing(to_id(id), at);
                        self.behind[id * width + at] = u32::from(standing.is_behind());
                        self.tasks[id] += u32::from(standing.is_task());
                        self.counts[at][standing as usize] += 1;
                    }
                }
            }
        }
        // A node comes after its parent in the arena, so going backwards meets every child before its folder is read.
        for id in (1..self.nodes.len()).rev() {
            let (parent, below) = (self.nodes[id].parent as usize, self.secrets_below(to_id(id)));
            if let Kind::Folder { secrets, .. } = &mut self.nodes[parent].kind {
                *secrets += below;
            }
            self.tasks[parent] += self.tasks[id];
            for at in 0..width {
                let (from, to) = (id * width + at, parent * width + at);
                self.standings[to] |= self.standings[from];
                self.behind[to] += self.behind[from];
            }
        }
    }

    fn set(&mut self, id: NodeId, destination: usize, standing: Standing) {
        self.standings[id as usize * self.width + destination] = standing.bit();
    }

    fn set_all(&mut self, id: NodeId, standing: Standing) {
        let start = id as usize * self.width;
        self.standings[start..start + self.width].fill(standing.bit());
    }

    fn insert(&mut self, path: &SecretPath) -> NodeId {
        let mount = self.folder(ROOT, path.mount());
        let mut at = mount;
        for piece in path.name().split_inclusive('/') {
            if piece.ends_with('/') {
                at = self.folder(at, piece);
            } else {
                at = self.child(at, piece, || Kind::Secret(path.clone()));
            }
        }
        at
    }

    /// A name that ends in a slash is a folder, as everywhere in the API.
    fn folder(&mut self, parent: NodeId, label: &str) -> NodeId {
        self.child(parent, label, || Kind::Folder { children: BTreeMap::new(), secrets: 0 })
    }

    fn child(&mut self, parent: NodeId, label: &str, kind: impl FnOnce() -> Kind) -> NodeId {
        if let Some(known) = self.child_of(parent, label) {
            return known;
        }
        let depth = if parent == ROOT { 0 } else { self.node(parent).depth.saturating_add(1) };
        let label: Arc<str> = label.into();
        let id = self.push(parent, depth, label.clone(), kind());
        if let Kind::Folder { children, .. } = &mut self.nodes[parent as usize].kind {
            children.insert(label, id);
        }
        id
    }

    fn insert_unknown(&mut self, unknown: &UnknownSubtree, mounts: &[Mount]) {
        let prefix = unknown.prefix.as_str();
        let mount = mounts
            .iter()
            .map(Mount::as_str)
            .filter(|mount| prefix.starts_with(mount))
            .max_by_key(|mount| mount.len())
            .unwrap_or_else(|| prefix.split_inclusive('/').next().unwrap_or(prefix));
        let mut at = self.folder(ROOT, mount);
        for piece in prefix[mount.len()..].split_inclusive('/') {
            if piece.ends_with('/') {
                at = self.folder(at, piece);
            } else if let (Ok(mount), Some(name)) = (Mount::parse(mount), prefix.get(mount.len()..)) {
                at = self.child(at, piece, || Kind::Secret(SecretPath::new(&mount, name)));
                self.set_all(at, Standing::Unknown);
            }
        }
        self.nodes[at as usize].unread = true;
    }
}

fn to_id(index: usize) -> NodeId {
    NodeId::try_from(index).unwrap_or(NodeId::MAX)
}
