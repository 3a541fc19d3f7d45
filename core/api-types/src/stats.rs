//! `GET /containers/{id}/stats`: what a container uses. Times of CPUs in nanoseconds, sizes in bytes.

use std::collections::BTreeMap;

wire! {
    /// One sample, with the CPU times of the one before.
    Stats {
        "read" read: String,
        "preread" preread: String,
        "pids_stats" pids_stats: PidsStats,
        "blkio_stats" blkio_stats: BlkioStats,
        "num_procs" num_procs: u32,
        "storage_stats" storage_stats: StorageStats,
        "cpu_stats" cpu_stats: CpuStats,
        "precpu_stats" precpu_stats: CpuStats,
        "memory_stats" memory_stats: MemoryStats,
        ? "name" name: String,
        ? "id" id: String,
        ? "os_type" os_type: String,
        ? "networks" networks: BTreeMap<String, NetworkStats>,
        ? "network" network: Option<NetworkStats>,
    }
}
wire! {
    /// Processes and threads; a limit of 0 is none.
    PidsStats {
        ? "current" current: u64,
        ? "limit" limit: u64,
    }
}
wire! {
    /// Block devices.
    BlkioStats {
        "io_service_bytes_recursive" io_service_bytes_recursive: Option<Vec<BlkioEntry>>,
        "io_serviced_recursive" io_serviced_recursive: Option<Vec<BlkioEntry>>,
        "io_queue_recursive" io_queue_recursive: Option<Vec<BlkioEntry>>,
        "io_service_time_recursive" io_service_time_recursive: Option<Vec<BlkioEntry>>,
        "io_wait_time_recursive" io_wait_time_recursive: Option<Vec<BlkioEntry>>,
        "io_merged_recursive" io_merged_recursive: Option<Vec<BlkioEntry>>,
        "io_time_recursive" io_time_recursive: Option<Vec<BlkioEntry>>,
        "sectors_recursive" sectors_recursive: Option<Vec<BlkioEntry>>,
    }
}
wire! {
    /// One count of one device.
    BlkioEntry {
        "major" major: u64,
        "minor" minor: u64,
        "op" op: String,
        "value" value: u64,
    }
}
wire! {
    /// Only on Windows.
    StorageStats {}
}
wire! {
    /// CPU time of the container, beside that of the whole host.
    CpuStats {
        "cpu_usage" cpu_usage: CpuUsage,
        ? "system_cpu_usage" system_cpu_usage: u64,
        ? "online_cpus" online_cpus: u32,
        "throttling_data" throttling_data: ThrottlingData,
    }
}
wire! {
    /// CPU time of the container.
    CpuUsage {
        "total_usage" total_usage: u64,
        ? "percpu_usage" percpu_usage: Vec<u64>,
        "usage_in_kernelmode" usage_in_kernelmode: u64,
        "usage_in_usermode" usage_in_usermode: u64,
    }
}
wire! {
    /// How often a CPU limit held it back.
    ThrottlingData {
        "periods" periods: u64,
        "throttled_periods" throttled_periods: u64,
        "throttled_time" throttled_time: u64,
    }
}
wire! {
    /// Memory; the limit is the host's memory when there is none.
    MemoryStats {
        ? "usage" usage: u64,
        ? "max_usage" max_usage: u64,
        ? "stats" stats: BTreeMap<String, u64>,
        ? "failcnt" failcnt: u64,
        ? "limit" limit: u64,
    }
}
wire! {
    /// One interface.
    NetworkStats {
        "rx_bytes" rx_bytes: u64,
        "rx_packets" rx_packets: u64,
        "rx_errors" rx_errors: u64,
        "rx_dropped" rx_dropped: u64,
        "tx_bytes" tx_bytes: u64,
        "tx_packets" tx_packets: u64,
        "tx_errors" tx_errors: u64,
        "tx_dropped" tx_dropped: u64,
    }
}
