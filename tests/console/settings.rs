//! Settings, keys and themes of one's own, read again while the console is open; Overview and Logs.

use crate::steps::{ENTER, READY, assert_drawn, assert_shows, demo, line_with};
use crate::terminal::{Console, rows};

/// The folder, and the one above it, need not be there when the console opens.
#[test]
fn settings_are_found_wherever_they_come_into_being() {
    let mut console = Console::start(&["demo"], (80, 24), &[("XDG_CONFIG_HOME", "")]);
    console.wait_for_texts(READY);
    // without the variable it is ~/.config, which is not there yet
    let folder = console.folder("home").join(".config/vsync");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("console.toml"), "ascii = true\n").expect("a file");
    console.wait_for("ASCII", |screen| screen.contents().is_ascii());
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

/// Every file is taken as soon as it is written, and what is wrong in one is told with its line.
#[test]
fn what_is_written_into_the_settings_is_taken_at_once() {
    let mut console = demo((100, 30), &[]);
    let folder = console.folder("config").join("vsync");
    std::fs::create_dir_all(folder.join("themes")).expect("a folder");
    let write = |name: &str, text: &str| {
        let (new, file) = (folder.join(format!(".{name}.new")), folder.join(name));
        std::fs::create_dir_all(new.parent().expect("a folder")).expect("a folder");
        // as editors do
        std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &file)).expect("a file");
    };
    std::fs::write(
        folder.join("themes/night.toml"),
        "base = \"dark\"\nbackground = { rgb = \"#010203\", ansi = \"black\" }\n",
    )
    .expect("a theme");
    write("console.toml", "theme = \"night\"\n");
    console.wait_for_bytes("48;2;1;2;3");
    write("console.toml", "theme = \"night\"\nascii = true\n");
    let screen = console.wait_for("ASCII", |screen| screen.contents().is_ascii());
    assert_shows(&screen, "Attention");
    write("console.toml", "theme = \"nihgt\"\n");
    console.wait_for_texts(&["console.toml:1: there is no theme \"nihgt\""]);

    write("console.toml", "theme = \"light\"\n");
    console.wait_for_no("nihgt");
    write("keymap.toml", "[everywhere]\nhelp = [\"f1\"]\n");
    console.wait_for_texts(&["f1 help"]);
    // F1 as xterm sends it
    console.keys("\x1bOP");
    console.wait_for_texts(&["Help"]);
    console.keys("\x1b");
    console.wait_for_no("Help");
    write("keymap.toml", "[everywhere]\nhelp = [\"f1\"]\nrefresh = [\"q\"]\n");
    console.wait_for_texts(&["keymap.toml:3"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn overview_leads_to_where_things_are_seen_to() {
    let mut console = demo((80, 24), &[]);
    let screen = console.wait_for_texts(&["Vaults", "ap-south", "! 33", "Attention", "asked "]);
    assert_drawn(&screen);
    // the worst first, or as configured
    let place = |screen: &vt100::Screen, name: &str| rows(screen).iter().position(|row| row.contains(name));
    assert!(place(&screen, "ap-south") < place(&screen, "eu-west"));
    console.keys("o");
    let screen = console
        .wait_for("the order of the configuration", |screen| place(screen, "│ eu-west") < place(screen, "│ ap-south"));
    assert_drawn(&screen);
    console.keys("o");
    console.wait_for("the worst first", |screen| place(screen, "│ ap-south") < place(screen, "│ eu-west"));
    // past the last vault stands what needs attention
    console.keys("jjjj");
    console.keys(ENTER);
    console.wait_for_texts(&["Failures 33", "permission 33"]);
    console.keys("1");
    console.wait_for_texts(&["Vaults"]);
    console.keys("gj");
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["Tasks for ap-south"]);
    assert_drawn(&screen);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

#[test]
fn the_log_is_followed_filtered_and_read_from_close_by() {
    let mut console = Console::start(&["demo"], (80, 24), &[]);
    console.wait_for_texts(READY);
    console.keys("8");
    let screen = console.wait_for_texts(&["Logs", "following", "the origin was listed"]);
    assert_drawn(&screen);
    // one level more, from now on
    console.keys("+r");
    console.wait_for_texts(&["debug and worse", "the tree is made"]);
    console.keys("/listed");
    let screen = console.wait_for_texts(&["/listed"]);
    console.keys(ENTER);
    assert_drawn(&screen);
    console.wait_for_no("the tree is made");
    console.keys(ENTER);
    let screen = console.wait_for_texts(&["secrets", "1975"]);
    assert!(line_with(&screen, "INFO", "the origin was listed").is_some(), "{}", screen.contents());
    console.keys("--");
    console.wait_for_texts(&["warn and worse", "No line"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
