//! The console with a million secrets: the built program at a pseudo-terminal, real OpenBao behind it, and the time from a
//! key to the end of the frame that answers it. See `benches/README.md`.
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![allow(missing_docs, reason = "no library")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use serde_json::json;
use support::BaoServer;
use tempfile::TempDir;
use vsync::engine::{Engine, Listing, Operator, Origin};
use vsync::http::HttpSettings;
use vsync::kv::{Mount, PathFilter};
use vsync::state::{self, State, StateSide, StateStore, StoreSettings, SyncInfoWriter};
use vsync::sync_info::SyncInfo;
use vsync::vault::{Auth, VaultClient, VaultSettings};

/// How many secrets there are, unless `VSYNC_BENCH_SECRETS` says otherwise.
const SECRETS: usize = 1_000_000;
const BATCH: usize = 50_000;
const DESTINATIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
/// One secret in so many has not been copied yet.
const BEHIND: usize = 100;

/// As many as a million secrets need in Consul, whose values are small.
const BUCKETS: usize = 307;

const TEAMS: usize = 40;
const ENVIRONMENTS: [&str; 4] = ["dev", "test", "stage", "prod"];
const ITEMS: [&str; 5] = ["api-key", "cache", "database", "oauth-client", "tls"];

/// The synchronized update that is one frame ends with this.
const END_OF_FRAME: &[u8] = b"\x1b[?2026l";
const SIZE: PtySize = PtySize { rows: 60, cols: 200, pixel_width: 0, pixel_height: 0 };

/// For so long the slowest step may take.
const PATIENCE: Duration = Duration::from_mins(15);
/// Nothing is drawn for so long: the console is at rest.
const REST: Duration = Duration::from_millis(400);
/// After so long without work nothing is left of it.
const SETTLED: Duration = Duration::from_secs(100);

/// `team-07/prod/app-0421/database`.
fn name(number: usize) -> String {
    let (team, rest) = (number % TEAMS, number / TEAMS);
    let (environment, rest) = (ENVIRONMENTS[rest % ENVIRONMENTS.len()], rest / ENVIRONMENTS.len());
    let (item, app) = (ITEMS[rest % ITEMS.len()], rest / ITEMS.len());
    format!("team-{team:02}/{environment}/app-{app:04}/{item}")
}

fn main() {
    let secrets = std::env::var("VSYNC_BENCH_SECRETS").map_or(SECRETS, |count| count.parse().unwrap());
    let (origin, destinations) = (BaoServer::start(), DESTINATIONS.map(|_| BaoServer::start()));
    let client = origin.client();
    let value = json!({ "user": "bench", "password": "x".repeat(64) });
    for from in (0..secrets).step_by(BATCH) {
        client.write_all("secret", (from..secrets.min(from + BATCH)).map(|n| (name(n), value.clone())));
    }
    let folder = TempDir::new().unwrap();
    leave_state(&origin, &folder);
    fs::write(folder.path().join("vsync.toml"), configuration(&origin, &destinations, &folder)).unwrap();

    println!("{secrets} secrets, {} destinations, {} columns, {} rows", DESTINATIONS.len(), SIZE.cols, SIZE.rows);
    headless(&folder, secrets);
    let mut console = Console::start(&folder);
    console.measure(secrets, &folder);
}

/// What earlier cycles have copied: nearly everything.
fn leave_state(origin: &BaoServer, folder: &TempDir) {
    let store: Arc<dyn StateStore> =
        state::open(&StoreSettings::Embedded { file: folder.path().join("state.redb") }).unwrap();
    let mounts = vec![Mount::parse("secret").unwrap()];
    let http = HttpSettings { address: origin.address(), ..HttpSettings::default() };
    let auth = Auth::Token(zeroize::Zeroizing::new(BaoServer::ROOT_TOKEN.to_owned()));
    let origin = Origin {
        vault: VaultClient::new(VaultSettings { http, namespace: None, auth }).unwrap(),
        mounts: mounts.clone(),
        filter: PathFilter::default(),
        store: Arc::clone(&store),
        sync_path: "vsync/".to_owned(),
        num_buckets: None,
        num_workers: 16,
        listing: Listing::Auto,
        patience: None,
        kv_versions: BTreeMap::new(),
    };
    let engine = Engine::new(origin, Vec::new(), Operator { name: "bench".to_owned(), host: "here".to_owned() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let inventory = engine.survey(None).await;
        assert!(inventory.unknown.is_empty());
        let save = async |side: StateSide, sync_path: &str, has: &dyn Fn(usize) -> bool| {
            let mut info = SyncInfo::new(BUCKETS);
            for (_, (path, insight)) in inventory.secrets.iter().enumerate().filter(|(number, _)| has(*number)) {
                info.insert(path.clone(), *insight);
            }
            let state = State::new(Arc::clone(&store), sync_path, side, mounts.clone());
            SyncInfoWriter::new(state, None).save(&mut info).await.unwrap();
        };
        save(StateSide::Origin, "vsync/", &|_| true).await;
        for (at, destination) in DESTINATIONS.iter().enumerate() {
            save(StateSide::Destination, &format!("vsync/{destination}/"), &|number| number % BEHIND != at).await;
        }
    });
}

fn configuration(origin: &BaoServer, destinations: &[BaoServer], folder: &TempDir) -> String {
    let vault = |server: &BaoServer| format!("vault = {{ address = \"{}\", token = \"root\" }}\n", server.address());
    let mut text = format!("[state]\nfile = \"{}/state.redb\"\n", folder.path().display());
    write!(text, "[origin]\nmounts = [\"secret/\"]\n{}", vault(origin)).unwrap();
    for (name, server) in DESTINATIONS.iter().zip(destinations) {
        write!(text, "[[destinations]]\nname = \"{name}\"\n{}", vault(server)).unwrap();
    }
    text
}

/// A plan without the console: its time, and the most memory that it took.
fn headless(folder: &TempDir, secrets: usize) {
    let started = Instant::now();
    let mut plan = std::process::Command::new(env!("CARGO_BIN_EXE_vsync"))
        .args(["plan", "--summary", "--config"])
        .arg(folder.path().join("vsync.toml"))
        .env("XDG_STATE_HOME", folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while plan.try_wait().unwrap().is_none() {
        peak = memory(plan.id(), "VmHWM").unwrap_or(0).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("{:34} {:8.1} s", "vsync plan", started.elapsed().as_secs_f64());
    print_memory("vsync plan, most memory", peak, secrets);
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn print_memory(what: &str, bytes: u64, secrets: usize) {
    println!("{what:34} {:8.0} MB {:6.0} bytes a secret", bytes as f64 / 1e6, bytes as f64 / secrets as f64);
}

/// A figure of a process's memory, in bytes.
fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(field))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// How often each thread of a process was woken until now.
fn wakeups(pid: u32) -> BTreeMap<OsString, u64> {
    let woken = |thread: &fs::DirEntry| {
        let status = fs::read_to_string(thread.path().join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().filter_map(Result::ok);
    threads.filter_map(|thread| Some((thread.file_name(), woken(&thread)?))).collect()
}

/// One frame: when it was there, and what it was made of.
struct Frame {
    at: Instant,
    bytes: Vec<u8>,
}

/// The program at a terminal of its own.
struct Console {
    frames: Receiver<Frame>,
    keyboard: Box<dyn Write + Send>,
    terminal: Box<dyn MasterPty + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    started: Instant,
}

impl Console {
    fn start(folder: &TempDir) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_vsync"));
        command.args(["--log-level", "debug", "--config"]);
        command.arg(folder.path().join("vsync.toml"));
        for variable in ["XDG_STATE_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, folder.path());
        }
        for (variable, value) in [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")] {
            command.env(variable, value);
        }
        let pair = native_pty_system().openpty(SIZE).unwrap();
        let mut output = pair.master.try_clone_reader().unwrap();
        let (sender, frames) = mpsc::channel();
        let started = Instant::now();
        let child = pair.slave.spawn_command(command).unwrap();
        std::thread::spawn(move || {
            let (mut chunk, mut bytes) = (vec![0; 64 * 1024], Vec::new());
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let at = Instant::now();
                bytes.extend_from_slice(&chunk[..length]);
                while let Some(end) = position(&bytes, END_OF_FRAME) {
                    let rest = bytes.split_off(end + END_OF_FRAME.len());
                    if sender.send(Frame { at, bytes: std::mem::replace(&mut bytes, rest) }).is_err() {
                        return;
                    }
                }
            }
        });
        let keyboard = pair.master.take_writer().unwrap();
        Self { frames, keyboard, terminal: pair.master, child, started }
    }

    fn measure(&mut self, secrets: usize, folder: &TempDir) {
        let pid = self.child.process_id().unwrap();
        let first = self.frames.recv_timeout(PATIENCE).unwrap();
        println!("{:34} {:8.1} ms", "first frame", milliseconds(first.at - self.started));
        let planned = self.wait_for("as of ");
        println!("{:34} {:8.1} s", "everything listed and planned", (planned - self.started).as_secs_f64());
        self.rest();
        for (what, took) in steps(folder) {
            println!("{what:34} {took:8.0} ms");
        }
        print_memory("console, most memory", memory(pid, "VmHWM").unwrap_or(0), secrets);
        print_memory("console, memory at rest", memory(pid, "VmRSS").unwrap_or(0), secrets);
        // threads that have nothing to do end after a while, and connections are closed
        std::thread::sleep(SETTLED);
        let before = wakeups(pid);
        std::thread::sleep(Duration::from_secs(10));
        let since = |(thread, count)| count - before.get(&thread).copied().unwrap_or(0);
        let woken: u64 = wakeups(pid).into_iter().map(since).sum();
        println!("{:34} {woken:8} in 10 s", "wake-ups at rest");

        self.keys("Browse: up and down", "2", &["j", "j", "j", "k"], 300);
        self.keys("Browse: open and close folders", "gg", &["l", "l", "l", "j", "h", "h", "h", "h", "h", "h"], 300);
        self.keys("Browse: pages, first, last", "g", &["\x1b[6~", "\x1b[6~", "\x1b[5~", "G", "g"], 200);
        self.keys("Browse: the worst first, by name", "g", &["s"], 20);
        self.keys("Browse: filter, letter by letter", "g/", &["a", "p", "p", "-", "0", "4", "2", "\x7f", "\x15"], 90);
        self.keys("Browse: fuzzy filter", "", &["~", "p", "r", "d", "4", "2", "c", "\x15"], 80);
        self.keys("Browse: inverse filter", "", &["!", "a", "p", "p", "\x15"], 50);
        self.keys("Browse: state after state", "\x1b", &["f"], 44);
        self.keys("Browse: mark and unmark everything", "\x1bg", &[" "], 20);
        self.keys("Plan: up and down", "3g", &["j", "j", "\x1b[6~", "k"], 200);
        self.keys("Plan: filter, letter by letter", "/", &["a", "p", "p", "-", "0", "4", "2", "\x7f", "\x15"], 90);
        self.keys("Palette: a path, letter by letter", "\x1b:", &["s", "e", "c", "r", "e", "t", "/", "\x15"], 80);
        self.keys("every screen", "\x1b", &["1", "2", "3", "4", "5", "6", "7", "8"], 80);
        self.frames_of_every_size();
        print_memory("console, most memory at the end", memory(pid, "VmHWM").unwrap_or(0), secrets);
        self.send("q");
        let _ = self.child.wait();
    }

    /// Presses keys one by one and prints how long their frames took. A key that changes nothing has none.
    fn keys(&mut self, what: &str, before: &str, keys: &[&str], count: usize) {
        self.send(before);
        self.rest();
        let (mut took, mut bytes) = (Vec::new(), Vec::new());
        for key in keys.iter().cycle().take(count) {
            let pressed = Instant::now();
            self.send(key);
            match self.frames.recv_timeout(Duration::from_secs(10)) {
                Ok(frame) => {
                    took.push(frame.at - pressed);
                    bytes.push(frame.bytes.len());
                }
                Err(RecvTimeoutError::Timeout) => println!("{what}: no frame after {key:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the console has ended"),
            }
            // what else the key has brought about: details that were asked for
            while self.frames.recv_timeout(Duration::from_millis(20)).is_ok() {}
        }
        self.rest();
        print_times(what, took, bytes);
    }

    /// Whole frames: every change of size draws all of it.
    fn frames_of_every_size(&mut self) {
        self.send("2");
        self.rest();
        let (mut took, mut bytes) = (Vec::new(), Vec::new());
        for cols in (0..40).map(|step| if step % 2 == 0 { 199 } else { 200 }) {
            let changed = Instant::now();
            self.terminal.resize(PtySize { cols, ..SIZE }).unwrap();
            let frame = self.frames.recv_timeout(PATIENCE).unwrap();
            took.push(frame.at - changed);
            bytes.push(frame.bytes.len());
            self.rest();
        }
        print_times("a whole frame (another size)", took, bytes);
    }

    fn send(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        self.keyboard.flush().unwrap();
    }

    /// Until nothing is drawn any more.
    fn rest(&mut self) {
        while self.frames.recv_timeout(REST).is_ok() {}
    }

    fn wait_for(&mut self, text: &str) -> Instant {
        loop {
            let frame = self.frames.recv_timeout(PATIENCE).unwrap();
            if position(&frame.bytes, text.as_bytes()).is_some() {
                return frame.at;
            }
        }
    }
}

/// What the console's own log says of the steps on the way to its first plan, in milliseconds.
fn steps(folder: &TempDir) -> Vec<(String, f64)> {
    let logs = fs::read_dir(folder.path().join("vsync/logs")).unwrap();
    let mut text = String::new();
    for log in logs {
        text += &fs::read_to_string(log.unwrap().path()).unwrap();
    }
    let took = |line: &str| line.split("milliseconds=").nth(1)?.split_whitespace().next()?.parse::<f64>().ok();
    let mut lines = text.lines().filter(|line| line.contains("the tree is made"));
    lines.next_back().and_then(took).map(|took| ("tree building".to_owned(), took)).into_iter().collect()
}

fn print_times(what: &str, mut took: Vec<Duration>, mut bytes: Vec<usize>) {
    took.sort();
    bytes.sort_unstable();
    let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
    let [half, most, all] = [50, 99, 100].map(|percent| at(percent).copied().map_or(f64::NAN, milliseconds));
    let bytes = bytes.get(bytes.len() / 2).copied().unwrap_or(0);
    println!("{what:34} p50 {half:6.1} ms   p99 {most:6.1} ms   max {all:6.1} ms   {bytes:6} bytes a frame");
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
