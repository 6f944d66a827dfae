//! The figures of a soak: a table to read and one to draw.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::samples::{Sample, trend};

/// Samples of the last life after it has warmed up.
pub(super) struct Steady<'a> {
    samples: Vec<&'a Sample>,
}

/// What became of one quantity in the steady part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    pub(super) mean: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// By the straight line through all samples, for an hour of it.
    pub(super) per_hour: f64,
}

impl<'a> Steady<'a> {
    /// The first two fifths of the last life, half a minute at least, are warm-up: until each thread has done each kind
    /// of work once, it takes memory that it keeps.
    pub(super) fn of(samples: &'a [Sample]) -> Self {
        let life = samples.last().map_or(0, |sample| sample.life);
        let last: Vec<&Sample> = samples.iter().filter(|sample| sample.life == life).collect();
        let (Some(first), Some(end)) = (last.first(), last.last()) else { return Self { samples: last } };
        let warm = first.at + ((end.at - first.at) * 0.4).max(30.0);
        Self { samples: last.into_iter().filter(|sample| sample.at >= warm).collect() }
    }

    /// In minutes.
    pub(super) fn length(&self) -> f64 {
        let ends = self.samples.first().zip(self.samples.last());
        ends.map_or(0.0, |(first, last)| (last.at - first.at) / 60.0)
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub(super) fn course(&self, of: impl Fn(&Sample) -> Option<u64>) -> Option<Course> {
        let points: Vec<(f64, f64)> =
            self.samples.iter().filter_map(|sample| Some((sample.at, of(sample)? as f64))).collect();
        if points.len() < 3 {
            return None;
        }
        let (slope, mean) = trend(&points);
        let values = || points.iter().map(|point| point.1);
        Some(Course {
            mean,
            least: values().fold(f64::INFINITY, f64::min),
            most: values().fold(0.0, f64::max),
            per_hour: slope * 3_600.0,
        })
    }
}

/// Rows of a table in Markdown.
#[derive(Default)]
pub(super) struct Table(String);

impl Table {
    pub(super) fn row(&mut self, what: &str, value: impl std::fmt::Display) {
        let head = if self.0.is_empty() { "| what | |\n|---|---|\n" } else { "" };
        writeln!(self.0, "{head}| {what} | {value} |").expect("memory");
    }

    pub(super) fn counts(&mut self, what: &str, counts: &BTreeMap<&'static str, u64>) {
        let parts: Vec<String> = counts.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        self.row(what, format!("{} ({})", counts.values().sum::<u64>(), parts.join(", ")));
    }

    /// Without `trend` the time is too short for saying what an hour brings.
    pub(super) fn course(&mut self, what: &str, unit: &str, scale: f64, course: Option<Course>, trend: bool) {
        let Some(course) = course else {
            return self.row(what, "not measured: too few samples, or /proc does not show it");
        };
        let [mean, least, most, per_hour] =
            [course.mean, course.least, course.most, course.per_hour].map(|value| value / scale);
        let trend = if trend { format!(", {per_hour:+.2}{unit} an hour") } else { String::new() };
        self.row(what, format!("{mean:.1}{unit} on average, {least:.1} to {most:.1}{unit}{trend}"));
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// One line a sample.
pub(super) fn csv(samples: &[Sample], servers: &[&str]) -> String {
    let mut text =
        format!("seconds,life,memory_kib,open_files,threads,state_bytes,log_bytes,to_{}\n", servers.join(",to_"));
    for sample in samples {
        let Sample { at, life, memory, files, threads, connections, state, logs } = sample;
        let files = files.map(|files| files.to_string()).unwrap_or_default();
        let connections: Vec<String> = connections.iter().map(u64::to_string).collect();
        let connections = connections.join(",");
        writeln!(text, "{at:.1},{life},{memory},{files},{threads},{state},{logs},{connections}").expect("memory");
    }
    text
}
