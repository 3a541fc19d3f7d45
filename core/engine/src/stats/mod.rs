//! What a container uses: CPU, memory, processes, block devices and networks, read from the kernel's files.
//!
//! The readers are functions over directories, so that they are tested with trees of files: `v1.rs` and `v2.rs` for the two
//! kinds of cgroups, `net.rs` for interfaces, `host.rs` for what a share is a share of. [`Sampler`] puts them together.

mod cgroup;
mod host;
mod net;
mod v1;
mod v2;

use crate::containers::{Containers, blocking};
use cgroup::Cgroup;
use std::path::PathBuf;
use tokio::sync::watch;
use wharf_api_types::stats::Stats;
use wharf_types::{ContainerId, Result, Timestamp};

/// Where the kernel shows processes, and where cgroups are mounted.
#[derive(Clone, Debug)]
struct Roots {
    proc: PathBuf,
    cgroup: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), cgroup: "/sys/fs/cgroup".into() }
    }
}

/// Takes samples of one container.
pub struct Sampler {
    id: ContainerId,
    published: watch::Receiver<crate::containers::Published>,
    roots: Roots,
    last: Option<Stats>,
}

impl Containers {
    /// Looks at what a container uses.
    ///
    /// # Errors
    /// 404.
    pub fn stats(&self, name: &str) -> Result<Sampler> {
        let published = self.watch(name)?;
        let id = published.borrow().view.id().clone();
        Ok(Sampler { id, published, roots: Roots::default(), last: None })
    }
}

impl Sampler {
    /// The container.
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// Whether the container runs.
    pub fn is_running(&self) -> bool {
        self.published.borrow().task.is_some()
    }

    /// Completes when the container was removed.
    pub async fn gone(&mut self) {
        // An error means that it is gone, too.
        let _ = self.published.wait_for(|p| p.gone).await;
    }

    /// A sample with the CPU times of the last one; nothing but name and id of a container that does not run.
    ///
    /// # Errors
    /// When the kernel's files cannot be read.
    pub async fn sample(&mut self) -> Result<Stats> {
        let (name, pid, own_network) = {
            let published = self.published.borrow();
            let spec = &published.view.spec;
            let pid = published.task.as_ref().map(wharf_runtime::task::Task::pid);
            (format!("/{}", spec.name), pid, spec.host_config.network_mode != "host")
        };
        let roots = self.roots.clone();
        let read = match pid {
            Some(pid) => blocking(move || read(&roots, pid, own_network)).await?,
            None => None,
        };
        let mut stats = read.unwrap_or_else(|| Stats { read: Timestamp::ZERO.to_string(), ..Stats::default() });
        (stats.name, stats.id) = (name, self.id.to_string());
        "linux".clone_into(&mut stats.os_type);
        stats.preread = Timestamp::ZERO.to_string();
        if let Some(last) = &self.last {
            stats.preread.clone_from(&last.read);
            stats.precpu_stats = last.cpu_stats.clone();
        }
        self.last = Some(stats.clone());
        Ok(stats)
    }
}

/// What the processes of the container of `pid` use; none when it has ended.
fn read(roots: &Roots, pid: i32, own_network: bool) -> Result<Option<Stats>> {
    let process = roots.proc.join(pid.to_string());
    let Ok(text) = std::fs::read_to_string(process.join("cgroup")) else { return Ok(None) };
    let host = host::read(&roots.proc)?;
    let mut stats = match Cgroup::parse(&text, &roots.cgroup) {
        Cgroup::V1(dirs) => v1::read(&dirs),
        Cgroup::V2(dir) => v2::read(&dir),
    };
    stats.read = Timestamp::now().to_string();
    (stats.cpu_stats.system_cpu_usage, stats.cpu_stats.online_cpus) = (host.cpu, host.cpus);
    let limit = &mut stats.memory_stats.limit;
    if *limit == 0 || *limit > host.memory {
        *limit = host.memory;
    }
    if own_network {
        stats.networks = std::fs::read_to_string(process.join("net/dev")).map(|text| net::parse(&text)).unwrap_or_default();
    }
    Ok(Some(stats))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(root: &std::path::Path, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    #[test]
    fn a_sample_of_the_unified_hierarchy() {
        let root = tempfile::tempdir().unwrap();
        tree(
            root.path(),
            &[
                ("proc/stat", "cpu  1 0 1 0 0 0 0 0 0 0\ncpu0 1 0 1 0\nintr 5\n"),
                ("proc/meminfo", "MemTotal:       1000 kB\n"),
                ("proc/7/cgroup", "0::/wharf/c\n"),
                ("proc/7/net/dev", "h\nh\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 9 2 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n"),
                ("cg/cgroup.controllers", "cpu memory\n"),
                ("cg/wharf/c/memory.max", "max\n"),
                ("cg/wharf/c/memory.current", "5\n"),
                ("cg/wharf/c/pids.current", "2\n"),
            ],
        );
        let roots = Roots { proc: root.path().join("proc"), cgroup: root.path().join("cg") };
        let stats = read(&roots, 7, true).unwrap().unwrap();
        assert_eq!((stats.memory_stats.usage, stats.memory_stats.limit), (5, 1000 << 10));
        assert_eq!((stats.cpu_stats.system_cpu_usage, stats.cpu_stats.online_cpus), (20_000_000, 1));
        assert_eq!((stats.networks.len(), stats.networks["eth0"].rx_bytes, stats.pids_stats.current), (1, 9, 2));
        assert!(read(&roots, 7, false).unwrap().unwrap().networks.is_empty());
        assert!(read(&roots, 8, true).unwrap().is_none(), "it has ended");
    }
}
