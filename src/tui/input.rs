//! Keys, pastes, sizes and signals.

use std::future::Future;
use std::io;

use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What comes from the terminal or the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Key(KeyEvent),
    Paste(String),
    Resize(u16, u16),
    /// A signal asks to end, or the terminal is gone.
    Terminate,
}

/// Where inputs come from; the tests have their own.
pub(super) trait InputSource {
    /// The next one. Dropping the future loses nothing.
    fn next(&mut self) -> impl Future<Output = Input>;

    /// Lets go of the terminal, and takes it again with the next call of `next`.
    fn release(&mut self);
}

/// The real terminal and the process's signals.
#[derive(Debug)]
pub(super) struct TerminalInput {
    events: Option<EventStream>,
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
}

impl TerminalInput {
    /// # Errors
    /// When a signal cannot be listened to.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: None,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for a signal that asks to end.
    pub(super) async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl InputSource for TerminalInput {
    async fn next(&mut self) -> Input {
        loop {
            let events = self.events.get_or_insert_with(EventStream::new);
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return Input::Terminate,
                _ = self.hang_up.recv() => return Input::Terminate,
                _ = self.interrupt.recv() => return Input::Terminate,
                event = events.next() => match event {
                    Some(Ok(event)) => {
                        if let Some(input) = translate(event) {
                            return input;
                        }
                    }
                    Some(Err(_)) | None => return Input::Terminate,
                },
            }
        }
    }

    fn release(&mut self) {
        self.events = None;
    }
}

/// Releases of keys and what the mouse does mean nothing here.
fn translate(event: Event) -> Option<Input> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Input::Key(key)),
        Event::Paste(text) => Some(Input::Paste(text)),
        Event::Resize(width, height) => Some(Input::Resize(width, height)),
        _ => None,
    }
}
