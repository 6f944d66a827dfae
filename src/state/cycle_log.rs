//! The reports of past cycles: documents under the cycles' ids.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use sha2::{Digest, Sha256};

use super::{StateError, StateStore, normalized};

/// How many cycles are remembered.
const KEPT: usize = 200;
/// How often a document is read again that somebody is just replacing.
const READ_ATTEMPTS: usize = 3;
/// How many documents are read at once.
const CONCURRENT_READS: usize = 8;
/// More than a header takes.
const HEADER_LIMIT: usize = 100;

/// Documents in the order of their ids, the newest 200 of them.
///
/// A document that is larger than the store's values is split. Its first part says how many there are and what they add
/// up to, and is written last, so that nobody reads half a document.
#[derive(Debug, Clone)]
pub struct CycleLog {
    store: Arc<dyn StateStore>,
    prefix: String,
}

impl CycleLog {
    /// The log under `sync_path`.
    #[must_use]
    pub fn new(store: Arc<dyn StateStore>, sync_path: &str) -> Self {
        Self { store, prefix: normalized(sync_path) + "vsync/cycles/" }
    }

    /// Saves a cycle's document, in place of an earlier one with this id. Ids sort as text by the time of the cycles.
    /// Forgets the oldest cycles when there are too many.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn save(&self, id: &str, document: &[u8]) -> Result<(), StateError> {
        let limit = self.store.value_limit() - HEADER_LIMIT;
        let parts = document.len().div_ceil(limit).max(1);
        let first = &document[..document.len().min(limit)];
        let rest = document[first.len()..].chunks(limit);
        let header = Header { parts, sum: Sha256::digest(document).into() };
        let mut entries: Vec<_> = (1..).zip(rest).map(|(part, bytes)| (self.key(id, part), bytes.to_vec())).collect();
        entries.push((self.key(id, 0), [&header.encode(), first].concat()));
        self.store.put(entries).await?;
        self.prune(id, parts).await
    }

    /// The document of a cycle.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or the document is incomplete.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>, StateError> {
        let key = self.key(id, 0);
        for _ in 0..READ_ATTEMPTS {
            let Some(first) = self.store.get(&key).await? else { return Ok(None) };
            let (header, first) =
                Header::split(&first).ok_or_else(|| self.damaged(&key, "it does not begin as a report does"))?;
            let keys: Vec<String> = (1..header.parts).map(|part| self.key(id, part)).collect();
            let rest = if keys.is_empty() { Vec::new() } else { self.store.get_many(&keys).await? };
            if let Some(rest) = rest.into_iter().collect::<Option<Vec<_>>>() {
                let document = [first, &rest.concat()].concat();
                if header.sum == <[u8; 32]>::from(Sha256::digest(&document)) {
                    return Ok(Some(document));
                }
            }
        }
        Err(self.damaged(&key, "parts of this report are missing or damaged"))
    }

    /// The newest documents, at most `limit`, newest first. One that is damaged is left out, so that it does not hide
    /// the others.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer.
    pub async fn newest(&self, limit: usize) -> Result<Vec<Vec<u8>>, StateError> {
        self.before(None, limit).await.map(|(documents, _)| documents)
    }

    /// As [`CycleLog::newest`], of those before the cycle of this id; and whether there are still older ones.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer.
    pub async fn before(&self, id: Option<&str>, limit: usize) -> Result<(Vec<Vec<u8>>, bool), StateError> {
        let mut ids = self.ids().await?;
        if let Some(id) = id {
            ids.truncate(ids.partition_point(|known| known.as_str() < id));
        }
        let more = ids.len() > limit;
        let mut documents = Vec::new();
        let mut read = stream::iter(ids.into_iter().rev().take(limit))
            .map(|id| async move { self.get(&id).await })
            .buffered(CONCURRENT_READS);
        while let Some(document) = read.next().await {
            match document {
                Ok(document) => documents.extend(document),
                Err(error) if error.operation == DECODE => tracing::warn!(%error, "a report is left out"),
                Err(error) => return Err(error),
            }
        }
        Ok((documents, more))
    }

    /// The ids of all cycles, oldest first.
    async fn ids(&self) -> Result<Vec<String>, StateError> {
        let keys = self.store.list(&self.prefix).await?;
        Ok(keys
            .iter()
            .filter_map(|key| self.id_and_part(key))
            .filter(|(_, part)| *part == 0)
            .map(|(id, _)| id.to_owned())
            .collect())
    }

    /// Deletes parts that an earlier, longer document `id` left, and the oldest cycles.
    async fn prune(&self, id: &str, parts: usize) -> Result<(), StateError> {
        let keys = self.store.list(&self.prefix).await?;
        let mut ids: Vec<&str> = keys.iter().filter_map(|key| self.id_and_part(key)).map(|(id, _)| id).collect();
        ids.dedup();
        let old = &ids[..ids.len().saturating_sub(KEPT)];
        let is_leftover = |key: &&String| {
            self.id_and_part(key)
                .is_some_and(|(of, part)| old.binary_search(&of).is_ok() || (of == id && part >= parts))
        };
        let leftover: Vec<String> = keys.iter().filter(is_leftover).cloned().collect();
        if leftover.is_empty() { Ok(()) } else { self.store.delete(&leftover).await }
    }

    fn key(&self, id: &str, part: usize) -> String {
        format!("{}{id}/{part}", self.prefix)
    }

    fn id_and_part<'a>(&self, key: &'a str) -> Option<(&'a str, usize)> {
        let (id, part) = key.strip_prefix(&self.prefix)?.rsplit_once('/')?;
        Some((id, part.parse().ok()?))
    }

    fn damaged(&self, key: &str, message: &str) -> StateError {
        StateError {
            operation: DECODE,
            key: key.to_owned(),
            location: self.store.location(),
            message: message.to_owned(),
        }
    }
}

const DECODE: &str = "decode";

/// What stands in front of the first part: `3 <sha256>` and a line feed.
struct Header {
    parts: usize,
    sum: [u8; 32],
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        use std::fmt::Write as _;
        let mut text = format!("{} ", self.parts);
        for byte in self.sum {
            // writing to a String cannot fail
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        text.into_bytes()
    }

    fn split(value: &[u8]) -> Option<(Self, &[u8])> {
        let end = value.iter().take(HEADER_LIMIT).position(|byte| *byte == b'\n')?;
        let (parts, digits) = std::str::from_utf8(&value[..end]).ok()?.split_once(' ')?;
        let mut sum = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        for (at, byte) in sum.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
        }
        Some((Self { parts: parts.parse().ok()?, sum }, &value[end + 1..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::memory::MemoryStore;

    fn log(limit: usize) -> (Arc<MemoryStore>, CycleLog) {
        let store = Arc::new(MemoryStore::new(limit));
        (Arc::clone(&store), CycleLog::new(store, "/vsync"))
    }

    #[tokio::test]
    async fn a_long_document_comes_back_whole() {
        let (store, log) = log(1000);
        let document: Vec<u8> = (0..10_007_u32).map(|at| (at % 251) as u8).collect();
        log.save("a", &document).await.unwrap();
        assert_eq!(store.keys().first().map(String::as_str), Some("vsync/vsync/cycles/a/0"));
        assert_eq!(store.keys().len(), 12);
        assert_eq!(log.get("a").await.unwrap(), Some(document));
        assert_eq!(log.get("b").await.unwrap(), None);

        log.save("a", b"short").await.unwrap();
        assert_eq!(store.keys(), ["vsync/vsync/cycles/a/0"]);
        assert_eq!(log.get("a").await.unwrap().as_deref(), Some(&b"short"[..]));
    }

    #[tokio::test]
    async fn half_a_document_is_none() {
        let (store, log) = log(1000);
        log.save("a", b"earlier").await.unwrap();
        store.cut_off_after(2);
        log.save("b", &[b'x'; 5000]).await.unwrap_err();
        assert_eq!(log.get("b").await.unwrap(), None);
        assert_eq!(log.newest(10).await.unwrap(), [b"earlier"]);

        store.forget("vsync/vsync/cycles/b/3");
        log.save("b", &[b'x'; 5000]).await.unwrap();
        store.forget("vsync/vsync/cycles/b/3");
        let error = log.get("b").await.unwrap_err();
        assert!(error.to_string().contains("vsync/cycles/b/0"), "{error}");
        assert_eq!(log.newest(10).await.unwrap(), [b"earlier"]);
    }

    #[tokio::test]
    async fn the_newest_are_kept() {
        let (store, log) = log(1000);
        for cycle in 0..KEPT + 5 {
            log.save(&format!("{cycle:04}"), cycle.to_string().as_bytes()).await.unwrap();
        }
        assert_eq!(store.keys().len(), KEPT);
        assert_eq!(log.get("0004").await.unwrap(), None);
        assert_eq!(log.newest(2).await.unwrap(), [b"204", b"203"]);
        assert_eq!(log.before(Some("0007"), 1).await.unwrap(), (vec![b"6".to_vec()], true));
        assert_eq!(log.before(Some("0006"), 9).await.unwrap(), (vec![b"5".to_vec()], false));
    }
}
