//! Results on stdout: lines for people, or one JSON object a line for programs.

use std::io::{self, Write};

use jiff::Timestamp;

use super::Format;
use super::object::{Marked, Object};
use crate::config::Config;

/// A colour with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As it should be.
    Good,
    /// Worth a look.
    Notice,
    /// Wrong.
    Bad,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

/// Where results go: stdout. A reader that went away is no error; the command goes on without it.
#[derive(Debug)]
pub struct Output {
    format: Format,
    colour: bool,
    /// See [`Output::note_unverified`].
    unverified: Vec<String>,
    out: io::BufWriter<io::Stdout>,
    closed: bool,
}

impl Output {
    /// Results in this format; `colour` holds for text.
    #[must_use]
    pub fn new(format: Format, colour: bool) -> Self {
        Self { format, colour, unverified: Vec::new(), out: io::BufWriter::new(io::stdout()), closed: false }
    }

    /// Whether JSON is wanted.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// From now on every object names the sides whose certificates nobody checks, if there are any, as `tls_unverified`.
    pub(super) fn note_unverified(&mut self, config: &Config) {
        self.unverified = config.unverified().map(str::to_owned).collect();
    }

    /// A line of text. Names from servers have to be made harmless before.
    ///
    /// # Errors
    /// When stdout cannot be written for another reason than that nobody reads it.
    pub fn line(&mut self, line: impl AsRef<str>) -> io::Result<()> {
        self.write(line.as_ref())
    }

    /// A line of JSON.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn object(&mut self, object: &Object<'_>) -> io::Result<()> {
        let marked = Marked { object, tls_unverified: &self.unverified };
        self.write(&crate::text::to_json(&marked)?)
    }

    /// The text in a colour, if there are any.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Good => "32",
            Paint::Notice => "33",
            Paint::Bad => "31",
            Paint::Dim => "2",
            Paint::Strong => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// Hands over what is still held back.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.judge(flushed)
    }

    fn write(&mut self, line: &str) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let written = writeln!(self.out, "{line}");
        self.judge(written)
    }

    fn judge(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => other,
        }
    }
}

/// Rows under headings, in columns as wide as they need to be. All columns but the first hold numbers and are set to the
/// right, unless `left` names them.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>], left: &[usize]) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain(headings.get(column).map(|heading| heading.width())).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let gap = " ".repeat(widths[column].saturating_sub(cell.width()));
            if column > 0 {
                line.push_str("  ");
            }
            if column == 0 || left.contains(&column) {
                line.push_str(cell);
                line.push_str(&gap);
            } else {
                line.push_str(&gap);
                line.push_str(cell);
            }
        }
        line.trim_end().to_owned()
    };
    let heading = std::iter::once(line(headings.to_vec()));
    heading.chain(rows.iter().map(|row| line(row.iter().map(String::as_str).collect()))).collect()
}

/// A span of time in words: `8 ms`, `1.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `5 d 3 h`.
pub(super) fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A moment in UTC, to the second.
pub(super) fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["us-east".to_owned(), "12".to_owned()], vec!["日本".to_owned(), "3".to_owned()]];
        assert_eq!(table(&["NAME", "ADD"], &rows, &[]), ["NAME     ADD", "us-east   12", "日本       3"]);
    }

    #[test]
    fn spans_are_said_in_two_units() {
        let said = [400, 1_400, 12_000, 185_000, 7_800_000, 442_800_000].map(Duration::from_millis).map(duration);
        assert_eq!(said, ["400 ms", "1.4 s", "12 s", "3 min 5 s", "2 h 10 min", "5 d 3 h"]);
    }
}
