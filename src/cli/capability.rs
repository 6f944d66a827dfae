//! Which capabilities a side needs, and which of them its token has.

use crate::engine::Listing;
use crate::kv::Mount;

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

/// What is wanted at a mount.
pub(super) fn wanted(mount: &Mount, need: Need) -> Vec<Wanted> {
    let on = |part: &str, needed, useful| Wanted { path: format!("{mount}{part}/*"), needed, useful };
    match need {
        Need::Write => vec![on("data", &["create", "update", "delete"], &[])],
        Need::Read(listing) => {
            // before anything is deleted, the secret's own metadata is asked whether it is really gone
            let mut wanted = match listing {
                Listing::Scan => vec![on("detailed-metadata", &["scan"], &[]), on("metadata", &["read"], &[])],
                Listing::Detailed => vec![on("detailed-metadata", &["list"], &[]), on("metadata", &["read"], &[])],
                Listing::Plain => vec![on("metadata", &["list", "read"], &[])],
                Listing::Auto => {
                    vec![on("metadata", &["list", "read"], &[]), on("detailed-metadata", &[], &["scan", "list"])]
                }
            };
            wanted.push(on("data", &["read"], &[]));
            wanted
        }
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
        .map(|wanted| format!("path \"{}\" {{ capabilities = {:?} }}", wanted.path, wanted.needed));
    rules.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(capabilities: &[&[&str]]) -> Vec<Vec<String>> {
        capabilities.iter().map(|list| list.iter().map(|&capability| capability.to_owned()).collect()).collect()
    }

    #[test]
    fn root_may_do_everything_and_what_is_missing_is_named() {
        let mount = Mount::parse("secret").expect("a mount");
        let wanted = wanted(&mount, Need::Read(Listing::Auto));
        assert!(missing(&wanted, &owned(&[&["root"], &["root"], &["root"]])).is_empty());
        let some = owned(&[&["list"], &["deny"], &["read"]]);
        assert_eq!(missing(&wanted, &some), ["read on secret/metadata/*"]);
        assert!(policy(&wanted).contains(r#"path "secret/data/*" { capabilities = ["read"] }"#));
    }

    #[test]
    fn a_destination_needs_no_reading() {
        let mount = Mount::parse("kv").expect("a mount");
        let wanted = wanted(&mount, Need::Write);
        assert!(missing(&wanted, &owned(&[&["create", "delete", "update"]])).is_empty());
        assert_eq!(missing(&wanted, &[]).len(), 3);
    }
}
