//! What can go wrong between vsync and a Vault server.

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
    /// 503 (sealed, standby), after all retries.
    Unavailable,
    /// No answer in time, after all retries.
    Timeout,
    /// Connection refused, reset, cut off; name not resolved.
    Network,
    /// The TLS handshake failed.
    Tls,
    /// There is no token, or none could be got.
    NoToken,
    /// 405 or "unsupported": this server has no such operation.
    Unsupported,
    /// The path cannot be sent in a URL (`.` or `..` as a segment).
    InvalidPath,
    /// The answer was not what the API describes.
    Protocol,
    /// Any other 4xx.
    BadRequest,
    /// Any other 5xx, after all retries.
    Server,
}

/// A request that failed: what was asked, of which server, and why it did not work. Never holds a secret value.
#[derive(Debug, thiserror::Error)]
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

    /// The reason alone, without operation and path: `permission denied`, `connection refused`.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}
