//! What is needed where, when, and why: the one list that policies, `vsync check` and the documentation follow.

use super::{DestinationUse, Extra, Need, OriginUse, Place, Weight};
use crate::engine::{Fidelity, Listing, OnDelete, OnDrift, OnExisting};

fn needed_if(condition: bool) -> Option<Weight> {
    condition.then_some(Weight::Needed)
}

/// The origin. The rows of one path become one rule.
pub(super) const ORIGIN: &[Need<OriginUse>] = &[
    Need {
        place: Place::Top("detailed-metadata"),
        capabilities: &["scan"],
        weight: |used| needed_if(used.listing == Listing::Scan),
        reason: "listing = \"scan\": versions and times of the whole mount in one answer, whatever include says",
    },
    Need {
        place: Place::Folders("detailed-metadata"),
        capabilities: &["list"],
        weight: |used| match used.listing {
            Listing::Detailed => Some(Weight::Needed),
            Listing::Auto => Some(Weight::Advised),
            Listing::Scan | Listing::Plain => None,
        },
        reason: "names, versions and times, folder by folder (OpenBao; without it, or where there is none, one more request a secret)",
    },
    Need {
        place: Place::Folders("detailed-metadata"),
        capabilities: &["scan"],
        weight: |used| (used.listing == Listing::Auto).then_some(Weight::For(Extra::Scan)),
        reason: "versions and times of a whole folder in one answer",
    },
    Need {
        place: Place::Folders("metadata"),
        capabilities: &["list"],
        weight: |used| needed_if(matches!(used.listing, Listing::Plain | Listing::Auto)),
        reason: "names, folder by folder",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["read"],
        weight: |used| needed_if(matches!(used.listing, Listing::Plain | Listing::Auto)),
        reason: "version and time of each secret, where listings do not tell them",
    },
    Need {
        place: Place::Copied("metadata"),
        capabilities: &["read"],
        weight: |used| needed_if(used.deletes),
        reason: "before a copy is deleted, the origin is asked whether the secret is really gone",
    },
    Need {
        place: Place::Copied("metadata"),
        capabilities: &["read"],
        weight: |used| needed_if(used.fidelity != Fidelity::Value),
        reason: "fidelity: the metadata that is copied",
    },
    Need {
        place: Place::Copied("data"),
        capabilities: &["read"],
        weight: |used| needed_if(used.copies),
        reason: "the values that are copied",
    },
    Need {
        place: Place::Secrets("subkeys"),
        capabilities: &["read"],
        weight: |_| Some(Weight::For(Extra::Console)),
        reason: "names of keys",
    },
    Need {
        place: Place::FoldersOfV1,
        capabilities: &["list"],
        weight: |_| Some(Weight::Needed),
        reason: "KV version 1: names, folder by folder",
    },
    Need {
        place: Place::SecretsOfV1,
        capabilities: &["read"],
        weight: |_| Some(Weight::Needed),
        reason: "KV version 1: only the values tell what has changed; those that have are copied",
    },
    Need {
        place: Place::Config,
        capabilities: &["read"],
        weight: |used| needed_if(used.creates_mounts),
        reason: "create_mounts: the KV options that a new mount gets",
    },
    Need { place: LOOKUP, capabilities: &["read"], weight: |_| Some(Weight::Needed), reason: LOOKUP_REASON },
    Need { place: RENEW, capabilities: &["update"], weight: |used| needed_if(!used.logs_in), reason: RENEW_REASON },
    Need {
        place: CAPABILITIES,
        capabilities: &["update"],
        weight: |_| Some(Weight::Needed),
        reason: CAPABILITIES_REASON,
    },
];

/// A destination.
pub(super) const DESTINATION: &[Need<DestinationUse>] = &[
    Need {
        place: Place::Secrets("data"),
        capabilities: &["create", "update"],
        weight: |_| Some(Weight::Needed),
        reason: "secrets are written, new ones (create) and new versions (update)",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["delete"],
        weight: |used| needed_if(used.on_delete != OnDelete::Ignore),
        reason: "what is gone at the origin is deleted; versions stay, so that it can be undeleted",
    },
    Need {
        place: Place::Secrets("destroy"),
        capabilities: &["update"],
        weight: |used| needed_if(used.on_delete == OnDelete::Destroy),
        reason: "on_delete = \"destroy\": the data of all versions, once the origin cannot undelete its own",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["delete"],
        weight: |used| needed_if(used.on_delete == OnDelete::Purge),
        reason: "on_delete = \"purge\": all versions and metadata, once the origin cannot undelete its own",
    },
    Need {
        place: Place::Mounting,
        capabilities: &["update"],
        weight: |used| needed_if(used.creates_mounts),
        reason: "create_mounts: a missing mount is created",
    },
    Need {
        place: Place::Config,
        capabilities: &["update"],
        weight: |used| needed_if(used.creates_mounts),
        reason: "create_mounts: with the KV options of the origin's",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read"],
        weight: |used| needed_if(used.on_existing == OnExisting::Adopt),
        reason: "on_existing = \"adopt\": what is there already is compared with the origin",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read"],
        weight: |used| (used.on_drift != OnDrift::Overwrite).then_some(Weight::Advised),
        reason: "what is there unexpectedly, or may be equal although its time is later, is compared with the origin; without it, equal values and what a cycle wrote before it was cut off count as drift",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read"],
        weight: |used| used.compares.then_some(Weight::Advised),
        reason: "copies are compared with the origin (canary, or an origin of KV version 1)",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["read"],
        weight: |used| {
            let blind = used.on_drift == OnDrift::Overwrite && used.on_existing == OnExisting::Overwrite;
            Some(if blind { Weight::Advised } else { Weight::Needed })
        },
        reason: "which version is there: whether it is what vsync left, before it is written over or deleted",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["read", "create", "update"],
        weight: |used| needed_if(used.fidelity != Fidelity::Value),
        reason: "fidelity: metadata is compared with what vsync left, and written",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read"],
        weight: |used| needed_if(used.fidelity == Fidelity::History),
        reason: "fidelity = \"history\": versions are compared after a cycle was cut off, and when one is undeleted",
    },
    Need {
        place: Place::Secrets("delete"),
        capabilities: &["update"],
        weight: |used| needed_if(used.fidelity == Fidelity::History),
        reason: "fidelity = \"history\": copies of soft-deleted versions are soft-deleted",
    },
    Need {
        place: Place::Secrets("destroy"),
        capabilities: &["update"],
        weight: |used| needed_if(used.fidelity == Fidelity::History),
        reason: "fidelity = \"history\": copies of destroyed versions are destroyed",
    },
    Need {
        place: Place::Secrets("undelete"),
        capabilities: &["update"],
        weight: |used| needed_if(used.fidelity == Fidelity::History),
        reason: "fidelity = \"history\": copies of undeleted versions are undeleted",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read", "create", "update", "delete"],
        weight: |_| Some(Weight::For(Extra::Undo)),
        reason: "older versions are read and written again, and what a cycle added is deleted",
    },
    Need {
        place: Place::Secrets("undelete"),
        capabilities: &["update"],
        weight: |_| Some(Weight::For(Extra::Undo)),
        reason: "what a cycle deleted is undeleted",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["read"],
        weight: |_| Some(Weight::For(Extra::Undo)),
        reason: "which versions can be had again",
    },
    Need {
        place: Place::Folders("metadata"),
        capabilities: &["list"],
        weight: |_| Some(Weight::For(Extra::Verify)),
        reason: "names, folder by folder",
    },
    Need {
        place: Place::Folders("detailed-metadata"),
        capabilities: &["list"],
        weight: |_| Some(Weight::For(Extra::Verify)),
        reason: "names and versions, folder by folder (OpenBao)",
    },
    Need {
        place: Place::Secrets("metadata"),
        capabilities: &["read"],
        weight: |_| Some(Weight::For(Extra::Verify)),
        reason: "the version of each secret",
    },
    Need {
        place: Place::Secrets("data"),
        capabilities: &["read"],
        weight: |_| Some(Weight::For(Extra::Verify)),
        reason: "--deep compares values",
    },
    Need { place: LOOKUP, capabilities: &["read"], weight: |_| Some(Weight::Needed), reason: LOOKUP_REASON },
    Need { place: RENEW, capabilities: &["update"], weight: |used| needed_if(!used.logs_in), reason: RENEW_REASON },
    Need {
        place: CAPABILITIES,
        capabilities: &["update"],
        weight: |_| Some(Weight::Needed),
        reason: CAPABILITIES_REASON,
    },
];

const LOOKUP: Place = Place::Path("auth/token/lookup-self");
const LOOKUP_REASON: &str = "when the token runs out, and whether a refusal is the token's or the policy's (the policy \"default\" has it, too)";
const RENEW: Place = Place::Path("auth/token/renew-self");
const RENEW_REASON: &str =
    "the token is renewed, so that a daemon or a long cycle does not outlive it (the policy \"default\" has it, too)";
const CAPABILITIES: Place = Place::Path("sys/capabilities-self");
const CAPABILITIES_REASON: &str =
    "\"vsync check\" and --dry-run ask what the token may do (the policy \"default\" has it, too)";
