//! What of a token's policies stood in the way, and the lines that would let it pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Side;
use super::plan::{DestinationName, Operation};
use super::report::{Cause, Failure};
use crate::kv::{SecretPath, is_literal};
use crate::vault::READ_V1;

/// How many patterns a policy may have before they are made wider.
const PATTERNS: usize = 8;

/// A request that a token's policies did not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Reading the secret at the origin.
    OriginRead,
    /// Reading it at the origin, where its engine is KV version 1.
    OriginReadV1,
    /// Reading its metadata at the origin.
    OriginMetadata,
    /// Reading what is at the destination.
    Read,
    /// Reading the metadata of what is at the destination.
    Metadata,
    /// Writing at the destination.
    Write,
    /// Writing the metadata of what is at the destination.
    WriteMetadata,
    /// Deleting at the destination.
    Delete,
    /// Destroying versions at the destination.
    Destroy,
    /// Removing a secret with all its versions from the destination.
    Purge,
    /// Taking a delete back at the destination.
    Undelete,
    /// Deleting single versions at the destination.
    DeleteVersions,
}

impl Access {
    /// Of a request, by what the Vault client calls it.
    pub(super) fn of(at_origin: bool, operation: &str) -> Option<Self> {
        Some(match (at_origin, operation) {
            (true, "read secret" | "read an older version of") => Self::OriginRead,
            (true, READ_V1) => Self::OriginReadV1,
            (true, "read metadata of") => Self::OriginMetadata,
            (false, "read secret" | "read an older version of") => Self::Read,
            (false, "read metadata of") => Self::Metadata,
            (false, "write secret") => Self::Write,
            (false, "write metadata of") => Self::WriteMetadata,
            (false, "delete secret") => Self::Delete,
            (false, "destroy secret") => Self::Destroy,
            (false, "purge secret") => Self::Purge,
            (false, "undelete secret") => Self::Undelete,
            (false, "delete versions of") => Self::DeleteVersions,
            _ => return None,
        })
    }

    /// Whether it is the origin's policies that are to be changed.
    fn is_at_origin(self) -> bool {
        matches!(self, Self::OriginRead | Self::OriginReadV1 | Self::OriginMetadata)
    }

    /// The part of the API under the mount, with a slash at its end; KV version 1 has none.
    fn part(self) -> &'static str {
        match self {
            Self::OriginRead | Self::Read | Self::Write | Self::Delete => "data/",
            Self::OriginReadV1 => "",
            Self::OriginMetadata | Self::Metadata | Self::WriteMetadata | Self::Purge => "metadata/",
            Self::Destroy => "destroy/",
            Self::Undelete => "undelete/",
            Self::DeleteVersions => "delete/",
        }
    }

    /// Whether a secret is there is the server's to say, so that writing takes both of its capabilities.
    fn capabilities(self) -> &'static [&'static str] {
        match self {
            Self::OriginRead | Self::OriginReadV1 | Self::OriginMetadata | Self::Read | Self::Metadata => &["read"],
            Self::Write | Self::WriteMetadata => &["create", "update"],
            Self::Delete | Self::Purge => &["delete"],
            Self::Destroy | Self::Undelete | Self::DeleteVersions => &["update"],
        }
    }
}

impl Failure {
    /// What it was that the token's policies did not allow. Reports of earlier programs do not say it; their messages do.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        if self.cause != Cause::Permission {
            return None;
        }
        self.denied.or_else(|| {
            let says = |text: &str| self.message.contains(text);
            Some(match self.operation {
                _ if says("origin") && says("metadata") => Access::OriginMetadata,
                _ if says("metadata") => Access::Metadata,
                _ if says("compared") => Access::Read,
                _ if says("read: ") => Access::OriginRead,
                Operation::Add | Operation::Update => Access::Write,
                Operation::Delete => Access::Delete,
                Operation::Destroy => Access::Destroy,
                Operation::Purge => Access::Purge,
            })
        })
    }
}

/// One rule of a policy. Shown on one line, or with `{:#}` as people write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stanza {
    /// The path, or the pattern, as policies have it.
    pub path: String,
    /// What it allows there.
    pub capabilities: Vec<&'static str>,
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.replace('\\', "\\\\").replace('"', "\\\"");
        let Self { capabilities, .. } = self;
        if f.alternate() {
            write!(f, "path \"{path}\" {{\n  capabilities = {capabilities:?}\n}}")
        } else {
            write!(f, "path \"{path}\" {{ capabilities = {capabilities:?} }}")
        }
    }
}

/// What one server's policy for vsync lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPolicy {
    /// The server.
    pub side: Side,
    /// How many secrets it concerns.
    pub secrets: usize,
    /// The rules to add.
    pub stanzas: Vec<Stanza>,
    /// How many of the refused paths have no rule among them: what is in their names would let a rule allow more.
    pub left_out: usize,
}

impl fmt::Display for MissingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = if self.secrets == 1 { "secret was" } else { "secrets were" };
        match &self.side {
            Side::Origin => write!(f, "# origin: {} {secrets} refused", self.secrets)?,
            Side::Destination(name) => write!(f, "# destination {name}: {} {secrets} refused", self.secrets)?,
        }
        for stanza in &self.stanzas {
            write!(f, "\n{stanza:#}")?;
        }
        match self.left_out {
            0 => Ok(()),
            1 => write!(f, "\n# 1 path has no rule here: a policy cannot name it without allowing others"),
            count => {
                write!(f, "\n# {count} paths have no rule here: a policy cannot name them without allowing others")
            }
        }
    }
}

/// The rules that would have let these failures pass: for each server those of the paths that were refused, and no others.
/// Folders in which several were refused are named as a whole.
#[must_use]
pub fn missing_policies<'a>(
    failures: impl IntoIterator<Item = (&'a DestinationName, &'a Failure)>,
) -> Vec<MissingPolicy> {
    let mut origin = Refused::default();
    let mut destinations: BTreeMap<&DestinationName, Refused> = BTreeMap::new();
    for (name, failure) in failures {
        let Some(access) = failure.access() else { continue };
        if access.is_at_origin() {
            origin.add(access, &failure.origin);
        } else {
            destinations.entry(name).or_default().add(access, &failure.destination);
        }
    }
    let of_origin = (!origin.is_empty()).then(|| origin.policy(Side::Origin));
    let others = destinations.into_iter().map(|(name, refused)| refused.policy(Side::Destination(name.clone())));
    of_origin.into_iter().chain(others).collect()
}

/// What a server refused.
#[derive(Default)]
struct Refused<'a>(BTreeMap<Access, BTreeSet<&'a SecretPath>>);

impl<'a> Refused<'a> {
    fn add(&mut self, access: Access, path: &'a SecretPath) {
        self.0.entry(access).or_default().insert(path);
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn policy(self, side: Side) -> MissingPolicy {
        let secrets = self.0.values().flatten().collect::<BTreeSet<_>>().len();
        // one rule a path: of two rules for the same one, policies let only the last hold
        let mut rules: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
        let mut left_out = BTreeSet::new();
        for (access, paths) in self.0 {
            let mut by_mount: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for path in paths {
                if is_literal(path.name()) {
                    by_mount.entry(path.mount()).or_default().push(path.name());
                } else {
                    left_out.insert(path);
                }
            }
            for (mount, names) in by_mount {
                for pattern in generalised(&names) {
                    let rule = rules.entry(format!("{mount}{}{pattern}", access.part())).or_default();
                    rule.extend(access.capabilities());
                }
            }
        }
        let stanza = |(path, capabilities): (String, BTreeSet<&'static str>)| Stanza {
            path,
            capabilities: capabilities.into_iter().collect(),
        };
        MissingPolicy { side, secrets, stanzas: rules.into_iter().map(stanza).collect(), left_out: left_out.len() }
    }
}

/// Patterns for these names: a folder with several of them as a whole (`team/app/*`), others as they are. When that makes
/// too many, folders further up.
fn generalised(names: &[&str]) -> BTreeSet<String> {
    let deepest = names.iter().map(|name| name.matches('/').count()).max().unwrap_or(0);
    for depth in (0..=deepest).rev() {
        let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for name in names {
            folders.entry(folder_at(name, depth)).or_default().push(name);
        }
        let pattern = |(folder, inside): (&str, Vec<&str>)| match inside[..] {
            [only] => only.to_owned(),
            _ => format!("{folder}*"),
        };
        let patterns: BTreeSet<String> = folders.into_iter().map(pattern).collect();
        if patterns.len() <= PATTERNS || depth == 0 {
            return without_covered(&patterns);
        }
    }
    BTreeSet::new()
}

/// The folder of a name, cut off at so many levels: `a/b/` of `a/b/c/d` at two.
fn folder_at(name: &str, depth: usize) -> &str {
    let mut ends = name.match_indices('/').map(|(at, _)| at + 1).take(depth);
    name.get(..ends.by_ref().last().unwrap_or(0)).unwrap_or_default()
}

/// Leaves out what a wider pattern among them includes.
fn without_covered(patterns: &BTreeSet<String>) -> BTreeSet<String> {
    let covers = |wide: &String, narrow: &String| {
        wide != narrow && wide.strip_suffix('*').is_some_and(|folder| narrow.starts_with(folder))
    };
    patterns.iter().filter(|one| !patterns.iter().any(|other| covers(other, one))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Mount;
    use jiff::Timestamp;

    fn failure(name: &str, operation: Operation, denied: Option<Access>, message: &str) -> Failure {
        let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), name);
        Failure {
            operation,
            origin: path.clone(),
            destination: path,
            insight: None,
            cause: Cause::Permission,
            message: message.to_owned(),
            attempts: 1,
            at: Timestamp::UNIX_EPOCH,
            denied,
        }
    }

    #[test]
    fn what_a_rule_would_stretch_is_left_out_and_told() {
        let name = DestinationName::new("there");
        let names = ["team/*", "team/+/app", "{{identity}}", "${a}", "line\nbreak", "team/*/ok", "c++/app", "ok"];
        let failures = names.map(|name| failure(name, Operation::Add, Some(Access::Write), ""));
        let [policy] = &missing_policies(failures.iter().map(|failure| (&name, failure)))[..] else { panic!("one") };
        let paths: Vec<_> = policy.stanzas.iter().map(|stanza| stanza.path.as_str()).collect();
        assert_eq!(paths, ["secret/data/c++/app", "secret/data/ok", "secret/data/team/*/ok"]);
        assert!(
            policy
                .to_string()
                .ends_with("# 5 paths have no rule here: a policy cannot name them without allowing others")
        );
    }

    fn rules(failures: &[Failure]) -> Vec<String> {
        let name = DestinationName::new("there");
        let policies = missing_policies(failures.iter().map(|failure| (&name, failure)));
        policies.iter().flat_map(|policy| policy.stanzas.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn a_folder_with_several_is_named_as_a_whole_and_nothing_beside_it() {
        let write = |name| failure(name, Operation::Add, Some(Access::Write), "write: permission denied");
        let refused = ["team/app/a", "team/app/b", "team/app/deep/c", "other/x"].map(write);
        let expected = [
            r#"path "secret/data/other/x" { capabilities = ["create", "update"] }"#,
            r#"path "secret/data/team/app/*" { capabilities = ["create", "update"] }"#,
        ];
        assert_eq!(rules(&refused), expected);
        assert_eq!(rules(&refused[3..]), expected[..1], "one secret is named alone");
    }

    #[test]
    fn many_folders_become_one_further_up() {
        let names = (0..20).flat_map(|at| [format!("team/app-{at}/a"), format!("team/app-{at}/b")]);
        let refused: Vec<_> =
            names.map(|name| failure(&name, Operation::Update, Some(Access::Write), "write: denied")).collect();
        assert_eq!(rules(&refused), [r#"path "secret/data/team/*" { capabilities = ["create", "update"] }"#]);
    }

    #[test]
    fn each_server_gets_the_rules_it_lacks() {
        let name = DestinationName::new("there");
        let refused = [
            failure("a", Operation::Add, Some(Access::OriginRead), "read: permission denied"),
            failure("b", Operation::Delete, Some(Access::Delete), "delete: permission denied"),
            failure("b", Operation::Delete, Some(Access::Metadata), "read metadata of: permission denied"),
        ];
        let policies = missing_policies(refused.iter().map(|failure| (&name, failure)));
        let [origin, there] = &policies[..] else { panic!("{policies:?}") };
        assert_eq!(
            origin.to_string(),
            "# origin: 1 secret was refused\npath \"secret/data/a\" {\n  capabilities = [\"read\"]\n}"
        );
        assert_eq!((&there.side, there.secrets), (&Side::Destination(name), 1));
        assert_eq!(there.stanzas.len(), 2);
    }

    #[test]
    fn one_path_has_one_rule() {
        let refused = [
            failure("a", Operation::Update, Some(Access::Write), "write: permission denied"),
            failure("a", Operation::Update, Some(Access::Read), "read: permission denied"),
        ];
        assert_eq!(rules(&refused), [r#"path "secret/data/a" { capabilities = ["create", "read", "update"] }"#]);
    }

    #[test]
    fn what_earlier_programs_reported_is_understood() {
        let access = |operation, message: &str| failure("a", operation, None, message).access();
        let gone =
            "not deleted, because the origin did not confirm that it is gone: read metadata of: permission denied";
        assert_eq!(access(Operation::Delete, gone), Some(Access::OriginMetadata));
        assert_eq!(access(Operation::Add, "read: permission denied"), Some(Access::OriginRead));
        assert_eq!(access(Operation::Add, "write: permission denied"), Some(Access::Write));
        assert_eq!(access(Operation::Delete, "delete: permission denied"), Some(Access::Delete));
    }

    #[test]
    fn quotes_do_not_end_the_path() {
        let stanza = Stanza { path: "secret/data/a\"b".to_owned(), capabilities: vec!["read"] };
        assert_eq!(stanza.to_string(), r#"path "secret/data/a\"b" { capabilities = ["read"] }"#);
    }
}
