//! What can be read about a host without trying anything; also what `/info` reports. Everything is read from files under a
//! root, `/` on the real host.

use super::cgroups::{Cgroups, Limits};
use std::path::Path;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Release of the running kernel, such as `6.1.0-18-amd64`.
    pub kernel: String,
    /// Name of the distribution, such as `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// `VERSION_ID` of the distribution; empty when it has none.
    pub os_version: String,
    /// Bytes of RAM.
    pub memory: u64,
    /// The control groups.
    pub cgroups: Cgroups,
    /// What they can limit.
    pub limits: Limits,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
    /// Whether AppArmor is on.
    pub apparmor: bool,
    /// Whether IPv4 packets are forwarded.
    pub ip_forward: bool,
    /// inotify instances that one user may have.
    pub inotify_instances: u64,
    /// inotify watches that one user may have.
    pub inotify_watches: u64,
}

impl Facts {
    /// Reads the facts under `root`; what can not be read counts as absent.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let number = |path: &str| text(path).trim().parse().unwrap_or(0);
        let release = Some(text("etc/os-release")).filter(|t| !t.is_empty()).unwrap_or_else(|| text("usr/lib/os-release"));
        let cgroups = Cgroups::read(root);
        Self {
            kernel: text("proc/sys/kernel/osrelease").trim().to_owned(),
            os: field(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
            os_version: field(&release, "VERSION_ID").unwrap_or_default(),
            memory: memory(&text("proc/meminfo")).unwrap_or(0),
            limits: cgroups.limits(root),
            cgroups,
            seccomp: text("proc/sys/kernel/seccomp/actions_avail").split_whitespace().any(|action| action == "errno"),
            apparmor: text("sys/module/apparmor/parameters/enabled").trim() == "Y" && root.join("sys/kernel/security/apparmor").exists(),
            ip_forward: number("proc/sys/net/ipv4/ip_forward") == 1,
            inotify_instances: number("proc/sys/fs/inotify/max_user_instances"),
            inotify_watches: number("proc/sys/fs/inotify/max_user_watches"),
        }
    }

    /// The kernel's version as numbers, for comparison.
    pub fn kernel_version(&self) -> (u32, u32) {
        let mut numbers = self.kernel.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

/// A value of os-release(5), without its quotes.
fn field(release: &str, name: &str) -> Option<String> {
    let value = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// `MemTotal` in bytes; the file has it in units of 1024.
fn memory(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Facts) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let facts = Facts::read(root.path());
        (root, facts)
    }

    #[test]
    fn a_full_host() {
        let (_root, facts) = host(&[
            ("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n"),
            ("etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n"),
            ("proc/meminfo", "MemTotal:        1024 kB\nMemFree: 1 kB\n"),
            ("proc/sys/kernel/seccomp/actions_avail", "kill trap errno allow\n"),
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("sys/kernel/security/apparmor/profiles", ""),
            ("proc/sys/net/ipv4/ip_forward", "1\n"),
            ("proc/sys/fs/inotify/max_user_instances", "128\n"),
        ]);
        assert_eq!(
            (facts.kernel_version(), facts.os.as_str(), facts.os_version.as_str()),
            ((6, 1), "Debian GNU/Linux 12 (bookworm)", "12")
        );
        assert_eq!((facts.memory, facts.inotify_instances), (1 << 20, 128));
        assert!(facts.seccomp && facts.apparmor && facts.ip_forward);
    }

    #[test]
    fn an_empty_host() {
        let (_root, facts) = host(&[]);
        assert_eq!((facts.kernel_version(), facts.os.as_str(), facts.memory), ((0, 0), "Linux", 0));
        assert!(!facts.seccomp && !facts.apparmor && !facts.ip_forward);
    }
}
