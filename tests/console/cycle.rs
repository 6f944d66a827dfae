//! Cycle, watch mode and Overview.

use crate::steps::{ANSWERS, ENTER, TYPED, assert_drawn, assert_shows, cycle_of_everything, demo, number_before};

#[test]
fn a_destination_is_skipped_and_the_others_go_on() {
    let mut console = cycle_of_everything((100, 30));
    // leaving the screen stops nothing
    console.keys("1");
    console.wait_for_texts(&["cycle ━", "this console since", "Attention"]);
    console.keys("4");
    console.wait_for_texts(&["running", "Workers "]);
    // the worst comes first only on Overview: here the order is that of the configuration
    console.keys("jjj");
    let screen = console.wait_for_texts(&["Workers of ap-south"]);
    assert_drawn(&screen);
    console.keys("s");
    console.wait_for_texts(&["Skip a destination?", "Nothing more is begun at ap-south", ANSWERS]);
    console.keys("y");
    let screen = console.wait_for_texts(&["Cycle skipped in part: ", " pending."]);
    assert_drawn(&screen);
    assert!(number_before(&screen, " pending.").is_some_and(|pending| pending > 0));
    assert_shows(&screen, "ap-south was skipped");
    // what was left is found again
    console.keys("3");
    console.wait_for_texts(&["ap-south", "no objection"]);
    console.keys("1");
    console.wait_for_no("this console since");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn watch_mode_copies_what_changes_until_it_is_stopped() {
    let mut console = demo((120, 40), &[]);
    console.keys("4w");
    let screen = console.wait_for_texts(&["Start watch mode?", "WITHOUT", "ASKING AGAIN", "eu-west", TYPED]);
    assert_drawn_behind(&screen);
    console.keys("n");
    console.wait_for_no("Start watch mode?");
    // its first cycle deletes: a y alone starts nothing
    console.keys("wy");
    console.wait_for_texts(&["Start watch mode?", TYPED]);
    console.keys(&format!("15{ENTER}"));
    // nobody is asked again
    console.wait_for_texts(&["Cycle of the watch", "running"]);
    console.keys("2");
    console.wait_for_texts(&["Origin", "watch ━"]);
    // all is copied but what ap-south refuses, and the lists are those of after
    console.wait_for_texts(&["3 Plan 33"]);
    console.keys("1");
    let screen = console.wait_for_texts(&["next in ", "watch: this console", "33 secrets failed"]);
    assert_drawn(&screen);
    // it counts down
    let left = counted_down(&screen).expect("a countdown");
    console.wait_for("the next second", |screen| counted_down(screen).is_some_and(|now| now != left));
    console.keys("q");
    console.wait_for_texts(&["Quit?", "ends with the console"]);
    console.keys("n");
    console.keys("4w");
    console.wait_for_texts(&["Stop watch mode?", ANSWERS]);
    console.keys("y");
    console.wait_for_texts(&["The watch is off"]);
    console.keys("1");
    console.wait_for_texts(&["no watch"]);
    console.wait_for_no("watch: this console");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

/// The seconds to the next tick, as the top line says.
fn counted_down(screen: &vt100::Screen) -> Option<u64> {
    let text = screen.contents();
    let rest = text.lines().next()?.split("watch ").nth(1)?;
    rest.split('s').next()?.parse().ok()
}

/// The frame of what lies behind a question is whole.
fn assert_drawn_behind(screen: &vt100::Screen) {
    let first = screen.contents();
    assert!(first.starts_with(" vsync "), "{first}");
}

#[test]
fn a_read_only_console_has_no_watch() {
    let mut console = crate::terminal::Console::start(&["demo", "--read-only"], (80, 24), &[]);
    console.wait_for_texts(crate::steps::READY);
    console.keys("4w");
    console.wait_for_texts(&["read-only: nothing is written"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
