//! Where tokens come from, and how they are kept.

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::HeaderValue;
use zeroize::Zeroizing;

use super::{FileStamp, Lease, Life, Token, TokenSource};
use crate::http::Repeat;
use crate::vault::auth::{Auth, read_token};
use crate::vault::helper::token_of;
use crate::vault::{ErrorKind, Target, VaultClient, VaultError};

impl TokenSource {
    /// Gets a token the way that is configured. The caller holds the `refresh` lock.
    pub(super) async fn get(&self, client: &VaultClient, repeat: Repeat) -> Result<Token, VaultError> {
        match &self.auth {
            Auth::Token(token) => self.keep(token, None),
            Auth::TokenFile(file) => self.read_file(file),
            Auth::TokenHelper(program) => self.keep(&Box::pin(token_of(program)).await?, None),
            Auth::Login(login) => {
                // Every request may come to this, and should not carry its size with it.
                let token = Box::pin(login.log_in(client, repeat, |token, lease| self.keep(token, lease))).await?;
                self.watch(client);
                Ok(token)
            }
        }
    }

    pub(super) fn read_file(&self, file: &Path) -> Result<Token, VaultError> {
        // Before the content, so that a change in between is noticed later.
        let stamp = FileStamp::of(file);
        let read = read_token(file).and_then(|token| self.keep(&token, None));
        let mut state = self.state();
        state.file_checked = Some(Instant::now());
        match (read, &state.token) {
            (Ok(token), _) => {
                state.file_stamp = stamp;
                Ok(token)
            }
            // Caught while it is being written: the token there was will do until the next look.
            (Err(_), Some(held)) => Ok(held.clone()),
            (Err(error), None) => Err(error),
        }
    }

    pub(super) fn keep(&self, token: &str, lease: Option<Lease>) -> Result<Token, VaultError> {
        let target = Target { operation: "use", path: "the token" };
        if token.is_empty() {
            return Err(target.error(ErrorKind::NoToken, "there is none"));
        }
        let bytes = Bytes::from_owner(Zeroizing::new(token.as_bytes().to_vec()));
        let mut header = HeaderValue::from_maybe_shared(bytes)
            .map_err(|_| target.error(ErrorKind::NoToken, "it contains characters no header can carry"))?;
        header.set_sensitive(true);
        let mut state = self.state();
        let held = state.token.as_ref().filter(|held| held.header == header);
        // The same once more: what is known of it still holds, unless it should have ended by now.
        let known = held.and_then(|held| held.lease).filter(|lease| !lease.is_over());
        if held.is_none() {
            state.generations += 1;
        }
        if known.is_none() {
            state.life = Life::Unknown;
        }
        let token = Token { header, generation: state.generations, since: Instant::now(), lease: lease.or(known) };
        state.token = Some(token.clone());
        Ok(token)
    }

    /// Notes how long the token lasts, if it is still the one in use.
    pub(super) fn set_lease(&self, token: &Token, lease: Option<Lease>) -> Token {
        let mut state = self.state();
        if let Some(held) = state.token.as_mut().filter(|held| held.generation == token.generation) {
            held.lease = lease;
            state.life = Life::Known;
        }
        Token { lease, ..token.clone() }
    }

    pub(super) fn change_lease(&self, token: &Token, change: impl FnOnce(&mut Lease)) {
        let mut state = self.state();
        let held = state.token.as_mut().filter(|held| held.generation == token.generation);
        if let Some(lease) = held.and_then(|held| held.lease.as_mut()) {
            change(lease);
        }
    }
}
