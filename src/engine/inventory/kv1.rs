//! Walking a mount of KV version 1: every folder is listed, and then every value read, for nothing else tells whether a
//! secret has changed. Of a value a keyed fingerprint is made, and it is wiped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::OnceCell;

use super::{Findings, Job};
use crate::engine::binding::PATIENCE;
use crate::engine::watchbook::Watchbook;
use crate::kv::{Mount, SecretPath};
use crate::sync_info::EngineKind;
use crate::vault::{ErrorKind, MountInfo};

/// What tells which mounts are of KV version 1, and what of theirs has changed.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Watch<'a> {
    pub(in crate::engine) book: &'a Arc<Watchbook>,
    /// The versions that the configuration says.
    pub(in crate::engine) configured: &'a BTreeMap<Mount, EngineKind>,
}

/// Whether the book is open, once per survey; if not, why.
pub(super) type Opened = Arc<OnceCell<Result<(), String>>>;

/// What is known of one mount in this regard.
#[derive(Debug)]
pub(super) struct State {
    book: Option<Arc<Watchbook>>,
    configured: Option<EngineKind>,
    kind: OnceLock<EngineKind>,
    /// Whether the server has said so.
    confirmed: AtomicBool,
    opened: Opened,
}

impl State {
    pub(super) fn new(mount: &Mount, watch: Option<&Watch<'_>>, opened: &Opened) -> Self {
        Self {
            book: watch.map(|watch| Arc::clone(watch.book)),
            configured: watch.and_then(|watch| watch.configured.get(mount).copied()),
            kind: OnceLock::new(),
            confirmed: AtomicBool::new(false),
            opened: Arc::clone(opened),
        }
    }

    /// Whether the mount is of KV version 1.
    pub(super) fn is_it(&self) -> bool {
        self.kind.get() == Some(&EngineKind::KvV1)
    }
}

/// The version as the configuration has it.
fn number(kind: EngineKind) -> u8 {
    match kind {
        EngineKind::KvV1 => 1,
        EngineKind::KvV2 => 2,
    }
}

impl Job {
    /// Finds out which engine the mount is, before anything is asked of it: each answers what is meant for the other as
    /// if it were empty.
    pub(super) async fn find_out_kind(&self) -> Result<(), String> {
        let walk = &self.walk;
        let state = &walk.kv1;
        let Some(book) = &state.book else { return Ok(()) };
        let answer = match tokio::time::timeout(PATIENCE, walk.vault.mount_info(&walk.mount)).await {
            Ok(Ok(info)) => Some(info),
            Ok(Err(error)) => {
                tracing::debug!(%error, mount = walk.mount.as_str(), "which KV engine it is could not be found out");
                None
            }
            Err(_) => None,
        };
        let kind = self.judge(answer.as_ref())?;
        state.confirmed.store(answer.is_some(), Ordering::Relaxed);
        if answer.is_some() || kind == EngineKind::KvV1 {
            book.note_kind(walk.mount.as_str(), kind);
        }
        if kind == EngineKind::KvV1 {
            let open = async || book.open().await.map_err(|error| error.to_string());
            let opened = state.opened.get_or_init(open).await;
            opened.clone().map_err(|reason| {
                format!("it is KV version 1, and what its secrets held before cannot be read: {reason}")
            })?;
            if book.is_first(&walk.mount) {
                tracing::info!(
                    "{} is KV version 1: whenever the origin is listed, each of its secrets is read to know whether it has changed, and stands in the audit log",
                    walk.mount
                );
            }
        }
        let _ = state.kind.set(kind);
        Ok(())
    }

    /// What the mount is to be taken for; the error says why for nothing.
    fn judge(&self, answer: Option<&MountInfo>) -> Result<EngineKind, String> {
        let State { configured, ref book, .. } = self.walk.kv1;
        let Some(info) = answer else {
            let before = || book.as_ref()?.kind(self.walk.mount.as_str());
            return Ok(configured.or_else(before).unwrap_or(EngineKind::KvV2));
        };
        match (info.kind(), configured) {
            (Some(found), Some(configured)) if found != configured => Err(format!(
                "the configuration says that it is KV version {}, and the server that it is {info}: leave it out of kv_version and v1_mounts, and it is taken for what it is",
                number(configured)
            )),
            (Some(found), _) => Ok(found),
            (None, _) => Err(format!("it is {info}, and vsync copies KV version 1 and 2")),
        }
    }

    pub(super) async fn folder_v1(&self, folder: &str, findings: &mut Findings) -> Result<(), String> {
        let walk = &self.walk;
        match walk.vault.list_v1(&walk.mount, folder).await {
            Ok(names) if names.is_empty() && folder.is_empty() && !walk.kv1.confirmed.load(Ordering::Relaxed) => {
                Err("it lists as empty, and whether it is KV version 1 is not known".to_owned())
            }
            Ok(names) => {
                walk.unanswered.store(0, Ordering::Relaxed);
                for name in names {
                    self.entry(folder, &name, None, findings);
                }
                Ok(())
            }
            Err(error) => {
                walk.failed(error.kind());
                Err(error.to_string())
            }
        }
    }

    pub(super) async fn secret_v1(&self, name: &str, findings: &mut Findings) -> Result<(), String> {
        let walk = &self.walk;
        let Some(book) = &walk.kv1.book else { return Ok(()) };
        let path = SecretPath::new(&walk.mount, name);
        let data = match walk.vault.read_v1(&path).await {
            Ok(data) => data,
            // deleted since it was listed
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                walk.failed(error.kind());
                return Err(error.to_string());
            }
        };
        walk.unanswered.store(0, Ordering::Relaxed);
        match book.fingerprint(&data).await {
            Ok(Some(fingerprint)) => {
                let insight = book.recognise(&path, fingerprint);
                findings.found.push((path, insight));
                Ok(())
            }
            Ok(None) => Err("its data cannot be understood".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}
