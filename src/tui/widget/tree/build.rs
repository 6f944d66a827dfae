//! How a tree is made: from secrets in one pass, its standings from a plan.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::{Folder, ROOT, Standing, Tree, to_u32};
use crate::engine::{DestinationName, Failure, Plan, UnknownSubtree};
use crate::kv::{Mount, SecretPath};

impl Tree {
    /// The tree of everything a plan knows: what the origin holds, what is gone there but still at a destination, what
    /// globs leave out, and what could not be read.
    pub(in crate::tui) fn of_plan(plan: &Plan, failures: &[(DestinationName, Failure)], mounts: &[Mount]) -> Self {
        let inventory = &plan.inventory;
        let mut secrets: Vec<SecretPath> = inventory.secrets.iter().map(|(path, _)| path.clone()).collect();
        // Each bucket is sorted, and sorting makes use of that.
        secrets.sort_by(in_order);
        let unread: Vec<Unread> = inventory.unknown.iter().map(|subtree| Unread::of(subtree, mounts)).collect();
        let mut seek = Seek::new(&secrets);
        let mut others: Vec<SecretPath> = Vec::new();
        for path in beside_inventory(plan).chain(unread.iter().filter_map(|one| one.secret.as_ref())) {
            if seek.find(path).is_none() {
                others.push(path.clone());
            }
        }
        others.sort_by(in_order);
        others.dedup_by(|a, b| in_order(a, b) == Ordering::Equal);
        secrets.extend_from_slice(&others);
        let mut tree = Self::build(plan.destinations.len(), secrets, unread);
        tree.stand_as(plan, &others);
        tree.stand_failed(plan, failures);
        tree.roll_up();
        tree
    }

    /// A tree of these secrets, in any order, and of what could not be read. All stand as absent, and
    /// [`Tree::roll_up`] is still to be done.
    pub(super) fn build(width: usize, mut secrets: Vec<SecretPath>, mut unread: Vec<Unread>) -> Self {
        secrets.sort_by(in_order);
        secrets.dedup_by(|a, b| in_order(a, b) == Ordering::Equal);
        secrets.shrink_to_fit();
        unread.sort_by(|a, b| a.parts().cmp(&b.parts()));
        let mut raising = Raising::new();
        let mut unread = unread.iter().peekable();
        for (at, path) in secrets.iter().enumerate() {
            let parts = (path.mount(), path.name());
            while let Some(before) = unread.next_if(|one| one.parts() <= parts) {
                raising.enter_unread(before, at);
            }
            raising.enter(parts, at);
        }
        for rest in unread {
            raising.enter_unread(rest, secrets.len());
        }
        raising.leave(0, secrets.len());
        let Raising { mut folders, labels, unread, .. } = raising;
        folders.shrink_to_fit();
        Self {
            width,
            standings: vec![Standing::Absent; secrets.len() * width],
            standings_in: vec![0; folders.len() * width],
            behind: vec![0; folders.len() * width],
            tasks: vec![0; folders.len()],
            counts: vec![[0; Standing::ALL.len()]; width],
            unread,
            secrets: Arc::new(secrets),
            folders,
            labels,
        }
    }

    /// Takes over how a plan says that secrets stand. `others` are those that the inventory does not have.
    fn stand_as(&mut self, plan: &Plan, others: &[SecretPath]) {
        let secrets = Arc::clone(&self.secrets);
        let mut common = vec![Standing::InSync; secrets.len()];
        let mut at_all = Assign::new(&secrets, &mut common);
        at_all.all(others, Standing::Absent);
        at_all.all(&plan.inventory.excluded, Standing::Excluded);
        for at in &self.unread {
            common[*at as usize] = Standing::Unknown;
        }
        for (to, part) in plan.destinations.iter().enumerate() {
            let standings = &mut self.standings[to * secrets.len()..(to + 1) * secrets.len()];
            if part.unavailable.is_some() {
                standings.fill(Standing::Unknown);
                continue;
            }
            standings.copy_from_slice(&common);
            let mut there = Assign::new(&secrets, standings);
            there.all(&part.excluded, Standing::Excluded);
            there.all(&part.unknown, Standing::Unknown);
            there.all(&part.unroutable, Standing::Unknown);
            for drift in &part.drifted {
                there.one(&drift.origin, if drift.kept { Standing::InSync } else { Standing::Drifted });
            }
            for task in &part.tasks {
                there.one(&task.origin, task.operation.state().into());
            }
        }
    }

    fn stand_failed(&mut self, plan: &Plan, failures: &[(DestinationName, Failure)]) {
        let secrets = Arc::clone(&self.secrets);
        let mut seek = Seek::new(&secrets);
        for (destination, failure) in failures {
            let to = plan.destinations.iter().position(|part| part.destination == *destination);
            if let (Some(to), Some(at)) = (to, seek.find(&failure.origin)) {
                let standing = &mut self.standings[to * secrets.len() + at];
                if standing.is_task() {
                    *standing = Standing::Failed;
                }
            }
        }
    }

    /// Brings folders and counts in line with their secrets.
    pub(super) fn roll_up(&mut self) {
        let width = self.width;
        self.tasks.fill(0);
        self.behind.fill(0);
        for (at, folder) in self.folders.iter().enumerate() {
            let own = if folder.unread { Standing::Unknown.bit() } else { 0 };
            self.standings_in[at * width..(at + 1) * width].fill(own);
        }
        // A folder comes after the one it lies in, so going backwards finds it summed up before that one needs it.
        for at in (0..self.folders.len()).rev() {
            for piece in pieces(&self.folders, at) {
                let Piece::Secrets(own) = piece else { continue };
                for to in 0..width {
                    let (mut bits, mut behind, mut tasks) = (0, 0, 0);
                    let count = self.secrets.len();
                    for standing in &self.standings[to * count..][own.clone()] {
                        bits |= standing.bit();
                        behind += u32::from(standing.is_behind());
                        tasks += u32::from(standing.is_task());
                    }
                    self.standings_in[at * width + to] |= bits;
                    self.behind[at * width + to] += behind;
                    self.tasks[at] += tasks;
                }
            }
            if at != ROOT {
                let parent = self.folders[at].parent as usize;
                self.tasks[parent] += self.tasks[at];
                for to in 0..width {
                    let (from, to) = (at * width + to, parent * width + to);
                    self.standings_in[to] |= self.standings_in[from];
                    self.behind[to] += self.behind[from];
                }
            }
        }
        for to in 0..width {
            let mut counts = [0; Standing::ALL.len()];
            for standing in self.standings_at(to) {
                counts[*standing as usize] += 1;
            }
            self.counts[to] = counts;
        }
    }
}

/// The order of secrets in a tree. That of their texts would mix up mounts of which one lies in another's way.
pub(super) fn in_order(a: &SecretPath, b: &SecretPath) -> Ordering {
    if a.is_clone_of(b) { Ordering::Equal } else { (a.mount(), a.name()).cmp(&(b.mount(), b.name())) }
}

/// What a plan names that the inventory may not have.
fn beside_inventory(plan: &Plan) -> impl Iterator<Item = &SecretPath> {
    let parts = plan.destinations.iter().flat_map(|part| {
        let tasks = part.tasks.iter().map(|task| &task.origin);
        let drifted = part.drifted.iter().map(|drift| &drift.origin);
        part.excluded.iter().chain(&part.unknown).chain(&part.unroutable).chain(drifted).chain(tasks)
    });
    plan.inventory.excluded.iter().chain(parts)
}

/// Finds secrets among sorted ones, the sooner the closer they are to the one before.
pub(super) struct Seek<'a> {
    secrets: &'a [SecretPath],
    next: usize,
}

impl<'a> Seek<'a> {
    pub(super) fn new(secrets: &'a [SecretPath]) -> Self {
        Self { secrets, next: 0 }
    }

    /// The number of a secret.
    pub(super) fn find(&mut self, path: &SecretPath) -> Option<usize> {
        let rest = &self.secrets[self.next..];
        let from = match rest.first().map(|first| in_order(first, path)) {
            Some(Ordering::Equal) => {
                self.next += 1;
                return Some(self.next - 1);
            }
            Some(Ordering::Less) => self.next,
            // Before it, or behind all.
            _ => 0,
        };
        let rest = &self.secrets[from..];
        let mut reach = 1;
        while rest.get(reach).is_some_and(|known| in_order(known, path) == Ordering::Less) {
            reach *= 2;
        }
        let reach = rest.len().min(reach + 1);
        let found = rest[..reach].binary_search_by(|known| in_order(known, path)).map(|at| from + at);
        self.next = found.map_or_else(|at| from + at, |at| at + 1);
        found.ok()
    }
}

/// Says how secrets stand at one destination.
struct Assign<'a> {
    seek: Seek<'a>,
    standings: &'a mut [Standing],
}

impl<'a> Assign<'a> {
    fn new(secrets: &'a [SecretPath], standings: &'a mut [Standing]) -> Self {
        Self { seek: Seek::new(secrets), standings }
    }

    fn one(&mut self, path: &SecretPath, standing: Standing) {
        if let Some(at) = self.seek.find(path) {
            self.standings[at] = standing;
        }
    }

    fn all(&mut self, paths: &[SecretPath], standing: Standing) {
        for path in paths {
            self.one(path, standing);
        }
    }
}

/// What lies in a folder, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Secrets that lie in it and in none of its folders.
    Secrets(Range<usize>),
    Folder(usize),
}

/// What lies in a folder, in order.
pub(super) fn pieces(folders: &[Folder], at: usize) -> impl Iterator<Item = Piece> {
    let Folder { mut first, end, next, .. } = folders[at];
    let mut below = at + 1;
    std::iter::from_fn(move || {
        let folder = folders.get(below).filter(|_| below < next as usize);
        let until = folder.map_or(end, |folder| folder.first);
        if first < until {
            let own = first as usize..until as usize;
            first = until;
            return Some(Piece::Secrets(own));
        }
        let folder = folder?;
        let at = below;
        first = folder.end;
        below = folder.next as usize;
        Some(Piece::Folder(at))
    })
}

/// A part of the origin that could not be read.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    mount: String,
    /// The folder's or the secret's name in the mount; empty for the mount itself.
    name: String,
    /// The secret, if it is one.
    pub(super) secret: Option<SecretPath>,
}

impl Unread {
    pub(super) fn of(subtree: &UnknownSubtree, mounts: &[Mount]) -> Self {
        let prefix = subtree.prefix.as_str();
        let mount = mounts
            .iter()
            .map(Mount::as_str)
            .filter(|mount| prefix.starts_with(mount))
            .max_by_key(|mount| mount.len())
            .unwrap_or_else(|| prefix.split_inclusive('/').next().unwrap_or(prefix));
        let name = &prefix[mount.len()..];
        let is_folder = name.is_empty() || name.ends_with('/');
        let secret = Mount::parse(mount).ok().filter(|_| !is_folder).map(|mount| SecretPath::new(&mount, name));
        Self { mount: mount.to_owned(), name: name.to_owned(), secret }
    }

    fn parts(&self) -> (&str, &str) {
        (&self.mount, &self.name)
    }
}

/// Folders while they are made from what lies in them, in order.
struct Raising {
    folders: Vec<Folder>,
    labels: String,
    /// Secrets that could not be read.
    unread: Vec<u32>,
    /// The folders around the last thing, the root first, each with the length of its name in the mount.
    around: Vec<(usize, usize)>,
    mount: String,
    name: String,
}

impl Raising {
    fn new() -> Self {
        let root = Folder { parent: 0, next: 0, first: 0, end: 0, label: (0, 0), depth: 0, open: true, unread: false };
        Self {
            folders: vec![root],
            labels: String::new(),
            unread: Vec::new(),
            around: vec![(ROOT, 0)],
            mount: String::new(),
            name: String::new(),
        }
    }

    /// Makes the folders that a path lies in. `at`: the number of the first secret that is not before it.
    fn enter(&mut self, (mount, name): (&str, &str), at: usize) {
        if self.around.len() == 1 || self.mount != mount {
            self.leave(1, at);
            self.push(mount, 0, at);
            mount.clone_into(&mut self.mount);
        } else {
            let common = self.name.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
            // The mount, whose name is empty, stays.
            let kept = self.around[1..].iter().take_while(|(_, length)| *length <= common).count();
            self.leave(1 + kept, at);
        }
        name.clone_into(&mut self.name);
        let mut start = self.around.last().map_or(0, |(_, length)| *length);
        while let Some(slash) = name.get(start..).and_then(|rest| rest.find('/')) {
            let end = start + slash + 1;
            self.push(&name[start..end], end, at);
            start = end;
        }
    }

    fn enter_unread(&mut self, unread: &Unread, at: usize) {
        self.enter(unread.parts(), at);
        match (&unread.secret, self.around.last()) {
            (None, Some((folder, _))) => self.folders[*folder].unread = true,
            _ => self.unread.push(to_u32(at)),
        }
    }

    fn push(&mut self, label: &str, length: usize, at: usize) {
        let parent = self.around.last().map_or(ROOT, |(folder, _)| *folder);
        let start = to_u32(self.labels.len());
        self.labels.push_str(label);
        self.folders.push(Folder {
            parent: to_u32(parent),
            next: 0,
            first: to_u32(at),
            end: 0,
            label: (start, to_u32(self.labels.len())),
            depth: u16::try_from(self.around.len() - 1).unwrap_or(u16::MAX),
            // Mounts start open, so that the first screen shows more than their names.
            open: parent == ROOT,
            unread: false,
        });
        self.around.push((self.folders.len() - 1, length));
    }

    /// Ends all folders but the outermost so many.
    fn leave(&mut self, kept: usize, at: usize) {
        for (folder, _) in self.around.split_off(kept) {
            let next = to_u32(self.folders.len());
            let folder = &mut self.folders[folder];
            (folder.next, folder.end) = (next, to_u32(at));
        }
    }
}
