//! Secret ids that are handed over in a wrapping: a token that gives them out once, and by that shows whether somebody
//! else has looked.

use bytes::Bytes;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::answer::{Envelope, Text};
use super::auth::SecretSource;
use super::login::{object, tells};
use super::{ErrorKind, TOKEN, Target, VaultClient, VaultError, request};
use crate::http::{Repeat, Response};

/// Wrapping tokens that this process has used, with what was in them. A token is good for one use, and there is always
/// somebody else who needs what it gave: the next login, the other side, a daemon that reads its configuration again.
static UNWRAPPED: Mutex<Vec<(Zeroizing<String>, Zeroizing<String>)>> = Mutex::const_new(Vec::new());

#[derive(Deserialize)]
struct Lookup {
    creation_path: String,
}

#[derive(Deserialize)]
struct SecretId<'a> {
    #[serde(borrow)]
    secret_id: Text<'a>,
}

/// The secret id behind a wrapping token. `mount` is where `AppRole` is mounted: what was wrapped elsewhere is refused
/// unopened, because whoever can replace the token could make vsync log in as somebody else.
pub(super) async fn unwrap_secret_id(
    client: &VaultClient,
    mount: &str,
    token: &Zeroizing<String>,
    source: &SecretSource,
) -> Result<Zeroizing<String>, VaultError> {
    // Held on to while asking: whoever comes at the same time with the same token gets what the first got.
    let mut unwrapped = UNWRAPPED.lock().await;
    if let Some((_, secret_id)) = unwrapped.iter().find(|(used, _)| used == token) {
        return Ok(secret_id.clone());
    }
    let place = source.place();
    let target = Target { operation: "unwrap", path: "the secret id" };
    let body = Bytes::from_owner(object([("token", token.as_str())].into_iter()));
    let lookup = request(Method::POST, "sys/wrapping/lookup", Repeat::Safe).body(body);
    let answer = client.send_bare(target, lookup).await?;
    let creation_path = accepted::<Lookup>(target, &answer, token, &place)?.creation_path;
    if !is_of_role(&creation_path, mount, client.namespace()) {
        let reason = format!(
            "the wrapping token in {place} was made for {creation_path}, not for a secret id of auth/{mount}: \
             it is not used; find out who put it there"
        );
        return Err(target.error(ErrorKind::NoToken, reason));
    }
    let bytes = Bytes::from_owner(Zeroizing::new(token.as_bytes().to_vec()));
    let mut header = HeaderValue::from_maybe_shared(bytes)
        .map_err(|_| target.error(ErrorKind::NoToken, "the wrapping token contains characters no header can carry"))?;
    header.set_sensitive(true);
    // Not again after an answer that was lost: by then it has been used.
    let request = request(Method::PUT, "sys/wrapping/unwrap", Repeat::IfUnprocessed).body("{}").header(TOKEN, header);
    let answer = client.send_bare(target, request).await?;
    let found: SecretId<'_> = accepted(target, &answer, token, &place)?;
    let secret_id = Zeroizing::new(found.secret_id.0.as_ref().to_owned());
    unwrapped.push((token.clone(), secret_id.clone()));
    Ok(secret_id)
}

fn accepted<'a, T: Deserialize<'a>>(
    target: Target<'_>,
    answer: &'a Response,
    token: &str,
    place: &str,
) -> Result<T, VaultError> {
    if answer.status.is_success() {
        let envelope: Envelope<T> = serde_json::from_slice(&answer.body).map_err(|error| target.protocol(&error))?;
        return Ok(envelope.data);
    }
    let refusal = target.refusal_to(answer, |said| tells(said, token));
    Err(match refusal.kind() {
        ErrorKind::BadRequest | ErrorKind::PermissionDenied | ErrorKind::NotFound => {
            let reason = format!(
                "the wrapping token in {place} is not valid ({}): it was used already or has run out. If neither you \
                 nor an earlier vsync used it, somebody else has the secret id: destroy it. Put a new wrapped one there",
                refusal.message()
            );
            target.error(ErrorKind::NoToken, reason)
        }
        _ => refusal,
    })
}

/// Whether this path makes secret ids of a role. Some servers put the namespace before it.
fn is_of_role(path: &str, mount: &str, namespace: Option<&str>) -> bool {
    let namespace = format!("{}/", namespace.unwrap_or_default().trim_matches('/'));
    let path = path.strip_prefix(&namespace).unwrap_or(path);
    let role = path.strip_prefix("auth/").and_then(|path| path.strip_prefix(mount)?.strip_prefix("/role/"));
    role.and_then(|role| role.strip_suffix("/secret-id").or_else(|| role.strip_suffix("/custom-secret-id")))
        .is_some_and(|role| !role.is_empty() && !role.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_secret_id_of_a_role_is_unwrapped() {
        for path in ["auth/approle/role/r/secret-id", "auth/approle/role/r/custom-secret-id"] {
            assert!(is_of_role(path, "approle", None), "{path}");
            assert!(is_of_role(&format!("team/a/{path}"), "approle", Some("team/a/")), "{path}");
            assert!(!is_of_role(path, "other", None), "{path}");
        }
        for path in ["sys/wrapping/wrap", "cubbyhole/response", "auth/approle/role//secret-id", "auth/approle/login"] {
            assert!(!is_of_role(path, "approle", None), "{path}");
        }
    }
}
