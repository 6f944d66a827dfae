//! What the commands say when something is missing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulOptions, ConsulServer, Vsync, canary};

#[derive(Clone, Copy)]
struct Given<'a> {
    origin: &'a BaoServer,
    destination: &'a BaoServer,
    origin_token: &'a str,
    destination_token: &'a str,
    of_origin: &'a str,
    of_destination: &'a str,
}

impl Given<'_> {
    fn config(&self) -> String {
        format!(
            "origin.mounts = [\"secret\"]\n{}\norigin.vault = {{ address = \"{}\", token = \"{}\" }}\n\
             [[destinations]]\nname = \"copy\"\n{}\nvault = {{ address = \"{}\", token = \"{}\" }}\n",
            self.of_origin,
            self.origin.address(),
            self.origin_token,
            self.of_destination,
            self.destination.address(),
            self.destination_token,
        )
    }
}

fn given<'a>(origin: &'a BaoServer, destination: &'a BaoServer) -> Given<'a> {
    let (origin_token, destination_token) = ("least", "least");
    Given { origin, destination, origin_token, destination_token, of_origin: "", of_destination: "" }
}

/// The findings of `check` about one subject, by side, with their verdicts.
fn findings(vsync: &Vsync, arguments: &[&str], subject: &str, code: i32) -> Vec<(String, bool, String)> {
    let run = vsync.run(&[&["check", "--output", "json"], arguments].concat()).expect(code);
    let findings = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    findings
        .filter(|finding| finding["subject"] == subject)
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
            (text("side"), finding["ok"] == true, format!("{}; {}", text("detail"), text("next_step")))
        })
        .collect()
}

#[test]
fn a_thousand_refusals_fit_on_a_screen_and_the_report_has_them_all() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    origin.client().write_all("secret", (0..130).map(|i| (format!("app-{i}"), json!({ "i": canary(i) }))));
    let reader = destination.client().policy_token("reader", r#"path "secret/*" { capabilities = ["read"] }"#);
    let vsync = Vsync::new(&Given { destination_token: &reader, ..given(&origin, &destination) }.config());

    let failures = |text: &str| text.lines().filter(|line| line.starts_with("    copy  add secret/app-")).count();
    let run = vsync.run(&["sync", "--yes"]).expect(3);
    assert_eq!(failures(&run.stdout), 50, "{}", run.stdout);
    assert!(run.stdout.contains("! permission: 130. "), "{}", run.stdout);
    let rest = run.stdout.lines().find(|line| line.starts_with("… and 80 more; \"vsync history ")).unwrap();
    let cycle = rest.split(['"', ' ']).find(|part| part.len() == 36).unwrap();
    assert_eq!(failures(&vsync.run(&["history", cycle]).expect(0).stdout), 130);
    let folder = tempfile::tempdir().unwrap();
    for (extension, count) in
        [("html", "permission</span>: 130"), ("csv", "failure,"), ("json", "\"cause\": \"permission\"")]
    {
        let file = folder.path().join(format!("report.{extension}"));
        let name = file.to_str().unwrap();
        let run = vsync.run(&["history", cycle, "--export", name]).expect(0);
        assert!(run.stdout.contains(name), "{}", run.stdout);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(count) && text.contains("app-129"), "{text}");
        let again = vsync.run(&["history", cycle, "--export", name]).expect(64);
        assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    }
    let _ = vsync.run(&["history", cycle, "--export", "report.pdf"]).expect(64);
    let run = vsync.run(&["retry", "--yes", "--output", "json"]).expect(3);
    assert_eq!(run.stdout.lines().filter(|line| line.contains(r#""type":"failure""#)).count(), 130);
}

#[test]
fn nothing_to_do_is_not_said_of_what_could_not_be_read() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let client = origin.client();
    client.write("secret", "open/app", &json!({ "a": canary(1) }));
    client.write("secret", "closed/app", &json!({ "a": canary(1) }));
    let vsync = Vsync::new(&given(&origin, &destination).config());
    let (reader, allowed) = client.policy_of(&vsync.tokens()[0]);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(vsync.run(&["sync", "--yes"]).expect(0).stdout.contains("There is nothing to do."));

    let closed: String = ["metadata", "detailed-metadata"]
        .map(|kind| format!("\npath \"secret/{kind}/closed/*\" {{ capabilities = [\"deny\"] }}"))
        .concat();
    client.policy(&reader, &format!("{allowed}{closed}"));
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    assert!(run.stdout.contains("Nothing was done, because part of the origin could not be read"), "{}", run.stdout);
    assert!(!run.stdout.contains("There is nothing to do"), "{}", run.stdout);

    client.write("secret", "closed/app", &json!({ "a": canary(2) }));
    client.policy(&reader, &allowed.replace("secret/", "other/"));
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    assert!(!run.text().contains("nothing to do"), "{}", run.text());
}

#[test]
fn check_asks_for_no_more_than_include_globs_need() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let narrow_read = r#"
        path "secret/metadata/" { capabilities = ["list"] }
        path "secret/metadata/team/a/*" { capabilities = ["list", "read"] }
        path "secret/data/team/a/*" { capabilities = ["read"] }"#;
    let read = format!("{narrow_read}\npath \"secret/metadata/team/\" {{ capabilities = [\"list\"] }}");
    let narrow_read = origin.client().policy_token("narrow-reader", narrow_read);
    let reader = origin.client().policy_token("reader", &read);
    let write = r#"path "secret/data/team/a/*" { capabilities = ["create", "update", "delete"] }
        path "secret/metadata/team/a/*" { capabilities = ["read"] }"#;
    let writer = destination.client().policy_token("writer", write);
    let for_team = Given {
        origin_token: &reader,
        destination_token: &writer,
        of_origin: "origin.include = [\"secret/team/a/**\"]",
        ..given(&origin, &destination)
    };
    let vsync = Vsync::new(&for_team.config());
    let found = findings(&vsync, &[], "capabilities", 0);
    assert!(found.iter().all(|(_, ok, _)| *ok) && found.len() == 2, "{found:?}");
    // and it really is enough
    origin.client().write("secret", "team/a/app", &json!({ "a": canary(1) }));
    origin.client().write("secret", "team/b/app", &json!({ "a": canary(1) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read_all("secret").len(), 1);

    vsync.configure(&Given { origin_token: &narrow_read, ..for_team }.config());
    let found = findings(&vsync, &[], "capabilities", 1);
    assert!(found[0].2.contains("list on secret/metadata/team/ missing"), "{found:?}");
    let transform = "transforms = [{ name = \"t\", from = 'x', to = 'secret/data/x' }]";
    let of_destination = Given { of_destination: transform, ..for_team };
    vsync.configure(&of_destination.config());
    let found = findings(&vsync, &[], "capabilities", 1);
    assert!(!found[1].1 && found[1].2.contains("create, delete, update on secret/data/x;"), "{found:?}");
}

#[test]
fn check_tries_to_write_the_embedded_store_and_leaves_nothing() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let vsync = Vsync::new(&given(&origin, &destination).config());
    let state = |arguments: &[&str], code| findings(&vsync, arguments, "state", code);
    let found = state(&[], 0);
    assert!(found.iter().all(|(_, ok, detail)| *ok && detail.contains("can be written")), "{found:?}");
    assert!(!vsync.folder().join("state/vsync/vsync.redb").exists());
    assert!(std::fs::read_dir(vsync.folder()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        !name.to_string_lossy().contains("check")
    }));
    assert!(state(&["--read-only"], 0)[0].2.contains("--read-only"));

    origin.client().write("secret", "app", &json!({ "a": canary(1) }));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(state(&[], 0).iter().all(|(_, ok, detail)| *ok && detail.contains("has state")));
    let _ = vsync.run(&["plan"]).expect(0);

    // where not even root can make a file
    #[cfg(target_os = "linux")]
    {
        let found = state(&["--set", "state.file=/proc/vsync/vsync.redb"], 1);
        assert!(found.iter().all(|(_, ok, detail)| !ok && detail.contains("cannot be made")), "{found:?}");
        assert!(found[0].2.contains("set state.file to another place"), "{found:?}");
    }
}

#[tokio::test]
async fn check_tries_to_write_to_consul_and_leaves_nothing() {
    const MASTER: &str = "5d1f7a06-6c7a-4d9b-8a7e-3a3f0f6f9d10";
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let consul = ConsulServer::start();
    let with_consul = |consul: &ConsulServer, token: &str| {
        let of_origin = format!("origin.consul = {{ address = \"{}\"{token} }}", consul.address());
        Given { of_origin: &of_origin, ..given(&origin, &destination) }.config()
    };
    let vsync = Vsync::new(&with_consul(&consul, ""));
    let found = findings(&vsync, &[], "state", 0);
    assert!(found.len() == 2 && found[1].2.contains("can be written"), "{found:?}");
    let left = consul.keys("");
    assert!(
        left.iter().all(|key| key.contains("/vsync/locks/")),
        "a lock that was let go leaves an empty key: {left:?}"
    );

    let guarded = ConsulServer::with(ConsulOptions { acl_token: Some(MASTER), ..ConsulOptions::default() });
    let put = async |path: &str, body: Value| -> Value {
        let request = reqwest::Client::new().put(format!("{}/v1/acl/{path}", guarded.address()));
        let answer = request.header("X-Consul-Token", MASTER).body(body.to_string()).send().await.unwrap();
        let text = answer.error_for_status().unwrap().text().await.unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let rules = r#"key_prefix "" { policy = "read" }"#;
    let _ = put("policy", json!({ "Name": "reader", "Rules": rules })).await;
    let token = put("token", json!({ "Policies": [{ "Name": "reader" }] })).await;
    let token = format!(", token = \"{}\"", token["SecretID"].as_str().unwrap());
    vsync.configure(&with_consul(&guarded, &token));
    let found = findings(&vsync, &[], "state", 1);
    let rule = r#"key_prefix "vsync/" { policy = "write" }"#;
    assert!(!found[0].1 && found[0].2.contains(rule), "{found:?}");
    let _ = put("policy", json!({ "Name": "writer", "Rules": rule })).await;
    let token = put("token", json!({ "Policies": [{ "Name": "writer" }] })).await;
    let token = format!(", token = \"{}\"", token["SecretID"].as_str().unwrap());
    vsync.configure(&with_consul(&guarded, &token));
    let found = findings(&vsync, &[], "state", 1);
    let for_locks = r#"session_prefix "" { policy = "write" }"#;
    assert!(!found[0].1 && found[0].2.contains(for_locks), "{found:?}");
    let both = json!({ "Name": "holder", "Rules": format!("{rule}\n{for_locks}") });
    let _ = put("policy", both).await;
    let token = put("token", json!({ "Policies": [{ "Name": "holder" }] })).await;
    let token = format!(", token = \"{}\"", token["SecretID"].as_str().unwrap());
    vsync.configure(&with_consul(&guarded, &token));
    assert!(findings(&vsync, &[], "state", 0).iter().all(|(_, ok, _)| *ok));
}
