//! What `vsync check` says of mounts of KV version 1.

use crate::kv::Mount;
use crate::sync_info::EngineKind;
use crate::vault::{MountInfo, VaultClient, VaultError};

/// More folders than this are not listed to count secrets.
const FOLDERS: usize = 500;

/// What there is to be said of a mount.
pub(super) struct Said {
    pub(super) ok: bool,
    pub(super) detail: String,
    pub(super) next_step: String,
}

fn upgrade(mount: &Mount) -> String {
    format!("bao kv enable-versioning {mount} (or vault kv …)")
}

/// Of the origin's mount; `None`: it is of version 2, or no KV engine, and nobody said otherwise.
pub(super) async fn at_origin(
    client: &VaultClient,
    mount: &Mount,
    info: &MountInfo,
    configured: Option<EngineKind>,
) -> Option<Said> {
    let found = info.kind()?;
    if let Some(configured) = configured.filter(|configured| *configured != found) {
        let number = if configured == EngineKind::KvV1 { 1 } else { 2 };
        return Some(Said {
            ok: false,
            detail: format!(
                "the configuration says that {mount} is KV version {number}, and the server that it is {info}"
            ),
            next_step: "leave it out of kv_version and v1_mounts, and it is taken for what it is".to_owned(),
        });
    }
    if found == EngineKind::KvV2 {
        return None;
    }
    let secrets = match count(client, mount).await {
        Ok((1, true)) => "its one secret".to_owned(),
        Ok((secrets, true)) => format!("each of its {secrets} secrets"),
        Ok((secrets, false)) => format!("each of its secrets (more than {secrets})"),
        Err(_) => "each of its secrets".to_owned(),
    };
    Some(Said {
        ok: true,
        detail: format!(
            "{mount} is KV version 1, which tells neither versions nor times: every plan, cycle and tick reads {secrets}, and each read stands in the audit log"
        ),
        next_step: format!(
            "for fewer reads set a longer tick, for none make it version 2, once its clients use the paths of that: {}{}",
            upgrade(mount),
            if configured.is_none() {
                format!("; v1_mounts = [\"{mount}\"] lets vsync policy print its rules")
            } else {
                String::new()
            }
        ),
    })
}

/// Of a destination's mount; `None`: it is of version 2, or no KV engine.
pub(super) fn at_destination(mount: &Mount, info: &MountInfo) -> Option<Said> {
    (info.kind() == Some(EngineKind::KvV1)).then(|| Said {
        ok: false,
        detail: format!("{mount} is KV version 1, and vsync writes to version 2 only"),
        next_step: format!("upgrade it: {}", upgrade(mount)),
    })
}

/// How many secrets there are, and whether these are all.
async fn count(client: &VaultClient, mount: &Mount) -> Result<(u64, bool), VaultError> {
    let mut folders = vec![String::new()];
    let mut listed = 0;
    let mut secrets = 0;
    while let Some(folder) = folders.pop() {
        if listed == FOLDERS {
            return Ok((secrets, false));
        }
        listed += 1;
        for name in client.list_v1(mount, &folder).await? {
            if name.ends_with('/') {
                folders.push(format!("{folder}{name}"));
            } else {
                secrets += 1;
            }
        }
    }
    Ok((secrets, true))
}
