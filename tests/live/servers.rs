//! That the test support does what the other tests rely on.

use serde_json::json;

use crate::support::{BaoOptions, BaoServer, ConsulServer, Tls};

#[test]
fn a_server_is_seeded_and_audited() {
    let server = BaoServer::with_audit();
    let client = server.client();
    client.write("secret", "team/odd name?#%", &json!({ "key": 1 }));
    client.write_all("secret", (0..50).map(|i| (format!("many/{i}"), json!({ "i": i }))));
    client.write("secret", "gone", &json!({}));
    client.delete("secret", "gone");
    client.write("secret", "gone", &json!({ "second": true }));
    assert_eq!(client.read_version("secret", "gone", 1), None);
    assert_eq!(client.read_version("secret", "gone", 2), Some(json!({ "second": true })));
    client.delete("secret", "gone");
    client.write("secret", "destroyed", &json!({}));
    client.destroy("secret", "destroyed", &[1]);

    let live = client.read_all("secret");
    assert_eq!(live.len(), 51);
    assert_eq!(live["team/odd name?#%"], r#"{"key":1}"#);
    assert_eq!(client.metadata_all("secret").len(), 53);

    let audit = server.audit();
    let reader = client.policy_token("reader", r#"path "secret/data/many/*" { capabilities = ["read"] }"#);
    assert!(client.with_token(&reader).read("secret", "many/7").is_some());
    assert_eq!(client.with_token(&reader).request("GET", "secret/data/gone", None).0, 403);
    assert_eq!(audit.touched("secret/"), ["read secret/data/gone", "read secret/data/many/7"]);

    let (role_id, secret_id) = client.approle("approle", "reader", &json!({ "token_ttl": "1h" }));
    let login = json!({ "role_id": role_id, "secret_id": secret_id });
    assert_eq!(client.request("POST", "auth/approle/login", Some(login)).0, 200);
}

#[test]
fn a_server_speaks_tls() {
    let server = BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    assert!(server.address().starts_with("https://"));
    server.client().write("secret", "a", &json!({ "b": "c" }));
    assert_eq!(server.client().read("secret", "a"), Some(json!({ "b": "c" })));
}

#[test]
fn a_persistent_server_survives_a_power_cut() {
    let mut server = BaoServer::with(BaoOptions { persistent: true, audit: true, ..BaoOptions::default() });
    server.client().write("secret", "a", &json!({ "b": "c" }));
    let address = server.address();
    server.kill();
    server.bring_back();
    assert_eq!(server.address(), address);
    assert_eq!(server.client().read("secret", "a"), Some(json!({ "b": "c" })));
}

#[tokio::test]
async fn consul_keeps_keys() {
    let consul = ConsulServer::start();
    assert_eq!(consul.last_change("vsync/"), 0);
    consul.put("vsync/a", &[0, 159, 146, 150]);
    consul.put("vsync/b", b"");
    assert_eq!(consul.get("vsync/a"), Some(vec![0, 159, 146, 150]));
    assert_eq!(consul.get("vsync/c"), None);
    assert_eq!(consul.keys("vsync/"), ["vsync/a", "vsync/b"]);
    assert!(consul.last_change("vsync/") > 0);
}
