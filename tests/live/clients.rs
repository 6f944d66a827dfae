//! The Vault client against a real server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use vsync::http::{Attempts, HttpSettings, TlsSettings};
use vsync::kv::{Mount, SecretData, SecretPath};
use vsync::vault::{Auth, ErrorKind, Login, SecretSource, VaultClient, VaultError, VaultSettings, Wanted};
use zeroize::Zeroizing;

use crate::support::{BaoOptions, BaoServer, Tls};

/// Names that break clients which build URLs carelessly.
fn odd_names() -> Vec<String> {
    [
        "plain",
        "same",
        "same/child",
        "sp ace",
        "trailing ",
        "100%",
        "%41",
        "a+b",
        "who?x=1",
        "#hash",
        "back\\slash",
        "semi;colon,comma",
        "\"quoted\"",
        "<tag>&amp;",
        "päth/日本/🔑",
        "...",
        "a:b@c",
        "data/metadata/data",
        "detailed-metadata",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([format!("long/{}", "x".repeat(1_000))])
    .collect()
}

fn settings(server: &BaoServer, auth: Auth) -> VaultSettings {
    let http = HttpSettings {
        address: server.address(),
        tls: TlsSettings::default(),
        max_retries: 2,
        ..HttpSettings::default()
    };
    VaultSettings { http, namespace: None, auth }
}

fn token(text: &str) -> Auth {
    Auth::Token(Zeroizing::new(text.to_owned()))
}

fn client(server: &BaoServer) -> VaultClient {
    client_as(server, token(BaoServer::ROOT_TOKEN))
}

fn client_as(server: &BaoServer, auth: Auth) -> VaultClient {
    VaultClient::new(settings(server, auth)).unwrap()
}

fn mount() -> Mount {
    Mount::parse("secret").unwrap()
}

fn path(name: &str) -> SecretPath {
    SecretPath::new(&mount(), name)
}

fn secret(json: &str) -> SecretData {
    SecretData::from_json(Zeroizing::new(json.to_owned()))
}

fn kind<T>(result: Result<T, VaultError>) -> ErrorKind {
    result.map(|_| ()).unwrap_err().kind()
}

async fn wait(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[tokio::test]
async fn odd_names_and_data_survive() {
    let server = BaoServer::start();
    let vault = client(&server);
    let data = r#"{"z":1.25,"n":{"b":[1000,null,true],"a":{}},"s":"<&>'\"\\ é"}"#;
    for name in odd_names() {
        let path = path(&name);
        assert_eq!(kind(vault.read(&path).await), ErrorKind::NotFound, "{name}");
        assert_eq!(vault.write(&path, &secret(data), Some(0)).await.unwrap().version, 1, "{name}");
        let read = vault.read(&path).await.unwrap();
        assert_eq!(read.version, 1);
        let (left, right): (Value, Value) =
            (serde_json::from_str(read.data.expose_json()).unwrap(), serde_json::from_str(data).unwrap());
        assert_eq!(left, right, "{name}");
        assert_eq!(vault.metadata(&path).await.unwrap().current_version, 1, "{name}");
        assert_eq!(vault.key_names(&path).await.unwrap(), ["n", "s", "z"], "{name}");
        // A copy of the very bytes that were read is the same secret again.
        assert_eq!(vault.write(&path, &read.data, Some(1)).await.unwrap().version, 2, "{name}");
        assert_eq!(vault.read(&path).await.unwrap().data.expose_json(), read.data.expose_json(), "{name}");
        assert_eq!(server.client().read("secret", &name), Some(right), "{name}");
    }
    let mut expected = odd_names();
    expected.sort();
    let scan = vault.scan(&mount(), "", Wanted::Insight).await.unwrap();
    assert_eq!(scan.secrets.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), expected);
    assert!(scan.secrets.iter().all(|(_, info)| info.as_ref().is_some_and(|info| info.live && info.version == 2)));
    let inside: Vec<_> = vault.scan(&mount(), "päth/日本/", Wanted::Insight).await.unwrap().secrets;
    assert_eq!(inside.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["🔑"]);

    for name in ["..", "a/../b", "./a", "a//b"] {
        let path = path(name);
        assert_eq!(kind(vault.read(&path).await), ErrorKind::InvalidPath, "{name}");
        assert_eq!(kind(vault.write(&path, &secret("{}"), None).await), ErrorKind::InvalidPath, "{name}");
        assert_eq!(kind(vault.delete(&path).await), ErrorKind::InvalidPath, "{name}");
    }
}

#[tokio::test]
async fn listing_in_all_three_ways() {
    let server = BaoServer::start();
    let vault = client(&server);
    let api = server.client();
    for way in [vault.list(&mount(), "").await, vault.list(&mount(), "no/such/").await] {
        assert_eq!(way.unwrap(), Vec::<String>::new(), "an empty folder is empty");
    }
    assert!(vault.list_detailed(&mount(), "", None, 10, Wanted::Insight).await.unwrap().keys.is_empty());
    assert!(vault.scan(&mount(), "", Wanted::Insight).await.unwrap().secrets.is_empty());
    assert!(vault.scan(&mount(), "no/such/", Wanted::Insight).await.unwrap().secrets.is_empty());

    api.write_all("secret", (0..25).map(|n| (format!("f/{n:02}"), json!({ "n": n }))));
    api.write_all("secret", [("f/sub/<&>".to_owned(), json!({})), ("f/sub".to_owned(), json!({}))]);
    api.delete("secret", "f/03");
    api.destroy("secret", "f/04", &[1]);
    api.write_metadata("secret", "f/later", json!({ "delete_version_after": "24h" }));
    api.write("secret", "f/later", &json!({ "x": 1 }));
    api.write_metadata("secret", "f/bare", json!({ "custom_metadata": { "a": "<b>" } }));

    let names = vault.list(&mount(), "f/").await.unwrap();
    assert_eq!(names.len(), 29);
    assert!(names.contains(&"sub".to_owned()) && names.contains(&"sub/".to_owned()));

    let mut paged = (Vec::new(), BTreeMap::new());
    let mut after: Option<String> = None;
    loop {
        let page = vault.list_detailed(&mount(), "f/", after.as_deref(), 1, Wanted::Insight).await.unwrap();
        assert!(page.keys.len() <= 1);
        let Some(last) = page.keys.last() else { break };
        after = Some(last.clone());
        paged.0.extend(page.keys);
        paged.1.extend(page.infos);
    }
    assert_eq!(paged.0, names);
    assert_eq!(paged.1.len(), 28, "all but the folder");

    let scan = vault.scan(&mount(), "", Wanted::Insight).await.unwrap();
    assert_eq!(scan.secrets.len(), 29);
    for (name, info) in &scan.secrets {
        let info = info.clone().expect("metadata");
        let dead = ["f/03", "f/04", "f/bare"].contains(&name.as_str());
        assert_eq!(info.live, !dead, "{name}");
        assert_eq!(info, vault.metadata(&path(name)).await.unwrap().key_info(), "{name}");
        if let Some(child) = name.strip_prefix("f/").filter(|child| !child.contains('/')) {
            assert_eq!(info, paged.1[child], "{name}");
        }
    }

    let missing = Mount::parse("no/such/mount").unwrap();
    assert_eq!(kind(vault.list(&missing, "").await), ErrorKind::BadRequest, "a missing mount is not an empty one");
    assert_eq!(kind(vault.scan(&missing, "", Wanted::Insight).await), ErrorKind::BadRequest);
    assert_eq!(kind(vault.read(&SecretPath::new(&missing, "x")).await), ErrorKind::BadRequest);
    let cubbyhole = Mount::parse("cubbyhole").unwrap();
    let refused = vault.scan(&cubbyhole, "", Wanted::Insight).await;
    assert!(refused.is_err() || refused.unwrap().secrets.is_empty());
}

#[tokio::test]
async fn versions_that_cannot_be_read() {
    let server = BaoServer::start();
    let vault = client(&server);
    let written = vault.write(&path("a"), &secret(r#"{"x":1}"#), None).await.unwrap();
    assert_eq!(written.version, 1);
    vault.delete(&path("a")).await.unwrap();
    assert_eq!(kind(vault.read(&path("a")).await), ErrorKind::Deleted);
    assert_eq!(kind(vault.key_names(&path("a")).await), ErrorKind::Deleted);
    vault.delete(&path("a")).await.unwrap();
    vault.delete(&path("never")).await.unwrap();
    let metadata = vault.metadata(&path("a")).await.unwrap();
    assert!(metadata.versions[&1].deletion_time.is_some() && !metadata.key_info().live);
    server.client().destroy("secret", "a", &[1]);
    assert_eq!(kind(vault.read(&path("a")).await), ErrorKind::Deleted);
    assert_eq!(kind(vault.metadata(&path("never")).await), ErrorKind::NotFound);

    assert_eq!(kind(vault.write(&path("a"), &secret("{}"), Some(0)).await), ErrorKind::CheckAndSet);
    assert_eq!(vault.write(&path("a"), &secret("{}"), Some(1)).await.unwrap().version, 2);
    assert_eq!(kind(vault.write(&path("a"), &secret("{}"), Some(1)).await), ErrorKind::CheckAndSet);
    server.client().write_metadata("secret", "a", json!({ "cas_required": true }));
    assert_eq!(kind(vault.write(&path("a"), &secret("{}"), None).await), ErrorKind::CheckAndSet);
    assert!(vault.metadata(&path("a")).await.unwrap().cas_required);
}

#[tokio::test]
async fn older_versions_are_read_and_undeleted() {
    let server = BaoServer::start();
    let vault = client(&server);
    for name in ["a", "odd/100% ?#"] {
        let path = path(name);
        for n in 1..=4 {
            vault.write(&path, &secret(&format!(r#"{{"n":{n}}}"#)), None).await.unwrap();
        }
        for n in [1, 3, 4] {
            let read = vault.read_version(&path, n).await.unwrap();
            assert_eq!((read.version, read.data.expose_json()), (n, &*format!(r#"{{"n":{n}}}"#)), "{name}");
        }
        assert_eq!(kind(vault.read_version(&path, 5).await), ErrorKind::NotFound, "{name}");
        assert_eq!(kind(vault.read_version(&path, 0).await), ErrorKind::NotFound, "0 is not the newest one");

        vault.delete(&path).await.unwrap();
        server.client().destroy("secret", name, &[2]);
        assert_eq!(kind(vault.read_version(&path, 4).await), ErrorKind::Deleted, "{name}");
        assert_eq!(kind(vault.read_version(&path, 2).await), ErrorKind::Deleted, "{name}");
        assert_eq!(vault.read_version(&path, 3).await.unwrap().version, 3, "the newest one's deletion is its own");

        vault.undelete(&path, &[4, 2]).await.unwrap();
        assert_eq!(vault.read(&path).await.unwrap().data.expose_json(), r#"{"n":4}"#, "{name}");
        assert_eq!(kind(vault.read_version(&path, 2).await), ErrorKind::Deleted, "what is destroyed stays so");
        vault.undelete(&path, &[4]).await.unwrap();
        assert_eq!(vault.metadata(&path).await.unwrap().current_version, 4, "no version is made by it");
    }
    let api = server.client();
    api.write_metadata("secret", "few", json!({ "max_versions": 2 }));
    for n in 1..=3 {
        api.write("secret", "few", &json!({ "n": n }));
    }
    assert_eq!(kind(vault.read_version(&path("few"), 1).await), ErrorKind::NotFound, "no longer kept");
    let reader = api.policy_token("reader", r#"path "secret/data/*" { capabilities = ["read"] }"#);
    let reader = client_as(&server, token(&reader));
    assert_eq!(reader.read_version(&path("a"), 1).await.unwrap().version, 1);
    assert_eq!(kind(reader.undelete(&path("a"), &[4]).await), ErrorKind::PermissionDenied);
    let undeleter = api.policy_token("undeleter", r#"path "secret/undelete/*" { capabilities = ["update"] }"#);
    client_as(&server, token(&undeleter)).undelete(&path("a"), &[4]).await.unwrap();
}

#[tokio::test]
async fn a_mount_of_version_1_is_named() {
    let server = BaoServer::start();
    let version_1 = json!({ "type": "kv", "options": { "version": "1" } });
    assert_eq!(server.client().request("POST", "sys/mounts/old", Some(version_1)).0, 204);
    let old = SecretPath::new(&Mount::parse("old").unwrap(), "app");
    let error = client(&server).write(&old, &secret(r#"{"x":1}"#), Some(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("the mount is KV version 1"), "{error}");
    assert!(error.message().contains("data/app"), "{error}");
}

#[tokio::test]
async fn what_is_too_large_is_said_without_its_content() {
    let server = BaoServer::start();
    let vault = client(&server);
    let large = format!(r#"{{"canary":"{}"}}"#, "hunter2".repeat(5 << 20));
    let error = vault.write(&path("a"), &secret(&large), None).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooLarge), "{error}");
    assert!(!error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn the_server_and_the_token() {
    let server = BaoServer::start();
    let vault = client(&server);
    let health = vault.health().await.unwrap();
    assert!(health.initialized && !health.sealed && !health.standby);
    assert!(!health.version.is_empty());
    let info = vault.token_info().await.unwrap();
    assert_eq!((info.policies, info.ttl), (vec!["root".to_owned()], None));
    let kv = vault.mount_info(&mount()).await.unwrap();
    assert_eq!((kv.engine.as_str(), kv.kv_version), ("kv", Some(2)));
    assert_eq!(vault.mount_info(&Mount::parse("cubbyhole").unwrap()).await.unwrap().kv_version, None);

    let limited = server.client().policy_token("limited", r#"path "secret/data/a/*" { capabilities = ["read"] }"#);
    let limited = client_as(&server, token(&limited));
    let asked = ["secret/data/a/x", "secret/data/b", "secret/data/sp ace<>"].map(str::to_owned);
    let capabilities = limited.capabilities(&asked).await.unwrap();
    assert_eq!(capabilities, [vec!["read"], vec!["deny"], vec!["deny"]]);
    assert_eq!(vault.capabilities(&asked).await.unwrap()[0], ["root"]);
    let ttl = limited.token_info().await.unwrap().ttl.unwrap();
    assert!(ttl > Duration::from_mins(1));
    let attempts = Attempts::default();
    assert_eq!(kind(limited.observed(attempts.clone()).read(&path("b")).await), ErrorKind::PermissionDenied);
    assert_eq!(attempts.get(), 1);
    for error in
        [limited.list(&mount(), "").await.unwrap_err(), limited.scan(&mount(), "", Wanted::Insight).await.unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    }

    let error = client_as(&server, token("")).read(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoToken);
    assert_eq!(kind(client_as(&server, token("nonsense")).token_info().await), ErrorKind::NoToken);

    let elsewhere = VaultSettings { namespace: Some("team".to_owned()), ..settings(&server, token("root")) };
    let elsewhere = VaultClient::new(elsewhere).unwrap();
    assert!(elsewhere.read(&path("a")).await.is_err(), "there is no such namespace");
    assert!(elsewhere.health().await.is_ok());
    let (status, answer) = server.client().request("PUT", "sys/namespaces/team", None);
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = server.client().request(
        "POST",
        "team/sys/mounts/secret",
        Some(json!({"type": "kv", "options": {"version": "2"}})),
    );
    assert_eq!(status, 204, "{answer}");
    for _ in 0..50 {
        if elsewhere.write(&path("a"), &secret(r#"{"in":"team"}"#), None).await.is_ok() {
            break;
        }
        wait(Duration::from_millis(20)).await;
    }
    assert_eq!(elsewhere.read(&path("a")).await.unwrap().data.expose_json(), r#"{"in":"team"}"#);
    assert_eq!(kind(vault.read(&path("a")).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn tls_with_an_authority_of_its_own() {
    let server = BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    let health = async |tls: TlsSettings, address: String| {
        let http = HttpSettings { address, tls, max_retries: 0, ..HttpSettings::default() };
        VaultClient::new(VaultSettings { http, namespace: None, auth: token("root") })?.health().await
    };
    let trusting = TlsSettings { ca_cert: Some(server.authority()), ..TlsSettings::default() };
    assert!(health(trusting.clone(), server.address()).await.unwrap().initialized);
    let reckless = TlsSettings { skip_verify: true, ..TlsSettings::default() };
    assert!(health(reckless, server.address()).await.is_ok());

    // The certificate names localhost and 127.0.0.1.
    let named = TlsSettings { server_name: Some("localhost".to_owned()), ..trusting.clone() };
    assert!(health(named, server.address()).await.is_ok());
    let misnamed = TlsSettings { server_name: Some("vault.example".to_owned()), ..trusting.clone() };
    let error = health(misnamed, server.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.message().contains("tls_server_name"), "{error}");
    let unreachable_name = server.address().replace("127.0.0.1", "127.0.0.2");
    let error = health(trusting.clone(), unreachable_name).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Tls | ErrorKind::Network), "{error}");

    let error = health(TlsSettings::default(), server.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.message().contains("ca_cert"), "{error}");

    let error = health(trusting.clone(), server.address().replace("https", "http")).await.unwrap_err();
    assert!(error.message().contains("must begin with https://"), "{error}");
    let plain = BaoServer::start();
    let error = health(trusting, plain.address().replace("http", "https")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.message().contains("does not speak TLS"), "{error}");
}

#[tokio::test]
async fn a_server_that_requires_client_certificates() {
    let server = BaoServer::with(BaoOptions { tls: Some(Tls::Mutual), ..BaoOptions::default() });
    server.client().write("secret", "a", &json!({ "x": 1 }));
    let read = async |client_cert: Option<PathBuf>, client_key: Option<PathBuf>| {
        let trusting = TlsSettings { ca_cert: Some(server.authority()), ..TlsSettings::default() };
        let tls = TlsSettings { client_cert, client_key, ..trusting };
        let http = HttpSettings { address: server.address(), tls, max_retries: 2, ..HttpSettings::default() };
        let settings = VaultSettings { http, namespace: None, auth: token(BaoServer::ROOT_TOKEN) };
        VaultClient::new(settings)?.read(&path("a")).await.map(|secret| secret.version)
    };
    let (certificate, key) = server.certificate();
    assert_eq!(read(Some(certificate.clone()), Some(key.clone())).await.unwrap(), 1);

    let folder = tempfile::tempdir().unwrap();
    let both = folder.path().join("both.pem");
    fs::write(&both, [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat()).unwrap();
    assert_eq!(read(Some(both), None).await.unwrap(), 1, "certificate and key in one file");

    let error = read(None, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.message().contains("requires a client certificate: set client_cert"), "{error}");

    let stranger = BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    let (certificate, key) = stranger.certificate();
    let error = read(Some(certificate.clone()), Some(key)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.message().contains("does not accept the client certificate"), "{error}");

    let error = read(Some(certificate), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls, "{error}");
    assert!(error.message().contains("certificate and private key are needed"), "{error}");
}

const READ_ALL: &str = r#"path "secret/*" { capabilities = ["read", "list"] }"#;

#[tokio::test]
async fn approle_logs_in_once_and_again_when_it_must() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": 1 }));
    api.policy("reader", READ_ALL);
    let (role_id, secret_id) = api.approle("own/approle", "reader", &json!({}));
    let auth = |secret_id| Auth::Login(Login::app_role("own/approle", &role_id, secret_id));
    let value = |text: &str| SecretSource::Value(Zeroizing::new(text.to_owned()));

    let mut audit = server.audit();
    let vault = client_as(&server, auth(value(&secret_id)));
    let logins = |audit: &mut crate::support::Audit| {
        audit.requests().into_iter().filter(|entry| entry.path.ends_with("/login")).count()
    };
    let reads = (0..20).map(|_| async { vault.clone().read(&path("a")).await.map(|_| ()) });
    futures_util::future::try_join_all(reads).await.unwrap();
    assert_eq!(logins(&mut audit), 1, "one login for all");

    // Denied is denied: nothing is gained by logging in again.
    audit.restart();
    for _ in 0..10 {
        assert_eq!(kind(vault.write(&path("a"), &secret("{}"), None).await), ErrorKind::PermissionDenied);
    }
    assert_eq!(logins(&mut audit), 0);

    // The role's tokens are revoked under it.
    wait(Duration::from_millis(2_100)).await;
    audit.restart();
    let (status, answer) = api.request("PUT", "sys/leases/revoke-prefix/auth/own/approle", None);
    assert_eq!(status, 204, "{answer}");
    let reads = (0..20).map(|_| async { vault.clone().read(&path("a")).await.map(|_| ()) });
    futures_util::future::try_join_all(reads).await.unwrap();
    assert_eq!(logins(&mut audit), 1, "one login for all");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret-id");
    fs::write(&file, format!("{secret_id}\n")).unwrap();
    assert!(client_as(&server, auth(SecretSource::File(file))).read(&path("a")).await.is_ok());

    let wrong = client_as(&server, auth(value("00000000-0000-0000-0000-000000000000")));
    let error = wrong.read(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoToken);
    assert!(error.to_string().starts_with("log in at auth/own/approle/login: "), "{error}");
    let missing = client_as(&server, auth(SecretSource::File(PathBuf::from("/no/such/file"))));
    assert_eq!(kind(missing.read(&path("a")).await), ErrorKind::NoToken);
    let unset = client_as(&server, auth(SecretSource::Env("VSYNC_TEST_NO_SUCH_VARIABLE".to_owned())));
    assert_eq!(kind(unset.read(&path("a")).await), ErrorKind::NoToken);
}

#[tokio::test]
async fn approle_tokens_that_run_out_are_replaced() {
    let server = BaoServer::start();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": 1 }));
    api.policy("reader", READ_ALL);
    let short = json!({ "token_ttl": "2s", "token_max_ttl": "2s" });
    let (role_id, secret_id) = api.approle("approle", "reader", &short);
    let secret_id = SecretSource::Value(Zeroizing::new(secret_id));
    let vault = client_as(&server, Auth::Login(Login::app_role("approle", &role_id, secret_id)));
    for _ in 0..14 {
        vault.read(&path("a")).await.unwrap();
        wait(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn a_token_file_is_read_again_when_it_changes() {
    let server = BaoServer::start();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": 1 }));
    let first = api.policy_token("reader", READ_ALL);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let vault = client_as(&server, Auth::TokenFile(file.clone()));
    assert_eq!(kind(vault.read(&path("a")).await), ErrorKind::NoToken);
    fs::write(&file, format!("{first}\n")).unwrap();
    wait(Duration::from_millis(2_100)).await;
    vault.read(&path("a")).await.unwrap();

    api.revoke(&first);
    assert_eq!(kind(vault.read(&path("a")).await), ErrorKind::NoToken);
    fs::write(&file, api.token("reader")).unwrap();
    vault.read(&path("a")).await.unwrap();
    fs::remove_file(&file).unwrap();
    wait(Duration::from_millis(1_100)).await;
    vault.read(&path("a")).await.unwrap();
}

#[tokio::test]
async fn a_dead_token_is_told_from_one_that_may_not() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": 1 }));
    api.policy("reader", READ_ALL);
    let mut audit = server.audit();
    // Without the policy "default" a token may not look itself up.
    for no_default_policy in [false, true] {
        let create = json!({ "policies": ["reader"], "no_default_policy": no_default_policy });
        let (_, answer) = api.request("POST", "auth/token/create", Some(create));
        let text = answer["auth"]["client_token"].as_str().unwrap();
        let vault = client_as(&server, token(text));
        vault.read(&path("a")).await.unwrap();
        let mut lookups = || {
            let paths = audit.requests().into_iter().map(|entry| entry.path);
            let count = paths.filter(|path| path.ends_with("lookup-self")).count();
            audit.restart();
            count
        };
        lookups();
        let write = async || kind(vault.clone().write(&path("a"), &secret("{}"), None).await);
        let kinds = futures_util::future::join_all((0..20).map(|_| write())).await;
        assert_eq!(kinds, [ErrorKind::PermissionDenied; 20]);
        assert_eq!(write().await, ErrorKind::PermissionDenied);
        assert_eq!(lookups(), 1, "one lookup for all");

        api.revoke(text);
        wait(Duration::from_millis(2_100)).await;
        let kinds = futures_util::future::join_all((0..20).map(|_| write())).await;
        assert_eq!(kinds, [ErrorKind::NoToken; 20]);
        assert_eq!(lookups(), 1, "one lookup for all");
        for error in
            [vault.read(&path("a")).await.unwrap_err(), vault.scan(&mount(), "", Wanted::Insight).await.unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::NoToken);
            assert!(error.message().contains("no longer valid"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_that_can_be_renewed_lasts() {
    let server = BaoServer::with_audit();
    let api = server.client();
    api.write("secret", "a", &json!({ "x": 1 }));
    api.policy("reader", READ_ALL);
    let period = json!({ "policies": ["reader"], "period": "3s" });
    let (_, answer) = api.request("POST", "auth/token/create", Some(period));
    let vault = client_as(&server, token(answer["auth"]["client_token"].as_str().unwrap()));
    let attempts = Attempts::default();
    let vault = vault.observed(attempts.clone());
    let audit = server.audit();
    for _ in 0..20 {
        vault.read(&path("a")).await.unwrap();
        wait(Duration::from_millis(300)).await;
    }
    assert_eq!(attempts.get(), 20, "only what was asked for is counted");
    let paths: Vec<_> = audit.requests().into_iter().map(|entry| entry.path).collect();
    assert_eq!(paths.iter().filter(|path| path.ends_with("lookup-self")).count(), 1);
    assert!((2..=6).contains(&paths.iter().filter(|path| path.ends_with("renew-self")).count()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_waited_for() {
    let mut server = BaoServer::persistent();
    server.client().write("secret", "a", &json!({ "x": 1 }));
    let vault = client(&server);
    let patient = {
        let http = HttpSettings { address: server.address(), ..HttpSettings::default() };
        VaultClient::new(VaultSettings { http, namespace: None, auth: token(BaoServer::ROOT_TOKEN) }).unwrap()
    };
    vault.read(&path("a")).await.unwrap();

    server.freeze();
    let hasty = {
        let http = HttpSettings {
            address: server.address(),
            timeout: Duration::from_millis(300),
            max_retries: 1,
            ..HttpSettings::default()
        };
        VaultClient::new(VaultSettings { http, namespace: None, auth: token(BaoServer::ROOT_TOKEN) }).unwrap()
    };
    let attempts = Attempts::default();
    assert_eq!(kind(hasty.observed(attempts.clone()).read(&path("a")).await), ErrorKind::Timeout);
    assert_eq!(attempts.get(), 2);
    attempts.reset();
    let written = hasty.observed(attempts.clone()).write(&path("b"), &secret("{}"), None).await;
    assert_eq!((kind(written), attempts.get()), (ErrorKind::Timeout, 1), "a write may have arrived");
    server.thaw();
    vault.read(&path("a")).await.unwrap();

    server.kill();
    assert_eq!(kind(vault.write(&path("a"), &secret("{}"), None).await), ErrorKind::Network);
    let (read, written) = {
        let reading = tokio::spawn({
            let patient = patient.clone();
            async move { patient.read(&path("a")).await.map(|secret| secret.version) }
        });
        let writing = tokio::spawn(async move { patient.write(&path("c"), &secret("{}"), Some(0)).await });
        tokio::task::block_in_place(|| server.bring_back());
        (reading.await.unwrap(), writing.await.unwrap())
    };
    assert_eq!(read.unwrap(), 1);
    assert_eq!(written.unwrap().version, 1);

    let (status, answer) = server.client().request("PUT", "sys/seal", None);
    assert_eq!(status, 204, "{answer}");
    assert!(vault.health().await.unwrap().sealed);
    let error = vault.read(&path("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("sealed"), "{error}");
}
