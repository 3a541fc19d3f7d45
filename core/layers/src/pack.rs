//! Turning files into tar entries: the way back of [`crate::apply`].
//!
//! The tree may belong to a running container that wants to mislead the reader: names are opened one by one below an open
//! directory, links are never followed, and what vanishes is left out.

use crate::tar::{Entry, Kind, write::TarWriter};
use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};
use std::{
    collections::HashMap,
    ffi::{CStr, CString},
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

/// Packs files into one archive.
pub(crate) struct Packer<W> {
    tar: TarWriter<W>,
    /// The name in the archive of files that have further names, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

/// Bytes of a file read at once.
const BUFFER: usize = 256 << 10;
/// The longest path in an archive, in bytes; trees can be deeper than any path that the kernel takes.
const MAX_PATH: usize = 4096;

pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The entries of a directory by name, without `.` and `..`.
pub(crate) fn names(dir: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

impl<W: Write> Packer<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { tar: TarWriter::new(out), links: HashMap::new(), buffer: vec![0; BUFFER] }
    }

    /// Packs what is below `dir`, whose own path is `path` (empty for the archive's root).
    pub(crate) fn children(&mut self, dir: OwnedFd, path: &[u8]) -> io::Result<()> {
        let reversed = |dir: &OwnedFd| names(dir).map(|mut n| (n.reverse(), n).1);
        let first = reversed(&dir)?;
        // A stack instead of recursion: how deep a tree is, its owner decides.
        let mut open = vec![(dir, path.to_vec(), first)];
        while let Some((dir, path, left)) = open.last_mut() {
            let Some(name) = left.pop() else {
                open.pop();
                continue;
            };
            let child = child_path(path, name.to_bytes());
            if child.len() > MAX_PATH {
                return Err(Errno::NAMETOOLONG.into());
            }
            if let Some(below) = self.one(dir, &name, &child)? {
                let names = reversed(&below)?;
                open.push((below, child, names));
            }
        }
        Ok(())
    }

    /// Packs `name` in `dir` as `path`, without what is below it. Returns the directory if it is one.
    pub(crate) fn one(&mut self, dir: &OwnedFd, name: &CStr, path: &[u8]) -> io::Result<Option<OwnedFd>> {
        match self.try_one(dir, name, path) {
            Err(e) if e.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(None),
            other => other,
        }
    }

    fn try_one(&mut self, dir: &OwnedFd, name: &CStr, path: &[u8]) -> io::Result<Option<OwnedFd>> {
        let st = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(st.st_mode) {
            FileType::Directory => {
                let below = fs::openat(dir, name, DIRECTORY, Mode::empty())?;
                self.directory(&below, path)?;
                Ok(Some(below))
            }
            FileType::RegularFile => self.file(dir, name, path).map(|()| None),
            // A socket is of no use without the process behind it.
            FileType::Socket | FileType::Unknown => Ok(None),
            kind => {
                let mut entry = entry(path, &st);
                entry.kind = match kind {
                    FileType::Symlink => Kind::Symlink,
                    FileType::CharacterDevice => Kind::Char,
                    FileType::BlockDevice => Kind::Block,
                    _ => Kind::Fifo,
                };
                if kind == FileType::Symlink {
                    entry.link = fs::readlinkat(dir, name, Vec::new())?.into_bytes();
                } else if kind != FileType::Fifo {
                    entry.device = (fs::major(st.st_rdev), fs::minor(st.st_rdev));
                }
                entry.xattrs = xattrs(&at_path(dir, name), false)?;
                if !self.linked(&st, &mut entry) {
                    self.links_to(&st, path);
                }
                self.tar.entry(&entry)?;
                Ok(None)
            }
        }
    }

    /// Packs an open directory as `path`; the root of an archive has the path `/` or `.`.
    pub(crate) fn directory(&mut self, dir: &OwnedFd, path: &[u8]) -> io::Result<()> {
        let st = fs::fstat(dir)?;
        let mut entry = Entry { kind: Kind::Dir, xattrs: xattrs(&own_path(dir), true)?, ..entry(path, &st) };
        if !entry.path.ends_with(b"/") {
            entry.path.push(b'/');
        }
        self.tar.entry(&entry)
    }

    fn file(&mut self, dir: &OwnedFd, name: &CStr, path: &[u8]) -> io::Result<()> {
        // Not to be stopped by what took the file's place meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
            Err(Errno::PERM) => fs::openat(dir, name, flags, Mode::empty()),
            other => other,
        }?;
        let st = fs::fstat(&file)?;
        if FileType::from_raw_mode(st.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let mut entry = entry(path, &st);
        if self.linked(&st, &mut entry) {
            return self.tar.entry(&entry);
        }
        self.links_to(&st, path);
        entry.size = u64::try_from(st.st_size).unwrap_or(0);
        entry.xattrs = xattrs(&own_path(&file), true)?;
        self.tar.entry(&entry)?;
        self.tar.content(&mut File::from(file), entry.size, &mut self.buffer)
    }

    /// Makes `entry` a hard link when the file was packed under another name.
    fn linked(&self, st: &Stat, entry: &mut Entry) -> bool {
        let first = if st.st_nlink > 1 { self.links.get(&(st.st_dev, st.st_ino)) } else { None };
        if let Some(first) = first {
            (entry.kind, entry.link) = (Kind::HardLink, first.clone());
        }
        first.is_some()
    }

    fn links_to(&mut self, st: &Stat, path: &[u8]) {
        if st.st_nlink > 1 {
            self.links.insert((st.st_dev, st.st_ino), path.to_vec());
        }
    }

    /// Packs an entry that stands for no file.
    pub(crate) fn mark(&mut self, path: Vec<u8>) -> io::Result<()> {
        let nothing = Entry {
            path,
            link: Vec::new(),
            kind: Kind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: (0, 0),
            device: (0, 0),
            size: 0,
            sparse: None,
            xattrs: Vec::new(),
        };
        self.tar.entry(&nothing)
    }

    /// Ends the archive.
    pub(crate) fn finish(self) -> io::Result<W> {
        self.tar.finish()
    }
}

/// The path of `name` in the directory with the path `dir`.
pub(crate) fn child_path(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir if dir.ends_with(b"/") => [dir, name].concat(),
        dir => [dir, name].join(&b'/'),
    }
}

/// An entry for a file; whole seconds, because that is what layers are made of.
fn entry(path: &[u8], st: &Stat) -> Entry {
    Entry {
        path: path.to_vec(),
        link: Vec::new(),
        kind: Kind::File,
        mode: st.st_mode & 0o7777,
        uid: st.st_uid,
        gid: st.st_gid,
        mtime: (st.st_mtime, 0),
        device: (0, 0),
        size: 0,
        sparse: None,
        xattrs: Vec::new(),
    }
}

pub(crate) fn own_path(fd: &OwnedFd) -> Vec<u8> {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes()
}

pub(crate) fn at_path(dir: &OwnedFd, name: &CStr) -> Vec<u8> {
    [&own_path(dir)[..], b"/", name.to_bytes()].concat()
}

/// The extended attributes that belong to the file, by name: not overlayfs' own, and not the label that a host's policy gave.
pub(crate) fn xattrs(path: &[u8], follow: bool) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut list = [0u8; 1024];
    let listed = if follow { fs::listxattr(path, &mut list) } else { fs::llistxattr(path, &mut list) };
    let mut long = Vec::new();
    let listed = match listed {
        Ok(n) => list.get(..n),
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            // The kernel's own limit for the list and for a value.
            long.resize(64 << 10, 0);
            let n = if follow { fs::listxattr(path, &mut *long) } else { fs::llistxattr(path, &mut *long) }?;
            long.get(..n)
        }
        Err(e) => return Err(e.into()),
    };
    let foreign = |n: &[u8]| n.starts_with(b"trusted.overlay.") || n.starts_with(b"user.overlay.") || n == b"security.selinux";
    let mut found = Vec::new();
    for name in listed.unwrap_or_default().split(|b| *b == 0).filter(|n| !n.is_empty() && !foreign(n)) {
        let mut value = vec![0u8; 64 << 10];
        match if follow { fs::getxattr(path, name, &mut *value) } else { fs::lgetxattr(path, name, &mut *value) } {
            Ok(n) => value.truncate(n),
            Err(Errno::NODATA) => continue,
            Err(e) => return Err(e.into()),
        }
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}
