//! The daemons: alone, side by side with another of their kind, and as successors of vsync v0.3's.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{BaoServer, ConsulServer, RootClient, Vsync, canary, free_port, token_with};

/// Longer than anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Waits until `done` says so.
fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(50));
    }
}

/// What the health endpoint answers.
fn ask(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let code = answer.split(' ').nth(1)?.parse().ok()?;
    Some((code, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

pub(crate) fn status(port: u16) -> Value {
    ask(port, "/status").and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
}

/// Both sides with their state in one Consul.
fn config(origin: &BaoServer, destination: &BaoServer, consul: &ConsulServer, more: &str) -> String {
    format!(
        "{more}\n[origin]\nmounts = [\"secret\"]\ntick = \"1s\"\nvault = {{ address = \"{}\", token = \"least\" }}\n\
         consul = {{ address = \"{consul}\" }}\n\
         [[destinations]]\nname = \"copy\"\ntick = \"1h\"\nnum_workers = 2\n\
         vault = {{ address = \"{}\", token = \"least\", max_retries = 1 }}\nconsul = {{ address = \"{consul}\" }}\n",
        origin.address(),
        destination.address(),
        consul = consul.address(),
    )
}

fn many(client: &RootClient, count: usize) {
    client.write_all("secret", (0..count).map(|number| (format!("app/{number}"), json!({ "number": canary(number) }))));
}

fn versions(client: &RootClient, mount: &str) -> BTreeMap<String, u64> {
    let metadata = client.metadata_all(mount);
    metadata.into_iter().map(|(name, one)| (name, one["current_version"].as_u64().expect("a version"))).collect()
}

#[test]
fn a_change_arrives_at_once_because_the_index_changes_whatever_the_buckets() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    origin.client().write("secret", "first", &json!({ "a": canary(1) }));
    let vsync = Vsync::new(&config(&origin, &destination, &consul, ""));
    let mut keeper = vsync.background("origin", &["origin", "--set", "num_buckets=5"], &[]);
    // the tick is an hour: whatever arrives does so because the index changed
    let flags = ["destination", "--set", "num_buckets=3", "--set", "destination.guards.max_delete=0"];
    let mut copier = vsync.background("destination", &flags, &[]);
    keeper.wait_for("1 secrets", LIMIT);
    wait_until("the first secret", LIMIT, || destination.client().read("secret", "first").is_some());
    origin.client().write("secret", "second", &json!({ "b": canary(2) }));
    let changed = Instant::now();
    wait_until("the second secret", LIMIT, || destination.client().read("secret", "second").is_some());
    assert!(changed.elapsed() < Duration::from_secs(15), "{:?}", changed.elapsed());
    origin.client().remove("secret", "first");
    copier.wait_for("stopped before the first write", LIMIT);
    assert_eq!(copier.told().matches("stopped before").count(), 1);
    origin.client().write("secret", "first", &json!({ "a": canary(3) }));
    copier.wait_for("over after", LIMIT);
    wait_until("the first secret again", LIMIT, || {
        destination.client().read("secret", "first") == Some(json!({ "a": canary(3) }))
    });
    let index = |side: &str| {
        let bytes = consul.get(&format!("vsync/{side}/index")).unwrap_or_default();
        serde_json::from_slice::<Vec<String>>(&bytes).unwrap_or_default().len()
    };
    assert_eq!((index("origin"), index("copy/destination")), (5, 3));
    for daemon in [&mut keeper, &mut copier] {
        daemon.signal("TERM");
        assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    }
}

/// Sync info as vsync v0.3 writes it: an implementation of its own, held against the fixture below.
fn as_v03(side: &str, mount: &str, metadata: &BTreeMap<String, Value>, buckets: usize) -> BTreeMap<String, String> {
    let mut json = vec![Vec::new(); buckets];
    let mut text = vec![Vec::new(); buckets];
    let mut paths: Vec<(String, &Value)> =
        metadata.iter().map(|(name, one)| (format!("{mount}data/{name}"), one)).collect();
    paths.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, one) in paths {
        let current = &one["versions"][one["current_version"].to_string()];
        if current["destroyed"] == true || current["deletion_time"] != "" {
            continue;
        }
        let sum = Sha256::digest(&path);
        let at = (usize::from(sum[0]) * 256 + usize::from(sum[1])) % buckets;
        let (version, time) = (&one["current_version"], one["updated_time"].as_str().expect("a time"));
        let quoted = Value::from(path.as_str()).to_string();
        let quoted = quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        json[at].push(format!("{quoted}:{{\"version\":{version},\"updateTime\":\"{time}\",\"type\":\"kvV2\"}}"));
        text[at].push(format!("{path}:{{{version} {time} kvV2}}"));
    }
    let sums: Vec<String> = text
        .iter()
        .map(|entries| <[u8; 32]>::from(Sha256::digest(format!("map[{}]", entries.join(" ")))))
        .map(|sum| {
            let half = |from: usize| u128::from_be_bytes(sum[from..from + 16].try_into().expect("16 bytes"));
            format!("{:032x}{:032x}", half(0), half(16))
        })
        .collect();
    let buckets = json.iter().enumerate().map(|(at, entries)| (at.to_string(), format!("{{{}}}", entries.join(","))));
    let index = ("index".to_owned(), serde_json::to_string(&sums).expect("JSON"));
    buckets.chain([index]).map(|(key, value)| (format!("fixture/{side}/{key}"), value)).collect()
}

fn fixture(file: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/vsync-v0.3.0/");
    fs::read_to_string(format!("{folder}{file}")).expect("the fixture")
}

#[test]
fn the_rules_of_v03_give_the_fixture() {
    let metadata: BTreeMap<String, Value> = serde_json::from_str(&fixture("origin-metadata.json")).expect("metadata");
    let recorded: BTreeMap<String, String> = serde_json::from_str(&fixture("consul-kv.json")).expect("keys");
    let mut expected = as_v03("origin", "interop/", &metadata, 5);
    expected.extend(as_v03("destination", "interop/", &metadata, 5));
    assert_eq!(recorded, expected);
}

/// Where v0.3 writes a secret of the fixture's configuration.
fn target(name: &str) -> (&'static str, String) {
    match name.strip_prefix("runner/") {
        // the group that matched "data" is what `meta` is replaced by
        Some(rest) => ("runnerv2", format!("{rest}/secrets")),
        None => ("interop", name.to_owned()),
    }
}

#[test]
fn what_v03_did_is_taken_over_and_gone_on_with_bit_for_bit() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::with_audit(), ConsulServer::start());
    let (at_origin, at_destination) = (origin.client(), destination.client());
    at_origin.enable_kv("interop");
    at_destination.enable_kv("interop");
    at_destination.enable_kv("runnerv2");
    let metadata: BTreeMap<String, Value> = serde_json::from_str(&fixture("origin-metadata.json")).expect("metadata");
    for (name, one) in &metadata {
        let count = one["current_version"].as_u64().expect("a version");
        for version in 1..=count {
            at_origin.write("interop", name, &json!({ "of": canary(name), "version": version }));
        }
        if name.starts_with("gone/") {
            at_origin.delete("interop", name);
            continue;
        }
        let (mount, path) = target(name);
        at_destination.write(mount, &path, &json!({ "of": canary(name), "version": count }));
    }
    // as v0.3 would have recorded this origin; its own rules, not ours
    let recorded = |side| as_v03(side, "interop/", &origin.client().metadata_all("interop"), 5);
    for (key, value) in recorded("origin").into_iter().chain(recorded("destination")) {
        consul.put(&key, value.as_bytes());
    }
    let stored = |side: &str| {
        let keys = consul.keys(&format!("fixture/{side}/"));
        keys.into_iter()
            .map(|key| (key.clone(), String::from_utf8(consul.get(&key).expect("a value")).expect("text")))
            .collect::<BTreeMap<_, _>>()
    };

    // v0.3's file as it is; where its servers are now, by its flags and its environment
    let vsync = Vsync::new("");
    fs::remove_file(vsync.folder().join("vsync.toml")).expect("no other configuration");
    fs::write(vsync.folder().join("config.json"), fixture("config.json")).expect("a file");
    let flags = |side: &str, server: &BaoServer| {
        [
            format!("--{side}.vault.address={}", server.address()),
            format!("--{side}.consul.address={}", consul.address()),
        ]
    };
    let port = free_port();
    let health = format!("health.address=127.0.0.1:{port}");
    let (first, second) = (flags("origin", &origin), flags("destination", &destination));
    let given: Vec<&str> = first.iter().chain(&second).map(String::as_str).collect();
    let policies = vsync.policies(&[&["-c", "config.json"], &given[..]].concat());
    let [reader, writer] = &policies[..] else { panic!("two sides") };
    let environment = [
        ("VSYNC_ORIGIN_VAULT_TOKEN", token_with(&at_origin, reader)),
        ("VSYNC_DESTINATION_VAULT_TOKEN", token_with(&at_destination, writer)),
        ("VSYNC_DESTINATION_NUMWORKERS", "3".to_owned()),
    ];
    let before = (versions(&at_destination, "interop"), versions(&at_destination, "runnerv2"));
    let audit = destination.audit();
    let keys = (stored("origin"), stored("destination"));
    let last = consul.last_change("fixture/origin/");

    let keeper = vsync.background("origin", &[&given[..2], &["origin", "--log.level", "info"]].concat(), &environment);
    let copier = vsync.background(
        "destination",
        &[&["destination", "-c", "config.json"], &given[..], &["--set", &health]].concat(),
        &environment,
    );
    wait_until("two looks", LIMIT, || {
        let looked = |at: &Value| at["destinations"][0]["looked"].as_str().map(str::to_owned);
        let now = looked(&status(port));
        now.is_some()
            && now != {
                sleep(Duration::from_secs(6));
                looked(&status(port))
            }
    });
    assert_eq!(audit.touched("interop/data/"), [""; 0]);
    assert_eq!(audit.touched("runnerv2/data/"), [""; 0]);
    assert_eq!((stored("origin"), stored("destination")), keys);
    assert_eq!(consul.last_change("fixture/origin/"), last, "not even the same written again");

    at_origin.write("interop", "runner/dev/app1", &json!({ "changed": canary(true) }));
    at_origin.write("interop", "<new> & odd", &json!({ "new": canary(true) }));
    wait_until("both changes", LIMIT, || {
        at_destination.read("runnerv2", "dev/app1/secrets") == Some(json!({ "changed": canary(true) }))
            && at_destination.read("interop", "<new> & odd").is_some()
    });
    let after = (versions(&at_destination, "interop"), versions(&at_destination, "runnerv2"));
    let mut expected = before;
    expected.0.insert("<new> & odd".to_owned(), 1);
    expected.1.insert("dev/app1/secrets".to_owned(), 2);
    assert_eq!(after, expected, "exactly these two");
    wait_until("both sides recorded", LIMIT, || {
        stored("origin") == recorded("origin") && stored("destination") == recorded("destination")
    });
    for mut daemon in [keeper, copier] {
        daemon.signal("TERM");
        assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    }
}

#[test]
fn of_two_daemons_one_works_and_the_other_takes_over() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    origin.client().write("secret", "first", &json!({ "a": canary(1) }));
    let vsync = Vsync::new(&config(&origin, &destination, &consul, ""));
    let port = free_port();
    let health = format!("health.address=127.0.0.1:{port}");
    let mut one = vsync.background("one", &["sync", "--watch"], &[]);
    wait_until("the first secret", LIMIT, || destination.client().read("secret", "first").is_some());
    let mut two = vsync.background("two", &["sync", "--watch", "--set", &health], &[]);
    two.wait_for("standing by; held by", LIMIT);
    wait_until("ready", LIMIT, || ask(port, "/ready").is_some_and(|(code, _)| code == 200));
    let held_by = status(port)["destinations"][0]["locked_by"].as_str().unwrap_or_default().to_owned();
    assert!(held_by.contains("sync --watch"), "{held_by}");
    assert!(status(port)["next_tick"].is_null(), "who stands by has no tick: {}", status(port));
    // whoever stands by leaves a person's own cycle alone, and so does whoever works
    let _ = vsync.run(&["sync", "--yes"]).expect(0);

    one.signal("KILL");
    let _ = one.end(LIMIT);
    let killed = Instant::now();
    two.wait_for("took over", Duration::from_secs(45));
    assert!(killed.elapsed() < Duration::from_secs(40), "{:?}", killed.elapsed());
    origin.client().write("secret", "second", &json!({ "b": canary(2) }));
    wait_until("the second secret", LIMIT, || destination.client().read("secret", "second").is_some());

    let mut three = vsync.background("three", &["sync", "--watch"], &[]);
    three.wait_for("standing by", LIMIT);
    two.signal("TERM");
    assert_eq!(two.end(LIMIT), Some(0), "{}", two.told());
    three.wait_for("took over", Duration::from_secs(8));
    three.signal("INT");
    assert_eq!(three.end(LIMIT), Some(130), "{}", three.told());
}

#[test]
fn a_signal_closes_the_cycle_and_a_second_one_does_not_wait() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    many(&origin.client(), 400);
    let vsync = Vsync::new(&config(&origin, &destination, &consul, ""));
    let slowly = ["sync", "--watch", "--set", "destination.vault.requests_per_second=40"];
    let copied = || destination.client().names("secret", "app/").len();

    let mut daemon = vsync.background("one", &slowly, &[]);
    wait_until("some secrets", LIMIT, || copied() > 20);
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    let told = daemon.told();
    assert!(told.contains("stopping") && told.contains("cancelled") && told.contains("ended;"), "{told}");
    let done = copied();
    assert!(done < 400, "it was stopped half-way");
    let report = vsync.run(&["plan", "--output", "json"]).expect(2).stdout;
    let plan = report.lines().find(|line| line.contains("\"type\":\"plan\"")).expect("a plan");
    let plan: Value = serde_json::from_str(plan).expect("JSON");
    assert_eq!(plan["in_sync"], done, "everything that was written is recorded");

    let mut daemon = vsync.background("two", &slowly, &[]);
    wait_until("more secrets", LIMIT, || copied() > done);
    destination.freeze();
    // what is not sent yet is given up: at forty requests a second, several are under way by then
    sleep(Duration::from_millis(500));
    daemon.signal("TERM");
    daemon.wait_for("stopping", LIMIT);
    assert!(daemon.is_running(), "it waits for what is under way");
    daemon.signal("TERM");
    assert_eq!(daemon.end(Duration::from_secs(5)), Some(130), "{}", daemon.told());
    destination.thaw();

    // the lock of what ended so suddenly is free when its session has run out
    wait_until("the rest", LIMIT, || {
        let run = vsync.run(&["sync", "--yes"]);
        assert!(matches!(run.code, Some(0 | 5)), "{run:?}");
        run.code == Some(0)
    });
    assert_eq!(copied(), 400);
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    origin.client().write("secret", "kept/back", &json!({ "a": canary(1) }));
    origin.client().write("secret", "first", &json!({ "a": canary(1) }));
    let (first_port, port) = (free_port(), free_port());
    let health = |port: u16| format!("[health]\naddress = \"127.0.0.1:{port}\"\n");
    let whole = config(&origin, &destination, &consul, &health(first_port));
    let narrow = whole.replace("mounts = [\"secret\"]", "mounts = [\"secret\"]\nexclude = [\"secret/kept/**\"]");
    let vsync = Vsync::new(&narrow);
    let mut daemon = vsync.background("daemon", &["sync", "--watch"], &[]);
    wait_until("the first secret", LIMIT, || destination.client().read("secret", "first").is_some());

    vsync.configure(&narrow.replace("tick = \"1s\"", "tikc = \"1s\""));
    daemon.signal("HUP");
    daemon.wait_for("the former one stays in force", LIMIT);
    assert!(daemon.told().contains("vsync.toml:7:1: unknown key \"tikc\""), "{}", daemon.told());
    origin.client().write("secret", "second", &json!({ "b": canary(2) }));
    wait_until("the second secret", LIMIT, || destination.client().read("secret", "second").is_some());
    assert_eq!(destination.client().read("secret", "kept/back"), None);

    vsync.configure(&whole.replace(&first_port.to_string(), &port.to_string()));
    daemon.signal("HUP");
    daemon.wait_for("the configuration was read again", LIMIT);
    wait_until("what was excluded", LIMIT, || destination.client().read("secret", "kept/back").is_some());
    wait_until("another endpoint", LIMIT, || ask(port, "/live").is_some_and(|(code, _)| code == 200));
    assert!(ask(first_port, "/live").is_none(), "the former endpoint is closed");
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
}

/// What the daemon has told systemd since it was last asked.
fn heard(socket: &UnixDatagram) -> String {
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = socket.recv(&mut buffer) {
        all += &String::from_utf8_lossy(&buffer[..length]);
    }
    all
}

#[test]
fn it_tells_how_it_is() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    many(&origin.client(), 3);
    let port = free_port();
    let health = format!("[health]\naddress = \"127.0.0.1:{port}\"\n");
    let vsync = Vsync::new(&config(&origin, &destination, &consul, &health));
    let socket_path = vsync.folder().join("notify");
    let socket = UnixDatagram::bind(&socket_path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a limit");
    let environment = [("NOTIFY_SOCKET", socket_path.display().to_string()), ("WATCHDOG_USEC", "2000000".to_owned())];
    let mut daemon = vsync.background(
        "daemon",
        &["sync", "--watch", "--output", "json", "--set", "origin.timeout=5s"],
        &environment,
    );
    wait_until("ready", LIMIT, || ask(port, "/ready").is_some_and(|(code, _)| code == 200));
    assert_eq!(ask(port, "/live"), Some((200, "live\n".to_owned())));
    assert_eq!(ask(port, "/other").map(|(code, _)| code), Some(404));
    let picture = status(port);
    let copy = &picture["destinations"][0];
    assert_eq!(picture["role"], "sync");
    assert_eq!(picture["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&copy["destination"], &copy["in_sync"], &copy["failed"]), (&json!("copy"), &json!(3), &json!(0)));
    assert!(picture["next_tick"].is_string() && copy["last_cycle"].is_string(), "{picture}");
    let report: Value = serde_json::from_str(daemon.given().lines().next().expect("a report")).expect("JSON");
    assert_eq!((&report["type"], &report["done"]["add"]), (&json!("report"), &json!(3)));
    let note: Value = serde_json::from_str(daemon.told().lines().next().expect("a note")).expect("JSON");
    assert_eq!((&note["type"], &note["event"]), (&json!("note"), &json!("started")));
    let told = heard(&socket);
    assert!(told.contains("READY=1") && told.contains("WATCHDOG=1") && told.contains("STATUS="), "{told}");

    daemon.signal("HUP");
    wait_until("a reload", LIMIT, || {
        let told = heard(&socket);
        told.contains("RELOADING=1\nMONOTONIC_USEC=") && told.contains("READY=1")
    });

    // a dead origin is told once, and shows
    origin.freeze();
    daemon.wait_for("\"event\":\"trouble\",\"subject\":\"origin\"", Duration::from_mins(2));
    wait_until("not ready", Duration::from_mins(2), || ask(port, "/ready").is_some_and(|(code, _)| code == 503));
    assert!(status(port)["origin"]["last_error"].is_string());
    origin.thaw();
    wait_until("ready again", LIMIT, || ask(port, "/ready").is_some_and(|(code, _)| code == 200));
    assert_eq!(daemon.told().matches("\"event\":\"trouble\"").count(), 1, "{}", daemon.told());

    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    assert!(heard(&socket).contains("STOPPING=1"));
}

#[test]
fn what_somebody_else_wrote_is_no_failure_and_an_undo_names_the_daemon() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    let (at_origin, there) = (origin.client(), destination.client());
    many(&at_origin, 3);
    there.write("secret", "theirs", &json!({ "by": canary("hand") }));
    at_origin.write("secret", "theirs", &json!({ "by": canary("origin") }));
    let port = free_port();
    let config = config(&origin, &destination, &consul, "");
    let (first, last) = config.rsplit_once("\"least\"").expect("the destination's token");
    let vsync = Vsync::new(&format!("{first}\"least+undo,verify\"{last}"));
    let health = format!("health.address=127.0.0.1:{port}");
    let mut daemon = vsync.background("one", &["sync", "--watch", "--set", &health], &[]);
    daemon.wait_for("copy: 3 added in", LIMIT);
    daemon.wait_for("copy: 1 secrets were there before vsync wrote them and are left as they are", LIMIT);
    let cycle = status(port)["destinations"][0]["last_cycle"].as_str().expect("a cycle").to_owned();

    there.write("secret", "app/1", &json!({ "by": canary("hand") }));
    at_origin.write("secret", "app/1", &json!({ "by": canary("origin") }));
    daemon.wait_for("copy: 1 left alone, because somebody else wrote them in", LIMIT);
    daemon.wait_for("copy: 1 secrets were changed there by somebody else after vsync wrote them", LIMIT);
    // the numbers of `vsync status`, when it is met and afterwards
    let counts = || {
        let copy = &status(port)["destinations"][0];
        ["in_sync", "failed", "drifted", "existing", "kept", "pending"].map(|key| copy[key].as_u64())
    };
    assert_eq!(counts(), [2, 0, 1, 1, 0, 0].map(Some));
    sleep(Duration::from_secs(3));
    assert_eq!(counts(), [2, 0, 1, 1, 0, 0].map(Some));
    let told = daemon.told();
    assert!(!told.contains("failed"), "{told}");
    assert_eq!(told.matches("are left as they are").count(), 2, "{told}");

    let run = vsync.run(&["undo", &cycle, "--dry-run", "--path", "secret/app/0"]).expect(0);
    assert!(run.stdout.contains("copy: a daemon looks after it"), "{}", run.stdout);
    assert!(run.stdout.contains(", sync --watch) since"), "{}", run.stdout);
    daemon.signal("TERM");
    assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    let run = vsync.run(&["undo", &cycle, "--yes", "--path", "secret/app/0"]).expect(0);
    assert!(!run.stdout.contains("a daemon looks after it"), "{}", run.stdout);
    assert!(run.stdout.contains("Only what --path and --destination ask for was undone"), "{}", run.stdout);
}

#[test]
fn one_destination_in_trouble_is_told_once_and_keeps_no_other_waiting() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    many(&origin.client(), 3);
    let dead = format!(
        "[[destinations]]\nname = \"dead\"\ntick = \"1s\"\nconsul = {{ address = \"{}\" }}\n\
         vault = {{ address = \"http://127.0.0.1:{}\", token = \"least\", max_retries = 0 }}\n",
        consul.address(),
        free_port(),
    );
    let vsync = Vsync::new(&(config(&origin, &destination, &consul, "") + &dead));
    let mut keeper = vsync.background("origin", &["origin"], &[]);
    let mut copier = vsync.background("destination", &["destination"], &[]);
    let at_destination = || destination.client().names("secret", "app/").len();
    wait_until("three secrets", LIMIT, || at_destination() == 3);
    copier.wait_for("dead: the server does not answer: connection refused; 3 are pending until then", LIMIT);
    origin.client().write("secret", "app/3", &json!({ "number": canary(3) }));
    wait_until("a fourth", LIMIT, || at_destination() == 4);
    // several ticks, none of which is a reason to say it again or to try in vain
    sleep(Duration::from_secs(5));
    let told = copier.told();
    assert_eq!(told.matches("dead: ").count(), 1, "{told}");
    for daemon in [&mut keeper, &mut copier] {
        daemon.signal("TERM");
        assert_eq!(daemon.end(LIMIT), Some(0), "{}", daemon.told());
    }
}

#[test]
fn status_says_of_a_cycle_that_runs_that_it_runs() {
    let (origin, destination, consul) = (BaoServer::start(), BaoServer::start(), ConsulServer::start());
    many(&origin.client(), 300);
    let vsync = Vsync::new(&config(&origin, &destination, &consul, ""));
    let cycle = vsync.spawn(&["sync", "--yes", "--set", "destination.vault.requests_per_second=30"]);
    let status = || {
        let run = vsync.run(&["status", "--output", "json"]).expect(0);
        let line = run.stdout.lines().find(|line| line.contains("\"type\":\"status\"")).expect("a status").to_owned();
        serde_json::from_str::<Value>(&line).expect("JSON")
    };
    wait_until("a cycle that runs", LIMIT, || status()["running"] == true);
    assert_eq!(status()["last_ending"], "unfinished");
    assert!(vsync.run(&["status"]).expect(0).stdout.contains(" running"));
    let _ = cycle.wait().expect(0);
    let status = status();
    assert_eq!((&status["running"], &status["last_ending"]), (&json!(false), &json!("completed")));
}
