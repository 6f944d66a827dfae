//! Where the token comes from, and when to get another.
//!
//! One token serves all clones of a client. Whoever needs a new one takes the `refresh` lock; the others wait and use
//! what it brought, be it a token or an error.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, io};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::Text;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};

/// Where the token comes from.
#[derive(Clone)]
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
#[derive(Clone)]
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

/// A token in use.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Marked sensitive, and wiped when the last clone is dropped.
    header: HeaderValue,
    /// Tells tokens apart without comparing their text.
    generation: u64,
    since: Instant,
    /// When to get another, ahead of its end.
    renew_at: Option<Instant>,
}

impl Token {
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// How often a token file is looked at.
const FILE_CHECK: Duration = Duration::from_secs(1);

/// For how long "the token is valid" and "there is no token to be had" are believed.
const BELIEF: Duration = Duration::from_secs(2);

/// How long before its end a token is replaced, if that is not more than a tenth of its life.
const EARLY: Duration = Duration::from_secs(30);

/// How old a token must be for a new login to be tried, where the token may not look itself up.
const UNSURE_AGE: Duration = Duration::from_mins(1);

pub(super) struct TokenSource {
    auth: Auth,
    state: Mutex<State>,
    refresh: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    generations: u64,
    /// The file as it was when the token was read from it.
    file_stamp: Option<FileStamp>,
    file_checked: Option<Instant>,
    /// The last lookup that found the token valid.
    confirmed: Option<Instant>,
    /// A token just got could not look itself up, so a failing lookup proves nothing.
    lookup_proves_nothing: bool,
    failed: Option<(Instant, VaultError)>,
}

#[derive(PartialEq, Eq)]
struct FileStamp {
    modified: Option<std::time::SystemTime>,
    len: u64,
}

impl FileStamp {
    fn of(file: &Path) -> Option<Self> {
        let metadata = fs::metadata(file).ok()?;
        Some(Self { modified: metadata.modified().ok(), len: metadata.len() })
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenSource").field(&self.auth).finish()
    }
}

impl TokenSource {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, state: Mutex::default(), refresh: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to use now; gets one if there is none, or if the one there is comes to its end.
    pub(super) async fn current(&self, client: &VaultClient) -> Result<Token, VaultError> {
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        let asked = Instant::now();
        let _refreshing = self.refresh.lock().await;
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        self.refresh(client, asked).await
    }

    /// Called with the token that was answered 403: another one to try with, or `None` if the token is not to blame.
    pub(super) async fn replace(&self, client: &VaultClient, denied: &Token) -> Result<Option<Token>, VaultError> {
        if matches!(self.auth, Auth::Token(_)) {
            return Ok(None);
        }
        let asked = Instant::now();
        let _refreshing = self.refresh.lock().await;
        let held = self.state().token.clone();
        if let Some(newer) = held.filter(|held| held.generation != denied.generation) {
            return Ok(Some(newer));
        }
        match &self.auth {
            Auth::Token(_) => Ok(None),
            Auth::TokenFile(file) => {
                let fresh = self.read_file(file).ok();
                Ok(fresh.filter(|fresh| fresh.generation != denied.generation))
            }
            Auth::AppRole { .. } => {
                if self.is_still_valid(client, denied).await {
                    return Ok(None);
                }
                let fresh = self.refresh(client, asked).await?;
                // Only a token that was just made, and is valid without doubt, tells what a failing lookup means.
                let looked_up = look_up(client, &fresh).await;
                let mut state = self.state();
                state.lookup_proves_nothing = looked_up == Some(false);
                state.confirmed = (looked_up == Some(true)).then(Instant::now);
                Ok(Some(fresh))
            }
        }
    }

    /// The token held, if nothing speaks against it.
    fn usable(&self) -> Option<Token> {
        let mut state = self.state();
        let now = Instant::now();
        if let Auth::TokenFile(file) = &self.auth
            && state.file_checked.is_none_or(|checked| now.duration_since(checked) >= FILE_CHECK)
        {
            let stamp = FileStamp::of(file);
            // A file that is gone for a moment is being replaced.
            if stamp.is_some() && stamp != state.file_stamp {
                return None;
            }
            state.file_checked = Some(now);
        }
        state.token.clone().filter(|token| token.renew_at.is_none_or(|end| now < end))
    }

    /// Gets a token. The caller holds the `refresh` lock and has held out for it since `asked`.
    async fn refresh(&self, client: &VaultClient, asked: Instant) -> Result<Token, VaultError> {
        if let Some((when, error)) = &self.state().failed
            && (*when >= asked || when.elapsed() < BELIEF)
        {
            return Err(error.clone());
        }
        let got = match &self.auth {
            Auth::Token(token) => self.keep(token, None),
            Auth::TokenFile(file) => self.read_file(file),
            Auth::AppRole { mount, role_id, secret_id } => self.log_in(client, mount, role_id, secret_id).await,
        };
        self.state().failed = got.as_ref().err().map(|error| (Instant::now(), error.clone()));
        got
    }

    fn read_file(&self, file: &Path) -> Result<Token, VaultError> {
        // Before the content, so that a change in between is noticed later.
        let stamp = FileStamp::of(file);
        let read = read_token(file).and_then(|token| self.keep(&token, None));
        let mut state = self.state();
        state.file_checked = Some(Instant::now());
        match (read, &state.token) {
            (Ok(token), _) => {
                state.file_stamp = stamp;
                Ok(token)
            }
            // Caught while it is being written: the token there was will do until the next look.
            (Err(_), Some(held)) => Ok(held.clone()),
            (Err(error), None) => Err(error),
        }
    }

    fn keep(&self, token: &str, lease: Option<Duration>) -> Result<Token, VaultError> {
        let target = Target { operation: "use", path: "the token" };
        if token.is_empty() {
            return Err(target.error(ErrorKind::NoToken, "there is none"));
        }
        let bytes = Bytes::from_owner(Zeroizing::new(token.as_bytes().to_vec()));
        let mut header = HeaderValue::from_maybe_shared(bytes)
            .map_err(|_| target.error(ErrorKind::NoToken, "it contains characters no header can carry"))?;
        header.set_sensitive(true);
        let since = Instant::now();
        let mut state = self.state();
        if state.token.as_ref().is_none_or(|held| held.header != header) {
            state.generations += 1;
        }
        let token = Token {
            header,
            generation: state.generations,
            since,
            renew_at: lease.and_then(|lease| since.checked_add(lease.saturating_sub((lease / 10).min(EARLY)))),
        };
        state.token = Some(token.clone());
        state.confirmed = None;
        Ok(token)
    }

    async fn log_in(
        &self,
        client: &VaultClient,
        mount: &str,
        role_id: &str,
        secret_id: &SecretIdSource,
    ) -> Result<Token, VaultError> {
        let path = format!("auth/{}/login", mount.trim_matches('/'));
        let target = Target { operation: "log in at", path: &path };
        let secret_id = secret_id.read().map_err(|reason| target.error(ErrorKind::NoToken, reason))?;
        let body = login_body(role_id, &secret_id);
        // Logging in twice makes one token too many, which expires by itself.
        let request = request(Method::POST, &path, Repeat::Safe).body(Bytes::from_owner(body));
        let answer = client.send_bare(target, request).await?;
        let login = Login::read(target, &answer)?;
        let lease = (login.lease_duration > 0).then(|| Duration::from_secs(login.lease_duration));
        tracing::debug!(server = client.address(), mount, lease = login.lease_duration, "logged in");
        self.keep(&login.client_token.0, lease)
    }

    /// Whether a token that was denied something is valid all the same. When in doubt, yes: a login for every denied
    /// path would be a storm.
    async fn is_still_valid(&self, client: &VaultClient, denied: &Token) -> bool {
        let (confirmed, lookup_proves_nothing) = {
            let state = self.state();
            (state.confirmed, state.lookup_proves_nothing)
        };
        if lookup_proves_nothing {
            return denied.since.elapsed() < UNSURE_AGE;
        }
        if confirmed.is_some_and(|confirmed| confirmed.elapsed() < BELIEF) {
            return true;
        }
        let valid = look_up(client, denied).await != Some(false);
        if valid {
            self.state().confirmed = Some(Instant::now());
        }
        valid
    }
}

/// Whether the token may look itself up; `None` if that could not be found out.
async fn look_up(client: &VaultClient, token: &Token) -> Option<bool> {
    let target = Target { operation: "look up", path: "the token" };
    let request = request(Method::GET, "auth/token/lookup-self", Repeat::Safe);
    match client.send_as(target, request, token).await {
        Ok(answer) if answer.status.is_success() => Some(true),
        Ok(answer) if answer.status == StatusCode::FORBIDDEN => Some(false),
        _ => None,
    }
}

fn read_token(file: &Path) -> Result<Zeroizing<String>, VaultError> {
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

#[derive(Deserialize)]
struct LoginAnswer<'a> {
    #[serde(borrow)]
    auth: Option<Login<'a>>,
}

#[derive(Deserialize)]
struct Login<'a> {
    #[serde(borrow)]
    client_token: Text<'a>,
    #[serde(default)]
    lease_duration: u64,
}

impl<'a> Login<'a> {
    fn read(target: Target<'_>, answer: &'a Response) -> Result<Self, VaultError> {
        if !answer.status.is_success() {
            let refusal = target.refusal(answer);
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

    #[test]
    fn debug_shows_no_secret() {
        let secret = || Zeroizing::new("hunter2".to_owned());
        let auth = Auth::AppRole {
            mount: "approle".to_owned(),
            role_id: "hunter2".to_owned(),
            secret_id: SecretIdSource::Value(secret()),
        };
        for auth in [Auth::Token(secret()), auth] {
            let source = TokenSource::new(auth.clone());
            assert!(!format!("{auth:?} {source:?}").contains("hunter2"));
            source.keep("hunter2", None).expect("a token");
            assert!(!format!("{source:?} {:?}", source.state().token).contains("hunter2"));
        }
    }

    #[test]
    fn a_login_body_is_json() {
        let body = login_body("role\"\n", "\u{1}é\\");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body, serde_json::json!({"role_id": "role\"\n", "secret_id": "\u{1}é\\"}));
    }

    #[test]
    fn a_token_must_fit_a_header() {
        let source = TokenSource::new(Auth::Token(Zeroizing::default()));
        for token in ["", "two\nlines"] {
            let error = source.keep(token, None).expect_err("no token");
            assert_eq!(error.kind(), ErrorKind::NoToken);
            assert!(!error.to_string().contains("two"));
        }
    }
}
