//! Lines of the log that a terminal only shows: names come from servers, and whoever reads a log uses `cat` or `journalctl`.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::text::{escape_json, sanitize};

/// Writes events as the formatter inside does, a line each, with whatever a message or a field holds made harmless.
pub(super) struct Harmless<F> {
    pub(super) inner: F,
    pub(super) format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for Harmless<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        let clean = match self.format {
            LogFormat::Console => sanitize(line),
            LogFormat::Json => escape_json(line),
        };
        writeln!(to, "{clean}")
    }
}
