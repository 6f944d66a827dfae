//! `vsync policy`: the least policies for what is configured. Asks no server.

use std::fmt::Write as _;

use clap::ValueEnum;

use super::object::{Object, RuleObject};
use super::rights::{self, Side};
use super::{CliError, Common, Output};
use crate::config::{self, Config, Consul, Purpose};
use crate::connect;
use crate::engine::{Extra, Rights};
use crate::exit::Exit;
use crate::kv::PathFilter;
use crate::text::sanitize;

/// Flags of `policy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The origin, and no destination but those of --destination
    #[arg(long)]
    origin: bool,
    /// Also allow what is needed only for this; may be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    with: Vec<With>,
    /// The rules for Consul's tokens instead of the policies for Vault's
    #[arg(long)]
    consul: bool,
}

/// What is needed only if somebody asks for it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum With {
    /// All of these
    All,
    /// SCAN, the fastest way to list (OpenBao only)
    Scan,
    /// vsync undo
    Undo,
    /// vsync verify of many secrets and --deep; a first plan tells what is there already
    Verify,
    /// The names of a secret's keys in the console
    Console,
}

impl With {
    fn extras(self) -> &'static [Extra] {
        match self {
            Self::All => &Extra::ALL,
            Self::Scan => &[Extra::Scan],
            Self::Undo => &[Extra::Undo],
            Self::Verify => &[Extra::Verify],
            Self::Console => &[Extra::Console],
        }
    }
}

pub(super) fn run(args: &Args, common: &Common, out: &mut Output) -> Result<Exit, CliError> {
    let loaded = config::load(&common.sources().purpose(Purpose::AnyCommand))?;
    let config = &loaded.config;
    let only = common.destinations(config)?;
    let sides = rights::sides(config)?;
    let everything = !args.origin && only.is_empty();
    let is_chosen = |side: &&Side<'_>| {
        everything || if side.is_origin() { args.origin } else { only.iter().any(|name| name.as_str() == side.label) }
    };
    let chosen: Vec<&Side<'_>> = sides.iter().filter(is_chosen).collect();
    let with: Vec<Extra> = args.with.iter().flat_map(|with| with.extras()).copied().collect();
    let mut pages = Vec::new();
    if !args.consul {
        for side in &chosen {
            let rights = side.rights(&with);
            let mut page = Page::of(side, &rights);
            page.text = vault_policy(config, &sides, side, &rights, &with)?;
            pages.push(page);
        }
    }
    // one side's policy is for a file of its own
    let alone = chosen.len() == 1 && !out.is_json();
    if args.consul || !alone {
        pages.extend(chosen.iter().filter_map(|side| Some(Page::of_consul(side, &sides, side.consul?))));
    } else if let ([page], Some(_)) = (&mut pages[..], chosen[0].consul) {
        let flag =
            if chosen[0].is_origin() { "--origin".to_owned() } else { format!("--destination {}", chosen[0].label) };
        let _ = write!(page.text, "\n# The rules for its Consul's token: vsync policy {} --consul\n", sanitize(&flag));
    }
    if args.consul && pages.is_empty() {
        return Err(CliError::usage(
            "no Consul is configured for what was asked for, so there are no rules for its tokens",
        ));
    }
    for (at, page) in pages.iter().enumerate() {
        if out.is_json() {
            out.object(&Object::Policy {
                side: page.side,
                system: page.system,
                address: page.address,
                namespace: page.namespace,
                policy: &page.text,
                rules: &page.rules,
            })?;
            continue;
        }
        if at > 0 {
            out.line(format!("\n# {}\n", "=".repeat(78)))?;
        }
        for line in page.text.trim_end().lines() {
            out.line(line)?;
        }
    }
    Ok(Exit::Done)
}

/// One policy.
struct Page<'a> {
    side: &'a str,
    system: &'static str,
    address: &'a str,
    namespace: Option<&'a str>,
    text: String,
    rules: Vec<RuleObject>,
}

impl<'a> Page<'a> {
    fn of(side: &'a Side<'_>, rights: &Rights) -> Self {
        let always = rights.always.iter().map(|right| rights::object(right, None));
        let extras = rights.extras.iter();
        let extras = extras.flat_map(|(extra, all)| all.iter().map(|right| rights::object(right, Some(*extra))));
        Self {
            side: side.label,
            system: "vault",
            address: &side.vault.address,
            namespace: side.vault.namespace.as_deref(),
            text: String::new(),
            rules: always.chain(extras).collect(),
        }
    }

    fn of_consul(side: &'a Side<'_>, sides: &[Side<'_>], consul: &'a Consul) -> Self {
        let mut text = heading(side, "Consul", &consul.address);
        if side.is_origin() {
            comment(
                &mut text,
                "A process that serves destinations alone (\"vsync destination\") writes only reports here, and for KV \
                 version 1 what values it has seen.",
            );
        } else if sides[0].consul == Some(consul) {
            comment(
                &mut text,
                "It is the origin's Consul, reached by the same token: give that one the rules of both.",
            );
        }
        let folder = format!("{}/", side.sync_path.trim_matches('/'));
        let keys = if side.is_origin() { "sync info, reports and locks" } else { "sync info, ledger and locks" };
        let folder = quoted(&folder);
        let _ = write!(
            text,
            "\n# {keys}\nkey_prefix {folder} {{\n  policy = \"write\"\n}}\n\n\
             # a lock lives in a session, on whichever node the agent is\nsession_prefix \"\" {{\n  policy = \"write\"\n}}\n"
        );
        Self { side: side.label, system: "consul", address: &consul.address, namespace: None, text, rules: Vec::new() }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn comment(text: &mut String, line: &str) {
    let _ = writeln!(text, "# {}", sanitize(line));
}

fn heading(side: &Side<'_>, system: &str, address: &str) -> String {
    let mut text = String::new();
    let whose = if side.is_origin() { "origin".to_owned() } else { format!("destination {}", side.label) };
    comment(&mut text, &format!("{whose}: the least that vsync's token needs at {system}, {address}"));
    text
}

fn vault_policy(
    config: &Config,
    sides: &[Side<'_>],
    side: &Side<'_>,
    rights: &Rights,
    with: &[Extra],
) -> Result<String, CliError> {
    let mut text = heading(side, "Vault", &side.vault.address);
    if let Some(namespace) = &side.vault.namespace {
        comment(&mut text, &format!("It belongs in the namespace \"{namespace}\"; its paths are those inside of it."));
    }
    for other in sides.iter().filter(|other| other.label != side.label && side.is_at(other)) {
        let whose = if other.is_origin() { "the origin".to_owned() } else { format!("destination {}", other.label) };
        let (own, others) = (side.rights(with), other.rights(with));
        comment(
            &mut text,
            &if own.get_in_the_way_of(&others) {
                format!(
                    "{whose} is in the same Vault, but give each a token of its own: where rules of both fit a path, only the more specific one holds."
                )
            } else {
                format!("{whose} is in the same Vault: one token may have both policies.")
            },
        );
    }
    for line in widened(config, side)? {
        comment(&mut text, &line);
    }
    if rights.always.iter().all(|right| right.mount.is_none()) {
        comment(&mut text, "No secret goes here: no include glob and no transform leads to its mounts.");
    }
    for right in &rights.always {
        let _ = write!(text, "\n{}\n", rights::with_reasons(right));
    }
    for (extra, rights) in &rights.extras {
        let _ = write!(
            text,
            "\n# ---- optional, {}: remove the \"#\" before its rules, or print it with --with {}\n",
            extra.purpose(),
            extra.name()
        );
        for right in rights {
            text.push_str("#\n");
            for line in rights::with_reasons(right).lines() {
                // a reason is a comment in the comment
                let _ = writeln!(text, "#{}{line}", if line.starts_with('#') { "" } else { " " });
            }
        }
    }
    Ok(text)
}

/// What the configuration says and policies cannot.
fn widened(config: &Config, side: &Side<'_>) -> Result<Vec<String>, CliError> {
    let mounts = connect::mounts(&config.origin.mounts).map_err(connect::ConnectError::from)?;
    let destination = config.destinations.iter().find(|one| !side.is_origin() && one.name == side.label);
    let (include, exclude) = destination.map_or((&config.origin.include, &config.origin.exclude), |destination| {
        (&destination.include, &destination.exclude)
    });
    let mut lines = Vec::new();
    for glob in include {
        let filter = PathFilter::new(std::slice::from_ref(glob), &[], &mounts).map_err(connect::ConnectError::from)?;
        if filter.scopes().unwrap_or_default().iter().any(|pattern| !pattern.is_exact()) {
            lines.push(format!(
                "include \"{glob}\": no policy can say just that, so the next wider pattern is allowed."
            ));
        }
    }
    if !exclude.is_empty() {
        lines.push(
            "exclude: rules cannot leave out a part of what they allow, so it makes none of them narrower.".to_owned(),
        );
    }
    if let Some(destination) = destination {
        let transforms = connect::transforms(destination).map_err(connect::ConnectError::from)?;
        for (name, image) in transforms.images() {
            if !image.is_exact() {
                lines.push(format!(
                    "transform \"{name}\": where it leads is only known by its text and by groups without a slash, so what they leave open is allowed."
                ));
            }
        }
    }
    Ok(lines)
}
