//! The sides of a configuration, with the rights that their tokens need.

use std::collections::BTreeMap;

use super::object::RuleObject;
use crate::config::{Config, Consul, Vault};
use crate::connect::{self, ConnectError, SideName};
use crate::engine::{DestinationUse, Extra, OnDelete, OriginUse, Right, Rights, meet};
use crate::kv::{Mount, PathFilter};
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
    /// The versions of its KV engines, as configured; of the origin only.
    pub(super) kv_versions: BTreeMap<Mount, EngineKind>,
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

    /// What its token always needs in one mount, which has turned out to be of this version.
    pub(super) fn rights_in(&self, mount: &Mount, kind: EngineKind) -> Vec<Right> {
        let rights = match &self.used {
            Used::Origin(used) => {
                let v1_mounts = if kind == EngineKind::KvV1 { vec![mount.clone()] } else { Vec::new() };
                OriginUse { v1_mounts, ..used.clone() }.rights(&[])
            }
            Used::Destination(used) => used.rights(&[]),
        };
        rights.always.into_iter().filter(|right| right.mount.as_ref() == Some(mount)).collect()
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
    // a mount that the globs leave out as a whole is not listed
    let taken = PathFilter::new(&origin.include, &origin.exclude, &mounts)?;
    let listed: Vec<Mount> = mounts.iter().filter(|mount| taken.may_admit_below(mount.as_str())).cloned().collect();
    let kv_versions = connect::kv_versions(config, &mounts)?;
    let of_v1 = kv_versions.iter().filter(|(_, kind)| **kind == EngineKind::KvV1);
    let v1_mounts: Vec<Mount> = of_v1.map(|(mount, _)| mount.clone()).collect();
    let mut copied = Some(Vec::new());
    let mut destinations = Vec::with_capacity(config.destinations.len());
    for destination in &config.destinations {
        let scopes = meet(&of_origin, &filter(&destination.include)?);
        let transforms = connect::transforms(destination)?;
        let there = connect::mounts(&destination.mounts)?;
        let used = DestinationUse {
            places: DestinationUse::places(&listed, scopes.as_deref(), &transforms, &there),
            on_delete: destination.on_delete,
            creates_mounts: destination.create_mounts,
            compares: !destination.canary.is_empty() || !v1_mounts.is_empty(),
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
            kv_versions: BTreeMap::new(),
        });
    }
    let used = OriginUse {
        mounts: listed,
        scopes: of_origin.scopes().map(<[_]>::to_vec),
        copied,
        listing: origin.listing,
        copies: !config.destinations.is_empty(),
        deletes: config.destinations.iter().any(|one| one.on_delete != OnDelete::Ignore),
        creates_mounts: config.destinations.iter().any(|one| one.create_mounts),
        v1_mounts,
        fidelity: config.destinations.iter().map(|one| one.fidelity).max().unwrap_or_default(),
        logs_in: logs_in(&origin.vault),
    };
    let origin = Side {
        label: "origin",
        name: SideName::origin(),
        vault: &origin.vault,
        consul: origin.consul.as_ref(),
        mounts: &origin.mounts,
        sync_path: &origin.sync_path,
        used: Used::Origin(used),
        kv_versions,
    };
    Ok(std::iter::once(origin).chain(destinations).collect())
}

/// Whether another login brings another token. A token that is given beside a login goes before it, and with a wrapped
/// secret id there may be no second one.
fn logs_in(vault: &Vault) -> bool {
    let Vault { approle, kubernetes, jwt, userpass, ldap, cert, token, .. } = vault;
    let has_login = approle.as_ref().is_some_and(|login| !login.secret_id_wrapped)
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
