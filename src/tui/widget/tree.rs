//! The tree of the origin's secrets: an arena of nodes, how each stands at each destination, and roll-ups of folders.
//!
//! Made to hold some hundred thousand secrets: a byte for each secret and destination, built in one pass, rolled up in
//! another. It knows nothing of rows on a screen.

mod build;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

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
    pub(in crate::tui) fn bit(self) -> u16 {
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

/// A node's place in the arena.
pub(in crate::tui) type NodeId = u32;

/// The root, which is not shown; mounts are its children.
const ROOT: NodeId = 0;

#[derive(Debug)]
struct Node {
    parent: NodeId,
    /// 0 for mounts.
    depth: u16,
    open: bool,
    /// The origin could not list or read it.
    unread: bool,
    /// Folders end in a slash.
    label: Arc<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder { children: BTreeMap<Arc<str>, NodeId>, secrets: u32 },
    Secret(SecretPath),
}

/// The tree.
#[derive(Debug)]
pub(in crate::tui) struct Tree {
    nodes: Vec<Node>,
    /// Destinations.
    width: usize,
    /// Which standings there are at or below a node, a bit each; `width` for each node.
    standings: Vec<u16>,
    /// How many secrets below are behind; `width` for each node.
    behind: Vec<u32>,
    /// How many tasks the plan has at or below a node, over all destinations.
    tasks: Vec<u32>,
    /// Per destination, how many secrets stand how.
    counts: Vec<[u64; Standing::ALL.len()]>,
}

impl Tree {
    /// An empty tree for so many destinations.
    pub(in crate::tui) fn new(width: usize) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            width,
            standings: Vec::new(),
            behind: Vec::new(),
            tasks: Vec::new(),
            counts: vec![[0; Standing::ALL.len()]; width],
        };
        tree.push(ROOT, 0, Arc::from(""), Kind::Folder { children: BTreeMap::new(), secrets: 0 });
        tree
    }

    /// The number of secrets in it.
    pub(in crate::tui) fn secrets(&self) -> u32 {
        self.secrets_below(ROOT)
    }

    /// How many secrets stand so at a destination.
    pub(in crate::tui) fn count(&self, destination: usize, standing: Standing) -> u64 {
        self.counts.get(destination).map_or(0, |counts| counts[standing as usize])
    }

    /// The number of secrets below a folder; 1 for a secret.
    pub(in crate::tui) fn secrets_below(&self, id: NodeId) -> u32 {
        match &self.node(id).kind {
            Kind::Folder { secrets, .. } => *secrets,
            Kind::Secret(_) => 1,
        }
    }

    /// How a node stands at a destination; a folder as the worst in it.
    pub(in crate::tui) fn standing(&self, id: NodeId, destination: usize) -> Standing {
        let bits = self.standings[id as usize * self.width + destination];
        bits.checked_ilog2().map_or(Standing::Absent, |highest| Standing::ALL[highest as usize])
    }

    /// All ways in which what is at or below a node is behind at a destination.
    pub(in crate::tui) fn ways_behind(&self, id: NodeId, destination: usize) -> impl Iterator<Item = Standing> {
        let bits = self.standings[id as usize * self.width + destination];
        Standing::ALL_BEHIND.into_iter().filter(move |standing| bits & standing.bit() != 0)
    }

    /// How many tasks the plan has at or below a node, over all destinations.
    pub(in crate::tui) fn tasks(&self, id: NodeId) -> usize {
        self.tasks[id as usize] as usize
    }

    /// How many secrets of a node are behind at a destination.
    pub(in crate::tui) fn behind(&self, id: NodeId, destination: usize) -> u32 {
        self.behind[id as usize * self.width + destination]
    }

    /// The worst standing over all destinations.
    pub(in crate::tui) fn worst(&self, id: NodeId) -> Standing {
        (0..self.width).map(|at| self.standing(id, at)).max().unwrap_or(Standing::Absent)
    }

    /// What the node is called inside of its folder.
    pub(in crate::tui) fn label(&self, id: NodeId) -> &str {
        &self.node(id).label
    }

    /// 0 for a mount.
    pub(in crate::tui) fn depth(&self, id: NodeId) -> u16 {
        self.node(id).depth
    }

    /// Whether a folder shows what is in it.
    pub(in crate::tui) fn is_open(&self, id: NodeId) -> bool {
        self.node(id).open
    }

    /// Whether the origin could not list or read it.
    pub(in crate::tui) fn is_unread(&self, id: NodeId) -> bool {
        self.node(id).unread
    }

    /// The secret, if the node is one.
    pub(in crate::tui) fn secret(&self, id: NodeId) -> Option<&SecretPath> {
        match &self.node(id).kind {
            Kind::Secret(path) => Some(path),
            Kind::Folder { .. } => None,
        }
    }

    /// The folder a node lies in; `None` for a mount.
    pub(in crate::tui) fn parent(&self, id: NodeId) -> Option<NodeId> {
        let parent = self.node(id).parent;
        (parent != ROOT).then_some(parent)
    }

    /// Opens or closes a folder.
    pub(in crate::tui) fn set_open(&mut self, id: NodeId, open: bool) {
        if let Some(node) = self.nodes.get_mut(id as usize)
            && matches!(node.kind, Kind::Folder { .. })
        {
            node.open = open;
        }
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    fn push(&mut self, parent: NodeId, depth: u16, label: Arc<str>, kind: Kind) -> NodeId {
        let id = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        // Mounts start open, so that the first screen shows more than their names.
        self.nodes.push(Node { parent, depth, open: parent == ROOT, unread: false, label, kind });
        self.standings.resize(self.nodes.len() * self.width, Standing::Absent.bit());
        self.behind.resize(self.nodes.len() * self.width, 0);
        self.tasks.resize(self.nodes.len(), 0);
        id
    }
}

#[cfg(test)]
mod tests;
