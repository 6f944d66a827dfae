//! What the cursor is on: a folder's roll-up, or a secret with its metadata and its way to each destination.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::Detail;
use crate::engine::SecretDetail;
use crate::kv::SecretPath;
use crate::tui::format;
use crate::tui::model::Model;
use crate::tui::widget::cell;
use crate::tui::widget::tree::NodeId;
use crate::vault::Metadata;

/// Versions that are listed; metadata may know hundreds.
const VERSIONS: usize = 5;

/// A title, and lines of at most this width.
pub(super) fn text(model: &Model, width: usize) -> (&'static str, Vec<Line<'static>>) {
    let state = &model.browse;
    let theme = &model.theme;
    let Some(id) = state.cursor() else { return ("Details", Vec::new()) };
    let mut lines: Vec<Line> =
        cell::wrap(&state.tree.path(id), width).into_iter().map(|line| Line::styled(line, theme.strong())).collect();
    lines.extend(unread(model, id, width));
    if let Some(path) = state.tree.secret(id) {
        secret(model, id, path, width, &mut lines);
        ("Secret", lines)
    } else {
        folder(model, id, width, &mut lines);
        ("Folder", lines)
    }
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
            Span::styled(cell::left(destination.as_str(), name), theme.strong()),
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

fn secret(model: &Model, id: NodeId, path: &SecretPath, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let detail = model.browse.detail.as_ref().filter(|detail| detail.path == *path);
    lines.push(Line::default());
    for at in 0..model.destinations.len() {
        destination(model, id, path, at, detail, width, lines);
    }
    lines.push(Line::default());
    match detail.and_then(|detail| detail.found.as_ref()) {
        None => lines.push(Line::styled("asking the origin…", theme.muted())),
        Some(Err(reason)) => {
            let text = format!("The origin does not tell more: {reason}");
            lines.extend(cell::wrap(&text, width).into_iter().map(|line| Line::styled(line, theme.warning())));
        }
        Some(Ok(found)) => origin(model, found, width, lines),
    }
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
    let marked = if model.marks[at].contains(path) { " ● marked" } else { "" };
    let mut first = vec![
        Span::styled(format!("{} ", standing.symbol()), theme.standing(standing)),
        Span::styled(crate::text::sanitize(name.as_str()).into_owned(), theme.strong()),
        Span::styled(format!("  {}", standing.as_str()), theme.standing(standing)),
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
    let failure = model.failures.iter().find(|(place, failure)| place == name && failure.origin == *path);
    if let Some((_, failure)) = failure {
        let text = format!("{}: {}", failure.cause.as_str(), failure.message);
        for line in cell::wrap(&text, width.saturating_sub(2)).into_iter().take(3) {
            lines.push(Line::styled(format!("  {line}"), theme.bad()));
        }
    }
}

/// The origin's metadata.
fn origin(model: &Model, found: &SecretDetail, width: usize, lines: &mut Vec<Line<'static>>) {
    let theme = &model.theme;
    let metadata = &found.metadata;
    let mut field = |name: &str, value: &str, most: usize| {
        let room = width.saturating_sub(10);
        for (at, part) in cell::wrap(value, room).into_iter().take(most).enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(Line::from(vec![
                Span::styled(cell::left(name, 10), theme.muted()),
                Span::styled(part, theme.text()),
            ]));
        }
    };
    let version = match metadata.oldest_version {
        0 | 1 => metadata.current_version.to_string(),
        oldest => format!("{}, oldest kept {oldest}", metadata.current_version),
    };
    field("version", &version, 1);
    field("updated", &format::time(metadata.updated_time.timestamp()), 1);
    field("created", &format::time(metadata.created_time), 1);
    match &found.keys {
        Some(keys) if keys.is_empty() => field("keys", "none", 1),
        Some(keys) => field("keys", &format!("{}  (values are never shown)", keys.join(", ")), 4),
        None => field("keys", "the server or the token does not tell", 1),
    }
    let settings = settings(metadata);
    if !settings.is_empty() {
        field("settings", &settings, 2);
    }
    for (at, (key, value)) in metadata.custom_metadata.iter().enumerate() {
        field(if at == 0 { "custom" } else { "" }, &format!("{key} = {value}"), 2);
    }
    for (at, (number, version)) in metadata.versions.iter().rev().take(VERSIONS).enumerate() {
        let fate = if version.destroyed {
            "destroyed".to_owned()
        } else if let Some(time) = version.deletion_time {
            format!("deleted {}", format::time(time))
        } else {
            String::new()
        };
        let text = format!("{number:>3}  {}  {fate}", format::time(version.created_time));
        field(if at == 0 { "versions" } else { "" }, text.trim_end(), 1);
    }
}

fn settings(metadata: &Metadata) -> String {
    let mut parts = Vec::new();
    if metadata.max_versions > 0 {
        parts.push(format!("max_versions {}", metadata.max_versions));
    }
    if metadata.cas_required {
        parts.push("cas_required".to_owned());
    }
    if !matches!(metadata.delete_version_after.as_str(), "" | "0s") {
        parts.push(format!("delete_version_after {}", metadata.delete_version_after));
    }
    parts.join(", ")
}
