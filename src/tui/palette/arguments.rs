//! Commands that take an argument.

use super::matching::{Rank, fit};
use super::{Candidate, Command, destination};
use crate::engine::{DestinationName, SecretState};
use crate::text::nearest;
use crate::tui::filter::Only;
use crate::tui::keymap::Action;
use crate::tui::model::Model;
use crate::tui::screen::Screen;

/// A command with an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Destination,
    Theme,
    Workers,
    Filter,
    State,
}

impl Verb {
    const ALL: [Self; 5] = [Self::Destination, Self::Filter, Self::State, Self::Workers, Self::Theme];

    /// The first one is what it is called.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Destination => &["dest", "destination"],
            Self::Theme => &["theme"],
            Self::Workers => &["workers"],
            Self::Filter => &["filter"],
            Self::State => &["state", "states"],
        }
    }

    /// The name with what it wants.
    fn title(self) -> &'static str {
        match self {
            Self::Destination => "dest NAME",
            Self::Theme => "theme NAME",
            Self::Workers => "workers N",
            Self::Filter => "filter TEXT",
            Self::State => "state SYMBOL",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Destination => "the plan for one destination",
            Self::Theme => "a theme by its name",
            Self::Workers => "so many workers per destination in the running cycle",
            Self::Filter => "show only what contains a text; !text, ~text",
            Self::State => "show only what stands so, by its symbol or name",
        }
    }

    /// What it does without its argument.
    fn alone(self) -> Option<Command> {
        (self == Self::Destination).then_some(Command::Act(Screen::Overview, Action::Show(Screen::Overview)))
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.names().contains(&name))
    }
}

/// The command in a line and its argument, if there is a space behind it.
fn split(text: &str) -> Option<(Verb, &str)> {
    let (name, argument) = text.split_once(' ')?;
    Some((Verb::of_name(name)?, argument.trim()))
}

/// The commands themselves, with their names.
pub(super) fn names(model: &Model) -> impl Iterator<Item = (Candidate, String)> + use<'_> {
    let possible = |verb: &Verb| *verb != Verb::Workers || model.cycle.running;
    Verb::ALL.into_iter().filter(possible).map(|verb| {
        let name = verb.names()[0];
        let line = format!("{name} ");
        (candidate(line, verb.title(), verb.help(), verb.alone()), name.to_owned())
    })
}

/// What a command's argument can become; `None` if there is no such command in the line.
pub(super) fn candidates(model: &Model, text: &str) -> Option<Vec<Candidate>> {
    let (verb, typed) = split(text)?;
    Some(match verb {
        Verb::Destination => fitting(typed, (0..model.destinations.len()).map(|at| destination(model, at, "dest "))),
        Verb::Theme => fitting(
            typed,
            model.themes.names().map(|name| {
                let command = Command::Theme(name.to_owned());
                (candidate(format!("theme {name}"), name, "a theme", Some(command)), name.to_owned())
            }),
        ),
        Verb::Workers => typed
            .parse()
            .ok()
            .filter(|count| (1..=MOST_WORKERS).contains(count))
            .map(|count| {
                candidate(text.to_owned(), &format!("workers {count}"), verb.help(), Some(Command::Workers(count)))
            })
            .into_iter()
            .collect(),
        Verb::State => fitting(
            typed,
            states().map(|(only, name)| {
                let (sign, help) = match only {
                    Only::All => ("all".to_owned(), "every state"),
                    Only::One(state) => (state.symbol().to_string(), "show only what stands so"),
                    Only::Behind | Only::Problems => (name.to_owned(), "show only several states"),
                };
                let title = if sign == name { sign.clone() } else { format!("{sign} {name}") };
                // A symbol alone is a whole name as well.
                let known = if typed == sign { sign.clone() } else { title.clone() };
                (candidate(format!("state {sign}"), &title, help, Some(Command::State(only))), known)
            }),
        ),
        Verb::Filter => {
            let screen = filtered_screen(model);
            let command = Command::Filter(screen, typed.to_owned());
            let help = format!("show only what contains it on {}", screen.title());
            vec![candidate(text.to_owned(), &format!("filter {typed}"), &help, Some(command))]
        }
    })
}

fn states() -> impl Iterator<Item = (Only, &'static str)> {
    let several = [(Only::All, "all"), (Only::Behind, "behind"), (Only::Problems, "problems")];
    several.into_iter().chain(SecretState::ALL.into_iter().map(|state| (Only::One(state), state.as_str())))
}

/// More than this at one destination is a slip of the finger.
const MOST_WORKERS: usize = 1_000;

/// The screen that shows, or where one would look for something.
fn filtered_screen(model: &Model) -> Screen {
    let place = crate::tui::keymap::Place::Screen(model.screen);
    let has_filter = model.keymap.bindings(place, false).any(|bound| bound.binding.action == Action::Filter);
    if has_filter { model.screen } else { Screen::Browse }
}

/// Why the argument will not do; `None` if there is no such command in the line.
pub(super) fn complaint(model: &Model, text: &str) -> Option<String> {
    let (verb, typed) = split(text).or_else(|| Some((Verb::of_name(text)?, "")))?;
    let (what, known): (_, Vec<&str>) = match verb {
        Verb::Destination => ("destination", model.destinations.iter().map(DestinationName::as_str).collect()),
        Verb::Theme => ("theme", model.themes.names().collect()),
        Verb::Workers => return Some(format!("workers takes a number from 1 to {MOST_WORKERS}")),
        Verb::Filter => return None,
        Verb::State => ("state", states().map(|(_, name)| name).collect()),
    };
    Some(match nearest(known.iter().copied(), typed) {
        Some(near) if !typed.is_empty() => format!("there is no {what} \"{typed}\"; the nearest is \"{near}\""),
        _ if typed.is_empty() => format!("which {what}? There are {}", known.join(", ")),
        _ => format!("there is no {what} \"{typed}\"; there are {}", known.join(", ")),
    })
}

fn fitting(typed: &str, all: impl Iterator<Item = (Candidate, String)>) -> Vec<Candidate> {
    let mut ranked: Vec<(Rank, Candidate)> = all
        .filter_map(|(candidate, name)| {
            let (rank, found) = fit(typed, &name)?;
            Some((rank, Candidate { found, ..candidate }))
        })
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

fn candidate(line: String, title: &str, help: &str, command: Option<Command>) -> Candidate {
    Candidate {
        line,
        title: title.to_owned(),
        found: Vec::new(),
        keys: String::new(),
        standing: None,
        help: help.to_owned(),
        place: "",
        command,
    }
}
