//! Rules, edited and saved.

use crate::steps::{ANSWERS, ENTER, ESC, demo};
use crate::terminal::Console;

const CTRL_S: &str = "\x13";

/// Edit a rule against the demo's secrets, see what it would do, and use it for this session.
#[test]
fn rules_are_edited_against_what_the_origin_holds() {
    let mut console = demo((80, 24), &[]);
    console.keys("7");
    console.wait_for_texts(&["Rules of us-east", "1,601 matched", "95 unmatched", "0 collisions"]);
    console.keys(ENTER);
    // the end of the expression, and a group that is not closed
    console.keys("\x1b[F(");
    console.wait_for_texts(&["^ unclosed group", "not saved", "0 matched"]);
    console.keys("\x7f");
    console.wait_for_texts(&["1,601 matched"]);
    // `to` without the application: several secrets for one path; pasted text goes into the field
    console.keys("\t\x15\x1b[200~platform/data/${env}/${team}\x1b[201~");
    console.wait_for_texts(&["paths that several secrets would go to", "1,601 would move"]);
    console.keys("-apps/${app}");
    console.wait_for_texts(&["0 collisions", "1,601 would move"]);
    console.keys(CTRL_S);
    console.wait_for_texts(&["Use the rules for this session?", "1,601 secrets will go elsewhere", ANSWERS]);
    console.keys("y");
    console.wait_for_texts(&["this session only", "as of "]);
    console.wait_for_texts(&["0 would move"]);
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}

/// Edit a rule and save it: the file has the rule, and its comments.
#[test]
fn a_saved_rule_is_in_the_file_with_its_comments() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("vsync.toml");
    // nobody listens there: rules can be edited all the same
    let vault = "vault = { address = \"http://127.0.0.1:1\", token = \"s.canary\", max_retries = 0 } # nobody";
    let text = format!(
        "# our sync\n[origin]\nmounts = [\"secret/\"]\n{vault}\n\n[[destinations]]\nname = \"there\"\n{vault}\n# teams first\n[[destinations.transforms]]\nname = \"teams\" # since 2021\nfrom = '^secret/data/(?P<team>.+)$'\nto = \"secret/data/t/${{team}}\"\n# the end\n"
    );
    std::fs::write(&file, &text).expect("a file");
    let mut console = Console::start(&["--config", &file.display().to_string()], (100, 30), &[]);
    console.keys("7");
    console.wait_for_texts(&["Rules of there", "teams"]);
    console.keys(ENTER);
    console.wait_for_texts(&["next field"]);
    console.keys("\t\x1b[F/app");
    console.wait_for_texts(&["secret/data/t/${team}/app"]);
    console.keys(ESC);
    console.wait_for_texts(&["edit", "delete"]);
    console.keys(CTRL_S);
    let screen = console.wait_for_texts(&["Save the rules?", "to = \"secret/data/t/${team}/app\"", ANSWERS]);
    assert!(!screen.contents().contains("canary"), "{}", screen.contents());
    console.keys("y");
    console.wait_for_texts(&["there: 1 rule saved to"]);
    let saved = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(saved, text.replace("t/${team}", "t/${team}/app"));
    console.keys("q");
    assert_eq!(console.wait_for_end().code, 0);
}
