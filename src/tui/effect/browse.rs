//! Finding out about one secret.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::task::JoinHandle;

use super::Worker;
use crate::engine::DestinationName;
use crate::kv::SecretPath;
use crate::tui::message::Message;
use crate::tui::screen::browse::{News, SECONDS, Wanted};

/// Whoever holds the arrow key down wants to know of the last secret only.
const REST: Duration = Duration::from_millis(80);

/// So much longer the cursor must rest before destinations are asked, too.
const LONGER_REST: Duration = Duration::from_millis(170);

/// How many destinations are asked at once.
const AT_ONCE: usize = 8;

/// Work for Browse.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Find out about one secret; a newer request replaces an older one.
    Describe(SecretPath),
    /// Read one value, and count the seconds for which it shows.
    Reveal { number: u64, wanted: Wanted },
    /// The value does not show any more.
    Conceal,
    /// Note in the log that a value was copied.
    NoteCopied(Wanted),
    /// Compare a secret with its copy; a newer request replaces an older one.
    Compare { destination: DestinationName, path: SecretPath },
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Inspections {
    reveal: Option<JoinHandle<()>>,
    compare: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn browse(&mut self, request: Request) {
        match request {
            Request::Describe(path) => self.describe(path),
            Request::Reveal { number, wanted } => self.reveal(number, wanted),
            Request::Conceal => stop(&mut self.inspections.reveal),
            Request::NoteCopied(Wanted { side, place, key, .. }) => self.engine.note_copied(&side, &place, &key),
            Request::Compare { destination, path } => self.compare(destination, path),
        }
    }

    fn describe(&mut self, path: SecretPath) {
        stop(&mut self.describe);
        let (engine, only, messages) = (self.engine.clone(), self.only.clone(), self.messages.clone());
        self.describe = Some(tokio::spawn(async move {
            let names: Vec<DestinationName> = engine
                .destinations()
                .iter()
                .map(|destination| destination.name.clone())
                .filter(|name| only.is_empty() || only.contains(name))
                .collect();
            let mappings = names.iter().map(|name| engine.mapping(name, &path)).collect();
            let _ = messages.send(Message::Browse(News::Mapped(path.clone(), mappings)));
            tokio::time::sleep(REST).await;
            let origin = async {
                let detail = engine.describe(&path).await.map(Box::new).map_err(|error| error.message().to_owned());
                let _ = messages.send(Message::Browse(News::Described(path.clone(), detail)));
            };
            let destinations = async {
                tokio::time::sleep(LONGER_REST).await;
                let asked = stream::iter(names).map(|name| async {
                    let copy = engine.describe_at(&name, &path).await.map(Box::new).map_err(|error| error.to_string());
                    let _ = messages.send(Message::Browse(News::DescribedAt(name, path.clone(), copy)));
                });
                asked.buffer_unordered(AT_ONCE).collect::<()>().await;
            };
            tokio::join!(origin, destinations);
        }));
    }

    fn reveal(&mut self, number: u64, Wanted { side, path, key, .. }: Wanted) {
        stop(&mut self.inspections.reveal);
        let (engine, messages) = (self.engine.clone(), self.messages.clone());
        self.inspections.reveal = Some(tokio::spawn(async move {
            let value = engine.reveal(&side, &path, &key).await.map_err(|error| error.to_string());
            let shows = value.is_ok();
            let _ = messages.send(Message::Browse(News::Revealed(number, value)));
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            seconds.tick().await;
            for _ in 0..if shows { SECONDS } else { 0 } {
                seconds.tick().await;
                let _ = messages.send(Message::Browse(News::Tick(number)));
            }
        }));
    }

    fn compare(&mut self, destination: DestinationName, path: SecretPath) {
        stop(&mut self.inspections.compare);
        let (engine, messages) = (self.engine.clone(), self.messages.clone());
        self.inspections.compare = Some(tokio::spawn(async move {
            // Whoever leafs through the destinations has the last one read alone.
            tokio::time::sleep(REST).await;
            let found = engine.compare(&destination, &path).await.map(Box::new).map_err(|error| error.to_string());
            let _ = messages.send(Message::Browse(News::Compared(destination, path, found)));
        }));
    }
}

fn stop(task: &mut Option<JoinHandle<()>>) {
    if let Some(before) = task.take() {
        before.abort();
    }
}
