//! `vsync transform`: where a path would go, and by which rule. Asks no server.

use super::object::Object;
use super::output::Paint;
use super::{CliError, Common, Output, report_text};
use crate::connect;
use crate::exit::Exit;
use crate::kv::{PathFilter, SecretPath};
use crate::text::sanitize;

/// Arguments of `transform`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Origin paths: secret/team/app or secret/data/team/app
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<String>,
}

pub(super) fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = common.load()?;
    let config = &loaded.config;
    let only = common.destinations(config)?;
    let mounts = connect::mounts(&config.origin.mounts).map_err(connect::ConnectError::from)?;
    let filter = |include: &[String], exclude: &[String]| {
        PathFilter::new(include, exclude, &mounts).map_err(connect::ConnectError::from)
    };
    let origin_filter = filter(&config.origin.include, &config.origin.exclude)?;
    let mut exit = Exit::Done;
    for text in &args.paths {
        let path = match SecretPath::parse(text, &mounts) {
            Ok(path) => path,
            Err(error) => {
                // one that is wrong does not hide where the others go
                out.flush()?;
                report_text(&error.to_string(), None, Exit::Usage, common);
                exit = Exit::Usage;
                continue;
            }
        };
        let shown = path.to_string();
        if !out.is_json() {
            out.line(out.paint(Paint::Strong, &sanitize(&shown)))?;
        }
        for destination in &config.destinations {
            if !only.is_empty() && !only.iter().any(|name| name.as_str() == destination.name) {
                continue;
            }
            let mapping = connect::transforms(destination).map_err(connect::ConnectError::from)?.apply(&path);
            let there = connect::mounts(&destination.mounts).map_err(connect::ConnectError::from)?;
            let target = SecretPath::parse_data(&mapping.data_path, &there).ok();
            let in_a_mount =
                target.as_ref().is_some_and(|target| there.iter().any(|mount| mount.as_str() == target.mount()));
            let reason = if !origin_filter.admits(&path) {
                Some("excluded at the origin")
            } else if !filter(&destination.include, &destination.exclude)?.admits(&path) {
                Some("excluded for this destination")
            } else if target.is_none() {
                Some("this is no path of a secret")
            } else if !in_a_mount {
                Some("this mount is not configured at the destination")
            } else {
                None
            };
            let target = target.map_or(mapping.data_path, |target| target.to_string());
            if out.is_json() {
                out.object(&Object::Mapping {
                    origin: shown.clone(),
                    destination: &destination.name,
                    path: &target,
                    rule: &mapping.rule,
                    copied: reason.is_none(),
                    reason,
                })?;
            } else {
                let not_copied = reason
                    .map(|reason| out.paint(Paint::Notice, &format!("  not copied: {reason}")))
                    .unwrap_or_default();
                out.line(format!(
                    "    {}  {}  by {}{not_copied}",
                    sanitize(&destination.name),
                    sanitize(&target),
                    sanitize(&mapping.rule)
                ))?;
            }
        }
    }
    Ok(exit)
}
