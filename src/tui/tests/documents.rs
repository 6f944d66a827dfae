//! What README and docs say of keys is what the table says.
//!
//! After a change of the table `VSYNC_UPDATE_DOCS=1 cargo test --lib documents` writes them anew.

use std::fmt::Write;
use std::path::Path;

use crate::tui::{KeyRow, key_table};

const BEGIN: &str = "<!-- keys: made from the table in src/tui/keymap -->\n";
const END: &str = "<!-- end of keys -->\n";

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn keys(row: &KeyRow) -> String {
    // A backtick has to stand between more of them.
    let quoted = row.keys.iter().map(|key| if key == "`" { "`` ` ``".to_owned() } else { format!("`{}`", cell(key)) });
    quoted.collect::<Vec<_>>().join(" ")
}

/// All keys with their names: for the page about keys.
fn all() -> String {
    let mut text = String::new();
    for section in key_table() {
        let _ = writeln!(text, "### {}\n\n| keys | name | what it does |\n|---|---|---|", section.title);
        for row in &section.keys {
            let _ = writeln!(text, "| {} | `{}` | {} |", keys(row), row.name, cell(row.help));
        }
        text.push('\n');
    }
    text
}

/// The keys that the screens themselves hint at: for README.
fn main_keys() -> String {
    let mut text = String::from("| screen | keys |\n|---|---|\n");
    for section in key_table() {
        let hinted: Vec<_> = section.keys.iter().filter(|row| !row.hint.is_empty()).collect();
        if hinted.is_empty() || matches!(section.title, "Filter" | "Prompt" | "Palette" | "Question" | "Help") {
            continue;
        }
        let entries: Vec<_> = hinted.iter().map(|row| format!("`{}` {}", row.keys[0], cell(row.hint))).collect();
        let _ = writeln!(text, "| {} | {} |", section.title, entries.join(" · "));
    }
    text
}

fn check(file: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{file} has no place for keys"));
    let (found, after) = rest.split_once(END).unwrap_or_else(|| panic!("{file}: the keys have no end"));
    if std::env::var_os("VSYNC_UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).expect("it can be written");
    } else {
        assert_eq!(found, table, "{file} is not what the table of keys says; see src/tui/tests/documents.rs");
    }
}

#[test]
fn the_readme_has_the_keys_of_the_table() {
    check("README.md", &main_keys());
}

#[test]
fn the_page_about_keys_has_all_of_the_table() {
    check("docs/console/keys.md", &all());
}
