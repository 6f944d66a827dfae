//! What the cursor is on: a folder's roll-up, or a secret with its keys, its way to each destination and how it stands
//! there, its metadata and its versions.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::{Detail, versions};
use crate::engine::{Cause, CopyDetail, DestinationName, FindingKind, SecretDetail};
use crate::kv::SecretPath;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::widget::cell;
use crate::tui::widget::tree::{NodeId, Standing};
use crate::vault::Metadata;

/// How wide the names of fields are.
const FIELD: usize = 10;

/// What the details show.
pub(super) struct Text {
    pub(super) title: &'static str,
    pub(super) lines: Vec<Line<'static>>,
    /// The line that the chosen key is on.
    pub(super) key_line: Option<usize>,
}

/// The text, in lines of at most this width.
pub(super) fn text(model: &Model, width: usize) -> Text {
    let state = &model.browse;
    let theme = &model.theme;
    let Some(id) = state.cursor() else { return Text { title: "Details", lines: Vec::new(), key_line: None } };
    let mut lines: Vec<Line> =
        cell::wrap(&state.tree.path(id), width).into_iter().map(|line| Line::styled(line, theme.strong())).collect();
    lines.extend(unread(model, id, width));
    let Some(path) = state.tree.secret(id) else {
        folder(model, id, width, &mut lines);
        return Text { title: "Folder", lines, key_line: None };
    };
    let detail = state.detail.as_ref().filter(|detail| detail.path == *path);
    let key_line = detail.and_then(|detail| keys(model, detail, width, &mut lines));
    lines.push(Line::default());
    for at in 0..model.destinations.len() {
        destination(model, id, path, at, detail, width, &mut lines);
    }
    lines.push(Line::default());
    match detail.and_then(|detail| detail.found.as_ref()) {
        None => lines.push(Line::styled("asking the origin…", theme.muted())),
        Some(Err(reason)) => {
            let text = format!("The origin does not tell more: {reason}");
            lines.extend(wrapped(&text, width, "", theme.warning()));
        }
        Some(Ok(found)) => origin(model, found, width, &mut lines),
    }
    Text { title: "Secret", lines, key_line }
}

fn wrapped(text: &str, width: usize, indent: &'static str, style: Style) -> impl Iterator<Item = Line<'static>> {
    let lines = cell::wrap(text, width.saturating_sub(indent.len()));
    lines.into_iter().map(move |line| Line::styled(format!("{indent}{line}"), style))
}

/// Why the origin could not read it.
fn unread(model: &Model, id: NodeId, width: usize) -> Vec<Line<'static>> {
    let tree = &model.browse.tree;
    if !tree.is_unread(id) {
        return Vec::new();
    }
    let path = tree.path(id);
    let reason = model.unknown.iter().find(|unknown| unknown.prefix == path).map_or("", |unknown| &unknown.reason);
    let text = format!("? not readable: {reason}. What lies here is unknown, so nothing under it is deleted anywhere.");
    let style = model.theme.state(crate::engine::SecretState::Unknown);
    cell::wrap(&text, width).into_iter().map(|line| Line::styled(line, style)).collect()
}

fn folder(model: &Model, id: NodeId, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let tree = &model.browse.tree;
    let total = u64::from(tree.secrets_below(id));
    lines.push(Line::styled(format::plural(total, "secret"), theme.muted()));
    lines.push(Line::default());
    let name = model.destinations.iter().map(|name| name.as_str().len()).max().unwrap_or(0).min(20);
    for (at, destination) in model.destinations.iter().enumerate() {
        let standing = tree.standing(id, at);
        let behind = u64::from(tree.behind(id, at));
        let mut spans = vec![
            Span::styled(format!("{} ", standing.symbol()), theme.standing(standing)),
            Span::styled(cell::name(destination.as_str(), name), theme.strong()),
        ];
        if behind == 0 {
            spans.push(Span::styled(format!("  {}", standing.as_str()), theme.standing(standing)));
        } else {
            let share = format!("  {} of {} ", format::short(behind), format::short(total));
            spans.push(Span::styled(share, theme.text()));
        }
        let mut used: usize = spans.iter().map(Span::width).sum();
        for (standing, count) in tree.counts_behind(id, at) {
            let count = if count > 0 { format::short(count) } else { String::new() };
            let way = Span::styled(format!(" {}{count}", standing.symbol()), theme.standing(standing));
            if used + way.width() > width {
                lines.push(Line::from(std::mem::take(&mut spans)));
                spans.push(Span::raw("   "));
                used = 3;
            }
            used += way.width();
            spans.push(way);
        }
        lines.push(Line::from(spans));
    }
}

/// The names of the keys, the chosen one marked; returns the line it is on.
fn keys(model: &Model, detail: &Detail, width: usize, lines: &mut Vec<Line<'static>>) -> Option<usize> {
    let theme = &model.theme;
    let mut spans = vec![Span::styled(cell::left("keys", FIELD), theme.muted())];
    let found = detail.found.as_ref()?.as_ref().ok()?;
    let Some(keys) = &found.keys else {
        let live = found.metadata.as_ref().is_none_or(|metadata| metadata.key_info().live);
        let why = if live { "the server or the token does not tell" } else { "none: the newest version is deleted" };
        spans.push(Span::styled(why, theme.muted()));
        lines.push(Line::from(spans));
        return None;
    };
    if keys.is_empty() {
        spans.push(Span::styled("none", theme.muted()));
        lines.push(Line::from(spans));
        return None;
    }
    let chosen = model.browse.key.min(keys.len() - 1);
    let mut chosen_line = None;
    let mut used = FIELD;
    for (at, key) in keys.iter().enumerate() {
        let name = cell::left(key, width.saturating_sub(FIELD + 4));
        let style = if at == chosen { theme.active() } else { theme.text() };
        let name = Span::styled(format!(" {} ", name.trim_end()), style);
        if used + name.width() > width && used > FIELD {
            lines.push(Line::from(std::mem::take(&mut spans)));
            spans.push(Span::raw(" ".repeat(FIELD)));
            used = FIELD;
        }
        used += name.width();
        spans.push(name);
        if at == chosen {
            chosen_line = Some(lines.len());
        }
    }
    lines.push(Line::from(spans));
    let [before, next, reveal, copy] =
        [Action::PreviousKey, Action::NextKey, Action::Reveal, Action::CopyKey].map(|action| super::key(model, action));
    let hint = if model.read_only {
        format!("{before} {next} choose one, {copy} copies its name; read-only: no value is shown")
    } else {
        format!("{before} {next} choose one, {reveal} shows its value for ten seconds")
    };
    for part in cell::wrap(&hint, width.saturating_sub(FIELD + 1)) {
        lines.push(Line::styled(format!("{}{part}", " ".repeat(FIELD + 1)), theme.muted()));
    }
    chosen_line
}

/// Where it goes at one destination, by which rule, and how it stands there.
fn destination(
    model: &Model,
    id: NodeId,
    path: &SecretPath,
    at: usize,
    detail: Option<&Detail>,
    width: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let theme = &model.theme;
    let name = &model.destinations[at];
    let standing = model.browse.tree.standing(id, at);
    let copy = detail.and_then(|detail| detail.copies.get(name));
    let marked = if model.marks[at].contains(path) { " ● marked" } else { "" };
    let mut first = vec![
        Span::styled(format!("{} ", standing.symbol()), theme.standing(standing)),
        Span::styled(crate::text::sanitize(name.as_str()).into_owned(), theme.strong()),
        Span::styled(format!("  {}", standing_words(model, path, at, standing)), theme.standing(standing)),
        Span::styled(marked, theme.accent()),
    ];
    let target = match detail.and_then(|detail| detail.mappings.get(at)) {
        Some(Some(mapping)) => {
            let same = mapping.data_path == path.data_path();
            let target = if same { "the same path".to_owned() } else { mapping.data_path.clone() };
            let style = if same { theme.muted() } else { theme.text() };
            let rule = format!("  by {}", crate::text::sanitize(&mapping.rule));
            let room = width.saturating_sub(4 + rule.width());
            vec![
                Span::styled("  → ", theme.muted()),
                Span::styled(cell::path(&target, room).trim_end().to_owned(), style),
                Span::styled(rule, theme.muted()),
            ]
        }
        Some(None) => vec![Span::styled("  → nowhere", theme.muted())],
        None => vec![Span::styled("  → …", theme.muted())],
    };
    let length = |spans: &[Span]| spans.iter().map(Span::width).sum::<usize>();
    if length(&first) + length(&target) <= width {
        first.extend(target);
        lines.push(Line::from(first));
    } else {
        lines.extend([Line::from(first), Line::from(target)]);
    }
    match copy {
        None => {}
        Some(Err(reason)) => lines.extend(wrapped(reason, width, "    ", theme.warning())),
        Some(Ok(copy)) => {
            let newest = detail.and_then(|detail| detail.found.as_ref()?.as_ref().ok());
            let newest = newest.and_then(|found| found.metadata.as_ref().map(|metadata| metadata.current_version));
            lines.extend(wrapped(&recorded(copy, newest), width, "    ", theme.muted()));
            lines.extend(wrapped(&present(copy), width, "    ", theme.muted()));
            if let Some(words) = drift(copy) {
                lines.extend(wrapped(&words, width, "    ", theme.standing(Standing::Drifted)));
            }
        }
    }
    let failure = model.failures.iter().find(|(place, failure)| place == name && failure.origin == *path);
    if let Some((_, failure)) = failure.filter(|(_, failure)| !matches!(failure.cause, Cause::Drift | Cause::Existing))
    {
        let text = format!("{} at {}: {}", failure.cause.as_str(), format::time(failure.at), failure.message);
        lines.extend(wrapped(&text, width, "    ", theme.bad()).take(4));
    }
}

/// How it stands in words; of what somebody else wrote whether vsync had been there before.
pub(super) fn standing_words(model: &Model, path: &SecretPath, at: usize, standing: Standing) -> &'static str {
    if standing != Standing::Drifted {
        return standing.as_str();
    }
    let name: &DestinationName = &model.destinations[at];
    let part = model.plan.as_ref().and_then(|plan| plan.destinations.iter().find(|part| part.destination == *name));
    let drift = part.and_then(|part| {
        let at = part.drifted.binary_search_by(|drift| drift.origin.cmp(path)).ok()?;
        part.drifted.get(at)
    });
    match drift.map(crate::engine::Drift::cause) {
        Some(Cause::Existing) => "there before vsync",
        _ => standing.as_str(),
    }
}

/// What vsync left there.
fn recorded(copy: &CopyDetail, newest: Option<u64>) -> String {
    let record = match &copy.record {
        Ok(record) => record,
        Err(error) => return format!("what was copied is not known: {error}"),
    };
    let copied = match record.copied {
        Some(insight) if insight.is_in_doubt() => {
            return "an undo or a delete is under way or was cut off; the next cycle looks at what is there".to_owned();
        }
        Some(insight) => {
            let behind = newest.filter(|newest| *newest > insight.version).map(|newest| format!(" of {newest}"));
            format!("copied: the origin's version {}{}", insight.version, behind.unwrap_or_default())
        }
        None => "never copied".to_owned(),
    };
    match &record.entry {
        Some(entry) if entry.deleted => format!("{copied}; deleted by vsync {}", format::time(entry.at)),
        Some(entry) if entry.version > 0 => {
            format!("{copied}, as version {} there, {}", entry.version, format::time(entry.at))
        }
        Some(entry) => format!("{copied}; met what somebody else wrote {}", format::time(entry.at)),
        None if record.copied.is_some() => format!("{copied}, its version there is not recorded"),
        None => copied,
    }
}

/// What the destination has.
fn present(copy: &CopyDetail) -> String {
    let metadata = match &copy.present {
        Ok(Some(metadata)) => metadata,
        Ok(None) => return "there now: nothing".to_owned(),
        Err(error) => return format!("what is there now is not known: {}", error.message()),
    };
    let number = metadata.current_version;
    let Some(version) = metadata.versions.get(&number) else { return "there now: no version is kept".to_owned() };
    if version.destroyed {
        format!("there now: version {number}, destroyed")
    } else if let (None, Some(time)) = (copy.live_version(), version.deletion_time) {
        format!("there now: version {number}, deleted {}", format::time(time))
    } else {
        format!("there now: version {number}, written {}", format::time(version.created_time))
    }
}

/// What somebody else has done there, if anybody has.
fn drift(copy: &CopyDetail) -> Option<String> {
    let record = copy.record.as_ref().ok()?;
    let ours = record.entry.as_ref().map_or(0, |entry| entry.version);
    let there = copy.live_version().unwrap_or(0);
    Some(match copy.finding()? {
        FindingKind::Changed => format!("Drift: somebody else has written version {there}; vsync's was {ours}."),
        FindingKind::Gone if ours > 0 => format!("Drift: somebody else has deleted version {ours}, which vsync wrote."),
        FindingKind::Gone => "Drift: vsync copied it, and somebody else has deleted it.".to_owned(),
        FindingKind::CameBack => format!("Drift: vsync has deleted it, and version {there} can be read again."),
        FindingKind::Foreign if ours == 0 => {
            format!("Existing: version {there} is there, and vsync never wrote one.")
        }
        FindingKind::Foreign => format!("Drift: version {there} is somebody else's; vsync's was {ours}."),
        FindingKind::ValueDiffers => "The value is not the origin's.".to_owned(),
    })
}

/// The origin's metadata.
fn origin(model: &Model, found: &SecretDetail, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let mut field = |name: &str, value: &str| {
        for (at, part) in cell::wrap(value, width.saturating_sub(FIELD)).into_iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(Line::from(vec![
                Span::styled(cell::left(name, FIELD), theme.muted()),
                Span::styled(part, theme.text()),
            ]));
        }
    };
    let Some(metadata) = &found.metadata else {
        let seen = match found.seen {
            Some(seen) => format!(
                "vsync has seen {} here, the present one first {}",
                if seen.version == 1 { "1 value".to_owned() } else { format!("{} values", seen.version) },
                format::time(seen.update_time.timestamp())
            ),
            None => "vsync has not recorded it yet".to_owned(),
        };
        field("engine", "KV version 1, which keeps neither versions nor metadata");
        field("seen", &seen);
        return;
    };
    let version = match metadata.oldest_version {
        0 | 1 => metadata.current_version.to_string(),
        oldest => format!("{}, oldest kept {oldest}", metadata.current_version),
    };
    field("version", &version);
    field("updated", &format::time(metadata.updated_time.timestamp()));
    field("created", &format::time(metadata.created_time));
    field("settings", &settings(metadata));
    for (at, (key, value)) in metadata.custom_metadata.iter().enumerate() {
        field(if at == 0 { "custom" } else { "" }, &format!("{key} = {value}"));
    }
    let updated = metadata.updated_time.timestamp();
    let now = model.plan.as_ref().map_or(updated, |plan| plan.created.max(updated));
    lines.push(Line::default());
    lines.push(Line::styled("versions", theme.muted()));
    lines.extend(versions::lines(theme, metadata, now, width));
}

fn settings(metadata: &Metadata) -> String {
    let most = match metadata.max_versions {
        0 => "max_versions as the mount says".to_owned(),
        most => format!("max_versions {most}"),
    };
    let mut parts = vec![most];
    if metadata.cas_required {
        parts.push("cas_required".to_owned());
    }
    match metadata.delete_version_after.as_str() {
        "" | "0s" => {}
        after => parts.push(format!("delete_version_after {after}")),
    }
    parts.join(", ")
}
