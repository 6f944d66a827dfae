//! What a failure means and what to do about it, in this console's keys.

use crate::engine::{Cause, DestinationName, Failure, missing_policies};
use crate::tui::keymap::{Action, Place};
use crate::tui::model::Model;
use crate::tui::screen::Screen;

/// The key that does this on Failures, as it is bound.
pub(super) fn key(model: &Model, action: Action) -> String {
    model.keymap.key(Place::Screen(Screen::Failures), action)
}

/// What to do about a cause.
pub(super) fn remedy(model: &Model, cause: Cause) -> String {
    let [overwrite, keep, ignore] = [Action::Overwrite, Action::Keep, Action::Ignore].map(|action| key(model, action));
    match cause {
        Cause::Drift if model.read_only => {
            "Somebody has to decide which side is right, in a console that may write.".to_owned()
        }
        Cause::Existing if model.read_only => {
            "Somebody has to decide what becomes of what was there before, in a console that may write.".to_owned()
        }
        Cause::Drift => format!(
            "Compare the two, then decide: {overwrite} if the origin is right (it is written over, as a new version), {keep} if the destination is right (it stays, until the origin has a newer version). Trying again alone changes nothing."
        ),
        Cause::Existing => format!(
            "{keep} compares it and takes over equal values, without a write; {overwrite} writes the origin's over it, as a new version. One that is to stay different can be excluded, or ignored with {ignore}."
        ),
        _ => cause.remedy().to_owned(),
    }
}

/// The rules that the servers' policies lack, ready to be pasted; nothing if the cause is another one.
pub(super) fn policies<'a>(failures: impl Iterator<Item = &'a (DestinationName, Failure)>) -> Option<String> {
    let policies = missing_policies(failures.map(|(name, failure)| (name, failure)));
    let texts: Vec<String> = policies.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}
