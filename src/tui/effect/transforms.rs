//! Trying rules on what the origin holds, and taking them over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::config::{RulesChange, RulesFile};
use crate::engine::{DestinationName, Engine, Inventory, PreviewAsk, Rule, Transforms};
use crate::tui::message::Message;
use crate::tui::screen::transforms::{News, Row};

/// Work for Transforms.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Find out what rules would do; a newer request replaces an older one.
    Preview { serial: u64, destination: DestinationName, inventory: Arc<Inventory>, rules: Vec<Rule> },
    /// Find out how the configuration file would change.
    Check { destination: DestinationName, rows: Vec<Row> },
    /// Change the file.
    Write { destination: DestinationName, rows: Vec<Row>, change: RulesChange },
    /// Go by these rules from now on.
    Use { destination: DestinationName, rules: Vec<Rule> },
}

/// What Transforms keeps between requests.
#[derive(Debug, Default)]
pub(in crate::tui) struct Desk {
    /// Ends the preview that is under way.
    preview: CancellationToken,
    /// Whether a destination is the origin's own Vault, as far as somebody asked.
    loops: Arc<Mutex<BTreeMap<DestinationName, bool>>>,
    /// The configuration's file, if rules can be written to it.
    file: Arc<Mutex<Option<RulesFile>>>,
}

impl Desk {
    /// With the configuration's file, if rules can be written to it.
    pub(in crate::tui) fn new(file: Option<RulesFile>) -> Self {
        Self { file: Arc::new(Mutex::new(file)), ..Self::default() }
    }
}

impl Worker {
    pub(super) fn transforms(&mut self, request: Request) {
        match request {
            Request::Preview { serial, destination, inventory, rules } => {
                self.preview(serial, destination, inventory, rules);
            }
            Request::Check { destination, rows } => self.check(destination, rows),
            Request::Write { destination, rows, change } => self.write(destination, rows, change),
            Request::Use { destination, rules } => {
                // the console lets no rule through that does not compile
                if let Ok(transforms) = Transforms::new(&rules) {
                    self.engine = self.engine.with_transforms(&destination, &transforms);
                }
            }
        }
    }

    fn preview(&mut self, serial: u64, destination: DestinationName, inventory: Arc<Inventory>, rules: Vec<Rule>) {
        self.desk.preview.cancel();
        self.desk.preview = CancellationToken::new();
        let wanted = self.desk.preview.clone();
        let (engine, messages, loops) = (self.engine.clone(), self.messages.clone(), Arc::clone(&self.desk.loops));
        tokio::spawn(async move {
            let known = loops.lock().ok().and_then(|known| known.get(&destination).copied());
            let mut ask = PreviewAsk { destination, inventory, rules, loops_back: known == Some(true) };
            if known.is_none() {
                // a server that is slow to say who it is must not keep the first numbers waiting
                run(&engine, ask.clone(), serial, &wanted, &messages).await;
                let loops_back = engine.loops_back(&ask.destination).await;
                if let Ok(mut known) = loops.lock() {
                    known.insert(ask.destination.clone(), loops_back);
                }
                if !loops_back {
                    return;
                }
                ask.loops_back = true;
            }
            run(&engine, ask, serial, &wanted, &messages).await;
        });
    }

    fn check(&self, destination: DestinationName, rows: Vec<Row>) {
        let (file, messages) = (Arc::clone(&self.desk.file), self.messages.clone());
        tokio::task::spawn_blocking(move || {
            let edited: Vec<_> = rows.iter().map(Row::edited).collect();
            let change = match file.lock().as_ref().map(|file| file.as_ref()) {
                Ok(Some(file)) => file.change(destination.as_str(), &edited).map_err(|error| error.to_string()),
                _ => Err("there is no configuration file to write them to".to_owned()),
            };
            let _ = messages.send(Message::Transforms(News::Checked { destination, rows, change }));
        });
    }

    fn write(&self, destination: DestinationName, rows: Vec<Row>, change: RulesChange) {
        let (file, messages) = (Arc::clone(&self.desk.file), self.messages.clone());
        tokio::task::spawn_blocking(move || {
            let outcome = match file.lock().as_mut().map(|file| file.as_mut()) {
                Ok(Some(file)) => {
                    let path = file.path().display().to_string();
                    file.write(change).map(|()| path).map_err(|error| error.to_string())
                }
                _ => Err("there is no configuration file to write them to".to_owned()),
            };
            match &outcome {
                Ok(path) => tracing::info!(%destination, "the rules were saved to {path}"),
                Err(reason) => tracing::warn!(%destination, "the rules were not saved: {reason}"),
            }
            let _ = messages.send(Message::Transforms(News::Written { destination, rows, outcome }));
        });
    }
}

/// One walk over the inventory, away from the threads that keys go through.
async fn run(
    engine: &Engine,
    ask: PreviewAsk,
    serial: u64,
    wanted: &CancellationToken,
    messages: &UnboundedSender<Message>,
) {
    let (engine, wanted, messages) = (engine.clone(), wanted.clone(), messages.clone());
    let walk = tokio::task::spawn_blocking(move || {
        engine.preview(
            &ask,
            || !wanted.is_cancelled(),
            |preview| {
                let _ = messages.send(Message::Transforms(News::Previewed(serial, Box::new(preview.clone()))));
            },
        );
    });
    // a panic is told where it happens
    let _ = walk.await;
}
