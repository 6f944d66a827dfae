//! Locks beside the store's file: one file each, locked by the kernel, which frees it when its process dies.
//!
//! The files stay when their locks are released: to remove one would let two processes lock two files of one name.

use std::fmt::Write as _;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use super::private_folders;
use crate::state::lock::Grip;
use crate::state::{LockHolder, LockTaken, StateError};

/// How often the name of a holder is looked for that has not written it yet, or is just letting go.
const LOOKS: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Locks the file that stands for `key` beside the store in `store`.
pub(super) fn take(store: &Path, key: &str, holder: &LockHolder) -> io::Result<Result<LockFile, LockTaken>> {
    let path = place(store, key);
    private_folders().create(path.parent().unwrap_or(Path::new(".")))?;
    let file = options().open(&path)?;
    let mut seen = None;
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return LockFile(file).named(holder).map(Ok),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {
                let message = "the file system knows no locks; put the state on a local one";
                return Err(io::Error::new(error.kind(), message));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // a system whose locks keep others from reading, too, names nobody
        let named = fs::read(&path).ok().and_then(|record| LockHolder::decode(&record));
        // twice the same: whoever only looks closes it for a moment, and the name may be that of one that was killed
        if let Some(holder) = named.clone().filter(|_| named == seen) {
            return Ok(Err(LockTaken::By(holder)));
        }
        seen = named;
        thread::sleep(LOOK_EVERY);
    }
    Ok(Err(LockTaken::ByUnknown))
}

/// Who has the lock, without taking it.
pub(super) fn look(store: &Path, key: &str) -> io::Result<Option<LockTaken>> {
    let path = place(store, key);
    let missing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    let file = match File::open(&path) {
        Err(error) if missing(&error) => return Ok(None),
        opened => opened?,
    };
    // whoever lets go takes the name away first
    if file.metadata()?.len() == 0 {
        return Ok(None);
    }
    match file.try_lock_shared() {
        Ok(()) => {
            file.unlock()?;
            Ok(None)
        }
        Err(TryLockError::WouldBlock) => {
            let record = fs::read(&path).unwrap_or_default();
            Ok(Some(LockHolder::decode(&record).map_or(LockTaken::ByUnknown, LockTaken::By)))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn place(store: &Path, key: &str) -> PathBuf {
    // one store reached by a symbolic link is the same store
    let mut folder = fs::canonicalize(store).unwrap_or_else(|_| store.to_owned()).into_os_string();
    folder.push(".locks");
    let sum = Sha256::digest(key.as_bytes());
    let mut name = String::new();
    for byte in &sum[..8] {
        // a `String` takes everything
        let _ = write!(name, "{byte:02x}");
    }
    Path::new(&folder).join(name + ".lock")
}

fn options() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// A file that is locked until this is dropped.
pub(super) struct LockFile(File);

impl LockFile {
    fn named(mut self, holder: &LockHolder) -> io::Result<Self> {
        // what a holder that was killed left behind
        self.0.set_len(0)?;
        self.0.write_all(&holder.encode())?;
        Ok(self)
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // the name first: once unlocked the file may be the next holder's
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

#[async_trait]
impl Grip for LockFile {
    async fn let_go(self: Box<Self>) -> Result<(), StateError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::embedded::EmbeddedStore;
    use crate::state::{LockError, StateStore as _};

    const KEY: &str = "vsync/us-east/vsync/locks/destination";

    fn holder(operator: &str) -> LockHolder {
        let since = "2026-11-24T01:02:03Z".parse().unwrap();
        LockHolder {
            operator: operator.to_owned(),
            host: "vault-sync-1".to_owned(),
            pid: 4711,
            since,
            purpose: "sync".to_owned(),
        }
    }

    async fn refused(store: &EmbeddedStore, key: &str) -> LockTaken {
        match store.lock(key, &holder("berta")).await {
            Err(LockError::Held(taken)) => taken,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_lock_has_one_holder_and_says_who() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/state.redb");
        // each with its own handle, as separate processes have
        let (mine, yours) = (EmbeddedStore::new(file.clone()), EmbeddedStore::new(file.clone()));
        let anna = holder("a much longer name than that of the next one");
        let lock = mine.lock(KEY, &anna).await.unwrap();
        assert_eq!(refused(&yours, KEY).await, LockTaken::By(anna.clone()));
        assert_eq!(refused(&mine, KEY).await, LockTaken::By(anna.clone()), "in the same process, too");
        let other = yours.lock("vsync/eu/vsync/locks/destination", &holder("berta")).await.unwrap();
        assert_eq!((lock.trouble(), lock.lost().is_cancelled()), (None, false));

        lock.release().await.unwrap();
        let lock = yours.lock(KEY, &holder("berta")).await.unwrap();
        assert_eq!(refused(&mine, KEY).await, LockTaken::By(holder("berta")));
        drop(lock);
        mine.lock(KEY, &anna).await.unwrap().release().await.unwrap();
        other.release().await.unwrap();
        assert!(!file.exists(), "a lock makes no store");
        for entry in fs::read_dir(file.with_file_name("state.redb.locks")).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().len(), 0, "a lock let go names nobody");
        }
    }

    #[tokio::test]
    async fn who_has_a_lock_can_be_seen_without_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/state.redb");
        let (mine, yours) = (EmbeddedStore::new(file.clone()), EmbeddedStore::new(file.clone()));
        assert_eq!(yours.lock_holder(KEY).await.unwrap(), None);
        assert!(!file.parent().unwrap().exists(), "looking makes nothing");
        let lock = mine.lock(KEY, &holder("anna")).await.unwrap();
        for store in [&mine, &yours] {
            assert_eq!(store.lock_holder(KEY).await.unwrap(), Some(LockTaken::By(holder("anna"))));
        }
        assert_eq!(yours.lock_holder("vsync/eu/vsync/locks/destination").await.unwrap(), None);
        lock.release().await.unwrap();
        assert_eq!(yours.lock_holder(KEY).await.unwrap(), None);

        fs::write(place(&file, KEY), holder("anna").encode()).unwrap();
        assert_eq!(yours.lock_holder(KEY).await.unwrap(), None, "it was killed");
        let lock = yours.lock(KEY, &holder("berta")).await.unwrap();
        assert_eq!(mine.lock_holder(KEY).await.unwrap(), Some(LockTaken::By(holder("berta"))));
        drop(lock);
    }

    #[tokio::test]
    async fn looking_keeps_nobody_from_taking_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.redb");
        let store = EmbeddedStore::new(file.clone());
        drop(store.lock(KEY, &holder("anna")).await.unwrap());
        // a look at what a killed holder has left behind, in the moment in which it has the file
        let path = place(&file, KEY);
        fs::write(&path, holder("anna").encode()).unwrap();
        let looking = File::open(&path).unwrap();
        looking.try_lock_shared().unwrap();
        let ended = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(5));
            drop(looking);
        });
        assert!(store.lock(KEY, &holder("berta")).await.is_ok());
        ended.join().unwrap();
    }

    #[tokio::test]
    async fn a_holder_that_has_not_written_its_name_is_a_holder() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state.redb");
        let path = place(&store, KEY);
        fs::create_dir(path.parent().unwrap()).unwrap();
        let file = options().open(&path).unwrap();
        file.try_lock().unwrap();
        let other = EmbeddedStore::new(store);
        assert_eq!(refused(&other, KEY).await, LockTaken::ByUnknown);
        fs::write(&path, &holder("anna").encode()[..20]).unwrap();
        assert_eq!(refused(&other, KEY).await, LockTaken::ByUnknown);

        // and what one that was killed has left in it is nobody's name any more
        fs::write(&path, holder("anna").encode().repeat(2)).unwrap();
        drop(file);
        let _lock = other.lock(KEY, &holder("berta")).await.unwrap();
        assert_eq!(refused(&other, KEY).await, LockTaken::By(holder("berta")));
    }

    /// Runs itself once more as the process that is killed.
    #[tokio::test]
    async fn a_holder_that_is_killed_frees_its_lock() {
        const STORE: &str = "VSYNC_TEST_HOLD_LOCK_OF";
        const NAME: &str = "state::embedded::lock::tests::a_holder_that_is_killed_frees_its_lock";
        if let Some(file) = std::env::var_os(STORE) {
            let _lock = EmbeddedStore::new(file.into()).lock(KEY, &holder("anna")).await.unwrap();
            tokio::time::sleep(Duration::from_mins(1)).await;
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.redb");
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(STORE, &file)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let store = EmbeddedStore::new(file.clone());
        let started = std::time::Instant::now();
        while fs::read(place(&file, KEY)).unwrap_or_default().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(30));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(refused(&store, KEY).await, LockTaken::By(holder("anna")));
        child.kill().unwrap();
        child.wait().unwrap();
        let _lock = store.lock(KEY, &holder("berta")).await.unwrap();
        assert_eq!(refused(&store, KEY).await, LockTaken::By(holder("berta")));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_its_owner_can_read_it_and_a_link_leads_to_the_same_lock() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.redb");
        let store = EmbeddedStore::new(file.clone());
        store.put(vec![("a".to_owned(), b"1".to_vec())]).await.unwrap();
        let link = folder.path().join("link.redb");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let _lock = store.lock(KEY, &holder("anna")).await.unwrap();
        assert_eq!(refused(&EmbeddedStore::new(link), KEY).await, LockTaken::By(holder("anna")));

        let path = place(&file, KEY);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_locked_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("file");
        fs::write(&in_the_way, "").unwrap();
        let store = EmbeddedStore::new(in_the_way.join("state.redb"));
        let error = store.lock(KEY, &holder("anna")).await.unwrap_err().to_string();
        assert!(error.starts_with("lock ") && error.contains("file/state.redb"), "{error}");
    }
}
