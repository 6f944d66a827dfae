//! The `:` line: what it can become, and what that does.

mod arguments;
mod matching;

use super::filter::Only;
use super::keymap::{self, Action, Bound, Place};
use super::model::Model;
use super::screen::Screen;
use super::widget::tree::{NodeId, Standing};
use crate::text::nearest;

use matching::{Rank, fit};

/// More are never needed to find the right one.
const MOST: usize = 200;

/// What has been typed before, and which candidate is chosen.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest comes last.
    history: Vec<String>,
    /// The place in the history that the line comes from.
    recalled: Option<usize>,
    chosen: Chosen,
}

#[derive(Debug, Default)]
enum Chosen {
    /// The first one, once something is typed.
    #[default]
    First,
    /// The one with this line, wherever in the list it is by now.
    Line(String),
}

/// Something the line can become.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The line, when it is that; with a space or slash at its end there is more to come.
    pub(super) line: String,
    /// What shows.
    pub(super) title: String,
    /// Which characters of the title are the typed ones.
    pub(super) found: Vec<usize>,
    /// The keys that do the same, or the symbol of how it stands.
    pub(super) keys: String,
    pub(super) standing: Option<Standing>,
    pub(super) help: String,
    /// The screen it leads to, if that is another one.
    pub(super) place: &'static str,
    /// What it does; `None` if an argument is missing.
    pub(super) command: Option<Command>,
}

/// What a line does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Act(Screen, Action),
    /// The destination at this place among all.
    Destination(usize),
    /// To a secret or folder.
    Path(String),
    Theme(String),
    Workers(usize),
    Filter(Screen, String),
    /// Only some of the states.
    State(Only),
}

/// Names that operators bring along from elsewhere.
const ALIASES: [(&str, &str); 14] = [
    ("q", "quit"),
    ("q!", "quit"),
    ("exit", "quit"),
    ("h", "help"),
    ("home", "overview"),
    ("pulse", "overview"),
    ("secrets", "browse"),
    ("tasks", "plan"),
    ("workers", "cycle"),
    ("failed", "failures"),
    ("errors", "failures"),
    ("runs", "history"),
    ("rules", "transforms"),
    ("log", "logs"),
];

impl State {
    /// Begins anew, as when the line is opened or its text is another one.
    pub(super) fn reset(&mut self) {
        self.recalled = None;
        self.chosen = Chosen::First;
    }

    /// Keeps a line that was taken.
    pub(super) fn remember(&mut self, line: &str) {
        let line = line.trim();
        self.history.retain(|known| known != line);
        self.history.push(line.to_owned());
    }

    /// The line before the one that was recalled last; `None` if there is none.
    pub(super) fn recall(&mut self, back: bool) -> Option<String> {
        let at = match (self.recalled, back) {
            (None, true) => self.history.len().checked_sub(1)?,
            (Some(at), true) => at.saturating_sub(1),
            (Some(at), false) => at + 1,
            (None, false) => return None,
        };
        self.recalled = (at < self.history.len()).then_some(at);
        self.chosen = Chosen::First;
        Some(self.history.get(at).cloned().unwrap_or_default())
    }

    /// Whether the line comes from the history, or could.
    pub(super) fn recalls(&self, text: &str) -> bool {
        self.recalled.is_some() || (text.is_empty() && matches!(self.chosen, Chosen::First))
    }

    /// Chooses the candidate with this line.
    pub(super) fn choose(&mut self, line: &str) {
        self.chosen = Chosen::Line(line.to_owned());
    }

    /// The chosen one's place among the candidates of a text.
    pub(super) fn chosen(&self, text: &str, candidates: &[Candidate]) -> Option<usize> {
        match &self.chosen {
            Chosen::First => (!text.trim().is_empty() && !candidates.is_empty()).then_some(0),
            Chosen::Line(line) => candidates.iter().position(|candidate| candidate.line == *line),
        }
    }
}

/// What a line can become, the best first.
pub(super) fn candidates(model: &Model, text: &str) -> Vec<Candidate> {
    let text = text.trim_start();
    if let Some(candidates) = arguments::candidates(model, text) {
        return candidates;
    }
    let text = text.trim_end();
    if text.contains('/') && text != "/" {
        return paths(model, text);
    }
    // "next problem" is as good as "next-problem".
    let typed = text.replace(' ', "-");
    let mut ranked = Vec::new();
    let mut offer = |mut candidate: Candidate, name: &str| {
        let alias = ALIASES.iter().filter(|(_, meant)| *meant == name).find_map(|(alias, _)| {
            let rank = fit(&typed, alias).map(|(rank, _)| rank).filter(|rank| *rank <= Rank::Start)?;
            (!typed.is_empty()).then_some((alias, rank))
        });
        let (rank, found) = match (fit(&typed, name), alias) {
            (fitting, Some((alias, rank))) if fitting.as_ref().is_none_or(|(own, _)| *own > rank) => {
                let title = format!("{} ({alias})", candidate.title);
                let from = title.chars().count() - alias.chars().count() - 1;
                candidate.title = title;
                (rank, (from..from + typed.chars().count()).collect())
            }
            (Some((Rank::Scattered, found)), _) if !explains(&candidate, text) => (Rank::Scattered, found),
            (Some((rank, found)), _) if rank != Rank::Scattered => (rank, found),
            _ if explains(&candidate, text) => (Rank::Help, Vec::new()),
            _ => return,
        };
        candidate.found = found;
        ranked.push((rank, candidate));
    };
    for (candidate, name) in everything(model) {
        offer(candidate, &name);
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, candidate)| candidate).take(MOST).collect()
}

/// Whether its explanation has the text in it.
fn explains(candidate: &Candidate, text: &str) -> bool {
    text.chars().count() >= 3 && candidate.help.to_lowercase().contains(&text.to_lowercase())
}

/// Everything that has a name, with that name, what is nearest to the operator first.
fn everything(model: &Model) -> Vec<(Candidate, String)> {
    let here = Place::Screen(model.screen);
    let bound: Vec<&Bound> = model.keymap.bindings(here, model.read_only).collect();
    let mut all = Vec::new();
    let named = |bound: &Bound| (act(bound, model.screen), bound.binding.name.to_owned());
    let moves = |bound: &&&Bound| is_movement(bound.binding.action);
    all.extend(bound.iter().filter(|b| !keymap::is_global(b.binding) && !moves(b)).map(|b| named(b)));
    all.extend(arguments::names(model));
    all.extend((0..model.destinations.len()).map(|at| destination(model, at, "")));
    for mount in model.browse.tree.complete("", MOST).nodes {
        all.push((node(model, mount, "", ""), model.browse.tree.label(mount).to_owned()));
    }
    let everywhere = |b: &&&Bound| keymap::is_global(b.binding) && !moves(b) && b.binding.action != Action::Command;
    all.extend(bound.iter().filter(everywhere).map(|b| named(b)));
    let mut known: Vec<&str> = bound.iter().map(|bound| bound.binding.name).collect();
    for screen in Screen::ALL {
        for bound in model.keymap.bindings(Place::Screen(screen), model.read_only) {
            // Where a cursor is needed that cannot be seen from here, nothing is done.
            if !known.contains(&bound.binding.name) && !needs_cursor(bound.binding.action) {
                known.push(bound.binding.name);
                let candidate = Candidate { place: screen.title(), ..act(bound, screen) };
                all.push((candidate, bound.binding.name.to_owned()));
            }
        }
    }
    all.extend(bound.iter().filter(moves).map(|b| named(b)));
    all
}

fn act(bound: &Bound, screen: Screen) -> Candidate {
    Candidate {
        line: bound.binding.name.to_owned(),
        title: bound.binding.name.to_owned(),
        found: Vec::new(),
        keys: bound.keys.iter().map(|key| key.label()).collect::<Vec<_>>().join(" "),
        standing: None,
        help: bound.binding.help.to_owned(),
        place: "",
        command: Some(Command::Act(screen, bound.binding.action)),
    }
}

fn destination(model: &Model, at: usize, verb: &str) -> (Candidate, String) {
    let name = model.destinations[at].as_str().to_owned();
    let candidate = Candidate {
        line: format!("{verb}{name}"),
        title: name.clone(),
        found: Vec::new(),
        keys: String::new(),
        standing: None,
        help: "the plan for this destination".to_owned(),
        place: "",
        command: Some(Command::Destination(at)),
    };
    (candidate, name)
}

fn is_movement(action: Action) -> bool {
    matches!(action, Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::First | Action::Last)
}

/// Whether it means the row that the cursor is on.
fn needs_cursor(action: Action) -> bool {
    is_movement(action)
        || matches!(
            action,
            Action::Left
                | Action::Right
                | Action::Open
                | Action::DetailsUp
                | Action::DetailsDown
                | Action::Mark
                | Action::MarkRange
                | Action::MarkFolder
                | Action::Reveal
                | Action::RevealCopy
                | Action::Compare
                | Action::NextKey
                | Action::PreviousKey
                | Action::Copy
                | Action::CopyPath
                | Action::CopyKey
                | Action::CopyValue
                | Action::CopyRemedy
                | Action::Overwrite
                | Action::Keep
                | Action::Ignore
                | Action::MindAgain
                | Action::Skip
                | Action::Export
                | Action::Undo
                | Action::DuplicateRule
                | Action::DeleteRule
                | Action::RuleUp
                | Action::RuleDown
        )
}

/// Where a path that is being typed may lead.
fn paths(model: &Model, text: &str) -> Vec<Candidate> {
    let tree = &model.browse.tree;
    let completion = tree.complete(text, MOST);
    let folder = completion.folder.map(|id| tree.path(id)).unwrap_or_default();
    let typed = text.get(folder.len()..).unwrap_or_default();
    let itself = completion.folder.filter(|_| typed.is_empty());
    let itself = itself.map(|id| Candidate { title: folder.clone(), ..node(model, id, "", "") });
    let inside = completion.nodes.iter().map(|id| node(model, *id, &folder, typed));
    itself.into_iter().chain(inside).collect()
}

fn node(model: &Model, id: NodeId, folder: &str, typed: &str) -> Candidate {
    let tree = &model.browse.tree;
    let title = tree.label(id).to_owned();
    let line = if folder.is_empty() { tree.path(id) } else { format!("{folder}{title}") };
    let worst = tree.worst(id);
    let help = match tree.secret(id) {
        Some(_) => worst.as_str().to_owned(),
        None if worst.is_behind() => {
            format!("{}, {}", super::format::plural(tree.secrets_below(id).into(), "secret"), worst.as_str())
        }
        None => super::format::plural(tree.secrets_below(id).into(), "secret"),
    };
    let found = if typed.is_empty() { Vec::new() } else { fit(typed, &title).map(|(_, at)| at).unwrap_or_default() };
    Candidate {
        command: Some(Command::Path(line.clone())),
        line,
        title,
        found,
        keys: worst.symbol().to_string(),
        standing: Some(worst),
        help,
        place: "",
    }
}

/// With so many names of a folder what is typed is compared, to find the nearest.
const COMPARED: usize = 10_000;

/// Why a line cannot be anything, with the nearest that could.
pub(super) fn complaint(model: &Model, text: &str) -> String {
    let text = text.trim();
    if let Some(complaint) = arguments::complaint(model, text) {
        return complaint;
    }
    let tree = &model.browse.tree;
    if text.contains('/') {
        // What it does have leads to where it goes astray.
        let folder = tree.complete(text, 0).folder.map(|id| tree.path(id)).unwrap_or_default();
        let piece = text.get(folder.len()..).unwrap_or_default().split('/').next().unwrap_or_default();
        let inside = tree.complete(&folder, COMPARED).nodes;
        return match nearest(inside.iter().map(|id| tree.label(*id).trim_end_matches('/')), piece) {
            Some(near) => format!("the origin has no {text}; the nearest is {folder}{near}"),
            None if model.listing.is_some() => format!("no {text} has been found yet; the origin is being listed"),
            None => format!("the origin has no {text}"),
        };
    }
    let name = text.replace(' ', "-");
    let forbidden = keymap::table().any(|binding| binding.writes && binding.name == name);
    if forbidden && model.read_only {
        return "read-only: nothing is written".to_owned();
    }
    let names = everything(model);
    let known = names.iter().map(|(_, name)| name.as_str()).chain(ALIASES.iter().map(|(alias, _)| *alias));
    match nearest(known, &name) {
        Some(near) => format!("there is no command \"{text}\"; the nearest is \"{near}\""),
        None => format!("there is no command \"{text}\""),
    }
}
