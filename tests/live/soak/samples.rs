//! What the process takes of the machine, as the kernel tells it.

use std::fs;
use std::path::{Path, PathBuf};

/// The process at one moment.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Seconds since the soak began.
    pub(super) at: f64,
    /// Which start of vsync this is, from 1 on.
    pub(super) life: usize,
    /// Resident memory, in KiB.
    pub(super) memory: u64,
    /// `None` where the kernel does not let anybody look: then `connections` still tell of leaks.
    pub(super) files: Option<u64>,
    pub(super) threads: u64,
    /// Connections to each server, in the order in which the ports were given.
    pub(super) connections: Vec<u64>,
    /// Bytes of the embedded store and the journals.
    pub(super) state: u64,
    /// Bytes of the logs.
    pub(super) logs: u64,
}

impl Sample {
    /// `None` if the process has ended.
    pub(super) fn take(at: f64, life: usize, pid: u32, ports: &[u16], state: &Path) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let value = status.lines().find_map(|text| text.strip_prefix(name))?;
            value.split_whitespace().next()?.parse().ok()
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).ok().map(|entries| entries.count() as u64);
        let (logs, state): (Vec<_>, Vec<_>) =
            files_below(state).into_iter().partition(|file| file.to_string_lossy().contains("/logs/"));
        Some(Self {
            at,
            life,
            memory: field("VmRSS:")?,
            files,
            threads: field("Threads:")?,
            connections: connections(ports),
            state: bytes(&state),
            logs: bytes(&logs),
        })
    }
}

fn bytes(files: &[PathBuf]) -> u64 {
    files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum()
}

/// All files in a folder and in those inside of it.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// How many sockets of this machine are connected to each of these loopback ports, and belong to a process. The ports are
/// the proxies', to which nobody but vsync talks, so this needs no right to look into its process.
fn connections(ports: &[u16]) -> Vec<u64> {
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let mut counts = vec![0; ports.len()];
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(remote), Some(inode)) = (fields.get(2), fields.get(9)) else { continue };
        let port = remote.split_once(':').and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
        let server = ports.iter().position(|one| Some(*one) == port);
        if let Some(server) = server.filter(|_| *inode != "0") {
            counts[server] += 1;
        }
    }
    counts
}

/// The straight line through points by least squares: what it gains each second, and the mean.
#[expect(clippy::cast_precision_loss, reason = "a few thousand points")]
pub(super) fn trend(points: &[(f64, f64)]) -> (f64, f64) {
    let count = points.len().max(1) as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    let common: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    (if spread > 0.0 { common / spread } else { 0.0 }, y)
}

#[test]
fn a_trend_is_the_slope_and_the_mean() {
    let line: Vec<(f64, f64)> = [0.0, 1.0, 2.0, 3.0].map(|x| (x, 5.0 + 2.0 * x)).to_vec();
    let (slope, mean) = trend(&line);
    assert!((slope - 2.0).abs() < 1e-9 && (mean - 8.0).abs() < 1e-9, "{slope} {mean}");
    assert!(trend(&[(1.0, 7.0)]).0.abs() < 1e-9);
}
