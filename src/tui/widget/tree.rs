//! The tree of the origin's secrets: how each stands at each destination, and roll-ups of folders.
//!
//! ```text
//!  folders, top down       secrets, in the same order       how they stand at a destination
//!
//!  0  (root)      0..5     0  kv/data/billing/db            In sync
//!  1  kv/         0..4     1  kv/data/billing/dev/api       Add
//!  2  billing/    0..3     2  kv/data/billing/dev/db        In sync
//!  3  dev/        1..3     3  kv/data/top                   Failed
//!  4  pki/        4..5     4  pki/data/ca                   In sync
//! ```
//!
//! Made to hold a million secrets. They are sorted, so that all that lies in a folder is one range of them; for each there
//! is one pointer, shared with the inventory, and a byte for each destination. Only folders have nodes and sums. It is built
//! in one pass, and knows nothing of rows on a screen.

mod build;
mod complete;
mod filter;
mod growth;
mod marks;
mod walk;

use std::ops::Range;
use std::sync::Arc;

pub(in crate::tui) use growth::Growth;
pub(in crate::tui) use marks::Marks;

use crate::engine::SecretState;
use crate::kv::SecretPath;

/// How a node stands at one destination; for a folder the worst of what lies in it. Worse is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(in crate::tui) enum Standing {
    /// Neither recorded at the destination nor on its way there.
    Absent,
    Excluded,
    InSync,
    /// Not planned yet.
    Pending,
    Add,
    Update,
    Delete,
    Drifted,
    Unknown,
    Failed,
}

impl Standing {
    /// Those that count as behind, in the order in which every screen names them.
    pub(in crate::tui) const ALL_BEHIND: [Self; 6] =
        [Self::Add, Self::Update, Self::Delete, Self::Drifted, Self::Failed, Self::Unknown];

    /// All of them, the worst last.
    const ALL: [Self; 10] = [
        Self::Absent,
        Self::Excluded,
        Self::InSync,
        Self::Pending,
        Self::Add,
        Self::Update,
        Self::Delete,
        Self::Drifted,
        Self::Unknown,
        Self::Failed,
    ];

    /// Its bit in a set of standings.
    pub(in crate::tui) const fn bit(self) -> u16 {
        1 << self as u16
    }

    /// The state it stands for, if it is one.
    pub(in crate::tui) fn state(self) -> Option<SecretState> {
        Some(match self {
            Self::Absent | Self::Pending => return None,
            Self::Excluded => SecretState::Excluded,
            Self::InSync => SecretState::InSync,
            Self::Add => SecretState::Add,
            Self::Update => SecretState::Update,
            Self::Delete => SecretState::Delete,
            Self::Drifted => SecretState::Drifted,
            Self::Unknown => SecretState::Unknown,
            Self::Failed => SecretState::Failed,
        })
    }

    /// The symbol on screen.
    pub(in crate::tui) fn symbol(self) -> char {
        match self {
            Self::Absent => ' ',
            Self::Pending => '…',
            _ => self.state().map_or(' ', SecretState::symbol),
        }
    }

    /// The words for it.
    pub(in crate::tui) fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "not there",
            Self::Pending => "not planned yet",
            _ => self.state().map_or("", SecretState::as_str),
        }
    }

    /// Something is to be done, or cannot be told.
    pub(in crate::tui) fn is_behind(self) -> bool {
        self >= Self::Add
    }

    /// The plan has a task for it.
    pub(in crate::tui) fn is_task(self) -> bool {
        matches!(self, Self::Add | Self::Update | Self::Delete | Self::Failed)
    }

    /// Somebody should look at it.
    pub(in crate::tui) fn is_problem(self) -> bool {
        self >= Self::Drifted
    }
}

impl From<SecretState> for Standing {
    fn from(state: SecretState) -> Self {
        match state {
            SecretState::InSync => Self::InSync,
            SecretState::Add => Self::Add,
            SecretState::Update => Self::Update,
            SecretState::Delete => Self::Delete,
            SecretState::Failed => Self::Failed,
            SecretState::Drifted => Self::Drifted,
            SecretState::Excluded => Self::Excluded,
            SecretState::Unknown => Self::Unknown,
        }
    }
}

/// In which order what lies in one folder shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::tui) enum Order {
    #[default]
    Name,
    /// What stands worst first; what stands alike by name.
    Worst,
}

/// A node: a folder by its number with [`FOLDER`], a secret by its number alone.
pub(in crate::tui) type NodeId = u32;

/// Says that a node is a folder.
const FOLDER: NodeId = 1 << 31;

/// The root's number among the folders. It is not shown; mounts are its children.
const ROOT: usize = 0;

/// What a node is, and its number among its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Folder(usize),
    Secret(usize),
}

impl Node {
    fn of(id: NodeId) -> Self {
        if id & FOLDER == 0 { Self::Secret(id as usize) } else { Self::Folder((id & !FOLDER) as usize) }
    }

    fn id(self) -> NodeId {
        match self {
            Self::Folder(at) => FOLDER | to_u32(at),
            Self::Secret(at) => to_u32(at),
        }
    }
}

/// There are never as many as two to the 31st.
fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Debug)]
struct Folder {
    parent: u32,
    /// The first folder behind it that does not lie in it.
    next: u32,
    /// The secrets in it, and in what lies in it.
    first: u32,
    end: u32,
    /// Where its name is among the labels.
    label: (u32, u32),
    /// 0 for mounts.
    depth: u16,
    open: bool,
    /// The origin could not list it.
    unread: bool,
}

impl Folder {
    fn secrets(&self) -> Range<usize> {
        self.first as usize..self.end as usize
    }
}

/// The tree.
#[derive(Debug)]
pub(in crate::tui) struct Tree {
    /// Every secret, sorted by mount and name.
    secrets: Arc<Vec<SecretPath>>,
    /// Top down, as they would show if all were open.
    folders: Vec<Folder>,
    /// The names of all folders, one behind the other.
    labels: String,
    /// Secrets that the origin could not read.
    unread: Vec<u32>,
    /// How many destinations there are.
    width: usize,
    /// How each secret stands, destination by destination.
    standings: Vec<Standing>,
    /// Which standings there are in a folder, a bit each; `width` for each folder.
    standings_in: Vec<u16>,
    /// How many secrets in a folder are behind; `width` for each folder.
    behind: Vec<u32>,
    /// How many tasks the plan has in a folder, over all destinations.
    tasks: Vec<u32>,
    /// Per destination, how many secrets stand how.
    counts: Vec<[u64; Standing::ALL.len()]>,
}

impl Tree {
    /// An empty tree for so many destinations.
    pub(in crate::tui) fn new(width: usize) -> Self {
        Self::build(width, Vec::new(), Vec::new())
    }

    /// The number of secrets in it.
    pub(in crate::tui) fn secrets(&self) -> u32 {
        to_u32(self.secrets.len())
    }

    /// How many secrets stand so at a destination.
    pub(in crate::tui) fn count(&self, destination: usize, standing: Standing) -> u64 {
        self.counts.get(destination).map_or(0, |counts| counts[standing as usize])
    }

    /// The number of secrets in a folder; 1 for a secret.
    pub(in crate::tui) fn secrets_below(&self, id: NodeId) -> u32 {
        to_u32(self.range(id).len())
    }

    /// How a node stands at a destination; a folder as the worst in it.
    pub(in crate::tui) fn standing(&self, id: NodeId, destination: usize) -> Standing {
        match Node::of(id) {
            Node::Folder(at) => worst_of(self.standings_in[at * self.width + destination]),
            Node::Secret(at) => self.standings_at(destination)[at],
        }
    }

    /// All ways in which what is at or below a node is behind at a destination.
    pub(in crate::tui) fn ways_behind(&self, id: NodeId, destination: usize) -> impl Iterator<Item = Standing> {
        let bits = match Node::of(id) {
            Node::Folder(at) => self.standings_in[at * self.width + destination],
            Node::Secret(at) => self.standings_at(destination)[at].bit(),
        };
        Standing::ALL_BEHIND.into_iter().filter(move |standing| bits & standing.bit() != 0)
    }

    /// How many tasks the plan has at or below a node, over all destinations.
    pub(in crate::tui) fn tasks(&self, id: NodeId) -> usize {
        match Node::of(id) {
            Node::Folder(at) => self.tasks[at] as usize,
            Node::Secret(at) => (0..self.width).filter(|to| self.standings_at(*to)[at].is_task()).count(),
        }
    }

    /// How many secrets of a node are behind at a destination.
    pub(in crate::tui) fn behind(&self, id: NodeId, destination: usize) -> u32 {
        match Node::of(id) {
            Node::Folder(at) => self.behind[at * self.width + destination],
            Node::Secret(at) => u32::from(self.standings_at(destination)[at].is_behind()),
        }
    }

    /// The worst standing over all destinations.
    pub(in crate::tui) fn worst(&self, id: NodeId) -> Standing {
        worst_of(self.standings_of(id))
    }

    /// What the node is called inside of its folder; folders end in a slash.
    pub(in crate::tui) fn label(&self, id: NodeId) -> &str {
        match Node::of(id) {
            Node::Folder(at) => {
                let (start, end) = self.folders[at].label;
                &self.labels[start as usize..end as usize]
            }
            Node::Secret(at) => last_label(&self.secrets[at]),
        }
    }

    /// 0 for a mount.
    pub(in crate::tui) fn depth(&self, id: NodeId) -> u16 {
        match Node::of(id) {
            Node::Folder(at) => self.folders[at].depth,
            Node::Secret(at) => self.folders[self.folder_of(at)].depth.saturating_add(1),
        }
    }

    /// Whether a folder shows what is in it.
    pub(in crate::tui) fn is_open(&self, id: NodeId) -> bool {
        matches!(Node::of(id), Node::Folder(at) if self.folders[at].open)
    }

    /// Whether the origin could not list or read it.
    pub(in crate::tui) fn is_unread(&self, id: NodeId) -> bool {
        match Node::of(id) {
            Node::Folder(at) => self.folders[at].unread,
            Node::Secret(_) => self.unread.binary_search(&id).is_ok(),
        }
    }

    /// The secret, if the node is one.
    pub(in crate::tui) fn secret(&self, id: NodeId) -> Option<&SecretPath> {
        match Node::of(id) {
            Node::Folder(_) => None,
            Node::Secret(at) => self.secrets.get(at),
        }
    }

    /// The folder a node lies in; `None` for a mount.
    pub(in crate::tui) fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = match Node::of(id) {
            Node::Folder(at) => self.folders[at].parent as usize,
            Node::Secret(at) => self.folder_of(at),
        };
        (parent != ROOT).then(|| Node::Folder(parent).id())
    }

    /// Opens or closes a folder.
    pub(in crate::tui) fn set_open(&mut self, id: NodeId, open: bool) {
        if let Node::Folder(at) = Node::of(id) {
            self.folders[at].open = open;
        }
    }

    /// The numbers of the secrets at or below a node.
    fn range(&self, id: NodeId) -> Range<usize> {
        match Node::of(id) {
            Node::Folder(at) => self.folders[at].secrets(),
            Node::Secret(at) => at..at + 1,
        }
    }

    /// The folder a secret lies in.
    fn folder_of(&self, secret: usize) -> usize {
        let mut at = self.folders.partition_point(|folder| folder.first as usize <= secret).saturating_sub(1);
        while at != ROOT && !self.folders[at].secrets().contains(&secret) {
            at = self.folders[at].parent as usize;
        }
        at
    }

    /// How all secrets stand at a destination.
    fn standings_at(&self, destination: usize) -> &[Standing] {
        let count = self.secrets.len();
        &self.standings[destination * count..(destination + 1) * count]
    }

    /// All standings at or below a node, a bit each, over all destinations.
    fn standings_of(&self, id: NodeId) -> u16 {
        match Node::of(id) {
            Node::Folder(at) => {
                let start = at * self.width;
                self.standings_in[start..start + self.width].iter().fold(0, |all, bits| all | bits)
            }
            Node::Secret(at) => (0..self.width).fold(0, |all, to| all | self.standings_at(to)[at].bit()),
        }
    }
}

fn worst_of(bits: u16) -> Standing {
    bits.checked_ilog2().map_or(Standing::Absent, |highest| Standing::ALL[highest as usize])
}

/// What a secret is called inside of its folder.
fn last_label(path: &SecretPath) -> &str {
    let name = path.name();
    &name[name.rfind('/').map_or(0, |slash| slash + 1)..]
}

#[cfg(test)]
mod tests;
