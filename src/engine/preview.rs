//! What rules would do to what the origin holds, while they are still being edited.
//!
//! Nothing is asked of a server and nothing is planned: an inventory is walked once, and what is known so far is told on
//! the way, so that whoever types sees the first numbers at once, however many secrets there are.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::binding::Place;
use super::plan::land;
use super::transform::{Explained, Rule, Transforms};
use super::{Destination, DestinationName, Engine, Inventory, Origin};
use crate::kv::SecretPath;

/// How many examples of one kind are kept.
const EXAMPLES: usize = 10;

/// How many origins of a collision are named.
const NAMED: usize = 3;

/// So many secrets are looked at between two looks at the clock.
const CHUNK: usize = 256;

/// The first numbers come after this long, the next ones after the other.
const FIRST: Duration = Duration::from_millis(30);
const NEXT: Duration = Duration::from_millis(120);

/// What is to be previewed.
#[derive(Debug, Clone)]
pub struct PreviewAsk {
    /// The destination whose rules they are.
    pub destination: DestinationName,
    /// What the origin holds.
    pub inventory: Arc<Inventory>,
    /// The rules in order. One that cannot work is passed over.
    pub rules: Vec<Rule>,
    /// The destination is the same Vault as the origin, see [`Engine::loops_back`].
    pub loops_back: bool,
}

/// What the rules would do, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Secrets looked at so far.
    pub examined: u64,
    /// Secrets there are.
    pub total: u64,
    /// Secrets that the globs keep away from this destination.
    pub excluded: u64,
    /// What each rule does, in their order.
    pub rules: Vec<RuleEffect>,
    /// Secrets that no rule matches, so that they keep their path.
    pub unmatched: u64,
    /// Some of them.
    pub staying: Vec<SecretPath>,
    /// Destination paths that more than one secret would go to.
    pub collisions: u64,
    /// Some of them.
    pub colliding: Vec<Collision>,
    /// Secrets whose destination path is in none of the destination's mounts.
    pub unroutable: u64,
    /// Some of them.
    pub astray: Vec<Example>,
    /// Secrets whose copy the next cycle would read from the origin again.
    pub feedback: u64,
    /// Some of them.
    pub feeding: Vec<Example>,
    /// Secrets that go elsewhere than by the rules in force.
    pub moved: u64,
    /// Some of them.
    pub moves: Vec<Moved>,
}

impl Preview {
    /// Whether every secret was looked at.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.examined == self.total
    }

    /// Secrets that a rule decides about.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.rules.iter().map(|rule| rule.decides).sum()
    }
}

/// What one rule does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleEffect {
    /// Secrets it sends somewhere.
    pub decides: u64,
    /// Some of them.
    pub examples: Vec<Example>,
    /// Secrets it matches, too, but an earlier rule decides about.
    pub shadowed: u64,
    /// Some of them; the example's rule is the earlier one.
    pub in_shadow: Vec<Example>,
}

/// Secrets that would be written to one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// The path (`<mount>data/<name>`).
    pub destination: String,
    /// Some of the secrets.
    pub origins: Vec<SecretPath>,
    /// How many there are.
    pub count: u64,
}

/// A secret before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The secret.
    pub origin: SecretPath,
    /// How its path becomes another; `None`: no rule matches, and it stays.
    pub explained: Option<Explained>,
    /// The rule that decides.
    pub rule: Option<usize>,
}

/// A secret that changes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The secret.
    pub origin: SecretPath,
    /// Where the rules in force send it (`<mount>data/<name>`).
    pub before: String,
    /// Where the edited ones do.
    pub after: String,
}

impl Engine {
    /// Looks at what rules would do to an inventory. Tells what is known so far now and then, and all of it at the end;
    /// stops early, without the end, when it is no longer wanted. Keeps its thread busy for as long as it takes.
    pub fn preview(&self, ask: &PreviewAsk, is_wanted: impl Fn() -> bool, mut tell: impl FnMut(&Preview)) {
        let Some(destination) = self.destination(&ask.destination) else { return };
        let mut walk = Walk::new(self.origin(), destination, ask);
        let started = Instant::now();
        let mut due = FIRST;
        let paths = ask.inventory.secrets.iter().map(|(path, _)| path);
        for (at, path) in paths.enumerate() {
            if at % CHUNK == 0 {
                if !is_wanted() {
                    return;
                }
                if started.elapsed() >= due {
                    tell(walk.so_far());
                    due = started.elapsed() + NEXT;
                }
            }
            walk.look_at(path);
        }
        if is_wanted() {
            tell(walk.so_far());
        }
    }

    /// Whether a destination is the same Vault as the origin, so that copies could be read as secrets again. One that
    /// does not answer is told by its address.
    pub async fn loops_back(&self, name: &DestinationName) -> bool {
        let Some(destination) = self.destination(name) else { return false };
        let (origin, place) = tokio::join!(Place::of(&self.origin().vault), Place::of(&destination.vault));
        origin.is(&place)
    }
}

struct Walk<'a> {
    ask: &'a PreviewAsk,
    origin: &'a Origin,
    destination: &'a Destination,
    /// Those of the rules that work, with their places among all.
    draft: Transforms,
    places: Vec<usize>,
    /// So many of the first rules are in force already, so that what they decide does not move.
    settled: usize,
    unchanged: bool,
    hasher: RandomState,
    /// Whom a path belongs to, by its hash: a million paths as text would fill the memory.
    owners: HashMap<u64, Owner>,
    /// Which of the collisions are named.
    named: Vec<u64>,
    seen: Vec<&'a SecretPath>,
    preview: Preview,
}

struct Owner {
    /// Its place in what was seen.
    first: u32,
    count: u32,
}

impl<'a> Walk<'a> {
    fn new(origin: &'a Origin, destination: &'a Destination, ask: &'a PreviewAsk) -> Self {
        let works = |rule: &Rule| Transforms::new(std::slice::from_ref(rule)).is_ok();
        let (places, rules): (Vec<usize>, Vec<Rule>) =
            ask.rules.iter().enumerate().filter(|(_, rule)| works(rule)).map(|(at, rule)| (at, rule.clone())).unzip();
        let in_force = destination.transforms.rules();
        let same = |(a, b): &(&Rule, &Rule)| a.from == b.from && a.to == b.to;
        let settled = rules.iter().zip(&in_force).take_while(same).count();
        Self {
            ask,
            origin,
            destination,
            unchanged: settled == rules.len() && settled == in_force.len(),
            settled,
            // they were compiled one by one a moment ago
            draft: Transforms::new(&rules).unwrap_or_default(),
            places,
            hasher: RandomState::new(),
            owners: HashMap::new(),
            named: Vec::new(),
            seen: Vec::new(),
            preview: Preview {
                total: ask.inventory.secrets.len() as u64,
                rules: vec![RuleEffect::default(); ask.rules.len()],
                ..Preview::default()
            },
        }
    }

    fn so_far(&mut self) -> &Preview {
        for (hash, collision) in self.named.iter().zip(&mut self.preview.colliding) {
            collision.count = self.owners.get(hash).map_or(0, |owner| u64::from(owner.count));
        }
        &self.preview
    }

    fn look_at(&mut self, path: &'a SecretPath) {
        self.preview.examined += 1;
        if !self.destination.filter.admits(path) {
            self.preview.excluded += 1;
            return;
        }
        let decided = self.draft.decide(path.data_path());
        let rule = decided.as_ref().map(|(rule, _)| *rule);
        if let Some(rule) = rule {
            self.decides(path, rule);
        } else {
            self.preview.unmatched += 1;
            if self.preview.staying.len() < EXAMPLES {
                self.preview.staying.push(path.clone());
            }
        }
        let target = decided.map_or_else(|| path.data_path().to_owned(), |(_, target)| target);
        self.moves(path, rule, &target);
        let Some(landed) = land(&target, &self.destination.mounts) else {
            self.preview.unroutable += 1;
            if self.preview.astray.len() < EXAMPLES {
                let example = self.shown(path, rule);
                self.preview.astray.push(example);
            }
            return;
        };
        self.claim(path, &landed);
        self.feed(path, rule, &landed);
    }

    /// A rule decides about a secret; others may have wanted to.
    fn decides(&mut self, path: &SecretPath, rule: usize) {
        let place = self.places[rule];
        self.preview.rules[place].decides += 1;
        if self.preview.rules[place].examples.len() < EXAMPLES {
            let example = self.shown(path, Some(rule));
            self.preview.rules[place].examples.push(example);
        }
        for later in rule + 1..self.places.len() {
            if !self.draft.would_match(later, path.data_path()) {
                continue;
            }
            let at = self.places[later];
            self.preview.rules[at].shadowed += 1;
            if self.preview.rules[at].in_shadow.len() < NAMED {
                let example = Example { rule: Some(place), ..self.shown(path, Some(later)) };
                self.preview.rules[at].in_shadow.push(example);
            }
        }
    }

    /// A secret with the rule that decides about it.
    fn shown(&self, path: &SecretPath, rule: Option<usize>) -> Example {
        Example {
            origin: path.clone(),
            explained: rule.and_then(|rule| self.draft.explain(rule, path.data_path())),
            rule: rule.map(|rule| self.places[rule]),
        }
    }

    fn moves(&mut self, path: &SecretPath, rule: Option<usize>, target: &str) {
        if self.unchanged || rule.is_some_and(|rule| rule < self.settled) {
            return;
        }
        let before = self.destination.transforms.apply(path).data_path;
        if before == target {
            return;
        }
        self.preview.moved += 1;
        if self.preview.moves.len() < EXAMPLES {
            self.preview.moves.push(Moved { origin: path.clone(), before, after: target.to_owned() });
        }
    }

    /// Notes who goes where. Without rules every secret has its own path.
    fn claim(&mut self, path: &'a SecretPath, target: &SecretPath) {
        if self.draft.is_empty() {
            return;
        }
        let hash = self.hasher.hash_one(target.data_path());
        let Some(owner) = self.owners.get_mut(&hash) else {
            // more than four thousand million secrets fit into no memory
            let first = u32::try_from(self.seen.len()).unwrap_or(u32::MAX);
            self.seen.push(path);
            self.owners.insert(hash, Owner { first, count: 1 });
            return;
        };
        if owner.count == 1 {
            // two texts may have one hash
            let Some(first) = self.seen.get(owner.first as usize) else { return };
            if self.draft.apply(first).data_path != target.data_path() {
                return;
            }
            self.preview.collisions += 1;
            if self.preview.colliding.len() < EXAMPLES {
                self.named.push(hash);
                let origins = vec![(*first).clone()];
                let destination = target.data_path().to_owned();
                self.preview.colliding.push(Collision { destination, origins, count: 1 });
            }
        }
        owner.count = owner.count.saturating_add(1);
        if let Some(at) = self.named.iter().position(|named| *named == hash) {
            let origins = &mut self.preview.colliding[at].origins;
            if origins.len() < NAMED {
                origins.push(path.clone());
            }
        }
    }

    /// Notes what would be read as a secret of the origin again.
    fn feed(&mut self, path: &SecretPath, rule: Option<usize>, target: &SecretPath) {
        let takes_part = |path: &SecretPath| {
            self.origin.mounts.iter().any(|mount| mount.as_str() == path.mount())
                && self.origin.filter.admits(path)
                && self.destination.filter.admits(path)
        };
        if self.ask.loops_back && takes_part(target) {
            self.preview.feedback += 1;
            if self.preview.feeding.len() < EXAMPLES {
                let example = self.shown(path, rule);
                self.preview.feeding.push(example);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::engine::{Operator, testing};
    use crate::kv::{Mount, PathFilter};

    fn mount() -> Mount {
        Mount::parse("secret").expect("a mount")
    }

    fn engine(rules: &[Rule], change: impl FnOnce(&mut Destination)) -> Engine {
        let mut there = testing::destination("there", &mount());
        there.transforms = Transforms::new(rules).expect("valid rules");
        change(&mut there);
        let operator = Operator { name: "o".to_owned(), host: "h".to_owned() };
        Engine::new(testing::origin(&mount()), vec![there], operator)
    }

    fn rule(from: &str, to: &str) -> Rule {
        Rule { name: format!("to {to}"), from: from.to_owned(), to: to.to_owned() }
    }

    fn ask(names: &[&str], rules: &[Rule]) -> PreviewAsk {
        let mut inventory = Inventory::empty(3);
        for name in names {
            inventory.secrets.insert(SecretPath::new(&mount(), name), testing::insight(1));
        }
        PreviewAsk {
            destination: DestinationName::new("there"),
            inventory: Arc::new(inventory),
            rules: rules.to_vec(),
            loops_back: false,
        }
    }

    fn last(engine: &Engine, ask: &PreviewAsk) -> Preview {
        let mut last = None;
        engine.preview(ask, || true, |preview| last = Some(preview.clone()));
        last.expect("an end")
    }

    fn names(paths: &[SecretPath]) -> Vec<String> {
        let mut names: Vec<String> = paths.iter().map(|path| path.name().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_first_match_decides_and_later_ones_are_in_its_shadow() {
        let rules = [rule("/a/(?P<x>.*)", "secret/data/1/${x}"), rule("/(?P<x>[ab]/.*)", "secret/data/2/${x}")];
        let engine = engine(&[], |_| {});
        let preview = last(&engine, &ask(&["a/1", "a/2", "b/1", "c"], &rules));
        assert!(preview.is_complete());
        let counts: Vec<_> = preview.rules.iter().map(|rule| (rule.decides, rule.shadowed)).collect();
        assert_eq!(counts, [(2, 0), (1, 2)]);
        assert_eq!((preview.matched(), preview.unmatched, preview.moved), (3, 1, 3));
        let second = &preview.rules[1];
        assert_eq!(second.examples.len(), 1);
        assert_eq!(second.examples[0].explained.as_ref().expect("a match").after, "secret/data/2/b/1");
        assert_eq!(second.in_shadow.len(), 2);
        assert_eq!(second.in_shadow[0].rule, Some(0));
        assert!(second.in_shadow[0].explained.as_ref().expect("a match").after.starts_with("secret/data/2/a/"));
        assert_eq!(names(&preview.staying), ["c"]);
    }

    #[test]
    fn a_rule_that_does_not_work_is_passed_over() {
        let rules = [rule("(", "secret/data/1"), rule("/(?P<x>a)$", "secret/data/2/${x}")];
        let preview = last(&engine(&[], |_| {}), &ask(&["a", "b"], &rules));
        let counts: Vec<_> = preview.rules.iter().map(|rule| (rule.decides, rule.examples.len())).collect();
        assert_eq!(counts, [(0, 0), (1, 1)]);
    }

    #[test]
    fn collisions_are_counted_and_named_as_the_plan_does() {
        let rules = [rule("/[a-d]/(?P<x>.*)", "secret/data/${x}")];
        let engine = engine(&[], |_| {});
        let preview = last(&engine, &ask(&["a/x", "b/x", "c/x", "d/x", "a/y", "x1", "b/z", "z"], &rules));
        assert_eq!(preview.collisions, 2);
        let mut found: Vec<_> = preview.colliding.iter().map(|one| (one.destination.as_str(), one.count)).collect();
        found.sort_unstable();
        assert_eq!(found, [("secret/data/x", 4), ("secret/data/z", 2)]);
        let of_z = preview.colliding.iter().find(|one| one.count == 2).expect("the collision");
        assert_eq!(names(&of_z.origins), ["b/z", "z"], "one that stays where it is takes part");
    }

    #[test]
    fn what_moves_is_told_from_what_stays() {
        let old = [rule("/a/(?P<x>.*)", "secret/data/1/${x}"), rule("/b/(?P<x>.*)", "secret/data/2/${x}")];
        let engine = engine(&old, |_| {});
        assert_eq!(last(&engine, &ask(&["a/1", "b/1", "c"], &old)).moved, 0);
        let swapped = [old[1].clone(), old[0].clone()];
        assert_eq!(last(&engine, &ask(&["a/1", "b/1", "c"], &swapped)).moved, 0, "the order did not matter");
        let fewer = last(&engine, &ask(&["a/1", "b/1", "c"], &old[..1]));
        assert_eq!(fewer.moved, 1);
        assert_eq!(
            (fewer.moves[0].before.as_str(), fewer.moves[0].after.as_str()),
            ("secret/data/2/1", "secret/data/b/1")
        );
    }

    #[test]
    fn what_leads_out_of_the_mounts_or_back_to_the_origin_is_said() {
        let rules = [rule("/(?P<x>a)$", "other/data/${x}"), rule("/(?P<x>b)$", "secret/data/copy/${x}")];
        let there = engine(&[], |there| {
            there.filter = PathFilter::new(&[], &["secret/tmp/**".to_owned()], &[mount()]).expect("a glob");
        });
        let mut ask = ask(&["a", "b", "tmp/x"], &rules);
        let preview = last(&there, &ask);
        assert_eq!((preview.unroutable, preview.feedback, preview.excluded), (1, 0, 1));
        assert_eq!(preview.astray[0].rule, Some(0));
        ask.loops_back = true;
        assert_eq!(last(&there, &ask).feedback, 1);
    }

    #[test]
    fn one_that_is_not_wanted_any_more_ends_without_an_end() {
        let many: Vec<String> = (0..2000).map(|at| format!("n{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let asked = Cell::new(0);
        let mut told = 0;
        let is_wanted = || {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        engine(&[], |_| {}).preview(&ask(&many, &[]), is_wanted, |_| told += 1);
        assert_eq!((asked.get(), told), (3, 0));
    }
}
