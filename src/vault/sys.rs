//! The server itself, the token, the mounts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;

use super::answer::Envelope;
use super::token::LOOKUP;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};
use crate::kv::Mount;
use crate::sync_info::EngineKind;

/// What `sys/health` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// Set up at all.
    pub initialized: bool,
    /// Sealed: nothing can be read or written.
    pub sealed: bool,
    /// Not the active node of its cluster.
    pub standby: bool,
    /// The server's version.
    pub version: String,
    /// Names the cluster, whatever address leads to it; not told while it is sealed.
    pub cluster_id: Option<String>,
}

impl Health {
    /// Why it can neither read nor write, if so.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'static str> {
        if !self.initialized {
            Some("not initialized")
        } else if self.sealed {
            Some("sealed")
        } else {
            None
        }
    }
}

/// What `auth/token/lookup-self` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// The name of the token's owner.
    pub display_name: String,
    /// The policies that hold for it.
    pub policies: Vec<String>,
    /// What is left of its life; `None` if it never expires.
    pub ttl: Option<Duration>,
    /// Whether it can be renewed.
    pub renewable: bool,
}

/// What `sys/internal/ui/mounts/MOUNT` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The secrets engine: `kv` for the ones vsync copies.
    pub engine: String,
    /// The KV version, if it is a KV engine.
    pub kv_version: Option<u64>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    display_name: String,
    policies: Option<Vec<String>>,
    identity_policies: Option<Vec<String>>,
    ttl: u64,
    expire_time: Option<String>,
    #[serde(default)]
    renewable: bool,
}

#[derive(Deserialize)]
struct MountAnswer {
    #[serde(rename = "type")]
    engine: String,
    options: Option<MountOptions>,
}

#[derive(Deserialize)]
struct MountOptions {
    version: Option<String>,
}

impl MountInfo {
    /// The version of the KV engine; `None`: it is another one, or one that vsync does not know.
    #[must_use]
    pub fn kind(&self) -> Option<EngineKind> {
        match self.kv_version {
            Some(1) => Some(EngineKind::KvV1),
            Some(2) => Some(EngineKind::KvV2),
            _ => None,
        }
    }
}

impl fmt::Display for MountInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.engine.as_str(), self.kv_version) {
            ("kv", Some(version)) => write!(f, "KV version {version}"),
            // what KV version 1 was called before there was another
            ("generic", Some(_)) => f.write_str("KV version 1"),
            (engine, _) => write!(f, "a mount of type {engine}"),
        }
    }
}

impl VaultClient {
    /// `GET sys/health`, without a token. Sent once, and not waited for longer than five seconds: how it is now is the
    /// question.
    ///
    /// # Errors
    /// [`VaultError`] when the server cannot be reached or does not answer as Vault does.
    pub async fn health(&self) -> Result<Health, VaultError> {
        let target = Target { operation: "check health of", path: self.address() };
        // Only the root namespace has it.
        let answer = self.http.send(request(Method::GET, "sys/health", Repeat::Never).apart()).await;
        let answer = answer.map_err(|error| target.transport(&error))?;
        // The status tells the state; the body tells it too.
        serde_json::from_slice(&answer.body)
            .map_err(|error| if answer.status.is_success() { target.protocol(&error) } else { target.refusal(&answer) })
    }

    /// `GET sys/leader`, without a token: whether the cluster of a standby has a node that leads it. Sent once, as
    /// [`Self::health`].
    ///
    /// # Errors
    /// [`VaultError`] when the server cannot be reached or does not answer as Vault does.
    pub async fn has_leader(&self) -> Result<bool, VaultError> {
        #[derive(Deserialize)]
        struct Leader {
            #[serde(default)]
            leader_address: String,
        }
        let target = Target { operation: "look for the leader of", path: self.address() };
        let answer = self.http.send(request(Method::GET, "sys/leader", Repeat::Never).apart()).await;
        let answer = answer.map_err(|error| target.transport(&error))?;
        if !answer.status.is_success() {
            return Err(target.refusal(&answer));
        }
        let Leader { leader_address } =
            serde_json::from_slice(&answer.body).map_err(|error| target.protocol(&error))?;
        Ok(!leader_address.is_empty())
    }

    /// `GET auth/token/lookup-self`; logs in first where that is the way to a token.
    ///
    /// # Errors
    /// [`ErrorKind::NoToken`] when there is none or it is not valid, [`ErrorKind::PermissionDenied`] when it may not
    /// look itself up.
    pub async fn token_info(&self) -> Result<TokenInfo, VaultError> {
        let target = Target { operation: "look up", path: "the token" };
        let answer = self.send(target, request(Method::GET, LOOKUP, Repeat::Safe)).await?;
        let token: TokenAnswer = data(target, &answer)?;
        let mut policies = token.policies.unwrap_or_default();
        policies.extend(token.identity_policies.unwrap_or_default());
        Ok(TokenInfo {
            display_name: token.display_name,
            policies,
            ttl: (token.ttl > 0 || token.expire_time.is_some()).then(|| Duration::from_secs(token.ttl)),
            renewable: token.renewable,
        })
    }

    /// `GET sys/internal/ui/mounts/MOUNT`. The server answers 403 for a mount that does not exist as for one the token
    /// may not reach.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn mount_info(&self, mount: &Mount) -> Result<MountInfo, VaultError> {
        let target = Target { operation: "look up mount", path: mount.as_str() };
        let path = format!("sys/internal/ui/mounts/{}", mount.as_str().trim_end_matches('/'));
        let answer = self.send(target, request(Method::GET, &path, Repeat::Safe)).await?;
        let mount: MountAnswer = data(target, &answer)?;
        let kv_version = matches!(mount.engine.as_str(), "kv" | "generic")
            // Without the option it is the engine's first version.
            .then(|| mount.options.and_then(|options| options.version?.parse().ok()).unwrap_or(1));
        Ok(MountInfo { engine: mount.engine, kv_version })
    }

    /// `POST sys/capabilities-self`: the token's capabilities on each path, in the order asked for. `root` stands for all.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`].
    pub async fn capabilities(&self, paths: &[String]) -> Result<Vec<Vec<String>>, VaultError> {
        let target = Target { operation: "look up", path: "the token's capabilities" };
        let body = serde_json::json!({ "paths": paths }).to_string();
        let request = request(Method::POST, "sys/capabilities-self", Repeat::Safe).body(body);
        let answer = self.send(target, request).await?;
        let capabilities: BTreeMap<String, Vec<String>> = data(target, &answer)?;
        paths
            .iter()
            .map(|path| {
                capabilities
                    .get(path)
                    .cloned()
                    .ok_or_else(|| target.error(ErrorKind::Protocol, format!("the answer leaves out {path}")))
            })
            .collect()
    }
}

/// The `data` of a successful answer.
pub(super) fn data<'a, T: Deserialize<'a>>(target: Target<'_>, answer: &'a Response) -> Result<T, VaultError> {
    if !answer.status.is_success() {
        return Err(target.refusal(answer));
    }
    let envelope: Envelope<T> = serde_json::from_slice(&answer.body).map_err(|error| target.protocol(&error))?;
    Ok(envelope.data)
}
