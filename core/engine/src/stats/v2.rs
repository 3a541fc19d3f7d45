//! cgroup v2: all controllers in one directory.

use super::cgroup::{device, number, table, text};
use std::path::Path;
use wharf_api_types::stats::{BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, PidsStats, Stats, ThrottlingData};

/// What is used, as far as there are controllers.
pub fn read(dir: &Path) -> Stats {
    let cpu = table(dir, "cpu.stat");
    let count = |name: &str| cpu.get(name).copied().unwrap_or(0);
    // The kernel counts microseconds here.
    let time = |name: &str| count(name) * 1000;
    Stats {
        pids_stats: PidsStats { current: number(dir, "pids.current"), limit: pids_limit(dir) },
        blkio_stats: BlkioStats { io_service_bytes_recursive: Some(io(&text(dir, "io.stat"))), ..BlkioStats::default() },
        cpu_stats: CpuStats {
            cpu_usage: CpuUsage {
                total_usage: time("usage_usec"),
                percpu_usage: Vec::new(),
                usage_in_kernelmode: time("system_usec"),
                usage_in_usermode: time("user_usec"),
            },
            throttling_data: ThrottlingData {
                periods: count("nr_periods"),
                throttled_periods: count("nr_throttled"),
                throttled_time: time("throttled_usec"),
            },
            ..CpuStats::default()
        },
        memory_stats: MemoryStats {
            usage: number(dir, "memory.current"),
            max_usage: 0,
            stats: table(dir, "memory.stat"),
            failcnt: table(dir, "memory.events").get("oom").copied().unwrap_or(0),
            limit: number(dir, "memory.max"),
        },
        ..Stats::default()
    }
}

/// Here Docker shows no limit as the greatest number.
fn pids_limit(dir: &Path) -> u64 {
    if text(dir, "pids.max").trim() == "max" { u64::MAX } else { number(dir, "pids.max") }
}

/// Lines of `major:minor rbytes=… wbytes=… …`.
fn io(text: &str) -> Vec<BlkioEntry> {
    let device_of = |line: &str| -> Option<Vec<BlkioEntry>> {
        let (at, counts) = line.split_once(' ')?;
        let (major, minor) = device(at)?;
        let entry = |(name, op): (&str, &str)| {
            let value = counts.split_whitespace().find_map(|c| c.strip_prefix(name)?.strip_prefix('='))?.parse().ok()?;
            Some(BlkioEntry { major, minor, op: op.to_owned(), value })
        };
        Some([("rbytes", "read"), ("wbytes", "write")].into_iter().filter_map(entry).collect())
    };
    text.lines().filter_map(device_of).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reads_every_controller() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("cpu.stat", "usage_usec 36559\nuser_usec 30000\nsystem_usec 6559\nnr_periods 7\nnr_throttled 2\nthrottled_usec 99\n"),
            ("memory.current", "561152\n"),
            ("memory.max", "8388608\n"),
            ("memory.stat", "anon 61440\ninactive_file 4096\n"),
            ("memory.events", "low 0\nmax 4\noom 2\noom_kill 1\n"),
            ("pids.current", "3\n"),
            ("pids.max", "max\n"),
            ("io.stat", "8:0 rbytes=4096 wbytes=512 rios=1 wios=1 dbytes=0 dios=0\n253:1 \n"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let stats = read(dir.path());
        let usage = &stats.cpu_stats.cpu_usage;
        assert_eq!((usage.total_usage, usage.usage_in_usermode, usage.usage_in_kernelmode), (36_559_000, 30_000_000, 6_559_000));
        assert_eq!(stats.cpu_stats.throttling_data, ThrottlingData { periods: 7, throttled_periods: 2, throttled_time: 99_000 });
        let memory = &stats.memory_stats;
        assert_eq!((memory.usage, memory.limit, memory.failcnt, memory.stats["inactive_file"]), (561_152, 8 << 20, 2, 4096));
        assert_eq!(stats.pids_stats, PidsStats { current: 3, limit: u64::MAX });
        let bytes = stats.blkio_stats.io_service_bytes_recursive.unwrap();
        assert_eq!(bytes.iter().map(|e| (e.major, e.op.as_str(), e.value)).collect::<Vec<_>>(), [(8, "read", 4096), (8, "write", 512)]);
        assert_eq!(stats.blkio_stats.io_serviced_recursive, None);
    }
}
