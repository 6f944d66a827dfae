//! What stops a cycle before its first write.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::inventory::Inventory;
use super::plan::{DestinationPlan, Objection};

/// How many deletes are too many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxDelete {
    /// More than this many.
    Count(u64),
    /// More than this share of the secrets recorded at the destination, in percent.
    Percent(f64),
}

impl Default for MaxDelete {
    /// 10 %.
    fn default() -> Self {
        Self::Percent(10.0)
    }
}

/// Neither a count nor a percentage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is neither a count (25) nor a percentage from 0% to 100% (5%)")]
pub struct MaxDeleteError(String);

impl FromStr for MaxDelete {
    type Err = MaxDeleteError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || MaxDeleteError(text.to_owned());
        if let Some(number) = text.trim().strip_suffix('%') {
            let percent: f64 = number.trim().parse().map_err(|_| refused())?;
            if (0.0..=100.0).contains(&percent) { Ok(Self::Percent(percent)) } else { Err(refused()) }
        } else {
            text.trim().parse().map(Self::Count).map_err(|_| refused())
        }
    }
}

impl fmt::Display for MaxDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl MaxDelete {
    /// The largest number of deletes that is allowed when `recorded` secrets are there. A percentage is rounded up, so
    /// that a single delete passes at a small destination.
    #[must_use]
    pub fn limit(self, recorded: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a count is a count, and one more or less does not matter far above 2^52"
            )]
            Self::Percent(percent) => (recorded as f64 * percent / 100.0).ceil() as u64,
        }
    }

    /// Whether the operator has said that everything may go.
    pub(super) fn allows_all(self) -> bool {
        matches!(self, Self::Percent(percent) if percent >= 100.0)
    }
}

/// The objection against this plan's deletes, if there is one.
pub(super) fn deletes(plan: &DestinationPlan, inventory: &Inventory, max_delete: MaxDelete) -> Option<Objection> {
    let deletes = plan.counts().delete;
    if deletes == 0 || max_delete.allows_all() {
        return None;
    }
    let recorded = plan.taking_part;
    emptied_mount(plan, inventory).or_else(|| {
        let limit = max_delete.limit(recorded);
        (deletes > limit).then(|| Objection::MassDelete { deletes, recorded, limit: max_delete.to_string() })
    })
}

/// A mount that lost its last secret since it was recorded.
fn emptied_mount(plan: &DestinationPlan, inventory: &Inventory) -> Option<Objection> {
    let mut losses: BTreeMap<&str, u64> = BTreeMap::new();
    for task in plan.tasks.iter().filter(|task| task.operation.is_delete()) {
        *losses.entry(task.origin.mount()).or_default() += 1;
    }
    for (path, _) in inventory.secrets.iter() {
        if losses.is_empty() {
            break;
        }
        losses.remove(path.mount());
    }
    let (mount, recorded) = losses.into_iter().next()?;
    Some(Objection::EmptyOrigin { mount: mount.to_owned(), recorded })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_count_or_a_share() {
        assert_eq!("25".parse(), Ok(MaxDelete::Count(25)));
        assert_eq!("5%".parse(), Ok(MaxDelete::Percent(5.0)));
        assert_eq!("0.5 %".parse(), Ok(MaxDelete::Percent(0.5)));
        for bad in ["", "x", "-1", "101%", "5 percent", "NaN%"] {
            assert!(bad.parse::<MaxDelete>().is_err(), "{bad}");
        }
        assert_eq!(MaxDelete::default().limit(2000), 200);
        assert_eq!(MaxDelete::default().limit(5), 1);
        assert_eq!(MaxDelete::default().limit(0), 0);
        assert_eq!(MaxDelete::Count(3).limit(1000), 3);
    }
}
