//! What happens to processes: vsync is killed, ended, told to read its configuration again; servers lose power, are
//! sealed, freeze.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::world::{LIMIT, World};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    Kill,
    Terminate,
    Reload,
    Sealed(usize),
    PowerCut(usize),
    Frozen(usize),
    OriginSealed,
    OriginPowerCut,
    Consul,
    Revoked,
}

impl Mishap {
    /// All that leave vsync alone, and what it has in memory.
    const OTHERS: [Self; 8] = [
        Self::Sealed(0),
        Self::Revoked,
        Self::Consul,
        Self::PowerCut(1),
        Self::OriginSealed,
        Self::Frozen(2),
        Self::OriginPowerCut,
        Self::Reload,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "vsync killed (SIGKILL) and started again",
            Self::Terminate => "vsync ended (SIGTERM) and started again",
            Self::Reload => "configuration read again (SIGHUP)",
            Self::Sealed(_) => "destination sealed for a while",
            Self::PowerCut(_) => "destination killed and started again",
            Self::Frozen(_) => "destination frozen for a while",
            Self::OriginSealed => "origin sealed for a while",
            Self::OriginPowerCut => "origin killed and started again",
            Self::Consul => "Consul killed and started again",
            Self::Revoked => "origin's token revoked",
        }
    }

    /// The same at another destination.
    fn elsewhere(self, random: &mut Rng, copies: usize) -> Self {
        match self {
            Self::Sealed(_) => Self::Sealed(random.usize(..copies)),
            Self::PowerCut(_) => Self::PowerCut(random.usize(..copies)),
            Self::Frozen(_) => Self::Frozen(random.usize(..copies)),
            other => other,
        }
    }
}

/// All mishaps of a soak, one after another.
pub(super) struct Mishaps {
    random: Rng,
    every: Duration,
    next: Duration,
    number: usize,
    waiting: Vec<Mishap>,
    /// The one that lasts, and until when.
    current: Option<(Mishap, Duration)>,
    /// Name → how many of them.
    pub(super) counts: BTreeMap<&'static str, u64>,
    /// What went wrong beyond what was to.
    pub(super) problems: Vec<String>,
}

impl Mishaps {
    /// One each time `every` has passed.
    pub(super) fn new(seed: u64, every: Duration) -> Self {
        let random = Rng::with_seed(seed ^ 0x5eed);
        let (counts, problems) = (BTreeMap::new(), Vec::new());
        Self { random, every, next: every, number: 0, waiting: Vec::new(), current: None, counts, problems }
    }

    /// What there is to tell of what begins or is over at this time. After `calm` vsync itself is left alone.
    pub(super) fn turn(&mut self, world: &mut World, at: Duration, calm: Duration) -> Option<String> {
        if let Some((_, until)) = self.current {
            return (at >= until).then(|| self.make_good(world)).flatten();
        }
        if at < self.next {
            return None;
        }
        self.next = at + self.every;
        let number = self.number;
        self.number += 1;
        let mishap = match number % 4 {
            0 if at < calm => Mishap::Kill,
            2 if at < calm => Mishap::Terminate,
            _ => self.other(world.copies.len()),
        };
        *self.counts.entry(mishap.name()).or_default() += 1;
        Some(self.begin(mishap, world, at))
    }

    /// Each comes once before any comes again.
    fn other(&mut self, copies: usize) -> Mishap {
        if self.waiting.is_empty() {
            self.waiting = Mishap::OTHERS.to_vec();
            self.random.shuffle(&mut self.waiting);
        }
        self.waiting.pop().unwrap_or(Mishap::Reload).elsewhere(&mut self.random, copies)
    }

    fn begin(&mut self, mishap: Mishap, world: &mut World, at: Duration) -> String {
        let mut lasts = Some(Duration::from_secs(self.random.u64(3..12)).min(self.every / 2));
        match mishap {
            Mishap::Kill => {
                world.daemon.signal("KILL");
                let code = world.daemon.end(LIMIT);
                if code.is_some() {
                    self.problems.push(format!("vsync ended by itself with {code:?}:\n{}", world.daemon.told()));
                }
                world.start_again();
                lasts = None;
            }
            Mishap::Terminate => {
                world.daemon.signal("TERM");
                let code = world.daemon.end(LIMIT);
                if code != Some(0) {
                    self.problems.push(format!("exit code {code:?} after SIGTERM:\n{}", world.daemon.told()));
                }
                world.start_again();
                lasts = None;
            }
            Mishap::Reload => {
                world.daemon.signal("HUP");
                lasts = None;
            }
            Mishap::Revoked => {
                let revoked = world.revoke_logins();
                return format!("mishap: {} ({revoked})", mishap.name());
            }
            Mishap::Sealed(copy) => world.copies[copy].server.seal(),
            Mishap::PowerCut(copy) => world.copies[copy].server.kill(),
            Mishap::Frozen(copy) => world.copies[copy].server.freeze(),
            Mishap::OriginSealed => {
                world.origin_is_there = false;
                world.origin.seal();
            }
            Mishap::OriginPowerCut => {
                world.origin_is_there = false;
                world.origin.kill();
            }
            Mishap::Consul => world.consul.kill(),
        }
        self.current = lasts.map(|time| (mishap, at + time));
        format!("mishap: {}", mishap.name())
    }

    /// Ends the one that lasts.
    pub(super) fn make_good(&mut self, world: &mut World) -> Option<String> {
        let (mishap, _) = self.current.take()?;
        match mishap {
            Mishap::Sealed(copy) => world.copies[copy].server.unseal(),
            Mishap::PowerCut(copy) => world.copies[copy].server.bring_back(),
            Mishap::Frozen(copy) => world.copies[copy].server.thaw(),
            Mishap::OriginSealed => world.origin.unseal(),
            Mishap::OriginPowerCut => world.origin.bring_back(),
            Mishap::Consul => world.consul.bring_back(),
            Mishap::Kill | Mishap::Terminate | Mishap::Reload | Mishap::Revoked => {}
        }
        world.origin_is_there = true;
        Some(format!("made good: {}", mishap.name()))
    }
}
