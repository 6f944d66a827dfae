//! Hearing of changes of the origin's sync info as soon as they are saved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::engine::Engine;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Waits for changes in the background; ends when dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    changed: Arc<Notify>,
    trouble: Arc<Mutex<Option<String>>>,
    _running: DropGuard,
}

impl Watcher {
    pub(super) fn start(engine: &Engine) -> Self {
        let mut watch = engine.watch_origin();
        let changed = Arc::new(Notify::new());
        let trouble = Arc::new(Mutex::new(None));
        let stop = CancellationToken::new();
        let watcher =
            Self { changed: Arc::clone(&changed), trouble: Arc::clone(&trouble), _running: stop.clone().drop_guard() };
        let watching = async move {
            let mut pause = FIRST_PAUSE;
            loop {
                let heard = watch.changed().await;
                let message = heard.as_ref().err().map(ToString::to_string);
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = message;
                if heard.is_ok() {
                    changed.notify_one();
                    pause = FIRST_PAUSE;
                } else {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        tokio::spawn(async move {
            tokio::select! {
                () = watching => {}
                () = stop.cancelled() => {}
            }
        });
        watcher
    }

    /// Returns when something has changed since it last did.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Why nothing is heard at the moment.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
