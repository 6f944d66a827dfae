//! Which rights a token needs for what is configured: one table a side, of what is asked for, when, where, and why.
//!
//! `vsync policy` prints it, `vsync check` compares it with what the token has.

mod rules;
mod table;

use std::collections::BTreeSet;

use self::table::{DESTINATION, ORIGIN};
use super::policy::Stanza;
use super::{Fidelity, Listing, OnDelete, OnDrift, OnExisting, Transforms};
use crate::kv::{Mount, PathFilter, Pattern};

/// What is done only if somebody asks for it, with rights of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extra {
    /// `SCAN`, which makes an inventory in the fewest requests.
    Scan,
    /// `vsync undo`.
    Undo,
    /// `vsync verify`, and what a first plan can tell of secrets that are there already.
    Verify,
    /// Names of keys in the console.
    Console,
}

impl Extra {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Scan, Self::Undo, Self::Verify, Self::Console];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Undo => "undo",
            Self::Verify => "verify",
            Self::Console => "console",
        }
    }

    /// What it is for.
    #[must_use]
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Scan => {
                "OpenBao only (HashiCorp Vault refuses a policy with \"scan\"): whole folders listed by one request"
            }
            Self::Undo => "for \"vsync undo\"",
            Self::Verify => {
                "for \"vsync verify\" of many secrets and --deep, and for a first plan that tells what is there already"
            }
            Self::Console => "for the names of a secret's keys in the console; values are not read for it",
        }
    }
}

/// How much a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Without it something fails.
    Needed,
    /// Without it something is done in a worse way, which the reason tells.
    Advised,
    /// Only for this.
    For(Extra),
}

/// Where a right is needed.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// At the secrets, under this part of the mount's API.
    Secrets(&'static str),
    /// At those of the origin's secrets that go to a destination.
    Copied(&'static str),
    /// At the folders that have to be listed to find the secrets.
    Folders(&'static str),
    /// At the top of the mount.
    Top(&'static str),
    /// At the secrets of a mount of KV version 1. All other places in mounts are those of version 2.
    SecretsOfV1,
    /// At its folders.
    FoldersOfV1,
    /// At the mount's own configuration.
    Config,
    /// At the server's entry for the mount.
    Mounting,
    /// At this path.
    Path(&'static str),
}

/// A row of a table.
struct Need<U> {
    place: Place,
    capabilities: &'static [&'static str],
    /// `None`: not at all.
    weight: fn(&U) -> Option<Weight>,
    reason: &'static str,
}

/// What the origin is used for.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a condition of its own")]
pub struct OriginUse {
    /// The mounts that are read.
    pub mounts: Vec<Mount>,
    /// What its include globs confine it to; `None`: nothing.
    pub scopes: Option<Vec<Pattern>>,
    /// What goes to the destinations, as their include globs confine it further.
    pub copied: Option<Vec<Pattern>>,
    /// How metadata is listed.
    pub listing: Listing,
    /// Whether anything is copied from it. A daemon that only keeps its sync info copies nothing.
    pub copies: bool,
    /// Whether what is gone there is deleted anywhere.
    pub deletes: bool,
    /// Whether destinations get missing mounts with the options of its own.
    pub creates_mounts: bool,
    /// Those of its mounts that are of KV version 1.
    pub v1_mounts: Vec<Mount>,
    /// How much of a secret is copied, at most.
    pub fidelity: Fidelity,
    /// Whether the token comes from a login, and a new one is had by another.
    pub logs_in: bool,
}

/// What a destination is used for.
#[derive(Debug)]
pub struct DestinationUse {
    /// Where secrets may be: a mount, and the paths in it.
    pub places: Vec<(Mount, Vec<Pattern>)>,
    /// What becomes of what is gone at the origin.
    pub on_delete: OnDelete,
    /// Whether missing mounts are created.
    pub creates_mounts: bool,
    /// Whether copies are looked at: there are canaries, or the origin has no versions.
    pub compares: bool,
    /// What is done about what somebody else changed.
    pub on_drift: OnDrift,
    /// What is done about what was there before.
    pub on_existing: OnExisting,
    /// How much of a secret is copied.
    pub fidelity: Fidelity,
    /// Whether the token comes from a login, and a new one is had by another.
    pub logs_in: bool,
}

/// What a token needs at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The path, or the pattern, as policies have it.
    pub path: String,
    /// What something fails without.
    pub needed: BTreeSet<&'static str>,
    /// What something is done in a worse way without.
    pub advised: BTreeSet<&'static str>,
    /// Why, each a sentence.
    pub reasons: Vec<&'static str>,
    /// The mount it is about, if it is about one.
    pub mount: Option<Mount>,
}

impl Right {
    /// Everything that is needed or advised.
    #[must_use]
    pub fn capabilities(&self) -> BTreeSet<&'static str> {
        self.needed.union(&self.advised).copied().collect()
    }

    /// The rule for a policy that gives all of it.
    #[must_use]
    pub fn stanza(&self) -> Stanza {
        Stanza { path: self.path.clone(), capabilities: self.capabilities().into_iter().collect() }
    }
}

/// What a side's token needs.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// For what is configured.
    pub always: Vec<Right>,
    /// For what somebody may ask for beside it. A rule for a path that [`Rights::always`] has adds to it: policies add up
    /// what they say of one path.
    pub extras: Vec<(Extra, Vec<Right>)>,
}

impl OriginUse {
    /// What its token needs, if these extras are among what it is used for.
    #[must_use]
    pub fn rights(&self, with: &[Extra]) -> Rights {
        let inside = |scopes: &Option<Vec<Pattern>>, mount: &Mount| match scopes {
            None => vec![Pattern::everything()],
            Some(scopes) => scopes.iter().filter_map(|scope| scope.within(mount.as_str())).collect(),
        };
        let mounts: Vec<_> = self
            .mounts
            .iter()
            .map(|mount| rules::Mounted {
                mount: mount.clone(),
                secrets: inside(&self.scopes, mount),
                copied: inside(&self.copied, mount),
                is_v1: self.v1_mounts.contains(mount),
            })
            .collect();
        rules::rights(ORIGIN, self, &mounts, with)
    }
}

impl DestinationUse {
    /// Where secrets of a configuration may be at a destination: where its transforms lead, and where paths stay as they
    /// are, as far as the mounts reach.
    #[must_use]
    pub fn places(
        origin_mounts: &[Mount],
        scopes: Option<&[Pattern]>,
        transforms: &Transforms,
        mounts: &[Mount],
    ) -> Vec<(Mount, Vec<Pattern>)> {
        let images = transforms.images();
        let inside = |mount: &Mount| {
            let by_rules = images.iter().filter_map(|(_, image)| image.within(&format!("{mount}data/")));
            let stays = origin_mounts.contains(mount);
            let as_they_are = match scopes {
                _ if !stays => Vec::new(),
                None => vec![Pattern::everything()],
                Some(scopes) => scopes.iter().filter_map(|scope| scope.within(mount.as_str())).collect(),
            };
            by_rules.chain(as_they_are).collect()
        };
        mounts.iter().map(|mount| (mount.clone(), inside(mount))).collect()
    }

    /// What its token needs, if these extras are among what it is used for.
    #[must_use]
    pub fn rights(&self, with: &[Extra]) -> Rights {
        let mounts: Vec<_> = self
            .places
            .iter()
            .map(|(mount, secrets)| rules::Mounted {
                mount: mount.clone(),
                secrets: secrets.clone(),
                copied: secrets.clone(),
                is_v1: false,
            })
            .collect();
        rules::rights(DESTINATION, self, &mounts, with)
    }
}

/// What two sets of include globs confine to together; `None`: nothing.
#[must_use]
pub fn meet(one: &PathFilter, other: &PathFilter) -> Option<Vec<Pattern>> {
    match (one.scopes(), other.scopes()) {
        (Some(one), Some(other)) => {
            Some(one.iter().flat_map(|scope| other.iter().filter_map(|other| scope.meet(other))).collect())
        }
        (one, other) => one.or(other).map(<[Pattern]>::to_vec),
    }
}

impl Rights {
    /// Whether one token with the rules of both would be allowed less than two tokens: the more specific of two rules hides
    /// what the wider one allows.
    #[must_use]
    pub fn get_in_the_way_of(&self, other: &Self) -> bool {
        let hides = |narrow: &Right, wide: &Right| {
            // at a folder's own path nothing but listing is asked for
            !narrow.path.ends_with('/') && !wide.capabilities().is_subset(&narrow.capabilities())
        };
        self.always.iter().any(|one| {
            other.always.iter().filter(|other| one.path != other.path).any(|other| {
                if rules::covers(&one.path, &other.path) {
                    hides(other, one)
                } else if rules::covers(&other.path, &one.path) {
                    hides(one, other)
                } else {
                    rules::overlap(&one.path, &other.path) && one.capabilities() != other.capabilities()
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(include: &[&str], listing: Listing) -> OriginUse {
        let mounts = vec![Mount::parse("secret").expect("a mount")];
        let include: Vec<String> = include.iter().map(|&glob| glob.to_owned()).collect();
        let scopes = PathFilter::new(&include, &[], &mounts).expect("globs").scopes().map(<[_]>::to_vec);
        OriginUse {
            mounts,
            copied: scopes.clone(),
            scopes,
            listing,
            copies: true,
            creates_mounts: false,
            v1_mounts: Vec::new(),
            deletes: true,
            fidelity: Fidelity::Value,
            logs_in: false,
        }
    }

    fn destination(on_drift: OnDrift, on_existing: OnExisting) -> DestinationUse {
        let mount = Mount::parse("secret").expect("a mount");
        let places = vec![(mount, vec![Pattern::everything()])];
        DestinationUse {
            places,
            on_delete: OnDelete::Soft,
            creates_mounts: false,
            compares: false,
            on_drift,
            on_existing,
            fidelity: Fidelity::Value,
            logs_in: true,
        }
    }

    fn rules(rights: &Rights) -> Vec<String> {
        rights.always.iter().map(|right| format!("{} {}", right.stanza().capabilities.join(","), right.path)).collect()
    }

    #[test]
    fn a_listing_that_is_pinned_needs_only_its_own_rights() {
        let own = ["read auth/token/lookup-self", "update auth/token/renew-self", "update sys/capabilities-self"];
        for (listing, expected) in [
            (Listing::Scan, &["scan secret/detailed-metadata/", "read secret/metadata/*", "read secret/data/*"][..]),
            (Listing::Detailed, &["list secret/detailed-metadata/*", "read secret/metadata/*", "read secret/data/*"]),
            (Listing::Plain, &["list,read secret/metadata/*", "read secret/data/*"]),
            (Listing::Auto, &["list secret/detailed-metadata/*", "list,read secret/metadata/*", "read secret/data/*"]),
        ] {
            assert_eq!(rules(&origin(&[], listing).rights(&[])), [expected, &own[..]].concat(), "{listing:?}");
        }
        let keeps_all = OriginUse { deletes: false, ..origin(&[], Listing::Scan) };
        assert!(!rules(&keeps_all.rights(&[])).iter().any(|rule| rule.contains("secret/metadata")));
        let counts_only = OriginUse { copies: false, deletes: false, ..origin(&[], Listing::Plain) };
        assert!(!rules(&counts_only.rights(&[])).iter().any(|rule| rule.contains("data/*") && !rule.contains("meta")));
    }

    #[test]
    fn a_mount_of_version_1_has_rules_of_its_own() {
        let old = Mount::parse("old").expect("a mount");
        let mounts = vec![old.clone(), Mount::parse("secret").expect("a mount")];
        let used = OriginUse { mounts, v1_mounts: vec![old], creates_mounts: true, ..origin(&[], Listing::Plain) };
        let expected = ["list,read secret/metadata/*", "read secret/data/*", "list,read old/*", "read secret/config"];
        let mut found = rules(&used.rights(&[]));
        found.truncate(expected.len());
        assert_eq!(found, expected);
    }

    #[test]
    fn include_globs_ask_for_less() {
        let include = ["secret/a/b/**", "secret/a/b/c/*", "secret/a/b/**", "secret/x/app", "kv/**"];
        let expected = [
            "list secret/metadata/",
            "list secret/metadata/a/",
            "list,read secret/metadata/a/b/*",
            "list secret/metadata/x/",
            "read secret/metadata/x/app",
            "read secret/data/a/b/*",
            "read secret/data/x/app",
        ];
        assert_eq!(rules(&origin(&include, Listing::Plain).rights(&[]))[..7], expected);
    }

    #[test]
    fn values_are_read_at_a_destination_only_where_they_are_compared() {
        let data = |on_drift, on_existing| {
            let rights = destination(on_drift, on_existing).rights(&[]);
            let right = rights.always.into_iter().find(|right| right.path == "secret/data/*").expect("a rule");
            (right.needed.contains("read"), right.advised.contains("read"))
        };
        assert_eq!(data(OnDrift::Report, OnExisting::Report), (false, true));
        assert_eq!(data(OnDrift::Keep, OnExisting::Adopt), (true, false));
        assert_eq!(data(OnDrift::Overwrite, OnExisting::Adopt), (true, false));
        assert_eq!(data(OnDrift::Overwrite, OnExisting::Report), (false, false));
    }

    #[test]
    fn what_is_only_needed_for_something_is_apart_until_it_is_asked_for() {
        let used = destination(OnDrift::Overwrite, OnExisting::Report);
        let undo = |rights: &Rights| rules(rights).iter().any(|rule| rule == "update secret/undelete/*");
        let rights = used.rights(&[]);
        assert!(!undo(&rights));
        let (_, extra) = rights.extras.iter().find(|(extra, _)| *extra == Extra::Undo).expect("undo");
        let paths: Vec<_> = extra.iter().map(|right| right.path.as_str()).collect();
        assert_eq!(paths, ["secret/data/*", "secret/undelete/*"]);
        let rights = used.rights(&[Extra::Undo]);
        assert!(undo(&rights) && rights.extras.iter().all(|(extra, _)| *extra != Extra::Undo));
    }

    #[test]
    fn transforms_narrow_a_destination_to_where_they_lead() {
        let mount = |text: &str| Mount::parse(text).expect("a mount");
        let rule = super::super::Rule {
            name: "r".to_owned(),
            from: "^secret/data/(?P<env>dev|prod)/(?P<app>[^/]+)$".to_owned(),
            to: "kv/data/${env}/app-${app}".to_owned(),
        };
        let transforms = Transforms::new(&[rule]).expect("a rule");
        let places = |mounts: &[Mount]| {
            let places = DestinationUse::places(&[mount("secret")], None, &transforms, mounts);
            let texts = places
                .iter()
                .flat_map(|(mount, patterns)| patterns.iter().map(move |pattern| format!("{mount}{pattern}")));
            texts.collect::<Vec<_>>()
        };
        assert_eq!(places(&[mount("kv")]), ["kv/+/app-*"], "what no rule matches has no mount to go to");
        assert_eq!(places(&[mount("kv"), mount("secret")]), ["kv/+/app-*", "secret/*"]);
    }

    #[test]
    fn one_token_may_have_both_policies_if_neither_hides_the_other() {
        let there = destination(OnDrift::Overwrite, OnExisting::Report).rights(&[]);
        let same_paths = origin(&[], Listing::Plain).rights(&[]);
        assert!(!same_paths.get_in_the_way_of(&there), "rules for one path add up");
        let narrow = origin(&["secret/old/**"], Listing::Plain).rights(&[]);
        assert!(narrow.get_in_the_way_of(&there) && there.get_in_the_way_of(&narrow));
    }
}
