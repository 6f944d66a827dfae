//! The token in use, and when to get another.
//!
//! ```text
//!  got ──────────── two thirds of its life ─────────────────────────── end
//!   used as it is   renewed; else logged in anew; else used as it is    logged in anew, or the server says no
//! ```
//!
//! One token serves all clones of a client. Whoever needs a new one takes the `refresh` lock; the others wait and use
//! what it brought, be it a token or an error. Requests see to renewal as they come; where a token could not be replaced,
//! a timer does so in the quiet between them.

mod lease;
mod source;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, fs};

pub(super) use lease::Lease;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use tokio::task::AbortHandle;

use super::auth::Auth;
use super::error::blames_token;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};

pub(super) const LOOKUP: &str = "auth/token/lookup-self";

/// A token in use.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Marked sensitive, and wiped when the last clone is dropped.
    header: HeaderValue,
    /// Tells tokens apart without comparing their text.
    generation: u64,
    since: Instant,
    /// `None`: it never ends, or nobody knows when.
    lease: Option<Lease>,
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

/// The longest that a request waits for renewal or login while the token there is still holds.
const EARLY_PATIENCE: Duration = Duration::from_secs(5);

/// How long a token is used on, after renewing it failed, before the next attempt; less if it ends sooner.
const EARLY_RETRY: Duration = Duration::from_secs(15);

/// The shortest time between two attempts.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

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
    /// What the last lookup said.
    standing: Option<Belief>,
    /// A token just got could not look itself up, so a failing lookup proves nothing.
    lookup_proves_nothing: bool,
    failed: Option<(Instant, VaultError)>,
    life: Life,
    /// Renews the token when no request does.
    timer: Option<AbortHandle>,
}

/// What a lookup said of a token.
#[derive(Debug, Clone, Copy)]
struct Belief {
    standing: Standing,
    generation: u64,
    when: Instant,
    /// It was asked for because the server had blamed the token, not what the token may do.
    blamed: bool,
}

/// Whether it is known how long a token lasts that was given, not got by a login.
#[derive(Debug, Clone, Copy, Default)]
enum Life {
    #[default]
    Unknown,
    /// Could not be found out; not to be tried again until then.
    UnknownUntil(Instant),
    Known,
}

/// The token held.
enum Held {
    /// Nothing speaks against it.
    Good(Token),
    /// It holds for a while yet, but should be renewed or replaced.
    Ending(Token),
    /// There is none, or it is outdated.
    None,
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

impl Drop for TokenSource {
    fn drop(&mut self) {
        if let Some(timer) = self.state().timer.take() {
            timer.abort();
        }
    }
}

impl TokenSource {
    pub(super) fn new(auth: Auth) -> Self {
        Self { auth, state: Mutex::default(), refresh: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token to use now; gets one if there is none, and renews or replaces the one there is ahead of its end.
    pub(super) async fn current(&self, client: &VaultClient) -> Result<Token, VaultError> {
        match self.held() {
            Held::Good(token) => return Ok(token),
            Held::Ending(token) => {
                // Whoever holds the lock is seeing to it.
                let Ok(_refreshing) = self.refresh.try_lock() else { return Ok(token) };
                return Ok(match self.held() {
                    Held::Good(token) => token,
                    Held::Ending(token) => Box::pin(self.extend(client, token)).await,
                    Held::None => token,
                });
            }
            Held::None => {}
        }
        let asked = Instant::now();
        let _refreshing = self.refresh.lock().await;
        match self.held() {
            Held::Good(token) | Held::Ending(token) => Ok(token),
            Held::None => Box::pin(self.refresh(client, asked)).await,
        }
    }

    /// Called with the token that was answered 403, and the answer: finds out whether it is to blame, and gets another if
    /// so.
    pub(super) async fn replace(
        &self,
        client: &VaultClient,
        denied: &Token,
        answer: &Response,
    ) -> Result<Denied, VaultError> {
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
        let standing = self.standing(client, denied, blames_token(answer)).await;
        match &self.auth {
            Auth::Login(_) => {}
            Auth::TokenHelper(_) if standing == Standing::Dead => {
                let fresh = self.refresh(client, asked).await?;
                let same = fresh.generation == denied.generation;
                return Ok(if same { Denied::Dead } else { Denied::Outdated(fresh) });
            }
            _ => return Ok(if standing == Standing::Dead { Denied::Dead } else { Denied::Valid }),
        }
        // When in doubt it is valid: a login for every denied path would be a storm.
        let young = || self.state().lookup_proves_nothing && denied.since.elapsed() < UNSURE_AGE;
        if matches!(standing, Standing::Valid | Standing::Unknown) || standing == Standing::Mute && young() {
            return Ok(Denied::Valid);
        }
        let fresh = self.refresh(client, asked).await?;
        // Only a token that was just made, and is valid without doubt, tells what a failing lookup means.
        let mute = self.standing(client, &fresh, false).await == Standing::Mute;
        self.state().lookup_proves_nothing = mute;
        Ok(Denied::Outdated(fresh))
    }

    fn held(&self) -> Held {
        let mut state = self.state();
        let now = Instant::now();
        if let Auth::TokenFile(file) = &self.auth
            && state.file_checked.is_none_or(|checked| now.duration_since(checked) >= FILE_CHECK)
        {
            let stamp = FileStamp::of(file);
            // A file that is gone for a moment is being replaced.
            if stamp.is_some() && stamp != state.file_stamp {
                return Held::None;
            }
            state.file_checked = Some(now);
        }
        let Some(token) = state.token.clone() else { return Held::None };
        match token.lease {
            // There is no other to be had for one that was given: the server has the last word on it.
            Some(lease) if lease.is_over() => match self.auth {
                Auth::Token(_) | Auth::TokenFile(_) => Held::Good(token),
                Auth::TokenHelper(_) | Auth::Login(_) => Held::None,
            },
            Some(Lease { renew_at: Some(due), .. }) if due <= now => Held::Ending(token),
            _ => Held::Good(token),
        }
    }

    /// Renews `held`, which is ending, or gets another; if neither can be done now, `held` will do. The caller holds the
    /// `refresh` lock.
    async fn extend(&self, client: &VaultClient, held: Token) -> Token {
        let left = || held.lease.map_or(Duration::ZERO, |lease| lease.left());
        let extended = tokio::time::timeout(EARLY_PATIENCE.min(left() / 2), self.try_extend(client, &held));
        let reason = match extended.await {
            Ok(Ok(token)) => return token,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        let left = left();
        tracing::warn!(
            server = client.address(),
            "the token could not be renewed: {reason}; it holds for {} s yet",
            left.as_secs()
        );
        let next = Instant::now() + EARLY_RETRY.min(left / 4).max(SHORTEST_RETRY);
        self.change_lease(&held, |lease| lease.renew_at = Some(next));
        held
    }

    async fn try_extend(&self, client: &VaultClient, held: &Token) -> Result<Token, VaultError> {
        if let Some(lease) = held.lease.filter(|lease| lease.renewable) {
            let renewed = lease::renew(&client.unobserved(), held).await;
            let reason = match renewed {
                Ok(None) => return Ok(self.set_lease(held, None)),
                Ok(Some(longer)) if longer.is_longer_than(&lease) => return Ok(self.set_lease(held, Some(longer))),
                Ok(Some(_)) => "it may not get older".to_owned(),
                Err(error) if is_passing(error.kind()) && !is_too_old(&error) => return Err(error),
                Err(error) => error.to_string(),
            };
            self.change_lease(held, |lease| lease.renewable = false);
            if !matches!(self.auth, Auth::Login(_)) {
                self.change_lease(held, |lease| lease.renew_at = None);
                tracing::warn!(
                    server = client.address(),
                    "the token runs out in {} s and is not renewed again: {reason}; set a new one",
                    lease.left().as_secs()
                );
                return Ok(held.clone());
            }
        }
        self.get(client, Repeat::Never).await
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

    /// Called after a request that succeeded with `token`: finds out how long it lasts, if it was given.
    pub(super) async fn keep_alive(&self, client: &VaultClient, token: &Token) {
        if matches!(self.auth, Auth::Login(_)) {
            return;
        }
        {
            let mut state = self.state();
            let now = Instant::now();
            match state.life {
                Life::Known => return,
                Life::UnknownUntil(when) if when > now => return,
                // Whoever comes next need not do the same.
                Life::Unknown | Life::UnknownUntil(_) => state.life = Life::UnknownUntil(now + EARLY_RETRY),
            }
        }
        match Box::pin(lease::look_up(&client.unobserved(), token)).await {
            Ok(lease) => {
                self.set_lease(token, lease);
                self.watch(client);
            }
            Err(error) if is_passing(error.kind()) => {}
            // It may not look itself up, so it can hardly renew itself.
            Err(_) => {
                self.set_lease(token, None);
            }
        }
    }

    /// Renews the token in time even if no request comes by then, where it could not be replaced after its end. A
    /// console at rest is woken for nothing else.
    fn watch(&self, client: &VaultClient) {
        let is_replaceable = matches!(&self.auth, Auth::Login(login) if !login.is_one_time());
        let mut state = self.state();
        let runs = state.timer.as_ref().is_some_and(|timer| !timer.is_finished());
        let is_due = state.token.as_ref().and_then(|token| token.lease?.renew_at).is_some();
        if is_replaceable || runs || !is_due {
            return;
        }
        let (http, shared) = (client.http.unobserved(), Arc::downgrade(&client.shared));
        let timer = tokio::spawn(async move {
            loop {
                let due = shared.upgrade().and_then(|shared| shared.tokens.next_renewal());
                let Some(due) = due else { return };
                tokio::time::sleep_until(due.max(Instant::now() + SHORTEST_RETRY).into()).await;
                let Some(shared) = shared.upgrade() else { return };
                let client = VaultClient { http: http.clone(), shared };
                client.shared.tokens.tend(&client).await;
            }
        });
        state.timer = Some(timer.abort_handle());
    }

    /// When the timer has something to do; `None`: never, and there is no timer any more.
    fn next_renewal(&self) -> Option<Instant> {
        let mut state = self.state();
        let lease = state.token.as_ref().and_then(|token| token.lease).filter(|lease| !lease.is_over());
        let due = lease.and_then(|lease| lease.renew_at);
        if due.is_none() {
            state.timer = None;
        }
        due
    }

    async fn tend(&self, client: &VaultClient) {
        let _refreshing = self.refresh.lock().await;
        match (self.held(), &self.auth) {
            (Held::Ending(token), _) => {
                self.extend(client, token).await;
            }
            (Held::None, Auth::TokenFile(file)) => {
                let _ = self.read_file(file);
            }
            _ => {}
        }
    }

    /// What a lookup says of the token, or has just said. The caller holds the `refresh` lock.
    async fn standing(&self, client: &VaultClient, token: &Token, blamed: bool) -> Standing {
        if let Some(belief) = self.state().standing
            && belief.generation == token.generation
            && belief.when.elapsed() < BELIEF
            // a token that was valid when a policy refused something may have been revoked since
            && (belief.blamed || !blamed || belief.standing != Standing::Valid)
        {
            return belief.standing;
        }
        let standing = look_up(client, token).await;
        let when = Instant::now();
        self.state().standing = Some(Belief { standing, generation: token.generation, when, blamed });
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

/// Said, with status 500, of a token that has reached its greatest age, which it may do early: the limit can be lowered.
fn is_too_old(error: &VaultError) -> bool {
    error.message().contains("past the max TTL")
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::RateLimited | ErrorKind::Server
    )
}

#[cfg(test)]
mod tests;
