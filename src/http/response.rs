//! An answer, and how its body is gathered without leaving copies in memory.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use zeroize::{Zeroize, Zeroizing};

use super::{HttpError, HttpErrorKind};

/// A complete answer. There is no `Debug`: the body may hold secrets.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
}

impl Response {
    /// Whether a Vault that stands by says that its cluster is about to choose another leader, to which it would have passed
    /// the request on: nothing was done.
    #[must_use]
    pub fn has_no_leader(&self) -> bool {
        const WORDS: &[u8] = b"active cluster node not found";
        self.status == StatusCode::INTERNAL_SERVER_ERROR && self.body.windows(WORDS.len()).any(|said| said == WORDS)
    }
}

/// What became of a request whose answer was read as it came in.
pub enum Reading<T> {
    /// The status was a success: what was made of the whole body.
    Read(T),
    /// Any other answer.
    Refused(Response),
}

/// How long to wait, for the whole answer or for each part of it.
pub(super) struct Patience {
    limit: Duration,
    per_part: bool,
    deadline: Instant,
}

impl Patience {
    pub(super) fn new(limit: Duration, per_part: bool) -> Self {
        Self { limit, per_part, deadline: Instant::now() + limit }
    }

    pub(super) async fn wait<T>(&self, work: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, HttpError> {
        let deadline = if self.per_part { Instant::now() + self.limit } else { self.deadline };
        match tokio::time::timeout_at(deadline, work).await {
            Ok(done) => done.map_err(|error| HttpError::from_transport(&error)),
            Err(_) => Err(HttpError::timeout(self.limit)),
        }
    }
}

/// An answer whose body has not been received yet.
pub(super) struct Begun {
    answer: reqwest::Response,
    patience: Patience,
}

impl Begun {
    pub(super) fn new(answer: reqwest::Response, patience: Patience) -> Self {
        Self { answer, patience }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.answer.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.answer.headers()
    }

    pub(super) async fn collect(mut self) -> Result<Response, HttpError> {
        let mut body = Collector::with_expected_len(self.answer.content_length());
        while let Some(part) = self.patience.wait(self.answer.chunk()).await? {
            body.push(part);
        }
        Ok(Response { status: self.answer.status(), headers: self.answer.headers().clone(), body: body.finish() })
    }

    pub(super) async fn read_with<T: Send + 'static>(mut self, read: fn(Incoming) -> T) -> Result<T, HttpError> {
        let (mut ready, mut len) = (VecDeque::new(), 0);
        while len <= SMALL {
            let Some(part) = self.patience.wait(self.answer.chunk()).await? else {
                return Ok(read(Incoming { ready, more: None }));
            };
            // one without anything counts, too: there may be any number of them
            len += part.len().max(1);
            ready.push_back(part);
        }
        let (sender, parts) = mpsc::channel(PARTS_AHEAD);
        let reader = tokio::task::spawn_blocking(move || read(Incoming { ready, more: Some(parts) }));
        loop {
            match self.patience.wait(self.answer.chunk()).await {
                Ok(Some(part)) => {
                    if sender.send(Some(part)).await.is_err() {
                        // It has seen enough: what it says counts.
                        break;
                    }
                }
                Ok(None) => {
                    // It may have seen enough.
                    let _ = sender.send(None).await;
                    break;
                }
                // The reader sees an error where the rest should be, and its work is thrown away.
                Err(error) => return Err(error),
            }
        }
        drop(sender);
        reader.await.map_err(|error| HttpError::new(HttpErrorKind::CutOff, format!("reading the answer: {error}")))
    }
}

/// A body of no more bytes is waited for, and read where it arrives: in about a millisecond. A thread for each would cost
/// more than the reading, and each thread keeps memory that it has used once.
const SMALL: usize = 256 << 10;

/// How many parts of a body may wait for the reader.
const PARTS_AHEAD: usize = 16;

/// A body as it comes in, for a thread that may block until more of it is there.
pub struct Incoming {
    ready: VecDeque<Bytes>,
    /// What follows; `None`: nothing. The end is sent as `None`; a channel that closes before was cut off.
    more: Option<mpsc::Receiver<Option<Bytes>>>,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(part) = self.ready.front_mut() {
                let count = buffer.len().min(part.len());
                part.copy_to_slice(&mut buffer[..count]);
                if part.is_empty() {
                    self.ready.pop_front();
                }
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                continue;
            }
            let Some(more) = &mut self.more else { return Ok(0) };
            match more.blocking_recv() {
                Some(Some(part)) => self.ready.push_back(part),
                Some(None) => self.more = None,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}

/// A server's claim about the length is trusted up to here; beyond it the buffer grows as data comes in.
const TRUSTED_LEN: u64 = 16 << 20;

/// Gathers the parts of a body in one buffer that is wiped when dropped, as is every buffer it outgrew.
pub(super) struct Collector(Zeroizing<Vec<u8>>);

impl Collector {
    pub(super) fn with_expected_len(len: Option<u64>) -> Self {
        let capacity = len.unwrap_or(4 << 10).min(TRUSTED_LEN);
        Self(Zeroizing::new(Vec::with_capacity(usize::try_from(capacity).unwrap_or_default())))
    }

    pub(super) fn push(&mut self, part: Bytes) {
        let needed = self.0.len() + part.len();
        if needed > self.0.capacity() {
            // `Vec` would move the data and free the old buffer as it is.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity() * 2)));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(&part);
        if let Ok(mut unshared) = part.try_into_mut() {
            unshared.zeroize();
        }
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined() {
        let mut body = Collector::with_expected_len(Some(3));
        for part in ["abc", "", "de", "fghijklmnop"] {
            body.push(Bytes::copy_from_slice(part.as_bytes()));
        }
        assert_eq!(body.finish().as_slice(), b"abcdefghijklmnop");
    }
}
