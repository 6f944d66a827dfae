//! A dry run's question: would both tokens be allowed to?

use std::sync::Arc;

use super::{Reach, Worker};
use crate::engine::Fidelity;
use crate::engine::plan::{Operation, Source, Task};
use crate::engine::report::{Cause, Done, Failed};
use crate::vault::VaultClient;

impl Worker {
    pub(super) async fn check(&self, task: &Task) -> Result<Done, Failed> {
        let destination_path = task.destination.data_path().to_owned();
        let needed = match (task.operation, task.source) {
            (_, Source::Undelete(_)) => {
                let undelete = format!("{}undelete/{}", task.destination.mount(), task.destination.name());
                may(&self.destination, &self.destination_reach, "destination", undelete, "update").await?;
                return Ok(Done::Possible);
            }
            (Operation::Add, _) => "create",
            (Operation::Update, _) => "update",
            (Operation::Delete, _) => "delete",
            (Operation::Destroy | Operation::Purge, _) => {
                let origin_path = self.origin.policy_path(&task.origin, false).await;
                let asked = [(self.origin.vault(), &self.origin_reach, "origin", origin_path, "read")];
                for (client, reach, side, path, needed) in asked.into_iter().chain(self.needed_to_remove(task)) {
                    may(client, reach, side, path, needed).await?;
                }
                return Ok(Done::Possible);
            }
        };
        match task.source {
            Source::Version(_) => {
                let path = destination_path.clone();
                may(&self.destination, &self.destination_reach, "destination", path, "read").await?;
            }
            Source::Metadata => {}
            _ if self.manner.undo => {}
            _ => {
                let is_copied = matches!(task.operation, Operation::Add | Operation::Update);
                let origin_path = self.origin.policy_path(&task.origin, is_copied).await;
                may(self.origin.vault(), &self.origin_reach, "origin", origin_path, "read").await?;
            }
        }
        if task.source != Source::Metadata {
            may(&self.destination, &self.destination_reach, "destination", destination_path, needed).await?;
        }
        if self.is_faithful(task) {
            may(self.origin.vault(), &self.origin_reach, "origin", task.origin.metadata_path(), "read").await?;
            if self.manner.fidelity == Fidelity::History {
                let (mount, name) = (task.destination.mount(), task.destination.name());
                for part in ["delete", "undelete", "destroy"] {
                    let path = format!("{mount}{part}/{name}");
                    may(&self.destination, &self.destination_reach, "destination", path, "update").await?;
                }
            }
            for needed in ["read", "update"] {
                let path = task.destination.metadata_path();
                may(&self.destination, &self.destination_reach, "destination", path, needed).await?;
            }
        }
        Ok(Done::Possible)
    }
}

impl Worker {
    /// What destroying or purging takes at the destination.
    fn needed_to_remove(&self, task: &Task) -> [(&VaultClient, &Arc<Reach>, &'static str, String, &'static str); 2] {
        let metadata = task.destination.metadata_path();
        let (path, needed) = match task.operation {
            Operation::Purge => (metadata.clone(), "delete"),
            _ => (format!("{}destroy/{}", task.destination.mount(), task.destination.name()), "update"),
        };
        [
            (&self.destination, &self.destination_reach, "destination", metadata, "read"),
            (&self.destination, &self.destination_reach, "destination", path, needed),
        ]
    }
}

async fn may(client: &VaultClient, reach: &Reach, side: &str, path: String, needed: &str) -> Result<(), Failed> {
    let paths = [path];
    let capabilities = client.capabilities(&paths).await.map_err(|error| reach.failed(&error))?;
    reach.answered();
    if capabilities.iter().flatten().any(|capability| capability == needed || capability == "root") {
        return Ok(());
    }
    let [path] = paths;
    Err(Failed::new(Cause::Permission, format!("the {side}'s token lacks \"{needed}\" on {path}")))
}
