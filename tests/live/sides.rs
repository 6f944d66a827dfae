//! One origin and one destination, as the engine takes them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tempfile::TempDir;
use vsync::engine::{
    CycleOptions, Destination, DestinationName, DestinationUse, Engine, Extra, Fidelity, Listing, MaxDelete, OnDelete,
    OnDrift, OnExisting, Operator, Origin, OriginUse, Plan, PlanOptions, Report, Rights, Transforms, meet,
};
use vsync::http::HttpSettings;
use vsync::kv::{Mount, PathFilter};
use vsync::state::{self, StateStore, StoreSettings};
use vsync::sync_info::EngineKind;
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

/// One origin, one destination, state in a folder that goes with it. Their tokens have the rights of what is configured,
/// and those of what is done only if somebody asks for it.
pub(crate) struct Sides {
    pub(crate) origin: Origin,
    pub(crate) destination: Destination,
    /// Of the origin and the destination.
    pub(crate) tokens: [String; 2],
    _folder: TempDir,
}

impl Sides {
    pub(crate) fn new(from: &BaoServer, to: &BaoServer) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn StateStore> =
            state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") }).unwrap();
        let origin = Origin {
            vault: vault(from, ""),
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
            vault: vault(to, ""),
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
        let mut sides = Self { origin, destination, tokens: Default::default(), _folder: folder };
        sides.let_in(from, to);
        sides
    }

    /// Gives them new tokens, for what is configured by now.
    pub(crate) fn let_in(&mut self, from: &BaoServer, to: &BaoServer) {
        let (origin, destination) = (&self.origin, &self.destination);
        let scopes = meet(&origin.filter, &destination.filter);
        let of_v1 = origin.kv_versions.iter().filter(|(_, kind)| **kind == EngineKind::KvV1);
        let of_origin = OriginUse {
            mounts: origin.mounts.clone(),
            scopes: origin.filter.scopes().map(<[_]>::to_vec),
            copied: scopes,
            listing: origin.listing,
            copies: true,
            deletes: destination.on_delete != OnDelete::Ignore,
            creates_mounts: destination.create_mounts,
            v1_mounts: of_v1.map(|(mount, _)| mount.clone()).collect(),
            fidelity: destination.fidelity,
            logs_in: false,
        };
        let token = least(from, &of_origin.rights(&Extra::ALL));
        self.origin.vault = vault(from, &token);
        self.tokens[0] = token;
        let token = self.token_at(to);
        self.destination.vault = vault(to, &token);
        self.tokens[1] = token;
    }

    /// A token for this destination, at whichever server.
    pub(crate) fn token_at(&self, to: &BaoServer) -> String {
        let (origin, destination) = (&self.origin, &self.destination);
        let scopes = meet(&origin.filter, &destination.filter);
        let there = &destination.mounts;
        let has_v1 = origin.kv_versions.values().any(|kind| *kind == EngineKind::KvV1);
        let of_destination = DestinationUse {
            places: DestinationUse::places(&origin.mounts, scopes.as_deref(), &destination.transforms, there),
            on_delete: destination.on_delete,
            creates_mounts: destination.create_mounts,
            compares: destination.canary.is_some() || has_v1,
            on_drift: destination.on_drift,
            on_existing: destination.on_existing,
            fidelity: destination.fidelity,
            logs_in: false,
        };
        least(to, &of_destination.rights(&Extra::ALL))
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
