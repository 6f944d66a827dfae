use std::sync::Arc;

use super::{agree, press, select, type_text};
use crate::engine::{InventoryUpdate, Phase};
use crate::tui::effect::failures::Judged;
use crate::tui::effect::{Control, Effect, Keep};
use crate::tui::input::Input;
use crate::tui::message::{Asked, Message, Purpose, Selected, Work};
use crate::tui::model::{Ask, Model};
use crate::tui::screen::{Screen, browse, failures, plan};
use crate::tui::update::{begin, update};
use crate::tui::{Exit, sample};

/// A console with a plan to execute before it, without the destination that a guard stands against.
fn asked(purpose: Purpose) -> Model {
    let mut model = sample::full(80, 24);
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    select(&mut model, plan, purpose);
    model
}

fn running() -> Model {
    let mut model = asked(Purpose::Execute);
    let effects = agree(&mut model);
    assert!(matches!(effects.as_slice(), [Effect::Start { dry_run: false, .. }]), "{effects:?}");
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Running)));
    model
}

fn quits(effects: &[Effect]) -> Option<Exit> {
    effects.iter().find_map(|effect| match effect {
        Effect::Quit(exit) => Some(*exit),
        _ => None,
    })
}

#[test]
fn nothing_is_executed_without_a_yes() {
    let mut model = sample::full(80, 24);
    let effects = press(&mut model, "3 X");
    assert!(matches!(
        effects.as_slice(),
        [Effect::Select { asked: Asked { keep: Keep::All, purpose: Purpose::Execute, .. }, .. }]
    ));
    for keys in ["n", "esc"] {
        let mut model = asked(Purpose::Execute);
        assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::Start(_))));
        assert!(press(&mut model, keys).is_empty(), "{keys} must not start anything");
        assert!(model.dialog.is_none() && !model.cycle.running);
    }
    let mut model = asked(Purpose::Retry);
    assert!(matches!(agree(&mut model).as_slice(), [Effect::Start { .. }]));
    assert_eq!(model.screen, Screen::Cycle);
}

#[test]
fn a_guard_leaves_no_way_to_say_yes() {
    let mut model = sample::full(80, 24);
    let plan = (*sample::plan()).clone();
    select(&mut model, plan, Purpose::Execute);
    assert!(press(&mut model, "tab enter").is_empty());
    assert!(!model.cycle.running);
    let plan = (*sample::plan()).clone();
    select(&mut model, plan, Purpose::Execute);
    assert!(press(&mut model, "y").is_empty());
}

#[test]
fn a_dry_run_needs_no_yes_and_says_that_it_is_one() {
    let mut model = sample::full(80, 24);
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    let effects = select(&mut model, plan, Purpose::DryRun);
    assert!(matches!(effects.as_slice(), [Effect::Start { dry_run: true, .. }]));
}

#[test]
fn a_read_only_console_starts_nothing() {
    let mut model = sample::full(80, 24);
    model.read_only = true;
    for keys in ["3 a x", "X", "5 a R", "X", "2 x"] {
        assert!(press(&mut model, keys).is_empty());
        assert!(sample::dump(&model).contains("read-only: nothing is written"), "{keys}");
    }
    assert!(press(&mut model, "X").is_empty());
    assert!(model.notice.is_none(), "Browse has no such key");
    let help = sample::dump(&{
        press(&mut model, "3 ?");
        model
    });
    assert!(!help.contains("execute"), "{help}");
}

#[test]
fn ctrl_c_asks_then_cancels_then_leaves() {
    let mut model = running();
    assert!(press(&mut model, "ctrl-c").is_empty());
    assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::Cancel)));
    assert!(matches!(press(&mut model, "ctrl-c").as_slice(), [Effect::Control(Control::Cancel)]));
    assert!(model.cycle.cancelling && model.dialog.is_none());
    assert_eq!(quits(&press(&mut model, "ctrl-c")), Some(Exit::Abandoned));
}

#[test]
fn ctrl_c_quits_while_nothing_runs() {
    let mut model = sample::full(80, 24);
    assert_eq!(quits(&press(&mut model, "ctrl-c")), Some(Exit::Quit));
    assert_eq!(quits(&press(&mut model, "2 / q")), None, "it goes into the filter");
    assert_eq!(quits(&press(&mut model, "ctrl-c")), Some(Exit::Quit));
}

#[test]
fn quitting_waits_for_the_cycle() {
    let mut model = running();
    assert!(press(&mut model, "q").is_empty());
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Control(Control::Cancel)]));
    let report = Arc::new(sample::report("0192f0c1-2345-7abc-8def-0123456789ab", false));
    assert_eq!(quits(&update(&mut model, Message::Ended(report))), Some(Exit::Quit));
}

#[test]
fn a_signal_ends_the_console() {
    let mut model = running();
    assert_eq!(quits(&update(&mut model, Message::Input(Input::Terminate))), Some(Exit::Interrupted));
}

#[test]
fn the_end_of_a_cycle_leads_to_a_new_plan() {
    let mut model = running();
    let report = Arc::new(sample::report("0192f0c1-2345-7abc-8def-0123456789ab", true));
    let effects = update(&mut model, Message::Ended(report));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Reports)));
    assert!(model.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.contains("3 failed")));
}

/// The end of a cycle that did everything, but for what `spoil` does to it.
fn ended(spoil: impl Fn(&mut crate::engine::Report)) -> Model {
    let mut model = running();
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Ended)));
    let mut report = sample::report("0192f0c1-2345-7abc-8def-0123456789ab", false);
    spoil(&mut report);
    update(&mut model, Message::Ended(Arc::new(report)));
    model
}

#[test]
fn only_a_good_end_is_painted_as_one() {
    use crate::engine::{Ending, Report, UnknownSubtree};
    let bad = |model: &Model| model.notice.as_ref().is_some_and(|notice| notice.bad);
    assert!(!bad(&ended(|_| {})));
    assert!(!bad(&ended(|report| {
        report.ending = Ending::Cancelled;
        report.destinations[0].pending = 3;
    })));
    let spoils: [fn(&mut Report); 6] = [
        |report| report.destinations[0].blocked = Some("why".into()),
        |report| report.destinations[0].unsaved = Some("why".into()),
        |report| report.origin_unsaved = Some("why".into()),
        |report| report.unkept = Some("why".into()),
        |report| {
            report.ending = Ending::Halted;
            report.destinations[0].pending = 3;
        },
        |report| report.origin_unknown = vec![UnknownSubtree { prefix: "secret/a/".into(), reason: "denied".into() }],
    ];
    for spoil in spoils {
        assert!(bad(&ended(spoil)));
    }
}

#[test]
fn a_report_says_what_was_not_written_and_not_kept() {
    let mut model = ended(|report| {
        report.ending = crate::engine::Ending::Halted;
        report.destinations[0].blocked = Some("another cycle has saved since".into());
        report.destinations[0].pending = 15;
        report.destinations[0].done = crate::engine::OperationCounts::default();
        report.destinations[1].blocked = Some("its lock was lost".into());
        report.origin_unsaved = Some("store is read-only".into());
        report.unkept = Some("no space left".into());
    });
    assert_eq!(model.screen, Screen::Cycle);
    model.notice = None;
    for (screen, height) in [("4", 24), ("1", 50)] {
        press(&mut model, screen);
        update(&mut model, Message::Input(Input::Resize(80, height)));
        let screen = sample::dump(&model).replace(['│', '\n'], " ");
        let screen = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [
            "Nothing was written at us-east: another cycle has saved since",
            "ap-south was stopped: its lock was lost",
            "What the origin holds could not be saved: store is read-only",
            "The report could not be kept, so History and Failures",
        ] {
            assert!(screen.contains(text), "{text}\n{screen}");
        }
    }
}

#[test]
fn a_blocked_destination_is_told_at_once() {
    let mut model = running();
    let text = "Nothing was written at us-east: the store is read-only";
    update(&mut model, Message::Blocked(sample::names()[0].clone(), text.into()));
    assert_eq!(model.notice.as_ref().map(|notice| notice.text.as_str()), Some(text));
    press(&mut model, "1");
    update(&mut model, Message::Input(Input::Resize(120, 50)));
    assert!(sample::dump(&model).contains(text));
    update(&mut model, Message::NotKept("no space left".into()));
    assert!(model.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.contains("could not be kept")));
}

#[test]
fn what_was_begun_and_blocked_is_called_stopped() {
    let name = sample::names()[0].clone();
    assert_eq!(crate::tui::outcome::blocked(&name, true, "why"), "us-east was stopped: why");
    let mut model = running();
    let sentence = crate::tui::outcome::blocked(&name, true, "why");
    update(&mut model, Message::Blocked(name, sentence));
    press(&mut model, "4");
    let screen = sample::text(&model);
    assert!(screen.contains(" stopped") && !screen.contains("not begun"), "{screen}");
}

#[test]
fn a_cycle_that_breaks_off_is_over() {
    let mut model = running();
    let effects = update(&mut model, Message::Lost(Work::Cycle));
    assert!(!model.cycle.running);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Refresh)), "{effects:?}");
}

#[test]
fn one_cycle_at_a_time() {
    let mut model = running();
    assert!(press(&mut model, "3 X").is_empty());
    assert!(press(&mut model, "5 X").is_empty());
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("running")));
}

#[test]
fn a_running_cycle_is_steered() {
    let mut model = running();
    assert!(matches!(press(&mut model, "p").as_slice(), [Effect::Control(Control::Pause)]));
    assert!(sample::dump(&model).contains("16.0s left"));
    update(&mut model, Message::Snapshot(sample::snapshot(Phase::Paused)));
    assert!(!sample::dump(&model).contains("16.0s left"), "nobody knows for how long it stands still");
    assert!(matches!(press(&mut model, "p").as_slice(), [Effect::Control(Control::Resume)]));
    assert!(matches!(press(&mut model, "+").as_slice(), [Effect::Control(Control::Workers(4))]));
    assert!(matches!(press(&mut model, "-").as_slice(), [Effect::Control(Control::Workers(3))]));
    assert!(press(&mut model, "c").is_empty(), "it asks first");
    assert!(matches!(press(&mut model, "y").as_slice(), [Effect::Control(Control::Cancel)]));
    assert!(press(&mut model, "p").is_empty(), "it is stopping");
}

#[test]
fn the_selection_stays_on_its_path_when_the_plan_is_new() {
    let mut model = sample::full(120, 40);
    press(&mut model, "2 / p r o d / w o r k e r enter down down down");
    let before = browse::selected(&model).expect("a secret");
    update(&mut model, sample::refreshed());
    assert_eq!(browse::selected(&model), Some(before));
    press(&mut model, "esc");
    assert!(browse::selected(&model).is_some(), "it still shows without the filter");
}

#[test]
fn browse_fills_before_there_is_a_plan() {
    let mut model = sample::opened(80, 24);
    begin(&mut model);
    press(&mut model, "2");
    let found = vec![(sample::path("a/x"), sample::insight(1)), (sample::path("b"), sample::insight(1))];
    sample::arrive(&mut model, InventoryUpdate::Found(found));
    assert_eq!(model.listing, Some(2));
    let screen = sample::dump(&model);
    assert!(screen.contains("▸ a/") && screen.contains('…'), "{screen}");
}

#[test]
fn marks_name_tasks() {
    let mut model = sample::full(80, 24);
    press(&mut model, "3 space space");
    assert_eq!(model.marked(), 2);
    press(&mut model, "A");
    assert_eq!(model.marked(), 0);
    // In the tree a folder marks every task in it, at all destinations.
    press(&mut model, "2 / s e a r c h / s t a g e enter g down down space");
    assert_eq!(model.marked(), 1 + 4);
    let rows = |model: &Model| sample::dump(model).lines().map(str::to_owned).collect::<Vec<_>>();
    let screen = rows(&model);
    assert!(screen.iter().any(|row| row.contains("● 5 tasks marked")));
    assert!(screen.iter().any(|row| row.contains("●") && row.contains("▾ stage/")), "{screen:#?}");
    assert!(screen.iter().any(|row| row.contains("◐") && row.contains("▾ search/")), "the rest of it is not marked");
    let effects = press(&mut model, "x");
    assert!(
        matches!(effects.as_slice(), [Effect::Select { asked: Asked { keep: Keep::Marked(marked), .. }, .. }] if marked.len() == 5)
    );
    press(&mut model, "space");
    assert_eq!(model.marked(), 0);
}

#[test]
fn marks_fall_with_their_tasks() {
    let mut model = sample::full(80, 24);
    press(&mut model, "3 a");
    assert_eq!(model.marked(), 3 + 24 + 4);
    let mut plan = (*sample::plan()).clone();
    plan.destinations[1].tasks.clear();
    let tree = crate::tui::widget::tree::Tree::of_plan(&plan, &[], &[sample::mount()]);
    let refreshed = crate::tui::message::Refreshed { plan: Arc::new(plan), tree, failures: Ok(Judged::default()) };
    update(&mut model, Message::Refreshed(Box::new(refreshed)));
    assert_eq!(model.marked(), 3 + 4);
}

#[test]
fn a_plan_is_filtered_by_text_state_and_destination() {
    let mut model = sample::full(80, 24);
    let shown = |model: &Model| {
        let screen = sample::dump(model);
        let title = screen.lines().find(|line| line.contains(" Tasks ")).expect("a title").to_owned();
        title.split(['─', '╭']).find(|part| part.contains("Tasks")).expect("a title").trim().to_owned()
    };
    press(&mut model, "3");
    assert_eq!(shown(&model), "Tasks 31, 2 drifted");
    press(&mut model, "~");
    assert_eq!(shown(&model), "Tasks 31");
    press(&mut model, "~ / s e a r c h / d e v enter +");
    assert_eq!(shown(&model), "Tasks 0, 1 drifted", "all that is to do there is to add");
    press(&mut model, "space");
    assert_eq!(model.marked(), 0, "what is left alone is no task");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("left alone")));
    press(&mut model, "esc ~ +");
    press(&mut model, "/ S E A R C H");
    assert_eq!(shown(&model), "Tasks 0", "capitals are meant");
    press(&mut model, "esc / s e a r c h enter");
    assert_eq!(shown(&model), "Tasks 13");
    press(&mut model, "+");
    assert_eq!(shown(&model), "Tasks 4");
    press(&mut model, "+ right");
    assert_eq!(shown(&model), "Tasks for us-east 1");
    press(&mut model, "esc");
    assert_eq!(shown(&model), "Tasks for us-east 3");
}

#[test]
fn a_plan_says_what_stays_at_former_paths() {
    let mut model = sample::full(120, 40);
    let mut plan = (*sample::plan()).clone();
    plan.destinations[1].moved = 1_204;
    let tree = crate::tui::widget::tree::Tree::of_plan(&plan, &[], &[sample::mount()]);
    let refreshed = crate::tui::message::Refreshed { plan: Arc::new(plan), tree, failures: Ok(Judged::default()) };
    update(&mut model, Message::Refreshed(Box::new(refreshed)));
    press(&mut model, "3");
    let screen = sample::dump(&model);
    let remark = "1,204 go to new paths since the transforms changed; what was written to the former ones stays there";
    assert!(screen.contains(remark), "{screen}");
}

#[test]
fn a_retry_plans_anew() {
    let mut model = sample::full(80, 24);
    let effects = press(&mut model, "5 X");
    assert!(
        matches!(effects.as_slice(), [Effect::Retry(Asked { keep: Keep::Marked(marked), .. })] if marked.len() == 3)
    );
    let mut model = sample::full(80, 24);
    assert!(press(&mut model, "5 R").is_empty(), "nothing is marked");
    let effects = press(&mut model, "g space R");
    assert!(
        matches!(effects.as_slice(), [Effect::Retry(Asked { keep: Keep::Marked(marked), .. })] if marked.len() == 2),
        "the group of a cause"
    );
    let plan = crate::engine::Plan { destinations: Vec::new(), ..(*sample::plan()).clone() };
    select(&mut model, plan, Purpose::Retry);
    assert!(model.dialog.is_none());
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("Nothing is left to retry")));
}

/// A retry of everything that was asked for on Failures, and its plan.
fn retry(model: &mut Model) -> (Asked, crate::engine::Plan) {
    let effects = press(model, "5 X");
    let [Effect::Retry(asked)] = effects.as_slice() else { panic!("{effects:?}") };
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    (asked.clone(), plan)
}

fn arrive(model: &mut Model, (asked, plan): (Asked, crate::engine::Plan)) -> Vec<Effect> {
    update(model, sample::refreshed());
    update(model, Message::Selected(Box::new(Selected { plan, asked })))
}

#[test]
fn a_question_that_comes_up_by_itself_takes_no_answer_at_once() {
    let mut model = sample::full(80, 24);
    let planned = retry(&mut model);
    assert!(matches!(arrive(&mut model, planned).as_slice(), [Effect::Arm]));
    assert!(press(&mut model, "p a y m e n t s tab enter y enter n esc").is_empty());
    let dialog = model.dialog.as_ref().expect("it is still asked");
    assert!(!dialog.chosen && !model.cycle.running);
    assert!(!sample::dump(&model).contains(" enter answer"), "keys are named when they do something");
    update(&mut model, Message::Armed);
    assert!(sample::dump(&model).contains(" enter answer"));
    assert!(matches!(agree(&mut model).as_slice(), [Effect::Start { .. }]));
}

#[test]
fn a_planned_retry_waits_for_whoever_has_gone_on() {
    for busy in ["2 /", "5 ?", "1", "5 /"] {
        let mut model = sample::full(80, 24);
        let planned = retry(&mut model);
        press(&mut model, busy);
        assert!(arrive(&mut model, planned).is_empty());
        assert!(model.dialog.is_none(), "{busy}");
        assert!(press(&mut model, "y").is_empty() && !model.cycle.running);
        let screen = sample::dump(&model);
        assert!(screen.contains("retry planned: 27 tasks; X on Failures"), "{screen}");
        press(&mut model, "esc esc");
        assert!(matches!(press(&mut model, "5 X").as_slice(), [Effect::Arm]), "{busy}: it is planned already");
        update(&mut model, Message::Armed);
        assert!(matches!(agree(&mut model).as_slice(), [Effect::Start { .. }]));
        assert!(model.held.is_none());
    }
}

#[test]
fn a_planned_retry_names_the_key_that_asked_for_it() {
    let mut model = sample::full(80, 24);
    let effects = press(&mut model, "5 g space R");
    let [Effect::Retry(asked)] = effects.as_slice() else { panic!("{effects:?}") };
    press(&mut model, "1");
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    arrive(&mut model, (asked.clone(), plan));
    assert!(sample::dump(&model).contains("; x on Failures (5)"));
    assert!(matches!(press(&mut model, "5 R").as_slice(), [Effect::Arm]));
}

#[test]
fn a_planned_retry_is_not_kept_beside_a_newer_plan_or_another_choice() {
    let mut model = sample::full(80, 24);
    let planned = retry(&mut model);
    press(&mut model, "1");
    arrive(&mut model, planned.clone());
    assert!(model.held.is_some());
    update(&mut model, sample::refreshed());
    assert!(model.held.is_none());
    arrive(&mut model, planned);
    assert!(matches!(press(&mut model, "5 g space R").as_slice(), [Effect::Retry(_)]), "others are marked");
    assert!(model.held.is_none());
}

#[test]
fn a_question_replaces_no_other() {
    let mut model = sample::full(80, 24);
    let planned = retry(&mut model);
    press(&mut model, "3");
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(1);
    select(&mut model, plan, Purpose::Execute);
    arrive(&mut model, planned.clone());
    assert!(
        matches!(&model.dialog.as_ref().expect("a question").ask, Ask::Start(one) if one.asked.screen == Screen::Plan)
    );
    agree(&mut model);
    assert!(model.cycle.running && model.held.is_none());
    arrive(&mut model, planned);
    assert!(model.dialog.is_none() && model.held.is_none());
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("a cycle is running")));
}

#[test]
fn a_dry_run_does_not_pull_anybody_away() {
    let mut model = sample::full(80, 24);
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(2);
    let asked = Asked { purpose: Purpose::DryRun, keep: Keep::All, screen: Screen::Plan };
    press(&mut model, "2 /");
    assert!(update(&mut model, Message::Selected(Box::new(Selected { plan, asked }))).is_empty());
    assert_eq!((model.screen, model.filtering), (Screen::Browse, true));
    assert!(model.notice.as_ref().is_some_and(|notice| notice.text.contains("on Plan")));
}

#[test]
fn pasted_text_presses_no_keys() {
    let mut model = sample::full(80, 24);
    assert!(update(&mut model, Message::Input(Input::Paste("Xyq".into()))).is_empty());
    assert!(model.dialog.is_none());
    press(&mut model, "2 /");
    update(&mut model, Message::Input(Input::Paste("mailer\n".into())));
    assert_eq!(model.browse.filter.text(), "mailer");
}

#[test]
fn screens_are_on_digits_and_tab() {
    let mut model = sample::full(80, 24);
    for (digit, screen) in ["1", "2", "3", "4", "5", "6", "7", "8"].iter().zip(Screen::ALL) {
        press(&mut model, digit);
        assert_eq!(model.screen, screen);
    }
    press(&mut model, "tab");
    assert_eq!(model.screen, Screen::Overview);
    press(&mut model, "shift-tab");
    assert_eq!(model.screen, Screen::Logs);
    press(&mut model, "esc");
    assert_eq!(model.screen, Screen::Overview, "back to the screen before");
}

#[test]
fn a_name_from_a_server_cannot_command_the_terminal() {
    let mut model = sample::opened(80, 24);
    press(&mut model, "2");
    let found = vec![(sample::path("a\u{1b}[2Jb\u{202e}c"), sample::insight(1))];
    sample::arrive(&mut model, InventoryUpdate::Found(found));
    let screen = sample::dump(&model);
    assert!(screen.contains("a\u{241b}[2Jb\\u{202e}c"), "{screen}");
}

#[test]
fn a_resize_keeps_the_cursor_in_sight() {
    let mut model = sample::full(200, 60);
    press(&mut model, "3 G");
    update(&mut model, Message::Input(Input::Resize(80, 24)));
    assert!(sample::dump(&model).contains("legacy/worker"));
    update(&mut model, Message::Input(Input::Resize(59, 24)));
    assert!(sample::dump(&model).contains("vsync needs 60×15"));
}

#[test]
fn nobody_answers_a_question_that_cannot_be_seen() {
    let mut model = sample::full(80, 24);
    press(&mut model, "3");
    update(&mut model, Message::Input(Input::Resize(10, 3)));
    assert!(press(&mut model, "5 X y q").is_empty());
    assert!(sample::dump(&model).contains("60×15"));
    update(&mut model, Message::Input(Input::Resize(80, 24)));
    assert_eq!(model.screen, Screen::Plan);
    assert!(model.dialog.is_none());
}

#[test]
fn details_scroll_and_a_new_row_begins_at_their_top() {
    let mut model = sample::full(80, 24);
    let message = "the origin said a great deal about it, ".repeat(20);
    model.failures[0].1.message.push_str(&message);
    press(&mut model, "5 j");
    assert!(sample::dump(&model).contains(" J K for more "));
    assert!(!sample::dump(&model).contains("│ } "));
    for _ in 0..40 {
        press(&mut model, "J");
    }
    assert!(sample::dump(&model).contains("│ } "));
    press(&mut model, "K");
    assert!(!sample::dump(&model).contains("│ } "), "forty times down was no further than to the end");
    press(&mut model, "j k");
    assert!(sample::dump(&model).contains("│ secret/"), "the first line");
}

#[test]
fn a_long_notice_is_shown_whole() {
    let mut model = sample::full(80, 24);
    model.warn(format!("Not started: {}the reason", "a long way to ".repeat(12)));
    assert!(sample::dump(&model).contains("the reason"));
}

#[test]
fn a_question_about_many_destinations_keeps_its_sum() {
    let mut model = sample::full(80, 24);
    let mut plan = (*sample::plan()).clone();
    plan.destinations.truncate(1);
    for number in 0..40 {
        let mut part = plan.destinations[0].clone();
        part.destination = crate::engine::DestinationName::new(&format!("site-{number}"));
        plan.destinations.push(part);
    }
    select(&mut model, plan, Purpose::Execute);
    let screen = sample::dump(&model);
    for text in ["site-1 ", " destinations  ", "all ", "Type 41 to delete 41 secrets:"] {
        assert!(screen.contains(text), "{text}\n{screen}");
    }
}

/// What a filter hid and shows again is found where it was: what acts on the row under the cursor acts on no other.
#[test]
fn the_cursor_keeps_its_secret_when_a_filter_goes() {
    let mut model = sample::full(80, 24);
    press(&mut model, "5 / p r o d enter down down");
    let failure = failures::cursor(&model);
    assert!(matches!(failure, Some(failures::Cursor::Failure(..))), "{failure:?}");
    press(&mut model, "esc");
    assert_eq!(failures::cursor(&model), failure);

    press(&mut model, "3 / p r o d enter down down");
    let task = plan::cursor(&model);
    assert!(task.is_some());
    press(&mut model, "esc");
    assert_eq!(plan::cursor(&model), task);
    press(&mut model, "- - +");
    assert_eq!(plan::cursor(&model), task, "nor when operations are hidden and shown");
}

#[test]
fn ctrl_c_asks_where_something_would_be_lost() {
    let mut model = sample::full(80, 24);
    assert_eq!(quits(&press(&mut model, "ctrl-c")), Some(Exit::Quit), "there is nothing to lose");
    model.watch.on = true;
    assert_eq!(quits(&press(&mut model, "ctrl-c")), None);
    assert!(matches!(model.dialog.as_ref().map(|dialog| &dialog.ask), Some(Ask::Quit)));
    assert_eq!(quits(&press(&mut model, "ctrl-c")), Some(Exit::Quit), "asked for twice");
}

#[test]
fn a_paste_that_is_no_line_is_not_taken() {
    let long = "x".repeat(9_000);
    let mut model = sample::full(80, 24);
    press(&mut model, "3 /");
    update(&mut model, Message::Input(Input::Paste(long.clone())));
    assert_eq!(model.plan_list.filter.text(), "");
    assert!(model.notice.as_ref().is_some_and(|notice| notice.bad && notice.text.contains("8192")));
    update(&mut model, Message::Input(Input::Paste("billing\n/".into())));
    press(&mut model, "left");
    update(&mut model, Message::Input(Input::Paste("/pröd".into())));
    assert_eq!(model.plan_list.filter.text(), "billing/pröd/");
    press(&mut model, "esc :");
    update(&mut model, Message::Input(Input::Paste(long)));
    assert!(model.prompt.as_ref().is_some_and(|prompt| prompt.error.is_some() && prompt.input.value().is_empty()));
}

/// At the smallest size, too, one sees which number is asked for.
#[test]
fn what_has_to_be_typed_is_seen_at_any_size() {
    let mut model = sample::full(60, 15);
    model.production = sample::names().into();
    let mut plan = (*sample::plan()).clone();
    for part in &mut plan.destinations {
        part.objections.clear();
    }
    select(&mut model, plan, Purpose::Execute);
    let number = model.dialog.as_ref().and_then(super::super::model::Dialog::must_type).expect("something is deleted");
    let screen = sample::text(&model);
    assert!(screen.contains(&format!("Type {number} to delete")) && screen.contains("PROD"), "{screen}");
}

#[test]
fn the_palette_does_nothing_to_a_row_that_is_not_seen() {
    let mut model = sample::full(80, 24);
    for line in ["delete-rule", "rule-up", "ignore", "keep", "skip"] {
        press(&mut model, ":");
        type_text(&mut model, line);
        let screen = sample::text(&model);
        assert!(!screen.lines().any(|row| row.contains(&format!("│ {line} "))), "{screen}");
        press(&mut model, "esc");
    }
}
