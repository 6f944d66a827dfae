//! From a file, the environment and flags to one configuration.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy;

use super::check::Check;
use super::document::{Node, Place, SourceFile};
use super::error::{ConfigError, Problem};
use super::format::{EXTENSIONS, Format};
use super::model::Config;
use super::{defaults, deletes, layer, legacy, schema, validate};

/// What the configuration is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// Everything in it counts.
    #[default]
    Everything,
    /// Looking at it, whichever command it is for: everything in it counts, but there need be no destination.
    AnyCommand,
    /// The daemon that only keeps the origin's sync info: there need be no destination, and what there is of one is not
    /// looked at.
    OriginDaemon,
    /// The daemon that serves destinations by the origin's sync info.
    DestinationDaemon,
}

impl Purpose {
    /// Whether vsync v0.3 has a command for it.
    fn is_of_v03(self) -> bool {
        matches!(self, Self::OriginDaemon | Self::DestinationDaemon)
    }
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file; `None`: the first of the usual places that has one.
    pub file: Option<PathBuf>,
    /// `KEY=VALUE` flags, over everything.
    pub settings: Vec<String>,
    /// Environment variables, over the file; those that do not start with `VSYNC_` have no effect.
    pub environment: BTreeMap<String, OsString>,
    /// What it is for.
    pub purpose: Purpose,
}

impl Sources {
    /// The file and flags given, and this process's environment.
    #[must_use]
    pub fn new(file: Option<PathBuf>, settings: Vec<String>) -> Self {
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        Self { file, settings, environment, purpose: Purpose::default() }
    }

    /// The same for another purpose. The daemons that vsync v0.3 has as well also look for the file under its name there.
    #[must_use]
    pub fn purpose(self, purpose: Purpose) -> Self {
        Self { purpose, ..self }
    }
}

/// A configuration, and what is to be said about it. Without a `Debug` form of the tree: it holds tokens.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file it comes from, if there is one.
    pub file: Option<PathBuf>,
    /// What is no error but may not be meant.
    pub notes: Vec<String>,
    pub(super) root: Node,
    /// The file as it was read.
    pub(super) source: Option<Arc<SourceFile>>,
}

/// Reads the configuration.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong with it.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let file = match &sources.file {
        Some(file) => Some(file.clone()),
        None => find("vsync").or_else(|| find("config").filter(|_| sources.purpose.is_of_v03())),
    };
    let source = file.map(|path| read(&path)).transpose()?;
    assemble(source, sources)
}

/// Reads a text as if it were the file of this path.
pub(super) fn load_text(path: &Path, text: String, sources: &Sources) -> Result<Loaded, ConfigError> {
    assemble(Some(Arc::new(SourceFile::new(path.to_owned(), text))), sources)
}

fn assemble(source: Option<Arc<SourceFile>>, sources: &Sources) -> Result<Loaded, ConfigError> {
    let file = source.as_ref().map(|source| source.path().to_owned());
    let mut check = Check::default();
    let mut root = match &source {
        Some(source) => check.section(schema::ROOT, parse(source)?, ""),
        None => Node::table(Place::Default),
    };
    let mut notes = legacy::settle_former(&mut root, &mut check);
    legacy::unify_destinations(&mut root, &mut check);
    notes.extend(layer::environment(&mut root, &sources.environment, &mut check));
    layer::flags(&mut root, &sources.settings, &mut check);
    if sources.purpose == Purpose::OriginDaemon {
        root.remove("destinations");
    }
    deletes::settle(&mut root, &mut check);
    defaults::fill(&mut root, &mut check);
    if check.problems.is_empty() {
        check.required(schema::ROOT, &root, "");
        unnamed_destinations(&root, &mut check);
        if file.is_none() && !check.problems.is_empty() {
            // without a single key from elsewhere, the file is all that is missing
            if root.get("origin").is_none() && root.get("destinations").is_none() {
                check.problems.clear();
            }
            check.problems.insert(0, nothing_found());
        }
    }
    if !check.problems.is_empty() {
        return Err(ConfigError { problems: check.problems });
    }
    let config: Config = serde_path_to_error::deserialize(root.to_json()).map_err(|error| {
        // the tables of keys have accepted everything, so this names what they let through
        Problem::new(format!("{}: {}", error.path(), error.inner()))
    })?;
    let problems = validate::validate(&config, &root, sources.purpose);
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    if config.destinations.is_empty() && sources.purpose == Purpose::AnyCommand {
        notes.push(
            "there is no destination: with this configuration only \"vsync origin\" has something to do".to_owned(),
        );
    }
    Ok(Loaded { config, file, notes, root, source })
}

fn unnamed_destinations(root: &Node, check: &mut Check) {
    for item in root.get("destinations").map(Node::items).unwrap_or_default() {
        if item.get("name").is_none() {
            check.problems.push(Problem::new("this destination has no name").at(&item.place).help("add name = \"…\""));
        }
    }
}

fn parse(source: &Arc<SourceFile>) -> Result<Node, Problem> {
    let Some(format) = Format::of(source.path()) else { return Err(unknown_format(source.path())) };
    format.parse(source)
}

fn unknown_format(path: &Path) -> Problem {
    let problem = Problem::new(format!("{}: the file's format cannot be told from its name", path.display()));
    problem.help(format!("let it end in one of .{}", EXTENSIONS.join(", .")))
}

fn read(path: &Path) -> Result<Arc<SourceFile>, Problem> {
    if Format::of(path).is_none() {
        return Err(unknown_format(path));
    }
    let text = std::fs::read(path)
        .map_err(|error| Problem::new(format!("{}: the configuration file cannot be read: {error}", path.display())))?;
    let text = String::from_utf8(text).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Problem::new(format!("{}: the file is not UTF-8 (byte {offset})", path.display()))
    })?;
    Ok(Arc::new(SourceFile::new(path.to_owned(), text)))
}

/// The first configuration file of this name in the usual places.
fn find(name: &str) -> Option<PathBuf> {
    folders()
        .into_iter()
        .flat_map(|folder| EXTENSIONS.map(|extension| folder.join(format!("{name}.{extension}"))))
        .find(|path| path.is_file())
}

fn folders() -> Vec<PathBuf> {
    let user = etcetera::base_strategy::Xdg::new().ok().map(|folders| folders.config_dir().join("vsync"));
    [Some(PathBuf::from(".")), user, Some(PathBuf::from("/etc/vsync"))].into_iter().flatten().collect()
}

fn nothing_found() -> Problem {
    let folders: Vec<String> = folders().iter().map(|folder| folder.join("vsync.toml").display().to_string()).collect();
    Problem::new(format!(
        "there is no configuration file: looked for {} (or .yaml, .yml, .json, .hcl)",
        folders.join(", ")
    ))
    .help("write one, name one with --config, or try \"vsync demo\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Fidelity, Listing, MaxDelete};

    const SMALL: &str = r#"
        [origin]
        mounts = ["secret/"]
        vault = { address = "http://127.0.0.1:8200", token = "s.hunter2" }
        [[destinations]]
        name = "us-east"
        vault.address = "http://127.0.0.1:8201"
        [[destinations]]
        name = "eu.west"
        vault.address = "http://127.0.0.1:8202"
    "#;

    fn load_text(name: &str, text: &str, environment: &[(&str, &str)], settings: &[&str]) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.into());
        load(&Sources {
            file: Some(file),
            settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
            environment: environment.iter().map(own).collect(),
            purpose: Purpose::default(),
        })
        .map_err(|error| error.to_string())
    }

    fn loaded(environment: &[(&str, &str)], settings: &[&str]) -> Loaded {
        load_text("vsync.toml", SMALL, environment, settings)
            .map_err(|error| panic!("{error}"))
            .expect("never an error")
    }

    fn refused(environment: &[(&str, &str)], settings: &[&str]) -> String {
        match load_text("vsync.toml", SMALL, environment, settings) {
            Ok(_) => panic!("{environment:?} {settings:?} was accepted"),
            Err(error) => error,
        }
    }

    fn place(loaded: &Loaded, key: &str) -> String {
        let setting = loaded.settings().into_iter().find(|setting| setting.key == key);
        setting.unwrap_or_else(|| panic!("{key} is not shown")).place
    }

    #[test]
    fn what_nobody_sets_has_a_default() {
        let config = loaded(&[], &[]).config;
        assert_eq!(config.origin.sync_path, "vsync/");
        assert_eq!(config.origin.listing, Listing::Auto);
        assert_eq!(config.destinations[0].sync_path, "vsync/us-east/");
        assert_eq!(config.destinations[0].mounts, ["secret/"]);
        assert_eq!(config.destinations[1].guards.max_delete, MaxDelete::Percent(10.0));
        assert!(config.state.file.ends_with("vsync/vsync.redb"));
        assert!(config.destinations[0].consul.is_none());
    }

    #[test]
    fn the_environment_is_over_the_file_and_flags_are_over_both() {
        let environment = [
            ("VSYNC_ORIGIN_NUM_WORKERS", "3"),
            ("VSYNC_DESTINATIONS_US_EAST_NUMWORKERS", "5"),
            ("VSYNC_DESTINATIONS_EU_WEST_VAULT_TOKEN", "s.other"),
            ("VSYNC_ORIGIN_MOUNTS", "secret/, kv/"),
            ("VSYNC_LOG_LEVEL", "debug"),
        ];
        let loaded = loaded(&environment, &["destinations.us-east.num_workers=7", "destinations.eu.west.syncPath=x/"]);
        let config = &loaded.config;
        assert_eq!(config.origin.num_workers, 3);
        assert_eq!(config.origin.mounts, ["secret/", "kv/"]);
        assert_eq!(config.log.level, "debug");
        assert_eq!(config.destinations[0].num_workers, 7);
        assert_eq!(config.destinations[1].sync_path, "x/");
        assert_eq!(config.destinations[1].vault.token.as_ref().map(|token| token.expose().as_str()), Some("s.other"));
        assert_eq!(place(&loaded, "origin.num_workers"), "environment VSYNC_ORIGIN_NUM_WORKERS");
        assert_eq!(place(&loaded, "destinations.us-east.num_workers"), "flag --set destinations.us-east.num_workers");
        assert_eq!(place(&loaded, "destinations.us-east.mounts"), "default, from origin.mounts");
        assert!(place(&loaded, "origin.mounts").starts_with("environment"));
        assert!(
            place(&loaded, "origin.vault.address").ends_with("vsync.toml:4:29"),
            "{}",
            place(&loaded, "origin.vault.address")
        );
        assert!(loaded.notes.is_empty(), "{:?}", loaded.notes);
    }

    #[test]
    fn secrets_are_masked_when_shown() {
        let settings = serde_json::to_string(&loaded(&[], &[]).settings()).expect("JSON");
        assert!(settings.contains("origin.vault.token") && !settings.contains("hunter2"), "{settings}");
        assert!(!format!("{:?}", loaded(&[], &[]).config).contains("hunter2"));
    }

    #[test]
    fn a_second_way_to_a_token_is_refused_wherever_it_comes_from() {
        let environment = [("VSYNC_ORIGIN_VAULT_USERPASS", r#"{"username":"me","password":"canary"}"#)];
        assert!(loaded(&environment, &[]).notes.len() == 1, "a section is set key by key");
        let environment =
            [("VSYNC_ORIGIN_VAULT_USERPASS_USERNAME", "me"), ("VSYNC_ORIGIN_VAULT_USERPASS_PASSWORD", "canary")];
        let error = refused(&environment, &[]);
        let ways = "vsync.toml:4:54) and origin.vault.userpass (environment VSYNC_ORIGIN_VAULT_USERPASS_USERNAME)";
        assert!(error.contains(ways) && error.contains("keep the one that is meant"), "{error}");
        assert!(!error.contains("canary"), "{error}");
        let flag = ["destinations.us-east.vault.token_file=/x", "destinations.us-east.vault.jwt.jwt_file=/y"];
        let error = refused(&[], &flag);
        assert!(error.contains("destinations.us-east.vault.token_file (flag"), "{error}");
        assert!(error.contains("destinations.us-east.vault.jwt (flag"), "{error}");
        // an empty token is none
        let other = ["origin.vault.ldap.username=me", "origin.vault.ldap.password=pass-canary"];
        let loaded = loaded(&[("VSYNC_ORIGIN_VAULT_TOKEN", "")], &other);
        let shown = serde_json::to_string(&loaded.settings()).expect("JSON");
        assert!(shown.contains("origin.vault.ldap.password") && !shown.contains("pass-canary"), "{shown}");
        assert!(!format!("{:?}", loaded.config).contains("pass-canary"));
    }

    #[test]
    fn wrong_layers_are_named() {
        let error = refused(&[("VSYNC_ORIGIN_NUM_WORKERS", "many")], &[]);
        assert!(error.starts_with("environment VSYNC_ORIGIN_NUM_WORKERS: origin.num_workers must be"), "{error}");
        let error = refused(&[], &["destinations.us-eats.num_workers=1"]);
        assert!(
            error.contains("flag --set destinations.us-eats.num_workers") && error.contains("\"us-east\""),
            "{error}"
        );
        let error = refused(&[], &["origin.num_worker=1"]);
        assert!(error.contains("origin.num_workers"), "{error}");
        let error = refused(&[], &["destination.num_workers=1"]);
        assert!(error.contains("could be any"), "{error}");
        let error = refused(&[], &["origin.vault.token.x=s.hunter2"]);
        assert!(error.contains("no keys of its own") && !error.contains("hunter2"), "{error}");
        let notes = loaded(&[("VSYNC_ORIGIN_VAULT_TOKN", "x")], &[]).notes;
        assert!(notes[0].contains("VSYNC_ORIGIN_VAULT_TOKN"), "{notes:?}");
        assert!(notes[0].ends_with("did you mean VSYNC_ORIGIN_VAULT_TOKEN?"), "{notes:?}");
    }

    #[test]
    fn a_variable_that_looks_like_a_key_is_noted() {
        let notes = |name| loaded(&[(name, "1")], &[]).notes;
        for (variable, meant) in [
            ("VSYNC_NUM_BUCKET", "VSYNC_NUM_BUCKETS"),
            ("VSYNC_LOG_LEVL", "VSYNC_LOG_LEVEL"),
            ("VSYNC_DESTINATIONS_US_EAST_NUM_WORKER", "VSYNC_DESTINATIONS_US_EAST_NUM_WORKERS"),
            ("VSYNC_DESTINATION_VAULT_ADRESS", "VSYNC_DESTINATION_VAULT_ADDRESS"),
        ] {
            let notes = notes(variable);
            assert!(notes.len() == 1 && notes[0].contains(variable) && notes[0].contains(meant), "{notes:?}");
        }
        for other in ["VSYNC_CONFIG", "VSYNC_TEST_NAME", "VSYNC_PLAYGROUND_NAME", "VSYNC_FOO", "NUM_BUCKETS"] {
            assert!(notes(other).is_empty(), "{other}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_an_error() {
        use std::os::unix::ffi::OsStringExt;
        let load = |name: &str| {
            let environment = [(name.to_owned(), OsString::from_vec(b"canary\xff".to_vec()))].into();
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("vsync.toml");
            std::fs::write(&file, SMALL).expect("a file");
            load(&Sources { file: Some(file), environment, ..Sources::default() })
        };
        for name in ["VSYNC_ORIGIN_VAULT_TOKEN", "VSYNC_DESTINATIONS_US_EAST_SYNCPATH"] {
            let Err(error) = load(name) else { panic!("{name} was accepted") };
            assert_eq!(error.to_string(), format!("environment {name}: its value is not UTF-8"));
        }
        assert!(load("VSYNC_OTHER").is_ok());
    }

    fn for_daemon(name: &str, text: &str, purpose: Purpose) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        load(&Sources { file: Some(file), purpose, ..Sources::default() }).map_err(|error| error.to_string())
    }

    const V03_ORIGIN: [(&str, &str); 3] = [
        (
            "config.json",
            r#"{"name": "o", "log": {"level": "info", "type": "console"}, "numBuckets": 19, "origin": {"vault":
            {"address": "http://127.0.0.1:6200", "approle": {"path": "approle", "role_id": "r", "secret_id": "s"}},
            "consul": {"dc": "dc1", "address": "localhost:8500"}, "mounts": ["secret/"], "syncPath": "vsync/",
            "numWorkers": 5, "tick": "10s", "timeout": "5m", "renewToken": true}}"#,
        ),
        (
            "config.yaml",
            "name: o\nlog:\n  level: info\n  type: console\nnumBuckets: 19\norigin:\n  vault:\n    address: http://127.0.0.1:6200\n    approle:\n      path: approle\n      role_id: r\n      secret_id: s\n  consul:\n    dc: dc1\n    address: localhost:8500\n  mounts:\n    - secret/\n  syncPath: vsync/\n  numWorkers: 5\n  tick: 10s\n  timeout: 5m\n  renewToken: true\n",
        ),
        (
            "config.hcl",
            "name = \"o\"\nlog {\n  level = \"info\"\n  type = \"console\"\n}\nnumBuckets = 19\norigin {\n  vault {\n    address = \"http://127.0.0.1:6200\"\n    approle {\n      path = \"approle\"\n      role_id = \"r\"\n      secret_id = \"s\"\n    }\n  }\n  consul {\n    dc = \"dc1\"\n    address = \"localhost:8500\"\n  }\n  mounts = [\"secret/\"]\n  syncPath = \"vsync/\"\n  numWorkers = 5\n  tick = \"10s\"\n  timeout = \"5m\"\n  renewToken = true\n}\n",
        ),
    ];

    #[test]
    fn an_origin_of_v03_needs_no_destination() {
        for (name, text) in V03_ORIGIN {
            let config = for_daemon(name, text, Purpose::OriginDaemon).unwrap_or_else(|error| panic!("{error}")).config;
            assert_eq!((config.num_buckets, config.origin.num_workers), (Some(19), 5), "{name}");
            assert_eq!(config.origin.tick, Some(std::time::Duration::from_secs(10)));
            assert_eq!(config.origin.consul.map(|consul| consul.address).as_deref(), Some("http://localhost:8500"));
            assert!(config.destinations.is_empty());
            let Err(error) = for_daemon(name, text, Purpose::DestinationDaemon) else { panic!("accepted") };
            assert!(error.contains("there is no destination"), "{error}");
        }
        // half a destination is none of this daemon's business
        let with_half = V03_ORIGIN[0].1.replacen('{', r#"{"destination": {"mounts": ["x/"]}, "#, 1);
        assert!(for_daemon("config.json", &with_half, Purpose::OriginDaemon).is_ok());
        assert!(for_daemon("config.json", &with_half, Purpose::Everything).is_err());
    }

    #[test]
    fn a_health_address_that_is_none_is_refused_at_its_place() {
        for (address, why) in
            [("localhost", "no IP address"), ("127.0.0.1", "no IP address"), ("127.0.0.1:0", "no port")]
        {
            let text = format!("health = {{ address = \"{address}\" }}\n{SMALL}");
            let Err(error) = load_text("vsync.toml", &text, &[], &[]) else { panic!("{address} was accepted") };
            assert!(error.contains("vsync.toml:1:22: health.address") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let text = "[origin]\nmounts = []\nnum_workers = 0\nvault = { adress = \"http://x\" }\n";
        let Err(error) = load_text("vsync.toml", text, &[], &[]) else { panic!("accepted") };
        assert!(error.contains("num_workers") && error.contains("did you mean \"address\""), "{error}");
    }

    #[test]
    fn without_a_file_the_environment_is_enough() {
        let environment = [
            ("VSYNC_ORIGIN_VAULT_ADDRESS", "http://a:1"),
            ("VSYNC_ORIGIN_MOUNTS", "secret/"),
            ("VSYNC_DESTINATION_VAULT_ADDRESS", "http://b:1"),
        ];
        let loaded =
            load_text("vsync.json", "{}", &environment, &[]).map_err(|error| panic!("{error}")).expect("never");
        assert_eq!(loaded.config.destinations[0].name, "destination");
        assert_eq!(loaded.config.destinations[0].sync_path, "vsync/");
    }

    #[test]
    fn the_tables_of_keys_and_the_model_agree() {
        let consul = r#"address = "c:8500", dc = "d", token = "t", token_file = "f", ca_cert = "f", client_cert = "f", client_key = "f", tls_server_name = "n", tls_skip_verify = true, timeout = "1s", connect_timeout = "1s", max_retries = 1, requests_per_second = 1"#;
        let vault = r#"address = "https://v:1", standby_addresses = ["https://v:2"], WAY, namespace = "n", ca_cert = "f", client_cert = "f", client_key = "f", tls_server_name = "n", tls_skip_verify = true, timeout = "1s", connect_timeout = "1s", max_retries = 1, requests_per_second = 1"#;
        let side = format!(
            "vault = {{ {vault} }}\nconsul = {{ {consul} }}\nmounts = [\"a/\"]\nsync_path = \"p/\"\nnum_workers = 1\ntick = \"1s\"\ntimeout = \"1m30s\"\npatience = \"1s\"\nrenew_token = true\ninclude = [\"a/**\"]\nexclude = [\"a/b\"]\n"
        );
        let text = format!(
            "name = \"n\"\nnum_buckets = 3\nignore_deletes = true\nfidelity = \"metadata\"\non_delete = \"ignore\"\nlog = {{ level = \"fatal\", type = \"json\", file = \"f\" }}\nstate = {{ file = \"f\" }}\nhealth = {{ address = \"[::1]:8209\" }}\n[origin]\n{side}listing = \"plain\"\nkv_version = 1\nv1_mounts = []\n[[destinations]]\nname = \"d\"\n{side}ignore_deletes = false\non_delete = \"purge\"\nproduction = true\nwave = 2\ncanary = [\"a/**\"]\nguards = {{ max_delete = 3 }}\ntransforms = []\n"
        );
        let mut shown: Vec<String> = Vec::new();
        for way in [
            r#"token = "t""#,
            r#"token_file = "f""#,
            r#"token_helper = "f""#,
            r#"approle = { path = "p", role_id = "r", secret_id = "s", secret_id_wrapped = true }"#,
            r#"approle = { path = "p", role_id = "r", secret_id_file = "f" }"#,
            r#"approle = { path = "p", role_id = "r", secret_id_env = "E" }"#,
            r#"kubernetes = { path = "p", role = "r", jwt_file = "f" }"#,
            r#"jwt = { path = "p", role = "r", jwt = "s" }"#,
            r#"jwt = { jwt_file = "f" }"#,
            r#"jwt = { jwt_env = "E" }"#,
            r#"userpass = { path = "p", username = "n", password = "s" }"#,
            r#"userpass = { username = "n", password_file = "f" }"#,
            r#"userpass = { username = "n", password_env = "E" }"#,
            r#"ldap = { path = "p", username = "n", password = "s" }"#,
            r#"ldap = { username = "n", password_file = "f" }"#,
            r#"ldap = { username = "n", password_env = "E" }"#,
            r#"cert = { path = "p", name = "n" }"#,
        ] {
            let text = text.replace("WAY", way);
            let loaded = load_text("vsync.toml", &text, &[], &[]).map_err(|error| panic!("{error}")).expect("never");
            assert_eq!(loaded.config.log.level, "error");
            assert_eq!(loaded.config.destinations[0].fidelity, Fidelity::Metadata, "as above");
            assert_eq!(loaded.config.destinations[0].guards.max_delete, MaxDelete::Count(3));
            assert_eq!(loaded.config.origin.consul.as_ref().expect("a Consul").address, "http://c:8500");
            shown.extend(loaded.settings().into_iter().map(|setting| setting.key));
        }
        for (above, key) in schema::leaves(schema::DESTINATION) {
            let name = above.iter().chain([&key]).map(|key| key.name).collect::<Vec<_>>().join(".");
            assert!(name == "transforms" || shown.contains(&format!("destinations.d.{name}")), "{name}");
        }
    }
}
