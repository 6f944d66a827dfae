//! The `vsync` program: parse, wire, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use vsync::cli::{self, Cli, CliError, Command, Common, ConsoleFlags};
#[cfg(feature = "demo")]
use vsync::demo::{self, DemoError};
use vsync::exit::Exit;
use vsync::hardening;
#[cfg(feature = "demo")]
use vsync::logging::{self, LogTail};
use vsync::tui::{self, ColorChoice, ConsoleOptions, TuiError};

/// Why the program could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Command(#[from] CliError),
    #[error(transparent)]
    Console(#[from] TuiError),
    #[cfg(feature = "demo")]
    #[error(transparent)]
    Demo(#[from] DemoError),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Command(error) => error.exit(),
            Self::Console(TuiError::NoTerminal | TuiError::UnknownTheme(_)) => Exit::Usage,
            Self::Console(TuiError::Interrupted) => Exit::Interrupted,
            Self::Console(TuiError::Terminal(_) | TuiError::Panicked) => Exit::Failed,
            #[cfg(feature = "demo")]
            Self::Demo(_) => Exit::Failed,
        }
    }

    fn report(&self, common: &Common) {
        match self {
            Self::Command(error) => cli::report(error, common),
            other => cli::report_text(&other.to_string(), None, self.exit(), common),
        }
    }
}

fn main() -> ExitCode {
    hardening::begin();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // whoever asked for help and went away has got what they wanted
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let exit = run(&cli).unwrap_or_else(|failure| {
        failure.report(&cli.common);
        failure.exit()
    });
    exit.into()
}

fn run(cli: &Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::from)?;
    let exit = runtime.block_on(async {
        match &cli.command {
            Some(Command::OneShot(command)) => {
                cli.console.must_not_be_there()?;
                Ok(cli::run(command, &cli.common).await?)
            }
            #[cfg(feature = "demo")]
            Some(Command::Demo(flags)) => show_demo(&cli.common, &flags.or(&cli.console)).await,
            Some(Command::Man(args)) => Ok(cli::man(args, &manual_keys())?),
            None => show_console(&cli.common, &cli.console).await,
        }
    });
    // a thread that still waits for an answer on stdin must not hold up the end
    runtime.shutdown_background();
    exit
}

/// The console's keys as the manual lists them.
fn manual_keys() -> Vec<cli::ManualKeys> {
    let row = |row: tui::KeyRow| (row.keys.join(", "), row.help.to_owned());
    let section = |section: tui::KeySection| (section.title.to_owned(), section.keys.into_iter().map(row).collect());
    tui::key_table().into_iter().map(section).collect()
}

async fn show_console(common: &Common, flags: &ConsoleFlags) -> Result<Exit, Failure> {
    let console = cli::console(common)?;
    let options = ConsoleOptions {
        only: console.only,
        tick: console.tick,
        production: console.production,
        unverified: console.unverified,
        file: console.file,
        rules: console.rules,
        notice: console.notice,
        log: Some(console.log),
        ..options(common, flags)
    };
    tui::run(console.engine, options).await?;
    Ok(Exit::Done)
}

#[cfg(feature = "demo")]
async fn show_demo(common: &Common, flags: &ConsoleFlags) -> Result<Exit, Failure> {
    let log = LogTail::new(logging::level(common.log_level.as_deref().unwrap_or("info")), None);
    // nothing else has begun to log; if it had, there would be a log all the same
    let log = logging::start_in_memory(&log).is_ok().then_some(log);
    let demo = demo::start().await?;
    let options = ConsoleOptions {
        title: Some("demo".to_owned()),
        notice: Some(demo.notice().to_owned()),
        log,
        ..options(common, flags)
    };
    tui::run(demo.engine(), options).await?;
    Ok(Exit::Done)
}

fn options(common: &Common, flags: &ConsoleFlags) -> ConsoleOptions {
    ConsoleOptions {
        theme: flags.theme.clone(),
        mouse: flags.no_mouse.then_some(false),
        read_only: common.read_only,
        color: if common.no_color { ColorChoice::Never } else { ColorChoice::Auto },
        ..ConsoleOptions::default()
    }
}
