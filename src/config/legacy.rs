//! What a configuration of vsync v0.3 says in its own way. Its spellings of keys are in the tables of keys; keys of its
//! samples and documentation that have no place there any more are in a table here.

use super::check::{Check, join};
use super::document::{Data, Entry, Node, Place, Step};
use super::error::Problem;
use super::schema::{self, Key};

/// v0.3's one destination: a section of this name, which also is what the destination is called.
pub(super) const SINGLE: &str = "destination";

/// A key that v0.3's samples, documentation or program have and that is none any more.
#[derive(Debug)]
pub(super) struct Former {
    /// `""`: the whole file.
    section: &'static str,
    name: &'static str,
    fate: Fate,
}

#[derive(Debug)]
enum Fate {
    /// It goes to where it belongs today, unless something is there already. v0.3 refuses to start with it, or without
    /// what replaced it; to ignore it would be to look at another place than the file means.
    Moved(&'static [&'static [&'static str]]),
    /// It has no meaning here; what to do instead.
    Ignored(&'static str),
}

const FORMER: &[Former] = &[
    former("", "syncPath", Fate::Moved(&[&["origin", "sync_path"], &[SINGLE, "sync_path"]])),
    former("", "dataPaths", Fate::Moved(&[&["origin", "mounts"], &[SINGLE, "mounts"]])),
    former("origin", "dc", Fate::Moved(&[&["origin", "consul", "dc"]])),
    former(SINGLE, "dc", Fate::Moved(&[&[SINGLE, "consul", "dc"]])),
    former("", "logLevel", Fate::Ignored("use log.level")),
    former("", "pprof", Fate::Ignored("there is no profiler to switch on")),
    // the documentation's misspelling, of which v0.3 took no notice
    former("origin", "timout", Fate::Ignored("use origin.timeout")),
    former(SINGLE, "timout", Fate::Ignored("use destination.timeout")),
];

const fn former(section: &'static str, name: &'static str, fate: Fate) -> Former {
    Former { section, name, fate }
}

/// The former key of this name in a section, if there is one. As in v0.3, capitals and small letters are the same.
pub(super) fn find_former(section: &str, name: &str) -> Option<&'static Former> {
    FORMER.iter().find(|former| former.section == section && former.name.eq_ignore_ascii_case(name))
}

/// What an environment variable of a former key is called today, both without their prefix; `None` if it is of none.
pub(super) fn variables_today(variable: &str) -> Option<Vec<String>> {
    let name = |path: &[&str]| path.join("_").to_uppercase();
    FORMER.iter().find_map(|former| match former.fate {
        Fate::Moved(targets) if join(former.section, former.name).replace('.', "_").eq_ignore_ascii_case(variable) => {
            Some(targets.iter().map(|target| name(target)).collect())
        }
        _ => None,
    })
}

impl Former {
    fn instead(&self) -> String {
        match self.fate {
            Fate::Moved(targets) => format!("use {}", listed(targets)),
            Fate::Ignored(instead) => instead.to_owned(),
        }
    }

    /// Puts the value where it belongs today. Returns what is to be said about it.
    fn settle(&self, entry: Entry, root: &mut Node, check: &mut Check) -> String {
        let name = join(self.section, self.name);
        let nothing = format!("{}: \"{name}\" has no effect; {}", entry.key_place, self.instead());
        let Fate::Moved(targets) = self.fate else { return nothing };
        let Some(key) = targets.first().and_then(|target| key_at(target)) else { return nothing };
        let Some(value) = check.value(key, entry.value, &name) else { return nothing };
        if value.as_text() == Some("") {
            return nothing;
        }
        let mut moved: Vec<&[&str]> = Vec::new();
        for &target in targets {
            let steps: Vec<Step<'_>> = target.iter().map(|name| Step::Key(name)).collect();
            // a file for the origin alone must not get half a destination
            let has_side = target[0] != SINGLE || root.get(SINGLE).is_some();
            if has_side && root.at(&steps).is_none() {
                root.set(&steps, value.clone());
                moved.push(target);
            }
        }
        if moved.is_empty() {
            return nothing;
        }
        let now = listed(&moved);
        format!("{}: \"{name}\" is an old spelling and is taken as {now}; use that instead", entry.key_place)
    }
}

fn listed(keys: &[&[&str]]) -> String {
    keys.iter().map(|key| key.join(".")).collect::<Vec<_>>().join(" and ")
}

fn key_at(path: &[&str]) -> Option<&'static Key> {
    let leaves = schema::leaves(schema::ROOT).into_iter();
    let mut found =
        leaves.filter(|(above, key)| above.iter().chain([key]).map(|key| key.name).eq(path.iter().copied()));
    found.next().map(|(_, key)| key)
}

/// Gives every former key of the file its meaning, if it has one. Returns a note on each.
pub(super) fn settle_former(root: &mut Node, check: &mut Check) -> Vec<String> {
    let former = std::mem::take(&mut check.former);
    former.into_iter().map(|(former, entry)| former.settle(entry, root, check)).collect()
}

/// Turns v0.3's single `destination` into the one entry of `destinations`. It keeps v0.3's sync path, so that it goes on
/// where v0.3 stopped.
pub(super) fn unify_destinations(root: &mut Node, check: &mut Check) {
    let Some(Entry { mut value, key_place, .. }) = root.remove(SINGLE) else { return };
    if let Some(list) = root.entry("destinations") {
        let problem = Problem::new("there is both \"destination\" and \"destinations\"").at(&key_place);
        check.problems.push(problem.help(format!("move it into the list at {}", list.key_place)));
        return;
    }
    if value.get("name").is_none() {
        value.set(&[Step::Key("name")], Node::text(SINGLE, Place::Default));
    }
    if value.get("sync_path").is_none() {
        value.set(&[Step::Key("sync_path")], Node::text("vsync/", Place::Default));
    }
    let place = value.place.clone();
    root.set(&[Step::Key("destinations")], Node { data: Data::List(vec![value]), place });
}

/// A level as tracing knows it, from one of today's words or v0.3's.
pub(super) fn log_level(word: &str) -> &str {
    match word {
        "fatal" | "panic" => "error",
        "disabled" => "off",
        today => today,
    }
}

#[cfg(test)]
mod tests;
