//! Whiteouts: entries that hide what lower layers have (OCI image spec, "Whiteouts").

use super::{Applier, Whiteouts, path, proc_path};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Stat, XattrFlags},
    io::Errno,
};
use std::{io, os::fd::AsFd};

/// Names a whiteout.
pub(crate) const PREFIX: &[u8] = b".wh.";
/// What is left of an opaque directory's mark, `.wh..wh..opq`, behind [`PREFIX`].
const OPAQUE: &[u8] = b".wh..opq";
/// AUFS' own files, which are no content.
const BOOKKEEPING: &[u8] = b".wh..wh.";

/// Whether the path is one of AUFS' own files, or below one.
pub(super) fn is_bookkeeping(path: &[u8]) -> bool {
    path.split(|b| *b == b'/').any(|part| part.starts_with(BOOKKEEPING) && part.get(PREFIX.len()..) != Some(OPAQUE))
}

/// Whether this is overlayfs' mark for a hidden file.
pub(crate) fn is_mark(st: &Stat) -> bool {
    FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice && st.st_rdev == 0
}

impl Applier {
    /// Hides `hidden` in the directory `dir`; `.wh..opq` hides everything that lower layers have there.
    pub(super) fn whiteout(&mut self, dir: &[u8], hidden: &[u8]) -> io::Result<()> {
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(crate::tar::invalid("a whiteout of nothing"));
        }
        let opaque = hidden == OPAQUE;
        match self.whiteouts {
            Whiteouts::Overlay if opaque => {
                self.parent(dir)?;
                self.make_opaque(dir)
            }
            Whiteouts::Overlay => self.mark(dir, hidden),
            // With `Keep` this is never asked.
            Whiteouts::Delete | Whiteouts::Keep => {
                self.forget_parent();
                let target = if opaque { dir.to_vec() } else { path::join(dir, hidden) };
                self.prune(&target, opaque)
            }
        }
    }

    fn mark(&mut self, dir: &[u8], hidden: &[u8]) -> io::Result<()> {
        let parent = self.parent(dir)?;
        match fs::mknodat(&*parent, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) => {
                // This layer has the name as well: its own content stays, that of the layers below goes.
                let there = fs::statat(&*parent, hidden, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
                    self.make_opaque(&path::join(dir, hidden))?;
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    pub(super) fn make_opaque(&self, dir: &[u8]) -> io::Result<()> {
        let dir = self.open_dir(dir)?;
        Ok(fs::setxattr(proc_path(dir.as_fd(), b"."), "trusted.overlay.opaque", b"y", XattrFlags::empty())?)
    }

    /// Deletes what lower layers put at `target`; what this layer made there stays. `keep` spares `target` itself.
    fn prune(&self, target: &[u8], keep: bool) -> io::Result<()> {
        // A list instead of recursion: how deep a tree is, the layer decides.
        let mut todo = vec![(target.to_vec(), keep)];
        while let Some((target, keep)) = todo.pop() {
            if self.prune_one(&target, keep)? {
                todo.extend(self.children(&target)?.into_iter().map(|name| (path::join(&target, &name), false)));
            }
        }
        Ok(())
    }

    /// Deletes `target`, unless it stays. Then tells whether there is something in it to look at.
    fn prune_one(&self, target: &[u8], keep: bool) -> io::Result<bool> {
        let Some((dir, name)) = path::split(target) else { return Ok(true) };
        let parent = match self.open_dir(dir) {
            Err(Errno::NOENT) => return Ok(false),
            other => other?,
        };
        if !keep && !self.made.contains(target) {
            wharf_store::remove_tree_at(&parent, name)?;
            return Ok(false);
        }
        match fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(st) => Ok(FileType::from_raw_mode(st.st_mode) == FileType::Directory),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }

    fn children(&self, dir: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let here: &[u8] = if dir.is_empty() { b"." } else { dir };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = wharf_store::open_in(&self.root, here, flags, Mode::empty(), super::IN_ROOT)?;
        Ok(crate::pack::names(dir)?.into_iter().map(std::ffi::CString::into_bytes).collect())
    }
}
