//! The store in Consul's KV, where vsync v0.3 keeps its state too.

mod lock;

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateError, StateStore};
use crate::consul::{
    ConsulClient, ConsulError, ConsulSettings, TRANSACTION_OPERATIONS, TransactionOp, VALUE_LIMIT, Watch,
};

/// Consul refuses a transaction whose body is larger than a value may be.
const TRANSACTION_BYTES: usize = VALUE_LIMIT - VALUE_LIMIT / 16;
/// How many values are read at once.
const CONCURRENT_READS: usize = 8;

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct ConsulStore {
    client: ConsulClient,
    settings: ConsulSettings,
}

impl ConsulStore {
    pub(super) fn new(settings: &ConsulSettings) -> Result<Self, StateError> {
        let client = ConsulClient::new(settings).map_err(|error| StateError {
            operation: "open",
            key: "the state".to_owned(),
            location: format!("Consul at {}", settings.http.address),
            message: error.message().to_owned(),
        })?;
        Ok(Self { client, settings: settings.clone() })
    }

    fn error(&self, operation: &'static str, key: &str) -> impl FnOnce(ConsulError) -> StateError {
        let (key, location) = (key.to_owned(), self.location());
        move |error| StateError { operation, key, location, message: error.message().to_owned() }
    }
}

#[async_trait]
impl StateStore for ConsulStore {
    fn location(&self) -> String {
        match self.client.datacenter() {
            Some(datacenter) => format!("Consul at {} ({datacenter})", self.client.address()),
            None => format!("Consul at {}", self.client.address()),
        }
    }

    fn value_limit(&self) -> usize {
        VALUE_LIMIT
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let entry = self.client.get(key).await.map_err(self.error("read", key))?;
        Ok(entry.map(|entry| entry.value))
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        // owned keys: with borrowed ones the compiler cannot tell that the future is `Send`
        let reads = keys.iter().cloned().map(|key| async move { self.get(&key).await });
        stream::iter(reads).buffered(CONCURRENT_READS).try_collect().await
    }

    async fn put(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        let mut rest = entries.as_slice();
        while let Some((key, value)) = rest.first() {
            let (group, behind) = rest.split_at(fitting(rest));
            if group.len() == 1 {
                self.client.put(key, value.clone()).await.map_err(self.error("save", key))?;
            } else {
                let operations: Vec<_> = group.iter().map(|(key, value)| TransactionOp::Set(key, value)).collect();
                self.client.transact(&operations).await.map_err(self.error("save", key))?;
            }
            rest = behind;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StateError> {
        self.client.keys(prefix).await.map_err(self.error("list", prefix))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), StateError> {
        for group in keys.chunks(TRANSACTION_OPERATIONS) {
            let operations: Vec<_> = group.iter().map(|key| TransactionOp::Delete(key)).collect();
            self.client.transact(&operations).await.map_err(self.error("delete", &group[0]))?;
        }
        Ok(())
    }

    async fn lock(&self, key: &str, holder: &LockHolder) -> Result<Lock, LockError> {
        self.take(key, holder).await
    }

    async fn lock_holder(&self, key: &str) -> Result<Option<LockTaken>, StateError> {
        self.taken(key).await
    }

    fn watch(&self, key: &str) -> Box<dyn KeyWatch> {
        Box::new(ConsulWatch { store: self.clone(), watch: self.client.watch(key), key: key.to_owned() })
    }
}

struct ConsulWatch {
    store: ConsulStore,
    watch: Watch,
    key: String,
}

#[async_trait]
impl KeyWatch for ConsulWatch {
    async fn changed(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        let entry = self.watch.changed().await.map_err(self.store.error("watch", &self.key))?;
        Ok(entry.map(|entry| entry.value))
    }
}

/// How many of these entries go into one transaction, at least one.
fn fitting(entries: &[(String, Vec<u8>)]) -> usize {
    let mut bytes = 0;
    let fits = |(key, value): &&(String, Vec<u8>)| {
        // base64, the escapes of a key at their worst, and what JSON puts around them
        bytes += value.len().div_ceil(3) * 4 + 6 * key.len() + 100;
        bytes <= TRANSACTION_BYTES
    };
    entries.iter().take(TRANSACTION_OPERATIONS).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_grouped_as_consul_takes_them() {
        let entries = |count: usize, bytes: usize| vec![("a/key".to_owned(), vec![0; bytes]); count];
        assert_eq!(fitting(&entries(1, VALUE_LIMIT)), 1);
        assert_eq!(fitting(&entries(3, VALUE_LIMIT)), 1);
        assert_eq!(fitting(&entries(200, 10)), TRANSACTION_OPERATIONS);
        assert_eq!(fitting(&entries(200, 100_000)), 3);
    }
}
