//! `vsync config`: check it, or show what is in effect.

use std::io;

use super::object::Object;
use super::output::Paint;
use super::progress::say;
use super::warnings;
use super::{CliError, Common, Output};
use crate::config::{self, ConfigError, Loaded, Purpose};
use crate::exit::Exit;
use crate::text::sanitize;

/// What to do with the configuration.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Action {
    /// Say everything that is wrong with it; contacts no server
    Check,
    /// Show every key that is in effect and where it was set; secrets are masked
    Show,
}

pub(super) fn run(action: Action, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    match action {
        Action::Check => check(common, out),
        Action::Show => show(common, out),
    }
}

fn load(common: &Common) -> Result<Loaded, ConfigError> {
    config::load(&common.sources().purpose(Purpose::AnyCommand))
}

fn check(common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = match load(common) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&problems, common, out)?;
            return Ok(CliError::from(problems).exit());
        }
    };
    let destinations = loaded.config.destinations.len();
    if out.is_json() {
        let file = loaded.file.as_ref().map(|file| file.display().to_string());
        out.object(&Object::Config { file, destinations, notes: &warnings::warnings(&loaded) })?;
        return Ok(Exit::Done);
    }
    warnings::show(&loaded);
    let file = loaded.file.as_ref().map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let many = if destinations == 1 { "1 destination".to_owned() } else { format!("{destinations} destinations") };
    out.line(format!("{}: {file}, {many}", out.paint(Paint::Good, "ok")))?;
    Ok(Exit::Done)
}

fn report(error: &ConfigError, common: &Common, out: &mut Output) -> Result<(), CliError> {
    for problem in &error.problems {
        if out.is_json() {
            out.object(&Object::Problem {
                message: problem.message(),
                place: problem.place().map(ToString::to_string),
                next_step: problem.next_step(),
            })?;
        } else {
            say(&problem.render(common.colour(&io::stderr())));
        }
    }
    Ok(())
}

fn show(common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = load(common)?;
    let settings = loaded.settings();
    if out.is_json() {
        for setting in &settings {
            out.object(&Object::Setting { key: &setting.key, value: &setting.value, place: &setting.place })?;
        }
        return Ok(Exit::Done);
    }
    let widest = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
    for setting in &settings {
        let key = format!("{:widest$}", setting.key);
        let place = out.paint(Paint::Dim, &format!("# {}", setting.place));
        out.line(format!("{} = {}  {place}", sanitize(&key), sanitize(&setting.value.to_string())))?;
    }
    Ok(Exit::Done)
}
