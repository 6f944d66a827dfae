//! Logging in. The auth methods differ in a path, in what they are told in the open, and in one secret that proves it;
//! everything else is the same for all.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::Text;
use super::auth::SecretSource;
use super::echo::repeats;
use super::token::Lease;
use super::wrapping::unwrap_secret_id;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};

/// Who logs in, where, and with what proof.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    method: &'static str,
    mount: String,
    /// What follows the mount in the URL.
    action: String,
    /// What is no secret, by the API's names.
    fields: Vec<(&'static str, String)>,
    proof: Option<Proof>,
}

#[derive(Clone, PartialEq, Eq)]
struct Proof {
    /// The API's name for it.
    field: &'static str,
    /// A person's name for it.
    what: &'static str,
    source: SecretSource,
    /// The source holds a token that the proof itself is wrapped in.
    is_wrapped: bool,
}

impl Login {
    fn new(method: &'static str, mount: &str) -> Self {
        let mount = mount.trim_matches('/').to_owned();
        Self { method, mount, action: "login".to_owned(), fields: Vec::new(), proof: None }
    }

    fn proof(mut self, field: &'static str, what: &'static str, source: SecretSource) -> Self {
        self.proof = Some(Proof { field, what, source, is_wrapped: false });
        self
    }

    /// A role by its id and a secret id. `mount` is where the auth method is mounted, here and below.
    #[must_use]
    pub fn app_role(mount: &str, role_id: &str, secret_id: SecretSource) -> Self {
        let login = Self::new("AppRole", mount).proof("secret_id", "secret id", secret_id);
        Self { fields: vec![("role_id", role_id.to_owned())], ..login }
    }

    /// As [`Self::app_role`], with the token that the secret id is wrapped in. It is unwrapped once in this process.
    #[must_use]
    pub fn app_role_wrapped(mount: &str, role_id: &str, wrapping_token: SecretSource) -> Self {
        let mut login = Self::app_role(mount, role_id, wrapping_token);
        if let Some(proof) = &mut login.proof {
            (proof.what, proof.is_wrapped) = ("wrapping token", true);
        }
        login
    }

    /// A pod's service account.
    #[must_use]
    pub fn kubernetes(mount: &str, role: &str, jwt: SecretSource) -> Self {
        Self { method: "Kubernetes", ..Self::jwt(mount, Some(role), jwt) }
    }

    /// A JWT that somebody the server trusts has signed; without a `role` it is the method's default one.
    #[must_use]
    pub fn jwt(mount: &str, role: Option<&str>, jwt: SecretSource) -> Self {
        let login = Self::new("JWT", mount).proof("jwt", "JWT", jwt);
        Self { fields: role.map(|role| ("role", role.to_owned())).into_iter().collect(), ..login }
    }

    /// A name and a password the server knows.
    #[must_use]
    pub fn userpass(mount: &str, username: &str, password: SecretSource) -> Self {
        let login = Self::new("userpass", mount).proof("password", "password", password);
        Self { action: format!("login/{username}"), ..login }
    }

    /// A name and a password the server asks an LDAP directory about.
    #[must_use]
    pub fn ldap(mount: &str, username: &str, password: SecretSource) -> Self {
        Self { method: "LDAP", ..Self::userpass(mount, username, password) }
    }

    /// The certificate of the TLS connection; `name` picks the role, else the server does.
    #[must_use]
    pub fn cert(mount: &str, name: Option<&str>) -> Self {
        let fields = name.map(|name| ("name", name.to_owned())).into_iter().collect();
        Self { fields, ..Self::new("TLS certificate", mount) }
    }

    /// Whether it may be possible only once.
    pub(super) fn is_one_time(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.is_wrapped)
    }

    /// Logs in, and makes something of the token and its lease while it is in memory that will be wiped. It is tried
    /// again as often as `repeat` allows: logging in twice makes one token too many, which expires by itself.
    pub(super) async fn log_in<T>(
        &self,
        client: &VaultClient,
        repeat: Repeat,
        make: impl FnOnce(&str, Option<Lease>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let path = format!("auth/{}/{}", self.mount, self.action);
        let target = Target { operation: "log in at", path: &path };
        let client = client.unobserved();
        let secret = match &self.proof {
            Some(proof) => {
                let secret =
                    proof.source.read(proof.what).map_err(|reason| target.error(ErrorKind::NoToken, reason))?;
                let unwrapped = async || unwrap_secret_id(&client, &self.mount, &secret, &proof.source).await;
                Some(if proof.is_wrapped { unwrapped().await? } else { secret })
            }
            None => None,
        };
        let body = Bytes::from_owner(self.body(secret.as_ref().map(|secret| secret.as_str())));
        let asked = Instant::now();
        let answer = client.send_bare(target, request(Method::POST, &path, repeat).body(body)).await?;
        let granted = Granted::read(target, &answer, |said| secret.as_ref().is_some_and(|secret| tells(said, secret)))?;
        if granted.client_token.0.is_empty() {
            let reason = "the server wants more than this login can give, such as a second factor";
            return Err(target.error(ErrorKind::NoToken, reason));
        }
        tracing::debug!(
            server = client.address(),
            mount = self.mount,
            method = self.method,
            lease = granted.lease_duration,
            "logged in"
        );
        make(&granted.client_token.0, granted.lease(asked))
    }

    fn body(&self, secret: Option<&str>) -> Zeroizing<Vec<u8>> {
        let proof = self.proof.as_ref().map(|proof| proof.field).zip(secret);
        let fields = self.fields.iter().map(|(name, value)| (*name, value.as_str())).chain(proof);
        object(fields)
    }
}

/// A JSON object of texts.
pub(super) fn object<'a>(fields: impl Iterator<Item = (&'static str, &'a str)> + Clone) -> Zeroizing<Vec<u8>> {
    // Large enough for every byte to be escaped: a buffer that grows leaves its content behind.
    let most = fields.clone().map(|(name, value)| name.len() + 6 * value.len() + 6).sum::<usize>() + 2;
    let mut body = Zeroizing::new(Vec::with_capacity(most));
    for (at, (name, value)) in fields.enumerate() {
        body.push(if at == 0 { b'{' } else { b',' });
        // Writing a string to memory cannot fail.
        let _ = serde_json::to_writer(&mut *body, name);
        body.push(b':');
        let _ = serde_json::to_writer(&mut *body, value);
    }
    if body.is_empty() {
        body.push(b'{');
    }
    body.push(b'}');
    body
}

/// Whether a server's words repeat a secret, or a good part of it.
pub(super) fn tells(said: &str, secret: &str) -> bool {
    let quoted = object([("secret", secret)].into_iter());
    said.contains(secret) || std::str::from_utf8(&quoted).is_ok_and(|quoted| repeats(said, quoted))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.proof.as_ref().map(|proof| &proof.source);
        f.debug_struct("Login")
            .field("method", &self.method)
            .field("mount", &self.mount)
            .field("proof", &source)
            .finish_non_exhaustive()
    }
}

/// `AppRole at auth/approle`.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at auth/{}", self.method, self.mount)
    }
}

#[derive(Deserialize)]
struct GrantAnswer<'a> {
    #[serde(borrow)]
    auth: Option<Granted<'a>>,
}

/// What logging in and renewing answer.
#[derive(Deserialize)]
pub(super) struct Granted<'a> {
    #[serde(borrow)]
    client_token: Text<'a>,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
}

impl<'a> Granted<'a> {
    /// What a server says of a request is withheld if it `repeats` the secret in that.
    pub(super) fn read(
        target: Target<'_>,
        answer: &'a Response,
        repeats: impl FnOnce(&str) -> bool,
    ) -> Result<Self, VaultError> {
        if !answer.status.is_success() {
            let refusal = target.refusal_to(answer, repeats);
            return Err(match refusal.kind() {
                // Name or proof are wrong, or there is no such auth method.
                ErrorKind::BadRequest | ErrorKind::PermissionDenied | ErrorKind::NotFound | ErrorKind::Unsupported => {
                    target.error(ErrorKind::NoToken, refusal.message())
                }
                _ => refusal,
            });
        }
        let granted: GrantAnswer<'a> = serde_json::from_slice(&answer.body).map_err(|error| target.protocol(&error))?;
        granted.auth.ok_or_else(|| target.error(ErrorKind::Protocol, "the answer holds no token"))
    }

    /// How long the token lasts; `None`: for ever. The server began to count after `asked`.
    pub(super) fn lease(&self, asked: Instant) -> Option<Lease> {
        Lease::granted(asked, self.lease_duration, self.renewable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpSettings;
    use crate::http::scripted::Server;
    use crate::vault::{Auth, VaultSettings};

    fn secret() -> SecretSource {
        SecretSource::Value(Zeroizing::new("hunter2".to_owned()))
    }

    fn all() -> Vec<Login> {
        vec![
            Login::app_role("approle", "hunter2", secret()),
            Login::app_role_wrapped("approle", "hunter2", secret()),
            Login::kubernetes("kubernetes", "r", secret()),
            Login::jwt("/jwt/", Some("r"), secret()),
            Login::userpass("userpass", "me", secret()),
            Login::ldap("ldap", "me", secret()),
            Login::cert("cert", Some("web")),
        ]
    }

    #[test]
    fn debug_shows_no_secret() {
        for login in all() {
            assert!(!format!("{login:?} {login} {:?}", Auth::Login(login.clone())).contains("hunter2"));
        }
        assert!(!format!("{:?}", Auth::Token(Zeroizing::new("hunter2".to_owned()))).contains("hunter2"));
    }

    #[tokio::test]
    async fn an_echo_of_the_proof_is_withheld() {
        // as it is, quoted in a quotation, and only its beginning
        for said in [r#"{\"x\":\"hunter2\"}"#, r#"{\\\"x\\\":\\\"hunter2\\\"}"#] {
            let refusal = Server::json(400, &format!(r#"{{"errors":["cannot parse {said}"]}}"#));
            let server = Server::start(&[refusal]).await;
            for login in all().into_iter().filter(|login| login.proof.is_some()) {
                let http = HttpSettings { address: server.address.clone(), ..HttpSettings::default() };
                let auth = Auth::Login(login);
                let vault = VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client");
                let error = vault.token_info().await.expect_err("a refusal");
                assert_eq!(error.kind(), ErrorKind::NoToken);
                assert!(error.message().contains("its words repeat the secret and are withheld"), "{error}");
            }
        }
        assert!(tells("cannot parse eyJhbGciOiJFUzI1", "eyJhbGciOiJFUzI1NiJ9.e30.sig"), "a piece of it");
    }

    #[test]
    fn each_method_says_what_the_api_asks_for() {
        let said = |login: &Login| {
            let body = login.body(login.proof.as_ref().map(|_| "\u{1}é\\"));
            assert!(body.capacity() >= body.len());
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            (format!("{}/{}", login.mount, login.action), body)
        };
        let proof = "\u{1}é\\";
        let expected = [
            ("approle/login", serde_json::json!({ "role_id": "hunter2", "secret_id": proof })),
            ("approle/login", serde_json::json!({ "role_id": "hunter2", "secret_id": proof })),
            ("kubernetes/login", serde_json::json!({ "role": "r", "jwt": proof })),
            ("jwt/login", serde_json::json!({ "role": "r", "jwt": proof })),
            ("userpass/login/me", serde_json::json!({ "password": proof })),
            ("ldap/login/me", serde_json::json!({ "password": proof })),
            ("cert/login", serde_json::json!({ "name": "web" })),
        ];
        for (login, (path, body)) in all().iter().zip(expected) {
            assert_eq!(said(login), (path.to_owned(), body));
        }
        assert_eq!(said(&Login::cert("cert", None)).1, serde_json::json!({}));
    }
}
