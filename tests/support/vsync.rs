//! The program under test, in surroundings of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::canary;
use super::least::{LeastTokens, markers, pages};
use super::process::signal;

/// `vsync` with a configuration, a home and a state folder that nobody else uses.
pub struct Vsync {
    folder: TempDir,
    least: LeastTokens,
}

/// How a command ended.
#[derive(Debug)]
pub struct Run {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it gave.
    pub stdout: String,
    /// What it said on the way.
    pub stderr: String,
}

impl Run {
    /// Everything it wrote.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    fn assert_clean(&self, arguments: &str) {
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            canary::assert_clean(&format!("{name} of \"vsync {arguments}\""), text.as_bytes());
        }
    }

    /// Ends the test unless it exited with `code`.
    #[must_use]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }
}

impl Drop for Vsync {
    /// Whatever a test did: nothing that is kept holds a secret.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let leaks = canary::leaks_below(self.folder.path());
            assert!(leaks.is_empty(), "secrets are in {}", leaks.join("; and in "));
        }
    }
}

impl Vsync {
    /// With this configuration, in TOML. A token `least` in it becomes one with exactly the rights that `vsync policy`
    /// prints for it, `least+undo` one with those of `--with undo`.
    #[must_use]
    pub fn new(config: &str) -> Self {
        let vsync = Self { folder: TempDir::new().expect("a temporary folder"), least: LeastTokens::default() };
        vsync.configure(config);
        vsync
    }

    /// Replaces the configuration.
    pub fn configure(&self, config: &str) {
        let file = self.folder.path().join("vsync.toml");
        if !markers(config).iter().any(|token| token.starts_with("least")) {
            write_private(&file, config);
            return;
        }
        // beside the one in use, which a daemon may read at any time
        let draft = self.folder.path().join("draft.toml");
        write_private(&draft, config);
        let name = draft.display().to_string();
        let filled = self.least.fill_in(config, |arguments| self.run(&[&["--config", &name], arguments].concat()));
        fs::remove_file(&draft).expect("the draft");
        write_private(&file, &filled);
    }

    /// The policies that `vsync policy` prints with these arguments, in the order origin, destinations.
    #[must_use]
    pub fn policies(&self, arguments: &[&str]) -> Vec<String> {
        let printed = self.run(&[&["policy", "--output", "json"], arguments].concat()).expect(0);
        pages(&printed).iter().map(|page| page["policy"].as_str().expect("a policy").to_owned()).collect()
    }

    /// The tokens in its configuration.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        markers(&fs::read_to_string(self.folder.path().join("vsync.toml")).expect("the configuration"))
    }

    /// Where it runs and keeps its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Prepares a command.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        // another build of it, if that is what is to be tested
        let program = std::env::var_os("VSYNC_TEST_VSYNC").unwrap_or_else(|| env!("CARGO_BIN_EXE_vsync").into());
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("XDG_STATE_HOME", self.folder.path().join("state"))
            .env("RUST_BACKTRACE", "1");
        command
    }

    /// Runs a command to its end, without a terminal.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Run {
        let run = finished(&self.command(arguments).stdin(Stdio::null()).output().expect("vsync starts"));
        run.assert_clean(&arguments.join(" "));
        run
    }

    /// Starts a command.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running(Some(command.spawn().expect("vsync starts")))
    }
}

/// A command under way; killed if the test ends before it does.
pub struct Running(Option<Child>);

impl Running {
    /// Waits for its end. It must not write more than a pipe takes before.
    #[must_use]
    pub fn wait(mut self) -> Run {
        let run = finished(&self.0.take().expect("still running").wait_with_output().expect("the end of vsync"));
        run.assert_clean("a command that was waited for");
        run
    }

    /// Sends a signal (`INT`, `KILL`).
    pub fn signal(&self, name: &str) {
        signal(self.0.as_ref().expect("still running").id(), name);
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.0.as_mut().expect("still running").try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// As an operator is told to: for the owner alone.
fn write_private(file: &Path, text: &str) {
    fs::write(file, text).expect("the configuration");
    fs::set_permissions(file, Permissions::from_mode(0o600)).expect("its mode");
}

fn finished(output: &Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
