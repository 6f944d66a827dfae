//! How much of a secret is copied: its newest value, its metadata as well, or all of its versions.

use serde::{Deserialize, Serialize};

use crate::kv::SecretPath;

/// How much of a secret is copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// The newest value.
    #[default]
    Value,
    /// Also `custom_metadata`, `max_versions`, `cas_required` and `delete_version_after`, kept in step when they change
    /// alone.
    Metadata,
    /// All versions in order, soft-deleted and destroyed ones too, and metadata.
    History,
}

/// Why something of a secret cannot be made equal at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unequal {
    /// The versions have other numbers there: older ones are no longer kept at the origin, or others lie before them.
    Numbers,
    /// Soft-deleted at the origin when they were copied, so that their values could not be read.
    Unreadable,
    /// Undeleted at the origin since they were copied without their values.
    Late,
    /// Destroyed at the destination, and not at the origin.
    Lost,
    /// No longer kept at the destination, which keeps fewer versions.
    NotKept,
}

impl Unequal {
    /// What it means, as the predicate of "versions that".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "have another number there, because older ones are not kept or others lie before them",
            Self::Unreadable => "were soft-deleted, so that their values could not be read: empty ones stand for them",
            Self::Late => "were undeleted after an empty one was written for them, which stays deleted",
            Self::Lost => "are destroyed there, and not at the origin",
            Self::NotKept => "are no longer kept there: the mount's max_versions is lower",
        }
    }
}

/// Secrets with something that could not be made equal, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnequalSecrets {
    /// The reason.
    pub reason: Unequal,
    /// How many secrets.
    pub secrets: u64,
    /// How many of their versions.
    pub versions: u64,
    /// The first few of them.
    pub examples: Vec<UnequalExample>,
}

/// A secret with something that could not be made equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnequalExample {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// Some of the origin's versions that are concerned.
    pub versions: Vec<u64>,
}

/// What a cycle copied beside values, and what it could not make equal. Times are never equal, so nothing is said of them
/// here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FidelityReport {
    /// How much of each secret was to be copied.
    pub fidelity: Fidelity,
    /// Updates that wrote no value.
    pub metadata_only: u64,
    /// What could not be made equal.
    #[serde(default)]
    pub unequal: Vec<UnequalSecrets>,
}

/// How many secrets, and versions of each, are named.
const EXAMPLES: usize = 5;

impl FidelityReport {
    pub(super) fn new(fidelity: Fidelity) -> Option<Self> {
        (fidelity != Fidelity::Value).then(|| Self { fidelity, ..Self::default() })
    }

    /// Takes in one secret.
    pub(super) fn take(&mut self, origin: &SecretPath, metadata_only: bool, unequal: &[(Unequal, Vec<u64>)]) {
        self.metadata_only += u64::from(metadata_only);
        for (reason, versions) in unequal {
            let at = self.unequal.binary_search_by_key(reason, |known| known.reason).unwrap_or_else(|at| {
                let none = UnequalSecrets { reason: *reason, secrets: 0, versions: 0, examples: Vec::new() };
                self.unequal.insert(at, none);
                at
            });
            let known = &mut self.unequal[at];
            known.secrets += 1;
            known.versions += versions.len() as u64;
            if known.examples.len() < EXAMPLES {
                let versions = versions.iter().copied().take(EXAMPLES).collect();
                known.examples.push(UnequalExample { origin: origin.clone(), versions });
            }
        }
    }

    /// It in sentences, for people: what could not be made equal, with examples. Names are as the servers have them.
    #[must_use]
    pub fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        if self.metadata_only > 0 {
            let secrets = counted(self.metadata_only, "secret was", "secrets were");
            said.push(format!("{secrets} brought in step without writing a value"));
        }
        for UnequalSecrets { reason, secrets, versions, examples } in &self.unequal {
            let example = |example: &UnequalExample| {
                let versions: Vec<String> = example.versions.iter().map(u64::to_string).collect();
                format!("{} ({})", example.origin, versions.join(", "))
            };
            let named: Vec<String> = examples.iter().map(example).collect();
            let more = if *secrets > named.len() as u64 { ", …" } else { "" };
            said.push(format!(
                "not equal: {versions} versions of {secrets} secrets {}: {}{more}",
                reason.as_str(),
                named.join(", ")
            ));
        }
        said.push("not equal, ever: the times of versions; they count from when each was written there".to_owned());
        said
    }
}

fn counted(count: u64, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Mount;

    #[test]
    fn a_hundred_thousand_secrets_make_a_short_report() {
        let mut report = FidelityReport::new(Fidelity::History).expect("one");
        assert_eq!(FidelityReport::new(Fidelity::Value), None);
        let mount = Mount::parse("secret").expect("a mount");
        for number in 0..100_000 {
            let path = SecretPath::new(&mount, &format!("app-{number}"));
            let unequal = [(Unequal::Unreadable, (1..=9).collect()), (Unequal::Numbers, vec![9])];
            report.take(&path, number % 2 == 0, &unequal);
        }
        let json = serde_json::to_string(&report).expect("text");
        assert!(json.len() < 1_000, "{json}");
        assert_eq!(serde_json::from_str::<FidelityReport>(&json).expect("a report"), report);
        let said = report.sentences().join("\n");
        assert!(said.contains("50000 secrets were brought in step"), "{said}");
        assert!(said.contains("900000 versions of 100000 secrets were soft-deleted"), "{said}");
        assert!(said.contains("secret/app-0 (1, 2, 3, 4, 5)") && said.contains(", …"), "{said}");
        assert!(said.find("another number").expect("one") < said.find("soft-deleted").expect("the other"), "{said}");
    }
}
