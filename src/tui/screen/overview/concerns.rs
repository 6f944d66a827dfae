//! What somebody should look at.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::SHORT_LIFE;
use crate::engine::{Cause, DestinationName, SecretState};
use crate::tui::effect::Effect;
use crate::tui::format;
use crate::tui::message::SideStatus;
use crate::tui::model::{Model, SideView, obstacles};
use crate::tui::outcome;
use crate::tui::screen::{Screen, plan};
use crate::tui::update::show;
use crate::tui::widget::{cell, panel};

/// One matter.
#[derive(Debug)]
pub(super) struct Concern {
    symbol: char,
    style: Style,
    text: String,
    /// Where one sees more of it.
    screen: Option<Screen>,
    /// The destination it is about, if the screen can show it alone.
    destination: Option<DestinationName>,
}

impl Concern {
    fn new(symbol: char, style: Style, text: impl Into<String>) -> Self {
        Self { symbol, style, text: text.into(), screen: None, destination: None }
    }

    fn on(self, screen: Screen) -> Self {
        Self { screen: Some(screen), ..self }
    }

    fn at(self, name: &DestinationName) -> Self {
        Self { destination: Some(name.clone()), ..self }
    }
}

/// So many unreadable parts of the origin are named, so that they do not hide the rest.
const NAMED: usize = 3;

/// All of them, the worst first.
pub(super) fn concerns(model: &Model) -> Vec<Concern> {
    let theme = &model.theme;
    let bad = |text: String| Concern::new('!', theme.bad(), text);
    let mut found = Vec::new();
    if let Some(words) = &model.bug {
        let text = format!("A part of vsync failed by a bug, please report it: {words}");
        found.push(bad(text).on(Screen::Logs));
    }
    for side in &model.sides {
        if let Some(status) = &side.status {
            found.extend(side_concerns(side, status).into_iter().map(bad));
        }
    }
    for (name, standing) in &model.watch.standings {
        let (symbol, style) = if standing.is_bad() { ('!', theme.bad()) } else { ('*', theme.warning()) };
        found.push(Concern::new(symbol, style, format!("{name}: {standing}.")).on(Screen::Plan).at(name));
    }
    if let Some(plan) = &model.plan {
        for (name, obstacle) in obstacles(plan) {
            // the watch has said so already
            if model.watch.standings.get(name).is_none_or(|standing| !standing.is_bad()) {
                found.push(bad(format!("{name}: {obstacle}")).on(Screen::Plan).at(name));
            }
        }
    }
    for unknown in model.unknown.iter().take(NAMED) {
        let text = format!(
            "{} could not be read: {}. What lies there is unknown, so nothing under it is deleted anywhere.",
            unknown.prefix, unknown.reason
        );
        found.push(Concern::new('?', theme.state(SecretState::Unknown), text).on(Screen::Browse));
    }
    if let Some(more @ 1..) = model.unknown.len().checked_sub(NAMED) {
        let text = format!("{} of the origin could not be read.", format::plural(more as u64, "more part"));
        found.push(Concern::new('?', theme.state(SecretState::Unknown), text).on(Screen::Browse));
    }
    let drift = |cause| matches!(cause, Cause::Drift | Cause::Existing);
    let failed = model.failures.iter().filter(|(_, failure)| !drift(failure.cause)).count() as u64;
    if failed > 0 {
        let text = format!(
            "{} failed; {} shows why and what to do.",
            format::plural(failed, "secret"),
            model.way_to(Screen::Failures)
        );
        found.push(bad(text).on(Screen::Failures));
    }
    for part in model.plan.iter().flat_map(|plan| &plan.destinations) {
        let left_alone = || part.drifted.iter().filter(|drift| !drift.kept);
        for (count, what) in [
            (left_alone().filter(|drift| drift.ours > 0).count(), "changed there by somebody else after vsync wrote"),
            (left_alone().filter(|drift| drift.ours == 0).count(), "there before vsync wrote"),
        ] {
            if count > 0 {
                let count = count as u64;
                let (verb, them) = if count == 1 { ("was", "it, and is") } else { ("were", "them, and are") };
                let text = format!(
                    "{}: {} {verb} {what} {them} left alone; {} says what to do.",
                    part.destination,
                    format::plural(count, "secret"),
                    model.way_to(Screen::Failures)
                );
                found.push(Concern::new('~', theme.state(SecretState::Drifted), text).on(Screen::Failures));
            }
        }
    }
    for (name, reason) in &model.cycle.unsaved {
        found.push(bad(format!("{name}: state could not be saved: {reason}")).on(Screen::Cycle));
    }
    let ended = model.cycle.report.as_deref();
    let blocked = model.cycle.blocked.iter().filter(|_| ended.is_none());
    found.extend(blocked.map(|(_, sentence)| bad(sentence.clone()).on(Screen::Cycle)));
    found.extend(ended.into_iter().flat_map(outcome::troubles).map(|text| bad(text).on(Screen::Cycle)));
    for reason in [&model.failures_error, &model.history_error].into_iter().flatten() {
        found.push(bad(format!("Past cycles could not be read: {reason}")));
    }
    for (side, held) in
        model.sides.iter().enumerate().filter_map(|(at, side)| Some((side, model.overview.held.get(&at)?)))
    {
        if let Err(reason) = held {
            found.push(bad(format!("{}: who is at work there could not be read: {reason}", side.name())));
        }
    }
    for side in &model.sides {
        let ttl = side.status.as_ref().and_then(SideStatus::token).and_then(|token| token.ttl);
        if let Some(ttl) = ttl.filter(|ttl| *ttl < SHORT_LIFE) {
            let text = format!("{}: the token expires in {}.", side.name(), format::duration(ttl));
            found.push(Concern::new('*', theme.warning(), text));
        }
    }
    found
}

fn side_concerns(side: &SideView, status: &SideStatus) -> Vec<String> {
    let name = side.name();
    match (&status.health, &status.token) {
        (Err(reason), _) => vec![format!("{name} is unreachable at {}: {reason}", side.address)],
        (Ok(health), _) if !health.initialized => vec![format!("{name} is not initialized.")],
        (Ok(health), _) if health.sealed => vec![format!("{name} is sealed: unseal it, then press r.")],
        (Ok(_), Some(Err(reason))) => vec![format!("{name} refuses the token: {reason}")],
        (Ok(_), Some(Ok(_)) | None) => Vec::new(),
    }
}

/// A matter in so many lines.
fn lines(model: &Model, concern: &Concern, width: usize) -> Vec<Line<'static>> {
    let text = cell::wrap(&concern.text, width.saturating_sub(4)).into_iter().enumerate();
    text.map(|(at, line)| {
        let mark = if at == 0 { concern.symbol } else { ' ' };
        Line::from(vec![Span::styled(format!(" {mark} "), concern.style), Span::styled(line, model.theme.text())])
    })
    .collect()
}

/// How many lines all of them take.
pub(super) fn height(model: &Model, width: usize) -> usize {
    concerns(model).iter().map(|concern| lines(model, concern, width).len()).sum()
}

/// All lines with the matter each belongs to, and the first one that shows, so that the chosen one does.
fn window(model: &Model, area: Rect) -> (Vec<(usize, Line<'static>)>, usize) {
    let width = usize::from(area.width);
    let concerns = concerns(model);
    let all = concerns.iter().enumerate();
    let all: Vec<_> =
        all.flat_map(|(at, concern)| lines(model, concern, width).into_iter().map(move |line| (at, line))).collect();
    let end = match model.overview.concern {
        Some(chosen) => all.iter().rposition(|(at, _)| *at <= chosen).map_or(0, |last| last + 1),
        None => 0,
    };
    let top = end.saturating_sub(usize::from(area.height));
    (all, top)
}

pub(super) fn view(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let inside = panel::rows(area, 0);
    let (all, top) = window(model, inside);
    let hidden = all.len().saturating_sub(usize::from(inside.height));
    let right = if hidden > 0 {
        vec![Span::styled(format!(" {} of {} lines, ↓ for more ", all.len() - hidden, all.len()), theme.muted())]
    } else {
        Vec::new()
    };
    let inner = panel::panel(theme, "Attention", right, area, buffer);
    if all.is_empty() {
        let (text, style) = match &model.plan {
            Some(_) => (" Nothing needs attention.", theme.good()),
            None => (" Looking at all vaults…", theme.muted()),
        };
        panel::lines([Line::styled(text, style)], inner, buffer);
        return;
    }
    for (place, (at, line)) in inner.rows().zip(all.into_iter().skip(top)) {
        panel::lines([line], place, buffer);
        if model.overview.concern == Some(at) {
            buffer.set_style(place, theme.selected());
        }
    }
}

/// The matter at a place on the screen.
pub(super) fn at(model: &Model, area: Rect, at: Position) -> Option<usize> {
    let inside = panel::rows(area, 0);
    let (all, top) = window(model, inside);
    let line = usize::from(at.y.checked_sub(inside.y)?);
    if inside.contains(at) { all.get(top + line).map(|(concern, _)| *concern) } else { None }
}

/// Goes where one sees more of it.
pub(super) fn open(model: &mut Model, at: usize) -> Vec<Effect> {
    let concerns = concerns(model);
    let Some(concern) = concerns.get(at) else { return Vec::new() };
    let Some(screen) = concern.screen else {
        model.say("There is no more to see of it here.");
        return Vec::new();
    };
    if screen == Screen::Plan {
        let chosen = concern.destination.as_ref();
        let chosen = chosen.and_then(|name| model.destinations.iter().position(|one| one == name));
        plan::choose(model, chosen);
    }
    show(model, screen);
    Vec::new()
}
