//! A thin client for the parts of the Consul API that vsync uses: keys and values, sessions and locks, and waiting for
//! a key to change.

mod error;
mod kv;
mod session;
mod watch;

use std::fmt;

use bytes::Bytes;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use zeroize::Zeroizing;

pub use error::{ConsulError, ConsulErrorKind};
pub use kv::{Entry, TRANSACTION_OPERATIONS, TransactionOp, VALUE_LIMIT};
pub use session::{Session, SessionBehavior};
pub use watch::Watch;

use crate::http::{HttpClient, HttpSettings, Repeat, Request, Response, without_user_info};

/// How to reach one Consul.
#[derive(Clone)]
pub struct ConsulSettings {
    /// Address, TLS, timeouts.
    pub http: HttpSettings,
    /// The datacenter whose keys are meant; `None`: the one the address belongs to.
    pub datacenter: Option<String>,
    /// The ACL token.
    pub token: Option<Zeroizing<String>>,
}

impl fmt::Debug for ConsulSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsulSettings")
            .field("http", &self.http)
            .field("datacenter", &self.datacenter)
            .field("token", &self.token.as_ref().map(|_| "[redacted]"))
            .finish()
    }
}

/// A client for one Consul and one datacenter; clones share connections.
#[derive(Debug, Clone)]
pub struct ConsulClient {
    http: HttpClient,
    datacenter: Option<String>,
    /// Marked as sensitive, which keeps it out of `Debug`; wiped when the last clone is dropped.
    token: Option<HeaderValue>,
}

const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");

impl ConsulClient {
    /// Reads certificates and prepares the connections; contacts nobody.
    ///
    /// # Errors
    /// [`ConsulErrorKind::Settings`] for an address, certificate or token that cannot be used.
    pub fn new(settings: &ConsulSettings) -> Result<Self, ConsulError> {
        let address = &without_user_info(&settings.http.address);
        let http =
            HttpClient::new(&settings.http).map_err(|error| ConsulError::from_http("connect", address, &error))?;
        let token = match &settings.token {
            Some(token) => {
                let bytes = Bytes::from_owner(Zeroizing::new(token.as_bytes().to_vec()));
                let mut value = HeaderValue::from_maybe_shared(bytes).map_err(|_| {
                    let message = "the token has characters that no header can carry";
                    ConsulError::new("connect", address, ConsulErrorKind::Settings, message)
                })?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(Self { http, datacenter: settings.datacenter.clone(), token })
    }

    /// The server's address as configured, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        self.http.address()
    }

    /// The datacenter as configured.
    #[must_use]
    pub fn datacenter(&self) -> Option<&str> {
        self.datacenter.as_deref()
    }

    fn request(&self, method: Method, path: impl Into<String>, repeat: Repeat) -> Request {
        let mut request = Request::new(method, path, repeat);
        if let Some(datacenter) = &self.datacenter {
            request = request.query("dc", datacenter);
        }
        match &self.token {
            Some(token) => request.header(TOKEN, token.clone()),
            None => request,
        }
    }

    /// Sends a request; an answer other than 200 and those `expected` is an error.
    async fn send(&self, call: Call<'_>, request: Request, expected: &[StatusCode]) -> Result<Response, ConsulError> {
        let answer = self
            .http
            .send(request)
            .await
            .map_err(|error| ConsulError::from_http(call.operation, call.target, &error))?;
        if answer.status == StatusCode::OK || expected.contains(&answer.status) {
            return Ok(answer);
        }
        Err(ConsulError::from_answer(call.operation, call.target, answer.status, &answer.body))
    }
}

/// What is asked of which key or session, for messages.
#[derive(Clone, Copy)]
struct Call<'a> {
    operation: &'static str,
    target: &'a str,
}

impl Call<'_> {
    fn parse<T: serde::de::DeserializeOwned>(self, answer: &Response) -> Result<T, ConsulError> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let message = format!("the answer is not what Consul's API describes: {error}");
            ConsulError::new(self.operation, self.target, ConsulErrorKind::Protocol, message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::scripted::Server;

    #[test]
    fn nothing_that_logs_a_header_shows_the_token() {
        let http = HttpSettings { address: "http://127.0.0.1:1".to_owned(), ..HttpSettings::default() };
        let token = Some(Zeroizing::new("canary-token".to_owned()));
        let consul = ConsulClient::new(&ConsulSettings { http, datacenter: None, token }).unwrap();
        assert!(consul.token.as_ref().unwrap().is_sensitive());
        assert_eq!(format!("{:?}", consul.token), "Some(Sensitive)");
        assert!(!format!("{consul:?}").contains("canary"), "{consul:?}");
    }

    #[tokio::test]
    async fn a_value_that_was_not_saved_is_an_error() {
        let server = Server::start(&["true", "false", "saved"].map(|body| Server::json(200, body))).await;
        let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
        let consul = ConsulClient::new(&ConsulSettings { http, datacenter: None, token: None }).unwrap();
        let put = async || consul.put("a", b"1".to_vec()).await.map_err(|error| error.kind());
        assert_eq!(put().await, Ok(()));
        assert_eq!(put().await, Err(ConsulErrorKind::Server));
        assert_eq!(put().await, Err(ConsulErrorKind::Protocol));
    }

    #[test]
    fn debug_shows_no_token() {
        let settings = ConsulSettings {
            http: HttpSettings { address: "http://127.0.0.1:8500".to_owned(), ..HttpSettings::default() },
            datacenter: Some("dc1".to_owned()),
            token: Some(Zeroizing::new("hunter2".to_owned())),
        };
        let client = ConsulClient::new(&settings).unwrap();
        let shown = format!("{settings:?} {client:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!((client.address(), client.datacenter()), ("http://127.0.0.1:8500", Some("dc1")));
    }

    #[test]
    fn settings_that_cannot_work_are_refused_without_being_shown() {
        let mut settings = ConsulSettings {
            http: HttpSettings { address: "http://127.0.0.1:8500".to_owned(), ..HttpSettings::default() },
            datacenter: None,
            token: Some(Zeroizing::new("hunter2\n".to_owned())),
        };
        let error = ConsulClient::new(&settings).unwrap_err();
        assert_eq!(error.kind(), ConsulErrorKind::Settings);
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        settings.token = None;
        for address in ["127.0.0.1:8500", "http://me:hunter2@127.0.0.1:8500"] {
            address.clone_into(&mut settings.http.address);
            let error = ConsulClient::new(&settings).unwrap_err();
            assert_eq!(error.kind(), ConsulErrorKind::Settings);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
