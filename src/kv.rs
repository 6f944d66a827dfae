//! The words every layer uses for a KV v2 engine: mounts, paths, globs over them, and the data of one secret.

mod glob;
mod path;
mod secret;

pub use glob::{GlobError, PathFilter, Scope};
pub use path::{Mount, PathError, SecretPath};
pub use secret::SecretData;
