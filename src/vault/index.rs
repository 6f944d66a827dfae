//! How far a cluster of several nodes had come when it last answered, so that no later answer shows less.
//!
//! A node that stands by and answers reads itself may not know yet what was just written through it or another one. `OpenBao`
//! and Vault Enterprise say with each answer how far they have come (`X-Vault-Index`). Whoever sends that back is not
//! answered by a node that is behind: it passes the request on to the one that leads. Servers of one node say nothing, and
//! nothing is sent to them.

use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use crate::http::{Request, Response};

const INDEX: HeaderName = HeaderName::from_static("x-vault-index");
/// What a node that is behind is to do.
const INCONSISTENT: HeaderName = HeaderName::from_static("x-vault-inconsistent");
const FORWARD: HeaderValue = HeaderValue::from_static("forward-active-node");

/// The furthest that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<Index>>);

#[derive(Debug)]
struct Index {
    header: HeaderValue,
    position: Option<Position>,
}

/// What `OpenBao`'s index says. That of Vault Enterprise is not looked into: the last one counts.
#[derive(Debug, PartialEq, Eq)]
struct Position {
    cluster: String,
    value: u64,
}

impl Position {
    fn of(header: &HeaderValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Said {
            cluster: String,
            value: String,
        }
        let said: Said = serde_json::from_slice(&STANDARD.decode(header).ok()?).ok()?;
        Some(Self { cluster: said.cluster, value: said.value.parse().ok()? })
    }
}

impl Seen {
    /// Takes in how far the server had come when it gave this answer. Returns whether the answer is about nothing but an
    /// index of another kind of server, which had the address before: it is forgotten then.
    pub(super) fn note(&self, answer: &Response) -> bool {
        if answer.status == StatusCode::BAD_REQUEST && says(&answer.body, b"X-Vault-Index") {
            return self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
        }
        if let Some(header) = answer.headers.get(INDEX) {
            self.take(header);
        }
        false
    }

    fn take(&self, header: &HeaderValue) {
        let position = Position::of(header);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let knows_more = seen.as_ref().is_some_and(|seen| match (&seen.position, &position) {
            (Some(seen), Some(now)) => seen.cluster == now.cluster && seen.value >= now.value,
            _ => false,
        });
        if !knows_more {
            *seen = Some(Index { header: header.clone(), position });
        }
    }

    /// Asks for an answer that shows no less.
    pub(super) fn ask_for_no_less(&self, request: Request) -> Request {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some(Index { header, .. }) => request.header(INDEX, header.clone()).header(INCONSISTENT, FORWARD),
            None => request,
        }
    }
}

fn says(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len()).any(|said| said == words)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::try_from(text).expect("a header")
    }

    fn index(cluster: &str, value: u64) -> HeaderValue {
        header(&STANDARD.encode(format!(r#"{{"cluster":"{cluster}","value":"{value}"}}"#)))
    }

    #[test]
    fn the_furthest_counts_whatever_comes_last() {
        let seen = Seen::default();
        let sent = || seen.0.lock().expect("no panic").as_ref().map(|seen| seen.header.clone());
        let answer = |status, headers, body: &str| Response {
            status,
            headers,
            body: zeroize::Zeroizing::new(body.as_bytes().to_vec()),
        };
        assert!(!seen.note(&answer(StatusCode::OK, HeaderMap::new(), "{}")));
        assert_eq!(sent(), None);
        for (said, kept) in [
            (index("a", 7), index("a", 7)),
            // a node that is behind
            (index("a", 6), index("a", 7)),
            (index("a", 10), index("a", 10)),
            // another server at the same address begins anew
            (index("b", 3), index("b", 3)),
            (header("v1:unknown"), header("v1:unknown")),
            (header("v1:newer"), header("v1:newer")),
        ] {
            assert!(!seen.note(&answer(StatusCode::OK, [(INDEX, said)].into_iter().collect(), "{}")));
            assert_eq!(sent(), Some(kept));
        }
        // a server that does not understand it, once
        let refusal = || answer(StatusCode::BAD_REQUEST, HeaderMap::new(), r#"failed to decode "X-Vault-Index""#);
        assert!(seen.note(&refusal()) && !seen.note(&refusal()));
        assert_eq!(sent(), None);
    }
}
