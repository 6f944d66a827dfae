//! Faults that come and go: one kind after another, with clear weather in between.

use std::collections::BTreeMap;
use std::time::Duration;

use super::world::World;
use crate::support::{Fault, FaultProxy, FaultRule, When};

/// A rule, and what counts what it picked.
type Rule = (FaultRule, &'static str);

/// Makes it so, with a seed.
type Begin = fn(&World, u64) -> Vec<FaultRule>;

/// Kinds of bad weather, by name.
const KINDS: [(&str, Begin); 9] = [
    ("slow answers", |world, seed| everywhere(world, seed, 0.3, &Fault::Delay(Duration::from_millis(400)))),
    ("429 with Retry-After", |world, seed| everywhere(world, seed, 0.15, &Fault::RetryAfter(1))),
    ("503", |world, seed| everywhere(world, seed, 0.2, &Fault::Status(503))),
    ("500", |world, seed| everywhere(world, seed, 0.1, &Fault::Status(500))),
    ("bodies cut off", |world, seed| everywhere(world, seed, 0.1, &Fault::CutOff(30))),
    ("connections reset", |world, seed| everywhere(world, seed, 0.15, &Fault::Reset)),
    ("answers lost after the work", |world, seed| {
        let lost = |proxy: &FaultProxy, method| {
            proxy.rule(method, "^/v1/[^/]+/data/", sometimes(0.2, seed), Fault::ResetAfterwards)
        };
        world.copies.iter().flat_map(|copy| ["POST", "DELETE"].map(|method| lost(&copy.proxy, method))).collect()
    }),
    ("listings refused or bad", |world, seed| {
        let refused = |method| {
            world.at_origin.rule(method, "^/v1/secret/(detailed-)?metadata/", sometimes(0.4, seed), Fault::Status(403))
        };
        let bad = |method, fault| {
            world.at_origin.rule(method, "^/v1/more/(detailed-)?metadata/", sometimes(0.4, seed + 1), fault)
        };
        vec![
            refused("SCAN"),
            refused("LIST"),
            refused("GET"),
            bad("SCAN", Fault::CutOff(5_000)),
            bad("LIST", Fault::Nameless),
            bad("GET", Fault::Garbage),
        ]
    }),
    ("a mount that looks empty", |world, _| {
        // only where many are asked for: the question about a single one is answered truly
        ["SCAN", "LIST"]
            .map(|method| {
                let listing = "^/v1/more/(detailed-)?metadata/?(\\?|$)";
                world.at_origin.rule(method, listing, When::Always, Fault::Status(404))
            })
            .into()
    }),
];

fn sometimes(probability: f64, seed: u64) -> When {
    When::Random { probability, seed }
}

/// The same on the way to every server, Consul too.
fn everywhere(world: &World, seed: u64, probability: f64, fault: &Fault) -> Vec<FaultRule> {
    let servers = world.servers();
    let rule = |(at, (_, proxy)): (usize, &(&str, &FaultProxy))| {
        proxy.rule("", "", sometimes(probability, seed + at as u64), fault.clone())
    };
    servers.iter().enumerate().map(rule).collect()
}

/// The weather of a soak.
pub(super) struct Weather {
    seed: u64,
    period: Duration,
    number: u64,
    rules: Vec<Rule>,
    /// Kind → how many requests met it.
    pub(super) met: BTreeMap<&'static str, u64>,
}

impl Weather {
    /// Each kind stays for two thirds of `period`.
    pub(super) fn new(seed: u64, period: Duration) -> Self {
        let met = KINDS.iter().map(|(kind, _)| (*kind, 0)).collect();
        Self { seed, period, number: 0, rules: Vec::new(), met }
    }

    /// What there is to tell if it changes at this time.
    pub(super) fn turn(&mut self, world: &World, at: Duration) -> Option<String> {
        let number = at.as_secs_f64() / self.period.as_secs_f64();
        let bad = number.fract() >= 1.0 / 3.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let number = number as u64;
        if !bad {
            return (!self.rules.is_empty()).then(|| self.clear());
        }
        if !self.rules.is_empty() && self.number == number {
            return None;
        }
        self.clear();
        self.number = number;
        let kinds = KINDS.len() as u64;
        let (kind, rules) = KINDS[usize::try_from((self.seed + number) % kinds).expect("a small number")];
        let rules = rules(world, self.seed.wrapping_mul(1_000) + number * 10);
        self.rules = rules.into_iter().map(|rule| (rule, kind)).collect();
        Some(format!("weather: {kind}"))
    }

    /// Everything is passed on again.
    pub(super) fn clear(&mut self) -> String {
        for (rule, kind) in self.rules.drain(..) {
            *self.met.entry(kind).or_default() += rule.picked();
            rule.remove();
        }
        "weather: clear".to_owned()
    }
}
