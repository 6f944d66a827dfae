//! Browse: how it looks in its states, and what its keys do.

use zeroize::Zeroizing;

use super::{press, snapshot, with_keys};
use crate::engine::{
    CopyDetail, DestinationName, Difference, Held, KeyDifference, KeyState, Record, SecretState, Side,
};
use crate::kv::SecretText;
use crate::state::LedgerEntry;
use crate::sync_info::EngineKind;
use crate::tui::effect::Effect;
use crate::tui::effect::browse::Request;
use crate::tui::filter::Only;
use crate::tui::input::Input;
use crate::tui::message::Message;
use crate::tui::model::Model;
use crate::tui::sample::{self, dump};
use crate::tui::screen::browse::{self, News, SECONDS, Wanted};
use crate::tui::update::{begin, update};

/// Nothing on screen or in the model may hold it but what is meant to show it.
const VALUE: &str = "not-a-real-value";

fn news(model: &mut Model, news: News) -> Vec<Effect> {
    update(model, Message::Browse(news))
}

/// The cursor on `payments/prod/api`, with everything known of it.
fn on_secret(width: u16, height: u16) -> Model {
    let mut model = with_keys(width, height, "2 / p a y m e n t s / p r o d / a p i enter end");
    if width < 110 {
        press(&mut model, "enter");
    }
    let path = browse::selected(&model).expect("a secret");
    assert_eq!(path, sample::path("payments/prod/api"));
    news(&mut model, News::Mapped(path.clone(), sample::mappings(&path)));
    news(&mut model, News::Described(path.clone(), Ok(Box::new(sample::detail()))));
    let [first, second, third] = sample::names();
    let entry = |version| LedgerEntry {
        origin: path.clone(),
        insight: sample::insight(2),
        version,
        deleted: false,
        awaits_removal: false,
        foreign: None,
        digest: None,
        at: sample::time(),
    };
    let copy = |name: &str, copied, entry, present| CopyDetail {
        path: sample::path(name),
        record: Ok(Record { copied, entry }),
        present: Ok(present),
    };
    let there = sample::detail().metadata.expect("metadata");
    let same = copy(path.name(), Some(sample::insight(3)), Some(entry(3)), Some(there.clone()));
    let drifted = copy("v2/payments/prod/api/secrets", Some(sample::insight(2)), Some(entry(2)), Some(there));
    let gone = copy(path.name(), Some(sample::insight(3)), None, None);
    for (name, copy) in [(first, same), (second, drifted), (third, gone)] {
        news(&mut model, News::DescribedAt(name, path.clone(), Ok(Box::new(copy))));
    }
    model
}

fn difference() -> Difference {
    let held = |name: &str, version| Held {
        path: sample::path(name),
        version: Some((version, sample::time())),
        kind: EngineKind::KvV2,
        metadata: Ok(sample::detail().metadata),
    };
    let key = |name: &str, state| KeyDifference { name: name.into(), state };
    let mut copy = held("v2/payments/prod/api/secrets", 2);
    if let Ok(Some(metadata)) = &mut copy.metadata {
        metadata.custom_metadata.clear();
        metadata.max_versions = 0;
    }
    let keys = vec![
        key("password", KeyState::Changed),
        key("url", KeyState::Same),
        key("user", KeyState::OnlyAtOrigin),
        key("legacy", KeyState::OnlyThere),
    ];
    Difference { origin: held("payments/prod/api", 3), copy, keys }
}

fn compared(width: u16, height: u16) -> Model {
    let mut model = on_secret(width, height);
    press(&mut model, "D y");
    let path = sample::path("payments/prod/api");
    news(&mut model, News::Compared(sample::names()[1].clone(), path, Ok(Box::new(difference()))));
    model
}

fn revealed(width: u16, height: u16) -> Model {
    let mut model = on_secret(width, height);
    let effects = press(&mut model, "v y");
    let [Effect::Browse(Request::Reveal { number, .. })] = effects.as_slice() else { panic!("{effects:?}") };
    let value = SecretText::new(Zeroizing::new(VALUE.to_owned()));
    news(&mut model, News::Revealed(*number, Ok(value)));
    model
}

#[test]
fn its_states() {
    snapshot("browse", on_secret);
    snapshot("browse_folder", |width, height| with_keys(width, height, "2 n n n n n"));
    snapshot("browse_marked", |width, height| {
        with_keys(width, height, "2 / s e a r c h / s t a g e enter g down down space up / esc l")
    });
    snapshot("browse_empty", |width, height| with_keys(width, height, "2 / n o t h i n g"));
    snapshot("browse_problems", |width, height| with_keys(width, height, "2 p s"));
    snapshot("browse_typing", |width, height| with_keys(width, height, "2 /"));
    snapshot("browse_loading", |width, height| {
        let mut model = sample::opened(width, height);
        begin(&mut model);
        press(&mut model, "2");
        model
    });
    snapshot("browse_unanswered", |width, height| {
        let mut model = with_keys(width, height, "2 / p a y m e n t s / p r o d / a p i enter end enter");
        let path = browse::selected(&model).expect("a secret");
        news(&mut model, News::Mapped(path.clone(), sample::mappings(&path)));
        news(&mut model, News::Described(path.clone(), Err("permission denied".into())));
        let reason = "secret/x: permission denied";
        news(&mut model, News::DescribedAt(sample::names()[0].clone(), path, Err(reason.into())));
        model
    });
    snapshot("browse_difference", compared);
    snapshot("browse_question", |width, height| {
        let mut model = on_secret(width, height);
        press(&mut model, "v");
        model
    });
}

#[test]
fn all_of_it_can_be_read_at_80_by_24() {
    let mut model = on_secret(80, 24);
    let mut seen = String::new();
    for _ in 0..60 {
        seen += &dump(&model);
        press(&mut model, "J");
    }
    for text in [
        "password  url  user",
        "copied: the origin's version 2 of 3, as version 2 there",
        "there now: version 3",
        "Drift: somebody else has written version 3; vsync's was 2.",
        "Drift: vsync copied it, and somebody else has deleted it.",
        "permission at 2026-11-23 21:40:03Z: write: permission denied",
        "max_versions 10",
        "owner = team-payments",
        "   1  2026-10-01 06:00:00Z  destroyed",
        "   2  2026-10-01 06:00:00Z  deleted 2026-11-23",
        "   3  2026-10-01 06:00:00Z  current",
    ] {
        assert!(seen.contains(text), "{text}\n{seen}");
    }
}

#[test]
fn what_was_there_before_is_not_called_drifted() {
    let mut model = with_keys(120, 40, "2 / s e a r c h / d e v / m a i l e r enter end");
    assert!(dump(&model).contains("us-east  there before vsync"), "{}", dump(&model));
    press(&mut model, "/ esc / s e a r c h / p r o d / m a i l e r enter end");
    assert!(dump(&model).contains("us-east  drifted"), "{}", dump(&model));
}

#[test]
fn the_newest_secret_is_asked_about_once() {
    let mut model = sample::full(120, 40);
    let effects = press(&mut model, "2 / b i l l i n g / p r o d / a p i enter end");
    assert!(
        matches!(effects.as_slice(), [Effect::Browse(Request::Describe(path))] if *path == sample::path("billing/prod/api"))
    );
    assert!(press(&mut model, "t").is_empty(), "the same secret is not asked about again");
    // An answer that comes too late is not shown beside another secret.
    let late = sample::path("billing/dev/api");
    news(&mut model, News::Mapped(late.clone(), sample::mappings(&late)));
    news(&mut model, News::Described(late, Err("late".into())));
    assert!(!dump(&model).contains("late"));
}

#[test]
fn nobody_is_asked_for_details_that_do_not_show() {
    let mut model = sample::full(80, 24);
    assert!(press(&mut model, "2 / b i l l i n g / p r o d / a p i enter end").is_empty());
    assert!(matches!(press(&mut model, "enter").as_slice(), [Effect::Browse(Request::Describe(_))]));
}

#[test]
fn a_value_shows_for_ten_seconds_after_a_question() {
    let mut model = on_secret(80, 24);
    assert!(press(&mut model, "v").is_empty());
    let question = dump(&model);
    assert!(question.contains("The value of password in secret/payments/prod/api"), "{question}");
    assert!(press(&mut model, "enter").is_empty(), "no is chosen at first");
    assert!(!dump(&model).contains("Value of password"));

    let mut model = revealed(80, 24);
    assert!(dump(&model).contains(VALUE) && dump(&model).contains(" 10 s "));
    assert!(!format!("{model:?}").contains(VALUE), "Debug shows no value");
    for left in (1..SECONDS).rev() {
        news(&mut model, News::Tick(1));
        assert!(dump(&model).contains(&format!(" {left} s ")) && dump(&model).contains(VALUE));
    }
    news(&mut model, News::Tick(1));
    assert!(!dump(&model).contains(VALUE));
}

#[test]
fn a_value_goes_when_the_operator_turns_away() {
    for keys in ["j", "k", "esc", "1", "?", "/", ":", "]", "n", "s", "D"] {
        let mut model = revealed(80, 24);
        let mut effects = press(&mut model, keys);
        assert!(!dump(&model).contains(VALUE), "{keys}\n{}", dump(&model));
        effects.retain(|effect| matches!(effect, Effect::Browse(Request::Conceal)));
        assert!(effects.len() == 1, "{keys}: the seconds are counted no more");
    }
    let mut model = revealed(80, 24);
    update(&mut model, Message::Input(Input::Resize(20, 5)));
    update(&mut model, Message::Input(Input::Resize(80, 24)));
    assert!(!dump(&model).contains(VALUE));
    let mut model = revealed(80, 24);
    let effects = press(&mut model, "ctrl-z");
    assert!(matches!(effects.as_slice(), [Effect::Browse(Request::Conceal), Effect::Suspend]), "{effects:?}");
    assert!(!dump(&model).contains(VALUE));
    // An answer to a question that is none any more shows nothing.
    let value = SecretText::new(Zeroizing::new(VALUE.to_owned()));
    news(&mut model, News::Revealed(1, Ok(value)));
    assert!(!dump(&model).contains(VALUE));
}

#[test]
fn a_value_is_copied_only_while_it_shows() {
    let mut model = on_secret(80, 24);
    assert!(press(&mut model, "y").is_empty());
    let mut model = revealed(80, 24);
    let effects = press(&mut model, "y");
    let [Effect::CopySecret(value), Effect::Browse(Request::NoteCopied(wanted))] = effects.as_slice() else {
        panic!("{effects:?}")
    };
    assert_eq!(value.expose(), VALUE);
    assert_eq!((&*wanted.key, &wanted.side), ("password", &Side::Origin));
    assert!(!format!("{effects:?}").contains(VALUE));
    assert!(dump(&model).contains("your terminal's clipboard now"), "{}", dump(&model));
    assert!(dump(&model).contains(VALUE), "it shows for the rest of its time");
}

#[test]
fn what_is_no_secret_is_copied_at_once() {
    let mut model = on_secret(80, 24);
    assert!(matches!(press(&mut model, "c").as_slice(), [Effect::Copy(path)] if path == "secret/payments/prod/api"));
    assert!(matches!(press(&mut model, "] C").as_slice(), [Effect::Copy(key)] if key == "url"));
    assert!(matches!(press(&mut model, "[ [ C").as_slice(), [Effect::Copy(key)] if key == "user"));
    press(&mut model, "esc g");
    assert!(matches!(press(&mut model, "c").as_slice(), [Effect::Copy(path)] if path == "secret/"));
}

#[test]
fn a_read_only_console_shows_no_value() {
    let mut model = on_secret(80, 24);
    model.read_only = true;
    for keys in ["v", "V", "y"] {
        assert!(press(&mut model, keys).is_empty());
        assert!(model.dialog.is_none());
        assert!(dump(&model).contains("read-only: nothing is written, no value is shown"), "{keys}");
    }
    let wanted = Wanted {
        side: Side::Origin,
        path: sample::path("payments/prod/api"),
        place: sample::path("payments/prod/api"),
        key: "password".into(),
    };
    assert!(browse::agree(&mut model, browse::Question::Reveal(wanted)).is_empty());
    // What differs it may know.
    press(&mut model, "D");
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Browse(Request::Compare { .. })]));
}

#[test]
fn a_refused_value_is_told() {
    let mut model = on_secret(80, 24);
    press(&mut model, "v y");
    news(&mut model, News::Revealed(1, Err("read secret secret/x: permission denied".into())));
    assert!(dump(&model).contains("the origin does not give it: read secret secret/x: permission denied"));
}

#[test]
fn a_difference_names_keys_and_goes_through_destinations() {
    let mut model = on_secret(80, 24);
    assert!(press(&mut model, "D").is_empty(), "it reads both sides, so it asks");
    let question = dump(&model);
    assert!(question.contains("at ap-south"), "the one that is worst off\n{question}");
    let is_of = |effects: &[Effect], name: &DestinationName| matches!(effects, [Effect::Browse(Request::Compare { destination, .. })] if destination == name);
    let [first, second, third] = sample::names();
    assert!(is_of(&press(&mut model, "y"), &second));
    assert!(dump(&model).contains("reading the origin and ap-south"));
    assert!(is_of(&press(&mut model, "right"), &third), "and does not ask again");
    assert!(is_of(&press(&mut model, "right"), &first));
    assert!(is_of(&press(&mut model, "left left"), &second));
    let path = sample::path("payments/prod/api");
    news(&mut model, News::Compared(third, path.clone(), Err("too late".into())));
    assert!(!dump(&model).contains("too late"));
    news(&mut model, News::Compared(second, path, Ok(Box::new(difference()))));
    let screen = dump(&model);
    for text in [
        "1 differs   1 only at the origin   1 only there   1 equal",
        "* password      differs",
        "= url           equal",
        "+ user          only at the origin: copying adds it",
        "- legacy        only at ap-south: copying removes it",
        "owner         team-payments at the origin, nothing there",
    ] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
    press(&mut model, "esc");
    assert!(dump(&model).contains("╭ Secret"), "back to the tree");
    assert!(!browse::has_inner(&model));
}

#[test]
fn a_value_of_either_side_can_be_revealed_in_a_difference() {
    let mut model = compared(80, 24);
    press(&mut model, "V");
    assert!(dump(&model).contains("The value of password in secret/v2/payments/prod/api/secrets"), "{}", dump(&model));
    let effects = press(&mut model, "y");
    let [Effect::Browse(Request::Reveal { number, wanted })] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(wanted.side, Side::Destination(sample::names()[1].clone()));
    let value = SecretText::new(Zeroizing::new(VALUE.to_owned()));
    news(&mut model, News::Revealed(*number, Ok(value)));
    assert!(dump(&model).contains(VALUE));
    press(&mut model, "down");
    assert!(!dump(&model).contains(VALUE));
    press(&mut model, "down V");
    assert!(dump(&model).contains("That side does not have this key."));
    press(&mut model, "down v");
    assert!(dump(&model).contains("That side does not have this key."));
}

#[test]
fn states_are_shown_one_after_the_other() {
    let mut model = sample::full(80, 24);
    press(&mut model, "2 p");
    assert_eq!(model.browse.filter.only, Only::Problems);
    let screen = dump(&model);
    assert!(screen.contains("only problems") && screen.contains("vault-admins/"), "{screen}");
    assert!(!screen.contains("legacy/"));
    press(&mut model, "/ s e a r c h enter");
    let screen = dump(&model);
    assert!(screen.contains("only problems") && screen.contains("/search") && !screen.contains("vault-admins/"));
    press(&mut model, "esc");
    assert!(model.browse.filter.is_empty(), "esc shows everything");
    press(&mut model, "f f");
    assert!(dump(&model).contains("only behind"));
    press(&mut model, "f");
    assert!(dump(&model).contains("only in sync"));
    browse::show_only(&mut model, Only::One(SecretState::Delete));
    press(&mut model, "k");
    let screen = dump(&model);
    assert!(screen.contains("only to delete") && screen.contains("legacy/"), "{screen}");
    assert!(screen.contains(" 5 of 45 secrets"), "{screen}");
}

#[test]
fn problems_are_gone_to_within_a_filter() {
    let mut model = sample::full(120, 40);
    press(&mut model, "2 / s e a r c h enter g n");
    let first = browse::selected(&model).expect("a secret");
    assert!(first.name().starts_with("search/"));
    press(&mut model, "n");
    let second = browse::selected(&model).expect("a secret");
    assert!(second.name().starts_with("search/") && first != second);
    press(&mut model, "N");
    assert_eq!(browse::selected(&model), Some(first));
    assert_eq!(model.browse.filter.text(), "search", "the filter stays");
    press(&mut model, "/ esc / l e g a c y enter n");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("esc shows everything")));
}

#[test]
fn a_range_and_what_shows_are_marked() {
    let mut model = sample::full(80, 24);
    press(&mut model, "2 / s e a r c h / s t a g e enter g down down down");
    press(&mut model, "ctrl-space");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("space marks one")), "no beginning yet");
    press(&mut model, "space down ctrl-space");
    let all = model.marked();
    assert!(all >= 3, "{all}");
    press(&mut model, "A");
    assert_eq!(model.marked(), 0);
    // With a filter, a folder is what shows of it.
    press(&mut model, "esc / p r o d / a p i enter g space");
    let shown = model.marked();
    assert_eq!(shown, 2, "ap-south lacks it in two of three teams");
    press(&mut model, "A esc g space A");
    press(&mut model, "/ p r o d / a p i enter a");
    assert_eq!(model.marked(), shown);
    // Only what stands as the filter says.
    press(&mut model, "A esc");
    browse::show_only(&mut model, Only::One(SecretState::Failed));
    press(&mut model, "a");
    assert_eq!(model.marked(), 3);
}

#[test]
fn a_difference_that_cannot_be_had_says_why() {
    let mut model = on_secret(80, 24);
    press(&mut model, "D y");
    let path = sample::path("payments/prod/api");
    let reason = "read secret secret/v2/x: permission denied";
    news(&mut model, News::Compared(sample::names()[1].clone(), path, Err(reason.into())));
    assert!(dump(&model).contains(reason));
    press(&mut model, "esc g D");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("not a folder")));
}

#[test]
fn no_size_panics() {
    for (width, height) in [(1, 1), (20, 5), (60, 15), (61, 16), (79, 23), (110, 15), (300, 100)] {
        for shown in [on_secret, revealed, compared] {
            for mut model in [(80, 24), (200, 60)].map(|(width, height)| Box::new(shown(width, height))) {
                update(&mut model, Message::Input(Input::Resize(width, height)));
                dump(&model);
                press(&mut model, "J ] down p s v");
                dump(&model);
            }
        }
    }
}

#[test]
fn a_long_value_is_shown_as_far_as_there_is_room() {
    let mut model = on_secret(80, 24);
    press(&mut model, "v y");
    let value = format!("-----BEGIN\n{}\n-----END", "0123456789".repeat(200));
    news(&mut model, News::Revealed(1, Ok(SecretText::new(Zeroizing::new(value)))));
    let screen = dump(&model);
    assert!(screen.contains("-----BEGIN") && screen.contains("more lines do not fit"), "{screen}");
    assert!(screen.contains("y copies it"), "{screen}");
}
