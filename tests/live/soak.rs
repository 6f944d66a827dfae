//! A long time of watch mode in bad weather: secrets change all the time, servers and vsync itself fail in every way, and
//! in the end everything is equal, nothing was written that need not be, and nothing has grown. `tests/soak` runs it; it
//! takes an hour, so nothing else does.

mod changes;
mod mishaps;
mod report;
mod samples;
mod weather;
mod world;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use self::changes::{CANARY, Changes};
use self::mishaps::Mishaps;
use self::report::{Steady, Table, csv};
use self::samples::{Sample, files_below};
use self::weather::Weather;
use self::world::{Copy, LIMIT, LISTERS, WORKERS, World, port};
use crate::support::RootClient;

/// Live secrets at the origin.
const SECRETS: usize = 2_000;
/// What failed again and again waits for up to ten minutes before it is tried once more.
const CATCH_UP: Duration = Duration::from_mins(12);
/// Below this, memory says nothing about an hour.
const LONG_ENOUGH: f64 = 15.0;
/// By how much memory may grow in an hour, of its mean.
const GROWTH: f64 = 0.10;

/// How many keys of Consul are read at once, of the sync info and of the ledger.
const READS_OF_STATE: u64 = 8;

/// A number from the environment; `tests/soak` sets them.
fn number(name: &str, default: f64) -> f64 {
    env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// The whole run.
struct Soak {
    start: Instant,
    world: World,
    changes: Changes,
    weather: Weather,
    mishaps: Mishaps,
    samples: Vec<Sample>,
    /// Requests that came to each proxy.
    requests: BTreeMap<&'static str, u64>,
    /// Writes that each destination carried out.
    written: BTreeMap<&'static str, u64>,
    story: String,
    problems: Vec<String>,
    /// Where the figures go.
    folder: PathBuf,
}

#[test]
#[ignore = "takes an hour: run tests/soak"]
fn everything_ends_equal_and_nothing_grows() {
    let minutes = number("VSYNC_SOAK_MINUTES", 60.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a seed as it was printed")]
    let seed = number("VSYNC_SOAK_SEED", 1.0) as u64;
    let rate = number("VSYNC_SOAK_RATE", 5.0);
    let total = Duration::from_secs_f64(minutes * 60.0);
    let mut soak = Soak::begin(seed, total);
    soak.run(total, rate);
    let catching_up = soak.catch_up();
    soak.stop();
    let verdicts = soak.compare();
    soak.look_for_values();
    let table = soak.figures(minutes, seed, rate, catching_up, &verdicts);
    soak.save(&table);
    let folder = soak.folder.display();
    println!("\n{}\nsummary.md, samples.csv, story.txt and told.txt are in {folder}", table.text());
    assert!(soak.problems.is_empty(), "{} problems:\n{}", soak.problems.len(), soak.problems.join("\n"));
}

impl Soak {
    fn begin(seed: u64, total: Duration) -> Self {
        let world = World::start();
        let changes = Changes::begin(world.origin.client(), SECRETS, seed);
        let within =
            |part: u32, least, most| (total / part).clamp(Duration::from_secs(least), Duration::from_secs(most));
        Self {
            start: Instant::now(),
            world,
            changes,
            weather: Weather::new(seed, within(27, 12, 60)),
            mishaps: Mishaps::new(seed, within(30, 15, 90)),
            samples: Vec::new(),
            requests: BTreeMap::new(),
            written: BTreeMap::new(),
            story: String::new(),
            problems: Vec::new(),
            folder: env::var("VSYNC_SOAK_OUT").unwrap_or_else(|_| "target/soak".to_owned()).into(),
        }
    }

    /// Writes what there is so far. What vsync kept is added if something did not hold.
    fn save(&self, table: &Table) {
        fs::create_dir_all(&self.folder).expect("the folder for the figures");
        let names: Vec<&str> = self.world.servers().into_iter().map(|(name, _)| name).collect();
        for (name, text) in [
            ("summary.md", table.text()),
            ("samples.csv", &csv(&self.samples, &names)),
            ("story.txt", &self.story),
            ("told.txt", &self.told()),
            ("problems.txt", &self.problems.join("\n")),
        ] {
            fs::write(self.folder.join(name), text).expect("a file of figures");
        }
        if !self.problems.is_empty() {
            let kept = self.world.vsync.folder();
            for file in files_below(kept) {
                let name = file.strip_prefix(kept).expect("inside").to_string_lossy().replace('/', "-");
                fs::copy(&file, self.folder.join(format!("kept-{name}"))).expect("a file that vsync kept");
            }
        }
    }

    fn tell(&mut self, text: &str) {
        let line = format!("{:7.1} s  {text}\n", self.start.elapsed().as_secs_f64());
        print!("{line}");
        self.story += &line;
    }

    /// The last three fifths are one life of vsync, in which memory can show whether it grows.
    fn run(&mut self, total: Duration, rate: f64) {
        let calm = total * 2 / 5;
        let every = (total / 360).clamp(Duration::from_secs(1), Duration::from_secs(10));
        let between = Duration::from_secs_f64(1.0 / rate);
        let (mut next_change, mut next_sample) = (Duration::ZERO, every);
        loop {
            let at = self.start.elapsed();
            if at >= total {
                break;
            }
            if !self.world.daemon.is_running() {
                self.problems.push(format!("vsync has ended by itself:\n{}", self.world.daemon.told()));
                self.world.start_again();
            }
            if let Some(text) = self.weather.turn(&self.world, at) {
                self.tell(&text);
            }
            if let Some(text) = self.mishaps.turn(&mut self.world, at, calm) {
                self.tell(&text);
            }
            if at >= next_change && self.world.origin_is_there {
                self.changes.next();
                next_change = at + between;
            }
            if at >= next_sample {
                self.sample();
                next_sample = at + every;
                // an hour is too long for losing everything at its end
                if self.samples.len().is_multiple_of(30) {
                    self.save(&Table::default());
                }
            }
            sleep(Duration::from_millis(20));
        }
        self.weather.clear();
        if let Some(text) = self.mishaps.make_good(&mut self.world) {
            self.tell(&text);
        }
        self.problems.append(&mut self.mishaps.problems);
        self.tell("no more changes, no more faults");
    }

    fn sample(&mut self) {
        let ports: Vec<u16> = self.world.servers().iter().map(|(_, proxy)| port(&proxy.address())).collect();
        let state = self.world.vsync.folder().join("state");
        let at = self.start.elapsed().as_secs_f64();
        self.samples.extend(Sample::take(at, self.world.life, self.world.daemon.id(), &ports, &state));
        for (name, proxy) in self.world.servers() {
            let log = proxy.log();
            proxy.forget();
            *self.requests.entry(name).or_default() += log.len() as u64;
            let carried_out = |method: &str, by_server: Option<u16>, path: &str| {
                method == "POST" && by_server == Some(200) && path.contains("/data/")
            };
            let written = log.iter().filter(|one| carried_out(&one.method, one.by_server, &one.path)).count() as u64;
            *self.written.entry(name).or_default() += written;
        }
    }

    /// Waits until vsync says that nothing is left to do, and it is so. How long that took; `None` if it never was.
    fn catch_up(&mut self) -> Option<Duration> {
        let from = Instant::now();
        let mut last = String::new();
        while from.elapsed() < CATCH_UP {
            sleep(Duration::from_secs(2));
            self.sample();
            let Some(status) = self.world.status() else { continue };
            let destinations = status["destinations"].as_array().cloned().unwrap_or_default();
            let open = |one: &serde_json::Value| {
                ["pending", "failed", "drifted", "existing"].iter().any(|count| one[count] != 0)
            };
            let line: Vec<String> = destinations
                .iter()
                .map(|one| format!("{} pending {} failed {}", one["destination"], one["pending"], one["failed"]))
                .collect();
            if line.join(", ") != last {
                last = line.join(", ");
                self.tell(&last.clone());
            }
            // once more than the tick, so that the last changes have been seen
            if from.elapsed() > Duration::from_secs(6)
                && !destinations.iter().any(open)
                && status["origin"]["unknown"] == 0
                && self.world.copies.iter().all(|copy| self.missing(copy).is_empty())
            {
                return Some(from.elapsed());
            }
        }
        let status = self.world.status().unwrap_or_default();
        self.problems
            .push(format!("it has not caught up within {CATCH_UP:?}: {status:#}\n{}", self.world.daemon.told()));
        None
    }

    /// SIGTERM; then what the commands say of the outcome.
    fn stop(&mut self) {
        self.world.daemon.signal("TERM");
        let code = self.world.daemon.end(LIMIT);
        if code != Some(0) {
            self.problems.push(format!("exit code {code:?} after SIGTERM:\n{}", self.world.daemon.told()));
        }
        for arguments in [&["plan"][..], &["verify"], &["verify", "--deep", "--yes"]] {
            let run = self.world.vsync.run(arguments);
            if run.code != Some(0) {
                self.problems.push(format!("vsync {}: exit code {:?}\n{}", arguments.join(" "), run.code, run.text()));
            }
        }
    }

    /// What differs between the origin and a destination.
    fn missing(&self, copy: &Copy) -> Vec<String> {
        let expected = contents(&self.world.origin.client());
        let expected: BTreeMap<String, &String> =
            expected.iter().map(|(path, data)| (copy.target(path), data)).collect();
        let found = contents(&copy.server.client());
        let wrong = expected.iter().filter(|(path, data)| found.get(*path) != Some(*data));
        let wrong = wrong.map(|(path, _)| format!("{path} is missing or different at {}", copy.name));
        let extra = found.keys().filter(|path| !expected.contains_key(*path));
        wrong.chain(extra.map(|path| format!("{path} is too many at {}", copy.name))).collect()
    }

    /// Destination → secrets, versions there and versions that the changes called for.
    fn compare(&mut self) -> BTreeMap<&'static str, String> {
        let calls = self.changes.calls();
        let mut verdicts = BTreeMap::new();
        let mut problems = Vec::new();
        for copy in &self.world.copies {
            let wrong = self.missing(copy);
            let calls: BTreeMap<String, u64> = calls.iter().map(|(path, calls)| (copy.target(path), *calls)).collect();
            let versions = versions(&copy.server.client());
            for (path, version) in &versions {
                let called_for = calls.get(path).copied().unwrap_or_default();
                if *version > called_for {
                    problems.push(format!("{path} at {}: {version} versions for {called_for} changes", copy.name));
                }
            }
            let equal = if wrong.is_empty() { "equal".to_owned() } else { format!("{} differ", wrong.len()) };
            let verdict = format!(
                "{equal}: {} secrets; {} versions written, {} called for",
                contents(&copy.server.client()).len(),
                versions.values().sum::<u64>(),
                calls.values().sum::<u64>(),
            );
            verdicts.insert(copy.name, verdict);
            problems.extend(wrong);
        }
        self.problems.extend(problems);
        verdicts
    }

    /// No value may be in anything that was kept or told, neither as it is nor in Base64.
    fn look_for_values(&mut self) {
        let mut needles = vec![CANARY.to_owned()];
        // wherever in a group of three it begins; the edges depend on what stands beside it
        needles.extend((0..3).map(|skip| STANDARD.encode(&CANARY[skip..])[..12].to_owned()));
        let mut kept: Vec<(String, Vec<u8>)> = files_below(self.world.vsync.folder())
            .into_iter()
            .map(|file| (file.display().to_string(), fs::read(&file).unwrap_or_default()))
            .collect();
        let consul = &self.world.consul;
        kept.extend(consul.keys("").into_iter().filter_map(|key| Some((key.clone(), consul.get(&key)?))));
        assert!(kept.len() > 10, "a store, journals, logs, keys in Consul");
        for (place, bytes) in kept {
            let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            if needles.iter().any(|needle| holds(needle)) {
                self.problems.push(format!("a value is in {place}"));
            }
        }
    }

    fn figures(
        &mut self,
        minutes: f64,
        seed: u64,
        rate: f64,
        catching_up: Option<Duration>,
        verdicts: &BTreeMap<&'static str, String>,
    ) -> Table {
        let mut table = Table::default();
        table.row("time", format!("{minutes} minutes, seed {seed}, {rate} changes a second asked for"));
        table.counts("changes at the origin", &self.changes.counts);
        table.counts("requests that met a fault", &self.weather.met);
        table.counts("mishaps", &self.mishaps.counts);
        table.row("starts of vsync", self.world.life);
        let requests: Vec<String> = self.requests.iter().map(|(name, count)| format!("{name} {count}")).collect();
        table.row("requests of vsync", format!("{} ({})", self.requests.values().sum::<u64>(), requests.join(", ")));
        let caught_up = catching_up.map_or("never".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()));
        table.row("until equal after the last fault", caught_up);
        for (name, verdict) in verdicts {
            table.row(&format!("destination `{name}`"), verdict);
        }
        let steady = Steady::of(&self.samples);
        let length = steady.length();
        let memory = steady.course(|sample| Some(sample.memory));
        table.row("the last start, without its warm-up", format!("{length:.0} minutes"));
        let long = length >= LONG_ENOUGH;
        table.course("memory there", " MiB", 1024.0, memory, long);
        table.course("open files there", "", 1.0, steady.course(|sample| sample.files), long);
        table.course("threads there", "", 1.0, steady.course(|sample| Some(sample.threads)), long);
        let state = steady.course(|sample| Some(sample.state));
        table.course("state file and journals there", " MiB", 1_048_576.0, state, long);
        table.course("log there", " MiB", 1_048_576.0, steady.course(|sample| Some(sample.logs)), long);
        if let Some(memory) = memory.filter(|memory| long && memory.per_hour > GROWTH * memory.mean) {
            self.problems.push(format!("memory grows: {memory:?} (KiB)"));
        }
        let names: Vec<&str> = self.world.servers().into_iter().map(|(name, _)| name).collect();
        for (at, name) in names.iter().enumerate() {
            let course = steady.course(|sample| Some(sample.connections[at]));
            table.course(&format!("connections to `{name}` there"), "", 1.0, course, long);
            let most = self.samples.iter().map(|sample| sample.connections[at]).max().unwrap_or_default();
            let bound = match *name {
                // whatever asks apart, how it is or for a token, has its own
                "origin" => 2 * LISTERS,
                "consul" => 2 * READS_OF_STATE,
                _ => WORKERS,
            } + 4;
            if most > bound {
                self.problems.push(format!("{most} connections to {name}, and no more than {bound} are called for"));
            }
        }
        let verdict = if self.problems.is_empty() { "held" } else { "**not held**" };
        table.row("everything that must hold", verdict);
        table
    }

    /// What vsync told in all its lives.
    fn told(&self) -> String {
        let told = (1..=self.world.life).flat_map(|life| {
            let file = self.world.vsync.folder().join(format!("life-{life}.stderr"));
            [format!("life {life}"), fs::read_to_string(file).unwrap_or_default()]
        });
        told.collect::<Vec<_>>().join("\n")
    }
}

/// `MOUNT/NAME` → value, of everything that can be read.
fn contents(client: &RootClient) -> BTreeMap<String, String> {
    let of = |mount: &'static str| {
        client.read_all(mount).into_iter().map(move |(name, data)| (format!("{mount}/{name}"), data))
    };
    mounts(client).into_iter().flat_map(of).collect()
}

/// `MOUNT/NAME` → how many versions it has had.
fn versions(client: &RootClient) -> BTreeMap<String, u64> {
    let of = |mount: &'static str| {
        let version = |one: &serde_json::Value| one["current_version"].as_u64().expect("a version");
        client.metadata_all(mount).into_iter().map(move |(name, one)| (format!("{mount}/{name}"), version(&one)))
    };
    mounts(client).into_iter().flat_map(of).collect()
}

/// The origin has no third one.
fn mounts(client: &RootClient) -> Vec<&'static str> {
    let there = |mount: &&str| client.request("GET", &format!("sys/internal/ui/mounts/{mount}"), None).0 == 200;
    ["secret", "more", "runnerv2"].into_iter().filter(there).collect()
}
