//! What the host allows: read once by [`HostFacts::detect`], a plain value for everything else, so that specs can be built
//! for any host in a test.

use crate::mountinfo;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use oci_spec::runtime::PosixRlimitType;
use rustix::process::{Resource, getrlimit};
use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::capabilities::CapSet;
use super::limits::IdSet;

/// Which cgroup interface manages resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy per controller (a hybrid layout included).
    V1,
    /// The unified hierarchy.
    V2,
}

/// Major and minor version of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion(pub u32, pub u32);

impl FromStr for KernelVersion {
    type Err = Error;

    fn from_str(release: &str) -> Result<Self> {
        let mut numbers = release.trim().split(|c: char| !c.is_ascii_digit()).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self(major, minor)),
            _ => Err(Error::invalid(format!("invalid kernel version: {release}"))),
        }
    }
}

/// What the host allows and this daemon may hand on.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Which cgroup interface manages resources.
    pub cgroup: CgroupVersion,
    /// Names of the v1 hierarchies below `/sys/fs/cgroup`; empty on v2.
    pub cgroup_v1_mounts: Vec<String>,
    /// Which limits the kernel and the cgroup layout support.
    pub controllers: Controllers,
    /// The capabilities that this daemon can hand on.
    pub bounding: CapSet,
    /// The running kernel.
    pub kernel: KernelVersion,
    /// Online processors.
    pub cpus: IdSet,
    /// Online memory nodes.
    pub mems: IdSet,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// Limits can be raised above the daemon's own (`CAP_SYS_RESOURCE`).
    pub may_raise_limits: bool,
    /// The daemon's own hard limits.
    pub hard_limits: Vec<(PosixRlimitType, u64)>,
    /// The daemon's own `oom_score_adj`.
    pub oom_score_adj: i32,
    /// Per-CPU `thermal_throttle` directories, masked because they tell other tenants' load.
    pub thermal_throttle: Vec<String>,
    /// Where the host's device nodes are.
    pub dev: PathBuf,
}

/// Which limits work here. What does not is refused or dropped with Docker's warning by [`super::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // one flag per limit, named like it
pub struct Controllers {
    pub memory: bool,
    pub swap: bool,
    pub memory_reservation: bool,
    pub swappiness: bool,
    pub oom_kill_disable: bool,
    pub cpu_shares: bool,
    pub cpu_cfs: bool,
    pub cpu_realtime: bool,
    pub cpuset: bool,
    pub pids: bool,
    pub blkio_weight: bool,
    pub blkio_throttle: bool,
}

const RLIMITS: [(PosixRlimitType, Resource); 16] = [
    (PosixRlimitType::RlimitCpu, Resource::Cpu),
    (PosixRlimitType::RlimitFsize, Resource::Fsize),
    (PosixRlimitType::RlimitData, Resource::Data),
    (PosixRlimitType::RlimitStack, Resource::Stack),
    (PosixRlimitType::RlimitCore, Resource::Core),
    (PosixRlimitType::RlimitRss, Resource::Rss),
    (PosixRlimitType::RlimitNproc, Resource::Nproc),
    (PosixRlimitType::RlimitNofile, Resource::Nofile),
    (PosixRlimitType::RlimitMemlock, Resource::Memlock),
    (PosixRlimitType::RlimitAs, Resource::As),
    (PosixRlimitType::RlimitLocks, Resource::Locks),
    (PosixRlimitType::RlimitSigpending, Resource::Sigpending),
    (PosixRlimitType::RlimitMsgqueue, Resource::Msgqueue),
    (PosixRlimitType::RlimitNice, Resource::Nice),
    (PosixRlimitType::RlimitRtprio, Resource::Rtprio),
    (PosixRlimitType::RlimitRttime, Resource::Rttime),
];

impl HostFacts {
    /// Reads `/proc`, `/sys` and `/dev` below `root` (`/` but in tests) and the daemon's own limits. Blocking, some dozen
    /// small files.
    pub fn detect(root: &Path) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(root.join(path)).context(format_args!("/{path}"));
        let status = read("proc/self/status")?;
        let capabilities = |field: &str| {
            let hex = status.lines().find_map(|l| l.strip_prefix(field)).unwrap_or_default();
            u64::from_str_radix(hex.trim(), 16).map(CapSet::from_bits).map_err(|_| Error::system(format!("/proc/self/status: no {field}")))
        };
        let cgroups = root.join("sys/fs/cgroup");
        let unified = cgroups.join("cgroup.controllers");
        let (cgroup, cgroup_v1_mounts, controllers) = if unified.exists() {
            (CgroupVersion::V2, Vec::new(), Controllers::v2(&fs::read_to_string(&unified).context("/sys/fs/cgroup/cgroup.controllers")?))
        } else {
            // Bytes: whoever may mount something chooses what the place is called.
            let mounts = fs::read(root.join("proc/self/mountinfo")).context("/proc/self/mountinfo")?;
            (CgroupVersion::V1, v1_hierarchies(&mounts), Controllers::v1(&cgroups))
        };
        let cpus: IdSet = read("sys/devices/system/cpu/online")?.trim().parse()?;
        Ok(Self {
            cgroup,
            cgroup_v1_mounts,
            controllers,
            bounding: capabilities("CapBnd:")?,
            kernel: read("proc/sys/kernel/osrelease")?.parse()?,
            mems: read("sys/devices/system/node/online").unwrap_or_else(|_| "0".into()).trim().parse()?,
            apparmor: read("sys/module/apparmor/parameters/enabled").is_ok_and(|v| v.starts_with('Y')),
            may_raise_limits: capabilities("CapEff:")?.contains(oci_spec::runtime::Capability::SysResource),
            hard_limits: RLIMITS.map(|(kind, resource)| (kind, getrlimit(resource).maximum.unwrap_or(u64::MAX))).into(),
            oom_score_adj: read("proc/self/oom_score_adj")?.trim().parse().context("/proc/self/oom_score_adj")?,
            thermal_throttle: cpus
                .iter()
                .map(|cpu| format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"))
                .filter(|path| root.join(path.trim_start_matches('/')).exists())
                .collect(),
            dev: root.join("dev"),
            cpus,
        })
    }
}

impl Controllers {
    /// From the root's `cgroup.controllers`. Swappiness and disabling the OOM killer have no counterpart on v2.
    fn v2(available: &str) -> Self {
        let has = |name| available.split_whitespace().any(|c| c == name);
        let (memory, cpu, io) = (has("memory"), has("cpu"), has("io"));
        Self {
            memory,
            swap: memory,
            memory_reservation: memory,
            swappiness: false,
            oom_kill_disable: false,
            cpu_shares: cpu,
            cpu_cfs: cpu,
            cpu_realtime: false,
            cpuset: has("cpuset"),
            pids: has("pids"),
            blkio_weight: io,
            blkio_throttle: io,
        }
    }

    /// From the control files of the root cgroups.
    fn v1(cgroups: &Path) -> Self {
        let has = |file: &str| cgroups.join(file).exists();
        Self {
            memory: has("memory/memory.limit_in_bytes"),
            swap: has("memory/memory.memsw.limit_in_bytes"),
            memory_reservation: has("memory/memory.soft_limit_in_bytes"),
            swappiness: has("memory/memory.swappiness"),
            oom_kill_disable: has("memory/memory.oom_control"),
            cpu_shares: has("cpu/cpu.shares"),
            cpu_cfs: has("cpu/cpu.cfs_quota_us"),
            cpu_realtime: has("cpu/cpu.rt_runtime_us"),
            cpuset: has("cpuset/cpuset.cpus"),
            pids: has("pids"),
            blkio_weight: has("blkio/blkio.weight") || has("blkio/blkio.bfq.weight"),
            blkio_throttle: has("blkio/blkio.throttle.read_bps_device"),
        }
    }
}

/// The directory names of the v1 hierarchies mounted right below `/sys/fs/cgroup`.
fn v1_hierarchies(mountinfo: &[u8]) -> Vec<String> {
    let hierarchies = mountinfo::mounts(mountinfo).filter(|mount| mount.kind == "cgroup");
    let names = hierarchies.filter_map(|mount| mount.point.strip_prefix("/sys/fs/cgroup").ok()?.to_str().map(str::to_owned));
    names.filter(|name| !name.is_empty() && !name.contains('/')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_read() {
        let host = HostFacts::detect(Path::new("/")).unwrap();
        assert!(host.kernel > KernelVersion(4, 0));
        assert!(host.cpus.iter().next().is_some());
        assert_eq!(host.hard_limits.len(), 16);
        assert_eq!(host.cgroup == CgroupVersion::V1, !host.cgroup_v1_mounts.is_empty());
    }

    #[test]
    fn kernel_versions_order_by_number() {
        let v = |s: &str| s.parse::<KernelVersion>().unwrap();
        assert!(v("6.18.44-fc") > v("6.9.1"));
        assert_eq!(v("5.10"), KernelVersion(5, 10));
        assert!("six".parse::<KernelVersion>().is_err());
    }

    #[test]
    fn v1_hierarchies_come_from_mountinfo() {
        let text = b"1 0 0:1 / /sys/fs/cgroup rw - tmpfs t rw\n2 1 0:2 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu\n\
                    3 1 0:3 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        assert_eq!(v1_hierarchies(text), ["cpu,cpuacct"]);
    }

    #[test]
    fn a_mount_point_may_be_called_anything() {
        let root = tempfile::tempdir().unwrap();
        let table = b"1 0 0:1 / /mnt/\xff rw - tmpfs t rw\n2 1 0:2 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let files: [(&str, &[u8]); 5] = [
            ("proc/self/status", b"CapBnd:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"),
            ("proc/self/mountinfo", table),
            ("proc/self/oom_score_adj", b"0\n"),
            ("proc/sys/kernel/osrelease", b"6.1.0\n"),
            ("sys/devices/system/cpu/online", b"0-1\n"),
        ];
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        assert_eq!(HostFacts::detect(root.path()).unwrap().cgroup_v1_mounts, ["pids"]);
    }

    #[test]
    fn v2_has_no_swappiness() {
        let c = Controllers::v2("cpuset cpu io memory pids\n");
        assert!(c.memory && c.swap && c.cpuset && c.pids && c.blkio_weight && !c.swappiness && !c.oom_kill_disable);
    }
}
