//! What is wrong, told once when it begins and once when it is over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What a trouble is about. Each subject has at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The origin cannot be read.
    Survey,
    /// Part of the origin cannot be read.
    Incomplete,
    /// The state store does not answer, or refuses.
    State,
    /// A guard stands against the plan.
    Guard,
    /// What nobody can take back waits for somebody to confirm it.
    Unconfirmed,
    /// A cycle of somebody else's is at work.
    Locked,
    /// Its server does not answer.
    Unreached,
    /// Nothing was begun, or not gone on with.
    Blocked,
    /// An earlier wave has not ended without failures.
    Wave,
    /// Secrets that could not be copied or deleted.
    Failures,
    /// Secrets that somebody else changed.
    Drift,
    /// Secrets that were there before.
    Existing,
    /// What was done could not be saved.
    Unsaved,
    /// Changes of the origin's sync info are not heard of.
    Watch,
    /// The lock of this daemon.
    Lock,
}

/// Something that is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// `origin`, or a destination's name.
    pub(crate) subject: String,
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Trouble {
    pub(super) fn new(subject: impl Into<String>, kind: Kind, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), kind, message: message.into() }
    }
}

#[derive(Debug)]
struct Standing {
    since: Instant,
    message: String,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Began { subject: String, message: String },
    Over { subject: String, message: String, after: Duration },
}

/// All that is wrong at the moment.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    standing: BTreeMap<(String, Kind), Standing>,
}

impl Troubles {
    /// Replaces what stood where `looked` says so by what was found there. Tells what is new and what is over.
    pub(super) fn update(&mut self, looked: impl Fn(&str, Kind) -> bool, found: Vec<Trouble>) -> Vec<Change> {
        let now = Instant::now();
        let mut changes = Vec::new();
        let gone: Vec<_> = self
            .standing
            .keys()
            .filter(|(subject, kind)| {
                looked(subject, *kind)
                    && !found.iter().any(|trouble| trouble.subject == *subject && trouble.kind == *kind)
            })
            .cloned()
            .collect();
        for key in gone {
            if let Some(standing) = self.standing.remove(&key) {
                let after = now.duration_since(standing.since);
                changes.push(Change::Over { subject: key.0, message: standing.message, after });
            }
        }
        for Trouble { subject, kind, message } in found {
            let former = self.standing.get_mut(&(subject.clone(), kind));
            let known = former.as_ref().is_some_and(|former| gist(&former.message) == gist(&message));
            if !known {
                changes.push(Change::Began { subject: subject.clone(), message: message.clone() });
            }
            match former {
                Some(former) => former.message = message,
                None => {
                    self.standing.insert((subject, kind), Standing { since: now, message });
                }
            }
        }
        changes
    }

    /// The worst that stands for a subject.
    pub(super) fn of(&self, subject: &str) -> Option<&str> {
        self.standing.iter().find(|((one, _), _)| one == subject).map(|(_, standing)| standing.message.as_str())
    }
}

/// A message without its numbers: counts and times change from one look to the next, and that is no news.
fn gist(message: &str) -> impl PartialEq {
    message.chars().filter(|character| !character.is_ascii_digit()).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn began(subject: &str, message: &str) -> Change {
        Change::Began { subject: subject.to_owned(), message: message.to_owned() }
    }

    #[test]
    fn a_trouble_is_told_when_it_begins_and_when_it_is_over() {
        let mut troubles = Troubles::default();
        let everywhere = |_: &str, _: Kind| true;
        let failed = |count: u32| Trouble::new("us", Kind::Failures, format!("{count} secrets failed: permission"));
        assert_eq!(troubles.update(everywhere, vec![failed(2)]), [began("us", "2 secrets failed: permission")]);
        assert_eq!(troubles.update(everywhere, vec![failed(13)]), []);
        assert_eq!(troubles.of("us"), Some("13 secrets failed: permission"));
        let sealed = Trouble::new("us", Kind::Failures, "13 secrets failed: sealed");
        assert_eq!(troubles.update(everywhere, vec![sealed]), [began("us", "13 secrets failed: sealed")]);
        assert_eq!(troubles.update(|subject, _| subject == "eu", Vec::new()), [], "nobody looked");
        let changes = troubles.update(everywhere, Vec::new());
        assert!(matches!(&changes[..], [Change::Over { subject, .. }] if subject == "us"), "{changes:?}");
        assert_eq!(troubles.of("us"), None);
    }
}
