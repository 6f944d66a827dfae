//! The changes of past cycles in a store.

use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::Change;
use crate::state::{State, StateError};

/// How many cycles are remembered.
const KEPT: usize = 50;
/// The one format there is.
const FORMAT: u64 = 1;
/// How many chunks are read at a time.
const BATCH_CHUNKS: usize = 8;
/// How many times a chunk shrinks, at a guess, when it is compressed.
const RATIO: usize = 4;

/// What the newest 50 cycles changed at one destination.
///
/// ```text
/// <sync path>vsync/changes/<cycle>/0 …     chunks in order: the line `1`, then changes, compressed (zlib)
/// ```
///
/// Uncompressed, a chunk is a JSON object a line, with the members `k` (kind), `o` (origin's path) and `om` (length of
/// its mount), `d` and `dm` (the destination's, unless it is the same), `b` (version before), `v` (version after), `ib`
/// and `i` (insights before and now, as in the ledger), `f` (`true` if the version before was somebody else's), `t` (when).
#[derive(Debug, Clone)]
pub struct ChangeLog {
    state: State,
}

impl ChangeLog {
    /// The log of a destination.
    #[must_use]
    pub fn new(state: &State) -> Self {
        Self { state: state.clone() }
    }

    /// Adds to what a cycle changed. `cycle` is its id, which sorts as text by time; `chunk` is 0 or what the call
    /// before returned: the number of the chunk to go on with. An append that failed is repeated with the same number.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn append(&self, cycle: &str, chunk: usize, changes: &[Change]) -> Result<usize, StateError> {
        let key = self.key(cycle, chunk);
        let limit = self.state.store().value_limit();
        let mut next = chunk;
        let mut waiting = Vec::from([changes]);
        while let Some(changes) = waiting.pop() {
            let fitting = fitting(changes, RATIO * limit).map_err(|error| self.state.error("save", &key, error))?;
            let (now, behind) = changes.split_at(fitting);
            if !behind.is_empty() {
                waiting.push(behind);
            }
            if now.is_empty() {
                continue;
            }
            let value = encode(now).map_err(|error| self.state.error("save", &key, error))?;
            if value.len() <= limit {
                self.state.store().put(vec![(self.key(cycle, next), value)]).await?;
                next += 1;
            } else if let (left, right @ [_, ..]) = now.split_at(now.len().div_ceil(2)) {
                waiting.push(right);
                waiting.push(left);
            } else {
                return Err(self.state.error("save", &key, "a single change is larger than the store's values"));
            }
        }
        Ok(next)
    }

    /// The number of the chunk to go on with, for a cycle that was left by the process that ran it.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer.
    pub async fn next_chunk(&self, cycle: &str) -> Result<usize, StateError> {
        Ok(self.chunks(cycle).await?.last().map_or(0, |last| last + 1))
    }

    /// What a cycle changed, in order; nothing if it is not known (any more). A change that is stored twice, because it
    /// was in a journal that could not be removed, appears once.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or a part is missing or damaged: half of what a cycle changed must
    /// not pass for all of it.
    pub async fn read(&self, cycle: &str) -> Result<Vec<Change>, StateError> {
        let chunks = self.chunks(cycle).await?;
        let count = chunks.last().map_or(0, |last| last + 1);
        let keys: Vec<String> = (0..count).map(|chunk| self.key(cycle, chunk)).collect();
        let mut changes = Vec::new();
        for keys in keys.chunks(BATCH_CHUNKS) {
            let values = self.state.store().get_many(keys).await?;
            for (key, value) in keys.iter().zip(values) {
                let value = value.ok_or_else(|| self.state.error("read", key, "this part of the cycle is missing"))?;
                decode(&value, &mut changes).map_err(|error| self.state.error("read", key, error))?;
            }
        }
        remove_repeated(&mut changes);
        Ok(changes)
    }

    /// Forgets all but the newest 50 cycles.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn prune(&self) -> Result<(), StateError> {
        let prefix = self.state.own_key("changes/");
        let keys = self.state.store().list(&prefix).await?;
        let id = |key: &str| key.strip_prefix(&prefix)?.rsplit_once('/').map(|(id, _)| id.to_owned());
        let mut ids: Vec<String> = keys.iter().filter_map(|key| id(key)).collect();
        ids.sort_unstable();
        ids.dedup();
        let old = &ids[..ids.len().saturating_sub(KEPT)];
        let is_old = |key: &String| id(key).is_some_and(|id| old.binary_search(&id).is_ok());
        let old: Vec<String> = keys.iter().filter(|key| is_old(key)).cloned().collect();
        if old.is_empty() { Ok(()) } else { self.state.store().delete(&old).await }
    }

    /// The numbers of a cycle's chunks, sorted.
    async fn chunks(&self, cycle: &str) -> Result<Vec<usize>, StateError> {
        let prefix = self.state.own_key(&format!("changes/{cycle}/"));
        let keys = self.state.store().list(&prefix).await?;
        let mut chunks: Vec<usize> = keys.iter().filter_map(|key| key.strip_prefix(&prefix)?.parse().ok()).collect();
        chunks.sort_unstable();
        Ok(chunks)
    }

    fn key(&self, cycle: &str, chunk: usize) -> String {
        self.state.own_key(&format!("changes/{cycle}/{chunk}"))
    }
}

/// How many of these changes have no more than `limit` bytes, uncompressed; at least one, if there is one.
fn fitting(changes: &[Change], limit: usize) -> io::Result<usize> {
    let mut line = Vec::new();
    let mut bytes = 0;
    for (at, change) in changes.iter().enumerate() {
        line.clear();
        serde_json::to_writer(&mut line, change)?;
        bytes += line.len() + 1;
        if bytes > limit && at > 0 {
            return Ok(at);
        }
    }
    Ok(changes.len())
}

fn encode(changes: &[Change]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(format!("{FORMAT}\n").into_bytes(), Compression::fast());
    let mut line = Vec::new();
    for change in changes {
        line.clear();
        serde_json::to_writer(&mut line, change)?;
        line.push(b'\n');
        encoder.write_all(&line)?;
    }
    encoder.finish()
}

fn decode(value: &[u8], changes: &mut Vec<Change>) -> Result<(), String> {
    let damaged = |error: &dyn fmt::Display| format!("these changes are damaged: {error}");
    let end = value.iter().position(|byte| *byte == b'\n');
    let format = end.and_then(|end| std::str::from_utf8(&value[..end]).ok()?.parse::<u64>().ok());
    let compressed = match (format, end) {
        (Some(FORMAT), Some(end)) => &value[end + 1..],
        (Some(format), _) => {
            return Err(format!("these changes have format {format}, this vsync knows {FORMAT} only: use a newer one"));
        }
        (None, _) => return Err(damaged(&"they do not begin as changes do")),
    };
    let mut lines = BufReader::new(ZlibDecoder::new(compressed));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = lines.read_until(b'\n', &mut line).map_err(|error| damaged(&error))?;
        if read == 0 {
            return Ok(());
        }
        changes.push(serde_json::from_slice(&line).map_err(|error| damaged(&error))?);
    }
}

/// Leaves the first of equal changes.
fn remove_repeated(changes: &mut Vec<Change>) {
    let key = |at: &usize| (&changes[*at].destination, changes[*at].at, *at);
    let mut order: Vec<usize> = (0..changes.len()).collect();
    order.sort_unstable_by(|one, other| key(one).cmp(&key(other)));
    let mut repeated: Vec<usize> =
        order.windows(2).filter(|pair| changes[pair[0]] == changes[pair[1]]).map(|pair| pair[1]).collect();
    if repeated.is_empty() {
        return;
    }
    repeated.sort_unstable();
    let (mut at, mut repeated) = (0, repeated.into_iter().peekable());
    changes.retain(|_| {
        let keep = repeated.next_if_eq(&at).is_none();
        at += 1;
        keep
    });
}
