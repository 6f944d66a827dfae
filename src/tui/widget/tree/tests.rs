use super::*;
use crate::engine::{InventoryUpdate, UnknownSubtree};
use crate::kv::Mount;
use crate::tui::filter::{Needle, Only};
use crate::tui::sample;

mod properties;

fn mounts() -> Vec<Mount> {
    vec![Mount::parse("secret").expect("a mount")]
}

fn labels(tree: &Tree, needle: &str) -> Vec<String> {
    let needle = Needle::new(needle);
    tree.visible(&needle, Order::Name).iter().map(|&id| tree.path(id)).collect()
}

/// The tree of what has arrived.
fn grown(width: usize, names: &[&str]) -> Tree {
    let mut growth = Growth::new(width, mounts());
    growth.extend(&found(names));
    growth.tree()
}

fn found(names: &[&str]) -> InventoryUpdate {
    InventoryUpdate::Found(names.iter().map(|name| (sample::path(name), sample::insight(1))).collect())
}

#[test]
fn it_grows_as_the_inventory_arrives() {
    let mut growth = Growth::new(2, mounts());
    growth.extend(&found(&["b/x", "a/y", "top"]));
    assert_eq!(labels(&growth.tree(), ""), ["secret/", "secret/a/", "secret/b/", "secret/top"]);
    growth.extend(&found(&["a/z", "aa"]));
    let shut = UnknownSubtree { prefix: "secret/shut/".into(), reason: "denied".into() };
    growth.extend(&InventoryUpdate::Unknown(shut));
    let tree = growth.tree();
    assert_eq!(labels(&tree, ""), ["secret/", "secret/a/", "secret/aa", "secret/b/", "secret/shut/", "secret/top"]);
    assert_eq!(tree.secrets(), 5);
    let mount = tree.visible(&Needle::new(""), Order::Name)[0];
    assert_eq!(tree.standing(mount, 0), Standing::Unknown, "a folder is as bad as the worst in it");
}

#[test]
fn a_name_may_be_a_secret_and_a_folder() {
    let tree = grown(1, &["app", "app/db"]);
    assert_eq!(labels(&tree, ""), ["secret/", "secret/app", "secret/app/"]);
    assert_eq!(tree.find(&sample::path("app/db")).map(|id| tree.path(id)).as_deref(), Some("secret/app/db"));
}

#[test]
fn a_filter_shows_what_matches_and_where_it_lies() {
    let tree = grown(1, &["a/deep/one", "a/two", "b/one"]);
    assert_eq!(
        labels(&tree, "ONE".to_lowercase().as_str()),
        ["secret/", "secret/a/", "secret/a/deep/", "secret/a/deep/one", "secret/b/", "secret/b/one"]
    );
    assert_eq!(labels(&tree, "a/two"), ["secret/", "secret/a/", "secret/a/two"]);
    assert!(labels(&tree, "nowhere").is_empty());
}

#[test]
fn a_filter_by_state_goes_with_a_text_and_an_inverse_one() {
    let tree = Tree::of_plan(&sample::plan(), &sample::failures(), &mounts());
    let labels = |only, text: &str| -> Vec<String> {
        let filter = crate::tui::filter::Filter { only, input: text.into() };
        tree.visible(&filter.needle(), Order::Name).iter().map(|&id| tree.path(id)).collect()
    };
    let failed = labels(Only::One(crate::engine::SecretState::Failed), "");
    let at =
        |folder: &str, names: &[&str]| names.iter().map(|name| format!("secret/{folder}{name}")).collect::<Vec<_>>();
    assert_eq!(
        failed[..5],
        at("", &["", "payments/", "payments/prod/", "payments/prod/api", "payments/prod/database"])
    );
    assert_eq!(failed[5..], at("search/", &["", "prod/", "prod/api"]));
    assert_eq!(
        labels(Only::One(crate::engine::SecretState::Failed), "!payments"),
        [&at("", &[""])[..], &failed[5..]].concat()
    );
    assert!(labels(Only::Problems, "").contains(&"secret/vault-admins/".to_owned()), "an unread folder is a problem");
    assert!(!labels(Only::Problems, "").contains(&"secret/legacy/".to_owned()), "what is to be deleted is none");
    assert!(labels(Only::Behind, "").contains(&"secret/legacy/".to_owned()));
}

#[test]
fn the_worst_come_first_in_every_folder() {
    let tree = Tree::of_plan(&sample::plan(), &sample::failures(), &mounts());
    let everything = Needle::new("/");
    let rows = tree.visible(&everything, Order::Worst);
    assert_eq!(rows.len(), tree.visible(&everything, Order::Name).len());
    let mut before: std::collections::HashMap<Option<NodeId>, Standing> = std::collections::HashMap::new();
    for id in rows {
        let worst = tree.worst(id);
        let previous = before.insert(tree.parent(id), worst);
        assert!(previous.is_none_or(|previous| previous >= worst), "{}", tree.path(id));
    }
}

#[test]
fn a_plan_gives_every_secret_its_state() {
    let plan = sample::plan();
    let failures = sample::failures();
    let tree = Tree::of_plan(&plan, &failures, &mounts());
    let stands = |name: &str, at| tree.standing(tree.find(&sample::path(name)).expect(name), at);
    assert_eq!(stands("payments/prod/api", 0), Standing::InSync);
    assert_eq!(stands("payments/prod/api", 1), Standing::Failed);
    assert_eq!(stands("payments/old/key", 0), Standing::Delete, "gone at the origin, still shown");
    assert_eq!(stands("payments/old/key", 1), Standing::Absent);
    assert_eq!(stands("scratch/x", 0), Standing::Excluded);
    let behind = tree.behind(tree.visible(&Needle::new(""), Order::Name)[0], 1);
    assert_eq!(
        u64::from(behind),
        Standing::ALL_BEHIND.iter().map(|&standing| tree.count(1, standing)).sum::<u64>(),
        "the roll-up counts what the totals count"
    );
}

#[test]
fn what_has_no_way_to_a_destination_is_not_in_sync_there() {
    let mut plan = (*sample::plan()).clone();
    plan.destinations[0].unroutable = vec![sample::path("payments/prod/api")];
    let before = Tree::of_plan(&sample::plan(), &[], &mounts());
    let tree = Tree::of_plan(&plan, &[], &mounts());
    let id = tree.find(&sample::path("payments/prod/api")).expect("it is there");
    assert_eq!((tree.standing(id, 0), tree.standing(id, 2)), (Standing::Unknown, Standing::InSync));
    assert_eq!(tree.count(0, Standing::InSync) + 1, before.count(0, Standing::InSync));
}

#[test]
fn nothing_is_known_of_a_destination_without_a_plan() {
    let mut plan = (*sample::plan()).clone();
    plan.destinations[0] = crate::engine::DestinationPlan::empty(sample::names()[0].clone());
    plan.destinations[0].unavailable = Some("no answer".into());
    let tree = Tree::of_plan(&plan, &[], &mounts());
    let stands = |name: &str| tree.standing(tree.find(&sample::path(name)).expect(name), 0);
    assert_eq!(stands("payments/prod/api"), Standing::Unknown);
    assert_eq!(stands("legacy/api"), Standing::Unknown, "only a destination after it knows of this one");
    assert_eq!(tree.count(0, Standing::Unknown), u64::from(tree.secrets()));
}

#[test]
fn the_next_problem_goes_round() {
    let tree = Tree::of_plan(&sample::plan(), &sample::failures(), &mounts());
    let first = tree.next_problem(None, Order::Name, true).expect("a problem");
    let mut seen = vec![first];
    loop {
        let next = tree.next_problem(seen.last().copied(), Order::Name, true).expect("a problem");
        if next == first {
            break;
        }
        seen.push(next);
        assert!(seen.len() < 100, "it never comes round");
    }
    assert!(seen.len() > 1);
    assert_eq!(tree.next_problem(Some(first), Order::Name, false), seen.last().copied());
}

#[test]
fn open_folders_and_the_selection_outlive_a_new_tree() {
    let mut old = grown(1, &["a/x", "b/y", "b/z"]);
    let selected = old.find(&sample::path("b/z")).expect("it is there");
    old.reveal(selected);
    let mut new = grown(1, &["0/first", "a/x", "b/y", "b/z"]);
    let now = new.adopt(&old, Some(selected)).expect("it still is there");
    assert_eq!(new.path(now), "secret/b/z");
    assert_eq!(labels(&new, ""), ["secret/", "secret/0/", "secret/a/", "secret/b/", "secret/b/y", "secret/b/z"]);
    let mut smaller = grown(1, &["b/y"]);
    let now = smaller.adopt(&old, Some(selected)).expect("its folder is there");
    assert_eq!(smaller.path(now), "secret/b/");
}
