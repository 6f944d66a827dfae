//! A thin client for the parts of the Vault API that vsync uses; HashiCorp Vault and OpenBao speak it.

mod error;
mod kv2;

use std::sync::Arc;

pub use error::{ErrorKind, VaultError};
pub use kv2::{DetailedPage, KeyInfo, Metadata, Scan, Secret, VersionInfo, WrittenVersion};

use crate::http::Attempts;
use crate::kv::Mount;

/// A client for one server, cheap to clone; clones share connections, token and rate limit.
#[derive(Debug, Clone)]
pub struct VaultClient {
    shared: Arc<()>,
}

/// What `sys/health` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Set up at all.
    pub initialized: bool,
    /// Sealed: nothing can be read or written.
    pub sealed: bool,
    /// Not the active node of its cluster.
    pub standby: bool,
    /// The server's version.
    pub version: String,
}

/// What `auth/token/lookup-self` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The name of the token's owner.
    pub display_name: String,
    /// The policies that hold for it.
    pub policies: Vec<String>,
    /// What is left of its life; `None` if it never expires.
    pub ttl: Option<std::time::Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// What `sys/internal/ui/mounts/MOUNT` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The secrets engine: `kv` for the ones vsync copies.
    pub engine: String,
    /// The KV version, if it is a KV engine.
    pub kv_version: Option<u64>,
}

impl VaultClient {
    /// The server's address, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        todo!()
    }

    /// The same client, with its attempts counted in `attempts`.
    #[must_use]
    pub fn observed(&self, attempts: Attempts) -> Self {
        todo!()
    }

    /// `GET sys/health`, without a token.
    pub async fn health(&self) -> Result<Health, VaultError> {
        todo!()
    }

    /// `GET auth/token/lookup-self`; logs in first where that is the way to a token.
    pub async fn token_info(&self) -> Result<TokenInfo, VaultError> {
        todo!()
    }

    /// `GET sys/internal/ui/mounts/MOUNT`.
    pub async fn mount_info(&self, mount: &Mount) -> Result<MountInfo, VaultError> {
        todo!()
    }

    /// `POST sys/capabilities-self`: the token's capabilities on each path, in the order asked for. `root` stands for all.
    pub async fn capabilities(&self, paths: &[String]) -> Result<Vec<Vec<String>>, VaultError> {
        todo!()
    }
}
