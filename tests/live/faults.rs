//! That the fault proxy does what it says: only then do the tests that stand on it prove anything.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulServer, Fault, FaultProxy, When};

/// A server with a few secrets, and a plain client that asks it through the proxy.
struct Bench {
    server: BaoServer,
    proxy: FaultProxy,
    http: Client,
}

impl Bench {
    fn new() -> Self {
        let server = BaoServer::start();
        server.client().write_all("secret", (0..20).map(|n| (format!("team/app-{n}"), json!({ "n": n }))));
        let proxy = FaultProxy::start(&server.address());
        let http = Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
        Self { server, proxy, http }
    }

    async fn ask(&self, method: &str, path: &str) -> reqwest::Result<Response> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let url = format!("{}/v1/{path}", self.proxy.address());
        let mut request = self.http.request(method.clone(), url).header("X-Vault-Token", BaoServer::ROOT_TOKEN);
        if method == Method::POST {
            request = request.json(&json!({ "data": { "new": true } }));
        }
        request.send().await
    }

    async fn status(&self, method: &str, path: &str) -> u16 {
        self.ask(method, path).await.expect("an answer").status().as_u16()
    }

    fn version(&self, name: &str) -> Option<u64> {
        self.server.client().metadata("secret", name).and_then(|metadata| metadata["current_version"].as_u64())
    }
}

#[tokio::test]
async fn without_rules_nothing_changes() {
    let bench = Bench::new();
    let large: String = "x".repeat(100_000);
    bench.server.client().write_all("secret", (0..40).map(|n| (format!("large/{n}"), json!({ "large": large }))));
    bench.server.client().write("secret", "odd/a b?#%\\+ü", &json!({}));

    assert_eq!(bench.status("LIST", "secret/metadata/odd/").await, 200);
    assert_eq!(bench.status("GET", "secret/data/odd/a%20b%3F%23%25%5C+%C3%BC").await, 200);
    assert_eq!(bench.status("GET", "secret/data/nowhere").await, 404);
    assert_eq!(bench.status("POST", "secret/data/team/new").await, 200);
    assert_eq!(bench.status("DELETE", "secret/data/team/new").await, 204);
    assert_eq!(bench.version("team/new"), Some(1));
    let read = bench.ask("GET", "secret/data/large/7").await.expect("an answer").json::<Value>().await.expect("JSON");
    assert_eq!(read["data"]["data"]["large"], large.as_str());

    // An answer of some megabytes, which the server sends in chunks.
    let custom: serde_json::Map<String, Value> = (0..60).map(|n| (format!("key{n}"), json!("y".repeat(500)))).collect();
    for n in 0..100 {
        let metadata = json!({ "custom_metadata": custom });
        bench.server.client().write_metadata("secret", &format!("wide/{n}"), metadata);
    }
    let scan = bench.ask("SCAN", "secret/detailed-metadata/").await.expect("an answer").bytes().await.expect("a body");
    assert!(scan.len() > 3_000_000, "{}", scan.len());
    let scan: Value = serde_json::from_slice(&scan).expect("JSON");
    assert_eq!(scan["data"]["keys"].as_array().map(Vec::len), Some(162));

    let log = bench.proxy.requests("LIST", "/odd/");
    assert_eq!((log.len(), log[0].status, log[0].by_server), (1, Some(200), Some(200)));
    assert_eq!(log[0].path, "/v1/secret/metadata/odd/");
    assert_eq!(bench.proxy.log().len(), 7);
}

#[tokio::test]
async fn a_rule_picks_by_method_path_and_number() {
    let bench = Bench::new();
    let teapot = |method, pattern, when| bench.proxy.rule(method, pattern, when, Fault::Status(418));
    let statuses = async |count: usize| {
        let mut statuses = Vec::new();
        for _ in 0..count {
            statuses.push(bench.status("GET", "secret/data/team/app-1").await);
        }
        statuses
    };

    let other = [teapot("LIST", "app-1", When::Always), teapot("GET", "app-1/", When::Always)];
    assert_eq!(statuses(2).await, [200, 200]);
    assert!(other.iter().all(|rule| rule.matched() == 0));

    for (when, expected) in [
        (When::Always, [418, 418, 418, 418]),
        (When::Nth(2), [200, 418, 200, 200]),
        (When::From(3), [200, 200, 418, 418]),
        (When::First(1), [418, 200, 200, 200]),
    ] {
        let rule = teapot("", r"^/v1/secret/data/team/app-\d$", when);
        assert_eq!(statuses(4).await, expected, "{when:?}");
        assert_eq!(rule.matched(), 4);
        assert_eq!(rule.picked(), expected.iter().filter(|status| **status == 418).count() as u64);
        rule.remove();
    }
    assert_eq!(statuses(1).await, [200]);

    let mut seen = BTreeSet::new();
    for seed in [1, 2, 1] {
        let rule = teapot("GET", "", When::Random { probability: 0.3, seed });
        let statuses = statuses(100).await;
        assert!((15..45).contains(&rule.picked()), "{} of 100", rule.picked());
        seen.insert(statuses);
        rule.remove();
    }
    assert_eq!(seen.len(), 2, "a seed decides, and always the same");
}

#[tokio::test]
async fn an_invented_answer_never_reaches_the_server() {
    let bench = Bench::new();
    for status in [403, 404, 429, 500, 503] {
        let rule = bench.proxy.rule("POST", "", When::Always, Fault::Status(status));
        let answer = bench.ask("POST", "secret/data/team/new").await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        assert!(answer.headers().get("Retry-After").is_none());
        let errors = answer.json::<Value>().await.expect("JSON")["errors"].clone();
        assert_eq!(errors == json!([]), status == 404, "{errors}");
        rule.remove();
    }
    let rule = bench.proxy.rule("POST", "", When::Always, Fault::RetryAfter(7));
    let answer = bench.ask("POST", "secret/data/team/new").await.expect("an answer");
    assert_eq!(
        (answer.status(), &answer.headers()["Retry-After"]),
        (StatusCode::TOO_MANY_REQUESTS, &"7".parse().expect("a header"))
    );
    rule.remove();
    let rule = bench.proxy.rule("POST", "", When::Always, Fault::Garbage);
    let answer = bench.ask("POST", "secret/data/team/new").await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.json::<Value>().await.expect_err("no JSON").is_decode());
    rule.remove();
    assert_eq!(bench.version("team/new"), None);
    assert!(bench.proxy.log().iter().all(|exchange| exchange.by_server.is_none()));
}

#[tokio::test]
async fn a_reset_comes_before_or_after_the_work() {
    let bench = Bench::new();
    let rule = bench.proxy.rule("POST", "", When::Always, Fault::Reset);
    assert!(bench.ask("POST", "secret/data/team/new").await.is_err());
    assert_eq!(bench.version("team/new"), None);
    rule.remove();

    let rule = bench.proxy.rule("POST", "", When::Always, Fault::ResetAfterwards);
    assert!(bench.ask("POST", "secret/data/team/new").await.is_err());
    assert_eq!(bench.version("team/new"), Some(1), "the server has done it all the same");
    rule.remove();
    let seen: Vec<_> = bench.proxy.log().iter().map(|exchange| (exchange.status, exchange.by_server)).collect();
    assert_eq!(seen, [(None, None), (None, Some(200))]);
    assert_eq!(bench.status("POST", "secret/data/team/new").await, 200);
}

#[tokio::test]
async fn a_body_is_cut_off_where_it_is_to_be() {
    let bench = Bench::new();
    let whole = bench.ask("SCAN", "secret/detailed-metadata/").await.expect("an answer").bytes().await.expect("a body");
    bench.proxy.rule("SCAN", "", When::Always, Fault::CutOff(1_000));
    let mut cut = bench.ask("SCAN", "secret/detailed-metadata/").await.expect("a head");
    assert_eq!(cut.content_length(), Some(whole.len() as u64));
    let mut received = 0;
    let error = loop {
        match cut.chunk().await {
            Ok(Some(chunk)) => received += chunk.len(),
            Ok(None) => panic!("it looks complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(received, 1_000, "{error}");
}

#[tokio::test]
async fn what_is_held_waits_and_what_is_delayed_comes_later() {
    let bench = Bench::new();
    let rule = bench.proxy.rule("POST", "", When::First(1), Fault::Hold);
    let during = async {
        rule.until_picked(1).await;
        assert_eq!(bench.status("GET", "secret/data/team/app-1").await, 200, "others pass");
        assert_eq!(bench.version("team/new"), None);
        rule.release();
    };
    let (held, ()) = tokio::join!(bench.status("POST", "secret/data/team/new"), during);
    assert_eq!((held, bench.version("team/new")), (200, Some(1)));

    // What is held also goes on when the rule ends.
    let rule = bench.proxy.rule("GET", "", When::Always, Fault::Hold);
    let during = async {
        rule.until_picked(1).await;
        rule.remove();
    };
    assert_eq!(tokio::join!(bench.status("GET", "secret/data/team/new"), during).0, 200);

    bench.proxy.rule("GET", "", When::Always, Fault::Delay(Duration::from_millis(150)));
    let start = Instant::now();
    assert_eq!(bench.status("GET", "secret/data/team/new").await, 200);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_server_that_comes_back_is_asked_again() {
    let mut bench = Bench::new();
    assert_eq!(bench.status("GET", "sys/health").await, 200);
    bench.server.kill();
    assert!(bench.ask("GET", "sys/health").await.is_err());
    bench.server.bring_back();
    assert_eq!(bench.status("GET", "sys/health").await, 200);
}

#[tokio::test]
async fn consul_is_passed_through_and_survives_a_power_cut() {
    let mut consul = ConsulServer::persistent();
    let proxy = FaultProxy::start(&consul.address());
    let address = consul.address();
    consul.put("vsync/a", b"kept");
    consul.kill();
    consul.bring_back();
    assert_eq!(consul.address(), address);
    assert_eq!(consul.get("vsync/a").as_deref(), Some(&b"kept"[..]));
    consul.put("vsync/b", b"");

    let http = Client::builder().tls_certs_only([]).no_proxy().build().expect("a client");
    let keys = http.get(format!("{}/v1/kv/vsync/?keys=true", proxy.address())).send().await.expect("an answer");
    assert_eq!(keys.json::<Vec<String>>().await.expect("a list"), ["vsync/a", "vsync/b"]);
}
