//! What every test of the console needs: keys, the demo in a known state, and what one looks for on the screen.

use vt100::Screen;

use crate::terminal::{Console, rows};

pub(crate) const ENTER: &str = "\r";
pub(crate) const ESC: &str = "\x1b";
pub(crate) const TAB: &str = "\t";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_Z: &str = "\x1a";

/// What shows when every server has answered and the plan is made.
pub(crate) const READY: &[&str] = &["as of ", "origin", "31d"];

/// Named at the foot of a question as soon as it takes an answer.
pub(crate) const ANSWERS: &str = " y yes ";

/// The same where a number has to be typed.
pub(crate) const TYPED: &str = " enter answer ";

/// All that the demo's destinations lack.
pub(crate) const TASKS: &str = "Tasks 1,940";

/// The demo with its plan made.
pub(crate) fn demo(size: (u16, u16), environment: &[(&str, &str)]) -> Console {
    let console = Console::start(&["demo"], size, environment);
    console.wait_for_texts(READY);
    console
}

/// The demo with everything being executed.
pub(crate) fn cycle_of_everything(size: (u16, u16)) -> Console {
    let mut console = demo(size, &[]);
    start_everything(&mut console);
    console
}

/// Executes everything, and sees it run.
pub(crate) fn start_everything(console: &mut Console) {
    console.wait_for_texts(READY);
    console.keys("3");
    console.wait_for_texts(&[TASKS]);
    console.keys("X");
    let screen = console.wait_for_texts(&["Execute", "to delete", TYPED]);
    type_the_number(console, &screen);
    console.wait_for_texts(&["running", "Workers ", "writing"]);
}

/// Types how many secrets are to be deleted, and enter.
pub(crate) fn type_the_number(console: &mut Console, screen: &Screen) {
    let number = number_before(screen, " to delete ").expect("a number to type");
    console.keys(&number.to_string());
    console.wait_for_texts(&[&format!(": {number} ")]);
    console.keys(ENTER);
}

/// Each screen, help, a question and the palette, which stays.
pub(crate) fn every_screen(console: &mut Console) -> Vec<Screen> {
    let mut screens = Vec::new();
    let mut show = |keys: &str, texts: &[&str]| {
        console.keys(keys);
        screens.push(console.wait_for_texts(texts));
    };
    show("1", &["Attention", "asked "]);
    show("2", &["Origin", "billing/"]);
    show("3", &["verdict"]);
    show("4", &["No cycle has run"]);
    show("5", &["permission 33"]);
    show("?", &["Help", "closes"]);
    show(ESC, &["retry marked"]);
    show("X", &["Yes, start", ANSWERS]);
    show("n", &["retry marked"]);
    show("6", &["History 2", "a.okafor"]);
    show("7", &["What the rules do", "1,601 matched"]);
    show("8", &["Logs", "following"]);
    show(":", &["Commands"]);
    screens
}

/// Whether every row of the screen is there and whole: header, frames from edge to edge, footer.
pub(crate) fn assert_drawn(screen: &Screen) {
    let rows = rows(screen);
    let [header, tabs, body @ .., footer] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert!(header.starts_with(" vsync "), "{}", screen.contents());
    assert!((1..=8).all(|number| tabs.contains(&format!(" {number} "))), "{}", screen.contents());
    for row in body {
        let (first, last) = (row.chars().next(), row.chars().next_back());
        assert!(
            first.is_some_and(|c| "╭│╰".contains(c)) && last.is_some_and(|c| "╮│╯".contains(c)),
            "{row:?} of\n{}",
            screen.contents()
        );
    }
    assert!(!footer.trim().is_empty(), "{}", screen.contents());
    assert!(screen.alternate_screen() && screen.hide_cursor());
}

/// Whether a text can be read.
pub(crate) fn assert_shows(screen: &Screen, text: &str) {
    assert!(screen.contents().contains(text), "no {text:?} in\n{}", screen.contents());
}

/// The first row that holds both.
pub(crate) fn line_with(screen: &Screen, one: &str, other: &str) -> Option<String> {
    rows(screen).into_iter().find(|row| row.contains(one) && row.contains(other))
}

/// The number that stands before a text on the screen.
pub(crate) fn number_before(screen: &Screen, text: &str) -> Option<u64> {
    line_with(screen, text, text).map(|row| count_before(&row, text))
}

/// How many tasks of a destination the question before a cycle names.
pub(crate) fn asked(screen: &Screen, destination: &str) -> Option<u64> {
    let row = line_with(screen, &format!("│  {destination} "), " add  *")?;
    let row = row.split(&format!("│  {destination} ")).nth(1)?;
    Some([" add ", " update ", " delete "].iter().map(|operation| count_before(row, operation)).sum())
}

/// The number that stands before a text in a row.
pub(crate) fn count_before(row: &str, text: &str) -> u64 {
    let before = row.split(text).next().unwrap_or_default().trim_end();
    let number: String = before.chars().rev().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
    let digits: String = number.chars().rev().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no number before {text:?} in {row:?}"))
}

/// When the failures that show have happened.
pub(crate) fn times(screen: &Screen) -> Vec<String> {
    let rows = rows(screen);
    let failures = rows.iter().filter(|row| row.contains(" + ap-south "));
    failures
        .filter_map(|row| row.split_whitespace().find(|word| word.trim_end_matches('│').ends_with('Z')))
        .map(str::to_owned)
        .collect()
}
