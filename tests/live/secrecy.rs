//! What keeps tokens and secrets where they belong: the process's memory, redirects, files that others can read, and
//! connections whose other end nobody has made sure of.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{BaoOptions, BaoServer, Fault, Tls, Vsync, When, canary, free_port, token_with};
use crate::terminal::{Console, rows};
use crate::trial::{Setup, Trial, seed};

const PATIENCE: Duration = Duration::from_secs(30);

/// Nobody: who a test runs its programs as if it is root itself, whom no kernel keeps from looking.
const NOBODY: u32 = 65_534;

/// Whether everybody may look into a process of their own, and whose its files in `/proc` are.
fn seen_from_outside(pid: u32, user: u32) -> (bool, u32) {
    let folder = format!("/proc/{pid}");
    let mut cat = Command::new("cat");
    cat.arg(format!("{folder}/environ")).stdout(Stdio::null()).stderr(Stdio::null());
    if rustix::process::getuid().is_root() {
        cat.uid(user);
    }
    let readable = cat.status().expect("cat starts").success();
    (readable, fs::metadata(format!("{folder}/environ")).expect("a process").uid())
}

#[test]
fn memory_cannot_be_dumped_or_looked_at() {
    let elsewhere = tempfile::tempdir().expect("a folder");
    let vsync = Vsync::new(
        "origin = { mounts = [\"secret\"], vault = { address = \"http://127.0.0.1:1\", token = \"s.x\", max_retries = 0 } }\n\
         [[destinations]]\nname = \"copy\"\nvault = { address = \"http://127.0.0.1:1\", token = \"s.x\", max_retries = 0 }\n",
    );
    let folder = vsync.folder();
    let mut command = vsync.command(&["sync", "--watch"]);
    let mut control = Command::new("sleep");
    control.arg("60");
    let own = rustix::process::getuid();
    let user = if own.is_root() { NOBODY } else { own.as_raw() };
    if own.is_root() {
        // a copy, as the program's own folder may be closed to others
        let program = elsewhere.path().join("vsync");
        fs::copy(env!("CARGO_BIN_EXE_vsync"), &program).expect("a copy");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("its mode");
        for path in [folder, &folder.join("vsync.toml"), elsewhere.path()] {
            std::os::unix::fs::chown(path, Some(NOBODY), None).expect("another owner");
        }
        let environment: Vec<_> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_owned())).collect();
        command = Command::new(program);
        command.args(["sync", "--watch"]).current_dir(folder).env_clear().envs(environment).uid(user);
        control.uid(user);
    }
    let log = fs::File::create(folder.join("told.stderr")).expect("a file");
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("vsync starts");
    let mut control = control.spawn().expect("sleep starts");
    let start = Instant::now();
    while !fs::read_to_string(folder.join("told.stderr")).expect("a file").contains("watching") {
        assert!(start.elapsed() < PATIENCE && matches!(process.try_wait(), Ok(None)), "it does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit").to_owned();
    let seen = seen_from_outside(process.id(), user);
    let seen_control = seen_from_outside(control.id(), user);
    for child in [&mut process, &mut control] {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    assert_eq!(seen_control, (true, user), "as any other process is");
    assert!(!seen.0, "whoever has the same user reads its memory");
    assert_ne!(seen.1, user, "its files in /proc belong to root");
}

/// Runs a command under the shell with as large a core dump as is allowed, in a folder of its own.
fn with_core_dumps(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" \"$@\""]).arg(command.get_program());
    shell.args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    shell
}

fn core_files(folder: &Path) -> usize {
    let is_core = |name: &str| name == "core" || name.starts_with("core.");
    fs::read_dir(folder)
        .expect("no error")
        .filter(|entry| is_core(&entry.as_ref().expect("no error").file_name().to_string_lossy()))
        .count()
}

#[test]
fn a_crash_leaves_no_secret_behind() {
    // what a crash leaves of a program that does nothing about it, here
    let elsewhere = tempfile::tempdir().expect("no error");
    let mut sleep = Command::new("sleep");
    sleep.arg("60").current_dir(elsewhere.path());
    let mut control = with_core_dumps(&sleep).spawn().expect("no error");
    std::thread::sleep(Duration::from_millis(200));
    rustix::process::kill_process(rustix::process::Pid::from_child(&control), rustix::process::Signal::ABORT)
        .expect("no error");
    let dumps = control.wait().expect("no error").core_dumped();
    eprintln!("a crash of another program leaves a core dump here: {dumps}");

    for signal in [rustix::process::Signal::ABORT, rustix::process::Signal::SEGV] {
        let trial = Trial::start(&Setup { retries: 1, ..Setup::default() });
        seed(&trial.origin.client());
        // values are read, and wait to be written
        let hold = trial.at_destination.rule("POST", "/data/", When::From(20), Fault::Hold);
        let stderr = fs::File::create(trial.vsync.folder().join("crash.stderr")).expect("no error");
        let stdout = fs::File::create(trial.vsync.folder().join("crash.stdout")).expect("no error");
        let command = trial.vsync.command(&["--log-level", "trace", "sync", "--yes"]);
        let mut cycle =
            with_core_dumps(&command).stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().expect("no error");
        hold.wait_until_picked(2);
        // the first SIGSEGV that no fault has caused is passed over by Rust's own handler
        let status = loop {
            rustix::process::kill_process(rustix::process::Pid::from_child(&cycle), signal).expect("no error");
            std::thread::sleep(Duration::from_millis(50));
            if let Some(status) = cycle.try_wait().expect("no error") {
                break status;
            }
        };
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert!(!status.core_dumped(), "{status}");
        assert_eq!(core_files(trial.vsync.folder()), 0);
        let told = fs::read_to_string(trial.vsync.folder().join("crash.stderr")).expect("no error");
        assert!(!told.is_empty(), "it has told something, which is looked through with all else at the end");
        hold.remove();
        let _ = trial.sync().expect(0);
        trial.assert_equal();
    }
}

/// A server that sends everybody elsewhere, and one there that counts who comes.
struct Redirect {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    visitors: Arc<AtomicUsize>,
}

impl Redirect {
    fn start(status: u16) -> Self {
        let (first, second) =
            (TcpListener::bind("127.0.0.1:0").expect("no error"), TcpListener::bind("127.0.0.1:0").expect("no error"));
        let address = format!("http://{}", first.local_addr().expect("no error"));
        let elsewhere = format!("http://localhost:{}", second.local_addr().expect("no error").port());
        let (asked, visitors) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (of_first, of_second) = (Arc::clone(&asked), Arc::clone(&visitors));
        std::thread::spawn(move || {
            for mut stream in first.incoming().map_while(Result::ok) {
                let (mut head, mut part) = (Vec::new(), [0; 4096]);
                while !head.windows(4).any(|window| window == b"\r\n\r\n") {
                    let Ok(count @ 1..) = stream.read(&mut part) else { break };
                    head.extend_from_slice(&part[..count]);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
                of_first.lock().expect("no error").push(head);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} Elsewhere\r\nlocation: {elsewhere}{path}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
            }
        });
        std::thread::spawn(move || {
            for _ in second.incoming() {
                of_second.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, asked, visitors }
    }
}

#[test]
fn a_redirect_takes_no_token_elsewhere() {
    let server = BaoServer::start();
    server.client().write("secret", "app", &json!({ "password": canary(1) }));
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Redirect::start(status);
        // what the policies allow matters to nobody here
        let token = server.client().policy_token("any", "path \"secret/*\" { capabilities = [\"read\", \"list\"] }");
        let side =
            |address: &str| format!("vault = {{ address = \"{address}\", token = \"{token}\", max_retries = 1 }}");
        let config = |origin: &str, destination: &str, consul: &str| {
            format!(
                "[origin]\nmounts = [\"secret\"]\n{}\n{consul}\n[[destinations]]\nname = \"copy\"\npatience = \"1s\"\n{}\n",
                side(origin),
                side(destination)
            )
        };
        let consul =
            format!("consul = {{ address = \"{}\", token = \"{token}\", max_retries = 0 }}", elsewhere.address);
        for (config, about) in [
            (config(&elsewhere.address, &server.address(), ""), "the origin's Vault"),
            (config(&server.address(), &elsewhere.address, ""), "a destination's Vault"),
            (config(&server.address(), &server.address(), &consul), "the origin's Consul"),
        ] {
            let vsync = Vsync::new(&config);
            for command in [&["check"][..], &["sync", "--yes"], &["status"]] {
                elsewhere.asked.lock().expect("no error").clear();
                let run = vsync.run(command);
                assert_ne!(run.code, None, "{status}, {about}");
                if about != "a destination's Vault" || command[0] != "status" {
                    assert_ne!(run.code, Some(0), "{status}, {about}: {}", run.text());
                    assert!(run.text().contains("redirects to http://localhost"), "{about}: {}", run.text());
                }
            }
        }
        assert_eq!(elsewhere.visitors.load(Ordering::Relaxed), 0, "{status} was followed");
    }
}

#[test]
fn files_with_secrets_that_others_can_read_are_named() {
    let server = BaoServer::start();
    let vsync = Vsync::new("");
    let folder = vsync.folder();
    let config = |token: &str| {
        vsync.configure(&format!(
            "[origin]\nmounts = [\"secret\"]\nvault = {{ address = \"{0}\", {token} }}\n\
             [[destinations]]\nname = \"copy\"\nvault = {{ address = \"{0}\", {token} }}\ninclude = [\"secret/none/**\"]\n",
            server.address()
        ));
    };
    let mode =
        |name: &str, mode| fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).expect("no error");
    let said = |run: &crate::support::Run| run.text().matches("chmod 600").count();

    config("token = \"least\"");
    for closed in [0o600, 0o400] {
        mode("vsync.toml", closed);
        assert_eq!(said(&vsync.run(&["plan"])), 0, "{closed:o}");
    }
    mode("vsync.toml", 0o640);
    let run = vsync.run(&["plan"]).expect(0);
    let expected = "warning: ./vsync.toml can be read by its group (mode 0640) and holds a secret (origin.vault.token); \
                    run: chmod 600 ./vsync.toml";
    assert_eq!(run.stderr.lines().filter(|line| line.contains("chmod")).collect::<Vec<_>>(), [expected]);
    assert!(log_of(folder).contains(expected.trim_start_matches("warning: ")), "{}", log_of(folder));
    let run = vsync.run(&["check"]).expect(0);
    let line = "warn  configuration  file         ./vsync.toml can be read by its group (mode 0640)";
    assert!(run.stdout.contains(line), "{}", run.stdout);
    let run = vsync.run(&["check", "--output", "json"]).expect(0);
    let finding = objects(&run.stdout).into_iter().find(|object| object["subject"] == "file").expect("a finding");
    assert_eq!(
        (&finding["side"], &finding["ok"], &finding["warning"]),
        (&json!("configuration"), &json!(true), &json!(true))
    );
    assert!(finding["next_step"].as_str().expect("no error").starts_with("chmod 600 "), "{finding}");

    // the token's own file instead: it matters, the configuration does not
    let token = token_with(&server.client(), &vsync.policies(&[]).concat());
    fs::write(folder.join("token"), format!("{token}\n")).expect("no error");
    config(&format!("token_file = \"{}\"", folder.join("token").display()));
    mode("vsync.toml", 0o644);
    mode("token", 0o644);
    let run = vsync.run(&["plan"]).expect(0);
    assert_eq!(said(&run), 1, "once, though two sides use it: {}", run.text());
    assert!(run.stderr.contains("/token can be read by everybody (mode 0644)"), "{}", run.stderr);
    mode("token", 0o600);
    assert_eq!(said(&vsync.run(&["plan"]).expect(0)), 0);
}

fn log_of(folder: &Path) -> String {
    let logs = folder.join("state/vsync/logs");
    let mut text = String::new();
    for entry in fs::read_dir(logs).expect("no error").map(|entry| entry.expect("no error").path()) {
        if entry.to_string_lossy().contains(".log") {
            text += &fs::read_to_string(entry).expect("no error");
        }
    }
    text
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Two servers with certificates of their own, and the address at which a daemon answers.
fn trusting(skip: bool) -> (BaoServer, BaoServer, Vsync, u16) {
    let tls = || BaoServer::with(BaoOptions { tls: Some(Tls::Open), ..BaoOptions::default() });
    let (origin, destination, port) = (tls(), BaoServer::start(), free_port());
    origin.client().write_all("secret", (0..5).map(|n| (format!("app-{n}"), json!({ "password": canary(n) }))));
    let skip = if skip { "tls_skip_verify = true" } else { "" };
    let vsync = Vsync::new(&format!(
        "health = {{ address = \"127.0.0.1:{port}\" }}\n[origin]\nmounts = [\"secret\"]\ntick = \"1s\"\n[origin.vault]\naddress = \"{}\"\n\
         token = \"least\"\nmax_retries = 0\n{skip}\n\
         [[destinations]]\nname = \"copy\"\nvault = {{ address = \"{}\", token = \"least\" }}\n",
        origin.address(),
        destination.address()
    ));
    (origin, destination, vsync, port)
}

#[test]
fn a_certificate_that_nobody_checks_is_said_by_every_command() {
    let (_origin, _destination, vsync, port) = trusting(true);
    for (command, code) in [(&["plan"][..], 2), (&["sync", "--yes"], 0), (&["status"], 0), (&["verify"], 0)] {
        let run = vsync.run(command).expect(code);
        assert!(
            run.stderr.contains("warning: TLS unverified: tls_skip_verify is on for origin"),
            "{command:?}: {}",
            run.stderr
        );
        let run = vsync.run(&[&["--output", "json"], command].concat());
        assert!(run.stderr.contains("TLS unverified"), "{command:?}: {}", run.stderr);
        let said: Vec<Value> = objects(&run.stdout);
        assert!(said.iter().all(|object| object["tls_unverified"] == json!(["origin"])), "{command:?}: {}", run.stdout);
        assert!(!said.is_empty() || command[0] == "sync", "{command:?}");
    }
    let run = vsync.run(&["check"]).expect(0);
    assert!(run.stdout.contains("warn  origin         tls          TLS unverified"), "{}", run.stdout);
    let run = vsync.run(&["check", "--output", "json"]).expect(0);
    let finding = objects(&run.stdout).into_iter().find(|object| object["subject"] == "tls").expect("a finding");
    assert_eq!((&finding["side"], &finding["warning"]), (&json!("origin"), &json!(true)));
    assert!(log_of(vsync.folder()).contains("TLS unverified"));

    let mut daemon = vsync.background("daemon", &["sync", "--watch"], &[]);
    daemon.wait_for("watching from the origin to copy", PATIENCE);
    daemon.wait_for("TLS unverified for origin", PATIENCE);
    let status = crate::daemon::status(port);
    assert_eq!(status["tls_unverified"], json!(["origin"]), "{status}");
    daemon.signal("TERM");
    assert_eq!(daemon.end(PATIENCE), Some(0));
}

#[test]
fn a_certificate_of_an_unknown_authority_is_never_taken_unasked() {
    let (_origin, _destination, vsync, _) = trusting(false);
    for command in [&["check"][..], &["plan"], &["sync", "--yes"]] {
        let run = vsync.run(command).expect(1);
        assert!(run.text().contains("comes from an unknown authority"), "{}", run.text());
        assert!(!run.text().contains("TLS unverified"), "{}", run.text());
    }
}

#[test]
fn a_certificate_that_nobody_checks_is_said_by_every_screen_of_the_console() {
    const TITLES: [&str; 8] = ["Overview", "Browse", "Plan", "Cycle", "Failures", "History", "Transforms", "Logs"];
    let (_origin, _destination, vsync, _) = trusting(true);
    let config = vsync.folder().join("vsync.toml").display().to_string();
    let mut console = Console::start(&["--config", &config], (100, 30), &[]);
    console.wait_for_texts(&["as of ", "TLS unverified"]);
    let says_so = |screen: &vt100::Screen| screen.contents().contains("TLS unverified");
    // the tab of the screen that is shown stands out
    let shows = |screen: &vt100::Screen, number: usize| {
        let tabs = rows(screen).swap_remove(1);
        let colour = |number: usize| {
            let at = tabs.find(&format!("{number} {}", TITLES[number - 1])).expect("a tab");
            let column = u16::try_from(tabs[..at].chars().count()).expect("a column");
            screen.cell(1, column).expect("a cell").bgcolor()
        };
        (1..=8).filter(|other| *other != number).all(|other| colour(other) != colour(number))
    };
    for number in 1..=8 {
        console.keys(&number.to_string());
        let screen = console.wait_for(TITLES[number - 1], |screen| shows(screen, number));
        assert!(says_so(&screen), "{}", screen.contents());
    }
    // nor is it out of sight where one is asked
    console.keys("3");
    console.wait_for_texts(&["secret/app-0"]);
    console.keys("X");
    let screen = console.wait_for_texts(&[" y yes "]);
    assert!(says_so(&screen), "{}", screen.contents());
    console.keys("nq");
    assert_eq!(console.wait_for_end().code, 0);
}
