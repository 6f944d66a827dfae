//! The token in use, and when to get another.
//!
//! One token serves all clones of a client. Whoever needs a new one takes the `refresh` lock; the others wait and use
//! what it brought, be it a token or an error.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, fs};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use zeroize::Zeroizing;

use super::auth::{Auth, Login, log_in, read_token};
use super::error::blames_token;
use super::sys::{TokenAnswer, data};
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::Repeat;

pub(super) const LOOKUP: &str = "auth/token/lookup-self";

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
    ends_at: Option<Instant>,
}

impl Token {
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// What became of a token that was answered 403.
pub(super) enum Denied {
    /// There is another one to try with.
    Outdated(Token),
    /// It is valid, or may well be: it is not allowed to do what was asked.
    Valid,
    /// It is not valid, and no other is to be had.
    Dead,
}

/// What a lookup says of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Valid,
    Dead,
    /// It may not look itself up. Some servers say the same of a dead one.
    Mute,
    /// There was no answer to this question.
    Unknown,
}

/// How often a token file is looked at.
const FILE_CHECK: Duration = Duration::from_secs(1);

/// For how long what a lookup said of a token, and "there is no token to be had", are believed.
const BELIEF: Duration = Duration::from_secs(2);

/// How long before its end a token is replaced, if that is not more than a tenth of its life.
const EARLY: Duration = Duration::from_secs(30);

/// The longest that a request waits for a login while the token there is still holds.
const EARLY_PATIENCE: Duration = Duration::from_secs(5);

/// How long a token is used on, after a login ahead of its end failed, before the next is tried.
const EARLY_RETRY: Duration = Duration::from_secs(2);

/// When to try again what could not be found out about a token, or be done for it.
const UPKEEP_RETRY: Duration = Duration::from_secs(15);

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
    /// What the last lookup said, of which generation and when.
    standing: Option<(Standing, u64, Instant)>,
    /// A token just got could not look itself up, so a failing lookup proves nothing.
    lookup_proves_nothing: bool,
    failed: Option<(Instant, VaultError)>,
    upkeep: Upkeep,
}

/// What keeps a token from running out that was given, not got by a login.
#[derive(Debug, Clone, Copy, Default)]
enum Upkeep {
    /// It is not known how long it lasts.
    #[default]
    LookUp,
    /// As before, but not to be tried again until then.
    LookUpLater(Instant),
    /// To be renewed then.
    Renew(Instant),
    /// It lasts for ever, or cannot be renewed.
    Pointless,
}

#[derive(PartialEq, Eq)]
struct FileStamp {
    modified: Option<SystemTime>,
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to use now; gets one if there is none, or if the one there is comes to its end.
    pub(super) async fn current(&self, client: &VaultClient) -> Result<Token, VaultError> {
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        if let Some(token) = self.ending() {
            // Whoever holds the lock is seeing to a new one.
            let Ok(_refreshing) = self.refresh.try_lock() else { return Ok(token) };
            return Ok(match self.usable() {
                Some(token) => token,
                None => self.refresh_early(client, token).await,
            });
        }
        let asked = Instant::now();
        let _refreshing = self.refresh.lock().await;
        if let Some(token) = self.usable() {
            return Ok(token);
        }
        self.refresh(client, asked).await
    }

    /// Called with the token that was answered 403: finds out whether it is to blame, and gets another if so.
    pub(super) async fn replace(&self, client: &VaultClient, denied: &Token) -> Result<Denied, VaultError> {
        let asked = Instant::now();
        let _refreshing = self.refresh.lock().await;
        let held = self.state().token.clone();
        if let Some(newer) = held.filter(|held| held.generation != denied.generation) {
            return Ok(Denied::Outdated(newer));
        }
        if let Auth::TokenFile(file) = &self.auth
            && let Ok(fresh) = self.read_file(file)
            && fresh.generation != denied.generation
        {
            return Ok(Denied::Outdated(fresh));
        }
        let standing = self.standing(client, denied).await;
        if !matches!(self.auth, Auth::AppRole { .. }) {
            return Ok(if standing == Standing::Dead { Denied::Dead } else { Denied::Valid });
        }
        // When in doubt it is valid: a login for every denied path would be a storm.
        let young = || self.state().lookup_proves_nothing && denied.since.elapsed() < UNSURE_AGE;
        if matches!(standing, Standing::Valid | Standing::Unknown) || standing == Standing::Mute && young() {
            return Ok(Denied::Valid);
        }
        let fresh = self.refresh(client, asked).await?;
        // Only a token that was just made, and is valid without doubt, tells what a failing lookup means.
        let mute = self.standing(client, &fresh).await == Standing::Mute;
        self.state().lookup_proves_nothing = mute;
        Ok(Denied::Outdated(fresh))
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

    /// The token held, if another should be got but it holds for a while yet.
    fn ending(&self) -> Option<Token> {
        self.state().token.clone().filter(|token| token.ends_at.is_some_and(|end| Instant::now() < end))
    }

    /// Gets another token than `held`, which is `ending`; if there is none to be had now, `held` will do. The caller
    /// holds the `refresh` lock.
    async fn refresh_early(&self, client: &VaultClient, held: Token) -> Token {
        let left = |token: &Token| token.ends_at.map_or(Duration::ZERO, |end| end.duration_since(Instant::now()));
        let login = tokio::time::timeout(EARLY_PATIENCE.min(left(&held) / 2), self.get(client, Repeat::Never));
        let reason = match login.await {
            Ok(Ok(token)) => return token,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "log in: no answer in time".to_owned(),
        };
        let left = left(&held);
        tracing::warn!(
            server = client.address(),
            "no new token: {reason}; the one in use holds for {} s yet",
            left.as_secs()
        );
        if let Some(token) = &mut self.state().token {
            token.renew_at = Some(Instant::now() + EARLY_RETRY.min(left));
        }
        held
    }

    /// Gets a token. The caller holds the `refresh` lock and has held out for it since `asked`.
    async fn refresh(&self, client: &VaultClient, asked: Instant) -> Result<Token, VaultError> {
        if let Some((when, error)) = &self.state().failed
            && (*when >= asked || when.elapsed() < BELIEF)
        {
            return Err(error.clone());
        }
        let got = self.get(client, Repeat::Safe).await;
        self.state().failed = got.as_ref().err().map(|error| (Instant::now(), error.clone()));
        got
    }

    async fn get(&self, client: &VaultClient, repeat: Repeat) -> Result<Token, VaultError> {
        match &self.auth {
            Auth::Token(token) => self.keep(token, None),
            Auth::TokenFile(file) => self.read_file(file),
            Auth::AppRole { mount, role_id, secret_id } => {
                log_in(client, mount, role_id, secret_id, repeat, |token, lease| self.keep(token, lease)).await
            }
        }
    }

    /// Called after a request that succeeded with `token`: renews it when half of its life is over. A failure is no
    /// reason to stop while the token still works.
    pub(super) async fn keep_alive(&self, client: &VaultClient, token: &Token) {
        if matches!(self.auth, Auth::AppRole { .. }) {
            return;
        }
        let now = Instant::now();
        let later = now + UPKEEP_RETRY;
        let renewing = {
            let mut state = self.state();
            // Whoever comes next need not do the same.
            match state.upkeep {
                Upkeep::LookUp => {
                    state.upkeep = Upkeep::LookUpLater(later);
                    false
                }
                Upkeep::LookUpLater(when) if when <= now => {
                    state.upkeep = Upkeep::LookUpLater(later);
                    false
                }
                Upkeep::Renew(when) if when <= now => {
                    state.upkeep = Upkeep::Renew(later);
                    true
                }
                _ => return,
            }
        };
        let client = client.unobserved();
        let left = if renewing { renew(&client, token).await } else { renewable_ttl(&client, token).await };
        let mut state = self.state();
        if state.token.as_ref().is_none_or(|held| held.generation != token.generation) {
            return;
        }
        match left {
            Ok(Duration::ZERO) => state.upkeep = Upkeep::Pointless,
            Ok(left) => state.upkeep = Upkeep::Renew(now + left / 2),
            Err(error) if is_passing(error.kind()) => {}
            Err(error) => {
                state.upkeep = Upkeep::Pointless;
                if renewing {
                    tracing::warn!(server = client.address(), "the token cannot be kept from running out: {error}");
                }
            }
        }
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
            state.upkeep = Upkeep::LookUp;
        }
        let token = Token {
            header,
            generation: state.generations,
            since,
            renew_at: lease.and_then(|lease| since.checked_add(lease.saturating_sub((lease / 10).min(EARLY)))),
            ends_at: lease.and_then(|lease| since.checked_add(lease)),
        };
        state.token = Some(token.clone());
        Ok(token)
    }

    /// What a lookup says of the token, or has just said. The caller holds the `refresh` lock.
    async fn standing(&self, client: &VaultClient, token: &Token) -> Standing {
        if let Some((standing, generation, when)) = self.state().standing
            && generation == token.generation
            && when.elapsed() < BELIEF
        {
            return standing;
        }
        let standing = look_up(client, token).await;
        self.state().standing = Some((standing, token.generation, Instant::now()));
        standing
    }
}

async fn look_up(client: &VaultClient, token: &Token) -> Standing {
    let target = Target { operation: "look up", path: "the token" };
    let request = request(Method::GET, LOOKUP, Repeat::Safe);
    match client.unobserved().send_as(target, request, token).await {
        Ok(answer) if answer.status.is_success() => Standing::Valid,
        Ok(answer) if answer.status == StatusCode::FORBIDDEN && blames_token(&answer) => Standing::Dead,
        Ok(answer) if answer.status == StatusCode::FORBIDDEN => Standing::Mute,
        _ => Standing::Unknown,
    }
}

/// How long the token has left; zero if it never ends or cannot be renewed.
async fn renewable_ttl(client: &VaultClient, token: &Token) -> Result<Duration, VaultError> {
    let target = Target { operation: "look up", path: "the token" };
    let answer = client.send_as(target, request(Method::GET, LOOKUP, Repeat::Never), token).await?;
    let found: TokenAnswer = data(target, &answer)?;
    Ok(Duration::from_secs(if found.renewable { found.ttl } else { 0 }))
}

/// Renews the token; how long it has left then.
async fn renew(client: &VaultClient, token: &Token) -> Result<Duration, VaultError> {
    let target = Target { operation: "renew", path: "the token" };
    let request = request(Method::PUT, "auth/token/renew-self", Repeat::Never).body("{}");
    let answer = client.send_as(target, request, token).await?;
    Login::read(target, &answer, |_| false).map(|renewed| Duration::from_secs(renewed.lease_duration))
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Server
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpSettings;
    use crate::http::scripted::Server;
    use crate::vault::{SecretIdSource, VaultSettings};

    #[tokio::test]
    async fn a_token_serves_to_its_end_when_there_is_no_other_yet() {
        let login =
            |token| Server::json(200, &format!(r#"{{"auth":{{"client_token":"{token}","lease_duration":60}}}}"#));
        let away = Server::json(503, r#"{"errors":["auth mount is away"]}"#);
        let done = Server::json(200, r#"{"data":{"policies":[],"ttl":1,"renewable":false}}"#);
        let answers = [login("first"), done.clone(), away, done.clone(), done.clone(), login("second"), done];
        let server = Server::start(&answers).await;
        let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
        let secret_id = SecretIdSource::Value(Zeroizing::new("proof".to_owned()));
        let auth = Auth::AppRole { mount: "approle".to_owned(), role_id: "me".to_owned(), secret_id };
        let vault = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
        let set = |renew_at, ends_at| {
            let mut state = vault.shared.tokens.state();
            let token = state.token.as_mut().expect("a token");
            (token.renew_at, token.ends_at) = (Some(renew_at), Some(ends_at));
        };
        vault.token_info().await.expect("the first token");
        let now = Instant::now();
        set(now, now + Duration::from_mins(1));
        vault.token_info().await.expect("the first token, after one attempt to get another");
        vault.token_info().await.expect("the first token, without an attempt");
        let now = Instant::now();
        set(now, now);
        vault.token_info().await.expect("the second token");

        let seen: Vec<_> = server
            .requests()
            .iter()
            .map(|request| match request.lines().find_map(|line| line.strip_prefix("x-vault-token: ")) {
                Some(token) => token.to_owned(),
                None => "login".to_owned(),
            })
            .collect();
        assert_eq!(seen, ["login", "first", "login", "first", "first", "login", "second"]);
    }

    #[tokio::test]
    async fn a_login_without_an_answer_is_not_waited_for_while_a_token_holds() {
        let login = r#"{"auth":{"client_token":"first","lease_duration":60}}"#;
        let hang = "HTTP/1.1 200 Scripted\r\nx-then: hang\r\ncontent-length: 9\r\n\r\n{".to_owned();
        let server = Server::start(&[Server::json(200, login), hang]).await;
        let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
        let secret_id = SecretIdSource::Value(Zeroizing::new("proof".to_owned()));
        let auth = Auth::AppRole { mount: "approle".to_owned(), role_id: "me".to_owned(), secret_id };
        let vault = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
        let tokens = &vault.shared.tokens;
        let first = tokens.current(&vault).await.expect("a token");
        let now = Instant::now();
        if let Some(token) = &mut tokens.state().token {
            (token.renew_at, token.ends_at) = (Some(now), Some(now + Duration::from_secs(1)));
        }
        let (one, other) = tokio::join!(tokens.current(&vault), tokens.current(&vault));
        for token in [one, other] {
            assert_eq!(token.expect("the first token").generation, first.generation);
        }
        assert_eq!(server.requests().len(), 2);
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

    #[test]
    fn debug_shows_no_token() {
        let source = TokenSource::new(Auth::Token(Zeroizing::new("hunter2".to_owned())));
        source.keep("hunter2", None).expect("a token");
        assert!(!format!("{source:?} {:?}", source.state().token).contains("hunter2"));
    }
}
