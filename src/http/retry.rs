//! What is worth another attempt, and when.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::throttle::CutCause;
use super::{HttpClient, HttpError, HttpErrorKind, Repeat, Request, Response};
use crate::text::sanitize;

/// A server that asks for more patience than this gets another attempt after it all the same: whoever watches must not
/// take vsync for hung.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A pause from which on whoever watches wants to know why nothing moves.
const NOTICEABLE: Duration = Duration::from_secs(1);

pub(super) fn backoff(max_retries: u32) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(max_retries as usize)
        .with_jitter()
}

impl HttpClient {
    /// The pauses between the attempts at what is not simply sent again, but looked at before: as many as the client itself
    /// would make, as long, and spread alike.
    pub fn pauses(&self) -> impl Iterator<Item = Duration> + use<> {
        backoff(self.max_retries()).build()
    }

    /// Tells the log that, and why, the next such attempt comes after `pause`.
    pub fn note_pause(&self, pause: Duration, reason: &impl fmt::Display) {
        let (server, seconds) = (self.address(), pause.as_secs_f64());
        if pause < NOTICEABLE {
            tracing::debug!(server, seconds, "looking again before it is tried again: {reason}");
        } else {
            tracing::warn!(server, seconds, "waiting {seconds:.0} s before looking and trying again: {reason}");
        }
    }
}

/// An attempt that may be followed by another.
pub(super) enum Failure {
    Answer(Box<Response>),
    Error(HttpError),
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Error(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => fmt::Display::fmt(&answer.status, f),
            Self::Error(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl Failure {
    pub(super) fn may_repeat(&self, repeat: Repeat) -> bool {
        match (repeat, self) {
            (Repeat::Never, _) => false,
            (Repeat::Safe, Self::Answer(_)) => true,
            (Repeat::Safe, Self::Error(error)) => {
                matches!(
                    error.kind(),
                    HttpErrorKind::Connect | HttpErrorKind::Timeout | HttpErrorKind::Reset | HttpErrorKind::CutOff
                )
            }
            (Repeat::IfUnprocessed, _) => self.is_unprocessed(),
        }
    }

    /// Whether the server has certainly not done what it was asked to.
    pub(super) fn is_unprocessed(&self) -> bool {
        match self {
            Self::Answer(answer) => is_unprocessed_status(answer.status) || answer.has_no_leader(),
            Self::Error(error) => error.kind() == HttpErrorKind::Connect,
        }
    }

    /// See [`Response::has_no_leader`].
    pub(super) fn has_no_leader(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.has_no_leader())
    }

    /// Whether the server shows that it has too much to do, and for how long it wants to be left alone.
    pub(super) fn overload(&self) -> Option<(CutCause, Option<Duration>)> {
        match self {
            Self::Answer(answer) => match answer.status {
                status @ (StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT) => {
                    let asked = retry_after(&answer.headers, Timestamp::now()).filter(|asked| !asked.is_zero());
                    Some((CutCause::Status(status.as_u16()), asked))
                }
                _ => None,
            },
            Self::Error(error) => match error.kind() {
                HttpErrorKind::Timeout => Some((CutCause::Timeout, None)),
                HttpErrorKind::Reset | HttpErrorKind::CutOff => Some((CutCause::Reset, None)),
                _ => None,
            },
        }
    }

    /// Out of attempts: an answer is an answer, whatever its status.
    pub(super) fn into_result(self) -> Result<Response, HttpError> {
        match self {
            Self::Answer(answer) => Ok(*answer),
            Self::Error(error) => Err(error),
        }
    }
}

/// Tells an answer that may be better next time from one that is final.
pub(super) fn settle(answer: Response) -> Result<Response, Failure> {
    if is_transient_status(answer.status) { Err(Failure::Answer(Box::new(answer))) } else { Ok(answer) }
}

fn is_transient_status(status: StatusCode) -> bool {
    is_unprocessed_status(status)
        || matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}

/// 412: the node has not caught up with what the client has seen. 429 and 503: it takes no request now.
fn is_unprocessed_status(status: StatusCode) -> bool {
    matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
}

pub(super) fn honour_retry_after(failure: &Failure, planned: Option<Duration>) -> Option<Duration> {
    let planned = planned?;
    let Failure::Answer(answer) = failure else { return Some(planned) };
    let asked = retry_after(&answer.headers, Timestamp::now()).filter(|asked| !asked.is_zero());
    Some(asked.map_or(planned, |asked| {
        // Its jitter keeps all workers from coming back in the same instant.
        let spread = planned.min(asked / 4);
        if asked + spread > LONGEST_WAIT { LONGEST_WAIT.saturating_sub(spread) } else { asked + spread }
    }))
}

/// Tells the log that, and why, the next attempt comes after `pause`.
pub(super) fn note_pause(server: &str, request: &Request, failure: &Failure, pause: Duration) {
    let (method, path, seconds) = (&request.method, sanitize(&request.path), pause.as_secs_f64());
    if pause < NOTICEABLE {
        tracing::debug!(server, %method, %path, seconds, "trying again: {failure}");
        return;
    }
    match failure {
        Failure::Answer(answer) => {
            let status = answer.status.as_u16();
            let asked = if answer.headers.contains_key(RETRY_AFTER) { ", as the server asks" } else { "" };
            tracing::warn!(server, status, seconds, %method, %path, "waiting {seconds:.0} s before trying again{asked}");
        }
        Failure::Error(error) => {
            tracing::warn!(server, seconds, %method, %path, "waiting {seconds:.0} s before trying again: {error}");
        }
    }
}

/// `Retry-After` in either of its forms, seconds or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = if let Ok(seconds) = value.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
        Duration::try_from(date.duration_since(now)).unwrap_or_default()
    };
    Some(asked.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn asked(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).expect("a header"));
        retry_after(&headers, "2026-11-06T08:49:37Z".parse().expect("a time"))
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Fri, 06 Nov 2026 08:49:47 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asked("Fri, 06 Nov 2026 08:00:00 GMT"), Some(Duration::ZERO), "a date that has passed");
        assert_eq!(asked("86400"), Some(LONGEST_WAIT));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let wait = |asked: &str, planned| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(asked).expect("a header"));
            let (status, body) = (StatusCode::TOO_MANY_REQUESTS, zeroize::Zeroizing::default());
            let failure = Failure::Answer(Box::new(Response { status, headers, body }));
            honour_retry_after(&failure, Some(Duration::from_secs(planned))).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("20", 2), Some(22));
        assert_eq!(wait("300", 0), Some(60));
        assert_eq!(wait("300", 9), Some(51), "spread all the same");
        assert_eq!(wait("58", 5), Some(55));
        assert_eq!(wait("0", 3), Some(3));
    }

    #[test]
    fn writes_are_repeated_only_where_nothing_was_processed() {
        let answer = |status| {
            let body = zeroize::Zeroizing::default();
            Failure::Answer(Box::new(Response { status, headers: HeaderMap::new(), body }))
        };
        let error = |kind| Failure::Error(HttpError::new(kind, String::new()));
        for status in [412, 429, 503] {
            assert!(answer(StatusCode::from_u16(status).expect("a status")).may_repeat(Repeat::IfUnprocessed));
        }
        for status in [500, 502, 504] {
            let failure = answer(StatusCode::from_u16(status).expect("a status"));
            assert!(!failure.may_repeat(Repeat::IfUnprocessed), "{status}");
            assert!(failure.may_repeat(Repeat::Safe), "{status}");
        }
        for (said, unprocessed) in [
            (r#"{"errors":["local node not active but active cluster node not found"]}"#, true),
            // what a Vault quotes of its storage may have happened amid its work
            (r#"{"errors":["Unexpected response code: 500 (No cluster leader)"]}"#, false),
        ] {
            let (status, headers) = (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new());
            let body = zeroize::Zeroizing::new(said.as_bytes().to_vec());
            let failure = Failure::Answer(Box::new(Response { status, headers, body }));
            assert_eq!(failure.may_repeat(Repeat::IfUnprocessed), unprocessed, "{said}");
        }
        for kind in [HttpErrorKind::Timeout, HttpErrorKind::Reset, HttpErrorKind::CutOff] {
            assert!(!error(kind).may_repeat(Repeat::IfUnprocessed), "{kind:?}");
            assert!(error(kind).may_repeat(Repeat::Safe), "{kind:?}");
        }
        assert!(error(HttpErrorKind::Connect).may_repeat(Repeat::IfUnprocessed));
        for kind in [HttpErrorKind::Tls, HttpErrorKind::Redirect, HttpErrorKind::InvalidPath] {
            assert!(!error(kind).may_repeat(Repeat::Safe), "{kind:?}");
        }
    }
}
