//! The log: a file that starts anew each day; never the terminal, unless somebody asks for a level there.
//!
//! It names secrets, so nobody else may read it. Who shows the log while it is written reads its newest records from a
//! [`LogTail`].

mod harmless;
mod tail;

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tracing_appender::rolling::{InitError, RollingFileAppender, RollingWriter, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use harmless::Harmless;
pub use tail::{KEPT_RECORDS, LogRecord, LogTail};

use crate::config::{Log, LogFormat};

/// How many days are kept.
const KEPT: usize = 7;

/// A log that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The file or its folder cannot be made.
    #[error("the log {} cannot be written: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: InitError,
    },
    /// Something else logs already.
    #[error("the log cannot be started: {0}")]
    Taken(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts the log.
///
/// `on_stderr` is a level to show on stderr too; headless commands pass what `--log-level` says, whoever owns the
/// terminal passes `None`, and a `tail` to show the log from.
///
/// # Errors
/// [`LoggingError`]; the program can go on without a log. Whatever else was asked for is logged to all the same.
pub fn start(log: &Log, on_stderr: Option<&str>, tail: Option<&LogTail>) -> Result<(), LoggingError> {
    let file = PrivateFile::open(&log.file).map_err(|source| LoggingError::File { file: log.file.clone(), source });
    // without a file, what was asked for on stderr still appears there
    let mut layers: Vec<_> = on_stderr.map(|level| layer(log.format, level, io::stderr)).into_iter().collect();
    layers.extend(tail.map(LogTail::layer));
    let started = match file {
        Ok(file) => {
            layers.push(layer(log.format, &log.level, file));
            Ok(())
        }
        Err(error) => Err(error),
    };
    tracing_subscriber::registry().with(layers).try_init()?;
    started
}

/// Logs to `tail` alone.
///
/// # Errors
/// [`LoggingError::Taken`].
pub fn start_in_memory(tail: &LogTail) -> Result<(), LoggingError> {
    Ok(tracing_subscriber::registry().with(tail.layer()).try_init()?)
}

/// What a level's name asks for; `info`, should it be none.
#[must_use]
pub fn level(name: &str) -> LevelFilter {
    name.parse().unwrap_or(LevelFilter::INFO)
}

/// The file of each day, made for its owner alone.
struct PrivateFile {
    appender: RollingFileAppender,
    folder: PathBuf,
    stem: String,
    extension: Option<String>,
    /// The last day, since 1970, whose file was looked after.
    day: AtomicI64,
}

impl PrivateFile {
    fn open(file: &Path) -> Result<Self, InitError> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
        let part = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let stem = file.file_stem().map(part).unwrap_or_default();
        let extension = file.extension().map(part);
        // if this fails, so does building, which says why
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let now = Timestamp::now();
        make_private(folder, &stem, extension.as_deref(), now);
        let mut builder =
            RollingFileAppender::builder().rotation(Rotation::DAILY).max_log_files(KEPT).filename_prefix(&stem);
        if let Some(extension) = &extension {
            builder = builder.filename_suffix(extension);
        }
        let appender = builder.build(folder)?;
        Ok(Self { appender, folder: folder.to_owned(), stem, extension, day: AtomicI64::new(day(now)) })
    }
}

impl<'a> fmt::MakeWriter<'a> for PrivateFile {
    type Writer = RollingWriter<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        let now = Timestamp::now();
        if self.day.swap(day(now), Ordering::Relaxed) != day(now) {
            make_private(&self.folder, &self.stem, self.extension.as_deref(), now);
        }
        self.appender.make_writer()
    }
}

fn day(time: Timestamp) -> i64 {
    time.as_second().div_euclid(24 * 60 * 60)
}

/// Makes a day's file before the appender does, which would let everybody read it, and mends one made before.
fn make_private(folder: &Path, stem: &str, extension: Option<&str>, time: Timestamp) {
    let extension = extension.map(|extension| format!(".{extension}")).unwrap_or_default();
    let file = folder.join(format!("{stem}.{}{extension}", time.strftime("%Y-%m-%d")));
    // if this fails, the appender says why, or the file belongs to somebody who has decided who may read it
    if let Ok(file) = OpenOptions::new().append(true).create(true).mode(0o600).open(file) {
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
}

fn layer<W>(format: LogFormat, name: &str, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level(name);
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        LogFormat::Console => layer.map_event_format(|inner| Harmless { inner, format }).with_filter(level).boxed(),
        LogFormat::Json => layer.json().map_event_format(|inner| Harmless { inner, format }).with_filter(level).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use fmt::MakeWriter;

    use super::*;

    /// What the log's layer writes of what `say` logs.
    fn written(format: LogFormat, say: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Kept(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl io::Write for Kept {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().expect("the bytes").write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = layer(format, "trace", move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(vec![layer]), say);
        let bytes = kept.0.lock().expect("the bytes").clone();
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn no_message_and_no_field_can_do_harm() {
        const NAME: &str = "\x1b]0;pwned\x07\u{9b}2J\u{202e}gpj\u{2066}\n2026-01-01 ERROR forged\tx\u{7f}\u{200b}";
        let say = || {
            tracing::info!(path = NAME, shown = %NAME, debugged = ?NAME, "about {NAME}");
            tracing::warn!("second");
        };
        for format in [LogFormat::Console, LogFormat::Json] {
            let text = written(format, say);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 2, "a line each, and none that is forged: {text}");
            assert!(text.ends_with('\n') && lines[1].contains("second"));
            for line in lines {
                assert_eq!(crate::text::sanitize(line), line, "{format:?}");
            }
            if format == LogFormat::Json {
                let first: serde_json::Value =
                    serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
                assert_eq!(first["fields"]["path"], NAME, "the very name");
                assert_eq!(first["fields"]["shown"], NAME);
                assert_eq!(first["fields"]["message"], format!("about {NAME}"));
            }
        }
    }

    fn modes(folder: &Path) -> Vec<(String, u32)> {
        let files = std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry"));
        let mode = |entry: &std::fs::DirEntry| entry.metadata().expect("its mode").permissions().mode() & 0o777;
        files.map(|entry| (entry.file_name().to_string_lossy().into_owned(), mode(&entry))).collect()
    }

    #[test]
    fn the_file_of_each_day_is_private() {
        let root = tempfile::tempdir().expect("a folder");
        for name in ["a/logs/vsync.log", "b/vsync"] {
            let path = root.path().join(name);
            let folder = path.parent().expect("a folder");
            let file = PrivateFile::open(&path).map_err(|error| error.to_string()).expect("a log");
            file.make_writer().write_all(b"one\n").expect("a line");
            // as on the day after: the file is looked after again
            let found = modes(folder);
            assert!(matches!(found.as_slice(), [(_, 0o600)]), "one file, which the appender found: {found:?}");
            std::fs::set_permissions(folder.join(&found[0].0), Permissions::from_mode(0o644)).expect("its mode");
            file.make_writer().write_all(b"two\n").expect("a line");
            assert_eq!(modes(folder)[0].1, 0o644);
            file.day.store(0, Ordering::Relaxed);
            file.make_writer().write_all(b"three\n").expect("a line");
            assert_eq!(modes(folder), found);
            assert_eq!(std::fs::read_to_string(folder.join(&found[0].0)).expect("the log"), "one\ntwo\nthree\n");
        }
        assert!(modes(root.path()).iter().all(|(_, mode)| *mode == 0o700));
    }

    #[test]
    fn a_folder_that_was_there_stays_as_it_is() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("shared");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("its mode");
        let file = PrivateFile::open(&folder.join("vsync.log")).map_err(|error| error.to_string()).expect("a log");
        drop(file);
        assert_eq!(modes(root.path()), [("shared".to_owned(), 0o755)]);
    }
}
