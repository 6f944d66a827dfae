//! What a Vault's mounts hold now, with completeness per subtree: the origin's to plan, a destination's to verify.
//!
//! Each mount is walked folder by folder, many folders at once, each as far up this ladder as server and token allow:
//!
//! ```text
//! SCAN detailed-metadata    a whole subtree in one answer     OpenBao, capability `scan`
//! LIST detailed-metadata    a folder with its metadata        OpenBao
//! LIST metadata + GET each  a folder, then secret by secret   HashiCorp Vault, OpenBao
//! ```
//!
//! Mounts of KV version 1 have no metadata: `kv1` walks those.
//!
//! A mount's root is always listed, and its folders are scanned one by one: answers stay bounded, arrive early and are
//! asked for side by side. What fails on every rung is unknown, and only that.

mod kv1;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::watchbook::Watchbook;
use super::{Listing, Origin};
use crate::kv::{MetadataDigest, Mount, PathFilter, SecretPath};
use crate::sync_info::{Insight, SyncInfo};
use crate::vault::{ErrorKind, KeyInfo, VaultClient, VaultError, Wanted};

/// Names per page of a detailed listing.
const PAGE: u32 = 1000;
/// After this many failures in a row because the server does not answer, it is not asked any more.
const GIVE_UP_AFTER: usize = 3;

/// A part of a Vault that could not be listed or read. Nothing is known of what lies in it, so nothing in it is deleted
/// anywhere, or called missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownSubtree {
    /// A mount or folder (`secret/team/`, with a slash at its end) or one secret (`secret/team/app`).
    pub prefix: String,
    /// Why it could not be read.
    pub reason: String,
}

impl UnknownSubtree {
    /// Whether `path`, in the form people use, lies in it.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if self.prefix.ends_with('/') { path.starts_with(&self.prefix) } else { path == self.prefix }
    }
}

/// What a Vault holds.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The live secrets that take part.
    pub secrets: SyncInfo,
    /// What tells the metadata of each of them from another state of it, if a destination copies more than values.
    pub digests: HashMap<SecretPath, MetadataDigest>,
    /// Secrets that the globs leave out, in order. Folders that are left out as a whole are not listed.
    pub excluded: Vec<SecretPath>,
    /// What could not be listed or read.
    pub unknown: Vec<UnknownSubtree>,
    /// How many secrets were passed over because their current version is deleted or destroyed.
    pub deleted: u64,
    /// It is what the origin's sync info says, not what the origin itself answered.
    pub recorded: bool,
}

impl Inventory {
    /// One in which nothing was found.
    #[must_use]
    pub fn empty(buckets: usize) -> Self {
        Self {
            secrets: SyncInfo::new(buckets),
            digests: HashMap::new(),
            excluded: Vec::new(),
            unknown: Vec::new(),
            deleted: 0,
            recorded: false,
        }
    }

    /// Whether the server was asked about this path and answered: what is not in [`Inventory::secrets`] then is not
    /// there.
    #[must_use]
    pub fn is_known(&self, path: &SecretPath) -> bool {
        if self.unknown.is_empty() {
            return true;
        }
        let path = path.to_string();
        !self.unknown.iter().any(|subtree| subtree.covers(&path))
    }

    /// Whether all of it could be read.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.unknown.is_empty()
    }
}

/// A piece of the inventory, as it arrives.
#[derive(Debug, Clone)]
pub enum InventoryUpdate {
    /// Live secrets that take part.
    Found(Vec<(SecretPath, Insight)>),
    /// Secrets that the globs leave out.
    Excluded(Vec<SecretPath>),
    /// Something could not be listed or read.
    Unknown(UnknownSubtree),
}

/// What is to be listed.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The server.
    pub(super) vault: &'a VaultClient,
    /// Its mounts.
    pub(super) mounts: &'a [Mount],
    /// Which of its secrets are of interest.
    pub(super) filter: &'a PathFilter,
    /// How many requests may be under way at once.
    pub(super) num_workers: usize,
    /// Which ways of listing are tried.
    pub(super) listing: Listing,
    /// What is asked of each secret.
    pub(super) wanted: Wanted,
    /// What tells whether secrets of KV version 1 have changed; `None`: all mounts must be of version 2.
    pub(super) kv1: Option<kv1::Watch<'a>>,
}

impl<'a> Search<'a> {
    /// All of the origin that takes part.
    pub(super) fn of(origin: &'a Origin, wanted: Wanted, book: &'a Arc<Watchbook>) -> Self {
        let Origin { vault, mounts, filter, num_workers, listing, kv_versions, .. } = origin;
        let kv1 = Some(kv1::Watch { book, configured: kv_versions });
        Self { vault, mounts, filter, num_workers: *num_workers, listing: *listing, wanted, kv1 }
    }
}

/// Walks all mounts in which secrets may take part. Never fails: what cannot be read is [`Inventory::unknown`].
pub(super) async fn survey(
    search: &Search<'_>,
    buckets: usize,
    updates: Option<&mpsc::UnboundedSender<InventoryUpdate>>,
) -> Inventory {
    let opened = Arc::default();
    // a token need not see a mount that the globs leave out as a whole
    let mounts = search.mounts.iter().filter(|mount| search.filter.may_admit_below(mount.as_str()));
    let walks: Vec<Arc<Walk>> = mounts.map(|mount| Arc::new(Walk::new(search, mount, &opened))).collect();
    let mut jobs: VecDeque<Job> =
        walks.iter().map(|walk| Job { walk: Arc::clone(walk), place: Place::Folder(String::new()) }).collect();
    let mut running = JoinSet::new();
    let mut inventory = Inventory::empty(buckets);
    loop {
        // the newest jobs first: going deep before going wide keeps the queue short
        while running.len() < search.num_workers.max(1) {
            let Some(job) = jobs.pop_back() else { break };
            running.spawn(job.run());
        }
        let Some(ended) = running.join_next().await else { break };
        match ended {
            Ok(mut findings) => {
                jobs.extend(findings.jobs.drain(..));
                findings.add_to(&mut inventory, updates);
            }
            Err(error) => {
                // A walk that panicked has told nothing: without knowing where, nothing of the server is known.
                tracing::error!(%error, "listing {} failed unexpectedly", search.vault.address());
                for mount in search.mounts {
                    let subtree =
                        UnknownSubtree { prefix: mount.to_string(), reason: format!("internal error: {error}") };
                    inventory.unknown.push(subtree);
                }
            }
        }
    }
    inventory.excluded.sort_unstable();
    inventory.unknown.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix));
    inventory
}

/// What is known of one mount while it is walked.
#[derive(Debug)]
struct Walk {
    vault: VaultClient,
    mount: Mount,
    filter: PathFilter,
    wanted: Wanted,
    /// The lowest rung allowed by configuration.
    last_rung: u8,
    /// The highest rung that is still worth trying.
    rung: AtomicU8,
    /// The highest rung that has worked; it is tried for every folder, whatever single folders refuse.
    proven: AtomicU8,
    /// Failures in a row because the server does not answer.
    unanswered: AtomicUsize,
    kv1: kv1::State,
}

const SCAN: u8 = 0;
const DETAILED: u8 = 1;
const PLAIN: u8 = 2;

#[derive(Debug)]
struct Job {
    walk: Arc<Walk>,
    place: Place,
}

/// What to look at, relative to the mount.
#[derive(Debug)]
enum Place {
    /// A folder: empty for the mount itself, else with a slash at its end.
    Folder(String),
    /// A secret that was listed without its metadata.
    Secret(String),
}

/// What one job found.
#[derive(Debug, Default)]
struct Findings {
    found: Vec<(SecretPath, Insight)>,
    digests: Vec<(SecretPath, MetadataDigest)>,
    excluded: Vec<SecretPath>,
    deleted: u64,
    unknown: Option<UnknownSubtree>,
    jobs: Vec<Job>,
}

impl Findings {
    fn is_empty(&self) -> bool {
        self.found.is_empty()
            && self.excluded.is_empty()
            && self.deleted == 0
            && self.jobs.is_empty()
            && self.unknown.is_none()
    }

    fn add_to(self, inventory: &mut Inventory, updates: Option<&mpsc::UnboundedSender<InventoryUpdate>>) {
        if let Some(updates) = updates {
            // a receiver that has gone away has lost interest; the survey goes on
            if !self.found.is_empty() {
                let _ = updates.send(InventoryUpdate::Found(self.found.clone()));
            }
            if !self.excluded.is_empty() {
                let _ = updates.send(InventoryUpdate::Excluded(self.excluded.clone()));
            }
            if let Some(subtree) = &self.unknown {
                let _ = updates.send(InventoryUpdate::Unknown(subtree.clone()));
            }
        }
        for (path, insight) in self.found {
            inventory.secrets.insert(path, insight);
        }
        inventory.digests.extend(self.digests);
        inventory.excluded.extend(self.excluded);
        inventory.deleted += self.deleted;
        inventory.unknown.extend(self.unknown);
    }
}

impl Walk {
    fn new(search: &Search<'_>, mount: &Mount, opened: &kv1::Opened) -> Self {
        let (first, last_rung) = match search.listing {
            Listing::Auto => (SCAN, PLAIN),
            Listing::Scan => (SCAN, SCAN),
            Listing::Detailed => (DETAILED, DETAILED),
            Listing::Plain => (PLAIN, PLAIN),
        };
        Self {
            vault: search.vault.clone(),
            mount: mount.clone(),
            filter: search.filter.clone(),
            wanted: search.wanted,
            last_rung,
            rung: AtomicU8::new(first),
            proven: AtomicU8::new(u8::MAX),
            unanswered: AtomicUsize::new(0),
            kv1: kv1::State::new(mount, search.kv1.as_ref(), opened),
        }
    }

    /// The rungs to try for a folder, best first.
    fn rungs(&self, folder: &str) -> Vec<u8> {
        let first = self.rung.load(Ordering::Relaxed);
        let mut rungs: Vec<u8> = (first..=self.last_rung).collect();
        if folder.is_empty() && rungs.starts_with(&[SCAN, DETAILED]) {
            rungs.swap(0, 1);
        }
        rungs
    }

    /// This way of listing is refused: unless it has worked elsewhere in the mount, it is not tried again.
    fn refused(&self, rung: u8) {
        if self.proven.load(Ordering::Relaxed) > rung && self.rung.load(Ordering::Relaxed) == rung {
            self.rung.store((rung + 1).min(self.last_rung), Ordering::Relaxed);
        }
    }

    fn worked(&self, rung: u8) {
        self.proven.fetch_min(rung, Ordering::Relaxed);
        self.unanswered.store(0, Ordering::Relaxed);
    }

    /// Counts failures that tell of the server, not of what was asked for.
    fn failed(&self, kind: ErrorKind) {
        if matches!(kind, ErrorKind::Network | ErrorKind::Timeout | ErrorKind::Unavailable | ErrorKind::NoToken) {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn display(&self, place: &Place) -> String {
        let (Place::Folder(name) | Place::Secret(name)) = place;
        format!("{}{name}", self.mount)
    }
}

impl Job {
    async fn run(self) -> Findings {
        let mut findings = Findings::default();
        let outcome = if self.walk.unanswered.load(Ordering::Relaxed) >= GIVE_UP_AFTER {
            Err("not asked, because the server did not answer before".to_owned())
        } else {
            match &self.place {
                Place::Folder(folder) => self.folder(folder, &mut findings).await,
                Place::Secret(name) => self.secret(name, &mut findings).await,
            }
        };
        if let Err(reason) = outcome {
            // what pages before the failing one told is true all the same
            findings.unknown = Some(UnknownSubtree { prefix: self.walk.display(&self.place), reason });
        }
        findings
    }

    async fn folder(&self, folder: &str, findings: &mut Findings) -> Result<(), String> {
        let walk = &self.walk;
        if folder.is_empty() {
            self.find_out_kind().await?;
        }
        if walk.kv1.is_it() {
            return self.folder_v1(folder, findings).await;
        }
        let mut reason = String::new();
        for rung in walk.rungs(folder) {
            *findings = Findings::default();
            let outcome = match rung {
                SCAN => self.scan(folder, findings).await,
                DETAILED => self.list_detailed(folder, findings).await,
                _ => self.list_plain(folder, findings).await,
            };
            let Err(error) = outcome else {
                walk.worked(rung);
                return if folder.is_empty() && findings.is_empty() { self.confirm_engine().await } else { Ok(()) };
            };
            reason = error.to_string();
            match error.kind() {
                // This way is closed, here or altogether; a lower one may be open.
                ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::Unsupported => walk.refused(rung),
                // Too much for one answer, perhaps: smaller ones may pass.
                ErrorKind::Server | ErrorKind::Protocol | ErrorKind::BadRequest => {}
                // OpenBao 2.7.2 on raft storage can break off a scan while secrets are written; it lists all the same.
                ErrorKind::Timeout | ErrorKind::Network if rung == SCAN => {}
                kind => {
                    walk.failed(kind);
                    break;
                }
            }
        }
        Err(reason)
    }

    /// An engine of KV version 1 answers as an empty one of version 2 does. What lists as empty must be the right engine.
    async fn confirm_engine(&self) -> Result<(), String> {
        match self.walk.vault.mount_info(&self.walk.mount).await {
            Ok(info) if info.engine == "kv" && info.kv_version == Some(2) => Ok(()),
            Ok(info) => Err(format!("it is {info}, and vsync copies KV version 2")),
            Err(error) => Err(format!("it lists as empty, and whether it is KV version 2 is not known: {error}")),
        }
    }

    async fn scan(&self, folder: &str, findings: &mut Findings) -> Result<(), VaultError> {
        let scan = self.walk.vault.scan(&self.walk.mount, folder, self.walk.wanted).await?;
        for (name, info) in scan.secrets {
            self.entry(folder, &name, info, findings);
        }
        Ok(())
    }

    async fn list_detailed(&self, folder: &str, findings: &mut Findings) -> Result<(), VaultError> {
        let mut after: Option<String> = None;
        let Walk { vault, mount, wanted, .. } = &*self.walk;
        loop {
            let mut page = vault.list_detailed(mount, folder, after.as_deref(), PAGE, *wanted).await?;
            // A server that ignores `limit` sends all at once, one that ignores `after` the same page again.
            let more = page.keys.len() == PAGE as usize && page.keys.first() > after.as_ref();
            let last = page.keys.last().cloned();
            for name in page.keys {
                let info = page.infos.remove(&name);
                self.entry(folder, &name, info, findings);
            }
            if !more {
                return Ok(());
            }
            after = last;
        }
    }

    async fn list_plain(&self, folder: &str, findings: &mut Findings) -> Result<(), VaultError> {
        for name in self.walk.vault.list(&self.walk.mount, folder).await? {
            self.entry(folder, &name, None, findings);
        }
        Ok(())
    }

    async fn secret(&self, name: &str, findings: &mut Findings) -> Result<(), String> {
        if self.walk.kv1.is_it() {
            return self.secret_v1(name, findings).await;
        }
        match self.walk.vault.metadata(&SecretPath::new(&self.walk.mount, name)).await {
            Ok(metadata) => {
                self.walk.unanswered.store(0, Ordering::Relaxed);
                let digest = (self.walk.wanted == Wanted::Digest).then(|| Box::new(metadata.digest()));
                self.listed(name, Some(KeyInfo { digest, ..metadata.key_info() }), findings);
                Ok(())
            }
            // deleted since it was listed
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                self.walk.failed(error.kind());
                Err(error.to_string())
            }
        }
    }

    /// Takes in one entry of a folder's listing. One without a name cannot be asked about, so what the folder holds is not
    /// known.
    fn entry(&self, folder: &str, name: &str, info: Option<KeyInfo>, findings: &mut Findings) {
        if name.trim_end_matches('/').is_empty() {
            let reason = "its listing has an entry without a name".to_owned();
            findings.unknown = Some(UnknownSubtree { prefix: format!("{}{folder}", self.walk.mount), reason });
            return;
        }
        self.listed(&format!("{folder}{name}"), info, findings);
    }

    /// Takes in one name of a listing: a folder (with a slash at its end) to look into, or a secret.
    fn listed(&self, name: &str, info: Option<KeyInfo>, findings: &mut Findings) {
        let walk = &self.walk;
        let job = |place| Job { walk: Arc::clone(walk), place };
        if name.ends_with('/') {
            if walk.filter.may_admit_below(&format!("{}{name}", walk.mount)) {
                findings.jobs.push(job(Place::Folder(name.to_owned())));
            }
            return;
        }
        let path = SecretPath::new(&walk.mount, name);
        if !walk.filter.admits(&path) {
            findings.excluded.push(path);
            return;
        }
        match info {
            Some(info) if info.live => {
                if let Some(digest) = &info.digest {
                    findings.digests.push((path.clone(), **digest));
                }
                findings.found.push((path, info.insight()));
            }
            Some(_) => findings.deleted += 1,
            None => findings.jobs.push(job(Place::Secret(name.to_owned()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_covers_a_folder_or_one_secret() {
        let folder = UnknownSubtree { prefix: "secret/a/".to_owned(), reason: String::new() };
        assert!(folder.covers("secret/a/x"));
        assert!(!folder.covers("secret/a"), "a secret may have the name of a folder beside it");
        assert!(!folder.covers("secret/ab"));
        let secret = UnknownSubtree { prefix: "secret/a".to_owned(), reason: String::new() };
        assert!(secret.covers("secret/a"));
        assert!(!secret.covers("secret/a/x"));
    }
}
