//! An answer, and how its body is gathered without leaving copies in memory.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use zeroize::{Zeroize, Zeroizing};

/// A complete answer. There is no `Debug`: the body may hold secrets.
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Zeroizing<Vec<u8>>,
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
