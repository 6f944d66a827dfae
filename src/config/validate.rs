//! What can only be said of the configuration as a whole.

use std::borrow::Cow;

use super::document::{Node, Place, Step};
use super::error::Problem;
use super::load::Purpose;
use super::model::{Config, Consul, Health, Origin, Vault};
use super::ways_in;
use crate::engine::Transforms;
use crate::http::check_address;
use crate::kv::{Mount, PathFilter};

/// Everything that is wrong with a configuration whose keys, types and values are all right by themselves. `root` knows
/// their places.
pub(super) fn validate(config: &Config, root: &Node, purpose: Purpose) -> Vec<Problem> {
    let mut found = Found { root, problems: Vec::new() };
    found.names(config, purpose);
    found.health(config);
    let origin = [Step::Key("origin")];
    found.vault(&config.origin.vault, &origin);
    found.consul(config.origin.consul.as_ref(), &origin);
    found.mounts_and_globs(
        &config.origin.mounts,
        &config.origin.mounts,
        &[("include", &config.origin.include), ("exclude", &config.origin.exclude)],
        &origin,
    );
    found.kv_versions(&config.origin);
    found.sync_path(&config.origin.sync_path, &origin);
    for (index, destination) in config.destinations.iter().enumerate() {
        let at = [Step::Key("destinations"), Step::Index(index)];
        found.vault(&destination.vault, &at);
        found.consul(destination.consul.as_ref(), &at);
        found.mounts_and_globs(
            &destination.mounts,
            &config.origin.mounts,
            &[("include", &destination.include), ("exclude", &destination.exclude), ("canary", &destination.canary)],
            &at,
        );
        found.sync_path(&destination.sync_path, &at);
        for (number, transform) in destination.transforms.iter().enumerate() {
            if let Err(error) = Transforms::new(&[transform.rule()]) {
                let steps = [at[0], at[1], Step::Key("transforms"), Step::Index(number)];
                let key = if error.reason.contains("regex") { "from" } else { "to" };
                found.add(Problem::new(error.to_string()), &[&steps[..], &[Step::Key(key)]].concat());
            }
        }
    }
    found.shared_state(config);
    found.problems
}

struct Found<'a> {
    root: &'a Node,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, problem: Problem, path: &[Step<'_>]) {
        // a default or an inherited value is not where somebody can change something, the section around it is
        let place = (0..=path.len())
            .rev()
            .filter_map(|length| self.root.at(&path[..length]))
            .map(|node| node.place.clone())
            .find(|place| !matches!(place, Place::Default | Place::Inherited(_)));
        self.problems.push(match place {
            Some(place) => problem.at(&place),
            None => problem,
        });
    }

    fn health(&mut self, config: &Config) {
        if let Some(Err(error)) = config.health.as_ref().map(Health::socket) {
            let problem = Problem::new(format!("health.address: {error}"));
            let help = "an address of this machine, such as \"127.0.0.1:8209\" or, for all of them, \"0.0.0.0:8209\"";
            self.add(problem.help(help), &[Step::Key("health"), Step::Key("address")]);
        }
    }

    fn names(&mut self, config: &Config, purpose: Purpose) {
        if config.name.is_empty() || config.name.contains(['/', '\\']) || !is_visible(&config.name) {
            let problem = Problem::new("name must not be empty or have slashes, control or invisible characters in it");
            self.add(problem.help("it names the file of the embedded store"), &[Step::Key("name")]);
        }
        if config.destinations.is_empty() && !matches!(purpose, Purpose::OriginDaemon | Purpose::AnyCommand) {
            let problem = Problem::new("there is no destination");
            self.problems.push(problem.help("add a section to \"destinations\", with a name and a vault.address"));
        }
        for (index, destination) in config.destinations.iter().enumerate() {
            let at = [Step::Key("destinations"), Step::Index(index), Step::Key("name")];
            let name = &destination.name;
            if name.is_empty() || name.contains('/') || name.contains(char::is_whitespace) || !is_visible(name) {
                let problem = Problem::new(
                    "a destination's name must not be empty or have spaces, slashes, control or invisible characters in it",
                );
                self.add(problem, &at);
            } else if config.destinations[..index].iter().any(|other| other.name == *name) {
                self.add(Problem::new(format!("there is another destination \"{name}\"")), &at);
            }
        }
    }

    fn vault(&mut self, vault: &Vault, side: &[Step<'_>]) {
        let section = [side, &[Step::Key("vault")]].concat();
        let at = |key| [&section[..], &[Step::Key(key)]].concat();
        self.address(&vault.address, &at("address"));
        for (index, standby) in vault.standby_addresses.iter().enumerate() {
            let steps = [&section[..], &[Step::Key("standby_addresses"), Step::Index(index)]].concat();
            self.address(standby, &steps);
            let scheme = |address: &str| address.split("://").next().map(str::to_owned);
            if check_address(standby).is_ok() && scheme(standby) != scheme(&vault.address) {
                let problem =
                    Problem::new("a standby must be spoken to as the address is: both http:// or both https://");
                self.add(problem.help("the token would go unencrypted to one of them"), &steps);
            }
        }
        self.key_pair(vault.client_cert.is_some(), vault.client_key.is_some(), &section);
        let name = match side {
            [Step::Key(side)] => format!("{side}.vault"),
            [Step::Key(list), Step::Index(index), ..] => match self.root.at(&[side, &[Step::Key("name")]].concat()) {
                Some(name) => format!("{list}.{}.vault", name.as_text().unwrap_or_default()),
                None => format!("{list}[{index}].vault"),
            },
            _ => "vault".to_owned(),
        };
        let problems = self.root.at(&section).map(|node| ways_in::problems(vault, node, &name));
        for (problem, key) in problems.into_iter().flatten() {
            self.add(problem, &[&section[..], &[key]].concat());
        }
    }

    fn consul(&mut self, consul: Option<&Consul>, side: &[Step<'_>]) {
        let Some(consul) = consul else { return };
        let section = [side, &[Step::Key("consul")]].concat();
        if self.root.at(&section).is_none_or(|node| matches!(node.place, Place::Inherited(_))) {
            return;
        }
        self.address(&consul.address, &[&section[..], &[Step::Key("address")]].concat());
        self.key_pair(consul.client_cert.is_some(), consul.client_key.is_some(), &section);
    }

    fn address(&mut self, address: &str, at: &[Step<'_>]) {
        let Err(error) = check_address(address) else { return };
        let problem = Problem::new(error.to_string());
        let problem = match self.root.at(at) {
            Some(node) if address.contains('@') => problem.mask(&node.place),
            _ => problem,
        };
        self.add(problem, at);
    }

    fn key_pair(&mut self, cert: bool, key: bool, section: &[Step<'_>]) {
        if key && !cert {
            let problem =
                Problem::new("client_key needs the certificate it belongs to").help("set client_cert beside it");
            self.add(problem, &[section, &[Step::Key("client_key")]].concat());
        }
    }

    fn mounts_and_globs(
        &mut self,
        mounts: &[String],
        origin_mounts: &[String],
        globs: &[(&str, &[String])],
        side: &[Step<'_>],
    ) {
        let at = |key, index| [side, &[Step::Key(key), Step::Index(index)]].concat();
        let mounts_at = [side, &[Step::Key("mounts")]].concat();
        if mounts.is_empty() {
            self.add(Problem::new("mounts is empty").help("name at least one mount, such as \"secret/\""), &mounts_at);
        }
        let inherited = self.root.at(&mounts_at).is_some_and(|node| matches!(node.place, Place::Inherited(_)));
        let mut known: Vec<Mount> = Vec::new();
        for (index, text) in mounts.iter().enumerate().filter(|_| !inherited) {
            match Mount::parse(text) {
                Err(error) => self.add(Problem::new(error.to_string()), &at("mounts", index)),
                Ok(mount) => {
                    let overlaps = |other: &&Mount| {
                        other.as_str().starts_with(mount.as_str()) || mount.as_str().starts_with(other.as_str())
                    };
                    if let Some(other) = known.iter().find(overlaps) {
                        let problem = Problem::new(format!("the mounts \"{mount}\" and \"{other}\" overlap"));
                        self.add(
                            problem.help("name each mount once; Vault has no mount inside another"),
                            &at("mounts", index),
                        );
                    }
                    known.push(mount);
                }
            }
        }
        let origin: Vec<Mount> = origin_mounts.iter().filter_map(|text| Mount::parse(text).ok()).collect();
        for (key, globs) in globs {
            for (index, glob) in globs.iter().enumerate() {
                if let Err(error) = PathFilter::new(std::slice::from_ref(glob), &[], &origin) {
                    self.add(Problem::new(error.to_string()), &at(key, index));
                }
            }
        }
    }

    fn kv_versions(&mut self, origin: &Origin) {
        let at = |index| [Step::Key("origin"), Step::Key("v1_mounts"), Step::Index(index)];
        let known: Vec<Mount> = origin.mounts.iter().filter_map(|text| Mount::parse(text).ok()).collect();
        for (index, text) in origin.v1_mounts.iter().enumerate() {
            match Mount::parse(text) {
                Err(error) => self.add(Problem::new(error.to_string()), &at(index)),
                Ok(mount) if !known.contains(&mount) => {
                    let problem = Problem::new(format!("\"{mount}\" is none of origin.mounts"));
                    self.add(problem.help("name it there, too, or take it away here"), &at(index));
                }
                Ok(_) => {}
            }
        }
        if origin.kv_version.is_some() && !origin.v1_mounts.is_empty() {
            let problem = Problem::new("kv_version says the version of all mounts, and v1_mounts that of some");
            self.add(problem.help("keep one of them"), &[Step::Key("origin"), Step::Key("kv_version")]);
        }
    }

    fn sync_path(&mut self, path: &str, side: &[Step<'_>]) {
        if path.trim_matches('/').is_empty() {
            let problem = Problem::new("sync_path must not be empty")
                .help("it is the folder of vsync's keys, such as \"vsync/\"");
            self.add(problem, &[side, &[Step::Key("sync_path")]].concat());
        }
    }

    /// Two destinations that keep their sync info under the same keys would overwrite each other's.
    fn shared_state(&mut self, config: &Config) {
        let place = |index: usize| {
            let destination = &config.destinations[index];
            let store = destination.consul.as_ref().map(|consul| (consul.address.as_str(), consul.dc.as_deref()));
            (store, destination.sync_path.trim_matches('/'))
        };
        for index in 0..config.destinations.len() {
            let same = |&other: &usize| {
                place(other) == place(index) && config.destinations[other].name != config.destinations[index].name
            };
            if let Some(other) = (0..index).find(same) {
                let problem = Problem::new(format!(
                    "the destinations \"{}\" and \"{}\" would keep their state under the same sync_path \"{}\" of one store",
                    config.destinations[other].name,
                    config.destinations[index].name,
                    config.destinations[index].sync_path
                ));
                let problem = problem.help("give each a sync_path of its own, or leave it out");
                self.add(problem, &[Step::Key("destinations"), Step::Index(index), Step::Key("sync_path")]);
            }
        }
    }
}

/// Whether a terminal shows all of a name as it is, in its order.
fn is_visible(name: &str) -> bool {
    matches!(crate::text::sanitize(name), Cow::Borrowed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_terminal_would_not_show_as_it_is_is_none() {
        assert!(is_visible("us-éast"));
        assert!(!is_visible("us\u{202e}east") && !is_visible("us\u{7}") && !is_visible("us\u{200b}east"));
    }
}
