//! Tokens with exactly the policies that `vsync policy` prints.
//!
//! In a test's configuration the token `least` stands for one of these; `least+undo` and the like also have what
//! `--with undo` adds. They do not have the policy `default`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::Value;

use super::Run;
use super::api::RootClient;
use super::bao::BaoServer;

/// Address of a proxy → address of what is behind it: tokens are made where no fault is in the way, and no rule counts.
static UPSTREAMS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

/// Policies made so far, for names that nobody else has.
static POLICIES: AtomicUsize = AtomicUsize::new(0);

const KEY: &str = "token = \"";

pub(super) fn register(proxy: String, upstream: String) {
    UPSTREAMS.lock().unwrap_or_else(PoisonError::into_inner).insert(proxy, upstream);
}

/// The proxy is gone, and its port may soon be a server's.
pub(super) fn unregister(proxy: &str) {
    UPSTREAMS.lock().unwrap_or_else(PoisonError::into_inner).remove(proxy);
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
        let address = UPSTREAMS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(address)
            .cloned()
            .unwrap_or(address.to_owned());
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || token_with(&RootClient::new(&address, BaoServer::ROOT_TOKEN, None), policy);
        made.entry((address.clone(), policy.to_owned())).or_insert_with(new).clone()
    }
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
    let printed = run(&[&["policy", "--output", "json"], &with[..]].concat());
    let pages = printed.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    pages.filter(|page| page["system"] == "vault").collect()
}
