//! The cgroup of a container, in whichever hierarchies the host has: finding it, listing, freezing and killing what is in it, and
//! removing it.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    thread::sleep,
    time::Duration,
};
use wharf_types::{Error, Result, error::Context};

/// Where cgroup hierarchies are mounted.
pub const MOUNT: &str = "/sys/fs/cgroup";
const PROCS: &str = "cgroup.procs";
/// How often, and how far apart, removal of a dying cgroup is tried: 10 s together.
const ATTEMPTS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(20);

/// The directories of one cgroup: one in the unified hierarchy, or one for each v1 hierarchy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cgroup(Vec<PathBuf>);

impl Cgroup {
    /// Known directories.
    pub fn at(dirs: Vec<PathBuf>) -> Self {
        Self(dirs)
    }

    /// The directories.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.0
    }

    /// The cgroup of a container's process. What it shares with us it has inherited from us, as a v1 runtime leaves it in hierarchies
    /// without controllers: that is not the container's, and must neither be killed nor removed with it.
    pub fn of(pid: i32) -> Result<Self> {
        let read = |process: &str| {
            let path = format!("/proc/{process}/cgroup");
            fs::read_to_string(&path).map(|text| Self::parse(&text, Path::new(MOUNT))).context(path)
        };
        Ok(read(&pid.to_string())?.without(&read("self")?))
    }

    fn without(mut self, other: &Self) -> Self {
        self.0.retain(|dir| !other.0.contains(dir));
        self
    }

    /// `text` is a `/proc/<pid>/cgroup`. A hierarchy in which the process sits at the root has no cgroup of the container.
    fn parse(text: &str, mount: &Path) -> Self {
        let dir = |line: &str| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let path = path.strip_prefix('/').filter(|p| !p.is_empty() && !p.split('/').any(|c| c == ".."))?;
            let hierarchy = match controllers.strip_prefix("name=").unwrap_or(controllers) {
                "" if mount.join("unified").is_dir() => mount.join("unified"),
                "" => mount.to_path_buf(),
                names => mount.join(names),
            };
            Some(hierarchy.join(path))
        };
        Self(text.lines().filter_map(dir).filter(|d| d.is_dir()).collect())
    }

    /// The cgroup that a spec names, for when no process is left to ask. Understands plain paths and systemd's `slice:prefix:name`.
    pub fn named(path: &Path) -> Self {
        let text = path.to_string_lossy();
        let relative = match text.split(':').collect::<Vec<_>>().as_slice() {
            [slice, prefix, name] => PathBuf::from(slice).join(format!("{prefix}-{name}.scope")),
            _ => path.strip_prefix("/").unwrap_or(path).to_path_buf(),
        };
        if relative.components().any(|c| !matches!(c, Component::Normal(_))) {
            return Self::default();
        }
        let hierarchies = fs::read_dir(MOUNT).into_iter().flatten().flatten().map(|e| e.path());
        let dirs = [PathBuf::from(MOUNT)].into_iter().chain(hierarchies).map(|h| h.join(&relative));
        Self(dirs.filter(|d| !relative.as_os_str().is_empty() && d.join(PROCS).is_file()).collect())
    }

    fn with(&self, file: &str) -> Option<&PathBuf> {
        self.0.iter().find(|d| d.join(file).exists())
    }

    /// The v1 directory of a controller, recognised by one of its files.
    fn freezer(&self) -> Option<&PathBuf> {
        self.with("freezer.state")
    }

    /// Every process in it and below it, by host numbers.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        // All v1 hierarchies hold the same processes; a process may have left single ones, never the freezer.
        if let Some(dir) = self.freezer().or_else(|| self.0.first()) {
            collect_pids(dir, &mut pids)?;
        }
        Ok(pids)
    }

    /// Sends a signal to every process; frozen ones get it when they thaw.
    pub fn signal_all(&self, signal: rustix::process::Signal) -> Result<()> {
        for pid in self.pids()?.into_iter().filter_map(rustix::process::Pid::from_raw) {
            // One that ended in the meantime needs no signal.
            let _ = rustix::process::kill_process(pid, signal);
        }
        Ok(())
    }

    /// Kills every process, also ones that fork meanwhile, and waits until all are gone.
    pub fn kill_all(&self) -> Result<()> {
        if let Some(dir) = self.with("cgroup.kill") {
            fs::write(dir.join("cgroup.kill"), "1").context(dir.display())?;
        }
        for _ in 0..ATTEMPTS {
            if self.pids()?.is_empty() {
                return Ok(());
            }
            self.freeze("FROZEN");
            self.signal_all(rustix::process::Signal::KILL)?;
            self.freeze("THAWED");
            // The first round usually does it; then only the kernel's own work is waited for.
            if self.pids()?.is_empty() {
                return Ok(());
            }
            sleep(PAUSE);
        }
        Err(Error::system("processes of the container's cgroup do not die"))
    }

    /// Lets processes that were paused go on, so that they can die.
    pub fn thaw(&self) {
        self.freeze("THAWED");
        if let Some(dir) = self.with("cgroup.freeze") {
            let _ = fs::write(dir.join("cgroup.freeze"), "0");
        }
    }

    /// Best effort, v1 only: it merely keeps a fork bomb still.
    fn freeze(&self, state: &str) {
        if let Some(dir) = self.freezer() {
            let _ = fs::write(dir.join("freezer.state"), state);
        }
    }

    /// How often the kernel killed one of its processes for want of memory.
    pub fn oom_kills(&self) -> u64 {
        let read = |file: &str| self.with(file).and_then(|d| fs::read_to_string(d.join(file)).ok());
        let text = read("memory.events").or_else(|| read("memory.oom_control")).unwrap_or_default();
        text.lines().find_map(|l| l.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }

    /// The files to watch for such kills: `memory.events`, or v1's `memory.oom_control`.
    pub fn memory_events(&self) -> Option<PathBuf> {
        ["memory.events", "memory.oom_control"].into_iter().find_map(|f| self.with(f).map(|d| d.join(f)))
    }

    /// Removes the directories with everything below them; they must be empty of processes.
    pub fn remove(&self) -> Result<()> {
        self.0.iter().try_for_each(|dir| remove_tree(dir))
    }
}

fn collect_pids(dir: &Path, pids: &mut Vec<i32>) -> Result<()> {
    let text = match fs::read_to_string(dir.join(PROCS)) {
        Err(e) if gone(&e) => return Ok(()),
        other => other.context(dir.display())?,
    };
    pids.extend(text.lines().filter_map(|l| l.parse::<i32>().ok()));
    children(dir).try_for_each(|child| collect_pids(&child, pids))
}

fn children(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(dir).into_iter().flatten().flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path())
}

fn gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::NotFound || e.raw_os_error() == Some(libc::ENODEV)
}

fn remove_tree(dir: &Path) -> Result<()> {
    for _ in 0..ATTEMPTS {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(e) if gone(&e) => return Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                children(dir).try_for_each(|child| remove_tree(&child))?;
                // A killed process stays in its cgroup until the kernel has put it away.
                if let Err(e) = fs::remove_dir(dir) {
                    if gone(&e) {
                        return Ok(());
                    }
                    sleep(PAUSE);
                } else {
                    return Ok(());
                }
            }
            Err(e) => return Err(Error::from(e).context(dir.display())),
        }
    }
    Err(Error::system(format!("{}: still busy", dir.display())))
}

/// Moves this process out of the cgroups of the daemon, into `wharf/shims` of each hierarchy in which the daemon is not at the
/// root: limits of the daemon must not hold for monitors, nor a `systemctl stop` of it end them. Best effort.
pub fn leave_parent() {
    let Ok(text) = fs::read_to_string("/proc/self/cgroup") else { return };
    for dir in Cgroup::parse(&text, Path::new(MOUNT)).dirs() {
        // `dir` is the hierarchy's mount and the path inside: go up to the mount.
        let Some(line_path) = text
            .lines()
            .filter_map(|l| l.rsplit_once(':'))
            .map(|(_, p)| p.trim_start_matches('/'))
            .find(|p| !p.is_empty() && dir.ends_with(p))
        else {
            continue;
        };
        let mut root = dir.clone();
        for _ in Path::new(line_path).components() {
            root.pop();
        }
        let leaf = root.join("wharf/shims");
        if fs::create_dir_all(&leaf).is_err() || fs::write(leaf.join(PROCS), "0").is_err() {
            // A v1 cpuset leaf without CPUs takes no process, for example; the root always does.
            let _ = fs::write(root.join(PROCS), "0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_directories_of_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let mount = root.path();
        for dir in ["cpu,cpuacct/w/c1", "memory/w/c1", "systemd/w/c1", "unified"] {
            fs::create_dir_all(mount.join(dir)).unwrap();
        }
        let text = "3:cpu,cpuacct:/w/c1\n2:memory:/w/c1\n1:name=systemd:/w/c1\n4:pids:/gone\n0::/\n";
        let found = Cgroup::parse(text, mount);
        let expected = ["cpu,cpuacct/w/c1", "memory/w/c1", "systemd/w/c1"].map(|d| mount.join(d));
        assert_eq!(found.dirs(), expected);
    }

    #[test]
    fn what_it_shares_with_us_is_not_the_containers() {
        let dirs = |names: &[&str]| Cgroup::at(names.iter().map(PathBuf::from).collect());
        let container = dirs(&["/memory/c1", "/unified/wharf/shims"]);
        assert_eq!(container.without(&dirs(&["/memory/wharf/shims", "/unified/wharf/shims"])), dirs(&["/memory/c1"]));
    }

    #[test]
    fn a_path_that_climbs_is_not_followed() {
        assert_eq!(Cgroup::named(Path::new("/../memory")), Cgroup::default());
        assert_eq!(Cgroup::named(Path::new("/")), Cgroup::default());
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("memory")).unwrap();
        assert_eq!(Cgroup::parse("2:memory:/../..\n", root.path()), Cgroup::default());
    }

    #[test]
    fn reads_kill_counts() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("memory.oom_control"), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n").unwrap();
        assert_eq!(Cgroup::at(vec![root.path().to_path_buf()]).oom_kills(), 3);
    }
}
