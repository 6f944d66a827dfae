//! The data of one secret, in memory only for as long as one copy takes.

use std::fmt;

use zeroize::Zeroizing;

/// The `data` object of one secret version: the JSON text as the server sent it, so that numbers, key order and
/// nesting survive. Overwritten with zeros when dropped, never shown by `Debug`, not cloneable.
pub struct SecretData(Zeroizing<String>);

impl SecretData {
    /// Takes over the JSON text of an object.
    #[must_use]
    pub fn from_json(json: Zeroizing<String>) -> Self {
        Self(json)
    }

    /// The JSON text. Whoever copies it must zeroize the copy.
    #[must_use]
    pub fn expose_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretData([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let data = SecretData::from_json(Zeroizing::new(r#"{"password":"hunter2"}"#.to_owned()));
        assert!(!format!("{data:?}").contains("hunter2"));
    }
}
