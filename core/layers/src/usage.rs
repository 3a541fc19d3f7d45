//! How much a tree holds.

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    collections::HashSet,
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};
use wharf_types::{Result, error::Context};

/// The length of all files below `root` in bytes, each inode once, directories not counted. Files that are the same in `base` (by
/// length and time of change) are left out. The tree may change meanwhile: what vanishes is not counted.
pub(crate) fn tree_size(root: &Path, base: Option<&Path>) -> Result<u64> {
    let open = |path: &Path| open_dir(fs::CWD, path);
    let dir = open(root).context(format_args!("open {}", root.display()))?;
    let base = base.and_then(|b| open(b).ok());
    let mut seen = HashSet::new();
    walk(dir, base, &mut seen).context(format_args!("read {}", root.display()))
}

fn open_dir(at: impl AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// A directory on the way down.
struct Level {
    id: (u64, u64),
    /// Directories in it that were not visited yet.
    left: Vec<CString>,
    /// The directory of the other side, when that has nothing further down.
    base: Option<OwnedFd>,
}

/// Goes down with one descriptor for each side and up by `..`: how deep a tree is, its owner decides.
fn walk(mut dir: OwnedFd, mut base: Option<OwnedFd>, seen: &mut HashSet<(u64, u64)>) -> rustix::io::Result<u64> {
    let (mut size, left) = files(&dir, base.as_ref(), seen)?;
    let mut levels = vec![Level { id: id(&dir)?, left, base: None }];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.left.pop() else {
            let done = levels.pop();
            let Some(above) = levels.last() else { break };
            dir = open_dir(&dir, "..")?;
            if id(&dir)? != above.id {
                // It was moved meanwhile; what is around it now is not ours to count.
                break;
            }
            base = done.and_then(|d| d.base).or_else(|| base.and_then(|b| open_dir(b, "..").ok()));
            continue;
        };
        let below = match open_dir(&dir, &name) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            other => other?,
        };
        let below_base = base.as_ref().and_then(|b| open_dir(b, &name).ok());
        let (found, left) = files(&below, below_base.as_ref(), seen)?;
        size += found;
        let saved = if below_base.is_none() { base.take() } else { None };
        levels.push(Level { id: id(&below)?, left, base: saved });
        (dir, base) = (below, below_base);
    }
    Ok(size)
}

fn id(dir: &OwnedFd) -> rustix::io::Result<(u64, u64)> {
    fs::fstat(dir).map(|st| (st.st_dev, st.st_ino))
}

/// The length of the files in a directory, and the names of the directories in it.
fn files(dir: &OwnedFd, base: Option<&OwnedFd>, seen: &mut HashSet<(u64, u64)>) -> rustix::io::Result<(u64, Vec<CString>)> {
    let (mut size, mut directories) = (0, Vec::new());
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let st = match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if FileType::from_raw_mode(st.st_mode) == FileType::Directory {
            directories.push(name.to_owned());
            continue;
        }
        let old = base.and_then(|b| fs::statat(b, name, AtFlags::SYMLINK_NOFOLLOW).ok());
        let same = old.is_some_and(|o| (o.st_size, o.st_mtime, o.st_mtime_nsec) == (st.st_size, st.st_mtime, st.st_mtime_nsec));
        if !same && seen.insert((st.st_dev, st.st_ino)) {
            size += u64::try_from(st.st_size).unwrap_or(0);
        }
    }
    Ok((size, directories))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_does_not_matter() {
        let (tmp, below) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (tree, levels) in [(&tmp, 6000), (&below, 3)] {
            let mut at = open_dir(fs::CWD, tree.path()).unwrap();
            for level in 0..levels {
                if level == 2 || level == 5000 {
                    let file = fs::openat(&at, "f", OFlags::WRONLY | OFlags::CREATE, Mode::RUSR).unwrap();
                    fs::ftruncate(&file, 7).unwrap();
                    let time = fs::Timespec { tv_sec: 1, tv_nsec: 0 };
                    fs::futimens(&file, &fs::Timestamps { last_access: time, last_modification: time }).unwrap();
                }
                fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
                fs::mkdirat(&at, "e", Mode::RWXU).unwrap();
                at = open_dir(&at, "d").unwrap();
            }
        }
        assert_eq!(tree_size(tmp.path(), None).unwrap(), 14);
        assert_eq!(tree_size(tmp.path(), Some(below.path())).unwrap(), 7);
        for tree in [tmp, below] {
            wharf_store::remove_tree_at(open_dir(fs::CWD, tree.path()).unwrap(), "d").unwrap();
        }
    }
}
