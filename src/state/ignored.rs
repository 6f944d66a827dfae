//! Failures that an operator has said not to mind, and why.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{State, StateError};
use crate::kv::SecretPath;
use crate::sync_info::Insight;

/// The one format there is.
const FORMAT: u32 = 1;

/// A failure that is not minded as long as it is the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IgnoredSecret {
    /// The secret at the origin.
    pub origin: SecretPath,
    /// The word for why it failed; another cause is minded.
    pub cause: String,
    /// The origin's insight; another version of it is minded. `None` for a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insight: Option<Insight>,
}

/// What somebody said not to mind at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignoring {
    /// Who said so.
    pub operator: String,
    /// On which machine.
    pub host: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What.
    pub secrets: Vec<IgnoredSecret>,
}

/// What of a destination's failures is not minded.
///
/// ```text
/// <sync path>vsync/ignored/<id>      what was said at one time, as JSON
/// ```
///
/// What two people say at the same time does not meet: each saying has a key of its own, sorted by time.
#[derive(Debug, Clone)]
pub struct IgnoreList {
    state: State,
}

impl IgnoreList {
    /// The list of a destination.
    #[must_use]
    pub fn new(state: &State) -> Self {
        Self { state: state.clone() }
    }

    /// All of it, oldest first.
    ///
    /// # Errors
    /// [`StateError`] when the store does not answer, or a part of the list is damaged: then nobody knows what it says.
    pub async fn read(&self) -> Result<Vec<Ignoring>, StateError> {
        Ok(self.entries().await?.into_iter().map(|(_, ignoring)| ignoring).collect())
    }

    /// Adds to the list. What was said of the same secrets before no longer holds.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn add(&self, ignoring: &Ignoring) -> Result<(), StateError> {
        let again: HashSet<&SecretPath> = ignoring.secrets.iter().map(|secret| &secret.origin).collect();
        self.remove(&|origin| again.contains(origin)).await?;
        let mut entries = Vec::new();
        let mut waiting = vec![ignoring.clone()];
        while let Some(now) = waiting.pop() {
            let bytes = self.encode(&now)?;
            if bytes.len() <= self.state.store().value_limit() {
                entries.push((self.key(Uuid::now_v7()), bytes));
            } else if let [_, _, ..] = now.secrets[..] {
                let (left, right) = now.secrets.split_at(now.secrets.len() / 2);
                waiting.extend([right, left].map(|secrets| Ignoring { secrets: secrets.to_vec(), ..now.clone() }));
            } else {
                let message = "the reason is longer than the store's values";
                return Err(self.state.error("save", &self.prefix(), message));
            }
        }
        self.state.store().put(entries).await
    }

    /// Takes secrets off the list.
    ///
    /// # Errors
    /// [`StateError`] when the store refuses.
    pub async fn remove(&self, which: &(dyn Fn(&SecretPath) -> bool + Sync)) -> Result<(), StateError> {
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for (key, mut ignoring) in self.entries().await? {
            let before = ignoring.secrets.len();
            ignoring.secrets.retain(|secret| !which(&secret.origin));
            if ignoring.secrets.is_empty() {
                gone.push(key);
            } else if ignoring.secrets.len() < before {
                let bytes = self.encode(&ignoring)?;
                changed.push((key, bytes));
            }
        }
        if !changed.is_empty() {
            self.state.store().put(changed).await?;
        }
        if gone.is_empty() { Ok(()) } else { self.state.store().delete(&gone).await }
    }

    async fn entries(&self) -> Result<Vec<(String, Ignoring)>, StateError> {
        let keys = self.state.store().list(&self.prefix()).await?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let values = self.state.store().get_many(&keys).await?;
        let mut entries = Vec::with_capacity(keys.len());
        for (key, value) in keys.into_iter().zip(values) {
            // somebody may just have taken it off
            let Some(value) = value else { continue };
            let ignoring = decode(&value).map_err(|message| self.state.error("read", &key, message))?;
            entries.push((key, ignoring));
        }
        Ok(entries)
    }

    fn encode(&self, ignoring: &Ignoring) -> Result<Vec<u8>, StateError> {
        let stored = Stored { format: FORMAT, ignoring: Cow::Borrowed(ignoring) };
        serde_json::to_vec(&stored).map_err(|error| self.state.error("save", &self.prefix(), error))
    }

    fn prefix(&self) -> String {
        self.state.own_key("ignored/")
    }

    fn key(&self, id: Uuid) -> String {
        format!("{}{id}", self.prefix())
    }
}

/// What is stored of an [`Ignoring`].
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    format: u32,
    #[serde(flatten)]
    ignoring: Cow<'a, Ignoring>,
}

fn decode(bytes: &[u8]) -> Result<Ignoring, String> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged =
        |error| format!("this part of the list of ignored failures is damaged: {error}; delete it to have them back");
    let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
    if format != FORMAT {
        return Err(format!(
            "the list of ignored failures has format {format}, this vsync knows {FORMAT} only: use a newer one"
        ));
    }
    let Stored { ignoring, .. } = serde_json::from_slice(bytes).map_err(damaged)?;
    Ok(ignoring.into_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kv::Mount;
    use crate::state::StateSide;
    use crate::state::memory::MemoryStore;
    use crate::sync_info::EngineKind;

    fn list(limit: usize) -> (Arc<MemoryStore>, IgnoreList) {
        let store = Arc::new(MemoryStore::new(limit));
        let state = State::new(Arc::clone(&store) as _, "vsync", StateSide::Destination, vec![mount()]);
        (store, IgnoreList::new(&state))
    }

    fn mount() -> Mount {
        Mount::parse("secret").unwrap()
    }

    fn secret(name: &str) -> IgnoredSecret {
        let insight =
            Insight { version: 3, update_time: "2026-01-01T00:00:00Z".parse().unwrap(), kind: EngineKind::KvV2 };
        IgnoredSecret { origin: SecretPath::new(&mount(), name), cause: "drift".to_owned(), insight: Some(insight) }
    }

    fn ignoring(reason: &str, names: &[&str]) -> Ignoring {
        Ignoring {
            operator: "ops".to_owned(),
            host: "bastion".to_owned(),
            at: "2026-11-23T21:40:03Z".parse().unwrap(),
            reason: reason.to_owned(),
            secrets: names.iter().map(|name| secret(name)).collect(),
        }
    }

    #[tokio::test]
    async fn what_was_said_is_remembered_until_it_is_taken_back() {
        let (store, list) = list(10_000);
        assert_eq!(list.read().await.unwrap(), []);
        let both = ignoring("known, see the ticket", &["a", "b"]);
        list.add(&both).await.unwrap();
        assert!(store.keys()[0].starts_with("vsync/vsync/ignored/"), "{:?}", store.keys());
        assert_eq!(list.read().await.unwrap(), [both]);

        list.add(&ignoring("another reason", &["b"])).await.unwrap();
        let now = [ignoring("known, see the ticket", &["a"]), ignoring("another reason", &["b"])];
        assert_eq!(list.read().await.unwrap(), now, "the newer reason holds");
        list.remove(&|path| path.name() == "a").await.unwrap();
        assert_eq!(list.read().await.unwrap(), now[1..]);
        list.remove(&|_| true).await.unwrap();
        assert_eq!(store.keys(), [""; 0]);
    }

    #[tokio::test]
    async fn many_secrets_are_split_over_values() {
        let (store, list) = list(1_000);
        let names: Vec<String> = (0..50).map(|at| format!("app-{at}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        list.add(&ignoring("all of them", &names)).await.unwrap();
        assert!(store.keys().len() > 5);
        let read = list.read().await.unwrap();
        let secrets: Vec<&str> = read.iter().flat_map(|one| &one.secrets).map(|secret| secret.origin.name()).collect();
        assert_eq!(secrets, names);
        list.add(&ignoring(&"long ".repeat(300), &["x"])).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_newer_or_damaged_list_is_not_taken_for_an_empty_one() {
        let (store, list) = list(10_000);
        store.set("vsync/vsync/ignored/0", br#"{"format":2}"#);
        assert!(list.read().await.unwrap_err().to_string().contains("use a newer one"));
        store.set("vsync/vsync/ignored/0", b"{");
        assert!(list.read().await.unwrap_err().to_string().contains("is damaged"));
    }
}
