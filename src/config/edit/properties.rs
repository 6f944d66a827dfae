//! Whatever is done to the rules of a file: it says exactly these afterwards, and nothing else has changed.

use proptest::prelude::*;

use super::tests::{open, rule};
use super::*;

const VAULT: &str = "http://127.0.0.1:8200";

/// How rules are written in a file.
#[derive(Debug, Clone, Copy)]
enum Style {
    TomlTables,
    TomlBrackets,
    TomlOneLine,
    YamlEntries,
    YamlBraces,
    YamlOneLine,
    Json,
    JsonOneLine,
    HclBlocks,
    HclList,
}

const STYLES: [Style; 10] = [
    Style::TomlTables,
    Style::TomlBrackets,
    Style::TomlOneLine,
    Style::YamlEntries,
    Style::YamlBraces,
    Style::YamlOneLine,
    Style::Json,
    Style::JsonOneLine,
    Style::HclBlocks,
    Style::HclList,
];

impl Style {
    fn has_comments(self) -> bool {
        !matches!(self, Self::TomlOneLine | Self::YamlOneLine | Self::Json | Self::JsonOneLine)
    }

    /// One rule among others of the file.
    fn written(self, at: usize) -> String {
        match self {
            Self::TomlTables => format!(
                "\n# lead {at}\n[[destinations.transforms]] # head {at}\nname = \"r{at}\" # inner {at}\nfrom = 'secret/data/(?P<x>{at}.*)'\nto = \"secret/data/t{at}/${{x}}\"\n"
            ),
            Self::TomlBrackets => format!(
                "  # lead {at}\n  {{ name = \"r{at}\", from = 'secret/data/(?P<x>{at}.*)', to = \"secret/data/t{at}/${{x}}\" }}, # inner {at}\n"
            ),
            Self::TomlOneLine => {
                format!("{{ name = \"r{at}\", from = 'secret/data/(?P<x>{at}.*)', to = \"secret/data/t{at}/${{x}}\" }}")
            }
            Self::YamlEntries => format!(
                "      # lead {at}\n      - name: r{at} # inner {at}\n        from: 'secret/data/(?P<x>{at}.*)'\n        to: >-\n          secret/data/t{at}/${{x}}\n"
            ),
            Self::YamlBraces => format!(
                "    # lead {at}\n    - {{name: r{at}, from: \"secret/data/(?P<x>{at}.*)\", to: 'secret/data/t{at}/${{x}}'}} # inner {at}\n"
            ),
            Self::YamlOneLine => {
                format!("{{name: r{at}, from: \"secret/data/(?P<x>{at}.*)\", to: 'secret/data/t{at}/${{x}}'}}")
            }
            Self::Json => format!(
                "\n        {{\n          \"name\": \"r{at}\",\n          \"from\": \"secret/data/(?P<x>{at}.*)\",\n          \"to\": \"secret/data/t{at}/${{x}}\"\n        }}"
            ),
            Self::JsonOneLine => format!(
                "{{\"name\":\"r{at}\",\"from\":\"secret/data/(?P<x>{at}.*)\",\"to\":\"secret/data/t{at}/${{x}}\"}}"
            ),
            Self::HclBlocks => format!(
                "  # lead {at}\n  transforms {{\n    name = \"r{at}\" # inner {at}\n    from = \"secret/data/(?P<x>{at}.*)\"\n    to   = \"secret/data/t{at}/${{x}}\"\n  }}\n"
            ),
            Self::HclList => format!(
                "    // lead {at}\n    {{ name = \"r{at}\", from = \"secret/data/(?P<x>{at}.*)\", to = \"secret/data/t{at}/${{x}}\" }}, // inner {at}\n"
            ),
        }
    }

    /// A file with so many rules, its name first.
    fn file(self, count: usize) -> (&'static str, String) {
        let rules: Vec<String> = (0..count).map(|at| self.written(at)).collect();
        let toml = |rules: String| {
            let text = format!(
                "# first\n[origin]\nmounts = [\"secret/\"] # all\nvault = {{ address = \"{VAULT}\" }}\n[[destinations]]\nname = \"other\"\nvault.address = \"{VAULT}\"\n[[destinations]] # ours\nname = \"there\"\nvault.address = \"{VAULT}\"\n{rules}[destinations.guards]\nmax_delete = 3 # few\n# last\n"
            );
            ("vsync.toml", text)
        };
        let yaml = |rules: String| {
            let text = format!(
                "# first\norigin:\n  mounts: [secret/] # all\n  vault: {{address: \"{VAULT}\"}}\ndestinations:\n  - name: other\n    vault: {{address: \"{VAULT}\"}}\n  - name: there # ours\n    vault:\n      address: {VAULT}\n{rules}    guards: # few\n      max_delete: 3\n# last\n"
            );
            ("vsync.yaml", text)
        };
        let hcl = |rules: String| {
            let text = format!(
                "# first\norigin {{\n  mounts = [\"secret/\"] # all\n  vault {{\n    address = \"{VAULT}\"\n  }}\n}}\ndestinations \"other\" {{\n  vault {{\n    address = \"{VAULT}\"\n  }}\n}}\ndestinations \"there\" {{ # ours\n  vault {{\n    address = \"{VAULT}\"\n  }}\n{rules}  guards {{\n    max_delete = 3 # few\n  }}\n}}\n# last\n"
            );
            ("vsync.hcl", text)
        };
        let json = |rules: String| {
            let text = format!(
                "{{\n  \"origin\": {{\"mounts\": [\"secret/\"], \"vault\": {{\"address\": \"{VAULT}\"}}}},\n  \"destinations\": [\n    {{\"name\": \"other\", \"vault\": {{\"address\": \"{VAULT}\"}}}},\n    {{\n      \"name\": \"there\",\n      \"vault\": {{\"address\": \"{VAULT}\"}},\n      \"transforms\": [{rules}],\n      \"guards\": {{\"max_delete\": 3}}\n    }}\n  ]\n}}\n"
            );
            ("vsync.json", text)
        };
        let none = count == 0;
        match self {
            Self::TomlTables => toml(rules.concat()),
            Self::TomlBrackets => toml(format!("transforms = [\n{}]\n", rules.concat())),
            Self::TomlOneLine => toml(format!("transforms = [{}]\n", rules.join(", "))),
            Self::YamlEntries if none => yaml(String::new()),
            Self::YamlEntries | Self::YamlBraces => yaml(format!("    transforms:\n{}", rules.concat())),
            Self::YamlOneLine => yaml(format!("    transforms: [{}] # all on one\n", rules.join(", "))),
            Self::Json if none => json(String::new()),
            Self::Json => json(format!("{}\n      ", rules.join(","))),
            Self::JsonOneLine => json(rules.join(",")),
            Self::HclBlocks => hcl(rules.concat()),
            Self::HclList => hcl(format!("  transforms = [\n{}  ]\n", rules.concat())),
        }
    }
}

fn original(at: usize) -> Rule {
    rule(&format!("r{at}"), &format!("secret/data/(?P<x>{at}.*)"), &format!("secret/data/t{at}/${{x}}"))
}

/// Names that are hard to quote.
fn hard() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        "[ -~]{1,16}",
        Just("it's \"so\" # not: a comment, {really} [no]".to_owned()),
        Just("Übersicht 日本語\t\\".to_owned()),
        Just("- x".to_owned()),
        Just("true".to_owned()),
        Just("12".to_owned()),
    ]
}

fn new_rule() -> impl Strategy<Value = Rule> {
    let from = prop_oneof![
        Just("^secret/data/(?P<x>[^/]+)/\\w+'s \"y\" #z$"),
        Just("a{2}%{3}: (?P<x>.+), [#&]"),
        Just("(?P<x>\\d+)\\\\$"),
        Just("^(?P<x>日本)"),
    ];
    let to = prop_oneof![Just("secret/data/n/${x}"), Just("secret/data/it's/${x} #1"), Just("secret/data/x/y: z")];
    (hard(), from, to).prop_map(|(name, from, to)| rule(&name, from, to))
}

/// The rules of a file in another order, some gone, some changed, and new ones among them.
fn edits(count: usize) -> impl Strategy<Value = Vec<EditedRule>> {
    let kept = (Just((0..count).collect::<Vec<_>>()).prop_shuffle(), 0..=count);
    let changes = proptest::collection::vec(proptest::option::of(new_rule()), count);
    let new = proptest::collection::vec((new_rule(), any::<proptest::sample::Index>()), 0..3);
    (kept, changes, new).prop_map(|((order, keep), changes, new)| {
        let mut rules: Vec<EditedRule> = order[..keep]
            .iter()
            .map(|&at| EditedRule { rule: changes[at].clone().unwrap_or_else(|| original(at)), origin: Some(at) })
            .collect();
        for (rule, place) in new {
            let at = place.index(rules.len() + 1);
            rules.insert(at, EditedRule { rule, origin: None });
        }
        rules
    })
}

fn case() -> impl Strategy<Value = (Style, usize, bool, Vec<EditedRule>)> {
    (proptest::sample::select(&STYLES[..]), 0_usize..4, any::<bool>())
        .prop_flat_map(|(style, count, windows)| (Just(style), Just(count), Just(windows), edits(count)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_file_says_these_rules_and_nothing_else_changes((style, count, windows, rules) in case()) {
        let (name, text) = style.file(count);
        let text = if windows { text.replace('\n', "\r\n") } else { text };
        let (_folder, mut file, loaded) = open(name, &text);
        let before: Vec<_> = loaded.config.destinations[1].transforms.iter().map(crate::config::Transform::rule).collect();
        prop_assert_eq!(before, (0..count).map(original).collect::<Vec<_>>());
        // `change` itself reads the outcome and compares it
        let change = file.change("there", &rules).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        file.write(change).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let after = std::fs::read_to_string(file.path()).expect("the file");
        let (_folder, _, reloaded) = open(name, &after);
        let found: Vec<_> = reloaded.config.destinations[1].transforms.iter().map(crate::config::Transform::rule).collect();
        prop_assert_eq!(found, rules.iter().map(|edited| edited.rule.clone()).collect::<Vec<_>>());
        if windows {
            prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "{}", after);
        }
        if name != "vsync.json" {
            for comment in ["# first", "# all", "# ours", "# few", "# last"] {
                prop_assert!(after.contains(comment), "{} is gone\n{}", comment, after);
            }
        }
        for at in (0..count).filter(|_| style.has_comments()) {
            prop_assert!(after.contains(&format!("lead {at}")), "lead {} is gone\n{}", at, after);
            let is_kept = rules.iter().any(|edited| edited.origin == Some(at));
            prop_assert!(!is_kept || after.contains(&format!("inner {at}")), "inner {} is gone\n{}", at, after);
        }
        // put back, it is the file it was, but for what was taken away
        let again: Vec<EditedRule> = rules.iter().enumerate().map(|(at, edited)| EditedRule { rule: edited.rule.clone(), origin: Some(at) }).collect();
        let (_folder, file, _) = open(name, &after);
        prop_assert!(file.change("there", &again).expect("no change").is_empty());
    }

    #[test]
    fn what_does_not_change_stays_byte_for_byte((style, count) in (proptest::sample::select(&STYLES[..]), 1_usize..4)) {
        let (name, text) = style.file(count);
        let (_folder, file, _) = open(name, &text);
        let mut rules: Vec<EditedRule> = (0..count).map(|at| EditedRule { rule: original(at), origin: Some(at) }).collect();
        prop_assert!(file.change("there", &rules).expect("no change").is_empty());
        rules[0].rule.name = "renamed".to_owned();
        let change = file.change("there", &rules).expect("a change");
        prop_assert_eq!(&change.after, &text.replacen("r0", "renamed", 1));
    }
}
