//! What a secret has beside its values: metadata, and the states of its versions.

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::json;

use super::answer::is_live;
use super::kv2::confirmed;
use super::{Metadata, Target, VaultClient, VaultError, VersionInfo, request};
use crate::http::Repeat;
use crate::kv::{MetadataDigest, SecretPath, VersionState};

impl Metadata {
    /// What tells this state of it from another, as of now: a deletion time that has passed makes a version deleted.
    #[must_use]
    pub fn digest(&self) -> MetadataDigest {
        let current = self.versions.get(&self.current_version);
        let created = current.map_or(self.created_time, |version| version.created_time);
        let now = Timestamp::now();
        let states = self.versions.iter().map(|(number, version)| (*number, version.state(now)));
        MetadataDigest {
            value: MetadataDigest::of_value(self.current_version, created),
            settings: self.settings_digest(),
            versions: MetadataDigest::of_versions(states),
            since: 0,
        }
    }

    /// [`MetadataDigest::settings`] alone.
    #[must_use]
    pub fn settings_digest(&self) -> u64 {
        let custom = self.custom_metadata.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        MetadataDigest::of_settings(custom, self.max_versions, self.cas_required, &self.delete_version_after)
    }

    /// Whether new versions are deleted after a while.
    #[must_use]
    pub fn expires_versions(&self) -> bool {
        !matches!(self.delete_version_after.as_str(), "" | "0s")
    }
}

impl VersionInfo {
    /// How it stands at this moment.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> VersionState {
        if self.destroyed {
            VersionState::Destroyed
        } else if is_live(false, self.deletion_time, now) {
            VersionState::Live
        } else {
            VersionState::Deleted
        }
    }
}

impl VaultClient {
    /// `POST MOUNT/metadata/PATH`: gives a secret the `custom_metadata`, `max_versions`, `cas_required` and
    /// `delete_version_after` of `like`. Custom metadata is replaced as a whole, so keys that `like` does not have go.
    /// With `cas` (`OpenBao`; other servers ignore it) only if [`Metadata::metadata_version`] is that one, 0 if there is
    /// none yet. Makes the secret, without a version, if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::CheckAndSet`](super::ErrorKind::CheckAndSet) if somebody has changed the metadata since, or a lost
    /// attempt of this very request has; see [`ErrorKind`](super::ErrorKind) for the rest.
    pub async fn write_metadata(&self, path: &SecretPath, like: &Metadata, cas: Option<u64>) -> Result<(), VaultError> {
        let mut body = json!({
            // left out, it would stay as it is
            "custom_metadata": like.custom_metadata,
            "max_versions": like.max_versions,
            "cas_required": like.cas_required,
            "delete_version_after": if like.expires_versions() { &like.delete_version_after } else { "0s" },
        });
        if let (Some(cas), Some(members)) = (cas, body.as_object_mut()) {
            members.insert("metadata_cas".to_owned(), cas.into());
        }
        self.post("write metadata of", "metadata", path, body.to_string()).await
    }

    /// `POST MOUNT/delete/PATH`: soft-deletes these versions. What is deleted, destroyed, or not there stays as it is.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`](super::ErrorKind).
    pub async fn delete_versions(&self, path: &SecretPath, versions: &[u64]) -> Result<(), VaultError> {
        let body = json!({ "versions": versions }).to_string();
        self.post("delete versions of", "delete", path, body).await
    }

    /// `POST MOUNT/PART/PATH` that is answered with nothing.
    async fn post(
        &self,
        operation: &'static str,
        part: &str,
        path: &SecretPath,
        body: String,
    ) -> Result<(), VaultError> {
        let name = path.to_string();
        let target = Target { operation, path: &name };
        let place = format!("{}{part}/{}", path.mount(), path.name());
        let answer = self.send(target, request(Method::POST, &place, Repeat::Safe).body(Bytes::from(body))).await?;
        confirmed(target, &answer)
    }
}
