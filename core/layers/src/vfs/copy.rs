//! Copying a tree with everything that a layer can have: owners, modes, times, attributes, hard links, nodes and holes.

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags},
    io::Errno,
};
use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Copies the content of the directory `from` into the existing directory `to`, and the attributes of `from` itself.
pub(super) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (open_dir(fs::CWD, from)?, open_dir(fs::CWD, to)?);
    let mut copy = Copy { root: to.try_clone()?, links: HashMap::new() };
    copy.children(&from, &to, "")?;
    finish_dir(&from, &to)
}

struct Copy {
    root: OwnedFd,
    /// Where the first name of a file with several is, relative to the root, by inode.
    links: HashMap<u64, String>,
}

fn open_dir(at: impl AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    fs::openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// How deep a tree may be; with the stack of a thread in mind.
const MAX_DEPTH: usize = 128;

impl Copy {
    fn children(&mut self, from: &OwnedFd, to: &OwnedFd, path: &str) -> io::Result<()> {
        if path.bytes().filter(|b| *b == b'/').count() > MAX_DEPTH {
            return Err(Errno::NAMETOOLONG.into());
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.one(from, to, name, path)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, path: &str) -> io::Result<()> {
        let st = fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(st.st_mode);
        // Names need not be UTF-8, so links are made by descriptor where possible and this is only a key for the way back.
        if kind != FileType::Directory && st.st_nlink > 1 {
            if let Some(first) = self.links.get(&st.st_ino) {
                return Ok(fs::linkat(&self.root, first.as_str(), to, name, AtFlags::empty())?);
            }
            if let Ok(name) = name.to_str() {
                self.links.insert(st.st_ino, format!("{path}{name}"));
            }
        }
        match kind {
            FileType::Directory => {
                fs::mkdirat(to, name, Mode::RWXU)?;
                let (below_from, below_to) = (open_dir(from, name)?, open_dir(to, name)?);
                self.children(&below_from, &below_to, &format!("{path}{}/", name.to_string_lossy()))?;
                return finish_dir(&below_from, &below_to);
            }
            FileType::RegularFile => return copy_file(from, to, name, &st),
            FileType::Symlink => fs::symlinkat(fs::readlinkat(from, name, Vec::new())?, to, name)?,
            // A socket is of no use without the process behind it.
            FileType::Socket => return Ok(()),
            _ => fs::mknodat(to, name, kind, Mode::RUSR, st.st_rdev)?,
        }
        fs::chownat(to, name, Some(Uid::from_raw(st.st_uid)), Some(Gid::from_raw(st.st_gid)), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            fs::chmodat(to, name, Mode::from_raw_mode(st.st_mode & 0o7777), AtFlags::empty())?;
        }
        copy_xattrs(&proc_path(from.as_fd(), name.to_bytes()), &proc_path(to.as_fd(), name.to_bytes()))?;
        Ok(fs::utimensat(to, name, &times(&st), AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, st: &Stat) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC;
    let source = fs::openat(from, name, flags, Mode::empty())?;
    let target = fs::openat(to, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
    if fs::ioctl_ficlone(&target, &source).is_err() {
        copy_data(&source, &target, u64::try_from(st.st_size).unwrap_or(0))?;
    }
    finish(&source, &target, st)
}

/// Copies the pieces that hold data, so holes stay holes.
fn copy_data(source: &OwnedFd, target: &OwnedFd, size: u64) -> io::Result<()> {
    let mut at = 0;
    while at < size {
        let start = match fs::seek(source, fs::SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(e) => return Err(e.into()),
        };
        let end = fs::seek(source, fs::SeekFrom::Hole(start))?;
        let (mut from, mut to) = (start, start);
        while from < end {
            let most = usize::try_from(end - from).unwrap_or(usize::MAX);
            if fs::copy_file_range(source, Some(&mut from), target, Some(&mut to), most)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        at = end;
    }
    Ok(fs::ftruncate(target, size)?)
}

fn finish_dir(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    finish(from, to, &fs::fstat(from)?)
}

fn finish(from: &OwnedFd, to: &OwnedFd, st: &Stat) -> io::Result<()> {
    fs::fchown(to, Some(Uid::from_raw(st.st_uid)), Some(Gid::from_raw(st.st_gid)))?;
    fs::fchmod(to, Mode::from_raw_mode(st.st_mode & 0o7777))?;
    copy_xattrs(&proc_path(from.as_fd(), b"."), &proc_path(to.as_fd(), b"."))?;
    Ok(fs::futimens(to, &times(st))?)
}

fn times(st: &Stat) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: st.st_atime, tv_nsec: st.st_atime_nsec as i64 },
        last_modification: Timespec { tv_sec: st.st_mtime, tv_nsec: st.st_mtime_nsec as i64 },
    }
}

/// A descriptor's own path, or that of `name` in it.
fn proc_path(fd: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let base = format!("/proc/self/fd/{}", fd.as_raw_fd());
    if name == b"." { base.into_bytes() } else { [base.as_bytes(), b"/", name].concat() }
}

fn copy_xattrs(from: &[u8], to: &[u8]) -> io::Result<()> {
    // The link behind a descriptor must be followed, a link in a directory must not; its path has one slash more.
    let follow = from.iter().filter(|b| **b == b'/').count() == 4;
    let mut names = vec![0u8; 64 << 10];
    let listed = if follow { fs::listxattr(from, &mut *names) } else { fs::llistxattr(from, &mut *names) };
    let n = match listed {
        Err(Errno::NOTSUP) => return Ok(()),
        other => other?,
    };
    for name in names.get(..n).unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0u8; 64 << 10];
        let n = if follow { fs::getxattr(from, name, &mut *value)? } else { fs::lgetxattr(from, name, &mut *value)? };
        let value = value.get(..n).unwrap_or_default();
        if follow { fs::setxattr(to, name, value, XattrFlags::empty()) } else { fs::lsetxattr(to, name, value, XattrFlags::empty()) }?;
    }
    Ok(())
}
