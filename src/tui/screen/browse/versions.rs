//! The versions of a secret: a line on which they stand in time, and below it each with what became of it.

use jiff::Timestamp;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::tui::format;
use crate::tui::theme::Theme;
use crate::tui::widget::cell;
use crate::vault::{Metadata, VersionInfo};

/// How wide a version's number is.
const NUMBER: usize = 4;

/// What became of a version, the most telling last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Kept,
    Deleted,
    Destroyed,
    Current,
}

impl Fate {
    fn of(number: u64, version: &VersionInfo, metadata: &Metadata, now: Timestamp) -> Self {
        if version.destroyed {
            Self::Destroyed
        } else if version.deletion_time.is_some_and(|time| time <= now) {
            Self::Deleted
        } else if number == metadata.current_version {
            Self::Current
        } else {
            Self::Kept
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Kept => "●",
            Self::Deleted => "○",
            Self::Destroyed => "✕",
            Self::Current => "◆",
        }
    }

    fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Kept => theme.accent(),
            Self::Deleted => theme.warning(),
            Self::Destroyed => theme.bad(),
            Self::Current => theme.good(),
        }
    }
}

/// The lines, of at most this width. `now` tells a deletion that has been from one that is only due.
pub(super) fn lines(theme: &Theme, metadata: &Metadata, now: Timestamp, width: usize) -> Vec<Line<'static>> {
    if metadata.versions.is_empty() {
        return vec![Line::styled("no version is kept", theme.muted())];
    }
    let mut lines = Vec::with_capacity(metadata.versions.len() + 2);
    if metadata.versions.len() > 1 {
        lines.extend(timeline(theme, metadata, now, width));
    }
    for (number, version) in metadata.versions.iter().rev() {
        let fate = Fate::of(*number, version, metadata, now);
        let written = format::time(version.created_time);
        let end = match (fate, version.deletion_time) {
            (Fate::Destroyed, _) => "  destroyed".to_owned(),
            (Fate::Deleted, Some(time)) => format!("  deleted {}", format::time(time)),
            (_, Some(time)) => format!("  deletion due {}", format::time(time)),
            _ => String::new(),
        };
        let current = if *number == metadata.current_version { "  current" } else { "" };
        let text = format!("{written}{end}{current}");
        let style = if fate == Fate::Destroyed || fate == Fate::Deleted { theme.muted() } else { theme.text() };
        for (at, part) in cell::wrap(&text, width.saturating_sub(NUMBER + 3)).into_iter().enumerate() {
            let (symbol, number) = if at == 0 { (fate.symbol(), number.to_string()) } else { (" ", String::new()) };
            lines.push(Line::from(vec![
                Span::styled(symbol, fate.style(theme)),
                Span::styled(format!("{}  ", cell::right(&number, NUMBER)), style),
                Span::styled(part, style),
            ]));
        }
    }
    lines
}

/// Where the versions stand in time, from the first that is known to the last; of those that fall on one column the
/// most telling one shows.
fn timeline(theme: &Theme, metadata: &Metadata, now: Timestamp, width: usize) -> Vec<Line<'static>> {
    let seconds = |version: &VersionInfo| version.created_time.as_second();
    let first = metadata.versions.values().map(seconds).min().unwrap_or(0);
    let last = metadata.versions.values().map(seconds).max().unwrap_or(0);
    let columns = width.saturating_sub(2).min(72);
    if columns < 12 {
        return Vec::new();
    }
    let column = |at: i64| {
        let span = u64::try_from(last - first).unwrap_or(0).max(1);
        let passed = u64::try_from(at - first).unwrap_or(0);
        usize::try_from(u128::from(passed) * (columns as u128 - 1) / u128::from(span)).unwrap_or(0)
    };
    let mut marks: Vec<Option<Fate>> = vec![None; columns];
    for (number, version) in &metadata.versions {
        let place = &mut marks[column(seconds(version)).min(columns - 1)];
        *place = (*place).max(Some(Fate::of(*number, version, metadata, now)));
    }
    let mut spans = vec![Span::styled("├", theme.border())];
    for mark in marks {
        spans.push(match mark {
            Some(fate) => Span::styled(fate.symbol(), fate.style(theme)),
            None => Span::styled("─", theme.border()),
        });
    }
    spans.push(Span::styled("┤", theme.border()));
    let day = |second: i64| {
        Timestamp::from_second(second).map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%d").to_string())
    };
    let (from, to) = (day(first), day(last));
    let between = " ".repeat((columns + 2).saturating_sub(from.len() + to.len()));
    vec![Line::from(spans), Line::styled(format!("{from}{between}{to}"), theme.muted())]
}
