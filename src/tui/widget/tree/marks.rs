//! Marked secrets.

use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

use super::build::Seek;
use super::{NodeId, Tree};
use crate::kv::SecretPath;

/// Which of a tree's secrets are marked: a bit for each, so that marking a hundred thousand takes no time.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Marks {
    /// As in the tree.
    secrets: Arc<Vec<SecretPath>>,
    /// Made by the first mark.
    bits: Vec<u64>,
    len: usize,
}

impl Marks {
    /// Whether a secret is marked.
    pub(in crate::tui) fn contains(&self, path: &SecretPath) -> bool {
        self.len > 0 && self.find(path).is_some_and(|at| self.has(at))
    }

    /// Marks a secret of the tree. Whether that is new; another secret cannot be marked.
    pub(in crate::tui) fn insert(&mut self, path: impl Borrow<SecretPath>) -> bool {
        self.find(path.borrow()).is_some_and(|at| self.set(at, true))
    }

    /// Marks secrets of the tree, faster if they are in order.
    pub(in crate::tui) fn extend<'a>(&mut self, paths: impl IntoIterator<Item = &'a SecretPath>) {
        let secrets = Arc::clone(&self.secrets);
        let mut seek = Seek::new(&secrets);
        for at in paths.into_iter().filter_map(|path| seek.find(path)) {
            self.set(at, true);
        }
    }

    /// Takes a mark away. Whether there was one.
    pub(in crate::tui) fn remove(&mut self, path: &SecretPath) -> bool {
        self.len > 0 && self.find(path).is_some_and(|at| self.set(at, false))
    }

    /// Takes all marks away.
    pub(in crate::tui) fn clear(&mut self) {
        self.bits = Vec::new();
        self.len = 0;
    }

    /// How many there are.
    pub(in crate::tui) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub(in crate::tui) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The marked secrets, in the order of the tree.
    pub(in crate::tui) fn iter(&self) -> impl Iterator<Item = &SecretPath> {
        let words = self.bits.iter().enumerate().filter(|(_, word)| **word != 0);
        let marked =
            words.flat_map(|(at, word)| (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit));
        marked.map(|at| &self.secrets[at])
    }

    fn find(&self, path: &SecretPath) -> Option<usize> {
        Seek::new(&self.secrets).find(path)
    }

    fn has(&self, at: usize) -> bool {
        self.bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Whether that is a change.
    fn set(&mut self, at: usize, marked: bool) -> bool {
        if self.has(at) == marked {
            return false;
        }
        if self.bits.is_empty() {
            self.bits = vec![0; self.secrets.len().div_ceil(64)];
        }
        self.bits[at / 64] ^= 1 << (at % 64);
        self.len = if marked { self.len + 1 } else { self.len - 1 };
        true
    }

    fn count(&self, range: Range<usize>) -> usize {
        if self.len == 0 || range.is_empty() {
            return 0;
        }
        let (first, last) = (range.start / 64, (range.end - 1) / 64);
        let words = self.bits[first..=last].iter().zip(first..);
        let inside = words.map(|(word, at)| {
            let from = if at == first { u64::MAX << (range.start % 64) } else { u64::MAX };
            let to = if at == last { u64::MAX >> (63 - (range.end - 1) % 64) } else { u64::MAX };
            (word & from & to).count_ones() as usize
        });
        inside.sum()
    }
}

impl PartialEq for Marks {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Marks {}

impl Tree {
    /// How many marks there are at or below a node.
    pub(in crate::tui) fn marks(&self, id: NodeId, marks: &Marks) -> usize {
        debug_assert!(marks.is_empty() || Arc::ptr_eq(&self.secrets, &marks.secrets), "marks of another tree");
        marks.count(self.range(id))
    }

    /// Marks all tasks that the plan has for a destination at or below a node, or takes their marks away.
    pub(in crate::tui) fn mark(&self, id: NodeId, destination: usize, marks: &mut Marks, marked: bool) {
        debug_assert!(Arc::ptr_eq(&self.secrets, &marks.secrets), "marks of another tree");
        for at in self.range(id) {
            if self.standings_at(destination)[at].is_task() {
                marks.set(at, marked);
            }
        }
    }

    /// What of these marks is a task here; every destination's marks pass through this when its tree is replaced.
    pub(in crate::tui) fn take_over(&self, destination: usize, marks: &Marks) -> Marks {
        let mut here = Marks { secrets: Arc::clone(&self.secrets), ..Marks::default() };
        let mut seek = Seek::new(&self.secrets);
        for at in marks.iter().filter_map(|path| seek.find(path)) {
            if self.standings_at(destination)[at].is_task() {
                here.set(at, true);
            }
        }
        here
    }
}
