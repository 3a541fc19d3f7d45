//! cgroup v1: one directory for each controller.

use super::{
    cgroup::{device, number, table, text},
    host::TICK,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use wharf_api_types::stats::{BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, PidsStats, Stats, ThrottlingData};

/// What is used, as far as there are controllers.
pub fn read(dirs: &BTreeMap<String, PathBuf>) -> Stats {
    // A directory that does not exist reads as nothing.
    let dir = |controller: &str| dirs.get(controller).cloned().unwrap_or_default();
    let (memory, pids) = (dir("memory"), dir("pids"));
    Stats {
        pids_stats: PidsStats { current: number(&pids, "pids.current"), limit: number(&pids, "pids.max") },
        blkio_stats: blkio(&dir("blkio")),
        cpu_stats: CpuStats { cpu_usage: usage(&dir("cpuacct")), throttling_data: throttling(&dir("cpu")), ..CpuStats::default() },
        memory_stats: MemoryStats {
            usage: number(&memory, "memory.usage_in_bytes"),
            max_usage: number(&memory, "memory.max_usage_in_bytes"),
            stats: table(&memory, "memory.stat"),
            failcnt: number(&memory, "memory.failcnt"),
            limit: number(&memory, "memory.limit_in_bytes"),
        },
        ..Stats::default()
    }
}

fn usage(dir: &Path) -> CpuUsage {
    let ticks = table(dir, "cpuacct.stat");
    let time = |name: &str| ticks.get(name).map_or(0, |n| n * TICK);
    CpuUsage {
        total_usage: number(dir, "cpuacct.usage"),
        percpu_usage: text(dir, "cpuacct.usage_percpu").split_whitespace().filter_map(|n| n.parse().ok()).collect(),
        usage_in_kernelmode: time("system"),
        usage_in_usermode: time("user"),
    }
}

fn throttling(dir: &Path) -> ThrottlingData {
    let stat = table(dir, "cpu.stat");
    let count = |name: &str| stat.get(name).copied().unwrap_or(0);
    ThrottlingData { periods: count("nr_periods"), throttled_periods: count("nr_throttled"), throttled_time: count("throttled_time") }
}

/// Of an I/O scheduler that counts, else of the throttling layer, which counts only bytes and operations.
fn blkio(dir: &Path) -> BlkioStats {
    let read = |names: &[&str]| Some(names.iter().map(|n| entries(&text(dir, n))).find(|e| !e.is_empty()).unwrap_or_default());
    BlkioStats {
        io_service_bytes_recursive: read(&[
            "blkio.io_service_bytes_recursive",
            "blkio.bfq.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes",
        ]),
        io_serviced_recursive: read(&[
            "blkio.io_serviced_recursive",
            "blkio.bfq.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive",
            "blkio.throttle.io_serviced",
        ]),
        io_queue_recursive: read(&["blkio.io_queued_recursive"]),
        io_service_time_recursive: read(&["blkio.io_service_time_recursive"]),
        io_wait_time_recursive: read(&["blkio.io_wait_time_recursive"]),
        io_merged_recursive: read(&["blkio.io_merged_recursive"]),
        io_time_recursive: read(&["blkio.time_recursive"]),
        sectors_recursive: read(&["blkio.sectors_recursive"]),
    }
}

/// Lines of `major:minor [op] value`; the sum over all devices is left out.
fn entries(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (at, op, value) = match *words.as_slice() {
            [at, op, value] => (at, op, value),
            [at, value] => (at, "", value),
            _ => return None,
        };
        let (major, minor) = device(at)?;
        Some(BlkioEntry { major, minor, op: op.to_owned(), value: value.parse().ok()? })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reads_every_controller() {
        let root = tempfile::tempdir().unwrap();
        let dirs: BTreeMap<String, PathBuf> =
            ["cpu", "cpuacct", "memory", "pids", "blkio"].map(|c| (c.to_owned(), root.path().join(c))).into();
        for dir in dirs.values() {
            fs::create_dir_all(dir).unwrap();
        }
        for (file, text) in [
            ("cpuacct/cpuacct.usage", "36559681\n"),
            ("cpuacct/cpuacct.usage_percpu", "11034014 25525667 \n"),
            ("cpuacct/cpuacct.stat", "user 3\nsystem 1\n"),
            ("cpu/cpu.stat", "nr_periods 7\nnr_throttled 2\nthrottled_time 99\n"),
            ("memory/memory.usage_in_bytes", "561152\n"),
            ("memory/memory.max_usage_in_bytes", "4075520\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.failcnt", "1\n"),
            ("memory/memory.stat", "cache 24576\ntotal_inactive_file 4096\n"),
            ("pids/pids.current", "3\n"),
            ("pids/pids.max", "max\n"),
            ("blkio/blkio.throttle.io_service_bytes", "8:0 Read 4096\n8:0 Write 0\n8:0 Total 4096\nTotal 4096\n"),
        ] {
            fs::write(root.path().join(file), text).unwrap();
        }
        let stats = read(&dirs);
        let cpu = &stats.cpu_stats;
        assert_eq!((cpu.cpu_usage.total_usage, &cpu.cpu_usage.percpu_usage[..]), (36_559_681, &[11_034_014, 25_525_667][..]));
        assert_eq!((cpu.cpu_usage.usage_in_usermode, cpu.cpu_usage.usage_in_kernelmode), (3 * TICK, TICK));
        assert_eq!(cpu.throttling_data, ThrottlingData { periods: 7, throttled_periods: 2, throttled_time: 99 });
        let memory = &stats.memory_stats;
        assert_eq!((memory.usage, memory.max_usage, memory.failcnt, memory.stats["total_inactive_file"]), (561_152, 4_075_520, 1, 4096));
        assert_eq!(stats.pids_stats, PidsStats { current: 3, limit: 0 });
        let bytes = stats.blkio_stats.io_service_bytes_recursive.unwrap();
        assert_eq!(bytes.iter().map(|e| (e.op.as_str(), e.value)).collect::<Vec<_>>(), [("Read", 4096), ("Write", 0), ("Total", 4096)]);
        assert_eq!(stats.blkio_stats.sectors_recursive, Some(Vec::new()));
    }

    #[test]
    fn nothing_there_reads_as_nothing() {
        assert_eq!(read(&BTreeMap::new()).memory_stats, MemoryStats::default());
    }
}
