//! Work for Failures: what is ignored, and what that leaves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Worker;
use crate::engine::{DestinationName, Engine, EngineError, Failure, Ignored, Plan};
use crate::kv::SecretPath;
use crate::tui::message::Message;
use crate::tui::screen::failures::News;
use crate::tui::widget::tree::Tree;

/// Work for Failures.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Keep in mind that failures are not to be minded, and why.
    Ignore { failures: Vec<(DestinationName, Failure)>, reason: String, known: Known },
    /// Mind the failures of these secrets again.
    Mind { secrets: BTreeSet<(DestinationName, SecretPath)>, known: Known },
}

/// What the console knows when it asks, so that it need not survey all vaults again.
#[derive(Debug)]
pub(in crate::tui) struct Known {
    pub(in crate::tui) plan: Arc<Plan>,
    /// All that stands, ignored or not.
    pub(in crate::tui) failures: Vec<(DestinationName, Failure)>,
}

/// What stands, by whether somebody is to mind it.
#[derive(Debug, Clone, Default)]
pub(in crate::tui) struct Judged {
    pub(in crate::tui) minded: Vec<(DestinationName, Failure)>,
    pub(in crate::tui) ignored: Vec<(DestinationName, Failure, Ignored)>,
}

impl Judged {
    /// Sets aside what is ignored.
    pub(in crate::tui) fn new(
        failures: Vec<(DestinationName, Failure)>,
        ignored: BTreeMap<DestinationName, Vec<Ignored>>,
    ) -> Self {
        let mut said: HashMap<(DestinationName, SecretPath), Ignored> = HashMap::new();
        for (name, ignored) in ignored {
            said.extend(ignored.into_iter().map(|one| ((name.clone(), one.origin.clone()), one)));
        }
        let mut judged = Self::default();
        for (name, failure) in failures {
            let key = (name, failure.origin.clone());
            match said.remove(&key) {
                Some(ignored) if ignored.covers(&failure) => judged.ignored.push((key.0, failure, ignored)),
                _ => judged.minded.push((key.0, failure)),
            }
        }
        judged
    }
}

impl Worker {
    pub(super) fn failures(&mut self, request: Request) {
        let (engine, messages) = (self.engine.clone(), self.messages.clone());
        tokio::spawn(async move {
            let news = match carry_out(&engine, request).await {
                Ok(news) => news,
                Err(error) => News::Refused(error.to_string()),
            };
            let _ = messages.send(Message::Failures(news));
        });
    }
}

async fn carry_out(engine: &Engine, request: Request) -> Result<News, EngineError> {
    let (known, said) = match request {
        Request::Ignore { failures, reason, known } => {
            engine.ignore(&failures, &reason).await?;
            let what = crate::tui::format::plural(failures.len() as u64, "failure");
            (known, format!("{what} ignored: {reason}"))
        }
        Request::Mind { secrets, known } => {
            engine.mind(&secrets).await?;
            let what = crate::tui::format::plural(secrets.len() as u64, "failure");
            (known, format!("{what} minded again."))
        }
    };
    let Known { plan, failures } = known;
    let judged = Judged::new(failures, engine.ignored().await?);
    let (minded, planned, mounts) = (judged.minded.clone(), Arc::clone(&plan), engine.origin().mounts.clone());
    // a million secrets take a moment
    let built = tokio::task::spawn_blocking(move || Tree::of_plan(&planned, &minded, &mounts)).await;
    Ok(News::Judged { plan, judged, tree: built.ok().map(Box::new), said })
}
