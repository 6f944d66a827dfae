//! Keys and values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{Call, ConsulClient, ConsulError, ConsulErrorKind, Session};
use crate::http::{Repeat, Request};

/// The largest value Consul takes unless it is configured otherwise.
pub const VALUE_LIMIT: usize = 524_288;
/// The most operations in one transaction.
pub const TRANSACTION_OPERATIONS: usize = 64;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    #[serde(deserialize_with = "from_base64")]
    pub value: Vec<u8>,
    /// Changes whenever the entry does; what check-and-set compares.
    pub modify_index: u64,
    /// The session that holds the lock on it.
    pub session: Option<String>,
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    // an empty value is null
    let text: Option<std::borrow::Cow<'de, str>> = Option::deserialize(deserializer)?;
    STANDARD.decode(text.unwrap_or_default().as_bytes()).map_err(de::Error::custom)
}

/// One operation of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionOp<'a> {
    /// Writes a value.
    Set(&'a str, &'a [u8]),
    /// Writes a value if the entry's modify index is still this one; 0: if there is no such key.
    Cas(&'a str, &'a [u8], u64),
    /// Deletes a key, if it is there.
    Delete(&'a str),
}

impl<'a> TransactionOp<'a> {
    fn key(&self) -> &'a str {
        match *self {
            Self::Set(key, _) | Self::Cas(key, _, _) | Self::Delete(key) => key,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Operation<'a> {
    #[serde(rename = "KV")]
    kv: KvOperation<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct KvOperation<'a> {
    verb: &'static str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
}

impl<'a> From<&TransactionOp<'a>> for Operation<'a> {
    fn from(operation: &TransactionOp<'a>) -> Self {
        let (verb, key, value, index) = match *operation {
            TransactionOp::Set(key, value) => ("set", key, Some(STANDARD.encode(value)), None),
            TransactionOp::Cas(key, value, index) => ("cas", key, Some(STANDARD.encode(value)), Some(index)),
            TransactionOp::Delete(key) => ("delete", key, None, None),
        };
        Self { kv: KvOperation { verb, key, value, index } }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refusal {
    errors: Option<Vec<RefusedOperation>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RefusedOperation {
    op_index: usize,
    what: String,
}

impl ConsulClient {
    pub(super) fn kv(&self, method: Method, key: &str, repeat: Repeat) -> Request {
        self.request(method, format!("v1/kv/{key}"), repeat)
    }

    /// An entry; `None` if there is no such key. The answer is the leader's, never an older one.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, ConsulError> {
        let call = Call { operation: "get", target: key };
        let request = self.kv(Method::GET, key, Repeat::Safe).query("consistent", "");
        let answer = self.send(call, request, &[StatusCode::NOT_FOUND]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(call.parse::<Vec<Entry>>(&answer)?.pop())
    }

    /// All entries whose keys start with `prefix`, sorted by key.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, ConsulError> {
        let call = Call { operation: "list", target: prefix };
        let request = self.kv(Method::GET, prefix, Repeat::Safe).query("recurse", "").query("consistent", "");
        let answer = self.send(call, request, &[StatusCode::NOT_FOUND]).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(Vec::new()) } else { call.parse(&answer) }
    }

    /// The keys that start with `prefix`, sorted.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, ConsulError> {
        let call = Call { operation: "list", target: prefix };
        let request = self.kv(Method::GET, prefix, Repeat::Safe).query("keys", "").query("consistent", "");
        let answer = self.send(call, request, &[StatusCode::NOT_FOUND]).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(Vec::new()) } else { call.parse(&answer) }
    }

    /// Writes a value.
    pub async fn put(&self, key: &str, value: Vec<u8>) -> Result<(), ConsulError> {
        let call = Call { operation: "put", target: key };
        let request = self.kv(Method::PUT, key, Repeat::Safe).body(value);
        if call.parse(&self.send(call, request, &[]).await?)? {
            return Ok(());
        }
        let message = "Consul answered 200 and false: it did not save the value; see its server's log";
        Err(ConsulError::new(call.operation, key, ConsulErrorKind::Server, message))
    }

    /// Writes a value if the entry's modify index is still `modify_index`; 0: if there is no such key. Returns whether
    /// it was written.
    pub async fn put_cas(&self, key: &str, value: Vec<u8>, modify_index: u64) -> Result<bool, ConsulError> {
        let call = Call { operation: "put", target: key };
        // a second attempt would be refused for what the first has done
        let request =
            self.kv(Method::PUT, key, Repeat::IfUnprocessed).query("cas", modify_index.to_string()).body(value);
        call.parse(&self.send(call, request, &[]).await?)
    }

    /// Deletes a key; one that does not exist is no error.
    pub async fn delete(&self, key: &str) -> Result<(), ConsulError> {
        let request = self.kv(Method::DELETE, key, Repeat::Safe);
        self.send(Call { operation: "delete", target: key }, request, &[]).await.map(drop)
    }

    /// Deletes every key that starts with `prefix`.
    pub async fn delete_tree(&self, prefix: &str) -> Result<(), ConsulError> {
        let request = self.kv(Method::DELETE, prefix, Repeat::Safe).query("recurse", "");
        self.send(Call { operation: "delete", target: prefix }, request, &[]).await.map(drop)
    }

    /// Does all of these, at most [`TRANSACTION_OPERATIONS`], or none.
    ///
    /// # Errors
    /// [`super::ConsulErrorKind::Conflict`] when a `Cas` did not hold.
    pub async fn transact(&self, operations: &[TransactionOp<'_>]) -> Result<(), ConsulError> {
        let Some(first) = operations.first() else { return Ok(()) };
        let call = Call { operation: "write", target: first.key() };
        let repeats_alike = !operations.iter().any(|operation| matches!(operation, TransactionOp::Cas(..)));
        let repeat = if repeats_alike { Repeat::Safe } else { Repeat::IfUnprocessed };
        // strings and numbers always serialize
        let body = serde_json::to_vec(&operations.iter().map(Operation::from).collect::<Vec<_>>()).unwrap_or_default();
        let request = self.request(Method::PUT, "v1/txn", repeat).body(body);
        let answer = self.send(call, request, &[StatusCode::CONFLICT]).await?;
        if answer.status != StatusCode::CONFLICT {
            return Ok(());
        }
        let refused = call.parse::<Refusal>(&answer)?.errors.unwrap_or_default();
        let (key, why) = match refused.first() {
            Some(error) => (operations.get(error.op_index).unwrap_or(first).key(), error.what.as_str()),
            None => (call.target, ""),
        };
        Err(ConsulError::from_answer(call.operation, key, StatusCode::CONFLICT, why.as_bytes()))
    }

    /// Locks a key for a session and writes its value; returns whether the lock was got (or was already held by this
    /// session).
    pub async fn acquire(&self, key: &str, value: Vec<u8>, session: &Session) -> Result<bool, ConsulError> {
        self.lock_call("lock", "acquire", key, value, session).await
    }

    /// Unlocks a key and writes its value; returns whether this session had held it.
    pub async fn release(&self, key: &str, value: Vec<u8>, session: &Session) -> Result<bool, ConsulError> {
        // a second attempt would be told that it does not hold what the first has released
        self.lock_call("unlock", "release", key, value, session).await
    }

    async fn lock_call(
        &self,
        operation: &'static str,
        parameter: &'static str,
        key: &str,
        value: Vec<u8>,
        session: &Session,
    ) -> Result<bool, ConsulError> {
        let call = Call { operation, target: key };
        let request = self.kv(Method::PUT, key, Repeat::IfUnprocessed).query(parameter, session.as_str()).body(value);
        call.parse(&self.send(call, request, &[]).await?)
    }
}
