use zeroize::Zeroizing;

use super::*;
use crate::http::HttpSettings;
use crate::http::scripted::Server;
use crate::vault::{Login, SecretSource, VaultSettings};

fn client(server: &Server, auth: Auth) -> VaultClient {
    let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
    VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client")
}

fn app_role() -> Auth {
    Auth::Login(Login::app_role("approle", "me", SecretSource::Value(Zeroizing::new("proof".to_owned()))))
}

fn granted(token: &str, seconds: u64, renewable: bool) -> String {
    let auth = format!(r#""client_token":"{token}","lease_duration":{seconds},"renewable":{renewable}"#);
    Server::json(200, &format!(r#"{{"auth":{{{auth}}}}}"#))
}

/// What was asked for, as `PATH TOKEN`.
fn asked(server: &Server) -> Vec<String> {
    let requests = server.requests();
    let asked = requests.iter().map(|request| {
        let path = request.split(' ').nth(1).unwrap_or_default().rsplit('/').next().unwrap_or_default();
        match request.lines().find_map(|line| line.strip_prefix("x-vault-token: ")) {
            Some(token) => format!("{path} {token}"),
            None => path.to_owned(),
        }
    });
    asked.collect()
}

/// Two thirds of the token's life are over.
fn age(vault: &VaultClient) {
    let mut state = vault.shared.tokens.state();
    let lease = state.token.as_mut().and_then(|token| token.lease.as_mut()).expect("a lease");
    lease.renew_at = Some(Instant::now());
}

const DONE: &str = r#"{"data":{"policies":[],"ttl":1,"renewable":false}}"#;

#[tokio::test]
async fn a_login_is_renewed_until_it_may_not_get_older_and_then_made_anew() {
    let done = || Server::json(200, DONE);
    let refused = Server::json(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#);
    let too_old = Server::json(500, r#"{"errors":["1 error occurred:\n\t* past the max TTL, cannot renew\n\n"]}"#);
    let answers = [
        granted("first", 60, true),
        done(),
        // renewed for longer
        granted("first", 90, true),
        done(),
        // for what is left
        granted("first", 90, true),
        granted("second", 60, true),
        done(),
        // not at all
        refused,
        granted("third", 60, true),
        done(),
        too_old,
        granted("fourth", 60, false),
        done(),
        granted("fifth", 60, false),
        done(),
    ];
    let server = Server::start(&answers).await;
    let vault = client(&server, app_role());
    vault.token_info().await.expect("an answer");
    for _ in 0..5 {
        age(&vault);
        vault.token_info().await.expect("an answer");
    }
    let [login, look, renew] = ["login", "lookup-self", "renew-self"];
    let expected = [
        login.to_owned(),
        format!("{look} first"),
        format!("{renew} first"),
        format!("{look} first"),
        format!("{renew} first"),
        login.to_owned(),
        format!("{look} second"),
        format!("{renew} second"),
        login.to_owned(),
        format!("{look} third"),
        format!("{renew} third"),
        login.to_owned(),
        format!("{look} fourth"),
        login.to_owned(),
        format!("{look} fifth"),
    ];
    assert_eq!(asked(&server), expected);
}

#[tokio::test]
async fn a_given_token_is_renewed_in_the_quiet_and_a_login_is_not() {
    let done = || Server::json(200, DONE);
    let life = Server::json(200, r#"{"data":{"ttl":1,"renewable":true,"creation_time":1,"expire_time":null}}"#);
    let server = Server::start(&[done(), life, granted("given", 3, true), granted("given", 3_600, true)]).await;
    let vault = client(&server, Auth::Token(Zeroizing::new("given".to_owned())));
    vault.token_info().await.expect("an answer");
    let begun = Instant::now();
    while server.requests().len() < 4 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", asked(&server));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(2_600), "after two thirds of 1 s and of 3 s");
    assert_eq!(asked(&server)[2..], ["renew-self given", "renew-self given"]);

    let server = Server::start(&[granted("first", 1, true), done()]).await;
    let vault = client(&server, app_role());
    vault.token_info().await.expect("an answer");
    assert!(vault.shared.tokens.state().timer.is_none(), "nothing wakes it");
}

#[tokio::test]
async fn a_given_token_that_may_not_get_older_serves_to_its_end() {
    let done = || Server::json(200, DONE);
    let life = Server::json(200, r#"{"data":{"ttl":60,"renewable":true,"creation_time":1,"expire_time":null}}"#);
    let server = Server::start(&[done(), life, granted("given", 60, true), done()]).await;
    let vault = client(&server, Auth::Token(Zeroizing::new("given".to_owned())));
    vault.token_info().await.expect("an answer");
    age(&vault);
    for _ in 0..2 {
        vault.token_info().await.expect("an answer");
    }
    assert_eq!(asked(&server)[2..], ["renew-self given", "lookup-self given", "lookup-self given"]);
}

#[tokio::test]
async fn a_token_serves_to_its_end_when_there_is_no_other_yet() {
    let login = |token| Server::json(200, &format!(r#"{{"auth":{{"client_token":"{token}","lease_duration":60}}}}"#));
    let away = Server::json(503, r#"{"errors":["auth mount is away"]}"#);
    let done = Server::json(200, r#"{"data":{"policies":[],"ttl":1,"renewable":false}}"#);
    let answers = [login("first"), done.clone(), away, done.clone(), done.clone(), login("second"), done];
    let server = Server::start(&answers).await;
    let vault = client(&server, app_role());
    let set = |renew_at, ends_at| {
        let mut state = vault.shared.tokens.state();
        let token = state.token.as_mut().expect("a token");
        token.lease = Some(Lease { renew_at: Some(renew_at), ends_at, renewable: false });
    };
    vault.token_info().await.expect("the first token");
    let now = Instant::now();
    set(now, now + Duration::from_mins(1));
    vault.token_info().await.expect("the first token, after one attempt to get another");
    vault.token_info().await.expect("the first token, without an attempt");
    let now = Instant::now();
    set(now, now);
    vault.token_info().await.expect("the second token");

    let seen: Vec<_> = server
        .requests()
        .iter()
        .map(|request| match request.lines().find_map(|line| line.strip_prefix("x-vault-token: ")) {
            Some(token) => token.to_owned(),
            None => "login".to_owned(),
        })
        .collect();
    assert_eq!(seen, ["login", "first", "login", "first", "first", "login", "second"]);
}

#[tokio::test]
async fn a_login_without_an_answer_is_not_waited_for_while_a_token_holds() {
    let login = r#"{"auth":{"client_token":"first","lease_duration":60}}"#;
    let hang = "HTTP/1.1 200 Scripted\r\nx-then: hang\r\ncontent-length: 9\r\n\r\n{".to_owned();
    let server = Server::start(&[Server::json(200, login), hang]).await;
    let vault = client(&server, app_role());
    let tokens = &vault.shared.tokens;
    let first = tokens.current(&vault).await.expect("a token");
    let now = Instant::now();
    if let Some(token) = &mut tokens.state().token {
        let (renew_at, ends_at) = (Some(now), now + Duration::from_secs(1));
        token.lease = Some(Lease { renew_at, ends_at, renewable: false });
    }
    let (one, other) = tokio::join!(tokens.current(&vault), tokens.current(&vault));
    for token in [one, other] {
        assert_eq!(token.expect("the first token").generation, first.generation);
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_token_must_fit_a_header() {
    let source = TokenSource::new(Auth::Token(Zeroizing::default()));
    for token in ["", "two\nlines"] {
        let error = source.keep(token, None).expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::NoToken);
        assert!(!error.to_string().contains("two"));
    }
}

#[test]
fn debug_shows_no_token() {
    let source = TokenSource::new(Auth::Token(Zeroizing::new("hunter2".to_owned())));
    source.keep("hunter2", None).expect("a token");
    assert!(!format!("{source:?} {:?}", source.state().token).contains("hunter2"));
}

#[tokio::test]
async fn nothing_that_logs_a_header_shows_the_token() {
    let server = Server::start(&[granted("unused", 60, true)]).await;
    let vault = client(&server, Auth::Token(Zeroizing::new("canary-token".to_owned())));
    let token = vault.shared.tokens.keep("canary-token", None).expect("a token");
    assert!(token.header.is_sensitive());
    assert_eq!(format!("{:?}", token.header), "Sensitive");
    assert!(!format!("{vault:?}").contains("canary"), "{vault:?}");
}
