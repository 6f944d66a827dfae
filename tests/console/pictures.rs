//! The pictures of README and the pages about the screens, taken from the program at work on the demo's servers.
//!
//! They are taken in every run of the tests, into the build's folder for temporary files; `docs/pictures/take` puts them
//! into `docs/pictures`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use vt100::Screen;

use crate::picture::svg;
use crate::steps::{ENTER, ESC, TASKS, assert_drawn, demo, start_everything};

const SIZE: (u16, u16) = (120, 34);

/// Takes a picture, after a look at what it shows.
fn take(name: &str, title: &str, screen: &Screen) {
    assert_drawn(screen);
    let picture = svg(screen, title);
    let words = screen.contents();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    assert!(host.trim().is_empty() || !words.contains(host.trim()), "{name} tells where it was taken");
    // what one reads on the screen stands in the picture, row by row
    let mut written = BTreeMap::<u16, String>::new();
    for text in picture.lines().filter(|line| line.starts_with("<text ")) {
        let row = text.split(" y=\"").nth(1).and_then(|rest| rest.split('"').next()?.parse().ok()).expect("a row");
        let letters = text.trim_end_matches("</text>").rsplit('>').next().unwrap_or_default();
        let letters =
            ["&quot;", "&lt;", "&gt;", "&amp;"].iter().fold(letters.to_owned(), |text, mark| text.replace(mark, ""));
        *written.entry(row).or_default() += &letters;
    }
    let is_letter = |c: &char| c.is_ascii_alphanumeric();
    let letters: Vec<String> = words.lines().map(|row| row.chars().filter(is_letter).collect()).collect();
    let pictured = written.into_values().map(|row| row.chars().filter(is_letter).collect::<String>());
    let pictured: Vec<String> = pictured.filter(|row| !row.is_empty()).collect();
    assert_eq!(letters.into_iter().filter(|row| !row.is_empty()).collect::<Vec<_>>(), pictured, "{name}");
    let folder = std::env::var_os("VSYNC_PICTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pictures"), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("a folder for pictures");
    std::fs::write(folder.join(format!("{name}.svg")), picture).expect("a picture");
}

#[test]
fn pictures_of_the_screens_at_rest() {
    // high enough for a tile each
    let mut console = demo((120, 40), &[]);
    let screen = console.wait_for_texts(&["Attention", "Activity", "31d"]);
    take("overview", "Overview: a tile for each Vault, the worst first, and what needs attention", &screen);
    console.resize(SIZE.0, SIZE.1);

    console.keys("2jljjjljljj");
    let screen = console.wait_for_texts(&["keys ", "versions", "there now"]);
    take("browse", "Browse: the origin's tree, a column per destination, and one secret from close by", &screen);
    console.keys("hhhhh:");
    console.wait_for_texts(&["Commands"]);
    console.keys("fail");
    let screen = console.wait_for_texts(&[":fail", "retry-all"]);
    take("palette", "The palette: every action, screen, destination and path by its name", &screen);
    console.keys(ESC);
    console.wait_for_no(":fail");

    console.keys("3");
    console.wait_for_texts(&[TASKS]);
    console.keys("l");
    console.wait_for_texts(&["Tasks for eu-west"]);
    console.keys("j j j ");
    let screen = console.wait_for_texts(&["● 3 tasks marked"]);
    take("plan", "Plan: what a cycle would do at a destination, three tasks marked, and what the guards say", &screen);

    console.keys("5");
    let screen = console.wait_for_texts(&["Failures 33", "permission 33", "path \"secret/"]);
    take("failures", "Failures: what failed by cause, and the rules that the token's policy lacks", &screen);

    console.keys("6");
    console.wait_for_texts(&["History 2"]);
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["Report of ", "permission 33"]);
    take("history", "History: past cycles, and one's report", &screen);

    console.keys("7");
    console.wait_for_texts(&["▸ us-east", "1,601 matched"]);
    console.keys(ENTER);
    // without the application several secrets would go to one path
    console.keys("\t\x15platform/data/${env}/${team}");
    let screen = console.wait_for_texts(&["paths that several secrets would go to", "1,601 would move"]);
    take("transforms", "Transforms: a rule while it is edited, and the collisions that it would make", &screen);
}

#[test]
fn pictures_of_a_cycle() {
    let mut console = demo(SIZE, &[]);
    start_everything(&mut console);
    // long enough for the charts to have something to show
    let screen = console.wait_for("a cycle well under way", |screen| seconds_running(screen) >= Some(7));
    take("cycle", "Cycle: destinations, rate and latency, workers, failures and the log while a cycle runs", &screen);
    console.keys("8");
    let screen = console.wait_for_texts(&["following", "planned destination"]);
    take("logs", "Logs: what this run noted", &screen);
}

/// For how long the cycle runs, as its screen says.
fn seconds_running(screen: &Screen) -> Option<u64> {
    let words = screen.contents();
    words.split(" running ").nth(1)?.trim_start().split(['.', 's']).next()?.parse().ok()
}
