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
