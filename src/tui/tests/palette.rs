//! The `:` line: what it offers, what it does, how it looks.

use super::{press, snapshot, type_text};
use crate::engine::Phase;
use crate::tui::effect::{Control, Effect};
use crate::tui::filter::Only;
use crate::tui::input::Input;
use crate::tui::keymap::Keymap;
use crate::tui::message::{Asked, Message, Purpose};
use crate::tui::model::Model;
use crate::tui::palette::candidates;
use crate::tui::sample::{self, dump};
use crate::tui::screen::{Screen, browse};
use crate::tui::update::update;
use crate::tui::{Exit, keymap};

/// What the line offers, line by line.
fn offered(model: &Model, text: &str) -> Vec<String> {
    candidates(model, text).into_iter().map(|candidate| candidate.line).collect()
}

/// Types a command and presses enter.
fn run(model: &mut Model, line: &str) -> Vec<Effect> {
    press(model, ":");
    type_text(model, line);
    press(model, "enter")
}

fn error(model: &Model) -> &str {
    model.prompt.as_ref().and_then(|prompt| prompt.error.as_deref()).expect("an error")
}

#[test]
fn every_action_has_its_place_in_it() {
    for screen in Screen::ALL {
        let mut model = sample::full(120, 40);
        model.screen = screen;
        for bound in model.keymap.bindings(keymap::Place::Screen(screen), false) {
            let name = bound.binding.name;
            if name != "command" {
                assert_eq!(offered(&model, name).first().map(|line| line.trim_end()), Some(name), "{screen:?}");
            }
        }
    }
    let model = sample::full(120, 40);
    for far in ["execute-all", "retry-all", "next-problem", "pause", "filter"] {
        assert!(offered(&model, far).iter().any(|line| line.trim_end() == far), "{far} is for other screens");
    }
    assert!(!offered(&model, "mark").contains(&"mark".to_owned()), "there is no cursor to see");
}

#[test]
fn an_action_of_another_screen_is_done_there() {
    let mut model = sample::full(80, 24);
    let effects = run(&mut model, "execute-all");
    assert_eq!(model.screen, Screen::Plan);
    let asked = |effect: &Effect| matches!(effect, Effect::Select { asked: Asked { screen, purpose, .. }, .. } if *screen == Screen::Plan && *purpose == Purpose::Execute);
    assert!(effects.iter().any(asked), "{effects:?}");
    assert!(model.prompt.is_none());
    press(&mut model, "esc");
    assert_eq!(model.screen, Screen::Overview);
}

#[test]
fn screens_go_by_many_names() {
    for (line, screen) in [
        ("plan", Screen::Plan),
        ("failed", Screen::Failures),
        ("runs", Screen::History),
        ("dest", Screen::Overview),
        ("bro", Screen::Browse),
        ("  logs ", Screen::Logs),
        ("rules", Screen::Transforms),
    ] {
        let mut model = sample::full(80, 24);
        press(&mut model, "4");
        let effects = run(&mut model, line);
        // screens look for themselves as soon as they show: rules are tried, older cycles are read
        let looks = |effect: &Effect| matches!(effect, Effect::Transforms(_) | Effect::History(_));
        assert!(effects.iter().all(looks), "{line}: {effects:?}");
        assert_eq!(model.screen, screen, "{line}");
    }
    for line in ["q", "q!", "quit"] {
        let effects = run(&mut sample::full(80, 24), line);
        assert!(matches!(effects.as_slice(), [Effect::Quit(Exit::Quit)]), "{line}");
    }
}

#[test]
fn a_destination_is_shown_by_its_name() {
    for line in ["dest ap-south", "ap-south", "dest ap", "destination south"] {
        let mut model = sample::full(120, 40);
        run(&mut model, line);
        assert_eq!(model.screen, Screen::Plan, "{line}");
        assert!(dump(&model).contains("Tasks for ap-south 24"), "{line}");
        press(&mut model, "esc");
        assert_eq!((model.screen, model.overview.side), (Screen::Overview, 2));
    }
}

#[test]
fn a_path_is_completed_folder_by_folder() {
    let mut model = sample::full(120, 40);
    assert_eq!(offered(&model, "secret/b"), ["secret/billing/", "secret/Übersicht/"]);
    assert_eq!(
        offered(&model, "secret/billing/"),
        ["secret/billing/", "secret/billing/dev/", "secret/billing/prod/", "secret/billing/stage/"]
    );
    assert_eq!(offered(&model, "secret/billing/PRO"), ["secret/billing/prod/"], "capitals do not matter");
    assert_eq!(offered(&model, "secret/billing/tag"), ["secret/billing/stage/"], "nor where in the name it is");
    press(&mut model, ":");
    type_text(&mut model, "sec");
    press(&mut model, "tab");
    type_text(&mut model, "bil");
    press(&mut model, "tab");
    type_text(&mut model, "pr");
    press(&mut model, "tab");
    type_text(&mut model, "data");
    press(&mut model, "tab enter");
    assert_eq!(model.screen, Screen::Browse);
    assert_eq!(browse::selected(&model), Some(sample::path("billing/prod/database")));
}

#[test]
fn a_path_that_a_filter_hides_is_shown() {
    let mut model = sample::full(120, 40);
    press(&mut model, "2 / s e a r c h enter");
    run(&mut model, "secret/billing/dev/api");
    assert_eq!(browse::selected(&model), Some(sample::path("billing/dev/api")));
    run(&mut model, "secret/payments");
    assert!(dump(&model).contains("▾ payments/"), "a folder also without its slash, and open");
}

#[test]
fn tab_goes_on_to_the_next_one_when_the_line_is_complete() {
    let mut model = sample::full(120, 40);
    press(&mut model, ":");
    type_text(&mut model, "secret/billing/");
    press(&mut model, "tab");
    assert_eq!(model.prompt.as_ref().map(|prompt| prompt.input.value()), Some("secret/billing/dev/"));
}

#[test]
fn arguments_are_understood() {
    let mut model = sample::full(120, 40);
    run(&mut model, "theme light");
    assert_eq!(&*model.theme.name, "light");
    run(&mut model, "filter search/stage");
    assert_eq!((model.screen, model.browse.filter.text()), (Screen::Browse, "search/stage"));
    press(&mut model, "3");
    run(&mut model, "filter api");
    assert_eq!((model.screen, model.plan_list.filter.text()), (Screen::Plan, "api"));
    for (line, only) in [
        ("state !", Only::One(crate::engine::SecretState::Failed)),
        ("state -", Only::One(crate::engine::SecretState::Delete)),
        ("state in sync", Only::One(crate::engine::SecretState::InSync)),
        ("state problems", Only::Problems),
        ("state all", Only::All),
    ] {
        run(&mut model, line);
        assert_eq!((model.screen, model.browse.filter.only), (Screen::Browse, only), "{line}");
    }
    model.cycle.running = true;
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Running)));
    assert!(matches!(run(&mut model, "workers 12").as_slice(), [Effect::Control(Control::Workers(12))]));
}

#[test]
fn what_is_missing_or_wrong_is_told() {
    let mut model = sample::full(120, 40);
    model.cycle.running = true;
    for (line, said) in [
        ("refersh", "there is no command \"refersh\"; the nearest is \"refresh\""),
        ("xyzzy", "there is no command \"xyzzy\""),
        ("theme drak", "there is no theme \"drak\"; the nearest is \"dark\""),
        ("theme xyzzy", "there is no theme \"xyzzy\"; there are dark, light"),
        ("dest us-esat", "there is no destination \"us-esat\"; the nearest is \"us-east\""),
        ("workers many", "workers takes a number from 1 to 1000"),
        ("workers 0", "workers takes a number from 1 to 1000"),
        ("secret/biling/dve", "the origin has no secret/biling/dve; the nearest is secret/billing"),
        ("secret/billing/dve", "the origin has no secret/billing/dve; the nearest is secret/billing/dev"),
    ] {
        assert!(run(&mut model, line).is_empty());
        assert!(error(&model).starts_with(said), "{line}: {}", error(&model));
        press(&mut model, "esc");
    }
    assert!(run(&mut model, "").is_empty());
    assert!(model.prompt.is_none(), "an empty line does nothing");
}

#[test]
fn a_read_only_console_offers_nothing_that_writes() {
    let mut model = sample::full(80, 24);
    model.read_only = true;
    press(&mut model, "3");
    assert!(run(&mut model, "execute-all").is_empty());
    assert_eq!(error(&model), "read-only: nothing is written");
    assert!(!offered(&model, "").iter().any(|line| line.contains("execute") || line.contains("retry")));
}

#[test]
fn former_lines_come_back() {
    let mut model = sample::full(80, 24);
    run(&mut model, "plan");
    run(&mut model, "theme light");
    let line = |model: &Model| model.prompt.as_ref().map(|prompt| prompt.input.value().to_owned());
    press(&mut model, ": up");
    assert_eq!(line(&model).as_deref(), Some("theme light"));
    press(&mut model, "up up");
    assert_eq!(line(&model).as_deref(), Some("plan"), "the first one is the last");
    press(&mut model, "down down");
    assert_eq!(line(&model).as_deref(), Some(""));
    press(&mut model, "up up enter");
    assert_eq!(model.screen, Screen::Plan);
}

#[test]
fn up_and_down_choose() {
    let mut model = sample::full(80, 24);
    press(&mut model, ":");
    type_text(&mut model, "screen");
    let all = offered(&model, "screen");
    assert_eq!(all[..2], ["next-screen", "previous-screen"]);
    press(&mut model, "down enter");
    assert_eq!(model.screen, Screen::Logs, "the screen to the left of the first");
    press(&mut model, ": down");
    assert!(dump(&model).contains("1 of "));
    press(&mut model, "up");
    let last = candidates(&model, "").len();
    assert!(dump(&model).contains(&format!("{last} of {last}")), "around the end");
}

#[test]
fn what_is_chosen_stays_chosen_when_others_come() {
    let mut model = sample::full(80, 24);
    press(&mut model, ":");
    type_text(&mut model, "screen");
    press(&mut model, "down");
    model.keymap = Keymap::with_user("[everywhere]\nnext-screen = []").expect("a keymap");
    press(&mut model, "enter");
    assert_eq!(model.screen, Screen::Logs);
}

#[test]
fn the_line_is_left_by_esc_and_by_deleting_it() {
    let mut model = sample::full(80, 24);
    for keys in [": p l esc", ": p backspace backspace"] {
        press(&mut model, keys);
        assert!(model.prompt.is_none(), "{keys}");
        assert_eq!(model.screen, Screen::Overview);
    }
}

#[test]
fn a_pasted_text_goes_into_the_line_alone() {
    let mut model = sample::full(80, 24);
    update(&mut model, Message::Input(Input::Paste(":quit\n".to_owned())));
    assert!(model.prompt.is_none(), "nothing is typed into");
    press(&mut model, ":");
    update(&mut model, Message::Input(Input::Paste("secret/billing/\nx".to_owned())));
    assert_eq!(model.prompt.as_ref().map(|prompt| prompt.input.value()), Some("secret/billing/x"));
}

#[test]
fn it_shows_the_users_keys() {
    let mut model = sample::full(80, 24);
    model.keymap = Keymap::with_user("[everywhere]\nrefresh = ['f5', 'ctrl-g']").expect("a keymap");
    press(&mut model, ":");
    type_text(&mut model, "refresh");
    assert!(dump(&model).contains("f5 ctrl-g"), "{}", dump(&model));
}

fn shown(name: &str, make: impl Fn(&mut Model)) {
    snapshot(name, |width, height| {
        let mut model = sample::full(width, height);
        make(&mut model);
        model
    });
}

#[test]
fn how_it_looks() {
    shown("palette", |model| {
        press(model, "3 : down down");
    });
    shown("palette_search", |model| {
        press(model, "3 :");
        type_text(model, "all");
    });
    shown("palette_path", |model| {
        press(model, ":");
        type_text(model, "secret/billing/");
    });
    shown("palette_error", |model| {
        run(model, "refersh");
    });
    shown("palette_long_line", |model| {
        press(model, ":");
        type_text(
            model,
            "filter secret/a/very/long/path/which/does/not/fit/into/eighty/columns/at/all/日本語/ключ/end",
        );
        press(model, "left left");
    });
    for (width, height) in [(60, 15), (61, 16), (300, 80)] {
        let mut model = sample::full(width, height);
        press(&mut model, ": down");
        dump(&model);
    }
}
