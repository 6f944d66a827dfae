//! Transforms: the list of rules, and a rule while it is typed.

use crossterm::event::KeyCode;

use super::{Action, Binding, Key, Place, TRANSFORMS, c, k, row, writing};

const LIST: &[Place] = &[TRANSFORMS];
const EDIT: &[Place] = &[Place::Edit];

pub(super) const ROWS: &[Binding] = &[
    row(&[k(KeyCode::Enter), c('e')], Action::Open, "edit-rule", LIST, "edit", "type into the rule under the cursor"),
    row(&[c('a')], Action::AddRule, "add-rule", LIST, "add", "a new rule below the cursor"),
    row(&[c('D')], Action::DuplicateRule, "duplicate-rule", LIST, "", "a copy of the rule below it"),
    row(
        &[c('d'), k(KeyCode::Delete)],
        Action::DeleteRule,
        "delete-rule",
        LIST,
        "delete",
        "take the rule away (in the draft: u brings it back)",
    ),
    row(&[c('K')], Action::RuleUp, "rule-up", LIST, "up", "move the rule up: the first that matches decides"),
    row(&[c('J')], Action::RuleDown, "rule-down", LIST, "down", "move the rule down"),
    row(&[c('u')], Action::UndoEdit, "undo-edit", LIST, "undo", "take the last change of the draft back"),
    row(&[c('U')], Action::RedoEdit, "redo-edit", LIST, "", "make the change that was taken back again"),
    row(&[c('X')], Action::DiscardDraft, "discard-draft", LIST, "", "back to the rules in force (asks first)"),
    row(&[c('p')], Action::TryPath, "try-path", LIST, "try a path", "where would a path go, and by which rule"),
    writing(row(
        &[Key::ctrl('s')],
        Action::SaveRules,
        "save-rules",
        LIST,
        "save",
        "write the rules to the configuration file and use them (shows the change and asks first)",
    )),
    row(&[k(KeyCode::Right), c('l')], Action::Right, "next-destination", LIST, "", "the rules of the next destination"),
    row(
        &[k(KeyCode::Left), c('h')],
        Action::Left,
        "previous-destination",
        LIST,
        "",
        "the rules of the destination before",
    ),
    row(
        &[k(KeyCode::Tab), k(KeyCode::Down)],
        Action::NextField,
        "next-field",
        EDIT,
        "next field",
        "the next field of the rule",
    ),
    row(&[k(KeyCode::BackTab), k(KeyCode::Up)], Action::PreviousField, "previous-field", EDIT, "", "the field before"),
    row(
        &[k(KeyCode::Enter), k(KeyCode::Esc)],
        Action::Back,
        "end-edit",
        EDIT,
        "done",
        "leave the rule; what was typed stays in the draft",
    ),
    row(&[k(KeyCode::PageDown)], Action::PageDown, "result-down", EDIT, "", "scroll what it does down"),
    row(&[k(KeyCode::PageUp)], Action::PageUp, "result-up", EDIT, "", "scroll what it does up"),
    writing(row(
        &[Key::ctrl('s')],
        Action::SaveRules,
        "save-edited",
        EDIT,
        "save",
        "write the rules to the configuration file and use them (shows the change and asks first)",
    )),
];
