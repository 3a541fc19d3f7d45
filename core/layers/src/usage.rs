//! How much a tree holds.

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
};
use std::{
    collections::HashSet,
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

fn walk(dir: OwnedFd, base: Option<OwnedFd>, seen: &mut HashSet<(u64, u64)>) -> rustix::io::Result<u64> {
    let mut size = 0;
    for entry in Dir::read_from(&dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let st = match fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            other => other?,
        };
        if FileType::from_raw_mode(st.st_mode) == FileType::Directory {
            let below = base.as_ref().and_then(|b| open_dir(b, name).ok());
            match open_dir(&dir, name) {
                Ok(dir) => size += walk(dir, below, seen)?,
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(e) => return Err(e),
            }
            continue;
        }
        let old = base.as_ref().and_then(|b| fs::statat(b, name, AtFlags::SYMLINK_NOFOLLOW).ok());
        let same = old.is_some_and(|o| (o.st_size, o.st_mtime, o.st_mtime_nsec) == (st.st_size, st.st_mtime, st.st_mtime_nsec));
        if !same && seen.insert((st.st_dev, st.st_ino)) {
            size += u64::try_from(st.st_size).unwrap_or(0);
        }
    }
    Ok(size)
}
