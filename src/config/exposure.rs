//! Files that hold secrets and that others can read.

use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::check::join;
use super::document::{Node, Place};
use super::load::Loaded;
use super::model::{Consul, Vault};
use super::schema::{self, Key, Kind};

/// A file that holds a secret, and that its group or everybody can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposedFile {
    /// `configuration`, `origin`, or a destination's name.
    pub side: String,
    /// The file.
    pub file: PathBuf,
    /// Its permission bits.
    pub mode: u32,
    /// What the secret is: the key that holds it, or names the file.
    key: String,
}

impl ExposedFile {
    /// What to do about it.
    #[must_use]
    pub fn next_step(&self) -> String {
        format!("chmod 600 {}", quoted(&self.file))
    }

    /// What is wrong.
    #[must_use]
    pub fn detail(&self) -> String {
        let whom = if self.mode & 0o004 == 0 { "its group" } else { "everybody" };
        format!(
            "{} can be read by {whom} (mode {:04o}) and holds a secret ({})",
            self.file.display(),
            self.mode,
            self.key
        )
    }
}

impl fmt::Display for ExposedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; run: {}", self.detail(), self.next_step())
    }
}

impl Loaded {
    /// The files with secrets in them that others than their owner can read, each once: the configuration file, and those
    /// that it names for tokens, secret ids, JWTs, passwords and private keys. A file without a secret may be read by anybody.
    #[must_use]
    pub fn exposed(&self) -> Vec<ExposedFile> {
        let mut found = Found(Vec::new());
        if let (Some(file), Some(key)) = (&self.file, secret_in_file(schema::ROOT, &self.root, "")) {
            found.look("configuration", file, key);
        }
        let origin = &self.config.origin;
        found.side("origin", "origin", &origin.vault, origin.consul.as_ref());
        for one in &self.config.destinations {
            found.side(&one.name, &format!("destinations.{}", one.name), &one.vault, one.consul.as_ref());
        }
        found.0
    }
}

struct Found(Vec<ExposedFile>);

impl Found {
    fn side(&mut self, side: &str, key: &str, vault: &Vault, consul: Option<&Consul>) {
        let (of_vault, of_consul) = (format!("{key}.vault"), format!("{key}.consul"));
        match way_in(vault) {
            WayIn::File(file, key) => self.look(side, file, join(&of_vault, key)),
            WayIn::NoFile => {}
            WayIn::Ambient => {
                if let Some(file) = vault_token() {
                    self.look(side, &file, of_vault.clone());
                }
            }
        }
        // without a key file of its own, the certificate's file holds the key
        let key_of = |cert: &Option<PathBuf>, key: &Option<PathBuf>| key.clone().or_else(|| cert.clone());
        if let Some(file) = key_of(&vault.client_cert, &vault.client_key) {
            self.look(side, &file, join(&of_vault, "client_key"));
        }
        let Some(consul) = consul else { return };
        if let (None, Some(file)) = (&consul.token, &consul.token_file) {
            self.look(side, file, join(&of_consul, "token_file"));
        }
        if let Some(file) = key_of(&consul.client_cert, &consul.client_key) {
            self.look(side, &file, join(&of_consul, "client_key"));
        }
    }

    /// Notes a file if others can read it; one that is not there is another's trouble.
    fn look(&mut self, side: &str, file: &Path, key: String) {
        let Ok(about) = std::fs::metadata(file) else { return };
        let mode = about.permissions().mode() & 0o7777;
        if about.is_file() && mode & 0o044 != 0 && self.0.iter().all(|one| one.file != file) {
            self.0.push(ExposedFile { side: side.to_owned(), file: file.to_owned(), mode, key });
        }
    }
}

/// Where the secret comes from that leads to a token.
enum WayIn<'a> {
    /// From this file, which this key names.
    File(&'a Path, &'static str),
    /// From elsewhere, or a private key is all there is. Whoever mounts a service account's token sees to its mode.
    NoFile,
    /// Nothing is configured.
    Ambient,
}

fn way_in(vault: &Vault) -> WayIn<'_> {
    fn from<'a>(file: Option<&'a Path>, key: &'static str) -> WayIn<'a> {
        file.map_or(WayIn::NoFile, |file| WayIn::File(file, key))
    }
    let Vault { token, token_file, token_helper, approle, kubernetes, jwt, userpass, ldap, cert, .. } = vault;
    if token.is_some() {
        return WayIn::NoFile;
    }
    if token_file.is_some() {
        return from(token_file.as_deref(), "token_file");
    }
    match (approle, jwt, userpass, ldap) {
        (Some(login), ..) => from(login.secret_id_file.as_deref(), "approle.secret_id_file"),
        (_, Some(login), ..) => from(login.jwt_file.as_deref(), "jwt.jwt_file"),
        (_, _, Some(login), _) => from(login.password_file.as_deref(), "userpass.password_file"),
        (.., Some(login)) => from(login.password_file.as_deref(), "ldap.password_file"),
        _ if token_helper.is_some() || kubernetes.is_some() || cert.is_some() => WayIn::NoFile,
        _ => WayIn::Ambient,
    }
}

/// The first key whose secret stands in the configuration file itself.
fn secret_in_file(keys: &'static [Key], node: &Node, path: &str) -> Option<String> {
    keys.iter().find_map(|key| {
        let value = node.get(key.name)?;
        let name = join(path, key.name);
        match key.kind {
            Kind::Table(keys) => secret_in_file(keys, value, &name),
            Kind::Tables(keys) => value.items().iter().find_map(|item| {
                let label = item.get("name").and_then(Node::as_text).unwrap_or("?");
                secret_in_file(keys, item, &join(&name, label))
            }),
            Kind::Secret => matches!(value.place, Place::File { .. }).then_some(name),
            _ => None,
        }
    })
}

/// The file that is read for want of anything else.
fn vault_token() -> Option<PathBuf> {
    let set = |name| std::env::var(name).is_ok_and(|token| !token.trim().is_empty());
    if set("VAULT_TOKEN") || set("BAO_TOKEN") {
        return None;
    }
    Some(etcetera::base_strategy::Xdg::new().ok()?.home_dir().join(".vault-token"))
}

/// A file's name as a shell takes it.
fn quoted(file: &Path) -> String {
    let name = file.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
    if name.chars().all(plain) { name } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::config::{Sources, load};

    fn write(file: &Path, text: &str, mode: u32) {
        fs::write(file, text).expect("a file");
        fs::set_permissions(file, Permissions::from_mode(mode)).expect("its mode");
    }

    /// What is found with a configuration of this mode, in which `FOLDER` is the one it lies in.
    fn exposed(folder: &Path, text: &str, mode: u32, environment: &[(&str, &str)]) -> Vec<String> {
        let file = folder.join("vsync.toml");
        write(&file, &text.replace("FOLDER", &folder.display().to_string()), mode);
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let sources = Sources { file: Some(file), environment, ..Sources::default() };
        let loaded = load(&sources).map_err(|error| error.to_string()).unwrap_or_else(|error| panic!("{error}"));
        let name = |one: &ExposedFile| one.to_string().replace(&folder.display().to_string(), "FOLDER");
        loaded.exposed().iter().map(|one| format!("{}: {}", one.side, name(one))).collect()
    }

    const WITH_TOKEN: &str = r#"
        origin = { mounts = ["secret"], vault = { address = "http://h:1", token_file = "FOLDER/none" } }
        [[destinations]]
        name = "copy"
        vault = { address = "http://h:2", token = "s.x" }
    "#;
    const WITHOUT: &str = r#"
        origin = { mounts = ["secret"], vault = { address = "http://h:1", token_file = "FOLDER/token" } }
        [[destinations]]
        name = "copy"
        vault = { address = "http://h:2", approle = { path = "approle", role_id = "r", secret_id_file = "FOLDER/se'c ret" } }
        consul = { address = "http://h:3", token_file = "FOLDER/token" }
    "#;

    #[test]
    fn a_configuration_with_a_secret_is_named_when_others_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = |mode| exposed(folder.path(), WITH_TOKEN, mode, &[]);
        assert_eq!(
            found(0o644),
            ["configuration: FOLDER/vsync.toml can be read by everybody (mode 0644) and holds a secret \
                 (destinations.copy.vault.token); run: chmod 600 FOLDER/vsync.toml"]
        );
        assert!(found(0o640)[0].contains("by its group (mode 0640)"), "{:?}", found(0o640));
        assert!(found(0o604)[0].contains("by everybody (mode 0604)"));
        for mode in [0o600, 0o400, 0o700, 0o622] {
            assert!(found(mode).is_empty(), "{mode:o}");
        }
    }

    #[test]
    fn a_secret_that_comes_from_elsewhere_makes_no_file_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        let environment = [("VSYNC_ORIGIN_VAULT_TOKEN", "s.x"), ("VSYNC_DESTINATIONS_COPY_VAULT_TOKEN", "s.x")];
        assert!(exposed(folder.path(), WITHOUT, 0o644, &environment).is_empty());
    }

    #[test]
    fn files_that_hold_tokens_and_secret_ids_are_named_once() {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join("token"), "s.x", 0o644);
        write(&folder.path().join("se'c ret"), "id", 0o440);
        assert_eq!(
            exposed(folder.path(), WITHOUT, 0o644, &[]),
            [
                "origin: FOLDER/token can be read by everybody (mode 0644) and holds a secret \
                 (origin.vault.token_file); run: chmod 600 FOLDER/token",
                r"copy: FOLDER/se'c ret can be read by its group (mode 0440) and holds a secret (destinations.copy.vault.approle.secret_id_file); run: chmod 600 'FOLDER/se'\''c ret'",
            ]
        );
        write(&folder.path().join("token"), "s.x", 0o600);
        write(&folder.path().join("se'c ret"), "id", 0o400);
        assert!(exposed(folder.path(), WITHOUT, 0o644, &[]).is_empty());
    }

    #[test]
    fn only_the_file_that_leads_to_the_token_is_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["proof", "helper"] {
            write(&folder.path().join(file), "s.x", 0o644);
        }
        let of = |way: &str| {
            let text = WITH_TOKEN.replace("token_file = \"FOLDER/none\"", way);
            let found = exposed(folder.path(), &text, 0o600, &[]);
            found.into_iter().map(|line| line.split_once(": ").map(|(side, _)| side.to_owned())).collect::<Vec<_>>()
        };
        for (way, is_looked_at) in [
            (r#"jwt = { role = "r", jwt_file = "FOLDER/proof" }"#, true),
            (r#"userpass = { username = "u", password_file = "FOLDER/proof" }"#, true),
            (r#"ldap = { username = "u", password_file = "FOLDER/proof" }"#, true),
            (r#"userpass = { username = "u", password = "p" }"#, false),
            (r#"kubernetes = { role = "r", jwt_file = "FOLDER/proof" }"#, false),
            (r#"token_helper = "FOLDER/helper""#, false),
        ] {
            let expected = if is_looked_at { vec![Some("origin".to_owned())] } else { Vec::new() };
            assert_eq!(of(way), expected, "{way}");
        }
    }
}
