//! `vsync sync --watch`, `vsync origin` and `vsync destination`: what the daemons have to tell, as lines.

use std::time::Duration;

use jiff::Timestamp;

use super::cycle::{Planned, show_report};
use super::object::Object;
use super::output;
use super::progress::say;
use super::{CliError, Common, Output, start_log, warnings};
use crate::config;
use crate::daemon::{self, DaemonOptions, End, Note, Observer, Role};
use crate::engine::Report;
use crate::exit::Exit;
use crate::text::sanitize;

/// Flags of `origin` and `destination`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How often to look for changes (10s, 1m30s), over the configuration
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration)]
    tick: Option<Duration>,
}

pub(super) async fn run(role: Role, args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    watch(role, args.tick, common, out).await
}

/// Runs a daemon to its end.
pub(super) async fn watch(
    role: Role,
    tick: Option<Duration>,
    common: &Common,
    out: &mut Output,
) -> Result<Exit, CliError> {
    common.must_be_allowed_to_write("\"vsync plan\"")?;
    if role == Role::Origin && !common.destination.is_empty() {
        return Err(CliError::usage("\"vsync origin\" has to do with no destination; leave out --destination"));
    }
    let sources = common.sources().purpose(role.purpose());
    let loaded = config::load(&sources)?;
    start_log(common, &loaded, common.log_level.as_deref(), None);
    common.destinations(&loaded.config)?;
    warnings::show(&loaded);
    out.note_unverified(&loaded.config);
    let options = DaemonOptions { role, sources, only: common.destination.clone(), tick };
    let mut teller = Teller { json: out.is_json(), out };
    let end = daemon::run(&loaded, options, &mut teller).await?;
    Ok(match end {
        End::Terminated => {
            teller.tell("ended", None, "ended; everything is saved");
            Exit::Done
        }
        End::Interrupted => {
            teller.tell("ended", None, "ended; everything is saved");
            Exit::Interrupted
        }
        End::AtOnce => {
            let message = "ended at once; what was written but not yet saved is found again by the next cycle";
            teller.tell("ended", None, message);
            Exit::Interrupted
        }
    })
}

/// Tells a daemon's notes on stderr, a line each; with JSON, reports go to stdout as those of `sync` do.
struct Teller<'a> {
    json: bool,
    out: &'a mut Output,
}

impl Teller<'_> {
    fn tell(&self, event: &str, subject: Option<&str>, message: &str) {
        let at = Timestamp::now();
        if self.json {
            let object = Object::Note { at, event, subject, message };
            say(&crate::text::to_json(&object).unwrap_or_default());
            return;
        }
        let subject = subject.map(|subject| format!("{}: ", sanitize(subject))).unwrap_or_default();
        say(&format!("{}  {subject}{}", output::time(at), sanitize(message)));
    }

    fn report(&mut self, report: &Report) {
        if self.json {
            if let Err(error) = show_report(report, None, Planned::Now, self.out) {
                tracing::error!(%error, "a report could not be shown");
            }
            return;
        }
        for part in report.destinations.iter().filter(|part| part.blocked.is_none()) {
            let left_alone = part.failures.iter().filter(|failure| failure.cause.is_foreign()).count() as u64;
            let counts = [
                (part.done.add, "added"),
                (part.done.update, "updated"),
                (part.done.delete, "deleted"),
                (part.done.destroy, "of them destroyed for good"),
                (part.done.purge, "of them purged for good"),
                (part.failures.len() as u64 - left_alone, "failed"),
                (left_alone, "left alone, because somebody else wrote them"),
                (part.pending, "pending"),
            ];
            let counts: Vec<String> = counts
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, what)| format!("{count} {what}"))
                .collect();
            if !counts.is_empty() {
                let took = output::duration(report.duration());
                let message =
                    format!("{} in {took} (cycle {} {})", counts.join(", "), report.cycle, report.ending.as_str());
                self.tell("cycle", Some(part.destination.as_str()), &message);
            }
        }
    }
}

impl Observer for Teller<'_> {
    fn note(&mut self, note: &Note<'_>) {
        match note {
            Note::Started { role, tick, destinations, health, unverified, again } => {
                let what = match role {
                    Role::Sync => format!("from the origin to {}", destinations.join(", ")),
                    Role::Origin => "the origin's Vault to keep its sync info".to_owned(),
                    Role::Destination => format!("by the origin's sync info to {}", destinations.join(", ")),
                };
                let health = health.map(|address| format!(", health at http://{address}/status")).unwrap_or_default();
                let (event, verb) = if *again {
                    ("reloaded", "the configuration was read again; watching")
                } else {
                    ("started", "watching")
                };
                let tls = match unverified {
                    [] => String::new(),
                    sides => format!("; TLS unverified for {}", sides.join(", ")),
                };
                let message = format!("{verb} {what}, every {}{health}{tls}", output::duration(*tick));
                self.tell(event, None, &message);
            }
            Note::Recorded(record) => {
                let kept = match record.kept {
                    0 => String::new(),
                    kept => format!(", {kept} of them as they were recorded before"),
                };
                let message = format!("its sync info has changed: {} secrets{kept}", record.secrets);
                self.tell("recorded", Some("origin"), &message);
            }
            Note::Cycle(report) => self.report(report),
            Note::Trouble { subject, message } => self.tell("trouble", Some(subject), message),
            Note::Over { subject, message, after } => {
                let message = format!("over after {}: {message}", output::duration(*after));
                self.tell("over", Some(subject), &message);
            }
            Note::StandingBy { subject, held_by } => {
                let message = format!("standing by; {held_by}");
                self.tell("standing_by", Some(subject), &message);
            }
            Note::TookOver { subject } => self.tell("took_over", Some(subject), "took over"),
            Note::NotReloaded(error) => {
                let message = format!("the new configuration is not used, the former one stays in force: {error}");
                self.tell("not_reloaded", None, &message);
            }
            Note::Stopping => {
                let message = "stopping: what is under way is finished and saved; once more ends it at once";
                self.tell("stopping", None, message);
            }
        }
    }
}
