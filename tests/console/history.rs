//! History: open a cycle, export its report, undo it; and the log of all that.

use crate::steps::{ANSWERS, ENTER, ESC, TYPED, assert_drawn, assert_shows, demo, number_before, type_the_number};

#[test]
fn a_report_is_opened_and_exported() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut console = demo((80, 24), &[]);
    console.keys("6");
    let screen = console.wait_for_texts(&["History 2", "completed", "cancelled", "a.okafor"]);
    assert_drawn(&screen);
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["Report of ", "63 done, 33 failed", "permission 33"]);
    assert_drawn(&screen);
    let mut export = |extension: &str| {
        let file = folder.path().join(format!("r.{extension}"));
        console.keys("e");
        console.wait_for_texts(&["export to:", ".html"]);
        // ctrl-u: what is proposed goes
        console.keys("\x15");
        console.keys(&file.display().to_string());
        console.keys(ENTER);
        console.wait_for_texts(&["The report is in", &format!("r.{extension}")]);
        std::fs::read_to_string(file).expect("the report")
    };
    let page = export("html");
    assert!(page.starts_with("<!doctype html>") && page.contains("39 added, 23 updated, 1 deleted"));
    assert!(page.contains("secret/billing/prod/") && page.contains("permission</span>: 33"));
    assert_eq!(export("csv").lines().count(), 1 + 1 + 2 + 33);
    let json: serde_json::Value = serde_json::from_str(&export("json")).expect("JSON");
    assert_eq!(json["operator"], "a.okafor");
    // what is there is not written over
    console.keys("e");
    console.keys("\x15");
    console.keys(&folder.path().join("r.csv").display().to_string());
    console.keys(ENTER);
    console.wait_for_texts(&["Not exported", "is there already"]);
    console.keys(ESC);
    console.wait_for_texts(&["History 2"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn a_cycle_is_logged_and_undone() {
    let mut console = demo((120, 40), &[]);
    // what eu-west lacks is little: a cycle of a moment
    console.keys("3l");
    console.wait_for_texts(&["Tasks for eu-west"]);
    console.keys("X");
    let screen = console.wait_for_texts(&["Execute", "to delete", TYPED]);
    type_the_number(&mut console, &screen);
    console.wait_for_texts(&["Cycle completed: "]);
    console.keys("8");
    let screen = console.wait_for_texts(&["Logs ", "the cycle starts", "the lock is taken", "the cycle has ended"]);
    assert_drawn(&screen);
    assert_shows(&screen, "following");
    console.keys("k");
    console.wait_for_texts(&[" below "]);
    console.keys("f");
    console.wait_for_texts(&["following"]);

    console.keys("6");
    console.wait_for_texts(&["History 3"]);
    console.keys("g");
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["Report of ", "eu-west: ", " changes"]);
    assert!(number_before(&screen, " changes").is_some_and(|changes| changes > 10));
    console.keys("u");
    let screen =
        console.wait_for_texts(&["Undo: what it would do", "undelete", "write back", "asks whether to start it"]);
    assert_drawn(&screen);
    console.keys("u");
    let screen = console.wait_for_texts(&["Undo", "to delete", TYPED, "The next sync copies these secrets again"]);
    assert!(!screen.contents().contains(ANSWERS), "a number is to be typed");
    type_the_number(&mut console, &screen);
    console.wait_for_texts(&["Cycle completed: "]);
    console.keys("6");
    let screen = console.wait_for_texts(&["History 4", "undo"]);
    assert_drawn(&screen);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
