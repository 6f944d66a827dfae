//! Plan: saved, loaded, executed exactly, with the number of deletes typed.

use crate::steps::{ENTER, ESC, TASKS, TYPED, assert_drawn, assert_shows, demo, number_before, type_the_number};

const CTRL_U: &str = "\x15";

#[test]
fn a_plan_is_saved_loaded_and_executed_exactly() {
    let mut console = demo((120, 40), &[]);
    console.keys("3");
    console.wait_for_texts(&[TASKS]);
    // the deletes alone
    console.keys("+*a");
    let screen = console.wait_for_texts(&[" marked, ", "without +", "without *"]);
    let deletes = number_before(&screen, " tasks marked, ").expect("a number");
    assert!(deletes > 0);
    console.keys("s");
    console.wait_for_texts(&["save plan as:", "plan-20"]);
    console.keys(CTRL_U);
    console.keys(&format!("held.json{ENTER}"));
    console.wait_for_texts(&[&format!("{deletes} lines saved in held.json")]);
    // it replaces nothing
    console.keys(&format!("s{CTRL_U}held.json{ENTER}"));
    console.wait_for_texts(&["held.json exists already"]);
    console.keys(ESC);
    console.wait_for_no("exists already");

    console.keys("A+*");
    console.wait_for_no("without +");
    console.keys(&format!("onothing{ENTER}"));
    console.wait_for_texts(&["there is no file nothing"]);
    console.keys(&format!("{CTRL_U}held.json{ENTER}"));
    let screen = console.wait_for_texts(&[&format!("All {deletes} lines hold and are marked"), "Plan of held.json"]);
    assert_drawn(&screen);

    console.keys("x");
    let screen = console.wait_for_texts(&["Execute the saved plan", "Exactly these lines", "to delete", TYPED]);
    assert_eq!(number_before(&screen, " to delete "), Some(deletes));
    type_the_number(&mut console, &screen);
    console.wait_for_texts(&[&format!("Cycle completed: {deletes} done, 0 failed, 0 pending.")]);

    // what is done holds no longer, and says why
    console.keys("3");
    console.wait_for_texts(&["as of ", "no objection"]);
    console.wait_for_no("Plan of held.json");
    console.keys(&format!("oheld.json{ENTER}"));
    let screen = console.wait_for_texts(&["Plan of held.json", ": 0 of ", "it is done already"]);
    assert_shows(&screen, &format!("{deletes} of {deletes} lines hold no longer"));
    console.keys("u");
    console.wait_for_no("Plan of held.json");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
