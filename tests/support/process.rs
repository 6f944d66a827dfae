//! A server as a child process that cannot outlive the test.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Replaces itself with the server, after leaving a watcher behind that kills the server when the test process closes
/// the pipe, which it also does by dying. A line in the pipe means that the server has ended by itself.
const LEASH: &str = r#"exec 3<&0 </dev/null
(read -r _ <&3 || kill -KILL $$) &
exec 3<&-
exec "$@""#;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server. It is killed, not asked, when this is dropped: what it should keep must be safe by then.
pub(super) struct Process {
    child: Child,
    leash: Option<ChildStdin>,
    output: PathBuf,
}

impl Process {
    /// Starts `program` with its output in `output`.
    pub(super) fn start(program: &Path, arguments: &[String], output: &Path) -> Self {
        let file = File::create(output).expect("the server's output file");
        let mut child = Command::new("sh")
            .args(["-c", LEASH, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("sh starts");
        let leash = child.stdin.take();
        Self { child, leash, output: output.to_owned() }
    }

    /// Waits until `ready` says so. `Err` if the process ended before.
    ///
    /// # Panics
    /// If it takes longer than half a minute.
    pub(super) fn wait_until(&mut self, ready: impl Fn(&str) -> bool) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if ready(&self.output()) {
                return Ok(());
            }
            if self.child.try_wait().expect("the state of a child").is_some() {
                self.let_go();
                return Err(self.output());
            }
            assert!(start.elapsed() < START_LIMIT, "the server does not become ready:\n{}", self.output());
            sleep(Duration::from_millis(20));
        }
    }

    /// What it wrote so far.
    pub(super) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()).into_owned()
    }

    /// Sends a signal (`STOP`, `CONT`).
    pub(super) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Stops it, and waits until it stands still: on a busy machine that takes a moment, in which it may still answer.
    pub(super) fn freeze(&self) {
        self.signal("STOP");
        let threads = format!("/proc/{}/task", self.child.id());
        let stands = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('T'))
        };
        let start = Instant::now();
        // where there is no /proc, the signal must do
        while fs::read_dir(&threads).is_ok_and(|mut threads| threads.any(|thread| !thread.is_ok_and(stands))) {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not stop");
            sleep(Duration::from_millis(2));
        }
    }

    fn let_go(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            // The watcher may be gone with its process group already.
            let _ = leash.write_all(b"\n");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            self.let_go();
        }
        drop(self.leash.take());
        let _ = self.child.wait();
    }
}

/// Sends a signal to a child of the test. The shell's own `kill` is always there, the program not.
pub(super) fn signal(pid: u32, name: &str) {
    let status = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()]).status();
    assert!(status.expect("sh starts").success(), "no process {pid} to send {name} to");
}

/// A port that was free a moment ago, and that no other server of this process was given. Another process may take it
/// before the server does: start again then.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("its address").port();
        // OpenBao takes the port above its own, too.
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if port < u16::MAX && !given.contains(&port) && !given.contains(&(port + 1)) {
            given.extend([port, port + 1]);
            return port;
        }
    }
}

/// The server's program: named by `variable`, or one of `names` on PATH.
pub(super) fn program(variable: &str, names: &[&str]) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!(
                "{} not found: run tests/run, which fetches it, or set {variable} to the program",
                names.join(" or ")
            )
        })
}

/// Starts a server with `attempt` until it does not lose its port to somebody else.
pub(super) fn start_on_free_port<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    for _ in 0..5 {
        match attempt() {
            Ok(server) => return server,
            Err(output) if output.contains("address already in use") => {}
            Err(output) => panic!("the server did not start:\n{output}"),
        }
    }
    panic!("five ports in a row were taken by somebody else");
}
