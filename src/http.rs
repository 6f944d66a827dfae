//! The one HTTP client beneath Vault and Consul: TLS, timeouts, retry, rate limit.
//!
//! ```text
//! Request ─ escape the path ─┐
//!                            ▼
//!        ┌─► wait for the rate limit ─ send ─ collect the whole body ─► Response, any status but a redirect
//!        │                            │
//!        └── back off, Retry-After ◄──┴─ transient, and safe to repeat?   ─ no ─► HttpError
//! ```

mod error;
mod request;
mod response;
mod retry;
mod settings;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::Retryable;
use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{Method, Url, header};

pub use error::{HttpError, HttpErrorKind};
pub use request::{Repeat, Request};
pub use response::{Incoming, Reading, Response};
pub(crate) use settings::without_user_info;
pub use settings::{HttpSettings, TlsSettings, check_address};

/// How often the request under way has been sent; read by whoever watches, while it runs.
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Attempts since [`Attempts::reset`].
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Begins to count anew.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// One more attempt.
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A client for one server. Clones share connections and rate limit; making a client is costly, cloning is not.
#[derive(Debug, Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
    attempts: Option<Attempts>,
}

#[derive(Debug)]
struct Shared {
    client: reqwest::Client,
    /// What was configured, for messages.
    address: String,
    /// What request paths are appended to: without a slash at its end.
    base: String,
    /// The `Host` header, where the URL names the TLS server name instead of the address.
    host: Option<header::HeaderValue>,
    timeout: Duration,
    max_retries: u32,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl HttpClient {
    /// Reads certificates and prepares the connection pool; contacts nobody.
    ///
    /// # Errors
    /// [`HttpErrorKind::InvalidUrl`] for an address that cannot be one, [`HttpErrorKind::Settings`] for certificates
    /// that cannot be used.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        let settings::Prepared { client, base, host } = settings::prepare(settings)?;
        // A tenth of a second's worth may go at once: timers are too coarse to space out a high rate one by one.
        let limiter = settings.requests_per_second.map(|rate| {
            let burst = std::num::NonZeroU32::new(rate.get() / 10).unwrap_or(std::num::NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                address: settings.address.clone(),
                base,
                host,
                timeout: settings.timeout,
                max_retries: settings.max_retries,
                limiter,
            }),
            attempts: None,
        })
    }

    /// The same client, with each send counted in `attempts`.
    #[must_use]
    pub fn observed(&self, attempts: Attempts) -> Self {
        Self { shared: Arc::clone(&self.shared), attempts: Some(attempts) }
    }

    /// The same client, counting nowhere: for requests that are not the one somebody watches.
    #[must_use]
    pub fn unobserved(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), attempts: None }
    }

    /// The server's address as configured, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// Sends a request, again where that is safe and may help, and collects the whole answer.
    ///
    /// An answer of any status is a success here, except a redirect, which is never followed: it would carry the token
    /// to wherever the server points.
    ///
    /// # Errors
    /// [`HttpError`] when there was no complete answer.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let done = self.attempt(&request, async |incoming| retry::settle(incoming.collect().await?)).await;
        done.or_else(retry::Failure::into_result)
    }

    /// As [`HttpClient::send`], but a successful answer is given to `read` while it comes in, on a thread of its own, so
    /// that it need not fit into memory. What `read` has read is thrown away when the rest does not come.
    ///
    /// # Errors
    /// [`HttpError`] when there was no complete answer.
    pub async fn send_reading<T: Send + 'static>(
        &self,
        request: Request,
        read: fn(Incoming) -> T,
    ) -> Result<Reading<T>, HttpError> {
        let done = self
            .attempt(&request, async |incoming| {
                if incoming.status().is_success() {
                    return Ok(Reading::Read(incoming.read_with(read).await?));
                }
                retry::settle(incoming.collect().await?).map(Reading::Refused)
            })
            .await;
        done.or_else(|failure| failure.into_result().map(Reading::Refused))
    }

    async fn attempt<T, F: Future<Output = Result<T, retry::Failure>>>(
        &self,
        request: &Request,
        finish: impl Fn(response::Begun) -> F,
    ) -> Result<T, retry::Failure> {
        let url = request.url(&self.shared.base)?;
        let attempt = || async { finish(self.begin(request, &url).await?).await };
        attempt
            .retry(retry::backoff(self.shared.max_retries))
            .when(|failure| failure.may_repeat(request.repeat))
            .adjust(retry::honour_retry_after)
            .notify(|failure, pause| retry::note_pause(self.address(), request, failure, pause))
            .await
    }

    /// Sends a request once and waits for the head of its answer.
    async fn begin(&self, request: &Request, url: &Url) -> Result<response::Begun, HttpError> {
        let shared = &*self.shared;
        if let Some(limiter) = &shared.limiter {
            limiter.until_ready().await;
        }
        if let Some(attempts) = &self.attempts {
            attempts.count();
        }
        let mut outgoing = reqwest::Request::new(request.method.clone(), url.clone());
        outgoing.headers_mut().clone_from(&request.headers);
        if let Some(host) = &shared.host {
            outgoing.headers_mut().insert(header::HOST, host.clone());
        }
        if let Some(body) = &request.body {
            outgoing.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            *outgoing.body_mut() = Some(body.clone().into());
        } else if matches!(request.method, Method::POST | Method::PUT) {
            *outgoing.body_mut() = Some(Bytes::new().into());
        }
        let patience = response::Patience::new(request.timeout.unwrap_or(shared.timeout), request.long_answer);
        let answer = patience.wait(shared.client.execute(outgoing)).await?;
        if answer.status().is_redirection() {
            return Err(HttpError::redirect(url, answer.headers()));
        }
        Ok(response::Begun::new(answer, patience))
    }
}

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
