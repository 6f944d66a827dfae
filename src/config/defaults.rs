//! Puts into the tree what nobody set, so that the tree is the whole effective configuration.

use std::path::{Path, PathBuf};

use etcetera::{AppStrategy, AppStrategyArgs};

use super::check::Check;
use super::document::{Data, Node, Place, Step};
use super::layer::from_text;
use super::schema::{self, Key, Kind};

/// Fills in every default.
pub(super) fn fill(root: &mut Node, check: &mut Check) {
    section(schema::ROOT, root, "", check);
    let origin_mounts = root.at(&[Step::Key("origin"), Step::Key("mounts")]).cloned();
    let origin_consul = root.at(&[Step::Key("origin"), Step::Key("consul")]).cloned();
    let canary = root.get("canary").cloned();
    let fidelity = root.get("fidelity").cloned();
    let count = root.get("destinations").map_or(0, |list| list.items().len());
    for index in 0..count {
        let at = |key| [Step::Key("destinations"), Step::Index(index), Step::Key(key)];
        let mut inherit = |key, from, value: Option<&Node>| {
            if root.at(&at(key)).is_none()
                && let Some(value) = value
            {
                root.set(&at(key), moved(value, &Place::Inherited(from)));
            }
        };
        inherit("mounts", "origin.mounts", origin_mounts.as_ref());
        inherit("consul", "origin.consul", origin_consul.as_ref());
        inherit("canary", "canary", canary.as_ref());
        inherit("fidelity", "fidelity", fidelity.as_ref());
        if root.at(&at("sync_path")).is_none()
            && let Some(name) = root.at(&at("name")).and_then(Node::as_text)
        {
            let path = format!("vsync/{name}/");
            root.set(&at("sync_path"), Node::text(path, Place::Default));
        }
    }
    let name = root.get("name").and_then(Node::as_text).unwrap_or("vsync").to_owned();
    for (table, file) in [("state", format!("{name}.redb")), ("log", "logs/vsync.log".to_owned())] {
        let at = [Step::Key(table), Step::Key("file")];
        if root.at(&at).is_none() {
            let path = state_folder().join(Path::new(&file));
            root.set(&at, Node::text(path.display().to_string(), Place::Default));
        }
    }
}

fn section(keys: &'static [Key], node: &mut Node, path: &str, check: &mut Check) {
    for key in keys {
        if let (None, Some(default)) = (node.get(key.name), key.default)
            && let Some(value) = check.value(key, from_text(key, default, Place::Default), path)
        {
            node.set(&[Step::Key(key.name)], value);
        }
        let Data::Table(entries) = &mut node.data else { continue };
        let Some(entry) = entries.iter_mut().find(|entry| entry.key == key.name) else { continue };
        match (key.kind, &mut entry.value.data) {
            (Kind::Table(keys), _) => section(keys, &mut entry.value, path, check),
            (Kind::Tables(keys), Data::List(items)) => {
                for item in items {
                    section(keys, item, path, check);
                }
            }
            _ => {}
        }
    }
}

/// The same value, as if it had been set elsewhere.
fn moved(node: &Node, place: &Place) -> Node {
    Node::from_json(node.to_json(), place)
}

/// `$XDG_STATE_HOME/vsync`.
fn state_folder() -> PathBuf {
    let app = AppStrategyArgs { top_level_domain: String::new(), author: String::new(), app_name: "vsync".to_owned() };
    etcetera::app_strategy::Xdg::new(app)
        .ok()
        .and_then(|folders| folders.state_dir())
        .unwrap_or_else(|| PathBuf::from("."))
}
