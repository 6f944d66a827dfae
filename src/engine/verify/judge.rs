//! One secret: what vsync left, and what is there.

use super::FindingKind;
use crate::state::{Foreign, LedgerEntry};

/// What a destination holds at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Holds {
    /// This version, readable.
    Live(u64),
    /// Nothing, or a deleted version.
    Nothing,
    /// It could not be looked at.
    Unknown,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Verdict {
    /// As vsync left it: this version, or none, because vsync deleted it.
    Unchanged(Option<u64>),
    /// Somebody else's, and to stay.
    Kept,
    /// It is there, but nobody recorded which version vsync wrote.
    Unversioned(u64),
    /// Not as it was left: vsync's version, and the one that is there.
    Wrong(FindingKind, Option<u64>, Option<u64>),
    /// Nothing can be said.
    Unknown,
    /// There is nothing to be said: neither did vsync leave anything, nor is anything there.
    Nothing,
}

/// Compares an entry of the ledger with what is there.
pub(in crate::engine) fn judge(entry: &LedgerEntry, holds: Holds) -> Verdict {
    let written = (entry.version > 0).then_some(entry.version);
    let ours = written.filter(|_| !entry.deleted);
    match (holds, entry.foreign) {
        (Holds::Unknown, _) => Verdict::Unknown,
        (Holds::Live(found), Some(Foreign { version, kept, .. })) if version == found => {
            if kept {
                Verdict::Kept
            } else {
                Verdict::Wrong(FindingKind::Foreign, ours, Some(found))
            }
        }
        (Holds::Live(found), _) if ours == Some(found) => Verdict::Unchanged(ours),
        (Holds::Live(found), _) if entry.deleted => Verdict::Wrong(FindingKind::CameBack, written, Some(found)),
        // what stood in the way is not what stands there now, but it is still not vsync's
        (Holds::Live(found), Some(_)) if ours.is_none() => Verdict::Wrong(FindingKind::Foreign, None, Some(found)),
        (Holds::Live(found), _) => Verdict::Wrong(FindingKind::Changed, ours, Some(found)),
        (Holds::Nothing, _) if ours.is_some() => Verdict::Wrong(FindingKind::Gone, ours, None),
        (Holds::Nothing, _) if entry.deleted => Verdict::Unchanged(None),
        (Holds::Nothing, _) => Verdict::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::insight;
    use crate::kv::{Mount, SecretPath};

    fn entry(version: u64, deleted: bool, foreign: Option<(u64, bool)>) -> LedgerEntry {
        LedgerEntry {
            origin: SecretPath::new(&Mount::parse("secret").expect("a mount"), "a"),
            insight: insight(1),
            version,
            deleted,
            awaits_removal: false,
            foreign: foreign.map(|(version, kept)| Foreign { version, insight: insight(2), kept }),
            digest: None,
            at: jiff::Timestamp::now(),
        }
    }

    #[test]
    fn what_was_left_and_what_is_there() {
        use FindingKind::{CameBack, Changed, Foreign, Gone};
        use Holds::{Live, Unknown};
        let wrong = Verdict::Wrong;
        for (version, deleted, foreign, holds, verdict) in [
            (3, false, None, Live(3), Verdict::Unchanged(Some(3))),
            (3, false, None, Live(4), wrong(Changed, Some(3), Some(4))),
            (3, false, None, Live(1), wrong(Changed, Some(3), Some(1))),
            (3, false, None, Holds::Nothing, wrong(Gone, Some(3), None)),
            (3, true, None, Holds::Nothing, Verdict::Unchanged(None)),
            (3, true, None, Live(3), wrong(CameBack, Some(3), Some(3))),
            (3, true, None, Live(4), wrong(CameBack, Some(3), Some(4))),
            (3, false, Some((4, false)), Live(4), wrong(Foreign, Some(3), Some(4))),
            (3, false, Some((4, true)), Live(4), Verdict::Kept),
            (3, false, Some((4, true)), Live(5), wrong(Changed, Some(3), Some(5))),
            (3, false, Some((4, false)), Holds::Nothing, wrong(Gone, Some(3), None)),
            (0, false, Some((4, false)), Live(4), wrong(Foreign, None, Some(4))),
            (0, false, Some((4, true)), Live(5), wrong(Foreign, None, Some(5))),
            (0, false, Some((4, false)), Holds::Nothing, Verdict::Nothing),
        ] {
            assert_eq!(
                judge(&entry(version, deleted, foreign), holds),
                verdict,
                "{version} {deleted} {foreign:?} {holds:?}"
            );
            assert_eq!(judge(&entry(version, deleted, foreign), Unknown), Verdict::Unknown);
        }
    }
}
