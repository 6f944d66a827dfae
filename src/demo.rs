//! `vsync demo`: an origin and three destinations in memory, on loopback ports of this process, and a state store in a
//! temporary folder. The clients, the engine and the console are those of every other command.
//!
//! ```text
//!   origin     2,000 secrets of a company that does not exist
//!   eu-west    nearly in sync
//!   us-east    far behind, other layout, without the sandbox
//!   ap-south   far away, takes only so many requests a second, and refuses one folder
//! ```

mod data;
mod mount;
mod past;
mod server;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use zeroize::Zeroizing;

use self::server::{Server, Temper};
use crate::engine::{
    Destination, DestinationName, Engine, Fidelity, Listing, MaxDelete, OnDelete, OnDrift, OnExisting, Operator,
    Origin, Rule, TransformError, Transforms,
};
use crate::http::HttpSettings;
use crate::kv::{GlobError, Mount, PathError, PathFilter};
use crate::state::{StateError, StateStore, StoreSettings};
use crate::vault::{Auth, VaultClient, VaultError, VaultSettings};

const EU_WEST: &str = "eu-west";
const US_EAST: &str = "us-east";
const AP_SOUTH: &str = "ap-south";

/// What `ap-south` does not take.
const REFUSED_FOLDER: &str = "billing/prod/";

const TOKEN: &str = "demo";

/// A demo that could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A server could not be started.
    #[error("a demo server could not listen on 127.0.0.1: {0}")]
    Listen(std::io::Error),
    /// There is no place for the state.
    #[error("no temporary folder for the demo's state: {0}; point TMPDIR to a folder that can be written")]
    Folder(std::io::Error),
    /// The state could not be saved.
    #[error(transparent)]
    State(#[from] StateError),
    /// A client could not be made.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The sample configuration is wrong.
    #[error(transparent)]
    Mount(#[from] PathError),
    /// The sample configuration is wrong.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// The sample configuration is wrong.
    #[error(transparent)]
    Transform(#[from] TransformError),
}

/// Running servers and an engine for them. All of it is gone when this is dropped.
#[derive(Debug)]
pub struct Demo {
    engine: Engine,
    _servers: Vec<Server>,
    _folder: TempDir,
}

impl Demo {
    /// The engine for the demo's servers.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine.clone()
    }

    /// What an operator should know, in one line.
    #[must_use]
    pub fn notice(&self) -> &'static str {
        "demo: sample data in memory only; ap-south refuses billing/prod and throttles"
    }
}

/// Starts the servers and fills them. Must run on a runtime that outlives the [`Demo`].
///
/// # Errors
/// [`DemoError`] when a loopback port or a temporary folder cannot be had.
pub async fn start() -> Result<Demo, DemoError> {
    let now = Timestamp::now();
    let folder = tempfile::Builder::new().prefix("vsync-demo-").tempdir().map_err(DemoError::Folder)?;
    let store = crate::state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") })?;

    let secrets = data::secrets(now);
    let origin_server = server(&["secret/"], Temper { latency: milliseconds(1, 4), ..Temper::default() }).await?;
    for (name, entry) in &secrets {
        origin_server.insert("secret/", name, entry.clone());
    }
    let origin = Origin {
        vault: client(&origin_server)?,
        mounts: vec![Mount::parse("secret")?],
        filter: PathFilter::default(),
        store: Arc::clone(&store),
        sync_path: "vsync/".to_owned(),
        num_buckets: None,
        num_workers: 8,
        listing: Listing::Auto,
        patience: None,
        kv_versions: BTreeMap::new(),
    };

    let mut servers = vec![origin_server];
    let mut destinations = Vec::new();
    let mut recorded = BTreeMap::new();
    for sketch in sketches() {
        let server = server(sketch.mounts, sketch.temper.clone()).await?;
        let destination = sketch.destination(&server, &store)?;
        let count = past::leave_state(&origin, &destination, &server, &secrets, now).await?;
        recorded.insert(sketch.name, count);
        destinations.push(destination);
        servers.push(server);
    }
    past::leave_reports(&origin, &secrets, |name| recorded.get(name).copied().unwrap_or(0), now).await?;

    let operator = Operator {
        name: whoami::username().unwrap_or_else(|_| "demo".to_owned()),
        host: whoami::hostname().unwrap_or_else(|_| "localhost".to_owned()),
    };
    Ok(Demo { engine: Engine::new(origin, destinations, operator), _servers: servers, _folder: folder })
}

/// A destination before it has a server.
struct Sketch {
    name: &'static str,
    mounts: &'static [&'static str],
    temper: Temper,
    rules: Vec<Rule>,
    exclude: &'static [&'static str],
    num_workers: usize,
}

fn sketches() -> [Sketch; 3] {
    let environment_first = Rule {
        name: "environment first".to_owned(),
        from: "^secret/data/(?P<team>[^/]+)/(?P<env>dev|test|stage|prod)/(?P<app>.+)$".to_owned(),
        to: "platform/data/${env}/${team}/${app}".to_owned(),
    };
    [
        Sketch {
            name: EU_WEST,
            mounts: &["secret/"],
            temper: Temper { latency: milliseconds(3, 9), ..Temper::default() },
            rules: Vec::new(),
            exclude: &[],
            num_workers: 4,
        },
        Sketch {
            name: US_EAST,
            mounts: &["platform/", "secret/"],
            temper: Temper { latency: milliseconds(35, 85), ..Temper::default() },
            rules: vec![environment_first],
            exclude: &["secret/sandbox/**"],
            num_workers: 6,
        },
        Sketch {
            name: AP_SOUTH,
            mounts: &["secret/"],
            temper: Temper {
                latency: milliseconds(50, 120),
                requests_per_second: Some(60),
                refused: ["data", "metadata"].map(|kind| format!("secret/{kind}/{REFUSED_FOLDER}")).to_vec(),
            },
            rules: Vec::new(),
            exclude: &[],
            num_workers: 6,
        },
    ]
}

impl Sketch {
    fn destination(&self, server: &Server, store: &Arc<dyn StateStore>) -> Result<Destination, DemoError> {
        let exclude: Vec<String> = self.exclude.iter().map(ToString::to_string).collect();
        Ok(Destination {
            name: DestinationName::new(self.name),
            vault: client(server)?,
            mounts: self.mounts.iter().map(|mount| Mount::parse(mount)).collect::<Result<_, _>>()?,
            filter: PathFilter::new(&[], &exclude, &[Mount::parse("secret")?])?,
            transforms: Transforms::new(&self.rules)?,
            store: Arc::clone(store),
            sync_path: format!("vsync/{}/", self.name),
            num_buckets: None,
            num_workers: self.num_workers,
            max_delete: MaxDelete::default(),
            create_mounts: false,
            on_delete: OnDelete::Soft,
            max_purge: MaxDelete::Count(0),
            on_drift: OnDrift::Report,
            on_existing: OnExisting::Report,
            fidelity: Fidelity::Value,
            journal: None,
            timeout: None,
            patience: None,
            wave: 1,
            canary: None,
        })
    }
}

async fn server(mounts: &[&str], temper: Temper) -> Result<Server, DemoError> {
    Server::start(TOKEN, mounts, temper).await.map_err(DemoError::Listen)
}

fn client(server: &Server) -> Result<VaultClient, DemoError> {
    Ok(VaultClient::new(VaultSettings {
        http: HttpSettings { address: server.address(), ..HttpSettings::default() },
        namespace: None,
        auth: Auth::Token(Zeroizing::new(TOKEN.to_owned())),
    })?)
}

fn milliseconds(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_millis(from)..Duration::from_millis(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Cause, CycleOptions, Operation};

    #[tokio::test]
    async fn every_screen_has_something_true_to_show() {
        let demo = start().await.expect("a demo");
        let engine = demo.engine();
        let inventory = Arc::new(engine.survey(None).await);
        assert!(inventory.unknown.is_empty());
        let plan = engine.plan(inventory, &crate::engine::PlanOptions::default()).await;
        assert_eq!(plan.objections().count(), 0);
        let part = |name: &str| plan.destination(&DestinationName::new(name)).expect("planned");

        let counts = part(EU_WEST).counts();
        assert!((5..40).contains(&counts.total()), "nearly in sync: {counts:?}");
        assert!(counts.add > 0 && counts.update > 0 && counts.delete > 0, "{counts:?}");
        let counts = part(US_EAST).counts();
        assert!(counts.total() > 1_000, "far behind: {counts:?}");
        assert!(!part(US_EAST).excluded.is_empty());
        let rules: std::collections::BTreeSet<_> = part(US_EAST).tasks.iter().map(|task| &*task.rule).collect();
        assert_eq!(Vec::from_iter(rules), ["environment first", "identity"]);
        assert!(part(AP_SOUTH).in_sync > 1_000 && part(AP_SOUTH).counts().add > 500);

        // What the past is said to have been is what happens when it is tried again.
        assert_eq!(engine.history(10).await.expect("history").len(), 2);
        let standing = engine.standing_failures().await.expect("failures");
        let standing = &standing[&DestinationName::new(AP_SOUTH)];
        let refused = |name: &DestinationName, task: &crate::engine::Task| {
            name.as_str() == EU_WEST || name.as_str() == AP_SOUTH && task.origin.name().starts_with(REFUSED_FOLDER)
        };
        let cycle = engine.start(engine.select(&plan, refused), CycleOptions::default()).expect("no objection");
        let report = cycle.wait().await;
        assert_eq!(report.destinations[0].failures, []);
        let failures = &report.destinations.last().expect("ap-south").failures;
        let what = |failures: &[crate::engine::Failure]| {
            let mut what: Vec<_> = failures
                .iter()
                .map(|one| (one.operation, one.origin.clone(), one.cause, one.message.clone()))
                .collect();
            what.sort();
            what
        };
        assert_eq!(what(failures), what(standing));
        assert!(failures.iter().all(|one| one.operation == Operation::Add && one.cause == Cause::Permission));
    }
}
