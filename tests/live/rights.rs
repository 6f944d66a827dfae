//! Rights that end in mid-cycle: a given token of the origin, and Consul's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    BaoServer, ConsulOptions, ConsulServer, Fault, FaultProxy, FaultRule, Running, Vsync, When, canary, token_with,
};
use crate::trial::{Setup, Trial};

const COUNT: usize = 60;

fn secret(n: usize, round: u32) -> (String, Value) {
    (format!("app-{n:02}"), json!({ "n": canary(n), "round": round }))
}

/// The destination's part of what a command reports.
fn part(stdout: &str) -> Value {
    let objects = stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    objects.into_iter().find(|one| one["type"] == "report").unwrap()["destinations"][0].clone()
}

#[test]
fn a_given_token_of_the_origin_that_is_revoked_in_mid_cycle_deletes_nothing() {
    let (origin, there) = (BaoServer::start(), BaoServer::start());
    let proxy = FaultProxy::start(&origin.address());
    let (here, copy) = (origin.client(), there.client());
    here.write_all("secret", (0..COUNT).map(|n| secret(n, 1)));
    let vsync = Vsync::new(&format!(
        "[origin]\nmounts = [\"secret\"]\n[origin.vault]\naddress = \"{}\"\ntoken_file = \"token\"\nmax_retries = 1\n\
         [[destinations]]\nname = \"copy\"\nnum_workers = 2\n[destinations.vault]\naddress = \"{}\"\ntoken = \"least\"\n",
        proxy.address(),
        there.address()
    ));
    let rights = vsync.run(&["policy", "--origin"]).expect(0).stdout;
    let new_token = || {
        let token = token_with(&here, &rights);
        let file = vsync.folder().join("token");
        fs::write(&file, &token).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        token
    };
    let token = new_token();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    // changes, and deletes before and behind them
    here.write_all("secret", (5..55).map(|n| secret(n, 2)));
    let gone = ["app-00", "app-01", "app-58", "app-59"];
    for name in gone {
        here.remove("secret", name);
    }
    let held = proxy.rule("GET", "^/v1/secret/data/", When::From(11), Fault::Hold);
    let cycle = vsync.spawn(&["--output", "json", "sync", "--yes"]);
    held.wait_until_picked(2);
    let before = copy.read_all("secret");
    here.revoke(&token);
    held.remove();
    let run = cycle.wait().expect(1);
    assert_eq!(copy.read_all("secret"), before, "nothing is written or deleted any more: {}", run.text());
    let done = part(&run.stdout);
    assert!(!run.stdout.contains("\"type\":\"failure\""), "{}", run.text());
    assert!(done["blocked"].as_str().unwrap().contains("no longer"), "{done}");
    let left = |key: &str| done[key].as_u64().unwrap();
    assert_eq!(
        done["done"]["update"].as_u64().unwrap() + done["done"]["delete"].as_u64().unwrap() + left("pending"),
        54
    );
    assert_eq!((left("failed"), done["done"]["update"].as_u64().unwrap()), (0, 10), "{done}");
    // and nothing is begun
    let again = vsync.run(&["sync", "--yes"]).expect(1);
    assert_eq!(copy.read_all("secret"), before, "{}", again.text());

    let _ = new_token();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(copy.read_all("secret"), here.read_all("secret"));
    for (name, metadata) in copy.metadata_all("secret") {
        let n: usize = name.trim_start_matches("app-").parse().unwrap();
        assert_eq!(metadata["current_version"], if (5..55).contains(&n) { 2 } else { 1 }, "{name} was written twice");
    }
    let _ = vsync.run(&["plan"]).expect(0);
}

const MASTER: &str = "5d1f7a06-6c7a-4d9b-8a7e-3a3f0f6f9d11";

/// What `vsync policy --consul` prints.
const RULES: &str = "key_prefix \"vsync/\" { policy = \"write\" }\nsession_prefix \"\" { policy = \"write\" }";

/// A Consul that allows nothing without a token.
struct Guarded(ConsulServer);

impl Guarded {
    fn start() -> Self {
        Self(ConsulServer::with(ConsulOptions { acl_token: Some(MASTER), ..ConsulOptions::default() }))
    }

    async fn acl(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let request = reqwest::Client::new().request(method, format!("{}/v1/acl/{path}", self.0.address()));
        let answer = request.header("X-Consul-Token", MASTER).body(body.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.error_for_status().unwrap().text().await.unwrap()).unwrap()
    }

    /// A policy of this name, new or changed.
    async fn policy(&self, id: Option<&str>, rules: &str) -> String {
        let body = json!({ "ID": id, "Name": "vsync", "Rules": rules });
        let path = id.map_or("policy".to_owned(), |id| format!("policy/{id}"));
        self.acl(reqwest::Method::PUT, &path, body).await["ID"].as_str().unwrap().to_owned()
    }

    /// A token with the policy: its accessor and itself.
    async fn token(&self) -> (String, String) {
        let made = self.acl(reqwest::Method::PUT, "token", json!({ "Policies": [{ "Name": "vsync" }] })).await;
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        (text("AccessorID"), text("SecretID"))
    }
}

/// Empty sides with their state in the Consul, where this token is used.
fn trial(consul: &Guarded, token: &str) -> Trial {
    let of = |side: &str| {
        let address = consul.0.address();
        format!("\n[{side}.consul]\naddress = \"{address}\"\ntoken = \"{token}\"\ntimeout = \"2s\"\nmax_retries = 1\n")
    };
    let sections = of("destinations") + &of("origin");
    let trial =
        Trial::start(&Setup { destination: "num_workers = 4", sections: &sections, retries: 1, ..Setup::default() });
    trial.origin.client().write_all("secret", (0..COUNT).map(|n| secret(n, 1)));
    trial
}

fn middle(trial: &Trial) -> (Running, FaultRule) {
    let held = trial.at_destination.rule("POST", "/data/", When::From(20), Fault::Hold);
    let cycle = trial.vsync.spawn(&["sync", "--yes"]);
    held.wait_until_picked(4);
    (cycle, held)
}

/// Syncs until whoever cannot let go of a lock has lost it.
fn sync_when_unlocked(trial: &Trial) {
    let start = Instant::now();
    let mut run = trial.sync();
    while run.code == Some(5) && start.elapsed() < Duration::from_secs(45) {
        sleep(Duration::from_millis(500));
        run = trial.sync();
    }
    let _ = run.expect(0);
}

fn assert_all_written_once(trial: &Trial) {
    trial.assert_equal();
    trial.assert_versions(1);
    let writes = trial.at_destination.requests("POST", "/data/");
    assert_eq!(writes.iter().filter(|write| write.by_server == Some(200)).count(), COUNT, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consul_that_denies_in_mid_cycle_loses_no_work() {
    let consul = Guarded::start();
    let policy = consul.policy(None, RULES).await;
    let (_, token) = consul.token().await;
    let trial = trial(&consul, &token);
    let (cycle, held) = middle(&trial);
    // it may look, and let go of its lock, and write nothing
    let _ = consul
        .policy(Some(&policy), "key_prefix \"\" { policy = \"read\" }\nsession_prefix \"\" { policy = \"write\" }")
        .await;
    held.remove();
    let run = cycle.wait().expect(1);
    let told = run.text();
    assert!(told.contains("ermission denied") || told.contains("403"), "{told}");
    let copied = trial.destination.client().read_all("secret").len();
    assert!(copied >= 20, "{copied}");
    // without what records it, nothing is begun
    let _ = trial.sync().expect(1);
    assert_eq!(trial.destination.client().read_all("secret").len(), copied);

    let _ = consul.policy(Some(&policy), RULES).await;
    sync_when_unlocked(&trial);
    assert_all_written_once(&trial);
    let _ = trial.vsync.run(&["plan"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_consul_that_is_revoked_in_mid_cycle_loses_no_work() {
    let consul = Guarded::start();
    let _ = consul.policy(None, RULES).await;
    let (accessor, token) = consul.token().await;
    let trial = trial(&consul, &token);
    let (cycle, held) = middle(&trial);
    let _ = consul.acl(reqwest::Method::DELETE, &format!("token/{accessor}"), Value::Null).await;
    held.remove();
    let run = cycle.wait().expect(1);
    assert!(run.text().contains(&consul.0.address()), "the place is named: {}", run.text());
    assert!(!run.text().contains(&token), "{}", run.text());
    let copied = trial.destination.client().read_all("secret").len();
    assert!(copied >= 20, "{copied}");

    let config = fs::read_to_string(trial.vsync.folder().join("vsync.toml")).unwrap();
    let (_, new) = consul.token().await;
    trial.vsync.configure(&config.replace(&token, &new));
    sync_when_unlocked(&trial);
    assert_all_written_once(&trial);
    let _ = trial.vsync.run(&["plan"]).expect(0);
}
