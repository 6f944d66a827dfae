//! What can go wrong between vsync and Consul.

use reqwest::StatusCode;

use crate::http::{HttpError, HttpErrorKind};
use crate::text::sanitize;

/// What a failure means, and with it what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConsulErrorKind {
    /// 403: the token may not do this.
    PermissionDenied,
    /// 413: larger than Consul takes.
    TooLarge,
    /// 409: a condition of a transaction did not hold; nothing of it was done.
    Conflict,
    /// The session does not exist or has expired.
    NoSession,
    /// No leader, or throttled, after all retries.
    Unavailable,
    /// No answer in time, after all retries.
    Timeout,
    /// Connection refused, reset, cut off; name not resolved.
    Network,
    /// The TLS handshake failed.
    Tls,
    /// A key that cannot be sent in a URL (`.`, `..` or nothing as a segment).
    InvalidKey,
    /// An address, certificate or token that cannot be used.
    Settings,
    /// The answer was not what the API describes.
    Protocol,
    /// Any other 4xx.
    BadRequest,
    /// Any other 5xx, after all retries.
    Server,
}

/// A request to Consul that failed: what was asked, and why it did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {target}: {message}")]
pub struct ConsulError {
    operation: &'static str,
    target: String,
    message: String,
    kind: ConsulErrorKind,
}

/// Enough of an answer to understand it.
const SHOWN_CHARS: usize = 300;

impl ConsulError {
    pub(super) fn new(
        operation: &'static str,
        target: &str,
        kind: ConsulErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self { operation, target: sanitize(target).into_owned(), message: message.into(), kind }
    }

    /// What the failure means.
    #[must_use]
    pub fn kind(&self) -> ConsulErrorKind {
        self.kind
    }

    /// The reason alone, without operation and key.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn from_http(operation: &'static str, target: &str, error: &HttpError) -> Self {
        let kind = match error.kind() {
            HttpErrorKind::Timeout => ConsulErrorKind::Timeout,
            HttpErrorKind::Connect | HttpErrorKind::Reset | HttpErrorKind::CutOff => ConsulErrorKind::Network,
            HttpErrorKind::Tls => ConsulErrorKind::Tls,
            HttpErrorKind::InvalidPath => ConsulErrorKind::InvalidKey,
            HttpErrorKind::InvalidUrl | HttpErrorKind::Settings | HttpErrorKind::Redirect => ConsulErrorKind::Settings,
        };
        Self::new(operation, target, kind, error.to_string())
    }

    pub(super) fn from_answer(operation: &'static str, target: &str, status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text: String = text.trim().chars().take(SHOWN_CHARS).collect();
        let has = |words: &str| text.to_ascii_lowercase().contains(words);
        let (kind, hint) = match status {
            _ if has("acl not found") => {
                (ConsulErrorKind::PermissionDenied, ": Consul does not know this token; set a valid one")
            }
            // of a transaction it is said with 409
            status if status == StatusCode::FORBIDDEN || has("permission denied") => {
                (ConsulErrorKind::PermissionDenied, ": the token's policy must allow it for this key")
            }
            StatusCode::PAYLOAD_TOO_LARGE => (ConsulErrorKind::TooLarge, ""),
            StatusCode::CONFLICT => (ConsulErrorKind::Conflict, ""),
            StatusCode::NOT_FOUND => (ConsulErrorKind::BadRequest, ": is this Consul's address?"),
            // how Consul words an unknown session depends on its version
            _ if has("invalid session") || has("session") && has("not found") => (ConsulErrorKind::NoSession, ""),
            _ if has("no path to datacenter") => (ConsulErrorKind::Settings, ": see that dc is right"),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (ConsulErrorKind::Unavailable, ""),
            _ if has("no cluster leader") => (
                ConsulErrorKind::Unavailable,
                ": Consul has lost its quorum; wait for an election or restore its servers",
            ),
            status if status.is_client_error() => (ConsulErrorKind::BadRequest, ""),
            status if status.is_server_error() => (ConsulErrorKind::Server, ""),
            _ => (ConsulErrorKind::Protocol, ": is this Consul's address?"),
        };
        let message = if text.is_empty() {
            format!("Consul answered {status}{hint}")
        } else {
            format!("Consul answered {}, {}{hint}", status.as_u16(), sanitize(&text))
        };
        Self::new(operation, target, kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        for (status, body, kind) in [
            (403, "Permission denied", ConsulErrorKind::PermissionDenied),
            (403, "ACL not found", ConsulErrorKind::PermissionDenied),
            (409, "a/b: Permission denied", ConsulErrorKind::PermissionDenied),
            (409, "a/b: index is stale", ConsulErrorKind::Conflict),
            (413, "Request body(600000 bytes) too large", ConsulErrorKind::TooLarge),
            (500, "rpc error making call: invalid session \"x\"", ConsulErrorKind::NoSession),
            (404, "Session id 'x' not found", ConsulErrorKind::BadRequest),
            (500, "No cluster leader", ConsulErrorKind::Unavailable),
            (500, "No path to datacenter", ConsulErrorKind::Settings),
            (500, "", ConsulErrorKind::Server),
            (400, "Missing key name", ConsulErrorKind::BadRequest),
            (204, "", ConsulErrorKind::Protocol),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = ConsulError::from_answer("put", "a/b", status, body.as_bytes());
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().starts_with("put a/b: Consul answered"), "{error}");
            assert!(error.message().contains(body));
        }
    }

    #[test]
    fn a_page_of_a_proxy_is_cut_and_made_harmless() {
        let page = format!("\u{1b}[2J<html>{}", "x".repeat(5000));
        let error = ConsulError::from_answer("get", "a", StatusCode::BAD_GATEWAY, page.as_bytes());
        assert!(error.message().len() < 400 && !error.message().contains('\u{1b}'), "{error}");
    }
}
