//! Sides for tests that contact nobody.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::plan::{Expected, Operation, Source, Task};
use super::{
    Destination, DestinationName, Fidelity, Listing, MaxDelete, OnDelete, OnDrift, OnExisting, Origin, Transforms,
};
use crate::http::HttpSettings;
use crate::kv::{Mount, PathFilter, SecretPath};
use crate::state::{KeyWatch, Lock, LockError, LockHolder, LockTaken, StateError, StateStore};
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{Auth, VaultClient, VaultSettings};

#[derive(Debug)]
struct NoStore;

#[async_trait]
impl StateStore for NoStore {
    fn location(&self) -> String {
        "nowhere".to_owned()
    }

    fn value_limit(&self) -> usize {
        usize::MAX
    }

    async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(None)
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, StateError> {
        Ok(vec![None; keys.len()])
    }

    async fn put(&self, _: Vec<(String, Vec<u8>)>) -> Result<(), StateError> {
        Ok(())
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, StateError> {
        Ok(Vec::new())
    }

    async fn delete(&self, _: &[String]) -> Result<(), StateError> {
        Ok(())
    }

    async fn lock(&self, _: &str, _: &LockHolder) -> Result<Lock, LockError> {
        Ok(Lock::on_nothing())
    }

    async fn lock_holder(&self, _: &str) -> Result<Option<LockTaken>, StateError> {
        Ok(None)
    }

    fn watch(&self, _: &str) -> Box<dyn KeyWatch> {
        Box::new(Unchanged { told: false })
    }
}

/// What nobody ever changes.
struct Unchanged {
    told: bool,
}

#[async_trait]
impl KeyWatch for Unchanged {
    async fn changed(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        if std::mem::replace(&mut self.told, true) {
            std::future::pending::<()>().await;
        }
        Ok(None)
    }
}

fn vault() -> VaultClient {
    let http = HttpSettings { address: "http://127.0.0.1:1".to_owned(), ..HttpSettings::default() };
    let auth = Auth::Token(zeroize::Zeroizing::new("none".to_owned()));
    VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("valid settings")
}

pub(crate) fn insight(version: u64) -> Insight {
    let update_time = format!("2026-01-01T00:00:{version:02}Z").parse().expect("a time");
    Insight { version, update_time, kind: EngineKind::KvV2 }
}

pub(crate) fn origin(mount: &Mount) -> Origin {
    Origin {
        vault: vault(),
        mounts: vec![mount.clone()],
        filter: PathFilter::default(),
        store: Arc::new(NoStore),
        sync_path: "vsync/".to_owned(),
        num_buckets: None,
        num_workers: 4,
        listing: Listing::Auto,
        patience: None,
        kv_versions: BTreeMap::new(),
    }
}

pub(crate) fn destination(name: &str, mount: &Mount) -> Destination {
    Destination {
        name: DestinationName::new(name),
        vault: vault(),
        mounts: vec![mount.clone()],
        filter: PathFilter::default(),
        transforms: Transforms::default(),
        store: Arc::new(NoStore),
        sync_path: format!("vsync/{name}/"),
        num_buckets: None,
        num_workers: 4,
        max_delete: MaxDelete::default(),
        create_mounts: false,
        on_delete: OnDelete::Soft,
        max_purge: MaxDelete::Count(0),
        on_drift: OnDrift::Report,
        on_existing: OnExisting::Report,
        fidelity: Fidelity::Value,
        journal: None,
        timeout: None,
        patience: None,
        wave: 1,
        canary: None,
    }
}

/// A secret of this name to add at the same path.
pub(crate) fn task(name: &str) -> Task {
    let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), name);
    Task {
        operation: Operation::Add,
        origin: path.clone(),
        destination: path,
        insight: Some(insight(1)),
        rule: "identity".into(),
        expected: Expected::Version(0),
        source: Source::Origin,
    }
}
