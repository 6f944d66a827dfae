//! The sides of a configuration, with the rights that their tokens need.

use std::collections::BTreeMap;

use super::object::RuleObject;
use crate::config::{Config, Consul, Vault};
use crate::connect::{self, ConnectError, SideName};
use crate::engine::{DestinationUse, Extra, OnDelete, OriginUse, Right, Rights, meet};
use crate::kv::PathFilter;
use crate::sync_info::EngineKind;
use crate::text::sanitize;

/// One side as configured.
pub(super) struct Side<'a> {
    pub(super) label: &'a str,
    pub(super) name: SideName,
    pub(super) vault: &'a Vault,
    pub(super) consul: Option<&'a Consul>,
    pub(super) mounts: &'a [String],
    pub(super) sync_path: &'a str,
    pub(super) used: Used,
    /// The version of its KV engines, as configured; of the origin only.
    pub(super) kv_version: Option<EngineKind>,
}

/// What a side is used for.
#[derive(Debug)]
pub(super) enum Used {
    Origin(OriginUse),
    Destination(DestinationUse),
}

impl Side<'_> {
    pub(super) fn is_origin(&self) -> bool {
        matches!(self.used, Used::Origin(_))
    }

    /// What its token needs, if these extras are among what it is used for.
    pub(super) fn rights(&self, with: &[Extra]) -> Rights {
        match &self.used {
            Used::Origin(used) => used.rights(with),
            Used::Destination(used) => used.rights(with),
        }
    }

    /// Whether its Vault is the other's, as far as addresses tell.
    pub(super) fn is_at(&self, other: &Side<'_>) -> bool {
        let place = |vault: &Vault| {
            let namespace = vault.namespace.as_deref().unwrap_or_default().trim_matches('/').to_owned();
            (vault.address.trim_end_matches('/').to_ascii_lowercase(), namespace)
        };
        place(self.vault) == place(other.vault)
    }
}

/// The origin, and the destinations in the configuration's order.
pub(super) fn sides(config: &Config) -> Result<Vec<Side<'_>>, ConnectError> {
    let origin = &config.origin;
    let mounts = connect::mounts(&origin.mounts)?;
    let filter = |include: &[String]| PathFilter::new(include, &[], &mounts);
    let of_origin = filter(&origin.include)?;
    let mut copied = Some(Vec::new());
    let mut destinations = Vec::with_capacity(config.destinations.len());
    for destination in &config.destinations {
        let scopes = meet(&of_origin, &filter(&destination.include)?);
        let transforms = connect::transforms(destination)?;
        let there = connect::mounts(&destination.mounts)?;
        let used = DestinationUse {
            places: DestinationUse::places(&mounts, scopes.as_deref(), &transforms, &there),
            on_delete: destination.on_delete,
            creates_mounts: destination.create_mounts,
            compares: !destination.canary.is_empty() || origin.kv_version == Some(EngineKind::KvV1),
            on_drift: destination.on_drift,
            on_existing: destination.on_existing,
            fidelity: destination.fidelity,
            logs_in: logs_in(&destination.vault),
        };
        copied = copied.zip(scopes).map(|(mut all, scopes)| {
            all.extend(scopes);
            all
        });
        destinations.push(Side {
            label: &destination.name,
            name: SideName::destination(&destination.name),
            vault: &destination.vault,
            consul: destination.consul.as_ref(),
            mounts: &destination.mounts,
            sync_path: &destination.sync_path,
            used: Used::Destination(used),
            kv_version: None,
        });
    }
    let used = OriginUse {
        mounts: mounts.clone(),
        scopes: of_origin.scopes().map(<[_]>::to_vec),
        copied,
        listing: origin.listing,
        copies: !config.destinations.is_empty(),
        deletes: config.destinations.iter().any(|one| one.on_delete != OnDelete::Ignore),
        creates_mounts: config.destinations.iter().any(|one| one.create_mounts),
        is_v1: origin.kv_version == Some(EngineKind::KvV1),
        fidelity: config.destinations.iter().map(|one| one.fidelity).max().unwrap_or_default(),
        logs_in: logs_in(&origin.vault),
    };
    let kv_version = origin.kv_version;
    let origin = Side {
        label: "origin",
        name: SideName::origin(),
        vault: &origin.vault,
        consul: origin.consul.as_ref(),
        mounts: &origin.mounts,
        sync_path: &origin.sync_path,
        used: Used::Origin(used),
        kv_version,
    };
    Ok(std::iter::once(origin).chain(destinations).collect())
}

/// A token that is given beside a login goes before it.
fn logs_in(vault: &Vault) -> bool {
    let Vault { approle, kubernetes, jwt, userpass, ldap, cert, token, .. } = vault;
    let has_login = approle.is_some()
        || kubernetes.is_some()
        || jwt.is_some()
        || userpass.is_some()
        || ldap.is_some()
        || cert.is_some();
    has_login && token.is_none()
}

/// A rule as a policy has it, with its reasons above it.
pub(super) fn with_reasons(right: &Right) -> String {
    let mut lines: Vec<String> = right.reasons.iter().map(|reason| format!("# {}", sanitize(reason))).collect();
    lines.push(format!("{:#}", right.stanza()));
    lines.join("\n")
}

/// The same for programs.
pub(super) fn object(right: &Right, extra: Option<Extra>) -> RuleObject {
    let stanza = right.stanza();
    RuleObject {
        path: stanza.path,
        capabilities: stanza.capabilities,
        reasons: right.reasons.clone(),
        extra: extra.map(Extra::name),
    }
}

/// What a token has at one path.
pub(super) struct Granted(pub(super) Vec<String>);

impl Granted {
    pub(super) fn has(&self, capability: &str) -> bool {
        let Self(granted) = self;
        granted.iter().any(|other| other == capability || other == "root")
            && !granted.iter().any(|other| other == "deny")
    }

    /// Those of `wanted` that it has not.
    pub(super) fn lacks<'a>(&self, wanted: impl IntoIterator<Item = &'a &'static str>) -> Vec<&'static str> {
        wanted.into_iter().copied().filter(|capability| !self.has(capability)).collect()
    }
}

/// The rights about each mount, and under `None` those about none.
pub(super) fn by_mount(rights: &[Right]) -> BTreeMap<Option<&str>, Vec<&Right>> {
    let mut mounts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for right in rights {
        mounts.entry(right.mount.as_ref().map(crate::kv::Mount::as_str)).or_default().push(right);
    }
    mounts
}
