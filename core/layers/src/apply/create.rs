//! Making one file, directory, link or node.

use super::{Applier, IN_ROOT, Whiteouts, path, proc_path, times, whiteout};
use crate::tar::{Entry, Kind, TarReader, invalid};
use rustix::{
    fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid, XattrFlags},
    io::Errno,
};
use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

impl Applier {
    /// Makes `name` in `parent` (which is the directory `dir`). What is there already gives way, except a directory to a directory.
    pub(super) fn create<R: Read>(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        dir: &[u8],
        name: &[u8],
        tar: &mut TarReader<R>,
    ) -> io::Result<()> {
        let mode = Mode::from_raw_mode(entry.mode);
        match entry.kind {
            Kind::File => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = self.place(parent, name, || fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)))?;
                let mut file = std::fs::File::from(file);
                self.fill(&mut file, entry, tar)?;
                self.size += entry.size;
                // Changing the owner clears set-id bits and capabilities, so that comes first.
                fs::fchown(&file, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
                fs::fchmod(&file, mode)?;
                for (key, value) in attributes(entry) {
                    tolerate(fs::fsetxattr(&file, key, value, XattrFlags::empty()), entry, key)?;
                }
                fs::futimens(&file, &times(entry.mtime))?;
                return Ok(());
            }
            Kind::HardLink => return self.hard_link(entry, parent, name),
            Kind::Dir => self.directory(parent, dir, name)?,
            Kind::Symlink => {
                self.place(parent, name, || fs::symlinkat(&*entry.link, parent, name))?;
                self.size += entry.link.len() as u64;
            }
            Kind::Fifo => self.node(parent, name, FileType::Fifo, (0, 0))?,
            Kind::Char => self.node(parent, name, FileType::CharacterDevice, entry.device)?,
            Kind::Block => self.node(parent, name, FileType::BlockDevice, entry.device)?,
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.kind != Kind::Symlink {
            fs::chmodat(parent, name, mode, AtFlags::empty())?;
        }
        set_xattrs_of(parent.as_fd(), name, entry)?;
        if entry.kind != Kind::Dir {
            fs::utimensat(parent, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    /// Runs `make`; when something has the name, removes that and runs it again.
    fn place<T>(&mut self, parent: &OwnedFd, name: &[u8], make: impl Fn() -> rustix::io::Result<T>) -> io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.forget_parent();
                wharf_store::remove_tree_at(parent, name)?;
                Ok(make()?)
            }
            other => Ok(other?),
        }
    }

    fn directory(&mut self, parent: &OwnedFd, dir: &[u8], name: &[u8]) -> io::Result<()> {
        let mode = Mode::from_raw_mode(0o700);
        match fs::mkdirat(parent, name, mode) {
            Err(Errno::EXIST) => {}
            other => return Ok(other?),
        }
        let there = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(there.st_mode) == FileType::Directory {
            return Ok(());
        }
        self.place(parent, name, || fs::mkdirat(parent, name, mode))?;
        // Where this layer deleted a directory and made it anew, the old content must not shine through.
        if self.whiteouts == Whiteouts::Overlay && whiteout::is_mark(&there) {
            self.make_opaque(&path::join(dir, name))?;
        }
        Ok(())
    }

    fn node(&mut self, parent: &OwnedFd, name: &[u8], kind: FileType, (major, minor): (u32, u32)) -> io::Result<()> {
        let device = fs::makedev(major, minor);
        self.place(parent, name, || fs::mknodat(parent, name, kind, Mode::from_raw_mode(0o600), device))
    }

    /// The target must be in this layer; its own last component is not followed.
    fn hard_link(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let target = path::join(&self.base, &path::clean(&entry.link)?);
        let missing = |e: Errno| match e {
            Errno::NOENT => invalid(format!("hard link to {}, which is not there", String::from_utf8_lossy(&entry.link))),
            e => e.into(),
        };
        let (dir, target_name) = path::split(&target).ok_or_else(|| invalid("hard link to the root"))?;
        let dir = if dir.is_empty() { b"." } else { dir };
        let dir = wharf_store::open_in(&self.root, dir, super::DIR_FLAGS, Mode::empty(), IN_ROOT).map_err(missing)?;
        // Checked first: the name must not be removed when it is its own target.
        let there = fs::statat(&dir, target_name, AtFlags::SYMLINK_NOFOLLOW).map_err(missing)?;
        match fs::linkat(&dir, target_name, parent, name, AtFlags::empty()) {
            Err(Errno::EXIST) => {
                let old = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if (old.st_dev, old.st_ino) == (there.st_dev, there.st_ino) {
                    return Ok(());
                }
                self.place(parent, name, || fs::linkat(&dir, target_name, parent, name, AtFlags::empty()))
            }
            other => Ok(other?),
        }
    }

    /// Writes the data; what a sparse file leaves out stays a hole.
    fn fill<R: Read>(&mut self, file: &mut std::fs::File, entry: &Entry, tar: &mut TarReader<R>) -> io::Result<()> {
        let Some(segments) = &entry.sparse else {
            loop {
                let n = tar.data(&mut self.buffer)?;
                if n == 0 {
                    return Ok(());
                }
                file.write_all(self.buffer.get(..n).unwrap_or_default())?;
            }
        };
        for segment in segments {
            fs::seek(&*file, fs::SeekFrom::Start(segment.offset))?;
            let mut left = segment.length;
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                let n = tar.data(self.buffer.get_mut(..most).unwrap_or_default())?;
                if n == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.write_all(self.buffer.get(..n).unwrap_or_default())?;
                left -= n as u64;
            }
        }
        Ok(fs::ftruncate(&*file, entry.size)?)
    }
}

/// Refuses a directory where something else is, and the other way round.
pub(super) fn check_kind(parent: &OwnedFd, path: &[u8], name: &[u8], entry: &Entry) -> io::Result<()> {
    let there = match fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        other => FileType::from_raw_mode(other?.st_mode),
    };
    let path = String::from_utf8_lossy(path);
    match (there == FileType::Directory, entry.kind == Kind::Dir) {
        (true, false) => Err(invalid(format!("cannot overwrite directory \"/{path}\" with non-directory"))),
        (false, true) => Err(invalid(format!("cannot overwrite non-directory \"/{path}\" with directory"))),
        _ => Ok(()),
    }
}

/// The attributes to set. Overlayfs' own are left out: by them a layer could redirect lookups.
fn attributes(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let own = |key: &[u8]| key.starts_with(b"trusted.overlay.") || key.starts_with(b"user.overlay.");
    entry.xattrs.iter().filter(move |(key, _)| !own(key)).map(|(k, v)| (&**k, &**v))
}

/// Sets attributes without following `name`.
pub(super) fn set_xattrs_of(parent: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> io::Result<()> {
    for (key, value) in attributes(entry) {
        tolerate(fs::lsetxattr(proc_path(parent, name), key, value, XattrFlags::empty()), entry, key)?;
    }
    Ok(())
}

/// A file system without attributes still holds the files; Docker warns as well.
fn tolerate(outcome: rustix::io::Result<()>, entry: &Entry, key: &[u8]) -> io::Result<()> {
    match outcome {
        Err(Errno::NOTSUP) => {
            let (path, key) = (String::from_utf8_lossy(&entry.path), String::from_utf8_lossy(key));
            tracing::warn!(%path, %key, "the file system does not support this attribute");
            Ok(())
        }
        other => Ok(other?),
    }
}
