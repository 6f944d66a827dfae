//! One secret from close by: what the origin and a destination know of it, in what they differ, and, if somebody asks to
//! see it, one of its values.
//!
//! Metadata and names are read freely. A value is read by [`Engine::reveal`] and [`Engine::compare`] alone: one request a
//! side, in memory that is wiped, and noted in the log with who asked.

use jiff::Timestamp;

use super::verify::judge::{Holds, Verdict, judge};
use super::{Destination, DestinationName, Engine, EngineError, FindingKind, Side};
use crate::kv::{Fingerprint, FingerprintKey, SecretPath, SecretText};
use crate::state::{Ledger, LedgerEntry, StateError};
use crate::sync_info::{EngineKind, Insight};
use crate::vault::{ErrorKind, Metadata, Secret, VaultClient, VaultError};

/// What the origin knows of one secret, without its values.
#[derive(Debug, Clone)]
pub struct SecretDetail {
    /// Its metadata; `None`: its engine is KV version 1, which keeps none.
    pub metadata: Option<Metadata>,
    /// What vsync recorded of a secret of KV version 1: how many values it has seen there, and when it saw this one first.
    pub seen: Option<Insight>,
    /// The names of its keys; `None` where the server or the token does not give them.
    pub keys: Option<Vec<String>>,
}

/// A secret at a destination: what vsync knows of it, and what is there.
#[derive(Debug)]
pub struct CopyDetail {
    /// Where it lies there.
    pub path: SecretPath,
    /// What is recorded.
    pub record: Result<Record, StateError>,
    /// What the destination says; `None`: there is nothing, and never was.
    pub present: Result<Option<Metadata>, VaultError>,
}

/// What vsync recorded of a secret at a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The origin's insight that was copied last.
    pub copied: Option<Insight>,
    /// What vsync last did at that path.
    pub entry: Option<LedgerEntry>,
}

impl CopyDetail {
    /// The version at the destination that can be read; `None`: there is none, or nobody could tell.
    #[must_use]
    pub fn live_version(&self) -> Option<u64> {
        let metadata = self.present.as_ref().ok()?.as_ref()?;
        let info = metadata.key_info();
        info.live.then_some(info.version)
    }

    /// What is not as vsync left it. `None`: it is, or nothing can be said.
    #[must_use]
    pub fn finding(&self) -> Option<FindingKind> {
        let (Ok(record), Ok(_)) = (&self.record, &self.present) else { return None };
        let live = self.live_version();
        match (&record.entry, record.copied) {
            // a delete or an undo was cut off: what it left is not known
            (_, Some(copied)) if copied.is_in_doubt() => None,
            (Some(entry), _) => match judge(entry, live.map_or(Holds::Nothing, Holds::Live)) {
                Verdict::Wrong(kind, ..) => Some(kind),
                _ => None,
            },
            // nobody recorded which version was written, so any will do, but one there must be
            (None, Some(_)) => live.is_none().then_some(FindingKind::Gone),
            (None, None) => live.map(|_| FindingKind::Foreign),
        }
    }
}

/// In what a secret of the origin and its copy differ. Names no value.
#[derive(Debug)]
pub struct Difference {
    /// The origin's side.
    pub origin: Held,
    /// The destination's side.
    pub copy: Held,
    /// Every key of either side: the origin's in their order, then those that only the destination has.
    pub keys: Vec<KeyDifference>,
}

impl Difference {
    /// How many keys stand so.
    #[must_use]
    pub fn count(&self, state: KeyState) -> usize {
        self.keys.iter().filter(|key| key.state == state).count()
    }
}

/// One side of a [`Difference`].
#[derive(Debug)]
pub struct Held {
    /// Where the secret lies there.
    pub path: SecretPath,
    /// The version that was read, and when it was written; `None`: there is none that can be read.
    pub version: Option<(u64, Timestamp)>,
    /// The engine that has it. For KV version 1 version and time are what vsync gave it.
    pub kind: EngineKind,
    /// Its metadata; `None`: the server knows nothing of it, or keeps none.
    pub metadata: Result<Option<Metadata>, VaultError>,
}

/// How one key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDifference {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: KeyState,
}

/// How a key of the origin stands at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Both have the same value.
    Same,
    /// The values differ.
    Changed,
    /// The destination does not have it.
    OnlyAtOrigin,
    /// The origin does not have it.
    OnlyThere,
}

/// Why a secret cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The server did not give it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// No such destination, or no randomness.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The transforms lead out of the destination's mounts.
    #[error("{path}: the transforms send it to {target}, which is in none of the mounts of {destination}")]
    NoWay {
        /// The origin's secret.
        path: SecretPath,
        /// Where it would go.
        target: String,
        /// The destination.
        destination: DestinationName,
    },
    /// The secret has no such key (any more).
    #[error("{path} has no key \"{key}\" (any more)")]
    NoSuchKey {
        /// The secret.
        path: SecretPath,
        /// The key.
        key: String,
    },
    /// What the server holds is no JSON object.
    #[error("{path}: its data is no JSON object")]
    NotAnObject {
        /// The secret.
        path: SecretPath,
    },
}

impl Engine {
    /// The origin's metadata of one secret and the names of its keys. For these a value of KV version 1 has to be read: it
    /// is wiped at once.
    ///
    /// # Errors
    /// [`VaultError`] if there is no metadata to be had.
    pub async fn describe(&self, path: &SecretPath) -> Result<SecretDetail, VaultError> {
        let vault = &self.origin().vault;
        if self.origin_reader().kind(path.mount()).await == EngineKind::KvV1 {
            let keys = vault.read_v1(path).await?.key_names();
            return Ok(SecretDetail { metadata: None, seen: self.watchbook().insight(path), keys });
        }
        let (metadata, keys) = tokio::join!(vault.metadata(path), vault.key_names(path));
        Ok(SecretDetail { metadata: Some(metadata?), seen: None, keys: keys.ok() })
    }

    /// What is recorded of one of the origin's secrets at a destination, and what is there now. By metadata alone.
    ///
    /// # Errors
    /// [`InspectError::Engine`], [`InspectError::NoWay`]. What could not be read is in [`CopyDetail::record`] and
    /// [`CopyDetail::present`].
    pub async fn describe_at(&self, name: &DestinationName, path: &SecretPath) -> Result<CopyDetail, InspectError> {
        let destination = self.find(name)?;
        let target = target(destination, path)?;
        let (record, present) =
            tokio::join!(self.record(destination, path, &target), present(&destination.vault, &target));
        Ok(CopyDetail { path: target, record, present })
    }

    async fn record(
        &self,
        destination: &Destination,
        path: &SecretPath,
        target: &SecretPath,
    ) -> Result<Record, StateError> {
        let state = self.destination_state(destination);
        let copied = state.load_insight(path).await?;
        let mut ledger = Ledger::open(&state).await?;
        ledger.load([target]).await?;
        // what a vsync without a ledger has copied since says nothing of the version there
        let entry = ledger.get(target).filter(|entry| copied.is_none_or(|copied| !entry.is_behind(&copied)));
        Ok(Record { copied, entry: entry.cloned() })
    }

    /// One value of one of the origin's secrets, read at the origin or from its copy, by one request. Who asked for what
    /// is noted in the log, and nothing of the value.
    ///
    /// # Errors
    /// [`InspectError`]; it never holds a value.
    pub async fn reveal(&self, side: &Side, path: &SecretPath, key: &str) -> Result<SecretText, InspectError> {
        let (destination, place) = match side {
            Side::Origin => (None, path.clone()),
            Side::Destination(name) => {
                let destination = self.find(name)?;
                (Some(destination), target(destination, path)?)
            }
        };
        self.note("a value is read to be shown on screen", side, &place, key);
        let data = match destination {
            None => self.origin_reader().read_data(&place).await?,
            Some(destination) => destination.vault.read(&place).await?.data,
        };
        if data.key_names().is_none() {
            return Err(InspectError::NotAnObject { path: place });
        }
        data.value_of(key).ok_or_else(|| InspectError::NoSuchKey { path: place, key: key.to_owned() })
    }

    /// Notes that a value that had been shown was put into somebody's clipboard.
    pub fn note_copied(&self, side: &Side, path: &SecretPath, key: &str) {
        self.note("a value is copied to the clipboard", side, path, key);
    }

    fn note(&self, what: &'static str, side: &Side, path: &SecretPath, key: &str) {
        let operator = self.operator();
        let side = match side {
            Side::Origin => "origin",
            Side::Destination(name) => name.as_str(),
        };
        // a warning, so that no usual level leaves it out; texts, so that no name can begin a line of its own
        let path = path.to_string();
        tracing::warn!(operator = operator.name, host = operator.host, side, path, key, "{what}");
    }

    /// In what one of the origin's secrets and its copy at a destination differ, key by key. Both are read, which their
    /// audit logs tell; of the values only fingerprints are kept, for as long as it takes to compare them.
    ///
    /// # Errors
    /// [`InspectError`] if either side cannot be read. That there is nothing to be read is none.
    pub async fn compare(&self, name: &DestinationName, path: &SecretPath) -> Result<Difference, InspectError> {
        let destination = self.find(name)?;
        let target = target(destination, path)?;
        let key = FingerprintKey::random().map_err(|error| EngineError::NoRandomness(error.to_string()))?;
        self.note("values are compared", &Side::Destination(name.clone()), &target, "*");
        let reader = self.origin_reader();
        let from_origin = async {
            let is_v1 = reader.kind(path.mount()).await == EngineKind::KvV1;
            let metadata = async { if is_v1 { Ok(None) } else { present(reader.vault(), path).await } };
            let (answer, metadata) = tokio::join!(reader.read(path), metadata);
            hold(path, &key, answer, metadata)
        };
        let vault = &destination.vault;
        let from_copy = async {
            let (answer, metadata) = tokio::join!(vault.read(&target), present(vault, &target));
            hold(&target, &key, answer, metadata)
        };
        let (origin, copy) = tokio::join!(from_origin, from_copy);
        let ((origin, mut ours), (copy, theirs)) = (origin?, copy?);
        let found = |name: &str| theirs.iter().find(|(known, _)| known == name).map(|(_, fingerprint)| *fingerprint);
        let mut keys: Vec<KeyDifference> = Vec::with_capacity(ours.len());
        for (name, fingerprint) in ours.drain(..) {
            let state = match found(&name) {
                None => KeyState::OnlyAtOrigin,
                Some(other) if other == fingerprint => KeyState::Same,
                Some(_) => KeyState::Changed,
            };
            keys.push(KeyDifference { name, state });
        }
        for (name, _) in theirs {
            if !keys.iter().any(|key| key.name == name) {
                keys.push(KeyDifference { name, state: KeyState::OnlyThere });
            }
        }
        Ok(Difference { origin, copy, keys })
    }
}

fn target(destination: &Destination, path: &SecretPath) -> Result<SecretPath, InspectError> {
    let target = destination.transforms.apply(path).data_path;
    let known = |target: &SecretPath| destination.mounts.iter().any(|mount| mount.as_str() == target.mount());
    match SecretPath::parse_data(&target, &destination.mounts) {
        Ok(target) if known(&target) => Ok(target),
        _ => Err(InspectError::NoWay { path: path.clone(), target, destination: destination.name.clone() }),
    }
}

async fn present(vault: &VaultClient, path: &SecretPath) -> Result<Option<Metadata>, VaultError> {
    match vault.metadata(path).await {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

type Fingerprints = Vec<(String, Fingerprint)>;

/// Takes in one side. The values are gone when this returns.
fn hold(
    path: &SecretPath,
    key: &FingerprintKey,
    answer: Result<Secret, VaultError>,
    metadata: Result<Option<Metadata>, VaultError>,
) -> Result<(Held, Fingerprints), InspectError> {
    let kind = answer.as_ref().map_or(EngineKind::KvV2, |secret| secret.kind);
    let (version, keys) = match answer {
        Ok(Secret { data, version, created_time, .. }) => {
            let keys = key.of_members(&data).ok_or_else(|| InspectError::NotAnObject { path: path.clone() })?;
            (Some((version, created_time)), keys)
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => (None, Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok((Held { path: path.clone(), version, kind, metadata }, keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{destination, insight};
    use crate::kv::Mount;

    fn entry(version: u64, deleted: bool) -> LedgerEntry {
        LedgerEntry {
            origin: path("a"),
            insight: insight(1),
            version,
            deleted,
            awaits_removal: false,
            foreign: None,
            digest: None,
            at: Timestamp::now(),
        }
    }

    fn path(name: &str) -> SecretPath {
        SecretPath::new(&Mount::parse("secret").expect("a mount"), name)
    }

    fn metadata(version: u64) -> Metadata {
        let info =
            crate::vault::VersionInfo { created_time: Timestamp::UNIX_EPOCH, deletion_time: None, destroyed: false };
        Metadata {
            current_version: version,
            oldest_version: 0,
            created_time: Timestamp::UNIX_EPOCH,
            updated_time: Timestamp::UNIX_EPOCH.into(),
            metadata_version: None,
            max_versions: 0,
            cas_required: false,
            delete_version_after: "0s".into(),
            custom_metadata: std::collections::BTreeMap::new(),
            versions: [(version, info)].into(),
        }
    }

    #[test]
    fn what_is_there_is_judged_by_what_was_left() {
        let finding = |entry: Option<LedgerEntry>, copied: Option<u64>, present: Option<u64>| {
            let record = Record { copied: copied.map(insight), entry };
            CopyDetail { path: path("a"), record: Ok(record), present: Ok(present.map(metadata)) }.finding()
        };
        assert_eq!(finding(Some(entry(2, false)), Some(1), Some(2)), None);
        assert_eq!(finding(Some(entry(2, false)), Some(1), Some(3)), Some(FindingKind::Changed));
        assert_eq!(finding(Some(entry(2, false)), Some(1), None), Some(FindingKind::Gone));
        assert_eq!(finding(Some(entry(2, true)), None, Some(2)), Some(FindingKind::CameBack));
        assert_eq!(finding(None, Some(1), Some(7)), None, "copied without a ledger");
        assert_eq!(finding(None, Some(1), None), Some(FindingKind::Gone));
        for entry in [None, Some(entry(2, false))] {
            let in_doubt = Record { copied: Some(Insight::IN_DOUBT), entry };
            let in_doubt = CopyDetail { path: path("a"), record: Ok(in_doubt), present: Ok(None) };
            assert_eq!(in_doubt.finding(), None, "a delete or an undo was cut off");
        }
        assert_eq!(finding(None, None, Some(7)), Some(FindingKind::Foreign));
        assert_eq!(finding(None, None, None), None);
    }

    #[test]
    fn a_way_out_of_the_mounts_is_none() {
        let mut there = destination("there", &Mount::parse("other").expect("a mount"));
        assert!(matches!(target(&there, &path("a")), Err(InspectError::NoWay { .. })));
        there.mounts = vec![Mount::parse("secret").expect("a mount")];
        assert_eq!(target(&there, &path("a")).expect("a way"), path("a"));
    }
}
