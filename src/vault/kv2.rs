//! KV version 2.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{VaultClient, VaultError};
use crate::kv::{Mount, SecretData, SecretPath};
use crate::sync_info::{Insight, UpdateTime};

/// One version of a secret, with its data.
#[derive(Debug)]
pub struct Secret {
    /// The JSON object as it came.
    pub data: SecretData,
    /// The version that was read.
    pub version: u64,
    /// When that version was written.
    pub created_time: Timestamp,
}

/// What a write answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenVersion {
    /// The version that now is the newest.
    pub version: u64,
    /// When it was written.
    pub created_time: Timestamp,
}

/// The part of a secret's metadata an inventory needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInfo {
    /// The current version.
    pub version: u64,
    /// When the secret was last changed.
    pub updated_time: UpdateTime,
    /// Whether the current version can be read: neither soft-deleted nor destroyed, and there is one.
    pub live: bool,
}

impl KeyInfo {
    /// As the sync info records it.
    #[must_use]
    pub fn insight(&self) -> Insight {
        Insight { version: self.version, update_time: self.updated_time, kind: crate::sync_info::EngineKind::KvV2 }
    }
}

/// All metadata of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The current version.
    pub current_version: u64,
    /// The oldest version still kept.
    pub oldest_version: u64,
    /// When the secret was first written.
    pub created_time: Timestamp,
    /// When it was last changed.
    pub updated_time: UpdateTime,
    /// How many versions are kept; 0: the engine's default.
    pub max_versions: u64,
    /// Whether writes must name the version they replace.
    pub cas_required: bool,
    /// After which time new versions are deleted, as the server writes it (`0s`: never).
    pub delete_version_after: String,
    /// What people attached to it.
    pub custom_metadata: BTreeMap<String, String>,
    /// Each version that is known.
    pub versions: BTreeMap<u64, VersionInfo>,
}

impl Metadata {
    /// The part an inventory needs.
    #[must_use]
    pub fn key_info(&self) -> KeyInfo {
        todo!()
    }
}

/// One version in a secret's metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// When it was written.
    pub created_time: Timestamp,
    /// When it was, or will be, soft-deleted.
    pub deletion_time: Option<Timestamp>,
    /// Whether its data is gone for good.
    pub destroyed: bool,
}

/// One page of a folder with the metadata of its secrets.
#[derive(Debug, Clone, Default)]
pub struct DetailedPage {
    /// Names as the server lists them, in order; folders end in a slash.
    pub keys: Vec<String>,
    /// What is known of the secrets among them. A secret without an entry was listed, but its metadata was not given.
    pub infos: BTreeMap<String, KeyInfo>,
}

/// A whole subtree with the metadata of its secrets.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// Names relative to the prefix that was scanned; `None` where the answer named a secret without its metadata.
    pub secrets: Vec<(String, Option<KeyInfo>)>,
}

impl VaultClient {
    /// `GET MOUNT/data/PATH`: the current version.
    pub async fn read(&self, path: &SecretPath) -> Result<Secret, VaultError> {
        todo!()
    }

    /// `POST MOUNT/data/PATH`. With `cas`, only if the current version is that one (0: only if there is none).
    pub async fn write(
        &self,
        path: &SecretPath,
        data: &SecretData,
        cas: Option<u64>,
    ) -> Result<WrittenVersion, VaultError> {
        todo!()
    }

    /// `DELETE MOUNT/data/PATH`: soft-deletes the newest version. Deleting what is not there succeeds.
    pub async fn delete(&self, path: &SecretPath) -> Result<(), VaultError> {
        todo!()
    }

    /// `GET MOUNT/metadata/PATH`.
    pub async fn metadata(&self, path: &SecretPath) -> Result<Metadata, VaultError> {
        todo!()
    }

    /// `GET MOUNT/subkeys/PATH`: the names of the top-level keys, without values.
    pub async fn key_names(&self, path: &SecretPath) -> Result<Vec<String>, VaultError> {
        todo!()
    }

    /// `LIST MOUNT/metadata/FOLDER`: names, folders with a slash at their end. `folder` is empty or ends in a slash.
    /// An empty folder is an empty list, not an error.
    pub async fn list(&self, mount: &Mount, folder: &str) -> Result<Vec<String>, VaultError> {
        todo!()
    }

    /// `LIST MOUNT/detailed-metadata/FOLDER?after=…&limit=…`.
    pub async fn list_detailed(
        &self,
        mount: &Mount,
        folder: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<DetailedPage, VaultError> {
        todo!()
    }

    /// `SCAN MOUNT/detailed-metadata/FOLDER`: the whole subtree in one answer.
    pub async fn scan(&self, mount: &Mount, folder: &str) -> Result<Scan, VaultError> {
        todo!()
    }
}
