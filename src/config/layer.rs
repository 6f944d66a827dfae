//! Environment variables and flags, laid over the file.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::check::{Check, join};
use super::document::{Data, Node, Place, Step};
use super::error::Problem;
use super::legacy::{self, SINGLE};
use super::schema::{self, Key, Kind};
use crate::text::nearest;

const PREFIX: &str = "VSYNC_";
const SINGLE_PREFIX: &str = "VSYNC_DESTINATION_";
/// Variables with a meaning of their own.
const NO_KEYS: [&str; 3] = ["VSYNC_CONFIG", "VSYNC_TEST_", "VSYNC_PLAYGROUND_"];

/// Lays the environment over the tree. Returns notes on variables that look like keys and are none.
pub(super) fn environment(root: &mut Node, variables: &BTreeMap<String, OsString>, check: &mut Check) -> Vec<String> {
    let mut names: Vec<String> = single_names().collect();
    let mut apply =
        |root: &mut Node, prefix: &str, steps: &[Step<'_>], path: &str, keys: &'static [Key], check: &mut Check| {
            for (above, key) in schema::leaves(keys) {
                for variable in variable_names(prefix, &above, key) {
                    if let Some(value) = variables.get(&variable) {
                        let place = Place::Environment(variable.clone());
                        let parts: Vec<&str> = above.iter().chain([&key]).map(|key| key.name).collect();
                        match value.to_str() {
                            Some(text) => put(root, steps, path, &parts, key, from_text(key, text, place), check),
                            None => check.problems.push(Problem::new("its value is not UTF-8").at(&place)),
                        }
                    }
                    names.push(variable);
                }
            }
        };
    let set_single = single_names().find(|variable| variables.contains_key(variable));
    apply(root, PREFIX, &[], "", keys_without_single(), check);
    if let Some(variable) = set_single
        && let Some(index) = single_index(root, &Place::Environment(variable), check)
    {
        apply(
            root,
            SINGLE_PREFIX,
            &[Step::Key("destinations"), Step::Index(index)],
            SINGLE,
            schema::DESTINATION,
            check,
        );
    }
    for (index, name) in destination_names(root).into_iter().enumerate() {
        let prefix = format!("VSYNC_DESTINATIONS_{}_", variable_part(&name));
        let steps = [Step::Key("destinations"), Step::Index(index)];
        apply(root, &prefix, &steps, &format!("destinations.{name}"), schema::DESTINATION, check);
    }
    variables
        .keys()
        .filter(|variable| !names.contains(variable))
        .filter_map(|variable| note(variable, &names))
        .collect()
}

/// What is to be said of a variable that sets no key, if it looks as if it should.
fn note(variable: &str, names: &[String]) -> Option<String> {
    let rest = variable.strip_prefix(PREFIX)?;
    if NO_KEYS.iter().any(|other| variable.starts_with(other)) {
        return None;
    }
    if let Some(today) = legacy::variables_today(rest) {
        let today = today.iter().map(|name| format!("{PREFIX}{name}")).collect::<Vec<_>>().join(" and ");
        return Some(format!("environment {variable} has no effect; use {today}"));
    }
    // the prefix they all have must not make them alike; v0.3's spelling stands before today's, which is to be named
    let nearest = nearest(names.iter().rev().filter_map(|name| name.strip_prefix(PREFIX)), rest);
    let is_of_a_side = rest.starts_with("ORIGIN_") || rest.starts_with("DESTINATION");
    let note = format!("environment {variable} is no key of the configuration and has no effect");
    match nearest {
        Some(name) => Some(format!("{note}; did you mean {PREFIX}{name}?")),
        None => is_of_a_side.then_some(note),
    }
}

/// The variables that set a key of the only destination.
fn single_names() -> impl Iterator<Item = String> {
    let leaves = schema::leaves(schema::DESTINATION).into_iter();
    leaves.flat_map(|(above, key)| variable_names(SINGLE_PREFIX, &above, key))
}

fn keys_without_single() -> &'static [Key] {
    // `destination` is the last row of the table, see schema::ROOT
    let (single, others) =
        schema::ROOT.split_last().map_or((None, schema::ROOT), |(last, others)| (Some(last), others));
    debug_assert!(single.is_some_and(|key| key.name == SINGLE));
    others
}

/// Lays `--set` flags over the tree.
pub(super) fn flags(root: &mut Node, settings: &[String], check: &mut Check) {
    for setting in settings {
        let Some((path, text)) = setting.split_once('=') else {
            let problem = Problem::new("there is no \"=\" in it").at(&Place::Flag(setting.clone()));
            check.problems.push(problem.help("--set takes KEY=VALUE"));
            continue;
        };
        flag(root, path.trim(), text, check);
    }
}

fn flag(root: &mut Node, path: &str, text: &str, check: &mut Check) {
    let place = Place::Flag(path.to_owned());
    let (steps, shown, keys, rest): (Vec<Step<'_>>, String, &'static [Key], &str) = if let Some(rest) =
        path.strip_prefix("destinations.")
    {
        // a name may have dots in it: the longest that fits
        let names = destination_names(root);
        let found = names
            .iter()
            .enumerate()
            .filter_map(|(index, name)| Some((index, name, rest.strip_prefix(name.as_str())?.strip_prefix('.')?)))
            .max_by_key(|(_, name, _)| name.len());
        let Some((index, name, rest)) = found else {
            let name = rest.split('.').next().unwrap_or(rest);
            let problem = Problem::new(format!("there is no destination \"{name}\"")).at(&place);
            let help = match nearest(names.iter().map(String::as_str), name) {
                Some(nearest) => format!("did you mean \"{nearest}\"?"),
                None => format!("there are: {}", names.join(", ")),
            };
            check.problems.push(problem.help(help));
            return;
        };
        (vec![Step::Key("destinations"), Step::Index(index)], format!("destinations.{name}"), schema::DESTINATION, rest)
    } else if let Some(rest) = path.strip_prefix("destination.") {
        let Some(index) = single_index(root, &place, check) else { return };
        (vec![Step::Key("destinations"), Step::Index(index)], SINGLE.to_owned(), schema::DESTINATION, rest)
    } else {
        (Vec::new(), String::new(), schema::ROOT, path)
    };
    let mut keys = keys;
    let mut names: Vec<&str> = Vec::new();
    let mut above = shown.clone();
    let mut parts = rest.split('.').peekable();
    while let Some(part) = parts.next() {
        let Some(key) = schema::find(keys, part) else {
            let nearest = nearest(keys.iter().map(|key| key.name), part);
            let place_of =
                if above.is_empty() { "there is no such key".to_owned() } else { format!("{above} has no such key") };
            let problem = Problem::new(format!("unknown key \"{part}\": {place_of}")).at(&place);
            check.problems.push(match nearest {
                Some(name) => problem.help(format!("did you mean \"{}\"?", join(&above, name))),
                None => problem.help(format!(
                    "the keys here are: {}",
                    keys.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
                )),
            });
            return;
        };
        names.push(key.name);
        match key.kind {
            Kind::Table(inner) if parts.peek().is_some() => {
                keys = inner;
                above = join(&above, key.name);
            }
            _ if parts.peek().is_some() => {
                let problem = Problem::new(format!("{} has no keys of its own", join(&above, key.name))).at(&place);
                check.problems.push(problem);
                return;
            }
            _ => {
                put(root, &steps, &shown, &names, key, from_text(key, text, place), check);
                legacy::unify_destinations(root, check);
                return;
            }
        }
    }
}

/// Checks a value and puts it where it belongs.
fn put(root: &mut Node, steps: &[Step<'_>], path: &str, names: &[&str], key: &Key, node: Node, check: &mut Check) {
    let shown = names.iter().fold(path.to_owned(), |path, name| join(&path, name));
    if let Some(value) = check.value(key, node, &shown) {
        let steps: Vec<Step<'_>> = steps.iter().copied().chain(names.iter().map(|name| Step::Key(name))).collect();
        root.set(&steps, value);
    }
}

/// What a text from the environment or a flag means for a key: lists and sections as JSON, lists of texts also with
/// commas.
pub(super) fn from_text(key: &Key, text: &str, place: Place) -> Node {
    let json = || serde_json::from_str(text).map(|value| Node::from_json(value, &place)).ok();
    let parsed = match key.kind {
        Kind::Bool | Kind::Count(..) | Kind::Table(_) | Kind::Tables(_) => json(),
        Kind::Texts if text.trim_start().starts_with('[') => json(),
        Kind::Texts => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Node {
                data: Data::List(items.map(|item| Node::text(item, place.clone())).collect()),
                place: place.clone(),
            })
        }
        Kind::Text | Kind::Secret | Kind::Duration | Kind::Choice(_) | Kind::MaxDelete => None,
    };
    parsed.unwrap_or_else(|| Node::text(text, place))
}

/// The entry of `destinations` that "the" destination is: the only one, made here if there is none.
fn single_index(root: &mut Node, place: &Place, check: &mut Check) -> Option<usize> {
    match destination_names(root).as_slice() {
        [] => {
            root.set(&[Step::Key(SINGLE)], Node::table(place.clone()));
            legacy::unify_destinations(root, check);
            Some(0)
        }
        [_] => Some(0),
        names => {
            let problem = Problem::new("\"destination\" could be any of the destinations").at(place);
            check.problems.push(problem.help(format!("name the one that is meant: {}", names.join(", "))));
            None
        }
    }
}

fn destination_names(root: &Node) -> Vec<String> {
    let items = root.get("destinations").map(Node::items).unwrap_or_default();
    items.iter().map(|item| item.get("name").and_then(Node::as_text).unwrap_or_default().to_owned()).collect()
}

/// The variables that set a key: `VSYNC_ORIGIN_NUM_WORKERS`, and v0.3's `VSYNC_ORIGIN_NUMWORKERS`, which loses.
fn variable_names(prefix: &str, above: &[&Key], key: &Key) -> Vec<String> {
    let variable =
        |name| above.iter().map(|key| key.name).chain([name]).map(variable_part).collect::<Vec<_>>().join("_");
    key.legacy.into_iter().chain([key.name]).map(|name| format!("{prefix}{}", variable(name))).collect()
}

fn variable_part(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
