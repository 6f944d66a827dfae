//! What stands against a plan.

use serde::Serialize;

use super::DestinationName;
use crate::kv::SecretPath;

/// Why nothing may be written. Found while planning; any of them stops the cycle before its first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "objection", rename_all = "snake_case")]
pub enum Objection {
    /// More deletes than `max_delete` allows.
    #[error(
        "{deletes} of {recorded} secrets would be deleted, more than max_delete = {limit} allows; if that is meant, raise max_delete"
    )]
    MassDelete {
        /// Deletes in the plan.
        deletes: u64,
        /// Secrets recorded at the destination.
        recorded: u64,
        /// The limit as configured.
        limit: String,
    },
    /// A mount of the origin holds nothing, but secrets of it are recorded at the destination.
    #[error(
        "the origin's {mount} holds no secret, but {recorded} of it are recorded here: a wiped or wrong origin looks like this; if it is meant to be empty, set max_delete = 100%"
    )]
    EmptyOrigin {
        /// The mount.
        mount: String,
        /// Secrets of it that are recorded at the destination.
        recorded: u64,
    },
    /// The recorded state was made between other servers.
    #[error(
        "the {side} at {present} is another server than the recorded one: the state here is {recorded}, and nothing in it holds now; correct the address, or, if the server was replaced on purpose, give this destination a new sync_path, and everything is copied anew"
    )]
    AnotherServer {
        /// `origin` or `destination`.
        side: String,
        /// What the state was recorded of.
        recorded: String,
        /// The address now.
        present: String,
    },
    /// Another destination is the same Vault and gets the same path.
    #[error(
        "{path} would be written for {other} too, which is the same Vault ({count} such paths); send them to different paths, or exclude them from one of the two"
    )]
    SharedPath {
        /// The first path in question.
        path: SecretPath,
        /// The other destination.
        other: DestinationName,
        /// How many paths are concerned.
        count: u64,
    },
    /// A mount that secrets are to be written to is no KV version 2 engine.
    #[error("{mount} is {found} at the destination, not KV version 2: nothing can be written there as planned")]
    UnfitMount {
        /// The mount.
        mount: String,
        /// What it is.
        found: String,
    },
    /// Several origin secrets would be written to one path.
    #[error("{destination} would be written from {} ({collisions} such paths in all); make the transforms tell them apart, or exclude all but one", list(.origins))]
    Collision {
        /// The first path in question.
        destination: SecretPath,
        /// The secrets that claim it.
        origins: Vec<SecretPath>,
        /// How many paths are claimed more than once.
        collisions: u64,
    },
    /// A transform leads to a mount that the destination does not list.
    #[error(
        "{origin} would go to {destination} (rule \"{rule}\"), which is in none of this destination's mounts ({count} such secrets); add the mount, mend the rule, or exclude them"
    )]
    MountNotConfigured {
        /// The first secret in question.
        origin: SecretPath,
        /// Where the transform sends it (`<mount>data/<name>`).
        destination: String,
        /// The transform.
        rule: String,
        /// How many secrets are concerned.
        count: u64,
    },
    /// Loopback feeding itself: what is written would be read as an origin secret again.
    #[error(
        "loopback: {}; exclude the destination's paths from the origin, or keep them in another mount",
        feedback(.origin, .destination, .next, *.count)
    )]
    Feedback {
        /// The first secret in question.
        origin: SecretPath,
        /// Where it is written.
        destination: SecretPath,
        /// Where the next cycle would write that one.
        next: SecretPath,
        /// How many secrets are concerned.
        count: u64,
    },
}

impl Objection {
    /// Whether it concerns how much is deleted, so that it may fall when fewer tasks are chosen.
    pub(in crate::engine) fn is_about_deletes(&self) -> bool {
        matches!(self, Self::MassDelete { .. } | Self::EmptyOrigin { .. })
    }
}

fn feedback(origin: &SecretPath, destination: &SecretPath, next: &SecretPath, count: u64) -> String {
    let others = if count > 1 { format!(" ({count} such secrets)") } else { String::new() };
    if origin == destination {
        format!("{origin} would be copied onto itself, again in every cycle{others}")
    } else {
        format!(
            "{origin} goes to {destination}, which the next cycle reads from the origin and sends to {next}{others}"
        )
    }
}

fn list(paths: &[SecretPath]) -> String {
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
