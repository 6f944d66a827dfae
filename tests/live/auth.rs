//! Every way in that OpenBao offers, and tokens that run out or are revoked: the built program against real servers.
//!
//! OpenBao 2.7 has no LDAP; what vsync says to it is tested beside the code.

mod expiry;
mod life;
mod signer;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use signer::Signer;

use crate::support::{BaoOptions, BaoServer, RootClient, Run, Tls, Vsync, canary};

/// `vsync` from one server, let in by `way` (TOML), to another. Whoever is let in may do what `vsync policy` prints.
fn vsync(origin: &BaoServer, way: &str, destination: &BaoServer) -> Vsync {
    let vsync = Vsync::new(&config(origin, way, destination, LEAST));
    origin.client().policy("copier", &vsync.policies(&[])[0]);
    vsync
}

const LEAST: &str = "token = \"least\"";

fn config(origin: &BaoServer, way: &str, destination: &BaoServer, way_there: &str) -> String {
    format!(
        "[origin]\nmounts = [\"secret\"]\n[origin.vault]\naddress = \"{}\"\nmax_retries = 1\n{way}\n\
         [[destinations]]\nname = \"copy\"\n[destinations.vault]\naddress = \"{}\"\nmax_retries = 1\n{way_there}\n",
        origin.address(),
        destination.address(),
    )
}

/// A server with a secret and an auth method of this type.
fn origin(method: &str) -> (BaoServer, RootClient) {
    let server = BaoServer::start();
    let api = prepare(&server, method);
    (server, api)
}

fn prepare(server: &BaoServer, method: &str) -> RootClient {
    let api = server.client();
    api.write("secret", "a", &json!({ "x": canary("value") }));
    if !method.is_empty() {
        write(&api, &format!("sys/auth/{method}"), json!({ "type": method }));
    }
    api
}

/// A role, whatever it is called, whose tokens have the policy of [`vsync`] alone.
fn copier(mut role: Value) -> Value {
    role["token_policies"] = json!(["copier"]);
    role["token_no_default_policy"] = json!(true);
    role
}

fn write(api: &RootClient, path: &str, body: Value) -> Value {
    let (status, answer) = api.request("POST", path, Some(body));
    assert!(status < 300, "{path}: {status} {answer}");
    answer
}

/// The line of `vsync check` about the origin's token.
fn token_line(run: &Run) -> &str {
    let line = run.stdout.lines().find(|line| line.contains(" origin ") && line.contains(" token "));
    line.unwrap_or_else(|| panic!("no line about the token:\n{}", run.text()))
}

/// The way lets in, `check` names it by `title`, and secrets are copied.
fn assert_lets_in(vsync: &Vsync, title: &str, destination: &BaoServer) {
    let check = vsync.run(&["check"]).expect(0);
    let line = token_line(&check);
    assert!(line.starts_with("ok") && line.ends_with(&format!("by {title}")), "{line}");
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read("secret", "a"), Some(json!({ "x": canary("value") })));
}

/// The way does not let in, and `check` says why and what to do.
fn assert_keeps_out(vsync: &Vsync, parts: &[&str]) -> Run {
    let check = vsync.run(&["check"]).expect(1);
    let line = token_line(&check);
    assert!(line.starts_with("FAIL"), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    check
}

fn program(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    fs::write(&file, text).expect("a program");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("the right to run it");
    file.display().to_string()
}

#[test]
fn userpass_lets_in() {
    for password in ["pass-canary-of-the-user", "wrong-canary-of-the-user"] {
        canary::register(password);
    }
    let ((from, api), to) = (origin("userpass"), BaoServer::start());
    write(&api, "auth/userpass/users/me", copier(json!({ "password": "pass-canary-of-the-user" })));
    let inline = vsync(&from, "userpass = { username = \"me\", password = \"pass-canary-of-the-user\" }", &to);
    assert_lets_in(&inline, "userpass at auth/userpass", &to);
    let shown = inline.run(&["config", "show"]).expect(0);
    assert!(shown.stdout.contains("origin.vault.userpass.password") && !shown.text().contains("canary"));

    let from_file = vsync(&from, "userpass = { username = \"me\", password_file = \"password\" }", &to);
    fs::write(from_file.folder().join("password"), "pass-canary-of-the-user\n").expect("a file");
    assert!(token_line(&from_file.run(&["check"])).starts_with("ok"));
    fs::write(from_file.folder().join("password"), "wrong-canary-of-the-user\n").expect("a file");
    let next_step = "see that username and password are right";
    let run =
        assert_keeps_out(&from_file, &["by userpass at auth/userpass", "invalid username or password", next_step]);
    assert!(!run.text().contains("canary"), "{}", run.text());
    fs::remove_file(from_file.folder().join("password")).expect("the file was there");
    assert_keeps_out(&from_file, &["the password's file password"]);

    let from_variable = vsync(&from, "userpass = { username = \"me\", password_env = \"MY_PASSWORD\" }", &to);
    let output =
        from_variable.command(&["plan"]).env("MY_PASSWORD", "pass-canary-of-the-user").output().expect("vsync starts");
    assert!(matches!(output.status.code(), Some(0 | 2)), "{}", String::from_utf8_lossy(&output.stderr));
    assert_keeps_out(&from_variable, &["the password's variable MY_PASSWORD is not set"]);
}

#[test]
fn a_jwt_lets_in() {
    let ((from, api), to) = (origin("jwt"), BaoServer::start());
    let signer = Signer::new();
    write(&api, "auth/jwt/config", json!({ "jwt_validation_pubkeys": [signer.public_key()] }));
    let role = json!({ "role_type": "jwt", "bound_audiences": ["vsync"], "user_claim": "sub" });
    write(&api, "auth/jwt/role/ci", copier(role));
    let with = vsync(&from, "jwt = { role = \"ci\", jwt_file = \"jwt\" }", &to);
    let jwt = |audience: &str| signer.sign(&signer::valid(json!({ "sub": "me", "aud": audience })));
    fs::write(with.folder().join("jwt"), jwt("vsync")).expect("a file");
    assert_lets_in(&with, "JWT at auth/jwt", &to);
    fs::write(with.folder().join("jwt"), jwt("others")).expect("a file");
    assert_keeps_out(&with, &["by JWT at auth/jwt", "log in at auth/jwt/login", "issuer, audience and claims"]);
}

#[test]
fn a_pod_s_service_account_lets_in() {
    // OpenBao wants an authority for the cluster even where it needs none: its own will do
    let from = BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    let (api, to) = (prepare(&from, "kubernetes"), BaoServer::start());
    let authority = fs::read_to_string(from.authority()).expect("a certificate");
    let (cluster, signer) = (token_review(), Signer::new());
    let config = json!({
        "kubernetes_host": cluster,
        "kubernetes_ca_cert": authority,
        "token_reviewer_jwt": signer.sign(&json!({})),
        "disable_local_ca_jwt": true,
    });
    write(&api, "auth/kubernetes/config", config);
    let role = json!({
        "bound_service_account_names": ["vsync"],
        "bound_service_account_namespaces": ["tools"],
    });
    write(&api, "auth/kubernetes/role/copier", copier(role));
    let account = |name: &str| {
        signer.sign(&signer::valid(json!({
            "iss": "https://kubernetes.default.svc.cluster.local",
            "sub": format!("system:serviceaccount:tools:{name}"),
            "kubernetes.io": { "namespace": "tools", "serviceaccount": { "name": name, "uid": UID } },
        })))
    };
    let authority = from.authority();
    let way =
        format!("ca_cert = \"{}\"\nkubernetes = {{ role = \"copier\", jwt_file = \"account\" }}", authority.display());
    let with = vsync(&from, &way, &to);
    fs::write(with.folder().join("account"), account("vsync")).expect("a file");
    assert_lets_in(&with, "Kubernetes at auth/kubernetes", &to);
    fs::write(with.folder().join("account"), account("other")).expect("a file");
    let next_step = "see that the role copier is bound to this pod's service account";
    assert_keeps_out(&with, &["by Kubernetes at auth/kubernetes", next_step, "TokenReview"]);
}

const UID: &str = "5c1e0c2b-6c39-4a75-9e64-4a0f4bb0e6a1";

/// A Kubernetes API server as far as OpenBao asks one: it takes every service account for what it says it is.
fn token_review() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut length = 0;
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).expect("a header") == 0 || line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            let review: Value = serde_json::from_slice(&body).unwrap_or_default();
            let claims = signer::claims(review["spec"]["token"].as_str().unwrap_or_default());
            let status =
                json!({ "authenticated": true, "user": { "username": claims["sub"], "uid": UID, "groups": [] } });
            let answer = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status });
            let answer = answer.to_string();
            let head = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(format!("{head}{answer}").as_bytes());
        }
    });
    address
}

#[test]
fn a_tls_certificate_lets_in() {
    let from = BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    let to = BaoServer::start();
    let api = prepare(&from, "cert");
    let authority = fs::read_to_string(from.authority()).expect("a certificate");
    write(&api, "auth/cert/certs/copier", copier(json!({ "certificate": authority })));
    let (certificate, key) = from.certificate();
    let (authority, certificate, key) =
        (from.authority(), certificate.display().to_string(), key.display().to_string());
    let way = format!(
        "ca_cert = \"{}\"\nclient_cert = \"{certificate}\"\nclient_key = \"{key}\"\ncert = {{ name = \"copier\" }}",
        authority.display()
    );
    assert_lets_in(&vsync(&from, &way, &to), "TLS certificate at auth/cert", &to);
    let unknown = way.replace("\"copier\"", "\"other\"");
    assert_keeps_out(
        &vsync(&from, &unknown, &to),
        &["by TLS certificate at auth/cert", "trusts origin.vault.client_cert"],
    );
}

#[test]
fn a_wrapped_secret_id_lets_in_once() {
    let ((from, api), to) = (origin(""), BaoServer::start());
    let (role_id, _) = api.approle("approle", "copier", &copier(json!({})));
    let wrapped = |path: &str| {
        let answer = api.wrapped(path, "5m");
        answer["wrap_info"]["token"].as_str().expect("a token").to_owned()
    };
    let way =
        format!("approle = {{ role_id = \"{role_id}\", secret_id_file = \"wrapped\", secret_id_wrapped = true }}");
    let with = vsync(&from, &way, &to);
    let put = |token: &str| fs::write(with.folder().join("wrapped"), token).expect("a file");

    let token = wrapped("auth/approle/role/copier/secret-id");
    put(&token);
    let _ = with.run(&["sync", "--yes"]).expect(0);
    assert!(to.client().read("secret", "a").is_some());
    // the same once more, in another process
    let run =
        assert_keeps_out(&with, &["the wrapping token in wrapped is not valid", "used already", "somebody else has"]);
    assert!(!run.text().contains(&token), "{}", run.text());

    // both sides of one process share what was in it
    put(&wrapped("auth/approle/role/copier/secret-id"));
    with.configure(
        &config(&from, &way, &from, &way).replace("name = \"copy\"", "name = \"copy\"\nmounts = [\"more\"]"),
    );
    api.policy("copier", &with.policies(&[]).concat());
    let check = with.run(&["check"]);
    let tokens: Vec<_> = check.stdout.lines().filter(|line| line.contains("by AppRole")).collect();
    assert!(tokens.len() == 2 && tokens.iter().all(|line| line.starts_with("ok")), "{}", check.text());
    with.configure(&config(&from, &way, &to, LEAST));

    // somebody has put another token there: it is left unopened
    let forged = wrapped("sys/wrapping/wrap");
    put(&forged);
    assert_keeps_out(&with, &["was made for sys/wrapping/wrap", "not for a secret id of auth/approle", "not used"]);
    let unwrapped = api.with_token(&forged).request("POST", "sys/wrapping/unwrap", None);
    assert_eq!(unwrapped.0, 200, "{}", unwrapped.1);
}

#[test]
fn a_token_helper_lets_in() {
    let ((from, api), to) = (origin(""), BaoServer::start());
    let with = vsync(&from, "token_helper = \"./helper\"", &to);
    let (first, second) = (api.token_without_default("copier"), api.token_without_default("copier"));
    let script = "#!/bin/sh\ntest \"$1\" = get && cat token\n";
    let helper = program(with.folder(), "helper", script);
    fs::write(with.folder().join("token"), &first).expect("a token");
    assert_lets_in(&with, "the token helper ./helper", &to);
    api.revoke(&first);
    assert_keeps_out(&with, &["no longer valid", "see that \"./helper get\" prints a valid token"]);
    fs::remove_file(with.folder().join("token")).expect("the token was there");
    assert_keeps_out(&with, &["run token helper ./helper: it failed", "run \"./helper get\" to see why"]);

    // the one that Vault's own command would use
    let with = vsync(&from, "", &to);
    fs::write(with.folder().join("token"), &second).expect("a token");
    fs::write(with.folder().join(".vault"), format!("token_helper = \"{helper}\"\n")).expect("a file");
    fs::write(Path::new(&helper), script.replace("cat token", &format!("echo {second}"))).expect("the helper");
    // its own folder is gone with the first vsync, so it is one of this
    let helper = program(with.folder(), "helper", script);
    fs::write(with.folder().join(".vault"), format!("token_helper = \"{helper}\"\n")).expect("a file");
    let check = with.run(&["check"]);
    let line = token_line(&check);
    assert!(line.starts_with("ok") && line.contains(&helper) && line.contains("/.vault names"), "{line}");
}
