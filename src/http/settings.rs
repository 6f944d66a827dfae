//! From settings to a connection pool.

use std::borrow::Cow;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, Identity, Url, redirect, retry};
use zeroize::Zeroizing;

use super::{HttpError, HttpErrorKind};

/// How to reach one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// `http://` or `https://`, host, port, and a path where the server sits behind one.
    pub address: String,
    /// Addresses of further nodes of the same cluster: tried in turn where one cannot be reached or takes no requests,
    /// and the only ones to which a redirect is followed. TLS settings hold for all of them.
    pub standby_addresses: Vec<String>,
    /// What to trust and how to identify.
    pub tls: TlsSettings,
    /// How long one attempt may take, from the first byte sent to the last received.
    pub timeout: Duration,
    /// How long the connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How often a request is repeated after a failure that may pass.
    pub max_retries: u32,
    /// The most requests a second that all clones of a client send together.
    pub requests_per_second: Option<NonZeroU32>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            address: String::new(),
            standby_addresses: Vec::new(),
            tls: TlsSettings::default(),
            timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            max_retries: 6,
            requests_per_second: None,
        }
    }
}

/// TLS. Without `ca_cert` the system's certificate authorities are trusted, with it only those in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file with one or more certificate authorities.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with the client's certificate, and with its key unless `client_key` is given.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the client's key.
    pub client_key: Option<PathBuf>,
    /// The DNS name to ask for and to expect in the certificate, where it is not the address's host.
    pub server_name: Option<String>,
    /// Trust any certificate.
    pub skip_verify: bool,
}

/// Enough for every worker of a large cycle to keep its connection.
const IDLE_CONNECTIONS: usize = 256;

/// Shorter than load balancers close idle connections: a write that meets a connection just closed cannot be repeated.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Prepared {
    pub(super) client: Client,
    pub(super) base: String,
    pub(super) host: Option<HeaderValue>,
}

pub(super) fn prepare(address: &str, settings: &HttpSettings) -> Result<Prepared, HttpError> {
    let mut url = parse_address(address)?;
    // HTTP/1.1 on both schemes: a connection for each worker outruns one connection for all.
    let mut builder = Client::builder()
        .http1_only()
        .user_agent(concat!("vsync/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true);
    if is_loopback(&url) {
        builder = builder.no_proxy();
    }

    let mut host = None;
    if url.scheme() == "https" {
        builder = trust(builder, &settings.tls)?;
        builder = identify(builder, &settings.tls)?;
        if let Some(server_name) = &settings.tls.server_name {
            host = Some(authority(&url)?);
            builder = answer_to(builder, &mut url, server_name)?;
        }
    } else {
        // Without this a machine that has no certificate authorities could not even speak plain HTTP.
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(|error| unusable_tls(&settings.tls, &error))?;
    Ok(Prepared { client, base: url.as_str().trim_end_matches('/').to_owned(), host })
}

/// Whether a text can be the address of a server.
///
/// # Errors
/// [`HttpErrorKind::InvalidUrl`], which says what is wrong with it.
pub fn check_address(address: &str) -> Result<(), HttpError> {
    parse_address(address).map(|_| ())
}

fn parse_address(address: &str) -> Result<Url, HttpError> {
    let invalid = |reason: &str| {
        let shown = without_user_info(address);
        let message = format!("\"{}\" is no server's address: {reason}", crate::text::sanitize(&shown));
        HttpError::new(HttpErrorKind::InvalidUrl, message)
    };
    if !(address.starts_with("http://") || address.starts_with("https://")) {
        return Err(invalid("it must start with http:// or https://"));
    }
    let url = Url::parse(address).map_err(|error| invalid(&format!("{error} (https://vault.example:8200 is one)")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("a user or password has no place in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("\"?\" and \"#\" have no place in it"));
    }
    Ok(url)
}

/// An address as it may be shown: the user and password people put into one are secret, however malformed it is.
pub(crate) fn without_user_info(address: &str) -> Cow<'_, str> {
    let Some((before, host)) = address.rsplit_once('@') else { return Cow::Borrowed(address) };
    let scheme = before.find("://").map_or("", |end| &before[..end + 3]);
    Cow::Owned(format!("{scheme}***@{host}"))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn trust(builder: ClientBuilder, tls: &TlsSettings) -> Result<ClientBuilder, HttpError> {
    if tls.skip_verify {
        return Ok(builder.tls_certs_only([]).tls_danger_accept_invalid_certs(true));
    }
    let Some(file) = &tls.ca_cert else { return Ok(builder) };
    let authorities = Certificate::from_pem_bundle(&read(file, "ca_cert")?)
        .map_err(|_| unusable("ca_cert", file, "not a PEM file of certificates"))?;
    if authorities.is_empty() {
        return Err(unusable("ca_cert", file, "no certificate in it"));
    }
    Ok(builder.tls_certs_only(authorities))
}

fn identify(builder: ClientBuilder, tls: &TlsSettings) -> Result<ClientBuilder, HttpError> {
    let Some(cert) = &tls.client_cert else {
        return match &tls.client_key {
            Some(key) => Err(unusable("client_key", key, "there is no client_cert to go with it")),
            None => Ok(builder),
        };
    };
    let mut pem = read(cert, "client_cert")?;
    if let Some(key) = &tls.client_key {
        let key = read(key, "client_key")?;
        let mut both = Zeroizing::new(Vec::with_capacity(pem.len() + key.len() + 1));
        both.extend_from_slice(&pem);
        both.push(b'\n');
        both.extend_from_slice(&key);
        pem = both;
    }
    let identity = Identity::from_pem(&pem)
        .map_err(|_| unusable("client_cert", cert, "certificate and private key are needed, both as PEM"))?;
    Ok(builder.identity(identity))
}

/// Makes the URL name `server_name`, which the client then asks for and checks the certificate against, while
/// connections go to the host that the address names. A proxy could not be told the difference, so none is used.
fn answer_to(builder: ClientBuilder, url: &mut Url, server_name: &str) -> Result<ClientBuilder, HttpError> {
    let unusable = |reason: &str| {
        let shown = crate::text::sanitize(server_name);
        HttpError::new(HttpErrorKind::Settings, format!("TLS server name \"{shown}\": {reason}"))
    };
    if server_name.parse::<IpAddr>().is_ok() {
        return Err(unusable("it must be a DNS name"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).into();
    url.set_host(Some(server_name)).map_err(|error| unusable(&error.to_string()))?;
    Ok(builder.no_proxy().dns_resolver(AlwaysHost(host)))
}

fn authority(url: &Url) -> Result<HeaderValue, HttpError> {
    let host = url.host_str().unwrap_or_default();
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::try_from(authority).map_err(|error| HttpError::new(HttpErrorKind::InvalidUrl, error.to_string()))
}

/// Resolves every name to one host.
struct AlwaysHost(Arc<str>);

impl Resolve for AlwaysHost {
    fn resolve(&self, _: Name) -> Resolving {
        let host = Arc::clone(&self.0);
        Box::pin(async move {
            // Port 0 is replaced by the URL's.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((&*host, 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn read(file: &Path, setting: &str) -> Result<Zeroizing<Vec<u8>>, HttpError> {
    fs::read(file).map(Zeroizing::new).map_err(|error| unusable(setting, file, &error.to_string()))
}

fn unusable(setting: &str, file: &Path, reason: &str) -> HttpError {
    HttpError::new(HttpErrorKind::Settings, format!("{setting} {}: {reason}", file.display()))
}

fn unusable_tls(tls: &TlsSettings, error: &reqwest::Error) -> HttpError {
    let mut root: &dyn std::error::Error = error;
    while let Some(source) = root.source() {
        root = source;
    }
    let message = if tls.ca_cert.is_none() && !tls.skip_verify {
        format!("this machine's certificate authorities cannot be used ({root}): set ca_cert")
    } else {
        format!("the TLS settings cannot be used: {root}")
    };
    HttpError::new(HttpErrorKind::Settings, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(settings: &HttpSettings) -> (HttpErrorKind, String) {
        let error = prepare(&settings.address, settings).err().expect("an error");
        (error.kind(), error.to_string())
    }

    #[test]
    fn a_bad_address_says_what_is_wrong() {
        for (address, word) in [
            ("127.0.0.1:8200", "http://"),
            ("localhost:8200", "http://"),
            ("ftp://vault", "http://"),
            ("", "http://"),
            ("http://", "host"),
            ("http://vault:99999", "port"),
            ("http://vault/?x=1", "?"),
            ("https://me:hunter2@vault", "password"),
            ("https://me:hunter2/x@vault", "port"),
            ("me:hunter2@vault", "http://"),
        ] {
            let (kind, message) = error(&HttpSettings { address: address.to_owned(), ..HttpSettings::default() });
            assert_eq!(kind, HttpErrorKind::InvalidUrl, "{address}");
            assert!(message.contains(word), "{message}");
            assert!(!message.contains("hunter2"));
        }
    }

    #[test]
    fn an_address_is_shown_without_user_and_password() {
        for (address, shown) in [
            ("http://u:canary@x:1", "http://***@x:1"),
            ("http://u:p/canary@x", "http://***@x"),
            ("u:can@ary@x", "***@x"),
            ("ftp://x", "ftp://x"),
        ] {
            assert_eq!(without_user_info(address), shown);
        }
    }

    #[test]
    fn an_unusable_certificate_names_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "").expect("a file");
        let missing = folder.path().join("missing.pem");
        let address = "https://127.0.0.1:8200".to_owned();
        for tls in [
            TlsSettings { ca_cert: Some(missing.clone()), ..TlsSettings::default() },
            TlsSettings { ca_cert: Some(empty.clone()), ..TlsSettings::default() },
            TlsSettings { skip_verify: true, client_cert: Some(empty.clone()), ..TlsSettings::default() },
            TlsSettings { skip_verify: true, client_key: Some(empty.clone()), ..TlsSettings::default() },
        ] {
            let (kind, message) = error(&HttpSettings { address: address.clone(), tls, ..HttpSettings::default() });
            assert_eq!(kind, HttpErrorKind::Settings);
            assert!(message.contains(".pem"), "{message}");
        }
        let tls = TlsSettings { skip_verify: true, server_name: Some("10.0.0.1".to_owned()), ..TlsSettings::default() };
        assert!(error(&HttpSettings { address, tls, ..HttpSettings::default() }).1.contains("DNS name"));
    }
}
