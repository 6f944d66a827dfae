//! The two lines at the top: what this console is connected to, what runs, and the screens there are.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use crate::engine::Phase;
use crate::tui::format;
use crate::tui::message::SideStatus;
use crate::tui::model::Model;
use crate::tui::screen::{Screen, failures};
use crate::tui::watch;
use crate::tui::widget::{badge, cell, chart};

/// Draws the header.
pub(super) fn header(model: &Model, area: Rect, buffer: &mut Buffer) {
    let [first, second] = [Rect { height: 1, ..area }, Rect { y: area.y + 1, height: 1, ..area }];
    let room = usize::from(area.width);
    let mut left = badges(model);
    let used = width_of(&left);
    let mut right = status(model);
    let fresh = freshness(model);
    let (whole, _) = connection(model, usize::MAX);
    // A running cycle matters more than how old the plan is, and that more than where the console is connected to.
    if right.is_empty() || used + width_of(&whole) + width_of(&right) + width_of(&fresh) <= room {
        right.extend(fresh);
    }
    let left_over = room.saturating_sub(used + width_of(&right));
    left.extend(connection(model, left_over).0);
    Line::from(left).render(first, buffer);
    // what does not fit beside the badges is cut: they say what must never go unseen
    let kept = u16::try_from(used.min(room)).unwrap_or(first.width);
    let beside = Rect { x: first.x + kept, width: first.width - kept, ..first };
    Line::from(right).alignment(Alignment::Right).render(beside, buffer);

    let tabs = tabs(model, room);
    let used = tabs.iter().map(Tab::width).sum::<usize>();
    Line::from(tabs.into_iter().flat_map(|tab| tab.spans).collect::<Vec<_>>()).render(second, buffer);
    let crumbs = crumbs(model, room.saturating_sub(used + 2));
    Line::from(crumbs).alignment(Alignment::Right).render(second, buffer);
}

/// The screen whose tab is there.
pub(in crate::tui) fn tab_at(model: &Model, at: Position) -> Option<Screen> {
    let area = model.layout()[0];
    if !area.contains(at) || at.y != area.y + 1 {
        return None;
    }
    let mut end = 0;
    tabs(model, usize::from(area.width)).into_iter().find_map(|tab| {
        end += tab.width();
        (usize::from(at.x - area.x) < end).then_some(tab.screen)
    })
}

fn badges(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let mut spans = vec![Span::styled(" vsync ", theme.active()), Span::raw(" ")];
    if let Some(title) = &model.title {
        spans.push(Span::styled(format!("{} ", cell::left(title, title.len().min(24)).trim_end()), theme.strong()));
    }
    if model.read_only {
        spans.extend([badge::warning(theme, "read-only"), Span::raw(" ")]);
    }
    if !model.unverified.is_empty() {
        spans.extend([badge::bad(theme, "TLS unverified"), Span::raw(" ")]);
    }
    spans
}

/// The origin, as whom, and how many destinations, in so many columns; the first is what fits.
fn connection(model: &Model, room: usize) -> (Vec<Span<'static>>, usize) {
    let theme = &model.theme;
    let origin = model.sides.first();
    let address = origin.map_or("", |side| side.address.as_str());
    let token = origin.and_then(|side| side.status.as_ref()).and_then(SideStatus::token);
    let whom = token.map(|token| token.display_name.as_str()).filter(|name| !name.is_empty());
    let whom = whom.map(|name| format!(" as {}", cell::left(name, name.len().min(32)).trim_end()));
    let targets = format!(" to {}", format::plural(model.destinations.len() as u64, "destination"));
    let width = address.len().min(room);
    let mut spans = vec![Span::styled(cell::left(address, width).trim_end().to_owned(), theme.text())];
    let mut left = room.saturating_sub(width_of(&spans));
    for part in [whom, Some(targets)].into_iter().flatten() {
        let span = Span::styled(part, theme.muted());
        if span.width() > left {
            break;
        }
        left -= span.width();
        spans.push(span);
    }
    (spans, left)
}

/// From this width on there is room for how long the running cycle will take.
const ROOM_FOR_ETA: u16 = 100;

/// The running cycle, or watch mode, wherever one is.
fn status(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(snapshot) = model.cycle.snapshot.as_ref().filter(|_| model.cycle.running) else {
        return match &model.held {
            _ if model.cycle.running => vec![Span::styled(" cycle starting ", theme.accent())],
            None if model.watch.on => watch::status(model),
            Some(held) => {
                let tasks = format::plural(held.plan.counts().total(), "task");
                let key = failures::retry_key(model, &held.asked);
                vec![Span::styled(
                    format!("  retry planned: {tasks}; {key} on {} ", model.way_to(Screen::Failures)),
                    theme.warning(),
                )]
            }
            None => Vec::new(),
        };
    };
    let (ended, planned, failed) = (snapshot.ended(), snapshot.planned(), snapshot.failed());
    let word = match snapshot.phase {
        Phase::Running if model.cycle.cancelling => "cancelling",
        Phase::Running if snapshot.dry_run => "dry run",
        Phase::Running if model.cycle.watched => "watch",
        Phase::Running => "cycle",
        Phase::Paused => "paused",
        Phase::Stopping => "stopping",
        Phase::Ended => "saving",
    };
    let mut spans = vec![Span::styled(format!("  {word} "), theme.title())];
    spans.extend(chart::bar(&[(ended, theme.accent())], planned, 8, theme.border()));
    spans.push(Span::styled(format!(" {} ", format::percent(ended, planned)), theme.strong()));
    spans.push(Span::styled(format!("{} ", format::rate(snapshot.rate)), theme.muted()));
    let goes_on = snapshot.phase == Phase::Running && !model.cycle.cancelling;
    if let Some(eta) = snapshot.eta.filter(|_| goes_on && model.size.width >= ROOM_FOR_ETA) {
        spans.push(Span::styled(format!("{} left ", format::duration(eta)), theme.text()));
    }
    if failed > 0 {
        spans.push(Span::styled(format!("! {} ", format::count(failed)), theme.bad()));
    }
    spans
}

/// How old what one sees is.
fn freshness(model: &Model) -> Vec<Span<'static>> {
    let theme = &model.theme;
    match (model.listing, &model.plan) {
        (Some(found), _) => vec![Span::styled(format!("  listing… {} ", format::count(found)), theme.accent())],
        (None, Some(plan)) => vec![Span::styled(format!("  as of {} ", format::clock(plan.created)), theme.muted())],
        (None, None) => Vec::new(),
    }
}

/// One screen in the second line.
struct Tab {
    screen: Screen,
    spans: Vec<Span<'static>>,
}

impl Tab {
    fn width(&self) -> usize {
        width_of(&self.spans)
    }
}

/// The screens in so many columns; where there is little room without numbers, or only the present one by its name.
fn tabs(model: &Model, room: usize) -> Vec<Tab> {
    let wide = |tabs: &Vec<Tab>| tabs.iter().map(Tab::width).sum::<usize>() > room;
    let mut made = tabs_with(model, true, true);
    for (counts, titles) in [(false, true), (true, false)] {
        if wide(&made) {
            made = tabs_with(model, counts, titles);
        }
    }
    made
}

fn tabs_with(model: &Model, counts: bool, titles: bool) -> Vec<Tab> {
    let theme = &model.theme;
    let tab = |(number, screen): (usize, Screen)| {
        let (count, style) = counted(model, screen);
        let mut spans = Vec::new();
        if counts && number == 1 {
            spans.push(Span::raw(" "));
        }
        if screen == model.screen {
            spans.push(Span::styled(format!(" {number} {} ", screen.title()), theme.active()));
        } else {
            spans.push(Span::styled(format!(" {number} "), theme.accent()));
            if titles {
                spans.push(Span::styled(format!("{}{}", screen.title(), if counts { " " } else { "" }), theme.text()));
            }
        }
        if count > 0 && counts {
            spans.push(Span::styled(format!("{} ", format::short(count)), style));
        }
        Tab { screen, spans }
    };
    (1..).zip(Screen::ALL).map(tab).collect()
}

/// What there is of on a screen.
fn counted(model: &Model, screen: Screen) -> (u64, Style) {
    match screen {
        Screen::Plan => (model.plan.as_ref().map_or(0, |plan| plan.counts().total()), model.theme.muted()),
        Screen::Failures => (model.failures.len() as u64, model.theme.bad()),
        _ => (0, model.theme.muted()),
    }
}

/// Where one is, from the screen inwards; what does not fit is left out at its start.
fn crumbs(model: &Model, room: usize) -> Vec<Span<'static>> {
    let theme = &model.theme;
    let Some(inside) = model.screen.inside(model).filter(|inside| !inside.is_empty()) else { return Vec::new() };
    let title = format!("{} › ", model.screen.title());
    let left = room.saturating_sub(Span::raw(title.as_str()).width() + 1);
    if left < 12 {
        return Vec::new();
    }
    let inside = cell::path(&inside, left).trim_end().to_owned();
    vec![Span::styled(title, theme.muted()), Span::styled(format!("{inside} "), theme.text())]
}

fn width_of(spans: &[Span]) -> usize {
    spans.iter().map(Span::width).sum()
}
