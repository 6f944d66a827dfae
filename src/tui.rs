//! The console.
//!
//! ```text
//!   keys, signals ─┐
//!                  ├─▶ Message ─▶ update(&mut Model) ─▶ effects ─▶ engine ─┐
//!   engine ────────┘                    │                                  │
//!      ▲                                ▼                                  │
//!      │                          view(&Model)                             │
//!      └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! `update` does no I/O, `view` changes nothing, `effect` is the one place that talks to the engine. The loop draws when
//! something has changed, and sleeps while nothing does.

mod effect;
mod filter;
mod format;
mod input;
mod keymap;
mod message;
mod model;
mod outcome;
mod palette;
mod prompt;
#[cfg(test)]
mod sample;
mod screen;
mod settings;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;
mod update;
mod view;
mod watch;
mod widget;

use std::fmt::Display;
use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use ratatui::Terminal;
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::layout::Size;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::Instant;

pub use keymap::{KeyRow, KeySection, key_table};
pub use theme::ColorChoice;

use crate::config::RulesFile;
use crate::engine::{CycleOptions, DestinationName, Engine};
use crate::logging::LogTail;
use effect::{Effect, Perform, Worker};
use input::{InputSource, TerminalInput};
use message::Message;
use model::{Model, Setup};
use screen::{browse, logs};
use theme::{Depth, Themes};

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// For so long messages may keep a frame waiting.
const LATEST: Duration = Duration::from_millis(100);

/// The theme when none is asked for.
const DEFAULT_THEME: &str = "dark";

/// How the console is to be.
#[derive(Debug)]
pub struct ConsoleOptions {
    /// Shown in the header: what this is about, if the addresses do not tell (`demo`).
    pub title: Option<String>,
    /// Shown at the foot of the screen until the first key.
    pub notice: Option<String>,
    /// There are no keys that lead to a write.
    pub read_only: bool,
    /// Destinations that are marked as production.
    pub production: Vec<DestinationName>,
    /// Sides whose certificate nobody checks, by name.
    pub unverified: Vec<String>,
    /// The configuration's file, if there is one: edited rules are written back to it.
    pub file: Option<std::path::PathBuf>,
    /// Whether the mouse is taken; `None`: as the operator's settings say.
    pub mouse: Option<bool>,
    /// This run's log; `None`: there is none to show.
    pub log: Option<LogTail>,
    /// The same, to write rules to.
    pub rules: Option<RulesFile>,
    /// Whether to use colours.
    pub color: ColorChoice,
    /// The theme; `None`: the one of the operator's settings, or `dark`.
    pub theme: Option<String>,
    /// How often watch mode looks for changes.
    pub tick: Duration,
    /// The destinations that take part; all, if empty.
    pub only: Vec<DestinationName>,
    /// How plans are executed; whether it is a dry run is decided by key.
    pub cycle: CycleOptions,
}

impl Default for ConsoleOptions {
    fn default() -> Self {
        Self {
            title: None,
            notice: None,
            read_only: false,
            production: Vec::new(),
            unverified: Vec::new(),
            file: None,
            mouse: None,
            log: None,
            rules: None,
            color: ColorChoice::Auto,
            theme: None,
            tick: crate::daemon::TICK,
            only: Vec::new(),
            cycle: CycleOptions::default(),
        }
    }
}

/// Why the console could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Input or output is not a terminal.
    #[error("the console needs a terminal for input and output; in a script use `vsync plan` and `vsync sync`")]
    NoTerminal,
    /// There is no such theme.
    #[error("{0}")]
    UnknownTheme(String),
    /// The terminal failed.
    #[error("the terminal does not work: {0}")]
    Terminal(String),
    /// A signal ended the console, or the operator did not wait for the end of a cycle.
    #[error("interrupted")]
    Interrupted,
    /// The console panicked; what it said stands above.
    #[error("vsync has a bug and had to stop; please report the panic message above")]
    Panicked,
}

/// How the loop came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    Quit,
    /// By a signal: a cycle that runs is cancelled and waited for.
    Interrupted,
    /// At once: nobody waits for anything.
    Abandoned,
    Panicked,
}

/// Runs the console until the operator leaves it. A cycle that still runs then is cancelled, and its writes in flight
/// are recorded before this returns.
///
/// # Errors
/// [`TuiError`] if there is no terminal to work with, or when the console did not end by the operator's wish.
pub async fn run(engine: Engine, options: ConsoleOptions) -> Result<(), TuiError> {
    terminal::as_console(open(engine, options)).await
}

async fn open(engine: Engine, options: ConsoleOptions) -> Result<(), TuiError> {
    if !terminal::is_there() {
        return Err(TuiError::NoTerminal);
    }
    let environment = |name: &str| std::env::var(name).ok();
    let depth = Depth::detect(options.color, environment);
    let themes = Themes::shipped(depth);
    let theme = themes.named(DEFAULT_THEME);
    let theme = theme.ok_or_else(|| TuiError::UnknownTheme(themes.missing(DEFAULT_THEME)))?;
    let failed = |error: std::io::Error| TuiError::Terminal(error.to_string());
    let (sender, mut messages) = mpsc::unbounded_channel();
    let mut input = TerminalInput::new().map_err(failed)?;
    let mut model = Model::new(Setup {
        size: terminal::size().unwrap_or(Size::new(80, 24)),
        theme,
        themes,
        ascii: view::needs_ascii(environment),
        mouse: options.mouse,
        theme_is_forced: options.theme.is_some(),
        read_only: options.read_only,
        production: options.production.into_iter().collect(),
        unverified: options.unverified,
        file: options.file,
        log: options
            .log
            .as_ref()
            .map(|log| logs::Source { level: log.configured(), file: log.file().map(Path::to_owned) }),
        title: options.title,
        tick: options.tick,
        mounts: engine.origin().mounts.clone(),
        origin: engine.origin().vault.address().to_owned(),
        destinations: engine
            .destinations()
            .iter()
            .filter(|destination| options.only.is_empty() || options.only.contains(&destination.name))
            .map(|destination| (destination.name.clone(), destination.vault.address().to_owned()))
            .collect(),
        rules: engine
            .destinations()
            .iter()
            .filter(|destination| options.only.is_empty() || options.only.contains(&destination.name))
            .map(|destination| (destination.transforms.rules(), destination.mounts.clone()))
            .collect(),
    });
    if let Some(notice) = options.notice {
        model.say(notice);
    }
    if let Some(folder) = settings::folder() {
        let files = settings::Files::read(&folder);
        // The terminal is not taken over yet, so there is nothing to do but to change the model.
        let _ = update::settings::take(&mut model, &files, false);
        settings::watch(folder, files, sender.clone());
    }
    if let Some(name) = &options.theme {
        let missing = || TuiError::UnknownTheme(model.themes.missing(name));
        model.theme = model.themes.named(name).ok_or_else(missing)?;
    }
    terminal::restore_on_panic(sender.clone());
    terminal::enter(model.mouse).map_err(failed)?;
    let mut host = RealTerminal::default();
    let mut screen = terminal::screen(&host.frames).map_err(failed).inspect_err(|_| terminal::restore())?;
    let mut worker = Worker::new(engine, options.only, options.cycle, options.rules, sender);

    if let Some(log) = options.log {
        worker.follow_log(log);
    }

    let driven = drive(&mut screen, &mut model, &mut messages, &mut input, &mut worker, &mut host);
    // A panic while drawing must not cost the cycle its end.
    let exit = AssertUnwindSafe(driven).catch_unwind().await.unwrap_or(Ok(Exit::Panicked));
    terminal::restore();

    let exit = match exit {
        Ok(Exit::Abandoned) => return Err(TuiError::Interrupted),
        other => other,
    };
    if worker.is_running() {
        // Not eprintln: after a hang-up there may be no terminal left to write to, and that must not panic.
        let _ = writeln!(
            std::io::stderr(),
            "vsync: cancelling the running cycle; its writes in flight are finished and recorded first"
        );
        tokio::select! {
            () = worker.finish() => {}
            () = input.signalled() => return Err(TuiError::Interrupted),
        }
    }
    tokio::select! {
        () = worker.end_watch() => {}
        () = input.signalled() => return Err(TuiError::Interrupted),
    }
    match exit? {
        Exit::Quit => Ok(()),
        Exit::Interrupted | Exit::Abandoned => Err(TuiError::Interrupted),
        Exit::Panicked => Err(TuiError::Panicked),
    }
}

/// What the loop does to the terminal beside drawing on it.
trait Host<B: Backend> {
    /// Shows what has been drawn, all at once.
    fn present(&mut self, terminal: &mut Terminal<B>) -> Result<(), B::Error>;

    /// Wipes the terminal with the next frame, so that nothing is left of what was drawn before, however it was drawn.
    fn wipe(&mut self, terminal: &mut Terminal<B>) -> Result<(), B::Error>;

    /// Gives the terminal to the shell until the shell continues the process.
    fn suspend(&mut self, terminal: &mut Terminal<B>, running: bool, mouse: bool) -> Result<(), B::Error>;

    /// Takes the mouse, or leaves it to the terminal.
    fn capture_mouse(&mut self, terminal: &mut Terminal<B>, on: bool) -> Result<(), B::Error>;

    /// Puts a text into the clipboard.
    fn copy(&mut self, terminal: &mut Terminal<B>, text: &str) -> Result<(), B::Error>;
}

/// The terminal of this process.
#[derive(Debug, Default)]
struct RealTerminal {
    frames: terminal::Frames,
}

impl Host<CrosstermBackend<terminal::Frames>> for RealTerminal {
    fn present(&mut self, _: &mut terminal::Screen) -> std::io::Result<()> {
        self.frames.send()
    }

    fn wipe(&mut self, screen: &mut terminal::Screen) -> std::io::Result<()> {
        self.frames.wipe(screen)
    }

    fn suspend(&mut self, screen: &mut terminal::Screen, running: bool, mouse: bool) -> std::io::Result<()> {
        let notice = running.then_some("vsync: the running cycle stands still until fg");
        terminal::suspend(screen, &mut self.frames, notice, mouse)
    }

    fn capture_mouse(&mut self, _: &mut terminal::Screen, on: bool) -> std::io::Result<()> {
        terminal::capture_mouse(on)
    }

    fn copy(&mut self, _: &mut terminal::Screen, text: &str) -> std::io::Result<()> {
        self.frames.copy(text)
    }
}

/// The loop. Backend, input, worker and host are generic, so that tests run this one.
async fn drive<B, I, P, H>(
    terminal: &mut Terminal<B>,
    model: &mut Model,
    messages: &mut UnboundedReceiver<Message>,
    input: &mut I,
    worker: &mut P,
    host: &mut H,
) -> Result<Exit, TuiError>
where
    B: Backend<Error: Display>,
    I: InputSource,
    P: Perform,
    H: Host<B>,
{
    let failed = |error: B::Error| TuiError::Terminal(error.to_string());
    draw(terminal, host, model).map_err(failed)?;
    let mut drawn = Instant::now();
    let mut changed = true;
    for effect in update::begin(model) {
        worker.perform(effect);
    }
    loop {
        if changed && drawn.elapsed() >= LATEST {
            draw(terminal, host, model).map_err(failed)?;
            drawn = Instant::now();
            changed = false;
        }
        let message = tokio::select! {
            // Keys first: whatever the engine has to tell, the operator must not wait for it. The frame comes last, so
            // that it is drawn once for all that has happened.
            biased;
            input = input.next() => Message::Input(input),
            Some(message) = messages.recv() => message,
            () = tokio::time::sleep_until(drawn + FRAME), if changed => {
                draw(terminal, host, model).map_err(failed)?;
                drawn = Instant::now();
                changed = false;
                continue;
            }
        };
        changed = true;
        let showed_value = browse::shows_value(model);
        let effects = update::update(model, message);
        let leaves = effects.iter().any(|effect| matches!(effect, Effect::Quit(_) | Effect::Suspend));
        if showed_value && (leaves || !browse::shows_value(model)) {
            // a terminal that is left shows what it showed last, and some keep it
            let _ = browse::conceal(model);
            host.wipe(terminal).map_err(failed)?;
            draw(terminal, host, model).map_err(failed)?;
        }
        for effect in effects {
            match effect {
                Effect::Quit(exit) => return Ok(exit),
                Effect::Suspend => {
                    input.release();
                    host.suspend(terminal, model.cycle.running, model.mouse).map_err(failed)?;
                    if let Ok(size) = terminal.size() {
                        model.size = size;
                    }
                }
                Effect::CaptureMouse(on) => host.capture_mouse(terminal, on).map_err(failed)?,
                Effect::Copy(text) => host.copy(terminal, &text).map_err(failed)?,
                Effect::CopySecret(value) => host.copy(terminal, value.expose()).map_err(failed)?,
                effect => worker.perform(effect),
            }
        }
    }
}

fn draw<B: Backend>(terminal: &mut Terminal<B>, host: &mut impl Host<B>, model: &Model) -> Result<(), B::Error> {
    terminal.draw(|frame| view::view(model, frame.area(), frame.buffer_mut()))?;
    host.present(terminal)
}
