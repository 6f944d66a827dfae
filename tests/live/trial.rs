//! An origin and a destination with a proxy before each, and the built program between them.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::{BaoServer, FaultProxy, RootClient, Run, Vsync, canary};

/// Secrets in each folder of [`seed`]. Enough that a handful of deletes is no mass deletion.
pub(crate) const EACH: usize = 80;

/// The mounts on both sides.
const MOUNTS: [&str; 2] = ["secret", "more"];

/// What is not as usual, in TOML.
#[derive(Default)]
pub(crate) struct Setup<'a> {
    /// Keys of the origin.
    pub(crate) origin: &'a str,
    /// Keys of the destination.
    pub(crate) destination: &'a str,
    /// Whole sections behind all others.
    pub(crate) sections: &'a str,
    /// How often requests to either Vault are repeated.
    pub(crate) retries: u32,
}

/// Two empty servers with the same mounts, each behind a proxy.
pub(crate) struct Trial {
    pub(crate) origin: BaoServer,
    pub(crate) destination: BaoServer,
    pub(crate) at_origin: FaultProxy,
    pub(crate) at_destination: FaultProxy,
    pub(crate) vsync: Vsync,
}

impl Trial {
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        let (origin, destination) = (BaoServer::start(), BaoServer::with_audit());
        let (at_origin, at_destination) =
            (FaultProxy::start(&origin.address()), FaultProxy::start(&destination.address()));
        for server in [&origin, &destination] {
            server.client().enable_kv("more");
        }
        let Setup { origin: of_origin, destination: of_destination, sections, retries } = setup;
        let vault = |proxy: &FaultProxy| {
            format!("address = \"{}\"\ntoken = \"least\"\nmax_retries = {retries}\n", proxy.address())
        };
        let vsync = Vsync::new(&format!(
            "[origin]\nmounts = [\"secret\", \"more\"]\n{of_origin}\n[origin.vault]\n{}\
             [[destinations]]\nname = \"copy\"\nmounts = [\"secret\", \"more\"]\n{of_destination}\n\
             [destinations.vault]\n{}{sections}\n",
            vault(&at_origin),
            vault(&at_destination),
        ));
        Self { origin, destination, at_origin, at_destination, vsync }
    }

    pub(crate) fn sync(&self) -> Run {
        self.vsync.run(&["sync", "--yes"])
    }

    pub(crate) fn assert_equal(&self) {
        assert_same(&contents(&self.destination.client()), &contents(&self.origin.client()));
    }

    /// No secret at the destination has had more than this many versions, and each has it.
    pub(crate) fn assert_versions(&self, version: u64) {
        for mount in MOUNTS {
            let secrets = self.destination.client().metadata_all(mount);
            let wrong: Vec<_> = secrets.iter().filter(|(_, metadata)| metadata["current_version"] != version).collect();
            assert!(wrong.is_empty(), "{} with another version: {:?}", wrong.len(), &wrong[..wrong.len().min(3)]);
        }
    }

    /// Gone from the origin.
    pub(crate) fn remove(&self, mount: &str, name: &str) {
        self.origin.client().remove(mount, name);
    }

    pub(crate) fn is_copied(&self, mount: &str, name: &str) -> bool {
        self.destination.client().read(mount, name).is_some()
    }
}

/// `team-a` and `team-b` in one mount, `team-c` in the other.
pub(crate) fn seed(client: &RootClient) {
    let folder = |folder: &str| {
        let folder = folder.to_owned();
        (0..EACH)
            .map(move |n| (format!("{folder}/app-{n}"), json!({ "folder": folder, "n": n, "password": canary(n) })))
    };
    client.write_all("secret", folder("team-a").chain(folder("team-b")));
    client.write_all("more", folder("team-c"));
}

/// `MOUNT/NAME` → value.
pub(crate) fn contents(client: &RootClient) -> BTreeMap<String, String> {
    let of = |mount: &'static str| {
        client.read_all(mount).into_iter().map(move |(name, data)| (format!("{mount}/{name}"), data))
    };
    MOUNTS.into_iter().flat_map(of).collect()
}

/// Not `assert_eq`: thousands of secrets in a message help nobody.
pub(crate) fn assert_same(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) {
    let wrong: Vec<_> = expected.iter().filter(|(name, data)| found.get(*name) != Some(data)).collect();
    assert!(wrong.is_empty(), "{} missing or different: {:?}", wrong.len(), &wrong[..wrong.len().min(3)]);
    let extra: Vec<_> = found.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(extra.is_empty(), "{} too many: {:?}", extra.len(), &extra[..extra.len().min(3)]);
}
