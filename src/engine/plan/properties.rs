//! That a plan does what it should and nothing else, whatever the origin holds, hides, and is recorded to have held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::build::{Remembered, build};
use super::{DestinationPlan, Objection, Operation};
use crate::engine::inventory::{Inventory, UnknownSubtree};
use crate::engine::{Destination, MaxDelete, OnDelete, Origin, Rule, Transforms, testing};
use crate::kv::{Mount, PathFilter, SecretPath};
use crate::sync_info::SyncInfo;

/// Clients are costly to make, and none of them is ever asked.
static SIDES: LazyLock<(Origin, Destination)> = LazyLock::new(|| {
    let mount = Mount::parse("secret").expect("a mount");
    (testing::origin(&mount), testing::destination("there", &mount))
});

const MOUNTS: [&str; 2] = ["secret/", "more/"];

type Glob = (&'static str, fn(&str) -> bool);

/// Globs, and what they mean.
const GLOBS: [Glob; 6] = [
    ("secret/a/**", |path| path.starts_with("secret/a/")),
    ("secret/b/*", |path| path.strip_prefix("secret/b/").is_some_and(|name| !name.contains('/'))),
    ("**/z", |path| path.ends_with("/z")),
    ("more/", |path| path.starts_with("more/")),
    ("secret/c", |path| path == "secret/c"),
    ("*/a/?", |path| matches!(path.split('/').collect::<Vec<_>>()[..], [_, "a", name] if name.len() == 1)),
];

/// What can fail to be listed or read.
const SUBTREES: [&str; 8] =
    ["secret/", "secret/a/", "secret/a/x/", "secret/b/", "secret/a", "more/", "more/b/", "secret/b/y"];

/// One secret, as it really is.
#[derive(Debug, Clone, Copy)]
struct Truth {
    /// Its version at the origin, if it is there.
    origin: Option<u64>,
    /// The version recorded at the destination, if there is one.
    recorded: Option<u64>,
    /// Whether it was read, where what surrounds it was not.
    seen: bool,
}

#[derive(Debug, Clone)]
struct Scenario {
    /// By the path that people use.
    secrets: BTreeMap<String, Truth>,
    unknown: Vec<&'static str>,
    excluded_at_origin: Vec<usize>,
    included: Vec<usize>,
    excluded: Vec<usize>,
    rules: Rules,
    ignore_deletes: bool,
    max_delete: Limit,
    buckets: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rules {
    None,
    /// Each secret has a path of its own, some another one than at the origin.
    Apart,
    /// `a/…` and `b/…` go to the same paths.
    Together,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Count(u64),
    Percent(u64),
}

fn scenario(rules: &[Rules]) -> impl Strategy<Value = Scenario> + use<> {
    let path = "(secret|secret|secret|more|old)/[abc](/[xyz]){0,2}";
    let version = || prop_oneof![1 => Just(None), 3 => (1..4_u64).prop_map(Some)];
    let truth =
        (version(), version(), any::<bool>()).prop_map(|(origin, recorded, seen)| Truth { origin, recorded, seen });
    let globs = |most: usize| prop_oneof![2 => Just(Vec::new()), 1 => subsequence((0..GLOBS.len()).collect::<Vec<_>>(), 0..=most)];
    let limit = prop_oneof![
        2 => Just(Limit::Percent(100)),
        1 => (0..100_u64).prop_map(Limit::Percent),
        1 => (0..12_u64).prop_map(Limit::Count),
    ];
    (
        btree_map(path, truth, 0..30),
        prop_oneof![1 => Just(Vec::new()), 2 => subsequence(SUBTREES.to_vec(), 0..4)],
        (globs(2), globs(4), globs(2)),
        select(rules.to_vec()),
        prop::bool::weighted(0.2),
        limit,
        (1..6_usize, 1..6_usize),
    )
        .prop_map(
            |(
                secrets,
                unknown,
                (excluded_at_origin, included, excluded),
                rules,
                ignore_deletes,
                max_delete,
                buckets,
            )| {
                Scenario {
                    secrets,
                    unknown,
                    excluded_at_origin,
                    included,
                    excluded,
                    rules,
                    ignore_deletes,
                    max_delete,
                    buckets,
                }
            },
        )
}

fn secret(path: &str) -> SecretPath {
    let mounts = ["secret", "more", "old"].map(|mount| Mount::parse(mount).expect("a mount"));
    SecretPath::parse(path, &mounts).expect("a path")
}

fn matches(globs: &[usize], path: &str) -> bool {
    globs.iter().any(|glob| GLOBS[*glob].1(path))
}

fn filter(included: &[usize], excluded: &[usize]) -> PathFilter {
    let texts = |globs: &[usize]| globs.iter().map(|glob| GLOBS[*glob].0.to_owned()).collect::<Vec<_>>();
    PathFilter::new(&texts(included), &texts(excluded), &[]).expect("globs")
}

impl Scenario {
    fn origin(&self) -> Origin {
        let mounts = MOUNTS.iter().map(|mount| Mount::parse(mount).expect("a mount")).collect();
        Origin { mounts, filter: filter(&[], &self.excluded_at_origin), ..SIDES.0.clone() }
    }

    fn destination(&self) -> Destination {
        let rule = |from: &str, to: &str| Rule { name: from.to_owned(), from: from.to_owned(), to: to.to_owned() };
        let rules = match self.rules {
            Rules::None => vec![],
            Rules::Apart => vec![
                rule("^secret/data/a/(?P<rest>.*)$", "secret/data/moved/${rest}"),
                rule("^more/data/(?P<name>[abc]/x)$", "secret/data/from-more/${name}"),
            ],
            Rules::Together => vec![rule("^secret/data/[ab]/(?P<rest>.*)$", "secret/data/one/${rest}")],
        };
        Destination {
            mounts: self.origin().mounts,
            filter: filter(&self.included, &self.excluded),
            transforms: Transforms::new(&rules).expect("valid rules"),
            on_delete: if self.ignore_deletes { OnDelete::Ignore } else { OnDelete::Soft },
            max_delete: match self.max_delete {
                Limit::Count(count) => MaxDelete::Count(count),
                #[expect(clippy::cast_precision_loss, reason = "at most 100")]
                Limit::Percent(percent) => MaxDelete::Percent(percent as f64),
            },
            ..SIDES.1.clone()
        }
    }

    /// Where a secret goes.
    fn target(&self, path: &str) -> String {
        let moved = match self.rules {
            Rules::None => None,
            Rules::Apart => match path.strip_prefix("secret/a/") {
                Some(rest) => Some(format!("secret/moved/{rest}")),
                None => path
                    .strip_prefix("more/")
                    .filter(|name| ["a/x", "b/x", "c/x"].contains(name))
                    .map(|name| format!("secret/from-more/{name}")),
            },
            Rules::Together => path
                .strip_prefix("secret/a/")
                .or_else(|| path.strip_prefix("secret/b/"))
                .map(|rest| format!("secret/one/{rest}")),
        };
        moved.unwrap_or_else(|| path.to_owned())
    }

    fn is_configured(path: &str) -> bool {
        MOUNTS.iter().any(|mount| path.starts_with(mount))
    }

    fn admitted_at_origin(&self, path: &str) -> bool {
        Self::is_configured(path) && !matches(&self.excluded_at_origin, path)
    }

    fn takes_part(&self, path: &str) -> bool {
        self.admitted_at_origin(path)
            && (self.included.is_empty() || matches(&self.included, path))
            && !matches(&self.excluded, path)
    }

    fn is_unknown(&self, path: &str) -> bool {
        self.unknown
            .iter()
            .any(|subtree| if subtree.ends_with('/') { path.starts_with(subtree) } else { path == *subtree })
    }

    /// The version that the inventory shows.
    fn shown(&self, path: &str) -> Option<u64> {
        let truth = self.secrets[path];
        truth.origin.filter(|_| self.admitted_at_origin(path) && (truth.seen || !self.is_unknown(path)))
    }

    fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::empty(self.buckets.0);
        for path in self.secrets.keys() {
            if let Some(version) = self.shown(path) {
                inventory.secrets.insert(secret(path), testing::insight(version));
            } else if Self::is_configured(path) && !self.admitted_at_origin(path) {
                inventory.excluded.push(secret(path));
            }
        }
        let unknown = |prefix: &&str| UnknownSubtree { prefix: (*prefix).to_owned(), reason: "denied".to_owned() };
        inventory.unknown = self.unknown.iter().map(unknown).collect();
        inventory
    }

    fn recorded(&self) -> SyncInfo {
        let mut info = SyncInfo::new(self.buckets.1);
        for (path, truth) in &self.secrets {
            if let Some(version) = truth.recorded {
                info.insert(secret(path), testing::insight(version));
            }
        }
        info
    }

    fn plan(&self, recorded: SyncInfo) -> DestinationPlan {
        let remembered = Remembered { info: recorded, index: None, former: None, ledger: None };
        build(&self.origin(), &self.inventory(), &self.destination(), remembered, false)
    }

    /// What has to be done for one secret, where no two share a path.
    fn operation(&self, path: &str) -> Option<Operation> {
        if !self.takes_part(path) {
            return None;
        }
        match (self.shown(path), self.secrets[path].recorded) {
            (Some(_), None) => Some(Operation::Add),
            (Some(now), Some(then)) => (now > then).then_some(Operation::Update),
            (None, Some(_)) => (!self.is_unknown(path) && !self.ignore_deletes).then_some(Operation::Delete),
            (None, None) => None,
        }
    }

    /// Recorded secrets that a full cycle could delete, where no two share a path.
    fn taking_part(&self) -> u64 {
        let counts = |path: &&String| self.takes_part(path) && (self.shown(path).is_some() || !self.is_unknown(path));
        self.secrets.iter().filter(|(_, truth)| truth.recorded.is_some()).map(|(path, _)| path).filter(counts).count()
            as u64
    }

    /// Paths that more than one of the secrets that are there claims.
    fn collisions(&self) -> BTreeSet<String> {
        let mut owners: BTreeMap<String, u32> = BTreeMap::new();
        for path in self.secrets.keys().filter(|path| self.takes_part(path) && self.shown(path).is_some()) {
            *owners.entry(self.target(path)).or_default() += 1;
        }
        owners.into_iter().filter(|(_, owners)| *owners > 1).map(|(path, _)| path).collect()
    }
}

/// What a destination holds: path → the origin's secret that was written there, and its version.
type Held = BTreeMap<String, (String, u64)>;

/// Executes a plan on what is recorded and on what the destination holds.
fn execute(plan: &DestinationPlan, recorded: &mut SyncInfo, held: &mut Held) {
    for task in &plan.tasks {
        match (task.operation, task.insight) {
            (Operation::Delete | Operation::Destroy | Operation::Purge, _) => {
                recorded.remove(&task.origin);
                held.remove(&task.destination.to_string());
            }
            (_, Some(insight)) => {
                recorded.insert(task.origin.clone(), insight);
                held.insert(task.destination.to_string(), (task.origin.to_string(), insight.version));
            }
            (_, None) => panic!("{task:?} has nothing to write"),
        }
    }
    for (path, _) in &plan.superseded {
        recorded.remove(path);
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_holds_what_is_needed_and_nothing_else(scenario in scenario(&[Rules::None, Rules::Apart])) {
        let plan = scenario.plan(scenario.recorded());
        let expected: Vec<_> = scenario
            .secrets
            .keys()
            .filter_map(|path| {
                let insight = scenario.shown(path).map(testing::insight);
                Some((path.clone(), scenario.operation(path)?, scenario.target(path), insight))
            })
            .collect();
        let mut planned: Vec<_> = plan
            .tasks
            .iter()
            .map(|task| (task.origin.to_string(), task.operation, task.destination.to_string(), task.insight))
            .collect();
        prop_assert!(plan.tasks.is_sorted_by_key(|task| task.origin.clone()));
        planned.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        prop_assert_eq!(planned, expected);
        prop_assert_eq!(&plan.superseded, &[], "each has a path of its own");
    }

    #[test]
    fn nothing_is_deleted_that_is_there_unknown_or_left_out(
        scenario in scenario(&[Rules::None, Rules::Apart, Rules::Together]),
    ) {
        let plan = scenario.plan(scenario.recorded());
        let written: BTreeSet<String> = scenario
            .secrets
            .keys()
            .filter(|path| scenario.takes_part(path) && scenario.shown(path).is_some())
            .map(|path| scenario.target(path))
            .collect();
        for task in plan.tasks.iter().filter(|task| task.operation == Operation::Delete) {
            let path = task.origin.to_string();
            let truth = scenario.secrets[&path];
            prop_assert!(!scenario.is_unknown(&path), "{} is unknown", path);
            prop_assert!(scenario.takes_part(&path), "{} does not take part", path);
            prop_assert!(truth.recorded.is_some(), "{} was never written", path);
            prop_assert!(truth.origin.is_none(), "{} is there", path);
            prop_assert!(!scenario.ignore_deletes);
            prop_assert!(!written.contains(&task.destination.to_string()), "{} is somebody's", task.destination);
        }
    }

    #[test]
    fn executing_a_plan_makes_the_sides_equal(scenario in scenario(&[Rules::None, Rules::Apart])) {
        let mut recorded = scenario.recorded();
        let mut held = Held::new();
        for (path, truth) in &scenario.secrets {
            if let Some(version) = truth.recorded {
                held.insert(scenario.target(path), (path.clone(), version));
            }
        }
        let before = held.clone();
        let plan = scenario.plan(recorded.clone());
        execute(&plan, &mut recorded, &mut held);

        let again = scenario.plan(recorded.clone());
        prop_assert_eq!(again.tasks.as_slice(), &[], "there is nothing left to do");
        let mut touchable = BTreeSet::new();
        for (path, truth) in &scenario.secrets {
            let target = scenario.target(path);
            if let Some(version) = scenario.shown(path).filter(|_| scenario.takes_part(path)) {
                // an older version at the origin is no reason to write
                let version = version.max(truth.recorded.unwrap_or(0));
                prop_assert_eq!(held.get(&target), Some(&(path.clone(), version)));
                touchable.insert(target);
            } else if scenario.takes_part(path) && !scenario.is_unknown(path) && !scenario.ignore_deletes {
                touchable.insert(target);
            }
        }
        for (target, content) in before.iter().filter(|(target, _)| !touchable.contains(*target)) {
            prop_assert_eq!(held.get(target), Some(content), "{} is none of this cycle's business", target);
        }
        if !scenario.ignore_deletes {
            for path in recorded.iter().map(|(path, _)| path.to_string()) {
                let gone = scenario.takes_part(&path) && !scenario.is_unknown(&path) && scenario.shown(&path).is_none();
                prop_assert!(!gone, "{} is still recorded", path);
            }
        }
    }

    /// The rules and filters stay, the origin goes on changing, and parts of it cannot be read now and then.
    #[test]
    fn cycle_after_cycle_the_destination_follows(
        first in scenario(&[Rules::None, Rules::Apart, Rules::Together]),
        later in vec(scenario(&[Rules::None]), 1..5),
    ) {
        let mut recorded = SyncInfo::new(first.buckets.1);
        let mut held = Held::new();
        let mut now = Scenario { max_delete: Limit::Percent(100), secrets: BTreeMap::new(), ..first.clone() };
        for (round, next) in std::iter::once(&first).chain(&later).enumerate() {
            now.unknown.clone_from(&next.unknown);
            now.secrets.values_mut().for_each(|truth| truth.origin = None);
            for (path, truth) in &next.secrets {
                // versions never go back
                let origin = truth.origin.map(|version| version + 4 * round as u64);
                now.secrets.insert(path.clone(), Truth { origin, ..*truth });
            }
            let before = held.clone();
            let plan = now.plan(recorded.clone());
            prop_assert_eq!(plan.objections.is_empty(), now.collisions().is_empty());
            if !plan.objections.is_empty() {
                continue;
            }
            execute(&plan, &mut recorded, &mut held);
            for path in now.secrets.keys().filter(|path| now.takes_part(path)) {
                let target = now.target(path);
                let owner = before.get(&target).map(|(owner, _)| owner);
                let taken = owner.is_some_and(|owner| now.is_unknown(owner) && now.shown(owner).is_none());
                match now.shown(path) {
                    _ if taken => prop_assert_eq!(held.get(&target), before.get(&target), "its owner may be there"),
                    Some(version) => prop_assert_eq!(held.get(&target), Some(&(path.clone(), version))),
                    None if now.is_unknown(path) || now.ignore_deletes => {}
                    None => prop_assert!(held.get(&target).is_none_or(|(owner, _)| owner != path), "{} stayed", path),
                }
            }
        }
    }

    #[test]
    fn two_secrets_for_one_path_are_always_objected_to(
        scenario in scenario(&[Rules::None, Rules::Apart, Rules::Together]),
    ) {
        let expected = scenario.collisions();
        let plan = scenario.plan(scenario.recorded());
        let found = plan.objections.iter().find_map(|objection| match objection {
            Objection::Collision { destination, collisions, .. } => Some((destination.to_string(), *collisions)),
            _ => None,
        });
        prop_assert_eq!(found, expected.first().map(|path| (path.clone(), expected.len() as u64)));
    }

    #[test]
    fn guards_let_no_more_deletes_pass_than_they_are_told(scenario in scenario(&[Rules::None, Rules::Apart])) {
        let plan = scenario.plan(scenario.recorded());
        let deleted: Vec<String> = plan
            .tasks
            .iter()
            .filter(|task| task.operation == Operation::Delete)
            .map(|task| task.origin.to_string())
            .collect();
        let objected = |about: fn(&Objection) -> bool| plan.objections.iter().any(about);
        if matches!(scenario.max_delete, Limit::Percent(100)) || deleted.is_empty() {
            prop_assert!(!objected(Objection::is_about_deletes), "{:?}", plan.objections);
            return Ok(());
        }
        let emptied = MOUNTS.iter().any(|mount| {
            deleted.iter().any(|path| path.starts_with(mount))
                && !scenario.secrets.keys().any(|path| path.starts_with(mount) && scenario.shown(path).is_some())
        });
        prop_assert_eq!(objected(|objection| matches!(objection, Objection::EmptyOrigin { .. })), emptied);
        let deletes = deleted.len() as u64;
        let too_many = match scenario.max_delete {
            Limit::Count(count) => deletes > count,
            // rounded up: one more than the share is too much only from the next whole secret on
            Limit::Percent(percent) => deletes * 100 >= scenario.taking_part() * percent + 100,
        };
        let refused = objected(Objection::is_about_deletes);
        prop_assert_eq!(refused, too_many || emptied, "{} deletes: {:?}", deletes, plan.objections);
    }
}
