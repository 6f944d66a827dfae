//! Paths as people type them: where one leads, and what it can be completed to.

use super::{Node, NodeId, ROOT, Tree};

/// What a typed path may go on with.
#[derive(Debug)]
pub(in crate::tui) struct Completion {
    /// The folder that is typed in full; `None`: mounts.
    pub(in crate::tui) folder: Option<NodeId>,
    /// What lies in it and has the rest of the typed text in its name, and first what begins with it.
    pub(in crate::tui) nodes: Vec<NodeId>,
}

impl Tree {
    /// The folder or secret at a path; a folder also without its slash.
    pub(in crate::tui) fn at(&self, path: &str) -> Option<NodeId> {
        let path = path.trim_end_matches('/');
        let (folder, rest) = self.enter(path);
        let slashed = format!("{rest}/");
        let of_name = |name: &str| self.children(folder).find(|id| self.label(*id) == name);
        of_name(rest).or_else(|| of_name(&slashed))
    }

    /// Looks only into the folder that is typed, whatever the size of the tree, and stops at `most`.
    pub(in crate::tui) fn complete(&self, path: &str, most: usize) -> Completion {
        let (folder, rest) = self.enter(path);
        let (mut first, mut others) = (Vec::new(), Vec::new());
        for id in self.children(folder) {
            let label = self.label(id);
            match place(label, rest) {
                Some(0) => first.push(id),
                Some(_) if others.len() < most => others.push(id),
                _ => {}
            }
            if first.len() >= most {
                break;
            }
        }
        first.append(&mut others);
        first.truncate(most);
        Completion { folder: (folder != ROOT).then(|| Node::Folder(folder).id()), nodes: first }
    }

    /// Goes down as many whole folders as the path names; the innermost, and what is left of the path.
    fn enter<'a>(&self, path: &'a str) -> (usize, &'a str) {
        let (mut at, mut rest) = (ROOT, path);
        loop {
            // A mount's name may have slashes in it, so it is not just up to the next one.
            let label = |below: usize| self.label(Node::Folder(below).id());
            let inner = self.folders_in(at).filter(|below| rest.starts_with(label(*below)));
            let Some(below) = inner.max_by_key(|below| label(*below).len()) else { return (at, rest) };
            rest = &rest[label(below).len()..];
            at = below;
        }
    }
}

/// Where in a label the typed text is, whichever way its letters are written.
fn place(label: &str, typed: &str) -> Option<usize> {
    if typed.is_empty() {
        Some(0)
    } else if typed.is_ascii() {
        // The common case, without making a copy of every label.
        label.as_bytes().windows(typed.len()).position(|part| part.eq_ignore_ascii_case(typed.as_bytes()))
    } else {
        label.to_lowercase().find(&typed.to_lowercase())
    }
}
