use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use super::*;
use crate::kv::{Mount, SecretPath};
use crate::state::memory::MemoryStore;
use crate::state::{ChangeKind, StateSide};

fn state(sync_path: &str) -> State {
    State::new(Arc::new(MemoryStore::new(1 << 20)), sync_path, StateSide::Destination, Vec::new())
}

fn changes(versions: std::ops::Range<u64>) -> Vec<Change> {
    let mount = Mount::parse("kv").unwrap();
    let change = |version| Change {
        kind: ChangeKind::Written,
        origin: SecretPath::new(&mount, "a\nb"),
        destination: SecretPath::new(&mount, &format!("app-{version}")),
        before: version - 1,
        version,
        insight_before: None,
        insight: None,
        over_foreign: false,
        digest: None,
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    versions.map(change).collect()
}

fn versions(journal: &Journal) -> Vec<u64> {
    journal.read().unwrap().into_iter().map(|(_, change)| change.version).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn what_is_appended_is_kept_for_the_next_process() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state/journals");
    let mut journal = Journal::new(&folder, &state("/sync"));
    journal.append("c1", &[]).unwrap();
    assert_eq!(journal.read().unwrap(), []);
    assert!(journal.rotate().unwrap().is_empty());
    assert!(!root.path().join("state").exists(), "nothing to keep, nothing made");

    journal.append("c1", &changes(1..3)).unwrap();
    journal.append("c2", &changes(3..4)).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&root.path().join("state")), 0o700);
    assert_eq!(files(&folder).iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);

    let mut next = Journal::new(&folder, &state("sync/"));
    next.append("c3", &changes(4..5)).unwrap();
    let cycles = ["c1", "c1", "c2", "c3"].map(str::to_owned);
    let expected: Vec<_> = cycles.into_iter().zip(changes(1..5)).collect();
    assert_eq!(next.read().unwrap(), expected);
    assert_eq!(journal.read().unwrap(), expected, "another may read while one writes");

    assert_eq!(Journal::new(&folder, &state("/other")).read().unwrap(), [], "each destination has its own");
}

#[test]
fn a_segment_goes_when_the_store_has_it() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::new(root.path(), &state("/sync"));
    for version in 1..4 {
        journal.append("c", &changes(version..version + 1)).unwrap();
    }
    let segment = journal.rotate().unwrap();
    journal.append("c", &changes(4..5)).unwrap();
    assert_eq!(versions(&journal), [1, 2, 3, 4]);
    segment.remove().unwrap();
    assert_eq!(versions(&journal), [4]);

    drop(journal.rotate().unwrap());
    journal.append("c", &changes(5..6)).unwrap();
    let (one, same) = (journal.rotate().unwrap(), journal.rotate().unwrap());
    one.remove().unwrap();
    journal.append("c", &changes(6..7)).unwrap();
    same.remove().unwrap();
    assert_eq!(versions(&journal), [6], "a name is not used twice");
}

#[test]
fn numbers_sort_as_numbers() {
    let root = tempfile::tempdir().unwrap();
    for version in 1..13 {
        Journal::new(root.path(), &state("/sync")).append("c", &changes(version..version + 1)).unwrap();
    }
    assert_eq!(versions(&Journal::new(root.path(), &state("/sync"))), (1..13).collect::<Vec<_>>());
}

#[test]
fn a_journal_may_be_torn_anywhere() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::new(root.path(), &state("/sync"));
    journal.append("c", &changes(1..4)).unwrap();
    let file = files(root.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let lines_in = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
    let mut next = Journal::new(root.path(), &state("/sync"));
    next.append("c", &changes(9..10)).unwrap();
    for length in 0..=whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        let expected: Vec<u64> = (1..lines_in(&whole[..length]).max(1)).chain([9]).collect();
        assert_eq!(versions(&next), expected, "{length} bytes");
    }
}

#[test]
fn a_damaged_line_hides_no_other() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::new(root.path(), &state("/sync"));
    journal.append("c", &changes(1..4)).unwrap();
    let file = files(root.path()).remove(0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("app-2", "app-7")).unwrap();
    assert_eq!(versions(&journal), [1, 3]);
}

#[test]
fn what_a_newer_vsync_wrote_is_not_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = Journal::new(root.path(), &state("/sync"));
    journal.append("c", &changes(1..4)).unwrap();
    let file = files(root.path()).remove(0);
    for (text, expected) in [("vsync journal 2\nwhatever\n", "format \"2\""), ("# notes\n", "no journal")] {
        fs::write(&file, text).unwrap();
        let error = journal.read().unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(".journal"), "{error}");
    }
}
