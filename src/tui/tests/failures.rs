//! Failures: what is shown of them, and what can be done about them.

use std::sync::Arc;

use super::{press, snapshot, with_keys};
use crate::engine::{Cause, Decision, Failure, Operation};
use crate::tui::effect::failures::{Judged, Request};
use crate::tui::effect::{Effect, Keep};
use crate::tui::keymap::Action;
use crate::tui::message::{Asked, Message, Purpose};
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::failures::News;
use crate::tui::update::update;
use crate::tui::widget::tree::Tree;

/// What the store says once this failure is ignored.
fn ignored(model: &Model, at: usize, reason: &str) -> News {
    let plan = Arc::clone(model.plan.as_ref().expect("a plan"));
    let mut minded = model.failures.clone();
    let (name, failure) = minded.remove(at);
    let said = sample::ignored(&failure, reason);
    let tree = Box::new(Tree::of_plan(&plan, &minded, &[sample::mount()]));
    let judged = Judged { minded, ignored: vec![(name, failure, said)] };
    News::Judged { plan, judged, tree: Some(tree), said: format!("1 failure ignored: {reason}") }
}

fn with_ignored(width: u16, height: u16, keys: &str) -> Model {
    let mut model = with_keys(width, height, "5");
    let news = ignored(&model, 2, "the quota is raised on Monday");
    update(&mut model, Message::Failures(news));
    press(&mut model, keys);
    model
}

#[test]
fn every_state() {
    snapshot("failures", |width, height| with_keys(width, height, "5 down down space"));
    snapshot("failures_group", |width, height| with_keys(width, height, "5"));
    snapshot("failures_denied", |width, height| with_keys(width, height, "5 down"));
    snapshot("failures_ignored", |width, height| with_ignored(width, height, "G"));
    snapshot("failures_reason", |width, height| with_keys(width, height, "5 down i k n o w n"));
    snapshot("failures_none", |width, height| {
        let mut model = with_keys(width, height, "5");
        model.failures.clear();
        crate::tui::screen::failures::rebuild(&mut model);
        model
    });
    snapshot("failures_loading", |width, height| {
        let mut model = sample::opened(width, height);
        press(&mut model, "5");
        model
    });
    snapshot("failures_as_before", |width, height| {
        let mut model = with_keys(width, height, "5");
        model.failures_error = Some("read vsync/vsync/cycles in Consul: connection refused".to_owned());
        model
    });
    snapshot("failures_error", |width, height| {
        let mut model = with_keys(width, height, "5");
        model.failures.clear();
        model.failures_error = Some("read vsync/vsync/cycles in Consul: connection refused".to_owned());
        crate::tui::screen::failures::rebuild(&mut model);
        model
    });
}

#[test]
fn they_are_shown_by_cause() {
    let mut model = sample::full(80, 24);
    press(&mut model, "5 right right");
    let screen = dump(&model);
    assert!(screen.contains(Cause::RateLimit.remedy().split(',').next().expect("a part")), "{screen}");
    assert!(!screen.contains("payments/prod/database"));
}

#[test]
fn the_missing_rules_are_copied() {
    let mut model = sample::full(80, 24);
    let effects = press(&mut model, "5 g c");
    let [Effect::Copy(policy)] = effects.as_slice() else { panic!("{effects:?}") };
    let rules = "# destination ap-south: 2 secrets were refused\n\
         path \"secret/data/v2/payments/prod/api/secrets\" {\n  capabilities = [\"create\", \"update\"]\n}\n\
         path \"secret/data/v2/payments/prod/database/secrets\" {\n  capabilities = [\"create\", \"update\"]\n}";
    assert_eq!(policy, rules);
    let effects = press(&mut model, "down y");
    assert!(matches!(effects.as_slice(), [Effect::Copy(policy)] if policy.contains("1 secret was refused")));
    let effects = press(&mut model, "G c");
    assert!(matches!(effects.as_slice(), [Effect::Copy(text)] if text.contains("existing: version 2 is there")));
}

#[test]
fn what_somebody_else_wrote_is_not_retried_but_decided() {
    let mut model = sample::full(80, 24);
    press(&mut model, "5 G");
    assert!(press(&mut model, "space x").is_empty());
    let notice = &model.notice.as_ref().expect("a word").text;
    assert!(notice.contains("Trying again changes nothing") && notice.contains('o') && notice.contains('d'));

    // all of them: only what can be retried is, and the rest is not passed over in silence
    let effects = press(&mut model, "A X");
    assert!(matches!(effects.as_slice(), [Effect::Retry(Asked { keep: Keep::Marked(some), .. })] if some.len() == 3));
    assert!(
        model.notice.as_ref().is_some_and(|notice| notice.text.contains("2 that somebody else wrote are left out"))
    );

    for (key, decision) in [("o", Decision::Overwrite), ("d", Decision::Keep)] {
        let mut model = sample::full(80, 24);
        let effects = press(&mut model, &format!("5 G {key}"));
        let [Effect::Retry(Asked { purpose, keep: Keep::Marked(marked), .. })] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        assert_eq!((*purpose, marked.len()), (Purpose::Decide(decision), 1));
        // a group as a whole, and only what waits for it of all that is marked
        let effects = press(&mut model, &format!("a {key}"));
        assert!(
            matches!(effects.as_slice(), [Effect::Retry(Asked { keep: Keep::Marked(some), .. })] if some.len() == 2)
        );
        assert!(press(&mut model, &format!("A g {key}")).is_empty(), "nothing to decide about permissions");
    }
}

#[test]
fn a_decision_says_what_it_does_and_wants_the_number_of_deletes() {
    for (decision, text, types) in [
        (Decision::Overwrite, "falls out of its history for good", true),
        (Decision::Keep, "Nothing is written at the destination.", false),
    ] {
        let mut model = sample::full(100, 30);
        press(&mut model, "5");
        let mut plan = (*sample::plan()).clone();
        plan.destinations.truncate(1);
        super::select(&mut model, plan, Purpose::Decide(decision));
        let screen = dump(&model).replace("│\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
        let screen = screen.replace("│ │ ", "").replace(" │", "");
        assert!(text.split(' ').all(|word| screen.contains(word)), "{screen}");
        let effects = press(&mut model, "y");
        assert_eq!(effects.is_empty(), types, "{effects:?}");
        let effects = if types { press(&mut model, "1 enter") } else { effects };
        let manner = crate::tui::effect::Manner::Deciding(decision);
        assert!(matches!(effects.as_slice(), [Effect::Start { manner: now, dry_run: false, .. }] if *now == manner));
    }
}

#[test]
fn ignoring_takes_a_reason() {
    let mut model = sample::full(80, 24);
    press(&mut model, "5 down i");
    assert!(press(&mut model, "enter").is_empty());
    assert!(dump(&model).contains("say why"));
    let effects = press(&mut model, "o l d enter");
    let [Effect::Failures(Request::Ignore { failures, reason, known })] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!((failures.len(), reason.as_str(), known.failures.len()), (1, "old", 5));
    assert_eq!(failures[0].1.origin.name(), "payments/prod/api");
    assert!(press(&mut model, "i esc").is_empty(), "nothing without a reason");
}

#[test]
fn what_is_ignored_is_not_counted_and_not_retried() {
    let mut model = with_ignored(200, 60, "g");
    let screen = dump(&model);
    assert!(screen.contains(" 5 Failures 4 ") && screen.contains("Failures 4, 1 ignored"), "{screen}");
    press(&mut model, "1");
    assert!(dump(&model).contains("5 Failures 4"));
    let effects = press(&mut model, "5 X");
    let [Effect::Retry(Asked { keep: Keep::Marked(marked), .. })] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(marked.len() == 2 && marked.iter().all(|(_, path)| path.name() != "search/prod/api"));
    press(&mut model, "G");
    assert!(dump(&model).contains("the quota is raised on Monday"));
    assert!(dump(&model).contains("by ops on bastion, 2026-11-23 21:40:03Z"));
    assert!(press(&mut model, "o").is_empty() && press(&mut model, "i").is_empty() && model.prompt.is_none());

    let effects = press(&mut model, "I");
    let [Effect::Failures(Request::Mind { secrets, known })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((secrets.len(), known.failures.len()), (1, 5));
}

#[test]
fn it_comes_back_when_it_is_another_failure() {
    let known = sample::failures().remove(0).1;
    let ignored = sample::ignored(&known, "known");
    assert!(ignored.covers(&known));
    assert!(ignored.covers(&Failure { attempts: 9, message: "in other words".into(), ..known.clone() }));
    assert!(!ignored.covers(&Failure { cause: Cause::Sealed, ..known.clone() }));
    assert!(!ignored.covers(&Failure { insight: Some(sample::insight(4)), ..known.clone() }));
    let delete = Failure { operation: Operation::Delete, ..known };
    assert!(sample::ignored(&delete, "known").covers(&delete));
}

#[test]
fn news_about_an_older_plan_leads_to_a_new_look() {
    let mut model = with_keys(80, 24, "5");
    let news = ignored(&model, 2, "known");
    update(&mut model, sample::refreshed());
    let effects = update(&mut model, Message::Failures(news));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "{effects:?}");
    let effects = update(&mut model, Message::Failures(News::Refused("no leader".into())));
    assert!(effects.is_empty() && dump(&model).contains("Not saved: no leader"));
}

#[test]
fn a_read_only_console_decides_and_ignores_nothing() {
    let mut model = with_ignored(80, 24, "g");
    model.read_only = true;
    for key in ["o", "d", "i", "I"] {
        assert!(press(&mut model, &format!("5 G {key}")).is_empty() && model.prompt.is_none(), "{key}");
    }
    let actions: Vec<_> = model.keymap.bindings(model.place(), true).map(|bound| bound.binding.action).collect();
    assert!(!actions.contains(&Action::Overwrite) && actions.contains(&Action::CopyRemedy));
    assert!(!dump(&model).contains("if the origin is right"), "no key is named that does not exist");
}
