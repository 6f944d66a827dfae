//! What is to be said about a configuration before anything is done with it.

use super::progress::say;
use crate::config::{Config, Loaded};
use crate::text::sanitize;

/// Notes, files with secrets that others can read, and servers whose certificates nobody checks.
pub(super) fn warnings(loaded: &Loaded) -> Vec<String> {
    let mut warnings = loaded.notes.clone();
    warnings.extend(loaded.exposed().iter().map(ToString::to_string));
    warnings.extend(unverified(&loaded.config));
    warnings
}

/// Says them on stderr.
pub(super) fn show(loaded: &Loaded) {
    for warning in warnings(loaded) {
        say(&format!("warning: {}", sanitize(&warning)));
    }
}

fn unverified(config: &Config) -> Option<String> {
    let sides: Vec<&str> = config.unverified().collect();
    (!sides.is_empty()).then(|| {
        format!(
            "TLS unverified: tls_skip_verify is on for {}; anybody in between can read every secret",
            sides.join(", ")
        )
    })
}
