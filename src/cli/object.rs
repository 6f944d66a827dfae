//! What programs are told: one JSON object a line.
//!
//! Every object has a `type`; [`Object`] is the list of them all. Where a certificate is not checked, each on stdout has
//! `tls_unverified`, too: the sides it is so for. Keys may be added, never renamed or removed. Paths are written as people
//! type them (`secret/team/app`); what a terminal might obey is `\u`-escaped in them. Durations are seconds, times RFC 3339.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::engine::{
    Cause, DestinationProgress, Failure, FidelityReport, FindingKind, Limit, OperationCounts, Report, Standing,
};
use crate::state::LockHolder;

/// One line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Object<'a> {
    /// `check`: one thing that was looked at.
    Check {
        /// `origin`, or a destination's name; `configuration` for its file.
        side: &'a str,
        /// `server`, `token`, `mount`, `capabilities`, `state`; `file`, `tls`.
        subject: &'a str,
        /// Whether it is as it has to be.
        ok: bool,
        /// Whether it works as it is, but had better be changed.
        warning: bool,
        /// What was found.
        detail: &'a str,
        /// What to do about it, if it is not, or had better be changed.
        next_step: Option<&'a str>,
        /// The rules that the token's policies lack. Where `ok` is true it works without them, but worse.
        missing: &'a [RuleObject],
    },
    /// `policy`: what one side's token needs.
    Policy {
        /// `origin`, or a destination's name.
        side: &'a str,
        /// `vault` or `consul`.
        system: &'a str,
        /// The server.
        address: &'a str,
        /// The namespace that the policy belongs in.
        namespace: Option<&'a str>,
        /// The policy in HCL, as it can be written.
        policy: &'a str,
        /// Its rules, and those that are not in it because they are for something that is not asked for. Only for `vault`.
        rules: &'a [RuleObject],
    },
    /// A part of the origin that could not be read; nothing in it is changed anywhere.
    Unknown {
        /// The mount, folder or secret.
        prefix: &'a str,
        /// Why.
        reason: &'a str,
    },
    /// `plan`, `sync`, `retry`: what a cycle would do at one destination.
    Plan {
        /// The destination.
        destination: &'a str,
        /// Secrets to add.
        add: u64,
        /// Secrets to update.
        update: u64,
        /// Secrets to delete, in whichever way.
        delete: u64,
        /// Those of the deletes that destroy all versions.
        destroy: u64,
        /// Those of the deletes that leave nothing, no metadata either.
        purge: u64,
        /// Secrets recorded as equal.
        in_sync: u64,
        /// Secrets left alone because somebody else changed them.
        drifted: u64,
        /// Secrets left alone because they were there before vsync.
        existing: u64,
        /// Secrets that stay as somebody else made them.
        kept: u64,
        /// Secrets that globs leave out.
        excluded: u64,
        /// Secrets the origin could not be asked about.
        unknown: u64,
        /// Deletes that `on_delete = "ignore"` leaves out.
        deletes_ignored: u64,
        /// Recorded secrets that go to new paths since the transforms changed.
        moved: u64,
        /// Mounts that are missing, and are created first.
        creates_mounts: Vec<String>,
        /// Whether the destination answered, unsealed, when the plan was made.
        answered: bool,
        /// Why nothing can be planned: its state could not be read.
        unavailable: Option<&'a str>,
    },
    /// `plan`: one task.
    Task {
        /// The destination.
        destination: &'a str,
        /// `add`, `update`, `delete`, `destroy` or `purge`.
        operation: &'a str,
        /// The secret at the origin.
        origin: String,
        /// Where it goes.
        path: String,
        /// The transform that decided; `identity` if none did.
        rule: &'a str,
        /// Whether its metadata alone is brought in step, without reading or writing a value.
        metadata_only: bool,
    },
    /// `plan`, `sync`, `status`: a secret that is left alone because somebody else wrote it.
    Drift {
        /// The destination.
        destination: &'a str,
        /// `add`, `update` or `delete`: what was to be done.
        operation: &'a str,
        /// The secret at the origin.
        origin: String,
        /// Where it goes.
        path: String,
        /// The destination's version that vsync wrote; 0: none, it was there before.
        ours: u64,
        /// The version that was found there.
        found: u64,
        /// Whether it stays so on purpose, and counts as in sync.
        kept: bool,
    },
    /// `plan --out`: the file that the plan was saved in.
    SavedPlan {
        /// The file.
        file: &'a str,
        /// How many tasks it has.
        lines: usize,
    },
    /// `history --export`: where the report is.
    Exported {
        /// The cycle.
        cycle: String,
        /// The file.
        file: &'a str,
    },
    /// A guard that stands against the plan.
    Objection {
        /// The destination.
        destination: &'a str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// How far a cycle is; on stderr.
    Progress {
        /// The cycle.
        cycle: String,
        /// `running`, `paused`, `stopping`, `ended`.
        phase: crate::engine::Phase,
        /// Tasks in the plan.
        planned: u64,
        /// Tasks that have ended.
        ended: u64,
        /// Tasks that have failed.
        failed: u64,
        /// Tasks a second.
        rate: f64,
        /// Seconds left at this rate.
        eta: Option<f64>,
        /// One part per destination.
        destinations: Vec<DestinationProgressObject>,
        /// How many requests each server is sent at once, and why no more.
        limits: Vec<Limit<'a>>,
    },
    /// A secret that could not be copied or deleted.
    Failure {
        /// The destination.
        destination: &'a str,
        /// `add`, `update`, `delete`, `destroy` or `purge`.
        operation: &'a str,
        /// The secret at the origin.
        origin: String,
        /// Where it was to go.
        path: String,
        /// The class of the error.
        cause: Cause,
        /// The error.
        message: &'a str,
        /// How often requests were sent for it.
        attempts: u32,
        /// When it was given up.
        at: Timestamp,
    },
    /// What a cycle did. Its failures stand before it, one object each.
    Report(ReportObject<'a>),
    /// `history`: one past cycle.
    Cycle(ReportObject<'a>),
    /// `status`: how one destination stands.
    Status {
        /// The destination.
        destination: &'a str,
        /// Secrets recorded as equal.
        in_sync: u64,
        /// Secrets to add that have not failed before.
        add: u64,
        /// Secrets to update that have not failed before.
        update: u64,
        /// Secrets to delete that have not failed before.
        delete: u64,
        /// Secrets to add, update or delete whose last attempt failed.
        failed: u64,
        /// Failures that somebody has said not to mind; not among the failed.
        ignored: u64,
        /// Secrets left alone because somebody else changed them.
        drifted: u64,
        /// Secrets left alone because they were there before vsync.
        existing: u64,
        /// Secrets that stay as somebody else made them.
        kept: u64,
        /// Secrets that globs leave out.
        excluded: u64,
        /// Secrets the origin could not be asked about.
        unknown: u64,
        /// For how long the oldest change has waited, in seconds.
        lag: Option<f64>,
        /// The last cycle that concerned it.
        last_cycle: Option<String>,
        /// When that started.
        last_started: Option<Timestamp>,
        /// How that ended: `completed`, `cancelled`, `timed_out`, `halted`, `unfinished`.
        last_ending: Option<crate::engine::Ending>,
        /// Whether it is `unfinished` because it is at work now.
        running: bool,
        /// Why it cannot be told: its state could not be read.
        unavailable: Option<&'a str>,
    },
    /// `transform`: where a path goes at one destination.
    Mapping {
        /// The secret at the origin.
        origin: String,
        /// The destination.
        destination: &'a str,
        /// Where it goes.
        path: &'a str,
        /// The transform that decided; `identity` if none did.
        rule: &'a str,
        /// Whether it is copied at all: not excluded, and to a configured mount.
        copied: bool,
        /// Why it is not.
        reason: Option<&'a str>,
    },
    /// `verify`: one secret that is not as vsync left it.
    Finding {
        /// The destination.
        destination: &'a str,
        /// `changed`, `gone`, `came_back`, `foreign` or `value_differs`.
        finding: FindingKind,
        /// The secret at the origin.
        origin: String,
        /// Where it lies at the destination.
        path: String,
        /// The version that vsync left there, if it knows.
        ours: Option<u64>,
        /// The version that is there.
        found: Option<u64>,
    },
    /// `verify`: how one destination compares with what vsync left there. Its findings stand before it.
    Verification {
        /// The destination.
        destination: &'a str,
        /// Secrets that are as vsync left them, by their versions.
        unchanged: u64,
        /// Findings of this kind.
        changed: u64,
        /// Findings of this kind.
        gone: u64,
        /// Findings of this kind.
        came_back: u64,
        /// Findings of this kind.
        foreign: u64,
        /// Somebody else's secrets that stay because `on_drift` says so.
        kept: u64,
        /// Secrets that are there, but whose version was never recorded.
        unversioned: u64,
        /// Secrets that could not be looked at.
        unknown: u64,
        /// Where they are, and why.
        unknown_in: Vec<UnknownObject>,
        /// Secrets whose values are equal; only with `--deep`.
        value_equal: Option<u64>,
        /// Findings of this kind; only with `--deep`.
        value_differs: Option<u64>,
        /// Secrets that the origin has changed or deleted since they were recorded; only with `--deep`.
        to_update: Option<u64>,
        /// Why nothing can be said of this destination.
        unavailable: Option<&'a str>,
    },
    /// `verify --deep`: how many secrets are about to be read; on stderr.
    ReadCost {
        /// At the origin.
        origin: u64,
        /// At each destination.
        destinations: BTreeMap<&'a str, u64>,
    },
    /// `undo`: one secret that is put back.
    UndoTask {
        /// The destination.
        destination: &'a str,
        /// `add`: undelete it; `update`: write an older version again; `delete`: delete what was added.
        operation: &'a str,
        /// The secret at the origin.
        origin: String,
        /// Where it lies at the destination.
        path: String,
        /// The version that is to be had again; nothing for a delete.
        version: Option<u64>,
    },
    /// `undo`: one secret that cannot be put back.
    Impossible {
        /// The destination.
        destination: &'a str,
        /// The secret at the origin.
        origin: String,
        /// Where it lies at the destination.
        path: String,
        /// Why.
        reason: &'a str,
    },
    /// `undo`: what undoing a cycle does at one destination.
    Undo {
        /// The cycle that is undone.
        cycle: String,
        /// The destination.
        destination: &'a str,
        /// Secrets to undelete.
        undelete: u64,
        /// Secrets of which an older version is to be written again.
        write_back: u64,
        /// Secrets to delete, because the cycle added them.
        delete: u64,
        /// Secrets that are as before already.
        already: u64,
        /// Secrets that the cycle dealt with without writing.
        untouched: u64,
        /// Secrets whose metadata stays as the cycle left it, whatever becomes of their values.
        metadata_stays: u64,
        /// Secrets that cannot be put back.
        impossible: u64,
        /// Why nothing can be planned: its state could not be read.
        unavailable: Option<&'a str>,
    },
    /// `config show`: one key.
    Setting {
        /// The key.
        key: &'a str,
        /// Its value; secrets are masked.
        value: &'a Value,
        /// Where it was set.
        place: &'a str,
    },
    /// `config check`: the configuration can be used.
    Config {
        /// The file, if there is one.
        file: Option<String>,
        /// How many destinations it has.
        destinations: usize,
        /// What is no error but may not be meant.
        notes: &'a [String],
    },
    /// `config check`: something is wrong.
    Problem {
        /// What.
        message: &'a str,
        /// Where.
        place: Option<String>,
        /// What to do about it.
        next_step: Option<&'a str>,
    },
    /// A daemon's note; on stderr. Its cycles are `report`s on stdout.
    Note {
        /// When.
        at: Timestamp,
        /// `started`, `recorded`, `cycle`, `trouble`, `over`, `standing_by`, `took_over`, `reloaded`, `not_reloaded`,
        /// `stopping`, `ended`.
        event: &'a str,
        /// `origin` or a destination's name, if it is about one.
        subject: Option<&'a str>,
        /// The same in words.
        message: &'a str,
    },
    /// The command could not do what it was asked for; on stderr.
    Error {
        /// Why.
        message: &'a str,
        /// What to do about it.
        next_step: Option<&'a str>,
        /// The program's exit code.
        exit: u8,
    },
}

/// An object, and what every object says where it is so.
#[derive(Serialize)]
pub(super) struct Marked<'a> {
    #[serde(flatten)]
    pub(super) object: &'a Object<'a>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) tls_unverified: &'a [String],
}

/// Secrets that could not be looked at, for one reason.
#[derive(Debug, Serialize)]
pub struct UnknownObject {
    /// The mount, the folder or the secret that could not be listed or read.
    pub prefix: String,
    /// Why.
    pub reason: String,
    /// How many secrets.
    pub secrets: u64,
}

/// A rule of a policy.
#[derive(Debug, Clone, Serialize)]
pub struct RuleObject {
    /// The path or the pattern.
    pub path: String,
    /// What is allowed there.
    pub capabilities: Vec<&'static str>,
    /// Why.
    pub reasons: Vec<&'static str>,
    /// What it is for, if it is only needed for that: `scan`, `undo`, `verify` or `console`.
    pub extra: Option<&'static str>,
}

/// A report, without its failures.
#[derive(Debug, Serialize)]
pub struct ReportObject<'a> {
    cycle: String,
    started: Timestamp,
    duration: f64,
    ending: crate::engine::Ending,
    dry_run: bool,
    /// What it was run for.
    purpose: &'a str,
    /// The cycle whose changes it took back.
    undoes: Option<String>,
    operator: &'a str,
    host: &'a str,
    vsync: &'a str,
    planned: OperationCounts,
    done: OperationCounts,
    failed: u64,
    pending: u64,
    /// Parts of the origin that could not be read.
    origin_unknown: usize,
    /// Why the origin's sync info could not be saved.
    origin_unsaved: Option<&'a str>,
    /// Why this report could not be kept.
    unkept: Option<&'a str>,
    /// How many requests each server was sent at once when the cycle ended; nothing for past ones.
    limits: &'a [Limit<'static>],
    destinations: Vec<DestinationObject<'a>>,
}

/// How far a cycle is at one destination.
#[derive(Debug, Serialize)]
pub struct DestinationProgressObject {
    destination: String,
    planned: u64,
    ended: u64,
    failed: u64,
    #[serde(flatten)]
    standing: StandingObject,
}

#[derive(Debug, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
enum StandingObject {
    AtWork,
    Canary,
    Verifying,
    AfterWave {
        wave: u32,
    },
    /// A server that does not answer; seconds since when, and until it is asked again.
    SetAside {
        server: &'static str,
        since: f64,
        next: f64,
        reason: String,
    },
}

impl From<&DestinationProgress> for DestinationProgressObject {
    fn from(part: &DestinationProgress) -> Self {
        let standing = match &part.standing {
            Standing::AtWork => StandingObject::AtWork,
            Standing::Canary => StandingObject::Canary,
            Standing::Verifying => StandingObject::Verifying,
            Standing::AfterWave(wave) => StandingObject::AfterWave { wave: *wave },
            Standing::SetAside(aside) => StandingObject::SetAside {
                server: if aside.origin { "origin" } else { "destination" },
                since: aside.since.as_secs_f64(),
                next: aside.next.as_secs_f64(),
                reason: aside.reason.clone(),
            },
        };
        Self {
            destination: part.destination.to_string(),
            planned: part.planned.total(),
            ended: part.ended(),
            failed: part.failed,
            standing,
        }
    }
}

#[derive(Debug, Serialize)]
struct DestinationObject<'a> {
    destination: &'a str,
    planned: OperationCounts,
    done: OperationCounts,
    failed: usize,
    pending: u64,
    /// Done without a write, because the destination held the same value.
    adopted: u64,
    /// Done by leaving somebody else's secret as it is.
    kept: u64,
    /// Left alone, as in earlier cycles, because somebody else wrote them.
    drifted: u64,
    in_sync: u64,
    unknown: u64,
    unsaved: Option<&'a str>,
    /// Who held the lock that kept the cycle from this destination.
    locked: Option<&'a LockHolder>,
    blocked: Option<&'a str>,
    /// What was copied beside values, and what could not be made equal: counts and the first few of each kind.
    fidelity: Option<&'a FidelityReport>,
}

impl<'a> From<&'a Report> for ReportObject<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            cycle: report.cycle.to_string(),
            started: report.started,
            duration: report.duration().as_secs_f64(),
            ending: report.ending,
            dry_run: report.dry_run,
            purpose: report.purpose(),
            undoes: report.undoes.map(|cycle| cycle.to_string()),
            operator: &report.operator,
            host: &report.host,
            vsync: &report.vsync,
            planned: report.planned(),
            done: report.done(),
            failed: report.failed(),
            pending: report.pending(),
            origin_unknown: report.origin_unknown.len(),
            origin_unsaved: report.origin_unsaved.as_deref(),
            unkept: report.unkept.as_deref(),
            limits: &report.limits,
            destinations: report
                .destinations
                .iter()
                .map(|part| DestinationObject {
                    destination: part.destination.as_str(),
                    planned: part.planned,
                    done: part.done,
                    failed: part.failures.len(),
                    pending: part.pending,
                    adopted: part.adopted,
                    kept: part.kept,
                    drifted: part.drifted,
                    in_sync: part.in_sync,
                    unknown: part.unknown,
                    unsaved: part.unsaved.as_deref(),
                    locked: part.locked.as_ref(),
                    blocked: part.blocked.as_deref(),
                    fidelity: part.fidelity.as_ref(),
                })
                .collect(),
        }
    }
}

impl<'a> Object<'a> {
    /// A failure at a destination.
    #[must_use]
    pub fn failure(destination: &'a str, failure: &'a Failure) -> Self {
        Self::Failure {
            destination,
            operation: failure.operation.as_str(),
            origin: failure.origin.to_string(),
            path: failure.destination.to_string(),
            cause: failure.cause,
            message: &failure.message,
            attempts: failure.attempts,
            at: failure.at,
        }
    }
}
