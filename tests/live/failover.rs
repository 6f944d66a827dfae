//! A cluster of three real nodes whose leader goes in mid-cycle, and an origin that is sealed before.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{BaoServer, Running, Vsync, canary};

/// What both sides have in common: slow enough for something to happen in mid-cycle.
const SLOWLY: &str = "requests_per_second = 60";
const COUNT: usize = 150;

/// How to reach a cluster: by its first node, or by any.
fn at(cluster: &[BaoServer; 3]) -> String {
    let [first, second, third] = cluster.each_ref().map(BaoServer::address);
    format!("address = \"{first}\"\nstandby_addresses = [\"{second}\", \"{third}\"]")
}

fn config(origin: &str, destination: &str, keys: &str) -> String {
    format!(
        "[origin]\nmounts = [\"secret\"]\n[origin.vault]\n{origin}\ntoken = \"least\"\n\
         [[destinations]]\nname = \"copy\"\n{keys}\n[destinations.vault]\n{destination}\ntoken = \"least\"\n"
    )
}

fn seed(server: &BaoServer) {
    server.client().write_all("secret", (0..COUNT).map(|n| (format!("app-{n}"), json!({ "n": canary(n) }))));
}

/// Begins a cycle, and waits until some of it is done, but not all.
fn begin(vsync: &Vsync, destination: &BaoServer) -> Running {
    let cycle = vsync.spawn(&["sync", "--yes"]);
    let begun = Instant::now();
    while destination.client().names("secret", "").len() < COUNT / 5 {
        assert!(begun.elapsed() < Duration::from_mins(1), "nothing is copied");
    }
    cycle
}

/// All secrets are there, each written once. `origin` and `destination` lead.
fn assert_copied_once(origin: &BaoServer, destination: &BaoServer) {
    assert_eq!(destination.client().read_all("secret"), origin.client().read_all("secret"));
    let metadata = destination.client().metadata_all("secret");
    assert!(metadata.values().all(|metadata| metadata["current_version"] == 1), "written once");
    assert_eq!(metadata.len(), COUNT);
}

/// The one that leads now.
fn leader(cluster: &[BaoServer; 3]) -> &BaoServer {
    let begun = Instant::now();
    loop {
        if let Some(leader) = cluster.iter().find(|node| node.leads()) {
            return leader;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "no node leads");
    }
}

#[test]
fn a_destination_whose_leader_dies_in_mid_cycle_is_gone_on_with_at_the_next_one() {
    let (origin, mut cluster) = (BaoServer::start(), BaoServer::cluster());
    seed(&origin);
    let vsync =
        Vsync::new(&config(&format!("address = \"{}\"", origin.address()), &format!("{}\n{SLOWLY}", at(&cluster)), ""));
    let cycle = begin(&vsync, &cluster[0]);
    cluster[0].kill();
    let _ = cycle.wait().expect(0);
    assert_copied_once(&origin, leader(&cluster));
    let _ = vsync.run(&["plan"]).expect(0);
}

#[test]
fn an_origin_whose_leader_dies_in_mid_cycle_is_read_at_the_next_one() {
    let (mut cluster, destination) = (BaoServer::cluster(), BaoServer::start());
    seed(&cluster[0]);
    let vsync = Vsync::new(&config(
        &format!("{}\n{SLOWLY}", at(&cluster)),
        &format!("address = \"{}\"", destination.address()),
        "",
    ));
    let cycle = begin(&vsync, &destination);
    cluster[0].kill();
    let _ = cycle.wait().expect(0);
    assert_copied_once(leader(&cluster), &destination);
}

#[test]
fn a_cluster_without_a_leader_is_waited_for() {
    let (origin, mut cluster) = (BaoServer::start(), BaoServer::cluster());
    seed(&origin);
    // few repeats, so that it is patience that decides
    let vsync = Vsync::new(&config(
        &format!("address = \"{}\"", origin.address()),
        &format!("{}\nmax_retries = 1\n{SLOWLY}", at(&cluster)),
        "patience = \"90s\"",
    ));
    let mut cycle = begin(&vsync, &cluster[0]);
    // the third one alone can choose no leader
    cluster[0].kill();
    cluster[1].kill();
    sleep(Duration::from_secs(12));
    assert!(cycle.is_running(), "it waits");
    cluster[1].bring_back();
    let _ = cycle.wait().expect(0);
    assert_copied_once(&origin, leader(&cluster));
}

#[test]
fn an_origin_that_is_sealed_before_the_cycle_begins_is_waited_for() {
    let (mut origin, destination) = (BaoServer::persistent(), BaoServer::start());
    seed(&origin);
    let vault = |server: &BaoServer| format!("address = \"{}\"\nmax_retries = 0", server.address());
    let text = config(&vault(&origin), &vault(&destination), "");
    let vsync = Vsync::new(&text.replacen("[origin]", "[origin]\npatience = \"2s\"", 1));
    origin.seal();
    let run = vsync.run(&["sync", "--yes"]).expect(1);
    assert!(run.stderr.contains("is sealed: it is waited for, up to 2.0 s (origin.patience)"), "{}", run.text());
    assert!(run.stderr.contains("it is sealed, and was for 2.0 s"), "{}", run.text());
    // who only looks is told at once
    let begun = Instant::now();
    let _ = vsync.run(&["plan"]).expect(1);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

    vsync.configure(&text);
    let mut cycle = vsync.spawn(&["sync", "--yes"]);
    sleep(Duration::from_secs(2));
    assert!(cycle.is_running(), "it waits");
    origin.unseal();
    let _ = cycle.wait().expect(0);
    assert_copied_once(&origin, &destination);
}

#[test]
fn a_sealed_node_that_is_named_first_keeps_nobody_waiting() {
    let (from, to) = (BaoServer::cluster(), BaoServer::cluster());
    seed(&from[0]);
    to[0].client().disable_mount("secret");
    let vsync = Vsync::new(&config(&at(&from), &at(&to), "create_mounts = true"));
    for cluster in [&from, &to] {
        cluster[0].seal();
        let _ = leader(cluster);
    }
    let begun = Instant::now();
    let run = vsync.run(&["sync", "--yes"]).expect(0);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}: {}", begun.elapsed(), run.text());
    assert_copied_once(leader(&from), leader(&to));
}

#[test]
fn standbys_alone_serve_both_sides() {
    let (from, to) = (BaoServer::cluster(), BaoServer::cluster());
    seed(&from[0]);
    let vault = |server: &BaoServer| format!("address = \"{}\"", server.address());
    let keys = "canary = [\"secret/app-1*\"]\nguards = { max_delete = \"100%\" }\nfidelity = \"metadata\"";
    let vsync = Vsync::new(&config(&vault(&from[1]), &vault(&to[2]), keys));
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    for round in 0..3 {
        let changed =
            (round..COUNT).step_by(3).map(|n| (format!("app-{n}"), json!({ "n": canary(n), "round": round })));
        from[0].client().write_all("secret", changed);
        (round * 4..round * 4 + 4).for_each(|n| from[0].client().delete("secret", &format!("app-{n}")));
        // what the standby does not know yet is for the next cycle
        let begun = Instant::now();
        while to[0].client().read_all("secret") != from[0].client().read_all("secret") {
            let _ = vsync.run(&["sync", "--yes"]).expect(0);
            assert!(begun.elapsed() < Duration::from_mins(1), "never in step");
        }
    }
    let _ = vsync.run(&["verify"]).expect(0);
}
