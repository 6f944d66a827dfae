//! Reading single secrets at the origin, whichever version of the KV engine has them: the one place that knows the
//! difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use super::binding::PATIENCE;
use super::watchbook::Watchbook;
use crate::http::Attempts;
use crate::kv::{Mount, SecretData, SecretPath};
use crate::sync_info::EngineKind;
use crate::vault::{ErrorKind, Secret, VaultClient, VaultError};

/// How many of the origin's earlier versions are compared with what is there after a cycle was cut off.
const LOOK_BACK: usize = 3;

/// A client of the origin. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct OriginReader {
    vault: VaultClient,
    configured: Arc<BTreeMap<Mount, EngineKind>>,
    book: Arc<Watchbook>,
}

impl OriginReader {
    /// The same reader, with its attempts counted in `attempts`.
    pub(super) fn observed(&self, attempts: Attempts) -> Self {
        Self { vault: self.vault.observed(attempts), ..self.clone() }
    }

    /// The client itself.
    pub(super) fn vault(&self) -> &VaultClient {
        &self.vault
    }

    /// The engine of a mount: as a survey found it, else as the server says, else as configured.
    pub(super) async fn kind(&self, mount: &str) -> EngineKind {
        if let Some(kind) = self.book.kind(mount) {
            return kind;
        }
        let Ok(name) = Mount::parse(mount) else { return EngineKind::KvV2 };
        let assumed = self.configured.get(&name).copied().unwrap_or(EngineKind::KvV2);
        let kind = match tokio::time::timeout(PATIENCE, self.vault.mount_info(&name)).await {
            Ok(Ok(info)) => info.kind().unwrap_or(assumed),
            // the next one asks again
            _ => return assumed,
        };
        self.book.note_kind(mount, kind);
        kind
    }

    /// As [`OriginReader::kind`], but not a guess.
    ///
    /// # Errors
    /// [`VaultError`] if the server does not say, and nobody has configured it.
    async fn known_kind(&self, mount: &str) -> Result<EngineKind, VaultError> {
        let Ok(name) = Mount::parse(mount) else { return Ok(EngineKind::KvV2) };
        if let Some(kind) = self.book.kind(mount).or(self.configured.get(&name).copied()) {
            return Ok(kind);
        }
        let info = self.vault.mount_info(&name).await;
        match info {
            // a server or policy that does not tell: as listings are read then, too
            Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::NotFound) => {
                Ok(EngineKind::KvV2)
            }
            Err(error) => Err(error),
            Ok(info) => {
                let kind = info.kind().unwrap_or(EngineKind::KvV2);
                self.book.note_kind(mount, kind);
                Ok(kind)
            }
        }
    }

    /// The current version of a secret, with the insight that belongs to just this value.
    ///
    /// # Errors
    /// As [`VaultClient::read`].
    pub(super) async fn read(&self, path: &SecretPath) -> Result<Secret, VaultError> {
        match self.kind(path.mount()).await {
            EngineKind::KvV2 => self.vault.read(path).await,
            EngineKind::KvV1 => {
                let data = self.vault.read_v1(path).await?;
                let insight = self.book.recognise_anew(path, &data).await;
                Ok(Secret {
                    data,
                    version: insight.version,
                    created_time: insight.update_time.timestamp(),
                    kind: insight.kind,
                })
            }
        }
    }

    /// That version of a secret, whichever is the newest. Of KV version 1 there is only one; `None`: it has another value
    /// by now.
    ///
    /// # Errors
    /// As [`VaultClient::read_version`].
    pub(super) async fn read_version(&self, path: &SecretPath, version: u64) -> Result<Option<Secret>, VaultError> {
        match self.kind(path.mount()).await {
            EngineKind::KvV2 => self.vault.read_version(path, version).await.map(Some),
            EngineKind::KvV1 => Ok(Some(self.read(path).await?).filter(|secret| secret.version == version)),
        }
    }

    /// What a secret holds, and nothing about it.
    ///
    /// # Errors
    /// As [`VaultClient::read`].
    pub(super) async fn read_data(&self, path: &SecretPath) -> Result<SecretData, VaultError> {
        match self.kind(path.mount()).await {
            EngineKind::KvV2 => self.vault.read(path).await.map(|secret| secret.data),
            EngineKind::KvV1 => self.vault.read_v1(path).await,
        }
    }

    /// Whether the origin held these values not long before version `newest`, as far as the engine or vsync's record can
    /// tell.
    pub(super) async fn held_before(&self, path: &SecretPath, newest: u64, data: &SecretData) -> bool {
        if self.kind(path.mount()).await == EngineKind::KvV1 {
            return self.book.held_before(path, data).await;
        }
        for version in (1..newest).rev().take(LOOK_BACK) {
            let earlier = self.vault.read_version(path, version).await;
            if earlier.is_ok_and(|earlier| earlier.data.has_same_values(data)) {
                return true;
            }
        }
        false
    }

    /// Whether a secret is there, if only reading it tells: its engine is KV version 1. `None`: its metadata does.
    ///
    /// # Errors
    /// [`VaultError`] if the origin does not say.
    pub(super) async fn has_without_metadata(&self, path: &SecretPath) -> Option<Result<bool, VaultError>> {
        match self.known_kind(path.mount()).await {
            Ok(EngineKind::KvV2) => return None,
            Ok(EngineKind::KvV1) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(match self.vault.read_v1(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// The path that policies must let the token read: for the value, or to see that it is gone.
    pub(super) async fn policy_path(&self, path: &SecretPath, value: bool) -> String {
        match self.kind(path.mount()).await {
            EngineKind::KvV1 => path.v1_path(),
            EngineKind::KvV2 if value => path.data_path().to_owned(),
            EngineKind::KvV2 => path.metadata_path(),
        }
    }
}

impl Engine {
    pub(super) fn origin_reader(&self) -> OriginReader {
        let origin = self.origin();
        let configured = Arc::new(origin.kv_versions.clone());
        OriginReader { vault: origin.vault.clone(), configured, book: Arc::clone(self.watchbook()) }
    }
}
