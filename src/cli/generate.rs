//! `vsync completions` and `vsync man`: made from the command line's own description.

use std::io::{self, Write};

use clap::CommandFactory;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, CliError};
use crate::exit::Exit;

/// Arguments of `completions`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vsync", &mut script);
    write(&script)
}

/// Arguments of `man`.
#[derive(Debug, Clone, clap::Args)]
pub struct ManArgs {
    /// The page of this command; without one, of vsync as a whole with the console's keys
    command: Option<String>,
}

/// A section of the console's keys, as the manual shows it: its title, and keys with what they do.
pub type ManualKeys = (String, Vec<(String, String)>);

/// Prints a manual page.
///
/// # Errors
/// [`CliError::Usage`] for a command that does not exist; [`CliError::Output`] if stdout takes nothing.
pub fn man(args: &ManArgs, keys: &[ManualKeys]) -> Result<Exit, CliError> {
    let mut command = Cli::command();
    command.build();
    let Some(name) = &args.command else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        key_sections(keys).to_writer(&mut page)?;
        return write(&page);
    };
    let Some(found) = command.find_subcommand(name) else {
        let known = command.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>().join(", ");
        return Err(CliError::usage(format!("there is no command \"{name}\"; there are {known}")));
    };
    let title = format!("vsync-{}", found.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(found.clone()).title(title).render(&mut page)?;
    write(&page)
}

fn key_sections(keys: &[ManualKeys]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["KEYS OF THE CONSOLE"]);
    for (title, rows) in keys {
        roff.control("SS", [title.as_str()]);
        for (keys, help) in rows {
            roff.control("TP", []);
            roff.text([bold(keys.as_str())]);
            roff.text([roman(help.as_str())]);
        }
    }
    roff
}

fn write(text: &[u8]) -> Result<Exit, CliError> {
    match io::stdout().write_all(text).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}
