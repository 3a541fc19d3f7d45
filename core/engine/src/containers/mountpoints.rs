//! The directories that every container has something mounted on are directories: a link there would lead the mount elsewhere, and
//! some OCI runtimes with it (CVE-2019-16884, CVE-2023-27561). dockerd puts a directory in the place of such a link, too.

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, mkdirat, open, statat, unlinkat},
    io::Errno,
};
use std::{io, path::Path};
use wharf_types::{Result, error::Context as _};

/// Parents first: only the last part of a path can then be a link.
const DIRECTORIES: [&str; 5] = ["proc", "sys", "dev", "dev/pts", "dev/shm"];

/// Replaces links by directories in a root file system that nobody uses yet.
///
/// # Errors
/// When it cannot be read or written.
pub fn secure(rootfs: &Path) -> Result<()> {
    let root = open(rootfs, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(io::Error::from);
    let root = root.context(rootfs.display())?;
    for dir in DIRECTORIES {
        let link = match statat(&root, dir, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Symlink,
            Err(Errno::NOENT | Errno::NOTDIR) => false,
            Err(e) => return Err(io::Error::from(e)).context(format!("/{dir} of the container")),
        };
        if link {
            let replaced = unlinkat(&root, dir, AtFlags::empty()).and_then(|()| mkdirat(&root, dir, Mode::from_raw_mode(0o755)));
            replaced.map_err(io::Error::from).context(format!("/{dir} of the container"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    #[test]
    fn links_give_way_and_nothing_else_does() {
        let (rootfs, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = rootfs.path();
        fs::create_dir_all(root.join("dev/shm/kept")).unwrap();
        fs::write(root.join("sys"), "a file is the runtime's trouble").unwrap();
        symlink(outside.path(), root.join("proc")).unwrap();
        symlink("../proc", root.join("dev/pts")).unwrap();
        secure(root).unwrap();
        assert!(["proc", "dev/pts"].iter().all(|d| root.join(d).symlink_metadata().unwrap().is_dir()));
        assert!(root.join("dev/shm/kept").is_dir() && root.join("sys").is_file());
        fs::remove_dir_all(root.join("dev")).unwrap();
        symlink(outside.path(), root.join("dev")).unwrap();
        secure(root).unwrap();
        assert_eq!((fs::read_dir(root.join("dev")).unwrap().count(), fs::read_dir(outside.path()).unwrap().count()), (0, 0));
    }
}
