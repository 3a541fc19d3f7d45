//! Removal in two steps: one rename takes a tree out of sight, then its content is deleted. A crash in between leaves the tree in the
//! trash, which is emptied at boot.

use crate::tree::{remove_tree_at, thaw};
use rustix::{
    fs::{self, Mode, OFlags, RenameFlags},
    io::Errno,
};
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use wharf_types::{Result, error::Context};

/// A directory for what is about to be deleted. Clones share it.
#[derive(Clone, Debug)]
pub struct Trash(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    dir: OwnedFd,
    next: AtomicU64,
}

impl Trash {
    /// Opens the trash at `path`, making it when missing. It serves trees on its own mount only, because it takes them by rename.
    ///
    /// # Errors
    /// When the directory cannot be made or opened.
    pub fn open(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).context(format_args!("create {}", path.display()))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = fs::open(path, flags, Mode::empty()).context(format_args!("open {}", path.display()))?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), dir, next: AtomicU64::new(0) })))
    }

    /// Takes the file or tree at `path` out of sight and deletes it. A missing one is no error, and neither is content that resists
    /// deletion (a mount inside, say): that is logged, stays in the trash and is tried again by [`Trash::empty`].
    ///
    /// # Errors
    /// When the rename fails, for example because `path` is itself a mount point; everything is then still in place.
    pub fn remove(&self, path: &Path) -> Result<()> {
        if let Some(discarded) = self.discard(path)? {
            discarded.delete();
        }
        Ok(())
    }

    /// The first half of [`Trash::remove`]: `path` is out of sight when this returns. `None` when there was nothing.
    ///
    /// # Errors
    /// As [`Trash::remove`].
    pub fn discard(&self, path: &Path) -> Result<Option<Discarded>> {
        let name = self.take(path).context(format_args!("remove {}", path.display()))?;
        Ok(name.map(|name| Discarded { trash: self.clone(), name }))
    }

    /// Moves `path` into the trash under a free name; `None` when there is nothing at `path`.
    fn take(&self, path: &Path) -> rustix::io::Result<Option<String>> {
        let mut thawed = false;
        loop {
            let name = self.0.next.fetch_add(1, Ordering::Relaxed).to_string();
            match fs::renameat_with(fs::CWD, path, &self.0.dir, &name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Some(name)),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::EXIST) => {}
                Err(Errno::PERM) if !thawed => {
                    thawed = true;
                    thaw(fs::CWD, path);
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Deletes everything that is in the trash. What resists is logged and stays.
    ///
    /// # Errors
    /// Only when the trash itself cannot be read.
    pub fn empty(&self) -> Result<()> {
        let entries = fs::Dir::read_from(&self.0.dir).context(format_args!("read {}", self.0.path.display()))?;
        for entry in entries {
            let entry = entry.context(format_args!("read {}", self.0.path.display()))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if let Err(e) = remove_tree_at(&self.0.dir, name) {
                tracing::warn!(trash = %self.0.path.join(name.to_string_lossy().as_ref()).display(), "cannot be deleted: {e}");
            }
        }
        Ok(())
    }
}

/// Something in the trash. It stays there until [`Discarded::delete`] or [`Trash::empty`].
#[derive(Debug)]
pub struct Discarded {
    trash: Trash,
    name: String,
}

impl Discarded {
    /// The second half of [`Trash::remove`].
    pub fn delete(self) {
        if let Err(e) = remove_tree_at(&self.trash.0.dir, &self.name) {
            tracing::warn!(trash = %self.trash.0.path.join(&self.name).display(), "not all of it could be deleted: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    use std::fs;

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[test]
    fn removes_trees_files_and_nothing() {
        let tmp = tempfile::tempdir().unwrap();
        let trash = Trash::open(&tmp.path().join("trash")).unwrap();
        let tree = tmp.path().join("tree");
        for i in 0..50 {
            fs::create_dir_all(tree.join(format!("d{i}/e/f"))).unwrap();
            for j in 0..40 {
                fs::write(tree.join(format!("d{i}/e/{j}")), b"").unwrap();
            }
        }
        std::os::unix::fs::symlink("/", tree.join("root")).unwrap();
        trash.remove(&tree).unwrap();
        trash.remove(&tree).unwrap();
        fs::write(&tree, b"a file now").unwrap();
        trash.remove(&tree).unwrap();
        assert_eq!(count(tmp.path()), 1);
        assert_eq!(count(&tmp.path().join("trash")), 0);
    }

    #[test]
    fn leftovers_are_emptied_and_old_names_do_not_clash() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("trash");
        for i in 0..5 {
            fs::create_dir_all(path.join(format!("{i}/x"))).unwrap();
        }
        let trash = Trash::open(&path).unwrap();
        let tree = tmp.path().join("tree");
        fs::create_dir(&tree).unwrap();
        trash.remove(&tree).unwrap();
        assert_eq!(count(&path), 5);
        trash.empty().unwrap();
        assert_eq!(count(&path), 0);
    }

    #[test]
    fn never_crosses_a_mount() {
        let tmp = tempfile::tempdir().unwrap();
        let trash = Trash::open(&tmp.path().join("trash")).unwrap();
        let tree = tmp.path().join("tree");
        fs::create_dir_all(tree.join("mnt")).unwrap();
        mount("tmpfs", tree.join("mnt"), "tmpfs", MountFlags::empty(), None).unwrap();
        fs::write(tree.join("mnt/precious"), b"").unwrap();
        assert!(trash.remove(&tree.join("mnt")).is_err());
        trash.remove(&tree).unwrap();
        let left = fs::read_dir(tmp.path().join("trash")).unwrap().next().unwrap().unwrap().path();
        assert!(left.join("mnt/precious").exists());
        unmount(left.join("mnt"), UnmountFlags::empty()).unwrap();
        trash.empty().unwrap();
        assert_eq!(count(&tmp.path().join("trash")), 0);
    }
}
