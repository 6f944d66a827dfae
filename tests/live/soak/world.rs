//! An origin and three destinations, each behind a proxy, and the daemon between them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Background, BaoServer, ConsulServer, FaultProxy, Vsync, free_port};

/// Metadata requests at once.
pub(super) const LISTERS: u64 = 8;
/// Secrets copied at once, for each destination.
pub(super) const WORKERS: u64 = 8;
/// Longer than the end of a cycle takes on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_mins(2);

/// Where a destination has what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// State in Consul; one folder goes elsewhere.
    Runner,
    /// Every path of one mount is another one.
    Renamed,
    /// As at the origin.
    Same,
}

/// A destination.
pub(super) struct Copy {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) server: BaoServer,
    pub(super) proxy: FaultProxy,
}

impl Copy {
    fn start(name: &'static str, kind: Kind) -> Self {
        let server = BaoServer::persistent();
        for mount in ["more", "runnerv2"] {
            server.client().enable_kv(mount);
        }
        let proxy = FaultProxy::start(&server.address());
        Self { name, kind, server, proxy }
    }

    /// Where `MOUNT/NAME` of the origin goes.
    pub(super) fn target(&self, path: &str) -> String {
        match self.kind {
            Kind::Runner => match path.strip_prefix("secret/runner/") {
                Some(rest) => format!("runnerv2/{rest}/secrets"),
                None => path.to_owned(),
            },
            Kind::Renamed => match path.strip_prefix("secret/") {
                Some(rest) => format!("secret/eu/{rest}"),
                None => path.to_owned(),
            },
            Kind::Same => path.to_owned(),
        }
    }

    fn config(&self, consul: &str) -> String {
        let more = match self.kind {
            Kind::Runner => format!(
                "[[destinations.transforms]]\nname = \"runner\"\n\
                 from = '^secret/data/runner/(?P<env>dev|prod)/(?P<app>[^/]+)$'\n\
                 to = 'runnerv2/data/${{env}}/${{app}}/secrets'\n\
                 [destinations.consul]\naddress = \"{consul}\"\ntimeout = \"5s\"\nmax_retries = 3\n"
            ),
            Kind::Renamed => "[[destinations.transforms]]\nname = \"eu\"\nfrom = '^secret/data/(?P<rest>.+)$'\n\
                              to = 'secret/data/eu/${rest}'\n"
                .to_owned(),
            Kind::Same => String::new(),
        };
        format!(
            "\n[[destinations]]\nname = \"{}\"\nmounts = [\"secret\", \"more\", \"runnerv2\"]\n\
             num_workers = {WORKERS}\n[destinations.vault]\naddress = \"{}\"\ntoken = \"least\"\ntimeout = \"10s\"\n\
             max_retries = 3\n{more}",
            self.name,
            self.proxy.address(),
        )
    }
}

/// All of it.
pub(super) struct World {
    pub(super) origin: BaoServer,
    pub(super) at_origin: FaultProxy,
    pub(super) consul: ConsulServer,
    pub(super) at_consul: FaultProxy,
    pub(super) copies: Vec<Copy>,
    pub(super) vsync: Vsync,
    pub(super) daemon: Background,
    /// How often the daemon was started.
    pub(super) life: usize,
    /// `false` while nobody can change anything at the origin.
    pub(super) origin_is_there: bool,
    health: u16,
}

impl World {
    pub(super) fn start() -> Self {
        let (origin, consul) = (BaoServer::persistent(), ConsulServer::persistent());
        let root = origin.client();
        root.enable_kv("more");
        let short = json!({ "token_ttl": "4m", "token_max_ttl": "15m", "token_no_default_policy": true });
        let (role, secret) = root.approle("approle", "soak", &short);
        let (at_origin, at_consul) = (FaultProxy::start(&origin.address()), FaultProxy::start(&consul.address()));
        let copies = vec![
            Copy::start("runner", Kind::Runner),
            Copy::start("renamed", Kind::Renamed),
            Copy::start("same", Kind::Same),
        ];
        let health = free_port();
        let destinations: String = copies.iter().map(|copy| copy.config(&at_consul.address())).collect();
        let vsync = Vsync::new(&format!(
            "health.address = \"127.0.0.1:{health}\"\n[origin]\nmounts = [\"secret\", \"more\"]\ntick = \"2s\"\n\
             num_workers = {LISTERS}\n[origin.vault]\naddress = \"{}\"\ntimeout = \"10s\"\nmax_retries = 3\n\
             approle = {{ role_id = \"{role}\", secret_id = \"{secret}\" }}\n{destinations}",
            at_origin.address(),
        ));
        root.policy("soak", &vsync.policies(&[])[0]);
        let daemon = watch(&vsync, 1);
        let origin_is_there = true;
        Self { origin, at_origin, consul, at_consul, copies, vsync, daemon, life: 1, origin_is_there, health }
    }

    /// The next life of the daemon; the former one has ended.
    pub(super) fn start_again(&mut self) {
        self.life += 1;
        self.daemon = watch(&self.vsync, self.life);
    }

    pub(super) fn servers(&self) -> Vec<(&'static str, &FaultProxy)> {
        let copies = self.copies.iter().map(|copy| (copy.name, &copy.proxy));
        [("origin", &self.at_origin), ("consul", &self.at_consul)].into_iter().chain(copies).collect()
    }

    /// What the daemon says of itself.
    pub(super) fn status(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.health)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        write!(stream, "GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// Revokes every token that vsync has logged in for. How many there were.
    pub(super) fn revoke_logins(&self) -> usize {
        let root = self.origin.client();
        let (_, answer) = root.request("LIST", "auth/token/accessors", None);
        let accessors = answer["data"]["keys"].as_array().cloned().unwrap_or_default();
        let revoked = accessors.into_iter().filter(|accessor| {
            let this = json!({ "accessor": accessor });
            let (_, token) = root.request("POST", "auth/token/lookup-accessor", Some(this.clone()));
            token["data"]["path"] == "auth/approle/login"
                && root.request("POST", "auth/token/revoke-accessor", Some(this)).0 == 204
        });
        revoked.count()
    }
}

/// As README's unit for systemd runs it.
fn watch(vsync: &Vsync, life: usize) -> Background {
    vsync.background(&format!("life-{life}"), &["sync", "--watch"], &[("MALLOC_ARENA_MAX", "2".to_owned())])
}

/// The port of `http://127.0.0.1:PORT`.
pub(super) fn port(address: &str) -> u16 {
    address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}
