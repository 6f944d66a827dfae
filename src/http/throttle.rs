//! How many requests a server is sent at once, and why no more: for whoever watches.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// How the requests to one server are limited at this moment. As JSON, durations are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Throttle {
    /// The most requests that may be under way now.
    pub limit: usize,
    /// The most there will ever be: `num_workers`.
    pub ceiling: usize,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests that wait for a place.
    pub waiting: usize,
    /// Why it is no more.
    pub why: Why,
    /// What lowered the limit last; `None` while it is at its ceiling.
    pub last_cut: Option<Cut>,
    /// How often the limit was lowered since this process began to speak to the server.
    pub lowered: u64,
    /// For how long nothing is sent, because the server asked for it.
    #[serde(serialize_with = "some_seconds")]
    pub paused: Option<Duration>,
    /// The most requests a second that are configured.
    pub requests_per_second: Option<u32>,
}

/// Why no more requests are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The limit is at its ceiling.
    Full,
    /// The limit grows while the server answers as fast as usual.
    Growing,
    /// The limit was halved because the server refused requests or did not answer.
    Halved,
    /// The limit was lowered because the server's answers take far longer than usual.
    Latency,
    /// The limit is at its ceiling, and `requests_per_second` is what holds requests back.
    RequestsPerSecond,
    /// The server asked to be left alone for a while.
    RetryAfter,
}

/// What lowered a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// What the server did.
    pub cause: CutCause,
    /// How long ago it was.
    #[serde(serialize_with = "seconds")]
    pub ago: Duration,
}

/// What a server did that lowered its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutCause {
    /// It refused requests with this status: 429, 503 or 504.
    Status(u16),
    /// It did not answer in time.
    Timeout,
    /// It broke a connection off.
    Reset,
    /// Its answers took far longer than usual.
    Latency,
}

impl fmt::Display for CutCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::Reset => f.write_str("connection broken off"),
            Self::Latency => f.write_str("slow answers"),
        }
    }
}

impl Serialize for CutCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Status(status) => serializer.collect_str(status),
            Self::Timeout => serializer.serialize_str("timeout"),
            Self::Reset => serializer.serialize_str("reset"),
            Self::Latency => serializer.serialize_str("latency"),
        }
    }
}

impl Throttle {
    /// Whether the server is sent less than is configured.
    #[must_use]
    pub fn is_lowered(&self) -> bool {
        self.paused.is_some() || self.limit < self.ceiling
    }

    /// As few characters as tell it, at most ten: `16`, `8/16 429`, `50/s`, `wait 12 s`.
    #[must_use]
    pub fn short(&self) -> String {
        if let Some(paused) = self.paused {
            return format!("wait {} s", paused.as_secs_f64().ceil());
        }
        let (limit, ceiling) = (self.limit, self.ceiling);
        match (self.why, self.last_cut.map(|cut| cut.cause)) {
            (Why::RequestsPerSecond, _) => format!("{}/s", self.requests_per_second.unwrap_or_default()),
            (_, None) if limit == ceiling => format!("{limit}"),
            (_, Some(CutCause::Status(status))) => format!("{limit}/{ceiling} {status}"),
            (_, Some(CutCause::Timeout)) => format!("{limit}/{ceiling} late"),
            (_, Some(CutCause::Reset)) => format!("{limit}/{ceiling} cut"),
            (_, Some(CutCause::Latency)) => format!("{limit}/{ceiling} slow"),
            (_, None) => format!("{limit}/{ceiling}"),
        }
    }
}

/// `limit 8 of 16 (halved 3 s ago: 429)`.
impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(paused) = self.paused {
            write!(f, "paused for {} s as the server asks; ", paused.as_secs_f64().ceil())?;
        }
        if self.why == Why::RequestsPerSecond {
            write!(f, "capped at {} requests/s; ", self.requests_per_second.unwrap_or_default())?;
        }
        write!(f, "limit {} of {}", self.limit, self.ceiling)?;
        let Some(Cut { cause, ago }) = self.last_cut else { return Ok(()) };
        let verb = if cause == CutCause::Latency { "lowered" } else { "halved" };
        let grows = if self.why == Why::Growing { "growing, " } else { "" };
        write!(f, " ({grows}{verb} {} s ago: {cause})", ago.as_secs())
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "serde's signature")]
fn some_seconds<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(|duration| duration.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_many_and_why() {
        let full = Throttle {
            limit: 16,
            ceiling: 16,
            in_flight: 3,
            waiting: 0,
            why: Why::Full,
            last_cut: None,
            lowered: 0,
            paused: None,
            requests_per_second: None,
        };
        let cut = |cause| Some(Cut { cause, ago: Duration::from_millis(3_400) });
        let halved = Throttle { limit: 8, why: Why::Halved, last_cut: cut(CutCause::Status(429)), ..full };
        let growing = Throttle { limit: 11, why: Why::Growing, last_cut: cut(CutCause::Timeout), ..full };
        let slow = Throttle { limit: 13, why: Why::Latency, last_cut: cut(CutCause::Latency), ..full };
        let capped = Throttle { why: Why::RequestsPerSecond, requests_per_second: Some(50), ..full };
        let paused = Throttle { why: Why::RetryAfter, paused: Some(Duration::from_millis(11_200)), ..halved };
        for (throttle, text, short) in [
            (full, "limit 16 of 16", "16"),
            (halved, "limit 8 of 16 (halved 3 s ago: 429)", "8/16 429"),
            (growing, "limit 11 of 16 (growing, halved 3 s ago: no answer in time)", "11/16 late"),
            (slow, "limit 13 of 16 (lowered 3 s ago: slow answers)", "13/16 slow"),
            (capped, "capped at 50 requests/s; limit 16 of 16", "50/s"),
            (paused, "paused for 12 s as the server asks; limit 8 of 16 (halved 3 s ago: 429)", "wait 12 s"),
        ] {
            assert_eq!((throttle.to_string().as_str(), throttle.short().as_str()), (text, short));
        }
        assert_eq!(
            serde_json::to_value(paused).expect("JSON"),
            serde_json::json!({
                "limit": 8, "ceiling": 16, "in_flight": 3, "waiting": 0, "why": "retry_after",
                "last_cut": { "cause": "429", "ago": 3.4 }, "lowered": 0, "paused": 11.2, "requests_per_second": null,
            })
        );
    }
}
