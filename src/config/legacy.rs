//! What a configuration of vsync v0.3 says in its own way. Its spellings of keys are in the tables of keys.

use super::check::Check;
use super::document::{Data, Entry, Node, Place, Step};
use super::error::Problem;

/// v0.3's one destination: a section of this name, which also is what the destination is called.
pub(super) const SINGLE: &str = "destination";

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
