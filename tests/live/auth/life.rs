//! How tokens live and end.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use vsync::http::HttpSettings;
use vsync::kv::{Mount, SecretPath};
use vsync::vault::{Auth, Login, SecretSource, VaultClient, VaultSettings};
use zeroize::Zeroizing;

use super::{LEAST, config, copier};
use crate::support::{Audit, BaoServer, RootClient, Vsync, canary};

fn client(server: &BaoServer, auth: Auth) -> VaultClient {
    let http = HttpSettings { address: server.address(), max_retries: 0, ..HttpSettings::default() };
    VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client")
}

/// What a client that stands alone, without a configuration that asks for less, is let do here.
const POLICY: &str = r#"
    path "secret/data/*" { capabilities = ["read"] }
"#;

fn app_role(api: &RootClient, role: &serde_json::Value) -> Auth {
    api.policy("copier", POLICY);
    let (role_id, secret_id) = api.approle("approle", "copier", role);
    Auth::Login(Login::app_role("approle", &role_id, SecretSource::Value(Zeroizing::new(secret_id))))
}

/// Reads for so long; each read has to succeed.
async fn read_for(client: &VaultClient, time: Duration) {
    let path = SecretPath::new(&Mount::parse("secret").expect("a mount"), "a");
    let begun = Instant::now();
    while begun.elapsed() < time {
        client.read(&path).await.expect("a secret");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// Seconds from one request to the next.
fn gaps(audit: &Audit, path: &str, next: &str) -> Vec<f64> {
    let (mut times, next) = (audit.times(path), audit.times(next));
    times.extend(next);
    times.sort();
    times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect()
}

#[tokio::test]
async fn a_login_is_renewed_in_time_and_made_anew_when_it_may_not_get_older() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": canary(1) }));
    let auth = app_role(&api, &json!({ "token_ttl": "4s", "token_max_ttl": "8s" }));
    let audit = server.audit();
    read_for(&client(&server, auth), Duration::from_secs(10)).await;
    // on a busy machine the last renewal may come when the 8 s are over
    let refused = audit.refused().into_iter().filter(|refused| !refused.contains("past the max TTL"));
    assert_eq!(refused.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(audit.times("auth/approle/login").len(), 2, "one token for its 8 s, and the next");
    assert!(audit.times("auth/token/renew-self").len() >= 2);
    let gaps = gaps(&audit, "auth/approle/login", "auth/token/renew-self");
    // two thirds of 4 s, and whatever the machine takes to get to it
    assert!(gaps[0] >= 2.5 && gaps.iter().all(|gap| *gap < 3.9), "{gaps:?}");
}

/// OpenBao answers 500, which otherwise passes.
#[tokio::test]
async fn a_login_that_has_become_too_old_to_be_renewed_is_made_anew_at_once() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": canary(1) }));
    let auth = app_role(&api, &json!({ "token_ttl": "9s", "token_max_ttl": "1m" }));
    let audit = server.audit();
    let vault = client(&server, auth);
    read_for(&vault, Duration::from_millis(1)).await;
    // meanwhile somebody lowers the limit
    let role = json!({ "token_ttl": "5s", "token_max_ttl": "5s" });
    assert_eq!(api.request("POST", "auth/approle/role/copier", Some(role)).0, 204);
    read_for(&vault, Duration::from_secs(8)).await;
    assert!(audit.refused()[0].contains("past the max TTL"), "{:?}", audit.refused());
    let (logins, renewals) = (audit.times("auth/approle/login"), audit.times("auth/token/renew-self"));
    let before = renewals.iter().filter(|renewal| **renewal < logins[1]).count();
    assert_eq!(before, 1, "it is not tried again: {logins:?}, {renewals:?}");
}

#[tokio::test]
async fn a_given_token_outlives_its_life_while_nothing_is_asked() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": canary(1) }));
    api.policy("copier", POLICY);
    let period = json!({ "policies": ["copier"], "period": "3s" });
    let (_, answer) = api.request("POST", "auth/token/create", Some(period));
    let token = answer["auth"]["client_token"].as_str().expect("a token").to_owned();
    let audit = server.audit();
    let vault = client(&server, Auth::Token(Zeroizing::new(token)));
    read_for(&vault, Duration::from_millis(1)).await;
    // nobody asks for anything: what has to be waited for is that time passes
    tokio::time::sleep(Duration::from_secs(5)).await;
    read_for(&vault, Duration::from_millis(1)).await;
    assert_eq!(audit.refused(), [""; 0]);
    assert_eq!(audit.times("secret/data/a").len(), 2);
    assert!((2..=3).contains(&audit.times("auth/token/renew-self").len()), "{:?}", audit.requests());
}

/// Two servers, slow enough to be interrupted, and the program between them; `way` leads into the destination.
fn slow_cycle(way: impl FnOnce(&RootClient) -> String) -> (BaoServer, BaoServer, Vsync) {
    let (from, to) = (BaoServer::start(), BaoServer::with_audit());
    from.client().write_all("secret", (0..COUNT).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
    let way = format!("requests_per_second = 40\n{}", way(&to.client()));
    let vsync = Vsync::new(&config(&from, LEAST, &to, &way));
    // with this a first plan is refused a listing, so that the token has just been found valid
    to.client().policy("copier", &vsync.policies(&[])[1]);
    (from, to, vsync)
}

const COUNT: usize = 120;

/// Waits until some secrets are copied, but not all.
fn wait_for_the_middle(audit: &Audit) {
    let begun = Instant::now();
    while audit.touched("secret/data/").len() < 20 {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is copied");
        sleep(Duration::from_millis(10));
    }
}

fn assert_all_copied_once(from: &BaoServer, to: &BaoServer) {
    assert_eq!(to.client().read_all("secret"), from.client().read_all("secret"));
    let metadata = to.client().metadata_all("secret");
    assert!(metadata.values().all(|metadata| metadata["current_version"] == 1));
}

#[test]
fn a_login_that_is_revoked_in_mid_cycle_is_made_anew() {
    let (from, to, vsync) = slow_cycle(|api| {
        let (role_id, secret_id) = api.approle("approle", "copier", &copier(json!({})));
        format!("approle = {{ role_id = \"{role_id}\", secret_id = \"{secret_id}\" }}")
    });
    let audit = to.audit();
    let cycle = vsync.spawn(&["sync", "--yes"]);
    wait_for_the_middle(&audit);
    let (status, answer) = to.client().request("PUT", "sys/leases/revoke-prefix/auth/approle", None);
    assert_eq!(status, 204, "{answer}");
    let _ = cycle.wait().expect(0);
    assert_eq!(audit.times("auth/approle/login").len(), 2);
    assert_all_copied_once(&from, &to);
}

#[test]
fn a_given_token_that_is_revoked_in_mid_cycle_ends_it_with_the_rest_pending() {
    let (from, to, vsync) = slow_cycle(|_| "token_file = \"token\"".to_owned());
    let token = to.client().token_without_default("copier");
    std::fs::write(vsync.folder().join("token"), &token).expect("a file");
    let audit = to.audit();
    let cycle = vsync.spawn(&["--output", "json", "sync", "--yes"]);
    wait_for_the_middle(&audit);
    to.client().revoke(&token);
    let run = cycle.wait().expect(1);
    let objects = run.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let objects: Vec<_> = objects.collect();
    assert!(objects.iter().all(|object| object["type"] != "failure"), "{}", run.text());
    let report = objects.iter().find(|object| object["destinations"].is_array()).expect("a report");
    let part = &report["destinations"][0];
    let copied = to.client().read_all("secret").len();
    assert!(copied < COUNT && part["pending"] == COUNT - copied, "{copied} copied: {report}");
    assert!(part["blocked"].as_str().is_some_and(|reason| reason.contains("no longer valid")), "{part}");

    std::fs::write(vsync.folder().join("token"), to.client().token_without_default("copier")).expect("a file");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_all_copied_once(&from, &to);
}

#[test]
fn the_token_of_a_wrapped_secret_id_is_renewed_because_there_is_no_second_login() {
    let (from, to, vsync) = slow_cycle(|api| {
        let once = copier(json!({ "token_ttl": "8s", "secret_id_num_uses": 1 }));
        let (role_id, _) = api.approle("approle", "copier", &once);
        format!("approle = {{ role_id = \"{role_id}\", secret_id_file = \"wrapped\", secret_id_wrapped = true }}")
    });
    let wrapped = to.client().wrapped("auth/approle/role/copier/secret-id", "5m");
    let token = wrapped["wrap_info"]["token"].as_str().expect("a token");
    std::fs::write(vsync.folder().join("wrapped"), token).expect("a file");
    let audit = to.audit();
    let begun = Instant::now();
    // sixteen workers wait for their turns, and the renewal does not wait behind them
    let _ = vsync.run(&["sync", "--yes", "--set", "destination.vault.requests_per_second=12"]).expect(0);
    assert!(begun.elapsed() > Duration::from_secs(9), "it lived longer than its token would: {:?}", begun.elapsed());
    assert_eq!(audit.times("auth/approle/login").len(), 1);
    assert!(!audit.times("auth/token/renew-self").is_empty());
    assert_all_copied_once(&from, &to);
}
