//! The console of the built program, at a pseudo-terminal, on the demo's servers: what an operator types and sees.
#![cfg(feature = "demo")]
#![allow(clippy::expect_used, reason = "a test without the program has failed")]

mod browse;
#[path = "../support/canary.rs"]
mod canary;
mod cycle;
mod failures;
mod history;
mod input;
mod picture;
mod pictures;
mod plan;
mod settings;
mod steps;
mod terminal;
mod transforms;

use rustix::process::Signal;
use steps::{
    ANSWERS, CTRL_C, CTRL_Z, ENTER, ESC, TAB, TASKS, TYPED, asked, assert_drawn, assert_shows, cycle_of_everything,
    demo, every_screen, number_before, start_everything, times, type_the_number,
};
use terminal::{Console, is_coloured, rows};
use vt100::Screen;

#[test]
fn the_main_path_at_80_by_24() {
    main_path(80, 24);
}

#[test]
fn the_main_path_at_200_by_60() {
    main_path(200, 60);
}

/// Browse, plan, execute what is marked, watch, retry what failed, quit.
fn main_path(columns: u16, rows: u16) {
    let mut console = demo((columns, rows), &[]);
    let screen = console.wait_for_texts(&["asked ", "as of ", "Attention"]);
    assert_drawn(&screen);
    for destination in ["eu-west", "us-east", "ap-south"] {
        assert_shows(&screen, destination);
    }
    assert!(console.is_raw());

    // Folders open, a secret's details come from the origin, without its values.
    console.keys("2");
    assert_drawn(&console.wait_for_texts(&["Origin", "▸ billing/"]));
    console.keys("jl");
    console.wait_for_texts(&["▾ billing/", "▸ dev/"]);
    console.keys("jl");
    console.wait_for_texts(&["▾ dev/", "▸ dunning/"]);
    console.keys("jlj");
    console.wait_for_texts(&["▾ dunning/", "  cache"]);
    if columns < 110 {
        console.keys(ENTER);
    }
    let screen = console.wait_for_texts(&["secret/billing/dev/dunning/", "keys ", "v shows its value"]);
    assert_drawn(&screen);
    if columns < 110 {
        console.keys(ENTER);
        console.wait_for_no("v shows its value");
    }

    // Folders are marked as a whole: the one of which ap-south refuses a part, and enough others that the cycle lasts
    // for some seconds.
    console.keys("hhhhh ");
    let screen = console.wait_for_texts(&[" tasks marked, "]);
    let billing = number_before(&screen, " tasks marked, ").expect("a number");
    assert_eq!(number_before(&screen, " in all."), Some(billing));
    console.keys("hj j ");
    let screen = console.wait_for("three folders marked", |screen| {
        screen.contents().contains("▸ billing/") && number_before(screen, " in all.").is_some_and(|all| all > 400)
    });
    let marked = number_before(&screen, " in all.").expect("a number");

    console.keys("3");
    let screen = console.wait_for_texts(&["Plan", "no objection", TASKS, &format!("● {marked} tasks marked")]);
    assert_drawn(&screen);

    // What deletes wants the number typed, and no other one.
    console.keys("x");
    let screen = console.wait_for_texts(&["Execute", "to delete", TYPED, " add", " delete"]);
    for destination in ["eu-west", "us-east", "ap-south"] {
        assert!(asked(&screen, destination).is_some_and(|count| count > 0), "{}", screen.contents());
    }
    assert_eq!(asked(&screen, "all"), Some(marked));
    console.keys(ENTER);
    console.wait_for_texts(&["nothing is typed yet"]);
    console.keys("0y");
    console.wait_for_texts(&["that is another number"]);
    console.keys(ESC);
    let screen = console.wait_for_no("to delete");
    assert_shows(&screen, TASKS);
    assert!(!screen.contents().contains("cycle"));

    console.keys("x");
    let screen = console.wait_for_texts(&["Execute", "to delete", TYPED]);
    type_the_number(&mut console, &screen);
    let screen = console.wait_for_texts(&["Workers ", " busy", "writing", "running"]);
    assert_drawn(&screen);
    let done = marked - 33;
    let screen = console.wait_for_texts(&[&format!("Cycle completed: {done} done, 33 failed, 0 pending.")]);
    assert_drawn(&screen);
    assert_shows(&screen, "Failures (5) says why, and retries.");
    // Only what failed is left of what was marked.
    let left = 1_940 - done;
    console.keys("3");
    let left = format!("Tasks {},{:03}", left / 1_000, left % 1_000);
    assert_drawn(&console.wait_for_texts(&["● 33 tasks marked", &left]));

    console.keys("5");
    let screen = console.wait_for_texts(&["Failures 33", "permission 33", "Give the token's policy"]);
    assert_drawn(&screen);
    console.keys("j");
    assert_drawn(&console.wait_for_texts(&["Details", "the same path", "permission denied", "1 request, given up"]));
    let before = times(&console.wait_for_texts(&["Failures 33"]));

    // ap-south goes on refusing, and the screen says so.
    console.keys("X");
    let screen = console.wait_for_texts(&["Retry", "Yes, start", ANSWERS]);
    assert_eq!((asked(&screen, "ap-south"), asked(&screen, "eu-west")), (Some(33), None));
    console.keys(TAB);
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["Report", "Cycle completed: 0 done, 33 failed, 0 pending."]);
    assert_drawn(&screen);
    console.keys("5");
    let screen = console.wait_for("failures of the retry", |screen| {
        screen.contents().contains("permission 33") && times(screen) != before
    });
    assert_drawn(&screen);

    console.keys("1");
    assert_drawn(&console.wait_for_texts(&["33 secrets failed; Failures (5) shows why", " ! 33"]));
    console.keys("q");
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.screen.contents(), "", "nothing is printed behind it");
}

#[test]
fn ctrl_c_asks_then_cancels_and_the_console_goes_on() {
    let mut console = cycle_of_everything((100, 30));
    console.keys(CTRL_C);
    console.wait_for_texts(&["Cancel the running cycle?", "No, go on"]);
    console.keys(ENTER);
    console.wait_for_no("Cancel the running cycle?");
    console.wait_for_texts(&["running", "Workers "]);

    console.keys(CTRL_C);
    console.wait_for_texts(&["Cancel the running cycle?"]);
    console.keys(CTRL_C);
    let screen = console.wait_for_texts(&["Cycle cancelled: ", " pending."]);
    assert!(number_before(&screen, " pending.").is_some_and(|pending| pending > 0));
    assert_drawn(&screen);

    // What was cancelled is in the plan again, and the console is as good as before.
    console.keys("3");
    console.wait_for_texts(&["no objection", "as of "]);
    console.keys("1");
    console.wait_for_texts(&["Activity", "cancelled"]);
    console.keys(CTRL_C);
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.screen.contents(), "");
}

#[test]
fn the_third_ctrl_c_waits_for_nothing() {
    let mut console = cycle_of_everything((80, 24));
    console.keys(&CTRL_C.repeat(3));
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 130);
    assert_shows(&ended.screen, "interrupted");
}

#[test]
fn ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again() {
    let mut console = Console::start_in_shell("\"$0\" demo; echo at the shell; read -r line; fg", (80, 24));
    start_everything(&mut console);
    console.keys(CTRL_Z);
    let screen = console.wait_for_texts(&["vsync: the running cycle stands still until fg", "at the shell"]);
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    assert!(!console.is_raw());
    console.keys(ENTER);
    let screen = console.wait_for("the console again", Screen::alternate_screen);
    assert!(console.is_raw());
    let screen = console
        .wait_for("more of the cycle", |now| now.contents().contains("Workers ") && rows(now)[0] != rows(&screen)[0]);
    assert_drawn(&screen);
    console.keys("q");
    console.wait_for_texts(&["Yes, cancel and quit"]);
    console.keys("y");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn any_size_is_drawn_right_while_a_cycle_runs() {
    let mut console = cycle_of_everything((80, 24));
    console.resize(60, 15);
    assert_drawn(&console.wait_for("60 columns", |screen| rows(screen)[2].ends_with('╮')));
    console.resize(10, 3);
    console.wait_for_texts(&["needs", "60×15"]);
    console.resize(1, 1);
    console.resize(120, 40);
    let screen = console
        .wait_for("120 columns", |screen| rows(screen)[2].ends_with('╮') && screen.contents().contains("Workers "));
    assert_drawn(&screen);
    console.keys("p");
    console.wait_for_texts(&["paused"]);
    // Nothing moves now, so what is left of another size would stay.
    console.resize(200, 60);
    let wide = console.wait_for("200 columns", |screen| rows(screen)[2].ends_with('╮'));
    assert_drawn(&wide);
    console.resize(80, 24);
    assert_drawn(&console.wait_for("80 columns", |screen| rows(screen)[2].ends_with('╮')));
    console.keys("q");
    console.wait_for_texts(&["Quit?", "Yes, cancel and quit"]);
    console.keys("y");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn a_signal_gives_the_terminal_back_and_ends_the_cycle() {
    for signal in [Signal::TERM, Signal::HUP] {
        let console = cycle_of_everything((80, 24));
        console.signal(signal);
        let ended = console.wait_for_end();
        assert_eq!(ended.code, 130, "{signal:?}");
        assert_shows(&ended.screen, "vsync: cancelling the running cycle");
        assert!(!ended.bytes.contains("panicked"), "{signal:?}");
    }
}

#[test]
fn no_color_means_none_on_any_screen() {
    let mut console = demo((80, 24), &[("NO_COLOR", "1")]);
    for screen in every_screen(&mut console) {
        assert!(!is_coloured(&screen), "{}", screen.contents());
    }
    console.keys(ESC);
    console.wait_for_no("Commands");
    console.keys("q");
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 0);
    assert!(!ended.bytes.contains("[38;") && !ended.bytes.contains("[48;"));
}

#[test]
fn a_terminal_gets_the_colours_it_has() {
    let mut console = demo((80, 24), &[("TERM", "xterm"), ("COLORTERM", "")]);
    assert!(every_screen(&mut console).iter().all(is_coloured));
    let bytes = console.bytes();
    assert!(!bytes.contains("38;2;") && !bytes.contains("48;2;"), "true colour at a terminal of sixteen");
    // crossterm sends the sixteen as the first ones of the 256.
    let beyond = |kind: &str| {
        bytes.split(kind).skip(1).any(|rest| {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).is_some_and(|n: u16| n > 15)
        })
    };
    assert!(!beyond("38;5;") && !beyond("48;5;"), "256 colours at a terminal of sixteen");

    let mut console = demo((80, 24), &[]);
    let _ = every_screen(&mut console);
    assert!(console.bytes().contains("38;2;"));
}

#[test]
fn a_locale_without_utf_8_gets_ascii() {
    let mut console = demo((80, 24), &[("LANG", "C")]);
    for screen in every_screen(&mut console) {
        assert!(screen.contents().is_ascii(), "{}", screen.contents());
    }
}

#[test]
fn a_read_only_console_writes_nothing() {
    let mut console = Console::start(&["--read-only", "demo"], (80, 24), &[]);
    console.wait_for_texts(&["read-only", "as of "]);
    console.keys("3");
    let screen = console.wait_for_texts(&[TASKS, "mark shown"]);
    assert_shows(&screen, "dry run");
    assert!(!screen.contents().contains("execute"));
    console.keys("ax");
    console.wait_for_texts(&["● 1,940 tasks marked", "read-only: nothing is written"]);
    console.keys("X");
    console.keys("5");
    let screen = console.wait_for_texts(&["permission 33", "help"]);
    assert!(!screen.contents().contains("retry marked") && !screen.contents().contains("retry all"));
    console.keys("XxR");
    console.keys("4");
    let screen = console.wait_for_texts(&["No cycle has run in this console."]);
    assert!(!screen.contents().contains("Yes, start"));
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
