//! Browse: from the tree to one value and back.

use crate::steps::{ANSWERS, ENTER, ESC, assert_drawn, assert_shows, demo};
use crate::terminal::rows;

#[test]
fn a_value_shows_copies_and_goes_and_a_difference_names_keys() {
    let mut console = demo((80, 24), &[]);
    console.keys("2");
    console.wait_for_texts(&["Origin", "▸ billing/"]);
    console.keys("/~bildevdunnicache");
    let screen = console.wait_for_texts(&["~bildevdunnicache", "dunning/", "1 of "]);
    assert_drawn(&screen);
    console.keys(ENTER);
    console.keys("G");
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["secret/billing/dev/dunning/cache", "url  password", "there now: nothing"]);
    assert_drawn(&screen);
    console.keys("C");
    console.wait_for_texts(&["Copied to your terminal's clipboard: url"]);

    console.keys("]v");
    let screen = console.wait_for_texts(&["The value of password", "Yes, show it", ANSWERS]);
    assert_shows(&screen, "for 10 seconds");
    console.reveals("password of secret/billing/dev/dunning/cache");
    console.keys("y");
    let screen = console.wait_for_texts(&["Value of password", "y copies it", " s ╮"]);
    assert_drawn(&screen);
    let rows = rows(&screen);
    let at = rows.iter().position(|row| row.contains("at the origin")).expect("where it was read");
    let value = rows[at + 2].trim_matches(|c: char| "│ ".contains(c)).to_owned();
    assert!(value.len() == 20 && value.chars().all(char::is_alphanumeric), "{value:?} in\n{}", screen.contents());
    console.keys("y");
    console.wait_for_texts(&["The value of password is in your terminal's clipboard now"]);
    assert!(console.bytes().contains("\x1b]52;c;"), "the terminal was told");
    let screen = console.wait_for_no("Value of password");
    assert!(!screen.contents().contains(&value), "ten seconds are over");

    console.keys("vy");
    console.wait_for_texts(&["Value of password", &value]);
    console.keys("k");
    let screen = console.wait_for_no("Value of password");
    assert!(!screen.contents().contains(&value), "the operator has turned away");
    console.reveals_no_more();

    console.keys("jD");
    console.wait_for_texts(&["Read both to compare them?", "us-east", ANSWERS]);
    console.keys("y");
    let screen = console.wait_for_texts(&["Difference: origin and us-east", "* password", "differs", "= url"]);
    assert_drawn(&screen);
    assert!(!screen.contents().contains(&value));
    console.keys("l");
    console.wait_for_texts(&["Difference: origin and ap-south", "The values are the same."]);
    console.keys(ESC);
    console.wait_for_texts(&["Origin", "Secret"]);

    console.keys(ENTER);
    console.keys(ESC);
    console.wait_for_no("~bildevdunnicache");
    console.keys("ps");
    let screen = console.wait_for_texts(&["worst first", "only problems", "prod/"]);
    assert_drawn(&screen);
}

/// Some terminals keep what was drawn last: a value must not be in it.
#[test]
fn a_value_is_gone_before_the_terminal_is() {
    for leave in ["q", "\x1a"] {
        let mut console = crate::terminal::Console::start_in_shell("\"$0\" demo", (80, 24));
        console.wait_for_texts(crate::steps::READY);
        console.keys("2/~bildevdunnicache");
        console.keys(ENTER);
        console.keys("G");
        console.keys(ENTER);
        console.wait_for_texts(&["url  password", "there now"]);
        console.keys("]v");
        console.wait_for_texts(&["The value of password", ANSWERS]);
        console.reveals("password of secret/billing/dev/dunning/cache");
        console.keys("y");
        console.wait_for_texts(&["Value of password", "y copies it"]);
        let shown = console.bytes().len();
        console.keys(leave);
        console.wait_for("the shell's screen", |screen| !screen.alternate_screen());
        let sent = console.bytes()[shown..].to_owned();
        let left = sent.find("\x1b[?1049l").expect("the alternate screen is left");
        let wiped = sent.find("\x1b[2J").expect("the screen is wiped");
        assert!(wiped < left && !sent[wiped..left].contains("Value of password"), "{sent:?}");
        // the shell, which has nothing else to do, ends with it or without it
        let _ = console.wait_for_end();
    }
}

#[test]
fn a_read_only_console_shows_no_value() {
    let mut console = crate::terminal::Console::start(&["demo", "--read-only"], (120, 40), &[]);
    console.wait_for_texts(crate::steps::READY);
    console.keys("2/dunning/cache");
    console.keys(ENTER);
    console.keys("G");
    console.wait_for_texts(&["url  password", "read-only: no value is"]);
    console.keys("v");
    console.wait_for_texts(&["read-only: nothing is written, no value is shown"]);
}
