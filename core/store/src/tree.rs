//! Deleting a tree whose content nobody vouches for: images and containers wrote it.

use rustix::{
    fs::{self, AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags, RenameFlags, ResolveFlags},
    io::{Errno, Result},
    path::Arg,
};
use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

/// How many directories may be open at once. Deeper ones are first moved up, so the depth of a tree costs neither descriptors nor stack.
const MAX_DEPTH: usize = 32;

/// Deletes `name` in `dir` and everything below. Symbolic links are not followed and mounts not entered; immutable and append-only
/// attributes are cleared on the way. `name` must be a single component.
///
/// # Errors
/// [`Errno::XDEV`] where something is mounted; otherwise what the kernel answers. What was deleted until then stays deleted.
pub fn remove_tree_at(dir: impl AsFd, name: impl Arg) -> Result<()> {
    let name = name.into_c_str()?.into_owned();
    let mut sweep = Sweep { top: dir.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?, moved: Vec::new(), next: 0 };
    sweep.remove(&dir, &name, None, 0)?;
    // Whatever was too deep now lies in `top` beside the tree.
    while let Some(name) = sweep.moved.pop() {
        sweep.remove(&dir, &name, Some(FileType::Directory), 0)?;
    }
    Ok(())
}

struct Sweep {
    top: OwnedFd,
    moved: Vec<CString>,
    /// The number in the next name to try.
    next: usize,
}

impl Sweep {
    fn remove(&mut self, parent: impl AsFd, name: &CString, kind: Option<FileType>, depth: usize) -> Result<()> {
        // An unknown kind is tried as a file first; unlinking a directory is EISDIR and harmless.
        if kind != Some(FileType::Directory) {
            match unlink(&parent, name, AtFlags::empty()) {
                Err(Errno::ISDIR) => {}
                other => return other,
            }
        }
        // Where something is mounted it stays, and the ordinary way says so.
        if depth >= MAX_DEPTH && self.move_up(&parent, name)? {
            return Ok(());
        }
        self.remove_dir(&parent, name, depth)
    }

    /// Moves a directory out of the depths to a name in `top` that nobody has; false where it cannot be moved.
    fn move_up(&mut self, parent: impl AsFd, name: &CString) -> Result<bool> {
        let mut thawed = false;
        loop {
            let to = format!(".deep-{}", self.next).into_c_str()?.into_owned();
            match fs::renameat_with(&parent, name, &self.top, &to, RenameFlags::NOREPLACE) {
                Ok(()) => {
                    self.moved.push(to);
                    self.next += 1;
                    return Ok(true);
                }
                Err(Errno::EXIST) => self.next += 1,
                Err(Errno::NOENT) => return Ok(true),
                Err(Errno::PERM) if !thawed => {
                    thaw(&parent, c".");
                    thaw(&parent, name.as_c_str());
                    thawed = true;
                }
                Err(_) => return Ok(false),
            }
        }
    }

    fn remove_dir(&mut self, parent: impl AsFd, name: &CString, depth: usize) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match fs::openat2(&parent, name, flags, Mode::empty(), ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        // Read to the end before deleting: some file systems skip entries when a directory changes under the reader.
        let mut children = Vec::new();
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                children.push((entry.file_name().to_owned(), entry.file_type()));
            }
        }
        for (child, kind) in children {
            self.remove(&dir, &child, Some(kind).filter(|k| *k != FileType::Unknown), depth.saturating_add(1))?;
        }
        drop(dir);
        unlink(&parent, name, AtFlags::REMOVEDIR)
    }
}

/// Unlinks; when an attribute forbids it, clears the attributes of the entry and of its directory and tries again.
fn unlink(parent: impl AsFd, name: &CString, flags: AtFlags) -> Result<()> {
    let outcome = match fs::unlinkat(&parent, name, flags) {
        Err(Errno::PERM) => {
            thaw(&parent, c".");
            thaw(&parent, name.as_c_str());
            fs::unlinkat(&parent, name, flags)
        }
        other => other,
    };
    match outcome {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Clears the immutable and append-only attributes of a file or directory, where it has any.
pub(crate) fn thaw(dir: impl AsFd, path: impl Arg) {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let frozen = IFlags::IMMUTABLE | IFlags::APPEND;
    let Ok(path) = path.into_c_str() else { return };
    // Opening a device could have effects of its own, and only files and directories have attributes.
    let plain = fs::statat(&dir, &*path, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|st| matches!(FileType::from_raw_mode(st.st_mode), FileType::RegularFile | FileType::Directory));
    if !plain {
        return;
    }
    if let Ok(fd) = fs::openat(&dir, &*path, flags, Mode::empty())
        && let Ok(now) = fs::ioctl_getflags(&fd)
        && now.intersects(frozen)
    {
        let _ = fs::ioctl_setflags(&fd, now - frozen);
    }
}

/// Deletes the tree at `path`; see [`remove_tree_at`].
///
/// # Errors
/// As [`remove_tree_at`].
pub fn remove_tree(path: &std::path::Path) -> Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
    let parent = if parent.as_os_str().is_empty() { std::path::Path::new(".") } else { parent };
    remove_tree_at(fs::openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_does_not_matter() {
        let tmp = tempfile::tempdir().unwrap();
        let root = fs::open(tmp.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut at = root.try_clone().unwrap();
        for _ in 0..3000 {
            fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = fs::openat(&at, "d", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        // The names that the depths are moved to may belong to others: these stay, empty or not.
        std::fs::create_dir(tmp.path().join(".deep-0")).unwrap();
        std::fs::create_dir_all(tmp.path().join(".deep-1/full")).unwrap();
        remove_tree_at(&root, "d").unwrap();
        let mut left: Vec<_> = std::fs::read_dir(tmp.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".deep-0", ".deep-1"]);
    }

    #[test]
    fn attributes_do_not_protect() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("d");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("f"), b"").unwrap();
        let freeze = |p: &std::path::Path| fs::ioctl_setflags(std::fs::File::open(p).unwrap(), IFlags::IMMUTABLE);
        // Not every file system and not every sandbox has attributes.
        if freeze(&dir.join("f")).is_ok() && freeze(&dir).is_ok() {
            assert!(std::fs::remove_dir_all(&dir).is_err());
        }
        remove_tree(&dir).unwrap();
        assert!(!dir.exists());
    }
}
