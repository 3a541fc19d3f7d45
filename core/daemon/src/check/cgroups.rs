//! Which cgroup hierarchy a host has and what it can limit; read from files under a root, so fixtures can stand for hosts.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use wharf_runtime::mountinfo;

/// How control groups are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// No hierarchy is mounted.
    None,
    /// One hierarchy per controller.
    V1,
    /// v1 controllers, and a v2 hierarchy that only groups processes.
    Hybrid,
    /// One hierarchy for all controllers.
    V2,
}

/// The mounted hierarchies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroups {
    /// The arrangement.
    pub version: Version,
    /// Each controller with the mount point of its hierarchy, as the host names it.
    pub controllers: BTreeMap<String, PathBuf>,
}

/// What the kernel can limit, in the terms of Docker's `/info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[allow(missing_docs)] // each is the cgroup feature of its name
pub struct Limits {
    pub memory: bool,
    pub swap: bool,
    pub oom_kill_disable: bool,
    pub cpu_shares: bool,
    pub cpu_cfs_quota: bool,
    pub cpuset: bool,
    pub pids: bool,
    pub blkio_weight: bool,
    pub blkio_throttle: bool,
    pub devices: bool,
}

impl Cgroups {
    /// Reads `proc/self/mountinfo` under `root`, and the controllers of a v2 hierarchy.
    pub fn read(root: &Path) -> Self {
        let mountinfo = std::fs::read(root.join("proc/self/mountinfo")).unwrap_or_default();
        let mut controllers = BTreeMap::new();
        let mut unified = None;
        for mount in mountinfo::mounts(&mountinfo) {
            match mount.kind {
                "cgroup" => {
                    let names = mount.options.split(',').filter(|o| !o.contains('=') && *o != "rw" && *o != "ro");
                    controllers.extend(names.map(|name| (name.to_owned(), mount.point.clone())));
                }
                "cgroup2" => unified = Some(mount.point),
                _ => {}
            }
        }
        let version = match (&unified, controllers.is_empty()) {
            (None, true) => Version::None,
            (None, false) => Version::V1,
            (Some(_), false) => Version::Hybrid,
            (Some(point), true) => {
                let names = std::fs::read_to_string(under(root, point).join("cgroup.controllers")).unwrap_or_default();
                controllers.extend(names.split_whitespace().map(|name| (name.to_owned(), point.clone())));
                Version::V2
            }
        };
        Self { version, controllers }
    }

    /// What can be limited.
    pub fn limits(&self, root: &Path) -> Limits {
        let has = |controller: &str| self.controllers.contains_key(controller);
        if self.version == Version::V2 {
            let file = |controller, name| has(controller) && self.unified_has(root, controller, name);
            return Limits {
                memory: has("memory"),
                swap: file("memory", "memory.swap.max"),
                oom_kill_disable: false, // v2 has no such switch
                cpu_shares: has("cpu"),
                cpu_cfs_quota: has("cpu"),
                cpuset: has("cpuset"),
                pids: has("pids"),
                blkio_weight: file("io", "io.weight") || file("io", "io.bfq.weight"),
                blkio_throttle: has("io"),
                devices: true, // a BPF program per group, not a controller
            };
        }
        let file = |controller: &str, name| self.controllers.get(controller).is_some_and(|at| under(root, at).join(name).exists());
        Limits {
            memory: file("memory", "memory.limit_in_bytes"),
            swap: file("memory", "memory.memsw.limit_in_bytes"),
            oom_kill_disable: file("memory", "memory.oom_control"),
            cpu_shares: file("cpu", "cpu.shares"),
            cpu_cfs_quota: file("cpu", "cpu.cfs_quota_us"),
            cpuset: file("cpuset", "cpuset.cpus"),
            pids: has("pids"),
            blkio_weight: file("blkio", "blkio.weight") || file("blkio", "blkio.bfq.weight"),
            blkio_throttle: file("blkio", "blkio.throttle.read_bps_device"),
            devices: has("devices"),
        }
    }

    /// Whether groups below the root have a file: the root group itself has no limits, so its children are asked.
    fn unified_has(&self, root: &Path, controller: &str, name: &str) -> bool {
        let Some(point) = self.controllers.get(controller) else { return false };
        let Ok(groups) = std::fs::read_dir(under(root, point)) else { return false };
        groups.flatten().any(|group| group.path().join(name).exists())
    }
}

fn under(root: &Path, absolute: &Path) -> PathBuf {
    root.join(absolute.strip_prefix("/").unwrap_or(absolute))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory tree of empty files, with a mountinfo.
    fn host(mountinfo: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files.iter().chain(&[("proc/self/mountinfo", mountinfo)]) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        root
    }

    const V1: &str = "\
30 25 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:16 - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/pids rw,nosuid shared:17 - cgroup cgroup rw,pids
35 30 0:31 / /sys/fs/cgroup/systemd rw,nosuid shared:18 - cgroup cgroup rw,xattr,name=systemd
";

    #[test]
    fn v1_has_what_its_files_say() {
        let files = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", ""),
            ("sys/fs/cgroup/memory/memory.oom_control", ""),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.shares", ""),
        ];
        let root = host(V1, &files);
        let cgroups = Cgroups::read(root.path());
        assert_eq!(cgroups.version, Version::V1);
        assert_eq!(cgroups.controllers["cpu"], Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        let expected = Limits { memory: true, oom_kill_disable: true, cpu_shares: true, pids: true, ..Limits::default() };
        assert_eq!(cgroups.limits(root.path()), expected);
    }

    #[test]
    fn hybrid_keeps_the_controllers_of_v1() {
        let unified = "36 30 0:32 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n";
        let root = host(&format!("{V1}{unified}"), &[("sys/fs/cgroup/unified/cgroup.controllers", "hugetlb")]);
        let cgroups = Cgroups::read(root.path());
        assert_eq!(cgroups.version, Version::Hybrid);
        assert!(cgroups.controllers.contains_key("memory") && !cgroups.controllers.contains_key("hugetlb"));
    }

    #[test]
    fn v2_is_asked_below_its_root() {
        let mount = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let files =
            [("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n"), ("sys/fs/cgroup/init.scope/memory.swap.max", "max")];
        let root = host(mount, &files);
        let cgroups = Cgroups::read(root.path());
        assert_eq!((cgroups.version, cgroups.controllers.len()), (Version::V2, 5));
        let limits = cgroups.limits(root.path());
        assert!(limits.memory && limits.swap && limits.pids && limits.blkio_throttle && limits.devices);
        assert!(!limits.blkio_weight && !limits.oom_kill_disable);
    }

    #[test]
    fn nothing_mounted() {
        let root = host("25 1 8:1 / / rw - ext4 /dev/sda1 rw\n", &[]);
        let cgroups = Cgroups::read(root.path());
        assert_eq!((cgroups.version, cgroups.limits(root.path())), (Version::None, Limits::default()));
    }
}
