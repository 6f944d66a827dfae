//! A thin client for the parts of the Vault API that vsync uses; HashiCorp Vault and OpenBao speak it.
//!
//! Every call takes the same way: a token (from [`Auth`]), the request, and once more with a new token if a 403 turns
//! out to mean that the old one is no longer valid. What comes back is a typed answer or a [`VaultError`] whose
//! [`ErrorKind`] never takes "could not find out" for "is not there".

mod answer;
mod auth;
mod detailed;
mod echo;
mod error;
mod fidelity;
mod helper;
mod index;
mod kv1;
mod kv2;
mod login;
mod mounts;
mod sys;
mod token;
mod wrapping;

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

use index::Seen;

pub use auth::{Auth, SecretSource};
pub use error::{ErrorKind, VaultError};
pub(crate) use kv1::READ_V1;
pub use kv2::{DetailedPage, KeyInfo, Metadata, Scan, Secret, VersionInfo, Wanted, WrittenVersion};
pub use login::Login;
pub use mounts::{KvConfig, LeaseConfig, MountSettings};
pub use sys::{Health, MountInfo, TokenInfo};
use token::{Denied, Token, TokenSource};

use crate::http::{
    Attempts, HttpClient, HttpSettings, Incoming, Reading, Repeat, Request, Response, Throttle, without_user_info,
};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// A Vault agent may be set up to take only requests that carry this.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// How to reach a server, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultSettings {
    /// Address, TLS, timeouts, limits.
    pub http: HttpSettings,
    /// The namespace that all requests are made in.
    pub namespace: Option<String>,
    /// Where the token comes from.
    pub auth: Auth,
}

/// A client for one server, cheap to clone; clones share connections, token and limits.
#[derive(Debug, Clone)]
pub struct VaultClient {
    http: HttpClient,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    namespace: Option<HeaderValue>,
    tokens: TokenSource,
    seen: Seen,
}

/// What is being done to what, in a person's words: the beginning of every error.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    operation: &'static str,
    path: &'a str,
}

impl VaultClient {
    /// Prepares a client; contacts nobody.
    ///
    /// # Errors
    /// [`VaultError`] when the settings cannot work: a bad address, an unreadable certificate, a malformed namespace.
    pub fn new(settings: VaultSettings) -> Result<Self, VaultError> {
        let http = HttpClient::new(&settings.http).map_err(|error| {
            let address = without_user_info(&settings.http.address);
            Target { operation: "connect to", path: &address }.transport(&error)
        })?;
        Self::with(http, settings.namespace, settings.auth)
    }

    /// A client for the same server with a namespace and token of its own. Connections and limits are shared.
    ///
    /// # Errors
    /// [`VaultError`] for a malformed namespace.
    pub fn beside(&self, namespace: Option<String>, auth: Auth) -> Result<Self, VaultError> {
        Self::with(self.http.unobserved(), namespace, auth)
    }

    fn with(http: HttpClient, namespace: Option<String>, auth: Auth) -> Result<Self, VaultError> {
        let target = Target { operation: "connect to", path: http.address() };
        let namespace = namespace.filter(|namespace| !namespace.is_empty()).map(|namespace| {
            HeaderValue::try_from(namespace).map_err(|_| {
                target.error(ErrorKind::BadRequest, "the namespace contains characters no header can carry")
            })
        });
        let shared =
            Shared { namespace: namespace.transpose()?, tokens: TokenSource::new(auth), seen: Seen::default() };
        Ok(Self { http, shared: Arc::new(shared) })
    }

    /// The server's address, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// See [`HttpClient::allow_in_flight`].
    pub fn allow_in_flight(&self, most: usize) {
        self.http.allow_in_flight(most);
    }

    /// How requests to the server are limited now; `None` if their number is not.
    #[must_use]
    pub fn throttle(&self) -> Option<Throttle> {
        self.http.throttle()
    }

    /// The namespace that all requests are made in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.shared.namespace.as_ref().and_then(|namespace| namespace.to_str().ok())
    }

    /// The same client, with its attempts counted in `attempts`.
    #[must_use]
    pub fn observed(&self, attempts: Attempts) -> Self {
        Self { http: self.http.observed(attempts), shared: Arc::clone(&self.shared) }
    }

    /// See [`HttpClient::pauses`].
    pub fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        self.http.pauses()
    }

    /// See [`HttpClient::note_pause`].
    pub fn note_pause(&self, pause: Duration, error: &VaultError) {
        self.http.note_pause(pause, error);
    }

    /// Sends a request with a token. An answer of any status is a success here.
    async fn send(&self, target: Target<'_>, request: Request) -> Result<Response, VaultError> {
        let token = self.shared.tokens.current(self).await?;
        let answer = self.send_as(target, request.clone(), &token).await?;
        if answer.status != StatusCode::FORBIDDEN {
            if answer.status.is_success() {
                self.shared.tokens.keep_alive(self, &token).await;
            }
            return Ok(answer);
        }
        match Box::pin(self.shared.tokens.replace(self, &token, &answer)).await? {
            Denied::Outdated(newer) => self.send_as(target, request, &newer).await,
            Denied::Valid => Ok(answer),
            Denied::Dead => Err(target.token_is_dead()),
        }
    }

    /// As [`Self::send`], for an answer that is read while it comes in.
    async fn send_reading<T: Send + 'static>(
        &self,
        target: Target<'_>,
        request: Request,
        read: fn(Incoming) -> T,
    ) -> Result<Reading<T>, VaultError> {
        let token = self.shared.tokens.current(self).await?;
        let send = async |token: &Token| {
            let request = self.complete(request.clone()).header(TOKEN, token.header());
            let reading = self.http.send_reading(request, read).await.map_err(|error| target.transport(&error))?;
            if let Reading::Refused(answer) = &reading {
                self.shared.seen.note(answer);
            }
            Ok(reading)
        };
        match send(&token).await? {
            Reading::Refused(answer) if answer.status == StatusCode::FORBIDDEN => {
                match Box::pin(self.shared.tokens.replace(self, &token, &answer)).await? {
                    Denied::Outdated(newer) => send(&newer).await,
                    Denied::Valid => Ok(Reading::Refused(answer)),
                    Denied::Dead => Err(target.token_is_dead()),
                }
            }
            reading => {
                if matches!(reading, Reading::Read(_)) {
                    self.shared.tokens.keep_alive(self, &token).await;
                }
                Ok(reading)
            }
        }
    }

    /// The same client for requests of its own that serve the one somebody watches.
    fn unobserved(&self) -> Self {
        Self { http: self.http.unobserved(), shared: Arc::clone(&self.shared) }
    }

    async fn send_as(&self, target: Target<'_>, request: Request, token: &Token) -> Result<Response, VaultError> {
        self.send_bare(target, request.header(TOKEN, token.header())).await
    }

    /// Sends a request without a token.
    async fn send_bare(&self, target: Target<'_>, request: Request) -> Result<Response, VaultError> {
        let answer = self.http.send(self.complete(request.clone())).await.map_err(|error| target.transport(&error))?;
        if !self.shared.seen.note(&answer) {
            return Ok(answer);
        }
        Box::pin(self.http.send(self.complete(request))).await.map_err(|error| target.transport(&error))
    }

    fn complete(&self, request: Request) -> Request {
        let request = self.shared.seen.ask_for_no_less(request.header(REQUEST, HeaderValue::from_static("true")));
        match &self.shared.namespace {
            Some(namespace) => request.header(NAMESPACE, namespace.clone()),
            None => request,
        }
    }
}

/// A request below `/v1/`.
fn request(method: Method, path: &str, repeat: Repeat) -> Request {
    Request::new(method, format!("v1/{path}"), repeat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let http = HttpSettings { address: "https://me:hunter2@vault".to_owned(), ..HttpSettings::default() };
        let auth = Auth::TokenFile("token".into());
        let error = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect_err("no client");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        assert!(error.to_string().starts_with("connect to https://***@vault: "), "{error}");
    }
}
