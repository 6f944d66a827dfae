//! Work for Plan: plans in files, and files of paths.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Keep, Worker, part_of};
use crate::engine::{DestinationName, DestinationPlan, Engine, Inventory, Plan, SavedPlan, StaleLine};
use crate::files;
use crate::kv::{Mount, PathFilter, SecretPath};
use crate::tui::message::Message;
use crate::tui::screen::plan::News;

/// Work for Plan.
#[derive(Debug)]
pub(in crate::tui) enum Request {
    /// Save these tasks of a plan in a new file.
    Save { plan: Arc<Plan>, keep: Keep, file: String },
    /// Read a saved plan.
    Open { file: String },
    /// Find out which lines of a saved plan hold; its parts in the order of these destinations.
    Judge { saved: Arc<SavedPlan>, inventory: Arc<Inventory>, destinations: Vec<DestinationName> },
    /// Find the tasks that a file names, at one destination or at all.
    Paths { plan: Arc<Plan>, destination: Option<usize>, file: String },
}

/// What of a saved plan holds.
#[derive(Debug)]
pub(in crate::tui) struct Held {
    pub(in crate::tui) plan: Arc<Plan>,
    pub(in crate::tui) stale: Vec<StaleLine>,
}

/// What a file of paths names.
#[derive(Debug)]
pub(in crate::tui) struct Named {
    pub(in crate::tui) plan: Arc<Plan>,
    /// Per destination of the plan.
    pub(in crate::tui) secrets: Vec<Vec<SecretPath>>,
    /// Lines that are neither empty nor a comment.
    pub(in crate::tui) lines: usize,
    /// How many of them name no task.
    pub(in crate::tui) unmatched: usize,
    /// The first of those: its number and its text.
    pub(in crate::tui) first: Option<(usize, String)>,
}

impl Worker {
    pub(super) fn plan(&mut self, request: Request) {
        let (engine, messages, only) = (self.engine.clone(), self.messages.clone(), self.only.clone());
        tokio::spawn(async move {
            let news = match request {
                Request::Save { plan, keep, file } => {
                    let result = save(&engine, &plan, &keep, &file).await;
                    News::Saved { file, result }
                }
                Request::Open { file } => {
                    let place = files::typed(&file);
                    let opened = tokio::task::spawn_blocking(move || {
                        let bytes = read(&place)?;
                        SavedPlan::decode(&bytes).map_err(|error| format!("{}: {error}", place.display()))
                    });
                    let result = opened.await.unwrap_or_else(|error| Err(error.to_string()));
                    News::Opened { file, result: result.map(Arc::new) }
                }
                Request::Judge { saved, inventory, destinations } => {
                    let result = judge(&engine, &saved, inventory, &only, &destinations).await;
                    News::Held { saved, result }
                }
                Request::Paths { plan, destination, file } => {
                    let mounts = engine.origin().mounts.clone();
                    let typed = file.clone();
                    let found = tokio::task::spawn_blocking(move || {
                        let text = read(&files::typed(&typed))?;
                        named(plan, destination, &String::from_utf8_lossy(&text), &mounts)
                    });
                    let result = found.await.unwrap_or_else(|error| Err(error.to_string()));
                    News::Named { file, result: result.map(Box::new) }
                }
            };
            let _ = messages.send(Message::Plan(news));
        });
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    files::read(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("there is no file {}", file.display()),
        _ => format!("{} cannot be read: {error}", file.display()),
    })
}

async fn save(engine: &Engine, plan: &Plan, keep: &Keep, file: &str) -> Result<usize, String> {
    let file = files::typed(file);
    let exists =
        || format!("{} exists already and may be a plan that is yet to be executed: name another", file.display());
    if file.exists() {
        return Err(exists());
    }
    let part = part_of(engine, plan, keep);
    let saved = engine.save_plan(&part).await.map_err(|error| error.to_string())?;
    files::write_new(&file, &saved.encode()).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => format!("{} cannot be written: {error}", file.display()),
    })?;
    Ok(saved.len())
}

async fn judge(
    engine: &Engine,
    saved: &SavedPlan,
    inventory: Arc<Inventory>,
    only: &[DestinationName],
    destinations: &[DestinationName],
) -> Result<Held, String> {
    let (mut plan, stale) = engine.load_plan(saved, inventory, only).await.map_err(|error| error.to_string())?;
    let mut parts: HashMap<DestinationName, DestinationPlan> =
        plan.destinations.drain(..).map(|part| (part.destination.clone(), part)).collect();
    let part = |name: &DestinationName| parts.remove(name).unwrap_or_else(|| DestinationPlan::empty(name.clone()));
    plan.destinations = destinations.iter().map(part).collect();
    Ok(Held { plan: Arc::new(plan), stale })
}

/// Finds what the lines of a text name among the tasks of a plan.
fn named(plan: Arc<Plan>, destination: Option<usize>, text: &str, mounts: &[Mount]) -> Result<Named, String> {
    let lines: Vec<(usize, &str)> =
        (1..).zip(text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    let mut globs = Vec::new();
    let mut found = vec![false; lines.len()];
    let mut paths: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, (number, line)) in lines.iter().enumerate() {
        if line.contains(['*', '?', '[', '{']) || line.ends_with('/') {
            let glob = PathFilter::new(&[(*line).to_owned()], &[], mounts);
            globs.push((at, glob.map_err(|error| format!("line {number}: {error}"))?));
        }
        // a name may hold such a character, too
        paths.entry(plain(line, mounts)).or_default().push(at);
    }
    let all: Vec<String> = globs.iter().map(|(at, _)| lines[*at].1.to_owned()).collect();
    let any = if all.is_empty() {
        None
    } else {
        Some(PathFilter::new(&all, &[], mounts).map_err(|error| error.to_string())?)
    };
    let mut secrets = vec![Vec::new(); plan.destinations.len()];
    for (place, part) in plan.destinations.iter().enumerate() {
        if destination.is_some_and(|only| only != place) {
            continue;
        }
        for task in &part.tasks {
            let by_name = paths.get(&task.origin.to_string());
            let by_glob = any.as_ref().is_some_and(|any| any.admits(&task.origin));
            for at in by_name.into_iter().flatten() {
                found[*at] = true;
            }
            if by_glob {
                for (at, glob) in &globs {
                    found[*at] = found[*at] || glob.admits(&task.origin);
                }
            }
            if by_name.is_some() || by_glob {
                secrets[place].push(task.origin.clone());
            }
        }
    }
    let mut unmatched = lines.iter().zip(&found).filter(|(_, found)| !**found).map(|(line, _)| line);
    let first = unmatched.next().map(|(number, line)| (*number, (*line).to_owned()));
    let unmatched = usize::from(first.is_some()) + unmatched.count();
    Ok(Named { plan, secrets, lines: lines.len(), unmatched, first })
}

/// A path as secrets are shown, without a slash before it and without `data/` behind its mount.
fn plain(line: &str, mounts: &[Mount]) -> String {
    let line = line.trim_start_matches('/');
    let without_data = mounts.iter().find_map(|mount| {
        let rest = line.strip_prefix(mount.as_str())?.strip_prefix("data/")?;
        Some(format!("{mount}{rest}"))
    });
    without_data.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::sample;

    fn names(text: &str, destination: Option<usize>) -> (Vec<usize>, Option<(usize, String)>) {
        let named = named(sample::plan(), destination, text, &[sample::mount()]).expect("lines");
        (named.secrets.iter().map(Vec::len).collect(), named.first)
    }

    #[test]
    fn lines_name_tasks_by_path_folder_or_glob() {
        let text = "# of the ticket\n\nsecret/search/stage/worker\n  /secret/data/payments/dev/api  \n";
        assert_eq!(names(text, None), (vec![1, 2, 0], None));
        assert_eq!(names(text, Some(0)), (vec![1, 0, 0], Some((4, "/secret/data/payments/dev/api".to_owned()))));
        assert_eq!(names("secret/payments/dev/", None).0, [0, 4, 0]);
        assert_eq!(names("secret/*/prod/*", None).0, [1, 8, 0]);
    }

    #[test]
    fn what_matches_nothing_is_counted_and_the_first_is_named() {
        let named =
            named(sample::plan(), None, "secret/nothing\nsecret/legacy/api\nsecret/no/**\n", &[sample::mount()]);
        let named = named.expect("lines");
        assert_eq!((named.lines, named.unmatched, named.first), (3, 2, Some((1, "secret/nothing".to_owned()))));
    }

    #[test]
    fn a_glob_that_is_none_is_told_by_its_line() {
        let error = named(sample::plan(), None, "secret/a\nsecret/[", &[sample::mount()]).expect_err("no glob");
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
