//! Tokens that run out in mid-cycle, on either side: a request is held back until its token is no more.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{LEAST, config, copier, write};
use crate::support::{BaoServer, Fault, FaultProxy, FaultRule, RootClient, Run, Vsync, When, canary};

const COUNT: usize = 40;
/// How many secrets have been read or written when the token runs out.
const COPIED: usize = 19;
/// For how long a token lasts: long enough to get there.
const LIFE: &str = "10s";

/// One worker between two servers, of which one is behind a proxy that holds a request back.
struct Cycle {
    from: BaoServer,
    to: BaoServer,
    proxy: FaultProxy,
    vsync: Vsync,
    held: FaultRule,
}

impl Cycle {
    /// `way` leads into the origin or the destination, and is let do what `vsync policy` prints.
    fn new(at_origin: bool, way: &str) -> Self {
        let (from, to) = (BaoServer::start(), BaoServer::start());
        let secrets = (0..COUNT).map(|n| (format!("app-{n}"), json!({ "v": canary(n) })));
        from.client().write_all("secret", secrets);
        let proxy = FaultProxy::start(&if at_origin { from.address() } else { to.address() });
        let (text, behind) = if at_origin {
            (config(&from, way, &to, LEAST), from.address())
        } else {
            (config(&from, LEAST, &to, way), to.address())
        };
        let text = text.replace(&behind, &proxy.address());
        let vsync = Vsync::new(&text.replace("name = \"copy\"", "name = \"copy\"\nnum_workers = 1"));
        let policies = vsync.policies(&[]);
        let (server, policy) = if at_origin { (&from, &policies[0]) } else { (&to, &policies[1]) };
        server.client().policy("copier", policy);
        let method = if at_origin { "GET" } else { "POST" };
        let held = proxy.rule(method, "^/v1/secret/data/", When::Nth(COPIED as u64 + 1), Fault::Hold);
        Self { from, to, proxy, vsync, held }
    }

    fn server(&self, at_origin: bool) -> RootClient {
        if at_origin { self.from.client() } else { self.to.client() }
    }

    /// Runs it; the request goes on when `is_over`.
    fn run(&self, is_over: impl Fn() -> bool) -> Run {
        let cycle = self.vsync.spawn(&["--output", "json", "sync", "--yes"]);
        self.held.wait_until_picked(1);
        let begun = Instant::now();
        while !is_over() {
            assert!(begun.elapsed() < Duration::from_mins(1), "the token does not run out");
            sleep(Duration::from_millis(50));
        }
        self.held.release();
        cycle.wait()
    }

    fn assert_all_copied_once(&self) {
        assert_eq!(self.to.client().read_all("secret"), self.from.client().read_all("secret"));
        let metadata = self.to.client().metadata_all("secret");
        assert!(metadata.values().all(|metadata| metadata["current_version"] == 1));
    }
}

#[test]
fn a_given_token_that_runs_out_in_mid_cycle_ends_it_with_the_rest_pending() {
    for at_origin in [false, true] {
        let cycle = Cycle::new(at_origin, "token_file = \"token\"");
        let server = cycle.server(at_origin);
        let put = |token: &str| std::fs::write(cycle.vsync.folder().join("token"), token).expect("a file");
        let asked = json!({
            "policies": ["copier"], "no_default_policy": true, "renewable": false, "ttl": LIFE,
        });
        let made = write(&server, "auth/token/create", asked);
        let token = made["auth"]["client_token"].as_str().expect("a token");
        canary::register(token);
        put(token);
        let lookup = json!({ "token": token });
        let run = cycle.run(|| server.request("POST", "auth/token/lookup", Some(lookup.clone())).0 == 403).expect(1);

        let objects: Vec<Value> =
            run.stdout.lines().map(|line| serde_json::from_str(line).expect("nothing but JSON")).collect();
        assert!(objects.iter().all(|object| object["type"] != "failure"), "{}", run.text());
        let report = objects.iter().find(|object| object["type"] == "report").expect("a report");
        let part = &report["destinations"][0];
        let expected = (&json!(COPIED), &json!(0), &json!(COUNT - COPIED));
        assert_eq!((&part["done"]["add"], &part["failed"], &part["pending"]), expected, "{report}");
        let whose = if at_origin { "the origin no longer" } else { "the server no longer" };
        let reason = part["blocked"].as_str().expect("a reason");
        assert!(reason.contains(whose) && reason.contains("the token is no longer valid"), "{reason}");
        assert_eq!(cycle.to.client().read_all("secret").len(), COPIED);

        // the same is said by a cycle that begins without a valid token, and nothing is touched
        let run = cycle.vsync.run(&["sync", "--yes"]).expect(1);
        assert!(run.text().contains("no longer valid"), "{}", run.text());
        assert_eq!(cycle.to.client().read_all("secret").len(), COPIED);
        put(&server.token_without_default("copier"));
        let _ = cycle.vsync.run(&["sync", "--yes"]).expect(0);
        cycle.assert_all_copied_once();
    }
}

#[test]
fn a_userpass_login_that_runs_out_in_mid_cycle_is_made_anew() {
    const PASSWORD: &str = "password-of-the-copier";
    canary::register(PASSWORD);
    for at_origin in [false, true] {
        let way = format!("userpass = {{ username = \"me\", password = \"{PASSWORD}\" }}");
        let cycle = Cycle::new(at_origin, &way);
        let server = cycle.server(at_origin);
        write(&server, "sys/auth/userpass", json!({ "type": "userpass" }));
        let user = json!({ "password": PASSWORD, "token_ttl": LIFE, "token_max_ttl": LIFE });
        write(&server, "auth/userpass/users/me", copier(user));
        let is_over = || {
            let (_, accessors) = server.request("LIST", "auth/token/accessors", None);
            let accessors = accessors["data"]["keys"].as_array().expect("accessors").clone();
            !accessors.into_iter().any(|accessor| {
                let asked = json!({ "accessor": accessor });
                let (_, token) = server.request("POST", "auth/token/lookup-accessor", Some(asked));
                token["data"]["path"].as_str().is_some_and(|path| path.contains("userpass"))
            })
        };
        let run = cycle.run(is_over).expect(0);
        assert!(run.stdout.lines().all(|line| !line.contains("\"type\":\"failure\"")), "{}", run.text());
        assert_eq!(cycle.proxy.requests("", "auth/userpass/login").len(), 2, "one login, and another when it was over");
        assert_eq!(
            cycle.proxy.requests("", "^/v1/secret/data/").iter().filter(|one| one.status == Some(403)).count(),
            1
        );
        cycle.assert_all_copied_once();
    }
}

#[test]
fn a_watch_goes_on_when_the_file_of_a_token_that_ran_out_has_another() {
    let (from, to) = (BaoServer::start(), BaoServer::start());
    let vsync = Vsync::new(&config(&from, LEAST, &to, "token_file = \"token\""));
    let server = to.client();
    server.policy("copier", &vsync.policies(&[])[1]);
    let put = |token: &str| std::fs::write(vsync.folder().join("token"), token).expect("a file");
    let asked = json!({ "policies": ["copier"], "no_default_policy": true, "renewable": false, "ttl": "5s" });
    let made = write(&server, "auth/token/create", asked);
    let token = made["auth"]["client_token"].as_str().expect("a token").to_owned();
    canary::register(&token);
    put(&token);
    let mut daemon = vsync.background("watch", &["sync", "--watch", "--tick", "1s"], &[]);
    let limit = Duration::from_mins(1);
    let until = |what: &str, done: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < limit, "{what}:\n{}", daemon.told());
            sleep(Duration::from_millis(50));
        }
    };
    let lookup = json!({ "token": token });
    until("it does not run out", &|| server.request("POST", "auth/token/lookup", Some(lookup.clone())).0 == 403);
    from.client().write("secret", "late", &json!({ "v": canary("late") }));
    until("it does not say so", &|| daemon.told().contains("the token is no longer valid"));
    assert_eq!(server.read("secret", "late"), None);
    put(&server.token_without_default("copier"));
    until("it does not go on", &|| server.read("secret", "late") == Some(json!({ "v": canary("late") })));
    daemon.signal("TERM");
    assert_eq!(daemon.end(limit), Some(0), "{}", daemon.told());
    assert!(!daemon.told().contains(" failed ("), "no secret is blamed:\n{}", daemon.told());
}
