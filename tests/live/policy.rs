//! `vsync policy`: its policies are enough, and nothing in them is too much.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};

use crate::support::{BaoServer, ConsulOptions, ConsulServer, RootClient, Vsync, canary, token_with};

fn config(
    origin: (&BaoServer, &str),
    destination: (&BaoServer, &str),
    of_origin: &str,
    of_destination: &str,
) -> String {
    format!(
        "[origin]\nmounts = [\"secret\"]\n{of_origin}\nvault = {{ address = \"{}\", token = \"{}\" }}\n\
         [[destinations]]\nname = \"copy\"\nguards.max_delete = \"100%\"\n{of_destination}\n\
         vault = {{ address = \"{}\", token = \"{}\", max_retries = 0 }}\n",
        origin.0.address(),
        origin.1,
        destination.0.address(),
        destination.1,
    )
}

fn objects(vsync: &Vsync, arguments: &[&str]) -> Vec<Value> {
    let run = vsync.run(&[arguments, &["--output", "json"]].concat());
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The rules of a side's policy, without those that are only needed for something.
fn rules(vsync: &Vsync, side: &str) -> Vec<(String, Vec<String>)> {
    let page = objects(vsync, &["policy"]).into_iter().find(|page| page["side"] == side).unwrap();
    let rules = page["rules"].as_array().unwrap().iter().filter(|rule| rule["extra"].is_null());
    rules
        .map(|rule| {
            let capabilities = serde_json::from_value(rule["capabilities"].clone()).unwrap();
            (rule["path"].as_str().unwrap().to_owned(), capabilities)
        })
        .collect()
}

fn policy(rules: &[(String, Vec<String>)]) -> String {
    let rule = |(path, capabilities): &(String, Vec<String>)| {
        format!("path \"{path}\" {{ capabilities = {capabilities:?} }}\n")
    };
    rules.iter().map(rule).collect()
}

/// What `check` says is missing, as side and path, and whether it calls everything fine.
fn missing(vsync: &Vsync) -> (Vec<(String, String)>, bool) {
    let found = objects(vsync, &["check"]);
    let all_good = found.iter().all(|finding| finding["ok"] == true);
    let of = |finding: &Value| {
        let side = finding["side"].as_str().unwrap().to_owned();
        let rules = finding["missing"].as_array().unwrap().clone();
        rules.into_iter().map(move |rule| (side.clone(), rule["path"].as_str().unwrap().to_owned())).collect::<Vec<_>>()
    };
    (found.iter().flat_map(of).collect(), all_good)
}

/// One secret to update, one to delete and one to add, with the state of a cycle before.
fn prepare(origin: &RootClient, destination: &RootClient, config: &str) -> Vsync {
    for name in ["team/changed", "team/gone", "team/new"] {
        origin.remove("secret", name);
        destination.remove("secret", name);
    }
    for name in ["team/changed", "team/gone"] {
        origin.write("secret", name, &json!({ "a": canary(1) }));
    }
    let vsync = Vsync::new(config);
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    origin.write("secret", "team/changed", &json!({ "a": canary(2) }));
    origin.write("secret", "team/new", &json!({ "a": canary(1) }));
    origin.delete("secret", "team/gone");
    vsync
}

/// What vsync does without secrets: it goes on without these for a while, and only `check` says so.
fn is_about_the_token(path: &str) -> bool {
    path.starts_with("auth/") || path.starts_with("sys/")
}

#[test]
fn without_any_one_rule_something_fails_and_check_names_it() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (from, to) = (origin.client(), destination.client());
    let include = "include = [\"secret/team/**\"]";
    let mut tried = 0;
    for listing in ["plain", "detailed", "scan"] {
        let of_origin = format!("{include}\nlisting = \"{listing}\"");
        let with = |tokens: [&str; 2]| config((&origin, tokens[0]), (&destination, tokens[1]), &of_origin, "");
        let vsync = prepare(&from, &to, &with(["least", "least"]));
        assert_eq!(missing(&vsync), (Vec::new(), true), "{listing}: all of them are enough");
        let _ = vsync.run(&["sync", "--yes"]).expect(0);
        assert_eq!(to.names("secret", "team/"), ["changed", "gone", "new"]);
        let tokens = vsync.tokens();
        for (side, server, at) in [("origin", &from, 0), ("copy", &to, 1)] {
            // the destination's do not depend on how the origin is listed
            if at == 1 && listing != "plain" {
                continue;
            }
            let all = rules(&vsync, side);
            for without in 0..all.len() {
                let (path, _) = &all[without];
                let kept: Vec<_> = all.iter().filter(|(other, _)| other != path).cloned().collect();
                let crippled = token_with(server, &policy(&kept));
                let mut both = [tokens[0].as_str(), tokens[1].as_str()];
                both[at] = &crippled;
                let case = format!("{listing}: {side} without {path}");

                let vsync = prepare(&from, &to, &with(["least", "least"]));
                vsync.configure(&with(both));
                assert_eq!(missing(&vsync), (vec![(side.to_owned(), path.clone())], false), "{case}");
                let code = vsync.run(&["sync", "--yes"]).code;
                assert_eq!(code == Some(0), is_about_the_token(path), "{case}: {code:?}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 6 + 7 + 6 + 5, "rules of the origin by each listing, and of the destination");
}

#[test]
fn what_it_prints_for_globs_and_transforms_is_enough_and_opens_nothing_else() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (from, to) = (origin.client(), destination.client());
    to.enable_kv("new kv");
    let of_origin =
        "include = [\"secret/runner/**\", \"secret/*/db\", \"secret/{x,y}/*\"]\nexclude = [\"secret/x/no\"]";
    let of_destination = "mounts = [\"secret\", \"new kv\"]\n\
        transforms = [{ name = \"v2\", from = '^secret/data/runner/(?P<env>dev|prod)/(?P<app>[^/]+)$', \
        to = 'new kv/data/${env}/${app}/secrets' }]";
    let copied = [
        ("runner/dev/app", "new kv", "dev/app/secrets"),
        ("runner/other/deep/er", "secret", "runner/other/deep/er"),
        ("team/db", "secret", "team/db"),
        ("x/1 \"q\" +", "secret", "x/1 \"q\" +"),
    ];
    let others = ["team/app", "team/db/deeper", "z/1", "x/1/deeper"];
    for name in copied.iter().map(|(name, ..)| *name).chain(others).chain(["x/no"]) {
        from.write("secret", name, &json!({ "name": canary(name) }));
    }
    for listing in ["auto", "plain", "detailed"] {
        let of_origin = format!("{of_origin}\nlisting = \"{listing}\"");
        let vsync = Vsync::new(&config((&origin, "least"), (&destination, "least"), &of_origin, of_destination));
        assert_eq!(missing(&vsync), (Vec::new(), true), "{listing}");
        let run = vsync.run(&["sync", "--yes", "--on-existing", "adopt"]).expect(0);
        assert!(!run.text().contains("denied"), "{}", run.text());
        for (name, mount, path) in copied {
            assert_eq!(to.read(mount, path), Some(json!({ "name": canary(name) })), "{path}");
        }
        let tokens = vsync.tokens();
        let (reader, writer) = (from.with_token(&tokens[0]), to.with_token(&tokens[1]));
        for name in others {
            assert_eq!(reader.request("GET", &format!("secret/data/{name}"), None).0, 403, "{name}");
            let data = Some(json!({ "data": {} }));
            assert_eq!(writer.request("POST", &format!("secret/data/{name}"), data).0, 403, "{name}");
        }
        let data = Some(json!({ "data": {} }));
        assert_eq!(writer.request("POST", "new kv/data/dev/app/other", data).0, 403);
        assert_eq!(reader.request("POST", "secret/data/team/db", Some(json!({ "data": {} }))).0, 403);
    }
    assert_eq!(to.metadata_all("secret").len(), 3);
    assert!(to.metadata_all("secret").values().all(|metadata| metadata["current_version"] == 1));
}

#[test]
fn a_mount_that_nothing_leads_to_needs_no_rule() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let (from, to) = (origin.client(), destination.client());
    for server in [&from, &to] {
        server.enable_kv("unused");
    }
    from.write("secret", "app", &json!({ "a": canary(1) }));
    from.write("unused", "app", &json!({ "a": canary(1) }));
    let config = config((&origin, "least"), (&destination, "least"), "include = [\"secret/**\"]", "");
    let vsync = Vsync::new(&config.replacen("mounts = [\"secret\"]", "mounts = [\"secret\", \"unused\"]", 1));
    assert!(!vsync.policies(&[]).concat().contains("unused/"));
    let run = vsync.run(&["check"]).expect(0);
    for said in ["unused/: the globs leave it out, so it is not listed", "unused/ is not seen by the token"] {
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    let run = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(!run.text().contains("unused"), "{}", run.text());
    assert_eq!(to.read("secret", "app"), Some(json!({ "a": canary(1) })));

    // a typo leaves out everything
    let typo = ["--set", "origin.include=[\"secrets/**\"]"];
    let run = vsync.run(&[&["check"], &typo[..]].concat()).expect(1);
    for said in ["\"secrets/**\" lies in none of the origin's mounts", "no mount is left"] {
        assert!(run.stdout.contains(said), "{}", run.stdout);
    }
    let run = vsync.run(&[&["sync", "--yes"], &typo[..]].concat());
    assert!(run.stdout.contains("no secret that takes part"), "{}", run.text());
    let run = vsync.run(&["check", "--set", "canary=[\"secrets/**\"]"]).expect(1);
    assert!(run.stdout.contains("canary       \"secrets/**\" lies in none"), "{}", run.stdout);
}

#[test]
fn one_token_with_both_policies_copies_within_a_vault() {
    let server = BaoServer::start();
    let client = server.client();
    client.enable_kv("copies");
    client.write("secret", "app", &json!({ "a": canary(1) }));
    let of_destination = "mounts = [\"copies\"]\n\
        transforms = [{ name = \"all\", from = '^secret/data/(?P<rest>.*)$', to = 'copies/data/${rest}' }]";
    let with = |token: &str| config((&server, token), (&server, token), "", of_destination);
    let vsync = Vsync::new(&with("none"));
    let printed: Vec<String> =
        ["--origin", "--destination=copy"].iter().map(|side| vsync.run(&["policy", side]).expect(0).stdout).collect();
    assert!(printed.iter().all(|policy| policy.contains("one token may have both policies")), "{printed:?}");
    vsync.configure(&with(&token_with(&client, &printed.concat())));
    assert_eq!(missing(&vsync), (Vec::new(), true));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(client.read("copies", "app"), Some(json!({ "a": canary(1) })));
}

#[tokio::test]
async fn the_rules_for_consul_are_enough() {
    const MASTER: &str = "5d1f7a06-6c7a-4d9b-8a7e-3a3f0f6f9d10";
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    origin.client().write("secret", "app", &json!({ "a": canary(1) }));
    let consul = ConsulServer::with(ConsulOptions { acl_token: Some(MASTER), ..ConsulOptions::default() });
    let put = async |path: &str, body: Value| -> Value {
        let request = reqwest::Client::new().put(format!("{}/v1/acl/{path}", consul.address()));
        let answer = request.header("X-Consul-Token", MASTER).body(body.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.error_for_status().unwrap().text().await.unwrap()).unwrap()
    };
    let with = |token: &str| {
        let consul = format!("consul = {{ address = \"{}\", token = \"{token}\" }}", consul.address());
        config((&origin, "least"), (&destination, "least"), &consul, "")
    };
    let vsync = Vsync::new(&with("none"));
    let rules = vsync.run(&["policy", "--consul"]).expect(0).stdout;
    let _ = put("policy", json!({ "Name": "vsync", "Rules": rules })).await;
    let token = put("token", json!({ "Policies": [{ "Name": "vsync" }] })).await;
    vsync.configure(&with(token["SecretID"].as_str().unwrap()));
    assert_eq!(missing(&vsync), (Vec::new(), true));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    assert_eq!(destination.client().read("secret", "app"), Some(json!({ "a": canary(1) })));
}

#[test]
fn check_prints_the_missing_rule_ready_to_paste() {
    let (origin, destination) = (BaoServer::start(), BaoServer::start());
    let rules = r#"path "secret/data/*" { capabilities = ["create", "update"] }"#;
    let token = destination.client().policy_token("writer", rules);
    let vsync = Vsync::new(&config((&origin, "least"), (&destination, &token), "", "on_drift = \"overwrite\""));
    let run = vsync.run(&["check"]).expect(1);
    let pasted = run.stdout.split_once("path \"secret/data/*\"").unwrap().1;
    let pasted: String = pasted.lines().take_while(|line| !line.contains("copy  ")).collect::<Vec<_>>().join("\n");
    let added = format!("path \"secret/data/*\"{pasted}");
    destination.client().policy("writer", &format!("{rules}\n{added}"));
    let _ = vsync.run(&["check"]).expect(0);
}
