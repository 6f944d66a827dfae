//! One cycle's report, two side by side, or what undoing one would do: blocks of lines of which only those that show are
//! made.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::list::ending;
use super::{Over, Preview, current, find, key, word};
use crate::engine::{
    Cause, CycleId, DestinationName, DestinationPlan, Failure, FidelityReport, Impossible, Operation, Report, Source,
    Task,
};
use crate::kv::SecretPath;
use crate::state::{Change, ChangeKind};
use crate::tui::format;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::outcome;
use crate::tui::theme::Theme;
use crate::tui::widget::{cell, panel};

/// The usual room for a destination's name.
const NAME: usize = 14;
const COUNT: usize = 9;

/// Lines that are there already, or of which each is made when it shows.
enum Block<'a> {
    Text(Vec<Line<'static>>),
    Failures(Vec<(&'a DestinationName, &'a Failure)>),
    Changes(&'a [Change]),
    Tasks(&'a [Task]),
    Impossible(&'a [Impossible]),
}

impl Block<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Text(lines) => lines.len(),
            Self::Failures(failures) => failures.len(),
            Self::Changes(changes) => changes.len(),
            Self::Tasks(tasks) => tasks.len(),
            // a path, and below it why
            Self::Impossible(impossible) => impossible.len() * 2,
        }
    }

    fn line(&self, theme: &Theme, at: usize, width: usize) -> Line<'static> {
        match self {
            Self::Text(lines) => lines[at].clone(),
            Self::Failures(failures) => failure_line(theme, failures[at], width),
            Self::Changes(changes) => change_line(theme, &changes[at], width),
            Self::Tasks(tasks) => task_line(theme, &tasks[at], width),
            Self::Impossible(impossible) => {
                let one = &impossible[at / 2];
                if at % 2 == 1 {
                    let reason = cell::left(&one.reason, width.saturating_sub(2));
                    return Line::styled(format!("  {reason}"), theme.muted());
                }
                let path = cell::path(&one.destination.to_string(), width.saturating_sub(2));
                Line::from(vec![Span::styled("! ", theme.bad()), Span::styled(path, theme.text())])
            }
        }
    }
}

/// Blocks, one below the other.
pub(super) struct Sheet<'a> {
    title: String,
    blocks: Vec<Block<'a>>,
}

impl<'a> Sheet<'a> {
    fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(Block::len).sum()
    }

    fn say(&mut self, text: &str, style: Style, width: usize) {
        let lines = cell::wrap(text, width).into_iter().map(|line| Line::styled(line, style)).collect();
        self.blocks.push(Block::Text(lines));
    }

    fn line(&mut self, line: Line<'static>) {
        self.blocks.push(Block::Text(vec![line]));
    }

    fn gap(&mut self) {
        self.line(Line::default());
    }

    fn add(&mut self, block: Block<'a>) {
        self.blocks.push(block);
    }
}

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let width = panel::text_width(area);
    let sheet = sheet(model, width);
    let more = panel::overflow(sheet.len(), area);
    let top = model.history_list.top.min(more);
    let right = match (more, model.history_list.over.is_some()) {
        (0, _) => Vec::new(),
        (_, true) => vec![Span::styled(format!(" {} ", format::percent(top as u64, more as u64)), theme.muted())],
        (_, false) => vec![Span::styled(format!(" {} for more ", model.scroll_keys()), theme.muted())],
    };
    let inner = panel::panel(theme, &sheet.title, right, area, buffer);
    let mut place = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), height: 1, ..inner };
    let mut skip = top;
    for block in &sheet.blocks {
        for at in skip.min(block.len())..block.len() {
            if place.y >= inner.bottom() {
                return;
            }
            panel::lines([block.line(theme, at, width)], place, buffer);
            place.y += 1;
        }
        skip = skip.saturating_sub(block.len());
    }
}

/// What shows, in lines of at most this width.
pub(super) fn sheet(model: &Model, width: usize) -> Sheet<'_> {
    let gone = || {
        let mut sheet = Sheet::new("Report");
        sheet.say("This cycle is no longer among those that are kept.", model.theme.muted(), width);
        sheet
    };
    match &model.history_list.over {
        Some(Over::Report(cycle)) => find(model, *cycle).map_or_else(gone, |one| report(model, one, width)),
        Some(Over::Comparison(older, newer)) => match (find(model, *older), find(model, *newer)) {
            (Some(older), Some(newer)) => comparison(model, older, newer, width),
            _ => gone(),
        },
        Some(Over::Undo(preview)) => undo(model, preview, width),
        None => match current(model) {
            Some(one) => report(model, one, width),
            None => Sheet::new("Report"),
        },
    }
}

fn report<'a>(model: &'a Model, report: &'a Report, width: usize) -> Sheet<'a> {
    let theme = &model.theme;
    let mut sheet = Sheet::new(format!("Report of {}", format::time(report.started)));
    let (glyph, style) = ending(model, report);
    let (done, failed, pending) = (report.done().total(), report.failed(), report.pending());
    let said = format!(
        "{glyph} {}: {} done, {} failed, {} pending",
        word(model, report),
        format::count(done),
        format::count(failed),
        format::count(pending)
    );
    sheet.say(&said, style, width);
    let by = format!("{} by {}@{} with vsync {}", report.purpose(), report.operator, report.host, report.vsync);
    sheet.say(&by, theme.text(), width);
    let took = format!(
        "{} to {}, {}, {}",
        format::time(report.started),
        format::clock(report.ended),
        format::duration(report.duration()),
        format::rate(report.rate())
    );
    sheet.say(&took, theme.muted(), width);
    sheet.say(&format!("cycle {}", report.cycle), theme.muted(), width);
    if let Some(undone) = report.undoes {
        sheet.say(&format!("undoes cycle {undone}"), theme.accent(), width);
    }
    sheet.gap();
    counts(model, report, width, &mut sheet);
    for trouble in outcome::troubles(report).chain(outcome::incomplete(report)) {
        sheet.gap();
        sheet.say(&trouble, theme.warning(), width);
    }
    by_cause(theme, report.failures().collect(), width, &mut sheet);
    changes(model, report.cycle, width, &mut sheet);
    sheet
}

/// A row of counts per destination.
fn counts(model: &Model, report: &Report, width: usize, sheet: &mut Sheet) {
    let theme = &model.theme;
    let names = report.destinations.iter().map(|part| part.destination.as_str().len()).max().unwrap_or(0);
    let titles = ["planned", "added", "updated", "deleted", "failed", "pending", "in sync", "drifted"];
    let fit = titles.len().min(width.saturating_sub(NAME) / COUNT);
    let name = names.clamp(NAME, 24).min(width.saturating_sub(fit * COUNT).max(NAME));
    let mut head = cell::left("", name);
    for title in &titles[..fit] {
        head += &cell::right(title, COUNT);
    }
    sheet.line(Line::styled(head, theme.muted()));
    for part in &report.destinations {
        let failed = part.failures.len() as u64;
        let add = theme.state(Operation::Add.state());
        let numbers = [
            (part.planned.total(), theme.text()),
            (part.done.add, add),
            (part.done.update, theme.state(Operation::Update.state())),
            (part.done.delete, theme.state(Operation::Delete.state())),
            (failed, theme.bad()),
            (part.pending, theme.warning()),
            (part.in_sync, theme.good()),
            (part.drifted, theme.warning()),
        ];
        let mut spans =
            vec![Span::styled(cell::name(part.destination.as_str(), name), model.name_style(&part.destination))];
        for (number, style) in &numbers[..fit] {
            let style = if *number == 0 { theme.muted() } else { *style };
            spans.push(Span::styled(cell::right(&format::count(*number), COUNT), style));
        }
        sheet.line(Line::from(spans));
    }
    for part in &report.destinations {
        for sentence in part.fidelity.iter().flat_map(FidelityReport::sentences) {
            sheet.say(&format!("{}: {sentence}", part.destination), theme.muted(), width);
        }
    }
}

/// Failures below their causes.
fn by_cause<'a>(theme: &Theme, failures: Vec<(&'a DestinationName, &'a Failure)>, width: usize, sheet: &mut Sheet<'a>) {
    let mut groups: BTreeMap<Cause, Vec<_>> = BTreeMap::new();
    for failure in failures {
        groups.entry(failure.1.cause).or_default().push(failure);
    }
    for cause in Cause::ALL {
        let Some(failures) = groups.remove(&cause) else { continue };
        sheet.gap();
        sheet.say(&format!("! {} {}", cause.as_str(), format::count(failures.len() as u64)), theme.bad(), width);
        sheet.say(cause.remedy(), theme.muted(), width);
        sheet.add(Block::Failures(failures));
    }
}

fn changes<'a>(model: &'a Model, cycle: CycleId, width: usize, sheet: &mut Sheet<'a>) {
    let theme = &model.theme;
    let known = model.history_list.changes.as_ref().filter(|changes| changes.cycle == cycle);
    sheet.gap();
    let Some(known) = known else {
        let text = format!("{} shows what it changed, secret by secret.", key(model, Action::Open));
        sheet.say(&text, theme.muted(), width);
        return;
    };
    let Some(parts) = &known.parts else {
        sheet.say("Reading what it changed…", theme.muted(), width);
        return;
    };
    for (name, part) in parts {
        match part {
            Ok(changes) if changes.is_empty() => {
                let text = format!("{name}: no change is recorded; what older cycles changed is not kept");
                sheet.say(&text, theme.muted(), width);
            }
            Ok(changes) => {
                let text = format!("{name}: {}", format::plural(changes.len() as u64, "change"));
                sheet.say(&text, theme.title(), width);
                sheet.add(Block::Changes(changes));
            }
            Err(reason) => sheet.say(&format!("{name}: what it changed cannot be read: {reason}"), theme.bad(), width),
        }
    }
}

/// A glyph, a path, and something about it.
fn path_line(theme: &Theme, glyph: &str, style: Style, path: &SecretPath, about: &str, width: usize) -> Line<'static> {
    let room = width.saturating_sub(4);
    let path_room = (room * 3 / 5).max(room.saturating_sub(60));
    Line::from(vec![
        Span::styled(format!("{glyph} "), style),
        Span::styled(cell::path(&path.to_string(), path_room), theme.text()),
        Span::styled(format!("  {}", cell::left(about, room - path_room)), theme.muted()),
    ])
}

fn failure_line(theme: &Theme, (name, failure): (&DestinationName, &Failure), width: usize) -> Line<'static> {
    let state = failure.operation.state();
    let name_room = NAME.min(width / 5);
    let rest = width.saturating_sub(name_room + 1);
    let mut line =
        path_line(theme, &state.symbol().to_string(), theme.state(state), &failure.origin, &failure.message, rest);
    line.spans.insert(0, Span::styled(format!("{} ", cell::name(name.as_str(), name_room)), theme.text()));
    line
}

fn change_line(theme: &Theme, change: &Change, width: usize) -> Line<'static> {
    let (before, version) = (change.before, change.version);
    let of = |operation: Operation| (operation.state().symbol(), theme.state(operation.state()));
    let ((glyph, style), about) = match change.kind {
        ChangeKind::Written if before == 0 => (of(Operation::Add), format!("version {version} written")),
        ChangeKind::Written => {
            let whose = if change.over_foreign { ", over somebody else's" } else { "" };
            (of(Operation::Update), format!("version {before} → {version}{whose}"))
        }
        ChangeKind::Deleted if before == 0 => (of(Operation::Delete), "deleted".to_owned()),
        ChangeKind::Deleted => (of(Operation::Delete), format!("version {before} deleted")),
        ChangeKind::DeletedForNow => {
            (of(Operation::Delete), format!("version {before} deleted, while the origin can undelete its own"))
        }
        ChangeKind::Destroyed => {
            ((Operation::Destroy.state().symbol(), theme.bad()), "DESTROYED, all versions".to_owned())
        }
        ChangeKind::Purged => {
            ((Operation::Purge.state().symbol(), theme.bad()), "PURGED, all versions and metadata".to_owned())
        }
        ChangeKind::Absent | ChangeKind::AbsentForNow => (('=', theme.muted()), "was gone already".to_owned()),
        ChangeKind::Restored => (of(Operation::Add), format!("version {version} undeleted")),
        ChangeKind::Adopted => (('=', theme.good()), format!("equal already: version {version}")),
        ChangeKind::Metadata => (of(Operation::Update), "metadata only".to_owned()),
        ChangeKind::Met => (('~', theme.warning()), format!("left alone: version {version} is somebody else's")),
        ChangeKind::Kept => (('~', theme.muted()), format!("kept: version {version} is somebody else's")),
    };
    path_line(theme, &glyph.to_string(), style, &change.destination, &about, width)
}

fn task_line(theme: &Theme, task: &Task, width: usize) -> Line<'static> {
    let state = task.operation.state();
    let about = match (task.operation, task.source) {
        (Operation::Delete, _) => "delete what the cycle added".to_owned(),
        (_, Source::Version(version)) => format!("write version {version} again"),
        (_, Source::Undelete(version)) => format!("undelete version {version}"),
        (_, Source::Metadata) => "update the metadata only".to_owned(),
        (operation, Source::Origin) => operation.as_str().to_owned(),
    };
    path_line(theme, &state.symbol().to_string(), theme.state(state), &task.destination, &about, width)
}

fn comparison<'a>(model: &'a Model, older: &'a Report, newer: &'a Report, width: usize) -> Sheet<'a> {
    let theme = &model.theme;
    let mut sheet = Sheet::new("Two cycles side by side");
    // room for a time each, and for the difference
    let column = (width.saturating_sub(NAME + 10) / 2).min(22);
    let row = |name: &str, cells: [String; 2], about: Span<'static>| {
        let [first, second] = cells.map(|text| cell::right(&text, column));
        Line::from(vec![
            Span::styled(cell::left(name, NAME), theme.muted()),
            Span::styled(first, theme.text()),
            Span::styled(second, theme.text()),
            Span::raw("  "),
            about,
        ])
    };
    let both = |name: &str, of: &dyn Fn(&Report) -> String| row(name, [of(older), of(newer)], Span::raw(""));
    sheet.line(both("started", &|one| format::time(one.started)));
    sheet.line(both("by", &|one| format!("{}@{}", one.operator, one.host)));
    sheet.line(both("for", &|one| one.purpose().to_owned()));
    sheet.line(both("ending", &|one| word(model, one).to_owned()));
    sheet.line(both("took", &|one| format::duration(one.duration())));
    sheet.line(both("rate", &|one| format::rate(one.rate())));
    let more_is_bad = |before: u64, after: u64| match after.cmp(&before) {
        std::cmp::Ordering::Greater => Span::styled(format!("+{}", format::count(after - before)), theme.bad()),
        std::cmp::Ordering::Less => Span::styled(format!("-{}", format::count(before - after)), theme.good()),
        std::cmp::Ordering::Equal => Span::styled("=", theme.muted()),
    };
    let difference = |before: u64, after: u64| {
        let mut span = more_is_bad(before, after);
        span.style = theme.muted();
        span
    };
    let counted = |name: &str, before: u64, after: u64, bad: bool| {
        let about = if bad { more_is_bad(before, after) } else { difference(before, after) };
        row(name, [before, after].map(format::count), about)
    };
    let done_for_good = [Operation::Destroy, Operation::Purge]
        .into_iter()
        .filter(|operation| older.done().of(*operation) + newer.done().of(*operation) > 0);
    for operation in Operation::ALL.into_iter().chain(done_for_good) {
        let (before, after) = (older.done().of(operation), newer.done().of(operation));
        sheet.line(counted(operation.as_str(), before, after, false));
    }
    sheet.line(counted("failed", older.failed(), newer.failed(), true));
    sheet.line(counted("pending", older.pending(), newer.pending(), true));

    let mut names: Vec<&DestinationName> =
        older.destinations.iter().chain(&newer.destinations).map(|part| &part.destination).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |report: &'a Report| report.destinations.iter().find(|part| part.destination == *name);
        let done = |report| of(report).map_or(0, |part| part.done.total());
        let failed = |report| of(report).map_or(0, |part| part.failures.len() as u64);
        sheet.gap();
        sheet.say(name.as_str(), theme.title(), width);
        sheet.line(counted("  done", done(older), done(newer), false));
        sheet.line(counted("  failed", failed(older), failed(newer), true));
    }
    failures_of_both(theme, older, newer, width, &mut sheet);
    sheet
}

/// Which failures are new, gone, or still there.
fn failures_of_both<'a>(theme: &Theme, older: &'a Report, newer: &'a Report, width: usize, sheet: &mut Sheet<'a>) {
    let keyed = |report: &'a Report| -> BTreeMap<_, _> {
        report.failures().map(|(name, failure)| ((name, &failure.origin), (name, failure))).collect()
    };
    let (before, after) = (keyed(older), keyed(newer));
    let gone: Vec<_> = before.iter().filter(|(key, _)| !after.contains_key(*key)).map(|(_, one)| *one).collect();
    let (still, new): (Vec<_>, Vec<_>) = after.iter().partition(|(key, _)| before.contains_key(*key));
    let values = |pairs: Vec<(&_, &(&'a DestinationName, &'a Failure))>| {
        pairs.into_iter().map(|(_, one)| *one).collect::<Vec<_>>()
    };
    for (title, style, failures) in [
        ("failures that are new", theme.bad(), values(new)),
        ("failures that are gone", theme.good(), gone),
        ("failures in both", theme.warning(), values(still)),
    ] {
        sheet.gap();
        let style = if failures.is_empty() { theme.muted() } else { style };
        sheet.say(&format!("{title}: {}", format::count(failures.len() as u64)), style, width);
        sheet.add(Block::Failures(failures));
    }
}

fn undo<'a>(model: &'a Model, preview: &'a Preview, width: usize) -> Sheet<'a> {
    let theme = &model.theme;
    let undo = &preview.undo;
    let mut sheet = Sheet::new("Undo: what it would do");
    let what = find(model, undo.cycle).map_or_else(
        || format!("cycle {}", undo.cycle),
        |report| format!("the cycle of {} by {}@{}", format::time(report.started), report.operator, report.host),
    );
    sheet.say(&format!("Puts back what {what} has changed, from the destinations' own versions."), theme.text(), width);
    sheet.gap();
    let titles = ["undelete", "write back", "delete", "cannot", "as before", "untouched"];
    let fit = titles.len().min(width.saturating_sub(NAME) / 11);
    let mut head = cell::left("", NAME);
    for title in &titles[..fit] {
        head += &cell::right(title, 11);
    }
    sheet.line(Line::styled(head, theme.muted()));
    for (plan, part) in undo.plan.destinations.iter().zip(&undo.parts) {
        let counts = plan.counts();
        let state = |operation: Operation| theme.state(operation.state());
        let numbers = [
            (counts.add, state(Operation::Add)),
            (counts.update, state(Operation::Update)),
            (counts.delete, state(Operation::Delete)),
            (part.impossible.len() as u64, theme.bad()),
            (part.already, theme.good()),
            (part.untouched, theme.text()),
        ];
        let mut spans =
            vec![Span::styled(cell::name(plan.destination.as_str(), NAME), model.name_style(&plan.destination))];
        for (number, style) in &numbers[..fit] {
            let style = if *number == 0 { theme.muted() } else { *style };
            spans.push(Span::styled(cell::right(&format::count(*number), 11), style));
        }
        sheet.line(Line::from(spans));
    }
    sheet.gap();
    for (name, taken) in &preview.daemons {
        let text =
            format!("{name}: a daemon looks after it and would copy these secrets again at once: its lock is {taken}");
        sheet.say(&text, theme.bad(), width);
    }
    if !preview.brings_back && !undo.plan.is_empty() {
        let text = "The next sync copies these secrets again, unless the origin is put right first, they are excluded, or whatever syncs by itself is stopped.";
        sheet.say(text, theme.warning(), width);
    }
    if undo.plan.is_empty() {
        sheet.say("There is nothing to do: what can be put back is as it was before.", theme.good(), width);
    } else if !model.read_only {
        let text = format!("{} asks whether to start it.", key(model, Action::Undo));
        sheet.say(&text, theme.accent(), width);
    }
    for (plan, part) in undo.plan.destinations.iter().zip(&undo.parts) {
        undo_at(theme, plan, &part.impossible, width, &mut sheet);
    }
    sheet
}

fn undo_at<'a>(
    theme: &Theme,
    plan: &'a DestinationPlan,
    impossible: &'a [Impossible],
    width: usize,
    sheet: &mut Sheet<'a>,
) {
    let name = &plan.destination;
    if let Some(reason) = &plan.unavailable {
        sheet.gap();
        sheet.say(&format!("{name}: no plan, because its state could not be read: {reason}"), theme.bad(), width);
    }
    for objection in &plan.objections {
        sheet.gap();
        sheet.say(&format!("{name}: {objection}"), theme.bad(), width);
    }
    if !impossible.is_empty() {
        sheet.gap();
        let secrets = format::plural(impossible.len() as u64, "secret");
        sheet.say(&format!("{name}: {secrets} cannot be put back"), theme.bad(), width);
        sheet.add(Block::Impossible(impossible));
    }
    if !plan.tasks.is_empty() {
        sheet.gap();
        let tasks = format::plural(plan.tasks.len() as u64, "task");
        sheet.say(&format!("{name}: {tasks}"), theme.title(), width);
        sheet.add(Block::Tasks(&plan.tasks));
    }
}
