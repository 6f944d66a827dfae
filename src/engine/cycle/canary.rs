//! Looking at what was written for the secrets of `canary`, before the rest follows.

use crate::engine::origin_reader::OriginReader;
use crate::engine::plan::Task;
use crate::engine::report::{Done, Outcome, Unverified};
use crate::state::{Change, ChangeKind};
use crate::vault::{ErrorKind, VaultClient};

/// What is to be looked at.
#[derive(Debug)]
pub(super) struct Canary {
    pub(super) copy: Unverified,
    /// An earlier cycle wrote it; whatever is there by now, it must be what the origin has.
    pub(super) again: bool,
}

impl Canary {
    /// What a task has left at the destination.
    pub(super) fn of(outcome: &Outcome) -> Option<Self> {
        let Task { origin, destination, .. } = &outcome.task;
        let (copy_of, version) = match outcome.result.as_ref().ok()? {
            Done::Written { insight, version, .. } | Done::Adopted { insight, version, .. } => {
                (Some(insight.version), *version)
            }
            Done::Deleted { version }
            | Done::DeletedForNow { version }
            | Done::Destroyed { version }
            | Done::Purged { version } => (None, *version),
            _ => return None,
        };
        let copy = Unverified { origin: origin.clone(), destination: destination.clone(), copy_of, version };
        Some(Self { copy, again: false })
    }

    /// The same, of an earlier cycle.
    pub(super) fn of_change(change: &Change) -> Option<Unverified> {
        let copy_of = match change.kind {
            ChangeKind::Written | ChangeKind::Adopted => Some(change.insight?.version),
            ChangeKind::Deleted | ChangeKind::DeletedForNow | ChangeKind::Destroyed | ChangeKind::Purged => None,
            _ => return None,
        };
        let Change { origin, destination, version, .. } = change;
        Some(Unverified { origin: origin.clone(), destination: destination.clone(), copy_of, version: *version })
    }
}

/// Why the rest must not follow, if so: something is not as it was written, or cannot be seen.
pub(super) async fn verify(origin: OriginReader, destination: VaultClient, all: Vec<Canary>) -> Result<(), String> {
    for canary in &all {
        look(&origin, &destination, canary).await.map_err(|reason| {
            format!("{} is in canary, and {reason}; so the rest was not begun", canary.copy.destination)
        })?;
    }
    Ok(())
}

async fn look(origin: &OriginReader, destination: &VaultClient, canary: &Canary) -> Result<(), String> {
    let written = &canary.copy;
    let Some(copy_of) = written.copy_of else {
        return match destination.metadata(&written.destination).await {
            // another version is somebody else's
            Ok(metadata) if canary.again && metadata.current_version != written.version => Ok(()),
            Ok(metadata) if metadata.key_info().live => Err("it can still be read after it was deleted".to_owned()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(format!("it cannot be seen whether it is deleted: {}", error.message())),
        };
    };
    let there = match destination.read(&written.destination).await {
        Ok(there) => there,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return by_metadata(destination, written).await;
        }
        Err(error) => {
            let is_gone = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted);
            if canary.again && is_gone && is_gone_at(origin, written).await {
                return Ok(());
            }
            return Err(format!("it cannot be read: {}", error.message()));
        }
    };
    if canary.again {
        return match origin.read(&written.origin).await {
            Ok(here) if here.data.has_same_values(&there.data) => Ok(()),
            Ok(_) => Err("it still differs from the origin".to_owned()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted) => Ok(()),
            Err(error) => Err(format!("the origin's cannot be read: {}", error.message())),
        };
    }
    if there.version != written.version {
        return Err(format!("version {} is there, and vsync wrote version {}", there.version, written.version));
    }
    let here = origin.read_version(&written.origin, copy_of).await;
    let here = here.map_err(|error| format!("the origin's version {copy_of} cannot be read: {}", error.message()))?;
    // what has changed since, and keeps no versions, tells nothing of what was copied
    let Some(here) = here else { return Ok(()) };
    if here.data.has_same_values(&there.data) {
        Ok(())
    } else {
        Err(format!("it differs from the origin's version {copy_of}"))
    }
}

async fn is_gone_at(origin: &OriginReader, written: &Unverified) -> bool {
    let here = origin.read(&written.origin).await;
    here.is_err_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Deleted))
}

/// Where the token may not read values, the version must do.
async fn by_metadata(destination: &VaultClient, written: &Unverified) -> Result<(), String> {
    let metadata = destination.metadata(&written.destination).await;
    let info = metadata.map_err(|error| format!("it cannot be looked at: {}", error.message()))?.key_info();
    if info.live && info.version == written.version {
        Ok(())
    } else {
        Err(format!("version {} is there, and vsync wrote version {}", info.version, written.version))
    }
}
