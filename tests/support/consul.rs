//! Consul.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use super::api::wait;
use super::canary;
use super::process::{Process, free_port, program, start_on_free_port};

/// One server, datacenter `dc1`.
pub struct ConsulServer {
    process: Option<Process>,
    arguments: Vec<String>,
    port: u16,
    https_port: u16,
    http: reqwest::Client,
    acl_token: Option<&'static str>,
    frozen: AtomicBool,
    // Last, so that the server is gone when its folder goes.
    folder: TempDir,
}

/// What is not as usual.
#[derive(Clone, Copy, Default)]
pub struct ConsulOptions {
    /// Nothing is allowed without this token (a UUID), everything with it. The methods below then do not work.
    pub acl_token: Option<&'static str>,
    /// Listens for TLS beside plain HTTP.
    pub tls: bool,
    /// Keeps keys and sessions on disk, so that they survive [`ConsulServer::kill`].
    pub persistent: bool,
}

impl Drop for ConsulServer {
    /// Whatever a test did: no key holds a secret.
    fn drop(&mut self) {
        if self.process.is_some() && !*self.frozen.get_mut() && !std::thread::panicking() {
            let leaks = self.leaks();
            assert!(leaks.is_empty(), "secrets are in Consul's {}", leaks.join("; and in "));
        }
    }
}

impl ConsulServer {
    /// In memory; returns when it takes writes.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::with(ConsulOptions::default())
    }

    /// On disk: see [`Self::kill`] and [`Self::bring_back`].
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn persistent() -> Self {
        Self::with(ConsulOptions { persistent: true, ..ConsulOptions::default() })
    }

    /// Starts it with these options.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn with(options: ConsulOptions) -> Self {
        start_on_free_port(|| {
            let folder = TempDir::new().expect("a temporary folder");
            let (port, https_port) = (free_port(), free_port());
            let arguments = arguments(options, folder.path(), port, https_port);
            let http = reqwest::Client::builder()
                .tls_certs_only([])
                .no_proxy()
                .timeout(Duration::from_secs(20))
                .build()
                .expect("an HTTP client");
            let mut server = Self {
                process: None,
                arguments,
                port,
                https_port,
                http,
                acl_token: options.acl_token,
                frozen: AtomicBool::new(false),
                folder,
            };
            server.launch()?;
            Ok(server)
        })
    }

    fn launch(&mut self) -> Result<(), String> {
        let output = Path::join(self.folder.path(), "output");
        let mut process = Process::start(&consul(), &self.arguments, &output);
        process.wait_until(|output| output.contains("Consul agent running!"))?;
        process.wait_until(|_| has_leader(&self.http, self.port))?;
        self.process = Some(process);
        Ok(())
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same ports. A persistent one holds what it held; one in memory is empty.
    ///
    /// # Panics
    /// If it does not start.
    pub fn bring_back(&mut self) {
        self.kill();
        self.launch().unwrap_or_else(|output| panic!("the server does not come back:\n{output}"));
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `https://127.0.0.1:PORT`, with [`ConsulOptions::tls`].
    #[must_use]
    pub fn https_address(&self) -> String {
        format!("https://127.0.0.1:{}", self.https_port)
    }

    /// The certificate of its own authority, with [`ConsulOptions::tls`].
    #[must_use]
    pub fn ca_cert(&self) -> PathBuf {
        self.folder.path().join("consul-agent-ca.pem")
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, body) = self.request(Method::GET, &format!("kv/{key}?raw=true"), Vec::new());
        match status {
            StatusCode::OK => Some(body),
            StatusCode::NOT_FOUND => None,
            _ => panic!("{key}: {status}"),
        }
    }

    /// Sets a key.
    pub fn put(&self, key: &str, value: &[u8]) {
        let (status, _) = self.request(Method::PUT, &format!("kv/{key}"), value.to_vec());
        assert_eq!(status, StatusCode::OK, "{key}");
    }

    /// Removes a key.
    pub fn delete(&self, key: &str) {
        let (status, _) = self.request(Method::DELETE, &format!("kv/{key}"), Vec::new());
        assert_eq!(status, StatusCode::OK, "{key}");
    }

    /// All keys below a prefix, sorted.
    #[must_use]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        match self.request(Method::GET, &format!("kv/{prefix}?keys=true"), Vec::new()) {
            (StatusCode::OK, body) => serde_json::from_slice(&body).expect("a list of keys"),
            (StatusCode::NOT_FOUND, _) => Vec::new(),
            (status, _) => panic!("{prefix}: {status}"),
        }
    }

    /// The index of the last change below a prefix: equal before and after, nothing was written.
    #[must_use]
    pub fn last_change(&self, prefix: &str) -> u64 {
        match self.request(Method::GET, &format!("kv/{prefix}?recurse=true"), Vec::new()) {
            (StatusCode::OK, body) => serde_json::from_slice::<Vec<Value>>(&body)
                .expect("a list of entries")
                .iter()
                .filter_map(|entry| entry["ModifyIndex"].as_u64())
                .max()
                .unwrap_or(0),
            (StatusCode::NOT_FOUND, _) => 0,
            (status, _) => panic!("{prefix}: {status}"),
        }
    }

    /// Freezes it: connections are accepted, nothing is answered.
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
        self.process.as_ref().expect("a running server").freeze();
    }

    /// Goes on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.frozen.store(false, Ordering::Relaxed);
        self.process.as_ref().expect("a running server").signal("CONT");
    }

    /// Every key whose value, or name, holds a canary or a token, with how.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        let mut request = self.http.get(format!("{}/v1/kv/?recurse=true", self.address()));
        if let Some(token) = self.acl_token {
            request = request.header("X-Consul-Token", token);
        }
        let (status, body) = wait(async move {
            let response = request.send().await.expect("Consul answers");
            (response.status(), response.bytes().await.expect("a whole answer").to_vec())
        });
        if status == StatusCode::NOT_FOUND {
            return Vec::new();
        }
        assert_eq!(status, StatusCode::OK, "all keys");
        let entries: Vec<Value> = serde_json::from_slice(&body).expect("a list of entries");
        let leak = |entry: &Value| {
            let key = entry["Key"].as_str().expect("a key");
            let value = STANDARD.decode(entry["Value"].as_str().unwrap_or_default()).expect("base64");
            let token = || canary::find_token(&value).map(|token| format!("a token: {token}"));
            let how = canary::find(key.as_bytes()).or_else(|| canary::find(&value)).or_else(token)?;
            Some(format!("{key}, {how}"))
        };
        entries.iter().filter_map(leak).collect()
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let url = format!("{}/v1/{path}", self.address());
        let request = self.http.request(method, url).body(body);
        wait(async move {
            let response = request.send().await.expect("Consul answers");
            let status = response.status();
            (status, response.bytes().await.expect("a whole answer").to_vec())
        })
    }
}

fn consul() -> PathBuf {
    program("VSYNC_TEST_CONSUL", &["consul"])
}

fn arguments(options: ConsulOptions, folder: &Path, port: u16, https_port: u16) -> Vec<String> {
    let mut arguments = vec![
        "agent".to_owned(),
        "-bind=127.0.0.1".to_owned(),
        format!("-http-port={port}"),
        format!("-serf-lan-port={}", free_port()),
        format!("-server-port={}", free_port()),
        "-serf-wan-port=-1".to_owned(),
        "-dns-port=-1".to_owned(),
        "-grpc-port=-1".to_owned(),
    ];
    if options.persistent {
        let data = folder.join("data");
        arguments.push("-server".to_owned());
        arguments.push("-bootstrap-expect=1".to_owned());
        arguments.push("-node=one".to_owned());
        arguments.push(format!("-data-dir={}", data.display()));
        // as in memory: a lone server need not wait long before it elects itself
        arguments.push("-hcl=performance { raft_multiplier = 1 }".to_owned());
    } else {
        arguments.push("-dev".to_owned());
    }
    if let Some(token) = options.acl_token {
        let acl = format!(r#"acl {{ enabled = true, default_policy = "deny", tokens {{ master = "{token}" }} }}"#);
        arguments.push(format!("-hcl={acl}"));
    }
    if options.tls {
        make_certificates(&consul(), folder);
        let file = |name: &str| folder.join(name).display().to_string();
        arguments.push(format!("-https-port={https_port}"));
        arguments.push(format!("-hcl=cert_file = {:?}", file("dc1-server-consul-0.pem")));
        arguments.push(format!("-hcl=key_file = {:?}", file("dc1-server-consul-0-key.pem")));
    }
    arguments
}

/// An authority, and a certificate of it for the loopback address.
fn make_certificates(consul: &Path, folder: &Path) {
    for arguments in [&["tls", "ca", "create"][..], &["tls", "cert", "create", "-server"]] {
        let status = Command::new(consul).args(arguments).current_dir(folder).stdout(Stdio::null()).status();
        assert!(status.expect("consul starts").success(), "{arguments:?}");
    }
}

fn has_leader(http: &reqwest::Client, port: u16) -> bool {
    let request = http.get(format!("http://127.0.0.1:{port}/v1/status/leader"));
    wait(async move {
        match request.send().await {
            Ok(response) => response.text().await.is_ok_and(|leader| leader.contains(':')),
            Err(_) => false,
        }
    })
}
