//! Tokens with exactly the policies that `vsync policy` prints.
//!
//! In a test's configuration the token `least` stands for one of these; `least+undo` and the like also have what
//! `--with undo` adds. They do not have the policy `default`. Where nobody listens there is none to be had: a server that
//! dies in a test is killed after the configuration was written.

use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

use super::Run;
use super::api::RootClient;
use super::bao::BaoServer;

/// How tokens are made where the configuration has an address that is not fit for it.
#[derive(Clone)]
struct Way {
    address: String,
    /// The certificate of a server with TLS, in PEM.
    authority: Option<Vec<u8>>,
}

/// Of a proxy: what is behind it, where no fault is in the way, and no rule counts. Of a server with TLS: its port that
/// asks for no certificate.
static WAYS: LazyLock<Mutex<HashMap<String, Way>>> = LazyLock::new(Mutex::default);

/// Policies made so far, for names that nobody else has.
static POLICIES: AtomicUsize = AtomicUsize::new(0);

const KEY: &str = "token = \"";

/// What a side has for a token whose server does not listen.
const NOBODY: &str = "nobody-is-there";

pub(super) fn register(proxy: String, upstream: String) {
    add(proxy, Way { address: upstream, authority: None });
}

pub(super) fn register_tls(server: String, open: String, authority: Vec<u8>) {
    add(server, Way { address: open, authority: Some(authority) });
}

fn add(address: String, way: Way) {
    WAYS.lock().unwrap_or_else(PoisonError::into_inner).insert(address, way);
}

/// The proxy is gone, and its port may soon be a server's.
pub(super) fn unregister(proxy: &str) {
    WAYS.lock().unwrap_or_else(PoisonError::into_inner).remove(proxy);
}

/// Tokens that were made, by server and policy: a configuration that is written again keeps its token.
#[derive(Default)]
pub(super) struct LeastTokens(Mutex<HashMap<(String, String), String>>);

impl LeastTokens {
    /// The configuration with tokens in place of their names. The sides in it stand in the order origin, destinations.
    /// One that cannot be used stays as it is. `run` runs the program with the configuration as it is.
    pub(super) fn fill_in(&self, config: &str, run: impl Fn(&[&str]) -> Run) -> String {
        let mut filled = config.to_owned();
        let mut pages: HashMap<String, Vec<Value>> = HashMap::new();
        for (at, token) in side_tokens(config).iter().enumerate() {
            let Some(with) = token.strip_prefix("least") else { continue };
            let with = with.trim_start_matches('+');
            let Some(page) = pages.entry(with.to_owned()).or_insert_with(|| printed(with, &run)).get(at) else {
                return config.to_owned();
            };
            let text = |key: &str| page[key].as_str().expect("a text");
            let made = self.token(text("address"), text("policy"));
            filled = filled.replacen(&format!("{KEY}{token}\""), &format!("{KEY}{made}\""), 1);
        }
        filled
    }

    fn token(&self, address: &str, policy: &str) -> String {
        let way = WAYS.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        let way = way.unwrap_or_else(|| Way { address: address.to_owned(), authority: None });
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (way.address, policy.to_owned());
        if !made.contains_key(&key) && is_dead(&key.0) {
            return NOBODY.to_owned();
        }
        let new = |key: &(String, String)| {
            token_with(&RootClient::new(&key.0, BaoServer::ROOT_TOKEN, way.authority.as_deref()), policy)
        };
        made.entry(key).or_insert_with_key(new).clone()
    }
}

fn is_dead(address: &str) -> bool {
    let (_, authority) = address.split_once("://").expect("a scheme");
    TcpStream::connect(authority.trim_end_matches('/')).is_err()
}

/// A new token with this policy and no other.
#[must_use]
pub fn token_with(server: &RootClient, policy: &str) -> String {
    let name = format!("least-{}", POLICIES.fetch_add(1, Ordering::Relaxed));
    server.policy(&name, policy);
    server.token_without_default(&name)
}

/// The tokens in a configuration, in its order.
pub(super) fn markers(config: &str) -> Vec<String> {
    config.split(KEY).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// The tokens of the origin's Vault and of the destinations'; empty where there is none.
fn side_tokens(config: &str) -> Vec<String> {
    let config: toml::Table = config.parse().unwrap_or_default();
    let token = |side: &toml::Value| {
        let token = side.get("vault").and_then(|vault| vault.get("token"));
        token.and_then(toml::Value::as_str).unwrap_or_default().to_owned()
    };
    let destinations = config.get("destinations").and_then(toml::Value::as_array).into_iter().flatten();
    config.get("origin").into_iter().chain(destinations).map(token).collect()
}

fn printed(with: &str, run: &impl Fn(&[&str]) -> Run) -> Vec<Value> {
    let with = if with.is_empty() { Vec::new() } else { vec!["--with", with] };
    pages(&run(&[&["policy", "--output", "json"], &with[..]].concat()))
}

/// What `vsync policy --output json` printed for Vaults.
pub(super) fn pages(printed: &Run) -> Vec<Value> {
    let pages = printed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    pages.filter(|page| page["system"] == "vault").collect()
}
