//! A request, and how its path is written in a URL.

use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::limit::Class;
use super::{HttpError, HttpErrorKind};

/// Of a server that says nothing for so long to what is sent apart, nothing is to be expected at this moment.
const SILENCE: Duration = Duration::from_secs(5);

/// When a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// After anything that may pass: it reads, or doing it twice is the same as doing it once.
    Safe,
    /// Only where the server cannot have processed it: no connection, 412, 429, 503, a cluster without a leader. For writes.
    IfUnprocessed,
    /// Not at all: the first answer is what the caller wants to know.
    Never,
}

/// One request to be sent by [`super::HttpClient::send`]. There is no `Debug`: headers and body hold secrets.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) repeat: Repeat,
    pub(super) timeout: Option<Duration>,
    pub(super) long_answer: bool,
    pub(super) apart: bool,
}

impl Request {
    /// A request for `path`: unescaped, without a slash in front; each `/` in it separates segments.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>, repeat: Repeat) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            repeat,
            timeout: None,
            long_answer: false,
            apart: false,
        }
    }

    /// Adds a query parameter; the value is escaped.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the JSON body. `Bytes::from_owner` of a zeroizing buffer is wiped once sent.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Replaces the client's timeout.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The answer may be hundreds of megabytes: the timeout bounds the silence between its parts, not the whole.
    #[must_use]
    pub fn long_answer(mut self) -> Self {
        self.long_answer = true;
        self
    }

    /// It is about the server or the token, on which the others depend: it waits for no place among them and takes none, nor
    /// behind them for the rate limit; whatever is answered is the answer, also "no", and so is silence for five seconds.
    #[must_use]
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// How long it may take, where the client's requests may take so long.
    pub(super) fn timeout(&self, clients: Duration) -> Duration {
        let timeout = self.timeout.unwrap_or(clients);
        if self.apart { timeout.min(SILENCE) } else { timeout }
    }

    /// Which latencies its own is comparable with.
    pub(super) fn class(&self) -> Class {
        let lists = self.long_answer || self.query.iter().any(|(name, _)| matches!(*name, "list" | "scan"));
        match self.method {
            Method::GET | Method::HEAD if !lists => Class::Read,
            Method::POST | Method::PUT | Method::PATCH | Method::DELETE => Class::Write,
            _ => Class::Listing,
        }
    }

    /// The URL below `base`.
    pub(super) fn url(&self, base: &str) -> Result<Url, HttpError> {
        let mut url = String::with_capacity(base.len() + self.path.len() * 2 + 16);
        url.push_str(base);
        let mut segments = self.path.split('/').peekable();
        while let Some(segment) = segments.next() {
            let is_last = segments.peek().is_none();
            url.push('/');
            url.extend(escape_segment(segment, is_last)?);
        }
        for (at, (name, value)) in self.query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(utf8_percent_encode(value, ESCAPED));
        }
        Url::parse(&url).map_err(|error| HttpError::new(HttpErrorKind::InvalidPath, format!("the URL: {error}")))
    }
}

/// Everything but the characters that RFC 3986 calls unreserved. Escaping it here, rather than leaving it to the URL
/// parser, keeps what the parser drops in silence: tabs and line breaks.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Escapes one segment of a path. `.`, `..` and an empty segment that is not the last are refused: URL parsers and servers resolve
/// them away even when escaped, so the request would reach another path.
fn escape_segment(segment: &str, is_last: bool) -> Result<impl Iterator<Item = &str>, HttpError> {
    let reason = match segment {
        "." | ".." => format!("a segment that is \"{segment}\" cannot be sent in a URL"),
        "" if !is_last => "an empty segment (two slashes in a row) cannot be sent in a URL".to_owned(),
        _ => return Ok(utf8_percent_encode(segment, ESCAPED)),
    };
    Err(HttpError::new(HttpErrorKind::InvalidPath, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Result<String, HttpErrorKind> {
        Request::new(Method::GET, path, Repeat::Safe)
            .url("http://127.0.0.1:8200/v1")
            .map(|url| url.to_string())
            .map_err(|error| error.kind())
    }

    #[test]
    fn every_character_survives() {
        let hostile = [
            "a b",
            "trailing ",
            " leading",
            "100%",
            "%41",
            "%2e%2e",
            "a+b",
            "who?",
            "a#b",
            "back\\slash",
            "k=v&x;y",
            "päth-日本-🔑",
            "\"quoted\" 'too'",
            "<a>&amp;",
            "tab\tnew\nline\r",
            "\u{0}\u{1b}[2J\u{7f}",
            "[x]{y}|^`@:,!$*()",
            "...",
            "..a",
            ".hidden",
            "~user",
            &"x".repeat(1_000),
        ];
        for name in hostile {
            let url = Url::parse(&url(&format!("secret/data/{name}/leaf")).expect("a URL")).expect("a URL");
            let segments: Vec<_> = url.path_segments().expect("segments").collect();
            assert_eq!(segments.len(), 5, "{name:?}: {url}");
            let back = percent_encoding::percent_decode_str(segments[3]).decode_utf8().expect("UTF-8");
            assert_eq!(back, *name);
            assert!(url.query().is_none() && url.fragment().is_none());
        }
    }

    #[test]
    fn what_a_url_cannot_carry_is_refused() {
        for path in ["secret/data/..", "secret/data/./x", "secret/data/../x", "secret/data/a//b", "/secret"] {
            assert_eq!(url(path), Err(HttpErrorKind::InvalidPath), "{path}");
        }
        assert_eq!(url("secret/metadata/a/").expect("a URL"), "http://127.0.0.1:8200/v1/secret/metadata/a/");
    }

    #[test]
    fn query_values_are_escaped() {
        let request = Request::new(Method::GET, "x", Repeat::Safe).query("after", "a&b=c d+é#").query("limit", "10");
        let url = request.url("http://h").expect("a URL");
        assert_eq!(url.as_str(), "http://h/x?after=a%26b%3Dc%20d%2B%C3%A9%23&limit=10");
    }
}
