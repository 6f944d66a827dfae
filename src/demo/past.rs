//! What earlier cycles left behind: sync info, copies at the destinations, and reports.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::mount::{Entry, Mount};
use super::server::Server;
use super::{AP_SOUTH, DemoError, EU_WEST, REFUSED_FOLDER, US_EAST};
use crate::engine::{
    Access, Cause, CycleId, Destination, DestinationReport, Ending, Failure, Operation, OperationCounts, Origin, Report,
};
use crate::kv::SecretPath;
use crate::state::{CycleLog, Ledger, LedgerEntry, LedgerWriter, State, StateSide, SyncInfoWriter};
use crate::sync_info::{DEFAULT_BUCKETS, EngineKind, Insight, SyncInfo};

const HOUR: i64 = 3_600;

/// Which version of a secret a destination has; `None`: it was never copied.
///
/// `eu-west` misses what changed lately, `us-east` was given up after a third, and `ap-south` has the two thirds that it
/// accepted before its last cycle stopped.
pub(super) fn copied(destination: &str, number: usize, name: &str, entry: &Entry) -> Option<u64> {
    let newest = entry.version();
    let before = newest.checked_sub(1).filter(|version| *version > 0);
    match destination {
        // A deleted one or two that it still has.
        EU_WEST if !entry.is_live() => number.is_multiple_of(4).then_some(newest),
        EU_WEST if number.is_multiple_of(331) => None,
        EU_WEST if number.is_multiple_of(173) => before.or(Some(newest)),
        EU_WEST => Some(newest),
        US_EAST if name.starts_with("sandbox/") => None,
        US_EAST if number.is_multiple_of(3) => {
            if number.is_multiple_of(4) {
                before.or(Some(newest))
            } else {
                Some(newest)
            }
        }
        AP_SOUTH if name.starts_with(REFUSED_FOLDER) || number % 3 == 1 => None,
        AP_SOUTH if entry.is_live() => Some(newest),
        _ => None,
    }
}

/// Records what a destination has, and gives it to its server. Returns how many secrets that are.
pub(super) async fn leave_state(
    origin: &Origin,
    destination: &Destination,
    server: &Server,
    secrets: &Mount,
    now: Timestamp,
) -> Result<u64, DemoError> {
    let mut info = SyncInfo::new(DEFAULT_BUCKETS);
    let mut ledger = Ledger::empty();
    let [mount] = origin.mounts.as_slice() else { return Ok(0) };
    for (number, (name, entry)) in secrets.iter().enumerate() {
        let Some(version) = copied(destination.name.as_str(), number, name, entry) else { continue };
        let Some(written) = entry.created(version) else { continue };
        let path = SecretPath::new(mount, name);
        let goes_to = destination.transforms.apply(&path).data_path;
        if let Ok(place) = SecretPath::parse_data(&goes_to, &destination.mounts)
            && let at = now.min(written + SignedDuration::from_mins(20))
            && let Some(mut copy) = entry.copy_of(version, at)
        {
            let insight = insight(version, written);
            let origin = path.clone();
            let left = LedgerEntry {
                origin,
                insight,
                version: copy.version(),
                deleted: false,
                awaits_removal: false,
                foreign: None,
                digest: None,
                at,
            };
            if destination.name.as_str() == EU_WEST && entry.is_live() && version == entry.version() {
                meddle(&mut copy, number, now);
            }
            server.insert(place.mount(), place.name(), copy);
            ledger.insert(place, left);
            info.insert(path, insight);
        }
    }
    let store = Arc::clone(&destination.store);
    let state = State::new(store, &destination.sync_path, StateSide::Destination, origin.mounts.clone());
    LedgerWriter::new(state.clone(), &ledger).save(&mut ledger).await?;
    SyncInfoWriter::new(state, None).save(&mut info).await?;
    Ok(info.len() as u64)
}

/// What somebody did at the destination, behind vsync's back, to a few of those that are in sync: planning goes by what
/// is recorded and leaves them alone, looking at one tells.
fn meddle(copy: &mut Entry, number: usize, now: Timestamp) {
    if number.is_multiple_of(157) {
        copy.delete(now - SignedDuration::from_hours(30));
    } else if number.is_multiple_of(71)
        && let Some(serde_json::Value::Object(mut fields)) =
            copy.data().and_then(|data| serde_json::from_str(data.get()).ok())
    {
        if let Some((_, value)) = fields.iter_mut().next_back() {
            *value = "set by hand".into();
        }
        fields.insert("changed_by".to_owned(), "g.silva".into());
        if let Ok(data) = serde_json::value::to_raw_value(&fields) {
            copy.push(data.into(), now - SignedDuration::from_hours(50));
        }
    }
}

/// Reports of the two cycles that led here: the one that was broken off at `us-east`, and last night's, in which
/// `ap-south` refused a folder.
pub(super) async fn leave_reports(
    origin: &Origin,
    secrets: &Mount,
    recorded: impl Fn(&str) -> u64,
    now: Timestamp,
) -> Result<(), DemoError> {
    let [mount] = origin.mounts.as_slice() else { return Ok(()) };
    let log = CycleLog::new(Arc::clone(&origin.store), &origin.sync_path);

    let began = now - SignedDuration::from_secs(19 * 24 * HOUR + 1_300);
    let copied = recorded(US_EAST);
    let mut first = report(began, SignedDuration::from_secs(94), Ending::Cancelled, "h.novak");
    let pending = (secrets.len() as u64).saturating_sub(copied);
    first.destinations.push(part(US_EAST, &first, counts(copied + pending, 0, 0), counts(copied, 0, 0), 0, pending));
    save(&log, &first).await?;

    let began = now - SignedDuration::from_secs(7 * HOUR + 1_850);
    let mut last = report(began, SignedDuration::from_secs(41), Ending::Completed, "a.okafor");
    let updates = 23;
    let equal = recorded(EU_WEST).saturating_sub(updates + 4);
    let quiet = part(EU_WEST, &last, counts(4, updates, 1), counts(4, updates, 1), equal, 0);
    let failures: Vec<Failure> = secrets
        .iter()
        .filter(|(name, entry)| name.starts_with(REFUSED_FOLDER) && entry.is_live())
        .zip(1..)
        .map(|((name, entry), number)| {
            let path = SecretPath::new(mount, name);
            Failure {
                operation: Operation::Add,
                message: "write: permission denied".to_owned(),
                insight: entry.created(entry.version()).map(|written| insight(entry.version(), written)),
                origin: path.clone(),
                destination: path,
                cause: Cause::Permission,
                attempts: 1,
                at: began + SignedDuration::from_millis(600 * number),
                denied: Some(Access::Write),
            }
        })
        .collect();
    let added = 35;
    let equal = recorded(AP_SOUTH).saturating_sub(added);
    let planned = counts(added + failures.len() as u64, 0, 0);
    let mut refused = part(AP_SOUTH, &last, planned, counts(added, 0, 0), equal, 0);
    refused.failures = failures;
    last.destinations.extend([quiet, refused]);
    save(&log, &last).await
}

async fn save(log: &CycleLog, report: &Report) -> Result<(), DemoError> {
    // A report always becomes JSON; one that does not is not worth ending the demo for.
    let document = serde_json::to_vec(report).unwrap_or_default();
    Ok(log.save(&report.cycle.to_string(), &document).await?)
}

fn report(started: Timestamp, took: SignedDuration, ending: Ending, operator: &str) -> Report {
    Report {
        cycle: CycleId::now(),
        operator: operator.to_owned(),
        host: "ops-1".to_owned(),
        vsync: env!("CARGO_PKG_VERSION").to_owned(),
        started,
        ended: started + took,
        ending,
        dry_run: false,
        purpose: "sync".to_owned(),
        undoes: None,
        origin_unknown: Vec::new(),
        origin_unsaved: None,
        unkept: None,
        limits: Vec::new(),
        destinations: Vec::new(),
    }
}

fn part(
    name: &str,
    report: &Report,
    planned: OperationCounts,
    done: OperationCounts,
    in_sync: u64,
    pending: u64,
) -> DestinationReport {
    DestinationReport {
        destination: crate::engine::DestinationName::new(name),
        planned,
        done,
        pending,
        skipped: false,
        adopted: 0,
        kept: 0,
        drifted: 0,
        in_sync,
        unknown: 0,
        ended: Some(report.ended),
        unsaved: None,
        locked: None,
        blocked: None,
        unreached: false,
        canaries_failed: false,
        unverified: Vec::new(),
        fidelity: None,
        failures: Vec::new(),
    }
}

fn counts(add: u64, update: u64, delete: u64) -> OperationCounts {
    OperationCounts { add, update, delete, ..OperationCounts::default() }
}

fn insight(version: u64, written: Timestamp) -> Insight {
    Insight { version, update_time: written.into(), kind: EngineKind::KvV2 }
}
