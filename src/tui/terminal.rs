//! The terminal: taken over, given back whatever happens.

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::mpsc::UnboundedSender;

use super::message::Message;

/// The terminal that the console draws on.
pub(super) type Screen = Terminal<CrosstermBackend<Frames>>;

/// Whether the terminal is ours. Global, because a panic hook and a signal know nothing else.
static OURS: AtomicBool = AtomicBool::new(false);

/// Takes the terminal over.
///
/// # Errors
/// When it refuses; it has been given back then.
pub(super) fn enter() -> io::Result<()> {
    OURS.store(true, Ordering::SeqCst);
    let entered =
        enable_raw_mode().and_then(|()| execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide));
    if entered.is_err() {
        restore();
    }
    entered
}

/// Gives the terminal back. Does nothing when it has been; never fails and never panics, for it runs where nothing
/// else may go wrong.
pub(super) fn restore() {
    if OURS.swap(false, Ordering::SeqCst) {
        let _ = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// Whether there is a terminal to draw on and to read keys from.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// From now on a panic, in whatever thread, gives the terminal back before it is reported, and ends the console.
pub(super) fn restore_on_panic(messages: UnboundedSender<Message>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(move || {
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if OURS.load(Ordering::SeqCst) {
                restore();
                let _ = messages.send(Message::Panicked);
            }
            report(panic);
        }));
    });
}

/// A terminal to draw on.
///
/// # Errors
/// When its size cannot be found out.
pub(super) fn screen() -> io::Result<Screen> {
    Terminal::new(CrosstermBackend::new(Frames { out: io::stdout(), frame: Vec::with_capacity(16 * 1024) }))
}

/// Gives the terminal to the shell, stops the process as Ctrl-Z does, and takes the terminal over again when the shell
/// continues it.
///
/// # Errors
/// When the process cannot be stopped, or the terminal not be taken again.
pub(super) fn suspend(screen: &mut Screen, notice: Option<&str>) -> io::Result<()> {
    restore();
    if let Some(notice) = notice {
        let _ = writeln!(io::stdout(), "{notice}");
    }
    rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
    enter()?;
    execute!(io::stdout(), Clear(ClearType::All))?;
    // A new one draws everything. Clearing the old one would ask the terminal for its cursor, and the answer would have
    // to pass the keys that are waiting already.
    *screen = self::screen()?;
    Ok(())
}

/// Collects what belongs to one frame and sends it at once, marked as one update: no half-drawn screen is ever seen.
#[derive(Debug)]
pub(super) struct Frames {
    out: io::Stdout,
    frame: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.frame.is_empty() {
            queue!(self.frame, BeginSynchronizedUpdate)?;
        }
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            queue!(self.frame, EndSynchronizedUpdate)?;
            self.out.write_all(&self.frame)?;
            self.frame.clear();
        }
        self.out.flush()
    }
}
