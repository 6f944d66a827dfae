//! The effective configuration, row by row.

use serde::Serialize;
use serde_json::Value;

use super::check::join;
use super::document::Node;
use super::load::Loaded;
use super::schema::{self, Key, Kind};

/// What stands for a value that is not shown.
const MASK: &str = "********";

/// One key with its value and where it was set.
#[derive(Debug, Clone, Serialize)]
pub struct Setting {
    /// `destinations.us-east.vault.address`.
    pub key: String,
    /// The value; secrets are masked.
    pub value: Value,
    /// `vsync.toml:3:11`, `environment VSYNC_…`, `flag --set …`, `default`.
    pub place: String,
}

impl Loaded {
    /// Every key that has a value.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let mut settings = Vec::new();
        walk(schema::ROOT, &self.root, "", &mut settings);
        settings
    }
}

fn walk(keys: &'static [Key], node: &Node, path: &str, settings: &mut Vec<Setting>) {
    for key in keys {
        let Some(value) = node.get(key.name) else { continue };
        let name = join(path, key.name);
        match key.kind {
            Kind::Table(keys) => walk(keys, value, &name, settings),
            Kind::Tables(keys) => {
                for (index, item) in value.items().iter().enumerate() {
                    let label =
                        item.get("name").and_then(Node::as_text).map_or_else(|| index.to_string(), str::to_owned);
                    walk(keys, item, &join(&name, &label), settings);
                }
            }
            _ => settings.push(Setting { value: shown(key, value), place: value.place.to_string(), key: name }),
        }
    }
}

fn shown(key: &Key, value: &Node) -> Value {
    if matches!(key.kind, Kind::Secret) { MASK.into() } else { value.to_json() }
}
