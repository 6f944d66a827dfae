//! A dry run's question: would both tokens be allowed to?

use super::{Reach, Worker};
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
        };
        match task.source {
            Source::Version(_) => {
                let path = destination_path.clone();
                may(&self.destination, &self.destination_reach, "destination", path, "read").await?;
            }
            _ if self.manner.undo => {}
            _ => {
                let origin_path = match task.operation {
                    Operation::Add | Operation::Update => task.origin.data_path().to_owned(),
                    Operation::Delete => task.origin.metadata_path(),
                };
                may(&self.origin, &self.origin_reach, "origin", origin_path, "read").await?;
            }
        }
        may(&self.destination, &self.destination_reach, "destination", destination_path, needed).await?;
        Ok(Done::Possible)
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
