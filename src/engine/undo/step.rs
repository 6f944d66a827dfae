//! One secret: what a cycle did to it, what is there now, and how to put it back.

use jiff::Timestamp;

use crate::kv::SecretPath;
use crate::state::{Change, ChangeKind};
use crate::sync_info::Insight;
use crate::vault::{Metadata, VersionInfo};

/// What all changes of a cycle made of one path.
#[derive(Debug, Clone)]
pub(super) struct Changed {
    pub(super) origin: SecretPath,
    /// What the sync info said before the first one.
    pub(super) insight_before: Option<Insight>,
    /// Whether somebody else had written what was there before the first one.
    pub(super) over_foreign: bool,
    /// What was there before the first one.
    before: Before,
    /// The version the last one left there.
    after: u64,
    /// Whether that can be read.
    live: bool,
}

#[derive(Debug, Clone, Copy)]
enum Before {
    /// Nothing that can be read.
    Nothing,
    /// This version, then the newest one, be it deleted; replaced at this time.
    Replaced(u64, Timestamp),
    /// This version, which was there to be deleted. 0: nobody knows which.
    Deleted(u64),
    /// What no server keeps any more: it was destroyed or purged.
    Lost(&'static str),
}

impl Changed {
    pub(super) fn new(first: &Change) -> Self {
        let before = match first.kind {
            ChangeKind::Deleted | ChangeKind::DeletedForNow => Before::Deleted(first.before),
            ChangeKind::Destroyed => Before::Lost("destroyed"),
            ChangeKind::Purged => Before::Lost("purged"),
            ChangeKind::Written if first.before > 0 => Before::Replaced(first.before, first.at),
            // what was restored could not be read before
            _ => Before::Nothing,
        };
        let Change { insight_before, over_foreign, .. } = *first;
        let origin = first.origin.clone();
        let mut changed = Self { origin, insight_before, over_foreign, before, after: 0, live: false };
        changed.go_on(first);
        changed
    }

    /// Takes in a later change.
    pub(super) fn go_on(&mut self, change: &Change) {
        self.live = !change.kind.is_delete();
        self.after = if self.live { change.version } else { change.before };
    }
}

/// How to put a secret back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Soft-delete this version.
    Delete(u64),
    /// Write the data of `version` again, over version `over`.
    Write { version: u64, over: u64 },
    /// Make this version readable again.
    Undelete(u64),
    /// It is as it was.
    Already,
    /// It cannot be done. The reason.
    Impossible(String),
}

/// Decides by the destination's metadata of the path (`None`: there is nothing) and the version that the ledger says is
/// vsync's.
pub(super) fn step(changed: &Changed, metadata: Option<&Metadata>, ours: Option<u64>) -> Step {
    let impossible = |reason: String| Step::Impossible(reason);
    let Changed { before, after, live, .. } = *changed;
    let by_whom = |version: u64| {
        if ours == Some(version) { "a later cycle" } else { "somebody else" }
    };
    if let Before::Lost(how) = before {
        return impossible(format!("the cycle {how} it for good, and nothing can bring it back"));
    }
    let Some(metadata) = metadata else {
        return match before {
            Before::Nothing => Step::Already,
            _ => impossible("it was removed with all its versions".to_owned()),
        };
    };
    if matches!(before, Before::Deleted(0)) {
        return impossible("the cycle could not find out which version it deleted".to_owned());
    }
    let current = metadata.current_version;
    if current != after {
        let who = by_whom(current);
        return impossible(format!("{who} has changed it since: version {current} is there, the cycle left {after}"));
    }
    let Some(newest) = metadata.versions.get(&current) else {
        return impossible(format!("the server does not say whether version {current} can be read"));
    };
    let readable = metadata.key_info().live;
    match before {
        Before::Nothing if readable => Step::Delete(current),
        Before::Nothing | Before::Lost(_) => Step::Already,
        Before::Deleted(version) if version == current => match (live, readable) {
            (_, true) => Step::Already,
            (_, false) if newest.destroyed => impossible(format!("version {current} was destroyed")),
            (_, false) => Step::Undelete(current),
        },
        Before::Deleted(version) => again(metadata, version, current, None),
        Before::Replaced(version, at) => {
            match again(metadata, version, current, Some(written(metadata, version, at))) {
                Step::Write { .. } if live && !readable => {
                    impossible("it was deleted since, by a later cycle or by somebody else".to_owned())
                }
                step => step,
            }
        }
    }
}

/// When the version behind `version` was written: by the server's clock if it still knows, else by ours.
fn written(metadata: &Metadata, version: u64, at: Timestamp) -> Timestamp {
    metadata.versions.get(&(version + 1)).map_or(at, |next| next.created_time)
}

/// How to have the data of `version` again over `current`. `replaced`: when it was written over, if it was.
fn again(metadata: &Metadata, version: u64, current: u64, replaced: Option<Timestamp>) -> Step {
    let now = Timestamp::now();
    match metadata.versions.get(&version) {
        None => Step::Impossible(format!(
            "version {version}, which was there before, is no longer kept: the oldest one is {}",
            metadata.oldest_version
        )),
        Some(VersionInfo { destroyed: true, .. }) => {
            Step::Impossible(format!("version {version}, which was there before, is destroyed"))
        }
        Some(VersionInfo { deletion_time: Some(deleted), .. }) if *deleted <= now => match replaced {
            Some(replaced) if *deleted <= replaced && metadata.key_info().live => Step::Delete(current),
            Some(replaced) if *deleted <= replaced => Step::Already,
            _ => Step::Impossible(format!("version {version}, which was there before, was deleted since")),
        },
        Some(_) => Step::Write { version, over: current },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::testing::insight;
    use crate::kv::Mount;

    const OLDEST: u64 = 2;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn change(kind: ChangeKind, before: u64, version: u64, second: i64) -> Change {
        let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), "a");
        Change {
            kind,
            origin: path.clone(),
            destination: path,
            before,
            version,
            insight_before: Some(insight(1)),
            insight: Some(insight(2)),
            over_foreign: false,
            digest: None,
            at: at(second),
        }
    }

    /// Versions from [`OLDEST`] to `current`, each written at the second of its number, some of them deleted at a second
    /// or destroyed.
    fn metadata(current: u64, deleted: &[(u64, i64)], destroyed: &[u64]) -> Metadata {
        let version = |number: u64| VersionInfo {
            created_time: at(i64::try_from(number).expect("a small number")),
            deletion_time: deleted.iter().find(|(version, _)| *version == number).map(|(_, second)| at(*second)),
            destroyed: destroyed.contains(&number),
        };
        Metadata {
            current_version: current,
            oldest_version: OLDEST,
            created_time: at(0),
            updated_time: at(i64::try_from(current).expect("a small number")).into(),
            max_versions: 0,
            cas_required: false,
            delete_version_after: String::new(),
            custom_metadata: BTreeMap::new(),
            metadata_version: None,
            versions: (OLDEST..=current).map(|number| (number, version(number))).collect(),
        }
    }

    fn decide(changes: &[Change], metadata: Option<&Metadata>) -> String {
        let mut all = Changed::new(&changes[0]);
        changes[1..].iter().for_each(|change| all.go_on(change));
        format!("{:?}", step(&all, metadata, Some(9)))
    }

    #[test]
    fn what_was_written_is_deleted_or_written_back() {
        let added = [change(ChangeKind::Written, 0, 3, 3)];
        assert_eq!(decide(&added, Some(&metadata(3, &[], &[]))), "Delete(3)");
        assert_eq!(decide(&added, Some(&metadata(3, &[(3, 8)], &[]))), "Already");
        assert_eq!(decide(&added, None), "Already");
        let updated = [change(ChangeKind::Written, 3, 4, 4)];
        assert_eq!(decide(&updated, Some(&metadata(4, &[], &[]))), "Write { version: 3, over: 4 }");
        // it had been deleted when it was written over, and so is deleted again
        assert_eq!(decide(&updated, Some(&metadata(4, &[(3, 3)], &[]))), "Delete(4)");
        let twice = [change(ChangeKind::Written, 3, 4, 4), change(ChangeKind::Written, 4, 5, 5)];
        assert_eq!(decide(&twice, Some(&metadata(5, &[], &[]))), "Write { version: 3, over: 5 }");
        let then_deleted = [change(ChangeKind::Written, 3, 4, 4), change(ChangeKind::Deleted, 4, 4, 5)];
        assert_eq!(decide(&then_deleted, Some(&metadata(4, &[(4, 5)], &[]))), "Write { version: 3, over: 4 }");
    }

    #[test]
    fn what_was_deleted_is_undeleted() {
        let unknown = [change(ChangeKind::Deleted, 0, 0, 5)];
        assert!(decide(&unknown, Some(&metadata(3, &[(3, 5)], &[]))).contains("could not find out"));
        let deleted = [change(ChangeKind::Deleted, 3, 3, 5)];
        assert_eq!(decide(&deleted, Some(&metadata(3, &[(3, 5)], &[]))), "Undelete(3)");
        assert_eq!(decide(&deleted, Some(&metadata(3, &[], &[]))), "Already");
        let restored = [change(ChangeKind::Restored, 3, 3, 6)];
        assert_eq!(decide(&restored, Some(&metadata(3, &[], &[]))), "Delete(3)");
        assert_eq!(decide(&restored, Some(&metadata(3, &[(3, 7)], &[]))), "Already");
    }

    #[test]
    fn what_others_changed_and_what_is_lost_stays() {
        let updated = [change(ChangeKind::Written, 3, 4, 4)];
        let deleted = [change(ChangeKind::Deleted, 3, 3, 5)];
        for (changes, metadata, reason) in [
            (
                &updated,
                Some(metadata(5, &[], &[])),
                "somebody else has changed it since: version 5 is there, the cycle left 4",
            ),
            (&updated, Some(metadata(9, &[], &[])), "a later cycle has changed it since"),
            (&updated, Some(metadata(4, &[(4, 8)], &[])), "it was deleted since"),
            (&updated, Some(metadata(4, &[(3, 8)], &[])), "version 3, which was there before, was deleted since"),
            (&updated, Some(metadata(4, &[], &[3])), "version 3, which was there before, is destroyed"),
            (&updated, None, "removed with all its versions"),
            (&deleted, Some(metadata(4, &[], &[])), "somebody else has changed it since"),
            (&deleted, Some(metadata(3, &[(3, 5)], &[3])), "version 3 was destroyed"),
            (
                &[change(ChangeKind::Written, 1, 3, 3)],
                Some(metadata(3, &[], &[])),
                "no longer kept: the oldest one is 2",
            ),
        ] {
            let said = decide(changes, metadata.as_ref());
            assert!(said.starts_with("Impossible") && said.contains(reason), "{said}");
        }
    }
}
