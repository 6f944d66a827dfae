//! The Vault API for seeding and looking, written independently of the client under test.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::canary;

/// Requests run here, so that tests with and without a runtime of their own can wait for them alike.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime"));

/// How many requests are under way at once when many are sent.
const PARALLEL: usize = 16;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = mpsc::sync_channel(1);
    let work = RUNTIME.spawn(work);
    RUNTIME.spawn(async move { done.send(work.await) });
    result.recv().expect("the request ends").unwrap_or_else(|error| {
        // The runtime's threads print where no test shows it.
        let panic = error.into_panic();
        let message = panic.downcast_ref::<String>().map(String::as_str);
        panic!("{}", message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a request failed"))
    })
}

/// Requests with a token that may do everything, one after another or many at once. Each ends the test if it fails.
///
/// Mounts are given without slashes around them (`secret`), names as people write them (`team/app`).
#[derive(Clone)]
pub struct RootClient {
    http: reqwest::Client,
    address: Url,
    token: String,
    /// For how long the token lasts that answers are wrapped in; `None`: they are not.
    wrap_ttl: Option<HeaderValue>,
}

impl RootClient {
    pub(super) fn new(address: &str, token: &str, authority: Option<&[u8]>) -> Self {
        let authority = authority.map(|pem| reqwest::Certificate::from_pem(pem).expect("a PEM certificate"));
        let http = reqwest::Client::builder()
            .tls_certs_only(authority)
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .expect("an HTTP client");
        Self { http, address: address.parse().expect("an address"), token: token.to_owned(), wrap_ttl: None }
    }

    /// The same server with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Any request: status and body, `null` if there is none. `path` is what follows `/v1/`, unescaped; a slash at its
    /// end stays.
    pub fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let client = self.clone();
        let (method, path) = (method.to_owned(), path.to_owned());
        let (status, text) = wait(async move { client.send(&method, &path, body.as_ref()).await });
        (status, parse(&text))
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let mut url = self.address.clone();
        // by hand: a URL parser drops tabs and line ends
        let escaped = path.split('/').map(|segment| utf8_percent_encode(segment, UNRESERVED).to_string());
        url.set_path(&format!("/v1/{}", escaped.collect::<Vec<_>>().join("/")));
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, url).header("X-Vault-Token", &self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(ttl) = &self.wrap_ttl {
            request = request.header("X-Vault-Wrap-TTL", ttl.clone());
        }
        let response = request.send().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
        let status = response.status().as_u16();
        (status, response.text().await.unwrap_or_else(|error| panic!("{path}: {error:?}")))
    }

    async fn must(&self, method: &str, path: &str, body: Option<&Value>) -> String {
        for _ in 0..100 {
            let (status, answer) = self.send(method, path, body).await;
            // A KV engine that was just mounted is still being upgraded from version 1 for a moment.
            if status == 400 && answer.contains("Upgrading from non-versioned") {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
            assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
            return answer;
        }
        panic!("{method} {path}: the engine is never ready");
    }

    fn expect(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let client = self.clone();
        let (method, path) = (method.to_owned(), path.to_owned());
        parse(&wait(async move { client.must(&method, &path, body.as_ref()).await }))
    }

    /// Writes a new version.
    pub fn write(&self, mount: &str, name: &str, data: &Value) {
        self.expect("POST", &format!("{mount}/data/{name}"), Some(json!({ "data": data })));
    }

    /// Writes many secrets, several at once. Entries with the same name do not keep their order: write versions in
    /// separate calls.
    pub fn write_all(&self, mount: &str, secrets: impl IntoIterator<Item = (String, Value)>) {
        let requests = secrets
            .into_iter()
            .map(|(name, data)| ("POST", format!("{mount}/data/{name}"), Some(json!({ "data": data }))))
            .collect();
        self.expect_all(requests);
    }

    fn expect_all(&self, requests: Vec<(&'static str, String, Option<Value>)>) -> Vec<String> {
        let work = requests.into_iter().map(|(method, path, body)| {
            let client = self.clone();
            async move { client.must(method, &path, body.as_ref()).await }
        });
        let work: Vec<_> = work.collect();
        wait(stream::iter(work).buffered(PARALLEL).collect())
    }

    /// The data of the current version, `None` if there is none that can be read.
    pub fn read(&self, mount: &str, name: &str) -> Option<Value> {
        let path = format!("{mount}/data/{name}");
        match self.request("GET", &path, None) {
            (200, mut answer) => Some(answer["data"]["data"].take()),
            (404, _) => None,
            (status, answer) => panic!("GET {path}: {status} {answer}"),
        }
    }

    /// The data of one version, `None` if it cannot be read.
    pub fn read_version(&self, mount: &str, name: &str, version: u64) -> Option<Value> {
        let client = self.clone();
        let path = format!("{mount}/data/{name}");
        let (status, text) = wait(async move {
            let mut client = client;
            client.address.set_query(Some(&format!("version={version}")));
            client.send("GET", &path, None).await
        });
        (status == 200).then(|| parse(&text)["data"]["data"].take())
    }

    /// Name → data of every secret whose current version can be read, as the very text the server sends.
    pub fn read_all(&self, mount: &str) -> BTreeMap<String, String> {
        let names: Vec<String> = self
            .metadata_all(mount)
            .into_iter()
            .filter(|(_, metadata)| {
                let version = metadata["current_version"].to_string();
                let current = &metadata["versions"][&version];
                current["destroyed"] == json!(false) && current["deletion_time"] == json!("")
            })
            .map(|(name, _)| name)
            .collect();
        let requests = names.iter().map(|name| ("GET", format!("{mount}/data/{name}"), None)).collect();
        let answers = self.expect_all(requests);
        names.into_iter().zip(answers.iter().map(|answer| data_of(answer))).collect()
    }

    /// Name → metadata of every secret, deleted ones too. Not while others write: `OpenBao` 2.7.2 was seen to cut the
    /// connection then.
    pub fn metadata_all(&self, mount: &str) -> BTreeMap<String, Value> {
        let mut answer = self.expect("SCAN", &format!("{mount}/detailed-metadata/"), None);
        match answer["data"]["key_info"].take() {
            Value::Object(entries) => entries.into_iter().collect(),
            _ => BTreeMap::new(),
        }
    }

    /// The names right below a folder, as `LIST metadata/` gives them.
    pub fn names(&self, mount: &str, folder: &str) -> Vec<String> {
        match self.request("LIST", &format!("{mount}/metadata/{folder}"), None) {
            (200, answer) => serde_json::from_value(answer["data"]["keys"].clone()).expect("a list of names"),
            (404, _) => Vec::new(),
            (status, answer) => panic!("LIST {mount}/{folder}: {status} {answer}"),
        }
    }

    /// The metadata of one secret, `None` if it never was or was removed altogether.
    pub fn metadata(&self, mount: &str, name: &str) -> Option<Value> {
        match self.request("GET", &format!("{mount}/metadata/{name}"), None) {
            (200, mut answer) => Some(answer["data"].take()),
            _ => None,
        }
    }

    /// Attaches metadata: `{"custom_metadata": {…}, "cas_required": true, …}`.
    pub fn write_metadata(&self, mount: &str, name: &str, metadata: Value) {
        self.expect("POST", &format!("{mount}/metadata/{name}"), Some(metadata));
    }

    /// Soft-deletes the newest version.
    pub fn delete(&self, mount: &str, name: &str) {
        self.expect("DELETE", &format!("{mount}/data/{name}"), None);
    }

    /// Makes versions unreadable for good.
    pub fn destroy(&self, mount: &str, name: &str, versions: &[u64]) {
        self.expect("PUT", &format!("{mount}/destroy/{name}"), Some(json!({ "versions": versions })));
    }

    /// Removes a secret with all versions and metadata.
    pub fn remove(&self, mount: &str, name: &str) {
        self.expect("DELETE", &format!("{mount}/metadata/{name}"), None);
    }

    /// Mounts a KV v2 engine.
    pub fn enable_kv(&self, mount: &str) {
        let engine = json!({ "type": "kv", "options": { "version": "2" } });
        self.expect("POST", &format!("sys/mounts/{mount}"), Some(engine));
    }

    /// Unmounts an engine; what it held is gone.
    pub fn disable_mount(&self, mount: &str) {
        self.expect("DELETE", &format!("sys/mounts/{mount}"), None);
    }

    /// Writes or replaces a policy.
    pub fn policy(&self, name: &str, rules: &str) {
        self.expect("PUT", &format!("sys/policies/acl/{name}"), Some(json!({ "policy": rules })));
    }

    /// The policy that a token has alone: its name, and its rules.
    #[must_use]
    pub fn policy_of(&self, token: &str) -> (String, String) {
        let found = self.expect("POST", "auth/token/lookup", Some(json!({ "token": token })));
        let name = found["data"]["policies"][0].as_str().expect("a policy").to_owned();
        let rules = self.expect("GET", &format!("sys/policies/acl/{name}"), None);
        (name, rules["data"]["policy"].as_str().expect("rules").to_owned())
    }

    /// A new token with this policy alone, and the default one.
    #[must_use]
    pub fn token(&self, policy: &str) -> String {
        let answer = self.expect("POST", "auth/token/create", Some(json!({ "policies": [policy] })));
        let token = answer["auth"]["client_token"].as_str().expect("a token").to_owned();
        canary::register(&token);
        token
    }

    /// A new token with this policy alone.
    #[must_use]
    pub fn token_without_default(&self, policy: &str) -> String {
        let token = json!({ "policies": [policy], "no_default_policy": true });
        let answer = self.expect("POST", "auth/token/create", Some(token));
        let token = answer["auth"]["client_token"].as_str().expect("a token").to_owned();
        canary::register(&token);
        token
    }

    /// Writes a policy and makes a token with it.
    #[must_use]
    pub fn policy_token(&self, name: &str, rules: &str) -> String {
        self.policy(name, rules);
        self.token(name)
    }

    /// Revokes a token.
    pub fn revoke(&self, token: &str) {
        self.expect("POST", "auth/token/revoke", Some(json!({ "token": token })));
    }

    /// Writes to `path` and has the answer wrapped in a token that lasts for `ttl` (`5m`).
    #[must_use]
    pub fn wrapped(&self, path: &str, ttl: &str) -> Value {
        let mut client = self.clone();
        let ttl = HeaderValue::from_str(ttl).expect("a time");
        client.wrap_ttl = Some(ttl);
        client.expect("POST", path, Some(json!({})))
    }

    /// Sets up AppRole at `auth/MOUNT` with a role that has this policy; returns role id and secret id. `role` takes more
    /// settings of it (`{"token_ttl": "2s"}`).
    #[must_use]
    pub fn approle(&self, mount: &str, policy: &str, role: &Value) -> (String, String) {
        let (status, answer) = self.request("POST", &format!("sys/auth/{mount}"), Some(json!({ "type": "approle" })));
        let ready = status < 300 || (status == 400 && answer.to_string().contains("path is already in use"));
        assert!(ready, "auth/{mount}: {status} {answer}");
        let mut settings = role.clone();
        settings["token_policies"] = json!([policy]);
        let role = format!("auth/{mount}/role/{policy}");
        self.expect("POST", &role, Some(settings));
        let text = |answer: Value, field: &str| answer["data"][field].as_str().expect("an id").to_owned();
        let role_id = text(self.expect("GET", &format!("{role}/role-id"), None), "role_id");
        let secret_id = text(self.expect("POST", &format!("{role}/secret-id"), Some(json!({}))), "secret_id");
        canary::register(&secret_id);
        (role_id, secret_id)
    }

    pub(super) fn is_active(&self) -> bool {
        self.status("v1/sys/health") == Some(StatusCode::OK)
    }

    /// Unsealed, and not the leader of its cluster.
    pub(super) fn stands_by(&self) -> bool {
        self.status("v1/sys/health") == Some(StatusCode::TOO_MANY_REQUESTS)
    }

    /// How many nodes of its cluster take part in choosing a leader.
    pub(super) fn voters(&self) -> usize {
        let (_, answer) = self.request("GET", "sys/storage/raft/configuration", None);
        let servers = answer["data"]["config"]["servers"].as_array();
        servers.map_or(0, |servers| servers.iter().filter(|server| server["voter"] == true).count())
    }

    pub(super) fn answers(&self) -> bool {
        self.status("v1/sys/seal-status") == Some(StatusCode::OK)
    }

    /// The status of an answer that needs no token, if there is one.
    fn status(&self, path: &str) -> Option<StatusCode> {
        let (client, path) = (self.clone(), path.to_owned());
        wait(async move {
            let url = client.address.join(&path).expect("a path");
            Some(client.http.get(url).send().await.ok()?.status())
        })
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn data_of(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        data: Version<'a>,
    }
    #[derive(Deserialize)]
    struct Version<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    serde_json::from_str::<Answer<'_>>(answer).expect("a secret").data.data.get().to_owned()
}
