//! `on_delete`, and v0.3's `ignore_deletes`, which says the same in part: made one, on the way from the whole file down to
//! each destination.

use super::check::Check;
use super::document::{Data, Node, Place, Step};
use super::error::Problem;

const IGNORE: &str = "ignore";
const SOFT: &str = "soft";

/// Gives the whole file and each destination its `on_delete`. A destination's own word goes over the file's, whichever
/// of the two keys says it; both keys side by side must not contradict each other.
pub(super) fn settle(root: &mut Node, check: &mut Check) {
    let general = said(root, None, check);
    let top = general.clone().unwrap_or_else(|| Node::text(SOFT, Place::Default));
    let inherited = Node::text(
        top.as_text().unwrap_or(SOFT),
        if general.is_some() { Place::Inherited("on_delete") } else { Place::Default },
    );
    root.set(&[Step::Key("on_delete")], top);
    let count = root.get("destinations").map_or(0, |list| list.items().len());
    for index in 0..count {
        let at = [Step::Key("destinations"), Step::Index(index)];
        let Some(destination) = root.at(&at) else { continue };
        let own = said(destination, inherited.as_text(), check).unwrap_or_else(|| inherited.clone());
        root.set(&[at[0], at[1], Step::Key("on_delete")], own);
    }
}

/// What this section itself says; nothing if it leaves it to `general`.
fn said(section: &Node, general: Option<&str>, check: &mut Check) -> Option<Node> {
    let ignores = section.get("ignore_deletes").and_then(|node| match node.data {
        Data::Bool(ignores) => Some((ignores, node.place.clone())),
        _ => None,
    });
    let chosen = section.get("on_delete").cloned();
    match (chosen, ignores) {
        (Some(chosen), Some((ignores, place))) => {
            let word = chosen.as_text().unwrap_or_default();
            if ignores != (word == IGNORE) && (ignores || word == IGNORE) {
                let message = format!("on_delete = \"{word}\" and ignore_deletes = {ignores} contradict each other");
                let help =
                    format!("ignore_deletes is set at {place}; keep the one that is meant, and remove the other");
                check.problems.push(Problem::new(message).at(&chosen.place).help(help));
            }
            Some(chosen)
        }
        (chosen @ Some(_), None) => chosen,
        (None, Some((true, place))) => Some(Node::text(IGNORE, place)),
        (None, Some((false, place))) if general.is_none_or(|general| general == IGNORE) => {
            Some(Node::text(SOFT, place))
        }
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Sources;
    use super::super::load::load_text;
    use crate::engine::OnDelete::{self, Destroy, Ignore, Purge, Soft};

    /// What becomes of deletes at a destination, with these lines for the whole file and for it.
    fn on_delete(general: &str, own: &str) -> Result<OnDelete, String> {
        let side = "vault = { address = \"http://127.0.0.1:1\", token = \"t\" }\n";
        let text =
            format!("{general}\n[origin]\nmounts = [\"a/\"]\n{side}[[destinations]]\nname = \"d\"\n{side}{own}\n");
        let loaded = load_text(Path::new("vsync.toml"), text, &Sources::default());
        loaded.map(|loaded| loaded.config.destinations[0].on_delete).map_err(|error| error.to_string())
    }

    #[test]
    fn a_destination_has_the_last_word_in_either_spelling() {
        for (general, own, expected) in [
            ("", "", Soft),
            ("on_delete = \"purge\"", "", Purge),
            ("on_delete = \"purge\"", "on_delete = \"destroy\"", Destroy),
            ("ignore_deletes = true", "", Ignore),
            ("ignoreDeletes = true", "on_delete = \"soft\"", Soft),
            ("ignore_deletes = true", "ignore_deletes = false", Soft),
            ("on_delete = \"ignore\"", "ignore_deletes = false", Soft),
            ("on_delete = \"purge\"", "ignore_deletes = true", Ignore),
            ("on_delete = \"purge\"", "ignore_deletes = false", Purge),
            ("ignore_deletes = false", "on_delete = \"ignore\"", Ignore),
            ("ignore_deletes = false\non_delete = \"destroy\"", "", Destroy),
            ("ignore_deletes = true\non_delete = \"ignore\"", "", Ignore),
        ] {
            assert_eq!(on_delete(general, own), Ok(expected), "{general} | {own}");
        }
    }

    #[test]
    fn side_by_side_they_must_not_contradict_each_other() {
        for both in ["ignore_deletes = true\non_delete = \"purge\"", "on_delete = \"ignore\"\nignore_deletes = false"] {
            for (general, own) in [(both, ""), ("", both)] {
                let error = on_delete(general, own).expect_err("a contradiction");
                assert!(error.contains("contradict each other") && error.contains("is set at vsync.toml:"), "{error}");
            }
        }
    }
}
