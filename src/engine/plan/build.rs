//! Comparing what the origin holds with what is recorded at a destination.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::lacking::Copy;
use super::{DestinationPlan, Expected, Objection, Operation, Source, Task};
use crate::engine::binding::Former;
use crate::engine::guard;
use crate::engine::inventory::Inventory;
use crate::engine::transform::IDENTITY;
use crate::engine::{Destination, OnDelete, Origin, Transforms};
use crate::kv::{Mount, SecretPath};
use crate::state::Ledger;
use crate::sync_info::{Index, SyncInfo};

/// How many origins of a collision are named.
const NAMED: usize = 3;

/// What is remembered of a destination.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Remembered {
    pub(in crate::engine) info: SyncInfo,
    pub(in crate::engine) index: Option<Index>,
    /// The transforms it was recorded with, if they were others than now.
    pub(in crate::engine) former: Option<Former>,
    /// What vsync did there, all of it, if more than values are copied.
    pub(in crate::engine) ledger: Option<Ledger>,
}

/// Plans for one destination. `loops_back`: it is the same Vault as the origin.
pub(in crate::engine) fn build(
    origin: &Origin,
    inventory: &Inventory,
    destination: &Destination,
    remembered: Remembered,
    loops_back: bool,
) -> DestinationPlan {
    let Remembered { info: mut recorded, index: stored, former, ledger } = remembered;
    let moved = former.map_or(0, |former| forget_moved(&mut recorded, &former, &destination.transforms));
    let mut builder = Builder {
        origin,
        inventory,
        destination,
        loops_back,
        ledger,
        router: Router::new(destination),
        claims: (!destination.transforms.is_empty()).then(Claims::default),
        not_configured: None,
        feedback: None,
        plan: DestinationPlan {
            fidelity: destination.fidelity,
            moved,
            stored,
            ..DestinationPlan::empty(destination.name.clone())
        },
    };
    builder.present(&recorded);
    builder.absent(&recorded);
    builder.finish(recorded)
}

/// Takes secrets out of the record that the former transforms sent elsewhere than the present ones do. They are not where
/// they now belong, and nothing may be deleted at paths that were never written.
fn forget_moved(recorded: &mut SyncInfo, former: &Former, present: &Transforms) -> u64 {
    let moved: Vec<SecretPath> =
        recorded.iter().map(|(path, _)| path).filter(|path| !former.sent_where(path, present)).cloned().collect();
    for path in &moved {
        recorded.remove(path);
    }
    moved.len() as u64
}

struct Builder<'a> {
    origin: &'a Origin,
    inventory: &'a Inventory,
    destination: &'a Destination,
    loops_back: bool,
    ledger: Option<Ledger>,
    router: Router<'a>,
    /// Without transforms every secret has its own path, and there is nothing to keep track of.
    claims: Option<Claims>,
    not_configured: Option<Objection>,
    feedback: Option<Objection>,
    plan: DestinationPlan,
}

impl Builder<'_> {
    /// What the origin has.
    fn present(&mut self, recorded: &SyncInfo) {
        let secrets = &self.inventory.secrets;
        let aligned = secrets.buckets().len() == recorded.buckets().len();
        for (at, bucket) in secrets.buckets().iter().enumerate() {
            let equal = aligned && Arc::ptr_eq(bucket, &recorded.buckets()[at]);
            for (path, insight) in bucket.iter() {
                if !self.destination.filter.admits(path) {
                    self.plan.excluded.push(path.clone());
                    continue;
                }
                let Some((target, rule)) = self.claim(path) else {
                    self.plan.unroutable.push(path.clone());
                    continue;
                };
                let known = if aligned { recorded.buckets()[at].get(path) } else { recorded.get(path) };
                let operation = match (known, &self.ledger) {
                    (None, _) if !equal => Some((Operation::Add, Source::Origin)),
                    (Some(known), Some(ledger)) => {
                        let digest = self.inventory.digests.get(path);
                        let copy = Copy { path, target: &target, recorded: known, ledger };
                        copy.lacks(insight, digest, self.destination.fidelity).map(|source| (Operation::Update, source))
                    }
                    (Some(known), None) if !equal && insight.calls_for_copy(known) => {
                        Some((Operation::Update, Source::Origin))
                    }
                    _ => None,
                };
                match operation {
                    None => self.plan.in_sync += 1,
                    Some((operation, source)) => self.plan.tasks.push(Task {
                        operation,
                        origin: path.clone(),
                        destination: target,
                        insight: Some(*insight),
                        rule,
                        expected: Expected::Recorded,
                        source,
                    }),
                }
            }
        }
    }

    /// What is recorded, but the origin does not have, or did not tell.
    fn absent(&mut self, recorded: &SyncInfo) {
        let secrets = &self.inventory.secrets;
        let mut gone = Vec::new();
        for (at, bucket) in recorded.buckets().iter().enumerate() {
            let aligned = secrets.buckets().len() == recorded.buckets().len();
            if aligned && Arc::ptr_eq(bucket, &secrets.buckets()[at]) {
                continue;
            }
            for path in bucket.keys().filter(|path| secrets.get(path).is_none()) {
                if !self.takes_part(path) {
                    self.plan.excluded.push(path.clone());
                } else if !self.inventory.is_known(path) {
                    self.plan.unknown.push(path.clone());
                } else {
                    gone.push(path.clone());
                }
            }
        }
        self.withhold();
        let kept = self.kept_targets(recorded);
        for path in gone {
            // A path that cannot be routed any more was objected to, or its mount is no longer ours to delete in.
            let Ok((target, rule)) = self.router.route(&path) else {
                self.plan.excluded.push(path);
                continue;
            };
            let is_owned = |claims: &Claims| claims.owners.contains_key(&target) || kept.contains(&target);
            if self.claims.as_ref().is_some_and(is_owned) {
                self.plan.superseded.push((path, target));
                continue;
            }
            if self.destination.on_delete == OnDelete::Ignore {
                self.plan.deletes_ignored += 1;
                continue;
            }
            self.plan.tasks.push(Task {
                operation: Operation::Delete,
                origin: path,
                destination: target,
                insight: None,
                rule,
                expected: Expected::Recorded,
                source: Source::Origin,
            });
        }
    }

    /// Takes back what would be written over an unknown secret's copy: that one may still be there, and then the path is
    /// its own. It waits until the origin has told.
    fn withhold(&mut self) {
        let Some(claims) = &self.claims else { return };
        let owner = |path: &SecretPath| {
            let (target, _) = self.router.route(path).ok()?;
            claims.owners.get(&target)
        };
        let owners: HashSet<&SecretPath> = self.plan.unknown.iter().filter_map(owner).collect();
        if owners.is_empty() {
            return;
        }
        let withheld = self.plan.tasks.extract_if(.., |task| owners.contains(&task.origin));
        let withheld: Vec<SecretPath> = withheld.map(|task| task.origin).collect();
        self.plan.unknown.extend(withheld);
    }

    /// The paths of recorded secrets that are left as they are, so that nothing else may be deleted there.
    fn kept_targets(&self, recorded: &SyncInfo) -> HashSet<SecretPath> {
        if self.claims.is_none() {
            return HashSet::new();
        }
        let kept = self.plan.unknown.iter().chain(&self.plan.excluded).filter(|path| recorded.get(path).is_some());
        kept.filter_map(|path| self.router.route(path).ok()).map(|(target, _)| target).collect()
    }

    /// Whether the configuration still covers this recorded path.
    fn takes_part(&self, path: &SecretPath) -> bool {
        self.origin.mounts.iter().any(|mount| mount.as_str() == path.mount())
            && self.origin.filter.admits(path)
            && self.destination.filter.admits(path)
    }

    /// Where a secret goes, noting who goes there and what stands against it.
    fn claim(&mut self, path: &SecretPath) -> Option<(SecretPath, Arc<str>)> {
        let (target, rule) = match self.router.route(path) {
            Ok(route) => route,
            Err(Unroutable { data_path, rule }) => {
                let objection = self.not_configured.get_or_insert_with(|| Objection::MountNotConfigured {
                    origin: path.clone(),
                    destination: data_path,
                    rule: rule.to_string(),
                    count: 0,
                });
                if let Objection::MountNotConfigured { count, .. } = objection {
                    *count += 1;
                }
                return None;
            }
        };
        if let Some(claims) = &mut self.claims {
            claims.add(&target, path);
        }
        if self.loops_back && self.takes_part(&target) {
            let next = self.router.route(&target).map_or_else(|_| target.clone(), |(next, _)| next);
            let objection = self.feedback.get_or_insert_with(|| Objection::Feedback {
                origin: path.clone(),
                destination: target.clone(),
                next,
                count: 0,
            });
            if let Objection::Feedback { count, .. } = objection {
                *count += 1;
            }
        }
        Some((target, rule))
    }

    fn finish(mut self, recorded: SyncInfo) -> DestinationPlan {
        let plan = &mut self.plan;
        plan.tasks.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
        plan.excluded.sort_unstable();
        plan.unknown.sort_unstable();
        plan.unroutable.sort_unstable();
        let counts = plan.counts();
        plan.taking_part = plan.in_sync + counts.update + counts.delete + plan.deletes_ignored;
        plan.objections.extend(self.not_configured);
        plan.objections.extend(self.feedback);
        plan.objections.extend(self.claims.and_then(Claims::objection));
        plan.recorded = recorded;
        plan.objections.extend(guard::deletes(plan, self.inventory, self.destination.max_delete));
        self.plan
    }
}

/// From origin paths to paths in the destination's configured mounts.
struct Router<'a> {
    destination: &'a Destination,
    identity: Arc<str>,
}

struct Unroutable {
    data_path: String,
    rule: Arc<str>,
}

impl<'a> Router<'a> {
    fn new(destination: &'a Destination) -> Self {
        Self { destination, identity: IDENTITY.into() }
    }

    fn route(&self, path: &SecretPath) -> Result<(SecretPath, Arc<str>), Unroutable> {
        let mounts = &self.destination.mounts;
        let (data_path, rule) = match self.destination.transforms.apply_rules(path) {
            None if mounts.iter().any(|mount| mount.as_str() == path.mount()) => {
                return Ok((path.clone(), Arc::clone(&self.identity)));
            }
            None => (path.data_path().to_owned(), Arc::clone(&self.identity)),
            Some(mapping) => (mapping.data_path, mapping.rule),
        };
        match land(&data_path, mounts) {
            Some(target) => Ok((target, rule)),
            None => Err(Unroutable { data_path, rule }),
        }
    }
}

/// The secret that `<mount>data/<name>` is in one of these mounts, if it is in one.
pub(in crate::engine) fn land(data_path: &str, mounts: &[Mount]) -> Option<SecretPath> {
    let target = SecretPath::parse_data(data_path, mounts).ok()?;
    mounts.iter().any(|mount| mount.as_str() == target.mount()).then_some(target)
}

/// Which origin secret is written to which destination path.
#[derive(Default)]
struct Claims {
    owners: HashMap<SecretPath, SecretPath>,
    collisions: BTreeMap<SecretPath, Vec<SecretPath>>,
}

impl Claims {
    fn add(&mut self, target: &SecretPath, origin: &SecretPath) {
        if let Some(first) = self.owners.get(target) {
            let origins = self.collisions.entry(target.clone()).or_insert_with(|| vec![first.clone()]);
            origins.push(origin.clone());
        } else {
            self.owners.insert(target.clone(), origin.clone());
        }
    }

    fn objection(self) -> Option<Objection> {
        let collisions = self.collisions.len() as u64;
        let (destination, mut origins) = self.collisions.into_iter().next()?;
        origins.sort_unstable();
        origins.truncate(NAMED);
        Some(Objection::Collision { destination, origins, collisions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing;
    use crate::engine::{Destination, MaxDelete, Rule, Transforms, UnknownSubtree};
    use crate::kv::PathFilter;

    fn mount() -> Mount {
        Mount::parse("secret").expect("a mount")
    }

    fn info(entries: &[(&str, u64)]) -> SyncInfo {
        let mut info = SyncInfo::new(3);
        for (name, version) in entries {
            info.insert(SecretPath::new(&mount(), name), testing::insight(*version));
        }
        info
    }

    fn inventory(entries: &[(&str, u64)]) -> Inventory {
        Inventory { secrets: info(entries), ..Inventory::empty(3) }
    }

    fn destination(change: impl FnOnce(&mut Destination)) -> Destination {
        let mut destination = testing::destination("there", &mount());
        destination.max_delete = MaxDelete::Percent(100.0);
        change(&mut destination);
        destination
    }

    fn plan(
        inventory: &Inventory,
        destination: &Destination,
        recorded: &SyncInfo,
        loops_back: bool,
    ) -> DestinationPlan {
        let remembered = Remembered { info: recorded.clone(), index: None, former: None, ledger: None };
        build(&testing::origin(&mount()), inventory, destination, remembered, loops_back)
    }

    fn tasks(plan: &DestinationPlan) -> Vec<String> {
        plan.tasks.iter().map(|task| format!("{} {}", task.operation.state().symbol(), task.origin.name())).collect()
    }

    fn rule(from: &str, to: &str) -> Transforms {
        let rule = Rule { name: "move".to_owned(), from: from.to_owned(), to: to.to_owned() };
        Transforms::new(&[rule]).expect("a valid rule")
    }

    #[test]
    fn add_update_delete_as_v03_decides() {
        let origin = inventory(&[("new", 1), ("newer", 3), ("same", 2), ("older", 1)]);
        let recorded = info(&[("newer", 2), ("same", 2), ("older", 2), ("gone", 1)]);
        let plan = plan(&origin, &destination(|_| {}), &recorded, false);
        assert_eq!(tasks(&plan), ["- gone", "+ new", "* newer"]);
        assert_eq!(plan.in_sync, 2);
        assert_eq!(plan.objections, []);
    }

    #[test]
    fn what_is_unknown_is_never_deleted() {
        let mut origin = inventory(&[("kept/a", 1)]);
        origin.unknown.push(UnknownSubtree { prefix: "secret/team/".to_owned(), reason: "denied".to_owned() });
        let recorded = info(&[("kept/a", 1), ("kept/gone", 1), ("team/x", 1), ("team/deep/y", 1)]);
        let plan = plan(&origin, &destination(|_| {}), &recorded, false);
        assert_eq!(tasks(&plan), ["- kept/gone"]);
        let unknown: Vec<&str> = plan.unknown.iter().map(SecretPath::name).collect();
        assert_eq!(unknown, ["team/deep/y", "team/x"]);
    }

    #[test]
    fn an_unknown_secrets_copy_is_not_written_over() {
        let there =
            destination(|there| there.transforms = rule("^secret/data/[ab]/(?P<rest>.*)$", "secret/data/${rest}"));
        let mut origin = inventory(&[("b/x", 1), ("b/y", 1)]);
        origin.unknown.push(UnknownSubtree { prefix: "secret/a/".to_owned(), reason: "denied".to_owned() });
        let plan = plan(&origin, &there, &info(&[("a/x", 1)]), false);
        assert_eq!(tasks(&plan), ["+ b/y"]);
        let unknown: Vec<&str> = plan.unknown.iter().map(SecretPath::name).collect();
        assert_eq!(unknown, ["a/x", "b/x"]);
    }

    #[test]
    fn excluded_secrets_are_left_alone() {
        let origin = inventory(&[("a", 2), ("tmp/new", 1), ("tmp/newer", 2)]);
        let recorded = info(&[("a", 1), ("tmp/newer", 1), ("tmp/gone", 1)]);
        let there = destination(|there| {
            there.filter = PathFilter::new(&[], &["secret/tmp/**".to_owned()], &[mount()]).expect("a glob");
        });
        let plan = plan(&origin, &there, &recorded, false);
        assert_eq!(tasks(&plan), ["* a"]);
        assert_eq!(plan.excluded.len(), 3);
    }

    #[test]
    fn a_mount_that_is_no_longer_configured_is_left_alone() {
        let mut recorded = info(&[("a", 1)]);
        recorded.insert(SecretPath::new(&Mount::parse("old").expect("a mount"), "x"), testing::insight(1));
        let plan = plan(&inventory(&[("a", 1)]), &destination(|_| {}), &recorded, false);
        assert_eq!(tasks(&plan), [""; 0]);
        assert_eq!(plan.excluded.len(), 1);
    }

    #[test]
    fn deletes_can_be_ignored() {
        let plan =
            plan(&inventory(&[]), &destination(|there| there.on_delete = OnDelete::Ignore), &info(&[("a", 1)]), false);
        assert_eq!((tasks(&plan), plan.deletes_ignored), (Vec::new(), 1));
    }

    #[test]
    fn too_many_deletes_and_an_empty_origin_are_objected_to() {
        let recorded = info(&[("a", 1), ("b", 1), ("c", 1)]);
        let there = destination(|there| there.max_delete = MaxDelete::Count(1));
        let few = plan(&inventory(&[("a", 1)]), &there, &recorded, false);
        assert!(matches!(few.objections[..], [Objection::MassDelete { deletes: 2, recorded: 3, .. }]));
        let none = plan(&inventory(&[]), &there, &recorded, false);
        assert!(matches!(none.objections[..], [Objection::EmptyOrigin { recorded: 3, .. }]));
    }

    #[test]
    fn an_ignored_delete_claims_no_path() {
        let there = destination(|there| {
            there.on_delete = OnDelete::Ignore;
            there.transforms = rule("^secret/data/[ab]/(?P<rest>.*)$", "secret/data/${rest}");
        });
        let plan = plan(&inventory(&[("b/x", 1)]), &there, &info(&[("a/x", 1), ("a/y", 1)]), false);
        assert_eq!((tasks(&plan), plan.objections.len()), (vec!["+ b/x".to_owned()], 0));
        assert_eq!((plan.superseded.len(), plan.deletes_ignored), (1, 1));
    }

    #[test]
    fn two_secrets_for_one_path_collide() {
        let origin = inventory(&[("a/x", 1), ("b/x", 1), ("c", 1)]);
        let there =
            destination(|there| there.transforms = rule("^secret/data/[ab]/(?P<rest>.*)$", "secret/data/${rest}"));
        let plan = plan(&origin, &there, &info(&[]), false);
        let [Objection::Collision { destination, origins, collisions: 1 }] = &plan.objections[..] else {
            panic!("{:?}", plan.objections);
        };
        assert_eq!(destination.to_string(), "secret/x");
        assert_eq!(origins.len(), 2);
    }

    #[test]
    fn a_moved_secret_is_not_deleted_where_it_now_belongs() {
        let there =
            destination(|there| there.transforms = rule("^secret/data/[ab]/(?P<rest>.*)$", "secret/data/${rest}"));
        let plan = plan(&inventory(&[("b/x", 1)]), &there, &info(&[("a/x", 4)]), false);
        assert_eq!(tasks(&plan), ["+ b/x"]);
        assert_eq!(plan.superseded.len(), 1);
    }

    #[test]
    fn a_path_outside_of_the_mounts_is_objected_to() {
        let there = destination(|there| there.transforms = rule("^secret/data/(?P<rest>a.*)$", "other/data/${rest}"));
        let plan = plan(&inventory(&[("a1", 1), ("a2", 1), ("b", 1)]), &there, &info(&[]), false);
        let [Objection::MountNotConfigured { destination, rule, count: 2, .. }] = &plan.objections[..] else {
            panic!("{:?}", plan.objections);
        };
        assert!(destination.starts_with("other/data/a"), "{destination}");
        assert_eq!((plan.unroutable.len(), plan.in_sync), (2, 0));
        assert_eq!(rule, "move");
    }

    #[test]
    fn a_loop_that_feeds_itself_is_objected_to() {
        let copy =
            |there: &mut Destination| there.transforms = rule("^secret/data/(?P<rest>.*)$", "secret/data/copy/${rest}");
        let feeding = plan(&inventory(&[("a", 1)]), &destination(copy), &info(&[]), true);
        assert!(matches!(feeding.objections[..], [Objection::Feedback { count: 1, .. }]), "{:?}", feeding.objections);
        assert!(feeding.objections[0].to_string().contains("secret/copy/copy/a"), "{}", feeding.objections[0]);

        let elsewhere = plan(&inventory(&[("a", 1)]), &destination(copy), &info(&[]), false);
        assert_eq!(elsewhere.objections, [], "another Vault is no loop");

        let onto_itself = plan(&inventory(&[("a", 1)]), &destination(|_| {}), &info(&[]), true);
        assert!(onto_itself.objections[0].to_string().contains("onto itself"), "{}", onto_itself.objections[0]);
    }

    #[test]
    fn a_changed_transform_adds_anew_and_deletes_nothing_it_did_not_write() {
        let there =
            destination(|there| there.transforms = rule("^secret/data/(?P<rest>a.*)$", "secret/data/new/${rest}"));
        let remembered = Remembered {
            info: info(&[("a1", 1), ("a-gone", 1), ("b", 1), ("b-gone", 1)]),
            index: None,
            former: Some(Former::Rules(Transforms::default())),
            ledger: None,
        };
        let origin = inventory(&[("a1", 1), ("b", 1)]);
        let plan = build(&testing::origin(&mount()), &origin, &there, remembered, false);
        assert_eq!(tasks(&plan), ["+ a1", "- b-gone"]);
        assert_eq!((plan.moved, plan.in_sync), (2, 1));
    }

    #[test]
    fn equal_buckets_are_shared_and_different_bucket_counts_do_not_matter() {
        let origin = inventory(&[("a", 1), ("b", 2), ("c", 3)]);
        let shared = plan(&origin, &destination(|_| {}), &origin.secrets.clone(), false);
        assert_eq!((shared.in_sync, tasks(&shared).len()), (3, 0));
        let spread = plan(&origin, &destination(|_| {}), &origin.secrets.with_buckets(7), false);
        assert_eq!((spread.in_sync, tasks(&spread).len()), (3, 0));
    }
}
