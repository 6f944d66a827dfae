//! The command line: one file a subcommand.
//!
//! Results go to stdout, as text or as one JSON object a line ([`Object`] lists them); progress, questions and errors
//! go to stderr.

mod check;
mod config;
mod confirm;
mod cycle;
mod daemon;
mod drift;
mod error;
mod generate;
mod history;
mod interrupt;
mod kv1;
mod legacy;
mod object;
mod output;
mod plan;
mod policy;
mod progress;
mod question;
mod retry;
mod rights;
mod status;
mod survey;
mod sync;
mod transform;
mod undo;
mod verify;
mod warnings;

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use error::CliError;
pub use generate::{ManArgs, ManualKeys, man};
pub use legacy::LegacyFlags;
pub use object::Object;
pub use output::Output;

use crate::config::{Loaded, Sources};
use crate::connect;
use crate::daemon::Role;
use crate::engine::{DestinationName, Engine};
use crate::exit::Exit;
use crate::logging::LogTail;

/// Copies KV v2 secrets from one HashiCorp Vault or OpenBao to many others, in parallel and in plain sight.
///
/// Without a command it opens the console.
#[derive(Debug, Parser)]
#[command(name = "vsync", version, after_long_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub common: Common,
    /// How the console looks.
    #[command(flatten)]
    pub console: ConsoleFlags,
    /// What to do; nothing: the console.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done; for plan: nothing to do; for verify: no drift
    1  could not do it, or not all of it: connection, permission, configuration
    2  plan: changes are pending; verify: drift was found
    3  the cycle finished, some secrets failed; \"vsync retry\" takes them
    4  a guard stopped it before the first write, destroying or purging was not confirmed, or no line
       of the saved plan holds any more
    5  another cycle holds this destination's lock
   64  wrong usage
  130  interrupted; state is saved

A daemon (sync --watch, origin, destination) runs until a signal ends it: 0 after SIGTERM, 130 after SIGINT.";

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration file.
    #[arg(
        long,
        short = 'c',
        global = true,
        value_name = "FILE",
        env = "VSYNC_CONFIG",
        help = "The configuration file; without it the first vsync.* in ., $XDG_CONFIG_HOME/vsync and /etc/vsync"
    )]
    pub config: Option<PathBuf>,
    /// Set a key of the configuration, over file and environment: destinations.us-east.num_workers=4
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Only this destination; may be repeated
    #[arg(long, global = true, value_name = "NAME")]
    pub destination: Vec<String>,
    /// How results are written; json: one object a line
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub output: Format,
    /// The log's level, in the file and on stderr
    #[arg(long, global = true, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "error", "off"])]
    pub log_level: Option<String>,
    /// No colours.
    #[arg(long, global = true, help = "No colours; NO_COLOR in the environment does the same")]
    pub no_color: bool,
    /// Refuse whatever would write
    #[arg(long, global = true)]
    pub read_only: bool,
    /// v0.3's flags.
    #[command(flatten)]
    pub legacy: LegacyFlags,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One that does its work and ends.
    #[command(flatten)]
    OneShot(OneShot),
    /// Open the console on in-memory servers with sample data
    #[cfg(feature = "demo")]
    Demo(ConsoleFlags),
    /// Print a manual page
    Man(ManArgs),
}

/// Flags of the console alone.
#[derive(Debug, Clone, Default, Args)]
pub struct ConsoleFlags {
    /// The console's theme: dark, light, high-contrast, sixteen, solarized, ember, fjord, or one of your own
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// The console leaves the mouse to the terminal
    #[arg(long)]
    pub no_mouse: bool,
}

impl ConsoleFlags {
    /// These, and of `others` what these do not say.
    #[must_use]
    pub fn or(&self, others: &Self) -> Self {
        Self { theme: self.theme.clone().or_else(|| others.theme.clone()), no_mouse: self.no_mouse || others.no_mouse }
    }

    /// Refuses these flags where no console is opened.
    ///
    /// # Errors
    /// [`CliError::Usage`] if there are any.
    pub fn must_not_be_there(&self) -> Result<(), CliError> {
        let given = [(self.theme.is_some(), "--theme"), (self.no_mouse, "--no-mouse")];
        match given.into_iter().find(|(is_there, _)| *is_there) {
            Some((_, flag)) => Err(CliError::usage(format!("{flag} is for the console: vsync without a command"))),
            None => Ok(()),
        }
    }
}

/// The commands that need no terminal.
#[derive(Debug, Subcommand)]
pub enum OneShot {
    /// Reach every Vault and store; check tokens, capabilities and mounts
    Check(check::Args),
    /// Show what a cycle would do
    Plan(plan::Args),
    /// Plan, check the guards, copy
    Sync(sync::Args),
    /// Show how each destination stands: counts per state, last cycle, lag
    Status(status::Args),
    /// Copy again only what failed, and what is left alone because somebody else wrote it
    Retry(retry::Args),
    /// List past cycles, or show one cycle's report
    History(history::Args),
    /// Keep the origin's sync info up to date: one half of a split deployment, as in vsync v0.3
    Origin(daemon::Args),
    /// Copy what the origin's sync info says is new: the other half
    Destination(daemon::Args),
    /// Find out whether the destinations still hold what vsync left there
    Verify(verify::Args),
    /// Put destinations back to what they held before a cycle
    Undo(undo::Args),
    /// Show where paths would go, and by which rule
    Transform(transform::Args),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::Action),
    /// Print the least policies that this configuration needs, with the reason for each rule; contacts no server
    Policy(policy::Args),
    /// Print a completion script for a shell
    Completions(generate::CompletionsArgs),
}

impl Common {
    /// The configuration these flags and the environment give.
    ///
    /// # Errors
    /// [`CliError::Config`] with everything that is wrong with it.
    pub fn load(&self) -> Result<Loaded, CliError> {
        Ok(crate::config::load(&self.sources())?)
    }

    /// Where the configuration comes from: v0.3's flags are over the file and the environment, `--set` is over them.
    fn sources(&self) -> Sources {
        let settings = self.legacy.settings().into_iter().chain(self.set.iter().cloned()).collect();
        Sources::new(self.config.clone(), settings)
    }

    /// Whether `stream` may be coloured.
    #[must_use]
    pub fn colour(&self, stream: &impl IsTerminal) -> bool {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        !self.no_color && !forbidden && stream.is_terminal()
    }

    /// Where this command's results go.
    #[must_use]
    pub fn results(&self) -> Output {
        Output::new(self.output, self.colour(&io::stdout()))
    }

    /// The destinations asked for; empty: all.
    ///
    /// # Errors
    /// [`CliError::Usage`] for a name that is not configured.
    pub fn destinations(&self, config: &crate::config::Config) -> Result<Vec<DestinationName>, CliError> {
        let known = || config.destinations.iter().map(|destination| destination.name.as_str());
        for name in &self.destination {
            if !known().any(|other| other == name) {
                let names = known().collect::<Vec<_>>().join(", ");
                return Err(CliError::usage(format!(
                    "there is no destination \"{name}\"; the configuration has {names}"
                )));
            }
        }
        Ok(self.destination.iter().map(|name| DestinationName::new(name)).collect())
    }

    /// Refuses to go on where `--read-only` forbids it, and names what can be done instead.
    fn must_be_allowed_to_write(&self, instead: &str) -> Result<(), CliError> {
        if self.read_only {
            return Err(CliError::usage(format!("--read-only forbids to write; use {instead}")));
        }
        Ok(())
    }
}

/// What a command that talks to servers works with.
struct Context {
    common: Common,
    loaded: Loaded,
    engine: Engine,
    only: Vec<DestinationName>,
}

impl Context {
    fn new(common: &Common) -> Result<Self, CliError> {
        let context = Self::with_log(common, common.load()?, common.log_level.as_deref(), None)?;
        warnings::show(&context.loaded);
        Ok(context)
    }

    fn with_log(
        common: &Common,
        loaded: Loaded,
        on_stderr: Option<&str>,
        tail: Option<&LogTail>,
    ) -> Result<Self, CliError> {
        start_log(common, &loaded, on_stderr, tail);
        let only = common.destinations(&loaded.config)?;
        let engine = connect::engine(&loaded.config)?;
        if common.read_only {
            engine.read_only();
        }
        Ok(Self { common: common.clone(), loaded, engine, only })
    }

    /// The destinations this command is about, in the configuration's order.
    fn chosen(&self) -> impl Iterator<Item = &crate::engine::Destination> {
        self.engine
            .destinations()
            .iter()
            .filter(|destination| self.only.is_empty() || self.only.contains(&destination.name))
    }
}

/// Starts the log as configured; a log that cannot be written does not stop the command.
fn start_log(common: &Common, loaded: &Loaded, on_stderr: Option<&str>, tail: Option<&LogTail>) {
    let log = configured_log(common, loaded);
    if let Err(error) = crate::logging::start(&log, on_stderr, tail) {
        progress::say(&format!("warning: {error}"));
        tracing::warn!("{error}");
    }
    for warning in warnings::warnings(loaded) {
        tracing::warn!("{warning}");
    }
}

/// The log as configured, and as the flags say.
fn configured_log(common: &Common, loaded: &Loaded) -> crate::config::Log {
    let mut log = loaded.config.log.clone();
    if let Some(level) = &common.log_level {
        log.level.clone_from(level);
    }
    log
}

/// What the console works on.
#[derive(Debug)]
pub struct Console {
    /// The engine for the configuration.
    pub engine: Engine,
    /// The destinations asked for; all, if empty.
    pub only: Vec<DestinationName>,
    /// Destinations that are marked as production.
    pub production: Vec<DestinationName>,
    /// Sides whose certificate nobody checks, by name.
    pub unverified: Vec<String>,
    /// How often watch mode looks for changes: the shortest tick that a destination has, else the origin's.
    pub tick: std::time::Duration,
    /// The file the configuration comes from, if there is one.
    pub file: Option<PathBuf>,
    /// The same, to write rules to.
    pub rules: Option<crate::config::RulesFile>,
    /// What is to be said about the configuration.
    pub notice: Option<String>,
    /// The log of this run.
    pub log: LogTail,
}

/// Reads the configuration for the console and starts the log, which stays away from the terminal.
///
/// # Errors
/// [`CliError`] when there is no usable configuration.
pub fn console(common: &Common) -> Result<Console, CliError> {
    let loaded = common.load()?;
    let configured = configured_log(common, &loaded);
    let log = LogTail::new(crate::logging::level(&configured.level), Some(configured.file));
    let context = Context::with_log(common, loaded, None, Some(&log))?;
    let production = context.loaded.config.destinations.iter().filter(|destination| destination.production);
    let destinations = &context.loaded.config.destinations;
    let chosen = destinations.iter().filter(|one| context.chosen().any(|chosen| chosen.name.as_str() == one.name));
    let tick = chosen.filter_map(|one| one.tick).min().or(context.loaded.config.origin.tick);
    Ok(Console {
        unverified: context.loaded.config.unverified().map(str::to_owned).collect(),
        tick: tick.unwrap_or(crate::daemon::TICK),
        production: production.map(|destination| DestinationName::new(&destination.name)).collect(),
        notice: context.loaded.notes.first().cloned().or_else(|| {
            let exposed = context.loaded.exposed();
            exposed.first().map(ToString::to_string)
        }),
        rules: crate::config::RulesFile::new(&context.loaded, &common.sources()),
        file: context.loaded.file,
        only: context.only,
        engine: context.engine,
        log,
    })
}

/// Runs a command that owns no terminal.
///
/// # Errors
/// [`CliError`] when it could not do what it was asked for.
pub async fn run(command: &OneShot, common: &Common) -> Result<Exit, CliError> {
    let mut out = common.results();
    let exit = match command {
        OneShot::Check(args) => check::run(args, common, &mut out).await,
        OneShot::Plan(args) => plan::run(args, common, &mut out).await,
        OneShot::Sync(args) => sync::run(args, common, &mut out).await,
        OneShot::Status(args) => status::run(args, common, &mut out).await,
        OneShot::Retry(args) => retry::run(args, common, &mut out).await,
        OneShot::History(args) => history::run(args, common, &mut out).await,
        OneShot::Origin(args) => daemon::run(Role::Origin, args, common, &mut out).await,
        OneShot::Destination(args) => daemon::run(Role::Destination, args, common, &mut out).await,
        OneShot::Verify(args) => verify::run(args, common, &mut out).await,
        OneShot::Undo(args) => undo::run(args, common, &mut out).await,
        OneShot::Transform(args) => transform::run(args, common, &mut out),
        OneShot::Config(action) => config::run(*action, common, &mut out),
        OneShot::Policy(args) => policy::run(args, common, &mut out),
        OneShot::Completions(args) => generate::completions(*args),
    };
    // what a failed command had to say before it failed is part of its result
    out.flush()?;
    exit
}

/// Says on stderr why a command failed and what to do about it.
pub fn report(error: &CliError, common: &Common) {
    if let CliError::Config(error) = error
        && common.output == Format::Text
    {
        for problem in &error.problems {
            progress::say(&problem.render(common.colour(&io::stderr())));
        }
        return;
    }
    report_text(&error.to_string(), error.next_step(), error.exit(), common);
}

/// Says on stderr why the program could not do what it was asked for, as text or JSON.
pub fn report_text(message: &str, next_step: Option<&str>, exit: Exit, common: &Common) {
    if common.output == Format::Json {
        let object = Object::Error { message, next_step, exit: exit as u8 };
        progress::say(&crate::text::to_json(&object).unwrap_or_default());
        return;
    }
    let next_step = next_step.map(|step| format!("; {step}")).unwrap_or_default();
    progress::say(&format!("vsync: {}{next_step}", crate::text::sanitize(message)));
}
