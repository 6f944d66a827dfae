//! The program under test at a terminal: a pseudo-terminal, and an emulator that keeps what one would see.
#![allow(clippy::expect_used, reason = "a test that has no terminal has failed")]

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;
use vt100::{Color, Screen};

use crate::canary;

const VSYNC: &str = env!("CARGO_BIN_EXE_vsync");

/// For so long what a test waits for may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running console. Killed when dropped.
pub(crate) struct Console {
    seen: Arc<(Mutex<Seen>, Condvar)>,
    // Nothing may change the terminal's modes but the program: portable-pty's writer sends an end of file when dropped.
    keyboard: Option<Box<dyn Write + Send>>,
    master: Box<dyn MasterPty + Send>,
    pid: Pid,
    folder: TempDir,
    modes_before: String,
    threads: Vec<JoinHandle<()>>,
}

struct Seen {
    terminal: vt100::Parser<Updates>,
    /// Everything that was sent.
    bytes: Vec<u8>,
    exit: Option<u32>,
    /// Nothing comes any more.
    silent: bool,
    /// Nobody looks any more.
    gone: bool,
    leaks: Leaks,
}

/// The search for secret values in what is drawn.
#[derive(Default)]
struct Leaks {
    /// What a test shows on purpose, while it does.
    on_purpose: Option<String>,
    /// Up to which byte everything sent has been looked at.
    searched: usize,
    /// What was found first.
    found: Option<String>,
}

impl Seen {
    /// Looks at the screen, and at what was sent since the last time: a value drawn at once is there in one piece, and one
    /// that came into being by parts is on the screen.
    fn search(&mut self) {
        // some bytes again, for what came in two parts
        let from = self.leaks.searched.saturating_sub(64).min(self.bytes.len());
        let news = [&self.bytes[from..], self.terminal.screen().contents().as_bytes()].concat();
        self.leaks.searched = self.bytes.len();
        if self.leaks.on_purpose.is_none() && self.leaks.found.is_none() {
            self.leaks.found = canary::find(&news);
        }
    }

    fn assert_clean(&mut self) {
        self.search();
        let found = self.leaks.found.take();
        assert!(found.is_none(), "a secret value was drawn, {}", found.unwrap_or_default());
    }
}

/// Follows synchronized updates, so that a test, as an operator, sees whole frames only.
#[derive(Default)]
struct Updates {
    under_way: bool,
    /// How many there have been.
    ended: usize,
    /// How many updates left nothing on the screen.
    blank: usize,
}

impl vt100::Callbacks for Updates {
    fn unhandled_csi(&mut self, screen: &mut Screen, i1: Option<u8>, _: Option<u8>, params: &[&[u16]], c: char) {
        if i1 == Some(b'?') && params == [&[2026]] {
            self.under_way = c == 'h';
            self.ended += usize::from(c == 'l');
            self.blank += usize::from(c == 'l' && screen.contents().is_empty());
        }
    }
}

/// What is left when the program has ended.
pub(crate) struct Ended {
    pub(crate) code: u32,
    pub(crate) screen: Screen,
    pub(crate) bytes: String,
}

impl Console {
    /// `vsync ARGUMENTS` at a terminal of this size, with true colour and UTF-8 unless `environment` says otherwise; an
    /// empty value takes a variable away.
    pub(crate) fn start(arguments: &[&str], size: (u16, u16), environment: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(VSYNC);
        command.args(arguments);
        Self::spawn(command, size, environment)
    }

    /// A shell with job control that runs a script, in which `"$0"` is `vsync`.
    pub(crate) fn start_in_shell(script: &str, size: (u16, u16)) -> Self {
        let mut command = CommandBuilder::new("/bin/sh");
        command.args(["-m", "-c", script, VSYNC]);
        Self::spawn(command, size, &[])
    }

    fn spawn(mut command: CommandBuilder, (columns, rows): (u16, u16), environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let place = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            path
        };
        command.cwd(folder.path());
        command.env_clear();
        for (variable, folder) in [
            ("HOME", "home"),
            ("TMPDIR", "tmp"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
        ] {
            command.env(variable, place(folder));
        }
        let usual = [("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")];
        for (variable, value) in usual.iter().chain(environment) {
            if value.is_empty() {
                command.env_remove(variable);
            } else {
                command.env(variable, value);
            }
        }

        let pair = native_pty_system().openpty(pty_size(columns, rows)).expect("a pseudo-terminal");
        let modes_before = modes(&*pair.master);
        let mut child = pair.slave.spawn_command(command).expect("vsync starts");
        let pid = child.process_id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).expect("its process id");
        let keyboard = pair.master.take_writer().expect("a keyboard");
        let mut output = pair.master.try_clone_reader().expect("what it draws");
        let terminal = vt100::Parser::new_with_callbacks(cells(rows), cells(columns), 0, Updates::default());
        let seen =
            Seen { terminal, bytes: Vec::new(), exit: None, silent: false, gone: false, leaks: Leaks::default() };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));

        let reader = std::thread::spawn({
            let seen = Arc::clone(&seen);
            move || {
                let mut chunk = [0; 16 * 1024];
                while let Ok(length @ 1..) = output.read(&mut chunk) {
                    let mut guard = lock(&seen.0);
                    guard.terminal.process(&chunk[..length]);
                    guard.bytes.extend_from_slice(&chunk[..length]);
                    seen.1.notify_all();
                    if guard.gone {
                        break;
                    }
                }
                // with the last hold on it, the other end hears that the terminal is gone
                drop(output);
                lock(&seen.0).silent = true;
                seen.1.notify_all();
            }
        });
        let waiter = std::thread::spawn({
            let seen = Arc::clone(&seen);
            // The slave stays open until then: with it the terminal's modes would go.
            let slave = pair.slave;
            move || {
                let status = child.wait().expect("the end of vsync");
                let mut guard = lock(&seen.0);
                guard.exit = Some(status.exit_code());
                seen.1.notify_all();
                drop(guard);
                drop(slave);
            }
        });
        Self {
            seen,
            keyboard: Some(keyboard),
            master: pair.master,
            pid,
            folder,
            modes_before,
            threads: vec![reader, waiter],
        }
    }

    /// Types.
    pub(crate) fn keys(&mut self, keys: &str) {
        let keyboard = self.keyboard.as_mut().expect("a keyboard");
        keyboard.write_all(keys.as_bytes()).and_then(|()| keyboard.flush()).expect("the terminal takes keys");
    }

    /// Changes the terminal's size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        lock(&self.seen.0).terminal.set_size(cells(rows), cells(columns));
        self.master.resize(pty_size(columns, rows)).expect("the size changes");
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid, signal).expect("vsync takes signals");
    }

    /// Takes the terminal away, as a connection does that drops: it is gone as soon as the program draws once more.
    #[allow(dead_code, reason = "the live tests use it")]
    pub(crate) fn hang_up(&mut self) {
        lock(&self.seen.0).gone = true;
        self.keyboard = None;
        self.master = native_pty_system().openpty(pty_size(1, 1)).expect("a pseudo-terminal").master;
    }

    /// Waits for the end of a program whose terminal is gone; its exit code.
    #[allow(dead_code, reason = "the live tests use it")]
    pub(crate) fn wait_for_exit(self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = lock(&self.seen.0);
        loop {
            if let Some(code) = seen.exit {
                return code;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end without its terminal");
            seen = self.seen.1.wait_timeout(seen, left).expect("no panic").0;
        }
    }

    /// From now on a secret value may be drawn: this one, which the test shows on purpose.
    pub(crate) fn reveals(&self, value: &str) {
        let mut seen = lock(&self.seen.0);
        seen.assert_clean();
        seen.leaks.on_purpose = Some(value.to_owned());
    }

    /// From now on no secret value may be drawn, as from the start.
    pub(crate) fn reveals_no_more(&self) {
        let mut seen = lock(&self.seen.0);
        seen.search();
        // the part that is looked at twice
        seen.leaks.searched = seen.bytes.len() + 64;
        seen.leaks.on_purpose = None;
    }

    /// Waits until the screen is as wanted, and gives it.
    pub(crate) fn wait_for(&self, what: &str, wanted: impl Fn(&Screen) -> bool) -> Screen {
        let mut seen =
            self.wait_until(what, |seen| !seen.terminal.callbacks().under_way && wanted(seen.terminal.screen()));
        seen.assert_clean();
        seen.terminal.screen().clone()
    }

    /// Waits until all of these can be read, and gives the screen.
    pub(crate) fn wait_for_texts(&self, texts: &[&str]) -> Screen {
        self.wait_for(&format!("{texts:?}"), |screen| {
            let contents = screen.contents();
            texts.iter().all(|text| contents.contains(text))
        })
    }

    /// Waits until this can be read no more, and gives the screen.
    pub(crate) fn wait_for_no(&self, text: &str) -> Screen {
        self.wait_for(&format!("no {text:?}"), |screen| !screen.contents().contains(text))
    }

    /// Waits until this has been sent, colours and all.
    pub(crate) fn wait_for_bytes(&self, bytes: &str) {
        let _seen = self.wait_until(&format!("{bytes:?}"), |seen| {
            seen.bytes.windows(bytes.len()).any(|window| window == bytes.as_bytes())
        });
    }

    /// One of the folders that are the program's own: `config`, `state`, `home`, `tmp` or `cache`.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for the end of the program. Whatever its reason, the terminal must be as it was: the modes, the cursor, the
    /// screen and how pastes arrive; and no temporary file may be left.
    pub(crate) fn wait_for_end(mut self) -> Ended {
        let seen = self.wait_until("the end of the program", |seen| seen.exit.is_some());
        let code = seen.exit.expect("an exit code");
        drop(seen);
        let mut seen = self.wait_until("the end of its output", |seen| seen.silent);
        seen.assert_clean();
        let screen = seen.terminal.screen().clone();
        let bytes = String::from_utf8_lossy(&seen.bytes).into_owned();
        drop(seen);
        assert!(!screen.alternate_screen() && bytes.contains("\x1b[?1049l"), "the alternate screen was not left");
        assert!(!screen.hide_cursor() && bytes.contains("\x1b[?25h"), "the cursor was not shown again");
        assert!(!screen.bracketed_paste(), "bracketed paste was not switched off");
        let left: Vec<_> = std::fs::read_dir(self.folder.path().join("tmp")).expect("the folder").collect();
        assert!(left.is_empty(), "it left {left:?}");
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
        Ended { code, screen, bytes }
    }

    /// Whether raw mode is on.
    pub(crate) fn is_raw(&self) -> bool {
        modes(&*self.master) != self.modes_before
    }

    /// How many frames there have been.
    pub(crate) fn frames(&self) -> usize {
        lock(&self.seen.0).terminal.callbacks().ended
    }

    /// Waits for a frame later than so many: whatever has been typed before, all at once, has been taken in by then.
    pub(crate) fn wait_for_frame_after(&self, frames: usize) {
        let _seen = self.wait_until("another frame", |seen| seen.terminal.callbacks().ended > frames);
    }

    /// How many frames until now showed nothing.
    pub(crate) fn blank_frames(&self) -> usize {
        lock(&self.seen.0).terminal.callbacks().blank
    }

    /// Everything the program has sent.
    pub(crate) fn bytes(&self) -> String {
        String::from_utf8_lossy(&lock(&self.seen.0).bytes).into_owned()
    }

    fn wait_until(&self, what: &str, reached: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = lock(&self.seen.0);
        while !reached(&seen) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || seen.silent {
                let (exit, screen) = (seen.exit, seen.terminal.screen().contents());
                drop(seen);
                panic!("waited for {what}; exit code {exit:?}; the screen:\n{screen}");
            }
            seen = self.seen.1.wait_timeout(seen, left).expect("no panic").0;
        }
        seen
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if lock(&self.seen.0).exit.is_none() {
            let _ = rustix::process::kill_process(self.pid, Signal::KILL);
        }
        if !std::thread::panicking() {
            let mut seen = lock(&self.seen.0);
            seen.assert_clean();
            let leaks = canary::leaks_below(self.folder.path());
            assert!(seen.leaks.on_purpose.is_some() || leaks.is_empty(), "secrets are in {}", leaks.join("; and in "));
        }
    }
}

/// The screen's rows, all as wide as it is.
pub(crate) fn rows(screen: &Screen) -> Vec<String> {
    let width = screen.size().1;
    screen.rows(0, width.get()).map(|row| format!("{row:<0$}", usize::from(width.get()))).collect()
}

/// Whether any cell, drawn or empty, has a colour of its own.
pub(crate) fn is_coloured(screen: &Screen) -> bool {
    let (rows, columns) = screen.size();
    (0..rows.get()).any(|row| {
        (0..columns.get()).any(|column| {
            screen
                .cell(row, column)
                .is_some_and(|cell| cell.fgcolor() != Color::Default || cell.bgcolor() != Color::Default)
        })
    })
}

/// The line settings, as text: their type belongs to a crate that nobody here needs for anything else.
fn modes(terminal: &dyn MasterPty) -> String {
    format!("{:?}", terminal.get_termios().expect("the terminal's modes"))
}

fn pty_size(cols: u16, rows: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a size")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
