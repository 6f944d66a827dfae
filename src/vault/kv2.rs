//! KV version 2.

use std::collections::BTreeMap;
use std::io::BufReader;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use zeroize::Zeroizing;

use super::answer::{KeysAnswer, MetadataAnswer, SecretAnswer, SubkeysAnswer, VersionAnswer, is_live};
use super::detailed::{DetailedAnswer, Keep};
use super::echo::repeats;
use super::sys::data;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Reading, Repeat, Request, Response};
use crate::kv::{MetadataDigest, Mount, SecretData, SecretPath};
use crate::sync_info::{EngineKind, Insight, UpdateTime};

/// One version of a secret, with its data.
#[derive(Debug)]
pub struct Secret {
    /// The JSON object as it came.
    pub data: SecretData,
    /// The version that was read.
    pub version: u64,
    /// When that version was written.
    pub created_time: Timestamp,
    /// The engine it comes from. For KV version 1, which has neither, version and time are those that vsync gave it.
    pub kind: EngineKind,
}

impl Secret {
    /// As the sync info records it.
    #[must_use]
    pub fn insight(&self) -> Insight {
        Insight { version: self.version, update_time: self.created_time.into(), kind: self.kind }
    }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The current version.
    pub version: u64,
    /// When the secret was last changed.
    pub updated_time: UpdateTime,
    /// Whether the current version can be read: neither soft-deleted nor destroyed, and there is one.
    pub live: bool,
    /// What tells its metadata from another state of it, if that was asked for and can be told.
    pub digest: Option<Box<MetadataDigest>>,
}

/// How much a listing with metadata tells of each secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// What decides whether its value is newer.
    Insight,
    /// Its digest, too.
    Digest,
}

impl KeyInfo {
    /// As the sync info records it.
    #[must_use]
    pub fn insight(&self) -> Insight {
        Insight { version: self.version, update_time: self.updated_time, kind: EngineKind::KvV2 }
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
    /// How often the metadata was written, for its own check-and-set; `None` where the server has no such thing.
    pub metadata_version: Option<u64>,
    /// Each version that is known.
    pub versions: BTreeMap<u64, VersionInfo>,
}

impl Metadata {
    /// Whether the current version's data still exists, be it soft-deleted.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.versions.get(&self.current_version).is_some_and(|version| !version.destroyed)
    }

    /// The part an inventory needs.
    #[must_use]
    pub fn key_info(&self) -> KeyInfo {
        let now = Timestamp::now();
        let live = self
            .versions
            .get(&self.current_version)
            .is_some_and(|version| is_live(version.destroyed, version.deletion_time, now));
        KeyInfo {
            version: self.current_version,
            updated_time: self.updated_time,
            live: self.current_version > 0 && live,
            digest: None,
        }
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
    /// Names relative to the prefix that was scanned, in the order of their bytes; `None` where the answer named a secret without its metadata.
    pub secrets: Vec<(String, Option<KeyInfo>)>,
}

impl VaultClient {
    /// `GET MOUNT/data/PATH`: the current version.
    ///
    /// # Errors
    /// [`ErrorKind::Deleted`] if the current version is soft-deleted or destroyed, [`ErrorKind::NotFound`] if there
    /// never was one; see [`ErrorKind`] for the rest.
    pub async fn read(&self, path: &SecretPath) -> Result<Secret, VaultError> {
        let name = path.to_string();
        let target = Target { operation: "read secret", path: &name };
        self.read_data(target, request(Method::GET, path.data_path(), Repeat::Safe)).await
    }

    /// `GET MOUNT/data/PATH?version=N`: that version, whichever is the newest.
    ///
    /// # Errors
    /// [`ErrorKind::Deleted`] if that version is soft-deleted or destroyed, [`ErrorKind::NotFound`] if there is no such
    /// version, or not any more; see [`ErrorKind`] for the rest.
    pub async fn read_version(&self, path: &SecretPath, version: u64) -> Result<Secret, VaultError> {
        let name = path.to_string();
        let target = Target { operation: "read an older version of", path: &name };
        if version == 0 {
            // The server takes 0 for "the newest".
            return Err(target.error(ErrorKind::NotFound, "there is no version 0"));
        }
        let request = request(Method::GET, path.data_path(), Repeat::Safe).query("version", version.to_string());
        self.read_data(target, request).await
    }

    async fn read_data(&self, target: Target<'_>, request: Request) -> Result<Secret, VaultError> {
        let answer = self.send(target, request).await?;
        let SecretAnswer { data, metadata } = data(target, &answer)?;
        let json = data.map(serde_json::value::RawValue::get).filter(|json| json.starts_with('{'));
        let json = json.ok_or_else(|| target.error(ErrorKind::Protocol, "the answer holds no data"))?;
        Ok(Secret {
            data: SecretData::from_json(Zeroizing::new(json.to_owned())),
            version: metadata.version,
            created_time: metadata.created_time,
            kind: EngineKind::KvV2,
        })
    }

    /// `POST MOUNT/data/PATH`. With `cas`, only if the current version is that one (0: only if there is none).
    ///
    /// # Errors
    /// [`ErrorKind::CheckAndSet`] if the current version is another one, or `cas` is required and was not given. After a
    /// timeout or a broken connection the secret may have been written all the same. With `cas` the request is repeated
    /// then, because it cannot be carried out twice; the repetition of one that was carried out is refused.
    pub async fn write(
        &self,
        path: &SecretPath,
        data: &SecretData,
        cas: Option<u64>,
    ) -> Result<WrittenVersion, VaultError> {
        let name = path.to_string();
        let target = Target { operation: "write secret", path: &name };
        let repeat = if cas.is_some() { Repeat::Safe } else { Repeat::IfUnprocessed };
        let request = request(Method::POST, path.data_path(), repeat)
            .body(Bytes::from_owner(write_body(data.expose_json(), cas)));
        let answer = self.send(target, request).await?;
        if !answer.status.is_success() {
            return Err(target.refusal_to(&answer, |said| repeats(said, data.expose_json())));
        }
        if answer.status == StatusCode::NO_CONTENT {
            let message = format!(
                "the mount is KV version 1, and vsync needs version 2; the server took \"data/{}\" for a name and wrote there",
                path.name()
            );
            return Err(target.error(ErrorKind::Protocol, message));
        }
        let VersionAnswer { version, created_time } = self::data(target, &answer)?;
        Ok(WrittenVersion { version, created_time })
    }

    /// `DELETE MOUNT/data/PATH`: soft-deletes the newest version. Deleting what is not there succeeds. It is sent once: between
    /// two attempts somebody may write another newest version.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn delete(&self, path: &SecretPath) -> Result<(), VaultError> {
        let name = path.to_string();
        let target = Target { operation: "delete secret", path: &name };
        let answer = self.send(target, request(Method::DELETE, path.data_path(), Repeat::Never)).await?;
        match confirmed(target, &answer) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => Ok(()),
            done => done,
        }
    }

    /// `POST MOUNT/destroy/PATH`: destroys the data of these versions. Their numbers and the metadata stay. What is destroyed
    /// already, or not there, stays as it is.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn destroy(&self, path: &SecretPath, versions: &[u64]) -> Result<(), VaultError> {
        let name = path.to_string();
        let target = Target { operation: "destroy secret", path: &name };
        let destroy = format!("{}destroy/{}", path.mount(), path.name());
        let body = serde_json::json!({ "versions": versions }).to_string();
        let request = request(Method::POST, &destroy, Repeat::Safe).body(Bytes::from(body));
        let answer = self.send(target, request).await?;
        confirmed(target, &answer)
    }

    /// `DELETE MOUNT/metadata/PATH`: removes a secret with all versions and its metadata. Nothing brings it back. What is
    /// not there stays so. It is sent once: between two attempts somebody may write it anew.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn purge(&self, path: &SecretPath) -> Result<(), VaultError> {
        let name = path.to_string();
        let target = Target { operation: "purge secret", path: &name };
        let answer = self.send(target, request(Method::DELETE, &path.metadata_path(), Repeat::Never)).await?;
        match confirmed(target, &answer) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// `POST MOUNT/undelete/PATH`: makes soft-deleted versions readable again. What is not deleted, is destroyed, or is
    /// not there stays as it is: the server answers with success all the same.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn undelete(&self, path: &SecretPath, versions: &[u64]) -> Result<(), VaultError> {
        let name = path.to_string();
        let target = Target { operation: "undelete secret", path: &name };
        let undelete = format!("{}undelete/{}", path.mount(), path.name());
        let body = serde_json::json!({ "versions": versions }).to_string();
        let request = request(Method::POST, &undelete, Repeat::Safe).body(Bytes::from(body));
        let answer = self.send(target, request).await?;
        confirmed(target, &answer)
    }

    /// `GET MOUNT/metadata/PATH`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such secret; see [`ErrorKind`] for the rest.
    pub async fn metadata(&self, path: &SecretPath) -> Result<Metadata, VaultError> {
        let name = path.to_string();
        let target = Target { operation: "read metadata of", path: &name };
        let answer = self.send(target, request(Method::GET, &path.metadata_path(), Repeat::Safe)).await?;
        let metadata: MetadataAnswer = data(target, &answer)?;
        metadata
            .try_into()
            .map_err(|error: jiff::Error| target.error(ErrorKind::Protocol, format!("a deletion time: {error}")))
    }

    /// `GET MOUNT/subkeys/PATH`: the names of the top-level keys, without values.
    ///
    /// # Errors
    /// [`ErrorKind::Deleted`] and [`ErrorKind::NotFound`] as for [`VaultClient::read`], [`ErrorKind::Unsupported`] for
    /// a server that is too old; see [`ErrorKind`] for the rest.
    pub async fn key_names(&self, path: &SecretPath) -> Result<Vec<String>, VaultError> {
        let name = path.to_string();
        let target = Target { operation: "read key names of", path: &name };
        let subkeys = format!("{}subkeys/{}", path.mount(), path.name());
        let answer = self.send(target, request(Method::GET, &subkeys, Repeat::Safe).query("depth", "1")).await?;
        let SubkeysAnswer { subkeys } = data(target, &answer)?;
        Ok(subkeys.into_iter().map(|(name, _)| name).collect())
    }

    /// `LIST MOUNT/metadata/FOLDER`: names, folders with a slash at their end. `folder` is empty or ends in a slash.
    /// An empty folder is an empty list, not an error.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`]. A mount that does not exist is an error.
    pub async fn list(&self, mount: &Mount, folder: &str) -> Result<Vec<String>, VaultError> {
        let name = format!("{mount}{folder}");
        let target = Target { operation: "list", path: &name };
        let answer = self.send(target, listing("LIST", mount, "metadata", folder)).await?;
        if is_empty_folder(target, &answer) {
            return Ok(Vec::new());
        }
        let KeysAnswer { keys } = data(target, &answer)?;
        Ok(keys)
    }

    /// `LIST MOUNT/detailed-metadata/FOLDER?after=…&limit=…`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] or [`ErrorKind::PermissionDenied`] where this way of listing is not to be had; see
    /// [`ErrorKind`] for the rest.
    pub async fn list_detailed(
        &self,
        mount: &Mount,
        folder: &str,
        after: Option<&str>,
        limit: u32,
        wanted: Wanted,
    ) -> Result<DetailedPage, VaultError> {
        let name = format!("{mount}{folder}");
        let target = Target { operation: "list", path: &name };
        let mut request =
            listing("LIST", mount, "detailed-metadata", folder).query("limit", limit.to_string()).long_answer();
        if let Some(after) = after {
            request = request.query("after", after);
        }
        let answer = self.send(target, request).await?;
        if is_empty_folder(target, &answer) {
            return Ok(DetailedPage::default());
        }
        if !answer.status.is_success() {
            return Err(target.refusal(&answer));
        }
        let body = serde_json::de::SliceRead::new(&answer.body);
        let DetailedAnswer { keys, mut infos } = DetailedAnswer::parse(body, Keep::AllKeys, wanted, Timestamp::now())
            .map_err(|error| target.protocol(&error))?;
        // OpenBao gives a folder the metadata of the secret of the same name.
        infos.retain(|(name, _)| !name.ends_with('/'));
        Ok(DetailedPage { keys, infos: infos.into_iter().filter_map(|(name, info)| Some((name, info?))).collect() })
    }

    /// `SCAN MOUNT/detailed-metadata/FOLDER`: the whole subtree in one answer.
    ///
    /// # Errors
    /// As for [`VaultClient::list_detailed`].
    pub async fn scan(&self, mount: &Mount, folder: &str, wanted: Wanted) -> Result<Scan, VaultError> {
        let name = format!("{mount}{folder}");
        let target = Target { operation: "scan", path: &name };
        let request = listing("SCAN", mount, "detailed-metadata", folder).long_answer();
        let reading = match wanted {
            Wanted::Insight => self.send_reading(target, request, |body| read_scan(body, Wanted::Insight)).await,
            Wanted::Digest => self.send_reading(target, request, |body| read_scan(body, Wanted::Digest)).await,
        };
        let DetailedAnswer { keys, infos: mut secrets } = match reading? {
            Reading::Read(read) => read.map_err(|error| target.protocol(&error))?,
            Reading::Refused(answer) if is_empty_folder(target, &answer) => return Ok(Scan::default()),
            Reading::Refused(answer) => return Err(target.refusal(&answer)),
        };
        secrets.extend(keys.into_iter().map(|key| (key, None)));
        secrets.retain(|(name, _)| !name.ends_with('/'));
        secrets.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Scan { secrets })
    }
}

fn read_scan(body: impl std::io::Read, wanted: Wanted) -> Result<DetailedAnswer, serde_json::Error> {
    let body = serde_json::de::IoRead::new(BufReader::with_capacity(64 << 10, body));
    DetailedAnswer::parse(body, Keep::KeysWithoutInfo, wanted, Timestamp::now())
}

fn listing(method: &'static str, mount: &Mount, below: &str, folder: &str) -> Request {
    // Both are valid tokens; were they not, the server would refuse a GET of a folder.
    let method = Method::from_bytes(method.as_bytes()).unwrap_or_default();
    request(method, &format!("{mount}{below}/{folder}"), Repeat::Safe)
}

/// 404 with `{"errors":[]}`, and nothing else, means that a folder is empty.
/// Whether a request that is answered with nothing was carried out. A 200 whose body is not the API's comes from
/// somebody in between: a login page, say. It tells nothing of what the server did.
pub(super) fn confirmed(target: Target<'_>, answer: &Response) -> Result<(), VaultError> {
    if !answer.status.is_success() {
        return Err(target.refusal(answer));
    }
    if answer.status == StatusCode::NO_CONTENT {
        return Ok(());
    }
    let body = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&answer.body);
    body.map(|_| ()).map_err(|error| target.protocol(&error))
}

pub(super) fn is_empty_folder(target: Target<'_>, answer: &Response) -> bool {
    answer.status == StatusCode::NOT_FOUND && target.refusal(answer).kind() == ErrorKind::NotFound
}

fn write_body(json: &str, cas: Option<u64>) -> Zeroizing<Vec<u8>> {
    let options = cas.map_or_else(String::new, |cas| format!(r#""options":{{"cas":{cas}}},"#));
    // Exact, because a buffer that grows leaves its content behind.
    let mut body = Zeroizing::new(Vec::with_capacity(options.len() + json.len() + r#"{"data":}"#.len()));
    for part in ["{", &options, r#""data":"#, json, "}"] {
        body.extend_from_slice(part.as_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpSettings;
    use crate::http::scripted::Server;
    use crate::vault::{Auth, VaultSettings};

    fn secret(json: &str) -> SecretData {
        SecretData::from_json(Zeroizing::new(json.to_owned()))
    }

    #[tokio::test]
    async fn an_echo_of_the_secret_is_withheld() {
        let answers = [
            Server::json(400, r#"{"errors":["cannot parse {\"data\":{\"k\":\"CANARY\"}}"]}"#),
            Server::json(400, r#"{"errors":["check-and-set parameter did not match CANARY"]}"#),
            Server::json(500, r#"{"errors":[],"warnings":["CANARY"]}"#),
            Server::json(400, "CANARY"),
            Server::json(400, r#"{"errors":["not today"]}"#),
        ];
        let server = Server::start(&answers).await;
        let http = HttpSettings { address: server.address.clone(), max_retries: 0, ..HttpSettings::default() };
        let auth = Auth::Token(Zeroizing::new("token".to_owned()));
        let vault = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
        let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), "a");
        let mut said = Vec::new();
        for kind in [ErrorKind::BadRequest, ErrorKind::CheckAndSet, ErrorKind::Server, ErrorKind::BadRequest] {
            let error = vault.write(&path, &secret(r#"{"k":"CANARY"}"#), None).await.expect_err("a refusal");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
            said.push(error.message().to_owned());
        }
        assert_eq!(said[0], "the server answered 400 Bad Request; its words repeat the secret and are withheld");
        let error = vault.write(&path, &secret(r#"{"k":"CANARY"}"#), None).await.expect_err("a refusal");
        assert_eq!(error.message(), "not today");
    }

    #[test]
    fn a_write_carries_the_data_unchanged() {
        let data = r#"{"n":1.50}"#;
        assert_eq!(*write_body(data, None), *br#"{"data":{"n":1.50}}"#);
        assert_eq!(*write_body(data, Some(0)), *br#"{"options":{"cas":0},"data":{"n":1.50}}"#);
        for body in [write_body(data, None), write_body(data, Some(7))] {
            assert_eq!(body.capacity(), body.len());
        }
    }
}
