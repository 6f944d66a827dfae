//! The ways to log in.

use std::path::PathBuf;

use serde::Deserialize;

use super::Sensitive;

/// An `AppRole` login.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRole {
    /// Where the auth method is mounted.
    pub path: String,
    /// The role.
    pub role_id: String,
    /// The secret id itself.
    pub secret_id: Option<Sensitive>,
    /// A file that holds it.
    pub secret_id_file: Option<PathBuf>,
    /// An environment variable that holds it.
    pub secret_id_env: Option<String>,
    /// What is held is a token that the secret id is wrapped in.
    pub secret_id_wrapped: bool,
}

/// A login with a pod's service account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// Where the auth method is mounted.
    pub path: String,
    /// The role.
    pub role: String,
    /// The file that holds the service account's token.
    pub jwt_file: PathBuf,
}

/// A login with a JWT.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Where the auth method is mounted.
    pub path: String,
    /// The role; `None`: the method's default.
    pub role: Option<String>,
    /// The JWT itself.
    pub jwt: Option<Sensitive>,
    /// A file that holds it.
    pub jwt_file: Option<PathBuf>,
    /// An environment variable that holds it.
    pub jwt_env: Option<String>,
}

/// A login with a name and a password: userpass and LDAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// Where the auth method is mounted.
    pub path: String,
    /// The name.
    pub username: String,
    /// The password itself.
    pub password: Option<Sensitive>,
    /// A file that holds it.
    pub password_file: Option<PathBuf>,
    /// An environment variable that holds it.
    pub password_env: Option<String>,
}

/// A login with the certificate of the TLS connection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cert {
    /// Where the auth method is mounted.
    pub path: String,
    /// The role; `None`: whichever trusts the certificate.
    pub name: Option<String>,
}
