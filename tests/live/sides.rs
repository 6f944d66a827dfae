//! One origin and one destination, as the engine takes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use vsync::engine::{
    CycleOptions, Destination, DestinationName, DestinationUse, Engine, Extra, Fidelity, Listing, MaxDelete, OnDelete,
    OnDrift, OnExisting, Operator, Origin, OriginUse, Plan, PlanOptions, Report, Rights, Transforms,
};
use vsync::http::HttpSettings;
use vsync::kv::{Mount, PathFilter, Pattern};
use vsync::state::{self, StateStore, StoreSettings};
use vsync::vault::{Auth, VaultClient, VaultSettings};
use zeroize::Zeroizing;

use crate::support::{BaoServer, token_with};

pub(crate) fn vault(server: &BaoServer, token: &str) -> VaultClient {
    let http = HttpSettings { address: server.address(), max_retries: 2, ..HttpSettings::default() };
    VaultClient::new(VaultSettings { http, namespace: None, auth: Auth::Token(Zeroizing::new(token.to_owned())) })
        .unwrap()
}

pub(crate) fn mount(name: &str) -> Mount {
    Mount::parse(name).unwrap()
}

/// A token with these rights and no others.
fn least(server: &BaoServer, rights: &Rights) -> String {
    let rules: Vec<String> = rights.always.iter().map(|right| right.stanza().to_string()).collect();
    token_with(&server.client(), &rules.join("\n"))
}

/// One origin, one destination, state in a folder that goes with it. Their tokens have the rights of the configuration
/// that is made here, and those of what is done only if somebody asks for it.
pub(crate) struct Sides {
    pub(crate) origin: Origin,
    pub(crate) destination: Destination,
    _folder: TempDir,
}

impl Sides {
    /// With tokens that may do everything, for tests that go beyond what is configured here.
    pub(crate) fn as_root(from: &BaoServer, to: &BaoServer) -> Self {
        let mut sides = Self::new(from, to);
        sides.origin.vault = vault(from, BaoServer::ROOT_TOKEN);
        sides.destination.vault = vault(to, BaoServer::ROOT_TOKEN);
        sides
    }

    pub(crate) fn new(from: &BaoServer, to: &BaoServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn StateStore> =
            state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") }).unwrap();
        let of_origin = OriginUse {
            mounts: vec![mount("secret")],
            scopes: None,
            copied: None,
            listing: Listing::Auto,
            copies: true,
            deletes: true,
            creates_mounts: false,
            v1_mounts: Vec::new(),
            fidelity: Fidelity::Value,
            logs_in: false,
        };
        let of_destination = DestinationUse {
            places: vec![(mount("secret"), vec![Pattern::everything()])],
            on_delete: OnDelete::Soft,
            creates_mounts: false,
            compares: false,
            on_drift: OnDrift::Report,
            on_existing: OnExisting::Report,
            fidelity: Fidelity::Value,
            logs_in: false,
        };
        let origin = Origin {
            vault: vault(from, &least(from, &of_origin.rights(&Extra::ALL))),
            mounts: vec![mount("secret")],
            filter: PathFilter::default(),
            store: Arc::clone(&store),
            sync_path: "vsync/".to_owned(),
            num_buckets: None,
            num_workers: 8,
            listing: Listing::Auto,
            patience: None,
            kv_versions: BTreeMap::new(),
        };
        let destination = Destination {
            name: DestinationName::new("there"),
            vault: vault(to, &least(to, &of_destination.rights(&Extra::ALL))),
            mounts: vec![mount("secret")],
            filter: PathFilter::default(),
            transforms: Transforms::default(),
            store,
            sync_path: "vsync/there/".to_owned(),
            num_buckets: None,
            num_workers: 8,
            max_delete: MaxDelete::default(),
            create_mounts: false,
            on_delete: OnDelete::Soft,
            max_purge: MaxDelete::Count(0),
            on_drift: OnDrift::Report,
            on_existing: OnExisting::Report,
            fidelity: Fidelity::Value,
            journal: Some(folder.path().join("journal")),
            timeout: None,
            patience: None,
            wave: 1,
            canary: None,
        };
        Self { origin, destination, _folder: folder }
    }

    pub(crate) fn engine(&self) -> Engine {
        let operator = Operator { name: "tester".to_owned(), host: "here".to_owned() };
        Engine::new(self.origin.clone(), vec![self.destination.clone()], operator)
    }
}

pub(crate) async fn plan(engine: &Engine) -> Plan {
    let inventory = Arc::new(engine.survey(None).await);
    engine.plan(inventory, &PlanOptions::default()).await
}

pub(crate) async fn sync(engine: &Engine) -> Arc<Report> {
    let plan = plan(engine).await;
    engine.start(plan, CycleOptions::default()).unwrap().wait().await
}
