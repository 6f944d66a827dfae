//! As whom to speak to the server: a token, a file that holds one, or a login.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fmt, fs, io};

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::Text;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};

/// Where the token comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// A token as it is.
    Token(Zeroizing<String>),
    /// A file that holds one, read again when it changes.
    TokenFile(PathBuf),
    /// A login with a role, made anew when its token is no longer valid.
    AppRole {
        /// Where the auth method is mounted: `approle` unless somebody chose otherwise.
        mount: String,
        /// Who.
        role_id: String,
        /// Proof.
        secret_id: SecretIdSource,
    },
}

/// Where `AppRole`'s secret id comes from. File and variable are read at each login.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretIdSource {
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
            Self::AppRole { mount, role_id: _, secret_id } => {
                f.debug_struct("AppRole").field("mount", mount).field("secret_id", secret_id).finish_non_exhaustive()
            }
        }
    }
}

impl fmt::Debug for SecretIdSource {
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

impl SecretIdSource {
    fn read(&self) -> Result<Zeroizing<String>, String> {
        let secret_id = match self {
            Self::Value(secret_id) => secret_id.clone(),
            Self::File(file) => {
                read_trimmed(file).map_err(|error| format!("the secret id's file {}: {error}", file.display()))?
            }
            Self::Env(name) => Zeroizing::new(
                env::var(name).map_err(|_| format!("the secret id's variable {name} is not set"))?.trim().to_owned(),
            ),
        };
        if secret_id.is_empty() { Err("the secret id is empty".to_owned()) } else { Ok(secret_id) }
    }
}

fn login_body(role_id: &str, secret_id: &str) -> Zeroizing<Vec<u8>> {
    // Large enough for every byte to be escaped: a buffer that grows leaves its content behind.
    let mut body = Zeroizing::new(Vec::with_capacity(6 * (role_id.len() + secret_id.len()) + 64));
    // Writing a string to memory cannot fail.
    body.extend_from_slice(b"{\"role_id\":");
    let _ = serde_json::to_writer(&mut *body, role_id);
    body.extend_from_slice(b",\"secret_id\":");
    let _ = serde_json::to_writer(&mut *body, secret_id);
    body.push(b'}');
    body
}

/// Logs in by `AppRole`, and makes something of the token while it is in memory that will be wiped. It is tried again
/// as often as `repeat` allows: logging in twice makes one token too many, which expires by itself.
pub(super) async fn log_in<T>(
    client: &VaultClient,
    mount: &str,
    role_id: &str,
    secret_id: &SecretIdSource,
    repeat: Repeat,
    make: impl FnOnce(&str, Option<Duration>) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let path = format!("auth/{}/login", mount.trim_matches('/'));
    let target = Target { operation: "log in at", path: &path };
    let secret_id = secret_id.read().map_err(|reason| target.error(ErrorKind::NoToken, reason))?;
    let request = request(Method::POST, &path, repeat).body(Bytes::from_owner(login_body(role_id, &secret_id)));
    let answer = client.unobserved().send_bare(target, request).await?;
    let login = Login::read(target, &answer, |said| said.contains(secret_id.as_str()))?;
    tracing::debug!(server = client.address(), mount, lease = login.lease_duration, "logged in");
    let lease = (login.lease_duration > 0).then(|| Duration::from_secs(login.lease_duration));
    make(&login.client_token.0, lease)
}

#[derive(Deserialize)]
struct LoginAnswer<'a> {
    #[serde(borrow)]
    auth: Option<Login<'a>>,
}

/// What logging in and renewing answer.
#[derive(Deserialize)]
pub(super) struct Login<'a> {
    #[serde(borrow)]
    client_token: Text<'a>,
    #[serde(default)]
    pub(super) lease_duration: u64,
}

impl<'a> Login<'a> {
    /// What a server says of a request is withheld if it `repeats` the secret in that.
    pub(super) fn read(
        target: Target<'_>,
        answer: &'a Response,
        repeats: impl FnOnce(&str) -> bool,
    ) -> Result<Self, VaultError> {
        if !answer.status.is_success() {
            let refusal = target.refusal_to(answer, repeats);
            return Err(match refusal.kind() {
                // Role or secret id are wrong, or there is no such auth method.
                ErrorKind::BadRequest | ErrorKind::PermissionDenied | ErrorKind::NotFound => {
                    target.error(ErrorKind::NoToken, refusal.message())
                }
                _ => refusal,
            });
        }
        let login: LoginAnswer<'a> = serde_json::from_slice(&answer.body).map_err(|error| target.protocol(&error))?;
        login.auth.ok_or_else(|| target.error(ErrorKind::Protocol, "the answer holds no token"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpSettings;
    use crate::http::scripted::Server;
    use crate::vault::VaultSettings;

    #[test]
    fn debug_shows_no_secret() {
        let secret = || Zeroizing::new("hunter2".to_owned());
        let auth = Auth::AppRole {
            mount: "approle".to_owned(),
            role_id: "hunter2".to_owned(),
            secret_id: SecretIdSource::Value(secret()),
        };
        for auth in [Auth::Token(secret()), auth] {
            assert!(!format!("{auth:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn an_echo_of_the_secret_id_is_withheld() {
        let refusal = Server::json(400, r#"{"errors":["cannot parse {\"secret_id\":\"hunter2\"}"]}"#);
        let server = Server::start(&[refusal]).await;
        let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
        let secret_id = SecretIdSource::Value(Zeroizing::new("hunter2".to_owned()));
        let auth = Auth::AppRole { mount: "approle".to_owned(), role_id: "me".to_owned(), secret_id };
        let vault = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
        let error = vault.token_info().await.expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::NoToken);
        assert!(error.message().ends_with("its words repeat the secret and are withheld"), "{error}");
    }

    #[test]
    fn a_login_body_is_json() {
        let body = login_body("role\"\n", "\u{1}é\\");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body, serde_json::json!({"role_id": "role\"\n", "secret_id": "\u{1}é\\"}));
    }
}
