//! Making the origin right again where a destination no longer holds what vsync left there.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Finding, FindingKind, Verification};
use crate::engine::inventory::Inventory;
use crate::engine::plan::{DestinationPlan, Expected, Operation, Plan, Source, Task};
use crate::engine::{Destination, Engine};
use crate::kv::SecretPath;

impl Engine {
    /// A plan that puts right what a verification found: the origin's values are written again, over exactly the versions
    /// that were found, and what vsync had deleted is deleted again. What the origin does not have, or could not tell, and
    /// what goes elsewhere by now, is left to the next plan.
    pub async fn plan_repair(&self, verifications: &[Verification], inventory: Arc<Inventory>) -> Plan {
        let mut destinations = Vec::new();
        for verification in verifications {
            let Some(destination) = self.destination(&verification.destination) else { continue };
            if let Some(reason) = &verification.unavailable {
                destinations.push(DestinationPlan::unavailable(destination.name.clone(), reason.clone()));
                continue;
            }
            let findings = verification.findings.iter();
            let tasks = findings.filter_map(|finding| task(finding, destination, &inventory)).collect();
            destinations.push(match self.plan_tasks(destination, tasks).await {
                Ok(part) => part,
                Err(error) => DestinationPlan::unavailable(destination.name.clone(), error.to_string()),
            });
        }
        Plan { created: Timestamp::now(), inventory, destinations }
    }
}

fn task(finding: &Finding, destination: &Destination, inventory: &Inventory) -> Option<Task> {
    let Finding { kind, origin, destination: path, ours, found } = finding;
    let mapping = destination.transforms.apply(origin);
    let target = SecretPath::parse_data(&mapping.data_path, &destination.mounts).ok()?;
    if target != *path || !destination.filter.admits(origin) {
        return None;
    }
    let insight = inventory.secrets.get(origin).copied();
    let operation = match (kind, insight) {
        (FindingKind::CameBack, None) if inventory.is_known(origin) => Operation::Delete,
        (FindingKind::Gone, Some(_)) => Operation::Add,
        (FindingKind::Changed | FindingKind::Foreign | FindingKind::ValueDiffers, Some(_)) => Operation::Update,
        _ => return None,
    };
    Some(Task {
        operation,
        origin: origin.clone(),
        destination: target,
        insight,
        rule: mapping.rule,
        expected: found.or(*ours).map_or(Expected::Recorded, Expected::Version),
        source: Source::Origin,
    })
}
