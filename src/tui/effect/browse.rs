//! Finding out about one secret.

use std::time::Duration;

use super::Worker;
use crate::kv::SecretPath;
use crate::tui::message::Message;
use crate::tui::screen::browse::News;

/// Work for Browse.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Find out about one secret; a newer request replaces an older one.
    Describe(SecretPath),
}

impl Worker {
    pub(super) fn browse(&mut self, request: Request) {
        match request {
            Request::Describe(path) => self.describe(path),
        }
    }

    fn describe(&mut self, path: SecretPath) {
        if let Some(before) = self.describe.take() {
            before.abort();
        }
        let (engine, only, messages) = (self.engine.clone(), self.only.clone(), self.messages.clone());
        self.describe = Some(tokio::spawn(async move {
            let names = engine.destinations().iter().map(|destination| &destination.name);
            let names = names.filter(|name| only.is_empty() || only.contains(name));
            let mappings = names.map(|name| engine.mapping(name, &path)).collect();
            let _ = messages.send(Message::Browse(News::Mapped(path.clone(), mappings)));
            // Whoever holds the arrow key down wants to know of the last one only.
            tokio::time::sleep(Duration::from_millis(80)).await;
            let detail = engine.describe(&path).await.map(Box::new).map_err(|error| error.message().to_owned());
            let _ = messages.send(Message::Browse(News::Described(path, detail)));
        }));
    }
}
