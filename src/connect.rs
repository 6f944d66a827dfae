//! From a configuration to clients, stores and the engine. Nothing is contacted here.

mod way_in;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

pub use way_in::{WayIn, way_in};
use zeroize::Zeroizing;

use crate::config::{Config, Consul, Vault};
use crate::consul::ConsulSettings;
use crate::engine::{Destination, DestinationName, Engine, Operator, Origin, TransformError, Transforms};
use crate::http::{HttpSettings, TlsSettings};
use crate::kv::{GlobError, Mount, PathError, PathFilter};
use crate::state::{self, StateError, StateStore, StoreSettings};
use crate::sync_info::EngineKind;
use crate::vault::{VaultClient, VaultError, VaultSettings};

/// Why a configuration that is valid by itself cannot be used here and now.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A client cannot be made: an unreadable certificate, say.
    #[error("{side}: {source}")]
    Vault {
        /// `origin`, or `destination us-east`.
        side: String,
        /// Why.
        source: VaultError,
    },
    /// Nothing says where the token is.
    #[error(
        "{side}: there is no token for {address}; set {key}.token, {key}.token_file, {key}.token_helper or a login ({key}.approle, kubernetes, jwt, userpass, ldap or cert), or VAULT_TOKEN or BAO_TOKEN in the environment, or log in so that ~/.vault-token exists"
    )]
    NoToken {
        /// `origin`, or `destination us-east`.
        side: String,
        /// The server.
        address: String,
        /// The section of the configuration.
        key: String,
    },
    /// A file that holds a token cannot be read.
    #[error("{side}: the token file {} cannot be read: {source}", .file.display())]
    TokenFile {
        /// `origin`, or `destination us-east`.
        side: String,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A store cannot be opened.
    #[error("{side}: {source}")]
    State {
        /// `origin`, or `destination us-east`.
        side: String,
        /// Why.
        source: StateError,
    },
    /// A mount that is none.
    #[error(transparent)]
    Mount(#[from] PathError),
    /// A glob that is none.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// A transform that cannot work.
    #[error(transparent)]
    Transform(#[from] TransformError),
}

/// One side of the configuration, with its name for people and its place in the file.
#[derive(Debug, Clone)]
pub struct SideName {
    title: String,
    key: String,
}

impl SideName {
    /// The origin.
    #[must_use]
    pub fn origin() -> Self {
        Self { title: "origin".to_owned(), key: "origin".to_owned() }
    }

    /// The destination of this name.
    #[must_use]
    pub fn destination(name: &str) -> Self {
        Self { title: format!("destination {name}"), key: format!("destinations.{name}") }
    }
}

/// The engine for a configuration.
///
/// # Errors
/// [`ConnectError`] for the first part that cannot work.
pub fn engine(config: &Config) -> Result<Engine, ConnectError> {
    let mut stores = Stores::new(config);
    let mut vaults = Vaults::default();
    let mounts = mounts(&config.origin.mounts)?;
    let side = SideName::origin();
    let origin = Origin {
        vault: vaults.worked_by(config.origin.num_workers, &config.origin.vault, &side)?,
        filter: PathFilter::new(&config.origin.include, &config.origin.exclude, &mounts)?,
        store: stores.open(config.origin.consul.as_ref(), &side)?,
        sync_path: folder(&config.origin.sync_path),
        num_buckets: config.num_buckets,
        num_workers: config.origin.num_workers,
        listing: config.origin.listing,
        kv_versions: kv_versions(config, &mounts)?,
        mounts: mounts.clone(),
        patience: config.origin.patience,
    };
    let mut destinations = Vec::with_capacity(config.destinations.len());
    for destination in &config.destinations {
        let side = SideName::destination(&destination.name);
        destinations.push(Destination {
            name: DestinationName::new(&destination.name),
            vault: vaults.worked_by(destination.num_workers, &destination.vault, &side)?,
            mounts: self::mounts(&destination.mounts)?,
            // these globs are matched against the origin's paths
            filter: PathFilter::new(&destination.include, &destination.exclude, &mounts)?,
            transforms: transforms(destination)?,
            store: stores.open(destination.consul.as_ref(), &side)?,
            sync_path: folder(&destination.sync_path),
            num_buckets: config.num_buckets,
            num_workers: destination.num_workers,
            max_delete: destination.guards.max_delete,
            max_purge: destination.guards.max_purge,
            on_delete: destination.on_delete,
            create_mounts: destination.create_mounts,
            on_drift: destination.on_drift,
            on_existing: destination.on_existing,
            fidelity: destination.fidelity,
            journal: Some(config.state.file.with_file_name("journal")),
            timeout: destination.timeout,
            patience: destination.patience,
            wave: destination.wave,
            canary: match destination.canary.as_slice() {
                [] => None,
                globs => Some(PathFilter::new(globs, &[], &mounts)?),
            },
        });
    }
    Ok(Engine::new(origin, destinations, operator()))
}

/// Mounts in their one form.
///
/// # Errors
/// [`PathError`] for a text that names no mount.
pub fn mounts(texts: &[String]) -> Result<Vec<Mount>, PathError> {
    texts.iter().map(|text| Mount::parse(text)).collect()
}

/// The versions that the configuration says of the origin's mounts; the others are found out.
///
/// # Errors
/// [`PathError`] for the first of `v1_mounts` that is no mount.
pub fn kv_versions(config: &Config, mounts: &[Mount]) -> Result<BTreeMap<Mount, EngineKind>, PathError> {
    let (kv_version, v1_mounts) = (config.origin.kv_version, &config.origin.v1_mounts);
    let all = kv_version.into_iter().flat_map(|kind| mounts.iter().map(move |mount| (mount.clone(), kind)));
    let mut versions: BTreeMap<Mount, EngineKind> = all.collect();
    for text in v1_mounts {
        versions.insert(Mount::parse(text)?, EngineKind::KvV1);
    }
    Ok(versions)
}

/// A destination's transforms, compiled.
///
/// # Errors
/// [`TransformError`] for the first that cannot work.
pub fn transforms(destination: &crate::config::Destination) -> Result<Transforms, TransformError> {
    let rules: Vec<_> = destination.transforms.iter().map(crate::config::Transform::rule).collect();
    Transforms::new(&rules)
}

/// A client for one Vault.
///
/// # Errors
/// [`ConnectError`] when there is no token, or a certificate cannot be used.
pub fn vault(vault: &Vault, side: &SideName) -> Result<VaultClient, ConnectError> {
    Vaults::default().client(vault, side)
}

/// The clients of a configuration. Sides that speak to one server in the same way share its connections and limits, and
/// with the same namespace and credentials its token, too.
#[derive(Debug, Default)]
struct Vaults {
    made: Vec<(VaultSettings, VaultClient)>,
}

impl Vaults {
    /// A client that so many workers share. Where sides have one server, the largest number holds for all of them.
    fn worked_by(&mut self, workers: usize, vault: &Vault, side: &SideName) -> Result<VaultClient, ConnectError> {
        let client = self.client(vault, side)?;
        client.allow_in_flight(workers);
        Ok(client)
    }

    fn client(&mut self, vault: &Vault, side: &SideName) -> Result<VaultClient, ConnectError> {
        let settings = vault_settings(vault, side)?;
        if let Some((_, client)) = self.made.iter().find(|(other, _)| *other == settings) {
            return Ok(client.clone());
        }
        let client = match self.made.iter().find(|(other, _)| other.http == settings.http) {
            Some((_, neighbour)) => neighbour.beside(settings.namespace.clone(), settings.auth.clone()),
            None => VaultClient::new(settings.clone()),
        }
        .map_err(|source| ConnectError::Vault { side: side.title.clone(), source })?;
        self.made.push((settings, client.clone()));
        Ok(client)
    }
}

fn vault_settings(vault: &Vault, side: &SideName) -> Result<VaultSettings, ConnectError> {
    Ok(VaultSettings {
        http: HttpSettings {
            address: vault.address.clone(),
            standby_addresses: vault.standby_addresses.clone(),
            tls: TlsSettings {
                ca_cert: vault.ca_cert.clone(),
                client_cert: vault.client_cert.clone(),
                client_key: vault.client_key.clone(),
                server_name: vault.tls_server_name.clone(),
                skip_verify: vault.tls_skip_verify,
            },
            timeout: vault.timeout,
            connect_timeout: vault.connect_timeout,
            max_retries: vault.max_retries,
            requests_per_second: vault.requests_per_second,
        },
        namespace: vault.namespace.clone(),
        auth: way_in(vault, side)?.auth,
    })
}

/// The stores of a configuration. Sides that share a Consul or the embedded file share one store: the file can be
/// opened only once.
#[derive(Debug)]
pub struct Stores {
    file: PathBuf,
    opened: Vec<(Option<Consul>, Arc<dyn StateStore>)>,
}

impl Stores {
    /// None opened yet.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { file: config.state.file.clone(), opened: Vec::new() }
    }

    /// The store of a side: its Consul, or the embedded one.
    ///
    /// # Errors
    /// [`ConnectError`] when its settings cannot work.
    pub fn open(&mut self, consul: Option<&Consul>, side: &SideName) -> Result<Arc<dyn StateStore>, ConnectError> {
        if let Some((_, store)) = self.opened.iter().find(|(other, _)| other.as_ref() == consul) {
            return Ok(Arc::clone(store));
        }
        let settings = match consul {
            None => StoreSettings::Embedded { file: self.file.clone() },
            Some(consul) => StoreSettings::Consul(consul_settings(consul, side)?),
        };
        let store =
            state::open(&settings).map_err(|source| ConnectError::State { side: side.title.clone(), source })?;
        self.opened.push((consul.cloned(), Arc::clone(&store)));
        Ok(store)
    }
}

fn consul_settings(consul: &Consul, side: &SideName) -> Result<ConsulSettings, ConnectError> {
    let token = match (&consul.token, &consul.token_file) {
        (Some(token), _) => Some(token.expose().clone()),
        (None, Some(file)) => {
            let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|source| ConnectError::TokenFile {
                side: side.title.clone(),
                file: file.clone(),
                source,
            })?;
            Some(Zeroizing::new(text.trim().to_owned()))
        }
        (None, None) => None,
    };
    Ok(ConsulSettings {
        http: HttpSettings {
            address: consul.address.clone(),
            standby_addresses: Vec::new(),
            tls: TlsSettings {
                ca_cert: consul.ca_cert.clone(),
                client_cert: consul.client_cert.clone(),
                client_key: consul.client_key.clone(),
                server_name: consul.tls_server_name.clone(),
                skip_verify: consul.tls_skip_verify,
            },
            timeout: consul.timeout,
            connect_timeout: consul.connect_timeout,
            max_retries: consul.max_retries,
            requests_per_second: consul.requests_per_second,
        },
        datacenter: consul.dc.clone(),
        token,
    })
}

fn folder(sync_path: &str) -> String {
    format!("{}/", sync_path.trim_matches('/'))
}

/// Who runs this process, and where.
#[must_use]
pub fn operator() -> Operator {
    let unknown = |_| "unknown".to_owned();
    Operator { name: whoami::username().unwrap_or_else(unknown), host: whoami::hostname().unwrap_or_else(unknown) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::scripted::Server;

    fn configured(address: &str, secret_id: &str, timeout: &str) -> Vault {
        let vault = json!({
            "address": address,
            "approle": { "path": "approle", "role_id": "me", "secret_id": secret_id, "secret_id_wrapped": false },
            "tls_skip_verify": false,
            "timeout": timeout,
            "connect_timeout": "5s",
            "max_retries": 0,
        });
        serde_json::from_value(vault).expect("a Vault")
    }

    #[tokio::test]
    async fn sides_with_one_server_share_what_they_can() {
        let login = Server::json(200, r#"{"auth":{"client_token":"t","lease_duration":3600}}"#);
        let done = Server::json(200, r#"{"data":{"policies":[],"ttl":1,"renewable":false}}"#);
        // the first use of a client logs in
        let answers = [&login, &done, &done, &login, &done, &login, &done];
        let server = Server::start(&answers).await;
        let mut vaults = Vaults::default();
        let mut counts = Vec::new();
        for (secret_id, timeout) in [("one", "5s"), ("one", "5s"), ("other", "5s"), ("one", "6s")] {
            let vault = configured(&server.address, secret_id, timeout);
            let client = vaults.client(&vault, &SideName::origin()).expect("a client");
            client.token_info().await.expect("an answer");
            let logins = server.requests().iter().filter(|request| request.contains("/login")).count();
            counts.push((logins, server.connections()));
        }
        assert_eq!(counts, [(1, 1), (1, 1), (2, 1), (3, 2)], "logins and connections");
    }
}
