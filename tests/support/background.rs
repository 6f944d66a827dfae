//! The program under test as a daemon.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::process::signal;
use super::vsync::Vsync;

/// A daemon with its output in files; killed if the test ends before it does.
pub struct Background {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Vsync {
    /// Starts a daemon that is called `name` in this test, with more for its environment.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn background(&self, name: &str, arguments: &[&str], environment: &[(&str, String)]) -> Background {
        let file = |kind: &str| self.folder().join(format!("{name}.{kind}"));
        let (stdout, stderr) = (file("stdout"), file("stderr"));
        let create = |path: &PathBuf| File::create(path).expect("a file for output");
        let child = self
            .command(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(create(&stdout))
            .stderr(create(&stderr))
            .spawn()
            .expect("vsync starts");
        Background { child, stdout, stderr }
    }
}

impl Background {
    /// What it has told so far.
    #[must_use]
    pub fn told(&self) -> String {
        fs::read_to_string(&self.stderr).expect("its stderr")
    }

    /// What it has given so far.
    #[must_use]
    pub fn given(&self) -> String {
        fs::read_to_string(&self.stdout).expect("its stdout")
    }

    /// Waits until it has told `text`.
    ///
    /// # Panics
    /// If it does not within `limit`, or ends before.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let start = Instant::now();
        while !self.told().contains(text) {
            assert!(self.is_running(), "it has ended and never told \"{text}\":\n{}", self.told());
            assert!(start.elapsed() < limit, "it has not told \"{text}\":\n{}", self.told());
            sleep(Duration::from_millis(50));
        }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal (`TERM`, `HUP`, `KILL`).
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If that cannot be told.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of a child").is_none()
    }

    /// Waits for its end; `None` if a signal ended it.
    ///
    /// # Panics
    /// If it does not end within `limit`.
    pub fn end(&mut self, limit: Duration) -> Option<i32> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of a child") {
                return status.code();
            }
            assert!(start.elapsed() < limit, "it does not end:\n{}", self.told());
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
