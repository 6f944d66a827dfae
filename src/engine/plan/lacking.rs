//! What a copy that is recorded lacks of its secret at the origin.

use super::Source;
use crate::engine::Fidelity;
use crate::kv::{MetadataDigest, SecretPath};
use crate::state::{Ledger, LedgerEntry};
use crate::sync_info::Insight;

/// A secret that is recorded as copied.
pub(super) struct Copy<'a> {
    /// The origin's path.
    pub(super) path: &'a SecretPath,
    /// The destination's.
    pub(super) target: &'a SecretPath,
    /// The origin's insight when it was copied.
    pub(super) recorded: &'a Insight,
    /// What vsync did at the destination, all of it.
    pub(super) ledger: &'a Ledger,
}

impl Copy<'_> {
    /// What is to be copied of it now that the origin has `insight` and `digest`. Without a digest (it was read from the
    /// sync info, or a listing did not tell) only newer values are known of.
    pub(super) fn lacks(
        &self,
        insight: &Insight,
        digest: Option<&MetadataDigest>,
        fidelity: Fidelity,
    ) -> Option<Source> {
        let newer = insight.calls_for_copy(self.recorded);
        let value = newer.then_some(Source::Origin);
        let Some(digest) = digest else { return value };
        let entry = match self.ledger.get(self.target) {
            // a vsync without a ledger has copied it, perhaps after us: the value is as recorded, the metadata is not known
            None => return Some(value.unwrap_or(Source::Metadata)),
            Some(entry) if entry.is_behind(self.recorded) => return Some(value.unwrap_or(Source::Metadata)),
            Some(entry) => entry,
        };
        if !self.is_vsyncs(entry) {
            return value;
        }
        let Some(copied) = entry.digest.as_deref() else { return Some(value.unwrap_or(Source::Metadata)) };
        let same_metadata = match fidelity {
            Fidelity::Value => true,
            Fidelity::Metadata => copied.settings == digest.settings,
            Fidelity::History => copied.settings == digest.settings && copied.versions == digest.versions,
        };
        match value {
            // some servers move the update time when only metadata changes
            Some(_) if insight.version == self.recorded.version && copied.value == digest.value => {
                Some(Source::Metadata)
            }
            None if !same_metadata => Some(Source::Metadata),
            value => value,
        }
    }

    /// Whether what vsync wrote is what is there, as far as anybody knows.
    fn is_vsyncs(&self, entry: &LedgerEntry) -> bool {
        entry.version > 0 && !entry.deleted && entry.foreign.is_none() && entry.origin == *self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::insight;
    use crate::kv::Mount;
    use crate::state::Foreign;

    fn path() -> SecretPath {
        SecretPath::new(&Mount::parse("secret").expect("a mount"), "a")
    }

    fn digest(value: u64, settings: u64) -> MetadataDigest {
        MetadataDigest { value, settings, versions: 0, since: 0 }
    }

    fn entry(copied: Option<MetadataDigest>) -> LedgerEntry {
        LedgerEntry {
            origin: path(),
            insight: insight(2),
            version: 5,
            deleted: false,
            awaits_removal: false,
            foreign: None,
            digest: copied.map(Box::new),
            at: jiff::Timestamp::now(),
        }
    }

    fn lacks(entry: Option<LedgerEntry>, present: Insight, digest: Option<MetadataDigest>) -> Option<Source> {
        let mut ledger = Ledger::empty();
        if let Some(entry) = entry {
            ledger.insert(path(), entry);
        }
        let (path, recorded) = (path(), insight(2));
        let copy = Copy { path: &path, target: &path, recorded: &recorded, ledger: &ledger };
        copy.lacks(&present, digest.as_ref(), Fidelity::Metadata)
    }

    /// The same version with a later update time.
    fn touched() -> Insight {
        Insight { version: 2, ..insight(9) }
    }

    #[test]
    fn metadata_that_changed_alone_is_told_from_a_new_value() {
        let copied = || Some(entry(Some(digest(1, 1))));
        assert_eq!(lacks(copied(), insight(2), Some(digest(1, 1))), None);
        assert_eq!(lacks(copied(), insight(2), Some(digest(1, 2))), Some(Source::Metadata));
        assert_eq!(lacks(copied(), touched(), Some(digest(1, 2))), Some(Source::Metadata), "as OpenBao has it");
        assert_eq!(lacks(copied(), touched(), Some(digest(1, 1))), Some(Source::Metadata), "changed there and back");
        assert_eq!(lacks(copied(), touched(), Some(digest(2, 1))), Some(Source::Origin), "purged and written anew");
        assert_eq!(lacks(copied(), insight(3), Some(digest(3, 2))), Some(Source::Origin));
    }

    #[test]
    fn metadata_that_was_never_copied_is_lacking() {
        for never in [None, Some(entry(None)), Some(LedgerEntry { insight: insight(1), ..entry(Some(digest(1, 1))) })] {
            assert_eq!(lacks(never.clone(), insight(2), Some(digest(1, 1))), Some(Source::Metadata), "{never:?}");
            assert_eq!(lacks(never, touched(), Some(digest(1, 1))), Some(Source::Origin), "the value may be another");
        }
    }

    #[test]
    fn nothing_is_said_without_a_digest_or_about_what_is_not_ours() {
        assert_eq!(lacks(Some(entry(Some(digest(1, 1)))), insight(2), None), None);
        assert_eq!(lacks(Some(entry(Some(digest(1, 1)))), touched(), None), Some(Source::Origin));
        let foreign = Some(Foreign { version: 6, insight: insight(2), kept: true });
        for not_ours in [
            LedgerEntry { foreign, ..entry(Some(digest(1, 1))) },
            LedgerEntry { deleted: true, ..entry(Some(digest(1, 1))) },
            LedgerEntry { version: 0, ..entry(None) },
        ] {
            assert_eq!(lacks(Some(not_ours.clone()), insight(2), Some(digest(1, 2))), None, "{not_ours:?}");
        }
    }

    #[test]
    fn the_state_of_an_older_version_matters_for_a_history_alone() {
        let mut ledger = Ledger::empty();
        let copied = MetadataDigest { versions: 8, ..digest(1, 1) };
        ledger.insert(path(), entry(Some(copied)));
        let (path, recorded) = (path(), insight(2));
        let copy = Copy { path: &path, target: &path, recorded: &recorded, ledger: &ledger };
        let changed = MetadataDigest { versions: 9, ..copied };
        for (fidelity, lacking) in [(Fidelity::Metadata, None), (Fidelity::History, Some(Source::Metadata))] {
            assert_eq!(copy.lacks(&insight(2), Some(&changed), fidelity), lacking);
            assert_eq!(copy.lacks(&insight(2), Some(&copied), fidelity), None);
        }
    }
}
