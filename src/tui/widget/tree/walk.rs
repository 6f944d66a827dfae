//! Ways through a tree: what shows, what comes next, where a path is.

use super::{Kind, NodeId, Order, ROOT, Standing, Tree};
use crate::kv::SecretPath;
use crate::tui::filter::Needle;

impl Tree {
    /// The nodes that show, top down: with a filter the secrets it finds and the folders they lie in, without one what
    /// open folders hold.
    pub(in crate::tui) fn visible(&self, needle: &Needle, order: Order) -> Vec<NodeId> {
        let mut rows = Vec::new();
        if needle.is_empty() {
            self.descend(order, |id| self.node(id).open, |id| rows.push(id));
        } else {
            let mut path = String::new();
            self.push_matches(ROOT, (needle, needle.settled_by("")), order, &mut path, &mut rows);
        }
        rows
    }

    /// Visits every node below the root top down, below a folder only if `enter` says so.
    fn descend(&self, order: Order, enter: impl Fn(NodeId) -> bool, mut visit: impl FnMut(NodeId)) {
        let mut stack = self.ordered(ROOT, order);
        stack.reverse();
        while let Some(id) = stack.pop() {
            visit(id);
            if enter(id) {
                let from = stack.len();
                stack.extend(self.ordered(id, order));
                stack[from..].reverse();
            }
        }
    }

    /// Adds what the needle finds in a folder; `settled` if the folder's path has already decided whether it does.
    fn push_matches(
        &self,
        folder: NodeId,
        (needle, settled): (&Needle, Option<bool>),
        order: Order,
        path: &mut String,
        rows: &mut Vec<NodeId>,
    ) {
        if settled == Some(false) {
            return;
        }
        for id in self.ordered(folder, order) {
            if !needle.admits(self.standings_of(id)) {
                continue;
            }
            let (length, before) = (path.len(), rows.len());
            path.push_str(&self.node(id).label);
            rows.push(id);
            match self.node(id).kind {
                Kind::Folder { .. } => {
                    let settled = settled.or_else(|| needle.settled_by(path));
                    self.push_matches(id, (needle, settled), order, path, rows);
                    // An unread folder is empty, but not nothing.
                    let found = || settled.unwrap_or_else(|| needle.found_in(path));
                    if rows.len() == before + 1 && !(self.node(id).unread && found()) {
                        rows.pop();
                    }
                }
                Kind::Secret(_) => {
                    if !settled.unwrap_or_else(|| needle.found_in(path)) {
                        rows.pop();
                    }
                }
            }
            path.truncate(length);
        }
    }

    /// All standings at or below a node, over all destinations.
    fn standings_of(&self, id: NodeId) -> u16 {
        let start = id as usize * self.width;
        self.standings[start..start + self.width].iter().fold(0, |all, one| all | one)
    }

    fn ordered(&self, id: NodeId, order: Order) -> Vec<NodeId> {
        let mut children: Vec<_> = self.children(id).collect();
        if order == Order::Worst {
            children.sort_by_key(|id| std::cmp::Reverse(self.worst(*id)));
        }
        children
    }

    fn children(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        match &self.node(id).kind {
            Kind::Folder { children, .. } => Some(children.values().copied()),
            Kind::Secret(_) => None,
        }
        .into_iter()
        .flatten()
    }

    pub(super) fn child_of(&self, id: NodeId, label: &str) -> Option<NodeId> {
        match &self.node(id).kind {
            Kind::Folder { children, .. } => children.get(label).copied(),
            Kind::Secret(_) => None,
        }
    }

    /// Where a secret is.
    pub(in crate::tui) fn find(&self, path: &SecretPath) -> Option<NodeId> {
        let mount = self.child_of(ROOT, path.mount())?;
        path.name().split_inclusive('/').try_fold(mount, |at, piece| self.child_of(at, piece))
    }

    /// The nearest problem after `from` (or before it), around the end of the tree if need be.
    pub(in crate::tui) fn next_problem(&self, from: Option<NodeId>, order: Order, forward: bool) -> Option<NodeId> {
        let mut before = Vec::new();
        let mut after = Vec::new();
        let mut passed = from.is_none();
        self.descend(
            order,
            |_| true,
            |id| {
                if Some(id) == from {
                    passed = true;
                } else if self.is_problem(id) {
                    if passed { after.push(id) } else { before.push(id) }
                }
            },
        );
        if forward { after.first().or_else(|| before.first()) } else { before.last().or_else(|| after.last()) }.copied()
    }

    /// Whether somebody should look at it: a secret, or a folder that could not be read.
    pub(in crate::tui) fn is_problem(&self, id: NodeId) -> bool {
        let stands_alone = matches!(self.node(id).kind, Kind::Secret(_)) || self.node(id).unread;
        stands_alone && self.worst(id).is_problem()
    }

    /// Opens the folders a node lies in.
    pub(in crate::tui) fn reveal(&mut self, id: NodeId) {
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            self.set_open(parent, true);
            at = parent;
        }
    }

    /// The labels from the mount down to a node.
    pub(in crate::tui) fn labels(&self, id: NodeId) -> Vec<&str> {
        let mut labels = vec![self.label(id)];
        let mut at = id;
        while let Some(parent) = self.parent(at) {
            labels.push(self.label(parent));
            at = parent;
        }
        labels.reverse();
        labels
    }

    /// A node's path as people write it.
    pub(in crate::tui) fn path(&self, id: NodeId) -> String {
        self.labels(id).concat()
    }

    /// What the data paths of all secrets below a folder start with.
    pub(in crate::tui) fn data_prefix(&self, id: NodeId) -> String {
        let labels = self.labels(id);
        match labels.split_first() {
            Some((mount, rest)) => format!("{mount}data/{}", rest.concat()),
            None => String::new(),
        }
    }

    /// All secrets at or below a node that stand so at a destination.
    pub(in crate::tui) fn secrets_where(
        &self,
        id: NodeId,
        destination: usize,
        wanted: impl Fn(Standing) -> bool,
    ) -> Vec<SecretPath> {
        let mut found = Vec::new();
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            match &self.node(at).kind {
                Kind::Folder { children, .. } => stack.extend(children.values().copied()),
                Kind::Secret(path) => {
                    if wanted(self.standing(at, destination)) {
                        found.push(path.clone());
                    }
                }
            }
        }
        found
    }

    /// How many secrets at or below a node are behind at a destination, way by way; 0 where only a folder that could
    /// not be read is.
    pub(in crate::tui) fn counts_behind(&self, id: NodeId, destination: usize) -> Vec<(Standing, u64)> {
        let mut counts = [0; Standing::ALL_BEHIND.len()];
        let mut stack = vec![id];
        while let Some(at) = stack.pop() {
            match &self.node(at).kind {
                Kind::Folder { children, .. } => stack.extend(children.values().copied()),
                Kind::Secret(_) => {
                    let standing = self.standing(at, destination);
                    if let Some(way) = Standing::ALL_BEHIND.iter().position(|known| *known == standing) {
                        counts[way] += 1;
                    }
                }
            }
        }
        let ways: Vec<_> = self.ways_behind(id, destination).collect();
        Standing::ALL_BEHIND.into_iter().zip(counts).filter(|(way, _)| ways.contains(way)).collect()
    }

    /// Opens the folders that are open in `other`, and says where its node `selected` is here, or the nearest folder
    /// around it that still is.
    pub(in crate::tui) fn adopt(&mut self, other: &Self, selected: Option<NodeId>) -> Option<NodeId> {
        let mut pairs = vec![(ROOT, ROOT)];
        while let Some((theirs, mine)) = pairs.pop() {
            let open = theirs == ROOT || other.node(theirs).open;
            self.set_open(mine, open);
            if open && let Kind::Folder { children, .. } = &other.node(theirs).kind {
                let common = children.iter().filter_map(|(label, id)| Some((*id, self.child_of(mine, label)?)));
                pairs.extend(common.collect::<Vec<_>>());
            }
        }
        let mut at = ROOT;
        for label in selected.map(|id| other.labels(id)).unwrap_or_default() {
            match self.child_of(at, label) {
                Some(child) => at = child,
                None => break,
            }
        }
        (at != ROOT).then_some(at)
    }
}
