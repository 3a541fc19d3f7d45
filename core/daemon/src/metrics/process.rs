//! The daemon's process, under the names that Prometheus' own clients use.

use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};
use std::{fs, path::Path};
use wharf_engine::metrics::float;
use wharf_metrics::{Exposition, Kind};

/// Writes what `/proc` says of this process; what cannot be read is left out.
pub fn expose(text: &mut Exposition) {
    let proc = Path::new("/proc");
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            text.family(Kind::Gauge, name, help).sample(&[], value);
        }
    };
    let files = fs::read_dir(proc.join("self/fd")).ok().map(|entries| float(entries.count() as u64));
    gauge("process_open_fds", "Number of open file descriptors.", files);
    let limit = |resource| float(getrlimit(resource).current.unwrap_or(u64::MAX));
    gauge("process_max_fds", "Maximum number of open file descriptors.", Some(limit(Resource::Nofile)));
    gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.", Some(limit(Resource::As)));
    let stat = fs::read_to_string(proc.join("self/stat")).unwrap_or_default();
    let Some(stat) = Stat::parse(&stat) else { return };
    gauge("process_resident_memory_bytes", "Resident memory size in bytes.", Some(float(stat.pages * page_size() as u64)));
    gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", Some(float(stat.virtual_bytes)));
    let ticks = float(clock_ticks_per_second());
    let booted = fs::read_to_string(proc.join("stat")).ok().and_then(|text| boot_time(&text));
    let started = booted.map(|booted| float(booted) + float(stat.started) / ticks);
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", started);
    text.family(Kind::Counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
        .sample(&[], float(stat.ticks) / ticks);
}

/// Fields of `/proc/PID/stat`, see proc(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// Of user and system together.
    ticks: u64,
    /// Ticks after the boot.
    started: u64,
    virtual_bytes: u64,
    pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the name, in parentheses, and may contain anything.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { ticks: field(14)? + field(15)?, started: field(22)?, virtual_bytes: field(23)?, pages: field(24)? })
    }
}

/// Seconds since 1970, of `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        let text = "7 (a ) b) S 1 7 7 0 -1 4194560 10 0 0 0 30 12 0 0 20 0 9 0 555 1000000 250 18446744073709551615 1";
        let stat = Stat { ticks: 42, started: 555, virtual_bytes: 1_000_000, pages: 250 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(1_700_000_000));
        let mut text = Exposition::default();
        expose(&mut text);
        let text = text.finish();
        for name in ["cpu_seconds_total", "open_fds", "max_fds", "resident_memory_bytes", "start_time_seconds", "virtual_memory_bytes"] {
            assert!(text.contains(&format!("\nprocess_{name} ")), "{name} in {text}");
        }
    }
}
