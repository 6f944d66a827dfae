//! From rows of a table to the rules of a policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Extra, Need, Place, Right, Rights, Weight};
use crate::kv::{Mount, Pattern, mount_in_policies};

/// A mount, and which of its secrets are meant.
pub(super) struct Mounted {
    pub(super) mount: Mount,
    pub(super) secrets: Vec<Pattern>,
    pub(super) copied: Vec<Pattern>,
    pub(super) is_v1: bool,
}

pub(super) fn rights<U>(table: &[Need<U>], used: &U, mounts: &[Mounted], with: &[Extra]) -> Rights {
    let collect = |extra: Option<Extra>| {
        let rows = table.iter().filter_map(|row| match (row.weight)(used)? {
            Weight::For(other) if extra == Some(other) || with.contains(&other) => Some((row, true)),
            Weight::For(_) => None,
            weight => Some((row, weight == Weight::Needed)),
        });
        let mut rules = Rules::default();
        for (row, needed) in rows {
            for (path, mount) in paths(row.place, mounts) {
                rules.add(path, mount, row.capabilities, needed, row.reason);
            }
        }
        rules.consistent()
    };
    let always = collect(None);
    let extra = |extra: Extra| {
        let is_new = |right: &Right| {
            let same = always.iter().find(|other| other.path == right.path);
            same.is_none_or(|same| same.capabilities() != right.capabilities())
        };
        let rights: Vec<_> = collect(Some(extra)).into_iter().filter(is_new).collect();
        (!rights.is_empty()).then_some((extra, rights))
    };
    let extras = Extra::ALL.into_iter().filter(|extra| !with.contains(extra)).filter_map(extra).collect();
    Rights { always, extras }
}

/// The paths of a place, and the mounts they are in.
fn paths(place: Place, mounts: &[Mounted]) -> Vec<(String, Option<Mount>)> {
    let of_version = |is_v1: bool, part: &str, paths: fn(&Mounted) -> Vec<String>| {
        let of_mount = |mounted: &Mounted| {
            let root = format!("{}{part}", mount_in_policies(&mounted.mount));
            let mount = mounted.mount.clone();
            let paths = paths(mounted).into_iter();
            paths.map(|path| (format!("{root}{path}"), Some(mount.clone()))).collect::<Vec<_>>()
        };
        mounts.iter().filter(|mounted| mounted.is_v1 == is_v1).flat_map(of_mount).collect()
    };
    let secrets = |mounted: &Mounted| mounted.secrets.iter().map(Pattern::to_string).collect();
    let folders = |mounted: &Mounted| mounted.secrets.iter().flat_map(Pattern::folders).collect();
    let each = |part: &str, paths| of_version(false, &format!("{part}/"), paths);
    match place {
        Place::SecretsOfV1 => of_version(true, "", secrets),
        Place::FoldersOfV1 => of_version(true, "", folders),
        Place::Secrets(part) => each(part, secrets),
        Place::Copied(part) => each(part, |mounted| mounted.copied.iter().map(Pattern::to_string).collect()),
        Place::Folders(part) => each(part, folders),
        Place::Top(part) => each(part, |mounted| {
            let top = (!mounted.secrets.is_empty()).then(String::new);
            top.into_iter().collect()
        }),
        Place::Config => each_mount(mounts, |mount| format!("{mount}config")),
        Place::Mounting => each_mount(mounts, |mount| format!("sys/mounts/{}", mount.trim_end_matches('/'))),
        Place::Path(path) => vec![(path.to_owned(), None)],
    }
}

fn each_mount(mounts: &[Mounted], path: fn(&str) -> String) -> Vec<(String, Option<Mount>)> {
    let used = mounts.iter().filter(|mounted| !mounted.is_v1 && !mounted.secrets.is_empty());
    used.map(|mounted| (path(&mount_in_policies(&mounted.mount)), Some(mounted.mount.clone()))).collect()
}

/// Rules by path, in the order in which the table brings them up.
#[derive(Default)]
struct Rules {
    order: Vec<String>,
    rights: BTreeMap<String, Right>,
}

impl Rules {
    fn add(
        &mut self,
        path: String,
        mount: Option<Mount>,
        capabilities: &[&'static str],
        needed: bool,
        reason: &'static str,
    ) {
        let right = self.rights.entry(path.clone()).or_insert_with(|| {
            self.order.push(path.clone());
            Right { path, needed: BTreeSet::new(), advised: BTreeSet::new(), reasons: Vec::new(), mount }
        });
        let into = if needed { &mut right.needed } else { &mut right.advised };
        into.extend(capabilities);
        if !right.reasons.contains(&reason) {
            right.reasons.push(reason);
        }
    }

    /// Of several rules that fit a path, only the most specific one holds. So a rule takes over what a wider one allows, and
    /// is left out if it allows nothing more.
    fn consistent(mut self) -> Vec<Right> {
        let before = self.rights.clone();
        for right in self.rights.values_mut() {
            let folder = format!("{}/", right.path);
            for wide in before.values().filter(|wide| wide.path != right.path) {
                // a rule for exactly the path of a folder holds for listing it, too
                if covers(&wide.path, &right.path) || is_exact(&right.path) && covers(&wide.path, &folder) {
                    right.needed.extend(&wide.needed);
                    right.advised.extend(&wide.advised);
                    let new = wide.reasons.iter().filter(|reason| !right.reasons.contains(reason));
                    right.reasons.extend(new.copied().collect::<Vec<_>>());
                }
            }
            right.advised = right.advised.difference(&right.needed).copied().collect();
        }
        let all = self.rights.clone();
        let redundant = |right: &Right| {
            all.values().any(|wide| {
                wide.path != right.path
                    && covers(&wide.path, &right.path)
                    // of a folder's own path a `+` behind it would take over (it stands for an empty segment, too)
                    && (wide.path.ends_with('*') || !right.path.ends_with('/'))
                    && wide.needed.is_superset(&right.needed)
                    && wide.capabilities() == right.capabilities()
            })
        };
        let rights = self.order.iter().filter_map(|path| self.rights.remove(path));
        rights.filter(|right| !redundant(right)).collect()
    }
}

fn is_exact(path: &str) -> bool {
    !path.ends_with(['*', '/']) && path.split('/').all(|segment| segment != "+")
}

/// Whether every path that the narrow pattern names is named by the wide one.
pub(super) fn covers(wide: &str, narrow: &str) -> bool {
    let wide: Vec<&str> = wide.split('/').collect();
    let narrow: Vec<&str> = narrow.split('/').collect();
    for (at, segment) in wide.iter().enumerate() {
        let Some(other) = narrow.get(at) else { return false };
        let is_last = |segments: &[&str]| at + 1 == segments.len();
        if let Some(prefix) = segment.strip_suffix('*').filter(|_| is_last(&wide)) {
            return other.starts_with(prefix) && (*other != "+" || prefix.is_empty());
        }
        let fits = match *segment {
            "+" => !(other.is_empty() || is_last(&narrow) && other.ends_with('*')),
            literal => literal == *other,
        };
        if !fits {
            return false;
        }
    }
    wide.len() == narrow.len()
}

/// Whether some path is named by both patterns.
pub(super) fn overlap(one: &str, other: &str) -> bool {
    let one: Vec<&str> = one.split('/').collect();
    let other: Vec<&str> = other.split('/').collect();
    for at in 0..one.len().max(other.len()) {
        let (Some(a), Some(b)) = (one.get(at), other.get(at)) else { return false };
        let glob =
            |segment: &str, all: &[&str]| segment.strip_suffix('*').filter(|_| at + 1 == all.len()).map(str::to_owned);
        match (glob(a, &one), glob(b, &other)) {
            (Some(a), Some(b)) => return a.starts_with(&b) || b.starts_with(&a),
            (Some(prefix), None) => return *b == "+" || b.starts_with(&prefix),
            (None, Some(prefix)) => return *a == "+" || a.starts_with(&prefix),
            (None, None) if a == b || *a == "+" && !b.is_empty() || *b == "+" && !a.is_empty() => {}
            (None, None) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_pattern_covers_what_is_in_it() {
        for (wide, narrow) in [
            ("s/data/*", "s/data/a/b"),
            ("s/data/*", "s/data/+/b"),
            ("s/data/*", "s/data/a/*"),
            ("s/data/+/db", "s/data/a/db"),
            ("s/data/ap*", "s/data/app-*"),
            ("s/data/*", "s/data/"),
        ] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
            assert!(!covers(narrow, wide) || wide == narrow, "{narrow} {wide}");
            assert!(overlap(wide, narrow) && overlap(narrow, wide), "{wide} {narrow}");
        }
        for (one, other) in [("s/data/a/*", "s/data/b/*"), ("s/data/+", "s/data/a/b"), ("s/data/+/", "s/data/a/b")] {
            assert!(!covers(one, other) && !covers(other, one) && !overlap(one, other), "{one} {other}");
        }
        assert!(!covers("s/data/+", "s/data/a*"), "it goes on below");
        assert!(overlap("s/data/a/+", "s/data/+/b"));
    }

    #[test]
    fn a_more_specific_rule_allows_what_wider_ones_do() {
        let mut rules = Rules::default();
        rules.add("s/metadata/team/*".to_owned(), None, &["list", "read"], true, "wide");
        rules.add("s/metadata/team/app".to_owned(), None, &["read"], true, "the same");
        rules.add("s/metadata/team/app2".to_owned(), None, &["update"], true, "more");
        rules.add("s/metadata/+/".to_owned(), None, &["list"], true, "folders");
        rules.add("s/metadata/y/".to_owned(), None, &["list"], true, "the folder of the next");
        rules.add("s/metadata/y/+".to_owned(), None, &["read"], true, "would hold for the folder, too");
        rules.add("s/metadata/x".to_owned(), None, &["read"], true, "with a folder of its name");
        let rights = rules.consistent();
        let texts: Vec<_> = rights.iter().map(|right| right.stanza().to_string()).collect();
        assert_eq!(
            texts,
            [
                r#"path "s/metadata/team/*" { capabilities = ["list", "read"] }"#,
                r#"path "s/metadata/team/app2" { capabilities = ["list", "read", "update"] }"#,
                r#"path "s/metadata/+/" { capabilities = ["list"] }"#,
                r#"path "s/metadata/y/" { capabilities = ["list"] }"#,
                r#"path "s/metadata/y/+" { capabilities = ["read"] }"#,
                r#"path "s/metadata/x" { capabilities = ["list", "read"] }"#,
            ]
        );
        assert_eq!(rights[1].reasons, ["more", "wide"]);
    }
}
