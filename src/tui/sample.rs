//! A small world for the tests of the console: one origin, three destinations, something of everything.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Size;
use ratatui::style::{Modifier, Style};

use super::effect::failures::Judged;
use super::message::{Message, Refreshed, SideStatus};
use super::model::{Model, Setup};
use super::screen::logs;
use super::theme::{Depth, Theme, Themes};
use super::update::update;
use super::view::view;
use super::widget::tree::{Growth, Tree};
use crate::engine::{
    Access, Activity, Cause, CycleId, CycleSnapshot, DestinationName, DestinationPlan, DestinationProgress,
    DestinationReport, Drift, Ending, Expected, Failure, Ignored, Inventory, InventoryUpdate, Latency, Mapping,
    Objection, Operation, OperationCounts, Phase, Plan, Report, Rule, SecretDetail, Side, Source, Standing, Step, Task,
    UnknownSubtree, WorkerRow,
};
use crate::http::{Cut, CutCause, Throttle, Why};
use crate::kv::{Mount, SecretPath};
use crate::sync_info::{EngineKind, Insight, SyncInfo};
use crate::vault::{Health, Metadata, TokenInfo, VersionInfo};

pub(super) fn mount() -> Mount {
    Mount::parse("secret").expect("a mount")
}

pub(super) fn path(name: &str) -> SecretPath {
    SecretPath::new(&mount(), name)
}

pub(super) fn time() -> Timestamp {
    "2026-11-23T21:40:03Z".parse().expect("a time")
}

pub(super) fn insight(version: u64) -> Insight {
    Insight { version, update_time: "2026-11-20T08:00:00.25Z".parse().expect("a time"), kind: EngineKind::KvV2 }
}

pub(super) fn names() -> [DestinationName; 3] {
    ["us-east", "ap-south", "eu-recovery"].map(DestinationName::new)
}

fn task(operation: Operation, name: &str, target: &str) -> Task {
    Task {
        operation,
        origin: path(name),
        destination: path(target),
        insight: (!operation.is_delete()).then(|| insight(3)),
        rule: if name == target { "identity".into() } else { "v1->v2".into() },
        expected: Expected::Version(0),
        source: Source::Origin,
    }
}

fn drift(operation: Operation, name: &str, ours: u64, found: u64, kept: bool) -> Drift {
    Drift { origin: path(name), destination: path(name), operation, insight: insight(3), ours, found, kept }
}

/// Teams, environments and applications, as somebody would lay them out.
pub(super) fn secrets() -> Vec<String> {
    let mut all = Vec::new();
    for team in ["billing", "payments", "search"] {
        for environment in ["dev", "prod", "stage"] {
            for app in ["api", "database", "mailer", "worker"] {
                all.push(format!("{team}/{environment}/{app}"));
            }
        }
    }
    all.push("Übersicht/日本語/ключ".to_owned());
    all
}

pub(super) fn plan() -> Arc<Plan> {
    let mut inventory = Inventory {
        secrets: SyncInfo::new(19),
        excluded: vec![path("scratch/x"), path("scratch/y")],
        unknown: vec![UnknownSubtree { prefix: "secret/vault-admins/".into(), reason: "permission denied".into() }],
        deleted: 4,
        ..Inventory::empty(1)
    };
    for name in secrets() {
        inventory.secrets.insert(path(&name), insight(3));
    }
    let [first, second, third] = names();
    let mut near = DestinationPlan::empty(first);
    near.in_sync = 33;
    near.unknown = vec![path("vault-admins/root")];
    *near.tasks = vec![
        task(Operation::Update, "billing/prod/database", "billing/prod/database"),
        task(Operation::Delete, "payments/old/key", "payments/old/key"),
        task(Operation::Add, "search/stage/worker", "search/stage/worker"),
    ];
    near.drifted = vec![
        drift(Operation::Add, "search/dev/mailer", 0, 2, false),
        drift(Operation::Update, "search/dev/worker", 1, 2, true),
        drift(Operation::Update, "search/prod/mailer", 4, 5, false),
    ];
    let mut behind = DestinationPlan::empty(second);
    behind.in_sync = 13;
    for name in secrets().iter().filter(|name| !name.starts_with("billing") && !name.starts_with('Ü')) {
        let operation = if name.contains("prod") { Operation::Update } else { Operation::Add };
        behind.tasks.push(task(operation, name, &format!("v2/{name}/secrets")));
    }
    behind.tasks.sort_by(|a, b| a.origin.cmp(&b.origin));
    let mut shut = DestinationPlan::empty(third);
    shut.in_sync = 30;
    shut.excluded = secrets().iter().filter(|name| name.contains("/dev/")).map(|name| path(name)).collect();
    shut.tasks = ["api", "database", "mailer", "worker"]
        .map(|app| task(Operation::Delete, &format!("legacy/{app}"), &format!("legacy/{app}")))
        .to_vec()
        .into();
    shut.objections = vec![Objection::MassDelete { deletes: 4, recorded: 34, limit: "10%".into() }];
    Arc::new(Plan { created: time(), inventory: Arc::new(inventory), destinations: vec![near, behind, shut] })
}

pub(super) fn failure(name: &str, cause: Cause, message: &str) -> Failure {
    Failure {
        operation: Operation::Update,
        origin: path(name),
        destination: path(&format!("v2/{name}/secrets")),
        cause,
        message: message.to_owned(),
        attempts: 3,
        insight: None,
        at: time(),
        denied: (cause == Cause::Permission).then_some(Access::Write),
    }
}

pub(super) fn failures() -> Vec<(DestinationName, Failure)> {
    let place = names()[1].clone();
    let denied = "write: permission denied";
    let limit = "write: request path rate limit quota exceeded";
    vec![
        (place.clone(), failure("payments/prod/api", Cause::Permission, denied)),
        (place.clone(), failure("payments/prod/database", Cause::Permission, denied)),
        (place, failure("search/prod/api", Cause::RateLimit, limit)),
    ]
}

/// That a failure is not to be minded, as the state store would tell.
pub(super) fn ignored(failure: &Failure, reason: &str) -> Ignored {
    Ignored {
        origin: failure.origin.clone(),
        reason: reason.to_owned(),
        operator: "ops".to_owned(),
        host: "bastion".to_owned(),
        at: time(),
        cause: failure.cause.as_str().to_owned(),
        insight: failure.insight,
    }
}

pub(super) fn report(id: &str, failed: bool) -> Report {
    let [first, second, _] = names();
    let part = |destination: DestinationName, add, update, failures: Vec<Failure>| DestinationReport {
        destination,
        planned: OperationCounts {
            add,
            update: update + failures.len() as u64,
            delete: 0,
            ..OperationCounts::default()
        },
        done: OperationCounts { add, update, delete: 0, ..OperationCounts::default() },
        pending: 0,
        skipped: false,
        adopted: 0,
        kept: 0,
        drifted: 0,
        in_sync: 13,
        unknown: 1,
        ended: Some(time()),
        unsaved: None,
        locked: None,
        blocked: None,
        unreached: false,
        canaries_failed: false,
        unverified: Vec::new(),
        fidelity: None,
        failures,
    };
    let failed = if failed { failures().into_iter().map(|(_, failure)| failure).collect() } else { Vec::new() };
    Report {
        cycle: id.parse().expect("an id"),
        operator: "ops".into(),
        host: "bastion".into(),
        vsync: "1.0.0".into(),
        started: "2026-11-23T21:38:01Z".parse().expect("a time"),
        ended: time(),
        ending: Ending::Completed,
        dry_run: false,
        purpose: "sync".into(),
        undoes: None,
        origin_unknown: Vec::new(),
        origin_unsaved: None,
        unkept: None,
        limits: Vec::new(),
        destinations: vec![part(first, 12, 3, Vec::new()), part(second, 1200, 431, failed)],
    }
}

pub(super) fn history() -> Vec<Report> {
    vec![report("0192f0c1-2345-7abc-8def-0123456789ab", true), report("0192f0c1-2345-7abc-8def-0123456789aa", false)]
}

/// A server that had refused requests, if fewer than `ceiling` are let through.
pub(super) fn throttle(limit: usize, ceiling: usize) -> Throttle {
    let lowered = limit < ceiling;
    let cut = Cut { cause: CutCause::Status(429), ago: Duration::from_millis(3_200) };
    Throttle {
        limit,
        ceiling,
        in_flight: 4,
        waiting: 2,
        why: if lowered { Why::Halved } else { Why::Full },
        last_cut: lowered.then_some(cut),
        lowered: u64::from(lowered),
        paused: None,
        requests_per_second: None,
    }
}

pub(super) fn snapshot(phase: Phase) -> Arc<CycleSnapshot> {
    let [first, second, _] = names();
    let ended = phase == Phase::Ended;
    let cycle: CycleId = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
    let progress = |destination: &DestinationName, planned, done, failed| DestinationProgress {
        destination: destination.clone(),
        planned: OperationCounts { add: planned, update: 0, delete: 0, ..OperationCounts::default() },
        done: OperationCounts { add: done, update: 0, delete: 0, ..OperationCounts::default() },
        failed,
        pending: planned - done - failed,
        standing: Standing::AtWork,
        skipped: false,
        rate: if done + failed < planned { 50.25 } else { 0.0 },
        eta: (done + failed < planned).then(|| Duration::from_secs(18)),
        rate_history: (0..60).map(|at| 15 + (at * 31) % 47).collect(),
        latency: Latency { p50: Duration::from_millis(45), p95: Duration::from_millis(310) },
        throttle: Some(throttle(6, 16)),
        unsaved: None,
    };
    let steps = [Step::Reading, Step::Writing, Step::Deleting];
    let workers = (0..6).map(|at| {
        let operation = Operation::ALL[at % 3];
        let name = &secrets()[at * 5];
        WorkerRow {
            number: at % 3 + 1,
            destination: if at < 3 { first.clone() } else { second.clone() },
            activity: (at != 2 && !ended).then(|| Activity {
                operation,
                step: steps[at % 3],
                origin: path(name),
                destination: path(&format!("v2/{name}/secrets")),
                elapsed: Duration::from_millis(120 + 1_700 * at as u64),
                attempts: u32::try_from(at / 4 + 1).expect("small"),
            }),
            ended: 40,
        }
    });
    Arc::new(CycleSnapshot {
        cycle,
        phase,
        dry_run: false,
        started: "2026-11-23T21:38:01Z".parse().expect("a time"),
        elapsed: Duration::from_secs(122),
        destinations: if ended {
            vec![progress(&first, 15, 15, 0), progress(&second, 1_634, 1_631, 3)]
        } else {
            vec![progress(&first, 15, 12, 0), progress(&second, 1_634, 702, 3)]
        },
        workers: workers.collect(),
        rate: 56.25,
        eta: (!ended).then(|| Duration::from_secs(16)),
        rate_history: (0..90).map(|at| 20 + (at * 37) % 61).collect(),
        latency: Latency { p50: Duration::from_millis(48), p95: Duration::from_millis(290) },
        latency_history: (0..90)
            .map(|at| Latency {
                p50: Duration::from_millis(40 + (at * 13) % 23),
                p95: Duration::from_millis(180 + (at * 53) % 201),
            })
            .collect(),
        origin_throttle: Some(throttle(16, 16)),
        recent_failures: failures(),
    })
}

pub(super) fn status(version: &str, ttl: Option<u64>) -> SideStatus {
    SideStatus {
        health: Ok(Health {
            initialized: true,
            sealed: false,
            standby: false,
            cluster_id: None,
            version: version.into(),
        }),
        token: Some(Ok(TokenInfo {
            display_name: "approle".into(),
            policies: vec!["vsync".into()],
            ttl: ttl.map(Duration::from_secs),
            renewable: true,
        })),
        latency: Duration::from_millis(12),
    }
}

pub(super) fn detail() -> SecretDetail {
    let created: Timestamp = "2026-10-01T06:00:00Z".parse().expect("a time");
    let version =
        |deleted: bool, destroyed| VersionInfo { created_time: created, deletion_time: deleted.then(time), destroyed };
    SecretDetail {
        seen: None,
        metadata: Some(Metadata {
            current_version: 3,
            oldest_version: 1,
            created_time: created,
            updated_time: "2026-11-20T08:00:00.25Z".parse().expect("a time"),
            metadata_version: Some(2),
            max_versions: 10,
            cas_required: false,
            delete_version_after: "0s".into(),
            custom_metadata: BTreeMap::from([("owner".into(), "team-payments".into()), ("tier".into(), "1".into())]),
            versions: BTreeMap::from([
                (1, version(false, true)),
                (2, version(true, false)),
                (3, version(false, false)),
            ]),
        }),
        keys: Some(vec!["password".into(), "url".into(), "user".into()]),
    }
}

pub(super) fn mappings(path: &SecretPath) -> Vec<Option<Mapping>> {
    let same = Mapping { data_path: path.data_path().to_owned(), rule: "identity".into() };
    let other = Mapping { data_path: format!("secret/data/v2/{}/secrets", path.name()), rule: "v1->v2".into() };
    vec![Some(same.clone()), Some(other), Some(same)]
}

/// The rules of the second destination.
pub(super) fn rules() -> Vec<Rule> {
    let rule = |name: &str, from: &str, to: &str| Rule { name: name.into(), from: from.into(), to: to.into() };
    vec![
        rule(
            "v1->v2",
            "^secret/data/(?P<team>[^/]+)/(?P<env>dev|prod)/(?P<app>.+)$",
            "secret/data/v2/${env}/${team}/${app}",
        ),
        rule("payments first", "^secret/data/payments/(?P<rest>.+)$", "secret/data/pay/${rest}"),
    ]
}

/// A console that has just been opened.
pub(super) fn opened(width: u16, height: u16) -> Model {
    let address = |name: &DestinationName| (name.clone(), format!("https://vault.{name}.example:8200"));
    Model::new(Setup {
        size: Size::new(width, height),
        theme: Theme::named("dark", Depth::True).expect("a theme"),
        themes: Themes::shipped(Depth::True),
        ascii: false,
        mouse: None,
        theme_is_forced: false,
        read_only: false,
        production: std::collections::BTreeSet::new(),
        unverified: Vec::new(),
        file: None,
        log: Some(logs::Source { level: tracing::level_filters::LevelFilter::INFO, file: None }),
        title: None,
        tick: Duration::from_secs(10),
        mounts: vec![mount()],
        origin: "https://vault.eu.example:8200".into(),
        destinations: names().iter().map(address).collect(),
        rules: [Vec::new(), rules(), Vec::new()].map(|rules| (rules, vec![mount()])).into(),
    })
}

/// A piece of the inventory, and the tree of it, as the worker sends them.
pub(super) fn arrive(model: &mut Model, found: InventoryUpdate) {
    let mut growth = Growth::new(model.destinations.len(), vec![mount()]);
    growth.extend(&found);
    update(model, Message::Grown(Box::new(growth.tree())));
    update(model, Message::Inventory(vec![found]));
}

pub(super) fn refreshed() -> Message {
    let (plan, mut failures) = (plan(), failures());
    let near = &plan.destinations[0];
    let drifted = near.drifted.iter().filter(|drift| !drift.kept);
    failures.extend(drifted.map(|drift| (near.destination.clone(), drift.to_failure(time()))));
    let tree = Tree::of_plan(&plan, &failures, &[mount()]);
    let judged = Judged { minded: failures, ignored: Vec::new() };
    Message::Refreshed(Box::new(Refreshed { plan, tree, failures: Ok(judged) }))
}

/// A console that knows all there is.
pub(super) fn full(width: u16, height: u16) -> Model {
    let mut model = opened(width, height);
    let [first, second, third] = names();
    for (side, status) in [
        (Side::Origin, status("2.4.1", None)),
        (Side::Destination(first), status("2.4.1", Some(2_500_000))),
        (Side::Destination(second), status("1.18.3", Some(1_900))),
    ] {
        update(&mut model, Message::Probed(side, status));
    }
    let sealed = SideStatus {
        health: Ok(Health {
            initialized: true,
            sealed: true,
            standby: false,
            cluster_id: None,
            version: "2.4.1".into(),
        }),
        token: None,
        latency: Duration::from_millis(3),
    };
    update(&mut model, Message::Probed(Side::Destination(third), sealed));
    update(&mut model, Message::Reports(Ok(history())));
    update(&mut model, refreshed());
    model
}

/// The text of what a model looks like.
pub(super) fn text(model: &Model) -> String {
    dump(model).split("\n--- styles\n").next().unwrap_or_default().to_owned()
}

/// What a model looks like: its text, and below it where which style is used.
pub(super) fn dump(model: &Model) -> String {
    let size = model.size;
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).expect("a terminal");
    terminal.draw(|frame| view(model, frame.area(), frame.buffer_mut())).expect("it draws");
    dump_buffer(terminal.backend().buffer())
}

fn dump_buffer(buffer: &Buffer) -> String {
    let (mut text, mut marks) = (String::new(), String::new());
    let mut legend: Vec<Style> = Vec::new();
    for row in buffer.area.rows() {
        let (mut line, mut styles) = (String::new(), String::new());
        let mut covered = 0;
        for position in row.positions() {
            let cell = &buffer[position];
            if covered == 0 {
                line.push_str(cell.symbol());
                covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
            } else {
                covered -= 1;
            }
            let style = cell.style();
            let at = legend.iter().position(|known| *known == style).unwrap_or_else(|| {
                legend.push(style);
                legend.len() - 1
            });
            let blank = cell.symbol() == " " && style.bg == buffer[(0, 0)].style().bg;
            styles.push(if at == 0 || blank { ' ' } else { letter(at) });
        }
        let _ = writeln!(text, "{}", line.trim_end());
        let _ = writeln!(marks, "{}", styles.trim_end());
    }
    let mut out = format!("{text}\n--- styles\n{marks}\n--- legend\n");
    for (at, style) in legend.iter().enumerate().skip(1) {
        let color = |color: Option<ratatui::style::Color>| color.map_or_else(String::new, |color| color.to_string());
        let mut words = format!("{} {} on {}", letter(at), color(style.fg), color(style.bg));
        for (modifier, word) in [(Modifier::BOLD, "bold"), (Modifier::DIM, "dim"), (Modifier::REVERSED, "reversed")] {
            if style.add_modifier.contains(modifier) {
                let _ = write!(words, " {word}");
            }
        }
        let _ = writeln!(out, "{words}");
    }
    out
}

fn letter(at: usize) -> char {
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".chars().cycle().nth(at).unwrap_or('?')
}
