//! The numbers of a `HostConfig`, checked against the host in Docker's words.
//!
//! [`check_resources`] turns the wire's numbers (zero means absent, -1 unlimited) into a [`ResourcesPlan`]. What cannot be
//! right is a 400; what the kernel lacks is dropped with a warning, as Docker's clients expect.

mod id_set;
mod process;

use std::path::PathBuf;

use wharf_types::{Error, Result};

use super::host::{Controllers, HostFacts};
use super::plan::{DeviceRate, ResourcesPlan};

pub use id_set::IdSet;
pub use process::{oom_score_adj, shm_size, ulimit};

/// Least memory a container starts with (6 MiB since Docker 20.10).
const MIN_MEMORY: i64 = 6 << 20;

/// Microseconds; the period of `NanoCpus`.
const NANO_CPUS_PERIOD: u64 = 100_000;

/// `HostConfig.Resources` as it came over the wire.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)] // the wire's names
pub struct ResourceRequest {
    pub memory: i64,
    pub memory_swap: i64,
    pub memory_reservation: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub nano_cpus: i64,
    pub cpu_shares: i64,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_realtime_period: i64,
    pub cpu_realtime_runtime: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub pids_limit: Option<i64>,
    pub blkio_weight: u16,
    pub blkio_weight_device: Vec<(PathBuf, u16)>,
    pub blkio_device_read_bps: Vec<(PathBuf, u64)>,
    pub blkio_device_write_bps: Vec<(PathBuf, u64)>,
    pub blkio_device_read_iops: Vec<(PathBuf, u64)>,
    pub blkio_device_write_iops: Vec<(PathBuf, u64)>,
}

/// Checks `request` against `host`. `update`: the memory limit may already be set, so swap alone is fine and no default swap
/// is added. Returns the plan and warnings for the client.
pub fn check_resources(request: &ResourceRequest, host: &HostFacts, update: bool) -> Result<(ResourcesPlan, Vec<String>)> {
    let mut check = Check { plan: ResourcesPlan::default(), warnings: Vec::new(), has: host.controllers };
    check.memory(request, update)?;
    check.oom_and_pids(request);
    check.cpu(request, host)?;
    check.cpuset(request, host)?;
    check.block_io(request)?;
    Ok((check.plan, check.warnings))
}

struct Check {
    plan: ResourcesPlan,
    warnings: Vec<String>,
    has: Controllers,
}

fn refuse(message: impl Into<String>) -> Result<()> {
    Err(Error::invalid(message))
}

/// Zero (and less) is absent.
fn positive(value: i64) -> Option<i64> {
    (value > 0).then_some(value)
}

impl Check {
    /// Whether a wanted limit works here; else warns and has the caller leave it out.
    fn supported(&mut self, wanted: bool, has: bool, lacks: &str) -> bool {
        if wanted && !has {
            self.warnings.push(format!("Your kernel does not support {lacks}"));
        }
        wanted && has
    }

    fn memory(&mut self, r: &ResourceRequest, update: bool) -> Result<()> {
        const UNMOUNTED: &str = "capabilities or the cgroup is not mounted.";
        if r.memory != 0 && r.memory < MIN_MEMORY {
            return refuse("Minimum memory limit allowed is 6MB");
        }
        if r.memory > 0 && r.memory_swap > 0 && r.memory_swap < r.memory {
            return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
        }
        if r.memory == 0 && r.memory_swap > 0 && !update {
            return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
        }
        if r.memory_reservation != 0 && r.memory_reservation < MIN_MEMORY {
            return refuse("Minimum memory reservation allowed is 6MB");
        }
        if r.memory > 0 && r.memory_reservation > r.memory {
            return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
        }
        let swappiness = r.memory_swappiness.filter(|value| *value != -1);
        if let Some(value) = swappiness
            && !(0..=100).contains(&value)
        {
            return refuse(format!("Invalid value: {value}, valid memory swappiness range is 0-100"));
        }

        if self.supported(r.memory > 0, self.has.memory, &format!("memory limit {UNMOUNTED} Limitation discarded.")) {
            self.plan.memory = Some(r.memory);
        }
        // Twice the memory, that is as much swap as memory, when nothing was said.
        let swap = match r.memory_swap {
            0 if !update => self.plan.memory.map(|memory| memory.saturating_mul(2)),
            0 => None,
            swap => Some(swap),
        };
        let lacks = format!("swap limit {UNMOUNTED} Memory limited without swap.");
        if self.supported(swap.is_some_and(|swap| swap > 0), self.has.swap, &lacks) || (swap == Some(-1) && self.has.swap) {
            self.plan.memory_swap = swap;
        }
        let lacks = format!("memory soft limit {UNMOUNTED} Limitation discarded.");
        if self.supported(r.memory_reservation > 0, self.has.memory_reservation, &lacks) {
            self.plan.memory_reservation = Some(r.memory_reservation);
        }
        let lacks = format!("memory swappiness {UNMOUNTED} Memory swappiness discarded.");
        if self.supported(swappiness.is_some(), self.has.swappiness, &lacks) {
            self.plan.swappiness = swappiness.and_then(|value| value.try_into().ok());
        }
        Ok(())
    }

    fn oom_and_pids(&mut self, r: &ResourceRequest) {
        let disable = r.oom_kill_disable == Some(true);
        if self.supported(disable, self.has.oom_kill_disable, "OomKillDisable. OomKillDisable discarded.") {
            self.plan.oom_kill_disable = Some(true);
            if self.plan.memory.is_none() {
                let text = "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.";
                self.warnings.push(text.into());
            }
        }
        let lacks = "PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.";
        match r.pids_limit {
            Some(limit) if limit > 0 => self.plan.pids_limit = self.supported(true, self.has.pids, lacks).then_some(limit),
            Some(_) if self.has.pids => self.plan.pids_limit = Some(-1),
            _ => {}
        }
    }

    fn cpu(&mut self, r: &ResourceRequest, host: &HostFacts) -> Result<()> {
        if r.nano_cpus > 0 && r.cpu_period > 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
        }
        if r.nano_cpus > 0 && r.cpu_quota > 0 {
            return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
        }
        if r.nano_cpus > 0 && !self.has.cpu_cfs {
            return refuse("NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted");
        }
        let count = host.cpus.iter().count();
        if r.nano_cpus < 0 || r.nano_cpus > count as i64 * 1_000_000_000 {
            return refuse(format!("range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"));
        }
        if r.cpu_shares < 0 {
            return refuse(format!("invalid CPU shares ({}): value must be a positive integer", r.cpu_shares));
        }
        if r.cpu_period != 0 && !(1000..=1_000_000).contains(&r.cpu_period) {
            return refuse("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)");
        }
        if r.cpu_quota > 0 && r.cpu_quota < 1000 {
            return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
        }
        if (r.cpu_realtime_period != 0 || r.cpu_realtime_runtime != 0) && !self.has.cpu_realtime {
            return refuse("Your kernel does not support CPU real-time scheduler");
        }
        if r.cpu_realtime_period != 0 && r.cpu_realtime_runtime > r.cpu_realtime_period {
            return refuse("cpu real-time runtime cannot be higher than cpu real-time period");
        }

        let lacks = "CPU shares or the cgroup is not mounted. Shares discarded.";
        if self.supported(r.cpu_shares > 0, self.has.cpu_shares, lacks) {
            self.plan.cpu_shares = r.cpu_shares.try_into().ok();
        }
        let lacks = "CPU CFS scheduler. CPU period/quota discarded.";
        if self.supported(r.cpu_period != 0 || r.cpu_quota != 0, self.has.cpu_cfs, lacks) {
            self.plan.cpu_period = positive(r.cpu_period).map(i64::cast_unsigned);
            self.plan.cpu_quota = Some(r.cpu_quota).filter(|quota| *quota != 0);
        }
        if r.nano_cpus > 0 {
            self.plan.cpu_period = Some(NANO_CPUS_PERIOD);
            self.plan.cpu_quota = Some((i128::from(r.nano_cpus) * i128::from(NANO_CPUS_PERIOD) / 1_000_000_000) as i64);
        }
        self.plan.cpu_rt_period = positive(r.cpu_realtime_period).map(i64::cast_unsigned);
        self.plan.cpu_rt_runtime = Some(r.cpu_realtime_runtime).filter(|runtime| *runtime != 0);
        Ok(())
    }

    fn cpuset(&mut self, r: &ResourceRequest, host: &HostFacts) -> Result<()> {
        let wanted = !r.cpuset_cpus.is_empty() || !r.cpuset_mems.is_empty();
        if !self.supported(wanted, self.has.cpuset, "cpuset or the cgroup is not mounted. Cpuset discarded.") {
            return Ok(());
        }
        let check = |text: &str, available: &IdSet, file: &str, noun: &str| {
            let Ok(ids) = text.parse::<IdSet>() else { return refuse(format!("Invalid value {text} for cpuset {file}")) };
            if ids.is_subset(available) {
                return Ok(());
            }
            refuse(format!("Requested {noun} are not available - requested {text}, available: {available}"))
        };
        check(&r.cpuset_cpus, &host.cpus, "cpus", "CPUs")?;
        check(&r.cpuset_mems, &host.mems, "mems", "memory nodes")?;
        self.plan.cpuset_cpus = Some(r.cpuset_cpus.clone()).filter(|text| !text.is_empty());
        self.plan.cpuset_mems = Some(r.cpuset_mems.clone()).filter(|text| !text.is_empty());
        Ok(())
    }

    fn block_io(&mut self, r: &ResourceRequest) -> Result<()> {
        let weights = r.blkio_weight_device.iter().map(|(_, weight)| *weight).chain(Some(r.blkio_weight).filter(|w| *w != 0));
        if weights.into_iter().any(|weight| !(10..=1000).contains(&weight)) {
            return refuse("Range of blkio weight is from 10 to 1000");
        }
        let lacks = "Block I/O weight or the cgroup is not mounted. Weight discarded.";
        if self.supported(r.blkio_weight > 0, self.has.blkio_weight, lacks) {
            self.plan.blkio_weight = Some(r.blkio_weight);
        }
        let lacks = "Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.";
        self.plan.blkio_weight_devices = self.rates(&r.blkio_weight_device, self.has.blkio_weight, lacks);
        let throttle = self.has.blkio_throttle;
        let lacks = |unit: &str, way: &str| {
            format!("{unit} Block I/O {way} limit or the cgroup is not mounted. Block I/O {unit} {way} limit discarded.")
        };
        self.plan.read_bps = self.rates(&r.blkio_device_read_bps, throttle, &lacks("BPS", "read"));
        self.plan.write_bps = self.rates(&r.blkio_device_write_bps, throttle, &lacks("BPS", "write"));
        self.plan.read_iops = self.rates(&r.blkio_device_read_iops, throttle, &lacks("IOPS", "read"));
        self.plan.write_iops = self.rates(&r.blkio_device_write_iops, throttle, &lacks("IOPS", "write"));
        Ok(())
    }

    fn rates<N: Copy>(&mut self, list: &[(PathBuf, N)], has: bool, lacks: &str) -> Vec<DeviceRate<N>> {
        let kept = self.supported(!list.is_empty(), has, lacks);
        list.iter().filter(|_| kept).map(|(path, value)| DeviceRate { path: path.clone(), value: *value }).collect()
    }
}

#[cfg(test)]
mod tests;
