use super::super::load::{Purpose, load};
use super::*;

const VAULT: &str = "http://127.0.0.1:8200";

pub(super) fn rule(name: &str, from: &str, to: &str) -> Rule {
    Rule { name: name.to_owned(), from: from.to_owned(), to: to.to_owned() }
}

/// A file in a folder of its own, opened as the console does.
pub(super) fn open(name: &str, text: &str) -> (tempfile::TempDir, RulesFile, Loaded) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("a file");
    let sources = Sources { file: Some(path), purpose: Purpose::default(), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{text}\n{error}"));
    (folder, RulesFile::new(&loaded, &sources).expect("a file"), loaded)
}

/// The file with other rules.
pub(super) fn edited(name: &str, text: &str, destination: &str, rules: &[EditedRule]) -> String {
    let (_folder, mut file, _) = open(name, text);
    let change = file.change(destination, rules).unwrap_or_else(|error| panic!("{text}\n{error}"));
    file.write(change).unwrap_or_else(|error| panic!("{error}"));
    std::fs::read_to_string(file.path()).expect("the file")
}

fn kept(at: usize, rule: Rule) -> EditedRule {
    EditedRule { rule, origin: Some(at) }
}

fn new(rule: Rule) -> EditedRule {
    EditedRule { rule, origin: None }
}

fn toml(rules: &str) -> String {
    format!(
        "# our sync\n[origin]\nmounts = [\"secret/\"] # all of it\nvault = {{ address = \"{VAULT}\" }}\n\n[[destinations]]\nname = \"there\"\nvault.address = \"{VAULT}\"\n{rules}\n# the end\n"
    )
}

const TWO: &str = "
# teams first
[[destinations.transforms]]
name = \"teams\"  # since 2021
from = '^secret/data/(?P<team>a)$'
to = \"secret/data/t/${team}\"

# the rest
[[destinations.transforms]]
name = \"rest\"
from = '^secret/data/(?P<x>b)$'
to = \"secret/data/r/${x}\"
";

fn teams() -> Rule {
    rule("teams", "^secret/data/(?P<team>a)$", "secret/data/t/${team}")
}

fn rest() -> Rule {
    rule("rest", "^secret/data/(?P<x>b)$", "secret/data/r/${x}")
}

#[test]
fn a_value_changes_and_nothing_else() {
    let text = toml(TWO);
    let changed = Rule { to: "secret/data/teams/${team}".to_owned(), ..teams() };
    let after = edited("vsync.toml", &text, "there", &[kept(0, changed), kept(1, rest())]);
    assert_eq!(after, text.replace("secret/data/t/${team}", "secret/data/teams/${team}"));
}

#[test]
fn rules_move_with_their_comments() {
    let text = toml(TWO);
    let after = edited("vsync.toml", &text, "there", &[kept(1, rest()), kept(0, teams())]);
    let (first, second) = TWO[1..].split_once("\n\n").expect("two rules");
    assert_eq!(
        after,
        toml(&format!("\n{}\n{first}\n", format!("{second}\n").trim_end_matches('\n').to_owned() + "\n"))
    );
}

#[test]
fn a_new_rule_is_written_as_the_others_are() {
    let text = toml(TWO);
    let extra = rule("it's", "^secret/data/\\w+'s$", "secret/data/x");
    let after = edited("vsync.toml", &text, "there", &[kept(0, teams()), kept(1, rest()), new(extra)]);
    let added =
        "\n[[destinations.transforms]]\nname = \"it's\"\nfrom = \"^secret/data/\\\\w+'s$\"\nto = \"secret/data/x\"\n";
    assert_eq!(after, toml(&format!("{TWO}{added}")));
}

#[test]
fn a_rule_goes_and_its_comment_stays() {
    let text = toml(TWO);
    let after = edited("vsync.toml", &text, "there", &[kept(1, rest())]);
    assert!(!after.contains("teams\""), "{after}");
    assert!(after.contains("# teams first\n# the rest\n[[destinations.transforms]]\nname = \"rest\""), "{after}");
    let after = edited("vsync.toml", &text, "there", &[]);
    assert!(!after.contains("transforms"), "{after}");
    assert!(after.contains("# teams first\n# the rest\n") && after.ends_with("# the end\n"), "{after}");
}

#[test]
fn the_first_rule_of_a_destination() {
    let after = edited("vsync.toml", &toml(""), "there", &[new(teams())]);
    assert!(
        after.contains(
            "\n\n[[destinations.transforms]]\nname = \"teams\"\nfrom = \"^secret/data/(?P<team>a)$\"\nto = \"secret/data/t/${team}\"\n"
        ),
        "{after}"
    );
}

#[test]
fn rules_in_brackets() {
    let inline = "transforms = [\n  # teams\n  { name = 'teams', from = '^secret/data/(?P<team>a)$', to = 'secret/data/t/${team}' }, # t\n  { name = 'rest', from = '^secret/data/(?P<x>b)$', to = 'secret/data/r/${x}' } # r\n]";
    let after = edited(
        "vsync.toml",
        &toml(inline),
        "there",
        &[kept(1, rest()), new(rule("n", "x", "secret/data/y")), kept(0, teams())],
    );
    let expected = "transforms = [\n  { name = 'rest', from = '^secret/data/(?P<x>b)$', to = 'secret/data/r/${x}' }, # r\n  { name = 'n', from = 'x', to = 'secret/data/y' },\n  # teams\n  { name = 'teams', from = '^secret/data/(?P<team>a)$', to = 'secret/data/t/${team}' } # t\n]";
    assert_eq!(after, toml(expected));
}

fn yaml(rules: &str) -> String {
    format!(
        "# our sync\norigin:\n  mounts: [secret/]\n  vault: {{address: \"{VAULT}\"}}\ndestination: # v0.3\n  vault:\n    address: {VAULT} # here\n{rules}  numWorkers: 3\n# the end\n"
    )
}

#[test]
fn yaml_entries_keep_their_comments_and_quotes() {
    let two = "  transforms:\n    # teams first\n    - name: teams # since 2021\n      from: '^secret/data/(?P<team>a)$'\n      # where to\n      to: secret/data/t/${team}\n    - name: rest\n      from: \"^secret/data/(?P<x>b)$\"\n      to: |-\n        secret/data/r/${x}\n";
    let text = yaml(two);
    let renamed = Rule { name: "the teams: all".to_owned(), ..teams() };
    let moved = Rule { to: "secret/data/rest/${x}".to_owned(), ..rest() };
    let after = edited("vsync.yaml", &text, "destination", &[kept(0, renamed), kept(1, moved.clone())]);
    let expected = text
        .replace("name: teams #", "name: 'the teams: all' #")
        .replace("|-\n        secret/data/r/${x}", "'secret/data/rest/${x}'");
    assert_eq!(after, expected);
    let after = edited(
        "vsync.yaml",
        &text,
        "destination",
        &[kept(1, rest()), kept(0, teams()), new(rule("n", "x", "secret/data/y"))],
    );
    assert!(after.contains("transforms:\n    - name: rest\n"), "{after}");
    assert!(after.contains("    # teams first\n    - name: teams # since 2021\n"), "{after}");
    assert!(after.contains("secret/data/t/${team}\n    - name: 'n'\n"), "{after}");
    let after = edited("vsync.yaml", &text, "destination", &[]);
    assert!(after.contains("  transforms:\n    # teams first\n  numWorkers"), "{after}");
}

#[test]
fn yaml_without_rules_gets_some() {
    for none in ["", "  transforms: []\n", "  transforms: # none yet\n", "  transforms:\n"] {
        let after = edited("vsync.yaml", &yaml(none), "destination", &[new(teams())]);
        assert!(after.contains("# here\n"), "{after}");
        assert!(after.contains("    - name: teams\n      from: '^secret/data/(?P<team>a)$'\n"), "{after}");
    }
}

#[test]
fn json_keeps_its_layout() {
    let file = |rules: &str| {
        format!(
            "{{\n    \"origin\": {{\"mounts\": [\"secret/\"], \"vault\": {{\"address\": \"{VAULT}\"}}}},\n    \"destinations\": [\n        {{\n            \"name\": \"there\",\n            \"vault\": {{\"address\": \"{VAULT}\"}}{rules}\n        }}\n    ]\n}}\n"
        )
    };
    let one = ",\n            \"transforms\": [\n                {\n                    \"name\": \"teams\",\n                    \"from\": \"^secret/data/(?P<team>a)$\",\n                    \"to\": \"secret/data/t/${team}\"\n                }\n            ]";
    let after = edited("vsync.json", &file(one), "there", &[kept(0, teams()), new(rest())]);
    let second = "                },\n                {\n                    \"name\": \"rest\",\n                    \"from\": \"^secret/data/(?P<x>b)$\",\n                    \"to\": \"secret/data/r/${x}\"\n                }\n            ]";
    assert_eq!(after, file(&one.replace("                }\n            ]", second)));
    let after = edited("vsync.json", &file(""), "there", &[new(rest())]);
    assert!(after.contains(",\n            \"transforms\": [\n                {\"name\": \"rest\""), "{after}");
    let compact = format!(
        "{{\"origin\":{{\"mounts\":[\"secret/\"],\"vault\":{{\"address\":\"{VAULT}\"}}}},\"destination\":{{\"vault\":{{\"address\":\"{VAULT}\"}},\"transforms\":[]}}}}"
    );
    edited("vsync.json", &compact, "destination", &[new(rest()), new(teams())]);
}

#[test]
fn hcl_blocks_and_labels() {
    let file = |rules: &str| {
        format!(
            "# our sync\norigin {{\n  mounts = [\"secret/\"]\n  vault {{\n    address = \"{VAULT}\"\n  }}\n}}\ndestinations \"there\" {{\n  vault {{\n    address = \"{VAULT}\" // here\n  }}\n{rules}}}\n"
        )
    };
    let two = "  // teams first\n  transforms \"teams\" {\n    from = \"^secret/data/(?P<team>a)$\" # t\n    to   = \"secret/data/t/${team}\"\n  }\n\n  transforms {\n    name = \"rest\"\n    from = \"^secret/data/(?P<x>b)$\"\n    to   = \"secret/data/r/${x}\"\n  }\n";
    let text = file(two);
    let changed = Rule { name: "all \"teams\"".to_owned(), to: "secret/data/teams/${team}".to_owned(), ..teams() };
    let after = edited("vsync.hcl", &text, "there", &[kept(0, changed), kept(1, rest())]);
    assert_eq!(after, text.replace("\"teams\" {", "\"all \\\"teams\\\"\" {").replace("/t/${", "/teams/${"));
    let after = edited(
        "vsync.hcl",
        &text,
        "there",
        &[kept(1, rest()), new(rule("n", "a%{2}\\w", "secret/data/y")), kept(0, teams())],
    );
    assert!(after.contains("\n  // teams first\n  transforms \"teams\" {"), "{after}");
    assert!(after.contains("  transforms {\n    name = \"n\"\n    from = \"a%%{2}\\\\w\"\n"), "{after}");
    let after = edited("vsync.hcl", &file(""), "there", &[new(teams())]);
    assert!(after.contains("  transforms {\n    name = \"teams\"\n"), "{after}");
}

#[test]
fn what_is_not_the_files_is_not_written() {
    let text = toml(TWO);
    let (_folder, file, _) = open("vsync.toml", &text);
    std::fs::write(file.path(), text.replace("# the end", "# edited")).expect("the file");
    let refused = file.change("there", &[kept(0, teams())]).expect_err("a changed file");
    assert!(matches!(refused, RulesError::Changed(_)), "{refused}");

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vsync.toml");
    std::fs::write(&path, &text).expect("a file");
    let settings = vec!["destinations.there.transforms=[]".to_owned()];
    let sources = Sources { file: Some(path.clone()), settings, ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{error}"));
    let file = RulesFile::new(&loaded, &sources).expect("a file");
    let refused = file.change("there", &[new(teams())]).expect_err("rules from a flag").to_string();
    assert!(refused.contains("flag --set destinations.there.transforms"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
}

#[test]
fn what_would_be_no_configuration_or_change_something_else_is_not_written() {
    let (_folder, file, _) = open("vsync.toml", &toml(TWO));
    let refused = file.change("there", &[kept(0, rule("teams", "(", "x"))]).expect_err("a bad rule").to_string();
    assert!(refused.contains("no valid configuration"), "{refused}");

    let shared = format!(
        "origin:\n  mounts: [secret/]\n  vault: {{address: \"{VAULT}\"}}\ndestinations:\n  - name: a\n    vault: {{address: \"{VAULT}\"}}\n    transforms: &rules\n      - {{name: teams, from: a, to: secret/data/b}}\n  - name: b\n    vault: {{address: \"{VAULT}\"}}\n    transforms: *rules\n"
    );
    let (_folder, file, _) = open("vsync.yaml", &shared);
    let mine = kept(0, rule("teams", "x", "secret/data/b"));
    let refused = file.change("a", std::slice::from_ref(&mine)).expect_err("shared rules").to_string();
    assert!(refused.contains("other values hang on these rules"), "{refused}");
    let refused = file.change("b", &[mine]).expect_err("an alias").to_string();
    assert!(refused.contains("alias"), "{refused}");
}

#[cfg(unix)]
#[test]
fn mode_and_links_are_kept() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    let (real, link) = (folder.path().join("real.toml"), folder.path().join("vsync.toml"));
    std::fs::write(&real, toml(TWO)).expect("a file");
    std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    symlink(&real, &link).expect("a link");
    let sources = Sources { file: Some(link.clone()), ..Sources::default() };
    let loaded = load(&sources).unwrap_or_else(|error| panic!("{error}"));
    let mut file = RulesFile::new(&loaded, &sources).expect("a file");
    let change = file.change("there", &[kept(1, rest())]).expect("a change");
    file.write(change).expect("written");
    assert!(std::fs::symlink_metadata(&link).expect("the link").is_symlink());
    assert_eq!(std::fs::metadata(&real).expect("the file").permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 2, "nothing is left beside it");
    let again = file.change("there", &[kept(0, rest()), new(teams())]).expect("a second change");
    file.write(again).expect("written");
}

#[test]
fn the_lines_that_change_show_no_secret() {
    let text = format!(
        "{{\"origin\":{{\"mounts\":[\"secret/\"],\"vault\":{{\"address\":\"{VAULT}\",\"token\":\"s.canary\"}}}},\"destination\":{{\"vault\":{{\"address\":\"{VAULT}\"}},\"transforms\":[]}}}}"
    );
    let (_folder, file, _) = open("vsync.json", &text);
    let change = file.change("destination", &[new(teams())]).expect("a change");
    assert!(!change.lines().is_empty() && !format!("{change:?} {file:?}").contains("canary"));
}
