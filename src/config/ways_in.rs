//! Whether a Vault's section says as whom to speak to it, and in one way only.

use super::document::{Entry, Node, Place, Step};
use super::error::Problem;
use super::model::{Password, Vault};

/// The keys that each are a way to a token.
const WAYS: [&str; 9] =
    ["token", "token_file", "token_helper", "approle", "kubernetes", "jwt", "userpass", "ldap", "cert"];

/// What is wrong, and under which key of the section. `name` is the section's, for messages.
pub(super) fn problems(vault: &Vault, section: &Node, name: &str) -> Vec<(Problem, Step<'static>)> {
    let mut problems = Vec::new();
    // v0.3 takes an empty token for none
    let is_given = |entry: &&Entry| entry.value.as_text() != Some("");
    let ways: Vec<(&'static str, &Entry)> =
        WAYS.iter().filter_map(|&key| Some((key, section.entry(key).filter(is_given)?))).collect();
    // a token from outside goes before whatever the file says
    let is_above = |token: &Entry, rest: &[(&str, &Entry)]| {
        matches!(token.key_place, Place::Environment(_) | Place::Flag(_))
            && rest.iter().all(|(_, other)| matches!(other.key_place, Place::File { .. }))
    };
    let token_is_taken = match ways[..] {
        // v0.3's samples have these two together, of which it takes the token
        [("token", _), ("approle", _)] => true,
        [("token", token), ref rest @ ..] => is_above(token, rest),
        _ => false,
    };
    if let [(first, one), (second, other), ..] = ways[..]
        && !token_is_taken
    {
        let (one, other) = (&one.key_place, &other.key_place);
        let message = format!("{name}.{first} ({one}) and {name}.{second} ({other}) are two ways to a token");
        let problem = Problem::new(message).help("keep the one that is meant, and remove the other");
        problems.push((problem, Step::Key(second)));
    }
    let proofs = [
        vault.approle.as_ref().map(|login| {
            let given = [login.secret_id.is_some(), login.secret_id_file.is_some(), login.secret_id_env.is_some()];
            ("approle", "an approle", "secret_id", given)
        }),
        vault.jwt.as_ref().map(|login| {
            ("jwt", "a jwt", "jwt", [login.jwt.is_some(), login.jwt_file.is_some(), login.jwt_env.is_some()])
        }),
        vault.userpass.as_ref().map(|login| ("userpass", "a userpass", "password", given(login))),
        vault.ldap.as_ref().map(|login| ("ldap", "an ldap", "password", given(login))),
    ];
    for (key, what, proof, given) in proofs.into_iter().flatten() {
        if given.into_iter().filter(|&given| given).count() != 1 {
            let problem = Problem::new(format!("{what} needs exactly one of {proof}, {proof}_file and {proof}_env"));
            problems.push((problem, Step::Key(key)));
        }
    }
    if vault.cert.is_some() {
        if vault.client_cert.is_none() {
            let problem = Problem::new("cert logs in with the client's certificate, and there is none");
            problems.push((problem.help("set client_cert and client_key beside it"), Step::Key("cert")));
        }
        if vault.address.starts_with("http://") {
            let problem = Problem::new("cert logs in with a certificate, which only https:// can show to the server");
            problems.push((problem, Step::Key("address")));
        }
    }
    problems
}

fn given(login: &Password) -> [bool; 3] {
    [login.password.is_some(), login.password_file.is_some(), login.password_env.is_some()]
}
