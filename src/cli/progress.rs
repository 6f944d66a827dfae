//! Progress on stderr: one line that changes on a terminal, a line every few seconds elsewhere.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::object::{DestinationProgressObject, Object};
use super::output;
use super::{Common, Format};
use crate::engine::{Aside, CycleSnapshot, Phase, Standing};
use crate::text::{sanitize, truncate_end};

/// How often a line is written where it cannot be changed.
const EVERY: Duration = Duration::from_secs(5);

/// The progress line.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    json: bool,
    drawn: bool,
    last: Instant,
}

impl Progress {
    pub(super) fn new(common: &Common) -> Self {
        Self {
            terminal: io::stderr().is_terminal() && common.output == Format::Text,
            json: common.output == Format::Json,
            drawn: false,
            last: Instant::now(),
        }
    }

    /// How far the origin's inventory is.
    pub(super) fn survey(&mut self, found: u64, started: Instant) {
        let elapsed = output::duration(started.elapsed());
        self.say(&if found == 0 {
            format!("waiting for the origin and its state store for {elapsed}")
        } else {
            format!("origin: {found} secrets found in {elapsed}")
        });
    }

    /// How far a cycle is.
    pub(super) fn cycle(&mut self, snapshot: &CycleSnapshot) {
        if self.json {
            if self.is_due() {
                let object = Object::Progress {
                    cycle: snapshot.cycle.to_string(),
                    phase: snapshot.phase,
                    planned: snapshot.planned(),
                    ended: snapshot.ended(),
                    failed: snapshot.failed(),
                    rate: snapshot.rate,
                    eta: snapshot.eta.map(|eta| eta.as_secs_f64()),
                    destinations: snapshot.destinations.iter().map(DestinationProgressObject::from).collect(),
                    limits: snapshot.limits().collect(),
                };
                if let Ok(line) = crate::text::to_json(&object) {
                    say(&line);
                }
            }
        } else {
            self.show(&line(snapshot, self.terminal));
        }
    }

    /// What a command that is no cycle is at. Programs are not told.
    pub(super) fn say(&mut self, line: &str) {
        if !self.json {
            self.show(line);
        }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.elapsed() >= EVERY;
        if due {
            self.last = Instant::now();
        }
        due
    }

    fn show(&mut self, line: &str) {
        if self.terminal {
            let width = crossterm::terminal::size().map_or(80, |(columns, _)| usize::from(columns));
            // nobody to show progress to is no reason to stop
            let _ = write!(io::stderr(), "\r\x1b[2K{}", truncate_end(line, width.saturating_sub(1)));
            let _ = io::stderr().flush();
            self.drawn = true;
        } else if self.is_due() {
            say(line);
        }
    }

    /// Takes the changing line away, so that something else can be written.
    pub(super) fn clear(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[2K");
            let _ = io::stderr().flush();
            self.drawn = false;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A line on stderr; if nobody reads it, so be it.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn line(snapshot: &CycleSnapshot, bar: bool) -> String {
    const CELLS: u64 = 24;
    let (planned, ended, failed) = (snapshot.planned(), snapshot.ended(), snapshot.failed());
    let share = |of: u64| (ended * of).checked_div(planned).unwrap_or(of).min(of);
    let repeat = |character: &str, count: u64| character.repeat(usize::try_from(count).unwrap_or_default());
    let mut parts = vec![format!("{ended}/{planned} ({}%)", share(100)), format!("{:.0}/s", snapshot.rate)];
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    match (snapshot.phase, snapshot.eta) {
        (Phase::Running, Some(eta)) => parts.push(format!("{} left", output::duration(eta))),
        (Phase::Running, None) => {}
        (Phase::Paused, _) => parts.push("paused".to_owned()),
        (Phase::Stopping, _) => parts.push("stopping".to_owned()),
        (Phase::Ended, _) => parts.push("saved".to_owned()),
    }
    for part in &snapshot.destinations {
        let name = sanitize(part.destination.as_str());
        match &part.standing {
            Standing::SetAside(Aside { origin: false, reason, .. }) => {
                parts.push(format!("{name} set aside: {}", sanitize(reason)));
            }
            Standing::SetAside(Aside { reason, .. }) => {
                parts.push(format!("origin set aside: {}", sanitize(reason)));
                break;
            }
            Standing::Verifying => parts.push(format!("{name}: canaries are verified")),
            Standing::AtWork | Standing::Canary | Standing::AfterWave(_) => {}
        }
    }
    for limit in snapshot.limits().filter(|limit| limit.throttle.is_lowered()) {
        parts.push(format!("{}: {}", limit.side, limit.text));
    }
    if snapshot.destinations.iter().any(|part| part.unsaved.is_some()) {
        parts.push("state not saved yet".to_owned());
    }
    let line = parts.join(" · ");
    if bar { format!("[{}{}] {line}", repeat("#", share(CELLS)), repeat(".", CELLS - share(CELLS))) } else { line }
}
