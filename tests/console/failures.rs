//! Failures: the missing policy is copied, and what is ignored counts no longer.

use crate::steps::{ENTER, assert_drawn, assert_shows, demo};

#[test]
fn the_missing_policy_is_copied_and_failures_are_ignored() {
    let mut console = demo((120, 40), &[]);
    console.keys("5");
    let screen =
        console.wait_for_texts(&["Failures 33", "permission 33", "Missing in the policy", "path \"secret/data/"]);
    assert_drawn(&screen);
    console.keys("c");
    console.wait_for_texts(&["The missing rules are in the clipboard"]);
    console.keys("i");
    console.wait_for_texts(&["why ignore:"]);
    console.keys(ENTER);
    console.wait_for_texts(&["say why"]);
    console.keys(&format!("the owner is asked{ENTER}"));
    let screen = console.wait_for_texts(&["Failures 0, 33 ignored", "33 failures ignored: the owner is asked"]);
    assert_drawn(&screen);
    // they stay so when all is looked at again, and are not counted anywhere
    console.keys("r");
    console.wait_for_texts(&["Failures 0, 33 ignored", "as of "]);
    console.keys("1");
    let screen = console.wait_for_texts(&["Attention"]);
    assert!(!screen.contents().contains("33 secrets failed"), "{}", screen.contents());
    console.keys("5G");
    let screen = console.wait_for_texts(&["Ignored: the owner is asked"]);
    assert_shows(&screen, "I minds it again");
    console.keys("gI");
    console.wait_for_texts(&["33 failures minded again.", "permission 33"]);
    console.keys("q");
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 0);
    assert!(ended.bytes.contains("\x1b]52;c;"), "a text went to the clipboard");
}
