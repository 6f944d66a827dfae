//! OpenBao.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::api::RootClient;
use super::audit::Audit;
use super::process::{Process, free_port, program, start_on_free_port};

/// What a server should be like, beyond answering.
#[derive(Debug, Clone, Copy, Default)]
pub struct BaoOptions {
    /// Keep an audit log.
    pub audit: bool,
    /// Speak TLS, with an authority of its own.
    pub tls: Option<Tls>,
    /// Keep secrets on disk, so that they survive [`BaoServer::kill`].
    pub persistent: bool,
    /// Take names with characters that do not print, which are refused as delivered.
    pub any_name: bool,
}

/// Who may connect by TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Anybody.
    Open,
    /// Only who has a certificate that the server's own authority issued: see [`BaoServer::certificate`].
    Mutual,
}

/// A server with a KV v2 engine at `secret/`.
pub struct BaoServer {
    process: Option<Process>,
    port: u16,
    /// Where the other nodes of its cluster reach a persistent one.
    cluster_port: u16,
    /// The port that asks for client certificates.
    guarded_port: Option<u16>,
    options: BaoOptions,
    unseal_key: Option<String>,
    /// The ports of its cluster's nodes, its own too, if it is one of several.
    peers: Vec<u16>,
    // Last, so that the server is gone when its folder goes.
    folder: TempDir,
}

impl BaoServer {
    /// A token that may do everything, the same on every server.
    pub const ROOT_TOKEN: &str = "root";

    /// In memory, without TLS and audit log.
    #[must_use]
    pub fn start() -> Self {
        Self::with(BaoOptions::default())
    }

    /// In memory, with an audit log.
    #[must_use]
    pub fn with_audit() -> Self {
        Self::with(BaoOptions { audit: true, ..BaoOptions::default() })
    }

    /// On disk: see [`Self::kill`] and [`Self::bring_back`].
    #[must_use]
    pub fn persistent() -> Self {
        Self::with(BaoOptions { persistent: true, ..BaoOptions::default() })
    }

    /// As `options` say.
    ///
    /// # Panics
    /// If the server does not start, or TLS and persistence are asked for together.
    #[must_use]
    pub fn with(options: BaoOptions) -> Self {
        assert!(!(options.tls.is_some() && options.persistent), "only a server in memory makes its own certificates");
        start_on_free_port(|| {
            let mut server = Self::new(free_port(), options);
            server.launch()?;
            if options.persistent {
                server.set_up();
            }
            Ok(server)
        })
    }

    /// A cluster of three on disk, as [`Self::persistent`]. The first one leads it.
    ///
    /// # Panics
    /// If it does not come to be.
    #[must_use]
    pub fn cluster() -> [Self; 3] {
        start_on_free_port(|| {
            let ports = [free_port(), free_port(), free_port()];
            let options = BaoOptions { persistent: true, ..BaoOptions::default() };
            let mut nodes = ports.map(|port| Self::new(port, options));
            let [first, others @ ..] = &mut nodes;
            first.launch()?;
            first.set_up();
            first.peers = ports.to_vec();
            for node in others {
                node.peers = ports.to_vec();
                node.unseal_key.clone_from(&first.unseal_key);
                node.launch()?;
                node.unseal();
            }
            let client = first.client();
            // a node that has just joined has no vote, and would get it after ten seconds
            let (status, answer) = client.request(
                "POST",
                "sys/storage/raft/autopilot/configuration",
                Some(json!({ "server_stabilization_time": "1s" })),
            );
            assert!(status < 300, "{answer}");
            let process = first.process.as_mut().expect("a running server");
            process.wait_until(|_| client.voters() == 3)?;
            Ok(nodes)
        })
    }

    fn new(port: u16, options: BaoOptions) -> Self {
        Self {
            process: None,
            port,
            cluster_port: free_port(),
            guarded_port: (options.tls == Some(Tls::Mutual)).then(free_port),
            options,
            unseal_key: None,
            peers: Vec::new(),
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    fn launch(&mut self) -> Result<(), String> {
        let config = self.path("config.hcl");
        fs::write(&config, self.config()).expect("the server's configuration");
        let mut arguments = vec!["server".to_owned(), format!("-config={}", config.display())];
        if !self.options.persistent {
            arguments.extend([
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={}", Self::ROOT_TOKEN),
                format!("-dev-listen-address=127.0.0.1:{}", self.port),
            ]);
        }
        if self.options.tls.is_some() {
            arguments.push("-dev-tls".to_owned());
            arguments.push(format!("-dev-tls-cert-dir={}", self.folder.path().display()));
        }
        let bao = program("VSYNC_TEST_BAO", &["bao", "vault"]);
        let mut process = Process::start(&bao, &arguments, &self.path("output"));
        // Somebody else's server could answer on a port lost to it, so the server's own word comes first.
        process.wait_until(|output| output.contains("server started!"))?;
        if self.options.persistent {
            let client = self.client();
            process.wait_until(|_| client.answers())?;
        } else {
            let client = self.client();
            process.wait_until(|_| client.is_active())?;
        }
        if self.options.tls.is_some() {
            let authority = fs::read(self.authority()).expect("the authority's certificate");
            super::least::register_tls(self.address(), self.address_of(self.port), authority);
        }
        self.process = Some(process);
        Ok(())
    }

    fn config(&self) -> String {
        let mut config = String::new();
        if self.options.any_name {
            config.push_str("disable_printable_check = true\n");
        }
        if self.options.audit {
            let file = self.path("audit.log").display().to_string();
            write!(config, "audit \"file\" \"to-file\" {{\n  options {{ file_path = {file:?} }}\n}}\n").unwrap();
        }
        if let Some(port) = self.guarded_port {
            let (certificate, key) = self.certificate();
            let (certificate, key, authority) = (certificate.display(), key.display(), self.authority());
            let authority = authority.display();
            write!(
                config,
                "listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_cert_file = \"{certificate}\"\n  \
                 tls_key_file = \"{key}\"\n  tls_require_and_verify_client_cert = true\n  \
                 tls_client_ca_file = \"{authority}\"\n}}\n"
            )
            .unwrap();
        }
        if self.options.persistent {
            let data = self.path("data");
            fs::create_dir_all(&data).expect("the storage's folder");
            let data = data.display();
            let (port, cluster_port) = (self.port, self.cluster_port);
            let mut join = String::new();
            for node in &self.peers {
                writeln!(join, "  retry_join {{\n    leader_api_addr = \"http://127.0.0.1:{node}\"\n  }}").unwrap();
            }
            write!(
                config,
                "storage \"raft\" {{\n  path = \"{data}\"\n  node_id = \"{port}\"\n  performance_multiplier = 1\n{join}}}\n\
                 listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
                 cluster_address = \"127.0.0.1:{cluster_port}\"\n  tls_disable = true\n}}\n\
                 api_addr = \"http://127.0.0.1:{port}\"\ncluster_addr = \"http://127.0.0.1:{cluster_port}\"\n"
            )
            .unwrap();
        }
        config
    }

    /// Initialises and unseals a fresh server, and gives it what one in memory has from the start.
    fn set_up(&mut self) {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let (status, answer) = self.client().request("PUT", "sys/init", Some(shares));
        assert_eq!(status, 200, "sys/init: {answer}");
        self.unseal_key = Some(answer["keys"][0].as_str().expect("a key").to_owned());
        self.unseal();
        let first = self.client().with_token(answer["root_token"].as_str().expect("a token"));
        let token = json!({ "id": Self::ROOT_TOKEN, "policies": ["root"] });
        let (status, answer) = first.request("POST", "auth/token/create", Some(token));
        assert_eq!(status, 200, "auth/token/create: {answer}");
        self.client().enable_kv("secret");
    }

    /// Closes a persistent one: until it is unsealed it knows nothing and answers 503.
    pub fn seal(&self) {
        let (status, answer) = self.client().request("PUT", "sys/seal", None);
        assert_eq!(status, 204, "sys/seal: {answer}");
    }

    /// Opens a persistent one again.
    ///
    /// # Panics
    /// If it does not become active, or, in a cluster, stands by.
    pub fn unseal(&mut self) {
        let client = self.client();
        let process = self.process.as_mut().expect("a running server");
        // a node of a cluster has to hear of it first
        let body = json!({ "key": self.unseal_key });
        process
            .wait_until(|_| client.request("PUT", "sys/unseal", Some(body.clone())).0 == 200)
            .expect("a server that knows its key");
        let may_stand_by = !self.peers.is_empty();
        process.wait_until(|_| client.is_active() || may_stand_by && client.stands_by()).expect("an active server");
    }

    /// `http://127.0.0.1:PORT`, or `https`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address_of(self.guarded_port.unwrap_or(self.port))
    }

    fn address_of(&self, port: u16) -> String {
        format!("{}://127.0.0.1:{port}", if self.options.tls.is_some() { "https" } else { "http" })
    }

    /// The authority's certificate, of a server with TLS.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path("vault-ca.pem")
    }

    /// The certificate and key of a server with TLS. Its authority issued them for clients, too.
    #[must_use]
    pub fn certificate(&self) -> (PathBuf, PathBuf) {
        (self.path("vault-cert.pem"), self.path("vault-key.pem"))
    }

    /// The API with [`Self::ROOT_TOKEN`]; needs no client certificate.
    #[must_use]
    pub fn client(&self) -> RootClient {
        let authority = self.options.tls.map(|_| fs::read(self.authority()).expect("the authority's certificate"));
        RootClient::new(&self.address_of(self.port), Self::ROOT_TOKEN, authority.as_deref())
    }

    /// What it was asked for, from now on.
    #[must_use]
    pub fn audit(&self) -> Audit {
        let mut audit = Audit::new(&self.path("audit.log"));
        audit.restart();
        audit
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on the same port. A persistent one is unsealed and holds what it held; one in memory is empty.
    ///
    /// # Panics
    /// If it does not start.
    pub fn bring_back(&mut self) {
        self.kill();
        self.launch().unwrap_or_else(|output| panic!("the server does not come back:\n{output}"));
        if self.options.persistent {
            self.unseal();
        }
    }

    /// Whether it leads its cluster now.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.process.is_some() && self.client().is_active()
    }

    /// Freezes it: connections are accepted, nothing is answered.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a running server").freeze();
    }

    /// Goes on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.process.as_ref().expect("a running server").signal("CONT");
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::join(self.folder.path(), name)
    }
}
