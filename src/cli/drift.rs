//! Secrets that somebody else wrote: what this run does about them, and how they are shown.

use super::object::Object;
use super::output::Paint;
use super::{CliError, Common, Output};
use crate::engine::{DestinationPlan, Drift, Engine, OnDrift, OnExisting, Operation, Plan};
use crate::text::sanitize;

/// Flags that lie over `on_drift` and `on_existing` of the configuration.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct DriftArgs {
    /// About secrets that somebody else changed at the destination: leave and list them, overwrite them, or keep them
    #[arg(long, value_name = "WHAT", value_parser = ["report", "overwrite", "keep"])]
    on_drift: Option<String>,
    /// About secrets that were at the destination before vsync: leave and list them, adopt equal ones, or overwrite them
    #[arg(long, value_name = "WHAT", value_parser = ["report", "adopt", "overwrite"])]
    on_existing: Option<String>,
}

impl DriftArgs {
    /// The common flags with these set for every destination asked for, as `--set` would.
    ///
    /// # Errors
    /// When there is no usable configuration to find the destinations in.
    pub(super) fn over(&self, common: &Common) -> Result<Common, CliError> {
        let mut common = common.clone();
        let settings = [("on_drift", &self.on_drift), ("on_existing", &self.on_existing)];
        if settings.iter().all(|(_, value)| value.is_none()) {
            return Ok(common);
        }
        let config = common.load()?.config;
        let only = common.destinations(&config)?;
        for destination in &config.destinations {
            if !only.is_empty() && !only.iter().any(|name| name.as_str() == destination.name) {
                continue;
            }
            for (key, value) in settings {
                let setting = value.iter().map(|value| format!("destinations.{}.{key}={value}", destination.name));
                common.set.extend(setting);
            }
        }
        Ok(common)
    }
}

/// How many secrets somebody else wrote, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DriftCounts {
    /// Changed since vsync wrote them.
    pub(super) changed: u64,
    /// There before vsync wrote any.
    pub(super) existing: u64,
    /// Left as they are on purpose.
    pub(super) kept: u64,
}

impl DriftCounts {
    pub(super) fn of(part: &DestinationPlan) -> Self {
        part.drifted.iter().fold(Self::default(), |mut counts, drift| {
            match (drift.kept, drift.ours) {
                (true, _) => counts.kept += 1,
                (false, 0) => counts.existing += 1,
                (false, _) => counts.changed += 1,
            }
            counts
        })
    }

    /// Those that are waiting for somebody to decide.
    pub(super) fn open(self) -> u64 {
        self.changed + self.existing
    }
}

/// Lists what somebody else wrote, per destination at most `most`, and says what to do under its settings; programs get
/// all of it.
pub(super) fn show_drift(plan: &Plan, engine: &Engine, most: usize, out: &mut Output) -> Result<(), CliError> {
    for part in &plan.destinations {
        if out.is_json() {
            for drift in &part.drifted {
                out.object(&object(part, drift))?;
            }
        } else {
            show_part(part, engine, most, out)?;
        }
    }
    Ok(())
}

fn object<'a>(part: &'a DestinationPlan, drift: &Drift) -> Object<'a> {
    Object::Drift {
        destination: part.destination.as_str(),
        operation: drift.operation.as_str(),
        origin: drift.origin.to_string(),
        path: drift.destination.to_string(),
        ours: drift.ours,
        found: drift.found,
        kept: drift.kept,
    }
}

fn show_part(part: &DestinationPlan, engine: &Engine, most: usize, out: &mut Output) -> Result<(), CliError> {
    let name = sanitize(part.destination.as_str());
    let counts = DriftCounts::of(part);
    if counts.kept > 0 {
        out.line(format!("{name}: {} stay as somebody else made them (on_drift = \"keep\")", counts.kept))?;
    }
    let settings = engine.destinations().iter().find(|destination| destination.name == part.destination);
    let (on_drift, on_existing) = settings.map_or_else(Default::default, |one| (one.on_drift, one.on_existing));
    let changed = (
        ["secret was changed", "secrets were changed"],
        "by somebody else after vsync wrote",
        about_changed(part, on_drift),
    );
    let existing =
        (["secret was there", "secrets were there"], "before vsync wrote", about_existing(on_existing).to_owned());
    for (ours_is_none, count, (who, when, next_step)) in
        [(false, counts.changed, changed), (true, counts.existing, existing)]
    {
        if count == 0 {
            continue;
        }
        let left_alone = if count == 1 { "it, and is left alone" } else { "them, and are left alone" };
        let message = format!("~ {name}: {count} {} {when} {left_alone}", who[usize::from(count != 1)]);
        out.line(out.paint(Paint::Notice, &message))?;
        let these = part.drifted.iter().filter(|drift| !drift.kept && (drift.ours == 0) == ours_is_none);
        for drift in these.take(most) {
            let (origin, path) = (drift.origin.to_string(), drift.destination.to_string());
            let path = if origin == path { String::new() } else { format!(" → {}", sanitize(&path)) };
            let ours = if drift.ours == 0 { String::new() } else { format!(", vsync wrote {}", drift.ours) };
            let operation = drift.operation.as_str();
            let found = drift.found;
            out.line(format!("    {operation} {}{path}: version {found} is there{ours}", sanitize(&origin)))?;
        }
        let left_out = count.saturating_sub(most as u64);
        if left_out > 0 && most > 0 {
            out.line(format!("    … and {left_out} more; \"--output json\" lists all of them"))?;
        }
        out.line(format!("    {next_step}"))?;
    }
    Ok(())
}

/// What can be done about secrets that somebody else changed. `overwrite` does to each what was to be done to it.
fn about_changed(part: &DestinationPlan, on_drift: OnDrift) -> String {
    let changed = || part.drifted.iter().filter(|drift| !drift.kept && drift.ours > 0);
    let deletes = changed().filter(|drift| drift.operation == Operation::Delete).count();
    let overwrite = if deletes == 0 {
        "writes the origin's values over them"
    } else if deletes == changed().count() {
        "deletes them there, as the origin has (they can be undeleted)"
    } else {
        "writes the origin's values over them, and deletes there what the origin has deleted (it can be undeleted)"
    };
    let keep = if on_drift == OnDrift::Keep { "\"vsync retry\"" } else { "\"--on-drift keep\"" };
    format!("\"vsync retry --on-drift overwrite\" {overwrite}, {keep} lets them be")
}

/// What can be done about secrets that were there before vsync.
fn about_existing(on_existing: OnExisting) -> &'static str {
    match on_existing {
        OnExisting::Adopt => {
            "what was equal is adopted; \"vsync retry --on-existing overwrite\" writes the origin's values over the others"
        }
        OnExisting::Report | OnExisting::Overwrite => {
            "\"vsync retry --on-existing adopt\" takes over those that are equal, \"--on-existing overwrite\" writes the origin's values over them all"
        }
    }
}
