//! The way to a token: what the configuration says, else what Vault's own command would use.

use std::path::{Path, PathBuf};
use std::{env, fs};

use etcetera::BaseStrategy;
use zeroize::Zeroizing;

use super::{ConnectError, SideName};
use crate::config::{Password, Sensitive, Vault};
use crate::vault::{Auth, Login, SecretSource};

/// The way to a token.
#[derive(Debug)]
pub struct WayIn {
    /// As the client takes it.
    pub auth: Auth,
    /// What it is, in a person's words: `AppRole at auth/approle`, `the token file /run/token`.
    pub title: String,
    /// What to do when the server does not let in.
    pub next_step: String,
}

impl WayIn {
    fn token(auth: Auth, title: String, next_step: impl Into<String>) -> Self {
        Self { auth, title, next_step: next_step.into() }
    }

    fn login(login: Login, next_step: impl Into<String>) -> Self {
        Self { title: login.to_string(), auth: Auth::Login(login), next_step: next_step.into() }
    }
}

/// The way to a Vault's token: the one that is configured, else `VAULT_TOKEN`, `BAO_TOKEN`, the token helper that
/// `~/.vault` names, and `~/.vault-token`.
///
/// # Errors
/// [`ConnectError::NoToken`] when there is none of these.
pub fn way_in(vault: &Vault, side: &SideName) -> Result<WayIn, ConnectError> {
    let key = format!("{}.vault", side.key);
    if let Some(way) = configured(vault, &key) {
        return Ok(way);
    }
    for name in ["VAULT_TOKEN", "BAO_TOKEN"] {
        if let Some(token) = env::var(name).ok().map(Zeroizing::new).filter(|token| !token.trim().is_empty()) {
            let auth = Auth::Token(Zeroizing::new(token.trim().to_owned()));
            return Ok(WayIn::token(auth, format!("the variable {name}"), format!("set {name} to a valid token")));
        }
    }
    let home = etcetera::base_strategy::Xdg::new().ok().map(|folders| folders.home_dir().to_owned());
    if let Some((config, program)) = helper_of_vault(home.as_deref()) {
        return Ok(helper(program, &format!(", which {} names", config.display())));
    }
    match home.map(|home| home.join(".vault-token")).filter(|file| file.is_file()) {
        Some(file) => Ok(token_file(&file)),
        None => Err(ConnectError::NoToken { side: side.title.clone(), address: vault.address.clone(), key }),
    }
}

fn configured(vault: &Vault, key: &str) -> Option<WayIn> {
    if let Some(token) = vault.token.as_ref().filter(|token| !token.expose().is_empty()) {
        let auth = Auth::Token(token.expose().clone());
        return Some(WayIn::token(auth, format!("{key}.token"), format!("set {key}.token to a valid token")));
    }
    if let Some(file) = vault.token_file.as_ref().filter(|file| !file.as_os_str().is_empty()) {
        return Some(token_file(file));
    }
    if let Some(program) = vault.token_helper.as_ref().filter(|program| !program.as_os_str().is_empty()) {
        return Some(helper(program.clone(), ""));
    }
    if let Some(login) = &vault.approle {
        let source = source(login.secret_id.as_ref(), login.secret_id_file.as_ref(), login.secret_id_env.as_ref());
        return Some(if login.secret_id_wrapped {
            let login = Login::app_role_wrapped(&login.path, &login.role_id, source);
            WayIn::login(login, "put a newly wrapped secret id there; the role_id must be the one it was made for")
        } else {
            let next_step = "see that role_id and secret id belong together, and that the secret id has not run out";
            WayIn::login(Login::app_role(&login.path, &login.role_id, source), next_step)
        });
    }
    if let Some(login) = &vault.kubernetes {
        let proof = SecretSource::File(login.jwt_file.clone());
        let next_step = format!(
            "see that the role {} is bound to this pod's service account and namespace, that {} is its token, and that \
             the server reaches the cluster's TokenReview API",
            login.role,
            login.jwt_file.display()
        );
        return Some(WayIn::login(Login::kubernetes(&login.path, &login.role, proof), next_step));
    }
    if let Some(login) = &vault.jwt {
        let proof = source(login.jwt.as_ref(), login.jwt_file.as_ref(), login.jwt_env.as_ref());
        let next_step = "see that the JWT has not run out, and that its issuer, audience and claims are those the role \
                         is bound to";
        return Some(WayIn::login(Login::jwt(&login.path, login.role.as_deref(), proof), next_step));
    }
    let next_step = "see that username and password are right, and path, where the method is mounted";
    if let Some(login) = &vault.userpass {
        return Some(WayIn::login(Login::userpass(&login.path, &login.username, password(login)), next_step));
    }
    if let Some(login) = &vault.ldap {
        let next_step = format!("{next_step}; and that the server reaches its directory");
        return Some(WayIn::login(Login::ldap(&login.path, &login.username, password(login)), next_step));
    }
    vault.cert.as_ref().map(|login| {
        let name = login.name.as_deref();
        let next_step = format!(
            "see that auth/{} trusts {key}.client_cert, and that nothing between here and the server ends TLS",
            login.path.trim_matches('/')
        );
        WayIn::login(Login::cert(&login.path, name), next_step)
    })
}

fn password(login: &Password) -> SecretSource {
    source(login.password.as_ref(), login.password_file.as_ref(), login.password_env.as_ref())
}

/// The one that is given: the configuration has been checked for that.
fn source(value: Option<&Sensitive>, file: Option<&PathBuf>, env: Option<&String>) -> SecretSource {
    match (value, file) {
        (Some(value), _) => SecretSource::Value(value.expose().clone()),
        (None, Some(file)) => SecretSource::File(file.clone()),
        (None, None) => SecretSource::Env(env.cloned().unwrap_or_default()),
    }
}

fn token_file(file: &Path) -> WayIn {
    let shown = file.display();
    WayIn::token(
        Auth::TokenFile(file.to_owned()),
        format!("the token file {shown}"),
        format!("put a valid token into {shown}"),
    )
}

fn helper(program: PathBuf, named: &str) -> WayIn {
    let title = format!("the token helper {}{named}", program.display());
    let next_step = format!("see that \"{} get\" prints a valid token", program.display());
    WayIn::token(Auth::TokenHelper(program), title, next_step)
}

/// The token helper that the configuration of Vault's own command names, with that file.
fn helper_of_vault(home: Option<&Path>) -> Option<(PathBuf, PathBuf)> {
    let named = ["VAULT_CONFIG_PATH", "BAO_CONFIG_PATH"].into_iter().find_map(env::var_os).map(PathBuf::from);
    let config = named.or_else(|| Some(home?.join(".vault")))?;
    let body = hcl_edit::parser::parse_body(&fs::read_to_string(&config).ok()?).ok()?;
    let program = body.get_attribute("token_helper")?.value.as_str().filter(|program| !program.is_empty())?;
    Some((config, program.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_of_vaults_own_configuration_is_found() {
        let home = tempfile::tempdir().expect("a folder");
        assert!(helper_of_vault(Some(home.path())).is_none());
        fs::write(home.path().join(".vault"), "# mine\ntoken_helper = \"/usr/bin/helper\"\n").expect("a file");
        let (_, program) = helper_of_vault(Some(home.path())).expect("a helper");
        assert_eq!(program, Path::new("/usr/bin/helper"));
    }
}
