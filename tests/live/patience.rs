//! Servers that want to be treated gently: that refuse, that are slow, that lag behind, that send one elsewhere.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoServer, Fault, FaultProxy, Run, Vsync, When, token_with};
use crate::trial::{EACH, Setup, Trial, seed};
use vsync::http::{HttpSettings, Why};
use vsync::kv::{Mount, SecretPath};
use vsync::vault::{Auth, VaultClient, VaultSettings};

/// The JSON objects of this type that a run wrote.
fn objects(text: &str, kind: &str) -> Vec<Value> {
    let parsed = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|object| object["type"] == kind).collect()
}

/// How requests to a side were limited at the end of a cycle.
fn limit(run: &Run, side: &str) -> Value {
    let report = objects(&run.stdout, "report").pop().expect("a report");
    let limits = report["limits"].as_array().expect("limits").clone();
    limits.into_iter().find(|limit| limit["side"] == side).expect("the side's limit")
}

const SYNC: [&str; 4] = ["sync", "--yes", "--output", "json"];

/// The server lets so many requests a second through, and tells the others when to come back.
fn set_quota(server: &BaoServer, rate: u32) {
    let client = server.client();
    let headers = json!({ "enable_rate_limit_response_headers": true });
    assert!(client.request("POST", "sys/quotas/config", Some(headers)).0 < 300);
    let quota = json!({ "rate": rate, "interval": "1s", "path": "secret/" });
    assert!(client.request("POST", "sys/quotas/rate-limit/gentle", Some(quota)).0 < 300);
}

fn lift_quota(server: &BaoServer) {
    assert_eq!(server.client().request("DELETE", "sys/quotas/rate-limit/gentle", None).0, 204);
}

#[test]
fn a_quota_of_the_server_halves_the_limit_and_nothing_fails() {
    let trial = Trial::start(&Setup { retries: 10, ..Setup::default() });
    seed(&trial.origin.client());
    set_quota(&trial.destination, 60);
    let run = trial.vsync.run(&SYNC).expect(0);
    lift_quota(&trial.destination);
    trial.assert_equal();
    trial.assert_versions(1);
    let copy = limit(&run, "copy");
    assert!(copy["lowered"].as_u64() >= Some(1), "{copy}");
    assert!(copy["limit"].as_u64() < Some(16) && copy["ceiling"] == 16, "{copy}");
    assert_eq!(copy["last_cut"]["cause"], "429", "{copy}");
    assert!(copy["text"].as_str().is_some_and(|text| text.contains(" of 16 (") && text.contains("429)")), "{copy}");
    let refused = trial.at_destination.requests("", "").iter().filter(|request| request.status == Some(429)).count();
    // each of 160 secrets of that mount meets the quota alone without a shared pause
    assert!(refused < 160, "{refused} refusals");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_grows_back_when_the_quota_is_gone() {
    let server = BaoServer::start();
    server.client().write("secret", "app", &json!({ "a": 1 }));
    set_quota(&server, 20);
    let http = HttpSettings { address: server.address(), max_retries: 10, ..HttpSettings::default() };
    let token = token_with(&server.client(), "path \"secret/data/app\" { capabilities = [\"read\"] }");
    let auth = Auth::Token(token.into());
    let client = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
    client.allow_in_flight(8);
    let path = SecretPath::parse("secret/app", &[Mount::parse("secret").expect("a mount")]).expect("a path");
    let read_many = async |count: usize| {
        let reads = (0..count).map(|_| client.read(&path));
        futures_util::future::try_join_all(reads).await.expect("all are read");
    };
    read_many(40).await;
    let throttle = client.throttle().expect("a limit");
    assert!(throttle.limit < 8 && throttle.to_string().contains("429"), "{throttle}");
    lift_quota(&server);
    let start = Instant::now();
    while client.throttle().expect("a limit").limit < 8 {
        assert!(start.elapsed() < Duration::from_mins(1), "{}", client.throttle().expect("a limit"));
        read_many(200).await;
    }
    assert_eq!(client.throttle().expect("a limit").why, Why::Full);
}

#[test]
fn answers_of_503_and_connections_broken_off_halve_the_limit() {
    for (fault, cause) in [(Fault::Status(503), "503"), (Fault::ResetAfterwards, "reset")] {
        let trial = Trial::start(&Setup { retries: 5, ..Setup::default() });
        seed(&trial.origin.client());
        let _ = trial.at_destination.rule("POST", "/data/", When::First(10), fault);
        let run = trial.vsync.run(&SYNC).expect(0);
        trial.assert_equal();
        let copy = limit(&run, "copy");
        assert!(copy["lowered"].as_u64() >= Some(1), "{copy}");
        // it may be back at its ceiling by now, and a busy machine is slow, too
        let last = copy["last_cut"]["cause"].as_str().unwrap_or(cause);
        assert!([cause, "latency"].contains(&last), "{copy}");
    }
}

#[test]
fn slow_answers_lower_the_limit_gently() {
    let trial = Trial::start(&Setup { retries: 1, ..Setup::default() });
    seed(&trial.origin.client());
    let slow = Fault::Delay(Duration::from_millis(400));
    let _ = trial.at_destination.rule("POST", "/data/", When::From(EACH as u64), slow);
    let run = trial.vsync.run(&SYNC).expect(0);
    trial.assert_equal();
    let copy = limit(&run, "copy");
    assert_eq!(copy["last_cut"]["cause"], "latency", "{copy}");
    let now = copy["limit"].as_u64().expect("a limit");
    assert!((4..16).contains(&now), "a quarter at least: {copy}");
    // whoever follows the cycle sees it, too
    let progress = objects(&run.stderr, "progress");
    let texts = progress.iter().flat_map(|object| object["limits"].as_array().cloned().unwrap_or_default());
    let texts: Vec<_> = texts.filter_map(|limit| limit["text"].as_str().map(str::to_owned)).collect();
    assert!(texts.iter().any(|text| text.contains("slow answers")), "{texts:?}");
}

#[test]
fn who_waits_for_a_server_that_wants_to_be_left_alone_can_be_stopped() {
    let trial = Trial::start(&Setup { retries: 5, ..Setup::default() });
    seed(&trial.origin.client());
    let rule = trial.at_destination.rule("POST", "/data/", When::Always, Fault::RetryAfter(50));
    let running = trial.vsync.spawn(&SYNC);
    rule.wait_until_picked(1);
    let asked = Instant::now();
    running.signal("INT");
    let run = running.wait();
    assert_eq!(run.code, Some(130), "{}", run.text());
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    assert!(limit(&run, "copy")["text"].as_str().is_some_and(|text| text.starts_with("paused for ")));
    assert!(rule.picked() <= 16, "one burst, then nobody: {}", rule.picked());
    rule.remove();
    let _ = trial.sync().expect(0);
    trial.assert_equal();
    trial.assert_versions(1);
}

/// vsync between an origin at this address with these further keys and a destination.
fn between(origin: &str, keys: &str, destination: &BaoServer) -> Vsync {
    Vsync::new(&format!(
        "[origin]\nmounts = [\"secret\"]\n[origin.vault]\naddress = \"{origin}\"\ntoken = \"least\"\nmax_retries = 1\n{keys}\n\
         [[destinations]]\nname = \"copy\"\n[destinations.vault]\naddress = \"{}\"\ntoken = \"least\"\n",
        destination.address()
    ))
}

fn fill(server: &BaoServer, count: usize) {
    server.client().write_all("secret", (0..count).map(|n| (format!("app-{n}"), json!({ "n": n }))));
}

#[test]
fn a_standby_is_followed_to_the_active_node_if_that_is_configured() {
    let (active, destination) = (BaoServer::with_audit(), BaoServer::start());
    fill(&active, 30);
    let standby = FaultProxy::start(&active.address());
    let _ = standby.rule("", "", When::Always, Fault::Redirect(active.address()));

    let vsync = between(&standby.address(), "", &destination);
    let audit = active.audit();
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    for part in [&format!("redirects to {}", active.address()), "standby_addresses"] {
        assert!(run.text().contains(part), "{part} in {}", run.text());
    }
    assert_eq!(audit.touched(""), [""; 0], "the token goes to no place that nobody named");

    let keys = format!("standby_addresses = [\"{}\"]", active.address());
    let vsync = between(&standby.address(), &keys, &destination);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read_all("secret"), active.client().read_all("secret"));
}

#[test]
fn another_node_takes_over_from_one_that_is_gone_or_no_longer_takes_requests() {
    let (active, destination) = (BaoServer::start(), BaoServer::start());
    fill(&active, 60);
    let keys = format!("standby_addresses = [\"{}\"]", active.address());
    let first = FaultProxy::start(&active.address());
    let vsync = between(&first.address(), &keys, &destination);
    drop(first);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read_all("secret"), active.client().read_all("secret"));

    let destination = BaoServer::start();
    let first = FaultProxy::start(&active.address());
    let sealed = first.rule("GET", "/data/", When::From(20), Fault::Status(503));
    let run = between(&first.address(), &keys, &destination).run(&SYNC).expect(0);
    assert_eq!(destination.client().read_all("secret"), active.client().read_all("secret"));
    assert!(sealed.picked() <= 16, "then nobody asks it any more: {}", sealed.picked());
    assert_eq!(
        limit(&run, "origin")["text"],
        "limit 16 of 16",
        "a node that hands over is no server that is overwhelmed"
    );
}

/// What the server answers now to who reads a secret.
fn answer_of(server: &BaoServer, name: &str) -> String {
    let (status, body) = server.client().request("GET", &format!("secret/data/{name}"), None);
    assert_eq!(status, 200);
    body.to_string()
}

#[test]
fn a_read_that_is_older_than_the_plan_is_repeated() {
    let trial = Trial::start(&Setup::default());
    let client = trial.origin.client();
    client.write("secret", "lags", &json!({ "v": 1 }));
    client.write("secret", "stays", &json!({ "v": 1 }));
    let _ = trial.sync().expect(0);
    let (lags, stays) = (answer_of(&trial.origin, "lags"), answer_of(&trial.origin, "stays"));
    client.write("secret", "lags", &json!({ "v": 2 }));
    client.write("secret", "stays", &json!({ "v": 2 }));
    client.write("secret", "new", &json!({ "v": 1 }));
    let old = trial.at_origin.rule("GET", "/data/lags", When::First(3), Fault::Answer(200, lags));
    let never = trial.at_origin.rule("GET", "/data/stays", When::Always, Fault::Answer(200, stays));
    let absent = trial.at_origin.rule("GET", "/data/new", When::First(2), Fault::Status(404));

    let run = trial.vsync.run(&SYNC).expect(3);
    assert_eq!((old.picked(), absent.picked()), (3, 2));
    let copy = trial.destination.client();
    assert_eq!(copy.read("secret", "lags"), Some(json!({ "v": 2 })));
    assert_eq!(copy.read("secret", "new"), Some(json!({ "v": 1 })));
    assert_eq!(copy.read("secret", "stays"), Some(json!({ "v": 1 })), "nothing old is written again");
    let failures = objects(&run.stdout, "failure");
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0]["cause"], "lagging");
    let message = failures[0]["message"].as_str().expect("a message");
    assert!(message.contains("lags behind") && message.contains("still has version 1, and version 2"), "{message}");

    never.remove();
    let _ = trial.vsync.run(&["retry", "--yes"]).expect(0);
    assert_eq!(copy.read("secret", "stays"), Some(json!({ "v": 2 })));
    trial.assert_equal();
}

#[test]
fn what_is_known_to_be_deleted_is_not_waited_for() {
    let trial = Trial::start(&Setup::default());
    let client = trial.origin.client();
    client.write("secret", "here", &json!({ "v": 1 }));
    client.write("secret", "going", &json!({ "v": 1 }));
    let read = trial.at_origin.rule("GET", "/data/going", When::Always, Fault::Hold);
    let running = trial.vsync.spawn(&SYNC);
    read.wait_until_picked(1);
    client.delete("secret", "going");
    let start = Instant::now();
    read.release();
    let run = running.wait().expect(3);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(objects(&run.stdout, "failure")[0]["cause"], "moved");
    assert!(trial.is_copied("secret", "here"));
}
