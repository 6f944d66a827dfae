//! Keys, the mouse, pastes, sizes and signals.

use std::future::{Future, poll_fn};
use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use futures_util::StreamExt;
use ratatui::layout::Position;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::terminal;

/// Two clicks at one place within this time are a double click.
const DOUBLE: Duration = Duration::from_millis(400);

/// What comes from the terminal or the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    Key(KeyEvent),
    Mouse(Mouse),
    Paste(String),
    Resize(u16, u16),
    /// A signal asks to end, or the terminal is gone.
    Terminate,
}

/// What the mouse did, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mouse {
    pub(super) at: Position,
    pub(super) gesture: Gesture,
}

/// What the mouse did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gesture {
    /// The left button, `twice` if for the second time at this place within a moment.
    Press { twice: bool },
    /// Moved with the button down.
    Drag,
    /// The button is up again.
    Release,
    /// So many notches down, or up if negative.
    Wheel(isize),
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
    /// Read, but not given out yet.
    ahead: Option<io::Result<Event>>,
    /// The last click that was not the second of two.
    clicked: Option<(Instant, Position)>,
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    /// Told by the system itself: the last one of a storm is never lost.
    window_change: Signal,
}

impl TerminalInput {
    /// # Errors
    /// When a signal cannot be listened to.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: None,
            ahead: None,
            clicked: None,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            window_change: signal(SignalKind::window_change())?,
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

    /// Releases of keys and buttons other than the left one mean nothing here, and sizes come by signal.
    fn translate(&mut self, event: Event) -> Option<Input> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => Some(Input::Key(key)),
            Event::Mouse(mouse) => {
                let at = Position::new(mouse.column, mouse.row);
                let gesture = self.gesture(mouse.kind, at)?;
                Some(Input::Mouse(Mouse { at, gesture }))
            }
            Event::Paste(text) => Some(Input::Paste(text)),
            _ => None,
        }
    }

    fn gesture(&mut self, kind: MouseEventKind, at: Position) -> Option<Gesture> {
        match kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let before = self.clicked.take();
                let twice = before.is_some_and(|(when, where_)| where_ == at && when.elapsed() < DOUBLE);
                self.clicked = (!twice).then(|| (Instant::now(), at));
                Some(Gesture::Press { twice })
            }
            MouseEventKind::Drag(MouseButton::Left) => Some(Gesture::Drag),
            MouseEventKind::Up(MouseButton::Left) => Some(Gesture::Release),
            MouseEventKind::ScrollDown => Some(Gesture::Wheel(1)),
            MouseEventKind::ScrollUp => Some(Gesture::Wheel(-1)),
            _ => None,
        }
    }

    /// Takes what has arrived already and is more of the same: a fast wheel must not queue, and of a drag only where it
    /// has got to matters.
    async fn gather(&mut self, mut mouse: Mouse) -> Mouse {
        while let Some(event) = self.arrived().await {
            let more = match event {
                Ok(Event::Mouse(MouseEvent { kind, column, row, .. })) => {
                    let at = Position::new(column, row);
                    match (mouse.gesture, kind) {
                        (Gesture::Wheel(notches), MouseEventKind::ScrollDown) if at == mouse.at => {
                            Some(Mouse { at, gesture: Gesture::Wheel(notches + 1) })
                        }
                        (Gesture::Wheel(notches), MouseEventKind::ScrollUp) if at == mouse.at => {
                            Some(Mouse { at, gesture: Gesture::Wheel(notches - 1) })
                        }
                        (Gesture::Drag, MouseEventKind::Drag(MouseButton::Left)) => {
                            Some(Mouse { at, gesture: Gesture::Drag })
                        }
                        _ => None,
                    }
                }
                _ => None,
            };
            let Some(more) = more else {
                self.ahead = Some(event);
                break;
            };
            mouse = more;
        }
        mouse
    }

    /// An event that is there without waiting. Polled with the task's own waker: the stream would wake nobody else
    /// later on.
    async fn arrived(&mut self) -> Option<io::Result<Event>> {
        let events = self.events.as_mut()?;
        poll_fn(|context| match events.poll_next_unpin(context) {
            Poll::Ready(event) => Poll::Ready(event),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }
}

impl InputSource for TerminalInput {
    async fn next(&mut self) -> Input {
        loop {
            let events = self.events.get_or_insert_with(EventStream::new);
            let ahead = self.ahead.take();
            let event = if ahead.is_some() {
                ahead
            } else {
                tokio::select! {
                    biased;
                    _ = self.terminate.recv() => return Input::Terminate,
                    _ = self.hang_up.recv() => return Input::Terminate,
                    _ = self.interrupt.recv() => return Input::Terminate,
                    _ = self.window_change.recv() => match terminal::size() {
                        Some(size) => return Input::Resize(size.width, size.height),
                        None => continue,
                    },
                    event = events.next() => event,
                }
            };
            let Some(Ok(event)) = event else { return Input::Terminate };
            match self.translate(event) {
                Some(Input::Mouse(mouse)) if matches!(mouse.gesture, Gesture::Drag | Gesture::Wheel(_)) => {
                    // Does not wait, so that nothing is lost when this future is dropped.
                    return Input::Mouse(self.gather(mouse).await);
                }
                Some(input) => return input,
                None => {}
            }
        }
    }

    fn release(&mut self) {
        self.events = None;
    }
}
