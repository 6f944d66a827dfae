//! The newest records of this run's log, kept in memory for whoever shows them.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};

/// How many records are kept.
pub const KEPT_RECORDS: usize = 5_000;
/// And how many bytes of text.
const KEPT_BYTES: usize = 8 << 20;
/// The longest text of a message or a field.
const LONGEST: usize = 4 << 10;
/// Whose records are kept beyond `info`: the libraries below write down whole requests there.
const OWN: &str = env!("CARGO_PKG_NAME");

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its number in this run, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// How bad.
    pub level: Level,
    /// The module it comes from.
    pub target: &'static str,
    /// What was said.
    pub message: String,
    /// About what.
    pub fields: Vec<(&'static str, String)>,
}

impl LogRecord {
    /// Message and fields in one line: `failed: permission denied destination=us-east attempts=1`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.message.clone();
        for (name, value) in &self.fields {
            if !text.is_empty() {
                text.push(' ');
            }
            // writing to a String cannot fail
            let _ = write!(text, "{name}={value}");
        }
        text
    }

    fn bytes(&self) -> usize {
        self.message.len() + self.fields.iter().map(|(_, value)| value.len()).sum::<usize>()
    }
}

/// The newest 5,000 records. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct LogTail {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    records: Mutex<Ring>,
    /// The number of the newest record.
    newest: watch::Sender<u64>,
    /// What the file gets.
    configured: LevelFilter,
    kept: Mutex<LevelFilter>,
    file: Option<PathBuf>,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Arc<LogRecord>>,
    bytes: usize,
    next: u64,
}

impl LogTail {
    /// An empty one that keeps what has this level or is worse. `file` is where the rest of the log is.
    #[must_use]
    pub fn new(level: LevelFilter, file: Option<PathBuf>) -> Self {
        let shared = Shared {
            records: Mutex::new(Ring { next: 1, ..Ring::default() }),
            newest: watch::Sender::new(0),
            configured: level,
            kept: Mutex::new(level),
            file,
        };
        Self { shared: Arc::new(shared) }
    }

    /// The level the log was configured with.
    #[must_use]
    pub fn configured(&self) -> LevelFilter {
        self.shared.configured
    }

    /// Where the log is kept beyond this run; the day is added to its name.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.shared.file.as_deref()
    }

    /// From now on keeps what has this level or is worse; what the file gets stays as configured.
    pub fn keep(&self, level: LevelFilter) {
        *self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner) = level;
        tracing::callsite::rebuild_interest_cache();
    }

    fn kept(&self) -> LevelFilter {
        *self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records after the one of this number that are still kept, oldest first.
    #[must_use]
    pub fn after(&self, number: u64) -> Vec<Arc<LogRecord>> {
        let ring = self.ring();
        let first = ring.records.partition_point(|record| record.number <= number);
        ring.records.range(first..).cloned().collect()
    }

    /// Waits until there is a record after the one of this number.
    pub async fn changed(&self, number: u64) {
        // cannot fail: the sender is borrowed for as long as this waits
        let _ = self.shared.newest.subscribe().wait_for(|newest| *newest > number).await;
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.shared.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, mut record: LogRecord) {
        let mut ring = self.ring();
        record.number = ring.next;
        ring.next += 1;
        ring.bytes += record.bytes();
        let number = record.number;
        ring.records.push_back(Arc::new(record));
        while ring.records.len() > KEPT_RECORDS || (ring.bytes > KEPT_BYTES && ring.records.len() > 1) {
            let Some(oldest) = ring.records.pop_front() else { break };
            ring.bytes -= oldest.bytes();
        }
        // in this order for everybody, so that the newest number never goes back
        self.shared.newest.send_replace(number);
    }

    /// What puts records in here.
    pub(super) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        Keep(self.clone()).with_filter(Wanted(self.clone())).boxed()
    }
}

struct Keep(LogTail);

impl<S: Subscriber> Layer<S> for Keep {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut said = Said::default();
        event.record(&mut said);
        self.0.push(LogRecord {
            number: 0,
            at: Timestamp::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: said.message,
            fields: said.fields,
        });
    }
}

struct Wanted(LogTail);

impl Wanted {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let own = target.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let most = if own { LevelFilter::TRACE } else { LevelFilter::INFO };
        *metadata.level() <= self.0.kept().min(most)
    }
}

impl<S> Filter<S> for Wanted {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.kept())
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Cut(String::new());
        // fails when the text is long enough
        let _ = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text.0;
        } else {
            self.fields.push((field.name(), text.0));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// A text that does not become longer than [`LONGEST`].
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(self.0.len());
        if part.len() <= room {
            self.0.push_str(part);
            return Ok(());
        }
        let end = (0..=room).rev().find(|at| part.is_char_boundary(*at)).unwrap_or(0);
        self.0.push_str(&part[..end]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn logged(tail: &LogTail, log: impl FnOnce()) -> Vec<String> {
        with_default(tracing_subscriber::registry().with(tail.layer()), log);
        tail.after(0).iter().map(|record| format!("{} {} {}", record.number, record.level, record.text())).collect()
    }

    #[test]
    fn a_record_says_what_and_about_what() {
        let tail = LogTail::new(LevelFilter::INFO, None);
        let lines = logged(&tail, || {
            tracing::warn!(destination = "us-east", attempts = 3, error = %"no answer", "failed");
            tracing::debug!("not asked for");
            tracing::info!(target: "vsyncs_neighbour", "somebody else's");
            tracing::info!(answer = ?Some(1));
        });
        assert_eq!(
            lines,
            [
                "1 WARN failed destination=us-east attempts=3 error=no answer",
                "2 INFO somebody else's",
                "3 INFO answer=Some(1)"
            ]
        );
        assert_eq!(tail.after(2).len(), 1);
    }

    #[test]
    fn the_level_can_be_changed_while_it_runs() {
        let tail = LogTail::new(LevelFilter::OFF, None);
        let levels = [LevelFilter::OFF, LevelFilter::ERROR, LevelFilter::DEBUG, LevelFilter::OFF];
        let lines = logged(&tail, || {
            for level in levels {
                tail.keep(level);
                tracing::error!("error at {level}");
                tracing::debug!("debug at {level}");
                tracing::debug!(target: "hyper::proto", "never, it may hold a whole request");
            }
        });
        assert_eq!(lines, ["1 ERROR error at error", "2 ERROR error at debug", "3 DEBUG debug at debug"]);
        assert_eq!(tail.configured(), LevelFilter::OFF);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let tail = LogTail::new(LevelFilter::INFO, None);
        let lines = logged(&tail, || (0..KEPT_RECORDS + 7).for_each(|number| tracing::info!("line {number}")));
        assert_eq!((lines.len(), lines[0].as_str()), (KEPT_RECORDS, "8 INFO line 7"));

        let long = "ü".repeat(LONGEST);
        logged(&tail, || (0..KEPT_RECORDS).for_each(|_| tracing::info!(long, "{long}")));
        let records = tail.after(0);
        assert!(records.len() < KEPT_RECORDS && records.iter().all(|record| record.message.ends_with("ü…")));
        assert!(records.iter().map(|record| record.bytes()).sum::<usize>() <= KEPT_BYTES);
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let tail = LogTail::new(LevelFilter::INFO, None);
        logged(&tail, || tracing::info!("one"));
        tail.changed(0).await;
        let nothing_new = tokio::time::timeout(Duration::from_millis(20), tail.changed(1)).await;
        assert!(nothing_new.is_err());
        let (waiting, logging) = (tail.clone(), tail.clone());
        let woken = tokio::spawn(async move { waiting.changed(1).await });
        tokio::task::spawn_blocking(move || logged(&logging, || tracing::info!("two"))).await.expect("logged");
        tokio::time::timeout(Duration::from_secs(5), woken).await.expect("woken").expect("no panic");
    }
}
