//! The configuration as the program uses it: complete, checked, without places.

mod login;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

pub use login::{AppRole, Cert, Jwt, Kubernetes, Password};
use serde::{Deserialize, Deserializer, de};
use zeroize::Zeroizing;

use super::check::parse_duration;
use crate::engine::{Fidelity, Listing, MaxDelete, OnDelete, OnDrift, OnExisting, Rule};
use crate::sync_info::EngineKind;

/// Everything that is configured, defaults included.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What this installation is called; names the embedded store's file.
    pub name: String,
    /// The number of buckets of the sync info; `None`: what the stored state has, or as many as are needed.
    pub num_buckets: Option<usize>,
    /// What is gone at the origin stays at the destinations, as vsync v0.3 says it.
    pub ignore_deletes: Option<bool>,
    /// What becomes of secrets that are gone at the origin; each destination may say otherwise.
    pub on_delete: OnDelete,
    /// Globs over the origin's paths: what matches is copied and verified before the rest; each destination may say
    /// otherwise.
    #[serde(default)]
    pub canary: Vec<String>,
    /// How much of a secret is copied; each destination may say otherwise.
    pub fidelity: Fidelity,
    /// The log.
    pub log: Log,
    /// The embedded store, for sides without Consul.
    pub state: StateFile,
    /// Where daemons answer how they are; `None`: nowhere.
    pub health: Option<Health>,
    /// Where secrets come from.
    pub origin: Origin,
    /// Where they go.
    #[serde(default)]
    pub destinations: Vec<Destination>,
}

impl Config {
    /// Sides of which a server's certificate is taken without a look: `origin`, or a destination's name.
    pub fn unverified(&self) -> impl Iterator<Item = &str> {
        let trusting = |vault: &Vault, consul: Option<&Consul>| {
            vault.tls_skip_verify || consul.is_some_and(|consul| consul.tls_skip_verify)
        };
        let origin = trusting(&self.origin.vault, self.origin.consul.as_ref()).then_some("origin");
        let destinations = self.destinations.iter();
        let destinations = destinations.filter(move |one| trusting(&one.vault, one.consul.as_ref()));
        origin.into_iter().chain(destinations.map(|one| one.name.as_str()))
    }
}

/// The log.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `trace`, `debug`, `info`, `warn`, `error` or `off`.
    #[serde(deserialize_with = "log_level")]
    pub level: String,
    /// How lines are written.
    #[serde(rename = "type")]
    pub format: LogFormat,
    /// The file; the day is added to its name.
    pub file: PathBuf,
}

/// How the log's lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Console,
    /// One JSON object a line.
    Json,
}

/// The embedded store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateFile {
    /// Its file.
    pub file: PathBuf,
}

/// Where daemons answer how they are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// `127.0.0.1:8209`: an address of this machine and a port.
    pub address: String,
}

impl Health {
    /// The address to listen at.
    ///
    /// # Errors
    /// Why it is none.
    pub fn socket(&self) -> Result<SocketAddr, String> {
        match self.address.parse::<SocketAddr>() {
            Ok(socket) if socket.port() == 0 => Err(format!("\"{}\" has no port", self.address)),
            Ok(socket) => Ok(socket),
            Err(_) => Err(format!("\"{}\" is no IP address with a port", self.address)),
        }
    }
}

/// The origin.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// Its Vault.
    pub vault: Vault,
    /// The Consul its state is kept in; `None`: the embedded store.
    pub consul: Option<Consul>,
    /// The mounts that are read.
    pub mounts: Vec<String>,
    /// The prefix of its keys in the store.
    pub sync_path: String,
    /// How many requests may list and read metadata at once.
    pub num_workers: usize,
    /// How often a daemon looks for changes. One-shot commands have no use for it.
    #[serde(default, deserialize_with = "duration")]
    pub tick: Option<Duration>,
    /// How long finding out what the origin holds may take.
    #[serde(default, deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// For how long a cycle waits while its Vault does not answer.
    #[serde(default, deserialize_with = "duration")]
    pub patience: Option<Duration>,
    /// Accepted because vsync v0.3 has it: tokens that can be renewed always are.
    pub renew_token: Option<bool>,
    /// Globs of which one must match a secret; none: all take part.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of which none may match it.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// How metadata is listed.
    #[serde(deserialize_with = "listing")]
    pub listing: Listing,
    /// The version of all its KV engines; `None`: found out for each mount.
    #[serde(default, deserialize_with = "kv_version")]
    pub kv_version: Option<EngineKind>,
    /// Those of its mounts that are of KV version 1; the version of the others is found out.
    #[serde(default)]
    pub v1_mounts: Vec<String>,
}

/// A destination.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// Its name.
    pub name: String,
    /// Its Vault.
    pub vault: Vault,
    /// The Consul its state is kept in; `None`: the embedded store.
    pub consul: Option<Consul>,
    /// The mounts that may be written.
    pub mounts: Vec<String>,
    /// The prefix of its keys in the store.
    pub sync_path: String,
    /// How many workers copy to it at once.
    pub num_workers: usize,
    /// How often a daemon looks for changes. One-shot commands have no use for it.
    #[serde(default, deserialize_with = "duration")]
    pub tick: Option<Duration>,
    /// How long a cycle may go on beginning tasks.
    #[serde(default, deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    /// For how long a cycle waits while its Vault does not answer.
    #[serde(default, deserialize_with = "duration")]
    pub patience: Option<Duration>,
    /// It begins when all destinations of smaller waves have ended without failures.
    pub wave: u32,
    /// Globs over the origin's paths: what matches is copied and verified before the rest.
    #[serde(default)]
    pub canary: Vec<String>,
    /// Accepted because vsync v0.3 has it: tokens that can be renewed always are.
    pub renew_token: Option<bool>,
    /// Where secrets go, first match wins.
    #[serde(default)]
    pub transforms: Vec<Transform>,
    /// Globs of which one must match a secret; none: all take part.
    #[serde(default)]
    pub include: Vec<String>,
    /// Globs of which none may match it.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// What is gone at the origin stays here, as vsync v0.3 says it; [`Destination::on_delete`] has it, too.
    pub ignore_deletes: Option<bool>,
    /// What becomes of secrets that are gone at the origin.
    pub on_delete: OnDelete,
    /// Whether mounts that are missing there are created, with the origin's options.
    pub create_mounts: bool,
    /// People's apps depend on it: the console draws a red frame wherever it is about to be written.
    pub production: bool,
    /// What to do about secrets that somebody else has changed there.
    pub on_drift: OnDrift,
    /// What to do about secrets that are there before vsync writes them.
    pub on_existing: OnExisting,
    /// How much of a secret is copied.
    pub fidelity: Fidelity,
    /// What stops a cycle before its first write.
    pub guards: Guards,
}

/// A transform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Its name.
    pub name: String,
    /// The regular expression.
    pub from: String,
    /// The destination path.
    pub to: String,
}

impl Transform {
    /// As the engine takes it.
    #[must_use]
    pub fn rule(&self) -> Rule {
        Rule { name: self.name.clone(), from: self.from.clone(), to: self.to.clone() }
    }
}

/// Guards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// How many deletes are too many.
    #[serde(deserialize_with = "max_delete")]
    pub max_delete: MaxDelete,
    /// How many secrets daemons and watch mode may destroy or purge in one cycle.
    #[serde(deserialize_with = "max_delete")]
    pub max_purge: MaxDelete,
}

/// A Vault server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// `https://host:port`.
    pub address: String,
    /// Addresses of further nodes of the same cluster.
    #[serde(default)]
    pub standby_addresses: Vec<String>,
    /// The token itself.
    pub token: Option<Sensitive>,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// A program that prints the token.
    pub token_helper: Option<PathBuf>,
    /// The namespace, of Vault Enterprise or OpenBao.
    pub namespace: Option<String>,
    /// Log in with a role's ids.
    pub approle: Option<AppRole>,
    /// Log in with a pod's service account.
    pub kubernetes: Option<Kubernetes>,
    /// Log in with a JWT.
    pub jwt: Option<Jwt>,
    /// Log in with a name and a password.
    pub userpass: Option<Password>,
    /// Log in with a name and a password of an LDAP directory.
    pub ldap: Option<Password>,
    /// Log in with the client's certificate.
    pub cert: Option<Cert>,
    /// A PEM file of certificate authorities.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with the client's certificate.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the client's key.
    pub client_key: Option<PathBuf>,
    /// The name to expect in the server's certificate.
    pub tls_server_name: Option<String>,
    /// Trust any certificate.
    pub tls_skip_verify: bool,
    /// How long one attempt of a request may take.
    #[serde(deserialize_with = "some_duration")]
    pub timeout: Duration,
    /// How long connecting may take.
    #[serde(deserialize_with = "some_duration")]
    pub connect_timeout: Duration,
    /// How often a request is repeated.
    pub max_retries: u32,
    /// The most requests a second.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A Consul agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consul {
    /// `http://host:port`.
    #[serde(deserialize_with = "consul_address")]
    pub address: String,
    /// The datacenter; `None`: the agent's own.
    pub dc: Option<String>,
    /// The ACL token itself.
    pub token: Option<Sensitive>,
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// A PEM file of certificate authorities.
    pub ca_cert: Option<PathBuf>,
    /// A PEM file with the client's certificate.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the client's key.
    pub client_key: Option<PathBuf>,
    /// The name to expect in the agent's certificate.
    pub tls_server_name: Option<String>,
    /// Trust any certificate.
    pub tls_skip_verify: bool,
    /// How long one attempt of a request may take.
    #[serde(deserialize_with = "some_duration")]
    pub timeout: Duration,
    /// How long connecting may take.
    #[serde(deserialize_with = "some_duration")]
    pub connect_timeout: Duration,
    /// How often a request is repeated.
    pub max_retries: u32,
    /// The most requests a second.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A token or the like. Never shown by `Debug`, overwritten with zeros when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &Zeroizing<String> {
        &self.0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// Consul's own tools take an address without a scheme, and so did v0.3.
fn consul_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let address = String::deserialize(deserializer)?;
    Ok(if address.contains("://") { address } else { format!("http://{address}") })
}

fn log_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|word| super::legacy::log_level(&word).to_owned())
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    some_duration(deserializer).map(Some)
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

fn max_delete<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MaxDelete, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn kv_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EngineKind>, D::Error> {
    match u64::deserialize(deserializer)? {
        1 => Ok(Some(EngineKind::KvV1)),
        2 => Ok(Some(EngineKind::KvV2)),
        other => Err(de::Error::custom(format!("there is no KV version {other}"))),
    }
}

fn listing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Listing, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "auto" => Ok(Listing::Auto),
        "scan" => Ok(Listing::Scan),
        "detailed" => Ok(Listing::Detailed),
        "plain" => Ok(Listing::Plain),
        other => Err(de::Error::custom(format!("there is no listing \"{other}\""))),
    }
}
