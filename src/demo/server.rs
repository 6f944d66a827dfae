//! An HTTP server that speaks the part of the Vault API that vsync uses, with the status codes and bodies of OpenBao.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::mount::{self, CasMismatch, Entry, Mount};

/// How long a token lives when it is renewed.
const TOKEN_TTL: Duration = Duration::from_hours(768);

/// How a server treats its clients.
#[derive(Debug, Clone, Default)]
pub(super) struct Temper {
    /// How long it takes for an answer.
    pub latency: Range<Duration>,
    /// The requests a second it takes; more are turned away with 429.
    pub requests_per_second: Option<u32>,
    /// What starts with one of these (`secret/data/team/`) is forbidden.
    pub refused: Vec<String>,
}

/// A server on a loopback port. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Shared {
    token: String,
    temper: Temper,
    started: Instant,
    mounts: Mutex<BTreeMap<String, Mount>>,
    window: Mutex<Window>,
}

/// The requests of the current second.
#[derive(Debug)]
struct Window {
    began: Instant,
    taken: u32,
}

impl Server {
    /// Starts a server whose mounts (each with a slash at its end) are empty.
    pub(super) async fn start(token: &str, mounts: &[&str], temper: Temper) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            token: token.to_owned(),
            temper,
            started: Instant::now(),
            mounts: Mutex::new(mounts.iter().map(|mount| ((*mount).to_owned(), Mount::new())).collect()),
            window: Mutex::new(Window { began: Instant::now(), taken: 0 }),
        });
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/v1/{*path}", any(answer))
            .fallback(async || not_found())
            .with_state(Arc::clone(&shared));
        let serve = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(%error, "a demo server ended");
            }
        });
        Ok(Self { address, shared, _stop: stop.drop_guard() })
    }

    /// `http://127.0.0.1:PORT`.
    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts a secret into a mount, as if it had always been there.
    pub(super) fn insert(&self, mount: &str, name: &str, entry: Entry) {
        if let Some(mount) = lock(&self.shared.mounts).get_mut(mount) {
            mount.insert(name.to_owned(), entry);
        }
    }
}

impl Shared {
    /// A fixed window of a second, like the rate limit quotas of the real servers.
    fn has_room(&self) -> bool {
        let Some(limit) = self.temper.requests_per_second else { return true };
        let mut window = lock(&self.window);
        if window.began.elapsed() >= Duration::from_secs(1) {
            *window = Window { began: Instant::now(), taken: 0 };
        }
        window.taken += 1;
        window.taken <= limit
    }

    fn refuses(&self, path: &str) -> bool {
        self.temper.refused.iter().any(|prefix| path.starts_with(prefix.as_str()))
    }
}

/// Nothing that holds these locks can panic half-way through a change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(default)]
    list: bool,
    #[serde(default)]
    scan: bool,
    after: Option<String>,
    limit: Option<usize>,
    version: Option<u64>,
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path(path): Path<String>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Range { start, end } = shared.temper.latency;
    tokio::time::sleep(start + end.saturating_sub(start).mul_f32(fastrand::f32())).await;
    if path == "sys/health" {
        return health();
    }
    if !shared.has_room() {
        let too_many = error(StatusCode::TOO_MANY_REQUESTS, "request path: rate limit quota exceeded");
        return ([(header::RETRY_AFTER, HeaderValue::from_static("1"))], too_many).into_response();
    }
    if headers.get("x-vault-token").is_none_or(|token| token.as_bytes() != shared.token.as_bytes()) {
        return denied();
    }
    let operation = match (method.as_str(), &parameters) {
        ("LIST", _) | ("GET", Parameters { list: true, .. }) => Operation::List,
        ("SCAN", _) | ("GET", Parameters { scan: true, .. }) => Operation::Scan,
        ("GET", _) => Operation::Read,
        ("POST" | "PUT", _) => Operation::Write,
        ("DELETE", _) => Operation::Delete,
        _ => return unsupported(),
    };
    match path.as_str() {
        "auth/token/lookup-self" | "auth/token/renew-self" => token(&shared, operation),
        "sys/capabilities-self" => capabilities(&shared, &body),
        _ if path.starts_with("sys/internal/ui/mounts/") => {
            mount_info(&shared, &path["sys/internal/ui/mounts/".len()..])
        }
        _ if shared.refuses(&path) => denied(),
        _ => kv(&shared, operation, &path, &parameters, &body),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Read,
    List,
    Scan,
    Write,
    Delete,
}

fn health() -> Response {
    let health = json!({
        "initialized": true,
        "sealed": false,
        "standby": false,
        "server_time_utc": jiff::Timestamp::now().as_second(),
        "version": "demo",
        "cluster_name": "demo",
    });
    Json(health).into_response()
}

fn token(shared: &Shared, operation: Operation) -> Response {
    if operation == Operation::Write {
        return Json(json!({ "auth": {
            "client_token": shared.token, "lease_duration": TOKEN_TTL.as_secs(), "renewable": true, "policies": ["vsync"],
        } }))
        .into_response();
    }
    data(json!({
        "display_name": "token-vsync-demo",
        "policies": ["default", "vsync"],
        "ttl": TOKEN_TTL.saturating_sub(shared.started.elapsed()).as_secs(),
        "creation_ttl": TOKEN_TTL.as_secs(),
        "renewable": true,
    }))
}

fn capabilities(shared: &Shared, body: &[u8]) -> Response {
    #[derive(Deserialize)]
    struct Asked {
        paths: Vec<String>,
    }
    let Ok(asked) = serde_json::from_slice::<Asked>(body) else { return bad_request("paths must be supplied") };
    let mut answer = serde_json::Map::new();
    for path in asked.paths {
        let allowed: &[&str] =
            if shared.refuses(&path) { &["deny"] } else { &["create", "delete", "list", "read", "scan", "update"] };
        answer.insert(path, json!(allowed));
    }
    // The real answer has them twice, too.
    let mut twice = answer.clone();
    twice.insert("data".to_owned(), Value::Object(answer));
    Json(twice).into_response()
}

fn mount_info(shared: &Shared, path: &str) -> Response {
    let mounts = lock(&shared.mounts);
    let Some(mount) = mounts.keys().find(|mount| format!("{path}/").starts_with(mount.as_str())) else {
        return denied();
    };
    data(json!({ "path": mount, "type": "kv", "description": "", "options": { "version": "2" } }))
}

fn kv(shared: &Shared, operation: Operation, path: &str, parameters: &Parameters, body: &[u8]) -> Response {
    let mut mounts = lock(&shared.mounts);
    let found = mounts.iter_mut().find_map(|(name, mount)| Some((mount, path.strip_prefix(name.as_str())?)));
    let Some((mount, rest)) = found else { return not_found() };
    let Some((endpoint, name)) = rest.split_once('/') else { return unsupported() };
    match (endpoint, operation) {
        ("data" | "subkeys", Operation::Read) => read(mount, name, parameters.version, endpoint == "subkeys"),
        ("data", Operation::Write) => write(mount, name, body),
        ("data", Operation::Delete) => {
            if let Some(entry) = mount.get_mut(name) {
                entry.delete(jiff::Timestamp::now());
            }
            StatusCode::NO_CONTENT.into_response()
        }
        ("undelete", Operation::Write) => undelete(mount, name, body),
        ("metadata", Operation::Read) => mount.get(name).map_or_else(not_found, |entry| data(entry.metadata())),
        ("metadata" | "detailed-metadata", Operation::List) => {
            list(mount, name, parameters, endpoint == "detailed-metadata")
        }
        ("detailed-metadata", Operation::Scan) => scan(mount, name),
        _ => unsupported(),
    }
}

/// A version, or only the names of its keys; 404 with a body if it is deleted.
fn read(mount: &Mount, name: &str, version: Option<u64>, names_only: bool) -> Response {
    #[derive(Serialize)]
    struct WithData<'a> {
        data: Option<&'a RawValue>,
        metadata: mount::VersionMetadata<'a>,
    }
    #[derive(Serialize)]
    struct WithSubkeys<'a> {
        subkeys: Value,
        metadata: mount::VersionMetadata<'a>,
    }
    let Some((value, metadata)) = mount.get(name).and_then(|entry| entry.read(version)) else { return not_found() };
    let status = if value.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND };
    let body = if names_only {
        data(WithSubkeys { subkeys: subkeys(value), metadata })
    } else {
        data(WithData { data: value, metadata })
    };
    (status, body).into_response()
}

/// The names of the keys, nested ones too, with `null` in place of each value.
fn subkeys(value: Option<&RawValue>) -> Value {
    fn hide(value: Value) -> Value {
        match value {
            Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, hide(value))).collect(),
            _ => Value::Null,
        }
    }
    value.and_then(|raw| serde_json::from_str(raw.get()).ok()).map_or(Value::Null, hide)
}

fn undelete(mount: &mut Mount, name: &str, body: &[u8]) -> Response {
    #[derive(Deserialize)]
    struct Asked {
        versions: Vec<u64>,
    }
    let Ok(asked) = serde_json::from_slice::<Asked>(body) else { return bad_request("no version number provided") };
    if let Some(entry) = mount.get_mut(name) {
        asked.versions.into_iter().for_each(|version| entry.undelete(version));
    }
    StatusCode::NO_CONTENT.into_response()
}

fn write(mount: &mut Mount, name: &str, body: &[u8]) -> Response {
    #[derive(Deserialize)]
    struct Written {
        #[serde(default)]
        options: Options,
        data: Box<RawValue>,
    }
    #[derive(Default, Deserialize)]
    struct Options {
        cas: Option<u64>,
    }
    let Ok(Written { options, data: value }) = serde_json::from_slice(body) else {
        return bad_request("no data provided");
    };
    match mount::write(mount, name, value, options.cas) {
        Err(CasMismatch) => bad_request("check-and-set parameter did not match the current version"),
        Ok(()) => match mount.get(name).and_then(|entry| entry.read(None)) {
            Some((_, metadata)) => data(metadata),
            None => not_found(),
        },
    }
}

fn list(mount: &Mount, folder: &str, parameters: &Parameters, detailed: bool) -> Response {
    let after = parameters.after.as_deref().unwrap_or_default();
    let page: Vec<_> = mount::children(mount, folder)
        .into_iter()
        .filter(|(name, _)| *name > after)
        .take(parameters.limit.filter(|limit| *limit > 0).unwrap_or(usize::MAX))
        .collect();
    if page.is_empty() {
        return not_found();
    }
    let keys: Vec<_> = page.iter().map(|(name, _)| *name).collect();
    if !detailed {
        return data(json!({ "keys": keys }));
    }
    let infos: BTreeMap<_, _> = page
        .iter()
        .map(|(name, entry)| (*name, entry.map_or_else(|| json!({}), |entry| json!(entry.metadata()))))
        .collect();
    data(json!({ "keys": keys, "key_info": infos }))
}

fn scan(mount: &Mount, folder: &str) -> Response {
    let infos: BTreeMap<_, _> = mount::below(mount, folder).map(|(name, entry)| (name, entry.metadata())).collect();
    data(json!({ "keys": infos.keys().collect::<Vec<_>>(), "key_info": infos }))
}

fn data(data: impl Serialize) -> Response {
    #[derive(Serialize)]
    struct Answer<T> {
        lease_id: &'static str,
        renewable: bool,
        lease_duration: u64,
        data: T,
        warnings: Option<&'static str>,
    }
    Json(Answer { lease_id: "", renewable: false, lease_duration: 0, data, warnings: None }).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "errors": [message] }))).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({ "errors": [] }))).into_response()
}

fn denied() -> Response {
    error(StatusCode::FORBIDDEN, "1 error occurred:\n\t* permission denied\n\n")
}

fn bad_request(message: &str) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

fn unsupported() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "1 error occurred:\n\t* unsupported operation\n\n")
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::http::HttpSettings;
    use crate::kv::{Mount as KvMount, SecretData, SecretPath};
    use crate::vault::{Auth, ErrorKind, VaultClient, VaultSettings, Wanted};

    fn client(server: &Server, token: &str) -> VaultClient {
        let http = HttpSettings { address: server.address(), max_retries: 2, ..HttpSettings::default() };
        let auth = Auth::Token(Zeroizing::new(token.to_owned()));
        VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client")
    }

    fn path(name: &str) -> SecretPath {
        SecretPath::new(&KvMount::parse("secret").expect("a mount"), name)
    }

    fn secret(json: &str) -> SecretData {
        SecretData::from_json(Zeroizing::new(json.to_owned()))
    }

    #[tokio::test]
    async fn a_secret_is_written_read_listed_and_deleted() {
        let server = Server::start("t", &["secret/"], Temper::default()).await.expect("a server");
        let client = client(&server, "t");
        let odd = path("team/50% off? #3");
        assert_eq!(
            client.write(&odd, &secret(r#"{"b":1,"a":{"c":2.50}}"#), Some(0)).await.expect("written").version,
            1
        );
        client.write(&path("team"), &secret("{}"), None).await.expect("written");
        let refused = client.write(&odd, &secret("{}"), Some(0)).await.expect_err("it exists");
        assert_eq!(refused.kind(), ErrorKind::CheckAndSet);

        assert_eq!(client.read(&odd).await.expect("read").data.expose_json(), r#"{"b":1,"a":{"c":2.50}}"#);
        assert_eq!(client.key_names(&odd).await.expect("keys"), ["b", "a"]);
        let mount = KvMount::parse("secret").expect("a mount");
        assert_eq!(client.list(&mount, "").await.expect("listed"), ["team", "team/"]);
        let page = client.list_detailed(&mount, "", Some("team"), 10, Wanted::Insight).await.expect("listed");
        assert_eq!(page.keys, ["team/"]);
        assert_eq!(client.scan(&mount, "", Wanted::Insight).await.expect("scanned").secrets.len(), 2);

        client.delete(&odd).await.expect("deleted");
        assert_eq!(client.read(&odd).await.expect_err("deleted").kind(), ErrorKind::Deleted);
        assert!(!client.metadata(&odd).await.expect("metadata").key_info().live);
        assert_eq!(client.read(&path("never")).await.expect_err("never there").kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn what_is_refused_and_who_is_unknown_is_forbidden() {
        let temper = Temper { refused: vec!["secret/data/closed/".to_owned()], ..Temper::default() };
        let server = Server::start("t", &["secret/"], temper).await.expect("a server");
        let denied = client(&server, "t").write(&path("closed/x"), &secret("{}"), None).await.expect_err("refused");
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        let denied = client(&server, "wrong").read(&path("open")).await.expect_err("refused");
        assert!(matches!(denied.kind(), ErrorKind::PermissionDenied | ErrorKind::NoToken), "{denied}");

        let client = client(&server, "t");
        assert!(client.health().await.expect("health").initialized);
        assert!(client.token_info().await.expect("a token").ttl.is_some());
        let paths = ["secret/data/closed/x".to_owned(), "secret/data/open".to_owned()];
        let capabilities = client.capabilities(&paths).await.expect("capabilities");
        assert_eq!(capabilities[0], ["deny"]);
        assert!(capabilities[1].contains(&"update".to_owned()));
        let mount = client.mount_info(&KvMount::parse("secret").expect("a mount")).await.expect("a mount");
        assert_eq!((mount.engine.as_str(), mount.kv_version), ("kv", Some(2)));
    }

    #[tokio::test]
    async fn too_many_requests_are_turned_away_for_a_second() {
        let temper = Temper { requests_per_second: Some(2), ..Temper::default() };
        let server = Server::start("t", &["secret/"], temper).await.expect("a server");
        let client = client(&server, "t");
        let start = Instant::now();
        for _ in 0..3 {
            client.write(&path("x"), &secret("{}"), None).await.expect("written in the end");
        }
        assert!(start.elapsed() >= Duration::from_millis(900));
    }
}
