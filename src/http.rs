//! The one HTTP client beneath Vault and Consul: TLS, timeouts, retry, limits, the nodes of a cluster.
//!
//! ```text
//! Request ─ escape the path ─┐
//!                            ▼
//!        ┌─► wait for a place and the rate limit ─ send ─ collect the whole body ─► Response, any status but a redirect
//!        │                                    ▲    │
//!        │          the next configured node ─┴────┤ not reached, 503, a redirect to one of them
//!        └── back off, Retry-After ◄───────────────┴─ transient, and safe to repeat?   ─ no ─► HttpError
//! ```

mod attempts;
mod error;
mod limit;
mod nodes;
mod pace;
mod request;
mod response;
mod retry;
mod settings;
mod throttle;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::Retryable;
use bytes::Bytes;
use reqwest::{Method, StatusCode, header};

use limit::{Limiter, Place};
use nodes::{Node, Nodes};
use pace::Pace;

pub use attempts::Attempts;
pub use error::{HttpError, HttpErrorKind};
pub use request::{Repeat, Request};
pub use response::{Incoming, Reading, Response};
pub(crate) use settings::without_user_info;
pub use settings::{HttpSettings, TlsSettings, check_address};
pub use throttle::{Cut, CutCause, Throttle, Why};

/// A client for one server. Clones share connections and limits; making a client is costly, cloning is not.
#[derive(Debug, Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
    attempts: Option<Attempts>,
}

#[derive(Debug)]
struct Shared {
    nodes: Nodes,
    /// What was configured, for messages.
    address: String,
    timeout: Duration,
    max_retries: u32,
    limiter: Limiter,
    pace: Option<Pace>,
}

impl HttpClient {
    /// Reads certificates and prepares the connection pool; contacts nobody.
    ///
    /// # Errors
    /// [`HttpErrorKind::InvalidUrl`] for an address that cannot be one, [`HttpErrorKind::Settings`] for certificates
    /// that cannot be used.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        Ok(Self {
            shared: Arc::new(Shared {
                nodes: Nodes::new(settings)?,
                address: settings.address.clone(),
                timeout: settings.timeout,
                max_retries: settings.max_retries,
                limiter: Limiter::new(),
                pace: settings.requests_per_second.map(Pace::new),
            }),
            attempts: None,
        })
    }

    /// The same client, with each send counted in `attempts`.
    #[must_use]
    pub fn observed(&self, attempts: Attempts) -> Self {
        Self { shared: Arc::clone(&self.shared), attempts: Some(attempts) }
    }

    /// How often a request is repeated.
    #[must_use]
    pub fn max_retries(&self) -> u32 {
        self.shared.max_retries
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

    /// Up to so many requests of all clones together may be under way at once from now on, if it was less before; how
    /// many fewer it had better be is found out. Without this nothing is limited.
    pub fn allow_in_flight(&self, most: usize) {
        self.shared.limiter.raise(most);
    }

    /// How requests are limited now; `None` if their number is not.
    #[must_use]
    pub fn throttle(&self) -> Option<Throttle> {
        self.shared.limiter.throttle(self.shared.pace.as_ref().map(Pace::per_second))
    }

    /// Sends a request, again where that is safe and may help, and collects the whole answer.
    ///
    /// An answer of any status is a success here, except a redirect: it would carry the token to wherever the server
    /// points, so it is followed to configured addresses only.
    ///
    /// # Errors
    /// [`HttpError`] when there was no complete answer.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let done = self.attempt(&request, async |incoming| retry::settle(incoming.collect().await?)).await;
        done.or_else(retry::Failure::into_result)
    }

    /// As [`HttpClient::send`], but a successful answer is given to `read`; a large one while it comes in, on a thread of
    /// its own, so that it need not fit into memory. What `read` has read is thrown away when the rest does not come.
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
        let attempt = || async {
            let done = self.attempt_once(request, &finish).await;
            if let (Some(attempts), Err(failure)) = (&self.attempts, &done)
                && failure.is_unprocessed()
            {
                attempts.count_refused();
            }
            done
        };
        attempt
            .retry(retry::backoff(self.shared.max_retries))
            .when(|failure| failure.may_repeat(request.repeat))
            .adjust(retry::honour_retry_after)
            .notify(|failure, pause| retry::note_pause(self.address(), request, failure, pause))
            .await
    }

    /// One attempt, which has a place at the server from here to its end.
    async fn attempt_once<T, F: Future<Output = Result<T, retry::Failure>>>(
        &self,
        request: &Request,
        finish: &impl Fn(response::Begun) -> F,
    ) -> Result<T, retry::Failure> {
        let shared = &*self.shared;
        let mut place = if request.apart { None } else { Some(shared.limiter.place(request.class()).await) };
        if let Some(pace) = &shared.pace {
            pace.turn(request.apart, || shared.limiter.note_paced()).await;
        }
        if let Some(attempts) = &self.attempts {
            attempts.count();
        }
        let done = match self.ask_nodes(request, place.as_mut()).await {
            Ok(begun) => finish(begun).await,
            Err(error) => Err(error.into()),
        };
        if let Some(attempts) = &self.attempts {
            attempts.end();
        }
        if let Err(failure) = &done
            && failure.has_no_leader()
        {
            shared.nodes.turn_away();
        }
        if let (Some(place), Err(failure)) = (&place, &done)
            && let Some((cause, retry_after)) = failure.overload()
        {
            place.refused(cause, retry_after);
        }
        done
    }

    /// Asks the node that worked last, and the others where that one leads nowhere.
    async fn ask_nodes(
        &self,
        request: &Request,
        mut place: Option<&mut Place<'_>>,
    ) -> Result<response::Begun, HttpError> {
        let nodes = &self.shared.nodes;
        let mut at = nodes.current();
        let (mut others, mut redirects) = (nodes.len() - 1, nodes.len());
        loop {
            let node = nodes.get(at);
            if let Some(place) = place.as_deref_mut() {
                place.sent();
            }
            let begun = match self.begin(request, node).await {
                Err(error) if error.kind() == HttpErrorKind::Connect && others > 0 => {
                    others -= 1;
                    at = nodes.after(at);
                    continue;
                }
                begun => begun?,
            };
            match begun.status() {
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    let target = nodes.target(node, begun.headers())?;
                    if redirects == 0 || target == at {
                        let message = "the server's nodes redirect to each other: none of them leads the cluster now";
                        // several are about to agree, one alone is wrong about its own address
                        let kind = if target == at { HttpErrorKind::Redirect } else { HttpErrorKind::Connect };
                        return Err(HttpError::new(kind, message));
                    }
                    redirects -= 1;
                    at = target;
                }
                status if status.is_redirection() => {
                    nodes.target(node, begun.headers())?;
                    let message = format!("the server answers {status}, which no Vault does: is this one?");
                    return Err(HttpError::new(HttpErrorKind::Redirect, message));
                }
                StatusCode::SERVICE_UNAVAILABLE if others > 0 => {
                    others -= 1;
                    at = nodes.after(at);
                }
                status => {
                    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                        nodes.prefer(at);
                        if let Some(place) = place.as_deref() {
                            place.answered();
                        }
                    }
                    return Ok(begun);
                }
            }
        }
    }

    /// Sends a request once and waits for the head of its answer.
    async fn begin(&self, request: &Request, node: &Node) -> Result<response::Begun, HttpError> {
        let mut outgoing = reqwest::Request::new(request.method.clone(), request.url(&node.base)?);
        outgoing.headers_mut().clone_from(&request.headers);
        if let Some(host) = &node.host {
            outgoing.headers_mut().insert(header::HOST, host.clone());
        }
        if let Some(body) = &request.body {
            outgoing.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
            *outgoing.body_mut() = Some(body.clone().into());
        } else if matches!(request.method, Method::POST | Method::PUT) {
            *outgoing.body_mut() = Some(Bytes::new().into());
        }
        let patience = response::Patience::new(request.timeout(self.shared.timeout), request.long_answer);
        let answer = patience.wait(node.client.execute(outgoing)).await?;
        Ok(response::Begun::new(answer, patience))
    }
}

#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
