//! As whom to speak to the server: a token, something that holds or makes one, or a login.

use std::path::{Path, PathBuf};
use std::{env, fmt, fs, io};

use zeroize::Zeroizing;

use super::login::Login;
use super::{ErrorKind, Target, VaultError};

/// Where the token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// A token as it is.
    Token(Zeroizing<String>),
    /// A file that holds one, read again when it changes.
    TokenFile(PathBuf),
    /// A program that prints one when it is called with `get`: Vault's token helper. Asked again when its token is no
    /// longer valid.
    TokenHelper(PathBuf),
    /// A login, made anew when its token is no longer valid.
    Login(Login),
}

/// Where a secret that proves something comes from. File and variable are read at each login.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// As it is.
    Value(Zeroizing<String>),
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => f.write_str("Token([redacted])"),
            Self::TokenFile(file) => f.debug_tuple("TokenFile").field(file).finish(),
            Self::TokenHelper(program) => f.debug_tuple("TokenHelper").field(program).finish(),
            Self::Login(login) => login.fmt(f),
        }
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value([redacted])"),
            Self::File(file) => f.debug_tuple("File").field(file).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

pub(super) fn read_token(file: &Path) -> Result<Zeroizing<String>, VaultError> {
    let shown = file.display().to_string();
    let target = Target { operation: "read token file", path: &shown };
    read_trimmed(file).map_err(|error| target.error(ErrorKind::NoToken, error.to_string()))
}

fn read_trimmed(file: &Path) -> io::Result<Zeroizing<String>> {
    let text = Zeroizing::new(fs::read_to_string(file)?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

impl SecretSource {
    /// The secret, which messages call `what`.
    pub(super) fn read(&self, what: &str) -> Result<Zeroizing<String>, String> {
        let secret = match self {
            Self::Value(secret) => secret.clone(),
            Self::File(file) => {
                read_trimmed(file).map_err(|error| format!("the {what}'s file {}: {error}", file.display()))?
            }
            Self::Env(name) => {
                let text = env::var(name).map_err(|_| format!("the {what}'s variable {name} is not set"))?;
                Zeroizing::new(Zeroizing::new(text).trim().to_owned())
            }
        };
        if secret.is_empty() { Err(format!("the {what} is empty")) } else { Ok(secret) }
    }

    /// Where it is, for messages.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Value(_) => "the configuration".to_owned(),
            Self::File(file) => file.display().to_string(),
            Self::Env(name) => format!("the variable {name}"),
        }
    }
}
