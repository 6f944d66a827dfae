//! Sessions: what holds a lock, and lets go of it when its owner dies.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::{Call, ConsulClient, ConsulError, ConsulErrorKind};
use crate::http::Repeat;

/// The id of a session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Session(String);

impl Session {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What becomes of the keys a session holds when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionBehavior {
    /// They stay, unlocked.
    Release,
    /// They are deleted.
    Delete,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NewSession<'a> {
    name: &'a str,
    #[serde(rename = "TTL")]
    ttl: String,
    behavior: SessionBehavior,
    lock_delay: String,
    /// Consul 1.7 and later.
    node_checks: [&'a str; 0],
    /// Consul up to 1.6.
    checks: [&'a str; 0],
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreatedSession {
    #[serde(rename = "ID")]
    id: Session,
}

impl ConsulClient {
    /// Creates a session that ends when it is not renewed for `ttl` (10 s to a day; Consul may wait up to twice as
    /// long). For `lock_delay` after such an end nobody else gets its locks, so that a write of the old owner that is
    /// still under way cannot meet those of the new one.
    ///
    /// It depends on no health check: a restart of the Consul agent, or a moment of bad network between agents, does
    /// not end it.
    pub async fn create_session(
        &self,
        name: &str,
        ttl: Duration,
        behavior: SessionBehavior,
        lock_delay: Duration,
    ) -> Result<Session, ConsulError> {
        let call = Call { operation: "create session", target: name };
        let in_seconds = |duration: Duration| format!("{}s", duration.as_secs());
        let session = NewSession {
            name,
            ttl: in_seconds(ttl),
            behavior,
            lock_delay: in_seconds(lock_delay),
            node_checks: [],
            checks: [],
        };
        // strings always serialize
        let body = serde_json::to_vec(&session).unwrap_or_default();
        // one created unseen ends by itself, so another attempt does no harm
        let request = self.request(Method::PUT, "v1/session/create", Repeat::Safe).body(body);
        let created: CreatedSession = call.parse(&self.send(call, request, &[]).await?)?;
        Ok(created.id)
    }

    /// Keeps a session alive.
    ///
    /// # Errors
    /// [`ConsulErrorKind::NoSession`] when it has ended: its locks are lost.
    pub async fn renew_session(&self, session: &Session) -> Result<(), ConsulError> {
        let call = Call { operation: "renew session", target: session.as_str() };
        let request = self.request(Method::PUT, format!("v1/session/renew/{}", session.as_str()), Repeat::Safe);
        let answer = self.send(call, request, &[StatusCode::NOT_FOUND]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            let message = "the session has ended, and with it its locks";
            return Err(ConsulError::new(call.operation, call.target, ConsulErrorKind::NoSession, message));
        }
        Ok(())
    }

    /// Ends a session and lets go of its locks; one that has ended is no error.
    pub async fn destroy_session(&self, session: &Session) -> Result<(), ConsulError> {
        let call = Call { operation: "end session", target: session.as_str() };
        let request = self.request(Method::PUT, format!("v1/session/destroy/{}", session.as_str()), Repeat::Safe);
        self.send(call, request, &[]).await.map(drop)
    }
}
