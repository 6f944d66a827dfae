//! One KV v2 mount in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// A mount: name → secret.
pub(super) type Mount = BTreeMap<String, Entry>;

/// A secret with all its versions. Clones share the data.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    versions: Vec<Version>,
    custom_metadata: Option<BTreeMap<String, String>>,
    /// Writes must name the version they replace.
    cas_required: bool,
    /// How many versions are kept; 0: as the mount says.
    max_versions: u64,
}

#[derive(Debug, Clone)]
struct Version {
    data: Arc<RawValue>,
    created: Timestamp,
    deleted: Option<Timestamp>,
    /// Its data is gone for good.
    destroyed: bool,
}

/// Why a write was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CasMismatch;

impl Entry {
    pub(super) fn new(custom_metadata: Option<BTreeMap<String, String>>) -> Self {
        Self { versions: Vec::new(), custom_metadata, cas_required: false, max_versions: 0 }
    }

    /// The same with settings of its own.
    pub(super) fn with_settings(self, cas_required: bool, max_versions: u64) -> Self {
        Self { cas_required, max_versions, ..self }
    }

    /// Soft-deletes an older version.
    pub(super) fn delete_version(&mut self, version: u64, at: Timestamp) {
        if let Some(version) = self.get_mut(version) {
            version.deleted = Some(at);
        }
    }

    /// Takes a version's soft deletion back.
    pub(super) fn undelete(&mut self, version: u64) {
        if let Some(version) = self.get_mut(version) {
            version.deleted = None;
        }
    }

    /// Destroys a version.
    pub(super) fn destroy(&mut self, version: u64) {
        if let Some(version) = self.get_mut(version) {
            version.destroyed = true;
        }
    }

    /// The newest version's data.
    pub(super) fn data(&self) -> Option<&RawValue> {
        self.versions.last().map(|version| &*version.data)
    }

    /// Adds a version.
    pub(super) fn push(&mut self, data: Arc<RawValue>, at: Timestamp) {
        self.versions.push(Version { data, created: at, deleted: None, destroyed: false });
    }

    /// Soft-deletes the newest version.
    pub(super) fn delete(&mut self, at: Timestamp) {
        if let Some(version) = self.versions.last_mut() {
            version.deleted.get_or_insert(at);
        }
    }

    /// How many versions there are; the newest has this number.
    pub(super) fn version(&self) -> u64 {
        self.versions.len() as u64
    }

    /// Whether the newest version can be read.
    pub(super) fn is_live(&self) -> bool {
        self.versions.last().is_some_and(Version::is_live)
    }

    /// When a version was written.
    pub(super) fn created(&self, version: u64) -> Option<Timestamp> {
        Some(self.get(version)?.created)
    }

    /// A version as another server holds it after one copy.
    pub(super) fn copy_of(&self, version: u64, at: Timestamp) -> Option<Self> {
        let mut copy = Self::new(None);
        copy.push(Arc::clone(&self.get(version)?.data), at);
        Some(copy)
    }

    /// What `data/` and `subkeys/` answer for a version, the newest if none is asked for: its data unless it is deleted,
    /// and its metadata.
    pub(super) fn read(&self, version: Option<u64>) -> Option<(Option<&RawValue>, VersionMetadata<'_>)> {
        let number = version.filter(|number| *number > 0).unwrap_or_else(|| self.version());
        let found = self.get(number)?;
        let metadata = VersionMetadata {
            created_time: found.created,
            custom_metadata: self.custom_metadata.as_ref(),
            deletion_time: Deletion(found.deleted),
            destroyed: found.destroyed,
            version: number,
        };
        Some((found.is_live().then_some(&*found.data), metadata))
    }

    /// What `metadata/` answers.
    pub(super) fn metadata(&self) -> EntryMetadata<'_> {
        let time = |version: Option<&Version>| version.map_or(Timestamp::UNIX_EPOCH, |version| version.created);
        EntryMetadata {
            cas_required: self.cas_required,
            created_time: time(self.versions.first()),
            current_version: self.version(),
            custom_metadata: self.custom_metadata.as_ref(),
            delete_version_after: "0s",
            max_versions: self.max_versions,
            oldest_version: 0,
            updated_time: time(self.versions.last()),
            versions: (1..)
                .zip(&self.versions)
                .map(|(number, version)| {
                    let deletion_time = Deletion(version.deleted);
                    let destroyed = version.destroyed;
                    (number, KnownVersion { created_time: version.created, deletion_time, destroyed })
                })
                .collect(),
        }
    }

    fn get_mut(&mut self, version: u64) -> Option<&mut Version> {
        self.versions.get_mut(usize::try_from(version).ok()?.checked_sub(1)?)
    }

    fn get(&self, version: u64) -> Option<&Version> {
        self.versions.get(usize::try_from(version).ok()?.checked_sub(1)?)
    }
}

impl Version {
    fn is_live(&self) -> bool {
        self.deleted.is_none() && !self.destroyed
    }
}

/// Writes a new version, if `cas` allows it.
pub(super) fn write(mount: &mut Mount, name: &str, data: Box<RawValue>, cas: Option<u64>) -> Result<(), CasMismatch> {
    let present = mount.get(name).map_or(0, Entry::version);
    if cas.is_some_and(|expected| expected != present) {
        return Err(CasMismatch);
    }
    let entry = mount.entry(name.to_owned()).or_insert_with(|| Entry::new(None));
    entry.push(data.into(), Timestamp::now());
    Ok(())
}

/// The names right below `folder` (empty, or with a slash at its end): folders with a slash, secrets with their entry.
pub(super) fn children<'a>(mount: &'a Mount, folder: &str) -> BTreeMap<&'a str, Option<&'a Entry>> {
    below(mount, folder)
        .map(|(rest, entry)| match rest.find('/') {
            Some(slash) => (&rest[..=slash], None),
            None => (rest, Some(entry)),
        })
        .collect()
}

/// Everything below `folder`, with names relative to it.
pub(super) fn below<'a>(mount: &'a Mount, folder: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
    mount
        .range(folder.to_owned()..)
        .map_while(move |(name, entry)| Some((name.strip_prefix(folder)?, entry)))
        .filter(|(rest, _)| !rest.is_empty())
        .collect::<Vec<_>>()
        .into_iter()
}

/// The API writes an empty text for a version that is not deleted.
#[derive(Debug, Clone, Copy)]
struct Deletion(Option<Timestamp>);

impl Serialize for Deletion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(time) => serializer.collect_str(time),
            None => serializer.serialize_str(""),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct VersionMetadata<'a> {
    created_time: Timestamp,
    custom_metadata: Option<&'a BTreeMap<String, String>>,
    deletion_time: Deletion,
    destroyed: bool,
    version: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct EntryMetadata<'a> {
    cas_required: bool,
    created_time: Timestamp,
    current_version: u64,
    custom_metadata: Option<&'a BTreeMap<String, String>>,
    delete_version_after: &'static str,
    max_versions: u64,
    oldest_version: u64,
    updated_time: Timestamp,
    versions: BTreeMap<u64, KnownVersion>,
}

#[derive(Debug, Serialize)]
struct KnownVersion {
    created_time: Timestamp,
    deletion_time: Deletion,
    destroyed: bool,
}
