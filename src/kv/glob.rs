//! Include and exclude globs over secret paths.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Mount, Pattern, SecretPath};

/// A glob that cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("\"{glob}\" is not a valid glob: {reason}")]
pub struct GlobError {
    /// The glob as given.
    pub glob: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Which secrets take part: those an include glob matches (all, if there is none) and no exclude glob does.
///
/// Globs match the form people use (`secret/team/app`; a `data/` right behind one of the mounts is dropped).
/// `*` and `?` stay inside one segment, `**` crosses them.
#[derive(Debug, Clone)]
pub struct PathFilter {
    include: Option<GlobSet>,
    scopes: Vec<Pattern>,
    exclude: GlobSet,
    excluded_folders: GlobSet,
}

impl Default for PathFilter {
    /// Admits everything.
    fn default() -> Self {
        Self { include: None, scopes: Vec::new(), exclude: GlobSet::empty(), excluded_folders: GlobSet::empty() }
    }
}

impl PathFilter {
    /// Compiles the globs; `mounts` are those whose `data/` is dropped.
    ///
    /// # Errors
    /// [`GlobError`] for the first glob that cannot be read.
    pub fn new(include: &[String], exclude: &[String], mounts: &[Mount]) -> Result<Self, GlobError> {
        let include: Vec<String> = include.iter().map(|glob| canonical(glob, mounts)).collect();
        let exclude: Vec<String> = exclude.iter().map(|glob| canonical(glob, mounts)).collect();
        let folders = exclude.iter().filter_map(|glob| glob.strip_suffix("/**"));
        Ok(Self {
            include: if include.is_empty() { None } else { Some(compile(include.iter().map(String::as_str))?) },
            scopes: include.iter().flat_map(|glob| Pattern::of_glob(glob)).collect(),
            exclude: compile(exclude.iter().map(String::as_str))?,
            excluded_folders: compile(folders)?,
        })
    }

    /// Whether this secret takes part.
    #[must_use]
    pub fn admits(&self, path: &SecretPath) -> bool {
        if self.include.is_none() && self.exclude.is_empty() {
            return true;
        }
        let text = path.to_string();
        self.include.as_ref().is_none_or(|include| include.is_match(&text)) && !self.exclude.is_match(&text)
    }

    /// Whether something below this folder (`secret/team/`, or a mount) may take part. `false` only when nothing
    /// can: then there is no need to list it.
    #[must_use]
    pub fn may_admit_below(&self, folder: &str) -> bool {
        if self.excluded_folders.is_match(folder.trim_end_matches('/')) {
            return false;
        }
        self.include.is_none() || self.scopes.iter().any(|scope| scope.may_lie_below(folder))
    }

    /// What the include globs confine secrets to; `None`: nothing, because there are none.
    #[must_use]
    pub fn scopes(&self) -> Option<&[Pattern]> {
        self.include.as_ref().map(|_| self.scopes.as_slice())
    }
}

fn canonical(glob: &str, mounts: &[Mount]) -> String {
    let glob = glob.trim_start_matches('/');
    for mount in mounts {
        if let Some(rest) = glob.strip_prefix(mount.as_str()).and_then(|rest| rest.strip_prefix("data/")) {
            return format!("{mount}{rest}");
        }
    }
    // "secret/" alone means everything in it
    if glob.ends_with('/') { format!("{glob}**") } else { glob.to_owned() }
}

fn compile<'a>(globs: impl Iterator<Item = &'a str>) -> Result<GlobSet, GlobError> {
    let mut set = GlobSetBuilder::new();
    let refused =
        |glob: &str, error: &globset::Error| GlobError { glob: glob.to_owned(), reason: error.kind().to_string() };
    for glob in globs {
        if glob.is_empty() {
            return Err(GlobError { glob: String::new(), reason: "it is empty and matches nothing".to_owned() });
        }
        let compiled = GlobBuilder::new(glob)
            .literal_separator(true)
            .backslash_escape(true)
            .build()
            .map_err(|error| refused(glob, &error))?;
        set.add(compiled);
    }
    set.build().map_err(|error| refused(error.glob().unwrap_or_default(), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(include: &[&str], exclude: &[&str]) -> PathFilter {
        let own = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
        let mounts = [Mount::parse("secret").expect("a mount")];
        PathFilter::new(&own(include), &own(exclude), &mounts).expect("valid globs")
    }

    fn path(name: &str) -> SecretPath {
        SecretPath::new(&Mount::parse("secret").expect("a mount"), name)
    }

    #[test]
    fn everything_takes_part_by_default() {
        assert!(filter(&[], &[]).admits(&path("a/b")));
        assert!(PathFilter::default().admits(&path("a/b")));
    }

    #[test]
    fn exclude_wins_over_include() {
        let filter = filter(&["secret/team/**"], &["secret/team/tmp/*"]);
        assert!(filter.admits(&path("team/app")));
        assert!(!filter.admits(&path("team/tmp/x")));
        assert!(filter.admits(&path("team/tmp/x/y")), "* stays inside one segment");
        assert!(!filter.admits(&path("other")));
    }

    #[test]
    fn the_data_form_means_the_same() {
        assert!(!filter(&[], &["secret/data/scratch/**"]).admits(&path("scratch/x")));
    }

    #[test]
    fn folders_that_can_hold_nothing_are_not_listed() {
        let excluding = filter(&[], &["secret/scratch/**"]);
        assert!(!excluding.may_admit_below("secret/scratch/"));
        assert!(excluding.may_admit_below("secret/"));
        let including = filter(&["secret/team/*/db"], &[]);
        assert!(including.may_admit_below("secret/"));
        assert!(including.may_admit_below("secret/team/x/"));
        assert!(!including.may_admit_below("secret/other/"));
        assert!(!including.may_admit_below("secret/team/x/db/"), "what matches is a secret, no folder");
    }

    #[test]
    fn scopes_are_what_policies_can_name() {
        let mount = Mount::parse("secret").expect("a mount");
        let within = |glob: &str| filter(&[glob], &[]).scopes().expect("a glob")[0].within(mount.as_str());
        for (glob, path) in [
            ("secret/team/**", Some("team/*")),
            ("secret/data/team/*/db", Some("team/+/db")),
            ("secret/te?m", Some("te*")),
            ("secret/team/app", Some("team/app")),
            ("secret/", Some("*")),
            ("**/db", Some("*")),
            ("other/**", None),
            ("secret", None),
        ] {
            assert_eq!(within(glob).map(|pattern| pattern.to_string()).as_deref(), path, "{glob}");
        }
        assert!(filter(&[], &["secret/x"]).scopes().is_none());
    }

    #[test]
    fn a_bad_glob_is_named() {
        let error = PathFilter::new(&["secret/[".to_owned()], &[], &[]).expect_err("an unclosed class");
        assert!(error.to_string().contains("secret/["), "{error}");
        for empty in ["", "/"] {
            let error = PathFilter::new(&[], &[empty.to_owned()], &[]).expect_err("an empty glob");
            assert_eq!(error.to_string(), "\"\" is not a valid glob: it is empty and matches nothing");
        }
    }
}
