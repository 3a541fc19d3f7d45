//! Where the files of a container's cgroup are, and how they are read.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The directories of one cgroup.
#[derive(Debug, PartialEq, Eq)]
pub enum Cgroup {
    /// By controller: each may be in a hierarchy of its own.
    V1(BTreeMap<String, PathBuf>),
    /// All in one.
    V2(PathBuf),
}

impl Cgroup {
    /// Reads a `/proc/<pid>/cgroup`; `mount` is where the hierarchies are.
    pub fn parse(text: &str, mount: &Path) -> Self {
        let mut v1 = BTreeMap::new();
        let mut unified = mount.to_path_buf();
        for line in text.lines() {
            let Some((controllers, path)) = line.split_once(':').and_then(|(_, rest)| rest.split_once(':')) else { continue };
            let path = path.trim_start_matches('/');
            match controllers {
                "" => unified = mount.join(path),
                list => v1.extend(list.split(',').map(|c| (c.to_owned(), mount.join(list.trim_start_matches("name=")).join(path)))),
            }
        }
        // On a hybrid host the unified hierarchy has no controllers and is mounted elsewhere.
        if mount.join("cgroup.controllers").exists() { Self::V2(unified) } else { Self::V1(v1) }
    }
}

/// A file's text; empty when the kernel does not have it.
pub fn text(dir: &Path, file: &str) -> String {
    std::fs::read_to_string(dir.join(file)).unwrap_or_default()
}

/// A file that holds one number; 0 for none, and for `max`.
pub fn number(dir: &Path, file: &str) -> u64 {
    text(dir, file).trim().parse().unwrap_or(0)
}

/// A file with a name and a number on each line.
pub fn table(dir: &Path, file: &str) -> BTreeMap<String, u64> {
    let line = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.trim().parse().ok()?))
    };
    text(dir, file).lines().filter_map(line).collect()
}

/// `major:minor`.
pub fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_recognised() {
        let mount = tempfile::tempdir().unwrap();
        let text = "4:cpu,cpuacct:/w/c\n3:memory:/w/c\n1:name=systemd:/w/c\n0::/x\n";
        let Cgroup::V1(dirs) = Cgroup::parse(text, mount.path()) else { panic!("hybrid") };
        assert_eq!((&dirs["cpuacct"], &dirs["memory"]), (&mount.path().join("cpu,cpuacct/w/c"), &mount.path().join("memory/w/c")));
        std::fs::write(mount.path().join("cgroup.controllers"), "").unwrap();
        assert_eq!(Cgroup::parse("0::/w/c\n", mount.path()), Cgroup::V2(mount.path().join("w/c")));
    }
}
