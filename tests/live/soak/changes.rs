//! What people do at the origin all the time: add, update, delete, undelete, remove.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::RootClient;

/// In every value, and nowhere else.
pub(super) const CANARY: &str = "canary-7b1e94d2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Live,
    /// Its newest version is deleted and can be undeleted.
    Deleted,
    /// It has no versions and no metadata any more.
    Gone,
}

#[derive(Debug)]
struct Secret {
    mount: &'static str,
    name: String,
    standing: Standing,
    version: u64,
    /// How often something became readable here that was not before: a destination needs no more versions than this.
    calls: u64,
}

/// The origin's secrets and what was done to them.
pub(super) struct Changes {
    client: RootClient,
    random: Rng,
    /// How many are to be live, more or less.
    size: usize,
    secrets: Vec<Secret>,
    /// Kind of change → how many of them.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

fn place(number: usize) -> (&'static str, String) {
    let team = number % 37;
    match number % 8 {
        0 => ("secret", format!("runner/{}/app-{number}", if number.is_multiple_of(16) { "dev" } else { "prod" })),
        1 | 2 => ("more", format!("team-{team}/app-{number}")),
        3 => ("secret", format!("team-{team}/odd ü %2F ?#+{number}")),
        _ => ("secret", format!("team-{team}/app-{number}")),
    }
}

impl Changes {
    /// Writes the first secrets.
    pub(super) fn begin(client: RootClient, size: usize, seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        let mut changes = Self { client, random, size, secrets: Vec::new(), counts: BTreeMap::new() };
        changes.grow(size);
        // they are no changes
        changes.counts.clear();
        changes
    }

    /// One change, or, now and then, many at once.
    pub(super) fn next(&mut self) {
        match self.random.u32(..1_000) {
            0..4 => self.update_many(40),
            4..580 => self.update(),
            580..700 => self.add_or_remove(),
            700..830 => self.delete(),
            830..930 => self.undelete(),
            930..960 => self.write_over_deleted(),
            _ => self.remove(),
        }
    }

    /// `MOUNT/NAME` → how many versions a destination may have of it.
    pub(super) fn calls(&self) -> BTreeMap<String, u64> {
        self.secrets.iter().map(|secret| (format!("{}/{}", secret.mount, secret.name), secret.calls)).collect()
    }

    fn count(&mut self, kind: &'static str, by: u64) {
        *self.counts.entry(kind).or_default() += by;
    }

    fn any(&mut self, standing: Standing) -> Option<usize> {
        let from = self.random.usize(..self.secrets.len());
        (from..self.secrets.len()).chain(0..from).find(|at| self.secrets[*at].standing == standing)
    }

    fn live(&self) -> usize {
        self.secrets.iter().filter(|secret| secret.standing == Standing::Live).count()
    }

    fn value(&mut self, at: usize) -> Value {
        let filling: String = std::iter::repeat_with(|| self.random.alphanumeric()).take(120).collect();
        let Secret { name, version, .. } = &self.secrets[at];
        json!({ "password": format!("{CANARY}-{filling}"), "of": name, "version": version })
    }

    fn bump(&mut self, at: usize) -> (&'static str, String, Value) {
        let secret = &mut self.secrets[at];
        secret.standing = Standing::Live;
        secret.version += 1;
        secret.calls += 1;
        let (mount, name) = (secret.mount, secret.name.clone());
        (mount, name, self.value(at))
    }

    fn write(&mut self, at: usize) {
        let (mount, name, value) = self.bump(at);
        self.client.write(mount, &name, &value);
    }

    fn grow(&mut self, by: usize) {
        let from = self.secrets.len();
        let mut values: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
        for number in from..from + by {
            let (mount, name) = place(number);
            self.secrets.push(Secret { mount, name, standing: Standing::Live, version: 0, calls: 0 });
            let (mount, name, value) = self.bump(number);
            values.entry(mount).or_default().push((name, value));
        }
        for (mount, values) in values {
            self.client.write_all(mount, values);
        }
        self.count("added", by as u64);
    }

    fn add_or_remove(&mut self) {
        if self.live() > self.size {
            self.remove();
        } else if let Some(at) = self.any(Standing::Gone).filter(|_| self.random.bool()) {
            // the same name again, with version 1
            self.secrets[at].version = 0;
            self.write(at);
            self.count("made anew", 1);
        } else {
            self.grow(1);
        }
    }

    fn update(&mut self) {
        if let Some(at) = self.any(Standing::Live) {
            self.write(at);
            self.count("updated", 1);
        }
    }

    fn update_many(&mut self, many: usize) {
        let mut chosen: Vec<usize> = (0..many).filter_map(|_| self.any(Standing::Live)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        let mut values: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
        for at in &chosen {
            let (mount, name, value) = self.bump(*at);
            values.entry(mount).or_default().push((name, value));
        }
        for (mount, values) in values {
            self.client.write_all(mount, values);
        }
        self.count("updated", chosen.len() as u64);
    }

    fn delete(&mut self) {
        if let Some(at) = self.any(Standing::Live) {
            let secret = &mut self.secrets[at];
            secret.standing = Standing::Deleted;
            self.client.delete(secret.mount, &secret.name);
            self.count("deleted", 1);
        }
    }

    fn undelete(&mut self) {
        let Some(at) = self.any(Standing::Deleted) else { return self.update() };
        let secret = &mut self.secrets[at];
        secret.standing = Standing::Live;
        secret.calls += 1;
        let versions = json!({ "versions": [secret.version] });
        let path = format!("{}/undelete/{}", secret.mount, secret.name);
        let (status, answer) = self.client.request("PUT", &path, Some(versions));
        assert_eq!(status, 204, "{path}: {answer}");
        self.count("undeleted", 1);
    }

    fn write_over_deleted(&mut self) {
        if let Some(at) = self.any(Standing::Deleted) {
            self.write(at);
            self.count("written over a deleted one", 1);
        }
    }

    fn remove(&mut self) {
        let standing = if self.random.bool() { Standing::Live } else { Standing::Deleted };
        if let Some(at) = self.any(standing) {
            let secret = &mut self.secrets[at];
            secret.standing = Standing::Gone;
            self.client.remove(secret.mount, &secret.name);
            self.count("removed with all versions", 1);
        }
    }
}
