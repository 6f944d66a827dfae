//! KV version 1: a name and its value, and nothing else. vsync only reads it.

use reqwest::Method;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::answer::KeysAnswer;
use super::kv2::is_empty_folder;
use super::sys::data;
use super::{ErrorKind, Target, VaultClient, VaultError, request};
use crate::http::Repeat;
use crate::kv::{Mount, SecretData, SecretPath};

/// What reading a secret of KV version 1 is called in errors.
pub(crate) const READ_V1: &str = "read KV version 1 secret";

impl VaultClient {
    /// `LIST MOUNT/FOLDER` of an engine of KV version 1: names, folders with a slash at their end. `folder` is empty or
    /// ends in a slash. An empty folder is an empty list, not an error.
    ///
    /// # Errors
    /// [`VaultError`]; see [`ErrorKind`]. A mount that does not exist, or is KV version 2, is an error.
    pub async fn list_v1(&self, mount: &Mount, folder: &str) -> Result<Vec<String>, VaultError> {
        let name = format!("{mount}{folder}");
        let target = Target { operation: "list", path: &name };
        // a valid token; were it not, the server would refuse a GET of a folder
        let list = Method::from_bytes(b"LIST").unwrap_or_default();
        let answer = self.send(target, request(list, &name, Repeat::Safe).long_answer()).await?;
        if is_empty_folder(target, &answer) {
            return Ok(Vec::new());
        }
        let KeysAnswer { keys } = data(target, &answer)?;
        Ok(keys)
    }

    /// `GET MOUNT/PATH` of an engine of KV version 1.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such secret; see [`ErrorKind`] for the rest. That the mount is KV version 2
    /// is no absence, but an error.
    pub async fn read_v1(&self, path: &SecretPath) -> Result<SecretData, VaultError> {
        let name = path.to_string();
        let target = Target { operation: READ_V1, path: &name };
        let answer = self.send(target, request(Method::GET, &path.v1_path(), Repeat::Safe)).await?;
        let object: &RawValue = data(target, &answer)?;
        if !object.get().starts_with('{') {
            return Err(target.error(ErrorKind::Protocol, "the answer holds no data"));
        }
        Ok(SecretData::from_json(Zeroizing::new(object.get().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::HttpSettings;
    use crate::http::scripted::Server;
    use crate::vault::{Auth, VaultSettings};

    async fn vault(answers: &[String]) -> (VaultClient, Server) {
        let server = Server::start(answers).await;
        let http = HttpSettings { address: server.address.clone(), max_retries: 0, ..HttpSettings::default() };
        let auth = Auth::Token(Zeroizing::new("token".to_owned()));
        (VaultClient::new(VaultSettings { http, namespace: None, auth }).expect("a client"), server)
    }

    #[tokio::test]
    async fn the_value_is_kept_as_it_came() {
        let value = r#"{"n":1.50,"big":12345678901234567890123,"o":{"z":[1,null],"a":"\u003c"}}"#;
        let (vault, _server) = vault(&[Server::json(200, &format!(r#"{{"lease_duration":1,"data":{value}}}"#))]).await;
        let path = SecretPath::new(&Mount::parse("old").expect("a mount"), "a");
        assert_eq!(vault.read_v1(&path).await.expect("a value").expose_json(), value);
    }

    #[tokio::test]
    async fn an_empty_folder_is_not_what_is_not_known() {
        let mount = Mount::parse("old").expect("a mount");
        let answers = [
            Server::json(404, r#"{"errors":[]}"#),
            Server::json(404, r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#),
            Server::json(404, r#"{"errors":["no handler for route \"old/\""]}"#),
            Server::json(200, r#"{"data":{"keys":["a","#),
            Server::json(200, r#"{"data":null}"#),
        ];
        let (vault, _server) = vault(&answers).await;
        assert_eq!(vault.list_v1(&mount, "").await.expect("an empty folder"), [""; 0]);
        for kind in [ErrorKind::BadRequest, ErrorKind::BadRequest, ErrorKind::Protocol, ErrorKind::Protocol] {
            assert_eq!(vault.list_v1(&mount, "a/").await.expect_err("not known").kind(), kind);
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_gone_is_not_one_of_version_2() {
        let path = SecretPath::new(&Mount::parse("old").expect("a mount"), "a");
        let answers = [
            Server::json(404, r#"{"errors":[]}"#),
            Server::json(404, r#"{"data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}"#),
            Server::json(200, r#"{"data":null}"#),
            Server::json(200, r#"{"data":["CANARY"]}"#),
            Server::json(200, r#"{"data":{"a":"CANARY"#),
        ];
        let (vault, _server) = vault(&answers).await;
        for kind in
            [ErrorKind::NotFound, ErrorKind::BadRequest, ErrorKind::Protocol, ErrorKind::Protocol, ErrorKind::Protocol]
        {
            let error = vault.read_v1(&path).await.expect_err("no value");
            assert_eq!(error.kind(), kind, "{error}");
            assert!(!format!("{error} {error:?}").contains("CANARY"), "{error}");
        }
    }
}
