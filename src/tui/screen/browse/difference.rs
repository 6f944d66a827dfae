//! In what a secret and its copy at one destination differ, key by key. Values are compared by the engine and not shown,
//! unless one is revealed.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::Question;
use super::reveal::{self, Wanted};
use crate::engine::{DestinationName, Difference, Held, KeyState, SecretState, Side};
use crate::kv::SecretPath;
use crate::sync_info::EngineKind;
use crate::text::sanitize;
use crate::tui::effect::Effect;
use crate::tui::effect::browse::Request;
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::{Ask, Dialog, Model};
use crate::tui::update::movement;
use crate::tui::widget::scroll::Scroll;
use crate::tui::widget::{cell, panel};
use crate::vault::Metadata;

/// A comparison that shows.
#[derive(Debug)]
pub(super) struct Comparing {
    pub(super) path: SecretPath,
    /// The destination's place in the model.
    at: usize,
    /// `None` while both sides are read.
    found: Option<Result<Box<Difference>, String>>,
    scroll: Scroll,
}

impl Comparing {
    fn key(&self) -> Option<&str> {
        let found = self.found.as_ref()?.as_ref().ok()?;
        found.keys.get(self.scroll.row()).map(|key| key.name.as_str())
    }

    fn rows(&self) -> Vec<Row> {
        let Some(Ok(found)) = &self.found else { return Vec::new() };
        let mut rows: Vec<_> = (0..found.keys.len()).map(Row::Key).collect();
        let metadata = metadata_differences(found);
        if !metadata.is_empty() {
            rows.extend([Row::Blank, Row::Heading]);
            rows.extend(metadata.into_iter().map(Row::Metadata));
        }
        rows
    }
}

enum Row {
    Key(usize),
    Blank,
    Heading,
    Metadata(Setting),
}

/// A piece of metadata that the two sides have differently.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    name: String,
    ours: String,
    theirs: String,
}

/// Compares the secret under the cursor, after a question the first time.
pub(super) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(path) = super::selected(model) else {
        model.say("A secret can be compared, not a folder.");
        return Vec::new();
    };
    if model.destinations.is_empty() {
        return Vec::new();
    }
    // The destination that is worst off is the one in question.
    let tree = &model.browse.tree;
    let standing = |at: usize| tree.find(&path).map(|id| tree.standing(id, at));
    let at = (0..model.destinations.len()).rev().max_by_key(|at| standing(*at)).unwrap_or(0);
    compare(model, path, at)
}

fn compare(model: &mut Model, path: SecretPath, at: usize) -> Vec<Effect> {
    if !model.browse.may_compare {
        model.dialog = Some(Dialog::new(Ask::Browse(Question::Compare { path, at })));
        return Vec::new();
    }
    let destination = model.destinations[at].clone();
    let found = None;
    model.browse.comparing = Some(Comparing { path: path.clone(), at, found, scroll: Scroll::default() });
    vec![Effect::Browse(Request::Compare { destination, path })]
}

/// What is asked before the first comparison.
pub(super) fn question(model: &Model, path: &SecretPath, at: usize) -> (&'static str, Vec<String>, &'static str) {
    let name = sanitize(model.destinations.get(at).map_or("", DestinationName::as_str)).into_owned();
    let text = vec![
        format!("{path} is read at the origin and at {name}, to say which keys differ."),
        String::new(),
        "The audit logs of both servers tell that it was read, and vsync's log who asked. No value is shown or kept; a value shows only if you reveal it.".to_owned(),
        String::new(),
        "From now on this console compares without asking again.".to_owned(),
    ];
    ("Read both to compare them?", text, "Yes, compare")
}

pub(super) fn agree(model: &mut Model, path: SecretPath, at: usize) -> Vec<Effect> {
    model.browse.may_compare = true;
    compare(model, path, at)
}

/// Takes in what the engine found.
pub(super) fn take(
    model: &mut Model,
    destination: &DestinationName,
    path: &SecretPath,
    found: Result<Box<Difference>, String>,
) {
    let names = &model.destinations;
    if let Some(comparing) = &mut model.browse.comparing
        && comparing.path == *path
        && names.get(comparing.at) == Some(destination)
    {
        comparing.found = Some(found);
    }
}

pub(super) fn settle(model: &mut Model) {
    let height = height(model);
    if let Some(comparing) = &mut model.browse.comparing {
        let len = comparing.rows().len();
        comparing.scroll.settle(len, height);
    }
}

pub(super) fn act(model: &mut Model, action: Action) -> Vec<Effect> {
    let height = height(model);
    let Some(comparing) = &mut model.browse.comparing else { return Vec::new() };
    if let Some(to) = movement(action) {
        let len = comparing.rows().len();
        comparing.scroll.go(to, len, height);
        return Vec::new();
    }
    let (path, at, count) = (comparing.path.clone(), comparing.at, model.destinations.len());
    match action {
        Action::Right => return compare(model, path, (at + 1) % count),
        Action::Left => return compare(model, path, (at + count - 1) % count),
        Action::Compare => return compare(model, path, at),
        Action::Reveal | Action::RevealCopy => {
            let (Some(key), Some(Ok(found))) = (comparing.key().map(str::to_owned), &comparing.found) else {
                model.say("The cursor is on no key.");
                return Vec::new();
            };
            let state = found.keys.iter().find(|one| one.name == key).map(|one| one.state);
            let (side, place, lacking) = if action == Action::Reveal {
                (Side::Origin, found.origin.path.clone(), KeyState::OnlyThere)
            } else {
                let name = model.destinations[at].clone();
                (Side::Destination(name), found.copy.path.clone(), KeyState::OnlyAtOrigin)
            };
            if state == Some(lacking) {
                model.say("That side does not have this key.");
                return Vec::new();
            }
            return reveal::ask(model, Some(Wanted { side, path, place, key }));
        }
        Action::CopyKey => match comparing.key().map(str::to_owned) {
            Some(key) => return super::copy_text(model, key),
            None => model.say("The cursor is on no key."),
        },
        Action::CopyPath => return super::copy_text(model, path.to_string()),
        Action::NextKey => comparing.scroll.go(crate::tui::widget::scroll::Move::Down, comparing.rows().len(), height),
        Action::PreviousKey => {
            comparing.scroll.go(crate::tui::widget::scroll::Move::Up, comparing.rows().len(), height);
        }
        _ => {}
    }
    Vec::new()
}

/// Puts the cursor on a row.
pub(super) fn click(model: &mut Model, at: Position) {
    let body = model.body();
    let area = Rect { y: body.y + HEAD + 1, height: body.height.saturating_sub(AROUND), ..body };
    if let Some(comparing) = &mut model.browse.comparing
        && let Some(row) = comparing.scroll.row_at(area, at, comparing.rows().len())
    {
        comparing.scroll.select(row);
    }
}

/// The lines above the rows.
const HEAD: u16 = 6;

/// These, the hint below them, and the frame.
const AROUND: u16 = HEAD + 3;

fn height(model: &Model) -> usize {
    usize::from(model.body().height.saturating_sub(AROUND))
}

pub(super) fn view(model: &Model, comparing: &Comparing, body: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let name = sanitize(model.destinations.get(comparing.at).map_or("", DestinationName::as_str)).into_owned();
    let of = format!(" {} of {} ", comparing.at + 1, model.destinations.len());
    let right =
        vec![Span::styled(" ← ", theme.accent()), Span::styled(of, theme.muted()), Span::styled(" → ", theme.accent())];
    let inner = panel::panel(theme, &format!("Difference: origin and {name}"), right, body, buffer);
    let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let width = usize::from(inner.width);
    let found = match &comparing.found {
        Some(Ok(found)) => found,
        other => {
            let mut lines =
                vec![Line::styled(cell::path(&comparing.path.to_string(), width), theme.strong()), Line::default()];
            match other {
                Some(Err(reason)) => {
                    let text = cell::wrap(&format!("They could not be compared: {reason}"), width);
                    lines.extend(text.into_iter().map(|line| Line::styled(line, theme.warning())));
                }
                _ => lines.push(Line::styled(format!("reading the origin and {name}…"), theme.muted())),
            }
            panel::lines(lines, inner, buffer);
            return;
        }
    };
    let label = name.width().clamp(6, 16);
    let mut lines =
        vec![held(model, "origin", &found.origin, label, width), held(model, &name, &found.copy, label, width)];
    lines.push(Line::default());
    lines.push(Line::from(summary(model, found)));
    lines.push(Line::default());
    let rows = comparing.rows();
    let names = rows.iter().filter_map(|row| match row {
        Row::Key(key) => Some(found.keys[*key].name.as_str()),
        Row::Metadata(setting) => Some(setting.name.as_str()),
        Row::Blank | Row::Heading => None,
    });
    let keys = names.map(|name| sanitize(name).width()).max().unwrap_or(0).clamp(8, (width / 2).max(8));
    lines.push(Line::styled(format!("  {}  {}", cell::left("key", keys), "value"), theme.muted()));
    panel::lines(lines, inner, buffer);
    let area = Rect { y: inner.y + HEAD, height: inner.height.saturating_sub(HEAD + 1), ..inner };
    let window = comparing.scroll.window(rows.len(), usize::from(area.height));
    for (place, at) in area.rows().zip(window) {
        let line = match &rows[at] {
            Row::Key(key) => key_line(model, &found.keys[*key], &name, keys),
            Row::Blank => Line::default(),
            Row::Heading => Line::styled("  metadata, which vsync does not copy", theme.muted()),
            Row::Metadata(setting) => setting_line(model, setting, keys, width),
        };
        panel::lines([line], place, buffer);
        if at == comparing.scroll.row() {
            buffer.set_style(place, theme.selected());
        }
    }
    let [ours, theirs, left, right, close] =
        [Action::Reveal, Action::RevealCopy, Action::Left, Action::Right, Action::Back]
            .map(|action| super::key(model, action));
    let hint = if model.read_only {
        format!("read-only: no value is shown; {left} {right} other destinations; {close} closes")
    } else {
        format!(
            "{ours} the origin's value, {theirs} the one at {name}; {left} {right} other destinations; {close} closes"
        )
    };
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
    panel::lines([Line::styled(cell::left(&hint, width), theme.muted())], last, buffer);
}

fn held(model: &Model, name: &str, held: &Held, label: usize, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let version = match (held.version, &held.metadata) {
        (Some((_, seen)), _) if held.kind == EngineKind::KvV1 => {
            format!("KV version 1, seen first {}", format::time(seen))
        }
        (Some((version, written)), _) => format!("version {version}, written {}", format::time(written)),
        (None, Ok(Some(metadata))) => format!("version {} is deleted", metadata.current_version),
        (None, _) => "nothing is there".to_owned(),
    };
    let room = width.saturating_sub(label + 4 + version.width());
    Line::from(vec![
        Span::styled(format!("{}  ", cell::left(name, label)), theme.strong()),
        Span::styled(format!("{}  ", cell::path(&held.path.to_string(), room).trim_end()), theme.text()),
        Span::styled(version, theme.muted()),
    ])
}

fn summary(model: &Model, found: &Difference) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let parts = [
        (KeyState::Changed, "differ", "differs"),
        (KeyState::OnlyAtOrigin, "only at the origin", "only at the origin"),
        (KeyState::OnlyThere, "only there", "only there"),
        (KeyState::Same, "equal", "equal"),
    ];
    let mut spans = Vec::new();
    for (state, many, one) in parts {
        let count = found.count(state);
        if count > 0 {
            let text = format!("{count} {}", if count == 1 { one } else { many });
            spans.push(Span::styled(text, theme.state(as_state(state))));
            spans.push(Span::raw("   "));
        }
    }
    if spans.is_empty() {
        spans.push(Span::styled("Neither side has a version that can be read.", theme.muted()));
    } else if found.keys.iter().all(|key| key.state == KeyState::Same) {
        spans.push(Span::styled("The values are the same.", theme.good()));
    }
    spans
}

/// What a copy would do about it.
fn as_state(state: KeyState) -> SecretState {
    match state {
        KeyState::Same => SecretState::InSync,
        KeyState::Changed => SecretState::Update,
        KeyState::OnlyAtOrigin => SecretState::Add,
        KeyState::OnlyThere => SecretState::Delete,
    }
}

fn key_line(model: &Model, key: &crate::engine::KeyDifference, name: &str, keys: usize) -> Line<'static> {
    let theme = &model.theme;
    let state = as_state(key.state);
    let words = match key.state {
        KeyState::Same => "equal".to_owned(),
        KeyState::Changed => "differs".to_owned(),
        KeyState::OnlyAtOrigin => "only at the origin: copying adds it".to_owned(),
        KeyState::OnlyThere => format!("only at {name}: copying removes it"),
    };
    Line::from(vec![
        Span::styled(format!("{} ", state.symbol()), theme.state(state)),
        Span::styled(format!("{}  ", cell::left(&key.name, keys)), theme.text()),
        Span::styled(words, theme.state(state)),
    ])
}

fn setting_line(model: &Model, setting: &Setting, keys: usize, width: usize) -> Line<'static> {
    let theme = &model.theme;
    let values = format!("{} at the origin, {} there", setting.ours, setting.theirs);
    Line::from(vec![
        Span::styled(format!("  {}  ", cell::left(&setting.name, keys)), theme.text()),
        Span::styled(cell::left(&values, width.saturating_sub(keys + 4)).trim_end().to_owned(), theme.text()),
    ])
}

fn metadata_differences(found: &Difference) -> Vec<Setting> {
    let (Ok(Some(ours)), Ok(Some(theirs))) = (&found.origin.metadata, &found.copy.metadata) else { return Vec::new() };
    let settings = |metadata: &Metadata| {
        let most = match metadata.max_versions {
            0 => "as the mount says".to_owned(),
            most => most.to_string(),
        };
        [
            ("max_versions", most),
            ("cas_required", metadata.cas_required.to_string()),
            ("delete_version_after", metadata.delete_version_after.clone()),
        ]
    };
    let both = settings(ours).into_iter().zip(settings(theirs));
    let mut found: Vec<_> = both
        .filter(|((_, ours), (_, theirs))| ours != theirs)
        .map(|((name, ours), (_, theirs))| Setting { name: name.to_owned(), ours, theirs })
        .collect();
    let names: std::collections::BTreeSet<_> =
        ours.custom_metadata.keys().chain(theirs.custom_metadata.keys()).collect();
    for name in names {
        let value = |metadata: &Metadata| metadata.custom_metadata.get(name).cloned();
        let (ours, theirs) = (value(ours), value(theirs));
        if ours != theirs {
            let text = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
            found.push(Setting { name: name.clone(), ours: text(ours), theirs: text(theirs) });
        }
    }
    found
}
