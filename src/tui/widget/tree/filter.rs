//! What a filter finds in a tree.

use super::build::{Piece, pieces};
use super::{Node, NodeId, Order, ROOT, Tree, last_label};
use crate::tui::filter::{Needle, Rest};

impl Tree {
    /// The secrets that a filter finds, and the folders they lie in.
    pub(super) fn found(&self, needle: &Needle, order: Order) -> Vec<NodeId> {
        let mut search = Search { tree: self, needle, order, path: String::new(), rows: Vec::new() };
        let rest = needle.rest("");
        search.folder(ROOT, rest);
        search.rows
    }
}

struct Search<'a> {
    tree: &'a Tree,
    needle: &'a Needle,
    order: Order,
    /// Of the folder that is searched.
    path: String,
    rows: Vec<NodeId>,
}

impl<'a> Search<'a> {
    /// Searches a folder. `rest`: what its own path leaves to be found.
    fn folder(&mut self, at: usize, mut rest: Rest<'a>) {
        let tree = self.tree;
        match rest {
            Rest::Settled(false) => {}
            Rest::Settled(true) if self.needle.admits_all() && self.order == Order::Name => {
                tree.push_all(at, &mut self.rows);
            }
            _ => match self.order {
                Order::Name => {
                    for piece in pieces(&tree.folders, at) {
                        match piece {
                            Piece::Secrets(range) => range.for_each(|at| self.secret(at, &mut rest)),
                            Piece::Folder(below) => self.below(below, &rest),
                        }
                    }
                }
                Order::Worst => {
                    for id in tree.ordered(at, Order::Worst) {
                        match Node::of(id) {
                            Node::Secret(at) => self.secret(at, &mut rest),
                            Node::Folder(below) => self.below(below, &rest),
                        }
                    }
                }
            },
        }
    }

    fn secret(&mut self, at: usize, rest: &mut Rest<'a>) {
        let id = Node::Secret(at).id();
        if self.needle.admits(self.tree.standings_of(id)) && rest.finds(last_label(&self.tree.secrets[at])) {
            self.rows.push(id);
        }
    }

    fn below(&mut self, at: usize, rest: &Rest<'a>) {
        let id = Node::Folder(at).id();
        if !self.needle.admits(self.tree.standings_of(id)) {
            return;
        }
        let (length, before) = (self.path.len(), self.rows.len());
        self.path.push_str(self.tree.label(id));
        self.rows.push(id);
        let rest = match rest {
            Rest::Settled(settled) => Rest::Settled(*settled),
            _ => self.needle.rest(&self.path),
        };
        let found = || rest.settled().unwrap_or_else(|| self.needle.found_in(&self.path));
        // An unread folder may be empty, but it is not nothing.
        let stays = self.tree.folders[at].unread && found();
        self.folder(at, rest);
        if self.rows.len() == before + 1 && !stays {
            self.rows.pop();
        }
        self.path.truncate(length);
    }
}
