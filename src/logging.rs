//! The log: a file that starts anew each day; never the terminal, unless somebody asks for a level there.

use std::io;
use std::path::PathBuf;

use tracing_appender::rolling::{InitError, RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

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
/// terminal passes `None`.
///
/// # Errors
/// [`LoggingError`]; the program can go on without a log.
pub fn start(log: &Log, on_stderr: Option<&str>) -> Result<(), LoggingError> {
    let folder = log.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(".".as_ref());
    let part =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let mut builder = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .max_log_files(KEPT)
        .filename_prefix(part(log.file.file_stem()));
    if log.file.extension().is_some() {
        builder = builder.filename_suffix(part(log.file.extension()));
    }
    // if this fails, so does building, which says why
    let _ = std::fs::create_dir_all(folder);
    let file = builder.build(folder).map_err(|source| LoggingError::File { file: log.file.clone(), source });
    // without a file, what was asked for on stderr still appears there
    let mut layers: Vec<_> = on_stderr.map(|level| layer(log.format, level, io::stderr)).into_iter().collect();
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

fn layer<W>(format: LogFormat, level: &str, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let level: LevelFilter = level.parse().unwrap_or(LevelFilter::INFO);
    let layer = fmt::layer().with_ansi(false).with_writer(writer);
    match format {
        LogFormat::Console => layer.with_filter(level).boxed(),
        LogFormat::Json => layer.json().with_filter(level).boxed(),
    }
}
