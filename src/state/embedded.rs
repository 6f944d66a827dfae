//! The store without a server: one file, safe against crashes and shared by all of vsync's processes on a machine.
//!
//! Only one process may have the file open, and a console stays open for hours. So the file is opened for each
//! operation and closed behind it, and whoever finds it open waits a little.

mod lock;
mod watch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redb::{Builder, DatabaseError, ReadOnlyTable, ReadableDatabase as _, Table, TableDefinition};
use tokio::sync::Mutex;

use super::lock::LockStatus;
use super::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateError, StateStore};

const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");
/// As large as Consul's. The file would take more, but a changed secret rewrites a whole value.
const VALUE_LIMIT: usize = 512 << 10;
const CACHE_BYTES: usize = 4 << 20;
/// How long another process may keep the file open.
const PATIENCE: Duration = Duration::from_secs(10);
const RETRY_EVERY: Duration = Duration::from_millis(10);
/// Tells apart the files that this process is making.
static NEXT_FILE: AtomicU32 = AtomicU32::new(0);

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct EmbeddedStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    file: PathBuf,
    patience: Duration,
    /// One operation of this process at a time: waiting here is fair and costs nothing, unlike waiting for the file.
    turn: Arc<Mutex<()>>,
    /// The file's checksums have been verified by this process.
    verified: AtomicBool,
}

impl EmbeddedStore {
    pub(super) fn new(file: PathBuf) -> Self {
        Self::with_patience(file, PATIENCE)
    }

    fn with_patience(file: PathBuf, patience: Duration) -> Self {
        let shared = Shared { file, patience, turn: Arc::default(), verified: AtomicBool::new(false) };
        Self { shared: Arc::new(shared) }
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Shared) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StateError> {
        let shared = Arc::clone(&self.shared);
        // who waits takes no thread; the turn ends with the work, even if nobody waits for that any more
        let turn = Arc::clone(&shared.turn).lock_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&shared)
        });
        let message = match done.await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => self.shared.explain(&error),
            // a file changed behind the database's back may break its assumptions
            Err(error) if error.is_panic() => DAMAGED.to_owned(),
            Err(error) => error.to_string(),
        };
        Err(StateError { operation, key: key.to_owned(), location: self.location(), message })
    }
}

#[async_trait]
impl StateStore for EmbeddedStore {
    fn location(&self) -> String {
        format!("the embedded store {}", self.shared.file.display())
    }

    fn value_limit(&self) -> usize {
        VALUE_LIMIT
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let wanted = key.to_owned();
        let value = self
            .run("read", key, move |shared| {
                shared.read(|table| Ok(table.get(wanted.as_str())?.map(|value| value.value().to_vec())))
            })
            .await?;
        Ok(value.flatten())
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        let Some(first) = keys.first() else { return Ok(Vec::new()) };
        let wanted = keys.to_vec();
        let values = self
            .run("read", first, move |shared| {
                shared.read(|table| {
                    let value = |key: &String| Ok(table.get(key.as_str())?.map(|value| value.value().to_vec()));
                    wanted.iter().map(value).collect()
                })
            })
            .await?;
        Ok(values.unwrap_or_else(|| vec![None; keys.len()]))
    }

    async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        let Some((last, _)) = entries.last() else { return Ok(()) };
        let key = last.clone();
        self.run("save", &key, move |shared| {
            shared.create()?;
            shared.write(|table| {
                for (key, value) in &entries {
                    table.insert(key.as_str(), value.as_slice())?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        let wanted = prefix.to_owned();
        let keys = self
            .run("list", prefix, move |shared| {
                shared.read(|table| {
                    let mut keys = Vec::new();
                    for entry in table.range(wanted.as_str()..)? {
                        let (key, _) = entry?;
                        if !key.value().starts_with(&wanted) {
                            break;
                        }
                        keys.push(key.value().to_owned());
                    }
                    Ok(keys)
                })
            })
            .await?;
        Ok(keys.unwrap_or_default())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StateError> {
        let Some(first) = keys.first() else { return Ok(()) };
        let unwanted = keys.to_vec();
        self.run("delete", first, move |shared| {
            if !shared.exists()? {
                return Ok(());
            }
            shared.write(|table| {
                for key in &unwanted {
                    table.remove(key.as_str())?;
                }
                Ok(())
            })
        })
        .await
    }

    async fn lock(&self, key: &str, holder: &LockHolder) -> Result<Lock, LockError> {
        let (shared, name, holder) = (Arc::clone(&self.shared), key.to_owned(), holder.clone());
        let taken = tokio::task::spawn_blocking(move || lock::take(&shared.file, &name, &holder)).await;
        match taken.unwrap_or_else(|error| Err(io::Error::other(error))) {
            Ok(Ok(file)) => Ok(Lock::new(LockStatus::default(), file)),
            Ok(Err(taken)) => Err(LockError::Held(taken)),
            Err(error) => Err(LockError::State(StateError {
                operation: "lock",
                key: key.to_owned(),
                location: self.location(),
                message: error.to_string(),
            })),
        }
    }

    async fn lock_holder(&self, key: &str) -> Result<Option<LockTaken>, StateError> {
        let (shared, name) = (Arc::clone(&self.shared), key.to_owned());
        let seen = tokio::task::spawn_blocking(move || lock::look(&shared.file, &name)).await;
        seen.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|error| StateError {
            operation: "read",
            key: key.to_owned(),
            location: self.location(),
            message: error.to_string(),
        })
    }

    fn watch(&self, key: &str) -> Box<dyn KeyWatch> {
        Box::new(watch::EmbeddedWatch::new(self.clone(), key))
    }
}

const DAMAGED: &str = "the file is damaged; move it away, and vsync compares and copies everything anew";

impl Shared {
    /// What `work` finds; `None` where there is no file yet.
    fn read<T>(
        &self,
        work: impl FnOnce(&ReadOnlyTable<&'static str, &'static [u8]>) -> Result<T, redb::Error>,
    ) -> Result<Option<T>, redb::Error> {
        if !self.exists()? {
            return Ok(None);
        }
        self.verify()?;
        let database = match self.opened(|| builder().open_read_only(&self.file)) {
            // left open by a process that was killed; opening it for writing repairs it
            Err(DatabaseError::RepairAborted) => {
                self.opened(|| builder().open(&self.file))?.close()?;
                self.opened(|| builder().open_read_only(&self.file))?
            }
            opened => opened?,
        };
        let transaction = database.begin_read()?;
        let table = transaction.open_table(ENTRIES)?;
        work(&table).map(Some)
    }

    fn write(
        &self,
        work: impl FnOnce(&mut Table<'_, &str, &[u8]>) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        self.verify()?;
        let database = self.opened(|| builder().open(&self.file))?;
        let transaction = database.begin_write()?;
        work(&mut transaction.open_table(ENTRIES)?)?;
        transaction.commit()?;
        database.close()?;
        Ok(())
    }

    /// Checks the file once in a process's life, before anything in it is trusted.
    fn verify(&self) -> Result<(), redb::Error> {
        if !self.verified.load(Ordering::Acquire) {
            self.opened(|| builder().set_check_integrity_on_open(true).open(&self.file))?.close()?;
            self.verified.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn opened<T>(&self, mut open: impl FnMut() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        let started = Instant::now();
        loop {
            match open() {
                Err(DatabaseError::DatabaseAlreadyOpen) if started.elapsed() < self.patience => {
                    thread::sleep(RETRY_EVERY);
                }
                done => return done,
            }
        }
    }

    fn exists(&self) -> Result<bool, redb::Error> {
        Ok(self.file.try_exists()?)
    }

    /// Makes an empty store unless there is one. It is made beside its place and then put there, so that a crash leaves
    /// no file that is half a store.
    fn create(&self) -> Result<(), redb::Error> {
        if self.exists()? {
            return Ok(());
        }
        let folder = self.file.parent().unwrap_or(Path::new("."));
        private_folders().create(folder)?;
        let mut name = self.file.file_name().unwrap_or_default().to_owned();
        let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}-{number}.new", std::process::id()));
        let new = self.file.with_file_name(name);
        let _ = fs::remove_file(&new);
        private_file().open(&new)?;
        let database = builder().create(&new)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.commit()?;
        database.close()?;
        let placed = match fs::hard_link(&new, &self.file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // a file system without links
            Err(_) => fs::rename(&new, &self.file),
            Ok(()) => Ok(()),
        };
        let _ = fs::remove_file(&new);
        Ok(placed?)
    }

    fn explain(&self, error: &redb::Error) -> String {
        match error {
            redb::Error::DatabaseAlreadyOpen => format!(
                "another process has kept it open for {} seconds; end that process, or try again",
                self.patience.as_secs()
            ),
            redb::Error::Corrupted(_) => DAMAGED.to_owned(),
            // how the database says that a file is not one of its own, or was cut off
            redb::Error::Io(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                DAMAGED.to_owned()
            }
            redb::Error::UpgradeRequired(_) => "it was written by a version of vsync this one cannot read".to_owned(),
            redb::Error::Io(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn private_folders() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

fn private_file() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests;
