//! Mounts: their settings, whether they are there, and new ones.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::sys::data;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::Repeat;
use crate::kv::{Mount, SecretPath};

/// What a mount was made with, as `sys/internal/ui/mounts/MOUNT` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct MountSettings {
    /// What people called it.
    #[serde(default)]
    pub description: String,
    /// Not replicated to other clusters.
    #[serde(default)]
    pub local: bool,
    /// Wrapped by the seal.
    #[serde(default)]
    pub seal_wrap: bool,
    /// Leases.
    #[serde(default)]
    pub config: LeaseConfig,
}

/// How long leases of a mount live, in seconds; 0: as the server has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct LeaseConfig {
    /// If none is asked for.
    #[serde(default)]
    pub default_lease_ttl: u64,
    /// At most.
    #[serde(default)]
    pub max_lease_ttl: u64,
}

/// What a KV version 2 engine does with all its secrets, as `MOUNT/config` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvConfig {
    /// How many versions are kept; 0: 10.
    #[serde(default)]
    pub max_versions: u64,
    /// Whether writes must name the version they replace.
    #[serde(default)]
    pub cas_required: bool,
    /// After which time new versions are deleted, as the server writes it (`0s`: never).
    #[serde(default = "never")]
    pub delete_version_after: String,
}

fn never() -> String {
    "0s".to_owned()
}

impl Default for KvConfig {
    /// As a new engine has it.
    fn default() -> Self {
        Self { max_versions: 0, cas_required: false, delete_version_after: never() }
    }
}

impl VaultError {
    /// Whether the server says that nothing is mounted there.
    #[must_use]
    pub fn says_no_mount(&self) -> bool {
        self.message().contains("no handler for route") || self.message().contains("No secret engine mount at")
    }

    /// Whether a KV engine that was mounted just now is still being made version 2.
    #[must_use]
    pub fn is_upgrading(&self) -> bool {
        // a standby waits for its leader in other words
        self.message().contains("from non-versioned to versioned data")
    }
}

impl VaultClient {
    /// `GET sys/internal/ui/mounts/MOUNT`, what a mount was made with.
    ///
    /// # Errors
    /// [`VaultError`]; see [`VaultClient::mount_info`].
    pub async fn mount_settings(&self, mount: &Mount) -> Result<MountSettings, VaultError> {
        let target = Target { operation: "look up mount", path: mount.as_str() };
        let path = format!("sys/internal/ui/mounts/{}", bare(mount));
        let answer = self.send(target, request(Method::GET, &path, Repeat::Safe)).await?;
        data(target, &answer)
    }

    /// `GET MOUNT/config`.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn kv_config(&self, mount: &Mount) -> Result<KvConfig, VaultError> {
        let target = Target { operation: "read configuration of", path: mount.as_str() };
        let answer = self.send(target, request(Method::GET, &config_path(mount), Repeat::Safe)).await?;
        data(target, &answer)
    }

    /// `POST MOUNT/config`.
    ///
    /// # Errors
    /// [`VaultError`]; [`VaultError::is_upgrading`] for a moment after the mount was created.
    pub async fn write_kv_config(&self, mount: &Mount, config: &KvConfig) -> Result<(), VaultError> {
        let target = Target { operation: "write configuration of", path: mount.as_str() };
        let body = serde_json::json!(config).to_string();
        let answer = self.send(target, request(Method::POST, &config_path(mount), Repeat::Safe).body(body)).await?;
        if answer.status.is_success() { Ok(()) } else { Err(target.refusal(&answer)) }
    }

    /// Whether something is mounted there, by what a token learns that may read `path`, which is in it, or the mount
    /// itself: `sys/internal/ui/mounts` answers alike for what is missing and for what is forbidden.
    ///
    /// # Errors
    /// [`VaultError`] where none of the answers tells.
    pub async fn is_mounted(&self, mount: &Mount, path: &SecretPath) -> Result<bool, VaultError> {
        match self.metadata(path).await {
            Ok(_) => return Ok(true),
            Err(error) if error.says_no_mount() => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound || error.is_upgrading() => return Ok(true),
            Err(_) => {}
        }
        let target = Target { operation: "look up mount", path: mount.as_str() };
        let path = format!("sys/mounts/{}", bare(mount));
        let answer = self.send(target, request(Method::GET, &path, Repeat::Safe)).await?;
        if answer.status.is_success() {
            return Ok(true);
        }
        let error = target.refusal(&answer);
        if error.says_no_mount() { Ok(false) } else { Err(error) }
    }

    /// `POST sys/mounts/MOUNT`: mounts a KV version 2 engine. Returns whether it was made now: what is mounted there already
    /// stays as it is.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] if the token may not; see [`ErrorKind`] for the rest.
    pub async fn create_mount(&self, mount: &Mount, settings: &MountSettings) -> Result<bool, VaultError> {
        let target = Target { operation: "create mount", path: mount.as_str() };
        let MountSettings { description, local, seal_wrap, config } = settings;
        let mut body = serde_json::json!({
            "type": "kv", "description": description, "options": { "version": "2" }, "config": {},
        });
        for (name, is_so) in [("local", local), ("seal_wrap", seal_wrap)] {
            if *is_so {
                body[name] = true.into();
            }
        }
        for (name, seconds) in
            [("default_lease_ttl", config.default_lease_ttl), ("max_lease_ttl", config.max_lease_ttl)]
        {
            if seconds > 0 {
                body["config"][name] = format!("{seconds}s").into();
            }
        }
        let path = format!("sys/mounts/{}", bare(mount));
        let request = request(Method::POST, &path, Repeat::IfUnprocessed).body(body.to_string());
        let answer = self.send(target, request).await?;
        if answer.status.is_success() {
            return Ok(true);
        }
        let error = target.refusal(&answer);
        let is_taken = answer.status == StatusCode::BAD_REQUEST && error.message().contains("already in use");
        if is_taken { Ok(false) } else { Err(error) }
    }
}

fn bare(mount: &Mount) -> &str {
    mount.as_str().trim_end_matches('/')
}

fn config_path(mount: &Mount) -> String {
    format!("{}config", mount.as_str())
}
