//! The `vsync` program: parse, run, exit code.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use vsync::cli::{self, Cli, CliError};
use vsync::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // whoever asked for help and went away has got what they wanted
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    run(&cli)
        .unwrap_or_else(|error| {
            cli::report(&error, &cli.common);
            error.exit()
        })
        .into()
}

fn run(cli: &Cli) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        if let Some(command) = &cli.command {
            return cli::run(command, &cli.common).await;
        }
        Cli::command().print_help()?;
        Ok(Exit::Usage)
    });
    // a thread that still waits for an answer on stdin must not hold up the end
    runtime.shutdown_background();
    exit
}
