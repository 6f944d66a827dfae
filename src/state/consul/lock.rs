//! Locks in Consul: a key held by a session that is renewed while its process lives.
//!
//! ```text
//! take ─ session ─ acquire ─► every few seconds: renew, look at the key ──► release, end the session
//!                                 │ no answer: trouble, again a second later
//!                                 │ the session has ended: another one, acquire again
//!                                 │ … and has the key all the same: it had not ended
//!                                 └ somebody else has the key, or had it meanwhile: lost
//! ```

use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ConsulStore;
use crate::consul::{ConsulClient, ConsulError, ConsulErrorKind, ConsulSettings, Entry, Session, SessionBehavior};
use crate::http::HttpSettings;
use crate::state::lock::{Grip, LockStatus};
use crate::state::{Lock, LockError, LockHolder, LockTaken, StateError, StateStore as _};

/// After this without renewal the session may end. Consul waits up to twice as long.
const TTL: Duration = Duration::from_secs(15);
/// How long the key stays closed after its session ended without letting go.
const LOCK_DELAY: Duration = Duration::from_secs(5);
/// Three renewals in a TTL: two may go wrong.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long one request of a renewal may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// After a renewal that went wrong.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How long letting go may take; whoever ends must not be kept by a Consul that does not answer.
const RELEASE_LIMIT: Duration = Duration::from_secs(8);

impl ConsulStore {
    pub(super) async fn take(&self, key: &str, holder: &LockHolder) -> Result<Lock, LockError> {
        // looked at first, because whoever stands by asks often, and a session is a write
        if let Some(taken) = self.taken(key).await? {
            return Err(LockError::Held(taken));
        }
        let session = new_session(&self.client, holder).await.map_err(self.error("lock", key))?;
        let mut keeper = Keeper {
            client: self.impatient_client().map_err(self.error("lock", key))?,
            location: self.location(),
            key: key.to_owned(),
            holder: holder.clone(),
            record: holder.encode(),
            session: Some(session.clone()),
            former: None,
            status: LockStatus::default(),
        };
        let got = self.acquire(key, &keeper.record, &session).await;
        if let Err(error) = got {
            // what is left of it ends by itself
            let _ = keeper.let_go().await;
            return Err(error);
        }
        let (stop, status) = (CancellationToken::new(), keeper.status.clone());
        let task = tokio::spawn(keeper.run(stop.clone()));
        let grip = ConsulGrip { stop: stop.drop_guard(), task, key: key.to_owned(), location: self.location() };
        Ok(Lock::new(status, grip))
    }

    async fn acquire(&self, key: &str, record: &[u8], session: &Session) -> Result<(), LockError> {
        // twice: it may be released between the refusal and the look at who has it, and an answer may be lost; the holder
        // that asks again is told again that it holds it
        for attempt in 0..2 {
            match self.client.acquire(key, record.to_vec(), session).await {
                Ok(true) => return Ok(()),
                Err(error)
                    if attempt == 0 && matches!(error.kind(), ConsulErrorKind::Network | ConsulErrorKind::Timeout) =>
                {
                    continue;
                }
                acquired => acquired.map_err(self.error("lock", key))?,
            };
            if let Some(taken) = self.taken(key).await? {
                return Err(LockError::Held(taken));
            }
        }
        Err(LockError::Held(LockTaken::JustFreed))
    }

    pub(super) async fn taken(&self, key: &str) -> Result<Option<LockTaken>, StateError> {
        let entry = self.client.get(key).await.map_err(self.error("lock", key))?;
        Ok(entry.filter(|entry| entry.session.is_some()).map(|entry| LockTaken::from_record(&entry.value)))
    }

    /// A client that tries once and not for long: a renewal that hangs must be noticed while the session still lives.
    fn impatient_client(&self) -> Result<ConsulClient, ConsulError> {
        let http = &self.settings.http;
        let http = HttpSettings {
            timeout: http.timeout.min(REQUEST_TIMEOUT),
            connect_timeout: http.connect_timeout.min(REQUEST_TIMEOUT),
            max_retries: 0,
            // what the copying is held back by must not hold back renewals
            requests_per_second: None,
            ..http.clone()
        };
        ConsulClient::new(&ConsulSettings { http, ..self.settings.clone() })
    }
}

async fn new_session(client: &ConsulClient, holder: &LockHolder) -> Result<Session, ConsulError> {
    let name = format!("vsync {} of {} on {}", holder.purpose, holder.operator, holder.host);
    client.create_session(&name, TTL, SessionBehavior::Delete, LOCK_DELAY).await
}

/// Dropping it tells the task to let go, which goes on in the background.
struct ConsulGrip {
    stop: DropGuard,
    task: JoinHandle<Result<(), StateError>>,
    key: String,
    location: String,
}

#[async_trait]
impl Grip for ConsulGrip {
    async fn let_go(self: Box<Self>) -> Result<(), StateError> {
        let Self { stop, task, key, location } = *self;
        drop(stop);
        task.await
            .unwrap_or_else(|error| Err(StateError { operation: "unlock", key, location, message: error.to_string() }))
    }
}

/// Keeps one lock.
struct Keeper {
    client: ConsulClient,
    location: String,
    key: String,
    holder: LockHolder,
    record: Vec<u8>,
    /// `None` from when Consul says that it has ended until there is another.
    session: Option<Session>,
    /// The one before it, which Consul said had ended.
    former: Option<Session>,
    status: LockStatus,
}

enum Kept {
    Yes,
    /// Nobody has it, but Consul does not give it away yet.
    NotYet,
    /// Somebody else has it, or had it (`None`).
    No(Option<LockTaken>),
}

impl Keeper {
    async fn run(mut self, stop: CancellationToken) -> Result<(), StateError> {
        let mut pause = RENEW_EVERY;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            let kept = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                kept = self.keep() => kept,
            };
            pause = match kept {
                Ok(Kept::Yes) => {
                    if self.status.well() {
                        tracing::info!(key = self.key, "the lock in {} is held and renewed again", self.location);
                    }
                    RENEW_EVERY
                }
                Ok(Kept::NotYet) => {
                    self.troubled("its session has ended; taking the lock again");
                    RETRY_EVERY
                }
                Ok(Kept::No(taken)) => {
                    let now = taken.map_or_else(String::new, |taken| format!(": now {taken}"));
                    let message = format!("the lock {} in {} was lost to somebody else{now}", self.key, self.location);
                    tracing::error!("{message}");
                    self.status.lost(message);
                    // the rest of the session ends by itself
                    let _ = self.let_go().await;
                    return Ok(());
                }
                Err(error) => {
                    self.troubled(error.message());
                    RETRY_EVERY
                }
            };
        }
        self.let_go().await
    }

    fn troubled(&self, message: &str) {
        if self.status.troubled(format!("{}: {message}", self.location)) {
            tracing::warn!(key = self.key, "the lock in {} is not renewed: {message}", self.location);
        }
    }

    async fn keep(&mut self) -> Result<Kept, ConsulError> {
        if let Some(session) = &self.session {
            match self.client.renew_session(session).await {
                Err(error) if error.kind() == ConsulErrorKind::NoSession => self.former = self.session.take(),
                renewed => renewed?,
            }
        }
        let session = match &self.session {
            Some(session) => session.clone(),
            None => self.session.insert(new_session(&self.client, &self.holder).await?).clone(),
        };
        // a living session is not enough: an operator may have deleted the key to break the lock
        match self.client.get(&self.key).await? {
            Some(Entry { session: Some(owner), .. }) if owner == session.as_str() => return Ok(Kept::Yes),
            Some(Entry { session: Some(owner), .. })
                if self.former.as_ref().is_some_and(|former| owner == former.as_str()) =>
            {
                // one that has just started again does not know its sessions before it has read all of its log
                let unneeded = std::mem::replace(&mut self.session, self.former.take());
                if let Some(unneeded) = unneeded {
                    // else it ends by itself
                    let _ = self.client.destroy_session(&unneeded).await;
                }
                return Ok(Kept::Yes);
            }
            Some(entry) if entry.session.is_some() => return Ok(Kept::No(Some(LockTaken::from_record(&entry.value)))),
            // the key goes with its session, so this one somebody else has made, and let go again
            Some(entry) if entry.value != self.record => return Ok(Kept::No(None)),
            _ => {}
        }
        let again = self.client.acquire(&self.key, self.record.clone(), &session).await?;
        Ok(if again { Kept::Yes } else { Kept::NotYet })
    }

    async fn let_go(&mut self) -> Result<(), StateError> {
        let Some(session) = self.session.take() else { return Ok(()) };
        let released = async {
            // first, because a key whose session ends while holding it stays closed for the lock delay
            let released = self.client.release(&self.key, Vec::new(), &session).await;
            let ended = self.client.destroy_session(&session).await;
            // either of them frees the lock
            released.map(drop).or(ended).map_err(|error| error.message().to_owned())
        };
        let released = tokio::time::timeout(RELEASE_LIMIT, released).await;
        released.unwrap_or_else(|_| Err(format!("no answer within {RELEASE_LIMIT:?}"))).map_err(|reason| StateError {
            operation: "unlock",
            key: self.key.clone(),
            location: self.location.clone(),
            message: format!("{reason}; it becomes free by itself within {} s", (2 * TTL + LOCK_DELAY).as_secs()),
        })
    }
}
