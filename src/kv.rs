//! The words every layer uses for a KV v2 engine: mounts, paths, globs over them, the data of one secret
//! and what tells it from others.

mod digest;
mod fingerprint;
mod glob;
mod json;
mod path;
mod pattern;
mod secret;

pub use digest::{DigestError, MetadataDigest, VersionState};
pub use fingerprint::{Fingerprint, FingerprintKey, KEY_BYTES};
pub use glob::{GlobError, PathFilter};
pub(crate) use json::{end_of_string, unescape};
pub use path::{Mount, PathError, SecretPath};
pub use pattern::{Pattern, mount_in_policies};
pub(crate) use pattern::{Slashes, is_literal};
pub use secret::{SecretData, SecretText};
