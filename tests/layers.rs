//! A module may use what stands below it, never what stands above or beside it. The compiler does not mind either way,
//! so this test reads every `crate::` path in the sources.
//!
//! Nor does it mind what the documentation says: another test looks for every test that is named there, and one for
//! live tests that may do more than the documentation says.
#![allow(clippy::expect_used, reason = "a test that cannot read the sources has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the lowest layer to the highest. Those in one row do not know each other.
const LAYERS: &[&[&str]] = &[
    &["exit", "files", "hardening", "kv", "text"],
    &["sync_info"],
    &["http"],
    &["consul", "vault"],
    &["state"],
    &["engine"],
    &["config", "export"],
    &["connect", "logging"],
    &["daemon"],
    &["cli", "demo", "tui"],
];

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// One use of a module by another that the layers forbid, or that they say nothing about.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    user: String,
    used: String,
}

/// What is wrong in one source file of the module `user`.
fn check(user: &str, source: &str) -> Vec<Wrong> {
    let wrong = |line, used: &str| Wrong { line, user: user.to_owned(), used: used.to_owned() };
    let Some(own) = layer_of(user) else { return vec![wrong(1, user)] };
    uses(source)
        .into_iter()
        .filter(|(_, used)| used != user)
        .filter(|(_, used)| layer_of(used).is_none_or(|layer| layer >= own))
        .map(|(line, used)| wrong(line, &used))
        .collect()
}

/// The first segment of every path that starts at `crate::`, with its line. Comments are skipped: a link from the
/// documentation of a low layer to a high one binds nothing.
fn uses(source: &str) -> Vec<(usize, String)> {
    let without_comment =
        |line: &str| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") };
    let code: String = source.lines().map(without_comment).collect();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + "crate::".len()..].trim_start();
        let heads = match rest.strip_prefix('{') {
            Some(group) => group_heads(group),
            None => vec![head(rest)],
        };
        // A capital letter is an item of the crate's root, not a module.
        found.extend(heads.into_iter().filter(|head| head.starts_with(char::is_lowercase)).map(|head| (line, head)));
    }
    found
}

fn head(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first segments in `a::B, c::{D, E}, f}`: the text behind the opening brace of a group.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                heads.push(head(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    heads
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn no_module_uses_what_is_above_or_beside_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut complaints = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).expect("inside of src");
        if inside == Path::new("main.rs") || inside == Path::new("lib.rs") {
            continue;
        }
        let first = inside.components().next().expect("a name").as_os_str().to_str().expect("UTF-8");
        let source = fs::read_to_string(&file).expect("readable");
        for Wrong { line, user, used } in check(first.trim_end_matches(".rs"), &source) {
            complaints.push(match layer_of(&used) {
                Some(_) => format!("src/{}:{line}: {user} must not use {used}", inside.display()),
                None => format!("src/{}:{line}: {used} is in no layer of tests/layers.rs", inside.display()),
            });
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn what_is_above_or_beside_is_found() {
    let found = |user: &str, source: &str| check(user, source).into_iter().map(|wrong| wrong.used).collect::<Vec<_>>();

    assert!(found("engine", "use crate::state::StateStore;\nuse crate::vault::{Health, VaultError};\n").is_empty());
    assert!(found("engine", "use crate::engine::Plan;").is_empty(), "its own module");
    assert!(found("vault", "/// See [`crate::engine::Engine`].\nfn f() {}").is_empty(), "documentation");
    assert!(found("kv", "macro_rules! m { () => { $crate::engine::x() } }").is_empty(), "expands elsewhere");

    assert_eq!(found("vault", "use crate::consul::Session;"), ["consul"], "beside");
    assert_eq!(found("kv", "use crate::sync_info::Insight;"), ["sync_info"], "above");
    assert_eq!(found("state", "fn f() -> crate::engine::Plan { todo() }"), ["engine"], "inline");
    assert_eq!(found("http", "use crate::{\n    kv::{Mount, SecretPath},\n    tui,\n};"), ["tui"], "in a group");
    assert_eq!(found("engine", "use crate::helpers::x;"), ["helpers"], "in no layer");
    assert_eq!(found("helpers", ""), ["helpers"], "in no layer itself");

    let wrong = check("state", "//! Docs.\n\nuse crate::kv::Mount;\nuse crate::cli::Output;\n");
    assert_eq!(wrong, [Wrong { line: 4, user: "state".to_owned(), used: "cli".to_owned() }]);
}

/// `KIND NAME` of every `tests/one KIND NAME` in a page.
fn named_tests(page: &str) -> Vec<(String, String)> {
    let words = |rest: &str| {
        let mut words = rest.split(['`', ' ', '\n']);
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    page.split("`tests/one ").skip(1).filter_map(words).collect()
}

/// The source file in which a test of this name must stand: that of the innermost module that has one.
fn file_of_test(root: &Path, kind: &str, modules: &[&str]) -> Option<PathBuf> {
    let base = if kind == "lib" { root.join("src") } else { root.join("tests").join(kind) };
    let inner = (1..=modules.len()).rev().map(|length| {
        let mut file = base.clone();
        file.extend(&modules[..length]);
        file.set_extension("rs");
        file
    });
    let outer = [base.join("main.rs"), base.with_extension("rs")];
    inner.chain(outer).find(|file| file.is_file())
}

/// Whether a source has a function of this name that is a test.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let head = |line: &str| {
        line.trim_start_matches("async ")
            .strip_prefix("fn ")
            .is_some_and(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')))
    };
    lines.iter().enumerate().filter(|(_, line)| head(line)).any(|(at, _)| {
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        above.any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_test_that_the_documentation_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut named = 0;
    for page in fs::read_dir(root.join("docs")).expect("the documentation") {
        let page = page.expect("an entry").path();
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        for (kind, test) in named_tests(&fs::read_to_string(&page).expect("a page")) {
            named += 1;
            let path: Vec<&str> = test.split("::").collect();
            let (name, modules) = path.split_last().expect("a name");
            let file = file_of_test(root, &kind, modules);
            let source = file.map(|file| fs::read_to_string(file).expect("readable")).unwrap_or_default();
            assert!(has_test(&source, name), "{} names {kind} {test}, and there is no such test", page.display());
        }
    }
    assert!(named > 80, "docs/trust.md names {named} tests");
}

/// Live tests of a client alone, without a configuration for which `vsync policy` could print anything.
const WITH_ROOT: &[&str] = &["clients.rs", "faults.rs"];

#[test]
fn no_live_test_with_a_configuration_has_root_s_token() {
    let live = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live");
    let mut files = Vec::new();
    sources(&live, &mut files);
    for file in files {
        let source = fs::read_to_string(&file).expect("readable");
        let sign = ["ROOT_TOKEN", "\"root", "token=root"].into_iter().find(|sign| source.contains(sign));
        let name = file.strip_prefix(&live).expect("inside of it").to_str().expect("UTF-8");
        assert_eq!(sign.is_some(), WITH_ROOT.contains(&name), "tests/live/{name} has {sign:?}; see docs/trust.md");
    }
}

#[test]
fn a_test_is_told_from_what_is_none() {
    assert!(has_test("#[test]\n#[ignore = \"\"]\nfn one() {\n", "one"));
    assert!(has_test("    /// Docs.\n    #[tokio::test(flavor = \"x\")]\n    async fn one() {\n", "one"));
    assert!(!has_test("#[test]\nfn other() {}\nfn one() {\n", "one"));
    assert!(!has_test("#[test]\nfn one_more() {\n", "one"));
    let named = named_tests("| a | `tests/one live a::b` · `tests/one lib c` |\n");
    assert_eq!(named, [("live".into(), "a::b".into()), ("lib".into(), "c".into())]);
}
