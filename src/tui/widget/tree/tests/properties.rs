//! The tree beside a plain one: every node by its path, everything found by looking at all of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::super::build::Unread;
use super::super::{Node, NodeId, Order, Standing, Tree};
use crate::engine::UnknownSubtree;
use crate::kv::{Mount, SecretPath};
use crate::tui::filter::{Filter, Needle, Only};

const WIDTH: usize = 2;

/// The mounts, of which one lies in another's way.
fn mounts() -> Vec<Mount> {
    ["kv", "kv/data", "pki"].map(|mount| Mount::parse(mount).expect("a mount")).into()
}

/// Mount and name of a secret, or of a folder with a slash at its end.
type Place = (String, String);

#[derive(Debug, Clone)]
struct Plain {
    secrets: BTreeMap<Place, Vec<Standing>>,
    unread: BTreeSet<Place>,
    open: BTreeSet<usize>,
}

impl Plain {
    /// Every node, top down.
    fn nodes(&self) -> BTreeSet<Place> {
        let mut nodes = BTreeSet::new();
        for (mount, name) in self.secrets.keys().chain(&self.unread) {
            nodes.insert((mount.clone(), name.clone()));
            nodes.insert((mount.clone(), String::new()));
            for (slash, _) in name.match_indices('/') {
                nodes.insert((mount.clone(), name[..=slash].to_owned()));
            }
        }
        nodes
    }

    fn is_open(&self, place: &Place) -> bool {
        self.nodes().iter().position(|node| node == place).is_some_and(|at| self.open.contains(&at))
    }

    fn below<'a>(&'a self, (mount, folder): &'a Place) -> impl Iterator<Item = (&'a Place, &'a Vec<Standing>)> {
        let inside = move |place: &Place| place.0 == *mount && is_in(&place.1, folder);
        self.secrets.iter().filter(move |(place, _)| inside(place))
    }

    /// All standings at or below a node at a destination.
    fn bits(&self, place: &Place, to: usize) -> u16 {
        let secrets = self.below(place).map(|(_, standings)| standings[to].bit());
        let unread = |one: &&Place| is_folder(&one.1) && one.0 == place.0 && is_in(&one.1, &place.1);
        secrets.chain(self.unread.iter().filter(unread).map(|_| Standing::Unknown.bit())).fold(0, |all, bit| all | bit)
    }

    fn finds(&self, place: &Place, needle: &Needle) -> bool {
        let itself = |place: &Place| {
            let bits = (0..WIDTH).fold(0, |all, to| all | self.bits(place, to));
            needle.admits(bits) && needle.found_in(&format!("{}{}", place.0, place.1))
        };
        let unread = |one: &&Place| is_folder(&one.1) && one.0 == place.0 && is_in(&one.1, &place.1);
        self.below(place).any(|(secret, _)| itself(secret)) || self.unread.iter().filter(unread).any(itself)
    }

    fn shows(&self, (mount, name): &Place) -> bool {
        let around = name.trim_end_matches('/').match_indices('/').map(|(slash, _)| &name[..=slash]);
        let around: Vec<_> = around.chain((!name.is_empty()).then_some("")).collect();
        around.into_iter().all(|folder| self.is_open(&(mount.clone(), folder.to_owned())))
    }

    fn problems(&self) -> Vec<String> {
        let problem = |place: &Place| {
            let bad = |standings: &Vec<Standing>| standings.iter().any(|standing| standing.is_problem());
            self.secrets.get(place).is_some_and(bad) || is_folder(&place.1) && self.unread.contains(place)
        };
        self.nodes().iter().filter(|place| problem(place)).map(text).collect()
    }

    fn tree(&self) -> Tree {
        let path = |place: &Place| SecretPath::new(&Mount::parse(&place.0).expect("a mount"), &place.1);
        let unread = self.unread.iter().map(|place| {
            let subtree = UnknownSubtree { prefix: text(place), reason: String::new() };
            Unread::of(&subtree, &[Mount::parse(&place.0).expect("a mount")])
        });
        let mut tree = Tree::build(WIDTH, self.secrets.keys().rev().map(path).collect(), unread.collect());
        let by_path: BTreeMap<_, _> = self.secrets.iter().map(|(place, standings)| (path(place), standings)).collect();
        tree.standings =
            (0..WIDTH).flat_map(|to| tree.secrets.iter().map(|path| by_path[path][to]).collect::<Vec<_>>()).collect();
        tree.roll_up();
        for (at, place) in self.nodes().iter().enumerate() {
            if let Some(id) = node(&tree, place) {
                tree.set_open(id, self.open.contains(&at));
            }
        }
        tree
    }
}

fn is_folder(name: &str) -> bool {
    name.is_empty() || name.ends_with('/')
}

fn is_in(name: &str, folder: &str) -> bool {
    name == folder || is_folder(folder) && name.starts_with(folder)
}

fn text((mount, name): &Place) -> String {
    format!("{mount}{name}")
}

fn paths(tree: &Tree, rows: &[NodeId]) -> Vec<String> {
    rows.iter().map(|id| tree.path(*id)).collect()
}

/// All nodes of a tree, and which of them this one is.
fn node(tree: &Tree, place: &Place) -> Option<NodeId> {
    let folders = (1..tree.folders.len()).map(|at| Node::Folder(at).id());
    let secrets = (0..tree.secrets.len()).map(|at| Node::Secret(at).id());
    let depth = place.1.split_inclusive('/').count();
    folders.chain(secrets).find(|id| {
        tree.path(*id) == text(place) && usize::from(tree.depth(*id)) == depth && tree.labels(*id)[0] == place.0
    })
}

fn plain() -> impl Strategy<Value = Plain> {
    let mount = || select(mounts()).prop_map(|mount| mount.to_string());
    let piece = || select(vec!["a", "b", "ab", "B", "a-x", "ö", "prod"]);
    let name = vec(piece(), 1..5).prop_map(|pieces| pieces.join("/"));
    let folder = vec(piece(), 0..4).prop_map(|pieces| pieces.iter().flat_map(|piece| [piece, "/"]).collect::<String>());
    let standings = vec(select(Standing::ALL.to_vec()), WIDTH);
    let secrets = btree_map((mount(), name), standings, 0..30);
    (secrets, btree_set((mount(), folder), 0..3), btree_set(0_usize..40, 0..40))
        .prop_map(|(secrets, unread, open)| Plain { secrets, unread, open })
}

fn filter() -> impl Strategy<Value = Filter> {
    let text =
        select(vec!["", "a", "b/a", "prod", "PROD", "!a", "~ab", "~kd", "!~ab", "ö", "/a", "kv/", "kv/a", "zz", "!ö"]);
    (text, select(vec![Only::All, Only::Behind, Only::Problems]))
        .prop_map(|(text, only)| Filter { input: text.into(), only })
}

proptest! {
    #[test]
    fn what_shows_is_what_lies_in_open_folders(plain in plain()) {
        let tree = plain.tree();
        let expected: Vec<_> = plain.nodes().iter().filter(|place| plain.shows(place)).map(text).collect();
        prop_assert_eq!(paths(&tree, &tree.visible(&Needle::new(""), Order::Name)), expected);
    }

    #[test]
    fn a_filter_finds_what_looking_at_everything_finds(plain in plain(), filter in filter()) {
        let (tree, needle) = (plain.tree(), filter.needle());
        let rows = tree.visible(&needle, Order::Name);
        if !needle.is_empty() {
            let expected: Vec<_> = plain.nodes().iter().filter(|place| plain.finds(place, &needle)).map(text).collect();
            prop_assert_eq!(paths(&tree, &rows), expected);
        }
        let mut worst = tree.visible(&needle, Order::Worst);
        for (at, id) in worst.iter().enumerate() {
            // Of two that lie in one folder the worse comes first.
            let beside = worst[..at].iter().filter(|other| tree.parent(**other) == tree.parent(*id));
            prop_assert!(beside.into_iter().all(|other| tree.worst(*other) >= tree.worst(*id)));
        }
        worst.sort_by_key(|id| rows.iter().position(|row| row == id));
        prop_assert_eq!(worst, rows, "the order changes nothing else");
    }

    #[test]
    fn folders_sum_up_what_lies_in_them(plain in plain()) {
        let tree = plain.tree();
        prop_assert_eq!(tree.secrets() as usize, plain.secrets.len());
        for place in plain.nodes() {
            let id = node(&tree, &place).expect("every node is there");
            prop_assert_eq!(tree.secrets_below(id) as usize, plain.below(&place).count());
            let tasks = plain.below(&place).flat_map(|(_, standings)| standings).filter(|one| one.is_task()).count();
            prop_assert_eq!(tree.tasks(id), tasks);
            for to in 0..WIDTH {
                let worst = Standing::ALL.into_iter().rev().find(|one| plain.bits(&place, to) & one.bit() != 0);
                prop_assert_eq!(tree.standing(id, to), worst.unwrap_or(Standing::Absent));
                let behind = plain.below(&place).filter(|(_, standings)| standings[to].is_behind()).count();
                prop_assert_eq!(tree.behind(id, to) as usize, behind);
                for (way, count) in tree.counts_behind(id, to) {
                    let expected = plain.below(&place).filter(|(_, standings)| standings[to] == way).count();
                    prop_assert_eq!(count, expected as u64);
                }
            }
        }
        for to in 0..WIDTH {
            for standing in Standing::ALL {
                let expected = plain.secrets.values().filter(|standings| standings[to] == standing).count();
                prop_assert_eq!(tree.count(to, standing), expected as u64);
            }
        }
    }

    #[test]
    fn problems_follow_each_other_both_ways(plain in plain()) {
        let tree = plain.tree();
        let problems = plain.problems();
        let path = |id: Option<NodeId>| id.map(|id| tree.path(id));
        prop_assert_eq!(path(tree.next_problem(None, Order::Name, true)), problems.first().cloned());
        prop_assert_eq!(path(tree.next_problem(None, Order::Name, false)), problems.last().cloned());
        for order in [Order::Name, Order::Worst] {
            let mut all = Vec::new();
            let mut at = None;
            for _ in &problems {
                let next = tree.next_problem(at, order, true).expect("there are problems");
                if let Some(at) = at {
                    prop_assert_eq!(tree.next_problem(Some(next), order, false), Some(at), "and back");
                }
                all.push(next);
                at = Some(next);
            }
            prop_assert_eq!(tree.next_problem(at, order, true), all.first().copied(), "around the end");
            let mut met = paths(&tree, &all);
            if order == Order::Worst {
                met.sort();
                let mut sorted = problems.clone();
                sorted.sort();
                prop_assert_eq!(met, sorted);
            } else {
                prop_assert_eq!(met, problems.clone());
            }
        }
        // From anything that is none of them the next one is found, too.
        let nodes: Vec<_> = plain.nodes().into_iter().collect();
        for (at, place) in nodes.iter().enumerate() {
            let is_problem = |place: &&Place| problems.contains(&text(place));
            let after = nodes[at + 1..].iter().chain(&nodes[..=at]).find(is_problem).map(text);
            let from = node(&tree, place);
            prop_assert_eq!(path(tree.next_problem(from, Order::Name, true)), after);
            let before = nodes[at..].iter().chain(&nodes[..at]).rev().find(is_problem).map(text);
            prop_assert_eq!(path(tree.next_problem(from, Order::Name, false)), before);
        }
    }

    #[test]
    fn secrets_are_found_and_marks_are_a_set(plain in plain(), other in plain(), picks in vec((any::<bool>(), 0_usize..40), 0..40)) {
        let tree = plain.tree();
        for path in other.tree().secrets.iter() {
            let found = tree.find(path).map(|id| tree.secret(id).cloned());
            let place = (path.mount().to_owned(), path.name().to_owned());
            prop_assert_eq!(found, plain.secrets.contains_key(&place).then(|| Some(path.clone())));
        }
        let mut marks = tree.take_over(0, &super::super::Marks::default());
        let mut expected = BTreeSet::new();
        for (insert, pick) in picks {
            let Some(path) = tree.secrets.get(pick) else { continue };
            if insert {
                prop_assert_eq!(marks.insert(path), expected.insert(path.clone()));
            } else {
                prop_assert_eq!(marks.remove(path), expected.remove(path));
            }
        }
        prop_assert_eq!(marks.iter().cloned().collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(marks.len(), expected.len());
        for path in tree.secrets.iter().chain(other.tree().secrets.iter()) {
            prop_assert_eq!(marks.contains(path), expected.contains(path));
        }
        for place in plain.nodes() {
            let id = node(&tree, &place).expect("every node is there");
            let below = plain.below(&place).filter(|(place, _)| {
                expected.iter().any(|path| (path.mount(), path.name()) == (place.0.as_str(), place.1.as_str()))
            });
            prop_assert_eq!(tree.marks(id, &marks), below.count());
        }
        // In the next tree stays what is a task there.
        let next = other.tree();
        let kept = next.take_over(1, &marks);
        let stays = |path: &SecretPath| next.find(path).is_some_and(|id| next.standing(id, 1).is_task());
        prop_assert_eq!(kept.iter().cloned().collect::<BTreeSet<_>>(), expected.iter().filter(|path| stays(path)).cloned().collect::<BTreeSet<_>>());
    }

    #[test]
    fn a_new_tree_keeps_what_was_open_and_the_cursor(old in plain(), new in plain(), pick in 0_usize..40) {
        let (was, mut tree) = (old.tree(), new.tree());
        let nodes: Vec<_> = old.nodes().into_iter().collect();
        let picked = nodes.get(pick);
        let now = tree.adopt(&was, picked.and_then(|place| node(&was, place)));
        // The cursor stays, or goes to the nearest folder around.
        let mut wanted = picked.cloned();
        while let Some(place) = wanted.as_ref().filter(|place| !new.nodes().contains(place)) {
            let (mount, name) = place;
            let around = name.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
            wanted = (!name.is_empty()).then(|| (mount.clone(), name[..around].to_owned()));
        }
        prop_assert_eq!(now.map(|id| tree.path(id)), wanted.as_ref().map(text));
        for place in new.nodes().iter().filter(|place| is_folder(&place.1) && old.nodes().contains(place) && old.shows(place)) {
            let id = node(&tree, place).expect("every node is there");
            prop_assert_eq!(tree.is_open(id), old.is_open(place), "{}", text(place));
        }
    }
}
