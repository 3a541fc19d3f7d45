//! What a container's part is a part of: the CPU time and memory of the host.

use std::path::Path;
use wharf_types::{Error, Result, error::Context as _};

/// Nanoseconds of a tick in `/proc/stat`: `USER_HZ` is 100 on every architecture that containers run on.
pub const TICK: u64 = 10_000_000;
/// The first fields of a CPU's line that add up to all of its time: user, nice, system, idle, iowait, irq, softirq, steal.
/// What guests use is part of user's already.
const FIELDS: usize = 8;

/// The host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// CPU time since boot, used and idle, in nanoseconds.
    pub cpu: u64,
    /// CPUs that are online.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
}

/// Reads `stat` and `meminfo`.
///
/// # Errors
/// When they are not there or not as expected.
pub fn read(proc: &Path) -> Result<Host> {
    let file = |name: &str| std::fs::read_to_string(proc.join(name)).context(proc.join(name).display());
    let (stat, meminfo) = (file("stat")?, file("meminfo")?);
    parse(&stat, &meminfo).ok_or_else(|| Error::system(format!("unexpected contents of {}/stat or meminfo", proc.display())))
}

fn parse(stat: &str, meminfo: &str) -> Option<Host> {
    let all = stat.lines().find_map(|l| l.strip_prefix("cpu "))?;
    let ticks: u64 = all.split_whitespace().take(FIELDS).map(|n| n.parse::<u64>().ok()).sum::<Option<u64>>()?;
    let cpus = stat.lines().filter(|l| l.starts_with("cpu") && !l.starts_with("cpu ")).count();
    let kib: u64 = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?.split_whitespace().next()?.parse().ok()?;
    Some(Host { cpu: ticks * TICK, cpus: u32::try_from(cpus).ok()?, memory: kib << 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_times() {
        let stat = "cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1 1 1\ncpu1 0 1 2 3\nintr 9\n";
        let host = parse(stat, "MemFree: 1 kB\nMemTotal:       2048 kB\n").unwrap();
        assert_eq!(host, Host { cpu: 36 * TICK, cpus: 2, memory: 2 << 20 });
        assert_eq!(parse("", ""), None);
    }
}
