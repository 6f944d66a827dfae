//! What comes from the terminal beside single keys: sizes, pastes, the mouse.

use std::fmt::Write;

use vt100::Screen;

use crate::steps::{ENTER, ESC, TASKS, TYPED, assert_drawn, assert_shows, demo};
use crate::terminal::{Console, rows};

/// A window that is dragged larger and smaller while somebody types: every key counts, and no frame is empty.
#[test]
fn a_storm_of_sizes_loses_no_key_and_shows_no_empty_screen() {
    let mut console = demo((80, 24), &[]);
    console.keys("2/");
    console.wait_for_texts(&["Origin", " / "]);
    let text = "checkout/dev/cart/";
    for (number, key) in text.chars().enumerate() {
        for step in 0..5 {
            let by = u16::try_from(number * 5 + step).expect("a small number");
            console.resize(70 + by % 60, 20 + by % 25);
        }
        console.keys(&key.to_string());
    }
    console.resize(100, 30);
    let screen = console.wait_for("what was typed", |screen| {
        screen.contents().contains(text) && rows(screen)[2].ends_with('╮') && rows(screen).len() == 30
    });
    assert_drawn(&screen);
    assert_shows(&screen, "cart/");
    assert_eq!(console.blank_frames(), 0, "the screen was seen empty");
    console.keys(ENTER);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

/// A pasted line presses no keys; in a line that is being typed it is text.
#[test]
fn what_is_pasted_is_text() {
    let mut console = demo((80, 24), &[]);
    console.keys("3");
    console.wait_for_texts(&[TASKS]);
    // mark, execute, agree, quit: none of that
    paste(&mut console, "aXy\rq");
    console.keys("/");
    console.wait_for_texts(&[" / "]);
    paste(&mut console, "~billing\n dunning");
    let screen = console.wait_for_texts(&["/~billing dunning"]);
    assert!(!screen.contents().contains("Execute") && !screen.contents().contains("marked"), "{}", screen.contents());
    console.keys(ESC);
    console.wait_for_texts(&[TASKS]);
    // a question takes none either
    console.keys("X");
    let screen = console.wait_for_texts(&["Execute", "to delete", TYPED]);
    paste(&mut console, &crate::steps::number_before(&screen, " to delete ").expect("a number").to_string());
    console.keys(ENTER);
    console.wait_for_texts(&["nothing is typed yet"]);
    console.keys(ESC);
    console.wait_for_no("to delete ");
    console.keys(":");
    console.wait_for_texts(&["Commands"]);
    paste(&mut console, "secret/billing/dev/");
    console.wait_for_texts(&["Commands", "secret/billing/dev/", "dunning/"]);
    console.keys(ESC);
    console.wait_for_no("Commands");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn the_mouse_clicks_scrolls_and_drags_and_is_given_back() {
    let mut console = demo((120, 40), &[]);
    let screen = console.wait_for_texts(&["2 Browse"]);
    click(&mut console, &screen, "Browse");
    let screen = console.wait_for_texts(&["Origin", "▸ checkout/"]);
    click(&mut console, &screen, "checkout/");
    console.wait_for_texts(&["Folder", "secret/checkout/"]);
    // twice opens it
    click(&mut console, &screen, "checkout/");
    click(&mut console, &screen, "checkout/");
    let screen = console.wait_for_texts(&["▾ checkout/", "▸ dev/"]);
    let divider = column_of(&screen, 2, "╮╭");
    let drag = |from: u16, to: u16| format!("\x1b[<0;{from};10M\x1b[<32;{to};10M\x1b[<0;{to};10m");
    console.keys(&drag(divider + 1, divider - 14));
    let screen = console.wait_for("the divider moved", |screen| column_of(screen, 2, "╮╭") < divider);
    assert_drawn(&screen);

    click(&mut console, &screen, "3 Plan");
    let screen = console.wait_for_texts(&[TASKS, "billing"]);
    let mut wheel = String::new();
    for _ in 0..10 {
        let _ = write!(wheel, "\x1b[<65;20;20M");
    }
    let first = rows(&screen)[12].clone();
    console.keys(&wheel);
    console.wait_for("another part of the list", |screen| rows(screen)[12] != first);
    // a hint at the foot, then an answer
    let screen = console.wait_for_texts(&["execute all"]);
    click(&mut console, &screen, "execute all");
    let screen = console.wait_for_texts(&["Execute", "to delete", "   No   ", TYPED]);
    click(&mut console, &screen, "No   ");
    console.wait_for_no("to delete ");
    console.keys("q");
    let ended = console.wait_for_end();
    assert_eq!(ended.code, 0);
    assert!(ended.bytes.contains("\x1b[?1000h") && ended.bytes.contains("\x1b[?1000l"), "the mouse was not given back");
}

#[test]
fn without_the_mouse_the_terminal_keeps_it() {
    let mut console = Console::start(&["demo", "--no-mouse"], (80, 24), &[]);
    console.wait_for_texts(crate::steps::READY);
    console.keys("M");
    console.wait_for_texts(&["The mouse is the console's again"]);
    assert!(console.bytes().contains("\x1b[?1000h"));
    console.keys("M");
    console.wait_for_texts(&["The mouse is the terminal's"]);
    console.keys("q");
    let ended = console.wait_for_end();
    let before = ended.bytes.split("\x1b[?1000h").next().map(str::len);
    assert!(before.is_some_and(|at| ended.bytes[..at].contains("Attention")), "it was taken before it was asked for");
}

fn paste(console: &mut Console, text: &str) {
    console.keys(&format!("\x1b[200~{text}\x1b[201~"));
}

/// Presses and lets go of the left button on the first cell of a text.
fn click(console: &mut Console, screen: &Screen, text: &str) {
    let row = rows(screen).iter().position(|row| row.contains(text)).unwrap_or_else(|| panic!("no {text:?}"));
    let column = column_of(screen, row, text);
    console.keys(&format!("\x1b[<0;{column};{0}M\x1b[<0;{column};{0}m", row + 1));
}

/// Where a text stands in a row, counted from 1; the text's end of the row if it is not there.
fn column_of(screen: &Screen, row: usize, text: &str) -> u16 {
    let row = &rows(screen)[row];
    let before = row.split(text).next().map_or(0, |before| before.chars().count());
    u16::try_from(before + 1).expect("a column")
}

/// Slow lines: a moved cursor is a few rows, another screen not much more than its text.
#[test]
fn frames_are_small() {
    let mut console = demo((200, 60), &[]);
    console.keys("2");
    console.wait_for_texts(&["Origin", "▸ checkout/"]);
    let mut sent = |keys: &str, texts: &[&str]| {
        let before = console.bytes().len();
        console.keys(keys);
        console.wait_for_texts(texts);
        console.bytes().len() - before
    };
    let moved = sent("j", &["Browse › secret/billing/"]);
    assert!(moved < 4_000, "a moved cursor took {moved} bytes");
    let other = sent("4", &["No cycle has run in this console"]);
    assert!(other < 20_000, "another screen took {other} bytes");
}

/// At the smallest size everything works; below it one is told.
#[test]
fn a_terminal_that_is_too_small_says_so_and_does_nothing() {
    let mut console = demo((60, 15), &[]);
    console.keys("3");
    assert_drawn(&console.wait_for_texts(&[TASKS]));
    console.resize(59, 14);
    console.wait_for_texts(&["vsync needs 60×15", "this is 59×14"]);
    // keys that cannot be seen to do anything do nothing
    let frames = console.frames();
    console.keys("Xaq");
    console.wait_for_frame_after(frames);
    console.resize(300, 80);
    let screen = console.wait_for("300 columns", |screen| rows(screen)[2].ends_with('╮'));
    assert_drawn(&screen);
    assert!(
        !screen.contents().contains("Execute") && !screen.contents().contains("tasks marked"),
        "{}",
        screen.contents()
    );
    // the room is used: lists go down to the foot, and paths are whole
    let filled = rows(&screen).iter().filter(|row| row.contains("secret/")).count();
    assert!(filled > 60, "{filled} tasks on 80 rows\n{}", screen.contents());
    assert!(!screen.contents().contains("…"), "{}", screen.contents());
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

/// Screens, destinations, paths and actions by their names.
#[test]
fn the_palette_completes_and_runs() {
    let mut console = demo((140, 30), &[]);
    let mut run = |line: &str, completed: &str, shown: &[&str]| {
        console.keys(":");
        console.wait_for_texts(&["Commands"]);
        console.keys(line);
        console.wait_for_texts(&[&format!(":{line}")]);
        console.keys("\t");
        console.wait_for_texts(&[&format!(":{completed}")]);
        console.keys(ENTER);
        console.wait_for_texts(shown);
        console.wait_for_no("Commands");
    };
    run("hist", "history", &["History 2"]);
    run("us-e", "us-east", &["Tasks for us-east"]);
    run("secret/bil", "secret/billing/", &["Browse › secret/billing/"]);
    run("only-pro", "only-problems", &["only problems"]);
    console.keys(":state !");
    console.wait_for_texts(&[":state !"]);
    console.keys(ENTER);
    console.wait_for_texts(&["33 of 1,987 secrets"]);
    console.keys(":refersh");
    console.wait_for_texts(&[":refersh"]);
    console.keys(ENTER);
    console.wait_for_texts(&[":refersh", "the nearest is \"refresh\""]);
    console.keys(ESC);
    console.wait_for_no(":refersh");
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
