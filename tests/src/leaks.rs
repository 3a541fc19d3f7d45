//! What a daemon may not leave: processes, mounts, control groups, and (see [`Footprint`]) files.
//!
//! Everything is recognised by the daemon's directory, which is unique and part of every path that it uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Daemon, Engine, poll};

/// Waits a little for things to go, then names and removes what is left after a daemon on `dir` has stopped.
pub fn after(engine: Engine, dir: &Path) -> Vec<String> {
    let find = || {
        let mut found = processes(dir).into_iter().map(|(pid, line)| format!("process {pid}: {line}")).collect::<Vec<_>>();
        let mut mounts = mounts(dir);
        if engine.is_dockerd() {
            // dockerd keeps the handle of the host's network namespace, and after some ends its data root mounted on itself.
            mounts.retain(|m| !m.ends_with("netns/default") && *m != dir.join("data"));
        }
        found.extend(mounts.iter().map(|m| format!("mount {}", m.display())));
        found.extend(cgroups(dir).iter().map(|c| format!("control group {}", c.display())));
        found
    };
    let left = poll::within(Duration::from_secs(5), || find().is_empty().then_some(()));
    let found = if left.is_some() { Vec::new() } else { find() };
    clean(dir);
    found
}

/// Ends the processes, mounts and control groups that belong to `dir`.
pub fn clean(dir: &Path) {
    for (pid, _) in processes(dir) {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
    }
    poll::within(Duration::from_secs(5), || processes(dir).is_empty().then_some(()));
    for mount in mounts(dir).iter().rev() {
        umount2(mount, MntFlags::MNT_DETACH).ok();
    }
    for group in cgroups(dir) {
        fs::remove_dir(group).ok();
    }
}

/// Processes that carry `dir` in their command line, environment or root filesystem.
fn processes(dir: &Path) -> Vec<(i32, String)> {
    let marker = dir.to_string_lossy().into_owned();
    let own_mounts = fs::read_link("/proc/self/ns/mnt").unwrap();
    let mut found = Vec::new();
    for pid in fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok()) {
        let read = |name: &str| String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()).replace('\0', " ");
        let contained = fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|ns| ns != own_mounts);
        // A zombie has neither memory nor mounts, so it matches nothing: its parent is what leaked.
        // Its root alone: a container that another daemon is just making still has a copy of all of the host's mounts.
        let root_is_ours = || read("mountinfo").lines().any(|l| l.split(' ').nth(4) == Some("/") && l.contains(&marker));
        if read("cmdline").contains(&marker) || read("environ").contains(&marker) || contained && root_is_ours() {
            found.push((pid, read("cmdline")));
        }
    }
    found
}

/// Mount points below `dir`, in mount order.
fn mounts(dir: &Path) -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().filter_map(|l| l.split(' ').nth(4)).map(PathBuf::from).filter(|p| p.starts_with(dir)).collect()
}

/// The control group above all containers of the daemon on `dir`.
pub fn cgroup_parent(dir: &Path) -> PathBuf {
    Path::new("/").join(dir.file_name().unwrap())
}

/// Control groups at and below that parent, the deepest first, without those that are nobody's: a parent is named by the user,
/// so it is the test that removes it when no container is in it.
fn cgroups(dir: &Path) -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|e| e.path()).chain(["/sys/fs/cgroup".into()]);
    let mut walk: Vec<PathBuf> = hierarchies.map(|h| h.join(dir.file_name().unwrap())).filter(|p| p.is_dir()).collect();
    let mut groups = Vec::new();
    while let Some(group) = walk.pop() {
        walk.extend(fs::read_dir(&group).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir()));
        groups.push(group);
    }
    groups.reverse();
    let of_container = |group: &Path| group.file_name().is_some_and(|n| n.len() >= 64);
    groups.retain(|group| of_container(group) || fs::remove_dir(group).is_err());
    groups
}

/// The directories that a daemon keeps and the mounts below them, to compare before and after.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Footprint(BTreeSet<PathBuf>);

impl Footprint {
    /// Looks now.
    pub fn of(daemon: &Daemon) -> Footprint {
        let mut paths: BTreeSet<PathBuf> = mounts(daemon.dir()).into_iter().collect();
        let mut walk: Vec<(PathBuf, u32)> = ["data", "exec"].map(|d| (daemon.dir().join(d), 0)).into();
        while let Some((dir, depth)) = walk.pop() {
            for path in fs::read_dir(&dir).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir() && !p.is_symlink()) {
                if depth < 4 {
                    walk.push((path.clone(), depth + 1));
                }
                paths.insert(path);
            }
        }
        Footprint(paths)
    }

    /// What is here and was not in `before`.
    pub fn beyond(&self, before: &Footprint) -> Vec<PathBuf> {
        self.0.difference(&before.0).cloned().collect()
    }
}
