//! How long a token lasts, and when to see to it that it does not run out.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;

use super::{LOOKUP, Token};
use crate::http::Repeat;
use crate::vault::login::Granted;
use crate::vault::sys::data;
use crate::vault::{Target, VaultClient, VaultError, request};

/// What is left of a token's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vault) struct Lease {
    /// When two thirds are over: time to renew it, or to get another. `None`: nothing can be done for it.
    pub(super) renew_at: Option<Instant>,
    pub(super) ends_at: Instant,
    pub(super) renewable: bool,
}

/// The server counts in whole seconds.
const PRECISION: Duration = Duration::from_secs(1);

impl Lease {
    /// As a login or a renewal grants it, counted from `start`. `None`: it never ends.
    pub(in crate::vault) fn granted(start: Instant, seconds: u64, renewable: bool) -> Option<Self> {
        let life = Duration::from_secs(seconds);
        Self::with(start, life, life, renewable).filter(|_| seconds > 0)
    }

    /// Of a whole `life`, `left` is left at `now`. `None`: longer than can be counted.
    fn with(now: Instant, life: Duration, left: Duration, renewable: bool) -> Option<Self> {
        let ends_at = now.checked_add(left)?;
        Some(Self { renew_at: Some(now + left.saturating_sub(life / 3)), ends_at, renewable })
    }

    pub(super) fn left(&self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Whether renewing has brought anything: where a token may not get older, the server grants what is left.
    pub(super) fn is_longer_than(&self, other: &Self) -> bool {
        self.ends_at > other.ends_at + PRECISION
    }
}

#[derive(Deserialize)]
struct Life {
    ttl: u64,
    #[serde(default)]
    renewable: bool,
    /// In seconds since 1970, as is the next.
    #[serde(default)]
    creation_time: i64,
    last_renewal_time: Option<i64>,
    expire_time: Option<Timestamp>,
}

impl Life {
    fn lease(&self, now: Instant) -> Option<Lease> {
        let left = Duration::from_secs(self.ttl);
        let begun = self.last_renewal_time.unwrap_or(self.creation_time);
        let life = self.expire_time.and_then(|end| u64::try_from(end.as_second().saturating_sub(begun)).ok());
        let life = life.map_or(left, |life| Duration::from_secs(life).max(left));
        let lease = Lease::with(now, life, left, self.renewable).filter(|_| self.ttl > 0)?;
        // It was given, so there is no other way to another.
        Some(Lease { renew_at: lease.renew_at.filter(|_| self.renewable), ..lease })
    }
}

/// How long a token lasts that was given; `None`: for ever.
pub(super) async fn look_up(client: &VaultClient, token: &Token) -> Result<Option<Lease>, VaultError> {
    let target = Target { operation: "look up", path: "the token" };
    let asked = Instant::now();
    let answer = client.send_as(target, request(Method::GET, LOOKUP, Repeat::Never), token).await?;
    let life: Life = data(target, &answer)?;
    Ok(life.lease(asked))
}

/// Renews the token; how long it lasts then, `None`: for ever.
pub(super) async fn renew(client: &VaultClient, token: &Token) -> Result<Option<Lease>, VaultError> {
    let target = Target { operation: "renew", path: "the token" };
    let asked = Instant::now();
    let body = Bytes::from_static(b"{}");
    let request = request(Method::PUT, "auth/token/renew-self", Repeat::Never).body(body).apart();
    let answer = client.send_as(target, request, token).await?;
    Ok(Granted::read(target, &answer, |_| false)?.lease(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_seen_to_at_two_thirds_of_its_life() {
        let now = Instant::now();
        let due = |lease: Option<Lease>| lease.and_then(|lease| lease.renew_at).map(|due| (due - now).as_secs());
        assert_eq!(due(Lease::granted(now, 3_600, true)), Some(2_400));
        assert_eq!(due(Lease::granted(now, 3_600, false)), Some(2_400), "another is got by then");
        assert_eq!(Lease::granted(now, 0, false), None);
        // the life of one that was given began before it was looked at
        let given = |ttl, renewable, last_renewal_time| {
            let expire_time = Some(Timestamp::from_second(10_000 + 3_600).expect("a time"));
            due(Life { ttl, renewable, creation_time: 10_000, last_renewal_time, expire_time }.lease(now))
        };
        assert_eq!(given(3_600, true, None), Some(2_400));
        assert_eq!(given(1_800, true, None), Some(600));
        assert_eq!(given(1_800, true, Some(10_000 + 1_800)), Some(1_200));
        assert_eq!(given(60, true, None), Some(0), "late already");
        assert_eq!(given(1_800, false, None), None);
        assert_eq!(given(0, false, None), None);
    }
}
