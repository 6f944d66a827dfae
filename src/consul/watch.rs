//! Waiting for a key to change, by blocking queries.

use std::time::Duration;

use reqwest::{Method, StatusCode};

use super::{Call, ConsulClient, ConsulError, ConsulErrorKind, Entry};
use crate::http::{Repeat, Response};

/// How long one request waits: less than the minute after which load balancers give up on silence.
const WAIT: Duration = Duration::from_secs(55);
/// Consul adds up to a sixteenth to the wait, and the answer needs its time.
const MARGIN: Duration = Duration::from_secs(15);
const INDEX: &str = "x-consul-index";

/// Waits for changes of one key.
#[derive(Debug)]
pub struct Watch {
    client: ConsulClient,
    key: String,
    wait: Duration,
    /// What Consul is to compare with; 0: it answers at once.
    index: u64,
    /// The modify index of what was last handed out; 0, which no entry has, for no such key.
    seen: Option<u64>,
}

impl ConsulClient {
    /// Watches a key.
    #[must_use]
    pub fn watch(&self, key: impl Into<String>) -> Watch {
        Watch { client: self.clone(), key: key.into(), wait: WAIT, index: 0, seen: None }
    }
}

impl Watch {
    /// Lets one request wait for so long instead of 55 seconds.
    #[must_use]
    pub fn wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// The entry as it is now, the first time; after that returns when it has changed. `None` when there is no such key
    /// (any more). May be dropped and called again: no change is missed, but of several only the last may be seen.
    ///
    /// # Errors
    /// [`ConsulError`] when Consul does not answer; the next call goes on from where this one was.
    pub async fn changed(&mut self) -> Result<Option<Entry>, ConsulError> {
        loop {
            let entry = self.poll().await?;
            let now = entry.as_ref().map_or(0, |entry| entry.modify_index);
            if self.seen != Some(now) {
                self.seen = Some(now);
                return Ok(entry);
            }
        }
    }

    async fn poll(&mut self) -> Result<Option<Entry>, ConsulError> {
        let call = Call { operation: "watch", target: &self.key };
        let request = self
            .client
            .kv(Method::GET, &self.key, Repeat::Safe)
            .query("index", self.index.to_string())
            .query("wait", format!("{}ms", self.wait.as_millis()))
            .with_timeout(self.wait + self.wait / 16 + MARGIN);
        let answer = self.client.send(call, request, &[StatusCode::NOT_FOUND]).await?;
        let next = index_of(call, &answer)?;
        let entry =
            if answer.status == StatusCode::NOT_FOUND { None } else { call.parse::<Vec<Entry>>(&answer)?.pop() };
        self.index = following(self.index, next);
        Ok(entry)
    }
}

fn index_of(call: Call<'_>, answer: &Response) -> Result<u64, ConsulError> {
    answer.headers.get(INDEX).and_then(|value| value.to_str().ok()?.parse().ok()).ok_or_else(|| {
        let message = "the answer has no index: is this Consul's address?";
        ConsulError::new(call.operation, call.target, ConsulErrorKind::Protocol, message)
    })
}

/// The index of the next query. One that goes backwards, as after Consul was restored from a snapshot, begins anew;
/// and 0 would not wait at all.
fn following(index: u64, next: u64) -> u64 {
    if next < index { 0 } else { next.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_goes_backwards_begins_anew() {
        assert_eq!(following(0, 17), 17);
        assert_eq!(following(17, 17), 17);
        assert_eq!(following(17, 16), 0);
        assert_eq!(following(0, 0), 1);
    }
}
