//! Mounts that are missing at a destination.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::support::{Fault, RootClient, When, canary, token_with};
use crate::trial::{Setup, Trial};

fn trial(destination: &str) -> Trial {
    let trial = Trial::start(&Setup { destination, ..Setup::default() });
    trial.destination.client().disable_mount("more");
    trial
}

/// The options of `more` at the origin that are not as usual, and three secrets in it.
fn fill(trial: &Trial) {
    let origin = trial.origin.client();
    must(
        &origin,
        "POST",
        "sys/mounts/more/tune",
        &json!({
            "description": "ours, all ours", "default_lease_ttl": "3600s", "max_lease_ttl": "7200s",
        }),
    );
    let config = json!({ "max_versions": 7, "cas_required": true, "delete_version_after": "8760h" });
    must(&origin, "POST", "more/config", &config);
    for n in 0..3 {
        let body = json!({ "data": { "n": canary(n) }, "options": { "cas": 0 } });
        must(&origin, "POST", &format!("more/data/app-{n}"), &body);
    }
    origin.write("secret", "app", &json!({ "n": canary(0) }));
}

fn must(client: &RootClient, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = client.request(method, path, Some(body.clone()));
    assert!(status < 300, "{method} {path}: {status} {answer}");
    answer
}

fn mount(client: &RootClient, name: &str) -> Option<Value> {
    let (status, answer) = client.request("GET", &format!("sys/mounts/{name}"), None);
    (status == 200).then(|| answer["data"].clone())
}

#[test]
fn a_missing_mount_is_created_with_the_options_of_the_origin() {
    let trial = trial("create_mounts = true");
    fill(&trial);
    let destination = trial.destination.client();
    let plan = trial.vsync.run(&["plan"]).expect(2);
    let said = "copy: a mount is missing and is created first: more/ like the origin's more/ (max_versions 7, cas_required, delete_version_after 8760h0m0s)";
    assert!(plan.stdout.contains(said), "{}", plan.stdout);
    let plan = trial.vsync.run(&["plan", "--output", "json"]).expect(2);
    assert!(plan.stdout.contains("\"creates_mounts\":[\"more/\"]"), "{}", plan.stdout);
    let _ = trial.vsync.run(&["sync", "--dry-run"]);
    assert_eq!(mount(&destination, "more"), None, "nothing is created before a cycle");

    let _ = trial.sync().expect(0);
    let made = mount(&destination, "more").unwrap();
    assert_eq!((&made["type"], &made["options"]["version"]), (&json!("kv"), &json!("2")));
    assert_eq!(made["description"], "ours, all ours");
    assert_eq!((&made["config"]["default_lease_ttl"], &made["config"]["max_lease_ttl"]), (&json!(3600), &json!(7200)));
    let (_, config) = destination.request("GET", "more/config", None);
    let config = &config["data"];
    assert_eq!(
        (&config["max_versions"], &config["cas_required"], &config["delete_version_after"]),
        (&json!(7), &json!(true), &json!("8760h0m0s"))
    );
    for n in 0..3 {
        assert_eq!(destination.read("more", &format!("app-{n}")), Some(json!({ "n": canary(n) })));
    }
    assert!(trial.vsync.run(&["sync", "--yes"]).expect(0).stdout.contains("nothing to do"));
}

#[test]
fn without_create_mounts_it_says_what_would_help() {
    let trial = trial("");
    fill(&trial);
    let failed = trial.sync().expect(3);
    assert!(
        failed.stdout.contains("no handler for route") && failed.stdout.contains("create_mounts = true"),
        "{}",
        failed.stdout
    );
    assert_eq!(mount(&trial.destination.client(), "more"), None);
    assert!(trial.is_copied("secret", "app"), "the other mount is none of its business");
}

#[test]
fn a_token_that_may_not_create_it_is_told_which_policy_it_needs() {
    let trial = trial("create_mounts = true");
    fill(&trial);
    let destination = trial.destination.client();
    let rules = |more: &str| {
        format!(
            "path \"+/data/*\" {{ capabilities = [\"create\", \"update\", \"delete\"] }}
             path \"+/metadata/*\" {{ capabilities = [\"read\"] }}\n{more}"
        )
    };
    let sync = |token: &str| {
        let token = format!("destinations.copy.vault.token={token}");
        trial.vsync.run(&["sync", "--yes", "--set", &token])
    };
    let poor = destination.policy_token("poor", &rules(""));
    let refused = sync(&poor).expect(1);
    let said = [
        "path \"sys/mounts/more\" { capabilities = [\"update\"] }",
        "path \"more/config\" { capabilities = [\"update\"] }",
        "nothing was written",
    ];
    for said in said {
        assert!(refused.stdout.contains(said), "{}", refused.text());
    }
    assert_eq!(mount(&destination, "more"), None);
    assert!(!trial.is_copied("secret", "app"), "nothing is written before the mounts are there");

    // what it said it needs is all it needs
    let enough = "path \"sys/mounts/more\" { capabilities = [\"update\"] }
                  path \"more/config\" { capabilities = [\"update\"] }";
    let enough = destination.policy_token("enough", &rules(enough));
    let _ = sync(&enough).expect(0);
    assert!(trial.is_copied("more", "app-2"));
}

#[test]
fn another_engine_in_its_place_is_not_touched() {
    for (body, found) in
        [(json!({ "type": "kv" }), "KV version 1"), (json!({ "type": "transit" }), "a mount of type transit")]
    {
        let trial = trial("create_mounts = true");
        fill(&trial);
        let destination = trial.destination.client();
        must(&destination, "POST", "sys/mounts/more", &body);
        let before = mount(&destination, "more");
        let refused = trial.sync().expect(4);
        assert!(refused.stdout.contains(&format!("more/ is {found} at the destination")), "{}", refused.text());
        assert_eq!(mount(&destination, "more"), before);
    }
}

#[test]
fn somebody_else_may_create_it_meanwhile() {
    let trial = trial("create_mounts = true");
    fill(&trial);
    let destination = trial.destination.client();
    // the request is on its way when the other one's is done
    let rule = trial.at_destination.rule("POST", "^/v1/sys/mounts/more", When::First(1), Fault::Hold);
    let sync = trial.vsync.spawn(&["sync", "--yes"]);
    rule.wait_until_picked(1);
    destination.enable_kv("more");
    rule.release();
    let _ = sync.wait().expect(0);
    assert!(trial.is_copied("more", "app-0"));
    let (_, config) = destination.request("GET", "more/config", None);
    assert_eq!(config["data"]["max_versions"], 0, "it is the other one's: {config}");
}

#[test]
fn a_transform_leads_to_a_mount_that_is_created() {
    let trial = Trial::start(&Setup {
        destination: "create_mounts = true\ninclude = [\"more/**\"]",
        sections: "[[destinations.transforms]]\nname = \"elsewhere\"\nfrom = '^more/data/(?P<name>.+)$'\nto = \"other/data/${name}\"\n",
        ..Setup::default()
    });
    fill(&trial);
    let destination = trial.destination.client();
    let mounts = ["--set", "destinations.copy.mounts=other/,unused/"];
    // the file's token is for the file's mounts
    let token = token_with(&destination, &trial.vsync.policies(&mounts)[1]);
    let token = format!("destinations.copy.vault.token={token}");
    let done = trial.vsync.run(&[&mounts[..], &["--set", &token, "sync", "--yes"]].concat()).expect(0);
    assert!(done.stdout.contains("other/ like the origin's more/"), "{}", done.stdout);
    assert_eq!(destination.read("other", "app-1"), Some(json!({ "n": canary(1) })));
    assert_eq!(mount(&destination, "unused"), None, "nothing goes there");
    let (_, config) = destination.request("GET", "other/config", None);
    assert_eq!(config["data"]["max_versions"], 7);
}
