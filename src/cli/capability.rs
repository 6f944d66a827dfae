//! Which capabilities a side needs, and which of them its token has.

use std::collections::BTreeSet;

use crate::engine::{Listing, Stanza};
use crate::kv::{Mount, Scope};

/// What is done at a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// The origin: metadata is listed in this way, secrets are read.
    Read(Listing),
    /// A destination: secrets are written and deleted.
    Write,
}

/// Capabilities on one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) path: String,
    pub(super) needed: &'static [&'static str],
    /// Would be of use, but there is another way.
    pub(super) useful: &'static [&'static str],
}

/// The paths of a mount that secrets can be at, as policies write them; all of it without `scopes`.
pub(super) fn places(mount: &Mount, scopes: Option<&[Scope]>) -> Vec<String> {
    let Some(scopes) = scopes else { return vec!["*".to_owned()] };
    let all: Vec<String> = scopes.iter().filter_map(|scope| scope.within(mount)).collect();
    let covered = |(at, place): (usize, &String)| {
        all.iter().enumerate().any(|(other_at, other)| {
            (other != place || other_at < at)
                && other.strip_suffix('*').map_or(other == place, |prefix| place.starts_with(prefix))
        })
    };
    all.iter().enumerate().filter(|&entry| !covered(entry)).map(|(_, place)| place.clone()).collect()
}

/// The folders that have to be listed to find these places, beside what lies in the places themselves.
fn folders_above(places: &[String]) -> BTreeSet<String> {
    let above = |place: &String| {
        let ends = std::iter::once(0).chain(place.match_indices('/').map(|(slash, _)| slash + 1));
        let folders: Vec<String> = ends.map(|end| place[..end].to_owned()).collect();
        let own = place.strip_suffix('*').map(str::to_owned);
        folders.into_iter().filter(move |folder| Some(folder) != own.as_ref())
    };
    places.iter().flat_map(above).collect()
}

/// What is wanted at these places of a mount.
pub(super) fn wanted(mount: &Mount, places: &[String], need: Need) -> Vec<Wanted> {
    let on =
        |part: &str, place: &str, needed, useful| Wanted { path: format!("{mount}{part}/{place}"), needed, useful };
    let at_places = |part: &'static str, needed, useful| {
        places.iter().map(move |place| on(part, place, needed, useful)).collect::<Vec<_>>()
    };
    let listed = |part: &'static str| {
        folders_above(places).into_iter().map(|folder| on(part, &folder, &["list"], &[])).collect::<Vec<_>>()
    };
    match need {
        // Metadata tells what stands in the way of a write, and whether what is to be deleted is what vsync wrote. Data is
        // read to compare, where the configuration says so, and to undo.
        Need::Write => at_places("data", &["create", "update", "delete"], &["read"])
            .into_iter()
            .chain(at_places("metadata", &["read"], &[]))
            .collect(),
        // before anything is deleted, the secret's own metadata is asked whether it is really gone
        Need::Read(listing) => match listing {
            // the mount is scanned as a whole
            Listing::Scan => {
                vec![vec![on("detailed-metadata", "*", &["scan"], &[])], at_places("metadata", &["read"], &[])]
            }
            Listing::Detailed => vec![
                listed("detailed-metadata"),
                at_places("detailed-metadata", &["list"], &[]),
                at_places("metadata", &["read"], &[]),
            ],
            Listing::Plain => vec![listed("metadata"), at_places("metadata", &["list", "read"], &[])],
            Listing::Auto => vec![
                listed("metadata"),
                at_places("metadata", &["list", "read"], &[]),
                at_places("detailed-metadata", &[], &["scan", "list"]),
            ],
        }
        .into_iter()
        .flatten()
        .chain(at_places("data", &["read"], &[]))
        .collect(),
    }
}

fn grants(granted: &[String], capability: &str) -> bool {
    granted.iter().any(|other| other == capability || other == "root") && !granted.iter().any(|other| other == "deny")
}

/// What is needed and not granted, as `read on secret/data/*`.
pub(super) fn missing(wanted: &[Wanted], granted: &[Vec<String>]) -> Vec<String> {
    let pairs = wanted.iter().zip(granted.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..])));
    pairs
        .flat_map(|(wanted, granted)| {
            let missing = wanted.needed.iter().filter(move |capability| !grants(granted, capability));
            missing.map(|capability| format!("{capability} on {}", wanted.path))
        })
        .collect()
}

/// What is granted of what is wanted, in a few words.
pub(super) fn summary(wanted: &[Wanted], granted: &[Vec<String>]) -> String {
    let pairs = wanted.iter().zip(granted);
    let parts = pairs.filter_map(|(wanted, granted)| {
        let has: Vec<&str> = wanted
            .needed
            .iter()
            .chain(wanted.useful)
            .copied()
            .filter(|capability| grants(granted, capability))
            .collect();
        (!has.is_empty()).then(|| format!("{} on {}", has.join(", "), wanted.path))
    });
    parts.collect::<Vec<_>>().join("; ")
}

/// The lines of a policy that would be enough.
pub(super) fn policy(wanted: &[Wanted]) -> String {
    let rules = wanted
        .iter()
        .filter(|wanted| !wanted.needed.is_empty())
        .map(|wanted| Stanza { path: wanted.path.clone(), capabilities: wanted.needed.to_vec() }.to_string());
    rules.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::PathFilter;

    fn owned(capabilities: &[&[&str]]) -> Vec<Vec<String>> {
        capabilities.iter().map(|list| list.iter().map(|&capability| capability.to_owned()).collect()).collect()
    }

    #[test]
    fn root_may_do_everything_and_what_is_missing_is_named() {
        let mount = Mount::parse("secret").expect("a mount");
        let wanted = wanted(&mount, &places(&mount, None), Need::Read(Listing::Auto));
        assert!(missing(&wanted, &owned(&[&["root"], &["root"], &["root"]])).is_empty());
        let some = owned(&[&["list"], &["deny"], &["read"]]);
        assert_eq!(missing(&wanted, &some), ["read on secret/metadata/*"]);
        assert!(policy(&wanted).contains(r#"path "secret/data/*" { capabilities = ["read"] }"#));
    }

    #[test]
    fn a_destination_need_not_give_away_data() {
        let mount = Mount::parse("kv").expect("a mount");
        let wanted = wanted(&mount, &places(&mount, None), Need::Write);
        assert!(missing(&wanted, &owned(&[&["create", "delete", "update"], &["read"]])).is_empty());
        assert_eq!(missing(&wanted, &[]).len(), 4);
    }

    #[test]
    fn include_globs_ask_for_less() {
        let mount = Mount::parse("secret").expect("a mount");
        let include = ["secret/a/b/**", "secret/a/b/c/*", "secret/a/b/**", "secret/x/app", "kv/**"].map(str::to_owned);
        let filter = PathFilter::new(&include, &[], &[]).expect("globs");
        let places = places(&mount, filter.scopes());
        assert_eq!(places, ["a/b/*", "x/app"]);
        let paths = |need| wanted(&mount, &places, need).into_iter().map(|wanted| wanted.path).collect::<Vec<_>>();
        assert_eq!(paths(Need::Write)[..2], ["secret/data/a/b/*", "secret/data/x/app"]);
        let listed = ["secret/metadata/", "secret/metadata/a/", "secret/metadata/x/", "secret/metadata/a/b/*"];
        assert_eq!(paths(Need::Read(Listing::Plain))[..4], listed);
        let elsewhere = Mount::parse("other").expect("a mount");
        assert!(super::places(&elsewhere, filter.scopes()).is_empty());
    }
}
