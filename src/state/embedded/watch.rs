//! Waiting for a key to change, by looking: other processes change the file without telling.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::time::Instant;

use super::EmbeddedStore;
use crate::state::lock::Told;
use crate::state::{KeyWatch, StateError, StateStore as _};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Two changes closer together than this may leave the file with the same time.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// Looks at one key.
pub(super) struct EmbeddedWatch {
    store: EmbeddedStore,
    key: String,
    next: Instant,
    told: Told,
    /// The file as it was when the key was last read; the key need not be read while it is the same.
    settled: Option<FileTime>,
}

/// When the file was last written and how long it is; `None`: there is none.
type FileTime = Option<(SystemTime, u64)>;

impl EmbeddedWatch {
    pub(super) fn new(store: EmbeddedStore, key: &str) -> Self {
        Self { store, key: key.to_owned(), next: Instant::now(), told: Told::default(), settled: None }
    }
}

#[async_trait]
impl KeyWatch for EmbeddedWatch {
    async fn changed(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        loop {
            // a point in time, kept: a caller who drops this future again and again still comes to see a change
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + LOOK_EVERY;
            let time = file_time(&self.store.shared.file);
            if self.settled == Some(time) {
                continue;
            }
            let value = self.store.get(&self.key).await?;
            self.settled = is_settled(time).then_some(time);
            if self.told.is_news(value.as_ref()) {
                return Ok(value);
            }
        }
    }
}

fn file_time(file: &Path) -> FileTime {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn is_settled(time: FileTime) -> bool {
    time.is_none_or(|(written, _)| written.elapsed().is_ok_and(|age| age > SETTLED_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(store: &EmbeddedStore, key: &str, value: &str) {
        store.put(vec![(key.to_owned(), value.as_bytes().to_vec())]).await.unwrap();
    }

    #[tokio::test]
    async fn a_change_by_another_process_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.redb");
        let (mine, yours) = (EmbeddedStore::new(file.clone()), EmbeddedStore::new(file.clone()));
        let mut watch = mine.watch("index");
        assert_eq!(watch.changed().await.unwrap(), None, "the first answer comes at once");
        assert!(!file.exists(), "looking makes no file");

        let change = async {
            put(&yours, "other", "x").await;
            tokio::time::sleep(LOOK_EVERY).await;
            put(&yours, "index", "1").await;
        };
        let (value, ()) = tokio::join!(watch.changed(), change);
        assert_eq!(value.unwrap().as_deref(), Some(&b"1"[..]));
        put(&yours, "index", "2").await;
        // by a caller who does other things in between
        let started = Instant::now();
        let value = loop {
            if let Ok(value) = tokio::time::timeout(Duration::from_millis(100), watch.changed()).await {
                break value.unwrap();
            }
            assert!(started.elapsed() < Duration::from_secs(10));
        };
        assert_eq!(value.as_deref(), Some(&b"2"[..]));
    }

    #[tokio::test]
    async fn a_file_that_stays_the_same_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.redb");
        let store = EmbeddedStore::new(file.clone());
        put(&store, "index", "1").await;
        let mut watch = EmbeddedWatch::new(store.clone(), "index");
        watch.changed().await.unwrap();
        assert_eq!(watch.settled, None, "another change may follow in the same instant");

        let old = SystemTime::now() - Duration::from_mins(1);
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        let quiet = tokio::time::timeout(3 * LOOK_EVERY / 2, watch.changed()).await;
        assert!(quiet.is_err() && watch.settled.is_some());
        // read now, it would be an error
        let _open = redb::Database::open(&file).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
        watch.settled = Some(file_time(&file));
        let quiet = tokio::time::timeout(3 * LOOK_EVERY / 2, watch.changed()).await;
        assert!(quiet.is_err());
    }
}
