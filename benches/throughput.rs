//! vsync beside the floor: a plain HTTP load generator doing the same requests against the same servers in the same run.
//! See `benches/README.md`.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![allow(missing_docs, reason = "no library")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use support::BaoServer;
use vsync::engine::{
    CycleOptions, Destination, DestinationName, Engine, Fidelity, Listing, MaxDelete, OnDelete, OnDrift, OnExisting,
    Operator, Origin, PlanOptions, Transforms,
};
use vsync::http::HttpSettings;
use vsync::kv::{Mount, PathFilter};
use vsync::state::{self, StateStore, StoreSettings};
use vsync::vault::{Auth, VaultClient, VaultSettings};

const SECRETS: usize = 10_000;
const FOLDERS: usize = 20;
const WORKERS: usize = 16;
const ROUNDS: usize = 5;

fn name(number: usize) -> String {
    format!("team{}/app{number}", number % FOLDERS)
}

fn main() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    let filler = "x".repeat(100);
    from.client().write_all("secret", (0..SECRETS).map(|n| (name(n), json!({ "number": n, "filler": filler }))));
    // a first copy wants an empty mount each time
    for round in 0..=ROUNDS {
        to.client().enable_kv(&format!("floor{round}"));
        to.client().enable_kv(&format!("copy{round}"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let floor = Floor::new(&from, &to);
        compare("inventory, SCAN", || floor.scan(), || survey(&from, &to, Listing::Auto)).await;
        compare("inventory, detailed LIST", || floor.detailed(), || survey(&from, &to, Listing::Detailed)).await;
        compare("inventory, LIST + GET", || floor.plain(), || survey(&from, &to, Listing::Plain)).await;
        let (floors, copies) = (Cell::new(0), Cell::new(0));
        compare("first copy", || floor.copy(next(&floors)), || copy(&from, &to, next(&copies))).await;
    });
}

fn next(round: &Cell<usize>) -> usize {
    round.replace(round.get() + 1)
}

/// Times both in turn and prints the medians and the median of the ratios, pair by pair.
async fn compare<F: Future<Output = ()>, V: Future<Output = ()>>(
    what: &str,
    floor: impl Fn() -> F,
    vsync: impl Fn() -> V,
) {
    let mut pairs = Vec::new();
    for _ in 0..=ROUNDS {
        pairs.push((time(floor()).await, time(vsync()).await));
    }
    // the first pair warms up
    pairs.remove(0);
    let floor = median(pairs.iter().map(|(floor, _)| floor.as_secs_f64()));
    let vsync = median(pairs.iter().map(|(_, vsync)| vsync.as_secs_f64()));
    let ratio = median(pairs.iter().map(|(floor, vsync)| vsync.as_secs_f64() / floor.as_secs_f64()));
    println!("{what:28} floor {floor:6.2} s   vsync {vsync:6.2} s   ratio {ratio:5.2}");
}

async fn time(work: impl Future<Output = ()>) -> Duration {
    let started = Instant::now();
    work.await;
    started.elapsed()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

struct Floor {
    http: reqwest::Client,
    from: String,
    to: String,
}

impl Floor {
    fn new(from: &BaoServer, to: &BaoServer) -> Self {
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
        Self { http, from: format!("{}/v1", from.address()), to: format!("{}/v1", to.address()) }
    }

    async fn ask(&self, method: &str, url: String, body: Option<String>) -> Vec<u8> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, url).header("X-Vault-Token", BaoServer::ROOT_TOKEN);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    async fn many(&self, work: impl Iterator<Item = impl Future<Output = ()>>) {
        stream::iter(work).buffer_unordered(WORKERS).for_each(|()| async {}).await;
    }

    /// What a survey asks for: the root's listing, and a scan of each folder.
    async fn scan(&self) {
        self.ask("LIST", format!("{}/secret/detailed-metadata/", self.from), None).await;
        let folders = (0..FOLDERS).map(|n| async move {
            self.ask("SCAN", format!("{}/secret/detailed-metadata/team{n}/", self.from), None).await;
        });
        self.many(folders).await;
    }

    async fn detailed(&self) {
        self.ask("LIST", format!("{}/secret/detailed-metadata/", self.from), None).await;
        let folders = (0..FOLDERS).map(|n| async move {
            self.ask("LIST", format!("{}/secret/detailed-metadata/team{n}/", self.from), None).await;
        });
        self.many(folders).await;
    }

    async fn plain(&self) {
        self.ask("LIST", format!("{}/secret/metadata/", self.from), None).await;
        let folders = (0..FOLDERS).map(|n| async move {
            self.ask("LIST", format!("{}/secret/metadata/team{n}/", self.from), None).await;
        });
        self.many(folders).await;
        let secrets = (0..SECRETS).map(|n| async move {
            self.ask("GET", format!("{}/secret/metadata/{}", self.from, name(n)), None).await;
        });
        self.many(secrets).await;
    }

    async fn copy(&self, round: usize) {
        let secrets = (0..SECRETS).map(|n| async move {
            let read = self.ask("GET", format!("{}/secret/data/{}", self.from, name(n)), None).await;
            let mut read: Value = serde_json::from_slice(&read).unwrap();
            let body = json!({ "data": read["data"]["data"].take() }).to_string();
            self.ask("POST", format!("{}/floor{round}/data/{}", self.to, name(n)), Some(body)).await;
        });
        self.many(secrets).await;
    }
}

fn vault(server: &BaoServer) -> VaultClient {
    let http = HttpSettings { address: server.address(), ..HttpSettings::default() };
    let auth = Auth::Token(zeroize::Zeroizing::new(BaoServer::ROOT_TOKEN.to_owned()));
    VaultClient::new(VaultSettings { http, namespace: None, auth }).unwrap()
}

/// An engine that knows nothing yet.
fn engine(from: &BaoServer, to: &BaoServer, round: usize, listing: Listing, folder: &tempfile::TempDir) -> Engine {
    let store: Arc<dyn StateStore> =
        state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") }).unwrap();
    let origin = Origin {
        vault: vault(from),
        mounts: vec![Mount::parse("secret").unwrap()],
        filter: PathFilter::default(),
        store: Arc::clone(&store),
        sync_path: "vsync/".to_owned(),
        num_buckets: None,
        num_workers: WORKERS,
        listing,
        patience: None,
        kv_versions: BTreeMap::new(),
    };
    let rule = vsync::engine::Rule {
        name: "copy".to_owned(),
        from: "^secret/data/(?P<name>.*)$".to_owned(),
        to: format!("copy{round}/data/${{name}}"),
    };
    let destination = Destination {
        name: DestinationName::new("there"),
        vault: vault(to),
        mounts: vec![Mount::parse(&format!("copy{round}")).unwrap()],
        filter: PathFilter::default(),
        transforms: Transforms::new(&[rule]).unwrap(),
        store,
        sync_path: "vsync/there/".to_owned(),
        num_buckets: None,
        num_workers: WORKERS,
        max_delete: MaxDelete::default(),
        create_mounts: false,
        max_purge: MaxDelete::Count(0),
        on_delete: OnDelete::Soft,
        on_drift: OnDrift::Report,
        on_existing: OnExisting::Report,
        fidelity: Fidelity::Value,
        journal: Some(folder.path().join("journal")),
        timeout: None,
        patience: None,
        wave: 1,
        canary: None,
    };
    Engine::new(origin, vec![destination], Operator { name: "bench".to_owned(), host: "here".to_owned() })
}

async fn survey(from: &BaoServer, to: &BaoServer, listing: Listing) {
    let folder = tempfile::tempdir().unwrap();
    let inventory = engine(from, to, 0, listing, &folder).survey(None).await;
    assert_eq!((inventory.secrets.len(), inventory.unknown.len()), (SECRETS, 0));
}

/// From nothing to a saved report: inventory, plan, cycle, state.
async fn copy(from: &BaoServer, to: &BaoServer, round: usize) {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(from, to, round, Listing::Auto, &folder);
    let plan = engine.plan(Arc::new(engine.survey(None).await), &PlanOptions::default()).await;
    let report = engine.start(plan, CycleOptions::default()).unwrap().wait().await;
    assert_eq!((report.done().add, report.failed()), (SECRETS as u64, 0));
}
