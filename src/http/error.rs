//! Why there was no complete answer, in plain words.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Where it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HttpErrorKind {
    /// No connection: the name does not resolve, nobody listens, the network is down. The request was not sent.
    Connect,
    /// No answer in time. The request may have been processed.
    Timeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before there was an answer. The request may have been processed.
    Reset,
    /// The answer began and was cut off.
    CutOff,
    /// The address is not an http or https URL.
    InvalidUrl,
    /// The path cannot be sent in a URL.
    InvalidPath,
    /// The server points to a place that is not configured.
    Redirect,
    /// Certificates or keys that cannot be used.
    Settings,
}

/// A request without a complete answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    kind: HttpErrorKind,
    message: String,
}

impl HttpError {
    pub(super) fn new(kind: HttpErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Where it went wrong.
    #[must_use]
    pub fn kind(&self) -> HttpErrorKind {
        self.kind
    }

    pub(super) fn timeout(limit: Duration) -> Self {
        Self::new(HttpErrorKind::Timeout, format!("no answer within {limit:?}"))
    }

    /// The server points to this other one (scheme, host and port), which is not configured.
    pub(super) fn redirect(target: &str) -> Self {
        let message = format!(
            "the server redirects to {target}; vsync sends its token only to configured addresses: add \"{target}\" to this vault's standby_addresses if it is a node of the same cluster, or set the address to the active node or its load balancer"
        );
        Self::new(HttpErrorKind::Redirect, message)
    }

    pub(super) fn from_transport(error: &reqwest::Error) -> Self {
        let causes = Causes::of(error);
        if error.is_builder() {
            return Self::new(HttpErrorKind::InvalidPath, causes.root);
        }
        if error.is_dns() {
            return Self::new(HttpErrorKind::Connect, format!("the name does not resolve ({})", causes.root));
        }
        if let Some(tls) = causes.tls {
            return Self::new(HttpErrorKind::Tls, tls);
        }
        if error.is_connect() {
            let message = if error.is_timeout() { "no connection in time".to_owned() } else { causes.root };
            return Self::new(HttpErrorKind::Connect, message);
        }
        if error.is_timeout() {
            return Self::new(HttpErrorKind::Timeout, "the connection timed out");
        }
        if error.is_body() || error.is_decode() {
            return Self::new(HttpErrorKind::CutOff, format!("the answer was cut off ({})", causes.root));
        }
        Self::new(HttpErrorKind::Reset, causes.root)
    }
}

/// What lies beneath the layers of a transport error.
struct Causes {
    /// The innermost message.
    root: String,
    /// The TLS library's message, if it had one.
    tls: Option<String>,
}

impl Causes {
    fn of(error: &reqwest::Error) -> Self {
        let mut causes = Self { root: String::new(), tls: None };
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = next {
            causes.root = error.to_string();
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                causes.tls = Some(plain_tls(tls));
            }
            next = match error.downcast_ref::<io::Error>() {
                // An I/O error's `source` skips the error it wraps.
                Some(io) => {
                    causes.root = plain_io(io);
                    io.get_ref().map(|inner| inner as &(dyn Error + 'static))
                }
                None => error.source(),
            };
        }
        causes
    }
}

fn plain_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset by the server".to_owned(),
        io::ErrorKind::BrokenPipe => "connection closed by the server".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        io::ErrorKind::TimedOut => "the connection timed out".to_owned(),
        _ => error.to_string(),
    }
}

fn plain_tls(error: &rustls::Error) -> String {
    use rustls::{AlertDescription, CertificateError};
    match error {
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS: should the address be http://?".to_owned(),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate comes from an unknown authority: set ca_cert to the authority's certificate"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(error @ CertificateError::NotValidForNameContext { .. }) => {
            format!("{error}: set tls_server_name if the certificate names another host")
        }
        // webpki's name for a common way of making certificates; its type is not to be had.
        error if error.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is an authority's own (CA:TRUE), not one issued for a server: issue one, or set \
             tls_skip_verify"
                .to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server requires a client certificate: set client_cert and client_key".to_owned()
        }
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown),
        ) => format!("the server does not accept the client certificate set as client_cert: it answers {alert:?}"),
        error => error.to_string(),
    }
}
