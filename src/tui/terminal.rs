//! The terminal: taken over, given back whatever happens.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Size;
use tokio::sync::mpsc::UnboundedSender;
use zeroize::Zeroize as _;

use super::message::Message;

/// The terminal that the console draws on.
pub(super) type Screen = Terminal<CrosstermBackend<Frames>>;

/// Whether the terminal is ours. Global, because a panic hook and a signal know nothing else.
static OURS: AtomicBool = AtomicBool::new(false);

/// Takes the terminal over.
///
/// # Errors
/// When it refuses; it has been given back then.
pub(super) fn enter(mouse: bool) -> io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    let entered = enable_raw_mode()
        .and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide))
        .and_then(|()| if mouse { capture_mouse(true) } else { Ok(()) });
    if entered.is_err() {
        restore();
    }
    entered
}

/// Gives the terminal back. Does nothing when it has been; never fails and never panics, for it runs where nothing
/// else may go wrong.
pub(super) fn restore() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            EndSynchronizedUpdate,
            Mouse(false),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// How large it is; `None`: it does not tell.
pub(super) fn size() -> Option<Size> {
    crossterm::terminal::size().ok().map(Size::from)
}

/// Takes the mouse, or leaves it to the terminal, which selects text with it.
///
/// # Errors
/// When nothing can be written to the terminal.
pub(super) fn capture_mouse(on: bool) -> io::Result<()> {
    execute!(io::stdout(), Mouse(on))
}

/// Presses, drags and the wheel, in the encoding that has no largest column. Not every move as crossterm's own command
/// asks for: those mean nothing here, and would crowd a slow line.
struct Mouse(bool);

impl crossterm::Command for Mouse {
    fn write_ansi(&self, out: &mut impl std::fmt::Write) -> std::fmt::Result {
        out.write_str(if self.0 { "\x1b[?1000h\x1b[?1002h\x1b[?1006h" } else { "\x1b[?1006l\x1b[?1002l\x1b[?1000l" })
    }
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

tokio::task_local! {
    /// There while the console's own task runs, whatever thread runs it.
    static CONSOLE: ();
}

/// Runs `work` as the console: its panic is the console's end.
pub(super) async fn as_console<F: Future>(work: F) -> F::Output {
    CONSOLE.scope((), work).await
}

fn is_console() -> bool {
    CONSOLE.try_with(|()| ()).is_ok()
}

/// From now on a panic of the console gives the terminal back before it is reported. Panics elsewhere are survived by
/// whoever waits for that work, so they are only told and logged: printed, they would be drawn over the screen.
pub(super) fn restore_on_panic(messages: UnboundedSender<Message>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(move || {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if OURS.load(Ordering::SeqCst) && !is_console() {
                tracing::error!(%panic, "a part of vsync failed by a bug");
                let _ = messages.send(Message::Bug(panic.to_string().replace('\n', " ")));
                return;
            }
            restore();
            report(panic);
        }));
    });
}

/// A terminal to draw on, whose frames are sent when they are whole.
///
/// # Errors
/// When its size cannot be found out.
pub(super) fn screen(frames: &Frames) -> io::Result<Screen> {
    Terminal::new(CrosstermBackend::new(frames.clone()))
}

/// Gives the terminal to the shell, stops the process as Ctrl-Z does, and takes the terminal over again when the shell
/// continues it.
///
/// # Errors
/// When the process cannot be stopped, or the terminal not be taken again.
pub(super) fn suspend(screen: &mut Screen, frames: &mut Frames, notice: Option<&str>, mouse: bool) -> io::Result<()> {
    restore();
    if let Some(notice) = notice {
        let _ = writeln!(io::stdout(), "{notice}");
    }
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    enter(mouse)?;
    frames.wipe(screen)
}

/// What is to be sent to the terminal as one update, so that no half-drawn screen is ever seen.
///
/// A flush sends nothing: when the size has changed ratatui clears and flushes before it draws, and the operator would
/// see the empty screen.
#[derive(Debug, Clone, Default)]
pub(super) struct Frames(Rc<RefCell<Vec<u8>>>);

impl Frames {
    /// Sends what has been collected.
    ///
    /// # Errors
    /// When nothing can be written to the terminal.
    pub(super) fn send(&self) -> io::Result<()> {
        let mut frame = self.0.borrow_mut();
        if frame.is_empty() {
            return Ok(());
        }
        queue!(&mut *frame, EndSynchronizedUpdate)?;
        let mut out = io::stdout().lock();
        let sent = out.write_all(&frame).and_then(|()| out.flush());
        // A value may have been shown, or put into the clipboard.
        frame.zeroize();
        sent
    }

    /// Clears the screen with the next frame, which draws everything.
    ///
    /// # Errors
    /// When the terminal's size cannot be found out.
    pub(super) fn wipe(&mut self, screen: &mut Screen) -> io::Result<()> {
        queue!(self, Clear(ClearType::All))?;
        // A new one draws everything. Clearing the old one would ask the terminal for its cursor, and the answer would
        // have to pass the keys that are waiting already.
        *screen = self::screen(self)?;
        Ok(())
    }

    /// Puts a text into the clipboard of whoever looks at this terminal, also through SSH (OSC 52). Whether the terminal
    /// obeys it does not tell.
    ///
    /// # Errors
    /// When nothing can be written to it.
    pub(super) fn copy(&mut self, text: &str) -> io::Result<()> {
        queue!(self, CopyToClipboard::to_clipboard_from(text))?;
        self.send()
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut frame = self.0.borrow_mut();
        if frame.is_empty() {
            queue!(&mut *frame, BeginSynchronizedUpdate)?;
        }
        frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    use super::*;

    /// Says to this very test, run once more at a terminal, that it is the console there.
    const AT_TERMINAL: &str = "VSYNC_TEST_PANICS_AT_TERMINAL";

    #[test]
    fn a_panic_of_the_console_gives_the_terminal_back() {
        if std::env::var_os(AT_TERMINAL).is_some() {
            enter(true).expect("a terminal");
            restore_on_panic(tokio::sync::mpsc::unbounded_channel().0);
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(as_console(async { panic!("a bug of the console") }));
        }
        let this = "tui::terminal::tests::a_panic_of_the_console_gives_the_terminal_back";
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", this, "--nocapture"]);
        command.env(AT_TERMINAL, "1");
        let pair = native_pty_system().openpty(PtySize::default()).expect("a pseudo-terminal");
        let modes = || format!("{:?}", pair.master.get_termios().expect("the terminal's modes"));
        let before = modes();
        let mut output = pair.master.try_clone_reader().expect("what it draws");
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // at the end of a terminal there is an error, too
            let _ = output.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        let mut child = pair.slave.spawn_command(command).expect("it starts");
        assert!(!child.wait().expect("its end").success());
        assert_eq!(modes(), before, "raw mode was not left");
        drop(pair.slave);
        let bytes = reader.join().expect("no panic");
        let at = |what: &str| bytes.find(what).unwrap_or_else(|| panic!("no {what:?} in {bytes:?}"));
        let told = at("a bug of the console");
        assert!(at("\x1b[?1049h") < at("\x1b[?1049l"), "the alternate screen was not left: {bytes:?}");
        for undone in ["\x1b[?1049l", "\x1b[?25h", "\x1b[?2004l", "\x1b[?1000l"] {
            assert!(at(undone) < told, "{undone:?} comes too late: {bytes:?}");
        }
    }

    #[tokio::test]
    async fn only_the_consoles_own_task_is_the_console() {
        assert!(!is_console());
        as_console(async {
            assert!(is_console());
            tokio::task::yield_now().await;
            assert!(is_console());
            assert!(!tokio::spawn(async { is_console() }).await.expect("no panic"));
            assert!(!tokio::task::spawn_blocking(is_console).await.expect("no panic"));
        })
        .await;
        assert!(!is_console());
    }
}
