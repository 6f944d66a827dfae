//! Ways through a tree: what shows, what comes next, where a path is.

use super::build::{Piece, Seek, pieces};
use super::{Node, NodeId, Order, ROOT, Standing, Tree, to_u32};
use crate::kv::SecretPath;
use crate::tui::filter::Needle;

/// The standings that somebody should look at, a bit each.
const PROBLEMS: u16 = !(Standing::Drifted.bit() - 1);

impl Tree {
    /// The nodes that show, top down: with a filter the secrets it finds and the folders they lie in, without one what
    /// open folders hold.
    pub(in crate::tui) fn visible(&self, needle: &Needle, order: Order) -> Vec<NodeId> {
        if !needle.is_empty() {
            return self.found(needle, order);
        }
        let mut rows = Vec::new();
        self.push_open(ROOT, order, &mut rows);
        rows
    }

    /// What shows of an open folder.
    fn push_open(&self, at: usize, order: Order, rows: &mut Vec<NodeId>) {
        let enter = |below: usize, rows: &mut Vec<NodeId>| {
            rows.push(Node::Folder(below).id());
            if self.folders[below].open {
                self.push_open(below, order, rows);
            }
        };
        match order {
            Order::Name => {
                for piece in pieces(&self.folders, at) {
                    match piece {
                        Piece::Secrets(range) => rows.extend(to_u32(range.start)..to_u32(range.end)),
                        Piece::Folder(below) => enter(below, rows),
                    }
                }
            }
            Order::Worst => {
                for id in self.ordered(at, order) {
                    match Node::of(id) {
                        Node::Secret(_) => rows.push(id),
                        Node::Folder(below) => enter(below, rows),
                    }
                }
            }
        }
    }

    /// Everything that lies in a folder, by name.
    pub(super) fn push_all(&self, at: usize, rows: &mut Vec<NodeId>) {
        let folder = &self.folders[at];
        let mut first = folder.first;
        let below = at + 1..folder.next as usize;
        rows.reserve(folder.secrets().len() + below.len());
        // Folders and secrets are both sorted top down, so no folder need be entered.
        for below in below {
            let start = self.folders[below].first;
            rows.extend(first..start);
            first = start;
            rows.push(Node::Folder(below).id());
        }
        rows.extend(first..folder.end);
    }

    /// What lies in a folder, in an order.
    pub(super) fn ordered(&self, at: usize, order: Order) -> Vec<NodeId> {
        let mut children = Vec::new();
        for piece in pieces(&self.folders, at) {
            match piece {
                Piece::Secrets(range) => children.extend(to_u32(range.start)..to_u32(range.end)),
                Piece::Folder(below) => children.push(Node::Folder(below).id()),
            }
        }
        if order == Order::Worst {
            children.sort_by_cached_key(|id| std::cmp::Reverse(self.worst(*id)));
        }
        children
    }

    /// What lies in a folder, by name.
    pub(super) fn children(&self, at: usize) -> impl Iterator<Item = NodeId> + '_ {
        pieces(&self.folders, at).flat_map(|piece| match piece {
            Piece::Secrets(range) => to_u32(range.start)..to_u32(range.end),
            Piece::Folder(below) => Node::Folder(below).id()..Node::Folder(below).id() + 1,
        })
    }

    /// Where a secret is.
    pub(in crate::tui) fn find(&self, path: &SecretPath) -> Option<NodeId> {
        Seek::new(&self.secrets).find(path).map(to_u32)
    }

    /// The nearest problem after `from` (or before it), around the end of the tree if need be.
    pub(in crate::tui) fn next_problem(&self, from: Option<NodeId>, order: Order, forward: bool) -> Option<NodeId> {
        let near = from
            .and_then(|from| if forward { self.problem_after(from, order) } else { self.problem_before(from, order) });
        near.or_else(|| if forward { self.first_problem(ROOT, order) } else { self.last_problem(ROOT, order) })
    }

    fn problem_after(&self, from: NodeId, order: Order) -> Option<NodeId> {
        let inside = match Node::of(from) {
            Node::Folder(at) => self.first_problem(at, order),
            Node::Secret(_) => None,
        };
        let mut at = from;
        let mut found = inside;
        while found.is_none() {
            let around = self.around(at)?;
            let beside = self.ordered(around, order);
            let next = beside.iter().position(|id| *id == at)? + 1;
            found = beside[next..].iter().find_map(|id| self.first_problem_of(*id, order));
            at = Node::Folder(around).id();
        }
        found
    }

    fn problem_before(&self, from: NodeId, order: Order) -> Option<NodeId> {
        let mut at = from;
        loop {
            let around = self.around(at)?;
            let beside = self.ordered(around, order);
            let before = beside.iter().position(|id| *id == at)?;
            if let Some(found) = beside[..before].iter().rev().find_map(|id| self.last_problem_of(*id, order)) {
                return Some(found);
            }
            at = Node::Folder(around).id();
            if self.is_problem(at) {
                return Some(at);
            }
        }
    }

    /// The number of the folder a node lies in; the root for a mount.
    fn around(&self, id: NodeId) -> Option<usize> {
        match Node::of(id) {
            Node::Folder(ROOT) => None,
            Node::Folder(at) => Some(self.folders[at].parent as usize),
            Node::Secret(at) => Some(self.folder_of(at)),
        }
    }

    fn first_problem_of(&self, id: NodeId, order: Order) -> Option<NodeId> {
        match Node::of(id) {
            _ if self.is_problem(id) => Some(id),
            Node::Folder(at) => self.first_problem(at, order),
            Node::Secret(_) => None,
        }
    }

    fn last_problem_of(&self, id: NodeId, order: Order) -> Option<NodeId> {
        match Node::of(id) {
            Node::Folder(at) => self.last_problem(at, order).or_else(|| self.is_problem(id).then_some(id)),
            Node::Secret(_) => self.is_problem(id).then_some(id),
        }
    }

    /// The first problem in a folder.
    fn first_problem(&self, at: usize, order: Order) -> Option<NodeId> {
        let holds = self.standings_of(Node::Folder(at).id()) & PROBLEMS != 0;
        holds.then(|| self.ordered(at, order))?.into_iter().find_map(|id| self.first_problem_of(id, order))
    }

    fn last_problem(&self, at: usize, order: Order) -> Option<NodeId> {
        let holds = self.standings_of(Node::Folder(at).id()) & PROBLEMS != 0;
        holds.then(|| self.ordered(at, order))?.into_iter().rev().find_map(|id| self.last_problem_of(id, order))
    }

    /// Whether somebody should look at it: a secret, or a folder that could not be read.
    pub(in crate::tui) fn is_problem(&self, id: NodeId) -> bool {
        match Node::of(id) {
            Node::Folder(at) => self.folders[at].unread,
            Node::Secret(_) => self.standings_of(id) & PROBLEMS != 0,
        }
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

    /// How many secrets at or below a node are behind at a destination, way by way; 0 where only a folder that could
    /// not be read is.
    pub(in crate::tui) fn counts_behind(&self, id: NodeId, destination: usize) -> Vec<(Standing, u64)> {
        let standings = &self.standings_at(destination)[self.range(id)];
        // One way after the other, without a branch, for there may be a million.
        let count = |way: Standing| standings.iter().map(|standing| u64::from(*standing == way)).sum();
        self.ways_behind(id, destination).map(|way| (way, count(way))).collect()
    }

    /// Opens the folders that are open in `other`, and says where its node `selected` is here, or the nearest folder
    /// around it that still is.
    pub(in crate::tui) fn adopt(&mut self, other: &Self, selected: Option<NodeId>) -> Option<NodeId> {
        let mut pairs = vec![(ROOT, ROOT)];
        while let Some((theirs, mine)) = pairs.pop() {
            let open = theirs == ROOT || other.folders[theirs].open;
            self.folders[mine].open = open;
            if open {
                // Both are sorted.
                let mut here = self.folders_in(mine).peekable();
                for there in other.folders_in(theirs) {
                    let wanted = other.label(Node::Folder(there).id());
                    let label = |at: &usize| self.label(Node::Folder(*at).id());
                    while here.next_if(|at| label(at) < wanted).is_some() {}
                    if let Some(here) = here.next_if(|at| label(at) == wanted) {
                        pairs.push((there, here));
                    }
                }
            }
        }
        let selected = selected?;
        let known = other.secret(selected).and_then(|path| self.find(path));
        known.or_else(|| {
            let mut at = ROOT;
            for label in other.labels(selected) {
                match self.folders_in(at).find(|below| self.label(Node::Folder(*below).id()) == label) {
                    Some(below) => at = below,
                    None => break,
                }
            }
            (at != ROOT).then(|| Node::Folder(at).id())
        })
    }

    /// The folders that lie in a folder and in no other one in it.
    pub(super) fn folders_in(&self, at: usize) -> impl Iterator<Item = usize> + '_ {
        let next = |below: usize| self.folders.get(below).map(|folder| folder.next as usize);
        let end = self.folders[at].next as usize;
        std::iter::successors(Some(at + 1), move |below| next(*below)).take_while(move |below| *below < end)
    }
}
