//! What can go wrong between vsync and a Vault server.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::Target;
use crate::http::{HttpError, HttpErrorKind, Response};
use crate::kv::unescape;
use crate::text::{sanitize, truncate_end};

/// What a failure means, and with it what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// 403: the token may not do this.
    PermissionDenied,
    /// 404 without a body: there is nothing.
    NotFound,
    /// 404 with metadata: the version asked for is soft-deleted or destroyed.
    Deleted,
    /// 400 of a write whose `cas` did not match or was missing.
    CheckAndSet,
    /// 413, or the server's word that the entry is too large.
    TooLarge,
    /// 429, after all retries.
    RateLimited,
    /// 503 (sealed, standby), after all retries; or a standby that points to another server.
    Unavailable,
    /// No answer in time, after all retries.
    Timeout,
    /// Connection refused, reset, cut off; name not resolved.
    Network,
    /// The TLS handshake failed, or the certificates set for it cannot be used.
    Tls,
    /// There is no token, none could be got, or the one there is no longer is one.
    NoToken,
    /// 405 or "unsupported": this server has no such operation.
    Unsupported,
    /// The path cannot be sent in a URL (`.` or `..` as a segment).
    InvalidPath,
    /// The answer was not what the API describes.
    Protocol,
    /// Any other 4xx, or an address that is none.
    BadRequest,
    /// Any other 5xx, after all retries.
    Server,
}

/// A request that failed: what was asked, of which path, and why it did not work. Never holds a secret value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} {path}: {message}")]
pub struct VaultError {
    operation: &'static str,
    path: String,
    message: String,
    kind: ErrorKind,
}

impl VaultError {
    /// What the failure means.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was being done: `write secret`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The reason alone, without operation and path: `permission denied`, `connection refused`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Columns of a server's message that are kept.
const MESSAGE_WIDTH: usize = 300;

impl Target<'_> {
    /// A failure of this request.
    pub(super) fn error(self, kind: ErrorKind, message: impl AsRef<str>) -> VaultError {
        VaultError {
            operation: self.operation,
            path: sanitize(self.path).into_owned(),
            message: plain(message.as_ref()),
            kind,
        }
    }

    /// There was no complete answer.
    pub(super) fn transport(self, error: &HttpError) -> VaultError {
        let kind = match error.kind() {
            HttpErrorKind::Connect | HttpErrorKind::Reset | HttpErrorKind::CutOff => ErrorKind::Network,
            HttpErrorKind::Timeout => ErrorKind::Timeout,
            HttpErrorKind::Tls | HttpErrorKind::Settings => ErrorKind::Tls,
            HttpErrorKind::InvalidPath => ErrorKind::InvalidPath,
            HttpErrorKind::InvalidUrl => ErrorKind::BadRequest,
            HttpErrorKind::Redirect => ErrorKind::Unavailable,
        };
        self.error(kind, error.to_string())
    }

    /// The answer's status is not a success.
    pub(super) fn refusal(self, answer: &Response) -> VaultError {
        self.refusal_to(answer, |_| false)
    }

    /// As [`Self::refusal`], to a request that held a secret. What the server says is withheld if it `repeats` that.
    pub(super) fn refusal_to(self, answer: &Response, repeats: impl FnOnce(&str) -> bool) -> VaultError {
        let body = Refusal::read(answer);
        let said = body.as_ref().map(Refusal::text).unwrap_or_default();
        let kind =
            if answer.has_no_leader() { ErrorKind::Unavailable } else { kind_of(answer.status, body.as_ref(), &said) };
        if repeats(&said) {
            let message =
                format!("the server answered {}; its words repeat the secret and are withheld", answer.status);
            return self.error(kind, message);
        }
        let message = match kind {
            _ if !said.is_empty() => return self.error(kind, &*said),
            ErrorKind::NotFound => "there is nothing at this path".to_owned(),
            ErrorKind::Deleted => "the version is deleted".to_owned(),
            _ if answer.body.starts_with(b"Client sent an HTTP request to an HTTPS server") => {
                "the server speaks TLS: the address must begin with https://".to_owned()
            }
            ErrorKind::Protocol => format!("{} without the API's JSON: is this a Vault?", answer.status),
            _ => format!("the server answered {}", answer.status),
        };
        self.error(kind, message)
    }

    /// The token that was used for this request is dead, and there is no other.
    pub(super) fn token_is_dead(self) -> VaultError {
        let message = "the token is no longer valid: it was revoked, has run out, or does not hold here; set a new one";
        self.error(ErrorKind::NoToken, message)
    }

    /// A success whose body is not what the API describes. `error` is used for its place only: its text may quote the body.
    pub(super) fn protocol(self, error: &serde_json::Error) -> VaultError {
        let message = match error.classify() {
            serde_json::error::Category::Data => "lacks what the API describes",
            _ => "is not JSON",
        };
        self.error(
            ErrorKind::Protocol,
            format!("the answer {message} (line {} column {})", error.line(), error.column()),
        )
    }
}

/// Whether a 403 speaks of the token itself rather than of what it may do.
///
/// To an unknown token OpenBao and older Vaults answer a bare "permission denied", newer ones add "invalid token" or say
/// "bad token"; what a policy refuses is a list of errors, even of one: "1 error occurred: * permission denied".
pub(super) fn blames_token(answer: &Response) -> bool {
    let Some(said) = Refusal::read(answer).map(|body| body.text()) else { return false };
    said.as_str() == "permission denied" || said.contains("invalid token") || said.contains("bad token")
}

/// The body of an answer that is no success. Texts are left where they are: they may quote a secret.
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    errors: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    warnings: Option<Vec<&'a RawValue>>,
    data: Option<RefusalData>,
}

#[derive(Deserialize)]
struct RefusalData {
    metadata: Option<serde::de::IgnoredAny>,
}

impl<'a> Refusal<'a> {
    fn read(answer: &'a Response) -> Option<Self> {
        serde_json::from_slice(&answer.body).ok()
    }

    fn text(&self) -> Zeroizing<String> {
        let errors = joined(self.errors.as_deref().unwrap_or_default());
        if errors.is_empty() { joined(self.warnings.as_deref().unwrap_or_default()) } else { errors }
    }

    fn says_nothing(&self) -> bool {
        self.errors.as_ref().is_some_and(Vec::is_empty)
    }

    fn names_a_version(&self) -> bool {
        self.data.as_ref().is_some_and(|data| data.metadata.is_some())
    }
}

fn joined(texts: &[&RawValue]) -> Zeroizing<String> {
    // Enough for all, because a buffer that grows leaves its content behind.
    let mut all = Zeroizing::new(String::with_capacity(texts.iter().map(|text| text.get().len() + 2).sum()));
    for text in texts {
        let text = text.get();
        let said = unescape(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
        if !all.is_empty() {
            all.push_str("; ");
        }
        all.push_str(said.trim());
    }
    all
}

fn kind_of(status: StatusCode, body: Option<&Refusal<'_>>, said: &str) -> ErrorKind {
    // Vault gives 400, 413 or 500 for it, depending on which layer found out.
    if status == StatusCode::PAYLOAD_TOO_LARGE || said.contains("too large") {
        return ErrorKind::TooLarge;
    }
    match status.as_u16() {
        400 if said.contains("check-and-set") => ErrorKind::CheckAndSet,
        400 if said.contains("missing client token") => ErrorKind::NoToken,
        401 | 403 => ErrorKind::PermissionDenied,
        404 if said.starts_with("unsupported") => ErrorKind::Unsupported,
        404 => match body {
            Some(body) if body.names_a_version() => ErrorKind::Deleted,
            Some(body) if body.says_nothing() => ErrorKind::NotFound,
            // No such mount, or not a KV v2 one: nothing is known of the path itself.
            Some(_) if !said.is_empty() => ErrorKind::BadRequest,
            _ => ErrorKind::Protocol,
        },
        405 | 501 => ErrorKind::Unsupported,
        400 if said.contains("unsupported operation") || said.contains("unsupported path") => ErrorKind::Unsupported,
        429 => ErrorKind::RateLimited,
        412 | 472 | 473 | 503 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::BadRequest,
        500..=599 => ErrorKind::Server,
        _ => ErrorKind::Protocol,
    }
}

/// One harmless line of bounded length, without the counting that Vault puts before lists of errors.
fn plain(message: &str) -> String {
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("1 error occurred: * ").unwrap_or(&line);
    truncate_end(&sanitize(line), MESSAGE_WIDTH).into_owned()
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn refusal(status: u16, body: &str) -> (ErrorKind, String) {
        let error = Target { operation: "read secret", path: "secret/app" }.refusal(&Response {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: Zeroizing::new(body.as_bytes().to_vec()),
        });
        assert!(error.to_string().starts_with("read secret secret/app: "));
        (error.kind(), error.message().to_owned())
    }

    #[test]
    fn kinds_follow_from_status_and_text() {
        let deleted = r#"{"data":{"data":null,"metadata":{"deletion_time":"2026-11-23T19:23:48Z","version":1}}}"#;
        for (status, body, kind) in [
            (403, r#"{"errors":["permission denied"]}"#, ErrorKind::PermissionDenied),
            (404, r#"{"errors":[]}"#, ErrorKind::NotFound),
            (404, deleted, ErrorKind::Deleted),
            (404, r#"{"errors":["no handler for route \"x/data/y\". route entry not found."]}"#, ErrorKind::BadRequest),
            (
                404,
                r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine"]}"#,
                ErrorKind::BadRequest,
            ),
            (404, r#"{"errors":["unsupported path"]}"#, ErrorKind::Unsupported),
            (404, "<html>not found</html>", ErrorKind::Protocol),
            (404, "", ErrorKind::Protocol),
            (404, "{}", ErrorKind::Protocol),
            (405, r#"{"errors":["1 error occurred:\n\t* unsupported operation\n\n"]}"#, ErrorKind::Unsupported),
            (
                400,
                r#"{"errors":["check-and-set parameter did not match the current version"]}"#,
                ErrorKind::CheckAndSet,
            ),
            (400, r#"{"errors":["check-and-set parameter required for this call"]}"#, ErrorKind::CheckAndSet),
            (400, r#"{"errors":["missing client token"]}"#, ErrorKind::NoToken),
            (400, r#"{"errors":["path cannot contain parent references"]}"#, ErrorKind::BadRequest),
            (413, r#"{"errors":["http: request body too large"]}"#, ErrorKind::TooLarge),
            (413, "", ErrorKind::TooLarge),
            (
                500,
                r#"{"errors":["put failed due to value being too large; got 1 bytes, max: 0 bytes"]}"#,
                ErrorKind::TooLarge,
            ),
            (429, r#"{"errors":["request path \"x\": rate limit quota exceeded"]}"#, ErrorKind::RateLimited),
            (503, r#"{"errors":["Vault is sealed"]}"#, ErrorKind::Unavailable),
            (500, r#"{"errors":["internal error"]}"#, ErrorKind::Server),
            (502, "<html>bad gateway</html>", ErrorKind::Server),
            (418, "", ErrorKind::BadRequest),
        ] {
            assert_eq!(refusal(status, body).0, kind, "{status} {body}");
        }
    }

    #[test]
    fn a_dead_token_is_told_from_one_that_may_not() {
        let blames = |body: &str| {
            let body = Zeroizing::new(body.as_bytes().to_vec());
            blames_token(&Response { status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body })
        };
        assert!(blames(r#"{"errors":["permission denied"]}"#));
        assert!(blames(r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#));
        assert!(blames(r#"{"errors":["bad token"]}"#));
        assert!(!blames(r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#));
        assert!(!blames(r#"{"errors":[]}"#));
        assert!(!blames("permission denied"), "a proxy's own");
    }

    #[test]
    fn messages_are_one_harmless_line() {
        assert_eq!(
            refusal(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#).1,
            "permission denied"
        );
        assert_eq!(refusal(500, r#"{"errors":["a\u001b[2Jb", "c"]}"#).1, "a\u{241b}[2Jb; c");
        assert_eq!(refusal(400, r#"{"errors":["not \"a\"", 7]}"#).1, r#"not "a"; 7"#);
        assert_eq!(refusal(500, "").1, "the server answered 500 Internal Server Error");
        assert!(refusal(500, &format!(r#"{{"errors":["{}"]}}"#, "x".repeat(5_000))).1.len() < 310);
        assert!(refusal(400, "Client sent an HTTP request to an HTTPS server.\n").1.contains("https://"));
    }
}
