//! Mounts and secret paths in one canonical form.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arcstr::ArcStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a mount or a secret's path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nothing is left when the slashes around it are taken away.
    #[error("a mount must not be empty")]
    EmptyMount,
    /// A segment that no mount can have, because servers and clients rewrite such paths.
    #[error("a mount must not have empty, \".\" or \"..\" segments in it, as \"{0}\" has")]
    MountSegment(String),
    /// The path names a mount or a folder, not a secret.
    #[error("\"{0}\" names no secret: a path is MOUNT/PATH or MOUNT/data/PATH")]
    NoSecret(String),
    /// The path lies in none of the mounts it was looked up in.
    #[error("\"{path}\" is in none of the configured mounts ({mounts})")]
    UnknownMount {
        /// The path as given.
        path: String,
        /// The mounts it was compared with, joined by commas.
        mounts: String,
    },
}

/// The mount path of a KV engine, with exactly one slash at its end (`secret/`, `teams/kv/`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mount(Arc<str>);

impl Mount {
    /// Reads a mount with or without slashes around it.
    ///
    /// # Errors
    /// [`PathError::EmptyMount`] when it consists of slashes only, [`PathError::MountSegment`] when a path cannot
    /// begin with it.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let bare = text.trim_matches('/');
        if bare.is_empty() {
            return Err(PathError::EmptyMount);
        }
        if bare.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(PathError::MountSegment(text.to_owned()));
        }
        Ok(Self(format!("{bare}/").into()))
    }

    /// The mount with its slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The place of one secret: its mount and its name inside of it.
///
/// Kept as vsync v0.3 writes it, `<mount>data/<name>`, because that text is the key of the sync info, what transforms
/// match and what buckets are computed from. [`fmt::Display`] gives the form that people use, without `data/`.
/// Two paths are equal when their texts are. Clones share the text, and each is but a pointer: of a million secrets
/// inventory, plan, record and tree hold a few each.
#[derive(Clone)]
pub struct SecretPath(
    /// The length of the mount as a character, see [`length_char`], and behind it the text.
    ArcStr,
);

const DATA: &str = "data/";

/// The first code point that is no character, and how many of these there are.
const SURROGATES: (u32, u32) = (0xd800, 0x800);

/// The length of a mount as one character, which is one byte for a mount of usual length. `None` beyond a megabyte.
fn length_char(mount_len: usize) -> Option<char> {
    let code = u32::try_from(mount_len).ok()?;
    char::from_u32(if code < SURROGATES.0 { code } else { code.checked_add(SURROGATES.1)? })
}

impl SecretPath {
    /// The secret `name` in `mount`. The name is taken as it is.
    #[must_use]
    pub fn new(mount: &Mount, name: &str) -> Self {
        // No server has a mount whose name takes a megabyte.
        let length = length_char(mount.as_str().len()).unwrap_or_default();
        Self(format!("{length}{mount}{DATA}{name}").into())
    }

    /// Reads `<mount>data/<name>`. The longest of `mounts` that fits decides where the mount ends; when none does,
    /// the first `data/` that follows a slash.
    ///
    /// # Errors
    /// [`PathError::NoSecret`] when there is no `data/` with a name behind it.
    pub fn parse_data(text: &str, mounts: &[Mount]) -> Result<Self, PathError> {
        let known = mounts
            .iter()
            .map(Mount::as_str)
            .filter(|mount| text.strip_prefix(mount).is_some_and(|rest| rest.starts_with(DATA)))
            .map(str::len)
            .max();
        let mount_len = known
            .or_else(|| text.find("/data/").map(|slash| slash + 1))
            .ok_or_else(|| PathError::NoSecret(text.to_owned()))?;
        if mount_len <= 1 || text.len() <= mount_len + DATA.len() || text.ends_with('/') {
            return Err(PathError::NoSecret(text.to_owned()));
        }
        Self::with_length(text, mount_len)
    }

    /// Takes back a path that was kept as its [`SecretPath::data_path`] and the length of its [`SecretPath::mount`], which
    /// no configuration is needed for.
    ///
    /// # Errors
    /// [`PathError::NoSecret`] when no mount of this length is followed by `data/` and a name.
    pub fn from_parts(text: &str, mount_len: usize) -> Result<Self, PathError> {
        let mount = text.get(..mount_len).filter(|mount| mount.len() > 1 && mount.ends_with('/'));
        let name = text.get(mount_len..).and_then(|rest| rest.strip_prefix(DATA)).filter(|name| !name.is_empty());
        match (mount, name) {
            (Some(_), Some(_)) => Self::with_length(text, mount_len),
            _ => Err(PathError::NoSecret(text.to_owned())),
        }
    }

    fn with_length(text: &str, mount_len: usize) -> Result<Self, PathError> {
        let length = length_char(mount_len).ok_or_else(|| PathError::NoSecret(text.to_owned()))?;
        Ok(Self(format!("{length}{text}").into()))
    }

    /// The length of the mount, and the text.
    fn parts(&self) -> (usize, &str) {
        let mut rest = self.0.chars();
        let code = rest.next().map_or(0, u32::from);
        let length = if code < SURROGATES.0 { code } else { code - SURROGATES.1 };
        (length as usize, rest.as_str())
    }

    /// Reads a path as a person types it: `secret/team/app` or `secret/data/team/app`, a leading slash allowed.
    /// `data/` right behind the mount is always read as the API's, never as a folder of that name.
    ///
    /// # Errors
    /// [`PathError::UnknownMount`] outside of `mounts`, [`PathError::NoSecret`] for a mount or a folder.
    pub fn parse(text: &str, mounts: &[Mount]) -> Result<Self, PathError> {
        let text = text.trim_start_matches('/');
        let mount = mounts
            .iter()
            .filter(|mount| text.starts_with(mount.as_str()) || text == mount.as_str().trim_end_matches('/'))
            .max_by_key(|mount| mount.as_str().len())
            .ok_or_else(|| PathError::UnknownMount {
                path: text.to_owned(),
                mounts: mounts.iter().map(Mount::as_str).collect::<Vec<_>>().join(", "),
            })?;
        let rest = text.get(mount.as_str().len()..).unwrap_or_default();
        let name = rest.strip_prefix(DATA).unwrap_or(rest);
        if name.is_empty() || name.ends_with('/') {
            return Err(PathError::NoSecret(text.to_owned()));
        }
        Ok(Self::new(mount, name))
    }

    /// The mount, with its slash at the end.
    #[must_use]
    pub fn mount(&self) -> &str {
        let (length, text) = self.parts();
        &text[..length]
    }

    /// The name inside of the mount: `team/app`.
    #[must_use]
    pub fn name(&self) -> &str {
        let (length, text) = self.parts();
        &text[length + DATA.len()..]
    }

    /// `<mount>data/<name>`: the key in the sync info and the path that policies name.
    #[must_use]
    pub fn data_path(&self) -> &str {
        self.parts().1
    }

    /// Whether both are clones of one path. Equal paths need not be.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        ArcStr::ptr_eq(&self.0, &other.0)
    }

    /// `<mount>metadata/<name>`, as policies name it.
    #[must_use]
    pub fn metadata_path(&self) -> String {
        format!("{}metadata/{}", self.mount(), self.name())
    }

    /// `<mount><name>`: where an engine of KV version 1 has it.
    #[must_use]
    pub fn v1_path(&self) -> String {
        format!("{}{}", self.mount(), self.name())
    }
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.mount())?;
        f.write_str(self.name())
    }
}

impl fmt::Debug for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.data_path(), f)
    }
}

impl PartialEq for SecretPath {
    fn eq(&self, other: &Self) -> bool {
        self.is_clone_of(other) || self.data_path() == other.data_path()
    }
}

impl Eq for SecretPath {}

impl PartialOrd for SecretPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SecretPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.data_path().cmp(other.data_path())
    }
}

impl Hash for SecretPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.data_path().hash(state);
    }
}

impl Borrow<str> for SecretPath {
    fn borrow(&self) -> &str {
        self.data_path()
    }
}

impl Serialize for SecretPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.data_path())
    }
}

impl<'de> Deserialize<'de> for SecretPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse_data(&String::deserialize(deserializer)?, &[]).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> Mount {
        Mount::parse(text).expect("a mount")
    }

    #[test]
    fn a_mount_ends_in_one_slash() {
        assert_eq!(mount("/teams/kv//").as_str(), "teams/kv/");
        assert_eq!(Mount::parse("//"), Err(PathError::EmptyMount));
        assert_eq!(mount("a.b/.c").as_str(), "a.b/.c/");
        for text in ["../x", "a//b", "a/./b", "a/..", "."] {
            assert_eq!(Mount::parse(text), Err(PathError::MountSegment(text.to_owned())));
        }
    }

    #[test]
    fn both_forms_name_the_same_secret() {
        let mounts = [mount("secret"), mount("secret/nested")];
        let path = SecretPath::parse("secret/nested/app", &mounts).expect("a path");
        assert_eq!(path.mount(), "secret/nested/");
        assert_eq!(path.name(), "app");
        assert_eq!(path, SecretPath::parse("/secret/nested/data/app", &mounts).expect("a path"));
        assert_eq!(path.to_string(), "secret/nested/app");
        assert_eq!(path.data_path(), "secret/nested/data/app");
        assert_eq!(path.metadata_path(), "secret/nested/metadata/app");
    }

    #[test]
    fn a_data_path_is_split_at_the_configured_mount() {
        let text = "a/data/data/metadata/data/x";
        let path = SecretPath::parse_data(text, &[mount("a/data")]).expect("a path");
        assert_eq!((path.mount(), path.name()), ("a/data/", "metadata/data/x"));
        let path = SecretPath::parse_data(text, &[]).expect("a path");
        assert_eq!((path.mount(), path.name()), ("a/", "data/metadata/data/x"));
    }

    #[test]
    fn a_path_comes_back_from_its_parts() {
        let path = SecretPath::new(&mount("a/data"), "metadata/data/x");
        let back = SecretPath::from_parts(path.data_path(), path.mount().len()).expect("a path");
        assert_eq!((back.mount(), back.name()), ("a/data/", "metadata/data/x"));
        for (text, mount_len) in
            [("a/data/x", 0), ("a/data/x", 3), ("a/data/", 2), ("/data/x", 1), ("ü/data/x", 1), ("a", 9)]
        {
            assert!(SecretPath::from_parts(text, mount_len).is_err(), "{text} {mount_len}");
        }
    }

    #[test]
    fn a_mount_may_have_any_length() {
        assert_eq!(size_of::<SecretPath>(), size_of::<usize>());
        for length in [1, 127, 128, 0x7ff, 0xd7fe, 0xd7ff, 0xd800, 0xe000, 70_000] {
            let path = SecretPath::new(&mount(&"m".repeat(length)), "ü/x");
            assert_eq!((path.mount().len(), path.name()), (length + 1, "ü/x"));
            let back = SecretPath::from_parts(path.data_path(), length + 1).expect("a path");
            assert_eq!((back.mount(), &back), (path.mount(), &path));
        }
    }

    #[test]
    fn mounts_and_folders_are_no_secrets() {
        let mounts = [mount("secret")];
        for text in ["secret", "secret/", "secret/folder/", "secret/data/"] {
            assert!(matches!(SecretPath::parse(text, &mounts), Err(PathError::NoSecret(_))), "{text}");
        }
        assert!(matches!(SecretPath::parse("other/x", &mounts), Err(PathError::UnknownMount { .. })));
        for text in ["secret/data/", "secret/x", "/data/x"] {
            assert!(SecretPath::parse_data(text, &[]).is_err(), "{text}");
        }
    }
}
