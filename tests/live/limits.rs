//! No server is sent more at once, or more a second, than the configuration allows.

use std::fmt::Write as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{BaoServer, Exchange, Fault, FaultProxy, Vsync, When, canary, most_at_once};

/// From one to the other, with `top` above both and more keys for the destination and for the two servers.
fn config(top: &str, keys: &str, [origin, copy]: [(&str, &str); 2]) -> String {
    let vault = |(address, keys): (&str, &str)| {
        format!("vault = {{ address = \"{address}\", token = \"least\", max_retries = 6{keys} }}")
    };
    format!(
        "{top}\n[origin]\nmounts = [\"secret\"]\n{}\n[[destinations]]\nname = \"copy\"\n{keys}\n{}\n",
        vault(origin),
        vault(copy)
    )
}

fn write(server: &BaoServer, folder: &str, count: usize, what: &str) {
    let secrets = (0..count).map(|n| (format!("{folder}/{n}"), json!({ "v": canary(what) })));
    server.client().write_all("secret", secrets);
}

fn assert_equal(origin: &BaoServer, copy: &BaoServer) {
    assert_eq!(copy.client().read_all("secret"), origin.client().read_all("secret"));
}

/// All but the question how a server is, which does not wait behind what may be stuck.
fn work(proxy: &FaultProxy) -> Vec<Exchange> {
    let mut work = proxy.log();
    work.retain(|request| !request.path.starts_with("/v1/sys/health"));
    work
}

#[test]
fn no_more_requests_than_workers_are_under_way_at_a_destination() {
    const WORKERS: usize = 3;
    let (origin, copy) = (BaoServer::start(), BaoServer::start());
    write(&origin, "canary", 8, "1");
    write(&origin, "app", 40, "1");
    let proxy = FaultProxy::start(&copy.address());
    let keys = format!("num_workers = {WORKERS}");
    let (from, to) = (origin.address(), proxy.address());
    let vsync = Vsync::new(&config("canary = [\"secret/canary/**\"]", &keys, [(&from, ""), (&to, "")]));
    // Everything that is sent stays there: what came beyond the limit would be seen. The second half second is for that.
    let hold = |pattern: &str| {
        let held = proxy.rule("POST", pattern, When::Always, Fault::Hold);
        held.wait_until_picked(WORKERS as u64);
        sleep(Duration::from_millis(500));
        assert_eq!(held.picked(), WORKERS as u64, "{pattern}");
        held.remove();
    };

    // canaries, then the rest, and what is refused is sent again
    let cycle = vsync.spawn(&["sync", "--yes"]);
    let rest = proxy.rule("POST", "/data/app/", When::First(WORKERS as u64), Fault::Hold);
    hold("/data/canary/");
    rest.wait_until_picked(WORKERS as u64);
    sleep(Duration::from_millis(500));
    assert_eq!(rest.matched(), WORKERS as u64);
    let refused = proxy.rule("", "/data/", When::Random { probability: 0.2, seed: 7 }, Fault::Status(503));
    rest.remove();
    let _ = cycle.wait().expect(0);
    assert!(refused.picked() > 0);
    refused.remove();
    assert_equal(&origin, &copy);
    assert_eq!(most_at_once(&work(&proxy)), WORKERS);

    // the next cycle, with connections that are reset before and after the server has done it
    proxy.forget();
    write(&origin, "app", 40, "2");
    let faults = [Fault::ResetAfterwards, Fault::Reset];
    let faults = faults.map(|fault| proxy.rule("POST", "/data/", When::Random { probability: 0.2, seed: 3 }, fault));
    let cycle = vsync.spawn(&["sync", "--yes"]);
    let _ = cycle.wait().expect(0);
    assert!(faults[0].picked() > 0);
    assert_equal(&origin, &copy);
    let most = most_at_once(&work(&proxy));
    assert!((1..=WORKERS).contains(&most), "{most} at once");
}

/// Whoever they are for, and however many workers the destinations have.
#[test]
fn no_more_requests_than_its_own_workers_are_under_way_at_the_origin() {
    const WORKERS: u64 = 2;
    let (origin, copy) = (BaoServer::start(), BaoServer::start());
    write(&origin, "app", 30, "1");
    for mount in ["one", "two"] {
        copy.client().enable_kv(mount);
    }
    let proxy = FaultProxy::start(&origin.address());
    let mut text = format!(
        "[origin]\nmounts = [\"secret\"]\nnum_workers = {WORKERS}\n\
         vault = {{ address = \"{}\", token = \"least\", max_retries = 6 }}\n",
        proxy.address()
    );
    for name in ["one", "two"] {
        let _ = write!(
            text,
            "[[destinations]]\nname = \"{name}\"\nmounts = [\"{name}\"]\nnum_workers = 8\n\
             vault = {{ address = \"{}\", token = \"least\" }}\n\
             transforms = [{{ name = \"own mount\", from = \"^secret/(?P<rest>.+)$\", to = \"{name}/${{rest}}\" }}]\n",
            copy.address()
        );
    }
    let vsync = Vsync::new(&text);
    let held = proxy.rule("GET", "^/v1/secret/data/", When::Always, Fault::Hold);
    let cycle = vsync.spawn(&["sync", "--yes"]);
    held.wait_until_picked(WORKERS);
    // what came beyond the limit would be seen
    sleep(Duration::from_millis(500));
    assert_eq!(held.picked(), WORKERS);
    let refused =
        proxy.rule("GET", "^/v1/secret/data/", When::Random { probability: 0.2, seed: 5 }, Fault::Status(503));
    held.remove();
    let _ = cycle.wait().expect(0);
    assert!(refused.picked() > 0);
    for mount in ["one", "two"] {
        assert_eq!(copy.client().read_all(mount), origin.client().read_all("secret"));
    }
    assert_eq!(most_at_once(&work(&proxy)) as u64, WORKERS);
}

/// Requests are counted when they come to the server. On the way they only get later, so that none may come too soon after
/// the start; and of those that are close together because they were late, there are as many as there are workers.
#[test]
fn no_more_requests_a_second_are_sent_than_configured() {
    const WORKERS: u32 = 4;
    let (origin, copy) = (BaoServer::start(), BaoServer::start());
    write(&origin, "app", 100, "1");
    let proxies = [&origin, &copy].map(|server| FaultProxy::start(&server.address()));
    let addresses = proxies.each_ref().map(FaultProxy::address);
    let rates = [50, 30];
    let keys = rates.map(|rate| format!(", requests_per_second = {rate}"));
    let sides = [0, 1].map(|side| (addresses[side].as_str(), keys[side].as_str()));
    let vsync = Vsync::new(&config("", &format!("num_workers = {WORKERS}"), sides));
    // what is repeated counts like any other request
    let refused = proxies[1].rule("POST", "/data/", When::First(6), Fault::Status(503));
    let start = Instant::now();
    let _ = vsync.run(&["sync", "--yes"]).expect(0);
    let took = start.elapsed();
    assert_equal(&origin, &copy);
    assert_eq!(refused.picked(), 6);
    for (proxy, rate) in proxies.iter().zip(rates) {
        let burst = rate / 10;
        let second = Duration::from_secs(1);
        let mut times: Vec<Instant> = proxy.log().iter().map(|request| request.began).collect();
        times.sort();
        for (number, time) in (1..).zip(&times) {
            let earliest = second * u32::saturating_sub(number, burst) / rate;
            assert!(*time >= start + earliest, "request {number} after {:?}", time.duration_since(start));
        }
        assert!(took + second >= second * 100 / rate, "{took:?}");

        // of one kind, which the workers send one after another
        let method = if rate == rates[0] { "GET" } else { "POST" };
        let values = proxy.requests(method, "^/v1/secret/data/");
        assert!(values.len() >= 100);
        let mut times: Vec<Instant> = values.iter().map(|request| request.began).collect();
        times.sort();
        let most = usize::try_from(rate + burst + WORKERS).expect("a number");
        for (first, time) in times.iter().enumerate() {
            let within = times[first..].iter().take_while(|later| later.duration_since(*time) < second).count();
            assert!(within <= most, "{within} {method} in a second, from number {first} on");
        }
    }
}
